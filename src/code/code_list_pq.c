/*
 * code_list_pq.c
 *    Product quantisation in lists (Jegou, Douze and Schmid 2011): each part of
 *    the projected residual by the nearest of 16 or 256 centroids.
 *
 * Distances to centroids come from products: |r - C|^2 = |r|^2 - 2 (<r, C> -
 * |C|^2 / 2), so the nearest has the largest of what the brackets hold.
 */
#include "code_list_int.h"

#define SWEEPS	2				/* over the columns, where they depend on each other */

/* The first of the largest; scores are changed. */
static uint32_t
nearest_entry(float *scores, const float *halves, uint32_t entries)
{
	float		most = -FLT_MAX;
	uint32_t	best = 0;

	for (uint32_t k = 0; k < entries; k += 4)
		*(VecxFour *) (void *) (scores + k) -= *(const VecxFour *) (const void *) (halves + k);
	for (uint32_t k = 0; k < entries; k++)
		most = scores[k] > most ? scores[k] : most;
	while (best + 1 < entries && scores[best] < most)
		best++;
	return best;
}

/* <a, C> of column c with the code's centroid. */
static double
product_with(const VecxListCode *code, const float *books, const float *a, uint32_t c,
			 uint32_t number)
{
	uint32_t	entries = 1u << code->bits;
	uint32_t	end = vecx_pq_first(code, c + 1);
	double		sum = 0.0;

	for (uint32_t i = vecx_pq_first(code, c); i < end; i++)
		sum += (double) (a[i] * books[(size_t) i * entries + number]);
	return sum;
}

/*
 * The error along x, the projection x_y, costs eta times what the error across
 * costs: with e the error, |e|^2 + (eta - 1) <e, x>^2 / |x|^2 is to be small.
 * Column by column, the others as they are, from the nearest codes.
 */
static void
assign_anisotropic(const VecxListCode *code, const float *r, const float *x_y, uint8_t *codes)
{
	uint32_t	entries = 1u << code->bits;
	float		x2 = vecx_kernels->ip_f32(x_y, x_y, code->pdims);
	float		weight = x2 >= FLT_MIN ? (code->eta - 1.0f) / x2 : 0.0f;
	float		along = vecx_kernels->ip_f32(r, x_y, code->pdims);
	float		products[1 << VECX_PQ_MAX_BITS];
	float		with_x[1 << VECX_PQ_MAX_BITS];

	for (uint32_t c = 0; c < code->ncolumns; c++)
		along -= (float) product_with(code, code->encode_books, x_y, c, codes[c]);
	for (uint32_t at = 0; at < SWEEPS * code->ncolumns; at++)
	{
		uint32_t	c = at % code->ncolumns;
		uint32_t	first = vecx_pq_first(code, c);
		uint32_t	n = vecx_pq_first(code, c + 1) - first;
		const float *books = code->encode_books + (size_t) first * entries;
		const float *halves = code->encode_halves + (size_t) c * entries;
		uint32_t	best = codes[c];
		float		least = FLT_MAX;

		vecx_pq_products(books, entries, r + first, n, products);
		vecx_pq_products(books, entries, x_y + first, n, with_x);
		along += with_x[codes[c]];
		for (uint32_t k = 0; k < entries; k++)
		{
			float		rest = along - with_x[k];
			float		loss = 2.0f * (halves[k] - products[k]) + weight * rest * rest;

			if (loss < least)
			{
				least = loss;
				best = k;
			}
		}
		along -= with_x[best];
		codes[c] = (uint8_t) best;
	}
}

void
vecx_pq_assign(const VecxListCode *code, const float *r, const float *x_y, uint8_t *codes)
{
	uint32_t	entries = 1u << code->bits;
	float		products[1 << VECX_PQ_MAX_BITS];

	if (entries == 16)
		vecx_kernels->nearest16(code->encode_books, code->encode_halves, r, code->pdims,
								code->ncolumns, codes);
	for (uint32_t c = 0; c < code->ncolumns && entries > 16; c++)
	{
		uint32_t	first = vecx_pq_first(code, c);

		vecx_pq_products(code->encode_books + (size_t) first * entries, entries, r + first,
						 vecx_pq_first(code, c + 1) - first, products);
		codes[c] = (uint8_t) nearest_entry(products, code->encode_halves + (size_t) c * entries,
										   entries);
	}
	if (code->eta > 1.0f)
		assign_anisotropic(code, r, vecx_pq_errs_along_vector(code) ? x_y : r, codes);
}

void
vecx_list_pq_shape(const VecxListCode *code, const VecxListCentre *centre, const float *x,
				   const float *y, const uint8_t *codes, float *coded, VecxListShape *shape)
{
	uint32_t	entries = 1u << code->bits;
	uint32_t	n = code->pdims;
	const float *query_y = y + (code->proj_floats - n);
	const float *query_c = centre->y + (code->proj_floats - n);

	for (uint32_t c = 0; c < code->ncolumns; c++)
		for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
			coded[i] = code->score_books[(size_t) i * entries + codes[c]];
	shape->r2 = (double) vecx_kernels->l2sq_f32(x, centre->c, code->dim);
	shape->c_r = (double) vecx_kernels->ip_f32(centre->c, x, code->dim) -
		(double) vecx_kernels->ip_f32(centre->c, centre->c, code->dim);
	shape->cr = (double) vecx_kernels->ip_f32(query_c, coded, n);
	shape->rr = (double) vecx_kernels->ip_f32(query_y, coded, n) - shape->cr;
	/* with a matrix of queries' own coded is not in the vectors' space: but k-means makes
	 * <r, r^> about the same */
	shape->coded2 = code->proj_floats > n ? fmax(shape->rr, 0.0) :
		(double) vecx_kernels->ip_f32(coded, coded, n);
}

void
vecx_list_pq_encode(const VecxListCode *code, const VecxListCentre *centre, const float *x,
					const float *y, VecxListEntry *entry, void *scratch)
{
	float	   *r = scratch;
	VecxListShape shape;

	for (uint32_t i = 0; i < code->pdims; i++)
		r[i] = y[i] - centre->y[i];
	vecx_pq_assign(code, r, y, entry->codes);
	vecx_list_pq_shape(code, centre, x, y, entry->codes, r, &shape);
	vecx_list_put_terms(code, &shape, entry);
}

size_t
vecx_list_rounded_bytes(const VecxListCode *code)
{
	return code->quantizer != VECX_LIST_PQ ? 0 :
		code->pdims * (sizeof(VecxPointHead) + (size_t) code->hdim) + code->hdim * sizeof(float);
}

/* What codes stand for, in length, if all entries of a column are as frequent. */
static float
coded_length(const VecxListCode *code)
{
	size_t		n = (size_t) code->ncolumns << code->bits;
	double		sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += 2.0 * (double) code->encode_halves[i];
	return (float) sqrt(fmin(sum / (double) (1u << code->bits), (double) FLT_MAX));
}

void
vecx_list_round_matrix(const VecxListCode *code, void *room, VecxListRounded *rounded)
{
	VecxPoints *rows = &rounded->rows;
	double		step2 = 0.0;
	float	   *row;

	rows->count = code->pdims;
	rows->nbytes = code->hdim;
	rows->heads = room;
	row = (float *) (void *) (rows->heads + code->pdims);
	rows->points = (uint8_t *) (row + code->hdim);
	for (size_t i = 0; i < rows->count; i++)
	{
		vecx_kernels->f16_to_f32(code->query_matrix + i * code->hdim, row, code->hdim);
		vecx_points_put(rows, i, row, NULL);
		step2 += (double) rows->heads[i].scale * rows->heads[i].scale / (double) rows->count;
	}
	rounded->step2 = (float) step2;
	rounded->coded = coded_length(code);
}

/* PQ is off by some 2e-2 of the square of what its codes stand for; rounding may be by so much. */
#define ROUNDED_MOST	5e-3f

bool
vecx_list_pq_project_query(const VecxListCode *code, const float *q, float norm2, float *y,
						   float *noise, void *work)
{
	const VecxListRounded *rounded = &code->rounded;
	float	   *reduced = (float *) work + vecx_hadamard_floats(code->dim);
	VecxPointHead head;
	VecxPoints	query = {1, code->hdim, &head, (uint8_t *) (reduced + code->hdim)};
	float		error;

	if (rounded->rows.count == 0)
		return false;
	if (code->hdim != code->dim)
	{
		vecx_list_reduce(code, q, reduced, work);
		q = reduced;
	}
	vecx_points_put(&query, 0, q, NULL);
	/* what is rounded to a step is off by the root of a twelfth of it */
	error = sqrtf((head.scale * head.scale + norm2 * rounded->step2) / 12.0f);
	if (!(error <= ROUNDED_MOST * rounded->coded))
		return false;
	*noise = error * rounded->coded;
	vecx_point_distances(VECX_METRIC_L2, VECX_POINT_PRODUCT, &query, 0, 1, &rounded->rows, y);
	for (uint32_t i = 0; i < code->pdims; i++)
		y[i] = -y[i];
	return true;
}

void
vecx_list_pq_tables(const VecxListCode *code, const float *y, uint32_t column, float *table)
{
	uint32_t	first = vecx_pq_first(code, column);
	uint32_t	entries = 1u << code->bits;

	vecx_pq_products(code->score_books + (size_t) first * entries, entries, y + first,
					 vecx_pq_first(code, column + 1) - first, table);
	if (code->score_biases)
		for (uint32_t k = 0; k < entries; k++)
			table[k] += code->score_biases[column * entries + k];
}

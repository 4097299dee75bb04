/*
 * code_list_rabitq.c
 *    RaBitQ in lists: of each dimension's level its highest bit, the sign, in
 *    the block, the others behind it, with factors of their own.
 *
 * With e further bits a level u is 2^e sign + low, and s = u - (2^(e+1) - 1) / 2.
 * The query's product with the signs, less half of its sum, S / 2, is known from
 * the block; then
 *
 *    <q, s> = 2^e (<q, signs> - S / 2) + <q, low> - (2^e - 1) / 2 S
 *
 * An extra is { float add, rescale, sigma } and the low bits, packed for the
 * kernel packed_dot.
 */
#include "code_list_int.h"

#define FINE_STEPS	254			/* of the query's fine part in one of its coarse part */

typedef struct VecxListExtra
{
	float		add;
	float		rescale;
	float		sigma;
} VecxListExtra;

static double
sum_of_four(VecxFour x)
{
	return ((double) x[0] + (double) x[1]) + ((double) x[2] + (double) x[3]);
}

/*
 * The product of the centred levels with r and c, and their squared length: four
 * elements at a time, 64 in single precision.
 */
static void
shape_of_levels(const VecxListCode *code, const float *r, const float *c, const uint8_t *levels,
				uint32_t bits, VecxListShape *shape)
{
	float		middle = (float) ((1u << bits) - 1) / 2.0f;

	shape->rr = shape->cr = shape->coded2 = 0.0;
	for (uint32_t first = 0; first < code->pdims; first += 64)
	{
		VecxFour	rr = {0.0f};
		VecxFour	cr = {0.0f};
		VecxFour	s2 = {0.0f};

		for (uint32_t i = first; i < first + 64; i += 4)
		{
			VecxFour	level = {(float) levels[i], (float) levels[i + 1], (float) levels[i + 2], (float) levels[i + 3]};
			VecxFour	s = level - middle;

			rr += *(const VecxFour *) (const void *) (r + i) * s;
			cr += *(const VecxFour *) (const void *) (c + i) * s;
			s2 += s * s;
		}
		shape->rr += sum_of_four(rr);
		shape->cr += sum_of_four(cr);
		shape->coded2 += sum_of_four(s2);
	}
}

/* Packs the low bits of levels, of which the sign remains. */
static void
take_low_bits(uint8_t *levels, uint32_t n, uint32_t bits, uint8_t *packed)
{
	uint8_t    *low = levels + n;

	for (uint32_t i = 0; i < n; i++)
	{
		low[i] = (uint8_t) (levels[i] & ((1u << bits) - 1));
		levels[i] = (uint8_t) (levels[i] >> bits);
	}
	vecx_rabitq_pack(packed, low, n, bits);
}

void
vecx_list_rabitq_encode(const VecxListCode *code, const VecxListCentre *centre, const float *x,
						const float *y, VecxListEntry *entry, void *scratch)
{
	uint32_t	bits = code->bits;
	float	   *r = scratch;
	uint8_t    *levels = (uint8_t *) (r + code->pdims);
	VecxListShape shape;

	for (uint32_t i = 0; i < code->pdims; i++)
		r[i] = y[i] - centre->y[i];
	shape.r2 = (double) vecx_kernels->l2sq_f32(x, centre->c, code->dim);
	shape.c_r = (double) vecx_kernels->ip_f32(centre->c, x, code->dim) -
		(double) vecx_kernels->ip_f32(centre->c, centre->c, code->dim);
	(void) vecx_rabitq_levels(r, code->pdims, bits, shape.r2, levels);
	if (bits > 1)
	{
		VecxListTerms terms;
		VecxListExtra extra;

		shape_of_levels(code, r, centre->y, levels, bits, &shape);
		vecx_list_terms(code, &shape, &terms);
		extra.rescale = vecx_finite(terms.rescale);
		extra.add = vecx_finite(terms.add);
		extra.sigma = vecx_finite(terms.sigma);
		memcpy(entry->extra, &extra, sizeof(extra));
		take_low_bits(levels, code->pdims, bits - 1, entry->extra + sizeof(extra));
	}
	for (uint32_t i = 0; i < code->ncolumns; i++)
		entry->codes[i] = (uint8_t) (levels[4 * i] | levels[4 * i + 1] << 1 |
									 levels[4 * i + 2] << 2 | levels[4 * i + 3] << 3);
	shape_of_levels(code, r, centre->y, levels, 1, &shape);
	vecx_list_put_terms(code, &shape, entry);
}

bool
vecx_list_rabitq_check(const uint8_t *extra)
{
	VecxListExtra factors;

	memcpy(&factors, extra, sizeof(factors));
	return isfinite(factors.add) && isfinite(factors.rescale) && factors.rescale <= 0.0f &&
		isfinite(factors.sigma) && factors.sigma >= 0.0f;
}

/* Bit i of an entry's number stands for element 4 column + i.  Returns the greatest entry and
 * sets the least. */
float
vecx_list_rabitq_tables(const float *y, uint32_t column, float *table, float *least)
{
	VecxFour   *fours = (VecxFour *) (void *) table;
	VecxFour	first;
	float		low = 0.0f;
	float		high = 0.0f;

	y += 4 * (size_t) column;
	for (int i = 0; i < 4; i++)
	{
		low += y[i] > 0.0f ? 0.0f : y[i];	/* NaN, too, for the caller to see */
		high += y[i] > 0.0f ? y[i] : 0.0f;
	}
	first = (VecxFour) {0.0f, y[0], y[1], y[0] + y[1]};
	fours[0] = first;
	fours[1] = first + y[2];
	fours[2] = first + y[3];
	fours[3] = fours[1] + y[3];
	*least = low;
	return high;
}

/* The bias of half the sum, and the query in small integers. */
void
vecx_list_rabitq_query(const VecxListCode *code, VecxListQuery *query)
{
	double		sum = 0.0;
	double		total = 0.0;
	float		max = 0.0f;

	for (uint32_t first = 0; first < code->pdims; first += 64)
	{
		VecxFour	part = {0.0f};

		for (uint32_t i = first; i < first + 64; i += 4)
			part += *(const VecxFour *) (const void *) (query->y + i);
		sum += sum_of_four(part);
	}
	query->bias = (float) ((double) query->bias - sum / 2.0);
	if (code->extra_bytes == 0)
		return;
	for (uint32_t i = 0; i < code->pdims; i++)
		max = fabsf(query->y[i]) > max ? fabsf(query->y[i]) : max;
	query->step = max / 127.0f >= FLT_MIN ? max / 127.0f : 0.0f;
	for (uint32_t i = 0; i < code->pdims; i++)
	{
		float		t = query->step > 0.0f ? query->y[i] / query->step : 0.0f;
		float		coarse = rintf(t);
		float		rest = rintf((t - coarse) * (float) FINE_STEPS);

		query->parts[i] = (int8_t) coarse;
		query->parts[code->pdims + i] = (int8_t) rest;
		total += (double) coarse + (double) rest / FINE_STEPS;
	}
	query->total = total;
}

/*
 * The signs' product comes from tables of 8 bits, whose rounding counts 2^e times
 * here: with 8 bits a dimension it adds a seventh to sigma, with 7 a thirtieth.
 */
void
vecx_list_refine(const VecxListCode *code, const VecxListQuery *query, const VecxListProbe *probe,
				 float signs, const uint8_t *extra, float *est, float *sigma)
{
	uint32_t	bits = code->bits - 1;
	double		rounding = (double) query->delta * sqrt(code->ncolumns / 12.0) * (double) (1u << bits);
	double		product;
	VecxListExtra factors;

	memcpy(&factors, extra, sizeof(factors));
	extra += sizeof(factors);
	product = (double) vecx_kernels->packed_dot(query->parts, extra, code->pdims, bits) +
		(double) vecx_kernels->packed_dot(query->parts + code->pdims, extra, code->pdims, bits) /
		FINE_STEPS;
	product -= (double) ((1u << bits) - 1) / 2.0 * query->total;
	product = product * (double) query->step + (double) (1u << bits) * (double) signs;
	*est = vecx_finite((double) probe->add + (double) probe->scale * (double) factors.add +
					   (double) factors.rescale * product);
	*sigma = vecx_finite(hypot((double) probe->spread * (double) factors.sigma,
							   rounding * (double) factors.rescale));
}

/*
 * code_pq_rows.c
 *    Rows and queries as PQ's training sees them: less their centres, scaled,
 *    transformed, and projected.
 */
#include "code_pq_train.h"

#define PQ_MAX_ELEMENT		1000.0f

static const float *
sample_row(const VecxPqTrainer *t, size_t i)
{
	return t->sample->rows + vecx_pq_row_number(t->sample, t->nrows, i) * t->code->dim;
}

static const float *
row_centre(const VecxPqTrainer *t, size_t i)
{
	const VecxListSample *sample = t->sample;

	if (sample->centres == NULL)
		return t->mean;
	return sample->centres +
		(size_t) sample->centre_of[vecx_pq_row_number(sample, t->nrows, i)] * t->code->dim;
}

/* x (less c, unless that is NULL), scaled, in hdim dimensions; r is work. */
static void
reduce_row(const VecxPqTrainer *t, const float *x, const float *c, float *r, float *row)
{
	uint32_t	dim = t->code->dim;
	float		inverse = 1.0f / t->scale;

	for (uint32_t d = 0; d < dim; d++)
		r[d] = (c ? x[d] - c[d] : x[d]) * inverse;
	vecx_list_reduce(t->code, r, row, r + dim);
	/* what is no number becomes the end, too */
	for (uint32_t d = 0; d < t->code->hdim; d++)
		row[d] = row[d] < PQ_MAX_ELEMENT ? (row[d] > -PQ_MAX_ELEMENT ? row[d] : -PQ_MAX_ELEMENT) : PQ_MAX_ELEMENT;
}

static float *
alloc_row(const VecxPqTrainer *t)
{
	return vecx_train_alloc(t->env, t->code->dim + vecx_hadamard_floats(t->code->dim), sizeof(float));
}

/* rows[n][hdim] of rows first and up, scaled and transformed. */
void
vecx_pq_rows(VecxPqTrainer *t, VecxPqRows what, size_t first, size_t n, float *rows)
{
	size_t		hdim = t->code->hdim;
	float	   *r = alloc_row(t);

	t->env->poll(t->env->arg);
	for (size_t i = 0; i < n; i++)
	{
		const float *c = row_centre(t, first + i);

		if (what == VECX_PQ_CENTRES)
			reduce_row(t, c, NULL, r, rows + i * hdim);
		else
			reduce_row(t, sample_row(t, first + i), c, r, rows + i * hdim);
	}
	vecx_train_free(t->env, r);
	if (t->transform != NULL)
	{
		uint16_t   *half = vecx_train_alloc(t->env, hdim * hdim, sizeof(uint16_t));
		float	   *from = vecx_train_alloc(t->env, n * hdim, sizeof(float));

		memcpy(from, rows, n * hdim * sizeof(float));
		vecx_train_gemm(t->env, n, hdim, hdim, from, t->transform, rows, half);
		vecx_train_free(t->env, from);
		vecx_train_free(t->env, half);
	}
}

/* The mean of rows, by which they are coded if there are no centres; zero under IP. */
void
vecx_pq_find_mean(const VecxTrainEnv *env, const VecxListCode *code, const VecxListSample *sample,
				  size_t nrows, float *mean)
{
	double	   *sum = vecx_train_alloc(env, code->dim, sizeof(double));

	memset(sum, 0, code->dim * sizeof(double));
	for (size_t i = 0; i < nrows && code->metric != VECX_METRIC_IP; i++)
	{
		const float *row = sample->rows + vecx_pq_row_number(sample, nrows, i) * code->dim;

		if (i % 64 == 0)
			env->poll(env->arg);
		for (uint32_t d = 0; d < code->dim; d++)
			sum[d] += (double) row[d];
	}
	for (uint32_t d = 0; d < code->dim; d++)
		mean[d] = nrows > 0 ? (float) (sum[d] / (double) nrows) : 0.0f;
	vecx_train_free(env, sum);
}

/* The root of the rows' mean square length, which they are divided by. */
void
vecx_pq_measure_scale(VecxPqTrainer *t)
{
	double		norm2 = 0.0;

	for (size_t i = 0; i < t->nrows; i++)
	{
		if (i % 64 == 0)
			t->env->poll(t->env->arg);
		norm2 += fmin((double) vecx_kernels->l2sq_f32(sample_row(t, i), row_centre(t, i), t->code->dim),
					  (double) FLT_MAX);
	}
	norm2 = t->nrows > 0 ? norm2 / (double) t->nrows : 0.0;
	t->scale = norm2 >= (double) FLT_MIN ? (float) sqrt(norm2) : 1.0f;
}

/* y[n][pdims] of all rows; the sums of squared lengths of what was projected, and of y. */
static void
project_all(VecxPqTrainer *t, VecxPqRows what, float *y, double *all, double *kept)
{
	size_t		h = t->code->hdim;
	size_t		p = t->code->pdims;
	float	   *rows = vecx_train_alloc(t->env, PQ_BATCH * h, sizeof(float));
	uint16_t   *half = vecx_train_alloc(t->env, p * h, sizeof(uint16_t));

	*all = 0.0;
	*kept = 0.0;
	for (size_t i = 0; i < t->nrows; i += PQ_BATCH)
	{
		size_t		n = t->nrows - i < PQ_BATCH ? t->nrows - i : PQ_BATCH;

		vecx_pq_rows(t, what, i, n, rows);
		vecx_train_gemm(t->env, n, p, h, rows, t->matrix, y + i * p, half);
		*all += (double) vecx_kernels->ip_f32(rows, rows, n * h);
		*kept += (double) vecx_kernels->ip_f32(y + i * p, y + i * p, n * p);
	}
	vecx_train_free(t->env, rows);
	vecx_train_free(t->env, half);
}

/* y of all rows, and what share of their squared lengths it has. */
void
vecx_pq_project_rows(VecxPqTrainer *t)
{
	double		all;
	double		kept;

	project_all(t, VECX_PQ_RESIDUALS, t->y, &all, &kept);
	t->code->energy = all > 0.0 ? (float) fmin(kept / all, 1.0) : 1.0f;
}

/* Makes t->x_y. */
void
vecx_pq_project_vectors(VecxPqTrainer *t)
{
	size_t		n = t->nrows * t->code->pdims;
	double		all;
	double		kept;

	t->x_y = vecx_train_alloc(t->env, n, sizeof(float));
	project_all(t, VECX_PQ_CENTRES, t->x_y, &all, &kept);
	for (size_t i = 0; i < n; i++)
		t->x_y[i] += t->y[i];
}

size_t
vecx_pq_query_count(const VecxPqTrainer *t)
{
	return t->sample->queries ? t->sample->nqueries : t->nrows;
}

static size_t
query_number(const VecxPqTrainer *t, size_t q, size_t n)
{
	size_t		all = t->sample->queries ? t->sample->nqueries : t->sample->nrows;
	size_t		number = q * all / n;

	if (vecx_pq_is_held_out(q))
		return number / VECX_PQ_HELD_OUT * VECX_PQ_HELD_OUT;
	if (number % VECX_PQ_HELD_OUT == 0)
		return number + 1 < all ? number + 1 : number - 1;
	return number;
}

size_t
vecx_pq_query_row(const VecxPqTrainer *t, size_t q, size_t n)
{
	size_t		number = query_number(t, q, n);
	size_t		row = (number * t->nrows + t->sample->nrows - 1) / t->sample->nrows;

	if (t->sample->queries || row >= t->nrows || vecx_pq_row_number(t->sample, t->nrows, row) != number)
		return t->nrows;
	return row;
}

const float *
vecx_pq_query(const VecxPqTrainer *t, size_t q, size_t n)
{
	return (t->sample->queries ? t->sample->queries : t->sample->rows) +
		query_number(t, q, n) * t->code->dim;
}

float *
vecx_pq_project_queries(VecxPqTrainer *t, size_t most, size_t *nqueries)
{
	size_t		h = t->code->hdim;
	size_t		p = t->code->pdims;
	size_t		all = vecx_pq_query_count(t);
	size_t		n = all < most ? all : most;
	float	   *r = alloc_row(t);
	float	   *rows = vecx_train_alloc(t->env, n * h, sizeof(float));
	float	   *y = vecx_train_alloc(t->env, n * p, sizeof(float));
	uint16_t   *half = vecx_train_alloc(t->env, p * h, sizeof(uint16_t));

	for (size_t i = 0; i < n; i++)
	{
		if (i % 64 == 0)
			t->env->poll(t->env->arg);
		reduce_row(t, vecx_pq_query(t, i, n), NULL, r, rows + i * h);
	}
	vecx_train_gemm(t->env, n, p, h, rows, t->matrix, y, half);
	vecx_train_free(t->env, r);
	vecx_train_free(t->env, rows);
	vecx_train_free(t->env, half);
	*nqueries = n;
	return y;
}

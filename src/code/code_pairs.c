/*
 * code_pairs.c
 *    Distances of all pairs of some vectors and others by a product of matrices, and
 *    which are nearest.
 *
 * What two vectors less the mean have in common is their product; it is rough, but not
 * as rough as it would be where the mean is far from zero.
 */
#include <stdlib.h>

#include "code_train.h"

/* Rows multiplied at once: so many, but no more than have so many floats unless they are few. */
#define PAIRS_BATCH		128
#define PAIRS_FLOATS	((size_t) 256 * 1024)
#define PAIRS_LEAST		16
/* Rows that the mean is taken of, about. */
#define PAIRS_MEAN		256
/* Rows so many times as long as the median are far beyond the others. */
#define PAIRS_FAR		10.0f
/* Rows that seem near are compared exactly: these besides those that are wanted. */
#define PAIRS_MORE		16
#define PAIRS_MOST		64

/* The mean of some rows, but for those so far beyond the others that it would be theirs. */
static void
find_mean(const VecxPairs *pairs, float *mean)
{
	size_t		step = pairs->nrows / PAIRS_MEAN + 1;
	float		norm2[PAIRS_MEAN];
	float		sorted[PAIRS_MEAN];
	float		limit;
	size_t		n = 0;
	size_t		kept = 0;

	memset(mean, 0, pairs->dim * sizeof(float));
	/* where distances depend on where zero is, it stays there */
	if (pairs->metric == VECX_METRIC_IP || pairs->nrows == 0)
		return;
	for (size_t r = 0; r < pairs->nrows; r += step, n++)
		sorted[n] = norm2[n] = vecx_kernels->ip_f32(pairs->rows[r], pairs->rows[r], pairs->dim);
	qsort(sorted, n, sizeof(float), vecx_compare_floats);
	limit = sorted[n / 2] * PAIRS_FAR * PAIRS_FAR;
	for (size_t i = 0; i < n; i++)
		kept += norm2[i] <= limit;
	for (size_t i = 0; i < n && kept > 0; i++)
		if (norm2[i] <= limit)
			vecx_kernels->add_multiple_f32(mean, pairs->rows[i * step], 1.0f / (float) kept, pairs->dim);
}

/* The vector less the mean; returns the square of its length. */
static float
take_mean_off(const VecxPairs *pairs, const float *mean, const float *x, float *to)
{
	memcpy(to, x, pairs->dim * sizeof(float));
	vecx_kernels->add_multiple_f32(to, mean, -1.0f, pairs->dim);
	return vecx_kernels->ip_f32(to, to, pairs->dim);
}

/* The queries less the mean in half precision, each in a unit of its own that gives it the range. */
static void
load_queries(const VecxPairs *pairs, const float *mean, float *x, uint16_t *half, float *norm2,
			 float *unit)
{
	size_t		dim = pairs->dim;

	for (size_t q = 0; q < pairs->nqueries; q++)
	{
		norm2[q] = take_mean_off(pairs, mean, pairs->queries[q], x);
		unit[q] = FLT_MIN;
		for (size_t i = 0; i < dim; i++)
			unit[q] = fabsf(x[i]) > unit[q] ? fminf(fabsf(x[i]), FLT_MAX) : unit[q];
		for (size_t i = 0; i < dim; i++)
			x[i] /= unit[q];
		vecx_kernels->f32_to_f16(x, half + q * dim, dim);
	}
}

static size_t
batch_of(size_t dim)
{
	size_t		rows = PAIRS_FLOATS / dim;

	return rows < PAIRS_LEAST ? PAIRS_LEAST : rows < PAIRS_BATCH ? rows : PAIRS_BATCH;
}

void
vecx_pairs_init(VecxPairs *pairs, const VecxTrainEnv *env)
{
	size_t		dim = pairs->dim;
	size_t		nqueries = pairs->nqueries;
	size_t		batch = batch_of(dim);
	float	   *mean = vecx_train_alloc(env, dim, sizeof(float));
	float	   *x = vecx_train_alloc(env, batch * dim, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, nqueries * dim, sizeof(uint16_t));
	float	   *norm2 = vecx_train_alloc(env, 2 * nqueries, sizeof(float));
	float	   *unit = norm2 + nqueries;
	float	   *products = vecx_train_alloc(env, batch * nqueries, sizeof(float));
	float		row_norm2[PAIRS_BATCH];

	pairs->rough = vecx_train_alloc(env, nqueries * pairs->nrows, sizeof(float));
	find_mean(pairs, mean);
	load_queries(pairs, mean, x, half, norm2, unit);
	for (size_t first = 0; first < pairs->nrows; first += batch)
	{
		size_t		count = pairs->nrows - first < batch ? pairs->nrows - first : batch;

		env->poll(env->arg);
		for (size_t i = 0; i < count; i++)
			row_norm2[i] = take_mean_off(pairs, mean, pairs->rows[first + i], x + i * dim);
		vecx_kernels->gemm_rough(half, nqueries, dim, x, count, 2, products);
		for (size_t q = 0; q < nqueries; q++)
			for (size_t i = 0; i < count; i++)
			{
				double		product = (double) unit[q] * (double) products[i * nqueries + q];

				pairs->rough[q * pairs->nrows + first + i] =
					vecx_finite(pairs->metric == VECX_METRIC_IP ? -product :
								(double) norm2[q] + (double) row_norm2[i] - 2.0 * product);
			}
	}
	vecx_train_free(env, mean);
	vecx_train_free(env, x);
	vecx_train_free(env, half);
	vecx_train_free(env, norm2);
	vecx_train_free(env, products);
}

void
vecx_pairs_free(VecxPairs *pairs, const VecxTrainEnv *env)
{
	vecx_train_free(env, pairs->rough);
}

/* Puts a row among the n nearest, of which *found are there. */
static void
put_nearest(uint32_t row, float dist, size_t n, size_t *found, uint32_t *nearest, float *dists)
{
	size_t		at;

	if (*found == n && !(dist < dists[n - 1]))
		return;
	for (at = *found < n ? (*found)++ : n - 1; at > 0 && dists[at - 1] > dist; at--)
	{
		dists[at] = dists[at - 1];
		nearest[at] = nearest[at - 1];
	}
	dists[at] = dist;
	nearest[at] = row;
}

size_t
vecx_pairs_nearest(const VecxPairs *pairs, size_t query, size_t one, size_t other, size_t n,
				   uint32_t *nearest, float *dists)
{
	const float *rough = pairs->rough + query * pairs->nrows;
	const float *x = pairs->queries[query];
	size_t		looks = n + PAIRS_MORE < PAIRS_MOST ? n + PAIRS_MORE : PAIRS_MOST;
	uint32_t	near[PAIRS_MOST];
	float		seem[PAIRS_MOST];
	size_t		nnear = 0;
	size_t		found = 0;

	for (size_t r = 0; r < pairs->nrows; r++)
		if (r != one && r != other)
			put_nearest((uint32_t) r, rough[r], looks, &nnear, near, seem);
	for (size_t i = 0; i < nnear; i++)
	{
		const float *y = pairs->rows[near[i]];
		double		dist = pairs->metric == VECX_METRIC_IP ? -(double) vecx_kernels->ip_f32(x, y, pairs->dim) :
			(double) vecx_kernels->l2sq_f32(x, y, pairs->dim);

		put_nearest(near[i], vecx_finite(dist), n, &found, nearest, dists);
	}
	return found;
}

/*
 * test_train.c
 *    Proves what training is made of: orthonormal rows of any rank, roots of
 *    matrices, the nearest by products, outliers and all, and projections of huge vectors.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code_pq_train.h"
#include "unit.h"
#include "unit_code.h"

static float *
zeroes(size_t n)
{
	return memset(get(n * sizeof(float)), 0, n * sizeof(float));
}

/* The largest product of two rows, and how far a row's length is from 1. */
static double
skewness(const float *rows, size_t nrows, size_t n)
{
	double		worst = 0.0;

	for (size_t a = 0; a < nrows; a++)
		for (size_t b = 0; b <= a; b++)
		{
			double		product = 0.0;

			for (size_t i = 0; i < n; i++)
				product += (double) rows[a * n + i] * (double) rows[b * n + i];
			worst = fmax(worst, fabs(product - (a == b ? 1.0 : 0.0)));
		}
	return worst;
}

/* nrows rows of n, of a rank */
static double
skewness_of(size_t nrows, size_t n, size_t rank)
{
	float	   *rows = zeroes(nrows * n);
	float	   *base = zeroes(rank * n);
	uint64_t	rng = 5;
	double		worst;

	for (size_t i = 0; i < rank * n; i++)
		base[i] = (float) random_normal();
	for (size_t r = 0; r < nrows; r++)
		for (size_t b = 0; b < rank; b++)
		{
			float		factor = (float) random_normal();

			for (size_t i = 0; i < n; i++)
				rows[r * n + i] += factor * base[b * n + i];
		}
	vecx_train_orthonormalise(&env, &rng, rows, nrows, n);
	worst = skewness(rows, nrows, n);
	free(rows);
	free(base);
	return worst;
}

static void
test_orthonormal(void)
{
	static const size_t shapes[][3] = {
		{1, 1, 1}, {5, 5, 5}, {32, 40, 32}, {33, 64, 33}, {100, 100, 100}, {160, 200, 50}, {256, 784, 100},
		{300, 320, 300}, {64, 300, 1}
	};

	for (size_t i = 0; i < LENGTH(shapes); i++)
	{
		const size_t *s = shapes[i];
		double		worst = skewness_of(s[0], s[1], s[2]);

		UNIT_CHECK(worst < 0.005, "%zu rows of %zu, rank %zu: %g", s[0], s[1], s[2], worst);
	}
}

/* What half precision leaves of a row that equals one of a block before is the most where all
 * elements are halfway between two halves. */
static void
test_equal_rows(void)
{
	const size_t nrows = 66;
	double		most = 0.0;

	for (size_t n = 1000; n < 1050; n++)
	{
		float	   *rows = zeroes(nrows * n);
		uint64_t	rng = n;

		for (size_t i = 0; i < nrows * n; i++)
			rows[i] = 1.0f;
		vecx_train_orthonormalise(&env, &rng, rows, nrows, n);
		most = fmax(most, skewness(rows, nrows, n));
		free(rows);
	}
	UNIT_CHECK(most < 0.005, "rows that are all equal: %g", most);
}

/* |root inverse - 1| of a matrix with one eigenvalue so many times the others. */
static bool
roots_fit(size_t n, double spread, double *error)
{
	float	   *m = zeroes(3 * n * n);
	float	   *root = m + n * n;
	float	   *inverse = root + n * n;
	float	   *one = zeroes(n);
	double		norm2 = 0.0;
	bool		good;

	for (size_t i = 0; i < n; i++)
	{
		one[i] = (float) random_normal();
		norm2 += (double) one[i] * (double) one[i];
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			m[i * n + j] = (float) ((i == j ? 1.0 : 0.0) + (spread - 1.0) * (double) one[i] * (double) one[j] / norm2);
	good = vecx_square_roots(&env, m, n, root, inverse);
	*error = 0.0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
		{
			double		product = 0.0;

			for (size_t k = 0; k < n; k++)
				product += (double) root[i * n + k] * (double) inverse[k * n + j];
			*error = fmax(*error, fabs(product - (i == j ? 1.0 : 0.0)));
		}
	free(m);
	free(one);
	return good;
}

static void
test_roots(void)
{
	static const double spreads[] = {1, 5, 26, 101, 401, 1e4};
	double		error;

	for (size_t i = 0; i < LENGTH(spreads); i++)
	{
		bool		good = roots_fit(96, spreads[i], &error);

		UNIT_CHECK(good ? error < 0.02 : spreads[i] > 100.0, "roots of eigenvalues spread %g: %s, %g",
				   spreads[i], good ? "found" : "none", error);
	}
}

/* How many of the ten nearest of each query the pairs find, of 1. */
static double
pairs_recall(VecxMetric metric, const float *const *queries, size_t nqueries, const float *const *rows,
			 size_t nrows, uint32_t dim)
{
	VecxPairs	pairs = {metric, dim, nqueries, nrows, queries, rows, NULL};
	size_t		hits = 0;

	vecx_pairs_init(&pairs, &env);
	for (size_t q = 0; q < nqueries; q++)
	{
		uint32_t	near[10];
		float		dists[10];
		size_t		found = vecx_pairs_nearest(&pairs, q, 3, nrows, 10, near, dists);
		size_t		nearer;

		for (size_t i = 0; i < found; i++)
		{
			nearer = 0;
			for (size_t r = 0; r < nrows; r++)
			{
				float		d = metric == VECX_METRIC_IP ? -vecx_kernels->ip_f32(queries[q], rows[r], dim) :
					vecx_kernels->l2sq_f32(queries[q], rows[r], dim);

				nearer += r != 3 && d < dists[i];
			}
			hits += nearer < 10 && near[i] != 3 && (i == 0 || dists[i - 1] <= dists[i]);
		}
	}
	vecx_pairs_free(&pairs, &env);
	return (double) hits / (10.0 * (double) nqueries);
}

static void
test_pairs(void)
{
	enum {ROWS = 700, QUERIES = 40, DIM = 96};
	static const float offsets[] = {0.0f, 100.0f};
	static const float outliers[] = {1.0f, 1e5f, 1e9f};
	float	   *x = zeroes((ROWS + QUERIES) * DIM);
	const float *rows[ROWS];
	const float *queries[QUERIES];

	for (int metric = 0; metric < 2; metric++)
		for (size_t o = 0; o < 2; o++)
			for (size_t f = 0; f < 3; f++)
			{
				VecxMetric	m = metric == 0 ? VECX_METRIC_L2 : VECX_METRIC_IP;
				double		recall;

				for (size_t i = 0; i < (ROWS + QUERIES) * DIM; i++)
					x[i] = (float) random_normal() + offsets[o];
				for (size_t i = 0; i < ROWS; i++)
					rows[i] = x + i * DIM;
				for (size_t i = 0; i < QUERIES; i++)
					queries[i] = x + (ROWS + i) * DIM;
				/* one row and one query far beyond */
				for (size_t i = 0; i < DIM; i++)
				{
					x[i] *= outliers[f];
					x[ROWS * DIM + i] *= outliers[f];
				}
				recall = pairs_recall(m, queries, QUERIES, rows, ROWS, DIM);
				UNIT_CHECK(recall > 0.97, "%s, offset %g, outliers %g: %.3f found",
						   metric == 0 ? "L2" : "IP", (double) offsets[o], (double) outliers[f], recall);
			}
	UNIT_CHECK(pairs_recall(VECX_METRIC_L2, queries, 1, rows, 11, DIM) > 0.99, "of eleven rows, but for one");
	free(x);
}

/* Vectors at the end of float's range, which rough products do not reach, among others. */
static void
test_huge(void)
{
	enum {ROWS = 48, VECS = 40, DIM = 64};
	float	   *rows = zeroes(ROWS * DIM);
	float	   *x = zeroes(VECS * DIM);
	float	   *y = zeroes(VECS * ROWS);
	float	   *exact = zeroes(VECS * ROWS);
	uint16_t	m[ROWS * DIM];

	for (size_t i = 0; i < ROWS * DIM; i++)
		rows[i] = (float) random_normal();
	vecx_kernels->f32_to_f16(rows, m, ROWS * DIM);
	for (size_t i = 0; i < VECS * DIM; i++)
		x[i] = (float) random_normal();
	for (size_t i = 0; i < DIM; i++)
		x[7 * DIM + i] = i == 3 ? FLT_MAX : 0.0f;
	for (size_t r = 0; r < ROWS; r++)
		m[r * DIM + 3] &= 0xbbff;	/* less than 1 */
	vecx_project_rows(m, ROWS, DIM, x, VECS, y);
	vecx_kernels->gemm_f16(m, ROWS, DIM, x, VECS, exact);
	UNIT_CHECK(memcmp(y, exact, VECS * ROWS * sizeof(float)) == 0 && fabsf(y[7 * ROWS]) > 0.0f,
			   "projections of the largest floats");
	free(rows);
	free(x);
	free(y);
	free(exact);
}

int
main(void)
{
	test_huge();
	test_orthonormal();
	test_equal_rows();
	test_roots();
	test_pairs();
	UNIT_CHECK(blocks_out == 0, "all memory was released");
	return unit_done();
}

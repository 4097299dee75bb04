/*
 * unit_code.h
 *    What the tests of src/code share: memory, the environment of trainings,
 *    rows, and distances by their definitions.
 */
#ifndef VECX_UNIT_CODE_H
#define VECX_UNIT_CODE_H

#include <string.h>

#include "../../src/code/code.h"
#include "unit_random.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const VecxMetric float_metrics[] = {
	VECX_METRIC_L2, VECX_METRIC_COSINE, VECX_METRIC_IP, VECX_METRIC_L1
};
static const char *const metric_names[] = {
	"", "l2", "cosine", "ip", "l1", "hamming", "jaccard"
};

static inline void *
get(size_t nbytes)
{
	void	   *p = malloc(nbytes > 0 ? nbytes : 1);

	if (p == NULL)
		abort();
	return p;
}

/* Blocks that trainings have not released, and how often they polled. */
static long blocks_out;
static long polls;

static inline void *
env_alloc(void *arg, size_t nbytes)
{
	blocks_out++;
	return get(nbytes);
}

static inline void
env_release(void *arg, void *ptr)
{
	blocks_out--;
	free(ptr);
}

static inline void
env_poll(void *arg)
{
	polls++;
}

static const VecxTrainEnv env = {env_alloc, env_release, env_poll, NULL};

static inline void
normalise(float *x, size_t dim)
{
	double		norm = 0.0;

	for (size_t i = 0; i < dim; i++)
		norm += (double) x[i] * (double) x[i];
	for (size_t i = 0; i < dim; i++)
		x[i] = (float) ((double) x[i] / sqrt(norm));
}

/* Rows with a decaying spectrum, in clusters, about a mean. */
static inline float *
make_rows(size_t nrows, size_t dim, VecxMetric metric)
{
	float	   *rows = get(nrows * dim * sizeof(float));
	float	   *centres = get(8 * dim * sizeof(float));

	for (size_t i = 0; i < 8 * dim; i++)
		centres[i] = (float) random_normal();
	for (size_t r = 0; r < nrows; r++)
	{
		const float *centre = centres + r % 8 * dim;

		for (size_t i = 0; i < dim; i++)
			rows[r * dim + i] = centre[i] * 0.5f + 0.3f +
				(float) (random_normal() * exp(-3.0 * (double) i / (double) dim));
		if (metric == VECX_METRIC_COSINE)
			normalise(rows + r * dim, dim);
	}
	free(centres);
	return rows;
}

static inline double
true_distance(VecxMetric metric, const float *a, const float *b, size_t dim)
{
	double		sum = 0.0;

	for (size_t i = 0; i < dim; i++)
	{
		double		d = (double) a[i] - (double) b[i];

		sum += metric == VECX_METRIC_IP ? -(double) a[i] * (double) b[i] :
			metric == VECX_METRIC_L1 ? fabs(d) : d * d;
	}
	return sum;
}

static inline double
norm2_of(const float *x, size_t dim)
{
	return -true_distance(VECX_METRIC_IP, x, x, dim);
}

static inline double
correlation(const double *a, const double *b, size_t n)
{
	double		ma = 0.0;
	double		mb = 0.0;
	double		aa = 0.0;
	double		bb = 0.0;
	double		ab = 0.0;

	for (size_t i = 0; i < n; i++)
	{
		ma += a[i] / (double) n;
		mb += b[i] / (double) n;
	}
	for (size_t i = 0; i < n; i++)
	{
		aa += (a[i] - ma) * (a[i] - ma);
		bb += (b[i] - mb) * (b[i] - mb);
		ab += (a[i] - ma) * (b[i] - mb);
	}
	return ab / sqrt(aa * bb);
}

static inline uint8_t *
make_bits(size_t nrows, uint32_t dim)
{
	size_t		row_bytes = (dim + 7) / 8;
	uint8_t    *rows = get(nrows * row_bytes);

	memset(rows, 0, nrows * row_bytes);
	for (size_t r = 0; r < nrows; r++)
		for (uint32_t i = 0; i < dim; i++)
		{
			/* Positions differ in entropy, rows in density. */
			double		p = (0.02 + 0.48 * (double) ((i * 37) % dim) / dim) * (0.5 + (double) (r % 5) / 5.0);

			if (random_unit() < p)
				rows[r * row_bytes + i / 8] |= (uint8_t) (0x80u >> i % 8);
		}
	return rows;
}

static inline double
bit_distance(VecxMetric metric, const uint8_t *a, const uint8_t *b, uint32_t dim)
{
	int			both = 0;
	int			either = 0;

	for (uint32_t i = 0; i < dim; i++)
	{
		int			x = a[i / 8] >> (7 - i % 8) & 1;
		int			y = b[i / 8] >> (7 - i % 8) & 1;

		both += x & y;
		either += x | y;
	}
	if (metric == VECX_METRIC_HAMMING)
		return either - both;
	return either == 0 ? 1.0 : 1.0 - (double) both / either;
}

#endif							/* VECX_UNIT_CODE_H */

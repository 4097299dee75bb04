/*
 * code_pq_judge.c
 *    How good a trained code is on its sample: how far estimates are off, and
 *    what share of the nearest rows they find.
 *
 * Estimates are those of code_list.h, but for the rounding of a query's tables.
 */
#include "code_pq_train.h"

#include <stdlib.h>

#define JUDGED_ROWS		1024
#define JUDGED_QUERIES	64
#define NEAREST			10

typedef struct Judged
{
	const VecxListCode *code;
	const VecxListSample *sample;
	size_t		nrows;
	size_t		nqueries;
	float	   *mean;			/* [dim], in place of centres */
	float	   *coded;			/* [nrows][pdims]: what the codes stand for */
	float	   *add;			/* [nrows], as the next two */
	float	   *rescale;
	float	   *sigma;
	float	   *query_y;		/* [proj_floats] */
	float	   *estimates;		/* [nrows], of one query, as the next two */
	float	   *sigmas;
	float	   *distances;
} Judged;

static size_t
row_number(const Judged *j, size_t i)
{
	return i * j->sample->nrows / j->nrows;
}

static const float *
row_of(const Judged *j, size_t i)
{
	return j->sample->rows + row_number(j, i) * j->code->dim;
}

static const float *
centre_of_row(const Judged *j, size_t i)
{
	if (j->sample->centres == NULL)
		return j->mean;
	return j->sample->centres +
		(size_t) j->sample->centre_of[row_number(j, i)] * j->code->dim;
}

/* Number of the row that query q is, or that of none. */
static size_t
query_row(const Judged *j, size_t q)
{
	size_t		number = q * j->sample->nrows / j->nqueries;

	if (j->sample->queries != NULL)
		return j->sample->nrows;
	return number / VECX_PQ_HELD_OUT * VECX_PQ_HELD_OUT;
}

static const float *
query_of(const Judged *j, size_t q)
{
	size_t		number = q * j->sample->nqueries / j->nqueries;

	if (j->sample->queries == NULL)
		return j->sample->rows + query_row(j, q) * j->code->dim;
	return j->sample->queries + number / VECX_PQ_HELD_OUT * VECX_PQ_HELD_OUT * j->code->dim;
}

static void
find_mean(const VecxTrainEnv *env, Judged *j)
{
	uint32_t	dim = j->code->dim;
	double	   *sum = vecx_train_alloc(env, dim, sizeof(double));

	memset(sum, 0, dim * sizeof(double));
	for (size_t i = 0; i < j->nrows && j->code->metric != VECX_METRIC_IP; i++)
		for (uint32_t d = 0; d < dim; d++)
			sum[d] += (double) row_of(j, i)[d];
	for (uint32_t d = 0; d < dim; d++)
		j->mean[d] = j->nrows > 0 ? (float) (sum[d] / (double) j->nrows) : 0.0f;
	vecx_train_free(env, sum);
}

static void
encode_rows(const VecxTrainEnv *env, Judged *j)
{
	const VecxListCode *code = j->code;
	uint32_t	entries = 1u << code->bits;
	float	   *y = vecx_train_alloc(env, 2 * code->proj_floats, sizeof(float));
	uint8_t    *codes = vecx_train_alloc(env, code->ncolumns, 1);
	void	   *scratch = vecx_train_alloc(env, vecx_list_scratch(code), 1);
	VecxListEntry entry = {.codes = codes};

	for (size_t i = 0; i < j->nrows; i++)
	{
		VecxListCentre centre = {centre_of_row(j, i), y + code->proj_floats};

		env->poll(env->arg);
		vecx_list_project(code, row_of(j, i), y, scratch);
		vecx_list_project(code, centre.c, y + code->proj_floats, scratch);
		vecx_list_encode(code, &centre, row_of(j, i), y, &entry, scratch);
		j->add[i] = entry.add;
		j->rescale[i] = vecx_bf16_to_float(entry.rescale);
		j->sigma[i] = vecx_bf16_to_float(entry.sigma);
		for (uint32_t c = 0; c < code->ncolumns; c++)
			for (uint32_t d = vecx_pq_first(code, c); d < vecx_pq_first(code, c + 1); d++)
				j->coded[i * code->pdims + d] = code->score_books[(size_t) d * entries + codes[c]];
	}
	vecx_train_free(env, y);
	vecx_train_free(env, codes);
	vecx_train_free(env, scratch);
}

/* Navigation distance of two vectors. */
static float
distance(const VecxListCode *code, const float *a, const float *b)
{
	if (code->metric == VECX_METRIC_IP)
		return -vecx_kernels->ip_f32(a, b, code->dim);
	return vecx_kernels->l2sq_f32(a, b, code->dim);
}

/* Estimates and distances of all rows to a query, itself far away. */
static void
compare_rows(const VecxTrainEnv *env, Judged *j, size_t q)
{
	const VecxListCode *code = j->code;
	const float *x = query_of(j, q);
	const float *y = j->query_y + (code->proj_floats - code->pdims);
	void	   *scratch = vecx_train_alloc(env, vecx_list_scratch(code), 1);
	VecxListQuery query;

	env->poll(env->arg);
	memset(&query, 0, sizeof(query));
	query.norm2 = vecx_finite((double) vecx_kernels->ip_f32(x, x, code->dim));
	vecx_list_project(code, x, j->query_y, scratch);
	vecx_train_free(env, scratch);
	for (size_t i = 0; i < j->nrows; i++)
	{
		const float *c = centre_of_row(j, i);
		VecxListProbe probe;

		vecx_list_probe_init(code, &query, distance(code, x, c),
							 vecx_kernels->ip_f32(c, c, code->dim), &probe);
		j->distances[i] = distance(code, x, row_of(j, i));
		j->estimates[i] = probe.add + probe.scale * j->add[i] +
			j->rescale[i] * vecx_kernels->ip_f32(y, j->coded + i * code->pdims, code->pdims);
		j->sigmas[i] = probe.spread * j->sigma[i];
		if (row_number(j, i) == query_row(j, q))
			j->distances[i] = j->estimates[i] = FLT_MAX;
	}
}

static void
begin(const VecxTrainEnv *env, Judged *j, const VecxListCode *code, const VecxListSample *sample)
{
	size_t		all = sample->queries != NULL ? sample->nqueries : sample->nrows;

	memset(j, 0, sizeof(*j));
	j->code = code;
	j->sample = sample;
	j->nrows = sample->nrows < JUDGED_ROWS ? sample->nrows : JUDGED_ROWS;
	j->nqueries = all < JUDGED_QUERIES ? all : JUDGED_QUERIES;
	j->mean = vecx_train_alloc(env, code->dim, sizeof(float));
	j->coded = vecx_train_alloc(env, j->nrows * code->pdims, sizeof(float));
	j->add = vecx_train_alloc(env, 6 * j->nrows, sizeof(float));
	j->rescale = j->add + j->nrows;
	j->sigma = j->rescale + j->nrows;
	j->estimates = j->sigma + j->nrows;
	j->sigmas = j->estimates + j->nrows;
	j->distances = j->sigmas + j->nrows;
	j->query_y = vecx_train_alloc(env, code->proj_floats, sizeof(float));
	find_mean(env, j);
	encode_rows(env, j);
}

static void
end(const VecxTrainEnv *env, Judged *j)
{
	vecx_train_free(env, j->mean);
	vecx_train_free(env, j->coded);
	vecx_train_free(env, j->add);
	vecx_train_free(env, j->query_y);
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The distance that at most n of the rows are within, of which work is a copy. */
static float
reach(const float *values, size_t nrows, size_t n, float *work)
{
	memcpy(work, values, nrows * sizeof(float));
	qsort(work, nrows, sizeof(float), compare_floats);
	return work[(n < nrows ? n : nrows) - 1];
}

/*
 * The root of the mean square of estimates' errors in units of their sigma, of
 * the nearest eighth of rows: what sigma has to be multiplied by.
 */
float
vecx_pq_spread(const VecxTrainEnv *env, const VecxListCode *code, const VecxListSample *sample)
{
	Judged		j;
	double		sum = 0.0;
	size_t		n = 0;
	float	   *work;

	begin(env, &j, code, sample);
	work = vecx_train_alloc(env, j.nrows, sizeof(float));
	for (size_t q = 0; q < j.nqueries && j.nrows > 0; q++)
	{
		float		limit;

		compare_rows(env, &j, q);
		limit = reach(j.distances, j.nrows, j.nrows / 8 + 1, work);
		for (size_t i = 0; i < j.nrows; i++)
		{
			double		error = (double) j.estimates[i] - (double) j.distances[i];

			if (j.distances[i] > limit || j.distances[i] == FLT_MAX || !(j.sigmas[i] > 0.0f))
				continue;
			sum += (double) vecx_finite(pow(error / (double) j.sigmas[i], 2.0));
			n++;
		}
	}
	vecx_train_free(env, work);
	end(env, &j);
	return n > 0 && sum > 0.0 ? (float) fmax(0.1, fmin(sqrt(sum / (double) n), 10.0)) : 1.0f;
}

/* Share of the nearest rows of held-out queries among those estimated nearest. */
double
vecx_pq_recall(const VecxTrainEnv *env, const VecxListCode *code, const VecxListSample *sample)
{
	Judged		j;
	size_t		found = 0;
	float	   *work;

	begin(env, &j, code, sample);
	work = vecx_train_alloc(env, j.nrows, sizeof(float));
	for (size_t q = 0; q < j.nqueries && j.nrows > NEAREST; q++)
	{
		float		truth;
		float		guess;

		compare_rows(env, &j, q);
		truth = reach(j.distances, j.nrows, NEAREST, work);
		guess = reach(j.estimates, j.nrows, NEAREST, work);
		for (size_t i = 0; i < j.nrows; i++)
			found += j.distances[i] <= truth && j.estimates[i] <= guess;
	}
	vecx_train_free(env, work);
	end(env, &j);
	return j.nqueries > 0 ? (double) found / (double) (NEAREST * j.nqueries) : 0.0;
}

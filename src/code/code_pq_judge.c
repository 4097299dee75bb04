/*
 * code_pq_judge.c
 *    How good a trained code is on its sample: how far estimates are off, and
 *    how well they rank the nearest rows.
 *
 * Estimates are those of code_list.h, but for the rounding of a query's tables.
 */
#include "code_pq_train.h"

#include <stdlib.h>

#define JUDGED_ROWS		8192
#define JUDGED_QUERIES	64
#define NEAREST			10
#define LEAST_SPREAD	0.5f	/* of independent errors: what is measured is rough */
#define BATCH			64		/* rows projected at once, and compared, while caches have them */

struct VecxPqJudge
{
	const VecxTrainEnv *env;
	const VecxListCode *code;
	const VecxListSample *sample;
	size_t		nrows;
	size_t		nqueries;
	float	   *mean;			/* [dim], in place of centres */
	float	   *coded;			/* [nrows][pdims]: what the codes stand for */
	VecxListShape *shapes;		/* [nrows] */
	size_t		ncentres;		/* that rows have */
	const float **centres;		/* [ncentres] */
	uint32_t   *centre_of;		/* [nrows]: which of these */
	float	   *centre_y;		/* [ncentres][proj_floats] */
	float	   *centre_norms;	/* [ncentres]: |c|^2 */
	float	   *query_y;		/* [nqueries][proj_floats] */
	float	   *products;		/* [nqueries][nrows]: with what codes stand for */
	size_t	   *own;			/* [nqueries]: the row that the query is, or nrows */
	size_t	   *nnearest;		/* [nqueries] */
	uint32_t   *nearest;		/* [nqueries][NEAREST] rows, the nearest first */
	float	   *distances;		/* [nqueries][NEAREST]: their own */
	float	   *to_centres;		/* [nqueries][ncentres] */
	float	   *norms;			/* [nqueries] */
	float	   *estimates;		/* [nrows], of one query, as the next */
	float	   *sigmas;
};

static const float *
row_of(const VecxPqJudge *j, size_t i)
{
	return j->sample->rows + vecx_pq_row_number(j->sample, j->nrows, i) * j->code->dim;
}

/* Number of the row that query q is, or that of none. */
static size_t
query_row(const VecxPqJudge *j, size_t q)
{
	size_t		number = q * j->sample->nrows / j->nqueries;

	if (j->sample->queries != NULL)
		return j->sample->nrows;
	return number / VECX_PQ_HELD_OUT * VECX_PQ_HELD_OUT;
}

static const float *
query_of(const VecxPqJudge *j, size_t q)
{
	size_t		number = q * j->sample->nqueries / j->nqueries;

	if (j->sample->queries == NULL)
		return j->sample->rows + query_row(j, q) * j->code->dim;
	return j->sample->queries + number / VECX_PQ_HELD_OUT * VECX_PQ_HELD_OUT * j->code->dim;
}

/* The centres that rows have, each once. */
static void
note_centres(VecxPqJudge *j)
{
	const VecxListSample *sample = j->sample;
	uint32_t   *place;			/* [centre of the sample]: which of these */
	uint32_t	last = 0;

	j->centres = vecx_train_alloc(j->env, j->nrows + 1, sizeof(float *));
	j->centre_of = vecx_train_alloc(j->env, j->nrows, sizeof(uint32_t));
	memset(j->centre_of, 0, j->nrows * sizeof(uint32_t));
	if (sample->centres == NULL)
	{
		j->centres[j->ncentres++] = j->mean;
		return;
	}
	for (size_t i = 0; i < j->nrows; i++)
	{
		uint32_t	number = sample->centre_of[vecx_pq_row_number(sample, j->nrows, i)];

		last = number > last ? number : last;
	}
	place = vecx_train_alloc(j->env, (size_t) last + 1, sizeof(uint32_t));
	memset(place, 0xFF, ((size_t) last + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < j->nrows; i++)
	{
		uint32_t	number = sample->centre_of[vecx_pq_row_number(sample, j->nrows, i)];

		if (place[number] == UINT32_MAX)
		{
			place[number] = (uint32_t) j->ncentres;
			j->centres[j->ncentres++] = sample->centres + (size_t) number * j->code->dim;
		}
		j->centre_of[i] = place[number];
	}
	vecx_train_free(j->env, place);
}

static void
project_centres(VecxPqJudge *j, void *scratch)
{
	const VecxListCode *code = j->code;

	j->centre_y = vecx_train_alloc(j->env, j->ncentres * code->proj_floats, sizeof(float));
	j->centre_norms = vecx_train_alloc(j->env, j->ncentres, sizeof(float));
	for (size_t c = 0; c < j->ncentres; c++)
	{
		if (c % BATCH == 0)
			j->env->poll(j->env->arg);
		vecx_list_project(code, j->centres[c], j->centre_y + c * code->proj_floats, scratch);
		j->centre_norms[c] = vecx_finite((double) vecx_kernels->ip_f32(j->centres[c], j->centres[c], code->dim));
	}
}

/* Codes a row that was projected; residual and codes are work. */
static void
encode_row(VecxPqJudge *j, size_t i, const float *y, float *residual, uint8_t *codes)
{
	const VecxListCode *code = j->code;
	uint32_t	c = j->centre_of[i];
	VecxListCentre centre = {j->centres[c], j->centre_y + c * (size_t) code->proj_floats};

	for (uint32_t d = 0; d < code->pdims; d++)
		residual[d] = y[d] - centre.y[d];
	vecx_pq_assign(code, residual, y, codes);
	vecx_list_pq_shape(code, &centre, row_of(j, i), y, codes, j->coded + i * code->pdims, &j->shapes[i]);
}

static void
encode_rows(VecxPqJudge *j, void *scratch)
{
	const VecxListCode *code = j->code;
	float	   *x = vecx_train_alloc(j->env, BATCH * (size_t) code->dim, sizeof(float));
	float	   *y = vecx_train_alloc(j->env, (BATCH + 1) * (size_t) code->proj_floats, sizeof(float));
	float	   *residual = y + BATCH * (size_t) code->proj_floats;
	uint8_t    *codes = vecx_train_alloc(j->env, code->ncolumns, 1);

	for (size_t first = 0; first < j->nrows; first += BATCH)
	{
		size_t		count = j->nrows - first < BATCH ? j->nrows - first : BATCH;

		j->env->poll(j->env->arg);
		for (size_t i = 0; i < count; i++)
			memcpy(x + i * code->dim, row_of(j, first + i), code->dim * sizeof(float));
		vecx_list_project_many(code, x, count, y, scratch);
		for (size_t i = 0; i < count; i++)
			encode_row(j, first + i, y + i * code->proj_floats, residual, codes);
	}
	vecx_train_free(j->env, x);
	vecx_train_free(j->env, y);
	vecx_train_free(j->env, codes);
}

/* Navigation distance of two vectors. */
static float
distance(const VecxListCode *code, const float *a, const float *b)
{
	if (code->metric == VECX_METRIC_IP)
		return -vecx_kernels->ip_f32(a, b, code->dim);
	return vecx_kernels->l2sq_f32(a, b, code->dim);
}

/* The queries' projections, and what estimates need of them besides. */
static void
project_queries(VecxPqJudge *j, void *scratch)
{
	const VecxListCode *code = j->code;

	for (size_t q = 0; q < j->nqueries; q++)
	{
		const float *x = query_of(j, q);

		j->env->poll(j->env->arg);
		vecx_list_project(code, x, j->query_y + q * code->proj_floats, scratch);
		j->norms[q] = vecx_finite((double) vecx_kernels->ip_f32(x, x, code->dim));
		for (size_t c = 0; c < j->ncentres; c++)
			j->to_centres[q * j->ncentres + c] = distance(code, x, j->centres[c]);
	}
}

/* Products of the queries with what codes stand for: they are judged by them, so no rough ones. */
static void
compare_codes(VecxPqJudge *j)
{
	const VecxListCode *code = j->code;

	for (size_t first = 0; first < j->nrows; first += BATCH)
	{
		size_t		end = j->nrows - first < BATCH ? j->nrows : first + BATCH;

		j->env->poll(j->env->arg);
		for (size_t q = 0; q < j->nqueries; q++)
			for (size_t i = first; i < end; i++)
				j->products[q * j->nrows + i] =
					vecx_kernels->ip_f32(j->query_y + (q + 1) * code->proj_floats - code->pdims,
										 j->coded + i * code->pdims, code->pdims);
	}
}

/* The row that a query is, or the number of rows. */
static size_t
own_row(const VecxPqJudge *j, size_t q)
{
	for (size_t i = 0; i < j->nrows; i++)
		if (vecx_pq_row_number(j->sample, j->nrows, i) == query_row(j, q))
			return i;
	return j->nrows;
}

/* The nearest rows of each query, but for itself. */
static void
find_nearest(VecxPqJudge *j)
{
	const VecxListCode *code = j->code;
	const float **queries = vecx_train_alloc(j->env, j->nqueries + j->nrows, sizeof(float *));
	const float **rows = queries + j->nqueries;
	VecxPairs	pairs = {code->metric, code->dim, j->nqueries, j->nrows, queries, rows, NULL};

	for (size_t q = 0; q < j->nqueries; q++)
		queries[q] = query_of(j, q);
	for (size_t i = 0; i < j->nrows; i++)
		rows[i] = row_of(j, i);
	vecx_pairs_init(&pairs, j->env);
	for (size_t q = 0; q < j->nqueries; q++)
	{
		j->own[q] = own_row(j, q);
		j->nnearest[q] = vecx_pairs_nearest(&pairs, q, j->own[q], j->own[q], NEAREST,
											j->nearest + q * NEAREST, j->distances + q * NEAREST);
	}
	vecx_pairs_free(&pairs, j->env);
	vecx_train_free(j->env, queries);
}

/* Encodes rows by the code, whose estimate and spread may change later on. */
VecxPqJudge *
vecx_pq_judge(const VecxTrainEnv *env, const VecxListCode *code, const VecxListSample *sample)
{
	VecxPqJudge *j = vecx_train_alloc(env, 1, sizeof(VecxPqJudge));
	size_t		all = sample->queries != NULL ? sample->nqueries : sample->nrows;
	void	   *scratch = vecx_train_alloc(env, vecx_list_scratch(code, BATCH), 1);

	memset(j, 0, sizeof(*j));
	j->env = env;
	j->code = code;
	j->sample = sample;
	j->nrows = sample->nrows < JUDGED_ROWS ? sample->nrows : JUDGED_ROWS;
	j->nqueries = all < JUDGED_QUERIES ? all : JUDGED_QUERIES;
	j->mean = vecx_train_alloc(env, code->dim, sizeof(float));
	j->coded = vecx_train_alloc(env, j->nrows * code->pdims, sizeof(float));
	j->shapes = vecx_train_alloc(env, j->nrows, sizeof(VecxListShape));
	j->query_y = vecx_train_alloc(env, j->nqueries * code->proj_floats, sizeof(float));
	j->products = vecx_train_alloc(env, j->nqueries * j->nrows, sizeof(float));
	j->own = vecx_train_alloc(env, 2 * j->nqueries, sizeof(size_t));
	j->nnearest = j->own + j->nqueries;
	j->nearest = vecx_train_alloc(env, j->nqueries * NEAREST, sizeof(uint32_t));
	j->distances = vecx_train_alloc(env, j->nqueries * NEAREST, sizeof(float));
	j->norms = vecx_train_alloc(env, j->nqueries, sizeof(float));
	j->estimates = vecx_train_alloc(env, 2 * j->nrows, sizeof(float));
	j->sigmas = j->estimates + j->nrows;
	if (sample->centres == NULL)
		vecx_pq_find_mean(env, code, sample, j->nrows, j->mean);
	note_centres(j);
	project_centres(j, scratch);
	j->to_centres = vecx_train_alloc(env, j->nqueries * j->ncentres, sizeof(float));
	encode_rows(j, scratch);
	project_queries(j, scratch);
	compare_codes(j);
	find_nearest(j);
	vecx_train_free(env, scratch);
	return j;
}

void
vecx_pq_judge_end(VecxPqJudge *j)
{
	const VecxTrainEnv *env = j->env;

	vecx_train_free(env, j->mean);
	vecx_train_free(env, j->coded);
	vecx_train_free(env, j->shapes);
	vecx_train_free(env, j->centres);
	vecx_train_free(env, j->centre_of);
	vecx_train_free(env, j->centre_y);
	vecx_train_free(env, j->centre_norms);
	vecx_train_free(env, j->to_centres);
	vecx_train_free(env, j->query_y);
	vecx_train_free(env, j->products);
	vecx_train_free(env, j->own);
	vecx_train_free(env, j->nearest);
	vecx_train_free(env, j->distances);
	vecx_train_free(env, j->norms);
	vecx_train_free(env, j->estimates);
	vecx_train_free(env, j);
}

/* Estimates of all rows for a query, itself far away. */
static void
estimate_rows(VecxPqJudge *j, size_t q)
{
	size_t		at = q * j->nrows;
	VecxListQuery query = {.norm2 = j->norms[q], .spread = 1.0f};

	j->env->poll(j->env->arg);
	for (size_t i = 0; i < j->nrows; i++, at++)
	{
		VecxListProbe probe;
		VecxListTerms terms;
		uint32_t	c = j->centre_of[i];

		vecx_list_probe_init(j->code, &query, j->to_centres[q * j->ncentres + c], j->centre_norms[c], &probe);
		vecx_list_terms(j->code, &j->shapes[i], &terms);
		j->estimates[i] = vecx_finite((double) probe.add + (double) probe.scale * terms.add +
									  terms.rescale * (double) j->products[at]);
		j->sigmas[i] = vecx_finite((double) probe.spread * terms.sigma);
	}
	if (j->own[q] < j->nrows)
		j->estimates[j->own[q]] = FLT_MAX;
}

/*
 * Sets the code's spread so that VECX_LIST_SIGMAS are as much as a normal
 * distribution says: the estimates of all but one in forty of the nearest rows are not
 * farther above the truth.
 */
void
vecx_pq_judge_spread(VecxPqJudge *j, VecxListCode *code)
{
	float	   *excess = vecx_train_alloc(j->env, NEAREST * j->nqueries + 1, sizeof(float));
	bool		stretched = code->estimate == VECX_LIST_STRETCHED;
	size_t		n = 0;

	code->spread = 1.0f;
	for (size_t q = 0; q < j->nqueries; q++)
	{
		const uint32_t *nearest = j->nearest + q * NEAREST;

		estimate_rows(j, q);
		for (size_t i = 0; i < j->nnearest[q]; i++)
			if (j->sigmas[nearest[i]] > 0.0f)
				excess[n++] = (j->estimates[nearest[i]] - j->distances[q * NEAREST + i]) / j->sigmas[nearest[i]];
	}
	qsort(excess, n, sizeof(float), vecx_compare_floats);
	/* that of a stretched estimate has no unit, the others' that of a squared distance */
	if (n > 0)
		code->spread = fminf(excess[n - 1 - n / VECX_LIST_MISSED] / VECX_LIST_SIGMAS, stretched ? 1e6f : 1e36f);
	code->spread = fmaxf(code->spread, stretched ? LEAST_SPREAD : FLT_MIN);
	vecx_train_free(j->env, excess);
}

/* How many rows have to be looked at to find the nearest of held-out queries: those
 * whose bounds are not beyond them.  The mean logarithm. */
double
vecx_pq_judge_depth(VecxPqJudge *j)
{
	double		sum = 0.0;

	for (size_t q = 0; q < j->nqueries; q++)
	{
		size_t		count = j->nnearest[q];
		size_t		rows = 1;

		if (count == 0)
			continue;
		estimate_rows(j, q);
		for (size_t i = 0; i < j->nrows; i++)
			rows += j->estimates[i] - VECX_LIST_SIGMAS * j->sigmas[i] <=
				j->distances[q * NEAREST + count - 1];
		sum += log((double) rows);
	}
	return j->nqueries > 0 ? sum / (double) j->nqueries : 0.0;
}

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
#define MISSED			40		/* one of so many may be nearer than its bound */
#define LEAST_SPREAD	0.5f	/* of independent errors: what is measured is rough */
#define BATCH			8		/* rows projected at once */

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
	float	   *centre_norms;	/* [nrows]: |c|^2 */
	float	   *query_y;		/* [proj_floats] */
	float	   *products;		/* [nqueries][nrows]: with what codes stand for */
	float	   *distances;		/* [nqueries][nrows]: of rows; FLT_MAX: the query itself */
	float	   *to_centres;		/* [nqueries][nrows]: of rows' centres */
	float	   *norms;			/* [nqueries] */
	float	   *estimates;		/* [nrows], of one query, as the next */
	float	   *sigmas;
};

static size_t
row_number(const VecxPqJudge *j, size_t i)
{
	return i * j->sample->nrows / j->nrows;
}

static const float *
row_of(const VecxPqJudge *j, size_t i)
{
	return j->sample->rows + row_number(j, i) * j->code->dim;
}

static const float *
centre_of_row(const VecxPqJudge *j, size_t i)
{
	if (j->sample->centres == NULL)
		return j->mean;
	return j->sample->centres +
		(size_t) j->sample->centre_of[row_number(j, i)] * j->code->dim;
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

static void
find_mean(VecxPqJudge *j)
{
	uint32_t	dim = j->code->dim;
	double	   *sum = vecx_train_alloc(j->env, dim, sizeof(double));

	memset(sum, 0, dim * sizeof(double));
	for (size_t i = 0; i < j->nrows && j->code->metric != VECX_METRIC_IP; i++)
	{
		if (i % 64 == 0)
			j->env->poll(j->env->arg);
		for (uint32_t d = 0; d < dim; d++)
			sum[d] += (double) row_of(j, i)[d];
	}
	for (uint32_t d = 0; d < dim; d++)
		j->mean[d] = j->nrows > 0 ? (float) (sum[d] / (double) j->nrows) : 0.0f;
	vecx_train_free(j->env, sum);
}

/* Projects count rows from first on, and their centres, and codes them. */
static void
encode_batch(VecxPqJudge *j, size_t first, size_t count, float *x, float *y, uint8_t *codes,
			 void *scratch)
{
	const VecxListCode *code = j->code;
	size_t		dim = code->dim;
	float	   *residual = y + 2 * count * code->proj_floats;

	for (size_t i = 0; i < count; i++)
	{
		memcpy(x + i * dim, row_of(j, first + i), dim * sizeof(float));
		memcpy(x + (count + i) * dim, centre_of_row(j, first + i), dim * sizeof(float));
	}
	vecx_list_project_many(code, x, 2 * count, y, scratch);
	for (size_t i = 0; i < count; i++)
	{
		const float *row_y = y + i * code->proj_floats;
		VecxListCentre centre = {x + (count + i) * dim, y + (count + i) * code->proj_floats};

		j->centre_norms[first + i] = vecx_finite((double) vecx_kernels->ip_f32(centre.c, centre.c, code->dim));
		for (uint32_t d = 0; d < code->pdims; d++)
			residual[d] = row_y[d] - centre.y[d];
		vecx_pq_assign(code, residual, row_y, codes);
		vecx_list_pq_shape(code, &centre, x + i * dim, row_y, codes,
						   j->coded + (first + i) * code->pdims, &j->shapes[first + i]);
	}
}

static void
encode_rows(VecxPqJudge *j)
{
	const VecxListCode *code = j->code;
	float	   *x = vecx_train_alloc(j->env, 2 * BATCH * (size_t) code->dim, sizeof(float));
	float	   *y = vecx_train_alloc(j->env, (2 * BATCH + 1) * (size_t) code->proj_floats,
									 sizeof(float));
	uint8_t    *codes = vecx_train_alloc(j->env, code->ncolumns, 1);
	void	   *scratch = vecx_train_alloc(j->env, vecx_list_scratch(code), 1);

	for (size_t i = 0; i < j->nrows; i += BATCH)
	{
		j->env->poll(j->env->arg);
		encode_batch(j, i, j->nrows - i < BATCH ? j->nrows - i : BATCH, x, y, codes, scratch);
	}
	vecx_train_free(j->env, x);
	vecx_train_free(j->env, y);
	vecx_train_free(j->env, codes);
	vecx_train_free(j->env, scratch);
}

/* Navigation distance of two vectors. */
static float
distance(const VecxListCode *code, const float *a, const float *b)
{
	if (code->metric == VECX_METRIC_IP)
		return -vecx_kernels->ip_f32(a, b, code->dim);
	return vecx_kernels->l2sq_f32(a, b, code->dim);
}

/* What estimates of a query are made of. */
static void
compare_rows(VecxPqJudge *j, size_t q, void *scratch)
{
	const VecxListCode *code = j->code;
	const float *x = query_of(j, q);
	const float *y = j->query_y + (code->proj_floats - code->pdims);
	size_t		at = q * j->nrows;

	j->env->poll(j->env->arg);
	vecx_list_project(code, x, j->query_y, scratch);
	j->norms[q] = vecx_finite((double) vecx_kernels->ip_f32(x, x, code->dim));
	for (size_t i = 0; i < j->nrows; i++, at++)
	{
		j->products[at] = vecx_kernels->ip_f32(y, j->coded + i * code->pdims, code->pdims);
		j->to_centres[at] = distance(code, x, centre_of_row(j, i));
		j->distances[at] = row_number(j, i) == query_row(j, q) ? FLT_MAX : distance(code, x, row_of(j, i));
	}
}

/* Encodes rows by the code, whose estimate and spread may change later on. */
VecxPqJudge *
vecx_pq_judge(const VecxTrainEnv *env, const VecxListCode *code, const VecxListSample *sample)
{
	VecxPqJudge *j = vecx_train_alloc(env, 1, sizeof(VecxPqJudge));
	size_t		all = sample->queries != NULL ? sample->nqueries : sample->nrows;
	size_t		pairs;
	void	   *scratch = vecx_train_alloc(env, vecx_list_scratch(code), 1);

	memset(j, 0, sizeof(*j));
	j->env = env;
	j->code = code;
	j->sample = sample;
	j->nrows = sample->nrows < JUDGED_ROWS ? sample->nrows : JUDGED_ROWS;
	j->nqueries = all < JUDGED_QUERIES ? all : JUDGED_QUERIES;
	pairs = j->nrows * j->nqueries;
	j->mean = vecx_train_alloc(env, code->dim, sizeof(float));
	j->coded = vecx_train_alloc(env, j->nrows * code->pdims, sizeof(float));
	j->shapes = vecx_train_alloc(env, j->nrows, sizeof(VecxListShape));
	j->centre_norms = vecx_train_alloc(env, j->nrows, sizeof(float));
	j->query_y = vecx_train_alloc(env, code->proj_floats, sizeof(float));
	j->products = vecx_train_alloc(env, 3 * pairs, sizeof(float));
	j->distances = j->products + pairs;
	j->to_centres = j->distances + pairs;
	j->norms = vecx_train_alloc(env, j->nqueries, sizeof(float));
	j->estimates = vecx_train_alloc(env, 2 * j->nrows, sizeof(float));
	j->sigmas = j->estimates + j->nrows;
	find_mean(j);
	encode_rows(j);
	for (size_t q = 0; q < j->nqueries; q++)
		compare_rows(j, q, scratch);
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
	vecx_train_free(env, j->centre_norms);
	vecx_train_free(env, j->query_y);
	vecx_train_free(env, j->products);
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

		vecx_list_probe_init(j->code, &query, j->to_centres[at], j->centre_norms[i], &probe);
		vecx_list_terms(j->code, &j->shapes[i], &terms);
		j->estimates[i] = j->distances[at] == FLT_MAX ? FLT_MAX :
			vecx_finite((double) probe.add + (double) probe.scale * terms.add +
						terms.rescale * (double) j->products[at]);
		j->sigmas[i] = vecx_finite((double) probe.spread * terms.sigma);
	}
}

/* The nearest rows of a query: returns how many, NEAREST at most. */
static size_t
find_nearest(const VecxPqJudge *j, size_t q, size_t *nearest)
{
	const float *distances = j->distances + q * j->nrows;
	size_t		n = 0;

	for (size_t i = 0; i < j->nrows; i++)
	{
		size_t		at = n < NEAREST ? n : NEAREST;

		if (distances[i] == FLT_MAX || (n == NEAREST && !(distances[i] < distances[nearest[n - 1]])))
			continue;
		for (; at > 0 && distances[nearest[at - 1]] > distances[i]; at--)
			if (at < NEAREST)
				nearest[at] = nearest[at - 1];
		nearest[at] = i;
		n += n < NEAREST;
	}
	return n;
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
	size_t		n = 0;

	code->spread = 1.0f;
	for (size_t q = 0; q < j->nqueries; q++)
	{
		size_t		nearest[NEAREST];
		size_t		count = find_nearest(j, q, nearest);

		estimate_rows(j, q);
		for (size_t i = 0; i < count; i++)
			if (j->sigmas[nearest[i]] > 0.0f)
				excess[n++] = (j->estimates[nearest[i]] - j->distances[q * j->nrows + nearest[i]]) /
					j->sigmas[nearest[i]];
	}
	qsort(excess, n, sizeof(float), vecx_compare_floats);
	if (n > 0)
		code->spread = fminf(excess[n - 1 - n / MISSED] / VECX_LIST_SIGMAS, 1e6f);
	code->spread = fmaxf(code->spread, code->estimate == VECX_LIST_STRETCHED ? LEAST_SPREAD : 1e-6f);
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
		size_t		nearest[NEAREST];
		size_t		count = find_nearest(j, q, nearest);
		size_t		rows = 1;

		if (count == 0)
			continue;
		estimate_rows(j, q);
		for (size_t i = 0; i < j->nrows; i++)
			rows += j->estimates[i] - VECX_LIST_SIGMAS * j->sigmas[i] <=
				j->distances[q * j->nrows + nearest[count - 1]];
		sum += log((double) rows);
	}
	return j->nqueries > 0 ? sum / (double) j->nqueries : 0.0;
}

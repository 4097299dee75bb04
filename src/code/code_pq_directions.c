/*
 * code_pq_directions.c
 *    The projection that product quantisation begins with: principal directions of
 *    what is to be coded, by subspace iteration, dealt out to the columns so that each
 *    gets about the same product of variances (Ge, He, Ke and Sun 2013, 4.1).
 */
#include "code_pq_train.h"

#define PQ_DIRECTION_ROUNDS	3

/* m[h][h] += rows^T rows */
static void
add_gram(VecxPqTrainer *t, const float *rows, size_t n, float *turned, float *product,
		 uint16_t *half, float *m)
{
	size_t		h = t->code->hdim;

	vecx_train_transpose(rows, n, h, turned);
	vecx_train_gemm_coarse(t->env, h, h, n, turned, turned, product, half);
	for (size_t i = 0; i < h * h; i++)
		m[i] += product[i];
}

/* [h][h], of mean squared length 1 */
static float *
covariance(VecxPqTrainer *t)
{
	size_t		h = t->code->hdim;
	float	   *m = vecx_train_alloc(t->env, h * h, sizeof(float));
	float	   *product = vecx_train_alloc(t->env, h * h, sizeof(float));
	float	   *rows = vecx_train_alloc(t->env, PQ_BATCH * h, sizeof(float));
	float	   *turned = vecx_train_alloc(t->env, PQ_BATCH * h, sizeof(float));
	uint16_t   *half = vecx_train_alloc(t->env, PQ_BATCH * h, sizeof(uint16_t));

	memset(m, 0, h * h * sizeof(float));
	for (size_t i = 0; i < t->nrows; i += PQ_BATCH)
	{
		size_t		n = t->nrows - i < PQ_BATCH ? t->nrows - i : PQ_BATCH;

		vecx_pq_rows(t, VECX_PQ_RESIDUALS, i, n, rows);
		add_gram(t, rows, n, turned, product, half, m);
	}
	for (size_t i = 0; i < h * h; i++)
		m[i] /= (float) (t->nrows > 0 ? t->nrows : 1);
	vecx_train_free(t->env, product);
	vecx_train_free(t->env, rows);
	vecx_train_free(t->env, turned);
	vecx_train_free(t->env, half);
	return m;
}

/*
 * order[i] is which direction element i of the projection is to be: the widest
 * first, each to the column with the smallest product of variances so far.
 */
static void
deal_directions(VecxPqTrainer *t, const float *variances, uint32_t *order)
{
	const VecxListCode *code = t->code;
	double	   *logs = vecx_train_alloc(t->env, code->ncolumns, sizeof(double));
	uint32_t   *used = vecx_train_alloc(t->env, code->ncolumns, sizeof(uint32_t));
	double		least = (double) FLT_MAX;

	for (uint32_t i = 0; i < code->pdims; i++)
		least = fmin(least, fmax((double) variances[i], 1e-12));
	memset(logs, 0, code->ncolumns * sizeof(double));
	memset(used, 0, code->ncolumns * sizeof(uint32_t));
	for (uint32_t i = 0; i < code->pdims; i++)
	{
		uint32_t	best = code->ncolumns;

		for (uint32_t c = 0; c < code->ncolumns; c++)
			if (vecx_pq_first(code, c) + used[c] < vecx_pq_first(code, c + 1) &&
				(best == code->ncolumns || logs[c] < logs[best]))
				best = c;
		order[vecx_pq_first(code, best) + used[best]++] = i;
		logs[best] += log(fmax((double) variances[i], 1e-12) / least) + 1e-9;
	}
	vecx_train_free(t->env, logs);
	vecx_train_free(t->env, used);
}

void
vecx_pq_find_directions(VecxPqTrainer *t)
{
	const VecxTrainEnv *env = t->env;
	size_t		h = t->code->hdim;
	size_t		p = t->code->pdims;
	float	   *m = covariance(t);
	float	   *dirs = vecx_train_alloc(env, p * h, sizeof(float));
	float	   *product = vecx_train_alloc(env, p * h, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, h * h, sizeof(uint16_t));
	float	   *variances = vecx_train_alloc(env, p, sizeof(float));
	uint32_t   *order = vecx_train_alloc(env, p, sizeof(uint32_t));

	for (size_t i = 0; i < p * h; i++)
		dirs[i] = vecx_random_signed(&t->rng);
	for (int round = 0; round < PQ_DIRECTION_ROUNDS; round++)
	{
		vecx_train_gemm_coarse(env, p, h, h, dirs, m, product, half);
		memcpy(dirs, product, p * h * sizeof(float));
		vecx_train_orthonormalise(env, &t->rng, dirs, p, h);
	}
	vecx_train_gemm(env, p, h, h, dirs, m, product, half);
	for (size_t i = 0; i < p; i++)
		variances[i] = vecx_kernels->ip_f32(dirs + i * h, product + i * h, h);
	deal_directions(t, variances, order);
	for (size_t i = 0; i < p; i++)
		memcpy(t->matrix + i * h, dirs + order[i] * h, h * sizeof(float));
	vecx_train_free(env, m);
	vecx_train_free(env, dirs);
	vecx_train_free(env, product);
	vecx_train_free(env, half);
	vecx_train_free(env, variances);
	vecx_train_free(env, order);
}

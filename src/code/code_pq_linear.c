/*
 * code_pq_linear.c
 *    The two decompositions that training needs, by iterations of products
 *    alone: the orthogonal factor of a matrix, and the root of a symmetric one.
 */
#include "code_pq_train.h"

/* Steps that lift small singular values, and steps that settle all at 1. */
#define POLAR_LIFTS		6
#define POLAR_SETTLES	3
#define ROOT_STEPS		16

/* z = factor * z + h z, h symmetric; turned and half are work of n * n. */
static void
multiply_add(const VecxTrainEnv *env, float *z, float factor, const float *h, size_t n,
			 float *turned, float *product, uint16_t *half)
{
	vecx_train_transpose(z, n, n, turned);
	vecx_train_gemm(env, n, n, n, h, turned, product, half);
	for (size_t i = 0; i < n * n; i++)
		z[i] = factor * z[i] + product[i];
}

/*
 * Replaces m by the orthogonal matrix U V^T of its singular value decomposition
 * U S V^T, which is the nearest, by a Newton-Schulz iteration.  Its first steps
 * are of fifth degree, with coefficients (Jordan 2024) that multiply small
 * singular values by 3.4 and leave large ones between .7 and 1.2.  What is too
 * small for that, or lost in half precision, is decided by the final
 * orthonormalisation.
 */
void
vecx_polar(const VecxTrainEnv *env, uint64_t *rng, float *m, size_t n)
{
	float	   *gram = vecx_train_alloc(env, n * n, sizeof(float));
	float	   *turned = vecx_train_alloc(env, n * n, sizeof(float));
	float	   *product = vecx_train_alloc(env, n * n, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, n * n, sizeof(uint16_t));
	float		norm = sqrtf(vecx_kernels->ip_f32(m, m, n * n));

	for (size_t i = 0; i < n * n && norm > 0.0f; i++)
		m[i] /= norm;
	for (int step = 0; step < POLAR_LIFTS + POLAR_SETTLES; step++)
	{
		vecx_train_gemm(env, n, n, n, m, m, gram, half);
		if (step < POLAR_LIFTS)
		{
			vecx_train_gemm(env, n, n, n, gram, gram, product, half);
			for (size_t i = 0; i < n * n; i++)
				gram[i] = -4.7750f * gram[i] + 2.0315f * product[i];
			multiply_add(env, m, 3.4445f, gram, n, turned, product, half);
		}
		else
		{
			for (size_t i = 0; i < n * n; i++)
				gram[i] *= -0.5f;
			multiply_add(env, m, 1.5f, gram, n, turned, product, half);
		}
	}
	vecx_train_orthonormalise(env, rng, m, n, n);
	vecx_train_free(env, gram);
	vecx_train_free(env, turned);
	vecx_train_free(env, product);
	vecx_train_free(env, half);
}

/*
 * c = a b, b symmetric, to float's precision although products pass through half
 * precision: of b, what a first half leaves goes through a second.
 */
static void
multiply_fully(const VecxTrainEnv *env, const float *a, const float *b, size_t n, float *rest,
			   float *c, float *more, uint16_t *half)
{
	vecx_train_gemm_fine(env, n, n, n, a, b, c, half);
	vecx_kernels->f32_to_f16(b, half, n * n);
	vecx_kernels->f16_to_f32(half, rest, n * n);
	for (size_t i = 0; i < n * n; i++)
		rest[i] = b[i] - rest[i];
	vecx_train_gemm_fine(env, n, n, n, a, rest, more, half);
	for (size_t i = 0; i < n * n; i++)
		c[i] += more[i];
}

/* Takes off what rounding made of a symmetric matrix. */
static void
make_symmetric(float *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			m[i * n + j] = m[j * n + i] = (m[i * n + j] + m[j * n + i]) / 2.0f;
}

/* Elements of a root times its inverse may be so far from those of the identity. */
#define ROOT_ERROR	0.01f

/*
 * The symmetric root of m, and its inverse, of a positive definite m: the coupled
 * Newton-Schulz iteration.  False if they are not each other's inverse, because m's
 * eigenvalues are spread too far.
 */
bool
vecx_square_roots(const VecxTrainEnv *env, const float *m, size_t n, float *root, float *inverse)
{
	float	   *both = vecx_train_alloc(env, n * n, sizeof(float));
	float	   *rest = vecx_train_alloc(env, n * n, sizeof(float));
	float	   *more = vecx_train_alloc(env, n * n, sizeof(float));
	float	   *product = vecx_train_alloc(env, n * n, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, n * n, sizeof(uint16_t));
	float		norm = sqrtf(vecx_kernels->ip_f32(m, m, n * n));
	float		scale = sqrtf(norm);
	bool		good = true;

	for (size_t i = 0; i < n * n; i++)
	{
		root[i] = norm > 0.0f ? m[i] / norm : 0.0f;
		inverse[i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
	}
	for (int step = 0; step < ROOT_STEPS; step++)
	{
		/* factor (3 - inverse root) / 2 for both; all are symmetric */
		multiply_fully(env, inverse, root, n, rest, both, more, half);
		for (size_t i = 0; i < n * n; i++)
			both[i] = (i % (n + 1) == 0 ? 1.5f : 0.0f) - both[i] / 2.0f;
		make_symmetric(both, n);
		multiply_fully(env, root, both, n, rest, product, more, half);
		memcpy(root, product, n * n * sizeof(float));
		make_symmetric(root, n);
		multiply_fully(env, inverse, both, n, rest, product, more, half);
		memcpy(inverse, product, n * n * sizeof(float));
		make_symmetric(inverse, n);
	}
	multiply_fully(env, inverse, root, n, rest, both, more, half);
	for (size_t i = 0; i < n * n; i++)
	{
		good &= fabsf(both[i] - (i % (n + 1) == 0 ? 1.0f : 0.0f)) <= ROOT_ERROR;
		root[i] *= scale;
		inverse[i] /= scale > 0.0f ? scale : 1.0f;
	}
	vecx_train_free(env, both);
	vecx_train_free(env, rest);
	vecx_train_free(env, more);
	vecx_train_free(env, product);
	vecx_train_free(env, half);
	return good;
}

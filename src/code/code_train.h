/*
 * code_train.h
 *    What code_train.c and code_choose.c share: a training under way.
 */
#ifndef VECX_CODE_TRAIN_H
#define VECX_CODE_TRAIN_H

#include "code_int.h"

typedef struct VecxTrainer
{
	const VecxTrainEnv *env;
	VecxMetric	metric;
	uint32_t	dim;
	uint32_t	hdim;
	uint64_t	seed;
	uint64_t	rng;
	bool		varied;			/* the rows are not all equal */
	bool		tries;			/* bases are tried, not kept */
	size_t		nrows;			/* of the sample, as far as it is used */
	float	   *rows;			/* [nrows][hdim]: H x - mean, scaled */
	float	   *columns;		/* rows transposed, or NULL */
	float	   *mean;			/* [hdim] */
	uint32_t	ndirs;
	uint32_t	nsettled;		/* those found in these very rows */
	float	   *dirs;			/* [ndirs][hdim] principal directions so far */
} VecxTrainer;

extern void *vecx_train_alloc(const VecxTrainEnv *env, size_t nelems, size_t size);
extern void vecx_train_free(const VecxTrainEnv *env, void *ptr);
/* c[m][n] = a[m][k] b[n][k]^T; half is room for n * k.  Of a's elements, beside what half
 * precision leaves of b's, the last 2^-15 count if fine, the last 2^-7 not if coarse. */
extern void vecx_train_gemm_fine(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
								 const float *a, const float *b, float *c, uint16_t *half);
extern void vecx_train_gemm_coarse(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
								   const float *a, const float *b, float *c, uint16_t *half);
extern void vecx_train_gemm(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
							const float *a, const float *b, float *c, uint16_t *half);
/* to[ncols][nrows] */
extern void vecx_train_transpose(const float *from, size_t nrows, size_t ncols, float *to);
/* rows[nrows][n], in place */
extern void vecx_train_orthonormalise(const VecxTrainEnv *env, uint64_t *rng, float *rows,
									  size_t nrows, size_t n);

/* Some vectors and others: code_pairs.c. */
typedef struct VecxPairs
{
	VecxMetric	metric;			/* IP: negative products, else squared distances */
	uint32_t	dim;
	size_t		nqueries;
	size_t		nrows;
	const float *const *queries;	/* [nqueries] */
	const float *const *rows;	/* [nrows] */
	float	   *rough;			/* [nqueries][nrows]: about their distances */
} VecxPairs;

/* Computes what is rough; the rest is set. */
extern void vecx_pairs_init(VecxPairs *pairs, const VecxTrainEnv *env);
extern void vecx_pairs_free(VecxPairs *pairs, const VecxTrainEnv *env);
/*
 * The n (at most 48) rows nearest to a query, nearest first, and their distances; not
 * row one, nor the other.  Returns how many there are.  One that seems farther than 16
 * that are not is left out.
 */
extern size_t vecx_pairs_nearest(const VecxPairs *pairs, size_t query, size_t one, size_t other,
								 size_t n, uint32_t *nearest, float *dists);

/* The serialised basis of ndims directions. */
extern uint8_t *vecx_train_basis(VecxTrainer *t, uint32_t ndims, uint32_t nplanes, size_t *nbytes);

/*
 * Chooses dimensions and bits by trying them on the even rows of the sample
 * (code_choose.c); t must be trained on others.  sketch_bytes > 0 fixes the
 * size.  False, with nothing chosen, if there is too little to tell by.
 */
extern bool vecx_train_choose(VecxTrainer *t, const float *sample, size_t nrows,
							  uint32_t sketch_bytes, uint32_t *ndims, uint32_t *nplanes);

#endif							/* VECX_CODE_TRAIN_H */

/*
 * code_pq_train.h
 *    What the files of PQ's training share: a training under way.
 */
#ifndef VECX_CODE_PQ_TRAIN_H
#define VECX_CODE_PQ_TRAIN_H

#include "code_list_int.h"
#include "code_train.h"

/*
 * Residuals are divided by scale, so that their mean squared length is 1, and
 * elements beyond 1,000 then are cut: products pass through half
 * precision.
 */
typedef struct VecxPqTrainer
{
	const VecxTrainEnv *env;
	VecxListCode *code;
	const VecxListSample *sample;
	uint64_t	rng;
	float		scale;
	float	   *mean;			/* [dim], in place of centres */
	size_t		nrows;			/* of the sample, as far as they are used */
	float	   *matrix;			/* [pdims][hdim]: the projection so far */
	float	   *transform;		/* QUERY_AWARE: [hdim][hdim] before the matrix, and ... */
	float	   *inverse;		/* ... its inverse, both symmetric; else NULL */
	float	   *y;				/* [nrows][pdims] */
	float	   *x_y;			/* [nrows][pdims]: the rows themselves, projected, or NULL */
	uint8_t    *codes;			/* [nrows][ncolumns] */
	float	   *books;			/* the arrays of *code */
	float	   *halves;
	float	   *score_books;
} VecxPqTrainer;

/* One query of so many is not trained with, and judges. */
#define VECX_PQ_HELD_OUT	8

static inline bool
vecx_pq_is_held_out(size_t query)
{
	return query % VECX_PQ_HELD_OUT == 0;
}

/* The number in the sample of the i-th of nrows rows. */
static inline size_t
vecx_pq_row_number(const VecxListSample *sample, size_t nrows, size_t i)
{
	return i * sample->nrows / nrows;
}

/* code_pq_rows.c */
extern void vecx_pq_find_mean(const VecxTrainEnv *env, const VecxListCode *code,
							  const VecxListSample *sample, size_t nrows, float *mean);

typedef enum VecxPqRows
{
	VECX_PQ_RESIDUALS,
	VECX_PQ_CENTRES				/* of those rows */
} VecxPqRows;

#define PQ_BATCH			512		/* rows projected at once */

extern void vecx_pq_rows(VecxPqTrainer *t, VecxPqRows what, size_t first, size_t n, float *rows);
extern void vecx_pq_measure_scale(VecxPqTrainer *t);
/* Makes t->y, and says what share of the rows' squared lengths it has. */
extern void vecx_pq_project_rows(VecxPqTrainer *t);
/* Makes t->x_y. */
extern void vecx_pq_project_vectors(VecxPqTrainer *t);

/*
 * Queries are the sample's or, for want of them, rows of the sample.  Of n of them q
 * is one whose number among all is a multiple of VECX_PQ_HELD_OUT if and only if it is held
 * out; vecx_pq_query_row is the row of the training that it is, or nrows.
 */
extern size_t vecx_pq_query_count(const VecxPqTrainer *t);
extern size_t vecx_pq_query_row(const VecxPqTrainer *t, size_t q, size_t n);
extern const float *vecx_pq_query(const VecxPqTrainer *t, size_t q, size_t n);
/* Projections of at most so many queries, [*nqueries][pdims]. */
extern float *vecx_pq_project_queries(VecxPqTrainer *t, size_t most, size_t *nqueries);

/* code_pq_train.c */
extern void vecx_pq_halves(VecxPqTrainer *t);
extern void vecx_pq_assign_rows(VecxPqTrainer *t);
extern void vecx_pq_move_centroids(VecxPqTrainer *t, const float *y);

/* code_pq_directions.c: the matrix of principal directions, about in order of variance,
 * dealt out to the columns */
extern void vecx_pq_find_directions(VecxPqTrainer *t);

/* code_pq_judge.c: how good a code is on its sample */

typedef struct VecxPqJudge VecxPqJudge;
extern VecxPqJudge *vecx_pq_judge(const VecxTrainEnv *env, const VecxListCode *code,
								  const VecxListSample *sample);
extern void vecx_pq_judge_spread(VecxPqJudge *judge, VecxListCode *code);
extern double vecx_pq_judge_depth(VecxPqJudge *judge);
extern void vecx_pq_judge_end(VecxPqJudge *judge);

/* code_pq_linear.c: matrices n x n, row-major.  vecx_polar makes m the nearest orthogonal one;
 * vecx_square_roots takes a symmetric positive definite m; false if its eigenvalues are
 * spread too far. */
extern void vecx_polar(const VecxTrainEnv *env, uint64_t *rng, float *m, size_t n);
extern bool vecx_square_roots(const VecxTrainEnv *env, const float *m, size_t n, float *root,
							  float *inverse);

/* code_pq_losses.c, code_pq_distill.c: codebooks, once the projection is there */
extern void vecx_pq_train_kmeans(VecxPqTrainer *t);
extern void vecx_pq_train_balanced(VecxPqTrainer *t);
extern void vecx_pq_train_anisotropic(VecxPqTrainer *t);
extern void vecx_pq_train_distill(VecxPqTrainer *t);
extern void vecx_pq_query_transform(VecxPqTrainer *t);

#endif							/* VECX_CODE_PQ_TRAIN_H */

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
	size_t		nrows;			/* of the sample, as far as it is used */
	float	   *rows;			/* [nrows][hdim]: H x - mean, scaled */
	float	   *columns;		/* rows transposed, or NULL */
	float	   *mean;			/* [hdim] */
	uint32_t	ndirs;
	float	   *dirs;			/* [ndirs][hdim] principal directions so far */
} VecxTrainer;

extern void *vecx_train_alloc(const VecxTrainEnv *env, size_t nelems, size_t size);
extern void vecx_train_free(const VecxTrainEnv *env, void *ptr);

/* Loads and centres the sample. */
extern void vecx_trainer_init(VecxTrainer *t, const VecxTrainEnv *env, VecxMetric metric,
							  uint32_t dim, const float *sample, size_t nrows, uint64_t seed);

/* The serialised basis of ndims directions. */
extern uint8_t *vecx_train_basis(VecxTrainer *t, uint32_t ndims, uint32_t nplanes, size_t *nbytes);

/* The basis that ranks the sample well enough, or NULL if there is too little
 * of a sample to tell (code_choose.c).  sketch_bytes limits its size if > 0. */
extern uint8_t *vecx_train_choose(VecxTrainer *t, const float *sample, size_t nrows,
								  uint32_t sketch_bytes, size_t *nbytes);

#endif							/* VECX_CODE_TRAIN_H */

/*
 * code_learn.h
 *    Learning from queries by gradient descent, by batches of them, until those held out
 *    gain no more: what is learned, and by which loss, is the caller's.
 *
 * Pure C, no error exits, as code.h.
 */
#ifndef VECX_CODE_LEARN_H
#define VECX_CODE_LEARN_H

#include "code_int.h"

/* How something is learned. */
typedef struct VecxLesson
{
	uint32_t	epochs;			/* at most */
	uint32_t	patience;		/* epochs without gain */
	float		rate;			/* of the first epoch, in units */
	double		(*loss) (void *arg, uint32_t query);
	void		(*add_gradient) (void *arg, uint32_t query);	/* whose loss was taken just now */
	double		(*judge) (void *arg, uint32_t query);	/* a query held out; it may be the loss */
	float		(*unit) (const void *arg, uint32_t value);	/* the size of one */
} VecxLesson;

typedef struct VecxLearner
{
	const VecxLesson *lesson;
	void	   *arg;			/* of its functions */
	const VecxTrainEnv *env;
	uint32_t	nqueries;
	uint32_t	nvalues;
	uint32_t	nlearned;		/* the first so many, for now */
	float	   *values;
	float	   *gradient;		/* of the loss by them, of a batch so far */
	float	   *momentum;
	float	   *squares;
	uint32_t   *order;			/* of the queries */
} VecxLearner;

/* One query of eight says when to stop. */
#define VECX_LEARN_HELD_OUT	8

static inline bool
vecx_learn_is_held_out(uint32_t query)
{
	return query % VECX_LEARN_HELD_OUT == VECX_LEARN_HELD_OUT - 1;
}

/* Allocates by env; values and gradient are zero. */
extern void vecx_learner_init(VecxLearner *l, const VecxTrainEnv *env, uint32_t nqueries,
							  uint32_t nvalues, const VecxLesson *lesson, void *arg);
extern void vecx_learner_done(VecxLearner *l);

/*
 * Learns the first nlearned values, from the best there are, float32[nvalues], which better
 * ones replace; they are the learner's then.
 */
extern void vecx_learn(VecxLearner *l, uint32_t nlearned, float *best_values, uint64_t *rng);

#endif							/* VECX_CODE_LEARN_H */

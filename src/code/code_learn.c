/*
 * code_learn.c
 *    Steps of Adam (Kingma and Ba 2015), each by the gradient of some queries.
 */
#include "code_learn.h"

#define BATCH	16				/* queries a step */
#define BETA1	0.9f
#define BETA2	0.99f
#define DECAY	0.1f			/* of the rate, an epoch */

static float *
zeros(const VecxTrainEnv *env, uint32_t n)
{
	return memset(env->alloc(env->arg, sizeof(float) * n), 0, sizeof(float) * n);
}

void
vecx_learner_init(VecxLearner *l, const VecxTrainEnv *env, uint32_t nqueries, uint32_t nvalues,
				  const VecxLesson *lesson, void *arg)
{
	memset(l, 0, sizeof(*l));
	l->lesson = lesson;
	l->arg = arg;
	l->env = env;
	l->nqueries = nqueries;
	l->nvalues = nvalues;
	l->values = zeros(env, nvalues);
	l->gradient = zeros(env, nvalues);
	l->momentum = zeros(env, nvalues);
	l->squares = zeros(env, nvalues);
	l->order = env->alloc(env->arg, sizeof(uint32_t) * (nqueries + 1));
	for (uint32_t q = 0; q < nqueries; q++)
		l->order[q] = q;
}

void
vecx_learner_done(VecxLearner *l)
{
	l->env->release(l->env->arg, l->order);
	l->env->release(l->env->arg, l->squares);
	l->env->release(l->env->arg, l->momentum);
	l->env->release(l->env->arg, l->gradient);
	l->env->release(l->env->arg, l->values);
}

static void
step(VecxLearner *l, float rate, uint32_t t)
{
	float		mend1 = 1.0f - powf(BETA1, (float) t);
	float		mend2 = 1.0f - powf(BETA2, (float) t);

	for (uint32_t i = 0; i < l->nlearned; i++)
	{
		float		g = l->gradient[i];

		l->momentum[i] = BETA1 * l->momentum[i] + (1 - BETA1) * g;
		l->squares[i] = BETA2 * l->squares[i] + (1 - BETA2) * g * g;
		l->values[i] -= rate * l->lesson->unit(l->arg, i) * l->momentum[i] / mend1 /
			(sqrtf(l->squares[i] / mend2) + FLT_MIN);
	}
	memset(l->gradient, 0, sizeof(float) * l->nvalues);
}

static void
learn_epoch(VecxLearner *l, float rate, uint32_t *steps)
{
	uint32_t	in_batch = 0;

	for (uint32_t i = 0; i < l->nqueries; i++)
	{
		if (vecx_learn_is_held_out(l->order[i]))
			continue;
		l->env->poll(l->env->arg);
		(void) l->lesson->loss(l->arg, l->order[i]);
		l->lesson->add_gradient(l->arg, l->order[i]);
		if (++in_batch == BATCH)
		{
			step(l, rate, ++*steps);
			in_batch = 0;
		}
	}
	if (in_batch > 0)
		step(l, rate, ++*steps);
}

/* What the queries held out say of the values as they are. */
static double
judge(VecxLearner *l)
{
	double		sum = 0.0;

	for (uint32_t q = 0; q < l->nqueries; q++)
	{
		if (!vecx_learn_is_held_out(q))
			continue;
		l->env->poll(l->env->arg);
		sum += l->lesson->judge(l->arg, q);
	}
	return sum;
}

void
vecx_learn(VecxLearner *l, uint32_t nlearned, float *best_values, uint64_t *rng)
{
	size_t		nbytes = sizeof(float) * l->nvalues;
	uint32_t	steps = 0;
	uint32_t	waited = 0;
	double		best;

	l->nlearned = nlearned;
	memcpy(l->values, best_values, nbytes);
	memset(l->momentum, 0, nbytes);
	memset(l->squares, 0, nbytes);
	best = judge(l);
	for (uint32_t epoch = 0; epoch < l->lesson->epochs && waited < l->lesson->patience; epoch++)
	{
		double		loss;

		vecx_random_order(rng, l->order, l->nqueries);
		learn_epoch(l, l->lesson->rate / (1.0f + DECAY * (float) epoch), &steps);
		loss = judge(l);
		waited++;
		if (loss < best)
		{
			best = loss;
			memcpy(best_values, l->values, nbytes);
			waited = 0;
		}
	}
	memcpy(l->values, best_values, nbytes);
}

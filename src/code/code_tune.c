/*
 * code_tune.c
 *    Learns an adapter of queries, see code_tune.h.
 *
 * The scores of a query's candidate lists, those nearest to it and its goals, become a
 * softmax, which is to be that of the goals' weights (ListNet).  A score is the
 * navigation distance to the centroid, negative and less what all have in common,
 * 2 <q', c> - |c|^2, or 2 <q', c> under IP, so that its gradient by q' is 2 c.  Its
 * temperature follows from the spread of the query's own scores: with another scale
 * than theirs the softmax teaches nothing.
 */
#include "code_heap.h"
#include "code_learn.h"
#include "code_tune.h"

#define CANDIDATES	256			/* nearest lists of a query that it is told from its goals by */
#define SCALES		12			/* that are tried, up to ... */
#define GREATEST_SCALE 1.5f
#define TEMPERATURE	0.25f		/* in deviations of the scores */

#define MAGIC		0x61747876	/* "vxta", as a little-endian machine has it */
#define FORMAT		1

typedef struct AdapterHead
{
	uint32_t	magic;
	uint32_t	format;
	uint32_t	metric;
	uint32_t	dim;
	uint32_t	rank;
	float		scale;
} AdapterHead;

size_t
vecx_adapter_bytes(uint32_t dim, uint32_t rank)
{
	return sizeof(AdapterHead) + sizeof(float) * (1 + 2 * (size_t) rank) * dim;
}

const char *
vecx_adapter_bind(VecxAdapter *adapter, const uint8_t *bytes, size_t nbytes)
{
	AdapterHead head;
	const float *values = (const float *) (bytes + sizeof(AdapterHead));

	if (nbytes < sizeof(head))
		return "an adapter is too short";
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != MAGIC)
		return "an adapter does not begin as one";
	if (head.format != FORMAT)
		return "an adapter has a format that this version does not know";
	if (head.dim == 0 || head.rank > VECX_TUNE_MAX_RANK || head.metric < VECX_METRIC_L2 ||
		head.metric > VECX_METRIC_IP ||
		nbytes != vecx_adapter_bytes(head.dim, head.rank))
		return "an adapter has values out of range";
	if (!isfinite(head.scale))
		return "an adapter has a value that is not finite";
	for (size_t i = 0; i < (1 + 2 * (size_t) head.rank) * head.dim; i++)
		if (!isfinite(values[i]))
			return "an adapter has a value that is not finite";
	adapter->metric = (VecxMetric) head.metric;
	adapter->dim = head.dim;
	adapter->rank = head.rank;
	adapter->scale = head.scale;
	adapter->shift = values;
	adapter->up = values + head.dim;
	adapter->down = adapter->up + (size_t) head.rank * head.dim;
	return NULL;
}

static void
add_scaled(float *to, const float *x, float factor, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] += factor * x[i];
}

void
vecx_adapter_apply(const VecxAdapter *a, const float *q, float *out)
{
	memcpy(out, a->shift, sizeof(float) * a->dim);
	add_scaled(out, q, a->scale, a->dim);
	for (uint32_t j = 0; j < a->rank; j++)
		add_scaled(out, a->up + (size_t) j * a->dim,
				   vecx_kernels->ip_f32(a->down + (size_t) j * a->dim, q, a->dim), a->dim);
}

/* ---- scores ---- */

static float
offset_of(const VecxTuneSample *s, uint32_t list)
{
	const float *c = s->centres + (size_t) list * s->dim;

	return s->metric == VECX_METRIC_IP ? 0.0f : vecx_kernels->ip_f32(c, c, s->dim);
}

static float
score(const VecxTuneSample *s, const float *q, uint32_t list)
{
	return 2.0f * vecx_kernels->ip_f32(q, s->centres + (size_t) list * s->dim, s->dim) - offset_of(s, list);
}

void
vecx_tune_distances(const VecxTuneSample *s, const VecxAdapter *adapter, const float *q, float *room,
					float *nav)
{
	float		norm2;

	if (adapter)
	{
		vecx_adapter_apply(adapter, q, room);
		q = room;
	}
	norm2 = vecx_kernels->ip_f32(q, q, s->dim);
	for (uint32_t c = 0; c < s->nlists; c++)
		nav[c] = s->metric == VECX_METRIC_IP ? -0.5f * score(s, q, c) : norm2 - score(s, q, c);
}

/* ---- candidates ---- */

typedef struct Candidate
{
	uint32_t	list;
	float		weight;			/* of the goal that it is, else 0 */
	float		offset;
	float		score;			/* then its share of the softmax */
} Candidate;

size_t
vecx_tune_query_bytes(uint32_t nlists, uint32_t ngoals)
{
	return sizeof(Candidate) * ((nlists < CANDIDATES ? nlists : CANDIDATES) + ngoals);
}

typedef struct Lesson
{
	const VecxTrainEnv *env;
	const VecxTuneSample *s;
	uint32_t	rank;
	VecxLearner learner;		/* of scale, shift, up, down */
	uint32_t   *first;			/* [nqueries + 1]: of the candidates */
	Candidate  *candidates;
	float	   *sharpness;		/* [nqueries]: 1 / temperature */
	float		unit;			/* the size of a query's elements */
	float	   *moved;			/* [dim] */
	float	   *pull;			/* [dim]: the loss by that */
} Lesson;

#define DEMERIT(item)	(-(item).score)
VECX_DEFINE_KEEP_LEAST(keep_best, Candidate, DEMERIT);

/* The candidates of a query; returns how many, and its temperature's inverse. */
static uint32_t
find_candidates(Lesson *l, uint32_t query, Candidate *out)
{
	const VecxTuneSample *s = l->s;
	const float *q = s->queries + (size_t) query * s->dim;
	double		sum = 0.0;
	double		sum2 = 0.0;
	int			n = 0;

	l->env->poll(l->env->arg);
	for (uint32_t c = 0; c < s->nlists; c++)
	{
		Candidate	item = {c, 0.0f, 0.0f, score(s, q, c)};

		keep_best(out, &n, CANDIDATES, item);
	}
	for (int i = 0; i < n; i++)
	{
		sum += (double) out[i].score;
		sum2 += (double) out[i].score * (double) out[i].score;
	}
	sum /= fmax(n, 1);
	l->sharpness[query] = (float) (1.0 / (TEMPERATURE * sqrt(fmax(sum2 / fmax(n, 1) - sum * sum, 1e-20))));
	for (uint32_t g = s->first[query]; g < s->first[query + 1]; g++)
	{
		int			i = 0;

		while (i < n && out[i].list != s->goals[g].list)
			i++;
		if (i == n)
			out[n++] = (Candidate) {s->goals[g].list, 0.0f, 0.0f, 0.0f};
		out[i].weight += s->goals[g].weight;
	}
	for (int i = 0; i < n; i++)
		out[i].offset = offset_of(s, out[i].list);
	return (uint32_t) n;
}

/* ---- the loss and its gradient ---- */

static void
bind_params(const Lesson *l, VecxAdapter *a)
{
	a->metric = l->s->metric;
	a->dim = l->s->dim;
	a->rank = l->rank;
	a->scale = l->learner.values[0];
	a->shift = l->learner.values + 1;
	a->up = a->shift + a->dim;
	a->down = a->up + (size_t) a->rank * a->dim;
}

/* The cross entropy of a query; candidates' scores become their shares. */
static double
query_loss(void *arg, uint32_t query)
{
	Lesson	   *l = arg;
	const VecxTuneSample *s = l->s;
	Candidate  *first = l->candidates + l->first[query];
	uint32_t	n = l->first[query + 1] - l->first[query];
	float		greatest = -FLT_MAX;
	double		sum = 0.0;
	double		loss = 0.0;
	VecxAdapter a;

	bind_params(l, &a);
	vecx_adapter_apply(&a, s->queries + (size_t) query * s->dim, l->moved);
	for (uint32_t i = 0; i < n; i++)
	{
		first[i].score = l->sharpness[query] *
			(2.0f * vecx_kernels->ip_f32(l->moved, s->centres + (size_t) first[i].list * s->dim, s->dim) -
			 first[i].offset);
		greatest = fmaxf(greatest, first[i].score);
	}
	for (uint32_t i = 0; i < n; i++)
	{
		first[i].score -= greatest;
		sum += exp((double) first[i].score);
	}
	for (uint32_t i = 0; i < n; i++)
	{
		loss += (double) first[i].weight * (log(sum) - (double) first[i].score);
		first[i].score = (float) (exp((double) first[i].score) / sum);
	}
	return loss;
}

static void
add_gradient(void *arg, uint32_t query)
{
	Lesson	   *l = arg;
	const VecxTuneSample *s = l->s;
	const float *q = s->queries + (size_t) query * s->dim;
	const Candidate *first = l->candidates + l->first[query];
	uint32_t	n = l->first[query + 1] - l->first[query];
	const float *up = l->learner.values + 1 + s->dim;
	const float *down = up + (size_t) l->rank * s->dim;
	float	   *up_gradient = l->learner.gradient + 1 + s->dim;
	float	   *down_gradient = up_gradient + (size_t) l->rank * s->dim;

	memset(l->pull, 0, sizeof(float) * s->dim);
	for (uint32_t i = 0; i < n; i++)
	{
		float		factor = 2.0f * l->sharpness[query] * (first[i].score - first[i].weight);

		if (fabsf(first[i].score - first[i].weight) > 1e-6f)
			add_scaled(l->pull, s->centres + (size_t) first[i].list * s->dim, factor, s->dim);
	}
	l->learner.gradient[0] += vecx_kernels->ip_f32(l->pull, q, s->dim);
	add_scaled(l->learner.gradient + 1, l->pull, 1.0f, s->dim);
	if (l->learner.nlearned < l->learner.nvalues)
		return;
	for (uint32_t j = 0; j < l->rank; j++)
	{
		size_t		at = (size_t) j * s->dim;

		add_scaled(up_gradient + at, l->pull, vecx_kernels->ip_f32(down + at, q, s->dim), s->dim);
		add_scaled(down_gradient + at, q, vecx_kernels->ip_f32(up + at, l->pull, s->dim), s->dim);
	}
}

/* The shift and up are in a query's units, scale and down are not. */
static float
unit_of(const void *arg, uint32_t value)
{
	const Lesson *l = arg;

	return value > 0 && value <= l->s->dim * (1 + l->rank) ? l->unit : 1.0f;
}

/* ---- training ---- */

/*
 * How many lists are to be read for a query, as the mean place of the goals, which the
 * last of them decide.  The softmax is there to have a gradient: it may gain where they
 * do not.
 */
static double
mean_place(void *arg, uint32_t query)
{
	Lesson	   *l = arg;
	const Candidate *first = l->candidates + l->first[query];
	uint32_t	n = l->first[query + 1] - l->first[query];
	double		sum = 0.0;

	(void) query_loss(l, query);
	for (uint32_t i = 0; i < n; i++)
	{
		int			place = 1;

		if (first[i].weight == 0)
			continue;
		for (uint32_t j = 0; j < n; j++)
			place += first[j].score > first[i].score;
		sum += (double) first[i].weight * place;
	}
	return sum;
}

static const VecxLesson lesson = {
	.epochs = 30,
	.patience = 5,
	.rate = 0.003f,
	.loss = query_loss,
	.add_gradient = add_gradient,
	.judge = mean_place,
	.unit = unit_of
};

/* Moves all queries a part of the way to the middle of the lists, or away from it: the
 * one that suits them best. */
static void
try_scales(Lesson *l, float *best_params)
{
	const VecxTuneSample *s = l->s;
	float	   *middle = l->pull;
	double		best = 0.0;

	memset(middle, 0, sizeof(float) * s->dim);
	for (uint32_t c = 0; c < s->nlists; c++)
		add_scaled(middle, s->centres + (size_t) c * s->dim, 1.0f / (float) s->nlists, s->dim);
	memcpy(l->learner.values, best_params, sizeof(float) * l->learner.nvalues);
	for (int i = 0; i <= SCALES; i++)
	{
		/* no change first, then from GREATEST_SCALE downwards */
		float		scale = i == 0 ? 1.0f : GREATEST_SCALE * (float) (SCALES + 1 - i) / SCALES;
		double		loss = 0.0;

		l->learner.values[0] = scale;
		memset(l->learner.values + 1, 0, sizeof(float) * s->dim);
		add_scaled(l->learner.values + 1, middle, 1.0f - scale, s->dim);
		for (uint32_t q = 0; q < s->nqueries; q++)
		{
			l->env->poll(l->env->arg);
			loss += mean_place(l, q);
		}
		if (i == 0 || loss < best)
		{
			best = loss;
			memcpy(best_params, l->learner.values, sizeof(float) * l->learner.nvalues);
		}
	}
}

/* The fewer the parameters, the fewer queries suffice: scale and shift before all. */
static void
learn(Lesson *l, float *best_params, uint64_t *rng)
{
	uint32_t	dim = l->s->dim;

	/* down begins at random and up at zero: together they change nothing */
	memset(best_params, 0, sizeof(float) * l->learner.nvalues);
	best_params[0] = 1.0f;
	for (uint32_t i = 1 + dim * (1 + l->rank); i < l->learner.nvalues; i++)
		best_params[i] = (float) (vecx_random_normal(rng) / sqrt((double) dim));
	try_scales(l, best_params);
	vecx_learn(&l->learner, 1 + dim, best_params, rng);
	if (l->rank > 0)
		vecx_learn(&l->learner, l->learner.nvalues, best_params, rng);
}

static float
element_size(const VecxTuneSample *s)
{
	double		sum = 0.0;

	for (uint32_t q = 0; q < s->nqueries; q++)
	{
		const float *x = s->queries + (size_t) q * s->dim;

		sum += (double) vecx_kernels->ip_f32(x, x, s->dim);
	}
	return (float) sqrt(sum / fmax((double) s->nqueries * s->dim, 1.0));
}

uint8_t *
vecx_adapter_train(const VecxTrainEnv *env, const VecxTuneSample *s, uint32_t rank, uint64_t seed)
{
	Lesson		l;
	uint64_t	rng = seed;
	uint32_t	most = s->nlists < CANDIDATES ? s->nlists : CANDIDATES;
	uint8_t    *bytes = env->alloc(env->arg, vecx_adapter_bytes(s->dim, rank));
	AdapterHead head = {MAGIC, FORMAT, (uint32_t) s->metric, s->dim, rank, 1.0f};
	float	   *learned;

	memset(&l, 0, sizeof(l));
	l.env = env;
	l.s = s;
	l.rank = rank;
	l.unit = element_size(s);
	vecx_learner_init(&l.learner, env, s->nqueries, 1 + s->dim * (1 + 2 * rank), &lesson, &l);
	l.moved = env->alloc(env->arg, sizeof(float) * s->dim);
	l.pull = env->alloc(env->arg, sizeof(float) * s->dim);
	l.sharpness = env->alloc(env->arg, sizeof(float) * (s->nqueries + 1));
	l.first = env->alloc(env->arg, sizeof(uint32_t) * (s->nqueries + 1));
	l.candidates = env->alloc(env->arg, sizeof(Candidate) *
							  ((size_t) most * s->nqueries + s->first[s->nqueries] + CANDIDATES));
	l.first[0] = 0;
	for (uint32_t q = 0; q < s->nqueries; q++)
		l.first[q + 1] = l.first[q] + find_candidates(&l, q, l.candidates + l.first[q]);

	learned = env->alloc(env->arg, sizeof(float) * l.learner.nvalues);
	learn(&l, learned, &rng);
	head.scale = learned[0];
	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), learned + 1, sizeof(float) * (l.learner.nvalues - 1));
	env->release(env->arg, learned);
	env->release(env->arg, l.candidates);
	env->release(env->arg, l.first);
	env->release(env->arg, l.sharpness);
	env->release(env->arg, l.pull);
	env->release(env->arg, l.moved);
	vecx_learner_done(&l.learner);
	return bytes;
}

/*
 * code_score.c
 *    Learns what codes are scored by, see code_score.h.
 *
 * A least-squares fit: the estimates of rows whose distances are known are to be these,
 * and those of rows beyond are to stay there, where only what comes too near is wrong.  An
 * estimate is linear in the tables' entries, and they are in the books: the loss has one valley.
 * The quantiser's own books are where it begins, and few steps suffice.
 */
#include <stdlib.h>

#include "code_learn.h"
#include "code_list_int.h"
#include "code_score.h"

#define MOST_SPREAD	4.0f

#define MAGIC		0x62737876	/* "vxsb", as a little-endian machine has it */
#define FORMAT		1

typedef struct ScoreHead
{
	uint32_t	magic;
	uint32_t	format;
	uint32_t	pdims;
	uint32_t	ncolumns;
	uint32_t	entries;
	float		spread;
} ScoreHead;

static size_t
count_values(const VecxListCode *code)
{
	return ((size_t) code->pdims + code->ncolumns) << code->bits;
}

size_t
vecx_score_bytes(const VecxListCode *code)
{
	return sizeof(ScoreHead) + sizeof(float) * count_values(code);
}

const char *
vecx_score_bind(VecxScoreBooks *books, const VecxListCode *code, const uint8_t *bytes, size_t nbytes)
{
	ScoreHead	head;
	const float *values = (const float *) (const void *) (bytes + sizeof(ScoreHead));

	if (code->quantizer != VECX_LIST_PQ)
		return "books of scores are not of a quantizer that has books";
	if (nbytes < sizeof(head))
		return "books of scores are too short";
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != MAGIC)
		return "books of scores do not begin as such";
	if (head.format != FORMAT)
		return "books of scores have a format that this version does not know";
	if (head.pdims != code->pdims || head.ncolumns != code->ncolumns ||
		head.entries != 1u << code->bits || nbytes != vecx_score_bytes(code))
		return "books of scores do not fit the quantizer";
	if (!(head.spread >= 1.0f && head.spread <= MOST_SPREAD))
		return "books of scores have an error out of range";
	for (size_t i = 0; i < count_values(code); i++)
		if (!isfinite(values[i]))
			return "books of scores have a value that is not finite";
	books->pdims = head.pdims;
	books->ncolumns = head.ncolumns;
	books->entries = head.entries;
	books->spread = head.spread;
	books->books = values;
	books->biases = values + ((size_t) head.pdims << code->bits);
	return NULL;
}

void
vecx_score_use(const VecxListCode *code, const VecxScoreBooks *books, VecxListCode *scoring)
{
	*scoring = *code;
	scoring->score_books = books->books;
	scoring->score_biases = books->biases;
	scoring->score_spread = books->spread;
}

/* ---- the loss and its gradient ---- */

typedef struct Lesson
{
	const VecxTrainEnv *env;
	const VecxScoreSample *s;
	uint32_t	entries;
	VecxLearner learner;		/* of books, then biases */
	float		book_unit;		/* the size of a book's elements */
	float		bias_unit;		/* and of a table's */
	float	   *y;				/* [nqueries][pdims] */
	float	   *weights;		/* [nqueries]: of squares: queries count alike */
	float	   *tables;			/* [ncolumns][entries], then the loss by them */
	float	   *pull;			/* [of a query's rows]: the loss by its estimate */
} Lesson;

static void
make_tables(const Lesson *l, uint32_t query)
{
	const VecxListCode *code = l->s->code;
	const float *y = l->y + (size_t) query * code->pdims;
	const float *biases = l->learner.values + (size_t) code->pdims * l->entries;

	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		uint32_t	first = vecx_pq_first(code, c);
		float	   *table = l->tables + (size_t) c * l->entries;

		vecx_pq_products(l->learner.values + (size_t) first * l->entries, l->entries, y + first,
						 vecx_pq_first(code, c + 1) - first, table);
		for (uint32_t k = 0; k < l->entries; k++)
			table[k] += biases[c * l->entries + k];
	}
}

static float
estimate(const Lesson *l, uint32_t row)
{
	uint32_t	ncolumns = l->s->code->ncolumns;
	const uint8_t *codes = l->s->codes + (size_t) row * ncolumns;
	float		sum = 0.0f;

	for (uint32_t c = 0; c < ncolumns; c++)
		sum += l->tables[c * l->entries + codes[c]];
	return l->s->rows[row].fixed + l->s->rows[row].rescale * sum;
}

/* By how much an estimate is wrong. */
static float
error_of(const VecxScoreRow *row, float est)
{
	float		error = est - row->target;

	if (row->kind == VECX_SCORE_BEYOND)
		return fminf(error, 0.0f);
	return row->kind == VECX_SCORE_WITHIN ? fmaxf(error, 0.0f) : error;
}

/* The weighed squares of a query's errors. */
static double
query_loss(void *arg, uint32_t query)
{
	Lesson	   *l = arg;
	uint32_t	first = l->s->first[query];
	uint32_t	n = l->s->first[query + 1] - first;
	double		loss = 0.0;

	make_tables(l, query);
	for (uint32_t i = 0; i < n; i++)
	{
		float		error = error_of(&l->s->rows[first + i], estimate(l, first + i));

		loss += (double) (error * error);
		l->pull[i] = l->weights[query] * error;
	}
	return (double) l->weights[query] * loss;
}

static void
add_gradient(void *arg, uint32_t query)
{
	Lesson	   *l = arg;
	const VecxListCode *code = l->s->code;
	const float *y = l->y + (size_t) query * code->pdims;
	float	   *biases = l->learner.gradient + (size_t) code->pdims * l->entries;
	uint32_t	first = l->s->first[query];
	uint32_t	n = l->s->first[query + 1] - first;

	memset(l->tables, 0, sizeof(float) * code->ncolumns * l->entries);
	for (uint32_t i = 0; i < n; i++)
	{
		const VecxScoreRow *row = &l->s->rows[first + i];
		const uint8_t *codes = l->s->codes + (size_t) (first + i) * code->ncolumns;

		if (l->pull[i] != 0.0f)
			for (uint32_t c = 0; c < code->ncolumns; c++)
				l->tables[c * l->entries + codes[c]] += row->rescale * l->pull[i];
	}
	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		const float *by_table = l->tables + (size_t) c * l->entries;

		for (uint32_t d = vecx_pq_first(code, c); d < vecx_pq_first(code, c + 1); d++)
			for (uint32_t k = 0; k < l->entries; k++)
				l->learner.gradient[(size_t) d * l->entries + k] += y[d] * by_table[k];
		for (uint32_t k = 0; k < l->entries; k++)
			biases[c * l->entries + k] += by_table[k];
	}
}

static float
unit_of(const void *arg, uint32_t value)
{
	const Lesson *l = arg;

	return value < l->s->code->pdims * l->entries ? l->book_unit : l->bias_unit;
}

/* ---- training ---- */

static const VecxLesson lesson = {
	.epochs = 40,
	.patience = 4,
	.rate = 0.01f,
	.loss = query_loss,
	.add_gradient = add_gradient,
	.judge = query_loss,
	.unit = unit_of
};

/* ... in a query's typical error: with less of it bounds had not needed to be as wide as they are. */
#define LEAST_EXCESS	0.5f

/*
 * By how much rows of queries held out seem farther than they are, all but one in forty of
 * those whose distances are known, in a typical error of the query.  This is what bounds are
 * for: errors may get less by it and yet leave more of the nearest beyond them, since to hold
 * off the rows beyond costs little where it takes a near one along.  Bounds become no
 * narrower: of titles among 57,000 LSA vectors of abstracts, whose errors fell to .87, 48
 * lists gave .930 of the ten nearest before, .936 with bounds as they were, and .930 with
 * narrower ones, for 6 % less instead of 2.
 */
static float
excess_of_errors(Lesson *l)
{
	float	   *excess = l->env->alloc(l->env->arg, sizeof(float) * (l->s->first[l->s->nqueries] + 1));
	uint32_t	n = 0;
	float		result;

	for (uint32_t q = 0; q < l->s->nqueries; q++)
	{
		if (!vecx_learn_is_held_out(q))
			continue;
		l->env->poll(l->env->arg);
		make_tables(l, q);
		for (uint32_t i = l->s->first[q]; i < l->s->first[q + 1]; i++)
			if (l->s->rows[i].kind == VECX_SCORE_KNOWN)
				excess[n++] = sqrtf(l->weights[q]) * error_of(&l->s->rows[i], estimate(l, i));
	}
	qsort(excess, n, sizeof(float), vecx_compare_floats);
	/* of fewer rows one says nothing */
	result = n >= VECX_LIST_MISSED ? fmaxf(excess[n - 1 - n / VECX_LIST_MISSED], LEAST_EXCESS) : LEAST_EXCESS;
	l->env->release(l->env->arg, excess);
	return result;
}

/* ---- preparations ---- */

static float
root_mean_square(const float *x, size_t n)
{
	double		sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += (double) x[i] * (double) x[i];
	return (float) sqrt(sum / fmax((double) n, 1.0));
}

/* Projections, and how much the squares of each query's errors count. */
static void
prepare_queries(Lesson *l)
{
	const VecxListCode *code = l->s->code;
	void	   *scratch = l->env->alloc(l->env->arg, vecx_list_scratch(code, 1));
	float	   *y = l->env->alloc(l->env->arg, sizeof(float) * code->proj_floats);
	double		table_squares = 0.0;

	for (uint32_t q = 0; q < l->s->nqueries; q++)
	{
		uint32_t	n = l->s->first[q + 1] - l->s->first[q];
		double		loss;
		float		size;

		l->env->poll(l->env->arg);
		vecx_list_project(code, l->s->queries[q], y, scratch);
		memcpy(l->y + (size_t) q * code->pdims, y + (code->proj_floats - code->pdims),
			   sizeof(float) * code->pdims);
		l->weights[q] = 1.0f;
		loss = query_loss(l, q);
		size = root_mean_square(l->tables, (size_t) code->ncolumns * l->entries);
		table_squares += (double) (size * size);
		l->weights[q] = loss > (double) FLT_MIN ? (float) (n / loss) : 0.0f;
	}
	l->book_unit = root_mean_square(l->learner.values, (size_t) code->pdims * l->entries);
	l->bias_unit = (float) sqrt(table_squares / fmax(l->s->nqueries, 1));
	l->env->release(l->env->arg, y);
	l->env->release(l->env->arg, scratch);
}

static uint32_t
most_rows(const VecxScoreSample *s)
{
	uint32_t	most = 1;

	for (uint32_t q = 0; q < s->nqueries; q++)
		most = s->first[q + 1] - s->first[q] > most ? s->first[q + 1] - s->first[q] : most;
	return most;
}

uint8_t *
vecx_score_train(const VecxTrainEnv *env, const VecxScoreSample *s, uint64_t seed)
{
	const VecxListCode *code = s->code;
	uint8_t    *bytes = env->alloc(env->arg, vecx_score_bytes(code));
	ScoreHead	head = {MAGIC, FORMAT, code->pdims, code->ncolumns, 1u << code->bits, 1.0f};
	float	   *learned = memset(bytes + sizeof(head), 0, sizeof(float) * count_values(code));
	float		before;
	Lesson		l;

	memset(&l, 0, sizeof(l));
	l.env = env;
	l.s = s;
	l.entries = head.entries;
	memcpy(learned, code->score_books, sizeof(float) * code->pdims * l.entries);
	vecx_learner_init(&l.learner, env, s->nqueries, (uint32_t) count_values(code), &lesson, &l);
	memcpy(l.learner.values, learned, sizeof(float) * l.learner.nvalues);
	l.tables = env->alloc(env->arg, sizeof(float) * code->ncolumns * l.entries);
	l.y = env->alloc(env->arg, sizeof(float) * ((size_t) code->pdims * s->nqueries + 1));
	l.weights = env->alloc(env->arg, sizeof(float) * (s->nqueries + 1));
	l.pull = env->alloc(env->arg, sizeof(float) * most_rows(s));
	prepare_queries(&l);
	before = excess_of_errors(&l);
	vecx_learn(&l.learner, l.learner.nvalues, learned, &seed);
	head.spread = fminf(fmaxf(excess_of_errors(&l) / before, 1.0f), MOST_SPREAD);
	memcpy(bytes, &head, sizeof(head));
	env->release(env->arg, l.pull);
	env->release(env->arg, l.weights);
	env->release(env->arg, l.y);
	env->release(env->arg, l.tables);
	vecx_learner_done(&l.learner);
	return bytes;
}

/*
 * code_pq_distill.c
 *    Codebooks that rank as exact distances do (Distill-VQ, arXiv 2204.00185,
 *    without labels): what codes stand for is moved so that the softmax of the
 *    estimates over a query's candidates comes near that of the true scores.
 *
 * Codes stay those of the nearest centroids: the books of encoding are k-means',
 * only the books of scoring move, so rows are encoded as before.
 */
#include "code_heap.h"
#include "code_pq_train.h"

#define MAX_QUERIES		2000
#define NEAR			64		/* candidates of a query: its nearest rows ... */
#define FAR				64		/* ... and others */
#define CANDIDATES		(NEAR + FAR)
#define EPOCHS			6
#define BATCH			16		/* queries a step */
#define RATE			0.006f	/* first step, in units of a book's mean element */

typedef struct Candidate
{
	uint32_t	row;
	float		score;			/* the teacher's: half of the distance, negative */
} Candidate;

typedef struct Lesson
{
	VecxPqTrainer *t;
	size_t		nqueries;
	float	   *queries;		/* [nqueries][pdims] */
	Candidate  *candidates;		/* [nqueries][CANDIDATES] */
	float	   *temperatures;	/* [nqueries] */
	float	   *tables;			/* [ncolumns][entries] */
	float	   *weights;		/* the same: of the gradient */
	float	   *gradient;		/* [pdims][entries], as the next two */
	float	   *momentum;
	float	   *squares;
} Lesson;

static uint32_t
book_entries(const VecxPqTrainer *t)
{
	return 1u << t->code->bits;
}

/* ---- the teacher ---- */

static float
teacher_score(const VecxPqTrainer *t, const float *query, size_t row)
{
	const float *x = t->x_y + row * t->code->pdims;

	if (t->code->metric == VECX_METRIC_IP)
		return vecx_kernels->ip_f32(query, x, t->code->pdims);
	return -0.5f * vecx_kernels->l2sq_f32(query, x, t->code->pdims);
}

#define DEMERIT(item)	(-(item).score)
VECX_DEFINE_KEEP_LEAST(keep_best, Candidate, DEMERIT);

/*
 * The candidates of a query, and as its temperature the deviation of the scores
 * of the near ones: with another scale than theirs the softmax teaches nothing.
 */
static void
find_candidates(Lesson *lesson, size_t q)
{
	VecxPqTrainer *t = lesson->t;
	const float *query = lesson->queries + q * t->code->pdims;
	Candidate  *candidates = lesson->candidates + q * CANDIDATES;
	double		sum = 0.0;
	double		sum2 = 0.0;
	int			n = 0;
	/* a row that is the query itself would be all of the softmax */
	size_t		own = vecx_pq_query_row(t, q, lesson->nqueries);

	t->env->poll(t->env->arg);
	for (size_t r = 0; r < t->nrows; r++)
	{
		Candidate	item = {(uint32_t) r, teacher_score(t, query, r)};

		if (r == own)
			continue;
		keep_best(candidates, &n, NEAR, item);
	}
	for (uint32_t i = 0; i < NEAR; i++)
	{
		sum += (double) candidates[i].score;
		sum2 += (double) candidates[i].score * (double) candidates[i].score;
	}
	sum /= NEAR;
	lesson->temperatures[q] = (float) sqrt(fmax(sum2 / NEAR - sum * sum, 1e-12));
	for (uint32_t i = NEAR; i < CANDIDATES; i++)
	{
		candidates[i].row = vecx_random_below(&t->rng, (uint32_t) t->nrows);
		if (candidates[i].row == own)
			candidates[i].row = own > 0 ? 0 : 1;
		candidates[i].score = teacher_score(t, query, candidates[i].row);
	}
}

/* ---- the student ---- */

/*
 * A row as the student sees it.  With p = <q - a c, r^> its score is s p and what is
 * known without r^, relative to the teacher's; a is 1, and of inner products <q, c> / |c|^2
 * (vecx_list_probe_init).  The gradient by r^ is
 *
 *    s q + on_centre c + on_rest r + on_code r^
 *
 * where s, of the stretched estimate, depends on the books as well: then
 * d (s p) / d r^ = s ((q - a c) - p / <r, r^> r).
 */
typedef struct View
{
	float		advance;		/* the student's score less the teacher's */
	float		stretch;		/* s of code_list.h */
	float		on_centre;
	float		on_rest;
	float		on_code;
} View;

/* What share of the centre a query under inner products has: a of View. */
static float
share_of_centre(uint32_t pdims, const float *query, const float *x, const float *y)
{
	float		c2 = 0.0f;
	float		with_centre = 0.0f;

	for (uint32_t i = 0; i < pdims; i++)
	{
		float		c = x[i] - y[i];

		c2 += c * c;
		with_centre += query[i] * c;
	}
	return c2 >= FLT_MIN ? with_centre / c2 : 0.0f;
}

/* product is <q, r^>. */
static void
view_row(const VecxPqTrainer *t, const float *query, size_t row, float product, View *view)
{
	const VecxListCode *code = t->code;
	bool		ip = code->metric == VECX_METRIC_IP;
	const float *y = t->y + row * code->pdims;
	const float *x = t->x_y + row * code->pdims;
	float		r2 = vecx_kernels->ip_f32(y, y, code->pdims);
	float		centre_rest = vecx_kernels->ip_f32(x, y, code->pdims) - r2;
	float		share = ip ? share_of_centre(code->pdims, query, x, y) : 1.0f;
	float		truth = vecx_kernels->ip_f32(query, y, code->pdims) - share * centre_rest;
	float		with_vector = 0.0f;
	float		with_rest = 0.0f;
	float		coded2 = 0.0f;

	for (uint32_t c = 0; c < code->ncolumns; c++)
		for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
		{
			float		coded = t->score_books[(size_t) i * book_entries(t) +
											   t->codes[row * code->ncolumns + c]];

			with_vector += x[i] * coded;
			with_rest += y[i] * coded;
			coded2 += coded * coded;
		}
	product -= share * (with_vector - with_rest);
	memset(view, 0, sizeof(*view));
	view->stretch = 1.0f;
	if (code->estimate == VECX_LIST_STRETCHED)
	{
		view->stretch = with_rest > 0.0f ? r2 / with_rest : 0.0f;
		view->on_rest = with_rest > 0.0f ? -view->stretch * product / with_rest : 0.0f;
	}
	view->on_centre = -view->stretch * share;
	view->advance = view->stretch * product - truth;
	if (code->estimate == VECX_LIST_DECODED && ip)
	{
		view->advance += share * (with_vector - with_rest - centre_rest);
		view->on_centre = 0.0f;
	}
	else if (code->estimate == VECX_LIST_DECODED)
	{
		view->advance -= (coded2 - r2) / 2.0f;
		view->on_code = -1.0f;
	}
	else if (code->estimate == VECX_LIST_EXPECTED && !ip)
	{
		view->advance -= coded2 - with_rest;
		view->on_code = -2.0f;
		view->on_rest = 1.0f;
	}
}

/* Adds what a row says of the books it has, but for the query's part, which is
 * summed up in weights. */
static void
add_gradient(Lesson *lesson, size_t row, const View *view, float g)
{
	VecxPqTrainer *t = lesson->t;
	const VecxListCode *code = t->code;
	uint32_t	entries = book_entries(t);
	const uint8_t *codes = t->codes + row * code->ncolumns;
	const float *y = t->y + row * code->pdims;
	const float *x = t->x_y + row * code->pdims;

	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		lesson->weights[(size_t) c * entries + codes[c]] += g * view->stretch;
		for (uint32_t d = vecx_pq_first(code, c); d < vecx_pq_first(code, c + 1); d++)
		{
			size_t		at = (size_t) d * entries + codes[c];

			lesson->gradient[at] += g * (view->on_centre * (x[d] - y[d]) + view->on_rest * y[d] +
										 view->on_code * t->score_books[at]);
		}
	}
}

/*
 * The loss of a query: the cross entropy of the softmax of its candidates'
 * estimates, relative to that of the teacher.  With add, the gradient is added.
 */
static double
query_loss(Lesson *lesson, size_t q, bool add)
{
	VecxPqTrainer *t = lesson->t;
	const VecxListCode *code = t->code;
	uint32_t	entries = book_entries(t);
	const float *query = lesson->queries + q * code->pdims;
	const Candidate *candidates = lesson->candidates + q * CANDIDATES;
	View		views[CANDIDATES];
	double		student[CANDIDATES];
	double		teacher[CANDIDATES];
	double		top[2] = {-1e30, -1e30};
	double		total[2] = {0.0, 0.0};
	double		loss = 0.0;

	for (uint32_t c = 0; c < code->ncolumns; c++)
		vecx_list_pq_tables(code, query, c, lesson->tables + (size_t) c * entries);
	for (uint32_t i = 0; i < CANDIDATES; i++)
	{
		const uint8_t *codes = t->codes + (size_t) candidates[i].row * code->ncolumns;
		float		product = 0.0f;

		for (uint32_t c = 0; c < code->ncolumns; c++)
			product += lesson->tables[(size_t) c * entries + codes[c]];
		view_row(t, query, candidates[i].row, product, &views[i]);
		teacher[i] = (double) (candidates[i].score / lesson->temperatures[q]);
		student[i] = teacher[i] + (double) (views[i].advance / lesson->temperatures[q]);
		top[0] = fmax(top[0], teacher[i]);
		top[1] = fmax(top[1], student[i]);
	}
	for (uint32_t i = 0; i < CANDIDATES; i++)
	{
		total[0] += teacher[i] = exp(teacher[i] - top[0]);
		total[1] += student[i] = exp(student[i] - top[1]);
	}
	if (add)
		memset(lesson->weights, 0, (size_t) code->ncolumns * entries * sizeof(float));
	for (uint32_t i = 0; i < CANDIDATES; i++)
	{
		double		p = teacher[i] / total[0];
		double		s = student[i] / total[1];

		loss += p * log((p + 1e-12) / (s + 1e-12));
		if (add)
			add_gradient(lesson, candidates[i].row, &views[i], (float) (s - p) / lesson->temperatures[q]);
	}
	for (uint32_t c = 0; c < code->ncolumns && add; c++)
		for (uint32_t d = vecx_pq_first(code, c); d < vecx_pq_first(code, c + 1); d++)
			for (uint32_t k = 0; k < entries; k++)
				lesson->gradient[(size_t) d * entries + k] +=
					query[d] * lesson->weights[(size_t) c * entries + k];
	return loss;
}

static double
held_out_loss(Lesson *lesson)
{
	double		loss = 0.0;

	for (size_t q = 0; q < lesson->nqueries; q += VECX_PQ_HELD_OUT)
	{
		lesson->t->env->poll(lesson->t->env->arg);
		loss += query_loss(lesson, q, false);
	}
	return loss;
}

/* The estimate to learn for: that of the least loss, which is returned. */
static double
choose_estimate(Lesson *lesson)
{
	VecxListCode *code = lesson->t->code;
	VecxListEstimate best = VECX_LIST_STRETCHED;
	double		least = 0.0;

	for (int estimate = VECX_LIST_STRETCHED; estimate <= VECX_LIST_EXPECTED; estimate++)
	{
		double		loss;

		code->estimate = (VecxListEstimate) estimate;
		loss = held_out_loss(lesson);
		if (estimate == VECX_LIST_STRETCHED || loss < least)
		{
			least = loss;
			best = code->estimate;
		}
	}
	code->estimate = best;
	return least;
}

/* One step of Adam (Kingma and Ba 2015); the gradient is zero then. */
static void
take_step(Lesson *lesson, uint32_t number, float rate)
{
	size_t		n = (size_t) lesson->t->code->pdims * book_entries(lesson->t);
	float		first = 1.0f - powf(0.9f, (float) number);
	float		second = 1.0f - powf(0.999f, (float) number);

	for (size_t i = 0; i < n; i++)
	{
		float		g = lesson->gradient[i] / BATCH;

		lesson->momentum[i] = 0.9f * lesson->momentum[i] + 0.1f * g;
		lesson->squares[i] = 0.999f * lesson->squares[i] + 0.001f * g * g;
		lesson->t->score_books[i] -= rate * lesson->momentum[i] / first /
			(sqrtf(lesson->squares[i] / second) + 1e-12f);
		lesson->gradient[i] = 0.0f;
	}
}

static void
learn(Lesson *lesson)
{
	VecxPqTrainer *t = lesson->t;
	size_t		n = (size_t) t->code->pdims * book_entries(t);
	float		unit = sqrtf(vecx_kernels->ip_f32(t->books, t->books, n) / (float) n);
	uint32_t	steps = (uint32_t) (EPOCHS * (lesson->nqueries / BATCH)) + 1;
	uint32_t	number = 0;

	for (int epoch = 0; epoch < EPOCHS; epoch++)
	{
		uint32_t	in_batch = 0;

		for (size_t q = 0; q < lesson->nqueries; q++)
		{
			if (vecx_pq_is_held_out(q))
				continue;
			t->env->poll(t->env->arg);
			(void) query_loss(lesson, q, true);
			if (++in_batch < BATCH)
				continue;
			in_batch = 0;
			number++;
			take_step(lesson, number, RATE * unit * (1.0f - (float) number / (float) steps));
		}
	}
}

/* Without enough rows there is nothing to rank; what does not help is undone. */
void
vecx_pq_train_distill(VecxPqTrainer *t)
{
	const VecxTrainEnv *env = t->env;
	size_t		n = (size_t) t->code->pdims * book_entries(t);
	size_t		ntables = (size_t) t->code->ncolumns * book_entries(t);
	double		before;
	Lesson		lesson;

	vecx_pq_train_kmeans(t);
	vecx_pq_assign_rows(t);
	memcpy(t->score_books, t->books, n * sizeof(float));
	if (t->nrows < 2 * CANDIDATES)
		return;
	memset(&lesson, 0, sizeof(lesson));
	lesson.t = t;
	vecx_pq_project_vectors(t);
	lesson.queries = vecx_pq_project_queries(t, MAX_QUERIES, &lesson.nqueries);
	lesson.candidates = vecx_train_alloc(env, lesson.nqueries * CANDIDATES, sizeof(Candidate));
	lesson.temperatures = vecx_train_alloc(env, lesson.nqueries, sizeof(float));
	lesson.tables = vecx_train_alloc(env, 2 * ntables, sizeof(float));
	lesson.weights = lesson.tables + ntables;
	lesson.gradient = vecx_train_alloc(env, 3 * n, sizeof(float));
	lesson.momentum = lesson.gradient + n;
	lesson.squares = lesson.momentum + n;
	memset(lesson.gradient, 0, 3 * n * sizeof(float));
	for (size_t q = 0; q < lesson.nqueries; q++)
		find_candidates(&lesson, q);
	before = choose_estimate(&lesson);
	learn(&lesson);
	if (!(held_out_loss(&lesson) < before))
		memcpy(t->score_books, t->books, n * sizeof(float));
	vecx_train_free(env, lesson.queries);
	vecx_train_free(env, lesson.candidates);
	vecx_train_free(env, lesson.temperatures);
	vecx_train_free(env, lesson.tables);
	vecx_train_free(env, lesson.gradient);
}

/*
 * code_pq_losses.c
 *    What the trainings of PQ do to the codebooks once the projection is there,
 *    and the transform that comes before it.
 */
#include "code_pq_train.h"

#define KMEANS_ROUNDS		6
#define BALANCED_ROUNDS		6
#define BALANCED_BATCH		4096
#define SINKHORN_STEPS		8
#define SINKHORN_EPSILON	0.01f
#define SINKHORN_HOLD		0.8f	/* share of an unevenness made up for, at first */
#define ANISOTROPIC_ROUNDS	4
#define ANISOTROPIC_SCORE	0.2		/* of the scores that matter; ScaNN's */
#define ANISOTROPIC_MAX		4.0
#define ANISOTROPIC_DIMS	32		/* of a column: solved for by elimination */
#define TRANSFORM_SHRINK	0.2f

void
vecx_pq_train_kmeans(VecxPqTrainer *t)
{
	for (int i = 0; i < KMEANS_ROUNDS; i++)
	{
		vecx_pq_assign_rows(t);
		vecx_pq_move_centroids(t, t->y);
	}
}

/* ---- balanced ---- */

/* products[n][entries] of column c, less halves: affinities up to a row's own. */
static void
column_affinities(VecxPqTrainer *t, uint32_t c, size_t first, size_t n, float *affinities)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;
	uint32_t	from = vecx_pq_first(code, c);
	const float *halves = t->halves + (size_t) c * entries;

	for (size_t r = 0; r < n; r++)
	{
		float	   *row = affinities + r * entries;

		vecx_pq_products(t->books + (size_t) from * entries, entries,
						 t->y + (first + r) * code->pdims + from,
						 vecx_pq_first(code, c + 1) - from, row);
		for (uint32_t k = 0; k < entries; k++)
			row[k] -= halves[k];
	}
}

/*
 * Codes of a batch of which each is used more equally than the nearest ones are,
 * at little cost (RepCONC, arXiv 2110.05789): optimal transport between rows and
 * entries by Sinkhorn's iteration.  In the log domain: only the logarithms of
 * the entries' factors are kept, a row's factor follows from them, and a row is
 * scaled by its largest term.  hold is how firmly entries are held to equal use,
 * 1: to nothing less, 0: not at all.
 */
static void
sinkhorn(const VecxTrainEnv *env, const float *affinities, size_t n, uint32_t entries,
		 float hold, uint8_t *codes, size_t stride)
{
	double		used[1 << VECX_PQ_MAX_BITS];
	float		logs[1 << VECX_PQ_MAX_BITS] = {0};
	float		terms[1 << VECX_PQ_MAX_BITS];
	float		range = 0.0f;
	float		inverse;

	/* the unit of epsilon: how far a row's affinities differ at most */
	for (size_t r = 0; r < n; r++)
	{
		const float *row = affinities + r * entries;
		float		low = row[0];
		float		high = row[0];

		for (uint32_t k = 1; k < entries; k++)
		{
			low = fminf(low, row[k]);
			high = fmaxf(high, row[k]);
		}
		range = fmaxf(range, high - low);
	}
	inverse = range > 0.0f ? 1.0f / (range * SINKHORN_EPSILON) : 0.0f;
	for (int step = 0; step <= SINKHORN_STEPS; step++)
	{
		memset(used, 0, sizeof(used));
		for (size_t r = 0; r < n; r++)
		{
			const float *row = affinities + r * entries;
			uint32_t	best = 0;
			float		sum = 0.0f;

			if (r % 1024 == 0)
				env->poll(env->arg);
			for (uint32_t k = 0; k < entries; k++)
			{
				terms[k] = row[k] * inverse + logs[k];
				best = terms[k] > terms[best] ? k : best;
			}
			if (step == SINKHORN_STEPS)
			{
				codes[r * stride] = (uint8_t) best;
				continue;
			}
			for (uint32_t k = 0; k < entries; k++)
				sum += terms[k] = expf(terms[k] - terms[best]);
			for (uint32_t k = 0; k < entries; k++)
				used[k] += (double) (terms[k] / sum);
		}
		for (uint32_t k = 0; k < entries && step < SINKHORN_STEPS; k++)
			logs[k] = hold * (logs[k] + (float) log((double) n / entries / fmax(used[k], 1e-30)));
	}
}

/*
 * Batches are wide enough for an even use to mean something.  What holds codes to
 * it is eased off round by round, since rows are encoded by the nearest
 * centroids in the end: these are to be where the nearest are used evenly.
 */
void
vecx_pq_train_balanced(VecxPqTrainer *t)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;
	size_t		batch = t->nrows < BALANCED_BATCH ? t->nrows : BALANCED_BATCH;
	float	   *affinities = vecx_train_alloc(t->env, batch * entries, sizeof(float));

	for (int round = 0; round < BALANCED_ROUNDS; round++)
	{
		for (uint32_t c = 0; c < code->ncolumns; c++)
			for (size_t first = 0; first < t->nrows; first += batch)
			{
				size_t		n = t->nrows - first < batch ? t->nrows - first : batch;

				column_affinities(t, c, first, n, affinities);
				sinkhorn(t->env, affinities, n, entries,
						 SINKHORN_HOLD * (1.0f - (float) round / (BALANCED_ROUNDS - 1)),
						 t->codes + first * code->ncolumns + c, code->ncolumns);
			}
		vecx_pq_move_centroids(t, t->y);
	}
	vecx_train_free(t->env, affinities);
}

/* ---- anisotropic ---- */

/* Solves a x = b, a symmetric and positive definite, [n][n + 1] with b last. */
static void
eliminate(double *a, uint32_t n)
{
	uint32_t	width = n + 1;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = i + 1; j < n; j++)
		{
			double		factor = a[j * width + i] / a[i * width + i];

			for (uint32_t k = i; k < width; k++)
				a[j * width + k] -= factor * a[i * width + k];
		}
	for (uint32_t i = n; i-- > 0;)
	{
		for (uint32_t k = i + 1; k < n; k++)
			a[i * width + n] -= a[i * width + k] * a[k * width + n];
		a[i * width + n] /= a[i * width + i];
	}
}

/* Projections of the vectors, or residuals, along which the rows' errors count more. */
static const float *
vectors_along(const VecxPqTrainer *t)
{
	return vecx_pq_errs_along_vector(t->code) ? t->x_y : t->y;
}

/*
 * Each centroid of a column where the loss of the rows that have it is least:
 * with x a row's vector, w = (eta - 1) / |x|^2, and E its error along x,
 * everything in the column but E,
 *
 *    (n I + sum w x x^T) C = sum of r + w (E + <C', x>) x
 *
 * where C' is the old centroid: what other columns leave.
 */
static void
move_column(VecxPqTrainer *t, uint32_t c, const float *along, const float *weights, double *systems)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;
	uint32_t	first = vecx_pq_first(code, c);
	uint32_t	n = vecx_pq_first(code, c + 1) - first;
	size_t		size = (size_t) n * (n + 1);

	memset(systems, 0, entries * size * sizeof(double));
	for (size_t r = 0; r < t->nrows; r++)
	{
		const float *y = t->y + r * code->pdims + first;
		const float *x = vectors_along(t) + r * code->pdims + first;
		uint32_t	k = t->codes[r * code->ncolumns + c];
		double	   *a = systems + k * size;
		double		rest = (double) along[r];

		for (uint32_t i = 0; i < n; i++)
			rest += (double) (x[i] * t->books[(size_t) (first + i) * entries + k]);
		for (uint32_t i = 0; i < n; i++)
		{
			double		wx = (double) (weights[r] * x[i]);

			for (uint32_t j = 0; j < n; j++)
				a[i * (n + 1) + j] += wx * (double) x[j];
			a[i * (n + 1) + i] += 1.0;
			a[i * (n + 1) + n] += (double) y[i] + wx * rest;
		}
	}
	for (uint32_t k = 0; k < entries; k++)
	{
		double	   *a = systems + k * size;

		if (a[0] < 1.0)
			continue;			/* nobody has it */
		eliminate(a, n);
		for (uint32_t i = 0; i < n; i++)
			t->books[(size_t) (first + i) * entries + k] = (float) a[i * (n + 1) + n];
	}
}

/* A row's error along its vector: <r - r^, x>. */
static void
errors_along(VecxPqTrainer *t, float *along)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;

	for (size_t r = 0; r < t->nrows; r++)
	{
		const float *y = t->y + r * code->pdims;
		const float *x = vectors_along(t) + r * code->pdims;

		if (r % 256 == 0)
			t->env->poll(t->env->arg);
		along[r] = 0.0f;
		for (uint32_t c = 0; c < code->ncolumns; c++)
			for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
				along[r] += x[i] * (y[i] - t->books[(size_t) i * entries +
													t->codes[r * code->ncolumns + c]]);
	}
}

/*
 * Error along the vector counts eta times what error across does (Guo et al.,
 * arXiv 1908.10396): a query with a large product with the vector sees the
 * former.  Under L2 it is the residual that queries nearby point along.  Vectors are
 * encoded by the same rule (code_list_pq.c).
 */
void
vecx_pq_train_anisotropic(VecxPqTrainer *t)
{
	VecxListCode *code = t->code;
	uint32_t	n = (code->pdims + code->ncolumns - 1) / code->ncolumns;
	size_t		size = (size_t) n * (n + 1) << code->bits;
	double		score2 = ANISOTROPIC_SCORE * ANISOTROPIC_SCORE;
	float	   *weights;
	float	   *along;
	double	   *systems;

	vecx_pq_train_kmeans(t);
	if (n > ANISOTROPIC_DIMS)
		return;
	code->eta = (float) fmin((double) (code->dim - 1) * score2 / (1.0 - score2), ANISOTROPIC_MAX);
	if (vecx_pq_errs_along_vector(code))
		vecx_pq_project_vectors(t);
	weights = vecx_train_alloc(t->env, t->nrows, sizeof(float));
	along = vecx_train_alloc(t->env, t->nrows, sizeof(float));
	systems = vecx_train_alloc(t->env, size, sizeof(double));
	for (size_t r = 0; r < t->nrows; r++)
	{
		const float *x = vectors_along(t) + r * code->pdims;
		float		x2 = vecx_kernels->ip_f32(x, x, code->pdims);

		weights[r] = x2 >= FLT_MIN ? fmaxf(code->eta - 1.0f, 0.0f) / x2 : 0.0f;
	}
	for (int round = 0; round < ANISOTROPIC_ROUNDS; round++)
	{
		vecx_pq_assign_rows(t);
		errors_along(t, along);
		for (uint32_t c = 0; c < code->ncolumns; c++)
		{
			t->env->poll(t->env->arg);
			move_column(t, c, along, weights, systems);
		}
		vecx_pq_halves(t);
	}
	vecx_train_free(t->env, weights);
	vecx_train_free(t->env, along);
	vecx_train_free(t->env, systems);
}

/* ---- query-aware ---- */

/* The second moment of the queries' directions from the mean, of mean 1. */
static float *
query_moment(VecxPqTrainer *t)
{
	size_t		h = t->code->hdim;
	uint32_t	dim = t->code->dim;
	size_t		n = vecx_pq_query_count(t);
	float	   *m = vecx_train_alloc(t->env, h * h, sizeof(float));
	float	   *product = vecx_train_alloc(t->env, h * h, sizeof(float));
	float	   *rows = vecx_train_alloc(t->env, 256 * h, sizeof(float));
	float	   *turned = vecx_train_alloc(t->env, 256 * h, sizeof(float));
	uint16_t   *half = vecx_train_alloc(t->env, 256 * h, sizeof(uint16_t));
	float	   *r = vecx_train_alloc(t->env, dim + vecx_hadamard_floats(dim), sizeof(float));
	double		trace = 0.0;
	double		diagonal;

	memset(m, 0, h * h * sizeof(float));
	for (size_t first = 0; first < n; first += 256)
	{
		size_t		count = n - first < 256 ? n - first : 256;

		for (size_t i = 0; i < count; i++)
		{
			const float *q = vecx_pq_query(t, first + i, n);
			bool		held_out = vecx_pq_is_held_out(first + i);
			float		norm = sqrtf(vecx_kernels->l2sq_f32(q, t->mean, dim));

			for (uint32_t d = 0; d < dim; d++)
				r[d] = norm > 0.0f && !held_out ? (q[d] - t->mean[d]) / norm : 0.0f;
			vecx_list_reduce(t->code, r, rows + i * h, r + dim);
		}
		vecx_train_transpose(rows, count, h, turned);
		vecx_train_gemm(t->env, h, h, count, turned, turned, product, half);
		for (size_t i = 0; i < h * h; i++)
			m[i] += product[i];
	}
	for (size_t i = 0; i < h; i++)
		trace += (double) m[i * h + i];
	diagonal = trace > 0.0 ? (1.0 - (double) TRANSFORM_SHRINK) * (double) h / trace : 0.0;
	for (size_t i = 0; i < h * h; i++)
		m[i] = (float) (diagonal * (double) m[i]) + (i % (h + 1) == 0 ? TRANSFORM_SHRINK : 0.0f);
	vecx_train_free(t->env, product);
	vecx_train_free(t->env, rows);
	vecx_train_free(t->env, turned);
	vecx_train_free(t->env, half);
	vecx_train_free(t->env, r);
	return m;
}

/*
 * With H the second moment of queries, the error e of a vector costs e H e on
 * average (A2ATS, arXiv 2502.12665): vectors are quantised after its root, and
 * queries are turned by the inverse, which leaves products what they were.
 */
void
vecx_pq_query_transform(VecxPqTrainer *t)
{
	size_t		h = t->code->hdim;
	float	   *m = query_moment(t);

	t->transform = vecx_train_alloc(t->env, h * h, sizeof(float));
	t->inverse = vecx_train_alloc(t->env, h * h, sizeof(float));
	/* nearer to the identity until there are roots */
	while (!vecx_square_roots(t->env, m, h, t->transform, t->inverse))
		for (size_t i = 0; i < h * h; i++)
			m[i] = m[i] / 2.0f + (i % (h + 1) == 0 ? 0.5f : 0.0f);
	vecx_train_free(t->env, m);
}

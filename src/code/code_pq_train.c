/*
 * code_pq_train.c
 *    Training of product quantisation: the projection that makes parts alike
 *    and independent, learned with the codebooks (OPQ, Ge, He, Ke and Sun 2013),
 *    and then the codebooks by the training that was asked for.
 *
 * The projection begins with principal directions, dealt out to the columns so
 * that each gets about the same product of variances; then codebooks and a
 * rotation for them are improved in turn.
 */
#include "code_pq_train.h"

/* Dimensions that are kept, unless there are more columns than half of them; of few rows
 * fewer, a multiple of PQ_DIMS_STEP: directions that so few rows show are those of these rows
 * alone.  Of 2,924 BGE vectors' 1,024 dimensions 256 are as good as 512: all of sixteen lists
 * have .998 to 1.000 of the nearest, not .9975, and the matrix takes half. */
#define PQ_KEPT_DIMS		512
#define PQ_ROWS_PER_DIM		8
#define PQ_DIMS_STEP		128
#define PQ_DEFAULT_MEMORY	((size_t) 64 * 1024 * 1024)
/* Whatever the memory: with fewer there is nothing to learn. */
#define PQ_LEAST_ROWS		1024
/* Rows that are learned from for each entry of a book, or a third of the sample if that is more:
 * the rest shows how far estimates are off for rows that nothing was learned from.  Of 2,924 BGE
 * vectors' nearest .9995 are found by a code of 1,024 that is judged by all, .9575 by one that is
 * judged by its own. */
#define PQ_ROWS_PER_ENTRY	64
#define PQ_FIRST_LLOYD		6
#define PQ_ROTATIONS		3

static const struct
{
	bool		rotated;
	bool		judged;			/* kept only if better than k-means */
	void		(*transform) (VecxPqTrainer *t);	/* before the projection, or NULL */
	void		(*books) (VecxPqTrainer *t);
}			trainings[] =
{
	[VECX_PQ_KMEANS] = {true, false, NULL, vecx_pq_train_kmeans},
	[VECX_PQ_BALANCED] = {true, false, NULL, vecx_pq_train_balanced},
	[VECX_PQ_ANISOTROPIC] = {true, false, NULL, vecx_pq_train_anisotropic},
	[VECX_PQ_DISTILL] = {true, false, NULL, vecx_pq_train_distill},
	[VECX_PQ_QUERY_AWARE] = {true, true, vecx_pq_query_transform, vecx_pq_train_kmeans},
	[VECX_PQ_PLAIN] = {false, false, NULL, vecx_pq_train_kmeans},
};

uint32_t
vecx_pq_dims(const VecxListCode *code, size_t nrows)
{
	uint32_t	hdim = vecx_basis_hdim(code->metric, code->dim);
	uint32_t	most = VECX_PQ_MATRIX_MAX / hdim;
	uint32_t	wanted = 2 * code->ncolumns > PQ_KEPT_DIMS ? 2 * code->ncolumns : PQ_KEPT_DIMS;
	size_t		shown = nrows / PQ_ROWS_PER_DIM / PQ_DIMS_STEP * PQ_DIMS_STEP;

	shown = shown > PQ_DIMS_STEP ? shown : PQ_DIMS_STEP;

	/* random directions of a code that learns nothing are the better, the more there are */
	if (nrows >= vecx_pq_least_rows(code->bits) && shown < wanted)
		wanted = shown > code->ncolumns ? (uint32_t) shown : code->ncolumns;
	if (!trainings[code->training].rotated)
		wanted = hdim;
	wanted = wanted < most ? wanted : most;
	return wanted < hdim ? wanted : hdim;
}

/* As many rows as memory has room for, beside the matrices, or as are enough. */
static void
choose_rows(VecxPqTrainer *t)
{
	size_t		entries = (size_t) PQ_ROWS_PER_ENTRY << t->code->bits;
	size_t		enough = t->sample->nrows / 3 > entries ? t->sample->nrows / 3 : entries;
	size_t		memory = t->sample->memory > 0 ? t->sample->memory : PQ_DEFAULT_MEMORY;
	size_t		h = t->code->hdim;
	size_t		p = t->code->pdims;
	size_t		matrices = t->code->training == VECX_PQ_QUERY_AWARE ? 8 : 4;
	/* those of directions or of rotations, and what making them orthonormal takes */
	size_t		fixed = matrices * h * h * sizeof(float) + 5 * p * p * sizeof(float) + 2 * p * h * sizeof(uint16_t);
	size_t		each = 2 * p * sizeof(float) + t->code->ncolumns;
	size_t		most = memory > fixed ? (memory - fixed) / each : 0;

	most = most < PQ_LEAST_ROWS ? PQ_LEAST_ROWS : most;
	most = most < enough ? most : enough;
	t->nrows = t->sample->nrows < most ? t->sample->nrows : most;
}

/* ---- the projection ---- */

static void
take_first_dims(VecxPqTrainer *t)
{
	size_t		h = t->code->hdim;

	memset(t->matrix, 0, t->code->pdims * h * sizeof(float));
	for (size_t i = 0; i < t->code->pdims; i++)
		t->matrix[i * h + i] = 1.0f;
}

/* ---- codebooks ---- */

/* Half of each centroid's squared length. */
void
vecx_pq_halves(VecxPqTrainer *t)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;

	for (uint32_t c = 0; c < code->ncolumns; c++)
		for (uint32_t k = 0; k < entries; k++)
		{
			float		sum = 0.0f;

			for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
				sum += t->books[(size_t) i * entries + k] * t->books[(size_t) i * entries + k];
			t->halves[(size_t) c * entries + k] = sum / 2.0f;
		}
}

void
vecx_pq_assign_rows(VecxPqTrainer *t)
{
	for (size_t i = 0; i < t->nrows; i++)
	{
		if (i % 64 == 0)
			t->env->poll(t->env->arg);
		vecx_pq_assign(t->code, t->y + i * t->code->pdims,
					   (t->x_y ? t->x_y : t->y) + i * t->code->pdims,
					   t->codes + i * t->code->ncolumns);
	}
}

/* Random rows' parts as centroids. */
static void
first_centroids(VecxPqTrainer *t)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;

	for (uint32_t c = 0; c < code->ncolumns; c++)
		for (uint32_t k = 0; k < entries; k++)
		{
			const float *y = t->y + (size_t) vecx_random_below(&t->rng, (uint32_t) t->nrows) * code->pdims;

			for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
				t->books[(size_t) i * entries + k] = y[i];
		}
	vecx_pq_halves(t);
}

/* Moves a centroid that nobody chose beside one that most chose. */
static void
split_largest(VecxPqTrainer *t, uint32_t c, uint32_t empty, uint32_t *counts)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;
	uint32_t	largest = 0;

	for (uint32_t k = 1; k < entries; k++)
		if (counts[k] > counts[largest])
			largest = k;
	counts[empty] = counts[largest] /= 2;
	for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
	{
		float	   *book = t->books + (size_t) i * entries;

		book[empty] = book[largest] * (1.0f + 0.01f * (float) vecx_random_normal(&t->rng));
	}
}

/* Each centroid to the mean of the rows of y that have it. */
void
vecx_pq_move_centroids(VecxPqTrainer *t, const float *y)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;
	uint32_t   *counts = vecx_train_alloc(t->env, code->ncolumns * (size_t) entries, sizeof(uint32_t));
	float	   *sums = vecx_train_alloc(t->env, code->pdims * (size_t) entries, sizeof(float));

	memset(counts, 0, code->ncolumns * (size_t) entries * sizeof(uint32_t));
	memset(sums, 0, code->pdims * (size_t) entries * sizeof(float));
	for (size_t r = 0; r < t->nrows; r++, y += code->pdims)
	{
		const uint8_t *codes = t->codes + r * code->ncolumns;

		if (r % 256 == 0)
			t->env->poll(t->env->arg);
		for (uint32_t c = 0; c < code->ncolumns; c++)
		{
			counts[c * entries + codes[c]]++;
			for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
				sums[(size_t) i * entries + codes[c]] += y[i];
		}
	}
	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		uint32_t   *count = counts + c * entries;

		for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
			for (uint32_t k = 0; k < entries; k++)
				if (count[k] > 0)
					t->books[(size_t) i * entries + k] =
						sums[(size_t) i * entries + k] / (float) count[k];
		for (uint32_t k = 0; k < entries; k++)
			if (count[k] == 0)
				split_largest(t, c, k, count);
	}
	vecx_pq_halves(t);
	vecx_train_free(t->env, counts);
	vecx_train_free(t->env, sums);
}

static void
decode_rows(VecxPqTrainer *t, size_t first, size_t n, float *decoded)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;

	for (size_t r = first; r < first + n; r++, decoded += code->pdims)
		for (uint32_t c = 0; c < code->ncolumns; c++)
			for (uint32_t i = vecx_pq_first(code, c); i < vecx_pq_first(code, c + 1); i++)
				decoded[i] = t->books[(size_t) i * entries + t->codes[r * code->ncolumns + c]];
}

/*
 * The rotation that brings the rows nearest to what their codes stand for: the
 * orthogonal factor of decoded^T before.
 */
static void
best_rotation(VecxPqTrainer *t, const float *before, float *rotation)
{
	const VecxTrainEnv *env = t->env;
	size_t		p = t->code->pdims;
	float	   *decoded = vecx_train_alloc(env, PQ_BATCH * p, sizeof(float));
	float	   *left = vecx_train_alloc(env, PQ_BATCH * p, sizeof(float));
	float	   *right = vecx_train_alloc(env, PQ_BATCH * p, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, PQ_BATCH * p, sizeof(uint16_t));
	float	   *product = vecx_train_alloc(env, p * p, sizeof(float));

	memset(rotation, 0, p * p * sizeof(float));
	for (size_t i = 0; i < t->nrows; i += PQ_BATCH)
	{
		size_t		n = t->nrows - i < PQ_BATCH ? t->nrows - i : PQ_BATCH;

		decode_rows(t, i, n, decoded);
		vecx_train_transpose(decoded, n, p, left);
		vecx_train_transpose(before + i * p, n, p, right);
		vecx_train_gemm(env, p, p, n, left, right, product, half);
		for (size_t k = 0; k < p * p; k++)
			rotation[k] += product[k];
	}
	vecx_train_free(env, decoded);
	vecx_train_free(env, left);
	vecx_train_free(env, right);
	vecx_train_free(env, half);
	vecx_train_free(env, product);
	vecx_polar(env, &t->rng, rotation, p);
}

/* Improves books and rotation in turn; y and the matrix are rotated in the end. */
static void
learn_rotation(VecxPqTrainer *t)
{
	const VecxTrainEnv *env = t->env;
	size_t		p = t->code->pdims;
	size_t		h = t->code->hdim;
	float	   *before = vecx_train_alloc(env, t->nrows * p, sizeof(float));
	float	   *rotation = vecx_train_alloc(env, p * p, sizeof(float));
	float	   *rotated = vecx_train_alloc(env, p * h, sizeof(float));
	float	   *turned = vecx_train_alloc(env, p * h, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, p * h, sizeof(uint16_t));

	memcpy(before, t->y, t->nrows * p * sizeof(float));
	for (int i = 0; i < PQ_ROTATIONS; i++)
	{
		best_rotation(t, before, rotation);
		vecx_train_gemm(env, t->nrows, p, p, before, rotation, t->y, half);
		vecx_pq_assign_rows(t);
		vecx_pq_move_centroids(t, t->y);
	}
	vecx_train_transpose(t->matrix, p, h, turned);
	vecx_train_gemm(env, p, h, p, rotation, turned, rotated, half);
	memcpy(t->matrix, rotated, p * h * sizeof(float));
	vecx_train_free(env, before);
	vecx_train_free(env, rotation);
	vecx_train_free(env, rotated);
	vecx_train_free(env, turned);
	vecx_train_free(env, half);
}

/* ---- the whole ---- */

/* half[p][h] of m times the symmetric other[h][h], which may be NULL */
static void
store_matrix(VecxPqTrainer *t, const float *other, uint16_t *to)
{
	size_t		h = t->code->hdim;
	size_t		p = t->code->pdims;
	float	   *product = NULL;

	if (other != NULL)
	{
		uint16_t   *half = vecx_train_alloc(t->env, h * h, sizeof(uint16_t));

		product = vecx_train_alloc(t->env, p * h, sizeof(float));
		vecx_train_gemm(t->env, p, h, h, t->matrix, other, product, half);
		vecx_train_free(t->env, half);
	}
	vecx_kernels->f32_to_f16(product ? product : t->matrix, to, p * h);
	vecx_train_free(t->env, product);
}

/* Puts everything where the serialised form wants it, in the rows' own scale. */
static void
store_result(VecxPqTrainer *t)
{
	VecxListCode *code = t->code;
	size_t		nbooks = (size_t) code->pdims << code->bits;

	store_matrix(t, t->transform, (uint16_t *) code->encode_matrix);
	if (t->transform != NULL)
		store_matrix(t, t->inverse, (uint16_t *) code->query_matrix);
	for (size_t i = 0; i < nbooks; i++)
		t->books[i] *= t->scale;
	if (t->score_books != t->books)
		for (size_t i = 0; i < nbooks; i++)
			t->score_books[i] *= t->scale;
	vecx_pq_halves(t);
}

/*
 * Without rows to learn from: random directions, and in each column centroids of
 * one length in random directions, which say at least where a vector points.
 */
static void
make_random(VecxPqTrainer *t)
{
	const VecxListCode *code = t->code;
	uint32_t	entries = 1u << code->bits;
	size_t		h = code->hdim;

	if (trainings[code->training].rotated)
	{
		for (size_t i = 0; i < code->pdims * h; i++)
			t->matrix[i] = (float) vecx_random_normal(&t->rng);
		vecx_train_orthonormalise(t->env, &t->rng, t->matrix, code->pdims, h);
	}
	else
		take_first_dims(t);
	for (uint32_t c = 0; c < code->ncolumns; c++)
		for (uint32_t k = 0; k < entries; k++)
		{
			uint32_t	first = vecx_pq_first(code, c);
			uint32_t	end = vecx_pq_first(code, c + 1);
			double		norm2 = 0.0;

			for (uint32_t i = first; i < end; i++)
			{
				double		x = vecx_random_normal(&t->rng);

				t->books[(size_t) i * entries + k] = (float) x;
				norm2 += x * x;
			}
			for (uint32_t i = first; i < end && norm2 > 0.0; i++)
				t->books[(size_t) i * entries + k] *=
					(float) sqrt((double) (end - first) / code->pdims / norm2);
		}
	vecx_pq_halves(t);
	memcpy(t->score_books, t->books, ((size_t) code->pdims << code->bits) * sizeof(float));
}

static void
learn(VecxPqTrainer *t)
{
	const VecxListCode *code = t->code;

	if (trainings[code->training].rotated)
		vecx_pq_find_directions(t);
	else
		take_first_dims(t);
	vecx_pq_project_rows(t);
	first_centroids(t);
	for (int i = 0; i < PQ_FIRST_LLOYD; i++)
	{
		vecx_pq_assign_rows(t);
		vecx_pq_move_centroids(t, t->y);
	}
	vecx_pq_assign_rows(t);
	if (trainings[code->training].rotated)
		learn_rotation(t);
	trainings[code->training].books(t);
}

/* Takes the estimate by which the fewest rows have to be looked at. */
static void
choose_estimate(const VecxTrainEnv *env, VecxListCode *code, const VecxListSample *sample)
{
	VecxPqJudge *judge = vecx_pq_judge(env, code, sample);
	VecxListCode best = *code;
	double		least = (double) FLT_MAX;

	for (int estimate = VECX_LIST_STRETCHED; estimate <= VECX_LIST_EXPECTED; estimate++)
	{
		double		depth;

		code->estimate = (VecxListEstimate) estimate;
		vecx_pq_judge_spread(judge, code);
		depth = vecx_pq_judge_depth(judge);
		if (depth < least)
		{
			least = depth;
			best = *code;
		}
	}
	*code = best;
	vecx_pq_judge_end(judge);
}

static double
judged_depth(const VecxTrainEnv *env, const VecxListCode *code, const VecxListSample *sample)
{
	VecxPqJudge *judge = vecx_pq_judge(env, code, sample);
	double		depth = vecx_pq_judge_depth(judge);

	vecx_pq_judge_end(judge);
	return depth;
}

static uint8_t *
train_code(const VecxTrainEnv *env, VecxListCode *code, const VecxListSample *sample,
		   size_t *nbytes)
{
	bool		two_books = code->training == VECX_PQ_DISTILL;
	bool		two_matrices = code->training == VECX_PQ_QUERY_AWARE;
	VecxPqTrainer t;
	uint8_t    *bytes;
	bool		enough;

	memset(&t, 0, sizeof(t));
	t.env = env;
	t.code = code;
	t.sample = sample;
	t.rng = code->seed ^ UINT64_C(0x50726F64756374);
	bytes = vecx_list_code_format(env, code, two_matrices, two_books, nbytes);
	t.books = (float *) code->encode_books;
	t.halves = (float *) code->encode_halves;
	t.score_books = (float *) code->score_books;
	choose_rows(&t);
	enough = t.nrows >= vecx_pq_least_rows(code->bits);
	t.mean = vecx_train_alloc(env, code->dim, sizeof(float));
	t.matrix = vecx_train_alloc(env, (size_t) code->pdims * code->hdim, sizeof(float));
	t.y = vecx_train_alloc(env, t.nrows * code->pdims, sizeof(float));
	t.codes = vecx_train_alloc(env, t.nrows * code->ncolumns, 1);
	memset(t.books, 0, ((size_t) code->pdims << code->bits) * sizeof(float));
	memset(t.score_books, 0, ((size_t) code->pdims << code->bits) * sizeof(float));

	if (sample->centres == NULL || trainings[code->training].transform != NULL)
		vecx_pq_find_mean(env, code, sample, t.nrows, t.mean);
	vecx_pq_measure_scale(&t);
	if (trainings[code->training].transform != NULL)
		trainings[code->training].transform(&t);
	if (enough)
		learn(&t);
	else
		make_random(&t);
	store_result(&t);
	code->trained_rows = enough ? (uint32_t) t.nrows : 0;
	code->spread = 1.0f;
	if (enough)
		choose_estimate(env, code, sample);
	vecx_list_code_seal(bytes, code);
	vecx_train_free(env, t.mean);
	vecx_train_free(env, t.matrix);
	vecx_train_free(env, t.transform);
	vecx_train_free(env, t.inverse);
	vecx_train_free(env, t.y);
	vecx_train_free(env, t.x_y);
	vecx_train_free(env, t.codes);
	return bytes;
}

/*
 * A training that may do harm is compared with k-means, and has to leave fewer rows
 * to look at.
 */
uint8_t *
vecx_pq_train(const VecxTrainEnv *env, VecxListCode *code, const VecxListSample *sample,
			  size_t *nbytes)
{
	VecxListCode plain = *code;
	uint8_t    *bytes = train_code(env, code, sample, nbytes);
	uint8_t    *plain_bytes;
	size_t		plain_nbytes;

	if (!trainings[code->training].judged)
		return bytes;
	plain.training = VECX_PQ_KMEANS;
	plain_bytes = train_code(env, &plain, sample, &plain_nbytes);
	if (judged_depth(env, code, sample) < judged_depth(env, &plain, sample))
	{
		vecx_train_free(env, plain_bytes);
		return bytes;
	}
	vecx_train_free(env, bytes);
	*code = plain;
	*nbytes = plain_nbytes;
	return plain_bytes;
}

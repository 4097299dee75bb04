/*
 * code_choose.c
 *    Choice of a sketch's size and shape by trying it on the sample.
 *
 * A search opens vertices near the query and must tell which of their
 * neighbours to open next.  So rows of the sample play queries, rows near them
 * play vertices, and the rows nearest to a vertex its neighbours.  The score of
 * a basis is the mean correlation of the estimated with the true distances from
 * a query to the neighbours of its vertex, all taken with the functions that
 * searches use.
 *
 * Rows that are judged by are not trained on: 2,000 rows of flat spectrum and
 * 256 directions fit each other so well that the score would favour few
 * dimensions.
 */
#include "code_train.h"

#define JUDGE_QUERIES		100
/* Where every projection needs a long Hadamard transform. */
#define JUDGE_QUERIES_WIDE	25
#define JUDGE_NEIGHBOURS	32
#define JUDGE_MAX_ROWS		1000
/* Of queries and vertices; every second row of the sample. */
#define JUDGE_MIN_ROWS		100
/* A vertex is the nearest row or this one of the nearest. */
#define JUDGE_FARTHER		10

/*
 * Sizes to try, and the score at which one is large enough.  Scores, and
 * recall@10 at 100 opened vertices of an HNSW graph (M 16) that is searched by
 * sketches alone (exact distances: ACL .986, the others above .995):
 *                         32 bytes       64 bytes       128 bytes
 *    Fashion-MNIST 784    .963  .9993    .987  .9996
 *    SIFT 128             .973  .9941    .998  .994
 *    BGE 1024             .890  .9943    .955  .9998    .981  1.0
 *    ACL LSA 512          .738  .937     .840  .982     .955  .986
 * A vertex of 128-byte sketches takes a page of its own, so that only what
 * 64 bytes cannot serve goes there.  Going from 32 to 64 bytes saves
 * Fashion-MNIST every eighth hop.
 */
#define SMALL_BYTES		32
#define SMALL_ENOUGH	0.985
#define MEDIUM_BYTES	64
#define MEDIUM_ENOUGH	0.75
#define LARGE_BYTES		128

/*
 * Some twenty links hang on one vertex: a sketch of more than a quarter of its
 * 8-bit code makes it longer than the hops it saves are worth.
 */
#define JUDGE_CODE_SHARE	4

/* A larger size must leave less than this share of the score's rest. */
#define JUDGE_LARGER_SIZE	0.8

/*
 * Twice the bits of half the dimensions must leave less than this share of the
 * score's rest to be preferred: it depends on the sample's directions more, the
 * more so if the other shape keeps all dimensions and depends on none.
 */
#define JUDGE_FEWER_DIMS	0.7
#define JUDGE_NOT_ALL_DIMS	0.4

typedef struct VecxJudge
{
	const VecxTrainer *t;
	const float *sample;
	uint32_t	step;			/* between the rows judged by */
	uint32_t	nrows;			/* how many there are; the next are numbers of them */
	uint32_t	nqueries;
	uint32_t	query[JUDGE_QUERIES];
	uint32_t	vertex[JUDGE_QUERIES];
	uint32_t	neighbour[JUDGE_QUERIES][JUDGE_NEIGHBOURS];
	float		dist_vn[JUDGE_QUERIES][JUDGE_NEIGHBOURS];
} VecxJudge;

/* Scratch of judge_score. */
typedef struct VecxJudgeRoom
{
	float	   *vecs;			/* some rows */
	float	   *proj;			/* of all rows */
	float	   *scratch;
	uint8_t    *sketches;
	int8_t	   *codes;
} VecxJudgeRoom;

static const float *
judge_row(const VecxJudge *j, uint32_t row)
{
	return j->sample + (size_t) row * j->step * j->t->dim;
}

static float
judge_distance(const VecxJudge *j, uint32_t a, uint32_t b)
{
	if (j->t->metric == VECX_METRIC_IP)
		return vecx_finite(-(double) vecx_kernels->ip_f32(judge_row(j, a), judge_row(j, b), j->t->dim));
	return vecx_finite((double) vecx_kernels->l2sq_f32(judge_row(j, a), judge_row(j, b), j->t->dim));
}

static void
judge_init(VecxJudge *j, const VecxTrainer *t, const float *sample, size_t nrows)
{
	uint64_t	rng = t->seed ^ UINT64_C(0x4A75646765);
	const float *some[JUDGE_QUERIES];
	const float *all[JUDGE_MAX_ROWS];
	VecxPairs	pairs = {t->metric, t->dim, 0, 0, some, all, NULL};

	j->t = t;
	j->sample = sample;
	/* Even rows: the odd ones are trained on. */
	j->step = (uint32_t) (nrows / 2 / JUDGE_MAX_ROWS + 1) * 2;
	j->nrows = (uint32_t) (nrows / j->step);
	j->nqueries = t->hdim < t->dim ? JUDGE_QUERIES_WIDE : JUDGE_QUERIES;
	pairs.nqueries = j->nqueries;
	pairs.nrows = j->nrows;
	for (uint32_t r = 0; r < j->nrows; r++)
		all[r] = judge_row(j, r);
	for (size_t k = 0; k < j->nqueries; k++)
	{
		j->query[k] = vecx_random_below(&rng, j->nrows);
		some[k] = all[j->query[k]];
	}
	vecx_pairs_init(&pairs, t->env);
	for (size_t k = 0; k < j->nqueries; k++)
	{
		uint32_t	near[JUDGE_FARTHER];
		float		dists[JUDGE_FARTHER];

		(void) vecx_pairs_nearest(&pairs, k, j->query[k], j->query[k], JUDGE_FARTHER, near, dists);
		j->vertex[k] = near[k % 2 == 0 ? 0 : JUDGE_FARTHER - 1];
	}
	vecx_pairs_free(&pairs, t->env);
	for (size_t k = 0; k < j->nqueries; k++)
		some[k] = all[j->vertex[k]];
	vecx_pairs_init(&pairs, t->env);
	for (size_t k = 0; k < j->nqueries; k++)
		(void) vecx_pairs_nearest(&pairs, k, j->vertex[k], j->query[k], JUDGE_NEIGHBOURS, j->neighbour[k],
								  j->dist_vn[k]);
	vecx_pairs_free(&pairs, t->env);
}

/* Correlation of a and b; 1 if a does not vary, for then there is nothing to rank. */
static double
judge_correlation(const float *a, const float *b, size_t n)
{
	double		mean_a = 0.0;
	double		mean_b = 0.0;
	double		aa = 0.0;
	double		bb = 0.0;
	double		ab = 0.0;

	for (size_t i = 0; i < n; i++)
	{
		mean_a += (double) a[i] / (double) n;
		mean_b += (double) b[i] / (double) n;
	}
	for (size_t i = 0; i < n; i++)
	{
		double		da = (double) a[i] - mean_a;
		double		db = (double) b[i] - mean_b;

		aa += da * da;
		bb += db * db;
		ab += da * db;
	}
	if (aa <= 0.0)
		return 1.0;
	return bb <= 0.0 ? 0.0 : ab / sqrt(aa) / sqrt(bb);
}

/* Projects all rows that are judged by: each is a neighbour of many. */
static void
judge_project(const VecxJudge *j, const VecxBasis *basis, const VecxJudgeRoom *room)
{
	uint32_t	dim = j->t->dim;

	for (uint32_t first = 0, n; first < j->nrows; first += n)
	{
		n = (uint32_t) vecx_rows_at_once(dim, j->nrows - first);
		j->t->env->poll(j->t->env->arg);
		for (uint32_t i = 0; i < n; i++)
			memcpy(room->vecs + (size_t) i * dim, judge_row(j, first + i), dim * sizeof(float));
		vecx_basis_project_many(basis, room->vecs, n, room->proj + (size_t) first * basis->pdims,
								room->scratch);
	}
}

/* The score that one query gives. */
static double
judge_query(const VecxJudge *j, const VecxBasis *basis, size_t k, const VecxJudgeRoom *room)
{
	size_t		size = vecx_sketch_size(basis);
	const float *v = judge_row(j, j->vertex[k]);
	float		dist_qv = judge_distance(j, j->query[k], j->vertex[k]);
	float		norm_v2 = vecx_kernels->ip_f32(v, v, j->t->dim);
	VecxSketchQuery query;
	float		truth[JUDGE_NEIGHBOURS];
	float		est[JUDGE_NEIGHBOURS];
	int32_t		counts[JUDGE_NEIGHBOURS];

#define PROJECTION(row)	(room->proj + (size_t) (row) * basis->pdims)
	j->t->env->poll(j->t->env->arg);
	for (size_t n = 0; n < JUDGE_NEIGHBOURS; n++)
	{
		truth[n] = judge_distance(j, j->query[k], j->neighbour[k][n]);
		vecx_sketch_encode(basis, PROJECTION(j->vertex[k]), PROJECTION(j->neighbour[k][n]), norm_v2,
						   j->dist_vn[k][n], 0, room->sketches + n * size);
	}
	vecx_sketch_query_init(basis, PROJECTION(j->query[k]), 0, room->codes, &query);
#undef PROJECTION
	vecx_sketch_estimate(basis, &query, dist_qv, norm_v2, room->sketches, size,
						 JUDGE_NEIGHBOURS, counts, est);
	return judge_correlation(truth, est, JUDGE_NEIGHBOURS);
}

static double
judge_score(const VecxJudge *j, VecxTrainer *t, uint32_t ndims, uint32_t nplanes)
{
	const VecxTrainEnv *env = t->env;
	size_t		nbytes;
	uint8_t    *bytes = vecx_train_basis(t, ndims, nplanes, &nbytes);
	VecxBasis	basis;
	VecxJudgeRoom room;
	double		sum = 0.0;

	if (vecx_basis_bind(&basis, bytes, nbytes) != NULL)
	{
		vecx_train_free(env, bytes);
		return 0.0;
	}
	room.vecs = vecx_train_alloc(env, vecx_rows_at_once(t->dim, j->nrows) * t->dim, sizeof(float));
	room.proj = vecx_train_alloc(env, (size_t) j->nrows * basis.pdims, sizeof(float));
	room.scratch = vecx_train_alloc(env, vecx_basis_scratch_floats(&basis, j->nrows), sizeof(float));
	room.sketches = vecx_train_alloc(env, JUDGE_NEIGHBOURS, vecx_sketch_size(&basis));
	room.codes = vecx_train_alloc(env, basis.pdims, 1);
	judge_project(j, &basis, &room);
	for (size_t k = 0; k < j->nqueries; k++)
		sum += judge_query(j, &basis, k, &room);
	vecx_train_free(env, room.vecs);
	vecx_train_free(env, room.proj);
	vecx_train_free(env, room.scratch);
	vecx_train_free(env, room.sketches);
	vecx_train_free(env, room.codes);
	vecx_train_free(env, bytes);
	return sum / (double) j->nqueries;
}

/* The better shape of sketches of so many bytes, and its score. */
static double
judge_size(const VecxJudge *j, VecxTrainer *t, uint32_t sketch_bytes,
		   uint32_t *ndims, uint32_t *nplanes)
{
	double		wide = 0.0;
	double		narrow;
	bool		all;
	bool		tried;

	vecx_basis_shape(t->metric, t->dim, sketch_bytes, ndims, nplanes);
	all = *ndims == t->hdim;
	/* Half the dimensions must fill as many bytes, and make a random code. */
	if (*ndims % 128 != 0 || *nplanes > 4)
		return judge_score(j, t, *ndims, *nplanes);
	/* More directions than the rows have are any; to find all that these have is the larger
	 * part of what a small table's training takes. */
	tried = all || *ndims <= t->nrows;
	if (tried)
		wide = judge_score(j, t, *ndims, *nplanes);
	narrow = judge_score(j, t, *ndims / 2, *nplanes * 2);
	if (tried && 1.0 - narrow >= (all ? JUDGE_NOT_ALL_DIMS : JUDGE_FEWER_DIMS) * (1.0 - wide))
		return wide;
	*ndims /= 2;
	*nplanes *= 2;
	return narrow;
}

/* Whether sketches of so many bytes may be chosen. */
static bool
may_be(const VecxTrainer *t, uint32_t sketch_bytes)
{
	return sketch_bytes <= vecx_sketch_default_bytes(t->metric, t->dim, UINT32_MAX) &&
		sketch_bytes <= t->dim / JUDGE_CODE_SHARE;
}

static bool
betters(double larger, double score)
{
	return 1.0 - larger < JUDGE_LARGER_SIZE * (1.0 - score);
}

/*
 * The smallest size that is enough, or that a larger one hardly betters.  The middle one is
 * tried first: where it is enough, but not for the smallest, that is not either.
 */
static void
judge_sizes(const VecxJudge *j, VecxTrainer *t, uint32_t *ndims, uint32_t *nplanes)
{
	double		medium = -1.0;	/* not to be had */
	double		other;
	uint32_t	dims;
	uint32_t	planes;

	if (may_be(t, MEDIUM_BYTES))
		medium = judge_size(j, t, MEDIUM_BYTES, ndims, nplanes);
	if (medium >= MEDIUM_ENOUGH && medium < SMALL_ENOUGH)
		return;
	other = judge_size(j, t, SMALL_BYTES, &dims, &planes);
	if (other < SMALL_ENOUGH && betters(medium, other))
	{
		if (medium >= MEDIUM_ENOUGH || !may_be(t, LARGE_BYTES))
			return;
		other = judge_size(j, t, LARGE_BYTES, &dims, &planes);
		if (!betters(other, medium))
			return;
	}
	*ndims = dims;
	*nplanes = planes;
}

bool
vecx_train_choose(VecxTrainer *t, const float *sample, size_t nrows, uint32_t sketch_bytes,
				  uint32_t *ndims, uint32_t *nplanes)
{
	VecxJudge  *j;

	if (nrows < 2 * JUDGE_MIN_ROWS || !t->varied)
		return false;
	j = vecx_train_alloc(t->env, 1, sizeof(*j));
	judge_init(j, t, sample, nrows);
	if (sketch_bytes > 0)
		(void) judge_size(j, t, sketch_bytes, ndims, nplanes);
	else
		judge_sizes(j, t, ndims, nplanes);
	vecx_train_free(t->env, j);
	return true;
}

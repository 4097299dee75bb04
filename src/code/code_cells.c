/*
 * code_cells.c
 *    Cells of near vectors, see code_cells.h.
 */
#include "code_cells.h"
#include "code_cluster.h"
#include "code_int.h"

#include <stdlib.h>

#define MAGIC			0x6c637876	/* "vxcl", as a little-endian machine has it */

/* So many times a cell's mean squared radius from its centre is outside of it. */
#define OUTSIDE			4.0f
/* Of the mean of all cells', the least squared radius: few members say little. */
#define LEAST_RADIUS2	0.25

/* Vectors of the sample that neighbours are looked for of, up to which rank, and of those up to
 * a rank so many are looked at. */
#define QUERIES			300
#define MOST_RANK		(1u << (VECX_CELLS_RANKS - 1))
#define PICKED			8

static const float recalls[VECX_CELLS_RECALLS] = {0.80f, 0.90f, 0.95f, 0.97f, 0.99f};
/*
 * What is missed is missed in three ways, by cells, sketches and codes: so much of it by cells.
 * Were it a fifth, it would be more where all that matches is far: then those within reach are
 * at their cells' rims, of which the sample's neighbours have few.
 */
#define MISSED_BY_CELLS	0.05f
/* What share of the sample is farther from its centre than what is like it. */
#define UNLIKE			0.01

bool
vecx_cells_fit(const VecxCoder *coder)
{
	return coder->kind != VECX_CODE_BITS && coder->kind != VECX_CODE_BITS_SAMPLE &&
		coder->metric != VECX_METRIC_L1;
}

size_t
vecx_cells_bytes(const VecxCoder *coder, uint32_t count)
{
	return sizeof(VecxCellsHead) + (sizeof(float) + (size_t) coder->nbytes) * count;
}

static bool
figures_fit(const VecxCellsHead *head)
{
	if (!isfinite(head->outside) || !(head->unlike > 0.0f) || !isfinite(head->unlike))
		return false;
	for (int i = 0; i < VECX_CELLS_RECALLS; i++)
	{
		for (int r = 0; r < VECX_CELLS_REACHES; r++)
			if (!isfinite(head->cosine[r][i]) || !isfinite(head->reach[r]) ||
				(r > 0 && head->reach[r] < head->reach[r - 1]))
				return false;
		for (int r = 0; r < VECX_CELLS_RANKS; r++)
			if (!isfinite(head->distance[r]) || !(head->share[r][i] >= 0.0f && head->share[r][i] <= 1.0f))
				return false;
	}
	return true;
}

const char *
vecx_cells_bind(VecxCells *cells, const VecxCoder *coder, const uint8_t *bytes, size_t nbytes)
{
	if (nbytes < sizeof(VecxCellsHead))
		return "cells are too short";
	memcpy(&cells->head, bytes, sizeof(VecxCellsHead));
	if (cells->head.magic != MAGIC || !vecx_cells_fit(coder))
		return "cells do not begin as such";
	if (cells->head.count < 1 || cells->head.count > VECX_CELLS_MOST ||
		nbytes != vecx_cells_bytes(coder, cells->head.count))
		return "cells are not as long as they should be";
	cells->radius2 = (const float *) (const void *) (bytes + sizeof(VecxCellsHead));
	cells->codes = (const uint8_t *) (cells->radius2 + cells->head.count);
	for (uint32_t c = 0; c < cells->head.count; c++)
		if (!(cells->radius2[c] >= 0.0f) || !isfinite(cells->radius2[c]) ||
			!vecx_code_check(coder, cells->codes + (size_t) c * coder->nbytes))
			return "a cell's centre is not one";
	return figures_fit(&cells->head) ? NULL : "cells have figures out of range";
}

/* Navigation distances to all centres. */
static void
distances_to(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query, float *dist)
{
	const uint8_t *codes[VECX_CELLS_MOST];

	for (uint32_t c = 0; c < cells->head.count; c++)
		codes[c] = cells->codes + (size_t) c * coder->nbytes;
	vecx_code_least(coder, query, codes, cells->head.count, 0.0f, NULL, dist);
}

/* The cell with the nearest centre, by the distances to all, and its squared distance. */
static uint32_t
nearest_of(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query, const float *dist,
		   float *dist2)
{
	uint32_t	best = 0;

	*dist2 = INFINITY;
	for (uint32_t c = 0; c < cells->head.count; c++)
	{
		float		d = dist[c];

		if (coder->metric == VECX_METRIC_IP)
			d = query->norm2 + 2.0f * d + vecx_code_norm2(coder, cells->codes + (size_t) c * coder->nbytes);
		if (d < *dist2)
		{
			*dist2 = d;
			best = c;
		}
	}
	return best;
}

static uint32_t
nearest(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query, float *dist2)
{
	float		dist[VECX_CELLS_MOST];

	distances_to(cells, coder, query, dist);
	return nearest_of(cells, coder, query, dist, dist2);
}

uint32_t
vecx_cells_nearest(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query)
{
	float		dist2;
	uint32_t	cell = nearest(cells, coder, query, &dist2);

	/* nor what is no number */
	return dist2 <= OUTSIDE * cells->radius2[cell] ? cell : cells->head.count;
}

/* The mean distance of a cell's members, and what a cosine of 1 would take from it. */
static inline void
reach_of(const VecxCoder *coder, const VecxCodeQuery *query, float dist, float radius2, float *mean,
		 float *deviation)
{
	if (coder->metric == VECX_METRIC_IP)
	{
		*mean = dist;
		*deviation = sqrtf(query->norm2) * sqrtf(radius2);
		return;
	}
	*mean = dist + radius2;
	/* the roots' product: that of the squares might be beyond what float can hold */
	*deviation = 2.0f * sqrtf(dist > 0.0f ? dist : 0.0f) * sqrtf(radius2);
}

/* What distances are divided by, so that those of one query are as those of another. */
static float
unit_of(const VecxCoder *coder, const VecxCodeQuery *query)
{
	float		unit = coder->metric == VECX_METRIC_IP ? sqrtf(query->norm2) : 1.0f;

	return unit > 0.0f ? unit : 1.0f;
}

bool
vecx_cells_distances(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query,
					 float *mean, float *deviation)
{
	float		dist2;
	uint32_t	cell;

	distances_to(cells, coder, query, mean);
	cell = nearest_of(cells, coder, query, mean, &dist2);
	for (uint32_t c = 0; c < cells->head.count; c++)
		reach_of(coder, query, mean[c], cells->radius2[c], &mean[c], &deviation[c]);
	/* products follow directions, whatever a query's length */
	return coder->metric == VECX_METRIC_IP || dist2 <= cells->head.unlike * cells->radius2[cell];
}

/* Where x is among ascending numbers: between 0 and count - 1. */
static float
place_among(const float *scale, int count, float x)
{
	int			at = 0;
	float		width;

	while (at < count - 2 && x > scale[at + 1])
		at++;
	width = scale[at + 1] - scale[at];
	if (!(width > 0.0f))
		return (float) (x > scale[at] ? at + 1 : at);
	x = (x - scale[at]) / width;
	return (float) at + (x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x);
}

/* Between the figures of two rows of a table of so many, and two recalls. */
static float
interpolate(const float (*table)[VECX_CELLS_RECALLS], int nrows, float row, double recall)
{
	float		y = place_among(recalls, VECX_CELLS_RECALLS, (float) recall);
	int			r = row < (float) (nrows - 1) ? (int) row : nrows - 2;
	int			i = y < VECX_CELLS_RECALLS - 1 ? (int) y : VECX_CELLS_RECALLS - 2;

	row -= (float) r;
	y -= (float) i;
	return (1.0f - row) * ((1.0f - y) * table[r][i] + y * table[r][i + 1]) +
		row * ((1.0f - y) * table[r + 1][i] + y * table[r + 1][i + 1]);
}

/* The rank, as a power of two, of the neighbour in the sample that is as near as the last of
 * the rows among those that pass, if these lie as all do. */
static float
rank_of(const VecxCells *cells, double rows, double passing)
{
	double		rank = log2(fmax(rows, 1.0) * (double) cells->head.sample / fmax(passing, 1.0));

	return (float) fmin(fmax(rank, 0.0), VECX_CELLS_RANKS - 1);
}

float
vecx_cells_share(const VecxCells *cells, double recall, double rows, double passing)
{
	return interpolate(cells->head.share, VECX_CELLS_RANKS, rank_of(cells, rows, passing), recall);
}

float
vecx_cells_reach(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query, double rows,
				 double passing)
{
	float		rank = rank_of(cells, rows, passing);
	int			r = rank < VECX_CELLS_RANKS - 1 ? (int) rank : VECX_CELLS_RANKS - 2;

	rank -= (float) r;
	return unit_of(coder, query) * ((1.0f - rank) * cells->head.distance[r] + rank * cells->head.distance[r + 1]);
}

float
vecx_cells_cosine(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query, double recall,
				  float reach)
{
	float		nearest = cells->head.reach[0];
	float		cosine;

	reach /= unit_of(coder, query);
	/* farther than half of the sample is from its vectors: nothing is known of that */
	if (reach > cells->head.reach[VECX_CELLS_REACHES - 1])
		return INFINITY;
	cosine = interpolate(cells->head.cosine, VECX_CELLS_REACHES,
						 place_among(cells->head.reach, VECX_CELLS_REACHES, reach), recall);
	/* nearer than any two of the sample: a member at no distance has the query's own angle */
	if (coder->metric != VECX_METRIC_IP && reach < nearest && cosine < 1.0f)
		cosine += (1.0f - cosine) * (1.0f - fmaxf(reach, 0.0f) / nearest);
	return cosine;
}

/* ---- training ---- */

typedef struct Training
{
	const VecxTrainEnv *env;
	const VecxCoder *coder;
	const uint8_t *sample;
	size_t		row_bytes;
	size_t		n;
	float	   *mean;			/* [dim], of the sample; zeros where products count */
	VecxPoints	points;			/* the sample less it */
	VecxCells	cells;
	float	   *radius2;		/* the cells' */
	uint32_t   *cell_of;		/* [n] */
	float	   *dist2;			/* [n], from their centres */
	uint32_t   *members;		/* [count] */
	void	   *scratch;
	size_t		nqueries;
} Training;

static const float *
row_of(const Training *t, size_t row)
{
	return (const float *) (const void *) (t->sample + row * t->row_bytes);
}

static void
make_points(Training *t)
{
	uint32_t	dim = t->coder->dim;
	float	   *work = t->env->alloc(t->env->arg, sizeof(float) * vecx_cluster_point_bytes(dim));

	t->mean = t->env->alloc(t->env->arg, sizeof(float) * dim);
	memset(t->mean, 0, sizeof(float) * dim);
	for (size_t i = 0; i < t->n && t->coder->metric != VECX_METRIC_IP; i++)
		vecx_kernels->add_multiple_f32(t->mean, row_of(t, i), 1.0f / (float) t->n, dim);
	vecx_cluster_alloc(t->env, dim, t->n, &t->points);
	for (size_t i = 0; i < t->n; i++)
	{
		t->env->poll(t->env->arg);
		vecx_cluster_put(&t->points, i, dim, t->mean, row_of(t, i), work);
	}
	t->env->release(t->env->arg, work);
}

/* Centres by clusters of the sample, as codes, into bytes that are allocated for them. */
static uint8_t *
make_centres(Training *t, uint32_t k, uint64_t seed, size_t *nbytes)
{
	const VecxTrainEnv *env = t->env;
	uint32_t	dim = t->coder->dim;
	VecxCellsHead head = {.magic = MAGIC,.sample = (uint32_t) t->n};
	VecxClusters clusters;
	uint8_t    *bytes;
	uint8_t    *codes;

	vecx_clusters_make(env, &t->points, dim, t->mean, k, seed, &clusters);
	head.count = clusters.nleaves < VECX_CELLS_MOST ? clusters.nleaves : VECX_CELLS_MOST;
	*nbytes = vecx_cells_bytes(t->coder, head.count);
	bytes = env->alloc(env->arg, *nbytes);
	memset(bytes, 0, *nbytes);
	t->radius2 = (float *) (void *) (bytes + sizeof(head));
	codes = (uint8_t *) (t->radius2 + head.count);
	for (uint32_t c = 0; c < head.count; c++)
		vecx_code_encode(t->coder, clusters.centres + (size_t) c * dim, codes + (size_t) c * t->coder->nbytes);
	t->cells.head = head;
	t->cells.radius2 = t->radius2;
	t->cells.codes = codes;
	vecx_cluster_release(env, &clusters.tops);
	vecx_cluster_release(env, &clusters.leaves);
	env->release(env->arg, clusters.first);
	env->release(env->arg, clusters.centres);
	return bytes;
}

/* By how much farther from the mean of a cell's other members one is than from that of all. */
static double
stretch(const Training *t, uint32_t cell)
{
	double		m = t->members[cell];

	return m > 1.0 ? m / (m - 1.0) : 1.0;
}

/* Which cells the sample's vectors belong to, and how far from their centres they are. */
static void
assign(Training *t)
{
	double		total = 0.0;

	memset(t->members, 0, sizeof(uint32_t) * t->cells.head.count);
	for (size_t i = 0; i < t->n; i++)
	{
		VecxCodeQuery query;

		t->env->poll(t->env->arg);
		vecx_code_query_init(t->coder, &query, row_of(t, i), t->scratch);
		t->cell_of[i] = nearest(&t->cells, t->coder, &query, &t->dist2[i]);
		if (!(t->dist2[i] > 0.0f))
			t->dist2[i] = 0.0f;
		t->members[t->cell_of[i]]++;
		t->radius2[t->cell_of[i]] += t->dist2[i];
	}
	for (uint32_t c = 0; c < t->cells.head.count; c++)
		total += (double) t->radius2[c];
	for (uint32_t c = 0; c < t->cells.head.count; c++)
	{
		double		m = t->members[c];
		double		least = LEAST_RADIUS2 * total / (double) t->n;

		/* the centre is the mean of the members themselves, and so nearer to them than to others */
		t->radius2[c] = (float) fmax(m > 1.0 ? (double) t->radius2[c] / m * pow(stretch(t, c), 2.0) : 0.0, least);
	}
}

/* How far the sample is from its centres, in radii. */
static void
measure_radii(Training *t)
{
	float	   *ratios = t->env->alloc(t->env->arg, sizeof(float) * t->n);
	size_t		outside = 0;

	for (size_t i = 0; i < t->n; i++)
	{
		uint32_t	cell = t->cell_of[i];

		ratios[i] = t->cells.radius2[cell] > 0.0f ?
			t->dist2[i] / t->cells.radius2[cell] * (float) pow(stretch(t, cell), 2.0) : 0.0f;
		outside += !(ratios[i] <= OUTSIDE);
	}
	qsort(ratios, t->n, sizeof(float), vecx_compare_floats);
	t->cells.head.outside = (float) outside / (float) t->n;
	t->cells.head.unlike = ratios[(size_t) ((double) (t->n - 1) * (1.0 - UNLIKE))];
	/* all rows equal */
	if (!(t->cells.head.unlike > 1.0f))
		t->cells.head.unlike = 1.0f;
	t->env->release(t->env->arg, ratios);
}

/* Neighbours of a vector of the sample. */
typedef struct Neighbours
{
	uint32_t	n;
	uint32_t	row[MOST_RANK + 1];
	float		dist[MOST_RANK + 1];
} Neighbours;

static void
find_neighbours(const Training *t, size_t query, float *dist, int32_t *room, uint32_t *at, Neighbours *found)
{
	bool		is_ip = t->coder->metric == VECX_METRIC_IP;
	uint32_t	n;

	vecx_point_distances(t->coder->metric, is_ip ? VECX_POINT_PRODUCT : VECX_POINT_L2SQ, &t->points, query, 1,
						 &t->points, dist);
	n = (uint32_t) vecx_least(dist, t->n, MOST_RANK + 1, room, at);
	found->n = 0;
	for (uint32_t i = 0; i < n && found->n < MOST_RANK; i++)
	{
		if (at[i] == query)
			continue;
		found->row[found->n] = at[i];
		found->dist[found->n++] = dist[at[i]];
	}
}

/* The cosine of a member within reach. */
typedef struct Member
{
	float		reach;
	float		cosine;
} Member;

/* What is known of all queries. */
typedef struct Measured
{
	VecxCodeQuery *queries;		/* of which only what reach_of needs lives on */
	float	   *dist;			/* [nqueries][count] */
	Neighbours *near;
	Member	   *members;
	size_t		nmembers;
} Measured;

/*
 * The distance of a query to the centre that a cell would have without one of its members,
 * where the distances of all three are known.
 */
static float
distance_without(const Training *t, uint32_t row, float to_centre, float to_row)
{
	double		others = (double) t->members[t->cell_of[row]] - 1.0;
	double		across;

	if (others < 1.0)
		return to_centre;
	if (t->coder->metric == VECX_METRIC_IP)
		return (float) ((double) to_centre + ((double) to_centre - (double) to_row) / others);
	/* <q - c, c - x> */
	across = ((double) to_row - (double) to_centre - (double) t->dist2[row]) / 2.0;
	return (float) fmax((double) to_centre - 2.0 * across / others + (double) t->dist2[row] / (others * others), 0.0);
}

/*
 * Of a query's neighbours up to a rank, the cosines that they need, to lie in cells that begin
 * within reach of the last: as if they had not been there when the cells were made.
 */
static void
add_members(const Training *t, Measured *m, size_t q, uint32_t rank)
{
	const Neighbours *near = &m->near[q];
	uint32_t	step = rank > PICKED ? rank / PICKED : 1;

	for (uint32_t i = step - 1; near->n >= rank && i < rank; i += step)
	{
		uint32_t	cell = t->cell_of[near->row[i]];
		Member		member = {near->dist[rank - 1], 0.0f};
		float		dist = distance_without(t, near->row[i], m->dist[q * t->cells.head.count + cell], near->dist[i]);
		float		mean;
		float		deviation;

		if (cell == t->cell_of[q] && t->coder->metric != VECX_METRIC_IP)
			dist *= (float) pow(stretch(t, cell), 2.0);
		reach_of(t->coder, &m->queries[q], dist, t->cells.radius2[cell], &mean, &deviation);
		if (deviation > 0.0f)
			member.cosine = (mean - member.reach) / deviation;
		member.reach /= unit_of(t->coder, &m->queries[q]);
		if (isfinite(member.reach) && isfinite(member.cosine))
			m->members[m->nmembers++] = member;
	}
}

static int
compare_reaches(const void *a, const void *b)
{
	return vecx_compare_floats(&((const Member *) a)->reach, &((const Member *) b)->reach);
}

static int
compare_cosines(const void *a, const void *b)
{
	return vecx_compare_floats(&((const Member *) a)->cosine, &((const Member *) b)->cosine);
}

/* The cosines of members by their reaches, in groups of one size. */
static void
measure_cosines(Measured *m, VecxCellsHead *head)
{
	qsort(m->members, m->nmembers, sizeof(Member), compare_reaches);
	for (size_t r = 0; r < VECX_CELLS_REACHES; r++)
	{
		size_t		from = m->nmembers * r / VECX_CELLS_REACHES;
		size_t		n = m->nmembers * (r + 1) / VECX_CELLS_REACHES - from;

		head->reach[r] = n > 0 ? m->members[from + n / 2].reach : 0.0f;
		qsort(m->members + from, n, sizeof(Member), compare_cosines);
		for (int i = 0; i < VECX_CELLS_RECALLS; i++)
		{
			size_t		place = (size_t) ((float) n * (1.0f - MISSED_BY_CELLS * (1.0f - recalls[i])));

			head->cosine[r][i] = n > 0 ? m->members[from + (place < n ? place : n - 1)].cosine : 1.0f;
		}
	}
}

/* The share of the sample in cells that begin before a distance. */
static double
share_before(const Training *t, const VecxCodeQuery *query, const float *dist, float cosine, float reach)
{
	uint64_t	members = 0;

	for (uint32_t c = 0; c < t->cells.head.count; c++)
	{
		float		mean;
		float		deviation;

		reach_of(t->coder, query, dist[c], t->cells.radius2[c], &mean, &deviation);
		members += mean - cosine * deviation <= reach ? t->members[c] : 0;
	}
	return (double) members / (double) t->n;
}

/* How far neighbours of a rank are, and how much is in cells that begin before them. */
static void
measure_rank(const Training *t, const Measured *m, int r, VecxCellsHead *head)
{
	double		distance = 0.0;
	double		share[VECX_CELLS_RECALLS] = {0.0};
	size_t		n = 0;

	for (size_t q = 0; q < t->nqueries; q++)
	{
		float		reach;

		if (m->near[q].n < 1u << r)
			continue;
		reach = m->near[q].dist[(1u << r) - 1];
		distance += (double) (reach / unit_of(t->coder, &m->queries[q]));
		for (int i = 0; i < VECX_CELLS_RECALLS; i++)
			share[i] += share_before(t, &m->queries[q], m->dist + q * t->cells.head.count,
									 vecx_cells_cosine(&t->cells, t->coder, &m->queries[q], (double) recalls[i], reach),
									 reach);
		n++;
	}
	/* a sample with fewer vectors is read as a whole */
	head->distance[r] = n > 0 ? (float) (distance / (double) n) : r > 0 ? head->distance[r - 1] : 0.0f;
	for (int i = 0; i < VECX_CELLS_RECALLS; i++)
		head->share[r][i] = n > 0 ? (float) (share[i] / (double) n) : 1.0f;
}

/* Measures with vectors of the sample how much nearer cells must be taken to begin. */
static void
measure(Training *t)
{
	const VecxTrainEnv *env = t->env;
	VecxCellsHead *head = &t->cells.head;
	float	   *dist = env->alloc(env->arg, sizeof(float) * t->n);
	int32_t    *room = env->alloc(env->arg, sizeof(int32_t) * (t->n + 4));
	uint32_t   *at = env->alloc(env->arg, sizeof(uint32_t) * t->n);
	Measured	m;

	m.queries = env->alloc(env->arg, sizeof(VecxCodeQuery) * t->nqueries);
	m.dist = env->alloc(env->arg, sizeof(float) * t->nqueries * head->count);
	m.near = env->alloc(env->arg, sizeof(Neighbours) * t->nqueries);
	m.members = env->alloc(env->arg, sizeof(Member) * t->nqueries * VECX_CELLS_RANKS * 2 * PICKED);
	m.nmembers = 0;
	for (size_t q = 0; q < t->nqueries; q++)
	{
		env->poll(env->arg);
		vecx_code_query_init(t->coder, &m.queries[q], row_of(t, q), t->scratch);
		distances_to(&t->cells, t->coder, &m.queries[q], m.dist + q * head->count);
		find_neighbours(t, q, dist, room, at, &m.near[q]);
		for (int r = 0; r < VECX_CELLS_RANKS; r++)
			add_members(t, &m, q, 1u << r);
	}
	measure_cosines(&m, head);
	for (int r = 0; r < VECX_CELLS_RANKS; r++)
	{
		env->poll(env->arg);
		measure_rank(t, &m, r, head);
	}
	env->release(env->arg, m.queries);
	env->release(env->arg, m.dist);
	env->release(env->arg, m.near);
	env->release(env->arg, m.members);
	env->release(env->arg, dist);
	env->release(env->arg, room);
	env->release(env->arg, at);
}

uint8_t *
vecx_cells_train(const VecxTrainEnv *env, const VecxCoder *coder, const void *sample, size_t row_bytes,
				 size_t n, uint32_t k, uint64_t seed, size_t *nbytes)
{
	uint8_t    *bytes;
	Training	t;

	memset(&t, 0, sizeof(t));
	t.env = env;
	t.coder = coder;
	t.sample = sample;
	t.row_bytes = row_bytes;
	t.n = n;
	t.nqueries = n < QUERIES ? n : QUERIES;
	make_points(&t);
	bytes = make_centres(&t, k < VECX_CELLS_MOST ? k : VECX_CELLS_MOST, seed, nbytes);
	t.cell_of = env->alloc(env->arg, sizeof(uint32_t) * n);
	t.dist2 = env->alloc(env->arg, sizeof(float) * n);
	t.members = env->alloc(env->arg, sizeof(uint32_t) * t.cells.head.count);
	t.scratch = env->alloc(env->arg, vecx_code_query_scratch(coder));
	assign(&t);
	measure_radii(&t);
	measure(&t);
	memcpy(bytes, &t.cells.head, sizeof(VecxCellsHead));
	vecx_cluster_release(env, &t.points);
	env->release(env->arg, t.mean);
	env->release(env->arg, t.cell_of);
	env->release(env->arg, t.dist2);
	env->release(env->arg, t.members);
	env->release(env->arg, t.scratch);
	return bytes;
}

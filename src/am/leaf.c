/*
 * leaf.c
 *    Candidates for links: within a leaf all distances are computed at once,
 *    and of each vertex's nearest those are kept that no other one occludes.
 *
 * Distances are between points, which are a little wrong; prune.c decides on
 * the codes.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/build.h"

/* Larger leaves are divided, unless the table is one leaf. */
#define LEAF_MAX_VERTICES	1600
/* Members whose distances are computed at once, then looked at while in the cache. */
#define LEAF_ROWS			128
/* Links that a vertex gets from one leaf, at most and, if it has so many near, at least; where
 * no other leaf has more of them, some more. */
#define LEAF_MAX_LINKS		24
#define LEAF_MIN_LINKS		8
#define ONE_LEAF_MAX_LINKS	32
#define ONE_LEAF_MIN_LINKS	16
/* Members that a leaf's centre is the mean of, at most about. */
#define LEAF_CENTRE			128
/* Candidates from each of two thinned sets of members. */
#define LEAF_FAR			4
/* The longest point of a leaf, squared, while distances are in half precision. */
#define LEAF_NORM2			8192.0f

/* A candidate as an integer that sorts by distance. */
typedef uint64 LeafKey;

#define ST_SORT sort_keys
#define ST_ELEMENT_TYPE LeafKey
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static inline LeafKey
leaf_key(float dist, uint32 at)
{
	uint32		bits;

	memcpy(&bits, &dist, sizeof(bits));
	bits ^= bits & 0x80000000u ? 0xFFFFFFFFu : 0x80000000u;
	return (LeafKey) bits << 32 | at;
}

typedef struct Leaf
{
	VecxLinker *l;
	MemoryContext cxt;			/* of what divides a leaf */
	pg_prng_state prng;
	float	   *y;				/* one point */
	float	   *centre;

	/* for a leaf of any size: memory that is new each time costs more than what
	 * is done with it */
	VecxPoints	points;
	int			part;			/* this process' members, of nparts */
	int			nparts;
	float	   *block;			/* [LEAF_ROWS][count]: distances of some members */
	int16	   *dist;			/* [count][count]: of all, rounded */
	uint32		most;			/* members it has room for */
	int			max_links;
	int			min_links;
	int			near_cap;
	uint16	   *near;			/* [count][near_cap]: positions, nearest first */
	uint16	   *nnear;			/* [count] */
	uint32	   *at;				/* [count] */
	int32	   *room;			/* of vecx_least */
} Leaf;

static void
points_alloc(Leaf *leaf, MemoryContext cxt, VecxPoints *points, uint32 count)
{
	points->count = count;
	points->nbytes = vecx_points_row_bytes(leaf->l->coder, leaf->l->basis);
	points->heads = MemoryContextAllocHuge(cxt, sizeof(VecxPointHead) * count);
	points->points = MemoryContextAllocHuge(cxt, points->nbytes * count);
}

/* The members' points in 8 bits: what is left when centre is taken off, if there is one. */
static void
load_points(Leaf *leaf, VecxPoints *points, const uint32 *members, const float *centre)
{
	VecxLinker *l = leaf->l;

	for (uint32 i = 0; i < points->count; i++)
	{
		const uint8 *point = VecxSpoolGet(l->points, members[i]);

		if (l->basis->positions)
		{
			vecx_points_put_bits(points, i, l->coder, point);
			continue;
		}
		vecx_point_read(l->coder, l->basis, point, leaf->y);
		vecx_points_put(points, i, leaf->y, centre);
	}
}

static float
norm2_of(const float *y, uint32 ndims)
{
	float		sum = 0.0f;

	for (uint32 k = 0; k < ndims; k++)
		sum += y[k] * y[k];
	return sum;
}

/*
 * The mean of some members; NULL where distances depend on where zero is.  One
 * member far beyond the others would draw the mean away from all of them, and
 * what they differ by would be lost in rounding.
 */
static const float *
find_centre(Leaf *leaf, const uint32 *members, uint32 count)
{
	VecxLinker *l = leaf->l;
	uint32		ndims = l->basis->pdims;
	uint32		step = count / LEAF_CENTRE + 1;
	float		norm2[LEAF_CENTRE];
	float		limit;
	int			n = 0;
	int			nkept = 0;

	if (l->basis->positions || l->how == VECX_POINT_PRODUCT)
		return NULL;
	memset(leaf->centre, 0, sizeof(float) * ndims);
	for (uint32 i = 0; i < count; i += step)
	{
		vecx_point_read(l->coder, l->basis, VecxSpoolGet(l->points, members[i]), leaf->y);
		norm2[n++] = norm2_of(leaf->y, ndims);
	}
	limit = VecxFarNorm2(norm2, n);
	for (uint32 i = 0; i < count; i += step)
	{
		vecx_point_read(l->coder, l->basis, VecxSpoolGet(l->points, members[i]), leaf->y);
		if (norm2_of(leaf->y, ndims) > limit)
			continue;
		nkept++;
		for (uint32 k = 0; k < ndims; k++)
			leaf->centre[k] += leaf->y[k];
	}
	for (uint32 k = 0; k < ndims && nkept > 0; k++)
		leaf->centre[k] /= (float) nkept;
	return leaf->centre;
}

/* The nearest of a member, by its row of the block; not itself.  Returns how many. */
static int
nearest_of_row(Leaf *leaf, const float *row, uint32 self, int want, uint16 *near)
{
	Size		n = vecx_least(row, leaf->points.count, want + 1, leaf->room, leaf->at);
	int			kept = 0;

	for (Size i = 0; i < n && kept < want; i++)
		if (leaf->at[i] != self)
			near[kept++] = (uint16) leaf->at[i];
	return kept;
}

/*
 * Adds the nearest among every eighth and every 64th member, farther than those
 * there are.  Where the data lie in clusters, only these lead out of one.
 */
static int
add_far(Leaf *leaf, const float *row, uint32 self, uint16 *near, int n)
{
	uint32		count = (uint32) leaf->points.count;
	LeafKey		last = n > 0 ? leaf_key(row[near[n - 1]], near[n - 1]) : 0;

	for (uint32 step = 8; step <= 64; step *= 8)
	{
		LeafKey		best[LEAF_FAR];
		int			nbest = 0;

		for (uint32 i = step / 2; i < count; i += step)
		{
			LeafKey		key = leaf_key(row[i], i);
			int			k;

			if (key <= last || i == self || (nbest == LEAF_FAR && key >= best[nbest - 1]))
				continue;
			if (nbest < LEAF_FAR)
				nbest++;
			for (k = nbest - 1; k > 0 && best[k - 1] > key; k--)
				best[k] = best[k - 1];
			best[k] = key;
		}
		for (int i = 0; i < nbest; i++)
			near[n++] = (uint16) best[i];
		if (nbest > 0)
			last = best[nbest - 1];
	}
	return n;
}

/* Lets distances fit half precision: all by one factor. */
static void
scale_points(Leaf *leaf)
{
	VecxPoints *points = &leaf->points;
	float		most = 0.0f;
	float		factor;

	if (leaf->l->basis->positions)
		return;
	for (Size i = 0; i < points->count; i++)
		most = Max(most, points->heads[i].norm2);
	factor = LEAF_NORM2 / most;
	if (!(most > 0.0f) || isinf(factor))
		return;
	for (Size i = 0; i < points->count; i++)
	{
		points->heads[i].norm2 *= factor;
		points->heads[i].scale *= sqrtf(factor);
	}
}

/* Where a part of some members begins; that of the next one is its end. */
static uint32
part_first(const Leaf *leaf, uint32 count, int part)
{
	return (uint32) ((uint64) count * part / leaf->nparts);
}

/* All distances, and the nearest of each member of this process' part. */
static void
compare_members(Leaf *leaf)
{
	VecxLinker *l = leaf->l;
	uint32		count = (uint32) leaf->points.count;
	uint32		own_first = part_first(leaf, count, leaf->part);
	uint32		own_end = part_first(leaf, count, leaf->part + 1);

	scale_points(leaf);
	for (uint32 first = 0; first < count; first += LEAF_ROWS)
	{
		uint32		n = Min(LEAF_ROWS, count - first);

		CHECK_FOR_INTERRUPTS();
		vecx_point_distances(l->coder->metric, l->how, &leaf->points, first, n, &leaf->points, leaf->block);
		for (uint32 i = Max(first, own_first); i < Min(first + n, own_end); i++)
		{
			const float *row = leaf->block + (Size) (i - first) * count;
			uint16	   *near = leaf->near + (Size) i * leaf->near_cap;
			int			nnear = nearest_of_row(leaf, row, i, l->nearest, near);

			leaf->nnear[i] = (uint16) add_far(leaf, row, i, near, nnear);
		}
		vecx_points_round(l->how, leaf->block, (Size) n * count, leaf->dist + (Size) first * count);
	}
}

/* The rule of VecxSelectLinks, on the leaf's distances. */
static int
choose(const Leaf *leaf, uint32 self, uint16 *chosen)
{
	Size		count = leaf->points.count;
	const int16 *row = leaf->dist + self * count;
	const uint16 *near = leaf->near + (Size) self * leaf->near_cap;
	uint16		pruned[ONE_LEAF_MIN_LINKS];
	int			npruned = 0;
	int			n = 0;

	for (int i = 0; i < leaf->nnear[self] && n < leaf->max_links; i++)
	{
		uint16		at = near[i];
		const int16 *others = leaf->dist + at * count;
		int16		own = row[at];
		bool		keep = true;

		for (int j = 0; j < n && keep; j++)
			keep = others[chosen[j]] >= own;
		if (keep)
			chosen[n++] = at;
		else if (npruned < leaf->min_links)
			pruned[npruned++] = at;
	}
	for (int i = 0; i < npruned && n < leaf->min_links; i++)
		chosen[n++] = pruned[i];
	return n;
}

static void
add_edge(VecxLinker *l, uint32 from, uint32 to)
{
	VecxEdge	edge = {from, to};

	VecxBucketsAdd(l->edges, l->plan.bucket_of[from], &edge);
}

static void
compare_all(Leaf *leaf, const uint32 *members, uint32 count)
{
	VecxLinker *l = leaf->l;
	uint16		chosen[ONE_LEAF_MAX_LINKS];
	uint32		first = part_first(leaf, count, leaf->part);
	uint32		end = part_first(leaf, count, leaf->part + 1);

	leaf->points.count = count;
	load_points(leaf, &leaf->points, members, find_centre(leaf, members, count));
	compare_members(leaf);
	for (uint32 i = first; i < end; i++)
	{
		int			n = choose(leaf, i, chosen);

		if (i % LEAF_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < n; j++)
		{
			add_edge(l, members[i], members[chosen[j]]);
			add_edge(l, members[chosen[j]], members[i]);
		}
	}
}

/*
 * Divides a leaf into two halves: those nearer to one random member than to
 * another, compared with the rest.  Reorders the members.
 */
static void
divide(Leaf *leaf, uint32 *members, uint32 count)
{
	VecxLinker *l = leaf->l;
	LeafKey    *keys = MemoryContextAllocHuge(leaf->cxt, sizeof(LeafKey) * count);
	uint32	   *old = MemoryContextAllocHuge(leaf->cxt, sizeof(uint32) * count);
	const float *centre = find_centre(leaf, members, count);
	VecxPoints	ends;
	VecxPoints	one;
	uint32		two[2];

	for (int i = 0; i < 2; i++)
		two[i] = members[pg_prng_uint64_range(&leaf->prng, 0, count - 1)];
	points_alloc(leaf, leaf->cxt, &ends, 2);
	points_alloc(leaf, leaf->cxt, &one, 1);
	load_points(leaf, &ends, two, centre);
	for (uint32 i = 0; i < count; i++)
	{
		float		dist[2];

		if (i % LEAF_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		load_points(leaf, &one, members + i, centre);
		vecx_point_distances(l->coder->metric, VECX_POINT_L2SQ, &one, 0, 1, &ends, dist);
		keys[i] = leaf_key(dist[0] - dist[1], i);
	}
	sort_keys(keys, count);
	memcpy(old, members, sizeof(uint32) * count);
	for (uint32 i = 0; i < count; i++)
		members[i] = old[(uint32) keys[i]];
}

static void
process_leaf(Leaf *leaf, uint32 *members, uint32 count)
{
	check_stack_depth();
	if (count < 2)
		return;
	if (count <= leaf->most)
		compare_all(leaf, members, count);
	else
	{
		divide(leaf, members, count);
		MemoryContextReset(leaf->cxt);
		process_leaf(leaf, members, count / 2);
		process_leaf(leaf, members + count / 2, count - count / 2);
	}
}

/* Members of the only leaf that are compared at once. */
static uint32
one_leaf_size(const VecxLinker *l)
{
	return Max(Min((uint32) VecxOneLeafMost(), l->plan.leaf_first[1]), 1);
}

/* Parts of the only leaf, and which is this process'.  If there is one, it is not the leader's,
 * who has the upper levels to do. */
static int
leaf_parts(const VecxLinker *l)
{
	return VecxOneLeafParts(one_leaf_size(l), l->team->nparticipants);
}

static int
part_of_leaf(const VecxLinker *l)
{
	return l->team->nparticipants - 1 - l->team->me;
}

static void
leaf_init(Leaf *leaf, VecxLinker *l)
{
	MemoryContext all = AllocSetContextCreate(l->cxt, "vecx leaves", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(all);
	bool		alone = l->plan.nleaves == 1;
	Size		most = alone ? one_leaf_size(l) : LEAF_MAX_VERTICES;

	memset(leaf, 0, sizeof(Leaf));
	leaf->l = l;
	leaf->most = (uint32) most;
	leaf->part = alone ? part_of_leaf(l) : 0;
	leaf->nparts = alone ? leaf_parts(l) : 1;
	leaf->max_links = alone ? ONE_LEAF_MAX_LINKS : LEAF_MAX_LINKS;
	leaf->min_links = alone ? ONE_LEAF_MIN_LINKS : LEAF_MIN_LINKS;
	leaf->cxt = AllocSetContextCreate(all, "vecx leaf", ALLOCSET_DEFAULT_SIZES);
	leaf->y = palloc(sizeof(float) * Max(l->basis->pdims, 1));
	leaf->centre = palloc(sizeof(float) * Max(l->basis->pdims, 1));
	points_alloc(leaf, all, &leaf->points, leaf->most);
	leaf->block = palloc(sizeof(float) * LEAF_ROWS * most);
	leaf->dist = palloc(sizeof(int16) * most * most);
	leaf->near_cap = l->nearest + 2 * LEAF_FAR;
	leaf->near = palloc(sizeof(uint16) * leaf->near_cap * most);
	leaf->nnear = palloc(sizeof(uint16) * most);
	leaf->at = palloc(sizeof(uint32) * most);
	leaf->room = palloc(sizeof(int32) * (most + 4));
	MemoryContextSwitchTo(old);
}

static void
work_on_leaf(Leaf *leaf, uint32 i)
{
	VecxPlan   *plan = &leaf->l->plan;
	uint32		count = plan->leaf_first[i + 1] - plan->leaf_first[i];

	pg_prng_seed(&leaf->prng, i);
	process_leaf(leaf, plan->members + plan->leaf_first[i], count);
	VecxReportLinked(leaf->l, part_first(leaf, count, leaf->part + 1) - part_first(leaf, count, leaf->part));
}

/* Works on leaves until none is left, or on a part of the only one: fills linker->edges. */
void
VecxFindCandidates(VecxLinker *l)
{
	uint32		nleaves = (uint32) l->plan.nleaves;
	uint32		i;
	Leaf		leaf;

	if (nleaves == 1 && part_of_leaf(l) >= leaf_parts(l))
		return;
	leaf_init(&leaf, l);
	if (nleaves == 1)
		work_on_leaf(&leaf, 0);
	else
		while ((i = pg_atomic_fetch_add_u32(&l->team->shared->next[0], 1)) < nleaves)
			work_on_leaf(&leaf, i);
	MemoryContextDelete(MemoryContextGetParent(leaf.cxt));
}

/*
 * vtree_near.c
 *    The leaves of a stretch of the value tree, those first whose entries may be
 *    nearest to a query.
 *
 * Entries of one value lie in the order of their vertices' cells, and the level above the
 * leaves tells where each leaf begins: hence which cells it has, and from these how near they
 * may be.  A leaf that has split since begins where it did, and the walk goes on to the
 * right.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "am/heap.h"
#include "am/vtree.h"

/* With fewer entries all are read in less time than it takes to put the leaves in order. */
#define LEAST_ENTRIES		1000
/* Entries of a leaf, on average: with fewer most were removed. */
#define LEAST_IN_LEAF		8
/* Nor does it pay if more of them than that are likely to be read in the end. */
#define MOST_SHARE			0.6
/* One in so many leaves may have entries of several values, at most, or cells tell nothing. */
#define LEAVES_PER_BORDER	4

typedef struct Leaf
{
	VecxTreeKey first;
	VecxTreeKey end;
	BlockNumber blkno;
} Leaf;

struct VecxTreeNear
{
	VecxIndex  *index;
	VecxCells	cells;
	double		recall;
	float		reach;			/* that is expected, or was asked for last */
	double		share;			/* of the entries that are likely to be read */
	int			nleaves;
	int			most;
	Leaf	   *leaves;
	int			nborders;		/* leaves with several values */

	/* NULL until there is a query */
	float	   *mean;			/* of cells' members' distances, [ncells] */
	float	   *deviation;
	float	   *begin;			/* [ncells + 1]: where cells begin, and what is in none */
	VecxCandidate *queue;		/* of leaves not read, the one that begins nearest first */
	int			nqueue;
};

static void
add_leaf(VecxTreeNear *near, const VecxTreeKey *first, const VecxTreeKey *end, BlockNumber blkno)
{
	near->leaves[near->nleaves++] = (Leaf) {*first, *end, blkno};
	near->nborders += first->value != end->value;
}

/* Adds the leaves between two keys that a page of the level above them knows; false if there are
 * too many. */
static bool
add_leaves_of_page(VecxTreeNear *near, Page page, const VecxTreeKey *first, const VecxTreeKey *end)
{
	VecxTreeEntries entries = VecxTreePageEntries(page);
	VecxTreeHead head = VecxTreeGetHead(page);
	bool		found;
	int			at = VecxTreePageFind(page, first, &found);

	for (at = found ? at : Max(at - 1, 0); at < head->count; at++)
	{
		const uint8 *entry = VecxTreeEntryAt(&entries, at);
		VecxTreeKey from = VecxTreeEntryKey(entry);
		VecxTreeKey to = *end;

		if (VecxTreeCompare(&from, end) >= 0)
			break;
		if (at + 1 < head->count)
			to = VecxTreeEntryKey(VecxTreeEntryAt(&entries, at + 1));
		else if (VecxPageGetOpaque(page)->next != InvalidBlockNumber)
			to = head->high;
		if (VecxTreeCompare(&from, first) < 0)
			from = *first;
		if (VecxTreeCompare(end, &to) < 0)
			to = *end;
		if (near->nleaves == near->most)
			return false;
		add_leaf(near, &from, &to, VecxTreeEntryChild(entry));
	}
	return true;
}

/* Adds the leaves between two keys; false if there are too many, or no level above them. */
static bool
add_leaves(VecxTreeNear *near, const VecxTreeKey *first, const VecxTreeKey *end)
{
	VecxIndex  *index = near->index;
	Buffer		buf = VecxTreeDescendAbove(index, first);
	bool		fits = BufferIsValid(buf);

	while (fits)
	{
		Page		page = BufferGetPage(buf);
		BlockNumber next = VecxPageGetOpaque(page)->next;
		VecxTreeKey high = VecxTreeGetHead(page)->high;

		fits = add_leaves_of_page(near, page, first, end);
		UnlockReleaseBuffer(buf);
		if (!fits || next == InvalidBlockNumber || VecxTreeCompare(end, &high) <= 0)
			break;
		CHECK_FOR_INTERRUPTS();
		buf = VecxTreeReadNext(index, next, 1, &high, BUFFER_LOCK_SHARE);
	}
	return fits;
}

/*
 * Looks at the leaves of a need that has so many entries, of which a share is likely to meet the
 * other conditions, and so many of these are wanted; NULL if it does not pay to put
 * them in order.  Allocates in the current context.
 */
VecxTreeNear *
VecxTreeNearMake(VecxIndex *index, const VecxTreeNeed *need, double passing, int wanted)
{
	VecxTreeNear *near;
	float		share;

	if (index->meta.tree_ncells == 0 || need->count < LEAST_ENTRIES)
		return NULL;
	near = palloc0(sizeof(VecxTreeNear));
	near->index = index;
	near->cells = VecxLoadCells(index);
	near->recall = VecxTargetRecall(index->rel);
	vecx_cells_expect(&near->cells, near->recall, wanted, need->count * passing, &near->reach, &share);
	near->share = share;
	if (share > MOST_SHARE)
		return NULL;
	near->most = (int) Min((double) work_mem * 1024 / 4 / sizeof(Leaf), need->count / LEAST_IN_LEAF + 2);
	near->leaves = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Leaf) * near->most);
	for (int i = 0; i < need->need->nstretches; i++)
	{
		const VecxStretch *stretch = &need->need->stretches[i];
		VecxTreeKey first = VecxTreeStretchKey((uint16) stretch->column, stretch->lo, VECX_INVALID_ID);
		VecxTreeKey end = VecxTreeStretchKey((uint16) stretch->column, stretch->hi, PG_UINT32_MAX);

		if (!add_leaves(near, &first, &end))
			return NULL;
	}
	if (near->nborders * LEAVES_PER_BORDER > near->nleaves)
		return NULL;
	return near;
}

/* The share of the entries that is likely to be read. */
double
VecxTreeNearShare(const VecxTreeNear *near)
{
	return near->share;
}

/* Where a leaf begins: with the nearest of its cells. */
static float
leaf_begins(const VecxTreeNear *near, const Leaf *leaf)
{
	float		least = INFINITY;

	if (leaf->first.value != leaf->end.value)
		return -INFINITY;
	for (uint32 cell = leaf->first.place; cell <= Min(leaf->end.place, near->cells.head.count); cell++)
		least = Min(least, near->begin[cell]);
	return least;
}

/* Puts the leaves that were not read in order, for a reach: the nearer that is, the more of a
 * cell's members may be nearer than on average. */
static void
order_leaves(VecxTreeNear *near, float reach)
{
	float		cosine = vecx_cells_cosine(&near->cells, &near->index->tree_coder, near->recall, reach);
	int			nleaves = near->nqueue;

	for (uint32 cell = 0; cell < near->cells.head.count; cell++)
		near->begin[cell] = near->mean[cell] - cosine * near->deviation[cell];
	near->begin[near->cells.head.count] = -INFINITY;
	near->reach = reach;
	near->nqueue = 0;
	for (int i = 0; i < nleaves; i++)
	{
		VecxCandidate cand = near->queue[i];

		cand.est = leaf_begins(near, &near->leaves[cand.id]);
		VecxHeapPush(near->queue, &near->nqueue, cand);
	}
}

/* The leaves in the order for the reach that is expected. */
static void
make_queue(VecxTreeNear *near, const VecxCodeQuery *query)
{
	Size		ncells = near->cells.head.count;

	near->mean = palloc(sizeof(float) * (3 * ncells + 1));
	near->deviation = near->mean + ncells;
	near->begin = near->deviation + ncells;
	vecx_cells_distances(&near->cells, &near->index->tree_coder, query, near->mean, near->deviation);
	near->queue = palloc(sizeof(VecxCandidate) * Max(near->nleaves, 1));
	for (near->nqueue = 0; near->nqueue < near->nleaves; near->nqueue++)
		near->queue[near->nqueue].id = near->nqueue;
	order_leaves(near, near->reach);
}

/*
 * Starts a walk over the next leaf, unless it begins beyond the reach; false if it does, or
 * there is none.
 */
bool
VecxTreeNearNext(VecxTreeNear *near, const VecxCodeQuery *query, float reach, VecxTreeWalk *walk)
{
	const Leaf *leaf;

	if (near->queue == NULL)
		make_queue(near, query);
	if (!VecxTreeNearHasMore(near, reach))
		return false;
	CHECK_FOR_INTERRUPTS();
	leaf = &near->leaves[VecxHeapPop(near->queue, &near->nqueue).id];
	VecxTreeWalkLeaf(walk, near->index, leaf->blkno, &leaf->first, &leaf->end);
	return true;
}

/* Whether a leaf that was not read may have something within that reach. */
bool
VecxTreeNearHasMore(VecxTreeNear *near, float reach)
{
	if (near->queue == NULL)
		return true;
	if (reach < INFINITY && reach != near->reach)
		order_leaves(near, reach);
	return near->nqueue > 0 && !(near->queue[0].est > reach);
}

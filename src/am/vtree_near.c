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

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/heap.h"
#include "am/vtree.h"

/* With fewer entries all are read in less time than it takes to put the leaves in order. */
#define LEAST_ENTRIES		1000
/* Entries of a leaf, on average: with fewer most were removed. */
#define LEAST_IN_LEAF		8
/* Nor does it pay if more of them than that are likely to be read in the end: each stretch of leaves
 * is a way down memory of its own. */
#define MOST_SHARE			0.3
/* Every so many of the entries that are read are looked at; from so many of these on their cosines
 * tell something. */
#define SEEN_STEP			4
#define LEAST_SEEN			20

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
	const VecxFilterNeed *need;
	double		count;			/* of its entries, */
	double		passing;		/* of which so many may match, */
	double		recall;			/* and such a share is to be found */
	int			wanted;			/* of so many */
	double		share;			/* of the entries that are likely to be read */

	/* NULL until they are wanted */
	Leaf	   *leaves;
	int			nleaves;
	int			most;
	int			nborders;		/* leaves with several values */
	int			noutside;		/* others that may have what is in no cell */

	/* NULL until there is a query */
	bool		unlike;			/* cells tell nothing of the query */
	bool		known;			/* how far the search reaches, so far */
	float	   *mean;			/* of cells' members' distances, [ncells] */
	float	   *deviation;
	float	   *needed;			/* the least cosine of a member within reach */
	float		cosine;			/* that the sample's neighbours have */
	VecxCandidate *queue;		/* of these, the one that needs the least cosine first */
	int			nqueue;

	/* of the entries that were read */
	double		nseen;
	double		cosines;		/* their sum */
};

static void
add_leaf(VecxTreeNear *near, const VecxTreeKey *first, const VecxTreeKey *end, BlockNumber blkno)
{
	near->leaves[near->nleaves++] = (Leaf) {*first, *end, blkno};
	if (first->value != end->value)
		near->nborders++;
	else if (end->place >= near->cells.head.count)
		near->noutside++;
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
 * An order of the leaves of a need, of whose entries a share is likely to meet the other
 * conditions, and so many of these are wanted; NULL if it is not likely to pay.  Allocates in the
 * current context.
 */
VecxTreeNear *
VecxTreeNearMake(VecxIndex *index, const VecxTreeNeed *need, double passing, int wanted)
{
	VecxTreeNear *near;

	if (index->meta.tree_ncells == 0 || need->count < LEAST_ENTRIES || need->mixed)
		return NULL;
	near = palloc0(sizeof(VecxTreeNear));
	near->index = index;
	near->need = need->need;
	near->count = need->count;
	near->passing = need->count * passing;
	near->wanted = wanted;
	near->cells = VecxLoadCells(index);
	near->recall = VecxTargetRecall(index->rel);
	near->share = vecx_cells_share(&near->cells, near->recall, wanted, near->passing);
	if (near->share <= MOST_SHARE)
		return near;
	pfree(near);
	return NULL;
}

/* The share of the entries that is likely to be read. */
double
VecxTreeNearShare(const VecxTreeNear *near)
{
	return near->share;
}

/*
 * Looks at the leaves, once; false if there are too many, or most would be read: those with
 * several values, and with what is in no cell, are in any case.
 */
bool
VecxTreeNearList(VecxTreeNear *near)
{
	bool		fits = true;

	if (near->leaves)
		return true;
	near->most = (int) Min((double) work_mem * 1024 / 4 / sizeof(Leaf), near->count / LEAST_IN_LEAF + 2);
	near->leaves = MemoryContextAllocHuge(GetMemoryChunkContext(near), sizeof(Leaf) * near->most);
	for (int i = 0; i < near->need->nstretches && fits; i++)
	{
		const VecxStretch *stretch = &near->need->stretches[i];
		VecxTreeKey first = VecxTreeStretchKey((uint16) stretch->column, stretch->lo, VECX_INVALID_ID);
		VecxTreeKey end = VecxTreeStretchKey((uint16) stretch->column, stretch->hi, PG_UINT32_MAX);

		fits = add_leaves(near, &first, &end);
	}
	if (near->nleaves > 0)
		near->share = Max(near->share, (double) (near->nborders + near->noutside) / near->nleaves);
	return fits && near->share <= MOST_SHARE;
}

void
VecxTreeNearFree(VecxTreeNear *near)
{
	if (near->leaves)
		pfree(near->leaves);
	if (near->queue)
	{
		pfree(near->queue);
		pfree(near->mean);
	}
	pfree(near);
}

/*
 * The cosine that a leaf's entries need, the least of its cells'.  What may be anywhere comes
 * first, but last as long as it is not known how far the search reaches, since most of it is
 * far.
 */
static float
leaf_needs(const VecxTreeNear *near, const Leaf *leaf, bool known)
{
	uint32		ncells = near->cells.head.count;
	float		least = known ? -INFINITY : FLT_MAX;

	if (near->unlike)
		return -INFINITY;
	if (leaf->first.value != leaf->end.value || leaf->first.place >= ncells)
		return least;
	if (!known || leaf->end.place < ncells)
		least = INFINITY;
	for (uint32 cell = leaf->first.place; cell <= leaf->end.place && cell < ncells; cell++)
		least = Min(least, near->needed[cell]);
	return least;
}

/*
 * Puts the leaves that were not read in order, for a reach, known or expected: the nearer that is,
 * the greater cosines have members that are near.
 */
static void
order_leaves(VecxTreeNear *near, const VecxCodeQuery *query, float reach)
{
	int			nleaves = near->nqueue;

	near->cosine = vecx_cells_cosine(&near->cells, &near->index->tree_coder, query, near->recall, reach);
	for (uint32 cell = 0; cell < near->cells.head.count; cell++)
	{
		near->needed[cell] = (near->mean[cell] - reach) / near->deviation[cell];
		/* beyond what float can hold, or with the query at the centre */
		if (isnan(near->needed[cell]))
			near->needed[cell] = -INFINITY;
	}
	near->nqueue = 0;
	for (int i = 0; i < nleaves; i++)
	{
		VecxCandidate cand = near->queue[i];

		cand.est = leaf_needs(near, &near->leaves[cand.id], near->known);
		VecxHeapPush(near->queue, &near->nqueue, cand);
	}
}

/* The leaves in the order for the reach that is expected. */
static void
make_queue(VecxTreeNear *near, const VecxCodeQuery *query)
{
	MemoryContext cxt = GetMemoryChunkContext(near);
	const VecxCoder *coder = &near->index->tree_coder;
	Size		ncells = near->cells.head.count;

	near->mean = MemoryContextAlloc(cxt, sizeof(float) * 3 * ncells);
	near->deviation = near->mean + ncells;
	near->needed = near->deviation + ncells;
	near->unlike = !vecx_cells_distances(&near->cells, coder, query, near->mean, near->deviation);
	near->queue = MemoryContextAllocHuge(cxt, sizeof(VecxCandidate) * Max(near->nleaves, 1));
	for (near->nqueue = 0; near->nqueue < near->nleaves; near->nqueue++)
		near->queue[near->nqueue].id = near->nqueue;
	order_leaves(near, query, vecx_cells_reach(&near->cells, coder, query, near->wanted, near->passing));
}

/* Of the need's entries those in cells within reach, if all leaves have as many, and the cells of
 * one, what is in none among them, as many as each other. */
static double
entries_within(const VecxTreeNear *near, const bool *within)
{
	uint32		ncells = near->cells.head.count;
	double		leaves = 0;

	for (int i = 0; i < near->nleaves; i++)
	{
		const Leaf *leaf = &near->leaves[i];
		int			places = 0;
		int			n = 0;

		if (leaf->first.value != leaf->end.value)
			continue;
		for (uint32 cell = leaf->first.place; cell <= leaf->end.place && cell <= ncells; cell++, places++)
			n += cell < ncells && within[cell];
		leaves += n > 0 ? (double) n / places : 0;
	}
	return leaves * near->count / Max(near->nleaves, 1);
}

/*
 * Which share of the rows near a query the need's entries are, of so many rows in all, as far as
 * cells tell, which are taken to have as many rows as each other: in cells within the reach that
 * would find the rows wanted if all rows were entries.
 */
double
VecxTreeNearShareThere(VecxTreeNear *near, const VecxCodeQuery *query, double all)
{
	const VecxCoder *coder = &near->index->tree_coder;
	uint32		ncells = near->cells.head.count;
	bool		within[VECX_CELLS_MOST];
	int			n = 0;
	float		reach;
	float		cosine;

	if (near->queue == NULL)
		make_queue(near, query);
	if (near->unlike)
		return 0;
	reach = vecx_cells_reach(&near->cells, coder, query, near->wanted, all);
	cosine = vecx_cells_cosine(&near->cells, coder, query, near->recall, reach);
	for (uint32 cell = 0; cell < ncells; cell++)
	{
		within[cell] = near->mean[cell] - reach <= cosine * near->deviation[cell];
		n += within[cell];
	}
	return n == 0 ? 0 : Min(entries_within(near, within) * ncells / (n * all), 1);
}

/* Takes note of entries that were read, of some: of their cells and distances. */
void
VecxTreeNearSee(VecxTreeNear *near, const uint16 *cells, const float *dist, int n)
{
	for (int i = 0; i < n; i += SEEN_STEP)
	{
		double		cosine;

		if (cells[i] >= near->cells.head.count)
			continue;
		cosine = ((double) near->mean[cells[i]] - dist[i]) / near->deviation[cells[i]];
		if (!isfinite(cosine))
			continue;
		near->nseen++;
		near->cosines += cosine;
	}
}

/*
 * Whether the next leaf may have something within reach.  The cosines of a cell's members have
 * the mean zero; where those of the entries that were read have another, the filter goes with a
 * direction, as the sample cannot show, and so do the others.
 */
static bool
has_more(const VecxTreeNear *near, float reach)
{
	double		cosine = near->cosine;

	if (near->nqueue == 0 || reach == INFINITY)
		return near->nqueue > 0;
	if (near->nseen >= LEAST_SEEN)
		cosine += Max(near->cosines / near->nseen, 0);
	return !(near->queue[0].est > cosine);
}

/*
 * Starts a walk over the next leaf, unless there is none within the reach that was asked for last;
 * an infinite one need not have been.  The leaves were listed.
 */
bool
VecxTreeNearNext(VecxTreeNear *near, const VecxCodeQuery *query, float reach, VecxTreeWalk *walk)
{
	VecxCandidate next;
	const Leaf *leaf;

	if (near->queue == NULL)
		make_queue(near, query);
	if (!has_more(near, reach))
		return false;
	CHECK_FOR_INTERRUPTS();
	next = VecxHeapPop(near->queue, &near->nqueue);
	leaf = &near->leaves[next.id];
	VecxTreeWalkLeaf(walk, near->index, leaf->blkno, &leaf->first, &leaf->end);
	return true;
}

/* Whether a leaf that was not read may have something within that reach; knows what was read. */
bool
VecxTreeNearHasMore(VecxTreeNear *near, const VecxCodeQuery *query, float reach)
{
	if (near->queue == NULL)
		return true;
	if (reach < INFINITY)
	{
		near->known = true;
		order_leaves(near, query, reach);
	}
	return has_more(near, reach);
}

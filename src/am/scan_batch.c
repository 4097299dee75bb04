/*
 * scan_batch.c
 *    The batches of a scan: by the graph, the value tree, in page order.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"

#include "am/scan.h"

/* Hops after which a filter's share is known well enough to choose an effort. */
#define PROBE_HOPS	32
/* The same where the value tree is another way, which the search goes over to. */
#define PROBE_HOPS_BY_TREE	6
/* Growth of the share after which it is chosen anew. */
#define SHARE_GROWTH	1.2
/* Pages for each vertex that a search looks for, that it may read when no link leads on. */
#define SWEEP_PAGES	16

/*
 * How far rounding alone takes the operator's cosine distance from the rank
 * of a vertex, which is that of unit vectors.  The other operators sum the same
 * terms as rank does.  kernel.h has the bound of each sum: the operator has
 * three of them, of up to 1 where the distance is doubled to make a rank.
 */
static float
rounding(const VecxScan *so, float rank)
{
	const VecxIndex *index = so->index;

	if (index->meta.metric != VECX_METRIC_COSINE)
		return 0;
	return (4 + index->meta.dim / 16) * FLT_EPSILON * (4 + 2 * rank);
}

/*
 * Whether a vertex that might be in the range counts as one.  Of hashed values
 * all might be; how far the search has come is told by their ranks less what
 * hashing often adds: two of the standard deviations that code.h has, for an
 * inner product, which L2 and cosine take twice.  L1 is not kept by hashing, and
 * a query without a distance to anything has no probe.
 */
static bool
seems_within(const VecxScan *so, const VecxOpened *vertex)
{
	double		error;

	if (!so->probe || !VecxIsHashed(so->index) || so->index->meta.metric == VECX_METRIC_L1)
		return true;
	error = 2 * sqrt((double) vertex->norm2 * (double) so->probe->code.norm2 / VECX_HASH_DIM);
	if (so->index->meta.metric != VECX_METRIC_IP)
		error *= 2;
	return vertex->rank - error <= so->range.max_rank;
}

/*
 * Makes the best of what the search opened the batch that rows are taken from.
 * What it opened on its way in and is farther than the width reaches stays for
 * a later batch.
 */
static void
take_batch(VecxScan *so)
{
	int			n;
	VecxOpened *opened = VecxSearchOpened(so->search, &n);
	float		threshold = so->phase != VECX_PHASE_SWEEP ? VecxSearchThreshold(so->search) :
		get_float4_infinity();
	int			left = 0;
	int			found = 0;

	if (n > so->batch_cap)
	{
		if (so->batch)
		{
			pfree(so->batch);
			pfree(so->pending);
		}
		so->batch_cap = n;
		so->batch = MemoryContextAllocHuge(so->cxt, sizeof(VecxOpened) * n);
		so->pending = MemoryContextAllocHuge(so->cxt, sizeof(VecxCandidate) * n);
	}
	so->npending = 0;
	for (int i = 0; i < n; i++)
		if (opened[i].nav <= threshold)
		{
			VecxOpened *vertex = &so->batch[so->npending];
			VecxCandidate item;

			*vertex = opened[i];
			vertex->error += rounding(so, vertex->rank);
			item.est = VecxScanLowerBound(vertex);
			item.id = so->npending;
			found++;
			if (so->range.active && item.est > so->range.max_rank)
				continue;
			so->range.vertices += seems_within(so, vertex);
			VecxHeapPush(so->pending, &so->npending, item);
		}
		else
			opened[left++] = opened[i];
	VecxSearchKeepOpened(so->search, left);
	so->returned += found;
	VecxSearchRelease(so->search);
}

/*
 * The first batch of a search with a filter.  The share may be greater than it seemed
 * from the first few: then the effort was too small.
 */
static int
search_filtered(VecxScan *so)
{
	int			width = 0;
	double		share = 0;

	VecxSearchProbe(so->search, so->tree ? PROBE_HOPS_BY_TREE : PROBE_HOPS);
	while (VecxSearchShare(so->search) > share * SHARE_GROWTH)
	{
		share = VecxSearchShare(so->search);
		VecxScanFilteredEffort(so, share);
		width = VecxEffortSearch(so->search, &so->effort, width);
	}
	return width;
}

/*
 * The next batch is as wide as all before together, within work_mem; or if the rows that
 * LIMIT still wants are known, for as many vertices as these take at the rate so far.
 */
static int
next_width(const VecxScan *so)
{
	int64		width = Max(so->returned, so->width);

	if (so->conditions)
		width = (int64) Min((double) width, VecxConditionsWanted(so));
	return (int) Min(width, Max(VecxWidestBatch(), so->width));
}

/* The first batch takes its effort. */
static void
search_batch(VecxScan *so)
{
	if (so->counts.batches++ == 0)
	{
		int			width = so->filter ? search_filtered(so) :
			VecxEffortSearch(so->search, &so->effort, 0);

		(void) VecxEffortMakeSure(so->search, &so->effort, &width);
		so->width = so->counts.width = width;
	}
	else
		VecxSearchRun(so->search, next_width(so));
}

/*
 * Whether the first batch is smaller than it should be because no link leads on, though
 * there is more: it may be nearer.  The index may be far longer than its rows need, where
 * most are gone, so that reading it must not cost many times what the search did.
 */
static bool
ended_early(VecxScan *so)
{
	double		rows = so->index->rel->rd_rel->reltuples;
	int			n;

	(void) VecxSearchOpened(so->search, &n);
	return so->counts.batches == 1 && !VecxSearchHasMore(so->search) && n < so->width &&
		(rows < 0 || rows > n) && RelationGetNumberOfBlocks(so->index->rel) <= (double) so->width * SWEEP_PAGES;
}

/*
 * Where next to nothing passes the filter, or no link leads on: looks at all that the
 * search has not, and takes the nearest for the batch.  If there is more than a batch
 * of it, the rest follows in page order.
 */
static void
sweep_all(VecxScan *so)
{
	bool		more = VecxSearchSweepAll(so->search, Max(VecxWidestBatch() / 2, so->width));

	VecxScanStartSweep(so);
	if (!more)
		so->sweep_next = so->sweep_end;
}

/* The first batch of what the value tree says is for the rows wanted, as many as
 * their codes may confuse with others; the next as those of the graph. */
static void
search_tree_batch(VecxScan *so)
{
	float		reach;
	int			width;

	if (so->counts.batches++ == 0)
		so->width = so->counts.width = VecxTreeScanWidth(so->index, &so->effort);
	width = (int) Min(Max(so->returned, so->width), Max(VecxWidestBatch(), so->width));
	for (;;)
	{
		VecxSearchRun(so->search, width);
		reach = VecxSearchThreshold(so->search);
		if (VecxSearchPastLimit(so->search) || !VecxTreeScanMayHaveNearer(so->tree, reach))
			break;
		(void) VecxTreeScanOffer(so->tree, so->search, reach, width);
	}
}

/* Offers what the search had no room for, or what was not near enough before. */
static bool
offer_again(VecxScan *so)
{
	float		any = get_float4_infinity();
	bool		offered = false;

	if (VecxSearchForgot(so->search))
		return VecxTreeScanOffer(so->tree, so->search, any, so->width);
	while (!offered && VecxTreeScanMayHaveNearer(so->tree, any))
		offered = VecxTreeScanOffer(so->tree, so->search, any, so->width);
	return offered;
}

/* Finds another batch of what the value tree says may match; false at the end. */
static bool
next_tree_batch(VecxScan *so)
{
	while (!so->counts.stopped && !VecxRangeIsDone(&so->range, so->returned))
	{
		if (VecxSearchExhausted(so->search) && !offer_again(so))
			return false;
		search_tree_batch(so);
		if (VecxSearchPastLimit(so->search))
			VecxScanGiveUp(so);
		take_batch(so);
		if (so->npending > 0)
			return true;
	}
	return false;
}

/* Finds another batch; false if there is none. */
bool
VecxScanNextBatch(VecxScan *so)
{
	while (so->phase == VECX_PHASE_GRAPH && !so->counts.stopped)
	{
		if (VecxRangeIsDone(&so->range, so->returned))
			return false;
		if (VecxSearchExhausted(so->search))
		{
			/* VACUUM may have moved the entry since the metapage was read */
			if (so->returned == 0 && !so->restarted)
			{
				so->restarted = true;
				so->counts.batches = 0;
				VecxIndexRefresh(so->index);
				VecxScanStartGraph(so);
				continue;
			}
			if (so->tree)
				VecxScanStartTree(so);
			else
				VecxScanStartSweep(so);
			break;
		}
		search_batch(so);
		if (so->may_look_up &&
			(VecxSearchPastLimit(so->search) || VecxSearchIsRare(so->search)))
		{
			VecxSearchRelease(so->search);
			so->phase = VECX_PHASE_SET;
			return false;
		}
		if (so->may_look_up)
		{
			so->may_look_up = false;
			VecxScanLimitSearch(so);
		}
		if (VecxSearchIsRare(so->search) && so->tree)
		{
			VecxScanStartTree(so);
			break;
		}
		if (VecxSearchIsRare(so->search) || ended_early(so))
			sweep_all(so);
		if (VecxSearchPastLimit(so->search))
			VecxScanGiveUp(so);
		take_batch(so);
		if (so->npending > 0)
			return true;
	}
	if (so->phase == VECX_PHASE_TREE)
		return next_tree_batch(so);
	while (so->phase == VECX_PHASE_SWEEP && !so->counts.stopped && so->sweep_next < so->sweep_end)
	{
		CHECK_FOR_INTERRUPTS();
		VecxSearchSweep(so->search, so->sweep_next++);
		if (VecxSearchPastLimit(so->search))
			VecxScanGiveUp(so);
		take_batch(so);
		if (so->npending > 0)
			return true;
	}
	return false;
}

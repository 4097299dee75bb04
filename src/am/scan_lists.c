/*
 * scan_lists.c
 *    Scans of posting lists: how many lists to read where few rows pass the
 *    conditions, and when to look up the rows that do instead.
 *
 * Rows are tested as lists are read.  The last of those wanted has a place among all rows,
 * by its distance: it is as hard to find as so many rows are without a condition, and
 * lists are added until as many were read as that takes.  Where the value tree knows the rows
 * that match, or a bitmap of other indexes does, and to look all of them up is likely to
 * cost less, that is done: at once, or when the first lists have shown it.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "miscadmin.h"
#include "utils/float.h"

#include "am/scan.h"

/*
 * Costs in records that a search of a graph opens, roughly: a list with its centroid, a
 * row of one, scored and tested; and how many rows are looked up in the table in any case
 * (VecxScanRecordsPerLookup).  Of 57,000 LSA vectors of 512
 * dimensions a list of 170 rows took seven microseconds, a row looked up two where toast.c
 * finds its value and six where it does not.
 */
#define COST_OF_LIST		4.0
#define COST_OF_ROW			0.03
#define LOOKUPS_ANYWAY		30.0

/* Lists that an effort is likely to read. */
static double
lists_of_effort(const VecxScan *so)
{
	return so->effort.records / so->index->lists->list_entries;
}

/* To read so many lists. */
static double
cost_of_lists(const VecxScan *so, double probes)
{
	const VecxLists *lists = so->index->lists;

	/* no more than there are */
	probes = Min(probes, VecxListPagesAmong(RelationGetNumberOfBlocks(so->index->rel), &so->index->meta) * lists->page_rows /
				 lists->list_entries);
	return probes * (COST_OF_LIST + lists->list_entries * COST_OF_ROW) +
		LOOKUPS_ANYWAY * VecxScanRecordsPerLookup(so);
}

/* Rows to find of those that pass, as a share does, or as many as are wanted where nobody says. */
static int64
rows_wanted(VecxScan *so, double share)
{
	int64		wanted = VecxScanRowsWanted(so, share);

	return wanted > 0 ? wanted : VECX_UNKNOWN_ROWS;
}

/*
 * The rows of the index that the conditions leave, by other means than the lists:
 * what they are of all, and what it costs to look them up.  False if nobody knows.
 */
static bool
find_otherwise(IndexScanDesc scan, VecxScan *so, double *share)
{
	if (scan->numberOfOrderBys == 0 || so->nan_first)
		return false;
	if (so->tids)
	{
		int64		count = VecxTidSetCount(so->tids);

		if (VecxTidSetLossyPages(so->tids) > 0 || count > Min(VecxSetRowsMost(), so->most_tuples))
			return false;
		*share = VecxScanShareOfSet(so);
		so->otherwise = (double) count * VecxScanRecordsPerLookup(so);
		return true;
	}
	if (!so->filter)
		return false;
	so->tree_rows = VecxTreeRowsMake(so->index, so->filter, VecxScanRecordsPerLookup(so));
	if (!so->tree_rows)
		return false;
	*share = Max(VecxTreeRowsShare(so->tree_rows), 1e-9);
	so->otherwise = VecxTreeRowsCost(so->tree_rows);
	return true;
}

/* Has the rows looked up that are known to be the only ones; false if they turn out to
 * be too many. */
static bool
look_up(IndexScanDesc scan, VecxScan *so)
{
	if (so->tree_rows)
	{
		const VecxTidSet *set = VecxTreeRowsFind(so->tree_rows, RelationGetNumberOfBlocks(scan->heapRelation));

		so->counts.entries = VecxTreeRowsRead(so->tree_rows);
		so->tree_rows = NULL;
		so->may_look_up = false;
		if (!set || VecxTidSetCount(set) > Min(VecxSetRowsMost(), so->most_tuples))
			return false;
		so->tids = set;
		so->tids_of_tree = so->counts.by_tree = true;
	}
	so->phase = VECX_PHASE_SET;
	return true;
}

/* Starts with what costs less. */
void
VecxScanStartLists(IndexScanDesc scan, VecxScan *so)
{
	double		share;

	so->may_look_up = find_otherwise(scan, so, &share);
	if (so->may_look_up)
	{
		VecxProbesOfShare(so->index->rel, &so->index->meta, rows_wanted(so, share), share, &so->effort);
		if (so->otherwise <= cost_of_lists(so, lists_of_effort(so)) && look_up(scan, so))
			return;
	}
	so->phase = VECX_PHASE_GRAPH;
	so->near = VecxNearListsMake(so->index, so->probe, so->route, so->effort.width);
	VecxScanStartGraph(so);
}

/* Lets the effort be half as many lists more than were read. */
static void
read_on(VecxScan *so, int probes)
{
	VecxEffort *effort = &so->effort;

	effort->width = Max(effort->width, (int) Min((int64) probes + probes / 2 + 1, VECX_MAX_PROBES));
	effort->ratio = get_float4_infinity();
	effort->records = Max(effort->records, (float) effort->width * so->index->lists->list_entries);
}

/*
 * The first lists were read: reads as many as it takes for the rows that pass, a few at a
 * time, because their places are known better by each.  False if the rows are looked up
 * instead.
 */
static bool
widen(IndexScanDesc scan, VecxScan *so)
{
	for (;;)
	{
		int			probes = VecxListScanProbes(so->lists);
		int64		wanted = rows_wanted(so, VecxListScanPassing(so->lists));
		double		rank = VecxListScanRank(so->lists, wanted);

		VecxProbesOfShare(so->index->rel, &so->index->meta, wanted, (double) wanted / rank, &so->effort);
		if (vecx_probes == 0 && VecxListScanStillFinds(so->lists))
			read_on(so, probes);
		if (so->may_look_up && so->otherwise < cost_of_lists(so, lists_of_effort(so) - probes) &&
			look_up(scan, so))
			return false;
		if ((so->effort.width <= probes && so->effort.ratio <= VecxListScanRatio(so->lists)) ||
			!VecxListScanWiden(so->lists, Min(so->effort.width, 2 * probes), so->effort.ratio))
			break;
		(void) VecxListScanFill(so->lists, so->given, false);
	}
	VecxListScanForget(so->lists);
	return true;
}

/* Of work_mem, what rows that are ready may take. */
#define READY_SHARE		4

/*
 * Whether rows whose distances are known may leave although no other waits.  Under strict
 * order those that come later would be dropped: as long as there is memory the next lists
 * are looked at first.
 */
static bool
may_give_ready(const VecxScan *so)
{
	return so->ready.n > 0 &&
		(!so->strict || sizeof(VecxReady) * so->ready.n > (Size) work_mem * 1024 / READY_SHARE);
}

/* Reads more lists where they are due; false if no row waits then. */
bool
VecxScanReadLists(IndexScanDesc scan, VecxScan *so)
{
	float		bound;

	if (so->counts.stopped || VecxListScanRangeIsDone(so->lists))
		return VecxListScanPeek(so->lists, &bound);
	(void) VecxListScanFill(so->lists, so->given, may_give_ready(so));
	if (so->filter && so->counts.batches == 0 && so->probe)
	{
		if (!widen(scan, so))
			return false;
		/* nothing may have been found yet, and there is no other way */
		(void) VecxListScanFill(so->lists, so->given, false);
	}
	so->counts.width = VecxListScanProbes(so->lists);
	VecxListScanCount(so->lists, &so->counts);
	if (so->counts.records > so->most_tuples)
		VecxScanGiveUp(so);
	return VecxListScanPeek(so->lists, &bound);
}

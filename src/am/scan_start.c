/*
 * scan_start.c
 *    How a scan begins: what its keys ask for, with what effort, and in which way.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/relscan.h"
#include "compat.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/float.h"
#include "utils/snapmgr.h"

#include "am/scan.h"

/* Which share of the table's rows the set has. */
double
VecxScanShareOfSet(const VecxScan *so)
{
	double		tuples = so->index->rel->rd_rel->reltuples;

	return tuples > 0 ? Min(Max(VecxTidSetCount(so->tids), 1) / tuples, 1) : 1;
}

/* What share of all rows is in the set, and meets the keys, as far as that is known. */
static double
known_share(const VecxScan *so)
{
	double		share = so->tree ? VecxTreeScanShare(so->tree) : 1;

	if (so->tids && VecxTidSetLossyPages(so->tids) == 0)
		share *= VecxScanShareOfSet(so);
	return share;
}

/*
 * Rows to find, of those that the index's tests let pass, a share of what it has seen; 0:
 * unknown.  The planner's share is that of all conditions: what the index tests is not to
 * be counted twice.  Of all rows no more pass than are known to, though all that are near
 * may.
 */
int64
VecxScanRowsWanted(VecxScan *so, double share)
{
	int64		wanted = so->rows_wanted;

	if (so->limit)
	{
		double		passing = so->passing / Min(share, known_share(so));

		passing = Min(Max(passing, VECX_LEAST_PASSING_AT_FIRST), 1);
		wanted = (int64) Min(ceil((double) VecxLimitRows(so->limit) / passing), 1e15);
	}
	so->counts.rows_wanted = wanted;
	return wanted;
}

/*
 * Takes a condition on the vector.  A ball around the query bounds the scan; others,
 * and all balls of an array, are left to the executor.  Without another query the
 * first ball's center is it.  False if no row meets the condition.
 */
static bool
take_vector_key(VecxScan *so, ScanKey key, Datum *query)
{
	Datum		center;
	double		radius;

	if (key->sk_flags & SK_SEARCHNULL)
	{
		so->only_null = true;
		return true;
	}
	so->not_null = true;
	if (key->sk_flags & SK_SEARCHNOTNULL)
		return true;
	so->recheck = true;
	if (key->sk_flags & SK_ISNULL)
		return false;
	if (key->sk_flags & SK_SEARCHARRAY)
		return true;
	if (!VecxBallOpen(key, &center, &radius))
		return false;
	if (*query == (Datum) 0)
		*query = center;
	if (!so->range.active &&
		VecxSameValue(PG_DETOAST_DATUM(center), PG_DETOAST_DATUM(*query)))
		VecxRangeInit(&so->range, so->index->meta.metric, so->index->meta.dim, radius);
	return true;
}

/*
 * Takes the query from the keys: the vector that orders the scan, else the center
 * of the first ball.  False if nothing is at a distance of the query, or there is
 * none, or no row is wanted that has one.
 */
static bool
prepare_query(IndexScanDesc scan, VecxScan *so)
{
	bool		ordered = scan->numberOfOrderBys > 0;
	bool		no_query = ordered && (scan->orderByData[0].sk_flags & SK_ISNULL);
	Datum		query = ordered && !no_query ? scan->orderByData[0].sk_argument : (Datum) 0;
	VecxInput	input;

	for (int i = 0; i < scan->numberOfKeys; i++)
		if (scan->keyData[i].sk_attno == 1 && !take_vector_key(so, &scan->keyData[i], &query))
			so->phase = VECX_PHASE_DONE;
	if ((so->only_null && so->not_null) || (so->filter && so->filter->never))
		so->phase = VECX_PHASE_DONE;
	if (so->phase == VECX_PHASE_DONE)
		return false;
	if (so->only_null || no_query || query == (Datum) 0)
	{
		so->range.active = false;
		return false;
	}
	VecxPrepareInput(so->index, query, &input);
	so->query = PointerGetDatum(input.value);
	if (input.kind != VECX_INPUT_OK)
	{
		so->range.active = false;
		return false;
	}
	so->probe = VecxProbeMake(so->index, input.vec);
	so->route = VecxTuneProbe(so->index, so->probe);
	return true;
}

/*
 * Looking up a row of a set in the table, its value in line or in TOAST, takes about
 * as long as reading so many records, and finds each of its rows.
 */
#define RECORDS_PER_LOOKUP	1.0
#define RECORDS_PER_DETOAST 3.0

double
VecxScanRecordsPerLookup(const VecxScan *so)
{
	bool		in_line = so->index->meta.value_dim * sizeof(float) < TOAST_TUPLE_TARGET;

	return in_line || so->index->spec->is_bits ? RECORDS_PER_LOOKUP : RECORDS_PER_DETOAST;
}

static double
lookup_records(const VecxScan *so)
{
	return (double) VecxTidSetCount(so->tids) * VecxScanRecordsPerLookup(so);
}

/* Bounds what the search reads. */
void
VecxScanLimitSearch(VecxScan *so)
{
	int64		most = so->most_tuples;

	/* of lists it finds centroids, and rows are what is counted */
	if (so->index->lists)
		return;
	if (so->may_look_up)
		most = Min(most, (int64) lookup_records(so));
	VecxSearchLimit(so->search, most < PG_INT64_MAX ? so->begun + most : most);
}

/* Starts the search at the base: where the graph leads, or without a place yet. */
static void
begin_search(VecxScan *so, bool by_graph)
{
	if (by_graph)
		VecxSearchBegin(so->search, so->route);
	else
		VecxSearchStart(so->search, so->route, 0, NULL, 0);
	VecxSearchCount(so->search, &so->counts);
	so->begun = so->counts.records;
	VecxScanLimitSearch(so);
}

/* Lists may be known without a search. */
void
VecxScanStartGraph(VecxScan *so)
{
	begin_search(so, so->near == NULL);
}

/* Goes on with all that the value tree says may match, and with nothing else. */
void
VecxScanStartTree(VecxScan *so)
{
	VecxSearchClose(so->search);
	(void) VecxTreeScanOffer(so->tree, so->search, get_float4_infinity(),
							 VecxTreeScanWidth(so->index, &so->effort));
	so->phase = VECX_PHASE_TREE;
	so->counts.by_tree = true;
}

/* The effort of a search with a filter that lets a share pass. */
void
VecxScanFilteredEffort(VecxScan *so, double share)
{
	VecxEffortOfShare(so->index->rel, &so->index->meta, VecxScanRowsWanted(so, share), share, &so->effort);
}

/*
 * Looks whether what the value tree says may match is likely to cost less than that many
 * records, or than a share of what it takes to search the graph for it, were that spread
 * evenly.
 */
static bool
tree_is_cheap(VecxScan *so, double otherwise, double share_of_graph)
{
	so->tree = VecxTreeScanMake(so->index, so->filter, so->probe);
	if (!so->tree)
		return false;
	VecxScanFilteredEffort(so, VecxTreeScanShare(so->tree));
	otherwise = Max(otherwise, share_of_graph * so->effort.records);
	otherwise = Min(so->effort.records, otherwise);
	so->tree_cost = VecxTreeScanCost(so->tree, so->effort.rows, otherwise);
	return so->tree_cost < otherwise;
}

static void
start_by_tree(VecxScan *so)
{
	begin_search(so, false);
	VecxScanStartTree(so);
}

/*
 * So many times what the tree is likely to cost goes to the graph, where much of what is near the
 * query matches: the tree then has more to read than elsewhere, and cells know the share as the
 * mean of wide surroundings.  On FMNIST the graph took 170 us for rows of the query's own
 * label where the tree took 350, at shares of .15 and more by cells.
 */
#define MORE_BY_GRAPH	2

/* Whether so much of what is near the query seems to match that the graph finds it with less.
 * The tree is at hand. */
static bool
is_dense_there(VecxScan *so)
{
	double		share = VecxTreeScanShareThere(so->tree);
	VecxEffort	effort = so->effort;
	bool		dense;

	if (share <= VecxTreeScanShare(so->tree))
		return false;
	VecxScanFilteredEffort(so, share);
	dense = so->effort.records <= MORE_BY_GRAPH * so->tree_cost;
	so->effort = effort;
	return dense;
}

/* Records that it takes to see what share passes near the query. */
#define LEAST_BY_GRAPH	64
/* The same, as a share of what the graph takes if as much passes there as anywhere. */
#define LEAST_OF_GRAPH	0.25
/* A search that has found its width goes on until there is nothing nearer: about as long
 * again. */
#define AFTER_WIDTH		2

/*
 * Starts by the tree where that has little to read; else with the graph, for as long as that
 * goes well: near the query far more rows may pass than elsewhere.
 */
static void
start_filtered(VecxScan *so)
{
	if (tree_is_cheap(so, LEAST_BY_GRAPH, LEAST_OF_GRAPH) && !is_dense_there(so))
	{
		start_by_tree(so);
		return;
	}
	if (so->tree)
		VecxSearchFilter(so->search, so->filter, so->tree_cost / AFTER_WIDTH);
	so->phase = VECX_PHASE_GRAPH;
	VecxScanStartGraph(so);
}

void
VecxScanStartSweep(VecxScan *so)
{
	so->phase = VECX_PHASE_SWEEP;
	so->sweep_next = VECX_META_BLKNO + 1;
	so->sweep_end = RelationGetNumberOfBlocks(so->index->rel);
}

/* What passes may be a row of a lossy page: the node above tests all conditions. */
static VecxPass
test_tid(ItemPointer tid, void *arg)
{
	return VecxTidSetMayHave(arg, tid) ? VECX_PASS_YES : VECX_PASS_NO;
}

/*
 * Whether a set is so small that looking up all its rows costs less than searching for
 * some of them.  If it is not known to be, but might be, the search is tried first.
 */
static bool
is_small_set(VecxScan *so)
{
	double		share = VecxScanShareOfSet(so);

	so->may_look_up = VecxTidSetLossyPages(so->tids) == 0 &&
		VecxTidSetCount(so->tids) <= Min(VecxSetRowsMost(), so->most_tuples);
	if (!so->may_look_up)
		return false;
	VecxScanFilteredEffort(so, share);
	/* a search that has returned rows cannot be given up */
	so->may_look_up = !so->nan_first;
	return so->effort.records >= lookup_records(so);
}

/* To ask the value tree, and to open what it tells, takes no less than so many records. */
#define LEAST_BY_TREE	60

/*
 * Starts within a set of rows.  One that is small is looked up, unless conditions that
 * the value tree knows, too, lead to its rows with less.
 */
static void
start_in_set(VecxScan *so)
{
	bool		small = is_small_set(so);

	so->phase = VECX_PHASE_GRAPH;
	if (so->may_look_up && lookup_records(so) > LEAST_BY_TREE)
	{
		bool		may_look_up = so->may_look_up;

		so->may_look_up = false;
		if (tree_is_cheap(so, lookup_records(so), 0))
		{
			start_by_tree(so);
			return;
		}
		so->may_look_up = may_look_up;
		so->tree = NULL;
	}
	if (small)
		so->phase = VECX_PHASE_SET;
	else if (so->may_look_up)
		VecxScanStartGraph(so);
	else
		start_filtered(so);
}

static void
check_scan(IndexScanDesc scan)
{
	if (scan->numberOfOrderBys + scan->numberOfKeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can only be scanned by distance or with a condition",
						RelationGetRelationName(scan->indexRelation))));

	/*
	 * TIDs are returned after their page is released.  A snapshot that could
	 * see a row that reuses a TID meanwhile would get a wrong one.
	 */
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can only be scanned with an MVCC snapshot",
						RelationGetRelationName(scan->indexRelation))));
}

/* Opens the index, and makes ready what every scan has. */
static void
open_scan(IndexScanDesc scan, VecxScan *so)
{
	int			nors;
	const VecxOrKeys *ors = VecxOrsKeys(so->ors, &nors);

	so->index = VecxIndexOpen(scan->indexRelation, so->cxt);
	memset(&so->counts, 0, sizeof(so->counts));
	so->counts.index = RelationGetRelid(scan->indexRelation);
	if (so->index->lists)
		VecxProbesChoose(scan->indexRelation, &so->index->meta, VecxScanRowsWanted(so, 1), &so->effort);
	else
		VecxEffortChoose(scan->indexRelation, &so->index->meta, VecxScanRowsWanted(so, 1), &so->effort);
	so->width = so->effort.width;
	so->filter = VecxFilterQueryMake(so->index->filters, so->cxt, scan->keyData,
									 scan->numberOfKeys, ors, nors, so->tids ? test_tid : NULL,
									 unconstify(VecxTidSet *, so->tids));
	so->search = VecxSearchMake(so->index, so->cxt, so->index->meta.tune != InvalidBlockNumber);
	if (!so->index->lists)
		VecxSearchFilter(so->search, so->filter, get_float8_infinity());
	VecxReadyInit(&so->ready, so->cxt);
	VecxSideScanStart(&so->side, so->index, so->filter, so->cxt);
	so->last_distance = -get_float8_infinity();
}

/* There is a distance: rows come in its order. */
static void
start_by_distance(IndexScanDesc scan, VecxScan *so)
{
	so->nan_first = scan->numberOfOrderBys > 0 &&
		scan->orderByData[0].sk_strategy == VECX_NAN_FIRST_STRATEGY;
	VecxConditionsStart(scan, so);
	if (so->index->lists)
		VecxScanStartLists(scan, so);
	else if (so->tids)
		start_in_set(so);
	else
	{
		so->phase = VECX_PHASE_GRAPH;
		if (so->filter)
			start_filtered(so);
		else
			VecxScanStartGraph(so);
	}
	if (so->nan_first && so->phase != VECX_PHASE_SET)
	{
		so->after_nan = so->phase;
		so->phase = VECX_PHASE_NAN;
	}
}

void
VecxScanStart(IndexScanDesc scan, VecxScan *so)
{
	uint32		centroids_version;

	check_scan(scan);
	PredicateLockRelation(scan->indexRelation, scan->xs_snapshot);
	pgstat_count_index_scan(scan->indexRelation);
	VecxCountSearch(scan);
	open_scan(scan, so);
	/* as it was before anything was searched for */
	centroids_version = so->index->meta.centroids_version;
	if (prepare_query(scan, so))
		start_by_distance(scan, so);
	else if (so->only_null && so->phase != VECX_PHASE_DONE)
	{
		begin_search(so, false);
		so->side.pass = VECX_ROW_NULL;
		so->phase = VECX_PHASE_SIDE;
	}
	else if (so->phase != VECX_PHASE_DONE)
	{
		begin_search(so, false);
		VecxScanStartSweep(so);
	}
	if (so->index->lists && so->phase != VECX_PHASE_DONE && so->phase != VECX_PHASE_SET)
	{
		so->lists = VecxListScanMake(so->index, so->cxt, so->search, so->probe, so->route,
									 &so->range, so->filter, &so->effort, so->near, centroids_version,
									 so->most_tuples, so->strict);
		so->counts.width = so->width;
	}
}

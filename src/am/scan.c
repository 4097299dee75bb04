/*
 * scan.c
 *    Index scans in order of distance: what the executor calls.
 *
 * Rows leave in batches.  A batch is what a search of some width opened, put in
 * the exact order of the operator: codes say in which order to look at the heap,
 * the heap's values give the distances, and a row leaves as soon as no other
 * of the batch is likely to be nearer.  A consumer that goes on beyond a batch
 * gets another, as wide as all rows that left so far; when no more of the graph can be reached, the
 * rest is read in page order; rows that have no distance come last.  So the
 * scan returns every row in the end.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/scan.h"

/* Of the scan that ended last in this session. */
static VecxScanCounts last_scan;

IndexScanDesc
vecxbeginscan(Relation rel, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(rel, nkeys, norderbys);
	VecxScan   *so = palloc0(sizeof(VecxScan));

	/* small at first: of a plan over many partitions few scans may be started */
	so->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx scan", ALLOCSET_START_SMALL_SIZES);
	so->fetch_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx scan fetch",
										  ALLOCSET_START_SMALL_SIZES);
	so->strict = vecx_scan_order == VECX_SCAN_STRICT;
	so->most_tuples = vecx_max_scan_tuples > 0 ? vecx_max_scan_tuples : PG_INT64_MAX;
	so->phase = VECX_PHASE_START;
	scan->opaque = so;
	return scan;
}

/* Notes a row that the cursor has just given and that is dead to everybody. */
void
VecxScanNoteDead(VecxScan *so, const VecxRowCursor *cursor, ItemPointer tid)
{
	if (so->lists)
		return;
	if (!so->kills)
		so->kills = VecxKillsMake(so->cxt);
	VecxKillsAdd(so->index, so->kills, cursor->item, cursor->lsn, tid);
}

/* Marks the rows found dead, before what the scan knows is forgotten. */
static void
mark_dead(VecxScan *so)
{
	if (so->kills)
		VecxKillsFlush(so->index, so->kills);
	so->kills = NULL;
}

/*
 * Tells the scan which limit is above it, and which share of its rows is
 * expected to get there.
 */
void
VecxScanSetLimit(IndexScanDesc scan, const LimitState *limit, double passing)
{
	VecxScan   *so = scan->opaque;

	so->limit = limit;
	so->passing = VecxOrsAreAll(so->ors) ? 1 : passing;
}

/* The same when the number is known; 0 if it is not. */
void
VecxScanSetRows(IndexScanDesc scan, int64 rows)
{
	((VecxScan *) scan->opaque)->rows_wanted = rows;
}

/* Has the scan test ORs among the conditions of its node, as long as that lives. */
void
VecxScanSetOrs(IndexScanDesc scan, IndexScanState *node)
{
	((VecxScan *) scan->opaque)->ors = VecxOrsMake(node);
}

/* Restricts the scan to a set of rows, from its next start on; NULL lifts that.  The
 * set must outlive the scan. */
void
VecxScanSetTids(IndexScanDesc scan, const VecxTidSet *tids)
{
	((VecxScan *) scan->opaque)->tids = tids;
}

const VecxScanCounts *
VecxLastScan(void)
{
	return &last_scan;
}

/* Ends what depends on the query. */
static void
end_query(VecxScan *so)
{
	if (so->search)
	{
		VecxScanCounts counts = so->counts;

		VecxSearchCount(so->search, &so->counts);
		if (so->index->lists)
		{
			/* rows, not centroids */
			counts.hops = so->counts.hops;
			so->counts = counts;
		}
		if (so->tree)
			so->counts.entries = VecxTreeScanRead(so->tree);
		last_scan = so->counts;
		VecxSearchRelease(so->search);
	}
	mark_dead(so);
	VecxConditionsEnd(so);
	if (so->exact)
		VecxExactEnd(so->exact);
	so->search = NULL;
	so->exact = NULL;
}

void
vecxrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	VecxScan   *so = scan->opaque;

	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));
	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	end_query(so);
	MemoryContextReset(so->cxt);
	so->index = NULL;
	so->probe = so->route = NULL;
	so->query = (Datum) 0;
	so->batch = NULL;
	so->pending = NULL;
	so->set_rows = NULL;
	so->npending = so->batch_cap = 0;
	so->lists = NULL;
	so->near = NULL;
	so->has_current = false;
	so->returned = so->given = 0;
	so->restarted = false;
	so->nan_first = false;
	so->range.active = false;
	so->filter = NULL;
	so->tree = NULL;
	so->recheck = so->only_null = so->not_null = so->may_look_up = false;
	so->tree_rows = NULL;
	if (so->tids_of_tree || so->tids_of_table)
		so->tids = NULL;
	so->tids_of_tree = so->tids_of_table = false;
	so->phase = VECX_PHASE_START;
}

void
vecxendscan(IndexScanDesc scan)
{
	VecxScan   *so = scan->opaque;

	end_query(so);
	MemoryContextDelete(so->cxt);
	MemoryContextDelete(so->fetch_cxt);
	pfree(so);
}

/*
 * Ends the scan at vecx.max_scan_tuples.  A scan that is started over and over, the
 * inner side of a join, says so once.
 */
void
VecxScanGiveUp(VecxScan *so)
{
	so->counts.stopped = true;
	if (so->told)
		return;
	so->told = true;
	ereport(NOTICE,
			(errmsg("scan of index \"%s\" stopped after %lld rows",
					RelationGetRelationName(so->index->rel), (long long) so->most_tuples),
			 errdetail("The result may lack rows."),
			 errhint("Raise vecx.max_scan_tuples, or set it to 0 for no limit.")));
}

/* Whether a row at that distance may come next: in a strict scan not if it is nearer than the
 * last, as one without a place in the graph may be. */
static bool
keeps_order(VecxScan *so, double distance)
{
	distance = isnan(distance) ? get_float8_infinity() : distance;
	if (so->strict && distance < so->last_distance)
	{
		so->counts.dropped++;
		return false;
	}
	so->last_distance = distance;
	return true;
}

/*
 * The next row without a place in the graph, as far as this phase returns it.
 * When NaN comes first, rows at that distance have left before all others.
 */
static bool
next_unscored_row(IndexScanDesc scan, VecxScan *so, ItemPointer tid, bool *recheck)
{
	while (VecxSideScanNext(&so->side, tid, recheck))
	{
		double		distance;

		if (so->side.pass == VECX_ROW_NULL && so->not_null)
			return false;
		if (so->side.pass == VECX_ROW_NULL)
			return !so->nan_first || so->phase == VECX_PHASE_SIDE;
		if (!so->nan_first &&
			(!so->strict || so->query == (Datum) 0 || scan->numberOfOrderBys == 0))
			return true;
		if (!VecxScanDistance(scan, so, tid, &distance))
			continue;
		if (so->nan_first && (distance == -get_float8_infinity()) != (so->phase == VECX_PHASE_NAN))
			continue;
		if (so->phase == VECX_PHASE_NAN || keeps_order(so, distance))
			return true;
	}
	return false;
}

/* The next row of a set whose rows are all looked up.  Rows of the table may be nearer than
 * what was returned before it was read. */
static bool
next_set_row(IndexScanDesc scan, VecxScan *so, ItemPointer tid)
{
	double		distance;

	if (!so->set_rows)
	{
		VecxScanMakeExact(scan, so);
		so->set_rows = VecxSetRowsMake(so->exact, &scan->orderByData[0], so->query, so->tids,
									   so->fetch_cxt);
		so->counts.heap_fetches += VecxTidSetCount(so->tids);
	}
	while (VecxSetRowsNext(so->set_rows, tid, &distance))
	{
		if (!so->strict || distance >= so->last_distance)
		{
			so->last_distance = distance;
			return true;
		}
		so->counts.dropped++;
	}
	return false;
}

bool
vecxgettuple(IndexScanDesc scan, ScanDirection dir)
{
	VecxScan   *so = scan->opaque;
	MemoryContext old;
	bool		found = false;
	bool		recheck = false;

	Assert(ScanDirectionIsForward(dir));
	old = MemoryContextSwitchTo(so->cxt);
	if (so->phase == VECX_PHASE_START)
		VecxScanStart(scan, so);
	else if (scan->kill_prior_tuple && so->has_current)
		VecxScanNoteDead(so, &so->current, &so->last_tid);
	while (!found && so->phase != VECX_PHASE_DONE)
	{
		if (so->phase == VECX_PHASE_NAN)
		{
			found = next_unscored_row(scan, so, &scan->xs_heaptid, &recheck);
			if (!found)
			{
				so->phase = so->after_nan;
				VecxSideScanStart(&so->side, so->index, so->filter, so->cxt);
			}
		}
		else if (so->phase == VECX_PHASE_SIDE)
		{
			found = next_unscored_row(scan, so, &scan->xs_heaptid, &recheck);
			if (!found)
				so->phase = VECX_PHASE_DONE;
		}
		else if (so->phase == VECX_PHASE_SET)
		{
			found = next_set_row(scan, so, &scan->xs_heaptid);
			recheck = scan->numberOfKeys > 0;
			/* the value tree knows nothing of rows without a place among the others */
			if (!found)
				so->phase = so->tids_of_tree ? VECX_PHASE_SIDE : VECX_PHASE_DONE;
		}
		else if (so->has_current && VecxCursorNext(&so->current, &scan->xs_heaptid, &recheck))
		{
			so->last_tid = scan->xs_heaptid;
			found = true;
		}
		else
		{
			so->has_current = VecxScanNextVertex(scan, so);
			if (!so->has_current && so->phase != VECX_PHASE_SET)
				so->phase = so->counts.stopped ? VECX_PHASE_DONE : VECX_PHASE_SIDE;
		}
	}
	if (found && ++so->given > so->most_tuples)
	{
		VecxScanGiveUp(so);
		so->phase = VECX_PHASE_DONE;
		found = false;
	}
	if (found)
		VecxCheckTid(scan->heapRelation, scan->indexRelation, &scan->xs_heaptid);
	if (found && so->conditions)
		VecxConditionsNote(so, &scan->xs_heaptid);
	if (so->exact)
		VecxExactReset(so->exact);
	MemoryContextSwitchTo(old);
	scan->xs_recheck = so->recheck || recheck;
	scan->xs_recheckorderby = false;
	return found;
}

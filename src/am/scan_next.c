/*
 * scan_next.c
 *    The vertex of a batch whose rows come next, in the operator's order.
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/scan.h"

void
VecxScanMakeExact(IndexScanDesc scan, VecxScan *so)
{
	if (!so->exact)
		so->exact = VecxExactMake(scan->heapRelation, scan->indexRelation, scan->xs_snapshot);
}

/* The operator's distance of the row that was found in the table; false if it has none. */
static bool
distance_of_row(IndexScanDesc scan, VecxScan *so, double *distance)
{
	ScanKey		key = &scan->orderByData[0];
	MemoryContext old = MemoryContextSwitchTo(so->fetch_cxt);
	Datum		value;
	bool		found = VecxExactValue(so->exact, &value);

	so->counts.heap_fetches++;
	if (found)
		*distance = DatumGetFloat8(FunctionCall2Coll(&key->sk_func, key->sk_collation,
													 value, so->query));
	MemoryContextSwitchTo(old);
	MemoryContextReset(so->fetch_cxt);
	return found;
}

/* The same of any row; false if the snapshot does not see it, too. */
bool
VecxScanDistance(IndexScanDesc scan, VecxScan *so, ItemPointer tid, double *distance)
{
	VecxScanMakeExact(scan, so);
	return VecxExactFind(so->exact, tid) && distance_of_row(scan, so, distance);
}

/*
 * Finds the exact distance of a vertex from the first of its rows that the
 * snapshot sees, and that meets the conditions of the node above; without any the
 * vertex is passed over.
 */
static void
find_distance(IndexScanDesc scan, VecxScan *so, const VecxOpened *vertex)
{
	VecxReady	item;
	ItemPointerData tid;
	bool		recheck;

	VecxScanMakeExact(scan, so);
	VecxCursorStart(&item.rows, so->index, so->filter, so->cxt, vertex);
	while (VecxCursorNext(&item.rows, &tid, &recheck))
	{
		TupleTableSlot *row = VecxExactFind(so->exact, &tid);

		if (!row)
		{
			if (VecxExactAllDead(so->exact))
				VecxScanNoteDead(so, &item.rows, &tid);
			continue;
		}
		if (!VecxConditionsMet(so, row, recheck) || !distance_of_row(scan, so, &item.distance))
			continue;
		if (isnan(item.distance))
			item.distance = get_float8_infinity();
		/* this row is to be returned, too */
		item.rows.next--;
		VecxReadyPush(&so->ready, &item);
		return;
	}
}

/* Sees to it that something is pending or ready; false if nothing is left. */
static bool
next_pending(IndexScanDesc scan, VecxScan *so)
{
	if (so->lists)
		return VecxScanReadLists(scan, so) || so->ready.n > 0;
	return so->ready.n > 0 || so->npending > 0 || VecxScanNextBatch(so);
}

/* The least lower bound of what is pending; false if nothing is. */
static bool
pending_bound(VecxScan *so, float *bound)
{
	if (so->lists)
		return VecxListScanPeek(so->lists, bound);
	if (so->npending > 0)
		*bound = so->pending[0].est;
	return so->npending > 0;
}

/* Takes out what has that bound; NULL if it was returned before. */
static const VecxOpened *
take_pending(VecxScan *so)
{
	VecxRowEntry row;
	float		lower;
	float		upper;

	if (!so->lists)
		return &so->batch[VecxHeapPop(so->pending, &so->npending).id];
	memset(&so->row, 0, sizeof(so->row));
	if (!VecxListScanPop(so->lists, &row, &lower, &upper))
		return NULL;
	so->row.nrows = 1;
	so->row.tids[0] = row.tid;
	so->row.recheck = (row.flags & VECX_ROW_RECHECK) != 0;
	so->row.rank = isinf(upper) ? 0 : (lower + upper) / 2;
	so->row.error = isinf(upper) ? upper : (upper - lower) / (2 * VECX_SCAN_ERROR_FACTOR);
	return &so->row;
}

/*
 * Whether a vertex taken from the pending ones is known to come next without a
 * look at the table: its range ends before those of all others begin.
 */
static bool
comes_next(VecxScan *so, const VecxOpened *vertex)
{
	float		upper = VecxScanUpperBound(vertex);
	float		bound;

	if (so->strict)
		return false;			/* which compares exact distances */
	if (so->lists && !isinf(upper))
		VecxListScanSettle(so->lists, upper);
	if (pending_bound(so, &bound) && upper > bound)
		return false;
	return so->ready.n == 0 ||
		upper <= VecxRankFromOperator(so->index->spec->metric, so->ready.items[0].distance);
}

/* Whether the pending vertices might be nearer than all that are ready. */
static bool
pending_first(VecxScan *so)
{
	float		bound;

	return pending_bound(so, &bound) &&
		(so->ready.n == 0 ||
		 bound < VecxRankFromOperator(so->index->spec->metric, so->ready.items[0].distance));
}

/* Makes so->current the vertex whose rows come next; false if none is left, or the scan has
 * changed to the table. */
bool
VecxScanNextVertex(IndexScanDesc scan, VecxScan *so)
{
	for (;;)
	{
		VecxReady	item;

		if (VecxScanChangeToTable(scan, so) || !next_pending(scan, so))
			return false;
		if (pending_first(so))
		{
			const VecxOpened *vertex = take_pending(so);
			bool		known;

			CHECK_FOR_INTERRUPTS();
			if (vertex == NULL)
				continue;
			known = scan->numberOfOrderBys == 0 ||
				(so->probe == NULL ? !so->strict || so->query == (Datum) 0 : comes_next(so, vertex));
			if (known)
			{
				VecxCursorStart(&so->current, so->index, so->filter, so->cxt, vertex);
				return true;
			}
			find_distance(scan, so, vertex);
			continue;
		}
		if (so->ready.n == 0)
			continue;
		item = VecxReadyPop(&so->ready);
		if ((so->strict && item.distance < so->last_distance) ||
			(so->range.active && item.distance > so->range.radius))
		{
			so->counts.dropped++;
			VecxCursorEnd(&item.rows);
			continue;
		}
		so->last_distance = item.distance;
		so->current = item.rows;
		return true;
	}
}

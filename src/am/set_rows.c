/*
 * set_rows.c
 *    The rows of a small set in order of distance, without the graph: each is
 *    looked up in the table.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "am/tidset.h"

typedef struct SetRow
{
	double		distance;
	ItemPointerData tid;
	bool		isnull;
} SetRow;

struct VecxSetRows
{
	SetRow	   *rows;
	int64		count;
	int64		next;
};

/* NaN after all numbers, NULL after NaN, as a sort has them. */
static int
compare_rows(const void *a, const void *b)
{
	const SetRow *x = a;
	const SetRow *y = b;

	if (x->isnull != y->isnull)
		return x->isnull - y->isnull;
	if (isnan(x->distance) || isnan(y->distance))
		return (isnan(x->distance) != 0) - (isnan(y->distance) != 0);
	return (x->distance > y->distance) - (x->distance < y->distance);
}

/* How many rows fit the memory that is for them. */
int64
VecxSetRowsMost(void)
{
	return (int64) work_mem * 1024 / 4 / (int64) sizeof(SetRow);
}

/*
 * Looks at all rows of a set, which must be no more than that and have no lossy
 * pages.  Allocates in the current context; fetch_cxt is reset for each row.
 *
 * Other indexes found the rows, so a partial index may lack some of them.  These are
 * not to be returned: the planner leaves conditions that follow from the
 * predicate out of the scan's filter.  Nor is the index's expression for them: it may
 * fail where the predicate does not hold.
 */
VecxSetRows *
VecxSetRowsMake(VecxExact *exact, ScanKey order, Datum query, const VecxTidSet *set,
				MemoryContext fetch_cxt)
{
	VecxSetRows *result = palloc0(sizeof(VecxSetRows));
	VecxTidCursor cursor = {0};
	SetRow		row;

	result->rows = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(SetRow) * (VecxTidSetCount(set) + 1));
	while (VecxTidSetNext(set, &cursor, &row.tid))
	{
		MemoryContext old = MemoryContextSwitchTo(fetch_cxt);
		Datum		value;

		CHECK_FOR_INTERRUPTS();
		if (VecxExactFind(exact, &row.tid) != NULL && VecxExactMeetsPredicate(exact))
		{
			row.isnull = !VecxExactValue(exact, &value);
			row.distance = row.isnull ? 0 :
				DatumGetFloat8(FunctionCall2Coll(&order->sk_func, order->sk_collation,
												 value, query));
			result->rows[result->count++] = row;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(fetch_cxt);
	}
	qsort(result->rows, result->count, sizeof(SetRow), compare_rows);
	return result;
}

/* The next row, and its distance, infinite if it is no number. */
bool
VecxSetRowsNext(VecxSetRows *rows, ItemPointer tid, double *distance)
{
	const SetRow *row = &rows->rows[rows->next];

	if (rows->next == rows->count)
		return false;
	*tid = row->tid;
	*distance = row->isnull || isnan(row->distance) ? get_float8_infinity() : row->distance;
	rows->next++;
	return true;
}

/*
 * scan_table.c
 *    What a scan does about conditions that the index does not know: it tests them on the rows
 *    whose distances it needs, and changes to the table where few rows meet them.
 *
 * What a condition that the index does not know lets pass, the planner may only
 * guess.  If of the rows that a scan has returned so few met it that to go on until
 * LIMIT is met would read more than the table has, the table is read instead: all rows
 * that meet the scan's conditions are found, and returned in order of distance but
 * for those that were before.  So a wrong guess costs a search and a sequential
 * scan, not a walk through the whole index.
 *
 * A strict scan leaves out those that are nearer than what it has returned, as it does
 * with all that is found late.
 *
 * A vertex whose distance is to be computed costs its vector, which may lie out of line; if
 * its rows fail the conditions, that is saved.
 *
 * The conditions are those of the plan's node, which tests them again.  A row found in the
 * table is known by the TID of its HOT chain's root, as in the index.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "am/heap.h"
#include "am/plan.h"
#include "am/scan.h"

/* To test a row of the table, and to fetch one that the index gave, in records of the graph
 * that are opened in that time. */
#define RECORDS_PER_TEST	0.1
#define RECORDS_PER_FETCH	1.5
/* To read a page of the table; and how many operators of conditions take as long as a record. */
#define RECORDS_PER_PAGE	0.5
#define OPERATORS_PER_RECORD	30.0

/* What the node above tests, and the rows that it was given. */
struct VecxConditions
{
	IndexScanState *node;
	ExprContext *econtext;		/* NULL: rows are not tested before the node does */
	double		records_per_test;
	bool		may_change;		/* to the table */
	ItemPointerData *given;		/* if so */
	int64		ngiven;
	int64		cap;
};

/* Whether a row that meets conditions once meets them again, as it must: it is tested in
 * the table and by the node.  What a subquery comes to is not looked into. */
bool
VecxMeetsAgain(List *conditions)
{
	return !contain_volatile_functions((Node *) conditions) && !contain_subplans((Node *) conditions);
}

/*
 * Tells the scan of the node that it belongs to.  The limit above counts the rows that
 * met the node's conditions, and nothing in between drops or keeps back any.
 */
void
VecxScanSetNode(IndexScanDesc scan, IndexScanState *node)
{
	VecxScan   *so = scan->opaque;
	IndexScan  *plan = (IndexScan *) node->ss.ps.plan;

	if (plan->scan.plan.qual == NIL || so->most_tuples < PG_INT64_MAX ||
		node->ss.ss_currentRelation->rd_rel->relam != HEAP_TABLE_AM_OID ||
		!VecxMeetsAgain(plan->scan.plan.qual))
		return;
	so->node = node;
}

/*
 * Whether to test the conditions of rows before the node does: it is worth it where so many
 * fail that more is saved, to read their vectors and to give them to the node, than it
 * costs to test the others twice.
 */
static bool
pays_to_test(const VecxScan *so, double records_per_test)
{
	return (1 - so->passing) * (VecxScanRecordsPerLookup(so) + RECORDS_PER_FETCH) >
		so->passing * records_per_test;
}

/* Where the change is possible, rows that are given are noted from the start. */
void
VecxConditionsStart(IndexScanDesc scan, VecxScan *so)
{
	VecxConditions *conditions;
	QualCost	test;

	if (!so->node || VecxLimitRows(so->limit) <= 0 || scan->numberOfOrderBys == 0 || so->nan_first)
		return;
	so->conditions = conditions = palloc0(sizeof(VecxConditions));
	conditions->node = so->node;
	cost_qual_eval(&test, so->node->ss.ps.plan->qual, NULL);
	conditions->records_per_test = RECORDS_PER_TEST +
		test.per_tuple / (OPERATORS_PER_RECORD * cpu_operator_cost);
	if (pays_to_test(so, conditions->records_per_test))
		conditions->econtext = CreateExprContext(so->node->ss.ps.state);
	conditions->may_change = !so->index->lists && !so->tids;
	conditions->cap = 256;
	conditions->given = palloc(sizeof(ItemPointerData) * conditions->cap);
}

void
VecxConditionsEnd(VecxScan *so)
{
	if (so->conditions && so->conditions->econtext)
		FreeExprContext(so->conditions->econtext, true);
	so->conditions = NULL;
}

/* Tests a row of the table as the node would, in the same order; recheck is whether also
 * what the index knows of. */
static bool
meets(IndexScanState *node, ExprContext *econtext, TupleTableSlot *row, bool recheck)
{
	ResetExprContext(econtext);
	econtext->ecxt_scantuple = row;
	if (recheck && !ExecQual(node->indexqualorig, econtext))
		return false;
	if (ExecQual(node->ss.ps.qual, econtext))
		return true;
	InstrCountFiltered1(node, 1);
	return false;
}

/* Whether to go on with a row that was found in the table: false if the node would drop it. */
bool
VecxConditionsMet(VecxScan *so, TupleTableSlot *row, bool recheck)
{
	MemoryContext old;
	bool		met;

	if (!so->conditions || !so->conditions->econtext)
		return true;
	old = MemoryContextSwitchTo(so->fetch_cxt);
	met = meets(so->conditions->node, so->conditions->econtext, row, recheck || so->recheck);
	MemoryContextSwitchTo(old);
	so->given += !met;
	return met;
}

/* The next batch is made larger than it seems to need by so much, and at least so large. */
#define MORE_WANTED		1.5
#define LEAST_WANTED	16

/* How many vertices the rows that LIMIT still wants are likely to take. */
double
VecxConditionsWanted(const VecxScan *so)
{
	double		passing = (double) (so->limit->position + 1) / (double) (so->given + 1);
	int64		wanted = VecxLimitRows(so->limit) - so->limit->position;

	return Max(MORE_WANTED * (double) Max(wanted, 1) / passing, LEAST_WANTED);
}

/* Notes a row that is given to the node; when they outgrow work_mem there is no change any
 * more. */
void
VecxConditionsNote(VecxScan *so, ItemPointer tid)
{
	VecxConditions *conditions = so->conditions;

	if (!conditions->may_change)
		return;
	if (conditions->ngiven == conditions->cap)
	{
		if ((Size) conditions->cap * 2 * sizeof(ItemPointerData) > (Size) work_mem * 1024)
		{
			pfree(conditions->given);
			conditions->may_change = false;
			return;
		}
		conditions->cap *= 2;
		conditions->given = repalloc_huge(conditions->given, sizeof(ItemPointerData) * conditions->cap);
	}
	conditions->given[conditions->ngiven++] = *tid;
}

/* Whether the rows that LIMIT still wants are likely to cost more to search for than all
 * that meet the conditions to find in the table. */
static bool
table_is_cheaper(IndexScanDesc scan, VecxScan *so)
{
	double		tuples = so->index->rel->rd_rel->reltuples;
	double		rows = scan->heapRelation->rd_rel->reltuples;
	int64		wanted = VecxLimitRows(so->limit);
	double		passing;
	double		per_row;
	double		matching;

	if (tuples <= 0 || rows <= 0 || wanted <= 0 || wanted <= so->limit->position)
		return false;
	VecxSearchCount(so->search, &so->counts);
	passing = (double) (so->limit->position + 1) / (double) (so->given + 1);
	per_row = ((double) so->counts.records + (double) so->counts.heap_fetches * VecxScanRecordsPerLookup(so)) /
		(double) so->given + RECORDS_PER_FETCH + so->conditions->records_per_test;
	matching = tuples * passing;
	if (so->counts.tested > 0)
		matching *= (double) so->counts.matching / (double) so->counts.tested;
	return rows * so->conditions->records_per_test +
		RelationGetNumberOfBlocks(scan->heapRelation) * RECORDS_PER_PAGE +
		matching * VecxScanRecordsPerLookup(so) <
		(double) (wanted - so->limit->position) / passing * per_row;
}

/* The root of the HOT chain of a row of a table. */
static void
find_root(TupleTableSlot *slot, OffsetNumber *roots, BlockNumber *roots_of, ItemPointer tid)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
	BlockNumber blkno = ItemPointerGetBlockNumber(&slot->tts_tid);

	*tid = slot->tts_tid;
	if (!HeapTupleIsHeapOnly(tuple))
		return;
	if (*roots_of != blkno)
	{
		Buffer		buf = ((BufferHeapTupleTableSlot *) slot)->buffer;

		LockBuffer(buf, BUFFER_LOCK_SHARE);
		heap_get_root_tuples(BufferGetPage(buf), roots);
		LockBuffer(buf, BUFFER_LOCK_UNLOCK);
		*roots_of = blkno;
	}
	ItemPointerSetOffsetNumber(tid, roots[ItemPointerGetOffsetNumber(tid) - 1]);
}

static bool
was_given(const VecxConditions *conditions, const ItemPointerData *tid)
{
	return bsearch(tid, conditions->given, conditions->ngiven, sizeof(ItemPointerData),
				   VecxCompareTids) != NULL;
}

/*
 * Reads the table for the rows that meet the node's conditions and were not given to it; NULL
 * if they are too many.  A partial index's predicate comes first: the node may lack what it
 * implies, be it what hides rows from the functions in other conditions.
 */
static TIDBitmap *
read_table(IndexScanDesc scan, VecxConditions *conditions)
{
	IndexScanState *node = conditions->node;
	ExprContext *econtext = CreateExprContext(node->ss.ps.state);
	TIDBitmap  *bitmap = tbm_create((Size) work_mem * 1024, NULL);
	TupleTableSlot *slot = table_slot_create(scan->heapRelation, NULL);
	TableScanDesc table = table_beginscan(scan->heapRelation, scan->xs_snapshot, 0, NULL);
	OffsetNumber roots[MaxHeapTuplesPerPage];
	BlockNumber roots_of = InvalidBlockNumber;
	ExprState  *predicate = ExecInitQual(RelationGetIndexPredicate(scan->indexRelation), NULL);
	int64		found = 0;

	qsort(conditions->given, conditions->ngiven, sizeof(ItemPointerData), VecxCompareTids);
	while (found <= VecxSetRowsMost() && table_scan_getnextslot(table, ForwardScanDirection, slot))
	{
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		econtext->ecxt_scantuple = slot;
		if (!ExecQual(predicate, econtext) || !meets(node, econtext, slot, true))
			continue;
		find_root(slot, roots, &roots_of, &tid);
		if (was_given(conditions, &tid))
			continue;
		tbm_add_tuples(bitmap, &tid, 1, false);
		found++;
	}
	table_endscan(table);
	ExecDropSingleTupleTableSlot(slot);
	FreeExprContext(econtext, true);
	if (found <= VecxSetRowsMost())
		return bitmap;
	tbm_free(bitmap);
	return NULL;
}

/*
 * Called when all that was found has been given: changes to the table if that is likely to
 * cost less than to search on.  If too many of its rows turn out to meet the conditions, it
 * was not, and the search goes on.
 */
bool
VecxScanChangeToTable(IndexScanDesc scan, VecxScan *so)
{
	VecxConditions *conditions = so->conditions;
	TIDBitmap  *bitmap;
	const VecxTidSet *set;

	if (!conditions || !conditions->may_change || so->given == 0 || so->phase == VECX_PHASE_SIDE ||
		so->npending > 0 || so->ready.n > 0 || !table_is_cheaper(scan, so))
		return false;
	VecxSearchRelease(so->search);
	conditions->may_change = false;
	bitmap = read_table(scan, conditions);
	pfree(conditions->given);
	if (!bitmap)
		return false;
	set = VecxTidSetMake(bitmap, RelationGetNumberOfBlocks(scan->heapRelation), so->cxt);
	tbm_free(bitmap);
	if (VecxTidSetLossyPages(set) > 0)
		return false;
	so->tids = set;
	so->has_current = false;
	so->tids_of_table = so->counts.by_table = true;
	so->phase = VECX_PHASE_SET;
	return true;
}

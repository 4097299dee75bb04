/*
 * bitmap_filter.c
 *    The plan node that restricts a scan in order of distance to rows that other
 *    indexes found:
 *
 *     Custom Scan (Vecx Bitmap Filter) on docs
 *       ->  Bitmap Index Scan on docs_category
 *       ->  Index Scan using docs_embedding on docs
 *
 * Before its first row the node runs the bitmap's plan, as a Bitmap Heap Scan
 * does, and gives the scan the TIDs as a set; then it returns what the scan
 * returns.  The scan passes over rows that are not in the set.  It has all
 * conditions of the query as its filter, those that the bitmap answers as well:
 * the bitmap may be lossy, and a row may have changed under EvalPlanQual.  So the
 * set decides what is looked at, and nothing else.
 *
 * The TIDs of index entries are the roots of HOT chains, in all indexes alike;
 * and no TID of a row that the query's snapshot sees can be reused before it
 * ends.  So the set has all rows that the scan may return.
 *
 * The scan computes the node's own target list (BeginCustomScan), which saves a
 * projection.
 */
#include "postgres.h"

#include "compat.h"
#include VECX_EXPLAIN_HEADER
#include VECX_EXPLAIN_STATE_HEADER
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "am/tidset.h"

typedef struct BitmapFilterState
{
	CustomScanState css;
	PlanState  *bitmap;
	IndexScanState *scan;
	MemoryContext set_cxt;
	VecxTidSet *set;			/* in set_cxt; NULL: not made yet */
} BitmapFilterState;

static void begin_filter(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_filter(CustomScanState *node);
static void end_filter(CustomScanState *node);
static void rescan_filter(CustomScanState *node);
static void explain_filter(CustomScanState *node, List *ancestors, ExplainState *es);

static const CustomExecMethods exec_methods = {
	.CustomName = VECX_BITMAP_FILTER,
	.BeginCustomScan = begin_filter,
	.ExecCustomScan = exec_filter,
	.EndCustomScan = end_filter,
	.ReScanCustomScan = rescan_filter,
	.ExplainCustomScan = explain_filter,
};

static Node *
create_state(CustomScan *plan)
{
	BitmapFilterState *state = palloc0(sizeof(BitmapFilterState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

const CustomScanMethods VecxBitmapFilterMethods = {
	.CustomName = VECX_BITMAP_FILTER,
	.CreateCustomScanState = create_state,
};

bool
VecxIsBitmapFilter(const PlanState *node)
{
	return IsA(node, CustomScanState) &&
		((const CustomScanState *) node)->methods == &exec_methods;
}

/* The scan below the node. */
PlanState *
VecxBitmapFilterScan(const PlanState *node)
{
	return &((const BitmapFilterState *) node)->scan->ss.ps;
}

static void
begin_filter(CustomScanState *node, EState *estate, int eflags)
{
	BitmapFilterState *state = (BitmapFilterState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	IndexScan  *scan = makeNode(IndexScan);

	memcpy(scan, lsecond(plan->custom_plans), sizeof(IndexScan));
	scan->scan.plan.targetlist = plan->scan.plan.targetlist;
	/* and hears of all parameters that it now depends on, those of subplans in it */
	scan->scan.plan.extParam = plan->scan.plan.extParam;
	scan->scan.plan.allParam = plan->scan.plan.allParam;
	state->bitmap = ExecInitNode(linitial(plan->custom_plans), estate, eflags);
	state->scan = castNode(IndexScanState, ExecInitNode(&scan->scan.plan, estate, eflags));
	node->custom_ps = list_make2(state->bitmap, state->scan);

	/* what is above sees the scan's slots */
	node->ss.ps.resultops = ExecGetResultSlotOps(&state->scan->ss.ps,
												 &node->ss.ps.resultopsfixed);
	node->ss.ps.resultopsset = true;
	node->ss.ss_ScanTupleSlot = state->scan->ss.ss_ScanTupleSlot;	/* for WHERE CURRENT OF */
	state->set_cxt = AllocSetContextCreate(estate->es_query_cxt, "vecx bitmap filter",
										   ALLOCSET_DEFAULT_SIZES);
}

static void
make_set(BitmapFilterState *state)
{
	TIDBitmap  *bitmap = (TIDBitmap *) MultiExecProcNode(state->bitmap);

	if (!bitmap || !IsA(bitmap, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	state->set = VecxTidSetMake(bitmap, RelationGetNumberOfBlocks(state->css.ss.ss_currentRelation),
								state->set_cxt);
	tbm_free(bitmap);
	VecxScanSetTids(VecxNodeScan(state->scan), state->set);
}

/*
 * EvalPlanQual has rows of its own, which the scan tests and returns.  Where it
 * does look for rows, in a subquery, the scan finds the right ones without the
 * set, too.
 */
static TupleTableSlot *
exec_filter(CustomScanState *node)
{
	BitmapFilterState *state = (BitmapFilterState *) node;

	if (!state->set && !node->ss.ps.state->es_epq_active)
		make_set(state);
	/* a scan takes longer to begin than to find that there is nothing */
	if (state->set && VecxTidSetCount(state->set) == 0 && VecxTidSetLossyPages(state->set) == 0)
		return NULL;
	return ExecProcNode(&state->scan->ss.ps);
}

static void
rescan_filter(CustomScanState *node)
{
	BitmapFilterState *state = (BitmapFilterState *) node;
	Bitmapset  *changed = node->ss.ps.chgParam;

	if (changed)
	{
		UpdateChangedParamSet(state->bitmap, changed);
		UpdateChangedParamSet(&state->scan->ss.ps, changed);
	}
	/* a child with changed parameters starts anew when it is next run */
	if (state->set && state->bitmap->chgParam)
	{
		VecxScanSetTids(state->scan->iss_ScanDesc, NULL);
		state->set = NULL;
		MemoryContextReset(state->set_cxt);
	}
	if (!state->scan->ss.ps.chgParam)
		ExecReScan(&state->scan->ss.ps);
}

static void
end_filter(CustomScanState *node)
{
	BitmapFilterState *state = (BitmapFilterState *) node;

	ExecEndNode(state->bitmap);
	ExecEndNode(&state->scan->ss.ps);
	MemoryContextDelete(state->set_cxt);
}

static void
explain_filter(CustomScanState *node, List *ancestors, ExplainState *es)
{
	BitmapFilterState *state = (BitmapFilterState *) node;

	if (!es->analyze || !state->set)
		return;
	ExplainPropertyInteger("Rows in Bitmap", NULL, VecxTidSetCount(state->set), es);
	if (VecxTidSetLossyPages(state->set) > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyInteger("Lossy Pages in Bitmap", NULL,
							   VecxTidSetLossyPages(state->set), es);
}

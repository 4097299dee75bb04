/*
 * limit.c
 *    Tells index scans which LIMIT is above them, and which conditions their node has.
 *
 * PostgreSQL does not tell an access method how many rows will be asked for,
 * but the plan says it: a Limit node with nothing between it and the scan that
 * drops, adds or sorts rows.  Once the executor has set up its nodes, such a
 * scan is given a pointer to the Limit's state, where it finds the number when
 * it begins, parameters and all, and anew at each rescan.
 *
 * The executor makes an index scan's descriptor at its first row; here it is
 * made at once, in the same way, since it is all there is to hand over.  Nothing is read
 * or locked for it before a row is asked for.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"

#include "am/am.h"
#include "am/tidset.h"

static ExecutorStart_hook_type next_executor_start;

/* The rows that a Limit node takes from below, which it knows once it runs; 0
 * if it takes all. */
int64
VecxLimitRows(const LimitState *limit)
{
	int64		rows;

	if (limit->lstate == LIMIT_INITIAL || limit->noCount)
		return 0;
	rows = limit->count + limit->offset;
	return rows < limit->count ? PG_INT64_MAX : Max(rows, 1);
}

static bool
is_vecx_scan(const IndexScanState *node)
{
	return node->iss_RelationDesc && node->iss_ScanDesc == NULL &&
		node->iss_RelationDesc->rd_indam->ambeginscan == vecxbeginscan;
}

/*
 * The share of rows that the planner expects a scan's conditions to let pass: a
 * limit of ten rows takes a hundred if it is a tenth.
 */
static double
passing_share(const IndexScanState *node)
{
	double		tuples = node->iss_RelationDesc->rd_rel->reltuples;

	if (node->ss.ps.qual == NULL || tuples <= 0)
		return 1;
	return Min(node->ss.ps.plan->plan_rows / tuples, 1);
}

/* A node's scan, whose descriptor is made as IndexNext would if there is none. */
IndexScanDesc
VecxNodeScan(IndexScanState *node)
{
	EState	   *estate = node->ss.ps.state;
	MemoryContext old;

	if (node->iss_ScanDesc)
		return node->iss_ScanDesc;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	node->iss_ScanDesc = VecxNodeBeginScan(node, estate->es_snapshot);
	/* keys that have to be computed first come with a rescan */
	if (node->iss_NumRuntimeKeys == 0 || node->iss_RuntimeKeysReady)
		index_rescan(node->iss_ScanDesc, node->iss_ScanKeys, node->iss_NumScanKeys,
					 node->iss_OrderByKeys, node->iss_NumOrderByKeys);
	VecxScanSetOrs(node->iss_ScanDesc, node);
	MemoryContextSwitchTo(old);
	return node->iss_ScanDesc;
}

/*
 * Hands a limit to the scans below a node that gives as many rows as it takes; alone
 * says that it gives each as soon as it has it, and takes from no other.
 */
static void
pass_down(PlanState *node, const LimitState *limit, bool alone)
{
	PlanState **children = NULL;
	int			n = 0;

	if (node == NULL || (node->qual && !IsA(node, IndexScanState)))
		return;
	switch (nodeTag(node))
	{
		case T_IndexScanState:
			if (!is_vecx_scan((IndexScanState *) node))
				return;
			VecxScanSetLimit(VecxNodeScan((IndexScanState *) node), limit,
							 passing_share((IndexScanState *) node));
			if (alone)
				VecxScanSetNode(((IndexScanState *) node)->iss_ScanDesc, (IndexScanState *) node);
			return;
		case T_CustomScanState:
			if (VecxIsBitmapFilter(node))
				pass_down(VecxBitmapFilterScan(node), limit, false);
			return;
		case T_SubqueryScanState:
			pass_down(((SubqueryScanState *) node)->subplan, limit, alone);
			return;
		case T_ResultState:
		case T_LockRowsState:
			pass_down(outerPlanState(node), limit, alone);
			return;
		case T_IncrementalSortState:	/* takes little more than it gives */
			pass_down(outerPlanState(node), limit, false);
			return;
		case T_AppendState:
			children = ((AppendState *) node)->appendplans;
			n = ((AppendState *) node)->as_nplans;
			break;
		case T_MergeAppendState:
			children = ((MergeAppendState *) node)->mergeplans;
			n = ((MergeAppendState *) node)->ms_nplans;
			break;
		default:
			return;
	}
	for (int i = 0; i < n; i++)
		pass_down(children[i], limit, false);
}

/* Scans begin with their plan, which was made for the order that the settings say now. */
static bool
find_limits(PlanState *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, LimitState))
		pass_down(outerPlanState(node), (LimitState *) node, true);
	else if (IsA(node, IndexScanState) && is_vecx_scan((IndexScanState *) node))
		(void) VecxNodeScan((IndexScanState *) node);
	return planstate_tree_walker(node, find_limits, context);
}

static void
executor_start(QueryDesc *query, int eflags)
{
	if (next_executor_start)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (query->planstate && !(eflags & EXEC_FLAG_EXPLAIN_ONLY) && query->estate->es_snapshot)
		(void) find_limits(query->planstate, NULL);
}

/* Called once, when the library is loaded. */
void
vecxLimitInit(void)
{
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}

/*
 * plan_unread.c
 *    Leaves out the distances that nobody reads.
 *
 * `SELECT id FROM t ORDER BY v <-> $1 LIMIT 10` makes the planner add
 * `v <-> $1` to the columns of every plan node up to the top, as a junk column
 * that a Sort would need.  When an index gives the order there is no Sort, and
 * the distance, for which the executor would fetch the vector of each row from
 * its TOAST table, is thrown away.  Here its place is taken by a NULL.
 *
 * Why nobody reads it: the planner marks a column as junk in the topmost node of
 * a query level (apply_tlist_labeling), and what is junk there cannot be named
 * from without: the executor's junk filter, a SubqueryScan, a CTE and a SubPlan
 * all leave such columns out, and convert_subquery_pathkeys does not follow an
 * order by them.  What remains are the nodes of the level itself:
 *
 * - A Limit is topmost but for a ModifyTable, whose junk columns are row ids.
 *   So its junk columns are unread whatever is above, also where a trivial
 *   SubqueryScan was removed between.  But WITH TIES compares them.
 * - LockRows comes between the two for FOR UPDATE.  It reads the row ids and
 *   passes on the rest; EvalPlanQual makes the lower columns anew, a NULL too.
 * - An index scan, or LockRows above one, is the topmost node itself if it is
 *   the root of a statement, subplan or SubqueryScan.  Elsewhere a junk column
 *   may be what a MergeAppend sorts by.
 *
 * A Sort, a MergeAppend or anything else between is left alone.
 *
 * Why it may go uncomputed: an index orders by immutable operators, and the
 * operator's other argument, which is no more than stable, is still evaluated by
 * the scan, which raises the error of a query of other dimensions.
 *
 * The planner would prefer a sort where the distance alone decides between the two,
 * so what it is going to charge for the column is taken from the paths of a scan first.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "am/am.h"
#include "am/plan.h"

/* The operator family of a vecx index; InvalidOid for any other index. */
static Oid
vecx_family(Oid oid)
{
	Relation	rel = index_open(oid, NoLock);	/* the planner's lock is kept */
	Oid			family = rel->rd_indam->amgettuple == vecxgettuple ?
		rel->rd_opfamily[0] : InvalidOid;

	index_close(rel, NoLock);
	return family;
}

/* Whether the operator, or its commutator, orders the index. */
static bool
orders_index(Oid opno, Oid family)
{
	return OidIsValid(get_op_opfamily_sortfamily(opno, family)) ||
		OidIsValid(get_op_opfamily_sortfamily(get_commutator(opno), family));
}

/*
 * Whether an expression is a distance, or a linear form of one, between what the
 * scan is ordered by.
 */
static bool
is_order_of_scan(Expr *expr, Expr *order, Oid family)
{
	VecxForm	form;
	OpExpr	   *a = (OpExpr *) VecxStripForm(expr, &form);
	OpExpr	   *b = (OpExpr *) order;

	if (!IsA(a, OpExpr) || !IsA(b, OpExpr) ||
		list_length(a->args) != 2 || list_length(b->args) != 2 ||
		!orders_index(a->opno, family))
		return false;
	return (equal(linitial(a->args), linitial(b->args)) &&
			equal(lsecond(a->args), lsecond(b->args))) ||
		(equal(linitial(a->args), lsecond(b->args)) &&
		 equal(lsecond(a->args), linitial(b->args)));
}

/*
 * The index scan whose order reaches this node of the topmost ones, or NULL.  *node
 * is that scan, or the bitmap filter above it, which has it compute its columns.
 */
static IndexScan *
ordered_scan_below(Plan *plan, Plan **node)
{
	if (plan && IsA(plan, Limit) && ((Limit *) plan)->limitOption == LIMIT_OPTION_COUNT)
		plan = plan->lefttree;
	if (plan && IsA(plan, LockRows))
		plan = plan->lefttree;
	*node = plan;
	if (plan && IsA(plan, CustomScan))
		plan = (Plan *) VecxBitmapFilterPlanScan((CustomScan *) plan);
	if (plan && IsA(plan, IndexScan) && list_length(((IndexScan *) plan)->indexorderbyorig) == 1)
		return (IndexScan *) plan;
	return NULL;
}

/*
 * The column of plan->lefttree that is the source of this junk column and of no
 * other one of plan's; 0 if there is none.
 */
static AttrNumber
source_column(Plan *plan, TargetEntry *junk)
{
	Var		   *var = (Var *) junk->expr;
	ListCell   *lc;

	if (!IsA(var, Var) || var->varno != OUTER_VAR)
		return 0;
	foreach(lc, plan->targetlist)
	{
		TargetEntry *other = lfirst_node(TargetEntry, lc);

		if (other == junk)
			continue;
		/* Limit and LockRows do not compute: anything else is unexpected */
		if (!IsA(other->expr, Var) && !IsA(other->expr, Const))
			return 0;
		if (IsA(other->expr, Var) && ((Var *) other->expr)->varattno == var->varattno)
			return 0;
	}
	return var->varattno;
}

/* Follows a junk column down to the scan; NULL if it is not the distance. */
static TargetEntry *
unread_distance(Plan *plan, TargetEntry *entry, Plan *node, IndexScan *scan, Oid family)
{
	while (plan != node)
	{
		AttrNumber	column = source_column(plan, entry);

		plan = plan->lefttree;
		if (column < 1 || column > list_length(plan->targetlist))
			return NULL;
		entry = list_nth_node(TargetEntry, plan->targetlist, column - 1);
	}
	return is_order_of_scan(entry->expr, linitial(scan->indexorderbyorig), family) ? entry : NULL;
}

/* Does it for the topmost nodes of one query level. */
static void
drop_at_level(Plan *top)
{
	Plan	   *node;
	IndexScan  *scan = ordered_scan_below(top, &node);
	Oid			family;
	ListCell   *lc;

	if (!scan || !OidIsValid(family = vecx_family(scan->indexid)))
		return;
	foreach(lc, top->targetlist)
	{
		TargetEntry *junk = lfirst_node(TargetEntry, lc);
		TargetEntry *entry = junk->resjunk ? unread_distance(top, junk, node, scan, family) : NULL;

		if (entry)
			entry->expr = (Expr *) makeNullConst(exprType((Node *) entry->expr),
												 exprTypmod((Node *) entry->expr),
												 exprCollation((Node *) entry->expr));
	}
}

static void
walk_list(List *plans, void (*walk) (Plan *))
{
	ListCell   *lc;

	foreach(lc, plans)
		walk(lfirst(lc));
}

static void
walk_plan(Plan *plan)
{
	if (!plan)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_Limit:
			drop_at_level(plan);
			break;
		case T_SubqueryScan:
			drop_at_level(((SubqueryScan *) plan)->subplan);
			walk_plan(((SubqueryScan *) plan)->subplan);
			break;
		case T_Append:
			walk_list(((Append *) plan)->appendplans, walk_plan);
			break;
		case T_MergeAppend:
			walk_list(((MergeAppend *) plan)->mergeplans, walk_plan);
			break;
		case T_CustomScan:
			walk_list(((CustomScan *) plan)->custom_plans, walk_plan);
			break;
		default:
			break;
	}
	walk_plan(plan->lefttree);
	walk_plan(plan->righttree);
}

static void
walk_root(Plan *plan)
{
	drop_at_level(plan);
	walk_plan(plan);
}

/* The distance by which a query orders one table if it will be left out. */
static Expr *
unread_order(PlannerInfo *root, RelOptInfo *rel)
{
	Query	   *parse = root->parse;
	TargetEntry *entry;

	if (!bms_equal(rel->relids, root->all_baserels) || list_length(parse->sortClause) != 1 ||
		parse->commandType != CMD_SELECT || parse->hasAggs || parse->hasWindowFuncs ||
		parse->hasTargetSRFs || parse->groupClause != NIL || parse->groupingSets != NIL ||
		parse->distinctClause != NIL || parse->setOperations != NULL ||
		(parse->limitCount && parse->limitOption != LIMIT_OPTION_COUNT))
		return NULL;
	entry = get_sortgroupclause_tle(linitial(parse->sortClause), root->processed_tlist);
	return entry->resjunk ? entry->expr : NULL;
}

/* The scan of a path that will be left to compute columns without the distance, or NULL. */
static IndexPath *
scan_of_path(Path *path)
{
	/* one that does not give the order is ruled out by its cost */
	if (path->pathkeys == NIL || !(path->total_cost < VECX_COST_RULED_OUT))
		return NULL;
	if (VecxIsBitmapFilterPath(path))
		path = lsecond(((CustomPath *) path)->custom_paths);
	if (!IsA(path, IndexPath) || list_length(((IndexPath *) path)->indexorderbys) != 1 ||
		!VecxIsIndex(((IndexPath *) path)->indexinfo))
		return NULL;
	return (IndexPath *) path;
}

/* The share of a query's rows that are going to be taken. */
static double
share_taken(const PlannerInfo *root, double rows)
{
	if (root->tuple_fraction <= 0)
		return 1;
	return root->tuple_fraction < 1 ? root->tuple_fraction : Min(root->tuple_fraction / Max(rows, 1), 1);
}

/*
 * Takes from a path's costs what its rows will be charged.  What is more than they cost after
 * the first is taken from what comes before it, as far as the rows are read.
 */
static void
refund(const PlannerInfo *root, Path *path, Cost per_row)
{
	Cost		whole = per_row * path->rows;
	Cost		of_run = Min(whole, path->total_cost - path->startup_cost);
	Cost		of_startup = Min((whole - of_run) * share_taken(root, path->rows), path->startup_cost);

	path->startup_cost -= of_startup;
	path->total_cost -= of_run + of_startup;
}

/*
 * The planner is going to charge each row of a scan for the distance.  The paths of a
 * table that will not compute it get that back.
 */
void
VecxRefundUnreadDistances(PlannerInfo *root, RelOptInfo *rel)
{
	Expr	   *order = unread_order(root, rel);
	List	   *paths = rel->pathlist;
	bool		changed = false;
	QualCost	distance;
	ListCell   *lc;

	if (!order)
		return;
	cost_qual_eval_node(&distance, (Node *) order, root);
	foreach(lc, paths)
	{
		IndexPath  *scan = scan_of_path(lfirst(lc));

		if (!scan || !is_order_of_scan(order, linitial(scan->indexorderbys), scan->indexinfo->opfamily[0]))
			continue;
		refund(root, lfirst(lc), distance.per_tuple);
		changed = true;
	}
	if (!changed)
		return;
	/* which are worth keeping is another question now */
	rel->pathlist = NIL;
	foreach(lc, paths)
		add_path(rel, lfirst(lc));
	list_free(paths);
}

void
VecxDropUnreadDistances(PlannedStmt *stmt)
{
	walk_root(stmt->planTree);
	walk_list(stmt->subplans, walk_root);
}

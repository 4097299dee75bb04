/*
 * plan_order.c
 *    Where an order that is only nearly right may be used.
 *
 * A scan under vecx.scan_order = relaxed returns a row that it finds late at
 * once.  For ORDER BY that is what the setting promises.  But the planner
 * believes that rows of one distance are neighbours, and builds on it:
 *
 * - Grouping, DISTINCT, also that of aggregates and of set operations, and window
 *   functions would make two groups of one, merge joins lose rows.  There the order
 *   is not offered (cost.c), and where it comes out of a subquery, a CTE or an arm
 *   of a set operation, the claim of that is withdrawn.
 * - `ORDER BY distance, id` sorts each run of rows of one distance by itself
 *   (Incremental Sort).  That is offered only below a LIMIT, and the rows that
 *   pass the LIMIT are sorted again: the result is in order, and a row that
 *   ties with the last one within its run is treated as a sort of all would.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"

#include "am/am.h"
#include "am/plan.h"

bool
VecxIsIndex(const IndexOptInfo *index)
{
	return index->amcostestimate == vecxcostestimate;
}

/*
 * Whether the query level puts rows of equal sort keys together.  All that a
 * level with such a clause could want an order for is that clause, or it sorts
 * anew afterwards.
 */
static bool
groups_rows(Query *parse)
{
	ListCell   *lc;

	/* since PostgreSQL 16 an aggregate's DISTINCT wants its rows in order, too */
	if (parse->groupClause || parse->groupingSets || parse->distinctClause || parse->hasAggs)
		return true;
	foreach(lc, parse->windowClause)
	{
		WindowClause *window = lfirst_node(WindowClause, lc);

		if (window->partitionClause || window->orderClause)
			return true;
	}
	return false;
}

/*
 * Whether the query level is the one that the planner makes of min() or max(), to take the
 * first row of an order in place of all rows (build_minmax_path).  An aggregate is no search:
 * nobody asked for what is likely to be the nearest.
 */
static bool
is_for_aggregate(const PlannerInfo *root)
{
	const Query *parse = root->parse;
	const Query *parent = root->parent_root ? root->parent_root->parse : NULL;
	const TargetEntry *target;

	/* of the same tables; partitions, or tables that inherit, come after them */
	if (!parent || !parent->hasAggs || parent->rtable == NIL || list_length(parse->targetList) != 1 ||
		list_length(parse->rtable) < list_length(parent->rtable) ||
		linitial_node(RangeTblEntry, parse->rtable)->relid != linitial_node(RangeTblEntry, parent->rtable)->relid)
		return false;
	target = linitial_node(TargetEntry, parse->targetList);
	return target->resname && strcmp(target->resname, "agg_target") == 0;
}

/* Whether a merge join might rely on the order. */
static bool
joins_by(RelOptInfo *rel, EquivalenceClass *eclass)
{
	int			members = 0;
	ListCell   *lc;

	foreach(lc, eclass->ec_members)
		if (!lfirst_node(EquivalenceMember, lc)->em_is_child)
			members++;
	if (members > 1)
		return true;
	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (rinfo->left_ec == eclass || rinfo->right_ec == eclass)
			return true;
	}
	return false;
}

/*
 * Whether rows of rel may leave in the order of an index by these keys.  Without
 * keys nobody takes them for ordered.
 */
bool
VecxOrderSuffices(PlannerInfo *root, RelOptInfo *rel, List *pathkeys)
{
	Query	   *parse = root->parse;
	ListCell   *lc;

	if (pathkeys == NIL)
		return true;
	if (is_for_aggregate(root))
		return false;
	/* a sort of runs, see above; LIMIT ALL is none */
	if (list_length(root->query_pathkeys) > list_length(pathkeys) &&
		(!parse->limitCount || !limit_needed(parse) ||
		 parse->limitOption != LIMIT_OPTION_COUNT))
		return false;
	if (vecx_scan_order != VECX_SCAN_RELAXED)
		return true;
	if (groups_rows(parse))
		return false;
	foreach(lc, pathkeys)
		if (joins_by(rel, lfirst_node(PathKey, lc)->pk_eclass))
			return false;
	return true;
}

static bool has_relaxed_order(Path *path);

static bool
any_has_relaxed_order(List *paths)
{
	ListCell   *lc;

	foreach(lc, paths)
		if (has_relaxed_order(lfirst(lc)))
			return true;
	return false;
}

/*
 * Whether a path takes its order from a scan of a vecx index.  A Sort puts an end
 * to that; what is not listed has no order or makes its own.
 */
static bool
has_relaxed_order(Path *path)
{
	if (!path || path->pathkeys == NIL)
		return false;
	check_stack_depth();
	switch (nodeTag(path))
	{
		case T_IndexPath:
			return ((IndexPath *) path)->indexorderbys != NIL &&
				VecxIsIndex(((IndexPath *) path)->indexinfo);
		case T_CustomPath:
			return VecxIsBitmapFilterPath(path);
		case T_Path:			/* whose order is the CTE's, since PostgreSQL 17 */
			return path->pathtype == T_CteScan;
		case T_SubqueryScanPath:
			return has_relaxed_order(((SubqueryScanPath *) path)->subpath);
		case T_LimitPath:
			return has_relaxed_order(((LimitPath *) path)->subpath);
		case T_LockRowsPath:
			return has_relaxed_order(((LockRowsPath *) path)->subpath);
		case T_ProjectionPath:
			return has_relaxed_order(((ProjectionPath *) path)->subpath);
		case T_ProjectSetPath:
			return has_relaxed_order(((ProjectSetPath *) path)->subpath);
		case T_MaterialPath:
			return has_relaxed_order(((MaterialPath *) path)->subpath);
		case T_IncrementalSortPath:
			return has_relaxed_order(((SortPath *) path)->subpath);
		case T_WindowAggPath:
			return has_relaxed_order(((WindowAggPath *) path)->subpath);
		case T_NestPath:
		case T_MergePath:
		case T_HashPath:
			return has_relaxed_order(((JoinPath *) path)->outerjoinpath);
		case T_GatherMergePath:
			return has_relaxed_order(((GatherMergePath *) path)->subpath);
		case T_AppendPath:
			return any_has_relaxed_order(((AppendPath *) path)->subpaths);
		case T_MergeAppendPath:
			return any_has_relaxed_order(((MergeAppendPath *) path)->subpaths);
		default:
			return false;
	}
}

/*
 * Withdraws what the paths of a subquery or CTE claim about their order if it is a
 * relaxed one that the query around them must not rely on.
 */
void
VecxForgetRelaxedOrder(PlannerInfo *root, RelOptInfo *rel)
{
	ListCell   *lc;

	if (vecx_scan_order != VECX_SCAN_RELAXED)
		return;
	foreach(lc, rel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (has_relaxed_order(path) &&
			!VecxOrderSuffices(root, rel, path->pathkeys))
			path->pathkeys = NIL;
	}
}

/* Whether a path is an incremental sort of rows in a relaxed order. */
static bool
sorts_relaxed_runs(Path *path)
{
	while (IsA(path, LockRowsPath) || IsA(path, ProjectionPath) || IsA(path, ProjectSetPath))
	{
		if (IsA(path, LockRowsPath))
			path = ((LockRowsPath *) path)->subpath;
		else if (IsA(path, ProjectionPath))
			path = ((ProjectionPath *) path)->subpath;
		else
			path = ((ProjectSetPath *) path)->subpath;
	}
	return IsA(path, IncrementalSortPath) && has_relaxed_order(path);
}

/*
 * Sorts what passes a LIMIT above such an incremental sort.  An arm of a set operation,
 * which looks for equal rows, claims no relaxed order.
 */
void
VecxFinishRelaxedOrder(PlannerInfo *root, RelOptInfo *final_rel)
{
	ListCell   *lc;

	if (vecx_scan_order != VECX_SCAN_RELAXED)
		return;
	foreach(lc, final_rel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (IsA(path, LimitPath) && sorts_relaxed_runs(((LimitPath *) path)->subpath))
			lfirst(lc) = create_sort_path(root, final_rel, path, root->sort_pathkeys, -1.0);
		else if (VecxSetopPathkeys(root) != NIL && has_relaxed_order(path))
			path->pathkeys = NIL;
	}
}

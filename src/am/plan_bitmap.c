/*
 * plan_bitmap.c
 *    Paths for an order by distance among rows that other indexes find: the node
 *    of bitmap_filter.c above the plan of a bitmap and a scan of a vecx index.
 *
 * Which bitmap that is PostgreSQL says itself.  Its search for index paths is run
 * once more, on a copy of the table that has no vecx indexes, no joins, and no
 * index that can be scanned but for a bitmap; what comes out is the best
 * combination of indexes for the query's conditions, ORs and partial indexes
 * among them.  It takes only conditions that may be evaluated before those of
 * security barriers.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

#include "am/am.h"
#include "am/plan.h"
#include "am/tidset.h"

static Plan *plan_filter(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
						 List *clauses, List *plans);

static const CustomPathMethods path_methods = {
	.CustomName = VECX_BITMAP_FILTER,
	.PlanCustomPath = plan_filter,
};

/* A copy of an index that is good for bitmaps of a copy of its table, or NULL. */
static IndexOptInfo *
bitmap_index(RelOptInfo *rel, const IndexOptInfo *index)
{
	IndexOptInfo *copy;

	if (!index->amhasgetbitmap)
		return NULL;
	copy = makeNode(IndexOptInfo);
	memcpy(copy, index, sizeof(IndexOptInfo));
	copy->rel = rel;
	copy->amhasgettuple = false;
	return copy;
}

/*
 * The best bitmap of a table for the query's conditions, or NULL.  A row of it costs what
 * it takes to look for its distance, beside what a scan of the table makes of
 * it: so another condition's bitmap may pay that otherwise would not.
 */
BitmapHeapPath *
VecxFindBitmap(PlannerInfo *root, RelOptInfo *rel, Cost per_row)
{
	RelOptInfo *copy;
	BitmapHeapPath *path;
	ListCell   *lc;

	if (rel->baserestrictinfo == NIL || !bms_is_empty(rel->lateral_relids))
		return NULL;
	copy = makeNode(RelOptInfo);
	memcpy(copy, rel, sizeof(RelOptInfo));
	copy->pathlist = copy->partial_pathlist = copy->indexlist = NIL;
	copy->joininfo = NIL;
	copy->has_eclass_joins = false;
	copy->consider_parallel = false;
	copy->baserestrictcost.per_tuple += per_row;
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = bitmap_index(copy, lfirst_node(IndexOptInfo, lc));

		if (index)
			copy->indexlist = lappend(copy->indexlist, index);
	}
	create_index_paths(root, copy);
	if (copy->pathlist == NIL)
		return NULL;
	path = linitial_node(BitmapHeapPath, copy->pathlist);
	path->path.parent = rel;
	return path;
}

/*
 * A path that gives the rows of a scan of the whole index, in its order, as far as
 * a bitmap has them.
 */
Path *
VecxMakeBitmapFilterPath(PlannerInfo *root, RelOptInfo *rel, BitmapHeapPath *bitmap,
						 IndexPath *scan)
{
	CustomPath *path = makeNode(CustomPath);
	Cost		bitmap_cost;
	Cost		startup;
	Cost		run;
	Cost		target = rel->reltarget->cost.per_tuple * rel->rows;
	Cost		beside;			/* what rows cost that is not the index's */
	Selectivity share;
	double		same;			/* of the rows that the scan would return by itself */

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.rows = rel->rows;
	path->path.pathkeys = scan->path.pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make2(bitmap, scan);
	path->methods = &path_methods;

	cost_bitmap_tree_node(bitmap->bitmapqual, &bitmap_cost, &share);
	VecxCostOfRows(root, scan, share, &startup, &run);
	beside = Max(scan->path.total_cost - scan->path.startup_cost - target -
				 scan->indextotalcost + scan->path.startup_cost, 0);
	/* a row costs about as much again to get from the bitmap into the set */
	path->path.startup_cost = startup + bitmap_cost +
		cpu_index_tuple_cost * share * rel->tuples;
	same = Min(Max(share, rel->rows / Max(scan->indexselectivity * rel->tuples, 1)), 1);
	path->path.total_cost = path->path.startup_cost + run + beside * same + target;
	return &path->path;
}

/* What a child's plan is when a Result that tests constant conditions was put above: the
 * node has one of its own. */
static Plan *
below_result(Plan *plan)
{
	return IsA(plan, Result) ? plan->lefttree : plan;
}

static Plan *
plan_filter(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
			List *plans)
{
	CustomScan *result = makeNode(CustomScan);
	BitmapHeapScan *bitmap = castNode(BitmapHeapScan, below_result(linitial(plans)));
	IndexScan  *scan = castNode(IndexScan, below_result(lsecond(plans)));

	result->scan.plan.targetlist = tlist;
	result->scan.scanrelid = rel->relid;
	result->flags = path->flags;
	result->custom_plans = list_make2(bitmap->scan.plan.lefttree, scan);
	result->methods = &VecxBitmapFilterMethods;
	return &result->scan.plan;
}

bool
VecxIsBitmapFilterPath(const Path *path)
{
	return IsA(path, CustomPath) && ((const CustomPath *) path)->methods == &path_methods;
}

/* The scan of a vecx index in a node's plan. */
IndexScan *
VecxBitmapFilterPlanScan(const CustomScan *plan)
{
	if (plan->methods != &VecxBitmapFilterMethods)
		return NULL;
	return lsecond_node(IndexScan, plan->custom_plans);
}

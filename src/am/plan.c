/*
 * plan.c
 *    The planner's hooks and the settings that switch them.
 *
 * Each hook calls the one that was there before.  A session loads the library,
 * and with it the hooks, when it first meets a vecx type or opens a vecx
 * index.  The planner opens a table's indexes (get_relation_info) before it makes
 * paths for it, so the hooks about paths are always in place; planner_hook is
 * missed by a session's first statement if nothing before has loaded the
 * library.  It misses an optimization then, nothing else.
 */
#include "postgres.h"

#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "utils/guc.h"

#include "am/plan.h"
#include "am/tidset.h"

bool		vecx_enable_paths = true;
bool		vecx_enable_bitmap_filter = true;
static bool enable_distance_skip = true;

static set_rel_pathlist_hook_type next_set_rel_pathlist_hook;
static create_upper_paths_hook_type next_create_upper_paths_hook;
static planner_hook_type next_planner_hook;

/* Called for each table, subquery and CTE, when PostgreSQL has found its paths. */
static void
vecx_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (next_set_rel_pathlist_hook)
		next_set_rel_pathlist_hook(root, rel, rti, rte);
	if (rte->rtekind == RTE_SUBQUERY || rte->rtekind == RTE_CTE)
		VecxForgetRelaxedOrder(root, rel);
	if (rte->rtekind != RTE_RELATION || rte->tablesample != NULL || IS_DUMMY_REL(rel))
		return;
	if (vecx_enable_paths)
		VecxAddPaths(root, rel);
	if (enable_distance_skip)
		VecxRefundUnreadDistances(root, rel);
}

static void
vecx_create_upper_paths(PlannerInfo *root, UpperRelationKind stage,
						RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	if (next_create_upper_paths_hook)
		next_create_upper_paths_hook(root, stage, input_rel, output_rel, extra);
	if (stage == UPPERREL_FINAL)
		VecxFinishRelaxedOrder(root, output_rel);
}

static PlannedStmt *
vecx_planner(Query *parse, const char *query_string, int cursor_options,
			 ParamListInfo bound_params)
{
	PlannedStmt *stmt;

	if (next_planner_hook)
		stmt = next_planner_hook(parse, query_string, cursor_options, bound_params);
	else
		stmt = standard_planner(parse, query_string, cursor_options, bound_params);
	if (enable_distance_skip)
		VecxDropUnreadDistances(stmt);
	return stmt;
}

/* Called once, when the library is loaded. */
void
vecxPlanInit(void)
{
	DefineCustomBoolVariable("vecx.enable_paths",
							 "Lets the planner use vecx indexes for more than ORDER BY distance.",
							 "Without it only the plans that PostgreSQL finds by itself are made.",
							 &vecx_enable_paths, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomBoolVariable("vecx.enable_distance_skip",
							 "Leaves out distances that only ORDER BY mentions.",
							 "An index scan that gives the order does not compute them for its rows then.",
							 &enable_distance_skip, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);

	DefineCustomBoolVariable("vecx.enable_bitmap_filter",
							 "Lets the planner search among rows that other indexes find.",
							 "Their bitmap is handed to the scan of a vecx index.",
							 &vecx_enable_bitmap_filter, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	RegisterCustomScanMethods(&VecxBitmapFilterMethods);

	next_set_rel_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = vecx_set_rel_pathlist;
	next_create_upper_paths_hook = create_upper_paths_hook;
	create_upper_paths_hook = vecx_create_upper_paths;
	next_planner_hook = planner_hook;
	planner_hook = vecx_planner;
}

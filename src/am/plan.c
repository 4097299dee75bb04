/*
 * plan.c
 *    The planner's hooks and the settings that switch them.
 *
 * Each hook calls the one that was there before.  A session loads the library,
 * and with it the hooks, when it first meets a vecx type or opens a vecx
 * index; the latter happens inside the planner, so the first statement may
 * miss planner_hook.  It misses an optimization then, nothing else.
 */
#include "postgres.h"

#include "optimizer/planner.h"
#include "utils/guc.h"

#include "am/plan.h"

static bool enable_distance_skip = true;

static planner_hook_type next_planner_hook;

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
	DefineCustomBoolVariable("vecx.enable_distance_skip",
							 "Leaves out distances that only ORDER BY mentions.",
							 "An index scan that gives the order does not compute them for its rows then.",
							 &enable_distance_skip, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);

	next_planner_hook = planner_hook;
	planner_hook = vecx_planner;
}

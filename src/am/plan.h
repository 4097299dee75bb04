/*
 * plan.h
 *    The planner module: what vecx adds to PostgreSQL's planner, grouped by the
 *    file that does it.
 *
 * The planner itself knows how an index answers `ORDER BY column <-> constant`,
 * and asks cost.c what that costs.  The rest comes through its hooks.
 */
#ifndef VECX_PLAN_H
#define VECX_PLAN_H

#include "nodes/plannodes.h"

/* plan.c: the hooks and their settings */
extern void vecxPlanInit(void);

/* plan_unread.c: distances that nobody reads */
extern void VecxDropUnreadDistances(PlannedStmt *stmt);

#endif							/* VECX_PLAN_H */

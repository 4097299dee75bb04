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

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

#include "am/filter.h"

/* plan.c: the hooks and their settings */
extern bool vecx_enable_paths;
extern bool vecx_enable_bitmap_filter;
extern void vecxPlanInit(void);

/* plan_forms.c: expressions that sort as a distance does */
typedef struct VecxForm			/* factor * what is left + term */
{
	bool		decreasing;
	int			steps;
	double		factor;			/* may be out of range, as term may */
	double		least;			/* product of those factors that make less of it */
	double		term;
	double		size;			/* of all terms on the way, which rounding depends on */
} VecxForm;

extern Expr *VecxStripForm(Expr *expr, VecxForm *form);
extern OpExpr *VecxMatchDistance(IndexOptInfo *index, Expr *expr, Oid sort_family);

/* plan_order.c: where an order that is only nearly right may be used */
extern bool VecxIsIndex(const IndexOptInfo *index);
extern bool VecxOrderSuffices(PlannerInfo *root, RelOptInfo *rel, List *pathkeys);
extern void VecxForgetRelaxedOrder(PlannerInfo *root, RelOptInfo *rel);
extern void VecxFinishRelaxedOrder(PlannerInfo *root, RelOptInfo *final_rel);

/* plan_range.c: conditions on a distance */
extern List *VecxRangeClauses(PlannerInfo *root, IndexOptInfo *index);

/* plan_paths.c: index paths that PostgreSQL's planner does not find by itself */
extern void VecxAddPaths(PlannerInfo *root, RelOptInfo *rel);

/* plan_filter.c: conditions on filter columns */
typedef struct VecxColumnClause
{
	int			column;			/* of the index, from 0 */
	Expr	   *clause;
} VecxColumnClause;

extern List *VecxFilterClauses(PlannerInfo *root, IndexOptInfo *index, bool *own);
extern List *VecxMatchOr(IndexOptInfo *index, Node *clause);
extern bool VecxTreeTellsOr(const VecxFilters *filters, const IndexOptInfo *index, List *arms);
extern const VecxFilters *VecxFiltersOfPlan(const IndexOptInfo *index);
extern bool VecxTreeTells(const VecxFilters *filters, const IndexOptInfo *index,
						  const IndexClause *clause);

/* plan_bitmap.c: rows that other indexes find, in order of distance */
extern BitmapHeapPath *VecxFindBitmap(PlannerInfo *root, RelOptInfo *rel, Cost per_row);
extern Path *VecxMakeBitmapFilterPath(PlannerInfo *root, RelOptInfo *rel,
									  BitmapHeapPath *bitmap, IndexPath *scan);
extern bool VecxIsBitmapFilterPath(const Path *path);
extern IndexScan *VecxBitmapFilterPlanScan(const CustomScan *plan);

/* Of a path that cannot be used: more than any other costs, and a number, of which PostgreSQL
 * takes the difference. */
#define VECX_COST_RULED_OUT	1e200

/* cost.c: what rows of a scan cost if only a share of them counts */
extern Cost VecxCostOfDistance(PlannerInfo *root, Node *order);
extern void VecxCostOfRows(PlannerInfo *root, IndexPath *path, double share,
						   Cost *startup, Cost *run);

/* plan_guess.c: conditions whose share of rows is not known */
extern bool VecxIsGuess(PlannerInfo *root, Index relid, Node *clause);

/* scan_table.c */
extern bool VecxMeetsAgain(List *conditions);

/* plan_unread.c: distances that nobody reads */
extern void VecxRefundUnreadDistances(PlannerInfo *root, RelOptInfo *rel);
extern void VecxDropUnreadDistances(PlannedStmt *stmt);

#endif							/* VECX_PLAN_H */

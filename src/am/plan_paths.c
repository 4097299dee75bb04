/*
 * plan_paths.c
 *    Index paths that PostgreSQL's planner does not find by itself.
 *
 *     ORDER BY 1 - (a <=> b) DESC      a form that falls as the distance grows
 *     ORDER BY a <=> b, id             an order by the first key alone
 *     WHERE a <=> b < r                a search that ends at a distance
 *     WHERE c IN (1, 2) ORDER BY a <=> b  conditions on filter columns (plan_filter.c)
 *     WHERE c = 1 ORDER BY a <=> b     with a bitmap of another index (plan_bitmap.c)
 *
 * NULL and NaN.  The index returns rows without a vector last, and before them
 * those whose distance is NaN (zero vectors, under cosine).  NULLS FIRST, which
 * DESC implies, therefore needs a proof that there are no NULLs: a column that is
 * NOT NULL, or a condition that no NULL meets.  NaN is the greatest number, so
 * DESC wants it first: an operator of its own tells the scan (am.h,
 * VECX_NAN_FIRST_STRATEGY) where the metric has NaN.
 */
#include "postgres.h"

#include "access/table.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "compat.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "am/am.h"
#include "am/plan.h"

/* Whether a clause that every row meets says that the expression is not NULL. */
static bool
clauses_refute_null(List *clauses, Node *key)
{
	ListCell   *lc;

	if (IsA(key, Var) &&
		VecxIsNonnullable(find_nonnullable_vars((Node *) clauses), (Var *) key))
		return true;
	foreach(lc, clauses)
	{
		NullTest   *test = lfirst(lc);

		if (IsA(test, NullTest) && test->nulltesttype == IS_NOT_NULL &&
			!test->argisrow && equal(test->arg, key))
			return true;
	}
	return false;
}

static bool
column_is_not_null(Oid relid, AttrNumber attno)
{
	Relation	table = table_open(relid, NoLock);	/* the planner's lock is kept */
	bool		result = VecxAttributeIsNotNull(RelationGetDescr(table), attno - 1);

	table_close(table, NoLock);
	return result;
}

/* Whether the scan's rows all have a value of what is indexed. */
static bool
never_null(PlannerInfo *root, IndexOptInfo *index)
{
	RelOptInfo *rel = index->rel;
	Node	   *key = (Node *) linitial_node(TargetEntry, index->indextlist)->expr;

	if (index->indexkeys[0] > 0 &&
		column_is_not_null(planner_rt_fetch(rel->relid, root)->relid, index->indexkeys[0]))
		return true;
	return clauses_refute_null(extract_actual_clauses(rel->baserestrictinfo, false), key) ||
		clauses_refute_null(index->indpred, key);
}

/* Whether a distance may be NaN. */
static bool
has_nan(IndexOptInfo *index)
{
	Relation	rel = index_open(index->indexoid, NoLock);
	bool		result = VecxGetOpSpec(rel)->metric == VECX_METRIC_COSINE;

	index_close(rel, NoLock);
	return result;
}

/*
 * The same distance, by the operator that has NaN come first if there is NaN.
 * NULL if that takes an operator that the class lacks.
 */
static OpExpr *
nan_first(IndexOptInfo *index, OpExpr *distance)
{
	Oid			opno;
	OpExpr	   *result;

	if (!has_nan(index))
		return distance;
	opno = get_opfamily_member(index->opfamily[0],
							   exprType(linitial(distance->args)),
							   exprType(lsecond(distance->args)),
							   VECX_NAN_FIRST_STRATEGY);
	if (!OidIsValid(opno))
		return NULL;
	result = (OpExpr *) make_opclause(opno, distance->opresulttype, false,
									  linitial(distance->args), lsecond(distance->args),
									  distance->opcollid, distance->inputcollid);
	set_opfuncid(result);
	return result;
}

/*
 * How the index answers the first sort key, if it does.  *own is set to whether
 * PostgreSQL's planner would find that as well.
 */
static OpExpr *
match_sort_key(PlannerInfo *root, IndexOptInfo *index, PathKey *key, bool *own)
{
	EquivalenceMemberIterator members;
	EquivalenceMember *member;

	if (key->pk_eclass->ec_has_volatile)
		return NULL;
	setup_eclass_member_iterator(&members, key->pk_eclass, index->rel->relids);
	while ((member = eclass_member_iterator_next(&members)) != NULL)
	{
		VecxForm	form;
		Expr	   *stripped;
		OpExpr	   *distance;

		if (!bms_equal(member->em_relids, index->rel->relids))
			continue;
		stripped = VecxStripForm(member->em_expr, &form);
		if (form.decreasing != VecxPathKeyIsDescending(key))
			continue;
		distance = VecxMatchDistance(index, stripped, key->pk_opfamily);
		if (!distance)
			continue;
		if (key->pk_nulls_first && !never_null(root, index))
			continue;
		*own = stripped == member->em_expr && !key->pk_nulls_first &&
			list_length(root->query_pathkeys) == 1;
		return form.decreasing ? nan_first(index, distance) : distance;
	}
	return NULL;
}

static IndexPath *
make_index_path(PlannerInfo *root, IndexOptInfo *index, List *clauses, OpExpr *distance,
				List *pathkeys)
{
	return create_index_path(root, index, clauses,
							 distance ? list_make1(distance) : NIL,
							 distance ? list_make1_int(0) : NIL,
							 pathkeys,
							 ForwardScanDirection,
							 false, bms_copy(index->rel->lateral_relids), 1.0, false);
}

static void
add_ordered_paths(PlannerInfo *root, IndexOptInfo *index, List *clauses, bool own_clauses,
				  BitmapHeapPath *bitmap)
{
	List	   *pathkeys;
	OpExpr	   *distance;
	bool		own;

	if (root->query_pathkeys == NIL)
		return;
	pathkeys = list_make1(linitial(root->query_pathkeys));
	distance = match_sort_key(root, index, linitial(pathkeys), &own);
	if (!distance || !VecxOrderSuffices(root, index->rel, pathkeys))
		return;
	if (!own || !own_clauses)
		add_path(index->rel, (Path *)
				 make_index_path(root, index, clauses, distance, pathkeys));
	if (bitmap)
		add_path(index->rel,
				 VecxMakeBitmapFilterPath(root, index->rel, bitmap,
										  make_index_path(root, index, clauses, distance,
														  pathkeys)));
}

/* What the first sort key costs a row, if it is the distance of a scan. */
static Cost
cost_of_order(PlannerInfo *root)
{
	PathKey    *key = linitial_node(PathKey, root->query_pathkeys);

	return VecxCostOfDistance(root, (Node *) linitial_node(EquivalenceMember,
														   key->pk_eclass->ec_members)->em_expr);
}

/*
 * Whether the one condition on the rows of the relation is about a filter column, and the
 * value tree finds what meets it: another index tells no more.  Of arrays it does, where
 * they are longer than what is kept of them.
 */
static bool
tree_tells_all(const IndexOptInfo *index, List *clauses)
{
	const VecxFilters *filters;
	IndexClause *clause;

	if (list_length(index->rel->baserestrictinfo) != 1 || list_length(clauses) != 1)
		return false;
	clause = linitial_node(IndexClause, clauses);
	if (clause->indexcol == 0 || clause->lossy)
		return false;
	filters = VecxFiltersOfPlan(index);
	return filters->columns[clause->indexcol - 1].kind != VECX_FILTER_ARRAY &&
		VecxTreeTells(filters, index, clause);
}

void
VecxAddPaths(PlannerInfo *root, RelOptInfo *rel)
{
	BitmapHeapPath *bitmap = NULL;
	bool		looked = false;
	ListCell   *lc;

	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, lc);
		List	   *range;
		List	   *clauses;
		bool		own;
		bool		told;

		if (!VecxIsIndex(index) || (index->indpred != NIL && !index->predOK))
			continue;
		range = VecxRangeClauses(root, index);
		own = range == NIL;
		clauses = list_concat_copy(range, VecxFilterClauses(root, index, &own));
		told = tree_tells_all(index, clauses);
		if (!told && !looked && vecx_enable_bitmap_filter && enable_bitmapscan && enable_indexscan &&
			root->query_pathkeys != NIL)
		{
			bitmap = VecxFindBitmap(root, rel, cost_of_order(root));
			looked = true;
		}
		add_ordered_paths(root, index, clauses, own, told ? NULL : bitmap);
		if (range != NIL)
			add_path(rel, (Path *) make_index_path(root, index, clauses, NULL, NIL));
	}
}

/*
 * plan_range.c
 *    Conditions on a distance that an index can search by:
 *    `v <-> center < radius`, or <=, turned round or not, becomes
 *    `v <->@ (center, radius)`, which is no narrower.
 *
 * The condition itself stays a filter of the scan.  So it is derived from only if
 * it may be evaluated before all that a security barrier puts in front of it.
 */
#include "postgres.h"

#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "am/am.h"
#include "am/plan.h"

/* The operator family's operator between its type and balls; false if it has none. */
static bool
find_within(Oid family, Oid type, Oid *opno, Oid *ball)
{
	CatCList   *members = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	bool		found = false;

	for (int i = 0; i < members->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&members->members[i]->tuple);

		if (op->amopstrategy == VECX_WITHIN_STRATEGY && op->amoplefttype == type)
		{
			*opno = op->amopopr;
			*ball = op->amoprighttype;
			found = true;
		}
	}
	ReleaseCatCacheList(members);
	return found;
}

/* center and radius as one value; a constant if both are. */
static Expr *
make_ball(Oid type, Expr *center, Expr *radius)
{
	RowExpr    *row = makeNode(RowExpr);

	row->args = list_make2(center, radius);
	row->row_typeid = type;
	row->row_format = COERCE_EXPLICIT_CAST;
	row->colnames = list_make2(makeString(pstrdup("center")), makeString(pstrdup("radius")));
	row->location = -1;
	if (IsA(center, Const) && IsA(radius, Const))
		return evaluate_expr((Expr *) row, type, -1, InvalidOid);
	return (Expr *) row;
}

/* The sides of `distance < radius`, however it is written. */
static bool
split_bound(OpExpr *op, Expr **distance, Expr **radius)
{
	if (list_length(op->args) != 2)
		return false;
	set_opfuncid(op);
	switch (op->opfuncid)
	{
		case F_FLOAT8LT:
		case F_FLOAT8LE:
			*distance = linitial(op->args);
			*radius = lsecond(op->args);
			return true;
		case F_FLOAT8GT:
		case F_FLOAT8GE:
			*distance = lsecond(op->args);
			*radius = linitial(op->args);
			return true;
		default:
			return false;
	}
}

/* The index condition that follows from a clause, or NULL. */
static IndexClause *
derive(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo)
{
	Expr	   *bounded;
	Expr	   *radius;
	OpExpr	   *distance;
	Oid			opno;
	Oid			ball;
	Expr	   *derived;
	IndexClause *clause;

	if (rinfo->pseudoconstant || !IsA(rinfo->clause, OpExpr) ||
		!split_bound((OpExpr *) rinfo->clause, &bounded, &radius) ||
		contain_var_clause((Node *) radius) || contain_volatile_functions((Node *) radius) ||
		!restriction_is_securely_promotable(rinfo, index->rel))
		return NULL;
	distance = VecxMatchDistance(index, bounded, InvalidOid);
	if (!distance ||
		!find_within(index->opfamily[0], exprType(linitial(distance->args)), &opno, &ball))
		return NULL;
	derived = make_opclause(opno, BOOLOID, false, linitial(distance->args),
							make_ball(ball, lsecond(distance->args), radius),
							InvalidOid, distance->inputcollid);
	set_opfuncid((OpExpr *) derived);
	clause = makeNode(IndexClause);
	clause->rinfo = rinfo;
	clause->indexquals = list_make1(make_simple_restrictinfo(root, derived));
	clause->lossy = true;
	clause->indexcol = 0;
	return clause;
}

/* The index conditions that PostgreSQL's planner would not find. */
List *
VecxRangeClauses(PlannerInfo *root, IndexOptInfo *index)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, index->indrestrictinfo)
	{
		IndexClause *clause = derive(root, index, lfirst_node(RestrictInfo, lc));

		if (clause)
			result = lappend(result, clause);
	}
	return result;
}

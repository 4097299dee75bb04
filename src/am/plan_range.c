/*
 * plan_range.c
 *    Conditions on a distance that an index can search by:
 *    `v <-> center < radius`, or <=, turned round or not, becomes
 *    `v <->@ (center, radius)`, and `1 - (v <=> center) > bound` a ball of the radius
 *    1 - bound.  A ball is no narrower than its condition.
 *
 * The condition itself stays a filter of the scan.  So it is derived from only if
 * it may be evaluated before all that a security barrier puts in front of it.
 * Where the distance is NaN, so is a form of it, which is greater than every number: rows
 * without a place in the graph are in the ball of a decreasing form, too.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_amop.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "am/am.h"
#include "am/plan.h"

/*
 * The operator family's operator between its type and balls, one that includes NaN if
 * that is asked for and the metric has any; false if there is none.
 */
static bool
find_within(Oid family, Oid type, bool nan_too, Oid *opno, Oid *ball)
{
	CatCList   *members = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	bool		has_nan = OidIsValid(get_opfamily_member(family, type, type,
														 VECX_NAN_FIRST_STRATEGY));
	int			strategy = nan_too && has_nan ? VECX_WITHIN_OR_NAN_STRATEGY : VECX_WITHIN_STRATEGY;
	bool		found = false;

	for (int i = 0; i < members->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&members->members[i]->tuple);

		if (op->amopstrategy == strategy && op->amoplefttype == type)
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

/* The sides of `form < bound`, or >, with the form on the left. */
static bool
split_bound(OpExpr *op, Expr **form, Expr **bound, bool *below)
{
	bool		turned;

	if (list_length(op->args) != 2)
		return false;
	set_opfuncid(op);
	switch (op->opfuncid)
	{
		case F_FLOAT8LT:
		case F_FLOAT8LE:
			*below = true;
			break;
		case F_FLOAT8GT:
		case F_FLOAT8GE:
			*below = false;
			break;
		default:
			return false;
	}
	turned = !contain_var_clause(linitial(op->args));
	*form = turned ? lsecond(op->args) : linitial(op->args);
	*bound = turned ? linitial(op->args) : lsecond(op->args);
	*below ^= turned;
	return true;
}

/* The function ball_radius of the extension that a ball's type is of. */
static Oid
find_ball_radius(Oid ball)
{
	Oid			types[4] = {FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID};
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(ball));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("ball_radius"),
						   PointerGetDatum(buildoidvector(types, lengthof(types))),
						   ObjectIdGetDatum(schema));
}

static Expr *
make_number(double value)
{
	return (Expr *) makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(value),
							  false, FLOAT8PASSBYVAL);
}

/* Factors that make a distance smaller, together: a product of less may have lost digits, which
 * numbers of the least exponents have not. */
#define LEAST_FACTOR	1e-100

/*
 * The greatest distance at which a form can be on the right side of its bound, or
 * NULL if it cannot be told.
 */
static Expr *
make_radius(PlannerInfo *root, const VecxForm *form, Expr *bound, Oid ball)
{
	Oid			function;
	List	   *args;

	if (form->steps == 0)
		return bound;
	if (!isfinite(form->factor) || form->least < LEAST_FACTOR || !isfinite(form->size))
		return NULL;
	function = find_ball_radius(ball);
	if (!OidIsValid(function))
		return NULL;
	/* each step rounds what it works with, which is terms and the bound itself */
	args = list_make4(bound, make_number(form->factor), make_number(form->term),
					  make_number((form->steps + 2) * DBL_EPSILON * form->size));
	return (Expr *) eval_const_expressions(root, (Node *) makeFuncExpr(function, FLOAT8OID, args,
																	   InvalidOid, InvalidOid,
																	   COERCE_EXPLICIT_CALL));
}

/* Whether rows at a distance that is no number meet a clause that bounds a form: NaN is greater
 * than every number, and what puts it first makes it less than any. */
static bool
meets_nan(IndexOptInfo *index, const VecxForm *form, OpExpr *distance)
{
	Oid			type = exprType(linitial(distance->args));

	return form->decreasing ||
		distance->opno == get_opfamily_member(index->opfamily[0], type, type, VECX_NAN_FIRST_STRATEGY);
}

/* The index condition that follows from a clause, or NULL. */
static IndexClause *
derive(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo)
{
	Expr	   *bounded;
	Expr	   *bound;
	Expr	   *radius;
	bool		below;
	VecxForm	form;
	OpExpr	   *distance;
	Oid			opno = InvalidOid;
	Oid			ball = InvalidOid;
	Expr	   *derived;
	IndexClause *clause;

	if (rinfo->pseudoconstant || !IsA(rinfo->clause, OpExpr) ||
		!split_bound((OpExpr *) rinfo->clause, &bounded, &bound, &below) ||
		contain_var_clause((Node *) bound) || contain_volatile_functions((Node *) bound) ||
		!restriction_is_securely_promotable(rinfo, index->rel))
		return NULL;
	bounded = VecxStripForm(bounded, &form);
	if (form.decreasing == below)
		return NULL;
	distance = VecxMatchDistance(index, bounded, InvalidOid);
	if (!distance ||
		!find_within(index->opfamily[0], exprType(linitial(distance->args)),
					 meets_nan(index, &form, distance), &opno, &ball))
		return NULL;
	radius = make_radius(root, &form, bound, ball);
	if (!radius)
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

/*
 * within_sel(internal, oid, internal, integer): the share of a column's values that are in a ball, by
 * its statistics; but for a column that may have values of other dimensions, for which the operator
 * would raise an error.
 */
PG_FUNCTION_INFO_V1(vecx_within_sel);
Datum
vecx_within_sel(PG_FUNCTION_ARGS)
{
	PlannerInfo *root = (PlannerInfo *) PG_GETARG_POINTER(0);
	List	   *args = (List *) PG_GETARG_POINTER(2);
	VariableStatData variable;
	Node	   *other;
	bool		is_left;
	bool		declared;

	if (!get_restriction_variable(root, args, PG_GETARG_INT32(3), &variable, &other, &is_left))
		PG_RETURN_FLOAT8(DEFAULT_MATCHING_SEL);
	declared = is_left && variable.atttypmod >= 0;
	ReleaseVariableStats(variable);
	return declared ? matchingsel(fcinfo) : Float8GetDatum(DEFAULT_MATCHING_SEL);
}

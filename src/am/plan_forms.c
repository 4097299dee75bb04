/*
 * plan_forms.c
 *    Recognizes the expressions that sort as a distance does: `1 - (a <=> b)`,
 *    `(a <#> b) * -1` and the like.
 *
 * A linear form of a distance with constant coefficients is monotone, also after
 * each step was rounded to double precision: rounding never changes the order
 * of two numbers, it can only make them equal.  So rows in the order of the
 * distance are in the order of the form, or in the reverse order.  NULL and NaN
 * stay what they are.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "am/plan.h"

/* Whether a node is a finite number, and which. */
static bool
finite_const(Node *node, double *value)
{
	Const	   *con = (Const *) node;

	if (!IsA(con, Const) || con->constisnull || con->consttype != FLOAT8OID)
		return false;
	*value = DatumGetFloat8(con->constvalue);
	return isfinite(*value);
}

/* What a step does: factor * inner + term. */
typedef struct Step
{
	double		factor;
	double		term;
} Step;

/* Takes one step off a form: expr = step(*inner).  False if it is none. */
static bool
strip_step(Expr *expr, Expr **inner, Step *step)
{
	OpExpr	   *op = (OpExpr *) expr;
	Node	   *left;
	Node	   *right;
	double		value;

	if (!IsA(op, OpExpr))
		return false;
	set_opfuncid(op);
	left = linitial(op->args);
	*inner = (Expr *) left;
	*step = (Step) {1, 0};
	if (list_length(op->args) == 1)
	{
		if (op->opfuncid == F_FLOAT8UM)
			step->factor = -1;
		return op->opfuncid == F_FLOAT8UM || op->opfuncid == F_FLOAT8UP;
	}
	right = lsecond(op->args);
	switch (op->opfuncid)
	{
		case F_FLOAT8MI:
			if (finite_const(right, &value))
			{
				step->term = -value;
				return true;
			}
			*inner = (Expr *) right;
			step->factor = -1;
			return finite_const(left, &step->term);
		case F_FLOAT8PL:
			if (finite_const(right, &step->term))
				return true;
			*inner = (Expr *) right;
			return finite_const(left, &step->term);
		case F_FLOAT8MUL:
			if (!finite_const(right, &step->factor))
			{
				*inner = (Expr *) right;
				if (!finite_const(left, &step->factor))
					return false;
			}
			return step->factor != 0;
		case F_FLOAT8DIV:
			if (!finite_const(right, &value) || value == 0)
				return false;
			step->factor = 1 / value;
			return true;
		default:
			return false;
	}
}

/*
 * What is left of a linear form when all steps are taken off; an expression that
 * is no form comes back as it is.
 */
Expr *
VecxStripForm(Expr *expr, VecxForm *form)
{
	Expr	   *inner;
	Step		step;

	*form = (VecxForm) {.factor = 1,.least = 1};
	while (strip_step(expr, &inner, &step))
	{
		expr = inner;
		form->steps++;
		form->term += form->factor * step.term;
		form->size += fabs(form->factor * step.term) + fabs(form->term);
		form->factor *= step.factor;
		form->least *= Min(fabs(step.factor), 1);
		form->decreasing ^= signbit(step.factor) != 0;
	}
	return expr;
}

/*
 * Whether an expression is `column op constant`, or turned round, with an
 * operator that orders this index, and the sort operator family is the one given
 * (InvalidOid: any).  Returns it with the column on the left.  As in match_clause_to_ordering_op of
 * PostgreSQL.
 */
OpExpr *
VecxMatchDistance(IndexOptInfo *index, Expr *expr, Oid sort_family)
{
	OpExpr	   *op = (OpExpr *) expr;
	OpExpr	   *turned;
	Node	   *left;
	Node	   *right;
	Oid			opno;
	Oid			family;
	bool		turn;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return NULL;
	left = linitial(op->args);
	right = lsecond(op->args);
	opno = op->opno;
	turn = !match_index_to_operand(left, 0, index);
	if (turn)
	{
		if (!match_index_to_operand(right, 0, index))
			return NULL;
		opno = get_commutator(opno);
		left = lsecond(op->args);
		right = linitial(op->args);
	}
	if (!OidIsValid(opno))
		return NULL;
	family = get_op_opfamily_sortfamily(opno, index->opfamily[0]);
	if (!OidIsValid(family) || (OidIsValid(sort_family) && family != sort_family) ||
		contain_var_clause(right) || contain_volatile_functions(right))
		return NULL;
	if (!turn)
		return op;
	turned = copyObject(op);
	turned->opno = opno;
	turned->opfuncid = InvalidOid;
	turned->args = list_make2(left, right);
	return turned;
}

/*
 * plan_guess.c
 *    Which conditions PostgreSQL can only guess the share of.
 *
 * Of a column, or of an expression with statistics, ANALYZE tells which rows a
 * condition lets pass.  Of all else, `length(title) % 10 = 3`, the planner takes a constant
 * that may be wrong by orders of magnitude either way.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/selfuncs.h"

#include "am/plan.h"

static bool
has_statistics(PlannerInfo *root, Node *node, Index relid)
{
	VariableStatData var;
	bool		result;

	examine_variable(root, node, (int) relid, &var);
	result = HeapTupleIsValid(var.statsTuple) || var.isunique;
	ReleaseVariableStats(var);
	return result;
}

/* Whether an operator compares what there are statistics of with something else. */
static bool
compares_known(PlannerInfo *root, List *args, Index relid)
{
	ListCell   *lc;

	if (list_length(args) != 2)
		return false;
	foreach(lc, args)
		if (!contain_var_clause(lfirst(list_nth_cell(args, 1 - foreach_current_index(lc)))) &&
			has_statistics(root, lfirst(lc), relid))
			return true;
	return false;
}

/* Whether the share of rows of a table that meet a condition is a guess. */
bool
VecxIsGuess(PlannerInfo *root, Index relid, Node *clause)
{
	ListCell   *lc;

	if (IsA(clause, RestrictInfo))
		clause = (Node *) ((RestrictInfo *) clause)->clause;
	switch (nodeTag(clause))
	{
		case T_BoolExpr:
			foreach(lc, ((BoolExpr *) clause)->args)
				if (VecxIsGuess(root, relid, lfirst(lc)))
					return true;
			return false;
		case T_OpExpr:
			return !compares_known(root, ((OpExpr *) clause)->args, relid);
		case T_ScalarArrayOpExpr:
			return !compares_known(root, ((ScalarArrayOpExpr *) clause)->args, relid);
		case T_NullTest:
			return !has_statistics(root, (Node *) ((NullTest *) clause)->arg, relid);
		case T_BooleanTest:
			return !has_statistics(root, (Node *) ((BooleanTest *) clause)->arg, relid);
		case T_Const:
			return false;
		default:
			return !has_statistics(root, clause, relid);
	}
}

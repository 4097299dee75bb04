/*
 * plan_filter.c
 *    Conditions on filter columns as conditions of an index.
 *
 * PostgreSQL's planner finds comparisons and IS NULL itself, but once an index is to
 * give an order it leaves out IN on any column but the first; and it does not see
 * that an index could answer
 *
 *     WHERE active, WHERE NOT active   as active = true, active = false
 *     WHERE tenant = 1 OR tenant = 2   as tenant = ANY ('{1,2}')
 *     WHERE 'news' = ANY (tags)        as tags @> '{news}'
 *     WHERE tenant NOT IN (1, 2)       as tenant <> 1 AND tenant <> 2
 *
 * Of the third the condition itself stays a filter of the scan, as does an OR over several
 * columns, of which the scan makes conditions of its own (scan_or.c):
 *
 *     WHERE tenant = 1 OR shared
 *
 * A condition is used only if it may be evaluated before all that a security barrier puts in
 * front of it.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "am/am.h"
#include "am/plan.h"

/* How a condition may be used. */
typedef enum Match
{
	MATCH_NONE,
	MATCH_PLAIN,				/* as it is, and PostgreSQL sees that, too */
	MATCH_ARRAY,				/* as it is, but PostgreSQL gives up the order */
	MATCH_EQUAL,				/* what is derived is no weaker */
	MATCH_WEAKER				/* what is derived follows from it */
} Match;

/* A value that is the same for the whole scan. */
static bool
is_fixed(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node);
}

static bool
is_column(IndexOptInfo *index, int column, Node *node)
{
	return match_index_to_operand(node, column, index);
}

static bool
has_collation(IndexOptInfo *index, int column, Oid collation)
{
	return !OidIsValid(index->indexcollations[column]) ||
		index->indexcollations[column] == collation;
}

/*
 * Whether a clause is a comparison of the column.  If it is written the other way
 * round, *turned is the operator that turns it.
 */
static bool
match_comparison(IndexOptInfo *index, int column, OpExpr *op, Oid *turned)
{
	Node	   *left;
	Node	   *right;

	*turned = InvalidOid;
	if (list_length(op->args) != 2 || !has_collation(index, column, op->inputcollid))
		return false;
	left = linitial(op->args);
	right = lsecond(op->args);
	if (is_column(index, column, left) && is_fixed(right))
		return op_in_opfamily(op->opno, index->opfamily[column]);
	if (!is_column(index, column, right) || !is_fixed(left))
		return false;
	*turned = get_commutator(op->opno);
	return OidIsValid(*turned) && op_in_opfamily(*turned, index->opfamily[column]);
}

/* Whether a clause is `column op ANY (array)`. */
static bool
match_any(IndexOptInfo *index, int column, ScalarArrayOpExpr *any)
{
	return any->useOr && has_collation(index, column, any->inputcollid) &&
		is_column(index, column, linitial(any->args)) && is_fixed(lsecond(any->args)) &&
		op_in_opfamily(any->opno, index->opfamily[column]);
}

/* An array of elements; a constant if all of them are. */
static Expr *
make_array(Oid element_type, Oid collation, List *elements)
{
	ArrayExpr  *array = makeNode(ArrayExpr);
	ListCell   *lc;

	array->array_typeid = get_array_type(element_type);
	array->array_collid = collation;
	array->element_typeid = element_type;
	array->elements = elements;
	array->location = -1;
	if (!OidIsValid(array->array_typeid))
		return NULL;
	foreach(lc, elements)
		if (!IsA(lfirst(lc), Const))
			return (Expr *) array;
	return evaluate_expr((Expr *) array, array->array_typeid, -1, collation);
}

/* `value = ANY (column)` as `column @> ARRAY[value]`, or NULL. */
static Expr *
derive_contains(IndexOptInfo *index, int column, ScalarArrayOpExpr *any)
{
	Node	   *value = linitial(any->args);
	Oid			class_type = index->opcintype[column];
	Oid			element_type = get_element_type(exprType(lsecond(any->args)));
	Oid			contains = get_opfamily_member(index->opfamily[column], class_type, class_type,
											   VECX_CONTAINS_STRATEGY);
	Expr	   *array;

	if (!any->useOr || !OidIsValid(contains) || !OidIsValid(element_type) ||
		!has_collation(index, column, any->inputcollid) ||
		!is_column(index, column, lsecond(any->args)) || !is_fixed(value) ||
		exprType(value) != element_type ||
		lookup_type_cache(element_type, TYPECACHE_EQ_OPR)->eq_opr != any->opno)
		return NULL;
	array = make_array(element_type, exprCollation(value), list_make1(value));
	return make_opclause(contains, BOOLOID, false, lsecond(any->args), array,
						 InvalidOid, any->inputcollid);
}

/* A condition of a boolean column as an equality, or NULL. */
static Expr *
derive_boolean(IndexOptInfo *index, int column, Node *clause)
{
	Node	   *operand = clause;
	bool		value = true;

	if (index->opcintype[column] != BOOLOID ||
		!op_in_opfamily(BooleanEqualOperator, index->opfamily[column]))
		return NULL;
	if (!is_column(index, column, clause))
	{
		if (is_notclause(clause))
		{
			operand = (Node *) get_notclausearg((Expr *) clause);
			value = false;
		}
		else if (IsA(clause, BooleanTest) &&
				 (((BooleanTest *) clause)->booltesttype == IS_TRUE ||
				  ((BooleanTest *) clause)->booltesttype == IS_FALSE))
		{
			operand = (Node *) ((BooleanTest *) clause)->arg;
			value = ((BooleanTest *) clause)->booltesttype == IS_TRUE;
		}
		else
			return NULL;
		if (!is_column(index, column, operand))
			return NULL;
	}
	return make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) operand,
						 (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
}

/* Equalities of one column and operator, collected from the arms of an OR. */
typedef struct Arms
{
	Oid			opno;			/* InvalidOid: none yet */
	Oid			collation;
	Oid			type;			/* of the values */
	Node	   *column;
	List	   *values;
} Arms;

static bool
add_arm(Arms *arms, Oid opno, Oid collation, Node *column, Oid type)
{
	if (!OidIsValid(arms->opno))
	{
		arms->opno = opno;
		arms->collation = collation;
		arms->type = type;
		arms->column = column;
	}
	return arms->opno == opno && arms->collation == collation && arms->type == type;
}

/* Adds the elements of an array that is a constant, and has so many at most. */
static bool
add_elements(Arms *arms, Const *array, int most)
{
	ArrayType  *value;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	if (!IsA(array, Const) || array->constisnull)
		return false;
	value = DatumGetArrayTypeP(array->constvalue);
	if (ArrayGetNItems(ARR_NDIM(value), ARR_DIMS(value)) > most)
		return false;
	get_typlenbyvalalign(arms->type, &typlen, &typbyval, &typalign);
	deconstruct_array(value, arms->type, typlen, typbyval, typalign, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		arms->values = lappend(arms->values,
							   makeConst(arms->type, -1, array->constcollid, typlen,
										 elements[i], nulls[i], typbyval));
	return true;
}

/* Values of a NOT IN that are tested one by one. */
#define MOST_EXCLUDED	16

/* `column <> ALL (array)` of a constant array as one condition for each value, or NIL. */
static List *
derive_excluded(IndexOptInfo *index, int column, ScalarArrayOpExpr *all)
{
	Node	   *operand = linitial(all->args);
	Arms		arms = {.type = get_element_type(exprType(lsecond(all->args)))};
	List	   *result = NIL;
	ListCell   *lc;

	if (all->useOr || !has_collation(index, column, all->inputcollid) ||
		!is_column(index, column, operand) || !OidIsValid(arms.type) ||
		!op_in_opfamily(all->opno, index->opfamily[column]) ||
		!add_elements(&arms, lsecond(all->args), MOST_EXCLUDED))
		return NIL;
	foreach(lc, arms.values)
	{
		if (lfirst_node(Const, lc)->constisnull)
			return NIL;
		result = lappend(result, make_opclause(all->opno, BOOLOID, false, (Expr *) operand, lfirst(lc),
											   InvalidOid, all->inputcollid));
	}
	return result;
}

/* Values of a list in an OR; the condition of a longer one is left to the rows. */
#define MOST_ALTERNATIVES	1000

/* Whether all arms of an OR are equalities of the column, by one operator. */
static bool
collect_arms(IndexOptInfo *index, int column, Node *node, Arms *arms)
{
	Oid			turned;

	if (IsA(node, RestrictInfo))
		node = (Node *) ((RestrictInfo *) node)->clause;
	if (is_orclause(node))
	{
		ListCell   *lc;

		foreach(lc, ((BoolExpr *) node)->args)
			if (!collect_arms(index, column, lfirst(lc), arms))
				return false;
		return true;
	}
	if (IsA(node, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *any = (ScalarArrayOpExpr *) node;

		return match_any(index, column, any) &&
			add_arm(arms, any->opno, any->inputcollid, linitial(any->args),
					get_element_type(exprType(lsecond(any->args)))) &&
			OidIsValid(arms->type) && add_elements(arms, lsecond(any->args), MOST_ALTERNATIVES);
	}
	if (IsA(node, OpExpr) && match_comparison(index, column, (OpExpr *) node, &turned))
	{
		OpExpr	   *op = (OpExpr *) node;
		bool		turn = OidIsValid(turned);
		Node	   *value = turn ? linitial(op->args) : lsecond(op->args);

		arms->values = lappend(arms->values, value);
		return add_arm(arms, turn ? turned : op->opno, op->inputcollid,
					   turn ? lsecond(op->args) : linitial(op->args), exprType(value));
	}
	return false;
}

/* An OR of equalities of the column as `column = ANY (...)`, or NULL. */
static Expr *
derive_any(IndexOptInfo *index, int column, Node *clause)
{
	Arms		arms = {0};
	ScalarArrayOpExpr *any;
	Expr	   *array;

	if (!is_orclause(clause) || !collect_arms(index, column, clause, &arms) ||
		get_op_opfamily_strategy(arms.opno, index->opfamily[column]) != VECX_EQUAL_STRATEGY)
		return NULL;
	/* of empty lists alone */
	if (arms.values == NIL)
		return NULL;
	array = make_array(arms.type, exprCollation(linitial(arms.values)), arms.values);
	if (!array)
		return NULL;
	any = makeNode(ScalarArrayOpExpr);
	any->opno = arms.opno;
	any->useOr = true;
	any->inputcollid = arms.collation;
	any->args = list_make2(arms.column, array);
	any->location = -1;
	return (Expr *) any;
}

/* How a clause may be used for a column, and what it becomes if it has to be derived. */
static Match
match(IndexOptInfo *index, int column, Node *clause, Oid *turned, List **derived)
{
	Expr	   *other;

	*turned = InvalidOid;
	*derived = NIL;
	if (IsA(clause, OpExpr) && match_comparison(index, column, (OpExpr *) clause, turned))
		return MATCH_PLAIN;
	if (IsA(clause, NullTest))
		return !((NullTest *) clause)->argisrow &&
			is_column(index, column, (Node *) ((NullTest *) clause)->arg) ? MATCH_PLAIN : MATCH_NONE;
	if (IsA(clause, ScalarArrayOpExpr))
	{
		if (match_any(index, column, (ScalarArrayOpExpr *) clause))
			return MATCH_ARRAY;
		*derived = derive_excluded(index, column, (ScalarArrayOpExpr *) clause);
		if (*derived != NIL)
			return MATCH_EQUAL;
		other = derive_contains(index, column, (ScalarArrayOpExpr *) clause);
	}
	else
	{
		other = derive_boolean(index, column, clause);
		if (other)
		{
			*derived = list_make1(other);
			return MATCH_EQUAL;
		}
		other = derive_any(index, column, clause);
	}
	if (!other)
		return MATCH_NONE;
	*derived = list_make1(other);
	return MATCH_WEAKER;
}

/* Conditions that come from nowhere else, as an index has them. */
static List *
make_indexquals(PlannerInfo *root, List *conditions)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, conditions)
	{
		fix_opfuncids((Node *) lfirst(lc));
		result = lappend(result, make_simple_restrictinfo(root, lfirst(lc)));
	}
	return result;
}

/*
 * The conditions on filter columns that an index can test, in the order of its columns.
 * *own is set to false if one is among them that PostgreSQL's planner would not use
 * for an ordered scan.
 */
List *
VecxFilterClauses(PlannerInfo *root, IndexOptInfo *index, bool *own)
{
	List	   *result = NIL;

	for (int column = 1; column < index->nkeycolumns; column++)
	{
		ListCell   *lc;

		foreach(lc, index->indrestrictinfo)
		{
			RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
			IndexClause *clause;
			List	   *derived;
			Oid			turned;
			Match		found;

			if (rinfo->pseudoconstant || !restriction_is_securely_promotable(rinfo, index->rel))
				continue;
			found = match(index, column, (Node *) rinfo->clause, &turned, &derived);
			if (found == MATCH_NONE)
				continue;
			if (found != MATCH_PLAIN)
				*own = false;
			clause = makeNode(IndexClause);
			clause->rinfo = rinfo;
			clause->indexquals = derived != NIL ? make_indexquals(root, derived) :
				list_make1(OidIsValid(turned) ? commute_restrictinfo(rinfo, turned) : rinfo);
			clause->lossy = found == MATCH_WEAKER;
			clause->indexcol = (AttrNumber) column;
			result = lappend(result, clause);
		}
	}
	return result;
}

/* A condition of a column that an index can test, the column on its left. */
static VecxColumnClause *
make_column_clause(int column, Expr *clause)
{
	VecxColumnClause *result = palloc(sizeof(VecxColumnClause));

	result->column = column;
	result->clause = clause;
	return result;
}

static bool
is_param(Node *node, void *context)
{
	return node && (IsA(node, Param) || expression_tree_walker(node, is_param, context));
}

/*
 * Whether what a condition compares with can be computed when a scan begins, though the
 * executor might never come to it: the arm's other conditions may keep it from a
 * division by zero.  What depends on no parameter does not fail now and then; and casts that
 * nobody wrote are to types that have room.
 */
static bool
is_harmless(Node *value)
{
	ListCell   *lc;

	if (IsA(value, RelabelType))
		return is_harmless((Node *) ((RelabelType *) value)->arg);
	if (IsA(value, FuncExpr) && ((FuncExpr *) value)->funcformat == COERCE_IMPLICIT_CAST)
		return is_harmless(linitial(((FuncExpr *) value)->args));
	if (IsA(value, Const) || IsA(value, Param))
		return true;
	if (!IsA(value, ArrayExpr))
		return !is_param(value, NULL);
	foreach(lc, ((ArrayExpr *) value)->elements)
		if (!is_harmless(lfirst(lc)))
			return false;
	return true;
}

/* The same of a condition whose column is on the left. */
static bool
compares_harmlessly(Expr *clause)
{
	return IsA(clause, NullTest) ||
		is_harmless(lsecond(IsA(clause, OpExpr) ? ((OpExpr *) clause)->args : ((ScalarArrayOpExpr *) clause)->args));
}

/* Adds a condition, if it may be used. */
static List *
add_column_clause(List *result, int column, Expr *clause)
{
	return compares_harmlessly(clause) ? lappend(result, make_column_clause(column, clause)) : result;
}

/* Adds what an index can test of one condition; nothing, if it cannot. */
static List *
add_column_clauses(List *result, IndexOptInfo *index, Node *clause)
{
	for (int column = 1; column < index->nkeycolumns; column++)
	{
		List	   *derived;
		ListCell   *lc;
		Oid			turned;
		Match		found = match(index, column, clause, &turned, &derived);

		if (found == MATCH_NONE)
			continue;
		foreach(lc, derived)
			result = add_column_clause(result, column, lfirst(lc));
		if (derived == NIL)
		{
			Expr	   *copy = copyObject((Expr *) clause);

			if (OidIsValid(turned))
				CommuteOpExpr((OpExpr *) copy);
			result = add_column_clause(result, column, copy);
		}
	}
	return result;
}

/* Arms of an OR: more take longer to plan and to look up than they save. */
#define MOST_ARMS	100

/*
 * What an index can test of an OR: for each arm a list of VecxColumnClause, all of which a
 * row meets that meets the arm.  NIL if there is an arm of which it can test nothing, if it is a
 * condition on one column, which needs no OR, or none at all.
 */
List *
VecxMatchOr(IndexOptInfo *index, Node *clause)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (!is_orclause(clause) || list_length(((BoolExpr *) clause)->args) > MOST_ARMS ||
		contain_subplans(clause) || contain_volatile_functions(clause))
		return NIL;
	for (int column = 1; column < index->nkeycolumns; column++)
		if (derive_any(index, column, clause))
			return NIL;
	foreach(lc, ((BoolExpr *) clause)->args)
	{
		List	   *conditions = list_make1(lfirst(lc));
		List	   *arm = NIL;
		ListCell   *lc2;

		if (is_andclause(lfirst(lc)))
			conditions = ((BoolExpr *) lfirst(lc))->args;
		foreach(lc2, conditions)
			arm = add_column_clauses(arm, index, lfirst(lc2));
		if (arm == NIL)
			return NIL;
		result = lappend(result, arm);
	}
	return result;
}

/* The filter columns of an index of which there are plans. */
const VecxFilters *
VecxFiltersOfPlan(const IndexOptInfo *index)
{
	Relation	rel = index_open(index->indexoid, NoLock);	/* the planner's lock is kept */
	const VecxFilters *filters = VecxFiltersMake(rel);

	index_close(rel, NoLock);
	return filters;
}

/* The type of the elements of an array that is known to have some, else InvalidOid. */
static Oid
type_of_elements(Node *array)
{
	if (IsA(array, ArrayExpr))
		return ((ArrayExpr *) array)->elements != NIL && !((ArrayExpr *) array)->multidims ?
			((ArrayExpr *) array)->element_typeid : InvalidOid;
	if (IsA(array, Const) && !((Const *) array)->constisnull)
	{
		ArrayType  *value = DatumGetArrayTypeP(((Const *) array)->constvalue);

		if (ArrayGetNItems(ARR_NDIM(value), ARR_DIMS(value)) > 0)
			return ARR_ELEMTYPE(value);
	}
	return InvalidOid;
}

/* Whether the value tree finds the rows that meet a condition of an index. */
static bool
tree_tells(const VecxFilterColumn *column, Oid family, Node *qual)
{
	bool		any = IsA(qual, ScalarArrayOpExpr);
	Oid			opno;
	int			strategy;
	Oid			left_type;
	Oid			right_type;

	if (IsA(qual, NullTest))
		return true;
	if (!any && !IsA(qual, OpExpr))
		return false;
	opno = any ? ((ScalarArrayOpExpr *) qual)->opno : ((OpExpr *) qual)->opno;
	get_op_opfamily_properties(opno, family, false, &strategy, &left_type, &right_type);
	if (column->kind == VECX_FILTER_ARRAY)
	{
		Oid			type = any ? InvalidOid : type_of_elements(lsecond(((OpExpr *) qual)->args));

		return VecxFilterByElements(column, strategy, get_opcode(opno), type) &&
			VecxFilterHasKey(column, type);
	}
	return strategy != VECX_NOT_EQUAL_STRATEGY &&
		(strategy == VECX_EQUAL_STRATEGY || column->order != VECX_ORDER_HASH) &&
		VecxFilterHasKey(column, VecxFilterArgType(column, right_type));
}

/*
 * Whether it finds the rows that meet a clause on a filter column: those with equal values,
 * and those within a range where numbers are in the order of values.
 */
bool
VecxTreeTells(const VecxFilters *filters, const IndexOptInfo *index, const IndexClause *clause)
{
	ListCell   *lc;

	foreach(lc, clause->indexquals)
		if (!tree_tells(&filters->columns[clause->indexcol - 1], index->opfamily[clause->indexcol],
						(Node *) lfirst_node(RestrictInfo, lc)->clause))
			return false;
	return true;
}

/* The same of an OR, by the arms that VecxMatchOr found: one condition of each arm is enough. */
bool
VecxTreeTellsOr(const VecxFilters *filters, const IndexOptInfo *index, List *arms)
{
	ListCell   *lc;

	foreach(lc, arms)
	{
		bool		told = false;
		ListCell   *lc2;

		foreach(lc2, (List *) lfirst(lc))
		{
			const VecxColumnClause *clause = lfirst(lc2);

			told |= tree_tells(&filters->columns[clause->column - 1], index->opfamily[clause->column],
							   (Node *) clause->clause);
		}
		if (!told)
			return false;
	}
	return true;
}

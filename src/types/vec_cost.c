/*
 * vec_cost.c
 *    What a distance costs, for the planner.
 *
 * The arithmetic is cheap.  What costs is a value in the TOAST table: a look at
 * its index and some pages, of which PostgreSQL's estimates know nothing, so that
 * it takes a sequential scan over vectors of 3 kB for as cheap as over numbers.
 */
#include "postgres.h"

#include <math.h>

#include "access/heaptoast.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

/* Of a function call, and of so many bytes of the value, in operators. */
#define CALL_OPERATORS		3.0
#define BYTES_PER_OPERATOR	512.0
/* Where a value's length is unknown. */
#define UNKNOWN_OPERATORS	10.0

/* Of a look at the TOAST table's index, and of a chunk, in random pages.
 * Measured with 1 to 4 chunks in a warm cache, beside the scan of a table without. */
#define TOAST_PAGES			0.5
#define CHUNK_PAGES			0.2

/*
 * What it costs to have the value of a column that takes so many bytes, beyond
 * the row itself: nothing if it is in the row.  Statistics count a value in the
 * TOAST table as the pointer to it.
 */
static double
fetch_cost(Oid relid, AttrNumber attno, double nbytes)
{
	int32		width = get_attavgwidth(relid, attno);

	if (nbytes <= 0 ||
		(width > 0 ? width > nbytes / 4 : nbytes < TOAST_TUPLE_TARGET))
		return 0;
	return random_page_cost *
		(TOAST_PAGES + CHUNK_PAGES * ceil(nbytes / TOAST_MAX_CHUNK_SIZE));
}

/* Bytes of a value with so many dimensions, as its type declares; 0 if it does not. */
static double
value_bytes(int32 typmod, int bits)
{
	return typmod < 1 ? 0 : 8 + typmod * (double) bits / 8;
}

static double
arg_fetch_cost(PlannerInfo *root, Node *arg, double nbytes)
{
	RangeTblEntry *rte;
	Var		   *var = (Var *) arg;

	if (!root || !IsA(var, Var) || var->varlevelsup > 0 ||
		var->varno < 1 || var->varno > list_length(root->parse->rtable))
		return 0;
	rte = planner_rt_fetch(var->varno, root);
	if (rte->rtekind != RTE_RELATION || var->varattno <= 0)
		return 0;
	return fetch_cost(rte->relid, var->varattno, nbytes);
}

/* Support of distances between values of so many bits a dimension. */
static Datum
distance_cost(FunctionCallInfo fcinfo, int bits)
{
	SupportRequestCost *request = (SupportRequestCost *) PG_GETARG_POINTER(0);
	List	   *args = NIL;
	ListCell   *lc;
	double		operators = UNKNOWN_OPERATORS;
	double		fetches = 0;

	if (!IsA(request, SupportRequestCost))
		PG_RETURN_POINTER(NULL);
	if (request->node && IsA(request->node, OpExpr))
		args = ((OpExpr *) request->node)->args;
	else if (request->node && IsA(request->node, FuncExpr))
		args = ((FuncExpr *) request->node)->args;
	foreach(lc, args)
	{
		Node	   *arg = strip_implicit_coercions(lfirst(lc));
		double		nbytes = value_bytes(exprTypmod(arg), bits);

		if (nbytes <= 0)
			continue;
		operators = CALL_OPERATORS + nbytes / BYTES_PER_OPERATOR;
		fetches += arg_fetch_cost(request->root, arg, nbytes);
	}
	request->startup = 0;
	request->per_tuple = operators * cpu_operator_cost + fetches;
	PG_RETURN_POINTER(request);
}

#define VECX_COST_FUNCTION(type, bits) \
	PG_FUNCTION_INFO_V1(vecx_##type##_cost); \
	Datum \
	vecx_##type##_cost(PG_FUNCTION_ARGS) \
	{ \
		return distance_cost(fcinfo, bits); \
	} \
	extern int no_such_variable

VECX_COST_FUNCTION(vector, 32);
VECX_COST_FUNCTION(halfvec, 16);
VECX_COST_FUNCTION(bit, 1);

/*
 * scan_or.c
 *    ORs over several filter columns, which no scan key can say.
 *
 * PostgreSQL hands an access method conditions that all have to be met, each on one
 * column.  An OR over several, `tenant = 1 OR shared`, stays a filter of the plan's
 * node.  Once the executor has set up the node, its scan looks there for ORs of which
 * it can test something in every arm, and makes scan keys of these, as the executor
 * makes them of index conditions.  A row that meets no arm is not looked at then; the
 * node tests all others again.
 *
 * Under a security barrier only such conditions are used as give nothing away.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relscan.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "executor/nodeIndexscan.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "am/plan.h"
#include "am/scan.h"

/* One OR; what its arms compare with may have to be computed when a scan begins. */
typedef struct Or
{
	VecxOrKeys	keys;
	IndexRuntimeKeyInfo **runtime;	/* of each arm */
	int		   *nruntime;
} Or;

struct VecxOrs
{
	int			n;
	bool		all;			/* the node has no other conditions */
	Or		   *ors;
	VecxOrKeys *keys;			/* of all */
	ExprContext *econtext;		/* what values are computed in */
};

/* What the planner's matching of conditions asks of an index. */
static IndexOptInfo *
describe_index(Relation rel, Index relid)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	int			n = IndexRelationGetNumberOfKeyAttributes(rel);

	index->rel = makeNode(RelOptInfo);
	index->rel->relid = relid;
	index->indexoid = RelationGetRelid(rel);
	index->ncolumns = index->nkeycolumns = n;
	index->indexkeys = palloc(sizeof(int) * n);
	for (int i = 0; i < n; i++)
		index->indexkeys[i] = rel->rd_index->indkey.values[i];
	index->opfamily = rel->rd_opfamily;
	index->opcintype = rel->rd_opcintype;
	index->indexcollations = rel->rd_indcollation;
	index->indexprs = RelationGetIndexExpressions(rel);
	ChangeVarNodes((Node *) index->indexprs, 1, (int) relid, 0);
	return index;
}

static bool
has_row_security(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result = HeapTupleIsValid(tuple) && ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

/*
 * Whether something in the query may hide rows from the user, who must not learn then what
 * they hold.  A plan does not say which of its conditions do: those of a partition may be
 * its parent's.
 */
static bool
has_barrier(const EState *estate)
{
	ListCell   *lc;

	foreach(lc, estate->es_range_table)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* a view that is updated through is there as a relation, whatever it is */
		if (rte->security_barrier ||
			(rte->rtekind == RTE_RELATION && (rte->relkind == RELKIND_VIEW || has_row_security(rte->relid))))
			return true;
	}
	return false;
}

/* A condition with the index's column on its left, as the executor wants it. */
static Expr *
make_qual(const VecxColumnClause *condition)
{
	Expr	   *qual = condition->clause;
	Node	  **left;

	fix_opfuncids((Node *) qual);
	if (IsA(qual, NullTest))
		left = (Node **) &((NullTest *) qual)->arg;
	else if (IsA(qual, OpExpr))
		left = (Node **) &linitial(((OpExpr *) qual)->args);
	else
		left = (Node **) &linitial(((ScalarArrayOpExpr *) qual)->args);
	*left = (Node *) makeVar(INDEX_VAR, (AttrNumber) (condition->column + 1), exprType(*left), -1,
							 exprCollation(*left), 0);
	return qual;
}

/* Takes an OR; false if the scan can test nothing of it. */
static bool
take_or(IndexScanState *node, IndexOptInfo *index, Node *clause, Or *result)
{
	List	   *arms;
	int			n;
	ListCell   *lc;

	arms = VecxMatchOr(index, clause);
	if (arms == NIL || (contain_leaked_vars(clause) && has_barrier(node->ss.ps.state)))
		return false;
	n = list_length(arms);
	result->keys.narms = n;
	result->keys.nkeys = palloc0(sizeof(int) * n);
	result->keys.keys = palloc0(sizeof(ScanKey) * n);
	result->runtime = palloc0(sizeof(IndexRuntimeKeyInfo *) * n);
	result->nruntime = palloc0(sizeof(int) * n);
	foreach(lc, arms)
	{
		int			i = foreach_current_index(lc);
		List	   *quals = NIL;
		ListCell   *lc2;

		foreach(lc2, (List *) lfirst(lc))
			quals = lappend(quals, make_qual(lfirst(lc2)));
		ExecIndexBuildScanKeys(&node->ss.ps, node->iss_RelationDesc, quals, false,
							   &result->keys.keys[i], &result->keys.nkeys[i],
							   &result->runtime[i], &result->nruntime[i], NULL, NULL);
	}
	return true;
}

/*
 * Looks for ORs among the conditions of a node; NULL if there is none that a scan can
 * test.  Allocates in the current context, which must live as long as the node.
 */
VecxOrs *
VecxOrsMake(IndexScanState *node)
{
	Relation	rel = node->iss_RelationDesc;
	List	   *quals = node->ss.ps.plan->qual;
	IndexOptInfo *index = NULL;
	VecxOrs    *ors = NULL;
	ListCell   *lc;

	if (!vecx_enable_paths || IndexRelationGetNumberOfKeyAttributes(rel) == 1)
		return NULL;
	foreach(lc, quals)
	{
		if (!is_orclause(lfirst(lc)))
			continue;
		if (!ors)
		{
			index = describe_index(rel, ((Scan *) node->ss.ps.plan)->scanrelid);
			ors = palloc0(sizeof(VecxOrs));
			ors->ors = palloc0(sizeof(Or) * list_length(quals));
		}
		ors->n += take_or(node, index, lfirst(lc), &ors->ors[ors->n]);
	}
	if (!ors || ors->n == 0)
		return NULL;
	ors->all = ors->n == list_length(quals);
	ors->keys = palloc(sizeof(VecxOrKeys) * ors->n);
	ors->econtext = CreateExprContext(node->ss.ps.state);
	return ors;
}

/* Whether all conditions of its node are ORs that the scan tests, as far as it can: most of
 * what it returns meets them. */
bool
VecxOrsAreAll(const VecxOrs *ors)
{
	return ors && ors->all;
}

/* The keys of all ORs as a scan begins, by what parameters are now. */
const VecxOrKeys *
VecxOrsKeys(VecxOrs *ors, int *n)
{
	*n = ors ? ors->n : 0;
	if (*n == 0)
		return NULL;
	ResetExprContext(ors->econtext);
	for (int i = 0; i < ors->n; i++)
	{
		const Or   *any = &ors->ors[i];

		for (int j = 0; j < any->keys.narms; j++)
			ExecIndexEvalRuntimeKeys(ors->econtext, any->runtime[j], any->nruntime[j]);
		ors->keys[i] = any->keys;
	}
	return ors->keys;
}

/*
 * list_options.c
 *    What an index's options say of the codes in its posting lists.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "am/list.h"

static bool
is_pq(const VecxOptions *options)
{
	return options && options->quantizer == VECX_QUANTIZER_PQ;
}

/* The quantiser that the options ask for. */
void
VecxListsQuantizer(Relation index, const VecxMetaPageData *meta, VecxListOptions *wanted)
{
	const VecxOptions *options = (VecxOptions *) index->rd_options;

	memset(wanted, 0, sizeof(*wanted));
	wanted->seed = meta->seed;
	if (is_pq(options))
	{
		wanted->quantizer = VECX_LIST_PQ;
		wanted->bits = options->bits > 0 ? (uint32) options->bits : 4;
		wanted->pq_m = (uint32) options->pq_m;
		wanted->training = options->pq_training > 0 ? (VecxPqTraining) options->pq_training :
			VECX_PQ_KMEANS;
	}
	else
	{
		wanted->quantizer = VECX_LIST_RABITQ;
		wanted->bits = options && options->bits > 0 ? (uint32) options->bits : 1;
	}
}

/*
 * Whether an index that was there is built again.  REINDEX CONCURRENTLY builds one of
 * another name and tells nobody what for; it is no part of a function or block, so that
 * the statement is the session's.
 */
static bool
is_rebuilt(Relation index)
{
	return ReindexIsProcessingIndex(RelationGetRelid(index)) ||
		(ActivePortal && ActivePortal->commandTag == CMDTAG_REINDEX);
}

/*
 * The column that pq_queries names: its table, or InvalidOid if there is none to
 * look at.  Whether the user may read it, the query that does finds out.  An index that
 * is built again, perhaps because its table is truncated, does without.
 */
Oid
VecxListsQueryTable(Relation index, const char **column)
{
	VecxOptions *options = (VecxOptions *) index->rd_options;
	const char *name = options ? GET_STRING_RELOPTION(options, pq_queries) : NULL;
	List	   *names;
	RangeVar   *table;
	Oid			type;
	Oid			relid;
	AttrNumber	attno;
	int			level = is_rebuilt(index) ? WARNING : ERROR;

	if (name == NULL)
		return InvalidOid;
	type = getBaseType(TupleDescAttr(RelationGetDescr(index), 0)->atttypid);
	names = textToQualifiedNameList(cstring_to_text(name));
	*column = strVal(llast(names));
	table = makeRangeVarFromNameList(list_truncate(names, list_length(names) - 1));
	relid = RangeVarGetRelid(table, AccessShareLock, true);
	if (!OidIsValid(relid))
	{
		ereport(level,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" that pq_queries of index \"%s\" names does not exist",
						NameListToString(names), RelationGetRelationName(index)),
				 errhint("Name another, or leave out the option (ALTER INDEX ... RESET (pq_queries)).")));
		return InvalidOid;
	}
	if (!RELKIND_HAS_TABLE_AM(get_rel_relkind(relid)) &&
		get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
	{
		ereport(level,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\", which pq_queries of index \"%s\" names, is not a table",
						get_rel_name(relid), RelationGetRelationName(index)),
				 errhint("Name a table or a materialized view.")));
		return InvalidOid;
	}
	attno = get_attnum(relid, *column);
	if (attno == InvalidAttrNumber)
	{
		ereport(level,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", *column, get_rel_name(relid)),
				 errhint("Name a column of type %s in pq_queries of index \"%s\".", format_type_be(type),
						 RelationGetRelationName(index))));
		return InvalidOid;
	}
	if (getBaseType(get_atttype(relid, attno)) != type)
	{
		ereport(level,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation \"%s\" is not of type %s", *column,
						get_rel_name(relid), format_type_be(type)),
				 errhint("Name a column of that type in pq_queries of index \"%s\".",
						 RelationGetRelationName(index))));
		return InvalidOid;
	}
	return relid;
}

/* Of a graph: raises if there are options that only lists have. */
void
VecxListsRefuseOptions(Relation index)
{
	const VecxOptions *options = (VecxOptions *) index->rd_options;
	const char *name = NULL;

	if (!options)
		return;
	if (options->pq_m > 0)
		name = "pq_m";
	else if (options->pq_training > 0)
		name = "pq_training";
	else if (options->pq_queries > 0)
		name = "pq_queries";
	else if (options->rerank != VECX_RERANK_HEAP)
		name = "rerank";
	else if (options->list_rows > 0)
		name = "list_rows";
	else if (options->replicas > 0)
		name = "replicas";
	if (is_pq(options) || name)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 is_pq(options) ?
				 errmsg("quantizer = pq of index \"%s\" needs structure = lists",
						RelationGetRelationName(index)) :
				 errmsg("%s of index \"%s\" applies to structure = lists only", name,
						RelationGetRelationName(index)),
				 errhint("Set structure = lists, or leave out the option (ALTER INDEX ... RESET (%s)).",
						 is_pq(options) ? "quantizer" : name)));
}

/* Lists that a row is put into, at most. */
int
VecxListsReplicas(Relation index)
{
	const VecxOptions *options = (VecxOptions *) index->rd_options;

	return options && options->replicas > 0 ? options->replicas : VECX_DEFAULT_REPLICAS;
}

/* What copies of vectors are; 0: there are none. */
VecxCodeKind
VecxListsCopies(Relation index)
{
	const VecxOptions *options = (VecxOptions *) index->rd_options;

	if (!options || options->rerank == VECX_RERANK_HEAP)
		return 0;
	return options->rerank == VECX_RERANK_SQ8 ? VECX_CODE_SQ8 : VECX_CODE_HALF;
}

static void
check_pq(Relation index, const VecxOptions *options, uint32 dim)
{
	const char *column;

	if (options->bits != 0 && options->bits != 4 && options->bits != 8)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bits of index \"%s\" must be 4 or 8 with quantizer = pq",
						RelationGetRelationName(index)),
				 errhint("Set one of these, or leave out bits for 4.")));
	if ((uint32) options->pq_m > vecx_list_most_m(dim))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pq_m of index \"%s\" must be at most %u", RelationGetRelationName(index),
						vecx_list_most_m(dim)),
				 errdetail("Each of these numbers stands for at least one of %u dimensions.", dim),
				 errhint("Set a smaller pq_m, or leave it out.")));
	/* who builds an index again is told when it is trained */
	if (!is_rebuilt(index))
		(void) VecxListsQueryTable(index, &column);
}

/* Raises if what belongs behind a row does not fit a page, or is two things. */
static void
check_behind(Relation index, const VecxOptions *options, const VecxMetaPageData *meta)
{
	VecxListOptions wanted;
	VecxLists	lists;

	if (!is_pq(options) && options->bits > 1 && options->rerank != VECX_RERANK_HEAP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bits of index \"%s\" does not go together with rerank = %s",
						RelationGetRelationName(index),
						options->rerank == VECX_RERANK_SQ8 ? "sq8" : "half"),
				 errdetail("Copies of vectors leave nothing for further bits to tell."),
				 errhint("Leave out one of them.")));
	memset(&lists, 0, sizeof(lists));
	VecxListsQuantizer(index, meta, &wanted);
	vecx_list_code_plan(&wanted, (VecxMetric) meta->metric, meta->dim, &lists.code);
	lists.row_size = sizeof(VecxRowEntry);
	VecxListsLayOut(&lists, VecxListsCopies(index));
	if (lists.behind_bytes > 0 && lists.behind_rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("copies of vectors in index \"%s\" do not fit a page",
						RelationGetRelationName(index)),
				 errdetail("One of %u dimensions needs %zu of %zu bytes.", meta->dim, lists.behind_bytes,
						   (Size) VECX_BEHIND_PAGE_ROOM),
				 options->rerank == VECX_RERANK_HALF && meta->dim < VECX_BEHIND_PAGE_ROOM - 64 ?
				 errhint("Use rerank = sq8, or leave it out.") : errhint("Leave out rerank.")));
}

/* Of lists: raises if their options do not go together. */
void
VecxListsCheckOptions(Relation index, const VecxMetaPageData *meta)
{
	const VecxOptions *options = (VecxOptions *) index->rd_options;

	if (!options)
		return;
	if (!is_pq(options) && options->quantizer != VECX_QUANTIZER_AUTO &&
		options->quantizer != VECX_QUANTIZER_RABITQ)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("structure = lists of index \"%s\" does not support its quantizer",
						RelationGetRelationName(index)),
				 errhint("Use quantizer = rabitq or quantizer = pq.")));
	if (is_pq(options))
		check_pq(index, options, meta->dim);
	else if (options->pq_m > 0 || options->pq_training > 0 || options->pq_queries > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of index \"%s\" applies to quantizer = pq only",
						options->pq_m > 0 ? "pq_m" : options->pq_training > 0 ? "pq_training" : "pq_queries",
						RelationGetRelationName(index)),
				 errhint("Set quantizer = pq, or leave out the option.")));
	check_behind(index, options, meta);
}

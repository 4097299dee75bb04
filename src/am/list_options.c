/*
 * list_options.c
 *    What an index's options say of the codes in its posting lists.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

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

/* A column that pq_queries names. */
typedef struct QueryColumn
{
	const char *schema;
	const char *table;
	const char *column;
	const char *name;			/* of the table, with its schema, for messages */
} QueryColumn;

/* The table, if there is one that the current user may look for. */
static Oid
find_table(const QueryColumn *q)
{
	Oid			schema = get_namespace_oid(q->schema, true);

	if (!OidIsValid(schema) || VecxSchemaAclCheck(schema, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		return InvalidOid;
	return get_relname_relid(q->table, schema);
}

/* Why nobody can read queries from a table as it is; NULL: that is not so. */
static const char *
refuse_table(Oid relid, const QueryColumn *q)
{
	HeapTuple	class = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	char		kind;
	bool		populated;

	if (!HeapTupleIsValid(class))
		return psprintf("Table \"%s\", which pq_queries names, does not exist, or its schema may not be used.", q->name);
	kind = ((Form_pg_class) GETSTRUCT(class))->relkind;
	populated = ((Form_pg_class) GETSTRUCT(class))->relispopulated;
	ReleaseSysCache(class);
	if (!RELKIND_HAS_TABLE_AM(kind) && kind != RELKIND_PARTITIONED_TABLE)
		return psprintf("\"%s\", which pq_queries names, is not a table, nor a materialized view.", q->name);
	if (!populated)
		return psprintf("Materialized view \"%s\", which pq_queries names, has not been populated.", q->name);
	return NULL;
}

/* Why the column of a table cannot be read as queries of the index; NULL: it can. */
static const char *
refuse_queries(Relation index, Oid relid, const QueryColumn *q)
{
	Form_pg_attribute indexed = TupleDescAttr(RelationGetDescr(index), 0);
	const char *reason = refuse_table(relid, q);
	AttrNumber	attno;

	if (reason)
		return reason;
	attno = get_attnum(relid, q->column);
	if (attno == InvalidAttrNumber)
		return psprintf("Column \"%s\" of table \"%s\", which pq_queries names, does not exist.", q->column, q->name);
	if (getBaseType(get_atttype(relid, attno)) != getBaseType(indexed->atttypid))
		return psprintf("Column \"%s\" of table \"%s\", which pq_queries names, is not of type %s.", q->column, q->name,
						format_type_be(getBaseType(indexed->atttypid)));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck(relid, attno, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return psprintf("The owner of the indexed table may not read column \"%s\" of table \"%s\", which pq_queries names.",
						q->column, q->name);
	if (!row_security && check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return psprintf("With row_security = off the owner of the indexed table may not read table \"%s\", which pq_queries names.",
						q->name);
	return NULL;
}

/*
 * The table, locked until the transaction ends, if its column can be read as queries of the
 * index; else *reason.  Only a table that may be read is locked, and not waited for.  As it may
 * have changed before it was locked, or another may have taken its name, it is looked at again.
 */
static Oid
lock_table(Relation index, const QueryColumn *q, const char **reason)
{
	for (Oid locked = InvalidOid;;)
	{
		Oid			relid = find_table(q);

		*reason = refuse_queries(index, relid, q);
		if (*reason == NULL && relid == locked)
			return relid;
		if (OidIsValid(locked))
			UnlockRelationOid(locked, AccessShareLock);
		if (*reason)
			return InvalidOid;
		if (!ConditionalLockRelationOid(relid, AccessShareLock))
		{
			*reason = psprintf("Table \"%s\", which pq_queries names, is locked by another transaction.", q->name);
			return InvalidOid;
		}
		locked = relid;
	}
}

/* Says what stands for the queries that pq_queries names, and why. */
void
VecxListsWarnOfQueries(Relation index, const char *reason)
{
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of its table stand for queries while index \"%s\" is trained",
					RelationGetRelationName(index)),
			 errdetail_internal("%s", reason),
			 errhint("REINDEX when there are queries, or ALTER INDEX ... RESET (pq_queries).")));
}

/*
 * The column that pq_queries names, if it can be read now, else no table, with a WARNING
 * if there should be one.  It is no error: a dump may make the index before the queries, or
 * before its owner may read them, and a typing mistake costs a REINDEX.
 */
Oid
VecxListsQueryTable(Relation index, const char **column)
{
	VecxOptions *options = (VecxOptions *) index->rd_options;
	const char *value = options ? GET_STRING_RELOPTION(options, pq_queries) : NULL;
	const char *reason;
	List	   *names;
	QueryColumn q;
	Oid			relid;

	if (value == NULL)
		return InvalidOid;
	names = VecxSplitPqQueries(value);
	q.schema = strVal(linitial(names));
	q.table = strVal(lsecond(names));
	q.column = *column = strVal(lthird(names));
	q.name = quote_qualified_identifier(q.schema, q.table);
	relid = lock_table(index, &q, &reason);
	if (reason)
		VecxListsWarnOfQueries(index, reason);
	return relid;
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

/* Raises if what belongs behind a row does not fit a page. */
static void
check_behind(Relation index, const VecxOptions *options, const VecxMetaPageData *meta)
{
	VecxListOptions wanted;
	VecxLists	lists;

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

/* Raises if options of lists do not suit the column. */
void
VecxListsCheckOptions(Relation index, const VecxMetaPageData *meta)
{
	const VecxOptions *options = (VecxOptions *) index->rd_options;

	if (!options)
		return;
	if ((uint32) options->pq_m > vecx_list_most_m(meta->dim))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pq_m of index \"%s\" must be at most %u", RelationGetRelationName(index),
						vecx_list_most_m(meta->dim)),
				 errdetail("Each of these numbers stands for at least one of %u dimensions.", meta->dim),
				 errhint("Set a smaller pq_m, or leave it out.")));
	check_behind(index, options, meta);
}

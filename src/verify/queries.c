/*
 * queries.c
 *    Queries whose true nearest rows are known: what vecx_recall and
 *    vecx_calibrate compare searches with.
 *
 * Queries are vectors of the index itself, drawn at random, or those of another
 * table.  One scan of the table gives all queries' true distances by the
 * operator itself, so that ties do not matter.  Stored vectors are hidden from
 * their own searches (sample.c), and their rows are no true neighbours.
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/heap.h"
#include "verify/verify.h"

void
VecxNearestInit(VecxNearest *nearest, int k)
{
	nearest->distance = palloc(sizeof(double) * k);
	nearest->n = 0;
	nearest->k = k;
}

void
VecxNearestAdd(VecxNearest *nearest, double d)
{
	VecxKeepNearestDouble(nearest->distance, &nearest->n, nearest->k, d);
}

/* The operator's distance; what has none is farther than all that have one. */
double
VecxQueryDistance(VecxQuerySet *set, const VecxQuery *query, Datum value)
{
	double		d = DatumGetFloat8(FunctionCall2Coll(&set->distance, set->collation, value,
													 PointerGetDatum(query->value)));

	return isnan(d) ? get_float8_infinity() : d;
}

static void
find_operator(VecxQuerySet *set)
{
	Relation	rel = set->target.rel;
	Oid			op;

	set->type = rel->rd_opcintype[0];
	set->collation = rel->rd_indcollation[0];
	op = get_opfamily_member(rel->rd_opfamily[0], set->type, set->type, VECX_DISTANCE_STRATEGY);
	if (!OidIsValid(op))
		elog(ERROR, "index \"%s\" has no distance operator", RelationGetRelationName(rel));
	set->distance_proc = get_opcode(op);
	fmgr_info_cxt(set->distance_proc, &set->distance, set->cxt);
}

/*
 * Whether the function of a cast or an operator is PostgreSQL's own or vecx's: what another
 * user has made is not called for a caller who only named that user's table.
 */
bool
VecxIsTrusted(Oid function)
{
	Oid			extension = get_extension_oid("vecx", true);

	return function < FirstNormalObjectId ||
		(OidIsValid(extension) && getExtensionOfObject(ProcedureRelationId, function) == extension);
}

/* Whether values of one type become those of another by themselves, without a function
 * that is not trusted. */
bool
VecxConverts(Oid from, Oid to)
{
	Oid			function;
	CoercionPathType path;

	if (IsPolymorphicType(to))
		return true;
	path = find_coercion_pathway(to, from, COERCION_IMPLICIT, &function);
	return path == COERCION_PATH_RELABELTYPE || (path == COERCION_PATH_FUNC && VecxIsTrusted(function));
}

/* Raises if a column is named, and no table. */
void
VecxCheckQueries(Oid table, const char *column)
{
	if (column && !OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("query_column is given without queries"),
				 errhint("Name the table of the column as queries.")));
}

/* The type of a column that queries are to come from; raises unless it is that type or, if that
 * will do, converts to it. */
Oid
VecxCheckQueryColumn(Relation table, const char *column, Oid type, bool may_convert)
{
	AttrNumber	attno = get_attnum(RelationGetRelid(table), column);
	Oid			found;

	if (attno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", column,
						RelationGetRelationName(table)),
				 errhint("Name a column of type %s as query_column.", format_type_be(type))));
	found = getBaseType(get_atttype(RelationGetRelid(table), attno));
	if (found != type && !(may_convert && VecxConverts(found, type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation \"%s\" is not of type %s", column,
						RelationGetRelationName(table), format_type_be(type)),
				 errhint("Name a column of that type as query_column.")));
	return found;
}

/*
 * What to write after the name of a table's column to get queries of a type: a cast
 * where PostgreSQL would have it in between by itself, else nothing.
 */
const char *
VecxQueryCast(Relation table, const char *column, Oid type)
{
	if (VecxCheckQueryColumn(table, column, type, true) == type)
		return "";
	/* of any length: bit without quotes is bit(1) */
	return psprintf("::%s", format_type_extended(type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
}

/* Queries that are read at once. */
#define FETCH_ROWS	50

/* Takes a query from the rows that SPI has read; returns the bytes of its value. */
static Size
add_given_query(VecxQuerySet *set, uint64 row)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull);
	MemoryContext old;
	struct varlena *copy;

	/* a view may evaluate its column twice, and a cast may make a NULL */
	if (isnull)
		return 0;
	old = MemoryContextSwitchTo(set->cxt);
	copy = PG_DETOAST_DATUM_COPY(value);
	MemoryContextSwitchTo(old);
	set->queries[set->nqueries++].value = copy;
	return VARSIZE(copy);
}

/* Memory has room for so many queries only: an error if the user said how many there shall be. */
static void
refuse_more(const VecxQuerySet *set, Size most)
{
	if (set->least_queries > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("%d samples of index \"%s\" need more than maintenance_work_mem",
					set->most_queries, RelationGetRelationName(set->target.rel)),
			 errhint("Use at most %zu samples, or increase maintenance_work_mem.", Max(most, 1))));
}

/* Whether there is memory for more queries than those of so many bytes, which may be far larger than
 * what an index keeps of them. */
static bool
has_room(const VecxQuerySet *set, Size nbytes)
{
	Size		limit = (Size) maintenance_work_mem * 1024;

	if (nbytes <= limit)
		return true;
	refuse_more(set, (Size) ((double) set->nqueries * limit / nbytes));
	return false;
}

/*
 * Queries from a table, read with the caller's rights.
 */
static void
load_queries(VecxQuerySet *set, Oid table, const char *column)
{
	Relation	rel = VecxTableOpen(table);
	const char *name;
	const char *cast;
	char	   *sql;
	Oid			owner;
	int			context;
	Portal		portal;
	Size		nbytes = 0;
	bool		more;

	name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
	if (!column)
		column = VecxTargetColumn(&set->target);
	cast = VecxQueryCast(rel, column, set->type);
	relation_close(rel, NoLock);	/* the lock is kept, so the names stay true */
	column = quote_identifier(column);
	sql = psprintf("SELECT %s%s FROM %s WHERE %s IS NOT NULL ORDER BY pg_catalog.random() LIMIT %d",
				   column, cast, name, column, set->most_queries);

	GetUserIdAndSecContext(&owner, &context);
	SetUserIdAndSecContext(set->target.save_user, set->target.save_context);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed && set->nqueries < set->most_queries; i++)
			nbytes += add_given_query(set, i);
		more = SPI_processed > 0 && has_room(set, nbytes);
		SPI_freetuptable(SPI_tuptable);
	} while (more);
	SPI_cursor_close(portal);
	SPI_finish();
	SetUserIdAndSecContext(owner, context);
}

/*
 * How many rows of a vertex the snapshot sees, up to limit; the value of the
 * first of them goes to *value, detoasted, in the current context.
 */
int
VecxVisibleRows(VecxQuerySet *set, VecxId id, const ItemPointerData *tids, int ntids, VecxId chain,
				int limit, struct varlena **value)
{
	XLogRecPtr	lsn;
	VecxRowEntry *rows = NULL;
	VecxRowEntry inline_rows[VECX_INLINE_ROWS];
	int			found = 0;

	for (int i = 0; i < ntids; i++)
		inline_rows[i].tid = tids[i];
	for (VecxRowEntry *batch = inline_rows; found < limit; batch = rows)
	{
		for (int i = 0; i < ntids && found < limit; i++)
		{
			Datum		datum;
			bool		isnull;

			/* rows of a vertex are never NULL, and have the value of the first */
			if (found > 0)
			{
				found += VecxExactFind(set->exact, &batch[i].tid) != NULL;
				continue;
			}
			if (!VecxExactFetch(set->exact, &batch[i].tid, &datum, &isnull) || isnull)
				continue;
			*value = PG_DETOAST_DATUM_COPY(datum);
			found++;
		}
		if (chain == VECX_INVALID_ID)
			break;
		CHECK_FOR_INTERRUPTS();
		if (!rows)
			rows = palloc(sizeof(VecxRowEntry) * VECX_SEGMENT_MAX_ROWS);
		ntids = VecxRowsReadSegment(set->index, NULL, id, &chain, rows, &lsn);
	}
	return found;
}

/* Makes a query of a vertex, unless none of its rows is visible. */
static void
add_stored_query(VecxQuerySet *set, const VecxStored *sampled)
{
	VecxIndex  *index = set->index;
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, sampled->id, &size);
	VecxQuery  *query = &set->queries[set->nqueries];
	ItemPointerData tids[VECX_INLINE_ROWS];
	int			nrows;

	if (!rec || rec->hash != sampled->hash || rec->level != 0)
		return;
	nrows = Min(rec->nrows, VECX_INLINE_ROWS);
	for (int i = 0; i < nrows; i++)
		tids[i] = VecxRecordRow(&index->layout, rec, i)->tid;
	if (VecxVisibleRows(set, sampled->id, tids, nrows, rec->chain_head, 1, &query->value) == 0)
		return;
	query->stored = *sampled;
	query->stored.code = VecxRecordCode(&index->layout, rec);
	VecxIdSetInit(&query->stored.hidden, set->cxt, RelationGetNumberOfBlocks(index->rel));
	set->nqueries++;
}

typedef struct Hiding
{
	VecxIndex  *index;
	VecxStored **by_hash;
	int			n;
} Hiding;

static void
hide_record(VecxId id, VecxRecord rec, void *arg)
{
	Hiding	   *hiding = arg;

	(void) VecxStoredHide(hiding->index, hiding->by_hash, hiding->n, id, rec);
}

/* Finds the records on all levels that have the vector of a query. */
static void
hide_stored_queries(VecxQuerySet *set)
{
	Hiding		hiding = {set->index, palloc(sizeof(VecxStored *) * Max(set->nqueries, 1)), set->nqueries};

	for (int i = 0; i < set->nqueries; i++)
		hiding.by_hash[i] = &set->queries[i].stored;
	qsort(hiding.by_hash, hiding.n, sizeof(VecxStored *), VecxStoredCompare);
	VecxForEachRecord(set->index, true, hide_record, &hiding);
	pfree(hiding.by_hash);
}

static void
sample_queries(VecxQuerySet *set)
{
	VecxStored *sampled = palloc0(sizeof(VecxStored) * set->most_queries);
	int			n = VecxSampleVertices(set->index, sampled, set->most_queries, &set->vertices);

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_stored_query(set, &sampled[i]);
	}
	VecxExactReset(set->exact);
	hide_stored_queries(set);
}

/* The same of posting lists, whose rows are drawn. */
static void
sample_rows(VecxQuerySet *set)
{
	ItemPointerData *tids = palloc(sizeof(ItemPointerData) * set->most_queries);
	int			n = VecxListSampleRows(set->index, tids, set->most_queries);

	for (int i = 0; i < n; i++)
	{
		VecxQuery  *query = &set->queries[set->nqueries];

		CHECK_FOR_INTERRUPTS();
		if (VecxVisibleRows(set, VECX_INVALID_ID, &tids[i], 1, VECX_INVALID_ID, 1, &query->value) == 0)
			continue;
		query->row = tids[i];
		set->nqueries++;
	}
	VecxExactReset(set->exact);
	pfree(tids);
}

/* Whether a query is a vector of the table. */
bool
VecxQueryIsStored(const VecxQuery *query)
{
	return query->stored.id != VECX_INVALID_ID || ItemPointerIsValid(&query->row);
}

static void
exact_row(ItemPointer tid, Datum *values, bool *isnull, void *arg)
{
	VecxQuerySet *set = arg;
	struct varlena *value;

	if (isnull[0])
		return;
	value = PG_DETOAST_DATUM(values[0]);
	for (int i = 0; i < set->nqueries; i++)
	{
		VecxQuery  *query = &set->queries[i];
		double		d;

		CHECK_FOR_INTERRUPTS();
		if (VecxQueryIsStored(query) && VecxSameValue(value, query->value))
			continue;
		d = VecxQueryDistance(set, query, PointerGetDatum(value));
		/* what is at no distance, zero under cosine, is nobody's neighbour */
		if (d < get_float8_infinity())
			VecxNearestAdd(&query->truth, d);
	}
}

/* The true distances of all queries, in one scan of the table. */
static void
find_truth(VecxQuerySet *set)
{
	for (int i = 0; i < set->nqueries; i++)
		VecxNearestInit(&set->queries[i].truth, set->k);
	VecxTargetForEachRow(&set->target, set->snapshot, set->row_cxt, exact_row, set);
}

/* Raises if the queries would outgrow maintenance_work_mem; takes fewer where the user did not
 * say how many. */
static void
check_memory(VecxQuerySet *set, bool given)
{
	Size		each = sizeof(VecxQuery) + VecxVectorBytes(set->index) + sizeof(double) * set->k +
		(given || set->index->lists ? 0 : BLCKSZ + 8192);	/* of a small VecxIdSet */
	Size		most = (Size) maintenance_work_mem * 1024 / each;

	if ((Size) set->most_queries <= most)
		return;
	refuse_more(set, most);
	set->most_queries = Max((int) most, set->least_queries);
}

/* Raises if n usable queries are fewer than the set has to have. */
void
VecxQueriesCheck(const VecxQuerySet *set, bool given, int n)
{
	if (n < set->least_queries)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("too few queries to calibrate index \"%s\"",
						RelationGetRelationName(set->target.rel)),
				 given ?
				 errdetail("There are %d, and %d are needed.", n, set->least_queries) :
				 set->index->lists ?
				 errdetail("There are %d rows with a vector to search for, and %d are needed.", n, set->least_queries) :
				 errdetail("Beside the one that searches begin with there are %d different vectors, and %d are needed.",
						   n, set->least_queries)));
}

/*
 * Opens the index, which set->target names, takes queries from a table, or from
 * the index if that is InvalidOid, and finds the k nearest rows of each, unless k is 0.
 * set->cxt is current, k and most_queries are set.
 */
void
VecxQuerySetMake(VecxQuerySet *set, Oid table, const char *column)
{
	VecxCheckQueries(table, column);
	set->row_cxt = AllocSetContextCreate(set->cxt, "vecx query of a row", ALLOCSET_DEFAULT_SIZES);
	set->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	set->index = VecxIndexOpen(set->target.rel, set->cxt);
	set->exact = VecxExactMake(set->target.heap, set->target.rel, set->snapshot);
	find_operator(set);
	check_memory(set, OidIsValid(table));
	set->queries = palloc0(sizeof(VecxQuery) * set->most_queries);
	if (OidIsValid(table))
		load_queries(set, table, column);
	else if (set->index->lists)
		sample_rows(set);
	else
		sample_queries(set);
	VecxQueriesCheck(set, OidIsValid(table), set->nqueries);
	if (set->k > 0)
		find_truth(set);
}

void
VecxQuerySetEnd(VecxQuerySet *set)
{
	VecxExactEnd(set->exact);
	UnregisterSnapshot(set->snapshot);
}

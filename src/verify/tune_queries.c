/*
 * tune_queries.c
 *    The queries that vecx_tune learns from, and the rows that they want: the nearest by
 *    the operator, or those that the user says are relevant.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_operator.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "code/code_heap.h"
#include "verify/tune.h"

#define FETCH_ROWS		100		/* queries read at once: a vector may have 64 kB */

/* The column of the table that the index is on. */
static const char *
indexed_column(const VecxTune *t)
{
	if (t->target.rel->rd_index->indkey.values[0] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("relevant rows cannot be given for index \"%s\", which is on an expression",
						RelationGetRelationName(t->target.rel)),
				 errhint("Leave out relevant and key: then the true nearest rows count.")));
	return VecxTargetColumn(&t->target);
}

/* With both operands of its own types no other operator of that name is meant. */
static const char *
argument_cast(Oid type)
{
	return IsPolymorphicType(type) ? "" :
		psprintf("::%s", format_type_extended(type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
}

/*
 * The condition that compares the columns of such pairs, of tables d and q; raises if they
 * are not there, or there is no operator that may be called.
 */
static const char *
equal_operator(const VecxTune *t, Relation table, const char *relevant, const char *key)
{
	const struct
	{
		Relation	rel;
		const char *column;
	}			pair[] = {{t->target.heap, key}, {table, relevant}};
	Oid			types[2];
	Operator	equal;
	Form_pg_operator form;
	const char *result = NULL;

	for (int i = 0; i < 2; i++)
	{
		types[i] = get_atttype(RelationGetRelid(pair[i].rel),
							   get_attnum(RelationGetRelid(pair[i].rel), pair[i].column));
		if (!OidIsValid(types[i]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist", pair[i].column,
							RelationGetRelationName(pair[i].rel)),
					 errhint(VECX_TUNE_PAIR_HINT)));
	}
	equal = oper(NULL, list_make1(makeString("=")), types[0], types[1], true, -1);
	if (equal != NULL)
	{
		form = (Form_pg_operator) GETSTRUCT(equal);
		if (VecxIsTrusted(form->oprcode) && VecxConverts(types[0], form->oprleft) &&
			VecxConverts(types[1], form->oprright))
			result = psprintf("d.%s%s OPERATOR(%s.=) q.%s%s", quote_identifier(key), argument_cast(form->oprleft),
							  quote_identifier(get_namespace_name(form->oprnamespace)),
							  quote_identifier(relevant), argument_cast(form->oprright));
		ReleaseSysCache(equal);
	}
	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("columns \"%s\" and \"%s\" cannot be compared", relevant, key),
				 errdetail("They are of types %s and %s.", format_type_be(types[1]), format_type_be(types[0]))));
	return result;
}

static char *
query_sql(const VecxTune *t, Oid table, const char *column, const char *relevant, const char *key,
		  int samples)
{
	Relation	rel = VecxTableOpen(table);
	const char *equal = NULL;
	const char *indexed;
	const char *cast;
	char	   *name;

	name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
	if (!column)
		column = VecxTargetColumn(&t->target);
	cast = VecxQueryCast(rel, column, t->type);
	if (relevant)
		equal = equal_operator(t, rel, relevant, key);
	relation_close(rel, NoLock);	/* the lock is kept, so the names stay true */
	column = quote_identifier(column);
	if (!relevant)
		return psprintf("SELECT q.%s%s FROM %s q WHERE q.%s IS NOT NULL ORDER BY pg_catalog.random() LIMIT %d",
						column, cast, name, column, samples);
	indexed = quote_identifier(indexed_column(t));
	return psprintf("SELECT q.%s%s, d.%s FROM %s q JOIN %s d ON %s WHERE q.%s IS NOT NULL AND d.%s IS NOT NULL "
					"ORDER BY pg_catalog.random() LIMIT %d",
					column, cast, indexed, name,
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(t->target.heap)),
											   RelationGetRelationName(t->target.heap)),
					equal, column, indexed, samples);
}

/* NULL where there is none, which a view or a cast may make of what was not NULL. */
static struct varlena *
copy_value(int i, int attno)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, attno, &isnull);

	return isnull ? NULL : PG_DETOAST_DATUM_COPY(value);
}

/* Adds a query, unless it has no distance to anything. */
static void
add_query(VecxTune *t, struct varlena *value, struct varlena *relevant)
{
	VecxTuneQuery  *query = &t->queries[t->nqueries];
	VecxInput	input;

	VecxPrepareInput(t->index, PointerGetDatum(value), &input);
	if (input.kind != VECX_INPUT_OK)
		return;
	query->value = value;
	query->x = input.vec;
	query->relevant = relevant;
	query->nearest = palloc(sizeof(VecxTuneNeighbour) * VECX_TUNE_NEAREST);
	t->nqueries++;
}

/* Reads the queries with the caller's rights. */
void
VecxTuneLoadQueries(VecxTune *t, Oid table, const char *column, const char *relevant, const char *key,
			 int samples)
{
	char	   *sql = query_sql(t, table, column, relevant, key, samples);
	Portal		portal;
	Oid			owner;
	int			context;

	t->queries = palloc0(sizeof(VecxTuneQuery) * samples);
	GetUserIdAndSecContext(&owner, &context);
	SetUserIdAndSecContext(t->target.save_user, t->target.save_context);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(t->cxt);
			struct varlena *value = copy_value((int) i, 1);
			struct varlena *wanted = relevant ? copy_value((int) i, 2) : NULL;

			if (value && (wanted || !relevant))
				add_query(t, value, wanted);
			MemoryContextSwitchTo(old);
		}
		VecxTuneCheckMemory(t, 1);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	SetUserIdAndSecContext(owner, context);
	if (t->nqueries < VECX_TUNE_HELD_OUT * VECX_LEAST_QUERIES)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("too few queries to tune index \"%s\"",
						RelationGetRelationName(t->target.rel)),
				 errdetail("There are %d, and %d are needed.", t->nqueries,
						   VECX_TUNE_HELD_OUT * VECX_LEAST_QUERIES)));
}

/* ---- their rows ---- */

static uint32
hash_value(const struct varlena *value)
{
	return hash_bytes((const unsigned char *) VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value));
}

void
VecxTuneHashRelevant(VecxTune *t)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(uint32);
	ctl.entrysize = sizeof(VecxTuneRelevant);
	ctl.hcxt = t->cxt;
	t->relevant = hash_create("vecx relevant rows", t->nqueries, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	t->next_equal = palloc(sizeof(int) * t->nqueries);
	for (int i = 0; i < t->nqueries; i++)
	{
		uint32		hash = hash_value(t->queries[i].relevant);
		bool		found;
		VecxTuneRelevant   *entry = hash_search(t->relevant, &hash, HASH_ENTER, &found);

		t->next_equal[i] = found ? entry->query : -1;
		entry->query = i;
	}
}

/* Notes the row with every query that it is relevant to. */
static void
match_relevant(VecxTune *t, ItemPointer tid, const struct varlena *value)
{
	uint32		hash = hash_value(value);
	VecxTuneRelevant   *entry = hash_search(t->relevant, &hash, HASH_FIND, NULL);

	for (int i = entry ? entry->query : -1; i >= 0; i = t->next_equal[i])
	{
		VecxTuneQuery  *query = &t->queries[i];

		if (query->nequal < VECX_TUNE_MOST_EQUAL && VecxSameValue(value, query->relevant))
			query->equal[query->nequal++] = *tid;
	}
}

#define DISTANCE(item)	((item).distance)
VECX_DEFINE_KEEP_LEAST(keep_nearest, VecxTuneNeighbour, DISTANCE);

static void
look_at_row(ItemPointer tid, Datum *values, bool *isnull, void *arg)
{
	VecxTune   *t = arg;
	struct varlena *value;

	if (isnull[0])
		return;
	value = PG_DETOAST_DATUM(values[0]);
	if (t->relevant)
		match_relevant(t, tid, value);
	for (int i = 0; i < t->nqueries; i++)
	{
		double		d;

		CHECK_FOR_INTERRUPTS();
		d = DatumGetFloat8(FunctionCall2Coll(&t->distance, t->target.rel->rd_indcollation[0],
											 PointerGetDatum(value),
											 PointerGetDatum(t->queries[i].value)));
		if (!isnan(d))
			keep_nearest(t->queries[i].nearest, &t->queries[i].n, VECX_TUNE_NEAREST,
						 (VecxTuneNeighbour) {d, *tid});
	}
}

static int
compare_neighbours(const void *a, const void *b)
{
	double		x = ((const VecxTuneNeighbour *) a)->distance;
	double		y = ((const VecxTuneNeighbour *) b)->distance;

	return (x > y) - (x < y);
}

/* Finds the nearest rows of all queries, and the relevant ones, in one scan of the table. */
void
VecxTuneFindRows(VecxTune *t)
{
	HASHCTL		ctl;

	VecxTargetForEachRow(&t->target, t->snapshot, t->row_cxt, look_at_row, t);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ItemPointerData);
	ctl.entrysize = sizeof(VecxTuneRow);
	ctl.hcxt = t->cxt;
	t->rows = hash_create("vecx rows of queries", t->nqueries * 16L, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < t->nqueries; i++)
	{
		VecxTuneQuery  *query = &t->queries[i];
		bool		found;

		qsort(query->nearest, query->n, sizeof(VecxTuneNeighbour), compare_neighbours);
		for (int j = 0; j < query->n + query->nequal; j++)
		{
			VecxTuneRow   *row = hash_search(t->rows, j < query->n ? &query->nearest[j].tid :
										  &query->equal[j - query->n], HASH_ENTER, &found);

			if (!found)
				row->n = 0;
		}
	}
}

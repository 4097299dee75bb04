/*
 * column_sample.c
 *    A random choice of the vectors in a column, read as the current user may.
 */
#include "postgres.h"

#include "compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/column_sample.h"
#include "types/vec.h"

#define FETCH_ROWS		1000

static Size
vector_bytes(const VecxColumnSample *sample)
{
	return sizeof(float) * sample->index->meta.dim;
}

static void
put_vector(VecxColumnSample *sample, int at, Datum value)
{
	VecxInput	input;

	if (sample->skips_other_dims && DatumGetVecxVector(value)->dim != sample->index->meta.dim)
		return;
	VecxPrepareInput(sample->index, value, &input);
	if (input.kind != VECX_INPUT_OK)
		return;
	memcpy(sample->vectors + (Size) at * sample->index->meta.dim, input.vec, vector_bytes(sample));
	if (at == sample->n)
		sample->n++;
}

/*
 * A value is detoasted only if it is drawn; one without a distance that is drawn
 * leaves the place to its former holder.
 */
static void
add_value(VecxColumnSample *sample, Datum value)
{
	MemoryContext old = MemoryContextSwitchTo(sample->row_cxt);
	int64		at = sample->seen++;

	if (at < sample->most || sample->n < sample->most)
		put_vector(sample, sample->n, value);
	else
	{
		at = (int64) pg_prng_uint64_range(&sample->prng, 0, (uint64) at);
		if (at < sample->most)
			put_vector(sample, (int) at, value);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(sample->row_cxt);
}

/* Functions of views and policies may have renamed columns since they were looked up. */
static void
check_type(const VecxColumnSample *sample, Relation table, const char *column, Oid found)
{
	if (getBaseType(found) != sample->type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation \"%s\" is not of type %s any more", column,
						RelationGetRelationName(table), format_type_be(sample->type))));
}

static void
read_rows(VecxColumnSample *sample, Relation table, const char *column, const char *sql)
{
	Portal		portal;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the query executor");
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		check_type(sample, table, column, SPI_gettypeid(SPI_tuptable->tupdesc, 1));
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			CHECK_FOR_INTERRUPTS();
			/* a view may evaluate its column twice, and differ */
			if (!isnull)
				add_value(sample, value);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
}

/*
 * Reads the column: all its vectors, until there are most, then each as likely as
 * any other.  index, type and most are set.
 */
void
VecxColumnSampleRead(VecxColumnSample *sample, MemoryContext cxt, Relation table, const char *column,
					 uint64 seed)
{
	bool		push = !ActiveSnapshotSet();
	char	   *sql = psprintf("SELECT %1$s FROM %2$s WHERE %1$s IS NOT NULL",
							   quote_identifier(column),
							   quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
														  RelationGetRelationName(table)));

	pg_prng_seed(&sample->prng, seed);
	sample->n = 0;
	sample->seen = 0;
	sample->vectors = MemoryContextAllocHuge(cxt, vector_bytes(sample) * Max(sample->most, 1));
	sample->row_cxt = AllocSetContextCreate(cxt, "vecx row of a sample", ALLOCSET_DEFAULT_SIZES);
	if (push)
		PushActiveSnapshot(GetTransactionSnapshot());
	read_rows(sample, table, column, sql);
	if (push)
		PopActiveSnapshot();
	MemoryContextDelete(sample->row_cxt);
	pfree(sql);
}

/*
 * compress_sample.c
 *    Rows of a table to try codes on, drawn at random but the same each time,
 *    and queries whose nearest among these rows are known.
 *
 * Tables are read by queries of the caller's, with the caller's rights.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "am/column_sample.h"
#include "code/code_heap.h"
#include "verify/verify.h"

#define SEED			UINT64CONST(0x636F6D7072657373)
#define TEST_QUERIES	200
#define GIVEN_QUERIES	2200	/* that are read: those to measure with, too */
#define LEAST_ROWS		100

static Size
vector_bytes(const VecxSample *sample)
{
	return sizeof(float) * sample->index.meta.dim;
}

/* Takes n vectors, chosen at random, from the end of rows. */
static float *
split_off(VecxSample *sample, int n)
{
	uint32		dim = sample->index.meta.dim;
	float	   *vectors = MemoryContextAllocHuge(sample->cxt, vector_bytes(sample) * Max(n, 1));
	pg_prng_state prng;

	pg_prng_seed(&prng, SEED + 1);
	for (int i = 0; i < n; i++)
	{
		int			at = (int) pg_prng_uint64_range(&prng, 0, (uint64) sample->nrows - 1);
		float	   *from = sample->rows + (Size) at * dim;

		memcpy(vectors + (Size) i * dim, from, vector_bytes(sample));
		sample->nrows--;
		memmove(from, sample->rows + (Size) sample->nrows * dim, vector_bytes(sample));
	}
	return vectors;
}

VECX_DEFINE_SELECT_LEAST(select_least, float, VECX_ITSELF);

/* The k-th smallest, from 1; reorders the values. */
float
VecxKthSmallest(float *values, int n, int k)
{
	select_least(values, n, k);
	return values[k - 1];
}

static float
true_distance(VecxMetric metric, const float *q, const float *x, uint32 dim)
{
	switch (metric)
	{
		case VECX_METRIC_IP:
			return -vecx_kernels->ip_f32(q, x, dim);
		case VECX_METRIC_L1:
			return vecx_kernels->l1_f32(q, x, dim);
		default:
			return vecx_kernels->l2sq_f32(q, x, dim);
	}
}

static void
find_truth(VecxSample *sample)
{
	uint32		dim = sample->index.meta.dim;
	Size		all = (Size) sample->nqueries * sample->nrows;
	float	   *copy = MemoryContextAllocHuge(sample->cxt, sizeof(float) * sample->nrows);

	sample->distances = MemoryContextAllocHuge(sample->cxt, sizeof(float) * all);
	sample->reach = palloc(sizeof(float) * sample->nqueries);
	for (int q = 0; q < sample->nqueries; q++)
	{
		float	   *distances = sample->distances + (Size) q * sample->nrows;

		CHECK_FOR_INTERRUPTS();
		for (int r = 0; r < sample->nrows; r++)
			distances[r] = true_distance(sample->index.spec->metric, sample->queries + (Size) q * dim,
										 sample->rows + (Size) r * dim, dim);
		memcpy(copy, distances, sizeof(float) * sample->nrows);
		sample->reach[q] = VecxKthSmallest(copy, sample->nrows, Min(sample->k, sample->nrows));
	}
	pfree(copy);
}

/* Rows for a sample of so many, with all that is computed of them, in bytes. */
static void
check_rows(VecxSample *sample, int nrows)
{
	Size		each = vector_bytes(sample) + sizeof(float) * (TEST_QUERIES + 2);
	Size		limit = (Size) maintenance_work_mem * 1024 / 2;

	if (each * nrows > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%d samples need more than half of maintenance_work_mem", nrows),
				 limit / each < VECX_LEAST_SAMPLES ?
				 errhint("Increase maintenance_work_mem to %zu kB or more.",
						 (2 * each * VECX_LEAST_SAMPLES + 1023) / 1024) :
				 errhint("Use at most %zu samples, or increase maintenance_work_mem.",
						 limit / each)));
}

/*
 * Fills in the sample, of which cxt, index and k are set.  nrows is 0 for as many
 * rows as memory has room for, 10,000 at most.
 */
void
VecxSampleTake(VecxSample *sample, Relation table, const char *column, int nrows,
			   Relation query_table, const char *query_column)
{
	Size		each = vector_bytes(sample) + sizeof(float) * (TEST_QUERIES + 2);
	Oid			type = getBaseType(get_atttype(RelationGetRelid(table),
											   get_attnum(RelationGetRelid(table), column)));
	VecxColumnSample rows = {&sample->index,.type = type};
	VecxColumnSample queries = {&sample->index,.type = type};

	if (nrows == 0)
		nrows = (int) Max(Min(10000, (Size) maintenance_work_mem * 512 / each), LEAST_ROWS);
	check_rows(sample, nrows);
	rows.most = nrows;
	if (query_table)
	{
		(void) VecxCheckQueryColumn(query_table, query_column, type, false);
		queries.most = (int) Max(Min(GIVEN_QUERIES, (Size) maintenance_work_mem * 1024 / 8 / vector_bytes(sample)),
								 TEST_QUERIES);
		VecxColumnSampleRead(&queries, sample->cxt, query_table, query_column, SEED);
	}
	VecxColumnSampleRead(&rows, sample->cxt, table, column, SEED);
	if (rows.n < LEAST_ROWS || (query_table && queries.n < 1))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("too few vectors to try codes on"),
				 rows.n < LEAST_ROWS ?
				 errdetail("Table \"%s\" has %d that have distances, and %d are needed.",
						   RelationGetRelationName(table), rows.n, LEAST_ROWS) :
				 errdetail("Table \"%s\" has no queries.", RelationGetRelationName(query_table))));
	sample->seen = rows.seen;
	sample->rows = rows.vectors;
	sample->nrows = rows.n;
	if (query_table)
	{
		sample->queries = queries.vectors;
		sample->nqueries = Min(queries.n, TEST_QUERIES);
		sample->given = queries.vectors + (Size) sample->nqueries * sample->index.meta.dim;
		sample->ngiven = queries.n - sample->nqueries;
	}
	else
	{
		sample->nqueries = Min(TEST_QUERIES, rows.n / 10);
		sample->queries = split_off(sample, sample->nqueries);
	}
	find_truth(sample);
}

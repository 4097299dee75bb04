/*
 * recall.c
 *    vecx_recall: the share of the true nearest rows that an index finds.
 *
 * Queries are vectors of the index itself, drawn at random, or those of another
 * table.  One scan of the table gives all queries' true distances by the
 * operator itself; a row found counts if it is no farther than the k-th of
 * them, so that ties do not matter.
 *
 * A stored vector must not find itself, nor may the search pass through it,
 * for its links are the answer: its vertex, and others of the same vector, are
 * hidden from its search, and its rows are no true neighbours.
 */
#include "postgres.h"

#include "access/relation.h"
#include <float.h>
#include <math.h>

#include "access/relscan.h"
#include "access/stratnum.h"
#include "catalog/index.h"
#include "common/pg_prng.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "verify/verify.h"

#define MAX_K			10000
#define MAX_SAMPLES		10000

/* The k smallest of many distances: a heap with the largest first. */
typedef struct Nearest
{
	double	   *distance;
	int			n;
	int			k;
} Nearest;

typedef struct RecallQuery
{
	struct varlena *value;
	Nearest		truth;

	/* of a stored vector */
	VecxId		vertex;			/* 0: the query is from another table */
	uint32		hash;
	uint8	   *code;
	VecxIdSet	hidden;
} RecallQuery;

typedef struct Recall
{
	VecxTarget	target;
	VecxIndex  *index;
	MemoryContext cxt;			/* of the whole call */
	MemoryContext query_cxt;	/* of one search */
	MemoryContext row_cxt;		/* of one row */
	Snapshot	snapshot;
	VecxExact  *exact;
	FmgrInfo	distance;
	RegProcedure distance_proc;
	Oid			type;			/* of the operator's arguments */
	Oid			collation;
	int			k;
	int			nqueries;
	int			most_queries;
	RecallQuery *queries;
	RecallQuery **by_hash;		/* sorted by hash */
} Recall;

static void
nearest_init(Nearest *nearest, int k)
{
	nearest->distance = palloc(sizeof(double) * k);
	nearest->n = 0;
	nearest->k = k;
}

static void
nearest_add(Nearest *nearest, double d)
{
	double	   *heap = nearest->distance;
	int			i;

	if (nearest->n < nearest->k)
	{
		for (i = nearest->n++; i > 0 && heap[(i - 1) / 2] < d; i = (i - 1) / 2)
			heap[i] = heap[(i - 1) / 2];
		heap[i] = d;
		return;
	}
	if (d >= heap[0])
		return;
	for (i = 0;;)
	{
		int			child = 2 * i + 1;

		if (child >= nearest->n)
			break;
		if (child + 1 < nearest->n && heap[child + 1] > heap[child])
			child++;
		if (d >= heap[child])
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = d;
}

/* The operator's distance; what has none is farther than all that have one. */
static double
distance_to(Recall *r, const RecallQuery *query, Datum value)
{
	double		d = DatumGetFloat8(FunctionCall2Coll(&r->distance, r->collation, value,
													 PointerGetDatum(query->value)));

	return isnan(d) ? get_float8_infinity() : d;
}

static void
find_operator(Recall *r)
{
	Relation	rel = r->target.rel;
	Oid			op;

	r->type = rel->rd_opcintype[0];
	r->collation = rel->rd_indcollation[0];
	op = get_opfamily_member(rel->rd_opfamily[0], r->type, r->type, VECX_DISTANCE_STRATEGY);
	if (!OidIsValid(op))
		elog(ERROR, "index \"%s\" has no distance operator", RelationGetRelationName(rel));
	r->distance_proc = get_opcode(op);
	fmgr_info_cxt(r->distance_proc, &r->distance, r->cxt);
}

/*
 * Queries from a table, read with the caller's rights.
 */
static void
load_queries(Recall *r, Oid table, const char *column)
{
	Relation	rel = try_relation_open(table, AccessShareLock);
	const char *name;
	char	   *sql;
	Oid			owner;
	int			context;

	if (!rel)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table of queries, OID %u, does not exist", table)));
	name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
	relation_close(rel, NoLock);	/* the lock is kept, so the name stays true */
	if (!column)
		column = get_attname(RelationGetRelid(r->target.rel), 1, false);
	column = quote_identifier(column);
	sql = psprintf("SELECT %s FROM %s WHERE %s IS NOT NULL ORDER BY pg_catalog.random() LIMIT %d",
				   column, name, column, r->most_queries);

	GetUserIdAndSecContext(&owner, &context);
	SetUserIdAndSecContext(r->target.save_user, r->target.save_context);
	SPI_connect();
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read queries");
	if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != r->type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column %s of table %s is not of type %s", column, name,
						format_type_be(r->type)),
				 errhint("Name a column of that type as query_column.")));
	for (uint64 i = 0; i < SPI_tuptable->numvals; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(r->cxt);

		r->queries[r->nqueries++].value = PG_DETOAST_DATUM_COPY(value);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	SetUserIdAndSecContext(owner, context);
}

/* A vertex whose vector may become a query. */
typedef struct Sampled
{
	VecxId		id;
	uint32		hash;
} Sampled;

/* Draws n live vertices, without the entry, where hidden searches could not
 * start; returns their number. */
static int
sample_vertices(Recall *r, Sampled *sampled, int n)
{
	VecxIndex  *index = r->index;
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	VecxId		entry_base = VECX_INVALID_ID;
	uint64		seen = 0;
	PGAlignedBlock page;

	if (index->meta.entry != VECX_INVALID_ID)
	{
		Size		size;
		VecxRecord	entry = VecxCopyRecord(index, index->meta.entry, &size);

		if (entry)
			entry_base = entry->level > 0 ? entry->base : index->meta.entry;
	}
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		if (!VecxTargetReadPage(index->rel, blkno, strategy, &page) ||
			VecxPageGetOpaque(page.data)->kind != VECX_PAGE_VERTEX)
			continue;
		for (OffsetNumber off = FirstOffsetNumber;
			 off <= Min(PageGetMaxOffsetNumber(page.data), VECX_MAX_ITEMS); off++)
		{
			Size		size;
			VecxRecord	rec = VecxPageGetRecord(page.data, off, VecxRecordSize(&index->layout, 0), &size);
			uint64		at = seen;

			if (!rec || rec->level != 0 || (rec->flags & VECX_RECORD_DEAD) ||
				VecxIdMake(blkno, off) == entry_base)
				continue;
			if (seen >= n)
				at = pg_prng_uint64_range(&pg_global_prng_state, 0, seen);
			seen++;
			if (at >= n)
				continue;
			sampled[at].id = VecxIdMake(blkno, off);
			sampled[at].hash = rec->hash;
		}
	}
	return (int) Min(seen, n);
}

/*
 * How many rows of a vertex the snapshot sees, up to limit; the value of the
 * first of them goes to *value, detoasted, in the current context.
 */
static int
visible_rows(Recall *r, VecxId id, const ItemPointerData *tids, int ntids, VecxId chain,
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

			if (!VecxExactFetch(r->exact, &batch[i].tid, &datum, &isnull) || isnull)
				continue;
			if (found++ == 0)
				*value = PG_DETOAST_DATUM_COPY(datum);
		}
		if (chain == VECX_INVALID_ID)
			break;
		CHECK_FOR_INTERRUPTS();
		if (!rows)
			rows = palloc(sizeof(VecxRowEntry) * VECX_SEGMENT_MAX_ROWS);
		ntids = VecxRowsReadSegment(r->index, id, &chain, rows, &lsn);
	}
	return found;
}

/* Makes a query of a vertex, unless none of its rows is visible. */
static void
add_stored_query(Recall *r, const Sampled *sampled)
{
	VecxIndex  *index = r->index;
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, sampled->id, &size);
	RecallQuery *query = &r->queries[r->nqueries];
	ItemPointerData tids[VECX_INLINE_ROWS];
	int			nrows;

	if (!rec || rec->hash != sampled->hash || rec->level != 0)
		return;
	nrows = Min(rec->nrows, VECX_INLINE_ROWS);
	for (int i = 0; i < nrows; i++)
		tids[i] = VecxRecordRows(&index->layout, rec)[i].tid;
	if (visible_rows(r, sampled->id, tids, nrows, rec->chain_head, 1, &query->value) == 0)
		return;
	query->vertex = sampled->id;
	query->hash = sampled->hash;
	query->code = VecxRecordCode(&index->layout, rec);
	VecxIdSetInit(&query->hidden, r->cxt, RelationGetNumberOfBlocks(index->rel));
	r->nqueries++;
}

static int
compare_hashes(const void *a, const void *b)
{
	uint32		x = (*(RecallQuery *const *) a)->hash;
	uint32		y = (*(RecallQuery *const *) b)->hash;

	return (x > y) - (x < y);
}

/* Hides a record from the queries that have its vector. */
static void
hide_record(Recall *r, VecxId id, VecxRecord rec)
{
	int			low = 0;
	int			high = r->nqueries;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (r->by_hash[middle]->hash < rec->hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < r->nqueries && r->by_hash[low]->hash == rec->hash; low++)
		if (memcmp(r->by_hash[low]->code, VecxRecordCode(&r->index->layout, rec),
				   r->index->coder.nbytes) == 0)
			VecxIdSetAdd(&r->by_hash[low]->hidden, id);
}

/* Finds the records on all levels that have the vector of a query. */
static void
hide_stored_queries(Recall *r)
{
	VecxIndex  *index = r->index;
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	PGAlignedBlock page;

	r->by_hash = palloc(sizeof(RecallQuery *) * Max(r->nqueries, 1));
	for (int i = 0; i < r->nqueries; i++)
		r->by_hash[i] = &r->queries[i];
	qsort(r->by_hash, r->nqueries, sizeof(RecallQuery *), compare_hashes);
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		if (!VecxTargetReadPage(index->rel, blkno, strategy, &page) ||
			(VecxPageGetOpaque(page.data)->kind != VECX_PAGE_VERTEX &&
			 VecxPageGetOpaque(page.data)->kind != VECX_PAGE_UPPER))
			continue;
		for (OffsetNumber off = FirstOffsetNumber;
			 off <= Min(PageGetMaxOffsetNumber(page.data), VECX_MAX_ITEMS); off++)
		{
			Size		size;
			VecxRecord	rec = VecxPageGetRecord(page.data, off, VecxRecordSize(&index->layout, 0), &size);

			if (rec)
				hide_record(r, VecxIdMake(blkno, off), rec);
		}
	}
}

static void
sample_queries(Recall *r)
{
	Sampled    *sampled = palloc(sizeof(Sampled) * r->most_queries);
	int			n = sample_vertices(r, sampled, r->most_queries);

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_stored_query(r, &sampled[i]);
	}
	VecxExactReset(r->exact);
	hide_stored_queries(r);
}

static void
exact_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Recall	   *r = arg;
	MemoryContext old;
	struct varlena *value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(r->row_cxt);
	value = PG_DETOAST_DATUM(values[0]);
	for (int i = 0; i < r->nqueries; i++)
	{
		RecallQuery *query = &r->queries[i];

		CHECK_FOR_INTERRUPTS();
		if (query->vertex != VECX_INVALID_ID && VecxSameValue(value, query->value))
			continue;
		nearest_add(&query->truth, distance_to(r, query, PointerGetDatum(value)));
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(r->row_cxt);
}

/* The true distances of all queries, in one scan of the table. */
static void
find_truth(Recall *r)
{
	IndexInfo  *info;
	TableScanDesc scan;

	for (int i = 0; i < r->nqueries; i++)
		nearest_init(&r->queries[i].truth, r->k);
	scan = VecxTargetScan(&r->target, r->snapshot, &info);
	table_index_build_scan(r->target.heap, r->target.rel, info, true, false, exact_row, r, scan);
}

static int
compare_opened(const void *a, const void *b)
{
	const VecxOpened *x = a;
	const VecxOpened *y = b;
	float		dx = x->rank - x->error;
	float		dy = y->rank - y->error;

	return (dx > dy) - (dx < dy);
}

/* Adds what a search opened to the rows found, as a scan would return them;
 * returns how many vertices there were. */
static int
take_opened(Recall *r, const RecallQuery *query, VecxSearch *search, Nearest *found)
{
	int			n;
	int			live = 0;
	VecxOpened *opened = VecxSearchOpened(search, &n);

	VecxSearchRelease(search);
	qsort(opened, n, sizeof(VecxOpened), compare_opened);
	for (int i = 0; i < n; i++)
	{
		const VecxOpened *o = &opened[i];
		MemoryContext old;
		struct varlena *value;
		int			nrows;

		CHECK_FOR_INTERRUPTS();
		if (o->dead || VecxIdSetContains(&query->hidden, o->id))
			continue;
		live++;
		if (found->n == found->k &&
			o->rank - 2 * o->error > VecxRankFromOperator(r->index->spec->metric, found->distance[0]))
			continue;
		old = MemoryContextSwitchTo(r->row_cxt);
		nrows = visible_rows(r, o->id, o->tids, o->nrows, o->chain, r->k, &value);
		if (nrows > 0)
		{
			double		d = distance_to(r, query, PointerGetDatum(value));

			while (nrows-- > 0)
				nearest_add(found, d);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(r->row_cxt);
	}
	VecxExactReset(r->exact);
	VecxSearchKeepOpened(search, 0);
	return live;
}

/* What an index scan for a stored vector would return, were it not stored. */
static void
search_hidden(Recall *r, RecallQuery *query, Nearest *found)
{
	VecxIndex  *index = r->index;
	VecxSearch *search = VecxSearchMake(index, CurrentMemoryContext, false);
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	VecxId		seeds[VECX_MAX_SEEDS];
	VecxInput	input;
	VecxProbe  *probe;
	int			nseeds;
	int			returned = 0;

	VecxPrepareInput(index, PointerGetDatum(query->value), &input);
	probe = VecxProbeMake(index, input.vec);
	VecxSearchHide(search, &query->hidden);
	nseeds = VecxSearchDescend(search, probe, 0, seeds);
	VecxSearchStart(search, probe, 0, seeds, nseeds);
	while (found->n < found->k && !VecxSearchExhausted(search))
	{
		VecxSearchRun(search, Max(returned, vecx_ef_search));
		returned += take_opened(r, query, search, found);
	}
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks && found->n < found->k; blkno++)
	{
		VecxSearchSweep(search, blkno);
		take_opened(r, query, search, found);
	}
	VecxSearchRelease(search);
}

/* What an index scan returns. */
static void
search_index(Recall *r, const RecallQuery *query, Nearest *found)
{
	Relation	rel = r->target.rel;
	IndexInfo  *info = BuildIndexInfo(rel);
	EState	   *estate = CreateExecutorState();
	TupleTableSlot *slot = table_slot_create(r->target.heap, NULL);
	IndexScanDesc scan = VecxIndexBeginScan(r->target.heap, rel, r->snapshot, 0, 1);
	ScanKeyData key;

	GetPerTupleExprContext(estate)->ecxt_scantuple = slot;
	ScanKeyEntryInitialize(&key, 0, 1, VECX_DISTANCE_STRATEGY, r->type, r->collation,
						   r->distance_proc, PointerGetDatum(query->value));
	index_rescan(scan, NULL, 0, &key, 1);
	while (found->n < found->k && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		CHECK_FOR_INTERRUPTS();
		FormIndexDatum(info, slot, estate, values, isnull);
		if (isnull[0])
			break;				/* only those are left */
		nearest_add(found, distance_to(r, query, values[0]));
		ResetPerTupleExprContext(estate);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

/* The mean over all queries that have neighbours; false if none has. */
static bool
mean_recall(Recall *r, double *result)
{
	double		sum = 0;
	int			n = 0;

	for (int i = 0; i < r->nqueries; i++)
	{
		RecallQuery *query = &r->queries[i];
		MemoryContext old = MemoryContextSwitchTo(r->query_cxt);
		Nearest		found;
		int			hits = 0;

		CHECK_FOR_INTERRUPTS();
		if (query->truth.n > 0)
		{
			nearest_init(&found, query->truth.n);
			if (query->vertex != VECX_INVALID_ID)
				search_hidden(r, query, &found);
			else
				search_index(r, query, &found);
			for (int j = 0; j < found.n; j++)
				hits += found.distance[j] <= query->truth.distance[0];
			sum += (double) hits / query->truth.n;
			n++;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(r->query_cxt);
	}
	*result = sum / Max(n, 1);
	return n > 0;
}

static int
get_count(FunctionCallInfo fcinfo, int arg, const char *name, int most)
{
	int32		n = PG_GETARG_INT32(arg);

	if (n < 1 || n > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 1 and %d", name, most)));
	return n;
}

/* Raises if the queries would outgrow maintenance_work_mem. */
static void
check_memory(Recall *r)
{
	Size		each = sizeof(RecallQuery) + VecxVectorBytes(r->index) + BLCKSZ +
		sizeof(double) * r->k + 8192;	/* of a small VecxIdSet */
	Size		limit = (Size) maintenance_work_mem * 1024;

	if (each * r->most_queries > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%d samples of index \"%s\" need more than maintenance_work_mem",
						r->most_queries, RelationGetRelationName(r->target.rel)),
				 errhint("Use at most %zu samples.", Max(limit / each, 1))));
}

static void
begin_recall(Recall *r, FunctionCallInfo fcinfo)
{
	memset(r, 0, sizeof(Recall));
	r->k = get_count(fcinfo, 1, "k", MAX_K);
	r->most_queries = get_count(fcinfo, 2, "samples", MAX_SAMPLES);
	r->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx recall", ALLOCSET_DEFAULT_SIZES);
	r->query_cxt = AllocSetContextCreate(r->cxt, "vecx recall of a query", ALLOCSET_DEFAULT_SIZES);
	r->row_cxt = AllocSetContextCreate(r->cxt, "vecx recall of a row", ALLOCSET_DEFAULT_SIZES);

	VecxTargetOpen(&r->target, PG_GETARG_OID(0), AccessShareLock);
	/* undone when the target is closed */
	if (!PG_ARGISNULL(3))
		(void) set_config_option("vecx.ef_search", psprintf("%d", PG_GETARG_INT32(3)),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * vecx_recall(index regclass, k int, samples int, ef int, queries regclass,
 * query_column name)
 */
PG_FUNCTION_INFO_V1(vecx_recall);
Datum
vecx_recall(PG_FUNCTION_ARGS)
{
	Recall		r;
	MemoryContext old;
	double		result;
	bool		known;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	begin_recall(&r, fcinfo);
	old = MemoryContextSwitchTo(r.cxt);
	r.snapshot = RegisterSnapshot(GetTransactionSnapshot());
	r.index = VecxIndexOpen(r.target.rel, r.cxt);
	r.exact = VecxExactMake(r.target.heap, r.target.rel, r.snapshot);
	find_operator(&r);
	check_memory(&r);
	r.queries = palloc0(sizeof(RecallQuery) * r.most_queries);
	if (PG_ARGISNULL(4))
		sample_queries(&r);
	else
		load_queries(&r, PG_GETARG_OID(4), PG_ARGISNULL(5) ? NULL : NameStr(*PG_GETARG_NAME(5)));
	find_truth(&r);
	known = mean_recall(&r, &result);
	VecxExactEnd(r.exact);
	UnregisterSnapshot(r.snapshot);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(r.cxt);
	VecxTargetClose(&r.target);
	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

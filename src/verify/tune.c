/*
 * tune.c
 *    vecx_tune and vecx_tune_undo: moves queries before centroids are searched, as
 *    queries of the user's have shown to be of use.
 *
 * For some of the queries an adapter is learned (code_tune.c) by which the lists of
 * their rows come earlier: those of the true nearest rows, or of rows that the user says
 * are relevant.  The others decide whether it is kept, and give the curve that goes with
 * it.  Codes, the operator's order and what is inserted stay as they are.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "common/hashfn.h"
#include "compat.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "verify/verify.h"

/* True nearest rows of a query: for the curve, and that it is to find. */
#define NEAREST			100
#define GOALS			30

/* Rows that are as relevant as one that the user names, since they are equal. */
#define MOST_EQUAL		16

/* Lists that a row is in, as far as they are noted. */
#define MOST_LISTS		8

/* One query of so many decides. */
#define HELD_OUT		4

typedef struct Neighbour
{
	double		distance;
	ItemPointerData tid;
} Neighbour;

typedef struct TuneQuery
{
	struct varlena *value;
	const float *x;				/* as searches have it */
	struct varlena *relevant;	/* a row's vector; NULL: the nearest ones are */
	int			nequal;
	ItemPointerData equal[MOST_EQUAL];	/* rows that have it */
	int			n;
	Neighbour  *nearest;		/* a heap with the farthest first, in the end in order */
} TuneQuery;

/* A row of which it matters in which lists it is. */
typedef struct RowLists
{
	ItemPointerData tid;
	uint16		n;
	uint32		lists[MOST_LISTS];	/* first pages, then numbers */
} RowLists;

/* Vectors of relevant rows, by hash. */
typedef struct Relevant
{
	uint32		hash;
	int			query;			/* the first that has it */
} Relevant;

typedef struct Tune
{
	VecxTarget	target;
	VecxIndex  *index;
	MemoryContext cxt;
	MemoryContext row_cxt;
	Snapshot	snapshot;
	FmgrInfo	distance;
	Oid			type;
	int			nqueries;
	TuneQuery  *queries;
	int		   *next_equal;		/* [nqueries]: the next query with a relevant row of that hash */
	HTAB	   *relevant;		/* NULL: none are given */
	HTAB	   *rows;			/* RowLists */

	/* lists in the order of their first pages */
	uint32		nlists;
	uint32		lists_cap;
	BlockNumber *heads;
	float	   *centres;
} Tune;

/* ---- queries ---- */

/* The column of the table that the index is on. */
static const char *
indexed_column(const Tune *t)
{
	AttrNumber	attno = t->target.rel->rd_index->indkey.values[0];

	if (attno == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("relevant rows cannot be given for index \"%s\", which is on an expression",
						RelationGetRelationName(t->target.rel)),
				 errhint("Leave out relevant and key: then the true nearest rows count.")));
	return get_attname(RelationGetRelid(t->target.heap), attno, false);
}

static char *
query_sql(const Tune *t, Oid table, const char *column, const char *relevant, const char *key,
		  int samples)
{
	Relation	rel = try_relation_open(table, AccessShareLock);
	char	   *name;

	if (!rel)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table of queries, OID %u, does not exist", table)));
	name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
	relation_close(rel, NoLock);	/* the lock is kept, so the name stays true */
	if (!column)
		column = indexed_column(t);
	column = quote_identifier(column);
	if (!relevant)
		return psprintf("SELECT q.%s FROM %s q WHERE q.%s IS NOT NULL ORDER BY pg_catalog.random() LIMIT %d",
						column, name, column, samples);
	return psprintf("SELECT q.%s, d.%s FROM %s q JOIN %s d ON d.%s = q.%s WHERE q.%s IS NOT NULL AND d.%s IS NOT NULL "
					"ORDER BY pg_catalog.random() LIMIT %d",
					column, quote_identifier(indexed_column(t)), name,
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(t->target.heap)),
											   RelationGetRelationName(t->target.heap)),
					quote_identifier(key), quote_identifier(relevant), column,
					quote_identifier(indexed_column(t)), samples);
}

static struct varlena *
copy_value(Tune *t, int i, int attno, const char *what)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, attno, &isnull);

	if (getBaseType(SPI_gettypeid(SPI_tuptable->tupdesc, attno)) != t->type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the column of %s is not of type %s", what, format_type_be(t->type)),
				 errhint("Name a column of that type as query_column.")));
	return PG_DETOAST_DATUM_COPY(value);
}

/* Adds a query, unless it has no distance to anything. */
static void
add_query(Tune *t, struct varlena *value, struct varlena *relevant)
{
	TuneQuery  *query = &t->queries[t->nqueries];
	VecxInput	input;

	VecxPrepareInput(t->index, PointerGetDatum(value), &input);
	if (input.kind != VECX_INPUT_OK)
		return;
	query->value = value;
	query->x = input.vec;
	query->relevant = relevant;
	query->nearest = palloc(sizeof(Neighbour) * NEAREST);
	t->nqueries++;
}

/* Reads the queries with the caller's rights. */
static void
load_queries(Tune *t, Oid table, const char *column, const char *relevant, const char *key,
			 int samples)
{
	char	   *sql = query_sql(t, table, column, relevant, key, samples);
	Oid			owner;
	int			context;

	t->queries = palloc0(sizeof(TuneQuery) * samples);
	GetUserIdAndSecContext(&owner, &context);
	SetUserIdAndSecContext(t->target.save_user, t->target.save_context);
	SPI_connect();
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read queries");
	for (uint64 i = 0; i < SPI_tuptable->numvals; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(t->cxt);

		add_query(t, copy_value(t, (int) i, 1, "queries"),
				  relevant ? copy_value(t, (int) i, 2, "relevant rows") : NULL);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	SetUserIdAndSecContext(owner, context);
	if (t->nqueries < HELD_OUT * VECX_LEAST_QUERIES)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("too few queries to tune index \"%s\"",
						RelationGetRelationName(t->target.rel)),
				 errdetail("There are %d, and %d are needed.", t->nqueries,
						   HELD_OUT * VECX_LEAST_QUERIES)));
}

/* ---- their rows ---- */

static uint32
hash_value(const struct varlena *value)
{
	return hash_bytes((const unsigned char *) VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value));
}

static void
hash_relevant(Tune *t)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(uint32);
	ctl.entrysize = sizeof(Relevant);
	ctl.hcxt = t->cxt;
	t->relevant = hash_create("vecx relevant rows", t->nqueries, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	t->next_equal = palloc(sizeof(int) * t->nqueries);
	for (int i = 0; i < t->nqueries; i++)
	{
		uint32		hash = hash_value(t->queries[i].relevant);
		bool		found;
		Relevant   *entry = hash_search(t->relevant, &hash, HASH_ENTER, &found);

		t->next_equal[i] = found ? entry->query : -1;
		entry->query = i;
	}
}

/* Notes the row with every query that it is relevant to. */
static void
match_relevant(Tune *t, ItemPointer tid, const struct varlena *value)
{
	uint32		hash = hash_value(value);
	Relevant   *entry = hash_search(t->relevant, &hash, HASH_FIND, NULL);

	for (int i = entry ? entry->query : -1; i >= 0; i = t->next_equal[i])
	{
		TuneQuery  *query = &t->queries[i];

		if (query->nequal < MOST_EQUAL && VecxSameValue(value, query->relevant))
			query->equal[query->nequal++] = *tid;
	}
}

static void
keep_nearest(TuneQuery *query, double distance, ItemPointer tid)
{
	Neighbour  *heap = query->nearest;
	Neighbour	item;
	int			i;

	item.distance = distance;
	item.tid = *tid;
	if (query->n < NEAREST)
	{
		for (i = query->n++; i > 0 && heap[(i - 1) / 2].distance < distance; i = (i - 1) / 2)
			heap[i] = heap[(i - 1) / 2];
		heap[i] = item;
		return;
	}
	if (distance >= heap[0].distance)
		return;
	for (i = 0;;)
	{
		int			child = 2 * i + 1;

		if (child >= NEAREST)
			break;
		if (child + 1 < NEAREST && heap[child + 1].distance > heap[child].distance)
			child++;
		if (distance >= heap[child].distance)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
}

static void
look_at_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Tune	   *t = arg;
	MemoryContext old;
	struct varlena *value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(t->row_cxt);
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
			keep_nearest(&t->queries[i], d, tid);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(t->row_cxt);
}

static int
compare_neighbours(const void *a, const void *b)
{
	double		x = ((const Neighbour *) a)->distance;
	double		y = ((const Neighbour *) b)->distance;

	return (x > y) - (x < y);
}

/* Finds the nearest rows of all queries, and the relevant ones, in one scan of the table. */
static void
find_rows(Tune *t)
{
	IndexInfo  *info;
	TableScanDesc scan = VecxTargetScan(&t->target, t->snapshot, &info);
	HASHCTL		ctl;

	table_index_build_scan(t->target.heap, t->target.rel, info, true, false, look_at_row, t, scan);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ItemPointerData);
	ctl.entrysize = sizeof(RowLists);
	ctl.hcxt = t->cxt;
	t->rows = hash_create("vecx rows of queries", t->nqueries * 16L, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < t->nqueries; i++)
	{
		TuneQuery  *query = &t->queries[i];
		bool		found;

		qsort(query->nearest, query->n, sizeof(Neighbour), compare_neighbours);
		for (int j = 0; j < query->n + query->nequal; j++)
		{
			RowLists   *row = hash_search(t->rows, j < query->n ? &query->nearest[j].tid :
										  &query->equal[j - query->n], HASH_ENTER, &found);

			if (!found)
				row->n = 0;
		}
	}
}

/* ---- lists ---- */

/* Raises where what is kept of the lists would outgrow maintenance_work_mem. */
static void
check_memory(const Tune *t, double nlists)
{
	double		bytes = nlists * (sizeof(float) * t->index->meta.dim + 64) +
		(double) t->nqueries * (NEAREST * (sizeof(Neighbour) + sizeof(RowLists)) +
								3 * sizeof(float) * t->index->meta.dim);

	if (bytes > (double) maintenance_work_mem * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("tuning index \"%s\" needs more than maintenance_work_mem",
						RelationGetRelationName(t->target.rel)),
				 errdetail("%d queries and %.0f lists take some %.0f MB.", t->nqueries, nlists,
						   ceil(bytes / 1048576)),
				 errhint("Use fewer samples, or raise maintenance_work_mem.")));
}

static void
note_centroids(Tune *t, BlockNumber blkno, Page page)
{
	VecxIndex  *index = t->index;
	uint32		dim = index->meta.dim;

	for (OffsetNumber off = FirstOffsetNumber; off <= Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS); off++)
	{
		Size		size;
		VecxRecord	rec = VecxGetRecord(index, page, VecxIdMake(blkno, off), &size);

		if (!rec || rec->level != 0 || rec->nrows < 1 || (rec->flags & VECX_RECORD_DEAD))
			continue;
		if (t->nlists == t->lists_cap)
		{
			t->lists_cap = Max(t->lists_cap * 2, 256);
			check_memory(t, t->lists_cap);
			t->heads = repalloc_huge(t->heads, sizeof(BlockNumber) * t->lists_cap);
			t->centres = repalloc_huge(t->centres, sizeof(float) * dim * t->lists_cap);
		}
		t->heads[t->nlists] = VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid);
		vecx_code_decode(&index->coder, VecxRecordCode(&index->layout, rec),
						 t->centres + (Size) t->nlists++ * dim);
	}
}

static void
note_rows(Tune *t, BlockNumber blkno, Page page)
{
	VecxListPage header = VecxListGetPage(t->index, page, blkno);

	if (header->retired != 0)
		return;
	for (int i = 0; i < header->nrows; i++)
	{
		ItemPointerData tid = VecxListRow(t->index->lists, page, i)->tid;
		RowLists   *row = hash_search(t->rows, &tid, HASH_FIND, NULL);

		if (row && row->n < MOST_LISTS)
			row->lists[row->n++] = header->head;
	}
}

/* A list's number by its first page. */
typedef struct HeadNumber
{
	BlockNumber head;
	uint32		number;
} HeadNumber;

static int
compare_heads(const void *a, const void *b)
{
	BlockNumber x = ((const HeadNumber *) a)->head;
	BlockNumber y = ((const HeadNumber *) b)->head;

	return (x > y) - (x < y);
}

/* Makes numbers of lists of the first pages; those that no centroid leads to go. */
static void
number_lists(Tune *t)
{
	HeadNumber *order = MemoryContextAllocHuge(t->cxt, sizeof(HeadNumber) * Max(t->nlists, 1));
	HASH_SEQ_STATUS seq;
	RowLists   *row;

	for (uint32 i = 0; i < t->nlists; i++)
	{
		order[i].head = t->heads[i];
		order[i].number = i;
	}
	qsort(order, t->nlists, sizeof(HeadNumber), compare_heads);
	hash_seq_init(&seq, t->rows);
	while ((row = hash_seq_search(&seq)) != NULL)
	{
		int			kept = 0;

		for (int i = 0; i < row->n; i++)
		{
			HeadNumber	key = {row->lists[i], 0};
			HeadNumber *found = bsearch(&key, order, t->nlists, sizeof(HeadNumber), compare_heads);

			if (found)
				row->lists[kept++] = found->number;
		}
		row->n = (uint16) kept;
	}
	pfree(order);
}

/* Reads the index once: all centroids, and where the rows that matter are. */
static void
find_lists(Tune *t)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(t->target.rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	PGAlignedBlock page;

	t->heads = MemoryContextAllocHuge(t->cxt, sizeof(BlockNumber));
	t->centres = MemoryContextAllocHuge(t->cxt, sizeof(float));
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!VecxReadPageCopy(t->target.rel, blkno, strategy, &page))
			continue;
		if (VecxPageGetOpaque(page.data)->kind == VECX_PAGE_VERTEX)
			note_centroids(t, blkno, page.data);
		else if (VecxPageGetOpaque(page.data)->kind == VECX_PAGE_LIST)
			note_rows(t, blkno, page.data);
	}
	number_lists(t);
}

/* ---- learning and judging ---- */

static bool
is_held_out(int query)
{
	return query % HELD_OUT == HELD_OUT - 1;
}

/* Of the lists that have a row the one that comes first; -1 if none has. */
static int
list_of_row(const Tune *t, ItemPointer tid, const float *nav)
{
	RowLists   *row = hash_search(t->rows, tid, HASH_FIND, NULL);
	int			best = -1;

	for (int i = 0; row && i < row->n; i++)
		if (best < 0 || nav[row->lists[i]] < nav[best])
			best = (int) row->lists[i];
	return best;
}

/* The rows that a query should find: relevant ones, or the nearest, so many at most. */
static int
wanted_rows(const TuneQuery *query, int most, ItemPointerData *tids)
{
	int			n = query->relevant ? query->nequal : Min(query->n, most);

	for (int i = 0; i < n; i++)
		tids[i] = query->relevant ? query->equal[i] : query->nearest[i].tid;
	return n;
}

/* Adds a query's goals, whose weights add up to 1; returns how many. */
static uint32
add_goals(const Tune *t, const TuneQuery *query, const float *nav, VecxTuneGoal *goals)
{
	ItemPointerData tids[Max(GOALS, MOST_EQUAL)];
	int			nrows = wanted_rows(query, GOALS, tids);
	uint32		n = 0;

	for (int i = 0; i < nrows; i++)
	{
		int			list = list_of_row(t, &tids[i], nav);

		if (list >= 0)
			goals[n++].list = (uint32) list;
	}
	for (uint32 i = 0; i < n; i++)
		goals[i].weight = 1.0f / (float) n;
	return n;
}

static void
begin_sample(const Tune *t, VecxTuneSample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->metric = (VecxMetric) t->index->meta.metric;
	sample->dim = t->index->meta.dim;
	sample->centres = t->centres;
	sample->nlists = t->nlists;
}

/* Learns from the queries that are not held out. */
static uint8 *
learn(Tune *t, int rank)
{
	uint32		dim = t->index->meta.dim;
	VecxTuneSample sample;
	VecxTrainEnv env;
	float	   *queries = MemoryContextAllocHuge(t->cxt, sizeof(float) * dim * t->nqueries);
	uint32	   *first = palloc0(sizeof(uint32) * (t->nqueries + 1));
	VecxTuneGoal *goals = MemoryContextAllocHuge(t->cxt, sizeof(VecxTuneGoal) * GOALS * t->nqueries);
	float	   *nav = MemoryContextAllocHuge(t->cxt, sizeof(float) * t->nlists);
	float	   *room = palloc(sizeof(float) * dim);

	begin_sample(t, &sample);
	for (int i = 0; i < t->nqueries; i++)
	{
		uint32		n;

		CHECK_FOR_INTERRUPTS();
		if (is_held_out(i))
			continue;
		vecx_tune_distances(&sample, NULL, t->queries[i].x, room, nav);
		n = add_goals(t, &t->queries[i], nav, goals + first[sample.nqueries]);
		if (n == 0)
			continue;
		memcpy(queries + (Size) sample.nqueries * dim, t->queries[i].x, sizeof(float) * dim);
		first[sample.nqueries + 1] = first[sample.nqueries] + n;
		sample.nqueries++;
	}
	sample.queries = queries;
	sample.first = first;
	sample.goals = goals;
	VecxTrainEnvInit(&env, t->cxt);
	return vecx_adapter_train(&env, &sample, (uint32) rank, t->index->meta.seed);
}

static int
compare_candidates(const void *a, const void *b)
{
	float		x = ((const VecxCandidate *) a)->est;
	float		y = ((const VecxCandidate *) b)->est;

	return (x > y) - (x < y);
}

/* What the queries held out find, in the order in which an adapter has the lists. */
typedef struct Outcome
{
	int			queries;
	double	   *found;			/* [nlists]: rows found by reading so many lists and one
								 * more, of 1, summed up over the queries */
} Outcome;

static double
recall_at(const Outcome *outcome, uint32 lists)
{
	return outcome->queries > 0 ? outcome->found[lists - 1] / outcome->queries : 0;
}

/* The fewest lists by which a recall is reached, or all. */
static uint32
lists_for(const Tune *t, const Outcome *outcome, double recall)
{
	uint32		n = 1;

	while (n < t->nlists && recall_at(outcome, n) < recall)
		n++;
	return n;
}

/* Adds a query held out to the outcome, and to the sums of a curve if there are any. */
static void
judge_query(const Tune *t, const TuneQuery *query, const float *nav, VecxCandidate *order, uint32 *place,
			float *sorted, Outcome *outcome, VecxProbeSums *sums)
{
	ItemPointerData tids[NEAREST];
	uint32		places[NEAREST];
	int			nrows = wanted_rows(query, VecxCurveRows[1], tids);
	int			n = 0;

	for (uint32 i = 0; i < t->nlists; i++)
		order[i] = (VecxCandidate) {nav[i], i};
	qsort(order, t->nlists, sizeof(VecxCandidate), compare_candidates);
	for (uint32 i = 0; i < t->nlists; i++)
	{
		place[order[i].id] = i;
		sorted[i] = order[i].est;
	}
	outcome->queries += nrows > 0;
	for (int i = 0; i < nrows; i++)
	{
		int			list = list_of_row(t, &tids[i], nav);

		if (list >= 0)
			outcome->found[place[list]] += 1.0 / nrows;
	}
	if (!sums)
		return;
	for (int i = 0; i < query->n; i++)
	{
		int			list = list_of_row(t, &query->nearest[i].tid, nav);

		if (list >= 0)
			places[n++] = place[list];
	}
	if (n > 0)
		VecxProbeSumsAdd(sums, sorted, t->nlists, places, n);
}

static void
judge(const Tune *t, const VecxAdapter *adapter, Outcome *outcome, VecxProbeSums *sums)
{
	float	   *nav = MemoryContextAllocHuge(t->cxt, sizeof(float) * t->nlists);
	float	   *sorted = MemoryContextAllocHuge(t->cxt, sizeof(float) * t->nlists);
	float	   *room = palloc(sizeof(float) * t->index->meta.dim);
	VecxCandidate *order = MemoryContextAllocHuge(t->cxt, sizeof(VecxCandidate) * t->nlists);
	uint32	   *place = MemoryContextAllocHuge(t->cxt, sizeof(uint32) * t->nlists);
	VecxTuneSample sample;

	begin_sample(t, &sample);
	memset(outcome, 0, sizeof(*outcome));
	outcome->found = MemoryContextAllocExtended(t->cxt, sizeof(double) * t->nlists,
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < t->nqueries; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_held_out(i))
			continue;
		vecx_tune_distances(&sample, adapter, t->queries[i].x, room, nav);
		judge_query(t, &t->queries[i], nav, order, place, sorted, outcome, sums);
	}
	for (uint32 i = 1; i < t->nlists; i++)
		outcome->found[i] += outcome->found[i - 1];
	pfree(nav);
	pfree(sorted);
	pfree(order);
	pfree(place);
}

/* ---- the functions ---- */

static void
open_target(Tune *t, Oid index, const char *function)
{
	Oid			op;
	Relation	rel;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("A standby gets what its primary has tuned.")));
	PreventCommandIfReadOnly(function);
	memset(t, 0, sizeof(*t));
	t->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx tuning", ALLOCSET_DEFAULT_SIZES);
	/* beside reads and writes, but not beside VACUUM, nor another of its kind */
	VecxTargetOpen(&t->target, index, ShareUpdateExclusiveLock);
	rel = t->target.rel;
	t->index = VecxIndexOpen(rel, t->cxt);
	if (!t->index->lists)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" cannot be tuned", RelationGetRelationName(rel)),
				 errdetail("Its structure is graph."),
				 errhint("Only searches of posting lists (structure = lists) can be tuned.")));
	t->row_cxt = AllocSetContextCreate(t->cxt, "vecx tuning by a row", ALLOCSET_DEFAULT_SIZES);
	t->type = rel->rd_opcintype[0];
	op = get_opfamily_member(rel->rd_opfamily[0], t->type, t->type, VECX_DISTANCE_STRATEGY);
	if (!OidIsValid(op))
		elog(ERROR, "index \"%s\" has no distance operator", RelationGetRelationName(rel));
	fmgr_info_cxt(get_opcode(op), &t->distance, t->cxt);
}

static Datum
make_result(FunctionCallInfo fcinfo, const Tune *t, uint32 version, const Outcome *before,
			const Outcome *after, uint32 lists, double target)
{
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8] = {false};
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	nulls[n] = version == 0;
	values[n++] = Int32GetDatum((int32) version);
	values[n++] = Int32GetDatum(t->nqueries);
	values[n++] = Int32GetDatum(before->queries);
	values[n++] = Int32GetDatum((int32) lists);
	values[n++] = Float8GetDatum(rint(recall_at(before, lists) * 1e4) / 1e4);
	values[n++] = Float8GetDatum(rint(recall_at(after, lists) * 1e4) / 1e4);
	values[n++] = Int32GetDatum((int32) lists_for(t, after, target));
	values[n++] = Int32GetDatum((int32) t->nlists);
	Assert(n == lengthof(values) && n == desc->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Stores the adapter and the curve that goes with it; returns its version. */
static uint32
keep_adapter(Tune *t, const uint8 *bytes, const VecxAdapter *adapter)
{
	VecxProbeSums *sums = VecxProbeSumsMake(t->index, t->nlists);
	Outcome		outcome;
	uint32		version = VecxTuneStore(t->index, bytes, vecx_adapter_bytes(adapter->dim, adapter->rank));

	judge(t, adapter, &outcome, sums);
	(void) VecxProbeSumsStore(sums, VECX_CURVE_GIVEN);
	return version;
}

/* vecx_tune(index regclass, queries regclass, query_column name, relevant name, key name,
 * samples integer, rank integer) */
PG_FUNCTION_INFO_V1(vecx_tune);
Datum
vecx_tune(PG_FUNCTION_ARGS)
{
	const char *column = PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2));
	const char *relevant = PG_ARGISNULL(3) ? NULL : NameStr(*PG_GETARG_NAME(3));
	const char *key = PG_ARGISNULL(4) ? NULL : NameStr(*PG_GETARG_NAME(4));
	int			samples;
	int			rank;
	Tune		t;
	MemoryContext old;
	VecxTuneHeadData head;
	VecxAdapter current;
	VecxAdapter adapter;
	bool		has_current;
	uint8	   *bytes;
	Outcome		before;
	Outcome		after;
	double		target;
	uint32		lists;
	uint32		version = 0;
	Datum		result;

	for (int i = 0; i < 2; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	samples = PG_ARGISNULL(5) ? 500 : PG_GETARG_INT32(5);
	rank = PG_ARGISNULL(6) ? 16 : PG_GETARG_INT32(6);
	if ((relevant == NULL) != (key == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("relevant and key must be given together"),
				 errhint("relevant is a column of the queries' table, and key the column of the indexed table that it refers to.")));
	if (samples < HELD_OUT * VECX_LEAST_QUERIES || samples > 100000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("samples must be between %d and %d", HELD_OUT * VECX_LEAST_QUERIES, 100000)));
	if (rank < 0 || rank > VECX_TUNE_MAX_RANK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rank must be between %d and %d", 0, VECX_TUNE_MAX_RANK)));
	open_target(&t, PG_GETARG_OID(0), "vecx_tune()");
	old = MemoryContextSwitchTo(t.cxt);
	load_queries(&t, PG_GETARG_OID(1), column, relevant, key, samples);
	check_memory(&t, 1);
	if (relevant)
		hash_relevant(&t);
	t.snapshot = RegisterSnapshot(GetTransactionSnapshot());
	find_rows(&t);
	UnregisterSnapshot(t.snapshot);
	find_lists(&t);
	if (t.nlists == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" has no lists yet", RelationGetRelationName(t.target.rel))));

	target = VecxTargetRecall(t.target.rel);
	has_current = VecxTuneRead(t.index, &head, &current) != NULL;
	judge(&t, has_current ? &current : NULL, &before, NULL);
	lists = lists_for(&t, &before, target);
	bytes = learn(&t, rank);
	if (vecx_adapter_bind(&adapter, bytes, vecx_adapter_bytes(t.index->meta.dim, (uint32) rank)))
		elog(ERROR, "a new adapter of index \"%s\" cannot be used", RelationGetRelationName(t.target.rel));
	judge(&t, &adapter, &after, NULL);
	if (recall_at(&after, lists) > recall_at(&before, lists))
		version = keep_adapter(&t, bytes, &adapter);
	MemoryContextSwitchTo(old);
	result = make_result(fcinfo, &t, version, &before, &after, lists, target);
	MemoryContextDelete(t.cxt);
	VecxTargetClose(&t.target);
	PG_RETURN_DATUM(result);
}

/* vecx_tune_undo(index regclass) */
PG_FUNCTION_INFO_V1(vecx_tune_undo);
Datum
vecx_tune_undo(PG_FUNCTION_ARGS)
{
	Tune		t;
	uint32		version;

	open_target(&t, PG_GETARG_OID(0), "vecx_tune_undo()");
	if (t.index->meta.tune == InvalidBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not tuned", RelationGetRelationName(t.target.rel))));
	version = VecxTuneUndo(t.index);
	MemoryContextDelete(t.cxt);
	VecxTargetClose(&t.target);
	if (version == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32((int32) version);
}

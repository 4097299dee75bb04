/*
 * tune.c
 *    vecx_tune and vecx_tune_undo: moves queries before centroids are searched, and scores
 *    rows, as queries of the user's have shown to be of use.
 *
 * For some of the queries an adapter is learned (code_tune.c) by which the lists of
 * their rows come earlier: those of the true nearest rows, or of rows that the user says
 * are relevant.  The others decide whether it is kept, and give the curve that goes with
 * it.  Where codes have books, others are learned that they are scored by (tune_codes.c), and
 * judged likewise.  Codes, the operator's order and what is inserted stay as they are.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "verify/tune.h"

/* ---- lists ---- */

/* Raises where what is kept of the lists and queries would outgrow maintenance_work_mem. */
void
VecxTuneCheckMemory(const VecxTune *t, double nlists)
{
	double		bytes = nlists * (sizeof(float) * t->index->meta.dim + 64) +
		(double) t->nqueries * (VECX_TUNE_NEAREST * (sizeof(VecxTuneNeighbour) + sizeof(VecxTuneRow)) +
								vecx_tune_query_bytes((uint32) nlists, VECX_TUNE_GOALS) + 3 * sizeof(float) * t->index->meta.dim);

	if (t->index->lists->code.quantizer == VECX_LIST_PQ)
		bytes += (double) VecxTuneBooksMemory(t);
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
note_centroids(VecxTune *t, BlockNumber blkno, Page page)
{
	VecxIndex  *index = t->index;
	uint32		dim = index->meta.dim;

	for (OffsetNumber off = FirstOffsetNumber; off <= VecxLastItem(page); off++)
	{
		Size		size;
		VecxRecord	rec = VecxGetRecord(index, page, VecxIdMake(blkno, off), &size);

		if (!rec || VecxListOfRecord(index, rec) == InvalidBlockNumber)
			continue;
		if (t->nlists == t->lists_cap)
		{
			t->lists_cap = Max(t->lists_cap * 2, 256);
			VecxTuneCheckMemory(t, t->lists_cap);
			t->heads = repalloc_huge(t->heads, sizeof(BlockNumber) * t->lists_cap);
			t->centres = repalloc_huge(t->centres, sizeof(float) * dim * t->lists_cap);
		}
		t->heads[t->nlists] = VecxListOfRecord(index, rec);
		vecx_code_decode(&index->coder, VecxRecordCode(&index->layout, rec),
						 t->centres + (Size) t->nlists++ * dim);
	}
}

static void
note_rows(VecxTune *t, BlockNumber blkno, Page page)
{
	VecxListPage header = VecxListGetPage(t->index, page, blkno);

	if (VecxListIsRetired(header))
		return;
	for (int i = 0; i < header->nrows; i++)
	{
		ItemPointerData tid = VecxListRow(t->index->lists, page, i)->tid;
		VecxTuneRow   *row = hash_search(t->rows, &tid, HASH_FIND, NULL);

		if (row && row->n < VECX_TUNE_MOST_LISTS)
			row->lists[row->n++] = header->head;
	}
}

static int
compare_heads(const void *a, const void *b)
{
	BlockNumber x = ((const VecxTuneHead *) a)->head;
	BlockNumber y = ((const VecxTuneHead *) b)->head;

	return (x > y) - (x < y);
}

/* The number of the list that begins at a page; -1 if no centroid leads to it. */
int64
VecxTuneNumber(const VecxTune *t, BlockNumber head)
{
	VecxTuneHead key = {head, 0};
	VecxTuneHead *found = bsearch(&key, t->by_head, t->nlists, sizeof(VecxTuneHead), compare_heads);

	return found ? (int64) found->number : -1;
}

/* Makes numbers of lists of the first pages; those that no centroid leads to go. */
static void
number_lists(VecxTune *t)
{
	HASH_SEQ_STATUS seq;
	VecxTuneRow   *row;

	t->by_head = MemoryContextAllocHuge(t->cxt, sizeof(VecxTuneHead) * Max(t->nlists, 1));
	for (uint32 i = 0; i < t->nlists; i++)
	{
		t->by_head[i].head = t->heads[i];
		t->by_head[i].number = i;
	}
	qsort(t->by_head, t->nlists, sizeof(VecxTuneHead), compare_heads);
	hash_seq_init(&seq, t->rows);
	while ((row = hash_seq_search(&seq)) != NULL)
	{
		int			kept = 0;

		for (int i = 0; i < row->n; i++)
		{
			int64		number = VecxTuneNumber(t, row->lists[i]);

			if (number >= 0)
				row->lists[kept++] = (uint32) number;
		}
		row->n = (uint16) kept;
	}
}

/* Reads the index once: all centroids, and where the rows that matter are. */
static void
find_lists(VecxTune *t)
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

/* Of the lists that have a row the one that comes first; -1 if none has. */
static int
list_of_row(const VecxTune *t, ItemPointer tid, const float *nav)
{
	VecxTuneRow   *row = hash_search(t->rows, tid, HASH_FIND, NULL);
	int			best = -1;

	for (int i = 0; row && i < row->n; i++)
		if (best < 0 || nav[row->lists[i]] < nav[best])
			best = (int) row->lists[i];
	return best;
}

/* The rows that a query should find: relevant ones, or the nearest, so many at most. */
int
VecxTuneWanted(const VecxTuneQuery *query, int most, ItemPointerData *tids)
{
	int			n = query->relevant ? query->nequal : Min(query->n, most);

	for (int i = 0; i < n; i++)
		tids[i] = query->relevant ? query->equal[i] : query->nearest[i].tid;
	return n;
}

/* Adds a query's goals, whose weights add up to 1; returns how many. */
static uint32
add_goals(const VecxTune *t, const VecxTuneQuery *query, const float *nav, VecxTuneGoal *goals)
{
	ItemPointerData tids[Max(VECX_TUNE_GOALS, VECX_TUNE_MOST_EQUAL)];
	int			nrows = VecxTuneWanted(query, VECX_TUNE_GOALS, tids);
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
begin_sample(const VecxTune *t, VecxTuneSample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->metric = (VecxMetric) t->index->meta.metric;
	sample->dim = t->index->meta.dim;
	sample->centres = t->centres;
	sample->nlists = t->nlists;
}

/* Learns from the queries that are not held out. */
static uint8 *
learn(VecxTune *t, int rank)
{
	uint32		dim = t->index->meta.dim;
	VecxTuneSample sample;
	VecxTrainEnv env;
	float	   *queries = MemoryContextAllocHuge(t->cxt, sizeof(float) * dim * t->nqueries);
	uint32	   *first = palloc0(sizeof(uint32) * (t->nqueries + 1));
	VecxTuneGoal *goals = MemoryContextAllocHuge(t->cxt, sizeof(VecxTuneGoal) * VECX_TUNE_GOALS * t->nqueries);
	float	   *nav = MemoryContextAllocHuge(t->cxt, sizeof(float) * t->nlists);
	float	   *room = palloc(sizeof(float) * dim);

	begin_sample(t, &sample);
	for (int i = 0; i < t->nqueries; i++)
	{
		uint32		n;

		CHECK_FOR_INTERRUPTS();
		if (VecxTuneHeldOut(i))
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

/*
 * A share as it is told, and compared: sums of the same terms in another order,
 * which differ in their last bits, are no better.
 */
static double
share_of(double sum, int queries)
{
	return rint(sum / Max(queries, 1) * 1e4) / 1e4;
}

static double
recall_at(const Outcome *outcome, uint32 lists)
{
	return share_of(outcome->found[lists - 1], outcome->queries);
}

/* The fewest lists by which a recall is reached, or all. */
static uint32
lists_for(const VecxTune *t, const Outcome *outcome, double recall)
{
	uint32		n = 1;

	while (n < t->nlists && recall_at(outcome, n) < recall)
		n++;
	return n;
}

/* Adds a query held out to the outcome, and to the sums of a curve if there are any. */
static void
judge_query(const VecxTune *t, const VecxTuneQuery *query, const float *nav, VecxCandidate *order, uint32 *place,
			float *sorted, Outcome *outcome, VecxProbeSums *sums)
{
	ItemPointerData tids[VECX_TUNE_NEAREST];
	uint32		places[VECX_TUNE_NEAREST];
	int			nrows = VecxTuneWanted(query, VecxCurveRows[1], tids);
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
judge(const VecxTune *t, const VecxAdapter *adapter, Outcome *outcome, VecxProbeSums *sums)
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
		if (!VecxTuneHeldOut(i))
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
open_target(VecxTune *t, Oid index, const char *function)
{
	Oid			op;
	Relation	rel;

	VecxRefuseRecovery(function, "A standby gets what its primary has tuned.");
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

/* Learns an adapter, which becomes that of *next if the queries held out find more by it. */
static void
tune_adapter(VecxTune *t, int rank, VecxTuning *next, Outcome *before, Outcome *after, double target)
{
	const VecxAdapter *current = next->nbytes[VECX_TUNE_ADAPTER] > 0 ? &next->adapter : NULL;
	uint8	   *bytes = learn(t, rank);
	Size		nbytes = vecx_adapter_bytes(t->index->meta.dim, (uint32) rank);
	VecxAdapter adapter;
	uint32		lists;

	judge(t, current, before, NULL);
	lists = lists_for(t, before, target);
	if (vecx_adapter_bind(&adapter, bytes, nbytes))
		elog(ERROR, "a new adapter of index \"%s\" cannot be used", RelationGetRelationName(t->target.rel));
	judge(t, &adapter, after, NULL);
	if (recall_at(after, lists) <= recall_at(before, lists))
		return;
	next->bytes[VECX_TUNE_ADAPTER] = bytes;
	next->nbytes[VECX_TUNE_ADAPTER] = nbytes;
	next->adapter = adapter;
}

/* The same for the books that rows are scored by. */
static void
tune_books(VecxTune *t, VecxTuning *next, VecxTuneCodes *before, VecxTuneCodes *after)
{
	const VecxListCode *code = &t->index->lists->code;
	VecxListCode scoring = *code;
	VecxScoreBooks books;
	uint8	   *bytes;

	if (next->nbytes[VECX_TUNE_BOOKS] > 0)
		vecx_score_use(code, &next->books, &scoring);
	VecxTuneJudgeBooks(t, &scoring, before);
	bytes = VecxTuneLearnBooks(t);
	if (vecx_score_bind(&books, code, bytes, vecx_score_bytes(code)))
		elog(ERROR, "new books of index \"%s\" cannot be used", RelationGetRelationName(t->target.rel));
	vecx_score_use(code, &books, &scoring);
	VecxTuneJudgeBooks(t, &scoring, after);
	if (share_of(after->wanted, after->queries) <= share_of(before->wanted, before->queries) ||
		share_of(after->nearest, after->queries) < share_of(before->nearest, before->queries))
		return;
	next->bytes[VECX_TUNE_BOOKS] = bytes;
	next->nbytes[VECX_TUNE_BOOKS] = vecx_score_bytes(code);
	next->books = books;
}

/* Whether an index's codes have books, and there is room for others; if not, says so. */
static bool
can_tune_books(const VecxTune *t, const VecxTuning *next)
{
	const VecxListCode *code = &t->index->lists->code;
	VecxTuning	larger = *next;

	if (code->quantizer != VECX_LIST_PQ)
		return false;
	if (!VecxTuneBooksFit(t))
	{
		ereport(NOTICE,
				(errmsg("what codes of index \"%s\" are scored by is not tuned", RelationGetRelationName(t->target.rel)),
				 errdetail("A quarter of maintenance_work_mem is too little to compare codes with %d queries.",
						   VECX_LEAST_QUERIES),
				 errhint("Raise maintenance_work_mem.")));
		return false;
	}
	larger.nbytes[VECX_TUNE_BOOKS] = vecx_score_bytes(code);
	if (VecxTuneBytes(&larger) <= VECX_TUNE_MAX_BYTES)
		return true;
	ereport(NOTICE,
			(errmsg("what codes of index \"%s\" are scored by is not tuned", RelationGetRelationName(t->target.rel)),
			 errdetail("With what moves queries it would take %zu bytes, and may take %d.",
					   VecxTuneBytes(&larger), VECX_TUNE_MAX_BYTES),
			 errhint("Use a lower rank, after vecx_tune_undo() if a higher one is stored.")));
	return false;
}

/* Raises where an adapter has no room beside the books there are. */
static void
check_rank(const VecxTune *t, int rank, const VecxTuning *current)
{
	VecxTuning	larger = *current;

	larger.nbytes[VECX_TUNE_ADAPTER] = vecx_adapter_bytes(t->index->meta.dim, (uint32) rank);
	if (VecxTuneBytes(&larger) > VECX_TUNE_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rank %d is too high for the %u dimensions of index \"%s\"", rank, t->index->meta.dim,
						RelationGetRelationName(t->target.rel)),
				 errdetail("What is learned takes at most %d MB, of which %zu bytes are taken by what codes are scored by.",
						   VECX_TUNE_MAX_BYTES / 1048576, current->nbytes[VECX_TUNE_BOOKS]),
				 errhint("Use a lower rank.")));
}

/* Stores what was learned and the curve that goes with it; returns its version. */
static uint32
keep_tuning(VecxTune *t, const VecxTuning *next)
{
	VecxProbeSums *sums = VecxProbeSumsMake(t->index, t->nlists);
	Outcome		outcome;
	uint32		version = VecxTuneStore(t->index, next);

	judge(t, next->nbytes[VECX_TUNE_ADAPTER] > 0 ? &next->adapter : NULL, &outcome, sums);
	(void) VecxProbeSumsStore(sums, VECX_CURVE_GIVEN);
	return version;
}

static Datum
make_result(FunctionCallInfo fcinfo, const VecxTune *t, uint32 version, const Outcome *before,
			const Outcome *after, double target, const VecxTuneCodes *codes, const bool *kept)
{
	uint32		lists = lists_for(t, before, target);
	TupleDesc	desc;
	Datum		values[12];
	bool		nulls[12] = {false};
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	nulls[n] = version == 0;
	values[n++] = Int32GetDatum((int32) version);
	values[n++] = Int32GetDatum(t->nqueries);
	values[n++] = Int32GetDatum(before->queries);
	values[n++] = Int32GetDatum((int32) lists);
	values[n++] = Float8GetDatum(recall_at(before, lists));
	values[n++] = Float8GetDatum(recall_at(after, lists));
	values[n++] = Int32GetDatum((int32) lists_for(t, after, target));
	values[n++] = Int32GetDatum((int32) t->nlists);
	for (int i = 0; i < 2; i++)
	{
		nulls[n] = codes[i].queries == 0;
		values[n++] = Float8GetDatum(share_of(codes[i].wanted, codes[i].queries));
	}
	values[n++] = BoolGetDatum(kept[VECX_TUNE_ADAPTER]);
	values[n++] = BoolGetDatum(kept[VECX_TUNE_BOOKS]);
	Assert(n == lengthof(values) && n == desc->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
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
	VecxTune		t;
	MemoryContext old;
	VecxTuning	current;
	VecxTuning	next;
	Outcome		before;
	Outcome		after;
	VecxTuneCodes codes[2];		/* before and after */
	bool		kept[lengthof(next.bytes)];	/* of what was learned */
	double		target;
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
				 errhint(VECX_TUNE_PAIR_HINT)));
	(void) VecxCheckCount(samples, "samples", VECX_TUNE_HELD_OUT * VECX_LEAST_QUERIES, 100000);
	(void) VecxCheckCount(rank, "rank", 0, VECX_TUNE_MAX_RANK);
	open_target(&t, PG_GETARG_OID(0), "vecx_tune()");
	old = MemoryContextSwitchTo(t.cxt);
	/* the lock keeps others from storing, so that this is what there is in the end */
	(void) VecxTuneRead(t.index, &current);
	check_rank(&t, rank, &current);
	VecxTuneLoadQueries(&t, PG_GETARG_OID(1), column, relevant, key, samples);
	if (relevant)
		VecxTuneHashRelevant(&t);
	t.snapshot = RegisterSnapshot(GetTransactionSnapshot());
	VecxTuneFindRows(&t);
	UnregisterSnapshot(t.snapshot);
	find_lists(&t);
	if (t.nlists == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" has no lists yet", RelationGetRelationName(t.target.rel))));

	target = VecxTargetRecall(t.target.rel);
	next = current;
	tune_adapter(&t, rank, &next, &before, &after, target);
	memset(codes, 0, sizeof(codes));
	if (can_tune_books(&t, &next))
		tune_books(&t, &next, &codes[0], &codes[1]);
	for (Size i = 0; i < lengthof(kept); i++)
		kept[i] = next.bytes[i] != current.bytes[i];
	if (kept[VECX_TUNE_ADAPTER] || kept[VECX_TUNE_BOOKS])
		version = keep_tuning(&t, &next);
	MemoryContextSwitchTo(old);
	result = make_result(fcinfo, &t, version, &before, &after, target, codes, kept);
	MemoryContextDelete(t.cxt);
	VecxTargetClose(&t.target);
	PG_RETURN_DATUM(result);
}

/* vecx_tune_undo(index regclass) */
PG_FUNCTION_INFO_V1(vecx_tune_undo);
Datum
vecx_tune_undo(PG_FUNCTION_ARGS)
{
	VecxTune		t;
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

/*
 * scan.c
 *    Index scans in order of distance.
 *
 * Rows leave in batches.  A batch is what a search of some width opened, put in
 * the exact order of the operator: codes say in which order to look at the heap,
 * the heap's values give the distances, and a row leaves as soon as no other
 * of the batch is likely to be nearer.  A consumer that goes on beyond a batch
 * gets another, twice as wide; when no more of the graph can be reached, the
 * rest is read in page order; rows that have no distance come last.  So the
 * scan returns every row in the end.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/heaptoast.h"
#include "access/relscan.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/heap.h"
#include "am/list.h"
#include "am/ready.h"
#include "am/tidset.h"
#include "am/vtree.h"

/* Hops after which a filter's share is known well enough to choose an effort. */
#define PROBE_HOPS	32
/* Growth of the share after which it is chosen anew. */
#define SHARE_GROWTH	1.2

typedef enum ScanPhase
{
	SCAN_START,
	SCAN_NAN,					/* when NaN comes first */
	SCAN_GRAPH,
	SCAN_TREE,					/* what the value tree says may match */
	SCAN_SWEEP,
	SCAN_SIDE,
	SCAN_SET,					/* instead of the others: few rows, looked up */
	SCAN_DONE
} ScanPhase;

typedef struct VecxScan
{
	MemoryContext cxt;			/* of one rescan */
	MemoryContext fetch_cxt;	/* of one heap fetch */
	VecxIndex  *index;
	VecxSearch *search;
	VecxProbe  *probe;			/* NULL: the query has no distance to anything */
	Datum		query;
	bool		strict;			/* vecx.scan_order when the plan was started */
	VecxRange	range;
	VecxFilterQuery *filter;	/* conditions on filter columns, or NULL */
	VecxTreeScan *tree;			/* who may meet them; NULL: the value tree does not tell */
	bool		recheck;		/* all rows, because of conditions on the vector */
	bool		only_null;		/* rows without a vector are wanted, or */
	bool		not_null;		/* are not */
	bool		nan_first;		/* the operator says that NaN is the least */
	VecxExact  *exact;
	ScanPhase	phase;
	ScanPhase	after_nan;
	const LimitState *limit;	/* above the scan, or NULL */
	double		passing;		/* share of the rows that gets there */
	int64		rows_wanted;	/* without a limit; 0: unknown */
	int64		most_tuples;	/* vecx.max_scan_tuples when the plan was started */
	int64		given;			/* rows given to the executor */
	bool		told;			/* that the scan gave up */
	const VecxTidSet *tids;		/* the only rows to return; NULL: all */
	bool		may_look_up;	/* instead of searching on */
	VecxSetRows *set_rows;
	int64		begun;			/* records read when the base level was begun */
	VecxEffort	effort;
	int			width;			/* of the first batch */
	VecxScanCounts counts;
	int64		returned;		/* vertices given out by the graph so far */
	bool		restarted;		/* the search found nothing and started again */
	BlockNumber sweep_next;
	BlockNumber sweep_end;
	VecxSideScan side;

	VecxOpened *batch;
	int			batch_cap;
	VecxCandidate *pending;		/* of the batch: min-heap on the lower bound of the
								 * distance; id is the place in the batch */
	int			npending;
	VecxListScan *lists;		/* of posting lists: what takes the place of those */
	VecxOpened	row;			/* the row of a list that is being looked at */
	VecxReadyHeap ready;
	VecxRowCursor current;		/* whose rows are being returned */
	bool		has_current;
	ItemPointerData last_tid;	/* of the row returned last, if it is one of current */
	VecxKills  *kills;			/* rows found dead; NULL: none yet */
	double		last_distance;	/* of the row returned last */
} VecxScan;

/* Of the scan that ended last in this session. */
static VecxScanCounts last_scan;

IndexScanDesc
vecxbeginscan(Relation rel, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(rel, nkeys, norderbys);
	VecxScan   *so = palloc0(sizeof(VecxScan));

	so->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx scan", ALLOCSET_DEFAULT_SIZES);
	so->fetch_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx scan fetch",
										  ALLOCSET_DEFAULT_SIZES);
	so->strict = vecx_scan_order == VECX_SCAN_STRICT;
	so->most_tuples = vecx_max_scan_tuples > 0 ? vecx_max_scan_tuples : PG_INT64_MAX;
	so->phase = SCAN_START;
	scan->opaque = so;
	return scan;
}

/* Notes a row that the cursor has just given and that is dead to everybody. */
static void
note_dead(VecxScan *so, const VecxRowCursor *cursor, ItemPointer tid)
{
	if (so->lists)
		return;
	if (!so->kills)
		so->kills = VecxKillsMake(so->cxt);
	VecxKillsAdd(so->index, so->kills, cursor->item, cursor->lsn, tid);
}

/* Marks the rows found dead, before what the scan knows is forgotten. */
static void
mark_dead(VecxScan *so)
{
	if (so->kills)
		VecxKillsFlush(so->index, so->kills);
	so->kills = NULL;
}

/*
 * Tells the scan which limit is above it, and which share of its rows is
 * expected to get there.
 */
void
VecxScanSetLimit(IndexScanDesc scan, const LimitState *limit, double passing)
{
	VecxScan   *so = scan->opaque;

	so->limit = limit;
	so->passing = passing;
}

/* The same when the number is known; 0 if it is not. */
void
VecxScanSetRows(IndexScanDesc scan, int64 rows)
{
	((VecxScan *) scan->opaque)->rows_wanted = rows;
}

/* Restricts the scan to a set of rows, from its next start on; NULL lifts that.  The
 * set must outlive the scan. */
void
VecxScanSetTids(IndexScanDesc scan, const VecxTidSet *tids)
{
	((VecxScan *) scan->opaque)->tids = tids;
}

/* Rows to return if a share of them gets to the limit; 0: unknown. */
static int64
rows_wanted(const VecxScan *so, double passing)
{
	if (!so->limit)
		return so->rows_wanted;
	passing = Min(Max(passing, VECX_LEAST_PASSING), 1);
	return (int64) Min(ceil((double) VecxLimitRows(so->limit) / passing), 1e15);
}

const VecxScanCounts *
VecxLastScan(void)
{
	return &last_scan;
}

/* Ends what depends on the query. */
static void
end_query(VecxScan *so)
{
	if (so->search)
	{
		int64		records = so->counts.records;

		VecxSearchCount(so->search, &so->counts);
		if (so->lists)
			so->counts.records = records;	/* rows, not centroids */
		last_scan = so->counts;
		VecxSearchRelease(so->search);
	}
	mark_dead(so);
	if (so->exact)
		VecxExactEnd(so->exact);
	so->search = NULL;
	so->exact = NULL;
}

void
vecxrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	VecxScan   *so = scan->opaque;

	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));
	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	end_query(so);
	MemoryContextReset(so->cxt);
	so->index = NULL;
	so->probe = NULL;
	so->batch = NULL;
	so->pending = NULL;
	so->set_rows = NULL;
	so->npending = so->batch_cap = 0;
	so->lists = NULL;
	so->has_current = false;
	so->returned = so->given = 0;
	so->restarted = false;
	so->nan_first = false;
	so->range.active = false;
	so->filter = NULL;
	so->tree = NULL;
	so->recheck = so->only_null = so->not_null = so->may_look_up = false;
	so->phase = SCAN_START;
}

void
vecxendscan(IndexScanDesc scan)
{
	VecxScan   *so = scan->opaque;

	end_query(so);
	MemoryContextDelete(so->cxt);
	MemoryContextDelete(so->fetch_cxt);
	pfree(so);
}

/*
 * Ends the scan at vecx.max_scan_tuples.  A scan that is started over and over, the
 * inner side of a join, says so once.
 */
static void
give_up(VecxScan *so)
{
	so->counts.stopped = true;
	if (so->told)
		return;
	so->told = true;
	ereport(NOTICE,
			(errmsg("scan of index \"%s\" stopped after %lld rows",
					RelationGetRelationName(so->index->rel), (long long) so->most_tuples),
			 errdetail("The result may lack rows."),
			 errhint("Raise vecx.max_scan_tuples, or set it to 0 for no limit.")));
}

/*
 * Takes a condition on the vector.  A ball around the query bounds the scan; others,
 * and all balls of an array, are left to the executor.  Without another query the
 * first ball's center is it.  False if no row meets the condition.
 */
static bool
take_vector_key(VecxScan *so, ScanKey key, Datum *query)
{
	Datum		center;
	double		radius;

	if (key->sk_flags & SK_SEARCHNULL)
	{
		so->only_null = true;
		return true;
	}
	so->not_null = true;
	if (key->sk_flags & SK_SEARCHNOTNULL)
		return true;
	so->recheck = true;
	if (key->sk_flags & SK_ISNULL)
		return false;
	if (key->sk_flags & SK_SEARCHARRAY)
		return true;
	if (!VecxBallOpen(key, &center, &radius))
		return false;
	if (*query == (Datum) 0)
		*query = center;
	if (!so->range.active &&
		VecxSameValue(PG_DETOAST_DATUM(center), PG_DETOAST_DATUM(*query)))
		VecxRangeInit(&so->range, so->index->meta.metric, so->index->meta.dim, radius);
	return true;
}

/*
 * Takes the query from the keys: the vector that orders the scan, else the center
 * of the first ball.  False if nothing is at a distance of the query, or there is
 * none, or no row is wanted that has one.
 */
static bool
prepare_query(IndexScanDesc scan, VecxScan *so)
{
	bool		ordered = scan->numberOfOrderBys > 0;
	bool		no_query = ordered && (scan->orderByData[0].sk_flags & SK_ISNULL);
	Datum		query = ordered && !no_query ? scan->orderByData[0].sk_argument : (Datum) 0;
	VecxInput	input;

	for (int i = 0; i < scan->numberOfKeys; i++)
		if (scan->keyData[i].sk_attno == 1 && !take_vector_key(so, &scan->keyData[i], &query))
			so->phase = SCAN_DONE;
	if ((so->only_null && so->not_null) || (so->filter && so->filter->never))
		so->phase = SCAN_DONE;
	if (so->phase == SCAN_DONE)
		return false;
	if (so->only_null || no_query || query == (Datum) 0)
	{
		so->range.active = false;
		return false;
	}
	VecxPrepareInput(so->index, query, &input);
	so->query = PointerGetDatum(input.value);
	if (input.kind != VECX_INPUT_OK)
	{
		so->range.active = false;
		return false;
	}
	so->probe = VecxProbeMake(so->index, input.vec);
	return true;
}

/*
 * Looking up a row of a set in the table, its value in line or in TOAST, takes about
 * as long as reading so many records, and finds each of its rows.
 */
#define RECORDS_PER_LOOKUP	1.5
#define RECORDS_PER_DETOAST 6

static double
lookup_records(const VecxScan *so)
{
	bool		in_line = so->index->meta.value_dim * sizeof(float) < TOAST_TUPLE_TARGET;

	return (double) VecxTidSetCount(so->tids) *
		(in_line || so->index->spec->is_bits ? RECORDS_PER_LOOKUP : RECORDS_PER_DETOAST);
}

/* Bounds what the search reads. */
static void
limit_search(VecxScan *so)
{
	int64		most = so->most_tuples;

	if (so->may_look_up)
		most = Min(most, (int64) lookup_records(so));
	VecxSearchLimit(so->search, most < PG_INT64_MAX ? so->begun + most : most);
}

static void
begin_search(VecxScan *so, const VecxId *seeds, int nseeds)
{
	VecxSearchStart(so->search, so->probe, 0, seeds, nseeds);
	VecxSearchCount(so->search, &so->counts);
	so->begun = so->counts.records;
	limit_search(so);
}

/* Starts the search at the base level. */
static void
start_search(VecxScan *so)
{
	VecxId		seeds[VECX_MAX_SEEDS];
	int			nseeds = VecxSearchDescend(so->search, so->probe, 0, seeds);

	begin_search(so, seeds, nseeds);
}

/* Goes on with all that the value tree says may match, and with nothing else. */
static void
start_tree(VecxScan *so)
{
	VecxSearchClose(so->search);
	VecxTreeScanOffer(so->tree, so->search);
	so->phase = SCAN_TREE;
	so->counts.by_tree = true;
}

/*
 * The effort of a search with a filter that lets a share pass.  The planner's share
 * is that of all conditions: what the index tests is not to be counted twice.
 */
static void
choose_filtered_effort(VecxScan *so, double share)
{
	so->counts.rows_wanted = rows_wanted(so, so->passing / share);
	VecxEffortOfShare(so->index->rel, &so->index->meta, so->counts.rows_wanted, share, &so->effort);
}

/*
 * Starts with what the value tree says may match, if that is likely to cost less
 * than to search the graph for it; else with the graph, for as long as that goes
 * well.
 */
static void
start_filtered(VecxScan *so)
{
	so->tree = VecxTreeScanMake(so->index, so->filter, so->probe);
	if (so->tree)
	{
		choose_filtered_effort(so, VecxTreeScanShare(so->tree));
		if (VecxTreeScanCost(so->tree) < so->effort.records)
		{
			begin_search(so, NULL, 0);
			start_tree(so);
			return;
		}
		VecxSearchFilter(so->search, so->filter, VecxTreeScanCost(so->tree));
	}
	so->phase = SCAN_GRAPH;
	start_search(so);
}

static void
start_sweep(VecxScan *so)
{
	so->phase = SCAN_SWEEP;
	so->sweep_next = VECX_META_BLKNO + 1;
	so->sweep_end = RelationGetNumberOfBlocks(so->index->rel);
}

/* What passes may be a row of a lossy page: the node above tests all conditions. */
static VecxPass
test_tid(ItemPointer tid, void *arg)
{
	return VecxTidSetMayHave(arg, tid) ? VECX_PASS_YES : VECX_PASS_NO;
}

/*
 * Whether a set is so small that looking up all its rows costs less than searching for
 * some of them.  If it is not known to be, but might be, the search is tried first.
 */
static bool
is_small_set(VecxScan *so)
{
	double		tuples = so->index->rel->rd_rel->reltuples;
	int64		count = VecxTidSetCount(so->tids);
	double		share = tuples > 0 ? Min((Max(count, 1)) / tuples, 1) : 1;

	so->may_look_up = VecxTidSetLossyPages(so->tids) == 0 &&
		count <= Min(VecxSetRowsMost(), so->most_tuples);
	if (!so->may_look_up)
		return false;
	so->counts.rows_wanted = rows_wanted(so, so->passing / share);
	VecxEffortOfShare(so->index->rel, &so->index->meta, so->counts.rows_wanted, share, &so->effort);
	/* a search that has returned rows cannot be given up */
	so->may_look_up = !so->nan_first;
	return so->effort.records >= lookup_records(so);
}

static void
start_scan(IndexScanDesc scan, VecxScan *so)
{
	if (scan->numberOfOrderBys + scan->numberOfKeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can only be scanned by distance or with a condition",
						RelationGetRelationName(scan->indexRelation))));

	/*
	 * TIDs are returned after their page is released.  A snapshot that could
	 * see a row that reuses a TID meanwhile would get a wrong one.
	 */
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can only be scanned with an MVCC snapshot",
						RelationGetRelationName(scan->indexRelation))));
	pgstat_count_index_scan(scan->indexRelation);

	so->index = VecxIndexOpen(scan->indexRelation, so->cxt);
	memset(&so->counts, 0, sizeof(so->counts));
	so->counts.index = RelationGetRelid(scan->indexRelation);
	so->counts.rows_wanted = rows_wanted(so, so->passing);
	if (so->index->lists)
		VecxProbesChoose(scan->indexRelation, &so->index->meta, so->counts.rows_wanted, &so->effort);
	else
		VecxEffortChoose(scan->indexRelation, &so->index->meta, so->counts.rows_wanted, &so->effort);
	so->width = so->effort.width;
	so->filter = VecxFilterQueryMake(so->index->filters, so->cxt, scan->keyData,
									 scan->numberOfKeys, so->tids ? test_tid : NULL,
									 unconstify(VecxTidSet *, so->tids));
	so->search = VecxSearchMake(so->index, so->cxt, false);
	if (!so->index->lists)
		VecxSearchFilter(so->search, so->filter, get_float8_infinity());
	VecxReadyInit(&so->ready, so->cxt);
	VecxSideScanStart(&so->side, so->index, so->filter, so->cxt);
	so->last_distance = -get_float8_infinity();
	if (prepare_query(scan, so))
	{
		so->nan_first = scan->numberOfOrderBys > 0 &&
			scan->orderByData[0].sk_strategy == VECX_NAN_FIRST_STRATEGY;
		if (so->tids && is_small_set(so))
			so->phase = SCAN_SET;
		else
		{
			so->phase = SCAN_GRAPH;
			if (so->filter && !so->may_look_up)
				start_filtered(so);
			else
				start_search(so);
			so->after_nan = so->phase;
			if (so->nan_first)
				so->phase = SCAN_NAN;
		}
	}
	else if (so->only_null && so->phase != SCAN_DONE)
	{
		begin_search(so, NULL, 0);
		so->side.pass = VECX_ROW_NULL;
		so->phase = SCAN_SIDE;
	}
	else if (so->phase != SCAN_DONE)
	{
		begin_search(so, NULL, 0);
		start_sweep(so);
	}
	if (so->index->lists && so->phase != SCAN_DONE)
	{
		so->lists = VecxListScanMake(so->index, so->cxt, so->search, so->probe, &so->range,
									 so->filter, so->counts.rows_wanted, so->width);
		so->counts.width = so->width;
	}
}

static void
make_exact(IndexScanDesc scan, VecxScan *so)
{
	if (!so->exact)
		so->exact = VecxExactMake(scan->heapRelation, scan->indexRelation, scan->xs_snapshot);
}

/*
 * The operator's distance of a row; false if the snapshot does not see the row,
 * or it has none.
 */
static bool
exact_distance(IndexScanDesc scan, VecxScan *so, ItemPointer tid, double *distance)
{
	ScanKey		key = &scan->orderByData[0];
	MemoryContext old;
	Datum		value;
	bool		isnull;
	bool		found;

	make_exact(scan, so);
	so->counts.heap_fetches++;
	old = MemoryContextSwitchTo(so->fetch_cxt);
	found = VecxExactFetch(so->exact, tid, &value, &isnull) && !isnull;
	if (found)
		*distance = DatumGetFloat8(FunctionCall2Coll(&key->sk_func, key->sk_collation,
													 value, so->query));
	MemoryContextSwitchTo(old);
	MemoryContextReset(so->fetch_cxt);
	return found;
}

/*
 * Finds the exact distance of a vertex from the first of its rows that the
 * snapshot sees; without any the vertex is passed over.
 */
static void
find_distance(IndexScanDesc scan, VecxScan *so, const VecxOpened *vertex)
{
	VecxReady	item;
	ItemPointerData tid;
	bool		recheck;

	VecxCursorStart(&item.rows, so->index, so->filter, so->cxt, vertex);
	while (VecxCursorNext(&item.rows, &tid, &recheck))
	{
		if (!exact_distance(scan, so, &tid, &item.distance))
		{
			if (VecxExactAllDead(so->exact))
				note_dead(so, &item.rows, &tid);
			continue;
		}
		if (isnan(item.distance))
			item.distance = get_float8_infinity();
		/* this row is to be returned, too */
		item.rows.next--;
		VecxReadyPush(&so->ready, &item);
		return;
	}
}

/*
 * Where a vertex's distance lies, as its code tells.  code.h gives the error as
 * three standard deviations; with half as much again, two vertices whose
 * ranges do not meet change places once in some 10^9 pairs.
 */
#define ERROR_FACTOR	1.5f

static inline float
lower_bound(const VecxOpened *opened)
{
	return opened->rank - ERROR_FACTOR * opened->error;
}

static inline float
upper_bound(const VecxOpened *opened)
{
	return opened->rank + ERROR_FACTOR * opened->error;
}

/*
 * How far rounding alone takes the operator's cosine distance from the rank
 * of a vertex, which is that of unit vectors.  The other operators sum the same
 * terms as rank does.  kernel.h has the bound of each sum: the operator has
 * three of them, of up to 1 where the distance is doubled to make a rank.
 */
static float
rounding(const VecxScan *so, float rank)
{
	const VecxIndex *index = so->index;

	if (index->meta.metric != VECX_METRIC_COSINE)
		return 0;
	return (4 + index->meta.dim / 16) * FLT_EPSILON * (4 + 2 * rank);
}

/*
 * Whether a vertex that might be in the range counts as one.  Of hashed values
 * all might be; how far the search has come is told by their ranks less what
 * hashing often adds: two of the standard deviations that code.h has, for an
 * inner product, which L2 and cosine take twice.  L1 is not kept by hashing, and
 * a query without a distance to anything has no probe.
 */
static bool
seems_within(const VecxScan *so, const VecxOpened *vertex)
{
	double		error;

	if (!so->probe || !VecxIsHashed(so->index) || so->index->meta.metric == VECX_METRIC_L1)
		return true;
	error = 2 * sqrt((double) vertex->norm2 * (double) so->probe->code.norm2 / VECX_HASH_DIM);
	if (so->index->meta.metric != VECX_METRIC_IP)
		error *= 2;
	return vertex->rank - error <= so->range.max_rank;
}

/*
 * Makes the best of what the search opened the batch that rows are taken from.
 * What it opened on its way in and is farther than the width reaches stays for
 * a later batch.
 */
static void
take_batch(VecxScan *so)
{
	int			n;
	VecxOpened *opened = VecxSearchOpened(so->search, &n);
	float		threshold = so->phase != SCAN_SWEEP ? VecxSearchThreshold(so->search) :
		get_float4_infinity();
	int			left = 0;
	int			found = 0;

	if (n > so->batch_cap)
	{
		if (so->batch)
		{
			pfree(so->batch);
			pfree(so->pending);
		}
		so->batch_cap = n;
		so->batch = MemoryContextAllocHuge(so->cxt, sizeof(VecxOpened) * n);
		so->pending = MemoryContextAllocHuge(so->cxt, sizeof(VecxCandidate) * n);
	}
	so->npending = 0;
	for (int i = 0; i < n; i++)
		if (opened[i].nav <= threshold)
		{
			VecxOpened *vertex = &so->batch[so->npending];
			VecxCandidate item;

			*vertex = opened[i];
			vertex->error += rounding(so, vertex->rank);
			item.est = lower_bound(vertex);
			item.id = so->npending;
			found++;
			if (so->range.active && item.est > so->range.max_rank)
				continue;
			so->range.vertices += seems_within(so, vertex);
			VecxHeapPush(so->pending, &so->npending, item);
		}
		else
			opened[left++] = opened[i];
	VecxSearchKeepOpened(so->search, left);
	so->returned += found;
	VecxSearchRelease(so->search);
}

/*
 * The first batch of a search with a filter.  The share may be greater than it seemed
 * from the first few: then the effort was too small.
 */
static int
search_filtered(VecxScan *so)
{
	int			width = 0;
	double		share = 0;

	VecxSearchProbe(so->search, PROBE_HOPS);
	while (VecxSearchShare(so->search) > share * SHARE_GROWTH)
	{
		share = VecxSearchShare(so->search);
		choose_filtered_effort(so, share);
		width = VecxEffortSearch(so->search, &so->effort, width);
	}
	return width;
}

/* The first batch takes its effort; the next is as wide as all before together,
 * within work_mem. */
static void
search_batch(VecxScan *so)
{
	if (so->counts.batches++ == 0)
		so->width = so->counts.width = so->filter ? search_filtered(so) :
			VecxEffortSearch(so->search, &so->effort, 0);
	else
		VecxSearchRun(so->search, (int) Min(Max(so->returned, so->width),
											Max(VecxWidestBatch(), so->width)));
}

/*
 * Where next to nothing passes the filter: looks at all that the search has not, and
 * takes the nearest for the batch.  If there is more than a batch of it, the rest
 * follows in page order.
 */
static void
sweep_all(VecxScan *so)
{
	bool		more = VecxSearchSweepAll(so->search, Max(VecxWidestBatch() / 2, so->width));

	start_sweep(so);
	if (!more)
		so->sweep_next = so->sweep_end;
}

/* The first batch of what the value tree says is for the rows wanted, as many as
 * their codes may confuse with others; the next as those of the graph. */
static void
search_tree_batch(VecxScan *so)
{
	if (so->counts.batches++ == 0)
		so->width = so->counts.width = VecxTreeScanWidth(so->index, &so->effort);
	VecxSearchRun(so->search, (int) Min(Max(so->returned, so->width),
										Max(VecxWidestBatch(), so->width)));
}

/* Finds another batch of what the value tree says may match; false at the end. */
static bool
next_tree_batch(VecxScan *so)
{
	while (!so->counts.stopped && !VecxRangeIsDone(&so->range, so->returned))
	{
		if (VecxSearchExhausted(so->search) &&
			!(VecxSearchForgot(so->search) && VecxTreeScanOffer(so->tree, so->search)))
			return false;
		search_tree_batch(so);
		if (VecxSearchPastLimit(so->search))
			give_up(so);
		take_batch(so);
		if (so->npending > 0)
			return true;
	}
	return false;
}

/* Finds another batch; false if there is none. */
static bool
next_batch(VecxScan *so)
{
	while (so->phase == SCAN_GRAPH && !so->counts.stopped)
	{
		if (VecxRangeIsDone(&so->range, so->returned))
			return false;
		if (VecxSearchExhausted(so->search))
		{
			/* VACUUM may have moved the entry since the metapage was read */
			if (so->returned == 0 && !so->restarted)
			{
				so->restarted = true;
				VecxIndexRefresh(so->index);
				start_search(so);
				continue;
			}
			if (so->tree)
				start_tree(so);
			else
				start_sweep(so);
			break;
		}
		search_batch(so);
		if (so->may_look_up &&
			(VecxSearchPastLimit(so->search) || VecxSearchIsRare(so->search)))
		{
			VecxSearchRelease(so->search);
			so->phase = SCAN_SET;
			return false;
		}
		if (so->may_look_up)
		{
			so->may_look_up = false;
			limit_search(so);
		}
		if (VecxSearchIsRare(so->search) && so->tree)
		{
			start_tree(so);
			break;
		}
		if (VecxSearchIsRare(so->search))
			sweep_all(so);
		if (VecxSearchPastLimit(so->search))
			give_up(so);
		take_batch(so);
		if (so->npending > 0)
			return true;
	}
	if (so->phase == SCAN_TREE)
		return next_tree_batch(so);
	while (so->phase == SCAN_SWEEP && !so->counts.stopped && so->sweep_next < so->sweep_end)
	{
		CHECK_FOR_INTERRUPTS();
		VecxSearchSweep(so->search, so->sweep_next++);
		if (VecxSearchPastLimit(so->search))
			give_up(so);
		take_batch(so);
		if (so->npending > 0)
			return true;
	}
	return false;
}

/* Reads more lists where they are due; false if no row waits then. */
static bool
read_lists(VecxScan *so)
{
	bool		more;
	float		bound;

	if (so->counts.stopped || VecxRangeIsDone(&so->range, so->counts.records))
		return VecxListScanPeek(so->lists, &bound);
	more = VecxListScanFill(so->lists, so->given);
	if (so->filter && so->counts.batches == 0)
	{
		/* of what was read a share passes: so many more rows have to be looked at */
		so->counts.rows_wanted = rows_wanted(so, so->passing / VecxListScanPassing(so->lists));
		VecxProbesChoose(so->index->rel, &so->index->meta, so->counts.rows_wanted, &so->effort);
		so->counts.width = VecxListScanWiden(so->lists, so->effort.width);
		more = VecxListScanFill(so->lists, so->given);
	}
	VecxListScanCount(so->lists, &so->counts.batches, &so->counts.records, &so->range.vertices);
	if (so->counts.records > so->most_tuples)
		give_up(so);
	return more;
}

/* Sees to it that something is pending or ready; false if nothing is left. */
static bool
next_pending(VecxScan *so)
{
	if (so->lists)
		return read_lists(so) || so->ready.n > 0;
	return so->ready.n > 0 || so->npending > 0 || next_batch(so);
}

/* The least lower bound of what is pending; false if nothing is. */
static bool
pending_bound(VecxScan *so, float *bound)
{
	if (so->lists)
		return VecxListScanPeek(so->lists, bound);
	if (so->npending > 0)
		*bound = so->pending[0].est;
	return so->npending > 0;
}

/* Takes out what has that bound; NULL if it was returned before. */
static const VecxOpened *
take_pending(VecxScan *so)
{
	VecxRowEntry row;
	float		lower;
	float		upper;

	if (!so->lists)
		return &so->batch[VecxHeapPop(so->pending, &so->npending).id];
	memset(&so->row, 0, sizeof(so->row));
	if (!VecxListScanPop(so->lists, &row, &lower, &upper))
		return NULL;
	so->row.nrows = 1;
	so->row.tids[0] = row.tid;
	so->row.recheck = (row.flags & VECX_ROW_RECHECK) != 0;
	so->row.rank = isinf(upper) ? 0 : (lower + upper) / 2;
	so->row.error = isinf(upper) ? upper : (upper - lower) / (2 * ERROR_FACTOR);
	return &so->row;
}

/*
 * Whether a vertex taken from the pending ones is known to come next without a
 * look at the table: its range ends before those of all others begin.
 */
static bool
comes_next(VecxScan *so, const VecxOpened *vertex)
{
	float		upper = upper_bound(vertex);
	float		bound;

	if (so->strict)
		return false;			/* which compares exact distances */
	if (pending_bound(so, &bound) && upper > bound)
		return false;
	return so->ready.n == 0 ||
		upper <= VecxRankFromOperator(so->index->spec->metric, so->ready.items[0].distance);
}

/* Whether the pending vertices might be nearer than all that are ready. */
static bool
pending_first(VecxScan *so)
{
	float		bound;

	return pending_bound(so, &bound) &&
		(so->ready.n == 0 ||
		 bound < VecxRankFromOperator(so->index->spec->metric, so->ready.items[0].distance));
}

/* Makes so->current the vertex whose rows come next; false if none is left. */
static bool
next_vertex(IndexScanDesc scan, VecxScan *so)
{
	for (;;)
	{
		VecxReady	item;

		if (!next_pending(so))
			return false;
		if (pending_first(so))
		{
			const VecxOpened *vertex = take_pending(so);
			bool		known;

			CHECK_FOR_INTERRUPTS();
			if (vertex == NULL)
				continue;
			known = so->probe == NULL || scan->numberOfOrderBys == 0 || comes_next(so, vertex);
			if (known)
			{
				VecxCursorStart(&so->current, so->index, so->filter, so->cxt, vertex);
				return true;
			}
			find_distance(scan, so, vertex);
			continue;
		}
		if (so->ready.n == 0)
			continue;
		item = VecxReadyPop(&so->ready);
		if ((so->strict && item.distance < so->last_distance) ||
			(so->range.active && item.distance > so->range.radius))
		{
			so->counts.dropped++;
			VecxCursorEnd(&item.rows);
			continue;
		}
		so->last_distance = item.distance;
		so->current = item.rows;
		return true;
	}
}

/*
 * The next row without a place in the graph, as far as this phase returns it.
 * When NaN comes first, rows at that distance have left before all others.
 */
static bool
next_unscored_row(IndexScanDesc scan, VecxScan *so, ItemPointer tid, bool *recheck)
{
	while (VecxSideScanNext(&so->side, tid, recheck))
	{
		double		distance;

		if (so->side.pass == VECX_ROW_NULL && so->not_null)
			return false;
		if (!so->nan_first)
			return true;
		if (so->side.pass == VECX_ROW_NULL)
			return so->phase == SCAN_SIDE;
		if (exact_distance(scan, so, tid, &distance) &&
			(distance == -get_float8_infinity()) == (so->phase == SCAN_NAN))
			return true;
	}
	return false;
}

/* The next row of a set whose rows are all looked up. */
static bool
next_set_row(IndexScanDesc scan, VecxScan *so, ItemPointer tid)
{
	if (!so->set_rows)
	{
		make_exact(scan, so);
		so->set_rows = VecxSetRowsMake(so->exact, &scan->orderByData[0], so->query, so->tids,
									   so->fetch_cxt);
		so->counts.heap_fetches += VecxTidSetCount(so->tids);
	}
	return VecxSetRowsNext(so->set_rows, tid);
}

bool
vecxgettuple(IndexScanDesc scan, ScanDirection dir)
{
	VecxScan   *so = scan->opaque;
	MemoryContext old;
	bool		found = false;
	bool		recheck = false;

	Assert(ScanDirectionIsForward(dir));
	old = MemoryContextSwitchTo(so->cxt);
	if (so->phase == SCAN_START)
		start_scan(scan, so);
	else if (scan->kill_prior_tuple && so->has_current)
		note_dead(so, &so->current, &so->last_tid);
	while (!found && so->phase != SCAN_DONE)
	{
		if (so->phase == SCAN_NAN)
		{
			found = next_unscored_row(scan, so, &scan->xs_heaptid, &recheck);
			if (!found)
			{
				so->phase = so->after_nan;
				VecxSideScanStart(&so->side, so->index, so->filter, so->cxt);
			}
		}
		else if (so->phase == SCAN_SIDE)
		{
			found = next_unscored_row(scan, so, &scan->xs_heaptid, &recheck);
			if (!found)
				so->phase = SCAN_DONE;
		}
		else if (so->phase == SCAN_SET)
		{
			found = next_set_row(scan, so, &scan->xs_heaptid);
			recheck = scan->numberOfKeys > 0;
			if (!found)
				so->phase = SCAN_DONE;
		}
		else if (so->has_current && VecxCursorNext(&so->current, &scan->xs_heaptid, &recheck))
		{
			so->last_tid = scan->xs_heaptid;
			found = true;
		}
		else
		{
			so->has_current = next_vertex(scan, so);
			if (!so->has_current && so->phase != SCAN_SET)
				so->phase = so->counts.stopped ? SCAN_DONE : SCAN_SIDE;
		}
	}
	if (found && ++so->given > so->most_tuples)
	{
		give_up(so);
		so->phase = SCAN_DONE;
		found = false;
	}
	if (so->exact)
		VecxExactReset(so->exact);
	MemoryContextSwitchTo(old);
	scan->xs_recheck = so->recheck || recheck;
	scan->xs_recheckorderby = false;
	return found;
}

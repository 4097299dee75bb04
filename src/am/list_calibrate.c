/*
 * list_calibrate.c
 *    Measures the curve of an index with posting lists anew.
 *
 * The index itself tells what is near to a query: all of its lists are read, once for
 * many queries together, and of the rows that may be nearest by their codes the values
 * are taken from the table.  Then the places of their lists are known (list_probes.c).
 * Queries are rows of the index, or given by the user; the latter's curve is not replaced
 * by one of the former.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/index.h"
#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/heap.h"
#include "am/list.h"
#include "code/code_cluster.h"

/* Rows of the index that are searched for, when nobody says how many. */
#define STORED_QUERIES	256

/* Pages that are looked at for each of them, at most. */
#define TRIES			20

/* Nearest rows by codes, among which those are that most of the curve is about. */
#define KEPT			600

/* Its last line takes some queries only, and goes by codes alone; of entries of rows in several lists
 * some more are kept. */
#define MANY_ROWS_KEPT		2000

/* Share of maintenance_work_mem for the codes of all centroids. */
#define CODES_SHARE		2
/* Share of maintenance_work_mem for the queries that are served by one pass. */
#define QUERIES_SHARE	4
/* Passes over all lists, at most, unless that would leave too few queries. */
#define MOST_PASSES		8

/* All lists, by their centroids. */
typedef struct Lists
{
	VecxIndex  *index;
	int			n;
	int			cap;
	bool		too_many;
	uint8	   *codes;
	BlockNumber *heads;
	float	   *norm2;
	bool	   *has_rows;
	uint32	   *of_page;		/* list of a first page */
	BlockNumber nblocks;
} Lists;

/* A row that may be among the nearest. */
typedef struct Near
{
	float		est;			/* its distance, or the least that it may have */
	uint32		list;
	ItemPointerData tid;
} Near;

/* Those that are nearest. */
typedef struct NearRows
{
	Near	   *rows;			/* a heap, the farthest first */
	int			n;
	int			most;			/* that are kept; 0: none are wanted */
} NearRows;

typedef struct ListQuery
{
	const float *x;
	ItemPointerData tid;		/* of its own row; invalid: none */
	VecxListQuery query;
	float	   *nav;			/* [lists] */
	float	   *order;			/* [lists]: what they are read by: nav, unless queries are moved */
	NearRows	near;			/* by the least distance that they may have */
	NearRows	many;			/* by the distance that codes say */
} ListQuery;

static void
add_list(VecxId id, VecxRecord rec, void *arg)
{
	Lists	   *lists = arg;
	const VecxIndex *index = lists->index;
	const VecxCoder *coder = &index->coder;
	BlockNumber head = VecxListOfRecord(index, rec);

	/* InvalidBlockNumber is, too */
	if (head >= lists->nblocks || lists->too_many)
		return;
	if ((Size) coder->nbytes * lists->n >= (Size) VecxMaintenanceMemory() * 1024 / CODES_SHARE)
	{
		lists->too_many = true;
		return;
	}
	if (lists->n == lists->cap)
	{
		lists->cap *= 2;
		lists->codes = repalloc_huge(lists->codes, (Size) coder->nbytes * lists->cap);
		lists->heads = repalloc_huge(lists->heads, sizeof(BlockNumber) * lists->cap);
	}
	memcpy(lists->codes + (Size) lists->n * coder->nbytes, VecxRecordCode(&index->layout, rec), coder->nbytes);
	lists->heads[lists->n] = head;
	lists->of_page[head] = (uint32) lists->n++;
}

/* Finds all centroids; false if they are too many for the memory. */
static bool
find_lists(VecxIndex *index, Lists *lists)
{
	memset(lists, 0, sizeof(Lists));
	lists->index = index;
	lists->nblocks = RelationGetNumberOfBlocks(index->rel);
	lists->cap = 256;
	lists->codes = palloc((Size) index->coder.nbytes * lists->cap);
	lists->heads = palloc(sizeof(BlockNumber) * lists->cap);
	lists->of_page = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * lists->nblocks);
	memset(lists->of_page, 0xFF, sizeof(uint32) * lists->nblocks);
	VecxForEachRecord(index, false, add_list, lists);
	if (lists->too_many)
	{
		ereport(WARNING,
				(errmsg("the curve of index \"%s\" was not measured", RelationGetRelationName(index->rel)),
				 errdetail("Its centroids take more than half of maintenance_work_mem."),
				 errhint("Run vecx_calibrate with a larger maintenance_work_mem.")));
		return false;
	}
	lists->norm2 = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * Max(lists->n, 1));
	lists->has_rows = MemoryContextAllocExtended(CurrentMemoryContext, Max(lists->n, 1),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < lists->n; i++)
		lists->norm2[i] = vecx_code_norm2(&index->coder, lists->codes + (Size) i * index->coder.nbytes);
	return true;
}

/* Bytes that a query needs, but for the many rows of some. */
static Size
query_bytes(const VecxIndex *index, const Lists *lists)
{
	return vecx_list_query_bytes(&index->lists->code) + 2 * sizeof(float) * lists->n + sizeof(ListQuery) +
		sizeof(Near) * KEPT;
}

static void
alloc_near(NearRows *near, int most)
{
	near->rows = palloc(sizeof(Near) * Max(most, 1));
	near->n = 0;
	near->most = most;
}

static void
prepare_query(VecxIndex *index, const Lists *lists, ListQuery *q, bool many)
{
	const VecxCoder *coder = &index->coder;
	void	   *scratch = palloc(vecx_code_query_scratch(coder));
	VecxCodeQuery code;
	const float *moved;

	VecxListQueryInit(index, &q->query, q->x,
					  palloc(vecx_list_query_bytes(&index->lists->code)));
	q->nav = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * Max(lists->n, 1));
	vecx_code_query_init(coder, &code, q->x, scratch);
	for (int i = 0; i < lists->n; i++)
		q->nav[i] = vecx_code_distance(coder, &code, lists->codes + (Size) i * coder->nbytes);
	q->order = q->nav;
	moved = VecxTuneMove(index, q->x);
	if (moved != q->x)
	{
		q->order = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * Max(lists->n, 1));
		vecx_code_query_init(coder, &code, moved, scratch);
		for (int i = 0; i < lists->n; i++)
			q->order[i] = vecx_code_distance(coder, &code, lists->codes + (Size) i * coder->nbytes);
	}
	pfree(scratch);
	alloc_near(&q->near, KEPT);
	alloc_near(&q->many, many ? MANY_ROWS_KEPT : 0);
}

#define ESTIMATE(item)		((item).est)
VECX_DEFINE_KEEP_LEAST(keep_near, Near, ESTIMATE);

/* Compares the rows of a page of a list with a query. */
static void
see_page(VecxIndex *index, const Lists *lists, Page page, uint32 list, ListQuery *q)
{
	const VecxLists *layout = index->lists;
	int			nrows = VecxListPageHeader(page)->nrows;
	PGAlignedBlock room;
	VecxListProbe probe;
	float		est[VECX_LIST_BLOCK];
	float		sigma[VECX_LIST_BLOCK];

	vecx_list_probe_init(&layout->code, &q->query, q->nav[list], lists->norm2[list], &probe);
	for (int first = 0; first < nrows; first += VECX_LIST_BLOCK)
	{
		const uint8 *block = VecxListBlock(layout, page, first, &room);
		uint32		sums[VECX_LIST_BLOCK];

		memset(sums, 0, sizeof(sums));
		vecx_list_add_sums(&layout->code, &q->query, block, 0, layout->code.ncolumns, sums);
		vecx_list_estimates(&q->query, &probe, sums, (const VecxListFactors *) (block + layout->factors), est, sigma);
		for (int i = 0; i < Min(nrows - first, VECX_LIST_BLOCK); i++)
		{
			const VecxRowEntry *entry = VecxRowAt(block + layout->rows, layout->row_size, i);
			Near		row = {est[i] - VECX_LIST_SIGMAS * sigma[i], list, entry->tid};

			/* those that go with the next VACUUM are not to be counted on */
			if (VecxListRowIsLeft(entry))
				continue;
			keep_near(q->near.rows, &q->near.n, q->near.most, row);
			row.est = est[i];
			if (q->many.most > 0)
				keep_near(q->many.rows, &q->many.n, q->many.most, row);
		}
	}
}

/* Reads all lists. */
static void
see_rows(VecxIndex *index, Lists *lists, ListQuery *queries, int n)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	PGAlignedBlock page;

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < lists->nblocks; blkno++)
	{
		VecxListPage header;
		uint32		list;

		vacuum_delay_point(false);
		if (!VecxReadPageCopy(index->rel, blkno, strategy, &page))
			continue;
		header = VecxListGetPage(index, page.data, blkno);
		if (!header || header->nrows == 0 || header->head >= lists->nblocks)
			continue;
		list = lists->of_page[header->head];
		if (list == VECX_NO_LEAF)
			continue;
		lists->has_rows[list] = true;
		for (int i = 0; i < n; i++)
			see_page(index, lists, page.data, list, &queries[i]);
	}
	FreeAccessStrategy(strategy);
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) &((const Near *) a)->tid, (ItemPointer) &((const Near *) b)->tid);
}

static int
compare_estimates(const void *a, const void *b)
{
	float		x = ((const Near *) a)->est;
	float		y = ((const Near *) b)->est;

	return (x > y) - (x < y);
}

/* Puts the lists with rows in order of their distances: nav, and where each is. */
static int
rank_lists(const Lists *lists, const ListQuery *q, float *nav, uint32 *place)
{
	VecxCandidate *order = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(VecxCandidate) * Max(lists->n, 1));
	int			n = 0;

	for (int i = 0; i < lists->n; i++)
		if (lists->has_rows[i])
			order[n++] = (VecxCandidate) {q->order[i], (VecxId) i};
	qsort(order, n, sizeof(VecxCandidate), VecxCompareCandidates);
	for (int i = 0; i < n; i++)
	{
		nav[i] = order[i].est;
		place[order[i].id] = (uint32) i;
	}
	pfree(order);
	return n;
}

/* Makes one of the entries of each row, in the list that comes first; drops the query's
 * own row.  The list is its place from now on. */
static void
unite_entries(NearRows *near, ItemPointer own, const uint32 *place)
{
	int			n = 0;

	for (int i = 0; i < near->n; i++)
		near->rows[i].list = place[near->rows[i].list];
	qsort(near->rows, near->n, sizeof(Near), compare_tids);
	for (int i = 0; i < near->n; i++)
	{
		Near	   *row = &near->rows[i];
		Near	   *last = n > 0 ? &near->rows[n - 1] : NULL;

		if (ItemPointerIsValid(own) && ItemPointerEquals(&row->tid, own))
			continue;
		if (last && ItemPointerEquals(&row->tid, &last->tid))
		{
			last->est = Min(last->est, row->est);
			last->list = Min(last->list, row->list);
		}
		else
			near->rows[n++] = *row;
	}
	near->n = n;
	qsort(near->rows, n, sizeof(Near), compare_estimates);
}

/* The distance of a row by its value; false if it cannot be seen. */
static bool
find_distance(VecxIndex *index, VecxExact *exact, const float *x, ItemPointer tid, float *distance)
{
	VecxInput	input;

	if (!VecxExactVector(exact, index, tid, &input))
		return false;
	*distance = index->meta.metric == VECX_METRIC_IP ?
		-vecx_kernels->ip_f32(x, input.vec, index->meta.dim) :
		vecx_kernels->l2sq_f32(x, input.vec, index->meta.dim);
	return true;
}

/* The places of the rows that are nearest by their values, nearest first. */
static int
find_nearest(VecxIndex *index, VecxExact *exact, ListQuery *q, MemoryContext row_cxt, uint32 *places)
{
	VecxCandidate nearest[VECX_CURVE_FEW_ROWS + 1];	/* negative distance, and place */
	int			n = 0;

	for (int i = 0; i < q->near.n; i++)
	{
		Near	   *row = &q->near.rows[i];
		MemoryContext old;
		float		distance;
		bool		found;

		if (n == VECX_CURVE_FEW_ROWS && row->est > -nearest[0].est)
			break;
		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(row_cxt);
		found = find_distance(index, exact, q->x, &row->tid, &distance);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_cxt);
		if (!found || (n == VECX_CURVE_FEW_ROWS && distance >= -nearest[0].est))
			continue;
		if (n == VECX_CURVE_FEW_ROWS)
			(void) VecxHeapPop(nearest, &n);
		VecxHeapPush(nearest, &n, (VecxCandidate) {-distance, row->list});
	}
	VecxExactReset(exact);
	qsort(nearest, n, sizeof(VecxCandidate), VecxCompareCandidates);
	for (int i = 0; i < n; i++)
		places[i] = nearest[n - 1 - i].id;
	return n;
}

/* The places of rows that come after the nearest by what codes say; returns how many there are of
 * these and the nearest. */
static int
add_many(const ListQuery *q, uint32 *places, int n)
{
	for (; n >= VECX_CURVE_FEW_ROWS && n < Min(VECX_CURVE_MANY_ROWS, q->many.n); n++)
		places[n] = q->many.rows[n].list;
	return n;
}

/* Adds so many queries, for which all lists are read; some of them for many rows. */
static void
measure(VecxIndex *index, VecxExact *exact, Lists *lists, VecxProbeSums *sums, ListQuery *queries, int n, int nmany)
{
	MemoryContext row_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx row of a list", ALLOCSET_DEFAULT_SIZES);
	float	   *nav = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * Max(lists->n, 1));
	uint32	   *place = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * Max(lists->n, 1));

	for (int i = 0; i < n; i++)
		prepare_query(index, lists, &queries[i], i < nmany);
	see_rows(index, lists, queries, n);
	for (int i = 0; i < n; i++)
	{
		uint32		places[VECX_CURVE_MANY_ROWS];
		int			nlists = rank_lists(lists, &queries[i], nav, place);
		int			nrows;

		unite_entries(&queries[i].near, &queries[i].tid, place);
		unite_entries(&queries[i].many, &queries[i].tid, place);
		nrows = add_many(&queries[i], places, find_nearest(index, exact, &queries[i], row_cxt, places));
		if (nrows > 0)
			VecxProbeSumsAdd(sums, nav, nlists, places, nrows);
	}
}

/*
 * Measures the curve with n vectors; tids, if given, are those of their rows, which
 * do not count.  Where memory serves few of them at a time, not all are taken.  False, and
 * nothing changes, if there were too few.
 */
bool
VecxListCalibrate(VecxIndex *index, VecxExact *exact, const float *const *x, const ItemPointerData *tids,
				  int n, uint8 source)
{
	ListQuery  *queries = palloc0(sizeof(ListQuery) * Max(n, 1));
	MemoryContext pass_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx calibration", ALLOCSET_DEFAULT_SIZES);
	Lists		lists;
	VecxProbeSums *sums;
	Size		memory = (Size) VecxMaintenanceMemory() * 1024 / QUERIES_SHARE;
	int			nmany = (int) Min(memory / 2 / (sizeof(Near) * MANY_ROWS_KEPT), VECX_LIST_MANY_ROWS_QUERIES);
	int			at_once;

	if (!find_lists(index, &lists))
		return false;
	sums = VecxProbeSumsMake(index, (uint32) Max(lists.n, 1));
	at_once = (int) Max((memory - nmany * sizeof(Near) * MANY_ROWS_KEPT) / query_bytes(index, &lists), 1);
	if (n > VECX_LEAST_QUERIES)
		n = (int) Min(n, Max((int64) at_once * MOST_PASSES, VECX_LEAST_QUERIES));
	for (int i = 0; i < n; i++)
	{
		queries[i].x = x[i];
		if (tids)
			queries[i].tid = tids[i];
		else
			ItemPointerSetInvalid(&queries[i].tid);
	}
	for (int first = 0; first < n; first += at_once)
	{
		MemoryContext old = MemoryContextSwitchTo(pass_cxt);

		measure(index, exact, &lists, sums, queries + first, Min(at_once, n - first), nmany);
		MemoryContextSwitchTo(old);
		MemoryContextReset(pass_cxt);
	}
	return VecxProbeSumsStore(sums, source);
}

/*
 * Draws rows from the lists whose values can be read, up to most different ones.
 * Returns how many.
 */
int
VecxListSampleRows(VecxIndex *index, ItemPointerData *tids, int most)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	PGAlignedBlock page;
	int			n = 0;

	for (int64 tries = 0; n < most && tries < (int64) TRIES * most && nblocks > 1; tries++)
	{
		BlockNumber blkno = (BlockNumber) pg_prng_uint64_range(&pg_global_prng_state, 1, nblocks - 1);
		VecxListPage header;
		VecxRowEntry *row;
		bool		known = false;

		vacuum_delay_point(false);
		if (!VecxReadPageCopy(index->rel, blkno, NULL, &page))
			continue;
		header = VecxListGetPage(index, page.data, blkno);
		if (!header || header->nrows == 0)
			continue;
		row = VecxListRow(index->lists, page.data,
						  (int) pg_prng_uint64_range(&pg_global_prng_state, 0, header->nrows - 1));
		/* so that each row is as likely as any other */
		if (!VecxRowIsOwn(row))
			continue;
		for (int i = 0; i < n && !known; i++)
			known = ItemPointerEquals(&tids[i], &row->tid);
		if (!known)
			tids[n++] = row->tid;
	}
	return n;
}

/* The vector of a row, as the index takes it; NULL if it cannot be read. */
const float *
VecxListVectorOf(VecxIndex *index, VecxExact *exact, ItemPointer tid)
{
	VecxInput	input;
	Size		bytes = sizeof(float) * index->meta.dim;

	return VecxExactVector(exact, index, tid, &input) ? memcpy(palloc(bytes), input.vec, bytes) : NULL;
}

/*
 * For ANALYZE and VACUUM: measures the curve with rows of the index, if there is none or
 * the index is not what it was.
 */
void
VecxListCalibrateIfChanged(VecxIndex *index, bool in_vacuum)
{
	ItemPointerData tids[STORED_QUERIES];
	const float *x[STORED_QUERIES];
	Relation	heap;
	VecxExact  *exact;
	int			nsampled;
	int			n = 0;

	if (!VecxCurveIsRenewed(index) || !ActiveSnapshotSet() ||
		!VecxCurveIsOld(&index->meta, RelationGetNumberOfBlocks(index->rel)))
		return;
	/* who analyzes or vacuums has it locked */
	heap = table_open(IndexGetRelation(RelationGetRelid(index->rel), false), NoLock);
	exact = VecxExactMake(heap, index->rel, in_vacuum ? NULL : GetActiveSnapshot());
	VecxExactMissingOk(exact);
	if (in_vacuum)
		VecxExactOnlyLive(exact);
	nsampled = VecxListSampleRows(index, tids, STORED_QUERIES);
	for (int i = 0; i < nsampled; i++)
	{
		x[n] = VecxListVectorOf(index, exact, &tids[i]);
		if (x[n])
			tids[n++] = tids[i];
	}
	if (n >= VECX_LEAST_QUERIES)
		(void) VecxListCalibrate(index, exact, x, tids, n, VECX_CURVE_STORED);
	VecxExactEnd(exact);
	table_close(heap, NoLock);
}

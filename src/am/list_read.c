/*
 * list_read.c
 *    The rows of posting lists as a scan meets them.
 *
 * Lists are read in the order of their centroids' distances, so many at first and
 * more when the scan goes on; when the graph of centroids has no more, all LIST
 * pages that were not read.  Rows wait with the bounds of their distances and
 * leave by the lower one.  A row that was moved meanwhile may be met twice: it
 * leaves once.
 */
#include "postgres.h"

#include <math.h>

#include "executor/instrument.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/spccache.h"

#include "am/heap.h"
#include "am/list.h"

/* Rows that are kept in order: so many at first, and a part of those that are not,
 * when these are all that is left; twice as many before the farther half goes. */
#define NEAR_ROWS		128
#define NEAR_PART		16

/* Marks of a block: its rows were taken up; the list that begins there was found
 * as one that rows were moved to. */
#define PAGE_READ		1
#define LIST_FOLLOWED	2

/* Rows that left already, a bit each: of so many line pointers of a heap page. */
#define GIVEN_ROWS		64

typedef struct GivenRows
{
	uint64		place;			/* heap page, and which of its line pointers */
	uint64		bits;
} GivenRows;

/* A row that waits, with the bounds of its distance. */
typedef struct WaitingRow
{
	float		lower;
	float		upper;
	VecxRowEntry row;
	uint32		reference;		/* of what is behind it; 0: nothing, or it was looked at */
	float		product;		/* of the query with its code */
} WaitingRow;

struct VecxListScan
{
	VecxIndex  *index;
	MemoryContext cxt;
	VecxSearch *search;
	VecxProbe  *probe;			/* NULL: nothing has a distance */
	VecxProbe  *route;			/* what centroids are searched by: that, or where it is moved */
	const VecxRange *range;
	const VecxFilterQuery *filter;	/* NULL: none */
	VecxListQuery query;
	VecxListRefiner *refiner;	/* NULL: nothing is behind rows */
	uint32		reference;		/* of the first row of the page that is being read; or 0 */
	float		sigmas;			/* of bounds */
	float	   *est;			/* [VECX_LIST_BLOCK] */
	float	   *sigma;
	bool		restarted;

	/* lists whose turn it is, nearest first */
	VecxOpened *order;
	int			norder;
	int			order_cap;
	int			at;
	float		expected;		/* rows in the lists that are read first */
	int			probes;			/* lists to read before rows leave */
	float		ratio;			/* and how many times as far as the nearest they may be */
	float		limit;			/* so the distance */
	int			nread;			/* lists with rows that were read */
	int64		allowed;		/* rows that may leave before more are read */

	/* the list that is being read */
	BlockNumber next;			/* page, or InvalidBlockNumber */
	BlockNumber head;
	bool		scored;
	bool		from_closed;
	bool		had_rows;
	VecxListProbe list;
	BlockNumber steps;

	/* lists that rows were moved to */
	BlockNumber *forwards;
	int			nforwards;
	int			forwards_cap;

	VecxIdSet	pages;			/* read, and lists followed: the marks above of a block */
	bool		sweeping;
	BlockNumber sweep_next;
	BlockNumber sweep_end;

	/* rows: the nearest, in a heap, and in any order those that are not below
	 * near_limit */
	WaitingRow *near;
	int			nnear;
	int			near_cap;
	float		near_limit;
	WaitingRow *far;
	int			nfar;
	int			far_cap;
	int			most_rows;
	HTAB	   *given;

	VecxPass	pass[VECX_LIST_BLOCK];	/* of the rows of a block */

	/* distances of all rows read, to learn which place those that pass have among
	 * them; NULL: no longer */
	float	   *seen;
	int			nseen;
	int			seen_cap;
	bool		cold;			/* a page had to be read from disk */
	int64		lists_read;
	int64		rows_read;
	int64		rows_tested;	/* by the filter */
	int64		rows_passed;	/* it */
	int64		rows_within;	/* the range, as far as estimates tell */
};

VecxListScan *
VecxListScanMake(VecxIndex *index, MemoryContext cxt, VecxSearch *search, VecxProbe *probe,
				 VecxProbe *route, const VecxRange *range, const VecxFilterQuery *filter,
				 const VecxEffort *effort, bool strict)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxListScan *ls = palloc0(sizeof(VecxListScan));
	HASHCTL		hash;

	ls->index = index;
	ls->cxt = cxt;
	ls->search = search;
	ls->probe = probe;
	ls->route = route;
	ls->range = range;
	ls->filter = filter;
	ls->probes = effort->width;
	ls->expected = effort->records;
	ls->ratio = effort->ratio;
	ls->sigmas = strict ? VECX_LIST_STRICT_SIGMAS : VECX_LIST_SIGMAS;
	ls->limit = INFINITY;
	ls->allowed = effort->rows;
	ls->next = InvalidBlockNumber;
	ls->est = palloc(sizeof(float) * VECX_LIST_BLOCK);
	ls->sigma = palloc(sizeof(float) * VECX_LIST_BLOCK);
	ls->near_cap = 2 * NEAR_ROWS;
	ls->near = palloc(sizeof(WaitingRow) * ls->near_cap);
	ls->near_limit = INFINITY;
	ls->most_rows = (int) Min((int64) work_mem * 1024 / 4 / (int64) sizeof(WaitingRow), INT_MAX / 2);
	memset(&hash, 0, sizeof(hash));
	hash.keysize = sizeof(uint64);
	hash.entrysize = sizeof(GivenRows);
	hash.hcxt = cxt;
	ls->given = hash_create("vecx rows given", 256, &hash, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	VecxIdSetInit(&ls->pages, cxt, RelationGetNumberOfBlocks(index->rel));
	if (filter && probe)
	{
		ls->seen_cap = 1024;
		ls->seen = palloc(sizeof(float) * ls->seen_cap);
	}
	if (probe)
	{
		vecx_list_query_init(&index->lists->code, &ls->query, probe->vec,
							 palloc(vecx_list_query_bytes(&index->lists->code)));
		ls->refiner = VecxListRefinerMake(index, cxt, &ls->query, probe->vec, ls->sigmas);
	}
	else
		ls->sweeping = true;
	ls->sweep_next = VECX_META_BLKNO + 1;
	ls->sweep_end = InvalidBlockNumber;
	MemoryContextSwitchTo(old);
	return ls;
}

/* Room for so many more far rows; at first for what the lists to be read should have. */
static void
make_room(VecxListScan *ls, int more)
{
	if (ls->nfar + more <= ls->far_cap)
		return;
	if (ls->far == NULL)
	{
		ls->far_cap = Max(more, (int) Min((double) ls->expected * 1.25,
										  (double) ls->most_rows));
		ls->far = MemoryContextAllocHuge(ls->cxt, sizeof(WaitingRow) * ls->far_cap);
		return;
	}
	ls->far_cap = Max(ls->far_cap * 2, ls->nfar + more);
	ls->far = repalloc_huge(ls->far, sizeof(WaitingRow) * ls->far_cap);
}

static inline int
waiting_rows(const VecxListScan *ls)
{
	return ls->nnear + ls->nfar;
}

static void
push_near(VecxListScan *ls, const WaitingRow *row)
{
	WaitingRow	item = *row;
	int			i = ls->nnear++;

	while (i > 0 && ls->near[(i - 1) / 2].lower > item.lower)
	{
		ls->near[i] = ls->near[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	ls->near[i] = item;
}

static WaitingRow
pop_near(VecxListScan *ls)
{
	WaitingRow	top = ls->near[0];
	WaitingRow	last = ls->near[--ls->nnear];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= ls->nnear)
			break;
		if (child + 1 < ls->nnear && ls->near[child + 1].lower < ls->near[child].lower)
			child++;
		if (last.lower <= ls->near[child].lower)
			break;
		ls->near[i] = ls->near[child];
		i = child;
	}
	ls->near[i] = last;
	return top;
}

/* Puts the m least of the rows first. */
static void
select_least(WaitingRow *rows, int n, int m)
{
	int			from = 0;
	int			to = n - 1;

	while (from < to)
	{
		float		pivot = rows[from + (to - from) / 2].lower;
		int			i = from;
		int			j = to;

		while (i <= j)
		{
			while (rows[i].lower < pivot)
				i++;
			while (rows[j].lower > pivot)
				j--;
			if (i <= j)
			{
				WaitingRow	swap = rows[i];

				rows[i++] = rows[j];
				rows[j--] = swap;
			}
		}
		if (m - 1 <= j)
			to = j;
		else if (m - 1 >= i)
			from = i;
		else
			break;
	}
}

/* Makes the near rows a heap again. */
static void
reheap(VecxListScan *ls, int nnear)
{
	ls->nnear = 0;
	for (int i = 0; i < nnear; i++)
		push_near(ls, &ls->near[i]);
}

/* The near rows have become too many: the farther half goes to the far ones. */
static void
shed_near(VecxListScan *ls)
{
	int			kept = ls->near_cap / 2;

	select_least(ls->near, ls->nnear, kept);
	/* and for those of the page that is being read */
	make_room(ls, ls->nnear - kept + ls->index->lists->page_rows);
	ls->near_limit = INFINITY;
	for (int i = kept; i < ls->nnear; i++)
	{
		ls->near_limit = Min(ls->near_limit, ls->near[i].lower);
		ls->far[ls->nfar++] = ls->near[i];
	}
	reheap(ls, kept);
}

/* No near row is left: takes the nearest of the far ones. */
static void
refill_near(VecxListScan *ls)
{
	int			m = Min(Max(NEAR_ROWS, ls->nfar / NEAR_PART), ls->nfar);

	if (ls->near_cap < 2 * m)
	{
		ls->near_cap = 2 * m;
		ls->near = repalloc_huge(ls->near, sizeof(WaitingRow) * ls->near_cap);
	}
	if (m < ls->nfar)
		select_least(ls->far, ls->nfar, m);
	memcpy(ls->near, ls->far, sizeof(WaitingRow) * m);
	reheap(ls, m);
	ls->near_limit = INFINITY;
	for (int i = m; i < ls->nfar; i++)
		ls->near_limit = Min(ls->near_limit, ls->far[i].lower);
	/* those taken are at the front: the last ones take their places */
	if (ls->nfar - m >= m)
		memcpy(ls->far, ls->far + ls->nfar - m, sizeof(WaitingRow) * m);
	else
		memmove(ls->far, ls->far + m, sizeof(WaitingRow) * (ls->nfar - m));
	ls->nfar -= m;
}

/* Tests the rows of a block; false if none passes. */
static bool
test_block(VecxListScan *ls, const void *rows, int n)
{
	bool		any = false;

	for (int i = 0; i < n; i++)
	{
		ls->pass[i] = VecxFilterTest(ls->filter, VecxRowAt(rows, ls->index->lists->row_size, i));
		ls->rows_passed += ls->pass[i] != VECX_PASS_NO;
		any |= ls->pass[i] != VECX_PASS_NO;
	}
	ls->rows_tested += n;
	return any;
}

/* Notes the distances of the rows of a block, as long as there is room for all. */
static void
note_seen(VecxListScan *ls, int n)
{
	if (ls->nseen + n > ls->seen_cap)
	{
		if ((Size) ls->seen_cap * 2 * sizeof(float) > (Size) work_mem * 1024 / 4)
		{
			VecxListScanForget(ls);
			return;
		}
		ls->seen_cap *= 2;
		ls->seen = repalloc(ls->seen, sizeof(float) * ls->seen_cap);
	}
	memcpy(ls->seen + ls->nseen, ls->est, sizeof(float) * n);
	ls->nseen += n;
}

/* There is room among the far rows. */
static void
keep_waiting(VecxListScan *ls, const WaitingRow *waiting)
{
	if (waiting->lower >= ls->near_limit)
		ls->far[ls->nfar++] = *waiting;
	else
	{
		if (ls->nnear == ls->near_cap)
			shed_near(ls);
		push_near(ls, waiting);
	}
}

/* Takes up the rows of a block that pass the filter, whose bounds are in est and
 * sigma. */
static void
take_block(VecxListScan *ls, const void *rows, int n, const uint32 *sums, int first)
{
	for (int i = 0; i < n; i++)
	{
		const VecxRowEntry *row = VecxRowAt(rows, ls->index->lists->row_size, i);
		float		error = ls->scored ? ls->sigmas * ls->sigma[i] : INFINITY;
		float		lower = ls->scored ? ls->est[i] - error : -INFINITY;
		WaitingRow	waiting;

		/* also those that fail: they tell how far the scan has come */
		ls->rows_within += ls->range->active && (!ls->scored || ls->est[i] <= ls->range->max_rank);
		if (ls->filter && ls->pass[i] == VECX_PASS_NO)
			continue;
		if (ls->range->active && lower > ls->range->max_rank)
			continue;
		waiting.lower = lower;
		waiting.upper = ls->scored ? ls->est[i] + error : INFINITY;
		waiting.row = *row;
		waiting.row.flags = ls->filter && ls->pass[i] == VECX_PASS_MAYBE ? VECX_ROW_RECHECK : 0;
		waiting.reference = ls->reference > 0 ? ls->reference + first + i : 0;
		waiting.product = ls->scored ? vecx_list_product(&ls->query, sums[i]) : 0;
		keep_waiting(ls, &waiting);
	}
}

static void
take_page(VecxListScan *ls, BlockNumber blkno, Page page, int nrows)
{
	const VecxLists *lists = ls->index->lists;
	uint8	   *block = VecxListPageBlocks(lists, page);

	make_room(ls, nrows);
	ls->rows_read += nrows;
	ls->reference = ls->scored && ls->refiner ?
		VecxListRefinerPage(ls->refiner, blkno, page, &ls->list) : 0;
	for (int first = 0; first < nrows; first += VECX_LIST_BLOCK, block += lists->block_bytes)
	{
		uint32		sums[VECX_LIST_BLOCK];
		int			n = Min(nrows - first, VECX_LIST_BLOCK);
		bool		any = !ls->filter || test_block(ls, block + lists->rows, n);

		if (!any && !ls->seen && !ls->range->active)
			continue;
		if (ls->scored)
		{
			memset(sums, 0, sizeof(sums));
			vecx_list_add_sums(&lists->code, &ls->query, block, 0, lists->code.ncolumns, sums);
			vecx_list_estimates(&ls->query, &ls->list, sums, (VecxListFactors *) (block + lists->factors),
								ls->est, ls->sigma);
			if (ls->seen)
				note_seen(ls, n);
		}
		if (any || ls->range->active)
			take_block(ls, block + lists->rows, n, sums, first);
	}
}

/* Notes a list that rows were moved to. */
static void
note_forward(VecxListScan *ls, BlockNumber head)
{
	if (head == InvalidBlockNumber || !VecxIdSetAdd(&ls->pages, VecxIdMake(head, LIST_FOLLOWED)))
		return;
	if (ls->nforwards == ls->forwards_cap)
	{
		ls->forwards_cap = Max(ls->forwards_cap * 2, 16);
		ls->forwards = ls->forwards ?
			repalloc(ls->forwards, sizeof(BlockNumber) * ls->forwards_cap) :
			MemoryContextAlloc(ls->cxt, sizeof(BlockNumber) * ls->forwards_cap);
	}
	ls->forwards[ls->nforwards++] = head;
}

/*
 * Reads a page, unless it was read before, and moves ls->next to the one after
 * it.  A page that is of another list by now ends this one.
 */
static void
read_page(VecxListScan *ls, BlockNumber blkno)
{
	int64		reads = pgBufferUsage.shared_blks_read + pgBufferUsage.local_blks_read;
	Buffer		buf = VecxReadBuffer(ls->index->rel, blkno);
	Page		page = BufferGetPage(buf);
	VecxListPage header;

	ls->cold |= pgBufferUsage.shared_blks_read + pgBufferUsage.local_blks_read != reads;
	ls->next = InvalidBlockNumber;
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	header = VecxListGetPage(ls->index, page, blkno);
	if (header && (ls->head == InvalidBlockNumber || header->head == ls->head))
	{
		/* an empty one may be in the making, to be filled before it is led to */
		if (header->nrows > 0 && VecxIdSetAdd(&ls->pages, VecxIdMake(blkno, PAGE_READ)))
		{
			take_page(ls, blkno, page, header->nrows);
			ls->had_rows = true;
		}
		if (header->flags & VECX_LIST_MOVED)
			note_forward(ls, header->forward);
		if (ls->from_closed && blkno == ls->head)
			note_forward(ls, header->sibling);
		if (ls->head != InvalidBlockNumber)
			ls->next = VecxPageGetOpaque(page)->next;
	}
	UnlockReleaseBuffer(buf);
}

static void
begin_list(VecxListScan *ls, BlockNumber head, const VecxOpened *centroid)
{
	if (head >= RelationGetNumberOfBlocks(ls->index->rel))
		VecxCorrupted(ls->index->rel, head, "a list lies beyond the index");
	ls->next = ls->head = head;
	ls->steps = 0;
	ls->had_rows = false;
	ls->from_closed = centroid == NULL;
	ls->scored = centroid != NULL;
	ls->lists_read++;
	if (centroid)
		vecx_list_probe_init(&ls->index->lists->code, &ls->query, centroid->rank, centroid->norm2,
							 &ls->list);
}

static int
compare_order(const void *a, const void *b)
{
	float		x = ((const VecxOpened *) a)->nav;
	float		y = ((const VecxOpened *) b)->nav;

	return (x > y) - (x < y);
}

/* Searches for more centroids; false if there are none. */
static bool
find_lists(VecxListScan *ls)
{
	int			n;
	VecxOpened *opened;
	float		threshold;
	int			left = 0;

	if (VecxSearchExhausted(ls->search))
	{
		/* VACUUM may have moved the entry since the metapage was read */
		VecxId		seeds[VECX_MAX_SEEDS];

		if (ls->lists_read > 0 || ls->restarted)
			return false;
		ls->restarted = true;
		VecxIndexRefresh(ls->index);
		VecxSearchStart(ls->search, ls->route, 0, seeds,
						VecxSearchDescend(ls->search, ls->route, 0, seeds));
	}
	VecxSearchRun(ls->search, Min(Max(ls->probes - ls->nread, ls->probes / 2) + 1, VecxWidestBatch()));
	opened = VecxSearchOpened(ls->search, &n);
	threshold = VecxSearchThreshold(ls->search);
	if (n > ls->order_cap)
	{
		if (ls->order)
			pfree(ls->order);
		ls->order_cap = n;
		ls->order = MemoryContextAllocHuge(ls->cxt, sizeof(VecxOpened) * n);
	}
	ls->norder = ls->at = 0;
	for (int i = 0; i < n; i++)
	{
		if (opened[i].nav > threshold)
			opened[left++] = opened[i];
		else if (!opened[i].dead && opened[i].nrows > 0)
		{
			ls->order[ls->norder] = opened[i];
			/* nav says whose turn it is, rank how far it is */
			ls->order[ls->norder++].rank = ls->route == ls->probe ? opened[i].nav :
				vecx_code_distance(&ls->index->coder, &ls->probe->code, opened[i].code);
		}
	}
	VecxSearchKeepOpened(ls->search, left);
	VecxSearchRelease(ls->search);
	qsort(ls->order, ls->norder, sizeof(VecxOpened), compare_order);
	if (ls->lists_read == 0 && ls->norder > 0)
		ls->limit = VecxProbeLimit(ls->index, ls->order[0].nav, ls->ratio);
	return true;
}

/* Once a page was not in memory: has the kernel read the first pages of the lists
 * whose turn comes soon. */
static void
prefetch_lists(VecxListScan *ls)
{
	Relation	rel = ls->index->rel;
	int			depth = get_tablespace_io_concurrency(rel->rd_rel->reltablespace);
	int			last = Min(ls->at + depth, ls->norder) - 1;

	if (ls->cold && last > ls->at)
		PrefetchBuffer(rel, MAIN_FORKNUM, VecxListOfTid(&ls->order[last].tids[0]));
}

/* Chooses the page to read next; false if there is none. */
static bool
next_page(VecxListScan *ls, BlockNumber *blkno)
{
	while (ls->next == InvalidBlockNumber)
	{
		if (ls->nforwards > 0)
			begin_list(ls, ls->forwards[--ls->nforwards], NULL);
		else if (ls->at < ls->norder)
		{
			prefetch_lists(ls);
			begin_list(ls, VecxListOfTid(&ls->order[ls->at].tids[0]), &ls->order[ls->at]);
			ls->at++;
		}
		else
		{
			if (ls->sweep_end == InvalidBlockNumber)
				ls->sweep_end = RelationGetNumberOfBlocks(ls->index->rel);
			if (ls->sweep_next >= ls->sweep_end)
				return false;
			ls->head = InvalidBlockNumber;
			ls->scored = ls->from_closed = false;
			*blkno = ls->sweep_next++;
			return true;
		}
	}
	if (++ls->steps > RelationGetNumberOfBlocks(ls->index->rel))
		VecxCorrupted(ls->index->rel, ls->head, "the pages of a list form a circle");
	*blkno = ls->next;
	return true;
}

/* Whether the list whose turn it is is too far away to be read before rows leave. */
static bool
is_pruned(const VecxListScan *ls)
{
	return ls->next == InvalidBlockNumber && ls->nforwards == 0 && ls->at < ls->norder &&
		ls->order[ls->at].nav > ls->limit && ls->nread >= VecxLeastProbes(ls->probes);
}

/*
 * Reads as many lists as there should have been read when so many rows have left,
 * or until memory is full.  False if no row is waiting then, and there is no more.
 */
bool
VecxListScanFill(VecxListScan *ls, int64 rows_given)
{
	while (rows_given >= ls->allowed)
	{
		ls->allowed *= 2;
		/* what was too far away for the first rows has been left out */
		ls->probes = isinf(ls->ratio) ? ls->probes : Min(ls->probes, ls->nread);
		ls->probes += ls->probes / 2 + 1;
		ls->ratio = ls->limit = INFINITY;
	}
	while (ls->nread < ls->probes || waiting_rows(ls) == 0)
	{
		BlockNumber blkno;
		bool		in_list;

		CHECK_FOR_INTERRUPTS();
		if (waiting_rows(ls) > 0 && waiting_rows(ls) + ls->index->lists->page_rows > ls->most_rows)
			break;
		if (ls->next == InvalidBlockNumber && ls->nforwards == 0 && ls->at >= ls->norder && !ls->sweeping)
		{
			ls->sweeping = !find_lists(ls);
			continue;
		}
		/* what is not near by the graph comes when all else has left, and what pages that
		 * were emptied lead to with it */
		if (ls->sweeping && ls->next == InvalidBlockNumber && waiting_rows(ls) > 0)
			break;
		if (is_pruned(ls) && waiting_rows(ls) > 0)
			break;
		if (!next_page(ls, &blkno))
			break;
		in_list = ls->head != InvalidBlockNumber;
		read_page(ls, blkno);
		if (in_list && ls->next == InvalidBlockNumber)
			ls->nread += ls->had_rows;
	}
	return waiting_rows(ls) > 0;
}

/* The share of the rows tested that pass the filter. */
double
VecxListScanPassing(const VecxListScan *ls)
{
	return (ls->rows_passed + 1.0) / (ls->rows_tested + 1.0);
}

/* The k-th least distance of the rows that wait, which are as many. */
static float
kth_waiting(const VecxListScan *ls, int k)
{
	float	   *heap = palloc(sizeof(float) * k);
	int			n = 0;
	float		kth;

	for (int i = 0; i < ls->nnear; i++)
		VecxKeepNearest(heap, &n, k, (ls->near[i].lower + ls->near[i].upper) / 2);
	for (int i = 0; i < ls->nfar; i++)
		VecxKeepNearest(heap, &n, k, (ls->far[i].lower + ls->far[i].upper) / 2);
	kth = heap[0];
	pfree(heap);
	return kth;
}

/*
 * Which place the k-th nearest row that passes has among all rows, as far as those read
 * tell: by their distances if so many were found, else by the share that passes.
 */
double
VecxListScanRank(const VecxListScan *ls, int64 k)
{
	float		kth;
	double		rank = 0;

	if (!ls->seen || k > waiting_rows(ls))
		return (double) k / VecxListScanPassing(ls);
	kth = kth_waiting(ls, (int) k);
	for (int i = 0; i < ls->nseen; i++)
		rank += ls->seen[i] <= kth;
	return Max(rank, (double) k);
}

/* That will not be asked any more. */
void
VecxListScanForget(VecxListScan *ls)
{
	if (ls->seen)
		pfree(ls->seen);
	ls->seen = NULL;
}

/*
 * Lets so many lists at least, within a ratio of distances, be read before more rows
 * leave.  False if memory is full, or there is no other list that a search finds.
 */
bool
VecxListScanWiden(VecxListScan *ls, int probes, float ratio)
{
	bool		may = ls->nread >= ls->probes || is_pruned(ls);

	ls->probes = Max(ls->probes, probes);
	if (ratio > ls->ratio)
	{
		ls->limit = isinf(ratio) ? INFINITY : ls->limit * (ratio / ls->ratio) * (ratio / ls->ratio);
		ls->ratio = ratio;
	}
	return may;
}

/* How many lists are read, or are to be, before rows leave. */
int
VecxListScanProbes(const VecxListScan *ls)
{
	return ls->probes;
}

/* And how many times as far as the nearest they may be. */
float
VecxListScanRatio(const VecxListScan *ls)
{
	return ls->ratio;
}

/* The least lower bound of the rows that wait; false if none does. */
bool
VecxListScanPeek(VecxListScan *ls, float *lower)
{
	if (waiting_rows(ls) == 0)
		return false;
	if (ls->nnear == 0)
		refill_near(ls);
	*lower = ls->near[0].lower;
	return true;
}

/* Looks at what is behind the row of the least lower bound. */
static void
refine_first(VecxListScan *ls)
{
	WaitingRow	waiting = pop_near(ls);

	VecxListRefine(ls->refiner, waiting.reference, &waiting.row.tid, waiting.product,
				   &waiting.lower, &waiting.upper);
	waiting.reference = 0;
	make_room(ls, 1);
	keep_waiting(ls, &waiting);
}

/* Makes sure that bounds below a limit are the best to be had. */
void
VecxListScanSettle(VecxListScan *ls, float limit)
{
	float		lower;

	while (ls->refiner && VecxListScanPeek(ls, &lower) && lower < limit && ls->near[0].reference > 0)
	{
		CHECK_FOR_INTERRUPTS();
		refine_first(ls);
	}
}

/* Remembers that a row leaves; false if it has left before. */
static bool
give(VecxListScan *ls, const ItemPointerData *tid)
{
	bool		found;
	OffsetNumber off = ItemPointerGetOffsetNumber(tid);
	uint64		place = (uint64) ItemPointerGetBlockNumber(tid) * (PG_UINT16_MAX / GIVEN_ROWS + 1) +
		off / GIVEN_ROWS;
	uint64		bit = UINT64CONST(1) << off % GIVEN_ROWS;
	GivenRows  *rows = hash_search(ls->given, &place, HASH_ENTER, &found);

	if (!found)
		rows->bits = 0;
	if (rows->bits & bit)
		return false;
	rows->bits |= bit;
	return true;
}

/* Takes out the row of the least lower bound, with its bounds; false if it has
 * left before, or waits with better bounds now.  VecxListScanPeek was called. */
bool
VecxListScanPop(VecxListScan *ls, VecxRowEntry *row, float *lower, float *upper)
{
	WaitingRow	waiting;

	if (ls->near[0].reference > 0)
	{
		refine_first(ls);
		return false;
	}
	waiting = pop_near(ls);
	*lower = waiting.lower;
	*upper = waiting.upper;
	*row = waiting.row;
	return give(ls, &row->tid);
}

/* Tells what was read; *within: how many rows in the range. */
void
VecxListScanCount(const VecxListScan *ls, VecxScanCounts *counts, int64 *within)
{
	counts->batches = ls->lists_read;
	counts->records = ls->rows_read;
	counts->tested = ls->rows_tested;
	counts->matching = ls->filter ? ls->rows_passed : 0;
	*within = ls->rows_within;
}

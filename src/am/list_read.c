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
#include "utils/spccache.h"

#include "am/heap.h"
#include "am/list.h"
#include "am/list_waiting.h"

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

struct VecxListScan
{
	VecxIndex  *index;
	MemoryContext cxt;
	VecxSearch *search;
	VecxNearLists *near;		/* all that are left, in place of the search; or NULL */
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
	int			asked;			/* those before it the kernel was asked for */
	float		expected;		/* rows in the lists that are read first */
	int			probes;			/* lists to read before rows leave */
	float		ratio;			/* and how many times as far as the nearest they may be */
	float		limit;			/* so the distance */
	int			nread;			/* lists with rows that were read */
	int64		allowed;		/* rows that may leave before more are read */
	int64		most_rows;		/* that may be read */

	/* the list that is being read */
	BlockNumber next;			/* page, or InvalidBlockNumber */
	BlockNumber head;
	bool		scored;
	bool		from_closed;
	bool		had_rows;
	bool		left;			/* what was split off it is in other lists since */
	uint32		version;		/* of the centroids, when the search began */
	VecxListProbe list;
	BlockNumber steps;

	/* lists that rows were moved to */
	BlockNumber *forwards;
	int			nforwards;
	int			forwards_cap;

	BlockNumber nblocks;		/* of the index, as last seen; it only grows */
	VecxIdSet	pages;			/* read, and lists followed: the marks above of a block */
	bool		sweeping;
	BlockNumber sweep_next;
	BlockNumber sweep_end;

	VecxWaiting waiting;
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
	int64		rows_sized;		/* for which it was asked how many lists they take, */
	int			range_probes;	/* and how many those are */
};

VecxListScan *
VecxListScanMake(VecxIndex *index, MemoryContext cxt, VecxSearch *search, VecxProbe *probe,
				 VecxProbe *route, const VecxRange *range, const VecxFilterQuery *filter,
				 const VecxEffort *effort, VecxNearLists *near, uint32 version, int64 most_rows,
				 bool strict)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxListScan *ls = palloc0(sizeof(VecxListScan));
	HASHCTL		hash;

	ls->index = index;
	ls->cxt = cxt;
	ls->search = search;
	ls->near = near;
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
	ls->most_rows = most_rows;
	ls->version = version;
	ls->next = InvalidBlockNumber;
	ls->est = palloc(sizeof(float) * VECX_LIST_BLOCK);
	ls->sigma = palloc(sizeof(float) * VECX_LIST_BLOCK);
	VecxWaitingInit(&ls->waiting, ls->expected);
	memset(&hash, 0, sizeof(hash));
	hash.keysize = sizeof(uint64);
	hash.entrysize = sizeof(GivenRows);
	hash.hcxt = cxt;
	ls->given = hash_create("vecx rows given", 256, &hash, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ls->nblocks = RelationGetNumberOfBlocks(index->rel);
	VecxIdSetInit(&ls->pages, cxt, ls->nblocks);
	if (filter && probe)
	{
		ls->seen_cap = 1024;
		ls->seen = palloc(sizeof(float) * ls->seen_cap);
	}
	if (probe)
	{
		VecxListQueryInit(index, &ls->query, probe->vec,
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

/* A row of a block that waits, whose bounds are in est and sigma. */
static inline void
put_waiting(const VecxListScan *ls, VecxWaitingRow *waiting, const VecxRowEntry *row, int i, float lower,
			float upper, uint32 sum, int first)
{
	/* of numbers near the end of float: as one that was not scored, its distance is computed */
	bool		unknown = isnan(lower) || isnan(upper);

	waiting->lower = unknown ? -INFINITY : lower;
	waiting->upper = unknown ? INFINITY : upper;
	waiting->row = *row;
	waiting->row.flags = 0;
	waiting->reference = ls->reference > 0 ? ls->reference + first + i : 0;
	waiting->product = ls->scored ? vecx_list_product(&ls->query, sum) : 0;
}

/* Takes up all rows of a block that was scored. */
static void
take_whole_block(VecxListScan *ls, const void *rows, int n, const uint32 *sums, int first)
{
	VecxWaitingRow *waiting = VecxWaitingRoom(&ls->waiting);

	for (int i = 0; i < n; i++)
	{
		float		error = ls->sigmas * ls->sigma[i];

		put_waiting(ls, &waiting[i], VecxRowAt(rows, ls->index->lists->row_size, i), i,
					ls->est[i] - error, ls->est[i] + error, sums[i], first);
	}
	VecxWaitingAdd(&ls->waiting, n);
}

/* Takes up the rows of a block that pass the filter. */
static void
take_block(VecxListScan *ls, const void *rows, int n, const uint32 *sums, int first)
{
	VecxWaitingRow *waiting = VecxWaitingRoom(&ls->waiting);
	int			taken = 0;

	for (int i = 0; i < n; i++)
	{
		float		error = ls->scored ? ls->sigmas * ls->sigma[i] : INFINITY;
		float		lower = ls->scored ? ls->est[i] - error : -INFINITY;

		/* also those that fail: they tell how far the scan has come */
		ls->rows_within += ls->range->active && (!ls->scored || ls->est[i] <= ls->range->max_rank);
		if (ls->filter && ls->pass[i] == VECX_PASS_NO)
			continue;
		/* for good: in the order it would only come late */
		if (ls->range->active && ls->scored && ls->est[i] - VECX_LIST_STRICT_SIGMAS * ls->sigma[i] > ls->range->max_rank)
			continue;
		put_waiting(ls, &waiting[taken], VecxRowAt(rows, ls->index->lists->row_size, i), i,
					lower, ls->scored ? ls->est[i] + error : INFINITY, sums[i], first);
		if (ls->filter && ls->pass[i] == VECX_PASS_MAYBE)
			waiting[taken].row.flags = VECX_ROW_RECHECK;
		taken++;
	}
	VecxWaitingAdd(&ls->waiting, taken);
}

static void
take_page(VecxListScan *ls, BlockNumber blkno, Page page, int nrows)
{
	const VecxLists *lists = ls->index->lists;
	PGAlignedBlock room;

	ls->rows_read += nrows;
	ls->reference = ls->scored && ls->refiner ?
		VecxListRefinerPage(ls->refiner, blkno, page, &ls->list) : 0;
	for (int first = 0; first < nrows; first += VECX_LIST_BLOCK)
	{
		const uint8 *block = VecxListBlock(lists, page, first, &room);
		uint32		sums[VECX_LIST_BLOCK];
		int			n = Min(nrows - first, VECX_LIST_BLOCK);
		bool		any = !ls->filter || test_block(ls, block + lists->rows, n);

		if (!any && !ls->seen && !ls->range->active)
			continue;
		if (ls->scored)
		{
			memset(sums, 0, sizeof(sums));
			vecx_list_add_sums(&lists->code, &ls->query, block, 0, lists->code.ncolumns, sums);
			vecx_list_estimates(&ls->query, &ls->list, sums, (const VecxListFactors *) (block + lists->factors),
								ls->est, ls->sigma);
			if (ls->seen)
				note_seen(ls, n);
		}
		if (ls->scored && !ls->filter && !ls->range->active)
			take_whole_block(ls, block + lists->rows, n, sums, first);
		else if (any || ls->range->active)
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
 * Whether the lists that rows of this one, whose first page is LEFT, went to were in the
 * graph when the scan began.  Then that tells when it is their turn, if ever: what is left of
 * the list may stay for long.
 */
static bool
is_settled(const VecxListScan *ls)
{
	VecxMetaPageData meta;

	VecxMetaRead(ls->index->rel, &meta);
	return meta.centroids_version == ls->version;
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
	BlockNumber forward = InvalidBlockNumber;
	BlockNumber sibling = InvalidBlockNumber;

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
			forward = header->forward;
		if (ls->from_closed && blkno == ls->head)
			sibling = header->sibling;
		if (blkno == ls->head)
			ls->left = (header->flags & VECX_LIST_LEFT) != 0;
		if (ls->head != InvalidBlockNumber)
			ls->next = VecxPageGetOpaque(page)->next;
	}
	UnlockReleaseBuffer(buf);
	/* asked anew for each page: between two of them all may have changed */
	if (forward != InvalidBlockNumber && !(ls->left && is_settled(ls)))
		note_forward(ls, forward);
	note_forward(ls, sibling);
}

/* Whether a block is one of the index. */
static bool
is_block(VecxListScan *ls, BlockNumber blkno)
{
	if (blkno >= ls->nblocks)
		ls->nblocks = RelationGetNumberOfBlocks(ls->index->rel);
	return blkno < ls->nblocks;
}

static void
begin_list(VecxListScan *ls, BlockNumber head, const VecxOpened *centroid)
{
	if (!is_block(ls, head))
		VecxCorrupted(ls->index->rel, head, "a list lies beyond the index");
	ls->next = ls->head = head;
	ls->steps = 0;
	ls->had_rows = ls->left = false;
	ls->from_closed = centroid == NULL;
	ls->scored = centroid != NULL;
	ls->lists_read++;
	if (centroid)
		vecx_list_probe_init(&ls->index->lists->code, &ls->query, centroid->rank, centroid->norm2,
							 &ls->list);
}

/* Room for an order of so many lists, in place of the one before. */
static void
make_order(VecxListScan *ls, int n)
{
	if (n > ls->order_cap)
	{
		if (ls->order)
			pfree(ls->order);
		ls->order_cap = n;
		ls->order = MemoryContextAllocHuge(ls->cxt, sizeof(VecxOpened) * n);
	}
	ls->norder = ls->at = ls->asked = 0;
}

/* Takes the nearest lists from all that are left; false if there are none. */
static bool
take_near(VecxListScan *ls, int wanted)
{
	const VecxNearList *lists;
	int			n = VecxNearListsTake(ls->near, wanted, &lists);

	make_order(ls, n);
	for (; ls->norder < n; ls->norder++)
	{
		VecxOpened *opened = &ls->order[ls->norder];

		opened->nav = lists[ls->norder].nav;
		opened->rank = lists[ls->norder].rank;
		opened->norm2 = lists[ls->norder].norm2;
		VecxListSetTid(&opened->tids[0], lists[ls->norder].head);
	}
	return n > 0;
}

/* Searches the graph for more; false if it finds none. */
static bool
search_more(VecxListScan *ls, int wanted)
{
	int			n;
	VecxOpened *opened;
	float		threshold;
	int			left = 0;

	if (VecxSearchExhausted(ls->search))
	{
		/* VACUUM may have moved the entry since the metapage was read */
		if (ls->lists_read > 0 || ls->restarted)
			return false;
		ls->restarted = true;
		VecxIndexRefresh(ls->index);
		ls->version = ls->index->meta.centroids_version;
		VecxSearchBegin(ls->search, ls->route);
	}
	VecxSearchRun(ls->search, wanted);
	opened = VecxSearchOpened(ls->search, &n);
	threshold = VecxSearchThreshold(ls->search);
	make_order(ls, n);
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
	return true;
}

/* Finds more lists; false if there are none. */
static bool
find_lists(VecxListScan *ls)
{
	int			wanted = Min(Max(ls->probes - ls->nread, ls->probes / 2) + 1, VecxWidestBatch());

	if (!(ls->near ? take_near(ls, wanted) : search_more(ls, wanted)))
		return false;
	qsort(ls->order, ls->norder, sizeof(VecxOpened), VecxCompareOpened);
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
	int			end = Min(ls->at + 1 + depth, ls->norder);

	if (!ls->cold)
		return;
	for (ls->asked = Max(ls->asked, ls->at + 1); ls->asked < end; ls->asked++)
	{
		BlockNumber head = VecxListOfTid(&ls->order[ls->asked].tids[0]);

		if (VecxHasBlock(rel, head))
			PrefetchBuffer(rel, MAIN_FORKNUM, head);
	}
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
			ls->scored = ls->from_closed = ls->left = false;
			*blkno = ls->sweep_next++;
			return true;
		}
	}
	if (!is_block(ls, ls->steps++))
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
 * Whether as many lists were read as it takes to find as many of the nearest rows as there
 * seem to be in the range, and one more.  A list that is near has rows that are far, so that
 * how many of those read are within tells nothing.
 */
bool
VecxListScanRangeIsDone(VecxListScan *ls)
{
	if (!ls->range->active || !ls->probe)
		return false;
	if (ls->rows_sized <= ls->rows_within)
	{
		VecxEffort	effort;

		ls->rows_sized = ls->rows_within + 1;
		VecxProbesChoose(ls->index->rel, &ls->index->meta, ls->rows_sized, &effort);
		ls->range_probes = effort.width;
	}
	return ls->nread >= ls->range_probes;
}

/*
 * Whether the caller has to decide, though no row waits, and there is more: what is left
 * is beyond the range, or nothing of the first lists passes the filter, and the rows that do
 * might be found in another way.
 */
static bool
is_at_a_loss(VecxListScan *ls)
{
	if (VecxWaitingCount(&ls->waiting) > 0 || ls->nforwards > 0 || (ls->nread < ls->probes && !ls->sweeping))
		return false;
	return ls->seen != NULL || VecxListScanRangeIsDone(ls);
}

/*
 * Reads as many lists as there should have been read when so many rows have left,
 * or until memory is full, or more rows were read than may be.  False if no row is waiting
 * then: there is no more, or it is for the caller to say whether to go on.
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
	while (ls->nread < ls->probes || VecxWaitingCount(&ls->waiting) == 0)
	{
		BlockNumber blkno;
		bool		in_list;

		CHECK_FOR_INTERRUPTS();
		if (VecxWaitingCount(&ls->waiting) > 0 && VecxWaitingCount(&ls->waiting) + ls->index->lists->page_rows > ls->waiting.most)
			break;
		if (ls->rows_read > ls->most_rows || is_at_a_loss(ls))
			break;
		if (ls->next == InvalidBlockNumber && ls->nforwards == 0 && ls->at >= ls->norder && !ls->sweeping)
		{
			ls->sweeping = !find_lists(ls);
			continue;
		}
		/* what is not near by the graph comes when all else has left, and what pages that
		 * were emptied lead to with it */
		if (ls->sweeping && ls->next == InvalidBlockNumber && VecxWaitingCount(&ls->waiting) > 0)
			break;
		if (is_pruned(ls) && VecxWaitingCount(&ls->waiting) > 0)
			break;
		if (!next_page(ls, &blkno))
			break;
		in_list = ls->head != InvalidBlockNumber;
		read_page(ls, blkno);
		if (in_list && ls->next == InvalidBlockNumber)
			ls->nread += ls->had_rows;
	}
	return VecxWaitingCount(&ls->waiting) > 0;
}

/* The share of the rows tested that pass the filter. */
double
VecxListScanPassing(const VecxListScan *ls)
{
	return (ls->rows_passed + 1.0) / (ls->rows_tested + 1.0);
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

	if (!ls->seen || k > VecxWaitingCount(&ls->waiting))
		return (double) k / VecxListScanPassing(ls);
	kth = VecxWaitingKth(&ls->waiting, (int) k);
	if (isinf(kth))
		return (double) k / VecxListScanPassing(ls);
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
	const VecxWaitingRow *first = VecxWaitingFirst(&ls->waiting);

	if (!first)
		return false;
	*lower = first->lower;
	return true;
}

/* Looks at what is behind the row of the least lower bound. */
static void
refine_first(VecxListScan *ls)
{
	VecxWaitingRow waiting = VecxWaitingPop(&ls->waiting);

	VecxListRefine(ls->refiner, waiting.reference, &waiting.row.tid, waiting.product,
				   &waiting.lower, &waiting.upper);
	waiting.reference = 0;
	*VecxWaitingRoom(&ls->waiting) = waiting;
	VecxWaitingAdd(&ls->waiting, 1);
}

/* Makes sure that bounds below a limit are the best to be had. */
void
VecxListScanSettle(VecxListScan *ls, float limit)
{
	float		lower;

	while (ls->refiner && VecxListScanPeek(ls, &lower) && lower < limit && ls->waiting.near[0].reference > 0)
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
	VecxWaitingRow waiting;

	if (ls->waiting.near[0].reference > 0)
	{
		refine_first(ls);
		return false;
	}
	waiting = VecxWaitingPop(&ls->waiting);
	*lower = waiting.lower;
	*upper = waiting.upper;
	*row = waiting.row;
	return give(ls, &row->tid);
}

/* Tells what was read. */
void
VecxListScanCount(const VecxListScan *ls, VecxScanCounts *counts)
{
	counts->batches = ls->lists_read;
	counts->records = ls->rows_read;
	counts->tested = ls->rows_tested;
	counts->matching = ls->filter ? ls->rows_passed : 0;
}

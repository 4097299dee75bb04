/*
 * list_take.c
 *    The rows of a page of a list, taken up by a scan: tested, scored, and put to
 *    wait with the bounds of their distances.
 */
#include "postgres.h"

#include <math.h>

#include "executor/instrument.h"
#include "miscadmin.h"

#include "am/heap.h"
#include "am/list_scan.h"

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

/* Notes the distances of the rows of a block, as long as there is room for all, and which lists
 * the nearest that pass are in. */
static void
note_seen(VecxListScan *ls, int n)
{
	for (int i = 0; i < n; i++)
		if (ls->pass[i] != VECX_PASS_NO)
			VecxKeepNearestCandidate(ls->passed, &ls->npassed, VECX_PASSED_NEAR,
									 (VecxCandidate) {ls->est[i], (VecxId) ls->nread});
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

/* What the rows of a block wait with. */
typedef struct BlockBounds
{
	float		lower[VECX_LIST_BLOCK];
	float		upper[VECX_LIST_BLOCK];
	float		product[VECX_LIST_BLOCK];
} BlockBounds;

/*
 * Bounds the distances of all rows of a block together: loops without a branch, of a number
 * known beforehand, are done by lanes.  What is not scored, or no number, as the sums of
 * numbers near the end of float may be, may be anywhere: its distance is computed.
 */
static void
bound_block(const VecxListScan *ls, const uint32 *sums, BlockBounds *bounds)
{
	int			wrong = !ls->scored;

	for (int i = 0; i < VECX_LIST_BLOCK && ls->scored; i++)
	{
		float		error = ls->sigmas * ls->sigma[i];

		bounds->lower[i] = ls->est[i] - error;
		bounds->upper[i] = ls->est[i] + error;
		bounds->product[i] = vecx_list_product(&ls->query, sums[i]);
	}
	for (int i = 0; i < VECX_LIST_BLOCK && ls->scored; i++)
		wrong |= !(bounds->lower[i] <= bounds->upper[i]);
	for (int i = 0; i < VECX_LIST_BLOCK && wrong; i++)
	{
		if (ls->scored && bounds->lower[i] <= bounds->upper[i])
			continue;
		bounds->lower[i] = -INFINITY;
		bounds->upper[i] = INFINITY;
		if (!ls->scored)
			bounds->product[i] = 0;
	}
}

/* Row i of a block, which is the first-th of its page. */
static inline void
put_waiting(const VecxListScan *ls, VecxWaitingRow *waiting, const BlockBounds *bounds, const void *rows,
			int i, int first)
{
	waiting->lower = bounds->lower[i];
	waiting->upper = bounds->upper[i];
	waiting->row = *VecxRowAt(rows, ls->index->lists->row_size, i);
	waiting->row.flags = 0;
	waiting->reference = ls->reference > 0 ? ls->reference + first + i : 0;
	waiting->product = bounds->product[i];
}

/* Takes up all rows of a block. */
static void
take_whole_block(VecxListScan *ls, const void *rows, int n, const BlockBounds *bounds, int first)
{
	VecxWaitingRow *waiting = VecxWaitingRoom(&ls->waiting);

	for (int i = 0; i < n; i++)
		put_waiting(ls, &waiting[i], bounds, rows, i, first);
	VecxWaitingAdd(&ls->waiting, n);
}

/* Takes up the rows of a block that pass the filter. */
static void
take_block(VecxListScan *ls, const void *rows, int n, const BlockBounds *bounds, int first)
{
	VecxWaitingRow *waiting = VecxWaitingRoom(&ls->waiting);
	int			taken = 0;

	for (int i = 0; i < n; i++)
	{
		/* also those that fail: they tell how far the scan has come */
		ls->rows_within += ls->range->active && (!ls->scored || ls->est[i] <= ls->range->max_rank);
		if (ls->filter && ls->pass[i] == VECX_PASS_NO)
			continue;
		/* for good: in the order it would only come late */
		if (ls->range->active && ls->scored && ls->est[i] - VECX_LIST_STRICT_SIGMAS * ls->sigma[i] > ls->range->max_rank)
			continue;
		put_waiting(ls, &waiting[taken], bounds, rows, i, first);
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
		BlockBounds bounds;
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
		if (!any && !ls->range->active)
			continue;
		bound_block(ls, sums, &bounds);
		if (ls->filter || ls->range->active)
			take_block(ls, block + lists->rows, n, &bounds, first);
		else
			take_whole_block(ls, block + lists->rows, n, &bounds, first);
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
void
VecxListTakePage(VecxListScan *ls, BlockNumber blkno)
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

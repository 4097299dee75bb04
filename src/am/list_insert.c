/*
 * list_insert.c
 *    Adds a row to the list of the nearest centroid.
 *
 * The row goes to the list's last page.  Whoever adds to a list has its first
 * page exclusively locked, and then the last one: so what that page says of the
 * whole list holds meanwhile.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"

#include "am/heap.h"
#include "am/list.h"

/* The first page of a list, exclusively locked, if rows may be added; else
 * InvalidBuffer. */
static Buffer
lock_head(VecxIndex *index, BlockNumber head)
{
	Buffer		buf = VecxPinPage(index->rel, head);
	VecxListPage header;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	header = VecxListGetPage(index, BufferGetPage(buf), head);
	if (header && header->head == head && !(header->flags & VECX_LIST_CLOSED))
		return buf;
	UnlockReleaseBuffer(buf);
	return InvalidBuffer;
}

/* Another page of the list whose first page is locked, exclusively locked. */
static Buffer
lock_page(VecxIndex *index, BlockNumber head, BlockNumber blkno)
{
	Buffer		buf;
	VecxListPage header;

	/* of a damaged index: the first page is locked here */
	if (blkno == head)
		VecxCorrupted(index->rel, blkno, "the pages of a list form a circle");
	buf = VecxPinPage(index->rel, blkno);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	header = VecxListGetPage(index, BufferGetPage(buf), blkno);
	if (!header || header->head != head)
		VecxCorrupted(index->rel, blkno, "a page is of another list than its chain says");
	return buf;
}

/* Adds the row to a locked page; false if it has no room. */
static bool
append_to_page(VecxIndex *index, Buffer buf, const VecxListItem *item)
{
	if (VecxListPageHeader(BufferGetPage(buf))->nrows >= index->lists->page_rows)
		return false;
	VecxListAppend(index, buf, item);
	return true;
}

static void
set_tail(VecxIndex *index, Buffer head_buf, BlockNumber tail, uint32 more_pages)
{
	VecxPageChange change;
	VecxListPage header;

	VecxPageBegin(&change, index->rel, head_buf, index->mode, false);
	header = VecxListPageHeader(change.page);
	header->tail = tail;
	header->npages += more_pages;
	VecxPageCommit(&change);
}

/*
 * Adds the row to the first page from the tail on that has room; the first page
 * of the list is locked.  False if none has: *last is the chain's end.
 */
static bool
append_from_tail(VecxIndex *index, Buffer head_buf, const VecxListItem *item, BlockNumber *last)
{
	BlockNumber head = BufferGetBlockNumber(head_buf);
	BlockNumber tail = VecxListPageHeader(BufferGetPage(head_buf))->tail;
	BlockNumber steps = RelationGetNumberOfBlocks(index->rel);

	for (*last = tail;; steps--)
	{
		Buffer		buf = *last == head ? head_buf : lock_page(index, head, *last);
		bool		done = append_to_page(index, buf, item);
		BlockNumber next = VecxPageGetOpaque(BufferGetPage(buf))->next;

		if (buf != head_buf)
			UnlockReleaseBuffer(buf);
		if (done)
		{
			if (*last != tail)
				set_tail(index, head_buf, *last, 0);
			return true;
		}
		if (next == InvalidBlockNumber)
			return false;
		if (steps == 0)
			VecxCorrupted(index->rel, next, "the pages of a list form a circle");
		*last = next;
	}
}

/* A page of the list with the row, that nothing leads to yet. */
static BlockNumber
make_page(VecxIndex *index, BlockNumber head, const VecxListItem *item)
{
	Buffer		buf = VecxTakeFreePage(index);
	BlockNumber blkno = BufferGetBlockNumber(buf);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, true);
	VecxListPageInit(index->lists, change.page, head == InvalidBlockNumber ? blkno : head);
	VecxPageCommit(&change);
	VecxListAppend(index, buf, item);
	UnlockReleaseBuffer(buf);
	return blkno;
}

/* Leaves a page that nothing leads to to VACUUM: a scan that read all pages may
 * have taken note of it. */
static void
drop_page(VecxIndex *index, BlockNumber blkno)
{
	Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;
	VecxListPage header;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxListSetRows(index->lists, change.page, 0);
	header = VecxListPageHeader(change.page);
	header->flags |= VECX_LIST_CLOSED;
	header->stamp = VecxListStampNow();
	VecxPageCommit(&change);
	VecxListDropBehind(index, buf, 0);
	UnlockReleaseBuffer(buf);
}

static void
set_next(VecxIndex *index, Buffer buf, BlockNumber next)
{
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxPageGetOpaque(change.page)->next = next;
	VecxPageCommit(&change);
}

/*
 * Adds a row to the list; *npages is then how many pages it has.  A new page is
 * made while no page is locked: page, the pointer to it, then the tail.  A crash
 * after the first leaves a page that nothing leads to; after the second, a
 * tail that is one page behind.
 */
bool
VecxListAdd(VecxIndex *index, BlockNumber head, const VecxListItem *item, uint32 *npages)
{
	Buffer		head_buf = lock_head(index, head);
	BlockNumber last;
	BlockNumber added;
	bool		done;

	if (!BufferIsValid(head_buf))
		return false;
	done = append_from_tail(index, head_buf, item, &last);
	*npages = VecxListPageHeader(BufferGetPage(head_buf))->npages;
	UnlockReleaseBuffer(head_buf);
	if (done)
		return true;

	added = make_page(index, head, item);
	head_buf = lock_head(index, head);
	if (!BufferIsValid(head_buf))
	{
		drop_page(index, added);
		return false;
	}
	/* another may have added a page meanwhile, or VACUUM made room */
	if (append_from_tail(index, head_buf, item, &last))
		drop_page(index, added);
	else
	{
		Buffer		buf = last == head ? head_buf : lock_page(index, head, last);

		set_next(index, buf, added);
		if (buf != head_buf)
			UnlockReleaseBuffer(buf);
		set_tail(index, head_buf, added, 1);
	}
	*npages = VecxListPageHeader(BufferGetPage(head_buf))->npages;
	UnlockReleaseBuffer(head_buf);
	return true;
}

/*
 * The centroids nearest to a vector, nearest first, with their codes.  Under the
 * inner product the search is by that, but lists are made by L2 distance.
 */
VecxOpened *
VecxListNearest(VecxIndex *index, const float *x, int width, int *count)
{
	VecxProbe  *probe = VecxProbeMake(index, x);
	VecxSearch *search = VecxSearchMake(index, CurrentMemoryContext, true);
	VecxOpened *opened;

	VecxSearchBegin(search, probe);
	VecxSearchRun(search, width);
	VecxSearchRelease(search);
	opened = VecxSearchOpened(search, count);
	if (index->meta.metric == VECX_METRIC_IP)
		for (int i = 0; i < *count; i++)
			opened[i].nav = opened[i].norm2 + 2 * opened[i].nav;
	qsort(opened, *count, sizeof(VecxOpened), VecxCompareOpened);
	return opened;
}

/* The first list, or the first after all that are closed: its centroid is the
 * vector itself. */
static void
start_list(VecxIndex *index, VecxListEncoder *encoder, const float *x, VecxListItem *item)
{
	uint8	   *code = palloc0(index->coder.nbytes);
	float	   *centre = palloc(sizeof(float) * index->meta.dim);

	vecx_code_encode(&index->coder, x, code);
	vecx_code_decode(&index->coder, code, centre);
	VecxListEncoderUse(encoder, centre);
	VecxListEncode(encoder, x, item);
	VecxInsertCentroid(index, code, make_page(index, InvalidBlockNumber, item));
}

/* Codes the row for a list and adds it there, if that takes it; *too_long is whether
 * the list should be split. */
static bool
add_to_list(VecxIndex *index, VecxListEncoder *encoder, const float *x, const VecxOpened *centroid,
			float *centre, VecxListItem *item, bool *too_long)
{
	uint32		npages = 0;
	bool		done;

	CHECK_FOR_INTERRUPTS();
	vecx_code_decode(&index->coder, centroid->code, centre);
	VecxListEncoderUse(encoder, centre);
	VecxListEncode(encoder, x, item);
	done = VecxListAdd(index, VecxListOfTid(&centroid->tids[0]), item, &npages);
	*too_long = done && npages > VecxListMostPages(index->lists);
	return done;
}

/* Whether a list is closed, and its rows have gone nowhere. */
static bool
is_only_closed(VecxIndex *index, BlockNumber head)
{
	Buffer		buf = VecxPinPage(index->rel, head);
	VecxListPage header;
	bool		only_closed;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	header = VecxListGetPage(index, BufferGetPage(buf), head);
	only_closed = header && header->head == head && (header->flags & VECX_LIST_CLOSED) != 0 &&
		header->forward == InvalidBlockNumber && !VecxListIsRetired(header);
	UnlockReleaseBuffer(buf);
	return only_closed;
}

/*
 * A list that took no row may be one that a split closed and that nobody is splitting: who did
 * was cancelled before a row was copied.  Then it is opened.
 */
static void
maybe_open(VecxIndex *index, BlockNumber head)
{
	VecxListState state;

	if (!is_only_closed(index, head) || !VecxTryTrainLock(index))
		return;
	/* whoever had the lock may have seen to it; VACUUM closes those without rows */
	if (is_only_closed(index, head))
		(void) VecxListTend(index, head, &state);
	VecxTrainUnlock(index);
}

void
VecxListInsert(VecxIndex *index, Relation heap, const VecxInput *input, const VecxRowEntry *row)
{
	const float *x = input->vec;
	float	   *centre = palloc(sizeof(float) * index->meta.dim);
	VecxListItem *item = palloc0(index->lists->item_bytes);
	int			places[VECX_MOST_REPLICAS];	/* of the row, then of its copies */
	bool		too_long[VECX_MOST_REPLICAS] = {false};
	int			n = 0;
	VecxListEncoder encoder;
	VecxOpened *near;
	int			nnear;
	int			at = 0;
	BlockNumber refused = InvalidBlockNumber;	/* of a list that took no row */

	VecxListEncoderInit(&encoder, index);
	memcpy(VecxListItemRow(item), row, index->lists->row_size);
	/* VACUUM waits for those who may be about to add to a list it has closed */
	LockPage(index->rel, VECX_META_BLKNO, ShareLock);
	VecxIndexRefresh(index);
	near = VecxListNearest(index, x, VECX_NEAR_CENTROIDS, &nnear);
	for (at = 0; at < nnear; at++)
	{
		if (near[at].dead || near[at].nrows == 0)
			continue;
		if (add_to_list(index, &encoder, x, &near[at], centre, item, &too_long[0]))
			break;
		if (refused == InvalidBlockNumber)
			refused = VecxListOfTid(&near[at].tids[0]);
	}
	if (at < nnear)
	{
		places[0] = at;
		n = 1 + VecxListChooseCopies(index, x, near, nnear, at, places + 1);
	}
	VecxListItemRow(item)->flags |= VECX_ROW_COPY;
	/* one that is closed by now goes without */
	for (int i = 1; i < n; i++)
		(void) add_to_list(index, &encoder, x, &near[places[i]], centre, item, &too_long[i]);
	UnlockPage(index->rel, VECX_META_BLKNO, ShareLock);

	VecxListItemRow(item)->flags = row->flags;
	if (n == 0)
		start_list(index, &encoder, x, item);
	if (refused != InvalidBlockNumber)
		maybe_open(index, refused);
	for (int i = 0; i < n; i++)
		if (too_long[i])
			VecxListMaybeSplit(index, heap, near[places[i]].id, VecxListOfTid(&near[places[i]].tids[0]));
}

/*
 * side.c
 *    Rows whose vector cannot be scored: NULL, zero under cosine, or longer
 *    than float4 arithmetic can tell.  They sit in a chain of SIDE pages and
 *    are returned last, so that an ordered scan gives the rows a sort gives.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"

#include "am/am.h"

static void
append_row(VecxIndex *index, Page page, const VecxRowEntry *row)
{
	Size		row_size = index->layout.row_size;

	memcpy(VecxRowAt(VecxSidePageRows(page), row_size, VecxSidePageCount(page, row_size)),
		   row, row_size);
	((PageHeader) page)->pd_lower += row_size;
}

/* Raises when a chain has more steps than the index has pages. */
static void
check_steps(VecxIndex *index, BlockNumber blkno, BlockNumber steps)
{
	if (steps > RelationGetNumberOfBlocks(index->rel))
		VecxCorrupted(index->rel, blkno, "pages of rows without a distance form a circle");
}

/* Adds the row to a page of the chain from blkno on that has room; false if
 * none has.  *last is that page, or the chain's end. */
static bool
append_to_chain(VecxIndex *index, BlockNumber blkno, const VecxRowEntry *row, BlockNumber *last)
{
	Size		row_size = index->layout.row_size;

	for (BlockNumber steps = 0; blkno != InvalidBlockNumber; steps++)
	{
		Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_SIDE);
		Page		page = BufferGetPage(buf);

		check_steps(index, blkno, steps);
		*last = blkno;
		if (VecxSidePageCount(page, row_size) < VecxSidePageMaxRows(row_size))
		{
			VecxPageChange change;

			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			append_row(index, change.page, row);
			VecxPageCommit(&change);
			UnlockReleaseBuffer(buf);
			return true;
		}
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

static BlockNumber
make_page(VecxIndex *index, const VecxRowEntry *row)
{
	Buffer		buf = VecxExtend(index->rel, MAIN_FORKNUM);
	BlockNumber blkno = BufferGetBlockNumber(buf);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, true);
	VecxPageInit(change.page, VECX_PAGE_SIDE);
	append_row(index, change.page, row);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
	return blkno;
}

static void
set_next_page(VecxIndex *index, BlockNumber blkno, BlockNumber next)
{
	Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_SIDE);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxPageGetOpaque(change.page)->next = next;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/*
 * Adds a page with the row to the chain: page, then the pointer to it, then the
 * metapage, each a record of its own.  A crash after the first leaves a page
 * that nobody knows; after the second, a tail pointer that is one page behind,
 * from which the next insert finds the way.  The metapage's lock keeps two
 * inserts from hanging their pages at the same place.  It looks for the end from
 * the page that was the last a moment ago, if there was one: pages stay in the chain.
 */
static void
extend_chain(VecxIndex *index, const VecxRowEntry *row, BlockNumber last)
{
	BlockNumber added = make_page(index, row);
	Buffer		meta_buf = VecxReadPage(index->rel, VECX_META_BLKNO, BUFFER_LOCK_EXCLUSIVE,
										VECX_PAGE_META);
	VecxPageChange change;

	if (last == InvalidBlockNumber)
		last = VecxPageGetMeta(BufferGetPage(meta_buf))->side_tail;
	for (BlockNumber steps = 0; last != InvalidBlockNumber; steps++)
	{
		Buffer		buf;
		BlockNumber next;

		/* of a damaged index: the metapage is locked here */
		if (last == VECX_META_BLKNO)
			VecxCorrupted(index->rel, last, "a page is of another kind than its chain says");
		buf = VecxReadPage(index->rel, last, BUFFER_LOCK_SHARE, VECX_PAGE_SIDE);
		next = VecxPageGetOpaque(BufferGetPage(buf))->next;
		UnlockReleaseBuffer(buf);
		if (next == InvalidBlockNumber)
			break;
		check_steps(index, next, steps);
		last = next;
	}
	if (last != InvalidBlockNumber)
		set_next_page(index, last, added);
	VecxPageBegin(&change, index->rel, meta_buf, index->mode, false);
	if (VecxPageGetMeta(change.page)->side_head == InvalidBlockNumber)
		VecxPageGetMeta(change.page)->side_head = added;
	VecxPageGetMeta(change.page)->side_tail = added;
	index->meta = *VecxPageGetMeta(change.page);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(meta_buf);
}

static void
set_side_tail(VecxMetaPageData *meta, void *arg)
{
	meta->side_tail = *(BlockNumber *) arg;
}

/* Adds a row, whose flags are VECX_ROW_UNSCORABLE or VECX_ROW_NULL. */
void
VecxSideInsert(VecxIndex *index, const VecxRowEntry *row)
{
	BlockNumber last = InvalidBlockNumber;

	if (!append_to_chain(index, index->meta.side_tail, row, &last))
		extend_chain(index, row, last);
	else if (last != index->meta.side_tail)
		VecxMetaEdit(index, set_side_tail, &last);
}

/* Copies the rows of a page, whole (a page will do); returns the next page of the
 * chain. */
BlockNumber
VecxSideRead(VecxIndex *index, BlockNumber blkno, VecxRowEntry *rows, int *count)
{
	Size		row_size = index->layout.row_size;
	Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_SIDE);
	Page		page = BufferGetPage(buf);
	BlockNumber next = VecxPageGetOpaque(page)->next;

	*count = VecxSidePageCount(page, row_size);
	if (*count < 0 || *count > VecxSidePageMaxRows(row_size))
		VecxCorrupted(index->rel, blkno, "a page has more rows than room");
	memcpy(rows, VecxSidePageRows(page), row_size * *count);
	UnlockReleaseBuffer(buf);
	return next;
}

/* Removes dead rows; new ones go to the first page with room from then on. */
void
VecxSideVacuum(VecxIndex *index, IndexBulkDeleteCallback callback, void *arg,
			   int64 *live, int64 *removed)
{
	BlockNumber blkno = index->meta.side_head;
	BlockNumber roomy = InvalidBlockNumber;
	VecxRowEntry *rows = palloc(VECX_PAGE_CAPACITY);
	Size		row_size = index->layout.row_size;

	for (BlockNumber steps = 0; blkno != InvalidBlockNumber; steps++)
	{
		Buffer		buf;
		Page		page;
		int			count;
		int			kept;

		check_steps(index, blkno, steps);
		vacuum_delay_point(false);
		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_SIDE);
		page = BufferGetPage(buf);
		count = VecxSidePageCount(page, row_size);
		if (count < 0 || count > VecxSidePageMaxRows(row_size))
			VecxCorrupted(index->rel, blkno, "a page has more rows than room");
		memcpy(rows, VecxSidePageRows(page), row_size * count);
		kept = VecxRowsVacuum(index, rows, count, callback, arg, NULL);
		*live += kept;
		*removed += count - kept;
		if (kept < count)
		{
			VecxPageChange change;

			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			memcpy(VecxSidePageRows(change.page), rows, row_size * kept);
			((PageHeader) change.page)->pd_lower -= (count - kept) * row_size;
			VecxPageCommit(&change);
		}
		if (kept < VecxSidePageMaxRows(row_size) && roomy == InvalidBlockNumber)
			roomy = blkno;
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
	}
	pfree(rows);
	if (roomy != InvalidBlockNumber && roomy != index->meta.side_tail)
		VecxMetaEdit(index, set_side_tail, &roomy);
}

/* Begins to read the chain; only rows that pass the filter, if there is one. */
void
VecxSideScanStart(VecxSideScan *side, VecxIndex *index, const VecxFilterQuery *filter,
				  MemoryContext cxt)
{
	memset(side, 0, sizeof(VecxSideScan));
	side->index = index;
	side->filter = filter;
	side->cxt = cxt;
	side->next = index->meta.side_head;
	side->pass = VECX_ROW_UNSCORABLE;
}

/* The next row of the chain: unscorable ones first, then NULLs. */
bool
VecxSideScanNext(VecxSideScan *side, ItemPointer tid, bool *recheck)
{
	for (;;)
	{
		while (side->at < side->count)
		{
			VecxRowEntry *row = VecxRowAt(side->rows, side->index->layout.row_size, side->at++);
			VecxPass	pass = VECX_PASS_YES;

			if (row->flags != side->pass)
				continue;
			if (side->filter)
				pass = VecxFilterTest(side->filter, row);
			if (pass == VECX_PASS_NO)
				continue;
			*tid = row->tid;
			*recheck = pass == VECX_PASS_MAYBE;
			return true;
		}
		CHECK_FOR_INTERRUPTS();
		if (side->next == InvalidBlockNumber)
		{
			if (side->pass == VECX_ROW_NULL)
				return false;
			side->pass = VECX_ROW_NULL;
			side->steps = 0;
			side->next = side->index->meta.side_head;
			if (side->next == InvalidBlockNumber)
				return false;
		}
		check_steps(side->index, side->next, side->steps++);
		if (!side->rows)
			side->rows = MemoryContextAlloc(side->cxt, VECX_PAGE_CAPACITY);
		side->next = VecxSideRead(side->index, side->next, side->rows, &side->count);
		side->at = 0;
	}
}

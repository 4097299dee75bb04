/*
 * side.c
 *    Rows whose vector cannot be scored: NULL, zero under cosine, or longer
 *    than float4 arithmetic can tell.  They sit in a chain of SIDE pages and
 *    are returned last, so that an ordered scan gives the rows a sort gives.
 */
#include "postgres.h"

#include "commands/vacuum.h"

#include "am/am.h"

static void
append_row(Page page, const VecxRowEntry *row)
{
	VecxSidePageRows(page)[VecxSidePageCount(page)] = *row;
	((PageHeader) page)->pd_lower += sizeof(VecxRowEntry);
}

/* Adds the row to a page of the chain from blkno on that has room; false if
 * none has.  *last is that page, or the chain's end. */
static bool
append_to_chain(VecxIndex *index, BlockNumber blkno, const VecxRowEntry *row, BlockNumber *last)
{
	while (blkno != InvalidBlockNumber)
	{
		Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_SIDE);
		Page		page = BufferGetPage(buf);

		*last = blkno;
		if (VecxSidePageCount(page) < VECX_SIDE_PAGE_ROWS)
		{
			VecxPageChange change;

			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			append_row(change.page, row);
			VecxPageCommit(&change);
			UnlockReleaseBuffer(buf);
			return true;
		}
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
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
	append_row(change.page, row);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
	return blkno;
}

/*
 * Adds a page with the row to the chain: page, then the pointer to it, then the
 * metapage, each a record of its own.  A crash after the first leaves a page
 * that nobody knows; after the second, a tail pointer that is one page behind,
 * from which the next insert finds the way.  The metapage's lock keeps two
 * inserts from adding a page each.
 */
static void
extend_chain(VecxIndex *index, const VecxRowEntry *row)
{
	Buffer		meta_buf = VecxReadPage(index->rel, VECX_META_BLKNO, BUFFER_LOCK_EXCLUSIVE,
										VECX_PAGE_META);
	BlockNumber tail = VecxPageGetMeta(BufferGetPage(meta_buf))->side_tail;
	BlockNumber last = InvalidBlockNumber;
	VecxPageChange change;

	if (!append_to_chain(index, tail, row, &last))
	{
		BlockNumber added = make_page(index, row);

		if (last != InvalidBlockNumber)
		{
			Buffer		buf = VecxReadPage(index->rel, last, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_SIDE);

			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			VecxPageGetOpaque(change.page)->next = added;
			VecxPageCommit(&change);
			UnlockReleaseBuffer(buf);
		}
		VecxPageBegin(&change, index->rel, meta_buf, index->mode, false);
		if (VecxPageGetMeta(change.page)->side_head == InvalidBlockNumber)
			VecxPageGetMeta(change.page)->side_head = added;
		VecxPageGetMeta(change.page)->side_tail = added;
		VecxPageCommit(&change);
	}
	index->meta = *VecxPageGetMeta(BufferGetPage(meta_buf));
	UnlockReleaseBuffer(meta_buf);
}

static void
set_side_tail(VecxMetaPageData *meta, void *arg)
{
	meta->side_tail = *(BlockNumber *) arg;
}

/* Adds a row; why is VECX_ROW_UNSCORABLE or VECX_ROW_NULL. */
void
VecxSideInsert(VecxIndex *index, ItemPointer tid, uint16 why)
{
	VecxRowEntry row = {*tid, why};
	BlockNumber last = InvalidBlockNumber;

	if (!append_to_chain(index, index->meta.side_tail, &row, &last))
		extend_chain(index, &row);
	else if (last != index->meta.side_tail)
		VecxMetaEdit(index, set_side_tail, &last);
}

/* Copies the rows of a page (room for VECX_SIDE_PAGE_ROWS); returns the next
 * page of the chain. */
BlockNumber
VecxSideRead(VecxIndex *index, BlockNumber blkno, VecxRowEntry *rows, int *count)
{
	Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_SIDE);
	Page		page = BufferGetPage(buf);
	BlockNumber next = VecxPageGetOpaque(page)->next;

	*count = VecxSidePageCount(page);
	if (*count < 0 || *count > VECX_SIDE_PAGE_ROWS)
		VecxCorrupted(index->rel, blkno, "a page has more rows than room");
	memcpy(rows, VecxSidePageRows(page), sizeof(VecxRowEntry) * *count);
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
	VecxRowEntry *rows = palloc(sizeof(VecxRowEntry) * VECX_SIDE_PAGE_ROWS);

	while (blkno != InvalidBlockNumber)
	{
		Buffer		buf;
		Page		page;
		int			count;
		int			kept;

		vacuum_delay_point();
		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_SIDE);
		page = BufferGetPage(buf);
		count = VecxSidePageCount(page);
		if (count < 0 || count > VECX_SIDE_PAGE_ROWS)
			VecxCorrupted(index->rel, blkno, "a page has more rows than room");
		memcpy(rows, VecxSidePageRows(page), sizeof(VecxRowEntry) * count);
		kept = VecxRowsVacuum(rows, count, callback, arg);
		*live += kept;
		*removed += count - kept;
		if (kept < count)
		{
			VecxPageChange change;

			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			memcpy(VecxSidePageRows(change.page), rows, sizeof(VecxRowEntry) * kept);
			((PageHeader) change.page)->pd_lower -= (count - kept) * sizeof(VecxRowEntry);
			VecxPageCommit(&change);
		}
		if (kept < VECX_SIDE_PAGE_ROWS && roomy == InvalidBlockNumber)
			roomy = blkno;
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
	}
	pfree(rows);
	if (roomy != InvalidBlockNumber && roomy != index->meta.side_tail)
		VecxMetaEdit(index, set_side_tail, &roomy);
}

/*
 * list_behind.c
 *    What rows of posting lists have behind them, on BEHIND pages: further bits of
 *    their codes, or copies of their vectors.
 *
 * A LIST page names its BEHIND pages, of which each has what belongs to so many rows
 * in turn: so row i's place is known.  Pages are added as rows come.  A BEHIND page is
 * changed under the exclusive lock of its LIST page as well, and each change that makes one
 * depend on the other is one record of WAL.  Readers of a BEHIND page hold no other
 * lock: they look whether what they find is of the row that they met.
 */
#include "postgres.h"

#include "storage/freespace.h"

#include "am/list.h"

static VecxBehindEntry *
entry_of(const VecxLists *lists, Page page, int row)
{
	return (VecxBehindEntry *) ((char *) PageGetContents(page) + MAXALIGN(sizeof(VecxBehindPageData)) +
								lists->behind_bytes * (row % lists->behind_rows));
}

static void
init_page(Page page, BlockNumber owner, int place)
{
	VecxBehindPage header;

	VecxPageInit(page, VECX_PAGE_BEHIND);
	header = VecxBehindPageHeader(page);
	memset(header, 0, MAXALIGN(sizeof(VecxBehindPageData)));
	header->owner = owner;
	header->place = (uint16) place;
	((PageHeader) page)->pd_lower += MAXALIGN(sizeof(VecxBehindPageData));
}

static void
put_entry(const VecxLists *lists, Page page, int row, const VecxListItem *item)
{
	VecxBehindEntry *entry = entry_of(lists, page, row);
	Size		end = (char *) entry + lists->behind_bytes - (char *) page;

	memset(entry, 0, lists->behind_bytes);
	entry->tid = VecxListItemRow(item)->tid;
	memcpy(entry->bytes, VecxListItemExtra(lists, item), VecxListExtraBytes(lists));
	((PageHeader) page)->pd_lower = Max(((PageHeader) page)->pd_lower, (LocationIndex) end);
}

/*
 * What a row of the LIST page owner has on this page, which is locked, or NULL if the
 * page has become something else.
 */
const VecxBehindEntry *
VecxBehindFind(const VecxLists *lists, Page page, BlockNumber owner, int row, const ItemPointerData *tid)
{
	const VecxBehindEntry *entry;

	if (PageIsNew(page) || PageGetSpecialSize(page) != MAXALIGN(sizeof(VecxPageOpaqueData)) ||
		VecxPageGetOpaque(page)->kind != VECX_PAGE_BEHIND ||
		VecxBehindPageHeader(page)->owner != owner ||
		VecxBehindPageHeader(page)->place != row / lists->behind_rows)
		return NULL;
	entry = entry_of(lists, page, row);
	if ((char *) entry + lists->behind_bytes - (char *) page > ((PageHeader) page)->pd_lower ||
		!ItemPointerEquals(unconstify(ItemPointerData *, &entry->tid), unconstify(ItemPointerData *, tid)))
		return NULL;
	return entry;
}

/*
 * The BEHIND page for a row of a locked LIST page, exclusively locked.  *fresh: there
 * was none, and it is to be initialised and named.
 */
static Buffer
lock_behind(VecxIndex *index, Buffer list_buf, int row, bool *fresh)
{
	BlockNumber blkno = VecxListPageBehind(BufferGetPage(list_buf))[row / index->lists->behind_rows];

	*fresh = blkno == InvalidBlockNumber;
	if (*fresh)
		return VecxTakeFreePage(index);
	/* of a damaged index; the list's page is locked here, and maybe its first */
	if (blkno == BufferGetBlockNumber(list_buf) ||
		blkno == VecxListPageHeader(BufferGetPage(list_buf))->head || blkno >= RelationGetNumberOfBlocks(index->rel))
		VecxCorrupted(index->rel, BufferGetBlockNumber(list_buf), "what is behind a list is not there");
	return VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_BEHIND);
}

/*
 * Begins a change of a locked LIST page, which is returned, with what belongs to a
 * row.  *behind is InvalidBuffer if nothing does; else it is to be unlocked after the
 * commit.
 */
static Page
begin_change(VecxIndex *index, VecxPageChange *change, Buffer buf, int row, const VecxListItem *item,
			 Buffer *behind)
{
	const VecxLists *lists = index->lists;
	Page		page;
	bool		fresh;

	*behind = InvalidBuffer;
	if (lists->behind_bytes == 0)
	{
		VecxPageBegin(change, index->rel, buf, index->mode, false);
		return change->page;
	}
	*behind = lock_behind(index, buf, row, &fresh);
	VecxPageBegin(change, index->rel, *behind, index->mode, fresh);
	page = VecxPageJoin(change, buf);
	if (fresh)
	{
		init_page(change->page, BufferGetBlockNumber(buf), row / lists->behind_rows);
		VecxListPageBehind(page)[row / lists->behind_rows] = BufferGetBlockNumber(*behind);
	}
	put_entry(lists, change->page, row, item);
	return page;
}

/* Adds a row to a locked page that has room. */
void
VecxListAppend(VecxIndex *index, Buffer buf, const VecxListItem *item)
{
	int			nrows = VecxListPageHeader(BufferGetPage(buf))->nrows;
	VecxPageChange change;
	Buffer		behind;
	Page		page = begin_change(index, &change, buf, nrows, item, &behind);

	VecxListSetRows(index->lists, page, nrows + 1);
	VecxListPut(index->lists, page, nrows, item);
	VecxPageCommit(&change);
	if (BufferIsValid(behind))
		UnlockReleaseBuffer(behind);
}

/* Puts what is behind the first rows of a locked page, which has none yet; the rows
 * themselves follow.  items lie item_bytes apart. */
void
VecxListFillBehind(VecxIndex *index, Buffer buf, const char *items, int nitems)
{
	const VecxLists *lists = index->lists;

	for (int row = 0; row < nitems && lists->behind_bytes > 0;)
	{
		const VecxListItem *item = (const VecxListItem *) (items + lists->item_bytes * row);
		VecxPageChange change;
		Buffer		behind;

		(void) begin_change(index, &change, buf, row++, item, &behind);
		for (; row < nitems && row % lists->behind_rows != 0; row++)
			put_entry(lists, change.page, row,
					  (const VecxListItem *) (items + lists->item_bytes * row));
		VecxPageCommit(&change);
		UnlockReleaseBuffer(behind);
	}
}

/* Reads a row of a locked page with all that is behind it. */
static void
get_row(VecxIndex *index, Buffer buf, int row, VecxListItem *item)
{
	const VecxLists *lists = index->lists;
	const VecxBehindEntry *entry;
	bool		fresh;
	Buffer		behind;

	VecxListGet(lists, BufferGetPage(buf), row, item);
	behind = lock_behind(index, buf, row, &fresh);
	entry = fresh ? NULL : VecxBehindFind(lists, BufferGetPage(behind), BufferGetBlockNumber(buf), row,
										  &VecxListItemRow(item)->tid);
	if (!entry)
		VecxCorrupted(index->rel, BufferGetBlockNumber(buf), "a row of a list lacks what is behind it");
	memcpy(VecxListItemExtra(lists, item), entry->bytes, VecxListExtraBytes(lists));
	UnlockReleaseBuffer(behind);
}

/* The last row, at from, takes the place of another. */
static void
move_row(VecxIndex *index, Buffer buf, int from, int to, VecxListItem *item)
{
	VecxPageChange change;
	Buffer		behind;
	Page		page;

	get_row(index, buf, from, item);
	page = begin_change(index, &change, buf, to, item, &behind);
	VecxListPut(index->lists, page, to, item);
	VecxListSetRows(index->lists, page, from);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(behind);
}

/*
 * The next gone row whose place the last row takes, from *to on; *end is then the latter.
 * False if there is none; *end is how many rows are left.
 */
static bool
next_move(const bool *gone, int *to, int *end)
{
	for (; *to < *end; (*to)++)
	{
		if (!gone[*to])
			continue;
		while (*end > *to && gone[*end - 1])
			(*end)--;
		if (*end <= *to)
			return false;
		(*end)--;
		return true;
	}
	return false;
}

/* The same where nothing is behind: all in one change. */
static void
remove_plain(VecxIndex *index, Buffer buf, const bool *gone, VecxListItem *item)
{
	const VecxLists *lists = index->lists;
	VecxPageChange change;
	int			end;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	end = VecxListPageHeader(change.page)->nrows;
	for (int to = 0; next_move(gone, &to, &end); to++)
	{
		VecxListGet(lists, change.page, end, item);
		VecxListPut(lists, change.page, to, item);
	}
	VecxListSetRows(lists, change.page, end);
	VecxPageCommit(&change);
}

static void
cut_rows(VecxIndex *index, Buffer buf, int nrows)
{
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxListSetRows(index->lists, change.page, nrows);
	VecxPageCommit(&change);
}

/* Removes rows of a locked page; the last ones take their places. */
void
VecxListRemove(VecxIndex *index, Buffer buf, const bool *gone)
{
	VecxListItem *item = palloc0(index->lists->item_bytes);
	int			end = VecxListPageHeader(BufferGetPage(buf))->nrows;

	if (index->lists->behind_bytes == 0)
		remove_plain(index, buf, gone, item);
	else
	{
		for (int to = 0; next_move(gone, &to, &end); to++)
			move_row(index, buf, end, to, item);
		if (VecxListPageHeader(BufferGetPage(buf))->nrows > end)
			cut_rows(index, buf, end);
		VecxListDropBehind(index, buf, end);
	}
	pfree(item);
}

/* Frees the BEHIND pages of a locked page beyond those of its first nrows rows. */
void
VecxListDropBehind(VecxIndex *index, Buffer buf, int nrows)
{
	const VecxLists *lists = index->lists;
	int			first;

	if (lists->behind_bytes == 0)
		return;
	first = (nrows + lists->behind_rows - 1) / lists->behind_rows;
	for (int place = first; place < lists->behind_pages; place++)
	{
		BlockNumber blkno = VecxListPageBehind(BufferGetPage(buf))[place];
		VecxPageChange change;
		Buffer		behind;
		bool		fresh;

		if (blkno == InvalidBlockNumber)
			continue;
		behind = lock_behind(index, buf, place * lists->behind_rows, &fresh);
		VecxPageBegin(&change, index->rel, behind, index->mode, true);
		VecxListPageBehind(VecxPageJoin(&change, buf))[place] = InvalidBlockNumber;
		VecxPageInit(change.page, VECX_PAGE_VERTEX);
		VecxPageCommit(&change);
		UnlockReleaseBuffer(behind);
		VecxGiveBackPage(index->rel, blkno);
	}
}

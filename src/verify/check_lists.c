/*
 * check_lists.c
 *    Checks posting lists: each page by itself, and the pages of a list from its
 *    centroid on.  A row is in a list once, and one of its entries is no copy.
 *
 * What a crash may leave is no damage: pages that no centroid leads to, a tail
 * that lags, rows both in a list that was being split and in one of the new ones.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "verify/verify.h"

struct VecxListCheck
{
	VecxIndex  *index;
	BlockNumber nblocks;
	VecxRowCheck *rows;
	VecxIdSet	met;			/* pages of lists */
	VecxListItem *item;
	ItemPointerData *tids;		/* of the list at hand */
	int			ntids;
	int			tids_cap;
};

VecxListCheck *
VecxListCheckMake(VecxIndex *index, BlockNumber nblocks, VecxRowCheck *rows)
{
	VecxListCheck *c = palloc0(sizeof(VecxListCheck));

	c->index = index;
	c->nblocks = nblocks;
	c->rows = rows;
	c->item = palloc0(index->lists->item_bytes);
	VecxIdSetInit(&c->met, CurrentMemoryContext, nblocks);
	return c;
}

static void
check_item(VecxListCheck *c, BlockNumber blkno, int row)
{
	const VecxListCode *code = &c->index->lists->code;
	VecxListEntry entry;

	entry.add = c->item->add;
	entry.rescale = c->item->rescale;
	entry.sigma = c->item->sigma;
	entry.codes = VecxListItemCodes(c->index->lists, c->item);
	entry.extra = NULL;
	if (!vecx_list_entry_check(code, &entry))
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a row's code is not one",
				   "row=%d", row);
}

/* What is behind the rows of a page, as far as it is on one BEHIND page. */
static void
check_behind_rows(VecxListCheck *c, BlockNumber blkno, Page page, int place)
{
	const VecxLists *lists = c->index->lists;
	int			nrows = VecxListPageHeader(page)->nrows;
	BlockNumber behind = VecxListPageBehind(page)[place];
	int			row = place * lists->behind_rows;
	Buffer		buf;

	if (behind == InvalidBlockNumber && row >= nrows)
		return;
	if (behind == VECX_META_BLKNO || behind >= c->nblocks)
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a list leads out of the index",
				   "place=%d behind=%u", place, behind);
	buf = ReadBuffer(c->index->rel, behind);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	for (; row < nrows && row / lists->behind_rows == place; row++)
	{
		const VecxBehindEntry *entry = VecxBehindFind(lists, BufferGetPage(buf), blkno, row,
													  &VecxListRow(lists, page, row)->tid);

		if (!entry)
			VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a row of a list lacks what is behind it",
					   "row=%d behind=%u", row, behind);
		if (!vecx_list_extra_check(&lists->code, entry->bytes) ||
			(lists->has_copies &&
			 !vecx_code_check(&lists->copies, entry->bytes + lists->code.extra_bytes)))
			VecxDamage(c->index->rel, behind, InvalidOffsetNumber, "what is behind a row is not a code",
					   "row=%d of page=%u", row, blkno);
	}
	UnlockReleaseBuffer(buf);
}

/* A private copy of a page. */
void
VecxListCheckPage(VecxListCheck *c, BlockNumber blkno, Page page)
{
	const VecxLists *lists = c->index->lists;
	VecxListPage header = VecxListPageHeader(page);

	if (((PageHeader) page)->pd_lower < VecxListUsed(lists, 0) || header->nrows > lists->page_rows)
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a page has more rows than room",
				   "nrows=%u", header->nrows);
	if (((PageHeader) page)->pd_lower != VecxListUsed(lists, header->nrows))
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber,
				   "a page's free space is not where it should be", "nrows=%u pd_lower=%u",
				   header->nrows, ((PageHeader) page)->pd_lower);
	if (header->head == VECX_META_BLKNO || header->head >= c->nblocks ||
		(header->flags & ~(VECX_LIST_CLOSED | VECX_LIST_MOVED | VECX_LIST_LEFT | VECX_LIST_LEAVING)) != 0 ||
		(VecxListIsRetired(header) && header->nrows > 0) ||
		((header->flags & VECX_LIST_LEAVING) && header->stamp == 0))
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a page of a list has a header that cannot be",
				   "head=%u flags=%u nrows=%u stamp=" UINT64_FORMAT,
				   header->head, header->flags, header->nrows, header->stamp);
	for (int row = 0; row < header->nrows; row++)
	{
		VecxListGet(lists, page, row, c->item);
		check_item(c, blkno, row);
		if ((VecxListItemRow(c->item)->flags & (VECX_ROW_LEAVING | VECX_ROW_STAYS)) &&
			!(header->flags & VECX_LIST_LEAVING))
			VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a row that leaves is on a page without such rows",
					   "row=%d", row);
	}
	for (int place = 0; place < lists->behind_pages; place++)
		check_behind_rows(c, blkno, page, place);
}

/* A private copy of a BEHIND page: that of a row, or of none by now. */
void
VecxListCheckBehind(VecxListCheck *c, BlockNumber blkno, Page page)
{
	VecxBehindPage header = VecxBehindPageHeader(page);
	bool		named = false;
	Buffer		buf;

	if (header->owner == VECX_META_BLKNO || header->owner >= c->nblocks ||
		header->place >= c->index->lists->behind_pages)
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a page behind a list has a header that cannot be",
				   "owner=%u place=%u", header->owner, header->place);
	buf = ReadBuffer(c->index->rel, header->owner);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	if (VecxListGetPage(c->index, BufferGetPage(buf), header->owner))
		named = VecxListPageBehind(BufferGetPage(buf))[header->place] == blkno;
	UnlockReleaseBuffer(buf);
	if (!named)
		VecxDamage(c->index->rel, blkno, InvalidOffsetNumber, "a page is behind none of a list",
				   "owner=%u place=%u", header->owner, header->place);
}

/* Notes the TIDs of a page of the list at hand. */
static void
note_tids(VecxListCheck *c, const VecxRowEntry *rows, int nrows)
{
	if (c->ntids + nrows > c->tids_cap)
	{
		c->tids_cap = Max(c->tids_cap * 2, c->ntids + nrows);
		c->tids = c->tids ? repalloc_huge(c->tids, sizeof(ItemPointerData) * c->tids_cap) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(ItemPointerData) * c->tids_cap);
	}
	for (int i = 0; i < nrows; i++)
		c->tids[c->ntids++] = VecxRowAt(rows, c->index->lists->row_size, i)->tid;
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

static void
check_tids(VecxListCheck *c, BlockNumber head)
{
	qsort(c->tids, c->ntids, sizeof(ItemPointerData), compare_tids);
	for (int i = 1; i < c->ntids; i++)
		if (ItemPointerEquals(&c->tids[i], &c->tids[i - 1]))
			VecxDamage(c->index->rel, head, InvalidOffsetNumber, "a list has a row twice",
					   "tid=(%u,%u)", ItemPointerGetBlockNumber(&c->tids[i]),
					   ItemPointerGetOffsetNumber(&c->tids[i]));
}

/* The list that the centroid at blkno and off leads to. */
void
VecxListCheckList(VecxListCheck *c, BlockNumber centroid, OffsetNumber off, BlockNumber head)
{
	Relation	rel = c->index->rel;
	const VecxLists *lists = c->index->lists;
	VecxRowEntry *rows = palloc(lists->row_size * lists->page_rows);
	BlockNumber blkno = head;
	BlockNumber tail = InvalidBlockNumber;
	bool		closed = false;
	bool		met_tail = false;

	c->ntids = 0;
	while (blkno != InvalidBlockNumber)
	{
		Buffer		buf;
		Page		page;
		VecxListPage header;
		int			nrows;
		BlockNumber next;

		CHECK_FOR_INTERRUPTS();
		if (blkno == VECX_META_BLKNO || blkno >= c->nblocks)
			VecxDamage(rel, centroid, off, "a list leads out of the index", "head=%u page=%u", head, blkno);
		if (!VecxIdSetAdd(&c->met, VecxIdMake(blkno, FirstOffsetNumber)))
			VecxDamage(rel, centroid, off, "a page is in a list twice, or in two", "head=%u page=%u",
					   head, blkno);
		buf = ReadBuffer(rel, blkno);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buf);
		header = VecxListGetPage(c->index, page, blkno);
		if (!header || header->head != head || VecxListIsRetired(header))
			VecxDamage(rel, centroid, off, "a page is of another list than its chain says",
					   "head=%u page=%u", head, blkno);
		if (blkno == head)
		{
			tail = header->tail;
			closed = (header->flags & VECX_LIST_CLOSED) != 0;
		}
		met_tail |= blkno == tail;
		nrows = header->nrows;
		for (int i = 0; i < nrows; i++)
			memcpy(VecxRowAt(rows, lists->row_size, i), VecxListRow(lists, page, i), lists->row_size);
		next = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
		VecxRowCheckAdd(c->rows, VecxIdMake(blkno, FirstOffsetNumber),
						closed ? VECX_CHECK_LEFT_BEHIND : 0, blkno, InvalidOffsetNumber, rows, nrows);
		note_tids(c, rows, nrows);
		blkno = next;
	}
	if (!met_tail)
		VecxDamage(rel, head, InvalidOffsetNumber, "the tail of a list is not in it", "tail=%u", tail);
	check_tids(c, head);
	pfree(rows);
}

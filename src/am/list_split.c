/*
 * list_split.c
 *    Makes several lists of one that has grown too long.
 *
 * The command that made it so does it, under the training lock: so VACUUM, which
 * has to see every row, never runs meanwhile.  README.md has the steps, and what
 * a crash leaves after each.
 *
 * Rows are coded anew, by their values in the table.  A row whose value cannot be
 * read, because another transaction is still inserting it or because it is dead,
 * stays where it is.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "code/code_cluster.h"

/* Rows whose values decide about the new lists, at most. */
#define MAX_SAMPLE		4096

/* Lists that one is split into, at most. */
#define MAX_PARTS		64

/* One of the new lists. */
typedef struct Part
{
	uint8	   *code;			/* of the centroid */
	BlockNumber head;
	int			nitems;
	int			items_cap;
	char	   *items;
} Part;

typedef struct Split
{
	VecxIndex  *index;
	BlockNumber head;
	MemoryContext row_cxt;		/* of one row */
	VecxExact  *exact;
	VecxTrainEnv env;
	int			nrows;			/* of the old list */
	Size		row_size;
	VecxRowEntry *rows;
	bool	   *moved;			/* [nrows] */
	int			nparts;
	Part	   *parts;
	VecxPoints	centres;		/* of the parts */
	VecxListEncoder *encoders;
	float	   *work;
} Split;

/* Changes the header of a list's first page; false if the list is closed. */
static bool
edit_head(VecxIndex *index, BlockNumber head, bool close, uint32 split_pages)
{
	Buffer		buf = VecxReadPage(index->rel, head, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxListPage header = VecxListGetPage(index, BufferGetPage(buf), head);
	bool		open = header && header->head == head && !(header->flags & VECX_LIST_CLOSED);

	if (open == close)
	{
		VecxPageChange change;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		header = VecxListPageHeader(change.page);
		if (close)
			header->flags |= VECX_LIST_CLOSED;
		else
			header->flags &= ~VECX_LIST_CLOSED;
		header->split_pages = split_pages;
		VecxPageCommit(&change);
	}
	UnlockReleaseBuffer(buf);
	return open;
}

/* Whether the list is open and longer than it may be. */
static bool
is_due(VecxIndex *index, BlockNumber head)
{
	Buffer		buf = ReadBuffer(index->rel, head);
	VecxListPage header;
	bool		due;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	header = VecxListGetPage(index, BufferGetPage(buf), head);
	due = header && header->head == head && !(header->flags & VECX_LIST_CLOSED) &&
		header->npages > Max(VecxListMostPages(index->lists), header->split_pages);
	UnlockReleaseBuffer(buf);
	return due;
}

/* Copies the row entries of the closed list. */
static void
read_rows(Split *s)
{
	VecxIndex  *index = s->index;
	BlockNumber blkno = s->head;
	BlockNumber steps = RelationGetNumberOfBlocks(index->rel);
	int			cap = 1024;

	s->rows = palloc(s->row_size * cap);
	while (blkno != InvalidBlockNumber)
	{
		Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_LIST);
		Page		page = BufferGetPage(buf);
		VecxListPage header = VecxListGetPage(index, page, blkno);

		if (header->head != s->head || steps-- == 0)
			VecxCorrupted(index->rel, blkno, "a page is of another list than its chain says");
		for (int i = 0; i < header->nrows; i++)
		{
			if (s->nrows == cap)
			{
				cap *= 2;
				s->rows = repalloc_huge(s->rows, s->row_size * cap);
			}
			memcpy(VecxRowAt(s->rows, s->row_size, s->nrows++), VecxListRow(index->lists, page, i),
				   s->row_size);
		}
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
		CHECK_FOR_INTERRUPTS();
	}
	s->moved = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(bool) * Max(s->nrows, 1),
										  MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
}

/* The vector of a row, until row_cxt is reset; NULL if it cannot be read. */
static const float *
read_vector(Split *s, ItemPointer tid)
{
	MemoryContext old;
	VecxInput	input;
	Datum		value;
	bool		isnull;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(s->row_cxt);
	old = MemoryContextSwitchTo(s->row_cxt);
	found = VecxExactFetch(s->exact, tid, &value, &isnull) && !isnull;
	if (found)
	{
		VecxPrepareInput(s->index, value, &input);
		found = input.kind == VECX_INPUT_OK;
	}
	MemoryContextSwitchTo(old);
	return found ? input.vec : NULL;
}

/*
 * Decides about the new lists by a sample of the rows: as many as give lists of
 * the usual length.  False if the rows are all the same.
 */
static bool
find_parts(Split *s)
{
	VecxIndex  *index = s->index;
	uint32		dim = index->meta.dim;
	int			most = Min(MAX_SAMPLE, s->nrows);
	uint32		k = (uint32) Min(Max(s->nrows / index->lists->list_entries, 2), MAX_PARTS);
	float	   *centre = palloc(sizeof(float) * dim);
	uint32	   *of = palloc(sizeof(uint32) * Max(most, 1));
	float	   *centres;
	VecxPoints	points;

	vecx_cluster_alloc(&s->env, dim, most, &points);
	s->work = palloc(sizeof(float) * points.nbytes);
	centres = palloc(sizeof(float) * k * points.nbytes);
	points.count = 0;
	for (int i = 0; i < most; i++)
	{
		int			row = (int) ((int64) s->nrows * i / most);
		const float *x = read_vector(s, &VecxRowAt(s->rows, s->row_size, row)->tid);

		if (x)
			vecx_cluster_put(&points, points.count++, dim, NULL, x, s->work);
	}
	if (points.count < k)
		return false;
	s->nparts = (int) vecx_kmeans(&s->env, &points, k, index->meta.seed, of, centres);
	if (s->nparts < 2)
		return false;
	s->parts = palloc0(sizeof(Part) * s->nparts);
	s->encoders = palloc(sizeof(VecxListEncoder) * s->nparts);
	vecx_cluster_alloc(&s->env, dim, s->nparts, &s->centres);
	for (int p = 0; p < s->nparts; p++)
	{
		s->parts[p].code = palloc0(index->coder.nbytes);
		vecx_code_encode(&index->coder, centres + p * points.nbytes, s->parts[p].code);
		vecx_code_decode(&index->coder, s->parts[p].code, centre);
		vecx_cluster_put(&s->centres, p, dim, NULL, centre, s->work);
		VecxListEncoderInit(&s->encoders[p], index);
		VecxListEncoderUse(&s->encoders[p], centre);
	}
	return true;
}

static VecxListItem *
new_item(Split *s, Part *part)
{
	Size		bytes = s->index->lists->item_bytes;

	if (part->nitems == part->items_cap)
	{
		part->items_cap = Max(part->items_cap * 2, 64);
		part->items = part->items ?
			repalloc_huge(part->items, bytes * part->items_cap) :
			MemoryContextAllocHuge(CurrentMemoryContext, bytes * part->items_cap);
	}
	return (VecxListItem *) (part->items + bytes * part->nitems++);
}

/* Codes each row for the nearest of the new centroids. */
static void
assign_rows(Split *s)
{
	float	   *dist = palloc(sizeof(float) * s->nparts);
	VecxPoints	point;

	vecx_cluster_alloc(&s->env, s->index->meta.dim, 1, &point);
	for (int i = 0; i < s->nrows; i++)
	{
		const float *x = read_vector(s, &VecxRowAt(s->rows, s->row_size, i)->tid);
		VecxListItem *item;
		int			best = 0;

		if (!x)
			continue;
		vecx_cluster_put(&point, 0, s->index->meta.dim, NULL, x, s->work);
		vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, &point, 0, 1, &s->centres, dist);
		for (int p = 1; p < s->nparts; p++)
			if (dist[p] < dist[best])
				best = p;
		item = new_item(s, &s->parts[best]);
		memcpy(VecxListItemRow(item), VecxRowAt(s->rows, s->row_size, i), s->row_size);
		VecxListEncode(&s->encoders[best], x, NULL, item);
		s->moved[i] = true;
	}
}

/* Writes a page of a new list. */
static void
write_page(Split *s, const Part *part, const BlockNumber *blocks, int npages, int at, BlockNumber sibling)
{
	VecxIndex  *index = s->index;
	const VecxLists *lists = index->lists;
	int			first = at * lists->page_rows;
	int			nrows = Max(Min(part->nitems - first, lists->page_rows), 0);
	Buffer		buf = ReadBuffer(index->rel, blocks[at]);
	VecxPageChange change;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	VecxPageBegin(&change, index->rel, buf, index->mode, true);
	VecxListPageInit(change.page, blocks[0]);
	VecxListSetRows(lists, change.page, nrows);
	for (int row = 0; row < nrows; row++)
		VecxListPut(lists, change.page, row,
					(VecxListItem *) (part->items + lists->item_bytes * (first + row)));
	if (at < npages - 1)
		VecxPageGetOpaque(change.page)->next = blocks[at + 1];
	if (at == 0)
	{
		VecxListPageHeader(change.page)->tail = blocks[npages - 1];
		VecxListPageHeader(change.page)->npages = (uint32) npages;
		VecxListPageHeader(change.page)->sibling = sibling;
	}
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/*
 * Writes a new list that nothing leads to yet.  Its pages are made first, empty, so
 * that each is written knowing the others; scans take no notice of empty pages.
 */
static void
write_part(Split *s, Part *part, BlockNumber sibling)
{
	VecxIndex  *index = s->index;
	int			page_rows = index->lists->page_rows;
	int			npages = Max((part->nitems + page_rows - 1) / page_rows, 1);
	BlockNumber *blocks = palloc(sizeof(BlockNumber) * npages);

	for (int i = 0; i < npages; i++)
	{
		Buffer		buf = VecxTakeFreePage(index);
		VecxPageChange change;

		CHECK_FOR_INTERRUPTS();
		blocks[i] = BufferGetBlockNumber(buf);
		VecxPageBegin(&change, index->rel, buf, index->mode, true);
		VecxListPageInit(change.page, blocks[0]);
		VecxPageCommit(&change);
		UnlockReleaseBuffer(buf);
	}
	for (int i = 0; i < npages; i++)
		write_page(s, part, blocks, npages, i, sibling);
	part->head = blocks[0];
	pfree(blocks);
}

/* From now on the list's rows may be met in the new lists as well: it must stay
 * closed. */
static void
note_copied(VecxIndex *index, BlockNumber head, BlockNumber forward)
{
	Buffer		buf = VecxReadPage(index->rel, head, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxListPageHeader(change.page)->forward = forward;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* Removes what was copied from a page of the old list, and says where it went.
 * Rows are in the order in which read_rows met them, from *at on. */
static BlockNumber
empty_page(Split *s, BlockNumber blkno, int *at)
{
	VecxIndex  *index = s->index;
	VecxListItem *item = palloc0(index->lists->item_bytes);
	Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;
	int			nrows;
	int			kept = 0;
	BlockNumber next;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	nrows = VecxListPageHeader(change.page)->nrows;
	for (int i = 0; i < nrows; i++)
	{
		if (s->moved[(*at)++])
			continue;
		if (kept < i)
		{
			VecxListGet(index->lists, change.page, i, item);
			VecxListPut(index->lists, change.page, kept, item);
		}
		kept++;
	}
	VecxListSetRows(index->lists, change.page, kept);
	VecxListPageHeader(change.page)->forward = s->parts[0].head;
	VecxListPageHeader(change.page)->flags |= VECX_LIST_MOVED;
	next = VecxPageGetOpaque(change.page)->next;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
	pfree(item);
	return next;
}

/* Writes the new lists, then their centroids, then empties the old pages. */
static void
move_rows(Split *s)
{
	VecxIndex  *index = s->index;
	BlockNumber blkno = s->head;
	BlockNumber sibling = InvalidBlockNumber;
	int			at = 0;

	for (int p = s->nparts - 1; p >= 0; p--)
	{
		write_part(s, &s->parts[p], sibling);
		sibling = s->parts[p].head;
	}
	note_copied(index, s->head, s->parts[0].head);
	for (int p = 0; p < s->nparts; p++)
		VecxInsertCentroid(index, s->parts[p].code, s->parts[p].head);
	while (blkno != InvalidBlockNumber)
	{
		CHECK_FOR_INTERRUPTS();
		blkno = empty_page(s, blkno, &at);
	}
}

/* Marks the centroid of an empty list as a vertex without rows; VACUUM removes it. */
static void
mark_dead(VecxIndex *index, VecxId id, BlockNumber head)
{
	Buffer		buf = ReadBuffer(index->rel, VecxIdBlock(id));
	VecxRecord	rec;
	Size		size;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	if (rec && rec->level == 0 && rec->nrows == 1 && !(rec->flags & VECX_RECORD_DEAD) &&
		VecxListOfTid(&VecxRecordRows(&index->layout, rec)[0].tid) == head)
	{
		VecxPageChange change;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		VecxGetRecord(index, change.page, id, &size)->flags |= VECX_RECORD_DEAD;
		VecxPageCommit(&change);
	}
	UnlockReleaseBuffer(buf);
}

static void
split(VecxIndex *index, Relation heap, VecxId centroid, BlockNumber head)
{
	Split		s;
	int			nmoved = 0;

	memset(&s, 0, sizeof(s));
	s.index = index;
	s.head = head;
	s.row_size = index->lists->row_size;
	s.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx row of a list", ALLOCSET_DEFAULT_SIZES);
	s.exact = VecxExactMake(heap, index->rel, NULL);
	VecxTrainEnvInit(&s.env, CurrentMemoryContext);
	read_rows(&s);
	if (s.nrows > index->lists->list_entries && find_parts(&s))
	{
		assign_rows(&s);
		VecxExactReset(s.exact);
		move_rows(&s);
	}
	else
		/* few in many pages, all the same, or nobody's yet: try again when it is
		 * twice as long */
		edit_head(index, head, false, 2 * (uint32) ((s.nrows + index->lists->page_rows - 1) /
													index->lists->page_rows));
	VecxExactEnd(s.exact);
	for (int i = 0; i < s.nrows; i++)
		nmoved += s.moved[i];
	if (s.nparts > 1 && nmoved == s.nrows)
		mark_dead(index, centroid, head);
}

/*
 * Splits a list if it is too long, unless VACUUM or another split is at work: then
 * the next row that finds it so will see to it.
 */
void
VecxListMaybeSplit(VecxIndex *index, Relation heap, VecxId centroid, BlockNumber head)
{
	MemoryContext cxt;
	MemoryContext old;

	if (!is_due(index, head) || !VecxTryTrainLock(index))
		return;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx split", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	if (is_due(index, head) && edit_head(index, head, true, 0))
		split(index, heap, centroid, head);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	VecxTrainUnlock(index);
}

/*
 * list_split.c
 *    Makes new lists of the rows of others: several of one that has grown too long,
 *    and for list_merge.c one or so of some that have become short.
 *
 * It is done under the training lock: a list is split by the command that made it too
 * long, while no VACUUM, which has to see every row, is at work, or by VACUUM itself
 * when it has seen them.  README.lists.md has the steps, and what a crash leaves after
 * each.
 *
 * Rows are coded anew, by their values in the table.  A row whose value cannot be
 * read, because another transaction is still inserting it or because it is dead,
 * stays where it is.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list_split.h"

/* Rows whose values decide about the new lists, at most. */
#define MAX_SAMPLE		4096

/* Another try is made if a part has less than one of so many of its share of the rows;
 * none is split with less than the other, at last. */
#define GOOD_PART		3
#define LEAST_PART		32
#define MOST_TRIES		8

/* Lists whose rows are read in any case, and at most, by their usual length: while they are written
 * nobody can interrupt. */
#define USUAL_LISTS		8
#define MOST_LISTS		64

/* Lists that one is split into, at most. */
#define MAX_PARTS		64

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

/* Whether a list is open; *header becomes a copy of its first page's then. */
bool
VecxListIsOpen(VecxIndex *index, BlockNumber head, VecxListPageData *header)
{
	Buffer		buf = VecxPinPage(index->rel, head);
	VecxListPage there;
	bool		open;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	there = VecxListGetPage(index, BufferGetPage(buf), head);
	open = there && there->head == head && !(there->flags & VECX_LIST_CLOSED);
	if (open)
		*header = *there;
	UnlockReleaseBuffer(buf);
	return open;
}

/* Whether the list is open and longer than it may be; *npages is how long. */
static bool
is_due(VecxIndex *index, BlockNumber head, uint32 *npages)
{
	VecxListPageData header;
	bool		open = VecxListIsOpen(index, head, &header);

	*npages = open ? header.npages : 0;
	return open && header.npages > Max(VecxListMostPages(index->lists), header.split_pages);
}

/* Copies the row entries of a page; *cap is what there is room for. */
static void
read_entries(VecxListSplitState *s, Page page, int *cap)
{
	VecxListPage header = VecxListPageHeader(page);
	bool		left = VecxListIsLeft(header);

	while (s->nrows + header->nrows > *cap)
	{
		*cap *= 2;
		s->rows = repalloc_huge(s->rows, s->row_size * *cap);
		s->done = repalloc_huge(s->done, sizeof(bool) * *cap);
	}
	for (int i = 0; i < header->nrows; i++, s->nrows++)
	{
		VecxRowEntry *row = VecxListRow(s->index->lists, page, i);

		memcpy(VecxRowAt(s->rows, s->row_size, s->nrows), row, s->row_size);
		s->nown += VecxRowIsOwn(row);
		s->done[s->nrows] = left && VecxListRowIsLeft(row);
		if (left && (row->flags & VECX_ROW_LEAVING))
			VecxRowAt(s->rows, s->row_size, s->nrows)->flags = VECX_ROW_COPY;
	}
}

typedef struct Entry
{
	ItemPointerData tid;
	int			use;			/* of several entries of a row the one of the least goes on */
	int			row;
} Entry;

/*
 * Rows that there is memory for.  A list grows for as long as VACUUM keeps it from being
 * split; what is more stays in the old list, as what cannot be read does.
 */
static int
most_rows(const VecxLists *lists)
{
	Size		each = lists->row_size + 2 * lists->item_bytes + sizeof(Entry) + sizeof(VecxListArrival) +
		2 * sizeof(ItemPointerData);

	return (int) Min(Max((Size) VecxMaintenanceMemory() * 1024 / each, (Size) lists->list_entries * USUAL_LISTS),
					 Min((Size) lists->list_entries * MOST_LISTS, INT_MAX / 2));
}

/* Copies the row entries of a closed list. */
static void
read_list(VecxListSplitState *s, BlockNumber head, int *cap)
{
	VecxIndex  *index = s->index;
	BlockNumber blkno = head;
	BlockNumber steps = RelationGetNumberOfBlocks(index->rel);

	while (blkno != InvalidBlockNumber)
	{
		Buffer		buf;
		Page		page;
		VecxListPage header;

		if (s->nrows >= s->most_rows)
		{
			s->partial = true;
			break;
		}
		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_LIST);
		page = BufferGetPage(buf);
		header = VecxListGetPage(index, page, blkno);
		VecxListCheckChain(index, header, head, blkno, &steps);
		if (blkno == head && header->forward != InvalidBlockNumber)
			s->forward = header->forward;
		read_entries(s, page, cap);
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
		CHECK_FOR_INTERRUPTS();
	}
}

static int
compare_entries(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;
	int			order = ItemPointerCompare((ItemPointer) &x->tid, (ItemPointer) &y->tid);

	return order != 0 ? order : x->use - y->use;
}

/* Scans may depend on an entry that is LEAVING, but not on a copy; nobody on one that is done. */
static int
use_of(const VecxListSplitState *s, int i)
{
	uint16		flags = VecxRowAt(s->rows, s->row_size, i)->flags;

	return s->done[i] ? 3 : flags & VECX_ROW_COPY ? 2 : flags & VECX_ROW_LEAVING ? 1 : 0;
}

/* A row that has several entries in the lists goes on with one: the row's own, if that
 * is among them. */
static void
find_twins(VecxListSplitState *s)
{
	Entry	   *entries = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Entry) * Max(s->nrows, 1));

	for (int i = 0; i < s->nrows; i++)
	{
		const VecxRowEntry *row = VecxRowAt(s->rows, s->row_size, i);

		entries[i] = (Entry) {row->tid, use_of(s, i), i};
		s->twin[i] = -1;
	}
	qsort(entries, s->nrows, sizeof(Entry), compare_entries);
	for (int i = 0; i < s->nrows; i++)
	{
		s->tids[i] = entries[i].tid;
		if (i > 0 && ItemPointerEquals(&entries[i].tid, &entries[i - 1].tid))
		{
			int			before = entries[i - 1].row;

			s->twin[entries[i].row] = s->twin[before] >= 0 ? s->twin[before] : before;
		}
	}
	pfree(entries);
}

/* Copies the row entries of the closed lists. */
static void
read_rows(VecxListSplitState *s)
{
	int			cap = 1024;

	s->rows = palloc(s->row_size * cap);
	s->done = palloc(sizeof(bool) * cap);
	s->end = palloc(sizeof(int) * s->nold);
	for (int i = 0; i < s->nold; i++)
	{
		int			before = s->nrows;

		read_list(s, s->old[i].head, &cap);
		s->end[i] = s->nrows;
		/* lists of which nothing is read stay as they are */
		if (s->partial)
			s->nold = s->nrows > before ? i + 1 : i;
	}
	s->moved = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(bool) * Max(s->nrows, 1),
										  MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	s->twin = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * Max(s->nrows, 1));
	s->tids = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(ItemPointerData) * Max(s->nrows, 1));
	find_twins(s);
}

/* The vector of a row, until the next is asked for; NULL if it cannot be read. */
const float *
VecxListSplitVector(VecxListSplitState *s, ItemPointer tid)
{
	MemoryContext old;
	VecxInput	input;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(s->row_cxt);
	old = MemoryContextSwitchTo(s->row_cxt);
	found = VecxExactVector(s->exact, s->index, tid, &input);
	MemoryContextSwitchTo(old);
	return found ? input.vec : NULL;
}

/* Rows in the smallest of n clusters. */
static uint32
smallest(const uint32 *of, size_t count, uint32 n, uint32 *counts)
{
	uint32		least = (uint32) count;

	memset(counts, 0, sizeof(uint32) * n);
	for (size_t i = 0; i < count; i++)
		counts[of[i]]++;
	for (uint32 c = 0; c < n; c++)
		least = Min(least, counts[c]);
	return least;
}

/*
 * Makes about k clusters, in some tries: k-means of few centres may end with one that has
 * next to nothing, and single rows are nothing to take off a long list.  One cluster if
 * there is nothing better.  Returns how many.
 */
static int
cluster(VecxListSplitState *s, const VecxPoints *points, uint32 k, float *centres)
{
	uint32	   *of = palloc(sizeof(uint32) * Max(points->count, 1));
	uint32	   *counts = palloc(sizeof(uint32) * k);
	uint64		seed = s->index->meta.seed;
	uint64		best_seed = seed;
	uint32		best = 0;

	for (int i = 0; i < MOST_TRIES && k > 1 && (uint64) best * k * GOOD_PART < points->count; i++)
	{
		uint32		n = vecx_kmeans(&s->env, points, k, seed + i, of, centres);
		uint32		least = n < 2 ? 0 : smallest(of, points->count, n, counts);

		if (least > best)
		{
			best = least;
			best_seed = seed + i;
		}
	}
	if ((uint64) best * k * LEAST_PART < points->count)
		k = 1;
	return (int) vecx_kmeans(&s->env, points, k, best_seed, of, centres);
}

/*
 * Decides about the new lists by a sample of the rows: about k.  False if there are
 * fewer rows, or fewer than least come of it, since rows are the same.
 */
static bool
find_parts(VecxListSplitState *s, uint32 k, int least)
{
	VecxIndex  *index = s->index;
	uint32		dim = index->meta.dim;
	int			most = Min(MAX_SAMPLE, s->nrows);
	float	   *centres;
	VecxPoints	points;

	vecx_cluster_alloc(&s->env, dim, most, &points);
	s->work = palloc(sizeof(float) * points.nbytes);
	centres = palloc(sizeof(float) * k * points.nbytes);
	points.count = 0;
	for (int i = 0; i < most; i++)
	{
		int			row = (int) ((int64) s->nrows * i / most);
		const float *x = VecxListSplitVector(s, &VecxRowAt(s->rows, s->row_size, row)->tid);

		if (x && !s->done[row])
			vecx_cluster_put(&points, points.count++, dim, NULL, x, s->work);
	}
	if (points.count < k)
		return false;
	s->nparts = cluster(s, &points, k, centres);
	if (s->nparts < least)
		return false;
	s->parts = palloc0(sizeof(VecxListPart) * s->nparts);
	for (int p = 0; p < s->nparts; p++)
	{
		s->parts[p].code = palloc0(index->coder.nbytes);
		vecx_code_encode(&index->coder, centres + p * points.nbytes, s->parts[p].code);
	}
	return true;
}

/* Writes a page of a new list. */
static void
write_page(VecxListSplitState *s, const VecxListPart *part, const BlockNumber *blocks, int npages, int at, BlockNumber sibling)
{
	VecxIndex  *index = s->index;
	const VecxLists *lists = index->lists;
	int			first = at * lists->page_rows;
	int			nrows = Max(Min(part->nitems - first, lists->page_rows), 0);
	Buffer		buf = ReadBuffer(index->rel, blocks[at]);
	bool		leaving = false;
	VecxPageChange change;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	VecxListFillBehind(index, buf, part->items + lists->item_bytes * first, nrows);
	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxListSetRows(lists, change.page, nrows);
	for (int row = 0; row < nrows; row++)
	{
		VecxListItem *item = (VecxListItem *) (part->items + lists->item_bytes * (first + row));

		VecxListPut(lists, change.page, row, item);
		leaving |= (VecxListItemRow(item)->flags & VECX_ROW_LEAVING) != 0;
	}
	if (leaving)
	{
		VecxListPageHeader(change.page)->flags |= VECX_LIST_LEAVING;
		VecxListPageHeader(change.page)->stamp = VecxListStampNow();
	}
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
write_part(VecxListSplitState *s, VecxListPart *part, BlockNumber sibling)
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
		VecxListPageInit(index->lists, change.page, blocks[0]);
		VecxPageCommit(&change);
		UnlockReleaseBuffer(buf);
	}
	for (int i = 0; i < npages; i++)
		write_page(s, part, blocks, npages, i, sibling);
	part->head = blocks[0];
	pfree(blocks);
}

/* From now on a list's rows may be met in the new lists as well: it must stay
 * closed. */
static void
note_copied(VecxIndex *index, BlockNumber head, BlockNumber forward)
{
	Buffer		buf = VecxReadPage(index->rel, head, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxListPageHeader(change.page)->forward = forward;
	VecxListPageHeader(change.page)->flags &= ~VECX_LIST_LEFT;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* All of a list's rows that were copied have been removed: the others may go the same
 * way another time. */
static void
note_left(VecxIndex *index, BlockNumber head)
{
	Buffer		buf = VecxReadPage(index->rel, head, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxListPageHeader(change.page)->flags |= VECX_LIST_LEFT;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* Says on a page of the old list where its rows went, and removes those that were
 * copied.  Rows are in the order in which read_rows met them, from *at on. */
static BlockNumber
empty_page(VecxListSplitState *s, BlockNumber blkno, int *at)
{
	VecxIndex  *index = s->index;
	Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;
	BlockNumber next;
	int			nrows;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	nrows = VecxListPageHeader(change.page)->nrows;
	VecxListPageHeader(change.page)->forward = s->parts[0].head;
	VecxListPageHeader(change.page)->flags |= VECX_LIST_MOVED;
	next = VecxPageGetOpaque(change.page)->next;
	VecxPageCommit(&change);
	VecxListRemove(index, buf, s->moved + *at);
	*at += nrows;
	UnlockReleaseBuffer(buf);
	return next;
}

/*
 * Writes the new lists, then their centroids, then empties the old pages.  Scans that
 * come to these find the new lists, and behind the last of them those that rows of an
 * old list went to before.
 */
static void
move_rows(VecxListSplitState *s)
{
	VecxIndex  *index = s->index;
	BlockNumber sibling = s->forward;
	int			at = 0;

	for (int p = s->nparts - 1; p >= 0; p--)
	{
		write_part(s, &s->parts[p], sibling);
		sibling = s->parts[p].head;
	}
	for (int i = 0; i < s->nold; i++)
		note_copied(index, s->old[i].head, s->parts[0].head);
	for (int p = 0; p < s->nparts; p++)
		VecxInsertCentroid(index, s->parts[p].code, s->parts[p].head);
	VecxListMarkArrivals(s);
	for (int i = 0; i < s->nold; i++)
		for (BlockNumber blkno = s->old[i].head;
			 blkno != InvalidBlockNumber && (at < s->end[i] || !s->partial);)
			blkno = empty_page(s, blkno, &at);
}

/* Marks the centroid of an empty list as a vertex without rows; VACUUM removes it. */
static void
mark_dead(VecxIndex *index, VecxId id, BlockNumber head)
{
	Buffer		buf = VecxPinPage(index->rel, VecxIdBlock(id));
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
count_lists(VecxMetaPageData *meta, void *arg)
{
	const VecxListSplitState *s = arg;

	meta->centroids_version++;
	meta->lists_closed = Min((uint64) meta->lists_closed + s->nold, PG_UINT32_MAX);
	meta->lists_made = Min((uint64) meta->lists_made + s->nparts, PG_UINT32_MAX);
}

static void
begin(VecxListSplitState *s, VecxIndex *index, Relation heap, const VecxListRef *old, int nold, bool in_vacuum)
{
	memset(s, 0, sizeof(*s));
	s->index = index;
	s->old = old;
	s->nold = nold;
	s->forward = InvalidBlockNumber;
	s->row_size = index->lists->row_size;
	s->most_rows = most_rows(index->lists);
	s->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx row of a list", ALLOCSET_DEFAULT_SIZES);
	s->exact = VecxExactMake(heap, index->rel, NULL);
	if (in_vacuum)
		VecxExactOnlyLive(s->exact);
	VecxTrainEnvInit(&s->env, CurrentMemoryContext);
	read_rows(s);
}

/* Moves the rows to about k new lists; false, and nothing has changed, if there are
 * not even least. */
static bool
regroup(VecxListSplitState *s, uint32 k, int least)
{
	if (!find_parts(s, k, least))
		return false;
	VecxListFindNear(s);
	VecxListAssignRows(s);
	VecxListDrawIn(s);
	VecxExactReset(s->exact);
	/* all is in memory now: who was cancelled from here on would leave the old lists closed for
	 * good, and their rows twice */
	HOLD_INTERRUPTS();
	move_rows(s);
	/* before LEFT is seen: whoever finds that number unchanged has the new lists in the graph */
	VecxMetaEdit(s->index, count_lists, s);
	for (int i = 0; i < s->nold; i++)
	{
		VecxListState state;

		VecxListLook(s->index, s->old[i].head, &state);
		if (state.rows == 0)
			mark_dead(s->index, s->old[i].centroid, s->old[i].head);
		else
			note_left(s->index, s->old[i].head);
	}
	RESUME_INTERRUPTS();
	return true;
}

/* New lists that the rows should be in. */
static uint32
wanted_parts(const VecxListSplitState *s)
{
	int			rows = s->index->lists->list_rows;

	return (uint32) Min(Max((s->nown + rows / 2) / rows, 1), MAX_PARTS);
}

static void
split(VecxIndex *index, Relation heap, const VecxListRef *list, uint32 npages, bool in_vacuum)
{
	int			page_rows = index->lists->page_rows;
	VecxListSplitState s;

	begin(&s, index, heap, list, 1, in_vacuum);
	if (wanted_parts(&s) < 2)
		/* few, and copies, or in many pages: try again when it has one more */
		edit_head(index, list->head, false, npages);
	else if (!regroup(&s, wanted_parts(&s), 2))
		/* all the same, or nobody's yet: try again when it is twice as long, and has one more
		 * page than now, of which some may be empty */
		edit_head(index, list->head, false,
				  Max(2 * (uint32) ((s.nrows + page_rows - 1) / page_rows), s.partial ? 2 * npages : npages));
	VecxExactEnd(s.exact);
}

/* Splits a list if it is due; the caller has the training lock. */
void
VecxListSplit(VecxIndex *index, Relation heap, const VecxListRef *list, bool in_vacuum)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx split", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	uint32		npages;

	if (is_due(index, list->head, &npages) && edit_head(index, list->head, true, 0))
		split(index, heap, list, npages, in_vacuum);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/*
 * Splits a list if it is too long, unless VACUUM or another split is at work: then
 * the next row that finds it so will see to it.
 */
void
VecxListMaybeSplit(VecxIndex *index, Relation heap, VecxId centroid, BlockNumber head)
{
	VecxListRef list = {centroid, head};
	uint32		npages;

	if (!is_due(index, head, &npages) || !VecxTryTrainLock(index))
		return;
	VecxListSplit(index, heap, &list, false);
	VecxTrainUnlock(index);
}

/*
 * For VACUUM: makes lists of the usual length of some.  Closes those that are open;
 * they are opened again if none of their rows can be read.  Alone, they do not exchange
 * rows with others.
 */
void
VecxListRegroup(VecxIndex *index, Relation heap, const VecxListRef *lists, int n, bool alone)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx merge", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	bool	   *closed = palloc(sizeof(bool) * n);
	VecxListSplitState s;

	for (int i = 0; i < n; i++)
		closed[i] = edit_head(index, lists[i].head, true, 0);
	begin(&s, index, heap, lists, n, true);
	s.alone = alone;
	/* many lists must not become one, where no tries make clusters of use of them */
	if (!regroup(&s, wanted_parts(&s), alone ? (s.nold + 1) / 2 : 1))
		s.nold = 0;
	for (int i = s.nold; i < n; i++)
		if (closed[i])
			edit_head(index, lists[i].head, false, 0);
	VecxExactEnd(s.exact);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/*
 * list_vacuum.c
 *    VACUUM of posting lists: rows off their pages, then lists without rows out of
 *    the graph, then their pages to other uses.
 *
 * A page of a list that is gone still says where its rows went to scans that have
 * yet to come to it.  So it is freed when no snapshot is left that was taken
 * before nothing led to it any more, as pages of a btree are.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/snapmgr.h"

#include "am/list.h"

/* Says of a locked page that no row of it is LEAVING any more: those that are left are
 * copies. */
static void
forget_leaving(VecxIndex *index, Buffer buf)
{
	VecxPageChange change;
	VecxListPage header;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	header = VecxListPageHeader(change.page);
	for (int i = 0; i < header->nrows; i++)
	{
		VecxRowEntry *row = VecxListRow(index->lists, change.page, i);

		if (row->flags & VECX_ROW_LEAVING)
			row->flags = VECX_ROW_COPY;
	}
	header->flags &= ~VECX_LIST_LEAVING;
	header->stamp = 0;
	VecxPageCommit(&change);
}

/*
 * VACUUM of one page, which is exclusively locked.  True if it was of a list that
 * is gone and is free now: the caller tells the free space map.  *waits becomes true if it
 * will be, but for an old snapshot.
 */
bool
VecxListVacuumPage(VecxIndex *index, Buffer buf, IndexBulkDeleteCallback callback, void *arg,
				   int64 *live, int64 *removed, bool *waits)
{
	Page		page = BufferGetPage(buf);
	VecxListPage header = VecxListGetPage(index, page, BufferGetBlockNumber(buf));
	int			nrows = header->nrows;
	bool		left;
	bool	   *dead;
	int			ndead = 0;
	int			nlive = 0;
	int			nremoved = 0;

	if (VecxListIsRetired(header))
	{
		if (!GlobalVisCheckRemovableFullXid(NULL, FullTransactionIdFromU64(header->stamp)))
		{
			*waits = true;
			return false;
		}
		VecxListFreePage(index, buf);
		return true;
	}
	left = VecxListIsLeft(header);
	if (nrows == 0 && !left)
		return false;
	dead = palloc(sizeof(bool) * nrows);
	for (int i = 0; i < nrows; i++)
	{
		VecxRowEntry *row = VecxListRow(index->lists, page, i);

		dead[i] = callback(&row->tid, arg) || (left && VecxListRowIsLeft(row));
		ndead += dead[i];
		if (!VecxRowIsOwn(row))
			continue;
		nlive += !dead[i];
		nremoved += dead[i];
	}
	if (ndead > 0)
		VecxListRemove(index, buf, dead);
	if (left)
		forget_leaving(index, buf);
	*live += nlive;
	*removed += nremoved;
	pfree(dead);
	return false;
}

/* What a walk over a list's pages finds. */
typedef struct Walk
{
	VecxListState state;
	BlockNumber roomy;			/* the first page with room, or the last */
} Walk;

/*
 * Walks the list, one page locked at a time; or with its first page, which the caller has
 * locked, locked all the while, so that no row comes.
 */
static void
walk_pages(VecxIndex *index, BlockNumber head, Buffer head_buf, Walk *walk)
{
	BlockNumber blkno = head;
	BlockNumber steps = RelationGetNumberOfBlocks(index->rel);
	bool		has_room = false;

	memset(walk, 0, sizeof(*walk));
	walk->roomy = head;
	while (blkno != InvalidBlockNumber)
	{
		bool		locked = BufferIsValid(head_buf) && blkno == head;
		Buffer		buf = head_buf;
		VecxListPage header;

		/* of a damaged index: the first page may be locked here */
		if (steps-- == 0 || (blkno == head && walk->state.npages > 0))
			VecxCorrupted(index->rel, blkno, "the pages of a list form a circle");
		if (!locked)
			buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_LIST);
		header = VecxListGetPage(index, BufferGetPage(buf), blkno);
		if (!header || header->head != head)
			VecxCorrupted(index->rel, blkno, "a page is of another list than what leads to it says");
		if (blkno == head)
		{
			walk->state.npages = Max(header->npages, 1);
			walk->state.split_pages = header->split_pages;
			walk->state.closed = (header->flags & VECX_LIST_CLOSED) != 0;
			walk->state.left = (header->flags & VECX_LIST_LEFT) != 0;
		}
		walk->state.rows += header->nrows;
		if (!has_room)
			walk->roomy = blkno;
		has_room |= header->nrows < index->lists->page_rows;
		blkno = VecxPageGetOpaque(BufferGetPage(buf))->next;
		if (!locked)
			UnlockReleaseBuffer(buf);
		if (!BufferIsValid(head_buf))
			CHECK_FOR_INTERRUPTS();
	}
}

/* What a list is like. */
void
VecxListLook(VecxIndex *index, BlockNumber head, VecxListState *state)
{
	Walk		walk;

	walk_pages(index, head, InvalidBuffer, &walk);
	*state = walk.state;
}

/*
 * Sees to a list after its pages were vacuumed: new rows go to the first page with
 * room; one without rows is closed.  One that a split left closed before any row
 * was copied is opened.  True if the list is closed and empty, so that its
 * centroid is of no use.  The caller has the training lock: only inserts change it.
 */
bool
VecxListTend(VecxIndex *index, BlockNumber head, VecxListState *state)
{
	Buffer		buf;
	VecxListPage header;
	Walk		walk;
	bool		finished;

	walk_pages(index, head, InvalidBuffer, &walk);
	buf = VecxReadPage(index->rel, head, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	/* a row may have come meanwhile */
	if (walk.state.rows == 0)
		walk_pages(index, head, buf, &walk);
	header = VecxListPageHeader(BufferGetPage(buf));
	finished = walk.state.rows == 0;
	if (walk.state.closed ?
		(!finished && header->forward == InvalidBlockNumber) :
		(finished || header->tail != walk.roomy))
	{
		VecxPageChange change;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		header = VecxListPageHeader(change.page);
		header->tail = walk.roomy;
		if (finished)
			header->flags |= VECX_LIST_CLOSED;
		else
			header->flags &= ~VECX_LIST_CLOSED;
		VecxPageCommit(&change);
		walk.state.closed = finished;
	}
	UnlockReleaseBuffer(buf);
	*state = walk.state;
	return finished;
}

/* Whether a page, which is locked, is one of a closed list without rows. */
static bool
is_of_empty_list(VecxIndex *index, Page page, BlockNumber blkno, BlockNumber head)
{
	VecxListPage header = VecxListGetPage(index, page, blkno);

	/* a VACUUM that was cancelled may have come so far before: then it may be a page of something
	 * else by now */
	return header && header->head == head && header->nrows == 0 &&
		(blkno != head || (header->flags & VECX_LIST_CLOSED));
}

/* Stamps a page of such a list, if it is one. */
static void
stamp_page(VecxIndex *index, BlockNumber blkno, BlockNumber head, uint64 now)
{
	Buffer		buf = VecxPinPage(index->rel, blkno);

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	if (is_of_empty_list(index, BufferGetPage(buf), blkno, head))
	{
		VecxPageChange change;
		VecxListPage header;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		header = VecxListPageHeader(change.page);
		header->flags &= ~VECX_LIST_LEAVING;
		header->stamp = now;
		VecxPageCommit(&change);
	}
	UnlockReleaseBuffer(buf);
}

/*
 * No insert and no search that begins now leads to this closed and empty list:
 * stamps its pages, the first one last.  Who is cancelled meanwhile leaves a chain that the next
 * VACUUM finds by it, as far as no page of it is of something else.
 */
void
VecxListRetire(VecxIndex *index, BlockNumber head)
{
	uint64		now = VecxListStampNow();
	BlockNumber most = RelationGetNumberOfBlocks(index->rel);
	List	   *chain = NIL;

	for (BlockNumber blkno = head; blkno != InvalidBlockNumber && list_length(chain) < most;)
	{
		Buffer		buf = VecxPinPage(index->rel, blkno);
		BlockNumber next = InvalidBlockNumber;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		if (is_of_empty_list(index, BufferGetPage(buf), blkno, head))
		{
			next = VecxPageGetOpaque(BufferGetPage(buf))->next;
			chain = lappend_oid(chain, blkno);
		}
		UnlockReleaseBuffer(buf);
		blkno = next;
	}
	for (int i = list_length(chain) - 1; i >= 0; i--)
	{
		CHECK_FOR_INTERRUPTS();
		stamp_page(index, list_nth_oid(chain, i), head, now);
	}
	list_free(chain);
}

/*
 * rows.c
 *    The table rows of a vertex: the first in its record, more in a chain of
 *    segments on ROWS pages that is appended to at its tail.
 *
 * The chain is changed under the exclusive lock of the vertex's page, taken
 * before that of a segment's page.  Segments stay where they are until all of
 * them are empty, so that a reader that goes from one to the next needs no
 * lock on the vertex: if the one it wants is gone, so were all its rows.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/am.h"
#include "am/vtree.h"

/* The segment of that id if it still belongs to owner; else NULL and unlocked. */
static VecxRowSegment
lock_segment(VecxIndex *index, VecxId owner, VecxId segment, int mode, Buffer *buf)
{
	VecxRowSegment seg;

	/* of a damaged index: who locks the vertex's page must not wait for it */
	if (VecxIdBlock(segment) == VecxIdBlock(owner))
		return NULL;
	*buf = VecxPinPage(index->rel, VecxIdBlock(segment));
	LockBuffer(*buf, mode);
	seg = VecxPageGetSegment(BufferGetPage(*buf), VecxIdOffset(segment), index->layout.row_size);
	if (!seg || seg->owner != owner)
	{
		UnlockReleaseBuffer(*buf);
		return NULL;
	}
	return seg;
}

/* The segment of that id on the copy of its page that is being changed. */
static VecxRowSegment
changed_segment(VecxIndex *index, VecxPageChange *change, VecxId segment)
{
	return VecxPageGetSegment(change->page, VecxIdOffset(segment), index->layout.row_size);
}

/* Raises when a chain has more steps than the index can have items. */
void
VecxRowsCheckSteps(VecxIndex *index, VecxId segment, uint64 steps)
{
	if (steps > (uint64) RelationGetNumberOfBlocks(index->rel) * VECX_MAX_ITEMS)
		VecxCorrupted(index->rel, VecxIdBlock(segment), "a vertex's row segments form a circle");
}

/*
 * Adds a row to the first segment from tail on that has room.  *last is that
 * one, or the chain's end, and *cap its capacity.
 */
static bool
append_to_chain(VecxIndex *index, VecxId owner, VecxId tail, const VecxRowEntry *row,
				VecxId *last, int *cap)
{
	for (uint64 steps = 0;; steps++)
	{
		Buffer		buf;
		VecxRowSegment seg = lock_segment(index, owner, tail, BUFFER_LOCK_EXCLUSIVE, &buf);
		VecxPageChange change;
		VecxId		next;

		if (!seg)
			VecxCorrupted(index->rel, VecxIdBlock(tail), "a vertex's row segment is missing");
		*last = tail;
		*cap = seg->cap;
		if (seg->nrows < seg->cap)
		{
			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			seg = changed_segment(index, &change, tail);
			memcpy(VecxRowAt(VecxSegmentRows(seg), index->layout.row_size, seg->nrows++), row,
				   index->layout.row_size);
			VecxPageCommit(&change);
			UnlockReleaseBuffer(buf);
			return true;
		}
		next = seg->next;
		UnlockReleaseBuffer(buf);
		if (next == VECX_INVALID_ID)
			return false;
		VecxRowsCheckSteps(index, next, steps);
		tail = next;
	}
}

static void
set_next(VecxIndex *index, VecxId owner, VecxId segment, VecxId next)
{
	Buffer		buf;
	VecxPageChange change;

	if (!lock_segment(index, owner, segment, BUFFER_LOCK_EXCLUSIVE, &buf))
		VecxCorrupted(index->rel, VecxIdBlock(segment), "a vertex's row segment is missing");
	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	changed_segment(index, &change, segment)->next = next;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* A new segment with one row. */
static VecxId
make_segment(VecxIndex *index, VecxId owner, int cap, const VecxRowEntry *row)
{
	Size		size = VecxSegmentSize(index->layout.row_size, cap);
	VecxRowSegment seg = palloc0(size);
	VecxId		id;

	seg->next = VECX_INVALID_ID;
	seg->owner = owner;
	seg->nrows = 1;
	seg->cap = (uint16) cap;
	memcpy(VecxSegmentRows(seg), row, index->layout.row_size);
	id = VecxPlaceItem(index, VECX_PAGE_ROWS, seg, size);
	pfree(seg);
	return id;
}

/* The vertex on its exclusively locked page; NULL, and unlocked, if it is gone
 * or on its way out. */
static VecxRecord
lock_vertex(VecxIndex *index, VecxId id, uint32 generation, Buffer *buf)
{
	VecxRecord	rec;
	Size		size;

	*buf = VecxPinPage(index->rel, VecxIdBlock(id));
	LockBuffer(*buf, BUFFER_LOCK_EXCLUSIVE);
	rec = VecxGetRecord(index, BufferGetPage(*buf), id, &size);
	if (rec && rec->level == 0 && rec->generation == generation &&
		!(rec->flags & VECX_RECORD_DEAD))
		return rec;
	UnlockReleaseBuffer(*buf);
	return NULL;
}

static void
set_chain(VecxIndex *index, Buffer buf, VecxId id, VecxId head, VecxId tail)
{
	VecxPageChange change;
	VecxRecord	rec;
	Size		size;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	rec = VecxGetRecord(index, change.page, id, &size);
	rec->chain_head = head;
	rec->chain_tail = tail;
	VecxPageCommit(&change);
}

/*
 * Puts a row into the locked vertex or a segment of it that has room.  False
 * if all are full: *cap is then the capacity of the last.
 */
static bool
append_where_room(VecxIndex *index, Buffer buf, VecxRecord rec, VecxId id,
				  const VecxRowEntry *row, int *cap)
{
	VecxId		last;

	if (rec->nrows < VECX_INLINE_ROWS)
	{
		VecxPageChange change;
		Size		size;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		rec = VecxGetRecord(index, change.page, id, &size);
		memcpy(VecxRecordRow(&index->layout, rec, rec->nrows++), row, index->layout.row_size);
		VecxPageCommit(&change);
		return true;
	}
	*cap = VECX_SEGMENT_FIRST_ROWS / 2;
	if (rec->chain_tail == VECX_INVALID_ID)
		return false;
	if (!append_to_chain(index, id, rec->chain_tail, row, &last, cap))
		return false;
	/* rows go to the tail, or behind it, until VACUUM has made room before it */
	if (last != rec->chain_tail)
		set_chain(index, buf, id, rec->chain_head, last);
	return true;
}

/*
 * Hangs a new segment at the end of the locked vertex's chain: first the
 * pointer to it, then the vertex's.  After a crash in between the tail is one
 * segment behind, which the next append makes up for.
 */
static void
append_segment(VecxIndex *index, Buffer buf, VecxRecord rec, VecxId id, VecxId added)
{
	VecxId		last = rec->chain_tail;

	for (uint64 steps = 0; last != VECX_INVALID_ID; steps++)
	{
		Buffer		seg_buf;
		VecxRowSegment seg = lock_segment(index, id, last, BUFFER_LOCK_SHARE, &seg_buf);
		VecxId		next;

		if (!seg)
			VecxCorrupted(index->rel, VecxIdBlock(last), "a vertex's row segment is missing");
		next = seg->next;
		UnlockReleaseBuffer(seg_buf);
		if (next == VECX_INVALID_ID)
			break;
		VecxRowsCheckSteps(index, next, steps);
		last = next;
	}
	if (last != VECX_INVALID_ID)
		set_next(index, id, last, added);
	set_chain(index, buf, id,
			  rec->chain_head == VECX_INVALID_ID ? added : rec->chain_head, added);
}

/*
 * Adds a row to a vertex.  False if the vertex is gone, or on its way out, so
 * that the row needs a vertex of its own.
 *
 * A new segment is made while the vertex is not locked: finding a page may
 * mean extending the index, and the page may be the vertex's.
 */
bool
VecxRowsAppend(VecxIndex *index, VecxId id, uint32 generation, const VecxRowEntry *row)
{
	Buffer		buf;
	VecxRecord	rec = lock_vertex(index, id, generation, &buf);
	VecxId		added;
	int			cap;

	if (!rec)
		return false;
	if (append_where_room(index, buf, rec, id, row, &cap))
	{
		UnlockReleaseBuffer(buf);
		return true;
	}
	UnlockReleaseBuffer(buf);

	added = make_segment(index, id, Min(cap * 2, VecxSegmentMaxRows(index->layout.row_size)), row);
	rec = lock_vertex(index, id, generation, &buf);
	if (!rec)
	{
		VecxSegmentsFree(index, id, added);
		return false;
	}
	/* others may have found the same segment full, and added one that has room */
	if (append_where_room(index, buf, rec, id, row, &cap))
	{
		UnlockReleaseBuffer(buf);
		VecxSegmentsFree(index, id, added);
		return true;
	}
	append_segment(index, buf, rec, id, added);
	UnlockReleaseBuffer(buf);
	return true;
}

/*
 * Copies rows, without their filter columns, but for those that are marked dead and
 * those that do not pass the filter, if there is one; returns their number.
 */
int
VecxRowsCopy(const VecxIndex *index, const VecxFilterQuery *filter, const VecxRowEntry *from,
			 int nrows, VecxRowEntry *to)
{
	int			n = 0;

	for (int i = 0; i < nrows; i++)
	{
		const VecxRowEntry *row = VecxRowAt(from, index->layout.row_size, i);
		VecxPass	pass = VECX_PASS_YES;

		if (index->skip_killed && (row->flags & VECX_ROW_KILLED))
			continue;
		if (filter)
			pass = VecxFilterTest(filter, row);
		if (pass == VECX_PASS_NO)
			continue;
		to[n] = *row;
		if (pass == VECX_PASS_MAYBE)
			to[n].flags |= VECX_ROW_RECHECK;
		n++;
	}
	return n;
}

/*
 * Copies a segment's rows (room for VECX_SEGMENT_MAX_ROWS), as VecxRowsCopy does, and
 * moves *segment to the next one, 0 at the end.  Returns the number of rows; *lsn
 * is that of the page.
 */
int
VecxRowsReadSegment(VecxIndex *index, const VecxFilterQuery *filter, VecxId owner,
					VecxId *segment, VecxRowEntry *rows, XLogRecPtr *lsn)
{
	Buffer		buf;
	VecxRowSegment seg = lock_segment(index, owner, *segment, BUFFER_LOCK_SHARE, &buf);
	int			nrows;

	*segment = VECX_INVALID_ID;
	if (!seg)
		return 0;
	nrows = VecxRowsCopy(index, filter, VecxSegmentRows(seg),
						 Min(seg->nrows, VECX_SEGMENT_MAX_ROWS), rows);
	*lsn = PageGetLSN(BufferGetPage(buf));
	*segment = seg->next;
	UnlockReleaseBuffer(buf);
	return nrows;
}

/*
 * Moves *segment to the first one from there on that has a row which passes the
 * filter; false if none has.
 */
bool
VecxRowsFindPassing(VecxIndex *index, const VecxFilterQuery *filter, VecxId owner,
					VecxId *segment)
{
	VecxRowEntry rows[VECX_SEGMENT_MAX_ROWS];
	XLogRecPtr	lsn;

	for (uint64 steps = 0; *segment != VECX_INVALID_ID; steps++)
	{
		VecxId		next = *segment;

		CHECK_FOR_INTERRUPTS();
		VecxRowsCheckSteps(index, next, steps);
		if (VecxRowsReadSegment(index, filter, owner, &next, rows, &lsn) > 0)
			return true;
		*segment = next;
	}
	return false;
}

/* Removes the rows that callback calls dead, and notes their values in dropped, if it
 * is not NULL; returns how many are left. */
int
VecxRowsVacuum(const VecxIndex *index, VecxRowEntry *rows, int nrows,
			   IndexBulkDeleteCallback callback, void *arg, VecxTreeDropped *dropped)
{
	Size		row_size = index->layout.row_size;
	int			kept = 0;

	for (int i = 0; i < nrows; i++)
	{
		VecxRowEntry *row = VecxRowAt(rows, row_size, i);

		if (callback(&row->tid, arg))
		{
			if (dropped)
				VecxTreeNoteDropped(index, dropped, row);
			continue;
		}
		if (kept < i)
			memcpy(VecxRowAt(rows, row_size, kept), row, row_size);
		kept++;
	}
	return kept;
}

/*
 * VACUUM of a chain; the vertex's page is exclusively locked.  Returns the
 * number of rows that live in it.  *roomy is the first segment with room, or
 * the last.
 */
int64
VecxSegmentsVacuum(VecxIndex *index, VecxId owner, VecxId head,
				   IndexBulkDeleteCallback callback, void *arg, VecxTreeDropped *dropped,
				   int64 *removed, VecxId *roomy)
{
	Size		row_size = index->layout.row_size;
	int64		live = 0;
	bool		has_room = false;

	for (uint64 steps = 0; head != VECX_INVALID_ID; steps++)
	{
		Buffer		buf;
		VecxRowSegment seg = lock_segment(index, owner, head, BUFFER_LOCK_EXCLUSIVE, &buf);
		VecxRowEntry *rows;
		VecxId		next;
		int			nrows;
		int			kept;

		if (!seg)
			VecxCorrupted(index->rel, VecxIdBlock(head), "a vertex's row segment is missing");
		next = seg->next;
		nrows = seg->nrows;
		rows = palloc(row_size * (nrows + 1));
		memcpy(rows, VecxSegmentRows(seg), row_size * nrows);
		kept = VecxRowsVacuum(index, rows, nrows, callback, arg, dropped);
		live += kept;
		if (kept < nrows)
		{
			VecxPageChange change;
			VecxRowSegment copy;

			*removed += nrows - kept;
			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			copy = changed_segment(index, &change, head);
			memcpy(VecxSegmentRows(copy), rows, row_size * kept);
			copy->nrows = (uint16) kept;
			VecxPageCommit(&change);
		}
		if (!has_room)
			*roomy = head;
		has_room |= kept < seg->cap;
		pfree(rows);
		UnlockReleaseBuffer(buf);
		VecxRowsCheckSteps(index, head, steps);
		head = next;
	}
	return live;
}

/* Frees a chain without rows, after the vertex no longer points to it. */
void
VecxSegmentsFree(VecxIndex *index, VecxId owner, VecxId head)
{
	while (head != VECX_INVALID_ID)
	{
		Buffer		buf;
		VecxRowSegment seg = lock_segment(index, owner, head, BUFFER_LOCK_EXCLUSIVE, &buf);
		VecxPageChange change;
		VecxId		next;

		if (!seg)
			return;
		next = seg->next;
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		PageIndexTupleDeleteNoCompact(change.page, VecxIdOffset(head));
		VecxPageCommit(&change);
		UnlockReleaseBuffer(buf);
		head = next;
	}
}

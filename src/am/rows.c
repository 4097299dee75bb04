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

#include "am/am.h"

/* The segment of that id if it still belongs to owner; else NULL and unlocked. */
static VecxRowSegment
lock_segment(VecxIndex *index, VecxId owner, VecxId segment, int mode, Buffer *buf)
{
	VecxRowSegment seg;

	*buf = ReadBuffer(index->rel, VecxIdBlock(segment));
	LockBuffer(*buf, mode);
	seg = VecxPageGetSegment(BufferGetPage(*buf), VecxIdOffset(segment));
	if (!seg || seg->owner != owner)
	{
		UnlockReleaseBuffer(*buf);
		return NULL;
	}
	return seg;
}

/* Adds a row to the last segment if it has room; sets *last and its *cap. */
static bool
append_to_tail(VecxIndex *index, VecxId owner, VecxId tail, const VecxRowEntry *row,
			   VecxId *last, int *cap)
{
	for (;;)
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
			seg = VecxPageGetSegment(change.page, VecxIdOffset(tail));
			seg->rows[seg->nrows++] = *row;
			VecxPageCommit(&change);
			UnlockReleaseBuffer(buf);
			return true;
		}
		/* a crash may have left the vertex's tail pointer one segment behind */
		next = seg->next;
		UnlockReleaseBuffer(buf);
		if (next == VECX_INVALID_ID)
			return false;
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
	VecxPageGetSegment(change.page, VecxIdOffset(segment))->next = next;
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* A new segment with one row. */
static VecxId
make_segment(VecxIndex *index, VecxId owner, int cap, const VecxRowEntry *row)
{
	Size		size = VecxSegmentSize(cap);
	VecxRowSegment seg = palloc0(size);
	VecxId		id;

	seg->next = VECX_INVALID_ID;
	seg->owner = owner;
	seg->nrows = 1;
	seg->cap = (uint16) cap;
	seg->rows[0] = *row;
	id = VecxPlaceItem(index, VECX_PAGE_ROWS, seg, size);
	pfree(seg);
	return id;
}

/*
 * Adds a row to a vertex.  False if the vertex is gone, or on its way out, so
 * that the row needs a vertex of its own.
 */
bool
VecxRowsAppend(VecxIndex *index, VecxId id, uint32 generation, ItemPointer tid)
{
	Buffer		buf = ReadBuffer(index->rel, VecxIdBlock(id));
	VecxRowEntry row = {*tid, 0};
	VecxPageChange change;
	VecxRecord	rec;
	Size		size;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	if (!rec || rec->level != 0 || rec->generation != generation ||
		(rec->flags & VECX_RECORD_DEAD))
	{
		UnlockReleaseBuffer(buf);
		return false;
	}

	if (rec->nrows < VECX_INLINE_ROWS)
	{
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		rec = VecxGetRecord(index, change.page, id, &size);
		VecxRecordRows(&index->layout, rec)[rec->nrows++] = row;
		VecxPageCommit(&change);
	}
	else
	{
		VecxId		last = VECX_INVALID_ID;
		VecxId		added;
		int			cap = VECX_SEGMENT_FIRST_ROWS / 2;

		if (rec->chain_tail == VECX_INVALID_ID ||
			!append_to_tail(index, id, rec->chain_tail, &row, &last, &cap))
		{
			added = make_segment(index, id, Min(cap * 2, VECX_SEGMENT_MAX_ROWS), &row);
			if (last != VECX_INVALID_ID)
				set_next(index, id, last, added);
			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			rec = VecxGetRecord(index, change.page, id, &size);
			if (rec->chain_head == VECX_INVALID_ID)
				rec->chain_head = added;
			rec->chain_tail = added;
			VecxPageCommit(&change);
		}
	}
	UnlockReleaseBuffer(buf);
	return true;
}

/*
 * Copies a segment's rows (room for VECX_SEGMENT_MAX_ROWS) and moves *segment
 * to the next one, 0 at the end.  Returns the number of rows.
 */
int
VecxRowsReadSegment(VecxIndex *index, VecxId owner, VecxId *segment, VecxRowEntry *rows)
{
	Buffer		buf;
	VecxRowSegment seg = lock_segment(index, owner, *segment, BUFFER_LOCK_SHARE, &buf);
	int			nrows;

	*segment = VECX_INVALID_ID;
	if (!seg)
		return 0;
	nrows = Min(seg->nrows, VECX_SEGMENT_MAX_ROWS);
	memcpy(rows, seg->rows, sizeof(VecxRowEntry) * nrows);
	*segment = seg->next;
	UnlockReleaseBuffer(buf);
	return nrows;
}

/* Removes the rows that callback calls dead; returns how many are left. */
int
VecxRowsVacuum(VecxRowEntry *rows, int nrows, IndexBulkDeleteCallback callback, void *arg)
{
	int			kept = 0;

	for (int i = 0; i < nrows; i++)
		if (!callback(&rows[i].tid, arg))
			rows[kept++] = rows[i];
	return kept;
}

/*
 * VACUUM of a chain; the vertex's page is exclusively locked.  Returns the
 * number of rows that live in it.
 */
int64
VecxSegmentsVacuum(VecxIndex *index, VecxId owner, VecxId head,
				   IndexBulkDeleteCallback callback, void *arg, int64 *removed)
{
	int64		live = 0;

	while (head != VECX_INVALID_ID)
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
		rows = palloc(sizeof(VecxRowEntry) * (nrows + 1));
		memcpy(rows, seg->rows, sizeof(VecxRowEntry) * nrows);
		kept = VecxRowsVacuum(rows, nrows, callback, arg);
		live += kept;
		if (kept < nrows)
		{
			VecxPageChange change;

			*removed += nrows - kept;
			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			seg = VecxPageGetSegment(change.page, VecxIdOffset(head));
			memcpy(seg->rows, rows, sizeof(VecxRowEntry) * kept);
			seg->nrows = (uint16) kept;
			VecxPageCommit(&change);
		}
		head = next;
		pfree(rows);
		UnlockReleaseBuffer(buf);
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

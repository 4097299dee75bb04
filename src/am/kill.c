/*
 * kill.c
 *    Marks of rows that a scan found dead to everybody, so that later scans do
 *    not go to the table for them.
 *
 * A scan notes such a row with the page's LSN as of when it read the entry.  The
 * mark is set if the LSN is still the same: then the entry has been there all
 * along, hence VACUUM has not given its TID to another row.  What is not
 * logged has no LSN to tell, and is not marked.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/am.h"

/* Rows noted before they are marked.  Marking changes the page's LSN, so that of
 * one page's rows only those that were noted together get their mark. */
#define FIRST_KILLS	64
#define MAX_KILLS	8192

typedef struct Kill
{
	VecxId		item;			/* record or row segment */
	XLogRecPtr	lsn;			/* of its page when the entry was read */
	ItemPointerData tid;
} Kill;

struct VecxKills
{
	int			n;
	int			cap;
	Kill	   *kills;
};

VecxKills *
VecxKillsMake(MemoryContext cxt)
{
	VecxKills  *kills = MemoryContextAlloc(cxt, sizeof(VecxKills));

	kills->n = 0;
	kills->cap = FIRST_KILLS;
	kills->kills = MemoryContextAlloc(cxt, sizeof(Kill) * kills->cap);
	return kills;
}

static int
compare_kills(const void *a, const void *b)
{
	VecxId		x = ((const Kill *) a)->item;
	VecxId		y = ((const Kill *) b)->item;

	return (x > y) - (x < y);
}

/* The row entries of a record or segment on a locked page. */
static VecxRowEntry *
entries_of(VecxIndex *index, Page page, VecxId item, int *n)
{
	VecxRowSegment seg = VecxPageGetSegment(page, VecxIdOffset(item), index->layout.row_size);
	VecxRecord	rec;
	Size		size;

	*n = 0;
	if (seg)
	{
		*n = seg->nrows;
		return VecxSegmentRows(seg);
	}
	rec = VecxGetRecord(index, page, item, &size);
	if (!rec || rec->level != 0)
		return NULL;
	*n = rec->nrows;
	return VecxRecordRows(&index->layout, rec);
}

static bool
mark(VecxIndex *index, Page page, const Kill *kill)
{
	int			n;
	VecxRowEntry *rows = entries_of(index, page, kill->item, &n);

	for (int i = 0; i < n; i++)
	{
		VecxRowEntry *row = VecxRowAt(rows, index->layout.row_size, i);

		if (ItemPointerEquals(&row->tid, (ItemPointer) &kill->tid) &&
			!(row->flags & VECX_ROW_KILLED))
		{
			row->flags |= VECX_ROW_KILLED;
			return true;
		}
	}
	return false;
}

/* Marks n rows on one page, unless others are at work there. */
static void
mark_on_page(VecxIndex *index, const Kill *kills, int n)
{
	Buffer		buf = VecxReadBuffer(index->rel, VecxIdBlock(kills[0].item));
	VecxPageChange change;
	bool		changed = false;

	if (!ConditionalLockBuffer(buf))
	{
		ReleaseBuffer(buf);
		return;
	}
	if (!PageIsNew(BufferGetPage(buf)))
	{
		XLogRecPtr	lsn = PageGetLSN(BufferGetPage(buf));

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		for (int i = 0; i < n; i++)
			if (kills[i].lsn == lsn)
				changed |= mark(index, change.page, &kills[i]);
		if (changed)
			VecxPageCommit(&change);
		else
			VecxPageAbandon(&change);
	}
	UnlockReleaseBuffer(buf);
}

/* Sets all marks noted so far, page by page; the caller holds no lock. */
void
VecxKillsFlush(VecxIndex *index, VecxKills *kills)
{
	int			n = kills->n;

	kills->n = 0;
	qsort(kills->kills, n, sizeof(Kill), compare_kills);
	for (int i = 0, j; i < n; i = j)
	{
		for (j = i + 1; j < n; j++)
			if (VecxIdBlock(kills->kills[j].item) != VecxIdBlock(kills->kills[i].item))
				break;
		CHECK_FOR_INTERRUPTS();
		mark_on_page(index, &kills->kills[i], j - i);
	}
}

/*
 * Notes a row that is dead to everybody: in which record or segment it was read,
 * and that page's LSN then.
 */
void
VecxKillsAdd(VecxIndex *index, VecxKills *kills, VecxId item, XLogRecPtr lsn, ItemPointer tid)
{
	if (!index->skip_killed || !RelationNeedsWAL(index->rel))
		return;
	if (kills->n == MAX_KILLS)
		VecxKillsFlush(index, kills);
	if (kills->n == kills->cap)
	{
		kills->cap *= 2;
		kills->kills = repalloc(kills->kills, sizeof(Kill) * kills->cap);
	}
	kills->kills[kills->n].item = item;
	kills->kills[kills->n].lsn = lsn;
	kills->kills[kills->n++].tid = *tid;
}

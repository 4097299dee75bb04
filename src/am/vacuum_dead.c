/*
 * vacuum_dead.c
 *    The second pass of VACUUM: dead vertices lose what leads to them, and go.
 *
 * Neighbours get other links, and records that nothing links to any more are linked
 * anew.  No search can meet the dead then, and their room is free.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "am/vacuum.h"

/* Whether the page is in the window, whose words are v->reached. */
static inline bool
in_window(const VecxVacuum *v, BlockNumber blkno)
{
	return blkno >= v->window && blkno - v->window < v->nwindow;
}

static inline void
set_reached(VecxVacuum *v, VecxId id)
{
	if (in_window(v, VecxIdBlock(id)))
		v->reached[VecxIdBlock(id) - v->window] |= UINT64CONST(1) << VecxIdOffset(id);
}

/* Marks the upper records of dead vertices.  What was an empty UPPER page may have become one of
 * VERTEX records since. */
static void
mark_uppers(VecxVacuum *v)
{
	VecxIndex  *index = v->index;

	for (int i = 0; i < v->uppers.n; i++)
	{
		Buffer		buf = VecxVacuumRead(v, v->uppers.blocks[i]);
		Page		page = BufferGetPage(buf);
		VecxPageChange change;
		bool		changed = false;

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		for (OffsetNumber off = FirstOffsetNumber; off <= VecxLastItem(page); off++)
		{
			Size		size;
			VecxRecord	rec = VecxGetRecord(index, change.page, VecxIdMake(v->uppers.blocks[i], off), &size);

			if (!rec || rec->level == 0 || !VecxIdSetContains(&v->dead, rec->base))
				continue;
			changed |= (rec->flags & VECX_RECORD_DEAD) == 0;
			rec->flags |= VECX_RECORD_DEAD;
			VecxIdSetAdd(&v->dead, VecxIdMake(v->uppers.blocks[i], off));
		}
		if (changed)
			VecxPageCommit(&change);
		else
			VecxPageAbandon(&change);
		UnlockReleaseBuffer(buf);
	}
}

/* The first page of the list that a dead centroid still leads to, or InvalidBlockNumber; to
 * be taken from it if that is asked. */
static BlockNumber
list_of_dead(VecxVacuum *v, VecxId id, bool take)
{
	VecxIndex  *index = v->index;
	Buffer		buf = VecxVacuumRead(v, VecxIdBlock(id));
	BlockNumber head = InvalidBlockNumber;
	VecxRecord	rec;
	Size		size;

	LockBuffer(buf, take ? BUFFER_LOCK_EXCLUSIVE : BUFFER_LOCK_SHARE);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	if (rec && rec->level == 0 && rec->nrows > 0)
		head = VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid);
	if (take && head != InvalidBlockNumber)
	{
		VecxPageChange change;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		VecxGetRecord(index, change.page, id, &size)->nrows = 0;
		VecxPageCommit(&change);
	}
	UnlockReleaseBuffer(buf);
	return head;
}

/* Retires the lists of dead centroids, and takes them from those.  Their pages are free after the
 * next VACUUM, which is to come though it may find no dead row. */
static void
retire_lists(VecxVacuum *v)
{
	uint32		retired = 0;

	for (BlockNumber blkno = VecxIdSetNextBlock(&v->dead, 0); blkno != InvalidBlockNumber;
		 blkno = VecxIdSetNextBlock(&v->dead, blkno + 1))
		for (OffsetNumber off = FirstOffsetNumber; off <= VECX_MAX_ITEMS; off++)
		{
			VecxId		id = VecxIdMake(blkno, off);
			BlockNumber head;

			if (!VecxIdSetContains(&v->dead, id))
				continue;
			head = list_of_dead(v, id, false);
			if (head == InvalidBlockNumber)
				continue;
			VecxListRetire(v->index, head);
			(void) list_of_dead(v, id, true);
			retired++;
		}
	if (retired > 0)
		VecxListsClosed(v->index, retired);
}

/* Ids of the records on a page that link to a dead one. */
static int
records_to_repair(VecxVacuum *v, BlockNumber blkno, VecxId *ids)
{
	VecxIndex  *index = v->index;
	Buffer		buf = VecxVacuumRead(v, blkno);
	Page		page = BufferGetPage(buf);
	OffsetNumber max;
	int			n = 0;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	max = VecxLastItem(page);
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		Size		size;
		VecxRecord	rec = VecxGetRecord(index, page, VecxIdMake(blkno, off), &size);

		if (!rec || (rec->flags & VECX_RECORD_DEAD))
			continue;
		if (v->best == VECX_INVALID_ID || rec->level > v->best_level)
		{
			v->best = VecxIdMake(blkno, off);
			v->best_level = rec->level;
		}
		for (int i = 0; i < rec->nlinks; i++)
			if (VecxIdSetContains(&v->dead, VecxLinkId(VecxRecordLink(&index->layout, rec, i))))
			{
				ids[n++] = VecxIdMake(blkno, off);
				break;
			}
	}
	UnlockReleaseBuffer(buf);
	return n;
}

/* Notes what the records of a page link to, and which ids name none. */
static void
note_links(VecxVacuum *v, BlockNumber blkno)
{
	VecxIndex  *index = v->index;
	Buffer		buf = VecxVacuumRead(v, blkno);
	Page		page = BufferGetPage(buf);
	OffsetNumber max;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	max = VecxLastVertex(page);
	for (OffsetNumber off = FirstOffsetNumber; off <= VECX_MAX_ITEMS; off++)
	{
		VecxId		id = VecxIdMake(blkno, off);
		Size		size;
		VecxRecord	rec = off <= max ? VecxGetRecord(index, page, id, &size) : NULL;

		if (!rec || (rec->flags & VECX_RECORD_DEAD))
			set_reached(v, id);
		else
			for (int i = 0; i < rec->nlinks; i++)
				set_reached(v, VecxLinkId(VecxRecordLink(&index->layout, rec, i)));
	}
	UnlockReleaseBuffer(buf);
}

/* Links to the records that none links to any more. */
static void
adopt_orphans(VecxVacuum *v, VecxCodeCache *cache, MemoryContext per_record, BlockNumber nblocks)
{
	MemoryContext old = MemoryContextSwitchTo(per_record);

	for (BlockNumber i = 0; i < v->nwindow; i++)
	{
		BlockNumber blkno = v->window + i;

		if (blkno == VECX_META_BLKNO || blkno >= nblocks)
			continue;
		for (OffsetNumber off = FirstOffsetNumber; off <= VECX_MAX_ITEMS; off++)
		{
			if (v->reached[i] & (UINT64CONST(1) << off))
				continue;
			vacuum_delay_point(false);
			VecxAdoptOrphan(v->index, cache, VecxIdMake(blkno, off));
			MemoryContextReset(per_record);
		}
	}
	MemoryContextSwitchTo(old);
}

static void
repair_links(VecxVacuum *v)
{
	VecxIndex  *index = v->index;
	MemoryContext per_record = AllocSetContextCreate(CurrentMemoryContext, "vecx repair",
													 ALLOCSET_DEFAULT_SIZES);
	VecxCodeCache *cache = VecxCodeCacheMake(index, CurrentMemoryContext,
											 (Size) VecxMaintenanceMemory() * 1024 / 2);
	BlockNumber nblocks = VecxSettledLength(index->rel);

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		VecxId		ids[VECX_MAX_ITEMS];
		int			n = records_to_repair(v, blkno, ids);
		MemoryContext old = MemoryContextSwitchTo(per_record);

		for (int i = 0; i < n; i++)
		{
			if (VecxRepairRecord(index, cache, &v->dead, ids[i]) &&
				v->nshaken < v->max_shaken)
				v->shaken[v->nshaken++] = ids[i];
			MemoryContextReset(per_record);
		}
		MemoryContextSwitchTo(old);
		note_links(v, blkno);
	}
	adopt_orphans(v, cache, per_record, nblocks);
	MemoryContextDelete(per_record);
}

static void
replace_entry(VecxMetaPageData *meta, void *arg)
{
	VecxVacuum *v = arg;

	if (!VecxIdSetContains(&v->dead, meta->entry))
		return;
	meta->entry = v->best;
	meta->entry_level = (uint8) v->best_level;
}

/*
 * Searches must not start at a dead vertex.  No insert is under way while the
 * entry changes, so that if there is no live record there is none to come.
 */
static void
move_entry(VecxVacuum *v)
{
	VecxIndex  *index = v->index;

	LockPage(index->rel, VECX_META_BLKNO, ExclusiveLock);
	VecxIndexRefresh(index);
	if (VecxIdSetContains(&v->dead, index->meta.entry))
	{
		BlockNumber nblocks = VecxSettledLength(index->rel);

		v->hurry = true;
		for (BlockNumber blkno = VECX_META_BLKNO + 1;
			 blkno < nblocks && v->best == VECX_INVALID_ID; blkno++)
		{
			VecxId		ids[VECX_MAX_ITEMS];

			records_to_repair(v, blkno, ids);
		}
		v->hurry = false;
		VecxMetaEdit(index, replace_entry, v);
	}
	UnlockPage(index->rel, VECX_META_BLKNO, ExclusiveLock);
}

/* Links the records that lost many links anew. */
static void
relink(VecxVacuum *v)
{
	MemoryContext per_record = AllocSetContextCreate(CurrentMemoryContext, "vecx relinking",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(per_record);

	for (int i = 0; i < v->nshaken; i++)
	{
		vacuum_delay_point(false);
		VecxRelink(v->index, &v->dead, v->shaken[i]);
		MemoryContextReset(per_record);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(per_record);
}

/* Frees the records of dead vertices on one page. */
static void
free_on_page(VecxVacuum *v, BlockNumber blkno)
{
	VecxIndex  *index = v->index;
	Buffer		buf = VecxVacuumRead(v, blkno);
	VecxPageChange change;
	Size		room;
	bool		is_vertex_page;
	bool		changed = false;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	for (OffsetNumber off = VecxLastItem(change.page); off >= FirstOffsetNumber; off--)
	{
		Size		size;
		VecxRecord	rec = VecxGetRecord(index, change.page, VecxIdMake(blkno, off), &size);

		if (rec && (rec->flags & VECX_RECORD_DEAD) &&
			VecxIdSetContains(&v->dead, VecxIdMake(blkno, off)))
		{
			PageIndexTupleDeleteNoCompact(change.page, off);
			changed = true;
		}
	}
	room = PageGetExactFreeSpace(change.page);
	is_vertex_page = VecxPageGetOpaque(change.page)->kind == VECX_PAGE_VERTEX ||
		VecxPageIsEmpty(change.page);
	/* a page of upper records comes by twice */
	if (changed)
		VecxPageCommit(&change);
	else
		VecxPageAbandon(&change);
	UnlockReleaseBuffer(buf);
	if (changed && is_vertex_page)
		RecordPageWithFreeSpace(index->rel, blkno, room);
}

static void
free_dead(VecxVacuum *v)
{
	/* uppers first, so that no way down leads to a freed vertex */
	for (int i = 0; i < v->uppers.n; i++)
		if (VecxIdSetHasBlock(&v->dead, v->uppers.blocks[i]))
			free_on_page(v, v->uppers.blocks[i]);
	for (BlockNumber blkno = VecxIdSetNextBlock(&v->dead, 0); blkno != InvalidBlockNumber;
		 blkno = VecxIdSetNextBlock(&v->dead, blkno + 1))
		free_on_page(v, blkno);
}

/* Tells how far the index is from the one that the curve was measured on. */
static void
count_removed(VecxMetaPageData *meta, void *arg)
{
	const VecxVacuum *v = arg;
	uint64		removed = meta->curve.removed + VecxIdSetCount(&v->dead);

	meta->curve.removed = (uint32) Min(removed, PG_UINT32_MAX);
}

void
VecxVacuumDead(VecxVacuum *v)
{
	VecxIndex  *index = v->index;

	mark_uppers(v);
	VecxVacuumWait(v);
	if (index->lists)
	{
		VecxCentroidsChanged(index);
		retire_lists(v);
	}
	repair_links(v);
	move_entry(v);
	relink(v);
	if (index->lists)
		VecxListsReach(index, &v->dead);
	if (index->meta.tree_root != InvalidBlockNumber && !index->lists)
		VecxTreeRemoveDead(index, &v->dead);
	free_dead(v);
	VecxMetaEdit(index, count_removed, v);
}

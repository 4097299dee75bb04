/*
 * vacuum.c
 *    Removes dead rows, then the vertices that have none left.
 *
 * One pass over the index removes rows and marks vertices dead; a second one
 * gives their neighbours other links.  Between the two, inserts that may be
 * about to link to one of the dead are waited for; later ones see the mark.
 * After the second pass nothing leads to the dead, and their room is free.
 * A VACUUM that is cancelled leaves marks behind, which the next one takes up.
 */
#include "postgres.h"

#include "access/genam.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "am/vtree.h"

typedef struct Vacuum
{
	VecxIndex  *index;
	IndexVacuumInfo *info;
	IndexBulkDeleteCallback callback;
	void	   *arg;
	VecxRowEntry *rows;			/* room for those in a record */
	VecxListNotes notes;		/* lists that need more than that */
	VecxTreeDropped dropped;	/* values of removed rows, for the value tree */
	VecxIdSet	dead;			/* vertices that this VACUUM removes */
	uint64		max_dead;
	uint64	   *reached;		/* a bit for each id on the pages of a window, unless
								 * it is a live base record that nothing links to */
	BlockNumber window;			/* first of these pages */
	BlockNumber nwindow;
	VecxId	   *shaken;			/* base records that lost many links, in order */
	int			nshaken;
	int			max_shaken;
	int64		live;			/* rows */
	int64		removed;
	BlockNumber *uppers;		/* UPPER pages */
	int			nuppers;
	int			uppers_cap;
	bool		hurry;			/* others wait for a lock: no cost delay */
	VecxId		best;			/* a live record of the highest level there is */
	int			best_level;
} Vacuum;

static Buffer
read_block(Vacuum *v, BlockNumber blkno)
{
	if (v->hurry)
		CHECK_FOR_INTERRUPTS();
	else
		vacuum_delay_point(false);
	return ReadBufferExtended(v->index->rel, MAIN_FORKNUM, blkno, RBM_NORMAL, v->info->strategy);
}

/* Shares of maintenance_work_mem; the codes that repair keeps take half. */
#define DEAD_SHARE		4
#define REACHED_SHARE	8
#define SHAKEN_SHARE	16
#define DROPPED_SHARE	16

/* Bytes that a set of ids takes for each of them while its table grows. */
#define BYTES_PER_ID	24

/*
 * The sets within maintenance_work_mem.  What there is no room for is left to
 * the next VACUUM: dead vertices beyond max_dead keep their mark, and vertices
 * that nothing links to are looked for in a part of the index, at random.
 */
static void
make_sets(Vacuum *v, MemoryContext cxt)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(v->index->rel);
	Size		memory = (Size) maintenance_work_mem * 1024;

	VecxIdSetInit(&v->dead, cxt, nblocks);
	v->max_dead = PG_UINT64_MAX;
	if (sizeof(uint64) * (Size) nblocks > memory / DEAD_SHARE)
		v->max_dead = memory / DEAD_SHARE / BYTES_PER_ID;

	v->nwindow = (BlockNumber) Min(memory / REACHED_SHARE / sizeof(uint64), nblocks);
	v->window = (BlockNumber) pg_prng_uint64_range(&pg_global_prng_state, 0, nblocks - v->nwindow);
	v->reached = MemoryContextAllocExtended(cxt, sizeof(uint64) * Max(v->nwindow, 1),
											MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	v->max_shaken = (int) Min(memory / SHAKEN_SHARE / sizeof(VecxId), (Size) INT_MAX);
	v->shaken = MemoryContextAllocHuge(cxt, sizeof(VecxId) * v->max_shaken);
	if (v->index->meta.tree_root == InvalidBlockNumber || v->index->lists)
		return;
	v->dropped.max = (int) Min(memory / DROPPED_SHARE / sizeof(VecxTreeKey), (Size) INT_MAX);
	v->dropped.keys = MemoryContextAllocHuge(cxt, sizeof(VecxTreeKey) * v->dropped.max);
}

/* Whether the page is in the window, whose words are v->reached. */
static inline bool
in_window(const Vacuum *v, BlockNumber blkno)
{
	return blkno >= v->window && blkno - v->window < v->nwindow;
}

static inline void
set_reached(Vacuum *v, VecxId id)
{
	if (in_window(v, VecxIdBlock(id)))
		v->reached[VecxIdBlock(id) - v->window] |= UINT64CONST(1) << VecxIdOffset(id);
}

/* A vertex that is marked dead: to be removed by this VACUUM, or a later one. */
static void
take_up(Vacuum *v, VecxId id)
{
	if (VecxIdSetCount(&v->dead) < v->max_dead)
		VecxIdSetAdd(&v->dead, id);
}

/*
 * Removes dead rows of one vertex on the locked page; marks it dead if none is
 * left.
 */
static void
vacuum_vertex(Vacuum *v, Buffer buf, OffsetNumber off)
{
	VecxIndex  *index = v->index;
	Page		page = BufferGetPage(buf);
	Size		size;
	VecxId		id = VecxIdMake(BufferGetBlockNumber(buf), off);
	VecxRecord	rec = VecxGetRecord(index, page, id, &size);
	Size		row_size = index->layout.row_size;
	VecxRowEntry *rows;
	int			nrows;
	int			kept;
	int64		chained = 0;
	int			noted = v->dropped.n;
	VecxId		chain;
	VecxId		roomy = VECX_INVALID_ID;
	VecxPageChange change;

	if (!rec || rec->level != 0)
		return;
	if (rec->flags & VECX_RECORD_DEAD)
	{
		take_up(v, id);
		return;
	}
	nrows = Min(rec->nrows, VECX_INLINE_ROWS);
	rows = v->rows;
	memcpy(rows, VecxRecordRows(&index->layout, rec), row_size * nrows);
	v->dropped.id = id;
	kept = VecxRowsVacuum(index, rows, nrows, v->callback, v->arg, &v->dropped);
	chain = rec->chain_head;
	if (chain != VECX_INVALID_ID)
		chained = VecxSegmentsVacuum(index, id, chain, v->callback, v->arg, &v->dropped,
									  &v->removed, &roomy);
	v->live += kept + chained;
	v->removed += nrows - kept;
	if (kept == nrows && kept + chained > 0 &&
		(chain == VECX_INVALID_ID || (chained > 0 && roomy == rec->chain_tail)))
		return;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	rec = VecxGetRecord(index, change.page, id, &size);
	rec->nrows = (uint8) kept;
	memcpy(VecxRecordRows(&index->layout, rec), rows, row_size * kept);
	if (chained == 0)
		rec->chain_head = rec->chain_tail = VECX_INVALID_ID;
	else
		rec->chain_tail = roomy;
	if (kept + chained == 0)
		rec->flags |= VECX_RECORD_DEAD;
	VecxPageCommit(&change);
	if (chained == 0)
		VecxSegmentsFree(index, id, chain);
	if (kept + chained == 0)
	{
		/* all of its entries will go with it */
		v->dropped.n = noted;
		take_up(v, id);
	}
}

/*
 * The same of a centroid: dead is one whose list is closed and has no rows.  What
 * leads to the list stays until no insert has it in hand.
 */
static void
vacuum_centroid(Vacuum *v, Buffer buf, OffsetNumber off)
{
	VecxIndex  *index = v->index;
	Size		size;
	VecxId		id = VecxIdMake(BufferGetBlockNumber(buf), off);
	VecxRecord	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	VecxListState state;
	BlockNumber head;
	VecxPageChange change;

	if (!rec || rec->level != 0)
		return;
	if (!(rec->flags & VECX_RECORD_DEAD))
	{
		if (rec->nrows != 1 ||
			VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid) == BufferGetBlockNumber(buf))
			VecxCorrupted(index->rel, BufferGetBlockNumber(buf), "a centroid has no list");
		head = VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid);
		if (!VecxListTend(index, head, &state))
		{
			VecxListNote(&v->notes, index, id, head, &state);
			return;
		}
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		VecxGetRecord(index, change.page, id, &size)->flags |= VECX_RECORD_DEAD;
		VecxPageCommit(&change);
	}
	take_up(v, id);
}

/* Looks at all centroids, when their lists have been vacuumed. */
static void
vacuum_centroids(Vacuum *v, BlockNumber nblocks)
{
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		Buffer		buf = read_block(v, blkno);
		Page		page = BufferGetPage(buf);

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		if (!PageIsNew(page) && VecxPageGetOpaque(page)->kind == VECX_PAGE_VERTEX)
			for (OffsetNumber off = FirstOffsetNumber;
				 off <= Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS); off++)
				vacuum_centroid(v, buf, off);
		UnlockReleaseBuffer(buf);
	}
}

/* Takes the lists of dead centroids from them, and retires those. */
static void
retire_lists(Vacuum *v)
{
	VecxIndex  *index = v->index;

	for (BlockNumber blkno = VecxIdSetNextBlock(&v->dead, 0); blkno != InvalidBlockNumber;
		 blkno = VecxIdSetNextBlock(&v->dead, blkno + 1))
		for (OffsetNumber off = FirstOffsetNumber; off <= VECX_MAX_ITEMS; off++)
		{
			VecxId		id = VecxIdMake(blkno, off);
			Buffer		buf;
			Size		size;
			VecxRecord	rec;
			VecxPageChange change;

			if (!VecxIdSetContains(&v->dead, id))
				continue;
			buf = read_block(v, blkno);
			LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
			rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
			if (rec && rec->level == 0 && rec->nrows > 0)
			{
				VecxListRetire(index, VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid));
				VecxPageBegin(&change, index->rel, buf, index->mode, false);
				VecxGetRecord(index, change.page, id, &size)->nrows = 0;
				VecxPageCommit(&change);
			}
			UnlockReleaseBuffer(buf);
		}
}

static void
remember_upper(Vacuum *v, BlockNumber blkno)
{
	if (v->nuppers == v->uppers_cap)
	{
		v->uppers_cap = Max(v->uppers_cap * 2, 64);
		v->uppers = v->uppers ?
			repalloc_huge(v->uppers, sizeof(BlockNumber) * v->uppers_cap) :
			palloc(sizeof(BlockNumber) * v->uppers_cap);
	}
	v->uppers[v->nuppers++] = blkno;
}

/* Waits until no insert is under way that began before. */
static void
wait_for_inserts(Vacuum *v)
{
	LockPage(v->index->rel, VECX_META_BLKNO, ExclusiveLock);
	UnlockPage(v->index->rel, VECX_META_BLKNO, ExclusiveLock);
}

/* Finds the UPPER pages anew. */
static void
find_uppers(Vacuum *v)
{
	BlockNumber nblocks = VecxSettledLength(v->index->rel);

	v->nuppers = 0;
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		Buffer		buf = read_block(v, blkno);
		Page		page = BufferGetPage(buf);

		LockBuffer(buf, BUFFER_LOCK_SHARE);
		if (!PageIsNew(page) && VecxPageGetOpaque(page)->kind == VECX_PAGE_UPPER)
			remember_upper(v, blkno);
		UnlockReleaseBuffer(buf);
	}
}

/*
 * Merges and splits lists, now that all rows were seen; centroids that have none left
 * go at once.  Among them may be some that came of a merge before, or of an insert that
 * has yet to write their upper records: these have to be known, too.
 */
static void
tend_lists(Vacuum *v)
{
	VecxListTendNoted(v->index, &v->notes);
	if (v->notes.nemptied == 0)
		return;
	for (int i = 0; i < v->notes.nemptied; i++)
		take_up(v, v->notes.emptied[i]);
	wait_for_inserts(v);
	find_uppers(v);
}

static void
remove_rows(Vacuum *v)
{
	BlockNumber nblocks = VecxSettledLength(v->index->rel);

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		Buffer		buf = read_block(v, blkno);
		Page		page = BufferGetPage(buf);
		bool		unused;

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		/* all items freed, or a crash between the file's growth and first use */
		unused = VecxPageIsFree(page);
		if (!PageIsNew(page))
		{
			VecxPageCheck(v->index->rel, buf, 0);
			if (VecxPageGetOpaque(page)->kind == VECX_PAGE_VERTEX && !v->index->lists)
				for (OffsetNumber off = FirstOffsetNumber;
					 off <= Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS); off++)
				vacuum_vertex(v, buf, off);
			else if (VecxPageGetOpaque(page)->kind == VECX_PAGE_LIST && v->index->lists)
				unused = VecxListVacuumPage(v->index, buf, v->callback, v->arg, &v->live, &v->removed);
			else if (VecxPageGetOpaque(page)->kind == VECX_PAGE_UPPER)
				remember_upper(v, blkno);
		}
		UnlockReleaseBuffer(buf);
		if (unused)
			RecordPageWithFreeSpace(v->index->rel, blkno, VECX_PAGE_CAPACITY);
	}
	if (v->index->lists)
		vacuum_centroids(v, nblocks);
	VecxSideVacuum(v->index, v->callback, v->arg, &v->live, &v->removed);
}

/* Marks the upper records of dead vertices. */
static void
mark_uppers(Vacuum *v)
{
	VecxIndex  *index = v->index;

	for (int i = 0; i < v->nuppers; i++)
	{
		Buffer		buf = read_block(v, v->uppers[i]);
		Page		page = BufferGetPage(buf);
		VecxPageChange change;
		bool		changed = false;

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		for (OffsetNumber off = FirstOffsetNumber;
			 off <= Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS); off++)
		{
			Size		size;
			VecxRecord	rec = VecxGetRecord(index, change.page, VecxIdMake(v->uppers[i], off), &size);

			if (!rec || !VecxIdSetContains(&v->dead, rec->base))
				continue;
			changed |= (rec->flags & VECX_RECORD_DEAD) == 0;
			rec->flags |= VECX_RECORD_DEAD;
			VecxIdSetAdd(&v->dead, VecxIdMake(v->uppers[i], off));
		}
		if (changed)
			VecxPageCommit(&change);
		else
			VecxPageAbandon(&change);
		UnlockReleaseBuffer(buf);
	}
}

/* Ids of the records on a page that link to a dead one. */
static int
records_to_repair(Vacuum *v, BlockNumber blkno, VecxId *ids)
{
	VecxIndex  *index = v->index;
	Buffer		buf = read_block(v, blkno);
	Page		page = BufferGetPage(buf);
	OffsetNumber max;
	int			n = 0;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	max = PageIsNew(page) ? 0 : Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS);
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
note_links(Vacuum *v, BlockNumber blkno)
{
	VecxIndex  *index = v->index;
	Buffer		buf = read_block(v, blkno);
	Page		page = BufferGetPage(buf);
	OffsetNumber max;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	max = PageIsNew(page) || VecxPageGetOpaque(page)->kind != VECX_PAGE_VERTEX ? 0 :
		Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS);
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
adopt_orphans(Vacuum *v, VecxCodeCache *cache, MemoryContext per_record, BlockNumber nblocks)
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
repair_links(Vacuum *v)
{
	VecxIndex  *index = v->index;
	MemoryContext per_record = AllocSetContextCreate(CurrentMemoryContext, "vecx repair",
													 ALLOCSET_DEFAULT_SIZES);
	VecxCodeCache *cache = VecxCodeCacheMake(index, CurrentMemoryContext,
											 (Size) maintenance_work_mem * 1024 / 2);
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
	Vacuum	   *v = arg;

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
move_entry(Vacuum *v)
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
relink(Vacuum *v)
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
free_on_page(Vacuum *v, BlockNumber blkno)
{
	VecxIndex  *index = v->index;
	Buffer		buf = read_block(v, blkno);
	VecxPageChange change;
	Size		room;
	bool		is_vertex_page;
	bool		changed = false;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	for (OffsetNumber off = Min(PageGetMaxOffsetNumber(change.page), VECX_MAX_ITEMS);
		 off >= FirstOffsetNumber; off--)
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
free_dead(Vacuum *v)
{
	/* uppers first, so that no way down leads to a freed vertex */
	for (int i = 0; i < v->nuppers; i++)
		if (VecxIdSetHasBlock(&v->dead, v->uppers[i]))
			free_on_page(v, v->uppers[i]);
	for (BlockNumber blkno = VecxIdSetNextBlock(&v->dead, 0); blkno != InvalidBlockNumber;
		 blkno = VecxIdSetNextBlock(&v->dead, blkno + 1))
		free_on_page(v, blkno);
}

/* Tells how far the index is from the one that the curve was measured on. */
static void
count_removed(VecxMetaPageData *meta, void *arg)
{
	const Vacuum *v = arg;
	uint64		removed = meta->curve.removed + VecxIdSetCount(&v->dead);

	meta->curve.removed = (uint32) Min(removed, PG_UINT32_MAX);
}

static bool
nothing_dead(ItemPointer tid, void *arg)
{
	return false;
}

IndexBulkDeleteResult *
vecxbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			   IndexBulkDeleteCallback callback, void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx vacuum",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	Vacuum		v;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	old = MemoryContextSwitchTo(cxt);
	memset(&v, 0, sizeof(v));
	v.index = VecxIndexOpen(info->index, cxt);
	v.info = info;
	v.callback = callback;
	v.arg = arg;
	v.rows = palloc(v.index->layout.row_size * VECX_INLINE_ROWS);
	make_sets(&v, cxt);
	VecxListNotesInit(&v.notes);

	VecxTrainLock(v.index);
	VecxIndexRefresh(v.index);
	if (v.index->lists && v.index->meta.tree_root != InvalidBlockNumber)
		VecxTreeVacuumRows(v.index, callback, arg);
	remove_rows(&v);
	VecxTreeRemoveDropped(v.index, &v.dropped);
	if (v.index->lists && (v.removed > 0 || callback == nothing_dead))
		tend_lists(&v);
	if (VecxIdSetCount(&v.dead) > 0)
	{
		mark_uppers(&v);
		wait_for_inserts(&v);
		if (v.index->lists)
			retire_lists(&v);
		repair_links(&v);
		move_entry(&v);
		relink(&v);
		if (v.index->meta.tree_root != InvalidBlockNumber && !v.index->lists)
			VecxTreeRemoveDead(v.index, &v.dead);
		free_dead(&v);
		VecxMetaEdit(v.index, count_removed, &v);
	}
	if (v.index->lists && v.index->meta.lists_closed > 0)
		VecxListsVacuumed(v.index);
	VecxTrainUnlock(v.index);

	stats->num_index_tuples = (double) v.live;
	stats->tuples_removed += (double) v.removed;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return stats;
}

/* Whether there is something to clear away although no row is dead. */
static bool
wants_vacuum(Relation rel)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx vacuum", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxIndex  *index = VecxIndexOpen(rel, cxt);
	bool		wants = index->lists && VecxListsWantVacuum(index);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return wants;
}

IndexBulkDeleteResult *
vecxvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	MemoryContext cxt;
	MemoryContext old;
	VecxIndex  *index;

	if (info->analyze_only)
	{
		cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx analyze", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(cxt);
		index = VecxIndexOpen(info->index, cxt);
		if (index->lists)
			VecxListCalibrateIfChanged(index);
		else
			VecxCalibrateIfChanged(index);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		return stats;
	}
	if (stats == NULL && wants_vacuum(info->index))
		stats = vecxbulkdelete(info, NULL, nothing_dead, NULL);
	if (stats == NULL)
	{
		/* no row was removed: the number of rows is not ours to say */
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->estimated_count = true;
		stats->num_index_tuples = info->num_heap_tuples;
	}
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx vacuum", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	index = VecxIndexOpen(info->index, cxt);
	VecxTrainLock(index);
	VecxVacuumModels(index);
	VecxTrainUnlock(index);
	VecxCalibrateIfChanged(index);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);

	IndexFreeSpaceMapVacuum(info->index);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return stats;
}

/*
 * vacuum.c
 *    Removes dead rows, then the vertices that have none left.
 *
 * One pass over the index removes rows and marks vertices dead; a second one
 * (vacuum_dead.c) gives their neighbours other links.  Between the two, inserts that may be
 * about to link to one of the dead are waited for; later ones see the mark.
 * After the second pass nothing leads to the dead, and their room is free.
 * A VACUUM that is cancelled leaves marks behind, which the next one takes up.
 */
#include "postgres.h"

#include "access/genam.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "am/vacuum.h"

/* Of a page that any pass looks at. */
Buffer
VecxVacuumRead(VecxVacuum *v, BlockNumber blkno)
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

/* The setting, in kB, that bounds what maintenance of an index takes: autovacuum has its own. */
int
VecxMaintenanceMemory(void)
{
	return AmAutoVacuumWorkerProcess() && autovacuum_work_mem != -1 ? autovacuum_work_mem :
		maintenance_work_mem;
}

/*
 * The sets within maintenance_work_mem.  What there is no room for is left to
 * the next VACUUM: dead vertices beyond max_dead keep their mark, and vertices
 * that nothing links to are looked for in a part of the index, at random.
 */
static void
make_sets(VecxVacuum *v, MemoryContext cxt)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(v->index->rel);
	Size		memory = (Size) VecxMaintenanceMemory() * 1024;

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

/* A vertex that is marked dead: to be removed by this VACUUM, or a later one. */
static void
take_up(VecxVacuum *v, VecxId id)
{
	if (VecxIdSetCount(&v->dead) < v->max_dead)
		VecxIdSetAdd(&v->dead, id);
}

/*
 * Removes dead rows of one vertex on the locked page; marks it dead if none is
 * left.
 */
static void
vacuum_vertex(VecxVacuum *v, Buffer buf, OffsetNumber off)
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
	v->dropped.cell = (uint16) rec->cell;
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

/* Marks a centroid as a vertex without rows, unless it is gone, or of another list. */
static void
mark_centroid(VecxVacuum *v, VecxId id, BlockNumber head)
{
	VecxIndex  *index = v->index;
	Buffer		buf = VecxVacuumRead(v, VecxIdBlock(id));
	VecxRecord	rec;
	Size		size;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	if (rec && rec->level == 0 && VecxListOfRecord(index, rec) == head)
	{
		VecxPageChange change;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		VecxGetRecord(index, change.page, id, &size)->flags |= VECX_RECORD_DEAD;
		VecxPageCommit(&change);
	}
	UnlockReleaseBuffer(buf);
}

/*
 * Sees to the list of a centroid.  Dead is one whose list is closed and has no rows.  What
 * leads to the list stays until no insert has it in hand.
 */
static void
vacuum_centroid(VecxVacuum *v, VecxId id, BlockNumber head)
{
	VecxListState state;

	vacuum_delay_point(false);
	if (!VecxListTend(v->index, head, &state))
	{
		VecxListNote(&v->notes, v->index, id, head, &state);
		return;
	}
	mark_centroid(v, id, head);
	take_up(v, id);
}

/* Looks at the centroids of a page, which is not locked while their lists are walked. */
static void
vacuum_centroids_of(VecxVacuum *v, BlockNumber blkno)
{
	VecxIndex  *index = v->index;
	BlockNumber heads[VECX_MAX_ITEMS + 1];	/* VECX_META_BLKNO: no live centroid */
	Buffer		buf = VecxVacuumRead(v, blkno);
	Page		page = BufferGetPage(buf);
	OffsetNumber max;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	max = VecxLastVertex(page);
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		Size		size;
		VecxRecord	rec = VecxGetRecord(index, page, VecxIdMake(blkno, off), &size);

		heads[off] = VECX_META_BLKNO;
		if (!rec || rec->level != 0)
			continue;
		if (rec->flags & VECX_RECORD_DEAD)
			take_up(v, VecxIdMake(blkno, off));
		else if (rec->nrows != 1 || VecxListOfRecord(index, rec) == VECX_META_BLKNO ||
				 VecxListOfRecord(index, rec) == blkno)
			VecxCorrupted(index->rel, blkno, "a centroid has no list");
		else
			heads[off] = VecxListOfRecord(index, rec);
	}
	UnlockReleaseBuffer(buf);
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
		if (heads[off] != VECX_META_BLKNO)
			vacuum_centroid(v, VecxIdMake(blkno, off), heads[off]);
}

static void
remember_block(VecxVacuumBlocks *blocks, BlockNumber blkno)
{
	if (blocks->n == blocks->cap)
	{
		blocks->cap = Max(blocks->cap * 2, 64);
		blocks->blocks = blocks->blocks ?
			repalloc_huge(blocks->blocks, sizeof(BlockNumber) * blocks->cap) :
			palloc(sizeof(BlockNumber) * blocks->cap);
	}
	blocks->blocks[blocks->n++] = blkno;
}

/* Waits until no insert is under way that began before. */
void
VecxVacuumWait(VecxVacuum *v)
{
	LockPage(v->index->rel, VECX_META_BLKNO, ExclusiveLock);
	UnlockPage(v->index->rel, VECX_META_BLKNO, ExclusiveLock);
}

/* Finds the UPPER pages anew. */
static void
find_uppers(VecxVacuum *v)
{
	BlockNumber nblocks = VecxSettledLength(v->index->rel);

	v->uppers.n = 0;
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		Buffer		buf = VecxVacuumRead(v, blkno);
		Page		page = BufferGetPage(buf);

		LockBuffer(buf, BUFFER_LOCK_SHARE);
		if (!PageIsNew(page) && VecxPageGetOpaque(page)->kind == VECX_PAGE_UPPER)
			remember_block(&v->uppers, blkno);
		UnlockReleaseBuffer(buf);
	}
}

/*
 * Merges and splits lists, now that all rows were seen; centroids that have none left
 * go at once.  Among them may be some that came of a merge before, or of an insert that
 * has yet to write their upper records: these have to be known, too.
 */
static void
tend_lists(VecxVacuum *v)
{
	VecxListTendNoted(v->index, &v->notes);
	if (v->notes.nemptied == 0)
		return;
	for (int i = 0; i < v->notes.nemptied; i++)
		take_up(v, v->notes.emptied[i]);
	VecxVacuumWait(v);
	find_uppers(v);
}

static void
remove_rows(VecxVacuum *v)
{
	BlockNumber nblocks = VecxSettledLength(v->index->rel);

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		Buffer		buf = VecxVacuumRead(v, blkno);
		Page		page = BufferGetPage(buf);
		bool		unused;

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		/* all items freed, or a crash between the file's growth and first use */
		unused = VecxPageIsFree(page);
		if (!PageIsNew(page))
		{
			VecxPageCheck(v->index->rel, buf, 0);
			if (VecxPageGetOpaque(page)->kind == VECX_PAGE_VERTEX && !v->index->lists)
				for (OffsetNumber off = FirstOffsetNumber; off <= VecxLastItem(page); off++)
				vacuum_vertex(v, buf, off);
			else if (VecxPageGetOpaque(page)->kind == VECX_PAGE_VERTEX && !unused)
				remember_block(&v->vertices, blkno);
			else if (VecxPageGetOpaque(page)->kind == VECX_PAGE_LIST && v->index->lists)
				unused = VecxListVacuumPage(v->index, buf, v->callback, v->arg, &v->live, &v->removed, &v->waits);
			else if (VecxPageGetOpaque(page)->kind == VECX_PAGE_UPPER && !unused)
				remember_block(&v->uppers, blkno);
		}
		UnlockReleaseBuffer(buf);
		if (unused)
			RecordPageWithFreeSpace(v->index->rel, blkno, VECX_PAGE_CAPACITY);
	}
	/* centroids, when the pages of their lists have been vacuumed */
	for (int i = 0; i < v->vertices.n; i++)
		vacuum_centroids_of(v, v->vertices.blocks[i]);
	VecxSideVacuum(v->index, v->callback, v->arg, &v->live, &v->removed);
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
	VecxVacuum	v;
	uint32		closed;

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
	closed = v.index->meta.lists_closed;
	if (v.index->lists && v.index->meta.tree_root != InvalidBlockNumber)
		VecxTreeVacuumRows(v.index, callback, arg);
	remove_rows(&v);
	VecxTreeRemoveDropped(v.index, &v.dropped);
	if (v.index->lists && (v.removed > 0 || callback == nothing_dead))
		tend_lists(&v);
	if (VecxIdSetCount(&v.dead) > 0)
		VecxVacuumDead(&v);
	VecxIndexRefresh(v.index);
	if (v.index->meta.lists_unsettled)
		VecxListsSettle(v.index);
	/* pages that wait for a snapshot are the next VACUUM's */
	if (closed > 0 && !v.waits)
		VecxListsVacuumed(v.index, closed);
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
			VecxListCalibrateIfChanged(index, false);
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
	if (index->lists)
		VecxListCalibrateIfChanged(index, true);
	else
		VecxCalibrateIfChanged(index);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);

	IndexFreeSpaceMapVacuum(info->index);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return stats;
}

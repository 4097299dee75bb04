/*
 * vtree_vacuum.c
 *    Removes what VACUUM found dead from the value tree: vertices, and values that
 *    no row of a vertex has any more.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"

#include "am/vtree.h"

typedef bool (*IsDead) (const VecxTreeKey *key, void *arg);

/* Removes the dead entries of an exclusively locked leaf. */
static void
clean_leaf(VecxIndex *index, Buffer buf, IsDead is_dead, void *arg)
{
	Page		page = BufferGetPage(buf);
	int			count = VecxTreeGetHead(page)->count;
	bool	   *dead = palloc(sizeof(bool) * Max(count, 1));
	bool		any = false;

	for (int i = 0; i < count; i++)
	{
		VecxTreeKey key = VecxTreeEntryKey(VecxTreeEntry(page, i));

		dead[i] = is_dead(&key, arg);
		any |= dead[i];
	}
	if (any)
	{
		VecxPageChange change;

		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		for (int i = count; i-- > 0;)
			if (dead[i])
				VecxTreePageRemove(change.page, i);
		VecxPageCommit(&change);
	}
	pfree(dead);
}

/*
 * Removes all dead entries, leaf by leaf from left to right: what a split moves
 * meanwhile goes to where the walk has not been.
 */
static void
clean_leaves(VecxIndex *index, IsDead is_dead, void *arg)
{
	VecxTreeKey least;
	Buffer		buf;

	memset(&least, 0, sizeof(least));
	buf = VecxTreeDescend(index, 0, &least, BUFFER_LOCK_EXCLUSIVE);
	for (;;)
	{
		BlockNumber next = VecxPageGetOpaque(BufferGetPage(buf))->next;
		VecxTreeKey high = VecxTreeGetHead(BufferGetPage(buf))->high;

		clean_leaf(index, buf, is_dead, arg);
		UnlockReleaseBuffer(buf);
		if (next == InvalidBlockNumber)
			return;
		vacuum_delay_point(false);
		buf = VecxTreeReadNext(index, next, 0, &high, BUFFER_LOCK_EXCLUSIVE);
	}
}

static bool
is_of_dead_vertex(const VecxTreeKey *key, void *arg)
{
	return VecxIdSetContains(arg, key->id);
}

/* Removes the entries of dead vertices.  Nobody adds any of a vertex that is marked dead. */
void
VecxTreeRemoveDead(VecxIndex *index, const VecxIdSet *dead)
{
	clean_leaves(index, is_of_dead_vertex, unconstify(VecxIdSet *, dead));
}

/* Keys of one column that a row entry may tell. */
#define MAX_KEYS_OF_ROW		VECX_FILTER_ARRAY_SLOT

/* Segments that are looked at to learn whether a vertex still has a value. */
#define MAX_SEGMENTS		8

/*
 * Notes the values of a row that is removed from dropped->id.  Those for which there
 * is no room stay in the tree, as do the elements of an array too wide to be kept.
 */
void
VecxTreeNoteDropped(const VecxIndex *index, VecxTreeDropped *dropped, const VecxRowEntry *row)
{
	for (int column = 0; column < index->filters->ncolumns && dropped->n < dropped->max; column++)
	{
		uint64		keys[MAX_KEYS_OF_ROW];
		int			n = VecxFilterKeysOfBytes(index->filters, column, VecxRowFilters(row), keys,
											  MAX_KEYS_OF_ROW);

		for (int i = 0; i < n && dropped->n < dropped->max; i++)
		{
			VecxTreeKey key = {keys[i], dropped->id, (uint16) column, dropped->cell};

			dropped->keys[dropped->n++] = key;
		}
	}
}

/* Whether one of some row entries has a value, or might. */
static bool
rows_have(const VecxIndex *index, const VecxRowEntry *rows, int nrows, const VecxTreeKey *key)
{
	for (int row = 0; row < nrows; row++)
	{
		uint64		keys[MAX_KEYS_OF_ROW];
		int			n = VecxFilterKeysOfBytes(index->filters, key->column,
											  VecxRowFilters(VecxRowAt(rows, index->layout.row_size, row)),
											  keys, MAX_KEYS_OF_ROW);

		if (n < 0)
			return true;
		for (int i = 0; i < n; i++)
			if (keys[i] == key->value)
				return true;
	}
	return false;
}

/* Whether a vertex has a row with a value, as far as a look at it tells: in doubt it
 * has.  What VACUUM has marked dead is left to it. */
static bool
vertex_has(VecxIndex *index, const VecxTreeKey *key)
{
	Buffer		buf = VecxReadBuffer(index->rel, VecxIdBlock(key->id));
	VecxRecord	rec;
	Size		size;
	VecxId		segment = VECX_INVALID_ID;
	bool		has = true;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	rec = VecxGetRecord(index, BufferGetPage(buf), key->id, &size);
	if (rec && rec->level == 0 && !(rec->flags & VECX_RECORD_DEAD))
	{
		has = rows_have(index, VecxRecordRows(&index->layout, rec), rec->nrows, key);
		segment = rec->chain_head;
	}
	UnlockReleaseBuffer(buf);
	for (int i = 0; i < MAX_SEGMENTS && !has && segment != VECX_INVALID_ID; i++)
	{
		VecxRowSegment seg;

		buf = VecxReadBuffer(index->rel, VecxIdBlock(segment));
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		seg = VecxPageGetSegment(BufferGetPage(buf), VecxIdOffset(segment), index->layout.row_size);
		has = !seg || seg->owner != key->id ||
			rows_have(index, VecxSegmentRows(seg), seg->nrows, key);
		if (seg)
			segment = seg->next;
		UnlockReleaseBuffer(buf);
	}
	return has || segment != VECX_INVALID_ID;
}

static int
compare_keys(const void *a, const void *b)
{
	return VecxTreeCompare(a, b);
}

/*
 * Removes the entries of values that a vertex has in no row any more.  The vertex is
 * looked at while the leaf is locked: an insert of a row with that value has
 * either written the row, or will find the entry gone and add another.
 */
void
VecxTreeRemoveDropped(VecxIndex *index, VecxTreeDropped *dropped)
{
	qsort(dropped->keys, dropped->n, sizeof(VecxTreeKey), compare_keys);
	for (int i = 0; i < dropped->n; i++)
	{
		const VecxTreeKey *key = &dropped->keys[i];
		Buffer		buf;
		bool		found;
		int			at;

		if (i > 0 && VecxTreeCompare(key, key - 1) == 0)
			continue;
		vacuum_delay_point(false);
		buf = VecxTreeDescend(index, 0, key, BUFFER_LOCK_EXCLUSIVE);
		at = VecxTreePageFind(BufferGetPage(buf), key, &found);
		if (found && !vertex_has(index, key))
		{
			VecxPageChange change;

			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			VecxTreePageRemove(change.page, at);
			VecxPageCommit(&change);
		}
		UnlockReleaseBuffer(buf);
	}
}

typedef struct RowCallback
{
	IndexBulkDeleteCallback callback;
	void	   *arg;
} RowCallback;

static bool
is_of_dead_row(const VecxTreeKey *key, void *arg)
{
	RowCallback *rows = arg;
	ItemPointerData tid;

	VecxTreeKeyTid(key, &tid);
	return rows->callback(&tid, rows->arg);
}

/*
 * VACUUM of a tree of rows.  A row's entries are added while its transaction is under
 * way, so that none is dead whose entries are still to come.
 */
void
VecxTreeVacuumRows(VecxIndex *index, IndexBulkDeleteCallback callback, void *arg)
{
	RowCallback rows = {callback, arg};

	clean_leaves(index, is_of_dead_row, &rows);
}

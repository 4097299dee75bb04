/*
 * place.c
 *    Finds a page for a new item and puts it there.
 *
 * Free room on VERTEX pages is in the free space map.  Pages of the two other
 * kinds are few: the metapage remembers the one that new items go to, and once
 * it is full an empty page takes its place.
 */
#include "postgres.h"

#include "storage/freespace.h"
#include "storage/indexfsm.h"

#include "am/am.h"

/* Pages that are tried by the free space map's word before the index grows. */
#define MAX_TRIES	8

/* Room to ask the map for to get an empty page: its steps are BLCKSZ / 256, and
 * the last of them it keeps for pages with even more room than ours. */
#define EMPTY_PAGE_ROOM	(BLCKSZ / 256 * 254)

/* Tells the free space map, its upper levels as well, of a page without contents. */
void
VecxGiveBackPage(Relation rel, BlockNumber blkno)
{
	RecordPageWithFreeSpace(rel, blkno, VECX_PAGE_CAPACITY);
	FreeSpaceMapVacuumRange(rel, blkno, blkno + 1);
}

/*
 * A page without contents, exclusively locked, to become one of any kind: an
 * empty one that the map knows of, or a new one.  The map may be out of date, and
 * name a page that is in use, even one that the caller itself has locked: a
 * split of the value tree's root takes two.  So none is waited for.
 */
Buffer
VecxTakeFreePage(VecxIndex *index)
{
	Relation	rel = index->rel;
	BlockNumber busy[MAX_TRIES];
	int			nbusy = 0;
	Buffer		found = InvalidBuffer;

	for (int i = 0; i < MAX_TRIES && !BufferIsValid(found); i++)
	{
		BlockNumber blkno = GetPageWithFreeSpace(rel, EMPTY_PAGE_ROOM);
		Buffer		buf;

		if (blkno == InvalidBlockNumber || blkno == VECX_META_BLKNO)
			break;
		/* what will be left of it is not for vertices */
		RecordPageWithFreeSpace(rel, blkno, 0);
		FreeSpaceMapVacuumRange(rel, blkno, blkno + 1);
		/* the map may be ahead of a crash: no page beyond the end */
		if (blkno >= RelationGetNumberOfBlocks(rel))
			continue;
		buf = ReadBuffer(rel, blkno);
		if (!ConditionalLockBuffer(buf))
		{
			ReleaseBuffer(buf);
			busy[nbusy++] = blkno;
		}
		else if (VecxPageIsFree(BufferGetPage(buf)))
			found = buf;
		else
			UnlockReleaseBuffer(buf);
	}
	/* somebody only looks at them, maybe: not to be lost until the next VACUUM */
	for (int i = 0; i < nbusy; i++)
		VecxGiveBackPage(rel, busy[i]);
	return BufferIsValid(found) ? found : VecxExtend(rel, MAIN_FORKNUM);
}

/* Puts the item on the page if it fits; the page is exclusively locked, and
 * unlocked here.  An empty page takes the kind that is wanted. */
static VecxId
try_page(VecxIndex *index, Buffer buf, uint8 kind, const void *item, Size size, Size *room)
{
	BlockNumber blkno = BufferGetBlockNumber(buf);
	Page		page = BufferGetPage(buf);
	bool		same = VecxPageHasKind(page, kind);
	bool		init = !same && VecxPageIsFree(page);
	OffsetNumber off = InvalidOffsetNumber;
	VecxPageChange change;

	*room = 0;
	if (same)
		off = VecxPageFindRoom(page, size);
	else if (init)
		off = FirstOffsetNumber;
	if (off == InvalidOffsetNumber)
	{
		if (same)
			*room = PageGetExactFreeSpace(page);
		UnlockReleaseBuffer(buf);
		return VECX_INVALID_ID;
	}

	VecxPageBegin(&change, index->rel, buf, index->mode, init);
	if (init)
		VecxPageInit(change.page, kind);
	VecxPageAddItem(change.page, off, item, size);
	*room = PageGetExactFreeSpace(change.page);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
	return VecxIdMake(blkno, off);
}

/* The same for a page that has room for every item. */
static VecxId
place_on_free_page(VecxIndex *index, Buffer buf, uint8 kind, const void *item, Size size, Size *room)
{
	VecxId		id = try_page(index, buf, kind, item, size, room);

	if (id == VECX_INVALID_ID)
		elog(ERROR, "an item of %zu bytes does not fit an empty page of index \"%s\"",
			 size, RelationGetRelationName(index->rel));
	return id;
}

static VecxId
place_vertex(VecxIndex *index, const void *item, Size size)
{
	Relation	rel = index->rel;
	BlockNumber blkno = RelationGetTargetBlock(rel);
	VecxId		id;
	Size		room;

	if (blkno == InvalidBlockNumber)
		blkno = GetPageWithFreeSpace(rel, size + sizeof(ItemIdData));
	for (int i = 0; i < MAX_TRIES && blkno != InvalidBlockNumber; i++)
	{
		Buffer		buf;

		if (blkno == VECX_META_BLKNO)
			break;
		if (blkno >= RelationGetNumberOfBlocks(rel))
		{
			blkno = RecordAndGetPageWithFreeSpace(rel, blkno, 0, size + sizeof(ItemIdData));
			continue;
		}
		buf = ReadBuffer(rel, blkno);
		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		id = try_page(index, buf, VECX_PAGE_VERTEX, item, size, &room);
		if (id != VECX_INVALID_ID)
		{
			RelationSetTargetBlock(rel, blkno);
			return id;
		}
		blkno = RecordAndGetPageWithFreeSpace(rel, blkno, room, size + sizeof(ItemIdData));
	}
	id = place_on_free_page(index, VecxExtend(rel, MAIN_FORKNUM), VECX_PAGE_VERTEX, item, size, &room);
	blkno = VecxIdBlock(id);
	RecordPageWithFreeSpace(rel, blkno, room);
	FreeSpaceMapVacuumRange(rel, blkno, blkno + 1);
	RelationSetTargetBlock(rel, blkno);
	return id;
}

typedef struct TailEdit
{
	uint8		kind;
	BlockNumber blkno;
} TailEdit;

static void
set_tail(VecxMetaPageData *meta, void *arg)
{
	TailEdit   *edit = arg;

	if (edit->kind == VECX_PAGE_ROWS)
		meta->rows_tail = edit->blkno;
	else
		meta->upper_tail = edit->blkno;
}

static VecxId
place_on_tail(VecxIndex *index, uint8 kind, const void *item, Size size)
{
	BlockNumber blkno = kind == VECX_PAGE_ROWS ? index->meta.rows_tail : index->meta.upper_tail;
	TailEdit	edit;
	VecxId		id;
	Size		room;

	if (blkno != InvalidBlockNumber && blkno < RelationGetNumberOfBlocks(index->rel))
	{
		Buffer		buf = ReadBuffer(index->rel, blkno);

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		id = try_page(index, buf, kind, item, size, &room);
		if (id != VECX_INVALID_ID)
			return id;
	}
	id = place_on_free_page(index, VecxTakeFreePage(index), kind, item, size, &room);
	edit.kind = kind;
	edit.blkno = VecxIdBlock(id);
	VecxMetaEdit(index, set_tail, &edit);
	return id;
}

/* Puts a new item on some page of that kind; returns its id. */
VecxId
VecxPlaceItem(VecxIndex *index, uint8 kind, const void *item, Size size)
{
	if (kind == VECX_PAGE_VERTEX)
		return place_vertex(index, item, size);
	return place_on_tail(index, kind, item, size);
}

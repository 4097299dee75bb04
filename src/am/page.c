/*
 * page.c
 *    Reads, changes and WAL-logs vecx pages.  Besides, splits of the value tree
 *    (vtree.c) start records of their own, and builds log whole pages (build.c,
 *    parallel.c).  Callers hold the locks that README.md lists.
 */
#include "postgres.h"

#include "access/genam.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

#include "am/page.h"

void
VecxCorrupted(Relation index, BlockNumber blkno, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is damaged: %s",
					RelationGetRelationName(index), what),
			 errdetail_internal("Block=%u.", blkno),
			 errhint("REINDEX the index.")));
}

/* Raises unless the page is one of ours and of that kind (0: of any kind). */
void
VecxPageCheck(Relation index, Buffer buf, uint8 kind)
{
	Page		page = BufferGetPage(buf);
	BlockNumber blkno = BufferGetBlockNumber(buf);

	if (PageIsNew(page))
		VecxCorrupted(index, blkno, "a page is all zeros");
	if (PageGetSpecialSize(page) != MAXALIGN(sizeof(VecxPageOpaqueData)) ||
		VecxPageGetOpaque(page)->page_id != VECX_PAGE_ID)
		VecxCorrupted(index, blkno, "a page is not of this access method");
	if (VecxPageGetOpaque(page)->format != VECX_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has pages of format %u",
						RelationGetRelationName(index), VecxPageGetOpaque(page)->format),
				 errdetail("This version of vecx reads format %u.", VECX_FORMAT_VERSION),
				 errhint("REINDEX the index.")));
	if (kind != 0 && VecxPageGetOpaque(page)->kind != kind)
		VecxCorrupted(index, blkno, "a page is of another kind than its chain says");
}

/*
 * Whether a relation has a page of that number.  It asks for the relation's length only
 * if the page is behind what this backend saw last; an index does not get shorter, and a
 * table that did made this backend forget its length.
 */
bool
VecxHasBlock(Relation rel, BlockNumber blkno)
{
	BlockNumber seen = RelationGetSmgr(rel)->smgr_cached_nblocks[MAIN_FORKNUM];

	return (seen != InvalidBlockNumber && blkno < seen) || blkno < RelationGetNumberOfBlocks(rel);
}

static Buffer
pin_page(Relation index, BlockNumber blkno, BufferAccessStrategy strategy)
{
	if (!VecxHasBlock(index, blkno))
		VecxCorrupted(index, blkno, "a page is missing");
	return ReadBufferExtended(index, MAIN_FORKNUM, blkno, RBM_NORMAL, strategy);
}

/* ReadBuffer of a page of an index to which another leads; raises if there is none. */
Buffer
VecxPinPage(Relation index, BlockNumber blkno)
{
	return pin_page(index, blkno, NULL);
}

Buffer
VecxReadPage(Relation index, BlockNumber blkno, int lockmode, uint8 kind)
{
	Buffer		buf = VecxPinPage(index, blkno);

	LockBuffer(buf, lockmode);
	VecxPageCheck(index, buf, kind);
	return buf;
}

/* Copies a page; false if it is all zeros. */
bool
VecxReadPageCopy(Relation index, BlockNumber blkno, BufferAccessStrategy strategy,
				 PGAlignedBlock *copy)
{
	Buffer		buf;
	bool		is_new;

	CHECK_FOR_INTERRUPTS();
	buf = pin_page(index, blkno, strategy);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	is_new = PageIsNew(BufferGetPage(buf));
	if (!is_new)
	{
		VecxPageCheck(index, buf, blkno == VECX_META_BLKNO ? VECX_PAGE_META : 0);
		memcpy(copy->data, BufferGetPage(buf), BLCKSZ);
	}
	UnlockReleaseBuffer(buf);
	return !is_new;
}

/* Whether a page has the space that tells its kind: one of another origin may not. */
static bool
has_kind(Page page)
{
	return !PageIsNew(page) && PageGetSpecialSize(page) == MAXALIGN(sizeof(VecxPageOpaqueData));
}

bool
VecxPageHasKind(Page page, uint8 kind)
{
	return has_kind(page) && VecxPageGetOpaque(page)->kind == kind;
}

/*
 * The record at a line pointer, provided that it lies within the page and is
 * at least min_size bytes long with as many links as it claims.  A NULL is no
 * damage: an id may outlive its record (see README.md, reuse).
 */
VecxRecord
VecxPageGetRecord(Page page, OffsetNumber off, Size min_size, Size *size)
{
	ItemId		iid;

	if (!has_kind(page) ||
		(VecxPageGetOpaque(page)->kind != VECX_PAGE_VERTEX &&
		 VecxPageGetOpaque(page)->kind != VECX_PAGE_UPPER))
		return NULL;
	if (off < FirstOffsetNumber || off > PageGetMaxOffsetNumber(page))
		return NULL;
	iid = PageGetItemId(page, off);
	if (!ItemIdIsNormal(iid) || ItemIdGetLength(iid) < min_size ||
		ItemIdGetOffset(iid) + ItemIdGetLength(iid) > BLCKSZ)
		return NULL;
	*size = ItemIdGetLength(iid);
	return (VecxRecord) PageGetItem(page, iid);
}

VecxRowSegment
VecxPageGetSegment(Page page, OffsetNumber off, Size row_size)
{
	ItemId		iid;
	VecxRowSegment seg;

	if (!has_kind(page) || VecxPageGetOpaque(page)->kind != VECX_PAGE_ROWS)
		return NULL;
	if (off < FirstOffsetNumber || off > PageGetMaxOffsetNumber(page))
		return NULL;
	iid = PageGetItemId(page, off);
	if (!ItemIdIsNormal(iid) || ItemIdGetLength(iid) < sizeof(VecxRowSegmentData) ||
		ItemIdGetOffset(iid) + ItemIdGetLength(iid) > BLCKSZ)
		return NULL;
	seg = (VecxRowSegment) PageGetItem(page, iid);
	if (seg->nrows > seg->cap || ItemIdGetLength(iid) < VecxSegmentSize(row_size, seg->cap))
		return NULL;
	return seg;
}

void
VecxPageBegin(VecxPageChange *change, Relation index, Buffer buf,
			  VecxWriteMode mode, bool whole)
{
	change->buf = buf;
	if (mode == VECX_WRITE_DIRECT)
	{
		change->xlog = NULL;
		change->page = BufferGetPage(buf);
		return;
	}
	change->xlog = GenericXLogStart(index);
	change->page = GenericXLogRegisterBuffer(change->xlog, buf,
											 whole ? GENERIC_XLOG_FULL_IMAGE : 0);
}

/* One more page to change, which the commit of the first logs as well. */
Page
VecxPageJoin(VecxPageChange *change, Buffer buf)
{
	if (change->xlog)
		return GenericXLogRegisterBuffer(change->xlog, buf, 0);
	MarkBufferDirty(buf);
	return BufferGetPage(buf);
}

void
VecxPageCommit(VecxPageChange *change)
{
	if (change->xlog)
		GenericXLogFinish(change->xlog);
	else
		MarkBufferDirty(change->buf);
}

void
VecxPageAbandon(VecxPageChange *change)
{
	Assert(change->xlog != NULL);
	GenericXLogAbort(change->xlog);
}

void
VecxPageInit(Page page, uint8 kind)
{
	VecxPageOpaque opaque;

	PageInit(page, BLCKSZ, sizeof(VecxPageOpaqueData));
	opaque = VecxPageGetOpaque(page);
	opaque->next = InvalidBlockNumber;
	opaque->kind = kind;
	opaque->format = VECX_FORMAT_VERSION;
	opaque->page_id = VECX_PAGE_ID;
}

/* That an index may have so many pages. */
void
VecxCheckRoom(Relation index, uint64 nblocks)
{
	if (nblocks > VECX_MAX_BLOCKS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" has reached its largest size of %u pages",
						RelationGetRelationName(index), VECX_MAX_BLOCKS),
				 errhint("Partition the table, or use a narrower quantizer.")));
}

/*
 * The page can be seen by others before it is locked here.  One of them may
 * have come upon it by a free space map that a crash left ahead of the file,
 * and have used it: then there has to be another.  It is not waited for, since
 * who has it may in turn wait for the extension lock.
 */
Buffer
VecxExtend(Relation index, ForkNumber fork)
{
	bool		need_lock = !RELATION_IS_LOCAL(index);

	for (;;)
	{
		Buffer		buf;
		bool		locked;

		if (need_lock)
			LockRelationForExtension(index, ExclusiveLock);
		VecxCheckRoom(index, (uint64) RelationGetNumberOfBlocksInFork(index, fork) + 1);
		buf = ReadBufferExtended(index, fork, P_NEW, RBM_NORMAL, NULL);
		locked = ConditionalLockBuffer(buf);
		if (need_lock)
			UnlockRelationForExtension(index, ExclusiveLock);
		if (locked && PageIsNew(BufferGetPage(buf)))
			return buf;
		if (locked)
			LockBuffer(buf, BUFFER_LOCK_UNLOCK);
		ReleaseBuffer(buf);
	}
}

/*
 * The index's length, when nobody is adding a page: pages within it are locked
 * by those who added them, or in use.
 */
BlockNumber
VecxSettledLength(Relation index)
{
	BlockNumber nblocks;

	if (RELATION_IS_LOCAL(index))
		return RelationGetNumberOfBlocks(index);
	LockRelationForExtension(index, ExclusiveLock);
	nblocks = RelationGetNumberOfBlocks(index);
	UnlockRelationForExtension(index, ExclusiveLock);
	return nblocks;
}

bool
VecxPageIsEmpty(Page page)
{
	/* unused line pointers stay behind where an item before the last was removed */
	for (OffsetNumber off = PageGetMaxOffsetNumber(page); off >= FirstOffsetNumber; off--)
		if (ItemIdIsUsed(PageGetItemId(page, off)))
			return false;
	return true;
}

/* Whether a page may become one of another kind. */
bool
VecxPageIsFree(Page page)
{
	uint8		kind;

	if (PageIsNew(page))
		return true;
	if (!has_kind(page))
		return false;
	kind = VecxPageGetOpaque(page)->kind;
	return (kind == VECX_PAGE_VERTEX || kind == VECX_PAGE_UPPER || kind == VECX_PAGE_ROWS) &&
		VecxPageIsEmpty(page);
}

OffsetNumber
VecxPageFindRoom(Page page, Size size)
{
	PageHeader	header = (PageHeader) page;
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	Size		room = header->pd_upper - header->pd_lower;
	OffsetNumber off;

	size = MAXALIGN(size);
	if (room < size)
		return InvalidOffsetNumber;
	for (off = FirstOffsetNumber; off <= max; off++)
		if (!ItemIdIsUsed(PageGetItemId(page, off)))
			return off;
	if (max >= VECX_MAX_ITEMS || room < size + sizeof(ItemIdData))
		return InvalidOffsetNumber;
	return max + 1;
}

void
VecxPageAddItem(Page page, OffsetNumber off, const void *item, Size size)
{
	if (PageAddItemExtended(page, (Item) item, size, off, PAI_OVERWRITE) != off)
		elog(ERROR, "could not add an item to a vecx page that has room");
}

/*
 * Each page of a blob is written, and logged, before the caller makes the blob
 * known in the metapage: a crash in between leaves unused pages, nothing worse.
 */
BlockNumber
VecxBlobWrite(Relation index, ForkNumber fork, VecxWriteMode mode,
			  const uint8 *bytes, Size nbytes)
{
	Size		npages = VecxBlobPages(nbytes);
	BlockNumber next = InvalidBlockNumber;

	/* from the last page to the first, so that each knows the one after it */
	for (Size i = npages; i-- > 0;)
	{
		Buffer		buf = VecxExtend(index, fork);
		Size		offset = i * VECX_PAGE_CAPACITY;
		Size		length = Min(nbytes - offset, VECX_PAGE_CAPACITY);
		VecxPageChange change;

		VecxPageBegin(&change, index, buf, mode, true);
		VecxPageInit(change.page, VECX_PAGE_MODEL);
		VecxPageGetOpaque(change.page)->next = next;
		memcpy(PageGetContents(change.page), bytes + offset, length);
		((PageHeader) change.page)->pd_lower += length;
		VecxPageCommit(&change);
		next = BufferGetBlockNumber(buf);
		UnlockReleaseBuffer(buf);
		CHECK_FOR_INTERRUPTS();
	}
	return next;
}

void
VecxBlobRead(Relation index, BlockNumber first, uint8 *bytes, Size nbytes)
{
	BlockNumber blkno = first;
	Size		done = 0;

	while (done < nbytes)
	{
		Size		length = Min(nbytes - done, VECX_PAGE_CAPACITY);
		Buffer		buf;
		Page		page;

		if (blkno == InvalidBlockNumber)
			VecxCorrupted(index, first, "a model is cut short");
		buf = VecxReadPage(index, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_MODEL);
		page = BufferGetPage(buf);
		if (((PageHeader) page)->pd_lower < MAXALIGN(SizeOfPageHeaderData) + length)
			VecxCorrupted(index, blkno, "a page of a model is cut short");
		memcpy(bytes + done, PageGetContents(page), length);
		done += length;
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
	}
}

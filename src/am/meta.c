/*
 * meta.c
 *    The metapage, and opening an index by it.
 */
#include "postgres.h"

#include "am/list.h"
#include "am/vtree.h"

static void
check_meta(Relation index, const VecxMetaPageData *meta)
{
	if (meta->magic != VECX_MAGIC)
		VecxCorrupted(index, VECX_META_BLKNO, "the metapage has a wrong magic number");
	if (meta->version != VECX_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has format %u", RelationGetRelationName(index), meta->version),
				 errdetail("This version of vecx reads format %u.", VECX_FORMAT_VERSION),
				 errhint("REINDEX the index.")));
	if (meta->structure < VECX_STRUCTURE_GRAPH || meta->structure > VECX_STRUCTURE_LISTS ||
		meta->dim < 1 ||
		meta->value_dim < meta->dim ||
		meta->m < VECX_MIN_M || meta->m > VECX_MAX_M)
		VecxCorrupted(index, VECX_META_BLKNO, "the metapage has values out of range");
}

void
VecxMetaRead(Relation index, VecxMetaPageData *meta)
{
	Buffer		buf = VecxReadPage(index, VECX_META_BLKNO, BUFFER_LOCK_SHARE, VECX_PAGE_META);

	*meta = *VecxPageGetMeta(BufferGetPage(buf));
	UnlockReleaseBuffer(buf);
	check_meta(index, meta);
}

/* Writes the metapage of a new index: its first page. */
void
VecxMetaWrite(Relation index, ForkNumber fork, VecxWriteMode mode, const VecxMetaPageData *meta)
{
	Buffer		buf;
	VecxPageChange change;

	if (RelationGetNumberOfBlocksInFork(index, fork) == 0)
		buf = VecxExtend(index, fork);
	else
		buf = ReadBufferExtended(index, fork, VECX_META_BLKNO, RBM_ZERO_AND_LOCK, NULL);
	VecxPageBegin(&change, index, buf, mode, true);
	VecxPageInit(change.page, VECX_PAGE_META);
	*VecxPageGetMeta(change.page) = *meta;
	((PageHeader) change.page)->pd_lower += sizeof(VecxMetaPageData);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* Lets edit change the metapage under its exclusive lock. */
void
VecxMetaEdit(VecxIndex *index, VecxMetaEditor edit, void *arg)
{
	Buffer		buf = VecxReadPage(index->rel, VECX_META_BLKNO, BUFFER_LOCK_EXCLUSIVE,
								   VECX_PAGE_META);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	edit(VecxPageGetMeta(change.page), arg);
	index->meta = *VecxPageGetMeta(change.page);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* Opens an index for one scan, insert or vacuum, whose memory cxt is. */
VecxIndex *
VecxIndexOpen(Relation rel, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxIndex  *index = palloc0(sizeof(VecxIndex));

	index->rel = rel;
	index->cxt = cxt;
	index->mode = VECX_WRITE_LOGGED;
	/* a standby's snapshots may still see what is dead on the primary */
	index->skip_killed = !TransactionStartedDuringRecovery();
	index->spec = VecxGetOpSpec(rel);
	VecxMetaRead(rel, &index->meta);
	index->filters = VecxFiltersMake(rel);
	VecxLayoutFromMeta(rel, &index->meta, index->spec, &index->layout, &index->coder);
	if (index->layout.row_size != sizeof(VecxRowEntry) + index->filters->nbytes)
		VecxCorrupted(rel, VECX_META_BLKNO, "the metapage has rows of other filter columns");
	if ((index->filters->ncolumns > 0) != (index->meta.tree_root != InvalidBlockNumber))
		VecxCorrupted(rel, VECX_META_BLKNO, "the metapage has no value tree");
	if (index->filters->ncolumns > 0)
		VecxTreeInitCoder(index);
	VecxLoadCentre(index);
	VecxLoadModels(index);
	if (index->meta.structure == VECX_STRUCTURE_LISTS)
		VecxListsOpen(index);
	MemoryContextSwitchTo(old);
	return index;
}

/* Reads the metapage again, for the entry and for models made meanwhile. */
void
VecxIndexRefresh(VecxIndex *index)
{
	VecxMetaRead(index->rel, &index->meta);
	VecxLoadModels(index);
}

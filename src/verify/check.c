/*
 * check.c
 *    vecx_check: verifies every page of an index.
 *
 * A ShareLock on the table keeps inserts and VACUUM out while searches go on.
 * One pass in file order checks each page by itself and, for records, what it
 * says of others; chains are followed from their owners.  Pages and segments
 * that nothing leads to are no damage: a crash may leave them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/vtree.h"
#include "verify/verify.h"

typedef struct Check
{
	VecxTarget	target;
	VecxIndex  *index;
	BlockNumber nblocks;
	BufferAccessStrategy strategy;
	VecxRowCheck *rows;
	VecxListCheck *lists;		/* NULL in a graph */
	VecxGraphCheck *graph;
} Check;

/* The fields of the metapage that opening an index does not look at. */
static void
check_meta(Check *c)
{
	Relation	rel = c->target.rel;
	const VecxMetaPageData *meta = &c->index->meta;
	uint32		declared = VecxDeclaredDim(rel);
	bool		has_current = false;

	if ((declared > 0 && meta->value_dim != declared) ||
		meta->dim != VecxCodeDim(c->index->spec, meta->value_dim))
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber, "the metapage has other dimensions",
				   "value_dim=%u expected=%u dim=%u", meta->value_dim, declared, meta->dim);
	if (meta->ef_construction < VECX_MIN_EF_CONSTRUCTION ||
		meta->ef_construction > VECX_MAX_EF_CONSTRUCTION ||
		meta->entry_level > VECX_MAX_LEVEL)
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "the metapage has values out of range", "ef_construction=%u entry_level=%u",
				   meta->ef_construction, meta->entry_level);
	for (int i = 0; i < VECX_MAX_MODELS; i++)
	{
		has_current |= meta->models[i].number != 0 && meta->models[i].number == meta->current_model;
		for (int j = 0; j < i; j++)
			if (meta->models[i].number != 0 && meta->models[i].number == meta->models[j].number)
				VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber,
						   "two models have the same number", "number=%u", meta->models[i].number);
	}
	if (!has_current)
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber, "the current model does not exist",
				   "number=%u", meta->current_model);
	if (meta->curve.vertices != 0 &&
		(!VecxCurveIsValid(&meta->curve) || meta->curve.source < VECX_CURVE_STORED ||
		 meta->curve.source > VECX_CURVE_GIVEN))
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "the curve of recall has values out of range", "source=%u points=%u,%u,%u,%u",
				   meta->curve.source, meta->curve.npoints[0], meta->curve.npoints[1],
				   meta->curve.npoints[2], meta->curve.npoints[3]);
	if ((meta->rows_tail != InvalidBlockNumber &&
		 (meta->rows_tail == VECX_META_BLKNO || meta->rows_tail >= c->nblocks)) ||
		(meta->upper_tail != InvalidBlockNumber &&
		 (meta->upper_tail == VECX_META_BLKNO || meta->upper_tail >= c->nblocks)))
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "the page for new items does not exist", "rows_tail=%u upper_tail=%u",
				   meta->rows_tail, meta->upper_tail);
}

/* Models as they are on disk: what is loaded may come from the session's cache. */
static void
check_models(Check *c)
{
	Relation	rel = c->target.rel;

	for (int i = 0; i < VECX_MAX_MODELS; i++)
	{
		const VecxModelSlot *slot = &c->index->meta.models[i];
		uint8	   *bytes;
		VecxBasis	basis;
		const char *wrong;

		if (slot->number == 0)
			continue;
		if (slot->first >= c->nblocks || slot->nbytes > VECX_BASIS_MAX_BYTES)
			VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber, "a model lies beyond the index",
					   "number=%u first=%u nbytes=%u", slot->number, slot->first, slot->nbytes);
		bytes = palloc(Max(slot->nbytes, 1));
		VecxBlobRead(rel, slot->first, bytes, slot->nbytes);
		wrong = vecx_basis_bind(&basis, bytes, slot->nbytes);
		if (wrong)
			VecxDamage(rel, slot->first, InvalidOffsetNumber, wrong, "model=%u", slot->number);
		if (basis.dim != c->index->meta.dim || basis.metric != c->index->spec->metric ||
			vecx_sketch_size(&basis) > c->index->meta.sketch_size)
			VecxDamage(rel, slot->first, InvalidOffsetNumber, "a model does not fit its index",
					   "model=%u", slot->number);
		pfree(bytes);
	}
}

/* The centre as it is on disk, if these codes have one. */
static void
check_centre(Check *c)
{
	BlockNumber centre = c->index->meta.centre;
	const VecxCoder *coder = &c->index->coder;
	const VecxCoder *tree = &c->index->tree_coder;

	if (centre == InvalidBlockNumber)
		return;
	if (centre >= c->nblocks || (!vecx_code_has_centre(coder->kind, coder->metric) &&
								 !vecx_code_has_centre(tree->kind, coder->metric)))
		VecxDamage(c->target.rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "the centre of the codes cannot be there", "centre=%u", centre);
	pfree(VecxReadCentre(c->index));
}

/* The value tree's cells as they are on disk, if it has any. */
static void
check_cells(Check *c)
{
	VecxIndex  *index = c->index;
	Size		nbytes;
	uint8	   *bytes;
	VecxCells	cells;
	const char *wrong;

	if ((index->meta.tree_ncells > 0) != (index->meta.tree_cells != InvalidBlockNumber) ||
		(index->meta.tree_ncells > 0 && (index->lists || index->meta.tree_root == InvalidBlockNumber)))
		VecxDamage(c->target.rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "the value tree cannot have cells", "cells=%u", index->meta.tree_ncells);
	if (index->meta.tree_ncells == 0)
		return;
	nbytes = vecx_cells_bytes(&index->tree_coder, index->meta.tree_ncells);
	bytes = palloc(nbytes);
	VecxBlobRead(c->target.rel, index->meta.tree_cells, bytes, nbytes);
	wrong = vecx_cells_bind(&cells, &index->tree_coder, bytes, nbytes);
	if (wrong)
		VecxDamage(c->target.rel, index->meta.tree_cells, InvalidOffsetNumber, wrong, "cells=%u",
				   index->meta.tree_ncells);
	pfree(bytes);
}

/* What was tuned as it is on disk, and what before it. */
static void
check_tune(Check *c)
{
	Relation	rel = c->target.rel;
	BlockNumber first = c->index->meta.tune;
	uint32		nbytes = c->index->meta.tune_bytes;
	uint32		version = c->index->meta.tune_version;

	if (first != InvalidBlockNumber && !c->index->lists)
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber, "the metapage names what cannot have been tuned",
				   "first=%u", first);
	if ((c->index->meta.lists_made | c->index->meta.lists_closed | c->index->meta.lists_unsettled |
		 c->index->meta.centroids_version) != 0 && !c->index->lists)
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber, "the metapage counts lists of a graph",
				   "made=%u closed=%u unsettled=%u version=%u", c->index->meta.lists_made,
				   c->index->meta.lists_closed, c->index->meta.lists_unsettled,
				   c->index->meta.centroids_version);
	while (first != InvalidBlockNumber)
	{
		VecxTuning	tuning;
		uint8	   *bytes;
		const char *wrong;

		CHECK_FOR_INTERRUPTS();
		if (first == VECX_META_BLKNO || first >= c->nblocks ||
			nbytes > VECX_TUNE_MAX_BYTES || nbytes / VECX_PAGE_CAPACITY > c->nblocks)
			VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber, "what was tuned lies beyond the index, or is too large",
					   "first=%u nbytes=%u", first, nbytes);
		bytes = palloc(Max(nbytes, 1));
		VecxBlobRead(rel, first, bytes, nbytes);
		wrong = VecxTuneBind(c->index, bytes, nbytes, &tuning);
		if (wrong)
			VecxDamage(rel, first, InvalidOffsetNumber, wrong, "nbytes=%u", nbytes);
		/* versions grow, so that the chain ends */
		if (tuning.head.version == 0 || tuning.head.version > version)
			VecxDamage(rel, first, InvalidOffsetNumber, "what was tuned has a version that cannot be",
					   "version=%u", tuning.head.version);
		version = tuning.head.version - 1;
		first = tuning.head.previous;
		nbytes = tuning.head.previous_bytes;
		pfree(bytes);
	}
}

static int
compare_items(const void *a, const void *b)
{
	ItemIdData	x = *(const ItemIdData *) a;
	ItemIdData	y = *(const ItemIdData *) b;

	return (int) x.lp_off - (int) y.lp_off;
}

/* Line pointers: of kinds in use here, within the page, not overlapping. */
static void
check_line_pointers(Check *c, BlockNumber blkno, Page page)
{
	Relation	rel = c->target.rel;
	PageHeader	header = (PageHeader) page;
	ItemIdData	items[VECX_MAX_ITEMS];
	int			nitems = 0;
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	if (max > VECX_MAX_ITEMS)
		VecxDamage(rel, blkno, InvalidOffsetNumber, "a page has more items than ids reach",
				   "items=%u", max);
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		ItemId		iid = PageGetItemId(page, off);

		if (!ItemIdIsUsed(iid))
			continue;
		if (!ItemIdIsNormal(iid))
			VecxDamage(rel, blkno, off, "a line pointer is of a kind not used here", "flags=%u",
					   ItemIdGetFlags(iid));
		if (ItemIdGetOffset(iid) < header->pd_upper ||
			ItemIdGetOffset(iid) + ItemIdGetLength(iid) > header->pd_special ||
			ItemIdGetOffset(iid) != MAXALIGN(ItemIdGetOffset(iid)))
			VecxDamage(rel, blkno, off, "an item lies outside its page", "lp_off=%u lp_len=%u",
					   ItemIdGetOffset(iid), ItemIdGetLength(iid));
		items[nitems++] = *iid;
	}
	qsort(items, nitems, sizeof(ItemIdData), compare_items);
	for (int i = 1; i < nitems; i++)
		if (items[i - 1].lp_off + items[i - 1].lp_len > items[i].lp_off)
			VecxDamage(rel, blkno, InvalidOffsetNumber, "two items of a page overlap",
					   "lp_off=%u lp_len=%u and lp_off=%u",
					   items[i - 1].lp_off, items[i - 1].lp_len, items[i].lp_off);
}

static void
check_segments(Check *c, BlockNumber blkno, Page page)
{
	Size		row_size = c->index->layout.row_size;

	for (OffsetNumber off = FirstOffsetNumber; off <= PageGetMaxOffsetNumber(page); off++)
	{
		ItemId		iid = PageGetItemId(page, off);
		VecxRowSegment seg;

		if (!ItemIdIsUsed(iid))
			continue;
		seg = VecxPageGetSegment(page, off, row_size);
		if (!seg || seg->cap == 0 || seg->cap > VecxSegmentMaxRows(row_size) ||
			ItemIdGetLength(iid) != VecxSegmentSize(row_size, seg->cap))
			VecxDamage(c->target.rel, blkno, off, "a segment of rows is not one", "length=%u",
					   ItemIdGetLength(iid));
	}
}

/* Pages whose contents are bytes up to pd_lower. */
static void
check_plain_page(Check *c, BlockNumber blkno, Page page)
{
	PageHeader	header = (PageHeader) page;
	int			length = header->pd_lower - (int) MAXALIGN(SizeOfPageHeaderData);

	if (length < 0 || header->pd_upper != header->pd_special ||
		(VecxPageGetOpaque(page)->kind == VECX_PAGE_SIDE && length % c->index->layout.row_size != 0))
		VecxDamage(c->target.rel, blkno, InvalidOffsetNumber,
				   "a page's free space is not where it should be",
				   "pd_lower=%u pd_upper=%u", header->pd_lower, header->pd_upper);
}

static void
check_page(Check *c, BlockNumber blkno, Page page)
{
	VecxPageOpaque opaque = VecxPageGetOpaque(page);

	switch (opaque->kind)
	{
		case VECX_PAGE_VERTEX:
		case VECX_PAGE_UPPER:
			check_line_pointers(c, blkno, page);
			VecxGraphCheckPage(c->graph, blkno, page);
			break;
		case VECX_PAGE_ROWS:
			check_line_pointers(c, blkno, page);
			check_segments(c, blkno, page);
			break;
		case VECX_PAGE_MODEL:
		case VECX_PAGE_SIDE:
			check_plain_page(c, blkno, page);
			break;
		case VECX_PAGE_TREE:
			/* those in use are checked in their order */
			break;
		case VECX_PAGE_LIST:
		case VECX_PAGE_BEHIND:
			if (!c->lists)
				VecxDamage(c->target.rel, blkno, InvalidOffsetNumber,
						   "a page is of a kind that should not be there", "kind=%u", opaque->kind);
			check_plain_page(c, blkno, page);
			if (opaque->kind == VECX_PAGE_LIST)
				VecxListCheckPage(c->lists, blkno, page);
			else
				VecxListCheckBehind(c->lists, blkno, page);
			break;
		default:
			if (opaque->kind != VECX_PAGE_META || blkno != VECX_META_BLKNO)
				VecxDamage(c->target.rel, blkno, InvalidOffsetNumber,
						   "a page is of a kind that should not be there", "kind=%u", opaque->kind);
	}
	if (opaque->kind != VECX_PAGE_MODEL && opaque->kind != VECX_PAGE_SIDE &&
		opaque->kind != VECX_PAGE_TREE && opaque->kind != VECX_PAGE_LIST &&
		opaque->next != InvalidBlockNumber)
		VecxDamage(c->target.rel, blkno, InvalidOffsetNumber,
				   "a page is in a chain that should not be", "kind=%u next=%u",
				   opaque->kind, opaque->next);
}

static void
check_side_chain(Check *c)
{
	Relation	rel = c->target.rel;
	const VecxMetaPageData *meta = &c->index->meta;
	VecxRowEntry *rows = palloc(VECX_PAGE_CAPACITY);
	BlockNumber blkno = meta->side_head;
	BlockNumber last = VECX_META_BLKNO;
	bool		met_tail = meta->side_tail == InvalidBlockNumber &&
		meta->side_head == InvalidBlockNumber;
	VecxIdSet	met;

	VecxIdSetInit(&met, CurrentMemoryContext, c->nblocks);
	while (blkno != InvalidBlockNumber)
	{
		BlockNumber next;
		int			nrows;

		CHECK_FOR_INTERRUPTS();
		if (blkno >= c->nblocks || !VecxIdSetAdd(&met, VecxIdMake(blkno, FirstOffsetNumber)))
			VecxDamage(rel, last, InvalidOffsetNumber, "the chain of rows without a distance is broken",
					   "next=%u", blkno);
		met_tail |= blkno == meta->side_tail;
		next = VecxSideRead(c->index, blkno, rows, &nrows);
		VecxRowCheckAdd(c->rows, VECX_INVALID_ID, 0, blkno, InvalidOffsetNumber, rows, nrows);
		last = blkno;
		blkno = next;
	}
	if (!met_tail)
		VecxDamage(rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "the tail of the chain of rows without a distance is not in it",
				   "side_head=%u side_tail=%u", meta->side_head, meta->side_tail);
	pfree(rows);
}

static void
check_index(Check *c, bool heapallindexed)
{
	PGAlignedBlock page;

	c->index = VecxIndexOpen(c->target.rel, CurrentMemoryContext);
	c->nblocks = RelationGetNumberOfBlocks(c->target.rel);
	c->strategy = GetAccessStrategy(BAS_BULKREAD);
	c->rows = VecxRowCheckMake(&c->target, c->index);
	if (c->index->lists)
		c->lists = VecxListCheckMake(c->index, c->nblocks, c->rows);
	c->graph = VecxGraphCheckMake(c->index, c->nblocks, c->rows, c->lists);

	check_meta(c);
	check_models(c);
	check_centre(c);
	check_cells(c);
	check_tune(c);
	VecxGraphCheckEntry(c->graph);
	for (BlockNumber blkno = VECX_META_BLKNO; blkno < c->nblocks; blkno++)
	{
		/* a crash between the file's growth and the page's first use */
		if (!VecxReadPageCopy(c->target.rel, blkno, c->strategy, &page))
			continue;
		check_page(c, blkno, page.data);
	}
	check_side_chain(c);
	if (c->index->meta.tree_root != InvalidBlockNumber)
		VecxTreeCheck(c->index, c->nblocks, RelationGetNumberOfBlocks(c->target.heap));
	VecxRowCheckFinish(c->rows, heapallindexed);
}

PG_FUNCTION_INFO_V1(vecx_check);
Datum
vecx_check(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx check",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Check		c;

	VecxRefuseRecovery("vecx_check()", "Check the index on the primary.");
	memset(&c, 0, sizeof(c));
	VecxTargetOpen(&c.target, PG_GETARG_OID(0), ShareLock);
	check_index(&c, PG_GETARG_BOOL(1));
	MemoryContextSwitchTo(old);
	/* before the index is closed: models are unpinned by this */
	MemoryContextDelete(cxt);
	VecxTargetClose(&c.target);
	PG_RETURN_VOID();
}

/*
 * list_page.c
 *    Posting lists on pages: where things lie, and rows in and out of blocks.
 */
#include "postgres.h"

#include "am/list.h"

/*
 * Rows that the pages of a list have room for at least, unless the user says.  Half a page is
 * left at the end of each list: with 204 rows of 784 dimensions on four pages instead of 102 on two
 * an index is 10 % smaller, and a search takes a tenth less time.  With more than a page's of
 * short ones, 358 of 128 dimensions instead of 179, it is 17 % smaller, and takes a fifth more.
 */
#define LEAST_LIST_ROWS		200

/* Raises unless there are lists for this operator class and these dimensions. */
void
VecxListsCheckSupport(Relation index, const VecxOpSpec *spec, const VecxMetaPageData *meta)
{
	if (spec->is_bits || spec->is_sparse || spec->metric == VECX_METRIC_L1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("structure = lists of index \"%s\" does not support its operator class",
						RelationGetRelationName(index)),
				 errhint("Use structure = graph, or an operator class for L2 distance, inner product or cosine distance of dense vectors.")));
	VecxListsCheckOptions(index, meta);
}

/*
 * Fills in where things lie in blocks and on pages: code and row_size are set.
 * There may be no room for a block, or for what is behind a row.
 */
void
VecxListsLayOut(VecxLists *lists, VecxCodeKind copies)
{
	Size		extra = lists->code.extra_bytes;
	Size		behind = 0;

	lists->has_copies = copies != 0;
	if (lists->has_copies)
	{
		vecx_coder_init(&lists->copies, copies, lists->code.metric, lists->code.dim, 0);
		extra += lists->copies.nbytes;
	}
	lists->factors = lists->code.code_bytes;
	lists->rows = lists->factors + sizeof(VecxListFactors);
	lists->open_bytes = SHORTALIGN(VecxListPackedBytes(lists));
	lists->block_bytes = MAXALIGN(Max(lists->rows + lists->row_size * VECX_LIST_BLOCK,
									  lists->open_bytes * (VECX_LIST_BLOCK - 1)));
	lists->item_bytes = offsetof(VecxListItem, bytes) + MAXALIGN(lists->row_size + lists->code.ncolumns) +
		MAXALIGN(extra);
	lists->page_blocks = (int) (VECX_LIST_PAGE_ROOM / lists->block_bytes);
	if (extra > 0)
	{
		lists->behind_bytes = MAXALIGN(offsetof(VecxBehindEntry, bytes) + extra);
		lists->behind_rows = (int) (VECX_BEHIND_PAGE_ROOM / lists->behind_bytes);
	}
	for (; lists->behind_rows > 0 && lists->page_blocks > 0; lists->page_blocks--)
	{
		lists->behind_pages = (lists->page_blocks * VECX_LIST_BLOCK + lists->behind_rows - 1) /
			lists->behind_rows;
		behind = MAXALIGN(sizeof(BlockNumber) * lists->behind_pages);
		/* the metapage has a byte for their number */
		if (lists->behind_pages <= PG_UINT8_MAX && behind + lists->page_blocks * lists->block_bytes <= VECX_LIST_PAGE_ROOM)
			break;
	}
	lists->blocks = MAXALIGN(sizeof(VecxListPageData)) + behind;
	lists->page_rows = lists->page_blocks * VECX_LIST_BLOCK;
}

/* Makes index->lists of the quantiser of an index that has lists. */
void
VecxListsOpen(VecxIndex *index)
{
	const VecxMetaPageData *meta = &index->meta;
	VecxLists  *lists;

	if (meta->list_code_bytes < 1 || meta->list_code_bytes > 16 * VECX_BASIS_MAX_BYTES ||
		meta->list_rows < VECX_MIN_LIST_ROWS || meta->list_rows > VECX_MAX_LIST_ROWS ||
		meta->list_replicas < 1 || meta->list_replicas > VECX_MOST_REPLICAS ||
		(meta->list_copies != 0 && meta->list_copies != VECX_CODE_HALF && meta->list_copies != VECX_CODE_SQ8))
		VecxCorrupted(index->rel, VECX_META_BLKNO, "the metapage has values out of range");
	lists = MemoryContextAllocZero(index->cxt, sizeof(VecxLists));
	lists->code = VecxLoadListCode(index);
	lists->row_size = index->layout.row_size;
	lists->list_rows = (int) meta->list_rows;
	lists->list_entries = (int) VecxListEntries(meta);
	lists->replicas = (int) meta->list_replicas;
	VecxListsLayOut(lists, (VecxCodeKind) meta->list_copies);
	if (lists->page_blocks < 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("blocks of index \"%s\" do not fit a page", RelationGetRelationName(index->rel)),
				 errdetail("%d rows of %u dimensions need %zu of %zu bytes.", VECX_LIST_BLOCK,
						   lists->code.dim, lists->block_bytes, (Size) VECX_LIST_PAGE_ROOM),
				 lists->code.quantizer == VECX_LIST_PQ ? errhint("Use a smaller pq_m.") :
				 errhint("Use quantizer = pq, or structure = graph.")));
	index->lists = lists;
}

/*
 * Rows that lists of a new index are made for: what the user says; else so many that
 * the pages that take LEAST_LIST_ROWS are filled to four fifths, since the lengths of
 * lists vary.
 */
int
VecxListsDefaultRows(Relation index, const VecxMetaPageData *meta, Size row_size)
{
	VecxOptions *options = (VecxOptions *) index->rd_options;
	VecxListOptions wanted;
	VecxLists	lists;

	if (options && options->list_rows > 0)
		return options->list_rows;
	memset(&lists, 0, sizeof(lists));
	VecxListsQuantizer(index, meta, &wanted);
	vecx_list_code_plan(&wanted, (VecxMetric) meta->metric, meta->dim, &lists.code);
	lists.row_size = row_size;
	VecxListsLayOut(&lists, VecxListsCopies(index));
	if (lists.page_rows == 0)
		return LEAST_LIST_ROWS;
	return Max((LEAST_LIST_ROWS + lists.page_rows - 1) / lists.page_rows * lists.page_rows * 4 / 5,
			   VECX_MIN_LIST_ROWS);
}

/* An empty page of the list whose first page is head. */
void
VecxListPageInit(const VecxLists *lists, Page page, BlockNumber head)
{
	VecxListPage header;

	VecxPageInit(page, VECX_PAGE_LIST);
	header = VecxListPageHeader(page);
	memset(header, 0, MAXALIGN(sizeof(VecxListPageData)));
	header->head = header->tail = head;
	header->forward = header->sibling = InvalidBlockNumber;
	header->npages = 1;
	for (int i = 0; i < lists->behind_pages; i++)
		VecxListPageBehind(page)[i] = InvalidBlockNumber;
	((PageHeader) page)->pd_lower = (LocationIndex) (VecxListPageBlocks(lists, page) - (uint8 *) page);
}

/* The header of a locked page if it is one of a list, else NULL. */
VecxListPage
VecxListGetPage(const VecxIndex *index, Page page, BlockNumber blkno)
{
	VecxListPage header;

	if (PageIsNew(page) || PageGetSpecialSize(page) != MAXALIGN(sizeof(VecxPageOpaqueData)) ||
		VecxPageGetOpaque(page)->kind != VECX_PAGE_LIST)
		return NULL;
	header = VecxListPageHeader(page);
	if (header->nrows > index->lists->page_rows)
		VecxCorrupted(index->rel, blkno, "a page has more rows than room");
	return header;
}

/* The list whose centroid a base record is; InvalidBlockNumber: of none. */
BlockNumber
VecxListOfRecord(const VecxIndex *index, VecxRecord rec)
{
	if (rec->level != 0 || rec->nrows != 1 || (rec->flags & VECX_RECORD_DEAD))
		return InvalidBlockNumber;
	return VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid);
}

/*
 * Raises unless a page's header, NULL if it has none, is of the list; steps are the pages
 * that its chain may still have, at first those of the index.
 */
void
VecxListCheckChain(const VecxIndex *index, VecxListPage header, BlockNumber head,
				   BlockNumber blkno, BlockNumber *steps)
{
	if (!header || header->head != head || (*steps)-- == 0)
		VecxCorrupted(index->rel, blkno, "a page is of another list than its chain says");
}

/* Copies a page of a list; returns the next, or InvalidBlockNumber. */
BlockNumber
VecxListCopyPage(VecxIndex *index, BlockNumber head, BlockNumber blkno, BlockNumber *steps,
				 PGAlignedBlock *copy)
{
	VecxListPage header = NULL;

	if (VecxReadPageCopy(index->rel, blkno, NULL, copy))
		header = VecxListGetPage(index, copy->data, blkno);
	VecxListCheckChain(index, header, head, blkno, steps);
	return VecxPageGetOpaque(copy->data)->next;
}

static uint8 *
block_of(const VecxLists *lists, Page page, int row)
{
	return VecxListPageBlocks(lists, page) + lists->block_bytes * (row / VECX_LIST_BLOCK);
}

/* A row of the open block of a page, packed; NULL if it is in another. */
static uint8 *
open_row(const VecxLists *lists, Page page, int row)
{
	if (row / VECX_LIST_BLOCK < VecxListPageHeader(page)->nrows / VECX_LIST_BLOCK)
		return NULL;
	return block_of(lists, page, row) + lists->open_bytes * (row % VECX_LIST_BLOCK);
}

/* The row entry of a packed row, which may lie where a VecxListItem must not. */
static VecxRowEntry *
packed_entry(uint8 *packed)
{
	return (VecxRowEntry *) (packed + offsetof(VecxListItem, bytes));
}

VecxRowEntry *
VecxListRow(const VecxLists *lists, Page page, int row)
{
	uint8	   *packed = open_row(lists, page, row);

	return packed ? packed_entry(packed) :
		VecxRowAt(block_of(lists, page, row) + lists->rows, lists->row_size, row % VECX_LIST_BLOCK);
}

void
VecxListPack(const VecxLists *lists, const VecxListItem *item, uint8 *packed)
{
	Size		head = offsetof(VecxListItem, bytes) + lists->row_size;

	memcpy(packed, item, head);
	vecx_list_pack_codes(&lists->code, VecxListItemCodes(lists, item), packed + head);
}

void
VecxListUnpack(const VecxLists *lists, const uint8 *packed, VecxListItem *item)
{
	Size		head = offsetof(VecxListItem, bytes) + lists->row_size;

	memcpy(item, packed, head);
	vecx_list_unpack_codes(&lists->code, packed + head, VecxListItemCodes(lists, item));
}

/* Puts factors and row entry of a packed row into a block. */
static void
put_head(const VecxLists *lists, uint8 *block, int slot, const uint8 *packed)
{
	VecxListItem head;
	VecxListEntry entry;

	memcpy(&head, packed, offsetof(VecxListItem, bytes));
	entry.add = head.add;
	entry.rescale = head.rescale;
	entry.sigma = head.sigma;
	vecx_list_put_factors((VecxListFactors *) (block + lists->factors), slot, &entry);
	memcpy(VecxRowAt(block + lists->rows, lists->row_size, slot), packed + offsetof(VecxListItem, bytes),
		   lists->row_size);
}

/* Makes a block of the n rows of an open one. */
static void
turn_block(const VecxLists *lists, const uint8 *rows, int n, uint8 *block)
{
	vecx_list_turn_codes(&lists->code, rows + offsetof(VecxListItem, bytes) + lists->row_size,
						 lists->open_bytes, n, block);
	for (int i = 0; i < n; i++)
		put_head(lists, block, i, rows + lists->open_bytes * i);
}

/* Makes the n first rows of a block those of an open one. */
static void
open_block(const VecxLists *lists, const uint8 *block, int n, uint8 *rows)
{
	uint8		codes[BLCKSZ / 16];	/* as many columns as a block may have on a page */

	for (int i = 0; i < n; i++, rows += lists->open_bytes)
	{
		VecxListItem head;
		VecxListEntry entry;

		vecx_list_get_factors((const VecxListFactors *) (block + lists->factors), i, &entry);
		head.add = entry.add;
		head.rescale = entry.rescale;
		head.sigma = entry.sigma;
		memset(rows, 0, lists->open_bytes);
		memcpy(rows, &head, offsetof(VecxListItem, bytes));
		memcpy(packed_entry(rows), VecxRowAt(block + lists->rows, lists->row_size, i), lists->row_size);
		vecx_list_get_codes(&lists->code, block, 0, lists->code.ncolumns, i, codes);
		vecx_list_pack_codes(&lists->code, codes, rows + offsetof(VecxListItem, bytes) + lists->row_size);
	}
}

/* The block that begins with a row, as code_list.h has it: on the page, or in the room. */
const uint8 *
VecxListBlock(const VecxLists *lists, Page page, int first, PGAlignedBlock *room)
{
	const uint8 *rows = open_row(lists, page, first);

	if (!rows)
		return block_of(lists, page, first);
	/* bounds are computed of all slots */
	memset(room->data + lists->factors, 0, sizeof(VecxListFactors));
	turn_block(lists, rows, VecxListPageHeader(page)->nrows - first, (uint8 *) room->data);
	return (uint8 *) room->data;
}

/* Writes a row of a page, which has so many rows. */
void
VecxListPut(const VecxLists *lists, Page page, int row, const VecxListItem *item)
{
	uint8	   *packed = open_row(lists, page, row);
	uint8	   *block = block_of(lists, page, row);
	int			slot = row % VECX_LIST_BLOCK;

	if (packed)
	{
		VecxListPack(lists, item, packed);
		return;
	}
	vecx_list_put_codes(&lists->code, block, 0, lists->code.ncolumns, slot,
						VecxListItemCodes(lists, item));
	put_head(lists, block, slot, (const uint8 *) item);
}

void
VecxListGet(const VecxLists *lists, Page page, int row, VecxListItem *item)
{
	const uint8 *packed = open_row(lists, page, row);
	uint8	   *block = block_of(lists, page, row);
	int			slot = row % VECX_LIST_BLOCK;
	VecxListEntry entry;

	if (packed)
	{
		VecxListUnpack(lists, packed, item);
		return;
	}
	vecx_list_get_codes(&lists->code, block, 0, lists->code.ncolumns, slot,
						VecxListItemCodes(lists, item));
	vecx_list_get_factors((VecxListFactors *) (block + lists->factors), slot, &entry);
	item->add = entry.add;
	item->rescale = entry.rescale;
	item->sigma = entry.sigma;
	memcpy(VecxListItemRow(item), VecxListRow(lists, page, row), lists->row_size);
}

/* What pd_lower is with so many rows. */
Size
VecxListUsed(const VecxLists *lists, int nrows)
{
	return MAXALIGN(SizeOfPageHeaderData) + lists->blocks +
		lists->block_bytes * (nrows / VECX_LIST_BLOCK) + lists->open_bytes * (nrows % VECX_LIST_BLOCK);
}

/* Sets the number of rows.  Those that were there and stay keep what they are, whether their
 * block is open before, or after. */
void
VecxListSetRows(const VecxLists *lists, Page page, int nrows)
{
	VecxListPage header = VecxListPageHeader(page);
	int			open = header->nrows % VECX_LIST_BLOCK;
	PGAlignedBlock copy;

	if (open > 0 && nrows / VECX_LIST_BLOCK > header->nrows / VECX_LIST_BLOCK)
	{
		uint8	   *block = block_of(lists, page, header->nrows);

		memcpy(copy.data, block, lists->open_bytes * open);
		turn_block(lists, (uint8 *) copy.data, open, block);
	}
	else if (nrows % VECX_LIST_BLOCK > 0 && nrows / VECX_LIST_BLOCK < header->nrows / VECX_LIST_BLOCK)
	{
		uint8	   *block = block_of(lists, page, nrows);

		memcpy(copy.data, block, lists->block_bytes);
		open_block(lists, (uint8 *) copy.data, nrows % VECX_LIST_BLOCK, block);
	}
	header->nrows = (uint16) nrows;
	((PageHeader) page)->pd_lower = (LocationIndex) VecxListUsed(lists, nrows);
}

/* Makes a locked page of a list one that anything may be put on. */
void
VecxListFreePage(VecxIndex *index, Buffer buf)
{
	VecxPageChange change;

	VecxListDropBehind(index, buf, 0);
	VecxPageBegin(&change, index->rel, buf, index->mode, true);
	VecxPageInit(change.page, VECX_PAGE_VERTEX);
	VecxPageCommit(&change);
}

/* Memory for encoding, in the current context. */
void
VecxListEncoderInit(VecxListEncoder *e, VecxIndex *index)
{
	const VecxListCode *code = &index->lists->code;

	e->index = index;
	e->c = palloc(sizeof(float) * code->dim);
	e->cy = palloc(sizeof(float) * code->proj_floats);
	e->y = palloc(sizeof(float) * code->proj_floats);
	e->scratch = palloc(vecx_list_scratch(code, 1));
	e->centre.c = e->c;
	e->centre.y = e->cy;
}

/* Encodes relative to this centroid from now on. */
void
VecxListEncoderUse(VecxListEncoder *e, const float *centre)
{
	memcpy(e->c, centre, sizeof(float) * e->index->lists->code.dim);
	vecx_list_project(&e->index->lists->code, e->c, e->cy, e->scratch);
}

/* The codes of an item: of x, whose projection is y, relative to a centre. */
void
VecxListEncodeItem(const VecxLists *lists, const VecxListCentre *centre, const float *x, const float *y,
				   VecxListItem *item, void *scratch)
{
	VecxListEntry entry;

	entry.codes = VecxListItemCodes(lists, item);
	entry.extra = VecxListItemExtra(lists, item);
	vecx_list_encode(&lists->code, centre, x, y, &entry, scratch);
	item->add = entry.add;
	item->rescale = entry.rescale;
	item->sigma = entry.sigma;
	if (lists->has_copies)
		vecx_code_encode(&lists->copies, x, VecxListItemCopy(lists, item));
}

/* The same relative to the centroid in use. */
void
VecxListEncode(VecxListEncoder *e, const float *x, VecxListItem *item)
{
	vecx_list_project(&e->index->lists->code, x, e->y, e->scratch);
	VecxListEncodeItem(e->index->lists, &e->centre, x, e->y, item, e->scratch);
}

/* What is trained, a matrix of a thousand dimensions among it, is most of a small index. */
double
VecxListPagesAmong(double pages, const VecxMetaPageData *meta)
{
	Size		trained = VecxBlobPages(meta->list_code_bytes) + VecxBlobPages(meta->tune_bytes);

	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (meta->models[i].number != 0)
			trained += VecxBlobPages(meta->models[i].nbytes);
	return Max((pages - trained) / (1.0 + meta->list_behind), 1);
}

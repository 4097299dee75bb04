/*
 * info.c
 *    vecx_info: what an index is made of, counted in one pass over its pages.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "verify/verify.h"

typedef struct Info
{
	VecxTarget	target;
	VecxIndex  *index;
	BlockNumber nblocks;

	int64		vertices;
	int64		dead;
	int64		rows;
	int64		unscorable;
	int64		nulls;
	int64		links;			/* at the base */
	int			levels;
	VecxIdSet	live;			/* vertices */
	VecxIdSet	linked;			/* records at the base with a link to them, and the entry */
	int64		lists;
	int64		closed_lists;
	int64		list_rows;		/* copies included */
	int64		list_copies;
	uint32	   *rows_of;		/* of lists, by their first pages */
	double		list_squares;	/* sum of the squares of these */
	int64		list_pages;		/* of the longest list */
	int64		kind_bytes[VECX_LAST_PAGE_KIND + 1];
	int64		free_bytes;
	int64	   *usage;			/* [ncolumns][1 << bits] of PQ: rows with each code; else NULL */
	VecxListItem *item;
} Info;

static const char *const metric_names[] = {
	[VECX_METRIC_L2] = "l2",
	[VECX_METRIC_COSINE] = "cosine",
	[VECX_METRIC_IP] = "ip",
	[VECX_METRIC_L1] = "l1",
	[VECX_METRIC_HAMMING] = "hamming",
	[VECX_METRIC_JACCARD] = "jaccard"
};

static void
count_record(Info *info, VecxId id, VecxRecord rec, Size size)
{
	VecxIndex  *index = info->index;

	if (rec->flags & VECX_RECORD_DEAD)
	{
		info->dead += rec->level == 0;
		return;
	}
	info->levels = Max(info->levels, Min(rec->level, VECX_MAX_LEVEL) + 1);
	/* of a damaged index, none that would make the set grow beyond it; as below */
	if (id == index->meta.entry && rec->level > 0 && VecxIdBlock(rec->base) < info->nblocks)
		VecxIdSetAdd(&info->linked, rec->base);
	if (rec->level > 0)
		return;
	info->vertices++;
	if (!index->lists)
		info->rows += Min(rec->nrows, VECX_INLINE_ROWS);
	VecxIdSetAdd(&info->live, id);
	if (id == index->meta.entry)
		VecxIdSetAdd(&info->linked, id);
	if (VecxRecordSize(&index->layout, rec->nlinks) > size)
		VecxCorrupted(index->rel, VecxIdBlock(id), "a record has more links than room");
	info->links += rec->nlinks;
	for (int i = 0; i < rec->nlinks; i++)
	{
		VecxId		target = VecxLinkId(VecxRecordLink(&index->layout, rec, i));

		if (VecxIdBlock(target) < info->nblocks)
			VecxIdSetAdd(&info->linked, target);
	}
}

static void
count_records(Info *info, BlockNumber blkno, Page page)
{
	OffsetNumber max = VecxLastItem(page);

	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		Size		size;
		VecxRecord	rec = VecxPageGetRecord(page, off, VecxRecordSize(&info->index->layout, 0), &size);

		if (rec)
			count_record(info, VecxIdMake(blkno, off), rec, size);
	}
}

static void
count_segments(Info *info, Page page)
{
	Size		row_size = info->index->layout.row_size;
	OffsetNumber max = VecxLastItem(page);

	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		VecxRowSegment seg = VecxPageGetSegment(page, off, row_size);

		if (seg)
			info->rows += seg->nrows;
	}
}

static void
count_side_rows(Info *info, Page page)
{
	Size		row_size = info->index->layout.row_size;
	int			count = VecxSidePageCount(page, row_size);

	for (int i = 0; i < count; i++)
	{
		if (VecxRowAt(VecxSidePageRows(page), row_size, i)->flags == VECX_ROW_NULL)
			info->nulls++;
		else
			info->unscorable++;
	}
	info->rows += Max(count, 0);
}

static void
count_codes(Info *info, Page page, int nrows)
{
	const VecxLists *lists = info->index->lists;
	const uint8 *codes = VecxListItemCodes(lists, info->item);

	for (int row = 0; row < nrows; row++)
	{
		VecxListGet(lists, page, row, info->item);
		for (uint32 c = 0; c < lists->code.ncolumns; c++)
			info->usage[(c << lists->code.bits) + codes[c]]++;
	}
}

/* How evenly codes are used: the mean of the columns' entropies, in that of equal use. */
static double
usage_entropy(const Info *info)
{
	const VecxListCode *code = &info->index->lists->code;
	double		sum = 0;

	for (uint32 i = 0; i < code->ncolumns << code->bits; i++)
	{
		double		share = (double) info->usage[i] / (double) info->list_rows;

		if (share > 0)
			sum -= share * log2(share);
	}
	return sum / code->ncolumns / code->bits;
}

static void
count_list_page(Info *info, BlockNumber blkno, Page page)
{
	VecxListPage header = VecxListGetPage(info->index, page, blkno);
	int64		copies = 0;

	for (int i = 0; i < header->nrows; i++)
		copies += !VecxRowIsOwn(VecxListRow(info->index->lists, page, i));
	info->rows += header->nrows - copies;
	if (info->usage)
		count_codes(info, page, header->nrows);
	info->list_rows += header->nrows;
	info->list_copies += copies;
	if (header->head < info->nblocks)
	{
		double		before = info->rows_of[header->head];

		info->rows_of[header->head] += header->nrows;
		info->list_squares += (before + header->nrows) * (before + header->nrows) - before * before;
	}
	if (header->head != blkno || VecxListIsRetired(header))
		return;
	info->lists++;
	info->closed_lists += (header->flags & VECX_LIST_CLOSED) != 0;
	info->list_pages = Max(info->list_pages, header->npages);
}

static void
count_page(Info *info, BlockNumber blkno, Page page)
{
	int			kind = VecxPageGetOpaque(page)->kind;
	Size		room = PageGetExactFreeSpace(page);

	if (kind < VECX_PAGE_META || kind > VECX_LAST_PAGE_KIND ||
		(kind >= VECX_PAGE_LIST && !info->index->lists))
		VecxCorrupted(info->index->rel, blkno, "a page is of a kind that does not exist");
	if (kind == VECX_PAGE_META || kind == VECX_PAGE_MODEL)
		room = 0;				/* never used for anything else */
	info->free_bytes += (int64) room;
	info->kind_bytes[kind] += BLCKSZ - (int64) room;
	if (kind == VECX_PAGE_VERTEX || kind == VECX_PAGE_UPPER)
		count_records(info, blkno, page);
	else if (kind == VECX_PAGE_ROWS)
		count_segments(info, page);
	else if (kind == VECX_PAGE_SIDE)
		count_side_rows(info, page);
	else if (kind == VECX_PAGE_LIST)
		count_list_page(info, blkno, page);
}

static void
count_index(Info *info)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	PGAlignedBlock page;

	info->index = VecxIndexOpen(info->target.rel, CurrentMemoryContext);
	info->nblocks = RelationGetNumberOfBlocks(info->target.rel);
	if (info->index->lists && info->index->lists->code.quantizer == VECX_LIST_PQ)
	{
		const VecxLists *lists = info->index->lists;

		info->usage = palloc0(sizeof(int64) * (lists->code.ncolumns << lists->code.bits));
		info->item = palloc0(lists->item_bytes);
	}
	VecxIdSetInitBitmap(&info->live, CurrentMemoryContext, info->nblocks);
	VecxIdSetInitBitmap(&info->linked, CurrentMemoryContext, info->nblocks);
	if (info->index->lists)
		info->rows_of = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(uint32) * (info->nblocks + 1),
												   MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	for (BlockNumber blkno = VECX_META_BLKNO; blkno < info->nblocks; blkno++)
	{
		if (VecxReadPageCopy(info->target.rel, blkno, strategy, &page))
			count_page(info, blkno, page.data);
		else
			info->free_bytes += BLCKSZ;
	}
}

/* Live vertices that no link at the base leads to. */
static int64
count_orphans(const Info *info)
{
	int64		orphans = 0;

	for (BlockNumber blkno = 0; blkno < info->live.nblocks; blkno++)
	{
		uint64		linked = blkno < info->linked.nblocks ? info->linked.bitmap[blkno] : 0;

		orphans += pg_popcount64(info->live.bitmap[blkno] & ~linked);
	}
	return orphans;
}

static VecxCodeKind
code_kind(const VecxMetaPageData *meta)
{
	for (int i = 0; i < VECX_MAX_PARTS; i++)
		if (meta->parts[i].part == VECX_PART_CODE)
			return (VecxCodeKind) meta->parts[i].format;
	return VECX_CODE_NONE;
}

static HeapTuple
make_result(const Info *info, TupleDesc desc)
{
	const VecxMetaPageData *meta = &info->index->meta;
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(info->index->rel), 0);
	const VecxBasis *basis = &VecxCurrentModel(info->index)->basis;
	const VecxLists *lists = info->index->lists;
	double		mean = (double) info->list_rows / (double) Max(info->lists, 1);
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * desc->natts);
	VecxTuning	tuning;
	int64		trained = 0;
	int			n = 0;

	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (meta->models[i].number == meta->current_model)
			trained = meta->models[i].trained_rows;

	values[n++] = CStringGetTextDatum(format_type_be(getBaseType(att->atttypid)));
	values[n++] = CStringGetTextDatum(lists ? "lists" : "graph");
	values[n++] = CStringGetTextDatum(metric_names[meta->metric]);
	values[n++] = Int32GetDatum((int32) meta->value_dim);
	values[n++] = Int32GetDatum(meta->m);
	values[n++] = Int32GetDatum(meta->ef_construction);
	values[n++] = CStringGetTextDatum(!lists ? vecx_code_name(code_kind(meta)) :
									  lists->code.quantizer == VECX_LIST_PQ ?
									  psprintf("pq%ux%u", lists->code.ncolumns, lists->code.bits) :
									  psprintf("rabitq%u", lists->code.bits));
	values[n++] = Int32GetDatum((int32) meta->dim);
	values[n++] = Int32GetDatum((int32) info->index->coder.nbytes);
	values[n++] = Int32GetDatum((int32) basis->ndims);
	values[n++] = Int32GetDatum((int32) basis->nplanes);
	values[n++] = Int32GetDatum((int32) meta->sketch_size);
	values[n++] = Int32GetDatum(info->index->nmodels);
	values[n++] = Int32GetDatum(meta->current_model);
	values[n++] = Int64GetDatum(trained);
	values[n++] = Int32GetDatum(info->levels);
	values[n++] = Int64GetDatum(info->vertices);
	values[n++] = Int64GetDatum(info->dead);
	values[n++] = Int64GetDatum(count_orphans(info));
	nulls[n] = info->vertices == 0;
	values[n++] = Float8GetDatum((double) info->links / (double) Max(info->vertices, 1));
	values[n++] = Int64GetDatum(info->rows);
	values[n++] = Int64GetDatum(info->unscorable);
	values[n++] = Int64GetDatum(info->nulls);
	for (int kind = VECX_PAGE_META; kind <= VECX_PAGE_TREE; kind++)
		values[n++] = Int64GetDatum(info->kind_bytes[kind]);
	values[n++] = Int64GetDatum(info->free_bytes);
	values[n++] = Int32GetDatum((int32) meta->version);
	values[n++] = Int64GetDatum(info->kind_bytes[VECX_PAGE_LIST]);
	values[n++] = Int64GetDatum(info->lists);
	values[n++] = Int64GetDatum(info->closed_lists);
	nulls[n] = info->lists == 0;
	values[n++] = Float8GetDatum(mean);
	values[n++] = Int64GetDatum(info->list_pages);
	nulls[n] = !lists;
	values[n++] = Float8GetDatum(lists ? 8.0 * ((double) lists->block_bytes / VECX_LIST_BLOCK + (double) lists->behind_bytes) : 0);
	nulls[n] = !lists;
	values[n++] = Int32GetDatum(meta->list_replicas);
	nulls[n] = info->list_rows == info->list_copies;
	values[n++] = Float8GetDatum((double) info->list_rows / (double) Max(info->list_rows - info->list_copies, 1));
	nulls[n] = info->list_rows == 0;
	values[n++] = Float8GetDatum(sqrt(Max(info->list_squares / (double) Max(info->lists, 1) - mean * mean, 0)) /
								 Max(mean, 1));
	values[n++] = Int64GetDatum(info->kind_bytes[VECX_PAGE_BEHIND]);
	nulls[n] = !info->usage || info->list_rows == 0;
	values[n++] = Float8GetDatum(info->usage && info->list_rows > 0 ? usage_entropy(info) : 0);
	nulls[n] = !info->usage;
	values[n++] = Int32GetDatum(lists ? (int32) lists->code.trained_rows : 0);
	nulls[n] = nulls[n + 1] = VecxTuneRead(info->index, &tuning) == NULL;
	values[n++] = Int32GetDatum((int32) tuning.head.version);
	values[n++] = BoolGetDatum(tuning.nbytes[VECX_TUNE_BOOKS] > 0);
	Assert(n == desc->natts);
	return heap_form_tuple(desc, values, nulls);
}

PG_FUNCTION_INFO_V1(vecx_info);
Datum
vecx_info(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx info",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	TupleDesc	desc;
	HeapTuple	result;
	Info		info;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	memset(&info, 0, sizeof(info));
	VecxTargetOpen(&info.target, PG_GETARG_OID(0), AccessShareLock);
	old = MemoryContextSwitchTo(cxt);
	count_index(&info);
	MemoryContextSwitchTo(old);
	result = make_result(&info, desc);
	MemoryContextDelete(cxt);
	VecxTargetClose(&info.target);
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}

/*
 * check_rows.c
 *    The TIDs of an index against one another and against the table.
 *
 * All TIDs of the index are sorted, on disk when they outgrow
 * maintenance_work_mem, and then merged with a scan of the table.  Unlike a
 * Bloom filter that finds every missing row, rows that are there twice as well,
 * and leads from a row to the vertex that has it.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "verify/verify.h"

/*
 * What is sorted: 16 bytes that compare like their TIDs, in the guise of a
 * uuid, which tuplesort knows to sort fast.  Numbers are big-endian.  Where the
 * index has filter columns their bytes follow, and all is in the guise of a bytea.
 */
typedef struct RowKey
{
	uint32		blkno;
	uint16		offset;
	uint16		why;			/* VECX_ROW_xxx, 0 or VECX_ROW_KILLED: of a vertex */
	uint32		id;				/* the vertex, or block of the SIDE page */
	uint32		hash;			/* of the vertex's vector */
} RowKey;

StaticAssertDecl(sizeof(RowKey) == UUID_LEN, "a row is sorted as a uuid");

/* The same, ready to be used. */
typedef struct Row
{
	ItemPointerData tid;
	uint16		why;
	VecxId		id;
	uint32		hash;
} Row;

struct VecxRowCheck
{
	VecxTarget *target;
	VecxIndex  *index;
	BlockNumber heap_blocks;
	Tuplesortstate *sort;
	char	   *datum;			/* to be sorted */
	Row			next;			/* the first that is not in page_rows */
	uint8	   *next_filters;	/* its filter bytes */
	bool		has_next;

	/* rows of the table's block that the scan is at */
	BlockNumber blkno;
	Row			page_rows[MaxHeapTuplesPerPage];
	uint8	   *page_filters;
	int			npage_rows;

	MemoryContext row_cxt;
	uint8	   *code;			/* of a row of the table */
	uint8	   *filters;		/* the same */
	uint8	   *vertex_code;
	void	   *scratch;
};

VecxRowCheck *
VecxRowCheckMake(VecxTarget *target, VecxIndex *index)
{
	VecxRowCheck *rows = palloc0(sizeof(VecxRowCheck));
	Size		nbytes = index->filters->nbytes;
	Oid			type = nbytes > 0 ? BYTEAOID : UUIDOID;
	Oid			less = lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr;

	rows->target = target;
	rows->index = index;
	rows->heap_blocks = RelationGetNumberOfBlocks(target->heap);
	rows->sort = tuplesort_begin_datum(type, less, InvalidOid, false,
									   maintenance_work_mem, NULL, TUPLESORT_NONE);
	rows->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx check of a row",
										  ALLOCSET_DEFAULT_SIZES);
	rows->code = palloc0(index->coder.nbytes);
	rows->vertex_code = palloc(index->coder.nbytes);
	rows->scratch = palloc(vecx_code_query_scratch(&index->coder));
	rows->datum = palloc(VARHDRSZ + sizeof(RowKey) + nbytes);
	SET_VARSIZE(rows->datum, VARHDRSZ + sizeof(RowKey) + nbytes);
	rows->next_filters = palloc(Max(nbytes, 1));
	rows->page_filters = palloc(Max(nbytes, 1) * MaxHeapTuplesPerPage);
	rows->filters = palloc(Max(nbytes, 1));
	return rows;
}

/* Flags that entries in lists have. */
static inline bool
is_of_list(uint16 why)
{
	return why == VECX_ROW_ARRIVED || why == VECX_ROW_COPY || (why & ~VECX_ROW_STAYS) == VECX_ROW_LEAVING;
}

static inline bool
is_of_vertex(uint16 why)
{
	return why == 0 || why == VECX_ROW_KILLED || is_of_list(why);
}

/* Puts a row to be sorted. */
static void
put_row(VecxRowCheck *rows, const RowKey *key, const uint8 *filters)
{
	Size		nbytes = rows->index->filters->nbytes;

	memcpy(rows->datum + VARHDRSZ, key, sizeof(RowKey));
	memcpy(rows->datum + VARHDRSZ + sizeof(RowKey), filters, nbytes);
	tuplesort_putdatum(rows->sort,
					   PointerGetDatum(nbytes > 0 ? rows->datum : rows->datum + VARHDRSZ), false);
}

/*
 * Adds the rows of one vertex or segment, at blkno and off; with id 0, of a
 * SIDE page.
 */
void
VecxRowCheckAdd(VecxRowCheck *rows, VecxId id, uint32 hash, BlockNumber blkno,
				OffsetNumber off, const VecxRowEntry *entries, int nrows)
{
	Relation	rel = rows->index->rel;

	for (int i = 0; i < nrows; i++)
	{
		const VecxRowEntry *row = VecxRowAt(entries, rows->index->layout.row_size, i);
		BlockNumber heap_block = ItemPointerGetBlockNumberNoCheck(&row->tid);
		OffsetNumber heap_offset = ItemPointerGetOffsetNumberNoCheck(&row->tid);
		uint16		why = row->flags;
		RowKey		key;

		if (heap_block >= rows->heap_blocks ||
			heap_offset < FirstOffsetNumber || heap_offset > MaxHeapTuplesPerPage)
			VecxDamage(rel, blkno, off, "a row lies beyond the table",
					   "row=%d tid=(%u,%u)", i, heap_block, heap_offset);
		if (id != VECX_INVALID_ID ? !is_of_vertex(why) || (is_of_list(why) && !rows->index->lists) :
			(why != VECX_ROW_UNSCORABLE && why != VECX_ROW_NULL))
			VecxDamage(rel, blkno, off, "a row has flags that do not exist",
					   "row=%d tid=(%u,%u) flags=%u", i, heap_block, heap_offset, why);
		key.blkno = pg_hton32(heap_block);
		key.offset = pg_hton16(heap_offset);
		key.why = pg_hton16(why);
		key.id = pg_hton32(id != VECX_INVALID_ID ? id : blkno);
		key.hash = pg_hton32(hash);
		put_row(rows, &key, VecxRowFilters(row));
	}
}

/* The page that a row of the index is on. */
static BlockNumber
row_block(const Row *row)
{
	return is_of_vertex(row->why) ? VecxIdBlock(row->id) : row->id;
}

static OffsetNumber
row_offset(const Row *row)
{
	return is_of_vertex(row->why) ? VecxIdOffset(row->id) : InvalidOffsetNumber;
}

/* Whether the row is in a list whose rows were copied to others. */
static bool
is_left_behind(const VecxRowCheck *rows, const Row *row)
{
	return rows->index->lists && is_of_vertex(row->why) && row->hash == VECX_CHECK_LEFT_BEHIND;
}

static void
advance(VecxRowCheck *rows)
{
	Row			last = rows->next;
	bool		had_last = rows->has_next;
	Datum		value;
	bool		isnull;
	Size		nbytes = rows->index->filters->nbytes;
	const char *found;
	RowKey		key;

	CHECK_FOR_INTERRUPTS();
	rows->has_next = VecxTuplesortGetDatum(rows->sort, &value, &isnull);
	if (!rows->has_next)
		return;
	found = nbytes > 0 ? VARDATA_ANY(DatumGetPointer(value)) : DatumGetPointer(value);
	memcpy(&key, found, sizeof(key));
	memcpy(rows->next_filters, found + sizeof(key), nbytes);
	pfree(DatumGetPointer(value));
	ItemPointerSet(&rows->next.tid, pg_ntoh32(key.blkno), pg_ntoh16(key.offset));
	rows->next.why = pg_ntoh16(key.why);
	rows->next.id = pg_ntoh32(key.id);
	rows->next.hash = pg_ntoh32(key.hash);
	/* those come last */
	if (had_last && ItemPointerEquals(&last.tid, &rows->next.tid) && !is_of_list(rows->next.why) &&
		!is_left_behind(rows, &last) && !is_left_behind(rows, &rows->next))
		VecxDamage(rows->index->rel, row_block(&rows->next), row_offset(&rows->next),
				   "a row is in it twice", "tid=(%u,%u) other block=%u offset=%u",
				   ItemPointerGetBlockNumber(&last.tid), ItemPointerGetOffsetNumber(&last.tid),
				   row_block(&last), row_offset(&last));
}

/* Makes page_rows those of a block of the table. */
static void
go_to_block(VecxRowCheck *rows, BlockNumber blkno)
{
	if (rows->blkno != InvalidBlockNumber && blkno < rows->blkno)
		elog(ERROR, "table \"%s\" is not scanned in the order of its blocks",
			 RelationGetRelationName(rows->target->heap));
	rows->blkno = blkno;
	rows->npage_rows = 0;
	while (rows->has_next && ItemPointerGetBlockNumber(&rows->next.tid) <= blkno)
	{
		/* they are different offsets, so that there is room for them */
		if (ItemPointerGetBlockNumber(&rows->next.tid) == blkno &&
			(rows->npage_rows == 0 ||
			 !ItemPointerEquals(&rows->page_rows[rows->npage_rows - 1].tid, &rows->next.tid)))
		{
			Size		nbytes = rows->index->filters->nbytes;

			memcpy(rows->page_filters + nbytes * rows->npage_rows, rows->next_filters, nbytes);
			rows->page_rows[rows->npage_rows++] = rows->next;
		}
		advance(rows);
	}
}

/*
 * Whether a stored code is that of the vector.  Unit vectors come from a norm
 * that another processor may have summed up in another order, so that their
 * codes need only be as near to the vector as what we make of it.
 */
static bool
code_matches(VecxRowCheck *rows, const void *vec, const uint8 *stored)
{
	const VecxCoder *coder = &rows->index->coder;
	VecxCodeQuery query;
	float		own;
	float		other;

	vecx_code_encode(coder, vec, rows->code);
	if (memcmp(rows->code, stored, coder->nbytes) == 0)
		return true;
	if (coder->metric != VECX_METRIC_COSINE)
		return false;
	vecx_code_query_init(coder, &query, vec, rows->scratch);
	own = vecx_code_distance(coder, &query, rows->code);
	other = vecx_code_distance(coder, &query, stored);
	return other <= 2.0f * own + 1e-9f;
}

static void
check_vertex_of_row(VecxRowCheck *rows, const Row *row, const VecxInput *input)
{
	VecxIndex  *index = rows->index;
	Buffer		buf = ReadBuffer(index->rel, VecxIdBlock(row->id));
	VecxRecord	rec;
	Size		size;
	uint32		hash;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	/* the walk has seen this record, and nobody changes the index now */
	rec = VecxPageGetRecord(BufferGetPage(buf), VecxIdOffset(row->id),
							VecxRecordSize(&index->layout, 0), &size);
	if (!rec)
		elog(ERROR, "a vertex of index \"%s\" vanished", RelationGetRelationName(index->rel));
	memcpy(rows->vertex_code, VecxRecordCode(&index->layout, rec), index->coder.nbytes);
	UnlockReleaseBuffer(buf);
	hash = VecxInputHash(input);
	if (row->hash != hash)
		VecxDamage(index->rel, row_block(row), row_offset(row),
				   "a vertex has the hash of another vector than its row",
				   "tid=(%u,%u) hash=%08x expected=%08x",
				   ItemPointerGetBlockNumber(&row->tid), ItemPointerGetOffsetNumber(&row->tid),
				   row->hash, hash);
	if (!code_matches(rows, input->vec, rows->vertex_code))
		VecxDamage(index->rel, row_block(row), row_offset(row),
				   "a vertex has the code of another vector than its row",
				   "tid=(%u,%u)",
				   ItemPointerGetBlockNumber(&row->tid), ItemPointerGetOffsetNumber(&row->tid));
}

/* Whether the entry of a row has the row's values of the filter columns. */
static void
check_filters(VecxRowCheck *rows, const Row *row, const Datum *values, const bool *isnull)
{
	const VecxFilters *filters = rows->index->filters;
	const uint8 *found = rows->page_filters + filters->nbytes * (row - rows->page_rows);

	VecxFilterForm(filters, values, isnull, rows->filters);
	for (int i = 0; i < filters->ncolumns; i++)
	{
		const VecxFilterColumn *column = &filters->columns[i];

		if (VecxFilterState(found, i) != VecxFilterState(rows->filters, i) ||
			memcmp(found + column->offset, rows->filters + column->offset, column->width) != 0)
			VecxDamage(rows->index->rel, row_block(row), row_offset(row),
					   "a row has another value of a filter column than its entry",
					   "tid=(%u,%u) column=%d", ItemPointerGetBlockNumber(&row->tid),
					   ItemPointerGetOffsetNumber(&row->tid), column->attno);
	}
}

static void
check_row(VecxRowCheck *rows, ItemPointer tid, const Datum *values, const bool *isnull)
{
	Relation	rel = rows->index->rel;
	const Row  *row = NULL;
	uint16		expected = VECX_ROW_NULL;
	VecxInput	input;

	for (int i = 0; i < rows->npage_rows && !row; i++)
		if (ItemPointerEquals(&rows->page_rows[i].tid, tid))
			row = &rows->page_rows[i];
	if (!row)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is damaged: a row of table \"%s\" is not in it",
						RelationGetRelationName(rel),
						RelationGetRelationName(rows->target->heap)),
				 errdetail_internal("tid=(%u,%u).", ItemPointerGetBlockNumber(tid),
									ItemPointerGetOffsetNumber(tid)),
				 errhint("REINDEX the index.")));
	if (!isnull[0])
	{
		VecxPrepareInput(rows->index, values[0], &input);
		expected = input.kind == VECX_INPUT_OK ? 0 : VECX_ROW_UNSCORABLE;
	}
	if (row->why == VECX_ROW_KILLED)
		VecxDamage(rel, row_block(row), row_offset(row),
				   "a row that can be seen is marked dead", "tid=(%u,%u)",
				   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	if (row->why & (VECX_ROW_COPY | VECX_ROW_LEAVING))
		VecxDamage(rel, row_block(row), row_offset(row), "of a row only copies are in it",
				   "tid=(%u,%u)", ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	if (row->why != expected && !(row->why == VECX_ROW_ARRIVED && expected == 0))
		VecxDamage(rel, row_block(row), row_offset(row),
				   "a row is not where rows with such a vector are", "tid=(%u,%u) found=%u expected=%u",
				   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
				   row->why, expected);
	if (expected == 0 && !rows->index->lists)
		check_vertex_of_row(rows, row, &input);
	if (expected == 0)
		VecxTreeCheckRow(rows->index, row->id, tid, values, isnull);
	check_filters(rows, row, values, isnull);
}

static void
heap_row(ItemPointer tid, Datum *values, bool *isnull, void *arg)
{
	VecxRowCheck *rows = arg;

	if (ItemPointerGetBlockNumber(tid) != rows->blkno)
		go_to_block(rows, ItemPointerGetBlockNumber(tid));
	check_row(rows, tid, values, isnull);
}

/*
 * Checks that no row is there twice and, with_table, that every row of the
 * table is there, at a vertex of its vector.
 */
void
VecxRowCheckFinish(VecxRowCheck *rows, bool with_table)
{
	tuplesort_performsort(rows->sort);
	advance(rows);
	rows->blkno = InvalidBlockNumber;
	if (with_table)
	{
		Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());

		VecxTargetForEachRow(rows->target, snapshot, rows->row_cxt, heap_row, rows);
		UnregisterSnapshot(snapshot);
	}
	while (rows->has_next)
		advance(rows);
	tuplesort_end(rows->sort);
}

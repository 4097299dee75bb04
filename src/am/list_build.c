/*
 * list_build.c
 *    CREATE INDEX with structure = lists: centroids by k-means over a sample, then
 *    every row coded for the nearest one, sorted by list and written.
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/sampling.h"
#include "utils/tuplesort.h"

#include "am/list.h"
#include "am/load.h"
#include "am/vtree.h"

/* Rows of the sample for each list, at most. */
#define SAMPLE_PER_LIST		32

struct VecxListsBuild
{
	VecxIndex  *index;
	Relation	heap;
	IndexInfo  *info;
	VecxLoader *loader;
	MemoryContext cxt;
	MemoryContext row_cxt;		/* of one row */
	VecxTrainEnv env;
	double		tuples;			/* of the table, estimated */
	uint32		wanted;			/* lists */
	float	   *mean;			/* of the vectors; NULL: not taken off */
	VecxPoints	sample;
	Size		sample_max;
	double		sample_seen;	/* rows of the blocks sampled */
	bool		holds_out;		/* the curve's queries are not of the sample: */
	bool		by_block;		/* rows of some blocks, or some rows of all blocks */
	bool		held_out;		/* the block, or the row, is one of these */
	float	   *work;
	VecxListCurve *curve;		/* NULL: not to be measured */
	VecxListTrainer *trainer;	/* NULL: the quantiser looks at no rows */

	VecxClusters clusters;
	uint8	   *codes;			/* of the centroids, for the graph */
	float	   *projected;		/* the centroids */
	BlockNumber *heads;			/* of the lists; InvalidBlockNumber: empty */

	/* rows on their way */
	int			most_rows;		/* that are put into lists at once */
	int			nbatch;
	float	   *x;				/* [most_rows][dim] */
	float	   *y;
	ItemPointerData tids[VECX_MOST_AT_ONCE];
	uint8	   *filters;		/* [most_rows] */
	VecxPoints	points;
	uint32		ncentres;		/* that are looked at for a row */
	uint32		leaf[VECX_MOST_AT_ONCE * VECX_REPLICA_CENTRES];	/* [most_rows][ncentres] */
	float	   *room;
	void	   *scratch;
	VecxListItem *item;
	Tuplesortstate *sort;
	VecxTreeBuild *tree;		/* NULL: no filter columns */
	TupleTableSlot *slot;
	bytea	   *packed;
};

/* Share of maintenance_work_mem for the centroids and their projections. */
#define CENTROIDS_SHARE		3
/* The same for the sample; the sort of rows takes its place. */
#define SAMPLE_SHARE		2
/* The same for the sort of filter columns' values. */
#define TREE_SHARE			8

/* How many lists there should be. */
double
VecxListsWanted(Relation index, const VecxMetaPageData *meta, double tuples)
{
	double		most = (double) maintenance_work_mem * 1024 / CENTROIDS_SHARE /
		(2 * sizeof(float) * meta->dim);

	return Max(Min(tuples / meta->list_rows, most), 1);
}

/* sample is the first sample, whose mean is taken off. */
VecxListsBuild *
VecxListsBuildBegin(VecxIndex *index, Relation heap, IndexInfo *info, const float *sample,
					int nsample, double tuples)
{
	VecxListsBuild *b = palloc0(sizeof(VecxListsBuild));
	uint32		dim = index->meta.dim;

	b->index = index;
	b->heap = heap;
	b->info = info;
	b->cxt = CurrentMemoryContext;
	b->row_cxt = AllocSetContextCreate(b->cxt, "vecx rows for lists", ALLOCSET_DEFAULT_SIZES);
	b->tuples = tuples;
	b->most_rows = VecxRowsAtOnce(index);
	b->wanted = (uint32) VecxListsWanted(index->rel, &index->meta, tuples);
	VecxTrainEnvInit(&b->env, b->cxt);
	if (index->meta.metric == VECX_METRIC_IP || nsample == 0)
		return b;
	b->mean = palloc0(sizeof(float) * dim);
	for (int row = 0; row < nsample; row++)
		for (uint32 i = 0; i < dim; i++)
			b->mean[i] += sample[(Size) row * dim + i] / nsample;
	return b;
}

/*
 * The curve's queries are one in so many of what is sampled, which nothing is learned from, unless all
 * of the table is.  Of clusters that are smaller than a list those that are in the sample come to have
 * a centroid near by, others do not: of 400 clusters of 30 rows the curve of the sample's own rows
 * promised .99 where .76 were found.  Where enough blocks are sampled whole ones are held out, since
 * rows that are stored together may be alike.
 */
#define HELD_OUT	8

static bool
is_held_out(uint64 number)
{
	return number % HELD_OUT == HELD_OUT / 2;
}

static void
sample_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	VecxListsBuild *b = arg;
	MemoryContext old;
	VecxInput	input;

	b->sample_seen++;
	if (b->holds_out && !b->by_block)
		b->held_out = is_held_out((uint64) b->sample_seen);
	if (isnull[0] || (!b->held_out && b->sample.count == b->sample_max))
		return;
	old = MemoryContextSwitchTo(b->row_cxt);
	VecxPrepareInput(b->index, values[0], &input);
	if (input.kind == VECX_INPUT_OK)
	{
		if (b->curve && b->held_out == b->holds_out)
			VecxListCurveAddQuery(b->curve, tid, input.vec, b->mean, b->work);
		if (!b->held_out)
		{
			if (b->trainer)
				VecxListTrainerOffer(b->trainer, input.vec);
			vecx_cluster_put(&b->sample, b->sample.count++, b->index->meta.dim, b->mean, input.vec, b->work);
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->row_cxt);
}

/*
 * None of the rows sampled has a vector that could be near to anything: the others are looked at
 * for those that do.  A table that others write to may get the first one later: zero will be
 * its list's centroid.
 */
static void
look_for_one(VecxListsBuild *b, BlockNumber nblocks)
{
	double		seen = b->sample_seen;
	uint32		dim = b->index->meta.dim;
	float	   *zero;

	if (b->sample.count == 0 && nblocks > 0)
		table_index_build_range_scan(b->heap, b->index->rel, b->info, false, !b->info->ii_Concurrent,
									 false, 0, InvalidBlockNumber, sample_row, b, NULL);
	b->sample_seen = seen;
	if (b->sample.count > 0 || !b->info->ii_Concurrent)
		return;
	zero = palloc0(sizeof(float) * dim);
	vecx_cluster_put(&b->sample, b->sample.count++, dim, NULL, zero, b->work);
	pfree(zero);
}

/* Samples rows of blocks from all over the table, as points. */
static void
sample_table(VecxListsBuild *b)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(b->heap);
	uint32		dim = b->index->meta.dim;
	Size		bytes = vecx_cluster_point_bytes(dim) + sizeof(VecxPointHead);
	Size		memory = (Size) maintenance_work_mem * 1024 / SAMPLE_SHARE;
	double		least = Max(HELD_OUT * VECX_LIST_BUILD_QUERIES, VecxListTrainRows(b->index));
	double		rows = Min(Max((double) SAMPLE_PER_LIST * b->wanted, least), (double) (memory / bytes));
	VecxOptions *options = (VecxOptions *) b->index->rel->rd_options;
	BlockNumber nread = 0;
	BlockNumber nsampled;
	BlockSamplerData blocks;

	b->sample_max = (Size) Max(rows, 1);
	nsampled = (BlockNumber) Min(ceil(1.1 * nblocks * rows / Max(b->tuples, 1)) + 1, nblocks);
	/* of too few there would be no curve */
	b->holds_out = nsampled < nblocks && rows >= 2 * HELD_OUT * VECX_LEAST_QUERIES;
	b->by_block = nsampled >= 2 * HELD_OUT;
	if (b->holds_out)
		nsampled = Min(nsampled + nsampled / HELD_OUT + 1, nblocks);
	if (!options || options->auto_calibrate)
		b->curve = VecxListCurveMake(b->index, b->most_rows);
	b->trainer = VecxListTrainerMake(b->index, b->sample_max);
	b->work = palloc(sizeof(float) * vecx_cluster_point_bytes(dim));
	vecx_cluster_alloc(&b->env, dim, b->sample_max, &b->sample);
	b->sample.count = 0;
	BlockSampler_Init(&blocks, nblocks, (int) nsampled, (uint32) b->index->meta.seed);
	while (BlockSampler_HasMore(&blocks))
	{
		CHECK_FOR_INTERRUPTS();
		b->held_out = b->holds_out && b->by_block && is_held_out(nread);
		table_index_build_range_scan(b->heap, b->index->rel, b->info, false,
									 !b->info->ii_Concurrent, false,
									 BlockSampler_Next(&blocks), 1, sample_row, b, NULL);
		nread++;
	}
	b->holds_out = b->held_out = false;
	look_for_one(b, nblocks);
	/* better than what is known of a table that was never analyzed */
	b->tuples = b->sample_seen * nblocks / Max(nread, 1);
	b->wanted = (uint32) VecxListsWanted(b->index->rel, &b->index->meta, b->tuples);
}

/*
 * Finds the centroids; from then on they are what the graph's codes say.  Then the
 * quantiser learns what residuals to them are like.
 */
static void
make_centroids(VecxListsBuild *b)
{
	VecxIndex  *index = b->index;
	const VecxListCode *code;
	uint32		dim = index->meta.dim;
	uint32		n;

	vecx_clusters_make(&b->env, &b->sample, dim, b->mean, b->wanted, index->meta.seed, &b->clusters);
	pfree(b->sample.heads);
	pfree(b->sample.points);
	n = b->clusters.nleaves;
	b->codes = MemoryContextAllocExtended(b->cxt, (Size) index->coder.nbytes * Max(n, 1),
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < n; i++)
	{
		float	   *centre = b->clusters.centres + (Size) i * dim;

		CHECK_FOR_INTERRUPTS();
		vecx_code_encode(&index->coder, centre, b->codes + (Size) i * index->coder.nbytes);
		vecx_code_decode(&index->coder, b->codes + (Size) i * index->coder.nbytes, centre);
		vecx_clusters_use_centre(&b->clusters, i, b->work);
	}
	VecxListsTrain(index, b->trainer, &b->clusters);
	code = &index->lists->code;
	b->projected = MemoryContextAllocHuge(b->cxt, sizeof(float) * code->proj_floats * Max(n, 1));
	b->heads = MemoryContextAllocHuge(b->cxt, sizeof(BlockNumber) * Max(n, 1));
	b->scratch = palloc(vecx_list_scratch(code, b->most_rows));
	for (uint32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		vecx_list_project(code, b->clusters.centres + (Size) i * dim,
						  b->projected + (Size) i * code->proj_floats, b->scratch);
		b->heads[i] = InvalidBlockNumber;
	}
}

/* Rows in the sort: the list, and the packed item with what is behind it. */
static void
pack_item(const VecxLists *lists, const VecxListItem *item, uint8 *packed)
{
	VecxListPack(lists, item, packed);
	memcpy(packed + VecxListPackedBytes(lists), VecxListItemExtra(lists, item), VecxListExtraBytes(lists));
}

static void
unpack_item(const VecxLists *lists, const uint8 *packed, VecxListItem *item)
{
	VecxListUnpack(lists, packed, item);
	memcpy(VecxListItemExtra(lists, item), packed + VecxListPackedBytes(lists), VecxListExtraBytes(lists));
}

static void
begin_sort(VecxListsBuild *b)
{
	TupleDesc	desc = CreateTemplateTupleDesc(2);
	AttrNumber	attribute = 1;
	Oid			operator = Int4LessOperator;
	Oid			collation = InvalidOid;
	bool		nulls_first = false;
	Size		bytes = VARHDRSZ + VecxListPackedBytes(b->index->lists) + VecxListExtraBytes(b->index->lists);

	TupleDescInitEntry(desc, 1, "list", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 2, "row", BYTEAOID, -1, 0);
	b->sort = tuplesort_begin_heap(desc, 1, &attribute, &operator, &collation, &nulls_first,
								   Max(maintenance_work_mem / SAMPLE_SHARE, 64), NULL, TUPLESORT_NONE);
	b->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	b->packed = palloc0(bytes);
	SET_VARSIZE(b->packed, bytes);
	if (b->index->filters->ncolumns > 0)
		b->tree = VecxTreeBuildBegin(b->index, maintenance_work_mem / TREE_SHARE);
}

/* Notes a row's values for the value tree. */
static void
add_to_tree(VecxListsBuild *b, ItemPointer tid, const Datum *values, const bool *isnull)
{
	const VecxFilters *filters = b->index->filters;

	for (int column = 0; column < filters->ncolumns; column++)
	{
		int			at = filters->columns[column].attno - 1;
		uint64	   *keys;
		int			n = VecxFilterKeys(filters, column, values[at], isnull[at], &keys);

		for (int i = 0; i < n; i++)
		{
			VecxTreeKey key = VecxTreeKeyOfRow(column, keys[i], tid);

			VecxTreeBuildAdd(b->tree, &key, NULL);
		}
	}
}

/* Of the leaves nearest to a row of the batch, leaves those that it goes to. */
static void
choose_leaves(VecxListsBuild *b, int row)
{
	uint32		dim = b->index->meta.dim;
	uint32	   *leaf = b->leaf + row * b->ncentres;
	uint32		left[VECX_MOST_REPLICAS];
	const float *centres[VECX_REPLICA_CENTRES];
	int			chosen[VECX_MOST_REPLICAS];
	int			n = 0;

	for (; n < (int) b->ncentres && leaf[n] != VECX_NO_LEAF; n++)
		centres[n] = b->clusters.centres + (Size) leaf[n] * dim;
	n = vecx_replicas_choose((VecxMetric) b->index->meta.metric, b->x + (Size) row * dim, dim,
							 centres, n, b->index->lists->replicas, chosen);
	for (int i = 0; i < n; i++)
		left[i] = leaf[chosen[i]];
	memcpy(leaf, left, sizeof(uint32) * n);
	if (n < (int) b->ncentres)
		leaf[n] = VECX_NO_LEAF;
}

/* Codes a row of the batch for one of its lists, and puts it into the sort. */
static void
sort_row(VecxListsBuild *b, int row, uint32 leaf, uint16 flags)
{
	const VecxLists *lists = b->index->lists;
	const VecxListCode *code = &lists->code;
	uint32		dim = b->index->meta.dim;
	Size		nbytes = b->index->filters->nbytes;
	VecxListCentre centre;

	centre.c = b->clusters.centres + (Size) leaf * dim;
	centre.y = b->projected + (Size) leaf * code->proj_floats;
	VecxListEncodeItem(lists, &centre, b->x + (Size) row * dim, b->y + (Size) row * code->proj_floats,
					   b->item, b->scratch);
	VecxListItemRow(b->item)->tid = b->tids[row];
	VecxListItemRow(b->item)->flags = flags;
	memcpy(VecxRowFilters(VecxListItemRow(b->item)), b->filters + row * nbytes, nbytes);
	pack_item(lists, b->item, (uint8 *) VARDATA(b->packed));
	ExecClearTuple(b->slot);
	b->slot->tts_values[0] = Int32GetDatum((int32) leaf);
	b->slot->tts_values[1] = PointerGetDatum(b->packed);
	b->slot->tts_isnull[0] = b->slot->tts_isnull[1] = false;
	ExecStoreVirtualTuple(b->slot);
	tuplesort_puttupleslot(b->sort, b->slot);
}

/* Assigns, codes and sorts in the rows of the batch. */
static void
flush_batch(VecxListsBuild *b)
{
	uint32		dim = b->index->meta.dim;

	b->points.count = b->nbatch;
	for (int i = 0; i < b->nbatch; i++)
		vecx_cluster_put(&b->points, i, dim, b->mean, b->x + (Size) i * dim, b->work);
	vecx_clusters_assign(&b->clusters, &b->points, b->ncentres, b->leaf, b->room);
	if (b->index->lists->replicas > 1)
		for (int i = 0; i < b->nbatch; i++)
			choose_leaves(b, i);
	if (b->curve)
		VecxListCurveSeeRows(b->curve, &b->points, b->tids, b->leaf, b->ncentres);
	vecx_list_project_many(&b->index->lists->code, b->x, b->nbatch, b->y, b->scratch);
	for (int i = 0; i < b->nbatch; i++)
		for (uint32 c = 0; c < b->ncentres; c++)
		{
			uint32		leaf = b->leaf[i * b->ncentres + c];

			/* never: of vectors within VECX_MAX_NORM2 every distance is finite */
			if (leaf == VECX_NO_LEAF && c == 0)
				elog(ERROR, "no list for a row of index \"%s\"", RelationGetRelationName(b->index->rel));
			if (leaf == VECX_NO_LEAF)
				break;
			sort_row(b, i, leaf, c == 0 ? 0 : VECX_ROW_COPY);
		}
	b->nbatch = 0;
}

static void
take_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	VecxListsBuild *b = arg;
	uint8	   *filters = b->filters + b->nbatch * b->index->filters->nbytes;
	MemoryContext old;
	VecxInput	input;

	b->loader->rows++;
	old = MemoryContextSwitchTo(b->row_cxt);
	VecxFilterForm(b->index->filters, values, isnull, filters);
	if (!isnull[0])
		VecxPrepareInput(b->index, values[0], &input);
	if (isnull[0] || input.kind != VECX_INPUT_OK)
		VecxLoaderSideRow(b->loader, tid, filters, isnull[0] ? VECX_ROW_NULL : VECX_ROW_UNSCORABLE);
	else
	{
		memcpy(b->x + (Size) b->nbatch * b->index->meta.dim, input.vec,
			   sizeof(float) * b->index->meta.dim);
		add_to_tree(b, tid, values, isnull);
		b->tids[b->nbatch++] = *tid;
		if (b->nbatch == b->most_rows)
			flush_batch(b);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->row_cxt);
}

/* Reads the table, twice: for the centroids, and into the sort.  Returns the
 * number of its rows. */
double
VecxListsBuildRead(VecxListsBuild *b, VecxLoader *loader)
{
	const VecxListCode *code;
	uint32		dim = b->index->meta.dim;
	double		heap_tuples;

	b->loader = loader;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_CLUSTER);
	sample_table(b);
	make_centroids(b);
	code = &b->index->lists->code;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_LISTS);
	b->x = palloc(sizeof(float) * dim * b->most_rows);
	b->y = palloc(sizeof(float) * code->proj_floats * b->most_rows);
	b->filters = palloc0(b->index->filters->nbytes * b->most_rows + 1);
	vecx_cluster_alloc(&b->env, dim, b->most_rows, &b->points);
	b->ncentres = b->index->lists->replicas > 1 ? VECX_REPLICA_CENTRES : 1;
	b->room = palloc(sizeof(float) * vecx_clusters_room(&b->clusters, b->most_rows, b->ncentres));
	b->item = palloc0(b->index->lists->item_bytes);
	begin_sort(b);
	heap_tuples = table_index_build_scan(b->heap, b->index->rel, b->info, true, true, take_row, b, NULL);
	if (b->nbatch > 0)
		flush_batch(b);
	tuplesort_performsort(b->sort);
	return heap_tuples;
}

/* A page of the list that is being written, locked. */
typedef struct Writer
{
	Buffer		buf;
	BlockNumber head;
	uint32		npages;
} Writer;

/* The page before is let go of for a moment: nobody else knows of it, and a lock holds
 * interrupts off. */
static void
begin_page(VecxListsBuild *b, Writer *w)
{
	BlockNumber blkno;
	Buffer		buf;

	if (BufferIsValid(w->buf))
		LockBuffer(w->buf, BUFFER_LOCK_UNLOCK);
	CHECK_FOR_INTERRUPTS();
	if (BufferIsValid(w->buf))
		LockBuffer(w->buf, BUFFER_LOCK_EXCLUSIVE);
	buf = VecxExtend(b->index->rel, MAIN_FORKNUM);
	blkno = BufferGetBlockNumber(buf);
	if (BufferIsValid(w->buf))
	{
		VecxPageGetOpaque(BufferGetPage(w->buf))->next = blkno;
		MarkBufferDirty(w->buf);
		UnlockReleaseBuffer(w->buf);
	}
	else
		w->head = blkno;
	w->buf = buf;
	w->npages++;
	VecxListPageInit(b->index->lists, BufferGetPage(buf), w->head);
}

static void
end_list(VecxListsBuild *b, Writer *w)
{
	BlockNumber tail = BufferGetBlockNumber(w->buf);
	VecxListPage header;

	MarkBufferDirty(w->buf);
	if (tail != w->head)
	{
		UnlockReleaseBuffer(w->buf);
		w->buf = VecxReadPage(b->index->rel, w->head, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	}
	header = VecxListPageHeader(BufferGetPage(w->buf));
	header->tail = tail;
	header->npages = w->npages;
	/* it was made by a look at all rows: a split of it alone is for what comes to it */
	if (w->npages > VecxListMostPages(b->index->lists))
		header->split_pages = w->npages + w->npages / 4;
	MarkBufferDirty(w->buf);
	UnlockReleaseBuffer(w->buf);
	memset(w, 0, sizeof(Writer));
}

/* Writes the lists, and makes their centroids vertices of the loader's graph. */
void
VecxListsBuildWrite(VecxListsBuild *b, VecxLoader *loader)
{
	const VecxLists *lists = b->index->lists;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(b->slot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
	int32		list = -1;
	Writer		w;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_WRITE);
	memset(&w, 0, sizeof(w));
	while (tuplesort_gettupleslot(b->sort, true, false, slot, NULL))
	{
		bool		isnull;
		int32		next = DatumGetInt32(slot_getattr(slot, 1, &isnull));
		bytea	   *packed = DatumGetByteaPP(slot_getattr(slot, 2, &isnull));

		unpack_item(lists, (uint8 *) VARDATA_ANY(packed), b->item);
		if (next != list && BufferIsValid(w.buf))
			end_list(b, &w);
		if (!BufferIsValid(w.buf) ||
			VecxListPageHeader(BufferGetPage(w.buf))->nrows == lists->page_rows)
			begin_page(b, &w);
		list = next;
		b->heads[list] = w.head;
		VecxListAppend(b->index, w.buf, b->item);
	}
	if (BufferIsValid(w.buf))
		end_list(b, &w);
	tuplesort_end(b->sort);
	if (b->tree)
		VecxTreeBuildEnd(b->tree);
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(b->slot);
	for (uint32 i = 0; i < b->clusters.nleaves; i++)
		if (b->heads[i] != InvalidBlockNumber)
			VecxLoaderCentroid(loader, b->codes + (Size) i * b->index->coder.nbytes, b->heads[i]);
}

/* Measures how many lists to read; after the index was written. */
void
VecxListsBuildCurve(VecxListsBuild *b)
{
	if (b->curve)
		VecxListCurveStore(b->curve, b->codes, b->heads, b->clusters.nleaves);
}

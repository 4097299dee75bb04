/*
 * build.c
 *    CREATE INDEX.
 *
 * Rows sampled from the whole table train the model and decide the layout.
 * Then the table is read, the graph is linked in memory and written.  When the
 * graph would outgrow maintenance_work_mem, what there is is written, and the
 * other rows are inserted one by one.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#include "am/am.h"

/* Blocks of the table that the sample comes from, at most. */
#define SAMPLE_BLOCKS	600

typedef struct Build
{
	Relation	heap;
	Relation	rel;
	IndexInfo  *info;
	MemoryContext cxt;			/* of the whole build */
	MemoryContext row_cxt;		/* of one row */
	const VecxOpSpec *spec;
	VecxIndex  *index;
	VecxGraph  *graph;			/* NULL once it is written */
	VecxExact  *exact;
	uint8	   *code;
	double		rows;			/* in the index */

	/* rows that are no vertices, until the graph is written */
	VecxRowEntry *side;
	int			nside;
	int			side_cap;

	/* the sample */
	char	   *sample;
	Size		sample_bytes;	/* of one vector */
	int			sample_max;
	int			nsample;
	double		sample_seen;
	double		sample_skip;
	ReservoirStateData reservoir;
} Build;

static void
sample_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Build	   *b = arg;
	MemoryContext old;
	VecxInput	input;
	int			at;

	if (isnull[0])
		return;
	if (b->nsample < b->sample_max)
		at = b->nsample;
	else
	{
		if (b->sample_skip < 0)
			b->sample_skip = reservoir_get_next_S(&b->reservoir, b->sample_seen, b->sample_max);
		b->sample_seen++;
		if (b->sample_skip-- > 0)
			return;
		at = (int) (b->sample_max * sampler_random_fract(&b->reservoir.randstate));
	}
	old = MemoryContextSwitchTo(b->row_cxt);
	VecxPrepareInput(b->index, values[0], &input);
	if (input.kind == VECX_INPUT_OK)
	{
		if (b->nsample < b->sample_max)
		{
			b->nsample++;
			b->sample_seen++;
		}
		memcpy(b->sample + at * b->sample_bytes, input.vec, b->sample_bytes);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->row_cxt);
}

/* Rows to sample: fewer of a small table, lest training takes longer than the
 * graph. */
static int
sample_rows(Build *b)
{
	BlockNumber pages;
	double		tuples;
	double		all_visible;

	estimate_rel_size(b->heap, NULL, &pages, &tuples, &all_visible);
	return (int) Min((double) VecxTrainSampleRows(b->index),
					 Max(tuples / 4, 2 * VECX_MIN_TRAIN_ROWS));
}

/* Samples rows of blocks from all over the table. */
static void
sample_table(Build *b)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(b->heap);
	BlockSamplerData blocks;

	b->sample_bytes = VecxVectorBytes(b->index);
	b->sample_max = sample_rows(b);
	b->sample = MemoryContextAllocHuge(b->cxt, b->sample_bytes * b->sample_max);
	b->sample_skip = -1;
	reservoir_init_selection_state(&b->reservoir, b->sample_max);
	BlockSampler_Init(&blocks, nblocks, SAMPLE_BLOCKS, (uint32) b->index->meta.seed);
	while (BlockSampler_HasMore(&blocks))
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(b->heap, b->rel, b->info, false,
									 !b->info->ii_Concurrent, false,
									 BlockSampler_Next(&blocks), 1, sample_row, b, NULL);
	}
}

/* The metapage's contents before there is a layout. */
static void
init_meta(Build *b, VecxMetaPageData *meta)
{
	VecxOptions *options = (VecxOptions *) b->rel->rd_options;

	memset(meta, 0, sizeof(VecxMetaPageData));
	meta->magic = VECX_MAGIC;
	meta->version = VECX_FORMAT_VERSION;
	meta->dim = VecxGetDim(b->rel, b->spec);
	meta->metric = (uint16) b->spec->metric;
	meta->structure = VECX_STRUCTURE_GRAPH;
	meta->m = (uint16) (options ? options->m : VECX_DEFAULT_M);
	meta->ef_construction = (uint16) (options ? options->ef_construction :
									  VECX_DEFAULT_EF_CONSTRUCTION);
	if (!pg_strong_random(&meta->seed, sizeof(meta->seed)))
		meta->seed = pg_prng_uint64(&pg_global_prng_state);
	meta->side_head = meta->side_tail = InvalidBlockNumber;
	meta->rows_tail = meta->upper_tail = InvalidBlockNumber;
	meta->centre = InvalidBlockNumber;
}

/*
 * Bytes a sketch may take: what the user asked for; else, with data to look
 * at, 0 so that training decides; else the default.
 */
static uint32
wanted_sketch_bytes(Build *b)
{
	VecxOptions *options = (VecxOptions *) b->rel->rd_options;
	uint32		bits = options ? (uint32) options->sketch_bits : 0;

	if (bits == 0 && b->nsample >= VECX_MIN_TRAIN_ROWS)
		return 0;
	return vecx_sketch_default_bytes(b->spec->metric, b->index->meta.dim, bits);
}

/* Writes the mean of the sample as the codes' centre. */
static void
write_centre(Build *b, ForkNumber fork)
{
	VecxMetaPageData *meta = &b->index->meta;
	double	   *sum = MemoryContextAllocZero(b->cxt, sizeof(double) * meta->dim);
	float	   *centre = MemoryContextAlloc(b->cxt, sizeof(float) * meta->dim);

	for (int row = 0; row < b->nsample; row++)
	{
		const float *vec = (const float *) (b->sample + row * b->sample_bytes);

		for (uint32 i = 0; i < meta->dim; i++)
			sum[i] += vec[i];
	}
	for (uint32 i = 0; i < meta->dim; i++)
		centre[i] = (float) (sum[i] / b->nsample);
	meta->centre = VecxBlobWrite(b->rel, fork, VECX_WRITE_DIRECT, (uint8 *) centre,
								 sizeof(float) * meta->dim);
	pfree(sum);
	pfree(centre);
}

/* Trains the first model, chooses the layout, and writes both. */
static void
start_index(Build *b, ForkNumber fork)
{
	VecxIndex  *index = b->index;
	VecxMetaPageData *meta = &index->meta;
	VecxTrainEnv env;
	VecxBasis	basis;
	VecxCodeKind kind;
	size_t		nbytes;
	uint8	   *bytes;
	const char *wrong;
	bool		enough = b->nsample >= VECX_MIN_TRAIN_ROWS;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_TRAIN);
	VecxTrainEnvInit(&env, b->cxt);
	bytes = vecx_basis_train(&env, b->spec->metric, meta->dim, b->sample,
							 enough ? b->nsample : 0, wanted_sketch_bytes(b), meta->seed, &nbytes);
	wrong = vecx_basis_bind(&basis, bytes, nbytes);
	if (wrong)
		elog(ERROR, "a new model of index \"%s\" cannot be used: %s",
			 RelationGetRelationName(b->rel), wrong);
	VecxChooseLayout(b->rel, b->spec, meta->dim, vecx_sketch_size(&basis), &kind, meta);

	VecxMetaWrite(b->rel, fork, VECX_WRITE_DIRECT, meta);
	meta->models[0].first = VecxBlobWrite(b->rel, fork, VECX_WRITE_DIRECT, bytes, nbytes);
	meta->models[0].nbytes = (uint32) nbytes;
	meta->models[0].number = 1;
	/* known rows; the true number is set when the table has been read */
	meta->models[0].trained_rows = enough ? (uint32) b->nsample : 0;
	meta->current_model = 1;
	if (enough && vecx_code_has_centre(kind, b->spec->metric))
		write_centre(b, fork);
	VecxMetaWrite(b->rel, fork, VECX_WRITE_DIRECT, meta);
}

/* Writes the graph and all that waited for it; logs every page so far. */
static void
write_index(Build *b)
{
	VecxIndex  *index = b->index;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_GRAPH);
	VecxGraphLinkAll(b->graph);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_WRITE);
	VecxGraphWrite(index, b->graph);
	for (int i = 0; i < b->nside; i++)
		VecxSideInsert(index, &b->side[i].tid, b->side[i].flags);
	if (RelationNeedsWAL(b->rel))
		log_newpage_range(b->rel, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(b->rel), true);
	MemoryContextDelete(b->graph->cxt);
	b->graph = NULL;
	index->mode = VECX_WRITE_LOGGED;
}

static void
add_side_row(Build *b, ItemPointer tid, uint16 why)
{
	if (b->nside == b->side_cap)
	{
		b->side_cap = Max(b->side_cap * 2, 1024);
		b->side = b->side ?
			repalloc_huge(b->side, sizeof(VecxRowEntry) * b->side_cap) :
			MemoryContextAlloc(b->cxt, sizeof(VecxRowEntry) * b->side_cap);
	}
	b->side[b->nside].tid = *tid;
	b->side[b->nside++].flags = why;
}

/* Whether the vertex's first row has the very value of the input. */
static bool
vertex_has_value(Build *b, uint32 vertex, const VecxInput *input)
{
	Datum		value;
	bool		isnull;
	uint32		row = b->graph->vertices[vertex].first_row;

	return VecxExactFetch(b->exact, &b->graph->rows[row].tid, &value, &isnull) && !isnull &&
		VecxSameValue(PG_DETOAST_DATUM(value), input->value);
}

/* Vertices of one hash and code that are asked for their value, at most. */
#define MAX_VERTICES_ASKED	16

/*
 * A row into the graph: at a vertex with the same vector, or one of its own.
 * One that is dead to new transactions cannot prove its value to later rows, so
 * it always gets a vertex of its own, where nobody looks for it.
 */
static void
add_to_graph(Build *b, const VecxInput *input, ItemPointer tid, bool alive)
{
	uint32		vertex = VECX_NO_VERTEX;

	memset(b->code, 0, b->index->coder.nbytes);
	vecx_code_encode(&b->index->coder, input->vec, b->code);
	for (int asked = 0; alive && asked < MAX_VERTICES_ASKED; asked++)
	{
		CHECK_FOR_INTERRUPTS();
		vertex = VecxGraphFind(b->graph, input->hash, b->code, vertex);
		if (vertex == VECX_NO_VERTEX)
			break;
		if (vertex_has_value(b, vertex, input))
		{
			VecxGraphAddRow(b->graph, vertex, tid);
			return;
		}
	}
	vertex = VecxGraphAddVertex(b->graph, input->hash, b->code, alive);
	VecxGraphAddRow(b->graph, vertex, tid);
}

static bool
memory_is_full(Build *b)
{
	return VecxGraphBytes(b->graph) + sizeof(VecxRowEntry) * b->nside >=
		(Size) maintenance_work_mem * 1024;
}

static void
build_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Build	   *b = arg;
	MemoryContext old = MemoryContextSwitchTo(b->row_cxt);
	VecxInput	input;

	b->rows++;
	if (b->graph == NULL)
		VecxInsertRow(b->index, b->heap, values[0], isnull[0], tid);
	else if (isnull[0])
		add_side_row(b, tid, VECX_ROW_NULL);
	else
	{
		VecxPrepareInput(b->index, values[0], &input);
		if (input.kind == VECX_INPUT_OK)
			add_to_graph(b, &input, tid, alive);
		else
			add_side_row(b, tid, VECX_ROW_UNSCORABLE);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->row_cxt);

	if (b->graph != NULL && memory_is_full(b))
	{
		ereport(NOTICE,
				(errmsg("the graph of index \"%s\" outgrows maintenance_work_mem after %.0f rows",
						RelationGetRelationName(b->rel), b->rows),
				 errdetail("The other rows are inserted one by one, which takes longer."),
				 errhint("Increase maintenance_work_mem to speed up builds.")));
		write_index(b);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_INSERT);
	}
}

static void
set_trained_rows(VecxMetaPageData *meta, void *arg)
{
	meta->models[0].trained_rows = *(uint32 *) arg;
}

static void
begin_build(Build *b, Relation heap, Relation rel, IndexInfo *info)
{
	memset(b, 0, sizeof(Build));
	b->heap = heap;
	b->rel = rel;
	b->info = info;
	b->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx build", ALLOCSET_DEFAULT_SIZES);
	b->row_cxt = AllocSetContextCreate(b->cxt, "vecx build of a row", ALLOCSET_DEFAULT_SIZES);
	b->spec = VecxGetOpSpec(rel);
	b->index = MemoryContextAllocZero(b->cxt, sizeof(VecxIndex));
	b->index->rel = rel;
	b->index->cxt = b->cxt;
	b->index->spec = b->spec;
	b->index->mode = VECX_WRITE_DIRECT;
	init_meta(b, &b->index->meta);
}

IndexBuildResult *
vecxbuild(Relation heap, Relation rel, IndexInfo *info)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	Build		b;
	MemoryContext old;
	uint32		trained_rows;

	begin_build(&b, heap, rel, info);
	old = MemoryContextSwitchTo(b.cxt);
	sample_table(&b);
	start_index(&b, MAIN_FORKNUM);
	VecxLayoutFromMeta(rel, &b.index->meta, b.spec, &b.index->layout, &b.index->coder);
	VecxLoadCentre(b.index);
	VecxLoadModels(b.index);
	pfree(b.sample);

	b.graph = VecxGraphMake(AllocSetContextCreate(b.cxt, "vecx graph", ALLOCSET_DEFAULT_SIZES),
							&b.index->coder, b.index->meta.m, b.index->meta.ef_construction,
							b.index->meta.seed);
	b.code = palloc(b.index->coder.nbytes);
	b.exact = VecxExactMake(heap, rel, NULL);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_LOAD);
	result->heap_tuples = table_index_build_scan(heap, rel, info, true, true, build_row, &b, NULL);
	VecxExactEnd(b.exact);
	if (b.graph != NULL)
		write_index(&b);
	if (b.index->meta.models[0].trained_rows > 0)
	{
		trained_rows = (uint32) Min(b.rows, (double) PG_UINT32_MAX);
		VecxMetaEdit(b.index, set_trained_rows, &trained_rows);
	}
	result->index_tuples = b.rows;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(b.cxt);
	return result;
}

/* An unlogged index as it is after a crash: its first pages, without a row. */
void
vecxbuildempty(Relation rel)
{
	Build		b;
	MemoryContext old;

	begin_build(&b, NULL, rel, NULL);
	old = MemoryContextSwitchTo(b.cxt);
	start_index(&b, INIT_FORKNUM);
	log_newpage_range(rel, INIT_FORKNUM, 0, RelationGetNumberOfBlocksInFork(rel, INIT_FORKNUM), true);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(b.cxt);
}

/*
 * build.c
 *    CREATE INDEX.
 *
 * Rows sampled from the whole table train the model, decide the layout and
 * give the pivots.  Then the table is read, the vertices are linked leaf by
 * leaf and bucket by bucket, and the graph is written.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/tableam.h"
#include "access/xloginsert.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#include "am/build.h"
#include "am/list.h"
#include "am/load.h"
#include "am/vtree.h"

/* Candidates of a vertex in each leaf, with the default ef_construction. */
#define NEAREST_IN_LEAF		32
#define MAX_NEAREST_IN_LEAF	400

/* Blocks of the table that the sample comes from, at most. */
#define SAMPLE_BLOCKS	600
#define SAMPLE_ROWS_PER_PIVOT	4

/* A pointer to a value out of line, none if the first byte is 0. */
typedef struct VecxToasted
{
	char		pointer[TOAST_POINTER_SIZE];
} VecxToasted;

typedef struct Build
{
	Relation	heap;
	Relation	rel;
	IndexInfo  *info;
	MemoryContext cxt;			/* of the whole build */
	MemoryContext row_cxt;		/* of one row */
	const VecxOpSpec *spec;
	VecxIndex  *index;

	/* the sample */
	char	   *sample;
	Size		sample_bytes;	/* of one vector */
	VecxToasted *toasted;		/* where the values of the sample are, if not in it yet */
	bool		at_once;		/* none waits to be fetched */
	int			sample_max;
	int			nsample;
	double		sample_seen;
	double		sample_skip;
	double		counted;		/* rows of the blocks that were read, whatever they hold */
	ReservoirStateData reservoir;
	int			npivots;		/* to be made of it */
	double		tuples;			/* of the table, estimated */
} Build;

/* Puts a value into the sample; false if it is no vector with a direction. */
static bool
put_sample(Build *b, int at, Datum value)
{
	MemoryContext old = MemoryContextSwitchTo(b->row_cxt);
	VecxInput	input;

	VecxPrepareInput(b->index, value, &input);
	if (input.kind == VECX_INPUT_OK)
		memcpy(b->sample + at * b->sample_bytes, input.vec, b->sample_bytes);
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->row_cxt);
	return input.kind == VECX_INPUT_OK;
}

/*
 * Most rows that come into the sample are replaced by others: what is out of line is
 * fetched in the end.  Of a row that is deleted already it might be gone by then.
 */
static void
sample_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Build	   *b = arg;
	int			at;

	b->counted++;
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
	if (alive && !b->at_once && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(values[0])))
		memcpy(b->toasted[at].pointer, DatumGetPointer(values[0]), TOAST_POINTER_SIZE);
	else if (put_sample(b, at, values[0]))
		b->toasted[at].pointer[0] = 0;
	else
		return;
	if (b->nsample < b->sample_max)
	{
		b->nsample++;
		b->sample_seen++;
	}
}

/* Fetches what is out of line; the last row takes the place of one that is no use.  Returns how
 * many are none. */
static int
fetch_sample(Build *b)
{
	int			taken = b->nsample;

	for (int at = 0; at < b->nsample;)
	{
		CHECK_FOR_INTERRUPTS();
		if (b->toasted[at].pointer[0] == 0 || put_sample(b, at, PointerGetDatum(b->toasted[at].pointer)))
		{
			at++;
			continue;
		}
		b->nsample--;
		b->toasted[at] = b->toasted[b->nsample];
		memcpy(b->sample + at * b->sample_bytes, b->sample + b->nsample * b->sample_bytes, b->sample_bytes);
	}
	return taken - b->nsample;
}

/*
 * Bits of a sketch of hashed values, one a dimension, since the build links
 * vertices by what the sketches' dimensions keep and the spectrum is flat.  Of
 * the ten nearest titles by TF-IDF a search of width 40 found .59 with 256 bits,
 * .86 with 512, .84 with 1,024 in an index half as large again.
 */
#define HASHED_SKETCH_BITS	512

/* Bits of a sketch if they do not depend on the data, else 0. */
static uint32
fixed_sketch_bits(const Build *b)
{
	VecxOptions *options = (VecxOptions *) b->rel->rd_options;

	if (options && options->sketch_bits > 0)
		return (uint32) options->sketch_bits;
	return VecxIsHashed(b->index) ? HASHED_SKETCH_BITS : 0;
}

/* Whether sketches are to be of all dims because centroids are few. */
static bool
is_rotation_enough(const Build *b)
{
	const VecxMetaPageData *meta = &b->index->meta;

	return meta->structure == VECX_STRUCTURE_LISTS && fixed_sketch_bits(b) == 0 &&
		vecx_basis_rotation_bytes(b->spec->metric, meta->dim,
								  VecxListsWanted(b->rel, meta, b->tuples)) > 0;
}

/* Rows that a mean is taken of, if nothing else is learned. */
#define MEAN_ROWS	(VECX_MIN_TRAIN_ROWS + VECX_MIN_TRAIN_ROWS / 4)

/*
 * Rows to sample: fewer of a small table, lest training takes longer than the
 * graph; some for each pivot of a large one.
 */
static int
sample_rows(const Build *b)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 8 / VecxVectorBytes(b->index);
	double		wanted = is_rotation_enough(b) ? MEAN_ROWS : Max(b->tuples / 4, 2 * VECX_MIN_TRAIN_ROWS);

	return (int) Max(Min((double) VecxTrainSampleRows(b->index), wanted),
					 Min(SAMPLE_ROWS_PER_PIVOT * b->npivots, (double) limit));
}

/* So many rows there are thought to be. */
static void
expect_tuples(Build *b, double tuples)
{
	b->tuples = tuples;
	if (b->index->meta.structure == VECX_STRUCTURE_LISTS)
		tuples = VecxListsWanted(b->rel, &b->index->meta, tuples);
	b->npivots = VecxPivotsWanted(tuples);
}

/* Samples rows of blocks from all over the table; returns how many the table has. */
static double
read_sample(Build *b)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(b->heap);
	BlockNumber nread = 0;
	BlockSamplerData blocks;
	int			useless;

	b->sample_max = sample_rows(b);
	b->sample = MemoryContextAllocHuge(b->cxt, b->sample_bytes * b->sample_max);
	b->toasted = MemoryContextAllocHuge(b->cxt, sizeof(VecxToasted) * b->sample_max);
	b->nsample = 0;
	b->sample_seen = b->counted = 0;
	b->sample_skip = -1;
	reservoir_init_selection_state(&b->reservoir, b->sample_max);
	BlockSampler_Init(&blocks, nblocks, SAMPLE_BLOCKS, (uint32) b->index->meta.seed);
	while (BlockSampler_HasMore(&blocks))
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(b->heap, b->rel, b->info, false,
									 !b->info->ii_Concurrent, false,
									 BlockSampler_Next(&blocks), 1, sample_row, b, NULL);
		nread++;
	}
	useless = fetch_sample(b);
	pfree(b->toasted);
	/* of many zero vectors a full sample would be left with few others */
	if (useless > b->sample_max / 10 && b->nsample + useless == b->sample_max)
	{
		b->at_once = true;
		pfree(b->sample);
		return read_sample(b);
	}
	return b->counted * nblocks / Max(nread, 1);
}

/*
 * The sample is as large as the table seems to be, by statistics that may be old: one
 * that was empty when VACUUM saw its pages would get one leaf, which takes memory beyond
 * every bound.  So what the blocks show counts, and makes another sample if they show far
 * more, or if more than a mean is to be learned of it after all.
 */
static void
sample_table(Build *b)
{
	BlockNumber pages;
	double		tuples;
	double		all_visible;
	double		found;

	b->sample_bytes = VecxVectorBytes(b->index);
	estimate_rel_size(b->heap, NULL, &pages, &tuples, &all_visible);
	expect_tuples(b, tuples);
	found = read_sample(b);
	expect_tuples(b, found);
	if (sample_rows(b) > (found > 2 * tuples ? b->sample_max : 2 * b->sample_max))
	{
		pfree(b->sample);
		expect_tuples(b, read_sample(b));
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
	meta->value_dim = VecxGetDim(b->rel, b->spec);
	meta->dim = VecxCodeDim(b->spec, meta->value_dim);
	meta->metric = (uint16) b->spec->metric;
	meta->structure = options && options->structure == VECX_STRUCTURE_OPTION_LISTS ?
		VECX_STRUCTURE_LISTS : VECX_STRUCTURE_GRAPH;
	meta->m = (uint16) (options ? options->m : VECX_DEFAULT_M);
	meta->ef_construction = (uint16) (options ? options->ef_construction :
									  VECX_DEFAULT_EF_CONSTRUCTION);
	if (!pg_strong_random(&meta->seed, sizeof(meta->seed)))
		meta->seed = pg_prng_uint64(&pg_global_prng_state);
	meta->side_head = meta->side_tail = InvalidBlockNumber;
	meta->rows_tail = meta->upper_tail = InvalidBlockNumber;
	meta->centre = InvalidBlockNumber;
	meta->tree_root = meta->tree_cells = InvalidBlockNumber;
	meta->list_code = InvalidBlockNumber;
	meta->tune = InvalidBlockNumber;
	if (meta->structure == VECX_STRUCTURE_LISTS)
	{
		VecxListsCheckSupport(b->rel, b->spec, meta);
		meta->list_rows = (uint32) VecxListsDefaultRows(b->rel, meta,
														   sizeof(VecxRowEntry) + b->index->filters->nbytes);
		meta->list_replicas = (uint16) VecxListsReplicas(b->rel);
	}
}

/*
 * Bytes a sketch may take: what the user asked for; else, with data to look
 * at, 0 so that training decides; else the default.
 */
static uint32
wanted_sketch_bytes(const Build *b)
{
	uint32		bits = fixed_sketch_bits(b);

	if (bits == 0 && b->nsample >= VECX_MIN_TRAIN_ROWS)
		return 0;
	return vecx_sketch_default_bytes(b->spec->metric, b->index->meta.dim, bits);
}

/* The first model. */
static uint8 *
train_model(Build *b, size_t *nbytes)
{
	const VecxMetaPageData *meta = &b->index->meta;
	int			rows = Min(b->nsample, (int) VecxTrainSampleRows(b->index));
	VecxTrainEnv env;

	VecxTrainEnvInit(&env, b->cxt);
	/* of an empty table it is not known how many there will be */
	if (b->nsample > 0 && is_rotation_enough(b))
		return vecx_basis_train_rotation(&env, b->spec->metric, meta->dim, (float *) b->sample, rows,
										 meta->seed, nbytes);
	return vecx_basis_train(&env, b->spec->metric, meta->dim, b->sample,
							b->nsample >= VECX_MIN_TRAIN_ROWS ? rows : 0,
							wanted_sketch_bytes(b), meta->seed, nbytes);
}

/* Writes the mean of the sample as the centre of codes and the value tree's sketches. */
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

/* Trains the first model, chooses the layout, and writes both, and an empty value
 * tree if there are filter columns. */
static void
start_index(Build *b, ForkNumber fork)
{
	VecxIndex  *index = b->index;
	VecxMetaPageData *meta = &index->meta;
	VecxBasis	basis;
	VecxCodeKind kind;
	size_t		nbytes;
	uint8	   *bytes;
	const char *wrong;
	bool		enough = b->nsample >= VECX_MIN_TRAIN_ROWS;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_TRAIN);
	bytes = train_model(b, &nbytes);
	wrong = vecx_basis_bind(&basis, bytes, nbytes);
	if (wrong)
		elog(ERROR, "a new model of index \"%s\" cannot be used: %s",
			 RelationGetRelationName(b->rel), wrong);
	VecxChooseLayout(b->rel, b->spec, meta->dim, sizeof(VecxRowEntry) + b->index->filters->nbytes,
					 vecx_sketch_size(&basis), &kind, meta);

	VecxMetaWrite(b->rel, fork, VECX_WRITE_DIRECT, meta);
	meta->models[0].first = VecxBlobWrite(b->rel, fork, VECX_WRITE_DIRECT, bytes, nbytes);
	meta->models[0].nbytes = (uint32) nbytes;
	meta->models[0].number = 1;
	/* known rows; the true number is set when the table has been read */
	meta->models[0].trained_rows = enough ? (uint32) b->nsample : 0;
	meta->current_model = 1;
	if (index->filters->ncolumns > 0)
	{
		VecxTreeChooseSketch(b->spec, meta);
		VecxTreeInitCoder(index);
		meta->tree_root = VecxTreeCreate(index, fork);
	}
	if (enough && (vecx_code_has_centre(kind, b->spec->metric) ||
				   vecx_code_has_centre((VecxCodeKind) meta->tree_kind, b->spec->metric)))
		write_centre(b, fork);
	VecxMetaWrite(b->rel, fork, VECX_WRITE_DIRECT, meta);
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
	VecxCheckColumns(rel, info);
	VecxCheckStoredOptions(rel);
	b->spec = VecxGetOpSpec(rel);
	b->index = MemoryContextAllocZero(b->cxt, sizeof(VecxIndex));
	b->index->filters = VecxFiltersMake(rel);
	b->index->rel = rel;
	b->index->cxt = b->cxt;
	b->index->spec = b->spec;
	b->index->mode = VECX_WRITE_DIRECT;
	init_meta(b, &b->index->meta);
}

/* Bytes that each part of a build takes for a vertex, when memory is enough. */
void
VecxBuildCost(const VecxCoder *coder, Size point_bytes, Size filter_bytes, int m,
			  VecxBuildBytes *bytes)
{
	bytes->code = coder->nbytes;
	bytes->filters = filter_bytes;
	bytes->point = point_bytes;
	/* measured: 30 to 50 candidates, each at both ends; links once as chosen, and once back */
	bytes->linking = 80 * sizeof(uint64) + 14 * 12 + 2 * VecxLinkRecordSize(m);
	bytes->fixed = sizeof(VecxGraphVertex) + sizeof(VecxGraphRow) + 3 * sizeof(uint32) +
		VECX_LEAVES_OF_VERTEX * (sizeof(uint16) + sizeof(uint32)) + sizeof(uint16) +
		VecxLevelsBytes(coder, m);
	bytes->total = bytes->code + bytes->point + bytes->filters + bytes->linking;
}

/* That share of a process's memory. */
static Size
share(const VecxTeam *team, Size part, const VecxBuildBytes *bytes)
{
	return (Size) ((double) maintenance_work_mem * 1024 / team->nparticipants * part / bytes->total);
}

static VecxSpool *
load_spool(VecxTeam *team, Size record, Size limit, const char *name)
{
	return team->files ?
		VecxSpoolMakeShared(CurrentMemoryContext, record, limit, team->files, name, team->me) :
		VecxSpoolMake(CurrentMemoryContext, record, limit);
}

/* A place for the filter bytes of the rows that this process knows, if there are any. */
VecxSpool *
VecxWorkFilters(VecxWork *w)
{
	Size		nbytes = w->index->filters->nbytes;

	return nbytes == 0 ? NULL :
		VecxSpoolMake(CurrentMemoryContext, nbytes, share(w->team, nbytes, &w->bytes));
}

/* What keys of the value tree may take until they are sorted. */
Size
VecxKeysMemory(void)
{
	return (Size) maintenance_work_mem * 1024 / 32;
}

/* Gets ready to read rows: the same for every participant. */
void
VecxWorkInit(VecxWork *w, VecxTeam *team, VecxIndex *index, Relation heap, VecxPivots *pivots)
{
	Size		point_bytes = vecx_point_bytes(&index->coder, &VecxCurrentModel(index)->basis);

	memset(w, 0, sizeof(VecxWork));
	w->team = team;
	w->index = index;
	w->pivots = pivots;
	VecxBuildCost(&index->coder, point_bytes, index->filters->nbytes, index->meta.m, &w->bytes);
	w->codes = load_spool(team, index->coder.nbytes, share(team, w->bytes.code, &w->bytes), "codes");
	w->points = load_spool(team, w->bytes.point, share(team, w->bytes.point, &w->bytes), "points");
	w->graph = VecxGraphMake(AllocSetContextCreate(CurrentMemoryContext, "vecx graph", ALLOCSET_DEFAULT_SIZES),
							 &index->coder, index->meta.m, index->meta.ef_construction,
							 index->meta.seed, w->codes);
	w->graph->filters = VecxWorkFilters(w);
	if (index->meta.tree_root != InvalidBlockNumber && index->meta.structure != VECX_STRUCTURE_LISTS)
		w->keys = load_spool(team, sizeof(VecxTreeKey), VecxKeysMemory(), "keys");
	VecxLoaderInit(&w->loader, index, heap, w->graph, w->points, w->keys, pivots);
}

/* Opens what all participants have read. */
static void
open_loaded(VecxWork *w)
{
	VecxTeam   *team = w->team;

	if (team->files == NULL)
		return;
	VecxSpoolFree(w->codes);
	VecxSpoolFree(w->points);
	w->codes = VecxSpoolOpenShared(CurrentMemoryContext, w->index->coder.nbytes,
								   share(team, w->bytes.code, &w->bytes), team->files, "codes",
								   team->nparticipants, team->shared->nvertices);
	w->points = VecxSpoolOpenShared(CurrentMemoryContext, w->bytes.point,
									share(team, w->bytes.point, &w->bytes), team->files, "points",
									team->nparticipants, team->shared->nvertices);
	if (w->graph)
		w->graph->codes = w->codes;
}

/* Finds the links at the base together with the others, by the plan. */
void
VecxWorkLink(VecxWork *w, const VecxPlan *plan)
{
	VecxLinker *l = &w->linker;
	int			ef = w->index->meta.ef_construction;

	open_loaded(w);
	l->team = w->team;
	l->cxt = CurrentMemoryContext;
	l->coder = &w->index->coder;
	l->basis = &VecxCurrentModel(w->index)->basis;
	l->m = w->index->meta.m;
	l->nearest = Max(8, Min(NEAREST_IN_LEAF * ef / VECX_DEFAULT_EF_CONSTRUCTION, MAX_NEAREST_IN_LEAF));
	l->how = w->index->meta.metric == VECX_METRIC_IP ? VECX_POINT_PRODUCT : VECX_POINT_L2SQ;
	l->plan = *plan;
	if (plan->nleaves == 1)
		l->nearest *= 2;		/* no other leaf has more of them */
	l->codes = w->codes;
	l->points = w->points;
	l->code_memory = share(w->team, w->bytes.code, &w->bytes);
	l->point_memory = share(w->team, w->bytes.point, &w->bytes);
	l->memory = share(w->team, w->bytes.linking, &w->bytes);
	/* of all participants the leader does it, while the others begin to link */
	if (w->graph)
		VecxLevelsBuild(w->graph);
	VecxLinkAll(l);
}

static void
write_index(Build *b, VecxWork *w)
{
	VecxLoader *loader = &w->loader;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_WRITE);
	VecxSpoolGrow(w->points, share(w->team, w->bytes.point + w->bytes.linking / 2, &w->bytes));
	VecxGraphWrite(b->index, w->team, w->graph, w->points, w->keys);
	for (uint32 i = 0; i < VecxSpoolCount(loader->side); i++)
	{
		CHECK_FOR_INTERRUPTS();
		VecxSideInsert(b->index, VecxSpoolGet(loader->side, i));
	}
	VecxSpoolFree(loader->side);
	VecxTeamWait(w->team);
	VecxTeamLogPages(w->team, b->rel);
	/* what changes from here on, the metapage, has been logged already */
	b->index->mode = VECX_WRITE_LOGGED;
}

/* The vertices are there: links them and writes the index. */
static void
link_and_write(Build *b, VecxWork *w, VecxParallel *parallel)
{
	VecxPlan	plan;

	VecxExactEnd(w->loader.exact);
	VecxGraphForgetHashes(w->graph);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_GRAPH);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, w->graph->nvertices);
	VecxPlanMake(&plan, w->graph->nvertices, (int) w->pivots->points.count, w->loader.leaves,
				 w->graph->vertices, w->team->nparticipants);
	pfree(w->loader.leaves);
	if (parallel)
		VecxParallelPlan(parallel, &plan);
	VecxWorkLink(w, &plan);
	VecxGraphSetLinks(w->graph, parallel ? VecxParallelLinks(parallel, w) : w->linker.links);
	VecxGraphFinish(w->graph);
	write_index(b, w);
	VecxSpoolFree(w->codes);
	VecxSpoolFree(w->points);
	VecxSpoolFree(w->graph->links);
	if (w->keys)
		VecxSpoolFree(w->keys);
	if (w->graph->filters)
		VecxSpoolFree(w->graph->filters);
}

/* Reads, links and writes, alone or with workers; returns the rows in the index. */
static double
build_graph(Build *b, VecxPivots *pivots, double *heap_tuples)
{
	VecxTeamShared alone;
	VecxTeam	team = {&alone, NULL, 1, 0};
	VecxParallel *parallel = VecxParallelBegin(b->heap, b->rel, b->info, pivots, &team);
	VecxWork	w;

	if (parallel == NULL)
		VecxTeamInit(&alone, 1);
	VecxWorkInit(&w, &team, b->index, b->heap, pivots);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_LOAD);
	if (parallel)
		*heap_tuples = VecxParallelLoad(parallel, &w, b->info);
	else
	{
		*heap_tuples = table_index_build_scan(b->heap, b->rel, b->info, true, true, VecxLoaderRow,
											  &w.loader, NULL);
		VecxLoaderEnd(&w.loader);
	}
	link_and_write(b, &w, parallel);
	VecxCurveNoteCoarse(b->index, w.graph->nvertices);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_MEASURE);
	if (parallel)
	{
		VecxParallelCalibrate(parallel, &w);
		VecxParallelEnd(parallel);
	}
	else
		VecxCalibrateIfChanged(b->index);
	return w.loader.rows;
}

/* The same of posting lists, whose centroids are the vertices. */
static double
build_lists(Build *b, VecxPivots *pivots, double *heap_tuples)
{
	VecxTeamShared alone;
	VecxTeam	team = {&alone, NULL, 1, 0};
	VecxListsBuild *lists = VecxListsBuildBegin(b->index, b->heap, b->info, (float *) b->sample,
												b->nsample, b->tuples);
	VecxWork	w;

	pfree(b->sample);
	VecxTeamInit(&alone, 1);
	VecxWorkInit(&w, &team, b->index, b->heap, pivots);
	*heap_tuples = VecxListsBuildRead(lists, &w.loader);
	VecxListsBuildWrite(lists, &w.loader);
	VecxLoaderEnd(&w.loader);
	link_and_write(b, &w, NULL);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_MEASURE);
	VecxListsBuildCurve(lists);
	return w.loader.rows;
}

IndexBuildResult *
vecxbuild(Relation heap, Relation rel, IndexInfo *info)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	Build		b;
	VecxPivots	pivots;
	MemoryContext old;
	uint32		trained_rows;

	begin_build(&b, heap, rel, info);
	old = MemoryContextSwitchTo(b.cxt);
	sample_table(&b);
	start_index(&b, MAIN_FORKNUM);
	VecxLayoutFromMeta(rel, &b.index->meta, b.spec, &b.index->layout, &b.index->coder);
	VecxLoadCentre(b.index);
	if (b.index->meta.tree_root != InvalidBlockNumber && b.index->meta.structure == VECX_STRUCTURE_GRAPH)
		VecxTreeMakeCells(b.index, b.tuples, b.sample, b.sample_bytes, b.nsample);
	VecxLoadModels(b.index);
	VecxPivotsMake(&pivots, &b.index->coder, &VecxCurrentModel(b.index)->basis, b.sample,
				   b.sample_bytes, b.nsample, b.npivots);
	if (b.index->meta.structure == VECX_STRUCTURE_LISTS)
		result->index_tuples = build_lists(&b, &pivots, &result->heap_tuples);
	else
	{
		pfree(b.sample);
		result->index_tuples = build_graph(&b, &pivots, &result->heap_tuples);
	}
	if (b.index->meta.models[0].trained_rows > 0)
	{
		trained_rows = (uint32) Min(b.index->lists ? result->index_tuples / b.index->lists->list_rows :
									result->index_tuples, (double) PG_UINT32_MAX);
		VecxMetaEdit(b.index, set_trained_rows, &trained_rows);
	}
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
	if (b.index->meta.structure == VECX_STRUCTURE_LISTS)
		VecxListsWriteUntrained(b.index, INIT_FORKNUM);
	log_newpage_range(rel, INIT_FORKNUM, 0, RelationGetNumberOfBlocksInFork(rel, INIT_FORKNUM), true);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(b.cxt);
}

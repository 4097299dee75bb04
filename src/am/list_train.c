/*
 * list_train.c
 *    The quantiser of an index's posting lists: trained on a sample of rows, by
 *    their residuals to the centroids that were found before.
 */
#include "postgres.h"

#include "access/relation.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "am/column_sample.h"
#include "am/list.h"
#include "code/code_cluster.h"

/* Rows that codebooks are trained on for each of their centroids, and queries, at most. */
#define ROWS_PER_ENTRY	256
#define MOST_ROWS		16384
#define TRAIN_QUERIES	2048
#define LEAST_ROWS		1024

/* Shares of maintenance_work_mem for the rows, and for training when the sample of
 * which they are a part is gone. */
#define ROWS_SHARE		8
#define TRAINING_SHARE	2

#define QUERY_SEED		UINT64CONST(0x717565726965)

struct VecxListTrainer
{
	VecxIndex  *index;
	Size		step;			/* every step-th row that is offered is kept */
	Size		offered;
	Size		most;
	Size		nrows;
	float	   *rows;			/* [nrows][dim] */
	Oid			query_table;	/* InvalidOid: rows are learned from alone */
	const char *query_column;
};

/* The serialised quantiser, trained on a sample, which may be empty. */
static uint8 *
train(const VecxIndex *index, const VecxListSample *sample, MemoryContext cxt, size_t *nbytes)
{
	VecxListOptions options;
	VecxTrainEnv env;

	VecxListsQuantizer(index->rel, &index->meta, &options);
	VecxTrainEnvInit(&env, cxt);
	return vecx_list_code_train(&env, &options, (VecxMetric) index->meta.metric, index->meta.dim,
								sample, nbytes);
}

/* Rows that the quantiser wants to learn from; 0 if it needs none. */
int
VecxListTrainRows(const VecxIndex *index)
{
	Size		bytes = sizeof(float) * index->meta.dim;
	VecxListOptions options;
	Size		rows;

	VecxListsQuantizer(index->rel, &index->meta, &options);
	if (options.quantizer != VECX_LIST_PQ)
		return 0;
	rows = Min((Size) maintenance_work_mem * 1024 / ROWS_SHARE / bytes,
			   Min((Size) ROWS_PER_ENTRY << options.bits, MOST_ROWS));
	return (int) Max(rows, LEAST_ROWS);
}

/* Gets ready to keep some of so many rows; NULL if the quantiser needs none. */
VecxListTrainer *
VecxListTrainerMake(VecxIndex *index, Size offered)
{
	Size		most = Min(VecxListTrainRows(index), offered);
	VecxListTrainer *t;

	if (most == 0)
		return NULL;
	t = palloc0(sizeof(VecxListTrainer));
	t->index = index;
	t->most = most;
	t->step = offered / most;
	t->rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * index->meta.dim * most);
	t->query_table = VecxListsQueryTable(index->rel, &t->query_column);
	return t;
}

void
VecxListTrainerOffer(VecxListTrainer *t, const float *x)
{
	Size		dim = t->index->meta.dim;

	if (t->offered++ % t->step == 0 && t->nrows < t->most)
		memcpy(t->rows + t->nrows++ * dim, x, sizeof(float) * dim);
}

/* The centroid of each of the rows. */
static uint32 *
find_centres(VecxListTrainer *t, const VecxTrainEnv *env, const VecxClusters *clusters)
{
	uint32	   *centre_of = palloc(sizeof(uint32) * Max(t->nrows, 1));
	Size		batch = 64;
	Size		dim = t->index->meta.dim;
	float	   *room = palloc(sizeof(float) * vecx_clusters_room(clusters, batch, 1));
	float	   *work = palloc(sizeof(float) * vecx_cluster_point_bytes(dim));
	VecxPoints	points;

	vecx_cluster_alloc(env, dim, batch, &points);
	for (Size first = 0; first < t->nrows; first += batch)
	{
		CHECK_FOR_INTERRUPTS();
		points.count = Min(batch, t->nrows - first);
		for (Size i = 0; i < points.count; i++)
			vecx_cluster_put(&points, i, dim, clusters->mean, t->rows + (first + i) * dim, work);
		vecx_clusters_assign(clusters, &points, 1, centre_of + first, room);
	}
	pfree(room);
	pfree(work);
	return centre_of;
}

/* Queries for the training, if they are named and there are any. */
static void
read_queries(VecxListTrainer *t, VecxListSample *sample)
{
	VecxColumnSample queries = {t->index, .type = t->index->rel->rd_opcintype[0],.most = TRAIN_QUERIES,
	.skips_other_dims = true};
	Relation	table;

	if (!OidIsValid(t->query_table))
		return;
	table = relation_open(t->query_table, NoLock);	/* it is locked */
	VecxColumnSampleRead(&queries, CurrentMemoryContext, table, t->query_column, QUERY_SEED);
	if (queries.n == 0)
		VecxListsWarnOfQueries(t->index->rel,
							   psprintf("Column \"%s\" of table \"%s\", which pq_queries names, has no vector of %u dimensions.",
										t->query_column, RelationGetRelationName(table), t->index->meta.dim));
	relation_close(table, NoLock);
	sample->queries = queries.n > 0 ? queries.vectors : NULL;
	sample->nqueries = queries.n;
}

/* The quantiser, trained on the rows that were kept. */
static uint8 *
run(VecxListTrainer *t, const VecxClusters *clusters, MemoryContext cxt, size_t *nbytes)
{
	VecxListSample sample = {.rows = t->rows, .nrows = t->nrows, .centres = clusters->centres};
	VecxTrainEnv env;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VECX_PROGRESS_CODEBOOKS);
	VecxTrainEnvInit(&env, CurrentMemoryContext);
	sample.centre_of = find_centres(t, &env, clusters);
	sample.memory = (Size) maintenance_work_mem * 1024 / TRAINING_SHARE;
	read_queries(t, &sample);
	return train(t->index, &sample, cxt, nbytes);
}

/* BEHIND pages of a LIST page with this quantiser. */
static int
behind_pages(const VecxIndex *index, const uint8 *bytes, size_t nbytes)
{
	VecxLists	lists;

	memset(&lists, 0, sizeof(lists));
	(void) vecx_list_code_bind(&lists.code, bytes, nbytes);
	lists.row_size = sizeof(VecxRowEntry) + index->filters->nbytes;
	VecxListsLayOut(&lists, (VecxCodeKind) index->meta.list_copies);
	return lists.behind_pages;
}

/* Writes the quantiser, trained by t, or without rows if that is NULL. */
static void
write_code(VecxIndex *index, ForkNumber fork, VecxListTrainer *t, const VecxClusters *clusters)
{
	VecxListSample none = {0};
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx training of lists",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	size_t		nbytes;
	uint8	   *bytes = t ? run(t, clusters, cxt, &nbytes) : train(index, &none, cxt, &nbytes);

	index->meta.list_code = VecxBlobWrite(index->rel, fork, VECX_WRITE_DIRECT, bytes, nbytes);
	index->meta.list_code_bytes = (uint32) nbytes;
	index->meta.list_copies = (uint8) VecxListsCopies(index->rel);
	index->meta.list_behind = (uint8) behind_pages(index, bytes, nbytes);
	VecxMetaWrite(index->rel, fork, VECX_WRITE_DIRECT, &index->meta);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/*
 * Trains the quantiser, writes it and opens the lists with it.  The trainer, which may
 * be NULL, is gone then.
 */
void
VecxListsTrain(VecxIndex *index, VecxListTrainer *t, const VecxClusters *clusters)
{
	write_code(index, MAIN_FORKNUM, t, clusters);
	if (t)
	{
		pfree(t->rows);
		pfree(t);
	}
	VecxListsOpen(index);
}

/* Writes the quantiser of an index without rows. */
void
VecxListsWriteUntrained(VecxIndex *index, ForkNumber fork)
{
	write_code(index, fork, NULL, NULL);
}

/*
 * list_curve.c
 *    How many lists a search has to read to find which share of the nearest rows:
 *    measured while an index is built.
 *
 * Some rows of the sample are queries.  As every row passes by on its way to its
 * list, it is compared with them, in 8 bits, and the nearest of each query are kept
 * with their lists.  In the end these lists' places in the order in which a search
 * would read them tell what every number of lists finds.  What the codes miss comes
 * on top: list_read.c has figures of it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/heap.h"
#include "am/list.h"
#include "am/load.h"

typedef struct CurveQuery
{
	ItemPointerData tid;
	float	   *x;
	int			n;
	int			most;			/* nearest rows that are kept */
	VecxCandidate *nearest;		/* [most + 1]: the negative distance, and the place in lists */
	uint32	   *lists;			/* [most][replicas] */
} CurveQuery;

struct VecxListCurve
{
	VecxIndex  *index;
	MemoryContext cxt;
	VecxPointMetric how;
	int			nqueries;
	uint32		offered;		/* rows that might have been */
	pg_prng_state random;
	CurveQuery *queries;
	VecxPoints	points;			/* of the queries */
	float	   *room;			/* [batch][nqueries] */
};

/* rows are those that are compared at once. */
VecxListCurve *
VecxListCurveMake(VecxIndex *index, int rows)
{
	VecxListCurve *c = palloc0(sizeof(VecxListCurve));
	VecxTrainEnv env;

	c->index = index;
	c->cxt = CurrentMemoryContext;
	pg_prng_seed(&c->random, index->meta.seed);
	c->how = index->meta.metric == VECX_METRIC_IP ? VECX_POINT_PRODUCT : VECX_POINT_L2SQ;
	c->queries = palloc0(sizeof(CurveQuery) * VECX_LIST_BUILD_QUERIES);
	c->room = palloc(sizeof(float) * rows * VECX_LIST_BUILD_QUERIES);
	VecxTrainEnvInit(&env, c->cxt);
	vecx_cluster_alloc(&env, index->meta.dim, VECX_LIST_BUILD_QUERIES, &c->points);
	c->points.count = 0;
	return c;
}

/* Takes a row for a query, unless there are enough and chance is against it, so that all
 * that are offered are as likely; mean is what points lack, work is for one. */
void
VecxListCurveAddQuery(VecxListCurve *c, ItemPointer tid, const float *x, const float *mean, float *work)
{
	Size		bytes = sizeof(float) * c->index->meta.dim;
	uint32		at = c->offered++;
	CurveQuery *query;

	if (at >= VECX_LIST_BUILD_QUERIES)
		at = (uint32) pg_prng_uint64_range(&c->random, 0, at);
	if (at >= VECX_LIST_BUILD_QUERIES)
		return;
	query = &c->queries[at];
	if (at == c->nqueries)
	{
		query->most = c->nqueries++ < VECX_LIST_MANY_ROWS_QUERIES ? VECX_CURVE_MANY_ROWS : VECX_CURVE_FEW_ROWS;
		query->nearest = MemoryContextAlloc(c->cxt, sizeof(VecxCandidate) * (query->most + 1));
		query->lists = MemoryContextAlloc(c->cxt, sizeof(uint32) * query->most * c->index->meta.list_replicas);
		query->x = MemoryContextAlloc(c->cxt, bytes);
	}
	query->tid = *tid;
	memcpy(query->x, x, bytes);
	vecx_cluster_put(&c->points, at, c->index->meta.dim, mean, x, work);
	c->points.count = c->nqueries;
}

/* Keeps a row if it is one of the nearest so far, and not the query's own; lists are those
 * that have it. */
static void
keep_nearest(CurveQuery *query, const ItemPointerData *tid, float distance, const uint32 *lists,
			 int replicas, uint32 nlists)
{
	VecxCandidate row = {-distance, (VecxId) query->n};
	bool		full = query->n == query->most;

	/* nearly all rows are too far for most queries */
	if ((full && row.est <= query->nearest[0].est) ||
		ItemPointerEquals((ItemPointer) tid, &query->tid))
		return;
	if (full)
		row.id = VecxHeapPop(query->nearest, &query->n).id;
	for (int i = 0; i < replicas; i++)
	{
		uint32		list = i < nlists ? lists[i] : VECX_NO_LEAF;

		query->lists[row.id * replicas + i] = list;
		if (list == VECX_NO_LEAF)
			break;
	}
	VecxHeapPush(query->nearest, &query->n, row);
}

/* Compares rows, of which points are given and the lists, nlists for each or up to
 * VECX_NO_LEAF, with the queries. */
void
VecxListCurveSeeRows(VecxListCurve *c, const VecxPoints *points, const ItemPointerData *tids,
					 const uint32 *lists, uint32 nlists)
{
	if (c->nqueries == 0)
		return;
	vecx_point_distances((VecxMetric) c->index->meta.metric, c->how, points, 0, points->count,
						 &c->points, c->room);
	for (Size i = 0; i < points->count; i++)
		for (int q = 0; q < c->nqueries; q++)
			keep_nearest(&c->queries[q], &tids[i], c->room[i * c->nqueries + q], lists + i * nlists,
						 c->index->lists->replicas, nlists);
}

/* All lists with rows in the order in which a search for the query reads them: their
 * distances in nav, and for each its place.  Returns how many. */
static uint32
rank_lists(VecxListCurve *c, const CurveQuery *query, const uint8 *codes, const BlockNumber *heads,
		   uint32 nlists, VecxCandidate *order, float *nav, uint32 *place)
{
	const VecxCoder *coder = &c->index->coder;
	void	   *scratch = palloc(vecx_code_query_scratch(coder));
	VecxCodeQuery code_query;
	uint32		n = 0;

	vecx_code_query_init(coder, &code_query, query->x, scratch);
	for (uint32 i = 0; i < nlists; i++)
	{
		place[i] = VECX_NO_LEAF;
		if (heads[i] == InvalidBlockNumber)
			continue;
		order[n].est = vecx_code_distance(coder, &code_query, codes + (Size) i * coder->nbytes);
		order[n++].id = i;
	}
	qsort(order, n, sizeof(VecxCandidate), VecxCompareCandidates);
	for (uint32 i = 0; i < n; i++)
	{
		nav[i] = order[i].est;
		place[order[i].id] = i;
	}
	pfree(scratch);
	return n;
}

/* Where in the order the first list with a row is. */
static uint32
place_of_row(const CurveQuery *query, VecxId row, int replicas, const uint32 *place)
{
	uint32		least = VECX_NO_LEAF;

	for (int i = 0; i < replicas; i++)
	{
		uint32		list = query->lists[row * replicas + i];

		if (list == VECX_NO_LEAF)
			break;
		least = Min(least, place[list]);
	}
	return least;
}

/*
 * Measures the curve: codes are those of the centroids, heads says which have
 * lists.  Stores it unless there were too few queries.
 */
void
VecxListCurveStore(VecxListCurve *c, const uint8 *codes, const BlockNumber *heads, uint32 nlists)
{
	int			replicas = c->index->lists->replicas;
	VecxCandidate *order = MemoryContextAllocHuge(c->cxt, sizeof(VecxCandidate) * Max(nlists, 1));
	float	   *nav = MemoryContextAllocHuge(c->cxt, sizeof(float) * Max(nlists, 1));
	uint32	   *place = MemoryContextAllocHuge(c->cxt, sizeof(uint32) * Max(nlists, 1));
	uint32		places[VECX_CURVE_MANY_ROWS];
	VecxProbeSums *sums = VecxProbeSumsMake(c->index, nlists);

	for (int q = 0; q < c->nqueries; q++)
	{
		CurveQuery *query = &c->queries[q];
		uint32		n;

		CHECK_FOR_INTERRUPTS();
		if (query->n == 0)
			continue;
		n = rank_lists(c, query, codes, heads, nlists, order, nav, place);
		qsort(query->nearest, query->n, sizeof(VecxCandidate), VecxCompareCandidates);
		/* the farthest is first */
		for (int i = 0; i < query->n; i++)
			places[i] = place_of_row(query, query->nearest[query->n - 1 - i].id, replicas, place);
		VecxProbeSumsAdd(sums, nav, n, places, query->n);
	}
	VecxProbeSumsStore(sums, VECX_CURVE_STORED);
}

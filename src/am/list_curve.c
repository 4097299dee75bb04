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

#include <math.h>

#include "miscadmin.h"

#include "am/heap.h"
#include "am/list.h"
#include "am/load.h"

/* Queries, at most, and at least for a curve. */
#define MOST_QUERIES	128

/* The nearest rows of a query that are kept: what the curve's last line is about. */
#define MANY_ROWS		100

/* What the bounds of the estimates leave out of what is read. */
#define LOST_BY_CODES	0.003

/* Of the standard error, below the mean: a one-sided bound that holds in 90 %. */
#define LOWER_BOUND		1.2816

typedef struct CurveQuery
{
	ItemPointerData tid;
	float	   *x;
	int			n;
	VecxCandidate nearest[MANY_ROWS + 1];	/* least first: the negative distance, and the list */
} CurveQuery;

struct VecxListCurve
{
	VecxIndex  *index;
	MemoryContext cxt;
	VecxPointMetric how;
	int			nqueries;
	CurveQuery	   *queries;
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
	c->how = index->meta.metric == VECX_METRIC_IP ? VECX_POINT_PRODUCT : VECX_POINT_L2SQ;
	c->queries = palloc0(sizeof(CurveQuery) * MOST_QUERIES);
	c->room = palloc(sizeof(float) * rows * MOST_QUERIES);
	VecxTrainEnvInit(&env, c->cxt);
	vecx_cluster_alloc(&env, index->meta.dim, MOST_QUERIES, &c->points);
	c->points.count = 0;
	return c;
}

/* Takes a row for a query; mean is what points lack, work is for one. */
void
VecxListCurveAddQuery(VecxListCurve *c, ItemPointer tid, const float *x, const float *mean, float *work)
{
	Size		bytes = sizeof(float) * c->index->meta.dim;
	CurveQuery	   *query = &c->queries[c->nqueries];

	if (c->nqueries == MOST_QUERIES)
		return;
	query->tid = *tid;
	query->x = memcpy(MemoryContextAlloc(c->cxt, bytes), x, bytes);
	vecx_cluster_put(&c->points, c->nqueries++, c->index->meta.dim, mean, x, work);
	c->points.count = c->nqueries;
}

static void
keep_nearest(CurveQuery *query, float distance, uint32 list)
{
	VecxCandidate row = {-distance, list};

	if (query->n == MANY_ROWS && row.est <= query->nearest[0].est)
		return;
	if (query->n == MANY_ROWS)
		(void) VecxHeapPop(query->nearest, &query->n);
	VecxHeapPush(query->nearest, &query->n, row);
}

/* Compares rows, of which points are given and the lists, with the queries. */
void
VecxListCurveSeeRows(VecxListCurve *c, const VecxPoints *points, const ItemPointerData *tids,
					 const uint32 *lists)
{
	if (c->nqueries == 0)
		return;
	vecx_point_distances((VecxMetric) c->index->meta.metric, c->how, points, 0, points->count,
						 &c->points, c->room);
	for (Size i = 0; i < points->count; i++)
		for (int q = 0; q < c->nqueries; q++)
			if (!ItemPointerEquals((ItemPointer) &tids[i], &c->queries[q].tid))
				keep_nearest(&c->queries[q], c->room[i * c->nqueries + q], lists[i]);
}

static int
compare_est(const void *a, const void *b)
{
	float		x = ((const VecxCandidate *) a)->est;
	float		y = ((const VecxCandidate *) b)->est;

	return (x > y) - (x < y);
}

/* The place of each list in the order in which a search for the query reads them,
 * from 1 on; order is room for as many. */
static void
rank_lists(VecxListCurve *c, const CurveQuery *query, const uint8 *codes, const BlockNumber *heads,
		   uint32 nlists, VecxCandidate *order, uint32 *place)
{
	const VecxCoder *coder = &c->index->coder;
	void	   *scratch = palloc(vecx_code_query_scratch(coder));
	VecxCodeQuery code_query;
	uint32		n = 0;

	vecx_code_query_init(coder, &code_query, query->x, scratch);
	for (uint32 i = 0; i < nlists; i++)
	{
		if (heads[i] == InvalidBlockNumber)
			continue;
		order[n].est = vecx_code_distance(coder, &code_query, codes + (Size) i * coder->nbytes);
		order[n++].id = i;
	}
	qsort(order, n, sizeof(VecxCandidate), compare_est);
	for (uint32 i = 0; i < n; i++)
		place[order[i].id] = i + 1;
	pfree(scratch);
}

/* The number of lists of a point of the curve: from 1 to all, in equal ratios. */
static uint16
probes_of_point(int point, uint32 nlists)
{
	double		probes = pow(nlists, (double) point / (VECX_CURVE_POINTS - 1));

	return (uint16) Min(ceil(probes), PG_UINT16_MAX);
}

/* What is found in so many lists, summed up over the queries. */
typedef struct Sums
{
	double		sum;
	double		squares;
} Sums;

static void
add_query(const CurveQuery *query, int rows, const uint32 *place, uint32 nlists, Sums *sums)
{
	/* the farthest is first */
	int			n = Min(rows, query->n);
	const VecxCandidate *nearest = query->nearest + query->n - n;

	for (int point = 0; point < VECX_CURVE_POINTS; point++)
	{
		uint16		probes = probes_of_point(point, nlists);
		int			hits = 0;
		double		share;

		for (int i = 0; i < n; i++)
			hits += place[nearest[i].id] <= probes;
		share = (double) hits / n * (1 - LOST_BY_CODES);
		sums[point].sum += share;
		sums[point].squares += share * share;
	}
}

static void
fill_line(VecxCurvePoint *points, const Sums *sums, int n, uint32 nlists, int list_rows)
{
	uint16		least = 0;

	for (int i = 0; i < VECX_CURVE_POINTS; i++)
	{
		double		mean = sums[i].sum / n;
		double		variance = Max(sums[i].squares / n - mean * mean, 0);
		double		lower = Max(mean - LOWER_BOUND * sqrt(variance / n), 0);

		points[i].multiple = probes_of_point(i, nlists);
		points[i].patience = 256;
		points[i].mean = (uint16) (mean * PG_UINT16_MAX);
		points[i].lower = Max(least, (uint16) (lower * PG_UINT16_MAX));
		points[i].records = (uint16) Min((double) points[i].multiple * list_rows, PG_UINT16_MAX);
		least = points[i].lower;
	}
}

static void
set_curve(VecxMetaPageData *meta, void *arg)
{
	meta->curve = *(const VecxCurveData *) arg;
	meta->curve.model = meta->current_model;
}

/*
 * Measures the curve: codes are those of the centroids, heads says which have
 * lists.  Stores it unless there were too few queries.
 */
void
VecxListCurveStore(VecxListCurve *c, const uint8 *codes, const BlockNumber *heads, uint32 nlists)
{
	VecxCandidate *order = MemoryContextAllocHuge(c->cxt, sizeof(VecxCandidate) * Max(nlists, 1));
	uint32	   *place = MemoryContextAllocHuge(c->cxt, sizeof(uint32) * Max(nlists, 1));
	Sums		sums[VECX_CURVE_KS][VECX_CURVE_POINTS];
	VecxCurveData curve;
	int			n = 0;

	memset(sums, 0, sizeof(sums));
	memset(&curve, 0, sizeof(curve));
	for (int q = 0; q < c->nqueries; q++)
	{
		CurveQuery	   *query = &c->queries[q];

		CHECK_FOR_INTERRUPTS();
		if (query->n == 0)
			continue;
		rank_lists(c, query, codes, heads, nlists, order, place);
		qsort(query->nearest, query->n, sizeof(VecxCandidate), compare_est);
		for (int k = 0; k < VECX_CURVE_KS; k++)
			add_query(query, VecxCurveRows[k], place, nlists, sums[k]);
		n++;
	}
	if (n < VECX_LEAST_QUERIES)
		return;
	for (int k = 0; k < VECX_CURVE_KS; k++)
	{
		curve.npoints[k] = VECX_CURVE_POINTS;
		fill_line(curve.points[k], sums[k], n, nlists, c->index->lists->list_rows);
	}
	curve.vertices = nlists;
	curve.nblocks = RelationGetNumberOfBlocks(c->index->rel);
	curve.queries = (uint16) n;
	curve.source = VECX_CURVE_STORED;
	VecxMetaEdit(c->index, set_curve, &curve);
}

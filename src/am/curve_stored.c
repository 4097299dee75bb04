/*
 * curve_stored.c
 *    Queries of the curve that are vectors of the index: draws them, finds what is
 *    near each by its code in one pass over the index, and measures.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"

#include "am/am.h"
#include "am/heap.h"

/* Stored vectors to search for: one in so many, lest measuring a small index takes
 * longer than building it. */
#define STORED_SHARE		20

/* The true nearest that are kept of each: as many as the curve's last line is about. */
#define MOST_NEAREST		100

/* A query's near copies: at most so many, and what comes next is so many times as
 * far in the squared distance. */
#define MOST_COPIES			12
#define COPIES_GAP			1.6f

/* A vertex as a query. */
typedef struct StoredQuery
{
	VecxStored	stored;
	VecxProbe  *probe;
	VecxCandidate *nearest;		/* farthest first, as a heap */
	int			nnearest;
} StoredQuery;

/* Vertices that are compared with all queries at once. */
#define NEAREST_BATCH	64

typedef struct NearestBatch
{
	VecxIndex  *index;
	StoredQuery *queries;
	int			nqueries;
	VecxStored **by_hash;		/* the queries, as the next */
	VecxCodeQueries set;
	float	   *limits;			/* beyond these a vertex is none of a query's nearest */
	int			n;				/* waiting vertices */
	uint8	   *codes;
	VecxId		ids[NEAREST_BATCH];
	bool		hidden[NEAREST_BATCH];	/* from some query */
	VecxCodePair *pairs;
} NearestBatch;

static void
batch_init(NearestBatch *b, VecxIndex *index, StoredQuery *queries, int n)
{
	const VecxCodeQuery **codes = palloc(sizeof(VecxCodeQuery *) * n);

	memset(b, 0, sizeof(NearestBatch));
	b->index = index;
	b->queries = queries;
	b->nqueries = n;
	b->by_hash = palloc(sizeof(VecxStored *) * n);
	b->limits = palloc(sizeof(float) * n);
	for (int i = 0; i < n; i++)
	{
		codes[i] = &queries[i].probe->code;
		b->by_hash[i] = &queries[i].stored;
		b->limits[i] = INFINITY;
	}
	vecx_code_queries_init(&b->set, &index->coder, codes, n, NEAREST_BATCH,
						   palloc(vecx_code_queries_room(&index->coder, n, NEAREST_BATCH)));
	qsort(b->by_hash, n, sizeof(VecxStored *), VecxStoredCompare);
	b->codes = palloc((Size) index->coder.nbytes * NEAREST_BATCH);
	b->pairs = palloc(sizeof(VecxCodePair) * n * NEAREST_BATCH);
}

/* Compares the waiting vertices with all queries. */
static void
batch_flush(NearestBatch *b)
{
	const VecxCoder *coder = &b->index->coder;
	size_t		npairs = vecx_code_pairs(&b->set, b->codes, b->n, b->limits, b->pairs);

	for (size_t i = 0; i < npairs; i++)
	{
		const VecxCodePair *pair = &b->pairs[i];
		StoredQuery *q = &b->queries[pair->query];
		VecxCandidate cand;

		if (b->hidden[pair->code] && VecxIdSetContains(&q->stored.hidden, b->ids[pair->code]))
			continue;
		cand.id = b->ids[pair->code];
		cand.est = vecx_code_rank(coder, &q->probe->code, b->codes + (Size) pair->code * coder->nbytes,
								  pair->distance);
		VecxKeepNearestCandidate(q->nearest, &q->nnearest, MOST_NEAREST, cand);
		/* L1 has another order than what searches go by */
		if (q->nnearest == MOST_NEAREST && b->index->spec->metric != VECX_METRIC_L1)
			b->limits[pair->query] = q->nearest[0].est;
	}
	b->n = 0;
}

static void
batch_add(VecxId id, VecxRecord rec, void *arg)
{
	NearestBatch *b = arg;
	Size		nbytes = b->index->coder.nbytes;
	bool		hidden = VecxStoredHide(b->index, b->by_hash, b->nqueries, id, rec);

	if (rec->level != 0 || (rec->flags & VECX_RECORD_DEAD))
		return;
	memcpy(b->codes + b->n * nbytes, VecxRecordCode(&b->index->layout, rec), nbytes);
	b->ids[b->n] = id;
	b->hidden[b->n++] = hidden;
	if (b->n == NEAREST_BATCH)
		batch_flush(b);
}

/* What is near the queries, by codes; hides them from themselves. */
static void
find_nearest(VecxIndex *index, StoredQuery *queries, int n)
{
	NearestBatch batch;

	batch_init(&batch, index, queries, n);
	VecxForEachRecord(index, true, batch_add, &batch);
	batch_flush(&batch);
}

/* Makes queries of every nshares-th of the sample, those that are still there; returns
 * their number. */
static int
make_queries(VecxIndex *index, const VecxCurveSample *sample, int share, int nshares, StoredQuery *queries)
{
	int			made = 0;

	for (int i = share; i < sample->n; i += nshares)
	{
		StoredQuery *q = &queries[made];
		Size		size;
		VecxRecord	rec = VecxCopyRecord(index, sample->ids[i], &size);

		if (!rec || rec->level != 0 || rec->hash != sample->hashes[i])
			continue;
		memset(q, 0, sizeof(StoredQuery));
		q->stored.id = sample->ids[i];
		q->stored.hash = rec->hash;
		q->stored.code = VecxRecordCode(&index->layout, rec);
		VecxIdSetInit(&q->stored.hidden, CurrentMemoryContext, RelationGetNumberOfBlocks(index->rel));
		q->probe = VecxProbeMakeFromCode(index, q->stored.code);
		q->nearest = palloc(sizeof(VecxCandidate) * MOST_NEAREST);
		made++;
	}
	return made;
}

/*
 * Hides near copies of a query as well: vectors that lie about it much nearer than
 * what comes next, as several versions of one text do.  They lead its search to where
 * a query that is nobody's copy has to find its own way.  A gap in the distances of
 * the nearest tells; where the metric has lengths in it, none does.
 */
static void
hide_near_copies(const VecxIndex *index, StoredQuery *q)
{
	VecxMetric	metric = index->spec->metric;
	float		gap = metric == VECX_METRIC_L1 ? sqrtf(COPIES_GAP) : COPIES_GAP;
	int			ncopies = 0;

	qsort(q->nearest, q->nnearest, sizeof(VecxCandidate), VecxCompareCandidates);
	if (metric == VECX_METRIC_IP)
		return;
	for (int i = 1; i <= MOST_COPIES && i < q->nnearest / 2; i++)
		if (q->nearest[i].est > gap * q->nearest[i - 1].est)
			ncopies = i;
	for (int i = 0; i < ncopies; i++)
		VecxIdSetAdd(&q->stored.hidden, q->nearest[i].id);
	q->nearest += ncopies;
	q->nnearest -= ncopies;
}

/* A vertex that was opened, by its code. */
static int
within_reach(const VecxOpened *opened, double reach, void *arg)
{
	return opened->rank <= reach;
}

/* Vertices to draw, within a quarter of maintenance_work_mem. */
static int
queries_to_draw(const VecxIndex *index)
{
	Size		each = sizeof(StoredQuery) + BLCKSZ * 2 + VecxVectorBytes(index) * 3 +
		sizeof(VecxCandidate) * MOST_NEAREST;

	/* what it is in the models' sketches */
	for (int i = 0; i < index->nmodels; i++)
		each += vecx_basis_proj_bytes(&index->models[i].basis) + index->models[i].basis.pdims;
	return (int) Min(Max((Size) VecxMaintenanceMemory() * 1024 / 4 / each, VECX_LEAST_QUERIES),
					 VECX_STORED_QUERIES);
}

/* Keeps so many of the sampled vertices as an index of that size is worth; those
 * of a small one are in the order of its pages. */
static int
thin_out(VecxStored *sampled, int n, int64 vertices)
{
	int			kept = (int) Min(Max(vertices / STORED_SHARE, VECX_LEAST_QUERIES), n);

	for (int i = 0; i < kept; i++)
		sampled[i] = sampled[(int64) i * n / kept];
	return kept;
}

/* Draws vectors of the index to measure with; if it was asked for, as many as there may
 * be. */
void
VecxCurveDraw(VecxIndex *index, bool asked, VecxCurveSample *sample)
{
	int			n = queries_to_draw(index);
	VecxStored *sampled = palloc0(sizeof(VecxStored) * n);

	VecxIndexRefresh(index);
	n = VecxSampleVertices(index, sampled, n, &sample->vertices);
	sample->n = asked ? n : thin_out(sampled, n, sample->vertices);
	for (int i = 0; i < sample->n; i++)
	{
		sample->ids[i] = sampled[i].id;
		sample->hashes[i] = sampled[i].hash;
	}
	pfree(sampled);
}

/* Searches for one of nshares shares of them. */
void
VecxCurveMeasureShare(VecxIndex *index, const VecxCurveSample *sample, int share, int nshares,
					  VecxCurveTotals *totals)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx calibration",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	StoredQuery *queries = palloc(sizeof(StoredQuery) * Max(sample->n, 1));
	VecxCurveSums *sums;
	float	   *near;
	int			n;

	VecxIndexRefresh(index);
	sums = VecxCurveBeginShare(index, sample->n, nshares);
	n = make_queries(index, sample, share, nshares, queries);
	near = palloc(sizeof(float) * Max(n, 1));
	if (n > 0)
		find_nearest(index, queries, n);
	for (int i = 0; i < n; i++)
	{
		hide_near_copies(index, &queries[i]);
		/* for both searches for it */
		VecxProbeForModels(queries[i].probe);
		near[i] = VecxCurveLook(sums, *queries[i].probe, &queries[i].stored);
	}
	VecxCurveLooked(sums, near, n);
	for (int i = 0; i < n; i++)
	{
		StoredQuery *q = &queries[i];
		double		truth[MOST_NEAREST];

		for (int j = 0; j < q->nnearest; j++)
			truth[j] = q->nearest[j].est;
		VecxCurveAdd(sums, q->probe, &q->stored, near[i], truth, q->nnearest, within_reach, NULL);
	}
	*totals = *VecxCurveTotalsOf(sums);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

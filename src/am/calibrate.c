/*
 * calibrate.c
 *    Measures the curve: what share of the true nearest searches of growing
 *    effort find.
 *
 * The queries are vectors of the index, or given by the user (verify layer).
 * For stored ones all is done with codes, which costs one pass over the index
 * and no look at the table: their truth is the nearest vertices by code, and
 * they are hidden from themselves.  One search serves all levels of effort, for
 * few rows and for many, since a wider one goes on where a narrower one ended.  Before that a narrow search
 * for each query tells how far the nearest are, by which efforts go.
 *
 * A curve is worth what its queries are worth.  So a level is judged by the
 * lower bound of what it found, and a curve from given queries is not replaced
 * by one from stored vectors.
 */
#include "postgres.h"

#include <math.h>

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "am/heap.h"

/* Stored vectors to search for: one in so many, lest measuring a small index takes
 * longer than building it. */
#define STORED_SHARE		20

/* Searches for many rows find about the same share each, and take long: for so many queries at
 * most, and for one in so many. */
#define MANY_ROWS			100
#define MANY_ROWS_QUERIES	128
#define MANY_ROWS_SHARE		5

/* After so many queries higher levels are given up if one found nearly all. */
#define PILOT_QUERIES		32
#define NEARLY_ALL			0.999
/* ... of so many rows at least: of 32 a level that finds 19 in 20 may find all. */
#define PILOT_ROWS			256

/* A query's near copies: at most so many, and what comes next is so many times as
 * far in the squared distance. */
#define MOST_COPIES			12
#define COPIES_GAP			1.6f

/* One-sided 90 % when none of n trials failed. */
#define CONFIDENCE_NONE		2.3026

/* Growth of the index, or share of its vertices removed, that makes a curve old. */
#define GROWTH				1.5
#define REMOVED				0.25

struct VecxCurveSums
{
	VecxIndex  *index;
	MemoryContext query_cxt;	/* of one search */
	int			many_rows_queries;	/* searches for many rows, at most */
	VecxCurveTotals t;
};

/* A vertex as a query. */
typedef struct StoredQuery
{
	VecxStored	stored;
	VecxProbe  *probe;
	VecxCandidate *nearest;		/* farthest first, as a heap */
	int			nnearest;
} StoredQuery;

/* How many of the true nearest a search has found so far. */
typedef struct Found
{
	const VecxStored *stored;	/* what the query is; NULL: not of the index */
	float		near;			/* VecxCurveLook */
	double		reach;			/* distance of the farthest of the true nearest */
	VecxCurveMeasure measure;
	void	   *arg;
	int			nseen;			/* opened vertices that have been measured */
	int			cap;
	int		   *rows;			/* of each of them that are within reach */
} Found;

VecxCurveSums *
VecxCurveBegin(VecxIndex *index)
{
	VecxCurveSums *sums = palloc0(sizeof(VecxCurveSums));

	sums->index = index;
	sums->query_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx curve of a query",
											ALLOCSET_DEFAULT_SIZES);
	sums->many_rows_queries = MANY_ROWS_QUERIES;
	for (int i = 0; i < VECX_CURVE_KS; i++)
		sums->t.nlevels[i] = VECX_CURVE_POINTS;
	return sums;
}

/* A search for a query, which is hidden from itself if it is of the index. */
static VecxSearch *
begin_search(VecxCurveSums *sums, VecxProbe *probe, const VecxStored *stored)
{
	VecxSearch *search = VecxSearchMake(sums->index, CurrentMemoryContext, false);

	if (stored)
	{
		VecxSearchHide(search, &stored->hidden);
		VecxSearchStandIn(search, probe, stored->id);
	}
	VecxSearchBegin(search, probe);
	return search;
}

/* How far the nearest of a query are. */
float
VecxCurveLook(VecxCurveSums *sums, VecxProbe probe, const VecxStored *stored)
{
	MemoryContext old = MemoryContextSwitchTo(sums->query_cxt);
	VecxSearch *search;
	float		near;

	vacuum_delay_point(false);
	search = begin_search(sums, &probe, stored);
	near = VecxEffortLook(search);
	VecxSearchRelease(search);
	MemoryContextSwitchTo(old);
	MemoryContextReset(sums->query_cxt);
	return near;
}

/* All n queries have been looked at, with these results: VecxCurveAdd may follow. */
void
VecxCurveLooked(VecxCurveSums *sums, const float *near, int n)
{
	float	   *sorted = palloc(sizeof(float) * Max(n, 1));
	int			found = 0;

	for (int i = 0; i < n; i++)
		if (isfinite(near[i]))
			sorted[found++] = near[i];
	qsort(sorted, found, sizeof(float), vecx_compare_floats);
	for (int i = 0; i < VECX_CURVE_NEAR && found > 0; i++)
		sums->t.near[i] = sorted[(2 * i + 1) * found / (2 * VECX_CURVE_NEAR)];
	pfree(sorted);
}

/* Rows within reach among what a search would return in its first batch. */
static int
count_found(VecxSearch *search, Found *found)
{
	int			n;
	int			total = 0;
	const VecxOpened *opened = VecxSearchOpened(search, &n);
	float		threshold = VecxSearchThreshold(search);

	if (n > found->cap)
	{
		found->cap = n * 2;
		found->rows = found->rows ? repalloc_huge(found->rows, sizeof(int) * found->cap) :
			palloc(sizeof(int) * found->cap);
	}
	for (; found->nseen < n; found->nseen++)
	{
		const VecxOpened *o = &opened[found->nseen];
		bool		ours = !o->dead &&
			!(found->stored && VecxIdSetContains(&found->stored->hidden, o->id));

		found->rows[found->nseen] = ours ? found->measure(o, found->reach, found->arg) : 0;
	}
	for (int i = 0; i < n; i++)
		if (opened[i].nav <= threshold)
			total += found->rows[i];
	return total;
}

static void
add_share(VecxLevelSum *sum, double share, double records)
{
	sum->n++;
	sum->records += records;
	sum->sum += share;
	sum->squares += share * share;
}

/* A line of the curve for one query, while one search serves all lines. */
typedef struct Line
{
	int			rows;			/* that it is about */
	int			wanted;			/* as many as there are of them */
	int			nlevels;
	VecxLevelSum *sums;			/* of its levels */
	Found		found;
	int			level;			/* to be measured next */
	VecxEffort	effort;			/* of it */
	int			before;			/* width of the level before */
	double		share;
	double		records;
} Line;

/* Sets the effort of a line's next level. */
static void
set_level_effort(const VecxCurveSums *sums, Line *line)
{
	VecxCurvePoint point;

	if (line->level == line->nlevels)
		return;
	VecxEffortOfLevel(line->level, line->rows, &point, &line->effort);
	memcpy(line->effort.near, sums->t.near, sizeof(line->effort.near));
	line->effort.width = VecxEffortWidth(&line->effort, line->found.near);
	line->effort.spread = 1;
}

/* The line whose next level is narrowest; NULL if none has another. */
static Line *
narrowest(Line *lines, int n)
{
	Line	   *least = NULL;

	for (Line *line = lines; line < lines + n; line++)
		if (line->level < line->nlevels && (!least || line->effort.width < least->effort.width))
			least = line;
	return least;
}

/* One level of a line; the search has come to *width. */
static void
measure_level(VecxSearch *search, Line *line, int *width)
{
	const VecxEffort *effort = &line->effort;

	if (line->share < 1 && (line->level == 0 || VecxSearchHasMore(search)))
	{
		*width = VecxEffortSearch(search, effort, *width);
		if (line->level == 0)
			*width = VecxEffortMakeSure(search, effort, *width);
		line->share = Min((double) count_found(search, &line->found) / line->wanted, 1);
		line->records = line->found.nseen;
	}
	else						/* who has found all there is will not lose it */
		line->records *= Max((double) effort->width / line->before, 1);
	line->before = effort->width;
	add_share(&line->sums[line->level++], line->share, line->records);
}

/* One query on some lines of the curve.  What the probe is given for sketches lives
 * no longer than the search, as the copy of it here. */
static void
measure_lines(VecxCurveSums *sums, VecxProbe probe, Line *lines, int n)
{
	VecxSearch *search = begin_search(sums, &probe, lines[0].found.stored);
	int			width = 0;
	Line	   *line;

	for (int i = 0; i < n; i++)
		set_level_effort(sums, &lines[i]);
	while ((line = narrowest(lines, n)) != NULL)
	{
		measure_level(search, line, &width);
		set_level_effort(sums, line);
	}
	VecxSearchRelease(search);
}

/* Gives up levels beyond one that finds all. */
static void
end_pilot(VecxCurveSums *sums)
{
	for (int line = 0; line < VECX_CURVE_KS; line++)
		for (int level = 0; level < sums->t.nlevels[line]; level++)
		{
			const VecxLevelSum *sum = &sums->t.sums[line][level];

			if (sum->n * VecxCurveRows[line] >= PILOT_ROWS && sum->sum >= NEARLY_ALL * sum->n)
				sums->t.nlevels[line] = level + 1;
		}
}

static int
compare_distances(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/*
 * Searches for a query, of which VecxCurveLook has said near, and whose ntruth nearest
 * are at the distances truth, in the unit of measure; sorts them.
 */
void
VecxCurveAdd(VecxCurveSums *sums, VecxProbe *probe, const VecxStored *stored, float near,
			 double *truth, int ntruth, VecxCurveMeasure measure, void *arg)
{
	Line		lines[VECX_CURVE_KS];
	int			n = 0;
	MemoryContext old;

	if (ntruth == 0)
		return;
	qsort(truth, ntruth, sizeof(double), compare_distances);
	for (int line = 0; line < VECX_CURVE_KS; line++)
	{
		int			wanted = Min(VecxCurveRows[line], ntruth);

		if (VecxCurveRows[line] >= MANY_ROWS && sums->t.nqueries >= sums->many_rows_queries)
			continue;
		lines[n++] = (Line) {
			.rows = VecxCurveRows[line],.wanted = wanted,
				.nlevels = sums->t.nlevels[line],.sums = sums->t.sums[line],.before = 1,
				.found = {.stored = stored,.near = near,.reach = truth[wanted - 1],.measure = measure,.arg = arg}
		};
	}
	vacuum_delay_point(false);
	old = MemoryContextSwitchTo(sums->query_cxt);
	measure_lines(sums, *probe, lines, n);
	MemoryContextSwitchTo(old);
	MemoryContextReset(sums->query_cxt);
	if (++sums->t.nqueries == PILOT_QUERIES)
		end_pilot(sums);
}

static double
lower_bound(const VecxLevelSum *sum, int rows)
{
	double		mean = sum->sum / sum->n;
	double		variance = Max(sum->squares / sum->n - mean * mean, 0);
	double		error = VECX_ONE_SIDED_90 * sqrt(variance / sum->n);

	return Max(mean - Max(error, CONFIDENCE_NONE / ((double) sum->n * rows)), 0);
}

static void
set_curve(VecxMetaPageData *meta, void *arg)
{
	meta->curve = *(VecxCurveData *) arg;
}

/* Makes a curve of the sums and puts it into the index; false, and nothing
 * changes, if there were too few queries. */
bool
VecxCurveStore(VecxCurveSums *sums, uint8 source, int64 vertices)
{
	VecxIndex  *index = sums->index;
	VecxCurveData curve;

	if (sums->t.nqueries < VECX_LEAST_QUERIES)
		return false;
	memset(&curve, 0, sizeof(curve));
	curve.vertices = (uint32) Min(Max(vertices, 1), PG_UINT32_MAX);
	curve.nblocks = RelationGetNumberOfBlocks(index->rel);
	curve.queries = (uint16) Min(sums->t.nqueries, PG_UINT16_MAX);
	curve.source = source;
	curve.model = index->meta.current_model;
	memcpy(curve.near, sums->t.near, sizeof(curve.near));
	for (int line = 0; line < VECX_CURVE_KS; line++)
	{
		uint16		before = 0;

		curve.npoints[line] = (uint8) sums->t.nlevels[line];
		for (int level = 0; level < sums->t.nlevels[line]; level++)
		{
			const VecxLevelSum *sum = &sums->t.sums[line][level];
			VecxCurvePoint *point = &curve.points[line][level];
			VecxEffort	effort;

			VecxEffortOfLevel(level, VecxCurveRows[line], point, &effort);
			point->records = (uint16) Min(Min(sum->records / sum->n, curve.vertices), PG_UINT16_MAX);
			point->mean = (uint16) (sum->sum / sum->n * PG_UINT16_MAX);
			point->lower = Max((uint16) (lower_bound(sum, VecxCurveRows[line]) * PG_UINT16_MAX),
							   before);
			before = point->lower;
		}
	}
	VecxMetaEdit(index, set_curve, &curve);
	return true;
}

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
		VecxKeepNearestCandidate(q->nearest, &q->nnearest, MANY_ROWS, cand);
		/* L1 has another order than what searches go by */
		if (q->nnearest == MANY_ROWS && b->index->spec->metric != VECX_METRIC_L1)
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
		q->nearest = palloc(sizeof(VecxCandidate) * MANY_ROWS);
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
		sizeof(VecxCandidate) * MANY_ROWS;

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
	sums = VecxCurveBegin(index);
	sums->many_rows_queries = Max(Min(MANY_ROWS_QUERIES, sample->n / MANY_ROWS_SHARE) / nshares, 1);
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
		double		truth[MANY_ROWS];

		for (int j = 0; j < q->nnearest; j++)
			truth[j] = q->nearest[j].est;
		VecxCurveAdd(sums, q->probe, &q->stored, near[i], truth, q->nnearest, within_reach, NULL);
	}
	*totals = sums->t;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* Makes the curve of what all shares found: of the levels that none gave up. */
void
VecxCurveStoreTotals(VecxIndex *index, const VecxCurveSample *sample, const VecxCurveTotals *totals,
					 int nshares)
{
	VecxCurveSums *sums = VecxCurveBegin(index);

	for (int i = 0; i < nshares; i++)
		sums->t.nqueries += totals[i].nqueries;
	for (int i = 0; i < nshares; i++)
	{
		/* quantiles of the shares' quantiles: nearly those of all, if the shares are not small */
		for (int j = 0; j < VECX_CURVE_NEAR; j++)
			sums->t.near[j] += totals[i].near[j] * totals[i].nqueries / Max(sums->t.nqueries, 1);
		for (int line = 0; line < VECX_CURVE_KS; line++)
		{
			sums->t.nlevels[line] = Min(sums->t.nlevels[line], totals[i].nlevels[line]);
			for (int level = 0; level < VECX_CURVE_POINTS; level++)
			{
				const VecxLevelSum *from = &totals[i].sums[line][level];
				VecxLevelSum *to = &sums->t.sums[line][level];

				to->n += from->n;
				to->sum += from->sum;
				to->squares += from->squares;
				to->records += from->records;
			}
		}
	}
	(void) VecxCurveStore(sums, VECX_CURVE_STORED, sample->vertices);
	MemoryContextDelete(sums->query_cxt);
	pfree(sums);
}

/*
 * Measures the curve with vectors of the index, if there are enough; returns their
 * number.  If it was asked for, with as many as there may be.
 */
int
VecxCalibrate(VecxIndex *index, bool asked)
{
	VecxCurveSample *sample = palloc(sizeof(VecxCurveSample));
	VecxCurveTotals *totals = palloc(sizeof(VecxCurveTotals));
	int			n;

	VecxCurveDraw(index, asked, sample);
	n = sample->n;
	if (sample->n >= VECX_LEAST_QUERIES)
	{
		VecxCurveMeasureShare(index, sample, 0, 1, totals);
		VecxCurveStoreTotals(index, sample, totals, 1);
		n = totals->nqueries;
	}
	pfree(sample);
	pfree(totals);
	return n;
}

/* Bits of a code from which on the nearest by code are the true nearest, but for
 * one in a hundred. */
#define FINE_BITS	6

/*
 * Whether codes tell so well what is near that they may stand for the vectors.
 * Of coarser ones searches find most of what is near by code, and promise too
 * much: there only vecx_calibrate measures, which goes by the table.
 */
bool
VecxCodesAreFine(const VecxIndex *index)
{
	VecxCodeKind kind = index->coder.kind;

	return !VecxIsHashed(index) && kind != VECX_CODE_BITS_SAMPLE &&
		(kind < VECX_CODE_RABITQ1 || kind >= VECX_CODE_RABITQ1 + FINE_BITS - 1);
}

/* Tells of a new graph of so many vertices that it is not measured, if it might be asked for. */
void
VecxCurveNoteCoarse(const VecxIndex *index, int64 vertices)
{
	if (VecxCodesAreFine(index) || vertices < VECX_LEAST_QUERIES || !VecxCurveIsRenewed(index))
		return;
	ereport(NOTICE,
			(errmsg("what searches of index \"%s\" find is not measured yet", RelationGetRelationName(index->rel)),
			 errdetail("Its codes are too coarse for that.  Whatever the target recall, a search has a width of %d, or LIMIT.",
					   VECX_UNMEASURED_WIDTH),
			 errhint("Call vecx_calibrate(), which measures by the values in the table.")));
}

bool
VecxCurveIsOld(const VecxMetaPageData *meta, BlockNumber nblocks)
{
	const VecxCurveData *curve = &meta->curve;

	return curve->vertices == 0 || curve->model != meta->current_model ||
		nblocks >= curve->nblocks * GROWTH ||
		curve->removed >= curve->vertices * REMOVED;
}

/* Whether VACUUM and ANALYZE may measure: unless they shall not, or queries were given. */
bool
VecxCurveIsRenewed(const VecxIndex *index)
{
	VecxOptions *options = (VecxOptions *) index->rel->rd_options;

	return (!options || options->auto_calibrate) &&
		!(index->meta.curve.vertices > 0 && index->meta.curve.source == VECX_CURVE_GIVEN);
}

/* Whether there is no curve, or the index is no longer the one that it was measured on. */
bool
VecxCurveIsWanted(VecxIndex *index)
{
	return VecxCurveIsRenewed(index) && !index->lists && VecxCodesAreFine(index) &&
		VecxCurveIsOld(&index->meta, RelationGetNumberOfBlocks(index->rel));
}

/* For VACUUM and ANALYZE. */
void
VecxCalibrateIfChanged(VecxIndex *index)
{
	if (VecxCurveIsWanted(index))
		(void) VecxCalibrate(index, false);
}

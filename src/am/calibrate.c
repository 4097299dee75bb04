/*
 * calibrate.c
 *    Measures the curve: what share of the true nearest searches of growing
 *    effort find.
 *
 * The queries are vectors of the index (curve_stored.c), or given by the user
 * (verify layer).  For stored ones all is done with codes, which costs one pass over the
 * index and no look at the table: their truth is the nearest vertices by code, and
 * they are hidden from themselves.  One search serves all levels of effort, for
 * few rows and for many, since a wider one goes on where a narrower one ended.  Before
 * that a narrow search for each query tells how far the nearest are, by which efforts go.
 *
 * A curve is worth what its queries are worth.  So a level is judged by the
 * lower bound of what it found, and a curve from given queries is not replaced
 * by one from stored vectors.
 */
#include "postgres.h"

#include <math.h>

#include "commands/vacuum.h"
#include "compat.h"
#include "utils/memutils.h"

#include "am/am.h"

/* Searches for many rows find about the same share each, and take long: for so many queries at
 * most, and, where they are vectors of the index, for one in so many. */
#define MANY_ROWS			100
#define MANY_ROWS_QUERIES	128
#define MANY_ROWS_SHARE		5

/* After so many queries higher levels are given up if one found nearly all. */
#define PILOT_QUERIES		32
#define NEARLY_ALL			0.999
/* ... of so many rows at least: of 32 a level that finds 19 in 20 may find all. */
#define PILOT_ROWS			256

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
	for (int i = 0; i < VECX_CURVE_FEW_KS; i++)
		sums->t.nlevels[i] = VECX_CURVE_POINTS;
	return sums;
}

/* The same for one of nshares shares of so many vectors of the index. */
VecxCurveSums *
VecxCurveBeginShare(VecxIndex *index, int nqueries, int nshares)
{
	VecxCurveSums *sums = VecxCurveBegin(index);

	sums->many_rows_queries = Max(Min(MANY_ROWS_QUERIES, nqueries / MANY_ROWS_SHARE) / nshares, 1);
	return sums;
}

const VecxCurveTotals *
VecxCurveTotalsOf(const VecxCurveSums *sums)
{
	return &sums->t;
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
	VecxSearchBeginMeasured(search, probe);
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

/* One level of a line; the search has come to *width.  Returns whether it went astray at it. */
static bool
measure_level(VecxSearch *search, Line *line, int *width)
{
	const VecxEffort *effort = &line->effort;
	bool		astray = false;
	int			nopened;

	(void) VecxSearchOpened(search, &nopened);
	if (line->share < 1 && (line->level == 0 || nopened > line->found.nseen || VecxSearchHasMore(search)))
	{
		*width = VecxEffortSearch(search, effort, *width);
		if (line->level == 0)
			astray = VecxEffortMakeSure(search, effort, width);
		line->share = Min((double) count_found(search, &line->found) / line->wanted, 1);
		line->records = line->found.nseen;
	}
	else						/* who has found all there is will not lose it */
		line->records *= Max((double) effort->width / line->before, 1);
	line->before = effort->width;
	add_share(&line->sums[line->level++], line->share, line->records);
	return astray;
}

/*
 * A search for all lines, until they are measured, or it went astray at the first level of
 * one: from there it is that line's.
 */
static void
measure_together(const VecxCurveSums *sums, VecxSearch *search, Line *lines, int n)
{
	int			width = 0;
	Line	   *line;

	VecxSearchBySteps(search);
	for (int i = 0; i < n; i++)
		lines[i].found.nseen = 0;
	while ((line = narrowest(lines, n)) != NULL)
	{
		vacuum_delay_point(false);
		if (measure_level(search, line, &width))
		{
			lines = line;
			n = 1;
		}
		set_level_effort(sums, line);
	}
}

/* One query on some lines of the curve.  What the probe is given for sketches lives
 * no longer than the searches, as the copy of it here. */
static void
measure_lines(VecxCurveSums *sums, VecxProbe probe, Line *lines, int n)
{
	for (int i = 0; i < n; i++)
		set_level_effort(sums, &lines[i]);
	while (narrowest(lines, n) != NULL)
	{
		VecxSearch *search = begin_search(sums, &probe, lines[0].found.stored);

		measure_together(sums, search, lines, n);
		VecxSearchRelease(search);
	}
}

/* Gives up levels beyond one that finds all. */
static void
end_pilot(VecxCurveSums *sums)
{
	for (int line = 0; line < VECX_CURVE_FEW_KS; line++)
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
	Line		lines[VECX_CURVE_FEW_KS];
	int			n = 0;
	MemoryContext old;

	if (ntruth == 0)
		return;
	qsort(truth, ntruth, sizeof(double), compare_distances);
	for (int line = 0; line < VECX_CURVE_FEW_KS; line++)
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
	for (int line = 0; line < VECX_CURVE_FEW_KS; line++)
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
		for (int line = 0; line < VECX_CURVE_FEW_KS; line++)
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

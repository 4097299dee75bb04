/*
 * effort.c
 *    How hard a search tries, and the curve that says what that finds.
 *
 * Queries differ: at one width one query finds all its neighbours and opens
 * twice as many vertices for nothing, while another finds half of them.  What
 * tells them apart is how far the nearest are.  The query of which a narrow
 * search finds them nearer than of any other misses a hundredth of what that one
 * misses whose nearest are the farthest; whether the last records opened still
 * brought something tells little beside that.  So an effort is a width and a
 * spread s: a query that is harder than a share r of all gets s^(2r - 1) times
 * the width.
 *
 * The curve, measured by calibrate.c and kept in the metapage, says for
 * efforts of growing level which share of the nearest rows they find, and how far
 * the nearest of its queries were; the recall that is asked for picks the effort.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"

#include "am/am.h"
#include "am/heap.h"
#include "am/list.h"

/* The narrowest width. */
#define LEAST_WIDTH		4

/* How hard a query is tells a search of this width, by the nearest of VECX_NEAR_RANK. */
#define NEAR_WIDTH		VECX_NEAR_RANK

/* Records opened for each one that the width counts, where nothing was measured. */
#define RECORDS_PER_WIDTH	1.3

/* What a spread is worth: the same width for all queries finds as much if it is the
 * middle one times this power of the spread. */
#define SPREAD_WORTH	0.35

/* How many rows the curve's lines are about. */
const int	VecxCurveRows[VECX_CURVE_KS] = {1, 10, VECX_CURVE_FEW_ROWS, VECX_CURVE_MANY_ROWS};

/*
 * The levels of effort.  The spreads are those that found most among as many records
 * of embeddings, SIFT and images: little where much is missed by all queries, more
 * where only the hard ones still miss anything.
 */
static const struct
{
	float		multiple;
	float		spread;
}			levels[VECX_CURVE_POINTS] = {
	{1, 1}, {1.2f, 1.1f}, {1.4f, 1.15f}, {1.7f, 1.2f}, {2, 1.25f}, {2.4f, 1.3f}, {2.8f, 1.4f}, {3.4f, 1.5f},
	{4, 1.6f}, {5, 1.65f}, {6, 1.75f}, {8, 1.8f}, {11, 1.9f}, {16, 1.9f}, {24, 1.9f}, {40, 1.9f}
};

/* The widest batch that work_mem allows. */
int
VecxWidestBatch(void)
{
	return (int) Min((int64) work_mem * 1024 / 4 / (int64) sizeof(VecxOpened), VECX_MAX_EF_SEARCH);
}

static int
usual_width(int64 rows, double multiple)
{
	/* up: between two points of a curve the lesser one finds too little */
	double		width = ceil((double) Max(rows, LEAST_WIDTH) * multiple);

	return (int) Min(Max(width, 1), Max(VecxWidestBatch(), VECX_UNMEASURED_WIDTH));
}

static void
set_effort(VecxEffort *effort, int64 rows, double multiple, double spread)
{
	effort->rows = (int) Min(Max(rows, 1), VECX_MAX_EF_SEARCH);
	effort->width = usual_width(rows, multiple);
	effort->spread = (float) spread;
	for (int i = 0; i < VECX_CURVE_NEAR; i++)
		effort->near[i] = get_float4_infinity();
	effort->records = (float) (effort->width * RECORDS_PER_WIDTH);
}

/* The width at a point of a line of the curve. */
int
VecxPointWidth(int line, const VecxCurvePoint *point)
{
	return usual_width(VecxCurveRows[line], point->multiple / 16.0);
}

/* Makes a point of the curve for a level, and the level's effort. */
void
VecxEffortOfLevel(int level, int rows, VecxCurvePoint *point, VecxEffort *effort)
{
	memset(point, 0, sizeof(VecxCurvePoint));
	point->multiple = (uint16) (levels[level].multiple * 16);
	point->spread = (uint16) (levels[level].spread * 256);
	set_effort(effort, rows, point->multiple / 16.0, point->spread / 256.0);
}

/* What is left out, of 1; never so little that its logarithm would not do. */
static double
misses(double share)
{
	return Max(1 - share, 0.5 / PG_UINT16_MAX);
}

/* The last line of a curve. */
static int
last_line(const VecxCurveData *curve)
{
	return curve->npoints[VECX_CURVE_KS - 1] > 0 ? VECX_CURVE_KS - 1 : VECX_CURVE_FEW_KS - 1;
}

/* A place on a line of the curve, or between two lines. */
typedef struct Place
{
	double		multiple;
	double		spread;
	double		records;
} Place;

static Place
place_of(const VecxCurvePoint *point)
{
	return (Place) {point->multiple / 16.0, point->spread / 256.0, Max(point->records, 1)};
}

/* Between two places: at 0 a, at 1 b. */
static Place
between(Place a, Place b, double at)
{
	at = Min(Max(at, 0), 1);
	return (Place) {
		a.multiple * pow(b.multiple / a.multiple, at),
			a.spread * pow(b.spread / a.spread, at),
			a.records * pow(b.records / a.records, at)
	};
}

/*
 * Where a line of the curve reaches the target: between two points by the
 * logarithm of what they miss; at its end if it never does.
 */
static Place
read_line(const VecxCurvePoint *points, int npoints, double target)
{
	double		before;
	double		after;
	int			i = 0;

	while (i < npoints - 1 && points[i].lower < target * PG_UINT16_MAX)
		i++;
	if (i == 0 || points[i].lower <= points[i - 1].lower)
		return place_of(&points[i]);
	before = misses(points[i - 1].lower / (double) PG_UINT16_MAX);
	after = misses(points[i].lower / (double) PG_UINT16_MAX);
	return between(place_of(&points[i - 1]), place_of(&points[i]),
				   log(before / misses(target)) / log(before / after));
}

/*
 * The place for so many rows, between the lines of fewer and of more rows by the
 * logarithm of their number; *line is the one of more.
 */
static Place
find_place(const VecxCurveData *curve, int64 rows, double target, int *line)
{
	Place		place;
	int			i = 0;

	while (i < last_line(curve) && rows > VecxCurveRows[i])
		i++;
	place = read_line(curve->points[i], curve->npoints[i], target);
	*line = i;
	if (i > 0 && rows < VecxCurveRows[i])
		place = between(read_line(curve->points[i - 1], curve->npoints[i - 1], target), place,
						log((double) rows / VecxCurveRows[i - 1]) /
						log((double) VecxCurveRows[i] / VecxCurveRows[i - 1]));
	return place;
}

/*
 * What to aim at on a curve of stored vectors.  Queries that are none miss more: SIFT's own among
 * a million rows with noise added 1.46 times as much at width 10, 1.38 at 14, 1.25 at 60, while the
 * widest searches, which queries that are hard get on top, leave room.  A quarter of it is allowed
 * for, since rows are what many queries are like; the whole is for vecx_calibrate to find out.
 */
static double
target_of_stored(double target)
{
	double		miss = 1 - target;

	return 1 - miss * (1 - Min(miss, 0.1));
}

static void
read_curve(const VecxCurveData *curve, int64 rows, double target, VecxEffort *effort)
{
	int			i;
	Place		place = find_place(curve, rows, curve->source == VECX_CURVE_STORED ? target_of_stored(target) : target, &i);

	set_effort(effort, rows, place.multiple, place.spread);
	effort->records = (float) (place.records * Max((double) rows / VecxCurveRows[i], 1));
}

/* What the curve must satisfy to be read; the metapage may be damaged. */
bool
VecxCurveIsValid(const VecxCurveData *curve)
{
	if (curve->vertices == 0)
		return false;
	for (int i = 0; i < VECX_CURVE_KS; i++)
	{
		if ((curve->npoints[i] < 1 && i < VECX_CURVE_FEW_KS) || curve->npoints[i] > VECX_CURVE_POINTS)
			return false;
		for (int j = 0; j < curve->npoints[i]; j++)
		{
			const VecxCurvePoint *p = &curve->points[i][j];

			if (p->multiple == 0 || p->spread < 256 ||
				(j > 0 && p->lower < curve->points[i][j - 1].lower))
				return false;
		}
	}
	for (int i = 0; i < VECX_CURVE_NEAR; i++)
		if (!isfinite(curve->near[i]) || (i > 0 && curve->near[i] < curve->near[i - 1]))
			return false;
	return true;
}

/*
 * The recall to aim at.  What the session set counts most, then the index, then
 * what the server, database or role is set to.
 */
double
VecxTargetRecall(Relation index)
{
	VecxOptions *options = (VecxOptions *) index->rd_options;

	if (options && options->target_recall > 0 && !vecx_target_recall_is_own)
		return options->target_recall;
	return vecx_target_recall;
}

/*
 * The effort of a search for so many rows, 0 if their number is not known:
 * vecx.ef_search if it is set, else by the target and the curve.
 */
void
VecxEffortChoose(Relation index, const VecxMetaPageData *meta, int64 rows, VecxEffort *effort)
{
	bool		measured = VecxCurveIsValid(&meta->curve);

	if (rows <= 0)
		rows = VECX_UNKNOWN_ROWS;
	if (vecx_ef_search == 0 && measured)
		read_curve(&meta->curve, rows, VecxTargetRecall(index), effort);
	else
	{
		set_effort(effort, rows, 1, 1);
		if (vecx_ef_search > 0)
			effort->width = vecx_ef_search;
		else
			effort->width = Max(effort->width, VECX_UNMEASURED_WIDTH);
		effort->records = (float) (effort->width * RECORDS_PER_WIDTH);
	}
	if (measured)
		memcpy(effort->near, meta->curve.near, sizeof(effort->near));
}

/*
 * Where codes tell little they tell even less of rows far from the query, which may be all that
 * pass: these differ more by how codes err than by their distances.  With so many times the
 * width of the curve's queries .94 and more of such rows were found under L1, with four times
 * .85, with once .67.
 */
#define MORE_FAR_AWAY	8

/*
 * The same of a search in which a filter lets a share pass.  The rows wanted are
 * among the nearest rows / share, and to find these takes an effort of which the
 * same share passes: the rarer what passes, the fewer of it need be found, but where codes
 * tell little of distances.  How far those are depends on the filter, and does not tell how
 * hard the query is.
 */
void
VecxEffortOfShare(Relation index, const VecxMetaPageData *meta, int64 rows, double share,
				  VecxEffort *effort)
{
	int64		wanted = rows > 0 ? rows : VECX_UNKNOWN_ROWS;
	int			least = LEAST_WIDTH;

	if (VecxCodesTellLittle(meta))
	{
		VecxEffortChoose(index, meta, wanted, effort);
		least = Min(effort->width * MORE_FAR_AWAY, Max(VecxWidestBatch(), effort->width));
	}
	VecxEffortChoose(index, meta, (int64) Min((double) wanted / share, 1e9), effort);
	if (vecx_ef_search == 0)
		effort->width = (int) Max(ceil(effort->width * pow(effort->spread, SPREAD_WORTH) * share), (double) least);
	effort->spread = 1;
	effort->rows = (int) Min(wanted, VECX_MAX_EF_SEARCH);
	effort->width = Max(effort->width, Min(effort->rows, Max(VecxWidestBatch(), effort->width)));
}

/* Lists to read while the index has no curve. */
#define UNMEASURED_PROBES	16

/*
 * Where lists have become many times as many, by what power of that more of them are to be
 * read, and by what power the ratio of distances grows, less 1.  Vectors in few dimensions
 * fill the more lists of the same size in the same way, where there were many already; where
 * a search had to read half of what few there were, more of them show how many it needs: the
 * power is what share of them it was, and some more.
 *
 * Of 57,000 LSA vectors a tenth had 22 lists, of which 12 were read for .95, at a ratio of
 * 1.13; with all of them it took 55 of 420 at 1.2, 27 times as many pages.  Of 60,000 of
 * Fashion-MNIST 2 of 28 at 1.13 became 3 of 294 at 1.25.
 */
#define LEAST_GROWTH	0.25
#define MOST_GROWTH		0.6
#define GROWTH_ANYWAY	0.1
#define RATIO_GROWTH	0.15

/* The greatest ratio that a point has room for, which stands for none. */
#define VECX_ANY_RATIO	(PG_UINT16_MAX / 256.0)

/*
 * So few lists, with room for so many rows, are all read: that takes no more than what a query
 * costs besides, and a curve of a few lists cannot tell how many of them a query needs that
 * lies unlike the rows.  Of 655 rows in three lists a third of the indexes found 46 to 65 of
 * 70 rows near to rows that had been deleted.
 */
#define READ_ALL_LISTS	16
#define READ_ALL_ROWS	1500

/* Lists that a ball of rows meets, which has so many times what is in one: as many as cells of a
 * grid in that many dimensions meet a ball of the volume, about. */
static double
lists_of_ball(double volume, double dims)
{
	return pow(1 + pow(volume, 1 / dims), dims);
}

/* Most dimensions that lists are thought to divide. */
#define MOST_DIMS	32

/*
 * Lists to read for more rows than the curve's last line is about.  What that line says tells in
 * how many dimensions lists lie around a query, from which follows how many more a larger ball
 * meets.  For 3,000 rows of which 1,000 had been measured it says 23, 65 and 52 lists, where .95
 * took 23, 50 and 42 of 293, 168 and 81 (Fashion-MNIST, SIFT, clusters).
 */
static double
probes_beyond(const VecxMetaPageData *meta, int64 rows, double target)
{
	const VecxCurveData *curve = &meta->curve;
	int			last = last_line(curve);
	double		known = read_line(curve->points[last], curve->npoints[last], target).records;
	double		measured = (double) VecxCurveRows[last] / meta->list_rows;
	double		wanted = (double) rows / meta->list_rows;
	double		lo = 1;
	double		hi = MOST_DIMS;

	for (int i = 0; i < 20; i++)
	{
		double		dims = (lo + hi) / 2;

		if (lists_of_ball(measured, dims) < known)
			lo = dims;
		else
			hi = dims;
	}
	known *= lists_of_ball(wanted, lo) / lists_of_ball(measured, lo);
	return Max(known, wanted);
}

/* Makes a place of the curve that of an index that has grown since. */
static void
grow_place(const VecxMetaPageData *meta, BlockNumber nblocks, Place *place)
{
	double		share = place->records / Max(meta->curve.vertices, 1);
	double		growth = VecxListGrowth(meta, nblocks);
	double		more = pow(growth, Min(Max(share + GROWTH_ANYWAY, LEAST_GROWTH), MOST_GROWTH));
	double		lists = ceil(meta->curve.vertices * growth);

	if (lists <= READ_ALL_LISTS && lists * meta->list_rows <= READ_ALL_ROWS)
	{
		/* of which each has a page at least */
		*place = (Place) {VecxListPagesAmong(nblocks, meta), VECX_ANY_RATIO, Max(place->records, lists)};
		return;
	}
	place->multiple *= more;
	place->records *= more;
	if (place->spread < VECX_ANY_RATIO)
		place->spread = 1 + (place->spread - 1) * pow(growth, RATIO_GROWTH);
}

/*
 * The same for posting lists, whose effort is the number of lists that are read:
 * vecx.probes if it is set, else by the target and the curve.
 */
void
VecxProbesChoose(Relation index, const VecxMetaPageData *meta, int64 rows, VecxEffort *effort)
{
	double		entries = VecxListEntries(meta);
	Place		place = {UNMEASURED_PROBES, VECX_ANY_RATIO, UNMEASURED_PROBES};
	int			line;

	if (rows <= 0)
		rows = VECX_UNKNOWN_ROWS;
	if (vecx_probes > 0)
		place = (Place) {vecx_probes, VECX_ANY_RATIO, vecx_probes};
	else if (VecxCurveIsValid(&meta->curve))
	{
		place = find_place(&meta->curve, rows, VecxTargetRecall(index), &line);
		/* the curve's numbers are sixteenths in a graph */
		place.multiple *= 16;
		if (rows > VecxCurveRows[line])
		{
			place.multiple = place.records = probes_beyond(meta, rows, VecxTargetRecall(index));
			place.spread = VECX_ANY_RATIO;
		}
		grow_place(meta, RelationGetNumberOfBlocks(index), &place);
	}
	effort->rows = (int) Min(rows, VECX_MAX_EF_SEARCH);
	effort->width = (int) Min(Max(ceil(place.multiple), 1), VECX_MAX_PROBES);
	effort->spread = 1;
	effort->ratio = (float) (vecx_probe_ratio > 0 ? vecx_probe_ratio :
							 place.spread < VECX_ANY_RATIO ? place.spread : get_float4_infinity());
	effort->records = (float) (place.records * entries);
}

/*
 * The same of lists of which a filter lets a share pass: the rows wanted are among the
 * nearest rows / share.
 */
void
VecxProbesOfShare(Relation index, const VecxMetaPageData *meta, int64 rows, double share,
				  VecxEffort *effort)
{
	int64		wanted = rows > 0 ? rows : VECX_UNKNOWN_ROWS;

	VecxProbesChoose(index, meta, (int64) Min((double) wanted / share, 1e9), effort);
	effort->rows = (int) Min(wanted, VECX_MAX_EF_SEARCH);
}

/* How far away the nearest are that a narrow search finds, which can go on from there. */
float
VecxEffortLook(VecxSearch *search)
{
	VecxSearchRun(search, NEAR_WIDTH);
	return VecxSearchNear(search);
}

/* The share of the curve's queries that had their nearest nearer. */
static double
hardness(const VecxEffort *effort, float near)
{
	const float *points = effort->near;
	int			i = 0;

	while (i < VECX_CURVE_NEAR && points[i] < near)
		i++;
	if (i == 0 || i == VECX_CURVE_NEAR)
		return i == 0 ? 0 : 1;
	return (i - 0.5 + (near - points[i - 1]) / (points[i] - points[i - 1])) / VECX_CURVE_NEAR;
}

/* Whether a narrow search comes before one of this effort. */
static bool
looks_first(const VecxEffort *effort)
{
	return effort->spread > 1 && effort->width > NEAR_WIDTH;
}

/* The width of a search whose nearest are so far away. */
int
VecxEffortWidth(const VecxEffort *effort, float near)
{
	double		width = effort->width;

	if (!looks_first(effort))
		return effort->width;
	width *= pow(effort->spread, 2 * hardness(effort, near) - 1);
	return Max((int) rint(Min(width, Max(VecxWidestBatch(), effort->width))), Min(effort->rows, effort->width));
}

/*
 * The first batch of a search that has been started, nothing of which has been
 * taken yet; width is 0, or what an effort before came to.  Returns the width that
 * it comes to.
 */
int
VecxEffortSearch(VecxSearch *search, const VecxEffort *effort, int width)
{
	int			wanted = looks_first(effort) ? VecxEffortWidth(effort, VecxEffortLook(search)) :
		effort->width;

	width = Max(width, wanted);
	VecxSearchRun(search, width);
	return width;
}

/*
 * The same once the first batch is found, of that width, if it went astray: by what it found, or
 * because hardly any query of the curve has its nearest so far away.  Returns whether it did.
 */
bool
VecxEffortMakeSure(VecxSearch *search, const VecxEffort *effort, int *width)
{
	if (VecxSearchIsRare(search) || VecxSearchPastLimit(search) ||
		(VecxSearchNear(search) <= effort->near[VECX_CURVE_NEAR - 1] && !VecxSearchIsAstray(search)))
		return false;
	VecxSearchElsewhere(search);
	*width = VecxEffortSearch(search, effort, *width);
	return true;
}

/*
 * effort.c
 *    How hard a search tries, and the curve that says what that finds.
 *
 * Queries differ: at one width one query finds all its neighbours early and
 * opens twice as many vertices for nothing, while another still finds nearer
 * ones when it ends.  So an effort is a narrow width and a patience p: the
 * search is widened as long as one of its k nearest came in the last 1 - 1/p of
 * what it opened.  A query that is hard shows it that way, and gets more.
 *
 * The curve, measured by calibrate.c and kept in the metapage, says for
 * efforts of growing level which share of the nearest rows they find; the
 * recall that is asked for picks the effort.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"

#include "am/am.h"
#include "am/heap.h"
#include "am/list.h"

/* Rows wanted when nobody says how many. */
#define UNKNOWN_ROWS	10

/* The narrowest first width, and the fewest nearest whose coming is watched:
 * of fewer, the last one comes early by chance. */
#define LEAST_WIDTH		4
#define LEAST_WATCHED	3

/* Records opened for each one that the width counts, where nothing was measured. */
#define RECORDS_PER_WIDTH	1.3

/* A search is widened by a quarter at a time, to so many times its width at most. */
#define WIDEN(width)	((width) + (width) / 4 + 1)
#define MOST_WIDENED	32

/* How many rows the curve's lines are about. */
const int	VecxCurveRows[VECX_CURVE_KS] = {1, 10, 100};

/*
 * The levels of effort.  Patience beyond the last one here gains less than
 * width does.
 */
static const struct
{
	float		multiple;
	float		patience;
}			levels[VECX_CURVE_POINTS] = {
	{1, 1}, {1.2f, 1}, {1.4f, 1.02f}, {1.7f, 1.04f}, {2, 1.06f}, {2.4f, 1.08f}, {2.8f, 1.1f}, {3.4f, 1.13f},
	{4, 1.16f}, {5, 1.2f}, {6, 1.25f}, {8, 1.3f}, {11, 1.4f}, {16, 1.6f}, {24, 1.8f}, {40, 2}
};

/* The widest batch that work_mem allows. */
int
VecxWidestBatch(void)
{
	return (int) Min((int64) work_mem * 1024 / 4 / (int64) sizeof(VecxOpened), VECX_MAX_EF_SEARCH);
}

static int
first_width(int64 rows, double multiple)
{
	double		width = (double) Max(rows, LEAST_WIDTH) * multiple;

	return (int) Min(Max(width, 1), Max(VecxWidestBatch(), VECX_UNMEASURED_WIDTH));
}

static void
set_effort(VecxEffort *effort, int64 rows, double multiple, double patience)
{
	effort->rows = (int) Min(Max(rows, 1), VECX_MAX_EF_SEARCH);
	effort->width = first_width(rows, multiple);
	effort->patience = (float) patience;
	effort->records = (float) (effort->width * RECORDS_PER_WIDTH * patience);
}

/* Makes a point of the curve for a level, and the level's effort. */
void
VecxEffortOfLevel(int level, int rows, VecxCurvePoint *point, VecxEffort *effort)
{
	memset(point, 0, sizeof(VecxCurvePoint));
	point->multiple = (uint16) (levels[level].multiple * 16);
	point->patience = (uint16) (levels[level].patience * 256);
	set_effort(effort, rows, point->multiple / 16.0, point->patience / 256.0);
}

/* What is left out, of 1; never so little that its logarithm would not do. */
static double
misses(double share)
{
	return Max(1 - share, 0.5 / PG_UINT16_MAX);
}

/* A place on a line of the curve, or between two lines. */
typedef struct Place
{
	double		multiple;
	double		patience;
	double		records;
} Place;

static Place
place_of(const VecxCurvePoint *point)
{
	return (Place) {point->multiple / 16.0, point->patience / 256.0, Max(point->records, 1)};
}

/* Between two places: at 0 a, at 1 b. */
static Place
between(Place a, Place b, double at)
{
	at = Min(Max(at, 0), 1);
	return (Place) {
		a.multiple * pow(b.multiple / a.multiple, at),
			a.patience * pow(b.patience / a.patience, at),
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

	while (i < VECX_CURVE_KS - 1 && rows > VecxCurveRows[i])
		i++;
	place = read_line(curve->points[i], curve->npoints[i], target);
	*line = i;
	if (i > 0 && rows < VecxCurveRows[i])
		place = between(read_line(curve->points[i - 1], curve->npoints[i - 1], target), place,
						log((double) rows / VecxCurveRows[i - 1]) /
						log((double) VecxCurveRows[i] / VecxCurveRows[i - 1]));
	return place;
}

static void
read_curve(const VecxCurveData *curve, int64 rows, double target, VecxEffort *effort)
{
	int			i;
	Place		place = find_place(curve, rows, target, &i);

	set_effort(effort, rows, place.multiple, place.patience);
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
		if (curve->npoints[i] < 1 || curve->npoints[i] > VECX_CURVE_POINTS)
			return false;
		for (int j = 0; j < curve->npoints[i]; j++)
		{
			const VecxCurvePoint *p = &curve->points[i][j];

			if (p->multiple == 0 || p->patience < 256 ||
				(j > 0 && p->lower < curve->points[i][j - 1].lower))
				return false;
		}
	}
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
	bool		known = rows > 0;

	if (!known)
		rows = UNKNOWN_ROWS;
	if (vecx_ef_search == 0 && VecxCurveIsValid(&meta->curve))
	{
		read_curve(&meta->curve, rows, VecxTargetRecall(index), effort);
		return;
	}
	set_effort(effort, rows, 1, 1);
	if (vecx_ef_search > 0)
		effort->width = vecx_ef_search;
	else
		effort->width = Max(effort->width, VECX_UNMEASURED_WIDTH);
	effort->records = (float) (effort->width * RECORDS_PER_WIDTH);
}

/*
 * The same of a search in which a filter lets a share pass.  The rows wanted are
 * among the nearest rows / share, and to find these takes an effort of which the
 * same share passes: the rarer what passes, the fewer of it need be found.
 */
void
VecxEffortOfShare(Relation index, const VecxMetaPageData *meta, int64 rows, double share,
				  VecxEffort *effort)
{
	int64		wanted = rows > 0 ? rows : UNKNOWN_ROWS;

	VecxEffortChoose(index, meta, (int64) Min((double) wanted / share, 1e9), effort);
	if (vecx_ef_search == 0)
		effort->width = (int) Max(ceil(effort->width * share), (double) LEAST_WIDTH);
	effort->rows = (int) Min(wanted, VECX_MAX_EF_SEARCH);
	effort->width = Max(effort->width, Min(effort->rows, Max(VecxWidestBatch(), effort->width)));
}

/* Lists to read while the index has no curve. */
#define UNMEASURED_PROBES	16

/* The greatest ratio that a point has room for, which stands for none. */
#define VECX_ANY_RATIO	(PG_UINT16_MAX / 256.0)

/*
 * Lists to read for more rows than the curve's last line is about.  From line to line
 * their number grows by a power of the rows; far out by the rows themselves, since a
 * ball that is large has whole lists within.
 */
static double
probes_beyond(const VecxMetaPageData *meta, int64 rows, double target)
{
	const int	last = VECX_CURVE_KS - 1;
	const VecxCurveData *curve = &meta->curve;
	double		few = read_line(curve->points[last - 1], curve->npoints[last - 1], target).records;
	double		many = read_line(curve->points[last], curve->npoints[last], target).records;
	double		growth = (double) rows / VecxCurveRows[last];
	double		power = log(many / few) / log((double) VecxCurveRows[last] / VecxCurveRows[last - 1]);

	return Max(many * pow(growth, Min(Max(power, 0.5), 1)), (double) rows / meta->list_rows);
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
		rows = UNKNOWN_ROWS;
	if (vecx_probes > 0)
		place = (Place) {vecx_probes, VECX_ANY_RATIO, vecx_probes};
	else if (VecxCurveIsValid(&meta->curve))
	{
		double		growth;

		place = find_place(&meta->curve, rows, VecxTargetRecall(index), &line);
		/* the curve's numbers are sixteenths in a graph */
		place.multiple *= 16;
		if (rows > VecxCurveRows[line])
		{
			place.multiple = place.records = probes_beyond(meta, rows, VecxTargetRecall(index));
			place.patience = VECX_ANY_RATIO;
		}
		/* lists have become more */
		growth = sqrt(Max((double) RelationGetNumberOfBlocks(index) / Max(meta->curve.nblocks, 1), 1));
		place.multiple *= growth;
		place.records *= growth;
	}
	effort->rows = (int) Min(rows, VECX_MAX_EF_SEARCH);
	effort->width = (int) Min(Max(ceil(place.multiple), 1), VECX_MAX_PROBES);
	effort->patience = 1;
	effort->ratio = (float) (vecx_probe_ratio > 0 ? vecx_probe_ratio :
							 place.patience < VECX_ANY_RATIO ? place.patience : get_float4_infinity());
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
	int64		wanted = rows > 0 ? rows : UNKNOWN_ROWS;

	VecxProbesChoose(index, meta, (int64) Min((double) wanted / share, 1e9), effort);
	effort->rows = (int) Min(wanted, VECX_MAX_EF_SEARCH);
}

/* The k-th smallest navigation distance of the first n opened. */
static float
kth_distance(const VecxOpened *opened, int n, int k)
{
	float	   *heap = palloc(sizeof(float) * k);
	int			count = 0;
	float		kth;

	for (int i = 0; i < n; i++)
		VecxKeepNearest(heap, &count, k, opened[i].nav);
	kth = heap[0];
	pfree(heap);
	return kth;
}

/* Whether one of the nearest was among the last that a search opened. */
static bool
still_improves(VecxSearch *search, const VecxEffort *effort)
{
	int			n;
	const VecxOpened *opened = VecxSearchOpened(search, &n);
	int			watched = Max(effort->rows, LEAST_WATCHED);
	int			early = (int) (n / effort->patience);
	float		kth;

	if (early < watched)
		return true;
	kth = kth_distance(opened, early, watched);
	for (int i = early; i < n; i++)
		if (opened[i].nav < kth)
			return true;
	return false;
}

/*
 * The first batch of a search that has been started, nothing of which has been
 * taken yet; width is 0, or what an effort of a lower level came to.  Returns
 * the width that it comes to.
 */
int
VecxEffortSearch(VecxSearch *search, const VecxEffort *effort, int width)
{
	int			widest = (int) Min((int64) effort->width * MOST_WIDENED,
								   Max(VecxWidestBatch(), effort->width));

	width = Max(width, effort->width);
	VecxSearchRun(search, width);
	while (effort->patience > 1 && width < widest && VecxSearchHasMore(search) &&
		   !VecxSearchIsRare(search) && still_improves(search, effort))
	{
		width = Min(WIDEN(width), widest);
		VecxSearchRun(search, width);
	}
	return width;
}

/* The same once the first batch is found, if that went astray. */
int
VecxEffortMakeSure(VecxSearch *search, const VecxEffort *effort, int width)
{
	if (VecxSearchIsRare(search) || VecxSearchPastLimit(search) || !VecxSearchIsAstray(search))
		return width;
	VecxSearchElsewhere(search);
	return VecxEffortSearch(search, effort, width);
}

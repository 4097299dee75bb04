/*
 * list_probes.c
 *    The curve of posting lists: which share of the nearest rows is in how many of
 *    the nearest lists.
 *
 * A search reads the nearest lists, a number of them at most, and of these only the
 * ones that are no farther than so many times the nearest: queries in the middle of a
 * cluster need few, those between clusters many (SPANN's pruning).  Both numbers
 * make an effort.  Efforts of a grid are tried on each query; of those that find as
 * much the one that reads least comes into the curve.
 */
#include "postgres.h"

#include <math.h>

#include "am/list.h"

/* Ratios of distances that are tried; the last one prunes nothing. */
static const float ratios[] = {
	1.02f, 1.04f, 1.06f, 1.08f, 1.1f, 1.13f, 1.16f, 1.2f, 1.25f, 1.3f, 1.4f, 1.5f, 1.7f, 2, 3, INFINITY
};

/* Numbers of lists that are tried. */
#define NUMBERS		32

/* Queries that the line of most rows takes: they have many rows each. */
#define LEAST_OF_MANY_ROWS	8

/* What the bounds of the estimates leave out of what is read. */
#define LOST_BY_CODES	0.003

/* An effort of the grid, summed up over the queries. */
typedef struct Sum
{
	double		share;			/* of the nearest rows */
	double		squares;
	double		lists;
} Sum;

struct VecxProbeSums
{
	VecxIndex  *index;
	uint32		nlists;
	int			nqueries[VECX_CURVE_KS];
	uint16		numbers[NUMBERS];
	int			nnumbers;
	Sum			sums[VECX_CURVE_KS][NUMBERS][lengthof(ratios)];
};

VecxProbeSums *
VecxProbeSumsMake(VecxIndex *index, uint32 nlists)
{
	VecxProbeSums *sums = palloc0(sizeof(VecxProbeSums));

	sums->index = index;
	sums->nlists = nlists;
	for (int i = 0; i < NUMBERS; i++)
	{
		uint16		number = (uint16) Min(ceil(pow(nlists, (double) i / (NUMBERS - 1))), PG_UINT16_MAX);

		if (sums->nnumbers == 0 || number > sums->numbers[sums->nnumbers - 1])
			sums->numbers[sums->nnumbers++] = number;
	}
	return sums;
}

/* Lists of an order that a search reads. */
static uint32
lists_read(uint32 nlists, uint32 number, uint32 within)
{
	return Min(Min(number, Max(within, VecxLeastProbes(number))), nlists);
}

/* How many of n places, in order, come before one. */
static int
places_before(const uint32 *places, int n, uint32 end)
{
	int			lo = 0;

	while (lo < n)
	{
		int			mid = (lo + n) / 2;

		if (places[mid] < end)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/* Adds a query to a line; within is how many lists are within each ratio. */
static void
add_to_line(VecxProbeSums *sums, int line, const uint32 *within, uint32 nlists, const uint32 *place, int nrows)
{
	int			n = Min(VecxCurveRows[line], nrows);
	uint32	   *sorted = palloc(sizeof(uint32) * n);

	memcpy(sorted, place, sizeof(uint32) * n);
	qsort(sorted, n, sizeof(uint32), VecxCompareUint32);
	sums->nqueries[line]++;
	for (int i = 0; i < sums->nnumbers; i++)
		for (int r = 0; r < lengthof(ratios); r++)
		{
			Sum		   *sum = &sums->sums[line][i][r];
			uint32		read = lists_read(nlists, sums->numbers[i], within[r]);
			double		share = (double) places_before(sorted, n, read) / n * (1 - LOST_BY_CODES);

			sum->share += share;
			sum->squares += share * share;
			sum->lists += read;
		}
	pfree(sorted);
}

/*
 * Adds a query: nav are the distances of all lists, nearest first; place, in the order
 * of the rows' distances, says where in it the nearest list with the row is.  Rows beyond those
 * that the few lines are about are for the last one alone, whose order does not matter.
 */
void
VecxProbeSumsAdd(VecxProbeSums *sums, const float *nav, uint32 nlists, const uint32 *place, int nrows)
{
	uint32		within[lengthof(ratios)];

	for (int r = 0; r < lengthof(ratios); r++)
	{
		float		limit = VecxProbeLimit(sums->index, nav[0], ratios[r]);

		within[r] = r > 0 ? within[r - 1] : 0;
		while (within[r] < nlists && nav[within[r]] <= limit)
			within[r]++;
	}
	for (int line = 0; line < VECX_CURVE_FEW_KS; line++)
		add_to_line(sums, line, within, nlists, place, nrows);
	if (nrows > VecxCurveRows[VECX_CURVE_FEW_KS - 1])
		add_to_line(sums, VECX_CURVE_KS - 1, within, nlists, place, nrows);
}

static double
lower_bound(const Sum *sum, int n)
{
	double		mean = sum->share / n;
	double		variance = Max(sum->squares / n - mean * mean, 0);

	return Max(mean - VECX_ONE_SIDED_90 * sqrt(variance / n), 0);
}

/* The effort that reads the fewest lists of those whose lower bound reaches a share;
 * NULL if none does. */
static const Sum *
cheapest(const VecxProbeSums *sums, int line, double share, int *number, int *ratio)
{
	const Sum  *best = NULL;

	for (int i = 0; i < sums->nnumbers; i++)
		for (int r = 0; r < lengthof(ratios); r++)
		{
			const Sum  *sum = &sums->sums[line][i][r];

			if ((best && sum->lists >= best->lists) || lower_bound(sum, sums->nqueries[line]) < share)
				continue;
			best = sum;
			*number = i;
			*ratio = r;
		}
	return best;
}

/*
 * Makes a line of the curve: the shares are spread evenly, by the logarithm of what
 * they miss, from that of the least effort to the greatest there is.
 */
static int
fill_line(const VecxProbeSums *sums, int line, VecxCurvePoint *points)
{
	const Sum  *all = &sums->sums[line][sums->nnumbers - 1][lengthof(ratios) - 1];
	int			nqueries = sums->nqueries[line];
	double		most = lower_bound(all, nqueries);
	double		least = Min(lower_bound(&sums->sums[line][0][0], nqueries), most);
	int			n = 0;

	for (int i = 0; i < VECX_CURVE_POINTS; i++)
	{
		double		missed = pow(1 - least, 1 - (double) i / (VECX_CURVE_POINTS - 1)) *
			pow(1 - most, (double) i / (VECX_CURVE_POINTS - 1));
		int			number = 0;
		int			ratio = 0;
		const Sum  *sum = cheapest(sums, line, Min(1 - missed, most), &number, &ratio);
		VecxCurvePoint *point = &points[n];

		if (!sum)
			continue;
		point->multiple = sums->numbers[number];
		point->spread = (uint16) Min(ratios[ratio] * 256, PG_UINT16_MAX);
		point->mean = (uint16) (sum->share / nqueries * PG_UINT16_MAX);
		point->lower = (uint16) (lower_bound(sum, nqueries) * PG_UINT16_MAX);
		point->records = (uint16) Min(ceil(sum->lists / nqueries), PG_UINT16_MAX);
		if (n == 0 || point->lower > point[-1].lower)
			n++;
	}
	return n;
}

static void
set_curve(VecxMetaPageData *meta, void *arg)
{
	meta->curve = *(const VecxCurveData *) arg;
	meta->curve.model = meta->current_model;
}

/* The line that is about most rows, if it was measured; else as it was, if lists are as they were. */
static void
set_last_line(const VecxProbeSums *sums, VecxCurveData *curve)
{
	const VecxCurveData *before = &sums->index->meta.curve;
	const int	last = VECX_CURVE_KS - 1;

	if (sums->nqueries[last] >= LEAST_OF_MANY_ROWS)
		curve->npoints[last] = (uint8) fill_line(sums, last, curve->points[last]);
	else if (VecxCurveIsValid(before) && before->vertices == curve->vertices)
	{
		curve->npoints[last] = before->npoints[last];
		memcpy(curve->points[last], before->points[last], sizeof(curve->points[last]));
	}
}

/* Makes a curve of the sums and puts it into the index; false, and nothing changes,
 * if there were too few queries. */
bool
VecxProbeSumsStore(VecxProbeSums *sums, uint8 source)
{
	VecxCurveData curve;

	if (sums->nqueries[0] < VECX_LEAST_QUERIES)
		return false;
	memset(&curve, 0, sizeof(curve));
	for (int line = 0; line < VECX_CURVE_FEW_KS; line++)
		curve.npoints[line] = (uint8) fill_line(sums, line, curve.points[line]);
	curve.vertices = sums->nlists;
	curve.nblocks = RelationGetNumberOfBlocks(sums->index->rel);
	curve.queries = (uint16) Min(sums->nqueries[0], PG_UINT16_MAX);
	curve.source = source;
	set_last_line(sums, &curve);
	VecxMetaEdit(sums->index, set_curve, &curve);
	return true;
}

/* Pages of what was trained when the curve was measured: a quantiser and a model, which are
 * all of one size. */
static double
trained_then(const VecxMetaPageData *meta)
{
	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (meta->models[i].number != 0)
			return VecxBlobPages(meta->list_code_bytes) + VecxBlobPages(meta->models[i].nbytes);
	return VecxBlobPages(meta->list_code_bytes);
}

/* How many times as long the lists of an index of so many pages are as when its curve was
 * measured, at least 1.  A list has a page at least. */
double
VecxListGrowth(const VecxMetaPageData *meta, BlockNumber nblocks)
{
	double		then = Max(meta->curve.nblocks - trained_then(meta), meta->curve.vertices) / (1.0 + meta->list_behind);

	return Max(VecxListPagesAmong(nblocks, meta) / Max(then, 1), 1);
}

/* Lets the curve be that of an index with so many times as many pages of lists. */
void
VecxListCurveLengthen(VecxMetaPageData *meta, double factor)
{
	double		trained = trained_then(meta);

	meta->curve.nblocks = (BlockNumber) Min(trained + Max(meta->curve.nblocks - trained, 0) * factor, MaxBlockNumber);
}

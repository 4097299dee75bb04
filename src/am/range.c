/*
 * range.c
 *    Scans that end at a distance: `v <->@ (center, radius)`, which also stands
 *    for `v <-> center < radius`.
 *
 * A search of some width finds the nearest vertices; the range is what of them is
 * within the radius.  It is complete, as far as the search itself is, when the
 * search went well beyond it: when it ranked at least twice as many
 * vertices as are within.  Every row is rechecked by the executor.  Posting lists have
 * a rule of their own (list_read.c).
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/float.h"

#include "am/am.h"

/* The parts of a key's ball; false if one is NULL, so that no row is in it. */
bool
VecxBallOpen(ScanKey key, Datum *center, double *radius)
{
	HeapTupleHeader ball;
	bool		no_center;
	bool		no_radius;

	if (key->sk_flags & SK_ISNULL)
		return false;
	ball = DatumGetHeapTupleHeader(key->sk_argument);
	*center = GetAttributeByNum(ball, 1, &no_center);
	*radius = DatumGetFloat8(GetAttributeByNum(ball, 2, &no_radius));
	return !no_center && !no_radius;
}

/*
 * An infinite or NaN radius ends nothing.  The rank is computed in float, so that
 * a row at the radius exactly may seem to be beyond it by some rounding.
 */
void
VecxRangeInit(VecxRange *range, VecxMetric metric, uint32 dim, double radius)
{
	double		rank = VecxRankFromOperator(metric, radius);

	range->active = isfinite(radius);
	range->radius = radius;
	range->vertices = 0;
	if (metric == VECX_METRIC_L2 && radius < 0)
		rank = -1;
	range->max_rank = (float) (rank + (8 + dim / 16) * FLT_EPSILON * (1 + fabs(rank)));
}

/* Whether a search that ranked so many vertices went far enough. */
bool
VecxRangeIsDone(const VecxRange *range, int64 found)
{
	int			least = vecx_ef_search > 0 ? vecx_ef_search : VECX_UNMEASURED_WIDTH;

	return range->active && found >= least && found / 2 >= range->vertices;
}

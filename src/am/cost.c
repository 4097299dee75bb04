/*
 * cost.c
 *    What the planner is told.
 *
 * Only an ordered scan makes sense of this index, and one that does not have to
 * be exact to the last row.  Its first row costs a search
 * of the width that is set; every further row its share of wider ones.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "am/am.h"
#include "am/plan.h"

/* Records opened for each one that the width counts, and hops on each level. */
#define OPENED_PER_WIDTH	1.3
#define HOPS_PER_LEVEL		4.0
/* A sketch costs a small part of what an operator call costs. */
#define SKETCHES_PER_OPERATOR 16.0

void
vecxcostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				 Cost *startup, Cost *total, Selectivity *selectivity,
				 double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	VecxOptions *options;
	Relation	rel;
	double		random_page_cost_here;
	double		tuples = Max(info->tuples, 1.0);
	double		opened;
	double		cost_per_record;
	int			m;

	*selectivity = 1.0;
	*correlation = 0.0;
	*pages = info->pages;
	if (path->indexorderbys == NIL ||
		!VecxOrderSuffices(root, info->rel, path->path.pathkeys))
	{
		*startup = *total = get_float8_infinity();
		return;
	}

	rel = index_open(info->indexoid, NoLock);
	options = (VecxOptions *) rel->rd_options;
	m = options ? options->m : VECX_DEFAULT_M;
	index_close(rel, NoLock);
	get_tablespace_page_costs(info->reltablespace, &random_page_cost_here, NULL);

	/*
	 * A record is one page read; pages of an index in use are mostly cached,
	 * and a search never reads more of them than there are.
	 */
	opened = Min(vecx_ef_search * OPENED_PER_WIDTH +
				 HOPS_PER_LEVEL * log(tuples) / log(2.0 * m), tuples);
	cost_per_record = 2 * m * cpu_operator_cost / SKETCHES_PER_OPERATOR +
		cpu_index_tuple_cost +
		random_page_cost_here * Min(info->pages / Max(opened, 1.0), 1.0) *
		(1.0 - Min(1.0, (double) effective_cache_size / Max(info->pages, 1)) * 0.9);
	*startup = opened * cost_per_record;
	*total = *startup + tuples * (cost_per_record + cpu_operator_cost);
	*pages = Min(opened, info->pages);
}

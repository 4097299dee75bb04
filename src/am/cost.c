/*
 * cost.c
 *    What the planner is told.
 *
 * Only a scan in order of a distance, or within one, makes sense of this index,
 * and one that does not have to be exact to the last row.  Its first row costs a
 * search of the effort that the recall asked for takes; every further row its
 * share of wider ones, and its look at the table.
 *
 * The unit is what a sequential scan of a table in memory makes of it, some 2 to
 * 4 microseconds: with PostgreSQL's default costs a random page is four, which
 * is that of a disk.  A page of an index that fits the cache is taken for a
 * fifth of it.  The constants were fitted to times of some fifty queries over
 * tables of 60 to 60,000 rows, in line and in TOAST.
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

#include "am/list.h"
#include "am/plan.h"

/* Hops on each level above the base. */
#define HOPS_PER_LEVEL		4.0
/* Records opened for each row that is read beyond: batches grow by as much again. */
#define OPENED_PER_ROW		2.0
/* A sketch costs a small part of what an operator call costs. */
#define SKETCHES_PER_OPERATOR 16.0
/* Elements of a code, and products of the query's projection, in an operator. */
#define ELEMENTS_PER_OPERATOR 256.0
#define PRODUCTS_PER_OPERATOR 200.0
/* Centroids opened for each list that is read, and rows of lists whose distances
 * are taken from the table before one is returned. */
#define CENTROIDS_PER_LIST	1.3
#define EXACT_ROWS			60.0
/* Share of the cost of a page that is left when it is in memory. */
#define CACHED_PAGE			0.2
/* The same when pages are read one after the other, where few rows pass a filter. */
#define SWEPT_PAGE			0.5

/*
 * Share of the rows whose values are fetched to put them in exact order, by what
 * the index keeps of them.
 */
static double
exact_share(const VecxMetaPageData *meta)
{
	int			i = 0;

	while (i < VECX_MAX_PARTS - 1 && meta->parts[i].part != VECX_PART_CODE)
		i++;
	switch (meta->parts[i].format)
	{
		case VECX_CODE_NONE:
		case VECX_CODE_BITS:
			return 0.1;
		case VECX_CODE_HALF:
			return 0.25;
		case VECX_CODE_SQ8:
		case VECX_CODE_RABITQ8:
		case VECX_CODE_RABITQ8 - 1:
			return 0.5;
		default:
			return 1.0;
	}
}

static double
page_cost(IndexOptInfo *info)
{
	double		random_page;
	double		cached = Min(1.0, (double) effective_cache_size / Max(info->pages, 1));

	get_tablespace_page_costs(info->reltablespace, &random_page, NULL);
	return random_page * (1.0 - cached * (1.0 - CACHED_PAGE));
}

/* Whether a scan ends at a distance: a condition on the vector that is not about NULL. */
static bool
has_range(const IndexPath *path)
{
	ListCell   *lc;

	foreach(lc, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		if (clause->indexcol == 0 && IsA(clause->rinfo->clause, OpExpr))
			return true;
	}
	return false;
}

/* The share of rows that meets the conditions on the index's columns from first on. */
static double
share_of_columns(PlannerInfo *root, const IndexPath *path, int first)
{
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		if (clause->indexcol >= first)
			quals = lappend(quals, clause->rinfo);
	}
	return clauselist_selectivity(root, quals, path->indexinfo->rel->relid, JOIN_INNER, NULL);
}

/* What a scan of an index is expected to do. */
typedef struct ScanCost
{
	double		tuples;			/* of the index */
	double		pages;			/* read before the first row */
	Cost		startup;
	Cost		per_row;
	Cost		per_lookup;		/* of a row that is looked at for its distance alone */
} ScanCost;

/*
 * Posting lists: the search for centroids, the lists, and the rows whose distances
 * are taken from the table before one is returned.  Each row beyond is one of
 * further lists.
 */
static void
estimate_lists(IndexOptInfo *info, const VecxMetaPageData *meta, double probes,
			   double cpu_per_record, Cost exact, ScanCost *cost)
{
	double		page = page_cost(info);
	double		nlists = Max(cost->tuples / meta->list_rows, 1);
	Cost		per_row = cpu_operator_cost * meta->dim / PRODUCTS_PER_OPERATOR / VECX_LIST_BLOCK;

	probes = Min(probes, nlists);
	cost->pages = Min(ceil(probes * (1 + info->pages / nlists)), info->pages);
	cost->startup = cost->pages * page + probes * CENTROIDS_PER_LIST * cpu_per_record +
		cost->tuples * probes / nlists * per_row + EXACT_ROWS * exact;
	cost->per_row = info->pages / cost->tuples * page + per_row + page + exact;
}

/*
 * Estimates a scan of which a share of the rows counts: it opens so many more
 * records for each, or reads the whole index in order if that is cheaper.
 */
static void
estimate_scan(PlannerInfo *root, IndexOptInfo *info, List *orderbys, double share,
			  double passing, ScanCost *cost)
{
	Relation	rel;
	VecxMetaPageData meta;
	const VecxOpSpec *spec;
	VecxEffort	effort;
	QualCost	distance = {0, 0};
	double		wanted = Max(root->limit_tuples, 0) / passing;
	double		opened;
	double		page = page_cost(info);
	double		cpu_per_record;
	Cost		opening;
	Cost		sweep;
	Cost		exact;

	if (orderbys != NIL)
		cost_qual_eval_node(&distance, linitial(orderbys), root);
	rel = index_open(info->indexoid, NoLock);
	VecxMetaRead(rel, &meta);
	spec = VecxGetOpSpec(rel);
	if (meta.structure == VECX_STRUCTURE_LISTS)
		VecxProbesChoose(rel, &meta, (int64) Min(wanted, 1e9), &effort);
	else
		VecxEffortOfShare(rel, &meta, (int64) Min(wanted, 1e9), share, &effort);
	index_close(rel, NoLock);

	cost->tuples = Max(info->tuples, 1.0);
	cpu_per_record = cpu_index_tuple_cost +
		cpu_operator_cost * (2 * meta.m / SKETCHES_PER_OPERATOR + meta.dim / ELEMENTS_PER_OPERATOR);
	opened = Min(effort.records +
				 HOPS_PER_LEVEL * log(cost->tuples) / log(2.0 * meta.m), cost->tuples);

	/*
	 * A hop is a page, but near vertices lie on common pages, and of a small
	 * index many hops find the same ones again.
	 */
	cost->pages = ceil(info->pages * (1.0 - exp(-opened / Max(info->pages, 1))));
	cost->startup = cost->pages * page + opened * cpu_per_record;
	if (!spec->is_bits)
		cost->startup += cpu_operator_cost * meta.dim * Min(meta.dim, 8.0 * meta.sketch_size) /
			PRODUCTS_PER_OPERATOR;

	sweep = info->pages * page * SWEPT_PAGE + cost->tuples * cpu_operator_cost;
	opening = OPENED_PER_ROW * (page + cpu_per_record) / share;
	if (share < 1 && sweep < cost->startup)
	{
		cost->startup = sweep;
		cost->pages = info->pages;
		opening = 0;
	}

	exact = page + distance.per_tuple;
	cost->per_lookup = page + exact;
	cost->per_row = opening +
		page +					/* of the table */
		(orderbys == NIL ? 0 : exact_share(&meta) * exact);
	if (meta.structure == VECX_STRUCTURE_LISTS)
		estimate_lists(info, &meta, effort.width / share, cpu_per_record,
					   orderbys == NIL ? 0 : exact, cost);
}

void
vecxcostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				 Cost *startup, Cost *total, Selectivity *selectivity,
				 double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	ScanCost	cost;
	QualCost	recheck;
	List	   *quals;
	double		share;
	double		rows;
	double		returned;

	*selectivity = 1.0;
	*correlation = 0.0;
	*pages = info->pages;
	if ((path->indexorderbys == NIL && !has_range(path)) ||
		!VecxOrderSuffices(root, info->rel, path->path.pathkeys))
	{
		*startup = *total = get_float8_infinity();
		return;
	}

	quals = get_quals_from_indexclauses(path->indexclauses);
	/* of a range what is derived tells more than the clause, else the relation's rows are
	 * those of the clauses */
	*selectivity = has_range(path) ?
		clauselist_selectivity(root, quals, info->rel->relid, JOIN_INNER, NULL) :
		share_of_columns(root, path, 0);
	cost_qual_eval(&recheck, quals, root);
	share = Max(share_of_columns(root, path, 1), 1 / Max(info->tuples, 1.0));
	/* rows that the index returns and the executor drops are searched for as well */
	rows = path->path.param_info ? path->path.param_info->ppi_rows : info->rel->rows;
	returned = share_of_columns(root, path, 0) * (info->indpred ? info->tuples : info->rel->tuples);
	estimate_scan(root, info, path->indexorderbys, share,
				  Min(Max((rows + 1) / Max(returned, 1.0), 0.01), 1), &cost);
	*pages = cost.pages;
	*startup = cost.startup;
	*total = *startup + *selectivity * cost.tuples * (cost.per_row + recheck.per_tuple);
}

/*
 * The same for a scan that is restricted to a share of the rows: either it
 * searches for them, or it looks them all up.
 */
void
VecxCostOfRows(PlannerInfo *root, IndexPath *path, double share, Cost *startup, Cost *run)
{
	IndexOptInfo *info = path->indexinfo;
	ScanCost	cost;
	double		rows;

	share = Max(share, 1 / Max(info->tuples, 1.0));
	rows = share * Max(info->tuples, 1.0);
	estimate_scan(root, info, path->indexorderbys, share,
				  Min(Max(info->rel->rows / rows, 0.01), 1), &cost);
	if (cost.startup < rows * cost.per_lookup)
	{
		*startup = cost.startup;
		*run = rows * cost.per_row;
	}
	else
	{
		*startup = rows * cost.per_lookup;
		*run = 0;
	}
}

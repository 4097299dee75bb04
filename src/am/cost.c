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
#include "compat.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "am/list.h"
#include "am/plan.h"
#include "am/vtree.h"

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
/* What a scan's own reader of values out of line (toast.c) takes of what the operator
 * takes to fetch its argument. */
#define VALUE_READ			0.3
/* A row of a list that is tested, in calls of an operator. */
#define TEST_PER_OPERATOR	2.0
/* That are wanted by a LIMIT which is not known. */
#define ROWS_OF_UNKNOWN_LIMIT	100.0
/* Of a value tree: entries on a page, with sketches and without; records opened in any
 * case. */
#define ENTRIES_PER_PAGE	150.0
#define ROWS_PER_TREE_PAGE	400.0
#define OPENED_BY_TREE		40.0
/* Records tested before a search is given up for reading the whole index. */
#define TESTED_ANYWAY		100.0
/* Share of the cost of a page that is left when it is in memory. */
#define CACHED_PAGE			0.2

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

/* Which shares of the rows count. */
typedef struct Shares
{
	double		all;			/* of all conditions */
	double		narrowest;		/* of the filter column that lets the fewest pass, by what
								 * the value tree tells */
} Shares;

static double
share_of_clauses(PlannerInfo *root, IndexOptInfo *info, List *clauses)
{
	if (clauses == NIL)
		return 1;
	return clauselist_selectivity(root, get_quals_from_indexclauses(clauses),
								  info->rel->relid, JOIN_INNER, NULL);
}

static bool
is_in_path(const IndexPath *path, const RestrictInfo *rinfo)
{
	ListCell   *lc;

	foreach(lc, path->indexclauses)
		if (lfirst_node(IndexClause, lc)->rinfo == rinfo)
			return true;
	return false;
}

/*
 * The conditions of which a scan makes an OR over filter columns (scan_or.c): they are in no
 * path.  One that a security barrier keeps back is not used.
 */
static List *
or_clauses(PlannerInfo *root, const IndexPath *path)
{
	IndexOptInfo *info = path->indexinfo;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, info->nkeycolumns > 1 && vecx_enable_paths ? info->indrestrictinfo : NIL)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (restriction_is_or_clause(rinfo) && restriction_is_securely_promotable(rinfo, info->rel) &&
			!is_in_path(path, rinfo) && VecxMatchOr(info, (Node *) rinfo->clause) != NIL &&
			(root->qual_security_level == 0 || !contain_leaked_vars((Node *) rinfo->clause)))
			result = lappend(result, rinfo);
	}
	return result;
}

/* The shares of rows that conditions on filter columns let pass, ORs among them. */
static Shares
filtered_shares(PlannerInfo *root, const IndexPath *path, List *ors)
{
	Shares		result = {1, 1};
	const VecxFilters *filters = ors != NIL ? VecxFiltersOfPlan(path->indexinfo) : NULL;
	List	   *all = NIL;
	List	   *column = NIL;
	ListCell   *lc;

	foreach(lc, ors)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (VecxTreeTellsOr(filters, path->indexinfo, VecxMatchOr(path->indexinfo, (Node *) rinfo->clause)))
			result.narrowest = Min(result.narrowest,
								   clause_selectivity(root, (Node *) rinfo, path->indexinfo->rel->relid,
													  JOIN_INNER, NULL));
	}

	foreach(lc, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		if (clause->indexcol == 0)
			continue;
		all = list_concat(all, list_copy(clause->indexquals));
		if (!filters)
			filters = VecxFiltersOfPlan(path->indexinfo);
		if (!VecxTreeTells(filters, path->indexinfo, clause))
			continue;
		if (column != NIL && linitial_node(IndexClause, column)->indexcol != clause->indexcol)
			column = NIL;
		column = lappend(column, clause);
		result.narrowest = Min(result.narrowest,
							   share_of_clauses(root, path->indexinfo, column));
	}
	result.all = clauselist_selectivity(root, list_concat(all, list_copy(ors)), path->indexinfo->rel->relid,
										JOIN_INNER, NULL);
	return result;
}

/* What a scan of an index is expected to do. */
typedef struct ScanCost
{
	double		tuples;			/* of the index */
	double		pages;			/* read before the first row */
	double		found;			/* rows that the first batch is to find */
	bool		by_lists;
	Cost		startup;
	Cost		page;			/* that is likely to be in memory */
	Cost		per_row;		/* of each row that is returned, but for its page of the table */
	Cost		beyond;			/* to find one more than the first batch has */
	Cost		per_lookup;		/* of a row that is looked at for its distance alone */
} ScanCost;

/*
 * What it takes to find the first batch of those that count: records opened, entries
 * of the value tree read (0: the graph is searched), and whether all of the index is
 * read because that is less work.
 */
static void
estimate_work(IndexOptInfo *info, Shares shares, const VecxEffort *effort,
			  double *opened, double *entries, bool *all)
{
	double		tuples = Max(info->tuples, 1.0);
	double		found = shares.narrowest * tuples;

	*opened = Max(effort->records, effort->width / shares.all);
	*entries = 0;
	*all = false;
	if (shares.narrowest < 1 && Min(OPENED_BY_TREE, found) + found / VECX_TREE_ENTRIES_PER_HOP < *opened)
	{
		*entries = found;
		*opened = Min(OPENED_BY_TREE + effort->rows * shares.narrowest / shares.all, found);
	}
	else if (shares.all < 1 && effort->width / shares.all > Max(info->pages / 2.0, TESTED_ANYWAY))
	{
		*opened = tuples;
		*all = true;
	}
}

/* Rows that the value tree of posting lists knows, if that takes less than the lists:
 * all are looked up, and none is left to find. */
static void
estimate_tree_rows(const VecxMetaPageData *meta, Shares shares, Cost page, ScanCost *cost)
{
	double		found = shares.narrowest * cost->tuples;
	double		pages = ceil(found / ROWS_PER_TREE_PAGE) + 2;
	Cost		startup = pages * page + found * cost->per_lookup;

	if (shares.narrowest == 1 || startup >= cost->startup)
		return;
	cost->startup = startup;
	cost->pages = pages;
	cost->per_row = cost->beyond = 0;
}

/*
 * Posting lists: the search for centroids, the lists, and the rows whose distances
 * are taken from the table before one is returned.  Each row beyond is one of
 * further lists, of which a share passes.
 */
static void
estimate_lists(IndexOptInfo *info, const VecxMetaPageData *meta, Shares shares, double probes,
			   double cpu_per_record, Cost distance, ScanCost *cost)
{
	double		page = page_cost(info);
	double		nlists = Max(cost->tuples / meta->list_rows, 1);
	double		pages = VecxListPagesAmong(info->pages, meta);
	Cost		per_row = cpu_operator_cost * meta->dim / PRODUCTS_PER_OPERATOR / VECX_LIST_BLOCK;

	if (shares.all < 1)
		per_row += cpu_operator_cost * TEST_PER_OPERATOR;
	probes = Min(probes, nlists);
	cost->pages = Min(ceil(probes * (1 + pages / nlists)), pages);
	cost->startup = cost->pages * page + probes * CENTROIDS_PER_LIST * cpu_per_record +
		probes * VecxListEntries(meta) * per_row +
		(distance > 0 ? EXACT_ROWS * (page + distance) : 0);
	cost->per_row = distance;
	cost->beyond = (pages / cost->tuples * page + per_row) / shares.all;
	estimate_tree_rows(meta, shares, page, cost);
}

/* The share of the rows that pass an index's conditions which other conditions let pass. */
static double
passing_others(const IndexOptInfo *info, double share)
{
	double		tuples = Max(info->tuples, 1);

	return Min(Max(info->rel->rows / (tuples * Max(share, 1 / tuples)), VECX_LEAST_PASSING), 1);
}

/* What it takes a scan to compute the distance that it is ordered by. */
Cost
VecxCostOfDistance(PlannerInfo *root, Node *order)
{
	QualCost	distance;

	cost_qual_eval_node(&distance, order, root);
	return distance.per_tuple * VALUE_READ;
}

/*
 * Estimates a scan of which a share of the rows counts: it opens so many more
 * records for each.  Of the rows that it returns other conditions let a share pass.
 */
static void
estimate_scan(PlannerInfo *root, IndexOptInfo *info, List *orderbys, Shares shares, double passing,
			  ScanCost *cost)
{
	Relation	rel;
	VecxMetaPageData meta;
	const VecxOpSpec *spec;
	VecxEffort	effort;
	Cost		distance = orderbys != NIL ? VecxCostOfDistance(root, linitial(orderbys)) : 0;
	double		tuples = Max(info->tuples, 1.0);
	int64		wanted;
	double		opened;
	double		entries;
	bool		few;			/* entries, all of which are opened without a search */
	bool		all;
	double		page = page_cost(info);
	double		cpu_per_record;
	Cost		exact;

	shares.all = Min(Max(shares.all, 1 / tuples), 1);
	wanted = orderbys == NIL ? 0 : (int64) Min(Max(root->limit_tuples, 0) / passing, 1e9);
	rel = index_open(info->indexoid, NoLock);
	VecxMetaRead(rel, &meta);
	spec = VecxGetOpSpec(rel);
	if (meta.structure == VECX_STRUCTURE_LISTS)
		VecxProbesOfShare(rel, &meta, wanted, shares.all, &effort);
	else if (shares.all < 1)
		VecxEffortOfShare(rel, &meta, wanted, shares.all, &effort);
	else
		VecxEffortChoose(rel, &meta, wanted, &effort);
	index_close(rel, NoLock);

	cost->tuples = tuples;
	cost->found = effort.rows;
	cost->page = page;
	cost->by_lists = meta.structure == VECX_STRUCTURE_LISTS;
	cpu_per_record = cpu_index_tuple_cost +
		cpu_operator_cost * (2 * meta.m / SKETCHES_PER_OPERATOR + meta.dim / ELEMENTS_PER_OPERATOR);
	exact = orderbys == NIL ? 0 : page + distance;
	cost->per_lookup = page + exact;
	if (meta.structure == VECX_STRUCTURE_LISTS)
	{
		estimate_lists(info, &meta, shares, effort.records / VecxListEntries(&meta), cpu_per_record, distance,
					   cost);
		return;
	}
	estimate_work(info, shares, &effort, &opened, &entries, &all);
	few = entries > 0 && entries <= VECX_TREE_TOO_FEW_TO_SCORE;
	if (!few)
		opened = Min(opened + HOPS_PER_LEVEL * log(tuples) / log(2.0 * meta.m), tuples);
	cost->per_row = exact_share(&meta) * distance;
	cost->beyond = 0;

	/*
	 * A hop is a page, but near vertices lie on common pages, and of a small
	 * index many hops find the same ones again.  Whoever has read all that may match,
	 * reads no more for further rows.
	 */
	cost->pages = info->pages;
	if (!all)
		cost->pages = ceil(info->pages * (1.0 - exp(-opened / Max(info->pages, 1)))) +
			ceil(entries / ENTRIES_PER_PAGE);
	if (entries > 0)
		cost->beyond = (page + cpu_per_record) * shares.narrowest / shares.all;
	else if (!all)
		cost->beyond = OPENED_PER_ROW * (page + cpu_per_record) / shares.all +
			(1 - exact_share(&meta)) * exact;	/* larger batches need them all */
	cost->startup = cost->pages * page + opened * cpu_per_record +
		entries * (page + cpu_per_record) / VECX_TREE_ENTRIES_PER_HOP;
	if (!spec->is_bits && !few)
		cost->startup += cpu_operator_cost * meta.dim * Min(meta.dim, 8.0 * meta.sketch_size) /
			PRODUCTS_PER_OPERATOR;
}

/* What a share of the rows costs. */
static Cost
cost_of_share(Cost startup, Cost run, double share)
{
	return startup + run * Min(share, 1);
}

/* Whether nobody takes more rows of a scan than the query's LIMIT takes of those that
 * meet all conditions. */
static bool
limit_is_known(const PlannerInfo *root, const RelOptInfo *rel)
{
	return root->limit_tuples > 0 && bms_equal(rel->relids, root->all_baserels) &&
		list_length(root->query_pathkeys) == 1;
}

/*
 * What a scan is taken to read of its rows.  Of a LIMIT that is not known,
 * PostgreSQL takes a tenth of the rows for granted, which is a sort's case; who orders
 * by distance wants few, however many rows there are.
 */
static double
unknown_limit_share(const PlannerInfo *root, const IndexPath *path)
{
	double		fraction = root->tuple_fraction;

	if (path->indexorderbys == NIL || root->limit_tuples >= 0 || !root->parse->limitCount ||
		fraction <= 0 || fraction >= 1)
		return 1;
	return Min(1, ROWS_OF_UNKNOWN_LIMIT / (fraction * Max(path->indexinfo->rel->rows, 1)));
}

/*
 * What so many rows that a scan returns cost after its first batch, which has found some
 * already.  Where a LIMIT will be taken of the sum, its part is right, the sum is not.
 *
 * Each page of the table PostgreSQL counts once, and from the disk: the exact tier's look
 * at a row is the same as the executor's, and only rows that share a page are
 * counted here.
 */
static Cost
cost_of_rows(const PlannerInfo *root, const IndexPath *path, const ScanCost *cost, double rows)
{
	const RelOptInfo *rel = path->indexinfo->rel;
	double		of_limit = unknown_limit_share(root, path);
	double		read = Max(rows * of_limit, 1);
	double		sharing = Max(1 - rel->pages / Max(rows, 1), 0);

	if (path->indexorderbys != NIL && limit_is_known(root, rel))
		read = Min(root->limit_tuples * read / Max(rel->rows, 1), read);
	return rows * of_limit *
		(cost->per_row + cost->page * sharing + cost->beyond * Max(1 - cost->found / read, 0));
}

/* Whether a scan may change to reading the table (scan_table.c), and some condition beside
 * those of the index makes it impossible to tell whether it will. */
static bool
may_change(PlannerInfo *root, const IndexPath *path, List *ors)
{
	const RelOptInfo *rel = path->indexinfo->rel;
	ListCell   *lc;

	if (!limit_is_known(root, rel) || vecx_max_scan_tuples > 0 || path->indexorderbys == NIL ||
		!VecxMeetsAgain(extract_actual_clauses(rel->baserestrictinfo, false)))
		return false;
	foreach(lc, rel->baserestrictinfo)
		if (!is_redundant_with_indexclauses(lfirst(lc), path->indexclauses) &&
			!list_member_ptr(ors, lfirst(lc)) && VecxIsGuess(root, rel->relid, lfirst(lc)))
			return true;
	return false;
}

/* What PostgreSQL is going to charge a scan of an index for the table's pages, of so many rows. */
static Cost
cost_of_table_pages(PlannerInfo *root, const IndexOptInfo *info, double rows)
{
	double		random_page;

	get_tablespace_page_costs(info->rel->reltablespace, &random_page, NULL);
	return random_page * index_pages_fetched(Max(rows, 1), info->rel->pages, (double) info->pages, root);
}

/*
 * The costs of such a scan if all rows meet the other conditions, and if so few do that the
 * table is read after the first batch.  Which it will be nobody knows: between the two
 * extremes by their logarithms.
 */
static void
estimate_change(PlannerInfo *root, const IndexPath *path, Shares shares, Cost recheck,
				double returned, Cost *startup, Cost *total)
{
	IndexOptInfo *info = path->indexinfo;
	const RelOptInfo *rel = info->rel;
	double		rows = Max(root->limit_tuples, 1);
	double		limit_share = Min(rows / Max(rel->rows, 1), 1);
	double		seq_page;
	Cost		best;
	Cost		worst;
	Cost		change;
	ScanCost	cost;

	get_tablespace_page_costs(rel->reltablespace, NULL, &seq_page);
	estimate_scan(root, info, path->indexorderbys, shares, 1, &cost);
	best = cost.startup + rows * (cost.page + cost.per_row + recheck);
	estimate_scan(root, info, path->indexorderbys, shares, VECX_LEAST_PASSING_AT_FIRST, &cost);
	worst = cost.startup + rows / VECX_LEAST_PASSING_AT_FIRST * (cost.page + cost.per_row + recheck) +
		seq_page * rel->pages + (cpu_tuple_cost + rel->baserestrictcost.per_tuple) * rel->tuples +
		rel->rows * cost.per_lookup;
	/* for as many rows as the limit takes: there is nobody to take more */
	change = Max(sqrt(best * worst) - limit_share * cost_of_table_pages(root, info, returned), best);
	if (change < cost_of_share(*startup, *total - *startup, limit_share))
		*startup = *total = change;
}

void
vecxcostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				 Cost *startup, Cost *total, Selectivity *selectivity,
				 double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	Shares		shares;
	ScanCost	cost;
	double		rows;
	QualCost	recheck;
	List	   *quals;
	List	   *clauses = NIL;
	List	   *ors = or_clauses(root, path);
	ListCell   *lc;

	/* PostgreSQL does not look at what orders a scan when it says whether a worker may run it: a
	 * query of an outer row is not known there */
	path->path.parallel_safe &= is_parallel_safe(root, (Node *) path->indexorderbys);
	*selectivity = 1.0;
	*correlation = 0.0;
	*pages = info->pages;
	/* a scan knows the order of one distance; PostgreSQL takes it for that of several */
	if ((path->indexorderbys == NIL && !has_range(path)) ||
		list_length(path->indexorderbys) > 1 ||
		!VecxOrderSuffices(root, info->rel, path->path.pathkeys))
	{
		*startup = *total = VECX_COST_RULED_OUT;
		VecxDisablePath(&path->path);
		return;
	}

	/* what is derived of a range tells more than the clause; otherwise the relation's
	 * rows are those of the clauses */
	quals = get_quals_from_indexclauses(path->indexclauses);
	foreach(lc, path->indexclauses)
		clauses = lappend(clauses, lfirst_node(IndexClause, lc)->rinfo);
	*selectivity = clauselist_selectivity(root, list_concat_copy(has_range(path) ? quals : clauses, ors),
										  info->rel->relid, JOIN_INNER, NULL);
	cost_qual_eval(&recheck, quals, root);
	shares = filtered_shares(root, path, ors);
	estimate_scan(root, info, path->indexorderbys, shares, passing_others(info, shares.all), &cost);
	*pages = cost.pages;
	*startup = cost.startup;
	rows = *selectivity * cost.tuples;
	*total = *startup + cost_of_rows(root, path, &cost, rows) + rows * recheck.per_tuple;
	if (!cost.by_lists && may_change(root, path, ors))
		estimate_change(root, path, shares, recheck.per_tuple, rows, startup, total);
}

/*
 * The same for a scan that is restricted to a share of the rows, too: either it
 * searches for them, or it looks them all up.
 */
void
VecxCostOfRows(PlannerInfo *root, IndexPath *path, double share, Cost *startup, Cost *run)
{
	IndexOptInfo *info = path->indexinfo;
	double		rows = share * Max(info->tuples, 1.0);
	Shares		shares = filtered_shares(root, path, or_clauses(root, path));
	ScanCost	cost;

	/* conditions of both are counted once; the value tree is not asked for a set */
	shares.narrowest = 1;
	shares.all = Max(share * shares.all, Min(info->rel->rows / Max(info->tuples, 1), 1));
	estimate_scan(root, info, path->indexorderbys, shares, passing_others(info, shares.all), &cost);
	*startup = cost.startup;
	*run = cost_of_rows(root, path, &cost, shares.all * cost.tuples);
	if (cost_of_share(*startup, *run, root->limit_tuples > 0 ? root->limit_tuples / Max(info->rel->rows, 1) : 1) >
		rows * cost.per_lookup)
	{
		*startup = rows * cost.per_lookup;
		*run = 0;
	}
}

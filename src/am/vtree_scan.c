/*
 * vtree_scan.c
 *    The vertices that may have a row that meets a scan's conditions, from the
 *    value tree, with estimates of their distances.
 *
 * All entries of the need with the fewest contain every vertex that matters; what
 * other needs say is looked up where that costs less than to open the vertices.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "am/vtree.h"

/*
 * Costs in hops of a search of the graph, roughly: an entry scored, an entry only
 * read; records opened by their sketches in any case.
 */
#define COST_OF_SCORING		(1.0 / VECX_TREE_ENTRIES_PER_HOP)
#define COST_OF_READING		(1.0 / 60.0)
#define OPENED_ANYWAY		40.0
/* So many entries for each vertex that was opened, or more: most were not, and the search
 * passes over those that were. */
#define OPENED_TO_ASK		8

/*
 * Recall is a mean: that the last row wanted is opened with its probability is more than
 * is asked for, since the others are with a greater one.  Of many entries, whose opening
 * costs time, .6 of the errors still found .98 where .95 was the target, and .99 for .97
 * (FMNIST and ACL, 40 to 100 queries with six filters); half of them .967 to .99.
 */
#define SHARE_OF_ERRORS	0.6f
#define FEW_TO_OPEN		256

struct VecxTreeScan
{
	VecxIndex  *index;
	const VecxProbe *probe;
	VecxCodeQuery query;
	bool		scores;			/* by sketches */
	bool		has_query;
	bool		offered;		/* entries, once */
	double		vertices;		/* in the index */
	float		errors;			/* by how many of its errors a sketch may be nearer */
	int			nneeds;
	VecxTreeNeed *needs;		/* the one with the fewest entries first */
	double		share;			/* of the vertices that meet all needs */
	double		matching;		/* of those of the first need */
	double		cost;
	bool		asks_opened;	/* whether vertices were opened before */
	bool		at_hand;		/* all entries, on the page where the walk is */
	VecxIdSet	allowed;		/* by the needs that narrow; if there are any */
	bool		has_allowed;
	VecxTreeWalk *walk;
	VecxTreeNear *near;			/* the order of the leaves; NULL: all are read */
	int64		nread;			/* entries */
};

/* Vertices there are, as the curve or the tree tells. */
static double
count_vertices(VecxIndex *index)
{
	const VecxMetaPageData *meta = &index->meta;
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	double		count;

	if (meta->curve.vertices > 0 && meta->curve.nblocks > 0)
		return Max((double) meta->curve.vertices * nblocks / meta->curve.nblocks, 1);
	count = VecxTreeCountAll(index);
	return count > 0 ? count : nblocks;
}

/*
 * Lets needs narrow what the first one finds, as long as that is cheaper than to
 * open vertices that do not meet them; returns the cost.
 */
static double
choose_needs(VecxTreeScan *scan, double vertices)
{
	double		reading = 0;
	double		failing = 1;	/* vertices opened for one that matches */
	double		cost;

	for (int i = 0; i < scan->nneeds; i++)
		scan->share *= scan->needs[i].share;
	for (int i = 1; i < scan->nneeds; i++)
		failing /= Max(scan->needs[i].share, 1 / vertices);
	cost = OPENED_ANYWAY * failing;
	for (int i = 1; i < scan->nneeds; i++)
	{
		double		lookup = reading + COST_OF_READING * scan->needs[i].count;
		double		opened = failing * Max(scan->needs[i].share, 1 / vertices);

		if (lookup + OPENED_ANYWAY * opened >= cost)
			break;
		scan->needs[i].narrows = scan->has_allowed = true;
		reading = lookup;
		failing = opened;
		cost = reading + OPENED_ANYWAY * failing;
	}
	/* no more can be opened than there are */
	return Min(cost, reading + scan->needs[0].count);
}

/*
 * A vertex as near as the last one wanted is to be opened with the probability of the
 * recall that is aimed at; those that are nearer are with a greater one.  So its
 * sketch may be as many standard deviations off as that quantile of the normal
 * distribution says, by the approximation 26.2.22 of Abramowitz and Stegun, where few
 * are opened; else SHARE_OF_ERRORS of it.  vecx_code_error gives three of them.
 */
static float
errors_to_allow(double target)
{
	double		t = sqrt(-2 * log(Min(Max(1 - target, 1e-4), 0.5)));

	return (float) ((t - (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t))) / 3);
}

/* Of the entries of the first need those that the other ones that are read will leave. */
static double
expected_entries(const VecxTreeScan *scan)
{
	double		count = scan->needs[0].count;

	for (int i = 1; i < scan->nneeds; i++)
		if (scan->needs[i].narrows)
			count *= scan->needs[i].share;
	return count;
}

/*
 * Looks at the tree for a scan's filter; NULL if it tells nothing.  Allocates in
 * the current context.
 */
VecxTreeScan *
VecxTreeScanMake(VecxIndex *index, const VecxFilterQuery *filter, const VecxProbe *probe)
{
	VecxTreeScan *scan = palloc0(sizeof(VecxTreeScan));
	double		vertices;

	scan->index = index;
	scan->probe = probe;
	scan->walk = palloc(sizeof(VecxTreeWalk));
	scan->needs = VecxTreeNeeds(index, filter, scan->walk, &scan->nneeds, &scan->at_hand);
	if (!scan->needs)
		return NULL;
	vertices = scan->vertices = count_vertices(index);
	VecxTreeShares(scan->needs, scan->nneeds, vertices);
	scan->share = 1;
	scan->scores = !scan->needs[0].exact || scan->needs[0].count > VECX_TREE_TOO_FEW_TO_SCORE;
	scan->cost = choose_needs(scan, vertices);
	scan->matching = scan->share / Max(scan->needs[0].share, 1 / vertices);
	scan->errors = errors_to_allow(VecxTargetRecall(index->rel)) *
		(expected_entries(scan) > FEW_TO_OPEN ? SHARE_OF_ERRORS : 1);
	return scan;
}

/* Of all vertices, those expected to match. */
double
VecxTreeScanShare(const VecxTreeScan *scan)
{
	return scan->share;
}

/* Whether the leaves to be read are put in order; if they are, they are listed. */
static bool
reads_near(VecxTreeScan *scan)
{
	if (scan->near && !VecxTreeNearList(scan->near))
	{
		VecxTreeNearFree(scan->near);
		scan->near = NULL;
	}
	return scan->near != NULL;
}

static double
cost_of_reading(const VecxTreeScan *scan)
{
	return scan->cost + COST_OF_SCORING * scan->needs[0].count *
		(scan->near ? VecxTreeNearShare(scan->near) : 1);
}

/*
 * To find so many rows, the first ones, in hops of a search of the graph: closely where it is
 * not more than most.
 */
double
VecxTreeScanCost(VecxTreeScan *scan, int rows, double most)
{
	if (!scan->near && scan->scores)
		scan->near = VecxTreeNearMake(scan->index, &scan->needs[0], scan->matching, rows);
	if (cost_of_reading(scan) < most)
		(void) reads_near(scan);
	return cost_of_reading(scan);
}

/* The query that sketches are scored with. */
static const VecxCodeQuery *
query_of(VecxTreeScan *scan)
{
	if (!scan->has_query)
		vecx_code_query_init(&scan->index->tree_coder, &scan->query, scan->probe->vec,
							 palloc(vecx_code_query_scratch(&scan->index->tree_coder)));
	scan->has_query = true;
	return &scan->query;
}

/* The share of the vertices near the query that is expected to match, as far as cells tell; 0: they
 * do not. */
double
VecxTreeScanShareThere(VecxTreeScan *scan)
{
	if (!reads_near(scan))
		return 0;
	return VecxTreeNearShareThere(scan->near, query_of(scan), scan->vertices) * scan->matching;
}

/* Entries that were read so far. */
int64
VecxTreeScanRead(const VecxTreeScan *scan)
{
	return scan->nread;
}

/*
 * How many vertices to find by their codes for the rows wanted: some more, since codes
 * err; where they tell little of the operator's distance, as many as in the graph.
 */
int
VecxTreeScanWidth(const VecxIndex *index, const VecxEffort *effort)
{
	int			width = effort->rows + effort->rows / 4 + 4;

	if (VecxCodesTellLittle(&index->meta) || index->coder.kind >= VECX_CODE_RABITQ1)
		width = Max(width, effort->width);
	return Min(width, Max(VecxWidestBatch(), effort->rows));
}

/* Adds the vertices of a need to those that are allowed, or keeps only those
 * that are in the set before. */
static void
allow(VecxTreeScan *scan, const VecxFilterNeed *need, const VecxIdSet *before, VecxIdSet *set)
{
	VecxTreeWalk *walk = scan->walk;
	VecxId		ids[VECX_TREE_MAX_ENTRIES];

	VecxIdSetInit(set, CurrentMemoryContext, RelationGetNumberOfBlocks(scan->index->rel));
	for (int i = 0; i < need->nstretches; i++)
	{
		CHECK_FOR_INTERRUPTS();
		VecxTreeWalkStart(walk, scan->index, (uint16) need->stretches[i].column,
						  need->stretches[i].lo, need->stretches[i].hi, true);
		do
		{
			int			n = 0;

			for (int at = walk->at; at < walk->end; at++)
				ids[n++] = VecxTreeEntryKey(VecxTreeEntry(walk->page, at)).id;
			VecxTreeWalkLetGo(walk);
			scan->nread += n;
			for (int at = 0; at < n; at++)
				if (!before || VecxIdSetContains(before, ids[at]))
					VecxIdSetAdd(set, ids[at]);
		} while (VecxTreeWalkPage(walk));
	}
}

static void
find_allowed(VecxTreeScan *scan)
{
	bool		has_before = false;

	for (int i = 1; i < scan->nneeds; i++)
	{
		VecxIdSet	before = scan->allowed;

		if (!scan->needs[i].narrows)
			continue;
		allow(scan, scan->needs[i].need, has_before ? &before : NULL, &scan->allowed);
		has_before = true;
	}
}

/*
 * Collects the entries of the walk's page whose vertices are allowed, and were not opened
 * if that is asked: of a whole page in the order of their slots, at even distances, in
 * which they are scored faster.
 */
static int
take_entries(const VecxTreeScan *scan, const VecxSearch *search, VecxId *ids, uint16 *cells,
			 const uint8 **sketches)
{
	const VecxTreeWalk *walk = scan->walk;
	VecxTreeEntries entries = VecxTreePageEntries(walk->page);
	int			count = VecxTreeGetHead(walk->page)->count;
	bool		whole = walk->at == 0 && walk->end == count;
	int			n = 0;

	for (int at = walk->at; at < walk->end; at++)
	{
		const uint8 *entry = whole ? VecxTreeEntryInSlot(&entries, count - 1 - at) :
			VecxTreeEntryAt(&entries, at);
		VecxTreeKey key = VecxTreeEntryKey(entry);

		if ((scan->has_allowed && !VecxIdSetContains(&scan->allowed, key.id)) ||
			(scan->asks_opened && VecxSearchHasVisited(search, key.id)))
			continue;
		ids[n] = key.id;
		cells[n] = key.place;
		sketches[n++] = VecxTreeEntrySketch(entry);
	}
	return n;
}

/*
 * Offers those vertices of the walk's page that may match; false if there is none.  Page
 * in place or copy, it is let go of before the search, which may have to make room.
 */
static bool
offer_page(VecxTreeScan *scan, VecxSearch *search)
{
	VecxId		ids[VECX_TREE_MAX_ENTRIES];
	const uint8 *sketches[VECX_TREE_MAX_ENTRIES];
	uint16		cells[VECX_TREE_MAX_ENTRIES];
	float		dist[VECX_TREE_MAX_ENTRIES];
	float		least[VECX_TREE_MAX_ENTRIES];
	int			n = take_entries(scan, search, ids, cells, sketches);

	scan->nread += scan->walk->end - scan->walk->at;
	if (scan->scores)
		vecx_code_least(&scan->index->tree_coder, &scan->query, sketches, n, scan->errors, dist, least);
	else
		for (int i = 0; i < n; i++)
			least[i] = -INFINITY;
	if (!scan->at_hand)
		VecxTreeWalkLetGo(scan->walk);
	if (scan->near)
		VecxTreeNearSee(scan->near, cells, dist, n);
	VecxSearchOfferMany(search, ids, least, n);
	return n > 0;
}

/* Entries to read before there is a distance to reach, for each row wanted. */
#define ENTRIES_PER_ROW	32

/*
 * Offers the vertices of leaves that may have something within reach; of an infinite one, of as
 * many as are likely to have what is wanted.
 */
static bool
offer_near(VecxTreeScan *scan, VecxSearch *search, float reach, int wanted)
{
	VecxTreeWalk *walk = scan->walk;
	double		enough = reach < INFINITY ? INFINITY : wanted * ENTRIES_PER_ROW / Max(scan->matching, 1e-6);
	int64		before = scan->nread;
	bool		any = false;

	while (scan->nread - before < enough && VecxTreeNearNext(scan->near, &scan->query, reach, walk))
		do
			any |= offer_page(scan, search);
		while (VecxTreeWalkPage(walk));
	return any;
}

/* Offers all vertices that may match. */
static bool
offer_all(VecxTreeScan *scan, VecxSearch *search)
{
	const VecxFilterNeed *need = scan->needs[0].need;
	VecxTreeWalk *walk = scan->walk;
	bool		any = false;

	if (scan->at_hand)
		any = offer_page(scan, search);
	for (int i = 0; i < need->nstretches && !scan->at_hand; i++)
	{
		CHECK_FOR_INTERRUPTS();
		VecxTreeWalkStart(walk, scan->index, (uint16) need->stretches[i].column,
						  need->stretches[i].lo, need->stretches[i].hi, true);
		do
			any |= offer_page(scan, search);
		while (VecxTreeWalkPage(walk));
	}
	scan->at_hand = false;
	return any;
}

/* Whether there is something as near as that which was not offered. */
bool
VecxTreeScanMayHaveNearer(VecxTreeScan *scan, float reach)
{
	return scan->near && VecxTreeNearHasMore(scan->near, &scan->query, reach);
}

/*
 * Offers vertices that may match and be as near as reach to a search that is to find so many,
 * which takes those that it has not opened; false if there was none.  If the search has no room
 * for all, the rest will come by the next time.
 */
bool
VecxTreeScanOffer(VecxTreeScan *scan, VecxSearch *search, float reach, int wanted)
{
	bool		by_cells;

	if (scan->has_allowed && scan->allowed.cxt == NULL)
		find_allowed(scan);
	if (scan->scores)
		(void) query_of(scan);
	/* what was forgotten may be of leaves that were read */
	if (scan->near && VecxSearchForgot(search))
	{
		VecxTreeNearFree(scan->near);
		scan->near = NULL;
	}
	by_cells = reads_near(scan);
	/* by cells each leaf is read once */
	scan->asks_opened = (scan->offered && !by_cells) ||
		(double) VecxSearchVisited(search) * OPENED_TO_ASK > scan->needs[0].count;
	scan->offered = true;
	return by_cells ? offer_near(scan, search, reach, wanted) : offer_all(scan, search);
}

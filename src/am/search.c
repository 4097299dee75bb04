/*
 * search.c
 *    Best-first search of one level of the graph.
 *
 * A hop opens one record: one page read gives its code, hence its precise
 * distance, and the sketches of all its neighbours, hence their estimated
 * distances.  The frontier holds records seen but not opened, nearest estimate
 * first; a search of width w goes on until w records are opened and no
 * estimate in the frontier beats the worst of the best w.  It can go on from
 * there later, with more width.
 *
 * search_read.c reads what it opens.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/heap.h"
#include "am/search.h"

/* Widths of the way down to a level: on the one above it, and farther up. */
typedef struct VecxDescent
{
	int			last;
	int			upper;
} VecxDescent;

/*
 * Width of the search on the level above the one wanted, and how many of what it finds
 * the next starts from; farther up the nearest record will do.  Of groups of rows far
 * from each other a width of four missed one in 1,800, eight miss one in 13,000.
 */
static const VecxDescent usual = {.last = 8,.upper = 1};
/*
 * A search that will ask whether it went astray descends by a narrower way, which
 * saves a seventh of what it reads, and by a wider one if it did: of 200 groups of 300 rows
 * and 1,000 of 20 one in 800 and in 2,000 is missed, where a width of eight for all
 * missed one in 100 and in 800.  A group that has some vertex far up is missed there by
 * a narrow search among few and far between: of 57,000 embeddings 206 that were alike.
 */
static const VecxDescent quick = {.last = 2,.upper = 1};
static const VecxDescent careful = {.last = 16,.upper = 16};
/* How many times farther from the query than from each other the nearest are then. */
#define ASTRAY			1.5f

/*
 * Hops of one run at most, when as many records as the width says are found.
 * It takes about one for each; many more only where codes so coarse that they
 * tell little about distances make all neighbours look good.
 */
#define HOPS_PER_WIDTH	8
#define MORE_HOPS		100

/* Records that are tested before a filter is believed to let few pass, and pages
 * that a sweep reads in the time of a hop. */
#define LEAST_TESTED	16
#define ENOUGH_MATCHING	8
#define SWEPT_PER_HOP	0.5

VecxSearch *
VecxSearchMake(VecxIndex *index, MemoryContext cxt, bool keep_codes)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxSearch *search = palloc0(sizeof(VecxSearch));
	int			max_links = VecxMaxLinks(index->meta.m, 0);

	search->index = index;
	search->cxt = cxt;
	search->keep_codes = keep_codes;
	search->nblocks = RelationGetNumberOfBlocks(index->rel);
	search->otherwise = SWEPT_PER_HOP * search->nblocks;
	VecxIdSetInit(&search->visited, cxt, search->nblocks);
	VecxFrontierInit(&search->frontier, cxt);
	search->opened_cap = 128;
	search->opened = palloc(sizeof(VecxOpened) * search->opened_cap);
	search->buf = InvalidBuffer;
	search->most_records = PG_INT64_MAX;
	search->est = palloc(sizeof(float) * max_links);
	search->scratch = palloc(sizeof(int32) * max_links);
	search->ids = palloc(sizeof(VecxId) * max_links);
	MemoryContextSwitchTo(old);
	return search;
}

/* Records in hidden are neither returned nor passed through. */
void
VecxSearchHide(VecxSearch *search, const VecxIdSet *hidden)
{
	search->hidden = hidden;
}

/* Has runs end when more than so many records were read since the search was made. */
void
VecxSearchLimit(VecxSearch *search, int64 records)
{
	search->most_records = records;
}

bool
VecxSearchPastLimit(const VecxSearch *search)
{
	return search->nrecords > search->most_records;
}

/*
 * Of vertices without a row that passes the filter only the links are used: they are
 * neither counted nor returned.  There is another way to find those with one, for
 * so many hops, if it is less than a sweep costs.
 */
void
VecxSearchFilter(VecxSearch *search, const VecxFilterQuery *filter, double otherwise)
{
	search->filter = filter;
	search->otherwise = Min(search->otherwise, otherwise);
}

/*
 * Follows no links from now on, and forgets what they led to: only what is offered
 * will be opened.
 */
void
VecxSearchClose(VecxSearch *search)
{
	search->closed = true;
	VecxFrontierClear(&search->frontier);
}

/* Whether a record of the base was opened. */
bool
VecxSearchHasVisited(const VecxSearch *search, VecxId id)
{
	return VecxIdSetContains(&search->visited, id);
}

uint64
VecxSearchVisited(const VecxSearch *search)
{
	return VecxIdSetCount(&search->visited);
}

/* Records to be opened, each when it is its turn by its estimate. */
void
VecxSearchOfferMany(VecxSearch *search, const VecxId *ids, const float *est, int n)
{
	for (int i = 0; i < n; i++)
	{
		VecxCandidate cand = {est[i], ids[i]};

		VecxFrontierAdd(&search->frontier, cand);
	}
}

/* Whether the search had no room for something that it was offered. */
bool
VecxSearchForgot(const VecxSearch *search)
{
	return search->frontier.forgot;
}

/* Records to be opened before all others. */
static void
add_seeds(VecxSearch *search, const VecxId *seeds, int n)
{
	for (int i = 0; i < n; i++)
	{
		VecxCandidate seed = {-INFINITY, seeds[i]};

		VecxFrontierAdd(&search->frontier, seed);
	}
}

/*
 * Begins a search of a level at given records.  Forgets the search before,
 * and what it opened.  Without a probe only VecxSearchSweep may follow.
 */
void
VecxSearchStart(VecxSearch *search, VecxProbe *probe, int level,
				const VecxId *seeds, int nseeds)
{
	search->probe = probe;
	search->level = level;
	search->closed = false;
	search->nworst = search->nopened = search->nnear = 0;
	search->width = 1;
	search->spent = 0;
	if (search->worst_cap < 1)
	{
		search->worst_cap = 64;
		search->worst = MemoryContextAlloc(search->cxt, sizeof(float) * search->worst_cap);
	}
	VecxIdSetClear(&search->visited);
	VecxFrontierClear(&search->frontier);
	add_seeds(search, seeds, nseeds);
	/* models are about links, and without a seed none will be followed */
	if (probe && nseeds > 0)
		VecxProbeForModels(probe);
}

/*
 * The share of what was tested that passes the filter; never 0, since one more
 * might have.
 */
double
VecxSearchShare(const VecxSearch *search)
{
	return (double) (search->nmatching + 1) / (double) (search->ntested + 1);
}

/* Opens the nearest records, until some pass the filter or so many hops were made, so
 * that there is a share to tell. */
void
VecxSearchProbe(VecxSearch *search, int hops)
{
	VecxId		id;

	for (int i = 0; i < hops && search->nmatching < ENOUGH_MATCHING &&
		 VecxFrontierTake(&search->frontier, INFINITY, &id);)
	{
		CHECK_FOR_INTERRUPTS();
		if (VecxSearchIsHidden(search, id) || !VecxIdSetAdd(&search->visited, id))
			continue;
		VecxSearchHop(search, id);
		i++;
	}
}

/*
 * Whether what passes the filter is so rare here that to find as much as the width
 * says would take more hops than to read the whole index page by page, or than
 * another way would.
 */
bool
VecxSearchIsRare(const VecxSearch *search)
{
	double		hops;

	if (!search->filter || search->closed || search->level > 0 || search->nworst >= search->width ||
		search->ntested < LEAST_TESTED)
		return false;
	hops = (double) (search->width - search->nworst) *
		(double) search->ntested / (double) (search->nmatching + 1);
	return hops > search->otherwise;
}

/*
 * Whether a run that has found its width has made more hops than that should take:
 * so many for each record that counts, hence more where a filter lets few pass.  What
 * was offered to a closed one is all there is, and says how near it may be.
 */
static inline bool
too_many_hops(const VecxSearch *search, int64 hops)
{
	double		most = MORE_HOPS + HOPS_PER_WIDTH * (double) search->width;

	if (search->filter)
		most /= VecxSearchShare(search);
	return !search->closed && search->nworst >= search->width && (double) hops >= most;
}

/*
 * Opens records until width of those that are kept are found, and nothing in
 * the frontier is likely to be better than the worst of the best width, or too
 * much has been opened for that.
 */
void
VecxSearchRun(VecxSearch *search, int width)
{
	int64		hops = search->steps ? search->spent : 0;
	VecxId		id;

	if (width > search->worst_cap)
	{
		search->worst_cap = width;
		search->worst = repalloc_huge(search->worst, sizeof(float) * search->worst_cap);
	}
	search->width = width;
	search->nworst = 0;
	for (int i = 0; i < search->nopened; i++)
		if (!search->opened[i].dead)
			VecxSearchAddWorst(search, search->opened[i].nav);

	while (!too_many_hops(search, hops) && !VecxSearchPastLimit(search) &&
		   !VecxSearchIsRare(search) &&
		   VecxFrontierTake(&search->frontier, VecxSearchReach(search), &id))
	{
		CHECK_FOR_INTERRUPTS();
		if (VecxSearchIsHidden(search, id) || !VecxIdSetAdd(&search->visited, id))
			continue;
		VecxSearchHop(search, id);
		hops++;
	}
	search->spent = hops;
}

/* Has the next runs open no more together than the widest of them would by itself. */
void
VecxSearchBySteps(VecxSearch *search)
{
	search->steps = true;
}

/* True if every record that can be reached has been opened, and none is kept. */
bool
VecxSearchExhausted(const VecxSearch *search)
{
	return VecxFrontierIsEmpty(&search->frontier) && search->nopened == 0;
}

/* True if there is something that a wider search would open. */
bool
VecxSearchHasMore(const VecxSearch *search)
{
	return !VecxFrontierIsEmpty(&search->frontier);
}

/* What the search has done since it was made. */
void
VecxSearchCount(const VecxSearch *search, VecxScanCounts *counts)
{
	counts->hops = search->nhops;
	counts->records = search->nrecords;
	counts->tested = search->ntested;
	counts->matching = search->nmatching;
}

/* Distance of the worst of the best width records. */
float
VecxSearchThreshold(const VecxSearch *search)
{
	return VecxSearchReach(search);
}

/* What was opened and is kept. */
VecxOpened *
VecxSearchOpened(VecxSearch *search, int *count)
{
	*count = search->nopened;
	return search->opened;
}

/* Keeps only the first count of what was opened, as the caller arranged them. */
void
VecxSearchKeepOpened(VecxSearch *search, int count)
{
	search->nopened = count;
}

/* Sorts what was opened by navigation distance; moves each record once only. */
void
VecxSearchSort(VecxSearch *search)
{
	int			n = search->nopened;
	VecxCandidate *order;
	VecxOpened *sorted;

	if (n < 2)
		return;
	order = MemoryContextAllocHuge(search->cxt, sizeof(VecxCandidate) * n);
	sorted = MemoryContextAllocHuge(search->cxt, sizeof(VecxOpened) * search->opened_cap);
	for (int i = 0; i < n; i++)
	{
		order[i].est = search->opened[i].nav;
		order[i].id = (VecxId) i;
	}
	qsort(order, n, sizeof(VecxCandidate), VecxCompareCandidates);
	for (int i = 0; i < n; i++)
		sorted[i] = search->opened[order[i].id];
	pfree(order);
	pfree(search->opened);
	search->opened = sorted;
}

/* From the entry down to the level, as wide as that. */
static int
descend(VecxSearch *search, VecxProbe *probe, int level, VecxDescent way, VecxId *seeds)
{
	const VecxMetaPageData *meta = &search->index->meta;
	int			nseeds = 1;

	if (meta->entry == VECX_INVALID_ID)
		return 0;
	seeds[0] = meta->entry;
	for (int l = meta->entry_level; l > level; l--)
	{
		int			width = l == level + 1 ? way.last : way.upper;

		VecxSearchStart(search, probe, l, seeds, nseeds);
		VecxSearchRun(search, width);
		VecxSearchSort(search);
		nseeds = Min(search->nopened, Min(width, VECX_MAX_SEEDS));
		for (int i = 0; i < nseeds; i++)
			seeds[i] = search->opened[i].down;
	}
	return nseeds;
}

/*
 * From the entry down to where a search of that level should start: fills
 * seeds (room for VECX_MAX_SEEDS) and returns their number, 0 for an empty
 * graph.  The entry must be on that level or above.
 */
int
VecxSearchDescend(VecxSearch *search, VecxProbe *probe, int level, VecxId *seeds)
{
	return descend(search, probe, level, usual, seeds);
}

/* Distances by an inner product do not tell what is near; among centroids of lists
 * nobody looks back. */
static bool
can_be_astray(const VecxSearch *search)
{
	return search->index->meta.metric != VECX_METRIC_IP && !search->index->lists;
}

/* What the widest searches of a curve find, for one row and for ten, or else an index falls short. */
#define REACHED		0.95

/*
 * Whether the curve of a graph by inner products ends too low.  Its vertices link to the longest of
 * their group, hardly to other groups, and no distance tells that a search went astray: where there are
 * a few groups far apart, some searches may not meet one of them.
 */
static bool
falls_short(const VecxIndex *index)
{
	const VecxCurveData *curve = &index->meta.curve;

	if (index->lists || index->meta.metric != VECX_METRIC_IP || !VecxCurveIsValid(curve))
		return false;
	for (int line = 0; line < 2; line++)
		if (curve->points[line][curve->npoints[line] - 1].mean < REACHED * PG_UINT16_MAX)
			return true;
	return false;
}

static void
begin(VecxSearch *search, VecxProbe *probe, bool wide)
{
	VecxId		seeds[VECX_MAX_SEEDS];
	VecxDescent way = can_be_astray(search) ? quick : wide ? careful : usual;
	int			nseeds = descend(search, probe, 0, way, seeds);

	VecxSearchStart(search, probe, 0, seeds, nseeds);
}

/*
 * Begins a search at the base, where a short way down leads.  Whoever has found what
 * the search can find should ask whether it went astray.
 */
void
VecxSearchBegin(VecxSearch *search, VecxProbe *probe)
{
	begin(search, probe, falls_short(search->index));
}

/* The same of a search that is measured for a curve: whatever the one before says, so that two of
 * them do not take turns. */
void
VecxSearchBeginMeasured(VecxSearch *search, VecxProbe *probe)
{
	begin(search, probe, false);
}

/*
 * The nearest that were opened at the base, farthest first of these; returns their number.  What
 * fails the filter tells where the search is as well as what passes: nothing else may be near
 * where it is wrong.
 */
static int
nearest_opened(const VecxSearch *search, VecxCandidate *heap)
{
	int			n = 0;

	if (search->filter)
	{
		memcpy(heap, search->near, sizeof(VecxCandidate) * search->nnear);
		return search->nnear;
	}
	for (int i = 0; i < search->nopened; i++)
		if (!search->opened[i].dead)
			VecxKeepNearestCandidate(heap, &n, VECX_NEAR_RANK,
									 (VecxCandidate) {search->opened[i].nav, search->opened[i].id});
	return n;
}

/* How far away the nearest are, the last of so many of them. */
float
VecxSearchNear(const VecxSearch *search)
{
	VecxCandidate heap[VECX_NEAR_RANK];

	return nearest_opened(search, heap) > 0 ? heap[0].est : INFINITY;
}

/*
 * Whether the nearest found are far nearer to each other than to the query: then
 * the query may belong to a group of rows elsewhere.  In one group a query and the rows
 * near it are about as far from each other, whatever the number of dimensions.  Two alone do not
 * tell: they may be versions of one text.
 */
bool
VecxSearchIsAstray(VecxSearch *search)
{
	VecxCandidate heap[VECX_NEAR_RANK];
	VecxCandidate nearest;
	int			n;

	if (search->closed || !can_be_astray(search) || search->index->meta.entry_level == 0)
		return false;
	n = nearest_opened(search, heap);
	if (n < 2)
		return true;
	nearest = heap[0];
	for (int i = 1; i < n; i++)
		if (heap[i].est < nearest.est)
			nearest = heap[i];
	return nearest.est > ASTRAY * VecxSearchBetween(search, nearest.id, heap[0].id);
}

/* Has the search go on from where a wider way down leads as well. */
void
VecxSearchElsewhere(VecxSearch *search)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx descent",
											  ALLOCSET_DEFAULT_SIZES);
	VecxSearch *other = VecxSearchMake(search->index, cxt, false);
	VecxId		seeds[VECX_MAX_SEEDS];
	int			nseeds;

	other->hidden = search->hidden;
	nseeds = descend(other, search->probe, 0, careful, seeds);
	VecxSearchRelease(other);
	search->nhops += other->nhops;
	search->nrecords += other->nrecords;
	/* what it takes to begin does not count */
	if (search->most_records < PG_INT64_MAX)
		search->most_records += other->nrecords;
	MemoryContextDelete(cxt);
	add_seeds(search, seeds, nseeds);
	search->spent = 0;
}

/* Puts back what was opened before and taken aside. */
static void
put_back(VecxSearch *search, VecxOpened *opened, int n)
{
	if (search->nopened + n > search->opened_cap)
	{
		search->opened_cap = search->nopened + n;
		search->opened = repalloc_huge(search->opened, sizeof(VecxOpened) * search->opened_cap);
	}
	memcpy(search->opened + search->nopened, opened, sizeof(VecxOpened) * n);
	search->nopened += n;
	pfree(opened);
}

/*
 * Notes all records of level 0 that the search has not opened, but no more than about
 * most of them, the nearest; these count as opened then.  True if there are others
 * left.  Without a probe there are no nearest.
 */
bool
VecxSearchSweepAll(VecxSearch *search, int most)
{
	bool		more = false;
	int			nbefore = search->nopened;
	VecxOpened *before = MemoryContextAllocHuge(search->cxt, sizeof(VecxOpened) * Max(nbefore, 1));

	/* no page will show these again: they are not among those that may be left */
	memcpy(before, search->opened, sizeof(VecxOpened) * nbefore);
	search->nopened = 0;

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < search->nblocks; blkno++)
	{
		CHECK_FOR_INTERRUPTS();
		if (VecxSearchPastLimit(search))
			break;
		VecxSearchSweep(search, blkno);
		if (search->nopened >= 2 * most)
		{
			VecxSearchSort(search);
			search->nopened = most;
			more = true;
		}
	}
	for (int i = 0; i < search->nopened && more; i++)
		VecxIdSetAdd(&search->visited, search->opened[i].id);
	put_back(search, before, nbefore);
	return more;
}

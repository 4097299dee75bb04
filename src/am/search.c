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
 * Only share locks are taken, one page at a time.
 */
#include "postgres.h"

#include <math.h>

#include "executor/instrument.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/spccache.h"

#include "am/am.h"
#include "am/frontier.h"
#include "am/heap.h"

/*
 * Width of the search on the level above the one wanted; farther up the
 * nearest record will do.
 */
#define UPPER_WIDTH		2

/*
 * Hops of one run at most, when as many records as the width says are found.
 * It takes about one for each; many more only where codes so coarse that they
 * tell little about distances make all neighbours look good.
 */
#define HOPS_PER_WIDTH	8
#define MORE_HOPS		100

/* Records that are tested before a filter is believed to let few pass, and pages
 * that a sweep reads in the time of a hop. */
#define LEAST_TESTED	100
#define ENOUGH_MATCHING	8
#define SWEPT_PER_HOP	0.5

/* Models that may come and go while a search looks for one. */
#define MAX_MODEL_TRIES	3

struct VecxSearch
{
	VecxIndex  *index;
	MemoryContext cxt;
	bool		keep_codes;
	const VecxIdSet *hidden;	/* records to treat as absent, or NULL */
	VecxCandidate *stand_in;	/* where links to them lead at the base */
	int			nstand_in;
	const VecxFilterQuery *filter;	/* what counts at the base, or NULL */
	double		otherwise;		/* hops that it costs to find that in another way */
	bool		closed;			/* links are not followed */

	VecxProbe  *probe;
	int			level;
	VecxIdSet	visited;		/* opened */
	VecxFrontier frontier;
	float	   *worst;			/* max-heap of the best width distances */
	int			nworst;
	int			width;
	int			worst_cap;
	VecxOpened *opened;
	int			nopened;
	int			opened_cap;

	Buffer		buf;			/* pinned page of the last hop */
	bool		cold;			/* a page had to be read from disk */
	BlockNumber asked[64];		/* pages that the kernel was asked for, by number */
	VecxId		nearby[VECX_MAX_ITEMS]; /* records to open on that page */
	int			nnearby;
	float	   *est;			/* of one record's links */
	int32	   *scratch;
	VecxId	   *ids;

	int64		nhops;			/* pages read for a record, or a group of them */
	int64		nrecords;		/* read, on all levels and by sweeps */
	int64		ntested;		/* of them by the filter */
	int64		nmatching;		/* and have a row that passes */
	BlockNumber nblocks;		/* of the index */
	int64		most_records;	/* beyond which runs end */
};

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

/* A record to be opened when it is its turn by that estimate. */
void
VecxSearchOffer(VecxSearch *search, VecxId id, float est)
{
	VecxCandidate cand = {est, id};

	VecxFrontierAdd(&search->frontier, cand);
}

/* Whether the search had no room for something that it was offered. */
bool
VecxSearchForgot(const VecxSearch *search)
{
	return search->frontier.forgot;
}

/* Remembers a distance among the best width ones. */
static inline void
worst_add(VecxSearch *search, float dist)
{
	VecxKeepNearest(search->worst, &search->nworst, search->width, dist);
}

static inline float
threshold(const VecxSearch *search)
{
	return search->nworst < search->width ? INFINITY : search->worst[0];
}

static inline bool
is_hidden(const VecxSearch *search, VecxId id)
{
	return search->hidden && VecxIdSetContains(search->hidden, id);
}

/* Takes up a record on the page that is pinned, to be opened before another
 * page is read: it costs no page more.  False if it does not look good enough. */
static bool
add_nearby(VecxSearch *search, VecxId id, float est)
{
	if (est >= threshold(search) || search->nnearby == VECX_MAX_ITEMS || is_hidden(search, id))
		return false;
	if (VecxIdSetAdd(&search->visited, id))
		search->nearby[search->nnearby++] = id;
	return true;
}

static VecxOpened *
new_opened(VecxSearch *search)
{
	if (search->nopened == search->opened_cap)
	{
		search->opened_cap *= 2;
		search->opened = repalloc_huge(search->opened, sizeof(VecxOpened) * search->opened_cap);
	}
	return &search->opened[search->nopened++];
}

/* Notes down what a record says, while its page is locked. */
static VecxOpened *
note_record(VecxSearch *search, VecxId id, VecxRecord rec, float nav)
{
	VecxIndex  *index = search->index;
	const uint8 *code = VecxRecordCode(&index->layout, rec);
	VecxOpened *opened = new_opened(search);
	VecxRowEntry rows[VECX_INLINE_ROWS];
	int			nrows;

	search->nrecords++;
	opened->nav = nav;
	opened->rank = opened->error = 0;
	if (search->probe)
	{
		const VecxCodeQuery *query = &search->probe->code;

		opened->rank = vecx_code_rank(&index->coder, query, code, opened->nav);
		opened->error = VecxIsHashed(index) ? INFINITY :
			vecx_code_error(&index->coder, query, code, opened->rank);
	}
	opened->id = id;
	opened->down = rec->down;
	opened->generation = rec->generation;
	opened->hash = rec->hash;
	opened->chain = rec->chain_head;
	opened->dead = (rec->flags & VECX_RECORD_DEAD) != 0;
	opened->model = rec->model;
	opened->lsn = PageGetLSN(BufferGetPage(search->buf));
	nrows = VecxRowsCopy(index, search->filter, VecxRecordRows(&index->layout, rec),
						 Min(rec->nrows, VECX_INLINE_ROWS), rows);
	opened->nrows = (uint8) nrows;
	opened->recheck = 0;
	for (int i = 0; i < nrows; i++)
	{
		opened->tids[i] = rows[i].tid;
		if (rows[i].flags & VECX_ROW_RECHECK)
			opened->recheck |= (uint8) (1 << i);
	}
	opened->code = NULL;
	if (search->keep_codes)
	{
		opened->code = memcpy(MemoryContextAlloc(search->cxt, index->coder.nbytes),
							  code, index->coder.nbytes);
	}
	return opened;
}

/*
 * Drops those opened from first on that have no row which passes the filter.  Rows
 * beyond the first few are looked for in the vertex's chain, so that no page may
 * be locked.
 */
static void
drop_failing(VecxSearch *search, int first)
{
	int			kept = first;

	if (!search->filter || search->level > 0)
		return;
	for (int i = first; i < search->nopened; i++)
	{
		VecxOpened *opened = &search->opened[i];

		search->ntested++;
		if (opened->nrows > 0 ||
			VecxRowsFindPassing(search->index, search->filter, opened->id, &opened->chain))
			search->opened[kept++] = *opened;
	}
	search->nmatching += kept - first;
	search->nopened = kept;
}

static bool
is_prepared(const VecxProbe *probe, uint8 number)
{
	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (probe->models[i].number == number)
			return true;
	return false;
}

/* The record of that id on the locked page, if it is one of the level. */
static VecxRecord
get_record(VecxSearch *search, Page page, VecxId id)
{
	Size		size;
	VecxRecord	rec = VecxGetRecord(search->index, page, id, &size);

	return rec && rec->level == search->level ? rec : NULL;
}

/* Pins a page, unless it is the one that is pinned already. */
static void
pin_page(VecxSearch *search, BlockNumber blkno)
{
	int64		reads = pgBufferUsage.shared_blks_read + pgBufferUsage.local_blks_read;

	if (BufferIsValid(search->buf))
	{
		if (BufferGetBlockNumber(search->buf) == blkno)
			return;
		ReleaseBuffer(search->buf);
		search->buf = InvalidBuffer;
	}
	search->buf = VecxReadBuffer(search->index->rel, blkno);
	search->cold |= pgBufferUsage.shared_blks_read + pgBufferUsage.local_blks_read != reads;
}

/*
 * Pins and share-locks the page of a record, prepares the probe for the
 * record's model, and returns the record; NULL, with nothing locked, if the id
 * names none of this level any more.
 */
static VecxRecord
lock_record(VecxSearch *search, VecxId id)
{
	VecxRecord	rec;

	pin_page(search, VecxIdBlock(id));
	for (int tries = 0;; tries++)
	{
		uint8		model;

		LockBuffer(search->buf, BUFFER_LOCK_SHARE);
		rec = get_record(search, BufferGetPage(search->buf), id);
		if (rec && is_prepared(search->probe, rec->model))
			return rec;
		model = rec ? rec->model : 0;
		LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
		if (!rec)
			return NULL;
		/* the record may be renewed, and the model dropped, meanwhile */
		if (tries >= MAX_MODEL_TRIES || VecxModelExists(search->index, model))
			VecxProbeForModel(search->probe, model);
	}
}

#define CACHE_LINE	64

static inline void
prefetch_range(const char *from, Size nbytes)
{
	for (Size at = 0; at < nbytes; at += CACHE_LINE)
		__builtin_prefetch(from + at);
}

/*
 * Fetches the cache lines of the records that are likely to be opened next
 * while the one at hand is scored: of the nearest the record, whose line
 * pointer was fetched a hop ago; of the two after it the line pointers.
 */
static void
prefetch_next(VecxSearch *search)
{
	const VecxLayout *layout = &search->index->layout;

	for (int i = 0; i < Min(search->frontier.nnear, 3); i++)
	{
		VecxId		id = search->frontier.id[i];
		const char *page = VecxRecentPage(search->index->rel, VecxIdBlock(id));
		const ItemIdData *item;

		if (!page)
			continue;
		item = (const ItemIdData *) (page + SizeOfPageHeaderData) + (VecxIdOffset(id) - 1);
		if (i > 0)
		{
			__builtin_prefetch(page);
			__builtin_prefetch(item);
		}
		else if (ItemIdGetOffset(item) < BLCKSZ)
			prefetch_range(page + ItemIdGetOffset(item),
						   Min(VecxRecordSize(layout, search->index->meta.m),
							   BLCKSZ - ItemIdGetOffset(item)));
	}
}

/*
 * Once a page was not in memory: has the kernel read those of the records that
 * are nearest now, as many as effective_io_concurrency says, so that they are
 * there when it is their turn.
 */
static void
prefetch_from_disk(VecxSearch *search)
{
	Relation	rel = search->index->rel;
	int			depth = get_tablespace_io_concurrency(rel->rd_rel->reltablespace);

	for (int i = 0; i < Min(search->frontier.nnear, depth); i++)
	{
		BlockNumber blkno = VecxIdBlock(search->frontier.id[i]);
		BlockNumber *asked = &search->asked[blkno % lengthof(search->asked)];

		if (*asked == blkno)
			continue;
		*asked = blkno;
		PrefetchBuffer(rel, MAIN_FORKNUM, blkno);
	}
}

/*
 * Whoever hides a stored vector from its own search takes away a vertex that the
 * graph around it was built with.  Had it never been there, each that links to it
 * would link to something else nearby; so those links lead to its own neighbours,
 * each to another.  self is its record at the base, probe stands for its vector.
 */
void
VecxSearchStandIn(VecxSearch *search, VecxProbe *probe, VecxId self)
{
	VecxIndex  *index = search->index;
	VecxRecord	rec;
	float		nav;

	search->probe = probe;
	search->level = 0;
	for (int i = 0; i < index->nmodels; i++)
		VecxProbeForModel(probe, index->models[i].number);
	rec = lock_record(search, self);
	if (!rec)
		return;
	nav = vecx_code_distance(&index->coder, &probe->code, VecxRecordCode(&index->layout, rec));
	(void) VecxRecordEstimates(probe, rec, nav, search->scratch, search->est);
	search->stand_in = MemoryContextAlloc(search->cxt, sizeof(VecxCandidate) * (rec->nlinks + 1));
	search->nstand_in = 0;
	for (int i = 0; i < rec->nlinks; i++)
	{
		VecxCandidate cand = {search->est[i], VecxLinkId(VecxRecordLink(&index->layout, rec, i))};

		if (!is_hidden(search, cand.id))
			search->stand_in[search->nstand_in++] = cand;
	}
	LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
}

/* What a link of the record leads to instead of a hidden one. */
static VecxCandidate
stand_in_for(const VecxSearch *search, VecxId linking)
{
	return search->stand_in[((linking * 0x9E3779B1u) >> 8) % (uint32) search->nstand_in];
}

/*
 * Opens one record and takes up its neighbours.  One that is dead leads to
 * others but is noted only above the base, where what is below it may live.
 */
static void
open_record(VecxSearch *search, VecxId id)
{
	VecxIndex  *index = search->index;
	VecxRecord	rec = lock_record(search, id);
	int			first;
	int			nlinks;
	bool		dead;
	float		nav;
	float		norm2;

	if (!rec)
		return;
	prefetch_range((const char *) rec, VecxRecordSize(&index->layout, search->closed ? 0 : rec->nlinks));
	prefetch_next(search);
	nav = vecx_code_distance(&index->coder, &search->probe->code,
							 VecxRecordCode(&index->layout, rec));
	nlinks = search->closed ? 0 : rec->nlinks;
	norm2 = search->closed ?
		vecx_code_norm2(&index->coder, VecxRecordCode(&index->layout, rec)) :
		VecxRecordEstimates(search->probe, rec, nav, search->scratch, search->est);
	for (int i = 0; i < nlinks; i++)
		search->ids[i] = VecxLinkId(VecxRecordLink(&index->layout, rec, i));
	dead = (rec->flags & VECX_RECORD_DEAD) != 0;
	first = search->nopened;
	if (!dead || rec->level > 0)
		note_record(search, id, rec, nav)->norm2 = norm2;
	LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
	drop_failing(search, first);

	if (!dead && search->nopened > first)
		worst_add(search, nav);
	for (int i = 0; i < nlinks; i++)
	{
		VecxCandidate cand = {search->est[i], search->ids[i]};

		if (search->nstand_in > 0 && search->level == 0 && is_hidden(search, cand.id))
			cand = stand_in_for(search, id);
		if (VecxIdBlock(cand.id) == VecxIdBlock(id) && add_nearby(search, cand.id, cand.est))
			continue;
		/* of those opened before, the far ones are not worth a look at the set */
		if (cand.est < search->frontier.limit && VecxIdSetContains(&search->visited, cand.id))
			continue;
		VecxFrontierAdd(&search->frontier, cand);
	}
}

/* One hop: a record, and those on its page that look as good. */
static void
hop(VecxSearch *search, VecxId id)
{
	search->nhops++;
	search->nnearby = 0;
	open_record(search, id);
	if (search->cold)
		prefetch_from_disk(search);
	while (search->nnearby > 0)
		open_record(search, search->nearby[--search->nnearby]);
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
	search->nworst = search->nopened = 0;
	search->width = 1;
	if (search->worst_cap < 1)
	{
		search->worst_cap = 64;
		search->worst = MemoryContextAlloc(search->cxt, sizeof(float) * search->worst_cap);
	}
	VecxIdSetClear(&search->visited);
	VecxFrontierClear(&search->frontier);
	for (int i = 0; i < nseeds; i++)
	{
		VecxCandidate seed = {-INFINITY, seeds[i]};

		VecxFrontierAdd(&search->frontier, seed);
	}
	for (int i = 0; i < search->index->nmodels && probe; i++)
		VecxProbeForModel(probe, search->index->models[i].number);
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
		if (is_hidden(search, id) || !VecxIdSetAdd(&search->visited, id))
			continue;
		hop(search, id);
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
 * so many for each record that counts, hence more where a filter lets few pass.
 */
static inline bool
too_many_hops(const VecxSearch *search, int64 hops)
{
	double		most = MORE_HOPS + HOPS_PER_WIDTH * (double) search->width;

	if (search->filter)
		most /= VecxSearchShare(search);
	return search->nworst >= search->width && (double) hops >= most;
}

/*
 * Opens records until width of those that are kept are found, and nothing in
 * the frontier is likely to be better than the worst of the best width, or too
 * much has been opened for that.
 */
void
VecxSearchRun(VecxSearch *search, int width)
{
	int64		hops = 0;
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
			worst_add(search, search->opened[i].nav);

	while (!too_many_hops(search, hops) && !VecxSearchPastLimit(search) &&
		   !VecxSearchIsRare(search) &&
		   VecxFrontierTake(&search->frontier, threshold(search), &id))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_hidden(search, id) || !VecxIdSetAdd(&search->visited, id))
			continue;
		hop(search, id);
		hops++;
	}
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
	return threshold(search);
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

static int
compare_order(const void *a, const void *b)
{
	float		x = ((const VecxCandidate *) a)->est;
	float		y = ((const VecxCandidate *) b)->est;

	return (x > y) - (x < y);
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
	qsort(order, n, sizeof(VecxCandidate), compare_order);
	for (int i = 0; i < n; i++)
		sorted[i] = search->opened[order[i].id];
	pfree(order);
	pfree(search->opened);
	search->opened = sorted;
}

/*
 * From the entry down to where a search of that level should start: fills
 * seeds (room for VECX_MAX_SEEDS) and returns their number, 0 for an empty
 * graph.  The entry must be on that level or above.
 */
int
VecxSearchDescend(VecxSearch *search, VecxProbe *probe, int level, VecxId *seeds)
{
	const VecxMetaPageData *meta = &search->index->meta;
	int			nseeds = 1;

	if (meta->entry == VECX_INVALID_ID)
		return 0;
	seeds[0] = meta->entry;
	for (int l = meta->entry_level; l > level; l--)
	{
		VecxSearchStart(search, probe, l, seeds, nseeds);
		VecxSearchRun(search, l == level + 1 ? UPPER_WIDTH : 1);
		VecxSearchSort(search);
		nseeds = Min(search->nopened, l == level + 1 ? UPPER_WIDTH : 1);
		for (int i = 0; i < nseeds; i++)
			seeds[i] = search->opened[i].down;
	}
	return nseeds;
}

/* Whether a row of a record on a locked page passes the filter, or one of its chain
 * might. */
static bool
may_pass(const VecxSearch *search, VecxRecord rec)
{
	VecxRowEntry rows[VECX_INLINE_ROWS];

	return !search->filter || rec->chain_head != VECX_INVALID_ID ||
		VecxRowsCopy(search->index, search->filter, VecxRecordRows(&search->index->layout, rec),
					 Min(rec->nrows, VECX_INLINE_ROWS), rows) > 0;
}

/*
 * Notes the records of a page of level 0 that the search has not opened,
 * without going on from them.
 */
void
VecxSearchSweep(VecxSearch *search, BlockNumber blkno)
{
	Page		page;
	int			first = search->nopened;

	pin_page(search, blkno);
	LockBuffer(search->buf, BUFFER_LOCK_SHARE);
	page = BufferGetPage(search->buf);
	if (!PageIsNew(page) && VecxPageGetOpaque(page)->kind == VECX_PAGE_VERTEX)
	{
		OffsetNumber max = Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS);

		for (OffsetNumber off = FirstOffsetNumber; off <= max; off = OffsetNumberNext(off))
		{
			VecxId		id = VecxIdMake(blkno, off);
			VecxRecord	rec = get_record(search, page, id);
			const uint8 *code;

			if (!rec || (rec->flags & VECX_RECORD_DEAD) ||
				VecxIdSetContains(&search->visited, id))
				continue;
			if (!may_pass(search, rec))
			{
				search->nrecords++;
				search->ntested++;
				continue;
			}
			code = VecxRecordCode(&search->index->layout, rec);
			note_record(search, id, rec, !search->probe ? 0 :
						vecx_code_distance(&search->index->coder, &search->probe->code, code))->norm2 =
				vecx_code_norm2(&search->index->coder, code);
		}
	}
	LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
	drop_failing(search, first);
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
	return more;
}

/* Lets go of the page that the search keeps pinned between hops. */
void
VecxSearchRelease(VecxSearch *search)
{
	if (BufferIsValid(search->buf))
		ReleaseBuffer(search->buf);
	search->buf = InvalidBuffer;
}

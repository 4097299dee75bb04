/*
 * search_read.c
 *    What a search reads: records by their ids, and whole pages.
 *
 * Only share locks are taken, one page at a time; the page of the last hop stays
 * pinned.
 */
#include "postgres.h"

#include "executor/instrument.h"
#include "utils/spccache.h"

#include "am/search.h"

/* Models that may come and go while a search looks for one. */
#define MAX_MODEL_TRIES	3

/* Takes up a record on the page that is pinned, to be opened before another
 * page is read: it costs no page more.  False if it does not look good enough. */
static bool
add_nearby(VecxSearch *search, VecxId id, float est)
{
	if (est >= VecxSearchReach(search) || search->nnearby == VECX_MAX_ITEMS || VecxSearchIsHidden(search, id))
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

/*
 * Notes down what a record says, but for its distance, while its page is locked.  NULL if
 * no row of it passes the filter, and there are none elsewhere.
 */
static VecxOpened *
note_record(VecxSearch *search, VecxId id, VecxRecord rec)
{
	VecxIndex  *index = search->index;
	VecxOpened *opened;
	VecxRowEntry rows[VECX_INLINE_ROWS];
	int			nrows = VecxRowsCopy(index, search->filter, VecxRecordRows(&index->layout, rec),
									 Min(rec->nrows, VECX_INLINE_ROWS), rows);

	search->nrecords++;
	if (nrows == 0 && search->filter && search->level == 0 && rec->chain_head == VECX_INVALID_ID)
	{
		search->ntested++;
		return NULL;
	}
	opened = new_opened(search);
	opened->id = id;
	opened->down = rec->down;
	opened->generation = rec->generation;
	opened->hash = rec->hash;
	opened->chain = rec->chain_head;
	opened->dead = (rec->flags & VECX_RECORD_DEAD) != 0;
	opened->lsn = PageGetLSN(BufferGetPage(search->buf));
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
							  VecxRecordCode(&index->layout, rec), index->coder.nbytes);
	}
	return opened;
}

/* Notes down how far away it is. */
static void
note_distance(const VecxSearch *search, VecxOpened *opened, VecxRecord rec, float nav, float norm2)
{
	VecxIndex  *index = search->index;
	const uint8 *code = VecxRecordCode(&index->layout, rec);

	opened->nav = nav;
	opened->norm2 = norm2;
	opened->rank = opened->error = 0;
	if (search->probe)
	{
		const VecxCodeQuery *query = &search->probe->code;

		opened->rank = vecx_code_rank(&index->coder, query, code, nav);
		opened->error = VecxIsHashed(index) ? INFINITY :
			vecx_code_error(&index->coder, query, code, opened->rank);
	}
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
	if (number == 0)			/* of a slot that is not in use */
		return false;
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
 * record's model if its links are to be followed, and returns the record; NULL, with nothing locked, if the id
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
		if (rec && (search->closed || is_prepared(search->probe, rec->model)))
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

/* Navigation distance between two records of the level; infinite if one is gone. */
float
VecxSearchBetween(VecxSearch *search, VecxId a, VecxId b)
{
	const VecxCoder *coder = &search->index->coder;
	void	   *scratch = palloc(vecx_code_query_scratch(coder));
	uint8	   *code = palloc(coder->nbytes);
	float		dist = INFINITY;
	VecxCodeQuery query;
	VecxRecord	rec = lock_record(search, a);

	if (rec)
	{
		memcpy(code, VecxRecordCode(&search->index->layout, rec), coder->nbytes);
		LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
		vecx_code_query_init_code(coder, &query, code, scratch);
		rec = lock_record(search, b);
	}
	if (rec)
	{
		dist = vecx_code_distance(coder, &query, VecxRecordCode(&search->index->layout, rec));
		LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
	}
	pfree(code);
	pfree(scratch);
	return dist;
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
						   Min(VecxRecordSize(layout, search->closed ? 0 : search->index->meta.m),
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

		if (*asked == blkno || !VecxHasBlock(rel, blkno))
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
	VecxProbeForModels(probe);
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

		if (!VecxSearchIsHidden(search, cand.id))
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
	{
		VecxOpened *opened = note_record(search, id, rec);

		if (opened)
			note_distance(search, opened, rec, nav, norm2);
	}
	LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
	drop_failing(search, first);
	if (search->filter && search->level == 0 && !dead)
		VecxKeepNearestCandidate(search->near, &search->nnear, VECX_NEAR_RANK, (VecxCandidate) {nav, id});

	if (!dead && search->nopened > first)
		VecxSearchAddWorst(search, nav);
	for (int i = 0; i < nlinks; i++)
	{
		VecxCandidate cand = {search->est[i], search->ids[i]};

		if (search->nstand_in > 0 && search->level == 0 && VecxSearchIsHidden(search, cand.id))
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
void
VecxSearchHop(VecxSearch *search, VecxId id)
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
 * Notes the records of a page of level 0 that the search has not opened,
 * without going on from them.
 */
void
VecxSearchSweep(VecxSearch *search, BlockNumber blkno)
{
	Page		page;
	OffsetNumber max;
	int			first = search->nopened;

	pin_page(search, blkno);
	LockBuffer(search->buf, BUFFER_LOCK_SHARE);
	page = BufferGetPage(search->buf);
	max = VecxLastVertex(page);
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		VecxId		id = VecxIdMake(blkno, off);
		VecxRecord	rec = get_record(search, page, id);
		VecxOpened *opened;
		const uint8 *code;

		if (!rec || (rec->flags & VECX_RECORD_DEAD) ||
			VecxIdSetContains(&search->visited, id))
			continue;
		opened = note_record(search, id, rec);
		if (!opened)
			continue;
		code = VecxRecordCode(&search->index->layout, rec);
		note_distance(search, opened, rec, !search->probe ? 0 :
					  vecx_code_distance(&search->index->coder, &search->probe->code, code),
					  vecx_code_norm2(&search->index->coder, code));
	}
	LockBuffer(search->buf, BUFFER_LOCK_UNLOCK);
	drop_failing(search, first);
}

/* Lets go of the page that the search keeps pinned between hops. */
void
VecxSearchRelease(VecxSearch *search)
{
	if (BufferIsValid(search->buf))
		ReleaseBuffer(search->buf);
	search->buf = InvalidBuffer;
}

/*
 * search.h
 *    State of a search; only the files of the search look into it.
 */
#ifndef VECX_AM_SEARCH_H
#define VECX_AM_SEARCH_H

#include <math.h>

#include "storage/bufmgr.h"

#include "am/am.h"
#include "am/frontier.h"
#include "am/heap.h"

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
	VecxCandidate near[VECX_NEAR_RANK]; /* heap of the nearest at the base, if a filter passes over some */
	int			nnear;

	Buffer		buf;			/* pinned page of the last hop */
	bool		cold;			/* a page had to be read from disk */
	BlockNumber asked[64];		/* pages that the kernel was asked for, by number */
	VecxId		nearby[VECX_MAX_ITEMS]; /* records to open on that page */
	int			nnearby;
	float	   *est;			/* of one record's links */
	int32	   *scratch;
	VecxId	   *ids;

	int64		nhops;			/* pages read for a record, or a group of them */
	bool		steps;			/* runs are steps to a wider one, as which they count */
	int64		spent;			/* hops of the runs so far that count for the next */
	int64		nrecords;		/* read, on all levels and by sweeps */
	int64		ntested;		/* of them by the filter */
	int64		nmatching;		/* and have a row that passes */
	BlockNumber nblocks;		/* of the index */
	int64		most_records;	/* beyond which runs end */
};

/* Remembers a distance among the best width ones. */
static inline void
VecxSearchAddWorst(VecxSearch *search, float dist)
{
	VecxKeepNearest(search->worst, &search->nworst, search->width, dist);
}

static inline float
VecxSearchReach(const VecxSearch *search)
{
	return search->nworst < search->width ? INFINITY : search->worst[0];
}

static inline bool
VecxSearchIsHidden(const VecxSearch *search, VecxId id)
{
	return search->hidden && VecxIdSetContains(search->hidden, id);
}

/* search_read.c */
extern void VecxSearchHop(VecxSearch *search, VecxId id);
extern float VecxSearchBetween(VecxSearch *search, VecxId a, VecxId b);

#endif							/* VECX_AM_SEARCH_H */

/*
 * frontier.h
 *    Records that a search has seen and not opened, nearest estimate first.
 *
 * A hop adds some twenty of them and takes one away, so most are never taken.
 * The nearest few are kept sorted; the far ones lie as they came.  When the near
 * ones are used up, the nearest of the far ones are picked out: a few of them
 * become near, the others wait in a heap, so that a long search does not go
 * through all far ones every time.  Limits tell where a new record belongs.
 *
 * One record may be in the frontier several times, seen from several sides: its
 * least estimate comes first, and the search passes over the others.
 */
#ifndef VECX_FRONTIER_H
#define VECX_FRONTIER_H

#include <math.h>

#include "am/am.h"

/* Records kept sorted: so many that they are seldom used up before the width
 * is reached, and so few that to shift them costs nothing. */
#define VECX_FRONTIER_NEAR	32

typedef struct VecxFrontier
{
	MemoryContext cxt;
	int			nnear;
	float		limit;			/* nothing that is not near is nearer than this */
	float		far_limit;		/* nothing far is nearer than this */
	float		est[VECX_FRONTIER_NEAR];	/* ascending, then infinite */
	VecxId		id[VECX_FRONTIER_NEAR]; /* VECX_INVALID_ID from nnear on */
	VecxCandidate *next;		/* min-heap of those between the limits */
	int			nnext;
	int			next_cap;
	VecxCandidate *far;
	int			nfar;
	int			far_cap;
	int			far_max;		/* by work_mem */
	bool		forgot;			/* some of the far ones, since it was cleared */
} VecxFrontier;

extern void VecxFrontierInit(VecxFrontier *f, MemoryContext cxt);
extern void VecxFrontierClear(VecxFrontier *f);
extern void VecxFrontierRefill(VecxFrontier *f, float bound);
extern void VecxFrontierAddNear(VecxFrontier *f, VecxCandidate cand);
extern void VecxFrontierAddNext(VecxFrontier *f, VecxCandidate cand);
extern void VecxFrontierGrow(VecxFrontier *f);

/* Takes out the near record at that place. */
static inline void
VecxFrontierRemoveNear(VecxFrontier *f, int at)
{
	int			last = VECX_FRONTIER_NEAR - 1;

	memmove(f->est + at, f->est + at + 1, sizeof(float) * (last - at));
	memmove(f->id + at, f->id + at + 1, sizeof(VecxId) * (last - at));
	f->est[last] = INFINITY;
	f->id[last] = VECX_INVALID_ID;
	f->nnear--;
}

static inline void
VecxFrontierAddFar(VecxFrontier *f, VecxCandidate cand)
{
	if (f->nfar == f->far_cap)
		VecxFrontierGrow(f);
	f->far[f->nfar++] = cand;
}

/* Adds a record; a NaN counts as infinitely far. */
static inline void
VecxFrontierAdd(VecxFrontier *f, VecxCandidate cand)
{
	if (cand.est < f->limit)
		VecxFrontierAddNear(f, cand);
	else if (cand.est < f->far_limit)
		VecxFrontierAddNext(f, cand);
	else
		VecxFrontierAddFar(f, cand);
}

static inline bool
VecxFrontierIsEmpty(const VecxFrontier *f)
{
	return f->nnear == 0 && f->nnext == 0 && f->nfar == 0;
}

/* Takes out the nearest record, if its estimate is not beyond the threshold. */
static inline bool
VecxFrontierTake(VecxFrontier *f, float threshold, VecxId *id)
{
	if (f->nnear == 0)
	{
		if ((f->nnext == 0 && f->nfar == 0) || f->limit > threshold)
			return false;
		VecxFrontierRefill(f, threshold);
	}
	if (f->est[0] > threshold)
		return false;
	*id = f->id[0];
	VecxFrontierRemoveNear(f, 0);
	return true;
}

#endif							/* VECX_FRONTIER_H */

/*
 * frontier.c
 *    The parts of a search's frontier that are not needed at every hop; see
 *    frontier.h.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "am/frontier.h"
#include "am/heap.h"

#define FIRST_FAR	1024
#define FIRST_NEXT	64

/* Of the far records one in so many is picked out at once, since all are looked at
 * for it, but not fewer than the near ones can take. */
#define PICKED_OF_FAR	16

void
VecxFrontierInit(VecxFrontier *f, MemoryContext cxt)
{
	f->cxt = cxt;
	f->far_cap = FIRST_FAR;
	f->far = MemoryContextAlloc(cxt, sizeof(VecxCandidate) * f->far_cap);
	f->next_cap = FIRST_NEXT;
	f->next = MemoryContextAlloc(cxt, sizeof(VecxCandidate) * f->next_cap);
	f->far_max = (int) Min((Size) work_mem * 1024 / 4 / sizeof(VecxCandidate), (Size) INT_MAX / 4);
	VecxFrontierClear(f);
}

void
VecxFrontierClear(VecxFrontier *f)
{
	f->nnear = f->nnext = f->nfar = 0;
	f->forgot = false;
	f->limit = INFINITY;
	f->far_limit = -INFINITY;
	for (int i = 0; i < VECX_FRONTIER_NEAR; i++)
	{
		f->est[i] = INFINITY;
		f->id[i] = VECX_INVALID_ID;
	}
}

VECX_DEFINE_SELECT_LEAST(select_nearest, VecxCandidate, VECX_ESTIMATE);

/*
 * Makes room for one more far record.  Beyond the share of work_mem the farther
 * half is forgotten: those count as not seen, so that a sweep will find them.
 */
void
VecxFrontierGrow(VecxFrontier *f)
{
	if (f->far_cap * 2 <= Max(f->far_max, 2 * FIRST_FAR))
	{
		f->far_cap *= 2;
		f->far = repalloc_huge(f->far, sizeof(VecxCandidate) * f->far_cap);
		return;
	}
	f->forgot = true;
	f->nfar /= 2;
	select_nearest(f->far, f->far_cap, f->nfar);
}

/*
 * Adds a record that is within the limit.  Estimates from several sides err
 * independently of each other: one that is there already gets their mean.  The
 * farthest of too many joins the far ones.
 */
void
VecxFrontierAddNear(VecxFrontier *f, VecxCandidate cand)
{
	int			known = -1;
	int			at = 0;

	/* over the whole arrays: many at once, without a branch */
	for (int i = 0; i < VECX_FRONTIER_NEAR; i++)
		known = f->id[i] == cand.id ? i : known;
	if (known >= 0)
	{
		cand.est = (cand.est + f->est[known]) / 2;
		VecxFrontierRemoveNear(f, known);
	}
	for (int i = 0; i < VECX_FRONTIER_NEAR; i++)
		at += f->est[i] <= cand.est;
	at = Min(at, f->nnear);
	if (f->nnear == VECX_FRONTIER_NEAR)
	{
		VecxCandidate last = {f->est[f->nnear - 1], f->id[f->nnear - 1]};

		if (at == f->nnear)
			last = cand;
		f->limit = last.est;
		if (f->limit < f->far_limit)
			VecxFrontierAddNext(f, last);
		else
			VecxFrontierAddFar(f, last);
		if (at == f->nnear)
			return;
		f->nnear--;
	}
	memmove(f->est + at + 1, f->est + at, sizeof(float) * (f->nnear - at));
	memmove(f->id + at + 1, f->id + at, sizeof(VecxId) * (f->nnear - at));
	f->est[at] = cand.est;
	f->id[at] = cand.id;
	f->nnear++;
}

/* Moves the farther half of those between the limits to the far ones. */
static void
spill_next(VecxFrontier *f)
{
	int			keep = f->nnext / 2;
	int			nnext = 0;

	select_nearest(f->next, f->nnext, keep);
	for (int i = keep; i < f->nnext; i++)
	{
		f->far_limit = Min(f->far_limit, f->next[i].est);
		VecxFrontierAddFar(f, f->next[i]);
	}
	/* a heap again */
	for (int i = 0; i < keep; i++)
		VecxHeapPush(f->next, &nnext, f->next[i]);
	f->nnext = nnext;
}

/* Adds a record that is between the limits. */
void
VecxFrontierAddNext(VecxFrontier *f, VecxCandidate cand)
{
	if (f->nnext == f->next_cap)
	{
		if (f->next_cap * 2 > Max(f->far_max, 2 * FIRST_FAR))
			spill_next(f);
		else
		{
			f->next_cap *= 2;
			f->next = repalloc_huge(f->next, sizeof(VecxCandidate) * f->next_cap);
		}
	}
	if (cand.est < f->far_limit)
		VecxHeapPush(f->next, &f->nnext, cand);
	else
		VecxFrontierAddFar(f, cand);
}

/* Arranges the far records so that those up to the bound come first; returns their number. */
static int
part_far(VecxFrontier *f, float bound)
{
	bool		all = bound == INFINITY;	/* even what is NaN */
	int			within = 0;

	/* without a branch: which way each goes cannot be foreseen */
	for (int i = 0; i < f->nfar; i++)
	{
		VecxCandidate cand = f->far[i];

		f->far[i] = f->far[within];
		f->far[within] = cand;
		within += (cand.est <= bound) | all;
	}
	return within;
}

/*
 * Picks out the nearest of the far records; there are none between the limits.
 * Those beyond the bound are not wanted by this search, and may stay unordered.
 */
static void
pick_next(VecxFrontier *f, float bound)
{
	int			within = part_far(f, bound);
	int			count = Min(within, Max(VECX_FRONTIER_NEAR, f->nfar / PICKED_OF_FAR));

	f->far_limit = bound;
	if (count < within)
	{
		select_nearest(f->far, within, count);
		f->far_limit = -INFINITY;
		for (int i = 0; i < count; i++)
			f->far_limit = Max(f->far_limit, f->far[i].est);
	}
	if (count > f->next_cap)
	{
		f->next_cap = count;
		f->next = repalloc_huge(f->next, sizeof(VecxCandidate) * f->next_cap);
	}
	for (int i = 0; i < count; i++)
		VecxHeapPush(f->next, &f->nnext, f->far[i]);
	f->nfar -= count;
	memmove(f->far, f->far + Max(f->nfar, count), sizeof(VecxCandidate) * Min(f->nfar, count));
}

/*
 * Moves the nearest of the other records to the near ones, of which none is
 * left.  None of those beyond the bound need come.
 */
void
VecxFrontierRefill(VecxFrontier *f, float bound)
{
	if (f->nnext == 0)
		pick_next(f, bound);
	f->limit = INFINITY;
	for (int i = 0; i < VECX_FRONTIER_NEAR / 2 && f->nnext > 0; i++)
		VecxFrontierAddNear(f, VecxHeapPop(f->next, &f->nnext));
	f->limit = f->nnext > 0 ? f->next[0].est : f->nfar > 0 ? f->far_limit : INFINITY;
}

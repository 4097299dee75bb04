/*
 * frontier.c
 *    The parts of a search's frontier that are not needed at every hop; see
 *    frontier.h.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/frontier.h"

#define FIRST_FAR	1024

void
VecxFrontierInit(VecxFrontier *f, MemoryContext cxt)
{
	f->cxt = cxt;
	f->far_cap = FIRST_FAR;
	f->far = MemoryContextAlloc(cxt, sizeof(VecxCandidate) * f->far_cap);
	f->far_max = (int) Min((Size) work_mem * 1024 / 4 / sizeof(VecxCandidate), (Size) INT_MAX / 4);
	VecxFrontierClear(f);
}

void
VecxFrontierClear(VecxFrontier *f)
{
	f->nnear = f->nfar = 0;
	f->limit = INFINITY;
	for (int i = 0; i < VECX_FRONTIER_NEAR; i++)
	{
		f->est[i] = INFINITY;
		f->id[i] = VECX_INVALID_ID;
	}
}

/* Arranges the array so that the count nearest come first, in no order. */
static void
select_nearest(VecxCandidate *cands, int n, int count)
{
	int			from = 0;
	int			to = n - 1;

	/* Hoare's selection; equal estimates on both sides keep it from degrading */
	while (from < to)
	{
		float		pivot = cands[from + (to - from) / 2].est;
		int			i = from;
		int			j = to;

		while (i <= j)
		{
			while (cands[i].est < pivot)
				i++;
			while (cands[j].est > pivot)
				j--;
			if (i <= j)
			{
				VecxCandidate t = cands[i];

				cands[i++] = cands[j];
				cands[j--] = t;
			}
		}
		if (count - 1 <= j)
			to = j;
		else if (count - 1 >= i)
			from = i;
		else
			return;
	}
}

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

/* Moves the nearest of the far records to the near ones, of which none is left. */
void
VecxFrontierRefill(VecxFrontier *f)
{
	VecxCandidate nearest[VECX_FRONTIER_NEAR / 2];
	int			count = Min(f->nfar, VECX_FRONTIER_NEAR / 2);
	float		limit = -INFINITY;

	select_nearest(f->far, f->nfar, count);
	memcpy(nearest, f->far, sizeof(VecxCandidate) * count);
	f->nfar -= count;
	memmove(f->far, f->far + Max(f->nfar, count), sizeof(VecxCandidate) * Min(f->nfar, count));
	for (int i = 0; i < count; i++)
	{
		limit = Max(limit, nearest[i].est);
		VecxFrontierAddNear(f, nearest[i]);
	}
	f->limit = f->nfar > 0 ? limit : INFINITY;
}

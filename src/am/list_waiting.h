/*
 * list_waiting.h
 *    Rows of lists that wait to leave a scan, by the lower bounds of their distances.
 *
 * Most never leave: the nearest are in a heap, the others lie as they came.
 */
#ifndef VECX_LIST_WAITING_H
#define VECX_LIST_WAITING_H

#include "am/list.h"

typedef struct VecxWaitingRow
{
	float		lower;			/* bounds of its distance */
	float		upper;
	VecxRowEntry row;
	uint32		reference;		/* of what is behind it; 0: nothing, or it was looked at */
	float		product;		/* of the query with its code */
} VecxWaitingRow;

typedef struct VecxWaiting
{
	MemoryContextCallback release;	/* of far */
	float		expected;		/* rows that come first */
	VecxWaitingRow *near;		/* heap of the nearest */
	int			nnear;
	int			near_cap;
	float		near_limit;		/* no other is below; of none before the first is asked for */
	VecxWaitingRow *far;
	int			nfar;
	int			far_cap;
	int			most;			/* that a share of work_mem takes */
} VecxWaiting;

static inline int
VecxWaitingCount(const VecxWaiting *w)
{
	return w->nnear + w->nfar;
}

extern void VecxWaitingInit(VecxWaiting *w, float expected);
extern VecxWaitingRow *VecxWaitingRoom(VecxWaiting *w);
extern void VecxWaitingAdd(VecxWaiting *w, int n);
extern const VecxWaitingRow *VecxWaitingFirst(VecxWaiting *w);
extern VecxWaitingRow VecxWaitingPop(VecxWaiting *w);
extern float VecxWaitingKth(const VecxWaiting *w, int k);

#endif							/* VECX_LIST_WAITING_H */

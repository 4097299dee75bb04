/*
 * heap.h
 *    A binary min-heap of candidates in an array.
 */
#ifndef VECX_HEAP_H
#define VECX_HEAP_H

#include "am/am.h"

/* The array must have room for one more. */
static inline void
VecxHeapPush(VecxCandidate *heap, int *n, VecxCandidate item)
{
	int			i = (*n)++;

	while (i > 0)
	{
		int			parent = (i - 1) / 2;

		if (heap[parent].est <= item.est)
			break;
		heap[i] = heap[parent];
		i = parent;
	}
	heap[i] = item;
}

static inline VecxCandidate
VecxHeapPop(VecxCandidate *heap, int *n)
{
	VecxCandidate top = heap[0];
	VecxCandidate last = heap[--(*n)];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= *n)
			break;
		if (child + 1 < *n && heap[child + 1].est < heap[child].est)
			child++;
		if (last.est <= heap[child].est)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return top;
}

#endif							/* VECX_HEAP_H */

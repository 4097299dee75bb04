/*
 * heap.h
 *    Binary heaps in arrays: candidates, nearest first; and the smallest of many
 *    distances, largest first.
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

/* A function that keeps a distance if it is among the most smallest so far. */
#define VECX_DEFINE_KEEP_NEAREST(name, type) \
static inline void \
name(type *heap, int *n, int most, type dist) \
{ \
	int			i; \
\
	if (*n < most) \
	{ \
		i = (*n)++; \
		while (i > 0 && heap[(i - 1) / 2] < dist) \
		{ \
			heap[i] = heap[(i - 1) / 2]; \
			i = (i - 1) / 2; \
		} \
		heap[i] = dist; \
		return; \
	} \
	if (dist >= heap[0]) \
		return; \
	for (i = 0;;) \
	{ \
		int			child = 2 * i + 1; \
\
		if (child >= *n) \
			break; \
		if (child + 1 < *n && heap[child + 1] > heap[child]) \
			child++; \
		if (dist >= heap[child]) \
			break; \
		heap[i] = heap[child]; \
		i = child; \
	} \
	heap[i] = dist; \
}

VECX_DEFINE_KEEP_NEAREST(VecxKeepNearest, float)
VECX_DEFINE_KEEP_NEAREST(VecxKeepNearestDouble, double)

#endif							/* VECX_HEAP_H */

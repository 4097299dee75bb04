/*
 * heap.h
 *    Binary heaps in arrays: candidates, nearest first; and the nearest of many
 *    candidates or distances, farthest first.
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

/* A function that keeps an item if it is among the most nearest so far. */
#define VECX_DEFINE_KEEP_NEAREST(name, type, distance) \
static inline void \
name(type *heap, int *n, int most, type item) \
{ \
	int			i; \
\
	if (*n < most) \
	{ \
		i = (*n)++; \
		while (i > 0 && distance(heap[(i - 1) / 2]) < distance(item)) \
		{ \
			heap[i] = heap[(i - 1) / 2]; \
			i = (i - 1) / 2; \
		} \
		heap[i] = item; \
		return; \
	} \
	if (distance(item) >= distance(heap[0])) \
		return; \
	for (i = 0;;) \
	{ \
		int			child = 2 * i + 1; \
\
		if (child >= *n) \
			break; \
		if (child + 1 < *n && distance(heap[child + 1]) > distance(heap[child])) \
			child++; \
		if (distance(item) >= distance(heap[child])) \
			break; \
		heap[i] = heap[child]; \
		i = child; \
	} \
	heap[i] = item; \
}

#define VECX_ITSELF(item)	(item)
#define VECX_ESTIMATE(item)	((item).est)

VECX_DEFINE_KEEP_NEAREST(VecxKeepNearest, float, VECX_ITSELF)
VECX_DEFINE_KEEP_NEAREST(VecxKeepNearestDouble, double, VECX_ITSELF)
VECX_DEFINE_KEEP_NEAREST(VecxKeepNearestCandidate, VecxCandidate, VECX_ESTIMATE)

#endif							/* VECX_HEAP_H */

/*
 * heap.h
 *    Heaps of candidates and distances: nearest first to take them out, and
 *    the nearest of many, farthest first.  And orders for qsort.
 */
#ifndef VECX_HEAP_H
#define VECX_HEAP_H

#include "am/am.h"
#include "code/code_heap.h"

#define VECX_ESTIMATE(item)	((item).est)

VECX_DEFINE_HEAP(VecxHeapPush, VecxHeapPop, VecxCandidate, VECX_ESTIMATE);
VECX_DEFINE_KEEP_LEAST(VecxKeepNearest, float, VECX_ITSELF);
VECX_DEFINE_KEEP_LEAST(VecxKeepNearestDouble, double, VECX_ITSELF);
VECX_DEFINE_KEEP_LEAST(VecxKeepNearestCandidate, VecxCandidate, VECX_ESTIMATE);

/* Candidates, nearest first. */
static inline int
VecxCompareCandidates(const void *a, const void *b)
{
	float		x = ((const VecxCandidate *) a)->est;
	float		y = ((const VecxCandidate *) b)->est;

	return (x > y) - (x < y);
}

/* Opened records, nearest first as the search went. */
static inline int
VecxCompareOpened(const void *a, const void *b)
{
	float		x = ((const VecxOpened *) a)->nav;
	float		y = ((const VecxOpened *) b)->nav;

	return (x > y) - (x < y);
}

/* TIDs, ascending. */
static inline int
VecxCompareTids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

#endif							/* VECX_HEAP_H */

/*
 * heap.h
 *    Heaps of candidates and distances: nearest first to take them out, and
 *    the nearest of many, farthest first.
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

#endif							/* VECX_HEAP_H */

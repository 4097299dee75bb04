/*
 * ready.h
 *    What a scan is about to return: the rows of a vertex, one after the other,
 *    and vertices whose distance is known, nearest first.
 */
#ifndef VECX_READY_H
#define VECX_READY_H

#include "am/am.h"

/* The rows of one vertex. */
typedef struct VecxRowCursor
{
	VecxIndex  *index;
	const VecxFilterQuery *filter;	/* NULL: none */
	MemoryContext cxt;
	VecxOpened	vertex;
	int			next;			/* in vertex.tids, then in rows */
	bool		in_chain;
	VecxId		segment;		/* to read when rows are used up */
	VecxRowEntry *rows;
	int			nrows;
	uint64		steps;			/* segments read */
	VecxId		item;			/* record or segment that rows come from */
	XLogRecPtr	lsn;			/* of its page then */
} VecxRowCursor;

extern void VecxCursorStart(VecxRowCursor *cursor, VecxIndex *index,
							const VecxFilterQuery *filter, MemoryContext cxt,
							const VecxOpened *vertex);
extern bool VecxCursorNext(VecxRowCursor *cursor, ItemPointer tid, bool *recheck);
extern void VecxCursorEnd(VecxRowCursor *cursor);

/* A vertex whose distance is known. */
typedef struct VecxReady
{
	double		distance;		/* the operator's */
	VecxRowCursor rows;			/* at the first row that is visible */
} VecxReady;

typedef struct VecxReadyHeap
{
	MemoryContext cxt;
	VecxReady  *items;			/* min-heap on distance; NULL: none yet */
	int			n;
	int			cap;
} VecxReadyHeap;

extern void VecxReadyInit(VecxReadyHeap *heap, MemoryContext cxt);
extern void VecxReadyPush(VecxReadyHeap *heap, const VecxReady *item);
extern VecxReady VecxReadyPop(VecxReadyHeap *heap);

#endif							/* VECX_READY_H */

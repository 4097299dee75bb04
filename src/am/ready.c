/*
 * ready.c
 *    What a scan is about to return: the rows of a vertex, one after the other,
 *    and vertices whose distance is known, nearest first.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/ready.h"
#include "code/code_heap.h"

void
VecxCursorStart(VecxRowCursor *cursor, VecxIndex *index, const VecxFilterQuery *filter,
				MemoryContext cxt, const VecxOpened *vertex)
{
	cursor->index = index;
	cursor->filter = filter;
	cursor->cxt = cxt;
	cursor->vertex = *vertex;
	cursor->next = 0;
	cursor->in_chain = false;
	cursor->segment = vertex->chain;
	cursor->rows = NULL;
	cursor->nrows = 0;
	cursor->steps = 0;
	cursor->item = vertex->id;
	cursor->lsn = vertex->lsn;
}

/*
 * The next row of the vertex that passes the filter, and whether the conditions have
 * to be tested on the row itself; false at the end.
 */
bool
VecxCursorNext(VecxRowCursor *cursor, ItemPointer tid, bool *recheck)
{
	if (!cursor->in_chain)
	{
		if (cursor->next < cursor->vertex.nrows)
		{
			*tid = cursor->vertex.tids[cursor->next];
			*recheck = (cursor->vertex.recheck >> cursor->next++) & 1;
			return true;
		}
		cursor->in_chain = true;
		cursor->next = 0;
	}
	while (cursor->next >= cursor->nrows)
	{
		if (cursor->segment == VECX_INVALID_ID)
		{
			VecxCursorEnd(cursor);
			return false;
		}
		CHECK_FOR_INTERRUPTS();
		VecxRowsCheckSteps(cursor->index, cursor->segment, cursor->steps++);
		if (!cursor->rows)
			cursor->rows = MemoryContextAlloc(cursor->cxt,
											  sizeof(VecxRowEntry) * VECX_SEGMENT_MAX_ROWS);
		cursor->item = cursor->segment;
		cursor->nrows = VecxRowsReadSegment(cursor->index, cursor->filter, cursor->vertex.id,
											&cursor->segment, cursor->rows, &cursor->lsn);
		cursor->next = 0;
	}
	*tid = cursor->rows[cursor->next].tid;
	*recheck = (cursor->rows[cursor->next++].flags & VECX_ROW_RECHECK) != 0;
	return true;
}

/* Frees what the cursor has allocated. */
void
VecxCursorEnd(VecxRowCursor *cursor)
{
	if (cursor->rows)
		pfree(cursor->rows);
	cursor->rows = NULL;
}

#define DISTANCE(item)	((item).distance)
VECX_DEFINE_HEAP(push_item, pop_item, VecxReady, DISTANCE);

void
VecxReadyInit(VecxReadyHeap *heap, MemoryContext cxt)
{
	heap->cxt = cxt;
	heap->items = NULL;
	heap->n = heap->cap = 0;
}

void
VecxReadyPush(VecxReadyHeap *heap, const VecxReady *item)
{
	if (heap->n == heap->cap)
	{
		heap->cap = Max(heap->cap * 2, 16);
		heap->items = heap->items ?
			repalloc_huge(heap->items, sizeof(VecxReady) * heap->cap) :
			MemoryContextAlloc(heap->cxt, sizeof(VecxReady) * heap->cap);
	}
	push_item(heap->items, &heap->n, *item);
}

VecxReady
VecxReadyPop(VecxReadyHeap *heap)
{
	return pop_item(heap->items, &heap->n);
}

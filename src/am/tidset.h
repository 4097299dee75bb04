/*
 * tidset.h
 *    A set of table rows that other indexes found, and the plan node that hands
 *    it to a scan.
 */
#ifndef VECX_TIDSET_H
#define VECX_TIDSET_H

#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/tidbitmap.h"

/* tidset.c: immutable once it is made */
typedef struct VecxTidSet VecxTidSet;

/* A place in a set, for VecxTidSetNext; begins with zeros. */
typedef struct VecxTidCursor
{
	int			page;
	OffsetNumber offset;
} VecxTidCursor;

extern VecxTidSet *VecxTidSetMake(TIDBitmap *bitmap, BlockNumber table_blocks, MemoryContext cxt);
extern bool VecxTidSetMayHave(const VecxTidSet *set, const ItemPointerData *tid);
extern int64 VecxTidSetCount(const VecxTidSet *set);
extern int64 VecxTidSetLossyPages(const VecxTidSet *set);
extern bool VecxTidSetNext(const VecxTidSet *set, VecxTidCursor *cursor, ItemPointer tid);

/* bitmap_filter.c: the plan node */
#define VECX_BITMAP_FILTER	"Vecx Bitmap Filter"
extern const CustomScanMethods VecxBitmapFilterMethods;
extern bool VecxIsBitmapFilter(const PlanState *node);
extern PlanState *VecxBitmapFilterScan(const PlanState *node);

#endif							/* VECX_TIDSET_H */

/*
 * verify.h
 *    What the functions that look at a whole index share.
 */
#ifndef VECX_VERIFY_H
#define VECX_VERIFY_H

#include "am/am.h"

/* An index and its table, opened for a function that its owner called. */
typedef struct VecxTarget
{
	Relation	heap;
	Relation	rel;
	LOCKMODE	mode;
	Oid			save_user;
	int			save_context;
	int			save_nestlevel;
} VecxTarget;

/* target.c */
extern void VecxTargetOpen(VecxTarget *target, Oid indexid, LOCKMODE mode);
extern void VecxTargetClose(VecxTarget *target);
extern TableScanDesc VecxTargetScan(VecxTarget *target, Snapshot snapshot, IndexInfo **info);
extern bool VecxTargetReadPage(Relation rel, BlockNumber blkno, BufferAccessStrategy strategy,
							   PGAlignedBlock *copy);

/*
 * Raises ERRCODE_INDEX_CORRUPTED with the place of the damage; off is 0 when it
 * is not in one item.  fmt adds to the detail, and may be NULL.
 */
extern void VecxDamage(Relation rel, BlockNumber blkno, OffsetNumber off, const char *what,
					   const char *fmt,...) pg_attribute_printf(5, 6) pg_attribute_noreturn();

/* check_rows.c: the TIDs of an index against one another and the table */
typedef struct VecxRowCheck VecxRowCheck;
extern VecxRowCheck *VecxRowCheckMake(VecxTarget *target, VecxIndex *index);
extern void VecxRowCheckAdd(VecxRowCheck *rows, VecxId id, uint32 hash, BlockNumber blkno,
							OffsetNumber off, const VecxRowEntry *row, int nrows);
extern void VecxRowCheckFinish(VecxRowCheck *rows, bool with_table);

/* check_graph.c: records and links */
typedef struct VecxGraphCheck VecxGraphCheck;
extern VecxGraphCheck *VecxGraphCheckMake(VecxIndex *index, BlockNumber nblocks, VecxRowCheck *rows);
extern void VecxGraphCheckEntry(VecxGraphCheck *graph);
extern void VecxGraphCheckPage(VecxGraphCheck *graph, BlockNumber blkno, Page page);

#endif							/* VECX_VERIFY_H */

/*
 * scan.h
 *    State of an index scan; only the files of the scan look into it.
 */
#ifndef VECX_AM_SCAN_H
#define VECX_AM_SCAN_H

#include "executor/tuptable.h"

#include "am/heap.h"
#include "am/list.h"
#include "am/ready.h"
#include "am/tidset.h"
#include "am/vtree.h"

typedef enum VecxScanPhase
{
	VECX_PHASE_START,
	VECX_PHASE_NAN,					/* when NaN comes first */
	VECX_PHASE_GRAPH,
	VECX_PHASE_TREE,					/* what the value tree says may match */
	VECX_PHASE_SWEEP,
	VECX_PHASE_SIDE,
	VECX_PHASE_SET,					/* instead of the others: few rows, looked up */
	VECX_PHASE_DONE
} VecxScanPhase;

typedef struct VecxConditions VecxConditions;
typedef struct VecxOrs VecxOrs;

typedef struct VecxScan
{
	MemoryContext cxt;			/* of one rescan */
	MemoryContext fetch_cxt;	/* of one heap fetch */
	VecxIndex  *index;
	VecxSearch *search;
	VecxProbe  *probe;			/* NULL: the query has no distance to anything */
	VecxProbe  *route;			/* what the search goes by: that, unless queries are moved */
	Datum		query;
	bool		strict;			/* vecx.scan_order when the plan was started */
	VecxRange	range;
	VecxOrs    *ors;			/* of the node's conditions; NULL: none */
	VecxFilterQuery *filter;	/* conditions on filter columns, or NULL */
	VecxTreeScan *tree;			/* who may meet them; NULL: the value tree does not tell */
	double		tree_cost;		/* of asking it, in hops */
	bool		recheck;		/* all rows, because of conditions on the vector */
	bool		only_null;		/* rows without a vector are wanted, or */
	bool		not_null;		/* are not */
	bool		nan_first;		/* the operator says that NaN is the least */
	VecxExact  *exact;
	VecxScanPhase	phase;
	VecxScanPhase	after_nan;
	const LimitState *limit;	/* above the scan, or NULL */
	double		passing;		/* share of the rows that gets there */
	int64		rows_wanted;	/* without a limit; 0: unknown */
	int64		most_tuples;	/* vecx.max_scan_tuples when the plan was started */
	int64		given;			/* rows given to the executor */
	bool		told;			/* that the scan gave up */
	const VecxTidSet *tids;		/* the only rows to return; NULL: all */
	bool		may_look_up;	/* instead of searching on */
	double		otherwise;		/* of lists: what it costs then */
	VecxTreeRows *tree_rows;	/* of lists: how to find them by the value tree, or NULL */
	bool		tids_of_tree;	/* tids came from there */
	IndexScanState *node;		/* whose rows the limit counts, or NULL */
	VecxConditions *conditions; /* of the node; NULL: it alone tests them */
	bool		tids_of_table;	/* which tids came from */
	VecxSetRows *set_rows;
	int64		begun;			/* records read when the base level was begun */
	VecxEffort	effort;
	int			width;			/* of the first batch */
	VecxScanCounts counts;
	int64		returned;		/* vertices given out by the graph so far */
	bool		restarted;		/* the search found nothing and started again */
	BlockNumber sweep_next;
	BlockNumber sweep_end;
	VecxSideScan side;

	VecxOpened *batch;
	int			batch_cap;
	VecxCandidate *pending;		/* of the batch: min-heap on the lower bound of the
								 * distance; id is the place in the batch */
	int			npending;
	VecxListScan *lists;		/* of posting lists: what takes the place of those */
	VecxNearLists *near;		/* and of a search for them, or NULL */
	VecxOpened	row;			/* the row of a list that is being looked at */
	VecxReadyHeap ready;
	VecxRowCursor current;		/* whose rows are being returned */
	bool		has_current;
	ItemPointerData last_tid;	/* of the row returned last, if it is one of current */
	VecxKills  *kills;			/* rows found dead; NULL: none yet */
	double		last_distance;	/* of the row returned last */
} VecxScan;

/*
 * Where a vertex's distance lies, as its code tells.  code.h gives the error as
 * three standard deviations; with half as much again, two vertices whose
 * ranges do not meet change places once in some 10^9 pairs.
 */
#define VECX_SCAN_ERROR_FACTOR	1.5f

static inline float
VecxScanLowerBound(const VecxOpened *opened)
{
	return opened->rank - VECX_SCAN_ERROR_FACTOR * opened->error;
}

static inline float
VecxScanUpperBound(const VecxOpened *opened)
{
	return opened->rank + VECX_SCAN_ERROR_FACTOR * opened->error;
}

/* scan.c */
extern void VecxScanNoteDead(VecxScan *so, const VecxRowCursor *cursor, ItemPointer tid);
extern void VecxScanGiveUp(VecxScan *so);

/* scan_start.c */
extern void VecxScanStart(IndexScanDesc scan, VecxScan *so);
extern void VecxScanStartGraph(VecxScan *so);
extern void VecxScanStartTree(VecxScan *so);
extern void VecxScanStartSweep(VecxScan *so);
extern void VecxScanLimitSearch(VecxScan *so);
extern void VecxScanFilteredEffort(VecxScan *so, double share);
extern double VecxScanRecordsPerLookup(const VecxScan *so);
extern double VecxScanShareOfSet(const VecxScan *so);
extern int64 VecxScanRowsWanted(VecxScan *so, double share);

/* scan_table.c */
extern void VecxConditionsStart(IndexScanDesc scan, VecxScan *so);
extern bool VecxConditionsMet(VecxScan *so, TupleTableSlot *row, bool recheck);
extern void VecxConditionsEnd(VecxScan *so);
extern double VecxConditionsWanted(const VecxScan *so);
extern void VecxConditionsNote(VecxScan *so, ItemPointer tid);
extern bool VecxScanChangeToTable(IndexScanDesc scan, VecxScan *so);

/* scan_or.c */
extern VecxOrs *VecxOrsMake(IndexScanState *node);
extern bool VecxOrsAreAll(const VecxOrs *ors);
extern const VecxOrKeys *VecxOrsKeys(VecxOrs *ors, int *n);

/* scan_lists.c */
extern void VecxScanStartLists(IndexScanDesc scan, VecxScan *so);
extern bool VecxScanReadLists(IndexScanDesc scan, VecxScan *so);

/* scan_batch.c */
extern bool VecxScanNextBatch(VecxScan *so);

/* scan_next.c */
extern void VecxScanMakeExact(IndexScanDesc scan, VecxScan *so);
extern bool VecxScanDistance(IndexScanDesc scan, VecxScan *so, ItemPointer tid, double *distance);
extern bool VecxScanNextVertex(IndexScanDesc scan, VecxScan *so);

#endif							/* VECX_AM_SCAN_H */

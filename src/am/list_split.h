/*
 * list_split.h
 *    What list_split.c, which makes new lists of the rows of others, shares with
 *    list_reassign.c, which says for each row where it goes.
 */
#ifndef VECX_LIST_SPLIT_H
#define VECX_LIST_SPLIT_H

#include "am/list.h"
#include "code/code_cluster.h"

/* One of the new lists. */
typedef struct VecxListPart
{
	uint8	   *code;			/* of the centroid */
	BlockNumber head;
	int			nitems;
	int			items_cap;
	char	   *items;
} VecxListPart;

/* A row of a list that goes to another one as well. */
typedef struct VecxListArrival
{
	BlockNumber blkno;
	int			place;			/* on that page */
	ItemPointerData tid;
	uint16		flags;			/* of the entry that stays there */
} VecxListArrival;

typedef struct VecxListSplitState
{
	VecxIndex  *index;
	const VecxListRef *old;		/* the lists whose rows move */
	int			nold;
	int		   *end;			/* [nold]: rows up to the end of each */
	BlockNumber forward;		/* where rows of one of them went before */
	MemoryContext row_cxt;		/* of one row */
	VecxExact  *exact;
	VecxTrainEnv env;
	int			nrows;			/* entries of the old lists */
	int			most_rows;		/* that are read, by the memory */
	bool		partial;		/* there are more, which stay */
	int			nown;			/* without copies and those that are LEAVING */
	Size		row_size;
	VecxRowEntry *rows;
	ItemPointerData *tids;		/* [nrows], sorted */
	int		   *twin;			/* [nrows]: another entry of the row, or -1 */
	bool	   *done;			/* [nrows]: left, and no scan needs it here */
	bool	   *moved;			/* [nrows] */
	int			nparts;
	VecxListPart *parts;
	bool		alone;			/* rows go to new lists only, without copies */
	int			nnear;
	VecxOpened *near;			/* other lists near by */
	VecxPoints	centres;		/* of the parts, then of those */
	float	   *decoded;		/* the same, [dim] each */
	VecxListEncoder *encoders;	/* of the parts */
	VecxListEncoder near_encoder;
	float	   *dist;			/* of a row to each */
	float	   *work;
	VecxPoints	point;			/* of a row */
	int			narrivals;
	int			arrivals_cap;
	VecxListArrival *arrivals;	/* by pages */
} VecxListSplitState;

/* list_split.c */
extern bool VecxListIsOpen(VecxIndex *index, BlockNumber head, VecxListPageData *header);
extern const float *VecxListSplitVector(VecxListSplitState *s, ItemPointer tid);

/* list_reassign.c */
extern void VecxListFindNear(VecxListSplitState *s);
extern void VecxListAssignRows(VecxListSplitState *s);
extern void VecxListDrawIn(VecxListSplitState *s);
extern void VecxListMarkArrivals(VecxListSplitState *s);
extern bool VecxListGive(VecxListEncoder *encoder, BlockNumber head, const float *centre,
						 const VecxRowEntry *row, uint16 flags, const float *x);
extern void VecxListMarkPage(VecxIndex *index, const VecxListArrival *arrivals, int n);

#endif							/* VECX_LIST_SPLIT_H */

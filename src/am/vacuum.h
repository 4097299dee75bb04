/*
 * vacuum.h
 *    What the passes of a VACUUM share.
 */
#ifndef VECX_AM_VACUUM_H
#define VECX_AM_VACUUM_H

#include "access/genam.h"

#include "am/list.h"
#include "am/vtree.h"

/* Pages of a kind. */
typedef struct VecxVacuumBlocks
{
	int			n;
	int			cap;
	BlockNumber *blocks;
} VecxVacuumBlocks;

typedef struct VecxVacuum
{
	VecxIndex  *index;
	IndexVacuumInfo *info;
	IndexBulkDeleteCallback callback;
	void	   *arg;
	VecxRowEntry *rows;			/* room for those in a record */
	VecxListNotes notes;		/* lists that need more than that */
	VecxTreeDropped dropped;	/* values of removed rows, for the value tree */
	VecxIdSet	dead;			/* vertices that this VACUUM removes */
	uint64		max_dead;
	uint64	   *reached;		/* a bit for each id on the pages of a window, unless
								 * it is a live base record that nothing links to */
	BlockNumber window;			/* first of these pages */
	BlockNumber nwindow;
	VecxId	   *shaken;			/* base records that lost many links, in order */
	int			nshaken;
	int			max_shaken;
	int64		live;			/* rows */
	int64		removed;
	VecxVacuumBlocks uppers;	/* UPPER pages */
	VecxVacuumBlocks vertices;	/* VERTEX pages, of an index with posting lists */
	bool		waits;			/* a page of a list is not free yet, since a snapshot is old */
	bool		hurry;			/* others wait for a lock: no cost delay */
	VecxId		best;			/* a live record of the highest level there is */
	int			best_level;
} VecxVacuum;

/* vacuum.c */
extern Buffer VecxVacuumRead(VecxVacuum *v, BlockNumber blkno);
extern void VecxVacuumWait(VecxVacuum *v);

/* vacuum_dead.c */
extern void VecxVacuumDead(VecxVacuum *v);

#endif

/*
 * list_scan.h
 *    A scan of posting lists: list_read.c says which pages it reads, list_take.c
 *    takes up their rows.
 */
#ifndef VECX_LIST_SCAN_H
#define VECX_LIST_SCAN_H

#include "utils/hsearch.h"

#include "am/list.h"
#include "am/list_waiting.h"

/* Marks of a block: its rows were taken up; the list that begins there was found
 * as one that rows were moved to. */
#define PAGE_READ		1
#define LIST_FOLLOWED	2

/* Of the nearest rows that pass a filter so many tell where these come from. */
#define VECX_PASSED_NEAR	20

struct VecxListScan
{
	VecxIndex  *index;
	MemoryContext cxt;
	VecxSearch *search;
	VecxNearLists *near;		/* all that are left, in place of the search; or NULL */
	VecxProbe  *probe;			/* NULL: nothing has a distance */
	VecxProbe  *route;			/* what centroids are searched by: that, or where it is moved */
	const VecxRange *range;
	const VecxFilterQuery *filter;	/* NULL: none */
	VecxListQuery query;
	VecxListRefiner *refiner;	/* NULL: nothing is behind rows */
	uint32		reference;		/* of the first row of the page that is being read; or 0 */
	float		sigmas;			/* of bounds */
	float	   *est;			/* [VECX_LIST_BLOCK] */
	float	   *sigma;
	bool		restarted;

	/* lists whose turn it is, nearest first */
	VecxOpened *order;
	int			norder;
	int			order_cap;
	int			at;
	int			asked;			/* those before it the kernel was asked for */
	float		expected;		/* rows in the lists that are read first */
	int			probes;			/* lists to read before rows leave */
	float		ratio;			/* and how many times as far as the nearest they may be */
	float		limit;			/* so the distance */
	int			nread;			/* lists with rows that were read */
	int64		allowed;		/* rows that may leave before more are read */
	int64		most_rows;		/* that may be read */

	/* the list that is being read */
	BlockNumber next;			/* page, or InvalidBlockNumber */
	BlockNumber head;
	bool		scored;
	bool		from_closed;
	bool		had_rows;
	bool		left;			/* what was split off it is in other lists since */
	uint32		version;		/* of the centroids, when the search began */
	VecxListProbe list;
	BlockNumber steps;

	/* lists that rows were moved to */
	BlockNumber *forwards;
	int			nforwards;
	int			forwards_cap;

	BlockNumber nblocks;		/* of the index, as last seen; it only grows */
	VecxIdSet	pages;			/* read, and lists followed: the marks above of a block */
	bool		sweeping;
	BlockNumber sweep_next;
	BlockNumber sweep_end;

	VecxWaiting waiting;
	HTAB	   *given;

	VecxPass	pass[VECX_LIST_BLOCK];	/* of the rows of a block */

	/* distances of all rows read, to learn which place those that pass have among
	 * them; NULL: no longer */
	float	   *seen;
	int			nseen;
	int			seen_cap;
	VecxCandidate passed[VECX_PASSED_NEAR]; /* heap of the nearest that pass, with the number of
											 * lists read before */
	int			npassed;
	bool		cold;			/* a page had to be read from disk */
	int64		lists_read;
	int64		rows_read;
	int64		rows_tested;	/* by the filter */
	int64		rows_passed;	/* it */
	int64		rows_within;	/* the range, as far as estimates tell */
	int64		rows_sized;		/* for which it was asked how many lists they take, */
	int			range_probes;	/* and how many those are */
};


extern void VecxListTakePage(VecxListScan *ls, BlockNumber blkno);

#endif							/* VECX_LIST_SCAN_H */

/*
 * tune.h
 *    What the parts of vecx_tune share: tune.c learns and decides, tune_queries.c reads
 *    the queries and finds the rows that they want, tune_codes.c compares them with
 *    rows by codes.
 */
#ifndef VECX_TUNE_H
#define VECX_TUNE_H

#include "utils/hsearch.h"

#include "verify/verify.h"

/* True nearest rows of a query: for the curve, and that it is to find. */
#define VECX_TUNE_NEAREST			100
#define VECX_TUNE_GOALS			30

/* Rows that are as relevant as one that the user names, since they are equal. */
#define VECX_TUNE_MOST_EQUAL		16

/* Lists that a row is in, as far as they are noted. */
#define VECX_TUNE_MOST_LISTS		8

/* One query of so many decides. */
#define VECX_TUNE_HELD_OUT		4

/* What arguments relevant and key are. */
#define VECX_TUNE_PAIR_HINT \
	"Argument relevant names a column of the queries' table, and key the column of the indexed table that it refers to."

typedef struct VecxTuneNeighbour
{
	double		distance;
	ItemPointerData tid;
} VecxTuneNeighbour;

typedef struct VecxTuneQuery
{
	struct varlena *value;
	const float *x;				/* as searches have it */
	struct varlena *relevant;	/* a row's vector; NULL: the nearest ones are */
	int			nequal;
	ItemPointerData equal[VECX_TUNE_MOST_EQUAL];	/* rows that have it */
	int			n;
	VecxTuneNeighbour  *nearest;		/* a heap with the farthest first, in the end in order */
} VecxTuneQuery;

/* A list's number by its first page. */
typedef struct VecxTuneHead
{
	BlockNumber head;
	uint32		number;
} VecxTuneHead;

/* A row of which it matters in which lists it is. */
typedef struct VecxTuneRow
{
	ItemPointerData tid;
	uint16		n;
	uint32		lists[VECX_TUNE_MOST_LISTS];	/* first pages, then numbers */
} VecxTuneRow;

/* Vectors of relevant rows, by hash. */
typedef struct VecxTuneRelevant
{
	uint32		hash;
	int			query;			/* the first that has it */
} VecxTuneRelevant;

typedef struct VecxTune
{
	VecxTarget	target;
	VecxIndex  *index;
	MemoryContext cxt;
	MemoryContext row_cxt;
	Snapshot	snapshot;
	FmgrInfo	distance;
	Oid			type;
	int			nqueries;
	VecxTuneQuery  *queries;
	int		   *next_equal;		/* [nqueries]: the next query with a relevant row of that hash */
	HTAB	   *relevant;		/* NULL: none are given */
	HTAB	   *rows;			/* VecxTuneRow */

	/* lists, by numbers */
	uint32		nlists;
	uint32		lists_cap;
	BlockNumber *heads;
	float	   *centres;
	VecxTuneHead *by_head;		/* [nlists], in the order of first pages */
} VecxTune;

/* What rows the queries held out find by codes alone: of those wanted so many are among
 * the first VECX_TUNE_NEAREST, as a share; of the nearest ones so many. */
typedef struct VecxTuneCodes
{
	int			queries;
	double		wanted;
	double		nearest;
} VecxTuneCodes;

static inline bool
VecxTuneHeldOut(int query)
{
	return query % VECX_TUNE_HELD_OUT == VECX_TUNE_HELD_OUT - 1;
}

/* tune.c */
extern int64 VecxTuneNumber(const VecxTune *t, BlockNumber head);
extern int	VecxTuneWanted(const VecxTuneQuery *query, int most, ItemPointerData *tids);

/* tune_codes.c */
extern Size VecxTuneBooksMemory(const VecxTune *t);
extern void VecxTuneCheckMemory(const VecxTune *t, double nlists);
extern bool VecxTuneBooksFit(const VecxTune *t);
extern uint8 *VecxTuneLearnBooks(VecxTune *t);
extern void VecxTuneJudgeBooks(VecxTune *t, const VecxListCode *scoring, VecxTuneCodes *codes);

/* tune_queries.c */
extern void VecxTuneLoadQueries(VecxTune *t, Oid table, const char *column, const char *relevant, const char *key,
										int samples);
extern void VecxTuneHashRelevant(VecxTune *t);
extern void VecxTuneFindRows(VecxTune *t);

#endif							/* VECX_TUNE_H */

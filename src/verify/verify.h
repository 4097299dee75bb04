/*
 * verify.h
 *    What the functions that look at a whole index share.
 */
#ifndef VECX_VERIFY_H
#define VECX_VERIFY_H

#include "am/list.h"

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
extern void VecxRefuseRecovery(const char *function, const char *hint);
extern int	VecxCheckCount(int32 value, const char *name, int least, int most);
extern Relation VecxTableOpen(Oid table);
extern void VecxCheckReplayed(Relation rel);
extern void VecxTargetOpen(VecxTarget *target, Oid indexid, LOCKMODE mode);
extern void VecxTargetClose(VecxTarget *target);
extern const char *VecxTargetColumn(const VecxTarget *target);
typedef void (*VecxRowFunction) (ItemPointer tid, Datum *values, bool *isnull, void *arg);
extern void VecxTargetForEachRow(VecxTarget *target, Snapshot snapshot, MemoryContext row_cxt,
								 VecxRowFunction function, void *arg);

/*
 * Raises ERRCODE_INDEX_CORRUPTED with the place of the damage; off is 0 when it
 * is not in one item.  fmt adds to the detail, and may be NULL.
 */
extern void VecxDamage(Relation rel, BlockNumber blkno, OffsetNumber off, const char *what,
					   const char *fmt,...) pg_attribute_printf(5, 6) pg_attribute_noreturn();

/* queries.c: queries whose true nearest rows are known */
typedef struct VecxNearest
{
	double	   *distance;		/* the k smallest: a heap with the largest first */
	int			n;
	int			k;
} VecxNearest;

typedef struct VecxQuery
{
	struct varlena *value;
	VecxNearest truth;
	VecxStored	stored;			/* id is 0 if it is not the vector of a vertex */
	ItemPointerData row;		/* of posting lists; invalid if it came from another table */
} VecxQuery;

typedef struct VecxQuerySet
{
	VecxTarget	target;
	VecxIndex  *index;
	MemoryContext cxt;			/* of the whole set */
	MemoryContext row_cxt;		/* of one row */
	Snapshot	snapshot;
	VecxExact  *exact;
	FmgrInfo	distance;
	RegProcedure distance_proc;
	Oid			type;			/* of the operator's arguments */
	Oid			collation;
	int			k;
	int			most_queries;
	int			least_queries;	/* fewer are an error */
	int			nqueries;
	VecxQuery  *queries;
	int64		vertices;		/* of the index, if the queries are its own */
} VecxQuerySet;

extern void VecxNearestInit(VecxNearest *nearest, int k);
extern void VecxNearestAdd(VecxNearest *nearest, double d);
extern void VecxQuerySetMake(VecxQuerySet *set, Oid table, const char *column);
extern bool VecxIsTrusted(Oid function);
extern bool VecxConverts(Oid from, Oid to);
extern void VecxCheckQueries(Oid table, const char *column);
extern Oid	VecxCheckQueryColumn(Relation table, const char *column, Oid type, bool may_convert);
extern const char *VecxQueryCast(Relation table, const char *column, Oid type);
extern void VecxQueriesCheck(const VecxQuerySet *set, bool given, int n);
extern void VecxQuerySetEnd(VecxQuerySet *set);
extern bool VecxQueryIsStored(const VecxQuery *query);
extern double VecxQueryDistance(VecxQuerySet *set, const VecxQuery *query, Datum value);
extern int	VecxVisibleRows(VecxQuerySet *set, VecxId id, const ItemPointerData *tids, int ntids,
							VecxId chain, int limit, struct varlena **value);

/* estimate.c */
extern const VecxOpSpec *VecxColumnSpec(Relation heap, const char *column, const char *opclass,
										uint32 *dim);
extern double VecxEstimateIndexBytes(const char *name, const VecxOpSpec *spec, uint32 dim,
									 Datum options, double rows);

/* estimate_filters.c: filter columns of an index that does not exist */
typedef struct VecxPlannedFilters
{
	VecxFilters filters;
	double		entries;		/* of the value tree for each row */
} VecxPlannedFilters;

extern void VecxPlanFilters(Relation heap, ArrayType *names, VecxPlannedFilters *planned);
extern void VecxPlannedTreeSketch(const VecxPlannedFilters *planned, const VecxOpSpec *spec,
								  VecxMetaPageData *meta);
extern double VecxPlannedTreeBytes(const VecxPlannedFilters *planned,
								   const VecxMetaPageData *meta, double rows);

/* compress_sample.c: rows of a table, and queries whose nearest among them are known */
typedef struct VecxSample
{
	MemoryContext cxt;
	VecxIndex	index;			/* as far as preparing values needs one */
	int			k;
	int			nrows;
	int			nqueries;		/* to measure with */
	int			ngiven;			/* to train with; 0: none were given */
	int64		seen;			/* vectors in the table */
	float	   *rows;			/* [nrows][dim], unit vectors under cosine */
	float	   *queries;		/* [nqueries][dim] */
	float	   *given;			/* [ngiven][dim] */
	float	   *distances;		/* [nqueries][nrows]: the true ones */
	float	   *reach;			/* [nqueries]: that of the k-th nearest */
} VecxSample;

/* Fewer samples tell nothing. */
#define VECX_LEAST_SAMPLES	100

extern void VecxSampleTake(VecxSample *sample, Relation table, const char *column, int nrows,
						   Relation query_table, const char *query_column);
extern float VecxKthSmallest(float *values, int n, int k);

/* check_rows.c: the TIDs of an index against one another and the table.  A row of
 * a list whose rows were copied to others has this for a hash: a crash may have
 * left it in both. */
#define VECX_CHECK_LEFT_BEHIND	1
typedef struct VecxRowCheck VecxRowCheck;
extern VecxRowCheck *VecxRowCheckMake(VecxTarget *target, VecxIndex *index);
extern void VecxRowCheckAdd(VecxRowCheck *rows, VecxId id, uint32 hash, BlockNumber blkno,
							OffsetNumber off, const VecxRowEntry *row, int nrows);
extern void VecxRowCheckFinish(VecxRowCheck *rows, bool with_table);

/* check_lists.c: posting lists */
typedef struct VecxListCheck VecxListCheck;
extern VecxListCheck *VecxListCheckMake(VecxIndex *index, BlockNumber nblocks, VecxRowCheck *rows);
extern void VecxListCheckPage(VecxListCheck *lists, BlockNumber blkno, Page page);
extern void VecxListCheckBehind(VecxListCheck *lists, BlockNumber blkno, Page page);
extern void VecxListCheckList(VecxListCheck *lists, BlockNumber blkno, OffsetNumber off,
							  BlockNumber head);

/* check_graph.c: records and links */
typedef struct VecxGraphCheck VecxGraphCheck;
extern VecxGraphCheck *VecxGraphCheckMake(VecxIndex *index, BlockNumber nblocks, VecxRowCheck *rows,
										  VecxListCheck *lists);
extern void VecxGraphCheckEntry(VecxGraphCheck *graph);
extern void VecxGraphCheckPage(VecxGraphCheck *graph, BlockNumber blkno, Page page);

/* check_tree.c: the value tree */
extern void VecxTreeCheck(VecxIndex *index, BlockNumber nblocks, BlockNumber heap_blocks);
extern void VecxTreeCheckRow(VecxIndex *index, VecxId id, ItemPointer tid, const Datum *values,
							 const bool *isnull);

#endif							/* VECX_VERIFY_H */

/*
 * load.h
 *    Rows of the table on their way into a graph under construction.
 */
#ifndef VECX_LOAD_H
#define VECX_LOAD_H

#include "am/build.h"
#include "am/vtree.h"
#include "code/code_cluster.h"

/* Values that were proved to be those of a vertex, lately. */
#define VECX_KNOWN_VALUES	64

typedef struct VecxKnownValue
{
	uint32		hash;
	uint32		vertex;
	struct varlena *value;		/* NULL: unused */
} VecxKnownValue;

/* Bytes of rows that are no vertices; more lie in a file. */
#define VECX_LOAD_SIDE_MEMORY	(256 * 1024)

typedef struct VecxLoader
{
	VecxIndex  *index;
	Relation	heap;
	MemoryContext cxt;
	MemoryContext row_cxt;		/* of one row */
	VecxGraph  *graph;
	VecxSpool  *points;
	VecxSpool  *keys;			/* of the value tree, ids being vertices; NULL: there is none */
	VecxPivots *pivots;
	VecxTreeCells cells;
	VecxExact  *exact;
	double		rows;			/* seen, in the index */
	VecxKnownValue known[VECX_KNOWN_VALUES];
	uint8	   *code;

	/* leaves of each vertex */
	uint16	   *leaves;
	uint32		leaves_cap;

	VecxSpool  *side;			/* rows that are no vertices: whole entries */
	VecxRowEntry *side_row;		/* the one at hand */
	uint8	   *filters;		/* of the row at hand */

	/* vertices that still lack points */
	int			most_rows;		/* that are waited for */
	int			nbatch;
	uint8	   *batch_codes;
	char	   *batch_vecs;
	char	   *batch_y;
	float	   *batch_scratch;
	VecxPoints	batch_points;
	uint8	   *point;
} VecxLoader;

extern int	VecxRowsAtOnce(const VecxIndex *index);
extern void VecxLoaderInit(VecxLoader *loader, VecxIndex *index, Relation heap, VecxGraph *graph,
						   VecxSpool *points, VecxSpool *keys, VecxPivots *pivots);
extern void VecxLoaderRow(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive,
						  void *arg);
extern void VecxLoaderSideRow(VecxLoader *loader, ItemPointer tid, const uint8 *filters,
							  uint16 why);
extern void VecxLoaderCentroid(VecxLoader *loader, const uint8 *code, BlockNumber head);
extern void VecxLoaderEnd(VecxLoader *loader);
extern bool VecxLoaderSameVertex(VecxLoader *loader, uint32 a, uint32 b);

/* What a part of a build takes for each vertex. */
typedef struct VecxBuildBytes
{
	Size		code;
	Size		point;
	Size		filters;		/* of a row */
	Size		linking;		/* candidates and links */
	Size		total;			/* of those, which may go to files */
	Size		fixed;			/* what stays in memory */
} VecxBuildBytes;

/* One participant's work, from rows to links. */
typedef struct VecxWork
{
	VecxTeam   *team;
	VecxIndex  *index;
	VecxPivots *pivots;
	VecxBuildBytes bytes;
	VecxSpool  *codes;
	VecxSpool  *points;
	VecxSpool  *keys;			/* NULL: there is no value tree */
	VecxGraph  *graph;
	VecxLoader	loader;
	VecxLinker	linker;
} VecxWork;

/* build.c */
extern void VecxBuildCost(const VecxCoder *coder, Size point_bytes, Size filter_bytes, int m,
						  VecxBuildBytes *bytes);
extern void VecxWorkInit(VecxWork *work, VecxTeam *team, VecxIndex *index, Relation heap,
						 VecxPivots *pivots);
extern Size VecxKeysMemory(void);
extern void VecxWorkLink(VecxWork *work, const VecxPlan *plan);
extern VecxSpool *VecxWorkFilters(VecxWork *work);

/* list_build.c: rows into posting lists, and their centroids into a graph */
typedef struct VecxListsBuild VecxListsBuild;
extern VecxListsBuild *VecxListsBuildBegin(VecxIndex *index, Relation heap, IndexInfo *info,
										   const float *sample, int nsample, double tuples);
extern double VecxListsBuildRead(VecxListsBuild *build, VecxLoader *loader);
extern void VecxListsBuildWrite(VecxListsBuild *build, VecxLoader *loader);
extern double VecxListsWanted(Relation index, const VecxMetaPageData *meta, double tuples);

extern void VecxListsBuildCurve(VecxListsBuild *build);

/* list_curve.c: how many lists to read */
typedef struct VecxListCurve VecxListCurve;
extern VecxListCurve *VecxListCurveMake(VecxIndex *index, int rows);
extern void VecxListCurveAddQuery(VecxListCurve *curve, ItemPointer tid, const float *x,
								  const float *mean, float *work);
extern void VecxListCurveSeeRows(VecxListCurve *curve, const VecxPoints *points,
								 const ItemPointerData *tids, const uint32 *lists, uint32 nlists);
extern void VecxListCurveStore(VecxListCurve *curve, const uint8 *codes, const BlockNumber *heads,
							   uint32 nlists);

/* parallel.c */
typedef struct VecxParallel VecxParallel;
extern VecxParallel *VecxParallelBegin(Relation heap, Relation index, IndexInfo *info,
									   VecxPivots *pivots, VecxTeam *team);
extern double VecxParallelLoad(VecxParallel *parallel, VecxWork *work, IndexInfo *built_info);
extern void VecxParallelPlan(VecxParallel *parallel, const VecxPlan *plan);
extern VecxSpool *VecxParallelLinks(VecxParallel *parallel, VecxWork *work);
extern void VecxParallelCalibrate(VecxParallel *parallel, VecxWork *work);
extern void VecxParallelEnd(VecxParallel *parallel);

/* parallel_workers.c: as many as may help, 0 to VECX_MAX_PARTICIPANTS - 1 */
extern int	VecxWantedWorkers(Relation heap, IndexInfo *info);

/* parallel_plan.c */
extern uint32 VecxPlanWrite(const VecxPlan *plan, SharedFileSet *files);
extern void VecxPlanRead(SharedFileSet *files, uint32 nblocks, VecxPlan *plan);

#endif							/* VECX_LOAD_H */

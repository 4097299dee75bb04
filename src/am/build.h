/*
 * build.h
 *    What the files of CREATE INDEX share: the graph while it is built, and
 *    the files that its parts lie in when memory is short or when several
 *    processes work on them.
 */
#ifndef VECX_BUILD_H
#define VECX_BUILD_H

#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/sharedfileset.h"

#include "am/am.h"

#define VECX_NO_VERTEX		PG_UINT32_MAX
/* Their hash table has twice as many places, a power of two, and their leaves, four of
 * each, are counted in 32 bits. */
#define VECX_MOST_VERTICES	((uint32) 1 << 30)

/* Leaves that a vertex belongs to, and their size. */
#define VECX_LEAVES_OF_VERTEX	4
#define VECX_LEAF_VERTICES		1000
#define VECX_MAX_PIVOTS			4096
#define VECX_MAX_BUCKETS		256
#define VECX_BUCKET_VERTICES	2048

/* Processes that may build one index together. */
#define VECX_MAX_PARTICIPANTS	32

/* spool_file.c: a temporary file of a build, read by the byte; errors of files are raised. */
typedef struct VecxSpoolFile VecxSpoolFile;

extern VecxSpoolFile *VecxSpoolFileMake(MemoryContext cxt, SharedFileSet *files, const char *name);
extern VecxSpoolFile *VecxSpoolFileOpen(MemoryContext cxt, SharedFileSet *files, const char *name);
extern void VecxSpoolFileAppend(VecxSpoolFile *f, const void *bytes, Size nbytes);
extern void VecxSpoolFileReplace(VecxSpoolFile *f, off_t at, const void *bytes, Size nbytes);
extern void VecxSpoolFileRead(VecxSpoolFile *f, off_t at, void *to, Size nbytes);
extern void VecxSpoolFileForget(VecxSpoolFile *f);
extern void VecxSpoolFileFlush(VecxSpoolFile *f);
extern void VecxSpoolFileClose(VecxSpoolFile *f);

/*
 * spool.c: records of one size, by number.  In memory as long as they need no
 * more than a limit, then in a temporary file with a cache of so many bytes.
 */
typedef struct VecxSpool VecxSpool;

extern VecxSpool *VecxSpoolMake(MemoryContext cxt, Size record, Size limit);
extern VecxSpool *VecxSpoolMakeShared(MemoryContext cxt, Size record, Size limit,
									  SharedFileSet *files, const char *name, int participant);
extern VecxSpool *VecxSpoolOpenShared(MemoryContext cxt, Size record, Size limit,
									  SharedFileSet *files, const char *name,
									  int nparticipants, const uint32 *counts);
extern uint32 VecxSpoolAppend(VecxSpool *spool, const void *rec);
extern uint32 VecxSpoolCount(const VecxSpool *spool);
/* The record is good until the next call for this spool. */
extern const void *VecxSpoolGet(VecxSpool *spool, uint32 i);
extern bool VecxSpoolInMemory(const VecxSpool *spool);
extern void VecxSpoolPut(VecxSpool *spool, uint32 i, const void *rec);
extern void VecxSpoolCache(VecxSpool *spool, Size bytes);
extern void VecxSpoolGrow(VecxSpool *spool, Size limit);
extern void VecxSpoolShare(VecxSpool *spool);
extern void VecxSpoolForgetAhead(VecxSpool *spool);
extern void VecxSpoolFree(VecxSpool *spool);

/* bucket.c: records put into one of some buckets, each read as a whole later */
typedef struct VecxBuckets VecxBuckets;

extern VecxBuckets *VecxBucketsMake(MemoryContext cxt, int nbuckets, Size record, Size limit,
									SharedFileSet *files, const char *name, int participant);
extern void VecxBucketsAdd(VecxBuckets *buckets, int bucket, const void *rec);
extern void VecxBucketsShare(VecxBuckets *buckets);
extern void *VecxBucketsLoad(VecxBuckets *buckets, int bucket, int nparticipants, Size *count);
extern void VecxBucketsFree(VecxBuckets *buckets);

/* graph.c: the graph while it is built; vertices are numbers */
typedef struct VecxGraphLink
{
	uint32		vertex;
	float		dist;
} VecxGraphLink;

typedef struct VecxGraphRow
{
	ItemPointerData tid;
	uint32		next;			/* next row of the vertex, UINT32_MAX: none */
} VecxGraphRow;

typedef struct VecxGraphVertex
{
	uint32		hash;
	uint32		first_row;
	uint32		last_row;		/* of one that is gone, the vertex that has its rows */
	uint32		links;			/* its record in graph->links, or VECX_NO_VERTEX */
	uint32		upper;			/* its number in graph->uppers, or VECX_NO_VERTEX */
	uint16		nlinks;			/* at the base */
	uint8		level;
	bool		findable;		/* by its hash and code */
	bool		gone;			/* its rows are another vertex's now */
	uint16		cell;			/* in the value tree */
} VecxGraphVertex;

/* The links of a vertex at the base: a record of graph->links. */
typedef struct VecxLinkRecord
{
	uint32		vertex;
	uint32		nlinks;
	VecxGraphLink links[FLEXIBLE_ARRAY_MEMBER];	/* 2 m */
} VecxLinkRecord;

#define VecxLinkRecordSize(m)	(offsetof(VecxLinkRecord, links) + sizeof(VecxGraphLink) * 2 * (m))

typedef struct VecxLevels VecxLevels;

typedef struct VecxGraph
{
	MemoryContext cxt;
	const VecxCoder *coder;
	int			m;
	int			ef_construction;
	pg_prng_state prng;
	uint32		nvertices;
	uint32		vertices_cap;
	VecxGraphVertex *vertices;
	VecxSpool  *codes;
	VecxSpool  *links;			/* NULL until they are known */
	VecxLevels *levels;			/* above the base */
	uint32		nrows;
	uint32		rows_cap;
	VecxGraphRow *rows;
	VecxSpool  *filters;		/* of the rows; NULL: no filter columns */
	uint32	   *by_hash;		/* open addressing over vertices; NULL when all are read */
	uint32		by_hash_size;	/* a power of two */
	uint32		entry;			/* VECX_NO_VERTEX: none */
} VecxGraph;

extern VecxGraph *VecxGraphMake(MemoryContext cxt, const VecxCoder *coder, int m,
								int ef_construction, uint64 seed, VecxSpool *codes);
extern uint32 VecxGraphFind(VecxGraph *graph, uint32 hash, const uint8 *code, uint32 after);
extern uint32 VecxGraphAddVertex(VecxGraph *graph, uint32 hash, const uint8 *code, bool findable);
extern uint32 VecxGraphKnownVertex(VecxGraph *graph, uint32 hash, bool findable);
extern void VecxGraphAddRow(VecxGraph *graph, uint32 vertex, ItemPointer tid,
							const uint8 *filters);
extern const uint8 *VecxGraphRowFilters(VecxGraph *graph, uint32 row);
extern void VecxGraphMoveRows(VecxGraph *graph, uint32 from, uint32 to);
extern void VecxGraphForgetHashes(VecxGraph *graph);
extern const VecxGraphLink *VecxGraphLinks(VecxGraph *graph, uint32 vertex, int level, int *n);
extern void VecxGraphSetLinks(VecxGraph *graph, VecxSpool *links);
extern void VecxGraphFinish(VecxGraph *graph);

#define VecxGraphCode(g, v)		((const uint8 *) VecxSpoolGet((g)->codes, (v)))

/* parts.c: ways into all parts of the graph */
typedef bool (*VecxBridge) (void *arg, uint32 u, uint32 v, float dist);
extern void VecxGraphCover(VecxGraph *graph);
extern void VecxGraphJoinParts(VecxGraph *graph, VecxBridge bridge, void *arg);

/* levels.c: the levels above the base */
extern float VecxFarNorm2(float *norm2, int n);
extern Size VecxLevelsBytes(const VecxCoder *coder, int m);
extern void VecxLevelsBuild(VecxGraph *graph);
extern void VecxLevelsFinish(VecxGraph *graph);
extern const VecxGraphLink *VecxLevelsLinks(VecxLevels *levels, uint32 upper, int level, int *n);
extern uint32 VecxLevelsNearest(VecxLevels *levels, const uint8 *code, float *dist);

/*
 * Who works on the build: this process alone, or with others, who meet at a
 * barrier between the steps and hand each other files.
 */
typedef struct VecxBucketPlace
{
	int			participant;
	uint32		first;			/* of its records of forward links */
	uint32		count;
} VecxBucketPlace;

/* Base pages that are to be written together: recipes of records in a file, which grows
 * meanwhile. */
typedef struct VecxPageList
{
	BlockNumber first;
	uint32		npages;
	uint32		nrecipes;
	uint32		nfirsts;		/* in the file that says where each page begins: pages and one */
} VecxPageList;

typedef struct VecxTeamShared
{
	Barrier		barrier;
	pg_atomic_uint32 next[4];	/* leaf, bucket or page to be taken next, by step */
	pg_atomic_uint64 done;		/* of all steps' work */
	uint32		nvertices[VECX_MAX_PARTICIPANTS];
	uint32		nlinks[VECX_MAX_PARTICIPANTS];
	uint32		nforward[VECX_MAX_PARTICIPANTS];
	VecxBucketPlace places[VECX_MAX_BUCKETS];
	VecxPageList pages;
	pg_atomic_uint32 ready;		/* pages whose recipes are there */
	ConditionVariable more;		/* of them */
} VecxTeamShared;

typedef struct VecxTeam
{
	VecxTeamShared *shared;
	SharedFileSet *files;		/* NULL: alone */
	int			nparticipants;
	int			me;				/* 0: the leader */
} VecxTeam;

/* parallel.c */
extern void VecxTeamInit(VecxTeamShared *shared, int nparticipants);
extern void VecxTeamWait(VecxTeam *team);
extern void VecxTeamLogPages(const VecxTeam *team, Relation rel);

/* partition.c: overlapping leaves of near vertices */
typedef struct VecxPivots
{
	VecxPoints	points;
	VecxPointMetric how;
	float	   *room;			/* distances of a batch */
} VecxPivots;

/* Which leaves there are, who is in them, and in which bucket a vertex is. */
typedef struct VecxPlan
{
	uint32		nvertices;
	int			nleaves;
	int			nbuckets;
	uint32	   *leaf_first;		/* [nleaves + 1] */
	uint32	   *members;		/* of all leaves, one after the other */
	uint16	   *bucket_of;
} VecxPlan;

extern int	VecxOneLeafMost(void);
extern int	VecxOneLeafParts(uint32 count, int nparticipants);
extern int	VecxPivotsWanted(double nvertices);
extern void VecxPivotsAlloc(VecxPivots *pivots, const VecxCoder *coder, Size nbytes, int n);
extern void VecxPivotsMake(VecxPivots *pivots, const VecxCoder *coder, const VecxBasis *basis,
						   const char *sample, Size sample_bytes, int nsample, int wanted);
extern void VecxPivotsAssign(VecxPivots *pivots, VecxMetric metric, const VecxPoints *batch,
							 uint16 *leaves);
extern void VecxPlanMake(VecxPlan *plan, uint32 nvertices, int nleaves, const uint16 *leaves,
						 const VecxGraphVertex *vertices, int nparticipants);

/* leaf.c, prune.c: the links at the base */
typedef struct VecxEdge
{
	uint32		from;
	uint32		to;				/* a candidate for a link of it */
} VecxEdge;

typedef struct VecxLinker
{
	VecxTeam   *team;
	MemoryContext cxt;
	const VecxCoder *coder;
	const VecxBasis *basis;
	int			m;
	int			nearest;		/* candidates of a vertex in a leaf */
	VecxPointMetric how;
	VecxPlan	plan;
	VecxSpool  *codes;
	VecxSpool  *points;
	Size		code_memory;	/* of this process, for codes that lie in files; */
	Size		point_memory;	/* points that do; */
	Size		memory;			/* and for what follows */
	VecxBuckets *edges;			/* by the bucket of the vertex they lead from */
	VecxBuckets *reverse;
	VecxSpool  *forward;
	VecxSpool  *links;
} VecxLinker;

extern void VecxFindCandidates(VecxLinker *linker);
extern void VecxReportLinked(VecxLinker *linker, uint32 count);
extern void VecxLinkAll(VecxLinker *linker);

/* write_record.c: records, from what is to be in them */
typedef struct VecxRecipeLink
{
	VecxId		id;
	uint32		vertex;
	float		dist;
} VecxRecipeLink;

typedef struct VecxRecipe
{
	VecxId		id;				/* where it is to be */
	VecxId		down;
	VecxId		base;			/* at the base the cell, as in a record */
	uint32		vertex;
	uint32		hash;
	uint16		cap;			/* links that it has room for */
	uint16		nlinks;
	uint8		level;
	uint8		nrows;
	VecxRecipeLink links[FLEXIBLE_ARRAY_MEMBER];	/* 2 m, then the row entries */
} VecxRecipe;

#define VecxRecipeRow(index, recipe, i) \
	VecxRowAt((char *) &(recipe)->links[VecxMaxLinks((index)->meta.m, 0)], (index)->layout.row_size, i)

/* The same for all records of a vertex, and not zero. */
#define VecxBuildGeneration(index, vertex)	((uint32) ((index)->meta.seed >> 32) ^ ((vertex) + 1))

typedef struct VecxRecordMaker
{
	VecxIndex  *index;
	const VecxBasis *basis;
	uint8		model;
	VecxSpool  *codes;
	VecxSpool  *points;
	void	   *pv;				/* projection of a vertex */
	void	   *pn;				/* and of a neighbour */
} VecxRecordMaker;

extern Size VecxRecipeSize(const VecxIndex *index);
extern void VecxRecordMakerInit(VecxRecordMaker *maker, VecxIndex *index, VecxSpool *codes, VecxSpool *points);
extern void VecxRecordMake(VecxRecordMaker *maker, const VecxRecipe *recipe, Page page);
extern void VecxPagesReady(VecxTeam *team, uint32 npages);
extern void VecxPagesMake(VecxTeam *team, VecxRecordMaker *maker, const VecxPageList *pages);

/* write.c: the finished graph onto pages */
extern void VecxCheckBlock(Relation rel, Buffer buf, BlockNumber expected);
extern void VecxGraphWrite(VecxIndex *index, VecxTeam *team, VecxGraph *graph, VecxSpool *points,
						   VecxSpool *keys);

#endif							/* VECX_BUILD_H */

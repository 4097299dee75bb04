/*
 * am.h
 *    Runtime structures of the vecx access method, and its functions grouped
 *    by the file that defines them.
 */
#ifndef VECX_AM_H
#define VECX_AM_H

#include "access/amapi.h"
#include "access/genam.h"
#include "access/tableam.h"
#include "common/pg_prng.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"

#include "am/filter.h"
#include "am/page.h"
#include "code/code.h"

/* Reloptions and settings: default, least, most. */
#define VECX_DEFAULT_M					16
#define VECX_MIN_M						2
#define VECX_MAX_M						100
#define VECX_DEFAULT_EF_CONSTRUCTION	100
#define VECX_MIN_EF_CONSTRUCTION		4
#define VECX_MAX_EF_CONSTRUCTION		10000
#define VECX_MAX_EF_SEARCH				100000
#define VECX_MAX_SKETCH_BITS			8192
#define VECX_DEFAULT_BITS				4
#define VECX_MIN_BITS					1
#define VECX_MAX_BITS					8
#define VECX_MIN_LIST_ROWS				16
#define VECX_MAX_LIST_ROWS				100000
#define VECX_MAX_PROBES					100000
#define VECX_MAX_PROBE_RATIO			1000.0
#define VECX_DEFAULT_REPLICAS			2
#define VECX_MAX_PQ_M					8192
#define VECX_DEFAULT_TARGET_RECALL		0.95
#define VECX_MIN_TARGET_RECALL			0.5
#define VECX_MAX_TARGET_RECALL			1.0

/* Share of rows that conditions are believed to let pass at least, lest a wrong estimate
 * makes a scan read the whole index in its first batch. */
#define VECX_LEAST_PASSING				0.01
/* A scan believes less of it: a batch too narrow is followed by others that are as wide as all
 * before, one too wide is work for nothing. */
#define VECX_LEAST_PASSING_AT_FIRST		0.1

/* Search width while the index has no curve. */
#define VECX_UNMEASURED_WIDTH			40

/* Links a record may have. */
#define VecxMaxLinks(m, level)			((level) == 0 ? 2 * (m) : (m))

/* So few at the base that any other is welcome. */
#define VecxFewLinks(m)					(VecxMaxLinks(m, 0) * 5 / 8)

/* Highest level of a vertex. */
#define VECX_MAX_LEVEL			15

/* Phases of pg_stat_progress_create_index, after PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE. */
#define VECX_PROGRESS_LOAD		2
#define VECX_PROGRESS_TRAIN		3
#define VECX_PROGRESS_GRAPH		4
#define VECX_PROGRESS_WRITE		5
#define VECX_PROGRESS_MEASURE	7
#define VECX_PROGRESS_CLUSTER	8
#define VECX_PROGRESS_LISTS		9
#define VECX_PROGRESS_CODEBOOKS	10

/* Support procedure of the operator classes: returns a VecxOpSpec. */
#define VECX_SUPPORT_PROC		1
#define VECX_DISTANCE_STRATEGY	1
/* Orders as the distance does, but NaN comes first. */
#define VECX_NAN_FIRST_STRATEGY	2
/* Whether a value is in a ball; see range.c. */
#define VECX_WITHIN_STRATEGY	3
/* The same, or at a distance of NaN. */
#define VECX_WITHIN_OR_NAN_STRATEGY	4

typedef enum VecxScanOrder
{
	VECX_SCAN_RELAXED,
	VECX_SCAN_STRICT
} VecxScanOrder;

typedef enum VecxQuantizerOption
{
	VECX_QUANTIZER_AUTO,
	VECX_QUANTIZER_SQ8,
	VECX_QUANTIZER_RABITQ,
	VECX_QUANTIZER_HALF,
	VECX_QUANTIZER_NONE,
	VECX_QUANTIZER_PQ
} VecxQuantizerOption;

typedef enum VecxRerankOption
{
	VECX_RERANK_HEAP,
	VECX_RERANK_SQ8,
	VECX_RERANK_HALF
} VecxRerankOption;

typedef enum VecxStructureOption
{
	VECX_STRUCTURE_OPTION_GRAPH,
	VECX_STRUCTURE_OPTION_LISTS
} VecxStructureOption;

typedef struct VecxOptions
{
	int32		vl_len_;		/* varlena header */
	int			structure;		/* VecxStructureOption */
	int			m;
	int			ef_construction;
	int			sketch_bits;
	int			quantizer;		/* VecxQuantizerOption */
	int			bits;			/* of RABITQ and PQ, 0: the default */
	int			list_rows;		/* of a list, 0: the default */
	int			replicas;		/* lists of a row at most, 0: the default */
	int			pq_m;			/* columns of PQ, 0: the default */
	int			pq_training;	/* VecxPqTraining, 0: the default */
	int			pq_queries;		/* offset of a column's name, 0: none */
	int			rerank;			/* VecxRerankOption */
	double		target_recall;	/* 0: not set */
	bool		auto_calibrate;
} VecxOptions;

extern int	vecx_ef_search;			/* 0: by the target */
extern int	vecx_probes;			/* lists to read; 0: by the target */
extern double vecx_probe_ratio;		/* how far they may be; 0: by the target */
extern double vecx_target_recall;
extern bool vecx_target_recall_is_own;	/* set by the session itself */
extern int	vecx_scan_order;
extern int	vecx_max_scan_tuples;	/* 0: no limit */

/* A column value as the index sees it. */
typedef enum VecxInputKind
{
	VECX_INPUT_OK,
	VECX_INPUT_UNSCORABLE		/* zero under cosine, or a norm beyond float4 */
} VecxInputKind;

typedef struct VecxInput
{
	VecxInputKind kind;
	const void *vec;			/* float[dim] (unit length under cosine), or bits */
	struct varlena *value;		/* detoasted value */
	const void *bytes;			/* of its elements, as the user gave it */
	int			nbytes;
} VecxInput;

typedef struct VecxIndex VecxIndex;

/*
 * What an operator class indexes: one row of the table in opspec.c.
 */
typedef struct VecxOpSpec
{
	VecxMetric	metric;
	bool		is_bits;		/* bit strings, else numbers */
	bool		is_sparse;		/* hashed beyond VECX_HASH_DIM dimensions */
	uint32		max_dim;
	void		(*prepare) (const VecxIndex *index, Datum value, VecxInput *input);
} VecxOpSpec;

/* Where a record's parts are; filled from the metapage. */
typedef struct VecxLayout
{
	uint16		rows;			/* offset of the row entries */
	uint16		row_size;		/* of a row entry, everywhere */
	uint16		code;			/* offset of the code */
	uint16		links;			/* offset of the links */
	uint16		link_size;
} VecxLayout;

#define VecxRecordSize(layout, cap)	((Size) (layout)->links + (Size) (layout)->link_size * (cap))
#define VecxRecordRows(layout, rec)	((VecxRowEntry *) ((char *) (rec) + (layout)->rows))
#define VecxRecordRow(layout, rec, i)	VecxRowAt(VecxRecordRows(layout, rec), (layout)->row_size, i)
#define VecxRecordCode(layout, rec)	((uint8 *) (rec) + (layout)->code)
#define VecxRecordLink(layout, rec, i)	((uint8 *) (rec) + (layout)->links + (Size) (layout)->link_size * (i))

static inline VecxId
VecxLinkId(const uint8 *link)
{
	VecxId		id;

	memcpy(&id, link, sizeof(id));
	return id;
}

/* A basis that is loaded; see model.c. */
typedef struct VecxModel
{
	uint8		number;
	VecxBasis	basis;
} VecxModel;

/*
 * An index opened for one scan, insert, build or vacuum.  Lives in cxt, whose
 * reset also lets go of the models.
 */
struct VecxIndex
{
	Relation	rel;
	MemoryContext cxt;
	VecxMetaPageData meta;		/* as of the last VecxIndexRefresh */
	const VecxOpSpec *spec;
	const VecxFilters *filters;
	VecxLayout	layout;
	VecxCoder	coder;
	VecxCoder	tree_coder;		/* of the value tree's sketches, if there is one */
	int			nmodels;
	VecxModel	models[VECX_MAX_MODELS];
	struct VecxLists *lists;	/* of posting lists, NULL in a graph; see list.h */
	VecxWriteMode mode;
	bool		skip_killed;	/* rows marked dead are as good as absent */
};

/*
 * One vector prepared for comparing: with codes, and with sketches of each
 * model in use.
 */
typedef struct VecxProbeModel
{
	uint8		number;			/* 0: not prepared */
	VecxBasis	basis;
	void	   *proj;			/* projection in the model's basis */
	int8	   *codes;
	VecxSketchQuery query;
} VecxProbeModel;

typedef struct VecxProbe
{
	VecxIndex  *index;
	const void *vec;
	VecxCodeQuery code;
	VecxProbeModel models[VECX_MAX_MODELS];
} VecxProbe;

/* A candidate: a record not opened yet, at its estimated distance. */
typedef struct VecxCandidate
{
	float		est;
	VecxId		id;
} VecxCandidate;

/* So many of the nearest that a search found tell whether it is in the right place. */
#define VECX_NEAR_RANK	10

/* A record that a search opened. */
typedef struct VecxOpened
{
	float		nav;			/* navigation distance, from its code */
	float		rank;			/* distance that orders results, from its code */
	float		error;			/* likely error of rank */
	VecxId		id;
	VecxId		down;
	uint32		generation;
	uint32		hash;
	float		norm2;
	VecxId		chain;			/* first row segment */
	uint8		nrows;
	bool		dead;
	ItemPointerData tids[VECX_INLINE_ROWS];	/* of rows that pass the search's filter */
	uint8		recheck;		/* a bit for each of them that has to be tested again */
	XLogRecPtr	lsn;			/* of its page */
	const uint8 *code;			/* copy, when the search keeps codes */
} VecxOpened;

typedef struct VecxSearch VecxSearch;

/*
 * Whether codes stand for hashed values.  Their distances are estimates with
 * an error that a code knows nothing of.
 */
#define VecxMetaIsHashed(meta)	((meta)->value_dim != (meta)->dim)
#define VecxIsHashed(index)		VecxMetaIsHashed(&(index)->meta)

/* Whether what searches go by is another distance than the operator's: hashed values', or L2. */
static inline bool
VecxCodesTellLittle(const VecxMetaPageData *meta)
{
	return VecxMetaIsHashed(meta) || meta->metric == VECX_METRIC_L1;
}

/* range.c: scans that end at a distance */
typedef struct VecxRange
{
	bool		active;
	double		radius;			/* the operator's distance */
	float		max_rank;		/* no vertex in the range has a greater rank */
	int64		vertices;		/* found in the range so far */
} VecxRange;

extern bool VecxBallOpen(ScanKey key, Datum *center, double *radius);
extern void VecxRangeInit(VecxRange *range, VecxMetric metric, uint32 dim, double radius);
extern bool VecxRangeIsDone(const VecxRange *range, int64 found);

/* How hard a search tries; see effort.c. */
typedef struct VecxEffort
{
	int			rows;			/* wanted */
	int			width;			/* of a query of middling hardness */
	float		spread;			/* the hardest get so many times the width; 1: all the same */
	float		near[VECX_CURVE_NEAR];	/* how far the curve's queries had their nearest, ascending;
										 * infinity: it is not known */
	float		ratio;			/* of lists' distances to the nearest one's, at most */
	float		records;		/* that it is likely to open */
} VecxEffort;

/* What a scan did; see vecx_last_scan. */
typedef struct VecxScanCounts
{
	Oid			index;			/* InvalidOid: there was none */
	int64		rows_wanted;	/* 0: unknown */
	int			width;			/* of the first batch in the end */
	int64		batches;
	int64		hops;
	int64		records;
	int64		tested;			/* of them, by the index's filter columns */
	int64		matching;		/* and have a row that passes */
	int64		entries;		/* of the value tree that were read */
	int64		heap_fetches;	/* for exact distances */
	int64		dropped;		/* rows, or groups of equal ones, that came too late */
	bool		stopped;		/* by vecx.max_scan_tuples */
	bool		by_tree;		/* the value tree told what to open, at least in the end */
	bool		by_table;		/* the table was read for the rest */
} VecxScanCounts;

/* opspec.c */
extern const VecxOpSpec *VecxGetOpSpec(Relation index);
extern void VecxCheckColumns(Relation index, const IndexInfo *info);
extern uint32 VecxGetDim(Relation index, const VecxOpSpec *spec);
extern uint32 VecxDeclaredDim(Relation index);
extern uint32 VecxCodeDim(const VecxOpSpec *spec, uint32 value_dim);
extern void VecxPrepareInput(const VecxIndex *index, Datum value, VecxInput *input);
extern uint32 VecxInputHash(const VecxInput *input);
extern bool VecxSameValue(const struct varlena *a, const struct varlena *b);
extern double VecxRankFromOperator(VecxMetric metric, double distance);

/* options.c */
extern bytea *vecxoptions(Datum reloptions, bool validate);
extern void VecxCheckStoredOptions(Relation index);
extern List *VecxSplitPqQueries(const char *value);

/* layout.c */
extern bool VecxCodeFits(const VecxOpSpec *spec, VecxCodeKind kind, uint32 dim, Size sketch, int m);
extern void VecxChooseLayout(Relation index, const VecxOpSpec *spec, uint32 dim, Size row_size,
							 Size sketch_size, VecxCodeKind *kind, VecxMetaPageData *meta);
extern void VecxLayoutFromMeta(Relation index, const VecxMetaPageData *meta,
							   const VecxOpSpec *spec, VecxLayout *layout, VecxCoder *coder);

extern VecxRecord VecxGetRecord(const VecxIndex *index, Page page, VecxId id, Size *size);

/* meta.c */
extern void VecxMetaRead(Relation index, VecxMetaPageData *meta);
extern VecxIndex *VecxIndexOpen(Relation index, MemoryContext cxt);
extern void VecxIndexRefresh(VecxIndex *index);
extern void VecxMetaWrite(Relation index, ForkNumber fork, VecxWriteMode mode,
						  const VecxMetaPageData *meta);
typedef void (*VecxMetaEditor) (VecxMetaPageData *meta, void *arg);
extern void VecxMetaEdit(VecxIndex *index, VecxMetaEditor edit, void *arg);

/* model.c */
extern bool VecxModelExists(VecxIndex *index, uint8 number);
extern const VecxModel *VecxFindModel(VecxIndex *index, uint8 number);
extern const VecxModel *VecxCurrentModel(VecxIndex *index);
extern void VecxLoadModels(VecxIndex *index);
extern float *VecxReadCentre(VecxIndex *index);
extern void VecxLoadCentre(VecxIndex *index);
extern void VecxTrainEnvInit(VecxTrainEnv *env, MemoryContext cxt);

/* Bits set, given what vecx_code_norm2 says; for sketches of bit strings. */
#define VecxPopcount(index, norm2)	((index)->spec->is_bits ? (uint32) (norm2) : 0)
/* The same of a probe, whose code may keep only a sample of the bits. */
#define VecxProbePopcount(probe)	((probe)->code.popcount * (probe)->index->coder.step)

/* probe.c */
extern Size VecxVectorBytes(const VecxIndex *index);
extern VecxProbe *VecxProbeMake(VecxIndex *index, const void *vec);
extern VecxProbe *VecxProbeMakeFromCode(VecxIndex *index, const uint8 *code);
extern VecxProbeModel *VecxProbeForModel(VecxProbe *probe, uint8 number);
extern void VecxProbeForModels(VecxProbe *probe);
extern float VecxRecordEstimates(VecxProbe *probe, const VecxRecordData *rec,
								 float nav, int32 *scratch, float *est);

/* recent.c */
extern Buffer VecxReadBuffer(Relation rel, BlockNumber blkno);
extern const char *VecxRecentPage(Relation rel, BlockNumber blkno);

/* idset.c: a set of record ids */
typedef struct VecxIdSet
{
	MemoryContext cxt;
	uint32	   *slots;			/* open addressing, 0: free; NULL: a bitmap */
	uint32		nslots;			/* a power of two */
	uint32		count;			/* ids in slots */
	uint64	   *bitmap;			/* one word a block */
	BlockNumber nblocks;		/* words in the bitmap */
	BlockNumber index_blocks;	/* size of the index: when a bitmap is smaller */
	VecxId	   *sorted;			/* the ids of slots, for VecxIdSetNextBlock */
} VecxIdSet;

extern void VecxIdSetInit(VecxIdSet *set, MemoryContext cxt, BlockNumber index_blocks);
extern void VecxIdSetInitBitmap(VecxIdSet *set, MemoryContext cxt, BlockNumber index_blocks);
extern BlockNumber VecxIdSetNextBlock(VecxIdSet *set, BlockNumber blkno);
extern bool VecxIdSetHasBlock(VecxIdSet *set, BlockNumber blkno);
extern void VecxIdSetClear(VecxIdSet *set);
extern bool VecxIdSetAdd(VecxIdSet *set, VecxId id);
extern bool VecxIdSetContains(const VecxIdSet *set, VecxId id);
extern uint64 VecxIdSetCount(const VecxIdSet *set);
extern int	VecxCompareUint32(const void *a, const void *b);

/* search.c, search_read.c */
extern VecxSearch *VecxSearchMake(VecxIndex *index, MemoryContext cxt, bool keep_codes);
extern void VecxSearchHide(VecxSearch *search, const VecxIdSet *hidden);
extern void VecxSearchStandIn(VecxSearch *search, VecxProbe *probe, VecxId self);
extern void VecxSearchFilter(VecxSearch *search, const VecxFilterQuery *filter, double otherwise);
extern void VecxSearchClose(VecxSearch *search);
extern bool VecxSearchHasVisited(const VecxSearch *search, VecxId id);
extern uint64 VecxSearchVisited(const VecxSearch *search);
extern void VecxSearchOfferMany(VecxSearch *search, const VecxId *ids, const float *est, int n);
extern bool VecxSearchForgot(const VecxSearch *search);
extern void VecxSearchStart(VecxSearch *search, VecxProbe *probe, int level,
							const VecxId *seeds, int nseeds);
extern void VecxSearchLimit(VecxSearch *search, int64 records);
extern bool VecxSearchPastLimit(const VecxSearch *search);
extern void VecxSearchRun(VecxSearch *search, int width);
extern bool VecxSearchExhausted(const VecxSearch *search);
extern bool VecxSearchHasMore(const VecxSearch *search);
extern bool VecxSearchIsRare(const VecxSearch *search);
extern void VecxSearchProbe(VecxSearch *search, int hops);
extern double VecxSearchShare(const VecxSearch *search);
extern void VecxSearchCount(const VecxSearch *search, VecxScanCounts *counts);
extern VecxOpened *VecxSearchOpened(VecxSearch *search, int *count);
extern float VecxSearchThreshold(const VecxSearch *search);
extern void VecxSearchKeepOpened(VecxSearch *search, int count);
extern void VecxSearchSort(VecxSearch *search);
extern int	VecxSearchDescend(VecxSearch *search, VecxProbe *probe, int level, VecxId *seeds);
extern void VecxSearchBegin(VecxSearch *search, VecxProbe *probe);
extern void VecxSearchBeginMeasured(VecxSearch *search, VecxProbe *probe);
extern float VecxSearchNear(const VecxSearch *search);
extern bool VecxSearchIsAstray(VecxSearch *search);
extern void VecxSearchBySteps(VecxSearch *search);
extern void VecxSearchElsewhere(VecxSearch *search);
extern void VecxSearchSweep(VecxSearch *search, BlockNumber blkno);
extern bool VecxSearchSweepAll(VecxSearch *search, int most);
extern void VecxSearchRelease(VecxSearch *search);

/* Most seeds that VecxSearchDescend gives. */
#define VECX_MAX_SEEDS		    4

/* effort.c: how wide a search is */
/* Rows wanted when nobody says how many. */
#define VECX_UNKNOWN_ROWS	10
extern const int VecxCurveRows[VECX_CURVE_KS];
extern int	VecxPointWidth(int line, const VecxCurvePoint *point);
extern void VecxEffortOfLevel(int level, int rows, VecxCurvePoint *point, VecxEffort *effort);
extern bool VecxCurveIsValid(const VecxCurveData *curve);
extern double VecxTargetRecall(Relation index);
extern void VecxEffortChoose(Relation index, const VecxMetaPageData *meta, int64 rows,
							 VecxEffort *effort);
extern void VecxEffortOfShare(Relation index, const VecxMetaPageData *meta, int64 rows, double share,
							  VecxEffort *effort);
extern void VecxProbesChoose(Relation index, const VecxMetaPageData *meta, int64 rows,
							 VecxEffort *effort);
extern void VecxProbesOfShare(Relation index, const VecxMetaPageData *meta, int64 rows, double share,
							  VecxEffort *effort);
extern int	VecxWidestBatch(void);
extern float VecxEffortLook(VecxSearch *search);
extern int	VecxEffortWidth(const VecxEffort *effort, float near);
extern int	VecxEffortSearch(VecxSearch *search, const VecxEffort *effort, int width);
extern bool VecxEffortMakeSure(VecxSearch *search, const VecxEffort *effort, int *width);

/* sample.c: stored vectors as queries, hidden from their own searches */
typedef struct VecxStored
{
	VecxId		id;				/* of the vertex; 0: not a stored vector */
	uint32		hash;
	const uint8 *code;
	VecxIdSet	hidden;			/* records that have the vector, on all levels */
} VecxStored;

typedef void (*VecxRecordFunction) (VecxId id, VecxRecord rec, void *arg);
extern void VecxForEachRecord(VecxIndex *index, bool uppers, VecxRecordFunction function, void *arg);
extern int	VecxSampleVertices(VecxIndex *index, VecxStored *sampled, int n, int64 *vertices);
extern int	VecxStoredCompare(const void *a, const void *b);
extern bool VecxStoredHide(VecxIndex *index, VecxStored **by_hash, int n, VecxId id,
						   VecxRecord rec);

/* calibrate.c: measuring the curve, with so many queries at least */
#define VECX_LEAST_QUERIES	32
/* Stored vectors that a measurement searches for, at most. */
#define VECX_STORED_QUERIES	512
/* Standard errors below the mean: a one-sided bound that holds in 90 %. */
#define VECX_ONE_SIDED_90	1.2816

typedef struct VecxLevelSum
{
	int			n;
	double		sum;
	double		squares;
	double		records;
} VecxLevelSum;

typedef struct VecxCurveTotals
{
	int			nqueries;
	float		near[VECX_CURVE_NEAR];	/* ascending distances of their nearest */
	int			nlevels[VECX_CURVE_FEW_KS];
	VecxLevelSum sums[VECX_CURVE_FEW_KS][VECX_CURVE_POINTS];
} VecxCurveTotals;

/* Stored vectors to search for. */
typedef struct VecxCurveSample
{
	int			n;
	int64		vertices;		/* of the index */
	VecxId		ids[VECX_STORED_QUERIES];
	uint32		hashes[VECX_STORED_QUERIES];
} VecxCurveSample;

typedef struct VecxCurveSums VecxCurveSums;
/* How many rows of a vertex are no farther than reach. */
typedef int (*VecxCurveMeasure) (const VecxOpened *opened, double reach, void *arg);
extern VecxCurveSums *VecxCurveBegin(VecxIndex *index);
extern VecxCurveSums *VecxCurveBeginShare(VecxIndex *index, int nqueries, int nshares);
extern const VecxCurveTotals *VecxCurveTotalsOf(const VecxCurveSums *sums);
extern float VecxCurveLook(VecxCurveSums *sums, VecxProbe probe, const VecxStored *stored);
extern void VecxCurveLooked(VecxCurveSums *sums, const float *near, int n);
extern void VecxCurveAdd(VecxCurveSums *sums, VecxProbe *probe, const VecxStored *stored,
						 float near, double *truth, int ntruth, VecxCurveMeasure measure, void *arg);
extern bool VecxCurveStore(VecxCurveSums *sums, uint8 source, int64 vertices);
extern bool VecxCurveIsWanted(VecxIndex *index);
extern void VecxCurveDraw(VecxIndex *index, bool asked, VecxCurveSample *sample);
extern void VecxCurveMeasureShare(VecxIndex *index, const VecxCurveSample *sample, int share, int nshares,
								  VecxCurveTotals *totals);
extern void VecxCurveStoreTotals(VecxIndex *index, const VecxCurveSample *sample,
								 const VecxCurveTotals *totals, int nshares);
extern int	VecxCalibrate(VecxIndex *index, bool asked);
extern bool VecxCodesAreFine(const VecxIndex *index);
extern void VecxCurveNoteCoarse(const VecxIndex *index, int64 vertices);
extern bool VecxCurveIsRenewed(const VecxIndex *index);
extern bool VecxCurveIsOld(const VecxMetaPageData *meta, BlockNumber nblocks);
extern void VecxCalibrateIfChanged(VecxIndex *index);

/* limit.c: how many rows the plan wants of a scan */
extern void vecxLimitInit(void);
extern int64 VecxLimitRows(const LimitState *limit);
extern IndexScanDesc VecxNodeScan(IndexScanState *node);

/* link.c */
typedef struct VecxLinkCandidate
{
	float		dist;			/* to the vector whose links are chosen */
	const uint8 *code;
} VecxLinkCandidate;

extern int	VecxSelectLinks(const VecxCoder *coder, const VecxLinkCandidate *cands, int ncands,
							int level, int max_links, void *scratch, int *chosen);
extern int	VecxCompareInts(const void *a, const void *b);
extern void VecxEncodeLink(VecxIndex *index, const VecxBasis *basis, VecxId id,
						   const void *pv, const void *pn, float norm_v2, float dist,
						   uint32 popcount_n, uint8 *link);

/* place.c */
extern VecxId VecxPlaceItem(VecxIndex *index, uint8 kind, const void *item, Size size);
extern Buffer VecxTakeFreePage(VecxIndex *index);
extern void VecxGiveBackPage(Relation rel, BlockNumber blkno);

/* exact.c: distances of heap rows, by the operator itself */
typedef struct VecxExact VecxExact;
extern void VecxCheckTid(Relation heap, Relation index, ItemPointer tid);
extern VecxExact *VecxExactMake(Relation heap, Relation index, Snapshot snapshot);
extern void VecxExactOnlyLive(VecxExact *exact);
extern void VecxExactMissingOk(VecxExact *exact);
extern struct TupleTableSlot *VecxExactFind(VecxExact *exact, ItemPointer tid);
extern bool VecxExactValue(VecxExact *exact, Datum *value);
extern bool VecxExactFetch(VecxExact *exact, ItemPointer tid, Datum *value, bool *isnull);
extern bool VecxExactVector(VecxExact *exact, const VecxIndex *index, ItemPointer tid, VecxInput *input);
extern bool VecxExactMeetsPredicate(VecxExact *exact);
extern bool VecxExactAllDead(const VecxExact *exact);
extern void VecxExactReset(VecxExact *exact);
extern void VecxExactEnd(VecxExact *exact);

/* set_rows.c: the rows of a small set, in order */
struct VecxTidSet;
typedef struct VecxSetRows VecxSetRows;
extern int64 VecxSetRowsMost(void);
extern VecxSetRows *VecxSetRowsMake(VecxExact *exact, ScanKey order, Datum query,
									const struct VecxTidSet *set, MemoryContext fetch_cxt);
extern bool VecxSetRowsNext(VecxSetRows *rows, ItemPointer tid, double *distance);

/* rows.c: the table rows of a vertex */
extern bool VecxRowsAppend(VecxIndex *index, VecxId id, uint32 generation,
						   const VecxRowEntry *row);
extern int	VecxRowsCopy(const VecxIndex *index, const VecxFilterQuery *filter,
						 const VecxRowEntry *from, int nrows, VecxRowEntry *to);
extern int	VecxRowsReadSegment(VecxIndex *index, const VecxFilterQuery *filter, VecxId owner,
								VecxId *segment, VecxRowEntry *rows, XLogRecPtr *lsn);
extern void VecxRowsCheckSteps(VecxIndex *index, VecxId segment, uint64 steps);
extern bool VecxRowsFindPassing(VecxIndex *index, const VecxFilterQuery *filter, VecxId owner,
								VecxId *segment);
typedef struct VecxTreeDropped VecxTreeDropped;
extern int	VecxRowsVacuum(const VecxIndex *index, VecxRowEntry *rows, int nrows,
						   IndexBulkDeleteCallback callback, void *arg, VecxTreeDropped *dropped);
extern int64 VecxSegmentsVacuum(VecxIndex *index, VecxId owner, VecxId head,
								IndexBulkDeleteCallback callback, void *arg,
								VecxTreeDropped *dropped, int64 *removed, VecxId *roomy);
extern void VecxSegmentsFree(VecxIndex *index, VecxId owner, VecxId head);

/* kill.c: marks of rows that are dead to everybody */
typedef struct VecxKills VecxKills;
extern VecxKills *VecxKillsMake(MemoryContext cxt);
extern void VecxKillsAdd(VecxIndex *index, VecxKills *kills, VecxId item, XLogRecPtr lsn,
						 ItemPointer tid);
extern void VecxKillsFlush(VecxIndex *index, VecxKills *kills);

/* side.c: rows whose vector cannot be scored */
extern void VecxSideInsert(VecxIndex *index, const VecxRowEntry *row);
extern BlockNumber VecxSideRead(VecxIndex *index, BlockNumber blkno, VecxRowEntry *rows, int *count);
extern void VecxSideVacuum(VecxIndex *index, IndexBulkDeleteCallback callback, void *arg,
						   int64 *live, int64 *removed);

/* The rows of the chain, one after the other. */
typedef struct VecxSideScan
{
	VecxIndex  *index;
	const VecxFilterQuery *filter;	/* NULL: none */
	MemoryContext cxt;
	BlockNumber next;			/* page to read when rows are used up */
	uint16		pass;			/* VECX_ROW_xxx that is being returned */
	VecxRowEntry *rows;			/* NULL: none read yet */
	int			at;
	int			count;
	BlockNumber steps;			/* pages read in this pass */
} VecxSideScan;

extern void VecxSideScanStart(VecxSideScan *side, VecxIndex *index,
							  const VecxFilterQuery *filter, MemoryContext cxt);
extern bool VecxSideScanNext(VecxSideScan *side, ItemPointer tid, bool *recheck);

/* insert.c, and choosing links for it in reverse.c */
extern int	VecxRandomLevel(pg_prng_state *prng, int m);
extern bool vecxinsert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
					   IndexUniqueCheck unique, bool unchanged, IndexInfo *info);

/* reverse.c: a new vertex among the links of its neighbours */
typedef struct VecxNeighbour
{
	VecxId		id;
	uint32		generation;
	uint8		level;
	float		dist;			/* navigation distance to the new vertex */
	float		norm2;
	const uint8 *code;
	const void *proj;			/* in the model of the number below */
	uint8		model;
} VecxNeighbour;

extern VecxOpened *VecxSearchForLinks(VecxSearch *search, VecxProbe *probe, int level,
									  const VecxId *seeds, int nseeds, int *nopened);
extern VecxNeighbour *VecxChooseNeighbours(VecxIndex *index, VecxId self, int level,
										   const VecxOpened *opened, int nopened, int *count);
extern void VecxProjectNeighbours(VecxIndex *index, VecxNeighbour *neighbours, int n);

/* What a full record gives up for a new link, beyond one that the new link makes needless. */
typedef enum VecxLinkForce
{
	VECX_LINK_OFFERED,			/* one that is longer, and surely not the last that leads there */
	VECX_LINK_WANTED,			/* any such */
	VECX_LINK_NEEDED			/* any */
} VecxLinkForce;

extern int	VecxLinkBack(VecxProbe *probe, VecxId id, const VecxNeighbour *neighbours, int nlinked,
						 int first, int count, VecxLinkForce force);
extern void VecxLinkBackSurely(VecxProbe *probe, VecxId id, const VecxNeighbour *neighbours,
							   int nlinked, int n);

/* codecache.c: codes and projections of records read again and again */
typedef struct VecxCached
{
	VecxId		id;				/* 0: empty */
	uint32		generation;
	uint8		flags;			/* of the record */
	float		norm2;
	uint8	   *code;
	void	   *proj;			/* in the current model */
} VecxCached;

typedef struct VecxCodeCache VecxCodeCache;
extern VecxCodeCache *VecxCodeCacheMake(VecxIndex *index, MemoryContext cxt, Size limit);
extern bool VecxCodeCacheGet(VecxCodeCache *cache, VecxId id, int level, VecxCached *out);

/* drift.c: whether the current model suits what is added */
extern bool VecxHasDrifted(VecxIndex *index);
extern void VecxNoteKeptShare(VecxIndex *index);

/* renew.c: training a model for an index that grew, and renewing sketches */
extern void VecxMaybeTrain(VecxIndex *index, int64 limit);
extern bool VecxTryTrainLock(VecxIndex *index);
extern void VecxTrainLock(VecxIndex *index);
extern void VecxTrainUnlock(VecxIndex *index);
extern void VecxVacuumModels(VecxIndex *index);
extern void VecxRenew(VecxIndex *index);
extern VecxRecord VecxCopyRecord(VecxIndex *index, VecxId id, Size *size);
extern bool VecxReplaceLinks(VecxIndex *index, VecxId id, VecxRecord before, VecxRecord after);

/* Beyond so many vertices inserts leave training to VACUUM. */
#define VECX_INSERT_TRAIN_ROWS	20000

/* Rows that a basis is trained on, at least and at most. */
#define VECX_MIN_TRAIN_ROWS		256
#define VECX_TRAIN_SAMPLE		2000
extern Size VecxTrainSampleRows(const VecxIndex *index);

/* build.c */
extern IndexBuildResult *vecxbuild(Relation heap, Relation index, IndexInfo *info);
extern void vecxbuildempty(Relation index);

/* scan.c */
extern IndexScanDesc vecxbeginscan(Relation index, int nkeys, int norderbys);
extern void vecxrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool vecxgettuple(IndexScanDesc scan, ScanDirection dir);
extern void vecxendscan(IndexScanDesc scan);
extern void VecxScanSetLimit(IndexScanDesc scan, const LimitState *limit, double passing);
extern void VecxScanSetRows(IndexScanDesc scan, int64 rows);
extern void VecxScanSetOrs(IndexScanDesc scan, struct IndexScanState *node);
extern void VecxScanSetNode(IndexScanDesc scan, struct IndexScanState *node);	/* scan_table.c */
extern void VecxScanSetTids(IndexScanDesc scan, const struct VecxTidSet *tids);
extern const VecxScanCounts *VecxLastScan(void);

/* repair.c: links around dead vertices */
extern bool VecxRepairRecord(VecxIndex *index, VecxCodeCache *cache, const VecxIdSet *dead,
							 VecxId id);
extern void VecxRelink(VecxIndex *index, const VecxIdSet *dead, VecxId id);
extern void VecxAdoptOrphan(VecxIndex *index, VecxCodeCache *cache, VecxId id);

/* vacuum.c */
extern int	VecxMaintenanceMemory(void);
extern IndexBulkDeleteResult *vecxbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											 IndexBulkDeleteCallback callback, void *arg);
extern IndexBulkDeleteResult *vecxvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* cost.c, validate.c */
extern void vecxcostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
							 Cost *startup, Cost *total, Selectivity *selectivity,
							 double *correlation, double *pages);
extern bool vecxvalidate(Oid opclass);

#endif							/* VECX_AM_H */

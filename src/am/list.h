/*
 * list.h
 *    Posting lists: rows of near vectors on pages of their own, under a centroid
 *    that is a vertex of the index's graph.
 *
 * The vertex's row entry names the list's first page.  A row's code is that of
 * its vector's residual to the centroid, as the graph's code gives it back.
 */
#ifndef VECX_LIST_H
#define VECX_LIST_H

#include <math.h>

#include "access/transam.h"
#include "utils/snapmgr.h"

#include "am/am.h"
#include "code/code_list.h"
#include "code/code_score.h"
#include "code/code_tune.h"
#include "code/code_replica.h"

/*
 * A LIST page: this header, then blocks of VECX_LIST_BLOCK rows.  Rows fill them
 * from the first; all pages of a list but those at its end are full, unless
 * VACUUM has removed rows.  A block that is not full, always the last, is open: its rows
 * lie one after the other, since generic WAL logs each stretch of bytes that changes.
 *
 * When a list is split or merged all its rows go to new lists: the list is closed,
 * so that nothing is added; its rows are copied; then they are removed, page by
 * page, and each page says where they went.  So a scan that comes late finds the
 * new lists by the pages of the old.  A row that goes to a list that was there before
 * stays in its own as well, LEAVING, as long as a scan may need it.
 */
typedef struct VecxListPageData
{
	BlockNumber head;			/* first page of the list: itself there */
	BlockNumber tail;			/* on the first page: where rows are added */
	BlockNumber forward;		/* first of the lists that its rows went to */
	BlockNumber sibling;		/* on the first page: the next list made of the same one */
	uint64		stamp;			/* 0, or the next XID, in 64 bits, when nothing led here any more
								 * or, if LEAVING, when such rows were in their new lists */
	uint32		npages;			/* on the first page: of the list */
	uint32		split_pages;	/* on the first page: not to be split before it has more */
	uint16		nrows;
	uint16		flags;			/* VECX_LIST_xxx */
	uint32		unused;
} VecxListPageData;

typedef VecxListPageData *VecxListPage;

#define VECX_LIST_CLOSED		0x01	/* on the first page: no row may be added */
#define VECX_LIST_MOVED			0x02	/* rows of this page went to the lists at forward */
#define VECX_LIST_LEFT			0x04	/* on the first page: those that are left are in no other
										 * list for that */
#define VECX_LIST_LEAVING		0x08	/* some rows of this page are LEAVING */

StaticAssertDecl(sizeof(VecxListPageData) == 40, "on-disk size is frozen");

#define VecxListPageHeader(page)	((VecxListPage) PageGetContents(page))
#define VecxListIsRetired(header) \
	((header)->stamp != 0 && !((header)->flags & VECX_LIST_LEAVING))
#define VecxListIsLeft(header)		(((header)->flags & VECX_LIST_LEAVING) && \
	GlobalVisCheckRemovableFullXid(NULL, FullTransactionIdFromU64((header)->stamp)))
#define VecxListStampNow()			U64FromFullTransactionId(ReadNextFullTransactionId())
/* Its BEHIND pages, as far as there are rows, else InvalidBlockNumber. */
#define VecxListPageBehind(page) \
	((BlockNumber *) ((char *) PageGetContents(page) + MAXALIGN(sizeof(VecxListPageData))))
#define VecxListPageBlocks(lists, page)	((uint8 *) PageGetContents(page) + (lists)->blocks)
#define VECX_LIST_PAGE_ROOM		(VECX_PAGE_CAPACITY - MAXALIGN(sizeof(VecxListPageData)))
/* On such a page: whether nobody needs a row's entry. */
#define VecxListRowIsLeft(row)		(((row)->flags & (VECX_ROW_LEAVING | VECX_ROW_STAYS)) == VECX_ROW_LEAVING)

/* A BEHIND page: this header, then an entry for each of so many rows of a LIST page. */
typedef struct VecxBehindPageData
{
	BlockNumber owner;			/* the LIST page */
	uint16		place;			/* among its BEHIND pages */
	uint16		unused;
} VecxBehindPageData;

typedef VecxBehindPageData *VecxBehindPage;

typedef struct VecxBehindEntry
{
	ItemPointerData tid;		/* of the row */
	uint16		unused;
	uint8		bytes[FLEXIBLE_ARRAY_MEMBER];	/* further bits of its code, or a copy of its vector */
} VecxBehindEntry;

StaticAssertDecl(sizeof(VecxBehindPageData) == 8, "on-disk size is frozen");
StaticAssertDecl(offsetof(VecxBehindEntry, bytes) == 8, "on-disk size is frozen");

#define VecxBehindPageHeader(page)	((VecxBehindPage) PageGetContents(page))
#define VECX_BEHIND_PAGE_ROOM	(VECX_PAGE_CAPACITY - MAXALIGN(sizeof(VecxBehindPageData)))

/* The LIST pages among the pages of an index, about; at least 1. */
extern double VecxListPagesAmong(double pages, const VecxMetaPageData *meta);

/* A centroid's row entry. */
#define VecxListOfTid(tid)		ItemPointerGetBlockNumberNoCheck(tid)
static inline void
VecxListSetTid(ItemPointer tid, BlockNumber head)
{
	ItemPointerSet(tid, head, FirstOffsetNumber);
}

/* Pages of a list beyond which it is split: more would be coarse (list_split.c). */
#define VecxListMostPages(lists) \
	Max((5 * (lists)->list_entries / 4 + (lists)->page_rows - 1) / (lists)->page_rows, 2)

/* An index's quantiser, and where things lie in a block. */
typedef struct VecxLists
{
	VecxListCode code;
	Size		blocks;			/* offset in a page's contents */
	Size		factors;		/* offsets in a block */
	Size		rows;
	Size		block_bytes;
	Size		open_bytes;		/* of a row in an open block */
	int			page_blocks;
	int			page_rows;
	int			list_rows;		/* that lists are made for, copies not counted */
	int			list_entries;	/* the same with them, about */
	int			replicas;		/* lists that a row goes to, at most */
	Size		row_size;		/* of a row entry */
	Size		item_bytes;		/* of a VecxListItem */
	bool		has_copies;
	VecxCoder	copies;			/* of rows' vectors */
	Size		behind_bytes;	/* of a VecxBehindEntry; 0: nothing is behind rows */
	int			behind_rows;	/* of a BEHIND page */
	int			behind_pages;	/* of a LIST page, at most */
} VecxLists;

/* Bytes of an item's last part: more bits of its code, and the copy. */
static inline Size
VecxListExtraBytes(const VecxLists *lists)
{
	return lists->code.extra_bytes + (lists->has_copies ? lists->copies.nbytes : 0);
}

/* A row by itself: the row entry, its codes, a byte each, and what is behind follow. */
typedef struct VecxListItem
{
	float		add;
	uint16		rescale;
	uint16		sigma;
	uint8		bytes[FLEXIBLE_ARRAY_MEMBER];
} VecxListItem;

StaticAssertDecl(offsetof(VecxListItem, bytes) == MAXALIGN(offsetof(VecxListItem, bytes)),
				 "a row entry behind it is aligned");

#define VecxListItemRow(item)			((VecxRowEntry *) (item)->bytes)
#define VecxListItemCodes(lists, item)	((item)->bytes + (lists)->row_size)
#define VecxListItemExtra(lists, item) \
	((item)->bytes + MAXALIGN((lists)->row_size + (lists)->code.ncolumns))
#define VecxListItemCopy(lists, item)	(VecxListItemExtra(lists, item) + (lists)->code.extra_bytes)
/* Bytes of one with its codes packed and without what is behind: in open blocks, and in sorts. */
#define VecxListPackedBytes(lists) \
	(offsetof(VecxListItem, bytes) + (lists)->row_size + (lists)->code.packed_bytes)

/* A centroid, ready to encode with. */
typedef struct VecxListEncoder
{
	VecxIndex  *index;
	VecxListCentre centre;
	float	   *c;				/* [dim] */
	float	   *cy;				/* [proj_floats] */
	float	   *y;				/* of a vector */
	void	   *scratch;
} VecxListEncoder;

/* list_options.c */
extern void VecxListsQuantizer(Relation index, const VecxMetaPageData *meta, VecxListOptions *wanted);
extern Oid	VecxListsQueryTable(Relation index, const char **column);
extern void VecxListsWarnOfQueries(Relation index, const char *reason);
extern int	VecxListsReplicas(Relation index);
extern void VecxListsCheckOptions(Relation index, const VecxMetaPageData *meta);
extern VecxCodeKind VecxListsCopies(Relation index);

/* list_train.c */
struct VecxClusters;
typedef struct VecxListTrainer VecxListTrainer;
extern int	VecxListTrainRows(const VecxIndex *index);
extern VecxListTrainer *VecxListTrainerMake(VecxIndex *index, Size offered);
extern void VecxListTrainerOffer(VecxListTrainer *trainer, const float *x);
extern void VecxListsTrain(VecxIndex *index, VecxListTrainer *trainer, const struct VecxClusters *clusters);
extern void VecxListsWriteUntrained(VecxIndex *index, ForkNumber fork);

/* model.c */
extern VecxListCode VecxLoadListCode(VecxIndex *index);
extern VecxListRounded VecxRoundListCode(VecxIndex *index, const VecxListCode *code);

/* list_page.c */
extern void VecxListsCheckSupport(Relation index, const VecxOpSpec *spec, const VecxMetaPageData *meta);
extern void VecxListsOpen(VecxIndex *index);
extern void VecxListsLayOut(VecxLists *lists, VecxCodeKind copies);
extern int	VecxListsDefaultRows(Relation index, const VecxMetaPageData *meta, Size row_size);
extern void VecxListPageInit(const VecxLists *lists, Page page, BlockNumber head);
extern VecxListPage VecxListGetPage(const VecxIndex *index, Page page, BlockNumber blkno);
extern BlockNumber VecxListOfRecord(const VecxIndex *index, VecxRecord rec);
extern void VecxListCheckChain(const VecxIndex *index, VecxListPage header, BlockNumber head,
							   BlockNumber blkno, BlockNumber *steps);
extern BlockNumber VecxListCopyPage(VecxIndex *index, BlockNumber head, BlockNumber blkno,
									BlockNumber *steps, PGAlignedBlock *copy);
extern void VecxListPut(const VecxLists *lists, Page page, int row, const VecxListItem *item);
extern void VecxListGet(const VecxLists *lists, Page page, int row, VecxListItem *item);
extern VecxRowEntry *VecxListRow(const VecxLists *lists, Page page, int row);
extern const uint8 *VecxListBlock(const VecxLists *lists, Page page, int first, PGAlignedBlock *room);
extern void VecxListPack(const VecxLists *lists, const VecxListItem *item, uint8 *packed);
extern void VecxListUnpack(const VecxLists *lists, const uint8 *packed, VecxListItem *item);
extern Size VecxListUsed(const VecxLists *lists, int nrows);
extern void VecxListSetRows(const VecxLists *lists, Page page, int nrows);
extern void VecxListFreePage(VecxIndex *index, Buffer buf);
extern void VecxListEncoderInit(VecxListEncoder *encoder, VecxIndex *index);
extern void VecxListEncoderUse(VecxListEncoder *encoder, const float *centre);
extern void VecxListEncodeItem(const VecxLists *lists, const VecxListCentre *centre, const float *x,
							   const float *y, VecxListItem *item, void *scratch);
extern void VecxListEncode(VecxListEncoder *encoder, const float *x, VecxListItem *item);

/* list_behind.c: changes of rows with what is behind them */
extern void VecxListAppend(VecxIndex *index, Buffer buf, const VecxListItem *item);
extern void VecxListFillBehind(VecxIndex *index, Buffer buf, const char *items, int nitems);
extern void VecxListRemove(VecxIndex *index, Buffer buf, const bool *gone);
extern void VecxListDropBehind(VecxIndex *index, Buffer buf, int nrows);
extern const VecxBehindEntry *VecxBehindFind(const VecxLists *lists, Page page, BlockNumber owner,
											 int row, const ItemPointerData *tid);

/* list_refine.c */
typedef struct VecxListRefiner VecxListRefiner;
extern VecxListRefiner *VecxListRefinerMake(VecxIndex *index, MemoryContext cxt,
											const VecxListQuery *query, const float *vec,
											float sigmas);
extern uint32 VecxListRefinerPage(VecxListRefiner *refiner, BlockNumber blkno, Page page,
								  const VecxListProbe *list);
extern void VecxListRefine(VecxListRefiner *refiner, uint32 reference, const ItemPointerData *tid,
						   float product, float *lower, float *upper);

/* list_probes.c: how many lists to read */

/* Queries of a build's curve, at most, and of any curve's last line. */
#define VECX_LIST_BUILD_QUERIES		128
#define VECX_LIST_MANY_ROWS_QUERIES	32

typedef struct VecxProbeSums VecxProbeSums;
extern VecxProbeSums *VecxProbeSumsMake(VecxIndex *index, uint32 nlists);
extern void VecxProbeSumsAdd(VecxProbeSums *sums, const float *nav, uint32 nlists,
							 const uint32 *place, int nrows);
extern bool VecxProbeSumsStore(VecxProbeSums *sums, uint8 source);
extern double VecxListGrowth(const VecxMetaPageData *meta, BlockNumber nblocks);
extern void VecxListCurveLengthen(VecxMetaPageData *meta, double factor);

/* list_calibrate.c */
extern bool VecxListCalibrate(VecxIndex *index, VecxExact *exact, const float *const *x,
							  const ItemPointerData *tids, int n, uint8 source);
extern int	VecxListSampleRows(VecxIndex *index, ItemPointerData *tids, int most);
extern const float *VecxListVectorOf(VecxIndex *index, VecxExact *exact, ItemPointer tid);
extern void VecxListCalibrateIfChanged(VecxIndex *index, bool in_vacuum);

/* Lists that are read whatever their distance, of a number. */
#define VecxLeastProbes(number)	(Min((number) / 8, 3) + 1)

/* The greatest distance of a list that is read, by that of the nearest one.  Inner
 * products have no ratio. */
static inline float
VecxProbeLimit(const VecxIndex *index, float nearest, float ratio)
{
	if (index->meta.metric == VECX_METRIC_IP || isinf(ratio))
		return INFINITY;
	return Max(nearest, 0) * ratio * ratio;
}

/* list_tune.c: the adapter that moves queries before centroids are searched, and the
 * books that rows are scored by */

/* Of both at most; it is kept for each open index. */
#define VECX_TUNE_MAX_BYTES	(4 * 1024 * 1024)

typedef struct VecxTuneHeadData
{
	uint32		version;
	BlockNumber previous;		/* MODEL pages of the one before, or InvalidBlockNumber */
	uint32		previous_bytes;
	uint32		adapter_bytes;	/* the adapter follows; books of scores follow that */
	VecxCurveData curve;		/* there was before */
} VecxTuneHeadData;

/* What vecx_tune has learned. */
typedef struct VecxTuning
{
	VecxTuneHeadData head;
	const uint8 *bytes[2];		/* of the adapter and of the books of scores */
	Size		nbytes[2];		/* 0: there is none */
	VecxAdapter adapter;
	VecxScoreBooks books;
} VecxTuning;

#define VECX_TUNE_ADAPTER	0
#define VECX_TUNE_BOOKS		1

extern Size VecxTuneBytes(const VecxTuning *tuning);
extern const char *VecxTuneBind(const VecxIndex *index, const uint8 *bytes, Size nbytes,
								VecxTuning *tuning);
extern uint8 *VecxTuneRead(VecxIndex *index, VecxTuning *tuning);
extern const float *VecxTuneMove(VecxIndex *index, const float *x);
extern VecxProbe *VecxTuneProbe(VecxIndex *index, VecxProbe *probe);
extern void VecxListQueryInit(VecxIndex *index, VecxListQuery *query, const float *x, void *scratch);
extern uint32 VecxTuneStore(VecxIndex *index, const VecxTuning *tuning);
extern uint32 VecxTuneUndo(VecxIndex *index);

/* list_directory.c: all lists of an index, as a search sees them */
typedef struct VecxNearList
{
	float		nav;			/* what says whose turn it is, from the centroid's code */
	float		rank;			/* how far it is */
	float		norm2;
	BlockNumber head;
} VecxNearList;

typedef struct VecxNearLists
{
	int			n;
	VecxNearList *lists;
} VecxNearLists;

extern VecxNearLists *VecxNearListsMake(VecxIndex *index, const VecxProbe *probe, const VecxProbe *route,
										int probes);
extern int	VecxNearListsTake(VecxNearLists *near, int wanted, const VecxNearList **lists);
extern void VecxCentroidsChanged(VecxIndex *index);

/* list_read.c: the rows of lists as a scan meets them */
typedef struct VecxListScan VecxListScan;
extern VecxListScan *VecxListScanMake(VecxIndex *index, MemoryContext cxt, VecxSearch *search,
									  VecxProbe *probe, VecxProbe *route, const VecxRange *range,
									  const VecxFilterQuery *filter, const VecxEffort *effort,
									  VecxNearLists *near, uint32 version, int64 most_rows,
									  bool strict);
extern double VecxListScanPassing(const VecxListScan *ls);
extern double VecxListScanRank(const VecxListScan *ls, int64 k);
extern bool VecxListScanStillFinds(const VecxListScan *ls);
extern void VecxListScanForget(VecxListScan *ls);
extern bool VecxListScanWiden(VecxListScan *ls, int probes, float ratio);
extern int	VecxListScanProbes(const VecxListScan *ls);
extern float VecxListScanRatio(const VecxListScan *ls);
extern bool VecxListScanRangeIsDone(VecxListScan *ls);
extern bool VecxListScanFill(VecxListScan *ls, int64 rows_given, bool others);
extern bool VecxListScanPeek(VecxListScan *ls, float *lower);
extern void VecxListScanSettle(VecxListScan *ls, float limit);
extern bool VecxListScanPop(VecxListScan *ls, VecxRowEntry *row, float *lower, float *upper);
extern void VecxListScanCount(const VecxListScan *ls, VecxScanCounts *counts);

/* list_insert.c */

/* Centroids that a row may go to, when nearer ones do not take it. */
#define VECX_NEAR_CENTROIDS	12

extern void VecxListInsert(VecxIndex *index, Relation heap, const VecxInput *input,
						   const VecxRowEntry *row);
/* insert.c */
extern VecxId VecxInsertCentroid(VecxIndex *index, uint8 *code, BlockNumber head);
extern VecxOpened *VecxListNearest(VecxIndex *index, const float *x, int width, int *count);
extern bool VecxListAdd(VecxIndex *index, BlockNumber head, const VecxListItem *item, uint32 *npages);

/* list_replica.c */
extern double VecxListEntries(const VecxMetaPageData *meta);
extern int	VecxListChooseCopies(VecxIndex *index, const float *x, const VecxOpened *near, int nnear,
								 int at, int *copies);

/* A list, by its centroid and its first page. */
typedef struct VecxListRef
{
	VecxId		centroid;
	BlockNumber head;
} VecxListRef;

/* list_split.c */
extern void VecxListSplit(VecxIndex *index, Relation heap, const VecxListRef *list, bool in_vacuum);
extern void VecxListMaybeSplit(VecxIndex *index, Relation heap, VecxId centroid, BlockNumber head);
extern void VecxListRegroup(VecxIndex *index, Relation heap, const VecxListRef *lists, int n,
							bool alone);

/* What a list is like. */
typedef struct VecxListState
{
	int64		rows;			/* entries */
	uint32		npages;
	uint32		split_pages;
	bool		closed;
	bool		left;			/* rows were left in it when others went elsewhere */
} VecxListState;

/* list_merge.c: lists that VACUUM has something to do for */
typedef struct VecxListRefs
{
	int			n;
	int			cap;
	VecxListRef *refs;
} VecxListRefs;

typedef struct VecxListNotes
{
	int			most;			/* of either kind */
	VecxListRefs due;			/* too short, too long, or left behind by a split */
	VecxListRefs open;
	VecxId	   *emptied;		/* centroids of lists that have no row left */
	int			nemptied;
	int			emptied_cap;
} VecxListNotes;

extern void VecxListNotesInit(VecxListNotes *notes);
extern void VecxListNote(VecxListNotes *notes, VecxIndex *index, VecxId centroid, BlockNumber head,
						 const VecxListState *state);
extern bool VecxListsWantVacuum(VecxIndex *index);
extern void VecxListsClosed(VecxIndex *index, uint32 closed);
extern void VecxListsVacuumed(VecxIndex *index, uint32 closed);
extern void VecxListTendNoted(VecxIndex *index, VecxListNotes *notes);
extern bool VecxListReadCentroid(VecxIndex *index, const VecxListRef *list, float *centre);
extern void VecxListNoteEmptied(VecxListNotes *notes, VecxIndex *index, const VecxListRef *lists, int n);

/* list_recluster.c */
extern void VecxListsRecluster(VecxIndex *index, Relation heap, VecxListNotes *notes);

/* list_settle.c */
extern double VecxListsMostSettled(const VecxIndex *index);
extern void VecxListsSettle(VecxIndex *index);

/* list_reach.c */
extern void VecxListsReach(VecxIndex *index, const VecxIdSet *dead);

/* list_vacuum.c */
extern bool VecxListVacuumPage(VecxIndex *index, Buffer buf, IndexBulkDeleteCallback callback,
							   void *arg, int64 *live, int64 *removed, bool *waits);
extern bool VecxListTend(VecxIndex *index, BlockNumber head, VecxListState *state);
extern void VecxListLook(VecxIndex *index, BlockNumber head, VecxListState *state);
extern void VecxListRetire(VecxIndex *index, BlockNumber head);

#endif							/* VECX_LIST_H */

/*
 * vtree.h
 *    The value tree: which vertices have a row with which values in the filter
 *    columns, in the order of the values, with a sketch of each vertex's vector;
 *    in an index with posting lists, which rows have these values.
 *
 * A B-link tree (Lehman and Yao) of entries { column, value, vertex or row }.  A value
 * is its 64-bit key (filter.h), so that several values may share one; what is
 * found in the tree is tested on the vertex's rows.  README.md in this folder
 * has the pages as tables with byte offsets, and the locks.
 */
#ifndef VECX_VTREE_H
#define VECX_VTREE_H

#include "access/genam.h"

#include "am/am.h"
#include "code/code_cells.h"

/* What entries are sorted by: column, value, place, id. */
typedef struct VecxTreeKey
{
	uint64		value;
	VecxId		id;				/* the vertex's base record; of a row, the low half of its TID's
								 * block, and its offset */
	uint16		column;			/* in the index's filters */
	uint16		place;			/* the vertex's cell; of a row, the high half of its block */
} VecxTreeKey;

static inline VecxTreeKey
VecxTreeKeyOfRow(int column, uint64 value, ItemPointer tid)
{
	BlockNumber blkno = ItemPointerGetBlockNumberNoCheck(tid);
	VecxTreeKey key = {value, blkno << 16 | ItemPointerGetOffsetNumberNoCheck(tid), (uint16) column,
	(uint16) (blkno >> 16)};

	return key;
}

static inline void
VecxTreeKeyTid(const VecxTreeKey *key, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) key->place << 16 | key->id >> 16, (OffsetNumber) (key->id & 0xffff));
}

/* At PageGetContents, before the directory. */
typedef struct VecxTreeHeadData
{
	VecxTreeKey high;			/* no entry is as great; if there is a next page */
	uint16		level;			/* 0: leaf */
	uint16		count;			/* of entries */
	uint16		entry_size;		/* of one */
	uint16		unused;
} VecxTreeHeadData;

typedef VecxTreeHeadData *VecxTreeHead;

/*
 * Entries lie in slots from the end of the page on, the last that came nearest
 * to the front.  The directory names the slots in the order of their keys, one
 * byte each, or two where entries are so short that a page takes more than 255:
 * an insertion moves bytes of the directory, and no entry, so that its WAL record
 * is short.
 */
#define VECX_TREE_ROOM			(VECX_PAGE_CAPACITY - sizeof(VecxTreeHeadData))
#define VecxTreeSlotBytes(size)	(VECX_TREE_ROOM / ((size) + 1) > PG_UINT8_MAX ? 2 : 1)
#define VecxTreeCapacity(size)	((int) (VECX_TREE_ROOM / ((size) + VecxTreeSlotBytes(size))))
#define VecxTreeGetHead(page)	((VecxTreeHead) PageGetContents(page))
#define VecxTreeDirectory(page)	((uint8 *) (VecxTreeGetHead(page) + 1))
#define VECX_TREE_MAX_ENTRIES	VecxTreeCapacity(sizeof(VecxTreeKey))

/* A leaf's entry is a key and a sketch, but for rows a key alone, another page's a
 * key and a block. */
#define VecxTreeLeafSize(index)	(sizeof(VecxTreeKey) + (index)->tree_coder.nbytes)
#define VECX_TREE_INNER_SIZE	(sizeof(VecxTreeKey) + sizeof(BlockNumber))

StaticAssertDecl(sizeof(VecxTreeKey) == 16, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxTreeHeadData) == 24, "on-disk size is frozen");

/* What all entries of a page have in common: whoever goes through many looks it up once. */
typedef struct VecxTreeEntries
{
	uint8	   *end;			/* of the last slot */
	const uint8 *directory;
	Size		size;
	bool		wide;			/* two bytes name a slot */
} VecxTreeEntries;

static inline VecxTreeEntries
VecxTreePageEntries(Page page)
{
	VecxTreeEntries entries;

	entries.end = (uint8 *) page + ((PageHeader) page)->pd_special;
	entries.directory = VecxTreeDirectory(page);
	entries.size = VecxTreeGetHead(page)->entry_size;
	entries.wide = VecxTreeSlotBytes(entries.size) > 1;
	return entries;
}

static inline int
VecxTreeSlotAt(const VecxTreeEntries *entries, int at)
{
	return entries->wide ? ((const uint16 *) entries->directory)[at] : entries->directory[at];
}

static inline uint8 *
VecxTreeEntryInSlot(const VecxTreeEntries *entries, int slot)
{
	return entries->end - (Size) (slot + 1) * entries->size;
}

static inline uint8 *
VecxTreeEntryAt(const VecxTreeEntries *entries, int at)
{
	return VecxTreeEntryInSlot(entries, VecxTreeSlotAt(entries, at));
}

/* The same of one. */
static inline int
VecxTreeSlot(Page page, int at)
{
	VecxTreeEntries entries = VecxTreePageEntries(page);

	return VecxTreeSlotAt(&entries, at);
}

static inline uint8 *
VecxTreeEntry(Page page, int at)
{
	VecxTreeEntries entries = VecxTreePageEntries(page);

	return VecxTreeEntryAt(&entries, at);
}

/* Entries are not aligned for the key's value. */
static inline VecxTreeKey
VecxTreeEntryKey(const uint8 *entry)
{
	VecxTreeKey key;

	memcpy(&key, entry, sizeof(key));
	return key;
}

static inline const uint8 *
VecxTreeEntrySketch(const uint8 *entry)
{
	return entry + sizeof(VecxTreeKey);
}

static inline BlockNumber
VecxTreeEntryChild(const uint8 *entry)
{
	BlockNumber child;

	memcpy(&child, entry + sizeof(VecxTreeKey), sizeof(child));
	return child;
}

static inline int
VecxTreeCompare(const VecxTreeKey *a, const VecxTreeKey *b)
{
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

/* vtree_page.c: one page */
extern void VecxTreePageInit(Page page, int level, Size entry_size);
extern const char *VecxTreePageWrong(Page page);
extern int	VecxTreePageFind(Page page, const VecxTreeKey *key, bool *found);
extern void VecxTreePageInsert(Page page, int at, const uint8 *entry);
extern void VecxTreePageRemove(Page page, int at);
extern void VecxTreePageSplit(Page page, int at, const uint8 *entry, Page left, Page right);

/* vtree.c: searching and inserting */
extern void VecxTreeChooseSketch(const VecxOpSpec *spec, VecxMetaPageData *meta);
extern void VecxTreeInitCoder(VecxIndex *index);
extern BlockNumber VecxTreeCreate(VecxIndex *index, ForkNumber fork);
extern void VecxTreeSketch(const VecxIndex *index, const void *vec, uint8 *sketch);
extern void VecxTreeInsertRow(VecxIndex *index, VecxTreeKey key, const uint8 *sketch,
							  const Datum *values, const bool *isnull);
extern bool VecxTreeHas(VecxIndex *index, const VecxTreeKey *key);
extern Buffer VecxTreeDescend(VecxIndex *index, int level, const VecxTreeKey *key, int lockmode);
extern Buffer VecxTreeDescendAbove(VecxIndex *index, const VecxTreeKey *key);
extern Buffer VecxTreeReadPage(VecxIndex *index, BlockNumber blkno, int level, int lockmode);
extern Buffer VecxTreeReadNext(VecxIndex *index, BlockNumber blkno, int level,
							   const VecxTreeKey *high, int lockmode);

/* vtree_walk.c: entries in order */
typedef struct VecxTreeWalk
{
	VecxIndex  *index;
	VecxTreeKey end_key;		/* where the walk ends: no entry of it is as great */
	bool		more;			/* pages behind the one at hand may be wanted */
	BlockNumber next;			/* the first of them */
	int			at;				/* entry to give next */
	int			end;			/* of those on the page */
	int64		npages;			/* read so far */
	VecxTreeKey high;			/* of the page at hand */
	Page		page;			/* that, or NULL when it was let go of */
	bool		in_place;		/* pages are not copied */
	Buffer		buf;			/* then, where it is, locked; else InvalidBuffer */
	PGAlignedBlock copy;
} VecxTreeWalk;

extern VecxTreeKey VecxTreeStretchKey(uint16 column, uint64 value, VecxId id);
extern void VecxTreeWalkStart(VecxTreeWalk *walk, VecxIndex *index, uint16 column,
							  uint64 low, uint64 high, bool in_place);
extern void VecxTreeWalkLeaf(VecxTreeWalk *walk, VecxIndex *index, BlockNumber blkno,
							 const VecxTreeKey *first, const VecxTreeKey *end);
extern void VecxTreeWalkLetGo(VecxTreeWalk *walk);
extern bool VecxTreeWalkPage(VecxTreeWalk *walk);
extern double VecxTreeCount(VecxIndex *index, uint16 column, uint64 low, uint64 high);

/* vtree_needs.c: what a scan's conditions need of the tree */
typedef struct VecxTreeNeed
{
	const VecxFilterNeed *need;
	double		count;			/* of entries */
	bool		mixed;			/* most pages that were looked at have several values */
	bool		exact;			/* it was counted, not estimated */
	double		share;			/* of all that have entries */
	bool		narrows;		/* read as well, for what the first need finds */
} VecxTreeNeed;

extern VecxTreeNeed *VecxTreeNeeds(VecxIndex *index, const VecxFilterQuery *filter, VecxTreeWalk *walk,
								   int *n, bool *at_hand);
extern void VecxTreeShares(VecxTreeNeed *needs, int n, double all);
extern double VecxTreeCountAll(VecxIndex *index);

/* vtree_cells.c: an order of the entries of one value */
typedef struct VecxTreeCells
{
	VecxIndex  *index;
	VecxCells	cells;			/* if there are any */
	void	   *scratch;
} VecxTreeCells;

extern void VecxTreeMakeCells(VecxIndex *index, double rows, const char *sample, Size sample_bytes,
							  int nsample);
extern VecxCells VecxLoadCells(VecxIndex *index);	/* model.c */
extern void VecxTreeCellsOpen(VecxIndex *index, VecxTreeCells *cells);
extern uint16 VecxTreeCellOf(VecxTreeCells *cells, const void *vec);
extern uint16 VecxTreeReadCell(VecxIndex *index, VecxId id);

/* vtree_near.c: leaves by how near their entries may be */
typedef struct VecxTreeNear VecxTreeNear;
extern VecxTreeNear *VecxTreeNearMake(VecxIndex *index, const VecxTreeNeed *need, double passing,
									  int wanted);
extern double VecxTreeNearShare(const VecxTreeNear *near);
extern bool VecxTreeNearList(VecxTreeNear *near);
extern double VecxTreeNearShareThere(VecxTreeNear *near, const VecxCodeQuery *query, double all);
extern void VecxTreeNearFree(VecxTreeNear *near);
extern bool VecxTreeNearNext(VecxTreeNear *near, const VecxCodeQuery *query, float reach,
							 VecxTreeWalk *walk);
extern void VecxTreeNearSee(VecxTreeNear *near, const uint16 *cells, const float *dist, int n);
extern bool VecxTreeNearHasMore(VecxTreeNear *near, const VecxCodeQuery *query, float reach);

/* vtree_scan.c: vertices that may match a scan's conditions */

/* Entries whose sketches are scored in the time of a hop of a search, roughly. */
#define VECX_TREE_ENTRIES_PER_HOP	50.0

/* So few are opened before their sketches could be compared with anything: no search comes first. */
#define VECX_TREE_TOO_FEW_TO_SCORE	24.0

typedef struct VecxTreeScan VecxTreeScan;
extern VecxTreeScan *VecxTreeScanMake(VecxIndex *index, const VecxFilterQuery *filter,
									  const VecxProbe *probe);
extern double VecxTreeScanShare(const VecxTreeScan *scan);
extern double VecxTreeScanCost(VecxTreeScan *scan, int rows, double most);
extern int64 VecxTreeScanRead(const VecxTreeScan *scan);
extern int	VecxTreeScanWidth(const VecxIndex *index, const VecxEffort *effort);
extern double VecxTreeScanShareThere(VecxTreeScan *scan);
extern bool VecxTreeScanMayHaveNearer(VecxTreeScan *scan, float reach);
extern bool VecxTreeScanOffer(VecxTreeScan *scan, VecxSearch *search, float reach, int wanted);

/* vtree_rows.c: rows that may match, in an index with posting lists */
typedef struct VecxTreeRows VecxTreeRows;
extern VecxTreeRows *VecxTreeRowsMake(VecxIndex *index, const VecxFilterQuery *filter, double lookup);
extern double VecxTreeRowsShare(const VecxTreeRows *rows);
extern double VecxTreeRowsCost(const VecxTreeRows *rows);
extern int64 VecxTreeRowsRead(const VecxTreeRows *rows);
extern struct VecxTidSet *VecxTreeRowsFind(VecxTreeRows *rows, BlockNumber table_blocks);

/* vtree_build.c: a tree from all its entries, within so many kilobytes */
typedef struct VecxTreeBuild VecxTreeBuild;
extern VecxTreeBuild *VecxTreeBuildBegin(VecxIndex *index, int memory);
extern void VecxTreeBuildAdd(VecxTreeBuild *build, const VecxTreeKey *key, const uint8 *sketch);
extern void VecxTreeBuildEnd(VecxTreeBuild *build);

/* vtree_vacuum.c */
struct VecxTreeDropped
{
	VecxId		id;				/* of the vertex whose rows are at hand */
	uint16		cell;			/* its */
	int			n;
	int			max;
	VecxTreeKey *keys;
};

extern void VecxTreeNoteDropped(const VecxIndex *index, VecxTreeDropped *dropped,
								const VecxRowEntry *row);
extern void VecxTreeRemoveDropped(VecxIndex *index, VecxTreeDropped *dropped);
extern void VecxTreeRemoveDead(VecxIndex *index, const VecxIdSet *dead);
extern void VecxTreeVacuumRows(VecxIndex *index, IndexBulkDeleteCallback callback, void *arg);

#endif							/* VECX_VTREE_H */

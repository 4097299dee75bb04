/*
 * page.h
 *    What vecx index pages look like on disk, and the only functions that
 *    read, change and WAL-log them.  README.md in this folder has the same as
 *    tables with byte offsets, and the locking protocol.
 */
#ifndef VECX_PAGE_H
#define VECX_PAGE_H

#include "access/generic_xlog.h"
#include "storage/block.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#define VECX_FORMAT_VERSION		5
#define VECX_MAGIC				0x56454358	/* "VECX" */
#define VECX_PAGE_ID			0xFFB2	/* last two bytes of a page, for dump tools */
#define VECX_META_BLKNO			0

/* Kinds of page. */
#define VECX_PAGE_META			1
#define VECX_PAGE_MODEL			2	/* serialised bases */
#define VECX_PAGE_VERTEX		3	/* base records of the graph */
#define VECX_PAGE_UPPER			4	/* records of the levels above */
#define VECX_PAGE_ROWS			5	/* row segments of vertices with many rows */
#define VECX_PAGE_SIDE			6	/* rows whose vector cannot be scored */
#define VECX_PAGE_TREE			7	/* the value tree: vtree.h */
#define VECX_PAGE_LIST			8	/* rows of posting lists; see list.h */
#define VECX_PAGE_BEHIND		9	/* what belongs to rows of a LIST page */
#define VECX_LAST_PAGE_KIND		VECX_PAGE_BEHIND

typedef struct VecxPageOpaqueData
{
	BlockNumber next;			/* next page of a MODEL or SIDE chain, of a list, or of a
								 * TREE's level */
	uint8		kind;			/* VECX_PAGE_xxx */
	uint8		format;			/* VECX_FORMAT_VERSION of the writer */
	uint16		page_id;		/* VECX_PAGE_ID */
} VecxPageOpaqueData;

typedef VecxPageOpaqueData *VecxPageOpaque;

#define VecxPageGetOpaque(page)	((VecxPageOpaque) PageGetSpecialPointer(page))
#define VECX_PAGE_CAPACITY \
	(BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - MAXALIGN(sizeof(VecxPageOpaqueData)))

/*
 * A record's id: block number and line pointer in 32 bits.  Six bits of line
 * pointer bound a page to 63 records, 26 bits of block an index to 512 GB.
 * Block 0 is the metapage, so 0 is no record's id.
 */
typedef uint32 VecxId;

#define VECX_ID_OFFSET_BITS		6
#define VECX_MAX_ITEMS			((1 << VECX_ID_OFFSET_BITS) - 1)
#define VECX_MAX_BLOCKS			((BlockNumber) 1 << (32 - VECX_ID_OFFSET_BITS))
#define VECX_INVALID_ID			0
#define VecxIdMake(blkno, off)	(((VecxId) (blkno) << VECX_ID_OFFSET_BITS) | (VecxId) (off))
#define VecxIdBlock(id)			((BlockNumber) ((id) >> VECX_ID_OFFSET_BITS))
#define VecxIdOffset(id)		((OffsetNumber) ((id) & VECX_MAX_ITEMS))

/*
 * A table row of a vertex.  The values of the index's filter columns follow
 * (filter.h), so that entries lie as many bytes apart as the layout says.
 */
typedef struct VecxRowEntry
{
	ItemPointerData tid;		/* in the heap; the root of a HOT chain */
	uint16		flags;			/* VECX_ROW_xxx */
} VecxRowEntry;

#define VecxRowAt(rows, row_size, i)	((VecxRowEntry *) ((char *) (rows) + (Size) (row_size) * (i)))
#define VecxRowFilters(row)				((uint8 *) ((VecxRowEntry *) (row) + 1))

/* In a record or segment: the row is dead to everybody, as a scan found. */
#define VECX_ROW_KILLED			4
/* In a list: the row came from another one, which may have it, too, after a crash. */
#define VECX_ROW_ARRIVED		8
/* In a list: the row is in another one, with neither of these flags; it went there, and
 * this entry is for scans that were under way. */
#define VECX_ROW_COPY			16
#define VECX_ROW_LEAVING		32
/* With LEAVING: it is to be a COPY when no scan needs it any more. */
#define VECX_ROW_STAYS			64
#define VecxRowIsOwn(row)		(((row)->flags & (VECX_ROW_COPY | VECX_ROW_LEAVING)) == 0)
/* Never on a page: a condition has to be tested on the row itself. */
#define VECX_ROW_RECHECK		0x8000

/* Why a row is on a SIDE page; also the order in which such rows are returned. */
#define VECX_ROW_UNSCORABLE		1	/* zero under cosine, or a norm beyond float4 */
#define VECX_ROW_NULL			2

/*
 * A record of the graph: a vertex at one level.  Level 0 (on VERTEX pages)
 * owns the rows; a vertex that reaches level L has a record of the same form,
 * with its own copy of the code but no rows, at each level 1..L (on UPPER
 * pages), so that a hop reads one page at every level.
 *
 * Row entries, code and links follow at the offsets that the metapage's layout
 * table gives.
 */
typedef struct VecxRecordData
{
	uint8		flags;			/* VECX_RECORD_xxx */
	uint8		level;
	uint8		model;			/* number of the model of all its sketches */
	uint8		nrows;			/* row entries in use inside the record */
	uint16		nlinks;
	uint16		link_cap;		/* links there is room for */
	uint32		generation;		/* random stamp, another after reuse of the id */
	uint32		hash;			/* of the vector as the user gave it */
	union
	{
		VecxId		down;		/* record one level below */
		uint32		sole;		/* at level 0: which of the first 32 links are to stay, since few
								 * others lead where they do */
	};
	union
	{
		VecxId		base;		/* level 0 record of the vertex */
		uint32		cell;		/* of the vertex in the value tree, at level 0 */
	};
	VecxId		chain_head;		/* first row segment, or 0 */
	VecxId		chain_tail;		/* last row segment, or 0 */
} VecxRecordData;

typedef VecxRecordData *VecxRecord;

#define VECX_SOLE_LINKS			32

/* Whether a link is to stay. */
static inline bool
VecxLinkIsSole(const VecxRecordData *rec, int link)
{
	return rec->level == 0 && link < VECX_SOLE_LINKS && (rec->sole >> link & 1) != 0;
}

static inline void
VecxLinkSetSole(VecxRecordData *rec, int link, bool sole)
{
	if (rec->level == 0 && link < VECX_SOLE_LINKS)
		rec->sole = (rec->sole & ~((uint32) 1 << link)) | (uint32) sole << link;
}

#define VECX_RECORD_DEAD		0x01	/* no row left; VACUUM is removing it */

/* Row entries inside a record; more go to segments. */
#define VECX_INLINE_ROWS		2

/* More rows of a vertex: an item on a ROWS page. */
typedef struct VecxRowSegmentData
{
	VecxId		next;			/* next segment of the vertex, or 0 */
	VecxId		owner;			/* the vertex's level 0 record */
	uint16		nrows;
	uint16		cap;
	/* rows follow */
} VecxRowSegmentData;

typedef VecxRowSegmentData *VecxRowSegment;

#define VECX_SEGMENT_FIRST_ROWS	4	/* capacity of a vertex's first segment */
#define VECX_SEGMENT_ROW_BYTES	4096	/* of its largest */
#define VECX_SEGMENT_MAX_ROWS	((int) (VECX_SEGMENT_ROW_BYTES / sizeof(VecxRowEntry)))
#define VecxSegmentMaxRows(row_size) \
	Max(VECX_SEGMENT_ROW_BYTES / (int) (row_size), VECX_SEGMENT_FIRST_ROWS)
#define VecxSegmentSize(row_size, cap)	(sizeof(VecxRowSegmentData) + (Size) (row_size) * (cap))
#define VecxSegmentRows(seg)			((VecxRowEntry *) ((VecxRowSegment) (seg) + 1))

/* Contents of a SIDE page, from PageGetContents up to pd_lower. */
#define VecxSidePageRows(page)	((VecxRowEntry *) PageGetContents(page))
#define VecxSidePageMaxRows(row_size)	((int) (VECX_PAGE_CAPACITY / (row_size)))
#define VecxSidePageCount(page, row_size) \
	((int) ((((PageHeader) (page))->pd_lower - (int) MAXALIGN(SizeOfPageHeaderData)) / (int) (row_size)))

/* A link: the neighbour's id, then its sketch (code.h). */
#define VECX_LINK_SKETCH		4	/* offset of the sketch in a link */

/* The layout table: where a record's parts are. */
#define VECX_PART_ROWS			1
#define VECX_PART_CODE			2
#define VECX_PART_LINKS			3
#define VECX_MAX_PARTS			8

typedef struct VecxLayoutPart
{
	uint16		part;			/* VECX_PART_xxx, 0: unused entry */
	uint16		offset;			/* from the start of the record */
	uint16		length;			/* bytes; of one link for LINKS */
	uint16		format;			/* VecxCodeKind for CODE, else 1 */
} VecxLayoutPart;

/* A trained or seeded basis that some records' sketches are made in. */
typedef struct VecxModelSlot
{
	BlockNumber first;			/* chain of MODEL pages */
	uint32		nbytes;
	uint32		trained_rows;	/* vertices there were, 0: a seeded rotation */
	uint8		number;			/* 1..255, 0: slot unused */
	uint8		kept;			/* share of links' residuals that it kept, in 1/255; 0: not known */
	uint8		unused[2];
} VecxModelSlot;

#define VECX_MAX_MODELS			2

/*
 * The curve: which share of the true nearest rows searches of growing effort
 * find, for some numbers of rows wanted.  See effort.c and calibrate.c.
 */
typedef struct VecxCurvePoint
{
	uint16		multiple;		/* width, in 16ths of the least; of posting lists their number */
	uint16		spread;			/* in 256ths; of posting lists the greatest ratio of distances */
	uint16		mean;			/* share found, of 65535 */
	uint16		lower;			/* its lower 90 % confidence bound; never falls */
	uint16		records;		/* opened at the base, on average */
} VecxCurvePoint;

#define VECX_CURVE_KS			4	/* 1, 10, 100 and, of posting lists, 1,000 rows: VecxCurveRows */
#define VECX_CURVE_FEW_KS		3	/* lines that every curve has */
#define VECX_CURVE_FEW_ROWS		100	/* of the last of these */
#define VECX_CURVE_MANY_ROWS	1000	/* of the last of posting lists */
#define VECX_CURVE_POINTS		16
#define VECX_CURVE_NEAR			16

typedef struct VecxCurveData
{
	uint32		vertices;		/* there were, 0: there is no curve */
	BlockNumber nblocks;		/* of the index then */
	uint32		removed;		/* vertices that VACUUM removed since */
	uint16		queries;		/* that were searched for */
	uint8		source;			/* VECX_CURVE_xxx */
	uint8		model;			/* number of the current model then */
	uint8		npoints[VECX_CURVE_KS]; /* of the last line 0, if it was not measured */
	uint8		unused[4];
	VecxCurvePoint points[VECX_CURVE_KS][VECX_CURVE_POINTS];
	float4		near[VECX_CURVE_NEAR];	/* how far the queries' nearest were; see effort.c */
} VecxCurveData;

/* Where a curve's queries came from. */
#define VECX_CURVE_STORED		1	/* vectors of the index */
#define VECX_CURVE_GIVEN		2	/* the user */

typedef struct VecxMetaPageData
{
	uint32		magic;			/* VECX_MAGIC */
	uint32		version;		/* VECX_FORMAT_VERSION */
	uint32		dim;			/* of what codes stand for */
	uint16		metric;			/* VecxMetric */
	uint16		structure;		/* VECX_STRUCTURE_xxx */
	uint16		m;
	uint16		ef_construction;
	uint32		sketch_size;	/* bytes of a sketch with its factors */
	uint64		seed;			/* of all randomness, and this build's identity */
	VecxLayoutPart parts[VECX_MAX_PARTS];
	VecxModelSlot models[VECX_MAX_MODELS];
	uint8		current_model;	/* number that new records use */
	uint8		entry_level;
	uint16		tree_ncells;	/* cells of the value tree; 0: none */
	VecxId		entry;			/* record where searches start, 0: empty graph */
	BlockNumber side_head;		/* SIDE pages */
	BlockNumber side_tail;
	BlockNumber rows_tail;		/* ROWS page with room, a hint */
	BlockNumber upper_tail;		/* UPPER page with room, a hint */
	BlockNumber centre;			/* MODEL pages of the centre of codes and tree sketches, if any */
	uint32		value_dim;		/* of the column; the same as dim, unless values are hashed */
	VecxCurveData curve;
	BlockNumber tree_root;		/* of the value tree; InvalidBlockNumber: no filter columns */
	uint16		tree_kind;		/* VecxCodeKind of its sketches */
	uint16		tree_sketch;	/* bytes of one */

	/* of posting lists; zeros in a graph */
	BlockNumber list_code;		/* MODEL pages of the quantiser */
	uint32		list_code_bytes;
	uint32		list_rows;		/* rows that lists are made for */
	uint16		list_replicas;	/* lists that a row goes to, at most */
	uint8		list_copies;	/* VecxCodeKind of copies of their vectors, 0: none */
	uint8		list_behind;	/* BEHIND pages of a LIST page, at most */
	uint32		lists_closed;	/* since VACUUM has looked for such */
	BlockNumber tune;			/* MODEL pages of what vecx_tune has learned, if it has */
	uint32		tune_bytes;
	uint32		tune_version;	/* of the last one that was made */
	uint32		lists_made;		/* of the rows of others, since all were made together */
	uint32		lists_unsettled;	/* 1: rows were regrouped and are to be settled */
	uint32		centroids_version;	/* changes when they do */
	BlockNumber tree_cells;		/* MODEL pages of the value tree's cells, if it has any */
} VecxMetaPageData;

#define VECX_STRUCTURE_GRAPH	1
#define VECX_STRUCTURE_LISTS	2
#define VecxPageGetMeta(page)	((VecxMetaPageData *) PageGetContents(page))

StaticAssertDecl(sizeof(VecxPageOpaqueData) == 8, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxRowEntry) == 8, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxRecordData) == 32, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxRowSegmentData) == 12, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxModelSlot) == 16, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxCurveData) == 728, "on-disk size is frozen");
StaticAssertDecl(sizeof(VecxMetaPageData) == 944, "on-disk size is frozen");

/*
 * Reading.  These raise ERRCODE_INDEX_CORRUPTED, with the block in the detail,
 * on anything that cannot be a page of this index.
 */
extern void VecxCorrupted(Relation index, BlockNumber blkno, const char *what) pg_attribute_noreturn();
extern void VecxPageCheck(Relation index, Buffer buf, uint8 kind);
extern bool VecxReadPageCopy(Relation index, BlockNumber blkno, BufferAccessStrategy strategy,
							 PGAlignedBlock *copy);
extern bool VecxHasBlock(Relation rel, BlockNumber blkno);
extern Buffer VecxPinPage(Relation index, BlockNumber blkno);
extern Buffer VecxReadPage(Relation index, BlockNumber blkno, int lockmode, uint8 kind);

/* The record with that id on a locked page of a kind that may hold it, or NULL
 * if there is none (any more). */
extern VecxRecord VecxPageGetRecord(Page page, OffsetNumber off, Size min_size, Size *size);
extern VecxRowSegment VecxPageGetSegment(Page page, OffsetNumber off, Size row_size);

/*
 * Changing one page: Begin gives a page to change, Commit makes the change
 * take effect and logs it, Abandon drops it.  Between Begin and Commit only
 * stores happen.  The buffer is exclusively locked by the caller throughout.
 * Join adds a page to a change that has begun, so that one record of WAL, with
 * one header, serves for both: VECX_CHANGE_PAGES at most.
 *
 * LOGGED changes go through generic WAL.  A build whose pages nobody else can
 * see yet writes DIRECT, and logs the finished pages in one go.
 */
typedef enum VecxWriteMode
{
	VECX_WRITE_LOGGED,
	VECX_WRITE_DIRECT
} VecxWriteMode;

#define VECX_CHANGE_PAGES		MAX_GENERIC_XLOG_PAGES

typedef struct VecxPageChange
{
	GenericXLogState *xlog;		/* NULL when DIRECT */
	Buffer		buf;
	Page		page;
} VecxPageChange;

extern void VecxPageBegin(VecxPageChange *change, Relation index, Buffer buf,
						  VecxWriteMode mode, bool whole);
extern Page VecxPageJoin(VecxPageChange *change, Buffer buf);
extern void VecxPageCommit(VecxPageChange *change);
extern void VecxPageAbandon(VecxPageChange *change);

extern void VecxPageInit(Page page, uint8 kind);

/* A new page at the end of the index, exclusively locked, uninitialised. */
extern void VecxCheckRoom(Relation index, uint64 nblocks);
extern Buffer VecxExtend(Relation index, ForkNumber fork);
extern BlockNumber VecxSettledLength(Relation index);

/* The last item of a page, as far as ids go, which a damaged one may exceed; 0: there is none. */
static inline OffsetNumber
VecxLastItem(Page page)
{
	return PageIsNew(page) ? 0 : Min(PageGetMaxOffsetNumber(page), VECX_MAX_ITEMS);
}

/* The same of a VERTEX page; others have no base records. */
static inline OffsetNumber
VecxLastVertex(Page page)
{
	return PageIsNew(page) || VecxPageGetOpaque(page)->kind != VECX_PAGE_VERTEX ? 0 : VecxLastItem(page);
}

/* Whether a page of items has none. */
extern bool VecxPageIsEmpty(Page page);
extern bool VecxPageIsFree(Page page);
extern bool VecxPageHasKind(Page page, uint8 kind);

/* Where an item of that size would go on a page, or InvalidOffsetNumber. */
extern OffsetNumber VecxPageFindRoom(Page page, Size size);
/* Adds an item where VecxPageFindRoom said; cannot fail. */
extern void VecxPageAddItem(Page page, OffsetNumber off, const void *item, Size size);

/* Bytes across a chain of so many MODEL pages: VecxBlobWrite returns its first block. */
#define VecxBlobPages(nbytes)	(((Size) (nbytes) + VECX_PAGE_CAPACITY - 1) / VECX_PAGE_CAPACITY)
extern BlockNumber VecxBlobWrite(Relation index, ForkNumber fork, VecxWriteMode mode,
								 const uint8 *bytes, Size nbytes);
extern void VecxBlobRead(Relation index, BlockNumber first, uint8 *bytes, Size nbytes);

#endif							/* VECX_PAGE_H */

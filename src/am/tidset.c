/*
 * tidset.c
 *    A set of TIDs, made from a bitmap of PostgreSQL's, which itself cannot be
 *    asked for a TID.
 *
 * For each page of the table that has rows in the set there is one bit a line
 * pointer, in the order of the pages; so it takes no more memory than the bitmap
 * did, which work_mem bounds.  Where the bitmap knows only pages (lossy ones),
 * all their rows may be in the set: these pages are bits of their own, each for
 * one page, or for several if the table is so large that work_mem would not do.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "am/tidset.h"

#define WORDS_PER_PAGE	((MaxHeapTuplesPerPage + 1 + 63) / 64)

typedef struct PageBits
{
	uint64		words[WORDS_PER_PAGE];
} PageBits;

struct VecxTidSet
{
	int			npages;
	int			cap;
	BlockNumber *blocks;		/* ascending */
	PageBits   *bits;			/* of the page in the same place of blocks */
	int64		count;			/* bits that are set */

	int64		nlossy;
	uint64	   *lossy;			/* NULL: no page is */
	int			shift;			/* a bit of lossy stands for 2 to this pages */
	BlockNumber table_blocks;
	MemoryContext cxt;
};

static void
add_page(VecxTidSet *set, BlockNumber blkno, const OffsetNumber *offsets, int n)
{
	PageBits   *bits;

	if (set->npages == set->cap)
	{
		set->cap *= 2;
		set->blocks = repalloc_huge(set->blocks, sizeof(BlockNumber) * set->cap);
		set->bits = repalloc_huge(set->bits, sizeof(PageBits) * set->cap);
	}
	set->blocks[set->npages] = blkno;
	bits = &set->bits[set->npages++];
	memset(bits, 0, sizeof(PageBits));
	for (int i = 0; i < n; i++)
		bits->words[offsets[i] / 64] |= UINT64CONST(1) << offsets[i] % 64;
	set->count += n;
}

static void
add_lossy_page(VecxTidSet *set, BlockNumber blkno)
{
	BlockNumber bit;

	if (!set->lossy)
	{
		while ((set->table_blocks >> set->shift) / 8 > (Size) work_mem * 1024)
			set->shift++;
		set->lossy = MemoryContextAllocExtended(set->cxt,
												((set->table_blocks >> set->shift) / 64 + 1) * sizeof(uint64),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	}
	bit = blkno >> set->shift;
	set->lossy[bit / 64] |= UINT64CONST(1) << bit % 64;
	set->nlossy++;
}

/* Makes a set of a bitmap of rows of a table that has so many pages. */
VecxTidSet *
VecxTidSetMake(TIDBitmap *bitmap, BlockNumber table_blocks, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxTidSet *set = palloc0(sizeof(VecxTidSet));
	TBMPrivateIterator *iterator = tbm_begin_private_iterate(bitmap);
	VecxTbmPage page;
	OffsetNumber offsets[MaxHeapTuplesPerPage];

	set->cxt = cxt;
	set->table_blocks = table_blocks;
	set->cap = 64;
	set->blocks = palloc(sizeof(BlockNumber) * set->cap);
	set->bits = palloc(sizeof(PageBits) * set->cap);
	while (VecxTbmNext(iterator, page))
	{
		BlockNumber blkno = VecxTbmBlock(page);

		CHECK_FOR_INTERRUPTS();
		/* no row that a snapshot sees is beyond the table's end */
		if (blkno >= table_blocks)
			break;
		if (VecxTbmIsLossy(page))
			add_lossy_page(set, blkno);
		else
		{
			int			n = VecxTbmOffsets(page, offsets, lengthof(offsets));

			add_page(set, blkno, offsets, n);
		}
	}
	tbm_end_private_iterate(iterator);
	MemoryContextSwitchTo(old);
	return set;
}

/* The place of a page; -1 if none of its rows is in the set for certain. */
static int
find_page(const VecxTidSet *set, BlockNumber blkno)
{
	int			low = 0;
	int			high = set->npages;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (set->blocks[middle] < blkno)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->npages && set->blocks[low] == blkno ? low : -1;
}

/* Whether a TID is in the set, or may be: it is never told of one that it is not
 * if there are no lossy pages. */
bool
VecxTidSetMayHave(const VecxTidSet *set, const ItemPointerData *tid)
{
	BlockNumber blkno = ItemPointerGetBlockNumber(tid);
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
	int			place = find_page(set, blkno);

	if (place >= 0 && offset <= MaxHeapTuplesPerPage &&
		(set->bits[place].words[offset / 64] >> offset % 64 & 1) != 0)
		return true;
	if (!set->lossy || blkno >= set->table_blocks)
		return false;
	blkno >>= set->shift;
	return (set->lossy[blkno / 64] >> blkno % 64 & 1) != 0;
}

/* How many TIDs are in the set, but for those of lossy pages. */
int64
VecxTidSetCount(const VecxTidSet *set)
{
	return set->count;
}

int64
VecxTidSetLossyPages(const VecxTidSet *set)
{
	return set->nlossy;
}

/*
 * The next TID in the order of the table; false at the end.  Rows of lossy pages
 * are not among them.
 */
bool
VecxTidSetNext(const VecxTidSet *set, VecxTidCursor *cursor, ItemPointer tid)
{
	for (; cursor->page < set->npages; cursor->page++, cursor->offset = 0)
		for (int word = cursor->offset / 64; word < WORDS_PER_PAGE; word++)
		{
			uint64		bits = set->bits[cursor->page].words[word];

			if (word == cursor->offset / 64)
				bits &= PG_UINT64_MAX << cursor->offset % 64;
			if (bits != 0)
			{
				OffsetNumber offset = (OffsetNumber) (word * 64 + pg_rightmost_one_pos64(bits));

				ItemPointerSet(tid, set->blocks[cursor->page], offset);
				cursor->offset = offset + 1;
				return true;
			}
		}
	return false;
}

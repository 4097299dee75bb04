/*
 * idset.c
 *    A set of record ids: a hash table while it is small, one bit a line
 *    pointer of the index once that takes less memory.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "am/am.h"

#define FIRST_SLOTS		512

static inline uint32
slot_of(const VecxIdSet *set, VecxId id)
{
	/* multiplicative hash: the high bits of the product are the good ones */
	return (uint32) (((uint64) id * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) & (set->nslots - 1);
}

void
VecxIdSetInit(VecxIdSet *set, MemoryContext cxt, BlockNumber index_blocks)
{
	memset(set, 0, sizeof(VecxIdSet));
	set->cxt = cxt;
	set->index_blocks = index_blocks;
	set->nslots = FIRST_SLOTS;
	set->slots = MemoryContextAllocZero(cxt, sizeof(uint32) * FIRST_SLOTS);
}

void
VecxIdSetClear(VecxIdSet *set)
{
	if (set->bitmap)
		memset(set->bitmap, 0, sizeof(uint64) * set->nblocks);
	else
		memset(set->slots, 0, sizeof(uint32) * set->nslots);
	set->count = 0;
}

static void
bitmap_reach(VecxIdSet *set, BlockNumber blkno)
{
	BlockNumber nblocks;

	if (blkno < set->nblocks)
		return;
	nblocks = Max(blkno + 1, set->index_blocks);
	nblocks += nblocks / 8;
	if (set->bitmap)
		set->bitmap = repalloc_huge(set->bitmap, sizeof(uint64) * nblocks);
	else
		set->bitmap = MemoryContextAllocHuge(set->cxt, sizeof(uint64) * nblocks);
	memset(set->bitmap + set->nblocks, 0, sizeof(uint64) * (nblocks - set->nblocks));
	set->nblocks = nblocks;
}

static bool
bitmap_add(VecxIdSet *set, VecxId id)
{
	BlockNumber blkno = VecxIdBlock(id);
	uint64		bit = UINT64CONST(1) << VecxIdOffset(id);

	bitmap_reach(set, blkno);
	if (set->bitmap[blkno] & bit)
		return false;
	set->bitmap[blkno] |= bit;
	set->count++;
	return true;
}

static void
become_bitmap(VecxIdSet *set)
{
	uint32	   *slots = set->slots;

	set->slots = NULL;
	set->count = 0;
	bitmap_reach(set, set->index_blocks);
	for (uint32 i = 0; i < set->nslots; i++)
		if (slots[i])
			bitmap_add(set, slots[i]);
	pfree(slots);
}

static void
grow(VecxIdSet *set)
{
	uint32	   *old = set->slots;
	uint32		nold = set->nslots;

	if ((Size) set->index_blocks * sizeof(uint64) <= (Size) nold * 2 * sizeof(uint32))
	{
		become_bitmap(set);
		return;
	}
	set->nslots = nold * 2;
	set->slots = MemoryContextAllocExtended(set->cxt, sizeof(uint32) * (Size) set->nslots,
											MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < nold; i++)
		if (old[i])
		{
			uint32		s = slot_of(set, old[i]);

			while (set->slots[s])
				s = (s + 1) & (set->nslots - 1);
			set->slots[s] = old[i];
		}
	pfree(old);
}

/* The same, as a bitmap from the start. */
void
VecxIdSetInitBitmap(VecxIdSet *set, MemoryContext cxt, BlockNumber index_blocks)
{
	memset(set, 0, sizeof(VecxIdSet));
	set->cxt = cxt;
	set->index_blocks = index_blocks;
	bitmap_reach(set, index_blocks);
}

/* For qsort of uint32, which ids are, too. */
int
VecxCompareUint32(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return (x > y) - (x < y);
}

/* The ids of a table in order; the set does not change any more. */
static void
sort_ids(VecxIdSet *set)
{
	uint32		n = 0;

	set->sorted = MemoryContextAllocHuge(set->cxt, sizeof(VecxId) * Max(set->count, 1));
	for (uint32 i = 0; i < set->nslots; i++)
		if (set->slots[i])
			set->sorted[n++] = set->slots[i];
	qsort(set->sorted, n, sizeof(VecxId), VecxCompareUint32);
}

/*
 * The first block from blkno on with an id in the set, or InvalidBlockNumber.
 * Once it is called nothing may be added.
 */
BlockNumber
VecxIdSetNextBlock(VecxIdSet *set, BlockNumber blkno)
{
	uint32		low = 0;
	uint32		high = set->count;

	if (set->bitmap)
	{
		while (blkno < set->nblocks && set->bitmap[blkno] == 0)
			blkno++;
		return blkno < set->nblocks ? blkno : InvalidBlockNumber;
	}
	if (!set->sorted)
		sort_ids(set);
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (VecxIdBlock(set->sorted[middle]) < blkno)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count ? VecxIdBlock(set->sorted[low]) : InvalidBlockNumber;
}

/* Whether any id of a block is in the set; as VecxIdSetNextBlock. */
bool
VecxIdSetHasBlock(VecxIdSet *set, BlockNumber blkno)
{
	return VecxIdSetNextBlock(set, blkno) == blkno;
}

/* True if the id was not in the set. */
bool
VecxIdSetAdd(VecxIdSet *set, VecxId id)
{
	uint32		s;

	if (set->bitmap)
		return bitmap_add(set, id);
	for (s = slot_of(set, id); set->slots[s]; s = (s + 1) & (set->nslots - 1))
		if (set->slots[s] == id)
			return false;
	set->slots[s] = id;
	if (++set->count > set->nslots / 2)
		grow(set);
	return true;
}

bool
VecxIdSetContains(const VecxIdSet *set, VecxId id)
{
	if (set->bitmap)
		return VecxIdBlock(id) < set->nblocks &&
			(set->bitmap[VecxIdBlock(id)] & (UINT64CONST(1) << VecxIdOffset(id))) != 0;
	for (uint32 s = slot_of(set, id); set->slots[s]; s = (s + 1) & (set->nslots - 1))
		if (set->slots[s] == id)
			return true;
	return false;
}

uint64
VecxIdSetCount(const VecxIdSet *set)
{
	return set->count;
}

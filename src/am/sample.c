/*
 * sample.c
 *    Vectors of the index itself as queries, to find out what searches find.
 *
 * A stored vector must not find itself, nor may the search pass through it, for
 * its links are the answer: the records of its vertex, and of others with the
 * same vector, are hidden from its search.  The hole that it leaves in the graph
 * around it would make the search harder than one for a vector that was never
 * there: VecxSearchStandIn.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "compat.h"

#include "am/am.h"

/* The base record of the entry, where hidden searches could not start. */
static VecxId
entry_base(VecxIndex *index)
{
	Size		size;
	VecxRecord	entry;

	if (index->meta.entry == VECX_INVALID_ID)
		return VECX_INVALID_ID;
	entry = VecxCopyRecord(index, index->meta.entry, &size);
	if (!entry)
		return VECX_INVALID_ID;
	return entry->level > 0 ? entry->base : index->meta.entry;
}

/*
 * Draws n live vertices, each as likely as any other but the entry.  Returns
 * their number; vertices becomes that of all.
 */
int
VecxSampleVertices(VecxIndex *index, VecxStored *sampled, int n, int64 *vertices)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	VecxId		excluded = entry_base(index);
	int64		seen = 0;
	PGAlignedBlock page;

	*vertices = 0;
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		vacuum_delay_point(false);
		if (!VecxReadPageCopy(index->rel, blkno, strategy, &page) ||
			VecxPageGetOpaque(page.data)->kind != VECX_PAGE_VERTEX)
			continue;
		for (OffsetNumber off = FirstOffsetNumber;
			 off <= Min(PageGetMaxOffsetNumber(page.data), VECX_MAX_ITEMS); off++)
		{
			Size		size;
			VecxRecord	rec = VecxGetRecord(index, page.data, VecxIdMake(blkno, off), &size);
			int64		at = seen;

			if (!rec || rec->level != 0 || (rec->flags & VECX_RECORD_DEAD))
				continue;
			(*vertices)++;
			if (VecxIdMake(blkno, off) == excluded)
				continue;
			if (at >= n)
				at = (int64) pg_prng_uint64_range(&pg_global_prng_state, 0, (uint64) at);
			seen++;
			if (at >= n)
				continue;
			sampled[at].id = VecxIdMake(blkno, off);
			sampled[at].hash = rec->hash;
		}
	}
	FreeAccessStrategy(strategy);
	return (int) Min(seen, n);
}

/* Orders pointers to VecxStored by hash. */
int
VecxStoredCompare(const void *a, const void *b)
{
	uint32		x = (*(VecxStored *const *) a)->hash;
	uint32		y = (*(VecxStored *const *) b)->hash;

	return (x > y) - (x < y);
}

/* Hides a record from the queries that have its vector; false if none has. */
bool
VecxStoredHide(VecxIndex *index, VecxStored **by_hash, int n, VecxId id, VecxRecord rec)
{
	int			low = 0;
	int			high = n;
	bool		hidden = false;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (by_hash[middle]->hash < rec->hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < n && by_hash[low]->hash == rec->hash; low++)
		if (memcmp(by_hash[low]->code, VecxRecordCode(&index->layout, rec),
				   index->coder.nbytes) == 0)
		{
			VecxIdSetAdd(&by_hash[low]->hidden, id);
			hidden = true;
		}
	return hidden;
}

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
 * Calls a function for each record of VERTEX pages, and of UPPER pages if they are
 * asked for, in page order, from copies of the pages.
 */
void
VecxForEachRecord(VecxIndex *index, bool uppers, VecxRecordFunction function, void *arg)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	PGAlignedBlock page;

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		int			kind;

		vacuum_delay_point(false);
		if (!VecxReadPageCopy(index->rel, blkno, strategy, &page))
			continue;
		kind = VecxPageGetOpaque(page.data)->kind;
		if (kind != VECX_PAGE_VERTEX && !(uppers && kind == VECX_PAGE_UPPER))
			continue;
		for (OffsetNumber off = FirstOffsetNumber; off <= VecxLastItem(page.data); off++)
		{
			VecxId		id = VecxIdMake(blkno, off);
			Size		size;
			VecxRecord	rec = VecxGetRecord(index, page.data, id, &size);

			if (rec)
				function(id, rec, arg);
		}
	}
	FreeAccessStrategy(strategy);
}

typedef struct Draw
{
	VecxStored *sampled;
	int			n;
	VecxId		excluded;
	int64		vertices;
	int64		seen;
} Draw;

/* Each of those seen is in the sample with the same probability. */
static void
draw_vertex(VecxId id, VecxRecord rec, void *arg)
{
	Draw	   *draw = arg;
	int64		at = draw->seen;

	if (rec->level != 0 || (rec->flags & VECX_RECORD_DEAD))
		return;
	draw->vertices++;
	if (id == draw->excluded)
		return;
	if (at >= draw->n)
		at = (int64) pg_prng_uint64_range(&pg_global_prng_state, 0, (uint64) at);
	draw->seen++;
	if (at >= draw->n)
		return;
	draw->sampled[at].id = id;
	draw->sampled[at].hash = rec->hash;
}

/*
 * Draws n live vertices, each as likely as any other but the entry.  Returns
 * their number; vertices becomes that of all.
 */
int
VecxSampleVertices(VecxIndex *index, VecxStored *sampled, int n, int64 *vertices)
{
	Draw		draw = {sampled, n, entry_base(index), 0, 0};

	VecxForEachRecord(index, false, draw_vertex, &draw);
	*vertices = draw.vertices;
	return (int) Min(draw.seen, n);
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

/*
 * recent.c
 *    Reads index pages through remembered buffers.
 *
 * Finding a page in the buffer mapping table costs more than all a search does
 * with the page.  A backend remembers in which buffer it saw a page last; the
 * guess is checked under the buffer's header lock by ReadRecentBuffer, so that
 * a wrong one only costs the look-up that it wanted to save.
 */
#include "postgres.h"

#include "compat.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "am/am.h"

#define RECENT_SLOTS	16384	/* a power of two */

/*
 * ReadRecentBuffer's first pin does not count as a use of the buffer in every
 * version, so one read in so many goes the usual way, lest the clock sweep
 * takes the pages that are read most for unused.
 */
#define READS_PER_LOOKUP	16

typedef struct Recent
{
	RelFileLocator locator;
	BlockNumber blkno;
	Buffer		buf;			/* InvalidBuffer: nothing known */
} Recent;

static Recent *recent;
static uint32 reads;

static inline Recent *
slot_of(const RelFileLocator *locator, BlockNumber blkno)
{
	uint32		hash = (blkno + RelFileLocatorNumber(*locator) * 0x9E3779B1u) * 0x85EBCA6Bu;

	return &recent[(hash >> 15) & (RECENT_SLOTS - 1)];
}

/*
 * Where the page was last seen in memory, or NULL.  It may be another page by
 * now: good for nothing but to fetch cache lines early.
 */
const char *
VecxRecentPage(Relation rel, BlockNumber blkno)
{
	const Recent *slot;

	if (!recent)
		return NULL;
	slot = slot_of(&rel->rd_locator, blkno);
	if (slot->buf == InvalidBuffer || slot->blkno != blkno ||
		!RelFileLocatorEquals(slot->locator, rel->rd_locator))
		return NULL;
	return BufferGetBlock(slot->buf);
}

/* ReadBuffer by another way: the page pinned, not locked. */
Buffer
VecxReadBuffer(Relation rel, BlockNumber blkno)
{
	Recent	   *slot;

	if (RelationUsesLocalBuffers(rel))
		return ReadBuffer(rel, blkno);
	if (!recent)
		recent = MemoryContextAllocZero(TopMemoryContext, sizeof(Recent) * RECENT_SLOTS);
	slot = slot_of(&rel->rd_locator, blkno);
	if (slot->buf != InvalidBuffer && slot->blkno == blkno &&
		RelFileLocatorEquals(slot->locator, rel->rd_locator) &&
		++reads % READS_PER_LOOKUP != 0 &&
		ReadRecentBuffer(rel->rd_locator, MAIN_FORKNUM, blkno, slot->buf))
	{
		pgstat_count_buffer_read(rel);
		pgstat_count_buffer_hit(rel);
		return slot->buf;
	}
	slot->buf = InvalidBuffer;
	slot->locator = rel->rd_locator;
	slot->blkno = blkno;
	return slot->buf = ReadBuffer(rel, blkno);
}

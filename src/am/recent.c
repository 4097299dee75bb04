/*
 * recent.c
 *    Reads pages of indexes, heaps and TOAST tables through remembered buffers.
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
#include "am/page.h"

/*
 * Slots: one for each page that shared_buffers may hold, between these; powers
 * of two.  With fewer, pages of an index that is in memory as a whole would
 * drive each other out.
 */
#define LEAST_SLOTS		16384
#define MOST_SLOTS		131072

/*
 * ReadRecentBuffer's first pin does not count as a use of the buffer in every
 * version, so one read in so many goes the usual way, lest the clock sweep
 * takes the pages that are read most for unused.
 */
#define READS_PER_LOOKUP	32

/* Of the file only the number within its tablespace and database is kept; the
 * rest is checked with the buffer. */
typedef struct Recent
{
	RelFileNumber number;
	BlockNumber blkno;
	Buffer		buf;			/* InvalidBuffer: nothing known */
} Recent;

static Recent *recent;
static uint32 slot_mask;
static uint32 reads;

static inline Recent *
slot_of(RelFileNumber number, BlockNumber blkno)
{
	uint32		hash = (blkno + number * 0x9E3779B1u) * 0x85EBCA6Bu;

	return &recent[(hash >> 12) & slot_mask];
}

static void
make_slots(void)
{
	uint32		slots = LEAST_SLOTS;

	while (slots < (uint32) NBuffers && slots < MOST_SLOTS)
		slots *= 2;
	recent = MemoryContextAllocZero(TopMemoryContext, sizeof(Recent) * slots);
	slot_mask = slots - 1;
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
	slot = slot_of(RelFileLocatorNumber(rel->rd_locator), blkno);
	if (slot->buf == InvalidBuffer || slot->blkno != blkno ||
		slot->number != RelFileLocatorNumber(rel->rd_locator))
		return NULL;
	return BufferGetBlock(slot->buf);
}

static Buffer
read_page(Relation rel, BlockNumber blkno)
{
	return rel->rd_rel->relkind == RELKIND_INDEX ? VecxPinPage(rel, blkno) : ReadBuffer(rel, blkno);
}

/* VecxPinPage by another way, for tables too, whose pages are known to be there. */
Buffer
VecxReadBuffer(Relation rel, BlockNumber blkno)
{
	RelFileNumber number = RelFileLocatorNumber(rel->rd_locator);
	Recent	   *slot;

	if (RelationUsesLocalBuffers(rel))
		return read_page(rel, blkno);
	if (!recent)
		make_slots();
	slot = slot_of(number, blkno);
	if (slot->buf != InvalidBuffer && slot->blkno == blkno && slot->number == number &&
		++reads % READS_PER_LOOKUP != 0 &&
		ReadRecentBuffer(rel->rd_locator, MAIN_FORKNUM, blkno, slot->buf))
	{
		pgstat_count_buffer_read(rel);
		pgstat_count_buffer_hit(rel);
		return slot->buf;
	}
	slot->buf = InvalidBuffer;
	slot->number = number;
	slot->blkno = blkno;
	return slot->buf = read_page(rel, blkno);
}

/*
 * vtree_vacuum.c
 *    Removes what VACUUM found dead from the value tree.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"

#include "am/vtree.h"

/* Removes the entries of dead vertices from an exclusively locked leaf. */
static void
remove_from_page(VecxIndex *index, Buffer buf, const VecxIdSet *dead)
{
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	for (int i = VecxTreeGetHead(change.page)->count; i-- > 0;)
		if (VecxIdSetContains(dead, VecxTreeEntryKey(VecxTreeEntry(change.page, i)).id))
			VecxTreePageRemove(change.page, i);
	VecxPageCommit(&change);
}

static bool
has_dead(Page page, const VecxIdSet *dead)
{
	for (int i = 0; i < VecxTreeGetHead(page)->count; i++)
		if (VecxIdSetContains(dead, VecxTreeEntryKey(VecxTreeEntry(page, i)).id))
			return true;
	return false;
}

/*
 * Removes all entries of dead vertices, leaf by leaf from left to right: what a
 * split moves meanwhile goes to where the walk has not been.  Nobody adds
 * entries of a vertex that is marked dead.
 */
void
VecxTreeRemoveDead(VecxIndex *index, const VecxIdSet *dead)
{
	VecxTreeKey least;
	Buffer		buf;

	memset(&least, 0, sizeof(least));
	buf = VecxTreeDescend(index, 0, &least, BUFFER_LOCK_EXCLUSIVE);
	for (;;)
	{
		BlockNumber next = VecxPageGetOpaque(BufferGetPage(buf))->next;
		VecxTreeKey high = VecxTreeGetHead(BufferGetPage(buf))->high;

		if (has_dead(BufferGetPage(buf), dead))
			remove_from_page(index, buf, dead);
		UnlockReleaseBuffer(buf);
		if (next == InvalidBlockNumber)
			return;
		vacuum_delay_point(false);
		buf = VecxTreeReadNext(index, next, 0, &high, BUFFER_LOCK_EXCLUSIVE);
	}
}

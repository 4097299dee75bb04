/*
 * list_reach.c
 *    Makes VACUUM leave no centroid that searches cannot come to.
 *
 * Lists come and go at the same places: a centroid's neighbours are split soon after it
 * was, and most vertices around it are dead at once.  Then some that live may link to one
 * another only, and nothing else to them: their lists, and all rows there, would be
 * found only by scans that read everything.  Centroids are few, so that VACUUM can
 * afford to follow all links.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "utils/memutils.h"

#include "am/list.h"

/* A walk along the links of base records. */
typedef struct Walk
{
	VecxIndex  *index;
	const VecxIdSet *dead;		/* that are about to go */
	BlockNumber nblocks;
	VecxIdSet	met;
	VecxId	   *todo;			/* met, and not looked at */
	int			ntodo;
	int			todo_cap;
} Walk;

static void
meet(Walk *walk, VecxId id)
{
	if (VecxIdSetContains(walk->dead, id) || !VecxIdSetAdd(&walk->met, id))
		return;
	if (walk->ntodo == walk->todo_cap)
	{
		walk->todo_cap *= 2;
		walk->todo = repalloc_huge(walk->todo, sizeof(VecxId) * walk->todo_cap);
	}
	walk->todo[walk->ntodo++] = id;
}

/* The base record of the vertex where searches begin. */
static VecxId
start_of(VecxIndex *index)
{
	VecxId		id = index->meta.entry;

	for (int level = index->meta.entry_level; level > 0 && id != VECX_INVALID_ID; level--)
	{
		Size		size;
		VecxRecord	rec = VecxCopyRecord(index, id, &size);

		id = rec && rec->level == level ? rec->down : VECX_INVALID_ID;
	}
	return id;
}

/* Follows all links from the records that were met last. */
static void
walk_on(Walk *walk, MemoryContext per_record)
{
	MemoryContext old = MemoryContextSwitchTo(per_record);

	while (walk->ntodo > 0)
	{
		VecxId		id = walk->todo[--walk->ntodo];
		Size		size;
		VecxRecord	rec;

		vacuum_delay_point(false);
		rec = VecxCopyRecord(walk->index, id, &size);
		for (int i = 0; rec && rec->level == 0 && i < rec->nlinks; i++)
			meet(walk, VecxLinkId(VecxRecordLink(&walk->index->layout, rec, i)));
		MemoryContextReset(per_record);
	}
	MemoryContextSwitchTo(old);
}

/* Notes a live base record that was not met; those that are added meanwhile were linked
 * to just now. */
static void
note_unmet(VecxId id, VecxRecord rec, void *arg)
{
	Walk	   *walk = arg;

	if (rec->level == 0 && !(rec->flags & VECX_RECORD_DEAD) && VecxIdBlock(id) < walk->nblocks)
		meet(walk, id);
}

/*
 * Links to each centroid that no way leads to from where searches begin, as an insert
 * would.
 */
void
VecxListsReach(VecxIndex *index, const VecxIdSet *dead)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx ways to lists", ALLOCSET_DEFAULT_SIZES);
	MemoryContext per_record = AllocSetContextCreate(cxt, "vecx way to a list", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Walk		walk = {.index = index, .dead = dead, .nblocks = VecxSettledLength(index->rel), .todo_cap = 1024};
	VecxId		start;

	VecxIndexRefresh(index);
	VecxIdSetInit(&walk.met, cxt, walk.nblocks);
	walk.todo = palloc(sizeof(VecxId) * walk.todo_cap);
	start = start_of(index);
	if (start != VECX_INVALID_ID)
		meet(&walk, start);
	walk_on(&walk, per_record);
	if (start != VECX_INVALID_ID)
		VecxForEachRecord(index, false, note_unmet, &walk);
	MemoryContextSwitchTo(per_record);
	for (int i = 0; i < walk.ntodo; i++)
	{
		vacuum_delay_point(false);
		VecxRelink(index, dead, walk.todo[i]);
		MemoryContextReset(per_record);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

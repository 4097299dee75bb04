/*
 * vtree_walk.c
 *    Entries of the value tree in order, and how many there are.
 *
 * A walk copies a page at a time, or shows it where it is, under its lock, to who has
 * little to do with each entry and locks nothing meanwhile; and goes on to the right.  What
 * a split moves meanwhile it has met already, or meets later.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/vtree.h"

/* Bytes of a page that are fetched early: its head and directory, and the first entries.  The
 * others follow each other, and to ask for all of them took longer. */
#define FETCHED_EARLY	1024

/* Has the processor fetch the beginning of the page that comes next, where it was last seen in
 * memory: it is far from the one at hand. */
static void
fetch_next_early(const VecxTreeWalk *walk)
{
	const char *page = VecxRecentPage(walk->index->rel, walk->next);

	for (int i = 0; page && i < FETCHED_EARLY; i += PG_CACHE_LINE_SIZE / 2)
		__builtin_prefetch(page + i, 0, 2);
}

/* Makes a locked page the one at hand; copied, it is let go of. */
static void
take_page(VecxTreeWalk *walk, Buffer buf)
{
	walk->page = BufferGetPage(buf);
	walk->buf = buf;
	if (!walk->in_place)
	{
		memcpy(walk->copy.data, walk->page, BLCKSZ);
		walk->page = walk->copy.data;
		UnlockReleaseBuffer(buf);
		walk->buf = InvalidBuffer;
	}
	walk->npages++;
	walk->high = VecxTreeGetHead(walk->page)->high;
	walk->next = VecxPageGetOpaque(walk->page)->next;
	walk->more = walk->next != InvalidBlockNumber &&
		VecxTreeCompare(&walk->high, &walk->end_key) < 0;
	walk->end = VecxTreeGetHead(walk->page)->count;
	if (!walk->more)
	{
		bool		found;

		walk->end = VecxTreePageFind(walk->page, &walk->end_key, &found);
	}
	else
		fetch_next_early(walk);
}

/* Where a stretch begins, or with the greatest id, which is none, so that it is no entry, ends. */
VecxTreeKey
VecxTreeStretchKey(uint16 column, uint64 value, VecxId id)
{
	VecxTreeKey key;

	memset(&key, 0, sizeof(key));
	key.column = column;
	key.value = value;
	key.id = id;
	if (id == PG_UINT32_MAX)
		key.place = PG_UINT16_MAX;
	return key;
}

/* Starts a walk on a locked leaf, from a key up to one that is not included. */
static void
start_on_leaf(VecxTreeWalk *walk, VecxIndex *index, Buffer leaf, const VecxTreeKey *first,
			  const VecxTreeKey *end, bool in_place)
{
	bool		found;

	walk->index = index;
	walk->end_key = *end;
	walk->npages = 0;
	walk->in_place = in_place;
	take_page(walk, leaf);
	walk->at = VecxTreePageFind(walk->page, first, &found);
}

/*
 * Starts a walk over the entries of a column from low to high, both included:
 * those of the first page are the ones from walk->at to walk->end.  In place, the page
 * is locked until it is let go of, or the walk goes on or ends: whoever starts such a walk
 * locks nothing meanwhile, allocates nothing, and takes it to its end.
 */
void
VecxTreeWalkStart(VecxTreeWalk *walk, VecxIndex *index, uint16 column, uint64 low, uint64 high,
				  bool in_place)
{
	VecxTreeKey first = VecxTreeStretchKey(column, low, VECX_INVALID_ID);
	VecxTreeKey end = VecxTreeStretchKey(column, high, PG_UINT32_MAX);

	start_on_leaf(walk, index, VecxTreeDescend(index, 0, &first, BUFFER_LOCK_SHARE), &first, &end, in_place);
}

/*
 * The same from a leaf on that the first key has once been on, up to a key that is not
 * included, in place.
 */
void
VecxTreeWalkLeaf(VecxTreeWalk *walk, VecxIndex *index, BlockNumber blkno, const VecxTreeKey *first,
				 const VecxTreeKey *end)
{
	start_on_leaf(walk, index, VecxTreeReadPage(index, blkno, 0, BUFFER_LOCK_SHARE), first, end, true);
}

/* Lets go of a page that is shown in place, when what is wanted of it is known. */
void
VecxTreeWalkLetGo(VecxTreeWalk *walk)
{
	UnlockReleaseBuffer(walk->buf);
	walk->buf = InvalidBuffer;
	walk->page = NULL;
}

/* Goes on to the next page; false at the end. */
bool
VecxTreeWalkPage(VecxTreeWalk *walk)
{
	if (BufferIsValid(walk->buf))
		VecxTreeWalkLetGo(walk);
	if (!walk->more)
		return false;
	CHECK_FOR_INTERRUPTS();
	take_page(walk, VecxTreeReadNext(walk->index, walk->next, 0, &walk->high, BUFFER_LOCK_SHARE));
	walk->at = 0;
	return true;
}

/* Where a key is in the tree: so many leaf entries come before it, of so many. */
typedef struct Position
{
	double		before;
	double		all;
	BlockNumber leaf;
} Position;

/*
 * The position of a key, taking each subtree for as large as those on the way:
 * right to the entry if two keys share their leaf.
 */
static Position
find_position(VecxIndex *index, BlockNumber blkno, int level, const VecxTreeKey *key)
{
	Buffer		buf = VecxTreeReadPage(index, blkno, level, BUFFER_LOCK_SHARE);
	Page		page = BufferGetPage(buf);
	bool		found;
	int			at = VecxTreePageFind(page, key, &found);
	int			count = VecxTreeGetHead(page)->count;
	Position	position = {at, count, blkno};
	BlockNumber child;

	level = VecxTreeGetHead(page)->level;
	if (level == 0 || count == 0)
	{
		UnlockReleaseBuffer(buf);
		return position;
	}
	at = Max(found ? at : at - 1, 0);
	child = VecxTreeEntryChild(VecxTreeEntry(page, at));
	UnlockReleaseBuffer(buf);
	CHECK_FOR_INTERRUPTS();
	position = find_position(index, child, level - 1, key);
	position.before += at * position.all;
	position.all *= count;
	return position;
}

/*
 * How many entries a column has from low to high, roughly; exactly where they
 * are on one page.
 */
double
VecxTreeCount(VecxIndex *index, uint16 column, uint64 low, uint64 high)
{
	VecxTreeKey first = VecxTreeStretchKey(column, low, VECX_INVALID_ID);
	VecxTreeKey last = VecxTreeStretchKey(column, high, PG_UINT32_MAX);
	Position	from;
	Position	to;

	from = find_position(index, index->meta.tree_root, -1, &first);
	to = find_position(index, index->meta.tree_root, -1, &last);
	if (from.leaf == to.leaf)
		return to.before - from.before;
	/* shares of the tree, of what both ways say it has */
	return Max((to.before / Max(to.all, 1) - from.before / Max(from.all, 1)) *
			   (from.all + to.all) / 2, 1);
}

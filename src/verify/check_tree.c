/*
 * check_tree.c
 *    Checks the value tree: each level from left to right beside the one above
 *    it, then the leaves' entries against the vertices they name.
 *
 * With posting lists entries name rows, whose TIDs must be ones of the table.
 *
 * What a crash may leave is no damage: a page that the level above does not
 * know of is reached from the one to its left.  Nor are values that a vertex had
 * in a row that is gone, or a row that VACUUM has yet to remove.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "miscadmin.h"

#include "am/vtree.h"
#include "verify/verify.h"

/* One level on the way from left to right. */
typedef struct Level
{
	BlockNumber blkno;
	int			at;				/* entry to look at next */
	PGAlignedBlock page;
} Level;

typedef struct TreeCheck
{
	VecxIndex  *index;
	BlockNumber nblocks;
	BlockNumber heap_blocks;	/* of the table */
	VecxIdSet	met;			/* pages, as ids of their first item */
	int64		entries;

	/* of the vertex that an entry names */
	uint8	   *code;
	void	   *vec;
	uint8	   *sketch;
	void	   *scratch;
} TreeCheck;

#define damage(c, blkno, at, ...) \
	VecxDamage((c)->index->rel, (blkno), (OffsetNumber) ((at) + 1), __VA_ARGS__)
#define ON_PAGE		(-1)		/* at: the page as a whole */

/* Copies a page after checking all that its entries may be read by. */
static void
read_page(TreeCheck *c, BlockNumber blkno, int level, PGAlignedBlock *copy)
{
	bool		slots[VECX_TREE_MAX_ENTRIES] = {false};
	VecxTreeHead head;
	Buffer		buf;

	if (blkno == VECX_META_BLKNO || blkno >= c->nblocks)
		damage(c, VECX_META_BLKNO, ON_PAGE, "the value tree leads out of the index", "block=%u", blkno);
	buf = VecxTreeReadPage(c->index, blkno, level, BUFFER_LOCK_SHARE);
	memcpy(copy->data, BufferGetPage(buf), BLCKSZ);
	UnlockReleaseBuffer(buf);
	head = VecxTreeGetHead(copy->data);
	if (head->unused != 0)
		damage(c, blkno, ON_PAGE, "a page of the value tree has bytes that should be zero", NULL);
	for (int i = 0; i < head->count; i++)
	{
		int			slot = VecxTreeSlot(copy->data, i);

		if (slots[slot])
			damage(c, blkno, i, "two entries of the value tree share a slot", "slot=%d", slot);
		slots[slot] = true;
	}
}

/* The order of a page's keys, from low on. */
static void
check_keys(TreeCheck *c, const Level *level, const VecxTreeKey *low)
{
	Page		page = (Page) level->page.data;
	VecxTreeHead head = VecxTreeGetHead(page);
	bool		has_high = VecxPageGetOpaque(page)->next != InvalidBlockNumber;
	VecxTreeKey last = *low;

	for (int i = 0; i < head->count; i++)
	{
		VecxTreeKey key = VecxTreeEntryKey(VecxTreeEntry(page, i));
		int			order = VecxTreeCompare(&last, &key);

		if (order > 0 || (order == 0 && i > 0))
			damage(c, level->blkno, i, "entries of the value tree are not in order",
				   "column=%u value=" UINT64_FORMAT " id=%08x", key.column, key.value, key.id);
		if (has_high && VecxTreeCompare(&key, &head->high) >= 0)
			damage(c, level->blkno, i, "an entry of the value tree is beyond its page's high key",
				   "column=%u value=" UINT64_FORMAT " id=%08x", key.column, key.value, key.id);
		last = key;
	}
	if (has_high && VecxTreeCompare(low, &head->high) >= 0)
		damage(c, level->blkno, ON_PAGE, "a page of the value tree has a high key below its keys", NULL);
	if (head->level > 0)
	{
		VecxTreeKey first;

		if (head->count > 0)
			first = VecxTreeEntryKey(VecxTreeEntry(page, 0));
		if (head->count == 0 || VecxTreeCompare(low, &first) != 0)
			damage(c, level->blkno, ON_PAGE,
				   "a page of the value tree does not reach down to its first key", NULL);
	}
}

/* The entry of the level above that comes next; NULL at its end. */
static const uint8 *
next_above(TreeCheck *c, Level *above)
{
	while (above->at >= VecxTreeGetHead(above->page.data)->count)
	{
		BlockNumber next = VecxPageGetOpaque(above->page.data)->next;

		if (next == InvalidBlockNumber)
			return NULL;
		read_page(c, next, VecxTreeGetHead(above->page.data)->level, &above->page);
		above->blkno = next;
		above->at = 0;
	}
	return VecxTreeEntry((Page) above->page.data, above->at);
}

/* The row that a leaf's entry names. */
static void
check_row_entry(TreeCheck *c, BlockNumber blkno, int at, const VecxTreeKey *key)
{
	ItemPointerData tid;

	VecxTreeKeyTid(key, &tid);
	if (ItemPointerGetBlockNumberNoCheck(&tid) >= c->heap_blocks ||
		ItemPointerGetOffsetNumberNoCheck(&tid) < FirstOffsetNumber ||
		ItemPointerGetOffsetNumberNoCheck(&tid) > MaxHeapTuplesPerPage)
		damage(c, blkno, at, "an entry of the value tree names a row beyond the table",
			   "tid=(%u,%u)", ItemPointerGetBlockNumberNoCheck(&tid),
			   ItemPointerGetOffsetNumberNoCheck(&tid));
}

/* The record that a leaf's entry names, and its sketch. */
static void
check_entry(TreeCheck *c, BlockNumber blkno, int at, const uint8 *entry)
{
	VecxIndex  *index = c->index;
	VecxTreeKey key = VecxTreeEntryKey(entry);
	const uint8 *sketch = VecxTreeEntrySketch(entry);
	VecxCodeQuery query;
	Buffer		buf;
	VecxRecord	rec;
	Size		size;
	uint32		cell;
	float		own;
	float		stored;

	if (key.column >= index->filters->ncolumns)
		damage(c, blkno, at, "an entry of the value tree is of no filter column", "column=%u", key.column);
	if (index->lists)
	{
		check_row_entry(c, blkno, at, &key);
		return;
	}
	if (VecxIdBlock(key.id) == VECX_META_BLKNO || VecxIdBlock(key.id) >= c->nblocks)
		damage(c, blkno, at, "an entry of the value tree leads out of the index", "id=%08x", key.id);
	buf = ReadBuffer(index->rel, VecxIdBlock(key.id));
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	rec = VecxGetRecord(index, BufferGetPage(buf), key.id, &size);
	if (!rec || rec->level != 0)
		damage(c, blkno, at, "an entry of the value tree names no vertex", "id=%08x", key.id);
	memcpy(c->code, VecxRecordCode(&index->layout, rec), index->coder.nbytes);
	cell = rec->cell;
	UnlockReleaseBuffer(buf);
	if (cell != key.place)
		damage(c, blkno, at, "an entry of the value tree is not at its vertex's cell",
			   "id=%08x cell=%u expected=%u", key.id, key.place, cell);

	vecx_code_decode(&index->coder, c->code, c->vec);
	VecxTreeSketch(index, c->vec, c->sketch);
	if (memcmp(sketch, c->sketch, index->tree_coder.nbytes) == 0)
		return;
	/* another processor may have summed in another order */
	vecx_code_query_init(&index->tree_coder, &query, c->vec, c->scratch);
	own = vecx_code_distance(&index->tree_coder, &query, c->sketch);
	stored = vecx_code_distance(&index->tree_coder, &query, sketch);
	if (!vecx_code_check(&index->tree_coder, sketch) ||
		!(fabsf(stored - own) <= 1e-3f * (fabsf(own) + query.norm2)))
		damage(c, blkno, at, "a sketch in the value tree is not that of its vertex", "id=%08x", key.id);
}

/*
 * Walks a level, from its first page on.  above, if not NULL, is at the first
 * page of the level above, whose entries must lead to pages of this one, each
 * by the key that it begins with; not all need be known there.
 */
static void
check_level(TreeCheck *c, BlockNumber first, int number, Level *above)
{
	Level	   *level = palloc(sizeof(Level));
	VecxTreeKey low;

	memset(&low, 0, sizeof(low));
	level->blkno = first;
	while (level->blkno != InvalidBlockNumber)
	{
		const uint8 *known = above ? next_above(c, above) : NULL;
		Page		page = (Page) level->page.data;

		CHECK_FOR_INTERRUPTS();
		read_page(c, level->blkno, number, &level->page);
		if (!VecxIdSetAdd(&c->met, VecxIdMake(level->blkno, FirstOffsetNumber)))
			damage(c, level->blkno, ON_PAGE, "a page of the value tree is met twice", "level=%d", number);
		if (known && VecxTreeEntryChild(known) == level->blkno)
		{
			VecxTreeKey key = VecxTreeEntryKey(known);

			if (VecxTreeCompare(&key, &low) != 0)
				damage(c, above->blkno, above->at, "a page of the value tree begins at another key",
					   "child=%u", level->blkno);
			above->at++;
		}
		check_keys(c, level, &low);
		if (number == 0)
			for (int i = 0; i < VecxTreeGetHead(page)->count; i++, c->entries++)
				check_entry(c, level->blkno, i, VecxTreeEntry(page, i));
		low = VecxTreeGetHead(page)->high;
		level->blkno = VecxPageGetOpaque(page)->next;
	}
	if (above && next_above(c, above))
		damage(c, above->blkno, above->at, "a page of the value tree leads to none of the level below",
			   "child=%u", VecxTreeEntryChild(next_above(c, above)));
	pfree(level);
}

/* Checks the whole tree, without a look at the table. */
void
VecxTreeCheck(VecxIndex *index, BlockNumber nblocks, BlockNumber heap_blocks)
{
	TreeCheck	check;
	TreeCheck  *c = &check;
	BlockNumber first = index->meta.tree_root;
	Level	   *above = palloc(sizeof(Level));
	int			level;

	memset(c, 0, sizeof(*c));
	c->index = index;
	c->nblocks = nblocks;
	c->heap_blocks = heap_blocks;
	VecxIdSetInit(&c->met, CurrentMemoryContext, nblocks);
	if (!index->lists)
	{
		c->code = palloc(index->coder.nbytes);
		c->vec = palloc(VecxVectorBytes(index));
		c->sketch = palloc(index->tree_coder.nbytes);
		c->scratch = palloc(vecx_code_query_scratch(&index->tree_coder));
	}

	read_page(c, first, -1, &above->page);
	level = VecxTreeGetHead(above->page.data)->level;
	if (VecxPageGetOpaque(above->page.data)->next != InvalidBlockNumber)
		damage(c, first, ON_PAGE, "the root of the value tree has a page to its right", NULL);
	check_level(c, first, level, NULL);
	while (level-- > 0)
	{
		above->blkno = first;
		read_page(c, first, level + 1, &above->page);
		above->at = 0;
		first = VecxTreeEntryChild(VecxTreeEntry((Page) above->page.data, 0));
		check_level(c, first, level, above);
	}
	pfree(above);
}

/* Checks that the tree has a row's values, at the vertex of that id; with posting
 * lists id is where the row is. */
void
VecxTreeCheckRow(VecxIndex *index, VecxId id, ItemPointer tid, const Datum *values,
				 const bool *isnull)
{
	const VecxFilters *filters = index->filters;
	uint16		cell = VecxTreeReadCell(index, id);

	for (int column = 0; column < filters->ncolumns; column++)
	{
		int			at = filters->columns[column].attno - 1;
		uint64	   *keys;
		int			n = VecxFilterKeys(filters, column, values[at], isnull[at], &keys);

		for (int i = 0; i < n; i++)
		{
			VecxTreeKey key = {keys[i], id, (uint16) column, cell};

			if (index->lists)
				key = VecxTreeKeyOfRow(column, keys[i], tid);
			if (!VecxTreeHas(index, &key))
				VecxDamage(index->rel, VecxIdBlock(id), VecxIdOffset(id),
						   "a row's value is not in the value tree",
						   "tid=(%u,%u) column=%d value=" UINT64_FORMAT,
						   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
						   filters->columns[column].attno, keys[i]);
		}
		pfree(keys);
	}
}

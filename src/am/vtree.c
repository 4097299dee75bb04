/*
 * vtree.c
 *    The value tree: finding a page, and inserting.
 *
 * Every page has a link to the next on its level and a high key, so that a
 * split needs no lock but on the page itself: who comes to a page by a way that
 * was right before the split goes on to the right.  The root stays where it is,
 * and grows by moving what it has to two new pages.  Pages never merge nor
 * leave the tree.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"

#include "am/vtree.h"

/* Sketches have so many bytes of bits at least, where more bits are of use. */
#define SKETCH_BYTES		32
#define MAX_SKETCH_BITS		4
/* Bytes that whole vectors, and sampled bits, may take in place of a sketch. */
#define MAX_WHOLE_BYTES		48
#define MAX_SAMPLE_BYTES	64

/* Chooses what the entries of a new index keep of a vector. */
void
VecxTreeChooseSketch(const VecxOpSpec *spec, VecxMetaPageData *meta)
{
	VecxCodeKind kind;
	VecxCoder	coder;

	if (meta->structure == VECX_STRUCTURE_LISTS)
		return;					/* rows are looked up */
	if (spec->is_bits)
		kind = VECX_CODE_BITS_SAMPLE;
	else if (meta->dim * sizeof(float) <= MAX_WHOLE_BYTES)
		kind = VECX_CODE_NONE;
	else
	{
		uint32		bits = 1;

		while (bits < MAX_SKETCH_BITS && TYPEALIGN(64, meta->dim) / 8 * bits < SKETCH_BYTES)
			bits *= 2;
		kind = vecx_code_rabitq(bits);
	}
	vecx_coder_init(&coder, kind, spec->metric, meta->dim, MAX_SAMPLE_BYTES);
	meta->tree_kind = (uint16) kind;
	meta->tree_sketch = (uint16) coder.nbytes;
}

/* The coder of sketches, by the metapage. */
void
VecxTreeInitCoder(VecxIndex *index)
{
	const VecxMetaPageData *meta = &index->meta;

	if (meta->structure == VECX_STRUCTURE_LISTS)
	{
		if (meta->tree_kind != 0 || meta->tree_sketch != 0)
			VecxCorrupted(index->rel, VECX_META_BLKNO, "the metapage has no sketches of this size");
		memset(&index->tree_coder, 0, sizeof(VecxCoder));
		return;
	}
	vecx_coder_init(&index->tree_coder, (VecxCodeKind) meta->tree_kind, (VecxMetric) meta->metric,
					meta->dim, meta->tree_sketch);
	if (index->tree_coder.nbytes == 0 || index->tree_coder.nbytes != meta->tree_sketch ||
		VecxTreeCapacity(VecxTreeLeafSize(index)) < 2)
		VecxCorrupted(index->rel, VECX_META_BLKNO, "the metapage has no sketches of this size");
}

/* The sketch of a vector as the index knows it. */
void
VecxTreeSketch(const VecxIndex *index, const void *vec, uint8 *sketch)
{
	memset(sketch, 0, index->tree_coder.nbytes);
	vecx_code_encode(&index->tree_coder, vec, sketch);
}

static Size
entry_size(const VecxIndex *index, int level)
{
	return level == 0 ? VecxTreeLeafSize(index) : VECX_TREE_INNER_SIZE;
}

/* Writes an empty tree; returns the root, which is a leaf. */
BlockNumber
VecxTreeCreate(VecxIndex *index, ForkNumber fork)
{
	Buffer		buf = VecxExtend(index->rel, fork);
	BlockNumber root = BufferGetBlockNumber(buf);
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, true);
	VecxTreePageInit(change.page, 0, entry_size(index, 0));
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
	return root;
}

/* Raises unless the locked page is one of the tree, on that level (-1: any). */
static void
check_page(VecxIndex *index, Buffer buf, int level)
{
	Page		page = BufferGetPage(buf);
	const char *wrong;

	VecxPageCheck(index->rel, buf, VECX_PAGE_TREE);
	if ((level >= 0 && VecxTreeGetHead(page)->level != level) ||
		VecxTreeGetHead(page)->entry_size != entry_size(index, VecxTreeGetHead(page)->level))
		VecxCorrupted(index->rel, BufferGetBlockNumber(buf),
					  "a page of the value tree is not of its level");
	wrong = VecxTreePageWrong(page);
	if (wrong)
		VecxCorrupted(index->rel, BufferGetBlockNumber(buf), wrong);
}

/* Reads and locks a page of the tree. */
Buffer
VecxTreeReadPage(VecxIndex *index, BlockNumber blkno, int level, int lockmode)
{
	Buffer		buf = VecxReadBuffer(index->rel, blkno);

	LockBuffer(buf, lockmode);
	check_page(index, buf, level);
	return buf;
}

/*
 * Reads and locks the page to the right of one that has this high key.  Keys must
 * grow: else a damaged chain might lead in circles.
 */
Buffer
VecxTreeReadNext(VecxIndex *index, BlockNumber blkno, int level, const VecxTreeKey *high,
				 int lockmode)
{
	Buffer		buf = VecxTreeReadPage(index, blkno, level, lockmode);
	Page		page = BufferGetPage(buf);

	if (VecxPageGetOpaque(page)->next != InvalidBlockNumber &&
		VecxTreeCompare(&VecxTreeGetHead(page)->high, high) <= 0)
		VecxCorrupted(index->rel, blkno, "the pages of the value tree are not in order");
	return buf;
}

/* From a locked page to the one on its level where the key belongs. */
static Buffer
move_right(VecxIndex *index, Buffer buf, const VecxTreeKey *key, int lockmode)
{
	for (;;)
	{
		Page		page = BufferGetPage(buf);
		BlockNumber next = VecxPageGetOpaque(page)->next;
		VecxTreeKey high = VecxTreeGetHead(page)->high;
		int			level = VecxTreeGetHead(page)->level;

		if (next == InvalidBlockNumber || VecxTreeCompare(key, &high) < 0)
			return buf;
		UnlockReleaseBuffer(buf);
		CHECK_FOR_INTERRUPTS();
		buf = VecxTreeReadNext(index, next, level, &high, lockmode);
	}
}

/* The child of a locked inner page that leads to the key. */
static BlockNumber
child_for(VecxIndex *index, Buffer buf, const VecxTreeKey *key)
{
	Page		page = BufferGetPage(buf);
	bool		found;
	int			at = VecxTreePageFind(page, key, &found);

	if (!found)
		at--;
	if (at < 0)
		VecxCorrupted(index->rel, BufferGetBlockNumber(buf),
					  "a page of the value tree does not reach down to its first key");
	return VecxTreeEntryChild(VecxTreeEntry(page, at));
}

/*
 * The page of that level where the key belongs, locked in that mode.
 */
Buffer
VecxTreeDescend(VecxIndex *index, int level, const VecxTreeKey *key, int lockmode)
{
	Buffer		buf = VecxTreeReadPage(index, index->meta.tree_root, -1, BUFFER_LOCK_SHARE);
	int			at = VecxTreeGetHead(BufferGetPage(buf))->level;

	if (at < level)
		VecxCorrupted(index->rel, index->meta.tree_root, "the value tree has lost its upper levels");
	if (at == level && lockmode == BUFFER_LOCK_EXCLUSIVE)
	{
		/* the root itself; it may grow while it is not locked */
		LockBuffer(buf, BUFFER_LOCK_UNLOCK);
		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		check_page(index, buf, -1);
		at = VecxTreeGetHead(BufferGetPage(buf))->level;
	}
	while (at > level)
	{
		BlockNumber child;

		buf = move_right(index, buf, key, BUFFER_LOCK_SHARE);
		child = child_for(index, buf, key);
		UnlockReleaseBuffer(buf);
		at--;
		buf = VecxTreeReadPage(index, child, at, at == level ? lockmode : BUFFER_LOCK_SHARE);
	}
	return move_right(index, buf, key, lockmode);
}

/* The page above the leaves that leads to a key, share-locked; InvalidBuffer if the root is a
 * leaf. */
Buffer
VecxTreeDescendAbove(VecxIndex *index, const VecxTreeKey *key)
{
	Buffer		root = VecxTreeReadPage(index, index->meta.tree_root, -1, BUFFER_LOCK_SHARE);
	bool		is_leaf = VecxTreeGetHead(BufferGetPage(root))->level == 0;

	UnlockReleaseBuffer(root);
	return is_leaf ? InvalidBuffer : VecxTreeDescend(index, 1, key, BUFFER_LOCK_SHARE);
}

/* Whether the tree has an entry. */
bool
VecxTreeHas(VecxIndex *index, const VecxTreeKey *key)
{
	Buffer		buf = VecxTreeDescend(index, 0, key, BUFFER_LOCK_SHARE);
	bool		found;

	VecxTreePageFind(BufferGetPage(buf), key, &found);
	UnlockReleaseBuffer(buf);
	return found;
}

/* A page that turned out not to be needed. */
static void
give_back(VecxIndex *index, Buffer buf)
{
	BlockNumber blkno = BufferGetBlockNumber(buf);

	UnlockReleaseBuffer(buf);
	VecxGiveBackPage(index->rel, blkno);
}

/* What two pages that a split leaves say: right has the key and on. */
typedef struct Split
{
	VecxTreeKey key;
	BlockNumber right;
} Split;

/*
 * Splits a full page, with the new entry, into itself and a page to its right:
 * one WAL record.
 */
static void
split_page(VecxIndex *index, Buffer buf, Buffer fresh, int at, const uint8 *entry, Split *split)
{
	GenericXLogState *xlog = GenericXLogStart(index->rel);
	Page		left = GenericXLogRegisterBuffer(xlog, buf, 0);
	Page		right = GenericXLogRegisterBuffer(xlog, fresh, GENERIC_XLOG_FULL_IMAGE);
	PGAlignedBlock old;

	memcpy(old.data, left, BLCKSZ);
	VecxTreePageSplit(old.data, at, entry, left, right);
	VecxPageGetOpaque(left)->next = BufferGetBlockNumber(fresh);
	split->key = VecxTreeGetHead(left)->high;
	split->right = BufferGetBlockNumber(fresh);
	GenericXLogFinish(xlog);
}

static void
add_child(Page page, const VecxTreeKey *key, BlockNumber child)
{
	uint8		entry[VECX_TREE_INNER_SIZE];

	memcpy(entry, key, sizeof(*key));
	memcpy(entry + sizeof(*key), &child, sizeof(child));
	VecxTreePageInsert(page, VecxTreeGetHead(page)->count, entry);
}

/* Moves what a full root has, with the new entry, to two pages below it: one
 * WAL record. */
static void
split_root(VecxIndex *index, Buffer buf, Buffer *fresh, int at, const uint8 *entry)
{
	GenericXLogState *xlog = GenericXLogStart(index->rel);
	Page		root = GenericXLogRegisterBuffer(xlog, buf, 0);
	Page		left = GenericXLogRegisterBuffer(xlog, fresh[0], GENERIC_XLOG_FULL_IMAGE);
	Page		right = GenericXLogRegisterBuffer(xlog, fresh[1], GENERIC_XLOG_FULL_IMAGE);
	VecxTreeKey least;

	memset(&least, 0, sizeof(least));
	VecxTreePageSplit(root, at, entry, left, right);
	VecxPageGetOpaque(left)->next = BufferGetBlockNumber(fresh[1]);
	VecxTreePageInit(root, VecxTreeGetHead(left)->level + 1, VECX_TREE_INNER_SIZE);
	add_child(root, &least, BufferGetBlockNumber(fresh[0]));
	add_child(root, &VecxTreeGetHead(left)->high, BufferGetBlockNumber(fresh[1]));
	GenericXLogFinish(xlog);
}

static void
add_entry(VecxIndex *index, Buffer buf, int at, const uint8 *entry)
{
	VecxPageChange change;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	VecxTreePageInsert(change.page, at, entry);
	VecxPageCommit(&change);
}

/*
 * Adds an entry on its level, unless it is there; true, and *split, if another
 * one has to be added above.  New pages are got while nothing is locked that
 * others wait for, so that a page that is found full is looked for again.
 */
static bool
insert_entry(VecxIndex *index, int level, const uint8 *entry, Split *split)
{
	VecxTreeKey key = VecxTreeEntryKey(entry);
	Buffer		fresh[2];
	int			nfresh = 0;
	bool		has_split = false;

	for (;;)
	{
		Buffer		buf = VecxTreeDescend(index, level, &key, BUFFER_LOCK_EXCLUSIVE);
		Page		page = BufferGetPage(buf);
		bool		is_root = BufferGetBlockNumber(buf) == index->meta.tree_root;
		int			wanted = is_root ? 2 : 1;
		bool		found;
		int			at = VecxTreePageFind(page, &key, &found);
		bool		full = VecxTreeGetHead(page)->count >=
			VecxTreeCapacity(VecxTreeGetHead(page)->entry_size);

		if (!found && full && nfresh < wanted)
		{
			UnlockReleaseBuffer(buf);
			while (nfresh < wanted)
				fresh[nfresh++] = VecxTakeFreePage(index);
			continue;
		}
		if (!found && !full)
			add_entry(index, buf, at, entry);
		else if (!found && is_root)
		{
			split_root(index, buf, fresh, at, entry);
			UnlockReleaseBuffer(fresh[--nfresh]);
			UnlockReleaseBuffer(fresh[--nfresh]);
		}
		else if (!found)
		{
			split_page(index, buf, fresh[nfresh - 1], at, entry, split);
			UnlockReleaseBuffer(fresh[--nfresh]);
			has_split = true;
		}
		UnlockReleaseBuffer(buf);
		break;
	}
	while (nfresh > 0)
		give_back(index, fresh[--nfresh]);
	return has_split;
}

/*
 * Adds an entry, unless it is there.  Each level that splits is a WAL record of
 * its own: until the page above knows of the new one, or if it never comes to
 * that, the way there is a step longer.
 */
static void
insert_key(VecxIndex *index, const VecxTreeKey *key, const uint8 *sketch)
{
	uint8	   *entry = palloc(Max(VecxTreeLeafSize(index), VECX_TREE_INNER_SIZE));
	Split		split;
	int			level = 0;

	memcpy(entry, key, sizeof(*key));
	if (sketch)
		memcpy(entry + sizeof(*key), sketch, index->tree_coder.nbytes);
	while (insert_entry(index, level, entry, &split))
	{
		memcpy(entry, &split.key, sizeof(split.key));
		memcpy(entry + sizeof(split.key), &split.right, sizeof(split.right));
		level++;
	}
	pfree(entry);
}

/*
 * Adds the entries of a row's values, which are those of all columns of the index.
 * key says what they lead to; sketch is NULL where there are none.
 */
void
VecxTreeInsertRow(VecxIndex *index, VecxTreeKey key, const uint8 *sketch,
				  const Datum *values, const bool *isnull)
{
	const VecxFilters *filters = index->filters;

	for (int column = 0; column < filters->ncolumns; column++)
	{
		int			at = filters->columns[column].attno - 1;
		uint64	   *keys;
		int			n = VecxFilterKeys(filters, column, values[at], isnull[at], &keys);

		key.column = (uint16) column;
		for (int i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			key.value = keys[i];
			insert_key(index, &key, sketch);
		}
	}
}

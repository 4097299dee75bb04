/*
 * vtree_build.c
 *    A value tree from all its entries at once.
 *
 * Entries come in any order and are sorted, on disk where memory is short, as byte
 * strings that compare as their keys do.  Then pages are filled from left to right,
 * each level beside those below it.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "am/vtree.h"

/* Share of a page's entries that a build fills. */
#define FILL_PERCENT	90

#define MAX_LEVELS		32

/* A level's page on its way. */
typedef struct Level
{
	PGAlignedBlock page;
	BlockNumber blkno;			/* InvalidBlockNumber while it is the level's only one */
} Level;

struct VecxTreeBuild
{
	VecxIndex  *index;
	Tuplesortstate *sort;
	struct varlena *item;		/* what is sorted */
	int			nlevels;
	Level	   *levels[MAX_LEVELS];
};

/* A key as bytes that compare as it does: big-endian. */
typedef struct SortKey
{
	uint16		column;
	uint16		value[4];		/* not aligned for a larger number */
	uint16		place;
	uint16		id[2];
} SortKey;

#define ITEM_SIZE(index)	(VARHDRSZ + sizeof(SortKey) + (index)->tree_coder.nbytes)

static void
put_key(struct varlena *item, const VecxTreeKey *key)
{
	SortKey		sorted;
	uint64		value = pg_hton64(key->value);
	uint32		id = pg_hton32(key->id);

	sorted.column = pg_hton16(key->column);
	memcpy(sorted.value, &value, sizeof(value));
	memcpy(sorted.id, &id, sizeof(id));
	sorted.place = pg_hton16(key->place);
	memcpy(VARDATA(item), &sorted, sizeof(sorted));
}

static VecxTreeKey
get_key(const char *data)
{
	SortKey		sorted;
	VecxTreeKey key;
	uint64		value;
	uint32		id;

	memcpy(&sorted, data, sizeof(sorted));
	memcpy(&value, sorted.value, sizeof(value));
	memcpy(&id, sorted.id, sizeof(id));
	memset(&key, 0, sizeof(key));
	key.column = pg_ntoh16(sorted.column);
	key.value = pg_ntoh64(value);
	key.id = pg_ntoh32(id);
	key.place = pg_ntoh16(sorted.place);
	return key;
}

VecxTreeBuild *
VecxTreeBuildBegin(VecxIndex *index, int memory)
{
	VecxTreeBuild *build = palloc0(sizeof(VecxTreeBuild));
	Oid			less = lookup_type_cache(BYTEAOID, TYPECACHE_LT_OPR)->lt_opr;

	build->index = index;
	build->item = palloc0(ITEM_SIZE(index));
	SET_VARSIZE(build->item, ITEM_SIZE(index));
	build->sort = tuplesort_begin_datum(BYTEAOID, less, C_COLLATION_OID, false,
										Max(memory, 64), NULL,
										TUPLESORT_NONE);
	return build;
}

/* Adds an entry; it may come several times.  sketch is NULL where there are none. */
void
VecxTreeBuildAdd(VecxTreeBuild *build, const VecxTreeKey *key, const uint8 *sketch)
{
	put_key(build->item, key);
	if (sketch)
		memcpy(VARDATA(build->item) + sizeof(SortKey), sketch, build->index->tree_coder.nbytes);
	tuplesort_putdatum(build->sort, PointerGetDatum(build->item), false);
}

static void
write_page(VecxTreeBuild *build, BlockNumber blkno, const char *image)
{
	Buffer		buf = ReadBuffer(build->index->rel, blkno);
	VecxPageChange change;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	VecxPageBegin(&change, build->index->rel, buf, build->index->mode, true);
	memcpy(change.page, image, BLCKSZ);
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

static BlockNumber
new_block(VecxTreeBuild *build)
{
	Buffer		buf = VecxExtend(build->index->rel, MAIN_FORKNUM);
	BlockNumber blkno = BufferGetBlockNumber(buf);

	UnlockReleaseBuffer(buf);
	return blkno;
}

static Level *
get_level(VecxTreeBuild *build, int level)
{
	if (level == MAX_LEVELS)
		elog(ERROR, "the value tree of index \"%s\" has too many levels",
			 RelationGetRelationName(build->index->rel));
	if (level == build->nlevels)
	{
		Level	   *new = palloc(sizeof(Level));

		new->blkno = InvalidBlockNumber;
		VecxTreePageInit(new->page.data, level,
						 level == 0 ? VecxTreeLeafSize(build->index) : VECX_TREE_INNER_SIZE);
		build->levels[build->nlevels++] = new;
	}
	return build->levels[level];
}

static void add_entry(VecxTreeBuild *build, int level, const uint8 *entry);

/* Makes a page known on the level above. */
static void
add_child(VecxTreeBuild *build, int level, const VecxTreeKey *key, BlockNumber child)
{
	uint8		entry[VECX_TREE_INNER_SIZE];

	memcpy(entry, key, sizeof(*key));
	memcpy(entry + sizeof(*key), &child, sizeof(child));
	add_entry(build, level + 1, entry);
}

/* Writes a level's page, and begins the next, whose first key is that. */
static void
next_page(VecxTreeBuild *build, int level, const VecxTreeKey *first)
{
	Level	   *l = build->levels[level];
	VecxTreeHead head = VecxTreeGetHead(l->page.data);
	Size		entry_size = head->entry_size;
	BlockNumber next;

	CHECK_FOR_INTERRUPTS();
	if (l->blkno == InvalidBlockNumber)
	{
		VecxTreeKey least;

		memset(&least, 0, sizeof(least));
		l->blkno = new_block(build);
		add_child(build, level, &least, l->blkno);
	}
	next = new_block(build);
	head->high = *first;
	VecxPageGetOpaque(l->page.data)->next = next;
	write_page(build, l->blkno, l->page.data);
	VecxTreePageInit(l->page.data, level, entry_size);
	l->blkno = next;
	add_child(build, level, first, next);
}

/* Adds an entry behind all that its level has. */
static void
add_entry(VecxTreeBuild *build, int level, const uint8 *entry)
{
	Level	   *l = get_level(build, level);
	VecxTreeHead head = VecxTreeGetHead(l->page.data);

	if (head->count >= Max(VecxTreeCapacity(head->entry_size) * FILL_PERCENT / 100, 2))
	{
		VecxTreeKey first = VecxTreeEntryKey(entry);

		next_page(build, level, &first);
	}
	VecxTreePageInsert(l->page.data, head->count, entry);
}

/* Reads the sorted entries back, each once, into the tree. */
static void
load_entries(VecxTreeBuild *build)
{
	uint8	   *entry = palloc(VecxTreeLeafSize(build->index));
	VecxTreeKey last;
	bool		has_last = false;
	Datum		value;
	bool		isnull;

	while (VecxTuplesortGetDatum(build->sort, &value, &isnull))
	{
		struct varlena *item = (struct varlena *) DatumGetPointer(value);
		const char *data = VARDATA_ANY(item);
		VecxTreeKey key = get_key(data);

		if (!has_last || VecxTreeCompare(&key, &last) != 0)
		{
			memcpy(entry, &key, sizeof(key));
			memcpy(entry + sizeof(key), data + sizeof(SortKey), build->index->tree_coder.nbytes);
			add_entry(build, 0, entry);
		}
		last = key;
		has_last = true;
		pfree(item);
	}
	pfree(entry);
}

/* Sorts and writes; the root is there already, and empty. */
void
VecxTreeBuildEnd(VecxTreeBuild *build)
{
	get_level(build, 0);
	tuplesort_performsort(build->sort);
	load_entries(build);
	tuplesort_end(build->sort);
	for (int level = 0; level < build->nlevels; level++)
	{
		Level	   *l = build->levels[level];

		write_page(build, level == build->nlevels - 1 ? build->index->meta.tree_root : l->blkno,
				   l->page.data);
		pfree(l);
	}
	pfree(build->item);
	pfree(build);
}

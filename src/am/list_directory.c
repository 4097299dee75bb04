/*
 * list_directory.c
 *    All centroids of an index with posting lists in a backend's memory.
 *
 * A search of the graph opens one or two records for each list that it finds, some
 * pages apart.  Where an index has no more than some ten times as many lists as are to be
 * read, it costs less to compare the query with the codes of all.  A backend that has
 * searched an index a number of times while its centroids stayed the same copies them.
 *
 * The metapage counts changes of the centroids: after one was added, and before the
 * lists of those that VACUUM removes are retired.  So a copy that has the count that a
 * scan read at its start names no list that was retired before that; it may lack lists
 * that are being made, to which what their rows are taken from leads until then.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "code/code_heap.h"

#define DIRECTORIES		4
/* Of work_mem, for each of them. */
#define MEMORY_SHARE	4

/* Searches after which centroids are copied, and pages to be read for it that are worth
 * another. */
#define LEAST_SEARCHES	8
#define PAGES_A_SEARCH	128

/* Lists that are compared with the query in the time it takes to find one in the graph. */
#define LISTS_A_HOP		64

typedef struct Directory
{
	RelFileLocator locator;
	uint64		seed;
	uint32		version;		/* what the metapage said before it was copied */
	uint64		used;			/* tick of the last use */
	int64		searches;		/* that met this version */
	bool		too_large;
	MemoryContext cxt;			/* of what follows; NULL: not copied */
	uint32		n;
	uint32		cap;
	BlockNumber *heads;			/* [n] first pages of the lists */
	float	   *norm2;			/* [n] */
	uint8	   *codes;			/* [n][bytes of a code] */
} Directory;

static Directory directories[DIRECTORIES];
static uint64 tick;

static void
forget(Directory *d)
{
	if (d->cxt)
		MemoryContextDelete(d->cxt);
	memset(d, 0, sizeof(*d));
}

/* The directory of this state of the index, which may be empty yet. */
static Directory *
find_directory(const VecxIndex *index)
{
	Directory  *d = &directories[0];

	for (int i = 0; i < DIRECTORIES; i++)
	{
		if (RelFileLocatorEquals(directories[i].locator, index->rel->rd_locator) &&
			directories[i].seed == index->meta.seed)
		{
			d = &directories[i];
			break;
		}
		if (directories[i].used < d->used)
			d = &directories[i];
	}
	if (!RelFileLocatorEquals(d->locator, index->rel->rd_locator) || d->seed != index->meta.seed ||
		d->version != index->meta.centroids_version)
	{
		forget(d);
		d->locator = index->rel->rd_locator;
		d->seed = index->meta.seed;
		d->version = index->meta.centroids_version;
	}
	d->used = ++tick;
	return d;
}

static Size
entry_bytes(const VecxIndex *index)
{
	return index->coder.nbytes + sizeof(BlockNumber) + sizeof(float);
}

/* Centroids that there is room for. */
static uint32
most_lists(const VecxIndex *index)
{
	return (uint32) ((Size) work_mem * 1024 / MEMORY_SHARE / entry_bytes(index));
}

typedef struct Copying
{
	VecxIndex  *index;
	Directory  *d;
	uint32		most;
} Copying;

static void
make_room(Directory *d, Size code_bytes)
{
	d->cap = Max(d->cap * 2, 256);
	d->heads = d->n > 0 ? repalloc(d->heads, sizeof(BlockNumber) * d->cap) :
		MemoryContextAlloc(d->cxt, sizeof(BlockNumber) * d->cap);
	d->norm2 = d->n > 0 ? repalloc(d->norm2, sizeof(float) * d->cap) :
		MemoryContextAlloc(d->cxt, sizeof(float) * d->cap);
	d->codes = d->n > 0 ? repalloc_huge(d->codes, code_bytes * d->cap) :
		MemoryContextAllocHuge(d->cxt, code_bytes * d->cap);
}

static void
copy_centroid(VecxId id, VecxRecord rec, void *arg)
{
	Copying    *copying = arg;
	Directory  *d = copying->d;
	const VecxIndex *index = copying->index;
	const uint8 *code = VecxRecordCode(&index->layout, rec);

	if (rec->level != 0 || (rec->flags & VECX_RECORD_DEAD) || rec->nrows == 0 || d->too_large)
		return;
	d->too_large = d->n >= copying->most;
	if (d->n == d->cap)
		make_room(d, index->coder.nbytes);
	d->heads[d->n] = VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid);
	d->norm2[d->n] = vecx_code_norm2(&index->coder, code);
	memcpy(d->codes + (Size) index->coder.nbytes * d->n++, code, index->coder.nbytes);
}

/* Copies all centroids; false if there are too many, or they changed meanwhile. */
static bool
copy_centroids(VecxIndex *index, Directory *d)
{
	Copying		copying = {index, d, most_lists(index)};
	VecxMetaPageData meta;
	bool		whole;

	d->cxt = AllocSetContextCreate(TopMemoryContext, "vecx lists", ALLOCSET_DEFAULT_SIZES);
	d->searches = 0;
	PG_TRY();
	{
		VecxForEachRecord(index, false, copy_centroid, &copying);
		VecxMetaRead(index->rel, &meta);
	}
	PG_CATCH();
	{
		forget(d);
		PG_RE_THROW();
	}
	PG_END_TRY();
	whole = !d->too_large && meta.centroids_version == d->version;
	if (!whole)
	{
		MemoryContextDelete(d->cxt);
		d->cxt = NULL;
		d->n = d->cap = 0;
	}
	return whole;
}

/* About as many lists as there are, and no fewer where that is not known. */
static double
guess_lists(const VecxIndex *index)
{
	return index->meta.curve.vertices > 0 ? index->meta.curve.vertices :
		RelationGetNumberOfBlocks(index->rel);
}

/*
 * Lists in no order with their distances, in the current context, for a search that is to
 * read so many; NULL if the graph is the way to find them.
 */
VecxNearLists *
VecxNearListsMake(VecxIndex *index, const VecxProbe *probe, const VecxProbe *route, int probes)
{
	const VecxCoder *coder = &index->coder;
	Directory  *d = find_directory(index);
	VecxNearLists *near;

	if (d->too_large || guess_lists(index) > Min((double) most_lists(index), (double) probes * LISTS_A_HOP))
		return NULL;
	/* as a standby would: its index may be some empty pages shorter */
	if (!d->cxt && (++d->searches < LEAST_SEARCHES + index->meta.curve.nblocks / PAGES_A_SEARCH ||
					!copy_centroids(index, d)))
		return NULL;
	near = palloc(sizeof(VecxNearLists));
	near->n = (int) d->n;
	near->lists = palloc(sizeof(VecxNearList) * Max(d->n, 1));
	for (uint32 i = 0; i < d->n; i++)
	{
		const uint8 *code = d->codes + (Size) coder->nbytes * i;
		VecxNearList *list = &near->lists[i];

		list->nav = vecx_code_distance(coder, &route->code, code);
		list->rank = route == probe ? list->nav : vecx_code_distance(coder, &probe->code, code);
		list->norm2 = d->norm2[i];
		list->head = d->heads[i];
	}
	return near;
}

#define NAV_OF(list)	((list).nav)
VECX_DEFINE_SELECT_LEAST(select_nearest, VecxNearList, NAV_OF);

/* Takes the nearest of those that are left, in no order; returns their number, and in
 * *lists where they are. */
int
VecxNearListsTake(VecxNearLists *near, int wanted, const VecxNearList **lists)
{
	int			n = Min(wanted, near->n);

	if (n < near->n)
		select_nearest(near->lists, near->n, n);
	*lists = near->lists;
	near->lists += n;
	near->n -= n;
	return n;
}

static void
count_change(VecxMetaPageData *meta, void *arg)
{
	meta->centroids_version++;
}

/* Tells the scans to come that centroids are not what they were. */
void
VecxCentroidsChanged(VecxIndex *index)
{
	VecxMetaEdit(index, count_change, NULL);
}

/*
 * list_directory.c
 *    All centroids of an index with posting lists in a backend's memory.
 *
 * A search of the graph opens one or two records for each list that it finds, some
 * pages apart.  Where an index has no more than 64 times as many lists as are to be read, or
 * a few hundred, it costs less to compare the query with the codes of all.  A backend that
 * has searched an index a number of times while its centroids stayed the same copies them.
 *
 * The metapage counts changes of the centroids: when a new one is there, before anything
 * leads to it; when a split has marked the old ones dead; and before the lists of those
 * that VACUUM removes are retired.  So a copy that has the count that a scan read at its
 * start names no list that was retired before that, and lacks none that rows go to.
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

/* Searches after which centroids are copied, and after which more for so many pages that
 * are to be read for it.  By steps: on a standby the index may be some pages shorter. */
#define LEAST_SEARCHES	8
#define PAGES_A_STEP	1024
/* Each copy that was in vain has the next one wait for twice as many searches. */
#define MOST_DOUBLED	10

/* Lists that are compared with the query in the time it takes to find one in the graph, and for
 * how many such a search takes time before it has found any. */
#define LISTS_A_HOP		64
#define HOPS_ANYWAY		8

typedef struct Directory
{
	RelFileLocator locator;
	uint64		seed;
	uint32		version;		/* what the metapage said before it was copied */
	uint64		used;			/* tick of the last use */
	int64		searches;		/* that met this version */
	int			in_vain;		/* copies that could not be used, one after the other */
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
drop_copy(Directory *d)
{
	if (d->cxt)
		MemoryContextDelete(d->cxt);
	d->cxt = NULL;
	d->n = d->cap = 0;
	d->searches = 0;
}

static bool
is_of(const Directory *d, const VecxIndex *index)
{
	return d->seed == index->meta.seed && RelFileLocatorEquals(d->locator, index->rel->rd_locator);
}

/* The directory of this state of the index, which may be empty yet. */
static Directory *
find_directory(const VecxIndex *index)
{
	Directory  *d = &directories[0];

	for (int i = 0; i < DIRECTORIES && !is_of(d, index); i++)
		if (is_of(&directories[i], index) || directories[i].used < d->used)
			d = &directories[i];
	if (!is_of(d, index))
	{
		drop_copy(d);
		d->in_vain = 0;
		d->locator = index->rel->rd_locator;
		d->seed = index->meta.seed;
		d->version = index->meta.centroids_version;
	}
	else if (d->version != index->meta.centroids_version)
	{
		drop_copy(d);
		d->version = index->meta.centroids_version;
	}
	d->used = ++tick;
	return d;
}

/* Centroids that there is room for, with what a search notes of each. */
static uint32
most_lists(const VecxIndex *index)
{
	Size		entry = index->coder.nbytes + sizeof(BlockNumber) + sizeof(float) + sizeof(VecxNearList);

	return (uint32) Min((Size) work_mem * 1024 / MEMORY_SHARE / entry, PG_INT32_MAX);
}

typedef struct Copying
{
	VecxIndex  *index;
	Directory  *d;
	uint32		most;
	bool		too_many;
} Copying;

static void
make_room(Directory *d, Size code_bytes, uint32 most)
{
	d->cap = Min(Max(d->cap * 2, 256), most);
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

	if (rec->level != 0 || (rec->flags & VECX_RECORD_DEAD) || rec->nrows == 0)
		return;
	copying->too_many |= d->n >= copying->most;
	if (copying->too_many)
		return;
	if (d->n == d->cap)
		make_room(d, index->coder.nbytes, copying->most);
	d->heads[d->n] = VecxListOfTid(&VecxRecordRows(&index->layout, rec)->tid);
	d->norm2[d->n] = vecx_code_norm2(&index->coder, code);
	memcpy(d->codes + (Size) index->coder.nbytes * d->n++, code, index->coder.nbytes);
}

/* Copies all centroids; false if there are too many, or they changed meanwhile. */
static bool
copy_centroids(VecxIndex *index, Directory *d)
{
	Copying		copying = {index, d, most_lists(index), false};
	VecxMetaPageData meta;

	d->cxt = AllocSetContextCreate(TopMemoryContext, "vecx lists", ALLOCSET_DEFAULT_SIZES);
	d->in_vain++;
	PG_TRY();
	{
		VecxForEachRecord(index, false, copy_centroid, &copying);
		VecxMetaRead(index->rel, &meta);
	}
	PG_CATCH();
	{
		drop_copy(d);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (copying.too_many || meta.centroids_version != d->version)
	{
		drop_copy(d);
		return false;
	}
	d->in_vain = 0;
	return true;
}

/* About as many lists as there are; no fewer than that where nothing was measured. */
static double
guess_lists(const VecxIndex *index, BlockNumber nblocks)
{
	const VecxCurveData *curve = &index->meta.curve;

	return curve->vertices > 0 && curve->nblocks > 0 ? (double) curve->vertices * nblocks / curve->nblocks : nblocks;
}

/* Whether there is a copy, or it is time to make one. */
static bool
have_copy(VecxIndex *index, Directory *d, BlockNumber nblocks)
{
	int64		searches = LEAST_SEARCHES * (1 + nblocks / PAGES_A_STEP);

	return d->cxt || (++d->searches >= searches << Min(d->in_vain, MOST_DOUBLED) && copy_centroids(index, d));
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
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	double		most = Min((double) most_lists(index),
						   (double) (probes + HOPS_ANYWAY) * (route == probe ? LISTS_A_HOP : LISTS_A_HOP / 2));
	VecxNearLists *near;

	if ((d->cxt ? d->n : guess_lists(index, nblocks)) > most || !have_copy(index, d, nblocks) || d->n > most)
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

/*
 * list_tune.c
 *    The adapter of queries that vecx_tune has stored, and how it is used: the search
 *    for centroids goes by the query that it makes, everything else by the query itself.
 *
 * An adapter never changes once written, and its pages are not used again, so that
 * a copy of it is known by the index's seed and its first block.
 */
#include "postgres.h"

#include <float.h>

#include "compat.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "kernel/kernel.h"

#define CACHE_SIZE	4			/* of at most VECX_TUNE_MAX_BYTES each */
#define VECX_TUNE_MAX_BYTES	(4 * 1024 * 1024)

typedef struct CacheEntry
{
	uint64		seed;
	RelFileLocator locator;
	BlockNumber block;
	uint64		used;			/* tick of the last use */
	uint8	   *bytes;			/* NULL: free entry */
	VecxAdapter adapter;		/* bound to bytes */
} CacheEntry;

static CacheEntry cache[CACHE_SIZE];
static uint64 cache_tick;

/* Makes the adapter behind a head usable in place; returns NULL, or what is wrong. */
const char *
VecxTuneBind(const VecxIndex *index, const uint8 *bytes, Size nbytes, VecxAdapter *adapter)
{
	const char *wrong;

	if (nbytes < sizeof(VecxTuneHeadData))
		return "an adapter is too short";
	wrong = vecx_adapter_bind(adapter, bytes + sizeof(VecxTuneHeadData),
							  nbytes - sizeof(VecxTuneHeadData));
	if (wrong)
		return wrong;
	return adapter->dim == index->meta.dim && adapter->metric == (VecxMetric) index->meta.metric ?
		NULL : "an adapter does not fit its index";
}

/* The stored adapter, in the current context; NULL if there is none. */
uint8 *
VecxTuneRead(VecxIndex *index, VecxTuneHeadData *head, VecxAdapter *adapter)
{
	const VecxMetaPageData *meta = &index->meta;
	uint8	   *bytes;
	const char *wrong;

	if (meta->tune == InvalidBlockNumber)
		return NULL;
	if (meta->tune_bytes > VECX_TUNE_MAX_BYTES)
		VecxCorrupted(index->rel, VECX_META_BLKNO, "an adapter is larger than adapters can be");
	bytes = palloc(Max(meta->tune_bytes, 1));
	VecxBlobRead(index->rel, meta->tune, bytes, meta->tune_bytes);
	wrong = VecxTuneBind(index, bytes, meta->tune_bytes, adapter);
	if (wrong)
		VecxCorrupted(index->rel, meta->tune, wrong);
	memcpy(head, bytes, sizeof(*head));
	return bytes;
}

static CacheEntry *
find_entry(const VecxIndex *index)
{
	for (int i = 0; i < CACHE_SIZE; i++)
		if (cache[i].bytes && cache[i].block == index->meta.tune &&
			cache[i].seed == index->meta.seed &&
			RelFileLocatorEquals(cache[i].locator, index->rel->rd_locator))
			return &cache[i];
	return NULL;
}

/* The adapter from the cache, or into it. */
static const VecxAdapter *
load_adapter(VecxIndex *index)
{
	CacheEntry *entry = find_entry(index);

	if (!entry)
	{
		VecxTuneHeadData head;
		VecxAdapter adapter;
		uint8	   *bytes = VecxTuneRead(index, &head, &adapter);

		entry = &cache[0];
		for (int i = 1; i < CACHE_SIZE && entry->bytes; i++)
			if (!cache[i].bytes || cache[i].used < entry->used)
				entry = &cache[i];
		if (entry->bytes)
			pfree(entry->bytes);
		entry->bytes = NULL;
		entry->bytes = memcpy(MemoryContextAlloc(TopMemoryContext, index->meta.tune_bytes), bytes,
							  index->meta.tune_bytes);
		pfree(bytes);
		(void) VecxTuneBind(index, entry->bytes, index->meta.tune_bytes, &entry->adapter);
		entry->seed = index->meta.seed;
		entry->locator = index->rel->rd_locator;
		entry->block = index->meta.tune;
	}
	entry->used = ++cache_tick;
	return &entry->adapter;
}

/* Where a query is moved to before centroids are searched: the query itself, if it is not
 * moved; else it is allocated. */
const float *
VecxTuneMove(VecxIndex *index, const float *x)
{
	float	   *moved;
	float		norm2;

	if (index->meta.tune == InvalidBlockNumber)
		return x;
	moved = palloc(sizeof(float) * index->meta.dim);
	vecx_adapter_apply(load_adapter(index), x, moved);
	norm2 = vecx_kernels->ip_f32(moved, moved, index->meta.dim);
	/* written so that NaN is caught as well */
	return norm2 < FLT_MAX / 8 ? moved : x;
}

/* What centroids are searched by for a query. */
VecxProbe *
VecxTuneProbe(VecxIndex *index, VecxProbe *probe)
{
	const float *moved;

	if (index->meta.tune == InvalidBlockNumber)
		return probe;
	moved = VecxTuneMove(index, probe->vec);
	return moved == probe->vec ? probe : VecxProbeMake(index, moved);
}

typedef struct TuneEdit
{
	BlockNumber tune;
	uint32		nbytes;
	uint32		version;		/* 0: the last one made stays that */
	const VecxCurveData *curve; /* NULL: stays */
} TuneEdit;

static void
set_tune(VecxMetaPageData *meta, void *arg)
{
	const TuneEdit *edit = arg;

	meta->tune = edit->tune;
	meta->tune_bytes = edit->nbytes;
	if (edit->version > 0)
		meta->tune_version = edit->version;
	if (edit->curve)
		meta->curve = *edit->curve;
}

/*
 * Writes an adapter, pages first, then the metapage, and returns its version.  The
 * caller keeps others from doing so.
 */
uint32
VecxTuneStore(VecxIndex *index, const uint8 *adapter, Size nbytes)
{
	VecxTuneHeadData head;
	TuneEdit	edit = {0};
	uint8	   *bytes = palloc(sizeof(head) + nbytes);

	VecxIndexRefresh(index);
	memset(&head, 0, sizeof(head));
	head.version = edit.version = index->meta.tune_version + 1;
	head.previous = index->meta.tune;
	head.previous_bytes = index->meta.tune == InvalidBlockNumber ? 0 : index->meta.tune_bytes;
	head.curve = index->meta.curve;
	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), adapter, nbytes);
	edit.nbytes = (uint32) (sizeof(head) + nbytes);
	edit.tune = VecxBlobWrite(index->rel, MAIN_FORKNUM, VECX_WRITE_LOGGED, bytes, edit.nbytes);
	VecxMetaEdit(index, set_tune, &edit);
	pfree(bytes);
	return edit.version;
}

/* Goes back to the adapter before, or to none, and its curve; returns its version, 0
 * for none. */
uint32
VecxTuneUndo(VecxIndex *index)
{
	VecxTuneHeadData head;
	VecxAdapter adapter;
	TuneEdit	edit = {0};

	VecxIndexRefresh(index);
	if (!VecxTuneRead(index, &head, &adapter))
		return 0;
	edit.tune = head.previous;
	edit.nbytes = head.previous_bytes;
	edit.curve = &head.curve;
	VecxMetaEdit(index, set_tune, &edit);
	return VecxTuneRead(index, &head, &adapter) ? head.version : 0;
}

/*
 * list_tune.c
 *    What vecx_tune has stored, and how it is used.  By an adapter the search for centroids
 *    goes by another query than the one there is; by books of scores the tables are made
 *    that rows are scored by.  Everything else goes by the query itself, and by the
 *    quantiser's own books.
 *
 * It never changes once written, and its pages are not used again, so that a copy of
 * it is known by the index's seed and its first block.
 */
#include "postgres.h"

#include <float.h>

#include "compat.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "kernel/kernel.h"

#define CACHE_SIZE	4

typedef struct CacheEntry
{
	uint64		seed;
	RelFileLocator locator;
	BlockNumber block;
	uint64		used;			/* tick of the last use */
	uint8	   *bytes;			/* NULL: free entry */
	VecxTuning	tuning;			/* bound to bytes */
} CacheEntry;

static CacheEntry cache[CACHE_SIZE];
static uint64 cache_tick;

static const char *
bind_adapter(const VecxIndex *index, VecxTuning *tuning)
{
	VecxAdapter *adapter = &tuning->adapter;
	const char *wrong = vecx_adapter_bind(adapter, tuning->bytes[VECX_TUNE_ADAPTER],
										  tuning->nbytes[VECX_TUNE_ADAPTER]);

	if (wrong)
		return wrong;
	return adapter->dim == index->meta.dim && adapter->metric == (VecxMetric) index->meta.metric ?
		NULL : "an adapter does not fit its index";
}

/* What it takes to store a tuning. */
Size
VecxTuneBytes(const VecxTuning *tuning)
{
	return sizeof(VecxTuneHeadData) + tuning->nbytes[VECX_TUNE_ADAPTER] + tuning->nbytes[VECX_TUNE_BOOKS];
}

/* Makes what is stored usable in place; returns NULL, or what is wrong. */
const char *
VecxTuneBind(const VecxIndex *index, const uint8 *bytes, Size nbytes, VecxTuning *tuning)
{
	const char *wrong = NULL;

	memset(tuning, 0, sizeof(*tuning));
	if (!index->lists)
		return "the metapage names what cannot have been tuned";
	if (nbytes < sizeof(VecxTuneHeadData))
		return "what was tuned is too short";
	memcpy(&tuning->head, bytes, sizeof(VecxTuneHeadData));
	bytes += sizeof(VecxTuneHeadData);
	nbytes -= sizeof(VecxTuneHeadData);
	if (tuning->head.adapter_bytes > nbytes || tuning->head.adapter_bytes % sizeof(float) != 0)
		return "an adapter is longer than all that was tuned";
	tuning->bytes[VECX_TUNE_ADAPTER] = bytes;
	tuning->nbytes[VECX_TUNE_ADAPTER] = tuning->head.adapter_bytes;
	tuning->bytes[VECX_TUNE_BOOKS] = bytes + tuning->head.adapter_bytes;
	tuning->nbytes[VECX_TUNE_BOOKS] = nbytes - tuning->head.adapter_bytes;
	if (nbytes == 0)
		return "nothing was tuned";
	if (tuning->nbytes[VECX_TUNE_ADAPTER] > 0)
		wrong = bind_adapter(index, tuning);
	if (!wrong && tuning->nbytes[VECX_TUNE_BOOKS] > 0)
		wrong = vecx_score_bind(&tuning->books, &index->lists->code, tuning->bytes[VECX_TUNE_BOOKS],
								tuning->nbytes[VECX_TUNE_BOOKS]);
	return wrong;
}

/* What is stored, in the current context; NULL if there is nothing. */
uint8 *
VecxTuneRead(VecxIndex *index, VecxTuning *tuning)
{
	const VecxMetaPageData *meta = &index->meta;
	uint8	   *bytes;
	const char *wrong;

	memset(tuning, 0, sizeof(*tuning));
	if (meta->tune == InvalidBlockNumber)
		return NULL;
	if (meta->tune_bytes > VECX_TUNE_MAX_BYTES)
		VecxCorrupted(index->rel, VECX_META_BLKNO, "what was tuned is larger than it can be");
	bytes = palloc(Max(meta->tune_bytes, 1));
	VecxBlobRead(index->rel, meta->tune, bytes, meta->tune_bytes);
	wrong = VecxTuneBind(index, bytes, meta->tune_bytes, tuning);
	if (wrong)
		VecxCorrupted(index->rel, meta->tune, wrong);
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

/* What is stored from the cache, or into it; NULL if there is nothing. */
static const VecxTuning *
load_tuning(VecxIndex *index)
{
	CacheEntry *entry;

	if (index->meta.tune == InvalidBlockNumber)
		return NULL;
	entry = find_entry(index);
	if (!entry)
	{
		VecxTuning	tuning;
		uint8	   *bytes = VecxTuneRead(index, &tuning);

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
		(void) VecxTuneBind(index, entry->bytes, index->meta.tune_bytes, &entry->tuning);
		entry->seed = index->meta.seed;
		entry->locator = index->rel->rd_locator;
		entry->block = index->meta.tune;
	}
	entry->used = ++cache_tick;
	return &entry->tuning;
}

/* Where a query is moved to before centroids are searched: the query itself, if it is not
 * moved; else it is allocated. */
const float *
VecxTuneMove(VecxIndex *index, const float *x)
{
	const VecxTuning *tuning = load_tuning(index);
	float	   *moved;
	float		norm2;

	if (!tuning || tuning->nbytes[VECX_TUNE_ADAPTER] == 0)
		return x;
	moved = palloc(sizeof(float) * index->meta.dim);
	vecx_adapter_apply(&tuning->adapter, x, moved);
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

/* Makes the tables that rows are scored by. */
void
VecxListQueryInit(VecxIndex *index, VecxListQuery *query, const float *x, void *scratch)
{
	const VecxTuning *tuning = load_tuning(index);
	VecxListCode scoring = index->lists->code;

	if (tuning && tuning->nbytes[VECX_TUNE_BOOKS] > 0)
		vecx_score_use(&index->lists->code, &tuning->books, &scoring);
	scoring.rounded = VecxRoundListCode(index, &index->lists->code);
	vecx_list_query_init(&scoring, query, x, scratch);
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
 * Writes what was learned, pages first, then the metapage, and returns its version.  The
 * caller keeps others from doing so.
 */
uint32
VecxTuneStore(VecxIndex *index, const VecxTuning *tuning)
{
	VecxTuneHeadData head;
	TuneEdit	edit = {0};
	uint8	   *bytes;
	uint8	   *at;

	if (VecxTuneBytes(tuning) > VECX_TUNE_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("what was learned for index \"%s\" is too large to be stored",
						RelationGetRelationName(index->rel)),
				 errdetail("It takes %zu bytes, and may take %d.", VecxTuneBytes(tuning), VECX_TUNE_MAX_BYTES),
				 errhint("Use a lower rank.")));
	VecxIndexRefresh(index);
	memset(&head, 0, sizeof(head));
	head.version = edit.version = index->meta.tune_version + 1;
	head.previous = index->meta.tune;
	head.previous_bytes = index->meta.tune == InvalidBlockNumber ? 0 : index->meta.tune_bytes;
	head.adapter_bytes = (uint32) tuning->nbytes[VECX_TUNE_ADAPTER];
	head.curve = index->meta.curve;
	edit.nbytes = (uint32) VecxTuneBytes(tuning);
	at = bytes = palloc(edit.nbytes);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	for (int part = 0; part < 2; part++)
	{
		if (tuning->nbytes[part] > 0)
			memcpy(at, tuning->bytes[part], tuning->nbytes[part]);
		at += tuning->nbytes[part];
	}
	edit.tune = VecxBlobWrite(index->rel, MAIN_FORKNUM, VECX_WRITE_LOGGED, bytes, edit.nbytes);
	VecxMetaEdit(index, set_tune, &edit);
	pfree(bytes);
	return edit.version;
}

static void
read_head(const VecxIndex *index, VecxTuneHeadData *head)
{
	if (index->meta.tune_bytes < sizeof(*head))
		VecxCorrupted(index->rel, VECX_META_BLKNO, "what was tuned is too short");
	VecxBlobRead(index->rel, index->meta.tune, (uint8 *) head, sizeof(*head));
}

/*
 * Goes back to what there was before, or to nothing, and its curve; returns its version, 0
 * for none.  It reads heads alone, to be of use where the rest is damaged.
 */
uint32
VecxTuneUndo(VecxIndex *index)
{
	VecxTuneHeadData head;
	TuneEdit	edit = {0};

	VecxIndexRefresh(index);
	if (index->meta.tune == InvalidBlockNumber)
		return 0;
	read_head(index, &head);
	edit.tune = head.previous;
	edit.nbytes = head.previous_bytes;
	edit.curve = &head.curve;
	VecxMetaEdit(index, set_tune, &edit);
	if (index->meta.tune == InvalidBlockNumber)
		return 0;
	read_head(index, &head);
	return head.version;
}

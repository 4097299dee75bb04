/*
 * renew.c
 *    A new model for an index that has grown, and records' sketches made anew
 *    in it.
 *
 * An index that starts empty has a seeded rotation as its first model.  At
 * about 1,000 vertices, and after every tenfold growth, a basis is trained on
 * a sample of the whole index: by the insert that makes the index a page
 * longer while it is small, by VACUUM when it is large.  Each record names its
 * model; at most two models are alive.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#include "am/list.h"

/* Vertices before the first training, and growth before the next. */
#define FIRST_TRAIN_ROWS	1000
#define TRAIN_GROWTH		10

/* Lock tag of the training lock: see README.md. */
#define TRAIN_LOCK_BLKNO	1

bool
VecxTryTrainLock(VecxIndex *index)
{
	return ConditionalLockPage(index->rel, TRAIN_LOCK_BLKNO, ExclusiveLock);
}

void
VecxTrainLock(VecxIndex *index)
{
	LockPage(index->rel, TRAIN_LOCK_BLKNO, ExclusiveLock);
}

void
VecxTrainUnlock(VecxIndex *index)
{
	UnlockPage(index->rel, TRAIN_LOCK_BLKNO, ExclusiveLock);
}

/* Rows to train on, within a quarter of maintenance_work_mem. */
Size
VecxTrainSampleRows(const VecxIndex *index)
{
	Size		limit = (Size) VecxMaintenanceMemory() * 1024 / 4 / VecxVectorBytes(index);

	return Max(Min(limit, VECX_TRAIN_SAMPLE), 100);
}

/* A guess at the number of vertices, from the number of pages. */
static int64
guess_vertices(VecxIndex *index)
{
	Size		size = VecxRecordSize(&index->layout, index->meta.m * 3 / 4) + sizeof(ItemIdData);

	/* most pages are those of lists */
	if (index->lists)
		return (int64) (VecxListPagesAmong(RelationGetNumberOfBlocks(index->rel), &index->meta) *
						index->lists->page_rows / index->lists->list_rows);
	return (int64) RelationGetNumberOfBlocks(index->rel) *
		Max(VECX_PAGE_CAPACITY / size, 1);
}

static bool
has_grown(VecxIndex *index, int64 limit)
{
	int64		vertices = guess_vertices(index);

	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (index->meta.models[i].number == index->meta.current_model &&
			index->meta.current_model != 0)
			return vertices <= limit && vertices >= FIRST_TRAIN_ROWS &&
				vertices >= (int64) index->meta.models[i].trained_rows * TRAIN_GROWTH;
	VecxCorrupted(index->rel, VECX_META_BLKNO, "the current model does not exist");
}

/* A private copy of the record of that id, or NULL. */
VecxRecord
VecxCopyRecord(VecxIndex *index, VecxId id, Size *size)
{
	Buffer		buf = VecxPinPage(index->rel, VecxIdBlock(id));
	VecxRecord	rec;
	VecxRecord	copy = NULL;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, size);
	if (rec)
	{
		copy = palloc(*size);
		memcpy(copy, rec, *size);
	}
	UnlockReleaseBuffer(buf);
	return copy;
}

/* Decoded vectors of a random sample of vertices; returns their number.  *seen are those on
 * the pages that were read, *vertices what that makes of the whole index. */
static Size
sample_vertices(VecxIndex *index, Size max_rows, char *rows, int64 *seen, double *vertices)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	BlockNumber nread = 0;
	BlockSamplerData blocks;
	ReservoirStateData reservoir;
	Size		n = 0;
	double		to_skip = -1;

	*seen = 0;
	/* more pages than rows wanted, since some hold no vertices */
	BlockSampler_Init(&blocks, nblocks, (int) Min(max_rows * 2, INT_MAX), (uint32) index->meta.seed);
	reservoir_init_selection_state(&reservoir, (int) max_rows);
	while (BlockSampler_HasMore(&blocks))
	{
		BlockNumber blkno = BlockSampler_Next(&blocks);
		Buffer		buf;
		Page		page;

		vacuum_delay_point(false);
		buf = ReadBuffer(index->rel, blkno);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buf);
		for (OffsetNumber off = FirstOffsetNumber; off <= VecxLastItem(page); off++)
		{
			Size		size;
			VecxRecord	rec = VecxGetRecord(index, page, VecxIdMake(blkno, off), &size);
			Size		at;

			if (!rec || rec->level != 0 || (rec->flags & VECX_RECORD_DEAD))
				continue;
			if (n < max_rows)
				at = n++;
			else
			{
				if (to_skip < 0)
					to_skip = reservoir_get_next_S(&reservoir, (double) *seen, (int) max_rows);
				if (to_skip-- > 0)
				{
					(*seen)++;
					continue;
				}
				at = (Size) (max_rows * sampler_random_fract(&reservoir.randstate));
			}
			(*seen)++;
			vecx_code_decode(&index->coder, VecxRecordCode(&index->layout, rec),
							 rows + at * VecxVectorBytes(index));
		}
		UnlockReleaseBuffer(buf);
		nread++;
	}
	*vertices = (double) *seen * nblocks / Max(nread, 1);
	return n;
}

/* Makes all sketches of a copied record anew; drops links that lead nowhere. */
static void
renew_links(VecxIndex *index, VecxCodeCache *cache, VecxRecord rec, VecxId id,
			const VecxBasis *basis, void *pv, void *scratch)
{
	VecxCached	self;
	VecxCached	other;
	VecxCodeQuery query;
	uint8	   *code = VecxRecordCode(&index->layout, rec);
	int			kept = 0;

	if (!VecxCodeCacheGet(cache, id, rec->level, &self))
		return;
	memcpy(pv, self.proj, vecx_basis_proj_bytes(basis));
	vecx_code_query_init_code(&index->coder, &query, code, scratch);
	for (int i = 0; i < rec->nlinks; i++)
	{
		VecxId		target = VecxLinkId(VecxRecordLink(&index->layout, rec, i));

		if (!VecxCodeCacheGet(cache, target, rec->level, &other))
			continue;
		VecxEncodeLink(index, basis, target, pv, other.proj, self.norm2,
					   vecx_code_distance(&index->coder, &query, other.code),
					   VecxPopcount(index, other.norm2),
					   VecxRecordLink(&index->layout, rec, kept));
		VecxLinkSetSole(rec, kept++, VecxLinkIsSole(rec, i));
	}
	for (int i = kept; i < rec->nlinks; i++)
		VecxLinkSetSole(rec, i, false);
	rec->nlinks = (uint16) kept;
}

static bool
same_links(VecxIndex *index, VecxRecord a, VecxRecord b)
{
	if (a->generation != b->generation || a->nlinks != b->nlinks || a->model != b->model ||
		(a->level == 0 && a->sole != b->sole))
		return false;
	for (int i = 0; i < a->nlinks; i++)
		if (VecxLinkId(VecxRecordLink(&index->layout, a, i)) !=
			VecxLinkId(VecxRecordLink(&index->layout, b, i)))
			return false;
	return true;
}

/*
 * Puts a changed copy of a record's links in place, unless an insert has
 * changed the record since before was copied.
 */
bool
VecxReplaceLinks(VecxIndex *index, VecxId id, VecxRecord before, VecxRecord after)
{
	Buffer		buf = VecxPinPage(index->rel, VecxIdBlock(id));
	VecxRecord	rec;
	VecxPageChange change;
	Size		size;
	bool		done = false;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	if (rec && same_links(index, rec, before) && after->nlinks <= rec->link_cap)
	{
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		rec = VecxGetRecord(index, change.page, id, &size);
		rec->model = after->model;
		rec->nlinks = after->nlinks;
		if (rec->level == 0)
			rec->sole = after->sole;
		memcpy(VecxRecordLink(&index->layout, rec, 0), VecxRecordLink(&index->layout, after, 0),
			   (Size) after->nlinks * index->layout.link_size);
		VecxPageCommit(&change);
		done = true;
	}
	UnlockReleaseBuffer(buf);
	return done;
}

static void
renew_record(VecxIndex *index, VecxCodeCache *cache, VecxId id, void *pv, void *scratch)
{
	for (;;)
	{
		Size		size;
		VecxRecord	before = VecxCopyRecord(index, id, &size);
		VecxRecord	after;

		CHECK_FOR_INTERRUPTS();
		if (!before || before->model == index->meta.current_model)
			return;
		after = palloc(size);
		memcpy(after, before, size);
		after->model = index->meta.current_model;
		renew_links(index, cache, after, id, &VecxCurrentModel(index)->basis, pv, scratch);
		if (VecxReplaceLinks(index, id, before, after))
			return;
	}
}

/* Renews every record that is not of the current model. */
static void
renew_all(VecxIndex *index)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx renewal",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext per_page = AllocSetContextCreate(cxt, "vecx renewal of a page",
												   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxCodeCache *cache = VecxCodeCacheMake(index, cxt, (Size) VecxMaintenanceMemory() * 1024 / 2);
	void	   *pv = palloc(vecx_basis_proj_bytes(&VecxCurrentModel(index)->basis));
	void	   *scratch = palloc(vecx_code_query_scratch(&index->coder));
	BlockNumber nblocks = VecxSettledLength(index->rel);

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		uint8		models[VECX_MAX_ITEMS + 1] = {0};
		Buffer		buf;
		Page		page;
		OffsetNumber max;

		vacuum_delay_point(false);
		buf = ReadBuffer(index->rel, blkno);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buf);
		max = VecxLastItem(page);
		for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
		{
			Size		size;
			VecxRecord	rec = VecxGetRecord(index, page, VecxIdMake(blkno, off), &size);

			if (rec)
				models[off] = rec->model;
		}
		UnlockReleaseBuffer(buf);

		MemoryContextSwitchTo(per_page);
		for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
			if (models[off] != 0 && models[off] != index->meta.current_model)
				renew_record(index, cache, VecxIdMake(blkno, off), pv, scratch);
		MemoryContextSwitchTo(cxt);
		MemoryContextReset(per_page);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

static void
drop_old_models(VecxMetaPageData *meta, void *arg)
{
	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (meta->models[i].number != meta->current_model)
			memset(&meta->models[i], 0, sizeof(VecxModelSlot));
}

static void
add_model(VecxMetaPageData *meta, void *arg)
{
	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (meta->models[i].number == 0)
		{
			meta->models[i] = *(VecxModelSlot *) arg;
			meta->current_model = meta->models[i].number;
			return;
		}
	elog(ERROR, "no slot is free for a model of a vecx index");
}

static int
alive_models(VecxIndex *index)
{
	int			n = 0;

	for (int i = 0; i < VECX_MAX_MODELS; i++)
		n += index->meta.models[i].number != 0;
	return n;
}

/*
 * Renews what is left of older models and forgets them.  Inserts that began
 * before the current model did are waited for, so that none of them adds a
 * record of an older one afterwards.
 */
static void
finish_old_models(VecxIndex *index)
{
	LockPage(index->rel, VECX_META_BLKNO, ExclusiveLock);
	UnlockPage(index->rel, VECX_META_BLKNO, ExclusiveLock);
	renew_all(index);
	VecxMetaEdit(index, drop_old_models, NULL);
}

/* Trains a new model; false, and nothing changes, if there are fewer than least vertices:
 * the guess at their number counts pages that hold none. */
static bool
train(VecxIndex *index, double least)
{
	Size		max_rows = VecxTrainSampleRows(index);
	char	   *rows = MemoryContextAllocHuge(CurrentMemoryContext, max_rows * VecxVectorBytes(index));
	int64		seen;
	double		vertices;
	Size		nrows = sample_vertices(index, max_rows, rows, &seen, &vertices);
	VecxModelSlot slot;
	VecxTrainEnv env;
	size_t		nbytes;
	uint8	   *bytes;

	if (nrows == 0 || vertices < least)
	{
		pfree(rows);
		return false;
	}
	VecxTrainEnvInit(&env, CurrentMemoryContext);
	bytes = vecx_basis_train(&env, (VecxMetric) index->meta.metric, index->meta.dim, rows, nrows,
							 index->meta.sketch_size - VECX_SKETCH_FACTOR_BYTES,
							 index->meta.seed + index->meta.current_model, &nbytes);
	pfree(rows);
	memset(&slot, 0, sizeof(slot));
	slot.first = VecxBlobWrite(index->rel, MAIN_FORKNUM, index->mode, bytes, nbytes);
	slot.nbytes = (uint32) nbytes;
	slot.trained_rows = (uint32) Min(Max(seen, guess_vertices(index)), PG_UINT32_MAX);
	slot.number = index->meta.current_model == 255 ? 1 : index->meta.current_model + 1;
	pfree(bytes);
	VecxMetaEdit(index, add_model, &slot);
	VecxLoadModels(index);
	return true;
}

/* Trains a new model on at least so many vertices and renews all sketches; the old one
 * lives on until it is known that nobody adds records of it. */
static void
train_and_renew(VecxIndex *index, double least)
{
	if (alive_models(index) == VECX_MAX_MODELS)
		finish_old_models(index);
	if (!train(index, least))
		return;
	renew_all(index);
	VecxNoteKeptShare(index);
}

/*
 * Trains a new model if the index has grown enough since the last training
 * and is not larger than limit vertices; the caller holds the training lock.
 */
static void
train_if_grown(VecxIndex *index, int64 limit)
{
	VecxIndexRefresh(index);
	if (has_grown(index, limit))
		train_and_renew(index, FIRST_TRAIN_ROWS / 2);
}

/* The same for VACUUM, which also trains one for vectors of another kind, and
 * renews what older models left behind. */
void
VecxVacuumModels(VecxIndex *index)
{
	train_if_grown(index, PG_INT64_MAX);
	if (VecxHasDrifted(index))
		train_and_renew(index, VECX_MIN_TRAIN_ROWS);
	if (alive_models(index) == VECX_MAX_MODELS)
		finish_old_models(index);
}

/* Trains a new model, whether there is need or not, if there are rows enough to
 * train on, and renews every sketch; the caller holds the training lock. */
void
VecxRenew(VecxIndex *index)
{
	VecxIndexRefresh(index);
	if (guess_vertices(index) >= VECX_MIN_TRAIN_ROWS)
		train_and_renew(index, VECX_MIN_TRAIN_ROWS);
	if (alive_models(index) == VECX_MAX_MODELS)
		finish_old_models(index);
}

/* train_if_grown for an insert, unless somebody else is at it. */
void
VecxMaybeTrain(VecxIndex *index, int64 limit)
{
	if (!has_grown(index, limit) || !VecxTryTrainLock(index))
		return;
	train_if_grown(index, limit);
	VecxTrainUnlock(index);
}

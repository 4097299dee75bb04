/*
 * model.c
 *    Bases, the codes' centre, the value tree's cells and the quantiser of posting
 *    lists, loaded from an index and kept for a backend's life in a small cache; and the environment that
 *    training runs in.
 *
 * None of them ever changes once written, and its place in the cache is found by
 * the seed of the index's build, which is random, so that nothing has to be
 * invalidated.  An entry is pinned as long as the memory context of a scan or
 * insert that uses it.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "am/vtree.h"

/* Entries: a model up to VECX_BASIS_MAX_BYTES, a quantiser up to 16 times that, and for searches a
 * quarter more. */
#define VECX_MODEL_CACHE_SIZE	32

/* What the cache knows others by than models, which have numbers from 1 to 255. */
#define CENTRE_NUMBER		0
#define LIST_CODE_NUMBER	256
#define CELLS_NUMBER		257

/* Bytes made usable in place: what they are of, their number tells. */
typedef union Bound
{
	VecxBasis	basis;			/* of a model */
	const float *centre;		/* of codes, [dim] */
	VecxListCode list_code;
	VecxCells	cells;
} Bound;

typedef struct CacheEntry
{
	uint64		seed;
	RelFileLocator locator;
	int			number;			/* of a model: given again after 255 others, */
	BlockNumber first;			/* from other pages */
	int			pins;
	uint64		used;			/* tick of the last use */
	uint8	   *bytes;			/* NULL: free entry */
	VecxListRounded rounded;	/* of a quantiser, if there is */
	void	   *room;			/* of that */
	Bound		bound;
} CacheEntry;

static CacheEntry cache[VECX_MODEL_CACHE_SIZE];
static uint64 cache_tick;

static void
unpin(void *arg)
{
	((CacheEntry *) arg)->pins--;
}

static void
pin(CacheEntry *entry, MemoryContext cxt)
{
	MemoryContextCallback *callback = MemoryContextAlloc(cxt, sizeof(MemoryContextCallback));

	callback->func = unpin;
	callback->arg = entry;
	entry->pins++;
	entry->used = ++cache_tick;
	MemoryContextRegisterResetCallback(cxt, callback);
}

static CacheEntry *
find_entry(VecxIndex *index, int number, BlockNumber first)
{
	for (int i = 0; i < VECX_MODEL_CACHE_SIZE; i++)
		if (cache[i].bytes && cache[i].number == number && cache[i].first == first &&
			cache[i].seed == index->meta.seed &&
			RelFileLocatorEquals(cache[i].locator, index->rel->rd_locator))
			return &cache[i];
	return NULL;
}

/* A free entry, made free by dropping the one used longest ago if need be;
 * NULL if all are in use. */
static CacheEntry *
free_entry(void)
{
	CacheEntry *oldest = NULL;

	for (int i = 0; i < VECX_MODEL_CACHE_SIZE; i++)
	{
		if (!cache[i].bytes)
			return &cache[i];
		if (cache[i].pins == 0 && (!oldest || cache[i].used < oldest->used))
			oldest = &cache[i];
	}
	if (oldest)
	{
		pfree(oldest->bytes);
		oldest->bytes = NULL;
		if (oldest->room)
			pfree(oldest->room);
		oldest->room = NULL;
	}
	return oldest;
}

/* Caches a copy of the bytes, pinned; NULL if there is no room. */
static CacheEntry *
keep(VecxIndex *index, int number, BlockNumber first, const uint8 *bytes, Size nbytes)
{
	CacheEntry *entry = free_entry();
	uint8	   *copy;

	if (!entry)
		return NULL;
	/* first: if it fails, no pin must be left of an entry that is not in use */
	copy = MemoryContextAlloc(TopMemoryContext, nbytes);
	entry->seed = index->meta.seed;
	entry->locator = index->rel->rd_locator;
	entry->number = number;
	entry->first = first;
	entry->pins = 0;
	/* others find it only when it has bytes, and by then the caller has bound it */
	pin(entry, index->cxt);
	entry->bytes = memcpy(copy, bytes, nbytes);
	return entry;
}

/* Makes bytes from a chain of pages usable, or raises that they are damaged. */
typedef void (*Binder) (VecxIndex *index, BlockNumber first, const uint8 *bytes, Size nbytes,
						Bound *bound);

/* What is in the cache under a number, or on pages from first on: good as long as the index is
 * open. */
static Bound
load(VecxIndex *index, int number, BlockNumber first, Size nbytes, Binder bind)
{
	CacheEntry *entry = find_entry(index, number, first);
	uint8	   *bytes;
	Bound		bound = {0};

	if (entry)
	{
		pin(entry, index->cxt);
		return entry->bound;
	}
	/* read first, cache then: an error on the way leaves nothing behind */
	bytes = MemoryContextAlloc(index->cxt, nbytes);
	VecxBlobRead(index->rel, first, bytes, nbytes);
	bind(index, first, bytes, nbytes, &bound);
	entry = keep(index, number, first, bytes, nbytes);
	if (!entry)
		return bound;
	bind(index, first, entry->bytes, nbytes, &entry->bound);
	pfree(bytes);
	return entry->bound;
}

/* Raises what is wrong, or that what was bound is of another index. */
static void
must_fit(const VecxIndex *index, BlockNumber first, const char *wrong, uint32 dim, VecxMetric metric,
		 const char *misfit)
{
	if (!wrong && (dim != index->meta.dim || metric != (VecxMetric) index->meta.metric))
		wrong = misfit;
	if (wrong)
		VecxCorrupted(index->rel, first, wrong);
}

static void
bind_model(VecxIndex *index, BlockNumber first, const uint8 *bytes, Size nbytes, Bound *bound)
{
	VecxBasis  *basis = &bound->basis;
	const char *wrong = vecx_basis_bind(basis, bytes, nbytes);

	if (!wrong && vecx_sketch_size(basis) > index->meta.sketch_size)
		wrong = "a model's sketches are larger than those of its index";
	must_fit(index, first, wrong, basis->dim, basis->metric, "a model does not fit its index");
}

static void
bind_centre(VecxIndex *index, BlockNumber first, const uint8 *bytes, Size nbytes, Bound *bound)
{
	bound->centre = (const float *) bytes;
	for (uint32 i = 0; i < index->meta.dim; i++)
		if (!isfinite(bound->centre[i]))
			VecxCorrupted(index->rel, first, "the centre of the codes is not finite");
}

static void
bind_list_code(VecxIndex *index, BlockNumber first, const uint8 *bytes, Size nbytes, Bound *bound)
{
	VecxListCode *code = &bound->list_code;
	const char *wrong = vecx_list_code_bind(code, bytes, nbytes);

	must_fit(index, first, wrong, code->dim, code->metric, "the lists' quantizer does not fit its index");
}

static void
bind_cells(VecxIndex *index, BlockNumber first, const uint8 *bytes, Size nbytes, Bound *bound)
{
	const char *wrong = vecx_cells_bind(&bound->cells, &index->tree_coder, bytes, nbytes);

	if (wrong)
		VecxCorrupted(index->rel, first, wrong);
}

/* The centre of the codes as it is on disk, float[dim], in the current context. */
float *
VecxReadCentre(VecxIndex *index)
{
	Size		nbytes = index->meta.dim * sizeof(float);
	float	   *centre = palloc(nbytes);
	Bound		bound;

	VecxBlobRead(index->rel, index->meta.centre, (uint8 *) centre, nbytes);
	bind_centre(index, index->meta.centre, (uint8 *) centre, nbytes, &bound);
	return centre;
}

/* Gives the centre to the coders whose codes have one. */
static void
set_centre(VecxIndex *index, const float *centre)
{
	VecxMetric	metric = (VecxMetric) index->meta.metric;

	if (vecx_code_has_centre(index->coder.kind, metric))
		index->coder.centre = centre;
	if (vecx_code_has_centre(index->tree_coder.kind, metric))
		index->tree_coder.centre = centre;
}

/* Gives the coders their centre, which lives as long as the index is open. */
void
VecxLoadCentre(VecxIndex *index)
{
	if (index->meta.centre != InvalidBlockNumber)
		set_centre(index, load(index, CENTRE_NUMBER, index->meta.centre, index->meta.dim * sizeof(float),
							   bind_centre).centre);
}

/* The quantiser of posting lists, which lives as long as the index is open. */
VecxListCode
VecxLoadListCode(VecxIndex *index)
{
	return load(index, LIST_CODE_NUMBER, index->meta.list_code, index->meta.list_code_bytes,
				bind_list_code).list_code;
}

/* What searches use of it, made when one does for the first time: good as long as the quantiser,
 * which was loaded. */
VecxListRounded
VecxRoundListCode(VecxIndex *index, const VecxListCode *code)
{
	CacheEntry *entry = find_entry(index, LIST_CODE_NUMBER, index->meta.list_code);
	Size		nbytes = vecx_list_rounded_bytes(code);

	if (!entry || nbytes == 0)
		return (VecxListRounded) {0};
	if (!entry->room)
	{
		entry->room = MemoryContextAllocHuge(TopMemoryContext, nbytes);
		vecx_list_round_matrix(code, entry->room, &entry->rounded);
	}
	return entry->rounded;
}

/* The cells of the value tree, which live as long as the index is open; there are some. */
VecxCells
VecxLoadCells(VecxIndex *index)
{
	return load(index, CELLS_NUMBER, index->meta.tree_cells,
				vecx_cells_bytes(&index->tree_coder, index->meta.tree_ncells), bind_cells).cells;
}

/* The model's basis. */
static VecxBasis
load_model(VecxIndex *index, const VecxModelSlot *slot)
{
	if (slot->nbytes > VECX_BASIS_MAX_BYTES)
		VecxCorrupted(index->rel, VECX_META_BLKNO, "a model is larger than models can be");
	return load(index, slot->number, slot->first, slot->nbytes, bind_model).basis;
}

/* Makes index->models those of index->meta, keeping the ones loaded already. */
void
VecxLoadModels(VecxIndex *index)
{
	VecxModel	loaded[VECX_MAX_MODELS];
	int			n = 0;

	for (int i = 0; i < VECX_MAX_MODELS; i++)
	{
		const VecxModelSlot *slot = &index->meta.models[i];
		const VecxModel *known = NULL;

		if (slot->number == 0)
			continue;
		for (int j = 0; j < index->nmodels; j++)
			if (index->models[j].number == slot->number)
				known = &index->models[j];
		loaded[n].number = slot->number;
		loaded[n++].basis = known ? known->basis : load_model(index, slot);
	}
	memcpy(index->models, loaded, sizeof(VecxModel) * n);
	index->nmodels = n;
}

/* Whether there is a model of that number, by the metapage as it is now. */
bool
VecxModelExists(VecxIndex *index, uint8 number)
{
	for (int round = 0; round < 2; round++)
	{
		for (int i = 0; i < index->nmodels; i++)
			if (index->models[i].number == number)
				return true;
		VecxIndexRefresh(index);
	}
	return false;
}

/*
 * The model of that number.  A record can name a model that was made after the
 * index was opened: then the metapage is read again, so the caller must hold
 * no lock on it.
 */
const VecxModel *
VecxFindModel(VecxIndex *index, uint8 number)
{
	if (VecxModelExists(index, number))
		for (int i = 0; i < index->nmodels; i++)
			if (index->models[i].number == number)
				return &index->models[i];
	VecxCorrupted(index->rel, VECX_META_BLKNO, "a record names a model that does not exist");
}

const VecxModel *
VecxCurrentModel(VecxIndex *index)
{
	return VecxFindModel(index, index->meta.current_model);
}

static void *
train_alloc(void *arg, size_t nbytes)
{
	return MemoryContextAllocHuge((MemoryContext) arg, nbytes);
}

static void
train_release(void *arg, void *ptr)
{
	pfree(ptr);
}

static void
train_poll(void *arg)
{
	CHECK_FOR_INTERRUPTS();
}

void
VecxTrainEnvInit(VecxTrainEnv *env, MemoryContext cxt)
{
	env->alloc = train_alloc;
	env->release = train_release;
	env->poll = train_poll;
	env->arg = cxt;
}

/*
 * drift.c
 *    Whether the current model still suits the vectors that are added.
 *
 * A basis shows some share of the residuals between neighbours.  Vectors of
 * another kind than those it was trained on show less in it.  Nothing is counted
 * as rows come: a sample of links tells the share when it is asked for.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/am.h"

/* Links that are looked at, and that there must be to tell anything. */
#define SAMPLE_LINKS	256
#define LEAST_LINKS		64
#define TRIES			(8 * SAMPLE_LINKS)

/* A share below so much of what it was is a drift. */
#define DRIFT			0.85

typedef struct Shares
{
	VecxIndex  *index;
	const VecxBasis *basis;
	VecxCodeCache *cache;
	void	   *scratch;
	float	   *proj;
	double		kept;			/* sums over the links */
	double		whole;
	int			nlinks;
} Shares;

/* Adds one link of the record, if it is a live one at the base. */
static void
add_link(Shares *s, VecxId id)
{
	VecxIndex  *index = s->index;
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, id, &size);
	VecxCodeQuery query;
	VecxCached	self;
	VecxCached	other;
	int			link;
	double		dist;

	if (!rec || rec->level != 0 || (rec->flags & VECX_RECORD_DEAD) || rec->nlinks == 0)
		return;
	link = (int) pg_prng_uint64_range(&pg_global_prng_state, 0, rec->nlinks - 1);
	if (!VecxCodeCacheGet(s->cache, id, 0, &self))
		return;
	memcpy(s->proj, self.proj, vecx_basis_proj_bytes(s->basis));
	if (!VecxCodeCacheGet(s->cache, VecxLinkId(VecxRecordLink(&index->layout, rec, link)), 0, &other))
		return;
	vecx_code_query_init_code(&index->coder, &query, VecxRecordCode(&index->layout, rec), s->scratch);
	dist = vecx_code_distance(&index->coder, &query, other.code);
	if (s->basis->metric == VECX_METRIC_IP)
		dist = self.norm2 + other.norm2 + 2 * dist;
	if (!(dist > 0))
		return;
	for (uint32 i = 0; i < s->basis->ndims; i++)
	{
		double		r = ((const float *) other.proj)[i] - s->proj[i];

		/* relative to the link's length: one far neighbour is not the sample */
		s->kept += r * r / dist;
	}
	s->whole += 1;
	s->nlinks++;
}

/*
 * The share of residuals that the current model keeps, over a sample of the
 * links of records on some pages; -1 if that is not to be told.
 */
static double
kept_share(VecxIndex *index, BlockNumber from, BlockNumber to)
{
	Shares		s = {index, &VecxCurrentModel(index)->basis};
	uint64		per_page = Min(VECX_PAGE_CAPACITY / (VecxRecordSize(&index->layout, 0) + sizeof(ItemIdData)),
							   VECX_MAX_ITEMS);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx drift",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MemoryContext per_link = AllocSetContextCreate(cxt, "vecx drift, a link",
												   ALLOCSET_DEFAULT_SIZES);

	s.cache = VecxCodeCacheMake(index, cxt, 0);
	s.scratch = palloc(vecx_code_query_scratch(&index->coder));
	s.proj = palloc(vecx_basis_proj_bytes(s.basis));
	MemoryContextSwitchTo(per_link);
	for (int i = 0; i < TRIES && s.nlinks < SAMPLE_LINKS; i++)
	{
		BlockNumber blkno = (BlockNumber) pg_prng_uint64_range(&pg_global_prng_state, from, to - 1);

		CHECK_FOR_INTERRUPTS();
		add_link(&s, VecxIdMake(blkno, 1 + pg_prng_uint64_range(&pg_global_prng_state, 0, per_page - 1)));
		MemoryContextReset(per_link);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return s.nlinks < LEAST_LINKS ? -1 : Min(s.kept / s.whole, 1);
}

static VecxModelSlot *
current_slot(VecxMetaPageData *meta)
{
	for (int i = 0; i < VECX_MAX_MODELS; i++)
		if (meta->models[i].number == meta->current_model)
			return &meta->models[i];
	return NULL;
}

static void
set_kept(VecxMetaPageData *meta, void *arg)
{
	VecxModelSlot *slot = current_slot(meta);

	if (slot)
		slot->kept = *(uint8 *) arg;
}

/* Notes down what share of the residuals the model keeps now. */
static void
note_kept(VecxIndex *index, double share)
{
	uint8		kept = (uint8) Max(rint(share * 255), 1);

	if (share >= 0)
		VecxMetaEdit(index, set_kept, &kept);
}

/* Whether the current model is a trained one that leaves dimensions out. */
static bool
may_drift(VecxIndex *index)
{
	const VecxBasis *basis = &VecxCurrentModel(index)->basis;

	return basis->positions == NULL && basis->trained && basis->ndims < basis->dim;
}

/* The same after a training, when it suits all there is. */
void
VecxNoteKeptShare(VecxIndex *index)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);

	if (may_drift(index) && nblocks > 1)
		note_kept(index, kept_share(index, VECX_META_BLKNO + 1, nblocks));
}

/*
 * Whether the model keeps markedly less than when it was trained, of the newest
 * eighth of the file or of all.  A build does not note the share; the first call
 * takes it from the first half of the file.
 */
bool
VecxHasDrifted(VecxIndex *index)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	VecxModelSlot *slot = current_slot(&index->meta);
	double		newest;
	double		all;

	if (!slot || nblocks < 16 || !may_drift(index))
		return false;
	if (slot->kept == 0)
	{
		note_kept(index, kept_share(index, VECX_META_BLKNO + 1, nblocks / 2));
		slot = current_slot(&index->meta);
		if (!slot || slot->kept == 0)
			return false;
	}
	newest = kept_share(index, nblocks - nblocks / 8, nblocks);
	all = kept_share(index, VECX_META_BLKNO + 1, nblocks);
	return (newest >= 0 && newest * 255 < DRIFT * slot->kept) ||
		(all >= 0 && all * 255 < DRIFT * slot->kept);
}

/*
 * codecache.c
 *    Codes of records with their projections in the current model, for work
 *    that meets the same neighbours many times.  Direct-mapped: a record
 *    evicts whatever has its place.
 *
 * A copy stays right as long as ids are not reused, so users hold the training
 * lock, which VACUUM holds as well.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "am/am.h"

struct VecxCodeCache
{
	VecxIndex  *index;
	uint32		nslots;			/* a power of two */
	VecxCached *slots;
	float	   *scratch;
	void	   *vec;
};

/* A cache of about limit bytes. */
VecxCodeCache *
VecxCodeCacheMake(VecxIndex *index, MemoryContext cxt, Size limit)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxCodeCache *cache = palloc0(sizeof(VecxCodeCache));
	const VecxBasis *basis = &VecxCurrentModel(index)->basis;
	Size		code_bytes = MAXALIGN(index->coder.nbytes);
	Size		proj_bytes = MAXALIGN(vecx_basis_proj_bytes(basis));
	Size		each = sizeof(VecxCached) + code_bytes + proj_bytes;
	char	   *space;

	cache->index = index;
	cache->nslots = 64;
	while (cache->nslots * 2 * each <= limit && cache->nslots < (1u << 24) &&
		   cache->nslots < (Size) RelationGetNumberOfBlocks(index->rel) * VECX_MAX_ITEMS)
		cache->nslots *= 2;
	cache->slots = MemoryContextAllocHuge(cxt, sizeof(VecxCached) * cache->nslots);
	space = MemoryContextAllocHuge(cxt, (code_bytes + proj_bytes) * cache->nslots);
	for (uint32 i = 0; i < cache->nslots; i++)
	{
		cache->slots[i].id = VECX_INVALID_ID;
		cache->slots[i].code = (uint8 *) (space + (code_bytes + proj_bytes) * i);
		cache->slots[i].proj = cache->slots[i].code + code_bytes;
	}
	cache->scratch = palloc(sizeof(float) * vecx_basis_scratch_floats(basis, 1) + 1);
	cache->vec = palloc(VecxVectorBytes(index));
	MemoryContextSwitchTo(old);
	return cache;
}

/*
 * What there is to know of a record; false if it is gone.  The pointers in
 * *out are good until the next call.
 */
bool
VecxCodeCacheGet(VecxCodeCache *cache, VecxId id, int level, VecxCached *out)
{
	VecxIndex  *index = cache->index;
	VecxCached *slot = &cache->slots[((id * 0x9E3779B1u) >> 7) & (cache->nslots - 1)];

	if (slot->id != id)
	{
		Buffer		buf = VecxPinPage(index->rel, VecxIdBlock(id));
		VecxRecord	rec;
		Size		size;

		LockBuffer(buf, BUFFER_LOCK_SHARE);
		rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
		if (!rec || rec->level != level)
		{
			UnlockReleaseBuffer(buf);
			return false;
		}
		slot->id = VECX_INVALID_ID;
		memcpy(slot->code, VecxRecordCode(&index->layout, rec), index->coder.nbytes);
		slot->generation = rec->generation;
		slot->flags = rec->flags;
		UnlockReleaseBuffer(buf);

		slot->norm2 = vecx_code_norm2(&index->coder, slot->code);
		vecx_code_decode(&index->coder, slot->code, cache->vec);
		vecx_basis_project(&VecxCurrentModel(index)->basis, cache->vec, slot->proj, cache->scratch);
		slot->id = id;
	}
	*out = *slot;
	return true;
}

/*
 * repair.c
 *    Gives a vertex new links for those that lead to dead vertices.
 *
 * The candidates are the vertex's other links and the neighbours of its dead
 * neighbours (FreshDiskANN's consolidation).  The dead one's sketches rank its
 * neighbours; only the best of them are read.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/am.h"

typedef struct RepairCandidate
{
	VecxId		id;
	float		dist;
	int			slot;			/* where the record links to it now, or -1 */
	VecxCached	cached;			/* code and projection copied */
} RepairCandidate;

typedef struct Repair
{
	VecxIndex  *index;
	VecxCodeCache *cache;
	const VecxIdSet *dead;
	VecxId		id;
	VecxRecord	rec;
	VecxCached	self;
	VecxProbe  *probe;
	RepairCandidate *cands;
	int			ncands;
	VecxCandidate *pool;		/* neighbours of dead neighbours, by estimate */
	int			npool;
} Repair;

static VecxCached
copy_cached(VecxIndex *index, const VecxCached *from)
{
	Size		proj_bytes = vecx_basis_proj_bytes(&VecxCurrentModel(index)->basis);
	VecxCached	copy = *from;

	copy.code = memcpy(palloc(index->coder.nbytes), from->code, index->coder.nbytes);
	copy.proj = memcpy(palloc(proj_bytes), from->proj, proj_bytes);
	return copy;
}

static void
add_repair_candidate(Repair *r, VecxId id, int slot)
{
	VecxCached	cached;
	RepairCandidate *cand = &r->cands[r->ncands];

	if (!VecxCodeCacheGet(r->cache, id, r->rec->level, &cached) ||
		(cached.flags & VECX_RECORD_DEAD))
		return;
	cand->id = id;
	cand->slot = slot;
	cand->cached = copy_cached(r->index, &cached);
	cand->dist = vecx_code_distance(&r->index->coder, &r->probe->code, cand->cached.code);
	r->ncands++;
}

/* Notes the neighbours of a dead neighbour with their estimated distances. */
static void
pool_neighbours_of(Repair *r, VecxId dead_id)
{
	VecxIndex  *index = r->index;
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, dead_id, &size);
	int			max_links = VecxMaxLinks(index->meta.m, r->rec->level);
	float	   *est;
	float		dist;

	if (!rec || rec->level != r->rec->level || rec->nlinks > max_links)
		return;
	est = palloc(sizeof(float) * max_links);
	dist = vecx_code_distance(&index->coder, &r->probe->code, VecxRecordCode(&index->layout, rec));
	VecxProbeForModel(r->probe, rec->model);
	VecxRecordEstimates(r->probe, rec, dist, palloc(sizeof(int32) * max_links), est);
	for (int i = 0; i < rec->nlinks; i++)
	{
		VecxId		id = VecxLinkId(VecxRecordLink(&index->layout, rec, i));

		if (id == r->id || VecxIdSetContains(r->dead, id))
			continue;
		r->pool[r->npool].id = id;
		r->pool[r->npool++].est = est[i];
	}
}

static int
compare_pool(const void *a, const void *b)
{
	float		x = ((const VecxCandidate *) a)->est;
	float		y = ((const VecxCandidate *) b)->est;

	return (x > y) - (x < y);
}

static int
compare_repair(const void *a, const void *b)
{
	float		x = ((const RepairCandidate *) a)->dist;
	float		y = ((const RepairCandidate *) b)->dist;

	return (x > y) - (x < y);
}

static bool
is_candidate(const Repair *r, VecxId id)
{
	for (int i = 0; i < r->ncands; i++)
		if (r->cands[i].id == id)
			return true;
	return false;
}

/* Fills r->cands; returns how many links lead to dead vertices. */
static int
gather(Repair *r)
{
	int			max_links = VecxMaxLinks(r->index->meta.m, r->rec->level);
	int			ndead = 0;
	int			wanted;

	r->cands = palloc(sizeof(RepairCandidate) * max_links * 3);
	r->pool = palloc(sizeof(VecxCandidate) * max_links * max_links);
	r->ncands = r->npool = 0;
	for (int i = 0; i < r->rec->nlinks; i++)
	{
		VecxId		id = VecxLinkId(VecxRecordLink(&r->index->layout, r->rec, i));

		if (VecxIdSetContains(r->dead, id))
		{
			ndead++;
			pool_neighbours_of(r, id);
		}
		else
			add_repair_candidate(r, id, i);
	}
	qsort(r->pool, r->npool, sizeof(VecxCandidate), compare_pool);
	wanted = r->ncands + Min(2 * ndead + r->index->meta.m / 2, 2 * max_links);
	for (int i = 0; i < r->npool && r->ncands < wanted; i++)
		if (!is_candidate(r, r->pool[i].id))
			add_repair_candidate(r, r->pool[i].id, -1);
	qsort(r->cands, r->ncands, sizeof(RepairCandidate), compare_repair);
	return ndead;
}

/*
 * Puts the chosen candidates among the record's links: what was linked stays
 * in its slot, so that little changes on the page, and new ones take the
 * slots of those that go.
 */
static void
place_links(Repair *r, VecxRecord after, const int *chosen, int nchosen)
{
	VecxIndex  *index = r->index;
	const VecxBasis *basis = &VecxCurrentModel(index)->basis;
	int			max_links = VecxMaxLinks(index->meta.m, after->level);
	const RepairCandidate **slots = palloc0(sizeof(RepairCandidate *) * max_links);
	bool		renew = after->model != index->meta.current_model;
	int			free_slot = 0;
	int			nlinks = 0;

	for (int i = 0; i < nchosen; i++)
		if (r->cands[chosen[i]].slot >= 0)
			slots[r->cands[chosen[i]].slot] = &r->cands[chosen[i]];
	for (int i = 0; i < nchosen; i++)
	{
		if (r->cands[chosen[i]].slot >= 0)
			continue;
		while (slots[free_slot])
			free_slot++;
		slots[free_slot] = &r->cands[chosen[i]];
	}
	/* no gaps: the last links move forward */
	for (int i = max_links - 1; nlinks < nchosen; nlinks++)
	{
		if (slots[nlinks])
			continue;
		while (!slots[i])
			i--;
		slots[nlinks] = slots[i];
		slots[i] = NULL;
	}

	for (int i = 0; i < nchosen; i++)
	{
		const RepairCandidate *cand = slots[i];

		if (cand->slot >= 0 && !renew)
			memcpy(VecxRecordLink(&index->layout, after, i),
				   VecxRecordLink(&index->layout, r->rec, cand->slot), index->layout.link_size);
		else
			VecxEncodeLink(index, basis, cand->id, r->self.proj, cand->cached.proj,
						   r->self.norm2, cand->dist, VecxPopcount(index, cand->cached.norm2),
						   VecxRecordLink(&index->layout, after, i));
	}
	after->nlinks = (uint16) nchosen;
	after->model = index->meta.current_model;
}

static void
repair_once(Repair *r, VecxRecord after)
{
	VecxIndex  *index = r->index;
	int			max_links = Min(r->rec->link_cap, VecxMaxLinks(index->meta.m, r->rec->level));
	VecxLinkCandidate *cands = palloc(sizeof(VecxLinkCandidate) * (r->ncands + 1));
	int		   *chosen = palloc(sizeof(int) * (max_links + 1));
	int			n;

	for (int i = 0; i < r->ncands; i++)
	{
		cands[i].dist = r->cands[i].dist;
		cands[i].code = r->cands[i].cached.code;
	}
	n = VecxSelectLinks(&index->coder, cands, r->ncands, max_links,
						palloc(vecx_code_query_scratch(&index->coder)), chosen);
	place_links(r, after, chosen, n);
}

/*
 * Repairs the record of that id if any of its links leads into dead; leaves a
 * dead record alone.  Allocates in the current context.
 */
void
VecxRepairRecord(VecxIndex *index, VecxCodeCache *cache, const VecxIdSet *dead, VecxId id)
{
	for (;;)
	{
		Repair		r = {index, cache, dead, id};
		Size		size;
		VecxRecord	after;
		VecxCached	self;

		CHECK_FOR_INTERRUPTS();
		r.rec = VecxCopyRecord(index, id, &size);
		if (!r.rec || (r.rec->flags & VECX_RECORD_DEAD) ||
			!VecxCodeCacheGet(cache, id, r.rec->level, &self))
			return;
		r.self = copy_cached(index, &self);
		r.probe = VecxProbeMakeFromCode(index, r.self.code);
		if (gather(&r) == 0)
			return;
		after = palloc(size);
		memcpy(after, r.rec, size);
		repair_once(&r, after);
		if (VecxReplaceLinks(index, id, r.rec, after))
			return;
	}
}

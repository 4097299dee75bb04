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
#include "am/heap.h"

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
	qsort(r->pool, r->npool, sizeof(VecxCandidate), VecxCompareCandidates);
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
	for (int i = 0; i < VECX_SOLE_LINKS; i++)
		VecxLinkSetSole(after, i, i < nchosen && slots[i]->slot >= 0 && VecxLinkIsSole(r->rec, slots[i]->slot));
	after->model = index->meta.current_model;
}

/* Whether some chosen candidate is nearer to cand than the vertex is. */
static bool
is_occluded(Repair *r, const RepairCandidate *cand, const int *chosen, int nchosen, void *scratch)
{
	const VecxCoder *coder = &r->index->coder;
	VecxCodeQuery query;

	vecx_code_query_init_code(coder, &query, cand->cached.code, scratch);
	for (int i = 0; i < nchosen; i++)
		if (vecx_code_distance(coder, &query, r->cands[chosen[i]].cached.code) < cand->dist)
			return true;
	return false;
}

/*
 * What was linked and lives stays.  For each dead link there may be a new one,
 * by the RNG rule as long as it finds some, then the nearest.
 */
static void
repair_once(Repair *r, VecxRecord after, int ndead)
{
	VecxIndex  *index = r->index;
	int		   *chosen = palloc(sizeof(int) * (r->ncands + 1));
	int		   *pruned = palloc(sizeof(int) * (r->ncands + 1));
	void	   *scratch = palloc(vecx_code_query_scratch(&index->coder));
	int			nchosen = 0;
	int			npruned = 0;
	int			wanted;

	for (int i = 0; i < r->ncands; i++)
		if (r->cands[i].slot >= 0)
			chosen[nchosen++] = i;
	wanted = Min(nchosen + ndead, r->rec->link_cap);
	for (int i = 0; i < r->ncands && nchosen < wanted; i++)
	{
		if (r->cands[i].slot >= 0)
			continue;
		if (is_occluded(r, &r->cands[i], chosen, nchosen, scratch))
			pruned[npruned++] = i;
		else
			chosen[nchosen++] = i;
	}
	for (int i = 0; i < npruned && nchosen < wanted; i++)
		chosen[nchosen++] = pruned[i];
	place_links(r, after, chosen, nchosen);
}

/*
 * Repairs the record of that id if any of its links leads into dead; leaves a
 * dead record alone.  True if it is a base record that lost half of its links
 * or more, and might be cut off.  Allocates in the current context.
 */
bool
VecxRepairRecord(VecxIndex *index, VecxCodeCache *cache, const VecxIdSet *dead, VecxId id)
{
	for (;;)
	{
		Repair		r = {index, cache, dead, id};
		Size		size;
		VecxRecord	after;
		VecxCached	self;
		int			ndead;

		CHECK_FOR_INTERRUPTS();
		r.rec = VecxCopyRecord(index, id, &size);
		if (!r.rec || (r.rec->flags & VECX_RECORD_DEAD) ||
			!VecxCodeCacheGet(cache, id, r.rec->level, &self))
			return false;
		r.self = copy_cached(index, &self);
		r.probe = VecxProbeMakeFromCode(index, r.self.code);
		ndead = gather(&r);
		if (ndead == 0)
			return false;
		after = palloc(size);
		memcpy(after, r.rec, size);
		repair_once(&r, after, ndead);
		if (VecxReplaceLinks(index, id, r.rec, after))
			return r.rec->level == 0 && 2 * ndead >= r.rec->nlinks;
	}
}

static int
compare_neighbours(const void *a, const void *b)
{
	float		x = ((const VecxNeighbour *) a)->dist;
	float		y = ((const VecxNeighbour *) b)->dist;

	return (x > y) - (x < y);
}

/*
 * Gives a base record that no other links to links from those that it links to
 * itself.  Allocates in the current context.
 */
void
VecxAdoptOrphan(VecxIndex *index, VecxCodeCache *cache, VecxId id)
{
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, id, &size);
	VecxProbe  *probe;
	VecxNeighbour *neighbours;
	int			n = 0;

	if (!rec || rec->level != 0 || (rec->flags & VECX_RECORD_DEAD))
		return;
	probe = VecxProbeMakeFromCode(index, VecxRecordCode(&index->layout, rec));
	neighbours = palloc(sizeof(VecxNeighbour) * (rec->nlinks + 1));
	for (int i = 0; i < rec->nlinks; i++)
	{
		VecxNeighbour *nb = &neighbours[n];
		VecxCached	cached;

		nb->id = VecxLinkId(VecxRecordLink(&index->layout, rec, i));
		if (!VecxCodeCacheGet(cache, nb->id, 0, &cached) || (cached.flags & VECX_RECORD_DEAD))
			continue;
		cached = copy_cached(index, &cached);
		nb->generation = cached.generation;
		nb->level = 0;
		nb->dist = vecx_code_distance(&index->coder, &probe->code, cached.code);
		nb->norm2 = cached.norm2;
		nb->code = cached.code;
		nb->proj = cached.proj;
		nb->model = index->meta.current_model;
		n++;
	}
	qsort(neighbours, n, sizeof(VecxNeighbour), compare_neighbours);
	VecxLinkBackSurely(probe, id, neighbours, n, n);
}

static bool
is_chosen(const VecxNeighbour *neighbours, int n, VecxId id)
{
	for (int i = 0; i < n; i++)
		if (neighbours[i].id == id)
			return true;
	return false;
}

/* Whether a link of a record that leads there is to stay. */
static bool
has_sole_link(VecxIndex *index, const VecxRecordData *rec, VecxId id)
{
	for (int i = 0; i < Min(rec->nlinks, VECX_SOLE_LINKS); i++)
		if (VecxLinkIsSole(rec, i) && VecxLinkId(VecxRecordLink(&index->layout, rec, i)) == id)
			return true;
	return false;
}

/*
 * Puts the neighbours into a copy of a record, and behind them, as far as there
 * is room, what it linked to before and lives: ways to farther off.
 */
static VecxRecord
record_with_links(VecxIndex *index, VecxRecord rec, Size size, VecxProbe *probe,
				  const VecxNeighbour *neighbours, int n, const VecxIdSet *dead)
{
	VecxProbeModel *pm = VecxProbeForModel(probe, index->meta.current_model);
	VecxRecord	after = palloc(size);
	int			nlinks = Min(n, rec->link_cap);

	memcpy(after, rec, size);
	after->sole = 0;
	for (int i = 0; i < nlinks; i++)
	{
		VecxEncodeLink(index, &pm->basis, neighbours[i].id, pm->proj, neighbours[i].proj,
					   probe->code.norm2, neighbours[i].dist,
					   VecxPopcount(index, neighbours[i].norm2),
					   VecxRecordLink(&index->layout, after, i));
		VecxLinkSetSole(after, i, has_sole_link(index, rec, neighbours[i].id));
	}
	for (int i = 0; i < rec->nlinks && nlinks < rec->link_cap &&
		 rec->model == index->meta.current_model; i++)
	{
		const uint8 *link = VecxRecordLink(&index->layout, rec, i);

		if (!is_chosen(neighbours, n, VecxLinkId(link)) &&
			!VecxIdSetContains(dead, VecxLinkId(link)))
		{
			VecxLinkSetSole(after, nlinks, VecxLinkIsSole(rec, i));
			memcpy(VecxRecordLink(&index->layout, after, nlinks++), link, index->layout.link_size);
		}
	}
	after->nlinks = (uint16) nlinks;
	after->model = index->meta.current_model;
	return after;
}

/*
 * Links a base record anew, as an insert would, by a search that passes by the
 * dead: where much around a vertex has died, the neighbours of its dead
 * neighbours are few, and what is left may link to each other only.  Allocates
 * in the current context.
 */
void
VecxRelink(VecxIndex *index, const VecxIdSet *dead, VecxId id)
{
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, id, &size);
	VecxProbe  *probe;
	VecxSearch *search;
	VecxId		seeds[VECX_MAX_SEEDS];
	VecxOpened *opened;
	VecxNeighbour *neighbours;
	int			nopened;
	int			n;
	bool		replaced = false;

	if (!rec || rec->level != 0 || (rec->flags & VECX_RECORD_DEAD))
		return;
	probe = VecxProbeMakeFromCode(index, VecxRecordCode(&index->layout, rec));
	search = VecxSearchMake(index, CurrentMemoryContext, true);
	VecxSearchHide(search, dead);
	opened = VecxSearchForLinks(search, probe, 0, seeds,
								VecxSearchDescend(search, probe, 0, seeds), &nopened);
	neighbours = VecxChooseNeighbours(index, id, 0, opened, nopened, &n);
	VecxProjectNeighbours(index, neighbours, n);
	/* if an insert comes between, the links as they are will do */
	if (n > 0)
		replaced = VecxReplaceLinks(index, id, rec,
									record_with_links(index, rec, size, probe, neighbours, n, dead));
	VecxLinkBackSurely(probe, id, neighbours, replaced ? Min(n, rec->link_cap) : 0, n);
}

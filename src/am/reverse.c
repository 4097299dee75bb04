/*
 * reverse.c
 *    Enters a new vertex among the links of its neighbours.
 *
 * The new vertex is a query at a neighbour: the neighbour's own sketches
 * tell how far the new one is from each of its links, and no other record is
 * read.
 *
 * What an insert costs, in time and in WAL, is the number of pages that it
 * changes.  So links on one page are one change, and several pages share a
 * record of WAL.
 */
#include "postgres.h"

#include "am/am.h"

/* A neighbour that is to link to the new vertex. */
typedef struct Back
{
	const VecxNeighbour *n;
	uint8		model;			/* that the link is made in, 0: not made yet */
	uint8		wanted_model;	/* that the record has, as far as it is known */
	uint8	   *link;
	const void *proj;			/* of the neighbour, in that model */
	int			slot;			/* where the link goes, -1: nowhere */
} Back;

/* All that are to link to one new vertex. */
typedef struct LinkBack
{
	VecxProbe  *probe;
	VecxId		id;				/* of the new vertex */
	const VecxNeighbour *linked;	/* what it links to */
	int			nlinked;
	VecxLinkForce force;
	Back	   *backs;			/* by page */
	int			nbacks;
	int			taken;
	float	   *to_new;			/* estimated distance of each link to the new vertex */
	float	   *to_owner;		/* and to the vertex whose links they are */
	int8	   *owner_codes;	/* room for those of the owner as a query at itself */
	uint32		owner_room;		/* how many there are */
	int32	   *scratch;
} LinkBack;

/* Makes the link, in the model that the neighbour's record has. */
static void
make_link(LinkBack *lb, Back *b)
{
	VecxIndex  *index = lb->probe->index;
	const VecxNeighbour *n = b->n;
	VecxProbeModel *pm = VecxProbeForModel(lb->probe, b->wanted_model);

	if (pm->basis.pdims > lb->owner_room)
	{
		lb->owner_room = pm->basis.pdims;
		lb->owner_codes = palloc(lb->owner_room);
	}
	b->proj = n->proj;
	if (b->wanted_model != n->model)
		b->proj = VecxProbeForModel(VecxProbeMakeFromCode(index, n->code), b->wanted_model)->proj;
	VecxEncodeLink(index, &pm->basis, lb->id, b->proj, pm->proj, n->norm2, n->dist,
				   VecxProbePopcount(lb->probe), b->link);
	b->model = b->wanted_model;
}

/* Distances of a record's links, to the new vertex and to their owner. */
static void
score_links(LinkBack *lb, const Back *b, const VecxRecordData *rec)
{
	VecxIndex  *index = lb->probe->index;
	const VecxNeighbour *n = b->n;
	VecxProbeModel *pm = VecxProbeForModel(lb->probe, b->model);
	float		self_nav = index->spec->metric == VECX_METRIC_IP ? -n->norm2 : 0;
	VecxSketchQuery self;

	vecx_sketch_query_init(&pm->basis, b->proj, VecxPopcount(index, n->norm2), lb->owner_codes, &self);
	VecxRecordEstimates(lb->probe, rec, n->dist, lb->scratch, lb->to_new);
	vecx_sketch_estimate(&pm->basis, &self, self_nav, n->norm2,
						 VecxRecordLink(&index->layout, rec, 0) + VECX_LINK_SKETCH,
						 index->layout.link_size, rec->nlinks, lb->scratch, lb->to_owner);
}

/* Whether the new vertex links to what a link of a record leads to. */
static bool
links_to(const LinkBack *lb, const VecxRecordData *rec, int link)
{
	VecxId		id = VecxLinkId(VecxRecordLink(&lb->probe->index->layout, rec, link));

	for (int i = 0; i < lb->nlinked; i++)
		if (lb->linked[i].id == id)
			return true;
	return false;
}

/* How well a link can be spared. */
typedef enum Spare
{
	SPARE_NOT,					/* it may be the last that leads there, by the record's word */
	SPARE_MAYBE,
	SPARE_SURELY				/* the new vertex links there as well */
} Spare;

/* A link that a full record may give up. */
typedef struct GivenUp
{
	int			slot;			/* -1: none */
	Spare		spare;
	float		to_owner;
} GivenUp;

/* The one that can be spared best; of several the farthest. */
static inline void
consider(GivenUp *given, int slot, Spare spare, float to_owner)
{
	if (given->slot < 0 || spare > given->spare || (spare == given->spare && to_owner > given->to_owner))
		*given = (GivenUp) {slot, spare, to_owner};
}

/* What the new vertex links to is looked up only where it matters. */
static inline Spare
spare_of(const LinkBack *lb, const VecxRecordData *rec, int link, bool occludes)
{
	if (VecxLinkIsSole(rec, link))
		return SPARE_NOT;
	return (occludes || lb->force != VECX_LINK_OFFERED) && links_to(lb, rec, link) ? SPARE_SURELY : SPARE_MAYBE;
}

/*
 * Where a record takes the new link, which is dist long: in a free place, but
 * for base records with many links, if the new vertex may be reached by way of
 * a nearer link (needless).  A full record gives up one of the links
 * that the new vertex occludes (it is nearer to them than their owner, and
 * nearer to the owner than they are); without such the farthest, if it is
 * farther, and the new one not needless.  -1: nowhere.
 */
static int
choose_slot(LinkBack *lb, const Back *b, const VecxRecordData *rec)
{
	float		dist = b->n->dist;
	bool		full = rec->nlinks >= rec->link_cap;
	GivenUp		occluded = {-1, SPARE_NOT, 0};
	GivenUp		any = {-1, SPARE_NOT, 0};
	bool		needless = false;

	if (!full && (lb->force != VECX_LINK_OFFERED || rec->level > 0 ||
				  rec->nlinks < VecxFewLinks(lb->probe->index->meta.m)))
		return rec->nlinks;
	if (rec->nlinks == 0)
		return -1;
	score_links(lb, b, rec);
	for (int i = 0; i < rec->nlinks; i++)
	{
		float		to_owner = lb->to_owner[i];
		bool		occludes = dist < to_owner && lb->to_new[i] < to_owner;
		Spare		spare = spare_of(lb, rec, i, occludes);

		consider(&any, i, spare, to_owner);
		if (occludes)
			consider(&occluded, i, spare, to_owner);
		if (to_owner < dist && lb->to_new[i] < dist)
			needless = true;
	}
	if (!full)
		return needless ? -1 : rec->nlinks;
	if (occluded.slot >= 0 && occluded.spare > SPARE_NOT)
		return occluded.slot;
	if (lb->force == VECX_LINK_NEEDED)
		return any.slot;
	if (any.spare == SPARE_NOT || (lb->force == VECX_LINK_OFFERED && (needless || any.to_owner <= dist)))
		return -1;
	return any.slot;
}

/* The link of a record that leads to an id, or -1. */
static int
find_link(VecxIndex *index, const VecxRecordData *rec, VecxId id)
{
	for (int i = 0; i < rec->nlinks; i++)
		if (VecxLinkId(VecxRecordLink(&index->layout, rec, i)) == id)
			return i;
	return -1;
}

/* Looks at the neighbour on its locked page, and decides on b->slot.  One that
 * is gone, or whose record is of another model than the link, gets none. */
static void
decide(LinkBack *lb, Back *b, Page page)
{
	VecxIndex  *index = lb->probe->index;
	Size		size;
	VecxRecord	rec = VecxGetRecord(index, page, b->n->id, &size);

	b->slot = -1;
	if (!rec || rec->level != b->n->level || rec->generation != b->n->generation ||
		(rec->flags & VECX_RECORD_DEAD))
		return;
	b->wanted_model = rec->model;
	if (rec->model != b->model)
		return;
	/* VACUUM and an insert may both find that the vertex lacks links to it */
	if (find_link(index, rec, lb->id) >= 0)
		lb->taken++;
	else
		b->slot = choose_slot(lb, b, rec);
}

static void
put_link(LinkBack *lb, const Back *b, Page page)
{
	VecxIndex  *index = lb->probe->index;
	Size		size;
	VecxRecord	rec = VecxGetRecord(index, page, b->n->id, &size);

	memcpy(VecxRecordLink(&index->layout, rec, b->slot), b->link, index->layout.link_size);
	VecxLinkSetSole(rec, b->slot, false);
	if (b->slot == rec->nlinks)
		rec->nlinks++;
	lb->taken++;
}

/*
 * Offers the link to neighbours from the one at on, and logs what as many
 * pages as fit one record of WAL take of it.  Returns the first neighbour
 * that it has not come to.
 *
 * Pages beyond the first are locked only if that can be had without waiting,
 * so that it does not matter in which order others lock theirs.
 */
static int
offer_some(LinkBack *lb, int at)
{
	VecxIndex  *index = lb->probe->index;
	VecxPageChange change;
	Buffer		locked[VECX_CHANGE_PAGES];
	int			nlocked = 0;

	while (at < lb->nbacks && nlocked < VECX_CHANGE_PAGES)
	{
		BlockNumber blkno = VecxIdBlock(lb->backs[at].n->id);
		Buffer		buf = VecxReadBuffer(index->rel, blkno);
		bool		some = false;
		int			end = at;
		Page		page;

		if (nlocked == 0)
			LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		else if (!ConditionalLockBuffer(buf))
		{
			ReleaseBuffer(buf);
			break;
		}
		for (; end < lb->nbacks && VecxIdBlock(lb->backs[end].n->id) == blkno; end++)
		{
			decide(lb, &lb->backs[end], BufferGetPage(buf));
			some |= lb->backs[end].slot >= 0;
		}
		if (!some)
			UnlockReleaseBuffer(buf);
		else
		{
			if (nlocked == 0)
				VecxPageBegin(&change, index->rel, buf, index->mode, false);
			page = nlocked == 0 ? change.page : VecxPageJoin(&change, buf);
			locked[nlocked++] = buf;
			for (int i = at; i < end; i++)
				if (lb->backs[i].slot >= 0)
					put_link(lb, &lb->backs[i], page);
		}
		at = end;
	}
	if (nlocked > 0)
		VecxPageCommit(&change);
	for (int i = 0; i < nlocked; i++)
		UnlockReleaseBuffer(locked[i]);
	return at;
}

static int
compare_backs(const void *a, const void *b)
{
	VecxId		x = ((const Back *) a)->n->id;
	VecxId		y = ((const Back *) b)->n->id;

	return (x > y) - (x < y);
}

/*
 * Lets count neighbours from the first given on link to the new vertex id, whose probe is
 * given and which links to nlinked of them; all of one level.  Returns how many did; a
 * neighbour may be gone.
 */
int
VecxLinkBack(VecxProbe *probe, VecxId id, const VecxNeighbour *neighbours, int nlinked, int first,
			 int count, VecxLinkForce force)
{
	VecxIndex  *index = probe->index;
	int			max_links = VecxMaxLinks(index->meta.m, 0);
	LinkBack	lb = {.probe = probe, .id = id, .linked = neighbours, .nlinked = nlinked, .force = force};

	lb.backs = palloc0(sizeof(Back) * Max(count, 1));
	lb.to_new = palloc(sizeof(float) * max_links);
	lb.to_owner = palloc(sizeof(float) * max_links);
	lb.scratch = palloc(sizeof(int32) * max_links);
	for (int i = 0; i < count; i++)
	{
		lb.backs[i].n = &neighbours[first + i];
		lb.backs[i].wanted_model = neighbours[first + i].model;
		lb.backs[i].link = palloc(index->layout.link_size);
	}
	lb.nbacks = count;
	qsort(lb.backs, count, sizeof(Back), compare_backs);
	while (lb.nbacks > 0)
	{
		int			left = 0;

		for (int i = 0; i < lb.nbacks; i++)
			make_link(&lb, &lb.backs[i]);
		for (int at = 0; at < lb.nbacks;)
			at = offer_some(&lb, at);
		/* once more those whose sketches turned out to be of another model */
		for (int i = 0; i < lb.nbacks; i++)
			if (lb.backs[i].model != lb.backs[i].wanted_model)
				lb.backs[left++] = lb.backs[i];
		lb.nbacks = left;
	}
	return lb.taken;
}

/* Has a neighbour keep its link to a base record; false if it has none. */
static bool
keep_link(VecxIndex *index, const VecxNeighbour *n, VecxId id)
{
	Buffer		buf = VecxReadBuffer(index->rel, VecxIdBlock(n->id));
	VecxPageChange change;
	VecxRecord	rec;
	Size		size;
	int			slot = -1;

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	rec = VecxGetRecord(index, BufferGetPage(buf), n->id, &size);
	if (rec && rec->level == 0 && rec->generation == n->generation)
		slot = find_link(index, rec, id);
	if (slot >= 0 && slot < VECX_SOLE_LINKS && !VecxLinkIsSole(rec, slot))
	{
		VecxPageBegin(&change, index->rel, buf, index->mode, false);
		VecxLinkSetSole(VecxGetRecord(index, change.page, n->id, &size), slot, true);
		VecxPageCommit(&change);
	}
	UnlockReleaseBuffer(buf);
	return slot >= 0;
}

/*
 * So few links to a base record are to stay: others would take their places.  Where many vertices
 * have the same few nearest, far from the middle of a cluster of many dimensions, 1,626 of 6,000 lost
 * their last link; 667, 225 and 15 did where the links of 1, 2 and 4 neighbours stayed.
 */
#define FEW_WAYS_IN	4

/* The same of all n neighbours, but the nearest have to give up a link until there is one that takes
 * it: no vertex without a way in. */
void
VecxLinkBackSurely(VecxProbe *probe, VecxId id, const VecxNeighbour *neighbours, int nlinked, int n)
{
	int			taken = VecxLinkBack(probe, id, neighbours, nlinked, 0, n, VECX_LINK_OFFERED);

	for (int i = 0; i < n && taken == 0; i++)
		taken = VecxLinkBack(probe, id, neighbours, nlinked, i, 1, VECX_LINK_WANTED);
	for (int i = 0; i < n && taken == 0; i++)
		taken = VecxLinkBack(probe, id, neighbours, nlinked, i, 1, VECX_LINK_NEEDED);
	if (taken > FEW_WAYS_IN)
		return;
	for (int i = 0; i < n && taken > 0 && neighbours[i].level == 0; i++)
		taken -= keep_link(probe->index, &neighbours[i], id);
}

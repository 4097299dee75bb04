/*
 * reverse.c
 *    Enters a new vertex among the links of a neighbour.
 *
 * The new vertex is a query at the neighbour: the neighbour's own sketches
 * tell how far the new one is from each of its links, and no other record is
 * read.
 */
#include "postgres.h"

#include "am/am.h"

typedef struct Scores
{
	float	   *to_new;			/* estimated distance of each link to the new vertex */
	float	   *to_owner;		/* and to the vertex whose links they are */
	int32	   *scratch;
} Scores;

static void
make_scores(Scores *scores, int max_links)
{
	scores->to_new = palloc(sizeof(float) * max_links);
	scores->to_owner = palloc(sizeof(float) * max_links);
	scores->scratch = palloc(sizeof(int32) * max_links);
}

/*
 * Which link of a full record gives way: the farthest of those that the new
 * vertex occludes (it is nearer to them than their owner, and nearer to the
 * owner than they are).  Without such the new one may itself be reached by way
 * of a nearer link (needless); else the farthest gives way if it is farther.
 * force: even then.  -1: none.
 */
static int
choose_victim(const Scores *scores, int nlinks, float dist, bool force)
{
	int			occluded = -1;
	int			farthest = 0;
	bool		needless = false;

	for (int i = 0; i < nlinks; i++)
	{
		if (scores->to_owner[i] > scores->to_owner[farthest])
			farthest = i;
		if (dist < scores->to_owner[i] && scores->to_new[i] < scores->to_owner[i] &&
			(occluded < 0 || scores->to_owner[i] > scores->to_owner[occluded]))
			occluded = i;
		if (scores->to_owner[i] < dist && scores->to_new[i] < dist)
			needless = true;
	}
	if (occluded >= 0)
		return occluded;
	if (needless && !force)
		return -1;
	if (force || scores->to_owner[farthest] > dist)
		return farthest;
	return -1;
}

/* Where the new link goes in the record on the page, or -1. */
static int
choose_slot(VecxIndex *index, VecxProbe *probe, const VecxSketchQuery *self,
			const VecxBasis *basis, VecxRecord rec, const VecxNeighbour *n,
			Scores *scores, bool force)
{
	float		self_nav = index->spec->metric == VECX_METRIC_IP ? -n->norm2 : 0;

	VecxRecordEstimates(probe, rec, n->dist, scores->scratch, scores->to_new);
	vecx_sketch_estimate(basis, self, self_nav, n->norm2,
						 VecxRecordLink(&index->layout, rec, 0) + VECX_LINK_SKETCH,
						 index->layout.link_size, rec->nlinks,
						 scores->scratch, scores->to_owner);
	return choose_victim(scores, rec->nlinks, n->dist, force);
}

static bool
has_link(VecxIndex *index, VecxRecord rec, VecxId id)
{
	for (int i = 0; i < rec->nlinks; i++)
		if (VecxLinkId(VecxRecordLink(&index->layout, rec, i)) == id)
			return true;
	return false;
}

/*
 * Makes neighbour link to the new vertex id, whose probe is given.  force:
 * even if it has to give up a link that is as good.  False if the neighbour
 * did not take it, or is gone.
 */
bool
VecxAddReverseLink(VecxProbe *probe, VecxId id, const VecxNeighbour *n, bool force)
{
	VecxIndex  *index = probe->index;
	int			max_links = VecxMaxLinks(index->meta.m, n->level);
	uint8	   *link = palloc(index->layout.link_size);
	Scores		scores;
	uint8		model = n->model;
	bool		taken = false;

	make_scores(&scores, max_links);
	for (;;)
	{
		VecxProbeModel *pm = VecxProbeForModel(probe, model);
		const void *pv = n->proj;
		VecxSketchQuery self;
		VecxProbe  *old = NULL;
		Buffer		buf;
		VecxRecord	rec;
		VecxPageChange change;
		Size		size;
		int			slot;

		if (model != n->model)
		{
			old = VecxProbeMakeFromCode(index, n->code);
			pv = VecxProbeForModel(old, model)->proj;
		}
		vecx_sketch_query_init(&pm->basis, pv, VecxPopcount(index, n->norm2),
							   palloc(pm->basis.pdims), &self);
		VecxEncodeLink(index, &pm->basis, id, pv, pm->proj, n->norm2, n->dist,
					   VecxProbePopcount(probe), link);

		buf = VecxReadBuffer(index->rel, VecxIdBlock(n->id));
		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		rec = VecxGetRecord(index, BufferGetPage(buf), n->id, &size);
		if (!rec || rec->level != n->level || rec->generation != n->generation ||
			(rec->flags & VECX_RECORD_DEAD))
		{
			UnlockReleaseBuffer(buf);
			break;
		}
		if (rec->model != model)
		{
			model = rec->model;
			UnlockReleaseBuffer(buf);
			continue;
		}

		/* VACUUM and an insert may both find that the vertex lacks links to it */
		if (has_link(index, rec, id))
		{
			UnlockReleaseBuffer(buf);
			taken = true;
			break;
		}
		slot = rec->nlinks;
		if (slot >= rec->link_cap)
			slot = rec->nlinks == 0 ? -1 :
				choose_slot(index, probe, &self, &pm->basis, rec, n, &scores, force);
		if (slot >= 0)
		{
			VecxPageBegin(&change, index->rel, buf, index->mode, false);
			rec = VecxGetRecord(index, change.page, n->id, &size);
			memcpy(VecxRecordLink(&index->layout, rec, slot), link, index->layout.link_size);
			if (slot == rec->nlinks)
				rec->nlinks++;
			VecxPageCommit(&change);
			taken = true;
		}
		UnlockReleaseBuffer(buf);
		break;
	}
	return taken;
}

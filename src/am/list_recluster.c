/*
 * list_recluster.c
 *    VACUUM's k-means over lists that have come of splits.
 *
 * A split cuts one list in two where its own rows are, once: so lists that grew out of
 * others are a tree's leaves, and what a build finds by moving all centroids together they
 * do not find.  So when two thirds of the lists may have come of others, near lists are
 * taken together, some at a time, and clusters are made of all of their rows.  Then each
 * row goes where it belongs (list_settle.c).
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list.h"

/* Lists that are taken together, at most, and centroids among which they are. */
#define GROUP_LISTS		8
#define GROUP_NEAR		16

/* Share of maintenance_work_mem that settling may take, lest a later VACUUM has too little
 * for it. */
#define SETTLING_SHARE	4

static int
compare_heads(const void *a, const void *b)
{
	BlockNumber x = ((const VecxListRef *) a)->head;
	BlockNumber y = ((const VecxListRef *) b)->head;

	return (x > y) - (x < y);
}

/* Whether a list is one of those noted, by their heads, and its rows are still in it. */
static bool
is_waiting(VecxIndex *index, const VecxListRefs *refs, const VecxListRef *list)
{
	VecxListState state;

	if (!bsearch(list, refs->refs, refs->n, sizeof(VecxListRef), compare_heads))
		return false;
	VecxListLook(index, list->head, &state);
	return !state.closed && state.rows > 0;
}

/* The list and others near to it that wait, nearest first. */
static int
gather(VecxIndex *index, const VecxListRefs *refs, const VecxListRef *list, VecxListRef *group)
{
	float	   *centre = palloc(sizeof(float) * index->meta.dim);
	VecxOpened *near;
	int			nnear;
	int			n = 0;

	if (!is_waiting(index, refs, list) || !VecxListReadCentroid(index, list, centre))
		return 0;
	group[n++] = *list;
	near = VecxListNearest(index, centre, GROUP_NEAR, &nnear);
	for (int i = 0; i < nnear && n < GROUP_LISTS; i++)
	{
		VecxListRef other = {near[i].id, near[i].nrows > 0 ? VecxListOfTid(&near[i].tids[0]) : 0};

		if (!near[i].dead && near[i].nrows > 0 && other.head != list->head && is_waiting(index, refs, &other))
			group[n++] = other;
	}
	return n;
}

static void
note_unsettled(VecxMetaPageData *meta, void *arg)
{
	meta->lists_unsettled = 1;
}

/* The index is longer by so much, though no rows came: a curve that nobody measures anew
 * would be taken for that of a smaller one. */
static void
lengthen_curve(VecxMetaPageData *meta, void *arg)
{
	VecxListCurveLengthen(meta, *(double *) arg);
}

/*
 * Clusters the lists anew that were noted as open, if it is time and there is memory.
 * Their rows have to be settled then: copies are left out here.  Not before rows were
 * settled that were regrouped before.  The caller has the training lock, and a memory context that
 * may be reset.
 */
void
VecxListsRecluster(VecxIndex *index, Relation heap, VecxListNotes *notes)
{
	VecxListRefs *refs = &notes->open;
	BlockNumber before = RelationGetNumberOfBlocks(index->rel);

	VecxIndexRefresh(index);
	if (refs->n == 0 || index->meta.lists_unsettled ||
		(uint64) index->meta.lists_made * 3 < (uint64) refs->n * 2 ||
		refs->n > VecxListsMostSettled(index) / SETTLING_SHARE)
		return;
	VecxMetaEdit(index, note_unsettled, NULL);
	qsort(refs->refs, refs->n, sizeof(VecxListRef), compare_heads);
	for (int i = 0; i < refs->n; i++)
	{
		VecxListRef group[GROUP_LISTS];
		int			n;

		vacuum_delay_point(false);
		VecxIndexRefresh(index);
		n = gather(index, refs, &refs->refs[i], group);
		if (n > 0)
		{
			VecxListRegroup(index, heap, group, n, true);
			VecxListNoteEmptied(notes, index, group, n);
		}
		MemoryContextReset(CurrentMemoryContext);
	}
	if (!VecxCurveIsRenewed(index))
	{
		double		growth = VecxListPagesAmong(RelationGetNumberOfBlocks(index->rel), &index->meta) /
			VecxListPagesAmong(before, &index->meta);

		VecxMetaEdit(index, lengthen_curve, &growth);
	}
}

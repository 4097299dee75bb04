/*
 * list_merge.c
 *    What VACUUM does for lists that it leaves too short, or too long, and for what a
 *    split left behind.
 *
 * A list that has lost most of its rows costs a search as much as any other, and finds
 * it less.  So its rows and those of near lists go to new ones of the usual length
 * (LIRE's merges, but that no row goes to a list that is there: README.lists.md).  Rows
 * that nobody could read when their list was closed go the same way.
 *
 * VACUUM has seen all rows by then, and holds the training lock.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/index.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list.h"

/* A list is short with less than this part of the rows it is made for; and one that came
 * of a merge is not soon short again, with at least that. */
#define SHORT_PART		4
#define ENOUGH_PART		2

/* Lists that become one, at most. */
#define MOST_MERGED		8

/* Closed lists are worth a VACUUM when they are such a part of the index. */
#define CLOSED_PART		50

/* Lists that VACUUM notes, within this share of maintenance_work_mem; others are left to
 * the next. */
#define NOTED_SHARE		16

void
VecxListNotesInit(VecxListNotes *notes)
{
	memset(notes, 0, sizeof(*notes));
	notes->most = (int) Min((Size) VecxMaintenanceMemory() * 1024 / NOTED_SHARE / sizeof(VecxListRef),
							(Size) INT_MAX / 2);
}

static void
add_ref(VecxListRefs *refs, const VecxListNotes *notes, VecxId centroid, BlockNumber head)
{
	if (refs->n >= notes->most)
		return;
	if (refs->n == refs->cap)
	{
		refs->cap = Max(refs->cap * 2, 64);
		refs->refs = refs->refs ?
			repalloc_huge(refs->refs, sizeof(VecxListRef) * refs->cap) :
			palloc(sizeof(VecxListRef) * refs->cap);
	}
	refs->refs[refs->n++] = (VecxListRef) {centroid, head};
}

/* Notes a list, and whether there is something to be done for it. */
void
VecxListNote(VecxListNotes *notes, VecxIndex *index, VecxId centroid, BlockNumber head,
			 const VecxListState *state)
{
	const VecxLists *lists = index->lists;

	if (state->rows == 0)
		return;
	if (!state->closed)
		add_ref(&notes->open, notes, centroid, head);
	if (state->closed ? state->left :
		state->rows * SHORT_PART < lists->list_entries ||
		(state->npages > Max(VecxListMostPages(lists), state->split_pages) && state->rows > lists->list_entries))
		add_ref(&notes->due, notes, centroid, head);
}

/* The vector that a centroid's code stands for; false if it is dead or gone. */
bool
VecxListReadCentroid(VecxIndex *index, const VecxListRef *list, float *centre)
{
	Size		size;
	VecxRecord	rec = VecxCopyRecord(index, list->centroid, &size);

	if (!rec || VecxListOfRecord(index, rec) != list->head)
		return false;
	vecx_code_decode(&index->coder, VecxRecordCode(&index->layout, rec), centre);
	return true;
}

/*
 * The list with others near to it, nearest first, until they have rows enough
 * together.  Lists whose rows went elsewhere before do not come in, since a page has
 * one way to lead on.
 */
static int
gather(VecxIndex *index, const VecxListRef *list, int64 rows, const float *centre, VecxListRef *group)
{
	int			nnear;
	VecxOpened *near = VecxListNearest(index, centre, VECX_NEAR_CENTROIDS, &nnear);
	int			entries = index->lists->list_entries;
	int			n = 0;

	group[n++] = *list;
	for (int i = 0; i < nnear && n < MOST_MERGED && rows * ENOUGH_PART < entries; i++)
	{
		VecxListRef other = {near[i].id, near[i].nrows > 0 ? VecxListOfTid(&near[i].tids[0]) : 0};
		VecxListState state;

		if (near[i].dead || near[i].nrows < 1 || other.head == list->head)
			continue;
		VecxListLook(index, other.head, &state);
		if (state.closed || rows + state.rows > 2 * (int64) entries)
			continue;
		group[n++] = other;
		rows += state.rows;
	}
	return n;
}

/* Notes the centroids of lists that were emptied. */
void
VecxListNoteEmptied(VecxListNotes *notes, VecxIndex *index, const VecxListRef *lists, int n)
{
	for (int i = 0; i < n; i++)
	{
		VecxListState state;

		VecxListLook(index, lists[i].head, &state);
		if (state.rows > 0 || !state.closed)
			continue;
		if (notes->nemptied == notes->emptied_cap)
		{
			notes->emptied_cap *= 2;
			notes->emptied = repalloc_huge(notes->emptied, sizeof(VecxId) * notes->emptied_cap);
		}
		notes->emptied[notes->nemptied++] = lists[i].centroid;
	}
}

/* Sees to a list that was noted; it may have gone into another since. */
static void
tend(VecxIndex *index, Relation heap, VecxListNotes *notes, const VecxListRef *list, float *centre)
{
	VecxListRef group[MOST_MERGED];
	VecxListState state;
	int64		before;
	int			n;

	if (!VecxListReadCentroid(index, list, centre))
		return;
	VecxListLook(index, list->head, &state);
	if (state.rows == 0 || (state.closed && !state.left))
		return;
	if (!state.closed && state.rows * SHORT_PART >= index->lists->list_entries)
	{
		VecxListSplit(index, heap, list, true);
		VecxListNoteEmptied(notes, index, list, 1);
		return;
	}
	/* what there was no memory for at a time is left of a list that grew very long */
	do
	{
		before = state.rows;
		n = gather(index, list, state.rows, centre, group);
		if (n == 1 && !state.closed)
			return;
		VecxListRegroup(index, heap, group, n, false);
		VecxListNoteEmptied(notes, index, group, n);
		VecxListLook(index, list->head, &state);
	} while (state.closed && state.rows > index->lists->list_entries && state.rows < before);
}

/* Whether lists that were closed take so much room that they are worth a VACUUM by
 * themselves, or one before did not come to an end. */
bool
VecxListsWantVacuum(VecxIndex *index)
{
	double		pages = (double) index->meta.lists_closed * VecxListMostPages(index->lists);

	return index->meta.lists_unsettled || pages * CLOSED_PART >= RelationGetNumberOfBlocks(index->rel);
}

static void
add_closed(VecxMetaPageData *meta, void *arg)
{
	meta->lists_closed += Min(*(uint32 *) arg, PG_UINT32_MAX - meta->lists_closed);
}

/* So many have pages that VACUUM has yet to free. */
void
VecxListsClosed(VecxIndex *index, uint32 closed)
{
	VecxMetaEdit(index, add_closed, &closed);
}

static void
forget_closed(VecxMetaPageData *meta, void *arg)
{
	meta->lists_closed -= Min(meta->lists_closed, *(uint32 *) arg);
}

/* VACUUM has removed so many of those, as far as it can be. */
void
VecxListsVacuumed(VecxIndex *index, uint32 closed)
{
	VecxMetaEdit(index, forget_closed, &closed);
}

/* Sees to the lists that were noted. */
void
VecxListTendNoted(VecxIndex *index, VecxListNotes *notes)
{
	MemoryContext cxt;
	MemoryContext old;
	Relation	heap;

	if (notes->open.n + notes->due.n == 0)
		return;
	notes->emptied_cap = notes->open.n + notes->due.n;
	notes->emptied = palloc(sizeof(VecxId) * notes->emptied_cap);
	/* who vacuums has it locked */
	heap = table_open(IndexGetRelation(RelationGetRelid(index->rel), false), NoLock);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx merges", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	for (int i = 0; i < notes->due.n; i++)
	{
		vacuum_delay_point(false);
		VecxIndexRefresh(index);
		tend(index, heap, notes, &notes->due.refs[i], palloc(sizeof(float) * index->meta.dim));
		MemoryContextReset(cxt);
	}
	VecxListsRecluster(index, heap, notes);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	table_close(heap, NoLock);
}

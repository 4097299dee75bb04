/*
 * vtree_rows.c
 *    The rows that may meet a scan's conditions, from the value tree of an index
 *    with posting lists, whose entries name rows.
 *
 * As with vertices (vtree_scan.c), all entries of the need with the fewest contain
 * every row that matters; of others what costs less to read than the rows that it
 * saves cost to look up.  What is left is a set of rows, whose values the table
 * has: no sketch comes between, so that an entry is a key and nothing else.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/tidbitmap.h"

#include "am/list.h"
#include "am/tidset.h"
#include "am/vtree.h"

/* To read an entry into a bitmap, in records that a search of a graph opens. */
#define COST_OF_READING		(1.0 / 25.0)

struct VecxTreeRows
{
	VecxIndex  *index;
	int			nneeds;
	VecxTreeNeed *needs;		/* the one with the fewest entries first */
	double		share;			/* of all rows, those that meet all needs */
	double		cost;
	VecxTreeWalk *walk;
	int64		nread;			/* entries */
};

static double
count_rows(VecxIndex *index)
{
	double		count = VecxTreeCountAll(index);

	if (count > 0)
		return count;
	return Max(VecxListPagesAmong(RelationGetNumberOfBlocks(index->rel), &index->meta) * index->lists->page_rows / 2, 1);
}

/* Lets needs narrow what the first one finds, as long as that pays. */
static void
choose_needs(VecxTreeRows *rows, double lookup)
{
	double		found = rows->needs[0].count;

	rows->cost = found * (COST_OF_READING + lookup);
	rows->share = rows->needs[0].share;
	for (int i = 1; i < rows->nneeds; i++)
	{
		double		share = rows->needs[i].share;
		double		saved = found * (1 - share) * lookup;

		rows->share *= share;
		if (rows->needs[i].count * COST_OF_READING >= saved)
			continue;
		rows->needs[i].narrows = true;
		rows->cost += rows->needs[i].count * COST_OF_READING - saved;
		found *= share;
	}
}

/*
 * Looks at the tree for a scan's filter; NULL if it tells nothing.  To look up a row
 * costs lookup.  Allocates in the current context.
 */
VecxTreeRows *
VecxTreeRowsMake(VecxIndex *index, const VecxFilterQuery *filter, double lookup)
{
	VecxTreeRows *rows = palloc0(sizeof(VecxTreeRows));

	rows->index = index;
	rows->walk = palloc(sizeof(VecxTreeWalk));
	rows->needs = VecxTreeNeeds(index, filter, rows->walk, &rows->nneeds, NULL);
	if (!rows->needs)
		return NULL;
	VecxTreeShares(rows->needs, rows->nneeds, count_rows(index));
	choose_needs(rows, lookup);
	return rows;
}

/* Of all rows, those expected to match. */
double
VecxTreeRowsShare(const VecxTreeRows *rows)
{
	return rows->share;
}

/* To find the rows and look them up, in records that a search of a graph opens. */
double
VecxTreeRowsCost(const VecxTreeRows *rows)
{
	return rows->cost;
}

/* Entries that were read so far. */
int64
VecxTreeRowsRead(const VecxTreeRows *rows)
{
	return rows->nread;
}

/* The rows of a need, as far as work_mem goes one by one. */
static TIDBitmap *
read_need(VecxTreeRows *rows, const VecxFilterNeed *need)
{
	TIDBitmap  *bitmap = tbm_create((Size) work_mem * 1024, NULL);
	VecxTreeWalk *walk = rows->walk;
	ItemPointerData *tids = palloc(sizeof(ItemPointerData) * VECX_TREE_MAX_ENTRIES);

	for (int i = 0; i < need->nstretches; i++)
	{
		CHECK_FOR_INTERRUPTS();
		VecxTreeWalkStart(walk, rows->index, (uint16) need->stretches[i].column,
						  need->stretches[i].lo, need->stretches[i].hi, true);
		do
		{
			int			n = 0;

			for (int at = walk->at; at < walk->end; at++)
			{
				VecxTreeKey key = VecxTreeEntryKey(VecxTreeEntry(walk->page, at));

				VecxTreeKeyTid(&key, &tids[n++]);
			}
			VecxTreeWalkLetGo(walk);
			tbm_add_tuples(bitmap, tids, n, false);
			rows->nread += n;
		} while (VecxTreeWalkPage(walk));
	}
	pfree(tids);
	return bitmap;
}

/*
 * The rows that may match, of a table that has so many pages; their conditions have to
 * be tested.  NULL if there are too many to be known one by one.  Allocates in the
 * current context.
 */
VecxTidSet *
VecxTreeRowsFind(VecxTreeRows *rows, BlockNumber table_blocks)
{
	TIDBitmap  *bitmap = read_need(rows, rows->needs[0].need);
	VecxTidSet *set;

	for (int i = 1; i < rows->nneeds; i++)
	{
		TIDBitmap  *other;

		if (!rows->needs[i].narrows)
			continue;
		other = read_need(rows, rows->needs[i].need);
		tbm_intersect(bitmap, other);
		tbm_free(other);
	}
	set = VecxTidSetMake(bitmap, table_blocks, CurrentMemoryContext);
	tbm_free(bitmap);
	return VecxTidSetLossyPages(set) == 0 ? set : NULL;
}

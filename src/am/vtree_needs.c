/*
 * vtree_needs.c
 *    What a scan's conditions need of the value tree, and how much of it there is.
 *
 * Every vertex, or row, that passes has, for each of the filter's needs, a value within one
 * of the need's stretches.  So all entries of the need with the fewest contain
 * everything that matters.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/vtree.h"

/* Pages that may be read to find out that there is little to read. */
#define PAGES_TO_TRY		4
/* Entries that are read sooner than it is found out whether another need has fewer. */
#define FEW_ENTRIES			24.0

/* Stretches whose entries are counted; of more as many, at even distances. */
#define COUNTED_STRETCHES	128

/* Entries of a need, by the places of its stretches' ends. */
static double
estimate_need(const VecxFilterNeed *need, void *index)
{
	int			counted = Min(need->nstretches, COUNTED_STRETCHES);
	double		count = 0;

	for (int i = 0; i < counted; i++)
	{
		const VecxStretch *stretch = &need->stretches[(int64) need->nstretches * i / counted];

		CHECK_FOR_INTERRUPTS();
		count += VecxTreeCount(index, (uint16) stretch->column, stretch->lo, stretch->hi);
	}
	return count * need->nstretches / Max(counted, 1);
}

/* Whether the walk's page has entries of several values. */
static bool
has_several_values(const VecxTreeWalk *walk)
{
	return walk->end > walk->at + 1 &&
		VecxTreeEntryKey(VecxTreeEntry(walk->page, walk->at)).value !=
		VecxTreeEntryKey(VecxTreeEntry(walk->page, walk->end - 1)).value;
}

/* The same, exactly if they are on a few pages; *few tells, and *mixed whether most of those
 * that were looked at have entries of several values. */
static double
count_need(VecxTreeWalk *walk, VecxIndex *index, const VecxFilterNeed *need, bool *few, bool *mixed)
{
	int64		npages = 0;
	int64		nmixed = 0;
	double		count = 0;

	*few = true;
	for (int i = 0; i < need->nstretches && *few; i++)
	{
		VecxTreeWalkStart(walk, index, (uint16) need->stretches[i].column,
						  need->stretches[i].lo, need->stretches[i].hi, false);
		do
		{
			count += walk->end - walk->at;
			nmixed += has_several_values(walk);
			*few = ++npages < PAGES_TO_TRY || (!walk->more && i == need->nstretches - 1);
		} while (*few && VecxTreeWalkPage(walk));
	}
	*mixed = 2 * nmixed > npages;
	return *few ? count : estimate_need(need, index);
}

static int
compare_needs(const void *a, const void *b)
{
	double		x = ((const VecxTreeNeed *) a)->count;
	double		y = ((const VecxTreeNeed *) b)->count;

	return (x > y) - (x < y);
}

/*
 * The needs of a filter, the one with the fewest entries first; NULL if there is none.
 * If one has few, the others do not matter, and are left out.  *at_hand, if it is asked
 * for, tells whether all entries of the first one, which is the only one then, are on the
 * page where the walk is.  Allocates in the current context.
 */
VecxTreeNeed *
VecxTreeNeeds(VecxIndex *index, const VecxFilterQuery *filter, VecxTreeWalk *walk, int *n,
			  bool *at_hand)
{
	VecxFilterNeed *needs = VecxFilterNeeds(filter, estimate_need, index, n);
	VecxTreeNeed *result;

	if (*n == 0)
		return NULL;
	result = palloc0(sizeof(VecxTreeNeed) * *n);
	for (int i = 0; i < *n; i++)
	{
		result[i].need = &needs[i];
		result[i].count = count_need(walk, index, &needs[i], &result[i].exact, &result[i].mixed);
		if (!result[i].exact || result[i].count > FEW_ENTRIES)
			continue;
		result[0] = result[i];
		*n = 1;
	}
	/* of the only one the entries were counted last */
	if (at_hand)
		*at_hand = *n == 1 && result[0].exact && result[0].need->nstretches == 1 && walk->npages == 1;
	qsort(result, *n, sizeof(VecxTreeNeed), compare_needs);
	return result;
}

/* The needs' shares of all vertices, or rows, that have entries. */
void
VecxTreeShares(VecxTreeNeed *needs, int n, double all)
{
	for (int i = 0; i < n; i++)
		needs[i].share = Min(needs[i].count / all, 1);
}

/* Vertices or rows that have entries: of a column without arrays each has one.  0 if
 * there is no such column. */
double
VecxTreeCountAll(VecxIndex *index)
{
	for (int column = 0; column < index->filters->ncolumns; column++)
		if (index->filters->columns[column].kind != VECX_FILTER_ARRAY)
			return Max(VecxTreeCount(index, (uint16) column, 0, PG_UINT64_MAX), 1);
	return 0;
}

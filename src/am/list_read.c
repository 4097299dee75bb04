/*
 * list_read.c
 *    The rows of posting lists as a scan meets them.
 *
 * Lists are read in the order of their centroids' distances, so many at first and
 * more when the scan goes on; when the graph of centroids has no more, all LIST
 * pages that were not read.  Rows wait with the bounds of their distances and
 * leave by the lower one.  A row that was moved meanwhile may be met twice: it
 * leaves once.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/spccache.h"

#include "am/heap.h"
#include "am/list_scan.h"

/* Rows that left already, a bit each: of so many line pointers of a heap page. */
#define GIVEN_ROWS		64

typedef struct GivenRows
{
	uint64		place;			/* heap page, and which of its line pointers */
	uint64		bits;
} GivenRows;

VecxListScan *
VecxListScanMake(VecxIndex *index, MemoryContext cxt, VecxSearch *search, VecxProbe *probe,
				 VecxProbe *route, const VecxRange *range, const VecxFilterQuery *filter,
				 const VecxEffort *effort, VecxNearLists *near, uint32 version, int64 most_rows,
				 bool strict)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxListScan *ls = palloc0(sizeof(VecxListScan));
	HASHCTL		hash;

	ls->index = index;
	ls->cxt = cxt;
	ls->search = search;
	ls->near = near;
	ls->probe = probe;
	ls->route = route;
	ls->range = range;
	ls->filter = filter;
	ls->probes = effort->width;
	ls->expected = effort->records;
	ls->ratio = effort->ratio;
	ls->sigmas = strict ? VECX_LIST_STRICT_SIGMAS :
		VecxTargetRecall(index->rel) >= VECX_LIST_FINE_TARGET ? VECX_LIST_FINE_SIGMAS : VECX_LIST_SIGMAS;
	ls->limit = INFINITY;
	ls->allowed = effort->rows;
	ls->most_rows = most_rows;
	ls->version = version;
	ls->next = InvalidBlockNumber;
	ls->est = palloc(sizeof(float) * VECX_LIST_BLOCK);
	ls->sigma = palloc(sizeof(float) * VECX_LIST_BLOCK);
	VecxWaitingInit(&ls->waiting, ls->expected);
	memset(&hash, 0, sizeof(hash));
	hash.keysize = sizeof(uint64);
	hash.entrysize = sizeof(GivenRows);
	hash.hcxt = cxt;
	ls->given = hash_create("vecx rows given", 256, &hash, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ls->nblocks = RelationGetNumberOfBlocks(index->rel);
	VecxIdSetInit(&ls->pages, cxt, ls->nblocks);
	if (filter && probe)
	{
		ls->seen_cap = 1024;
		ls->seen = palloc(sizeof(float) * ls->seen_cap);
	}
	if (probe)
	{
		VecxListQueryInit(index, &ls->query, probe->vec,
						  palloc(vecx_list_query_bytes(&index->lists->code)));
		ls->refiner = VecxListRefinerMake(index, cxt, &ls->query, probe->vec, ls->sigmas);
	}
	else
		ls->sweeping = true;
	ls->sweep_next = VECX_META_BLKNO + 1;
	ls->sweep_end = InvalidBlockNumber;
	MemoryContextSwitchTo(old);
	return ls;
}

/* Whether a block is one of the index. */
static bool
is_block(VecxListScan *ls, BlockNumber blkno)
{
	if (blkno >= ls->nblocks)
		ls->nblocks = RelationGetNumberOfBlocks(ls->index->rel);
	return blkno < ls->nblocks;
}

static void
begin_list(VecxListScan *ls, BlockNumber head, const VecxOpened *centroid)
{
	if (!is_block(ls, head))
		VecxCorrupted(ls->index->rel, head, "a list lies beyond the index");
	ls->next = ls->head = head;
	ls->steps = 0;
	ls->had_rows = ls->left = false;
	ls->from_closed = centroid == NULL;
	ls->scored = centroid != NULL;
	ls->lists_read++;
	if (centroid)
		vecx_list_probe_init(&ls->index->lists->code, &ls->query, centroid->rank, centroid->norm2,
							 &ls->list);
}

/* Room for an order of so many lists, in place of the one before. */
static void
make_order(VecxListScan *ls, int n)
{
	if (n > ls->order_cap)
	{
		if (ls->order)
			pfree(ls->order);
		ls->order_cap = n;
		ls->order = MemoryContextAllocHuge(ls->cxt, sizeof(VecxOpened) * n);
	}
	ls->norder = ls->at = ls->asked = 0;
}

/* Takes the nearest lists from all that are left; false if there are none. */
static bool
take_near(VecxListScan *ls, int wanted)
{
	const VecxNearList *lists;
	int			n = VecxNearListsTake(ls->near, wanted, &lists);

	make_order(ls, n);
	for (; ls->norder < n; ls->norder++)
	{
		VecxOpened *opened = &ls->order[ls->norder];

		opened->nav = lists[ls->norder].nav;
		opened->rank = lists[ls->norder].rank;
		opened->norm2 = lists[ls->norder].norm2;
		VecxListSetTid(&opened->tids[0], lists[ls->norder].head);
	}
	return n > 0;
}

/* Searches the graph for more; false if it finds none. */
static bool
search_more(VecxListScan *ls, int wanted)
{
	int			n;
	VecxOpened *opened;
	float		threshold;
	int			left = 0;

	if (VecxSearchExhausted(ls->search))
	{
		/* VACUUM may have moved the entry since the metapage was read */
		if (ls->lists_read > 0 || ls->restarted)
			return false;
		ls->restarted = true;
		VecxIndexRefresh(ls->index);
		ls->version = ls->index->meta.centroids_version;
		VecxSearchBegin(ls->search, ls->route);
	}
	VecxSearchRun(ls->search, wanted);
	opened = VecxSearchOpened(ls->search, &n);
	threshold = VecxSearchThreshold(ls->search);
	make_order(ls, n);
	for (int i = 0; i < n; i++)
	{
		if (opened[i].nav > threshold)
			opened[left++] = opened[i];
		else if (!opened[i].dead && opened[i].nrows > 0)
		{
			ls->order[ls->norder] = opened[i];
			/* nav says whose turn it is, rank how far it is */
			ls->order[ls->norder++].rank = ls->route == ls->probe ? opened[i].nav :
				vecx_code_distance(&ls->index->coder, &ls->probe->code, opened[i].code);
		}
	}
	VecxSearchKeepOpened(ls->search, left);
	VecxSearchRelease(ls->search);
	return true;
}

/* Finds more lists; false if there are none. */
static bool
find_lists(VecxListScan *ls)
{
	int			wanted = Min(Max(ls->probes - ls->nread, ls->probes / 2) + 1, VecxWidestBatch());

	if (!(ls->near ? take_near(ls, wanted) : search_more(ls, wanted)))
		return false;
	qsort(ls->order, ls->norder, sizeof(VecxOpened), VecxCompareOpened);
	if (ls->lists_read == 0 && ls->norder > 0)
		ls->limit = VecxProbeLimit(ls->index, ls->order[0].nav, ls->ratio);
	return true;
}

/* Once a page was not in memory: has the kernel read the first pages of the lists
 * whose turn comes soon. */
static void
prefetch_lists(VecxListScan *ls)
{
	Relation	rel = ls->index->rel;
	int			depth = get_tablespace_io_concurrency(rel->rd_rel->reltablespace);
	int			end = Min(ls->at + 1 + depth, ls->norder);

	if (!ls->cold)
		return;
	for (ls->asked = Max(ls->asked, ls->at + 1); ls->asked < end; ls->asked++)
	{
		BlockNumber head = VecxListOfTid(&ls->order[ls->asked].tids[0]);

		if (VecxHasBlock(rel, head))
			PrefetchBuffer(rel, MAIN_FORKNUM, head);
	}
}

/* Chooses the page to read next; false if there is none. */
static bool
next_page(VecxListScan *ls, BlockNumber *blkno)
{
	while (ls->next == InvalidBlockNumber)
	{
		if (ls->nforwards > 0)
			begin_list(ls, ls->forwards[--ls->nforwards], NULL);
		else if (ls->at < ls->norder)
		{
			prefetch_lists(ls);
			begin_list(ls, VecxListOfTid(&ls->order[ls->at].tids[0]), &ls->order[ls->at]);
			ls->at++;
		}
		else
		{
			if (ls->sweep_end == InvalidBlockNumber)
				ls->sweep_end = RelationGetNumberOfBlocks(ls->index->rel);
			if (ls->sweep_next >= ls->sweep_end)
				return false;
			ls->head = InvalidBlockNumber;
			ls->scored = ls->from_closed = ls->left = false;
			*blkno = ls->sweep_next++;
			return true;
		}
	}
	if (!is_block(ls, ls->steps++))
		VecxCorrupted(ls->index->rel, ls->head, "the pages of a list form a circle");
	*blkno = ls->next;
	return true;
}

/* Whether the list whose turn it is is too far away to be read before rows leave. */
static bool
is_pruned(const VecxListScan *ls)
{
	return ls->next == InvalidBlockNumber && ls->nforwards == 0 && ls->at < ls->norder &&
		ls->order[ls->at].nav > ls->limit && ls->nread >= VecxLeastProbes(ls->probes);
}

/*
 * Whether as many lists were read as it takes to find as many of the nearest rows as there
 * seem to be in the range, and one more.  A list that is near has rows that are far, so that
 * how many of those read are within tells nothing.
 */
bool
VecxListScanRangeIsDone(VecxListScan *ls)
{
	if (!ls->range->active || !ls->probe)
		return false;
	if (ls->rows_sized <= ls->rows_within)
	{
		VecxEffort	effort;

		ls->rows_sized = ls->rows_within + 1;
		VecxProbesChoose(ls->index->rel, &ls->index->meta, ls->rows_sized, &effort);
		ls->range_probes = effort.width;
	}
	return ls->nread >= ls->range_probes;
}

/*
 * Whether the caller has to decide, though no row waits, and there is more: what is left
 * is beyond the range, or nothing of the first lists passes the filter, and the rows that do
 * might be found in another way.
 */
static bool
is_at_a_loss(VecxListScan *ls)
{
	if (VecxWaitingCount(&ls->waiting) > 0 || ls->nforwards > 0 || (ls->nread < ls->probes && !ls->sweeping))
		return false;
	return ls->seen != NULL || VecxListScanRangeIsDone(ls);
}

/*
 * As many rows have left as lists were read for: lets it be twice as many, and as many lists as
 * these take.  Where a filter passes over others, rows that leave stand for more.
 */
static void
allow_more(VecxListScan *ls)
{
	VecxEffort	effort;

	ls->allowed *= 2;
	if (vecx_probes == 0 && vecx_probe_ratio == 0 && VecxCurveIsValid(&ls->index->meta.curve))
	{
		double		rows = ls->filter ? (double) ls->allowed / VecxListScanPassing(ls) : (double) ls->allowed;

		VecxProbesChoose(ls->index->rel, &ls->index->meta, (int64) Min(rows, 1e9), &effort);
		(void) VecxListScanWiden(ls, effort.width, effort.ratio);
		return;
	}
	/* what was too far away for the first rows has been left out */
	ls->probes = isinf(ls->ratio) ? ls->probes : Min(ls->probes, ls->nread);
	ls->probes = (int) Min((int64) ls->probes + ls->probes / 2 + 1, INT_MAX / 2);
	ls->ratio = ls->limit = INFINITY;
}

/*
 * Reads as many lists as there should have been read when so many rows have left,
 * or until memory is full, or more rows were read than may be.  And until a row waits,
 * unless the caller has others to give.  False if no row is waiting then: there is no
 * more, or it is for the caller to say whether to go on.
 */
bool
VecxListScanFill(VecxListScan *ls, int64 rows_given, bool others)
{
	while (rows_given >= ls->allowed)
		allow_more(ls);
	while (ls->nread < ls->probes || (VecxWaitingCount(&ls->waiting) == 0 && !others))
	{
		bool		have = VecxWaitingCount(&ls->waiting) > 0 || others;
		BlockNumber blkno;
		bool		in_list;

		CHECK_FOR_INTERRUPTS();
		if (VecxWaitingCount(&ls->waiting) > 0 && VecxWaitingCount(&ls->waiting) + ls->index->lists->page_rows > ls->waiting.most)
			break;
		if (ls->rows_read > ls->most_rows || is_at_a_loss(ls))
			break;
		if (ls->next == InvalidBlockNumber && ls->nforwards == 0 && ls->at >= ls->norder && !ls->sweeping)
		{
			ls->sweeping = !find_lists(ls);
			continue;
		}
		/* what is not near by the graph comes when all else has left, and what pages that
		 * were emptied lead to with it */
		if (ls->sweeping && ls->next == InvalidBlockNumber && have)
			break;
		if (is_pruned(ls) && have)
			break;
		if (!next_page(ls, &blkno))
			break;
		in_list = ls->head != InvalidBlockNumber;
		VecxListTakePage(ls, blkno);
		if (in_list && ls->next == InvalidBlockNumber)
			ls->nread += ls->had_rows;
	}
	return VecxWaitingCount(&ls->waiting) > 0;
}

/* The share of the rows tested that pass the filter. */
double
VecxListScanPassing(const VecxListScan *ls)
{
	return (ls->rows_passed + 1.0) / (ls->rows_tested + 1.0);
}

/*
 * Which place the k-th nearest row that passes has among all rows, as far as those read
 * tell: by their distances if so many were found, else by the share that passes.
 */
double
VecxListScanRank(const VecxListScan *ls, int64 k)
{
	float		kth;
	double		rank = 0;

	if (!ls->seen || k > VecxWaitingCount(&ls->waiting))
		return (double) k / VecxListScanPassing(ls);
	kth = VecxWaitingKth(&ls->waiting, (int) k);
	if (isinf(kth))
		return (double) k / VecxListScanPassing(ls);
	for (int i = 0; i < ls->nseen; i++)
		rank += ls->seen[i] <= kth;
	return Max(rank, (double) k);
}

/*
 * Whether more than a third of the nearest rows that pass are in the second half of the lists
 * that were read, so that there may be nearer ones in others.  The curve cannot tell where
 * those are that pass elsewhere than near the query: of the rows nearer than they are those
 * that were not read do not count in their rank.
 */
bool
VecxListScanStillFinds(const VecxListScan *ls)
{
	int			late = 0;

	for (int i = 0; i < ls->npassed; i++)
		late += ls->passed[i].id >= (VecxId) (ls->nread + 1) / 2;
	return ls->seen && late * 3 > ls->npassed;
}

/* That will not be asked any more. */
void
VecxListScanForget(VecxListScan *ls)
{
	if (ls->seen)
		pfree(ls->seen);
	ls->seen = NULL;
}

/*
 * Lets so many lists at least, within a ratio of distances, be read before more rows
 * leave.  False if memory is full, or there is no other list that a search finds.
 */
bool
VecxListScanWiden(VecxListScan *ls, int probes, float ratio)
{
	bool		may = ls->nread >= ls->probes || is_pruned(ls);

	ls->probes = Max(ls->probes, probes);
	if (ratio > ls->ratio)
	{
		ls->limit = isinf(ratio) ? INFINITY : ls->limit * (ratio / ls->ratio) * (ratio / ls->ratio);
		ls->ratio = ratio;
	}
	return may;
}

/* How many lists are read, or are to be, before rows leave. */
int
VecxListScanProbes(const VecxListScan *ls)
{
	return Max(ls->probes, ls->nread);
}

/* And how many times as far as the nearest they may be. */
float
VecxListScanRatio(const VecxListScan *ls)
{
	return ls->ratio;
}

/* The least lower bound of the rows that wait; false if none does. */
bool
VecxListScanPeek(VecxListScan *ls, float *lower)
{
	const VecxWaitingRow *first = VecxWaitingFirst(&ls->waiting);

	if (!first)
		return false;
	*lower = first->lower;
	return true;
}

/* Looks at what is behind the row of the least lower bound. */
static void
refine_first(VecxListScan *ls)
{
	VecxWaitingRow waiting = VecxWaitingPop(&ls->waiting);

	VecxListRefine(ls->refiner, waiting.reference, &waiting.row.tid, waiting.product,
				   &waiting.lower, &waiting.upper);
	waiting.reference = 0;
	*VecxWaitingRoom(&ls->waiting) = waiting;
	VecxWaitingAdd(&ls->waiting, 1);
}

/* Makes sure that bounds below a limit are the best to be had. */
void
VecxListScanSettle(VecxListScan *ls, float limit)
{
	float		lower;

	while (ls->refiner && VecxListScanPeek(ls, &lower) && lower < limit && ls->waiting.near[0].reference > 0)
	{
		CHECK_FOR_INTERRUPTS();
		refine_first(ls);
	}
}

/* Remembers that a row leaves; false if it has left before. */
static bool
give(VecxListScan *ls, const ItemPointerData *tid)
{
	bool		found;
	OffsetNumber off = ItemPointerGetOffsetNumber(tid);
	uint64		place = (uint64) ItemPointerGetBlockNumber(tid) * (PG_UINT16_MAX / GIVEN_ROWS + 1) +
		off / GIVEN_ROWS;
	uint64		bit = UINT64CONST(1) << off % GIVEN_ROWS;
	GivenRows  *rows = hash_search(ls->given, &place, HASH_ENTER, &found);

	if (!found)
		rows->bits = 0;
	if (rows->bits & bit)
		return false;
	rows->bits |= bit;
	return true;
}

/* Takes out the row of the least lower bound, with its bounds; false if it has
 * left before, or waits with better bounds now.  VecxListScanPeek was called. */
bool
VecxListScanPop(VecxListScan *ls, VecxRowEntry *row, float *lower, float *upper)
{
	VecxWaitingRow waiting;

	if (ls->waiting.near[0].reference > 0)
	{
		refine_first(ls);
		return false;
	}
	waiting = VecxWaitingPop(&ls->waiting);
	*lower = waiting.lower;
	*upper = waiting.upper;
	*row = waiting.row;
	return give(ls, &row->tid);
}

/* Tells what was read. */
void
VecxListScanCount(const VecxListScan *ls, VecxScanCounts *counts)
{
	counts->batches = ls->lists_read;
	counts->records = ls->rows_read;
	counts->tested = ls->rows_tested;
	counts->matching = ls->filter ? ls->rows_passed : 0;
}

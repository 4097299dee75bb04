/*
 * list_waiting.c
 *    Rows of lists that wait; see list_waiting.h.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/heap.h"
#include "am/list_waiting.h"

/* Rows that are kept in order: so many at first, and a part of those that are not,
 * when these are all that is left; twice as many before the farther half goes. */
#define NEAR_ROWS		64
#define NEAR_PART		32
/* Rows of which that part is estimated: not the same slot of each block. */
#define REFILL_SAMPLE	127

/*
 * The far rows of a scan that ended, for the next.  Their room is what most of a scan's
 * memory goes to: given back to the system each time and taken again page by page it
 * was a third of the time of a query over 600 rows.
 */
#define SPARE_BYTES		((Size) 512 * 1024)

static MemoryContext far_cxt;
static VecxWaitingRow *spare;
static int	spare_cap;

/* A callback of the scan's context. */
static void
release_far(void *arg)
{
	VecxWaiting *w = arg;

	if (w->far == NULL)
		return;
	if (spare == NULL && sizeof(VecxWaitingRow) * w->far_cap <= SPARE_BYTES)
	{
		spare = w->far;
		spare_cap = w->far_cap;
	}
	else
		pfree(w->far);
	w->far = NULL;
}

/* Allocates in the current context, whose reset or end it does not survive. */
void
VecxWaitingInit(VecxWaiting *w, float expected)
{
	memset(w, 0, sizeof(*w));
	w->expected = expected;
	w->release.func = release_far;
	w->release.arg = w;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &w->release);
	w->near_cap = 2 * NEAR_ROWS;
	w->near = palloc(sizeof(VecxWaitingRow) * w->near_cap);
	w->near_limit = -INFINITY;
	w->most = (int) Min((int64) work_mem * 1024 / 4 / (int64) sizeof(VecxWaitingRow), INT_MAX / 2);
}

/* Room for so many more far rows; at first for what the lists to be read should have. */
static void
make_room(VecxWaiting *w, int more)
{
	int			cap;

	if (w->nfar + more <= w->far_cap)
		return;
	if (w->far == NULL && spare)
	{
		w->far = spare;
		w->far_cap = spare_cap;
		spare = NULL;
		if (more <= w->far_cap)
			return;
	}
	if (w->far == NULL)
	{
		if (far_cxt == NULL)
			far_cxt = AllocSetContextCreate(TopMemoryContext, "vecx rows that wait", ALLOCSET_DEFAULT_SIZES);
		cap = Max(Max(more, NEAR_ROWS), (int) Min((double) w->expected * 1.25, (double) w->most));
		w->far = MemoryContextAllocHuge(far_cxt, sizeof(VecxWaitingRow) * cap);
		w->far_cap = cap;
		return;
	}
	cap = Max(w->far_cap * 2, w->nfar + more);
	/* first, for it may fail, and what it was goes to the next scan */
	w->far = repalloc_huge(w->far, sizeof(VecxWaitingRow) * cap);
	w->far_cap = cap;
}

#define LOWER(item)		((item).lower)
VECX_DEFINE_HEAP(push_row, pop_row, VecxWaitingRow, LOWER);
VECX_DEFINE_SELECT_LEAST(select_least, VecxWaitingRow, LOWER);
VECX_DEFINE_SELECT_LEAST(select_bounds, float, VECX_ITSELF);

/* Takes out the first row; VecxWaitingFirst was called. */
VecxWaitingRow
VecxWaitingPop(VecxWaiting *w)
{
	return pop_row(w->near, &w->nnear);
}

/* Makes the near rows a heap again. */
static void
reheap(VecxWaiting *w, int nnear)
{
	w->nnear = 0;
	for (int i = 0; i < nnear; i++)
		push_row(w->near, &w->nnear, w->near[i]);
}

/* The near rows have become too many: the farther half goes to the far ones. */
static void
shed_near(VecxWaiting *w)
{
	int			kept = w->near_cap / 2;

	select_least(w->near, w->nnear, kept);
	make_room(w, w->nnear - kept);
	w->near_limit = INFINITY;
	for (int i = kept; i < w->nnear; i++)
	{
		w->near_limit = Min(w->near_limit, w->near[i].lower);
		w->far[w->nfar++] = w->near[i];
	}
	reheap(w, kept);
}

/* A bound that about m of the far rows are below or at, from a sample: drawn without chance,
 * so that the same scan gives rows of the same distance in the same order again. */
static float
bound_of(const VecxWaiting *w, int m)
{
	float		sample[REFILL_SAMPLE];
	int			n = Min(w->nfar, REFILL_SAMPLE);
	int			below = Min((int) ((Size) m * n / w->nfar), n - 1) + 1;
	uint64		step;			/* times 2^32 */
	float		bound;

	if (w->nfar <= m)
		return INFINITY;
	step = ((uint64) w->nfar << 32) / (uint64) n;
	for (int i = 0; i < n; i++)
		sample[i] = w->far[(uint64) i * step >> 32].lower;
	select_bounds(sample, n, below);
	bound = sample[0];
	for (int i = 1; i < below; i++)
		bound = Max(bound, sample[i]);
	return bound;
}

/* The first of the rows from at on that is within the bound, or n. */
static inline int
next_within(const VecxWaitingRow *rows, int at, int n, float bound)
{
	while (at < n && rows[at].lower > bound)
		at++;
	return at;
}

/* No near row is left: takes the nearest of the far ones, in one pass over them. */
static void
refill_near(VecxWaiting *w)
{
	int			m = Max(NEAR_ROWS, w->nfar / NEAR_PART);
	float		bound = bound_of(w, m);
	int			i = 0;

	w->near_limit = bound;
	while ((i = next_within(w->far, i, w->nfar, bound)) < w->nfar)
	{
		if (w->far[i].lower == bound && w->nnear >= m)
		{
			i++;
			continue;
		}
		if (w->nnear == w->near_cap)
		{
			w->near_cap *= 2;
			w->near = repalloc_huge(w->near, sizeof(VecxWaitingRow) * w->near_cap);
		}
		push_row(w->near, &w->nnear, w->far[i]);
		/* few go, and the order of those that stay is of no matter */
		w->far[i] = w->far[--w->nfar];
	}
}

static void
add_row(VecxWaiting *w, const VecxWaitingRow *waiting)
{
	/* which may leave the row itself beyond the limit */
	if (waiting->lower < w->near_limit && w->nnear == w->near_cap)
		shed_near(w);
	if (waiting->lower < w->near_limit)
	{
		push_row(w->near, &w->nnear, *waiting);
		return;
	}
	make_room(w, 1);
	w->far[w->nfar++] = *waiting;
}

/* Where the rows of a block may be written that VecxWaitingAdd is to take. */
VecxWaitingRow *
VecxWaitingRoom(VecxWaiting *w)
{
	make_room(w, VECX_LIST_BLOCK);
	return w->far + w->nfar;
}

/* Takes the first n rows that were written there.  Most are far, and stay; all, until the
 * first is asked for. */
void
VecxWaitingAdd(VecxWaiting *w, int n)
{
	VecxWaitingRow *rows = w->far + w->nfar;
	VecxWaitingRow near[VECX_LIST_BLOCK];
	int			nnear = 0;
	int			kept = 0;

	if (w->near_limit == -INFINITY)
	{
		w->nfar += n;
		return;
	}
	for (int i = 0; i < n; i++)
	{
		if (rows[i].lower < w->near_limit)
			near[nnear++] = rows[i];
		else
			rows[kept++] = rows[i];
	}
	w->nfar += kept;
	for (int i = 0; i < nnear; i++)
		add_row(w, &near[i]);
}

static void
keep_middle(float *heap, int *n, int k, const VecxWaitingRow *row)
{
	if (isfinite(row->upper) && isfinite(row->lower))
		VecxKeepNearest(heap, n, k, (row->lower + row->upper) / 2);
}

/* The k-th least distance of the rows that wait, which are as many; infinite if fewer were scored. */
float
VecxWaitingKth(const VecxWaiting *w, int k)
{
	float	   *heap = palloc(sizeof(float) * k);
	int			n = 0;
	float		kth;

	for (int i = 0; i < w->nnear; i++)
		keep_middle(heap, &n, k, &w->near[i]);
	for (int i = 0; i < w->nfar; i++)
		keep_middle(heap, &n, k, &w->far[i]);
	kth = n == k ? heap[0] : INFINITY;
	pfree(heap);
	return kth;
}

/* The row of the least lower bound; NULL if none waits. */
const VecxWaitingRow *
VecxWaitingFirst(VecxWaiting *w)
{
	if (VecxWaitingCount(w) == 0)
		return NULL;
	if (w->nnear == 0)
		refill_near(w);
	return &w->near[0];
}

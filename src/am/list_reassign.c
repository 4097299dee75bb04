/*
 * list_reassign.c
 *    Where the rows of lists that are split or merged go, and which rows of lists near
 *    by come with them.
 *
 * A row should be in the list of its nearest centroid.  New centroids change which that
 * is on both sides (LIRE, arXiv 2410.14452): a row that a split puts into another new
 * list may be nearer to the centroid of a list that was there before, and rows of such
 * lists may be nearer to a new one.  Either goes where it belongs.  Copies are chosen anew
 * for the rows of the old lists (list_replica.c).
 *
 * A row that goes to a list that was there before leaves its entry in the new one, and a
 * row that comes from such a list leaves its entry there: LEAVING, for scans that have
 * read the page that it went to.  README.lists.md, "Moving rows".
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "am/heap.h"
#include "am/list_split.h"
#include "kernel/kernel.h"

/* Lists near by that are looked at, at most. */
#define MOST_NEAR		64

/*
 * Looks for the open lists near the new ones, which are left first among the centres.
 */
void
VecxListFindNear(VecxListSplitState *s)
{
	VecxIndex  *index = s->index;
	uint32		dim = index->meta.dim;
	float	   *middle = palloc0(sizeof(float) * dim);
	float	   *centre = palloc(sizeof(float) * dim);
	VecxListPageData header;
	VecxOpened *found = NULL;
	int			nfound = 0;
	int			n;

	for (int p = 0; p < s->nparts; p++)
	{
		vecx_code_decode(&index->coder, s->parts[p].code, centre);
		for (uint32 i = 0; i < dim; i++)
			middle[i] += centre[i] / (float) s->nparts;
	}
	if (!s->alone)
		found = VecxListNearest(index, middle, MOST_NEAR, &nfound);
	s->near = palloc(sizeof(VecxOpened) * Max(nfound, 1));
	for (int i = 0; i < nfound && s->nnear < MOST_NEAR; i++)
		if (!found[i].dead && found[i].nrows > 0 &&
			VecxListIsOpen(index, VecxListOfTid(&found[i].tids[0]), &header))
			s->near[s->nnear++] = found[i];

	n = s->nparts + s->nnear;
	s->decoded = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * dim * n);
	s->dist = palloc(sizeof(float) * n);
	s->encoders = palloc(sizeof(VecxListEncoder) * s->nparts);
	vecx_cluster_alloc(&s->env, dim, n, &s->centres);
	vecx_cluster_alloc(&s->env, dim, 1, &s->point);
	for (int i = 0; i < n; i++)
	{
		float	   *c = s->decoded + (Size) i * dim;

		vecx_code_decode(&index->coder, i < s->nparts ? s->parts[i].code : s->near[i - s->nparts].code, c);
		vecx_cluster_put(&s->centres, i, dim, NULL, c, s->work);
		if (i < s->nparts)
		{
			VecxListEncoderInit(&s->encoders[i], index);
			VecxListEncoderUse(&s->encoders[i], c);
		}
	}
	VecxListEncoderInit(&s->near_encoder, index);
}

/* Fills in a row's distances to the centres. */
static void
measure(VecxListSplitState *s, const float *x)
{
	vecx_cluster_put(&s->point, 0, s->index->meta.dim, NULL, x, s->work);
	vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, &s->point, 0, 1, &s->centres, s->dist);
}

/* The nearest of the first n centres. */
static int
nearest(const VecxListSplitState *s, int n)
{
	int			best = 0;

	for (int i = 1; i < n; i++)
		if (s->dist[i] < s->dist[best])
			best = i;
	return best;
}

/* Adds a row to a new list. */
static void
add_to_part(VecxListSplitState *s, int p, const VecxRowEntry *row, uint16 flags, const float *x)
{
	VecxListPart *part = &s->parts[p];
	Size		bytes = s->index->lists->item_bytes;
	VecxListItem *item;

	if (part->nitems == part->items_cap)
	{
		part->items_cap = Max(part->items_cap * 2, 64);
		part->items = part->items ?
			repalloc_huge(part->items, bytes * part->items_cap) :
			MemoryContextAllocHuge(CurrentMemoryContext, bytes * part->items_cap);
	}
	item = (VecxListItem *) (part->items + bytes * part->nitems++);
	memcpy(VecxListItemRow(item), row, s->row_size);
	VecxListItemRow(item)->flags = flags;
	VecxListEncode(&s->encoders[p], x, item);
}

/* Whether a list has the row; *flags are its entry's. */
static bool
find_row(VecxIndex *index, BlockNumber head, const ItemPointerData *tid, uint16 *flags)
{
	BlockNumber steps = RelationGetNumberOfBlocks(index->rel);
	BlockNumber blkno = head;
	bool		found = false;

	while (blkno != InvalidBlockNumber && !found)
	{
		Buffer		buf = VecxReadPage(index->rel, blkno, BUFFER_LOCK_SHARE, VECX_PAGE_LIST);
		Page		page = BufferGetPage(buf);
		VecxListPage header = VecxListGetPage(index, page, blkno);

		VecxListCheckChain(index, header, head, blkno, &steps);
		for (int i = 0; i < header->nrows && !found; i++)
		{
			VecxRowEntry *row = VecxListRow(index->lists, page, i);

			found = ItemPointerEquals(&row->tid, unconstify(ItemPointerData *, tid));
			*flags = row->flags;
		}
		blkno = VecxPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buf);
	}
	return found;
}

/*
 * Puts a row, whose vector is x, into a list with that centre, unless it is there.  Whether
 * it is there then, with its own entry: not if the list is closed, or has a copy of it.
 */
bool
VecxListGive(VecxListEncoder *encoder, BlockNumber head, const float *centre,
			 const VecxRowEntry *row, uint16 flags, const float *x)
{
	VecxIndex  *index = encoder->index;
	VecxListItem *item;
	uint16		found;
	uint32		npages;
	bool		done;

	if (find_row(index, head, &row->tid, &found))
		return !(found & (VECX_ROW_COPY | VECX_ROW_LEAVING));
	item = palloc0(index->lists->item_bytes);
	memcpy(VecxListItemRow(item), row, index->lists->row_size);
	VecxListItemRow(item)->flags = flags;
	VecxListEncoderUse(encoder, centre);
	VecxListEncode(encoder, x, item);
	done = VecxListAdd(index, head, item, &npages);
	pfree(item);
	return done;
}

/* The same of the n-th list near by. */
static bool
add_to_near(VecxListSplitState *s, int n, const VecxRowEntry *row, uint16 flags, const float *x)
{
	return VecxListGive(&s->near_encoder, VecxListOfTid(&s->near[n].tids[0]),
						s->decoded + (Size) (s->nparts + n) * s->index->meta.dim, row, flags, x);
}

/* The centres that a row goes to, the nearest first. */
static int
choose(VecxListSplitState *s, const float *x, int *to)
{
	uint32		dim = s->index->meta.dim;
	int			places[VECX_REPLICA_CENTRES];
	const float *centres[VECX_REPLICA_CENTRES];
	int			chosen[VECX_MOST_REPLICAS];
	int			n = 0;

	measure(s, x);
	to[0] = nearest(s, s->nparts + s->nnear);
	if (s->index->lists->replicas < 2 || s->alone)
		return 1;
	for (int i = 0; i < s->nparts + s->nnear; i++)
	{
		int			at = n < VECX_REPLICA_CENTRES ? n++ : n;

		for (; at > 0 && s->dist[places[at - 1]] > s->dist[i]; at--)
			if (at < VECX_REPLICA_CENTRES)
				places[at] = places[at - 1];
		if (at < VECX_REPLICA_CENTRES)
			places[at] = i;
	}
	for (int i = 0; i < n; i++)
		centres[i] = s->decoded + (Size) places[i] * dim;
	n = vecx_replicas_choose((VecxMetric) s->index->meta.metric, x, dim, centres, n,
							 s->index->lists->replicas, chosen);
	for (int i = 0; i < n; i++)
		to[i] = places[chosen[i]];
	return n;
}

/* Flags of the entry that a row leaves at a centre, which is a copy later if a copy
 * should be there. */
static uint16
leaving_flags(const int *to, int n, int centre)
{
	for (int i = 1; i < n; i++)
		if (to[i] == centre)
			return VECX_ROW_LEAVING | VECX_ROW_STAYS;
	return VECX_ROW_LEAVING;
}

/* A row's own entry goes to the list of the nearest centre, and copies to others. */
static void
assign_own(VecxListSplitState *s, const VecxRowEntry *row, const float *x)
{
	int			to[VECX_MOST_REPLICAS];
	int			n = choose(s, x, to);
	int			part = nearest(s, s->nparts);

	if (to[0] < s->nparts)
		add_to_part(s, part, row, row->flags, x);
	else
		add_to_part(s, part, row,
					add_to_near(s, to[0] - s->nparts, row, VECX_ROW_ARRIVED, x) ?
					leaving_flags(to, n, part) : row->flags, x);
	for (int i = 1; i < n; i++)
		if (to[i] >= s->nparts)
			(void) add_to_near(s, to[i] - s->nparts, row, VECX_ROW_COPY, x);
		else if (to[i] != part)
			add_to_part(s, to[i], row, VECX_ROW_COPY, x);
}

/* A copy goes on if a new list is one of those that the row should be in. */
static void
assign_copy(VecxListSplitState *s, const VecxRowEntry *row, const float *x)
{
	int			to[VECX_MOST_REPLICAS];
	int			n = s->alone ? 0 : choose(s, x, to);

	for (int i = 0; i < n; i++)
		if (to[i] < s->nparts)
		{
			add_to_part(s, to[i], row, VECX_ROW_COPY, x);
			return;
		}
}

/* Codes each row for the lists that it goes to. */
void
VecxListAssignRows(VecxListSplitState *s)
{
	for (int i = 0; i < s->nrows; i++)
	{
		const VecxRowEntry *row = VecxRowAt(s->rows, s->row_size, i);
		const float *x;

		if (s->twin[i] >= 0)
			continue;
		s->moved[i] = s->done[i];
		x = s->done[i] ? NULL : VecxListSplitVector(s, unconstify(ItemPointerData *, &row->tid));
		if (!x)
			continue;
		s->moved[i] = true;
		if (row->flags & VECX_ROW_COPY)
			assign_copy(s, row, x);
		else if (row->flags & VECX_ROW_LEAVING)
		{
			measure(s, x);
			add_to_part(s, nearest(s, s->nparts), row, row->flags, x);
		}
		else
			assign_own(s, row, x);
	}
	for (int i = 0; i < s->nrows; i++)
		if (s->twin[i] >= 0)
			s->moved[i] = s->moved[s->twin[i]];
}

/* What tells by their codes which rows of a list are nearer to a new centre. */
typedef struct Screen
{
	VecxListQuery *queries;		/* [nparts + 1]: of the parts; of the list's own centre */
	char	   *room;			/* of the latter */
	VecxListProbe *probes;		/* the same */
	float	   *norm2;
	float	   *est;			/* [VECX_LIST_BLOCK] */
	float	   *sigma;
	float	   *own;
} Screen;

static void
init_screen(const VecxListSplitState *s, Screen *screen)
{
	const VecxListCode *code = &s->index->lists->code;
	uint32		dim = code->dim;

	screen->queries = palloc(sizeof(VecxListQuery) * (s->nparts + 1));
	screen->probes = palloc(sizeof(VecxListProbe) * (s->nparts + 1));
	screen->norm2 = palloc(sizeof(float) * (s->nparts + 1));
	screen->est = palloc(sizeof(float) * VECX_LIST_BLOCK);
	screen->sigma = palloc(sizeof(float) * VECX_LIST_BLOCK);
	screen->own = palloc(sizeof(float) * VECX_LIST_BLOCK);
	screen->room = palloc(vecx_list_query_bytes(code));
	for (int p = 0; p < s->nparts; p++)
	{
		const float *c = s->decoded + (Size) p * dim;

		vecx_list_query_init(code, &screen->queries[p], c, palloc(vecx_list_query_bytes(code)));
		screen->norm2[p] = vecx_kernels->ip_f32(c, c, dim);
	}
}

/* Points the screen at a list. */
static void
aim_screen(const VecxListSplitState *s, Screen *screen, int n)
{
	const VecxListCode *code = &s->index->lists->code;
	uint32		dim = code->dim;
	const float *c = s->decoded + (Size) (s->nparts + n) * dim;

	vecx_list_query_init(code, &screen->queries[s->nparts], c, screen->room);
	screen->norm2[s->nparts] = vecx_kernels->ip_f32(c, c, dim);
	for (int p = 0; p <= s->nparts; p++)
	{
		const float *q = p < s->nparts ? s->decoded + (Size) p * dim : c;
		float		dist = code->metric == VECX_METRIC_IP ? -vecx_kernels->ip_f32(q, c, dim) :
			vecx_kernels->l2sq_f32(q, c, dim);

		vecx_list_probe_init(code, &screen->queries[p], dist, screen->norm2[s->nparts], &screen->probes[p]);
	}
}

/* Estimates the squared distances of a block's rows to a centre, less their own
 * squared length under the inner product. */
static void
estimate(const VecxListSplitState *s, Screen *screen, int p, const uint8 *block, float *est)
{
	const VecxLists *lists = s->index->lists;
	uint32		sums[VECX_LIST_BLOCK] = {0};

	vecx_list_add_sums(&lists->code, &screen->queries[p], block, 0, lists->code.ncolumns, sums);
	vecx_list_estimates(&screen->queries[p], &screen->probes[p], sums,
						(const VecxListFactors *) (block + lists->factors), est, screen->sigma);
	if (lists->code.metric == VECX_METRIC_IP)
		for (int i = 0; i < VECX_LIST_BLOCK; i++)
			est[i] = screen->norm2[p] + 2 * est[i];
}

/* Of the rows of a block, those that seem to be nearer to a new centre. */
static uint32
screen_block(const VecxListSplitState *s, Screen *screen, const uint8 *block, int n)
{
	uint32		nearer = 0;

	estimate(s, screen, s->nparts, block, screen->own);
	for (int p = 0; p < s->nparts; p++)
	{
		estimate(s, screen, p, block, screen->est);
		for (int i = 0; i < n; i++)
			if (screen->est[i] < screen->own[i])
				nearer |= (uint32) 1 << i;
	}
	return nearer;
}

/* Whether the row comes from another list already; after a crash it may be in two. */
static bool
has_arrived(const VecxListSplitState *s, const VecxRowEntry *row)
{
	for (int i = 0; i < s->narrivals; i++)
		if (ItemPointerEquals(&s->arrivals[i].tid, unconstify(ItemPointerData *, &row->tid)))
			return true;
	return false;
}

/* Takes a row of the n-th list near by into a new one, if none of the others is nearer; no more
 * of them than the old lists have, which bounds the memory and the time of this step. */
static void
draw_row(VecxListSplitState *s, int n, BlockNumber blkno, int place, const VecxRowEntry *row)
{
	int			to[VECX_MOST_REPLICAS];
	int			nto;
	const float *x;

	/* one that is in the old lists as well would be in a new one twice */
	if (s->narrivals >= s->nrows || !VecxRowIsOwn(row) ||
		bsearch(&row->tid, s->tids, s->nrows, sizeof(ItemPointerData), VecxCompareTids))
		return;
	x = VecxListSplitVector(s, unconstify(ItemPointerData *, &row->tid));
	if (!x)
		return;
	nto = choose(s, x, to);
	if (to[0] >= s->nparts || has_arrived(s, row))
		return;
	if (s->narrivals == s->arrivals_cap)
	{
		s->arrivals_cap = Max(s->arrivals_cap * 2, 64);
		s->arrivals = s->arrivals ?
			repalloc(s->arrivals, sizeof(VecxListArrival) * s->arrivals_cap) :
			palloc(sizeof(VecxListArrival) * s->arrivals_cap);
	}
	s->arrivals[s->narrivals++] = (VecxListArrival) {
		blkno, place, row->tid, leaving_flags(to, nto, s->nparts + n)
	};
	add_to_part(s, to[0], row, VECX_ROW_ARRIVED, x);
}

/* Draws rows out of a page of the near-th list near by, of which we have a copy. */
static void
draw_from_page(VecxListSplitState *s, Screen *screen, int near, BlockNumber blkno, Page page)
{
	const VecxLists *lists = s->index->lists;
	int			nrows = VecxListPageHeader(page)->nrows;
	PGAlignedBlock room;

	for (int first = 0; first < nrows; first += VECX_LIST_BLOCK)
	{
		const uint8 *block = VecxListBlock(lists, page, first, &room);
		int			n = Min(nrows - first, VECX_LIST_BLOCK);
		uint32		nearer = screen_block(s, screen, block, n);

		for (int i = 0; i < n; i++)
			if (nearer & (uint32) 1 << i)
				draw_row(s, near, blkno, first + i, VecxListRow(lists, page, first + i));
	}
}

/*
 * Takes rows of the lists near by that are nearest to new centres.  No row of these
 * changes its place as long as the caller has the training lock.
 */
void
VecxListDrawIn(VecxListSplitState *s)
{
	VecxIndex  *index = s->index;
	Screen		screen;
	PGAlignedBlock copy;

	init_screen(s, &screen);
	for (int n = 0; n < s->nnear && s->narrivals < s->nrows; n++)
	{
		BlockNumber head = VecxListOfTid(&s->near[n].tids[0]);
		BlockNumber steps = RelationGetNumberOfBlocks(index->rel);

		aim_screen(s, &screen, n);
		for (BlockNumber blkno = head; blkno != InvalidBlockNumber;)
		{
			BlockNumber next = VecxListCopyPage(index, head, blkno, &steps, &copy);

			CHECK_FOR_INTERRUPTS();
			draw_from_page(s, &screen, n, blkno, copy.data);
			blkno = next;
		}
	}
}

/* Says of rows of a page that they are in other lists, where searches find them. */
void
VecxListMarkPage(VecxIndex *index, const VecxListArrival *arrivals, int n)
{
	Buffer		buf = VecxReadPage(index->rel, arrivals[0].blkno, BUFFER_LOCK_EXCLUSIVE, VECX_PAGE_LIST);
	VecxPageChange change;
	VecxListPage header;

	VecxPageBegin(&change, index->rel, buf, index->mode, false);
	header = VecxListPageHeader(change.page);
	for (int i = 0; i < n; i++)
	{
		VecxRowEntry *row = VecxListRow(index->lists, change.page, arrivals[i].place);

		if (arrivals[i].place >= header->nrows ||
			!ItemPointerEquals(&row->tid, unconstify(ItemPointerData *, &arrivals[i].tid)))
			VecxCorrupted(index->rel, arrivals[i].blkno, "a row of a list is not where it was");
		row->flags = arrivals[i].flags;
	}
	header->flags |= VECX_LIST_LEAVING;
	header->stamp = VecxListStampNow();
	VecxPageCommit(&change);
	UnlockReleaseBuffer(buf);
}

/* After the new lists' centroids are in the graph. */
void
VecxListMarkArrivals(VecxListSplitState *s)
{
	int			n;

	for (int i = 0; i < s->narrivals; i += n)
	{
		CHECK_FOR_INTERRUPTS();
		for (n = 1; i + n < s->narrivals && s->arrivals[i + n].blkno == s->arrivals[i].blkno; n++)
			;
		VecxListMarkPage(s->index, s->arrivals + i, n);
	}
}

/*
 * tune_codes.c
 *    vecx_tune, and what codes of product quantisation are scored by: which rows come
 *    first for a query by codes alone, and books learned from them (code_score.c).
 *
 * All rows are compared, not only those of near lists: what is judged is the scoring.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "code/code_heap.h"
#include "kernel/kernel.h"
#include "verify/tune.h"

#define FOUND	256				/* rows of a query, copies of the same included */

/* A row that is among the first of a query. */
typedef struct FoundRow
{
	ItemPointerData tid;
	VecxScoreRow row;
} FoundRow;

typedef struct FoundPlace
{
	float		est;
	int			place;			/* among the query's rows */
} FoundPlace;

typedef struct FoundQuery
{
	VecxTuneQuery *query;
	VecxListQuery tables;
	int			n;
	FoundPlace *heap;			/* [FOUND + 1]: the greatest estimate first */
	FoundRow   *rows;			/* [FOUND] */
	uint8	   *codes;			/* [FOUND][ncolumns]; NULL: not wanted */
} FoundQuery;

typedef struct Finder
{
	VecxTune   *t;
	MemoryContext cxt;
	int			nqueries;
	FoundQuery *queries;
} Finder;

#define GREATEST_FIRST(item)	(-(item).est)
VECX_DEFINE_HEAP(push_place, pop_place, FoundPlace, GREATEST_FIRST);

/* What a query takes; where codes are wanted, with what training has of it. */
static Size
query_bytes(const VecxListCode *code, bool with_codes)
{
	Size		bytes = vecx_list_query_bytes(code) + sizeof(FoundQuery) + sizeof(FoundPlace) * (FOUND + 1) +
		sizeof(FoundRow) * FOUND;

	if (with_codes)
		bytes += FOUND * (sizeof(VecxScoreRow) + 2 * (Size) code->ncolumns) + sizeof(float) * code->pdims;
	return bytes;
}

/* How many queries are compared with codes at a time. */
static int
most_queries(const VecxTune *t, bool with_codes)
{
	return (int) Min((Size) t->nqueries,
					 (Size) maintenance_work_mem * 1024 / 4 / query_bytes(&t->index->lists->code, with_codes));
}

/* What learning and judging of books take at most: queries, and six times the books, which
 * are those there are, new ones, and what training has beside them. */
Size
VecxTuneBooksMemory(const VecxTune *t)
{
	return (Size) maintenance_work_mem * 1024 / 4 + 6 * vecx_score_bytes(&t->index->lists->code);
}

/* Whether there is memory for as many queries as it takes. */
bool
VecxTuneBooksFit(const VecxTune *t)
{
	return most_queries(t, true) >= Min(t->nqueries, VECX_LEAST_QUERIES);
}

static void
add_query(Finder *f, const VecxListCode *scoring, VecxTuneQuery *query, bool with_codes)
{
	FoundQuery *found = &f->queries[f->nqueries++];

	found->query = query;
	vecx_list_query_init(scoring, &found->tables, query->x, palloc(vecx_list_query_bytes(scoring)));
	found->n = 0;
	found->heap = palloc(sizeof(FoundPlace) * (FOUND + 1));
	found->rows = palloc(sizeof(FoundRow) * FOUND);
	found->codes = with_codes ? palloc((Size) FOUND * scoring->ncolumns) : NULL;
}

static void
take_row(Finder *f, FoundQuery *found, const uint8 *block, int slot, float est, float fixed)
{
	const VecxLists *lists = f->t->index->lists;
	FoundPlace	item = {est, found->n};
	FoundRow   *row;

	if (found->n == FOUND)
		item.place = pop_place(found->heap, &found->n).place;
	push_place(found->heap, &found->n, item);
	row = &found->rows[item.place];
	row->tid = VecxRowAt(block + lists->rows, lists->row_size, slot)->tid;
	row->row.fixed = fixed;
	row->row.rescale = vecx_list_rescale((const VecxListFactors *) (block + lists->factors), slot);
	if (found->codes)
		vecx_list_get_codes(&lists->code, block, 0, lists->code.ncolumns, slot,
							found->codes + (Size) item.place * lists->code.ncolumns);
}

/* Compares a query with the rows of a page. */
static void
see_page(Finder *f, FoundQuery *found, Page page, const float *centre)
{
	const VecxLists *lists = f->t->index->lists;
	VecxMetric	metric = (VecxMetric) f->t->index->meta.metric;
	uint32		dim = f->t->index->meta.dim;
	int			nrows = VecxListPageHeader(page)->nrows;
	PGAlignedBlock room;
	VecxListProbe probe;

	vecx_list_probe_init(&lists->code, &found->tables,
						 metric == VECX_METRIC_IP ? -vecx_kernels->ip_f32(found->query->x, centre, dim) :
						 vecx_kernels->l2sq_f32(found->query->x, centre, dim),
						 vecx_kernels->ip_f32(centre, centre, dim), &probe);
	for (int first = 0; first < nrows; first += VECX_LIST_BLOCK)
	{
		const uint8 *block = VecxListBlock(lists, page, first, &room);
		const VecxListFactors *factors = (const VecxListFactors *) (block + lists->factors);
		uint32		sums[VECX_LIST_BLOCK] = {0};
		float		est[VECX_LIST_BLOCK];
		float		sigma[VECX_LIST_BLOCK];

		vecx_list_add_sums(&lists->code, &found->tables, block, 0, lists->code.ncolumns, sums);
		vecx_list_estimates(&found->tables, &probe, sums, factors, est, sigma);
		for (int i = 0; i < Min(nrows - first, VECX_LIST_BLOCK); i++)
			if (found->n < FOUND ? !isnan(est[i]) : est[i] < found->heap[0].est)
				take_row(f, found, block, i, est[i], probe.add + probe.scale * factors->add[i]);
	}
}

/* Compares all queries with all rows. */
static void
see_rows(Finder *f)
{
	VecxTune   *t = f->t;
	BlockNumber nblocks = RelationGetNumberOfBlocks(t->target.rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	PGAlignedBlock page;

	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks; blkno++)
	{
		VecxListPage header;
		int64		list;

		CHECK_FOR_INTERRUPTS();
		if (!VecxReadPageCopy(t->target.rel, blkno, strategy, &page))
			continue;
		header = VecxListGetPage(t->index, page.data, blkno);
		if (!header || header->nrows == 0 || VecxListIsRetired(header))
			continue;
		list = VecxTuneNumber(t, header->head);
		for (int i = 0; list >= 0 && i < f->nqueries; i++)
		{
			CHECK_FOR_INTERRUPTS();
			see_page(f, &f->queries[i], page.data, t->centres + list * t->index->meta.dim);
		}
	}
	FreeAccessStrategy(strategy);
}

/* ---- judging ---- */

static int
compare_places(const void *a, const void *b)
{
	float		x = ((const FoundPlace *) a)->est;
	float		y = ((const FoundPlace *) b)->est;

	return (x > y) - (x < y);
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/* The first rows of a query, each once, in the order of their TIDs; returns how many. */
static int
first_rows(FoundQuery *found, ItemPointerData *tids)
{
	int			n = 0;

	qsort(found->heap, found->n, sizeof(FoundPlace), compare_places);
	for (int i = 0; i < found->n && n < VECX_TUNE_NEAREST; i++)
	{
		ItemPointer tid = &found->rows[found->heap[i].place].tid;
		int			j = 0;

		while (j < n && !ItemPointerEquals(&tids[j], tid))
			j++;
		if (j == n)
			tids[n++] = *tid;
	}
	qsort(tids, n, sizeof(ItemPointerData), compare_tids);
	return n;
}

static double
share_among(const ItemPointerData *wanted, int nwanted, const ItemPointerData *tids, int n)
{
	int			met = 0;

	for (int i = 0; i < nwanted; i++)
		met += bsearch(&wanted[i], tids, n, sizeof(ItemPointerData), compare_tids) != NULL;
	return nwanted > 0 ? (double) met / nwanted : 0;
}

static void
judge_query(FoundQuery *found, VecxTuneCodes *codes)
{
	const VecxTuneQuery *query = found->query;
	ItemPointerData tids[VECX_TUNE_NEAREST];
	ItemPointerData wanted[VECX_TUNE_NEAREST];
	int			n = first_rows(found, tids);
	int			nwanted = VecxTuneWanted(query, VECX_TUNE_NEAREST, wanted);

	if (nwanted == 0 || query->n == 0)
		return;
	codes->queries++;
	codes->wanted += share_among(wanted, nwanted, tids, n);
	for (int i = 0; i < query->n; i++)
		wanted[i] = query->nearest[i].tid;
	codes->nearest += share_among(wanted, query->n, tids, n);
}

/* What the queries held out find when rows are scored so. */
void
VecxTuneJudgeBooks(VecxTune *t, const VecxListCode *scoring, VecxTuneCodes *codes)
{
	Finder		f = {t};
	MemoryContext cxt = AllocSetContextCreate(t->cxt, "vecx judging of codes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			most = most_queries(t, false);

	f.queries = MemoryContextAllocHuge(cxt, sizeof(FoundQuery) * Max(most, 1));
	for (int i = 0; i < t->nqueries && f.nqueries < most; i++)
		if (VecxTuneHeldOut(i))
			add_query(&f, scoring, &t->queries[i], false);
	see_rows(&f);
	memset(codes, 0, sizeof(*codes));
	for (int i = 0; i < f.nqueries; i++)
		judge_query(&f.queries[i], codes);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* ---- learning ---- */

static int
compare_neighbours(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) &((const VecxTuneNeighbour *) a)->tid,
							  (ItemPointer) &((const VecxTuneNeighbour *) b)->tid);
}

/*
 * What is known of the rows that were found: the distances of the nearest, and that all others
 * are no nearer than the last of these.
 */
static void
note_distances(const VecxTune *t, FoundQuery *found)
{
	const VecxTuneQuery *query = found->query;
	VecxMetric	metric = (VecxMetric) t->index->meta.metric;
	VecxTuneNeighbour nearest[VECX_TUNE_NEAREST];

	memcpy(nearest, query->nearest, sizeof(VecxTuneNeighbour) * query->n);
	qsort(nearest, query->n, sizeof(VecxTuneNeighbour), compare_neighbours);
	for (int i = 0; i < found->n; i++)
	{
		FoundRow   *row = &found->rows[i];
		VecxTuneNeighbour key = {0, row->tid};
		VecxTuneNeighbour *known = bsearch(&key, nearest, query->n, sizeof(VecxTuneNeighbour), compare_neighbours);

		if (!known)
			known = &query->nearest[query->n - 1];
		row->row.target = (float) VecxRankFromOperator(metric, known->distance);
		row->row.kind = ItemPointerEquals(&known->tid, &row->tid) ? VECX_SCORE_KNOWN : VECX_SCORE_BEYOND;
		for (int j = 0; j < query->nequal && row->row.kind == VECX_SCORE_BEYOND; j++)
			if (ItemPointerEquals((ItemPointer) &query->equal[j], &row->tid))
				row->row.kind = VECX_SCORE_WITHIN;
	}
}

/* Books that are learned from the queries not held out, as code_score.c has them, in t->cxt. */
uint8 *
VecxTuneLearnBooks(VecxTune *t)
{
	const VecxListCode *code = &t->index->lists->code;
	Finder		f = {t};
	MemoryContext cxt = AllocSetContextCreate(t->cxt, "vecx learning from codes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			most = most_queries(t, true);
	uint8	   *books;
	VecxScoreSample sample;
	VecxScoreRow *rows;
	const float **queries;
	uint32	   *first;
	uint8	   *codes;
	VecxTrainEnv env;

	f.queries = MemoryContextAllocHuge(cxt, sizeof(FoundQuery) * Max(most, 1));
	for (int i = 0; i < t->nqueries && f.nqueries < most; i++)
		if (!VecxTuneHeldOut(i) && t->queries[i].n > 0)
			add_query(&f, code, &t->queries[i], true);
	see_rows(&f);
	rows = MemoryContextAllocHuge(cxt, sizeof(VecxScoreRow) * FOUND * Max(f.nqueries, 1));
	codes = MemoryContextAllocHuge(cxt, (Size) FOUND * code->ncolumns * Max(f.nqueries, 1));
	queries = palloc(sizeof(float *) * Max(f.nqueries, 1));
	first = palloc0(sizeof(uint32) * (f.nqueries + 1));
	for (int i = 0; i < f.nqueries; i++)
	{
		FoundQuery *found = &f.queries[i];

		CHECK_FOR_INTERRUPTS();
		note_distances(t, found);
		for (int j = 0; j < found->n; j++)
			rows[first[i] + j] = found->rows[j].row;
		memcpy(codes + (Size) first[i] * code->ncolumns, found->codes, (Size) found->n * code->ncolumns);
		queries[i] = found->query->x;
		first[i + 1] = first[i] + found->n;
		pfree(found->codes);
		pfree(found->rows);
	}
	memset(&sample, 0, sizeof(sample));
	sample.code = code;
	sample.queries = queries;
	sample.nqueries = (uint32) f.nqueries;
	sample.first = first;
	sample.rows = rows;
	sample.codes = codes;
	VecxTrainEnvInit(&env, cxt);
	books = vecx_score_train(&env, &sample, t->index->meta.seed);
	books = memcpy(MemoryContextAllocHuge(t->cxt, vecx_score_bytes(code)), books, vecx_score_bytes(code));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return books;
}

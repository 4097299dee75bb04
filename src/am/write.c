/*
 * write.c
 *    The finished graph onto pages, each written once and in order: records of
 *    the upper levels, base records, then segments of vertices with many rows.
 *
 * Base records are placed so that graph neighbours share pages: a page is
 * filled with the nearest neighbours of what is on it already.  Room that is
 * left over on a page becomes room for links.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "am/build.h"
#include "am/heap.h"
#include "am/vtree.h"

typedef struct Placed
{
	VecxId		id;				/* at the base */
	VecxId		upper;			/* at level 1; those above follow */
	uint16		cap;			/* links there is room for */
} Placed;

typedef struct Writer
{
	VecxIndex  *index;
	VecxGraph  *graph;
	const VecxBasis *basis;
	uint8		model;
	MemoryContext cxt;
	Placed	   *placed;
	uint32	   *order;			/* vertices in page order */
	uint16	   *on_page;		/* vertices on each base page */
	BlockNumber nbase;			/* base pages */
	VecxId	   *uppers;			/* ids of upper records, vertex by vertex */

	VecxSpool  *points;			/* where projections are read from */
	void	   *pv;				/* that of a vertex */
	void	   *pn;				/* that of a neighbour */
	void	   *vec;			/* a decoded vector */
} Writer;

static Size
record_bytes(const Writer *w, int cap)
{
	return MAXALIGN(VecxRecordSize(&w->index->layout, cap)) + sizeof(ItemIdData);
}

/* Gives each upper record its id: m links of room each, so many to a page. */
static BlockNumber
place_uppers(Writer *w, BlockNumber first)
{
	VecxGraph  *graph = w->graph;
	int			per_page = (int) Min(VECX_PAGE_CAPACITY / record_bytes(w, graph->m), VECX_MAX_ITEMS);
	Size		n = 0;
	Size		total = 0;

	for (uint32 v = 0; v < graph->nvertices; v++)
		total += graph->vertices[v].level;
	w->uppers = MemoryContextAllocHuge(w->cxt, sizeof(VecxId) * Max(total, 1));
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		w->placed[v].upper = (VecxId) n;
		for (int level = 1; level <= graph->vertices[v].level; level++, n++)
			w->uppers[n] = VecxIdMake(first + n / per_page, FirstOffsetNumber + n % per_page);
	}
	return first + (BlockNumber) ((n + per_page - 1) / per_page);
}

static VecxId
id_of(const Writer *w, uint32 vertex, int level)
{
	return level == 0 ? w->placed[vertex].id : w->uppers[w->placed[vertex].upper + level - 1];
}

/* Vertices waiting for their page. */
typedef struct Waiting
{
	uint32	   *queue;			/* in the order in which they were met */
	uint32		head;
	uint32		tail;
	bool	   *queued;
	bool	   *done;
	uint32		unseen;			/* vertices before it are queued */
	VecxCandidate *near;		/* neighbours of what is on the page, nearest first */
	int			nnear;
} Waiting;

/* How many of those that wait longest are tried for the rest of a page. */
#define MAX_LOOKAHEAD	64

static void
enqueue(Waiting *q, uint32 vertex)
{
	if (q->queued[vertex])
		return;
	q->queued[vertex] = true;
	q->queue[q->tail++] = vertex;
}

/* The vertex to put on the page next, with no more room than that; or
 * VECX_NO_VERTEX. */
static uint32
next_for_page(Writer *w, Waiting *q, Size room)
{
	VecxGraph  *graph = w->graph;

	while (q->nnear > 0)
	{
		uint32		v = VecxHeapPop(q->near, &q->nnear).id;

		if (!q->done[v] && record_bytes(w, graph->vertices[v].nlinks) <= room)
			return v;
	}
	while (q->head < q->tail && q->done[q->queue[q->head]])
		q->head++;
	for (int i = 0; i < MAX_LOOKAHEAD; i++)
	{
		uint32		v;

		if (q->head + i >= q->tail)
		{
			while (q->unseen < graph->nvertices && q->queued[q->unseen])
				q->unseen++;
			if (q->unseen == graph->nvertices)
				break;
			enqueue(q, q->unseen);
		}
		v = q->queue[q->head + i];
		if (!q->done[v] && record_bytes(w, graph->vertices[v].nlinks) <= room)
			return v;
	}
	return VECX_NO_VERTEX;
}

static void
enqueue_neighbours(Writer *w, Waiting *q, uint32 vertex)
{
	int			n;
	const VecxGraphLink *links = VecxGraphLinks(w->graph, vertex, 0, &n);

	for (int i = 0; i < n; i++)
	{
		VecxCandidate cand = {links[i].dist, links[i].vertex};

		if (q->done[cand.id])
			continue;
		VecxHeapPush(q->near, &q->nnear, cand);
		enqueue(q, cand.id);
	}
}

/* Shares a page's left over room as room for links, and numbers its records. */
static void
finish_layout(Writer *w, const uint32 *vertices, int count, Size room, BlockNumber blkno)
{
	Size		spare = room / count / w->index->layout.link_size;

	for (int i = 0; i < count; i++)
	{
		Placed	   *p = &w->placed[vertices[i]];
		int			more = Min((int) spare, 2 * w->graph->m - p->cap);

		/* alignment may take a few bytes more than the links themselves */
		while (more > 0 && record_bytes(w, p->cap + more) - record_bytes(w, p->cap) > room)
			more--;
		room -= record_bytes(w, p->cap + more) - record_bytes(w, p->cap);
		p->cap += more;
		p->id = VecxIdMake(blkno, FirstOffsetNumber + i);
	}
}

/*
 * Orders the base records by pages.  Candidates for a page are the unplaced
 * neighbours of its vertices, the nearest first; a new page starts with what
 * was passed over longest ago.
 */
static void
place_base(Writer *w, BlockNumber first)
{
	VecxGraph  *graph = w->graph;
	Size		n = Max(graph->nvertices, 1);
	uint32		nplaced = 0;
	uint32		nlive = 0;
	Waiting		q;

	memset(&q, 0, sizeof(q));
	q.queue = MemoryContextAllocHuge(w->cxt, sizeof(uint32) * n);
	q.queued = MemoryContextAllocExtended(w->cxt, n, MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	q.done = MemoryContextAllocExtended(w->cxt, n, MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	q.near = palloc(sizeof(VecxCandidate) * (VECX_MAX_ITEMS + 1) * 2 * graph->m);
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		q.queued[v] = q.done[v] = graph->vertices[v].gone;
		nlive += !graph->vertices[v].gone;
	}
	while (nplaced < nlive)
	{
		Size		room = VECX_PAGE_CAPACITY;
		uint32		page_first = nplaced;

		CHECK_FOR_INTERRUPTS();
		q.nnear = 0;
		while (nplaced - page_first < VECX_MAX_ITEMS)
		{
			uint32		v = next_for_page(w, &q, room);

			if (v == VECX_NO_VERTEX)
				break;
			q.done[v] = true;
			w->order[nplaced++] = v;
			w->placed[v].cap = graph->vertices[v].nlinks;
			room -= record_bytes(w, w->placed[v].cap);
			enqueue_neighbours(w, &q, v);
		}
		w->on_page[w->nbase] = (uint16) (nplaced - page_first);
		finish_layout(w, w->order + page_first, w->on_page[w->nbase], room, first + w->nbase);
		w->nbase++;
	}
	pfree(q.queue);
	pfree(q.queued);
	pfree(q.done);
	pfree(q.near);
}

/* Of the next neighbour's point, the beginning: the processor goes on by itself. */
#define POINT_BYTES_AHEAD	512

static void
prefetch_point(Writer *w, uint32 vertex)
{
	const char *point;

	if (!VecxSpoolInMemory(w->points))
		return;
	point = VecxSpoolGet(w->points, vertex);
	for (int at = 0; at < POINT_BYTES_AHEAD; at += 64)
		__builtin_prefetch(point + at);
}

static void
read_projection(Writer *w, uint32 vertex, void *y)
{
	vecx_point_read(w->graph->coder, w->basis, VecxSpoolGet(w->points, vertex), y);
}

/* A record's bytes, in rec, which is zeroed and large enough. */
static void
fill_record(Writer *w, VecxRecord rec, uint32 vertex, int level, int cap, uint32 generation)
{
	VecxIndex  *index = w->index;
	VecxGraph  *graph = w->graph;
	VecxGraphVertex *v = &graph->vertices[vertex];
	int			nlinks;
	const VecxGraphLink *links = VecxGraphLinks(graph, vertex, level, &nlinks);
	uint8	   *code = VecxRecordCode(&index->layout, rec);
	float		norm2;

	rec->level = (uint8) level;
	rec->model = w->model;
	rec->nlinks = (uint16) nlinks;
	rec->link_cap = (uint16) cap;
	rec->generation = generation;
	rec->hash = v->hash;
	rec->down = level > 0 ? id_of(w, vertex, level - 1) : VECX_INVALID_ID;
	rec->base = level > 0 ? id_of(w, vertex, 0) : VECX_INVALID_ID;
	if (level == 0)
		for (uint32 row = v->first_row; row != PG_UINT32_MAX && rec->nrows < VECX_INLINE_ROWS;
			 row = graph->rows[row].next)
		{
			VecxRowEntry *entry = VecxRecordRow(&index->layout, rec, rec->nrows++);

			entry->tid = graph->rows[row].tid;
			if (graph->filters)
				memcpy(VecxRowFilters(entry), VecxGraphRowFilters(graph, row),
					   index->filters->nbytes);
		}
	memcpy(code, VecxGraphCode(graph, vertex), graph->coder->nbytes);
	norm2 = vecx_code_norm2(graph->coder, code);

	read_projection(w, vertex, w->pv);
	for (int i = 0; i < nlinks; i++)
	{
		uint32		popcount = 0;

		if (i + 1 < nlinks)
			prefetch_point(w, links[i + 1].vertex);
		if (index->spec->is_bits)
			popcount = (uint32) vecx_code_norm2(graph->coder, VecxGraphCode(graph, links[i].vertex));
		read_projection(w, links[i].vertex, w->pn);
		VecxEncodeLink(index, w->basis, id_of(w, links[i].vertex, level), w->pv, w->pn, norm2,
					   links[i].dist, popcount, VecxRecordLink(&index->layout, rec, i));
	}
}

static Buffer
new_page(Writer *w, uint8 kind, BlockNumber expected)
{
	Buffer		buf = VecxExtend(w->index->rel, MAIN_FORKNUM);

	if (BufferGetBlockNumber(buf) != expected)
		elog(ERROR, "a page of index \"%s\" is not where it was planned",
			 RelationGetRelationName(w->index->rel));
	VecxPageInit(BufferGetPage(buf), kind);
	return buf;
}

static void
add_record(Writer *w, Buffer buf, uint32 vertex, int level, int cap, VecxId id)
{
	Size		size = VecxRecordSize(&w->index->layout, cap);
	VecxRecord	rec = palloc0(size);
	/* the same for all records of a vertex, and not zero */
	uint32		generation = (uint32) (w->index->meta.seed >> 32) ^ (vertex + 1);

	fill_record(w, rec, vertex, level, cap, generation);
	VecxPageAddItem(BufferGetPage(buf), VecxIdOffset(id), rec, size);
	pfree(rec);
}

static void
finish_page(Buffer buf)
{
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);
}

static void
write_uppers(Writer *w)
{
	Buffer		buf = InvalidBuffer;

	for (uint32 v = 0; v < w->graph->nvertices; v++)
		for (int level = 1; level <= w->graph->vertices[v].level; level++)
		{
			VecxId		id = id_of(w, v, level);

			if (VecxIdOffset(id) == FirstOffsetNumber)
			{
				if (BufferIsValid(buf))
					finish_page(buf);
				/* no interrupt comes through while a page is locked */
				CHECK_FOR_INTERRUPTS();
				buf = new_page(w, VECX_PAGE_UPPER, VecxIdBlock(id));
			}
			add_record(w, buf, v, level, w->graph->m, id);
		}
	if (BufferIsValid(buf))
	{
		w->index->meta.upper_tail = BufferGetBlockNumber(buf);
		finish_page(buf);
	}
}

static void
write_base(Writer *w, BlockNumber first)
{
	uint32		at = 0;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	for (BlockNumber i = 0; i < w->nbase; i++)
	{
		Buffer		buf;

		CHECK_FOR_INTERRUPTS();
		buf = new_page(w, VECX_PAGE_VERTEX, first + i);
		for (int j = 0; j < w->on_page[i]; j++, at++)
		{
			uint32		v = w->order[at];

			add_record(w, buf, v, 0, w->placed[v].cap, w->placed[v].id);
		}
		finish_page(buf);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, at);
	}
}

/* Rows beyond those in the records. */
static void
write_more_rows(Writer *w)
{
	VecxGraph  *graph = w->graph;
	VecxRowEntry *entry = palloc0(w->index->layout.row_size);

	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		uint32		row = graph->vertices[v].first_row;
		VecxId		id = w->placed[v].id;
		uint32		generation = (uint32) (w->index->meta.seed >> 32) ^ (v + 1);

		for (int i = 0; row != PG_UINT32_MAX; i++, row = graph->rows[row].next)
		{
			CHECK_FOR_INTERRUPTS();
			if (i < VECX_INLINE_ROWS)
				continue;
			entry->tid = graph->rows[row].tid;
			if (graph->filters)
				memcpy(VecxRowFilters(entry), VecxGraphRowFilters(graph, row),
					   w->index->filters->nbytes);
			if (!VecxRowsAppend(w->index, id, generation, entry))
				elog(ERROR, "a vertex of index \"%s\" is not where it was written",
					 RelationGetRelationName(w->index->rel));
		}
	}
}

/* The vertex that has the rows that were read as those of another. */
static uint32
owner_of_rows(const VecxGraph *graph, uint32 vertex)
{
	while (graph->vertices[vertex].gone)
		vertex = graph->vertices[vertex].last_row;
	return vertex;
}

/* Share of maintenance_work_mem that sorting takes: codes lie in memory beside. */
#define TREE_SORT_SHARE	4

/* The value tree, from keys whose ids are numbers of vertices, mostly in order. */
static void
write_tree(Writer *w, VecxSpool *keys)
{
	VecxTreeBuild *build = VecxTreeBuildBegin(w->index, maintenance_work_mem / TREE_SORT_SHARE);
	uint8	   *sketch = palloc(w->index->tree_coder.nbytes);
	uint32		sketched = VECX_NO_VERTEX;
	uint32		count = VecxSpoolCount(keys);

	for (uint32 i = 0; i < count; i++)
	{
		VecxTreeKey key = *(const VecxTreeKey *) VecxSpoolGet(keys, i);
		uint32		vertex = owner_of_rows(w->graph, key.id);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (vertex != sketched)
		{
			vecx_code_decode(w->graph->coder, VecxGraphCode(w->graph, vertex), w->vec);
			VecxTreeSketch(w->index, w->vec, sketch);
			sketched = vertex;
		}
		key.id = w->placed[vertex].id;
		VecxTreeBuildAdd(build, &key, sketch);
	}
	VecxTreeBuildEnd(build);
	pfree(sketch);
}

static void
set_entry(VecxMetaPageData *meta, void *arg)
{
	Writer	   *w = arg;
	uint32		entry = w->graph->entry;

	meta->upper_tail = w->index->meta.upper_tail;
	if (entry == VECX_NO_VERTEX)
		return;
	meta->entry_level = w->graph->vertices[entry].level;
	meta->entry = id_of(w, entry, meta->entry_level);
}

/*
 * Writes a graph behind what the index has already (the metapage and the
 * model), DIRECT.  keys are for the value tree, NULL: there is none.
 */
void
VecxGraphWrite(VecxIndex *index, VecxGraph *graph, VecxSpool *points, VecxSpool *keys)
{
	Writer		w;
	MemoryContext old;
	BlockNumber first = RelationGetNumberOfBlocks(index->rel);
	BlockNumber first_base;
	const VecxModel *model = VecxCurrentModel(index);

	memset(&w, 0, sizeof(w));
	w.index = index;
	w.graph = graph;
	w.basis = &model->basis;
	w.model = model->number;
	w.cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx write", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(w.cxt);
	w.placed = MemoryContextAllocHuge(w.cxt, sizeof(Placed) * Max(graph->nvertices, 1));
	w.order = MemoryContextAllocHuge(w.cxt, sizeof(uint32) * Max(graph->nvertices, 1));
	w.on_page = MemoryContextAllocHuge(w.cxt, sizeof(uint16) * Max(graph->nvertices, 1));
	w.points = points;
	w.pv = palloc(vecx_basis_proj_bytes(w.basis));
	w.pn = palloc(vecx_basis_proj_bytes(w.basis));
	w.vec = palloc(VecxVectorBytes(index));

	first_base = place_uppers(&w, first);
	place_base(&w, first_base);
	write_uppers(&w);
	write_base(&w, first_base);
	/* before the rows, whose placing reads the metapage again */
	VecxMetaEdit(index, set_entry, &w);
	write_more_rows(&w);
	if (keys)
		write_tree(&w, keys);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(w.cxt);
}

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
	MemoryContext cxt;
	Placed	   *placed;
	uint32	   *order;			/* vertices in page order */
	uint16	   *on_page;		/* vertices on each base page */
	BlockNumber nbase;			/* base pages */
	VecxId	   *uppers;			/* ids of upper records, vertex by vertex */

	VecxRecordMaker maker;
	VecxRecipe *recipe;			/* of the record at hand */
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

/* What is to be in a record. */
static const VecxRecipe *
make_recipe(Writer *w, uint32 vertex, int level, int cap)
{
	VecxIndex  *index = w->index;
	VecxGraph  *graph = w->graph;
	const VecxGraphVertex *v = &graph->vertices[vertex];
	VecxRecipe *recipe = w->recipe;
	int			nlinks;
	const VecxGraphLink *links = VecxGraphLinks(graph, vertex, level, &nlinks);

	recipe->id = id_of(w, vertex, level);
	recipe->down = level > 0 ? id_of(w, vertex, level - 1) : VECX_INVALID_ID;
	recipe->base = level > 0 ? id_of(w, vertex, 0) : v->cell;
	recipe->vertex = vertex;
	recipe->hash = v->hash;
	recipe->cap = (uint16) cap;
	recipe->level = (uint8) level;
	recipe->nlinks = (uint16) nlinks;
	for (int i = 0; i < nlinks; i++)
		recipe->links[i] = (VecxRecipeLink) {id_of(w, links[i].vertex, level), links[i].vertex, links[i].dist};
	recipe->nrows = 0;
	if (level == 0)
		for (uint32 row = v->first_row; row != PG_UINT32_MAX && recipe->nrows < VECX_INLINE_ROWS;
			 row = graph->rows[row].next)
		{
			VecxRowEntry *entry = VecxRecipeRow(index, recipe, recipe->nrows++);

			memset(entry, 0, index->layout.row_size);
			entry->tid = graph->rows[row].tid;
			if (graph->filters)
				memcpy(VecxRowFilters(entry), VecxGraphRowFilters(graph, row),
					   index->filters->nbytes);
		}
	return recipe;
}

/* That it is the page it was planned to be. */
void
VecxCheckBlock(Relation rel, Buffer buf, BlockNumber expected)
{
	if (BufferGetBlockNumber(buf) != expected)
		elog(ERROR, "a page of index \"%s\" is not where it was planned",
			 RelationGetRelationName(rel));
}

static Buffer
new_page(Writer *w, uint8 kind, BlockNumber expected)
{
	Buffer		buf = VecxExtend(w->index->rel, MAIN_FORKNUM);

	VecxCheckBlock(w->index->rel, buf, expected);
	VecxPageInit(BufferGetPage(buf), kind);
	return buf;
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
			VecxRecordMake(&w->maker, make_recipe(w, v, level, w->graph->m), BufferGetPage(buf));
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

			VecxRecordMake(&w->maker, make_recipe(w, v, 0, w->placed[v].cap), BufferGetPage(buf));
		}
		finish_page(buf);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, at);
	}
}

/* Recipes are handed out for so many pages at once. */
#define PAGES_A_HANDOUT	64

/* Tells the others what is to be on the base pages, and writes them together. */
static void
write_base_together(Writer *w, VecxTeam *team, BlockNumber first)
{
	VecxPageList *pages = &team->shared->pages;
	VecxSpool  *recipes = VecxSpoolMakeShared(w->cxt, VecxRecipeSize(w->index), 0, team->files, "recipes", 0);
	VecxSpool  *firsts = VecxSpoolMakeShared(w->cxt, sizeof(uint32), 0, team->files, "pages", 0);
	uint32		at = 0;

	VecxCheckRoom(w->index->rel, (uint64) first + w->nbase);
	pages->first = first;
	pages->npages = w->nbase;
	pages->nfirsts = w->nbase + 1;
	pages->nrecipes = 0;
	for (BlockNumber i = 0; i < w->nbase; i++)
		pages->nrecipes += w->on_page[i];
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	VecxTeamWait(team);
	VecxSpoolAppend(firsts, &at);
	for (BlockNumber i = 0; i < w->nbase; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < w->on_page[i]; j++, at++)
			VecxSpoolAppend(recipes, make_recipe(w, w->order[at], 0, w->placed[w->order[at]].cap));
		VecxSpoolAppend(firsts, &at);
		if (i % PAGES_A_HANDOUT == PAGES_A_HANDOUT - 1 || i == w->nbase - 1)
		{
			VecxSpoolShare(recipes);
			VecxSpoolShare(firsts);
			VecxPagesReady(team, i + 1);
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, at);
		}
	}
	VecxPagesMake(team, &w->maker, pages);
	VecxTeamWait(team);
	VecxSpoolFree(recipes);
	VecxSpoolFree(firsts);
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
		uint32		generation = VecxBuildGeneration(w->index, v);

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
	void	   *vec = palloc(VecxVectorBytes(w->index));
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
			vecx_code_decode(w->graph->coder, VecxGraphCode(w->graph, vertex), vec);
			VecxTreeSketch(w->index, vec, sketch);
			sketched = vertex;
		}
		key.id = w->placed[vertex].id;
		key.place = w->graph->vertices[vertex].cell;
		VecxTreeBuildAdd(build, &key, sketch);
	}
	VecxTreeBuildEnd(build);
	pfree(sketch);
	pfree(vec);
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
VecxGraphWrite(VecxIndex *index, VecxTeam *team, VecxGraph *graph, VecxSpool *points, VecxSpool *keys)
{
	Writer		w;
	MemoryContext old;
	BlockNumber first = RelationGetNumberOfBlocks(index->rel);
	BlockNumber first_base;

	memset(&w, 0, sizeof(w));
	w.index = index;
	w.graph = graph;
	w.cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx write", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(w.cxt);
	w.placed = MemoryContextAllocHuge(w.cxt, sizeof(Placed) * Max(graph->nvertices, 1));
	w.order = MemoryContextAllocHuge(w.cxt, sizeof(uint32) * Max(graph->nvertices, 1));
	w.on_page = MemoryContextAllocHuge(w.cxt, sizeof(uint16) * Max(graph->nvertices, 1));
	VecxRecordMakerInit(&w.maker, index, graph->codes, points);
	w.recipe = palloc0(VecxRecipeSize(index));

	first_base = place_uppers(&w, first);
	place_base(&w, first_base);
	write_uppers(&w);
	if (team->files)
		write_base_together(&w, team, first_base);
	else
		write_base(&w, first_base);
	/* before the rows, whose placing reads the metapage again */
	VecxMetaEdit(index, set_entry, &w);
	write_more_rows(&w);
	if (keys)
		write_tree(&w, keys);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(w.cxt);
}

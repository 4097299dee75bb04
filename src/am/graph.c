/*
 * graph.c
 *    The graph while it is built: its vertices with their rows, and what is
 *    done with it as a whole once the links at the base are known.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/build.h"

VecxGraph *
VecxGraphMake(MemoryContext cxt, const VecxCoder *coder, int m, int ef_construction, uint64 seed,
			  VecxSpool *codes)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxGraph  *graph = palloc0(sizeof(VecxGraph));

	graph->cxt = cxt;
	graph->coder = coder;
	graph->m = m;
	graph->ef_construction = ef_construction;
	graph->entry = VECX_NO_VERTEX;
	pg_prng_seed(&graph->prng, seed);
	graph->vertices_cap = 1024;
	graph->vertices = palloc(sizeof(VecxGraphVertex) * graph->vertices_cap);
	graph->codes = codes;
	graph->rows_cap = 1024;
	graph->rows = palloc(sizeof(VecxGraphRow) * graph->rows_cap);
	graph->by_hash_size = 4096;
	graph->by_hash = palloc(sizeof(uint32) * graph->by_hash_size);
	memset(graph->by_hash, 0xFF, sizeof(uint32) * graph->by_hash_size);
	MemoryContextSwitchTo(old);
	return graph;
}

static void
hash_insert(VecxGraph *graph, uint32 vertex)
{
	uint32		slot = graph->vertices[vertex].hash & (graph->by_hash_size - 1);

	if (!graph->vertices[vertex].findable)
		return;
	while (graph->by_hash[slot] != VECX_NO_VERTEX)
		slot = (slot + 1) & (graph->by_hash_size - 1);
	graph->by_hash[slot] = vertex;
}

/*
 * The next vertex after the given one (VECX_NO_VERTEX: the first) with that
 * hash and code, or VECX_NO_VERTEX.
 */
uint32
VecxGraphFind(VecxGraph *graph, uint32 hash, const uint8 *code, uint32 after)
{
	uint32		slot = hash & (graph->by_hash_size - 1);
	bool		skipping = after != VECX_NO_VERTEX;

	for (; graph->by_hash[slot] != VECX_NO_VERTEX; slot = (slot + 1) & (graph->by_hash_size - 1))
	{
		uint32		v = graph->by_hash[slot];

		if (skipping)
			skipping = v != after;
		else if (!graph->vertices[v].gone && graph->vertices[v].hash == hash &&
				 memcmp(VecxGraphCode(graph, v), code, graph->coder->nbytes) == 0)
			return v;
	}
	return VECX_NO_VERTEX;
}

/* A vertex whose code is in the spool already; unless findable, VecxGraphFind
 * will never return it. */
uint32
VecxGraphKnownVertex(VecxGraph *graph, uint32 hash, bool findable)
{
	uint32		v = graph->nvertices;

	if (v == graph->vertices_cap)
	{
		graph->vertices_cap += graph->vertices_cap / 4;
		graph->vertices = repalloc_huge(graph->vertices,
										sizeof(VecxGraphVertex) * graph->vertices_cap);
	}
	if (v >= VECX_MOST_VERTICES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an index build has more than %u different vectors", VECX_MOST_VERTICES),
				 errhint("Build the index on partitions.")));
	memset(&graph->vertices[v], 0, sizeof(VecxGraphVertex));
	graph->vertices[v].hash = hash;
	graph->vertices[v].findable = findable;
	graph->vertices[v].first_row = graph->vertices[v].last_row = PG_UINT32_MAX;
	graph->vertices[v].links = graph->vertices[v].upper = VECX_NO_VERTEX;
	graph->nvertices++;

	if (graph->nvertices > graph->by_hash_size / 2)
	{
		graph->by_hash_size *= 2;
		graph->by_hash = repalloc_huge(graph->by_hash, sizeof(uint32) * graph->by_hash_size);
		memset(graph->by_hash, 0xFF, sizeof(uint32) * graph->by_hash_size);
		for (uint32 i = 0; i < graph->nvertices; i++)
			hash_insert(graph, i);
	}
	else
		hash_insert(graph, v);
	return v;
}

uint32
VecxGraphAddVertex(VecxGraph *graph, uint32 hash, const uint8 *code, bool findable)
{
	VecxSpoolAppend(graph->codes, code);
	return VecxGraphKnownVertex(graph, hash, findable);
}

/* filters are the row's filter bytes, if the index has filter columns. */
void
VecxGraphAddRow(VecxGraph *graph, uint32 vertex, ItemPointer tid, const uint8 *filters)
{
	VecxGraphVertex *v = &graph->vertices[vertex];
	uint32		row = graph->nrows++;

	if (row == PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an index build has more than %u rows", PG_UINT32_MAX),
				 errhint("Build the index on partitions.")));
	if (row == graph->rows_cap)
	{
		graph->rows_cap = (uint32) Min((uint64) graph->rows_cap + graph->rows_cap / 4, PG_UINT32_MAX);
		graph->rows = repalloc_huge(graph->rows, sizeof(VecxGraphRow) * graph->rows_cap);
	}
	graph->rows[row].tid = *tid;
	graph->rows[row].next = PG_UINT32_MAX;
	if (v->last_row == PG_UINT32_MAX)
		v->first_row = row;
	else
		graph->rows[v->last_row].next = row;
	v->last_row = row;
	if (graph->filters)
		VecxSpoolAppend(graph->filters, filters);
}

/* The filter bytes of a row, good until the next call; NULL: no filter columns. */
const uint8 *
VecxGraphRowFilters(VecxGraph *graph, uint32 row)
{
	return graph->filters ? VecxSpoolGet(graph->filters, row) : NULL;
}

/* Gives all rows of a vertex to another, and the vertex up. */
void
VecxGraphMoveRows(VecxGraph *graph, uint32 from, uint32 to)
{
	VecxGraphVertex *f = &graph->vertices[from];
	VecxGraphVertex *t = &graph->vertices[to];

	graph->rows[t->last_row].next = f->first_row;
	t->last_row = f->last_row;
	f->first_row = PG_UINT32_MAX;
	f->last_row = to;
	f->gone = true;
}

/* No row will come any more. */
void
VecxGraphForgetHashes(VecxGraph *graph)
{
	pfree(graph->by_hash);
	graph->by_hash = NULL;
}

/* Good until the next call, unless the links are in memory. */
const VecxGraphLink *
VecxGraphLinks(VecxGraph *graph, uint32 vertex, int level, int *n)
{
	const VecxGraphVertex *v = &graph->vertices[vertex];

	if (level > 0)
		return VecxLevelsLinks(graph->levels, v->upper, level, n);
	*n = v->nlinks;
	if (v->nlinks == 0)
		return NULL;
	return ((const VecxLinkRecord *) VecxSpoolGet(graph->links, v->links))->links;
}

/* Takes over the links at the base, whose records are in any order. */
void
VecxGraphSetLinks(VecxGraph *graph, VecxSpool *links)
{
	graph->links = links;
	for (uint32 i = 0; i < VecxSpoolCount(links); i++)
	{
		const VecxLinkRecord *rec = VecxSpoolGet(links, i);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		graph->vertices[rec->vertex].links = i;
		graph->vertices[rec->vertex].nlinks = (uint16) rec->nlinks;
	}
}

/* Working memory of the search for vertices that nothing links to. */
typedef struct Adopter
{
	VecxGraph  *graph;
	uint32	   *indegree;
	VecxLinkRecord *own;
	VecxLinkRecord *other;
} Adopter;

static void
put_links(VecxGraph *graph, const VecxLinkRecord *rec)
{
	VecxGraphVertex *v = &graph->vertices[rec->vertex];

	if (v->links == VECX_NO_VERTEX)
		v->links = VecxSpoolAppend(graph->links, rec);
	else
		VecxSpoolPut(graph->links, v->links, rec);
	v->nlinks = (uint16) rec->nlinks;
}

static void
copy_links(VecxGraph *graph, uint32 vertex, VecxLinkRecord *rec)
{
	int			n;
	const VecxGraphLink *links = VecxGraphLinks(graph, vertex, 0, &n);

	rec->vertex = vertex;
	rec->nlinks = (uint32) n;
	if (n > 0)
		memcpy(rec->links, links, sizeof(VecxGraphLink) * n);
}

/*
 * Lets vertex u link to v: in a free place, or in that of a link whose target
 * has others.
 */
static bool
adopt(Adopter *a, uint32 u, uint32 v, float dist)
{
	VecxLinkRecord *rec = a->other;
	int			slot;

	copy_links(a->graph, u, rec);
	slot = rec->nlinks < 2 * a->graph->m ? (int) rec->nlinks : (int) rec->nlinks - 1;
	while (slot >= 0 && slot < (int) rec->nlinks && a->indegree[rec->links[slot].vertex] < 2)
		slot--;
	if (slot < 0)
		return false;
	if (slot == (int) rec->nlinks)
		rec->nlinks++;
	else
		a->indegree[rec->links[slot].vertex]--;
	rec->links[slot].vertex = v;
	rec->links[slot].dist = dist;
	a->indegree[v]++;
	put_links(a->graph, rec);
	return true;
}

/* A vertex without a link, which no leaf had a neighbour for, gets one to the
 * nearest of the upper levels. */
static void
link_lonely(Adopter *a, uint32 v)
{
	VecxGraph  *graph = a->graph;
	uint8	   *code;
	float		dist;
	uint32		u;

	if (graph->entry == VECX_NO_VERTEX || graph->entry == v)
		return;
	code = palloc(graph->coder->nbytes);
	memcpy(code, VecxGraphCode(graph, v), graph->coder->nbytes);
	u = VecxLevelsNearest(graph->levels, code, &dist);
	pfree(code);
	if (u == v || u == VECX_NO_VERTEX)
		return;
	a->own->vertex = v;
	a->own->nlinks = 1;
	a->own->links[0].vertex = u;
	a->own->links[0].dist = dist;
	a->indegree[u]++;
	put_links(graph, a->own);
}

/* Lets vertices of two parts of the graph link to each other. */
static bool
bridge(void *arg, uint32 u, uint32 v, float dist)
{
	Adopter    *a = arg;

	return adopt(a, u, v, dist) && adopt(a, v, u, dist);
}

/*
 * Sees to it that every vertex has a link to it at the base, from one of its
 * own neighbours, and that all parts of the graph hang together.
 */
static void
mend_base(VecxGraph *graph)
{
	Adopter		a = {graph, NULL, NULL, NULL};

	a.indegree = MemoryContextAllocExtended(graph->cxt, sizeof(uint32) * Max(graph->nvertices, 1),
											MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	a.own = palloc0(VecxLinkRecordSize(graph->m));
	a.other = palloc0(VecxLinkRecordSize(graph->m));
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		int			n;
		const VecxGraphLink *links = VecxGraphLinks(graph, v, 0, &n);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			a.indegree[links[i].vertex]++;
	}
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		CHECK_FOR_INTERRUPTS();
		if (graph->vertices[v].gone)
			continue;
		if (graph->vertices[v].nlinks == 0)
			link_lonely(&a, v);
		if (a.indegree[v] > 0)
			continue;
		copy_links(graph, v, a.own);
		for (uint32 i = 0; a.indegree[v] == 0 && i < a.own->nlinks; i++)
			adopt(&a, a.own->links[i].vertex, v, a.own->links[i].dist);
	}
	VecxGraphJoinParts(graph, bridge, &a);
	pfree(a.indegree);
	pfree(a.own);
	pfree(a.other);
}

/* The links at the base are set: finishes the levels above and mends the base. */
void
VecxGraphFinish(VecxGraph *graph)
{
	MemoryContext old = MemoryContextSwitchTo(graph->cxt);

	VecxLevelsFinish(graph);
	mend_base(graph);
	MemoryContextSwitchTo(old);
}

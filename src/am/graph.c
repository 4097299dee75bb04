/*
 * graph.c
 *    The HNSW graph in memory, while it is built (Malkov and Yashunin,
 *    arXiv 1603.09320).  Distances are between codes, as they will be when the
 *    finished index is searched and added to.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "am/heap.h"

/* Working memory of the searches that link vertices. */
typedef struct Linker
{
	VecxGraph  *graph;
	uint32	   *visited;		/* by vertex: stamp of the last search to see it */
	uint32		stamp;
	VecxCandidate *frontier;	/* nearest first */
	int			nfrontier;
	int			frontier_cap;
	VecxCandidate *found;		/* heap with the farthest first: est is negated */
	int			nfound;
	void	   *scratch;		/* of queries */
	void	   *select_scratch;
	VecxLinkCandidate *cands;
	int		   *chosen;
} Linker;

VecxGraph *
VecxGraphMake(MemoryContext cxt, const VecxCoder *coder, int m, int ef_construction, uint64 seed)
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
	graph->codes = MemoryContextAllocHuge(cxt, (Size) coder->nbytes * graph->vertices_cap);
	graph->rows_cap = 1024;
	graph->rows = palloc(sizeof(VecxGraphRow) * graph->rows_cap);
	graph->by_hash_size = 4096;
	graph->by_hash = palloc(sizeof(uint32) * graph->by_hash_size);
	memset(graph->by_hash, 0xFF, sizeof(uint32) * graph->by_hash_size);
	MemoryContextSwitchTo(old);
	return graph;
}

/* Memory that the finished graph of the vertices so far will take. */
Size
VecxGraphBytes(const VecxGraph *graph)
{
	Size		now = sizeof(VecxGraphVertex) + graph->coder->nbytes;
	Size		later = sizeof(VecxGraphLink) * 2 * graph->m + sizeof(uint32) * 2 +
	/* levels above the base, on average */
		(sizeof(VecxGraphLink) * graph->m + 64) / (2 * graph->m - 1);

	return now * graph->vertices_cap + later * graph->nvertices +
		sizeof(VecxGraphRow) * graph->rows_cap + sizeof(uint32) * graph->by_hash_size;
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
		else if (graph->vertices[v].hash == hash &&
				 memcmp(VecxGraphCode(graph, v), code, graph->coder->nbytes) == 0)
			return v;
	}
	return VECX_NO_VERTEX;
}

/* A new vertex; unless findable, VecxGraphFind will never return it. */
uint32
VecxGraphAddVertex(VecxGraph *graph, uint32 hash, const uint8 *code, bool findable)
{
	uint32		v = graph->nvertices;

	if (v == graph->vertices_cap)
	{
		graph->vertices_cap += graph->vertices_cap / 4;
		graph->vertices = repalloc_huge(graph->vertices, sizeof(VecxGraphVertex) * graph->vertices_cap);
		graph->codes = repalloc_huge(graph->codes, (Size) graph->coder->nbytes * graph->vertices_cap);
	}
	memset(&graph->vertices[v], 0, sizeof(VecxGraphVertex));
	graph->vertices[v].hash = hash;
	graph->vertices[v].findable = findable;
	graph->vertices[v].first_row = graph->vertices[v].last_row = PG_UINT32_MAX;
	memcpy(VecxGraphCode(graph, v), code, graph->coder->nbytes);
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

void
VecxGraphAddRow(VecxGraph *graph, uint32 vertex, ItemPointer tid)
{
	VecxGraphVertex *v = &graph->vertices[vertex];
	uint32		row = graph->nrows++;

	if (row == graph->rows_cap)
	{
		graph->rows_cap += graph->rows_cap / 4;
		graph->rows = repalloc_huge(graph->rows, sizeof(VecxGraphRow) * graph->rows_cap);
	}
	graph->rows[row].tid = *tid;
	graph->rows[row].next = PG_UINT32_MAX;
	if (v->last_row == PG_UINT32_MAX)
		v->first_row = row;
	else
		graph->rows[v->last_row].next = row;
	v->last_row = row;
}

VecxGraphLink *
VecxGraphLinks(const VecxGraph *graph, uint32 vertex, int level, int *n)
{
	const VecxGraphVertex *v = &graph->vertices[vertex];

	if (level == 0)
	{
		*n = v->nlinks;
		return VecxGraphBase(graph, vertex);
	}
	*n = v->nupper[level - 1];
	return v->upper + (Size) (level - 1) * graph->m;
}

static void
set_link_count(VecxGraph *graph, uint32 vertex, int level, int n)
{
	if (level == 0)
		graph->vertices[vertex].nlinks = (uint16) n;
	else
		graph->vertices[vertex].nupper[level - 1] = (uint16) n;
}

static void
visit(Linker *l, const VecxCodeQuery *query, uint32 vertex, int width)
{
	VecxGraph  *graph = l->graph;
	VecxCandidate cand;
	VecxCandidate back;

	l->visited[vertex] = l->stamp;
	cand.est = vecx_code_distance(graph->coder, query, VecxGraphCode(graph, vertex));
	cand.id = vertex;
	if (l->nfound == width && cand.est >= -l->found[0].est)
		return;
	if (l->nfrontier == l->frontier_cap)
	{
		l->frontier_cap *= 2;
		l->frontier = repalloc(l->frontier, sizeof(VecxCandidate) * l->frontier_cap);
	}
	VecxHeapPush(l->frontier, &l->nfrontier, cand);
	back.est = -cand.est;
	back.id = vertex;
	if (l->nfound == width)
		VecxHeapPop(l->found, &l->nfound);
	VecxHeapPush(l->found, &l->nfound, back);
}

/* Searches one level; leaves the nearest in l->found, sorted from near to far,
 * with their distances not negated. */
static void
search_level(Linker *l, const VecxCodeQuery *query, const uint32 *seeds, int nseeds,
			 int level, int width)
{
	VecxGraph  *graph = l->graph;

	l->stamp++;
	l->nfrontier = l->nfound = 0;
	for (int i = 0; i < nseeds; i++)
		if (l->visited[seeds[i]] != l->stamp)
			visit(l, query, seeds[i], width);
	while (l->nfrontier > 0)
	{
		VecxCandidate best = VecxHeapPop(l->frontier, &l->nfrontier);
		VecxGraphLink *links;
		int			n;

		if (l->nfound == width && best.est > -l->found[0].est)
			break;
		links = VecxGraphLinks(graph, best.id, level, &n);
		for (int i = 0; i < n; i++)
			if (l->visited[links[i].vertex] != l->stamp)
			{
				const char *code = (const char *) VecxGraphCode(graph, links[i].vertex);

				for (Size at = 0; at < Min(graph->coder->nbytes, 256); at += 64)
					__builtin_prefetch(code + at);
			}
		for (int i = 0; i < n; i++)
			if (l->visited[links[i].vertex] != l->stamp)
				visit(l, query, links[i].vertex, width);
	}
	for (int n = l->nfound; n > 0;)
	{
		VecxCandidate far = VecxHeapPop(l->found, &n);

		far.est = -far.est;
		l->found[n] = far;
	}
}

/*
 * Adds a link; a full list is pruned, with the new one among the candidates.
 */
static void
add_link(Linker *l, uint32 from, uint32 to, float dist, int level)
{
	VecxGraph  *graph = l->graph;
	int			max_links = VecxMaxLinks(graph->m, level);
	int			n;
	int			i;
	int			kept;
	VecxGraphLink *links = VecxGraphLinks(graph, from, level, &n);
	VecxGraphLink all[2 * VECX_MAX_M + 1];

	/* sorted by distance, as selection wants them */
	for (i = n; i > 0 && links[i - 1].dist > dist; i--)
		all[i] = links[i - 1];
	memcpy(all, links, sizeof(VecxGraphLink) * i);
	all[i].vertex = to;
	all[i].dist = dist;
	n++;
	if (n <= max_links)
	{
		memcpy(links, all, sizeof(VecxGraphLink) * n);
		set_link_count(graph, from, level, n);
		return;
	}
	for (i = 0; i < n; i++)
	{
		l->cands[i].dist = all[i].dist;
		l->cands[i].code = VecxGraphCode(graph, all[i].vertex);
	}
	kept = VecxSelectLinks(graph->coder, l->cands, n, max_links, l->select_scratch, l->chosen);
	qsort(l->chosen, kept, sizeof(int), VecxCompareInts);
	for (i = 0; i < kept; i++)
		links[i] = all[l->chosen[i]];
	set_link_count(graph, from, level, kept);
}

static void
link_level(Linker *l, uint32 vertex, int level)
{
	VecxGraph  *graph = l->graph;
	int			max_links = VecxMaxLinks(graph->m, level);
	int			n = 0;
	int			kept;
	VecxGraphLink *links = VecxGraphLinks(graph, vertex, level, &kept);

	for (int i = 0; i < l->nfound; i++)
	{
		l->cands[n].dist = l->found[i].est;
		l->cands[n++].code = VecxGraphCode(graph, l->found[i].id);
	}
	kept = VecxSelectLinks(graph->coder, l->cands, n, max_links, l->select_scratch, l->chosen);
	qsort(l->chosen, kept, sizeof(int), VecxCompareInts);
	for (int i = 0; i < kept; i++)
	{
		links[i].vertex = l->found[l->chosen[i]].id;
		links[i].dist = l->found[l->chosen[i]].est;
	}
	set_link_count(graph, vertex, level, kept);
	for (int i = 0; i < kept; i++)
		add_link(l, links[i].vertex, vertex, links[i].dist, level);
}

static void
link_vertex(Linker *l, uint32 vertex)
{
	VecxGraph  *graph = l->graph;
	VecxGraphVertex *v = &graph->vertices[vertex];
	VecxCodeQuery query;
	uint32		seeds[VECX_MAX_SEEDS];
	int			nseeds = 1;
	int			top;

	v->level = (uint8) VecxRandomLevel(&graph->prng, graph->m);
	if (v->level > 0)
	{
		v->upper = MemoryContextAlloc(graph->cxt, sizeof(VecxGraphLink) * v->level * graph->m);
		v->nupper = MemoryContextAllocZero(graph->cxt, sizeof(uint16) * v->level);
	}
	if (graph->entry == VECX_NO_VERTEX)
	{
		graph->entry = vertex;
		return;
	}

	vecx_code_query_init_code(graph->coder, &query, VecxGraphCode(graph, vertex), l->scratch);
	top = graph->vertices[graph->entry].level;
	seeds[0] = graph->entry;
	for (int level = top; level >= 0; level--)
	{
		search_level(l, &query, seeds, nseeds, level,
					 level > v->level ? 1 : graph->ef_construction);
		nseeds = Min(l->nfound, VECX_MAX_SEEDS);
		for (int i = 0; i < nseeds; i++)
			seeds[i] = l->found[i].id;
		if (level <= v->level)
			link_level(l, vertex, level);
	}
	if (v->level > top)
		graph->entry = vertex;
}

/*
 * Sees to it that every vertex has a link to it at the base: from one of its
 * own neighbours, in a free place or in that of a link whose target has others.
 */
static void
link_orphans(VecxGraph *graph)
{
	uint32	   *indegree = MemoryContextAllocExtended(graph->cxt, sizeof(uint32) * Max(graph->nvertices, 1),
													  MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);

	for (uint32 v = 0; v < graph->nvertices; v++)
		for (int i = 0; i < graph->vertices[v].nlinks; i++)
			indegree[VecxGraphBase(graph, v)[i].vertex]++;
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		VecxGraphLink *own = VecxGraphBase(graph, v);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; indegree[v] == 0 && i < graph->vertices[v].nlinks; i++)
		{
			uint32		u = own[i].vertex;
			VecxGraphLink *links = VecxGraphBase(graph, u);
			int			n = graph->vertices[u].nlinks;
			int			slot = n < 2 * graph->m ? n : n - 1;

			while (slot >= 0 && slot < n && indegree[links[slot].vertex] < 2)
				slot--;
			if (slot < 0)
				continue;
			if (slot == n)
				graph->vertices[u].nlinks++;
			else
				indegree[links[slot].vertex]--;
			links[slot].vertex = v;
			links[slot].dist = own[i].dist;
			indegree[v]++;
		}
	}
	pfree(indegree);
}

/* Links all vertices, in random order: table order would link clusters only
 * within themselves. */
void
VecxGraphLinkAll(VecxGraph *graph)
{
	MemoryContext old = MemoryContextSwitchTo(graph->cxt);
	Size		n = Max(graph->nvertices, 1);
	int			most = Max(graph->ef_construction, 2 * graph->m) + 1;
	uint32	   *order = MemoryContextAllocHuge(graph->cxt, sizeof(uint32) * n);
	Linker		l;

	memset(&l, 0, sizeof(l));
	l.graph = graph;
	l.visited = MemoryContextAllocExtended(graph->cxt, sizeof(uint32) * n,
										   MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	l.frontier_cap = 1024;
	l.frontier = palloc(sizeof(VecxCandidate) * l.frontier_cap);
	l.found = palloc(sizeof(VecxCandidate) * most);
	l.cands = palloc(sizeof(VecxLinkCandidate) * most);
	l.chosen = palloc(sizeof(int) * most);
	l.scratch = palloc(vecx_code_query_scratch(graph->coder));
	l.select_scratch = palloc(vecx_code_query_scratch(graph->coder));
	graph->links = MemoryContextAllocHuge(graph->cxt, sizeof(VecxGraphLink) * 2 * graph->m * n);

	for (uint32 i = 0; i < graph->nvertices; i++)
	{
		uint32		j = (uint32) pg_prng_uint64_range(&graph->prng, 0, i);

		order[i] = order[j];
		order[j] = i;
	}
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, graph->nvertices);
	for (uint32 i = 0; i < graph->nvertices; i++)
	{
		CHECK_FOR_INTERRUPTS();
		link_vertex(&l, order[i]);
		if (i % 256 == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, i);
	}
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, graph->nvertices);
	link_orphans(graph);
	pfree(order);
	pfree(l.visited);
	MemoryContextSwitchTo(old);
}

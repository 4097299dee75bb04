/*
 * levels.c
 *    The levels above the base, by insertion one by one (Malkov and Yashunin,
 *    arXiv 1603.09320): few vertices, whose codes are at hand.
 *
 * From a vector far beyond all others everything else looks equally near, so that
 * no comparison leads a search to it.  The few such vertices are therefore on the
 * entry's level, and the entry links to each of them.
 */
#include "postgres.h"

#include <float.h>

#include "miscadmin.h"

#include "am/build.h"
#include "am/heap.h"

/* A vector so many times longer than the median is far. */
#define FAR_LENGTH		32.0f
/* Vertices that the median is of, at most. */
#define FAR_SAMPLE		1024

/* Links that a list has room for while vertices are added, times those it keeps. */
#define ROOM_FOR_LINKS	2

/* Numbers in links are those of levels->vertex until all are linked. */
struct VecxLevels
{
	const VecxCoder *coder;
	int			m;
	int			room;			/* of a list while vertices are added */
	uint32		n;
	Size		nlists;
	uint32	   *vertex;			/* its number in the graph */
	uint8	   *level;
	uint8	   *codes;
	uint32	   *first;			/* of its lists of links, one for each level from 1 on */
	uint16	   *nlinks;			/* of each list */
	VecxGraphLink *links;		/* room for each list */
	uint32		entry;
	int			nfar;
	uint32		far[VECX_MAX_M / 2];	/* numbers in the graph, the farthest first */

	/* working memory of searches */
	uint32	   *visited;		/* stamp of the last search to see it */
	uint32		stamp;
	VecxCandidate *frontier;	/* nearest first */
	int			nfrontier;
	VecxCandidate *found;		/* heap with the farthest first: est is negated */
	int			nfound;
	void	   *scratch;		/* of queries */
	void	   *select_scratch;
	VecxLinkCandidate *cands;
	int		   *chosen;
};

#define CODE(l, u)	((l)->codes + (Size) (u) * (l)->coder->nbytes)
#define LIST(l, u, lev)		((Size) (l)->first[u] + (lev) - 1)

static void
visit(VecxLevels *l, const VecxCodeQuery *query, uint32 u, int width)
{
	VecxCandidate cand;
	VecxCandidate back;

	l->visited[u] = l->stamp;
	cand.est = vecx_code_distance(l->coder, query, CODE(l, u));
	cand.id = u;
	if (l->nfound == width && cand.est >= -l->found[0].est)
		return;
	VecxHeapPush(l->frontier, &l->nfrontier, cand);
	back.est = -cand.est;
	back.id = u;
	if (l->nfound == width)
		VecxHeapPop(l->found, &l->nfound);
	VecxHeapPush(l->found, &l->nfound, back);
}

/* Searches one level; leaves the nearest in l->found, sorted from near to far,
 * with their distances not negated. */
static void
search_level(VecxLevels *l, const VecxCodeQuery *query, const uint32 *seeds, int nseeds,
			 int level, int width)
{
	l->stamp++;
	l->nfrontier = l->nfound = 0;
	for (int i = 0; i < nseeds; i++)
		if (l->visited[seeds[i]] != l->stamp)
			visit(l, query, seeds[i], width);
	while (l->nfrontier > 0)
	{
		VecxCandidate best = VecxHeapPop(l->frontier, &l->nfrontier);
		const VecxGraphLink *links = l->links + LIST(l, best.id, level) * l->room;
		int			n = l->nlinks[LIST(l, best.id, level)];

		if (l->nfound == width && best.est > -l->found[0].est)
			break;
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

/* Sets a list to the best of some candidates, which are sorted. */
static void
set_list(VecxLevels *l, Size list, int level, const VecxGraphLink *all, int n)
{
	int			kept;

	for (int i = 0; i < n; i++)
	{
		l->cands[i].dist = all[i].dist;
		l->cands[i].code = CODE(l, all[i].vertex);
	}
	kept = VecxSelectLinks(l->coder, l->cands, n, level, l->m, l->select_scratch, l->chosen);
	qsort(l->chosen, kept, sizeof(int), VecxCompareInts);
	for (int i = 0; i < kept; i++)
		l->links[list * l->room + i] = all[l->chosen[i]];
	l->nlinks[list] = (uint16) kept;
}

/* Adds a link; a full list is pruned to m, with the new one among the candidates.  To prune
 * it for each link beyond m took longer than all searches. */
static void
add_link(VecxLevels *l, uint32 from, uint32 to, float dist, int level)
{
	Size		list = LIST(l, from, level);
	VecxGraphLink *links = l->links + list * l->room;
	VecxGraphLink all[ROOM_FOR_LINKS * VECX_MAX_M + 1];
	int			n = l->nlinks[list];
	int			i;

	for (i = n; i > 0 && links[i - 1].dist > dist; i--)
		all[i] = links[i - 1];
	memcpy(all, links, sizeof(VecxGraphLink) * i);
	all[i].vertex = to;
	all[i].dist = dist;
	if (n < l->room)
	{
		memcpy(links, all, sizeof(VecxGraphLink) * (n + 1));
		l->nlinks[list]++;
	}
	else
		set_list(l, list, level, all, n + 1);
}

/* Prunes all lists that have more than m links. */
static void
prune_lists(VecxLevels *l)
{
	for (uint32 u = 0; u < l->n; u++)
		for (int level = 1; level <= l->level[u]; level++)
		{
			Size		list = LIST(l, u, level);
			VecxGraphLink all[ROOM_FOR_LINKS * VECX_MAX_M];
			int			n = l->nlinks[list];

			CHECK_FOR_INTERRUPTS();
			if (n <= l->m)
				continue;
			memcpy(all, l->links + list * l->room, sizeof(VecxGraphLink) * n);
			set_list(l, list, level, all, n);
		}
}

static void
link_level(VecxLevels *l, uint32 u, int level)
{
	Size		list = LIST(l, u, level);
	VecxGraphLink *all = palloc(sizeof(VecxGraphLink) * Max(l->nfound, 1));

	for (int i = 0; i < l->nfound; i++)
	{
		all[i].vertex = l->found[i].id;
		all[i].dist = l->found[i].est;
	}
	set_list(l, list, level, all, l->nfound);
	pfree(all);
	for (int i = 0; i < l->nlinks[list]; i++)
	{
		VecxGraphLink *link = &l->links[list * l->room + i];

		add_link(l, link->vertex, u, link->dist, level);
	}
}

/* Searches from the top down to the level, leaving the nearest there in l->found. */
static int
descend(VecxLevels *l, const VecxCodeQuery *query, int level, uint32 *seeds)
{
	int			nseeds = 1;

	seeds[0] = l->entry;
	for (int at = l->level[l->entry]; at > level; at--)
	{
		search_level(l, query, seeds, nseeds, at, 1);
		nseeds = Min(l->nfound, VECX_MAX_SEEDS);
		for (int i = 0; i < nseeds; i++)
			seeds[i] = l->found[i].id;
	}
	return nseeds;
}

static void
link_vertex(VecxLevels *l, uint32 u, int width)
{
	VecxCodeQuery query;
	uint32		seeds[VECX_MAX_SEEDS];
	int			nseeds;
	int			top = l->level[l->entry];

	vecx_code_query_init_code(l->coder, &query, CODE(l, u), l->scratch);
	nseeds = descend(l, &query, l->level[u], seeds);
	for (int level = Min(l->level[u], top); level > 0; level--)
	{
		search_level(l, &query, seeds, nseeds, level, width);
		nseeds = Min(l->nfound, VECX_MAX_SEEDS);
		for (int i = 0; i < nseeds; i++)
			seeds[i] = l->found[i].id;
		link_level(l, u, level);
	}
	if (l->level[u] > top)
		l->entry = u;
}

/* The square of the length beyond which a vector is far, from those of some
 * vectors, which are sorted. */
float
VecxFarNorm2(float *norm2, int n)
{
	float		median;

	qsort(norm2, n, sizeof(float), vecx_compare_floats);
	median = n > 0 ? norm2[n / 2] : 0.0f;
	return median > 0.0f ? median * FAR_LENGTH * FAR_LENGTH : FLT_MAX;
}

static float
far_norm2(VecxGraph *graph)
{
	uint32		step = graph->nvertices / FAR_SAMPLE + 1;
	float		norm2[FAR_SAMPLE];
	int			n = 0;

	for (uint32 v = 0; v < graph->nvertices; v += step)
		if (!graph->vertices[v].gone)
			norm2[n++] = vecx_code_norm2(graph->coder, VecxGraphCode(graph, v));
	return VecxFarNorm2(norm2, n);
}

/* Notes the farthest of the far vertices, half as many as a list has links at most. */
static void
find_far(VecxGraph *graph, VecxLevels *l)
{
	float		norm2[VECX_MAX_M / 2];
	float		limit;

	if (graph->coder->metric != VECX_METRIC_L2)
		return;
	limit = far_norm2(graph);
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		float		own;
		int			i;

		if (v % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (graph->vertices[v].gone)
			continue;
		own = vecx_code_norm2(graph->coder, VecxGraphCode(graph, v));
		if (own <= limit || (l->nfar == graph->m / 2 && own <= norm2[l->nfar - 1]))
			continue;
		if (l->nfar < graph->m / 2)
			l->nfar++;
		for (i = l->nfar - 1; i > 0 && norm2[i - 1] < own; i--)
		{
			norm2[i] = norm2[i - 1];
			l->far[i] = l->far[i - 1];
		}
		norm2[i] = own;
		l->far[i] = v;
	}
}

/* Draws the levels of all vertices; the far ones are as high as any. */
static void
draw_levels(VecxGraph *graph, VecxLevels *l)
{
	uint8		top = 0;

	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		VecxGraphVertex *vertex = &graph->vertices[v];

		vertex->upper = VECX_NO_VERTEX;
		if (vertex->gone)
			continue;
		vertex->level = (uint8) VecxRandomLevel(&graph->prng, graph->m);
		top = Max(top, vertex->level);
	}
	find_far(graph, l);
	/* the entry leads to them, of which a small graph may have drawn none */
	if (l->nfar > 0)
		top = Max(top, 1);
	for (int i = 0; i < l->nfar; i++)
		graph->vertices[l->far[i]].level = top;
}

static void *
more(VecxGraph *graph, void *array, Size element, Size had, Size wanted)
{
	char	   *result = array ? repalloc_huge(array, element * wanted) :
		MemoryContextAllocHuge(graph->cxt, element * wanted);

	memset(result + element * had, 0, element * (wanted - had));
	return result;
}

/* Makes room for more vertices, with so many lists of links. */
static void
make_room(VecxGraph *graph, VecxLevels *l, uint32 n, Size nlists)
{
	uint32		all = l->n + n;

	l->vertex = more(graph, l->vertex, sizeof(uint32), l->n, all);
	l->level = more(graph, l->level, 1, l->n, all);
	l->first = more(graph, l->first, sizeof(uint32), l->n, all);
	l->codes = more(graph, l->codes, graph->coder->nbytes, l->n, all);
	l->visited = more(graph, l->visited, sizeof(uint32), l->n, all);
	l->frontier = more(graph, l->frontier, sizeof(VecxCandidate), l->n, all);
	l->nlinks = more(graph, l->nlinks, sizeof(uint16), l->nlists, l->nlists + nlists);
	l->links = more(graph, l->links, sizeof(VecxGraphLink) * l->room, l->nlists, l->nlists + nlists);
}

static bool
is_far(const VecxLevels *l, uint32 u)
{
	for (int i = 0; i < l->nfar; i++)
		if (l->far[i] == l->vertex[u])
			return true;
	return false;
}

/* Lets the entry link to all far vertices, in place of its last links. */
static void
link_far(VecxGraph *graph, VecxLevels *l)
{
	Size		list = LIST(l, l->entry, l->level[l->entry]);
	VecxGraphLink *links = l->links + list * l->room;
	VecxCodeQuery query;
	int			n = 0;

	vecx_code_query_init_code(l->coder, &query, CODE(l, l->entry), l->scratch);
	for (int i = 0; i < l->nlinks[list]; i++)
		if (!is_far(l, links[i].vertex))
			links[n++] = links[i];
	n = Min(n, l->m - l->nfar);
	for (int i = l->nfar - 1; i >= 0; i--)
	{
		uint32		u = graph->vertices[l->far[i]].upper;

		if (u == l->entry)
			continue;
		links[n].vertex = u;
		links[n++].dist = vecx_code_distance(l->coder, &query, CODE(l, u));
	}
	l->nlinks[list] = (uint16) n;
}

/* Whether a vertex has levels and no number here yet. */
static bool
is_new(const VecxGraphVertex *vertex)
{
	return !vertex->gone && vertex->level > 0 && vertex->upper == VECX_NO_VERTEX;
}

/* Gives a number to every new vertex, in random order: table order would link clusters
 * only within themselves. */
static void
number_vertices(VecxGraph *graph, VecxLevels *l)
{
	uint32		first = l->n;
	uint32		n = 0;
	Size		nlists = 0;

	for (uint32 v = 0; v < graph->nvertices; v++)
		if (is_new(&graph->vertices[v]))
		{
			nlists += graph->vertices[v].level;
			n++;
		}
	if (n == 0)
		return;
	make_room(graph, l, n, nlists);
	for (uint32 v = 0; v < graph->nvertices; v++)
		if (is_new(&graph->vertices[v]))
		{
			uint32		at = (uint32) pg_prng_uint64_range(&graph->prng, first, l->n);

			l->vertex[l->n++] = l->vertex[at];
			l->vertex[at] = v;
		}
	for (uint32 u = first; u < l->n; u++)
	{
		VecxGraphVertex *vertex = &graph->vertices[l->vertex[u]];

		vertex->upper = u;
		l->level[u] = vertex->level;
		l->first[u] = (uint32) l->nlists;
		l->nlists += vertex->level;
	}
	/* in the order in which they lie, maybe in a file */
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		uint32		u = graph->vertices[v].upper;

		if (v % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (u != VECX_NO_VERTEX && u >= first)
			memcpy(CODE(l, u), VecxGraphCode(graph, v), graph->coder->nbytes);
	}
}

/* Numbers and links the new vertices. */
static void
take_vertices(VecxGraph *graph, VecxLevels *l)
{
	uint32		first = l->n;

	number_vertices(graph, l);
	/* the very first is where searches for the others start */
	for (uint32 u = Max(first, 1); u < l->n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		link_vertex(l, u, graph->ef_construction);
	}
}

/* What the levels take for each vertex of the graph, of which one in 2 m - 1 is in them. */
Size
VecxLevelsBytes(const VecxCoder *coder, int m)
{
	Size		each = coder->nbytes + 3 * sizeof(uint32) + 1 + sizeof(VecxCandidate) +
		sizeof(uint16) + sizeof(VecxGraphLink) * ROOM_FOR_LINKS * m;

	return each / (2 * m - 1) + 1;
}

/* Draws levels and links them: this wants codes, but no links at the base. */
void
VecxLevelsBuild(VecxGraph *graph)
{
	MemoryContext old = MemoryContextSwitchTo(graph->cxt);
	VecxLevels *l = palloc0(sizeof(VecxLevels));
	int			most = Max(graph->ef_construction, ROOM_FOR_LINKS * graph->m) + 1;
	Size		scratch = vecx_code_query_scratch(graph->coder);

	l->coder = graph->coder;
	l->m = graph->m;
	l->room = ROOM_FOR_LINKS * graph->m;
	l->found = palloc(sizeof(VecxCandidate) * most);
	l->cands = palloc(sizeof(VecxLinkCandidate) * most);
	l->chosen = palloc(sizeof(int) * most);
	l->scratch = palloc(scratch);
	l->select_scratch = palloc(scratch);
	draw_levels(graph, l);
	take_vertices(graph, l);
	graph->levels = l;
	MemoryContextSwitchTo(old);
}

/* The links at the base are there: adds what is too far from the levels, and finishes them. */
void
VecxLevelsFinish(VecxGraph *graph)
{
	VecxLevels *l = graph->levels;

	VecxGraphCover(graph);
	take_vertices(graph, l);
	prune_lists(l);
	if (l->nfar > 0)
		link_far(graph, l);
	for (Size i = 0; i < l->nlists; i++)
		for (int k = 0; k < l->nlinks[i]; k++)
			l->links[i * l->room + k].vertex = l->vertex[l->links[i * l->room + k].vertex];
	graph->entry = VECX_NO_VERTEX;
	if (l->n > 0)
		graph->entry = l->vertex[l->entry];
	for (uint32 v = 0; v < graph->nvertices && graph->entry == VECX_NO_VERTEX; v++)
		if (!graph->vertices[v].gone)
			graph->entry = v;
}

/* The links of a vertex, by its number here, at a level from 1 on. */
const VecxGraphLink *
VecxLevelsLinks(VecxLevels *l, uint32 upper, int level, int *n)
{
	*n = l->nlinks[LIST(l, upper, level)];
	return l->links + LIST(l, upper, level) * l->room;
}

/* The vertex of the upper levels nearest to a code, or VECX_NO_VERTEX.  All are
 * looked at: this is for the few vertices that a build finds no neighbour for. */
uint32
VecxLevelsNearest(VecxLevels *l, const uint8 *code, float *dist)
{
	VecxCodeQuery query;
	uint32		best = VECX_NO_VERTEX;

	vecx_code_query_init_code(l->coder, &query, code, l->scratch);
	for (uint32 u = 0; u < l->n; u++)
	{
		float		d = vecx_code_distance(l->coder, &query, CODE(l, u));

		if (best == VECX_NO_VERTEX || d < *dist)
		{
			best = l->vertex[u];
			*dist = d;
		}
	}
	return best;
}

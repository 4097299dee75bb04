/*
 * parts.c
 *    Ways into all parts of a graph that is built.
 *
 * The links at the base are those of near vertices.  Where vectors lie in groups
 * far from each other, no link leads from one group to the next, and a group none
 * of whose vertices was drawn for the upper levels could not be found at all.
 * An insert one by one has such links by chance: its first vertices are far from
 * each other.  Here it is seen to:
 *
 * - every vertex is two links at most from one of the upper levels; where it is
 *   not, it goes up itself, so that a search that comes from above starts near;
 * - what the links of level 1 join is joined at the base, too, so that a
 *   search that has opened a group goes on to the next.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/build.h"

/* Links from a vertex to the next of the upper levels, or to be passed on. */
#define NO_WAY	3

/* Calls for all links at the base, in the order in which they are kept. */
typedef void (*LinkCall) (void *arg, uint32 from, uint32 to);

static void
for_links(VecxGraph *graph, LinkCall call, void *arg)
{
	for (uint32 i = 0; i < VecxSpoolCount(graph->links); i++)
	{
		const VecxLinkRecord *rec = VecxSpoolGet(graph->links, i);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (uint32 j = 0; j < rec->nlinks; j++)
			call(arg, rec->vertex, rec->links[j].vertex);
	}
}

static inline void
shorten(uint8 *way, uint32 v, int links)
{
	if (way[v] > links)
		way[v] = (uint8) links;
}

static void
one_link(void *arg, uint32 from, uint32 to)
{
	uint8	   *way = arg;

	if (way[from] == 0)
		shorten(way, to, 1);
	else if (way[to] == 0)
		shorten(way, from, 1);
}

static void
two_links(void *arg, uint32 from, uint32 to)
{
	uint8	   *way = arg;

	if (way[from] <= 1)
		shorten(way, to, 2);
	else if (way[to] <= 1)
		shorten(way, from, 2);
}

/* Notes that a vertex went up: for its neighbours, and for theirs. */
static void
went_up(VecxGraph *graph, uint8 *way, uint32 v)
{
	uint32		near[2 * VECX_MAX_M];
	int			n;
	const VecxGraphLink *links = VecxGraphLinks(graph, v, 0, &n);

	for (int i = 0; i < n; i++)
		near[i] = links[i].vertex;
	way[v] = 0;
	for (int i = 0; i < n; i++)
	{
		int			nnext;
		const VecxGraphLink *next;

		shorten(way, near[i], 1);
		next = VecxGraphLinks(graph, near[i], 0, &nnext);
		for (int j = 0; j < nnext; j++)
			shorten(way, next[j].vertex, 2);
	}
}

/*
 * The levels are drawn: lets more vertices have a level, until each is near one.
 * Without any level searches start at the first vertex, which will do for those
 * that are near it.
 */
void
VecxGraphCover(VecxGraph *graph)
{
	uint8	   *way = MemoryContextAllocHuge(graph->cxt, Max(graph->nvertices, 1));
	uint32		first = VECX_NO_VERTEX;
	bool		has_levels = false;

	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		if (first == VECX_NO_VERTEX && !graph->vertices[v].gone)
			first = v;
		has_levels |= graph->vertices[v].level > 0;
		way[v] = graph->vertices[v].level > 0 ? 0 : NO_WAY;
	}
	if (!has_levels && first != VECX_NO_VERTEX)
		way[first] = 0;
	for_links(graph, one_link, way);
	for_links(graph, two_links, way);
	for (uint32 v = 0; v < graph->nvertices; v++)
		if (way[v] == NO_WAY && !graph->vertices[v].gone)
		{
			CHECK_FOR_INTERRUPTS();
			graph->vertices[v].level = 1;
			/* which takes the start away from the first */
			graph->vertices[first].level = Max(graph->vertices[first].level, !has_levels);
			went_up(graph, way, v);
		}
	pfree(way);
}

/* The number of the part that a vertex is in: of one of its vertices. */
static uint32
part_of(uint32 *part, uint32 v)
{
	while (part[v] != v)
		v = part[v] = part[part[v]];
	return v;
}

static void
join(void *arg, uint32 from, uint32 to)
{
	uint32	   *part = arg;
	uint32		a = part_of(part, from);
	uint32		b = part_of(part, to);

	if (a < b)
		part[b] = a;
	else
		part[a] = b;
}

/*
 * Joins the parts of the base, by the levels above it.  bridge lets two vertices
 * link to each other; false if it cannot.
 */
void
VecxGraphJoinParts(VecxGraph *graph, VecxBridge bridge, void *arg)
{
	uint32	   *part = MemoryContextAllocHuge(graph->cxt, sizeof(uint32) * Max(graph->nvertices, 1));

	for (uint32 v = 0; v < graph->nvertices; v++)
		part[v] = v;
	for_links(graph, join, part);
	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		const VecxGraphLink *links;
		int			n;

		if (v % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (graph->vertices[v].gone || graph->vertices[v].level == 0)
			continue;
		links = VecxGraphLinks(graph, v, 1, &n);
		for (int i = 0; i < n; i++)
			if (part_of(part, v) != part_of(part, links[i].vertex) &&
				bridge(arg, v, links[i].vertex, links[i].dist))
				join(part, v, links[i].vertex);
	}
	pfree(part);
}

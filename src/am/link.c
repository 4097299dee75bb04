/*
 * link.c
 *    Which neighbours a vertex links to, and the bytes of a link.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/am.h"

/*
 * The RNG rule (relative neighbourhood graph): going through the candidates
 * from near to far, keep one unless some kept one is nearer to it than the
 * vertex is.  What is pruned fills the list up to a quarter, nearest first, so
 * that a vertex in a dense spot still has ways out; above the base it fills the
 * whole list, since groups far from each other have few vertices there, and a
 * search few ways to them.
 *
 * cands are sorted by dist.  chosen gets positions in cands, at most max_links
 * of them; returns their number.  scratch is for vecx_code_query_init_code.
 */
int
VecxSelectLinks(const VecxCoder *coder, const VecxLinkCandidate *cands, int ncands,
				int level, int max_links, void *scratch, int *chosen)
{
	int			nchosen = 0;
	int			fill = level == 0 ? max_links / 4 : max_links;
	int		   *pruned = palloc(sizeof(int) * Max(ncands, 1));
	int			npruned = 0;

	for (int i = 0; i < ncands && nchosen < max_links; i++)
	{
		VecxCodeQuery query;
		bool		keep = true;

		vecx_code_query_init_code(coder, &query, cands[i].code, scratch);
		for (int j = 0; j < nchosen && keep; j++)
			keep = vecx_code_distance(coder, &query, cands[chosen[j]].code) >= cands[i].dist;
		if (keep)
			chosen[nchosen++] = i;
		else
			pruned[npruned++] = i;
	}
	for (int i = 0; i < npruned && nchosen < fill; i++)
		chosen[nchosen++] = pruned[i];
	pfree(pruned);
	return nchosen;
}

int
VecxCompareInts(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return (x > y) - (x < y);
}

/*
 * The link of a vertex to its neighbour id.  pv and pn are the projections of
 * the vertex and the neighbour in the model, norm_v2 is the vertex's |v|^2,
 * dist their navigation distance.
 */
void
VecxEncodeLink(VecxIndex *index, const VecxBasis *basis, VecxId id,
			   const void *pv, const void *pn, float norm_v2, float dist,
			   uint32 popcount_n, uint8 *link)
{
	Size		used = VECX_LINK_SKETCH + vecx_sketch_size(basis);

	memcpy(link, &id, sizeof(id));
	vecx_sketch_encode(basis, pv, pn, norm_v2, dist, popcount_n, link + VECX_LINK_SKETCH);
	/* a model may use less than the layout has room for */
	memset(link + used, 0, index->layout.link_size - used);
}

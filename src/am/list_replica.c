/*
 * list_replica.c
 *    Which lists a new row goes to besides that of its nearest centroid.
 *
 * Its entries there are copies, and say so: a row has one entry without that flag.
 */
#include "postgres.h"

#include "am/list.h"

/*
 * Entries of a list that is made for list_rows rows.  Under the inner product each
 * row has all its copies.  Else a second list takes a fifth of the rows to three
 * quarters, by the data, and further ones less.
 */
double
VecxListEntries(const VecxMetaPageData *meta)
{
	if (meta->metric == VECX_METRIC_IP)
		return (double) meta->list_rows * meta->list_replicas;
	return meta->list_rows * (2 - 1.0 / (1 << (meta->list_replicas - 1)));
}

/*
 * Of the centroids near to x, nearest first, that of the row is at a place: fills
 * copies with the places of those whose lists get copies.  Returns how many.
 */
int
VecxListChooseCopies(VecxIndex *index, const float *x, const VecxOpened *near, int nnear, int at,
					 int *copies)
{
	uint32		dim = index->meta.dim;
	float	   *room;
	const float *centres[VECX_REPLICA_CENTRES];
	int			places[VECX_REPLICA_CENTRES];
	int			chosen[VECX_MOST_REPLICAS];
	int			n = 0;

	if (index->lists->replicas < 2)
		return 0;
	room = palloc(sizeof(float) * dim * VECX_REPLICA_CENTRES);
	for (int i = at; i < nnear && n < VECX_REPLICA_CENTRES; i++)
	{
		if (near[i].dead || near[i].nrows < 1)
			continue;
		vecx_code_decode(&index->coder, near[i].code, room + (Size) n * dim);
		centres[n] = room + (Size) n * dim;
		places[n++] = i;
	}
	n = vecx_replicas_choose((VecxMetric) index->meta.metric, x, dim, centres, n,
							 index->lists->replicas, chosen);
	for (int i = 1; i < n; i++)
		copies[i - 1] = places[chosen[i]];
	pfree(room);
	return n - 1;
}

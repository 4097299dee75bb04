/*
 * truth.c
 *    The exact neighbours among the rows that a filter lets pass.
 *
 *    One query's distances to all rows serve every filter.  They are computed in
 *    float, by dot products that compilers make fast loops of; some more rows than
 *    wanted are kept, and the last word is said in double.  Rows of small integers
 *    have exact distances in float already.
 */
#include <math.h>
#include <stdlib.h>

#include "truth.h"

#define MORE	32				/* rows kept besides, against the rounding of float */

typedef struct Near
{
	double		distance;
	int32_t		id;
} Near;

static float
dot(const float *a, const float *b, int dim)
{
	float		sum = 0.0f;

	for (int i = 0; i < dim; i++)
		sum += a[i] * b[i];
	return sum;
}

BenchTruthSpace
bench_space(BenchMetric metric, const BenchMatrix *rows)
{
	BenchTruthSpace space = {metric, rows, bench_alloc(sizeof(float) * (size_t) rows->nrows)};

	for (int i = 0; i < rows->nrows; i++)
	{
		const float *x = rows->x + (size_t) i * (size_t) rows->dim;
		float		square = dot(x, x, rows->dim);

		space.norm[i] = metric == BENCH_L2 ? square : sqrtf(square);
	}
	return space;
}

/*
 * distance[i] is that of row first + i: squared L2, or one minus the cosine
 * times the length of the query, which orders alike.
 */
void
bench_distances(const BenchTruthSpace *space, const float *query, int first, int n, float *distance)
{
	int			dim = space->rows->dim;
	const float *x = space->rows->x + (size_t) first * (size_t) dim;
	float		norm = dot(query, query, dim);

	for (int i = 0; i < n; i++, x += dim)
	{
		float		product = dot(query, x, dim);

		if (space->metric == BENCH_L2)
			distance[i] = norm + space->norm[first + i] - 2.0f * product;
		else
			distance[i] = 1.0f - (space->norm[first + i] > 0.0f ? product / space->norm[first + i] : 0.0f);
	}
}

static void
sift_down(Near *heap, int n, int at)
{
	Near		moved = heap[at];

	for (int child; (child = 2 * at + 1) < n; at = child)
	{
		if (child + 1 < n && heap[child + 1].distance > heap[child].distance)
			child++;
		if (heap[child].distance <= moved.distance)
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

static int
compare_near(const void *a, const void *b)
{
	double		x = ((const Near *) a)->distance;
	double		y = ((const Near *) b)->distance;

	return (x > y) - (x < y);
}

/*
 * The distance in double (of bench_distance) of the k-th nearest row that
 * passes, of the last one if there are fewer; -1 without any.  distance holds
 * those of all rows.
 */
double
bench_kth_distance(const BenchTruthSpace *space, const float *query, const float *distance,
				   const BenchMatches *matches, int k)
{
	int			room = k + MORE < matches->n ? k + MORE : matches->n;
	Near	   *heap;			/* the farthest on top */
	double		kth;

	if (matches->n == 0)
		return -1.0;
	heap = bench_alloc(sizeof(Near) * (size_t) room);
	for (int i = 0; i < room; i++)
		heap[i] = (Near) {distance[matches->id[i]], matches->id[i]};
	for (int i = room / 2 - 1; i >= 0; i--)
		sift_down(heap, room, i);
	for (int i = room; i < matches->n; i++)
		if (distance[matches->id[i]] < heap[0].distance)
		{
			heap[0] = (Near) {distance[matches->id[i]], matches->id[i]};
			sift_down(heap, room, 0);
		}
	for (int i = 0; i < room; i++)
		heap[i].distance = bench_distance(space->metric, query, space->rows->x +
										  (size_t) heap[i].id * (size_t) space->rows->dim, space->rows->dim);
	qsort(heap, (size_t) room, sizeof(Near), compare_near);
	kth = heap[(k < matches->n ? k : matches->n) - 1].distance;
	free(heap);
	return kth;
}

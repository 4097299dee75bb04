/*
 * test_cluster.c
 *    Proves src/code/code_cluster.h: clusters are of about equal size, centres are
 *    means, and vectors are assigned to about the nearest of them.
 *
 * An argument is the seed of the random data.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code_cluster.h"
#include "../../src/code/code_replica.h"
#include "unit.h"
#include "unit_code.h"

/* n vectors around some places. */
static float *
make_vectors(uint32_t n, uint32_t dim, uint32_t places)
{
	float	   *x = malloc(sizeof(float) * n * dim);
	float	   *place = malloc(sizeof(float) * places * dim);

	for (uint32_t i = 0; i < places * dim; i++)
		place[i] = (float) (10.0 * random_unit());
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t d = 0; d < dim; d++)
			x[i * dim + d] = place[i % places * dim + d] + (float) (3.0 * random_unit());
	free(place);
	return x;
}

static double
distance(const float *a, const float *b, uint32_t dim)
{
	double		sum = 0.0;

	for (uint32_t d = 0; d < dim; d++)
		sum += ((double) a[d] - (double) b[d]) * ((double) a[d] - (double) b[d]);
	return sum;
}

static void
free_points(VecxPoints *points)
{
	free(points->heads);
	free(points->points);
}

static void
free_clusters(VecxClusters *clusters)
{
	free_points(&clusters->tops);
	free_points(&clusters->leaves);
	free(clusters->first);
	free(clusters->centres);
}

static VecxPoints
make_points(const float *x, uint32_t n, uint32_t dim, const float *mean)
{
	float	   *work = malloc(sizeof(float) * vecx_cluster_point_bytes(dim));
	VecxPoints	points;

	vecx_cluster_alloc(&env, dim, n, &points);
	for (uint32_t i = 0; i < n; i++)
		vecx_cluster_put(&points, i, dim, mean, x + i * dim, work);
	free(work);
	return points;
}

static void
test_clusters(uint32_t n, uint32_t dim, uint32_t k, bool with_mean)
{
	float	   *x = make_vectors(n, dim, 40);
	float	   *mean = calloc(dim, sizeof(float));
	uint32_t   *leaf = malloc(sizeof(uint32_t) * n);
	VecxPoints	points;
	VecxClusters clusters;
	float	   *room;
	uint32_t   *count;
	uint32_t	largest = 0;
	double		assigned = 0.0;
	double		best = 0.0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t d = 0; d < dim; d++)
			mean[d] += x[i * dim + d] / (float) n;
	points = make_points(x, n, dim, with_mean ? mean : NULL);
	vecx_clusters_make(&env, &points, dim, with_mean ? mean : NULL, k, 1, &clusters);
	UNIT_CHECK(clusters.nleaves >= k / 2 && clusters.nleaves <= k + clusters.ntops &&
			   clusters.first[0] == 0 && clusters.first[clusters.ntops] == clusters.nleaves,
			   "%u clusters of %u vectors of %u dimensions, about %u were wanted",
			   clusters.nleaves, n, dim, k);

	room = malloc(sizeof(float) * vecx_clusters_room(&clusters, n, 1));
	count = calloc(clusters.nleaves, sizeof(uint32_t));
	vecx_clusters_assign(&clusters, &points, 1, leaf, room);
	for (uint32_t i = 0; i < n; i++)
	{
		double		least = INFINITY;

		largest = ++count[leaf[i]] > largest ? count[leaf[i]] : largest;
		for (uint32_t c = 0; c < clusters.nleaves; c++)
			least = fmin(least, distance(x + i * dim, clusters.centres + c * dim, dim));
		assigned += distance(x + i * dim, clusters.centres + leaf[i] * dim, dim);
		best += least;
	}
	UNIT_CHECK(assigned <= 1.05 * best, "vectors go to about the nearest centres");
	UNIT_CHECK(largest <= 5 * n / clusters.nleaves + 5, "the largest cluster has %u", largest);
	free_points(&points);
	free_clusters(&clusters);
	free(x);
	free(mean);
	free(leaf);
	free(room);
	free(count);
}

/* Rows that are all equal make one cluster. */
static void
test_equal(void)
{
	enum {N = 100, DIM = 20, K = 4};
	float		x[N * DIM];
	float		centres[K * 64];
	uint32_t	of[N];
	bool		good = true;
	VecxPoints	points;

	for (int i = 0; i < N * DIM; i++)
		x[i] = (float) (i % DIM);
	points = make_points(x, N, DIM, NULL);
	UNIT_CHECK(vecx_kmeans(&env, &points, K, 1, of, centres) == 1, "equal vectors are one cluster");
	for (int i = 0; i < N; i++)
		good = good && of[i] == 0;
	for (int d = 0; d < DIM; d++)
		good = good && fabs((double) centres[d] - d) < 0.2;
	UNIT_CHECK(good, "whose centre they are");
	free_points(&points);
}

/* More leaves than one: the nearest come first, and the first is what one alone is. */
static void
test_several(void)
{
	enum {N = 500, DIM = 24, K = 40, MANY = 6};
	float	   *x = make_vectors(N, DIM, 40);
	VecxPoints	points = make_points(x, N, DIM, NULL);
	uint32_t	one[N];
	uint32_t	several[N * MANY];
	bool		same = true;
	bool		in_order = true;
	VecxClusters clusters;
	float	   *room;

	vecx_clusters_make(&env, &points, DIM, NULL, K, 1, &clusters);
	room = malloc(sizeof(float) * vecx_clusters_room(&clusters, N, MANY));
	vecx_clusters_assign(&clusters, &points, 1, one, room);
	vecx_clusters_assign(&clusters, &points, MANY, several, room);
	for (uint32_t i = 0; i < N; i++)
	{
		same = same && several[i * MANY] == one[i];
		for (uint32_t j = 1; j < MANY; j++)
		{
			const float *before = clusters.centres + several[i * MANY + j - 1] * DIM;
			const float *after = clusters.centres + several[i * MANY + j] * DIM;

			in_order = in_order && several[i * MANY + j] != several[i * MANY + j - 1] &&
				distance(x + i * DIM, before, DIM) < 1.1 * distance(x + i * DIM, after, DIM) + 20.0;
		}
	}
	UNIT_CHECK(same && in_order, "leaves come nearest first");
	free_points(&points);
	free_clusters(&clusters);
	free(x);
	free(room);
}

/* Centres that there are: each is a leaf, and the nearest one to itself. */
static void
test_take(void)
{
	enum {N = 300, DIM = 24};
	float	   *x = make_vectors(N, DIM, N);
	VecxPoints	points = make_points(x, N, DIM, NULL);
	uint32_t	which[N];
	uint32_t	leaf[N];
	int			met[N] = {0};
	bool		good = true;
	VecxClusters clusters;
	float	   *room;

	vecx_clusters_take(&env, x, N, DIM, 1, &clusters, which);
	good = clusters.nleaves == N && clusters.first[clusters.ntops] == N;
	for (int i = 0; i < N; i++)
	{
		good = good && which[i] < N && met[which[i]]++ == 0 &&
			memcmp(clusters.centres + i * DIM, x + which[i] * DIM, sizeof(float) * DIM) == 0;
		vecx_cluster_put(&points, i, DIM, clusters.mean, x + i * DIM, (float[64]) {0});
	}
	UNIT_CHECK(good, "each centre is one leaf");
	room = malloc(sizeof(float) * vecx_clusters_room(&clusters, N, 1));
	vecx_clusters_assign(&clusters, &points, 1, leaf, room);
	for (uint32_t i = 0; i < N; i++)
		good = good && which[leaf[i]] == i;
	UNIT_CHECK(good, "and found by itself");
	free((float *) clusters.mean);
	free_points(&points);
	free_clusters(&clusters);
	free(x);
	free(room);
}

/* Which centres besides the nearest a vector goes to. */
static void
test_replicas(void)
{
	/* the nearest; one behind it, one on the other side, one too far away */
	const float near[] = {1.0f, 0.0f};
	const float behind[] = {1.05f, 0.1f};
	const float across[] = {-1.1f, 0.0f};
	const float away[] = {0.0f, 3.0f};
	const float x[] = {0.0f, 0.0f};
	const float *centres[] = {near, behind, across, away};
	const float *same[] = {near};
	int			chosen[VECX_MOST_REPLICAS];

	UNIT_CHECK(vecx_replicas_choose(VECX_METRIC_L2, x, 2, centres, 4, 1, chosen) == 1 && chosen[0] == 0,
			   "one list is that of the nearest");
	UNIT_CHECK(vecx_replicas_choose(VECX_METRIC_L2, x, 2, centres, 4, 8, chosen) == 2 &&
			   chosen[0] == 0 && chosen[1] == 2, "by distance: in another direction, and not too far");
	UNIT_CHECK(vecx_replicas_choose(VECX_METRIC_IP, x, 2, centres, 4, 3, chosen) == 3 && chosen[0] == 0,
			   "by product: as many as are wanted");
	UNIT_CHECK(vecx_replicas_choose(VECX_METRIC_IP, near, 2, same, 1, 3, chosen) == 1,
			   "but no more than there are");
	UNIT_CHECK(vecx_replicas_choose(VECX_METRIC_IP, near, 2, centres, 4, 3, chosen) == 1,
			   "what is its centre needs no other");
}

int
main(int argc, char **argv)
{
	random_begin(argc, argv);
	test_clusters(2000, 30, 50, false);
	test_clusters(2000, 130, 20, true);
	test_clusters(300, 64, 1, true);
	test_clusters(10, 8, 4, false);
	test_equal();
	test_several();
	test_take();
	test_replicas();
	return unit_done();
}

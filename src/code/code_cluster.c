/*
 * code_cluster.c
 *    Balanced k-means in two levels; see code_cluster.h.
 *
 * Lists of one size are what a search can foresee.  So while clusters move, one
 * that has more members than its share counts as farther away, by a part of the
 * mean distance (the penalty of SPANN's balanced clustering); and a top gets
 * leaves by the number of its members.
 */
#include "code_cluster.h"
#include "code_int.h"

#define ROUNDS			8
/* The same of all leaves together. */
#define REFINING_ROUNDS	3
/* Points compared with all centres at once. */
#define BATCH			32
/* Points whose mean a cluster begins with, at most. */
#define SEED_POINTS		16
/* How much farther a cluster of twice its share seems, of the mean distance. */
#define PENALTY			0.15f

uint32_t
vecx_cluster_point_bytes(uint32_t dim)
{
	return vecx_round_up(dim, 64);
}

void
vecx_cluster_alloc(const VecxTrainEnv *env, uint32_t dim, size_t count, VecxPoints *points)
{
	points->count = count;
	points->nbytes = vecx_cluster_point_bytes(dim);
	points->heads = env->alloc(env->arg, sizeof(VecxPointHead) * (count + 1));
	points->points = env->alloc(env->arg, points->nbytes * (count + 1));
}

void
vecx_cluster_release(const VecxTrainEnv *env, VecxPoints *points)
{
	env->release(env->arg, points->heads);
	env->release(env->arg, points->points);
}

void
vecx_cluster_put(VecxPoints *points, size_t at, uint32_t dim, const float *mean,
				 const float *x, float *work)
{
	memcpy(work, x, sizeof(float) * dim);
	memset(work + dim, 0, sizeof(float) * (points->nbytes - dim));
	if (mean)
		vecx_kernels->add_multiple_f32(work, mean, -1.0f, dim);
	vecx_points_put(points, at, work, NULL);
}

/* y += the vector of a point */
static void
add_point(const VecxPoints *points, size_t at, float *y)
{
	vecx_kernels->add_levels_u8(y, points->points + at * points->nbytes, points->heads[at].scale, points->nbytes);
}

static void
copy_point(const VecxPoints *from, size_t at, VecxPoints *to, size_t place)
{
	to->heads[place] = from->heads[at];
	memcpy(to->points + place * to->nbytes, from->points + at * from->nbytes, to->nbytes);
}

/* What a run of k-means works with. */
typedef struct Run
{
	const VecxTrainEnv *env;
	const VecxPoints *points;
	uint32_t	k;
	VecxPoints	centres;
	float	   *sums;			/* [k][pdim] */
	uint32_t   *counts;
	float	   *penalty;
	float	   *room;			/* [BATCH][k] */
	float	   *seed_room;		/* [count] */
	uint32_t   *of;
	double		total;			/* of the members' distances */
} Run;

/* Assigns all points to the nearest centre, penalties added, and sums them up. */
static void
assign_round(Run *run)
{
	size_t		n = run->points->count;
	size_t		pdim = run->points->nbytes;

	memset(run->sums, 0, sizeof(float) * run->k * pdim);
	memset(run->counts, 0, sizeof(uint32_t) * run->k);
	run->total = 0.0;
	for (size_t i = 0; i < n; i += BATCH)
	{
		size_t		batch = n - i < BATCH ? n - i : BATCH;

		run->env->poll(run->env->arg);
		vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, run->points, i, batch, &run->centres,
							 run->room);
		for (size_t j = 0; j < batch; j++)
		{
			const float *dist = run->room + j * run->k;
			uint32_t	best = 0;

			for (uint32_t c = 1; c < run->k; c++)
				if (dist[c] + run->penalty[c] < dist[best] + run->penalty[best])
					best = c;
			run->of[i + j] = best;
			run->counts[best]++;
			run->total += (double) (dist[best] > 0.0f ? dist[best] : 0.0f);
			add_point(run->points, i + j, run->sums + best * pdim);
		}
	}
}

/*
 * Makes a centre the mean of the points nearest to one.  That point itself would have
 * in it all that is its own: of many dimensions every other point is nearer to any mean,
 * and the cluster stays one of a single point.
 */
static void
seed_centre(Run *run, uint32_t centre, uint32_t point)
{
	const VecxPoints *points = run->points;
	size_t		most = points->count / run->k / 2 + 1;
	uint32_t	near[SEED_POINTS];
	uint32_t	n = 0;
	float	   *sum = run->sums + centre * points->nbytes;
	float	   *dist = run->seed_room;

	if (most > SEED_POINTS)
		most = SEED_POINTS;
	vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, points, point, 1, points, dist);
	for (uint32_t i = 0; i < points->count; i++)
	{
		uint32_t	at = n;

		if (n == most && dist[i] >= dist[near[n - 1]])
			continue;
		if (n < most)
			n++;
		else
			at--;
		for (; at > 0 && dist[near[at - 1]] > dist[i]; at--)
			near[at] = near[at - 1];
		near[at] = i;
	}
	memset(sum, 0, sizeof(float) * points->nbytes);
	for (uint32_t i = 0; i < n; i++)
		add_point(points, near[i], sum);
	for (size_t i = 0; i < points->nbytes; i++)
		sum[i] /= (float) n;
	vecx_points_put(&run->centres, centre, sum, NULL);
}

/* Moves the centres to the means; one without members begins anew. */
static void
move_centres(Run *run, uint64_t *rng)
{
	size_t		pdim = run->points->nbytes;
	float		mean = (float) run->points->count / (float) run->k;
	float		distance = (float) (run->total / (double) run->points->count);

	for (uint32_t c = 0; c < run->k; c++)
	{
		float	   *sum = run->sums + c * pdim;

		run->penalty[c] = PENALTY * distance * ((float) run->counts[c] / mean - 1.0f);
		if (run->counts[c] == 0)
		{
			run->env->poll(run->env->arg);
			seed_centre(run, c, vecx_random_below(rng, (uint32_t) run->points->count));
			continue;
		}
		for (size_t i = 0; i < pdim; i++)
			sum[i] /= (float) run->counts[c];
		vecx_points_put(&run->centres, c, sum, NULL);
	}
}

uint32_t
vecx_kmeans(const VecxTrainEnv *env, const VecxPoints *points, uint32_t k, uint64_t seed,
			uint32_t *of, float *centres)
{
	size_t		pdim = points->nbytes;
	uint32_t	n = (uint32_t) points->count;
	uint64_t	rng = seed;
	uint32_t	kept = 0;
	uint32_t   *place;
	Run			run;

	if (k > n)
		k = n;
	memset(&run, 0, sizeof(run));
	run.env = env;
	run.points = points;
	run.k = k;
	run.of = of;
	run.sums = env->alloc(env->arg, sizeof(float) * k * pdim);
	run.counts = env->alloc(env->arg, sizeof(uint32_t) * k);
	run.penalty = env->alloc(env->arg, sizeof(float) * k);
	run.room = env->alloc(env->arg, sizeof(float) * k * BATCH);
	place = env->alloc(env->arg, sizeof(uint32_t) * k);
	run.seed_room = env->alloc(env->arg, sizeof(float) * (n + 1));
	run.centres.nbytes = pdim;
	run.centres.count = k;
	run.centres.heads = env->alloc(env->arg, sizeof(VecxPointHead) * k);
	run.centres.points = env->alloc(env->arg, pdim * k);
	memset(run.penalty, 0, sizeof(float) * k);

	/* about different rows, spread over the whole */
	for (uint32_t c = 0; c < k; c++)
	{
		uint32_t	from = (uint32_t) ((uint64_t) n * c / k);
		uint32_t	to = (uint32_t) ((uint64_t) n * (c + 1) / k);

		env->poll(env->arg);
		seed_centre(&run, c, from + vecx_random_below(&rng, to - from));
	}
	for (int round = 0; round < ROUNDS; round++)
	{
		assign_round(&run);
		/* all points are where their centres are */
		if (!(run.total > 0.0))
			break;
		if (round < ROUNDS - 1)
			move_centres(&run, &rng);
	}
	for (uint32_t c = 0; c < k; c++)
	{
		place[c] = kept;
		if (run.counts[c] == 0)
			continue;
		for (size_t i = 0; i < pdim; i++)
			centres[kept * pdim + i] = run.sums[c * pdim + i] / (float) run.counts[c];
		kept++;
	}
	for (uint32_t i = 0; i < n; i++)
		of[i] = place[of[i]];

	vecx_cluster_release(env, &run.centres);
	env->release(env->arg, run.sums);
	env->release(env->arg, run.counts);
	env->release(env->arg, run.penalty);
	env->release(env->arg, run.room);
	env->release(env->arg, run.seed_room);
	env->release(env->arg, place);
	return kept;
}

/* The points of a sample sorted by their cluster: start[k + 1], order[n]. */
static void
sort_members(const uint32_t *of, uint32_t n, uint32_t k, uint32_t *start, uint32_t *order)
{
	memset(start, 0, sizeof(uint32_t) * (k + 1));
	for (uint32_t i = 0; i < n; i++)
		start[of[i] + 1]++;
	for (uint32_t c = 0; c < k; c++)
		start[c + 1] += start[c];
	for (uint32_t i = 0; i < n; i++)
		order[start[of[i]]++] = i;
	for (uint32_t c = k; c > 0; c--)
		start[c] = start[c - 1];
	start[0] = 0;
}

/* Clusters the members of one top, and adds what comes of it to the leaves. */
static void
make_leaves(const VecxTrainEnv *env, const VecxPoints *sample, const uint32_t *members, uint32_t n,
			uint32_t k, uint64_t seed, uint32_t *of, float *found, VecxClusters *clusters)
{
	VecxPoints	own;
	uint32_t	kept;

	vecx_cluster_alloc(env, clusters->dim, n, &own);
	for (uint32_t i = 0; i < n; i++)
		copy_point(sample, members[i], &own, i);
	kept = vecx_kmeans(env, &own, k, seed, of, found);
	for (uint32_t c = 0; c < kept; c++)
	{
		float	   *centre = clusters->centres + (size_t) clusters->nleaves * clusters->dim;

		for (uint32_t i = 0; i < clusters->dim; i++)
			centre[i] = found[(size_t) c * clusters->pdim + i] +
				(clusters->mean ? clusters->mean[i] : 0.0f);
		clusters->nleaves++;
	}
	vecx_cluster_release(env, &own);
}

/* Moves leaves to the means of the sample's vectors that they are nearest to, across
 * the borders of tops, and the tops to those of their leaves. */
static void
refine(const VecxTrainEnv *env, const VecxPoints *sample, VecxClusters *clusters, float *work)
{
	size_t		pdim = clusters->pdim;
	uint32_t	n = clusters->nleaves;
	float	   *sums = env->alloc(env->arg, sizeof(float) * n * pdim);
	uint32_t   *counts = env->alloc(env->arg, sizeof(uint32_t) * n);
	uint32_t	leaf[BATCH];
	float	   *room = env->alloc(env->arg, sizeof(float) * vecx_clusters_room(clusters, BATCH, 1));

	for (int round = 0; round < REFINING_ROUNDS; round++)
	{
		memset(sums, 0, sizeof(float) * n * pdim);
		memset(counts, 0, sizeof(uint32_t) * n);
		for (size_t i = 0; i < sample->count; i += BATCH)
		{
			VecxPoints	batch = *sample;

			env->poll(env->arg);
			batch.count = sample->count - i < BATCH ? sample->count - i : BATCH;
			batch.heads += i;
			batch.points += i * pdim;
			vecx_clusters_assign(clusters, &batch, 1, leaf, room);
			for (size_t j = 0; j < batch.count; j++)
			{
				add_point(&batch, j, sums + leaf[j] * pdim);
				counts[leaf[j]]++;
			}
		}
		for (uint32_t c = 0; c < n; c++)
		{
			float	   *centre = clusters->centres + (size_t) c * clusters->dim;

			if (counts[c] == 0)
				continue;
			for (uint32_t i = 0; i < clusters->dim; i++)
				centre[i] = sums[c * pdim + i] / (float) counts[c] +
					(clusters->mean ? clusters->mean[i] : 0.0f);
			vecx_clusters_use_centre(clusters, c, work);
		}
		for (uint32_t t = 0; t < clusters->ntops; t++)
		{
			memset(work, 0, sizeof(float) * pdim);
			for (uint32_t c = clusters->first[t]; c < clusters->first[t + 1]; c++)
				add_point(&clusters->leaves, c, work);
			for (size_t i = 0; i < pdim; i++)
				work[i] /= (float) (clusters->first[t + 1] - clusters->first[t]);
			vecx_points_put(&clusters->tops, t, work, NULL);
		}
	}
	env->release(env->arg, sums);
	env->release(env->arg, counts);
	env->release(env->arg, room);
}

void
vecx_clusters_make(const VecxTrainEnv *env, const VecxPoints *sample, uint32_t dim,
				   const float *mean, uint32_t k, uint64_t seed, VecxClusters *clusters)
{
	uint32_t	n = (uint32_t) sample->count;
	uint32_t	ktops = (uint32_t) ceil(sqrt((double) k));
	uint32_t	pdim = (uint32_t) sample->nbytes;
	uint32_t	most = k + ktops;
	uint32_t   *of = env->alloc(env->arg, sizeof(uint32_t) * (n + 1));
	uint32_t   *start = env->alloc(env->arg, sizeof(uint32_t) * (ktops + 1));
	uint32_t   *order = env->alloc(env->arg, sizeof(uint32_t) * (n + 1));
	float	   *tops = env->alloc(env->arg, sizeof(float) * ktops * pdim);
	float	   *found = env->alloc(env->arg, sizeof(float) * most * pdim);
	float	   *work = env->alloc(env->arg, sizeof(float) * pdim);

	memset(clusters, 0, sizeof(VecxClusters));
	clusters->dim = dim;
	clusters->pdim = pdim;
	clusters->mean = mean;
	clusters->first = env->alloc(env->arg, sizeof(uint32_t) * (ktops + 1));
	clusters->centres = env->alloc(env->arg, sizeof(float) * most * dim);
	clusters->ntops = n == 0 ? 0 : vecx_kmeans(env, sample, ktops, seed, of, tops);
	vecx_cluster_alloc(env, dim, clusters->ntops, &clusters->tops);
	sort_members(of, n, clusters->ntops, start, order);
	for (uint32_t t = 0; t < clusters->ntops; t++)
	{
		uint32_t	members = start[t + 1] - start[t];
		uint32_t	share = (uint32_t) (((uint64_t) k * members + n / 2) / n);

		vecx_points_put(&clusters->tops, t, tops + (size_t) t * pdim, NULL);
		clusters->first[t] = clusters->nleaves;
		/* of is not needed any more */
		make_leaves(env, sample, order + start[t], members, share > 1 ? share : 1, seed + t + 1, of,
					found, clusters);
	}
	clusters->first[clusters->ntops] = clusters->nleaves;
	vecx_cluster_alloc(env, dim, clusters->nleaves, &clusters->leaves);
	for (uint32_t leaf = 0; leaf < clusters->nleaves; leaf++)
		vecx_clusters_use_centre(clusters, leaf, work);
	refine(env, sample, clusters, work);
	env->release(env->arg, of);
	env->release(env->arg, start);
	env->release(env->arg, order);
	env->release(env->arg, tops);
	env->release(env->arg, found);
	env->release(env->arg, work);
}

void
vecx_clusters_take(const VecxTrainEnv *env, const float *centres, uint32_t n, uint32_t dim,
				   uint64_t seed, VecxClusters *clusters, uint32_t *which)
{
	uint32_t	ktops = (uint32_t) ceil(sqrt((double) n));
	uint32_t	pdim = vecx_cluster_point_bytes(dim);
	uint32_t   *of = env->alloc(env->arg, sizeof(uint32_t) * n);
	float	   *tops = env->alloc(env->arg, sizeof(float) * ktops * pdim);
	float	   *mean = env->alloc(env->arg, sizeof(float) * dim);
	float	   *work = env->alloc(env->arg, sizeof(float) * pdim);
	VecxPoints	all;

	memset(clusters, 0, sizeof(VecxClusters));
	memset(mean, 0, sizeof(float) * dim);
	for (uint32_t i = 0; i < n; i++)
		vecx_kernels->add_multiple_f32(mean, centres + (size_t) i * dim, 1.0f / (float) n, dim);
	clusters->dim = dim;
	clusters->pdim = pdim;
	clusters->mean = mean;
	clusters->nleaves = n;
	clusters->first = env->alloc(env->arg, sizeof(uint32_t) * (ktops + 1));
	clusters->centres = env->alloc(env->arg, sizeof(float) * n * dim);
	vecx_cluster_alloc(env, dim, n, &all);
	for (uint32_t i = 0; i < n; i++)
		vecx_cluster_put(&all, i, dim, mean, centres + (size_t) i * dim, work);
	clusters->ntops = vecx_kmeans(env, &all, ktops, seed, of, tops);
	sort_members(of, n, clusters->ntops, clusters->first, which);
	vecx_cluster_alloc(env, dim, clusters->ntops, &clusters->tops);
	for (uint32_t t = 0; t < clusters->ntops; t++)
		vecx_points_put(&clusters->tops, t, tops + (size_t) t * pdim, NULL);
	vecx_cluster_alloc(env, dim, n, &clusters->leaves);
	for (uint32_t leaf = 0; leaf < n; leaf++)
	{
		memcpy(clusters->centres + (size_t) leaf * dim, centres + (size_t) which[leaf] * dim, sizeof(float) * dim);
		copy_point(&all, which[leaf], &clusters->leaves, leaf);
	}
	vecx_cluster_release(env, &all);
	env->release(env->arg, of);
	env->release(env->arg, tops);
	env->release(env->arg, work);
}

void
vecx_clusters_use_centre(VecxClusters *clusters, uint32_t leaf, float *work)
{
	vecx_cluster_put(&clusters->leaves, leaf, clusters->dim, clusters->mean,
					 clusters->centres + (size_t) leaf * clusters->dim, work);
}

size_t
vecx_clusters_room(const VecxClusters *clusters, size_t batch, uint32_t k)
{
	return batch * clusters->ntops + clusters->nleaves + k;
}

/* Keeps a leaf if it is one of the k nearest so far; dist has their distances. */
static void
keep_leaf(uint32_t *leaf, float *dist, uint32_t k, uint32_t found, float distance)
{
	uint32_t	i = k - 1;

	if (!(distance < dist[i]))
		return;
	for (; i > 0 && dist[i - 1] > distance; i--)
	{
		leaf[i] = leaf[i - 1];
		dist[i] = dist[i - 1];
	}
	leaf[i] = found;
	dist[i] = distance;
}

/* The nearest leaves of the point of the batch, by its distances to all tops. */
static void
nearest_leaves(const VecxClusters *clusters, const VecxPoints *batch, size_t at, const float *tops,
			   uint32_t k, uint32_t *leaf, float *dist, float *room)
{
	uint32_t	nearest[VECX_CLUSTER_BEAM];
	uint32_t	n = 0;

	for (uint32_t i = 0; i < k; i++)
	{
		leaf[i] = VECX_NO_LEAF;
		dist[i] = INFINITY;
	}

	for (uint32_t t = 0; t < clusters->ntops; t++)
	{
		uint32_t	i;

		if (n == VECX_CLUSTER_BEAM && tops[t] >= tops[nearest[n - 1]])
			continue;
		if (n < VECX_CLUSTER_BEAM)
			n++;
		for (i = n - 1; i > 0 && tops[nearest[i - 1]] > tops[t]; i--)
			nearest[i] = nearest[i - 1];
		nearest[i] = t;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	first = clusters->first[nearest[i]];
		VecxPoints	own = clusters->leaves;

		own.count = clusters->first[nearest[i] + 1] - first;
		own.heads += first;
		own.points += first * own.nbytes;
		vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, batch, at, 1, &own, room);
		for (uint32_t c = 0; c < own.count; c++)
			keep_leaf(leaf, dist, k, first + c, room[c]);
	}
}

void
vecx_clusters_assign(const VecxClusters *clusters, const VecxPoints *batch, uint32_t k,
					 uint32_t *leaf, float *room)
{
	float	   *dist = room + batch->count * clusters->ntops;
	float	   *own = dist + k;

	vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, batch, 0, batch->count, &clusters->tops, room);
	for (size_t i = 0; i < batch->count; i++)
		nearest_leaves(clusters, batch, i, room + i * clusters->ntops, k, leaf + i * k, dist, own);
}

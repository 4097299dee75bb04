/*
 * code_cluster.h
 *    Clusters of near vectors of about equal size: the centres of posting lists.
 *
 * Two levels: some tops, each with its own leaves, about as many as it has tops
 * altogether.  A vector is compared with all tops and with the leaves of the
 * nearest of them.  All distances are squared Euclidean ones between points of 8
 * bits (code.h); what the vectors have in common is taken off before.
 *
 * Pure C, no error exits, as code.h.
 */
#ifndef VECX_CODE_CLUSTER_H
#define VECX_CODE_CLUSTER_H

#include "code.h"

/* Tops whose leaves a vector is compared with. */
#define VECX_CLUSTER_BEAM	8

typedef struct VecxClusters
{
	uint32_t	dim;
	uint32_t	pdim;			/* bytes of a point */
	const float *mean;			/* [dim], taken off; the caller's, or NULL */
	uint32_t	ntops;
	uint32_t	nleaves;
	uint32_t   *first;			/* [ntops + 1]: leaves of each top */
	float	   *centres;		/* [nleaves][dim] */
	VecxPoints	tops;
	VecxPoints	leaves;
} VecxClusters;

extern uint32_t vecx_cluster_point_bytes(uint32_t dim);

/* Room for a set of points of vectors of dim dimensions. */
extern void vecx_cluster_alloc(const VecxTrainEnv *env, uint32_t dim, size_t count, VecxPoints *points);
extern void vecx_cluster_release(const VecxTrainEnv *env, VecxPoints *points);
/* Makes x, less the mean, the point at a place; work is float[point_bytes]. */
extern void vecx_cluster_put(VecxPoints *points, size_t at, uint32_t dim, const float *mean,
							 const float *x, float *work);

/*
 * About k clusters of the sample (fewer where rows are equal); everything in
 * *clusters is allocated by env.
 */
extern void vecx_clusters_make(const VecxTrainEnv *env, const VecxPoints *sample, uint32_t dim,
							   const float *mean, uint32_t k, uint64_t seed,
							   VecxClusters *clusters);
/*
 * The same of n > 0 centres that there are, [n][dim]: which[leaf] is the one that a leaf
 * is.  The mean, of the centres, is allocated by env, too.
 */
extern void vecx_clusters_take(const VecxTrainEnv *env, const float *centres, uint32_t n,
							   uint32_t dim, uint64_t seed, VecxClusters *clusters, uint32_t *which);
/* Takes the centre of a leaf as it is now for comparing. */
extern void vecx_clusters_use_centre(VecxClusters *clusters, uint32_t leaf, float *work);

/* No leaf. */
#define VECX_NO_LEAF		UINT32_MAX

/* The k nearest leaves of each point of the batch, nearest first, k of them for each
 * point; where there are fewer VECX_NO_LEAF follows.  room is float[] of
 * vecx_clusters_room(). */
extern size_t vecx_clusters_room(const VecxClusters *clusters, size_t batch, uint32_t k);
extern void vecx_clusters_assign(const VecxClusters *clusters, const VecxPoints *batch, uint32_t k,
								 uint32_t *leaf, float *room);

/*
 * k-means of points into k clusters: fills of[points->count] and centres
 * [k][pdim], which are points' vectors, padding and all.  Returns how many
 * clusters have members; those come first.
 */
extern uint32_t vecx_kmeans(const VecxTrainEnv *env, const VecxPoints *points, uint32_t k,
							uint64_t seed, uint32_t *of, float *centres);

#endif							/* VECX_CODE_CLUSTER_H */

/*
 * code_tune.h
 *    An adapter of queries: where a query is moved to before the centroids of
 *    posting lists are searched, learned from queries whose rows are known.
 *
 * Lists and codes stay what they are.  A query q becomes
 *
 *    q' = scale q + shift + sum over j of up_j <down_j, q>
 *
 * with few terms, so that learning needs few queries and applying it costs less than
 * one more list.  The scale weighs the direction of a query against the lengths of
 * centroids: under L2 distance those near the middle have the wider lists.  After JPQ (arXiv 2108.00644), which trains the query's encoder
 * under frozen codes of documents; here the encoder is not ours.
 *
 * Pure C over kernel.h, no error exits, as code.h.
 */
#ifndef VECX_CODE_TUNE_H
#define VECX_CODE_TUNE_H

#include "code.h"

#define VECX_TUNE_MAX_RANK	256

typedef struct VecxAdapter
{
	VecxMetric	metric;
	uint32_t	dim;
	uint32_t	rank;
	float		scale;
	const float *shift;			/* [dim] */
	const float *up;			/* [rank][dim] */
	const float *down;			/* [rank][dim] */
} VecxAdapter;

extern size_t vecx_adapter_bytes(uint32_t dim, uint32_t rank);
/* Returns NULL, or what is wrong with the bytes (a static string). */
extern const char *vecx_adapter_bind(VecxAdapter *adapter, const uint8_t *bytes, size_t nbytes);
/* out[dim], which is not q. */
extern void vecx_adapter_apply(const VecxAdapter *adapter, const float *q, float *out);

/* A list that a query should find, and how much that counts. */
typedef struct VecxTuneGoal
{
	uint32_t	list;
	float		weight;			/* those of a query add up to 1 */
} VecxTuneGoal;

/* Queries with their goals, and the centroids of all lists; unit vectors under COSINE,
 * as searches compare them. */
typedef struct VecxTuneSample
{
	VecxMetric	metric;
	uint32_t	dim;
	const float *centres;		/* [nlists][dim] */
	uint32_t	nlists;
	const float *queries;		/* [nqueries][dim] */
	uint32_t	nqueries;
	const uint32_t *first;		/* [nqueries + 1]: of each query's goals */
	const VecxTuneGoal *goals;
} VecxTuneSample;

/* Bytes that learning takes for each query, at least; ngoals of it. */
extern size_t vecx_tune_query_bytes(uint32_t nlists, uint32_t ngoals);

/*
 * Learns an adapter of that rank; its serialised form, allocated by env, is
 * vecx_adapter_bytes() long.  What helps one in eight of the queries, which it does
 * not learn from, is what it returns: at worst no change at all.
 */
extern uint8_t *vecx_adapter_train(const VecxTrainEnv *env, const VecxTuneSample *sample,
								   uint32_t rank, uint64_t seed);

/* Navigation distances of a query to all lists, nav[nlists], as a search meets them;
 * adapter may be NULL.  room: float[dim]. */
extern void vecx_tune_distances(const VecxTuneSample *sample, const VecxAdapter *adapter,
								const float *q, float *room, float *nav);

#endif							/* VECX_CODE_TUNE_H */

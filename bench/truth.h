/*
 * truth.h
 *    Distances of a query to many rows at once, and the nearest rows among
 *    those that a filter lets pass.
 */
#ifndef BENCH_TRUTH_H
#define BENCH_TRUTH_H

#include "data.h"

/* Rows with what their distances need. */
typedef struct BenchTruthSpace
{
	BenchMetric metric;
	const BenchMatrix *rows;
	float	   *norm;			/* of each row: squared, for the cosine its length */
} BenchTruthSpace;

/* Row numbers that pass, ascending. */
typedef struct BenchMatches
{
	int			n;
	int32_t    *id;
} BenchMatches;

extern BenchTruthSpace bench_space(BenchMetric metric, const BenchMatrix *rows);
extern void bench_distances(const BenchTruthSpace *space, const float *query, int first, int n, float *distance);
extern double bench_kth_distance(const BenchTruthSpace *space, const float *query, const float *distance,
								 const BenchMatches *matches, int k);

#endif							/* BENCH_TRUTH_H */

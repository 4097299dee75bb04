/*
 * data.h
 *    The data sets the benchmark knows, their readers, and exact distances in
 *    double precision.  Needs no server; shared with hnswlib_bench.cpp.
 */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C"
{
#endif

#define BENCH_K				10	/* neighbours asked for */
#define BENCH_MAX_ROWSETS	2

typedef enum BenchMetric
{
	BENCH_L2,
	BENCH_COSINE
} BenchMetric;

/* One set of queries with its exact neighbours; file names below --data. */
typedef struct BenchRowsetDef
{
	const char *name;
	const char *queries;
	const char *truth;
} BenchRowsetDef;

typedef struct BenchSetDef
{
	const char *name;
	BenchMetric metric;
	const char *base;
	BenchRowsetDef rowset[BENCH_MAX_ROWSETS];	/* name is NULL after the last */
} BenchSetDef;

typedef struct BenchMatrix
{
	int			nrows;
	int			dim;
	float	   *x;				/* nrows * dim, row by row */
} BenchMatrix;

typedef struct BenchTruth
{
	int			nrows;
	int			k;				/* neighbours listed per query, >= BENCH_K */
	int32_t    *id;				/* nrows * k row numbers, nearest first */
} BenchTruth;

/* What the returned rows of one or many queries were worth. */
typedef struct BenchScore
{
	long		nwanted;		/* k times queries */
	long		nright;
	long		nmissing;		/* rows not returned at all */
	long		nqueries;
	long		npoor;			/* queries with less than half of their rows right */
	int			mostwrong;		/* rows of the worst query that are wrong or missing */
} BenchScore;

extern const BenchSetDef *bench_set_find(const char *name);
extern char *bench_path(const char *dir, const char *name);
extern void *bench_alloc(size_t nbytes);
extern void bench_die(const char *fmt,...) __attribute__((format(printf, 1, 2), noreturn));
extern FILE *bench_create(const char *path);
extern void bench_finish(FILE *file, const char *path);
extern uint64_t bench_draw(uint64_t *state);
extern double bench_seconds(void);
extern double bench_percentile(const double *sorted, long n, double p);
extern void bench_sort(double *x, long n);

extern BenchMatrix bench_read_vectors(const char *path);
extern BenchTruth bench_read_truth(const char *path);
extern double bench_distance(BenchMetric metric, const float *a, const float *b, int dim);
extern void bench_score_add(BenchScore *score, BenchMetric metric,
							const BenchMatrix *base, const float *query,
							const int32_t *truth, const int32_t *id, int nid);
extern double bench_recall(const BenchScore *score);

#ifdef __cplusplus
}
#endif

#endif							/* BENCH_DATA_H */

/*
 * made_attrs.c
 *    Attributes of the set of a million rows to filter on, always the same
 *    bytes: attrs.csv has a line for each row, query_attrs.csv for each query.
 *
 *    tenant    1 .. 100,000, the k-th being k times as rare as the first
 *    uni       0 .. 999,999, each as likely as any other
 *    ts        30 seconds a row on the average, ascending, as rows arrive
 *    tags      none to five of 1,000 labels, the k-th k times as rare as the
 *              first; one row in 64 has a NULL
 *    cluster   which of 1,000 sampled rows is the nearest
 *    far       of queries: a cluster farther away than nine tenths of them
 *    farthest  of queries: a twentieth of all clusters, none of them nearer
 *
 *    usage: made_attrs MADE1M		(directory)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "truth.h"

#define NTENANTS	100000
#define NLABELS		1000
#define MAX_TAGS	5
#define NCLUSTERS	1000
#define FAR_RANK	900
#define NFARTHEST	50

/* Sums of 2^40 / k up to each k, to draw by Zipf's law in integers. */
static uint64_t *
zipf_make(int n)
{
	uint64_t   *sum = bench_alloc(sizeof(uint64_t) * (size_t) n);

	for (int k = 0; k < n; k++)
		sum[k] = (k > 0 ? sum[k - 1] : 0) + ((uint64_t) 1 << 40) / (uint64_t) (k + 1);
	return sum;
}

/* 1 .. n */
static int
zipf_draw(const uint64_t *sum, int n, uint64_t *state)
{
	uint64_t	at = bench_draw(state) % sum[n - 1];
	int			low = 0;
	int			high = n - 1;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (sum[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low + 1;
}

static BenchMatrix
sample(const BenchMatrix *base)
{
	BenchMatrix m = {NCLUSTERS, base->dim, NULL};
	size_t		dim = (size_t) base->dim;

	m.x = bench_alloc(sizeof(float) * NCLUSTERS * dim);
	for (size_t c = 0; c < NCLUSTERS; c++)
		memcpy(m.x + c * dim, base->x + c * (size_t) (base->nrows / NCLUSTERS) * dim, sizeof(float) * dim);
	return m;
}

static int
nearest(const float *distance)
{
	int			best = 0;

	for (int c = 1; c < NCLUSTERS; c++)
		if (distance[c] < distance[best])
			best = c;
	return best;
}

/* How many clusters are nearer; of equals the lower number is. */
static int
rank_of(const float *distance, int c)
{
	int			nearer = 0;

	for (int d = 0; d < NCLUSTERS; d++)
		nearer += distance[d] < distance[c] || (distance[d] == distance[c] && d < c);
	return nearer;
}

/* As an array in CSV: quoted, or nothing for NULL. */
static void
put_tags(FILE *file, const uint64_t *labels, uint64_t *state)
{
	int			tag[MAX_TAGS];
	int			n = (int) (bench_draw(state) % (MAX_TAGS + 1));
	int			nput = 0;

	if (bench_draw(state) % 64 == 0)
		return;
	fputs("\"{", file);
	for (int i = 0; i < n; i++)
	{
		bool		again = false;

		tag[i] = zipf_draw(labels, NLABELS, state);
		for (int j = 0; j < i; j++)
			again |= tag[j] == tag[i];
		if (!again)
			fprintf(file, "%s%d", nput++ > 0 ? "," : "", tag[i]);
	}
	fputs("}\"", file);
}

/* Seconds after 2024-01-01 00:00 UTC. */
static void
put_time(FILE *file, long seconds)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	long		day = seconds / 86400;
	int			month = 0;

	while (day >= days[month])
		day -= days[month++];
	fprintf(file, "2024-%02d-%02d %02ld:%02ld:%02ld+00", month + 1, (int) day + 1,
			seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static void
write_rows(const BenchMatrix *base, const BenchMatrix *centres, const char *dir)
{
	char	   *path = bench_path(dir, "attrs.csv");
	FILE	   *file = bench_create(path);
	BenchTruthSpace space = bench_space(BENCH_L2, centres);
	uint64_t   *tenants = zipf_make(NTENANTS);
	uint64_t   *labels = zipf_make(NLABELS);
	uint64_t	state = 3;
	float		distance[NCLUSTERS];

	fputs("tenant,uni,ts,tags,cluster\n", file);
	for (int i = 0; i < base->nrows; i++)
	{
		fprintf(file, "%d,", zipf_draw(tenants, NTENANTS, &state));
		fprintf(file, "%d,", (int) (bench_draw(&state) % 1000000));
		put_time(file, (long) i * 30 + (long) (bench_draw(&state) % 30));
		fputc(',', file);
		put_tags(file, labels, &state);
		bench_distances(&space, base->x + (size_t) i * (size_t) base->dim, 0, NCLUSTERS, distance);
		fprintf(file, ",%d\n", nearest(distance));
	}
	bench_finish(file, path);
}

static void
write_queries(const BenchMatrix *queries, const BenchMatrix *centres, const char *dir)
{
	char	   *path = bench_path(dir, "query_attrs.csv");
	FILE	   *file = bench_create(path);
	BenchTruthSpace space = bench_space(BENCH_L2, centres);
	float		distance[NCLUSTERS];
	int			by_rank[NCLUSTERS];

	fputs("cluster,far,farthest\n", file);
	for (int i = 0; i < queries->nrows; i++)
	{
		bench_distances(&space, queries->x + (size_t) i * (size_t) queries->dim, 0, NCLUSTERS, distance);
		for (int c = 0; c < NCLUSTERS; c++)
			by_rank[rank_of(distance, c)] = c;
		fprintf(file, "%d,%d,\"{", by_rank[0], by_rank[FAR_RANK]);
		for (int r = NCLUSTERS - NFARTHEST; r < NCLUSTERS; r++)
			fprintf(file, "%d%s", by_rank[r], r + 1 < NCLUSTERS ? "," : "}\"\n");
	}
	bench_finish(file, path);
}

int
main(int argc, char **argv)
{
	BenchMatrix base;
	BenchMatrix queries;
	BenchMatrix centres;

	if (argc != 2)
	{
		fputs("usage: made_attrs MADE1M\n", stderr);
		return 2;
	}
	base = bench_read_vectors(bench_path(argv[1], "base.bvecs"));
	queries = bench_read_vectors(bench_path(argv[1], "query.bvecs"));
	centres = sample(&base);
	write_queries(&queries, &centres, argv[1]);
	write_rows(&base, &centres, argv[1]);
	return 0;
}

/*
 * data.c
 *    Reads the data sets (bvecs, f16vecs and ivecs, gzipped or not) and counts
 *    recall.  The values are small integers or half floats, so float holds them
 *    exactly and distances are computed from them in double.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "data.h"

static const BenchSetDef sets[] = {
	{"fmnist", BENCH_L2, "fmnist/base.bvecs.gz",
		{{"fmnist", "fmnist/query.bvecs.gz", "fmnist/groundtruth.ivecs"}}},
	{"sift200k", BENCH_L2, "sift200k/base.bvecs.gz",
		{{"sift200k", "sift200k/query.bvecs.gz", "sift200k/groundtruth.ivecs"}}},
	{"acl512", BENCH_COSINE, "acl512/base.f16vecs.gz",
		{{"acl512", "acl512/query.f16vecs", "acl512/groundtruth.ivecs"},
		{"acl512-title", "acl512/query_title.f16vecs", "acl512/groundtruth_title.ivecs"}}},
	{"bge1024", BENCH_COSINE, "bge1024/base.f16vecs.gz",
		{{"bge1024", "bge1024/query.f16vecs", "bge1024/groundtruth.ivecs"}}},
	{"made1m", BENCH_L2, "made1m/base.bvecs",
		{{"made1m", "made1m/query.bvecs", "made1m/groundtruth.ivecs"},
		{"made1m-sift", "made1m/query_sift.bvecs", "made1m/groundtruth_sift.ivecs"}}},
};

const BenchSetDef *
bench_set_find(const char *name)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		if (strcmp(sets[i].name, name) == 0)
			return &sets[i];
	bench_die("no data set is named \"%s\"", name);
}

void
bench_die(const char *fmt,...)
{
	va_list		args;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *
bench_alloc(size_t nbytes)
{
	void	   *p = calloc(1, nbytes > 0 ? nbytes : 1);

	if (p == NULL)
		bench_die("out of memory for %zu bytes", nbytes);
	return p;
}

char *
bench_path(const char *dir, const char *name)
{
	size_t		nbytes = strlen(dir) + strlen(name) + 2;
	char	   *path = bench_alloc(nbytes);

	snprintf(path, nbytes, "%s/%s", dir, name);
	return path;
}

/* A new file, or what takes the place of an old one. */
FILE *
bench_create(const char *path)
{
	FILE	   *file = fopen(path, "wb");

	if (file == NULL)
		bench_die("could not write \"%s\"", path);
	return file;
}

/* Closes a file of bench_create, which has to be all there. */
void
bench_finish(FILE *file, const char *path)
{
	bool		failed = ferror(file) != 0;

	if (fclose(file) != 0 || failed)
		bench_die("could not write \"%s\"", path);
}

/* A random number, the same everywhere (splitmix64). */
uint64_t
bench_draw(uint64_t *state)
{
	uint64_t	z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

double
bench_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + 1e-9 * (double) ts.tv_nsec;
}

static int
compare_double(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

void
bench_sort(double *x, long n)
{
	qsort(x, (size_t) n, sizeof(double), compare_double);
}

/* The smallest value that at least the share p of all does not exceed. */
double
bench_percentile(const double *sorted, long n, double p)
{
	long		at = (long) ceil(p * (double) n) - 1;

	if (n == 0)
		return 0.0;
	return sorted[at < 0 ? 0 : (at >= n ? n - 1 : at)];
}

static float
half_to_float(uint16_t h)
{
	int			exponent = (h >> 10) & 31;
	int			fraction = h & 1023;
	float		value;

	if (exponent == 31)
		bench_die("the data contain an infinity or a NaN");
	if (exponent == 0)			/* subnormal: in units of 2^-24 */
		value = ldexpf((float) fraction, -24);
	else
		value = ldexpf((float) (fraction + 1024), exponent - 25);
	return (h & 0x8000) ? -value : value;
}

/* gzread reads a file that is not gzipped as it is. */
static unsigned char *
read_whole(const char *path, size_t *nbytes)
{
	gzFile		file = gzopen(path, "rb");
	size_t		room = (size_t) 1 << 20;
	unsigned char *bytes = bench_alloc(room);
	int			got;

	if (file == NULL)
		bench_die("could not open \"%s\"", path);
	gzbuffer(file, 1 << 18);
	*nbytes = 0;
	while ((got = gzread(file, bytes + *nbytes, (unsigned) (room - *nbytes > (1u << 30) ? (1u << 30) : room - *nbytes))) > 0)
	{
		*nbytes += (size_t) got;
		if (*nbytes == room)
		{
			room *= 2;
			bytes = realloc(bytes, room);
			if (bytes == NULL)
				bench_die("out of memory for %zu bytes", room);
		}
	}
	if (got < 0 || gzclose(file) != Z_OK)
		bench_die("could not read \"%s\"", path);
	return bytes;
}

static int32_t
get_int32(const unsigned char *p)
{
	return (int32_t) ((uint32_t) p[0] | (uint32_t) p[1] << 8 |
					  (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24);
}

static bool
has_ending(const char *path, const char *ending)
{
	return strstr(path, ending) != NULL;
}

/*
 * Records of equal length without a file header: every one repeats its number
 * of elements.  Returns that number and sets *nrows.
 */
static int
record_shape(const char *path, const unsigned char *bytes, size_t nbytes,
			 size_t element, int *nrows)
{
	size_t		n = nbytes >= 4 ? (size_t) get_int32(bytes) : 0;
	size_t		record = 4 + n * element;

	if (n == 0 || n > 100000 || nbytes % record != 0)
		bench_die("\"%s\" is not a file of equal records", path);
	*nrows = (int) (nbytes / record);
	for (int i = 0; i < *nrows; i++)
		if (get_int32(bytes + (size_t) i * record) != (int32_t) n)
			bench_die("record %d of \"%s\" has another length", i, path);
	return (int) n;
}

BenchMatrix
bench_read_vectors(const char *path)
{
	bool		half = has_ending(path, ".f16vecs");
	size_t		element = half ? 2 : 1;
	size_t		nbytes;
	unsigned char *bytes;
	BenchMatrix m;

	if (!half && !has_ending(path, ".bvecs"))
		bench_die("the format of \"%s\" is unknown", path);
	bytes = read_whole(path, &nbytes);
	m.dim = record_shape(path, bytes, nbytes, element, &m.nrows);
	m.x = bench_alloc((size_t) m.nrows * (size_t) m.dim * sizeof(float));
	for (int i = 0; i < m.nrows; i++)
	{
		const unsigned char *from = bytes + (size_t) i * (4 + (size_t) m.dim * element) + 4;
		float	   *to = m.x + (size_t) i * (size_t) m.dim;

		for (int j = 0; j < m.dim; j++)
			to[j] = half ? half_to_float((uint16_t) (from[2 * j] | from[2 * j + 1] << 8)) : (float) from[j];
	}
	free(bytes);
	return m;
}

BenchTruth
bench_read_truth(const char *path)
{
	size_t		nbytes;
	unsigned char *bytes = read_whole(path, &nbytes);
	BenchTruth	t;

	t.k = record_shape(path, bytes, nbytes, 4, &t.nrows);
	if (t.k < BENCH_K)
		bench_die("\"%s\" lists fewer than %d neighbours", path, BENCH_K);
	t.id = bench_alloc((size_t) t.nrows * (size_t) t.k * sizeof(int32_t));
	for (int i = 0; i < t.nrows; i++)
		for (int j = 0; j < t.k; j++)
			t.id[(size_t) i * (size_t) t.k + (size_t) j] =
				get_int32(bytes + ((size_t) i * (size_t) (t.k + 1) + (size_t) j + 1) * 4);
	free(bytes);
	return t;
}

/* Squared L2, or one minus the cosine. */
double
bench_distance(BenchMetric metric, const float *a, const float *b, int dim)
{
	double		sum = 0.0;
	double		aa = 0.0;
	double		bb = 0.0;

	if (metric == BENCH_L2)
	{
		for (int i = 0; i < dim; i++)
		{
			double		d = (double) a[i] - (double) b[i];

			sum += d * d;
		}
		return sum;
	}
	for (int i = 0; i < dim; i++)
	{
		sum += (double) a[i] * (double) b[i];
		aa += (double) a[i] * (double) a[i];
		bb += (double) b[i] * (double) b[i];
	}
	return aa > 0.0 && bb > 0.0 ? 1.0 - sum / sqrt(aa * bb) : 1.0;
}

/*
 * A returned row is right if it is no farther than the k-th true neighbour, so
 * another choice among equals is no error.  The slack of 1e-12 covers the
 * rounding of the double sums.  A row returned twice counts as missing once.
 */
void
bench_score_add(BenchScore *score, BenchMetric metric, const BenchMatrix *base,
				const float *query, const int32_t *truth, const int32_t *id, int nid)
{
	double		limit;
	size_t		dim = (size_t) base->dim;
	int			nright = 0;

	limit = bench_distance(metric, query, base->x + (size_t) truth[BENCH_K - 1] * dim, base->dim);
	limit += 1e-12 * (metric == BENCH_COSINE ? 1.0 : limit);
	score->nwanted += BENCH_K;
	score->nmissing += BENCH_K - nid;
	for (int i = 0; i < nid; i++)
	{
		bool		again = false;

		if (id[i] < 0 || id[i] >= base->nrows)
			bench_die("a query returned the row %d, which was never loaded", id[i]);
		for (int j = 0; j < i; j++)
			again |= id[j] == id[i];
		if (again)
			score->nmissing++;
		else if (bench_distance(metric, query, base->x + (size_t) id[i] * dim, base->dim) <= limit)
			nright++;
	}
	score->nright += nright;
	score->nqueries++;
	if (nright < BENCH_K / 2)
		score->npoor++;
	if (BENCH_K - nright > score->mostwrong)
		score->mostwrong = BENCH_K - nright;
}

double
bench_recall(const BenchScore *score)
{
	return score->nwanted > 0 ? (double) score->nright / (double) score->nwanted : 0.0;
}

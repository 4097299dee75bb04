/*
 * made1m.c
 *    Makes the set of a million rows out of sift200k, always the same bytes.
 *
 *    A made row lies between a real vector and one of its near neighbours, at
 *    most half way, and each value is off by an eighth of itself (standard
 *    deviation), so that zeros stay and no two rows are equal.  Queries are
 *    made in the same way of sift200k's, which come from other photographs, and
 *    their near real vectors; sift200k's own queries, which lack the noise of
 *    the rows, are a second set.  All arithmetic is in integers: neither the
 *    rows nor their order depend on the machine.
 *
 *    usage: made1m SIFT200K OUT		(directories)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data.h"

#define NMADE		1000000
#define NCELLS		400			/* near neighbours are looked for within a cell */
#define NEAR		8			/* one of so many is the other parent */
#define NTRUTH		100
#define BLOCK		128			/* rows and queries compared with each other at a time */

/* Values of at most 255 as int16, for which compilers know a dot product. */
typedef struct Rows
{
	int			n;
	int			dim;
	int16_t    *x;
	int32_t    *norm;			/* squared */
} Rows;

typedef struct Near
{
	int32_t		distance;		/* squared */
	int32_t		row;
} Near;

static Rows
rows_new(int n, int dim)
{
	Rows		r = {n, dim, bench_alloc((size_t) n * (size_t) dim * sizeof(int16_t)),
	bench_alloc((size_t) n * sizeof(int32_t))};

	return r;
}

static void
rows_free(Rows *r)
{
	free(r->x);
	free(r->norm);
}

static int16_t *
row_of(const Rows *r, int i)
{
	return r->x + (size_t) i * (size_t) r->dim;
}

static int32_t
dot(const int16_t *a, const int16_t *b, int dim)
{
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += a[i] * b[i];
	return sum;
}

static void
set_norm(Rows *r, int i)
{
	r->norm[i] = dot(row_of(r, i), row_of(r, i), r->dim);
}

static Rows
rows_read(const char *dir, const char *name)
{
	BenchMatrix m = bench_read_vectors(bench_path(dir, name));
	Rows		r = rows_new(m.nrows, m.dim);

	for (size_t i = 0; i < (size_t) m.nrows * (size_t) m.dim; i++)
		r.x[i] = (int16_t) m.x[i];
	for (int i = 0; i < r.n; i++)
		set_norm(&r, i);
	free(m.x);
	return r;
}

/* The rows number[0 .. n - 1] of all. */
static Rows
rows_pick(const Rows *all, const int32_t *number, int n)
{
	Rows		r = rows_new(n, all->dim);

	for (int i = 0; i < n; i++)
	{
		memcpy(row_of(&r, i), row_of(all, number[i]), (size_t) all->dim * sizeof(int16_t));
		r.norm[i] = all->norm[number[i]];
	}
	return r;
}

/* Keeps the k nearest in order; of equals the lower row, as rows come in order. */
static void
near_add(Near *near, int k, int32_t distance, int32_t row)
{
	int			at = k - 1;

	if (distance >= near[at].distance)
		return;
	for (; at > 0 && distance < near[at - 1].distance; at--)
		near[at] = near[at - 1];
	near[at].distance = distance;
	near[at].row = row;
}

/* The k nearest rows of each query, nearest first; row -1 where there are fewer. */
static Near *
nearest(const Rows *rows, const Rows *queries, int k)
{
	Near	   *near = bench_alloc((size_t) queries->n * (size_t) k * sizeof(Near));

	for (long i = 0; i < (long) queries->n * k; i++)
	{
		near[i].distance = INT32_MAX;
		near[i].row = -1;
	}
	for (int r0 = 0; r0 < rows->n; r0 += BLOCK)
		for (int q = 0; q < queries->n; q++)
			for (int r = r0; r < r0 + BLOCK && r < rows->n; r++)
				near_add(near + (size_t) q * (size_t) k, k, rows->norm[r] + queries->norm[q] -
						 2 * dot(row_of(rows, r), row_of(queries, q), rows->dim), r);
	return near;
}

/*
 * For each row NEAR others close to it: the nearest of its cell, which is all
 * rows nearest to the same one of NCELLS rows.  A row alone is its own.
 */
static int32_t *
near_rows(const Rows *real)
{
	int32_t    *near = bench_alloc((size_t) real->n * NEAR * sizeof(int32_t));
	int32_t    *member = bench_alloc((size_t) real->n * sizeof(int32_t));
	Rows		centres = *real;
	Near	   *cell;

	centres.n = NCELLS;			/* the rows are in random order */
	cell = nearest(&centres, real, 1);
	for (int c = 0; c < NCELLS; c++)
	{
		int			n = 0;
		Rows		rows;
		Near	   *found;

		for (int i = 0; i < real->n; i++)
			if (cell[i].row == c)
				member[n++] = i;
		rows = rows_pick(real, member, n);
		found = nearest(&rows, &rows, NEAR + 1);	/* the first is itself */
		for (int i = 0; i < n; i++)
			for (int j = 0; j < NEAR; j++)
			{
				int32_t		row = found[i * (NEAR + 1) + 1 + j].row;

				near[(size_t) member[i] * NEAR + (size_t) j] = row >= 0 ? member[row] : member[i];
			}
		free(found);
		rows_free(&rows);
	}
	free(member);
	free(cell);
	return near;
}

/* share of 256 of the way from a to b; 64 tossed coins deviate by 4 of their 32. */
static void
blend(int16_t *to, const int16_t *a, const int16_t *b, int dim, int share, uint64_t *state)
{
	for (int i = 0; i < dim; i++)
	{
		int			value = (a[i] * (256 - share) + b[i] * share + 128) / 256;
		int			noise = __builtin_popcountll(bench_draw(state)) - 32;

		value = (value * (noise + 32) + 16) / 32;
		to[i] = (int16_t) (value > 255 ? 255 : value);
	}
}

static Rows
make_rows(const Rows *real)
{
	int32_t    *near = near_rows(real);
	Rows		made = rows_new(NMADE, real->dim);
	uint64_t	state = 1;

	for (int i = 0; i < NMADE; i++)
	{
		int			parent = i % real->n;
		uint64_t	choice = bench_draw(&state);
		int32_t		other = near[(size_t) parent * NEAR + choice % NEAR];

		blend(row_of(&made, i), row_of(real, parent), row_of(real, other), real->dim,
			  (int) ((choice >> 32) % 129), &state);
		set_norm(&made, i);
	}
	free(near);
	return made;
}

/* Queries like the made rows: each between a real query and a row near it. */
static Rows
make_queries(const Rows *real, const Rows *queries)
{
	Near	   *near = nearest(real, queries, NEAR);
	Rows		made = rows_new(queries->n, queries->dim);
	uint64_t	state = 2;

	for (int i = 0; i < queries->n; i++)
	{
		uint64_t	choice = bench_draw(&state);
		int32_t		other = near[(size_t) i * NEAR + choice % NEAR].row;

		blend(row_of(&made, i), row_of(queries, i), row_of(real, other), real->dim,
			  (int) ((choice >> 32) % 129), &state);
		set_norm(&made, i);
	}
	free(near);
	return made;
}

/* Little-endian, like the machines that the benchmark knows. */
static void
write_rows(const Rows *r, const char *dir, const char *name)
{
	char	   *path = bench_path(dir, name);
	FILE	   *file = bench_create(path);
	int32_t		dim = r->dim;

	for (int i = 0; i < r->n; i++)
	{
		fwrite(&dim, sizeof(dim), 1, file);
		for (int j = 0; j < r->dim; j++)
			fputc(row_of(r, i)[j], file);
	}
	bench_finish(file, path);
}

static void
write_truth(const Near *near, int nqueries, const char *dir, const char *name)
{
	char	   *path = bench_path(dir, name);
	FILE	   *file = bench_create(path);
	int32_t		k = NTRUTH;

	for (int i = 0; i < nqueries; i++)
	{
		fwrite(&k, sizeof(k), 1, file);
		for (int j = 0; j < NTRUTH; j++)
			fwrite(&near[(size_t) i * NTRUTH + (size_t) j].row, sizeof(int32_t), 1, file);
	}
	bench_finish(file, path);
}

int
main(int argc, char **argv)
{
	Rows		real;
	Rows		queries;
	Rows		made;
	Rows		made_queries;

	if (argc != 3)
	{
		fputs("usage: made1m SIFT200K OUT\n", stderr);
		return 2;
	}
	mkdir(argv[2], 0777);
	real = rows_read(argv[1], "base.bvecs.gz");
	queries = rows_read(argv[1], "query.bvecs.gz");
	made = make_rows(&real);
	write_rows(&made, argv[2], "base.bvecs");
	made_queries = make_queries(&real, &queries);
	write_rows(&made_queries, argv[2], "query.bvecs");
	write_truth(nearest(&made, &made_queries, NTRUTH), queries.n, argv[2], "groundtruth.ivecs");
	write_rows(&queries, argv[2], "query_sift.bvecs");
	write_truth(nearest(&made, &queries, NTRUTH), queries.n, argv[2], "groundtruth_sift.ivecs");
	return 0;
}

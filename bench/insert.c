/*
 * insert.c
 *    Single-row inserts: the last rows of the base are inserted one statement
 *    each, in one transaction, into a table and index of all the rows before
 *    them.  Then every row is there, and the first pass of the queries shows
 *    recall and speed right after the inserts, pending work included.
 *
 *    The index was built after the last checkpoint, so the WAL of these rows
 *    has next to no full-page images.  A checkpoint and some more rows (the
 *    queries, so that no vector occurs twice) show how many there can be.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define NINSERTS		10000
#define NINSERTS_AFTER	1000
#define LEAST_BEFORE	30000	/* smaller sets say little about inserts */
#define STATEMENT		"bench_insert"

static void
prepare_insert(BenchSession *s, const char *table)
{
	Oid			types[2] = {23, s->type};	/* 23 is int4 */
	char	   *sql = bench_format("INSERT INTO %s VALUES ($1, $2)", table);
	PGresult   *res = PQprepare(s->conn, STATEMENT, sql, 2, types);

	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		bench_die("%s\n%s", sql, PQerrorMessage(s->conn));
	PQclear(res);
	free(sql);
}

/* Rows first .. first + n - 1 of m, numbered from id, in one transaction. */
static double
insert_rows(BenchSession *s, const BenchMatrix *m, int first, int n, int id)
{
	char	   *wire = bench_alloc((size_t) s->nwire);
	double		start = bench_seconds();

	bench_exec(s->conn, "BEGIN");
	for (int i = 0; i < n; i++)
	{
		uint32_t	number = htonl((uint32_t) (id + i));
		const char *values[2] = {(const char *) &number, wire};
		int			lengths[2] = {sizeof(number), s->nwire};
		int			formats[2] = {1, 1};
		PGresult   *res;

		bench_wire_encode(wire, m->x + (size_t) (first + i) * (size_t) m->dim, m->dim);
		res = PQexecPrepared(s->conn, STATEMENT, 2, values, lengths, formats, 1);
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			bench_die("insert: %s", PQerrorMessage(s->conn));
		PQclear(res);
	}
	bench_exec(s->conn, "COMMIT");
	free(wire);
	return bench_seconds() - start;
}

/* The first pass of all queries, with nothing between it and the inserts. */
static void
first_pass(BenchRun *run, BenchSession *s, BenchInserts *r)
{
	const BenchRowset *rs = &run->rowset[0];
	int			n = bench_nqueries(run, rs);
	double	   *latency = bench_alloc(sizeof(double) * (size_t) n);
	BenchScore	score = {0, 0, 0};
	double		cpu;

	bench_set_width(s, BENCH_FIXED_WIDTH);
	cpu = bench_backend_cpu(s->pid);
	bench_pass(s, rs, n, latency, run, &score);
	cpu = bench_backend_cpu(s->pid) - cpu;
	r->first_recall = bench_recall(&score);
	r->first = bench_times(latency, n, 1, cpu);
	free(latency);
}

static void
insert_into(BenchRun *run, const BenchEngine *e, const char *table, bool indexed, BenchInserts *r)
{
	const BenchMatrix *extra = &run->rowset[0].queries;
	char	   *index = bench_format("%s_idx", table);
	BenchSession s;
	double		wal;

	printf("%s: inserts, %s\n", run->set->name, indexed ? e->def->name : "no index");
	fflush(stdout);
	r->nrows = NINSERTS;
	r->nbefore = run->base.nrows - NINSERTS;
	r->nafter = extra->nrows < NINSERTS_AFTER ? extra->nrows : NINSERTS_AFTER;
	bench_table_create(run, e->def, table);
	bench_copy_rows(run->admin, table, &run->base, 0, r->nbefore);
	bench_exec(run->admin, "VACUUM ANALYZE %s", table);
	bench_exec(run->admin, "CHECKPOINT");
	s = bench_session_open(run, e, table, run->base.dim);
	if (indexed)
		bench_index_create(run, e, s.conn, table, index);
	prepare_insert(&s, table);

	wal = bench_wal_position(s.conn);
	r->seconds = insert_rows(&s, &run->base, r->nbefore, r->nrows, r->nbefore);
	r->wal_per_row = (bench_wal_position(s.conn) - wal) / r->nrows;
	if (indexed)
		first_pass(run, &s, r);
	bench_exec(s.conn, "CHECKPOINT");
	wal = bench_wal_position(s.conn);
	insert_rows(&s, extra, 0, r->nafter, run->base.nrows);
	r->wal_per_row_after = (bench_wal_position(s.conn) - wal) / r->nafter;
	r->done = true;
	bench_session_close(&s);
	bench_exec(run->admin, "DROP TABLE %s", table);
	free(index);
}

void
bench_insert(BenchRun *run)
{
	if (run->base.nrows - NINSERTS < LEAST_BEFORE)
	{
		printf("%s: too few rows for the insert figures\n", run->set->name);
		return;
	}
	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];
		char	   *table = bench_format("%s_ins", e->table);

		if (i == 0)
			insert_into(run, e, table, false, &run->bare);
		insert_into(run, e, table, true, &e->inserts);
		free(table);
	}
}

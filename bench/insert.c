/*
 * insert.c
 *    Single-row inserts: rows of the base are inserted one statement each into a
 *    table and index of rows before them, in one transaction, and one a
 *    transaction.  Where then every row of the base is there, the first pass of
 *    the queries shows recall and speed right after the inserts, pending work
 *    included.
 *
 *    Table and index are built once in a database of their own, and each of the
 *    two ways starts from a copy of it.  The copying logs every page, so that
 *    the rows that follow write next to no full-page images.  A checkpoint and
 *    some more rows (the queries, so that no vector occurs twice) show how many
 *    there can be.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define NBEFORE			50000
#define NINSERTS		10000
#define NINSERTS_AFTER	1000
#define LEAST_BEFORE	30000	/* smaller sets say little about inserts */
#define TABLE			"bench.ins"
#define INDEX			"bench.ins_idx"

/*
 * Rows first .. first + n - 1 of m, which starts again after its last, numbered
 * from id; in one transaction or in one each.
 */
double
bench_insert_rows(BenchSession *s, const char *table, const BenchMatrix *m, int first, int n, int id, bool each)
{
	Oid			types[2] = {23, s->type};	/* 23 is int4 */
	char	   *sql = bench_format("INSERT INTO %s VALUES ($1, $2)", table);
	char	   *wire = bench_alloc((size_t) s->nwire);
	double		start = bench_seconds();
	PGresult   *res;

	if (!each)
		bench_exec(s->conn, "BEGIN");
	res = PQprepare(s->conn, "", sql, 2, types);
	for (int i = 0; i < n && PQresultStatus(res) == PGRES_COMMAND_OK; i++)
	{
		uint32_t	number = htonl((uint32_t) (id + i));
		const char *values[2] = {(const char *) &number, wire};
		int			lengths[2] = {sizeof(number), s->nwire};
		int			formats[2] = {1, 1};

		PQclear(res);
		bench_wire_encode(wire, m->x + (size_t) ((first + i) % m->nrows) * (size_t) m->dim, m->dim);
		res = PQexecPrepared(s->conn, "", 2, values, lengths, formats, 1);
	}
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		bench_die("%s\n%s", sql, PQerrorMessage(s->conn));
	PQclear(res);
	if (!each)
		bench_exec(s->conn, "COMMIT");
	free(wire);
	free(sql);
	return bench_seconds() - start;
}

/* The run as it is seen in another database. */
static BenchRun
run_in(const BenchRun *run, const char *database)
{
	BenchRun	there = *run;

	there.conninfo = bench_format("%s dbname=%s", run->conninfo, database);
	there.admin = bench_connect(&there, NULL);
	return there;
}

/* The database with the rows before the inserts, and their index if e has one. */
static void
prepare(BenchRun *run, const BenchEngine *e, bool indexed, const char *database, int nbefore)
{
	BenchRun	there;
	BenchSession s;
	BenchCost	cost = {0};

	if (!e->rebuild && bench_built_already(run, e, database))
		return;
	bench_exec(run->admin, "DELETE FROM bench.built WHERE tbl = '%s'", database);
	bench_exec(run->admin, "DROP DATABASE IF EXISTS %s", database);
	bench_exec(run->admin, "CREATE DATABASE %s", database);
	there = run_in(run, database);
	bench_exec(there.admin, "CREATE SCHEMA bench");
	free(bench_extension_ready(there.admin, e->def));
	bench_table_create(&there, e->def, TABLE);
	bench_copy_rows(there.admin, TABLE, &run->base, 0, nbefore);
	bench_exec(there.admin, "VACUUM ANALYZE %s", TABLE);
	s = bench_session_open(&there, e, TABLE, run->base.dim);
	if (indexed)
		cost = bench_index_create(&there, e, s.conn, TABLE, INDEX);
	bench_session_close(&s);
	PQfinish(there.admin);
	bench_built_record(run, e, database, cost);
}

/* The first pass of all queries, with nothing between it and the inserts. */
static void
first_pass(BenchRun *run, BenchSession *s, BenchInserts *r)
{
	const BenchRowset *rs = &run->rowset[0];
	int			n = rs->queries.nrows;
	double	   *latency = bench_alloc(sizeof(double) * (size_t) n);
	BenchScore	score = {0};
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
insert_together(BenchRun *run, BenchSession *s, bool indexed, BenchInserts *r)
{
	const BenchMatrix *extra = &run->rowset[0].queries;
	double		wal = bench_wal_position(s->conn);

	r->seconds = bench_insert_rows(s, TABLE, &run->base, r->nbefore, r->nrows, r->nbefore, false);
	r->wal_per_row = (bench_wal_position(s->conn) - wal) / r->nrows;
	r->first_recall = -1.0;
	if (indexed && r->nbefore + r->nrows == run->base.nrows)
		first_pass(run, s, r);
	bench_exec(s->conn, "CHECKPOINT");
	wal = bench_wal_position(s->conn);
	bench_insert_rows(s, TABLE, extra, 0, r->nafter, run->base.nrows, false);
	r->wal_per_row_after = (bench_wal_position(s->conn) - wal) / r->nafter;
}

static void
insert_into(BenchRun *run, const BenchEngine *e, bool indexed, BenchInserts *r)
{
	const char *what = indexed ? e->def->name : "no index";
	char	   *database = bench_format("%s_%s", strchr(e->table, '.') + 1, indexed ? "ins" : "bare");
	int			nqueries = run->rowset[0].queries.nrows;

	r->nrows = NINSERTS;
	r->nbefore = run->base.nrows - NINSERTS < NBEFORE ? run->base.nrows - NINSERTS : NBEFORE;
	r->nafter = nqueries < NINSERTS_AFTER ? nqueries : NINSERTS_AFTER;
	printf("%s: inserts, %s\n", run->set->name, what);
	fflush(stdout);
	prepare(run, e, indexed, database, r->nbefore);
	for (int each = 0; each < 2; each++)
	{
		BenchRun	there;
		BenchSession s;

		bench_exec(run->admin, "DROP DATABASE IF EXISTS bench_copy");
		bench_exec(run->admin, "CREATE DATABASE bench_copy TEMPLATE %s STRATEGY wal_log", database);
		there = run_in(run, "bench_copy");
		s = bench_session_open(&there, e, TABLE, run->base.dim);
		if (each)
			r->seconds_each = bench_insert_rows(&s, TABLE, &run->base, r->nbefore, r->nrows, r->nbefore, true);
		else
			insert_together(&there, &s, indexed, r);
		bench_session_close(&s);
		PQfinish(there.admin);
	}
	bench_exec(run->admin, "DROP DATABASE bench_copy");
	printf("%s: %s inserted %.0f rows/s, %.0f in transactions of their own\n", run->set->name, what,
		   r->nrows / r->seconds, r->nrows / r->seconds_each);
	r->done = true;
	free(database);
}

/* Of engines that differ in their build only, the first. */
void
bench_inserts(BenchRun *run)
{
	if (run->base.nrows - NINSERTS < LEAST_BEFORE)
	{
		printf("%s: too few rows for the insert figures\n", run->set->name);
		return;
	}
	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];

		if (i == 0)
			insert_into(run, e, false, &run->bare);
		if (i == 0 || strcmp(e->def->extension, run->engine[i - 1].def->extension) != 0)
			insert_into(run, e, true, &e->inserts);
	}
}

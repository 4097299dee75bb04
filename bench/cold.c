/*
 * cold.c
 *    Reads of index pages while the buffer pool is much smaller than the index
 *    (the caller has started the server so), at the widths of the command line.
 *
 *    Two counts a query.  With nothing of the index in the pool before it, each
 *    page counts once: the query's distinct pages, unless those alone overflow
 *    the pool.  They lie in runs of pages that follow each other, which the pool
 *    tells.  And after other queries, when pages they share are there.
 */
#include <stdlib.h>

#include "bench.h"

#define NEMPTIED		50		/* queries that start with an emptied pool */
#define FILLER			"bench.filler"
#define READ			"idx_blks_read"

/* Twice as large as the pool. */
static void
filler_create(PGconn *conn)
{
	bench_exec(conn, "DROP TABLE IF EXISTS " FILLER);
	bench_exec(conn, "CREATE UNLOGGED TABLE " FILLER " (x text)");
	bench_exec(conn, "ALTER TABLE " FILLER " ALTER x SET STORAGE plain");
	bench_exec(conn, "INSERT INTO " FILLER " SELECT repeat('x', 8000) FROM generate_series(1, "
			   "2 * (SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers'))");
}

/* Reads the filler until it has displaced every page of the index. */
static void
pool_empty(PGconn *conn, const char *index)
{
	char	   *left;

	do
	{
		bench_exec(conn, "SELECT public.pg_prewarm('" FILLER "')");
		left = bench_value(conn, "SELECT 1 FROM public.pg_buffercache WHERE relfilenode = pg_relation_filenode('%s') "
						   "AND reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
						   index);
		free(left);
	} while (left);
}

/* Runs of the index's pages in the pool. */
static double
pool_runs(PGconn *conn, const char *index)
{
	char	   *runs = bench_value(conn, "SELECT count(*) FROM (SELECT relblocknumber - lag(relblocknumber) OVER "
								   "(ORDER BY relblocknumber) AS step FROM public.pg_buffercache WHERE relforknumber = 0 AND "
								   "relfilenode = pg_relation_filenode('%s') AND reldatabase = (SELECT oid FROM pg_database "
								   "WHERE datname = current_database())) p WHERE step IS DISTINCT FROM 1", index);
	double		n = atof(runs);

	free(runs);
	return n;
}

static void
measure(BenchRun *run, BenchSession *s, int width, BenchCold *c)
{
	const BenchRowset *rs = &run->rowset[0];
	const char *index = s->engine->index;
	int			n = bench_nqueries(run, rs);
	int			nemptied = n < NEMPTIED ? n : NEMPTIED;
	int32_t		id[BENCH_K];
	double		before;

	c->width = width;
	bench_set_width(s, width);
	for (int i = 0; i < nemptied; i++)
	{
		pool_empty(run->admin, index);
		before = bench_index_blocks(s->conn, index, READ);
		bench_search(s, rs->wire + (size_t) i * (size_t) s->nwire, id);
		c->empty += (bench_index_blocks(s->conn, index, READ) - before) / nemptied;
		c->runs += pool_runs(run->admin, index) / nemptied;
	}
	bench_pass(s, rs, n, NULL, run, NULL);
	before = bench_index_blocks(s->conn, index, READ);
	bench_pass(s, rs, n, NULL, run, &c->score);
	c->steady = (bench_index_blocks(s->conn, index, READ) - before) / n;
}

void
bench_cold(BenchRun *run)
{
	bench_exec(run->admin, "CREATE EXTENSION IF NOT EXISTS pg_prewarm SCHEMA public");
	bench_exec(run->admin, "CREATE EXTENSION IF NOT EXISTS pg_buffercache SCHEMA public");
	filler_create(run->admin);
	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];
		BenchSession s = bench_session_open(run, e, e->table, run->base.dim);

		printf("%s: cold, %s\n", run->set->name, e->def->name);
		fflush(stdout);
		e->shared_buffers = bench_value(s.conn, "SHOW shared_buffers");
		for (e->ncold = 0; e->ncold < run->nwidths; e->ncold++)
			measure(run, &s, run->width[e->ncold], &e->cold[e->ncold]);
		bench_session_close(&s);
	}
	bench_exec(run->admin, "DROP TABLE " FILLER);
}

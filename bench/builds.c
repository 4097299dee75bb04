/*
 * builds.c
 *    vecx's index built again beside the one that was measured: by two
 *    processes, and with a tenth of the memory that the build needs.  What it
 *    needs is what vecx_estimate says, or else what the first build took.
 */
#include <stdlib.h>

#include "bench.h"

static BenchCost
build_again(BenchRun *run, const BenchEngine *e, const char *setting)
{
	PGconn	   *conn = bench_connect(run, e->def);
	char	   *index = bench_format("%s_again", e->table);
	BenchCost	cost;

	printf("%s: %s\n", run->set->name, setting);
	fflush(stdout);
	bench_exec(conn, "DROP INDEX IF EXISTS %s", index);
	bench_exec(conn, "%s", setting);
	bench_exec(conn, "CHECKPOINT");
	cost = bench_index_create(run, e, conn, e->table, index);
	bench_exec(conn, "DROP INDEX %s", index);
	PQfinish(conn);
	free(index);
	return cost;
}

/* Bytes that the build needs by the index's own estimate; 0 if it makes none. */
static double
estimated_need(BenchRun *run, const BenchEngine *e)
{
	PGconn	   *conn = bench_connect(run, e->def);
	char	   *text = NULL;
	double		nbytes;

	if (bench_value(conn, "SELECT 1 FROM pg_proc WHERE proname = 'vecx_estimate' AND 'build_memory' = ANY(proargnames)"))
		text = bench_value(conn, "SELECT build_memory FROM vecx_estimate('%s', 'embedding', '%s')",
						   e->table, e->options);
	nbytes = text ? atof(text) : 0.0;
	free(text);
	PQfinish(conn);
	return nbytes;
}

static void
builds_of(BenchRun *run, BenchEngine *e)
{
	BenchBuilds *b = &e->builds;
	char	   *setting;

	b->two = build_again(run, e, "SET max_parallel_maintenance_workers = 1");
	b->estimate = estimated_need(run, e);
	b->need = b->estimate > 0.0 ? b->estimate : e->build.memory;
	if (b->need < 10.0 * 1024 * 1024)	/* 1 MB is the least that the server takes */
		return;
	setting = bench_format("SET maintenance_work_mem = '%.0fkB'", b->need / 10.0 / 1024.0);
	b->tight = build_again(run, e, setting);
	free(setting);
}

void
bench_builds(BenchRun *run)
{
	for (int i = 0; i < run->nengines; i++)
		if (bench_is_vecx(&run->engine[i]))
			builds_of(run, &run->engine[i]);
}

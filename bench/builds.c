/*
 * builds.c
 *    vecx's index built again beside the one that was measured: by two
 *    processes, and with a tenth of the memory that the build needs.  What it
 *    needs is what vecx_estimate says, or else what the first build took.
 *
 *    How much faster two processes can be depends on the machine, whose processors
 *    may share caches, memory and more.  Two builds at once that have nothing to do with
 *    each other tell.
 */
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

/* Ends a session, and waits until the server has: what it took would else count as that of
 * the next one's workers. */
static void
end_session(BenchRun *run, PGconn *conn)
{
	int			pid = PQbackendPID(conn);
	bool		there = true;

	PQfinish(conn);
	while (there)
	{
		char	   *row;

		usleep(50000);
		row = bench_value(run->admin, "SELECT 1 FROM pg_stat_activity WHERE pid = %d", pid);
		there = row != NULL;
		free(row);
	}
}

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
	end_session(run, conn);
	free(index);
	return cost;
}

/* Two builds at once, each by one process; of what they take together the seconds. */
static BenchCost
build_both(BenchRun *run, const BenchEngine *e)
{
	PGconn	   *conn[2];
	char	   *index[2];
	BenchCost	cost = {0};
	double		start;

	printf("%s: two builds at once\n", run->set->name);
	fflush(stdout);
	for (int i = 0; i < 2; i++)
	{
		conn[i] = bench_connect(run, e->def);
		index[i] = bench_format("%s_again_%d", e->table, i);
		bench_exec(conn[i], "DROP INDEX IF EXISTS %s", index[i]);
	}
	bench_exec(run->admin, "CHECKPOINT");
	start = bench_seconds();
	for (int i = 0; i < 2; i++)
	{
		char	   *sql = bench_index_sql(run, e, e->table, index[i]);

		bench_send(conn[i], sql);
		free(sql);
	}
	for (int i = 0; i < 2; i++)
		bench_await(conn[i]);
	cost.seconds = bench_seconds() - start;
	for (int i = 0; i < 2; i++)
	{
		bench_exec(conn[i], "DROP INDEX %s", index[i]);
		end_session(run, conn[i]);
		free(index[i]);
	}
	return cost;
}

/* Each way in turn, so that a machine that becomes slower does so for all of them. */
static void
by_two_processes(BenchRun *run, BenchEngine *e)
{
	BenchCost	one[BENCH_SHORT_BUILDS];
	BenchCost	two[BENCH_SHORT_BUILDS];
	BenchCost	both[BENCH_SHORT_BUILDS];
	int			rounds = e->build.seconds < BENCH_SHORT_BUILD ? BENCH_SHORT_BUILDS : 3;

	for (int i = 0; i < rounds; i++)
	{
		one[i] = build_again(run, e, "SET max_parallel_maintenance_workers = 0");
		two[i] = build_again(run, e, "SET max_parallel_maintenance_workers = 1");
		both[i] = build_both(run, e);
	}
	e->builds.one = bench_middle_cost(one, rounds);
	e->builds.two = bench_middle_cost(two, rounds);
	e->builds.both = bench_middle_cost(both, rounds).seconds;
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

	by_two_processes(run, e);
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

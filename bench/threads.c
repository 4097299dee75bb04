/*
 * threads.c
 *    The threads of one backend that has done all that could start some: it
 *    filled an index until that trained, built another, and searched.
 */
#include <stdlib.h>

#include "bench.h"

#define NTRAINED	3000		/* an index trains after some hundreds of rows */
#define NSEARCHED	100

static void
threads_of(BenchRun *run, const BenchEngine *e)
{
	const char *table = "bench.threads";
	const BenchRowset *rs = &run->rowset[0];
	int			n = run->base.nrows < NTRAINED ? run->base.nrows : NTRAINED;
	BenchSession s;
	BenchCost	build;

	bench_table_create(run, e->def, table);
	s = bench_session_open(run, e, table, run->base.dim);
	bench_index_create(run, e, s.conn, table, "bench.threads_idx");
	bench_insert_rows(&s, table, &run->base, 0, n, 0, false);
	build = bench_index_create(run, e, s.conn, table, "bench.threads_built");
	bench_exec(s.conn, "SET enable_seqscan = off");
	bench_pass(&s, rs, rs->queries.nrows < NSEARCHED ? rs->queries.nrows : NSEARCHED, NULL, run, NULL);
	run->threads = bench_backend_threads(s.pid);
	if (build.threads > run->threads)
		run->threads = build.threads;
	bench_session_close(&s);
	bench_exec(run->admin, "DROP TABLE %s", table);
}

void
bench_threads(BenchRun *run)
{
	for (int i = 0; i < run->nengines; i++)
		if (bench_is_vecx(&run->engine[i]))
			threads_of(run, &run->engine[i]);
}

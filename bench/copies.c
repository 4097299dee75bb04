/*
 * copies.c
 *    A million copies of one vector among ten thousand others: what they add to
 *    the time of a build and of inserts, and whether a search finds them all.
 */
#include <stdlib.h>

#include "bench.h"

#define NCOPIES		1000000
#define NOTHERS		10000
#define NINSERTED	1000
#define NWARMING	20
#define EVERY		((NCOPIES + NOTHERS) / NOTHERS) /* one row in so many is not a copy */

/* Row 0 of the base is the copied vector, the NOTHERS after it are the others. */
static void
fill(BenchRun *run, const BenchEngine *e, const char *table, BenchCopies *c, bool copies)
{
	int			every = copies ? EVERY : 1;

	c->nrows = (long) NOTHERS * every;
	bench_table_create(run, e->def, table);
	bench_exec(run->admin, "INSERT INTO %s SELECT g, b.embedding FROM generate_series(0, %ld) g "
			   "JOIN %s b ON b.id = CASE WHEN g %% %d = 0 THEN 1 + g / %d ELSE 0 END ORDER BY g",
			   table, c->nrows - 1, e->table, every, every);
	bench_exec(run->admin, "VACUUM ANALYZE %s", table);
	bench_exec(run->admin, "CHECKPOINT");
}

/* All rows from the index, in its order; the copies have to come first. */
static void
search_all(BenchSession *s, const char *table, BenchCopies *c)
{
	char	   *value;

	bench_exec(s->conn, "SET enable_seqscan = off; SET enable_sort = off");
	bench_exec(s->conn, "CREATE TEMP TABLE found AS SELECT row_number() OVER () AS place, f.id FROM "
			   "(SELECT id FROM %s ORDER BY embedding <-> (SELECT embedding FROM %s WHERE id = 1)) f", table, table);
	value = bench_value(s->conn, "SELECT count(DISTINCT id) FROM found");
	c->returned = atol(value);
	free(value);
	value = bench_value(s->conn, "SELECT count(DISTINCT f.id) FROM found f JOIN %s t USING (id) WHERE f.place <= %d "
						"AND t.embedding = (SELECT embedding FROM %s WHERE id = 1)", table, NCOPIES, table);
	c->found = atol(value);
	free(value);
}

static void
measure(BenchRun *run, const BenchEngine *e, BenchCopies *c, bool copies)
{
	const char *table = "bench.copies";
	BenchMatrix again = {1, run->base.dim, run->base.x};
	BenchSession s;

	printf("%s: %d vectors%s\n", run->set->name, NOTHERS, copies ? " and the copies of one" : "");
	fflush(stdout);
	fill(run, e, table, c, copies);
	s = bench_session_open(run, e, table, run->base.dim);
	c->build = bench_index_create(run, e, s.conn, table, "bench.copies_idx");
	if (copies)
		search_all(&s, table, c);
	/* what a build or a million rows returned leave in a backend is not to be measured,
	 * nor what a new one has to look up */
	bench_session_close(&s);
	/* nor a checkpoint that the larger table alone brings on: it would be that table's rows that
	 * log whole pages */
	bench_exec(run->admin, "CHECKPOINT");
	s = bench_session_open(run, e, table, run->base.dim);
	bench_insert_rows(&s, table, &run->base, 1 + NOTHERS + NINSERTED, NWARMING, (int) c->nrows + 2 * NINSERTED, false);
	c->inserts = NINSERTED / bench_insert_rows(&s, table, &run->base, 1 + NOTHERS, NINSERTED, (int) c->nrows, false);
	c->copies = NINSERTED / bench_insert_rows(&s, table, &again, 0, NINSERTED, (int) c->nrows + NINSERTED, false);
	bench_session_close(&s);
	bench_exec(run->admin, "DROP TABLE %s", table);
}

void
bench_copies(BenchRun *run)
{
	if (run->base.nrows < 1 + NOTHERS + NINSERTED + NWARMING || run->set->metric != BENCH_L2)
		bench_die("the copies want a larger set under L2");
	for (int i = 0; i < run->nengines; i++)
		for (int copies = 0; bench_is_vecx(&run->engine[i]) && copies < 2; copies++)
			measure(run, &run->engine[i], &run->copies[copies], copies);
}

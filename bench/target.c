/*
 * target.c
 *    Searches whose width is left to the index: with its defaults, and with a
 *    wanted recall; and what it learns from real queries.
 */
#include <stdlib.h>

#include "bench.h"

static const double targets[] = {0.80, 0.90, 0.95, 0.99};

#define NTARGETS	((int) (sizeof(targets) / sizeof(targets[0])))

void
bench_set_point(BenchSession *s, const BenchPoint *p)
{
	if (p->width > 0)
		bench_exec(s->conn, "SET %s = %d", s->engine->def->width, p->width);
	else
		bench_exec(s->conn, "RESET %s", s->engine->def->width);
	if (p->target > 0.0)
		bench_exec(s->conn, "SET vecx.target_recall = %g", p->target);
	else if (bench_is_vecx(s->engine))
		bench_exec(s->conn, "RESET vecx.target_recall");
}

/* The session has to have searched, so that the settings of its extension exist. */
static bool
has_targets(BenchSession *s)
{
	char	   *found = bench_value(s->conn, "SELECT 1 FROM pg_settings WHERE name = 'vecx.target_recall'");
	bool		has = bench_is_vecx(s->engine) && found;

	free(found);
	return has;
}

/* Fills point with the searches to try besides the widths; returns their number. */
int
bench_targets(BenchSession *s, BenchPoint *point)
{
	int			n = 1;			/* the defaults come first: nothing was set yet */

	if (!bench_is_vecx(s->engine))
		return 0;
	for (int i = 0; has_targets(s) && i < NTARGETS; i++)
		point[n++].target = targets[i];
	return n;
}

/* All rows of rs from first on; they share its memory. */
static BenchRowset
rowset_from(const BenchRowset *rs, int first)
{
	BenchRowset rest = *rs;

	rest.queries.nrows -= first;
	rest.queries.x += (size_t) first * (size_t) rs->queries.dim;
	rest.truth.id += (size_t) first * (size_t) rs->truth.k;
	rest.wire += (size_t) first * bench_wire_size(rs->queries.dim);
	return rest;
}

static void
score_target(BenchRun *run, BenchSession *s, const BenchRowset *rs, double target, BenchScore *score)
{
	BenchPoint	p = {.target = target};

	bench_set_point(s, &p);
	bench_pass(s, rs, rs->queries.nrows, NULL, run, score);
}

/* The first half of the queries is given to the index, the second measured. */
static void
calibrate_rowset(BenchRun *run, const BenchEngine *e, BenchRowset *rs)
{
	const char *given = "bench.given";
	int			half = rs->queries.nrows / 2;
	BenchRowset rest = rowset_from(rs, half);
	BenchSession s = bench_session_open(run, e, e->table, run->base.dim);

	bench_pass(&s, &rest, 1, NULL, run, NULL);
	if (has_targets(&s) &&
		bench_value(s.conn, "SELECT 1 FROM pg_proc WHERE proname = 'vecx_calibrate'"))
	{
		printf("%s: calibration\n", rs->def->name);
		fflush(stdout);
		rs->ncalibrated = NTARGETS;
		for (int i = 0; i < NTARGETS; i++)
		{
			rs->calibration[i].target = targets[i];
			score_target(run, &s, &rest, targets[i], &rs->calibration[i].before);
		}
		bench_table_create(run, e->def, given);
		bench_copy_rows(run->admin, given, &rs->queries, 0, half);
		bench_exec(s.conn, "SELECT vecx_calibrate('%s', '%s', 'embedding')", e->index, given);
		for (int i = 0; i < NTARGETS; i++)
			score_target(run, &s, &rest, targets[i], &rs->calibration[i].after);
		bench_exec(run->admin, "DROP TABLE %s", given);
		bench_exec(s.conn, "SELECT vecx_calibrate('%s')", e->index);	/* as the build left it */
	}
	bench_session_close(&s);
}

/* For queries that are not like the rows: all sets of queries but the first. */
void
bench_calibrate(BenchRun *run)
{
	for (int i = 0; i < run->nengines; i++)
		for (int r = 1; bench_is_vecx(&run->engine[i]) && r < run->nrowsets; r++)
			calibrate_rowset(run, &run->engine[i], &run->rowset[r]);
}

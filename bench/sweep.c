/*
 * sweep.c
 *    Recall, block counts and times over the search widths.
 *
 *    A first pass of every width with all queries warms the caches, gives the
 *    recall and counts the blocks.  The timed rounds come after it and alternate
 *    between the engines at every width, so that noise of the machine meets all
 *    of them.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define ENOUGH_RECALL		0.997	/* no wider searches beyond this */
#define NSTATEMENTS			100 /* queries explained per width */
#define NFLOOR				10	/* rows of the table that shows SQL's floor */
#define ASKED				"idx_blks_hit + idx_blks_read"

int
bench_nqueries(const BenchRun *run, const BenchRowset *rs)
{
	int			n = rs->queries.nrows;

	return run->nqueries > 0 && run->nqueries < n ? run->nqueries : n;
}

/*
 * latency holds all queries of the first round, then those of the next; it is
 * sorted on return.
 */
BenchTimes
bench_times(double *latency, int nqueries, int nrounds, double cpu)
{
	BenchTimes	t = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
	long		n = (long) nqueries * nrounds;
	double		sum = 0.0;
	double		best = 0.0;

	if (n == 0)
		return t;
	for (int i = 0; i < nqueries; i++)
	{
		double		least = latency[i];

		for (int r = 1; r < nrounds; r++)
			if (latency[(long) r * nqueries + i] < least)
				least = latency[(long) r * nqueries + i];
		best += least;
	}
	bench_sort(latency, n);
	for (long i = 0; i < n; i++)
		sum += latency[i];
	t.qps = (double) n / sum;
	t.mean_us = 1e6 * sum / (double) n;
	t.p50_us = 1e6 * bench_percentile(latency, n, 0.50);
	t.p99_us = 1e6 * bench_percentile(latency, n, 0.99);
	t.best_us = 1e6 * best / nqueries;
	t.server_us = 1e6 * cpu / (double) n;
	return t;
}

/* All queries once; latency (seconds) and score may be NULL. */
void
bench_pass(BenchSession *s, const BenchRowset *rs, int nqueries, double *latency,
		   const BenchRun *run, BenchScore *score)
{
	int32_t		id[BENCH_K];
	size_t		dim = (size_t) rs->queries.dim;

	for (int i = 0; i < nqueries; i++)
	{
		double		start = bench_seconds();
		int			n = bench_search(s, rs->wire + (size_t) i * (size_t) s->nwire, id);

		if (latency)
			latency[i] = bench_seconds() - start;
		if (score)
			bench_score_add(score, run->set->metric, &run->base, rs->queries.x + (size_t) i * dim,
							rs->truth.id + (size_t) i * (size_t) rs->truth.k, id, n);
	}
}

/*
 * Both kinds of plan have to use the index, or the figures mean nothing.  In a
 * session of its own: a generic plan made here, at another width, would have a
 * say in which kind the server prefers later.  Returns the generic plan.
 */
static char *
check_plans(BenchRun *run, const BenchEngine *e, const BenchRowset *rs, const char *table,
			const char *index, const char *setting)
{
	static const char *const modes[] = {"force_custom_plan", "force_generic_plan"};
	BenchSession s = bench_session_open(run, e, table, run->base.dim);
	char	   *wanted = bench_format("Index Scan using %s ", strchr(index, '.') + 1);
	char	   *plan = NULL;

	bench_exec(s.conn, "%s", setting);
	for (int i = 0; i < 2; i++)
	{
		free(plan);
		plan = bench_plan(&s, rs->queries.x, rs->queries.dim, modes[i]);
		if (strstr(plan, wanted) == NULL)
			bench_die("%s: with %s the index is not used:\n%s", e->def->name, modes[i], plan);
	}
	free(wanted);
	bench_session_close(&s);
	return plan;
}

/*
 * The blocks outside the index come from some of the queries only: what EXPLAIN
 * counts for those, less what they read of the index.
 */
static void
measure_point(BenchRun *run, BenchSession *s, const BenchRowset *rs, BenchPoint *p)
{
	int			n = rs->queries.nrows;
	int			nexplained = bench_nqueries(run, rs) < NSTATEMENTS ? bench_nqueries(run, rs) : NSTATEMENTS;
	const char *index = s->engine->index;
	double		start;
	double		middle;
	double		statement;

	bench_set_point(s, p);
	start = bench_index_blocks(s->conn, index, ASKED);
	bench_pass(s, rs, n, NULL, run, &p->score);
	middle = bench_index_blocks(s->conn, index, ASKED);
	statement = bench_statement_blocks(s, &rs->queries, nexplained);
	p->index_blocks = (middle - start) / n;
	p->statement_blocks = p->index_blocks + statement -
		(bench_index_blocks(s->conn, index, ASKED) - middle) / nexplained;
	p->latency = bench_alloc(sizeof(double) * (size_t) run->nrounds * (size_t) bench_nqueries(run, rs));
}

/*
 * The widths up to the first that is good enough, BENCH_FIXED_WIDTH, and those
 * that the index chooses.
 */
static void
measure_untimed(BenchRun *run, BenchSession *s, const BenchRowset *rs, BenchCurve *curve)
{
	bool		enough = false;

	for (int i = 0; i < run->nwidths; i++)
	{
		BenchPoint *p = &curve->point[curve->npoints];

		if (enough && run->width[i] != BENCH_FIXED_WIDTH)
			continue;
		p->width = run->width[i];
		measure_point(run, s, rs, p);
		enough |= bench_recall(&p->score) > ENOUGH_RECALL;
		curve->npoints++;
	}
	curve->ntargets = bench_targets(s, curve->target);
	for (int i = 0; i < curve->ntargets; i++)
		measure_point(run, s, rs, &curve->target[i]);
}

static BenchPoint *
point_of_width(BenchCurve *curve, int width)
{
	for (int i = 0; i < curve->npoints; i++)
		if (curve->point[i].width == width)
			return &curve->point[i];
	return NULL;
}

static void
time_point(BenchRun *run, BenchSession *s, const BenchRowset *rs, BenchPoint *p)
{
	int			n = bench_nqueries(run, rs);
	double	   *latency = p->latency + (long) n * p->nrounds;
	double		sum = 0.0;
	double		cpu;

	bench_set_point(s, p);
	cpu = bench_backend_cpu(s->pid);
	bench_pass(s, rs, n, latency, run, NULL);
	p->cpu += bench_backend_cpu(s->pid) - cpu;
	for (int i = 0; i < n; i++)
		sum += latency[i];
	p->round_qps[p->nrounds++] = n / sum;
}

/* The n-th search of a round: the widths, then those that the index chooses. */
static BenchPoint *
point_of_round(const BenchRun *run, BenchCurve *curve, int n)
{
	if (n < run->nwidths)
		return point_of_width(curve, run->width[n]);
	n -= run->nwidths;
	return n < curve->ntargets ? &curve->target[n] : NULL;
}

/* Every round starts with another engine. */
static void
time_rounds(BenchRun *run, BenchSession *s, int rowset)
{
	for (int round = 0; round < run->nrounds; round++)
		for (int n = 0; n < run->nwidths + BENCH_MAX_TARGETS; n++)
			for (int j = 0; j < run->nengines; j++)
			{
				int			e = (j + round) % run->nengines;
				BenchPoint *p = point_of_round(run, &run->engine[e].curve[rowset], n);

				if (p)
					time_point(run, &s[e], &run->rowset[rowset], p);
			}
}

static void
finish_point(const BenchRun *run, const BenchRowset *rs, BenchPoint *p)
{
	p->times = bench_times(p->latency, bench_nqueries(run, rs), p->nrounds, p->cpu);
	free(p->latency);
}

/* The same statement over an index of ten rows: what SQL itself costs. */
static void
measure_floors(BenchRun *run, int rowset)
{
	static const char setting[] = "SET enable_seqscan = off";	/* ten rows want no index */
	const BenchRowset *rs = &run->rowset[rowset];
	int			n = bench_nqueries(run, rs);
	BenchSession s[BENCH_MAX_ENGINES];
	double	   *latency[BENCH_MAX_ENGINES];
	double		cpu[BENCH_MAX_ENGINES] = {0.0};

	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];
		char	   *table = bench_format("%s_ten", e->table);
		char	   *index = bench_format("%s_idx", table);

		bench_table_create(run, e->def, table);
		bench_copy_rows(run->admin, table, &run->base, 0, NFLOOR);
		s[i] = bench_session_open(run, e, table, run->base.dim);
		bench_index_create(run, e, s[i].conn, table, index);
		bench_exec(s[i].conn, "VACUUM ANALYZE %s", table);
		bench_exec(s[i].conn, "%s", setting);
		free(check_plans(run, e, rs, table, index, setting));
		bench_pass(&s[i], rs, n, NULL, run, NULL);
		latency[i] = bench_alloc(sizeof(double) * (size_t) n * (size_t) run->nrounds);
		free(table);
		free(index);
	}
	for (int round = 0; round < run->nrounds; round++)
		for (int j = 0; j < run->nengines; j++)
		{
			int			i = (j + round) % run->nengines;

			cpu[i] -= bench_backend_cpu(s[i].pid);
			bench_pass(&s[i], rs, n, latency[i] + (size_t) round * (size_t) n, run, NULL);
			cpu[i] += bench_backend_cpu(s[i].pid);
		}
	for (int i = 0; i < run->nengines; i++)
	{
		run->engine[i].curve[rowset].floor = bench_times(latency[i], n, run->nrounds, cpu[i]);
		bench_session_close(&s[i]);
		bench_exec(run->admin, "DROP TABLE %s_ten", run->engine[i].table);
		free(latency[i]);
	}
}

static void
count_plans(BenchSession *s, BenchCurve *curve)
{
	char	   *generic = bench_value(s->conn, "SELECT generic_plans FROM pg_prepared_statements");
	char	   *custom = bench_value(s->conn, "SELECT custom_plans FROM pg_prepared_statements");

	curve->ngeneric = atol(generic);
	curve->ncustom = atol(custom);
	free(generic);
	free(custom);
}

static void
sweep_rowset(BenchRun *run, int rowset)
{
	const BenchRowset *rs = &run->rowset[rowset];
	BenchSession s[BENCH_MAX_ENGINES];

	measure_floors(run, rowset);
	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];

		printf("%s: recall and blocks of %s\n", rs->def->name, e->def->name);
		fflush(stdout);
		s[i] = bench_session_open(run, e, e->table, run->base.dim);
		e->curve[rowset].plan = check_plans(run, e, rs, e->table, e->index, "RESET enable_seqscan");
		measure_untimed(run, &s[i], rs, &e->curve[rowset]);
	}
	printf("%s: %d timed rounds\n", rs->def->name, run->nrounds);
	fflush(stdout);
	time_rounds(run, s, rowset);
	for (int i = 0; i < run->nengines; i++)
	{
		BenchCurve *curve = &run->engine[i].curve[rowset];

		for (int j = 0; j < curve->npoints; j++)
			finish_point(run, rs, &curve->point[j]);
		for (int j = 0; j < curve->ntargets; j++)
			finish_point(run, rs, &curve->target[j]);
		count_plans(&s[i], curve);
		bench_session_close(&s[i]);
	}
}

void
bench_sweep(BenchRun *run)
{
	for (int i = 0; i < run->nrowsets; i++)
		sweep_rowset(run, i);
}

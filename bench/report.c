/*
 * report.c
 *    The figures of one set as JSON (for bench/report.py) and as plain text.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* A JSON writer: comma says whether the next member needs one before it. */
typedef struct Json
{
	FILE	   *file;
	bool		comma;
} Json;

static void
json_key(Json *j, const char *key)
{
	if (j->comma)
		fputs(",\n", j->file);
	if (key)
		fprintf(j->file, "\"%s\": ", key);
	j->comma = true;
}

static void
json_open(Json *j, const char *key, char bracket)
{
	json_key(j, key);
	fputc(bracket, j->file);
	j->comma = false;
}

static void
json_close(Json *j, char bracket)
{
	fputc(bracket, j->file);
	j->comma = true;
}

static void
json_number(Json *j, const char *key, double value)
{
	json_key(j, key);
	fprintf(j->file, "%.10g", value);
}

static void
json_text(Json *j, const char *key, const char *value)
{
	json_key(j, key);
	if (value == NULL)
	{
		fputs("null", j->file);
		return;
	}
	fputc('"', j->file);
	for (const unsigned char *c = (const unsigned char *) value; *c; c++)
	{
		if (*c == '"' || *c == '\\')
			fprintf(j->file, "\\%c", *c);
		else if (*c < 32)
			fprintf(j->file, "\\u%04x", *c);
		else
			fputc(*c, j->file);
	}
	fputc('"', j->file);
}

static void
json_times(Json *j, const char *key, const BenchTimes *t)
{
	json_open(j, key, '{');
	json_number(j, "qps", t->qps);
	json_number(j, "mean_us", t->mean_us);
	json_number(j, "p50_us", t->p50_us);
	json_number(j, "p99_us", t->p99_us);
	json_number(j, "best_us", t->best_us);
	json_number(j, "server_us", t->server_us);
	json_close(j, '}');
}

static void
json_score(Json *j, const BenchScore *score)
{
	json_number(j, "recall", bench_recall(score));
	json_number(j, "missing_rows", (double) score->nmissing);
	json_number(j, "queries", (double) score->nqueries);
	json_number(j, "poor_queries", (double) score->npoor);
	json_number(j, "worst_recall", 1.0 - (double) score->mostwrong / BENCH_K);
}

static void
json_point(Json *j, const BenchPoint *p)
{
	json_open(j, NULL, '{');
	json_number(j, "width", p->width);
	if (p->target > 0.0)
		json_number(j, "target", p->target);
	json_score(j, &p->score);
	json_number(j, "index_blocks", p->index_blocks);
	json_number(j, "statement_blocks", p->statement_blocks);
	json_times(j, "times", &p->times);
	json_open(j, "round_qps", '[');
	for (int i = 0; i < p->nrounds; i++)
		json_number(j, NULL, p->round_qps[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void
json_curve(Json *j, const BenchEngine *e, const BenchCurve *curve)
{
	json_open(j, NULL, '{');
	json_text(j, "engine", e->def->name);
	json_text(j, "plan", curve->plan);
	json_number(j, "generic_plans", (double) curve->ngeneric);
	json_number(j, "custom_plans", (double) curve->ncustom);
	json_times(j, "floor", &curve->floor);
	json_open(j, "points", '[');
	for (int i = 0; i < curve->npoints; i++)
		json_point(j, &curve->point[i]);
	json_close(j, ']');
	json_open(j, "targets", '[');
	for (int i = 0; i < curve->ntargets; i++)
		json_point(j, &curve->target[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void
json_inserts(Json *j, const char *engine, const BenchInserts *r, bool indexed)
{
	json_open(j, NULL, '{');
	json_text(j, "engine", engine);
	json_number(j, "rows_before", r->nbefore);
	json_number(j, "rows", r->nrows);
	json_number(j, "rows_per_second", r->nrows / r->seconds);
	json_number(j, "rows_per_second_each", r->nrows / r->seconds_each);
	json_number(j, "wal_per_row", r->wal_per_row);
	json_number(j, "rows_after_checkpoint", r->nafter);
	json_number(j, "wal_per_row_after_checkpoint", r->wal_per_row_after);
	if (indexed && r->first_recall >= 0.0)
	{
		json_number(j, "first_pass_width", BENCH_FIXED_WIDTH);
		json_number(j, "first_pass_recall", r->first_recall);
		json_times(j, "first_pass", &r->first);
	}
	json_close(j, '}');
}

static void
json_cost(Json *j, const char *key, const BenchCost *c)
{
	json_open(j, key, '{');
	json_number(j, "seconds", c->seconds);
	json_number(j, "cpu_seconds", c->cpu);
	json_number(j, "workers_cpu_seconds", c->workers_cpu);
	json_number(j, "memory_bytes", c->memory);
	json_number(j, "threads", c->threads);
	json_close(j, '}');
}

static void
json_builds(Json *j, const BenchEngine *e)
{
	const BenchBuilds *b = &e->builds;

	json_open(j, NULL, '{');
	json_text(j, "engine", e->def->name);
	json_cost(j, "one", &b->one);
	json_cost(j, "two", &b->two);
	json_number(j, "both_seconds", b->both);
	json_number(j, "need_bytes", b->need);
	json_number(j, "estimate_bytes", b->estimate);
	if (b->tight.seconds > 0.0)
		json_cost(j, "tight", &b->tight);
	json_close(j, '}');
}

static void
json_cold(Json *j, const BenchEngine *e)
{
	json_open(j, NULL, '{');
	json_text(j, "engine", e->def->name);
	json_text(j, "shared_buffers", e->shared_buffers);
	json_open(j, "points", '[');
	for (int i = 0; i < e->ncold; i++)
	{
		json_open(j, NULL, '{');
		json_number(j, "width", e->cold[i].width);
		json_score(j, &e->cold[i].score);
		json_number(j, "reads_empty", e->cold[i].empty);
		json_number(j, "runs_empty", e->cold[i].runs);
		json_number(j, "reads_steady", e->cold[i].steady);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void
json_copies(Json *j, const BenchCopies *c)
{
	json_open(j, NULL, '{');
	json_number(j, "rows", (double) c->nrows);
	json_cost(j, "build", &c->build);
	json_number(j, "inserts_per_second", c->inserts);
	json_number(j, "copies_per_second", c->copies);
	json_number(j, "found", (double) c->found);
	json_number(j, "returned", (double) c->returned);
	json_close(j, '}');
}

static void
json_calibration(Json *j, const BenchRowset *rs)
{
	json_open(j, "calibration", '[');
	for (int i = 0; i < rs->ncalibrated; i++)
	{
		json_open(j, NULL, '{');
		json_number(j, "target", rs->calibration[i].target);
		json_number(j, "before", bench_recall(&rs->calibration[i].before));
		json_number(j, "after", bench_recall(&rs->calibration[i].after));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
json_engine(Json *j, const BenchEngine *e)
{
	json_open(j, NULL, '{');
	json_text(j, "engine", e->def->name);
	json_text(j, "extension", e->def->extension);
	json_text(j, "version", e->version);
	json_text(j, "access_method", e->def->am);
	json_text(j, "options", e->options);
	json_number(j, "load_seconds", e->load_seconds);
	json_number(j, "build_seconds", e->build.seconds);
	json_number(j, "build_cpu_seconds", e->build.cpu);
	json_number(j, "build_wal_bytes", e->build.wal);
	json_number(j, "build_memory_bytes", e->build.memory);
	json_text(j, "built_at", e->built_at);
	json_number(j, "index_bytes", (double) e->index_bytes);
	json_number(j, "table_bytes", (double) e->table_bytes);
	json_close(j, '}');
}

static void
json_server(Json *j, const BenchRun *run)
{
	static const char *const settings[] = {"shared_buffers", "maintenance_work_mem", "max_wal_size",
		"checkpoint_timeout", "fsync", "synchronous_commit", "full_page_writes", "wal_compression",
	"max_parallel_maintenance_workers", "jit", "plan_cache_mode", "huge_pages", "work_mem"};

	json_text(j, "server", bench_value(run->admin, "SELECT version()"));
	json_open(j, "settings", '{');
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		json_text(j, settings[i], bench_value(run->admin, "SHOW %s", settings[i]));
	json_close(j, '}');
}

static void
json_lists(Json *j, const BenchRun *run)
{
	json_open(j, "notes", '[');
	for (int i = 0; i < run->nnotes; i++)
		json_text(j, NULL, run->notes[i]);
	json_close(j, ']');
	json_open(j, "engines", '[');
	for (int i = 0; i < run->nengines; i++)
		json_engine(j, &run->engine[i]);
	json_close(j, ']');
	json_open(j, "rowsets", '[');
	for (int r = 0; (run->steps & (BENCH_SWEEP | BENCH_CALIBRATE)) && r < run->nrowsets; r++)
	{
		json_open(j, NULL, '{');
		json_text(j, "name", run->rowset[r].def->name);
		json_number(j, "queries", run->rowset[r].queries.nrows);
		json_number(j, "timed_queries", bench_nqueries(run, &run->rowset[r]));
		json_number(j, "rounds", run->nrounds);
		json_open(j, "curves", '[');
		for (int i = 0; (run->steps & BENCH_SWEEP) && i < run->nengines; i++)
			json_curve(j, &run->engine[i], &run->engine[i].curve[r]);
		json_close(j, ']');
		json_calibration(j, &run->rowset[r]);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "inserts", '[');
	if (run->bare.done)
		json_inserts(j, "no index", &run->bare, false);
	for (int i = 0; i < run->nengines; i++)
		if (run->engine[i].inserts.done)
			json_inserts(j, run->engine[i].def->name, &run->engine[i].inserts, true);
	json_close(j, ']');
	json_open(j, "builds", '[');
	for (int i = 0; i < run->nengines; i++)
		if (run->engine[i].builds.two.seconds > 0.0)
			json_builds(j, &run->engine[i]);
	json_close(j, ']');
	json_open(j, "cold", '[');
	for (int i = 0; i < run->nengines; i++)
		if (run->engine[i].ncold > 0)
			json_cold(j, &run->engine[i]);
	json_close(j, ']');
	json_open(j, "copies", '[');
	for (int i = 0; i < 2 && run->copies[i].nrows > 0; i++)
		json_copies(j, &run->copies[i]);
	json_close(j, ']');
	if (run->threads > 0)
		json_number(j, "threads", run->threads);
}

void
bench_report_json(const BenchRun *run)
{
	Json		j = {bench_create(run->out), false};

	json_open(&j, NULL, '{');
	json_text(&j, "set", run->set->name);
	json_text(&j, "metric", run->set->metric == BENCH_L2 ? "L2" : "cosine");
	json_number(&j, "rows", run->base.nrows);
	json_number(&j, "dim", run->base.dim);
	json_number(&j, "k", BENCH_K);
	json_server(&j, run);
	json_lists(&j, run);
	json_close(&j, '}');
	fputc('\n', j.file);
	bench_finish(j.file, run->out);
}

static void
print_curve(const BenchEngine *e, const BenchCurve *curve)
{
	printf("  %s %s, floor %.1f us (best %.1f, cpu %.1f); %ld generic and %ld custom plans\n", e->def->name, e->version,
		   curve->floor.mean_us, curve->floor.best_us, curve->floor.server_us, curve->ngeneric, curve->ncustom);
	printf("    width  recall     qps   p50 us   p99 us  best us   cpu us  index blk  stmt blk  missing\n");
	for (int i = 0; i < curve->npoints + curve->ntargets; i++)
	{
		const BenchPoint *p = i < curve->npoints ? &curve->point[i] : &curve->target[i - curve->npoints];

		if (p->width == 0)
			printf("    %.2f ", p->target);
		else
			printf("    %5d", p->width);
		printf("  %.4f %7.0f %8.1f %8.1f %8.1f %8.1f %10.1f %9.1f %8ld\n", bench_recall(&p->score),
			   p->times.qps, p->times.p50_us, p->times.p99_us, p->times.best_us, p->times.server_us,
			   p->index_blocks, p->statement_blocks, p->score.nmissing);
	}
}

void
bench_report_print(const BenchRun *run)
{
	printf("\n%s: %d rows of %d dimensions\n", run->set->name, run->base.nrows, run->base.dim);
	for (int i = 0; i < run->nnotes; i++)
		printf("  %s\n", run->notes[i]);
	for (int i = 0; i < run->nengines; i++)
	{
		const BenchEngine *e = &run->engine[i];

		printf("  %-14s build %.1f s (cpu %.1f), WAL %.1f MiB; index %.1f MiB, table %.1f MiB\n", e->def->name,
			   e->build.seconds, e->build.cpu, e->build.wal / 1048576.0, (double) e->index_bytes / 1048576.0,
			   (double) e->table_bytes / 1048576.0);
		if (e->inserts.done)
			printf("  %-14s inserts %.0f/s, WAL %.0f bytes a row, %.0f after a checkpoint; recall %.4f\n",
				   "", e->inserts.nrows / e->inserts.seconds, e->inserts.wal_per_row,
				   e->inserts.wal_per_row_after, e->inserts.first_recall);
	}
	for (int r = 0; (run->steps & BENCH_SWEEP) && r < run->nrowsets; r++)
	{
		printf("\n%s\n", run->rowset[r].def->name);
		for (int i = 0; i < run->nengines; i++)
			print_curve(&run->engine[i], &run->engine[i].curve[r]);
	}
}

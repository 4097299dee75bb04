/*
 * vecx_bench.c
 *    Measures one data set on a running server: loads, builds, sweeps, inserts.
 *    bench/run starts the server and makes the reports.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const char usage[] =
"usage: vecx_bench --data DIR --set NAME --out FILE [options]\n"
"  --conninfo TEXT       libpq connection string\n"
"  --engines A,B         vecx, pgvector-64, pgvector-200, pgvector-half\n"
"  --steps A,B           of load, build, sweep, calibrate, inserts, builds,\n"
"                        copies, threads, cold; load and build skip what is\n"
"                        already there (default: load,build,sweep)\n"
"  --reload              load the tables anew\n"
"  --rebuild A,B         build the indexes of these engines anew\n"
"  --fresh EXTENSION     drop the extension and all that depends on it first\n"
"  --rounds N            timed rounds (3)\n"
"  --queries N           only the first N queries in the timed rounds\n"
"  --widths A,B          search widths, ascending\n"
"  --vecx-options TEXT   options of vecx's CREATE INDEX\n"
"  --vecx-set SQL        a command for each of vecx's sessions\n";

static const int default_widths[] = {10, 14, 20, 28, 40, 56, 80, BENCH_FIXED_WIDTH, 113, 160, 226, 320, 452, 640, 1000};

/* Cuts text at its commas, in place; returns the number of parts. */
static int
cut(char *text, char **part, int max)
{
	int			n = 0;

	for (char *at = strtok(text, ","); at; at = strtok(NULL, ","))
	{
		if (n == max)
			bench_die("too many names in a list");
		part[n++] = at;
	}
	return n;
}

static void
choose_steps(BenchRun *run, char *text)
{
	/* in the order of their bits */
	static const char *const names[] = {"load", "build", "sweep", "calibrate", "inserts", "builds",
	"copies", "threads", "cold"};
	const int	nnames = (int) (sizeof(names) / sizeof(names[0]));
	char	   *part[16];
	int			n = cut(text, part, 16);

	for (int i = 0; i < n; i++)
	{
		int			s = 0;

		while (s < nnames && strcmp(part[i], names[s]) != 0)
			s++;
		if (s == nnames)
			bench_die("no step is named \"%s\"", part[i]);
		run->steps |= 1u << s;
	}
}

static void
choose_widths(BenchRun *run, char *text)
{
	char	   *part[BENCH_MAX_WIDTHS];

	if (text == NULL)
	{
		run->nwidths = (int) (sizeof(default_widths) / sizeof(default_widths[0]));
		memcpy(run->width, default_widths, sizeof(default_widths));
		return;
	}
	run->nwidths = cut(text, part, BENCH_MAX_WIDTHS);
	for (int i = 0; i < run->nwidths; i++)
	{
		run->width[i] = atoi(part[i]);
		if (run->width[i] <= (i == 0 ? 0 : run->width[i - 1]))
			bench_die("the widths have to ascend from 1");
	}
}

static void
read_set(BenchRun *run)
{
	run->base = bench_read_vectors(bench_path(run->data, run->set->base));
	for (int i = 0; i < BENCH_MAX_ROWSETS && run->set->rowset[i].name; i++)
	{
		BenchRowset *rs = &run->rowset[run->nrowsets++];

		rs->def = &run->set->rowset[i];
		rs->queries = bench_read_vectors(bench_path(run->data, rs->def->queries));
		rs->truth = bench_read_truth(bench_path(run->data, rs->def->truth));
		if (rs->queries.dim != run->base.dim || rs->truth.nrows != rs->queries.nrows)
			bench_die("the files of %s do not fit each other", rs->def->name);
		rs->wire = bench_wire_all(&rs->queries);
	}
}

/* Options that concern engines can be looked at once those are known. */
typedef struct Choices
{
	char	   *engines;
	char	   *rebuild;
	char	   *fresh;
	char	   *vecx_options;
	bool		reload;
} Choices;

static void
choose_engines(BenchRun *run, Choices *c)
{
	char	   *part[BENCH_MAX_ENGINES];
	int			n = cut(c->engines, part, BENCH_MAX_ENGINES);

	bench_engines_prepare(run, part, n, c->fresh);
	if (run->nengines == 0)
		bench_die("the server has none of the extensions");
	n = c->rebuild ? cut(c->rebuild, part, BENCH_MAX_ENGINES) : 0;
	for (int e = 0; e < run->nengines; e++)
	{
		BenchEngine *engine = &run->engine[e];

		for (int i = 0; i < n; i++)
			engine->rebuild |= strcmp(part[i], engine->def->name) == 0;
		engine->rebuild |= c->fresh && strcmp(c->fresh, engine->def->extension) == 0;
		if (c->vecx_options && strcmp(engine->def->name, "vecx") == 0)
			engine->options = c->vecx_options;
	}
}

static Choices
read_options(BenchRun *run, int argc, char **argv)
{
	static const struct option options[] = {
		{"conninfo", required_argument, NULL, 'c'}, {"data", required_argument, NULL, 'd'},
		{"set", required_argument, NULL, 's'}, {"out", required_argument, NULL, 'o'},
		{"engines", required_argument, NULL, 'e'}, {"steps", required_argument, NULL, 't'},
		{"reload", no_argument, NULL, 'l'}, {"rebuild", required_argument, NULL, 'b'},
		{"fresh", required_argument, NULL, 'f'}, {"rounds", required_argument, NULL, 'r'},
		{"queries", required_argument, NULL, 'q'}, {"widths", required_argument, NULL, 'w'},
		{"vecx-options", required_argument, NULL, 'v'}, {"vecx-set", required_argument, NULL, 'x'},
		{NULL, 0, NULL, 0}
	};
	static char default_engines[] = "vecx,pgvector-64,pgvector-200";
	static char default_steps[] = "load,build,sweep";
	Choices		c = {default_engines, NULL, NULL, NULL, false};
	char	   *steps = default_steps;
	char	   *widths = NULL;
	int			o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o)
		{
			case 'c': run->conninfo = optarg; break;
			case 'd': run->data = optarg; break;
			case 's': run->set = bench_set_find(optarg); break;
			case 'o': run->out = optarg; break;
			case 'e': c.engines = optarg; break;
			case 't': steps = optarg; break;
			case 'l': c.reload = true; break;
			case 'b': c.rebuild = optarg; break;
			case 'f': c.fresh = optarg; break;
			case 'r': run->nrounds = atoi(optarg); break;
			case 'q': run->nqueries = atoi(optarg); break;
			case 'w': widths = optarg; break;
			case 'v': c.vecx_options = optarg; break;
			case 'x': run->vecx_set = optarg; break;
			default: fputs(usage, stderr); exit(2);
		}
	if (optind != argc || !run->data || !run->set || !run->out ||
		run->nrounds < 1 || run->nrounds > BENCH_MAX_ROUNDS)
	{
		fputs(usage, stderr);
		exit(2);
	}
	choose_steps(run, steps);
	choose_widths(run, widths);
	return c;
}

int
main(int argc, char **argv)
{
	static BenchRun run;
	Choices		c;

	run.conninfo = "";
	run.nrounds = 3;
	c = read_options(&run, argc, argv);
	read_set(&run);
	choose_engines(&run, &c);
	if (run.steps & BENCH_LOAD)
		bench_load(&run, c.reload);
	if (run.steps & BENCH_BUILD)
		bench_build(&run);
	bench_sizes(&run);
	if (run.steps & BENCH_SWEEP)
		bench_sweep(&run);
	if (run.steps & BENCH_CALIBRATE)
		bench_calibrate(&run);
	if (run.steps & BENCH_INSERTS)
		bench_inserts(&run);
	if (run.steps & BENCH_BUILDS)
		bench_builds(&run);
	if (run.steps & BENCH_COPIES)
		bench_copies(&run);
	if (run.steps & BENCH_THREADS)
		bench_threads(&run);
	if (run.steps & BENCH_COLD)
		bench_cold(&run);
	bench_report_json(&run);
	bench_report_print(&run);
	PQfinish(run.admin);
	return 0;
}

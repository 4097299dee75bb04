/*
 * engine.c
 *    The engines, and their tables and indexes.  Every engine has a table of
 *    its own with the same rows in the same order, so that the planner never
 *    has two indexes to choose from.
 *
 *    What a build cost is kept in the table bench.built, because a cluster may
 *    be kept for later runs that build nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const BenchEngineDef engines[] = {
	{"vecx", "vecx", "vecx", "vecx", "", "vecx.ef_search", false},
	{"pgvector-64", "vector", "pgv", "hnsw", "m = 16, ef_construction = 64", "hnsw.ef_search", false},
	{"pgvector-200", "vector", "pgv", "hnsw", "m = 16, ef_construction = 200", "hnsw.ef_search", false},
	{"pgvector-half", "vector", "pgv", "hnsw", "m = 16, ef_construction = 200", "hnsw.ef_search", true},
	{"lists", "vecx", "vecx", "vecx", "structure = lists", "vecx.probes", false},
	{"lists-pq", "vecx", "vecx", "vecx", "structure = lists, quantizer = pq", "vecx.probes", false},
	{"ivfflat", "vector", "pgv", "ivfflat", NULL, "ivfflat.probes", false},
};

const BenchEngineDef *
bench_engine_find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (strcmp(engines[i].name, name) == 0)
			return &engines[i];
	bench_die("no engine is named \"%s\"", name);
}

bool
bench_is_vecx(const BenchEngine *e)
{
	return strcmp(e->def->extension, "vecx") == 0;
}

const char *
bench_operator(const BenchRun *run)
{
	return run->set->metric == BENCH_L2 ? "<->" : "<=>";
}

char *
bench_column(const BenchEngineDef *def, int dim)
{
	return bench_format("%s.vector(%d)", def->schema, dim);
}

/* Names in SQL: a hyphen becomes an underscore. */
static char *
table_name(const char *set, const char *engine)
{
	char	   *name = bench_format("bench.%s_%s", set, engine);

	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	return name;
}

/*
 * Creates the extension; returns its version, or NULL if the server has none.
 * pg_available_extensions cannot tell: it overlooks extension_destdir.
 */
char *
bench_extension_ready(PGconn *conn, const BenchEngineDef *def)
{
	char	   *sql = bench_format("CREATE EXTENSION IF NOT EXISTS %s SCHEMA %s", def->extension, def->schema);
	PGresult   *res;
	const char *state;
	bool		missing;

	bench_exec(conn, "CREATE SCHEMA IF NOT EXISTS %s", def->schema);
	res = PQexec(conn, sql);
	state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	missing = state && (strcmp(state, "0A000") == 0 || strcmp(state, "58P01") == 0);
	if (PQresultStatus(res) != PGRES_COMMAND_OK && !missing)
		bench_die("%s\n%s", sql, PQerrorMessage(conn));
	PQclear(res);
	free(sql);
	if (missing)
		return NULL;
	return bench_value(conn, "SELECT extversion FROM pg_extension WHERE extname = '%s'", def->extension);
}

/* What pgvector recommends for its lists, up to a million rows. */
static char *
ivfflat_options(int nrows)
{
	return bench_format("lists = %d", nrows < 10000 ? 10 : nrows / 1000);
}

/*
 * Fills run->engine with those named that can be used.  fresh names an
 * extension to be dropped first with all that was loaded for it.
 */
void
bench_engines_prepare(BenchRun *run, char **names, int nnames, const char *fresh)
{
	run->admin = bench_connect(run, NULL);
	bench_exec(run->admin, "CREATE SCHEMA IF NOT EXISTS bench");
	bench_exec(run->admin, "CREATE TABLE IF NOT EXISTS bench.built (tbl text PRIMARY KEY, options text, "
			   "seconds float8, cpu float8, wal float8, at text)");
	bench_exec(run->admin, "ALTER TABLE bench.built ADD COLUMN IF NOT EXISTS memory float8 NOT NULL DEFAULT 0, "
			   "ADD COLUMN IF NOT EXISTS threads int NOT NULL DEFAULT 0");
	if (fresh)
		bench_exec(run->admin, "DROP EXTENSION IF EXISTS %s CASCADE", fresh);
	for (int i = 0; i < nnames; i++)
	{
		const BenchEngineDef *def = bench_engine_find(names[i]);
		BenchEngine *e = &run->engine[run->nengines];
		char	   *version = bench_extension_ready(run->admin, def);

		if (version == NULL)
		{
			run->notes[run->nnotes++] =
				bench_format("%s is left out: the server has no extension \"%s\"", def->name, def->extension);
			continue;
		}
		e->def = def;
		e->version = version;
		if (e->options == NULL)
			e->options = def->options ? bench_format("%s", def->options) : ivfflat_options(run->base.nrows);
		e->table = table_name(run->set->name, def->name);
		e->index = bench_format("%s_idx", e->table);
		run->nengines++;
	}
}

/* Plain storage of large vectors out of line: that is the types' default. */
void
bench_table_create(BenchRun *run, const BenchEngineDef *def, const char *table)
{
	char	   *type = bench_column(def, run->base.dim);

	bench_exec(run->admin, "DROP TABLE IF EXISTS %s", table);
	bench_exec(run->admin, "CREATE TABLE %s (id int PRIMARY KEY, embedding %s) WITH (autovacuum_enabled = off)",
			   table, type);
	free(type);
}

/* The CREATE INDEX of an engine. */
char *
bench_index_sql(const BenchRun *run, const BenchEngine *engine, const char *table, const char *index)
{
	const BenchEngineDef *def = engine->def;
	char	   *column = def->half ? bench_format("(embedding::halfvec(%d))", run->base.dim) :
		bench_format("embedding");
	const char *name = strchr(index, '.') + 1;	/* CREATE INDEX takes no schema */
	char	   *sql = bench_format("CREATE INDEX %s ON %s USING %s (%s %s_%s_ops)%s%s%s",
								   name, table, def->am, column, def->half ? "halfvec" : "vector",
								   run->set->metric == BENCH_L2 ? "l2" : "cosine",
								   engine->options[0] ? " WITH (" : "", engine->options,
								   engine->options[0] ? ")" : "");

	free(column);
	return sql;
}

BenchCost
bench_index_create(BenchRun *run, const BenchEngine *engine, PGconn *conn,
				   const char *table, const char *index)
{
	char	   *sql = bench_index_sql(run, engine, table, index);
	BenchCost	cost = bench_watch(conn, sql);

	free(sql);
	return cost;
}

static bool
loaded(BenchRun *run, const char *table)
{
	char	   *column = bench_value(run->admin, "SELECT 1 FROM pg_attribute WHERE attname = 'embedding' "
									 "AND NOT attisdropped AND attrelid = to_regclass('%s')", table);
	char	   *count;
	bool		ok;

	if (column == NULL)
		return false;
	count = bench_value(run->admin, "SELECT count(*) FROM %s", table);
	ok = atoi(count) == run->base.nrows;
	free(count);
	free(column);
	return ok;
}

void
bench_load(BenchRun *run, bool reload)
{
	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];
		double		start;

		if (!reload && loaded(run, e->table))
			continue;
		printf("%s: loading %d rows for %s\n", run->set->name, run->base.nrows, e->def->name);
		fflush(stdout);
		bench_table_create(run, e->def, e->table);
		start = bench_seconds();
		bench_copy_rows(run->admin, e->table, &run->base, 0, run->base.nrows);
		e->load_seconds = bench_seconds() - start;
		bench_exec(run->admin, "VACUUM (ANALYZE, FREEZE) %s", e->table);
	}
}

/* Whether what goes by this name was built with the options of now. */
bool
bench_built_already(BenchRun *run, const BenchEngine *e, const char *name)
{
	char	   *same = bench_value(run->admin, "SELECT 1 FROM bench.built WHERE tbl = '%s' AND options = $o$%s$o$",
								   name, e->options);
	bool		already = same != NULL;

	free(same);
	return already;
}

void
bench_built_record(BenchRun *run, const BenchEngine *e, const char *name, BenchCost cost)
{
	bench_exec(run->admin, "INSERT INTO bench.built VALUES ('%s', $o$%s$o$, %.3f, %.3f, %.0f, "
			   "to_char(now(), 'YYYY-MM-DD HH24:MI:SSOF'), %.0f, %d)",
			   name, e->options, cost.seconds, cost.cpu, cost.wal, cost.memory, cost.threads);
}

static bool
index_stands(BenchRun *run, const BenchEngine *e)
{
	char	   *valid = bench_value(run->admin, "SELECT 1 FROM pg_index WHERE indisvalid AND "
									"indexrelid = to_regclass('%s')", e->index);
	bool		stands = valid && bench_built_already(run, e, e->table);

	free(valid);
	return stands;
}

static int
compare_costs(const void *a, const void *b)
{
	double		x = ((const BenchCost *) a)->seconds;
	double		y = ((const BenchCost *) b)->seconds;

	return (x > y) - (x < y);
}

/* Of n builds the one whose time is in the middle; sorts them. */
BenchCost
bench_middle_cost(BenchCost *of, int n)
{
	qsort(of, n, sizeof(BenchCost), compare_costs);
	return of[n / 2];
}

static BenchCost
build_once(BenchRun *run, BenchEngine *e)
{
	PGconn	   *conn = bench_connect(run, e->def);
	BenchCost	cost;

	bench_exec(conn, "DROP INDEX IF EXISTS %s", e->index);
	bench_exec(conn, "DELETE FROM bench.built WHERE tbl = '%s'", e->table);
	bench_exec(conn, "CHECKPOINT");
	cost = bench_index_create(run, e, conn, e->table, e->index);
	PQfinish(conn);
	return cost;
}

/* Builds what is missing or was asked for, in turn where it is short, so that a machine that
 * becomes slower does so for all. */
void
bench_build(BenchRun *run)
{
	BenchCost	costs[BENCH_MAX_ENGINES][BENCH_SHORT_BUILDS];
	int			n[BENCH_MAX_ENGINES] = {0};

	for (int round = 0; round < BENCH_SHORT_BUILDS; round++)
		for (int i = 0; i < run->nengines; i++)
		{
			BenchEngine *e = &run->engine[i];

			if (!loaded(run, e->table))
				bench_die("%s is not loaded", e->table);
			if (round == 0 ? !e->rebuild && index_stands(run, e) :
				n[i] == 0 || costs[i][0].seconds >= BENCH_SHORT_BUILD)
				continue;
			printf("%s: building the index of %s\n", run->set->name, e->def->name);
			fflush(stdout);
			costs[i][n[i]++] = build_once(run, e);
		}
	for (int i = 0; i < run->nengines; i++)
		if (n[i] > 0)
		{
			BenchEngine *e = &run->engine[i];
			BenchCost	cost = bench_middle_cost(costs[i], n[i]);

			bench_built_record(run, e, e->table, cost);
			printf("%s: %s built in %.2f s (%.2f s of processor)\n", run->set->name, e->def->name,
				   cost.seconds, cost.cpu);
		}
}

static double
built(BenchRun *run, const BenchEngine *e, const char *column)
{
	char	   *value = bench_value(run->admin, "SELECT %s FROM bench.built WHERE tbl = '%s'", column, e->table);
	double		number = atof(value);

	free(value);
	return number;
}

/* Reads back what is known of each index; it has to exist. */
void
bench_sizes(BenchRun *run)
{
	for (int i = 0; i < run->nengines; i++)
	{
		BenchEngine *e = &run->engine[i];

		if (!index_stands(run, e))
			bench_die("%s has no index built with (%s)", e->table, e->options);
		e->build.seconds = built(run, e, "seconds");
		e->build.cpu = built(run, e, "cpu");
		e->build.wal = built(run, e, "wal");
		e->build.memory = built(run, e, "memory");
		e->build.threads = (int) built(run, e, "threads");
		e->built_at = bench_value(run->admin, "SELECT at FROM bench.built WHERE tbl = '%s'", e->table);
		e->index_bytes = atol(bench_value(run->admin, "SELECT pg_relation_size('%s')", e->index));
		e->table_bytes = atol(bench_value(run->admin, "SELECT pg_table_size('%s')", e->table));
	}
}

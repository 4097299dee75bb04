/*
 * filter_bench.c
 *    Measures searches with WHERE on a running server, as filters.py asks for
 *    them: one command a line on standard input, its fields separated by tabs,
 *    and one line of JSON for each on standard output.
 *
 *    session NAME ENGINE                    a connection that sees this engine's extension; - for none
 *    sql SESSION SQL                        first value of the first row
 *    watch SESSION SQL                      what the statement cost
 *    copy TABLE FIRST N                     rows of the base as (id, embedding)
 *    queries TABLE                          the queries, in the same way
 *    insert SESSION TABLE FIRST N ID        the same, one statement each, in one transaction
 *    filter NAME TABLE CONDITION [TYPE VALUE...]   rows that pass; $2 is the query's VALUE
 *    truth                                  exact neighbours under all filters so far
 *    statement NAME SESSION FILTER LIMIT SETTINGS SQL   $1 is the query vector
 *    plan NAME MODE                         its plan under a plan_cache_mode
 *    check NAME N [INDEX]                   recall, rows and blocks of the first N queries
 *    pass NAME N                            the same queries, timed
 *    times NAME                             of all passes; forgets the statement
 *
 *    usage: filter_bench CONNINFO DATA SET NQUERIES
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "truth.h"

#define MAX_NAMES	4096
#define MAX_FIELDS	2048
#define TOGETHER	8		/* queries compared with a tile of rows at a time */
#define TILE		256
#define ASKED		"idx_blks_hit + idx_blks_read"

typedef struct Session
{
	BenchSession s;
	char	   *name;
} Session;

/* A WHERE; with one value a query it has its own matching rows a query. */
typedef struct Filter
{
	char	   *name;
	Oid			type;			/* of the value, 0 if there is none */
	char	  **value;
	BenchMatches *matches;		/* one, or one a query */
	double	   *kth;			/* distance of the last true neighbour; NULL until it is known */
} Filter;

typedef struct Statement
{
	char	   *name;
	Session    *session;
	Filter	   *filter;
	int			limit;
	char	   *settings;
	double	   *latency;		/* pass after pass, seconds */
	int			nqueries;		/* of a pass */
	int			nrounds;
	double		cpu;
} Statement;

static BenchRun run;
static BenchEngine engine[BENCH_MAX_ENGINES];
static BenchMatrix queries;
static char *wire;
static BenchTruthSpace space;
static Session session[BENCH_MAX_ENGINES];
static int	nsessions;
static Filter filter[MAX_NAMES];
static int	nfilters;
static Statement *statement[MAX_NAMES];
static int	nstatements;

/* ---- answers ---- */

static void
put_text(const char *text)
{
	putchar('"');
	for (const char *c = text; *c; c++)
	{
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if ((unsigned char) *c < 32)
			printf("\\u%04x", *c);
		else
			putchar(*c);
	}
	putchar('"');
}

static void
answer_text(const char *key, const char *text)
{
	printf("{\"%s\": ", key);
	if (text)
		put_text(text);
	else
		fputs("null", stdout);
	puts("}");
}

/* ---- names ---- */

static Session *
session_find(const char *name)
{
	for (int i = 0; i < nsessions; i++)
		if (strcmp(session[i].name, name) == 0)
			return &session[i];
	bench_die("no session is named \"%s\"", name);
}

static Filter *
filter_find(const char *name)
{
	for (int i = 0; i < nfilters; i++)
		if (strcmp(filter[i].name, name) == 0)
			return &filter[i];
	bench_die("no filter is named \"%s\"", name);
}

static int
statement_at(const char *name)
{
	for (int i = 0; i < nstatements; i++)
		if (strcmp(statement[i]->name, name) == 0)
			return i;
	bench_die("no statement is named \"%s\"", name);
}

static Statement *
statement_find(const char *name)
{
	return statement[statement_at(name)];
}

/* ---- sessions ---- */

static void
open_session(const char *name, const char *engine_name)
{
	Session    *to = &session[nsessions];
	BenchEngine *e = &engine[nsessions];
	char	   *oid;

	if (nsessions == BENCH_MAX_ENGINES)
		bench_die("too many sessions");
	to->name = strdup(name);
	to->s.engine = e;
	if (strcmp(engine_name, "-") != 0)
	{
		e->def = bench_engine_find(engine_name);
		e->version = bench_extension_ready(run.admin, e->def);
		if (e->version == NULL)
		{
			answer_text("version", NULL);
			return;
		}
	}
	to->s.conn = bench_connect(&run, e->def);
	to->s.pid = PQbackendPID(to->s.conn);
	bench_share_processor(to->s.conn);
	to->s.nwire = (int) bench_wire_size(queries.dim);
	if (e->def)
	{
		oid = bench_value(to->s.conn, "SELECT '%s.vector'::regtype::oid", e->def->schema);
		to->s.type = (Oid) strtoul(oid, NULL, 10);
		free(oid);
	}
	nsessions++;
	answer_text("version", e->version);
}

/* An error of the server is an answer, too. */
static void
run_sql(const char *name, const char *sql)
{
	PGconn	   *conn = session_find(name)->s.conn;
	PGresult   *res = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		answer_text("error", PQerrorMessage(conn));
	else
		answer_text("value", PQntuples(res) > 0 && !PQgetisnull(res, 0, 0) ? PQgetvalue(res, 0, 0) : NULL);
	PQclear(res);
}

static void
watch_sql(const char *name, const char *sql)
{
	BenchCost	cost = bench_watch(session_find(name)->s.conn, sql);

	printf("{\"seconds\": %.3f, \"cpu_seconds\": %.3f, \"wal_bytes\": %.0f, \"memory_bytes\": %.0f}\n",
		   cost.seconds, cost.cpu, cost.wal, cost.memory);
}

static void
insert_rows(const char *name, const char *table, int first, int n, int id)
{
	Session    *to = session_find(name);
	double		cpu = bench_backend_cpu(to->s.pid);
	double		wal = bench_wal_position(run.admin);
	double		seconds = bench_insert_rows(&to->s, table, &run.base, first, n, id, false);

	printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wal_bytes\": %.0f}\n", seconds,
		   bench_backend_cpu(to->s.pid) - cpu, bench_wal_position(run.admin) - wal);
}

/* ---- filters and their truth ---- */

static BenchMatches
take_ids(PGresult *res)
{
	BenchMatches m = {PQntuples(res), NULL};

	m.id = bench_alloc(sizeof(int32_t) * (size_t) m.n);
	for (int i = 0; i < m.n; i++)
	{
		uint32_t	bits;

		memcpy(&bits, PQgetvalue(res, i, 0), sizeof(bits));
		m.id[i] = (int32_t) ntohl(bits);
		if (m.id[i] < 0 || m.id[i] >= run.base.nrows)
			bench_die("there is a row %d, which was never loaded", m.id[i]);
	}
	PQclear(res);
	return m;
}

/* The server itself says which rows pass, without any index of vectors. */
static BenchMatches
matches_of(const char *table, const char *condition, Oid type, const char *value)
{
	char	   *sql = bench_format("SELECT id FROM %s WHERE $1::text IS NULL AND (%s) ORDER BY id", table, condition);
	Oid			types[2] = {25, type};	/* 25 is text; $1 is never the vector here */
	const char *values[2] = {NULL, value};
	PGresult   *res = PQexecParams(run.admin, sql, type ? 2 : 1, types, values, NULL, NULL, 1);

	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		bench_die("%s\n%s", sql, PQerrorMessage(run.admin));
	free(sql);
	return take_ids(res);
}

static void
add_filter(char **field, int nfields)
{
	Filter	   *f = &filter[nfilters++];
	int			nlists = nfields > 3 ? queries.nrows : 1;
	double		sum = 0.0;

	if (nfilters == MAX_NAMES || (nfields > 3 && nfields != 4 + queries.nrows))
		bench_die("filter \"%s\" needs a value for each query", field[0]);
	f->name = strdup(field[0]);
	f->matches = bench_alloc(sizeof(BenchMatches) * (size_t) nlists);
	if (nfields > 3)
	{
		char	   *oid = bench_value(run.admin, "SELECT '%s'::regtype::oid", field[3]);

		f->type = (Oid) strtoul(oid, NULL, 10);
		f->value = bench_alloc(sizeof(char *) * (size_t) nlists);
		free(oid);
	}
	for (int i = 0; i < nlists; i++)
	{
		if (f->type)
			f->value[i] = strdup(field[4 + i]);
		f->matches[i] = matches_of(field[1], field[2], f->type, f->type ? f->value[i] : NULL);
		sum += f->matches[i].n;
	}
	printf("{\"matches\": %.2f}\n", sum / nlists);
}

static const BenchMatches *
matches_for(const Filter *f, int query)
{
	return &f->matches[f->type ? query : 0];
}

static const float *
query_at(int i)
{
	return queries.x + (size_t) i * (size_t) queries.dim;
}

/* Distances of n queries from first to all rows, tile by tile, so that rows are read once. */
static void
distances_of(int first, int n, float *distance)
{
	int			nrows = run.base.nrows;

	for (int row = 0; row < nrows; row += TILE)
		for (int q = 0; q < n; q++)
			bench_distances(&space, query_at(first + q), row, nrows - row < TILE ? nrows - row : TILE,
							distance + (size_t) q * (size_t) nrows + row);
}

/* For the filters that came since the last time. */
static void
find_truth(void)
{
	static int	nknown = 0;
	float	   *distance = bench_alloc(sizeof(float) * (size_t) run.base.nrows * TOGETHER);

	for (int f = nknown; f < nfilters; f++)
		filter[f].kth = bench_alloc(sizeof(double) * (size_t) queries.nrows);
	for (int first = 0; first < queries.nrows; first += TOGETHER)
	{
		int			n = queries.nrows - first < TOGETHER ? queries.nrows - first : TOGETHER;

		distances_of(first, n, distance);
		for (int f = nknown; f < nfilters; f++)
			for (int q = first; q < first + n && filter[f].matches; q++)
				filter[f].kth[q] = bench_kth_distance(&space, query_at(q), distance + (size_t) (q - first) *
													  (size_t) run.base.nrows, matches_for(&filter[f], q), BENCH_K);
	}
	nknown = nfilters;
	free(distance);
	printf("{\"filters\": %d}\n", nfilters);
}

static bool
passes(const BenchMatches *m, int32_t id)
{
	int			low = 0;
	int			high = m->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (m->id[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->n && m->id[low] == id;
}

/* ---- statements ---- */

static void
add_statement(char **field)
{
	Statement  *st = bench_alloc(sizeof(Statement));
	Oid			types[2];
	PGresult   *res;

	if (nstatements == MAX_NAMES)
		bench_die("too many statements");
	st->name = strdup(field[0]);
	st->session = session_find(field[1]);
	st->filter = filter_find(field[2]);
	st->limit = atoi(field[3]);
	st->settings = strdup(field[4]);
	statement[nstatements++] = st;
	types[0] = st->session->s.type;
	types[1] = st->filter->type;
	res = PQprepare(st->session->s.conn, st->name, field[5], st->filter->type ? 2 : 1, types);
	answer_text("error", PQresultStatus(res) == PGRES_COMMAND_OK ? NULL : PQerrorMessage(st->session->s.conn));
	PQclear(res);
}

static PGresult *
search(const Statement *st, int query)
{
	const BenchSession *s = &st->session->s;
	const char *values[2] = {wire + (size_t) query * (size_t) s->nwire, NULL};
	int			lengths[2] = {s->nwire, 0};
	int			formats[2] = {1, 0};

	if (st->filter->type)
		values[1] = st->filter->value[query];
	return PQexecPrepared(s->conn, st->name, st->filter->type ? 2 : 1, values, lengths, formats, 1);
}

static bool
failed(const Statement *st, PGresult *res)
{
	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		return false;
	answer_text("error", PQerrorMessage(st->session->s.conn));
	PQclear(res);
	return true;
}

static char *
vector_text(const float *x)
{
	char	   *text = bench_alloc((size_t) queries.dim * 20 + 3);
	size_t		used = 0;

	for (int i = 0; i < queries.dim; i++)
		used += (size_t) sprintf(text + used, "%c%.9g", i == 0 ? '[' : ',', (double) x[i]);
	strcpy(text + used, "]");
	return text;
}

static void
show_plan(const Statement *st, const char *mode)
{
	PGconn	   *conn = st->session->s.conn;
	char	   *vector = vector_text(query_at(0));
	char	   *value = bench_format(st->filter->type ? ", '%s'" : "%s", st->filter->type ? st->filter->value[0] : "");
	char	   *sql = bench_format("EXPLAIN EXECUTE \"%s\" ('%s'%s)", st->name, vector, value);
	char	   *plan = bench_format("%s", "");
	PGresult   *res;

	bench_exec(conn, "%s", st->settings);
	bench_exec(conn, "SET plan_cache_mode = %s", mode);
	res = PQexec(conn, sql);
	bench_exec(conn, "RESET plan_cache_mode");
	free(vector);
	free(value);
	free(sql);
	if (failed(st, res))
		return;
	for (int i = 0; i < PQntuples(res); i++)
	{
		char	   *longer = bench_format("%s%.200s\n", plan, PQgetvalue(res, i, 0));

		free(plan);
		plan = longer;
	}
	PQclear(res);
	answer_text("plan", plan);
	free(plan);
}

typedef struct Check
{
	long		wanted;			/* rows that should have come */
	long		returned;
	long		right;			/* among the true neighbours, where LIMIT is BENCH_K */
	int			short_queries;	/* with fewer or more rows than wanted */
	long		strangers;		/* rows that do not pass, or came twice */
	int			unordered;		/* queries whose rows were not in order */
	double		worst;			/* recall of the worst query */
} Check;

static int
compare_ids(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

/* The slack is that of bench_score_add; order is looked at as float tells it. */
static void
check_rows(Check *c, const Filter *f, int query, BenchMatches *got, int limit)
{
	const BenchMatches *m = matches_for(f, query);
	int			wanted = m->n < limit ? m->n : limit;
	double		kth = f->kth[query];
	double		bound = kth + 1e-12 * (run.set->metric == BENCH_COSINE ? 1.0 : kth);
	double		before = 0.0;
	int			right = 0;
	bool		unordered = false;

	for (int i = 0; i < got->n; i++)
	{
		double		distance = bench_distance(run.set->metric, query_at(query), run.base.x +
											  (size_t) got->id[i] * (size_t) run.base.dim, run.base.dim);

		unordered |= distance < before - 1e-5 * (before + 0.01);
		before = distance;
		right += distance <= bound && passes(m, got->id[i]);
	}
	qsort(got->id, (size_t) got->n, sizeof(int32_t), compare_ids);
	for (int i = 0; i < got->n; i++)
		c->strangers += (i > 0 && got->id[i] == got->id[i - 1]) || !passes(m, got->id[i]);
	c->wanted += wanted;
	c->returned += got->n;
	c->right += right < wanted ? right : wanted;
	c->short_queries += got->n != wanted;
	c->unordered += unordered;
	if (wanted > 0 && (double) right / wanted < c->worst)
		c->worst = (double) right / wanted;
}

static void
check_statement(const Statement *st, int n, const char *index)
{
	PGconn	   *conn = st->session->s.conn;
	Check		c = {.worst = 1.0};
	double		blocks = 0.0;
	double		start;

	bench_exec(conn, "%s", st->settings);
	if (index)
		blocks = bench_index_blocks(conn, index, ASKED);
	start = bench_seconds();
	for (int q = 0; q < n; q++)
	{
		PGresult   *res = search(st, q);
		BenchMatches got;

		if (failed(st, res))
			return;
		got = take_ids(res);
		check_rows(&c, st->filter, q, &got, st->limit);
		free(got.id);
	}
	printf("{\"queries\": %d, \"seconds\": %.6f, \"wanted\": %ld, \"returned\": %ld, \"short_queries\": %d, "
		   "\"strangers\": %ld, \"unordered\": %d", n, (bench_seconds() - start) / n, c.wanted, c.returned,
		   c.short_queries, c.strangers, c.unordered);
	if (st->limit == BENCH_K)
		printf(", \"recall\": %.5f, \"worst_recall\": %.2f", c.wanted > 0 ? (double) c.right / (double) c.wanted : 1.0, c.worst);
	if (index)
		printf(", \"index_blocks\": %.2f", (bench_index_blocks(conn, index, ASKED) - blocks) / n);
	puts("}");
}

static void
time_statement(Statement *st, int n)
{
	double	   *longer = realloc(st->latency, sizeof(double) * (size_t) n * (size_t) (st->nrounds + 1));
	double	   *latency;
	double		cpu;
	double		sum = 0.0;

	if (longer == NULL || (st->nrounds > 0 && n != st->nqueries))
		bench_die("passes of \"%s\" differ in length", st->name);
	st->latency = longer;
	st->nqueries = n;
	latency = longer + (size_t) n * (size_t) st->nrounds;
	bench_exec(st->session->s.conn, "%s", st->settings);
	cpu = bench_backend_cpu(st->session->s.pid);
	for (int q = 0; q < n; q++)
	{
		double		start = bench_seconds();
		PGresult   *res = search(st, q);

		latency[q] = bench_seconds() - start;
		sum += latency[q];
		if (failed(st, res))
			return;
		PQclear(res);
	}
	st->cpu += bench_backend_cpu(st->session->s.pid) - cpu;
	st->nrounds++;
	printf("{\"seconds\": %.6f}\n", sum / n);
}

static void
finish_statement(const char *name)
{
	int			at = statement_at(name);
	Statement  *st = statement[at];
	BenchTimes	t = bench_times(st->latency, st->nqueries, st->nrounds, st->cpu);

	printf("{\"qps\": %.3f, \"mean_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"best_us\": %.2f, "
		   "\"server_us\": %.2f, \"rounds\": %d}\n", t.qps, t.mean_us, t.p50_us, t.p99_us, t.best_us, t.server_us,
		   st->nrounds);
	bench_exec(st->session->s.conn, "DEALLOCATE \"%s\"", st->name);
	free(st->latency);
	free(st->settings);
	free(st->name);
	free(st);
	statement[at] = statement[--nstatements];
}

/* ---- commands ---- */

static int
cut(char *line, char **field)
{
	int			n = 0;
	char	   *tab;

	do
	{
		if (n == MAX_FIELDS)
			bench_die("a command has too many fields");
		tab = strchr(line, '\t');
		if (tab)
			*tab = '\0';
		field[n++] = line;
		line = tab + 1;
	} while (tab);
	return n;
}

static void
obey(char **field, int n)
{
	const char *word = field[0];
	char	  **arg = field + 1;

	n--;
	if (strcmp(word, "session") == 0 && n == 2)
		open_session(arg[0], arg[1]);
	else if (strcmp(word, "sql") == 0 && n == 2)
		run_sql(arg[0], arg[1]);
	else if (strcmp(word, "watch") == 0 && n == 2)
		watch_sql(arg[0], arg[1]);
	else if (strcmp(word, "copy") == 0 && n == 3)
	{
		bench_copy_rows(run.admin, arg[0], &run.base, atoi(arg[1]), atoi(arg[2]));
		puts("{}");
	}
	else if (strcmp(word, "queries") == 0 && n == 1)
	{
		bench_copy_rows(run.admin, arg[0], &queries, 0, queries.nrows);
		puts("{}");
	}
	else if (strcmp(word, "insert") == 0 && n == 5)
		insert_rows(arg[0], arg[1], atoi(arg[2]), atoi(arg[3]), atoi(arg[4]));
	else if (strcmp(word, "filter") == 0 && n >= 3)
		add_filter(arg, n);
	else if (strcmp(word, "truth") == 0 && n == 0)
		find_truth();
	else if (strcmp(word, "statement") == 0 && n == 6)
		add_statement(arg);
	else if (strcmp(word, "plan") == 0 && n == 2)
		show_plan(statement_find(arg[0]), arg[1]);
	else if (strcmp(word, "check") == 0 && (n == 2 || n == 3))
		check_statement(statement_find(arg[0]), atoi(arg[1]), n == 3 ? arg[2] : NULL);
	else if (strcmp(word, "pass") == 0 && n == 2)
		time_statement(statement_find(arg[0]), atoi(arg[1]));
	else if (strcmp(word, "times") == 0 && n == 1)
		finish_statement(arg[0]);
	else
		bench_die("the command \"%s\" is unknown or has other fields", word);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static char *field[MAX_FIELDS];
	char	   *line = NULL;
	size_t		room = 0;
	ssize_t		length;

	if (argc != 5)
	{
		fputs("usage: filter_bench CONNINFO DATA SET NQUERIES\n", stderr);
		return 2;
	}
	run.conninfo = argv[1];
	run.set = bench_set_find(argv[3]);
	run.base = bench_read_vectors(bench_path(argv[2], run.set->base));
	run.admin = bench_connect(&run, NULL);
	queries = bench_read_vectors(bench_path(argv[2], run.set->rowset[0].queries));
	if (atoi(argv[4]) > 0 && atoi(argv[4]) < queries.nrows)
		queries.nrows = atoi(argv[4]);
	wire = bench_wire_all(&queries);
	space = bench_space(run.set->metric, &run.base);
	filter[nfilters++].name = strdup("-");	/* of statements that are only timed */
	printf("{\"rows\": %d, \"dim\": %d, \"queries\": %d, \"metric\": \"%s\"}\n", run.base.nrows, run.base.dim,
		   queries.nrows, run.set->metric == BENCH_L2 ? "L2" : "cosine");
	fflush(stdout);
	while ((length = getline(&line, &room, stdin)) > 0)
	{
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		obey(field, cut(line, field));
	}
	PQfinish(run.admin);
	return 0;
}

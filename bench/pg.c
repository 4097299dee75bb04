/*
 * pg.c
 *    SQL through libpq: connections, binary COPY, the prepared search, block
 *    counters and plans.  Any error of the server ends the program.
 */
#define _GNU_SOURCE				/* sched_setaffinity */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define COPY_BUFFER		(1 << 20)
#define STATEMENT		"bench_search"
#define WIRE_HEADER		4		/* int16 dimensions, int16 zero */

static char *
format_args(const char *fmt, va_list args)
{
	va_list		again;
	char	   *text;
	int			len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	text = bench_alloc((size_t) len + 1);
	vsnprintf(text, (size_t) len + 1, fmt, again);
	va_end(again);
	return text;
}

char *
bench_format(const char *fmt,...)
{
	va_list		args;
	char	   *text;

	va_start(args, fmt);
	text = format_args(fmt, args);
	va_end(args);
	return text;
}

static PGresult *
run_sql(PGconn *conn, const char *sql)
{
	PGresult   *res = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN)
		bench_die("%.200s\n%s", sql, PQerrorMessage(conn));
	return res;
}

void
bench_exec(PGconn *conn, const char *fmt,...)
{
	va_list		args;
	char	   *sql;

	va_start(args, fmt);
	sql = format_args(fmt, args);
	va_end(args);
	PQclear(run_sql(conn, sql));
	free(sql);
}

/* Starts a statement, and waits for its end. */
void
bench_send(PGconn *conn, const char *sql)
{
	if (!PQsendQuery(conn, sql))
		bench_die("%.200s\n%s", sql, PQerrorMessage(conn));
}

void
bench_await(PGconn *conn)
{
	PGresult   *res;

	while ((res = PQgetResult(conn)) != NULL)
	{
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			bench_die("%s", PQerrorMessage(conn));
		PQclear(res);
	}
}

/* The first column of the first row as text; NULL without rows or for a null. */
char *
bench_value(PGconn *conn, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	char	   *value = NULL;
	PGresult   *res;

	va_start(args, fmt);
	sql = format_args(fmt, args);
	va_end(args);
	res = run_sql(conn, sql);
	if (PQntuples(res) > 0 && !PQgetisnull(res, 0, 0))
		value = bench_format("%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	free(sql);
	return value;
}

/*
 * A connection that sees one extension only; with no engine, none.  The index
 * builds are one process each, which is what the figures compare.
 */
PGconn *
bench_connect(const BenchRun *run, const BenchEngineDef *def)
{
	PGconn	   *conn = PQconnectdb(run->conninfo);

	if (PQstatus(conn) != CONNECTION_OK)
		bench_die("%s", PQerrorMessage(conn));
	bench_exec(conn, "SET client_min_messages = warning");
	bench_exec(conn, "SET search_path = pg_catalog%s%s", def ? ", " : "", def ? def->schema : "");
	bench_exec(conn, "SET max_parallel_maintenance_workers = 0");
	bench_exec(conn, "SET max_parallel_workers_per_gather = 0");
	bench_exec(conn, "SET jit = off");
	bench_exec(conn, "SET stats_fetch_consistency = none");
	if (def && strcmp(def->extension, "vecx") == 0 && run->vecx_set)
		bench_exec(conn, "%s", run->vecx_set);
	return conn;
}

size_t
bench_wire_size(int dim)
{
	return WIRE_HEADER + (size_t) dim * sizeof(float);
}

void
bench_wire_encode(char *to, const float *x, int dim)
{
	uint16_t	n = htons((uint16_t) dim);

	memset(to, 0, WIRE_HEADER);
	memcpy(to, &n, sizeof(n));
	for (int i = 0; i < dim; i++)
	{
		uint32_t	bits;

		memcpy(&bits, x + i, sizeof(bits));
		bits = htonl(bits);
		memcpy(to + WIRE_HEADER + (size_t) i * sizeof(bits), &bits, sizeof(bits));
	}
}

char *
bench_wire_all(const BenchMatrix *m)
{
	size_t		nbytes = bench_wire_size(m->dim);
	char	   *wire = bench_alloc(nbytes * (size_t) m->nrows);

	for (int i = 0; i < m->nrows; i++)
		bench_wire_encode(wire + (size_t) i * nbytes, m->x + (size_t) i * (size_t) m->dim, m->dim);
	return wire;
}

static void
put_int32(char *to, int32_t value)
{
	uint32_t	bits = htonl((uint32_t) value);

	memcpy(to, &bits, sizeof(bits));
}

/* Rows first .. first + n - 1 as (id, embedding), id being the row number. */
void
bench_copy_rows(PGconn *conn, const char *table, const BenchMatrix *m, int first, int n)
{
	static const char header[19] = "PGCOPY\n\377\r\n\0";	/* then flags and extension length: 0 */
	size_t		vector = bench_wire_size(m->dim);
	size_t		record = 2 + 4 + 4 + 4 + vector;
	char	   *buffer = bench_alloc(COPY_BUFFER + record);
	size_t		used = 0;
	char	   *sql = bench_format("COPY %s (id, embedding) FROM STDIN (FORMAT binary)", table);
	PGresult   *res;

	PQclear(run_sql(conn, sql));
	PQputCopyData(conn, header, sizeof(header));
	for (int i = first; i < first + n; i++)
	{
		char	   *at = buffer + used;

		memcpy(at, "\0\2", 2);
		put_int32(at + 2, 4);
		put_int32(at + 6, i);
		put_int32(at + 10, (int32_t) vector);
		bench_wire_encode(at + 14, m->x + (size_t) i * (size_t) m->dim, m->dim);
		used += record;
		if (used >= COPY_BUFFER || i + 1 == first + n)
		{
			if (PQputCopyData(conn, buffer, (int) used) != 1)
				bench_die("COPY: %s", PQerrorMessage(conn));
			used = 0;
		}
	}
	PQputCopyData(conn, "\377\377", 2);
	PQputCopyEnd(conn, NULL);
	while ((res = PQgetResult(conn)) != NULL)
	{
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			bench_die("%s\n%s", sql, PQerrorMessage(conn));
		PQclear(res);
	}
	free(sql);
	free(buffer);
}

/* Bytes of WAL written so far, by anyone. */
double
bench_wal_position(PGconn *conn)
{
	char	   *value = bench_value(conn, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')");
	double		position = atof(value);

	free(value);
	return position;
}

/*
 * The client and a backend take turns on one processor.  On two, each would find the
 * other's halted, and waking it took 60 us on a virtual machine, or 20 while something
 * else kept it awake: as long as some of the searches.
 */
void
bench_share_processor(PGconn *conn)
{
	static int	processor = -1;
	const char *host = PQhost(conn);
	cpu_set_t	set;

	if (processor < 0)
		processor = sched_getcpu();
	/* a backend elsewhere is no process of this machine */
	if (processor < 0 || !host || host[0] != '/')
		return;
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0 || sched_setaffinity(PQbackendPID(conn), sizeof(set), &set) != 0)
		fprintf(stderr, "client and server may be on different processors: %s\n", strerror(errno));
}

BenchSession
bench_session_open(const BenchRun *run, const BenchEngine *engine, const char *table, int dim)
{
	const BenchEngineDef *def = engine->def;
	BenchSession s;
	char	   *oid;
	char	   *cast = def->half ? bench_format("::halfvec(%d)", dim) : bench_format("%s", "");
	char	   *sql = bench_format("SELECT id FROM %s ORDER BY embedding%s %s $1%s LIMIT %d",
								   table, cast, bench_operator(run), cast, BENCH_K);
	PGresult   *res;

	s.engine = engine;
	s.conn = bench_connect(run, def);
	s.pid = PQbackendPID(s.conn);
	bench_share_processor(s.conn);
	s.nwire = (int) bench_wire_size(dim);
	oid = bench_value(s.conn, "SELECT '%s.vector'::regtype::oid", def->schema);
	s.type = (Oid) strtoul(oid, NULL, 10);
	res = PQprepare(s.conn, STATEMENT, sql, 1, &s.type);
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		bench_die("%s\n%s", sql, PQerrorMessage(s.conn));
	PQclear(res);
	free(oid);
	free(sql);
	free(cast);
	return s;
}

void
bench_session_close(BenchSession *s)
{
	PQfinish(s->conn);
	s->conn = NULL;
}

void
bench_set_width(BenchSession *s, int width)
{
	bench_exec(s->conn, "SET %s = %d", s->engine->def->width, width);
}

/* One search; returns the number of rows, at most BENCH_K. */
int
bench_search(BenchSession *s, const char *wire, int32_t *id)
{
	const char *values[1] = {wire};
	int			lengths[1] = {s->nwire};
	int			formats[1] = {1};
	PGresult   *res = PQexecPrepared(s->conn, STATEMENT, 1, values, lengths, formats, 1);
	int			n = PQntuples(res);

	if (PQresultStatus(res) != PGRES_TUPLES_OK || n > BENCH_K)
		bench_die("%s: search: %s", s->engine->def->name, PQerrorMessage(s->conn));
	for (int i = 0; i < n; i++)
	{
		uint32_t	bits;

		memcpy(&bits, PQgetvalue(res, i, 0), sizeof(bits));
		id[i] = (int32_t) ntohl(bits);
	}
	PQclear(res);
	return n;
}

/*
 * Pages of the index that this session and finished ones have asked for, by
 * columns of pg_statio_all_indexes.  The flush takes place when its own
 * transaction ends, hence two statements.
 */
double
bench_index_blocks(PGconn *conn, const char *index, const char *counters)
{
	char	   *value;
	double		nblocks;

	bench_exec(conn, "SELECT pg_stat_force_next_flush()");
	value = bench_value(conn, "SELECT %s FROM pg_statio_all_indexes WHERE indexrelid = '%s'::regclass",
						counters, index);
	if (value == NULL)
		bench_die("no statistics of the index %s", index);
	nblocks = atof(value);
	free(value);
	return nblocks;
}

static char *
vector_text(const float *x, int dim)
{
	char	   *text = bench_alloc((size_t) dim * 20 + 3);
	size_t		used = 0;

	for (int i = 0; i < dim; i++)
		used += (size_t) sprintf(text + used, "%c%.9g", i == 0 ? '[' : ',', (double) x[i]);
	strcpy(text + used, "]");
	return text;
}

/* The whole EXPLAIN of the prepared search, one line after another. */
static char *
explain(BenchSession *s, const char *options, const float *query, int dim)
{
	char	   *text = vector_text(query, dim);
	char	   *sql = bench_format("EXPLAIN (%s) EXECUTE " STATEMENT "('%s')", options, text);
	PGresult   *res = run_sql(s->conn, sql);
	char	   *plan = bench_format("%s", "");

	for (int i = 0; i < PQntuples(res); i++)
	{
		char	   *longer = bench_format("%s%s\n", plan, PQgetvalue(res, i, 0));

		free(plan);
		plan = longer;
	}
	PQclear(res);
	free(sql);
	free(text);
	return plan;
}

/* Shared blocks hit and read a statement, the mean of the first n queries. */
double
bench_statement_blocks(BenchSession *s, const BenchMatrix *queries, int n)
{
	static const char *const keys[] = {"\"Shared Hit Blocks\":", "\"Shared Read Blocks\":"};
	double		sum = 0.0;

	for (int i = 0; i < n; i++)
	{
		char	   *plan = explain(s, "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON",
								   queries->x + (size_t) i * (size_t) queries->dim, queries->dim);

		/* The first of each key is the top node's, which includes the rest. */
		for (int k = 0; k < 2; k++)
		{
			const char *at = strstr(plan, keys[k]);

			if (at == NULL)
				bench_die("EXPLAIN has no %s", keys[k]);
			sum += atof(at + strlen(keys[k]));
		}
		free(plan);
	}
	return n > 0 ? sum / n : 0.0;
}

/* The plan under a plan_cache_mode, without the text of the query vector. */
char *
bench_plan(BenchSession *s, const float *query, int dim, const char *mode)
{
	char	   *plan;
	char	   *order;

	bench_exec(s->conn, "SET plan_cache_mode = %s", mode);
	plan = explain(s, "COSTS OFF", query, dim);
	bench_exec(s->conn, "RESET plan_cache_mode");
	order = strstr(plan, "Order By");
	if (order)
		*order = '\0';
	return plan;
}

/*
 * bench.h
 *    What the parts of vecx_bench share: engines, sessions, results.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <libpq-fe.h>
#include <stdio.h>

#include "data.h"

#define BENCH_MAX_ENGINES	8
#define BENCH_MAX_WIDTHS	32
#define BENCH_MAX_ROUNDS	20
#define BENCH_MAX_TARGETS	5
#define BENCH_FIXED_WIDTH	100 /* recall at this width is always reported */

/* Steps of a run, in their order. */
#define BENCH_LOAD			(1u << 0)
#define BENCH_BUILD			(1u << 1)
#define BENCH_SWEEP			(1u << 2)
#define BENCH_CALIBRATE		(1u << 3)
#define BENCH_INSERTS		(1u << 4)
#define BENCH_BUILDS		(1u << 5)
#define BENCH_COPIES		(1u << 6)
#define BENCH_THREADS		(1u << 7)
#define BENCH_COLD			(1u << 8)

/* One way to build and search; two of them may belong to one extension. */
typedef struct BenchEngineDef
{
	const char *name;			/* on the command line and in the reports */
	const char *extension;
	const char *schema;			/* where CREATE EXTENSION puts it */
	const char *am;
	const char *options;		/* of CREATE INDEX, "" for the defaults; NULL: by the rows */
	const char *width;			/* the setting that holds the search width, or the lists to read */
	bool		half;			/* index the column cast to halfvec */
} BenchEngineDef;

/*
 * The figures of timed passes.  Wall time is what counts; on a machine that
 * does other work too, the last two show how much of it was that.
 */
typedef struct BenchTimes
{
	double		qps;
	double		mean_us;
	double		p50_us;
	double		p99_us;
	double		best_us;		/* mean over the queries of each one's best round */
	double		server_us;		/* processor time of the backend a query, 0 if unknown */
} BenchTimes;

/* A search setting and what came of it: a width, a wanted recall, or the defaults. */
typedef struct BenchPoint
{
	int			width;			/* 0 if it is left to the index */
	double		target;			/* 0 for the defaults */
	BenchScore	score;
	double		index_blocks;	/* of the index alone, a query */
	double		statement_blocks;	/* heap, TOAST and index, a query */
	BenchTimes	times;
	int			nrounds;
	double		round_qps[BENCH_MAX_ROUNDS];
	double	   *latency;		/* round after round, seconds */
	double		cpu;			/* of the backend, all rounds, seconds */
} BenchPoint;

typedef struct BenchCurve
{
	int			npoints;
	BenchPoint	point[BENCH_MAX_WIDTHS];
	int			ntargets;
	BenchPoint	target[BENCH_MAX_TARGETS];
	BenchTimes	floor;			/* the same statement over ten rows */
	char	   *plan;			/* the generic one, as EXPLAIN shows it */
	long		ngeneric;		/* executions by kind of plan, all passes */
	long		ncustom;
} BenchCurve;

/* What one statement cost; processor and memory 0 where the system does not tell. */
typedef struct BenchCost
{
	double		seconds;
	double		cpu;			/* processor time of its backend, seconds */
	double		workers_cpu;	/* of processes that it started */
	double		memory;			/* private bytes of its backend at most, above those at the start */
	int			threads;		/* of its backend at most */
	double		wal;			/* bytes */
} BenchCost;

/* The same index built again in another way; 0 seconds if it was not. */
typedef struct BenchBuilds
{
	BenchCost	one;			/* by one process */
	BenchCost	two;			/* by two */
	double		both;			/* seconds of two builds by one process each, at once */
	BenchCost	tight;			/* with a tenth of the memory it needs */
	double		need;			/* that need, bytes */
	double		estimate;		/* of vecx_estimate, 0 if there is none */
} BenchBuilds;

/* Reads of index pages a query with a small buffer pool. */
typedef struct BenchCold
{
	int			width;
	BenchScore	score;
	double		empty;			/* nothing of the index in the pool: its distinct pages, */
	double		runs;			/* in so many runs of neighbours: a seek each, at most */
	double		steady;			/* after queries that filled the pool */
} BenchCold;

/* One table with many copies of a vector among others, one without the copies. */
typedef struct BenchCopies
{
	long		nrows;
	BenchCost	build;
	double		inserts;		/* rows a second, vectors of no other row */
	double		copies;			/* the same, further copies */
	long		found;			/* copies that a search without limit returns first */
	long		returned;		/* rows that it returns in all */
} BenchCopies;

typedef struct BenchInserts
{
	bool		done;
	int			nbefore;		/* rows in the index at the start */
	int			nrows;			/* rows inserted, one statement each */
	double		seconds;		/* in one transaction */
	double		seconds_each;	/* one a transaction, into the same index */
	double		wal_per_row;	/* no checkpoint in between */
	int			nafter;			/* rows inserted right after a checkpoint */
	double		wal_per_row_after;
	double		first_recall;	/* at BENCH_FIXED_WIDTH, first pass; -1 if not all rows are there */
	BenchTimes	first;			/* times of that first pass */
} BenchInserts;

typedef struct BenchEngine
{
	const BenchEngineDef *def;
	char	   *options;		/* def's, or those of the command line */
	char	   *version;		/* of the extension */
	char	   *table;			/* with its schema */
	char	   *index;
	bool		rebuild;
	double		load_seconds;	/* 0 when the table was kept */
	BenchCost	build;
	char	   *built_at;
	long		index_bytes;
	long		table_bytes;	/* heap and TOAST, no indexes */
	BenchCurve	curve[BENCH_MAX_ROWSETS];
	BenchInserts inserts;
	BenchBuilds builds;
	char	   *shared_buffers; /* of the cold figures */
	int			ncold;
	BenchCold	cold[BENCH_MAX_WIDTHS];
} BenchEngine;

/* Recall of half of the queries before and after the other half was given to the index. */
typedef struct BenchCalibration
{
	double		target;
	BenchScore	before;
	BenchScore	after;
} BenchCalibration;

typedef struct BenchRowset
{
	const BenchRowsetDef *def;
	BenchMatrix queries;
	BenchTruth	truth;
	char	   *wire;			/* every query as a binary parameter */
	int			ncalibrated;
	BenchCalibration calibration[BENCH_MAX_TARGETS];
} BenchRowset;

typedef struct BenchRun
{
	/* from the command line */
	const char *conninfo;
	const char *data;
	const char *out;
	const char *vecx_set;		/* more settings for vecx's sessions, SQL */
	unsigned	steps;			/* of BENCH_LOAD and so on */
	int			nrounds;
	int			nqueries;		/* of the timed rounds; 0 for all */
	int			nwidths;
	int			width[BENCH_MAX_WIDTHS];

	/* the set at hand */
	const BenchSetDef *set;
	BenchMatrix base;
	int			nrowsets;
	BenchRowset rowset[BENCH_MAX_ROWSETS];
	PGconn	   *admin;
	int			nengines;
	BenchEngine engine[BENCH_MAX_ENGINES];
	char	   *notes[BENCH_MAX_ENGINES];	/* engines left out, and why */
	int			nnotes;
	BenchInserts bare;			/* inserts into a table without an index */
	BenchCopies copies[2];		/* without and with them */
	int			threads;		/* of a backend that built, inserted, trained and searched */
} BenchRun;

/* A connection with the statement prepared. */
typedef struct BenchSession
{
	PGconn	   *conn;
	const BenchEngine *engine;
	int			pid;			/* of the backend */
	Oid			type;			/* of the parameter */
	int			nwire;			/* bytes of one parameter */
} BenchSession;

/* pg.c */
extern PGconn *bench_connect(const BenchRun *run, const BenchEngineDef *def);
extern void bench_exec(PGconn *conn, const char *fmt,...) __attribute__((format(printf, 2, 3)));
extern void bench_send(PGconn *conn, const char *sql);
extern void bench_await(PGconn *conn);
extern char *bench_value(PGconn *conn, const char *fmt,...) __attribute__((format(printf, 2, 3)));
extern char *bench_format(const char *fmt,...) __attribute__((format(printf, 1, 2)));
extern void bench_copy_rows(PGconn *conn, const char *table, const BenchMatrix *m, int first, int n);
extern size_t bench_wire_size(int dim);
extern void bench_wire_encode(char *to, const float *x, int dim);
extern char *bench_wire_all(const BenchMatrix *m);
extern double bench_wal_position(PGconn *conn);
extern void bench_share_processor(PGconn *conn);
extern BenchSession bench_session_open(const BenchRun *run, const BenchEngine *engine,
									   const char *table, int dim);
extern void bench_session_close(BenchSession *s);
extern int	bench_search(BenchSession *s, const char *wire, int32_t *id);
extern void bench_set_width(BenchSession *s, int width);
extern double bench_index_blocks(PGconn *conn, const char *index, const char *counters);
extern double bench_statement_blocks(BenchSession *s, const BenchMatrix *queries, int n);
extern char *bench_plan(BenchSession *s, const float *query, int dim, const char *mode);

/* watch.c */
extern double bench_backend_cpu(int pid);
extern int	bench_backend_threads(int pid);
extern BenchCost bench_watch(PGconn *conn, const char *sql);

/* engine.c */
extern const BenchEngineDef *bench_engine_find(const char *name);
extern char *bench_extension_ready(PGconn *conn, const BenchEngineDef *def);
extern void bench_engines_prepare(BenchRun *run, char **names, int nnames, const char *fresh);
extern char *bench_column(const BenchEngineDef *def, int dim);
extern const char *bench_operator(const BenchRun *run);
extern void bench_table_create(BenchRun *run, const BenchEngineDef *def, const char *table);
extern char *bench_index_sql(const BenchRun *run, const BenchEngine *engine, const char *table,
							 const char *index);
extern BenchCost bench_index_create(BenchRun *run, const BenchEngine *engine, PGconn *conn,
									const char *table, const char *index);
extern bool bench_built_already(BenchRun *run, const BenchEngine *e, const char *name);
/* A build of fewer seconds is made so many times: machines change their speed within seconds. */
#define BENCH_SHORT_BUILD	2.0
#define BENCH_SHORT_BUILDS	9
extern BenchCost bench_middle_cost(BenchCost *of, int n);
extern void bench_built_record(BenchRun *run, const BenchEngine *e, const char *name, BenchCost cost);
extern bool bench_is_vecx(const BenchEngine *e);
extern void bench_load(BenchRun *run, bool reload);
extern void bench_build(BenchRun *run);
extern void bench_sizes(BenchRun *run);

/* sweep.c */
extern BenchTimes bench_times(double *latency, int nqueries, int nrounds, double cpu);
extern void bench_pass(BenchSession *s, const BenchRowset *rs, int nqueries, double *latency,
					   const BenchRun *run, BenchScore *score);
extern int	bench_nqueries(const BenchRun *run, const BenchRowset *rs);
extern void bench_sweep(BenchRun *run);

/* target.c */
extern int	bench_targets(BenchSession *s, BenchPoint *point);
extern void bench_set_point(BenchSession *s, const BenchPoint *p);
extern void bench_calibrate(BenchRun *run);

/* insert.c */
extern double bench_insert_rows(BenchSession *s, const char *table, const BenchMatrix *m, int first, int n,
								int id, bool each);
extern void bench_inserts(BenchRun *run);

/* builds.c, copies.c, threads.c, cold.c */
extern void bench_builds(BenchRun *run);
extern void bench_copies(BenchRun *run);
extern void bench_threads(BenchRun *run);
extern void bench_cold(BenchRun *run);

/* report.c */
extern void bench_report_json(const BenchRun *run);
extern void bench_report_print(const BenchRun *run);

#endif							/* BENCH_BENCH_H */

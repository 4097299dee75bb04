/*
 * watch.c
 *    What a statement costs: its backend is watched in /proc while it runs.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define WATCH_MS	5			/* between two looks at the backend */

/* Of /proc/PID/FILE; NULL where there is none.  The caller closes it. */
static FILE *
proc_open(int pid, const char *name)
{
	char	   *path = bench_format("/proc/%d/%s", pid, name);
	FILE	   *file = fopen(path, "r");

	free(path);
	return file;
}

/* The number after a word such as "Threads:" in /proc/PID/status; 0 if unknown. */
static long
proc_status(int pid, const char *word)
{
	FILE	   *file = proc_open(pid, "status");
	char		line[256];
	long		number = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, word, strlen(word)) == 0)
			number = atol(line + strlen(word));
	if (file)
		fclose(file);
	return number;
}

/*
 * Seconds a process of this machine has had a processor for; 0 where the kernel
 * does not tell.
 */
double
bench_backend_cpu(int pid)
{
	FILE	   *file = proc_open(pid, "schedstat");
	double		ns = 0.0;

	if (file && fscanf(file, "%lf", &ns) != 1)
		ns = 0.0;
	if (file)
		fclose(file);
	return 1e-9 * ns;
}

int
bench_backend_threads(int pid)
{
	return (int) proc_status(pid, "Threads:");
}

/* Processor seconds of all children of the postmaster that have ended. */
static double
ended_cpu(int backend)
{
	FILE	   *file = proc_open((int) proc_status(backend, "PPid:"), "stat");
	unsigned long user = 0;
	unsigned long sys = 0;

	/* The 16th and 17th; the second is a name in brackets. */
	if (file && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
		user = sys = 0;
	if (file)
		fclose(file);
	return (double) (user + sys) / (double) sysconf(_SC_CLK_TCK);
}

/* Runs the statement and watches its backend meanwhile. */
BenchCost
bench_watch(PGconn *conn, const char *sql)
{
	int			pid = PQbackendPID(conn);
	BenchCost	cost = {0};
	double		wal = bench_wal_position(conn);
	long		private = proc_status(pid, "RssAnon:");
	double		ended = ended_cpu(pid);
	double		cpu = bench_backend_cpu(pid);
	double		start = bench_seconds();
	PGresult   *res;

	if (!PQsendQuery(conn, sql))
		bench_die("%s\n%s", sql, PQerrorMessage(conn));
	while (PQisBusy(conn))
	{
		struct pollfd ready = {PQsocket(conn), POLLIN, 0};
		double		memory = 1024.0 * (double) (proc_status(pid, "RssAnon:") - private);
		int			threads = bench_backend_threads(pid);

		if (memory > cost.memory)
			cost.memory = memory;
		if (threads > cost.threads)
			cost.threads = threads;
		if (poll(&ready, 1, WATCH_MS) > 0 && !PQconsumeInput(conn))
			break;
	}
	cost.seconds = bench_seconds() - start;
	while ((res = PQgetResult(conn)) != NULL)
	{
		if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
			bench_die("%s\n%s", sql, PQerrorMessage(conn));
		PQclear(res);
	}
	cost.cpu = bench_backend_cpu(pid) - cpu;
	cost.workers_cpu = ended_cpu(pid) - ended;
	cost.wal = bench_wal_position(conn) - wal;
	return cost;
}

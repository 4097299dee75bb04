/*
 * yardstick.hpp
 *    What the yardsticks inside one process share: searches of an index in one
 *    thread, on the same files and with the same rule of recall as vecx_bench.  They
 *    write JSON of the same shape.
 */
#ifndef BENCH_YARDSTICK_HPP
#define BENCH_YARDSTICK_HPP

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "data.h"

/* An index that is built. */
class Yardstick
{
public:
	virtual ~Yardstick() {}
	/* Searches with a width; id[BENCH_K]; returns how many were found. */
	virtual int search(const float *query, int width, int32_t *id) = 0;
	virtual double nbytes() const = 0;
};

struct BuildCost
{
	double		seconds = 0.0;
	double		cpu = 0.0;		/* of this process, seconds */
};

const double ENOUGH_RECALL = 0.997;
struct Point
{
	int			width;
	double		recall;
	long		missing;
	std::vector<double> latency;
	std::vector<double> round_qps;
	double		cpu;			/* of this process in the timed rounds, seconds */
};

inline double
cpu_seconds()
{
	return (double) clock() / CLOCKS_PER_SEC;
}

/* Cosine is the inner product of vectors of length 1. */
inline std::vector<float>
prepared(const BenchMatrix &m, BenchMetric metric)
{
	std::vector<float> x(m.x, m.x + (size_t) m.nrows * m.dim);

	if (metric != BENCH_COSINE)
		return x;
	for (int i = 0; i < m.nrows; i++)
	{
		float	   *row = x.data() + (size_t) i * m.dim;
		double		norm = 0.0;

		for (int j = 0; j < m.dim; j++)
			norm += (double) row[j] * row[j];
		norm = norm > 0.0 ? 1.0 / std::sqrt(norm) : 0.0;
		for (int j = 0; j < m.dim; j++)
			row[j] = (float) (row[j] * norm);
	}
	return x;
}

/* Fills p's recall when truth is given, else one more round of latencies. */
inline void
pass(Yardstick &index, const BenchMatrix &base, const BenchMatrix &queries, const std::vector<float> &x,
	 BenchMetric metric, const BenchTruth *truth, Point &p)
{
	BenchScore	score = {};
	double		sum = 0.0;
	double		cpu = cpu_seconds();
	int32_t		id[BENCH_K];

	for (int i = 0; i < queries.nrows; i++)
	{
		double		start = bench_seconds();
		int			n = index.search(x.data() + (size_t) i * queries.dim, p.width, id);
		double		seconds = bench_seconds() - start;

		if (truth)
			bench_score_add(&score, metric, &base, queries.x + (size_t) i * queries.dim,
							truth->id + (size_t) i * truth->k, id, n);
		else
		{
			p.latency.push_back(seconds);
			sum += seconds;
		}
	}
	if (truth)
	{
		p.recall = bench_recall(&score);
		p.missing = score.nmissing;
	}
	else
	{
		p.round_qps.push_back(queries.nrows / sum);
		p.cpu += cpu_seconds() - cpu;
	}
}

inline void
write_point(FILE *out, Point &p, int nqueries)
{
	long		n = (long) p.latency.size();
	double		sum = 0.0;
	double		best = 0.0;

	for (int i = 0; i < nqueries; i++)
	{
		double		least = p.latency[i];

		for (long j = i; j < n; j += nqueries)
			least = std::min(least, p.latency[j]);
		best += least;
	}
	bench_sort(p.latency.data(), n);
	for (double l : p.latency)
		sum += l;
	fprintf(out, "{\"width\": %d, \"recall\": %.10g, \"missing_rows\": %ld,\n"
			"\"times\": {\"qps\": %.10g, \"mean_us\": %.10g, \"p50_us\": %.10g, \"p99_us\": %.10g, "
			"\"best_us\": %.10g, \"server_us\": %.10g},\n"
			"\"round_qps\": [",
			p.width, p.recall, p.missing, n / sum, 1e6 * sum / n,
			1e6 * bench_percentile(p.latency.data(), n, 0.50),
			1e6 * bench_percentile(p.latency.data(), n, 0.99),
			1e6 * best / nqueries, 1e6 * p.cpu / n);
	for (size_t i = 0; i < p.round_qps.size(); i++)
		fprintf(out, "%s%.10g", i ? ", " : "", p.round_qps[i]);
	fprintf(out, "]}");
}

inline void
sweep(FILE *out, const char *name, Yardstick &index, const std::vector<int> &widths, const BenchMatrix &base,
	  const char *data, const BenchRowsetDef &def, BenchMetric metric, int nrounds)
{
	std::unique_ptr<char, decltype(&free)> queries_path(bench_path(data, def.queries), free);
	std::unique_ptr<char, decltype(&free)> truth_path(bench_path(data, def.truth), free);
	BenchMatrix queries = bench_read_vectors(queries_path.get());
	BenchTruth	truth = bench_read_truth(truth_path.get());
	std::vector<float> x = prepared(queries, metric);
	std::vector<Point> points;

	for (int width : widths)
	{
		Point		p = {width, 0.0, 0, {}, {}, 0.0};

		pass(index, base, queries, x, metric, &truth, p);
		points.push_back(p);
		if (p.recall > ENOUGH_RECALL)
			break;
	}
	for (int round = 0; round < nrounds; round++)
		for (Point &p : points)
			pass(index, base, queries, x, metric, nullptr, p);
	fprintf(out, "{\"name\": \"%s\", \"queries\": %d, \"rounds\": %d, \"curves\": [\n"
			"{\"engine\": \"%s\", \"points\": [\n", def.name, queries.nrows, nrounds, name);
	for (size_t i = 0; i < points.size(); i++)
	{
		write_point(out, points[i], queries.nrows);
		fputs(i + 1 < points.size() ? ",\n" : "\n", out);
	}
	fprintf(out, "]}]}");
	free(queries.x);
	free(truth.id);
}

/* What the builds of earlier runs cost, kept beside their index files. */
inline bool
kept_cost(const std::string &file, BuildCost *cost)
{
	FILE	   *kept = file.empty() ? nullptr : fopen((file + ".seconds").c_str(), "r");
	int			found = 0;

	if (kept)
	{
		found = fscanf(kept, "%lf %lf", &cost->seconds, &cost->cpu);
		fclose(kept);
	}
	return found == 2;
}

inline void
keep_cost(const std::string &file, const BuildCost &cost)
{
	FILE	   *kept = fopen((file + ".seconds").c_str(), "w");

	if (!kept)
		return;
	fprintf(kept, "%.3f %.3f\n", cost.seconds, cost.cpu);
	fclose(kept);
}

/* Writes the figures: of the build, and of searches unless there are 0 rounds. */
inline int
write_figures(const char *path, const char *name, const char *options, Yardstick &index, const BuildCost &cost,
			  const std::vector<int> &widths, const BenchSetDef *set, const BenchMatrix &base, const char *data,
			  int nrounds)
{
	FILE	   *out = bench_create(path);

	fprintf(out, "{\"engines\": [{\"engine\": \"%s\", \"options\": \"%s\",\n"
			"\"build_seconds\": %.3f, \"build_cpu_seconds\": %.3f, \"index_bytes\": %.0f}],\n\"rowsets\": [\n",
			name, options, cost.seconds, cost.cpu, index.nbytes());
	for (int i = 0; nrounds > 0 && i < BENCH_MAX_ROWSETS && set->rowset[i].name; i++)
	{
		if (i > 0)
			fputs(",\n", out);
		sweep(out, name, index, widths, base, data, set->rowset[i], set->metric, nrounds);
	}
	fprintf(out, "\n]}\n");
	bench_finish(out, path);
	return 0;
}

#endif							/* BENCH_YARDSTICK_HPP */

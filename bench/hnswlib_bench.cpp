/*
 * hnswlib_bench.cpp
 *    The yardstick inside one process: hnswlib with M = 16 and
 *    ef_construction = 200, one thread, on the same files and with the same
 *    rule of recall as vecx_bench.  Writes JSON of the same shape.
 *
 *    usage: hnswlib_bench DATA SET OUT ROUNDS [INDEX]
 *    INDEX is a file that keeps the built index for a later run.  0 rounds: build
 *    only.
 */
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <hnswlib/hnswlib.h>

#include "data.h"

namespace
{

const double ENOUGH_RECALL = 0.997;
const int	WIDTHS[] = {10, 14, 20, 28, 40, 56, 80, 100, 113, 160, 226, 320, 452, 640, 1000};

struct Point
{
	int			width;
	double		recall;
	long		missing;
	std::vector<double> latency;
	std::vector<double> round_qps;
	double		cpu;			/* of this process in the timed rounds, seconds */
};

double
cpu_seconds()
{
	return (double) clock() / CLOCKS_PER_SEC;
}

typedef hnswlib::HierarchicalNSW<float> Graph;

/* Cosine is the inner product of vectors of length 1. */
std::vector<float>
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

int
search(Graph &graph, const float *query, int32_t *id)
{
	auto		heap = graph.searchKnn(query, BENCH_K);
	int			n = (int) heap.size();

	for (int i = n - 1; i >= 0; i--, heap.pop())
		id[i] = (int32_t) heap.top().second;
	return n;
}

/* Fills p's recall when truth is given, else one more round of latencies. */
void
pass(Graph &graph, const BenchMatrix &base, const BenchMatrix &queries, const std::vector<float> &x,
	 BenchMetric metric, const BenchTruth *truth, Point &p)
{
	BenchScore	score = {};
	double		sum = 0.0;
	double		cpu = cpu_seconds();
	int32_t		id[BENCH_K];

	graph.setEf((size_t) p.width);
	for (int i = 0; i < queries.nrows; i++)
	{
		double		start = bench_seconds();
		int			n = search(graph, x.data() + (size_t) i * queries.dim, id);
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

void
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

void
sweep(FILE *out, Graph &graph, const BenchMatrix &base, const char *data, const BenchRowsetDef &def,
	  BenchMetric metric, int nrounds)
{
	std::unique_ptr<char, decltype(&free)> queries_path(bench_path(data, def.queries), free);
	std::unique_ptr<char, decltype(&free)> truth_path(bench_path(data, def.truth), free);
	BenchMatrix queries = bench_read_vectors(queries_path.get());
	BenchTruth	truth = bench_read_truth(truth_path.get());
	std::vector<float> x = prepared(queries, metric);
	std::vector<Point> points;

	for (int width : WIDTHS)
	{
		Point		p = {width, 0.0, 0, {}, {}, 0.0};

		pass(graph, base, queries, x, metric, &truth, p);
		points.push_back(p);
		if (p.recall > ENOUGH_RECALL)
			break;
	}
	for (int round = 0; round < nrounds; round++)
		for (Point &p : points)
			pass(graph, base, queries, x, metric, nullptr, p);
	fprintf(out, "{\"name\": \"%s\", \"queries\": %d, \"rounds\": %d, \"curves\": [\n"
			"{\"engine\": \"hnswlib\", \"points\": [\n", def.name, queries.nrows, nrounds);
	for (size_t i = 0; i < points.size(); i++)
	{
		write_point(out, points[i], queries.nrows);
		fputs(i + 1 < points.size() ? ",\n" : "\n", out);
	}
	fprintf(out, "]}]}");
	free(queries.x);
	free(truth.id);
}

/* The index of an earlier run when the file is there; what its build cost with it. */
std::unique_ptr<Graph>
ready_graph(hnswlib::SpaceInterface<float> *space, const BenchMatrix &base, BenchMetric metric,
			const std::string &file, double *build_seconds,
			double *build_cpu)
{
	std::string seconds_file = file + ".seconds";
	FILE	   *kept = file.empty() ? nullptr : fopen(seconds_file.c_str(), "r");

	if (kept)
	{
		int			found = fscanf(kept, "%lf %lf", build_seconds, build_cpu);

		fclose(kept);
		if (found == 2)
			return std::unique_ptr<Graph>(new Graph(space, file));
	}

	std::vector<float> x = prepared(base, metric);
	double		start = bench_seconds();
	double		cpu = cpu_seconds();
	std::unique_ptr<Graph> graph(new Graph(space, (size_t) base.nrows, 16, 200));

	for (int i = 0; i < base.nrows; i++)
		graph->addPoint(x.data() + (size_t) i * base.dim, (size_t) i);
	*build_seconds = bench_seconds() - start;
	*build_cpu = cpu_seconds() - cpu;
	if (!file.empty())
	{
		graph->saveIndex(file);
		kept = fopen(seconds_file.c_str(), "w");
		if (kept)
		{
			fprintf(kept, "%.3f %.3f\n", *build_seconds, *build_cpu);
			fclose(kept);
		}
	}
	return graph;
}

/* What saveIndex writes: vectors and base links, then the upper links. */
double
graph_bytes(const Graph &graph)
{
	double		nbytes = (double) graph.cur_element_count * (double) graph.size_data_per_element_;

	for (size_t i = 0; i < graph.cur_element_count; i++)
		nbytes += 4.0 + (double) graph.element_levels_[i] * (double) graph.size_links_per_element_;
	return nbytes;
}

}								/* namespace */

int
main(int argc, char **argv)
{
	if (argc < 5 || argc > 6 || atoi(argv[4]) < 0)
	{
		fputs("usage: hnswlib_bench DATA SET OUT ROUNDS [INDEX]\n", stderr);
		return 2;
	}
	const BenchSetDef *set = bench_set_find(argv[2]);
	BenchMatrix base = bench_read_vectors(bench_path(argv[1], set->base));
	std::unique_ptr<hnswlib::SpaceInterface<float>> space;
	double		build_seconds = 0.0;
	double		build_cpu = 0.0;

	if (set->metric == BENCH_L2)
		space.reset(new hnswlib::L2Space((size_t) base.dim));
	else
		space.reset(new hnswlib::InnerProductSpace((size_t) base.dim));
	std::unique_ptr<Graph> graph = ready_graph(space.get(), base, set->metric,
											   argc == 6 ? argv[5] : "", &build_seconds,
											   &build_cpu);
	FILE	   *out = fopen(argv[3], "w");

	if (out == nullptr)
		bench_die("could not write \"%s\"", argv[3]);
	fprintf(out, "{\"engines\": [{\"engine\": \"hnswlib\", \"options\": \"M = 16, ef_construction = 200\",\n"
			"\"build_seconds\": %.3f, \"build_cpu_seconds\": %.3f, \"index_bytes\": %.0f}],\n\"rowsets\": [\n",
			build_seconds, build_cpu, graph_bytes(*graph));
	for (int i = 0; atoi(argv[4]) > 0 && i < BENCH_MAX_ROWSETS && set->rowset[i].name; i++)
	{
		if (i > 0)
			fputs(",\n", out);
		sweep(out, *graph, base, argv[1], set->rowset[i], set->metric, atoi(argv[4]));
	}
	fprintf(out, "\n]}\n");
	return fclose(out) == 0 ? 0 : 1;
}

/*
 * hnswlib_bench.cpp
 *    The yardstick of graphs: hnswlib with M = 16 and ef_construction = 200.
 *
 *    usage: hnswlib_bench DATA SET OUT ROUNDS [INDEX]
 *    INDEX is a file that keeps the built index for a later run.  0 rounds: build
 *    only.
 */
#include <hnswlib/hnswlib.h>

#include "yardstick.hpp"

namespace
{

const std::vector<int> WIDTHS = {10, 14, 20, 28, 40, 56, 80, 100, 113, 160, 226, 320, 452, 640, 1000};

typedef hnswlib::HierarchicalNSW<float> Graph;
typedef hnswlib::SpaceInterface<float> Space;

class GraphYardstick : public Yardstick
{
public:
	explicit GraphYardstick(std::unique_ptr<Graph> built) : graph(std::move(built)) {}

	int search(const float *query, int width, int32_t *id) override
	{
		graph->setEf((size_t) width);
		auto		heap = graph->searchKnn(query, BENCH_K);
		int			n = (int) heap.size();

		for (int i = n - 1; i >= 0; i--, heap.pop())
			id[i] = (int32_t) heap.top().second;
		return n;
	}

	/* What saveIndex writes: vectors and base links, then the upper links. */
	double nbytes() const override
	{
		double		sum = (double) graph->cur_element_count * (double) graph->size_data_per_element_;

		for (size_t i = 0; i < graph->cur_element_count; i++)
			sum += 4.0 + (double) graph->element_levels_[i] * (double) graph->size_links_per_element_;
		return sum;
	}

private:
	std::unique_ptr<Graph> graph;
};

/* The index of an earlier run when the file is there. */
std::unique_ptr<Graph>
ready_graph(Space *space, const BenchMatrix &base, BenchMetric metric, const std::string &file, BuildCost *cost)
{
	if (kept_cost(file, cost))
		return std::unique_ptr<Graph>(new Graph(space, file));

	std::vector<float> x = prepared(base, metric);
	double		start = bench_seconds();
	double		cpu = cpu_seconds();
	std::unique_ptr<Graph> graph(new Graph(space, (size_t) base.nrows, 16, 200));

	for (int i = 0; i < base.nrows; i++)
		graph->addPoint(x.data() + (size_t) i * base.dim, (size_t) i);
	cost->seconds = bench_seconds() - start;
	cost->cpu = cpu_seconds() - cpu;
	if (!file.empty())
	{
		graph->saveIndex(file);
		keep_cost(file, *cost);
	}
	return graph;
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
	std::unique_ptr<Space> space;
	BuildCost	cost;

	if (set->metric == BENCH_L2)
		space.reset(new hnswlib::L2Space((size_t) base.dim));
	else
		space.reset(new hnswlib::InnerProductSpace((size_t) base.dim));
	GraphYardstick index(ready_graph(space.get(), base, set->metric, argc == 6 ? argv[5] : "", &cost));

	return write_figures(argv[3], "hnswlib", "M = 16, ef_construction = 200", index, cost, WIDTHS, set, base,
						 argv[1], atoi(argv[4]));
}

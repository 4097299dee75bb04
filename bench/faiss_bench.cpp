/*
 * faiss_bench.cpp
 *    The yardstick of lists: faiss' IVF with product quantisation of 4 bits, scored
 *    by FastScan, and exact refinement; one thread.
 *
 *    usage: faiss_bench DATA SET OUT ROUNDS [INDEX]
 *    INDEX is a file that keeps the built index for a later run.  0 rounds: build
 *    only.
 */
#include <faiss/IndexIVF.h>
#include <faiss/IndexRefine.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <omp.h>

#include "yardstick.hpp"

namespace
{

const std::vector<int> WIDTHS = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};

const int	REFINED = 10;		/* candidates for one row wanted */

/* Some 4 sqrt(rows) lists, and a sub-quantiser for two dimensions, for four of long vectors. */
std::string
description(const BenchMatrix &base)
{
	int			nlists = (int) (4.0 * std::sqrt((double) base.nrows));
	int			m = base.dim <= 512 ? base.dim / 2 : base.dim / 4;

	return "IVF" + std::to_string(nlists) + ",PQ" + std::to_string(m) + "x4fs,RFlat";
}

class ListsYardstick : public Yardstick
{
public:
	ListsYardstick(std::unique_ptr<faiss::Index> built, int dim) : index(std::move(built)), dim(dim)
	{
		refine = dynamic_cast<faiss::IndexRefine *>(index.get());
		ivf = refine ? dynamic_cast<faiss::IndexIVF *>(refine->base_index) : nullptr;
		if (!ivf)
			bench_die("the index of faiss is not what was asked for");
		refine->k_factor = REFINED;
	}

	int search(const float *query, int width, int32_t *id) override
	{
		float		distance[BENCH_K];
		faiss::Index::idx_t label[BENCH_K];
		int			n = 0;

		ivf->nprobe = (size_t) width;
		index->search(1, query, BENCH_K, distance, label);
		while (n < BENCH_K && label[n] >= 0)
		{
			id[n] = (int32_t) label[n];
			n++;
		}
		return n;
	}

	/* Codes and row numbers; the vectors, which refine, are those of a table. */
	double nbytes() const override
	{
		return (double) ivf->ntotal * ((double) ivf->code_size + sizeof(faiss::Index::idx_t)) +
			(double) ivf->nlist * dim * sizeof(float);
	}

private:
	std::unique_ptr<faiss::Index> index;
	faiss::IndexRefine *refine;
	faiss::IndexIVF *ivf;
	int			dim;
};

/* The index of an earlier run when the file is there. */
std::unique_ptr<faiss::Index>
ready_index(const std::string &wanted, const BenchMatrix &base, BenchMetric metric, const std::string &file,
			BuildCost *cost)
{
	if (kept_cost(file, cost))
		return std::unique_ptr<faiss::Index>(faiss::read_index(file.c_str()));

	std::vector<float> x = prepared(base, metric);
	double		start = bench_seconds();
	double		cpu = cpu_seconds();
	std::unique_ptr<faiss::Index> index(faiss::index_factory(base.dim, wanted.c_str()));

	index->train(base.nrows, x.data());
	index->add(base.nrows, x.data());
	cost->seconds = bench_seconds() - start;
	cost->cpu = cpu_seconds() - cpu;
	if (!file.empty())
	{
		faiss::write_index(index.get(), file.c_str());
		keep_cost(file, *cost);
	}
	return index;
}

}								/* namespace */

int
main(int argc, char **argv)
{
	if (argc < 5 || argc > 6 || atoi(argv[4]) < 0)
	{
		fputs("usage: faiss_bench DATA SET OUT ROUNDS [INDEX]\n", stderr);
		return 2;
	}
	const BenchSetDef *set = bench_set_find(argv[2]);
	BenchMatrix base = bench_read_vectors(bench_path(argv[1], set->base));
	std::string wanted = description(base);
	BuildCost	cost;

	omp_set_num_threads(1);
	ListsYardstick index(ready_index(wanted, base, set->metric, argc == 6 ? argv[5] : "", &cost), base.dim);

	return write_figures(argv[3], "faiss", wanted.c_str(), index, cost, WIDTHS, set, base, argv[1], atoi(argv[4]));
}

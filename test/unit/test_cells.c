/*
 * test_cells.c
 *    Proves src/code/code_cells.h: vectors belong to near cells, or to none where they are
 *    far from all; those cells that begin within reach have about as many of the nearest as
 *    was asked for, and are a part of all; bytes that are no cells are told.
 *
 * An argument is the seed of the random data.
 */
#include <math.h>
#include <stdbool.h>

#include "../../src/code/code_cells.h"
#include "unit.h"
#include "unit_code.h"

#define NROWS		4000
#define NQUERIES	100
#define NEAREST		10

typedef struct Distance
{
	double		dist;
	size_t		row;
} Distance;

static int
compare(const void *a, const void *b)
{
	double		x = ((const Distance *) a)->dist;
	double		y = ((const Distance *) b)->dist;

	return (x > y) - (x < y);
}

/*
 * Of the nearest of every other row those in cells that begin before the last of them: their
 * share, and the share of rows in these cells.
 */
static void
search(const VecxCells *cells, const VecxCoder *coder, const float *rows, const uint32_t *cell_of,
	   double recall, void *scratch, double *found, double *read)
{
	uint32_t	dim = coder->dim;
	float	   *mean = get(sizeof(float) * cells->head.count);
	float	   *deviation = get(sizeof(float) * cells->head.count);
	Distance   *near = get(sizeof(Distance) * NROWS);

	int			alike = 0;

	*found = *read = 0.0;
	for (size_t q = 0; q < NQUERIES; q++)
	{
		const float *x = rows + (NROWS + q) * dim;
		VecxCodeQuery query;
		float		reach;
		float		cosine;

		for (size_t r = 0; r < NROWS; r++)
			near[r] = (Distance) {true_distance(coder->metric, x, rows + r * dim, dim), r};
		for (size_t r = 0; r < NROWS / 2; r++)
			near[r] = near[2 * r + q % 2];
		qsort(near, NROWS / 2, sizeof(Distance), compare);
		reach = (float) near[NEAREST - 1].dist;
		vecx_code_query_init(coder, &query, x, scratch);
		alike += vecx_cells_distances(cells, coder, &query, mean, deviation);
		cosine = vecx_cells_cosine(cells, coder, &query, recall, reach);
		for (size_t r = 0; r < NROWS / 2; r++)
		{
			uint32_t	cell = cell_of[near[r].row];

			if (cell < cells->head.count && mean[cell] - cosine * deviation[cell] > reach)
				continue;
			*found += r < NEAREST ? 1.0 / NEAREST / NQUERIES : 0.0;
			*read += 2.0 / NROWS / NQUERIES;
		}
	}
	UNIT_CHECK(alike >= 0.9 * NQUERIES, "%d of %d queries are like the sample", alike, NQUERIES);
	free(mean);
	free(deviation);
	free(near);
}

static void
test_broken(const VecxCoder *coder, uint8_t *bytes, size_t nbytes)
{
	VecxCellsHead *head = (VecxCellsHead *) (void *) bytes;
	VecxCellsHead right = *head;
	VecxCells	cells;

	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes - 1) != NULL, "too few bytes are no cells");
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, sizeof(float)) != NULL, "nor are hardly any");
	head->magic++;
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes) != NULL, "nor such that begin otherwise");
	*head = right;
	head->count = 0;
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes) != NULL, "nor none");
	*head = right;
	head->cosine[1][1] = NAN;
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes) != NULL, "nor such with a cosine that is no number");
	*head = right;
	head->reach[1] = head->reach[0] - 1.0f;
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes) != NULL, "nor such whose reaches fall");
	*head = right;
	head->share[0][0] = 1.5f;
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes) != NULL, "nor such with a share above one");
	*head = right;
	memset(bytes + sizeof(*head), 0xff, sizeof(float));
	UNIT_CHECK(vecx_cells_bind(&cells, coder, bytes, nbytes) != NULL, "nor such with a radius that is no number");
}

/* Queries of other lengths, and such as none of the rows is like. */
static void
test_scales(const VecxCoder *coder, const VecxCells *cells, const float *row, const float *far, void *scratch)
{
	float	   *mean = get(sizeof(float) * cells->head.count);
	float	   *deviation = get(sizeof(float) * cells->head.count);
	float	   *x = get(sizeof(float) * coder->dim);
	VecxCodeQuery query;
	float		cosine;

	vecx_code_query_init(coder, &query, far, scratch);
	UNIT_CHECK(vecx_cells_distances(cells, coder, &query, mean, deviation) == (coder->metric == VECX_METRIC_IP),
			   "a query far from all is unlike the sample, but for its products");
	if (coder->metric == VECX_METRIC_IP)
	{
		vecx_code_query_init(coder, &query, row, scratch);
		cosine = vecx_cells_cosine(cells, coder, &query, 0.9, -10.0f);
		for (uint32_t i = 0; i < coder->dim; i++)
			x[i] = 0.01f * row[i];
		vecx_code_query_init(coder, &query, x, scratch);
		UNIT_CHECK(fabsf(vecx_cells_cosine(cells, coder, &query, 0.9, -0.1f) - cosine) < 1e-3f,
				   "a query's length does not matter to products");
	}
	free(mean);
	free(deviation);
	free(x);
}

static void
test_cells(VecxMetric metric, uint32_t dim, uint32_t bits)
{
	float	   *rows = make_rows(NROWS + NQUERIES, dim, metric);
	float	   *far = get(sizeof(float) * dim);
	uint32_t   *cell_of = get(sizeof(uint32_t) * NROWS);
	VecxCoder	coder;
	VecxCodeQuery query;
	VecxCells	cells;
	size_t		nbytes;
	uint8_t    *bytes;
	void	   *scratch;
	double		outside = 0.0;
	double		found;
	double		read;
	double		share_expected;

	vecx_coder_init(&coder, bits > 0 ? vecx_code_rabitq(bits) : VECX_CODE_NONE, metric, dim, 0);
	scratch = get(vecx_code_query_scratch(&coder));
	blocks_out = polls = 0;
	bytes = vecx_cells_train(&env, &coder, rows, sizeof(float) * dim, NROWS / 2, 60, 7, &nbytes);
	UNIT_CHECK(polls > 100, "%s: training polls", metric_names[metric]);
	UNIT_CHECK(blocks_out == 1, "%s: training keeps %ld blocks", metric_names[metric], blocks_out);
	UNIT_CHECK(vecx_cells_bind(&cells, &coder, bytes, nbytes) == NULL, "%s: trained cells are cells", metric_names[metric]);
	UNIT_CHECK(cells.head.count >= 20 && cells.head.count <= 80, "%s: %u cells of 60", metric_names[metric],
			   cells.head.count);
	for (size_t r = 0; r < NROWS; r++)
	{
		vecx_code_query_init(&coder, &query, rows + r * dim, scratch);
		cell_of[r] = vecx_cells_nearest(&cells, &coder, &query);
		outside += (double) (cell_of[r] == cells.head.count) / NROWS;
	}
	UNIT_CHECK(outside < 0.05, "%s, %u dims: %.3f of the rows are in no cell", metric_names[metric], dim, outside);
	for (uint32_t i = 0; i < dim; i++)
		far[i] = (i % 2 ? 30.0f : -30.0f) * (1.0f + rows[i]);
	vecx_code_query_init(&coder, &query, far, scratch);
	UNIT_CHECK(vecx_cells_nearest(&cells, &coder, &query) == cells.head.count,
			   "%s, %u dims: what is far from all is in none", metric_names[metric], dim);
	for (double recall = 0.8; recall < 1.0; recall += 0.15)
	{
		search(&cells, &coder, rows, cell_of, recall, scratch, &found, &read);
		share_expected = (double) vecx_cells_share(&cells, recall, NEAREST, NROWS / 2);
		UNIT_CHECK(found >= recall - 0.02, "%s, %u dims: %.3f of the nearest are found for %.2f",
				   metric_names[metric], dim, found, recall);
		UNIT_CHECK(fabs(read - share_expected) < 0.15, "%s, %u dims: %.3f of the rows are read, %.3f expected",
				   metric_names[metric], dim, read, share_expected);
		UNIT_CHECK(read < 0.7, "%s, %u dims: %.3f of the rows are not all", metric_names[metric], dim, read);
	}
	vecx_code_query_init(&coder, &query, rows, scratch);
	cells.head.cosine[0][0] = 0.5f;
	if (metric != VECX_METRIC_IP)
		UNIT_CHECK(fabsf(vecx_cells_cosine(&cells, &coder, &query, 0.8, cells.head.reach[0]) - 0.5f) < 1e-3f &&
				   fabsf(vecx_cells_cosine(&cells, &coder, &query, 0.8, cells.head.reach[0] / 2.0f) - 0.75f) < 1e-3f &&
				   vecx_cells_cosine(&cells, &coder, &query, 0.8, 0.0f) >= 1.0f,
				   "%s, %u dims: what is as good as the query itself may lie where that does", metric_names[metric], dim);
	test_scales(&coder, &cells, rows, far, scratch);
	test_broken(&coder, bytes, nbytes);
	free(rows);
	free(far);
	free(cell_of);
	free(scratch);
	free(bytes);
}

int
main(int argc, char **argv)
{
	VecxCoder	coder;

	random_begin(argc, argv);
	test_cells(VECX_METRIC_L2, 100, 1);
	test_cells(VECX_METRIC_L2, 8, 0);
	test_cells(VECX_METRIC_COSINE, 300, 1);
	test_cells(VECX_METRIC_IP, 64, 4);
	vecx_coder_init(&coder, VECX_CODE_BITS_SAMPLE, VECX_METRIC_HAMMING, 256, 64);
	UNIT_CHECK(!vecx_cells_fit(&coder), "bits have no cells");
	return unit_done();
}

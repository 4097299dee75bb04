/*
 * test_list.c
 *    Proves src/code/code_list.h: what blocks keep, that estimates are what the
 *    header's formula says and as far from the truth as sigma says, under each
 *    metric and quantiser; serialised forms; what each training of PQ is for.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code_int.h"
#include "../../src/code/code_list_int.h"
#include "unit.h"
#include "unit_code.h"

#define DIM		96
#define ROWS	800
#define QUERIES	10
#define LISTS	3

/* ---- data: a few directions carry most of the variance, about some centres ---- */

static float rows[ROWS][DIM];
static float queries[QUERIES][DIM];
static float centres[LISTS][DIM];
static uint32_t centre_of[ROWS];

static void
make_vector(uint64_t *rng, const float *centre, float spread, float *x)
{
	float		hidden[12];

	for (int i = 0; i < 12; i++)
		hidden[i] = (float) vecx_random_normal(rng) * 3.0f / (float) (1 + i);
	for (int d = 0; d < DIM; d++)
	{
		uint64_t	column = (uint64_t) d * 7919;
		float		sum = 0.2f * (float) vecx_random_normal(rng);

		for (int i = 0; i < 12; i++)
			sum += hidden[i] * (float) vecx_random_normal(&column) / 3.0f;
		x[d] = centre[d] + spread * sum;
	}
}

static void
make_data(VecxMetric metric)
{
	uint64_t	rng = 99;

	for (int c = 0; c < LISTS; c++)
		for (int d = 0; d < DIM; d++)
			centres[c][d] = (float) vecx_random_normal(&rng);
	for (int r = 0; r < ROWS + QUERIES; r++)
	{
		float	   *x = r < ROWS ? rows[r] : queries[r - ROWS];
		uint32_t	c = vecx_random_below(&rng, LISTS);

		make_vector(&rng, centres[c], metric == VECX_METRIC_IP ? 0.2f + (float) (r % 7) / 7 : 1, x);
		if (r < ROWS)
			centre_of[r] = c;
		if (metric == VECX_METRIC_COSINE)
		{
			float		norm = sqrtf(vecx_kernels->ip_f32(x, x, DIM));

			for (int d = 0; d < DIM; d++)
				x[d] /= norm;
		}
	}
	if (metric == VECX_METRIC_COSINE)
		for (int c = 0; c < LISTS; c++)
			for (int d = 0; d < DIM; d++)
				centres[c][d] /= 10.0f;
}

static uint8_t *
train(VecxListQuantizer quantizer, uint32_t bits, uint32_t m, VecxPqTraining training,
	  VecxMetric metric, const VecxListSample *sample, VecxListCode *code, size_t *nbytes)
{
	VecxListOptions options = {quantizer, bits, m, training, 5};
	uint8_t    *bytes = vecx_list_code_train(&env, &options, metric, DIM, sample, nbytes);
	const char *problem = vecx_list_code_bind(code, bytes, *nbytes);

	if (problem != NULL)
		printf("# %s\n", problem);
	return bytes;
}

/* ---- a set of blocks ---- */

typedef struct Blocks
{
	uint8_t    *columns;		/* [blocks][code_bytes] */
	VecxListFactors *factors;
	uint8_t    *extras;			/* [ROWS][extra_bytes] */
	float	   *centres_y;
	void	   *scratch;
	bool		same;			/* what was put is what is got */
} Blocks;

static void
fill_blocks(const VecxListCode *code, Blocks *blocks)
{
	size_t		nblocks = (ROWS + VECX_LIST_BLOCK - 1) / VECX_LIST_BLOCK;
	float	   *y = malloc(code->proj_floats * sizeof(float));
	uint8_t    *codes = malloc(code->ncolumns);
	uint8_t    *got = malloc(code->ncolumns);

	blocks->columns = calloc(nblocks, code->code_bytes);
	blocks->factors = calloc(nblocks, sizeof(VecxListFactors));
	blocks->extras = code->extra_bytes > 0 ? malloc((size_t) ROWS * code->extra_bytes) : NULL;
	blocks->centres_y = malloc((size_t) LISTS * code->proj_floats * sizeof(float));
	blocks->scratch = malloc(vecx_list_scratch(code, VECX_MOST_AT_ONCE));
	blocks->same = true;
	vecx_list_project_many(code, centres[0], LISTS, blocks->centres_y, blocks->scratch);
	for (int r = ROWS - 1; r >= 0; r--)
	{
		uint8_t    *columns = blocks->columns + (size_t) (r / 32) * code->code_bytes;
		VecxListCentre centre = {
			centres[centre_of[r]],
			blocks->centres_y + (size_t) centre_of[r] * code->proj_floats
		};
		VecxListEntry entry = {
			.codes = codes,
			.extra = blocks->extras ? blocks->extras + (size_t) r * code->extra_bytes : NULL
		};
		VecxListEntry back = {.codes = got};
		uint32_t	half = code->ncolumns / 2;

		vecx_list_project(code, rows[r], y, blocks->scratch);
		vecx_list_encode(code, &centre, rows[r], y, &entry, blocks->scratch);
		vecx_list_put_codes(code, columns, 0, half, r % 32, codes);
		vecx_list_put_codes(code, columns + (size_t) half * code->column_bytes, half,
							code->ncolumns - half, r % 32, codes);
		vecx_list_put_factors(&blocks->factors[r / 32], r % 32, &entry);
		vecx_list_get_codes(code, columns, 0, code->ncolumns, r % 32, got);
		vecx_list_get_factors(&blocks->factors[r / 32], r % 32, &back);
		blocks->same = blocks->same && memcmp(codes, got, code->ncolumns) == 0 &&
			back.add == entry.add && back.rescale == entry.rescale &&
			back.sigma == entry.sigma && vecx_list_entry_check(code, &entry) &&
			(entry.extra == NULL || vecx_list_extra_check(code, entry.extra));
	}
	free(y);
	free(codes);
	free(got);
}

static void
free_blocks(Blocks *blocks)
{
	free(blocks->columns);
	free(blocks->factors);
	free(blocks->extras);
	free(blocks->centres_y);
	free(blocks->scratch);
}

/* Estimates of all rows for a query, coarse and, with extra bits, fine. */
static void
estimate_rows(const VecxListCode *code, const Blocks *blocks, const float *q, float *est,
			  float *sigma, float *fine, float *fine_sigma)
{
	void	   *scratch = malloc(vecx_list_query_bytes(code));
	VecxListQuery query;

	vecx_list_query_init(code, &query, q, scratch);
	for (int r = 0; r < ROWS; r++)
	{
		const uint8_t *columns = blocks->columns + (size_t) (r / 32) * code->code_bytes;
		const float *c = centres[centre_of[r]];
		uint32_t	half = code->ncolumns / 2;
		uint32_t	sums[32] = {0};
		float		ests[32];
		float		sigmas[32];
		VecxListProbe probe;

		vecx_list_probe_init(code, &query, (float) true_distance(code->metric, q, c, DIM),
							 vecx_kernels->ip_f32(c, c, DIM), &probe);
		vecx_list_add_sums(code, &query, columns, 0, half, sums);
		vecx_list_add_sums(code, &query, columns + (size_t) half * code->column_bytes, half,
						   code->ncolumns - half, sums);
		vecx_list_estimates(&query, &probe, sums, &blocks->factors[r / 32], ests, sigmas);
		est[r] = fine[r] = ests[r % 32];
		sigma[r] = fine_sigma[r] = sigmas[r % 32];
		if (code->extra_bytes > 0)
			vecx_list_refine(code, &query, &probe, vecx_list_product(&query, sums[r % 32]),
							 blocks->extras + (size_t) r * code->extra_bytes, &fine[r],
							 &fine_sigma[r]);
	}
	free(scratch);
}

typedef struct Errors
{
	double		bias;			/* of error / sigma: mean, root of mean square */
	double		root;
	double		absolute;		/* mean |error| */
	double		recall;			/* of the ten nearest, among the ten estimated nearest */
	double		missed;			/* of the ten nearest, those below their bounds */
} Errors;

static int
rank_of(const float *distances, int row)
{
	int			rank = 0;

	for (int r = 0; r < ROWS; r++)
		rank += distances[r] < distances[row];
	return rank;
}

static void
add_errors(Errors *errors, VecxMetric metric, const float *q, const float *est, const float *sigma)
{
	float		truth[ROWS];

	for (int r = 0; r < ROWS; r++)
	{
		double		error = (double) est[r] - true_distance(metric, q, rows[r], DIM);

		truth[r] = (float) true_distance(metric, q, rows[r], DIM);
		errors->bias += error / (double) sigma[r] / (ROWS * QUERIES);
		errors->root += pow(error / (double) sigma[r], 2.0) / (ROWS * QUERIES);
		errors->absolute += fabs(error) / (ROWS * QUERIES);
	}
	for (int r = 0; r < ROWS; r++)
		if (rank_of(truth, r) < 10)
		{
			errors->recall += rank_of(est, r) < 10 ? 0.1 / QUERIES : 0.0;
			errors->missed += est[r] - VECX_LIST_SIGMAS * sigma[r] > truth[r] ? 0.1 / QUERIES : 0.0;
		}
}

static void
measure(const VecxListCode *code, const Blocks *blocks, Errors *coarse, Errors *fine)
{
	memset(coarse, 0, sizeof(*coarse));
	memset(fine, 0, sizeof(*fine));
	for (int q = 0; q < QUERIES; q++)
	{
		float		est[ROWS];
		float		sigma[ROWS];
		float		fine_est[ROWS];
		float		fine_sigma[ROWS];

		estimate_rows(code, blocks, queries[q], est, sigma, fine_est, fine_sigma);
		add_errors(coarse, code->metric, queries[q], est, sigma);
		add_errors(fine, code->metric, queries[q], fine_est, fine_sigma);
	}
	coarse->root = sqrt(coarse->root);
	fine->root = sqrt(fine->root);
}

/* ---- the tests ---- */

static const VecxListSample sample = {
	.rows = rows[0], .nrows = ROWS, .centres = centres[0], .centre_of = centre_of
};

static void
test_rabitq(VecxMetric metric)
{
	double		last = 0.0;

	for (uint32_t bits = 1; bits <= 8; bits += bits < 2 ? 1 : 3)
	{
		Errors		coarse;
		Errors		fine;
		Blocks		blocks;
		VecxListCode code;
		size_t		nbytes;
		uint8_t    *bytes = train(VECX_LIST_RABITQ, bits, 0, 0, metric, &sample, &code, &nbytes);

		fill_blocks(&code, &blocks);
		measure(&code, &blocks, &coarse, &fine);
		UNIT_CHECK(blocks.same, "rabitq %u, %s: blocks keep what is put", bits, metric_names[metric]);
		UNIT_CHECK(fabs(coarse.bias) < 0.35 && coarse.root < 1.6,
				   "rabitq %u, %s: errors are %.2f +- %.2f sigma", bits, metric_names[metric],
				   coarse.bias, coarse.root);
		UNIT_CHECK(bits == 1 || (fabs(fine.bias) < 0.35 && fine.root < 1.6),
				   "rabitq %u, %s: with all bits %.2f +- %.2f sigma", bits, metric_names[metric],
				   fine.bias, fine.root);
		UNIT_CHECK(fine.recall > last - 0.02, "rabitq %u, %s: recall %.3f after %.3f", bits,
				   metric_names[metric], fine.recall, last);
		last = fine.recall;
		free_blocks(&blocks);
		env_release(NULL, bytes);
	}
	UNIT_CHECK(last > 0.97, "rabitq 8, %s: recall %.3f", metric_names[metric], last);
}

static void
test_pq(VecxMetric metric, uint32_t bits, uint32_t m, VecxPqTraining training, double least)
{
	const char *name = vecx_pq_training_name(training);
	Errors		coarse;
	Errors		fine;
	Blocks		blocks;
	VecxListCode code;
	size_t		nbytes;
	uint8_t    *bytes = train(VECX_LIST_PQ, bits, m, training, metric, &sample, &code, &nbytes);

	fill_blocks(&code, &blocks);
	measure(&code, &blocks, &coarse, &fine);
	UNIT_CHECK(blocks.same, "pq %s %u x %u, %s: blocks keep what is put", name, m, bits,
			   metric_names[metric]);
	UNIT_CHECK(coarse.missed < 0.25, "pq %s %u x %u, %s: %.2f of the nearest are below their bounds",
			   name, m, bits, metric_names[metric], coarse.missed);
	UNIT_CHECK(coarse.recall >= least, "pq %s %u x %u, %s: recall %.3f of at least %.3f", name, m,
			   bits, metric_names[metric], coarse.recall, least);
	free_blocks(&blocks);
	env_release(NULL, bytes);
}

/* Every table of kernels must give the same integers, so the same estimates. */
static void
test_kernels(void)
{
	static const char *const names[] = {"scalar", "avx2", "avx512", "neon"};
	static float expected[ROWS];
	VecxListCode code;
	Blocks		blocks;
	size_t		nbytes;
	uint8_t    *bytes = train(VECX_LIST_PQ, 4, 37, VECX_PQ_KMEANS, VECX_METRIC_L2, &sample, &code,
							  &nbytes);

	fill_blocks(&code, &blocks);
	for (int i = 0; i < 4; i++)
	{
		static float est[ROWS];
		static float other[ROWS];
		double		worst = 0.0;

		if (vecx_kernels_choose(names[i]) != 0)
			continue;
		estimate_rows(&code, &blocks, queries[0], i == 0 ? expected : est, other, other, other);
		for (int r = 0; r < ROWS && i > 0; r++)
			worst = fmax(worst, fabs((double) (est[r] - expected[r])) / (double) fabsf(expected[r]));
		/* projections are sums of floats: tables may round to a neighbour */
		UNIT_CHECK(worst < 0.02, "%s estimates like scalar within %.4f", names[i], worst);
	}
	(void) vecx_kernels_choose("auto");
	free_blocks(&blocks);
	env_release(NULL, bytes);
}

/* A query whose projection has so much more of the first dimension, by what the projection
 * makes of each unit vector. */
static void
push_query(const VecxListCode *code, const float *q, float by, float *out)
{
	void	   *scratch = get(vecx_list_scratch(code, VECX_MOST_AT_ONCE));
	float	   *of_unit = get(sizeof(float) * code->proj_floats);
	float	   *of_zero = get(sizeof(float) * code->proj_floats);
	float		unit[DIM] = {0};

	vecx_list_project(code, unit, of_zero, scratch);
	for (int d = 0; d < DIM; d++)
	{
		unit[d] = 1.0f;
		vecx_list_project(code, unit, of_unit, scratch);
		unit[d] = 0.0f;
		out[d] = q[d] + by * (of_unit[0] - of_zero[0]);
	}
	free(of_zero);
	free(of_unit);
	free(scratch);
}

/*
 * Entries of narrow columns are fractions of the step that the widest column gives all.  Of
 * near rows they are the greatest, and their sum is to be right all the same: by how many
 * times its noise is it wrong, of a query with so much of one direction?
 */
static double
error_of_greatest(const VecxListCode *code, const float *q, float by, double *noise)
{
	uint32_t	entries = 1u << code->bits;
	void	   *scratch = get(vecx_list_query_bytes(code) + 64);
	float		pushed[DIM];
	double		truth = 0.0;
	uint8_t    *codes = get(code->ncolumns);
	uint8_t    *columns = get(code->code_bytes + 64);
	uint32_t	sums[VECX_LIST_BLOCK] = {0};
	VecxListQuery query;
	double		error;

	push_query(code, q, by, pushed);
	vecx_list_query_init(code, &query, pushed, scratch);
	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		uint32_t	first = c * code->pdims / code->ncolumns;
		uint32_t	end = (c + 1) * code->pdims / code->ncolumns;
		double		greatest = -HUGE_VAL;
		uint32_t	best = 0;

		for (uint32_t k = 0; k < entries; k++)
		{
			double		product = 0.0;

			for (uint32_t d = first; d < end; d++)
				product += (double) (query.y[d] * code->score_books[(size_t) d * entries + k]);
			if (product > greatest)
			{
				greatest = product;
				best = k;
			}
		}
		truth += greatest;
		codes[c] = (uint8_t) best;
	}
	vecx_list_put_codes(code, columns, 0, code->ncolumns, 0, codes);
	vecx_list_add_sums(code, &query, columns, 0, code->ncolumns, sums);
	error = fabs((double) vecx_list_product(&query, sums[0]) - truth) / (double) query.noise;
	*noise = (double) query.noise;
	free(codes);
	free(columns);
	free(scratch);
	return error;
}

static void
test_uneven_tables(void)
{
	VecxListOptions options = {VECX_LIST_PQ, 4, DIM, VECX_PQ_PLAIN, 5};
	VecxListCode code;
	size_t		nbytes;
	uint8_t    *bytes = vecx_list_code_train(&env, &options, VECX_METRIC_L2, DIM, &sample, &nbytes);
	double		worst = 0.0;
	double		narrow = 0.0;
	double		wide = 0.0;

	UNIT_CHECK(vecx_list_code_bind(&code, bytes, nbytes) == NULL && code.pdims % code.ncolumns == 0,
			   "a quantiser of %u columns", code.ncolumns);
	for (int q = 0; q < QUERIES; q++)
		for (float by = 1.0f; by < 1e4f; by *= 2.0f)
			worst = fmax(worst, error_of_greatest(&code, queries[q], by, by > 1.0f ? &wide : &narrow));
	UNIT_CHECK(wide < 64.0 * narrow, "two bytes of a column 8,192 times as wide: %.1f times the noise", wide / narrow);
	UNIT_CHECK(worst < 4.0, "tables of one wide column tell what the narrow ones do: %.1f of their noise off", worst);
	env_release(NULL, bytes);
}

/* An entry of a column's table, element by element. */
static double
table_entry(const VecxListCode *code, const float *y, uint32_t c, uint32_t entry)
{
	uint32_t	entries = 1u << code->bits;
	double		sum = 0.0;

	if (code->quantizer == VECX_LIST_RABITQ)
		for (uint32_t i = 0; i < 4; i++)
			sum += entry >> i & 1 ? (double) y[4 * c + i] : 0.0;
	else
		for (uint64_t i = (uint64_t) c * code->pdims / code->ncolumns; i < ((uint64_t) c + 1) * code->pdims / code->ncolumns; i++)
			sum += (double) y[i] * (double) code->score_books[i * entries + entry];
	return sum;
}

/* A query's tables are its columns' entries above the least, in steps, one of which rounding takes. */
static void
test_tables(VecxListQuantizer quantizer, uint32_t bits, uint32_t m)
{
	VecxListCode code;
	size_t		nbytes;
	uint8_t    *bytes = train(quantizer, bits, m, VECX_PQ_KMEANS, VECX_METRIC_L2, &sample, &code, &nbytes);
	void	   *scratch = malloc(vecx_list_query_bytes(&code));
	uint32_t	entries = quantizer == VECX_LIST_RABITQ ? 16 : 1u << bits;
	VecxListQuery query;
	double		worst = 0.0;

	vecx_list_query_init(&code, &query, queries[1], scratch);
	for (uint32_t c = 0; c < code.ncolumns; c++)
	{
		double		least = INFINITY;

		for (uint32_t k = 0; k < entries; k++)
			least = fmin(least, table_entry(&code, query.y, c, k));
		for (uint32_t k = 0; k < entries; k++)
		{
			uint32_t	at = c * entries + k;
			int			step = query.tables[at] + (c < query.nwide ? query.high[at] << 8 : 0);

			worst = fmax(worst, fabs(step - (table_entry(&code, query.y, c, k) - least) / (double) query.delta));
		}
	}
	UNIT_CHECK(worst < 1.01, "tables of %u columns of %u bits of %u elements: %.3f steps off", code.ncolumns, bits,
			   code.pdims, worst);
	free(scratch);
	env_release(NULL, bytes);
}

/* Two initialised queries: whether the projections are the same, and how far they are apart. */
static bool
compare_projections(const VecxListCode *code, const VecxListQuery *exact, const VecxListQuery *rough,
					double *error, double *whole)
{
	bool		same = true;

	for (uint32_t i = 0; i < code->pdims; i++)
	{
		same = same && exact->y[i] == rough->y[i];
		*error += pow((double) (exact->y[i] - rough->y[i]), 2.0);
		*whole += pow((double) exact->y[i], 2.0);
	}
	return same;
}

/*
 * Queries are projected by rounded rows of the matrix as by the matrix, but for what rounding
 * leaves, which is noise that they know of; not if they are so long that it is too much.
 */
static void
test_rounded(void)
{
	VecxListCode code;
	VecxListCode rounded;
	size_t		nbytes;
	uint8_t    *bytes = train(VECX_LIST_PQ, 4, 24, VECX_PQ_KMEANS, VECX_METRIC_L2, &sample, &code, &nbytes);
	void	   *room = get(vecx_list_rounded_bytes(&code));
	void	   *scratch[2] = {get(vecx_list_query_bytes(&code)), get(vecx_list_query_bytes(&code))};
	double		error = 0.0;
	double		whole = 0.0;
	double		noise = 0.0;
	double		off;
	double		unused = 0.0;
	bool		noisier = true;
	bool		same = true;

	rounded = code;
	vecx_list_round_matrix(&code, room, &rounded.rounded);
	for (int q = 0; q < QUERIES; q++)
	{
		float		far[DIM];
		VecxListQuery exact;
		VecxListQuery rough;

		vecx_list_query_init(&code, &exact, queries[q], scratch[0]);
		vecx_list_query_init(&rounded, &rough, queries[q], scratch[1]);
		noisier = noisier && !compare_projections(&code, &exact, &rough, &error, &whole) &&
			rough.noise > exact.noise;
		noise += pow((double) rough.noise, 2.0) - pow((double) exact.noise, 2.0);
		for (int d = 0; d < DIM; d++)
			far[d] = queries[q][d] + 1000.0f;
		vecx_list_query_init(&code, &exact, far, scratch[0]);
		vecx_list_query_init(&rounded, &rough, far, scratch[1]);
		same = same && compare_projections(&code, &exact, &rough, &unused, &unused) && rough.noise == exact.noise;
	}
	off = sqrt(error / whole);
	/* along a direction, of what codes stand for the length */
	error = sqrt(error / code.pdims) * (double) rounded.rounded.coded;
	noise = sqrt(noise);
	UNIT_CHECK(noisier && off < 0.02, "rounded rows are %.4f off, and make noise", off);
	UNIT_CHECK(noise > 0.6 * error && noise < 1.6 * error, "as much as they are off: %.4g and %.4g", noise, error);
	UNIT_CHECK(same, "queries far from zero have the matrix itself");
	free(room);
	free(scratch[0]);
	free(scratch[1]);
	env_release(NULL, bytes);
}

/* Few rows show few directions; fewer than anything can be learned from, as many as many do. */
static void
test_planned_dims(void)
{
	static const struct
	{
		size_t		nrows;
		uint32_t	pdims;
	}			planned[] = {{0, 512}, {31, 512}, {32, 128}, {1023, 128}, {1024, 128}, {2924, 256}, {4096, 512}, {SIZE_MAX, 512}};

	for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++)
	{
		VecxListCode code;
		size_t		many;

		vecx_list_code_plan(&(VecxListOptions) {.quantizer = VECX_LIST_PQ, .bits = 4, .pq_m = 64,
							.training = VECX_PQ_KMEANS}, VECX_METRIC_L2, 1024, &code);
		many = vecx_list_code_nbytes(&code);
		vecx_list_code_plan_rows(&code, planned[i].nrows);
		UNIT_CHECK(code.pdims == planned[i].pdims && vecx_list_code_nbytes(&code) * 512 <= many * (code.pdims + 8),
				   "%u directions by %zu rows", code.pdims, planned[i].nrows);
	}
}

/* Columns made of packed codes are those that entries are put into one by one. */
static void
test_turned(uint32_t bits, uint32_t m)
{
	VecxListCode code;
	uint8_t		codes[32][DIM];
	uint8_t		packed[32 * (DIM + 3)];
	uint8_t		one[DIM * 32];
	uint8_t		turned[(DIM + 1) * 32];
	uint8_t		got[DIM];
	size_t		stride;
	int			wrong = 0;

	vecx_list_code_plan(&(VecxListOptions) {.quantizer = VECX_LIST_PQ, .bits = bits, .pq_m = m},
						VECX_METRIC_L2, DIM, &code);
	stride = code.packed_bytes + 3;
	for (int n = 1; n <= 32; n++)
	{
		memset(one, 0, sizeof(one));
		memset(turned, 0xff, sizeof(turned));
		for (int i = 0; i < n; i++)
		{
			for (uint32_t c = 0; c < code.ncolumns; c++)
				codes[i][c] = (uint8_t) (random64() % (1u << bits));
			vecx_list_put_codes(&code, one, 0, code.ncolumns, i, codes[i]);
			vecx_list_pack_codes(&code, codes[i], packed + stride * (size_t) i);
			vecx_list_unpack_codes(&code, packed + stride * (size_t) i, got);
			wrong += memcmp(got, codes[i], code.ncolumns) != 0;
		}
		vecx_list_turn_codes(&code, packed, stride, n, turned);
		for (int i = 0; i < n; i++)
		{
			vecx_list_get_codes(&code, turned, 0, code.ncolumns, i, got);
			wrong += memcmp(got, codes[i], code.ncolumns) != 0;
		}
		wrong += n == 32 && memcmp(one, turned, code.code_bytes) != 0;
	}
	UNIT_CHECK(wrong == 0, "%u columns of %u bits turned: %d wrong", code.ncolumns, bits, wrong);
}

static void
test_serialised(void)
{
	VecxListCode code;
	size_t		nbytes;
	size_t		again_bytes;
	uint8_t    *bytes = train(VECX_LIST_PQ, 4, 12, VECX_PQ_KMEANS, VECX_METRIC_L2, &sample, &code,
							  &nbytes);
	uint8_t    *again = train(VECX_LIST_PQ, 4, 12, VECX_PQ_KMEANS, VECX_METRIC_L2, &sample, &code,
							  &again_bytes);
	int			missed = 0;

	UNIT_CHECK(nbytes == again_bytes && memcmp(bytes, again, nbytes) == 0,
			   "training gives the same bytes again");
	UNIT_CHECK(vecx_list_code_bind(&code, again, nbytes - 4) != NULL &&
			   vecx_list_code_bind(&code, again, 10) != NULL, "what is cut is refused");
	for (size_t at = 0; at < nbytes; at += at < 200 ? 1 : 997)
	{
		again[at] ^= 0x10;
		missed += vecx_list_code_bind(&code, again, nbytes) == NULL;
		again[at] ^= 0x10;
	}
	UNIT_CHECK(missed == 0, "damage is found: %d bytes missed", missed);
	UNIT_CHECK(vecx_list_code_bind(&code, again, nbytes) == NULL, "what is whole is bound");
	env_release(NULL, bytes);
	env_release(NULL, again);
}

/* How unevenly the codes of all rows are used: 1 if evenly, 16 if all are the same. */
static double
unevenness(VecxPqTraining training)
{
	VecxListCode code;
	Blocks		blocks;
	size_t		nbytes;
	uint8_t    *bytes = train(VECX_LIST_PQ, 4, 12, training, VECX_METRIC_L2, &sample, &code, &nbytes);
	double		sum = 0.0;

	fill_blocks(&code, &blocks);
	for (uint32_t c = 0; c < code.ncolumns; c++)
	{
		uint32_t	counts[16] = {0};

		for (int r = 0; r < ROWS; r++)
		{
			uint8_t		codes[64];

			vecx_list_get_codes(&code, blocks.columns + (size_t) (r / 32) * code.code_bytes, 0,
								code.ncolumns, r % 32, codes);
			counts[codes[c]]++;
		}
		for (int k = 0; k < 16; k++)
			sum += pow((double) counts[k] / ROWS, 2.0) * 16.0 / code.ncolumns;
	}
	free_blocks(&blocks);
	env_release(NULL, bytes);
	return sum;
}

/* Rows that training and encoding must survive. */
static void
test_degenerate(void)
{
	static float odd[40][DIM];

	for (VecxPqTraining training = VECX_PQ_KMEANS; training <= VECX_PQ_PLAIN; training++)
		for (int kind = 0; kind < 4; kind++)
		{
			VecxListSample few = {.rows = odd[0], .nrows = kind == 0 ? 0 : kind == 1 ? 1 : 40};
			VecxListCode code;
			size_t		nbytes;
			uint8_t    *bytes;
			uint8_t		codes[DIM];
			float		y[2 * DIM];
			float		zero[2 * DIM] = {0};
			VecxListCentre centre = {zero, zero};
			VecxListEntry entry = {.codes = codes};
			void	   *scratch;

			/* none, one, equal rows, rows of wildly different lengths */
			for (int r = 0; r < 40; r++)
				for (int d = 0; d < DIM; d++)
					odd[r][d] = kind == 3 ? ldexpf((float) (r * d % 7 - 3), r - 20) : 1.0f;
			bytes = train(VECX_LIST_PQ, 4, 24, training, VECX_METRIC_L2, &few, &code, &nbytes);
			scratch = malloc(vecx_list_scratch(&code, VECX_MOST_AT_ONCE));
			vecx_list_project(&code, odd[0], y, scratch);
			vecx_list_encode(&code, &centre, odd[0], y, &entry, scratch);
			UNIT_CHECK(isfinite(code.spread) && vecx_list_entry_check(&code, &entry),
					   "%s, %s rows: an entry is sound", vecx_pq_training_name(training),
					   kind == 0 ? "no" : kind == 1 ? "one" : kind == 2 ? "equal" : "odd");
			free(scratch);
			env_release(NULL, bytes);
		}
}

int
main(void)
{
	double		even;
	double		plain;

	for (VecxMetric metric = VECX_METRIC_L2; metric <= VECX_METRIC_IP; metric++)
	{
		make_data(metric);
		test_rabitq(metric);
		test_pq(metric, 4, 24, VECX_PQ_KMEANS, 0.55);
		test_pq(metric, 8, 12, VECX_PQ_KMEANS, 0.55);
	}
	make_data(VECX_METRIC_COSINE);
	test_pq(VECX_METRIC_COSINE, 4, 24, VECX_PQ_ANISOTROPIC, 0.5);
	test_pq(VECX_METRIC_IP, 4, 24, VECX_PQ_DISTILL, 0.5);
	make_data(VECX_METRIC_L2);
	for (VecxPqTraining training = VECX_PQ_BALANCED; training <= VECX_PQ_QUERY_AWARE; training++)
		test_pq(VECX_METRIC_L2, 4, 24, training, 0.5);
	test_pq(VECX_METRIC_L2, 4, 24, VECX_PQ_PLAIN, 0.3);
	test_kernels();
	test_uneven_tables();
	test_tables(VECX_LIST_RABITQ, 1, 0);
	test_tables(VECX_LIST_RABITQ, 3, 0);
	test_tables(VECX_LIST_PQ, 4, 1);
	test_tables(VECX_LIST_PQ, 4, 23);
	test_tables(VECX_LIST_PQ, 4, 96);
	test_tables(VECX_LIST_PQ, 8, 7);
	test_rounded();
	test_planned_dims();
	test_turned(4, 1);
	test_turned(4, 15);
	test_turned(4, 23);
	test_turned(4, 32);
	test_turned(8, 7);
	test_turned(8, 19);
	test_serialised();
	test_degenerate();
	even = unevenness(VECX_PQ_BALANCED);
	plain = unevenness(VECX_PQ_KMEANS);
	UNIT_CHECK(even < plain, "balanced codes are used more evenly: %.3f, not %.3f", even, plain);
	UNIT_CHECK(polls > 1000, "training polled %ld times", polls);
	UNIT_CHECK(blocks_out == 0, "%ld allocations are left", blocks_out);
	return unit_done();
}

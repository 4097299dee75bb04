/*
 * test_rabitq.c
 *    Proves the RABITQ kinds of src/code/code.h: the rotation, codes that come
 *    out the same and sound, estimates without a bias whose errors keep within
 *    the bound, distances between codes, centres, damage, and odd vectors; on
 *    every instruction set, which must agree.
 *
 * An argument is the seed of the random data.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code_int.h"
#include "unit.h"
#include "unit_code.h"

#define NROWS 150
#define MAX_DIM 16000

/* Rows with a few dominant directions, about a mean of length far from zero. */
static void
fill_rows(float *rows, size_t nrows, uint32_t dim, VecxMetric metric)
{
	for (size_t r = 0; r < nrows; r++)
	{
		float	   *row = rows + r * dim;
		double		norm = 0.0;

		for (uint32_t i = 0; i < dim; i++)
		{
			row[i] = 0.4f + (float) (vecx_random_normal(&random_state) * exp(-4.0 * i / dim));
			norm += (double) row[i] * (double) row[i];
		}
		for (uint32_t i = 0; i < dim && metric == VECX_METRIC_COSINE; i++)
			row[i] = (float) ((double) row[i] / sqrt(norm));
	}
}

static void
test_rotation(void)
{
	static const uint32_t dims[] = {64, 128, 192, 832, 1024, 1536, 16000};
	static float x[MAX_DIM];
	static float y[MAX_DIM];

	for (size_t d = 0; d < LENGTH(dims); d++)
	{
		uint32_t	n = dims[d];
		double		before;
		double		worst = 0.0;

		/* all in a corner: then every element must get its share */
		memset(x, 0, sizeof(x));
		for (uint32_t i = 0; i < n / 8; i++)
			x[i] = (float) vecx_random_normal(&random_state);
		before = -true_distance(VECX_METRIC_IP, x, x, n);
		memcpy(y, x, sizeof(y));
		vecx_rotate(y, n);
		UNIT_CHECK(fabs(-true_distance(VECX_METRIC_IP, y, y, n) / before - 1.0) < 1e-5,
				   "rotation of %u keeps the length", n);
		for (uint32_t i = 0; i + 64 <= n; i += 64)
			worst = fmax(worst, -true_distance(VECX_METRIC_IP, y + i, y + i, 64) / before * n / 64.0);
		UNIT_CHECK(worst < 2.5, "rotation of %u: no 64 elements have more than %.2f times their share", n, worst);
		vecx_rotate_back(y, n);
		UNIT_CHECK(true_distance(VECX_METRIC_L2, x, y, n) < 1e-10 * before, "rotation of %u turns back", n);
	}
}

/* The mean square of the relative error of products that b bits should have:
 * 1 / cos^2 - 1 with the cosines that normal elements have. */
static const double variances[9] = {0, 0.5708, 0.1337, 0.0389, 0.0117, 0.0035, 0.00104, 0.0003, 0.00009};

/* Whether least distances are the same one by one and together, whichever way the codes lie. */
static bool
least_agree(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *codes, size_t n)
{
	const uint8_t *order[NROWS];
	float		least[NROWS];
	float		dist[NROWS];
	bool		same = true;

	for (int way = 0; way < 3; way++)
	{
		for (size_t i = 0; i < n; i++)
			order[i] = codes + (way == 1 ? n - 1 - i : i) * coder->nbytes;
		if (way == 2)
			order[n / 2] = codes;
		vecx_code_least(coder, query, order, n, 0.5f, dist, least);
		for (size_t i = 0; i < n; i++)
		{
			float		one;
			float		nav;

			vecx_code_least(coder, query, &order[i], 1, 0.5f, &nav, &one);
			same = same && one == least[i] && nav == dist[i];
		}
	}
	return same;
}

static void
test_coder(uint32_t bits, VecxMetric metric, uint32_t dim, bool centred)
{
	float	   *rows = get(NROWS * dim * sizeof(float));
	float	   *x = get(dim * sizeof(float));
	float	   *centre = get(dim * sizeof(float));
	VecxMetric	nav_metric = metric == VECX_METRIC_IP ? metric : VECX_METRIC_L2;
	VecxCoder	coder;
	VecxCodeQuery query;
	uint8_t    *codes;
	uint8_t    *again;
	void	   *scratch;
	bool		sound = true;
	bool		norms = true;
	bool		ranks = true;
	bool		leasts = true;
	bool		together = true;
	int			within = 0;
	int			total = 0;
	double		bias = 0.0;
	double		square = 0.0;
	double		shrunk = 0.0;
	double		codes_off = 0.0;
	double		self = 0.0;

	fill_rows(rows, NROWS, dim, metric);
	for (uint32_t i = 0; i < dim; i++)
		centre[i] = metric == VECX_METRIC_COSINE ? 1.0f / sqrtf((float) dim) : 0.4f;
	vecx_coder_init(&coder, vecx_code_rabitq(bits), metric, dim, 0);
	if (centred && vecx_code_has_centre(coder.kind, metric))
		coder.centre = centre;
	codes = get((size_t) NROWS * coder.nbytes);
	again = get(coder.nbytes);
	scratch = get(vecx_code_query_scratch(&coder));
	for (size_t r = 0; r < NROWS; r++)
	{
		uint8_t    *code = codes + r * coder.nbytes;
		const float *row = rows + r * dim;
		double		length;
		double		err2;

		memset(code, 0xAA, coder.nbytes);
		memset(again, 0x55, coder.nbytes);
		vecx_code_encode(&coder, row, code);
		vecx_code_encode(&coder, row, again);
		sound = sound && memcmp(code, again, coder.nbytes) == 0 && vecx_code_check(&coder, code);
		norms = norms && fabs((double) vecx_code_norm2(&coder, code) +
							  true_distance(VECX_METRIC_IP, row, row, dim)) <= 1e-5 * dim;
		vecx_code_decode(&coder, code, x);
		length = coder.centre ? true_distance(VECX_METRIC_L2, row, centre, dim) :
			-true_distance(VECX_METRIC_IP, row, row, dim);
		err2 = true_distance(VECX_METRIC_L2, row, x, dim);
		shrunk += err2 / length / NROWS;
	}
	for (size_t a = 0; a < 20; a++)
	{
		const float *q = rows + a * dim;

		vecx_code_query_init(&coder, &query, q, scratch);
		for (size_t b = 20; b < NROWS; b++)
		{
			const uint8_t *code = codes + b * coder.nbytes;
			float		nav = vecx_code_distance(&coder, &query, code);
			float		rank = vecx_code_rank(&coder, &query, code, nav);
			float		error = vecx_code_error(&coder, &query, code, rank);
			float		least;
			double		truth = true_distance(nav_metric, q, rows + b * dim, dim);

			bias += (double) nav - truth;
			square += ((double) nav - truth) * ((double) nav - truth);
			if (metric == VECX_METRIC_L1)
			{
				vecx_code_decode(&coder, code, x);
				truth = true_distance(metric, q, x, dim);
				ranks = ranks && fabs((double) rank - truth) <= 1e-4 * truth;
				truth = true_distance(metric, q, rows + b * dim, dim);
			}
			else
				ranks = ranks && rank == nav;
			within += fabs((double) rank - truth) <= (double) error;
			total++;
			vecx_code_least(&coder, &query, &code, 1, 0.5f, NULL, &least);
			error = vecx_code_error(&coder, &query, code, nav);
			leasts = leasts && fabs((double) (nav - 0.5f * error - least)) <=
				0.1 * (double) error + 1e-5 * fabs((double) nav);
		}
		together = together && least_agree(&coder, &query, codes, NROWS - a);
		vecx_code_query_init_code(&coder, &query, codes + a * coder.nbytes, scratch);
		self = fmax(self, fabs((double) vecx_code_distance(&coder, &query, codes + a * coder.nbytes) -
							   true_distance(nav_metric, q, q, dim)));
		for (size_t b = 20; b < NROWS; b++)
		{
			double		truth = true_distance(nav_metric, q, rows + b * dim, dim);

			codes_off += fabs((double) vecx_code_distance(&coder, &query, codes + b * coder.nbytes) - truth) /
				(fabs(truth) + 1e-6) / 20 / (NROWS - 20);
		}
	}
	bias /= total;
	square /= total;
	UNIT_CHECK(sound, "rabitq%u %s %u: same bytes twice, and sound ones", bits, metric_names[metric], dim);
	UNIT_CHECK(norms, "rabitq%u %s %u: norms", bits, metric_names[metric], dim);
	UNIT_CHECK(ranks, "rabitq%u %s %u: ranks", bits, metric_names[metric], dim);
	UNIT_CHECK(leasts, "rabitq%u %s %u: least distances", bits, metric_names[metric], dim);
	UNIT_CHECK(together, "rabitq%u %s %u: least distances, many together", bits, metric_names[metric], dim);
	UNIT_CHECK(within * 1000 >= total * 985, "rabitq%u %s %u: %d of %d true distances within the bound",
			   bits, metric_names[metric], dim, within, total);
	if (dim < 200)
		goto done;
	/* a mean that all vectors share has one error, which all of them share */
	UNIT_CHECK(fabs(bias) < (coder.centre ? 0.3 : 0.8) * sqrt(square), "rabitq%u %s %u: bias %g of errors of %g",
			   bits, metric_names[metric], dim, bias, sqrt(square));
	UNIT_CHECK(shrunk < 1.15 * variances[bits], "rabitq%u %s %u: decoded vectors are off by %.5f, %.5f expected",
			   bits, metric_names[metric], dim, shrunk, variances[bits]);
	UNIT_CHECK(self <= 1e-4 * dim, "rabitq%u %s %u: a code is at distance %g from itself",
			   bits, metric_names[metric], dim, self);
	UNIT_CHECK(codes_off < (bits == 1 ? 0.25 : bits == 2 ? 0.15 : 0.1),
			   "rabitq%u %s %u: distances between codes are off by %.4f",
			   bits, metric_names[metric], dim, codes_off);
done:
	free(rows);
	free(x);
	free(centre);
	free(codes);
	free(again);
	free(scratch);
}

/* A centre amid vectors far from the origin must make their codes as good as
 * if they lay about it. */
static void
test_centre(void)
{
	enum
	{
		DIM = 300
	};
	static float x[DIM];
	static float y[DIM];
	static float centre[DIM];
	VecxCoder	coder;
	VecxCodeQuery query;
	uint8_t    *code;
	void	   *scratch;
	double		truth;
	double		d;

	for (int i = 0; i < DIM; i++)
	{
		centre[i] = 1000.0f;
		x[i] = 1000.0f + (float) vecx_random_normal(&random_state);
		y[i] = 1000.0f + (float) vecx_random_normal(&random_state);
	}
	vecx_coder_init(&coder, vecx_code_rabitq(8), VECX_METRIC_L2, DIM, 0);
	coder.centre = centre;
	code = get(coder.nbytes);
	scratch = get(vecx_code_query_scratch(&coder));
	vecx_code_encode(&coder, x, code);
	vecx_code_query_init(&coder, &query, y, scratch);
	truth = true_distance(VECX_METRIC_L2, x, y, DIM);
	d = (double) vecx_code_distance(&coder, &query, code);
	UNIT_CHECK(fabs(d - truth) < 0.01 * truth, "with a centre of 1000, %.3f for %.3f", d, truth);
	UNIT_CHECK(!vecx_code_has_centre(VECX_CODE_RABITQ1, VECX_METRIC_IP) &&
			   !vecx_code_has_centre(VECX_CODE_SQ8, VECX_METRIC_L2), "who has no centre");
	free(code);
	free(scratch);
}

/* The instruction sets give the same codes and, but for sums of floats, the
 * same distances. */
static void
test_agreement(void)
{
	static const char *const names[] = {"scalar", "avx2", "avx512", "neon"};
	static float rows[2 * 832];
	uint8_t		codes[LENGTH(names)][1200];
	float		distances[LENGTH(names)][2];
	void	   *scratch;

	fill_rows(rows, 2, 832, VECX_METRIC_L2);
	for (uint32_t bits = 1; bits <= 8; bits++)
	{
		VecxCoder	coder;
		bool		same = true;

		vecx_coder_init(&coder, vecx_code_rabitq(bits), VECX_METRIC_L2, 831, 0);
		scratch = get(vecx_code_query_scratch(&coder));
		for (size_t i = 0; i < LENGTH(names); i++)
		{
			VecxCodeQuery query;

			if (vecx_kernels_choose(names[i]) < 0)
				continue;
			vecx_code_encode(&coder, rows, codes[i]);
			vecx_code_query_init(&coder, &query, rows + 832, scratch);
			distances[i][0] = vecx_code_distance(&coder, &query, codes[i]);
			vecx_code_query_init_code(&coder, &query, codes[0], scratch);
			distances[i][1] = vecx_code_distance(&coder, &query, codes[i]);
			same = same && memcmp(codes[i], codes[0], coder.nbytes) == 0 &&
				memcmp(distances[i], distances[0], sizeof(distances[0])) == 0;
		}
		UNIT_CHECK(same, "rabitq%u: the instruction sets agree", bits);
		free(scratch);
	}
	(void) vecx_kernels_choose("auto");
}

/* A search may meet a damaged code before vecx_check does. */
static void
use(const VecxCoder *coder, const uint8_t *code, const float *x, void *scratch)
{
	float		y[100];
	VecxCodeQuery query;

	vecx_code_decode(coder, code, y);
	vecx_code_query_init(coder, &query, x, scratch);
	(void) vecx_code_error(coder, &query, code, vecx_code_distance(coder, &query, code));
	vecx_code_query_init_code(coder, &query, code, scratch);
	(void) vecx_code_error(coder, &query, code, vecx_code_distance(coder, &query, code));
}

static void
test_damage(void)
{
	static float x[100];
	static const float wrong[] = {NAN, INFINITY, -1.0f};
	VecxCoder	coder;
	uint8_t    *code;
	void	   *scratch;
	bool		found = true;

	fill_rows(x, 1, 100, VECX_METRIC_L2);
	for (uint32_t bits = 1; bits <= 8; bits++)
	{
		vecx_coder_init(&coder, vecx_code_rabitq(bits), VECX_METRIC_L2, 100, 0);
		code = get(coder.nbytes);
		scratch = get(vecx_code_query_scratch(&coder));
		vecx_code_encode(&coder, x, code);
		/* three factors, two sums, levels */
		for (size_t f = 0; f < 3; f++)
			for (size_t w = 0; w < LENGTH(wrong); w++)
			{
				uint8_t		saved[4];

				memcpy(saved, code + 4 * f, 4);
				memcpy(code + 4 * f, &wrong[w], 4);
				found = found && !vecx_code_check(&coder, code);
				use(&coder, code, x, scratch);
				memcpy(code + 4 * f, saved, 4);
			}
		for (uint32_t i = 12; i < coder.nbytes; i++)
		{
			code[i] ^= 0x10;
			found = found && !vecx_code_check(&coder, code);
			use(&coder, code, x, scratch);
			code[i] ^= 0x10;
		}
		found = found && vecx_code_check(&coder, code);
		free(code);
		free(scratch);
	}
	UNIT_CHECK(found, "damaged codes are found, and do no harm");
}

static void
test_odd_vectors(void)
{
	static const float values[] = {0.0f, 1.0f, -7.5f, 1e18f, -1e18f, 1e-20f, 1e-42f, 65504.0f, 1e-6f};
	static const uint32_t dims[] = {1, 2, 3, 7, 64, 65, 300, 16000};
	static float x[MAX_DIM];
	static float zeros[MAX_DIM];
	static float y[MAX_DIM];
	bool		finite = true;
	bool		sound = true;

	for (uint32_t bits = 1; bits <= 8; bits++)
		for (size_t m = 0; m < LENGTH(float_metrics); m++)
			for (size_t d = 0; d < LENGTH(dims); d++)
				for (size_t v = 0; v < LENGTH(values) * 2; v += dims[d] == MAX_DIM ? 5 : 1)
				{
					VecxCoder	coder;
					VecxCodeQuery query;
					uint8_t    *code[2];
					void	   *scratch;

					for (uint32_t i = 0; i < dims[d]; i++)
						x[i] = values[v / 2] * (v % 2 == 0 ? 1.0f : (float) vecx_random_normal(&random_state));
					vecx_coder_init(&coder, vecx_code_rabitq(bits), float_metrics[m], dims[d], 0);
					code[0] = get(coder.nbytes);
					code[1] = get(coder.nbytes);
					scratch = get(vecx_code_query_scratch(&coder));
					vecx_code_encode(&coder, x, code[0]);
					vecx_code_encode(&coder, zeros, code[1]);
					for (int way = 0; way < 4; way++)
					{
						const uint8_t *other = code[way % 2];
						float		nav;
						float		rank;

						if (way < 2)
							vecx_code_query_init(&coder, &query, x, scratch);
						else
							vecx_code_query_init_code(&coder, &query, code[0], scratch);
						nav = vecx_code_distance(&coder, &query, other);
						rank = vecx_code_rank(&coder, &query, other, nav);
						vecx_code_decode(&coder, other, y);
						finite = finite && isfinite(nav) && isfinite(rank) &&
							isfinite(vecx_code_error(&coder, &query, other, rank)) &&
							isfinite(vecx_code_norm2(&coder, other)) && isfinite(y[dims[d] - 1]);
						sound = sound && vecx_code_check(&coder, other);
					}
					free(code[0]);
					free(code[1]);
					free(scratch);
				}
	UNIT_CHECK(finite, "distances of odd vectors are finite");
	UNIT_CHECK(sound, "codes of odd vectors are sound");
}

int
main(int argc, char **argv)
{
	static const uint32_t dims[] = {3, 64, 200, 784, 1536};

	random_begin(argc, argv);
	test_rotation();
	for (uint32_t bits = 1; bits <= 8; bits++)
		for (size_t m = 0; m < LENGTH(float_metrics); m++)
			for (size_t d = 0; d < LENGTH(dims); d++)
				test_coder(bits, float_metrics[m], dims[d], d % 2 == 0);
	/* more elements than the kernels take at once, and than there is room for in bits */
	test_coder(1, VECX_METRIC_L2, 16000, false);
	test_coder(2, VECX_METRIC_L2, 8256, false);
	test_centre();
	test_agreement();
	test_damage();
	test_odd_vectors();
	return unit_done();
}

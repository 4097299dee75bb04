/*
 * test_code.c
 *    Proves src/code/code.h: codes, their distances and error bounds against
 *    decoded vectors, sketches' estimates against true distances, the basis'
 *    orthonormality and its refusal of damaged bytes, and that nothing odd
 *    (zero, constant, one-dimensional, huge, tiny, very wide) breaks them.
 *
 * An argument is the seed of the random data (default below).
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code.h"
#include "../../src/kernel/kernel.h"
#include "unit.h"

#define DEFAULT_SEED 20240607
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const VecxCodeKind float_kinds[] = {
	VECX_CODE_NONE, VECX_CODE_HALF, VECX_CODE_SQ8
};
static const VecxMetric float_metrics[] = {
	VECX_METRIC_L2, VECX_METRIC_COSINE, VECX_METRIC_IP, VECX_METRIC_L1
};
static const char *const metric_names[] = {
	"", "l2", "cosine", "ip", "l1", "hamming", "jaccard"
};

/* ---- helpers ---- */

static uint64_t random_state;

static uint64_t
random64(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double
random_unit(void)
{
	return (double) (random64() >> 11) * 0x1p-53;
}

static double
random_normal(void)
{
	return sqrt(-2.0 * log(random_unit() + 1e-300)) * cos(6.283185307179586 * random_unit());
}

static void *
get(size_t nbytes)
{
	void	   *p = malloc(nbytes > 0 ? nbytes : 1);

	if (p == NULL)
		abort();
	return p;
}

static long blocks_out;

static void *
env_alloc(void *arg, size_t nbytes)
{
	(void) arg;
	blocks_out++;
	return get(nbytes);
}

static void
env_release(void *arg, void *ptr)
{
	(void) arg;
	blocks_out--;
	free(ptr);
}

static void
env_poll(void *arg)
{
	++*(long *) arg;
}

static long polls;
static const VecxTrainEnv env = {env_alloc, env_release, env_poll, NULL, &polls};

static void
normalise(float *x, size_t dim)
{
	double		norm = 0.0;

	for (size_t i = 0; i < dim; i++)
		norm += (double) x[i] * (double) x[i];
	for (size_t i = 0; i < dim; i++)
		x[i] = (float) ((double) x[i] / sqrt(norm));
}

/* Rows with a decaying spectrum, in clusters, about a mean. */
static float *
make_rows(size_t nrows, size_t dim, VecxMetric metric)
{
	float	   *rows = get(nrows * dim * sizeof(float));
	float	   *centres = get(8 * dim * sizeof(float));

	for (size_t i = 0; i < 8 * dim; i++)
		centres[i] = (float) random_normal();
	for (size_t r = 0; r < nrows; r++)
	{
		const float *centre = centres + r % 8 * dim;

		for (size_t i = 0; i < dim; i++)
			rows[r * dim + i] = centre[i] * 0.5f + 0.3f +
				(float) (random_normal() * exp(-3.0 * (double) i / (double) dim));
		if (metric == VECX_METRIC_COSINE)
			normalise(rows + r * dim, dim);
	}
	free(centres);
	return rows;
}

static double
true_distance(VecxMetric metric, const float *a, const float *b, size_t dim)
{
	double		sum = 0.0;

	for (size_t i = 0; i < dim; i++)
	{
		double		d = (double) a[i] - (double) b[i];

		sum += metric == VECX_METRIC_IP ? -(double) a[i] * (double) b[i] :
			metric == VECX_METRIC_L1 ? fabs(d) : d * d;
	}
	return sum;
}

static double
norm2_of(const float *x, size_t dim)
{
	return -true_distance(VECX_METRIC_IP, x, x, dim);
}

static double
correlation(const double *a, const double *b, size_t n)
{
	double		ma = 0.0;
	double		mb = 0.0;
	double		aa = 0.0;
	double		bb = 0.0;
	double		ab = 0.0;

	for (size_t i = 0; i < n; i++)
	{
		ma += a[i] / (double) n;
		mb += b[i] / (double) n;
	}
	for (size_t i = 0; i < n; i++)
	{
		aa += (a[i] - ma) * (a[i] - ma);
		bb += (b[i] - mb) * (b[i] - mb);
		ab += (a[i] - ma) * (b[i] - mb);
	}
	return ab / sqrt(aa * bb);
}

/* ---- own codes ---- */

/* Distances from codes against decoded vectors, bounds against true ones. */
static void
test_float_coder(VecxCodeKind kind, VecxMetric metric, uint32_t dim)
{
	enum
	{
		NROWS = 200
	};
	float	   *rows = make_rows(NROWS, dim, metric);
	float	   *x = get(dim * sizeof(float));
	float	   *q = get(dim * sizeof(float));
	VecxCoder	coder;
	uint8_t    *codes;
	uint8_t    *again;
	void	   *scratch;
	bool		sound = true;
	bool		norms = true;
	bool		exact = true;
	int			within = 0;
	int			total = 0;

	vecx_coder_init(&coder, kind, metric, dim, 0);
	codes = get((size_t) NROWS * coder.nbytes);
	again = get(coder.nbytes);
	scratch = get(vecx_code_query_scratch(&coder));
	for (size_t r = 0; r < NROWS; r++)
	{
		uint8_t    *code = codes + r * coder.nbytes;

		memset(code, 0xAA, coder.nbytes);
		memset(again, 0x55, coder.nbytes);
		vecx_code_encode(&coder, rows + r * dim, code);
		vecx_code_encode(&coder, rows + r * dim, again);
		sound = sound && memcmp(code, again, coder.nbytes) == 0 && vecx_code_check(&coder, code);
		vecx_code_decode(&coder, code, x);
		norms = norms && fabs((double) vecx_code_norm2(&coder, code) - norm2_of(x, dim)) <=
			1e-5 * norm2_of(x, dim);
	}
	for (size_t a = 0; a < 20; a++)
		for (int from_code = 0; from_code < 2; from_code++)
		{
			VecxCodeQuery query;

			if (from_code)
			{
				vecx_code_query_init_code(&coder, &query, codes + a * coder.nbytes, scratch);
				vecx_code_decode(&coder, codes + a * coder.nbytes, q);
			}
			else
			{
				memcpy(q, rows + a * dim, dim * sizeof(float));
				vecx_code_query_init(&coder, &query, q, scratch);
			}
			for (size_t b = 0; b < NROWS; b++)
			{
				const uint8_t *code = codes + b * coder.nbytes;
				VecxMetric	nav_metric = metric == VECX_METRIC_IP ? metric : VECX_METRIC_L2;
				float		nav = vecx_code_distance(&coder, &query, code);
				float		rank = vecx_code_rank(&coder, &query, code, nav);
				double		size;
				double		truth;

				vecx_code_decode(&coder, code, x);
				size = norm2_of(q, dim) + norm2_of(x, dim);
				exact = exact && fabs((double) nav - true_distance(nav_metric, q, x, dim)) <= 2e-6 * size;
				if (metric == VECX_METRIC_L1)
				{
					truth = true_distance(metric, q, x, dim);
					exact = exact && fabs((double) rank - truth) <= 1e-5 * (truth + sqrt(size));
				}
				else
					exact = exact && rank == nav;
				truth = true_distance(metric == VECX_METRIC_L1 ? metric : nav_metric, q, rows + b * dim, dim);
				within += fabs((double) rank - truth) <=
					(double) vecx_code_error(&coder, &query, code, rank) + 2e-6 * (size + fabs(truth));
				total++;
			}
		}
	UNIT_CHECK(sound, "%s %s %u: same bytes twice, and sound ones", vecx_code_name(kind), metric_names[metric], dim);
	UNIT_CHECK(norms, "%s %s %u: norms", vecx_code_name(kind), metric_names[metric], dim);
	UNIT_CHECK(exact, "%s %s %u: distances are those of decoded vectors", vecx_code_name(kind), metric_names[metric], dim);
	UNIT_CHECK(within * 100 >= total * 99, "%s %s %u: %d of %d true distances within the bound",
			   vecx_code_name(kind), metric_names[metric], dim, within, total);
	free(rows);
	free(x);
	free(q);
	free(codes);
	free(again);
	free(scratch);
}

/* Many distances at once are those that one query after the other gives. */
static void
test_many_distances(VecxCodeKind kind, VecxMetric metric, uint32_t dim)
{
	enum
	{
		NROWS = 30, NQUERIES = 7
	};
	float	   *rows = make_rows(NROWS, dim, metric);
	const VecxCodeQuery *queries[NQUERIES];
	VecxCodeQuery query[NQUERIES];
	void	   *scratch[NQUERIES];
	float		out[NROWS * NQUERIES];
	VecxCoder	coder;
	uint8_t    *codes;
	uint8_t    *room;
	bool		same = true;

	vecx_coder_init(&coder, kind, metric, dim, 0);
	codes = get((size_t) NROWS * coder.nbytes);
	for (size_t r = 0; r < NROWS; r++)
		vecx_code_encode(&coder, rows + r * dim, codes + r * coder.nbytes);
	for (size_t q = 0; q < NQUERIES; q++)
	{
		scratch[q] = get(vecx_code_query_scratch(&coder));
		vecx_code_query_init_code(&coder, &query[q], codes + q * coder.nbytes, scratch[q]);
		queries[q] = &query[q];
	}
	room = get(vecx_code_distances_room(&coder, NQUERIES, NROWS));
	vecx_code_distances(&coder, queries, NQUERIES, codes, NROWS, room, out);
	for (size_t r = 0; r < NROWS; r++)
		for (size_t q = 0; q < NQUERIES; q++)
		{
			float		one = vecx_code_distance(&coder, &query[q], codes + r * coder.nbytes);

			same = same && fabsf(out[r * NQUERIES + q] - one) <= 1e-6f * fabsf(one);
		}
	UNIT_CHECK(same, "kind %d, metric %d: many distances at once", (int) kind, (int) metric);
	for (size_t q = 0; q < NQUERIES; q++)
		free(scratch[q]);
	free(rows);
	free(codes);
	free(room);
}

/* Of codes in a set the distances are those of one code and another, whether all are
 * compared at once or too many for that. */
static void
test_set(VecxCodeKind kind, VecxMetric metric, uint32_t dim, size_t count)
{
	float	   *rows = make_rows(count, dim, metric);
	VecxCoder	coder;
	VecxCodeSet set;
	VecxCodeQuery query;
	uint8_t    *codes;
	uint8_t    *room;
	void	   *scratch;
	bool		same = true;

	vecx_coder_init(&coder, kind, metric, dim, 0);
	codes = get(count * coder.nbytes);
	room = get(vecx_code_set_bytes(&coder, count));
	scratch = get(vecx_code_query_scratch(&coder));
	vecx_code_set_init(&set, &coder, count, room);
	for (size_t r = 0; r < count; r++)
	{
		vecx_code_encode(&coder, rows + r * dim, codes + r * coder.nbytes);
		vecx_code_set_put(&set, r, codes + r * coder.nbytes);
	}
	vecx_code_set_compare(&set, count);
	for (size_t a = 0; a < count; a += 3)
	{
		vecx_code_set_from(&set, a);
		vecx_code_query_init_code(&coder, &query, codes + a * coder.nbytes, scratch);
		for (size_t b = 0; b < count; b++)
		{
			float		one = vecx_code_distance(&coder, &query, codes + b * coder.nbytes);

			same = same && fabsf(vecx_code_set_distance(&set, b) - one) <= 1e-5f * (1.0f + fabsf(one));
		}
	}
	UNIT_CHECK(same, "kind %d, metric %d: %zu codes in a set", (int) kind, (int) metric, count);
	free(rows);
	free(codes);
	free(room);
	free(scratch);
}

/* A point gives the projection back: in half precision, or as it is of exact codes. */
static void
test_point(VecxCodeKind kind, uint32_t dim, double tolerance)
{
	float	   *row = make_rows(1, dim, VECX_METRIC_L2);
	size_t		nbytes;
	uint8_t    *bytes = vecx_basis_train(&env, VECX_METRIC_L2, dim, NULL, 0, 32, 1, &nbytes);
	VecxBasis	basis;
	VecxCoder	coder;
	float	   *y;
	float	   *again;
	float	   *scratch;
	uint8_t    *point;
	double		most = 0.0;
	double		off = 0.0;

	vecx_coder_init(&coder, kind, VECX_METRIC_L2, dim, 0);
	UNIT_CHECK(vecx_basis_bind(&basis, bytes, nbytes) == NULL, "kind %d: a basis for points", (int) kind);
	y = get(vecx_basis_proj_bytes(&basis));
	again = get(vecx_basis_proj_bytes(&basis));
	point = get(vecx_point_bytes(&coder, &basis));
	scratch = get(sizeof(float) * vecx_basis_scratch_floats(&basis));
	vecx_basis_project(&basis, row, y, scratch);
	vecx_point_make(&coder, &basis, y, NULL, point);
	vecx_point_read(&coder, &basis, point, again);
	for (uint32_t i = 0; i < basis.pdims; i++)
	{
		most = fmax(most, fabs((double) y[i]));
		off = fmax(off, fabs((double) y[i] - (double) again[i]));
	}
	UNIT_CHECK(off <= tolerance * most, "kind %d: a point is %g off", (int) kind, off / most);
	free(row);
	free(scratch);
	env.release(env.arg, bytes);
	free(y);
	free(again);
	free(point);
}

static void
test_rounded_distances(void)
{
	static const float dist[] = {-60000.0f, -1.5f, -1.0f, -0.001f, 0.0f, 0.001f, 1.0f, 1.5f, 60000.0f};
	int16_t		rounded[sizeof(dist) / sizeof(dist[0])];
	bool		ascending = true;

	vecx_points_round(VECX_POINT_PRODUCT, dist, sizeof(dist) / sizeof(dist[0]), rounded);
	for (size_t i = 1; i < sizeof(dist) / sizeof(dist[0]); i++)
		ascending = ascending && rounded[i - 1] < rounded[i];
	vecx_points_round(VECX_POINT_L2SQ, dist + 4, 5, rounded);
	for (size_t i = 1; i < 5; i++)
		ascending = ascending && rounded[i - 1] < rounded[i];
	UNIT_CHECK(ascending, "distances rounded to integers keep their order");
}

/* A mean that dwarfs the differences must not drown them. */
static void
test_common_mean(void)
{
	enum
	{
		NROWS = 300, DIM = 128
	};
	float	   *rows = get((size_t) (NROWS + 1) * DIM * sizeof(float));
	VecxCoder	coder;
	VecxCodeQuery query;
	uint8_t    *codes;
	void	   *scratch;
	double		worst = 0.0;
	double		est[NROWS];
	double		truth[NROWS];

	for (size_t i = 0; i < (size_t) (NROWS + 1) * DIM; i++)
		rows[i] = 1000.0f + (float) random_normal();
	/* Neighbours of the query, nearer and nearer. */
	for (size_t r = 0; r < NROWS; r++)
		for (size_t i = 0; i < DIM; i++)
			rows[r * DIM + i] += (rows[NROWS * DIM + i] - rows[r * DIM + i]) * (float) r / (float) NROWS;
	vecx_coder_init(&coder, VECX_CODE_SQ8, VECX_METRIC_L2, DIM, 0);
	codes = get((size_t) NROWS * coder.nbytes);
	scratch = get(vecx_code_query_scratch(&coder));
	vecx_code_query_init(&coder, &query, rows + (size_t) NROWS * DIM, scratch);
	for (size_t r = 0; r < NROWS; r++)
	{
		vecx_code_encode(&coder, rows + r * DIM, codes + r * coder.nbytes);
		est[r] = (double) vecx_code_distance(&coder, &query, codes + r * coder.nbytes);
		truth[r] = true_distance(VECX_METRIC_L2, rows + r * DIM, rows + (size_t) NROWS * DIM, DIM);
		worst = fmax(worst, fabs(est[r] - truth[r]) / (truth[r] + 0.1));
	}
	UNIT_CHECK(worst < 0.1, "sq8 of 1000 + noise: relative error at most %.4f", worst);
	UNIT_CHECK(correlation(est, truth, NROWS) > 0.9999, "sq8 of 1000 + noise: correlation %.6f",
			   correlation(est, truth, NROWS));
	free(rows);
	free(codes);
	free(scratch);
}

static void
test_image_data(void)
{
	float		x[200];
	float		y[200];
	VecxCoder	coder;
	uint8_t    *code;

	for (int i = 0; i < 200; i++)
		x[i] = (float) (random64() % 200) - 17.0f;
	vecx_coder_init(&coder, VECX_CODE_SQ8, VECX_METRIC_L2, 200, 0);
	code = get(coder.nbytes);
	vecx_code_encode(&coder, x, code);
	vecx_code_decode(&coder, code, y);
	UNIT_CHECK(memcmp(x, y, sizeof(x)) == 0, "sq8 keeps whole numbers of a narrow range exactly");
	free(code);
}

/* Every kind, vectors that break careless arithmetic. */
static void
test_degenerate_codes(void)
{
	static const float values[] = {0.0f, 1.0f, -7.5f, 1e18f, -1e18f, 1e-20f, 1e-42f, 65504.0f, 1e-6f};
	static const uint32_t dims[] = {1, 2, 3, 7, 64, 65, 300};
	bool		finite = true;
	bool		sound = true;
	bool		close = true;

	for (size_t k = 0; k < LENGTH(float_kinds); k++)
		for (size_t m = 0; m < LENGTH(float_metrics); m++)
			for (size_t d = 0; d < LENGTH(dims); d++)
				for (size_t v = 0; v < LENGTH(values) * 2; v++)
				{
					uint32_t	dim = dims[d];
					float		x[300];
					float		y[300];
					VecxCoder	coder;
					VecxCodeQuery query;
					uint8_t    *code;
					uint8_t    *zero;
					void	   *scratch;

					for (uint32_t i = 0; i < dim; i++)
						x[i] = values[v / 2] * (v % 2 == 0 ? 1.0f : (float) (random_unit() - 0.5));
					vecx_coder_init(&coder, float_kinds[k], float_metrics[m], dim, 0);
					code = get(coder.nbytes);
					zero = get(coder.nbytes);
					scratch = get(vecx_code_query_scratch(&coder));
					memset(y, 0, sizeof(y));
					vecx_code_encode(&coder, x, code);
					vecx_code_encode(&coder, y, zero);
					vecx_code_decode(&coder, code, y);
					sound = sound && vecx_code_check(&coder, code) && vecx_code_check(&coder, zero);
					for (uint32_t i = 0; i < dim; i++)
						close = close && fabsf(x[i] - y[i]) <= 0.005f * fabsf(values[v / 2]) + 1e-37f;
					for (int way = 0; way < 4; way++)
					{
						const uint8_t *other = way % 2 == 0 ? code : zero;
						float		nav;
						float		rank;

						if (way < 2)
							vecx_code_query_init(&coder, &query, x, scratch);
						else
							vecx_code_query_init_code(&coder, &query, code, scratch);
						nav = vecx_code_distance(&coder, &query, other);
						rank = vecx_code_rank(&coder, &query, other, nav);
						finite = finite && isfinite(nav) && isfinite(rank) &&
							isfinite(vecx_code_error(&coder, &query, other, rank)) &&
							isfinite(vecx_code_norm2(&coder, other));
					}
					free(code);
					free(zero);
					free(scratch);
				}
	UNIT_CHECK(finite, "distances of odd vectors are finite");
	UNIT_CHECK(sound, "codes of odd vectors are sound");
	UNIT_CHECK(close, "codes of odd vectors decode to about them");
}

static void
test_wide_codes(void)
{
	uint32_t	dim = 16000;
	float	   *rows = make_rows(2, dim, VECX_METRIC_L2);

	for (size_t k = 0; k < LENGTH(float_kinds); k++)
	{
		VecxCoder	coder;
		VecxCodeQuery query;
		uint8_t    *code;
		void	   *scratch;
		double		truth = true_distance(VECX_METRIC_L2, rows, rows + dim, dim);
		double		d;

		vecx_coder_init(&coder, float_kinds[k], VECX_METRIC_L2, dim, 0);
		code = get(coder.nbytes);
		scratch = get(vecx_code_query_scratch(&coder));
		vecx_code_encode(&coder, rows + dim, code);
		vecx_code_query_init(&coder, &query, rows, scratch);
		d = (double) vecx_code_distance(&coder, &query, code);
		UNIT_CHECK(fabs(d - truth) <= (double) vecx_code_error(&coder, &query, code, (float) d) + 1e-5 * truth,
				   "%s of 16,000 dims: %.0f for %.0f", vecx_code_name(float_kinds[k]), d, truth);
		free(code);
		free(scratch);
	}
	free(rows);
}

static uint8_t *
make_bits(size_t nrows, uint32_t dim)
{
	size_t		row_bytes = (dim + 7) / 8;
	uint8_t    *rows = get(nrows * row_bytes);

	memset(rows, 0, nrows * row_bytes);
	for (size_t r = 0; r < nrows; r++)
		for (uint32_t i = 0; i < dim; i++)
		{
			/* Positions differ in entropy, rows in density. */
			double		p = (0.02 + 0.48 * (double) ((i * 37) % dim) / dim) * (0.5 + (double) (r % 5) / 5.0);

			if (random_unit() < p)
				rows[r * row_bytes + i / 8] |= (uint8_t) (0x80u >> i % 8);
		}
	return rows;
}

static double
bit_distance(VecxMetric metric, const uint8_t *a, const uint8_t *b, uint32_t dim)
{
	int			both = 0;
	int			either = 0;

	for (uint32_t i = 0; i < dim; i++)
	{
		int			x = a[i / 8] >> (7 - i % 8) & 1;
		int			y = b[i / 8] >> (7 - i % 8) & 1;

		both += x & y;
		either += x | y;
	}
	if (metric == VECX_METRIC_HAMMING)
		return either - both;
	return either == 0 ? 1.0 : 1.0 - (double) both / either;
}

static void
test_bit_coders(void)
{
	static const uint32_t dims[] = {1, 7, 8, 33, 512, 1000, 64000};

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (VecxMetric metric = VECX_METRIC_HAMMING; metric <= VECX_METRIC_JACCARD; metric++)
		{
			uint32_t	dim = dims[d];
			size_t		row_bytes = (dim + 7) / 8;
			uint8_t    *rows = make_bits(40, dim);
			uint8_t    *back = get(row_bytes);
			VecxCoder	coder;
			VecxCoder	sampler;
			VecxCodeQuery query;
			VecxCodeQuery sample_query;
			uint8_t    *code;
			uint8_t    *sample;
			void	   *scratch;
			void	   *sample_scratch;
			bool		exact = true;
			int			within = 0;

			vecx_coder_init(&coder, VECX_CODE_BITS, metric, dim, 0);
			vecx_coder_init(&sampler, VECX_CODE_BITS_SAMPLE, metric, dim, coder.nbytes / 2);
			code = get(coder.nbytes);
			sample = get(sampler.nbytes);
			scratch = get(vecx_code_query_scratch(&coder));
			sample_scratch = get(vecx_code_query_scratch(&sampler));
			vecx_code_query_init(&coder, &query, rows, scratch);
			vecx_code_query_init(&sampler, &sample_query, rows, sample_scratch);
			for (size_t r = 0; r < 40; r++)
			{
				double		truth = bit_distance(metric, rows, rows + r * row_bytes, dim);
				float		rank;

				vecx_code_encode(&coder, rows + r * row_bytes, code);
				vecx_code_decode(&coder, code, back);
				exact = exact && memcmp(back, rows + r * row_bytes, row_bytes) == 0 &&
					vecx_code_check(&coder, code) &&
					fabs((double) vecx_code_distance(&coder, &query, code) - truth) < 1e-6;
				vecx_code_encode(&sampler, rows + r * row_bytes, sample);
				exact = exact && vecx_code_check(&sampler, sample);
				rank = vecx_code_distance(&sampler, &sample_query, sample);
				within += fabs((double) rank - truth) <=
					(double) vecx_code_error(&sampler, &sample_query, sample, rank) + 1e-6;
			}
			UNIT_CHECK(exact, "bits %s %u: exact", metric_names[metric], dim);
			UNIT_CHECK(within >= 38, "bits sample %s %u, every %u: %d of 40 within the bound",
					   metric_names[metric], dim, sampler.step, within);
			free(rows);
			free(back);
			free(code);
			free(sample);
			free(scratch);
			free(sample_scratch);
		}
}

/* Damaged codes are refused or harmless. */
static void
test_damaged_codes(void)
{
	uint32_t	dim = 33;
	float	   *rows = make_rows(1, dim, VECX_METRIC_L2);
	float		x[33];
	int			refused = 0;

	for (size_t k = 0; k < LENGTH(float_kinds); k++)
	{
		VecxCoder	coder;
		VecxCodeQuery query;
		uint8_t    *code;
		void	   *scratch;

		vecx_coder_init(&coder, float_kinds[k], VECX_METRIC_L1, dim, 0);
		code = get(coder.nbytes);
		scratch = get(vecx_code_query_scratch(&coder));
		for (int i = 0; i < 1000; i++)
		{
			vecx_code_encode(&coder, rows, code);
			code[random64() % coder.nbytes] ^= (uint8_t) (1u << random64() % 8);
			refused += !vecx_code_check(&coder, code);
			vecx_code_decode(&coder, code, x);
			vecx_code_query_init(&coder, &query, rows, scratch);
			(void) vecx_code_rank(&coder, &query, code, vecx_code_distance(&coder, &query, code));
			vecx_code_query_init_code(&coder, &query, code, scratch);
			(void) vecx_code_rank(&coder, &query, code, vecx_code_distance(&coder, &query, code));
		}
		free(code);
		free(scratch);
	}
	UNIT_CHECK(refused > 500, "%d of 3,000 damaged codes are refused, none does harm", refused);
	free(rows);
}

/* ---- basis and sketches ---- */

static double
orthonormality(const VecxBasis *basis)
{
	size_t		n = basis->hdim;
	float	   *m = get((size_t) basis->ndims * n * sizeof(float));
	double		worst = 0.0;

	vecx_kernels->f16_to_f32(basis->matrix, m, (size_t) basis->ndims * n);
	for (size_t i = 0; i < basis->ndims; i++)
		for (size_t j = i > 40 ? i - 40 : 0; j <= i; j++)
			worst = fmax(worst, fabs(-true_distance(VECX_METRIC_IP, m + i * n, m + j * n, n) - (i == j)));
	free(m);
	return worst;
}

/*
 * Sketches of some vertices' neighbours, estimates for some queries: bias
 * relative to the mean squared distance, correlation with the truth.
 */
static void
measure_sketches(const VecxBasis *basis, const float *rows, double *bias, double *corr)
{
	enum
	{
		NQ = 60, NN = 32
	};
	size_t		dim = basis->dim;
	size_t		pdims = basis->pdims;
	size_t		size = vecx_sketch_size(basis);
	VecxMetric	metric = basis->metric == VECX_METRIC_IP ? VECX_METRIC_IP : VECX_METRIC_L2;
	float	   *y = get(2 * NQ * pdims * sizeof(float));
	float	   *alone = get(pdims * sizeof(float));
	float	   *scratch = get(vecx_basis_scratch_floats(basis) * sizeof(float));
	uint8_t    *sketches = get(NN * size);
	int8_t	   *codes = get(pdims);
	double	   *est = get(NQ * NN * sizeof(double));
	double	   *truth = get(NQ * NN * sizeof(double));
	double		scale = 0.0;
	double		apart = 0.0;

	vecx_basis_project_many(basis, rows, 2 * NQ, y, scratch);
	vecx_basis_project(basis, rows, alone, scratch);
	for (size_t i = 0; i < pdims; i++)
		apart = fmax(apart, fabs((double) alone[i] - (double) y[i]));
	*bias = apart > 1e-3 * sqrt(norm2_of(rows, dim)) ? INFINITY : 0.0;
	for (size_t k = 0; k < NQ; k++)
	{
		const float *v = rows + k * dim;
		const float *q = rows + (k + NQ) * dim;
		float		norm_v2 = (float) norm2_of(v, dim);
		VecxSketchQuery query;
		int32_t		counts[NN];
		float		out[NN];

		for (size_t n = 0; n < NN; n++)
		{
			size_t		at = (k + 1 + n) % NQ;

			vecx_sketch_encode(basis, y + k * pdims, y + at * pdims, norm_v2,
							   (float) true_distance(metric, v, rows + at * dim, dim), 0, sketches + n * size);
			truth[k * NN + n] = true_distance(metric, q, rows + at * dim, dim);
		}
		vecx_sketch_query_init(basis, y + (k + NQ) * pdims, 0, codes, &query);
		vecx_sketch_estimate(basis, &query, (float) true_distance(metric, q, v, dim), norm_v2,
							 sketches, size, NN, counts, out);
		for (size_t n = 0; n < NN; n++)
		{
			est[k * NN + n] = (double) out[n];
			*bias += ((double) out[n] - truth[k * NN + n]) / (NQ * NN);
			scale += fabs(truth[k * NN + n]) / (NQ * NN);
		}
	}
	*bias /= scale;
	*corr = correlation(est, truth, NQ * NN);
	free(y);
	free(alone);
	free(scratch);
	free(sketches);
	free(codes);
	free(est);
	free(truth);
}

static void
test_sketches(VecxMetric metric, uint32_t dim, size_t nsample, uint32_t sketch_bytes, double least)
{
	float	   *rows = make_rows(nsample + 120, dim, metric);
	size_t		nbytes;
	size_t		nbytes_again;
	uint8_t    *bytes = vecx_basis_train(&env, metric, dim, rows + 120 * dim, nsample, sketch_bytes, 11, &nbytes);
	uint8_t    *again = vecx_basis_train(&env, metric, dim, rows + 120 * dim, nsample, sketch_bytes, 11, &nbytes_again);
	VecxBasis	basis;
	const char *problem = vecx_basis_bind(&basis, bytes, nbytes);
	double		bias;
	double		corr;

	UNIT_CHECK(problem == NULL && nbytes <= VECX_BASIS_MAX_BYTES, "%s %u dims, %zu rows: binds (%s)",
			   metric_names[metric], dim, nsample, problem ? problem : "well");
	if (problem == NULL)
	{
		UNIT_CHECK(nbytes == nbytes_again && memcmp(bytes, again, nbytes) == 0, "the same seed, the same basis");
		UNIT_CHECK(sketch_bytes == 0 || basis.sketch_bytes <= sketch_bytes, "sketches of %u bytes, %u asked for",
				   basis.sketch_bytes, sketch_bytes);
		UNIT_CHECK(orthonormality(&basis) < (dim < 128 ? 1e-3 : 4e-4), "orthonormal to %.1e", orthonormality(&basis));
		measure_sketches(&basis, rows, &bias, &corr);
		UNIT_CHECK(fabs(bias) < 0.05, "%u bits of %u dims: bias %.4f", basis.nplanes, basis.ndims, bias);
		UNIT_CHECK(corr > least, "%u bits of %u dims: correlation %.4f", basis.nplanes, basis.ndims, corr);
	}
	free(rows);
	env_release(NULL, bytes);
	env_release(NULL, again);
}

/* Samples that have little or nothing to train on. */
static void
test_poor_samples(void)
{
	static const uint32_t dims[] = {1, 2, 65, 300, 784, 2100};
	static const size_t counts[] = {0, 1, 5, 250};
	bool		good = true;
	double		worst = 0.0;

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (size_t c = 0; c < LENGTH(counts); c++)
			for (int way = 0; way < 5; way++)
			{
				uint32_t	dim = dims[d];
				float	   *rows;
				size_t		nbytes;
				uint8_t    *bytes;
				VecxBasis	basis;

				/* The choice by sample is slow under sanitizers, and the same. */
				if (counts[c] > 5 && dim > 300)
					continue;
				rows = make_rows(counts[c], dim, VECX_METRIC_L2);
				for (size_t i = 0; i < counts[c] * dim; i++)
				{
					if (way == 1)
						rows[i] = 3.0f; /* all rows equal */
					else if (way == 2 && i % dim >= dim / 4)
						rows[i] = 1.0f; /* constant columns */
					else if (way == 3)
						rows[i] *= 1e16f;
					else if (way == 4)
						rows[i] *= 1e-30f;
				}
				bytes = vecx_basis_train(&env, VECX_METRIC_L2, dim, rows, counts[c],
										 way % 2 == 0 ? 0 : 32, 5, &nbytes);
				if (vecx_basis_bind(&basis, bytes, nbytes) != NULL)
					good = false;
				else if (dim > 64)
					worst = fmax(worst, orthonormality(&basis));
				free(rows);
				env_release(NULL, bytes);
			}
	UNIT_CHECK(good, "poor samples give a basis");
	UNIT_CHECK(worst < 1e-3, "poor samples' bases are orthonormal to %.1e", worst);
}

/* Equal, huge and tiny vectors: estimates stay numbers, and right when r = 0. */
static void
test_degenerate_sketches(void)
{
	static const float values[] = {0.0f, 1.0f, 1e17f, 1e-20f, 1e-42f};
	static const uint32_t sizes[] = {16, 32, 64, 128};
	bool		finite = true;
	bool		same = true;

	for (size_t m = 0; m < LENGTH(float_metrics); m++)
		for (size_t s = 0; s < LENGTH(sizes); s++)
			for (size_t a = 0; a < LENGTH(values); a++)
				for (size_t b = 0; b < LENGTH(values); b++)
				{
					VecxMetric	metric = float_metrics[m] == VECX_METRIC_IP ? VECX_METRIC_IP : VECX_METRIC_L2;
					float		v[100];
					float		q[100];
					float		y[2][128];
					float		scratch[4096];
					int8_t		codes[128];
					uint8_t		sketch[2][200];
					VecxBasis	basis;
					VecxSketchQuery query;
					int32_t		count[2];
					float		est[2];
					float		dist_qv;
					float		norm_v2;
					float		dist_vq;
					size_t		nbytes;
					uint8_t    *bytes;

					bytes = vecx_basis_train(&env, float_metrics[m], 100, NULL, 0, sizes[s], 3, &nbytes);
					(void) vecx_basis_bind(&basis, bytes, nbytes);
					for (int i = 0; i < 100; i++)
					{
						v[i] = values[a] * (float) random_unit();
						q[i] = values[b] * (float) random_unit();
					}
					dist_qv = (float) true_distance(metric, q, v, 100);
					dist_vq = dist_qv;
					norm_v2 = (float) norm2_of(v, 100);
					vecx_basis_project(&basis, v, y[0], scratch);
					vecx_basis_project(&basis, q, y[1], scratch);
					vecx_sketch_encode(&basis, y[0], y[0], norm_v2, (float) true_distance(metric, v, v, 100), 0, sketch[0]);
					vecx_sketch_encode(&basis, y[0], y[1], norm_v2, dist_vq, 0, sketch[1]);
					vecx_sketch_query_init(&basis, y[1], 0, codes, &query);
					vecx_sketch_estimate(&basis, &query, dist_qv, norm_v2, sketch[0], 200, 2, count, est);
					finite = finite && isfinite(est[0]) && isfinite(est[1]);
					same = same && fabsf(est[0] - dist_qv) <= 0.01f * fabsf(dist_qv) + 1e-37f &&
						vecx_sketch_matches(&basis, y[0], y[1], norm_v2, (float) norm2_of(q, 100), dist_vq, 0,
											sketch[1]);
					env_release(NULL, bytes);
				}
	UNIT_CHECK(finite, "estimates of odd vectors are finite");
	UNIT_CHECK(same, "a neighbour equal to its vertex is as far as the vertex");
}

static void
test_agreement(void)
{
	uint32_t	dim = 300;
	float	   *rows = make_rows(64, dim, VECX_METRIC_L2);
	size_t		nbytes;
	uint8_t    *bytes = vecx_basis_train(&env, VECX_METRIC_L2, dim, rows, 0, 64, 9, &nbytes);
	VecxBasis	basis;
	float	   *one;
	float	   *other;
	float	   *scratch;
	uint8_t		a[300];
	uint8_t		b[300];
	int			agree = 0;
	int			differ = 0;
	int			broken = 0;

#define MATCHES(n, sketch, dist) \
	vecx_sketch_matches(&basis, other, other + (n) * basis.pdims, (float) norm2_of(rows, dim), \
						(float) norm2_of(rows + (n) * dim, dim), dist, 0, sketch)

	(void) vecx_basis_bind(&basis, bytes, nbytes);
	one = get(64 * basis.pdims * sizeof(float));
	other = get(64 * basis.pdims * sizeof(float));
	scratch = get(vecx_basis_scratch_floats(&basis) * sizeof(float));
	(void) vecx_kernels_choose("scalar");
	vecx_basis_project_many(&basis, rows, 64, one, scratch);
	(void) vecx_kernels_choose("auto");
	vecx_basis_project_many(&basis, rows, 64, other, scratch);
	for (size_t n = 1; n < 64; n++)
	{
		float		d = (float) true_distance(VECX_METRIC_L2, rows, rows + n * dim, dim);
		float		d2 = (float) true_distance(VECX_METRIC_L2, rows, rows + (n ^ 1) * dim, dim);

		vecx_sketch_encode(&basis, one, one + n * basis.pdims, 0.0f, d, 0, a);
		vecx_sketch_encode(&basis, other, other + n * basis.pdims, 0.0f, d, 0, b);
		agree += MATCHES(n, a, d) && MATCHES(n, b, d);
		memset(b + VECX_SKETCH_FACTOR_BYTES, 0x5A, 16);
		broken += !MATCHES(n, b, d);
		if (n > 1)
		{
			vecx_sketch_encode(&basis, other, other + (n ^ 1) * basis.pdims, 0.0f, d2, 0, b);
			differ += !MATCHES(n, b, d);
		}
	}
#undef MATCHES
	UNIT_CHECK(agree == 63, "%d of 63 sketches match across kernels", agree);
	UNIT_CHECK(broken == 63 && differ == 62, "%d and %d wrong sketches do not", broken, differ);
	free(rows);
	free(one);
	free(other);
	free(scratch);
	env_release(NULL, bytes);
}

static void
test_bit_sketches(VecxMetric metric, uint32_t dim)
{
	enum
	{
		NROWS = 300
	};
	size_t		row_bytes = (dim + 7) / 8;
	uint8_t    *rows = make_bits(NROWS, dim);
	size_t		nbytes;
	uint8_t    *bytes = vecx_basis_train(&env, metric, dim, rows, NROWS, 0, 4, &nbytes);
	VecxBasis	basis;
	uint8_t    *y;
	uint8_t    *sketches;
	int8_t	   *codes;
	VecxSketchQuery query;
	int32_t		counts[NROWS];
	float		est[NROWS];
	double		guess[NROWS];
	double		truth[NROWS];
	double		worst = 0.0;
	uint32_t	pop[NROWS];

	(void) vecx_basis_bind(&basis, bytes, nbytes);
	y = get(NROWS * vecx_basis_proj_bytes(&basis));
	sketches = get(NROWS * vecx_sketch_size(&basis));
	codes = get(basis.pdims);
	vecx_basis_project_many(&basis, rows, NROWS, y, NULL);
	for (size_t r = 0; r < NROWS; r++)
	{
		uint64_t	either;
		uint64_t	both;

		vecx_kernels->jaccard(rows + r * row_bytes, rows + r * row_bytes, row_bytes, &both, &either);
		pop[r] = (uint32_t) both;
		vecx_sketch_encode(&basis, NULL, y + r * vecx_basis_proj_bytes(&basis), 0.0f, 0.0f, pop[r],
						   sketches + r * vecx_sketch_size(&basis));
	}
	vecx_sketch_query_init(&basis, y, pop[0], codes, &query);
	vecx_sketch_estimate(&basis, &query, 0.0f, 0.0f, sketches, vecx_sketch_size(&basis), NROWS, counts, est);
	for (size_t r = 0; r < NROWS; r++)
	{
		guess[r] = (double) est[r];
		truth[r] = bit_distance(metric, rows, rows + r * row_bytes, dim);
		worst = fmax(worst, fabs(guess[r] - truth[r]));
	}
	if (dim <= 512)
		UNIT_CHECK(worst < 1e-5, "%s of %u bits: exact", metric_names[metric], dim);
	else
		UNIT_CHECK(correlation(guess, truth, NROWS) > 0.8, "%s of %u bits by %u: correlation %.4f",
				   metric_names[metric], dim, basis.ndims, correlation(guess, truth, NROWS));
	free(rows);
	free(y);
	free(sketches);
	free(codes);
	env_release(NULL, bytes);
}

/* Cuts and changes of single bytes are all found, by the checksum if not before. */
static void
test_damaged_basis(void)
{
	int			accepted = 0;

	for (int kind = 0; kind < 2; kind++)
	{
		size_t		nbytes;
		uint8_t    *bytes = vecx_basis_train(&env, kind == 0 ? VECX_METRIC_L2 : VECX_METRIC_HAMMING,
											 kind == 0 ? 70 : 900, NULL, 0, 32, 8, &nbytes);

		for (int i = 0; i < 5000; i++)
		{
			size_t		at = i % 2 == 0 ? random64() % 64 : random64() % nbytes;
			size_t		length = i % 10 == 0 ? random64() % nbytes : nbytes;
			uint8_t    *copy = get(length);
			VecxBasis	basis;

			memcpy(copy, bytes, length);
			if (length == nbytes)
				copy[at] ^= (uint8_t) (1 + random64() % 255);
			accepted += vecx_basis_bind(&basis, copy, length) == NULL;
			free(copy);
		}
		env_release(NULL, bytes);
	}
	UNIT_CHECK(accepted == 0, "%d of 10,000 damaged bases accepted", accepted);
}

static void
test_default_sizes(void)
{
	bool		good = true;

	for (uint32_t dim = 1; dim <= 16000; dim = dim * 5 / 4 + 1)
		for (uint32_t bits = 0; bits <= 20000; bits = bits * 2 + 1)
			for (VecxMetric metric = VECX_METRIC_L2; metric <= VECX_METRIC_JACCARD; metric++)
			{
				uint32_t	n = vecx_sketch_default_bytes(metric, dim, bits);

				good = good && n >= 8 && n % 8 == 0 && (bits > 0 ? n * 8 < bits + 64 : n <= 64);
			}
	UNIT_CHECK(good, "sketch sizes are whole words and not more than asked for");
}

/* ---- hashed vectors ---- */

/* nnz different indices below dim, ascending, and normal values. */
static void
random_sparse(uint32_t dim, size_t nnz, int32_t *index, float *value)
{
	uint32_t	step = dim / (uint32_t) nnz;

	for (size_t i = 0; i < nnz; i++)
	{
		index[i] = (int32_t) (step * (uint32_t) i + (uint32_t) (random64() % step));
		value[i] = (float) random_normal();
	}
}

static void
test_hashing(uint32_t dim, size_t nnz)
{
	const int	npairs = 300;
	int32_t    *index[2] = {get(nnz * sizeof(int32_t)), get(nnz * sizeof(int32_t))};
	float	   *value[2] = {get(nnz * sizeof(float)), get(nnz * sizeof(float))};
	float	   *x[2] = {get(VECX_HASH_DIM * sizeof(float)), get(VECX_HASH_DIM * sizeof(float))};
	float	   *again = get(VECX_HASH_DIM * sizeof(float));
	double		error2 = 0;
	double		bias = 0;
	bool		same = true;
	bool		lengths = true;

	for (int pair = 0; pair < npairs; pair++)
	{
		double		ip = 0;
		double		hashed = 0;
		double		norm2[2] = {0};

		random_sparse(dim, nnz, index[0], value[0]);
		random_sparse(dim, nnz, index[1], value[1]);
		/* every second element is the other vector's as well */
		for (size_t i = 0; i < nnz; i += 2)
			index[1][i] = index[0][i];
		for (int v = 0; v < 2; v++)
		{
			double		hashed2 = 0;

			vecx_hash_project(42, nnz, index[v], value[v], x[v]);
			vecx_hash_project(42, nnz, index[v], value[v], again);
			same = same && memcmp(x[v], again, VECX_HASH_DIM * sizeof(float)) == 0;
			for (size_t i = 0; i < nnz; i++)
				norm2[v] += (double) value[v][i] * (double) value[v][i];
			for (size_t i = 0; i < VECX_HASH_DIM; i++)
				hashed2 += (double) x[v][i] * (double) x[v][i];
			lengths = lengths && fabs(hashed2 - norm2[v]) <= 1e-5 * norm2[v];
		}
		for (size_t i = 0, j = 0; i < nnz && j < nnz;)
		{
			if (index[0][i] == index[1][j])
				ip += (double) value[0][i++] * (double) value[1][j++];
			else if (index[0][i] < index[1][j])
				i++;
			else
				j++;
		}
		for (size_t i = 0; i < VECX_HASH_DIM; i++)
			hashed += (double) x[0][i] * (double) x[1][i];
		bias += (hashed - ip) / sqrt(norm2[0] * norm2[1]) / npairs;
		error2 += (hashed - ip) * (hashed - ip) / (norm2[0] * norm2[1]) / npairs;
	}
	UNIT_CHECK(same, "hashing of %zu of %u: the same again", nnz, dim);
	UNIT_CHECK(lengths, "hashing of %zu of %u keeps lengths", nnz, dim);
	UNIT_CHECK(sqrt(error2) < 1.2 / sqrt(VECX_HASH_DIM) && fabs(bias) < 0.25 / sqrt(VECX_HASH_DIM),
			   "hashing of %zu of %u: error %.4f, bias %.4f", nnz, dim, sqrt(error2), bias);
	for (int v = 0; v < 2; v++)
	{
		free(index[v]);
		free(value[v]);
		free(x[v]);
	}
	free(again);
}

static void
test_degenerate_hashing(void)
{
	float	   *x = get(VECX_HASH_DIM * sizeof(float));
	int32_t		index[2] = {0, 999999999};
	float		huge[2] = {FLT_MAX, FLT_MAX};
	float		one = 3.0f;
	double		norm2 = 0;
	int			nplaces = 0;
	bool		zero = true;

	vecx_hash_project(1, 0, index, huge, x);
	for (int i = 0; i < VECX_HASH_DIM; i++)
		zero = zero && x[i] == 0.0f;
	UNIT_CHECK(zero, "nothing is hashed to zero");

	vecx_hash_project(1, 1, index + 1, &one, x);
	for (int i = 0; i < VECX_HASH_DIM; i++)
	{
		norm2 += (double) x[i] * (double) x[i];
		nplaces += x[i] != 0.0f;
	}
	UNIT_CHECK(nplaces == VECX_HASH_WAYS && fabs(norm2 - 9.0) < 1e-5,
			   "an element goes to %d places", nplaces);

	vecx_hash_project(1, 2, index, huge, x);
	for (int i = 0; i < VECX_HASH_DIM; i++)
		zero = zero && !isnan(x[i]);
	UNIT_CHECK(zero, "huge elements give no NaN");
	free(x);
}

int
main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : DEFAULT_SEED;
	printf("# seed %llu, kernels %s\n", (unsigned long long) random_state, vecx_kernels->name);

	for (size_t k = 0; k < LENGTH(float_kinds); k++)
		for (size_t m = 0; m < LENGTH(float_metrics); m++)
		{
			test_float_coder(float_kinds[k], float_metrics[m], 131);
			test_float_coder(float_kinds[k], float_metrics[m], 768);
			test_many_distances(float_kinds[k], float_metrics[m], 131);
			test_set(float_kinds[k], float_metrics[m], 131, 40);
			test_set(float_kinds[k], float_metrics[m], 131, 100);
		}
	test_point(VECX_CODE_SQ8, 100, 1.0 / 2048.0);
	test_point(VECX_CODE_NONE, 20, 0.0);
	test_rounded_distances();
	test_common_mean();
	test_image_data();
	test_degenerate_codes();
	test_wide_codes();
	test_bit_coders();
	test_damaged_codes();

	for (size_t m = 0; m < LENGTH(float_metrics); m++)
	{
		test_sketches(float_metrics[m], 20, 0, 64, 0.99);
		test_sketches(float_metrics[m], 60, 600, 0, 0.97);
		test_sketches(float_metrics[m], 128, 600, 32, 0.9);
		test_sketches(float_metrics[m], 300, 600, 0, 0.8);
		test_sketches(float_metrics[m], 300, 0, 64, 0.8);
	}
	test_sketches(VECX_METRIC_L2, 3000, 300, 0, 0.6);
	test_sketches(VECX_METRIC_L2, 16000, 0, 0, 0.4);
	test_poor_samples();
	test_degenerate_sketches();
	test_agreement();
	test_bit_sketches(VECX_METRIC_HAMMING, 500);
	test_bit_sketches(VECX_METRIC_JACCARD, 500);
	test_bit_sketches(VECX_METRIC_HAMMING, 1500);
	test_bit_sketches(VECX_METRIC_JACCARD, 1500);
	test_damaged_basis();
	test_default_sizes();
	test_hashing(5000, 10);
	test_hashing(100000, 120);
	test_hashing(1000000000, 2000);
	test_degenerate_hashing();
	UNIT_CHECK(blocks_out == 0, "training frees what it takes (%ld blocks left)", blocks_out);
	UNIT_CHECK(polls > 1000, "training polls");
	return unit_done();
}

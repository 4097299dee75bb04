/*
 * test_code.c
 *    Proves the codes of src/code/code.h: their distances and error bounds
 *    against decoded vectors, and that nothing odd (zero, constant, one-
 *    dimensional, huge, tiny, very wide) breaks them.
 *
 * An argument is the seed of the random data.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/kernel/kernel.h"
#include "unit.h"
#include "unit_code.h"

static const VecxCodeKind float_kinds[] = {
	VECX_CODE_NONE, VECX_CODE_HALF, VECX_CODE_SQ8
};

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

/* Pairs that are near each other: all there are, at the distances that one query and one code have. */
static void
test_pairs(VecxCodeKind kind, VecxMetric metric, uint32_t dim, float size)
{
	enum
	{
		NROWS = 30, NQUERIES = 7
	};
	float	   *rows = make_rows(NROWS, dim, metric);
	const VecxCodeQuery *queries[NQUERIES];
	VecxCodeQuery query[NQUERIES];
	void	   *scratch[NQUERIES];
	VecxCodePair pairs[NROWS * NQUERIES];
	bool		found[NROWS][NQUERIES] = {{false}};
	float		limits[NQUERIES];
	VecxCodeQueries set;
	VecxCoder	coder;
	uint8_t    *codes;
	void	   *room;
	bool		same = true;
	bool		all = true;
	size_t		npairs;

	for (size_t i = 0; i < NROWS * dim; i++)
		rows[i] *= size;
	vecx_coder_init(&coder, kind, metric, dim, 0);
	codes = get((size_t) NROWS * coder.nbytes);
	for (size_t r = 0; r < NROWS; r++)
		vecx_code_encode(&coder, rows + r * dim, codes + r * coder.nbytes);
	for (size_t q = 0; q < NQUERIES; q++)
	{
		scratch[q] = get(vecx_code_query_scratch(&coder));
		vecx_code_query_init_code(&coder, &query[q], codes + q * coder.nbytes, scratch[q]);
		queries[q] = &query[q];
		/* row 20's own distance; none for every third query */
		limits[q] = q % 3 == 0 ? INFINITY : vecx_code_distance(&coder, &query[q], codes + 20 * coder.nbytes);
	}
	room = get(vecx_code_queries_room(&coder, NQUERIES, NROWS));
	vecx_code_queries_init(&set, &coder, queries, NQUERIES, NROWS, room);
	npairs = vecx_code_pairs(&set, codes, NROWS, limits, pairs);
	for (size_t i = 0; i < npairs; i++)
	{
		same = same && !found[pairs[i].code][pairs[i].query] &&
			pairs[i].distance == vecx_code_distance(&coder, &query[pairs[i].query], codes + pairs[i].code * coder.nbytes);
		found[pairs[i].code][pairs[i].query] = true;
	}
	for (size_t r = 0; r < NROWS; r++)
		for (size_t q = 0; q < NQUERIES; q++)
			all = all && (found[r][q] || vecx_code_distance(&coder, &query[q], codes + r * coder.nbytes) > limits[q]);
	UNIT_CHECK(same, "kind %d, metric %d, %g: distances of pairs", (int) kind, (int) metric, (double) size);
	UNIT_CHECK(all, "kind %d, metric %d, %g: all pairs within the limits", (int) kind, (int) metric, (double) size);
	if (size == 1.0f)
		UNIT_CHECK(npairs < NROWS * NQUERIES, "kind %d, metric %d: none beyond", (int) kind, (int) metric);
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
	scratch = get(sizeof(float) * vecx_basis_scratch_floats(&basis, VECX_MOST_AT_ONCE));
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

/* Points far from the centre, and near to each other, are as far apart as what they are
 * rounded to: one is at no distance of itself. */
static void
test_near_points(void)
{
	enum
	{
		NROWS = 60, DIM = 64
	};
	float		y[NROWS][DIM] = {0};
	VecxPointHead heads[NROWS];
	uint8_t		rows[NROWS][DIM];
	VecxPoints	points = {NROWS, DIM, heads, rows[0]};
	float		dist[NROWS * NROWS];
	bool		exact = true;
	int			wrong = 0;

	for (size_t i = 0; i < NROWS; i++)
	{
		y[i][0] = 1000.0f;
		y[i][1] = 20.0f * (float) i;
		vecx_points_put(&points, i, y[i], NULL);
	}
	vecx_point_distances(VECX_METRIC_L2, VECX_POINT_L2SQ, &points, 0, NROWS, &points, dist);
	for (size_t i = 0; i < NROWS; i++)
		for (size_t j = 0; j < NROWS; j++)
		{
			double		off = sqrt(fmax((double) dist[i * NROWS + j], 0.0)) - fabs((double) (y[i][1] - y[j][1]));

			exact = exact && (i != j || fabs((double) dist[i * NROWS + j]) < 1.0);
			wrong += fabs(off) > 10.0;
		}
	UNIT_CHECK(exact && wrong == 0, "near points far away: %d distances too wrong", wrong);
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

int
main(int argc, char **argv)
{
	/* where floats are whole, end, and begin */
	static const float sizes[] = {1.0f, 1e15f, 1e-12f, 1e-18f, 1e-22f};

	random_begin(argc, argv);
	printf("# kernels %s\n", vecx_kernels->name);

	for (size_t k = 0; k < LENGTH(float_kinds); k++)
		for (size_t m = 0; m < LENGTH(float_metrics); m++)
		{
			test_float_coder(float_kinds[k], float_metrics[m], 131);
			test_float_coder(float_kinds[k], float_metrics[m], 768);
			for (size_t s = 0; s < LENGTH(sizes); s++)
				test_pairs(float_kinds[k], float_metrics[m], 131, sizes[s]);
			test_set(float_kinds[k], float_metrics[m], 131, 40);
			test_set(float_kinds[k], float_metrics[m], 131, 100);
		}
	test_point(VECX_CODE_SQ8, 100, 1.0 / 2048.0);
	test_point(VECX_CODE_NONE, 20, 0.0);
	test_near_points();
	test_rounded_distances();
	test_common_mean();
	test_image_data();
	test_degenerate_codes();
	test_wide_codes();
	test_bit_coders();
	test_damaged_codes();
	return unit_done();
}

/*
 * test_score.c
 *    Proves that books of scores are learned where queries look at other directions than
 *    codes were trained for, that they are used for scoring alone, and refused when damaged.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code_score.h"
#include "../../src/kernel/kernel.h"
#include "unit.h"
#include "unit_code.h"

#define DIM			32
#define ROWS		1024
#define QUERIES		400
#define HELD_OUT	100			/* queries behind them, to judge by */
#define NEAREST		20
#define M			3			/* coarse codes: there is something to gain */
#define LATENT		8
#define SETS		8			/* of vectors: with one set books gain -.004 to .037 */

static float rows[ROWS * DIM];
static float queries[(QUERIES + HELD_OUT) * DIM];
static const float *query_of[QUERIES + HELD_OUT];
static float distances[ROWS];
static uint32_t first[QUERIES + HELD_OUT + 1];
static VecxScoreRow scores[(QUERIES + HELD_OUT) * ROWS];
static uint8_t codes[(QUERIES + HELD_OUT) * ROWS * M];
static uint8_t row_codes[ROWS][M];
static VecxListEntry entries[ROWS];
static float centre[DIM];
static float *centre_y;

/* Vectors of a few directions and noise: what is in one column is in others as well.  Queries
 * lie in the first of them. */
static void
make_vectors(void)
{
	static float directions[LATENT][DIM];

	for (int i = 0; i < LATENT * DIM; i++)
		directions[i / DIM][i % DIM] = (float) random_normal();
	for (int i = 0; i < ROWS + QUERIES + HELD_OUT; i++)
	{
		float	   *x = i < ROWS ? rows + i * DIM : queries + (i - ROWS) * DIM;

		for (int d = 0; d < DIM; d++)
			x[d] = 0.3f * (float) random_normal();
		for (int j = 0; j < (i < ROWS ? LATENT : LATENT / 2); j++)
		{
			float		weight = (float) random_normal();

			for (int d = 0; d < DIM; d++)
				x[d] += weight * directions[j][d];
		}
	}
	for (int q = 0; q < QUERIES + HELD_OUT; q++)
		query_of[q] = queries + q * DIM;
}

static void
encode_rows(const VecxListCode *code)
{
	VecxListCentre c = {centre, centre_y};
	void	   *scratch = get(vecx_list_scratch(code, VECX_MOST_AT_ONCE));
	float	   *y = get(sizeof(float) * code->proj_floats);

	for (int i = 0; i < ROWS; i++)
	{
		entries[i].codes = row_codes[i];
		vecx_list_project(code, rows + i * DIM, y, scratch);
		vecx_list_encode(code, &c, rows + i * DIM, y, &entries[i], scratch);
	}
	free(y);
	free(scratch);
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The estimates of all rows for a query. */
static void
estimate_rows(const VecxListCode *code, const float *q, float *est)
{
	VecxListQuery query;
	VecxListProbe probe;
	VecxListFactors factors;
	uint8_t    *block = get(code->code_bytes);
	void	   *scratch = get(vecx_list_query_bytes(code) + 64);
	float		sigma[VECX_LIST_BLOCK];

	vecx_list_query_init(code, &query, q, scratch);
	vecx_list_probe_init(code, &query, vecx_kernels->l2sq_f32(q, centre, DIM), 0.0f, &probe);
	for (int i = 0; i < ROWS; i += VECX_LIST_BLOCK)
	{
		uint32_t	sums[VECX_LIST_BLOCK] = {0};

		for (int slot = 0; slot < VECX_LIST_BLOCK; slot++)
		{
			vecx_list_put_codes(code, block, 0, code->ncolumns, slot, row_codes[i + slot]);
			vecx_list_put_factors(&factors, slot, &entries[i + slot]);
		}
		vecx_list_add_sums(code, &query, block, 0, code->ncolumns, sums);
		vecx_list_estimates(&query, &probe, sums, &factors, est + i, sigma);
	}
	free(scratch);
	free(block);
}

/* The share of the queries' nearest rows among as many by estimates. */
static double
share_found(const VecxListCode *code)
{
	static float est[ROWS];
	static float sorted[ROWS];
	int			found = 0;

	for (int q = QUERIES; q < QUERIES + HELD_OUT; q++)
	{
		float		nearest;

		for (int i = 0; i < ROWS; i++)
			sorted[i] = distances[i] = vecx_kernels->l2sq_f32(query_of[q], rows + i * DIM, DIM);
		qsort(sorted, ROWS, sizeof(float), compare_floats);
		nearest = sorted[NEAREST - 1];
		estimate_rows(code, query_of[q], est);
		memcpy(sorted, est, sizeof(sorted));
		qsort(sorted, ROWS, sizeof(float), compare_floats);
		for (int i = 0; i < ROWS; i++)
			found += distances[i] <= nearest && est[i] <= sorted[NEAREST - 1];
	}
	return (double) found / (HELD_OUT * NEAREST);
}

/* What a search would know of all rows. */
static void
make_sample(const VecxListCode *code, VecxScoreSample *sample)
{
	VecxListFactors factors;
	float		sorted[ROWS];

	for (int q = 0; q < QUERIES; q++)
	{
		for (int i = 0; i < ROWS; i++)
			sorted[i] = distances[i] = vecx_kernels->l2sq_f32(query_of[q], rows + i * DIM, DIM);
		qsort(sorted, ROWS, sizeof(float), compare_floats);
		first[q + 1] = (uint32_t) (q + 1) * ROWS;
		for (int i = 0; i < ROWS; i++)
		{
			VecxScoreRow *row = &scores[q * ROWS + i];

			vecx_list_put_factors(&factors, 0, &entries[i]);
			row->fixed = vecx_kernels->l2sq_f32(query_of[q], centre, DIM) + entries[i].add;
			row->rescale = vecx_list_rescale(&factors, 0);
			row->kind = distances[i] <= sorted[NEAREST - 1] ? VECX_SCORE_KNOWN : VECX_SCORE_BEYOND;
			row->target = row->kind == VECX_SCORE_KNOWN ? distances[i] : sorted[NEAREST - 1];
			memcpy(codes + (q * ROWS + i) * M, row_codes[i], M);
		}
	}
	*sample = (VecxScoreSample) {code, query_of, QUERIES, first, scores, codes};
}

static void
check_damage(const VecxListCode *code, uint8_t *bytes)
{
	size_t		nbytes = vecx_score_bytes(code);
	VecxScoreBooks books;
	int			refused = 0;

	for (size_t n = 0; n < nbytes; n += 4)
		refused += vecx_score_bind(&books, code, bytes, n) != NULL;
	UNIT_CHECK(refused == (int) (nbytes / 4), "cut off anywhere: refused");
	for (int at = 0; at < 24; at += 4)
	{
		uint8_t		byte = bytes[at + 3];

		bytes[at + 3] = 0xff;
		UNIT_CHECK(vecx_score_bind(&books, code, bytes, nbytes) != NULL, "word %d of the head damaged: refused", at / 4);
		bytes[at + 3] = byte;
	}
	memset(bytes + nbytes - 4, 0xff, 4);
	UNIT_CHECK(vecx_score_bind(&books, code, bytes, nbytes) != NULL, "not a number: refused");
}

/* Learns books for a quantiser of vectors of its own; adds up what is found before and with them. */
static uint8_t *
learn(VecxListCode *code, uint64_t seed, uint8_t **bytes, VecxScoreSample *sample, double *before, double *after)
{
	VecxListOptions options = {VECX_LIST_PQ, 4, M, VECX_PQ_KMEANS, seed};
	VecxListSample trained = {rows, ROWS};
	VecxListCode scoring;
	VecxScoreBooks books;
	uint8_t    *learned;
	size_t		nbytes;

	make_vectors();
	*bytes = vecx_list_code_train(&env, &options, VECX_METRIC_L2, DIM, &trained, &nbytes);
	UNIT_CHECK(vecx_list_code_bind(code, *bytes, nbytes) == NULL && code->ncolumns == M, "a quantiser");
	centre_y = realloc(centre_y, sizeof(float) * code->proj_floats);
	memset(centre_y, 0, sizeof(float) * code->proj_floats);
	encode_rows(code);
	make_sample(code, sample);
	learned = vecx_score_train(&env, sample, 1);
	UNIT_CHECK(vecx_score_bind(&books, code, learned, vecx_score_bytes(code)) == NULL, "books");
	vecx_score_use(code, &books, &scoring);
	UNIT_CHECK(scoring.encode_books == code->encode_books && code->score_biases == NULL,
			   "the quantiser itself stays as it is");
	*before += share_found(code) / SETS;
	*after += share_found(&scoring) / SETS;
	return learned;
}

int
main(void)
{
	VecxListCode code;
	VecxScoreSample sample;
	VecxScoreBooks books;
	uint8_t    *bytes = NULL;
	uint8_t    *learned = NULL;
	uint8_t    *again;
	double		before = 0.0;
	double		after = 0.0;

	for (uint64_t set = 0; set < SETS; set++)
	{
		if (set > 0)
		{
			env_release(NULL, learned);
			env_release(NULL, bytes);
		}
		learned = learn(&code, 5 + set, &bytes, &sample, &before, &after);
	}
	UNIT_CHECK(after > before + 0.005, "of the nearest %.4f before, %.4f with them", before, after);
	again = vecx_score_train(&env, &sample, 1);
	UNIT_CHECK(memcmp(learned, again, vecx_score_bytes(&code)) == 0, "the same seed, the same books");

	/* without queries there is nothing to learn */
	sample.nqueries = 0;
	env_release(NULL, again);
	again = vecx_score_train(&env, &sample, 1);
	UNIT_CHECK(vecx_score_bind(&books, &code, again, vecx_score_bytes(&code)) == NULL &&
			   memcmp(books.books, code.score_books, sizeof(float) * code.pdims * 16) == 0,
			   "no queries: the quantiser's own books");
	check_damage(&code, learned);
	env_release(NULL, learned);
	env_release(NULL, again);
	env_release(NULL, bytes);
	free(centre_y);
	UNIT_CHECK(blocks_out == 0, "nothing is left allocated");
	return unit_done();
}

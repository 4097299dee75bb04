/*
 * test_tune.c
 *    Proves that adapters of queries are learned where queries point elsewhere than
 *    their rows' lists are, do no harm where they do not, and are refused when damaged.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code_tune.h"
#include "../../src/kernel/kernel.h"
#include "unit.h"
#include "unit_code.h"

#define DIM			24
#define NLISTS		300
#define NQUERIES	400
#define HELD_OUT	100			/* queries behind them, to judge by */

static float centres[NLISTS * DIM];
static float queries[(NQUERIES + HELD_OUT) * DIM];
static VecxTuneGoal goals[NQUERIES + HELD_OUT];
static uint32_t first[NQUERIES + HELD_OUT + 1];

typedef enum Change
{
	NONE, SHIFTED, MIRRORED, SHRUNK, NCHANGES
} Change;

static const char *const change_names[] = {"as they are", "shifted", "mirrored in some directions", "shrunk"};

/* Queries near the centroids of their goals, then changed. */
static void
make_sample(VecxTuneSample *sample, VecxMetric metric, Change change)
{
	for (int i = 0; i < NLISTS * DIM; i++)
		centres[i] = (float) random_normal();
	for (uint32_t q = 0; q < NQUERIES + HELD_OUT; q++)
	{
		goals[q] = (VecxTuneGoal) {q * 7919 % NLISTS, 1.0f};
		first[q + 1] = q + 1;
		for (uint32_t d = 0; d < DIM; d++)
		{
			float		x = centres[goals[q].list * DIM + d] + 0.3f * (float) random_normal();

			if (change == SHIFTED)
				x += d % 3 == 0 ? 4 : -2;
			if (change == MIRRORED && d < 4)
				x = -x;
			if (change == SHRUNK)
				x /= 8;
			queries[q * DIM + d] = x;
		}
	}
	*sample = (VecxTuneSample) {metric, DIM, centres, NLISTS, queries, NQUERIES, first, goals};
}

/* The share of the queries held out whose goal is among the three nearest lists. */
static double
share_found(const VecxTuneSample *sample, const VecxAdapter *adapter)
{
	float		room[DIM];
	float		nav[NLISTS];
	int			found = 0;

	for (int q = NQUERIES; q < NQUERIES + HELD_OUT; q++)
	{
		int			nearer = 0;

		vecx_tune_distances(sample, adapter, queries + q * DIM, room, nav);
		for (int c = 0; c < NLISTS; c++)
			nearer += nav[c] < nav[goals[q].list];
		found += nearer < 3;
	}
	return (double) found / HELD_OUT;
}

static void
check_learning(VecxMetric metric, const char *metric_name, Change change)
{
	VecxTuneSample sample;
	VecxAdapter adapter;
	double		before;
	double		after;
	uint8_t    *bytes;
	uint8_t    *again;
	size_t		nbytes = vecx_adapter_bytes(DIM, 8);

	make_sample(&sample, metric, change);
	before = share_found(&sample, NULL);
	bytes = vecx_adapter_train(&env, &sample, 8, 1);
	again = vecx_adapter_train(&env, &sample, 8, 1);
	UNIT_CHECK(memcmp(bytes, again, nbytes) == 0, "%s, queries %s: the same seed, the same adapter",
			   metric_name, change_names[change]);
	UNIT_CHECK(vecx_adapter_bind(&adapter, bytes, nbytes) == NULL, "%s, queries %s: an adapter",
			   metric_name, change_names[change]);
	after = share_found(&sample, &adapter);
	UNIT_CHECK(after >= before - 0.05 && (change == NONE || before > 0.8 || after > before + 0.1),
			   "%s, queries %s: %.2f found, then %.2f", metric_name, change_names[change], before, after);
	env_release(NULL, bytes);
	env_release(NULL, again);
	UNIT_CHECK(blocks_out == 0, "%s, queries %s: nothing is left allocated", metric_name, change_names[change]);
}

static void
check_damage(void)
{
	VecxTuneSample sample;
	VecxAdapter adapter;
	size_t		nbytes = vecx_adapter_bytes(DIM, 2);
	uint8_t    *bytes;
	int			refused = 0;

	make_sample(&sample, VECX_METRIC_L2, NONE);
	sample.nqueries = 20;
	bytes = vecx_adapter_train(&env, &sample, 2, 1);
	UNIT_CHECK(vecx_adapter_bind(&adapter, bytes, nbytes) == NULL, "learned from few queries");
	for (size_t n = 0; n < nbytes; n += 4)
		refused += vecx_adapter_bind(&adapter, bytes, n) != NULL;
	UNIT_CHECK(refused == (int) (nbytes / 4), "cut off anywhere: refused");
	for (int at = 0; at < 20; at += 4)
	{
		uint8_t		byte = bytes[at + 3];

		bytes[at + 3] = 0xff;
		UNIT_CHECK(vecx_adapter_bind(&adapter, bytes, nbytes) != NULL, "word %d of the head damaged: refused",
				   at / 4);
		bytes[at + 3] = byte;
	}
	memset(bytes + nbytes - 4, 0xff, 4);
	UNIT_CHECK(vecx_adapter_bind(&adapter, bytes, nbytes) != NULL, "not a number: refused");
	env_release(NULL, bytes);
}

/* Without queries, or one list, nothing is to be learned. */
static void
check_nothing(void)
{
	VecxTuneSample sample;
	VecxAdapter adapter;
	uint8_t    *bytes;
	float		moved[DIM];

	make_sample(&sample, VECX_METRIC_L2, NONE);
	sample.nqueries = 0;
	bytes = vecx_adapter_train(&env, &sample, 4, 1);
	UNIT_CHECK(vecx_adapter_bind(&adapter, bytes, vecx_adapter_bytes(DIM, 4)) == NULL, "no queries: an adapter");
	vecx_adapter_apply(&adapter, queries, moved);
	UNIT_CHECK(memcmp(moved, queries, sizeof(moved)) == 0, "which changes nothing");
	env_release(NULL, bytes);
}

int
main(void)
{
	for (int change = NONE; change < NCHANGES; change++)
	{
		check_learning(VECX_METRIC_L2, "L2", (Change) change);
		check_learning(VECX_METRIC_IP, "inner product", (Change) change);
	}
	check_damage();
	check_nothing();
	return unit_done();
}

/*
 * test_near.c
 *    Proves vecx_least against a full sort, and its kernels against plain loops: all
 *    lengths, rows with many equal elements, with numbers below zero, and with no numbers.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/code/code.h"
#include "unit_kernel.h"

typedef enum Shape
{
	UNIFORM, SIGNED, FEW_VALUES, ALL_EQUAL, CLUSTERED, NO_NUMBERS, NSHAPES
} Shape;

static const char *const shape_names[] = {
	"uniform", "of both signs", "of few values", "all equal", "in clusters", "with NaN and infinity"
};

static float
element(Shape shape)
{
	float		x = (float) random_unit();

	switch (shape)
	{
		case SIGNED:
			return x - 0.5f;
		case FEW_VALUES:
			return (float) (random64() % 5);
		case ALL_EQUAL:
			return 3.0f;
		case CLUSTERED:
			return x + (float) (random64() % 10 == 0 ? 0 : 1000);
		case NO_NUMBERS:
			return random64() % 16 == 0 ? NAN : random64() % 16 == 0 ? INFINITY : x;
		default:
			return x;
	}
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y);
	return (x > y) - (x < y);
}

/* A little more than vecx_least promises, relative to the element. */
static bool
about_equal(float a, float b)
{
	return a == b || (isnan(a) && isnan(b)) || fabsf(a - b) <= fabsf(b) * 0x1p-14f;
}

static bool
least_is_right(Shape shape, size_t count, size_t want)
{
	float	   *row = malloc(count * sizeof(float) + 1);
	float	   *sorted = malloc(count * sizeof(float) + 1);
	uint32_t   *at = malloc(count * sizeof(uint32_t) + 1);
	int32_t    *room = malloc((count + 4) * sizeof(int32_t));
	bool	   *seen = calloc(count + 1, sizeof(bool));
	size_t		n;
	bool		good;

	for (size_t i = 0; i < count; i++)
		sorted[i] = row[i] = element(shape);
	qsort(sorted, count, sizeof(float), compare_floats);
	n = vecx_least(row, count, want, room, at);
	good = n == (count < want ? count : want);
	for (size_t i = 0; good && i < n; i++)
	{
		good = at[i] < count && !seen[at[i]] && about_equal(row[at[i]], sorted[i]);
		if (good)
			seen[at[i]] = true;
	}
	free(row);
	free(sorted);
	free(at);
	free(room);
	free(seen);
	return good;
}

/* The kernels against what they are said to do; nothing beside their arrays is touched. */
static bool
kernels_are_right(const VecxKernels *k, Shape shape, size_t count, size_t n)
{
	float	   *row = place(ARENA_A, count * sizeof(float), count % 2 == 0);
	int32_t    *minima = place(ARENA_OUT, n * sizeof(int32_t), true);
	uint32_t   *at = place(ARENA_OUT2, count * sizeof(uint32_t), true);
	int32_t		limit;
	size_t		within = 0;
	size_t		hits = 0;
	bool		good = true;

	for (size_t i = 0; i < count; i++)
		row[i] = element(shape);
	limit = count > 0 ? vecx_float_order(row[random64() % count]) : 0;
	k->fold_least(row, count, minima, n);
	for (size_t j = 0; j < n; j++)
	{
		int32_t		least = INT32_MAX;

		for (size_t i = j; i < count; i += n)
			least = vecx_float_order(row[i]) < least ? vecx_float_order(row[i]) : least;
		good = good && minima[j] == least;
		within += least <= limit;
	}
	good = good && k->count_within(minima, n, limit) == within;
	within = k->positions_within(row, count, limit, at);
	for (size_t i = 0; i < count; i++)
		if (vecx_float_order(row[i]) <= limit)
			good = good && hits < within && at[hits++] == i;
	return good && hits == within;
}

static void
test_table(const VecxKernels *k)
{
	const size_t wants[] = {1, 9, 33, 65, 401};

	UNIT_CHECK(vecx_kernels_choose(k->name) == 0, "%s: is used", k->name);
	for (int shape = 0; shape < NSHAPES; shape++)
	{
		bool		good = true;

		for (size_t count = 0; good && count < 300; count++)
			good = kernels_are_right(k, (Shape) shape, count, 4 * (1 + random64() % 30));
		UNIT_CHECK(good, "%s: what lies within a limit of rows %s", k->name, shape_names[shape]);
		for (size_t count = 0; count < 1700; count += count < 80 ? 1 : 37)
			for (size_t w = 0; w < LENGTH(wants); w++)
				if (good && !least_is_right((Shape) shape, count, wants[w]))
				{
					NOTE("# %zu of %zu\n", wants[w], count);
					good = false;
				}
		UNIT_CHECK(good, "%s: the least of rows %s", k->name, shape_names[shape]);
	}
}

int
main(int argc, char **argv)
{
	return for_each_table(argc, argv, test_table);
}

/*
 * code_near.c
 *    The least of a row of distances, in order, without sorting the row.
 *
 * The row is folded into some four times as many minima as are wanted.  A
 * threshold that enough minima do not exceed is not exceeded by many more
 * elements, and those are few enough to be sorted by counting: the rank of each
 * is the number of those before it.
 */
#include "code_int.h"

/* Minima for each wanted element, elements for each minimum at most. */
#define NEAR_SPREAD		4
#define NEAR_FOLD		8
/* Elements that are sorted by counting, with 7 bits for which one it is. */
#define NEAR_BITS		7
#define NEAR_COUNTED	(1 << NEAR_BITS)
/* Elements too many that a threshold may let pass. */
#define NEAR_SLACK		4

/* A threshold that at least want of the minima do not exceed, and hardly more. */
static int32_t
find_threshold(const int32_t *minima, size_t n, size_t want)
{
	int64_t		low = INT32_MAX;
	int64_t		high = INT32_MIN;

	for (size_t j = 0; j < n; j++)
	{
		low = minima[j] < low ? minima[j] : low;
		high = minima[j] > high ? minima[j] : high;
	}
	/* low - 1 is exceeded by all, high by none */
	low--;
	while (high - low > 1)
	{
		int64_t		middle = low + (high - low) / 2;
		size_t		hits = vecx_kernels->count_within(minima, n, (int32_t) middle);

		if (hits < want)
			low = middle;
		else
			high = middle;
		if (hits >= want && hits <= want + NEAR_SLACK)
			break;
	}
	return (int32_t) high;
}

/* Positions by ascending element, of up to NEAR_COUNTED. */
static void
sort_by_counting(const float *row, uint32_t *at, size_t n)
{
	int32_t		keys[NEAR_COUNTED];
	uint32_t	sorted[NEAR_COUNTED];
	size_t		whole = (n + 3) / 4 * 4;

	for (size_t i = 0; i < n; i++)
		keys[i] = (int32_t) ((uint32_t) vecx_float_order(row[at[i]]) >> NEAR_BITS << NEAR_BITS | (uint32_t) i);
	for (size_t i = n; i < whole; i++)
		keys[i] = INT32_MAX;
	for (size_t i = 0; i < n; i++)
		sorted[vecx_kernels->count_within(keys, whole, keys[i]) - 1] = at[i];
	memcpy(at, sorted, n * sizeof(uint32_t));
}

/* Heap sort, for the rare rows with very many equal elements. */
static void
sort_many(const float *row, uint32_t *at, size_t n)
{
	for (size_t step = 0; step < n + n / 2; step++)
	{
		size_t		end = step < n / 2 ? n : n - 1 - (step - n / 2);
		size_t		root = step < n / 2 ? n / 2 - 1 - step : 0;
		uint32_t	moved = at[root];

		if (step >= n / 2)
		{
			moved = at[end];
			at[end] = at[0];
		}
		for (size_t child = 2 * root + 1; child < end; child = 2 * root + 1)
		{
			if (child + 1 < end && vecx_float_order(row[at[child]]) < vecx_float_order(row[at[child + 1]]))
				child++;
			if (vecx_float_order(row[at[child]]) <= vecx_float_order(row[moved]))
				break;
			at[root] = at[child];
			root = child;
		}
		at[root] = moved;
	}
}

size_t
vecx_least(const float *row, size_t count, size_t want, int32_t *room, uint32_t *at)
{
	size_t		group = count / (NEAR_SPREAD * want + 1);
	size_t		nminima;
	size_t		n;
	int32_t		limit = INT32_MAX;

	group = group < 1 ? 1 : group > NEAR_FOLD ? NEAR_FOLD : group;
	nminima = (count / group + 3) / 4 * 4;
	if (want < count)
	{
		vecx_kernels->fold_least(row, count, room, nminima);
		limit = find_threshold(room, nminima, want);
	}
	n = vecx_kernels->positions_within(row, count, limit, at);
	if (n <= NEAR_COUNTED)
		sort_by_counting(row, at, n);
	else
		sort_many(row, at, n);
	return n < want ? n : want;
}

int
vecx_compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

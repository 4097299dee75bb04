/*
 * code_rotate.c
 *    Seeded orthogonal transforms: random rotation of a vector, of a set of
 *    rows among themselves, random orthonormal rows.
 *
 * A random rotation of n coordinates is some rounds of random signs and a fast
 * Hadamard transform of a power-of-two window, at the front and at the back in
 * turn (the scheme of the RaBitQ library's Kac walk without its butterfly).
 * Below 64 coordinates that mixes too little; there a Gaussian matrix is made
 * orthonormal instead.
 */
#include "code_int.h"

#define ROTATE_ROUNDS	4
#define ROTATE_DENSE_MAX 64

static void
negate_row(float *row, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		row[i] = -row[i];
}

/* The fast Hadamard transform of rows instead of numbers, normalised. */
static void
fht_rows(float *rows, uint32_t nrows, uint32_t n)
{
	float		scale = 1.0f / sqrtf((float) nrows);

	for (uint32_t half = 1; half < nrows; half *= 2)
		for (uint32_t start = 0; start < nrows; start += 2 * half)
			vecx_butterfly(rows + (size_t) start * n, rows + (size_t) (start + half) * n,
						   (size_t) half * n);
	for (size_t i = 0; i < (size_t) nrows * n; i++)
		rows[i] *= scale;
}

/* m[n][n], orthonormal: Gram-Schmidt, twice over, on normal deviates. */
static void
dense_rotation(uint64_t *rng, uint32_t n, float *m)
{
	double		row[ROTATE_DENSE_MAX];

	for (uint32_t r = 0; r < n; r++)
	{
		double		norm = 0.0;

		while (norm < 1e-3)
		{
			for (uint32_t i = 0; i < n; i++)
				row[i] = vecx_random_normal(rng);
			for (uint32_t pass = 0; pass < 2; pass++)
				for (uint32_t p = 0; p < r; p++)
				{
					double		dot = 0.0;

					for (uint32_t i = 0; i < n; i++)
						dot += row[i] * (double) m[p * n + i];
					for (uint32_t i = 0; i < n; i++)
						row[i] -= dot * (double) m[p * n + i];
				}
			norm = 0.0;
			for (uint32_t i = 0; i < n; i++)
				norm += row[i] * row[i];
			norm = sqrt(norm);
		}
		for (uint32_t i = 0; i < n; i++)
			m[r * n + i] = (float) (row[i] / norm);
	}
}

/*
 * Replaces nrows rows of n by a random rotation of them among themselves.
 * scratch: nrows floats.
 */
void
vecx_rotate_rows(uint64_t *rng, uint32_t nrows, uint32_t n, float *rows, float *scratch)
{
	uint32_t	window = 1;

	if (nrows <= ROTATE_DENSE_MAX)
	{
		float		m[ROTATE_DENSE_MAX * ROTATE_DENSE_MAX];

		dense_rotation(rng, nrows, m);
		for (uint32_t col = 0; col < n; col++)
		{
			for (uint32_t r = 0; r < nrows; r++)
			{
				scratch[r] = 0.0f;
				for (uint32_t p = 0; p < nrows; p++)
					scratch[r] += m[r * nrows + p] * rows[(size_t) p * n + col];
			}
			for (uint32_t r = 0; r < nrows; r++)
				rows[(size_t) r * n + col] = scratch[r];
		}
		return;
	}
	while (window * 2 <= nrows)
		window *= 2;
	for (uint32_t round = 0; round < ROTATE_ROUNDS; round++)
	{
		uint32_t	first = round % 2 == 0 ? 0 : nrows - window;

		for (uint32_t r = 0; r < nrows; r++)
			if (vecx_random(rng) >> 63)
				negate_row(rows + (size_t) r * n, n);
		fht_rows(rows + (size_t) first * n, window, n);
	}
}

/* The transform of the file's head, of one vector. */
static void
rotate_vector(const uint64_t *signs, uint32_t n, uint32_t window, float *x)
{
	float		scale = 1.0f / sqrtf((float) window);
	uint32_t	words = (n + 63) / 64;

	for (uint32_t round = 0; round < ROTATE_ROUNDS; round++)
	{
		float	   *part = x + (round % 2 == 0 ? 0 : n - window);

		for (uint32_t i = 0; i < n; i++)
			if (signs[round * words + i / 64] >> (i % 64) & 1)
				x[i] = -x[i];
		vecx_kernels->fht_f32(part, window);
		for (uint32_t i = 0; i < window; i++)
			part[i] *= scale;
	}
}

/*
 * A fixed random rotation of one vector, n a multiple of 64, and its inverse.
 * Where n is no power of two, a butterfly between the halves follows each
 * transform of a window, so that four rounds spread every element over all.
 * Where it is one, each transform does, and three make even vectors of three
 * elements look random.
 *
 * Being fixed, it suits a set of vectors more or less for good: of five seeds the first
 * let inserts of 64 dims find .986 of the nearest, the others .988 to .992, as random
 * matrices did.  The seed is one of these.
 */
#define ROTATE_WHOLE_ROUNDS 3
#define ROTATE_SEED		UINT64_C(0x7665637222)

/* Each of four words has the signs of every fourth of 64 elements. */
static void
flip_signs(uint64_t *rng, float *x, uint32_t n)
{
	VecxFourWords *words = (VecxFourWords *) (void *) x;
	const VecxFourWords sign = {UINT32_C(1) << 31, UINT32_C(1) << 31, UINT32_C(1) << 31, UINT32_C(1) << 31};

	for (uint32_t start = 0; start < n / 4; start += 16)
	{
		uint64_t	a = vecx_random(rng);
		uint64_t	b = vecx_random(rng);
		VecxFourWords signs = {(uint32_t) a, (uint32_t) (a >> 32), (uint32_t) b, (uint32_t) (b >> 32)};

		for (uint32_t i = 0; i < 16; i++, signs += signs)
			words[start + i] ^= signs & sign;
	}
}

static void
scale_vector(float *x, uint32_t n, float scale)
{
	VecxFour   *four = (VecxFour *) (void *) x;
	const VecxFour scales = {scale, scale, scale, scale};

	for (uint32_t i = 0; i < n / 4; i++)
		four[i] *= scales;
}

static void
fixed_rotation(float *x, uint32_t n, bool back)
{
	uint32_t	window = 64;
	uint32_t	rounds;
	float		scale;

	while (window * 2 <= n)
		window *= 2;
	rounds = window == n ? ROTATE_WHOLE_ROUNDS : ROTATE_ROUNDS;
	scale = 1.0f / sqrtf((float) window);
	for (uint32_t i = 0; i < rounds; i++)
	{
		uint32_t	round = back ? rounds - 1 - i : i;
		uint64_t	rng = ROTATE_SEED + round;
		float	   *part = x + (round % 2 == 0 ? 0 : n - window);

		if (!back)
			flip_signs(&rng, x, n);
		else if (window < n)
			vecx_butterfly(x, x + n / 2, n / 2);
		vecx_kernels->fht_f32(part, window);
		scale_vector(part, window, scale);
		if (back)
			flip_signs(&rng, x, n);
		else if (window < n)
			vecx_butterfly(x, x + n / 2, n / 2);
	}
	/* each butterfly made it longer by the root of two */
	if (window < n)
		scale_vector(x, n, 0.25f);
}

void
vecx_rotate(float *x, uint32_t n)
{
	fixed_rotation(x, n, false);
}

void
vecx_rotate_back(float *x, uint32_t n)
{
	fixed_rotation(x, n, true);
}

/* nrows <= n random orthonormal rows: images of unit vectors. */
void
vecx_random_rows(uint64_t *rng, uint32_t nrows, uint32_t n, float *rows)
{
	uint64_t	signs[ROTATE_ROUNDS * (VECX_BASIS_DIRECT_DIM / 64)];
	uint32_t	window = 1;
	uint32_t	step;

	if (n <= ROTATE_DENSE_MAX)
	{
		float		m[ROTATE_DENSE_MAX * ROTATE_DENSE_MAX];

		dense_rotation(rng, n, m);
		memcpy(rows, m, (size_t) nrows * n * sizeof(float));
		return;
	}
	while (window * 2 <= n)
		window *= 2;
	for (uint32_t i = 0; i < ROTATE_ROUNDS * ((n + 63) / 64); i++)
		signs[i] = vecx_random(rng);
	step = n / nrows;
	for (uint32_t r = 0; r < nrows; r++)
	{
		float	   *row = rows + (size_t) r * n;

		memset(row, 0, n * sizeof(float));
		row[r * step] = 1.0f;
		rotate_vector(signs, n, window, row);
	}
}

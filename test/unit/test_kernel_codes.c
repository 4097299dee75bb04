/*
 * test_kernel_codes.c
 *    Proves the kernels of codes in src/kernel/kernel.h, and those that make
 *    them, as test_kernel.c does the others.
 *
 * An argument is the seed of the random data.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "unit_kernel.h"

/* ---- integers ---- */

static uint32_t
naive_bit(const uint8_t *bits, size_t i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

static bool
bytes_agree(const VecxKernels *k, size_t n, bool at_end, bool all_ones)
{
	uint8_t    *a = place(ARENA_A, n, at_end);
	uint8_t    *b = place(ARENA_B, n, at_end);
	uint64_t	product = 0;
	uint64_t	counts[3] = {0, 0, 0};
	uint64_t	both;
	uint64_t	any;
	bool		good;

	random_bytes(a, n);
	random_bytes(b, n);
	if (all_ones)
	{
		memset(a, 255, n);
		memset(b, 255, n);
	}
	for (size_t i = 0; i < n; i++)
		product += (uint64_t) a[i] * b[i];
	for (size_t i = 0; i < 8 * n; i++)
	{
		counts[0] += naive_bit(a, i) ^ naive_bit(b, i);
		counts[1] += naive_bit(a, i) & naive_bit(b, i);
		counts[2] += naive_bit(a, i) | naive_bit(b, i);
	}
	k->jaccard(a, b, n, &both, &any);
	good = k->ip_u8u8(a, b, n) == (uint32_t) product &&
		k->hamming(a, b, n) == counts[0] && both == counts[1] && any == counts[2];
	if (!good)
		NOTE("# %s: bytes or bits differ at n = %zu, %s\n", k->name, n,
			   all_ones ? "all ones" : "random");
	return good;
}

static void
test_bytes(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 0; n <= 200; n++)
		good = bytes_agree(k, n, true, false) && bytes_agree(k, n, false, false) &&
			bytes_agree(k, n, true, true) && good;
	for (size_t i = 0; i < LENGTH(long_lengths); i++)
		good = bytes_agree(k, long_lengths[i], true, false) && good;
	/* 255 * 255 times this is the last product that fits 32 bits. */
	good = bytes_agree(k, 66051, true, true) && bytes_agree(k, 66051, true, false) && good;
	UNIT_CHECK(good, "%s: ip_u8u8, hamming, jaccard", k->name);
}

static bool
byte_products_agree(const VecxKernels *k, size_t na, size_t nb, size_t n)
{
	uint8_t    *a = place(ARENA_A, na * n, true);
	uint8_t    *b = place(ARENA_B, nb * n, true);
	size_t		stride = nb + 3;
	uint32_t	out[80 * 83];

	random_bytes(a, na * n);
	random_bytes(b, nb * n);
	memset(out, 0xAB, sizeof(out));
	k->products_u8u8(a, na, b, nb, n, out, stride);
	for (size_t i = 0; i < na; i++)
		for (size_t j = 0; j < stride; j++)
			if (out[i * stride + j] != (j < nb ? k->ip_u8u8(a + i * n, b + j * n, n) : 0xABABABABu))
			{
				NOTE("# %s: %zu times %zu rows differ at n = %zu\n", k->name, na, nb, n);
				return false;
			}
	return true;
}

static void
test_byte_products(const VecxKernels *k)
{
	bool		good = true;

	for (size_t na = 1; na <= 11; na++)
		for (size_t nb = 1; nb <= 11; nb++)
			for (size_t n = 1; n <= 200; n += 7)
				good = byte_products_agree(k, na, nb, n) && good;
	good = byte_products_agree(k, 9, 16, 256) && byte_products_agree(k, 4, 4, 64) && good;
	/* enough rows for tiles, whole ones and not */
	for (size_t n = 1; n <= 260; n += 37)
		good = byte_products_agree(k, 32, 32, n) && byte_products_agree(k, 33, 80, n) &&
			byte_products_agree(k, 80, 65, n) && byte_products_agree(k, 64, 31, n) && good;
	for (size_t n = 1; n <= 200; n += 21)
		good = byte_products_agree(k, 1, 16, n) && byte_products_agree(k, 1, 37, n) &&
			byte_products_agree(k, 3, 31, n) && good;
	good = byte_products_agree(k, 40, 64, 128) && byte_products_agree(k, 40, 64, 2049) && good;
	UNIT_CHECK(good, "%s: products_u8u8", k->name);
}

static void
test_hamming_many(const VecxKernels *k)
{
	bool		good = true;

	for (size_t nbytes = 0; nbytes <= 200; nbytes += nbytes < 20 ? 1 : 12)
		for (size_t n = 0; n <= 35; n++)
		{
			size_t		stride = nbytes + n % 3 * 5;
			uint8_t    *q = place(ARENA_A, nbytes, true);
			uint8_t    *rows = place(ARENA_B, n ? (n - 1) * stride + nbytes : 0, n % 2);
			uint32_t   *out = place(ARENA_OUT, n * sizeof(*out), true);

			random_bytes(q, nbytes);
			random_bytes(rows, n ? (n - 1) * stride + nbytes : 0);
			memset(out, 0x55, n * sizeof(*out));
			k->hamming_many(q, nbytes, rows, stride, n, out);
			for (size_t j = 0; j < n; j++)
				good = good && out[j] == k->hamming(q, rows + j * stride, nbytes);
		}
	UNIT_CHECK(good, "%s: hamming_many", k->name);
}

typedef enum Fill
{
	FILL_RANDOM, FILL_HIGHEST, FILL_LOWEST, NFILLS
} Fill;

static bool
sketches_agree(const VecxKernels *k, size_t ndims, size_t nplanes, size_t n,
			   size_t gap, Fill kind)
{
	size_t		nbytes = ndims / 8 * nplanes;
	size_t		stride = nbytes + gap;
	size_t		all = n ? (n - 1) * stride + nbytes : 0;
	int8_t	   *q = place(ARENA_A, ndims, true);
	uint8_t    *rows = place(ARENA_B, all, true);
	int32_t    *out = place(ARENA_OUT, n * sizeof(*out), true);

	random_bytes(q, ndims);
	random_bytes(rows, all);
	for (size_t i = 0; i < ndims; i++)
		if (kind != FILL_RANDOM || q[i] == -128)
			q[i] = kind == FILL_LOWEST ? -127 : 127;
	if (kind != FILL_RANDOM)
		memset(rows, 255, all);
	k->sketch_dot(q, ndims, nplanes, rows, stride, n, out);
	for (size_t j = 0; j < n; j++)
	{
		int64_t		want = 0;

		for (size_t i = 0; i < ndims; i++)
		{
			int64_t		u = 0;

			for (size_t p = 0; p < nplanes; p++)
				u = 2 * u + naive_bit(rows + j * stride, p * ndims + i);
			want += u * q[i];
		}
		if (out[j] != want)
		{
			NOTE("# %s sketch_dot, %zu dims, %zu planes, %zu of %zu: %d, expected %lld\n",
				   k->name, ndims, nplanes, j, n, (int) out[j], (long long) want);
			return false;
		}
	}
	return true;
}

/* Element i of a packed code, from the description in kernel.h. */
static int64_t
naive_packed(const uint8_t *packed, size_t nbits, size_t i)
{
	const uint8_t *field = packed + i / 64 * 8 * nbits;
	int64_t		u = 0;
	int			place = 0;

	for (size_t width = 8; width > 0; width /= 2)
		if (nbits & width)
		{
			for (size_t b = 0; b < width; b++)
				u |= (int64_t) naive_bit(field + i % 64 % (8 * width), i % 64 / (8 * width) * width + b) << place++;
			field += 8 * width;
		}
	return u;
}

static bool
packed_agrees(const VecxKernels *k, size_t n, size_t nbits, bool at_end, Fill kind)
{
	int8_t	   *q = place(ARENA_A, n, at_end);
	uint8_t    *packed = place(ARENA_B, n / 8 * nbits, at_end);
	int64_t		want = 0;
	int32_t		got;

	random_bytes(q, n);
	random_bytes(packed, n / 8 * nbits);
	if (kind != FILL_RANDOM)
	{
		memset(q, kind == FILL_LOWEST ? -128 : 127, n);
		memset(packed, 255, n / 8 * nbits);
	}
	for (size_t i = 0; i < n; i++)
		want += q[i] * naive_packed(packed, nbits, i);
	got = k->packed_dot(q, packed, n, nbits);
	if (got != want)
		NOTE("# %s packed_dot, %zu elements of %zu bits: %d, expected %lld\n",
			   k->name, n, nbits, (int) got, (long long) want);
	return got == want;
}

static void
test_packed(const VecxKernels *k)
{
	static const size_t lengths[] = {0, 64, 128, 192, 512, 832, 1024, 4096, 16384};
	bool		good = true;

	for (size_t nbits = 1; nbits <= 8; nbits++)
		for (size_t i = 0; i < LENGTH(lengths); i++)
			for (Fill kind = 0; kind < NFILLS; kind++)
				good = packed_agrees(k, lengths[i], nbits, true, kind) &&
					packed_agrees(k, lengths[i], nbits, false, kind) && good;
	UNIT_CHECK(good, "%s: packed_dot, all bits and lengths", k->name);
}

static void
test_sketches(const VecxKernels *k)
{
	static const size_t dims[] = {64, 128, 192, 256, 320, 512, 576, 1024};
	static const size_t large[] = {4096, 4160, 8192, 16384};
	bool		good = true;

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (size_t planes = 1; planes <= 8; planes++)
			for (size_t n = 0; n <= 37; n += planes < 3 || n > 30 ? 1 : 3)
				good = sketches_agree(k, dims[d], planes, n, n % 4 * 3, FILL_RANDOM) && good;
	UNIT_CHECK(good, "%s: sketch_dot, all counts and planes", k->name);

	good = true;
	for (size_t d = 0; d < LENGTH(large); d++)
		for (Fill kind = 0; kind < NFILLS; kind++)
			good = sketches_agree(k, large[d], 8, 5, 8, kind) &&
				sketches_agree(k, large[d], 8, 16, 0, kind) &&
				sketches_agree(k, large[d], 1, 3, 1, kind) && good;
	UNIT_CHECK(good, "%s: sketch_dot, largest sums", k->name);
}

/* ---- blocks of codes ---- */

/* fastscan4 or fastscan8 against its definition; every table entry is full or random. */
static bool
fastscan_agrees(const VecxKernels *k, size_t nbits, size_t m, bool full, bool at_end)
{
	size_t		row = 4 * nbits;
	size_t		entries = (size_t) 1 << nbits;
	uint8_t    *columns = place(ARENA_A, m * row, at_end);
	uint8_t    *tables = place(ARENA_B, m * entries, at_end);
	uint32_t   *sums = place(ARENA_OUT, 32 * sizeof(*sums), at_end);
	uint32_t	expected[32];
	bool		good;

	random_bytes(columns, m * row);
	random_bytes(tables, m * entries);
	if (full)
		memset(tables, 255, m * entries);
	for (size_t i = 0; i < 32; i++)
	{
		expected[i] = sums[i] = (uint32_t) random64() >> 8;
		for (size_t c = 0; c < m; c++)
			expected[i] += tables[c * entries + (nbits == 8 ? columns[c * row + i] :
												 columns[c * row + i % 16] >> (i / 16 * 4) & 15)];
	}
	if (nbits == 8)
		k->fastscan8(columns, m, tables, sums);
	else
		k->fastscan4(columns, m, tables, sums);
	good = memcmp(sums, expected, sizeof(expected)) == 0;
	if (!good)
		NOTE("# %s: fastscan%zu of %zu columns differs\n", k->name, nbits, m);
	return good;
}

static void
test_fastscan(const VecxKernels *k)
{
	for (size_t nbits = 4; nbits <= 8; nbits += 4)
	{
		bool		good = true;

		for (size_t m = 0; m <= 70; m++)
			good = fastscan_agrees(k, nbits, m, m % 3 == 0, m % 2) && good;
		/* On both sides of what 16-bit sums hold, in one, two or four parts. */
		for (size_t parts = 1; parts <= 4; parts *= 2)
			for (size_t m = parts * 256 - 5; m <= parts * 256 + 5; m++)
				for (int full = 0; full <= 1; full++)
					good = fastscan_agrees(k, nbits, m, full, m % 2) && good;
		good = fastscan_agrees(k, nbits, 4000, true, true) && good;
		good = fastscan_agrees(k, nbits, 4001, false, true) && good;
		UNIT_CHECK(good, "%s: fastscan%zu", k->name, nbits);
	}
}

static void
test_turn(const VecxKernels *k)
{
	bool		good = true;

	for (size_t nbytes = 0; nbytes <= 70; nbytes++)
	{
		uint8_t    *bytes = place(ARENA_A, 32 * nbytes, nbytes % 2);
		uint8_t    *columns = place(ARENA_OUT, 32 * nbytes, nbytes % 2);
		const uint8_t *rows[32];

		random_bytes(bytes, 32 * nbytes);
		for (size_t i = 0; i < 32; i++)
			rows[i] = bytes + (nbytes % 3 == 0 && i > 20 ? 20 : i) * nbytes;
		k->turn4(rows, nbytes, columns);
		for (size_t i = 0; i < 32; i++)
			for (size_t c = 0; c < 2 * nbytes; c++)
				good = good && (columns[c * 16 + i % 16] >> (i / 16 * 4) & 15) == (rows[i][c / 2] >> (c % 2 * 4) & 15);
	}
	UNIT_CHECK(good, "%s: turn4", k->name);
}

/* ---- levels and planes ---- */

/* Elements of several sizes, some equal to those of other, some no numbers. */
static void
random_elements(float *x, const float *other, size_t n, bool special)
{
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	what = random64() % 64;

		x[i] = random_signed() * (what < 8 ? 1e-3f : what < 12 ? 100.0f : 1.0f);
		if (what == 12 && other != NULL)
			x[i] = other[i];
		if (special && what >= 60)
			x[i] = what == 60 ? NAN : what == 61 ? INFINITY : what == 62 ? -INFINITY : 1e-41f;
	}
}

static void
test_differences(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 0; n <= 200; n++)
		for (int special = 0; special < 2; special++)
		{
			float	   *a = place(ARENA_A, n * sizeof(float), n % 2 == 0);
			float	   *b = place(ARENA_B, n * sizeof(float), true);
			double		sum = 0.0;
			float		want = 0.0f;
			float		max = -1.0f;
			float		got;

			random_elements(a, NULL, n, special == 1);
			random_elements(b, a, n, special == 1);
			for (size_t i = 0; i < n; i++)
			{
				float		r = fabsf(a[i] - b[i]);

				sum += ((double) a[i] - (double) b[i]) * ((double) a[i] - (double) b[i]);
				want = r > want ? r : want;
			}
			got = k->l2sq_max_f32(a, b, n, &max);
			if (max != want ||
				(isfinite(sum) ? !(fabs((double) got - sum) <= 1e-5 * sum) : isfinite(got)))
			{
				NOTE("# %s: n %zu: %g %g, expected %g %g\n", k->name, n, (double) got, (double) max,
					 sum, (double) want);
				good = false;
			}
		}
	UNIT_CHECK(good, "%s: l2sq_max_f32", k->name);
}

static void
test_multiples(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 0; n <= 200; n++)
	{
		float	   *x = place(ARENA_A, n * sizeof(float), n % 2 == 0);
		float	   *y = place(ARENA_OUT, n * sizeof(float), true);
		float	   *want = place(ARENA_OUT2, n * sizeof(float), true);

		random_elements(x, NULL, n, false);
		random_elements(y, NULL, n, false);
		for (size_t i = 0; i < n; i++)
			want[i] = (float) ((double) y[i] - 0.7 * (double) x[i]);
		k->add_multiple_f32(y, x, -0.7f, n);
		for (size_t i = 0; i < n; i++)
			good = good && fabsf(y[i] - want[i]) <= 1e-6f * (fabsf(x[i]) + fabsf(want[i]));
	}
	UNIT_CHECK(good, "%s: add_multiple_f32", k->name);
}

static void
test_add_levels(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 0; n <= 200; n++)
	{
		uint8_t    *u = place(ARENA_A, n, n % 2 == 0);
		float	   *y = place(ARENA_OUT, n * sizeof(float), true);
		float	   *want = place(ARENA_OUT2, n * sizeof(float), true);

		random_elements(y, NULL, n, false);
		for (size_t i = 0; i < n; i++)
		{
			u[i] = (uint8_t) (random64() % 256);
			want[i] = (float) ((double) y[i] + 0.3 * ((double) u[i] - 128.0));
		}
		k->add_levels_u8(y, u, 0.3f, n);
		for (size_t i = 0; i < n; i++)
			good = good && fabsf(y[i] - want[i]) <= 1e-6f * (40.0f + fabsf(want[i]));
	}
	UNIT_CHECK(good, "%s: add_levels_u8", k->name);
}

static void
test_levels(const VecxKernels *k)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	bool		good = true;

	for (size_t n = 0; n <= 200; n++)
	{
		float	   *x = place(ARENA_A, n * sizeof(float), true);
		float	   *centre = place(ARENA_B, n * sizeof(float), n % 2 == 0);
		uint8_t    *u = place(ARENA_OUT, n, true);
		uint8_t    *want = place(ARENA_OUT2, n, true);
		float		inverse;
		float		max;
		uint32_t	sum = 0;

		random_elements(x, NULL, n, false);
		random_elements(centre, x, n, false);
		(void) scalar->l2sq_max_f32(x, centre, n, &max);
		inverse = max > 0.0f ? 127.0f / max : 0.0f;
		for (size_t i = 0; i < n; i++)
		{
			want[i] = (uint8_t) (128 + lrintf((x[i] - centre[i]) * inverse));
			sum += want[i];
		}
		if (k->levels_u8(x, centre, n, inverse, u) != sum || memcmp(u, want, n) != 0)
		{
			NOTE("# %s: levels of %zu\n", k->name, n);
			good = false;
		}
	}
	UNIT_CHECK(good, "%s: levels_u8", k->name);
}

static void
test_levels_sq8(const VecxKernels *k)
{
	bool		good = true;

	for (size_t length = 0; length <= 200 + LENGTH(long_lengths); length++)
	{
		size_t		n = length <= 200 ? length : long_lengths[length - 201];
		float	   *x = place(ARENA_A, n * sizeof(float), n % 2 == 0);
		uint8_t    *u = place(ARENA_OUT, n, true);
		float		scale = length % 5 == 0 ? 0.0f : 0.01f * (float) (1 + n % 7);
		float		offset = n % 3 == 0 ? 0.0f : -1.25f;
		float		inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
		double		want_err2 = 0.0;
		double		err2 = -1.0;
		uint32_t	want_sum = 0;
		uint32_t	sum;

		random_elements(x, NULL, n, false);
		/* ties, both ends, and far beyond them */
		for (size_t i = 0; i < n; i++)
			if (i % 3 > 0)
				x[i] = offset + scale * (i % 3 == 1 ? (float) (i % 9) - 0.5f : 300.0f * (float) (i % 4) - 300.0f);
		sum = k->levels_sq8(x, n, offset, scale, inverse, u, &err2);
		for (size_t i = 0; i < n; i++)
		{
			float		t = fminf(fmaxf((x[i] - offset) * inverse, 0.0f), 255.0f);
			double		e = (double) x[i] - ((double) offset + (double) scale * (double) u[i]);

			good = good && u[i] == (uint8_t) lrintf(t);
			want_sum += u[i];
			want_err2 += e * e;
		}
		if (sum != want_sum || !(fabs(err2 - want_err2) <= 1e-13 * want_err2))
			good = false;
		if (!good)
		{
			NOTE("# %s: levels of %zu\n", k->name, n);
			break;
		}
	}
	UNIT_CHECK(good, "%s: levels_sq8", k->name);
}

/* The sum that nearest16 looks for the greatest of. */
static double
sum_of(const float *books, const float *halves, const float *y, size_t n, size_t m, size_t c, int code)
{
	double		sum = -(double) halves[16 * c + code];

	for (size_t i = c * n / m; i < (c + 1) * n / m; i++)
		sum += (double) y[i] * (double) books[16 * i + code];
	return sum;
}

static void
test_nearest16(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 1; n <= 70; n++)
		for (size_t m = 1; m <= n; m += 1 + n / 7)
		{
			float	   *books = place(ARENA_A, 16 * n * sizeof(float), true);
			float	   *y = place(ARENA_B, n * sizeof(float), n % 2 == 0);
			float	   *halves = malloc(16 * m * sizeof(float));
			uint8_t    *codes = place(ARENA_OUT, m, true);

			random_elements(books, NULL, 16 * n, false);
			random_elements(y, NULL, n, false);
			random_elements(halves, NULL, 16 * m, false);
			/* the first of several */
			if (n % 3 == 0)
				memset(y, 0, n * sizeof(float));
			for (size_t i = 0; i < 16 * m && n % 3 == 0; i++)
				halves[i] = i % 16 < 5 ? 2.0f : 1.0f;
			k->nearest16(books, halves, y, n, m, codes);
			for (size_t c = 0; c < m; c++)
			{
				double		sum = codes[c] < 16 ? sum_of(books, halves, y, n, m, c, codes[c]) : -INFINITY;

				good &= n % 3 != 0 || codes[c] == 5;
				for (int code = 0; code < 16; code++)
					good &= sum >= sum_of(books, halves, y, n, m, c, code) - 1e-4 * (1 + fabs(sum));
			}
			y[0] = NAN;
			k->nearest16(books, halves, y, n, m, codes);
			for (size_t c = 0; c < m; c++)
				good &= codes[c] < 16;
			free(halves);
		}
	UNIT_CHECK(good, "%s: nearest16", k->name);
}

static bool
planes_agree(const VecxKernels *k, size_t n, size_t nplanes, bool special)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	size_t		plane_bytes = n / 8 + 8;
	size_t		nbytes = plane_bytes * (nplanes - 1) + n / 8;
	float	   *v = place(ARENA_A, n * sizeof(float), true);
	float	   *x = place(ARENA_B, n * sizeof(float), true);
	uint8_t    *planes = place(ARENA_OUT, nbytes, true);
	uint8_t    *want = place(ARENA_OUT2, nbytes, true);
	float		centre = (float) ((1u << nplanes) - 1) / 2.0f;
	float		sums[2];
	float		want_sums[2];
	double		terms[2] = {0};

	random_elements(v, NULL, n, special);
	random_elements(x, v, n, special);
	memset(planes, 0x5a, nbytes);
	memset(want, 0x5a, nbytes);
	k->sketch_encode(v, x, n, nplanes, plane_bytes, 3.0f, planes, sums);
	scalar->sketch_encode(v, x, n, nplanes, plane_bytes, 3.0f, want, want_sums);
	for (size_t i = 0; i < n; i++)
	{
		terms[0] += fabs((double) (x[i] - v[i])) * (double) centre;
		terms[1] += fabs((double) v[i]) * (double) centre;
	}
	for (int i = 0; i < 2; i++)
		if (isfinite(terms[i]) && !(fabs((double) (sums[i] - want_sums[i])) <= 1e-5 * terms[i]))
			return false;
	return memcmp(planes, want, nbytes) == 0;
}

/* The scalar planes are those that their definition says. */
static bool
planes_are_right(const VecxKernels *scalar, size_t nplanes)
{
	float		v[64];
	float		x[64];
	uint8_t		planes[64];
	float		sums[2];

	random_elements(v, NULL, 64, false);
	random_elements(x, v, 64, false);
	scalar->sketch_encode(v, x, 64, nplanes, 8, 3.0f, planes, sums);
	for (int i = 0; i < 64; i++)
	{
		int			most = (1 << nplanes) - 1;
		int			level = (int) floorf((x[i] - v[i]) * 3.0f) + (1 << (nplanes - 1));
		int			stored = 0;

		if (nplanes == 1)
			level = x[i] > v[i];
		level = level < 0 ? 0 : level > most ? most : level;
		for (size_t p = 0; p < nplanes; p++)
			stored = stored << 1 | (planes[p * 8 + i / 8] >> i % 8 & 1);
		if (stored != level)
			return false;
	}
	return true;
}

static void
test_planes(const VecxKernels *k)
{
	bool		good = true;

	for (size_t nplanes = 1; nplanes <= 8; nplanes *= 2)
	{
		good = good && (strcmp(k->name, "scalar") != 0 || planes_are_right(k, nplanes));
		for (size_t n = 0; n <= 1024; n += 64)
			for (int special = 0; special < 2; special++)
				if (!planes_agree(k, n, nplanes, special == 1))
				{
					NOTE("# %s: %zu planes of %zu%s\n", k->name, nplanes, n, special ? ", special" : "");
					good = false;
				}
	}
	UNIT_CHECK(good, "%s: sketch_encode", k->name);
}

static void
test_table(const VecxKernels *k)
{
	test_bytes(k);
	test_byte_products(k);
	test_hamming_many(k);
	test_packed(k);
	test_sketches(k);
	test_fastscan(k);
	test_turn(k);
	test_differences(k);
	test_multiples(k);
	test_levels(k);
	test_levels_sq8(k);
	test_add_levels(k);
	test_nearest16(k);
	test_planes(k);
}

int
main(int argc, char **argv)
{
	return for_each_table(argc, argv, test_table);
}

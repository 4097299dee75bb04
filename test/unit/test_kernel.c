/*
 * test_kernel.c
 *    Proves src/kernel/kernel.h: the scalar kernels against sums written again
 *    here, naively, and the kernels of every other table this processor has
 *    against the scalar ones, for all tail lengths, extreme values and
 *    inputs that touch a page which cannot be read.
 *
 * An argument is the seed of the random data (default below).
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/kernel/kernel.h"
#include "unit.h"

#define DEFAULT_SEED 20240607

static const char *const table_names[] = {"scalar", "avx2", "avx512", "neon"};

#define NTABLES (sizeof(table_names) / sizeof(table_names[0]))
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Says what differs, but not thousands of times. */
static int	notes_left = 20;

#define NOTE(...) \
	do { \
		if (notes_left-- > 0) \
			printf(__VA_ARGS__); \
	} while (0)

/* ---- random numbers (splitmix64) ---- */

static uint64_t random_state;

static uint64_t
random64(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static float
random_unit(void)
{
	return (float) ((double) (random64() >> 11) * 0x1p-52 - 1.0);
}

static void
random_bytes(void *to, size_t nbytes)
{
	for (size_t i = 0; i < nbytes; i++)
		((uint8_t *) to)[i] = (uint8_t) random64();
}

/* ---- memory between two pages that cannot be touched ---- */

#define ARENA_BYTES ((size_t) 4 << 20)

typedef enum Arena
{
	ARENA_A, ARENA_B, ARENA_OUT, ARENA_OUT2, NARENAS
} Arena;

static uint8_t *arenas[NARENAS];

static void
make_arenas(void)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);

	for (int i = 0; i < NARENAS; i++)
	{
		uint8_t    *p = mmap(NULL, ARENA_BYTES + 2 * page, PROT_NONE,
							 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || mprotect(p + page, ARENA_BYTES, PROT_READ | PROT_WRITE) != 0)
		{
			perror("mmap");
			exit(1);
		}
		arenas[i] = p + page;
	}
}

/* Room for nbytes that ends (or else begins) at the forbidden page. */
static void *
place(Arena arena, size_t nbytes, bool at_end)
{
	if (nbytes > ARENA_BYTES)
	{
		printf("Bail out! %zu bytes do not fit an arena\n", nbytes);
		exit(1);
	}
	return arenas[arena] + (at_end ? ARENA_BYTES - nbytes : 0);
}

/* ---- half precision, written from the format's definition ---- */

static double
half_value(uint16_t h)
{
	int			exponent = h >> 10 & 31;
	int			fraction = h & 0x3ff;
	double		v;

	if (exponent == 31)
		v = fraction ? (double) NAN : (double) INFINITY;
	else if (exponent == 0)
		v = ldexp(fraction, -24);
	else
		v = ldexp(1024 + fraction, exponent - 25);
	return h & 0x8000 ? -v : v;
}

/* The nearest half of a number that is not a NaN. */
static uint16_t
nearest_half(float f)
{
	double		v = fabs((double) f);
	uint16_t	sign = signbit(f) ? 0x8000 : 0;
	int			exponent;
	int			steps;

	if (v >= 65520)
		return sign | 0x7c00;
	if (v == 0)
		return sign;
	(void) frexp(v, &exponent);
	exponent = exponent - 1 < -14 ? -14 : exponent - 1;
	steps = (int) rint(ldexp(v, 10 - exponent));
	/* 1,024 steps or more carry into the exponent's bits by themselves. */
	return (uint16_t) (sign | ((exponent + 14) * 1024 + steps));
}

/* ---- sums of floats ---- */

typedef enum Op
{
	L2SQ_F32, IP_F32, L1_F32, COSINE_AB, COSINE_AA, COSINE_BB,
	L2SQ_F16, IP_F16, L1_F16,
	L2SQ_F16F16, IP_F16F16, L1_F16F16, COSINE_F16_AB, COSINE_F16_AA, COSINE_F16_BB,
	IP_F32U8, L1_F32U8, NOPS
} Op;

static const char *const op_names[] = {
	"l2sq_f32", "ip_f32", "l1_f32", "cosine_f32 ab", "cosine_f32 aa", "cosine_f32 bb",
	"l2sq_f16", "ip_f16", "l1_f16",
	"l2sq_f16f16", "ip_f16f16", "l1_f16f16",
	"cosine_f16f16 ab", "cosine_f16f16 aa", "cosine_f16f16 bb",
	"ip_f32u8", "l1_f32u8"
};

static float
call(const VecxKernels *k, Op op, const void *q, const void *x, size_t n,
	 float scale, float offset)
{
	float		sums[3];

	switch (op)
	{
		case L2SQ_F32:
			return k->l2sq_f32(q, x, n);
		case IP_F32:
			return k->ip_f32(q, x, n);
		case L1_F32:
			return k->l1_f32(q, x, n);
		case L2SQ_F16:
			return k->l2sq_f16(q, x, n);
		case IP_F16:
			return k->ip_f16(q, x, n);
		case L1_F16:
			return k->l1_f16(q, x, n);
		case L2SQ_F16F16:
			return k->l2sq_f16f16(q, x, n);
		case IP_F16F16:
			return k->ip_f16f16(q, x, n);
		case L1_F16F16:
			return k->l1_f16f16(q, x, n);
		case COSINE_F16_AB:
		case COSINE_F16_AA:
		case COSINE_F16_BB:
			k->cosine_f16f16(q, x, n, &sums[0], &sums[1], &sums[2]);
			return sums[op - COSINE_F16_AB];
		case IP_F32U8:
			return k->ip_f32u8(q, x, n);
		case L1_F32U8:
			return k->l1_f32u8(q, x, n, scale, offset);
		default:
			k->cosine_f32(q, x, n, &sums[0], &sums[1], &sums[2]);
			return sums[op - COSINE_AB];
	}
}

static size_t
elem_size(Op op)
{
	return op >= IP_F32U8 ? 1 : op >= L2SQ_F16 ? 2 : 4;
}

/* Of the query's elements. */
static size_t
query_elem_size(Op op)
{
	return op >= L2SQ_F16F16 && op <= COSINE_F16_BB ? 2 : 4;
}

static double
elem_value(const void *x, size_t i, size_t nbytes)
{
	return nbytes == 4 ? ((const float *) x)[i] :
		nbytes == 2 ? half_value(((const uint16_t *) x)[i]) : ((const uint8_t *) x)[i];
}

/* The sum, and the sum of absolute terms that kernel.h's bound speaks of. */
static double
naive(Op op, const void *q, const void *x, size_t n,
	  float scale, float offset, double *magnitude)
{
	double		sum = 0;

	*magnitude = 0;
	for (size_t i = 0; i < n; i++)
	{
		double		a = elem_value(q, i, query_elem_size(op));
		double		b = elem_value(x, i, elem_size(op));
		double		term;

		switch (op)
		{
			case L2SQ_F32:
			case L2SQ_F16:
			case L2SQ_F16F16:
				term = (a - b) * (a - b);
				break;
			case L1_F32:
			case L1_F16:
			case L1_F16F16:
				term = fabs(a - b);
				break;
			case L1_F32U8:
				term = fabs(a - ((double) offset + (double) scale * b));
				*magnitude += fabs((double) offset) + fabs((double) scale * b);
				break;
			case COSINE_AA:
			case COSINE_F16_AA:
				term = a * a;
				break;
			case COSINE_BB:
			case COSINE_F16_BB:
				term = b * b;
				break;
			default:
				term = a * b;
		}
		sum += term;
		*magnitude += fabs(term);
	}
	return sum;
}

/* The bound of kernel.h for two sums of n terms. */
static bool
within_bound(float got, float want, size_t n, double magnitude)
{
	double		bound = (4 + (double) n / 16) * (double) FLT_EPSILON * magnitude +
		(double) (n + 1) * 0x1p-149;

	if (isnan(magnitude) || isinf(magnitude))
		return isnan(want) ? isnan(got) : got == want;
	return magnitude > (double) FLT_MAX || fabs((double) got - (double) want) <= bound;
}

typedef enum Data
{
	DATA_UNIT, DATA_EQUAL, DATA_WIDE, DATA_TINY, DATA_INFINITE, DATA_NAN, NDATA
} Data;

static const char *const data_names[] = {
	"uniform", "all equal", "all magnitudes", "subnormal", "infinities", "NaN"
};

static float
random_float(Data data, bool for_half)
{
	float		u = random_unit();

	switch (data)
	{
		case DATA_EQUAL:
			return 0.1f;
		case DATA_WIDE:
			return ldexpf(u, (int) (random64() % (for_half ? 30 : 120)) - (for_half ? 15 : 60));
		case DATA_TINY:
			return u * (for_half ? 0x1p-15f : 0x1p-127f);
		default:
			return u;
	}
}

static void
set_elem(void *x, size_t i, size_t nbytes, float value)
{
	if (nbytes == 4)
		((float *) x)[i] = value;
	else
		((uint16_t *) x)[i] = nearest_half(value);
}

/* An infinity or a NaN somewhere. */
static void
set_special(void *x, size_t n, size_t nbytes, Data data)
{
	bool		negative = random64() % 2;

	if (nbytes == 2 && data == DATA_NAN)
		((uint16_t *) x)[random64() % n] = (uint16_t) ((negative ? 0x8000 : 0) | 0x7e00);
	else if (nbytes > 1)
		set_elem(x, random64() % n, nbytes,
				 (negative ? -1.0f : 1.0f) * (data == DATA_NAN ? NAN : INFINITY));
}

static void
fill(Op op, Data data, void *q, void *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		set_elem(q, i, query_elem_size(op), random_float(data, query_elem_size(op) == 2));
		if (elem_size(op) > 1)
			set_elem(x, i, elem_size(op), random_float(data, elem_size(op) == 2));
		else
			((uint8_t *) x)[i] = data == DATA_EQUAL ? 255 : (uint8_t) random64();
	}
	if (n == 0 || (data != DATA_INFINITE && data != DATA_NAN))
		return;
	set_special(q, n, query_elem_size(op), data);
	set_special(x, n, elem_size(op), data);
}

/* True if scalar and table agree with their bounds on one input. */
static bool
sums_agree(const VecxKernels *k, Op op, Data data, size_t n, bool at_end)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	void	   *q = place(ARENA_A, n * query_elem_size(op), at_end);
	void	   *x = place(ARENA_B, n * elem_size(op), at_end);
	float		scale = random_unit();
	float		offset = random_unit();
	double		magnitude;
	double		exact;
	float		want;
	float		got;

	fill(op, data, q, x, n);
	exact = naive(op, q, x, n, scale, offset, &magnitude);
	want = call(scalar, op, q, x, n, scale, offset);
	got = call(k, op, q, x, n, scale, offset);

	/* Scalar sums are in double precision: rounding to float is all. */
	if (k == scalar)
		return within_bound(got, (float) exact, 0, magnitude);
	if (within_bound(got, want, n, magnitude))
		return true;
	NOTE("# %s %s, %s, n = %zu: %.9g, scalar %.9g, sum of |terms| %g\n",
		   k->name, op_names[op], data_names[data], n, (double) got, (double) want, magnitude);
	return false;
}

static const size_t long_lengths[] = {255, 256, 257, 768, 1000, 1535, 4099, 16000};

static void
test_sums(const VecxKernels *k)
{
	for (Op op = 0; op < NOPS; op++)
	{
		bool		good = true;

		for (Data data = 0; data < NDATA; data++)
		{
			for (size_t n = 0; n <= 200; n++)
				good = sums_agree(k, op, data, n, true) &&
					sums_agree(k, op, data, n, false) && good;
			for (size_t i = 0; i < LENGTH(long_lengths); i++)
				good = sums_agree(k, op, data, long_lengths[i], true) && good;
		}
		UNIT_CHECK(good, "%s: %s", k->name, op_names[op]);
	}
}

/* ---- conversions ---- */

static uint32_t
float_bits(float f)
{
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static void
test_halfs(const VecxKernels *k)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	bool		exact = true;
	bool		same = true;
	bool		back = true;

	/* Every half, in runs of every tail length. */
	for (uint32_t h = 0, n = 0; h < 65536; h += n)
	{
		uint16_t   *x;
		float	   *y;
		float		want[64];
		uint16_t   *again;

		n = 1 + h % 37 < 65536 - h ? 1 + h % 37 : 65536 - h;
		x = place(ARENA_A, n * sizeof(*x), true);
		y = place(ARENA_OUT, n * sizeof(*y), true);
		again = place(ARENA_OUT2, n * sizeof(*again), true);
		for (uint32_t i = 0; i < n; i++)
			x[i] = (uint16_t) (h + i);
		k->f16_to_f32(x, y, n);
		scalar->f16_to_f32(x, want, n);
		same = same && memcmp(y, want, n * sizeof(*y)) == 0;
		k->f32_to_f16(y, again, n);
		for (uint32_t i = 0; i < n; i++)
		{
			double		v = half_value(x[i]);

			if (isnan(v))
			{
				exact = exact && isnan(y[i]);
				back = back && again[i] == (x[i] | 0x200);
			}
			else
			{
				exact = exact && float_bits(y[i]) == float_bits((float) v);
				back = back && again[i] == x[i];
			}
		}
	}
	UNIT_CHECK(exact, "%s: f16_to_f32 is exact for every half", k->name);
	UNIT_CHECK(same, "%s: f16_to_f32 equals scalar for every half, NaNs too", k->name);
	UNIT_CHECK(back, "%s: f32_to_f16 gives every half back", k->name);
}

/* Halfs of n floats against the reference and, for NaNs, against scalar. */
static bool
halfs_agree(const VecxKernels *k, const float *values, size_t n)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	float	   *x = place(ARENA_A, n * sizeof(*x), true);
	uint16_t   *y = place(ARENA_OUT, n * sizeof(*y), true);

	memcpy(x, values, n * sizeof(*x));
	k->f32_to_f16(x, y, n);
	for (size_t i = 0; i < n; i++)
	{
		uint16_t	want;

		if (isnan(x[i]))
			scalar->f32_to_f16(x + i, &want, 1);
		else
			want = nearest_half(x[i]);
		if (y[i] != want || (isnan(x[i]) && !isnan(half_value(y[i]))))
		{
			NOTE("# %s f32_to_f16(%a): %04x, expected %04x\n", k->name, (double) x[i], y[i], want);
			return false;
		}
	}
	return true;
}

static void
test_rounding(const VecxKernels *k)
{
	bool		good = true;

	/* Around each half and each middle between two, up to infinity. */
	for (int h = 0; h < 0x7c00; h++)
	{
		float		low = (float) half_value((uint16_t) h);
		float		high = h == 0x7bff ? 65536.0f : (float) half_value((uint16_t) (h + 1));
		float		middle = low + (high - low) / 2;
		float		values[12];

		values[0] = low;
		values[1] = nextafterf(low, INFINITY);
		values[2] = nextafterf(middle, 0);
		values[3] = middle;
		values[4] = nextafterf(middle, INFINITY);
		values[5] = nextafterf(high, 0);
		for (int i = 0; i < 6; i++)
			values[6 + i] = -values[i];
		good = halfs_agree(k, values, 12) && halfs_agree(k, values, 7) && good;
	}
	UNIT_CHECK(good, "%s: f32_to_f16 rounds to nearest even at every boundary", k->name);

	good = true;
	for (int i = 0; i < 20000; i++)
	{
		float		values[40];

		random_bytes(values, sizeof(values));
		good = halfs_agree(k, values, (size_t) (i % 41)) && good;
	}
	UNIT_CHECK(good, "%s: f32_to_f16 of random floats of all kinds", k->name);
}

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

/* ---- matrices ---- */

static bool
products_agree(const VecxKernels *k, size_t nrows, size_t n, size_t nvecs, bool at_end)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	uint16_t   *m = place(ARENA_A, nrows * n * sizeof(*m), at_end);
	float	   *x = place(ARENA_B, nvecs * n * sizeof(*x), at_end);
	float	   *y = place(ARENA_OUT, nvecs * nrows * sizeof(*y), at_end);
	float	   *one = place(ARENA_OUT2, nrows * sizeof(*one), at_end);
	bool		good = true;

	for (size_t i = 0; i < nrows * n; i++)
		m[i] = nearest_half(random_unit());
	for (size_t i = 0; i < nvecs * n; i++)
		x[i] = random_unit();
	memset(y, 0xff, nvecs * nrows * sizeof(*y));
	k->gemm_f16(m, nrows, n, x, nvecs, y);
	for (size_t v = 0; v < nvecs; v++)
	{
		memset(one, 0xff, nrows * sizeof(*one));
		k->gemv_f16(m, nrows, n, x + v * n, one);
		/* A vector's image is the same alone and among others. */
		good = good && (nrows == 0 || memcmp(one, y + v * nrows, nrows * sizeof(*one)) == 0);
		for (size_t r = 0; r < nrows; r++)
		{
			double		magnitude;
			double		exact = naive(IP_F16, x + v * n, m + r * n, n, 0, 0, &magnitude);

			good = good && within_bound(one[r], (float) exact, k == scalar ? 0 : n, magnitude);
		}
	}
	if (!good)
		NOTE("# %s: gemv or gemm, %zu x %zu, %zu vectors\n", k->name, nrows, n, nvecs);
	return good;
}

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
test_matrices(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 0; n <= 40; n++)
		for (size_t nrows = 0; nrows <= 35; nrows += nrows < 20 ? 1 : 5)
			for (size_t nvecs = 0; nvecs <= 9; nvecs += nvecs < 5 ? 1 : 2)
				good = products_agree(k, nrows, n, nvecs, (n + nrows) % 2) && good;
	/* More than one block of rows, with every remainder. */
	for (size_t nrows = 160; nrows <= 180; nrows++)
		good = products_agree(k, nrows, 784, 5, true) && good;
	good = products_agree(k, 64, 16000, 6, true) && good;
	UNIT_CHECK(good, "%s: gemv_f16, gemm_f16", k->name);
}

/* ---- levels and planes ---- */

/* Elements of several sizes, some equal to those of other, some no numbers. */
static void
random_elements(float *x, const float *other, size_t n, bool special)
{
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	what = random64() % 64;

		x[i] = random_unit() * (what < 8 ? 1e-3f : what < 12 ? 100.0f : 1.0f);
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

/* ---- the choice ---- */

static void
test_choice(void)
{
	const VecxKernels *best = vecx_kernels;

	UNIT_CHECK(best != NULL, "a table is in use from the start: %s", best ? best->name : "none");
	UNIT_CHECK(vecx_kernels_named("scalar") != NULL, "the scalar table is always there");
	UNIT_CHECK(vecx_kernels_named("auto") == NULL && vecx_kernels_named("") == NULL,
			   "no table has another name");
	UNIT_CHECK(vecx_kernels_choose("sse9") == -1 && vecx_kernels == best,
			   "an unknown name changes nothing");
	UNIT_CHECK(vecx_kernels_choose("scalar") == 0 && strcmp(vecx_kernels->name, "scalar") == 0,
			   "a table can be chosen");
	UNIT_CHECK(vecx_kernels_choose("auto") == 0 && vecx_kernels == best, "auto is the best");
}

int
main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_SEED;
	printf("# seed %llu\n", (unsigned long long) random_state);
	make_arenas();
	test_choice();
	for (size_t i = 0; i < NTABLES; i++)
	{
		const VecxKernels *k = vecx_kernels_named(table_names[i]);

		if (k == NULL)
		{
			printf("# %s: not on this processor\n", table_names[i]);
			continue;
		}
		test_sums(k);
		test_halfs(k);
		test_rounding(k);
		test_bytes(k);
		test_byte_products(k);
		test_hamming_many(k);
		test_packed(k);
		test_sketches(k);
		test_fastscan(k);
		test_matrices(k);
		test_differences(k);
		test_multiples(k);
		test_levels(k);
		test_planes(k);
	}
	return unit_done();
}

/*
 * test_kernel.c
 *    Proves the kernels of floats and halfs in src/kernel/kernel.h: the scalar
 *    ones against sums written again here, naively, and those of every other
 *    table this processor has against the scalar ones, for all tail lengths,
 *    extreme values and inputs that touch a page which cannot be read.
 *
 * An argument is the seed of the random data.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "unit_kernel.h"

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
	float		u = random_signed();

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
	float		scale = random_signed();
	float		offset = random_signed();
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

/* ---- matrices ---- */

/* A matrix of halves and some vectors, and room for what they give. */
typedef struct Products
{
	size_t		nrows;
	size_t		n;
	size_t		nvecs;
	uint16_t   *m;
	float	   *x;
	float	   *y;
} Products;

static Products
random_products(size_t nrows, size_t n, size_t nvecs, bool at_end)
{
	Products	p = {nrows, n, nvecs, place(ARENA_A, nrows * n * sizeof(uint16_t), at_end),
	place(ARENA_B, nvecs * n * sizeof(float), at_end), place(ARENA_OUT, nvecs * nrows * sizeof(float), at_end)};

	for (size_t i = 0; i < nrows * n; i++)
		p.m[i] = nearest_half(random_signed());
	for (size_t i = 0; i < nvecs * n; i++)
		p.x[i] = random_signed();
	memset(p.y, 0xff, nvecs * nrows * sizeof(float));
	return p;
}

static double
exact_product(const Products *p, size_t v, size_t r, double *magnitude)
{
	return naive(IP_F16, p->x + v * p->n, p->m + r * p->n, p->n, 0, 0, magnitude);
}

static bool
products_agree(const VecxKernels *k, size_t nrows, size_t n, size_t nvecs, bool at_end)
{
	const VecxKernels *scalar = vecx_kernels_named("scalar");
	Products	p = random_products(nrows, n, nvecs, at_end);
	float	   *one = place(ARENA_OUT2, nrows * sizeof(*one), at_end);
	bool		good = true;

	k->gemm_f16(p.m, nrows, n, p.x, nvecs, p.y);
	for (size_t v = 0; v < nvecs; v++)
	{
		memset(one, 0xff, nrows * sizeof(*one));
		k->gemv_f16(p.m, nrows, n, p.x + v * n, one);
		/* A vector's image is the same alone and among others. */
		good = good && (nrows == 0 || memcmp(one, p.y + v * nrows, nrows * sizeof(*one)) == 0);
		for (size_t r = 0; r < nrows; r++)
		{
			double		magnitude;
			double		exact = exact_product(&p, v, r, &magnitude);

			good = good && within_bound(one[r], (float) exact, k == scalar ? 0 : n, magnitude);
		}
	}
	if (!good)
		NOTE("# %s: gemv or gemm, %zu x %zu, %zu vectors\n", k->name, nrows, n, nvecs);
	return good;
}

/* The rough products, of which each term may be wrong by 2^-7 or 2^-15 besides. */
static bool
rough_agrees(const VecxKernels *k, size_t nrows, size_t n, size_t nvecs, int parts, bool at_end)
{
	Products	p = random_products(nrows, n, nvecs, at_end);
	bool		good = true;

	k->gemm_rough(p.m, nrows, n, p.x, nvecs, parts, p.y);
	for (size_t v = 0; v < nvecs; v++)
		for (size_t r = 0; r < nrows; r++)
		{
			double		magnitude;
			double		exact = exact_product(&p, v, r, &magnitude);
			double		bound = ((4 + (double) n / 16) * (double) FLT_EPSILON + (parts == 2 ? 0x1p-15 : 0x1p-7)) * magnitude;

			good = good && fabs((double) p.y[v * nrows + r] - exact) <= bound;
		}
	if (!good)
		NOTE("# %s: gemm_rough, %zu x %zu, %zu vectors, %d parts\n", k->name, nrows, n, nvecs, parts);
	return good;
}

static void
test_rough(const VecxKernels *k)
{
	static const size_t few[] = {0, 1, 15, 16, 17, 31, 32, 33, 47, 64, 65};
	static const size_t many[] = {100, 255, 256, 257, 300};
	static const size_t floats[] = {511, 512, 513, 1024, 1041};
	bool		good = true;

	for (int parts = 1; parts <= 2; parts++)
	{
		for (size_t n = 0; n <= 70; n++)
			for (size_t i = 0; i < LENGTH(few); i++)
				good = rough_agrees(k, few[i], n, few[(i + n) % LENGTH(few)], parts, (n + i) % 2) && good;
		for (size_t i = 0; i < LENGTH(many); i++)
			for (size_t j = 0; j < LENGTH(floats); j++)
				good = rough_agrees(k, many[i], floats[j], few[(2 * i + j) % LENGTH(few)], parts, (i + j) % 2) && good;
		good = rough_agrees(k, 33, 16000, 34, parts, true) && good;
	}
	UNIT_CHECK(good, "%s: gemm_rough", k->name);
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

/* ---- the Hadamard transform ---- */

/* Row i, column j: whether i and j have an odd number of ones in common. */
static bool
transform_is_right(const VecxKernels *k, size_t n, bool at_end)
{
	float	   *x = place(ARENA_A, n * sizeof(*x), at_end);
	float	   *want = place(ARENA_B, n * sizeof(*want), at_end);
	float	   *same = place(ARENA_OUT, n * sizeof(*same), at_end);
	bool		good = true;

	for (size_t i = 0; i < n; i++)
		same[i] = want[i] = x[i] = random_signed();
	k->fht_f32(x, n);
	vecx_kernels_named("scalar")->fht_f32(same, n);
	good = memcmp(x, same, n * sizeof(*x)) == 0;
	for (size_t i = 0; i < n; i++)
	{
		double		sum = 0.0;

		for (size_t j = 0; j < n; j++)
			sum += __builtin_parityll(i & j) ? -(double) want[j] : (double) want[j];
		good = good && fabs((double) x[i] - sum) <= 1e-6 * (double) n;
	}
	if (!good)
		NOTE("# %s: fht_f32, %zu elements\n", k->name, n);
	return good;
}

static void
test_transform(const VecxKernels *k)
{
	bool		good = true;

	for (size_t n = 2; n <= 2048; n *= 2)
		good = transform_is_right(k, n, n % 3 == 1) && good;
	UNIT_CHECK(good, "%s: fht_f32", k->name);
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

static void
test_table(const VecxKernels *k)
{
	test_sums(k);
	test_halfs(k);
	test_rounding(k);
	test_matrices(k);
	test_rough(k);
	test_transform(k);
}

int
main(int argc, char **argv)
{
	test_choice();
	return for_each_table(argc, argv, test_table);
}

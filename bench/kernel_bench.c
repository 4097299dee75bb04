/*
 * kernel_bench.c
 *    Nanoseconds a call of every kernel takes, for every table this processor
 *    has, beside plain C loops that the compiler vectorises ("loop").
 *
 * The kernels are compiled as the extension is (-O2); the loops as extensions
 * that rely on the compiler are, so this file is compiled on its own:
 *    cc -std=gnu99 -O2 -c src/kernel/kernel_*.c
 *    cc -std=gnu99 -O2 -ftree-vectorize -fassociative-math -fno-signed-zeros \
 *        -fno-trapping-math bench/kernel_bench.c kernel_*.o -lm
 * Inputs stay in the first-level cache; each figure is the best of several
 * runs of about ROUND_NS.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/kernel/kernel.h"

#define ROUND_NS 4e5
#define ROUNDS 25
#define MAX_DIM 16384

#if defined(__x86_64__)
#define LOOP_CLONES __attribute__((noinline, target_clones("default", "fma")))
#define COUNT_CLONES __attribute__((noinline, target_clones("default", "popcnt")))
#else
#define LOOP_CLONES __attribute__((noinline))
#define COUNT_CLONES __attribute__((noinline))
#endif

/* ---- the loops ---- */

LOOP_CLONES static float
loop_l2sq_f32(const float *a, const float *b, size_t n)
{
	float		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

LOOP_CLONES static float
loop_ip_f32(const float *a, const float *b, size_t n)
{
	float		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

LOOP_CLONES static float
loop_l1_f32(const float *a, const float *b, size_t n)
{
	float		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += fabsf(a[i] - b[i]);
	return sum;
}

LOOP_CLONES static void
loop_cosine_f32(const float *a, const float *b, size_t n, float *ab, float *aa, float *bb)
{
	float		sum_ab = 0;
	float		sum_aa = 0;
	float		sum_bb = 0;

	for (size_t i = 0; i < n; i++)
	{
		sum_ab += a[i] * b[i];
		sum_aa += a[i] * a[i];
		sum_bb += b[i] * b[i];
	}
	*ab = sum_ab;
	*aa = sum_aa;
	*bb = sum_bb;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* The compiler does not vectorise conversions from half precision. */
#define DEFINE_HALF_LOOP(name, statement) \
	__attribute__((noinline, target("avx,f16c,fma"))) static float \
	name(const float *a, const uint16_t *b, size_t n) \
	{ \
		__m256		sum = _mm256_setzero_ps(); \
		float		parts[8]; \
		\
		for (size_t i = 0; i + 8 <= n; i += 8) \
		{ \
			__m256		va = _mm256_loadu_ps(a + i); \
			__m256		vb = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) (b + i))); \
			\
			statement; \
		} \
		_mm256_storeu_ps(parts, sum); \
		return parts[0] + parts[1] + parts[2] + parts[3] + parts[4] + parts[5] + parts[6] + parts[7]; \
	}

DEFINE_HALF_LOOP(loop_ip_f16, sum = _mm256_fmadd_ps(va, vb, sum))
DEFINE_HALF_LOOP(loop_l2sq_f16, va = _mm256_sub_ps(va, vb); sum = _mm256_fmadd_ps(va, va, sum))
DEFINE_HALF_LOOP(loop_l1_f16,
				 va = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps(va, vb));
				 sum = _mm256_add_ps(sum, va))
#else
#define loop_ip_f16 NULL
#define loop_l2sq_f16 NULL
#define loop_l1_f16 NULL
#endif

LOOP_CLONES static uint32_t
loop_ip_u8u8(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (uint32_t) a[i] * b[i];
	return sum;
}

LOOP_CLONES static float
loop_ip_f32u8(const float *q, const uint8_t *x, size_t n)
{
	float		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += q[i] * x[i];
	return sum;
}

LOOP_CLONES static float
loop_l1_f32u8(const float *q, const uint8_t *x, size_t n, float scale, float offset)
{
	float		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += fabsf(q[i] - (offset + scale * x[i]));
	return sum;
}

static uint64_t
load64(const uint8_t *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
	return word;
}

COUNT_CLONES static uint64_t
loop_hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint64_t	count = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
		count += (uint64_t) __builtin_popcountll(load64(a + i) ^ load64(b + i));
	for (; i < nbytes; i++)
		count += (uint64_t) __builtin_popcount((unsigned) (a[i] ^ b[i]));
	return count;
}

COUNT_CLONES static void
loop_jaccard(const uint8_t *a, const uint8_t *b, size_t nbytes,
			 uint64_t *and_count, uint64_t *or_count)
{
	uint64_t	both = 0;
	uint64_t	any = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
	{
		both += (uint64_t) __builtin_popcountll(load64(a + i) & load64(b + i));
		any += (uint64_t) __builtin_popcountll(load64(a + i) | load64(b + i));
	}
	for (; i < nbytes; i++)
	{
		both += (uint64_t) __builtin_popcount((unsigned) (a[i] & b[i]));
		any += (uint64_t) __builtin_popcount((unsigned) (a[i] | b[i]));
	}
	*and_count = both;
	*or_count = any;
}

static const VecxKernels loops = {
	.name = "loop",
	.l2sq_f32 = loop_l2sq_f32,
	.ip_f32 = loop_ip_f32,
	.l1_f32 = loop_l1_f32,
	.cosine_f32 = loop_cosine_f32,
	.l2sq_f16 = loop_l2sq_f16,
	.ip_f16 = loop_ip_f16,
	.l1_f16 = loop_l1_f16,
	.ip_u8u8 = loop_ip_u8u8,
	.ip_f32u8 = loop_ip_f32u8,
	.l1_f32u8 = loop_l1_f32u8,
	.hamming = loop_hamming,
	.jaccard = loop_jaccard,
};

/* ---- what is timed ---- */

typedef struct Inputs
{
	float		a[MAX_DIM];
	float		b[MAX_DIM];
	uint16_t	half[MAX_DIM];
	uint8_t		bytes_a[MAX_DIM];
	uint8_t		bytes_b[MAX_DIM];
	float		out[MAX_DIM];
	uint64_t	counts[2];
} Inputs;

static Inputs in;
static volatile double sink;

typedef enum Op
{
	L2SQ_F32, IP_F32, L1_F32, COSINE_F32, L2SQ_F16, IP_F16, L1_F16,
	L2SQ_F16F16, COSINE_F16F16, F16_TO_F32, F32_TO_F16, IP_U8U8, IP_F32U8, L1_F32U8, HAMMING, JACCARD, NOPS
} Op;

static const char *const op_names[] = {
	"l2sq_f32", "ip_f32", "l1_f32", "cosine_f32", "l2sq_f16", "ip_f16", "l1_f16",
	"l2sq_f16f16", "cosine_f16f16", "f16_to_f32", "f32_to_f16", "ip_u8u8", "ip_f32u8", "l1_f32u8", "hamming", "jaccard"
};

static bool
has(const VecxKernels *k, Op op)
{
	return (op != F16_TO_F32 || k->f16_to_f32) && (op != F32_TO_F16 || k->f32_to_f16) &&
		(op < L2SQ_F16 || op > L1_F16 || k->ip_f16) &&
		((op != L2SQ_F16F16 && op != COSINE_F16F16) || k->l2sq_f16f16);
}

/* A bit string has n bits, all others n elements. */
static void
call(const VecxKernels *k, Op op, size_t n)
{
	switch (op)
	{
		case L2SQ_F32:
			sink = k->l2sq_f32(in.a, in.b, n);
			break;
		case IP_F32:
			sink = k->ip_f32(in.a, in.b, n);
			break;
		case L1_F32:
			sink = k->l1_f32(in.a, in.b, n);
			break;
		case COSINE_F32:
			k->cosine_f32(in.a, in.b, n, in.out, in.out + 1, in.out + 2);
			break;
		case L2SQ_F16:
			sink = k->l2sq_f16(in.a, in.half, n);
			break;
		case IP_F16:
			sink = k->ip_f16(in.a, in.half, n);
			break;
		case L1_F16:
			sink = k->l1_f16(in.a, in.half, n);
			break;
		case L2SQ_F16F16:
			sink = k->l2sq_f16f16(in.half, in.half, n);
			break;
		case COSINE_F16F16:
			k->cosine_f16f16(in.half, in.half, n, in.out, in.out + 1, in.out + 2);
			break;
		case F16_TO_F32:
			k->f16_to_f32(in.half, in.out, n);
			break;
		case F32_TO_F16:
			k->f32_to_f16(in.a, (uint16_t *) in.out, n);
			break;
		case IP_U8U8:
			sink = k->ip_u8u8(in.bytes_a, in.bytes_b, n);
			break;
		case IP_F32U8:
			sink = k->ip_f32u8(in.a, in.bytes_b, n);
			break;
		case L1_F32U8:
			sink = k->l1_f32u8(in.a, in.bytes_b, n, 0.01f, -1);
			break;
		case HAMMING:
			sink = (double) k->hamming(in.bytes_a, in.bytes_b, n / 8);
			break;
		default:
			k->jaccard(in.bytes_a, in.bytes_b, n / 8, &in.counts[0], &in.counts[1]);
	}
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* ns of one run of the statement, best of ROUNDS. */
#define TIME(result, statement) \
	do { \
		size_t		calls = 1; \
		\
		(result) = INFINITY; \
		for (int round = 0; round < ROUNDS;) \
		{ \
			double		start = now_ns(); \
			double		spent; \
			\
			for (size_t call_no = 0; call_no < calls; call_no++) \
				statement; \
			spent = now_ns() - start; \
			if (spent < ROUND_NS / 2) \
				calls *= 2; \
			else \
			{ \
				(result) = fmin(result, spent / (double) calls); \
				round++; \
			} \
		} \
	} while (0)

static void
bench_pairs(const VecxKernels *const *tables, size_t ntables)
{
	static const size_t dims[] = {128, 768, 1536};

	printf("%-12s %6s", "ns per call", "n");
	for (size_t t = 0; t < ntables; t++)
		printf(" %9s", tables[t]->name);
	printf("\n");
	for (Op op = 0; op < NOPS; op++)
		for (size_t d = 0; d < 3; d++)
		{
			printf("%-12s %6zu", op_names[op], dims[d]);
			for (size_t t = 0; t < ntables; t++)
			{
				double		ns;

				if (!has(tables[t], op))
				{
					printf(" %9s", "-");
					continue;
				}
				TIME(ns, call(tables[t], op, dims[d]));
				printf(" %9.1f", ns);
			}
			printf("\n");
		}
}

static void *
filled(size_t nbytes)
{
	uint8_t    *p = malloc(nbytes);

	if (p == NULL)
		exit(1);
	for (size_t i = 0; i < nbytes; i++)
		p[i] = (uint8_t) (i * 167 + i / 251);
	return p;
}

static void
bench_sketches(const VecxKernels *const *tables, size_t ntables)
{
	static const struct
	{
		size_t		ndims;
		size_t		nplanes;
		size_t		n;
	}			shapes[] =
	{
		{256, 1, 32}, {128, 2, 32}, {512, 1, 32}, {64, 8, 32}, {256, 1, 29}, {256, 1, 5},
		{1024, 1, 32}, {256, 4, 32}
	};
	int8_t	   *q = filled(MAX_DIM);
	uint8_t    *rows = filled(1 << 20);
	int32_t		out[64];

	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
	{
		size_t		nbytes = shapes[s].ndims / 8 * shapes[s].nplanes;
		double		ns;

		printf("sketch_dot, %zu of %zu x %zu bits:", shapes[s].n, shapes[s].ndims, shapes[s].nplanes);
		for (size_t t = 0; t < ntables; t++)
		{
			TIME(ns, tables[t]->sketch_dot(q, shapes[s].ndims, shapes[s].nplanes, rows,
										   nbytes + 8, shapes[s].n, out));
			printf("  %s %.1f ns", tables[t]->name, ns);
		}
		printf("\nhamming_many, %zu of %zu bytes:", shapes[s].n, nbytes);
		for (size_t t = 0; t < ntables; t++)
		{
			TIME(ns, tables[t]->hamming_many((uint8_t *) q, nbytes, rows, nbytes + 8,
											 shapes[s].n, (uint32_t *) out));
			printf("  %s %.1f ns", tables[t]->name, ns);
		}
		printf("\n");
	}
	free(q);
	free(rows);
}

static void
bench_fastscan(const VecxKernels *const *tables, size_t ntables)
{
	static const size_t columns[] = {16, 32, 64, 128, 256};
	uint8_t    *codes = filled(256 * 32);
	uint8_t    *entries = filled(256 * 256);
	uint32_t	sums[32] = {0};

	for (size_t s = 0; s < sizeof(columns) / sizeof(columns[0]); s++)
	{
		double		ns;

		printf("32 codes of %zu columns:", columns[s]);
		for (size_t t = 0; t < ntables; t++)
		{
			TIME(ns, tables[t]->fastscan4(codes, columns[s], entries, sums));
			printf("  %s 4 bits %.1f ns", tables[t]->name, ns);
			TIME(ns, tables[t]->fastscan8(codes, columns[s], entries, sums));
			printf(", 8 bits %.1f ns", ns);
		}
		printf("\n");
	}
	free(codes);
	free(entries);
}

static void
bench_matrices(const VecxKernels *const *tables, size_t ntables)
{
	static const size_t shapes[][2] = {{256, 784}, {512, 784}, {64, 128}, {256, 1536}};
	const size_t nvecs = 256;
	uint16_t   *m = filled(512 * 1536 * sizeof(*m));
	float	   *x = malloc(nvecs * 1536 * sizeof(*x));
	float	   *y = malloc(nvecs * 512 * sizeof(*y));

	if (x == NULL || y == NULL)
		exit(1);
	for (size_t i = 0; i < 512 * 1536; i++)
		m[i] = (uint16_t) (0x3000 | (m[i] & 0x83ff));
	for (size_t i = 0; i < nvecs * 1536; i++)
		x[i] = (float) (i % 97) / 97;
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
	{
		size_t		nrows = shapes[s][0];
		size_t		n = shapes[s][1];
		double		flops = 2.0 * (double) (nrows * n);
		double		ns;

		printf("%zu x %zu:", nrows, n);
		for (size_t t = 0; t < ntables; t++)
		{
			TIME(ns, tables[t]->gemv_f16(m, nrows, n, x, y));
			printf("  %s gemv %.1f", tables[t]->name, flops / ns);
			TIME(ns, tables[t]->gemm_f16(m, nrows, n, x, nvecs, y));
			printf(" gemm %.1f", flops * (double) nvecs / ns);
			for (int parts = 2; parts >= 1; parts--)
			{
				TIME(ns, tables[t]->gemm_rough(m, nrows, n, x, nvecs, parts, y));
				printf(" %s %.1f", parts == 2 ? "rough" : "rougher", flops * (double) nvecs / ns);
			}
		}
		printf("  GFLOP/s\n");
	}
	free(m);
	free(x);
	free(y);
}

int
main(void)
{
	static const char *const names[] = {"scalar", "avx2", "avx512", "neon"};
	const VecxKernels *tables[5] = {&loops};
	size_t		ntables = 1;

	for (size_t i = 0; i < 4; i++)
		if (vecx_kernels_named(names[i]) != NULL)
			tables[ntables++] = vecx_kernels_named(names[i]);
	for (size_t i = 0; i < MAX_DIM; i++)
	{
		in.a[i] = (float) (i % 89) / 89;
		in.b[i] = (float) (i % 83) / 83;
		in.half[i] = (uint16_t) (0x3000 + i % 1024);
		in.bytes_a[i] = (uint8_t) (i * 37);
		in.bytes_b[i] = (uint8_t) (i * 91 + 5);
	}
	bench_pairs(tables, ntables);
	bench_sketches(tables + 1, ntables - 1);
	bench_fastscan(tables + 1, ntables - 1);
	bench_matrices(tables + 1, ntables - 1);
	return 0;
}

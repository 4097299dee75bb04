/*
 * kernel_impl.h
 *    What the files of src/kernel share among themselves: the tables, and the
 *    conversions that tails need.
 */
#ifndef VECX_KERNEL_IMPL_H
#define VECX_KERNEL_IMPL_H

#include <string.h>

#include "kernel.h"

#if defined(__x86_64__)
#define VECX_KERNEL_X86 1
#if defined(__linux__) && (__GNUC__ >= 11 || (defined(__clang__) && __clang_major__ >= 12))
#define VECX_KERNEL_AMX 1
#endif
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define VECX_KERNEL_NEON 1
#endif

extern const VecxKernels vecx_kernels_scalar;
#ifdef VECX_KERNEL_X86
extern const VecxKernels vecx_kernels_avx2;
extern const VecxKernels vecx_kernels_avx512;
#endif
#ifdef VECX_KERNEL_NEON
extern const VecxKernels vecx_kernels_neon;
#endif

/* kernel_bits.c */
#define VECX_KERNEL_BITS(set) \
	extern uint64_t vecx_hamming_##set(const uint8_t *a, const uint8_t *b, size_t nbytes); \
	extern void vecx_jaccard_##set(const uint8_t *a, const uint8_t *b, size_t nbytes, \
								   uint64_t *and_count, uint64_t *or_count); \
	extern void vecx_hamming_many_##set(const uint8_t *q, size_t nbytes, \
										const uint8_t *first, size_t stride, size_t n, \
										uint32_t *out)
#ifdef VECX_KERNEL_X86
VECX_KERNEL_BITS(avx2);
VECX_KERNEL_BITS(avx512);
#endif
#ifdef VECX_KERNEL_NEON
VECX_KERNEL_BITS(neon);
#endif

/* kernel_sketch.c */
#define VECX_KERNEL_SKETCH(set) \
	extern void vecx_sketch_dot_##set(const int8_t *q, size_t ndims, size_t nplanes, \
									  const uint8_t *first, size_t stride, size_t n, \
									  int32_t *out)
#ifdef VECX_KERNEL_X86
VECX_KERNEL_SKETCH(avx2);
VECX_KERNEL_SKETCH(avx512);
#endif
#ifdef VECX_KERNEL_NEON
VECX_KERNEL_SKETCH(neon);
#endif

/* kernel_amx.c */
#ifdef VECX_KERNEL_AMX
extern void vecx_products_u8u8_amx(const uint8_t *a, size_t na, const uint8_t *b, size_t nb,
								   size_t n, uint32_t *out, size_t stride);
extern void vecx_gemm_rough_amx(const uint16_t *m, size_t nrows, size_t n,
								const float *x, size_t nvecs, int parts, float *y);
#endif

/* gemm_rough of a table that has nothing faster than gemm_f16. */
#define VECX_KERNEL_ROUGH_BY(exact) \
	static void \
	gemm_rough(const uint16_t *m, size_t nrows, size_t n, const float *x, size_t nvecs, int parts, float *y) \
	{ \
		(void) parts; \
		exact(m, nrows, n, x, nvecs, y); \
	}

/* kernel_encode.c */
#define VECX_KERNEL_ENCODE(set) \
	extern void vecx_add_multiple_f32_##set(float *y, const float *x, float factor, size_t n); \
	extern float vecx_l2sq_max_f32_##set(const float *a, const float *b, size_t n, float *max); \
	extern uint32_t vecx_levels_u8_##set(const float *x, const float *centre, size_t n, \
										 float inverse, uint8_t *u); \
	extern void vecx_add_levels_u8_##set(float *y, const uint8_t *u, float scale, size_t n); \
	extern uint32_t vecx_levels_sq8_##set(const float *x, size_t n, float offset, float scale, \
										  float inverse, uint8_t *u, double *err2); \
	extern void vecx_sketch_encode_##set(const float *v, const float *x, size_t n, \
										 size_t nplanes, size_t plane_bytes, float inverse, \
										 uint8_t *planes, float sums[2]); \
	extern void vecx_nearest16_##set(const float *books, const float *halves, const float *y, \
									 size_t n, size_t m, uint8_t *codes)
extern uint32_t vecx_levels_sq8_scalar(const float *x, size_t n, float offset, float scale,
									   float inverse, uint8_t *u, double *err2);
#ifdef VECX_KERNEL_X86
VECX_KERNEL_ENCODE(avx2);
VECX_KERNEL_ENCODE(avx512);
#endif
#ifdef VECX_KERNEL_NEON
VECX_KERNEL_ENCODE(neon);
#endif

/* kernel_near.c */
#define VECX_KERNEL_NEAR(set) \
	extern void vecx_fold_least_##set(const float *x, size_t count, int32_t *minima, size_t n); \
	extern size_t vecx_count_within_##set(const int32_t *keys, size_t n, int32_t limit); \
	extern size_t vecx_positions_within_##set(const float *x, size_t count, int32_t limit, uint32_t *at)
VECX_KERNEL_NEAR(scalar);
#ifdef VECX_KERNEL_X86
VECX_KERNEL_NEAR(avx512);
#endif

/* kernel_fht.c */
extern void vecx_fht_f32_scalar(float *x, size_t n);
#ifdef VECX_KERNEL_X86
extern void vecx_fht_f32_avx2(float *x, size_t n);
extern void vecx_fht_f32_avx512(float *x, size_t n);
#endif

/* kernel_fastscan.c */
extern void vecx_fastscan4_scalar(const uint8_t *columns, size_t m, const uint8_t *tables,
								  uint32_t *sums);
extern void vecx_fastscan8_scalar(const uint8_t *columns, size_t m, const uint8_t *tables,
								  uint32_t *sums);
extern void vecx_turn4_scalar(const uint8_t *const *rows, size_t nbytes, uint8_t *columns);
#ifdef VECX_KERNEL_X86
extern void vecx_turn4_avx2(const uint8_t *const *rows, size_t nbytes, uint8_t *columns);
extern void vecx_fastscan4_avx2(const uint8_t *columns, size_t m, const uint8_t *tables,
								uint32_t *sums);
extern void vecx_fastscan4_avx512(const uint8_t *columns, size_t m, const uint8_t *tables,
								  uint32_t *sums);
extern void vecx_fastscan8_vbmi(const uint8_t *columns, size_t m, const uint8_t *tables,
								uint32_t *sums);
#endif
#ifdef VECX_KERNEL_NEON
extern void vecx_fastscan4_neon(const uint8_t *columns, size_t m, const uint8_t *tables,
								uint32_t *sums);
#endif

/* Small steps of one algorithm text; its constant arguments must fold away. */
#define VECX_KERNEL_INLINE static inline __attribute__((always_inline))

/* Loops over arrays of registers: they stay registers only when unrolled. */
#if defined(__clang__)
#define VECX_KERNEL_UNROLL _Pragma("unroll")
#else
#define VECX_KERNEL_UNROLL _Pragma("GCC unroll 16")
#endif

/* Element types and terms that one summation text serves. */
typedef enum VecxKernelElem
{
	VECX_ELEM_F32,
	VECX_ELEM_F16,
	VECX_ELEM_U8
} VecxKernelElem;

typedef enum VecxKernelTerm
{
	VECX_TERM_IP,				/* q * x */
	VECX_TERM_L2SQ,				/* (q - x)^2 */
	VECX_TERM_L1,				/* |q - x| */
	VECX_TERM_L1_SCALED			/* |q - (offset + scale * x)| */
} VecxKernelTerm;

/* The end of a part of nearest16 from its begin; left begins as 0. */
VECX_KERNEL_INLINE size_t
vecx_part_end(size_t begin, size_t n, size_t m, size_t *left)
{
	*left += n % m;
	if (*left < m)
		return begin + n / m;
	*left -= m;
	return begin + n / m + 1;
}

/* Signalling NaNs become quiet, payloads stay, as processors do it. */
VECX_KERNEL_INLINE float
vecx_half_to_float(uint16_t h)
{
	uint32_t	sign = (uint32_t) (h & 0x8000) << 16;
	uint32_t	exponent = (h >> 10) & 31;
	uint32_t	fraction = h & 0x3ff;
	uint32_t	bits;
	float		f;

	if (exponent == 31)
		bits = 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0);
	else if (exponent == 0)
	{
		f = (float) fraction * 0x1p-24f;
		memcpy(&bits, &f, sizeof(bits));
	}
	else
		bits = (exponent + 112) << 23 | fraction << 13;
	bits |= sign;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

VECX_KERNEL_INLINE uint16_t
vecx_float_to_half(float f)
{
	uint32_t	bits;
	uint32_t	sign;
	uint32_t	half;

	memcpy(&bits, &f, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	bits &= 0x7fffffff;
	if (bits > 0x7f800000)
		half = 0x7e00 | (bits >> 13 & 0x3ff);
	else if (bits >= 0x47800000)	/* 65,536 */
		half = 0x7c00;
	else if (bits >= 0x38800000)	/* 2^-14, the smallest normal half */
		half = (bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13;
	else
	{
		/* From 0.5 to 1 a float's step is 2^-24, as a subnormal half's is. */
		memcpy(&f, &bits, sizeof(f));
		f += 0.5f;
		memcpy(&half, &f, sizeof(half));
		half -= 0x3f000000;
	}
	return (uint16_t) (sign | half);
}

VECX_KERNEL_INLINE uint64_t
vecx_load64(const uint8_t *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Bit counts of short strings and of tails; in a function whose target has a
 * population count instruction they use it.
 */
VECX_KERNEL_INLINE uint64_t
vecx_hamming_words(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint64_t	count = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
		count += (uint64_t) __builtin_popcountll(vecx_load64(a + i) ^ vecx_load64(b + i));
	for (; i < nbytes; i++)
		count += (uint64_t) __builtin_popcountll((uint64_t) (a[i] ^ b[i]));
	return count;
}

/* Adds to the counts. */
VECX_KERNEL_INLINE void
vecx_jaccard_words(const uint8_t *a, const uint8_t *b, size_t nbytes,
				   uint64_t *and_count, uint64_t *or_count)
{
	uint64_t	both = *and_count;
	uint64_t	any = *or_count;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
	{
		uint64_t	wa = vecx_load64(a + i);
		uint64_t	wb = vecx_load64(b + i);

		both += (uint64_t) __builtin_popcountll(wa & wb);
		any += (uint64_t) __builtin_popcountll(wa | wb);
	}
	for (; i < nbytes; i++)
	{
		both += (uint64_t) __builtin_popcountll((uint64_t) (a[i] & b[i]));
		any += (uint64_t) __builtin_popcountll((uint64_t) (a[i] | b[i]));
	}
	*and_count = both;
	*or_count = any;
}

#endif							/* VECX_KERNEL_IMPL_H */

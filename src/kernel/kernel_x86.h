/*
 * kernel_x86.h
 *    What the kernels for x86 have in common: the extensions that they are
 *    compiled for, masks of tails, and sums over a register.
 */
#ifndef VECX_KERNEL_X86_H
#define VECX_KERNEL_X86_H

#include "kernel_impl.h"

#ifdef VECX_KERNEL_X86

#include <immintrin.h>

/* kernel_choose.c looks for each of these extensions. */
#define TARGET_AVX2 __attribute__((target("avx2,fma,f16c,popcnt")))
#define TARGET_AVX512 \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c,popcnt")))
#define TARGET_VNNI \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c,popcnt")))
#define TARGET_POPCNT \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,fma,f16c,popcnt")))
#define TARGET_VBMI \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,fma,f16c,popcnt")))

#define ALL16 ((__mmask16) 0xffff)
#define ALL64 (~(__mmask64) 0)

/* Masks of the first n elements, or of all if n is more than a register. */
VECX_KERNEL_INLINE TARGET_AVX512 __mmask16
mask16(size_t n)
{
	return n >= 16 ? ALL16 : (__mmask16) ((1u << n) - 1);
}

VECX_KERNEL_INLINE TARGET_AVX512 __mmask64
mask64(size_t n)
{
	return n >= 64 ? ALL64 : ((__mmask64) 1 << n) - 1;
}

VECX_KERNEL_INLINE TARGET_AVX2 float
reduce_ps(__m256 v)
{
	__m128		sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
	return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

/* Modulo 2^32. */
VECX_KERNEL_INLINE TARGET_AVX2 int32_t
reduce_epi32(__m256i v)
{
	__m128i		sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
	return _mm_cvtsi128_si32(sum);
}

/* 128-bit lane i of the result is the sum of v[i]'s four lanes. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512i
reduce_quarters(const __m512i *v)
{
	__m512i		half[2];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < 2; i++)
		half[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(v[2 * i], v[2 * i + 1], 0x88),
								   _mm512_shuffle_i32x4(v[2 * i], v[2 * i + 1], 0xdd));
	return _mm512_add_epi32(_mm512_shuffle_i32x4(half[0], half[1], 0x88),
							_mm512_shuffle_i32x4(half[0], half[1], 0xdd));
}

#endif							/* VECX_KERNEL_X86 */

#endif							/* VECX_KERNEL_X86_H */

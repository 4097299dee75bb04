/*
 * kernel_bits.c
 *    Kernels that count the bits of bit strings, in all instruction sets.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

#ifdef VECX_KERNEL_X86

/* ---- AVX-512 ---- */

/* Rows handled together, so that they share loads and the final reduction. */
#define HAMMING_ROWS 8

/* For strings no longer than this the reduction costs more than it saves. */
#define BITS_SHORT_BYTES 32

VECX_KERNEL_INLINE TARGET_POPCNT uint64_t
hamming_avx512(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	__m512i		count[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	if (nbytes <= BITS_SHORT_BYTES)
		return vecx_hamming_words(a, b, nbytes);
	for (size_t i = 0; i < nbytes; i += 128)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			size_t		at = i + 64 * j;
			__mmask64	mask;

			if (at >= nbytes)
				break;
			mask = mask64(nbytes - at);
			count[j] = _mm512_add_epi64(count[j],
										_mm512_popcnt_epi64(_mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, a + at),
																			 _mm512_maskz_loadu_epi8(mask, b + at))));
		}
	return (uint64_t) _mm512_reduce_add_epi64(_mm512_add_epi64(count[0], count[1]));
}

TARGET_POPCNT uint64_t
vecx_hamming_avx512(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return hamming_avx512(a, b, nbytes);
}

TARGET_POPCNT void
vecx_jaccard_avx512(const uint8_t *a, const uint8_t *b, size_t nbytes,
					uint64_t *and_count, uint64_t *or_count)
{
	__m512i		both = _mm512_setzero_si512();
	__m512i		any = _mm512_setzero_si512();

	if (nbytes <= BITS_SHORT_BYTES)
	{
		*and_count = *or_count = 0;
		vecx_jaccard_words(a, b, nbytes, and_count, or_count);
		return;
	}
	for (size_t i = 0; i < nbytes; i += 64)
	{
		__mmask64	mask = mask64(nbytes - i);
		__m512i		va = _mm512_maskz_loadu_epi8(mask, a + i);
		__m512i		vb = _mm512_maskz_loadu_epi8(mask, b + i);

		both = _mm512_add_epi64(both, _mm512_popcnt_epi64(_mm512_and_si512(va, vb)));
		any = _mm512_add_epi64(any, _mm512_popcnt_epi64(_mm512_or_si512(va, vb)));
	}
	*and_count = (uint64_t) _mm512_reduce_add_epi64(both);
	*or_count = (uint64_t) _mm512_reduce_add_epi64(any);
}

/* Element i of the result is the sum of v[i]'s eight elements. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512i
reduce_8_epi64(const __m512i *v)
{
	__m512i		pair[4];
	__m512i		quad[2];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < 4; i++)
		pair[i] = _mm512_add_epi64(_mm512_unpacklo_epi64(v[2 * i], v[2 * i + 1]),
								   _mm512_unpackhi_epi64(v[2 * i], v[2 * i + 1]));
	/* 128-bit lane k of pair[i] now holds part k of the sums 2 i and 2 i + 1. */
	VECX_KERNEL_UNROLL
	for (int i = 0; i < 2; i++)
		quad[i] = _mm512_add_epi64(_mm512_shuffle_i64x2(pair[2 * i], pair[2 * i + 1], 0x88),
								   _mm512_shuffle_i64x2(pair[2 * i], pair[2 * i + 1], 0xdd));
	return _mm512_add_epi64(_mm512_shuffle_i64x2(quad[0], quad[1], 0x88),
							_mm512_shuffle_i64x2(quad[0], quad[1], 0xdd));
}

VECX_KERNEL_INLINE TARGET_POPCNT void
hamming_rows(const uint8_t *q, size_t nbytes, const uint8_t *first, size_t stride,
			 uint32_t *out)
{
	__m512i		count[HAMMING_ROWS];

	VECX_KERNEL_UNROLL
	for (int r = 0; r < HAMMING_ROWS; r++)
		count[r] = _mm512_setzero_si512();
	for (size_t i = 0; i < nbytes; i += 64)
	{
		__mmask64	mask = mask64(nbytes - i);
		__m512i		vq = _mm512_maskz_loadu_epi8(mask, q + i);

		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < HAMMING_ROWS; r++)
		{
			__m512i		row = _mm512_maskz_loadu_epi8(mask, first + r * stride + i);

			count[r] = _mm512_add_epi64(count[r],
										_mm512_popcnt_epi64(_mm512_xor_si512(vq, row)));
		}
	}
	_mm256_storeu_si256((__m256i *) out, _mm512_cvtepi64_epi32(reduce_8_epi64(count)));
}

/* The last rows are counted a second time with rows before them. */
TARGET_POPCNT void
vecx_hamming_many_avx512(const uint8_t *q, size_t nbytes,
						 const uint8_t *first, size_t stride, size_t n, uint32_t *out)
{
	if (n < HAMMING_ROWS)
	{
		for (size_t j = 0; j < n; j++)
			out[j] = (uint32_t) hamming_avx512(q, first + j * stride, nbytes);
		return;
	}
	for (size_t j = 0; j < n; j += HAMMING_ROWS)
	{
		if (j > n - HAMMING_ROWS)
			j = n - HAMMING_ROWS;
		hamming_rows(q, nbytes, first + j * stride, stride, out + j);
	}
}

/* ---- AVX2 ---- */

/* Shorter strings are counted by the POPCNT instruction alone. */
#define BITS_VECTOR_BYTES 64

/* Counts of set bits in the 64-bit lanes. */
VECX_KERNEL_INLINE TARGET_AVX2 __m256i
popcount_epi64(__m256i v)
{
	const __m256i of_nibble = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
											   0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i low = _mm256_set1_epi8(0x0f);
	__m256i		count = _mm256_add_epi8(_mm256_shuffle_epi8(of_nibble, _mm256_and_si256(v, low)),
										_mm256_shuffle_epi8(of_nibble,
															_mm256_and_si256(_mm256_srli_epi16(v, 4), low)));

	return _mm256_sad_epu8(count, _mm256_setzero_si256());
}

VECX_KERNEL_INLINE TARGET_AVX2 uint64_t
reduce_epi64(__m256i sum)
{
	__m128i		half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

	return (uint64_t) _mm_cvtsi128_si64(half) + (uint64_t) _mm_extract_epi64(half, 1);
}

VECX_KERNEL_INLINE TARGET_AVX2 uint64_t
hamming_avx2(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint64_t	count = 0;
	size_t		i = 0;

	if (nbytes >= BITS_VECTOR_BYTES)
	{
		__m256i		sum = _mm256_setzero_si256();

		for (; i + 32 <= nbytes; i += 32)
		{
			__m256i		va = _mm256_loadu_si256((const __m256i *) (a + i));
			__m256i		vb = _mm256_loadu_si256((const __m256i *) (b + i));

			sum = _mm256_add_epi64(sum, popcount_epi64(_mm256_xor_si256(va, vb)));
		}
		count = reduce_epi64(sum);
	}
	return count + vecx_hamming_words(a + i, b + i, nbytes - i);
}

TARGET_AVX2 uint64_t
vecx_hamming_avx2(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return hamming_avx2(a, b, nbytes);
}

TARGET_AVX2 void
vecx_hamming_many_avx2(const uint8_t *q, size_t nbytes,
					   const uint8_t *first, size_t stride, size_t n, uint32_t *out)
{
	for (size_t j = 0; j < n; j++)
		out[j] = (uint32_t) hamming_avx2(q, first + j * stride, nbytes);
}

TARGET_AVX2 void
vecx_jaccard_avx2(const uint8_t *a, const uint8_t *b, size_t nbytes,
				  uint64_t *and_count, uint64_t *or_count)
{
	size_t		i = 0;

	*and_count = *or_count = 0;
	if (nbytes >= BITS_VECTOR_BYTES)
	{
		__m256i		both = _mm256_setzero_si256();
		__m256i		any = _mm256_setzero_si256();

		for (; i + 32 <= nbytes; i += 32)
		{
			__m256i		va = _mm256_loadu_si256((const __m256i *) (a + i));
			__m256i		vb = _mm256_loadu_si256((const __m256i *) (b + i));

			both = _mm256_add_epi64(both, popcount_epi64(_mm256_and_si256(va, vb)));
			any = _mm256_add_epi64(any, popcount_epi64(_mm256_or_si256(va, vb)));
		}
		*and_count = reduce_epi64(both);
		*or_count = reduce_epi64(any);
	}
	vecx_jaccard_words(a + i, b + i, nbytes - i, and_count, or_count);
}

#endif							/* VECX_KERNEL_X86 */

#ifdef VECX_KERNEL_NEON

#include <arm_neon.h>

/* ---- Advanced SIMD ---- */

/* Adds the counts of set bits to the 64-bit lanes. */
VECX_KERNEL_INLINE uint64x2_t
add_popcount(uint64x2_t sum, uint8x16_t v)
{
	return vpadalq_u32(sum, vpaddlq_u16(vpaddlq_u8(vcntq_u8(v))));
}

VECX_KERNEL_INLINE uint64_t
hamming_neon(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint64x2_t	sum = vdupq_n_u64(0);
	size_t		i = 0;

	for (; i + 16 <= nbytes; i += 16)
		sum = add_popcount(sum, veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i)));
	return vaddvq_u64(sum) + vecx_hamming_words(a + i, b + i, nbytes - i);
}

uint64_t
vecx_hamming_neon(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return hamming_neon(a, b, nbytes);
}

void
vecx_jaccard_neon(const uint8_t *a, const uint8_t *b, size_t nbytes,
				  uint64_t *and_count, uint64_t *or_count)
{
	uint64x2_t	both = vdupq_n_u64(0);
	uint64x2_t	any = vdupq_n_u64(0);
	size_t		i = 0;

	for (; i + 16 <= nbytes; i += 16)
	{
		uint8x16_t	va = vld1q_u8(a + i);
		uint8x16_t	vb = vld1q_u8(b + i);

		both = add_popcount(both, vandq_u8(va, vb));
		any = add_popcount(any, vorrq_u8(va, vb));
	}
	*and_count = vaddvq_u64(both);
	*or_count = vaddvq_u64(any);
	vecx_jaccard_words(a + i, b + i, nbytes - i, and_count, or_count);
}

void
vecx_hamming_many_neon(const uint8_t *q, size_t nbytes,
					   const uint8_t *first, size_t stride, size_t n, uint32_t *out)
{
	for (size_t j = 0; j < n; j++)
		out[j] = (uint32_t) hamming_neon(q, first + j * stride, nbytes);
}

#endif							/* VECX_KERNEL_NEON */

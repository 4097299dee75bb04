/*
 * kernel_near.c
 *    Kernels that look for the least of a row of floats, as integers in the order
 *    of floats: the bits of one, but those beside the sign turned over where it
 *    is below zero.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

typedef int32_t FourInts __attribute__((vector_size(16), aligned(4), may_alias));

/* ---- four at once, which every supported processor does ---- */

static inline FourInts
ordered_four(const float *x)
{
	FourInts	bits = *(const FourInts *) (const void *) x;

	return bits ^ ((bits >> 31) & INT32_MAX);
}

void
vecx_fold_least_scalar(const float *x, size_t count, int32_t *minima, size_t n)
{
	size_t		at = 0;

	for (size_t j = 0; j < n; j++)
		minima[j] = INT32_MAX;
	for (; at + n <= count; at += n)
		for (size_t j = 0; j < n; j += 4)
		{
			FourInts   *m = (FourInts *) (void *) (minima + j);
			FourInts	four = ordered_four(x + at + j);
			FourInts	less = four < *m;

			*m = (four & less) | (*m & ~less);
		}
	for (size_t j = 0; at < count; at++, j++)
		minima[j] = vecx_float_order(x[at]) < minima[j] ? vecx_float_order(x[at]) : minima[j];
}

size_t
vecx_count_within_scalar(const int32_t *keys, size_t n, int32_t limit)
{
	FourInts	hits = {0};

	for (size_t j = 0; j < n; j += 4)
		hits -= *(const FourInts *) (const void *) (keys + j) <= limit;
	return (size_t) (hits[0] + hits[1] + hits[2] + hits[3]);
}

/* Elements looked at together, most of which do not come within the limit. */
#define GROUP	8

static inline int
any_within(const float *group, int32_t limit)
{
	FourInts	hits = (ordered_four(group) <= limit) | (ordered_four(group + 4) <= limit);
	uint64_t	halves[2];

	memcpy(halves, &hits, sizeof(halves));
	return (halves[0] | halves[1]) != 0;
}

size_t
vecx_positions_within_scalar(const float *x, size_t count, int32_t limit, uint32_t *at)
{
	size_t		n = 0;

	for (size_t first = 0; first < count; first += GROUP)
	{
		size_t		end = count - first < GROUP ? count : first + GROUP;

		if (end == first + GROUP && !any_within(x + first, limit))
			continue;
		for (size_t i = first; i < end; i++)
		{
			at[n] = (uint32_t) i;
			n += vecx_float_order(x[i]) <= limit;
		}
	}
	return n;
}

#ifdef VECX_KERNEL_X86

/* ---- AVX-512 ---- */

VECX_KERNEL_INLINE TARGET_AVX512 __m512i
ordered_avx512(__m512i bits)
{
	return _mm512_xor_si512(bits, _mm512_srli_epi32(_mm512_srai_epi32(bits, 31), 1));
}

TARGET_AVX512 void
vecx_fold_least_avx512(const float *x, size_t count, int32_t *minima, size_t n)
{
	const __m512i none = _mm512_set1_epi32(INT32_MAX);

	for (size_t j = 0; j < n; j += 16)
	{
		__mmask16	own = mask16(n - j);
		__m512i		least = none;
		size_t		at = j;

		for (; at + 16 <= count; at += n)
			least = _mm512_min_epi32(least, ordered_avx512(_mm512_loadu_si512(x + at)));
		for (; at < count; at += n)
		{
			__mmask16	mask = mask16(count - at);

			least = _mm512_mask_min_epi32(least, mask, least,
										  ordered_avx512(_mm512_maskz_loadu_epi32(mask, x + at)));
		}
		_mm512_mask_storeu_epi32(minima + j, own, least);
	}
}

TARGET_AVX512 size_t
vecx_count_within_avx512(const int32_t *keys, size_t n, int32_t limit)
{
	const __m512i limits = _mm512_set1_epi32(limit);
	const __m512i one = _mm512_set1_epi32(1);
	__m512i		hits = _mm512_setzero_si512();

	for (size_t j = 0; j < n; j += 16)
	{
		__mmask16	mask = mask16(n - j);
		__mmask16	within = _mm512_mask_cmple_epi32_mask(mask, _mm512_maskz_loadu_epi32(mask, keys + j), limits);

		hits = _mm512_mask_add_epi32(hits, within, hits, one);
	}
	return (size_t) _mm512_reduce_add_epi32(hits);
}

TARGET_AVX512 size_t
vecx_positions_within_avx512(const float *x, size_t count, int32_t limit, uint32_t *at)
{
	const __m512i limits = _mm512_set1_epi32(limit);
	__m512i		positions = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	size_t		n = 0;

	for (size_t i = 0; i < count; i += 16)
	{
		__mmask16	mask = mask16(count - i);
		__mmask16	within = _mm512_mask_cmple_epi32_mask(mask, ordered_avx512(_mm512_maskz_loadu_epi32(mask, x + i)),
														  limits);
		size_t		hits = (size_t) __builtin_popcount(within);

		/* to a register and then to memory: some processors are slow at doing both in one */
		if (hits > 0)
			_mm512_mask_storeu_epi32(at + n, mask16(hits), _mm512_maskz_compress_epi32(within, positions));
		n += hits;
		positions = _mm512_add_epi32(positions, _mm512_set1_epi32(16));
	}
	return n;
}

#endif							/* VECX_KERNEL_X86 */

/*
 * kernel_sketch.c
 *    Scores of neighbour sketches, in all instruction sets: sums over bit
 *    planes, several sketches at once.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

#define MAX_DIMS 16384			/* of a query */
#define ROWS	4				/* sketches at once, but for AVX-512 */

#ifdef VECX_KERNEL_X86

/* ---- AVX-512 ---- */

/*
 * 64 bits of a plane are broadcast to the eight 64-bit lanes, and lane l keeps
 * bit l of every byte: 64 bytes that are 0 or 2^l, ready as the unsigned side
 * of a byte product, with no expansion of bits.  q must be laid out to match
 * (byte m of lane l = element 8 m + l of the 64), and lane l's sums are 2^l
 * times too large, which a shift undoes exactly in the end.
 *
 * A 32-bit element sums 4 products of 64: at most 4 * 127 * 2^7 by plane,
 * 255 times that over eight planes, so 4,096 elements stay below 2^30; the
 * first step of the reduction doubles that.
 */
#define SEGMENT 4096

/* The layout of q above: transposes each 64 bytes as an 8 x 8 matrix. */
VECX_KERNEL_INLINE TARGET_AVX512 void
transpose_query_avx512(const int8_t *q, size_t ndims, int8_t *t)
{
	/* Two rows of eight lie in a 128-bit lane: pairs column by column ... */
	const __m512i pairs = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11,
															   4, 12, 5, 13, 6, 14, 7, 15));

	/* ... then column c collects its pair from each of the four lanes. */
	const __m512i columns = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6,
											 29, 21, 13, 5, 28, 20, 12, 4,
											 27, 19, 11, 3, 26, 18, 10, 2,
											 25, 17, 9, 1, 24, 16, 8, 0);

	for (size_t i = 0; i < ndims; i += 64)
		_mm512_store_si512(t + i,
						   _mm512_permutexvar_epi16(columns,
													_mm512_shuffle_epi8(_mm512_loadu_si512(q + i), pairs)));
}

/*
 * 32-bit element k of the result's 128-bit lane l is row k's sum over the two
 * 64-bit lanes in lane l of acc[k], in units of 2^(2 l).  The right one
 * counts double.
 */
VECX_KERNEL_INLINE TARGET_AVX512 __m512i
reduce_lanes(const __m512i *acc)
{
#define EVEN(a, b) _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(a), \
														 _mm512_castsi512_ps(b), 0x88))
#define ODD(a, b) _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(a), \
														_mm512_castsi512_ps(b), 0xdd))
	const __m512i weights = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2,
											  4, 4, 4, 4, 6, 6, 6, 6);
	__m512i		left = _mm512_add_epi32(EVEN(acc[0], acc[1]), ODD(acc[0], acc[1]));
	__m512i		right = _mm512_add_epi32(EVEN(acc[2], acc[3]), ODD(acc[2], acc[3]));
	__m512i		sum = _mm512_add_epi32(EVEN(left, right),
									   _mm512_srai_epi32(ODD(left, right), 1));

	return _mm512_srav_epi32(sum, weights);
#undef EVEN
#undef ODD
}

/* Sums of nrows (4 or 16) rows, in the first nrows elements. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512i
reduce_sketches(const __m512i *acc, size_t nrows)
{
	__m512i		sum[4];

	VECX_KERNEL_UNROLL
	for (size_t i = 0; i < 4; i++)
		sum[i] = i < nrows / 4 ? reduce_lanes(acc + 4 * i) : _mm512_setzero_si512();
	return reduce_quarters(sum);
}

/* Scores of nrows rows, in units of 1; t is the query, transposed. */
VECX_KERNEL_INLINE TARGET_VNNI __m512i
rows_avx512(const int8_t *t, size_t ndims, size_t nplanes,
			const uint8_t *first, size_t stride, size_t nrows)
{
	const __m512i bit_of_lane = _mm512_set_epi64((long long) 0x8080808080808080,
												 0x4040404040404040, 0x2020202020202020,
												 0x1010101010101010, 0x0808080808080808,
												 0x0404040404040404, 0x0202020202020202,
												 0x0101010101010101);
	__m512i		total = _mm512_setzero_si512();

	for (size_t begin = 0; begin < ndims; begin += SEGMENT)
	{
		size_t		end = ndims - begin < SEGMENT ? ndims : begin + SEGMENT;
		const uint8_t *plane = first;
		__m512i		acc[16];

		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nrows; r++)
			acc[r] = _mm512_setzero_si512();
		for (size_t p = 0; p < nplanes; p++, plane += ndims / 8)
		{
			VECX_KERNEL_UNROLL
			for (size_t r = 0; r < nrows; r++)
				acc[r] = _mm512_add_epi32(acc[r], acc[r]);
			for (size_t i = begin; i < end; i += 64)
			{
				__m512i		vt = _mm512_load_si512(t + i);
				const uint8_t *word = plane + i / 8;

				VECX_KERNEL_UNROLL
				for (size_t r = 0; r < nrows; r++, word += stride)
				{
					__m512i		bits = _mm512_set1_epi64((long long) vecx_load64(word));

					acc[r] = _mm512_dpbusd_epi32(acc[r], _mm512_and_si512(bits, bit_of_lane), vt);
				}
			}
		}
		total = _mm512_add_epi32(total, reduce_sketches(acc, nrows));
	}
	return total;
}

/*
 * A last group that would be short starts earlier, on rows already done; if
 * there are fewer than four, each is scored alone (its stride is 0).
 */
TARGET_VNNI void
vecx_sketch_dot_avx512(const int8_t *q, size_t ndims, size_t nplanes,
					   const uint8_t *first, size_t stride, size_t n, int32_t *out)
{
	__attribute__((aligned(64))) int8_t t[MAX_DIMS];
	size_t		j = 0;

	transpose_query_avx512(q, ndims, t);
	while (j < n)
	{
		size_t		left = n - j;
		size_t		nrows = n >= 16 && left > 8 ? 16 : n >= 4 ? 4 : 1;
		const uint8_t *row;

		if (nrows > left)
			j = n - nrows;
		row = first + j * stride;
		if (nrows == 16)
			_mm512_storeu_si512(out + j, rows_avx512(t, ndims, nplanes, row, stride, 16));
		else
			_mm512_mask_storeu_epi32(out + j, mask16(nrows),
									 rows_avx512(t, ndims, nplanes, row,
												 nrows == 1 ? 0 : stride, 4));
		j += nrows;
	}
}

/* ---- AVX2 ---- */

/*
 * 64 bits of a plane are broadcast to the four 64-bit lanes.  Lane l keeps bit
 * l of every byte and, after a shift, bit 4 + l: bytes that are 0 or 2^l,
 * ready as the unsigned side of a byte product, with no expansion of bits.  q
 * is laid out to match: byte m of lane l = element 8 m + l (or 8 m + 4 + l) of
 * the 64.
 *
 * Two products of at most 8 * 127, twice, in 16 bits: STEPS_AVX2 = 8 times
 * that is 32,512.  The lanes are then brought to the common scale of 8; an
 * element of the 32-bit sums gets 16,384 / 64 * 8 * 127 * 8 at most from a
 * plane, 255 times that (531 million) from eight planes.
 */
#define STEPS_AVX2 8

/* The layout of q above: transposes each 64 bytes as an 8 x 8 matrix. */
VECX_KERNEL_INLINE TARGET_AVX2 void
transpose_query_avx2(const int8_t *q, size_t ndims, int8_t *t)
{
	const __m128i pairs = _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);

	for (size_t i = 0; i < ndims; i += 64)
	{
		__m128i    *to = (__m128i *) (t + i);
		__m128i		two[4];
		__m128i		low[2];
		__m128i		high[2];

		VECX_KERNEL_UNROLL
		for (size_t k = 0; k < 4; k++)
			two[k] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *) (q + i + 16 * k)), pairs);
		VECX_KERNEL_UNROLL
		for (size_t k = 0; k < 2; k++)
		{
			low[k] = _mm_unpacklo_epi16(two[2 * k], two[2 * k + 1]);
			high[k] = _mm_unpackhi_epi16(two[2 * k], two[2 * k + 1]);
		}
		_mm_store_si128(to, _mm_unpacklo_epi32(low[0], low[1]));
		_mm_store_si128(to + 1, _mm_unpackhi_epi32(low[0], low[1]));
		_mm_store_si128(to + 2, _mm_unpacklo_epi32(high[0], high[1]));
		_mm_store_si128(to + 3, _mm_unpackhi_epi32(high[0], high[1]));
	}
}

/* Adds steps * 64 elements of one plane of each row to acc. */
VECX_KERNEL_INLINE TARGET_AVX2 void
steps_avx2(__m256i *acc, const int8_t *t, size_t steps,
		   const uint8_t *first, size_t stride)
{
	const __m256i bit_of_lane = _mm256_setr_epi64x(0x0101010101010101, 0x0202020202020202,
												   0x0404040404040404, 0x0808080808080808);
	const __m256i to_scale_8 = _mm256_setr_epi64x(0x0008000800080008, 0x0004000400040004,
												  0x0002000200020002, 0x0001000100010001);
	__m256i		sum[ROWS];

	VECX_KERNEL_UNROLL
	for (int r = 0; r < ROWS; r++)
		sum[r] = _mm256_setzero_si256();
	for (size_t s = 0; s < steps; s++)
	{
		__m256i		low = _mm256_load_si256((const __m256i *) (t + 64 * s));
		__m256i		high = _mm256_load_si256((const __m256i *) (t + 64 * s + 32));
		const uint8_t *word = first + 8 * s;

		VECX_KERNEL_UNROLL
		for (int r = 0; r < ROWS; r++, word += stride)
		{
			__m256i		bits = _mm256_set1_epi64x((long long) vecx_load64(word));
			__m256i		low_bits = _mm256_and_si256(bits, bit_of_lane);
			__m256i		high_bits = _mm256_and_si256(_mm256_srli_epi64(bits, 4), bit_of_lane);

			sum[r] = _mm256_add_epi16(sum[r], _mm256_maddubs_epi16(low_bits, low));
			sum[r] = _mm256_add_epi16(sum[r], _mm256_maddubs_epi16(high_bits, high));
		}
	}
	VECX_KERNEL_UNROLL
	for (int r = 0; r < ROWS; r++)
		acc[r] = _mm256_add_epi32(acc[r], _mm256_madd_epi16(sum[r], to_scale_8));
}

VECX_KERNEL_INLINE TARGET_AVX2 __m128i
rows_avx2(const int8_t *t, size_t ndims, size_t nplanes,
		  const uint8_t *first, size_t stride)
{
	__m256i		acc[ROWS];
	__m256i		sums;

	VECX_KERNEL_UNROLL
	for (int r = 0; r < ROWS; r++)
		acc[r] = _mm256_setzero_si256();
	for (size_t p = 0; p < nplanes; p++, first += ndims / 8)
	{
		VECX_KERNEL_UNROLL
		for (int r = 0; r < ROWS; r++)
			acc[r] = _mm256_add_epi32(acc[r], acc[r]);
		for (size_t i = 0; i < ndims; i += 64 * STEPS_AVX2)
		{
			size_t		left = (ndims - i) / 64;

			steps_avx2(acc, t + i, left < STEPS_AVX2 ? left : STEPS_AVX2,
					   first + i / 8, stride);
		}
	}
	VECX_KERNEL_UNROLL
	for (int r = 0; r < ROWS; r++)
		acc[r] = _mm256_srai_epi32(acc[r], 3);
	sums = _mm256_hadd_epi32(_mm256_hadd_epi32(acc[0], acc[1]),
							 _mm256_hadd_epi32(acc[2], acc[3]));
	return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

/*
 * A last group that would be short starts earlier, on rows already done; if
 * there are fewer than a group, each is scored alone (its stride is 0).
 */
TARGET_AVX2 void
vecx_sketch_dot_avx2(const int8_t *q, size_t ndims, size_t nplanes,
					 const uint8_t *first, size_t stride, size_t n, int32_t *out)
{
	__attribute__((aligned(32))) int8_t t[MAX_DIMS];

	transpose_query_avx2(q, ndims, t);
	if (n < ROWS)
	{
		for (size_t j = 0; j < n; j++)
			out[j] = _mm_cvtsi128_si32(rows_avx2(t, ndims, nplanes, first + j * stride, 0));
		return;
	}
	for (size_t j = 0; j < n; j += ROWS)
	{
		if (j > n - ROWS)
			j = n - ROWS;
		_mm_storeu_si128((__m128i *) (out + j),
						 rows_avx2(t, ndims, nplanes, first + j * stride, stride));
	}
}

#endif							/* VECX_KERNEL_X86 */

#ifdef VECX_KERNEL_NEON

#include <arm_neon.h>

/* ---- Advanced SIMD ---- */

/*
 * 64 bits of a plane are broadcast to both 64-bit lanes of four registers;
 * lane l of the eight keeps, as a mask of bytes, bit l of every byte.  q is
 * laid out to match: byte m of lane l = element 8 m + l of the 64.
 *
 * The four registers add 4 * 2 * 127 at most to a 16-bit sum, STEPS_NEON =
 * 32 times that is 32,512.
 */
#define STEPS_NEON 32

/* The layout of q above: transposes each 64 bytes as an 8 x 8 matrix. */
VECX_KERNEL_INLINE void
transpose_query_neon(const int8_t *q, size_t ndims, int8_t *t)
{
	static const uint8_t pairs[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};

	for (size_t i = 0; i < ndims; i += 64)
	{
		int16x8_t	two[4];
		int32x4_t	low[2];
		int32x4_t	high[2];

		VECX_KERNEL_UNROLL
		for (size_t k = 0; k < 4; k++)
			two[k] = vreinterpretq_s16_s8(vqtbl1q_s8(vld1q_s8(q + i + 16 * k), vld1q_u8(pairs)));
		VECX_KERNEL_UNROLL
		for (size_t k = 0; k < 2; k++)
		{
			low[k] = vreinterpretq_s32_s16(vzip1q_s16(two[2 * k], two[2 * k + 1]));
			high[k] = vreinterpretq_s32_s16(vzip2q_s16(two[2 * k], two[2 * k + 1]));
		}
		vst1q_s8(t + i, vreinterpretq_s8_s32(vzip1q_s32(low[0], low[1])));
		vst1q_s8(t + i + 16, vreinterpretq_s8_s32(vzip2q_s32(low[0], low[1])));
		vst1q_s8(t + i + 32, vreinterpretq_s8_s32(vzip1q_s32(high[0], high[1])));
		vst1q_s8(t + i + 48, vreinterpretq_s8_s32(vzip2q_s32(high[0], high[1])));
	}
}

/* Adds steps * 64 elements of one plane of each row to acc. */
VECX_KERNEL_INLINE void
steps_neon(int32x4_t *acc, const int8_t *t, size_t steps,
		   const uint8_t *first, size_t stride)
{
	uint8x16_t	bit_of_lane[4];
	int16x8_t	sum[ROWS];

	VECX_KERNEL_UNROLL
	for (size_t v = 0; v < 4; v++)
		bit_of_lane[v] = vcombine_u8(vdup_n_u8((uint8_t) (1 << 2 * v)),
									 vdup_n_u8((uint8_t) (2 << 2 * v)));
	VECX_KERNEL_UNROLL
	for (size_t r = 0; r < ROWS; r++)
		sum[r] = vdupq_n_s16(0);
	for (size_t s = 0; s < steps; s++)
	{
		const uint8_t *word = first + 8 * s;

		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < ROWS; r++, word += stride)
		{
			uint8x16_t	bits = vreinterpretq_u8_u64(vdupq_n_u64(vecx_load64(word)));

			VECX_KERNEL_UNROLL
			for (size_t v = 0; v < 4; v++)
			{
				int8x16_t	kept = vreinterpretq_s8_u8(vtstq_u8(bits, bit_of_lane[v]));

				sum[r] = vpadalq_s8(sum[r], vandq_s8(kept, vld1q_s8(t + 64 * s + 16 * v)));
			}
		}
	}
	VECX_KERNEL_UNROLL
	for (size_t r = 0; r < ROWS; r++)
		acc[r] = vpadalq_s16(acc[r], sum[r]);
}

VECX_KERNEL_INLINE void
rows_neon(const int8_t *t, size_t ndims, size_t nplanes,
		  const uint8_t *first, size_t stride, size_t nrows, int32_t *out)
{
	int32x4_t	acc[ROWS];

	VECX_KERNEL_UNROLL
	for (size_t r = 0; r < ROWS; r++)
		acc[r] = vdupq_n_s32(0);
	for (size_t p = 0; p < nplanes; p++, first += ndims / 8)
	{
		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < ROWS; r++)
			acc[r] = vaddq_s32(acc[r], acc[r]);
		for (size_t i = 0; i < ndims; i += 64 * STEPS_NEON)
		{
			size_t		left = (ndims - i) / 64;

			steps_neon(acc, t + i, left < STEPS_NEON ? left : STEPS_NEON,
					   first + i / 8, stride);
		}
	}
	VECX_KERNEL_UNROLL
	for (size_t r = 0; r < nrows; r++)
		out[r] = vaddvq_s32(acc[r]);
}

/*
 * A last group that would be short starts earlier, on rows already done; if
 * there are fewer than a group, each is scored alone (its stride is 0).
 */
void
vecx_sketch_dot_neon(const int8_t *q, size_t ndims, size_t nplanes,
					 const uint8_t *first, size_t stride, size_t n, int32_t *out)
{
	int8_t		t[MAX_DIMS];

	transpose_query_neon(q, ndims, t);
	if (n < ROWS)
	{
		for (size_t j = 0; j < n; j++)
			rows_neon(t, ndims, nplanes, first + j * stride, 0, 1, out + j);
		return;
	}
	for (size_t j = 0; j < n; j += ROWS)
	{
		if (j > n - ROWS)
			j = n - ROWS;
		rows_neon(t, ndims, nplanes, first + j * stride, stride, ROWS, out + j);
	}
}

#endif							/* VECX_KERNEL_NEON */

/*
 * kernel_fastscan.c
 *    Sums of table entries for 32 codes at once, in all instruction sets: the
 *    tables of 4-bit codes are one register each, and a byte shuffle is sixteen
 *    lookups (Andre, Kermarrec and Le Scouarnec, arXiv 1812.09162).  And codes
 *    put into the columns that this takes.
 *
 * Bytes are summed in pairs, as 16-bit integers: one sum takes both bytes of a
 * pair, another the upper ones, and 256 times that is taken off the former in
 * the end, modulo 2^16.  A 16-bit sum holds 257 entries, so codes of more
 * columns are cut.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

#define BLOCK		32			/* codes */
#define ROW_BYTES	16			/* of a column: two codes a byte */
#define SUM_ENTRIES 256			/* that a 16-bit sum holds */

void
vecx_fastscan4_scalar(const uint8_t *columns, size_t m, const uint8_t *tables, uint32_t *sums)
{
	for (size_t c = 0; c < m; c++, columns += ROW_BYTES, tables += 16)
		for (size_t i = 0; i < ROW_BYTES; i++)
		{
			sums[i] += tables[columns[i] & 15];
			sums[i + ROW_BYTES] += tables[columns[i] >> 4];
		}
}

/* Eight codes at a time: their sums stay in registers. */
void
vecx_fastscan8_scalar(const uint8_t *columns, size_t m, const uint8_t *tables, uint32_t *sums)
{
	for (size_t first = 0; first < BLOCK; first += 8)
	{
		uint32_t	sum[8] = {0};

		for (size_t c = 0; c < m; c++)
			VECX_KERNEL_UNROLL
			for (size_t i = 0; i < 8; i++)
				sum[i] += tables[c * 256 + columns[c * BLOCK + first + i]];
		for (size_t i = 0; i < 8; i++)
			sums[first + i] += sum[i];
	}
}

void
vecx_turn4_scalar(const uint8_t *const *rows, size_t nbytes, uint8_t *columns)
{
	for (size_t at = 0; at < nbytes; at++, columns += 2 * ROW_BYTES)
		for (size_t i = 0; i < ROW_BYTES; i++)
		{
			uint8_t		a = rows[i][at];
			uint8_t		b = rows[i + ROW_BYTES][at];

			columns[i] = (uint8_t) ((a & 15) | b << 4);
			columns[i + ROW_BYTES] = (uint8_t) (a >> 4 | (b & 240));
		}
}

#ifdef VECX_KERNEL_X86

/* Sixteen bytes of all rows: a transposition in both halves of the registers, where one has
 * the columns of the lower bits, the other those of the upper. */
VECX_KERNEL_INLINE TARGET_AVX2 void
turn_sixteen(const uint8_t *const *rows, size_t at, uint8_t *columns)
{
	const __m128i lower = _mm_set1_epi8(15);
	__m256i		even[16];
	__m256i		odd[16];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < 16; i++)
	{
		__m128i		a = _mm_loadu_si128((const __m128i *) (rows[i] + at));
		__m128i		b = _mm_loadu_si128((const __m128i *) (rows[i + 16] + at));
		__m128i		first = _mm_or_si128(_mm_and_si128(a, lower),
										 _mm_slli_epi16(_mm_and_si128(b, lower), 4));
		__m128i		second = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(a, 4), lower),
										  _mm_andnot_si128(lower, b));

		even[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
	}
	VECX_KERNEL_UNROLL
	for (int round = 0; round < 4; round++)
	{
		VECX_KERNEL_UNROLL
		for (int i = 0; i < 8; i++)
		{
			odd[2 * i] = _mm256_unpacklo_epi8(even[i], even[i + 8]);
			odd[2 * i + 1] = _mm256_unpackhi_epi8(even[i], even[i + 8]);
		}
		memcpy(even, odd, sizeof(even));
	}
	VECX_KERNEL_UNROLL
	for (int i = 0; i < 16; i++)
		_mm256_storeu_si256((__m256i *) (columns + (at + (size_t) i) * 2 * ROW_BYTES), even[i]);
}

/* The last sixteen bytes of a row may be some that were turned before. */
TARGET_AVX2 void
vecx_turn4_avx2(const uint8_t *const *rows, size_t nbytes, uint8_t *columns)
{
	if (nbytes < 16)
	{
		vecx_turn4_scalar(rows, nbytes, columns);
		return;
	}
	for (size_t at = 0; at < nbytes; at += 16)
		turn_sixteen(rows, at + 16 <= nbytes ? at : nbytes - 16, columns);
}

/* Eight sums more, from eight of each half of the register. */
VECX_KERNEL_INLINE TARGET_AVX2 void
add_eight(uint32_t *sums, __m128i a, __m128i b)
{
	__m256i		sum = _mm256_loadu_si256((const __m256i *) sums);

	sum = _mm256_add_epi32(sum, _mm256_cvtepu16_epi32(a));
	sum = _mm256_add_epi32(sum, _mm256_cvtepu16_epi32(b));
	_mm256_storeu_si256((__m256i *) sums, sum);
}

/* Sixteen sums more: both has the pairs as they are, upper the upper bytes; the
 * halves of the registers are two columns' sums of the same codes. */
VECX_KERNEL_INLINE TARGET_AVX2 void
add_sixteen(uint32_t *sums, __m256i both, __m256i upper)
{
	__m256i		lower = _mm256_sub_epi16(both, _mm256_slli_epi16(upper, 8));
	__m256i		first = _mm256_unpacklo_epi16(lower, upper);
	__m256i		second = _mm256_unpackhi_epi16(lower, upper);

	add_eight(sums, _mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1));
	add_eight(sums + 8, _mm256_castsi256_si128(second), _mm256_extracti128_si256(second, 1));
}

/* Two columns a step; an odd one has zeros beside it. */
TARGET_AVX2 void
vecx_fastscan4_avx2(const uint8_t *columns, size_t m, const uint8_t *tables, uint32_t *sums)
{
	const __m256i nibble = _mm256_set1_epi8(15);

	while (m > 0)
	{
		size_t		n = m < 2 * SUM_ENTRIES ? m : 2 * SUM_ENTRIES;
		__m256i		both0 = _mm256_setzero_si256();
		__m256i		upper0 = both0;
		__m256i		both1 = both0;
		__m256i		upper1 = both0;

		for (size_t c = 0; c < n; c += 2)
		{
			__m256i		codes;
			__m256i		table;
			__m256i		found;

			if (c + 1 < n)
			{
				codes = _mm256_loadu_si256((const __m256i *) (columns + c * ROW_BYTES));
				table = _mm256_loadu_si256((const __m256i *) (tables + c * 16));
			}
			else
			{
				codes = _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *) (columns + c * ROW_BYTES)));
				table = _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *) (tables + c * 16)));
			}
			found = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, nibble));
			both0 = _mm256_add_epi16(both0, found);
			upper0 = _mm256_add_epi16(upper0, _mm256_srli_epi16(found, 8));
			found = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble));
			both1 = _mm256_add_epi16(both1, found);
			upper1 = _mm256_add_epi16(upper1, _mm256_srli_epi16(found, 8));
		}
		add_sixteen(sums, both0, upper0);
		add_sixteen(sums + 16, both1, upper1);
		columns += n * ROW_BYTES;
		tables += n * 16;
		m -= n;
	}
}

/* The two halves of both and upper are further columns' sums. */
VECX_KERNEL_INLINE TARGET_AVX512 void
add_halves(uint32_t *sums, __m512i both, __m512i upper)
{
	add_sixteen(sums, _mm512_castsi512_si256(both), _mm512_castsi512_si256(upper));
	add_sixteen(sums, _mm512_extracti64x4_epi64(both, 1), _mm512_extracti64x4_epi64(upper, 1));
}

/* Four columns a step. */
TARGET_AVX512 void
vecx_fastscan4_avx512(const uint8_t *columns, size_t m, const uint8_t *tables, uint32_t *sums)
{
	const __m512i nibble = _mm512_set1_epi8(15);

	while (m > 0)
	{
		size_t		n = m < 4 * SUM_ENTRIES ? m : 4 * SUM_ENTRIES;
		__m512i		both0 = _mm512_setzero_si512();
		__m512i		upper0 = both0;
		__m512i		both1 = both0;
		__m512i		upper1 = both0;

		for (size_t c = 0; c < n; c += 4)
		{
			__mmask8	mask = n - c >= 4 ? 0xff : (__mmask8) ((1u << 2 * (n - c)) - 1);
			__m512i		codes = _mm512_maskz_loadu_epi64(mask, columns + c * ROW_BYTES);
			__m512i		table = _mm512_maskz_loadu_epi64(mask, tables + c * 16);
			__m512i		found;

			found = _mm512_shuffle_epi8(table, _mm512_and_si512(codes, nibble));
			both0 = _mm512_add_epi16(both0, found);
			upper0 = _mm512_add_epi16(upper0, _mm512_srli_epi16(found, 8));
			found = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble));
			both1 = _mm512_add_epi16(both1, found);
			upper1 = _mm512_add_epi16(upper1, _mm512_srli_epi16(found, 8));
		}
		add_halves(sums, both0, upper0);
		add_halves(sums + 16, both1, upper1);
		columns += n * ROW_BYTES;
		tables += n * 16;
		m -= n;
	}
}

/*
 * A table of 256 bytes is four registers: two permutations look up 7 bits of a
 * code, the eighth chooses between them.
 */
TARGET_VBMI void
vecx_fastscan8_vbmi(const uint8_t *columns, size_t m, const uint8_t *tables, uint32_t *sums)
{
	while (m > 0)
	{
		size_t		n = m < SUM_ENTRIES ? m : SUM_ENTRIES;
		__m512i		sum = _mm512_setzero_si512();
		__m512i		all[2];

		for (size_t c = 0; c < n; c++)
		{
			const uint8_t *table = tables + c * 256;
			__m256i		half = _mm256_loadu_si256((const __m256i *) (columns + c * BLOCK));
			__m512i		codes = _mm512_castsi256_si512(half);
			__m512i		low = _mm512_permutex2var_epi8(_mm512_loadu_si512(table), codes,
													   _mm512_loadu_si512(table + 64));
			__m512i		high = _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), codes,
														_mm512_loadu_si512(table + 192));
			__m256i		found = _mm256_mask_blend_epi8(_mm256_movepi8_mask(half),
													   _mm512_castsi512_si256(low),
													   _mm512_castsi512_si256(high));

			sum = _mm512_add_epi16(sum, _mm512_cvtepu8_epi16(found));
		}
		all[0] = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sum));
		all[1] = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(sum, 1));
		for (int i = 0; i < 2; i++)
			_mm512_storeu_si512(sums + 16 * i,
								_mm512_add_epi32(all[i], _mm512_loadu_si512(sums + 16 * i)));
		columns += n * BLOCK;
		tables += n * 256;
		m -= n;
	}
}

#endif							/* VECX_KERNEL_X86 */

#ifdef VECX_KERNEL_NEON

#include <arm_neon.h>

VECX_KERNEL_INLINE void
add_eight(uint32_t *sums, uint16x8_t more)
{
	vst1q_u32(sums, vaddw_u16(vld1q_u32(sums), vget_low_u16(more)));
	vst1q_u32(sums + 4, vaddw_u16(vld1q_u32(sums + 4), vget_high_u16(more)));
}

void
vecx_fastscan4_neon(const uint8_t *columns, size_t m, const uint8_t *tables, uint32_t *sums)
{
	while (m > 0)
	{
		size_t		n = m < SUM_ENTRIES ? m : SUM_ENTRIES;
		uint16x8_t	sum0 = vdupq_n_u16(0);
		uint16x8_t	sum1 = sum0;
		uint16x8_t	sum2 = sum0;
		uint16x8_t	sum3 = sum0;

		for (size_t c = 0; c < n; c++)
		{
			uint8x16_t	codes = vld1q_u8(columns + c * ROW_BYTES);
			uint8x16_t	table = vld1q_u8(tables + c * 16);
			uint8x16_t	low = vqtbl1q_u8(table, vandq_u8(codes, vdupq_n_u8(15)));
			uint8x16_t	high = vqtbl1q_u8(table, vshrq_n_u8(codes, 4));

			sum0 = vaddw_u8(sum0, vget_low_u8(low));
			sum1 = vaddw_u8(sum1, vget_high_u8(low));
			sum2 = vaddw_u8(sum2, vget_low_u8(high));
			sum3 = vaddw_u8(sum3, vget_high_u8(high));
		}
		add_eight(sums, sum0);
		add_eight(sums + 8, sum1);
		add_eight(sums + 16, sum2);
		add_eight(sums + 24, sum3);
		columns += n * ROW_BYTES;
		tables += n * 16;
		m -= n;
	}
}

#endif							/* VECX_KERNEL_NEON */

/*
 * kernel_avx512.c
 *    Kernels for AVX-512 F, BW, DQ and VL, those on bytes also for VNNI, and the
 *    table of these and of the other files' (kernel_choose.c replaces those of
 *    its kernels that need VNNI, VPOPCNTDQ or VBMI where these lack).
 *
 * Tails are masked: a masked-off element is neither read nor counted.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

#ifdef VECX_KERNEL_X86

#define NSUMS 4					/* covers the multiply-add's latency */

/* ---- floats ---- */

VECX_KERNEL_INLINE TARGET_AVX512 __m512
load_elems(const void *x, size_t i, __mmask16 mask, VecxKernelElem elem)
{
	switch (elem)
	{
		case VECX_ELEM_F32:
			return _mm512_maskz_loadu_ps(mask, (const float *) x + i);
		case VECX_ELEM_F16:
			return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const uint16_t *) x + i));
		case VECX_ELEM_U8:
		default:
			return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask,
																				(const uint8_t *) x + i)));
	}
}

/* sum + term; q and x are zero where the mask is, and so the products are. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512
add_term(__m512 sum, __m512 q, __m512 x, __mmask16 mask, VecxKernelTerm term,
		 __m512 scale, __m512 offset)
{
	__m512		diff;

	if (term == VECX_TERM_IP)
		return _mm512_fmadd_ps(q, x, sum);
	if (term == VECX_TERM_L1_SCALED)
		x = _mm512_maskz_fmadd_ps(mask, scale, x, offset);
	diff = _mm512_sub_ps(q, x);
	if (term == VECX_TERM_L2SQ)
		return _mm512_fmadd_ps(diff, diff, sum);
	return _mm512_add_ps(sum, _mm512_abs_ps(diff));
}

VECX_KERNEL_INLINE TARGET_AVX512 float
sum_terms(const void *q, VecxKernelElem q_elem, const void *x, size_t n, VecxKernelElem elem,
		  VecxKernelTerm term, float scale, float offset)
{
	__m512		sum[NSUMS];
	__m512		scales = _mm512_set1_ps(scale);
	__m512		offsets = _mm512_set1_ps(offset);
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int j = 0; j < NSUMS; j++)
		sum[j] = _mm512_setzero_ps();
	for (; i + 16 * NSUMS <= n; i += 16 * NSUMS)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			sum[j] = add_term(sum[j], load_elems(q, i + 16 * j, ALL16, q_elem),
							  load_elems(x, i + 16 * j, ALL16, elem),
							  ALL16, term, scales, offsets);
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < NSUMS; j++, i += 16)
	{
		__mmask16	mask;

		if (i >= n)
			break;
		mask = mask16(n - i);
		sum[j] = add_term(sum[j], load_elems(q, i, mask, q_elem),
						  load_elems(x, i, mask, elem), mask, term, scales, offsets);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]),
											  _mm512_add_ps(sum[2], sum[3])));
}

static TARGET_AVX512 float
l2sq_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_L2SQ, 0, 0);
}

static TARGET_AVX512 float
ip_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX512 float
l1_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_L1, 0, 0);
}

static TARGET_AVX512 float
l2sq_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_L2SQ, 0, 0);
}

static TARGET_AVX512 float
ip_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX512 float
l1_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_L1, 0, 0);
}

static TARGET_AVX512 float
l2sq_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_L2SQ, 0, 0);
}

static TARGET_AVX512 float
ip_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX512 float
l1_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_L1, 0, 0);
}

static TARGET_AVX512 float
ip_f32u8(const float *q, const uint8_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_U8, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX512 float
l1_f32u8(const float *q, const uint8_t *x, size_t n, float scale, float offset)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_U8, VECX_TERM_L1_SCALED, scale, offset);
}

VECX_KERNEL_INLINE TARGET_AVX512 void
add_cosine(__m512 *ab, __m512 *aa, __m512 *bb, __m512 a, __m512 b)
{
	*ab = _mm512_fmadd_ps(a, b, *ab);
	*aa = _mm512_fmadd_ps(a, a, *aa);
	*bb = _mm512_fmadd_ps(b, b, *bb);
}

VECX_KERNEL_INLINE TARGET_AVX512 void
cosine_sums(const void *a, const void *b, size_t n, VecxKernelElem elem,
			float *ab, float *aa, float *bb)
{
	__m512		sum_ab[2];
	__m512		sum_aa[2];
	__m512		sum_bb[2];
	size_t		i = 0;

	/* Two of each: six sums already keep the multiply-adders busy. */
	VECX_KERNEL_UNROLL
	for (int j = 0; j < 2; j++)
		sum_ab[j] = sum_aa[j] = sum_bb[j] = _mm512_setzero_ps();
	for (; i + 32 <= n; i += 32)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
			add_cosine(&sum_ab[j], &sum_aa[j], &sum_bb[j],
					   load_elems(a, i + 16 * j, ALL16, elem), load_elems(b, i + 16 * j, ALL16, elem));
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < 2; j++, i += 16)
	{
		__mmask16	mask;

		if (i >= n)
			break;
		mask = mask16(n - i);
		add_cosine(&sum_ab[j], &sum_aa[j], &sum_bb[j],
				   load_elems(a, i, mask, elem), load_elems(b, i, mask, elem));
	}
	*ab = _mm512_reduce_add_ps(_mm512_add_ps(sum_ab[0], sum_ab[1]));
	*aa = _mm512_reduce_add_ps(_mm512_add_ps(sum_aa[0], sum_aa[1]));
	*bb = _mm512_reduce_add_ps(_mm512_add_ps(sum_bb[0], sum_bb[1]));
}

static TARGET_AVX512 void
cosine_f32(const float *a, const float *b, size_t n,
		   float *ab, float *aa, float *bb)
{
	cosine_sums(a, b, n, VECX_ELEM_F32, ab, aa, bb);
}

static TARGET_AVX512 void
cosine_f16f16(const uint16_t *a, const uint16_t *b, size_t n,
			  float *ab, float *aa, float *bb)
{
	cosine_sums(a, b, n, VECX_ELEM_F16, ab, aa, bb);
}

static TARGET_AVX512 void
f16_to_f32(const uint16_t *x, float *y, size_t n)
{
	__mmask16	mask = mask16(n % 16);
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
		_mm512_storeu_ps(y + i, load_elems(x, i, ALL16, VECX_ELEM_F16));
	_mm512_mask_storeu_ps(y + i, mask, load_elems(x, i, mask, VECX_ELEM_F16));
}

static TARGET_AVX512 void
f32_to_f16(const float *x, uint16_t *y, size_t n)
{
	__mmask16	mask = mask16(n % 16);
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
		_mm256_storeu_si256((__m256i *) (y + i),
							_mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
	_mm256_mask_storeu_epi16(y + i, mask,
							 _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, x + i),
											 _MM_FROUND_TO_NEAREST_INT));
}

/* ---- bytes ---- */

/* Modulo 2^32, which _mm512_reduce_add_epi32 leaves undefined. */
VECX_KERNEL_INLINE TARGET_AVX512 uint32_t
reduce_epu32(__m512i v)
{
	return (uint32_t) reduce_epi32(_mm256_add_epi32(_mm512_castsi512_si256(v),
													_mm512_extracti64x4_epi64(v, 1)));
}

/*
 * VNNI multiplies unsigned by signed, so b is biased by -128:
 * sum a b = sum a (b - 128) + 128 sum a, exact modulo 2^32.
 */
static TARGET_VNNI uint32_t
ip_u8u8(const uint8_t *a, const uint8_t *b, size_t n)
{
	const __m512i bias = _mm512_set1_epi8(-128);
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		products[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	__m512i		sums[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	for (size_t i = 0; i < n; i += 128)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			size_t		at = i + 64 * j;
			__mmask64	mask;
			__m512i		va;
			__m512i		vb;

			if (at >= n)
				break;
			mask = mask64(n - at);
			va = _mm512_maskz_loadu_epi8(mask, a + at);
			vb = _mm512_maskz_loadu_epi8(mask, b + at);
			products[j] = _mm512_dpbusd_epi32(products[j], va, _mm512_xor_si512(vb, bias));
			sums[j] = _mm512_dpbusd_epi32(sums[j], va, ones);
		}
	products[0] = _mm512_add_epi32(products[0], products[1]);
	sums[0] = _mm512_slli_epi32(_mm512_add_epi32(sums[0], sums[1]), 7);
	return reduce_epu32(_mm512_add_epi32(products[0], sums[0]));
}

/*
 * The 64 elements of a block, in order: a field of w bits is repeated 8 / w
 * times, each copy is shifted to its part, and the neighbours' bits are cut off.
 */
VECX_KERNEL_INLINE TARGET_AVX512 __m512i
unpack_block(const uint8_t *block, size_t nbits)
{
	const __m512i parts[3] = {
		_mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4),
		_mm512_setr_epi64(0, 0, 2, 2, 4, 4, 6, 6),
		_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)
	};
	__m512i		u = _mm512_setzero_si512();
	__m512i		field[3];
	int			shift = 0;

	if (nbits == 8)
		return _mm512_loadu_si512(block);
	if (nbits & 4)
		field[0] = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *) block));
	block += 8 * (nbits & 4);
	if (nbits & 2)
		field[1] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *) block));
	block += 8 * (nbits & 2);
	if (nbits & 1)
		field[2] = _mm512_set1_epi64((long long) vecx_load64(block));
	VECX_KERNEL_UNROLL
	for (int f = 0; f < 3; f++)
		if (nbits & (4u >> f))
		{
			__m512i		part = _mm512_and_si512(_mm512_srlv_epi64(field[f], parts[f]),
												_mm512_set1_epi8((char) ((1 << (4 >> f)) - 1)));

			u = _mm512_or_si512(u, _mm512_sll_epi16(part, _mm_cvtsi32_si128(shift)));
			shift += 4 >> f;
		}
	return u;
}

VECX_KERNEL_INLINE TARGET_VNNI int32_t
packed_blocks(const int8_t *q, const uint8_t *packed, size_t n, size_t nbits)
{
	__m512i		sum[NSUMS];
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int j = 0; j < NSUMS; j++)
		sum[j] = _mm512_setzero_si512();
	for (; i + 64 * NSUMS <= n; i += 64 * NSUMS, packed += 8 * nbits * NSUMS)
	{
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			sum[j] = _mm512_dpbusd_epi32(sum[j], unpack_block(packed + 8 * nbits * j, nbits),
										 _mm512_loadu_si512(q + i + 64 * j));
	}
	for (; i < n; i += 64, packed += 8 * nbits)
		sum[0] = _mm512_dpbusd_epi32(sum[0], unpack_block(packed, nbits), _mm512_loadu_si512(q + i));
	VECX_KERNEL_UNROLL
	for (int j = 1; j < NSUMS; j++)
		sum[0] = _mm512_add_epi32(sum[0], sum[j]);
	return (int32_t) reduce_epu32(sum[0]);
}

static TARGET_VNNI int32_t
packed_dot(const int8_t *q, const uint8_t *packed, size_t n, size_t nbits)
{
	switch (nbits)
	{
		case 1:
			return packed_blocks(q, packed, n, 1);
		case 2:
			return packed_blocks(q, packed, n, 2);
		case 3:
			return packed_blocks(q, packed, n, 3);
		case 4:
			return packed_blocks(q, packed, n, 4);
		case 5:
			return packed_blocks(q, packed, n, 5);
		case 6:
			return packed_blocks(q, packed, n, 6);
		case 7:
			return packed_blocks(q, packed, n, 7);
		default:
			return packed_blocks(q, packed, n, 8);
	}
}

/* The sum of the lanes of acc[4 * i + j] in lane 4 * i + j of the result. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512i
reduce_16_epi32(const __m512i *acc)
{
	__m512i		sum[4];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < 4; i++)
	{
		const __m512i *a = acc + 4 * i;
		__m512i		left = _mm512_add_epi32(_mm512_unpacklo_epi32(a[0], a[1]),
											_mm512_unpackhi_epi32(a[0], a[1]));
		__m512i		right = _mm512_add_epi32(_mm512_unpacklo_epi32(a[2], a[3]),
											 _mm512_unpackhi_epi32(a[2], a[3]));

		sum[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(left, right),
								  _mm512_unpackhi_epi64(left, right));
	}
	return reduce_quarters(sum);
}

/* Four rows of a times four of b, 64 elements at most; b biased as above. */
VECX_KERNEL_INLINE TARGET_VNNI void
products_step(__m512i *acc, const uint8_t *a, const uint8_t *b, size_t n, __mmask64 mask)
{
	const __m512i bias = _mm512_set1_epi8(-128);
	__m512i		va[4];

	VECX_KERNEL_UNROLL
	for (size_t i = 0; i < 4; i++)
		va[i] = _mm512_maskz_loadu_epi8(mask, a + i * n);
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < 4; j++)
	{
		__m512i		vb = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, b + j * n), bias);

		VECX_KERNEL_UNROLL
		for (size_t i = 0; i < 4; i++)
			acc[4 * i + j] = _mm512_dpbusd_epi32(acc[4 * i + j], va[i], vb);
	}
}

/* 128 times the sums of four rows, each in all four lanes of its row. */
static TARGET_VNNI __m512i
row_sums(const uint8_t *a, size_t n)
{
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		acc[16];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < 16; i++)
		acc[i] = _mm512_setzero_si512();
	for (size_t at = 0; at < n; at += 64)
		VECX_KERNEL_UNROLL
		for (size_t i = 0; i < 4; i++)
			acc[4 * i] = _mm512_dpbusd_epi32(acc[4 * i],
											 _mm512_maskz_loadu_epi8(mask64(n - at), a + i * n + at), ones);
	return _mm512_slli_epi32(_mm512_shuffle_epi32(reduce_16_epi32(acc), 0), 7);
}

/* Four rows of a times all rows of b, of which there are four at least. */
static TARGET_VNNI void
products_rows(const uint8_t *a, const uint8_t *b, size_t nb, size_t n,
			  uint32_t *out, size_t stride)
{
	__m512i		sums = row_sums(a, n);

	for (size_t j = 0; j < nb; j += 4)
	{
		__m512i		acc[16];
		size_t		at = 0;

		if (j > nb - 4)
			j = nb - 4;
		VECX_KERNEL_UNROLL
		for (int i = 0; i < 16; i++)
			acc[i] = _mm512_setzero_si512();
		for (; at + 64 <= n; at += 64)
			products_step(acc, a + at, b + j * n + at, n, ALL64);
		if (at < n)
			products_step(acc, a + at, b + j * n + at, n, mask64(n - at));
		acc[0] = _mm512_add_epi32(reduce_16_epi32(acc), sums);
		_mm_storeu_si128((__m128i *) (out + j), _mm512_castsi512_si128(acc[0]));
		_mm_storeu_si128((__m128i *) (out + stride + j), _mm512_extracti32x4_epi32(acc[0], 1));
		_mm_storeu_si128((__m128i *) (out + 2 * stride + j), _mm512_extracti32x4_epi32(acc[0], 2));
		_mm_storeu_si128((__m128i *) (out + 3 * stride + j), _mm512_extracti32x4_epi32(acc[0], 3));
	}
}

/* One row of a times sixteen of b, 64 elements at most. */
VECX_KERNEL_INLINE TARGET_VNNI void
products_of_one_step(__m512i *acc, const uint8_t *a, const uint8_t *b, size_t n, __mmask64 mask)
{
	const __m512i bias = _mm512_set1_epi8(-128);
	__m512i		va = _mm512_maskz_loadu_epi8(mask, a);

	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < 16; j++)
		acc[j] = _mm512_dpbusd_epi32(acc[j], va, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, b + j * n), bias));
}

/* One row of a times all rows of b, of which there are sixteen at least. */
static TARGET_VNNI void
products_of_one(const uint8_t *a, const uint8_t *b, size_t nb, size_t n, uint32_t *out)
{
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		sum = _mm512_setzero_si512();

	for (size_t at = 0; at < n; at += 64)
		sum = _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi8(mask64(n - at), a + at), ones);
	sum = _mm512_set1_epi32(128 * _mm512_reduce_add_epi32(sum));
	for (size_t j = 0; j < nb; j += 16)
	{
		__m512i		acc[16];
		size_t		at = 0;

		/* the last sixteen rows, some of them for a second time */
		if (j > nb - 16)
			j = nb - 16;
		VECX_KERNEL_UNROLL
		for (int i = 0; i < 16; i++)
			acc[i] = _mm512_setzero_si512();
		for (; at + 64 <= n; at += 64)
			products_of_one_step(acc, a + at, b + j * n + at, n, ALL64);
		if (at < n)
			products_of_one_step(acc, a + at, b + j * n + at, n, mask64(n - at));
		_mm512_storeu_si512(out + j, _mm512_add_epi32(reduce_16_epi32(acc), sum));
	}
}

static TARGET_VNNI void
products_u8u8(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, size_t n,
			  uint32_t *out, size_t stride)
{
	if (na < 4 || nb < 4)
	{
		for (size_t i = 0; i < na; i++)
			if (nb >= 16)
				products_of_one(a + i * n, b, nb, n, out + i * stride);
			else
				for (size_t j = 0; j < nb; j++)
					out[i * stride + j] = ip_u8u8(a + i * n, b + j * n, n);
		return;
	}
	for (size_t i = 0; i < na; i += 4)
	{
		/* the last four rows, some of them for a second time */
		if (i > na - 4)
			i = na - 4;
		products_rows(a + i * n, b, nb, n, out + i * stride, stride);
	}
}

/* ---- matrices ---- */

/*
 * A tile of nr rows by nv vectors, 16 products at once, each with one sum in
 * a register.  Every product is summed in the same order whatever the tile,
 * so that a vector's image does not depend on its neighbours.
 */

/* Bytes of the matrix that are used for all vectors before going on. */
#define GEMM_BLOCK_BYTES 131072

VECX_KERNEL_INLINE TARGET_AVX512 __m512
reduce_16_ps(const __m512 *acc)
{
	__m512		sum[4];
	__m512		half[2];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < 4; i++)
	{
		const __m512 *a = acc + 4 * i;
		__m512		left = _mm512_add_ps(_mm512_shuffle_ps(a[0], a[1], 0x88),
										 _mm512_shuffle_ps(a[0], a[1], 0xdd));
		__m512		right = _mm512_add_ps(_mm512_shuffle_ps(a[2], a[3], 0x88),
										  _mm512_shuffle_ps(a[2], a[3], 0xdd));

		sum[i] = _mm512_add_ps(_mm512_shuffle_ps(left, right, 0x88),
							   _mm512_shuffle_ps(left, right, 0xdd));
	}
	VECX_KERNEL_UNROLL
	for (int i = 0; i < 2; i++)
		half[i] = _mm512_add_ps(_mm512_shuffle_f32x4(sum[2 * i], sum[2 * i + 1], 0x88),
								_mm512_shuffle_f32x4(sum[2 * i], sum[2 * i + 1], 0xdd));
	return _mm512_add_ps(_mm512_shuffle_f32x4(half[0], half[1], 0x88),
						 _mm512_shuffle_f32x4(half[0], half[1], 0xdd));
}

/* acc[v * nr + r] += row r of m times vector v of x, elements i to i + 15. */
VECX_KERNEL_INLINE TARGET_AVX512 void
tile_step(__m512 *acc, const uint16_t *m, size_t row_stride, size_t nr,
		  const float *x, size_t vec_stride, size_t nv, size_t i, __mmask16 mask)
{
	__m512		vx[4];

	VECX_KERNEL_UNROLL
	for (size_t v = 0; v < nv; v++)
		vx[v] = _mm512_maskz_loadu_ps(mask, x + v * vec_stride + i);
	VECX_KERNEL_UNROLL
	for (size_t r = 0; r < nr; r++)
	{
		__m512		row = load_elems(m + r * row_stride, i, mask, VECX_ELEM_F16);

		VECX_KERNEL_UNROLL
		for (size_t v = 0; v < nv; v++)
			acc[v * nr + r] = _mm512_fmadd_ps(row, vx[v], acc[v * nr + r]);
	}
}

VECX_KERNEL_INLINE TARGET_AVX512 __m512
tile(const uint16_t *m, size_t row_stride, size_t nr,
	 const float *x, size_t vec_stride, size_t nv, size_t n)
{
	__m512		acc[16];
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int a = 0; a < 16; a++)
		acc[a] = _mm512_setzero_ps();
	for (; i + 16 <= n; i += 16)
		tile_step(acc, m, row_stride, nr, x, vec_stride, nv, i, ALL16);
	if (i < n)
		tile_step(acc, m, row_stride, nr, x, vec_stride, nv, i, mask16(n - i));
	return reduce_16_ps(acc);
}

static TARGET_AVX512 void
gemv_f16(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y)
{
	if (nrows < 16)
	{
		/* One row, sixteen times over. */
		for (size_t r = 0; r < nrows; r++)
			_mm512_mask_storeu_ps(y + r, 1, tile(m + r * n, 0, 16, x, 0, 1, n));
		return;
	}
	for (size_t r = 0; r < nrows; r += 16)
	{
		if (r > nrows - 16)
			r = nrows - 16;
		_mm512_storeu_ps(y + r, tile(m + r * n, n, 16, x, 0, 1, n));
	}
}

/* Rows begin to end of M times four vectors; end - begin >= 4. */
static TARGET_AVX512 void
gemm_rows(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y,
		  size_t begin, size_t end)
{
	for (size_t r = begin; r < end; r += 4)
	{
		__m512		sums;

		if (r > end - 4)
			r = end - 4;
		sums = tile(m + r * n, n, 4, x, n, 4, n);
		_mm_storeu_ps(y + r, _mm512_castps512_ps128(sums));
		_mm_storeu_ps(y + nrows + r, _mm512_extractf32x4_ps(sums, 1));
		_mm_storeu_ps(y + 2 * nrows + r, _mm512_extractf32x4_ps(sums, 2));
		_mm_storeu_ps(y + 3 * nrows + r, _mm512_extractf32x4_ps(sums, 3));
	}
}

static TARGET_AVX512 void
gemm_f16(const uint16_t *m, size_t nrows, size_t n,
		 const float *x, size_t nvecs, float *y)
{
	size_t		in_fours = nrows < 4 ? 0 : nvecs / 4 * 4;
	size_t		block = GEMM_BLOCK_BYTES / (sizeof(*m) * (n + 1)) + 4;

	size_t		end;

	for (size_t begin = 0; begin < nrows; begin = end)
	{
		/* What remains after a block must not be less than a tile. */
		end = nrows - begin < block + 4 ? nrows : begin + block;
		for (size_t v = 0; v < in_fours; v += 4)
			gemm_rows(m, nrows, n, x + v * n, y + v * nrows, begin, end);
	}
	for (size_t v = in_fours; v < nvecs; v++)
		gemv_f16(m, nrows, n, x + v * n, y + v * nrows);
}

VECX_KERNEL_ROUGH_BY(gemm_f16)

const VecxKernels vecx_kernels_avx512 = {
	.name = "avx512",
	.l2sq_f32 = l2sq_f32,
	.ip_f32 = ip_f32,
	.l1_f32 = l1_f32,
	.cosine_f32 = cosine_f32,
	.add_multiple_f32 = vecx_add_multiple_f32_avx512,
	.l2sq_max_f32 = vecx_l2sq_max_f32_avx512,
	.l2sq_f16 = l2sq_f16,
	.ip_f16 = ip_f16,
	.l1_f16 = l1_f16,
	.l2sq_f16f16 = l2sq_f16f16,
	.ip_f16f16 = ip_f16f16,
	.l1_f16f16 = l1_f16f16,
	.cosine_f16f16 = cosine_f16f16,
	.f16_to_f32 = f16_to_f32,
	.f32_to_f16 = f32_to_f16,
	.ip_u8u8 = ip_u8u8,
	.products_u8u8 = products_u8u8,
	.ip_f32u8 = ip_f32u8,
	.l1_f32u8 = l1_f32u8,
	.levels_u8 = vecx_levels_u8_avx512,
	.add_levels_u8 = vecx_add_levels_u8_avx512,
	.levels_sq8 = vecx_levels_sq8_avx512,
	.fold_least = vecx_fold_least_avx512,
	.count_within = vecx_count_within_avx512,
	.positions_within = vecx_positions_within_avx512,
	.hamming = vecx_hamming_avx512,
	.jaccard = vecx_jaccard_avx512,
	.packed_dot = packed_dot,
	.sketch_dot = vecx_sketch_dot_avx512,
	.sketch_encode = vecx_sketch_encode_avx512,
	.nearest16 = vecx_nearest16_avx512,
	.hamming_many = vecx_hamming_many_avx512,
	.fastscan4 = vecx_fastscan4_avx512,
	.fastscan8 = vecx_fastscan8_vbmi,
	.turn4 = vecx_turn4_avx2,
	.gemv_f16 = gemv_f16,
	.gemm_f16 = gemm_f16,
	.gemm_rough = gemm_rough,
	.fht_f32 = vecx_fht_f32_avx512,
};

#endif							/* VECX_KERNEL_X86 */

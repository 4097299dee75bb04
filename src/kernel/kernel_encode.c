/*
 * kernel_encode.c
 *    Kernels that turn floats into levels and bit planes, and those of training,
 *    in all instruction sets: what CREATE INDEX needs besides distances.
 *
 * Integers are bit for bit those of kernel_scalar.c, so that no product may be
 * contracted with an addition on the way to them.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

#ifdef VECX_KERNEL_X86

/* ---- AVX-512 ---- */

TARGET_AVX512 void
vecx_add_multiple_f32_avx512(float *y, const float *x, float factor, size_t n)
{
	const __m512 factors = _mm512_set1_ps(factor);
	size_t		i = 0;

	for (; i + 64 <= n; i += 64)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 64; j += 16)
			_mm512_storeu_ps(y + i + j, _mm512_fmadd_ps(factors, _mm512_loadu_ps(x + i + j),
														_mm512_loadu_ps(y + i + j)));
	for (; i < n; i += 16)
	{
		__mmask16	mask = mask16(n - i);

		_mm512_mask_storeu_ps(y + i, mask, _mm512_fmadd_ps(factors, _mm512_maskz_loadu_ps(mask, x + i),
														   _mm512_maskz_loadu_ps(mask, y + i)));
	}
}

TARGET_AVX512 void
vecx_nearest16_avx512(const float *books, const float *halves, const float *y, size_t n, size_t m,
					  uint8_t *codes)
{
	size_t		i = 0;
	size_t		left = 0;

	for (size_t c = 0; c < m; c++)
	{
		size_t		end = vecx_part_end(i, n, m, &left);
		__m512		sums = _mm512_sub_ps(_mm512_setzero_ps(), _mm512_loadu_ps(halves + 16 * c));
		__m512		top;

		for (; i < end; i++)
			sums = _mm512_fmadd_ps(_mm512_set1_ps(y[i]), _mm512_loadu_ps(books + 16 * i), sums);
		top = _mm512_max_ps(sums, _mm512_shuffle_f32x4(sums, sums, 0x4e));
		top = _mm512_max_ps(top, _mm512_shuffle_f32x4(top, top, 0xb1));
		top = _mm512_max_ps(top, _mm512_permute_ps(top, 0x4e));
		top = _mm512_max_ps(top, _mm512_permute_ps(top, 0xb1));
		/* with NaN among them none may be equal */
		codes[c] = (uint8_t) __builtin_ctz(_mm512_cmp_ps_mask(sums, top, _CMP_EQ_OQ) | 1u << 15);
	}
}

TARGET_AVX512 float
vecx_l2sq_max_f32_avx512(const float *a, const float *b, size_t n, float *max)
{
	__m512		sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
	__m512		top[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};

	for (size_t i = 0; i < n; i += 32)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			__mmask16	mask;
			__m512		r;

			if (i + 16 * j >= n)
				break;
			mask = mask16(n - i - 16 * j);
			r = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a + i + 16 * j),
							  _mm512_maskz_loadu_ps(mask, b + i + 16 * j));
			sum[j] = _mm512_fmadd_ps(r, r, sum[j]);
			/* of a NaN and a number this is the second */
			top[j] = _mm512_max_ps(_mm512_abs_ps(r), top[j]);
		}
	*max = _mm512_reduce_max_ps(_mm512_max_ps(top[0], top[1]));
	return _mm512_reduce_add_ps(_mm512_add_ps(sum[0], sum[1]));
}

TARGET_AVX512 void
vecx_add_levels_u8_avx512(float *y, const uint8_t *u, float scale, size_t n)
{
	const __m512 scales = _mm512_set1_ps(scale);
	const __m512i bias = _mm512_set1_epi32(128);

	for (size_t i = 0; i < n; i += 16)
	{
		__mmask16	mask = mask16(n - i);
		__m512i		level = _mm512_sub_epi32(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, u + i)), bias);

		_mm512_mask_storeu_ps(y + i, mask, _mm512_fmadd_ps(scales, _mm512_cvtepi32_ps(level),
														   _mm512_maskz_loadu_ps(mask, y + i)));
	}
}

TARGET_AVX512 uint32_t
vecx_levels_u8_avx512(const float *x, const float *centre, size_t n, float inverse, uint8_t *u)
{
	const __m512 inverses = _mm512_set1_ps(inverse);
	const __m512i bias = _mm512_set1_epi32(128);
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 16)
	{
		__mmask16	mask = mask16(n - i);
		__m512		r = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i),
									  _mm512_maskz_loadu_ps(mask, centre + i));
		__m512i		level = _mm512_maskz_add_epi32(mask, bias,
												   _mm512_cvtps_epi32(_mm512_mul_ps(r, inverses)));

		sum = _mm512_add_epi32(sum, level);
		_mm512_mask_cvtepi32_storeu_epi8(u + i, mask, level);
	}
	return (uint32_t) _mm512_reduce_add_epi32(sum);
}

/* What levels leave of eight elements, squared. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512d
left_avx512(__m256 x, __m256i level, __m512d offset, __m512d scale, __mmask8 mask, __m512d err2)
{
	__m512d		whole = _mm512_fmadd_pd(scale, _mm512_cvtepi32_pd(level), offset);
	__m512d		e = _mm512_maskz_sub_pd(mask, _mm512_cvtps_pd(x), whole);

	return _mm512_fmadd_pd(e, e, err2);
}

TARGET_AVX512 uint32_t
vecx_levels_sq8_avx512(const float *x, size_t n, float offset, float scale, float inverse,
					   uint8_t *u, double *err2)
{
	const __m512d offsets = _mm512_set1_pd((double) offset);
	const __m512d scales = _mm512_set1_pd((double) scale);
	__m512d		left[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 16)
	{
		__mmask16	mask = mask16(n - i);
		__m512		some = _mm512_maskz_loadu_ps(mask, x + i);
		__m512		t = _mm512_mul_ps(_mm512_sub_ps(some, _mm512_set1_ps(offset)), _mm512_set1_ps(inverse));
		__m512i		level;

		/* of a NaN and a number this is the second */
		t = _mm512_min_ps(_mm512_max_ps(t, _mm512_setzero_ps()), _mm512_set1_ps(255.0f));
		level = _mm512_maskz_cvtps_epi32(mask, t);
		sum = _mm512_add_epi32(sum, level);
		_mm512_mask_cvtepi32_storeu_epi8(u + i, mask, level);
		left[0] = left_avx512(_mm512_castps512_ps256(some), _mm512_castsi512_si256(level), offsets, scales,
							  (__mmask8) mask, left[0]);
		left[1] = left_avx512(_mm512_extractf32x8_ps(some, 1), _mm512_extracti32x8_epi32(level, 1), offsets, scales,
							  (__mmask8) (mask >> 8), left[1]);
	}
	*err2 = _mm512_reduce_add_pd(_mm512_add_pd(left[0], left[1]));
	return (uint32_t) _mm512_reduce_add_epi32(sum);
}

/* Levels of a residual, as floats.  max and min return the second of a NaN and a
 * number, so that a NaN becomes the least level. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512
levels_avx512(__m512 r, __m512 inverse, size_t nplanes)
{
	const float half = (float) (1 << (nplanes - 1));
	__m512		t = _mm512_max_ps(_mm512_mul_ps(r, inverse), _mm512_set1_ps(-half));

	t = _mm512_min_ps(t, _mm512_set1_ps(half - 1.0f));
	return _mm512_add_ps(_mm512_roundscale_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC),
						 _mm512_set1_ps(half));
}

/* The planes' bits of 16 elements; returns s. */
VECX_KERNEL_INLINE TARGET_AVX512 __m512
planes_avx512(__m512 r, __m512 inverse, size_t nplanes, size_t plane_bytes, uint8_t *planes)
{
	__m512		level;
	__mmask16	bits;

	if (nplanes == 1)
	{
		bits = _mm512_cmp_ps_mask(r, _mm512_setzero_ps(), _CMP_GT_OQ);
		memcpy(planes, &bits, sizeof(bits));
		return _mm512_mask_blend_ps(bits, _mm512_set1_ps(-0.5f), _mm512_set1_ps(0.5f));
	}
	level = levels_avx512(r, inverse, nplanes);
	VECX_KERNEL_UNROLL
	for (size_t p = 0; p < nplanes; p++)
	{
		bits = _mm512_test_epi32_mask(_mm512_cvttps_epi32(level),
									  _mm512_set1_epi32(1 << (nplanes - 1 - p)));
		memcpy(planes + p * plane_bytes, &bits, sizeof(bits));
	}
	return _mm512_sub_ps(level, _mm512_set1_ps((float) ((1u << nplanes) - 1) / 2.0f));
}

VECX_KERNEL_INLINE TARGET_AVX512 void
encode_avx512(const float *v, const float *x, size_t n, size_t nplanes, size_t plane_bytes,
			  float inverse, uint8_t *planes, float sums[2])
{
	const __m512 inverses = _mm512_set1_ps(inverse);
	__m512		a[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
	__m512		c[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};

	for (size_t i = 0; i < n; i += 32)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			size_t		at = i + 16 * j;
			__m512		from = _mm512_loadu_ps(v + at);
			__m512		r = _mm512_sub_ps(_mm512_loadu_ps(x + at), from);
			__m512		s = planes_avx512(r, inverses, nplanes, plane_bytes, planes + at / 8);

			a[j] = _mm512_fmadd_ps(r, s, a[j]);
			c[j] = _mm512_fmadd_ps(from, s, c[j]);
		}
	sums[0] = _mm512_reduce_add_ps(_mm512_add_ps(a[0], a[1]));
	sums[1] = _mm512_reduce_add_ps(_mm512_add_ps(c[0], c[1]));
}

/* ---- AVX2 ---- */

VECX_KERNEL_INLINE TARGET_AVX2 float
reduce_max_avx2(__m256 v)
{
	__m128		max = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	max = _mm_max_ps(max, _mm_movehl_ps(max, max));
	return _mm_cvtss_f32(_mm_max_ss(max, _mm_movehdup_ps(max)));
}

TARGET_AVX2 void
vecx_add_multiple_f32_avx2(float *y, const float *x, float factor, size_t n)
{
	const __m256 factors = _mm256_set1_ps(factor);
	size_t		i = 0;

	for (; i + 32 <= n; i += 32)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 32; j += 8)
			_mm256_storeu_ps(y + i + j, _mm256_fmadd_ps(factors, _mm256_loadu_ps(x + i + j),
														_mm256_loadu_ps(y + i + j)));
	for (; i < n; i++)
		y[i] += factor * x[i];
}

TARGET_AVX2 void
vecx_nearest16_avx2(const float *books, const float *halves, const float *y, size_t n, size_t m,
					uint8_t *codes)
{
	const __m256 zero = _mm256_setzero_ps();
	size_t		i = 0;
	size_t		left = 0;

	for (size_t c = 0; c < m; c++)
	{
		size_t		end = vecx_part_end(i, n, m, &left);
		__m256		low = _mm256_sub_ps(zero, _mm256_loadu_ps(halves + 16 * c));
		__m256		high = _mm256_sub_ps(zero, _mm256_loadu_ps(halves + 16 * c + 8));
		__m256		top;
		unsigned	equal;

		for (; i < end; i++)
		{
			__m256		factor = _mm256_set1_ps(y[i]);

			low = _mm256_fmadd_ps(factor, _mm256_loadu_ps(books + 16 * i), low);
			high = _mm256_fmadd_ps(factor, _mm256_loadu_ps(books + 16 * i + 8), high);
		}
		top = _mm256_max_ps(low, high);
		top = _mm256_max_ps(top, _mm256_permute2f128_ps(top, top, 1));
		top = _mm256_max_ps(top, _mm256_permute_ps(top, 0x4e));
		top = _mm256_max_ps(top, _mm256_permute_ps(top, 0xb1));
		equal = (unsigned) _mm256_movemask_ps(_mm256_cmp_ps(low, top, _CMP_EQ_OQ)) |
			(unsigned) _mm256_movemask_ps(_mm256_cmp_ps(high, top, _CMP_EQ_OQ)) << 8;
		/* with NaN among them none may be equal */
		codes[c] = (uint8_t) __builtin_ctz(equal | 1u << 15);
	}
}

TARGET_AVX2 float
vecx_l2sq_max_f32_avx2(const float *a, const float *b, size_t n, float *max)
{
	const __m256 sign = _mm256_set1_ps(-0.0f);
	__m256		sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
	__m256		top[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
	size_t		i = 0;
	float		rest = 0.0f;

	for (; i + 16 <= n; i += 16)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			__m256		r = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8 * j), _mm256_loadu_ps(b + i + 8 * j));

			sum[j] = _mm256_fmadd_ps(r, r, sum[j]);
			/* of a NaN and a number this is the second */
			top[j] = _mm256_max_ps(_mm256_andnot_ps(sign, r), top[j]);
		}
	*max = reduce_max_avx2(_mm256_max_ps(top[0], top[1]));
	for (; i < n; i++)
	{
		float		r = a[i] - b[i];

		rest += r * r;
		r = __builtin_fabsf(r);
		*max = r > *max ? r : *max;
	}
	return rest + reduce_ps(_mm256_add_ps(sum[0], sum[1]));
}

TARGET_AVX2 void
vecx_add_levels_u8_avx2(float *y, const uint8_t *u, float scale, size_t n)
{
	const __m256 scales = _mm256_set1_ps(scale);
	const __m256i bias = _mm256_set1_epi32(128);
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m256i		level = _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *) (u + i))), bias);

		_mm256_storeu_ps(y + i, _mm256_fmadd_ps(scales, _mm256_cvtepi32_ps(level), _mm256_loadu_ps(y + i)));
	}
	for (; i < n; i++)
		y[i] += scale * (float) (u[i] - 128);
}

TARGET_AVX2 uint32_t
vecx_levels_u8_avx2(const float *x, const float *centre, size_t n, float inverse, uint8_t *u)
{
	const __m256 inverses = _mm256_set1_ps(inverse);
	const __m256i bias = _mm256_set1_epi32(128);
	__m256i		sum = _mm256_setzero_si256();
	uint32_t	total = 0;
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m256		r = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(centre + i));
		__m256i		level = _mm256_add_epi32(bias, _mm256_cvtps_epi32(_mm256_mul_ps(r, inverses)));
		__m128i		words = _mm_packus_epi32(_mm256_castsi256_si128(level),
											 _mm256_extracti128_si256(level, 1));

		sum = _mm256_add_epi32(sum, level);
		_mm_storel_epi64((__m128i *) (u + i), _mm_packus_epi16(words, words));
	}
	for (; i < n; i++)
	{
		u[i] = (uint8_t) (128 + _mm_cvtss_si32(_mm_set_ss((x[i] - centre[i]) * inverse)));
		total += u[i];
	}
	return total + (uint32_t) reduce_epi32(sum);
}

/* What levels leave of four elements, squared. */
VECX_KERNEL_INLINE TARGET_AVX2 __m256d
left_avx2(__m128 x, __m128i level, __m256d offset, __m256d scale, __m256d err2)
{
	__m256d		e = _mm256_sub_pd(_mm256_cvtps_pd(x), _mm256_fmadd_pd(scale, _mm256_cvtepi32_pd(level), offset));

	return _mm256_fmadd_pd(e, e, err2);
}

TARGET_AVX2 uint32_t
vecx_levels_sq8_avx2(const float *x, size_t n, float offset, float scale, float inverse,
					 uint8_t *u, double *err2)
{
	const __m256d offsets = _mm256_set1_pd((double) offset);
	const __m256d scales = _mm256_set1_pd((double) scale);
	__m256d		left[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
	__m256i		sum = _mm256_setzero_si256();
	size_t		whole = n / 8 * 8;
	uint32_t	rest = vecx_levels_sq8_scalar(x + whole, n - whole, offset, scale, inverse, u + whole, err2);
	double		sums[4];

	for (size_t i = 0; i < whole; i += 8)
	{
		__m256		eight = _mm256_loadu_ps(x + i);
		__m256		t = _mm256_mul_ps(_mm256_sub_ps(eight, _mm256_set1_ps(offset)), _mm256_set1_ps(inverse));
		__m256i		level;
		__m128i		words;

		t = _mm256_min_ps(_mm256_max_ps(t, _mm256_setzero_ps()), _mm256_set1_ps(255.0f));
		level = _mm256_cvtps_epi32(t);
		words = _mm_packus_epi32(_mm256_castsi256_si128(level), _mm256_extracti128_si256(level, 1));
		sum = _mm256_add_epi32(sum, level);
		_mm_storel_epi64((__m128i *) (u + i), _mm_packus_epi16(words, words));
		left[0] = left_avx2(_mm256_castps256_ps128(eight), _mm256_castsi256_si128(level), offsets, scales, left[0]);
		left[1] = left_avx2(_mm256_extractf128_ps(eight, 1), _mm256_extracti128_si256(level, 1), offsets, scales,
							left[1]);
	}
	_mm256_storeu_pd(sums, _mm256_add_pd(left[0], left[1]));
	*err2 += sums[0] + sums[1] + sums[2] + sums[3];
	return rest + (uint32_t) reduce_epi32(sum);
}

VECX_KERNEL_INLINE TARGET_AVX2 __m256
levels_avx2(__m256 r, __m256 inverse, size_t nplanes)
{
	const float half = (float) (1 << (nplanes - 1));
	__m256		t = _mm256_max_ps(_mm256_mul_ps(r, inverse), _mm256_set1_ps(-half));

	t = _mm256_min_ps(t, _mm256_set1_ps(half - 1.0f));
	return _mm256_add_ps(_mm256_floor_ps(t), _mm256_set1_ps(half));
}

/* The planes' bits of 8 elements; returns s. */
VECX_KERNEL_INLINE TARGET_AVX2 __m256
planes_avx2(__m256 r, __m256 inverse, size_t nplanes, size_t plane_bytes, uint8_t *planes)
{
	__m256		level;
	__m256i		u;

	if (nplanes == 1)
	{
		__m256		positive = _mm256_cmp_ps(r, _mm256_setzero_ps(), _CMP_GT_OQ);

		planes[0] = (uint8_t) _mm256_movemask_ps(positive);
		return _mm256_blendv_ps(_mm256_set1_ps(-0.5f), _mm256_set1_ps(0.5f), positive);
	}
	level = levels_avx2(r, inverse, nplanes);
	u = _mm256_cvttps_epi32(level);
	VECX_KERNEL_UNROLL
	for (size_t p = 0; p < nplanes; p++)
	{
		__m256i		top = _mm256_sll_epi32(u, _mm_cvtsi32_si128((int) (32 - nplanes + p)));

		planes[p * plane_bytes] = (uint8_t) _mm256_movemask_ps(_mm256_castsi256_ps(top));
	}
	return _mm256_sub_ps(level, _mm256_set1_ps((float) ((1u << nplanes) - 1) / 2.0f));
}

VECX_KERNEL_INLINE TARGET_AVX2 void
encode_avx2(const float *v, const float *x, size_t n, size_t nplanes, size_t plane_bytes,
			float inverse, uint8_t *planes, float sums[2])
{
	const __m256 inverses = _mm256_set1_ps(inverse);
	__m256		a[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
	__m256		c[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};

	for (size_t i = 0; i < n; i += 16)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			size_t		at = i + 8 * j;
			__m256		from = _mm256_loadu_ps(v + at);
			__m256		r = _mm256_sub_ps(_mm256_loadu_ps(x + at), from);
			__m256		s = planes_avx2(r, inverses, nplanes, plane_bytes, planes + at / 8);

			a[j] = _mm256_fmadd_ps(r, s, a[j]);
			c[j] = _mm256_fmadd_ps(from, s, c[j]);
		}
	sums[0] = reduce_ps(_mm256_add_ps(a[0], a[1]));
	sums[1] = reduce_ps(_mm256_add_ps(c[0], c[1]));
}

#endif							/* VECX_KERNEL_X86 */

#ifdef VECX_KERNEL_NEON

#include <arm_neon.h>

/* ---- Advanced SIMD ---- */

void
vecx_add_multiple_f32_neon(float *y, const float *x, float factor, size_t n)
{
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 16; j += 4)
			vst1q_f32(y + i + j, vfmaq_n_f32(vld1q_f32(y + i + j), vld1q_f32(x + i + j), factor));
	for (; i < n; i++)
		y[i] += factor * x[i];
}

void
vecx_nearest16_neon(const float *books, const float *halves, const float *y, size_t n, size_t m,
					uint8_t *codes)
{
	size_t		i = 0;
	size_t		left = 0;

	for (size_t c = 0; c < m; c++)
	{
		size_t		end = vecx_part_end(i, n, m, &left);
		float32x4_t sums[4];
		float		all[16];
		float		top;
		uint8_t		best = 0;

		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 4; j++)
			sums[j] = vnegq_f32(vld1q_f32(halves + 16 * c + 4 * j));
		for (; i < end; i++)
			VECX_KERNEL_UNROLL
			for (size_t j = 0; j < 4; j++)
				sums[j] = vfmaq_n_f32(sums[j], vld1q_f32(books + 16 * i + 4 * j), y[i]);
		top = vmaxvq_f32(vmaxq_f32(vmaxq_f32(sums[0], sums[1]), vmaxq_f32(sums[2], sums[3])));
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 4; j++)
			vst1q_f32(all + 4 * j, sums[j]);
		while (best < 15 && all[best] != top)
			best++;
		codes[c] = best;
	}
}

float
vecx_l2sq_max_f32_neon(const float *a, const float *b, size_t n, float *max)
{
	float32x4_t sum[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
	float32x4_t top[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
	size_t		i = 0;
	float		rest = 0.0f;

	for (; i + 8 <= n; i += 8)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			float32x4_t r = vsubq_f32(vld1q_f32(a + i + 4 * j), vld1q_f32(b + i + 4 * j));

			sum[j] = vfmaq_f32(sum[j], r, r);
			/* the number, of a NaN and a number */
			top[j] = vmaxnmq_f32(vabsq_f32(r), top[j]);
		}
	*max = vmaxvq_f32(vmaxnmq_f32(top[0], top[1]));
	for (; i < n; i++)
	{
		float		r = a[i] - b[i];

		rest += r * r;
		r = __builtin_fabsf(r);
		*max = r > *max ? r : *max;
	}
	return rest + vaddvq_f32(vaddq_f32(sum[0], sum[1]));
}

void
vecx_add_levels_u8_neon(float *y, const uint8_t *u, float scale, size_t n)
{
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		int16x8_t	level = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(u + i))), vdupq_n_s16(128));

		vst1q_f32(y + i, vfmaq_n_f32(vld1q_f32(y + i), vcvtq_f32_s32(vmovl_s16(vget_low_s16(level))), scale));
		vst1q_f32(y + i + 4, vfmaq_n_f32(vld1q_f32(y + i + 4), vcvtq_f32_s32(vmovl_s16(vget_high_s16(level))),
										 scale));
	}
	for (; i < n; i++)
		y[i] += scale * (float) (u[i] - 128);
}

uint32_t
vecx_levels_u8_neon(const float *x, const float *centre, size_t n, float inverse, uint8_t *u)
{
	int32x4_t	sum = vdupq_n_s32(0);
	uint32_t	total = 0;
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		int32x4_t	level[2];

		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			float32x4_t r = vsubq_f32(vld1q_f32(x + i + 4 * j), vld1q_f32(centre + i + 4 * j));

			level[j] = vaddq_s32(vdupq_n_s32(128), vcvtnq_s32_f32(vmulq_n_f32(r, inverse)));
			sum = vaddq_s32(sum, level[j]);
		}
		vst1_u8(u + i, vqmovun_s16(vcombine_s16(vqmovn_s32(level[0]), vqmovn_s32(level[1]))));
	}
	for (; i < n; i++)
	{
		u[i] = (uint8_t) (128 + vcvtns_s32_f32((x[i] - centre[i]) * inverse));
		total += u[i];
	}
	return total + (uint32_t) vaddvq_s32(sum);
}

uint32_t
vecx_levels_sq8_neon(const float *x, size_t n, float offset, float scale, float inverse,
					 uint8_t *u, double *err2)
{
	const float64x2_t offsets = vdupq_n_f64((double) offset);
	float64x2_t left[2] = {vdupq_n_f64(0.0), vdupq_n_f64(0.0)};
	uint32x4_t	sum = vdupq_n_u32(0);
	size_t		whole = n / 4 * 4;
	uint32_t	rest = vecx_levels_sq8_scalar(x + whole, n - whole, offset, scale, inverse, u + whole, err2);

	for (size_t i = 0; i < whole; i += 4)
	{
		float32x4_t four = vld1q_f32(x + i);
		float32x4_t t = vmulq_n_f32(vsubq_f32(four, vdupq_n_f32(offset)), inverse);
		uint32x4_t	level = vcvtnq_u32_f32(vminnmq_f32(vmaxnmq_f32(t, vdupq_n_f32(0.0f)), vdupq_n_f32(255.0f)));
		float32x4_t level_f = vcvtq_f32_u32(level);
		float64x2_t e[2];

		sum = vaddq_u32(sum, level);
		for (size_t j = 0; j < 4; j++)
			u[i + j] = (uint8_t) level[j];
		e[0] = vsubq_f64(vcvt_f64_f32(vget_low_f32(four)),
						 vfmaq_n_f64(offsets, vcvt_f64_f32(vget_low_f32(level_f)), (double) scale));
		e[1] = vsubq_f64(vcvt_high_f64_f32(four), vfmaq_n_f64(offsets, vcvt_high_f64_f32(level_f), (double) scale));
		left[0] = vfmaq_f64(left[0], e[0], e[0]);
		left[1] = vfmaq_f64(left[1], e[1], e[1]);
	}
	*err2 += vaddvq_f64(vaddq_f64(left[0], left[1]));
	return rest + vaddvq_u32(sum);
}

/* Levels of four elements as integers, which a NaN is the least of. */
VECX_KERNEL_INLINE uint32x4_t
levels_neon(float32x4_t r, float inverse, size_t nplanes)
{
	const float half = (float) (1 << (nplanes - 1));
	float32x4_t t = vmulq_n_f32(r, inverse);
	uint32x4_t	inside = vcgeq_f32(t, vdupq_n_f32(-half));

	if (nplanes == 1)
		return vandq_u32(vcgtq_f32(r, vdupq_n_f32(0.0f)), vdupq_n_u32(1));
	t = vminq_f32(vbslq_f32(inside, t, vdupq_n_f32(-half)), vdupq_n_f32(half - 1.0f));
	return vreinterpretq_u32_s32(vaddq_s32(vcvtmq_s32_f32(t), vdupq_n_s32((int) half)));
}

VECX_KERNEL_INLINE void
encode_neon(const float *v, const float *x, size_t n, size_t nplanes, size_t plane_bytes,
			float inverse, uint8_t *planes, float sums[2])
{
	const float32x4_t centre = vdupq_n_f32((float) ((1u << nplanes) - 1) / 2.0f);
	const uint32_t weights[2][4] = {{1, 2, 4, 8}, {16, 32, 64, 128}};
	float32x4_t a[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
	float32x4_t c[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};

	for (size_t i = 0; i < n; i += 8)
	{
		uint32x4_t	u[2];

		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			float32x4_t from = vld1q_f32(v + i + 4 * j);
			float32x4_t r = vsubq_f32(vld1q_f32(x + i + 4 * j), from);
			float32x4_t s;

			u[j] = levels_neon(r, inverse, nplanes);
			s = vsubq_f32(vcvtq_f32_u32(u[j]), centre);
			a[j] = vfmaq_f32(a[j], r, s);
			c[j] = vfmaq_f32(c[j], from, s);
		}
		VECX_KERNEL_UNROLL
		for (size_t p = 0; p < nplanes; p++)
		{
			const uint32x4_t bit = vdupq_n_u32(1u << (nplanes - 1 - p));
			uint32x4_t	byte = vandq_u32(vtstq_u32(u[0], bit), vld1q_u32(weights[0]));

			byte = vorrq_u32(byte, vandq_u32(vtstq_u32(u[1], bit), vld1q_u32(weights[1])));
			planes[p * plane_bytes + i / 8] = (uint8_t) vaddvq_u32(byte);
		}
	}
	sums[0] = vaddvq_f32(vaddq_f32(a[0], a[1]));
	sums[1] = vaddvq_f32(vaddq_f32(c[0], c[1]));
}

#endif							/* VECX_KERNEL_NEON */

/* The number of planes is a constant in the loops. */
#define SKETCH_ENCODE(name, target, encode) \
target void \
name(const float *v, const float *x, size_t n, size_t nplanes, size_t plane_bytes, \
	 float inverse, uint8_t *planes, float sums[2]) \
{ \
	switch (nplanes) \
	{ \
		case 1: \
			encode(v, x, n, 1, plane_bytes, inverse, planes, sums); \
			break; \
		case 2: \
			encode(v, x, n, 2, plane_bytes, inverse, planes, sums); \
			break; \
		case 4: \
			encode(v, x, n, 4, plane_bytes, inverse, planes, sums); \
			break; \
		default: \
			encode(v, x, n, 8, plane_bytes, inverse, planes, sums); \
			break; \
	} \
}

#ifdef VECX_KERNEL_X86
SKETCH_ENCODE(vecx_sketch_encode_avx512, TARGET_AVX512, encode_avx512)
SKETCH_ENCODE(vecx_sketch_encode_avx2, TARGET_AVX2, encode_avx2)
#endif
#ifdef VECX_KERNEL_NEON
SKETCH_ENCODE(vecx_sketch_encode_neon, , encode_neon)
#endif

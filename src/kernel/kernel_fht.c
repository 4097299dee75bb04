/*
 * kernel_fht.c
 *    The fast Hadamard transform: steps within a register by permutations, the
 *    others two at a time, so that each element is loaded half as often.
 *
 * Every element of the result is the same tree of additions in all instruction
 * sets, and so the same to the bit.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

/* Four elements in one register where the compiler's vectors are all there is. */
typedef float FourFloats __attribute__((vector_size(16), aligned(4), may_alias));

VECX_KERNEL_INLINE void
four_step(float *x, size_t half)
{
	FourFloats *lo = (FourFloats *) (void *) x;
	FourFloats *hi = (FourFloats *) (void *) (x + half);

	for (size_t i = 0; i < half / 4; i++)
	{
		FourFloats	a = lo[i];
		FourFloats	b = hi[i];

		lo[i] = a + b;
		hi[i] = a - b;
	}
}

void
vecx_fht_f32_scalar(float *x, size_t n)
{
	if (n == 2)
	{
		float		a = x[0];

		x[0] = a + x[1];
		x[1] = a - x[1];
		return;
	}
	for (size_t i = 0; i + 4 <= n; i += 4)
	{
		float		a = x[i] + x[i + 1];
		float		b = x[i] - x[i + 1];
		float		c = x[i + 2] + x[i + 3];
		float		d = x[i + 2] - x[i + 3];

		x[i] = a + c;
		x[i + 1] = b + d;
		x[i + 2] = a - c;
		x[i + 3] = b - d;
	}
	for (size_t half = 4; half < n; half *= 2)
		for (size_t i = 0; i < n; i += 2 * half)
			four_step(x + i, half);
}

#ifdef VECX_KERNEL_X86

/* ---- AVX-512 ---- */

/* Lanes of mask: what was exchanged with them, less themselves; others: the sum. */
#define STEP_16(v, exchanged, mask) \
	_mm512_mask_sub_ps(_mm512_add_ps(v, exchanged), mask, exchanged, v)

VECX_KERNEL_INLINE TARGET_AVX512 __m512
within_16(__m512 v)
{
	v = STEP_16(v, _mm512_permute_ps(v, 0xb1), 0xaaaa);
	v = STEP_16(v, _mm512_permute_ps(v, 0x4e), 0xcccc);
	v = STEP_16(v, _mm512_shuffle_f32x4(v, v, 0xb1), 0xf0f0);
	return STEP_16(v, _mm512_shuffle_f32x4(v, v, 0x4e), 0xff00);
}

TARGET_AVX512 void
vecx_fht_f32_avx512(float *x, size_t n)
{
	size_t		half = 16;

	if (n < 16)
	{
		vecx_fht_f32_scalar(x, n);
		return;
	}
	for (size_t i = 0; i < n; i += 16)
		_mm512_storeu_ps(x + i, within_16(_mm512_loadu_ps(x + i)));
	for (; 4 * half <= n; half *= 4)
		for (size_t first = 0; first < n; first += 4 * half)
			for (size_t i = first; i < first + half; i += 16)
			{
				__m512		a = _mm512_loadu_ps(x + i);
				__m512		b = _mm512_loadu_ps(x + i + half);
				__m512		c = _mm512_loadu_ps(x + i + 2 * half);
				__m512		d = _mm512_loadu_ps(x + i + 3 * half);
				__m512		ab = _mm512_add_ps(a, b);
				__m512		cd = _mm512_add_ps(c, d);

				a = _mm512_sub_ps(a, b);
				c = _mm512_sub_ps(c, d);
				_mm512_storeu_ps(x + i, _mm512_add_ps(ab, cd));
				_mm512_storeu_ps(x + i + half, _mm512_add_ps(a, c));
				_mm512_storeu_ps(x + i + 2 * half, _mm512_sub_ps(ab, cd));
				_mm512_storeu_ps(x + i + 3 * half, _mm512_sub_ps(a, c));
			}
	if (half < n)
		for (size_t i = 0; i < half; i += 16)
		{
			__m512		a = _mm512_loadu_ps(x + i);
			__m512		b = _mm512_loadu_ps(x + i + half);

			_mm512_storeu_ps(x + i, _mm512_add_ps(a, b));
			_mm512_storeu_ps(x + i + half, _mm512_sub_ps(a, b));
		}
}

/* ---- AVX2 ---- */

#define STEP_8(v, exchanged, mask) \
	_mm256_blend_ps(_mm256_add_ps(v, exchanged), _mm256_sub_ps(exchanged, v), mask)

VECX_KERNEL_INLINE TARGET_AVX2 __m256
within_8(__m256 v)
{
	v = STEP_8(v, _mm256_permute_ps(v, 0xb1), 0xaa);
	v = STEP_8(v, _mm256_permute_ps(v, 0x4e), 0xcc);
	return STEP_8(v, _mm256_permute2f128_ps(v, v, 0x01), 0xf0);
}

TARGET_AVX2 void
vecx_fht_f32_avx2(float *x, size_t n)
{
	size_t		half = 8;

	if (n < 8)
	{
		vecx_fht_f32_scalar(x, n);
		return;
	}
	for (size_t i = 0; i < n; i += 8)
		_mm256_storeu_ps(x + i, within_8(_mm256_loadu_ps(x + i)));
	for (; 4 * half <= n; half *= 4)
		for (size_t first = 0; first < n; first += 4 * half)
			for (size_t i = first; i < first + half; i += 8)
			{
				__m256		a = _mm256_loadu_ps(x + i);
				__m256		b = _mm256_loadu_ps(x + i + half);
				__m256		c = _mm256_loadu_ps(x + i + 2 * half);
				__m256		d = _mm256_loadu_ps(x + i + 3 * half);
				__m256		ab = _mm256_add_ps(a, b);
				__m256		cd = _mm256_add_ps(c, d);

				a = _mm256_sub_ps(a, b);
				c = _mm256_sub_ps(c, d);
				_mm256_storeu_ps(x + i, _mm256_add_ps(ab, cd));
				_mm256_storeu_ps(x + i + half, _mm256_add_ps(a, c));
				_mm256_storeu_ps(x + i + 2 * half, _mm256_sub_ps(ab, cd));
				_mm256_storeu_ps(x + i + 3 * half, _mm256_sub_ps(a, c));
			}
	if (half < n)
		for (size_t i = 0; i < half; i += 8)
		{
			__m256		a = _mm256_loadu_ps(x + i);
			__m256		b = _mm256_loadu_ps(x + i + half);

			_mm256_storeu_ps(x + i, _mm256_add_ps(a, b));
			_mm256_storeu_ps(x + i + half, _mm256_sub_ps(a, b));
		}
}

#endif							/* VECX_KERNEL_X86 */

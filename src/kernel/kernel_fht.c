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

/*
 * The transform of at least as many elements as a register has.  vector is the
 * compiler's type of it, at any alignment; within does the steps inside one.
 */
#define DEFINE_TRANSFORM(name, target, vector, within) \
VECX_KERNEL_INLINE target void \
name(float *x, size_t n) \
{ \
	const size_t lanes = sizeof(vector) / sizeof(float); \
	size_t		half = lanes; \
\
	for (size_t i = 0; i < n; i += lanes) \
		*(vector *) (void *) (x + i) = within(*(const vector *) (const void *) (x + i)); \
	for (; 4 * half <= n; half *= 4) \
		for (size_t first = 0; first < n; first += 4 * half) \
			for (size_t i = first; i < first + half; i += lanes) \
			{ \
				vector	   *a = (vector *) (void *) (x + i); \
				vector	   *b = (vector *) (void *) (x + i + half); \
				vector	   *c = (vector *) (void *) (x + i + 2 * half); \
				vector	   *d = (vector *) (void *) (x + i + 3 * half); \
				vector		ab = *a + *b; \
				vector		less_b = *a - *b; \
				vector		cd = *c + *d; \
				vector		less_d = *c - *d; \
\
				*a = ab + cd; \
				*b = less_b + less_d; \
				*c = ab - cd; \
				*d = less_b - less_d; \
			} \
	if (half < n) \
		for (size_t i = 0; i < half; i += lanes) \
		{ \
			vector	   *a = (vector *) (void *) (x + i); \
			vector	   *b = (vector *) (void *) (x + i + half); \
			vector		less_b = *a - *b; \
\
			*a = *a + *b; \
			*b = less_b; \
		} \
}

/* The kernel of an instruction set; fewer elements than fill a register are left to another. */
#define DEFINE_KERNEL(isa, target, vector, within, smaller) \
DEFINE_TRANSFORM(transform_##isa, target, vector, within) \
\
target void \
vecx_fht_f32_##isa(float *x, size_t n) \
{ \
	if (n < sizeof(vector) / sizeof(float)) \
		smaller(x, n); \
	else \
		transform_##isa(x, n); \
}

typedef float TwoFloats __attribute__((vector_size(8), aligned(4), may_alias));
typedef float FourFloats __attribute__((vector_size(16), aligned(4), may_alias));

VECX_KERNEL_INLINE TwoFloats
within_2(TwoFloats v)
{
	return (TwoFloats) {v[0] + v[1], v[0] - v[1]};
}

VECX_KERNEL_INLINE FourFloats
within_4(FourFloats v)
{
	float		a = v[0] + v[1];
	float		b = v[0] - v[1];
	float		c = v[2] + v[3];
	float		d = v[2] - v[3];

	return (FourFloats) {a + c, b + d, a - c, b - d};
}

DEFINE_TRANSFORM(transform_2, , TwoFloats, within_2)
DEFINE_KERNEL(scalar, , FourFloats, within_4, transform_2)

#ifdef VECX_KERNEL_X86

typedef __m256 EightFloats __attribute__((aligned(4), may_alias));
typedef __m512 SixteenFloats __attribute__((aligned(4), may_alias));

/* Lanes of mask: what was exchanged with them, less themselves; others: the sum. */
#define STEP_16(v, exchanged, mask) \
	_mm512_mask_sub_ps(_mm512_add_ps(v, exchanged), mask, exchanged, v)
#define STEP_8(v, exchanged, mask) \
	_mm256_blend_ps(_mm256_add_ps(v, exchanged), _mm256_sub_ps(exchanged, v), mask)

VECX_KERNEL_INLINE TARGET_AVX512 __m512
within_16(__m512 v)
{
	v = STEP_16(v, _mm512_permute_ps(v, 0xb1), 0xaaaa);
	v = STEP_16(v, _mm512_permute_ps(v, 0x4e), 0xcccc);
	v = STEP_16(v, _mm512_shuffle_f32x4(v, v, 0xb1), 0xf0f0);
	return STEP_16(v, _mm512_shuffle_f32x4(v, v, 0x4e), 0xff00);
}

VECX_KERNEL_INLINE TARGET_AVX2 __m256
within_8(__m256 v)
{
	v = STEP_8(v, _mm256_permute_ps(v, 0xb1), 0xaa);
	v = STEP_8(v, _mm256_permute_ps(v, 0x4e), 0xcc);
	return STEP_8(v, _mm256_permute2f128_ps(v, v, 0x01), 0xf0);
}

DEFINE_KERNEL(avx512, TARGET_AVX512, SixteenFloats, within_16, vecx_fht_f32_scalar)
DEFINE_KERNEL(avx2, TARGET_AVX2, EightFloats, within_8, vecx_fht_f32_scalar)

#endif							/* VECX_KERNEL_X86 */

/*
 * kernel_scalar.c
 *    The definition of every kernel's answer, in plain C.
 *
 * Floats are summed in double precision, so that a sum's error here is nothing
 * beside the last rounding to float, and the bound in kernel.h is all the
 * other instruction sets' own.
 */
#include "kernel_impl.h"

#include <math.h>

/* An addition takes about four cycles: four sums keep the adder busy. */
#define NSUMS 4

VECX_KERNEL_INLINE double
load_elem(const void *x, size_t i, VecxKernelElem elem)
{
	switch (elem)
	{
		case VECX_ELEM_F32:
			return ((const float *) x)[i];
		case VECX_ELEM_F16:
			return vecx_half_to_float(((const uint16_t *) x)[i]);
		case VECX_ELEM_U8:
		default:
			return ((const uint8_t *) x)[i];
	}
}

VECX_KERNEL_INLINE double
one_term(double q, double x, VecxKernelTerm term, double scale, double offset)
{
	switch (term)
	{
		case VECX_TERM_IP:
			return q * x;
		case VECX_TERM_L2SQ:
			return (q - x) * (q - x);
		case VECX_TERM_L1:
			return fabs(q - x);
		case VECX_TERM_L1_SCALED:
		default:
			return fabs(q - (offset + scale * x));
	}
}

VECX_KERNEL_INLINE float
sum_terms(const void *q, VecxKernelElem q_elem, const void *x, size_t n, VecxKernelElem elem,
		  VecxKernelTerm term, float scale, float offset)
{
	double		sum[NSUMS] = {0};
	size_t		i = 0;

	for (; i + NSUMS <= n; i += NSUMS)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			sum[j] += one_term(load_elem(q, i + j, q_elem), load_elem(x, i + j, elem), term,
							   scale, offset);
	for (; i < n; i++)
		sum[0] += one_term(load_elem(q, i, q_elem), load_elem(x, i, elem), term, scale, offset);
	return (float) ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static float
l2sq_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_L2SQ, 0, 0);
}

static float
ip_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_IP, 0, 0);
}

static float
l1_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_L1, 0, 0);
}

static void
cosine_f32(const float *a, const float *b, size_t n,
		   float *ab, float *aa, float *bb)
{
	*ab = ip_f32(a, b, n);
	*aa = ip_f32(a, a, n);
	*bb = ip_f32(b, b, n);
}

static void
add_multiple_f32(float *y, const float *x, float factor, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += factor * x[i];
}

static void
add_levels_u8(float *y, const uint8_t *u, float scale, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += scale * (float) (u[i] - 128);
}

static void
nearest16(const float *books, const float *halves, const float *y, size_t n, size_t m, uint8_t *codes)
{
	size_t		i = 0;
	size_t		left = 0;

	for (size_t c = 0; c < m; c++)
	{
		size_t		end = vecx_part_end(i, n, m, &left);
		float		sums[16];
		uint8_t		best = 0;

		for (int k = 0; k < 16; k++)
			sums[k] = -halves[16 * c + k];
		for (; i < end; i++)
			for (int k = 0; k < 16; k++)
				sums[k] += y[i] * books[16 * i + k];
		for (uint8_t k = 1; k < 16; k++)
			best = sums[k] > sums[best] ? k : best;
		codes[c] = best;
	}
}

static float
l2sq_max_f32(const float *a, const float *b, size_t n, float *max)
{
	*max = 0.0f;
	for (size_t i = 0; i < n; i++)
	{
		float		r = fabsf(a[i] - b[i]);

		*max = r > *max ? r : *max;
	}
	return l2sq_f32(a, b, n);
}

static float
l2sq_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_L2SQ, 0, 0);
}

static float
ip_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_IP, 0, 0);
}

static float
l1_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_L1, 0, 0);
}

static float
l2sq_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_L2SQ, 0, 0);
}

static float
ip_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_IP, 0, 0);
}

static float
l1_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_L1, 0, 0);
}

static void
cosine_f16f16(const uint16_t *a, const uint16_t *b, size_t n,
			  float *ab, float *aa, float *bb)
{
	*ab = ip_f16f16(a, b, n);
	*aa = ip_f16f16(a, a, n);
	*bb = ip_f16f16(b, b, n);
}

static void
f16_to_f32(const uint16_t *x, float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = vecx_half_to_float(x[i]);
}

static void
f32_to_f16(const float *x, uint16_t *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = vecx_float_to_half(x[i]);
}

static uint32_t
ip_u8u8(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (uint32_t) a[i] * b[i];
	return sum;
}

static void
products_u8u8(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, size_t n,
			  uint32_t *out, size_t stride)
{
	for (size_t i = 0; i < na; i++)
		for (size_t j = 0; j < nb; j++)
			out[i * stride + j] = ip_u8u8(a + i * n, b + j * n, n);
}

static float
ip_f32u8(const float *q, const uint8_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_U8, VECX_TERM_IP, 0, 0);
}

static float
l1_f32u8(const float *q, const uint8_t *x, size_t n, float scale, float offset)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_U8, VECX_TERM_L1_SCALED, scale, offset);
}

static uint64_t
hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return vecx_hamming_words(a, b, nbytes);
}

static void
jaccard(const uint8_t *a, const uint8_t *b, size_t nbytes,
		uint64_t *and_count, uint64_t *or_count)
{
	*and_count = *or_count = 0;
	vecx_jaccard_words(a, b, nbytes, and_count, or_count);
}

/* Element i of a block of 64. */
static int32_t
packed_elem(const uint8_t *block, size_t nbits, size_t i)
{
	uint32_t	u = 0;
	size_t		shift = 0;

	for (size_t width = 8; width > 0; width /= 2)
	{
		size_t		nbytes = 8 * width;

		if (!(nbits & width))
			continue;
		u |= (block[i % nbytes] >> (i / nbytes * width) & ((1u << width) - 1)) << shift;
		shift += width;
		block += nbytes;
	}
	return (int32_t) u;
}

static int32_t
packed_dot(const int8_t *q, const uint8_t *packed, size_t n, size_t nbits)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += q[i] * packed_elem(packed + i / 64 * 8 * nbits, nbits, i % 64);
	return sum;
}

static int32_t
plane_dot(const int8_t *q, size_t ndims, const uint8_t *plane)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < ndims; i++)
		sum += (plane[i / 8] >> (i % 8) & 1) * q[i];
	return sum;
}

static void
sketch_dot(const int8_t *q, size_t ndims, size_t nplanes,
		   const uint8_t *first, size_t stride, size_t n, int32_t *out)
{
	for (size_t j = 0; j < n; j++)
	{
		const uint8_t *plane = first + j * stride;
		int32_t		sum = 0;

		for (size_t p = 0; p < nplanes; p++, plane += ndims / 8)
			sum = 2 * sum + plane_dot(q, ndims, plane);
		out[j] = sum;
	}
}

static uint32_t
levels_u8(const float *x, const float *centre, size_t n, float inverse, uint8_t *u)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		u[i] = (uint8_t) (128 + lrintf((x[i] - centre[i]) * inverse));
		sum += u[i];
	}
	return sum;
}

uint32_t
vecx_levels_sq8_scalar(const float *x, size_t n, float offset, float scale, float inverse,
					   uint8_t *u, double *err2)
{
	uint32_t	sum = 0;

	*err2 = 0.0;
	for (size_t i = 0; i < n; i++)
	{
		float		t = (x[i] - offset) * inverse;
		double		e;

		t = t > 0.0f ? t : 0.0f;
		u[i] = (uint8_t) lrintf(t < 255.0f ? t : 255.0f);
		sum += u[i];
		e = (double) x[i] - ((double) offset + (double) scale * (double) u[i]);
		*err2 += e * e;
	}
	return sum;
}

static uint32_t
sketch_level(float r, float inverse, size_t nplanes)
{
	const int	half = 1 << (nplanes - 1);
	float		t = r * inverse;
	int			level;

	if (nplanes == 1)
		return r > 0.0f;
	if (t >= (float) half)
		return (uint32_t) (2 * half - 1);
	if (!(t >= (float) -half))
		return 0;
	level = (int) t;
	level -= t < (float) level;	/* floor: not truncation */
	return (uint32_t) (level + half);
}

static void
sketch_encode(const float *v, const float *x, size_t n, size_t nplanes, size_t plane_bytes,
			  float inverse, uint8_t *planes, float sums[2])
{
	const float centre = (float) ((1u << nplanes) - 1) / 2.0f;
	double		a = 0.0;
	double		c = 0.0;

	for (size_t p = 0; p < nplanes; p++)
		memset(planes + p * plane_bytes, 0, n / 8);
	for (size_t i = 0; i < n; i++)
	{
		float		r = x[i] - v[i];
		uint32_t	u = sketch_level(r, inverse, nplanes);
		float		s = (float) u - centre;

		a += (double) r * (double) s;
		c += (double) v[i] * (double) s;
		for (size_t p = 0; p < nplanes; p++)
		{
			uint32_t	bit = u >> (nplanes - 1 - p) & 1;
			uint8_t    *byte = planes + p * plane_bytes + i / 8;

			*byte = (uint8_t) (*byte | bit << i % 8);
		}
	}
	sums[0] = (float) a;
	sums[1] = (float) c;
}

static void
hamming_many(const uint8_t *q, size_t nbytes,
			 const uint8_t *first, size_t stride, size_t n, uint32_t *out)
{
	for (size_t j = 0; j < n; j++)
		out[j] = (uint32_t) hamming(q, first + j * stride, nbytes);
}

static void
gemv_f16(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y)
{
	for (size_t r = 0; r < nrows; r++)
		y[r] = ip_f16(x, m + r * n, n);
}

static void
gemm_f16(const uint16_t *m, size_t nrows, size_t n,
		 const float *x, size_t nvecs, float *y)
{
	for (size_t v = 0; v < nvecs; v++)
		gemv_f16(m, nrows, n, x + v * n, y + v * nrows);
}

VECX_KERNEL_ROUGH_BY(gemm_f16)

const VecxKernels vecx_kernels_scalar = {
	.name = "scalar",
	.l2sq_f32 = l2sq_f32,
	.ip_f32 = ip_f32,
	.l1_f32 = l1_f32,
	.cosine_f32 = cosine_f32,
	.add_multiple_f32 = add_multiple_f32,
	.l2sq_max_f32 = l2sq_max_f32,
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
	.levels_u8 = levels_u8,
	.add_levels_u8 = add_levels_u8,
	.levels_sq8 = vecx_levels_sq8_scalar,
	.fold_least = vecx_fold_least_scalar,
	.count_within = vecx_count_within_scalar,
	.positions_within = vecx_positions_within_scalar,
	.hamming = hamming,
	.jaccard = jaccard,
	.packed_dot = packed_dot,
	.sketch_dot = sketch_dot,
	.sketch_encode = sketch_encode,
	.nearest16 = nearest16,
	.hamming_many = hamming_many,
	.fastscan4 = vecx_fastscan4_scalar,
	.fastscan8 = vecx_fastscan8_scalar,
	.turn4 = vecx_turn4_scalar,
	.gemv_f16 = gemv_f16,
	.gemm_f16 = gemm_f16,
	.gemm_rough = gemm_rough,
	.fht_f32 = vecx_fht_f32_scalar,
};

/*
 * kernel_neon.c
 *    Kernels for 64-bit ARM's Advanced SIMD, without later extensions.
 *
 * Tails of float sums are copied to zeroed buffers of one register's size.
 */
#include "kernel_impl.h"

#ifdef VECX_KERNEL_NEON

#include <arm_neon.h>

#define NSUMS 4					/* covers the multiply-add's latency */

/* ---- floats ---- */

VECX_KERNEL_INLINE float32x4_t
load_elems(const void *x, size_t i, VecxKernelElem elem)
{
	uint8_t		bytes[8] = {0};

	switch (elem)
	{
		case VECX_ELEM_F32:
			return vld1q_f32((const float *) x + i);
		case VECX_ELEM_F16:
			return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *) x + i)));
		case VECX_ELEM_U8:
		default:
			memcpy(bytes, (const uint8_t *) x + i, 4);
			return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vld1_u8(bytes)))));
	}
}

/* The n - i < 4 last elements of x, the rest zero. */
VECX_KERNEL_INLINE float32x4_t
load_tail(const void *x, size_t i, size_t n, VecxKernelElem elem)
{
	size_t		elem_size = elem == VECX_ELEM_F32 ? 4 : elem == VECX_ELEM_F16 ? 2 : 1;
	float		copy[4] = {0};

	memcpy(copy, (const uint8_t *) x + i * elem_size, (n - i) * elem_size);
	return load_elems(copy, 0, elem);
}

/* A value in the first n elements. */
VECX_KERNEL_INLINE float32x4_t
first_elems(float value, size_t n)
{
	float		copy[4] = {0};

	for (size_t j = 0; j < n; j++)
		copy[j] = value;
	return vld1q_f32(copy);
}

VECX_KERNEL_INLINE float32x4_t
add_term(float32x4_t sum, float32x4_t q, float32x4_t x, VecxKernelTerm term,
		 float32x4_t scale, float32x4_t offset)
{
	float32x4_t diff;

	if (term == VECX_TERM_IP)
		return vfmaq_f32(sum, q, x);
	if (term == VECX_TERM_L1_SCALED)
		x = vfmaq_f32(offset, scale, x);
	diff = vsubq_f32(q, x);
	if (term == VECX_TERM_L2SQ)
		return vfmaq_f32(sum, diff, diff);
	return vaddq_f32(sum, vabsq_f32(diff));
}

VECX_KERNEL_INLINE float
reduce_sums(const float32x4_t *sum)
{
	return vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
}

VECX_KERNEL_INLINE float
sum_terms(const void *q, VecxKernelElem q_elem, const void *x, size_t n, VecxKernelElem elem,
		  VecxKernelTerm term, float scale, float offset)
{
	float32x4_t sum[NSUMS];
	float32x4_t scales = vdupq_n_f32(scale);
	float32x4_t offsets = vdupq_n_f32(offset);
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int j = 0; j < NSUMS; j++)
		sum[j] = vdupq_n_f32(0);
	for (; i + 4 * NSUMS <= n; i += 4 * NSUMS)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			sum[j] = add_term(sum[j], load_elems(q, i + 4 * j, q_elem),
							  load_elems(x, i + 4 * j, elem), term, scales, offsets);
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < NSUMS - 1; j++, i += 4)
	{
		if (i + 4 > n)
			break;
		sum[j] = add_term(sum[j], load_elems(q, i, q_elem), load_elems(x, i, elem),
						  term, scales, offsets);
	}
	if (i < n)
		sum[NSUMS - 1] = add_term(sum[NSUMS - 1], load_tail(q, i, n, q_elem),
								  load_tail(x, i, n, elem), term,
								  first_elems(scale, n - i), first_elems(offset, n - i));
	return reduce_sums(sum);
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

VECX_KERNEL_INLINE void
add_cosine(float32x4_t *ab, float32x4_t *aa, float32x4_t *bb, float32x4_t a, float32x4_t b)
{
	*ab = vfmaq_f32(*ab, a, b);
	*aa = vfmaq_f32(*aa, a, a);
	*bb = vfmaq_f32(*bb, b, b);
}

VECX_KERNEL_INLINE void
cosine_sums(const void *a, const void *b, size_t n, VecxKernelElem elem,
			float *ab, float *aa, float *bb)
{
	float32x4_t sum_ab[NSUMS];
	float32x4_t sum_aa[NSUMS];
	float32x4_t sum_bb[NSUMS];
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int j = 0; j < NSUMS; j++)
		sum_ab[j] = sum_aa[j] = sum_bb[j] = vdupq_n_f32(0);
	for (; i + 4 * NSUMS <= n; i += 4 * NSUMS)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			add_cosine(&sum_ab[j], &sum_aa[j], &sum_bb[j],
					   load_elems(a, i + 4 * j, elem), load_elems(b, i + 4 * j, elem));
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < NSUMS - 1; j++, i += 4)
	{
		if (i + 4 > n)
			break;
		add_cosine(&sum_ab[j], &sum_aa[j], &sum_bb[j],
				   load_elems(a, i, elem), load_elems(b, i, elem));
	}
	if (i < n)
		add_cosine(&sum_ab[NSUMS - 1], &sum_aa[NSUMS - 1], &sum_bb[NSUMS - 1],
				   load_tail(a, i, n, elem), load_tail(b, i, n, elem));
	*ab = reduce_sums(sum_ab);
	*aa = reduce_sums(sum_aa);
	*bb = reduce_sums(sum_bb);
}

static void
cosine_f32(const float *a, const float *b, size_t n,
		   float *ab, float *aa, float *bb)
{
	cosine_sums(a, b, n, VECX_ELEM_F32, ab, aa, bb);
}

static void
cosine_f16f16(const uint16_t *a, const uint16_t *b, size_t n,
			  float *ab, float *aa, float *bb)
{
	cosine_sums(a, b, n, VECX_ELEM_F16, ab, aa, bb);
}

static void
f16_to_f32(const uint16_t *x, float *y, size_t n)
{
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, load_elems(x, i, VECX_ELEM_F16));
	for (; i < n; i++)
		y[i] = vecx_half_to_float(x[i]);
}

static void
f32_to_f16(const float *x, uint16_t *y, size_t n)
{
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
		vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
	for (; i < n; i++)
		y[i] = vecx_float_to_half(x[i]);
}

/* ---- bytes ---- */

static uint32_t
ip_u8u8(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint32x4_t	sum[2] = {vdupq_n_u32(0), vdupq_n_u32(0)};
	uint32_t	tail = 0;
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
	{
		uint8x16_t	va = vld1q_u8(a + i);
		uint8x16_t	vb = vld1q_u8(b + i);

		sum[0] = vpadalq_u16(sum[0], vmull_u8(vget_low_u8(va), vget_low_u8(vb)));
		sum[1] = vpadalq_u16(sum[1], vmull_high_u8(va, vb));
	}
	for (; i < n; i++)
		tail += (uint32_t) a[i] * b[i];
	return tail + vaddvq_u32(vaddq_u32(sum[0], sum[1]));
}

/*
 * The 64 elements of a block, in order: a field of w bits is repeated, each
 * copy is shifted to its part, and the neighbours' bits are cut off.
 */
VECX_KERNEL_INLINE void
unpack_block(const uint8_t *block, size_t nbits, uint8x16_t u[4])
{
	int8_t		shift = 0;

	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < 4; j++)
		u[j] = nbits == 8 ? vld1q_u8(block + 16 * j) : vdupq_n_u8(0);
	if (nbits == 8)
		return;
	VECX_KERNEL_UNROLL
	for (size_t width = 4; width > 0; width /= 2)
	{
		if (!(nbits & width))
			continue;
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 4; j++)
		{
			/* Parts of the register's two halves: the same but for 1 bit. */
			size_t		first = 16 * j / (8 * width) * width;
			size_t		second = (16 * j + 8) / (8 * width) * width;
			int8x16_t	parts = vcombine_s8(vdup_n_s8((int8_t) -(int) first),
											vdup_n_s8((int8_t) -(int) second));
			uint8x16_t	field = width == 1 ? vcombine_u8(vld1_u8(block), vld1_u8(block)) :
				vld1q_u8(block + 16 * j % (8 * width));
			uint8x16_t	part = vandq_u8(vshlq_u8(field, parts),
										vdupq_n_u8((uint8_t) ((1 << width) - 1)));

			u[j] = vorrq_u8(u[j], vshlq_u8(part, vdupq_n_s8(shift)));
		}
		shift = (int8_t) (shift + (int) width);
		block += 8 * width;
	}
}

VECX_KERNEL_INLINE int32_t
packed_blocks(const int8_t *q, const uint8_t *packed, size_t n, size_t nbits)
{
	int32x4_t	sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
	uint8x16_t	u[4];

	for (size_t i = 0; i < n; i += 64, packed += 8 * nbits)
	{
		unpack_block(packed, nbits, u);
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 4; j++)
		{
			int8x16_t	vq = vld1q_s8(q + i + 16 * j);
			int16x8_t	low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(u[j])));
			int16x8_t	high = vreinterpretq_s16_u16(vmovl_high_u8(u[j]));
			int16x8_t	qlow = vmovl_s8(vget_low_s8(vq));
			int16x8_t	qhigh = vmovl_high_s8(vq);

			sum[0] = vmlal_s16(sum[0], vget_low_s16(low), vget_low_s16(qlow));
			sum[1] = vmlal_high_s16(sum[1], low, qlow);
			sum[0] = vmlal_s16(sum[0], vget_low_s16(high), vget_low_s16(qhigh));
			sum[1] = vmlal_high_s16(sum[1], high, qhigh);
		}
	}
	return vaddvq_s32(vaddq_s32(sum[0], sum[1]));
}

static int32_t
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

static void
products_u8u8(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, size_t n,
			  uint32_t *out, size_t stride)
{
	for (size_t i = 0; i < na; i++)
		for (size_t j = 0; j < nb; j++)
			out[i * stride + j] = ip_u8u8(a + i * n, b + j * n, n);
}

/* ---- matrices ---- */

/*
 * A tile of nr rows by nv vectors, 8 products at once, each with two sums in
 * registers.  Every product is summed in the same order whatever the tile,
 * so that a vector's image does not depend on its neighbours.
 */

/* Bytes of the matrix that are used for all vectors before going on. */
#define GEMM_BLOCK_BYTES 131072

/* acc[v * nr + r] += row r times vector v. */
VECX_KERNEL_INLINE void
tile_step(float32x4_t *acc, const float32x4_t *row, size_t nr,
		  const float32x4_t *vec, size_t nv)
{
	VECX_KERNEL_UNROLL
	for (size_t v = 0; v < nv; v++)
		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nr; r++)
			acc[v * nr + r] = vfmaq_f32(acc[v * nr + r], row[r], vec[v]);
}

/* Writes row r times vector v to y[v * y_stride + r]. */
VECX_KERNEL_INLINE void
tile(const uint16_t *m, size_t row_stride, size_t nr,
	 const float *x, size_t vec_stride, size_t nv, size_t n, float *y, size_t y_stride)
{
	float32x4_t acc[2][8];
	float32x4_t row[8];
	float32x4_t vec[4];
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (size_t a = 0; a < 8; a++)
		acc[0][a] = acc[1][a] = vdupq_n_f32(0);
	for (; i + 8 <= n; i += 8)
		VECX_KERNEL_UNROLL
		for (size_t h = 0; h < 2; h++)
		{
			VECX_KERNEL_UNROLL
			for (size_t r = 0; r < nr; r++)
				row[r] = load_elems(m + r * row_stride, i + 4 * h, VECX_ELEM_F16);
			VECX_KERNEL_UNROLL
			for (size_t v = 0; v < nv; v++)
				vec[v] = vld1q_f32(x + v * vec_stride + i + 4 * h);
			tile_step(acc[h], row, nr, vec, nv);
		}
	for (; i < n; i += 4)
	{
		size_t		end = n - i < 4 ? n : i + 4;

		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nr; r++)
			row[r] = load_tail(m + r * row_stride, i, end, VECX_ELEM_F16);
		VECX_KERNEL_UNROLL
		for (size_t v = 0; v < nv; v++)
			vec[v] = load_tail(x + v * vec_stride, i, end, VECX_ELEM_F32);
		tile_step(acc[0], row, nr, vec, nv);
	}
	VECX_KERNEL_UNROLL
	for (size_t v = 0; v < nv; v++)
		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nr; r++)
			y[v * y_stride + r] = vaddvq_f32(vaddq_f32(acc[0][v * nr + r], acc[1][v * nr + r]));
}

static void
gemv_f16(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y)
{
	if (nrows < 8)
	{
		for (size_t r = 0; r < nrows; r++)
			tile(m + r * n, n, 1, x, n, 1, n, y + r, nrows);
		return;
	}
	for (size_t r = 0; r < nrows; r += 8)
	{
		if (r > nrows - 8)
			r = nrows - 8;
		tile(m + r * n, n, 8, x, n, 1, n, y + r, nrows);
	}
}

/* Rows begin to end of M times four vectors; end - begin >= 2. */
static void
gemm_rows(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y,
		  size_t begin, size_t end)
{
	for (size_t r = begin; r < end; r += 2)
	{
		if (r > end - 2)
			r = end - 2;
		tile(m + r * n, n, 2, x, n, 4, n, y + r, nrows);
	}
}

static void
gemm_f16(const uint16_t *m, size_t nrows, size_t n,
		 const float *x, size_t nvecs, float *y)
{
	size_t		in_fours = nrows < 2 ? 0 : nvecs / 4 * 4;
	size_t		block = GEMM_BLOCK_BYTES / (sizeof(*m) * (n + 1)) + 2;
	size_t		end;

	for (size_t begin = 0; begin < nrows; begin = end)
	{
		/* What remains after a block must not be less than a tile. */
		end = nrows - begin < block + 2 ? nrows : begin + block;
		for (size_t v = 0; v < in_fours; v += 4)
			gemm_rows(m, nrows, n, x + v * n, y + v * nrows, begin, end);
	}
	for (size_t v = in_fours; v < nvecs; v++)
		gemv_f16(m, nrows, n, x + v * n, y + v * nrows);
}

VECX_KERNEL_ROUGH_BY(gemm_f16)

const VecxKernels vecx_kernels_neon = {
	.name = "neon",
	.l2sq_f32 = l2sq_f32,
	.ip_f32 = ip_f32,
	.l1_f32 = l1_f32,
	.cosine_f32 = cosine_f32,
	.add_multiple_f32 = vecx_add_multiple_f32_neon,
	.l2sq_max_f32 = vecx_l2sq_max_f32_neon,
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
	.levels_u8 = vecx_levels_u8_neon,
	.add_levels_u8 = vecx_add_levels_u8_neon,
	.levels_sq8 = vecx_levels_sq8_neon,
	.fold_least = vecx_fold_least_scalar,
	.count_within = vecx_count_within_scalar,
	.positions_within = vecx_positions_within_scalar,
	.hamming = vecx_hamming_neon,
	.jaccard = vecx_jaccard_neon,
	.packed_dot = packed_dot,
	.sketch_dot = vecx_sketch_dot_neon,
	.sketch_encode = vecx_sketch_encode_neon,
	.nearest16 = vecx_nearest16_neon,
	.hamming_many = vecx_hamming_many_neon,
	.fastscan4 = vecx_fastscan4_neon,
	.fastscan8 = vecx_fastscan8_scalar,
	.turn4 = vecx_turn4_scalar,
	.gemv_f16 = gemv_f16,
	.gemm_f16 = gemm_f16,
	.gemm_rough = gemm_rough,
	.fht_f32 = vecx_fht_f32_scalar,
};

#endif							/* VECX_KERNEL_NEON */

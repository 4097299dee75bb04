/*
 * kernel_avx2.c
 *    Kernels for AVX2 with FMA, F16C and POPCNT.
 *
 * Tails of float sums: the last eight elements are loaded again and those
 * already summed are masked to zero; inputs of fewer than eight elements are
 * copied to a zeroed buffer first.
 */
#include "kernel_impl.h"
#include "kernel_x86.h"

#ifdef VECX_KERNEL_X86

#define NSUMS 4					/* covers the multiply-add's latency */

/* ---- floats ---- */

/* Eight of these from [16 - k] have the first k set, from [k] the last k. */
static const int32_t mask_window[24] = {
	0, 0, 0, 0, 0, 0, 0, 0,
	-1, -1, -1, -1, -1, -1, -1, -1,
	0, 0, 0, 0, 0, 0, 0, 0
};

VECX_KERNEL_INLINE TARGET_AVX2 __m256
load_elems(const void *x, size_t i, VecxKernelElem elem)
{
	switch (elem)
	{
		case VECX_ELEM_F32:
			return _mm256_loadu_ps((const float *) x + i);
		case VECX_ELEM_F16:
			return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) ((const uint16_t *) x + i)));
		case VECX_ELEM_U8:
		default:
			return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *) ((const uint8_t *) x + i))));
	}
}

VECX_KERNEL_INLINE size_t
elem_size(VecxKernelElem elem)
{
	return elem == VECX_ELEM_F32 ? 4 : elem == VECX_ELEM_F16 ? 2 : 1;
}

VECX_KERNEL_INLINE TARGET_AVX2 __m256
load_mask(const int32_t *window)
{
	return _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *) window));
}

/* The n % 8 > 0 last elements of x, the rest zero; *mask tells which. */
VECX_KERNEL_INLINE TARGET_AVX2 __m256
load_tail(const void *x, size_t n, VecxKernelElem elem, __m256 *mask)
{
	float		copy[8] = {0};
	__m256		v;

	if (n >= 8)
	{
		*mask = load_mask(mask_window + n % 8);
		v = load_elems(x, n - 8, elem);
	}
	else
	{
		*mask = load_mask(mask_window + 16 - n);
		memcpy(copy, x, n * elem_size(elem));
		v = load_elems(copy, 0, elem);
	}
	return _mm256_and_ps(v, *mask);
}

VECX_KERNEL_INLINE TARGET_AVX2 __m256
add_term(__m256 sum, __m256 q, __m256 x, VecxKernelTerm term,
		 __m256 scale, __m256 offset)
{
	__m256		diff;

	if (term == VECX_TERM_IP)
		return _mm256_fmadd_ps(q, x, sum);
	if (term == VECX_TERM_L1_SCALED)
		x = _mm256_fmadd_ps(scale, x, offset);
	diff = _mm256_sub_ps(q, x);
	if (term == VECX_TERM_L2SQ)
		return _mm256_fmadd_ps(diff, diff, sum);
	return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), diff));
}

VECX_KERNEL_INLINE TARGET_AVX2 float
reduce_sums(const __m256 *sum)
{
	return reduce_ps(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]),
								   _mm256_add_ps(sum[2], sum[3])));
}

VECX_KERNEL_INLINE TARGET_AVX2 float
sum_terms(const void *q, VecxKernelElem q_elem, const void *x, size_t n, VecxKernelElem elem,
		  VecxKernelTerm term, float scale, float offset)
{
	__m256		sum[NSUMS];
	__m256		scales = _mm256_set1_ps(scale);
	__m256		offsets = _mm256_set1_ps(offset);
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int j = 0; j < NSUMS; j++)
		sum[j] = _mm256_setzero_ps();
	for (; i + 8 * NSUMS <= n; i += 8 * NSUMS)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			sum[j] = add_term(sum[j], load_elems(q, i + 8 * j, q_elem),
							  load_elems(x, i + 8 * j, elem), term, scales, offsets);
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < NSUMS - 1; j++, i += 8)
	{
		if (i + 8 > n)
			break;
		sum[j] = add_term(sum[j], load_elems(q, i, q_elem), load_elems(x, i, elem),
						  term, scales, offsets);
	}
	if (i < n)
	{
		__m256		mask;
		__m256		tail_q = load_tail(q, n, q_elem, &mask);
		__m256		tail_x = load_tail(x, n, elem, &mask);

		sum[NSUMS - 1] = add_term(sum[NSUMS - 1], tail_q, tail_x, term,
								  _mm256_and_ps(scales, mask), _mm256_and_ps(offsets, mask));
	}
	return reduce_sums(sum);
}

static TARGET_AVX2 float
l2sq_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_L2SQ, 0, 0);
}

static TARGET_AVX2 float
ip_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX2 float
l1_f32(const float *a, const float *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F32, b, n, VECX_ELEM_F32, VECX_TERM_L1, 0, 0);
}

static TARGET_AVX2 float
l2sq_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_L2SQ, 0, 0);
}

static TARGET_AVX2 float
ip_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX2 float
l1_f16(const float *q, const uint16_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_F16, VECX_TERM_L1, 0, 0);
}

static TARGET_AVX2 float
l2sq_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_L2SQ, 0, 0);
}

static TARGET_AVX2 float
ip_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX2 float
l1_f16f16(const uint16_t *a, const uint16_t *b, size_t n)
{
	return sum_terms(a, VECX_ELEM_F16, b, n, VECX_ELEM_F16, VECX_TERM_L1, 0, 0);
}

static TARGET_AVX2 float
ip_f32u8(const float *q, const uint8_t *x, size_t n)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_U8, VECX_TERM_IP, 0, 0);
}

static TARGET_AVX2 float
l1_f32u8(const float *q, const uint8_t *x, size_t n, float scale, float offset)
{
	return sum_terms(q, VECX_ELEM_F32, x, n, VECX_ELEM_U8, VECX_TERM_L1_SCALED, scale, offset);
}

VECX_KERNEL_INLINE TARGET_AVX2 void
add_cosine(__m256 *ab, __m256 *aa, __m256 *bb, __m256 a, __m256 b)
{
	*ab = _mm256_fmadd_ps(a, b, *ab);
	*aa = _mm256_fmadd_ps(a, a, *aa);
	*bb = _mm256_fmadd_ps(b, b, *bb);
}

VECX_KERNEL_INLINE TARGET_AVX2 void
cosine_sums(const void *a, const void *b, size_t n, VecxKernelElem elem,
			float *ab, float *aa, float *bb)
{
	__m256		sum_ab[NSUMS];
	__m256		sum_aa[NSUMS];
	__m256		sum_bb[NSUMS];
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int j = 0; j < NSUMS; j++)
		sum_ab[j] = sum_aa[j] = sum_bb[j] = _mm256_setzero_ps();
	for (; i + 8 * NSUMS <= n; i += 8 * NSUMS)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < NSUMS; j++)
			add_cosine(&sum_ab[j], &sum_aa[j], &sum_bb[j],
					   load_elems(a, i + 8 * j, elem), load_elems(b, i + 8 * j, elem));
	VECX_KERNEL_UNROLL
	for (size_t j = 0; j < NSUMS - 1; j++, i += 8)
	{
		if (i + 8 > n)
			break;
		add_cosine(&sum_ab[j], &sum_aa[j], &sum_bb[j],
				   load_elems(a, i, elem), load_elems(b, i, elem));
	}
	if (i < n)
	{
		__m256		mask;
		__m256		tail_a = load_tail(a, n, elem, &mask);
		__m256		tail_b = load_tail(b, n, elem, &mask);

		add_cosine(&sum_ab[NSUMS - 1], &sum_aa[NSUMS - 1], &sum_bb[NSUMS - 1],
				   tail_a, tail_b);
	}
	*ab = reduce_sums(sum_ab);
	*aa = reduce_sums(sum_aa);
	*bb = reduce_sums(sum_bb);
}

static TARGET_AVX2 void
cosine_f32(const float *a, const float *b, size_t n,
		   float *ab, float *aa, float *bb)
{
	cosine_sums(a, b, n, VECX_ELEM_F32, ab, aa, bb);
}

static TARGET_AVX2 void
cosine_f16f16(const uint16_t *a, const uint16_t *b, size_t n,
			  float *ab, float *aa, float *bb)
{
	cosine_sums(a, b, n, VECX_ELEM_F16, ab, aa, bb);
}

static TARGET_AVX2 void
f16_to_f32(const uint16_t *x, float *y, size_t n)
{
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, load_elems(x, i, VECX_ELEM_F16));
	for (; i < n; i++)
		y[i] = vecx_half_to_float(x[i]);
}

static TARGET_AVX2 void
f32_to_f16(const float *x, uint16_t *y, size_t n)
{
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		_mm_storeu_si128((__m128i *) (y + i),
						 _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
	for (; i < n; i++)
		y[i] = vecx_float_to_half(x[i]);
}

/* ---- bytes ---- */

/* Products fit 16 bits unsigned, pairs of them 32 bits signed. */
static TARGET_AVX2 uint32_t
ip_u8u8(const uint8_t *a, const uint8_t *b, size_t n)
{
	__m256i		sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
	uint32_t	tail = 0;
	size_t		i = 0;

	for (; i + 32 <= n; i += 32)
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			__m256i		va = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) (a + i + 16 * j)));
			__m256i		vb = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) (b + i + 16 * j)));

			sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(va, vb));
		}
	for (; i < n; i++)
		tail += (uint32_t) a[i] * b[i];
	return tail + (uint32_t) reduce_epi32(_mm256_add_epi32(sum[0], sum[1]));
}

/*
 * The 64 elements of a block, in order: a field of w bits is repeated, each
 * copy is shifted to its part, and the neighbours' bits are cut off.
 */
VECX_KERNEL_INLINE TARGET_AVX2 void
unpack_block(const uint8_t *block, size_t nbits, __m256i u[2])
{
	const __m256i parts[3][2] = {
		{_mm256_setzero_si256(), _mm256_set1_epi64x(4)},
		{_mm256_setr_epi64x(0, 0, 2, 2), _mm256_setr_epi64x(4, 4, 6, 6)},
		{_mm256_setr_epi64x(0, 1, 2, 3), _mm256_setr_epi64x(4, 5, 6, 7)}
	};
	__m256i		field[3];
	int			shift = 0;

	if (nbits == 8)
	{
		u[0] = _mm256_loadu_si256((const __m256i *) block);
		u[1] = _mm256_loadu_si256((const __m256i *) (block + 32));
		return;
	}
	if (nbits & 4)
		field[0] = _mm256_loadu_si256((const __m256i *) block);
	block += 8 * (nbits & 4);
	if (nbits & 2)
		field[1] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) block));
	block += 8 * (nbits & 2);
	if (nbits & 1)
		field[2] = _mm256_set1_epi64x((long long) vecx_load64(block));
	u[0] = u[1] = _mm256_setzero_si256();
	VECX_KERNEL_UNROLL
	for (int f = 0; f < 3; f++)
		if (nbits & (4u >> f))
		{
			VECX_KERNEL_UNROLL
			for (int j = 0; j < 2; j++)
			{
				__m256i		part = _mm256_and_si256(_mm256_srlv_epi64(field[f], parts[f][j]),
													_mm256_set1_epi8((char) ((1 << (4 >> f)) - 1)));

				u[j] = _mm256_or_si256(u[j], _mm256_sll_epi16(part, _mm_cvtsi32_si128(shift)));
			}
			shift += 4 >> f;
		}
}

/*
 * Pairs of products of u <= 128 and q are at most 2 * 128 * 127 and at least
 * 2 * 128 * -128, which is just what 16 bits hold.
 */
VECX_KERNEL_INLINE TARGET_AVX2 __m256i
add_products(__m256i sum, __m256i u, __m256i q)
{
	return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, q),
												   _mm256_set1_epi16(1)));
}

VECX_KERNEL_INLINE TARGET_AVX2 int32_t
packed_blocks(const int8_t *q, const uint8_t *packed, size_t n, size_t nbits)
{
	const __m256i low = _mm256_set1_epi8(127);
	__m256i		sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
	__m256i		u[2];

	for (size_t i = 0; i < n; i += 64, packed += 8 * nbits)
	{
		unpack_block(packed, nbits, u);
		VECX_KERNEL_UNROLL
		for (size_t j = 0; j < 2; j++)
		{
			__m256i		vq = _mm256_loadu_si256((const __m256i *) (q + i + 32 * j));

			sum[j] = add_products(sum[j], _mm256_and_si256(u[j], low), vq);
			if (nbits == 8)
				sum[j] = add_products(sum[j], _mm256_andnot_si256(low, u[j]), vq);
		}
	}
	return reduce_epi32(_mm256_add_epi32(sum[0], sum[1]));
}

static TARGET_AVX2 int32_t
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

/* Two rows of a times two of b, elements i to i + 15. */
VECX_KERNEL_INLINE TARGET_AVX2 void
products_step(__m256i *acc, const uint8_t *const *a, const uint8_t *const *b, size_t i)
{
	__m256i		va[2];
	__m256i		vb[2];

	VECX_KERNEL_UNROLL
	for (size_t k = 0; k < 2; k++)
	{
		va[k] = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) (a[k] + i)));
		vb[k] = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) (b[k] + i)));
	}
	VECX_KERNEL_UNROLL
	for (size_t k = 0; k < 4; k++)
		acc[k] = _mm256_add_epi32(acc[k], _mm256_madd_epi16(va[k / 2], vb[k % 2]));
}

static TARGET_AVX2 void
products_u8u8(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, size_t n,
			  uint32_t *out, size_t stride)
{
	for (size_t i = 0; i < na; i += 2)
		for (size_t j = 0; j < nb; j += 2)
		{
			/* An odd last row is worked on twice. */
			size_t		i2 = i + 1 < na ? i + 1 : i;
			size_t		j2 = j + 1 < nb ? j + 1 : j;
			const uint8_t *ra[2] = {a + i * n, a + i2 * n};
			const uint8_t *rb[2] = {b + j * n, b + j2 * n};
			__m256i		acc[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(),
			_mm256_setzero_si256(), _mm256_setzero_si256()};
			uint32_t	tail[4] = {0, 0, 0, 0};
			size_t		at = 0;

			for (; at + 16 <= n; at += 16)
				products_step(acc, ra, rb, at);
			for (; at < n; at++)
				for (size_t k = 0; k < 4; k++)
					tail[k] += (uint32_t) ra[k / 2][at] * rb[k % 2][at];
			for (size_t k = 0; k < 4; k++)
				out[(k / 2 ? i2 : i) * stride + (k % 2 ? j2 : j)] =
					tail[k] + (uint32_t) reduce_epi32(acc[k]);
		}
}

/* ---- matrices ---- */

/*
 * A tile of nr rows by nv vectors, 8 products at once, each with one sum in
 * a register.  Every product is summed in the same order whatever the tile,
 * so that a vector's image does not depend on its neighbours.
 */

/* Bytes of the matrix that are used for all vectors before going on. */
#define GEMM_BLOCK_BYTES 131072

/* acc[v * nr + r] += row r times vector v. */
VECX_KERNEL_INLINE TARGET_AVX2 void
tile_step(__m256 *acc, const __m256 *row, size_t nr, const __m256 *vec, size_t nv)
{
	VECX_KERNEL_UNROLL
	for (size_t v = 0; v < nv; v++)
		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nr; r++)
			acc[v * nr + r] = _mm256_fmadd_ps(row[r], vec[v], acc[v * nr + r]);
}

VECX_KERNEL_INLINE TARGET_AVX2 __m256
tile(const uint16_t *m, size_t row_stride, size_t nr,
	 const float *x, size_t vec_stride, size_t nv, size_t n)
{
	__m256		acc[8];
	__m256		row[8];
	__m256		vec[4];
	__m256		low;
	__m256		high;
	size_t		i = 0;

	VECX_KERNEL_UNROLL
	for (int a = 0; a < 8; a++)
		acc[a] = _mm256_setzero_ps();
	for (; i + 8 <= n; i += 8)
	{
		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nr; r++)
			row[r] = load_elems(m + r * row_stride, i, VECX_ELEM_F16);
		VECX_KERNEL_UNROLL
		for (size_t v = 0; v < nv; v++)
			vec[v] = load_elems(x + v * vec_stride, i, VECX_ELEM_F32);
		tile_step(acc, row, nr, vec, nv);
	}
	if (i < n)
	{
		__m256		mask;

		VECX_KERNEL_UNROLL
		for (size_t r = 0; r < nr; r++)
			row[r] = load_tail(m + r * row_stride, n, VECX_ELEM_F16, &mask);
		VECX_KERNEL_UNROLL
		for (size_t v = 0; v < nv; v++)
			vec[v] = load_tail(x + v * vec_stride, n, VECX_ELEM_F32, &mask);
		tile_step(acc, row, nr, vec, nv);
	}
	/* 128-bit lane k: part k of the sums 0 to 3, and of 4 to 7. */
	low = _mm256_hadd_ps(_mm256_hadd_ps(acc[0], acc[1]), _mm256_hadd_ps(acc[2], acc[3]));
	high = _mm256_hadd_ps(_mm256_hadd_ps(acc[4], acc[5]), _mm256_hadd_ps(acc[6], acc[7]));
	return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
						 _mm256_permute2f128_ps(low, high, 0x31));
}

static TARGET_AVX2 void
gemv_f16(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y)
{
	if (nrows < 8)
	{
		/* One row, eight times over. */
		for (size_t r = 0; r < nrows; r++)
			y[r] = _mm256_cvtss_f32(tile(m + r * n, 0, 8, x, 0, 1, n));
		return;
	}
	for (size_t r = 0; r < nrows; r += 8)
	{
		if (r > nrows - 8)
			r = nrows - 8;
		_mm256_storeu_ps(y + r, tile(m + r * n, n, 8, x, 0, 1, n));
	}
}

/* Rows begin to end of M times four vectors; end - begin >= 2. */
static TARGET_AVX2 void
gemm_rows(const uint16_t *m, size_t nrows, size_t n, const float *x, float *y,
		  size_t begin, size_t end)
{
	for (size_t r = begin; r < end; r += 2)
	{
		__m256		sums;
		__m128		upper;

		if (r > end - 2)
			r = end - 2;
		sums = tile(m + r * n, n, 2, x, n, 4, n);
		upper = _mm256_extractf128_ps(sums, 1);
		_mm_storel_pi((__m64 *) (y + r), _mm256_castps256_ps128(sums));
		_mm_storeh_pi((__m64 *) (y + nrows + r), _mm256_castps256_ps128(sums));
		_mm_storel_pi((__m64 *) (y + 2 * nrows + r), upper);
		_mm_storeh_pi((__m64 *) (y + 3 * nrows + r), upper);
	}
}

static TARGET_AVX2 void
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

const VecxKernels vecx_kernels_avx2 = {
	.name = "avx2",
	.l2sq_f32 = l2sq_f32,
	.ip_f32 = ip_f32,
	.l1_f32 = l1_f32,
	.cosine_f32 = cosine_f32,
	.add_multiple_f32 = vecx_add_multiple_f32_avx2,
	.l2sq_max_f32 = vecx_l2sq_max_f32_avx2,
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
	.levels_u8 = vecx_levels_u8_avx2,
	.add_levels_u8 = vecx_add_levels_u8_avx2,
	.levels_sq8 = vecx_levels_sq8_avx2,
	.fold_least = vecx_fold_least_scalar,
	.count_within = vecx_count_within_scalar,
	.positions_within = vecx_positions_within_scalar,
	.hamming = vecx_hamming_avx2,
	.jaccard = vecx_jaccard_avx2,
	.packed_dot = packed_dot,
	.sketch_dot = vecx_sketch_dot_avx2,
	.sketch_encode = vecx_sketch_encode_avx2,
	.nearest16 = vecx_nearest16_avx2,
	.hamming_many = vecx_hamming_many_avx2,
	.fastscan4 = vecx_fastscan4_avx2,
	.fastscan8 = vecx_fastscan8_scalar,
	.turn4 = vecx_turn4_avx2,
	.gemv_f16 = gemv_f16,
	.gemm_f16 = gemm_f16,
	.gemm_rough = gemm_rough,
	.fht_f32 = vecx_fht_f32_avx2,
};

#endif							/* VECX_KERNEL_X86 */

/*
 * kernel.h
 *    The arithmetic of vecx: distances, code products and sketch scores, each
 *    in several instruction sets behind one table of function pointers.
 *
 * Pure C: no PostgreSQL header, no allocation, no error.  The scalar version
 * in kernel_scalar.c defines every answer.  Operations on integers (everything
 * that returns an integer, and the conversions) agree with it bit for bit.
 *
 * Sums of floats are the scalar version's in double precision, rounded once.
 * The others sum in float, in 8 or more parts, and agree within
 *        |a - b| <= (4 + n / 16) * FLT_EPSILON * sum of the |terms| + n * 2^-149
 * (l1_f32u8: |offset| + |scale * x[i]| counts as a term as well).  That is the
 * worst case, all roundings to one side, as among equal terms; for data that
 * vary the n / 16 is nearer to the root of it.  Where the sum of |terms| is
 * beyond FLT_MAX, answers may differ.
 *
 * None reads past its inputs, changes the floating-point mode, or needs more
 * alignment than its elements' own.  A NaN or an infinity in an input gives
 * what scalar IEEE arithmetic gives.
 */
#ifndef VECX_KERNEL_H
#define VECX_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A float as an integer of the same order: its bits, those beside the sign turned over below
 * zero. */
static inline int32_t
vecx_float_order(float x)
{
	int32_t		bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits ^ ((bits >> 31) & INT32_MAX);
}

typedef struct VecxKernels
{
	const char *name;			/* "scalar", "avx2", "avx512", "neon" */

	/* float32 against float32, n elements */
	float		(*l2sq_f32) (const float *a, const float *b, size_t n);
	float		(*ip_f32) (const float *a, const float *b, size_t n);
	float		(*l1_f32) (const float *a, const float *b, size_t n);
	/* <a,b>, <a,a> and <b,b> in one pass */
	void		(*cosine_f32) (const float *a, const float *b, size_t n,
							   float *ab, float *aa, float *bb);

	/* y[i] += factor * x[i] */
	void		(*add_multiple_f32) (float *y, const float *x, float factor, size_t n);
	/* sum of (a[i] - b[i])^2, and the largest |a[i] - b[i]|, NaNs passed over */
	float		(*l2sq_max_f32) (const float *a, const float *b, size_t n, float *max);

	/* float32 query against IEEE half-precision data */
	float		(*l2sq_f16) (const float *q, const uint16_t *x, size_t n);
	float		(*ip_f16) (const float *q, const uint16_t *x, size_t n);
	float		(*l1_f16) (const float *q, const uint16_t *x, size_t n);
	/* half precision against half precision */
	float		(*l2sq_f16f16) (const uint16_t *a, const uint16_t *b, size_t n);
	float		(*ip_f16f16) (const uint16_t *a, const uint16_t *b, size_t n);
	float		(*l1_f16f16) (const uint16_t *a, const uint16_t *b, size_t n);
	void		(*cosine_f16f16) (const uint16_t *a, const uint16_t *b, size_t n,
								  float *ab, float *aa, float *bb);
	/* conversions: round to nearest even, subnormals kept, overflow to infinity */
	void		(*f16_to_f32) (const uint16_t *x, float *y, size_t n);
	void		(*f32_to_f16) (const float *x, uint16_t *y, size_t n);

	/* 8-bit codes.  Products of u8 and u8 fit uint32 up to 66,051 elements. */
	uint32_t	(*ip_u8u8) (const uint8_t *a, const uint8_t *b, size_t n);
	/*
	 * All products of na rows and nb rows of n bytes each, one row right after
	 * the other: out[i * stride + j] = ip_u8u8(a[i], b[j]).
	 */
	void		(*products_u8u8) (const uint8_t *a, size_t na,
								  const uint8_t *b, size_t nb, size_t n,
								  uint32_t *out, size_t stride);
	float		(*ip_f32u8) (const float *q, const uint8_t *x, size_t n);
	/* sum of |q[i] - (offset + scale * x[i])| */
	float		(*l1_f32u8) (const float *q, const uint8_t *x, size_t n,
							 float scale, float offset);

	/*
	 * x less centre as 8-bit numbers: u[i] = 128 + (x[i] - centre[i]) * inverse,
	 * which must lie within 1 and 255, rounded to nearest even.  Returns their sum.
	 */
	uint32_t	(*levels_u8) (const float *x, const float *centre, size_t n, float inverse,
							  uint8_t *u);

	/* y[i] += scale * (u[i] - 128) */
	void		(*add_levels_u8) (float *y, const uint8_t *u, float scale, size_t n);

	/*
	 * The levels of SQ8: u[i] = (x[i] - offset) * inverse, cut off to 0 and 255 and rounded
	 * to nearest even.  Returns their sum; *err2 is the sum of (x[i] - (offset + scale *
	 * u[i]))^2, in double precision throughout.
	 */
	uint32_t	(*levels_sq8) (const float *x, size_t n, float offset, float scale, float inverse,
							   uint8_t *u, double *err2);

	/*
	 * Of floats as vecx_float_order: minima[j] is the least of every n-th element from x[j] on,
	 * INT32_MAX if there is none.  n is a multiple of 4.
	 */
	void		(*fold_least) (const float *x, size_t count, int32_t *minima, size_t n);
	/* how many of n such integers, a multiple of 4, do not exceed the limit */
	size_t		(*count_within) (const int32_t *keys, size_t n, int32_t limit);
	/* positions of the elements that do not exceed it, ascending; returns how many.  at[count] is
	 * overwritten */
	size_t		(*positions_within) (const float *x, size_t count, int32_t limit, uint32_t *at);

	/* bit strings of nbytes bytes */
	uint64_t	(*hamming) (const uint8_t *a, const uint8_t *b, size_t nbytes);
	/* population counts of a & b and of a | b */
	void		(*jaccard) (const uint8_t *a, const uint8_t *b, size_t nbytes,
							uint64_t *and_count, uint64_t *or_count);

	/*
	 * <q, u> of a packed code u: n elements (a multiple of 64, at most 16,384)
	 * of nbits (1 to 8) bits, in blocks of 64 elements and 8 nbits bytes.  A
	 * block has one field for each power of two in nbits, from the widest,
	 * which is least significant, to the narrowest.  A field of w bits keeps
	 * element i in bits i / (8 w) * w and up of its byte i % (8 w).
	 */
	int32_t		(*packed_dot) (const int8_t *q, const uint8_t *packed, size_t n,
							   size_t nbits);

	/*
	 * Sketch scores.  n sketches, the first at *first, each stride bytes after
	 * the one before it.  A sketch is nplanes bit planes of ndims / 8 bytes
	 * each (ndims a multiple of 64), most significant plane first; bit i of a
	 * plane is bit (i % 8) of byte i / 8.  Sketch j's element i is the integer
	 * u[j][i] its planes spell.  out[j] = sum over i of u[j][i] * q[i].
	 * nplanes <= 8 and ndims <= 16,384, so int32 holds every sum.
	 */
	void		(*sketch_dot) (const int8_t *q, size_t ndims, size_t nplanes,
							   const uint8_t *first, size_t stride, size_t n,
							   int32_t *out);
	/*
	 * Planes of a sketch as above, each plane_bytes after the one before it, of the
	 * residual r = x - v: u[i] = floor(r[i] * inverse) + 2^(nplanes - 1), cut off
	 * where it is no number of nplanes bits; with one plane, whether r[i] > 0.
	 * n is a multiple of 64, nplanes 1, 2, 4 or 8.  With s[i] = u[i] -
	 * (2^nplanes - 1) / 2, sums becomes <r, s> and <v, s>.
	 */
	void		(*sketch_encode) (const float *v, const float *x, size_t n,
								  size_t nplanes, size_t plane_bytes, float inverse,
								  uint8_t *planes, float sums[2]);
	/*
	 * Product quantisation: y[n] in m parts, as even as can be, of which part c begins at
	 * c * n / m.  codes[c] is the first k of 16 that has the greatest sum over part c of
	 * y[i] * books[i][k], less halves[c][k]; sums of floats may be rounded otherwise.
	 */
	void		(*nearest16) (const float *books, const float *halves, const float *y,
							  size_t n, size_t m, uint8_t *codes);
	/*
	 * Hamming distances of n bit strings of nbytes bytes, laid out with a
	 * stride as above, to q.
	 */
	void		(*hamming_many) (const uint8_t *q, size_t nbytes,
								 const uint8_t *first, size_t stride, size_t n,
								 uint32_t *out);

	/*
	 * Table lookups for a block of 32 codes of m columns, added to sums[32].
	 * fastscan4: columns[m][16], byte i of a column has code i in its lower and
	 * code 16 + i in its upper four bits; tables[m][16].  fastscan8:
	 * columns[m][32], tables[m][256].  sums[i] += sum over the columns c of
	 * tables[c][code i of column c]; at most 16,384 columns.
	 */
	void		(*fastscan4) (const uint8_t *columns, size_t m, const uint8_t *tables,
							  uint32_t *sums);
	void		(*fastscan8) (const uint8_t *columns, size_t m, const uint8_t *tables,
							  uint32_t *sums);
	/*
	 * fastscan4's 2 * nbytes columns of the codes in 32 rows of nbytes bytes: of a byte
	 * the lower four bits are the first column's.  Some rows may be the same.
	 */
	void		(*turn4) (const uint8_t *const *rows, size_t nbytes, uint8_t *columns);

	/* y[nrows] = M x, M half-precision, row-major nrows x n */
	void		(*gemv_f16) (const uint16_t *m, size_t nrows, size_t n,
							 const float *x, float *y);
	/*
	 * Y = X M^T for nvecs float vectors X (row-major nvecs x n) and M as
	 * above; Y is row-major nvecs x nrows.  Reads M once for several vectors,
	 * and gives each bit for bit what gemv_f16 gives.
	 */
	void		(*gemm_f16) (const uint16_t *m, size_t nrows, size_t n,
							 const float *x, size_t nvecs, float *y);
	/*
	 * The same of numbers up to 3e38, roughly: each term may be wrong besides by 2^-7 of
	 * itself, or 2^-15 if parts is 2, or by 2^-110 where it is smaller, and sums are of
	 * n / 8 parts.
	 */
	void		(*gemm_rough) (const uint16_t *m, size_t nrows, size_t n,
							   const float *x, size_t nvecs, int parts, float *y);

	/* The fast Hadamard transform in place, not normalised; n a power of two, at least 2. */
	void		(*fht_f32) (float *x, size_t n);
} VecxKernels;

/* The table in use: never NULL.  Before vecx_kernels_choose it is the best
 * that this processor has. */
extern const VecxKernels *vecx_kernels;

/* The table of that name, or NULL if this processor or build lacks it. */
extern const VecxKernels *vecx_kernels_named(const char *name);

/* Uses the table of that name ("auto": the best).  Returns 0, or -1 and
 * changes nothing when it is not to be had. */
extern int	vecx_kernels_choose(const char *name);

#endif							/* VECX_KERNEL_H */

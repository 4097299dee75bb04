/*
 * code_int.h
 *    What the files of src/code share among themselves.
 */
#ifndef VECX_CODE_INT_H
#define VECX_CODE_INT_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "code.h"
#include "../kernel/kernel.h"

static inline uint32_t
vecx_round_up(uint32_t n, uint32_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static inline bool
vecx_metric_is_bits(VecxMetric metric)
{
	return metric == VECX_METRIC_HAMMING || metric == VECX_METRIC_JACCARD;
}

/* Distances go into comparisons and into pages: always a number. */
static inline float
vecx_finite(double d)
{
	if (d >= (double) FLT_MAX)
		return FLT_MAX;
	if (d <= -(double) FLT_MAX)
		return -FLT_MAX;
	return d == d ? (float) d : FLT_MAX;
}

/* The upper half of a float32, rounded to nearest even; never infinite. */
static inline uint16_t
vecx_bf16_from_float(double x)
{
	float		f = vecx_finite(x);
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	bits += 0x7FFF + ((bits >> 16) & 1);
	if ((bits & 0x7F800000) == 0x7F800000)
		bits -= 0x10000;
	return (uint16_t) (bits >> 16);
}

static inline float
vecx_bf16_to_float(uint16_t half)
{
	uint32_t	bits = (uint32_t) half << 16;
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* gemm_rough (kernel.h) of vectors whose elements may be as large as any float. */
extern void vecx_project_rows(const uint16_t *m, size_t nrows, size_t n, const float *x,
							  size_t nvecs, float *y);

/* splitmix64: one 64-bit state, every seed good. */
static inline uint64_t
vecx_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* [0, n) for n up to 2^32; the bias of at most n / 2^32 is of no matter here. */
static inline uint32_t
vecx_random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t) (((vecx_random(state) >> 32) * n) >> 32);
}

/* Puts numbers in a random order. */
static inline void
vecx_random_order(uint64_t *state, uint32_t *numbers, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--)
	{
		uint32_t	j = vecx_random_below(state, i);
		uint32_t	swap = numbers[i - 1];

		numbers[i - 1] = numbers[j];
		numbers[j] = swap;
	}
}

/* Evenly spread over [-1, 1]. */
static inline float
vecx_random_signed(uint64_t *state)
{
	return (float) (int32_t) (vecx_random(state) >> 32) * 0x1p-31f;
}

/* Standard normal, by Box and Muller. */
static inline double
vecx_random_normal(uint64_t *state)
{
	double		u = ((double) (vecx_random(state) >> 11) + 1.0) / 9007199254740993.0;
	double		v = (double) (vecx_random(state) >> 11) / 9007199254740992.0;

	return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/* For loops that compilers leave scalar: four lanes are what every supported processor has at
 * least. */
typedef float VecxFour __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t VecxFourInts __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint32_t VecxFourWords __attribute__((vector_size(16), aligned(4), may_alias));

/* (lo, hi) = (lo + hi, lo - hi) */
static inline void
vecx_butterfly(float *restrict lo, float *restrict hi, size_t n)
{
	VecxFour   *l = (VecxFour *) (void *) lo;
	VecxFour   *h = (VecxFour *) (void *) hi;

	for (size_t i = 0; i < n / 4; i++)
	{
		VecxFour	a = l[i];
		VecxFour	b = h[i];

		l[i] = a + b;
		h[i] = a - b;
	}
	for (size_t i = n / 4 * 4; i < n; i++)
	{
		float		a = lo[i];
		float		b = hi[i];

		lo[i] = a + b;
		hi[i] = a - b;
	}
}

/* code_sq.c: SQ8. */
extern uint32_t vecx_sq_nbytes(uint32_t dim);
extern void vecx_sq_encode(const VecxCoder *coder, const float *x, uint8_t *code);
extern void vecx_sq_decode(const VecxCoder *coder, const uint8_t *code, float *x);
extern bool vecx_sq_check(const VecxCoder *coder, const uint8_t *code);
extern size_t vecx_sq_query_scratch(const VecxCoder *coder);
extern void vecx_sq_query_init(const VecxCoder *coder, VecxCodeQuery *query,
							   const float *x, void *scratch);
extern void vecx_sq_query_init_code(const VecxCoder *coder, VecxCodeQuery *query,
									const uint8_t *code, void *scratch);
extern double vecx_sq_l2sq(const VecxCoder *coder, const VecxCodeQuery *query,
						   const uint8_t *code);
extern double vecx_sq_ip(const VecxCoder *coder, const VecxCodeQuery *query,
						 const uint8_t *code);
extern double vecx_sq_l1(const VecxCoder *coder, const VecxCodeQuery *query,
						 const uint8_t *code);
/* As vecx_code_queries_init and vecx_code_pairs. */
extern size_t vecx_sq_queries_room(const VecxCoder *coder, size_t nqueries, size_t ncodes);
extern void vecx_sq_queries_init(VecxCodeQueries *set, size_t ncodes, void *room);
extern size_t vecx_sq_pairs(const VecxCodeQueries *set, const uint8_t *codes, size_t ncodes,
							const float *limits, VecxCodePair *pairs);
/* A code's part of its products with others of a set, and its levels. */
extern void vecx_sq_set_head(const VecxCoder *coder, const uint8_t *code, VecxSetHead *head,
							 uint8_t *levels);
extern double vecx_sq_norm2(const VecxCoder *coder, const uint8_t *code);
/* Squared length of the quantisation error, and the step. */
extern void vecx_sq_noise(const uint8_t *code, double *err2, double *step);

/* code_rabitq.c: RABITQ1 to RABITQ8. */
extern uint32_t vecx_rabitq_nbytes(VecxCodeKind kind, uint32_t dim);
extern void vecx_rabitq_encode(const VecxCoder *coder, const float *x, uint8_t *code);
extern void vecx_rabitq_decode(const VecxCoder *coder, const uint8_t *code, float *x);
extern bool vecx_rabitq_check(const VecxCoder *coder, const uint8_t *code);
extern size_t vecx_rabitq_query_scratch(const VecxCoder *coder);
extern void vecx_rabitq_query_init(const VecxCoder *coder, VecxCodeQuery *query,
								   const float *x, void *scratch);
extern void vecx_rabitq_query_init_code(const VecxCoder *coder, VecxCodeQuery *query,
										const uint8_t *code, void *scratch);
extern double vecx_rabitq_l2sq(const VecxCoder *coder, const VecxCodeQuery *query,
							   const uint8_t *code);
extern double vecx_rabitq_ip(const VecxCoder *coder, const VecxCodeQuery *query,
							 const uint8_t *code);
extern double vecx_rabitq_l1(const VecxCoder *coder, const VecxCodeQuery *query,
							 const uint8_t *code);
extern double vecx_rabitq_norm2(const uint8_t *code);
/* Levels of a rotated vector, and their packed form. */
extern bool vecx_rabitq_levels(const float *r, uint32_t dims, uint32_t bits, double r2,
							   uint8_t *levels);
extern void vecx_rabitq_pack(uint8_t *packed, const uint8_t *levels, uint32_t dims, uint32_t bits);
/* Squared length of what the decoded code is off. */
extern double vecx_rabitq_err2(const VecxCoder *coder, const uint8_t *code);
/* vecx_code_error of the distances but L1. */
extern double vecx_rabitq_error(const VecxCoder *coder, const VecxCodeQuery *query,
								const uint8_t *code, float rank);
extern void vecx_rabitq_least(const VecxCoder *coder, const VecxCodeQuery *query,
							  const uint8_t *const *codes, size_t n, float errors, float *dist,
							  float *out);

/* code_rotate.c: seeded orthogonal transforms; vecx_rotate's of n floats, a multiple of 64, in
 * place.  Rows are [nrows][n]: random orthonormal ones, or those given turned among themselves;
 * scratch[nrows]. */
extern void vecx_rotate(float *x, uint32_t n);
extern void vecx_rotate_back(float *x, uint32_t n);
extern void vecx_random_rows(uint64_t *rng, uint32_t nrows, uint32_t n, float *rows);
extern void vecx_rotate_vectors(uint64_t *rng, size_t count, uint32_t n, float *x);

/* code_basis.c */
#define VECX_BASIS_MATRIX_MAX	(1024 * 1024)

/* Multiply and rotate, 8 bytes at a time, those at skipped as zeros: finds damage, not malice. */
extern uint64_t vecx_checksum(const uint8_t *bytes, size_t nbytes, size_t skipped);
extern uint32_t vecx_basis_hdim(VecxMetric metric, uint32_t dim);
/* Dimensions and bits of a sketch of so many bytes, without data to look at. */
extern void vecx_basis_shape(VecxMetric metric, uint32_t dim, uint32_t sketch_bytes,
							 uint32_t *ndims, uint32_t *nplanes);
/* H x of code.h, out[hdim]; work holds vecx_hadamard_floats(dim). */
extern size_t vecx_hadamard_floats(uint32_t dim);
extern void vecx_hadamard(uint32_t dim, uint64_t seed, const float *x, float *out, float *work);
/* All dims, padded to what vecx_rotate takes. */
extern uint32_t vecx_basis_rotated_dims(VecxMetric metric, uint32_t dim);
/* Whether y is a rotation of H x - mean, for which there is vecx_rotate and no matrix. */
extern bool vecx_basis_rotates(VecxMetric metric, uint32_t dim, uint32_t ndims);
/* Bytes of the serialised form; fills in everything but the three arrays, whose
 * places it returns, and then vecx_basis_seal adds the checksum. */
extern size_t vecx_basis_nbytes(VecxMetric metric, uint32_t dim, uint32_t ndims);
extern void vecx_basis_format(uint8_t *bytes, const VecxBasis *basis, float **mean,
							  uint16_t **matrix, uint32_t **positions);
extern void vecx_basis_seal(uint8_t *bytes);


#endif							/* VECX_CODE_INT_H */

/*
 * elem.h
 *    The element types of dense vectors.  What SQL knows as two types, vector
 *    and halfvec, is one set of functions here, each of which takes the element
 *    type as an argument.
 */
#ifndef VECX_ELEM_H
#define VECX_ELEM_H

#include <float.h>
#include <math.h>

#include "fmgr.h"
#include "kernel/kernel.h"
#include "types/vec.h"

typedef struct VecxElem
{
	const char *name;			/* of the SQL type */
	Size		nbytes;			/* of an element: 4 is float, 2 half precision */
	float		limit;			/* numbers from here on round to infinity */
	float		vanishing;		/* numbers up to this one round to zero */
} VecxElem;

/* In the header, so that the compiler can drop what one type has no need of. */
static const VecxElem vecx_elem_float = {"vector", sizeof(float), INFINITY, 0};
static const VecxElem vecx_elem_half = {"halfvec", sizeof(uint16), 65520, 0x1p-25f};

#define VecxElemIsFloat(elem)		((elem)->nbytes == sizeof(float))
#define VecxDenseSize(elem, dim)	(offsetof(VecxVector, x) + (elem)->nbytes * (Size) (dim))
#define VecxElemAt(elem, vec, i)	((char *) (vec)->x + (elem)->nbytes * (Size) (i))

/*
 * Makes two SQL-callable functions of name(fcinfo, elem): vecx_vector_name and
 * vecx_halfvec_name.
 */
#define VECX_DENSE_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(vecx_vector_##name); \
	Datum \
	vecx_vector_##name(PG_FUNCTION_ARGS) \
	{ \
		return name(fcinfo, &vecx_elem_float); \
	} \
	PG_FUNCTION_INFO_V1(vecx_halfvec_##name); \
	Datum \
	vecx_halfvec_##name(PG_FUNCTION_ARGS) \
	{ \
		return name(fcinfo, &vecx_elem_half); \
	} \
	extern int no_such_variable

/* The kernels for elements of a type. */

static inline float
vecx_elem_l2sq(const VecxElem *elem, const VecxVector *a, const VecxVector *b)
{
	return VecxElemIsFloat(elem) ?
		vecx_kernels->l2sq_f32(a->x, b->x, (size_t) a->dim) :
		vecx_kernels->l2sq_f16f16(VecxHalfElems(a), VecxHalfElems(b), (size_t) a->dim);
}

/* Infinite where it overflows, never NaN: a product that floats cannot sum up is summed up as
 * doubles, which hold any. */
static inline float
vecx_elem_ip(const VecxElem *elem, const VecxVector *a, const VecxVector *b)
{
	float		ip = VecxElemIsFloat(elem) ?
		vecx_kernels->ip_f32(a->x, b->x, (size_t) a->dim) :
		vecx_kernels->ip_f16f16(VecxHalfElems(a), VecxHalfElems(b), (size_t) a->dim);
	double		sum = 0;

	if (likely(isfinite(ip)) || !VecxElemIsFloat(elem))
		return ip;
	for (int i = 0; i < a->dim; i++)
		sum += (double) a->x[i] * (double) b->x[i];
	return (float) sum;
}

static inline float
vecx_elem_l1(const VecxElem *elem, const VecxVector *a, const VecxVector *b)
{
	return VecxElemIsFloat(elem) ?
		vecx_kernels->l1_f32(a->x, b->x, (size_t) a->dim) :
		vecx_kernels->l1_f16f16(VecxHalfElems(a), VecxHalfElems(b), (size_t) a->dim);
}

/* <a, b>, <a, a> and <b, b>: in double where floats have no room for squares. */
static inline void
vecx_elem_cosine(const VecxElem *elem, const VecxVector *a, const VecxVector *b,
				 double *ab, double *aa, double *bb)
{
	float		sums[3];

	if (VecxElemIsFloat(elem))
		vecx_kernels->cosine_f32(a->x, b->x, (size_t) a->dim, &sums[0], &sums[1], &sums[2]);
	else
		vecx_kernels->cosine_f16f16(VecxHalfElems(a), VecxHalfElems(b), (size_t) a->dim,
									&sums[0], &sums[1], &sums[2]);
	*ab = (double) sums[0];
	*aa = (double) sums[1];
	*bb = (double) sums[2];
	if (likely(sums[1] >= FLT_MIN && sums[2] >= FLT_MIN && isfinite(sums[1]) && isfinite(sums[2])) || !VecxElemIsFloat(elem))
		return;
	*ab = *aa = *bb = 0;
	for (int i = 0; i < a->dim; i++)
	{
		*ab += (double) a->x[i] * (double) b->x[i];
		*aa += (double) a->x[i] * (double) a->x[i];
		*bb += (double) b->x[i] * (double) b->x[i];
	}
}

/* A zeroed vector of dim elements; raises program_limit_exceeded out of range. */
extern VecxVector *vecx_dense_make(const VecxElem *elem, int dim);

/* The elements as floats: the vector's own, or a copy in the current context. */
extern const float *vecx_dense_floats(const VecxElem *elem, const VecxVector *vec);

/*
 * Where a function puts the elements of its result, as floats, and what makes
 * them the result's: vecx_dense_finish rounds them and raises an error if one
 * is infinite, then.
 */
extern float *vecx_dense_begin(const VecxElem *elem, VecxVector *result);
extern void vecx_dense_finish(const VecxElem *elem, VecxVector *result, const float *x);

/* The same for numbers from elsewhere: an infinity or NaN among them is
 * refused by its position, a number too large for the type by its value. */
extern void vecx_dense_import(const VecxElem *elem, VecxVector *result, const float *x);

#endif							/* VECX_ELEM_H */

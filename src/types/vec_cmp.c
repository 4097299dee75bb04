/*
 * vec_cmp.c
 *    Order, equality and hash of vectors.  Vectors are ordered by their
 *    elements and then by their length, as arrays are; 0 and -0 are equal and
 *    hash alike.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "compat.h"
#include "fmgr.h"
#include "types/vec.h"

PG_FUNCTION_INFO_V1(vecx_vector_lt);
PG_FUNCTION_INFO_V1(vecx_vector_le);
PG_FUNCTION_INFO_V1(vecx_vector_eq);
PG_FUNCTION_INFO_V1(vecx_vector_ne);
PG_FUNCTION_INFO_V1(vecx_vector_ge);
PG_FUNCTION_INFO_V1(vecx_vector_gt);
PG_FUNCTION_INFO_V1(vecx_vector_cmp);
PG_FUNCTION_INFO_V1(vecx_vector_hash);
PG_FUNCTION_INFO_V1(vecx_vector_hash_extended);

static int
compare(const VecxVector *a, const VecxVector *b)
{
	int			dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] < b->x[i])
			return -1;
		if (a->x[i] > b->x[i])
			return 1;
	}

	return (a->dim > b->dim) - (a->dim < b->dim);
}

static bool
equal(const VecxVector *a, const VecxVector *b)
{
	if (a->dim != b->dim)
		return false;

	/* most equal vectors are equal to the bit */
	return memcmp(a->x, b->x, sizeof(float) * (Size) a->dim) == 0 ||
		compare(a, b) == 0;
}

Datum
vecx_vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) < 0);
}

Datum
vecx_vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) <= 0);
}

Datum
vecx_vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(equal(PG_GETARG_VECX_VECTOR_P(0),
						 PG_GETARG_VECX_VECTOR_P(1)));
}

Datum
vecx_vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!equal(PG_GETARG_VECX_VECTOR_P(0),
						  PG_GETARG_VECX_VECTOR_P(1)));
}

Datum
vecx_vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) >= 0);
}

Datum
vecx_vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) > 0);
}

/* A btree or merge join calls this often: copies made by detoasting are freed. */
Datum
vecx_vector_cmp(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	int			result = compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_INT32(result);
}

/* The elements of vec, or a copy of them in which each -0 is 0. */
static const float *
hashable_elements(const VecxVector *vec)
{
	float	   *copy;
	int			i;

	for (i = 0; i < vec->dim && !(vec->x[i] == 0 && signbit(vec->x[i])); i++)
		;
	if (i == vec->dim)
		return vec->x;

	copy = palloc_array(float, vec->dim);
	for (i = 0; i < vec->dim; i++)
		copy[i] = vec->x[i] == 0 ? 0.0f : vec->x[i];
	return copy;
}

Datum
vecx_vector_hash(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = hashable_elements(vec);
	Datum		result;

	result = hash_any((const unsigned char *) x,
					  vec->dim * (int) sizeof(float));
	PG_FREE_IF_COPY(vec, 0);
	return result;
}

Datum
vecx_vector_hash_extended(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = hashable_elements(vec);
	Datum		result;

	result = hash_any_extended((const unsigned char *) x,
							   vec->dim * (int) sizeof(float),
							   (uint64) PG_GETARG_INT64(1));
	PG_FREE_IF_COPY(vec, 0);
	return result;
}

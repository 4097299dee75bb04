/*
 * vec_ops.c
 *    Distances and arithmetic of vectors as SQL sees them.  The sums are the
 *    kernels', in float; roots and quotients are taken in double.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "fmgr.h"
#include "kernel/kernel.h"
#include "types/vec.h"
#include "types/vec_check.h"
#include "utils/float.h"
#include "utils/varbit.h"

PG_FUNCTION_INFO_V1(vecx_l2_distance);
PG_FUNCTION_INFO_V1(vecx_l2_squared_distance);
PG_FUNCTION_INFO_V1(vecx_inner_product);
PG_FUNCTION_INFO_V1(vecx_negative_inner_product);
PG_FUNCTION_INFO_V1(vecx_cosine_distance);
PG_FUNCTION_INFO_V1(vecx_l1_distance);
PG_FUNCTION_INFO_V1(vecx_vector_dims);
PG_FUNCTION_INFO_V1(vecx_vector_norm);
PG_FUNCTION_INFO_V1(vecx_l2_normalize);
PG_FUNCTION_INFO_V1(vecx_vector_add);
PG_FUNCTION_INFO_V1(vecx_vector_sub);
PG_FUNCTION_INFO_V1(vecx_vector_mul);
PG_FUNCTION_INFO_V1(vecx_vector_concat);
PG_FUNCTION_INFO_V1(vecx_subvector);
PG_FUNCTION_INFO_V1(vecx_binary_quantize);

Datum
vecx_l2_squared_distance(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(a, b);
	PG_RETURN_FLOAT8((double) vecx_kernels->l2sq_f32(a->x, b->x, (size_t) a->dim));
}

Datum
vecx_l2_distance(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(a, b);
	PG_RETURN_FLOAT8(sqrt((double) vecx_kernels->l2sq_f32(a->x, b->x, (size_t) a->dim)));
}

Datum
vecx_inner_product(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(a, b);
	PG_RETURN_FLOAT8((double) vecx_kernels->ip_f32(a->x, b->x, (size_t) a->dim));
}

Datum
vecx_negative_inner_product(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(a, b);
	PG_RETURN_FLOAT8((double) -vecx_kernels->ip_f32(a->x, b->x, (size_t) a->dim));
}

/* NaN when one of the vectors is zero. */
Datum
vecx_cosine_distance(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	float		ab;
	float		aa;
	float		bb;
	double		similarity;

	vecx_check_same_dim(a, b);
	vecx_kernels->cosine_f32(a->x, b->x, (size_t) a->dim, &ab, &aa, &bb);

	/* one root of the product, so that equal vectors come out as exactly 1 */
	similarity = (double) ab / sqrt((double) aa * (double) bb);
	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;

	PG_RETURN_FLOAT8(1.0 - similarity);
}

Datum
vecx_l1_distance(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(a, b);
	PG_RETURN_FLOAT8((double) vecx_kernels->l1_f32(a->x, b->x, (size_t) a->dim));
}

Datum
vecx_vector_dims(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	PG_RETURN_INT32(vec->dim);
}

/* In double, so that no finite vector overflows. */
static double
vector_norm(const VecxVector *vec)
{
	double		sum[4] = {0, 0, 0, 0};
	int			i = 0;

	/* four sums: the additions need not wait for each other */
	for (; i + 4 <= vec->dim; i += 4)
	{
		for (int j = 0; j < 4; j++)
			sum[j] += (double) vec->x[i + j] * (double) vec->x[i + j];
	}
	for (; i < vec->dim; i++)
		sum[0] += (double) vec->x[i] * (double) vec->x[i];

	return sqrt((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

Datum
vecx_vector_norm(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	PG_RETURN_FLOAT8(vector_norm(vec));
}

/* The zero vector stays as it is. */
Datum
vecx_l2_normalize(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *result = vecx_vector_make(vec->dim);
	double		norm = vector_norm(vec);

	/* no quotient exceeds 1, so none overflows */
	if (norm > 0)
	{
		for (int i = 0; i < vec->dim; i++)
			result->x[i] = (float) ((double) vec->x[i] / norm);
	}

	PG_RETURN_POINTER(result);
}

static void
check_overflow(const VecxVector *vec)
{
	for (int i = 0; i < vec->dim; i++)
	{
		if (unlikely(isinf(vec->x[i])))
			float_overflow_error();
	}
}

Datum
vecx_vector_add(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	VecxVector *result;

	vecx_check_same_dim(a, b);
	result = vecx_vector_make(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] + b->x[i];

	check_overflow(result);
	PG_RETURN_POINTER(result);
}

Datum
vecx_vector_sub(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	VecxVector *result;

	vecx_check_same_dim(a, b);
	result = vecx_vector_make(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] - b->x[i];

	check_overflow(result);
	PG_RETURN_POINTER(result);
}

Datum
vecx_vector_mul(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	VecxVector *result;

	vecx_check_same_dim(a, b);
	result = vecx_vector_make(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		result->x[i] = a->x[i] * b->x[i];
		if (unlikely(result->x[i] == 0) && a->x[i] != 0 && b->x[i] != 0)
			float_underflow_error();
	}

	check_overflow(result);
	PG_RETURN_POINTER(result);
}

Datum
vecx_vector_concat(PG_FUNCTION_ARGS)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	VecxVector *result = vecx_vector_make(a->dim + b->dim);

	memcpy(result->x, a->x, sizeof(float) * (Size) a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(float) * (Size) b->dim);
	PG_RETURN_POINTER(result);
}

/*
 * Elements start to start + count - 1, counted from 1, as far as they exist:
 * like substring, what lies before the first or after the last is left out.
 */
Datum
vecx_subvector(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	int64		first = PG_GETARG_INT32(1);
	int64		last = first + PG_GETARG_INT32(2) - 1;
	VecxVector *result;

	first = Max(first, 1);
	last = Min(last, vec->dim);
	(void) vecx_check_dim(last - first + 1, -1, NULL);

	result = vecx_vector_make((int) (last - first + 1));
	memcpy(result->x, vec->x + first - 1, sizeof(float) * (Size) result->dim);
	PG_RETURN_POINTER(result);
}

/* One bit an element, set where the element is above zero. */
Datum
vecx_binary_quantize(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	Size		nbytes = VARBITTOTALLEN(vec->dim);
	VarBit	   *result = (VarBit *) palloc0(nbytes);
	bits8	   *bits = VARBITS(result);

	SET_VARSIZE(result, nbytes);
	VARBITLEN(result) = vec->dim;
	for (int i = 0; i < vec->dim; i++)
		bits[i / 8] |= (bits8) ((vec->x[i] > 0) << (7 - i % 8));

	PG_RETURN_VARBIT_P(result);
}

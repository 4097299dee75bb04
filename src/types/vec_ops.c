/*
 * vec_ops.c
 *    Distances and arithmetic of vector and halfvec as SQL sees them.  The sums
 *    are the kernels', in float; roots and quotients are taken in double.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "types/vec_check.h"
#include "utils/float.h"
#include "utils/varbit.h"

static inline Datum
l2_squared_distance(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(elem, a, b);
	PG_RETURN_FLOAT8((double) vecx_elem_l2sq(elem, a, b));
}

static inline Datum
l2_distance(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(elem, a, b);
	PG_RETURN_FLOAT8(sqrt((double) vecx_elem_l2sq(elem, a, b)));
}

static inline Datum
inner_product(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(elem, a, b);
	PG_RETURN_FLOAT8((double) vecx_elem_ip(elem, a, b));
}

static inline Datum
negative_inner_product(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(elem, a, b);
	PG_RETURN_FLOAT8((double) -vecx_elem_ip(elem, a, b));
}

/* NaN when one of the vectors is zero. */
static inline Datum
cosine_distance(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	double		ab;
	double		aa;
	double		bb;
	double		similarity;

	vecx_check_same_dim(elem, a, b);
	vecx_elem_cosine(elem, a, b, &ab, &aa, &bb);

	/* one root of the product, so that equal vectors come out as exactly 1 */
	similarity = ab / sqrt(aa * bb);
	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;

	PG_RETURN_FLOAT8(1.0 - similarity);
}

/*
 * The same but -Infinity for NaN: the order of descending similarity, in which
 * SQL has NaN first.
 */
static inline Datum
cosine_distance_nan_first(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	double		distance = DatumGetFloat8(cosine_distance(fcinfo, elem));

	PG_RETURN_FLOAT8(isnan(distance) ? -get_float8_infinity() : distance);
}

static inline Datum
l1_distance(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(elem, a, b);
	PG_RETURN_FLOAT8((double) vecx_elem_l1(elem, a, b));
}

static inline Datum
dims(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	PG_RETURN_INT32(vec->dim);
}

/* In double, so that no finite vector overflows. */
static double
l2_norm(const float *x, int dim)
{
	double		sum[4] = {0, 0, 0, 0};
	int			i = 0;

	/* four sums: the additions need not wait for each other */
	for (; i + 4 <= dim; i += 4)
	{
		for (int j = 0; j < 4; j++)
			sum[j] += (double) x[i + j] * (double) x[i + j];
	}
	for (; i < dim; i++)
		sum[0] += (double) x[i] * (double) x[i];

	return sqrt((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static inline Datum
norm(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	PG_RETURN_FLOAT8(l2_norm(vecx_dense_floats(elem, vec), vec->dim));
}

/* The zero vector stays as it is. */
static inline Datum
l2_normalize(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *from = vecx_dense_floats(elem, vec);
	VecxVector *result = vecx_dense_make(elem, vec->dim);
	double		length = l2_norm(from, vec->dim);

	/* no quotient exceeds 1, so none overflows */
	if (length > 0)
	{
		float	   *x = vecx_dense_begin(elem, result);

		for (int i = 0; i < vec->dim; i++)
			x[i] = (float) ((double) from[i] / length);
		vecx_dense_finish(elem, result, x);
	}

	PG_RETURN_POINTER(result);
}

/* Two vectors of one length, and a third for what becomes of their elements. */
typedef struct Operands
{
	const float *a;
	const float *b;
	VecxVector *result;
	float	   *x;
} Operands;

static inline void
begin_elementwise(FunctionCallInfo fcinfo, const VecxElem *elem, Operands *op)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);

	vecx_check_same_dim(elem, a, b);
	op->a = vecx_dense_floats(elem, a);
	op->b = vecx_dense_floats(elem, b);
	op->result = vecx_dense_make(elem, a->dim);
	op->x = vecx_dense_begin(elem, op->result);
}

static inline Datum
add(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	Operands	op;

	begin_elementwise(fcinfo, elem, &op);
	for (int i = 0; i < op.result->dim; i++)
		op.x[i] = op.a[i] + op.b[i];
	vecx_dense_finish(elem, op.result, op.x);
	PG_RETURN_POINTER(op.result);
}

static inline Datum
sub(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	Operands	op;

	begin_elementwise(fcinfo, elem, &op);
	for (int i = 0; i < op.result->dim; i++)
		op.x[i] = op.a[i] - op.b[i];
	vecx_dense_finish(elem, op.result, op.x);
	PG_RETURN_POINTER(op.result);
}

static inline Datum
mul(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	Operands	op;

	begin_elementwise(fcinfo, elem, &op);
	for (int i = 0; i < op.result->dim; i++)
	{
		op.x[i] = op.a[i] * op.b[i];
		if (unlikely(fabsf(op.x[i]) <= elem->vanishing) && op.a[i] != 0 && op.b[i] != 0)
			float_underflow_error();
	}
	vecx_dense_finish(elem, op.result, op.x);
	PG_RETURN_POINTER(op.result);
}

static inline Datum
concat(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	VecxVector *result = vecx_dense_make(elem, a->dim + b->dim);

	memcpy(result->x, a->x, elem->nbytes * (Size) a->dim);
	memcpy(VecxElemAt(elem, result, a->dim), b->x, elem->nbytes * (Size) b->dim);
	PG_RETURN_POINTER(result);
}

/*
 * Elements start to start + count - 1, counted from 1, as far as they exist:
 * like substring, what lies before the first or after the last is left out.
 */
static inline Datum
subvector(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	int64		first = PG_GETARG_INT32(1);
	int64		last = first + PG_GETARG_INT32(2) - 1;
	VecxVector *result;

	first = Max(first, 1);
	last = Min(last, vec->dim);
	(void) vecx_check_dim(elem, last - first + 1, -1, NULL);

	result = vecx_dense_make(elem, (int) (last - first + 1));
	memcpy(result->x, VecxElemAt(elem, vec, first - 1), elem->nbytes * (Size) result->dim);
	PG_RETURN_POINTER(result);
}

/* One bit an element, set where the element is above zero. */
static inline Datum
binary_quantize(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	Size		nbytes = VARBITTOTALLEN(vec->dim);
	VarBit	   *result = (VarBit *) palloc0(nbytes);
	bits8	   *bits = VARBITS(result);
	const float *x = vecx_dense_floats(elem, vec);

	SET_VARSIZE(result, nbytes);
	VARBITLEN(result) = vec->dim;
	for (int i = 0; i < vec->dim; i++)
		bits[i / 8] |= (bits8) ((x[i] > 0) << (7 - i % 8));

	PG_RETURN_VARBIT_P(result);
}

VECX_DENSE_FUNCTION(l2_squared_distance);
VECX_DENSE_FUNCTION(l2_distance);
VECX_DENSE_FUNCTION(inner_product);
VECX_DENSE_FUNCTION(negative_inner_product);
VECX_DENSE_FUNCTION(cosine_distance);
VECX_DENSE_FUNCTION(cosine_distance_nan_first);
VECX_DENSE_FUNCTION(l1_distance);
VECX_DENSE_FUNCTION(dims);
VECX_DENSE_FUNCTION(norm);
VECX_DENSE_FUNCTION(l2_normalize);
VECX_DENSE_FUNCTION(add);
VECX_DENSE_FUNCTION(sub);
VECX_DENSE_FUNCTION(mul);
VECX_DENSE_FUNCTION(concat);
VECX_DENSE_FUNCTION(subvector);
VECX_DENSE_FUNCTION(binary_quantize);

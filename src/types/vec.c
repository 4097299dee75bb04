/*
 * vec.c
 *    Makes vectors and halfvecs, and holds the limits of the types: dimensions
 *    from 1 to VECX_VECTOR_MAX_DIM, and elements that are finite.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "types/vec_check.h"
#include "utils/array.h"
#include "utils/float.h"

VecxVector *
vecx_dense_make(const VecxElem *elem, int dim)
{
	VecxVector *result;
	Size		nbytes;

	(void) vecx_check_dim(elem, dim, -1, NULL);

	nbytes = VecxDenseSize(elem, dim);
	result = (VecxVector *) palloc0(nbytes);
	SET_VARSIZE(result, nbytes);
	result->dim = (int16) dim;
	return result;
}

const float *
vecx_dense_floats(const VecxElem *elem, const VecxVector *vec)
{
	float	   *x;

	if (VecxElemIsFloat(elem))
		return vec->x;
	x = palloc(sizeof(float) * (Size) vec->dim);
	vecx_kernels->f16_to_f32(VecxHalfElems(vec), x, (size_t) vec->dim);
	return x;
}

float *
vecx_dense_begin(const VecxElem *elem, VecxVector *result)
{
	return VecxElemIsFloat(elem) ? result->x : palloc(sizeof(float) * (Size) result->dim);
}

/* Makes x the elements of the result, unless they are in their place already. */
static void
store(const VecxElem *elem, VecxVector *result, const float *x)
{
	if (!VecxElemIsFloat(elem))
		vecx_kernels->f32_to_f16(x, VecxHalfElems(result), (size_t) result->dim);
	else if (x != result->x)
		memcpy(result->x, x, sizeof(float) * (Size) result->dim);
}

void
vecx_dense_finish(const VecxElem *elem, VecxVector *result, const float *x)
{
	for (int i = 0; i < result->dim; i++)
	{
		if (unlikely(fabsf(x[i]) >= elem->limit))
			float_overflow_error();
	}
	store(elem, result, x);
}

void
vecx_dense_import(const VecxElem *elem, VecxVector *result, const float *x)
{
	for (int i = 0; i < result->dim; i++)
	{
		if (unlikely(!isfinite(x[i])))
			vecx_element_error(elem->name, x[i], i + 1, NULL);
		if (unlikely(fabsf(x[i]) >= elem->limit))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%g\" is out of range for type %s", (double) x[i], elem->name),
					 errdetail("Element %d is beyond what half precision holds.", i + 1)));
	}
	store(elem, result, x);
}

/* Does a value have the dimensions that its type modifier (-1: none) asks for? */
bool
vecx_check_typmod(int64 dim, int32 typmod, Node *escontext)
{
	if (typmod != -1 && typmod != dim)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, (int) dim)));
		return false;
	}

	return true;
}

/* Is dim within the limits, and what typmod (-1: any) asks for? */
bool
vecx_check_dim(const VecxElem *elem, int64 dim, int32 typmod, Node *escontext)
{
	if (dim < 1)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", elem->name)));
		return false;
	}

	if (dim > VECX_VECTOR_MAX_DIM)
	{
		errsave(escontext,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions",
						elem->name, VECX_VECTOR_MAX_DIM)));
		return false;
	}

	return vecx_check_typmod(dim, typmod, escontext);
}

/* The type modifier of a type of vectors: their dimensions. */
int32
vecx_typmod_in(ArrayType *array, const char *type, int32 max_dim)
{
	int			n;
	int32	   *typmods = ArrayGetIntegerTypmods(array, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier"),
				 errhint("Write the number of dimensions, as in %s(3).", type)));

	if (typmods[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type)));

	if (typmods[0] > max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type, max_dim)));

	return typmods[0];
}

/* Reports that element number position, counted from 1, is not finite. */
void
vecx_element_error(const char *type, float value, int position, Node *escontext)
{
	if (isnan(value))
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type),
				 errdetail("Element %d is NaN.", position)));
	else
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("infinite value not allowed in %s", type),
				 errdetail("Element %d is infinite.", position)));
}

void
vecx_different_dims(const char *type, int dim_a, int dim_b)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different %s dimensions %d and %d", type, dim_a, dim_b)));
}

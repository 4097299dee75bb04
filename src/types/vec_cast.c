/*
 * vec_cast.c
 *    Casts between vector, halfvec and arrays of numbers, and the length check
 *    that a type modifier asks for.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "compat.h"
#include "types/vec_check.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

static inline Datum
typmod(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	(void) vecx_check_typmod(vec->dim, PG_GETARG_INT32(1), NULL);
	PG_RETURN_POINTER(vec);
}

static void
numeric_elements(ArrayType *array, float *x)
{
	Datum	   *elems;
	int			nelems;

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT,
					  &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
		x[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elems[i]));
	pfree(elems);
}

/*
 * The elements of an integer[], real[], double precision[] or numeric[] as
 * floats; *dim tells how many.
 */
float *
vecx_array_floats(ArrayType *array, int *dim)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const char *data = ARR_DATA_PTR(array);
	float	   *x = palloc(sizeof(float) * (Size) n);

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));

	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));

	/* Without nulls, fixed-width elements are a C array. */
	switch (ARR_ELEMTYPE(array))
	{
		case INT4OID:
			for (int i = 0; i < n; i++)
				x[i] = (float) ((const int32 *) data)[i];
			break;
		case FLOAT4OID:
			memcpy(x, data, sizeof(float) * (Size) n);
			break;
		case FLOAT8OID:
			for (int i = 0; i < n; i++)
				x[i] = (float) ((const float8 *) data)[i];
			break;
		case NUMERICOID:
			numeric_elements(array, x);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("unsupported array type"),
					 errdetail("A vector is made from integer[], real[], double precision[] or numeric[].")));
	}
	*dim = n;
	return x;
}

static inline Datum
from_array(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	int			dim;
	float	   *x = vecx_array_floats(PG_GETARG_ARRAYTYPE_P(0), &dim);
	VecxVector *result;

	(void) vecx_check_dim(elem, dim, PG_GETARG_INT32(1), NULL);
	result = vecx_dense_make(elem, dim);
	vecx_dense_import(elem, result, x);
	PG_RETURN_POINTER(result);
}

/* An array of dim elements of a fixed-width type, its data not yet set. */
static ArrayType *
make_array(Oid elemtype, Size elem_nbytes, int dim)
{
	Size		nbytes = ARR_OVERHEAD_NONULLS(1) + elem_nbytes * (Size) dim;
	ArrayType  *result = (ArrayType *) palloc0(nbytes);

	SET_VARSIZE(result, nbytes);
	result->ndim = 1;
	result->dataoffset = 0;
	result->elemtype = elemtype;
	ARR_DIMS(result)[0] = dim;
	ARR_LBOUND(result)[0] = 1;
	return result;
}

static inline Datum
to_float4(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = vecx_dense_floats(elem, vec);
	ArrayType  *result = make_array(FLOAT4OID, sizeof(float4), vec->dim);

	memcpy(ARR_DATA_PTR(result), x, sizeof(float4) * (Size) vec->dim);
	PG_RETURN_ARRAYTYPE_P(result);
}

static inline Datum
to_float8(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = vecx_dense_floats(elem, vec);
	ArrayType  *result = make_array(FLOAT8OID, sizeof(float8), vec->dim);
	float8	   *data = (float8 *) ARR_DATA_PTR(result);

	for (int i = 0; i < vec->dim; i++)
		data[i] = (float8) x[i];
	PG_RETURN_ARRAYTYPE_P(result);
}

/* Rounds half to even, as the cast of real to integer does. */
static inline Datum
to_int4(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = vecx_dense_floats(elem, vec);
	ArrayType  *result = make_array(INT4OID, sizeof(int32), vec->dim);
	int32	   *data = (int32 *) ARR_DATA_PTR(result);

	for (int i = 0; i < vec->dim; i++)
	{
		float		rounded = rintf(x[i]);

		if (!FLOAT4_FITS_IN_INT32(rounded))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("integer out of range"),
					 errdetail("Element %d is %g.", i + 1, (double) x[i])));
		data[i] = (int32) rounded;
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

static inline Datum
to_numeric(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = vecx_dense_floats(elem, vec);
	Datum	   *elems = palloc_array(Datum, vec->dim);

	for (int i = 0; i < vec->dim; i++)
		elems[i] = DirectFunctionCall1(float4_numeric,
									   Float4GetDatum(x[i]));

	PG_RETURN_ARRAYTYPE_P(construct_array(elems, vec->dim, NUMERICOID,
										  -1, false, TYPALIGN_INT));
}

/* From elements of one type to those of another. */
static VecxVector *
convert(const VecxElem *from, const VecxVector *vec, const VecxElem *to)
{
	VecxVector *result = vecx_dense_make(to, vec->dim);

	vecx_dense_import(to, result, vecx_dense_floats(from, vec));
	return result;
}

PG_FUNCTION_INFO_V1(vecx_vector_to_halfvec);
Datum
vecx_vector_to_halfvec(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	(void) vecx_check_typmod(vec->dim, PG_GETARG_INT32(1), NULL);
	PG_RETURN_POINTER(convert(&vecx_elem_float, vec, &vecx_elem_half));
}

PG_FUNCTION_INFO_V1(vecx_halfvec_to_vector);
Datum
vecx_halfvec_to_vector(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	(void) vecx_check_typmod(vec->dim, PG_GETARG_INT32(1), NULL);
	PG_RETURN_POINTER(convert(&vecx_elem_half, vec, &vecx_elem_float));
}

VECX_DENSE_FUNCTION(typmod);
VECX_DENSE_FUNCTION(from_array);
VECX_DENSE_FUNCTION(to_float4);
VECX_DENSE_FUNCTION(to_float8);
VECX_DENSE_FUNCTION(to_int4);
VECX_DENSE_FUNCTION(to_numeric);

/*
 * vec_cast.c
 *    Casts between vector and arrays of numbers, and the length check that a
 *    type modifier asks for.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "compat.h"
#include "fmgr.h"
#include "types/vec.h"
#include "types/vec_check.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(vecx_vector_typmod);
PG_FUNCTION_INFO_V1(vecx_array_to_vector);
PG_FUNCTION_INFO_V1(vecx_vector_to_float4);
PG_FUNCTION_INFO_V1(vecx_vector_to_float8);
PG_FUNCTION_INFO_V1(vecx_vector_to_int4);
PG_FUNCTION_INFO_V1(vecx_vector_to_numeric);

Datum
vecx_vector_typmod(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	int32		typmod = PG_GETARG_INT32(1);

	(void) vecx_check_dim(vec->dim, typmod, NULL);
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

/* From integer[], real[], double precision[] or numeric[]. */
Datum
vecx_array_to_vector(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int32		typmod = PG_GETARG_INT32(1);
	int			dim = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const char *data = ARR_DATA_PTR(array);
	VecxVector *result;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));

	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));

	(void) vecx_check_dim(dim, typmod, NULL);
	result = vecx_vector_make(dim);

	/* Without nulls, fixed-width elements are a C array. */
	switch (ARR_ELEMTYPE(array))
	{
		case INT4OID:
			for (int i = 0; i < dim; i++)
				result->x[i] = (float) ((const int32 *) data)[i];
			break;
		case FLOAT4OID:
			memcpy(result->x, data, sizeof(float) * (Size) dim);
			break;
		case FLOAT8OID:
			for (int i = 0; i < dim; i++)
				result->x[i] = (float) ((const float8 *) data)[i];
			break;
		case NUMERICOID:
			numeric_elements(array, result->x);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("unsupported array type"),
					 errdetail("A vector is made from integer[], real[], double precision[] or numeric[].")));
	}

	vecx_check_elements(result);
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

Datum
vecx_vector_to_float4(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	ArrayType  *result = make_array(FLOAT4OID, sizeof(float4), vec->dim);

	memcpy(ARR_DATA_PTR(result), vec->x, sizeof(float4) * (Size) vec->dim);
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
vecx_vector_to_float8(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	ArrayType  *result = make_array(FLOAT8OID, sizeof(float8), vec->dim);
	float8	   *data = (float8 *) ARR_DATA_PTR(result);

	for (int i = 0; i < vec->dim; i++)
		data[i] = (float8) vec->x[i];
	PG_RETURN_ARRAYTYPE_P(result);
}

/* Rounds half to even, as the cast of real to integer does. */
Datum
vecx_vector_to_int4(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	ArrayType  *result = make_array(INT4OID, sizeof(int32), vec->dim);
	int32	   *data = (int32 *) ARR_DATA_PTR(result);

	for (int i = 0; i < vec->dim; i++)
	{
		float		rounded = rintf(vec->x[i]);

		if (!FLOAT4_FITS_IN_INT32(rounded))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("integer out of range"),
					 errdetail("Element %d is %g.", i + 1, (double) vec->x[i])));
		data[i] = (int32) rounded;
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
vecx_vector_to_numeric(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	Datum	   *elems = palloc_array(Datum, vec->dim);

	for (int i = 0; i < vec->dim; i++)
		elems[i] = DirectFunctionCall1(float4_numeric,
									   Float4GetDatum(vec->x[i]));

	PG_RETURN_ARRAYTYPE_P(construct_array(elems, vec->dim, NUMERICOID,
										  -1, false, TYPALIGN_INT));
}

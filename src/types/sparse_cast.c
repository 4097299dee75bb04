/*
 * sparse_cast.c
 *    Casts between sparsevec, vector, halfvec and arrays of numbers, and the
 *    length check that a type modifier asks for.
 */
#include "postgres.h"

#include "compat.h"
#include "types/sparse.h"
#include "types/vec_check.h"

PG_FUNCTION_INFO_V1(vecx_sparsevec_typmod);
PG_FUNCTION_INFO_V1(vecx_sparsevec_from_array);

Datum
vecx_sparsevec_typmod(PG_FUNCTION_ARGS)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);

	(void) vecx_check_typmod(vec->dim, PG_GETARG_INT32(1), NULL);
	PG_RETURN_POINTER(vec);
}

/* The elements of x that are not zero. */
static VecxSparsevec *
from_floats(const float *x, int dim)
{
	VecxSparsevec *result;
	int			nnz = 0;
	int			at = 0;

	for (int i = 0; i < dim; i++)
	{
		if (unlikely(!isfinite(x[i])))
			vecx_element_error("sparsevec", x[i], i + 1, NULL);
		nnz += (x[i] != 0);
	}
	(void) vecx_sparse_check_nnz(nnz, NULL);

	result = vecx_sparse_make(dim, nnz);
	for (int i = 0; i < dim; i++)
	{
		if (x[i] != 0)
		{
			result->index[at] = i;
			VecxSparseValues(result)[at++] = x[i];
		}
	}
	return result;
}

Datum
vecx_sparsevec_from_array(PG_FUNCTION_ARGS)
{
	int			dim;
	float	   *x = vecx_array_floats(PG_GETARG_ARRAYTYPE_P(0), &dim);

	(void) vecx_sparse_check_dim(dim, PG_GETARG_INT32(1), NULL);
	PG_RETURN_POINTER(from_floats(x, dim));
}

static inline Datum
to_sparsevec(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);

	(void) vecx_check_typmod(vec->dim, PG_GETARG_INT32(1), NULL);
	PG_RETURN_POINTER(from_floats(vecx_dense_floats(elem, vec), vec->dim));
}

static inline Datum
from_sparsevec(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);
	VecxVector *result;
	float	   *x;

	(void) vecx_check_dim(elem, vec->dim, PG_GETARG_INT32(1), NULL);
	result = vecx_dense_make(elem, vec->dim);
	x = palloc0(sizeof(float) * (Size) vec->dim);
	for (int i = 0; i < vec->nnz; i++)
		x[vec->index[i]] = VecxSparseValues(vec)[i];
	vecx_dense_import(elem, result, x);
	PG_RETURN_POINTER(result);
}

VECX_DENSE_FUNCTION(to_sparsevec);
VECX_DENSE_FUNCTION(from_sparsevec);

/*
 * vec.c
 *    Makes vectors and holds the limits of the type: dimensions from 1 to
 *    VECX_VECTOR_MAX_DIM, and elements that are finite.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "types/vec.h"
#include "types/vec_check.h"

VecxVector *
vecx_vector_make(int dim)
{
	VecxVector *result;
	Size		nbytes;

	(void) vecx_check_dim(dim, -1, NULL);

	nbytes = VECX_VECTOR_SIZE(dim);
	result = (VecxVector *) palloc0(nbytes);
	SET_VARSIZE(result, nbytes);
	result->dim = (int16) dim;
	return result;
}

/* Is dim within the limits, and what typmod (-1: any) asks for? */
bool
vecx_check_dim(int64 dim, int32 typmod, Node *escontext)
{
	if (dim < 1)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("vector must have at least 1 dimension")));
		return false;
	}

	if (dim > VECX_VECTOR_MAX_DIM)
	{
		errsave(escontext,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("vector cannot have more than %d dimensions",
						VECX_VECTOR_MAX_DIM)));
		return false;
	}

	if (typmod != -1 && typmod != dim)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, (int) dim)));
		return false;
	}

	return true;
}

/* Reports that element number position, counted from 1, is not finite. */
void
vecx_element_error(float value, int position, Node *escontext)
{
	if (isnan(value))
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in vector"),
				 errdetail("Element %d is NaN.", position)));
	else
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("infinite value not allowed in vector"),
				 errdetail("Element %d is infinite.", position)));
}

/* Raises an error unless all elements are finite. */
void
vecx_check_elements(const VecxVector *vec)
{
	for (int i = 0; i < vec->dim; i++)
	{
		if (unlikely(!isfinite(vec->x[i])))
			vecx_element_error(vec->x[i], i + 1, NULL);
	}
}

void
vecx_different_dims(int dim_a, int dim_b)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different vector dimensions %d and %d", dim_a, dim_b)));
}

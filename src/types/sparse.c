/*
 * sparse.c
 *    Makes sparsevecs and holds the limits of the type.
 */
#include "postgres.h"

#include "compat.h"
#include "types/sparse.h"
#include "types/vec_check.h"

VecxSparsevec *
vecx_sparse_make(int dim, int nnz)
{
	Size		nbytes = VECX_SPARSEVEC_SIZE(nnz);
	VecxSparsevec *result = (VecxSparsevec *) palloc0(nbytes);

	SET_VARSIZE(result, nbytes);
	result->dim = dim;
	result->nnz = nnz;
	return result;
}

static int
compare_elems(const void *a, const void *b)
{
	int32		x = ((const VecxSparseElem *) a)->index;
	int32		y = ((const VecxSparseElem *) b)->index;

	return (x > y) - (x < y);
}

/* Drops zeros and puts the others in order; returns how many there are. */
static int
tidy(VecxSparseElem *elems, int n)
{
	int			nnz = 0;
	bool		ascending = true;

	for (int i = 0; i < n; i++)
	{
		if (elems[i].value == 0)
			continue;
		if (nnz > 0 && elems[i].index <= elems[nnz - 1].index)
			ascending = false;
		elems[nnz++] = elems[i];
	}
	if (!ascending)
		qsort(elems, nnz, sizeof(VecxSparseElem), compare_elems);
	return nnz;
}

VecxSparsevec *
vecx_sparse_from(int dim, VecxSparseElem *elems, int n, Node *escontext)
{
	VecxSparsevec *result;
	int			nnz;

	nnz = tidy(elems, n);
	if (!vecx_sparse_check_nnz(nnz, escontext) ||
		(nnz > 0 && !vecx_sparse_check_index(elems[nnz - 1].index, dim, escontext)))
		return NULL;
	result = vecx_sparse_make(dim, nnz);
	for (int i = 0; i < nnz; i++)
	{
		if (i > 0 && elems[i].index == elems[i - 1].index)
		{
			errsave(escontext,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("sparsevec indices must not contain duplicates"),
					 errdetail("Index %d occurs twice.", elems[i].index + 1)));
			return NULL;
		}
		result->index[i] = elems[i].index;
		VecxSparseValues(result)[i] = elems[i].value;
	}
	return result;
}

bool
vecx_sparse_check_dim(int64 dim, int32 typmod, Node *escontext)
{
	if (dim < 1)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec must have at least 1 dimension")));
		return false;
	}

	if (dim > VECX_SPARSEVEC_MAX_DIM)
	{
		errsave(escontext,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d dimensions",
						VECX_SPARSEVEC_MAX_DIM)));
		return false;
	}

	return vecx_check_typmod(dim, typmod, escontext);
}

bool
vecx_sparse_check_nnz(int64 nnz, Node *escontext)
{
	if (nnz > VECX_SPARSEVEC_MAX_NNZ)
	{
		errsave(escontext,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d non-zero elements",
						VECX_SPARSEVEC_MAX_NNZ)));
		return false;
	}

	return true;
}

/* Is there an element of that index, counted from 0? */
bool
vecx_sparse_check_index(int64 index, int dim, Node *escontext)
{
	if (index < 0 || index >= dim)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec index out of bounds"),
				 errdetail("Index %lld is not between 1 and %d.", (long long) index + 1, dim)));
		return false;
	}

	return true;
}

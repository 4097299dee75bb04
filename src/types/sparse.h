/*
 * sparse.h
 *    Making sparsevecs, and the checks that every maker shares.
 */
#ifndef VECX_SPARSE_H
#define VECX_SPARSE_H

#include "nodes/nodes.h"
#include "types/vec.h"

/* The elements of a sparsevec that is being made. */
typedef struct VecxSparseElem
{
	int32		index;			/* counted from 0, below the dimensions */
	float		value;
} VecxSparseElem;

/* A sparsevec with room for nnz elements, none set. */
extern VecxSparsevec *vecx_sparse_make(int dim, int nnz);

/*
 * A sparsevec of elements in any order, or NULL after an error.  Those that are
 * zero are left out; elems is sorted on the way.
 */
extern VecxSparsevec *vecx_sparse_from(int dim, VecxSparseElem *elems, int n, Node *escontext);

extern bool vecx_sparse_check_dim(int64 dim, int32 typmod, Node *escontext);
extern bool vecx_sparse_check_nnz(int64 nnz, Node *escontext);
extern bool vecx_sparse_check_index(int64 index, int dim, Node *escontext);

#endif							/* VECX_SPARSE_H */

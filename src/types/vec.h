/*
 * vec.h
 *    The SQL types' in-memory form.  `vector`, `halfvec` and `sparsevec` are,
 *    byte for byte, pgvector's.  `bitvector` has the layout of PostgreSQL's own
 *    bit strings (VarBit).
 */
#ifndef VECX_VEC_H
#define VECX_VEC_H

#include "utils/varbit.h"

#define VECX_VECTOR_MAX_DIM		16000	/* of vector and halfvec */
#define VECX_BITVECTOR_MAX_DIM	64000
#define VECX_SPARSEVEC_MAX_DIM	1000000000
#define VECX_SPARSEVEC_MAX_NNZ	16000	/* elements that are not zero */

/*
 * A vector, and, with half-precision elements in the place of x, a halfvec.
 */
typedef struct VecxVector
{
	int32		vl_len_;		/* varlena header, do not touch */
	int16		dim;			/* number of elements */
	int16		unused;			/* zero; reserved */
	float		x[FLEXIBLE_ARRAY_MEMBER];
} VecxVector;

#define DatumGetVecxVector(d)		((VecxVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECX_VECTOR_P(n)	DatumGetVecxVector(PG_GETARG_DATUM(n))

/* The elements of a halfvec. */
#define VecxHalfElems(vec)			((uint16 *) (vec)->x)

/*
 * A sparsevec: its elements that are not zero, by ascending index.  One value
 * has one representation: no element is 0 or -0, unused is 0.
 */
typedef struct VecxSparsevec
{
	int32		vl_len_;		/* varlena header, do not touch */
	int32		dim;			/* number of elements, most of them zero */
	int32		nnz;			/* number of elements that are not */
	int32		unused;			/* zero; reserved */
	int32		index[FLEXIBLE_ARRAY_MEMBER];	/* nnz, counted from 0 */
	/* then float values[nnz] */
} VecxSparsevec;

#define VECX_SPARSEVEC_SIZE(nnz) \
	(offsetof(VecxSparsevec, index) + (sizeof(int32) + sizeof(float)) * (Size) (nnz))
#define VecxSparseValues(vec)			((float *) ((vec)->index + (vec)->nnz))
#define DatumGetVecxSparsevec(d)		((VecxSparsevec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECX_SPARSEVEC_P(n)	DatumGetVecxSparsevec(PG_GETARG_DATUM(n))

#endif							/* VECX_VEC_H */

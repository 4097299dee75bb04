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

#endif							/* VECX_VEC_H */

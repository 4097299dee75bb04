/*
 * vec.h
 *    The SQL types' in-memory form.  `vector` is, byte for byte, pgvector's.
 *    `bitvector` has the layout of PostgreSQL's own bit strings (VarBit).
 */
#ifndef VECX_VEC_H
#define VECX_VEC_H

#include "utils/varbit.h"

#define VECX_VECTOR_MAX_DIM		16000
#define VECX_BITVECTOR_MAX_DIM	64000

typedef struct VecxVector
{
	int32		vl_len_;		/* varlena header, do not touch */
	int16		dim;			/* number of elements */
	int16		unused;			/* zero; reserved */
	float		x[FLEXIBLE_ARRAY_MEMBER];
} VecxVector;

#define VECX_VECTOR_SIZE(dim)		(offsetof(VecxVector, x) + sizeof(float) * (dim))
#define DatumGetVecxVector(d)		((VecxVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECX_VECTOR_P(n)	DatumGetVecxVector(PG_GETARG_DATUM(n))

/* A zeroed vector of dim elements; raises program_limit_exceeded out of range. */
extern VecxVector *vecx_vector_make(int dim);

#endif							/* VECX_VEC_H */

/*
 * vec_check.h
 *    The checks that every maker of a vector or bitvector shares.  Those with
 *    a Node argument report to that soft-error context and return (the checks:
 *    false), or raise the error when it is NULL.
 */
#ifndef VECX_VEC_CHECK_H
#define VECX_VEC_CHECK_H

#include "nodes/nodes.h"
#include "types/vec.h"

/* vec.c */
extern bool vecx_check_dim(int64 dim, int32 typmod, Node *escontext);
extern void vecx_element_error(float value, int position, Node *escontext);
extern void vecx_check_elements(const VecxVector *vec);
extern void vecx_different_dims(int dim_a, int dim_b) pg_attribute_noreturn();

/* bit_io.c */
extern bool vecx_check_nbits(int64 nbits, int32 typmod, Node *escontext);

static inline void
vecx_check_same_dim(const VecxVector *a, const VecxVector *b)
{
	if (unlikely(a->dim != b->dim))
		vecx_different_dims(a->dim, b->dim);
}

#endif							/* VECX_VEC_CHECK_H */

/*
 * vec_check.h
 *    The checks that every maker of a vector or bitvector shares.  Those with
 *    a Node argument report to that soft-error context and return (the checks:
 *    false), or raise the error when it is NULL.
 */
#ifndef VECX_VEC_CHECK_H
#define VECX_VEC_CHECK_H

#include "nodes/nodes.h"
#include "types/elem.h"
#include "utils/array.h"

/* vec.c */
extern bool vecx_check_dim(const VecxElem *elem, int64 dim, int32 typmod, Node *escontext);
extern bool vecx_check_typmod(int64 dim, int32 typmod, Node *escontext);
extern int32 vecx_typmod_in(ArrayType *array, const char *type, int32 max_dim);
extern void vecx_element_error(const char *type, float value, int position, Node *escontext);
extern void vecx_different_dims(const char *type, int dim_a, int dim_b) pg_attribute_noreturn();

/* vec_cast.c */
extern float *vecx_array_floats(ArrayType *array, int *dim);

/* bit_io.c */

static inline void
vecx_check_same_dim(const VecxElem *elem, const VecxVector *a, const VecxVector *b)
{
	if (unlikely(a->dim != b->dim))
		vecx_different_dims(elem->name, a->dim, b->dim);
}

#endif							/* VECX_VEC_CHECK_H */

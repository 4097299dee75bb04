/*
 * vec_cmp.c
 *    Order, equality and hash of vector and halfvec.  They are ordered by their
 *    elements and then by their length, as arrays are; 0 and -0 are equal and
 *    hash alike.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "types/elem.h"

/* An integer that orders finite numbers in half precision as they are ordered. */
static inline int
half_rank(uint16 half)
{
	int			magnitude = half & 0x7fff;

	return half & 0x8000 ? -magnitude : magnitude;
}

static inline int
compare(const VecxElem *elem, const VecxVector *a, const VecxVector *b)
{
	int			dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (VecxElemIsFloat(elem))
		{
			if (a->x[i] < b->x[i])
				return -1;
			if (a->x[i] > b->x[i])
				return 1;
		}
		else
		{
			int			diff = half_rank(VecxHalfElems(a)[i]) - half_rank(VecxHalfElems(b)[i]);

			if (diff != 0)
				return diff < 0 ? -1 : 1;
		}
	}

	return (a->dim > b->dim) - (a->dim < b->dim);
}

static inline bool
equal(const VecxElem *elem, const VecxVector *a, const VecxVector *b)
{
	if (a->dim != b->dim)
		return false;

	/* most equal vectors are equal to the bit */
	return memcmp(a->x, b->x, elem->nbytes * (Size) a->dim) == 0 ||
		compare(elem, a, b) == 0;
}

static inline Datum
lt(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_BOOL(compare(elem, PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) < 0);
}

static inline Datum
le(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_BOOL(compare(elem, PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) <= 0);
}

static inline Datum
eq(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_BOOL(equal(elem, PG_GETARG_VECX_VECTOR_P(0),
						 PG_GETARG_VECX_VECTOR_P(1)));
}

static inline Datum
ne(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_BOOL(!equal(elem, PG_GETARG_VECX_VECTOR_P(0),
						  PG_GETARG_VECX_VECTOR_P(1)));
}

static inline Datum
ge(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_BOOL(compare(elem, PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) >= 0);
}

static inline Datum
gt(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_BOOL(compare(elem, PG_GETARG_VECX_VECTOR_P(0),
						   PG_GETARG_VECX_VECTOR_P(1)) > 0);
}

/* A btree or merge join calls this often: copies made by detoasting are freed. */
static inline Datum
cmp(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *a = PG_GETARG_VECX_VECTOR_P(0);
	VecxVector *b = PG_GETARG_VECX_VECTOR_P(1);
	int			result = compare(elem, a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_INT32(result);
}

/* Is element number i -0, whose only bit is the sign? */
static inline bool
is_minus_zero(const VecxElem *elem, const VecxVector *vec, int i)
{
	return VecxElemIsFloat(elem) ?
		*(const uint32 *) VecxElemAt(elem, vec, i) == UINT32_C(0x80000000) :
		*(const uint16 *) VecxElemAt(elem, vec, i) == 0x8000;
}

/* The bytes of the elements of vec, or a copy of them in which each -0 is 0. */
static inline const unsigned char *
hashable_elements(const VecxElem *elem, const VecxVector *vec)
{
	char	   *copy;
	int			i;

	for (i = 0; i < vec->dim && !is_minus_zero(elem, vec, i); i++)
		;
	if (i == vec->dim)
		return (const unsigned char *) vec->x;

	copy = palloc(elem->nbytes * (Size) vec->dim);
	memcpy(copy, vec->x, elem->nbytes * (Size) vec->dim);
	for (; i < vec->dim; i++)
	{
		if (is_minus_zero(elem, vec, i))
			memset(copy + elem->nbytes * (Size) i, 0, elem->nbytes);
	}
	return (const unsigned char *) copy;
}

/* A hash of many rows is made in one context: an index of them, an aggregate. */
static inline void
free_hashable(const unsigned char *bytes, const VecxVector *vec)
{
	if (bytes != (const unsigned char *) vec->x)
		pfree(unconstify(unsigned char *, bytes));
}

static inline Datum
hash(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const unsigned char *bytes = hashable_elements(elem, vec);
	Datum		result = hash_any(bytes, vec->dim * (int) elem->nbytes);

	free_hashable(bytes, vec);
	PG_FREE_IF_COPY(vec, 0);
	return result;
}

static inline Datum
hash_extended(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const unsigned char *bytes = hashable_elements(elem, vec);
	Datum		result = hash_any_extended(bytes, vec->dim * (int) elem->nbytes,
										   (uint64) PG_GETARG_INT64(1));

	free_hashable(bytes, vec);
	PG_FREE_IF_COPY(vec, 0);
	return result;
}

VECX_DENSE_FUNCTION(lt);
VECX_DENSE_FUNCTION(le);
VECX_DENSE_FUNCTION(eq);
VECX_DENSE_FUNCTION(ne);
VECX_DENSE_FUNCTION(ge);
VECX_DENSE_FUNCTION(gt);
VECX_DENSE_FUNCTION(cmp);
VECX_DENSE_FUNCTION(hash);
VECX_DENSE_FUNCTION(hash_extended);

/*
 * sparse_ops.c
 *    Distances, order and hash of sparsevec.
 *
 * All distances walk the indices of both vectors in order.  Sums are in double.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "compat.h"
#include "fmgr.h"
#include "types/sparse.h"
#include "types/vec_check.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(vecx_sparsevec_l2_distance);
PG_FUNCTION_INFO_V1(vecx_sparsevec_l2_squared_distance);
PG_FUNCTION_INFO_V1(vecx_sparsevec_inner_product);
PG_FUNCTION_INFO_V1(vecx_sparsevec_negative_inner_product);
PG_FUNCTION_INFO_V1(vecx_sparsevec_cosine_distance);
PG_FUNCTION_INFO_V1(vecx_sparsevec_cosine_distance_nan_first);
PG_FUNCTION_INFO_V1(vecx_sparsevec_l1_distance);
PG_FUNCTION_INFO_V1(vecx_sparsevec_l2_norm);
PG_FUNCTION_INFO_V1(vecx_sparsevec_l2_normalize);
PG_FUNCTION_INFO_V1(vecx_sparsevec_lt);
PG_FUNCTION_INFO_V1(vecx_sparsevec_le);
PG_FUNCTION_INFO_V1(vecx_sparsevec_eq);
PG_FUNCTION_INFO_V1(vecx_sparsevec_ne);
PG_FUNCTION_INFO_V1(vecx_sparsevec_ge);
PG_FUNCTION_INFO_V1(vecx_sparsevec_gt);
PG_FUNCTION_INFO_V1(vecx_sparsevec_cmp);
PG_FUNCTION_INFO_V1(vecx_sparsevec_hash);
PG_FUNCTION_INFO_V1(vecx_sparsevec_hash_extended);

/* What a pair of elements adds to a distance. */
typedef enum Term
{
	TERM_IP,
	TERM_L2SQ,
	TERM_L1
} Term;

static inline double
term_of(double x, double y, Term term)
{
	if (term == TERM_IP)
		return x * y;
	if (term == TERM_L2SQ)
		return (x - y) * (x - y);
	return fabs(x - y);
}

/* The sum over all elements that are not zero in both.  term is a constant. */
static inline double
sum_terms(const VecxSparsevec *a, const VecxSparsevec *b, Term term)
{
	const float *x = VecxSparseValues(a);
	const float *y = VecxSparseValues(b);
	double		sum = 0;
	int			i = 0;
	int			j = 0;

	if (unlikely(a->dim != b->dim))
		vecx_different_dims("sparsevec", a->dim, b->dim);

	while (i < a->nnz && j < b->nnz)
	{
		int32		at_a = a->index[i];
		int32		at_b = b->index[j];

		/* the one that is behind, or both, without branches to mispredict */
		double		xi = at_a <= at_b ? (double) x[i] : 0.0;
		double		yj = at_b <= at_a ? (double) y[j] : 0.0;

		sum += term_of(xi, yj, term);
		i += at_a <= at_b;
		j += at_b <= at_a;
	}
	if (term != TERM_IP)
	{
		for (; i < a->nnz; i++)
			sum += term_of((double) x[i], 0.0, term);
		for (; j < b->nnz; j++)
			sum += term_of(0.0, (double) y[j], term);
	}
	return sum;
}

static double
norm2(const VecxSparsevec *vec)
{
	const float *x = VecxSparseValues(vec);
	double		sum = 0;

	for (int i = 0; i < vec->nnz; i++)
		sum += (double) x[i] * (double) x[i];
	return sum;
}

Datum
vecx_sparsevec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sum_terms(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1),
							   TERM_L2SQ));
}

Datum
vecx_sparsevec_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(sum_terms(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1),
									TERM_L2SQ)));
}

Datum
vecx_sparsevec_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sum_terms(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1),
							   TERM_IP));
}

Datum
vecx_sparsevec_negative_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(-sum_terms(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1),
								TERM_IP));
}

/* NaN when one of the vectors is zero. */
static double
cosine_distance(FunctionCallInfo fcinfo)
{
	VecxSparsevec *a = PG_GETARG_VECX_SPARSEVEC_P(0);
	VecxSparsevec *b = PG_GETARG_VECX_SPARSEVEC_P(1);
	double		ab = sum_terms(a, b, TERM_IP);
	double		similarity;

	/* one root of the product, so that equal vectors come out as exactly 1 */
	similarity = ab / sqrt(norm2(a) * norm2(b));
	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;

	return 1.0 - similarity;
}

Datum
vecx_sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(cosine_distance(fcinfo));
}

/* The same but -Infinity for NaN, as of vector. */
Datum
vecx_sparsevec_cosine_distance_nan_first(PG_FUNCTION_ARGS)
{
	double		distance = cosine_distance(fcinfo);

	PG_RETURN_FLOAT8(isnan(distance) ? -get_float8_infinity() : distance);
}

Datum
vecx_sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sum_terms(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1),
							   TERM_L1));
}

Datum
vecx_sparsevec_l2_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(norm2(PG_GETARG_VECX_SPARSEVEC_P(0))));
}

/* The zero vector stays as it is; elements that become zero are dropped. */
Datum
vecx_sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);
	double		norm = sqrt(norm2(vec));
	VecxSparseElem *elems = palloc(sizeof(VecxSparseElem) * Max(vec->nnz, 1));

	for (int i = 0; i < vec->nnz; i++)
	{
		elems[i].index = vec->index[i];
		elems[i].value = (float) ((double) VecxSparseValues(vec)[i] / norm);
	}
	PG_RETURN_POINTER(vecx_sparse_from(vec->dim, elems, vec->nnz, NULL));
}

/*
 * The order of the vectors that the two stand for: by elements, zeros included,
 * and then by length.
 */
static int
compare(const VecxSparsevec *a, const VecxSparsevec *b)
{
	const float *x = VecxSparseValues(a);
	const float *y = VecxSparseValues(b);
	int32		dim = Min(a->dim, b->dim);
	int			i = 0;

	/* the first difference is where both had the same elements before */
	while (i < a->nnz && i < b->nnz && a->index[i] == b->index[i] && x[i] == y[i])
		i++;
	if (i < a->nnz || i < b->nnz)
	{
		int32		at_a = i < a->nnz ? a->index[i] : PG_INT32_MAX;
		int32		at_b = i < b->nnz ? b->index[i] : PG_INT32_MAX;
		float		xi = at_a <= at_b ? x[i] : 0;
		float		yi = at_b <= at_a ? y[i] : 0;

		if (Min(at_a, at_b) < dim)
			return xi < yi ? -1 : 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/* One value has one representation. */
static bool
same(const VecxSparsevec *a, const VecxSparsevec *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

Datum
vecx_sparsevec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1)) < 0);
}

Datum
vecx_sparsevec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1)) <= 0);
}

Datum
vecx_sparsevec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(same(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1)));
}

Datum
vecx_sparsevec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!same(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1)));
}

Datum
vecx_sparsevec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1)) >= 0);
}

Datum
vecx_sparsevec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_VECX_SPARSEVEC_P(0), PG_GETARG_VECX_SPARSEVEC_P(1)) > 0);
}

/* A btree or merge join calls this often: copies made by detoasting are freed. */
Datum
vecx_sparsevec_cmp(PG_FUNCTION_ARGS)
{
	VecxSparsevec *a = PG_GETARG_VECX_SPARSEVEC_P(0);
	VecxSparsevec *b = PG_GETARG_VECX_SPARSEVEC_P(1);
	int			result = compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_INT32(result);
}

Datum
vecx_sparsevec_hash(PG_FUNCTION_ARGS)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);
	Datum		result = hash_any((unsigned char *) VARDATA(vec), (int) VARSIZE(vec) - VARHDRSZ);

	PG_FREE_IF_COPY(vec, 0);
	return result;
}

Datum
vecx_sparsevec_hash_extended(PG_FUNCTION_ARGS)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);
	Datum		result = hash_any_extended((unsigned char *) VARDATA(vec), (int) VARSIZE(vec) - VARHDRSZ,
										   (uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(vec, 0);
	return result;
}

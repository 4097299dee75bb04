/*
 * vec_within.c
 *    Whether a value lies within a distance of a centre: operators between a value
 *    and a ball, a composite of centre and radius.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/float.h"

#define VECX_BALL_CENTER	1
#define VECX_BALL_RADIUS	2

/* What is at NaN is in no ball, or in all. */
static Datum
within(FunctionCallInfo fcinfo, PGFunction distance, bool nan_too)
{
	HeapTupleHeader ball = PG_GETARG_HEAPTUPLEHEADER(1);
	bool		no_center;
	bool		no_radius;
	Datum		center = GetAttributeByNum(ball, VECX_BALL_CENTER, &no_center);
	Datum		radius = GetAttributeByNum(ball, VECX_BALL_RADIUS, &no_radius);
	double		d;

	if (no_center || no_radius)
		PG_RETURN_NULL();
	d = DatumGetFloat8(DirectFunctionCall2(distance, PG_GETARG_DATUM(0), center));
	PG_RETURN_BOOL((nan_too && isnan(d)) || float8_le(d, DatumGetFloat8(radius)));
}

#define VECX_WITHIN_FUNCTION(name, distance, nan_too) \
	extern Datum distance(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return within(fcinfo, distance, nan_too); \
	} \
	extern int no_such_variable

#define VECX_WITHIN(name, distance) \
	VECX_WITHIN_FUNCTION(vecx_##name##_within, distance, false)
#define VECX_WITHIN_OR_NAN(name, distance) \
	VECX_WITHIN_FUNCTION(vecx_##name##_within_or_nan, distance, true)

VECX_WITHIN(vector_l2, vecx_vector_l2_distance);
VECX_WITHIN(vector_ip, vecx_vector_negative_inner_product);
VECX_WITHIN(vector_cosine, vecx_vector_cosine_distance);
VECX_WITHIN(vector_l1, vecx_vector_l1_distance);
VECX_WITHIN(halfvec_l2, vecx_halfvec_l2_distance);
VECX_WITHIN(halfvec_ip, vecx_halfvec_negative_inner_product);
VECX_WITHIN(halfvec_cosine, vecx_halfvec_cosine_distance);
VECX_WITHIN(halfvec_l1, vecx_halfvec_l1_distance);
VECX_WITHIN(sparsevec_l2, vecx_sparsevec_l2_distance);
VECX_WITHIN(sparsevec_ip, vecx_sparsevec_negative_inner_product);
VECX_WITHIN(sparsevec_cosine, vecx_sparsevec_cosine_distance);
VECX_WITHIN(sparsevec_l1, vecx_sparsevec_l1_distance);
VECX_WITHIN(hamming, vecx_hamming_distance);
VECX_WITHIN(jaccard, vecx_jaccard_distance);
VECX_WITHIN_OR_NAN(vector_cosine, vecx_vector_cosine_distance);
VECX_WITHIN_OR_NAN(halfvec_cosine, vecx_halfvec_cosine_distance);
VECX_WITHIN_OR_NAN(sparsevec_cosine, vecx_sparsevec_cosine_distance);

/*
 * ball_radius(bound, factor, term, margin): the radius beyond which
 * factor * distance + term, computed with rounding of its terms by up to margin, is
 * not below bound; or not above it, if factor is negative.  Never an error: what is
 * out of range is infinite, and ends no search.
 */
PG_FUNCTION_INFO_V1(vecx_ball_radius);
Datum
vecx_ball_radius(PG_FUNCTION_ARGS)
{
	double		bound = PG_GETARG_FLOAT8(0);
	double		factor = PG_GETARG_FLOAT8(1);
	double		term = PG_GETARG_FLOAT8(2);
	double		margin = PG_GETARG_FLOAT8(3);
	double		radius = (bound - term) / factor;

	margin += 16 * DBL_EPSILON * (fabs(bound) + fabs(term));
	PG_RETURN_FLOAT8(radius + margin / fabs(factor) + 16 * DBL_EPSILON * fabs(radius));
}

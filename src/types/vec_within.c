/*
 * vec_within.c
 *    Whether a value lies within a distance of a centre: operators between a value
 *    and a ball, a composite of centre and radius.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/float.h"

#define VECX_BALL_CENTER	1
#define VECX_BALL_RADIUS	2

static Datum
within(FunctionCallInfo fcinfo, PGFunction distance)
{
	HeapTupleHeader ball = PG_GETARG_HEAPTUPLEHEADER(1);
	bool		no_center;
	bool		no_radius;
	Datum		center = GetAttributeByNum(ball, VECX_BALL_CENTER, &no_center);
	Datum		radius = GetAttributeByNum(ball, VECX_BALL_RADIUS, &no_radius);

	if (no_center || no_radius)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(float8_le(DatumGetFloat8(DirectFunctionCall2(distance, PG_GETARG_DATUM(0), center)),
							 DatumGetFloat8(radius)));
}

#define VECX_WITHIN(name, distance) \
	extern Datum distance(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(vecx_##name##_within); \
	Datum \
	vecx_##name##_within(PG_FUNCTION_ARGS) \
	{ \
		return within(fcinfo, distance); \
	} \
	extern int no_such_variable

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

/*
 * vec_agg.c
 *    The aggregates avg(vector) and sum(vector).  They share their transition
 *    state: a count and the sums in double, which neither overflow (16,000
 *    dimensions apart, 2^63 floats stay below DBL_MAX) nor lose what float
 *    sums would.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "types/vec.h"
#include "types/vec_check.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(vecx_vector_accum);
PG_FUNCTION_INFO_V1(vecx_vector_combine);
PG_FUNCTION_INFO_V1(vecx_vector_serialize);
PG_FUNCTION_INFO_V1(vecx_vector_deserialize);
PG_FUNCTION_INFO_V1(vecx_vector_avg);
PG_FUNCTION_INFO_V1(vecx_vector_sum);

typedef struct VecxSumState
{
	int64		nvecs;			/* vectors summed, at least 1 */
	int			dim;
	double		sum[FLEXIBLE_ARRAY_MEMBER];
} VecxSumState;

/* A zeroed state in the aggregate's own memory. */
static VecxSumState *
make_state(FunctionCallInfo fcinfo, int dim)
{
	MemoryContext aggcontext;
	VecxSumState *state;

	if (!AggCheckCallContext(fcinfo, &aggcontext))
		elog(ERROR, "aggregate function called in non-aggregate context");

	state = (VecxSumState *)
		MemoryContextAllocZero(aggcontext,
							   offsetof(VecxSumState, sum) + sizeof(double) * (Size) dim);
	state->dim = dim;
	return state;
}

Datum
vecx_vector_accum(PG_FUNCTION_ARGS)
{
	VecxSumState *state;
	VecxVector *vec;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	vec = PG_GETARG_VECX_VECTOR_P(1);
	if (PG_ARGISNULL(0))
		state = make_state(fcinfo, vec->dim);
	else
		state = (VecxSumState *) PG_GETARG_POINTER(0);

	if (state->dim != vec->dim)
		vecx_different_dims(state->dim, vec->dim);

	state->nvecs++;
	for (int i = 0; i < vec->dim; i++)
		state->sum[i] += (double) vec->x[i];

	PG_FREE_IF_COPY(vec, 1);
	PG_RETURN_POINTER(state);
}

Datum
vecx_vector_combine(PG_FUNCTION_ARGS)
{
	VecxSumState *a = PG_ARGISNULL(0) ? NULL : (VecxSumState *) PG_GETARG_POINTER(0);
	VecxSumState *b = PG_ARGISNULL(1) ? NULL : (VecxSumState *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}

	/* b does not outlive the call */
	if (a == NULL)
		a = make_state(fcinfo, b->dim);

	if (a->dim != b->dim)
		vecx_different_dims(a->dim, b->dim);

	a->nvecs += b->nvecs;
	for (int i = 0; i < a->dim; i++)
		a->sum[i] += b->sum[i];
	PG_RETURN_POINTER(a);
}

/* For the leader of a parallel query: the count, then the sums. */
Datum
vecx_vector_serialize(PG_FUNCTION_ARGS)
{
	VecxSumState *state;
	StringInfoData buf;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "aggregate function called in non-aggregate context");

	state = (VecxSumState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buf);
	pq_sendint64(&buf, (uint64) state->nvecs);
	pq_sendbytes(&buf, (const char *) state->sum,
				 (int) sizeof(double) * state->dim);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
vecx_vector_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *serialized;
	StringInfoData buf;
	VecxSumState *state;
	int			nbytes;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "aggregate function called in non-aggregate context");

	serialized = PG_GETARG_BYTEA_PP(0);
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, VARDATA_ANY(serialized),
						   (int) VARSIZE_ANY_EXHDR(serialized));

	nbytes = buf.len - (int) sizeof(int64);
	if (nbytes <= 0 || nbytes % (int) sizeof(double) != 0)
		elog(ERROR, "vector aggregate state has invalid length");

	state = (VecxSumState *) palloc(offsetof(VecxSumState, sum) + (Size) nbytes);
	state->nvecs = pq_getmsgint64(&buf);
	state->dim = nbytes / (int) sizeof(double);
	pq_copymsgbytes(&buf, (char *) state->sum, nbytes);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* The sums divided by divisor, as a vector. */
static VecxVector *
scaled_sum(const VecxSumState *state, double divisor)
{
	VecxVector *result = vecx_vector_make(state->dim);

	for (int i = 0; i < state->dim; i++)
	{
		result->x[i] = (float) (state->sum[i] / divisor);
		if (unlikely(isinf(result->x[i])))
			float_overflow_error();
	}
	return result;
}

Datum
vecx_vector_avg(PG_FUNCTION_ARGS)
{
	VecxSumState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	state = (VecxSumState *) PG_GETARG_POINTER(0);
	PG_RETURN_POINTER(scaled_sum(state, (double) state->nvecs));
}

Datum
vecx_vector_sum(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	PG_RETURN_POINTER(scaled_sum((VecxSumState *) PG_GETARG_POINTER(0), 1.0));
}

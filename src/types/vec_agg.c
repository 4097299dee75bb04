/*
 * vec_agg.c
 *    The aggregates avg and sum of vector and halfvec.  They share their
 *    transition state: a count and the sums in double, which neither overflow
 *    (16,000 dimensions apart, 2^63 floats stay below DBL_MAX) nor lose what
 *    float sums would.
 */
#include "postgres.h"

#include "compat.h"
#include "libpq/pqformat.h"
#include "types/vec_check.h"

PG_FUNCTION_INFO_V1(vecx_sum_serialize);
PG_FUNCTION_INFO_V1(vecx_sum_deserialize);

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

static inline Datum
accum(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxSumState *state;
	VecxVector *vec;
	const float *x;

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
		vecx_different_dims(elem->name, state->dim, vec->dim);

	x = vecx_dense_floats(elem, vec);
	state->nvecs++;
	for (int i = 0; i < vec->dim; i++)
		state->sum[i] += (double) x[i];

	PG_FREE_IF_COPY(vec, 1);
	PG_RETURN_POINTER(state);
}

static inline Datum
combine(FunctionCallInfo fcinfo, const VecxElem *elem)
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
		vecx_different_dims(elem->name, a->dim, b->dim);

	a->nvecs += b->nvecs;
	for (int i = 0; i < a->dim; i++)
		a->sum[i] += b->sum[i];
	PG_RETURN_POINTER(a);
}

/* For the leader of a parallel query: the count, then the sums. */
Datum
vecx_sum_serialize(PG_FUNCTION_ARGS)
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
vecx_sum_deserialize(PG_FUNCTION_ARGS)
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
scaled_sum(const VecxElem *elem, const VecxSumState *state, double divisor)
{
	VecxVector *result = vecx_dense_make(elem, state->dim);
	float	   *x = vecx_dense_begin(elem, result);

	for (int i = 0; i < state->dim; i++)
		x[i] = (float) (state->sum[i] / divisor);
	vecx_dense_finish(elem, result, x);
	return result;
}

static inline Datum
avg(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxSumState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	state = (VecxSumState *) PG_GETARG_POINTER(0);
	PG_RETURN_POINTER(scaled_sum(elem, state, (double) state->nvecs));
}

static inline Datum
sum(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	PG_RETURN_POINTER(scaled_sum(elem, (VecxSumState *) PG_GETARG_POINTER(0), 1.0));
}

VECX_DENSE_FUNCTION(accum);
VECX_DENSE_FUNCTION(combine);
VECX_DENSE_FUNCTION(avg);
VECX_DENSE_FUNCTION(sum);

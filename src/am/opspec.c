/*
 * opspec.c
 *    What each operator class indexes, and how a column value becomes what the
 *    index compares.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "am/am.h"
#include "kernel/kernel.h"
#include "types/vec.h"

/* Vectors whose squared norm is beyond this could overflow float4 when two of
 * them are subtracted: |a - b|^2 <= 4 max(|a|^2, |b|^2). */
#define VECX_MAX_NORM2	(FLT_MAX / 8)

static const VecxOpSpec spec_vector_l2 =
{VECX_METRIC_L2, false, VECX_VECTOR_MAX_DIM};
static const VecxOpSpec spec_vector_ip =
{VECX_METRIC_IP, false, VECX_VECTOR_MAX_DIM};
static const VecxOpSpec spec_vector_cosine =
{VECX_METRIC_COSINE, false, VECX_VECTOR_MAX_DIM};
static const VecxOpSpec spec_vector_l1 =
{VECX_METRIC_L1, false, VECX_VECTOR_MAX_DIM};
static const VecxOpSpec spec_bit_hamming =
{VECX_METRIC_HAMMING, true, VECX_BITVECTOR_MAX_DIM};
static const VecxOpSpec spec_bit_jaccard =
{VECX_METRIC_JACCARD, true, VECX_BITVECTOR_MAX_DIM};

#define VECX_SUPPORT_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(vecx_support_##name); \
	Datum \
	vecx_support_##name(PG_FUNCTION_ARGS) \
	{ \
		PG_RETURN_POINTER(&spec_##name); \
	} \
	extern int no_such_variable

VECX_SUPPORT_FUNCTION(vector_l2);
VECX_SUPPORT_FUNCTION(vector_ip);
VECX_SUPPORT_FUNCTION(vector_cosine);
VECX_SUPPORT_FUNCTION(vector_l1);
VECX_SUPPORT_FUNCTION(bit_hamming);
VECX_SUPPORT_FUNCTION(bit_jaccard);

const VecxOpSpec *
VecxGetOpSpec(Relation index)
{
	FmgrInfo   *proc = index_getprocinfo(index, 1, VECX_SUPPORT_PROC);

	return (const VecxOpSpec *) DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));
}

/* Dimensions the indexed column or expression declares. */
uint32
VecxGetDim(Relation index, const VecxOpSpec *spec)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(index), 0);
	int32		typmod = att->atttypmod;
	Oid			type = getBaseTypeAndTypmod(att->atttypid, &typmod);
	const char *type_name = type == VARBITOID ? "bit" : format_type_be(type);

	if (typmod < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions"),
				 errdetail("Index \"%s\" needs to know how many dimensions all rows have.",
						   RelationGetRelationName(index)),
				 errhint("Declare the column as %s(n), or index an expression such as ((column::%s(n))).",
						 type_name, type_name)));
	if ((uint32) typmod > spec->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %u dimensions for vecx index", spec->max_dim)));
	return (uint32) typmod;
}

static void
check_dim(uint32 expected, int found)
{
	if (expected != (uint32) found)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %u dimensions, not %d", expected, found)));
}

static void
prepare_vector(const VecxOpSpec *spec, uint32 dim, Datum value, VecxInput *input)
{
	VecxVector *vec = DatumGetVecxVector(value);
	float		norm2;

	check_dim(dim, vec->dim);
	input->value = (struct varlena *) vec;
	input->vec = vec->x;
	input->hash = hash_bytes((const unsigned char *) vec->x, (int) (dim * sizeof(float)));
	input->kind = VECX_INPUT_OK;

	norm2 = vecx_kernels->ip_f32(vec->x, vec->x, dim);
	/* written so that NaN, which the type refuses, would be caught as well */
	if (!(norm2 < VECX_MAX_NORM2) ||
		(spec->metric == VECX_METRIC_COSINE && norm2 < FLT_MIN))
	{
		input->kind = VECX_INPUT_UNSCORABLE;
		return;
	}
	if (spec->metric == VECX_METRIC_COSINE)
	{
		float	   *unit = palloc(dim * sizeof(float));
		float		scale = (float) (1.0 / sqrt((double) norm2));

		for (uint32 i = 0; i < dim; i++)
			unit[i] = vec->x[i] * scale;
		input->vec = unit;
	}
}

static void
prepare_bits(uint32 dim, Datum value, VecxInput *input)
{
	VarBit	   *bits = DatumGetVarBitP(value);

	check_dim(dim, VARBITLEN(bits));
	input->value = (struct varlena *) bits;
	input->vec = VARBITS(bits);
	input->hash = hash_bytes(VARBITS(bits), (int) VARBITBYTES(bits));
	input->kind = VECX_INPUT_OK;
}

/*
 * What the index compares of a non-null value; allocates in the current
 * memory context.  Raises if the value has other dimensions than the index.
 */
void
VecxPrepareInput(const VecxOpSpec *spec, uint32 dim, Datum value, VecxInput *input)
{
	if (spec->is_bits)
		prepare_bits(dim, value, input);
	else
		prepare_vector(spec, dim, value, input);
}

/* Whether two detoasted values are the same to the bit. */
bool
VecxSameValue(const struct varlena *a, const struct varlena *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* The operator's distance in the units of VecxOpened.rank (see code.h). */
double
VecxRankFromOperator(VecxMetric metric, double distance)
{
	switch (metric)
	{
		case VECX_METRIC_L2:
			return distance * distance;
		case VECX_METRIC_COSINE:
			return 2.0 * distance;
		default:
			return distance;
	}
}

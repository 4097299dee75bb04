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
#include "types/elem.h"

/* Vectors whose squared norm is beyond this could overflow float4 when two of
 * them are subtracted: |a - b|^2 <= 4 max(|a|^2, |b|^2). */
#define VECX_MAX_NORM2	(FLT_MAX / 8)

static void prepare_vector(const VecxIndex *index, Datum value, VecxInput *input);
static void prepare_halfvec(const VecxIndex *index, Datum value, VecxInput *input);
static void prepare_sparsevec(const VecxIndex *index, Datum value, VecxInput *input);
static void prepare_bits(const VecxIndex *index, Datum value, VecxInput *input);

/* One row of the table, and the support function that returns it. */
#define VECX_OPERATOR_CLASS(name, metric, is_bits, is_sparse, max_dim, prepare) \
	static const VecxOpSpec spec_##name = {metric, is_bits, is_sparse, max_dim, prepare}; \
	PG_FUNCTION_INFO_V1(vecx_support_##name); \
	Datum \
	vecx_support_##name(PG_FUNCTION_ARGS) \
	{ \
		PG_RETURN_POINTER(&spec_##name); \
	} \
	extern int no_such_variable

#define VECX_FLOAT_CLASS(name, metric, type) \
	VECX_OPERATOR_CLASS(name, metric, false, false, VECX_VECTOR_MAX_DIM, prepare_##type)
#define VECX_SPARSE_CLASS(name, metric) \
	VECX_OPERATOR_CLASS(name, metric, false, true, VECX_SPARSEVEC_MAX_DIM, prepare_sparsevec)
#define VECX_BIT_CLASS(name, metric) \
	VECX_OPERATOR_CLASS(name, metric, true, false, VECX_BITVECTOR_MAX_DIM, prepare_bits)

VECX_FLOAT_CLASS(vector_l2, VECX_METRIC_L2, vector);
VECX_FLOAT_CLASS(vector_ip, VECX_METRIC_IP, vector);
VECX_FLOAT_CLASS(vector_cosine, VECX_METRIC_COSINE, vector);
VECX_FLOAT_CLASS(vector_l1, VECX_METRIC_L1, vector);
VECX_FLOAT_CLASS(halfvec_l2, VECX_METRIC_L2, halfvec);
VECX_FLOAT_CLASS(halfvec_ip, VECX_METRIC_IP, halfvec);
VECX_FLOAT_CLASS(halfvec_cosine, VECX_METRIC_COSINE, halfvec);
VECX_FLOAT_CLASS(halfvec_l1, VECX_METRIC_L1, halfvec);
VECX_SPARSE_CLASS(sparsevec_l2, VECX_METRIC_L2);
VECX_SPARSE_CLASS(sparsevec_ip, VECX_METRIC_IP);
VECX_SPARSE_CLASS(sparsevec_cosine, VECX_METRIC_COSINE);
VECX_SPARSE_CLASS(sparsevec_l1, VECX_METRIC_L1);
VECX_BIT_CLASS(bit_hamming, VECX_METRIC_HAMMING);
VECX_BIT_CLASS(bit_jaccard, VECX_METRIC_JACCARD);

/* Whether the operator class of a column is one of vectors: those of filter columns
 * have no support function. */
static bool
is_vector_column(Relation index, AttrNumber attno)
{
	return OidIsValid(index_getprocid(index, attno, VECX_SUPPORT_PROC));
}

/* Raises if the columns of a new index are not a vector and filter columns.  info
 * may be NULL. */
void
VecxCheckColumns(Relation index, const IndexInfo *info)
{
	const char *name = RelationGetRelationName(index);
	int			ncolumns = IndexRelationGetNumberOfKeyAttributes(index);

	if (info && info->ii_ExclusionOps)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("vecx index \"%s\" cannot enforce an exclusion constraint", name),
				 errhint("Use an access method such as gist for the constraint.")));
	if (IndexRelationGetNumberOfAttributes(index) > ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("vecx index \"%s\" cannot have included columns", name),
				 errhint("Columns to filter by are listed after the vector, as in USING vecx (embedding, tenant).")));
	if (!is_vector_column(index, 1))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the first column of vecx index \"%s\" is not a vector", name),
				 errhint("Name the vector first, then columns to filter by, as in USING vecx (embedding, tenant); or use btree.")));
	for (AttrNumber attno = 2; attno <= ncolumns; attno++)
		if (is_vector_column(index, attno))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("vecx index \"%s\" has more than one vector", name),
					 errhint("Create an index for each vector.")));
	if (ncolumns - 1 > VECX_MAX_FILTERS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("vecx index \"%s\" has too many columns", name),
				 errdetail("There can be up to %d columns after the vector.", VECX_MAX_FILTERS)));
}

const VecxOpSpec *
VecxGetOpSpec(Relation index)
{
	FmgrInfo   *proc = index_getprocinfo(index, 1, VECX_SUPPORT_PROC);

	return (const VecxOpSpec *) DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));
}

/* The type of an index's first column, below its domains, and their modifier. */
static Oid
vector_type(Relation index, int32 *typmod)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(index), 0);

	*typmod = att->atttypmod;
	return getBaseTypeAndTypmod(att->atttypid, typmod);
}

/* Dimensions the indexed column or expression declares. */
uint32
VecxGetDim(Relation index, const VecxOpSpec *spec)
{
	int32		typmod;
	Oid			type = vector_type(index, &typmod);
	const char *type_name = type == VARBITOID ? "bit" : format_type_be(type);

	/* its typmod is the most bits that a value has */
	if (type == VARBITOID && typmod >= 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("index \"%s\" cannot be on values of type %s",
						RelationGetRelationName(index), format_type_be(type)),
				 errdetail("All values have to have the same number of bits."),
				 errhint("Declare the column as bit(%d), or index an expression such as ((column::bit(%d))).",
						 typmod, typmod)));
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

/* The same of an index that there is: 0 if its column does not declare them any more. */
uint32
VecxDeclaredDim(Relation index)
{
	int32		typmod;
	Oid			type = vector_type(index, &typmod);

	return type == VARBITOID || typmod < 1 ? 0 : (uint32) typmod;
}

/* Dimensions that the index compares values of so many dimensions in. */
uint32
VecxCodeDim(const VecxOpSpec *spec, uint32 value_dim)
{
	return spec->is_sparse ? Min(value_dim, VECX_HASH_DIM) : value_dim;
}

static void
check_dim(const VecxIndex *index, int found)
{
	uint32		expected = index->meta.value_dim;

	if (expected != (uint32) found)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 index->spec->is_bits ?
				 errmsg("expected %u bits, not %d", expected, found) :
				 errmsg("expected %u dimensions, not %d", expected, found)));
}

/*
 * The rest of preparing a value whose elements are x: is there a distance, and
 * what does the metric want.  x is kept by reference.
 */
static void
prepare_floats(const VecxIndex *index, const float *x, VecxInput *input)
{
	uint32		dim = index->meta.dim;
	bool		cosine = index->spec->metric == VECX_METRIC_COSINE;
	float		norm2 = vecx_kernels->ip_f32(x, x, dim);

	input->vec = x;
	input->kind = VECX_INPUT_OK;
	/* written so that NaN, which the types refuse, would be caught as well */
	if (!(norm2 < VECX_MAX_NORM2) || (cosine && norm2 < FLT_MIN))
		input->kind = VECX_INPUT_UNSCORABLE;
	else if (cosine)
	{
		float	   *unit = palloc(dim * sizeof(float));
		float		scale = (float) (1.0 / sqrt((double) norm2));

		for (uint32 i = 0; i < dim; i++)
			unit[i] = x[i] * scale;
		input->vec = unit;
	}
}

static void
prepare_dense(const VecxIndex *index, const VecxElem *elem, Datum value, VecxInput *input)
{
	VecxVector *vec = DatumGetVecxVector(value);

	check_dim(index, vec->dim);
	input->value = (struct varlena *) vec;
	input->bytes = vec->x;
	input->nbytes = (int) (vec->dim * elem->nbytes);
	prepare_floats(index, vecx_dense_floats(elem, vec), input);
}

static void
prepare_vector(const VecxIndex *index, Datum value, VecxInput *input)
{
	prepare_dense(index, &vecx_elem_float, value, input);
}

static void
prepare_halfvec(const VecxIndex *index, Datum value, VecxInput *input)
{
	prepare_dense(index, &vecx_elem_half, value, input);
}

/*
 * The values of a sparsevec; under cosine those of its unit vector, taken in
 * double, as the operator computes: no length is too great or small for it.
 */
static const float *
sparse_values(const VecxIndex *index, const VecxSparsevec *vec)
{
	const float *values = VecxSparseValues(vec);
	float	   *unit;
	double		norm2 = 0;

	if (index->spec->metric != VECX_METRIC_COSINE)
		return values;
	for (int i = 0; i < vec->nnz; i++)
		norm2 += (double) values[i] * (double) values[i];
	unit = palloc(Max(vec->nnz, 1) * sizeof(float));
	for (int i = 0; i < vec->nnz; i++)
		unit[i] = (float) ((double) values[i] / sqrt(norm2));
	return unit;
}

static void
prepare_sparsevec(const VecxIndex *index, Datum value, VecxInput *input)
{
	VecxSparsevec *vec = DatumGetVecxSparsevec(value);
	const float *values = sparse_values(index, vec);
	float	   *x = palloc0(index->meta.dim * sizeof(float));

	check_dim(index, vec->dim);
	input->value = (struct varlena *) vec;
	input->bytes = VARDATA(vec);
	input->nbytes = (int) VARSIZE(vec) - VARHDRSZ;
	if (VecxIsHashed(index))
		vecx_hash_project(index->meta.seed, (size_t) vec->nnz, vec->index, values, x);
	else
		for (int i = 0; i < vec->nnz; i++)
			x[vec->index[i]] = values[i];
	prepare_floats(index, x, input);
}

static void
prepare_bits(const VecxIndex *index, Datum value, VecxInput *input)
{
	VarBit	   *bits = DatumGetVarBitP(value);

	check_dim(index, VARBITLEN(bits));
	input->value = (struct varlena *) bits;
	input->vec = VARBITS(bits);
	input->bytes = VARBITS(bits);
	input->nbytes = (int) VARBITBYTES(bits);
	input->kind = VECX_INPUT_OK;
}

/*
 * What the index compares of a non-null value; allocates in the current
 * memory context.  Raises if the value has other dimensions than the index.
 */
void
VecxPrepareInput(const VecxIndex *index, Datum value, VecxInput *input)
{
	index->spec->prepare(index, value, input);
}

/* What vertices are found by: of the value as the user gave it. */
uint32
VecxInputHash(const VecxInput *input)
{
	return hash_bytes(input->bytes, input->nbytes);
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

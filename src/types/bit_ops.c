/*
 * bit_ops.c
 *    Distances of bit strings, for bitvector and bit alike, and bitvector's
 *    hash.  Pad bits are zero in both, so whole bytes can be counted.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "fmgr.h"
#include "kernel/kernel.h"
#include "utils/varbit.h"

PG_FUNCTION_INFO_V1(vecx_hamming_distance);
PG_FUNCTION_INFO_V1(vecx_jaccard_distance);
PG_FUNCTION_INFO_V1(vecx_bitvector_hash);
PG_FUNCTION_INFO_V1(vecx_bitvector_hash_extended);

static inline void
check_same_length(const VarBit *a, const VarBit *b)
{
	if (unlikely(VARBITLEN(a) != VARBITLEN(b)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %d and %d",
						VARBITLEN(a), VARBITLEN(b))));
}

Datum
vecx_hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit	   *a = PG_GETARG_VARBIT_P(0);
	VarBit	   *b = PG_GETARG_VARBIT_P(1);

	check_same_length(a, b);
	PG_RETURN_FLOAT8((double) vecx_kernels->hamming(VARBITS(a), VARBITS(b),
													(size_t) VARBITBYTES(a)));
}

/* 1 when no bit is common, also when neither has a bit set. */
Datum
vecx_jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit	   *a = PG_GETARG_VARBIT_P(0);
	VarBit	   *b = PG_GETARG_VARBIT_P(1);
	uint64_t	and_count;
	uint64_t	or_count;

	check_same_length(a, b);
	vecx_kernels->jaccard(VARBITS(a), VARBITS(b), (size_t) VARBITBYTES(a),
						  &and_count, &or_count);
	if (and_count == 0)
		PG_RETURN_FLOAT8(1.0);
	PG_RETURN_FLOAT8(1.0 - (double) and_count / (double) or_count);
}

/* Equal bytes of another length are another value, so the length is hashed. */
Datum
vecx_bitvector_hash(PG_FUNCTION_ARGS)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(0);
	uint32		hash;

	hash = hash_bytes(VARBITS(bits), (int) VARBITBYTES(bits));
	hash ^= hash_bytes_uint32((uint32) VARBITLEN(bits));
	PG_FREE_IF_COPY(bits, 0);
	PG_RETURN_UINT32(hash);
}

/* With seed 0 the low half is vecx_bitvector_hash's, as hash classes demand. */
Datum
vecx_bitvector_hash_extended(PG_FUNCTION_ARGS)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(0);
	uint64		seed = (uint64) PG_GETARG_INT64(1);
	uint64		hash;

	hash = hash_bytes_extended(VARBITS(bits), (int) VARBITBYTES(bits), seed);
	hash ^= hash_bytes_uint32_extended((uint32) VARBITLEN(bits), seed);
	PG_FREE_IF_COPY(bits, 0);
	PG_RETURN_UINT64(hash);
}

/*
 * bit_io.c
 *    Text and binary input of bitvector, its type modifier, and the casts that
 *    have something to check.  Everything that bitvector shares with
 *    PostgreSQL's own bit strings (output, operators) is the server's code,
 *    bound in the SQL script: the layout is the same.
 */
#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "types/vec_check.h"
#include "utils/array.h"
#include "utils/varbit.h"

PG_FUNCTION_INFO_V1(vecx_bitvector_in);
PG_FUNCTION_INFO_V1(vecx_bitvector_recv);
PG_FUNCTION_INFO_V1(vecx_bitvector_typmod_in);
PG_FUNCTION_INFO_V1(vecx_bitvector_typmod);
PG_FUNCTION_INFO_V1(vecx_bytea_to_bitvector);
PG_FUNCTION_INFO_V1(vecx_bitvector_to_bytea);

/* Is nbits within the limits, and what typmod (-1: any) asks for? */
static bool
check_nbits(int64 nbits, int32 typmod, Node *escontext)
{
	if (nbits < 1)
	{
		errsave(escontext,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("bitvector must have at least 1 bit")));
		return false;
	}

	if (nbits > VECX_BITVECTOR_MAX_DIM)
	{
		errsave(escontext,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("bitvector cannot have more than %d bits",
						VECX_BITVECTOR_MAX_DIM)));
		return false;
	}

	if (typmod != -1 && typmod != nbits)
	{
		errsave(escontext,
				(errcode(ERRCODE_STRING_DATA_LENGTH_MISMATCH),
				 errmsg("bit string length %d does not match type bitvector(%d)",
						(int) nbits, typmod)));
		return false;
	}

	return true;
}

/* A zeroed bitvector; the pad bits stay zero. */
static VarBit *
make_bitvector(int nbits)
{
	Size		nbytes = VARBITTOTALLEN(nbits);
	VarBit	   *result = (VarBit *) palloc0(nbytes);

	SET_VARSIZE(result, nbytes);
	VARBITLEN(result) = nbits;
	return result;
}

static void
digit_error(Size position, const char *digits, Node *escontext)
{
	errsave(escontext,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type bitvector"),
			 errdetail("Character %zu is not a %s digit.", position, digits),
			 errhint("Write a bitvector as 1011, B1011 or, in hexadecimal, XB.")));
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* As bit varying: binary digits, or a b or x and binary or hexadecimal ones. */
Datum
vecx_bitvector_in(PG_FUNCTION_ARGS)
{
	const char *lit = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	const char *s = lit;
	bool		hex = (*s == 'x' || *s == 'X');
	Size		ndigits;
	VarBit	   *result;
	bits8	   *bits;

	if (hex || *s == 'b' || *s == 'B')
		s++;

	ndigits = strlen(s);
	if (!check_nbits((int64) ndigits * (hex ? 4 : 1), typmod, escontext))
		PG_RETURN_NULL();

	result = make_bitvector((int) ndigits * (hex ? 4 : 1));
	bits = VARBITS(result);
	for (Size i = 0; i < ndigits; i++)
	{
		int			value = hex_digit(s[i]);

		if (value < 0 || (!hex && value > 1))
		{
			digit_error((Size) (s - lit) + i + 1,
						hex ? "hexadecimal" : "binary", escontext);
			PG_RETURN_NULL();
		}
		if (hex)
			bits[i / 2] |= (bits8) (value << (4 - i % 2 * 4));
		else
			bits[i / 8] |= (bits8) (value << (7 - i % 8));
	}

	PG_RETURN_VARBIT_P(result);
}

/* The number of bits as int4, then the bytes; pad bits are set to zero. */
Datum
vecx_bitvector_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int32		nbits = (int32) pq_getmsgint(buf, sizeof(int32));
	VarBit	   *result;

	(void) check_nbits(nbits, typmod, NULL);

	result = make_bitvector(nbits);
	if (buf->len - buf->cursor != VARBITBYTES(result))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid length in external bitvector"),
				 errdetail("%d bits take %d bytes, but %d follow.",
						   nbits, (int) VARBITBYTES(result),
						   buf->len - buf->cursor)));

	pq_copymsgbytes(buf, (char *) VARBITS(result), VARBITBYTES(result));
	*(VARBITEND(result) - 1) &= (bits8) (BITMASK << VARBITPAD(result));
	PG_RETURN_VARBIT_P(result);
}

Datum
vecx_bitvector_typmod_in(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n;
	int32	   *typmods = ArrayGetIntegerTypmods(array, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier"),
				 errhint("Write the number of bits, as in bitvector(64).")));

	if (typmods[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("length for type bitvector must be at least 1")));

	if (typmods[0] > VECX_BITVECTOR_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("length for type bitvector cannot exceed %d",
						VECX_BITVECTOR_MAX_DIM)));

	PG_RETURN_INT32(typmods[0]);
}

/*
 * Of bitvector to bitvector(n), and of bit and bit varying to both: unlike a
 * cast to bit(n) it never truncates or pads.
 */
Datum
vecx_bitvector_typmod(PG_FUNCTION_ARGS)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(0);
	int32		typmod = PG_GETARG_INT32(1);

	(void) check_nbits(VARBITLEN(bits), typmod, NULL);
	PG_RETURN_VARBIT_P(bits);
}

/* Bit 7 of the first byte comes first. */
Datum
vecx_bytea_to_bitvector(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	int32		typmod = PG_GETARG_INT32(1);
	Size		nbytes = VARSIZE_ANY_EXHDR(bytes);
	VarBit	   *result;

	(void) check_nbits((int64) nbytes * BITS_PER_BYTE, typmod, NULL);

	result = make_bitvector((int) nbytes * BITS_PER_BYTE);
	memcpy(VARBITS(result), VARDATA_ANY(bytes), nbytes);
	PG_RETURN_VARBIT_P(result);
}

/* The last byte is filled up with zero bits. */
Datum
vecx_bitvector_to_bytea(PG_FUNCTION_ARGS)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(0);
	Size		nbytes = (Size) VARBITBYTES(bits);
	bytea	   *result = (bytea *) palloc(VARHDRSZ + nbytes);

	SET_VARSIZE(result, VARHDRSZ + nbytes);
	memcpy(VARDATA(result), VARBITS(bits), nbytes);
	PG_RETURN_BYTEA_P(result);
}

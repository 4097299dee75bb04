/*
 * vec_io.c
 *    Text and binary input and output of vector, and its type modifier.
 *
 * The text form is [x,y,...], the binary form two int16 (dimensions, zero) and
 * the elements as float4, both as pgvector writes them.  Numbers are read as
 * strtof would read them in the C locale, which PostgreSQL sets for
 * LC_NUMERIC, and written in the shortest form that reads back the same.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "compat.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "types/vec.h"
#include "types/vec_check.h"
#include "types/vec_parse.h"
#include "utils/array.h"

/* Of a rejected literal at most this many bytes are quoted. */
#define QUOTED_BYTES	200

PG_FUNCTION_INFO_V1(vecx_vector_in);
PG_FUNCTION_INFO_V1(vecx_vector_out);
PG_FUNCTION_INFO_V1(vecx_vector_typmod_in);
PG_FUNCTION_INFO_V1(vecx_vector_recv);
PG_FUNCTION_INFO_V1(vecx_vector_send);

static inline const char *
skip_space(const char *s)
{
	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	return s;
}

/* The start of s, for an error message. */
static char *
quotable(const char *s, Size nbytes)
{
	int			kept;

	if (nbytes <= QUOTED_BYTES)
		return pnstrdup(s, nbytes);

	kept = pg_mbcliplen(s, (int) Min(nbytes, PG_INT32_MAX), QUOTED_BYTES);
	return psprintf("%.*s...", kept, s);
}

static void
syntax_error(const char *lit, Node *escontext, char *detail)
{
	errsave(escontext,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type vector: \"%s\"",
					quotable(lit, strlen(lit))),
			 errdetail_internal("%s", detail),
			 errhint("Write a vector as [1,2,3].")));
}

/*
 * The number that vecx_parse_float left to strtof.  Returns the character
 * after it, or NULL after an error.
 */
static const char *
parse_hard_float(const char *s, float *value, const char *lit, int element,
				 Node *escontext)
{
	char	   *end;

	/*
	 * strtof skips what the locale calls space, which may be more than
	 * skip_space does.
	 */
	errno = 0;
	if (*s != '\0' && strchr("+-.0123456789iInN", *s) != NULL)
		*value = strtof(s, &end);
	else
		end = unconstify(char *, s);

	if (end == s)
	{
		syntax_error(lit, escontext,
					 psprintf(_("Element %d is not a number."), element));
		return NULL;
	}

	/* Underflow gives zero or a subnormal, as in float4's input. */
	if (errno == ERANGE && isinf(*value))
	{
		errsave(escontext,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for type vector",
						quotable(s, (Size) (end - s)))));
		return NULL;
	}

	if (!isfinite(*value))
	{
		vecx_element_error(*value, element, escontext);
		return NULL;
	}

	return end;
}

/*
 * Reads the elements after "[" into x, up to and with "]".  Returns the
 * character after it, or NULL after an error.
 */
static const char *
parse_elements(const char *s, float *x, int *dim, const char *lit,
			   Node *escontext)
{
	int			n = 0;

	for (;;)
	{
		const char *end;

		if (n == VECX_VECTOR_MAX_DIM)
		{
			(void) vecx_check_dim(n + 1, -1, escontext);
			return NULL;
		}

		s = skip_space(s);
		end = vecx_parse_float(s, &x[n]);
		if (unlikely(end == NULL))
		{
			end = parse_hard_float(s, &x[n], lit, n + 1, escontext);
			if (end == NULL)
				return NULL;
		}
		n++;

		s = skip_space(end);
		if (*s == ',')
			s++;
		else if (*s == ']')
			break;
		else
		{
			syntax_error(lit, escontext,
						 psprintf(_("Element %d is followed by neither \",\" nor \"]\"."), n));
			return NULL;
		}
	}

	*dim = n;
	return s + 1;
}

Datum
vecx_vector_in(PG_FUNCTION_ARGS)
{
	const char *lit = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	float		x[VECX_VECTOR_MAX_DIM];
	const char *s;
	int			dim = 0;
	VecxVector *result;

	s = skip_space(lit);
	if (*s != '[')
	{
		syntax_error(lit, escontext, _("A vector starts with \"[\"."));
		PG_RETURN_NULL();
	}

	s = skip_space(s + 1);
	if (*s == ']')
		s++;
	else
	{
		s = parse_elements(s, x, &dim, lit, escontext);
		if (s == NULL)
			PG_RETURN_NULL();
	}

	if (*skip_space(s) != '\0')
	{
		syntax_error(lit, escontext, _("There is text after the closing \"]\"."));
		PG_RETURN_NULL();
	}

	if (!vecx_check_dim(dim, typmod, escontext))
		PG_RETURN_NULL();

	result = vecx_vector_make(dim);
	memcpy(result->x, x, sizeof(float) * (Size) dim);
	PG_RETURN_POINTER(result);
}

Datum
vecx_vector_out(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	char	   *buf;
	char	   *p;

	/* FLOAT_SHORTEST_DECIMAL_LEN counts a null byte, here the separator */
	buf = palloc((Size) vec->dim * FLOAT_SHORTEST_DECIMAL_LEN + 3);
	p = buf;
	*p++ = '[';
	for (int i = 0; i < vec->dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += float_to_shortest_decimal_bufn(vec->x[i], p);
	}
	*p++ = ']';
	*p = '\0';

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_CSTRING(buf);
}

Datum
vecx_vector_typmod_in(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n;
	int32	   *typmods = ArrayGetIntegerTypmods(array, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier"),
				 errhint("Write the number of dimensions, as in vector(3).")));

	if (typmods[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type vector must be at least 1")));

	if (typmods[0] > VECX_VECTOR_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type vector cannot exceed %d",
						VECX_VECTOR_MAX_DIM)));

	PG_RETURN_INT32(typmods[0]);
}

Datum
vecx_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = (int16) pq_getmsgint(buf, sizeof(int16));
	int			unused = (int16) pq_getmsgint(buf, sizeof(int16));
	int			nbytes;
	const char *p;
	VecxVector *result;

	(void) vecx_check_dim(dim, typmod, NULL);

	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	nbytes = dim * (int) sizeof(float);
	if (buf->len - buf->cursor != nbytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid length in external vector"),
				 errdetail("%d dimensions take %d bytes, but %d follow.",
						   dim, nbytes, buf->len - buf->cursor)));

	p = pq_getmsgbytes(buf, nbytes);
	result = vecx_vector_make(dim);
	for (int i = 0; i < dim; i++)
	{
		uint32		bits;

		memcpy(&bits, p + (Size) i * sizeof(bits), sizeof(bits));
		bits = pg_ntoh32(bits);
		memcpy(&result->x[i], &bits, sizeof(bits));
	}
	vecx_check_elements(result);

	PG_RETURN_POINTER(result);
}

Datum
vecx_vector_send(PG_FUNCTION_ARGS)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, vec->dim * (int) sizeof(float) + 4);
	pq_writeint16(&buf, (uint16) vec->dim);
	pq_writeint16(&buf, (uint16) vec->unused);
	for (int i = 0; i < vec->dim; i++)
	{
		uint32		bits;

		memcpy(&bits, &vec->x[i], sizeof(bits));
		pq_writeint32(&buf, bits);
	}

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * vec_io.c
 *    Text and binary input and output of vector and halfvec, and their type
 *    modifier.
 *
 * The text form is [x,y,...], the binary form two int16 (dimensions, zero) and
 * the elements as float4 or half precision, all as pgvector writes them.
 * Numbers are written in the shortest form that reads back the same float; one
 * in half precision is written as the float that it equals.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "compat.h"
#include "libpq/pqformat.h"
#include "types/vec_check.h"
#include "types/vec_text.h"
#include "utils/array.h"

/*
 * Reads the elements after "[" into x, up to and with "]".  Returns the
 * character after it, or NULL after an error.
 */
static const char *
read_elements(const VecxLiteral *lit, const VecxElem *elem, const char *s, float *x, int *dim)
{
	int			n = 0;

	for (;;)
	{
		if (n == VECX_VECTOR_MAX_DIM)
		{
			(void) vecx_check_dim(elem, n + 1, -1, lit->escontext);
			return NULL;
		}

		s = vecx_read_number(lit, vecx_skip_space(s), n + 1, &x[n]);
		if (s == NULL)
			return NULL;
		n++;

		s = vecx_skip_space(s);
		if (*s == ',')
			s++;
		else if (*s == ']')
			break;
		else
		{
			vecx_syntax_error(lit, psprintf(_("Element %d is followed by neither \",\" nor \"]\"."), n));
			return NULL;
		}
	}

	*dim = n;
	return s + 1;
}

static Datum
in(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxLiteral lit = {elem->name, "[1,2,3]", elem->limit, PG_GETARG_CSTRING(0), fcinfo->context};
	int32		typmod = PG_GETARG_INT32(2);
	float		x[VECX_VECTOR_MAX_DIM];
	const char *s;
	int			dim = 0;
	VecxVector *result;

	s = vecx_skip_space(lit.text);
	if (*s != '[')
	{
		vecx_syntax_error(&lit, psprintf(_("A %s starts with \"[\"."), elem->name));
		PG_RETURN_NULL();
	}

	s = vecx_skip_space(s + 1);
	if (*s == ']')
		s++;
	else
	{
		s = read_elements(&lit, elem, s, x, &dim);
		if (s == NULL)
			PG_RETURN_NULL();
	}

	if (*vecx_skip_space(s) != '\0')
	{
		vecx_syntax_error(&lit, _("There is text after the closing \"]\"."));
		PG_RETURN_NULL();
	}

	if (!vecx_check_dim(elem, dim, typmod, lit.escontext))
		PG_RETURN_NULL();

	result = vecx_dense_make(elem, dim);
	if (VecxElemIsFloat(elem))
		memcpy(result->x, x, sizeof(float) * (Size) dim);
	else
		vecx_kernels->f32_to_f16(x, VecxHalfElems(result), (size_t) dim);
	PG_RETURN_POINTER(result);
}

static Datum
out(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	const float *x = vecx_dense_floats(elem, vec);
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
		p += float_to_shortest_decimal_bufn(x[i], p);
	}
	*p++ = ']';
	*p = '\0';

	if (x != vec->x)
		pfree(unconstify(float *, x));
	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_CSTRING(buf);
}

static Datum
typmod_in(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	PG_RETURN_INT32(vecx_typmod_in(PG_GETARG_ARRAYTYPE_P(0), elem->name, VECX_VECTOR_MAX_DIM));
}

static Datum
recv(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = (int16) pq_getmsgint(buf, sizeof(int16));
	int			unused = (int16) pq_getmsgint(buf, sizeof(int16));
	int			nbytes;
	VecxVector *result;
	const float *x;

	(void) vecx_check_dim(elem, dim, typmod, NULL);

	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	nbytes = dim * (int) elem->nbytes;
	if (buf->len - buf->cursor != nbytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid length in external %s", elem->name),
				 errdetail("%d dimensions take %d bytes, but %d follow.",
						   dim, nbytes, buf->len - buf->cursor)));

	result = vecx_dense_make(elem, dim);
	pq_copymsgbytes(buf, (char *) result->x, nbytes);
	for (int i = 0; i < dim; i++)
	{
		if (VecxElemIsFloat(elem))
		{
			uint32	   *bits = (uint32 *) VecxElemAt(elem, result, i);

			*bits = pg_ntoh32(*bits);
		}
		else
		{
			uint16	   *bits = (uint16 *) VecxElemAt(elem, result, i);

			*bits = pg_ntoh16(*bits);
		}
	}

	x = vecx_dense_floats(elem, result);
	for (int i = 0; i < dim; i++)
	{
		if (unlikely(!isfinite(x[i])))
			vecx_element_error(elem->name, x[i], i + 1, NULL);
	}
	PG_RETURN_POINTER(result);
}

static Datum
send(FunctionCallInfo fcinfo, const VecxElem *elem)
{
	VecxVector *vec = PG_GETARG_VECX_VECTOR_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, vec->dim * (int) elem->nbytes + 4);
	pq_writeint16(&buf, (uint16) vec->dim);
	pq_writeint16(&buf, (uint16) vec->unused);
	for (int i = 0; i < vec->dim; i++)
	{
		if (VecxElemIsFloat(elem))
			pq_writeint32(&buf, *(uint32 *) VecxElemAt(elem, vec, i));
		else
			pq_writeint16(&buf, *(uint16 *) VecxElemAt(elem, vec, i));
	}

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

VECX_DENSE_FUNCTION(in);
VECX_DENSE_FUNCTION(out);
VECX_DENSE_FUNCTION(typmod_in);
VECX_DENSE_FUNCTION(recv);
VECX_DENSE_FUNCTION(send);

/*
 * sparse_io.c
 *    Text and binary input and output of sparsevec, and its type modifier.
 *
 * The text form is {index:value,...}/dimensions, indices counted from 1 and in
 * any order on input; the binary form three int32 (dimensions, elements, zero),
 * the indices as int32, counted from 0 and ascending, and the values as float4.
 * Both are pgvector's.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "compat.h"
#include "libpq/pqformat.h"
#include "types/sparse.h"
#include "types/vec_check.h"
#include "types/vec_text.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(vecx_sparsevec_in);
PG_FUNCTION_INFO_V1(vecx_sparsevec_out);
PG_FUNCTION_INFO_V1(vecx_sparsevec_typmod_in);
PG_FUNCTION_INFO_V1(vecx_sparsevec_recv);
PG_FUNCTION_INFO_V1(vecx_sparsevec_send);

/*
 * Reads an integer; one that is out of all range becomes some that is as well.
 * Returns the character after it, or NULL, without an error, if there is none.
 */
static const char *
read_integer(const char *s, int64 *value)
{
	bool		negative = (*s == '-');
	int64		n = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++)
	{
		if (n <= PG_INT64_MAX / 100)
			n = n * 10 + (*s - '0');
	}
	*value = negative ? -n : n;
	return s;
}

/* The dimensions at the end of a text, for a message; without, the most there can be. */
static int64
stated_dim(const char *s)
{
	const char *slash = strrchr(s, '/');
	int64		dim;

	if (slash && read_integer(vecx_skip_space(slash + 1), &dim) && dim >= 1 && dim <= VECX_SPARSEVEC_MAX_DIM)
		return dim;
	return VECX_SPARSEVEC_MAX_DIM;
}

/*
 * Reads the elements after "{", up to and with "}", those that are zero only to
 * forget them.  Returns the character after it, or NULL after an error.
 */
static const char *
read_elements(const VecxLiteral *lit, const char *s, VecxSparseElem *elems, int *nelems)
{
	int			position = 0;	/* of the element in the text */
	int			n = 0;

	for (;;)
	{
		VecxSparseElem elem;
		int64		index;

		position++;
		s = read_integer(vecx_skip_space(s), &index);
		if (s == NULL)
		{
			vecx_syntax_error(lit, psprintf(_("Element %d does not start with an index."), position));
			return NULL;
		}
		s = vecx_skip_space(s);
		if (*s != ':')
		{
			vecx_syntax_error(lit, psprintf(_("The index of element %d is not followed by \":\"."), position));
			return NULL;
		}
		s = vecx_read_number(lit, vecx_skip_space(s + 1), position, &elem.value);
		if (s == NULL)
			return NULL;

		/* counted from 1 in text; that it is not beyond the dimensions is tested when these are known */
		if ((--index < 0 || index >= VECX_SPARSEVEC_MAX_DIM) &&
			!vecx_sparse_check_index(index, stated_dim(s), lit->escontext))
			return NULL;
		if (elem.value != 0)
		{
			elem.index = (int32) index;
			if (!vecx_sparse_check_nnz(n + 1, lit->escontext))
				return NULL;
			elems[n++] = elem;
		}

		s = vecx_skip_space(s);
		if (*s == ',')
			s++;
		else if (*s == '}')
			break;
		else
		{
			vecx_syntax_error(lit, psprintf(_("Element %d is followed by neither \",\" nor \"}\"."), position));
			return NULL;
		}
	}

	*nelems = n;
	return s + 1;
}

Datum
vecx_sparsevec_in(PG_FUNCTION_ARGS)
{
	VecxLiteral lit = {"sparsevec", "{1:0.5,7:2}/9", INFINITY, PG_GETARG_CSTRING(0),
	fcinfo->context};
	int32		typmod = PG_GETARG_INT32(2);
	VecxSparseElem *elems;
	VecxSparsevec *result;
	const char *s;
	int			nelems = 0;
	int64		dim;

	s = vecx_skip_space(lit.text);
	if (*s != '{')
	{
		vecx_syntax_error(&lit, _("A sparsevec starts with \"{\"."));
		PG_RETURN_NULL();
	}

	/* an element takes four characters, the last one three */
	elems = palloc(sizeof(VecxSparseElem) *
				   Min(strlen(lit.text) / 4 + 1, VECX_SPARSEVEC_MAX_NNZ));
	s = vecx_skip_space(s + 1);
	if (*s == '}')
		s++;
	else
	{
		s = read_elements(&lit, s, elems, &nelems);
		if (s == NULL)
			PG_RETURN_NULL();
	}

	s = vecx_skip_space(s);
	s = *s == '/' ? read_integer(vecx_skip_space(s + 1), &dim) : NULL;
	if (s == NULL)
	{
		vecx_syntax_error(&lit, _("The elements are not followed by \"/\" and the number of dimensions."));
		PG_RETURN_NULL();
	}

	if (*vecx_skip_space(s) != '\0')
	{
		vecx_syntax_error(&lit, _("There is text after the number of dimensions."));
		PG_RETURN_NULL();
	}

	if (!vecx_sparse_check_dim(dim, typmod, lit.escontext))
		PG_RETURN_NULL();
	result = vecx_sparse_from((int) dim, elems, nelems, lit.escontext);
	pfree(elems);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(result);
}

/* An index takes up to 10 characters; the separator is the null byte that
 * FLOAT_SHORTEST_DECIMAL_LEN counts. */
#define ELEMENT_LEN		(10 + 1 + FLOAT_SHORTEST_DECIMAL_LEN)

Datum
vecx_sparsevec_out(PG_FUNCTION_ARGS)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);
	const float *values = VecxSparseValues(vec);
	char	   *buf = palloc((Size) vec->nnz * ELEMENT_LEN + 14);
	char	   *p = buf;

	*p++ = '{';
	for (int i = 0; i < vec->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ltoa(vec->index[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(values[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	(void) pg_ltoa(vec->dim, p);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_CSTRING(buf);
}

Datum
vecx_sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vecx_typmod_in(PG_GETARG_ARRAYTYPE_P(0), "sparsevec", VECX_SPARSEVEC_MAX_DIM));
}

/* Reads the head of the binary form: dimensions, elements, zero. */
static void
receive_head(StringInfo buf, int32 typmod, int *dim, int *nnz)
{
	int			unused;

	*dim = (int32) pq_getmsgint(buf, sizeof(int32));
	*nnz = (int32) pq_getmsgint(buf, sizeof(int32));
	unused = (int32) pq_getmsgint(buf, sizeof(int32));

	(void) vecx_sparse_check_dim(*dim, typmod, NULL);
	if (*nnz < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec cannot have negative number of elements")));
	(void) vecx_sparse_check_nnz(*nnz, NULL);
	if (*nnz > *dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more elements than dimensions")));
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));
}

Datum
vecx_sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	VecxSparsevec *result;
	int			dim;
	int			nnz;
	int			nbytes;

	receive_head(buf, PG_GETARG_INT32(2), &dim, &nnz);
	nbytes = nnz * (int) (sizeof(int32) + sizeof(float));
	if (buf->len - buf->cursor != nbytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid length in external sparsevec"),
				 errdetail("%d elements take %d bytes, but %d follow.",
						   nnz, nbytes, buf->len - buf->cursor)));

	result = vecx_sparse_make(dim, nnz);
	for (int i = 0; i < nnz; i++)
	{
		int32		index = (int32) pq_getmsgint(buf, sizeof(int32));

		(void) vecx_sparse_check_index(index, dim, NULL);
		if (i > 0 && index < result->index[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("sparsevec indices must be in ascending order")));
		if (i > 0 && index == result->index[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("sparsevec indices must not contain duplicates")));
		result->index[i] = index;
	}
	for (int i = 0; i < nnz; i++)
	{
		float		value = pq_getmsgfloat4(buf);

		if (unlikely(!isfinite(value)))
			vecx_element_error("sparsevec", value, i + 1, NULL);
		if (value == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("binary representation of sparsevec cannot contain zero values")));
		VecxSparseValues(result)[i] = value;
	}

	PG_RETURN_POINTER(result);
}

Datum
vecx_sparsevec_send(PG_FUNCTION_ARGS)
{
	VecxSparsevec *vec = PG_GETARG_VECX_SPARSEVEC_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, (uint32) vec->dim);
	pq_sendint32(&buf, (uint32) vec->nnz);
	pq_sendint32(&buf, (uint32) vec->unused);
	for (int i = 0; i < vec->nnz; i++)
		pq_sendint32(&buf, (uint32) vec->index[i]);
	for (int i = 0; i < vec->nnz; i++)
		pq_sendfloat4(&buf, VecxSparseValues(vec)[i]);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * vec_text.c
 *    Numbers in the text forms of vectors, and complaints about them.
 *
 * Numbers are read as strtof would read them in the C locale, which PostgreSQL
 * sets for LC_NUMERIC.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "mb/pg_wchar.h"
#include "types/vec_check.h"
#include "types/vec_parse.h"
#include "types/vec_text.h"

/* Of a rejected literal at most this many bytes are quoted. */
#define QUOTED_BYTES	200

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

void
vecx_syntax_error(const VecxLiteral *lit, const char *detail)
{
	errsave(lit->escontext,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"",
					lit->type, quotable(lit->text, strlen(lit->text))),
			 errdetail_internal("%s", detail),
			 errhint("Write a %s as %s.", lit->type, lit->hint)));
}

static const char *
range_error(const VecxLiteral *lit, const char *s, const char *end)
{
	errsave(lit->escontext,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s",
					quotable(s, (Size) (end - s)), lit->type)));
	return NULL;
}

/* The number that vecx_parse_float left to strtof. */
static const char *
read_hard_number(const VecxLiteral *lit, const char *s, int element, float *value)
{
	char	   *end;

	/*
	 * strtof skips what the locale calls space, which may be more than
	 * vecx_skip_space does.
	 */
	errno = 0;
	if (*s != '\0' && strchr("+-.0123456789iInN", *s) != NULL)
		*value = strtof(s, &end);
	else
		end = unconstify(char *, s);

	if (end == s)
	{
		vecx_syntax_error(lit, psprintf(_("Element %d is not a number."), element));
		return NULL;
	}

	/* Underflow gives zero or a subnormal, as in float4's input. */
	if (errno == ERANGE && isinf(*value))
		return range_error(lit, s, end);

	if (!isfinite(*value))
	{
		vecx_element_error(lit->type, *value, element, lit->escontext);
		return NULL;
	}

	return end;
}

const char *
vecx_read_number(const VecxLiteral *lit, const char *s, int element, float *value)
{
	const char *end = vecx_parse_float(s, value);

	if (unlikely(end == NULL))
	{
		end = read_hard_number(lit, s, element, value);
		if (end == NULL)
			return NULL;
	}
	if (unlikely(fabsf(*value) >= lit->limit))
		return range_error(lit, s, end);
	return end;
}

/*
 * vec_text.h
 *    What the text forms of all types of vectors have in common.
 */
#ifndef VECX_VEC_TEXT_H
#define VECX_VEC_TEXT_H

#include "nodes/nodes.h"

/* A literal that is being read. */
typedef struct VecxLiteral
{
	const char *type;			/* SQL type */
	const char *hint;			/* how to write one */
	float		limit;			/* numbers from here on are out of its range */
	const char *text;
	Node	   *escontext;
} VecxLiteral;

static inline const char *
vecx_skip_space(const char *s)
{
	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	return s;
}

extern void vecx_syntax_error(const VecxLiteral *lit, const char *detail);

/*
 * Reads the number at s, which is element number element, counted from 1.
 * Returns the character after it, or NULL after an error.
 */
extern const char *vecx_read_number(const VecxLiteral *lit, const char *s, int element,
									float *value);

#endif							/* VECX_VEC_TEXT_H */

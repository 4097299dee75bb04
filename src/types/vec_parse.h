/*
 * vec_parse.h
 *    Decimal text to float32, correctly rounded, for the numbers that vectors
 *    are made of.  Pure C.
 */
#ifndef VECX_VEC_PARSE_H
#define VECX_VEC_PARSE_H

/*
 * Reads the decimal number [+-]digits[.digits][e[+-]digits] at s (a
 * null-terminated string), stores the float nearest to it, ties to even, in
 * *value and returns the first character after it.  Returns NULL, and leaves
 * *value alone, when s holds something else or the answer cannot be told
 * cheaply; then strtof has to decide.
 */
extern const char *vecx_parse_float(const char *s, float *value);

#endif							/* VECX_VEC_PARSE_H */

/*
 * vec_parse.c
 *    Decimal text to float32.
 *
 * The first 18 or so significant digits are gathered in an integer w, and
 * d = w * 10^e is computed in double.  Relative errors: dropped digits below
 * 10^-17, conversion of w, power of ten and product or quotient 2^-53 each;
 * together less than 3.1 * 2^-53 + 10^-17, which is under 4 units in the last
 * place of d.  Rounding d to float then gives the float nearest to the number
 * itself unless d lies that near to a midpoint of two floats.  A midpoint has
 * the 29 bits that a float lacks equal to 1 followed by zeros, so nearness is
 * an integer comparison.
 */
#include "types/vec_parse.h"

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAX_POWER	60			/* 10^-60 * 10^18 is below the least float */
#define DROPPED_BITS	29		/* 53 - 24 */
#define MIDPOINT	(INT64_C(1) << (DROPPED_BITS - 1))
#define MARGIN		8			/* ulps of d; the error is under 4 */

/* below this another digit fits: the result stays under 10^18 < 2^63 */
#define W_LIMIT		INT64_C(100000000000000000)

static const double power10[MAX_POWER + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
	1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29,
	1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39,
	1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49,
	1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59,
	1e60
};

static inline unsigned
digit_of(char c)
{
	return (unsigned) (unsigned char) c - '0';
}

/* w * 10^exp10 as a float, or 0 when that is not settled by double arithmetic */
static inline int
scale_to_float(int64_t w, int64_t exp10, float *value)
{
	double		d;
	int64_t		bits;
	int64_t		off;

	if (exp10 < -MAX_POWER || exp10 > MAX_POWER)
		return 0;

	d = exp10 < 0 ? (double) w / power10[-exp10] : (double) w * power10[exp10];

	/* subnormal floats have other midpoints */
	if (!(d >= (double) FLT_MIN && d <= (double) FLT_MAX))
		return 0;

	memcpy(&bits, &d, sizeof(bits));
	off = (bits & ((INT64_C(1) << DROPPED_BITS) - 1)) - MIDPOINT;
	if (off >= -MARGIN && off <= MARGIN)
		return 0;

	*value = (float) d;
	return 1;
}

/*
 * The exponent at s, which points at 'e'.  Adds it to *exp10 and returns the
 * character after it; without digits the 'e' is not part of the number.
 */
static const char *
read_exponent(const char *s, int64_t *exp10)
{
	const char *p = s + 1;
	int			negative = (*p == '-');
	int64_t		e = 0;

	if (*p == '-' || *p == '+')
		p++;
	if (digit_of(*p) > 9)
		return s;

	for (; digit_of(*p) <= 9; p++)
	{
		/* as many digits before it could make good: text has at most 2^30 */
		if (e < INT64_C(1000000000000))
			e = e * 10 + digit_of(*p);
	}

	*exp10 += negative ? -e : e;
	return p;
}

const char *
vecx_parse_float(const char *s, float *value)
{
	int			negative = (*s == '-');
	int64_t		w = 0;
	int64_t		exp10 = 0;
	const char *start;
	const char *point;
	float		result = 0;

	if (*s == '-' || *s == '+')
		s++;

	start = s;
	for (; digit_of(*s) <= 9; s++)
	{
		if (w < W_LIMIT)
			w = w * 10 + digit_of(*s);
		else
			exp10++;
	}

	if (*s == '.')
	{
		point = ++s;
		for (; digit_of(*s) <= 9 && w < W_LIMIT; s++)
			w = w * 10 + digit_of(*s);
		exp10 -= s - point;
		while (digit_of(*s) <= 9)
			s++;
		if (s == point && point - 1 == start)
			return NULL;		/* a point without a digit */
	}
	else if (s == start || *s == 'x' || *s == 'X')
		return NULL;			/* no number, or perhaps a hexadecimal one */

	if (*s == 'e' || *s == 'E')
		s = read_exponent(s, &exp10);

	if (w != 0 && !scale_to_float(w, exp10, &result))
		return NULL;

	*value = negative ? -result : result;
	return s;
}

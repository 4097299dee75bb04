/*
 * unit.h
 *    What the plain C tests need to speak TAP: one line for each check, the
 *    plan in the end, exit status 1 if a check failed.
 */
#ifndef VECX_UNIT_H
#define VECX_UNIT_H

#include <stdio.h>

static int	unit_checks = 0;
static int	unit_failures = 0;

/* Reports one check; what follows the condition is printf's format and values. */
#define UNIT_CHECK(condition, ...) \
	do { \
		int			unit_good = (condition) ? 1 : 0; \
		\
		unit_checks++; \
		unit_failures += !unit_good; \
		printf("%sok %d - ", unit_good ? "" : "not ", unit_checks); \
		printf(__VA_ARGS__); \
		printf("\n"); \
		if (!unit_good) \
			printf("#   at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
		fflush(stdout); \
	} while (0)

/* Prints the plan; main returns what this does. */
static inline int
unit_done(void)
{
	printf("1..%d\n", unit_checks);
	if (unit_failures > 0)
		printf("# %d of %d checks failed\n", unit_failures, unit_checks);
	return unit_failures > 0;
}

#endif							/* VECX_UNIT_H */

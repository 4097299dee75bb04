/*
 * unit_random.h
 *    Random numbers that the plain C tests begin with: the same each time, but
 *    for a seed that is a program's argument.
 */
#ifndef VECX_UNIT_RANDOM_H
#define VECX_UNIT_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 20240607;

/* Takes the seed from the program's arguments, if there is one, and says which it is. */
static inline void
random_begin(int argc, char **argv)
{
	if (argc > 1)
		random_state = strtoull(argv[1], NULL, 0);
	printf("# seed %llu\n", (unsigned long long) random_state);
}

/* splitmix64 */
static inline uint64_t
random64(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* From 0 to below 1. */
static inline double
random_unit(void)
{
	return (double) (random64() >> 11) * 0x1p-53;
}

static inline double
random_normal(void)
{
	return sqrt(-2.0 * log(random_unit() + 1e-300)) * cos(6.283185307179586 * random_unit());
}

#endif							/* VECX_UNIT_RANDOM_H */

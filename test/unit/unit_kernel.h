/*
 * unit_kernel.h
 *    What the tests of src/kernel share: the tables of kernels, and memory that
 *    ends at a page which cannot be touched.
 */
#ifndef VECX_UNIT_KERNEL_H
#define VECX_UNIT_KERNEL_H

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/kernel/kernel.h"
#include "unit.h"
#include "unit_random.h"

static const char *const table_names[] = {"scalar", "avx2", "avx512", "neon"};

#define NTABLES (sizeof(table_names) / sizeof(table_names[0]))
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Says what differs, but not thousands of times. */
static int	notes_left = 20;

#define NOTE(...) \
	do { \
		if (notes_left-- > 0) \
			printf(__VA_ARGS__); \
	} while (0)

static const size_t long_lengths[] = {255, 256, 257, 768, 1000, 1535, 4099, 16000};

/* From -1 to below 1. */
static inline float
random_signed(void)
{
	return (float) (2.0 * random_unit() - 1.0);
}

static inline void
random_bytes(void *to, size_t nbytes)
{
	for (size_t i = 0; i < nbytes; i++)
		((uint8_t *) to)[i] = (uint8_t) random64();
}

/* ---- memory between two pages that cannot be touched ---- */

#define ARENA_BYTES ((size_t) 4 << 20)

typedef enum Arena
{
	ARENA_A, ARENA_B, ARENA_OUT, ARENA_OUT2, NARENAS
} Arena;

static uint8_t *arenas[NARENAS];

static inline void
make_arenas(void)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);

	for (int i = 0; i < NARENAS; i++)
	{
		uint8_t    *p = mmap(NULL, ARENA_BYTES + 2 * page, PROT_NONE,
							 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || mprotect(p + page, ARENA_BYTES, PROT_READ | PROT_WRITE) != 0)
		{
			perror("mmap");
			exit(1);
		}
		arenas[i] = p + page;
	}
}

/* Room for nbytes that ends (or else begins) at the forbidden page. */
static inline void *
place(Arena arena, size_t nbytes, bool at_end)
{
	if (nbytes > ARENA_BYTES)
	{
		printf("Bail out! %zu bytes do not fit an arena\n", nbytes);
		exit(1);
	}
	return arenas[arena] + (at_end ? ARENA_BYTES - nbytes : 0);
}

/* Runs the tests of one table for each that this processor has. */
static inline int
for_each_table(int argc, char **argv, void (*test)(const VecxKernels *k))
{
	random_begin(argc, argv);
	make_arenas();
	for (size_t i = 0; i < NTABLES; i++)
	{
		const VecxKernels *k = vecx_kernels_named(table_names[i]);

		if (k == NULL)
			printf("# %s: not on this processor\n", table_names[i]);
		else
			test(k);
	}
	return unit_done();
}

#endif							/* VECX_UNIT_KERNEL_H */

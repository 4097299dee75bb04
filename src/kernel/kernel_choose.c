/*
 * kernel_choose.c
 *    Finds out what this processor and system can do, once, and keeps the
 *    table in use.
 */
#include "kernel_impl.h"

#ifdef VECX_KERNEL_X86
#include <cpuid.h>
#endif

/* Tables this processor can run, best first. */
#define MAX_TABLES 3
static const VecxKernels *tables[MAX_TABLES];
static int	ntables = 0;

const VecxKernels *vecx_kernels = &vecx_kernels_scalar;

#ifdef VECX_KERNEL_X86

/* Register state that the system saves at a task switch (XCR0). */
#define XCR0_AVX	0x06		/* xmm, ymm */
#define XCR0_AVX512 0xe6		/* and masks, both halves of the zmm file */
#define XCR0_AMX	0x60000		/* tiles and their configuration */

/* Of CPUID's leaf 7, edx: tiles, their products of bytes, and those of bfloat16, to which
 * leaf 7.1, eax converts. */
#define LEAF7_AMX		(1u << 24 | 1u << 25)
#define LEAF7_AMX_BF16	(1u << 22)
#define LEAF71_BF16		(1u << 5)

/* The avx512 table less what this processor lacks of the later extensions. */
static VecxKernels avx512;

static uint64_t
saved_state(void)
{
	uint32_t	low;
	uint32_t	high;

	__asm__ volatile ("xgetbv":"=a" (low), "=d"(high):"c"(0));
	return (uint64_t) high << 32 | low;
}

static void
find_tables(void)
{
	const unsigned leaf1 = bit_FMA | bit_POPCNT | bit_OSXSAVE | bit_AVX | bit_F16C;
	const unsigned leaf7 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
	unsigned	eax;
	unsigned	ebx;
	unsigned	ecx;
	unsigned	edx;
	uint64_t	state;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf1) != leaf1)
		return;
	state = saved_state();
	if ((state & XCR0_AVX) != XCR0_AVX ||
		!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & bit_AVX2))
		return;
	if ((state & XCR0_AVX512) == XCR0_AVX512 && (ebx & leaf7) == leaf7)
	{
		avx512 = vecx_kernels_avx512;
		if (!(ecx & bit_AVX512VNNI))
		{
			avx512.ip_u8u8 = vecx_kernels_avx2.ip_u8u8;
			avx512.packed_dot = vecx_kernels_avx2.packed_dot;
			avx512.products_u8u8 = vecx_kernels_avx2.products_u8u8;
			avx512.sketch_dot = vecx_kernels_avx2.sketch_dot;
		}
		if (!(ecx & bit_AVX512VPOPCNTDQ))
		{
			avx512.hamming = vecx_kernels_avx2.hamming;
			avx512.jaccard = vecx_kernels_avx2.jaccard;
			avx512.hamming_many = vecx_kernels_avx2.hamming_many;
		}
		if (!(ecx & bit_AVX512VBMI))
			avx512.fastscan8 = vecx_kernels_avx2.fastscan8;
#ifdef VECX_KERNEL_AMX
		if ((ecx & bit_AVX512VNNI) && (edx & LEAF7_AMX) == LEAF7_AMX &&
			(state & XCR0_AMX) == XCR0_AMX)
		{
			avx512.products_u8u8 = vecx_products_u8u8_amx;
			if ((edx & LEAF7_AMX_BF16) && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) &&
				(eax & LEAF71_BF16))
				avx512.gemm_rough = vecx_gemm_rough_amx;
		}
#endif
		tables[ntables++] = &avx512;
	}
	tables[ntables++] = &vecx_kernels_avx2;
}

#else

static void
find_tables(void)
{
#ifdef VECX_KERNEL_NEON
	/* Advanced SIMD is part of every 64-bit ARM system's calling convention. */
	tables[ntables++] = &vecx_kernels_neon;
#endif
}

#endif

__attribute__((constructor)) static void
use_best(void)
{
	if (ntables > 0)
		return;
	find_tables();
	tables[ntables++] = &vecx_kernels_scalar;
	vecx_kernels = tables[0];
}

const VecxKernels *
vecx_kernels_named(const char *name)
{
	use_best();
	for (int i = 0; i < ntables; i++)
		if (strcmp(tables[i]->name, name) == 0)
			return tables[i];
	return NULL;
}

int
vecx_kernels_choose(const char *name)
{
	const VecxKernels *table;

	use_best();
	table = strcmp(name, "auto") == 0 ? tables[0] : vecx_kernels_named(name);
	if (table == NULL)
		return -1;
	vecx_kernels = table;
	return 0;
}

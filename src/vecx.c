/*
 * vecx.c
 *    The library's entry point: the module magic and the settings that belong
 *    to no layer.
 */
#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "kernel/kernel.h"
#include "utils/guc.h"
#include "vecx.h"

VECX_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

typedef enum VecxSimd
{
	VECX_SIMD_AUTO,
	VECX_SIMD_SCALAR,
	VECX_SIMD_AVX2,
	VECX_SIMD_AVX512,
	VECX_SIMD_NEON
} VecxSimd;

static const struct config_enum_entry simd_options[] = {
	{"auto", VECX_SIMD_AUTO, false},
	{"scalar", VECX_SIMD_SCALAR, false},
	{"avx2", VECX_SIMD_AVX2, false},
	{"avx512", VECX_SIMD_AVX512, false},
	{"neon", VECX_SIMD_NEON, false},
	{NULL, 0, false}
};

static int	vecx_simd = VECX_SIMD_AUTO;

static const char *
simd_name(int simd)
{
	for (const struct config_enum_entry *entry = simd_options; entry->name; entry++)
	{
		if (entry->val == simd)
			return entry->name;
	}
	return "auto";
}

static bool
check_simd(int *newval, void **extra, GucSource source)
{
	const char *name = simd_name(*newval);

	if (*newval == VECX_SIMD_AUTO || vecx_kernels_named(name) != NULL)
		return true;

	GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
	GUC_check_errmsg("instruction set \"%s\" is not available here", name);
	GUC_check_errdetail("This processor or this build of vecx lacks it.");
	GUC_check_errhint("Use \"auto\"; it takes the best instruction set that is available.");
	return false;
}

static void
assign_simd(int newval, void *extra)
{
	(void) vecx_kernels_choose(simd_name(newval));
}

void
_PG_init(void)
{
	DefineCustomEnumVariable("vecx.simd",
							 "Sets the instruction set that distances are computed with.",
							 "\"auto\" takes the best that the processor has.",
							 &vecx_simd,
							 VECX_SIMD_AUTO,
							 simd_options,
							 PGC_SUSET,
							 0,
							 check_simd,
							 assign_simd,
							 NULL);

	vecxAmInit();

	/* After the last definition: unknown vecx.* settings are errors from here. */
	MarkGUCPrefixReserved("vecx");
}

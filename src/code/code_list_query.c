/*
 * code_list_query.c
 *    Queries of both quantisers of lists: tables of what a column's codes add, of whole
 *    numbers, their sums over blocks, and estimates.
 */
#include "code_list_int.h"

/* One in so many of PQ's columns may have entries of two bytes; no more once the rest is so much
 * narrower than the widest; and none if all that does not make it so much narrower. */
#define WIDE_OF_COLUMNS	8
#define WIDE_ENOUGH		16.0f
#define WIDE_WORTH		2.0f

static size_t
table_entries(const VecxListCode *code)
{
	return code->column_bytes == 16 ? 16 : 256;
}

/* Columns that two bytes an entry may be spent on: these are scored twice. */
static uint32_t
most_wide(const VecxListCode *code)
{
	return code->quantizer == VECX_LIST_PQ ? code->ncolumns / WIDE_OF_COLUMNS & ~UINT32_C(1) : 0;
}

/* Bytes of a query before its floats. */
static size_t
query_integers(const VecxListCode *code)
{
	size_t		tables = (code->ncolumns + most_wide(code)) * table_entries(code);
	size_t		nbytes = code->extra_bytes > 0 ? tables + 2 * code->pdims : tables;

	return (nbytes + 63) / 64 * 64;
}

static size_t
query_floats(const VecxListCode *code)
{
	return 2 * (size_t) code->pdims + (table_entries(code) + 2) * code->ncolumns;
}

size_t
vecx_list_query_bytes(const VecxListCode *code)
{
	return query_integers(code) + query_floats(code) * sizeof(float) + vecx_list_scratch(code, 1);
}

/* Returns the rest of the scratch. */
static void *
place_query(const VecxListCode *code, VecxListQuery *query, uint8_t *scratch)
{
	size_t		tables = (code->ncolumns + most_wide(code)) * table_entries(code);

	query->tables = scratch;
	query->high = scratch + code->ncolumns * table_entries(code);
	query->parts = code->extra_bytes > 0 ? (int8_t *) (scratch + tables) : NULL;
	query->y = (float *) (void *) (scratch + query_integers(code));
	return query->y + query_floats(code);
}

/* Of two fours the first where the mask says so, else the second. */
static inline VecxFour
pick(VecxFourInts first, VecxFour a, VecxFour b)
{
	return (VecxFour) ((first & (VecxFourInts) a) | (~first & (VecxFourInts) b));
}

static inline float
least_of(VecxFour four)
{
	VecxFour	turned = {four[2], four[3], four[0], four[1]};

	four = pick(turned < four, turned, four);
	return four[0] < four[1] ? four[0] : four[1];
}

/* The least and the greatest of a multiple of four entries; false if one is beyond float, which
 * every query pays for. */
static bool
find_range(const float *table, size_t entries, float *low, float *high)
{
	const VecxFour *fours = (const VecxFour *) (const void *) table;
	VecxFour	least = fours[0];
	VecxFour	greatest = fours[0];
	VecxFour	nothing = fours[0] * 0.0f;

	for (size_t i = 1; i < entries / 4; i++)
	{
		VecxFour	four = fours[i];

		nothing += four * 0.0f;
		least = pick(four < least, four, least);
		greatest = pick(four > greatest, four, greatest);
	}
	*low = least_of(least);
	*high = -least_of(-greatest);
	return nothing[0] + nothing[1] + nothing[2] + nothing[3] == 0.0f;
}

/* The tables as floats, each one's least entry, and how far the greatest is from it. */
static void
float_tables(const VecxListCode *code, const float *y, float *tables, float *least, float *range)
{
	size_t		entries = table_entries(code);

	for (uint32_t c = 0; c < code->ncolumns; c++, tables += entries)
	{
		float		high;
		bool		finite;

		if (code->quantizer == VECX_LIST_RABITQ)
		{
			high = vecx_list_rabitq_tables(y, c, tables, &least[c]);
			finite = isfinite(high - least[c]);
		}
		else
		{
			vecx_list_pq_tables(code, y, c, tables);
			finite = find_range(tables, entries, &least[c], &high);
		}
		if (!finite)
		{
			/* entries beyond float, of vectors near its end, become its end */
			for (size_t i = 0; i < entries; i++)
				tables[i] = vecx_finite((double) tables[i]);
			(void) find_range(tables, entries, &least[c], &high);
		}
		range[c] = vecx_finite((double) high - (double) least[c]);
	}
}

/*
 * Columns whose entries take two bytes, and the step of all.  PQ's first columns have the
 * directions of most variance, and ranges a hundred times those of the last ones (Fashion-MNIST):
 * with one byte an entry the step that the widest needs would leave nothing of most columns,
 * and of the ten nearest .69 were found by codes that find .88.
 */
static void
choose_step(const VecxListCode *code, VecxListQuery *query, float *range)
{
	uint32_t	most = most_wide(code);
	float		widest;
	float		rest;

	/* each becomes the widest from there on */
	for (uint32_t c = code->ncolumns - 1; c > 0; c--)
		range[c - 1] = range[c] > range[c - 1] ? range[c] : range[c - 1];
	rest = widest = range[0];
	query->nwide = 0;
	while (query->nwide < most && rest * WIDE_ENOUGH > widest)
		rest = range[query->nwide += 2];
	if (rest * WIDE_WORTH > widest)
	{
		query->nwide = 0;
		rest = widest;
	}
	/* a step is left for what PQ adds to the greatest entry, which rounding may make one */
	query->delta = code->quantizer == VECX_LIST_PQ ? fmaxf(rest / 254.0f, widest / 65534.0f) : rest / 255.0f;
}

/*
 * What is added to four entries before their fractions are cut off, from 0 to 1.  One half,
 * which rounds, would take all that columns of narrow range tell: the step is that of the
 * widest, and near rows have the greatest entries of all columns, so that their errors add up.
 */
static inline VecxFour
dither(VecxFourWords mixed)
{
	return __builtin_convertvector((VecxFourInts) (mixed >> 8), VecxFour) * 0x1p-24f;
}

/* The lower bytes of sixteen numbers. */
static inline void
put_bytes(const int32_t *numbers, uint8_t *bytes)
{
	typedef int32_t Eight __attribute__((vector_size(32), aligned(4), may_alias));
	typedef uint16_t EightHalves __attribute__((vector_size(16)));
	typedef uint16_t Halves __attribute__((vector_size(32)));
	typedef uint8_t Bytes __attribute__((vector_size(16)));
	EightHalves halves[2];
	Halves		all;
	Bytes		low;

	/* by halves, for compilers take numbers apart one by one else */
	for (int i = 0; i < 2; i++)
		halves[i] = __builtin_convertvector(*(const Eight *) (const void *) (numbers + 8 * i), EightHalves);
	memcpy(&all, halves, sizeof(all));
	low = __builtin_convertvector(all, Bytes);
	memcpy(bytes, &low, sizeof(low));
}

/* The entries of a column's table as steps, and the lower and upper bytes of these.  RABITQ's
 * columns are alike, and rounded. */
static inline void
quantise_entries(const VecxListCode *code, const float *table, float least, float scale, uint32_t column,
				 uint8_t *low, uint8_t *high)
{
	const uint32_t factor = 0x9E3779B1u;
	const VecxFour *fours = (const VecxFour *) (const void *) table;
	size_t		entries = table_entries(code);
	uint32_t	first = column * (uint32_t) entries * factor + column * 0x85EBCA77u;
	VecxFourWords mixed = {first, first + factor, first + 2 * factor, first + 3 * factor};

	for (size_t i = 0; i < entries; i += 16, fours += 4)
	{
		VecxFourInts whole[4];

		for (int k = 0; k < 4; k++, mixed += 4 * factor)
		{
			VecxFour	steps = (fours[k] - least) * scale;

			steps += code->quantizer == VECX_LIST_PQ ? dither(mixed) : (VecxFour) {0.5f, 0.5f, 0.5f, 0.5f};
			whole[k] = __builtin_convertvector(steps, VecxFourInts);
		}
		put_bytes((const int32_t *) whole, low + i);
		if (high == NULL)
			continue;
		for (int k = 0; k < 4; k++)
			whole[k] >>= 8;
		put_bytes((const int32_t *) whole, high + i);
	}
}

void
vecx_list_query_init(const VecxListCode *code, VecxListQuery *query, const float *q, void *scratch)
{
	size_t		entries = table_entries(code);
	void	   *work = place_query(code, query, scratch);
	float	   *tables = query->y + 2 * code->pdims;
	float	   *least = tables + entries * code->ncolumns;
	float		scale;
	float		rounding = 0.0f;
	double		bias = 0.0;

	query->spread = code->score_spread;
	query->norm2 = vecx_finite((double) vecx_kernels->ip_f32(q, q, code->dim));
	if (!vecx_list_pq_project_query(code, q, query->norm2, query->y, &rounding, work))
	{
		vecx_list_project(code, q, query->y, work);
		if (code->proj_floats > code->pdims)
			memcpy(query->y, query->y + code->pdims, code->pdims * sizeof(float));
	}
	float_tables(code, query->y, tables, least, least + code->ncolumns);
	choose_step(code, query, least + code->ncolumns);
	query->noise = query->delta * sqrtf((float) code->ncolumns / (code->quantizer == VECX_LIST_PQ ? 6.0f : 12.0f));
	query->noise = sqrtf(query->noise * query->noise + rounding * rounding);
	scale = query->delta >= FLT_MIN ? 1.0f / query->delta : 0.0f;
	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		size_t		first = c * entries;

		bias += (double) least[c];
		quantise_entries(code, tables + first, least[c], scale, c, query->tables + first,
						 c < query->nwide ? query->high + first : NULL);
	}
	query->bias = (float) bias;
	if (code->quantizer == VECX_LIST_RABITQ)
		vecx_list_rabitq_query(code, query);
}

void
vecx_list_probe_init(const VecxListCode *code, const VecxListQuery *query, float dist_qc,
					 float norm2_c, VecxListProbe *probe)
{
	probe->add = dist_qc;
	probe->scale = 1.0f;
	probe->spread = sqrtf(dist_qc > 0.0f ? dist_qc : 0.0f);
	if (code->metric == VECX_METRIC_IP)
	{
		double		along = norm2_c > 0.0f ? -(double) dist_qc / (double) norm2_c : 0.0;
		double		across = (double) query->norm2 + along * (double) dist_qc;

		probe->scale = (float) along;
		probe->spread = (float) sqrt(across > 0.0 ? across : 0.0);
	}
	probe->spread *= query->spread;
}

static void
add_entries(const VecxListCode *code, const uint8_t *columns, uint32_t count, const uint8_t *tables,
			uint32_t first, uint32_t *sums)
{
	if (code->column_bytes == 16)
		vecx_kernels->fastscan4(columns, count, tables + (size_t) first * 16, sums);
	else
		vecx_kernels->fastscan8(columns, count, tables + (size_t) first * 256, sums);
}

void
vecx_list_add_sums(const VecxListCode *code, const VecxListQuery *query, const uint8_t *columns,
				   uint32_t first, uint32_t count, uint32_t *sums)
{
	uint32_t	high[VECX_LIST_BLOCK] = {0};

	add_entries(code, columns, count, query->tables, first, sums);
	if (first >= query->nwide)
		return;
	add_entries(code, columns, count < query->nwide - first ? count : query->nwide - first,
				query->high, first, high);
	for (int i = 0; i < VECX_LIST_BLOCK; i++)
		sums[i] += high[i] << 8;
}

/* As vecx_bf16_to_float. */
static inline VecxFour
four_halves(const uint16_t *halves)
{
	typedef uint16_t Halves __attribute__((vector_size(8), aligned(2), may_alias));

	return (VecxFour) (__builtin_convertvector(*(const Halves *) (const void *) halves, VecxFourWords) << 16);
}

static inline VecxFour
magnitude(VecxFour four)
{
	return (VecxFour) ((VecxFourInts) four & INT32_MAX);
}

void
vecx_list_estimates(const VecxListQuery *query, const VecxListProbe *probe, const uint32_t *sums,
					const VecxListFactors *factors, float *est, float *sigma)
{
	float		add = fabsf(probe->add);

	for (int i = 0; i < VECX_LIST_BLOCK; i += 4)
	{
		VecxFour	rescale = four_halves(factors->rescale + i);
		VecxFour	sum = __builtin_convertvector(*(const VecxFourInts *) (const void *) (sums + i), VecxFour);
		VecxFour	turned = rescale * (query->delta * sum + query->bias);
		VecxFour	shift = probe->scale * *(const VecxFour *) (const void *) (factors->add + i);
		VecxFour	of_code = probe->spread * four_halves(factors->sigma + i);
		VecxFour	of_tables = magnitude(rescale) * query->noise;

		*(VecxFour *) (void *) (est + i) = probe->add + shift + turned;
		*(VecxFour *) (void *) (sigma + i) = pick(of_code > of_tables, of_code, of_tables) +
			FLT_EPSILON * (add + magnitude(shift) + magnitude(turned));
	}
}

/*
 * code_list_block.c
 *    Where entries' codes and factors are: in a block, column by column, or one entry by
 *    itself; from the one form into the other.
 */
#include <string.h>

#include "code_list_int.h"

void
vecx_list_put_codes(const VecxListCode *code, uint8_t *columns, uint32_t first, uint32_t count,
					int slot, const uint8_t *codes)
{
	int			shift = slot / 16 * 4;

	codes += first;
	if (code->column_bytes == VECX_LIST_BLOCK)
	{
		for (uint32_t i = 0; i < count; i++)
			columns[i * VECX_LIST_BLOCK + slot] = codes[i];
		return;
	}
	columns += slot % 16;
	for (uint32_t i = 0; i < count; i++, columns += 16)
		*columns = (uint8_t) ((*columns & (0xf0 >> shift)) | codes[i] << shift);
}

void
vecx_list_get_codes(const VecxListCode *code, const uint8_t *columns, uint32_t first,
					uint32_t count, int slot, uint8_t *codes)
{
	int			shift = slot / 16 * 4;

	codes += first;
	for (uint32_t i = 0; i < count; i++)
		codes[i] = code->column_bytes == VECX_LIST_BLOCK ? columns[i * VECX_LIST_BLOCK + slot] :
			columns[i * 16 + slot % 16] >> shift & 15;
}

void
vecx_list_put_factors(VecxListFactors *factors, int slot, const VecxListEntry *entry)
{
	factors->add[slot] = entry->add;
	factors->rescale[slot] = entry->rescale;
	factors->sigma[slot] = entry->sigma;
}

void
vecx_list_get_factors(const VecxListFactors *factors, int slot, VecxListEntry *entry)
{
	entry->add = factors->add[slot];
	entry->rescale = factors->rescale[slot];
	entry->sigma = factors->sigma[slot];
}

float
vecx_list_rescale(const VecxListFactors *factors, int slot)
{
	return vecx_bf16_to_float(factors->rescale[slot]);
}

/* ---- packed codes ---- */

void
vecx_list_pack_codes(const VecxListCode *code, const uint8_t *codes, uint8_t *packed)
{
	if (code->column_bytes != 16)
	{
		memcpy(packed, codes, code->ncolumns);
		return;
	}
	for (uint32_t i = 0; i < code->ncolumns; i += 2)
		packed[i / 2] = (uint8_t) (codes[i] | (i + 1 < code->ncolumns ? codes[i + 1] << 4 : 0));
}

void
vecx_list_unpack_codes(const VecxListCode *code, const uint8_t *packed, uint8_t *codes)
{
	if (code->column_bytes != 16)
	{
		memcpy(codes, packed, code->ncolumns);
		return;
	}
	for (uint32_t i = 0; i < code->ncolumns; i++)
		codes[i] = packed[i / 2] >> (i % 2 * 4) & 15;
}

void
vecx_list_turn_codes(const VecxListCode *code, const uint8_t *packed, size_t stride, int n,
					 uint8_t *columns)
{
	const uint8_t *entries[VECX_LIST_BLOCK];

	/* the last stands for those that are not there */
	for (int i = 0; i < VECX_LIST_BLOCK; i++)
		entries[i] = packed + stride * (size_t) (i < n ? i : n - 1);
	if (code->column_bytes == 16)
		vecx_kernels->turn4(entries, code->packed_bytes, columns);
	else
		for (uint32_t column = 0; column < code->ncolumns; column++)
			for (int i = 0; i < VECX_LIST_BLOCK; i++)
				*columns++ = entries[i][column];
}

/*
 * code_list_block.c
 *    Where entries' codes and factors are: in a block, column by column, or one entry by
 *    itself; from the one form into the other.
 */
#include <string.h>

#include "code_list_int.h"

/* Bytes of entries that are turned at once. */
#define TURNED		8

/* Words that belong to two of 16 entries, eight apart. */
typedef uint64_t VecxPair __attribute__((vector_size(16), aligned(1), may_alias));

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

/* One code, where there are too few of them for what follows. */
static uint8_t
packed_code(const VecxListCode *code, const uint8_t *packed, uint32_t column)
{
	return code->column_bytes == 16 ? packed[column / 2] >> (column % 2 * 4) & 15 : packed[column];
}

/* Lets the upper part of each of *a's words and the lower of *b's change places. */
static inline void
exchange(VecxPair *a, VecxPair *b, int shift, uint64_t lower)
{
	VecxPair	t = ((*a >> shift) ^ *b) & lower;

	*b ^= t;
	*a ^= t << shift;
}

/* The bytes from first on of n entries, at most 16: turned[i] has the i-th of each. */
static void
turn_bytes(const uint8_t *first, size_t stride, int n, VecxPair turned[TURNED])
{
	uint64_t	words[2 * TURNED] = {0};

	for (int i = 0; i < n; i++)
		memcpy(&words[i % TURNED * 2 + i / TURNED], first + (size_t) i * stride, sizeof(uint64_t));
	memcpy(turned, words, sizeof(words));
	for (int i = 0; i < 4; i++)
		exchange(&turned[i], &turned[i + 4], 32, UINT64_C(0x00000000FFFFFFFF));
	for (int i = 0; i < TURNED; i += i % 4 == 1 ? 3 : 1)
		exchange(&turned[i], &turned[i + 2], 16, UINT64_C(0x0000FFFF0000FFFF));
	for (int i = 0; i < TURNED; i += 2)
		exchange(&turned[i], &turned[i + 1], 8, UINT64_C(0x00FF00FF00FF00FF));
}

/*
 * Eight bytes of all entries at once, as a transposition of 8 x 8 bytes in each of four words;
 * the last eight may be some that were turned before.
 */
void
vecx_list_turn_codes(const VecxListCode *code, const uint8_t *packed, size_t stride, int n,
					 uint8_t *columns)
{
	const uint64_t low = UINT64_C(0x0F0F0F0F0F0F0F0F);
	uint32_t	nbytes = code->packed_bytes;
	bool		fours = code->column_bytes == 16;

	if (nbytes < TURNED || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
	{
		for (int i = 0; i < n; i++, packed += stride)
			for (uint32_t column = 0; column < code->ncolumns; column++)
			{
				uint8_t		one = packed_code(code, packed, column);

				vecx_list_put_codes(code, columns + (size_t) column * code->column_bytes, 0, 1, i, &one);
			}
		return;
	}
	for (uint32_t at = 0; at < nbytes; at += TURNED)
	{
		uint32_t	first = at + TURNED <= nbytes ? at : nbytes - TURNED;
		uint32_t	column = first * (fours ? 2 : 1);
		VecxPair   *to = (VecxPair *) (void *) (columns + (size_t) column * code->column_bytes);
		VecxPair	front[TURNED];
		VecxPair	back[TURNED] = {{0}};

		turn_bytes(packed + first, stride, n < 16 ? n : 16, front);
		if (n > 16)
			turn_bytes(packed + first + 16 * stride, stride, n - 16, back);
		for (uint32_t i = 0; i < TURNED; i++, column += 2)
		{
			if (!fours)
			{
				to[2 * i] = front[i];
				to[2 * i + 1] = back[i];
				continue;
			}
			to[2 * i] = (front[i] & low) | ((back[i] & low) << 4);
			if (column + 1 < code->ncolumns)
				to[2 * i + 1] = ((front[i] >> 4) & low) | (back[i] & ~low);
		}
	}
}

/*
 * kernel_amx.c
 *    Products of matrices of bytes by Intel's tile registers (AMX): 16 rows of
 *    64 bytes each.
 *
 * A system gives a process the tiles only when it asks, for they make its saved
 * state larger; so it is asked when there is something to multiply.
 */
#include "kernel_impl.h"

#ifdef VECX_KERNEL_AMX

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,amx-tile,amx-int8")))

/* arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) */
#define ARCH_PRCTL		158
#define ASK_FOR_STATE	0x1023
#define TILE_STATE		18

#define TILE_ROWS	16
#define TILE_BYTES	64
#define TILE_SIZE	(TILE_ROWS * TILE_BYTES)
/* Rows of either matrix that are multiplied at once, two tiles of each. */
#define BLOCK_ROWS	(2 * TILE_ROWS)
/* Bytes of a row, at most. */
#define MAX_BYTES	2048

/* Blocks of the two matrices in the order in which the tiles take them: of b as
 * much as leaves room for the rest in the second-level cache. */
static uint8_t packed_a[BLOCK_ROWS * MAX_BYTES] __attribute__((aligned(64)));
static uint8_t packed_b[256 * 1024] __attribute__((aligned(64)));

/* What the tiles hold: LDTILECFG's format. */
typedef struct TileConfig
{
	uint8_t		palette;
	uint8_t		start_row;
	uint8_t		zero[14];
	uint16_t	row_bytes[16];
	uint8_t		rows[16];
} TileConfig;

/* All eight tiles whole. */
static const TileConfig whole_tiles = {
	.palette = 1,
	.row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
	.rows = {16, 16, 16, 16, 16, 16, 16, 16}
};

static int
may_use_tiles(void)
{
	static int	allowed = -1;
	long		result;

	if (allowed < 0)
	{
		__asm__ volatile ("syscall":"=a" (result):"a"(ARCH_PRCTL), "D"(ASK_FOR_STATE), "S"(TILE_STATE):"rcx", "r11", "memory");

		allowed = result == 0;
	}
	return allowed;
}

VECX_KERNEL_INLINE TARGET __mmask64
mask_of_rest(size_t n)
{
	return n >= TILE_BYTES ? ~(__mmask64) 0 : ((__mmask64) 1 << n) - 1;
}

/* Rows of a, tile by tile; what a row lacks to a whole tile is zero. */
static TARGET void
pack_rows(const uint8_t *a, size_t n, uint8_t *packed)
{
	for (size_t tile = 0; tile < BLOCK_ROWS; tile += TILE_ROWS)
		for (size_t at = 0; at < n; at += TILE_BYTES)
			for (size_t row = tile; row < tile + TILE_ROWS; row++, packed += TILE_BYTES)
				_mm512_store_si512(packed, _mm512_maskz_loadu_epi8(mask_of_rest(n - at), a + row * n + at));
}

/* A square of 16 x 16 numbers, rows to columns: within lanes, then the lanes. */
VECX_KERNEL_INLINE TARGET void
transpose(__m512i *row)
{
	__m512i		pair[TILE_ROWS];

	VECX_KERNEL_UNROLL
	for (int i = 0; i < TILE_ROWS; i += 2)
	{
		pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
		pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
	}
	VECX_KERNEL_UNROLL
	for (int i = 0; i < TILE_ROWS; i += 4)
	{
		row[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 2]);
		row[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 2]);
		row[i + 2] = _mm512_unpacklo_epi64(pair[i + 1], pair[i + 3]);
		row[i + 3] = _mm512_unpackhi_epi64(pair[i + 1], pair[i + 3]);
	}
	/* lane l of row[4 g + k] holds rows 4 g to 4 g + 3 of column 4 l + k */
	VECX_KERNEL_UNROLL
	for (int k = 0; k < 4; k++)
	{
		pair[k] = _mm512_shuffle_i32x4(row[k], row[4 + k], 0x88);
		pair[4 + k] = _mm512_shuffle_i32x4(row[k], row[4 + k], 0xdd);
		pair[8 + k] = _mm512_shuffle_i32x4(row[8 + k], row[12 + k], 0x88);
		pair[12 + k] = _mm512_shuffle_i32x4(row[8 + k], row[12 + k], 0xdd);
	}
	VECX_KERNEL_UNROLL
	for (int k = 0; k < 4; k++)
	{
		row[k] = _mm512_shuffle_i32x4(pair[k], pair[8 + k], 0x88);
		row[8 + k] = _mm512_shuffle_i32x4(pair[k], pair[8 + k], 0xdd);
		row[4 + k] = _mm512_shuffle_i32x4(pair[4 + k], pair[12 + k], 0x88);
		row[12 + k] = _mm512_shuffle_i32x4(pair[4 + k], pair[12 + k], 0xdd);
	}
}

/* Rows of b, of which a tile takes four bytes of each of 16 rows side by side. */
static TARGET void
pack_columns(const uint8_t *b, size_t n, uint8_t *packed)
{
	for (size_t tile = 0; tile < BLOCK_ROWS; tile += TILE_ROWS)
		for (size_t at = 0; at < n; at += TILE_BYTES, packed += TILE_SIZE)
		{
			__m512i		row[TILE_ROWS];

			VECX_KERNEL_UNROLL
			for (size_t i = 0; i < TILE_ROWS; i++)
				row[i] = _mm512_maskz_loadu_epi8(mask_of_rest(n - at), b + (tile + i) * n + at);
			transpose(row);
			VECX_KERNEL_UNROLL
			for (size_t i = 0; i < TILE_ROWS; i++)
				_mm512_store_si512(packed + i * TILE_BYTES, row[i]);
		}
}

/* Two packed blocks. */
static TARGET void
block_products(const uint8_t *a, const uint8_t *b, size_t tiles, uint32_t *out, size_t stride)
{
	size_t		second = tiles * TILE_SIZE;

	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	for (size_t at = 0; at < second; at += TILE_SIZE)
	{
		_tile_loadd(4, a + at, TILE_BYTES);
		_tile_loadd(5, a + second + at, TILE_BYTES);
		_tile_loadd(6, b + at, TILE_BYTES);
		_tile_loadd(7, b + second + at, TILE_BYTES);
		_tile_dpbuud(0, 4, 6);
		_tile_dpbuud(1, 4, 7);
		_tile_dpbuud(2, 5, 6);
		_tile_dpbuud(3, 5, 7);
	}
	_tile_stored(0, out, stride * sizeof(uint32_t));
	_tile_stored(1, out + TILE_ROWS, stride * sizeof(uint32_t));
	_tile_stored(2, out + TILE_ROWS * stride, stride * sizeof(uint32_t));
	_tile_stored(3, out + TILE_ROWS * stride + TILE_ROWS, stride * sizeof(uint32_t));
}

/* Where the next block begins: the last one has rows of the one before once more. */
static size_t
next_block(size_t at, size_t count)
{
	return at + BLOCK_ROWS < count && at + 2 * BLOCK_ROWS > count ? count - BLOCK_ROWS : at + BLOCK_ROWS;
}

TARGET void
vecx_products_u8u8_amx(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, size_t n,
					   uint32_t *out, size_t stride)
{
	size_t		tiles = (n + TILE_BYTES - 1) / TILE_BYTES;
	size_t		block = 2 * tiles * TILE_SIZE;
	size_t		end;

	if (na < BLOCK_ROWS || nb < BLOCK_ROWS || n > MAX_BYTES || n == 0 || !may_use_tiles())
	{
		vecx_kernels_avx512.products_u8u8(a, na, b, nb, n, out, stride);
		return;
	}
	_tile_loadconfig(&whole_tiles);
	for (size_t first = 0; first < nb; first = end)
	{
		uint8_t    *to = packed_b;

		for (end = first; end < nb && to + block <= packed_b + sizeof(packed_b); end = next_block(end, nb), to += block)
			pack_columns(b + end * n, n, to);
		for (size_t i = 0; i < na; i = next_block(i, na))
		{
			const uint8_t *from = packed_b;

			pack_rows(a + i * n, n, packed_a);
			for (size_t j = first; j < end; j = next_block(j, nb), from += block)
				block_products(packed_a, from, tiles, out + i * stride + j, stride);
		}
	}
	_tile_release();
}

#endif							/* VECX_KERNEL_AMX */

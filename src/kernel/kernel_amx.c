/*
 * kernel_amx.c
 *    Products of matrices by Intel's tile registers (AMX), 16 rows of 64 bytes
 *    each: of bytes, and of floats in two parts of 8 bits' precision (bfloat16).
 *
 * A system gives a process the tiles only when it asks, for they make its saved
 * state larger; so it is asked when there is something to multiply.
 */
#include "kernel_x86.h"

#ifdef VECX_KERNEL_AMX

#define TARGET \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-int8,amx-bf16,fma,f16c,popcnt")))

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

/* Rows of a, tile by tile; what a row lacks to a whole tile is zero. */
static TARGET void
pack_rows(const uint8_t *a, size_t n, uint8_t *packed)
{
	for (size_t tile = 0; tile < BLOCK_ROWS; tile += TILE_ROWS)
		for (size_t at = 0; at < n; at += TILE_BYTES)
			for (size_t row = tile; row < tile + TILE_ROWS; row++, packed += TILE_BYTES)
				_mm512_store_si512(packed, _mm512_maskz_loadu_epi8(mask64(n - at), a + row * n + at));
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
				row[i] = _mm512_maskz_loadu_epi8(mask64(n - at), b + (tile + i) * n + at);
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

/* Floats of a row that a tile takes, and those of a row that are multiplied at once. */
#define TILE_FLOATS		32
#define CHUNK_FLOATS	512
#define CHUNK_TILES		(CHUNK_FLOATS / TILE_FLOATS)
/* Tiles of such a chunk of a block's rows, of the first parts and of the second. */
#define CHUNK_BLOCK		(2 * 2 * CHUNK_TILES * TILE_SIZE)
/* Rows of the matrix, which wait in the second-level cache. */
#define CHUNK_ROWS		256

/* A row's floats, as many as a tile takes, in two parts: what the first rounds off is the
 * second, but for 2^-16 of it. */
typedef struct Parts
{
	__m512i		first;
	__m512i		second;
} Parts;

VECX_KERNEL_INLINE TARGET Parts
parts_of(__m512 low, __m512 high)
{
	Parts		parts;
	__m512		first_low;
	__m512		first_high;

	parts.first = (__m512i) _mm512_cvtne2ps_pbh(high, low);
	first_low = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(parts.first)), 16));
	first_high = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(parts.first, 1)), 16));
	parts.second = (__m512i) _mm512_cvtne2ps_pbh(_mm512_sub_ps(high, first_high), _mm512_sub_ps(low, first_low));
	return parts;
}

/* From n floats, and from n halves: beyond them are zeros. */
VECX_KERNEL_INLINE TARGET Parts
parts_of_floats(const float *x, size_t n)
{
	return parts_of(_mm512_maskz_loadu_ps(mask16(n), x),
					n <= 16 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask16(n - 16), x + 16));
}

VECX_KERNEL_INLINE TARGET Parts
parts_of_halves(const uint16_t *x, size_t n)
{
	__m512i		halves = _mm512_maskz_loadu_epi16(n >= TILE_FLOATS ? 0xffffffff : (1u << n) - 1, x);

	return parts_of(_mm512_cvtph_ps(_mm512_castsi512_si256(halves)),
					_mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1)));
}

/* A chunk of rows of x, stride floats from one to the next, tile by tile: all first parts, then
 * all second ones if there are to be two.  What a block lacks of its rows is zero. */
VECX_KERNEL_INLINE TARGET void
pack_float_rows(const float *x, size_t nrows, size_t n, size_t stride, int nparts, uint8_t *packed)
{
	for (size_t row = 0; row < BLOCK_ROWS; row++)
	{
		uint8_t    *to = packed + row / TILE_ROWS * CHUNK_TILES * TILE_SIZE + row % TILE_ROWS * TILE_BYTES;

		for (size_t at = 0; at < n; at += TILE_FLOATS, to += TILE_SIZE)
		{
			Parts		parts = {_mm512_setzero_si512(), _mm512_setzero_si512()};

			if (row < nrows)
				parts = parts_of_floats(x + row * stride + at, n - at);
			_mm512_store_si512(to, parts.first);
			if (nparts == 2)
				_mm512_store_si512(to + CHUNK_BLOCK / 2, parts.second);
		}
	}
}

VECX_KERNEL_INLINE TARGET void
store_columns(__m512i *row, uint8_t *to)
{
	transpose(row);
	VECX_KERNEL_UNROLL
	for (size_t i = 0; i < TILE_ROWS; i++)
		_mm512_store_si512(to + i * TILE_BYTES, row[i]);
}

/* The same of rows of a matrix, two floats of each of 16 rows side by side. */
VECX_KERNEL_INLINE TARGET void
pack_half_columns(const uint16_t *m, size_t nrows, size_t n, size_t stride, int nparts, uint8_t *packed)
{
	for (size_t first = 0; first < BLOCK_ROWS; first += TILE_ROWS)
	{
		uint8_t    *to = packed + first / TILE_ROWS * CHUNK_TILES * TILE_SIZE;

		for (size_t at = 0; at < n; at += TILE_FLOATS, to += TILE_SIZE)
		{
			__m512i		firsts[TILE_ROWS];
			__m512i		seconds[TILE_ROWS];

			VECX_KERNEL_UNROLL
			for (size_t i = 0; i < TILE_ROWS; i++)
			{
				Parts		parts = {_mm512_setzero_si512(), _mm512_setzero_si512()};

				if (first + i < nrows)
					parts = parts_of_halves(m + (first + i) * stride + at, n - at);
				firsts[i] = parts.first;
				seconds[i] = parts.second;
			}
			store_columns(firsts, to);
			if (nparts == 2)
				store_columns(seconds, to + CHUNK_BLOCK / 2);
		}
	}
}

/* Four tiles of products. */
VECX_KERNEL_INLINE TARGET void
add_products(void)
{
	_tile_dpbf16ps(0, 4, 6);
	_tile_dpbf16ps(1, 4, 7);
	_tile_dpbf16ps(2, 5, 6);
	_tile_dpbf16ps(3, 5, 7);
}

/* The products of two packed chunks, but for those of both second parts. */
VECX_KERNEL_INLINE TARGET void
chunk_products(const uint8_t *x, const uint8_t *m, size_t tiles, int nparts, float *sums)
{
	const size_t rest = CHUNK_TILES * TILE_SIZE;	/* of the block's rows */
	const size_t second = CHUNK_BLOCK / 2;

	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	for (const uint8_t *end = x + tiles * TILE_SIZE; x < end; x += TILE_SIZE, m += TILE_SIZE)
	{
		_tile_loadd(4, x, TILE_BYTES);
		_tile_loadd(5, x + rest, TILE_BYTES);
		if (nparts == 2)
		{
			_tile_loadd(6, m + second, TILE_BYTES);
			_tile_loadd(7, m + second + rest, TILE_BYTES);
			add_products();
		}
		_tile_loadd(6, m, TILE_BYTES);
		_tile_loadd(7, m + rest, TILE_BYTES);
		add_products();
		if (nparts == 2)
		{
			_tile_loadd(4, x + second, TILE_BYTES);
			_tile_loadd(5, x + second + rest, TILE_BYTES);
			add_products();
		}
	}
	_tile_stored(0, sums, BLOCK_ROWS * sizeof(float));
	_tile_stored(1, sums + TILE_ROWS, BLOCK_ROWS * sizeof(float));
	_tile_stored(2, sums + TILE_ROWS * BLOCK_ROWS, BLOCK_ROWS * sizeof(float));
	_tile_stored(3, sums + TILE_ROWS * BLOCK_ROWS + TILE_ROWS, BLOCK_ROWS * sizeof(float));
}

/* Sums of a block into y, or to those that are there from the chunks before. */
static TARGET void
add_sums(const float *sums, float *y, size_t nvecs, size_t nrows, size_t stride, int before)
{
	for (size_t v = 0; v < nvecs; v++)
		for (size_t at = 0; at < nrows; at += 16)
		{
			__mmask16	mask = mask16(nrows - at);
			__m512		sum = _mm512_load_ps(sums + v * BLOCK_ROWS + at);

			if (before)
				sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, y + v * stride + at));
			_mm512_mask_storeu_ps(y + v * stride + at, mask, sum);
		}
}

static uint8_t packed_x[CHUNK_BLOCK] __attribute__((aligned(64)));
static uint8_t packed_m[CHUNK_ROWS / BLOCK_ROWS * CHUNK_BLOCK] __attribute__((aligned(64)));

VECX_KERNEL_INLINE size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Some rows of the matrix, and of each as many floats as a chunk has. */
VECX_KERNEL_INLINE TARGET void
chunk_of_rows(const uint16_t *m, size_t nrows, size_t all_rows, size_t n, size_t at,
			  const float *x, size_t nvecs, int nparts, float *y)
{
	float		sums[BLOCK_ROWS * BLOCK_ROWS] __attribute__((aligned(64)));
	size_t		floats = least(n - at, CHUNK_FLOATS);
	size_t		tiles = (floats + TILE_FLOATS - 1) / TILE_FLOATS;

	for (size_t row = 0; row < nrows; row += BLOCK_ROWS)
		pack_half_columns(m + row * n + at, least(nrows - row, BLOCK_ROWS), floats, n, nparts,
						  packed_m + row / BLOCK_ROWS * CHUNK_BLOCK);
	for (size_t v = 0; v < nvecs; v += BLOCK_ROWS)
	{
		size_t		count = least(nvecs - v, BLOCK_ROWS);

		pack_float_rows(x + v * n + at, count, floats, n, nparts, packed_x);
		for (size_t row = 0; row < nrows; row += BLOCK_ROWS)
		{
			chunk_products(packed_x, packed_m + row / BLOCK_ROWS * CHUNK_BLOCK, tiles, nparts, sums);
			add_sums(sums, y + v * all_rows + row, count, least(nrows - row, BLOCK_ROWS), all_rows, at > 0);
		}
	}
}

static TARGET void
one_part(const uint16_t *m, size_t nrows, size_t all_rows, size_t n, size_t at,
		 const float *x, size_t nvecs, float *y)
{
	chunk_of_rows(m, nrows, all_rows, n, at, x, nvecs, 1, y);
}

static TARGET void
two_parts(const uint16_t *m, size_t nrows, size_t all_rows, size_t n, size_t at,
		  const float *x, size_t nvecs, float *y)
{
	chunk_of_rows(m, nrows, all_rows, n, at, x, nvecs, 2, y);
}

TARGET void
vecx_gemm_rough_amx(const uint16_t *m, size_t nrows, size_t n, const float *x, size_t nvecs,
					int parts, float *y)
{
	if (nrows < TILE_ROWS || nvecs < TILE_ROWS || n == 0 || !may_use_tiles())
	{
		vecx_kernels_avx512.gemm_f16(m, nrows, n, x, nvecs, y);
		return;
	}
	_tile_loadconfig(&whole_tiles);
	for (size_t row = 0; row < nrows; row += CHUNK_ROWS)
		for (size_t at = 0; at < n; at += CHUNK_FLOATS)
			(parts == 2 ? two_parts : one_part) (m + row * n, least(nrows - row, CHUNK_ROWS), nrows, n, at,
												 x, nvecs, y + row);
	_tile_release();
}

#endif							/* VECX_KERNEL_AMX */

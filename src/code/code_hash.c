/*
 * code_hash.c
 *    Vectors of very many dimensions, few of them not zero, made dense and
 *    short: signed feature hashing into VECX_HASH_DIM dimensions.
 *
 * The dimensions are VECX_HASH_WAYS blocks.  An element goes to one place in
 * each block, by a hash of its index, with a sign from the hash as well: inner
 * products are kept in expectation, and what elements that share a place in one
 * block add to them does not repeat itself in the others.  The result is then
 * given the length of the vector, so that only its direction is uncertain.
 */
#include "code_int.h"

#define BLOCK_BITS	8
#define BLOCK_DIM	(1u << BLOCK_BITS)

_Static_assert(BLOCK_DIM * VECX_HASH_WAYS == VECX_HASH_DIM, "blocks are the dimensions");
_Static_assert((BLOCK_BITS + 1) * VECX_HASH_WAYS <= 64, "one hash serves all blocks");

/* splitmix64's finaliser */
static uint64_t
hash_index(uint64_t seed, uint32_t index)
{
	uint64_t	z = seed + ((uint64_t) index + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void
vecx_hash_project(uint64_t seed, size_t nnz, const int32_t *index, const float *value, float *x)
{
	double		sum[VECX_HASH_DIM] = {0};
	double		norm2 = 0;
	double		hashed2 = 0;
	double		scale;

	for (size_t i = 0; i < nnz; i++)
	{
		uint64_t	hash = hash_index(seed, (uint32_t) index[i]);

		norm2 += (double) value[i] * (double) value[i];
		for (uint32_t way = 0; way < VECX_HASH_WAYS; way++)
		{
			double	   *place = sum + way * BLOCK_DIM + hash % BLOCK_DIM;

			*place += hash & BLOCK_DIM ? (double) value[i] : -(double) value[i];
			hash >>= BLOCK_BITS + 1;
		}
	}
	for (uint32_t i = 0; i < VECX_HASH_DIM; i++)
		hashed2 += sum[i] * sum[i];

	/* elements that cancel out in every block leave no direction: take any */
	if (hashed2 <= norm2 * 1e-12)
	{
		sum[0] = 1;
		hashed2 = 1;
		for (uint32_t i = 1; i < VECX_HASH_DIM; i++)
			sum[i] = 0;
	}
	scale = sqrt(norm2 / hashed2);
	for (uint32_t i = 0; i < VECX_HASH_DIM; i++)
		x[i] = (float) (sum[i] * scale);
}

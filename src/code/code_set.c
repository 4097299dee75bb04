/*
 * code_set.c
 *    Some codes whose distances to each other are wanted, as when the links of a
 *    vertex are chosen among its candidates.
 *
 * Of SQ8 all products are computed at once, which is faster than the part of
 * them that is asked for one by one.
 */
#include "code_int.h"

/* Of more codes too few of all the products would be used. */
#define MOST_COMPARED	96

static size_t
aligned(size_t nbytes)
{
	return (nbytes + 63) / 64 * 64;
}

size_t
vecx_code_set_bytes(const VecxCoder *coder, size_t most)
{
	return aligned(most * coder->nbytes) + aligned(most * sizeof(VecxSetHead)) +
		aligned(MOST_COMPARED * (size_t) coder->dim) +
		sizeof(uint32_t) * MOST_COMPARED * MOST_COMPARED + aligned(vecx_code_query_scratch(coder));
}

/* room[vecx_code_set_bytes()], 8-aligned, is kept. */
void
vecx_code_set_init(VecxCodeSet *set, const VecxCoder *coder, size_t most, uint8_t *room)
{
	memset(set, 0, sizeof(*set));
	set->coder = coder;
	set->scratch = room;
	room += aligned(vecx_code_query_scratch(coder));
	set->heads = (VecxSetHead *) (void *) room;
	room += aligned(most * sizeof(VecxSetHead));
	set->products = (uint32_t *) (void *) room;
	room += sizeof(uint32_t) * MOST_COMPARED * MOST_COMPARED;
	set->levels = room;
	room += aligned(MOST_COMPARED * (size_t) coder->dim);
	set->codes = room;
}

void
vecx_code_set_put(VecxCodeSet *set, size_t at, const uint8_t *code)
{
	memcpy(set->codes + at * set->coder->nbytes, code, set->coder->nbytes);
}

void
vecx_code_set_compare(VecxCodeSet *set, size_t count)
{
	const VecxCoder *coder = set->coder;
	size_t		dim = coder->dim;

	set->count = count;
	set->compared = coder->kind == VECX_CODE_SQ8 && count <= MOST_COMPARED;
	if (!set->compared)
		return;
	for (size_t i = 0; i < count; i++)
		vecx_sq_set_head(coder, set->codes + i * coder->nbytes, &set->heads[i], set->levels + i * dim);
	vecx_kernels->products_u8u8(set->levels, count, set->levels, count, dim, set->products, count);
}

void
vecx_code_set_from(VecxCodeSet *set, size_t from)
{
	set->from = from;
	if (!set->compared)
		vecx_code_query_init_code(set->coder, &set->query, set->codes + from * set->coder->nbytes,
								  set->scratch);
}

float
vecx_code_set_distance(const VecxCodeSet *set, size_t to)
{
	const VecxCoder *coder = set->coder;
	const VecxSetHead *a = &set->heads[set->from];
	const VecxSetHead *b = &set->heads[to];
	double		n = (double) coder->dim;
	double		d;
	double		centred;

	if (!set->compared)
		return vecx_code_distance(coder, &set->query, set->codes + to * coder->nbytes);
	centred = a->scale * b->scale * ((double) set->products[set->from * set->count + to] - a->level_mean * b->sum);
	if (coder->metric == VECX_METRIC_IP)
		return vecx_finite(-(n * a->mean * b->mean + centred));
	d = a->mean - b->mean;
	return vecx_finite(fmax(n * d * d + a->dev2 + b->dev2 - 2.0 * centred, 0.0));
}

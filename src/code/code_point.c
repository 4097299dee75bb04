/*
 * code_point.c
 *    Points: projections in half precision, which a build finds neighbours by and
 *    makes sketches of; and sets of them rounded to 8 bits, to compute all
 *    distances at once.
 *
 * In a set, y[i] is about scale * (u[i] - 128), with a scale of each point's own, so
 *    <y, z> = scale_y scale_z (sum u v - 128 (sum u + sum v) + 128^2 n).
 * What the points of a set have in common is taken off before, or little would
 * be left of differences that are small beside it.  Bit vectors are their own points.
 */
#include "code_int.h"


/* Largest elements below this have no inverse. */
#define SMALLEST_POINT	(1024.0f * FLT_MIN)

/* Where codes are exact, so are points: such vectors are short. */
static bool
is_exact(const VecxCoder *coder)
{
	return coder->kind == VECX_CODE_NONE;
}

/*
 * A point: a factor and the elements divided by it; of exact codes the elements;
 * of bit vectors the code, then the bits of the basis.
 */
uint32_t
vecx_point_bytes(const VecxCoder *coder, const VecxBasis *basis)
{
	if (vecx_metric_is_bits(coder->metric))
		return coder->nbytes + basis->pdims / 8;
	if (is_exact(coder))
		return basis->pdims * (uint32_t) sizeof(float);
	return (uint32_t) sizeof(float) + basis->pdims * (uint32_t) sizeof(uint16_t);
}

static float
largest(const float *x, size_t n)
{
	float		max = 0.0f;

	for (size_t i = 0; i < n; i++)
		max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
	return max >= SMALLEST_POINT && isfinite(max) ? max : 0.0f;
}

void
vecx_point_make(const VecxCoder *coder, const VecxBasis *basis, const void *y,
				const uint8_t *code, uint8_t *point)
{
	const float *x = y;
	float		factor;
	float		inverse;

	if (vecx_metric_is_bits(coder->metric))
	{
		memcpy(point, code, coder->nbytes);
		memcpy(point + coder->nbytes, y, basis->pdims / 8);
		return;
	}
	if (is_exact(coder))
	{
		memcpy(point, y, basis->pdims * sizeof(float));
		return;
	}
	factor = largest(x, basis->pdims);
	inverse = factor > 0.0f ? 1.0f / factor : 0.0f;
	memcpy(point, &factor, sizeof(factor));
	for (uint32_t start = 0; start < basis->pdims; start += 64)
	{
		float		part[64];
		uint16_t	half[64];

		for (uint32_t i = 0; i < 64; i++)
			part[i] = x[start + i] * inverse;
		vecx_kernels->f32_to_f16(part, half, 64);
		memcpy(point + sizeof(factor) + start * sizeof(uint16_t), half, sizeof(half));
	}
}

void
vecx_point_read(const VecxCoder *coder, const VecxBasis *basis, const uint8_t *point, void *y)
{
	float	   *x = y;
	float		factor;

	if (vecx_metric_is_bits(coder->metric))
	{
		memcpy(y, point + coder->nbytes, basis->pdims / 8);
		return;
	}
	if (is_exact(coder))
	{
		memcpy(y, point, basis->pdims * sizeof(float));
		return;
	}
	memcpy(&factor, point, sizeof(factor));
	vecx_kernels->f16_to_f32((const uint16_t *) (const void *) (point + sizeof(factor)), x, basis->pdims);
	for (uint32_t i = 0; i < basis->pdims; i += 4)
		*(VecxFour *) (void *) (x + i) *= factor;
}

uint32_t
vecx_points_row_bytes(const VecxCoder *coder, const VecxBasis *basis)
{
	return vecx_metric_is_bits(coder->metric) ? coder->nbytes : basis->pdims;
}

void
vecx_points_put_bits(VecxPoints *points, size_t at, const VecxCoder *coder, const uint8_t *code)
{
	memset(&points->heads[at], 0, sizeof(VecxPointHead));
	points->heads[at].norm2 = vecx_code_norm2(coder, code);
	memcpy(points->points + at * points->nbytes, code, points->nbytes);
}

/*
 * |scale (u - 128)|^2: the length of what was rounded, not of what it was, so that distances are
 * those between rounded points.  Were it the latter, an error would count as often as the points
 * are long, and near ones far from the centre could not be told apart.
 */
static float
rounded_norm2(const VecxPointHead *head, const uint8_t *u, size_t n)
{
	uint32_t	square;

	vecx_kernels->products_u8u8(u, 1, u, 1, n, &square, 1);
	return vecx_finite((double) head->scale * head->scale *
					   ((double) square - 256.0 * head->sum + 16384.0 * (double) n));
}

/* As long as any point: one of a cluster has all dimensions of a vector, rounded up. */
#define MOST_POINT_BYTES	16384
static const float no_centre[MOST_POINT_BYTES];

void
vecx_points_put(VecxPoints *points, size_t at, const float *y, const float *centre)
{
	VecxPointHead *head = &points->heads[at];
	uint8_t    *row = points->points + at * points->nbytes;
	float		max;
	float		norm2;

	if (centre == NULL)
		centre = no_centre;
	norm2 = vecx_kernels->l2sq_max_f32(y, centre, points->nbytes, &max);
	if (!(max >= SMALLEST_POINT) || !isfinite(max) || isnan(norm2))
	{
		memset(row, 128, points->nbytes);
		head->scale = head->norm2 = 0.0f;
		head->sum = (uint32_t) (128 * points->nbytes);
		return;
	}
	head->scale = max / 127.0f;
	head->sum = vecx_kernels->levels_u8(y, centre, points->nbytes, 127.0f / max, row);
	head->norm2 = rounded_norm2(head, row, points->nbytes);
}

/* Hamming or Jaccard distances from one to all. */
static void
bit_distances(VecxMetric metric, const VecxPoints *a, size_t i, const VecxPoints *b, float *out)
{
	uint32_t   *counts = (uint32_t *) (void *) out;

	vecx_kernels->hamming_many(a->points + i * a->nbytes, a->nbytes, b->points, b->nbytes,
							   b->count, counts);
	for (size_t j = 0; j < b->count; j++)
	{
		float		hamming = (float) counts[j];
		float		sum = a->heads[i].norm2 + b->heads[j].norm2;

		if (metric == VECX_METRIC_HAMMING)
			out[j] = hamming;
		else
			out[j] = sum > 0.0f ? 1.0f - (sum - hamming) / (sum + hamming) : 1.0f;
	}
}

/* What is needed of some points' heads, as arrays for loops over vectors. */
#define POINT_STRIP 256
typedef struct PointStrip
{
	size_t		count;
	float		scale[POINT_STRIP];
	float		norm2[POINT_STRIP];
	int32_t		bias[POINT_STRIP];	/* 128 times the sum */
} PointStrip;

static void
load_strip(PointStrip *strip, const VecxPoints *b, size_t first)
{
	strip->count = b->count - first < POINT_STRIP ? b->count - first : POINT_STRIP;
	for (size_t j = 0; j < strip->count; j++)
	{
		strip->scale[j] = b->heads[first + j].scale;
		strip->norm2[j] = b->heads[first + j].norm2;
		strip->bias[j] = (int32_t) (128 * b->heads[first + j].sum);
	}
}

/* out = base + share * norm2 + factor * scale * product, where out holds the product. */
static void
strip_distances(const PointStrip *strip, float base, float share, float factor, int32_t common,
				float *out)
{
	const VecxFour *scale = (const VecxFour *) (const void *) strip->scale;
	const VecxFour *norm2 = (const VecxFour *) (const void *) strip->norm2;
	const VecxFourInts *bias = (const VecxFourInts *) (const void *) strip->bias;
	size_t		fours = strip->count / 4;

	for (size_t j = 0; j < fours; j++)
	{
		VecxFourInts product = *((const VecxFourInts *) (const void *) out + j) + common - bias[j];

		*((VecxFour *) (void *) out + j) = base + share * norm2[j] +
			factor * scale[j] * __builtin_convertvector(product, VecxFour);
	}
	for (size_t j = fours * 4; j < strip->count; j++)
	{
		int32_t		product;

		memcpy(&product, out + j, sizeof(product));
		product += common - strip->bias[j];
		out[j] = base + share * strip->norm2[j] + factor * strip->scale[j] * (float) product;
	}
}

/* |y|^2 + |z|^2 - 2 <y, z> to the negative cosine. */
static void
angles_from_distances(float norm2, const PointStrip *strip, float *out)
{
	for (size_t j = 0; j < strip->count; j++)
	{
		float		norms = sqrtf(norm2) * sqrtf(strip->norm2[j]);

		out[j] = norms > 0.0f ? (out[j] - norm2 - strip->norm2[j]) / (2.0f * norms) : 0.0f;
	}
}

/* The products in out's own room turned into distances. */
static void
float_distances(VecxPointMetric how, const VecxPoints *a, size_t first, size_t count,
				const VecxPoints *b, float *out)
{
	bool		product = how == VECX_POINT_PRODUCT;
	PointStrip	strip;

	for (size_t at = 0; at < b->count; at += POINT_STRIP)
	{
		load_strip(&strip, b, at);
		for (size_t i = 0; i < count; i++)
		{
			const VecxPointHead *head = &a->heads[first + i];
			float	   *row = out + i * b->count + at;

			strip_distances(&strip, product ? 0.0f : head->norm2, product ? 0.0f : 1.0f,
							(product ? -1.0f : -2.0f) * head->scale,
							(int32_t) (16384 * b->nbytes) - (int32_t) (128 * head->sum), row);
			if (how == VECX_POINT_ANGLE)
				angles_from_distances(head->norm2, &strip, row);
		}
	}
}

void
vecx_point_distances(VecxMetric metric, VecxPointMetric how, const VecxPoints *a,
					 size_t first, size_t count, const VecxPoints *b, float *out)
{
	if (vecx_metric_is_bits(metric))
	{
		for (size_t i = 0; i < count; i++)
			bit_distances(metric, a, first + i, b, out + i * b->count);
		return;
	}
	vecx_kernels->products_u8u8(a->points + first * a->nbytes, count, b->points, b->count,
								a->nbytes, (uint32_t *) (void *) out, b->count);
	float_distances(how, a, first, count, b, out);
}

void
vecx_points_round(VecxPointMetric how, const float *dist, size_t n, int16_t *rounded)
{
	vecx_kernels->f32_to_f16(dist, (uint16_t *) rounded, n);
	/* squares, and bits that differ, are as integers what they are as halves */
	for (size_t i = 0; i < n && how != VECX_POINT_L2SQ; i++)
		rounded[i] = (int16_t) (rounded[i] ^ ((rounded[i] >> 15) & INT16_MAX));
}

/*
 * code.c
 *    A vector's own code: the kinds of coder, and the distances between a query
 *    and a code.  The scalar quantisers are in code_sq.c.
 *
 * NONE is the vector itself.  HALF is a VecxHalfHead and the elements divided
 * by its scale, as IEEE half-precision numbers.  BITS are the bit bytes.
 */
#include "code_int.h"

typedef struct VecxHalfHead
{
	float		scale;			/* a power of two: dividing by it is exact */
	float		norm2;			/* |x|^2 of what the code stands for */
} VecxHalfHead;

const char *
vecx_code_name(VecxCodeKind kind)
{
	static const char *const names[] = {
		"none", "half", "sq8", "bits", "bits_sample",
		"rabitq1", "rabitq2", "rabitq3", "rabitq4", "rabitq5", "rabitq6", "rabitq7", "rabitq8"
	};

	if (kind < VECX_CODE_NONE || kind > VECX_CODE_RABITQ8)
		return "unknown";
	return names[kind - VECX_CODE_NONE];
}

/* Bytes of every step-th of dim bits. */
static uint32_t
bits_nbytes(uint32_t dim, uint32_t step)
{
	return vecx_round_up(((dim + step - 1) / step + 7) / 8, 4);
}

VecxCodeKind
vecx_code_rabitq(uint32_t bits)
{
	return (VecxCodeKind) (VECX_CODE_RABITQ1 + bits - 1);
}

bool
vecx_code_has_centre(VecxCodeKind kind, VecxMetric metric)
{
	return kind >= VECX_CODE_RABITQ1 && kind <= VECX_CODE_RABITQ8 && metric != VECX_METRIC_IP;
}

void
vecx_coder_init(VecxCoder *coder, VecxCodeKind kind, VecxMetric metric,
				uint32_t dim, uint32_t code_limit)
{
	memset(coder, 0, sizeof(*coder));
	coder->kind = kind;
	coder->metric = metric;
	coder->dim = dim;
	coder->step = 1;
	switch (kind)
	{
		case VECX_CODE_NONE:
			coder->nbytes = dim * (uint32_t) sizeof(float);
			break;
		case VECX_CODE_HALF:
			coder->nbytes = (uint32_t) sizeof(VecxHalfHead) + vecx_round_up(dim, 2) * 2;
			break;
		case VECX_CODE_SQ8:
			coder->nbytes = vecx_sq_nbytes(dim);
			break;
		case VECX_CODE_BITS_SAMPLE:
			while (bits_nbytes(dim, coder->step) > code_limit && coder->step < dim)
				coder->step *= 2;
			coder->nbytes = bits_nbytes(dim, coder->step);
			break;
		case VECX_CODE_BITS:
			coder->nbytes = bits_nbytes(dim, 1);
			break;
		default:
			if (kind >= VECX_CODE_RABITQ1 && kind <= VECX_CODE_RABITQ8)
				coder->nbytes = vecx_rabitq_nbytes(kind, dim);
			break;
	}
}

/*
 * Half precision spans 2^-24 to 65,504.  Vectors of ordinary size are stored as
 * they are (scale 1), so that their distances need no rescaling; the others so
 * that their largest element lies in [1, 2).
 */
static float
half_scale(const float *x, uint32_t dim)
{
	float		max = 0.0f;
	int			exponent;

	for (uint32_t i = 0; i < dim; i++)
		max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
	if (max == 0.0f || (max >= 0.015625f && max <= 32768.0f))
		return 1.0f;
	(void) frexpf(max, &exponent);
	/* 2^-100 keeps the inverse finite; smaller elements lose digits. */
	return ldexpf(1.0f, exponent - 1 < -100 ? -100 : exponent - 1);
}

static void
half_encode(const VecxCoder *coder, const float *x, uint8_t *code)
{
	VecxHalfHead head;
	uint8_t    *out = code + sizeof(head);
	float		inverse;
	double		norm2 = 0.0;

	head.scale = half_scale(x, coder->dim);
	inverse = 1.0f / head.scale;
	for (uint32_t start = 0; start < coder->dim; start += 64)
	{
		uint32_t	n = coder->dim - start < 64 ? coder->dim - start : 64;
		float		part[64];
		uint16_t	half[64];

		for (uint32_t i = 0; i < n; i++)
			part[i] = x[start + i] * inverse;
		vecx_kernels->f32_to_f16(part, half, n);
		memcpy(out + start * sizeof(uint16_t), half, n * sizeof(uint16_t));
		vecx_kernels->f16_to_f32(half, part, n);
		for (uint32_t i = 0; i < n; i++)
			norm2 += (double) part[i] * (double) part[i];
	}
	if (coder->dim % 2 != 0)
		memset(out + coder->dim * sizeof(uint16_t), 0, sizeof(uint16_t));
	head.norm2 = vecx_finite(norm2 * (double) head.scale * (double) head.scale);
	memcpy(code, &head, sizeof(head));
}

static VecxHalfHead
half_head(const uint8_t *code)
{
	VecxHalfHead head;

	memcpy(&head, code, sizeof(head));
	return head;
}

static const uint16_t *
half_elems(const uint8_t *code)
{
	return (const uint16_t *) (const void *) (code + sizeof(VecxHalfHead));
}

static void
half_decode(const VecxCoder *coder, const uint8_t *code, float *x)
{
	float		scale = half_head(code).scale;

	vecx_kernels->f16_to_f32(half_elems(code), x, coder->dim);
	if (scale != 1.0f)
		for (uint32_t i = 0; i < coder->dim; i++)
			x[i] *= scale;
}

static double
half_l2sq(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	VecxHalfHead head = half_head(code);
	const uint16_t *h = half_elems(code);
	double		scale = (double) head.scale;
	float		inverse;
	double		d;

	if (head.scale == 1.0f)
		return (double) vecx_kernels->l2sq_f16(query->x, h, coder->dim);
	inverse = 1.0f / head.scale;
	for (uint32_t i = 0; i < coder->dim; i++)
		query->centred[i] = query->x[i] * inverse;
	d = (double) vecx_kernels->l2sq_f16(query->centred, h, coder->dim);
	if (d <= (double) FLT_MAX)
		return d * scale * scale;
	/* The query is so much longer than the vector that nothing cancels. */
	return (double) query->norm2 + (double) head.norm2 -
		2.0 * scale * (double) vecx_kernels->ip_f16(query->x, h, coder->dim);
}

static double
half_l1(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	float		scale = half_head(code).scale;
	const float *x = query->x;

	if (scale != 1.0f)
	{
		for (uint32_t i = 0; i < coder->dim; i++)
			query->centred[i] = x[i] / scale;
		x = query->centred;
	}
	return (double) scale * (double) vecx_kernels->l1_f16(x, half_elems(code), coder->dim);
}

static uint32_t
bits_popcount(const uint8_t *bits, size_t nbytes)
{
	uint64_t	both;
	uint64_t	either;

	vecx_kernels->jaccard(bits, bits, nbytes, &both, &either);
	return (uint32_t) both;
}

static void
bits_encode(const VecxCoder *coder, const uint8_t *bits, uint8_t *code)
{
	memset(code, 0, coder->nbytes);
	if (coder->step == 1)
	{
		memcpy(code, bits, (coder->dim + 7) / 8);
		return;
	}
	for (uint32_t from = 0, to = 0; from < coder->dim; from += coder->step, to++)
		if (bits[from / 8] & (0x80u >> from % 8))
			code[to / 8] = (uint8_t) (code[to / 8] | (0x80u >> to % 8));
}

static void
bits_decode(const VecxCoder *coder, const uint8_t *code, uint8_t *bits)
{
	memset(bits, 0, (coder->dim + 7) / 8);
	for (uint32_t to = 0, from = 0; to < coder->dim; to += coder->step, from++)
		if (code[from / 8] & (0x80u >> from % 8))
			bits[to / 8] = (uint8_t) (bits[to / 8] | (0x80u >> to % 8));
}

static float
bits_distance(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	uint64_t	both;
	uint64_t	either;

	if (coder->metric == VECX_METRIC_JACCARD)
	{
		vecx_kernels->jaccard(query->bits, code, coder->nbytes, &both, &either);
		return either == 0 ? 1.0f : 1.0f - (float) both / (float) either;
	}
	return (float) vecx_kernels->hamming(query->bits, code, coder->nbytes) * (float) coder->step;
}

void
vecx_code_encode(const VecxCoder *coder, const void *vec, uint8_t *code)
{
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			memcpy(code, vec, coder->nbytes);
			break;
		case VECX_CODE_HALF:
			half_encode(coder, vec, code);
			break;
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			bits_encode(coder, vec, code);
			break;
		case VECX_CODE_SQ8:
			vecx_sq_encode(coder, vec, code);
			break;
		default:
			vecx_rabitq_encode(coder, vec, code);
			break;
	}
}

void
vecx_code_decode(const VecxCoder *coder, const uint8_t *code, void *vec)
{
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			memcpy(vec, code, coder->nbytes);
			break;
		case VECX_CODE_HALF:
			half_decode(coder, code, vec);
			break;
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			bits_decode(coder, code, vec);
			break;
		case VECX_CODE_SQ8:
			vecx_sq_decode(coder, code, vec);
			break;
		default:
			vecx_rabitq_decode(coder, code, vec);
			break;
	}
}

static bool
half_check(const VecxCoder *coder, const uint8_t *code)
{
	VecxHalfHead head = half_head(code);
	const uint16_t *h = half_elems(code);
	int			exponent;

	for (uint32_t i = 0; i < coder->dim; i++)
		if ((h[i] & 0x7C00) == 0x7C00)
			return false;
	return isfinite(head.scale) && head.scale > 0.0f && frexpf(head.scale, &exponent) == 0.5f &&
		isfinite(head.norm2) && head.norm2 >= 0.0f &&
		(coder->dim % 2 == 0 || h[coder->dim] == 0);
}

static bool
bits_check(const VecxCoder *coder, const uint8_t *code)
{
	uint32_t	nbits = (coder->dim + coder->step - 1) / coder->step;

	if (nbits % 8 != 0 && (code[nbits / 8] & (0xFFu >> nbits % 8)) != 0)
		return false;
	for (uint32_t i = (nbits + 7) / 8; i < coder->nbytes; i++)
		if (code[i] != 0)
			return false;
	return true;
}

bool
vecx_code_check(const VecxCoder *coder, const uint8_t *code)
{
	float		x;

	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			for (uint32_t i = 0; i < coder->dim; i++)
			{
				memcpy(&x, code + i * sizeof(float), sizeof(float));
				if (!isfinite(x))
					return false;
			}
			return true;
		case VECX_CODE_HALF:
			return half_check(coder, code);
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			return bits_check(coder, code);
		case VECX_CODE_SQ8:
			return vecx_sq_check(coder, code);
		default:
			return vecx_rabitq_check(coder, code);
	}
}

size_t
vecx_code_query_scratch(const VecxCoder *coder)
{
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			return 8;
		case VECX_CODE_HALF:
			return 2 * (size_t) coder->dim * sizeof(float);
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			return coder->nbytes;
		case VECX_CODE_SQ8:
			return vecx_sq_query_scratch(coder);
		default:
			return vecx_rabitq_query_scratch(coder);
	}
}

static float
float_norm2(const float *x, uint32_t dim)
{
	return vecx_finite((double) vecx_kernels->ip_f32(x, x, dim));
}

void
vecx_code_query_init(const VecxCoder *coder, VecxCodeQuery *query, const void *vec, void *scratch)
{
	memset(query, 0, sizeof(*query));
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
		case VECX_CODE_HALF:
			query->x = vec;
			query->work = scratch;
			query->centred = query->work + (coder->kind == VECX_CODE_HALF ? coder->dim : 0);
			query->norm2 = float_norm2(vec, coder->dim);
			break;
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			/* Vectors of bits end at a byte, codes at a word. */
			bits_encode(coder, vec, scratch);
			query->bits = scratch;
			query->popcount = bits_popcount(query->bits, coder->nbytes);
			break;
		case VECX_CODE_SQ8:
			vecx_sq_query_init(coder, query, vec, scratch);
			break;
		default:
			vecx_rabitq_query_init(coder, query, vec, scratch);
			break;
	}
}

void
vecx_code_query_init_code(const VecxCoder *coder, VecxCodeQuery *query,
						  const uint8_t *code, void *scratch)
{
	memset(query, 0, sizeof(*query));
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			query->x = (const float *) (const void *) code;
			query->norm2 = float_norm2(query->x, coder->dim);
			break;
		case VECX_CODE_HALF:
			query->work = scratch;
			query->centred = query->work + coder->dim;
			half_decode(coder, code, query->work);
			query->x = query->work;
			query->norm2 = half_head(code).norm2;
			break;
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			query->bits = code;
			query->popcount = bits_popcount(code, coder->nbytes);
			break;
		case VECX_CODE_SQ8:
			vecx_sq_query_init_code(coder, query, code, scratch);
			break;
		default:
			vecx_rabitq_query_init_code(coder, query, code, scratch);
			break;
	}
	query->code = code;
}

float
vecx_code_distance(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	const float *x = (const float *) (const void *) code;
	bool		ip = coder->metric == VECX_METRIC_IP;

	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			if (ip)
				return vecx_finite(-(double) vecx_kernels->ip_f32(query->x, x, coder->dim));
			return vecx_finite((double) vecx_kernels->l2sq_f32(query->x, x, coder->dim));
		case VECX_CODE_HALF:
			if (ip)
				return vecx_finite(-(double) half_head(code).scale *
								   (double) vecx_kernels->ip_f16(query->x, half_elems(code), coder->dim));
			return vecx_finite(half_l2sq(coder, query, code));
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			return bits_distance(coder, query, code);
		case VECX_CODE_SQ8:
			if (ip)
				return vecx_finite(-vecx_sq_ip(coder, query, code));
			return vecx_finite(vecx_sq_l2sq(coder, query, code));
		default:
			if (ip)
				return vecx_finite(-vecx_rabitq_ip(coder, query, code));
			return vecx_finite(vecx_rabitq_l2sq(coder, query, code));
	}
}

size_t
vecx_code_queries_room(const VecxCoder *coder, size_t nqueries, size_t ncodes)
{
	return coder->kind == VECX_CODE_SQ8 ? vecx_sq_queries_room(coder, nqueries, ncodes) : 1;
}

void
vecx_code_queries_init(VecxCodeQueries *set, const VecxCoder *coder, const VecxCodeQuery *const *queries,
					   size_t nqueries, size_t ncodes, void *room)
{
	memset(set, 0, sizeof(*set));
	set->coder = coder;
	set->queries = queries;
	set->count = nqueries;
	if (coder->kind == VECX_CODE_SQ8)
		vecx_sq_queries_init(set, ncodes, room);
}

size_t
vecx_code_pairs(const VecxCodeQueries *set, const uint8_t *codes, size_t ncodes, const float *limits,
				VecxCodePair *pairs)
{
	const VecxCoder *coder = set->coder;
	size_t		n = 0;

	if (coder->kind == VECX_CODE_SQ8)
		return vecx_sq_pairs(set, codes, ncodes, limits, pairs);
	for (size_t c = 0; c < ncodes; c++)
		for (size_t q = 0; q < set->count; q++)
		{
			float		distance = vecx_code_distance(coder, set->queries[q], codes + c * coder->nbytes);

			if (distance <= limits[q])
				pairs[n++] = (VecxCodePair) {(uint32_t) c, (uint32_t) q, distance};
		}
	return n;
}

float
vecx_code_rank(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code, float nav)
{
	if (coder->metric != VECX_METRIC_L1)
		return nav;
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			return vecx_finite((double) vecx_kernels->l1_f32(query->x, (const float *) (const void *) code,
															 coder->dim));
		case VECX_CODE_HALF:
			return vecx_finite(half_l1(coder, query, code));
		case VECX_CODE_SQ8:
			return vecx_finite(vecx_sq_l1(coder, query, code));
		default:
			return vecx_finite(vecx_rabitq_l1(coder, query, code));
	}
}

/*
 * The quantisation noise e is taken as independent of the query and of equal
 * variance in all elements.  Elements quantised exactly make err2 / dim too
 * small for the others, hence the variance step^2 / 12 of uniform rounding as
 * the least.  Then, with x the vector and y what its code stands for:
 *    |q - x|^2 - |q - y|^2 = |e|^2 + 2 <q - y, e>       (L2)
 *    <q, x> - <q, y>       = <q, e>                     (IP)
 * (but e leans towards x: <x, e> is about |e|^2, and so does a query like x)
 *    |q - x|_1 - |q - y|_1 = sum of +-e[i], and at most |e|_1 where they agree
 *
 * Codes may be exact, of integers for example; what is left then is the rounding
 * of sums in float, of terms as large as the norms.
 */
#define ROUNDING	2e-6

static double
float_error(const VecxCoder *coder, const VecxCodeQuery *query, double err2, double var,
			double norm2, float rank)
{
	double		n = (double) coder->dim;
	double		rounding = ROUNDING * (norm2 + (double) query->norm2);
	double		sigma;

	/* squares below float's least are lost */
	err2 += n * (double) FLT_MIN;
	sigma = sqrt(var > err2 / n ? var : err2 / n);
	switch (coder->metric)
	{
		case VECX_METRIC_IP:
			return 3.0 * sqrt((double) query->norm2) * sigma + rounding +
				(norm2 > err2 ? fabs((double) rank) * err2 / norm2 : 0.0);
		case VECX_METRIC_L1:
			{
				double		most = sqrt(n * err2);
				double		bias = rank > 0.0f ? n * n * sigma * sigma / (double) rank : most;

				return 3.0 * sqrt(err2) + (bias < most ? bias : most) +
					ROUNDING * sqrt(n) * (sqrt(norm2) + sqrt((double) query->norm2));
			}
		default:
			return 6.0 * sqrt(fmax((double) rank, 0.0)) * sigma + err2 + rounding;
	}
}

static double
bits_error(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code, float rank)
{
	double		n = (double) ((coder->dim + coder->step - 1) / coder->step);
	double		p = (double) rank / (double) coder->dim;
	double		pop;

	if (coder->step == 1)
		return 0.0;
	if (coder->metric == VECX_METRIC_HAMMING)
		return 3.0 * (double) coder->dim * sqrt((p * (1.0 - p) + 1.0 / n) / n);
	pop = (double) query->popcount;
	if (query->popcount < bits_popcount(code, coder->nbytes))
		pop = (double) bits_popcount(code, coder->nbytes);
	p = (double) rank;
	return pop < 1.0 ? 1.0 : fmin(1.0, 3.0 * sqrt((p * (1.0 - p) + 1.0 / pop) / pop));
}

float
vecx_code_error(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code, float rank)
{
	double		norm2;
	double		err2;
	double		step;

	switch (coder->kind)
	{
		case VECX_CODE_NONE:
		case VECX_CODE_BITS:
			return 0.0f;
		case VECX_CODE_BITS_SAMPLE:
			return vecx_finite(bits_error(coder, query, code, rank));
		case VECX_CODE_HALF:
			/*
			 * An element's error is uniform within 2^-12 to 2^-11 of it.  A few
			 * large elements may carry both the norm and the distance: allow
			 * four times the mean variance.
			 */
			norm2 = (double) half_head(code).norm2;
			err2 = norm2 * ldexp(1.0, -22) / 3.0;
			return vecx_finite(float_error(coder, query, err2, 4.0 * err2 / (double) coder->dim,
										   norm2, rank));
		case VECX_CODE_SQ8:
			vecx_sq_noise(code, &err2, &step);
			norm2 = vecx_sq_norm2(coder, code);
			return vecx_finite(float_error(coder, query, err2, err2 > 0.0 ? step * step / 12.0 : 0.0,
										   norm2, rank));
		default:
			if (coder->metric != VECX_METRIC_L1)
				return vecx_finite(vecx_rabitq_error(coder, query, code, rank));
			return vecx_finite(float_error(coder, query, vecx_rabitq_err2(coder, code), 0.0,
										   vecx_rabitq_norm2(code), rank));
	}
}

void
vecx_code_least(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *const *codes,
				size_t n, float errors, float *dist, float *out)
{
	bool		quick = coder->kind >= VECX_CODE_RABITQ1 && coder->metric != VECX_METRIC_L1 &&
		query->code == NULL;

	if (quick)
		vecx_rabitq_least(coder, query, codes, n, errors, dist, out);
	for (size_t i = 0; i < n; i++)
	{
		float		d;

		/* lengths near the end of float may have left it on the quick way */
		if (quick && isfinite(out[i]))
			continue;
		d = vecx_code_distance(coder, query, codes[i]);
		if (dist)
			dist[i] = d;
		out[i] = d - errors * vecx_code_error(coder, query, codes[i], d);
	}
}

float
vecx_code_norm2(const VecxCoder *coder, const uint8_t *code)
{
	switch (coder->kind)
	{
		case VECX_CODE_NONE:
			return float_norm2((const float *) (const void *) code, coder->dim);
		case VECX_CODE_HALF:
			return half_head(code).norm2;
		case VECX_CODE_BITS:
		case VECX_CODE_BITS_SAMPLE:
			return (float) (bits_popcount(code, coder->nbytes) * coder->step);
		case VECX_CODE_SQ8:
			return vecx_finite(vecx_sq_norm2(coder, code));
		default:
			return vecx_finite(vecx_rabitq_norm2(code));
	}
}

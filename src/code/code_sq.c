/*
 * code_sq.c
 *    The scalar quantisers: x[i] is about offset + scale * c[i], where c[i] has
 *    8, 4, 2 or 1 bits, with a scale and an offset of each vector's own.
 *
 * A code is a VecxSqHead and then the c[i].  Those of fewer than 8 bits are
 * packed in planes: part p of byte j is element p * stride + j, so that
 * unpacking moves whole words.
 *
 * All products are taken between centred vectors: with m the mean of a vector's
 * elements and x~ = x - m,
 *        |x - y|^2 = n (mx - my)^2 + |x~|^2 + |y~|^2 - 2 <x~, y~>
 * so that an offset common to all elements cancels before it can eat digits.
 * What is then left of rounding is smaller than the quantisation noise.
 */
#include "code_int.h"

typedef struct VecxSqHead
{
	float		scale;			/* step between levels, >= 0 */
	float		offset;			/* value of level 0 */
	uint32_t	sum;			/* of c[i]; <= 65,535 * 255 */
	uint32_t	sumsq;			/* of c[i]^2; <= 66,051 * 255^2 */
	float		err2;			/* |x - what the code stands for|^2 */
} VecxSqHead;

static uint32_t
sq_bits(VecxCodeKind kind)
{
	switch (kind)
	{
		case VECX_CODE_SQ4:
			return 4;
		case VECX_CODE_SQ2:
			return 2;
		case VECX_CODE_SQ1:
			return 1;
		default:
			return 8;
	}
}

/* Bytes of one packed plane. */
static uint32_t
sq_stride(VecxCodeKind kind, uint32_t dim)
{
	return vecx_round_up((dim * sq_bits(kind) + 7) / 8, 4);
}

uint32_t
vecx_sq_nbytes(VecxCodeKind kind, uint32_t dim)
{
	return (uint32_t) sizeof(VecxSqHead) + sq_stride(kind, dim);
}

static VecxSqHead
sq_head(const uint8_t *code)
{
	VecxSqHead	head;

	memcpy(&head, code, sizeof(head));
	return head;
}

/* out[i] for i up to the planes' ends, which may be past dim. */
static void
sq_unpack(const VecxCoder *coder, const uint8_t *code, uint8_t *out)
{
	const uint8_t *packed = code + sizeof(VecxSqHead);
	uint32_t	bits = sq_bits(coder->kind);
	uint32_t	stride = sq_stride(coder->kind, coder->dim);
	uint32_t	mask = ((1u << bits) - 1) * 0x01010101u;

	for (uint32_t part = 0; part < 8 / bits; part++)
	{
		uint32_t	shift = part * bits;

		for (uint32_t j = 0; j < stride; j += 4)
		{
			uint32_t	word;

			memcpy(&word, packed + j, 4);
			word = (word >> shift) & mask;
			memcpy(out + part * stride + j, &word, 4);
		}
	}
}

/* Room that sq_unpack fills. */
static size_t
sq_unpacked_bytes(const VecxCoder *coder)
{
	return (size_t) sq_stride(coder->kind, coder->dim) * (8 / sq_bits(coder->kind));
}

/* The code's elements, one byte each. */
static const uint8_t *
sq_levels(const VecxCoder *coder, const uint8_t *code, uint8_t *room)
{
	if (coder->kind == VECX_CODE_SQ8)
		return code + sizeof(VecxSqHead);
	sq_unpack(coder, code, room);
	return room;
}

static inline uint32_t
sq_level(float x, float offset, float inverse, uint32_t top)
{
	float		t = (x - offset) * inverse + 0.5f;

	if (!(t > 0.0f))
		return 0;
	return t >= (float) top ? top : (uint32_t) t;
}

/* The moments of x that the choice of a range needs. */
typedef struct SqMoments
{
	float		min;
	float		max;
	double		mean;
	double		dev2;			/* |x - mean|^2 */
	bool		integers;
} SqMoments;

static SqMoments
sq_moments(const float *x, uint32_t dim)
{
	SqMoments	m = {x[0], x[0], 0.0, 0.0, true};

	for (uint32_t i = 0; i < dim; i++)
	{
		m.min = x[i] < m.min ? x[i] : m.min;
		m.max = x[i] > m.max ? x[i] : m.max;
		m.mean += (double) x[i];
		if (m.integers && (fabsf(x[i]) > 16777216.0f || (float) (int32_t) x[i] != x[i]))
			m.integers = false;
	}
	m.mean /= (double) dim;
	for (uint32_t i = 0; i < dim; i++)
		m.dev2 += ((double) x[i] - m.mean) * ((double) x[i] - m.mean);
	return m;
}

/*
 * Few levels: least squares of x on the levels that (offset, scale) gives.
 * Refits both, and returns the squared error that is left.
 */
static double
sq_refit(const float *x, uint32_t dim, const SqMoments *m, uint32_t top,
		 float offset, float scale, float *fit_offset, float *fit_scale)
{
	double		n = (double) dim;
	double		sum = 0.0;
	double		sumsq = 0.0;
	double		prod = 0.0;
	double		var;
	double		slope;

	for (uint32_t i = 0; i < dim; i++)
	{
		double		c = (double) sq_level(x[i], offset, 1.0f / scale, top);

		sum += c;
		sumsq += c * c;
		prod += c * ((double) x[i] - m->mean);
	}
	var = sumsq - sum * sum / n;
	if (var <= 0.0)
		return HUGE_VAL;
	slope = prod / var;
	*fit_scale = (float) slope;
	*fit_offset = (float) (m->mean - slope * sum / n);
	return m->dev2 - slope * prod;
}

/*
 * Chooses the range for few levels.  step_for[] is the step, in standard
 * deviations, of the best uniform quantiser of a normal variable (Max 1960);
 * wider and narrower ones are tried for what is not normal.
 */
static void
sq_choose_range(const float *x, uint32_t dim, const SqMoments *m, uint32_t bits,
				float *offset, float *scale, float *fit_offset, float *fit_scale)
{
	static const float widths[] = {0.7f, 1.0f, 1.4f, 2.0f, 3.0f};
	const float step_for = bits == 1 ? 1.596f : bits == 2 ? 0.9957f : 0.3352f;
	uint32_t	top = (1u << bits) - 1;
	float		sigma = (float) sqrt(m->dev2 / (double) dim);
	double		best = HUGE_VAL;

	for (size_t w = 0; w <= sizeof(widths) / sizeof(widths[0]); w++)
	{
		bool		full = w == sizeof(widths) / sizeof(widths[0]);
		float		s = full ? (m->max - m->min) / (float) top : step_for * widths[w] * sigma;
		float		o = full ? m->min : (float) m->mean - s * (float) top / 2.0f;
		float		fo = o;
		float		fs = s;
		double		err;

		if (s < FLT_MIN)
			continue;
		err = sq_refit(x, dim, m, top, o, s, &fo, &fs);
		if (err < best && fs >= FLT_MIN)
		{
			best = err;
			*offset = o;
			*scale = s;
			*fit_offset = fo;
			*fit_scale = fs;
		}
	}
}

void
vecx_sq_encode(const VecxCoder *coder, const float *x, uint8_t *code)
{
	uint32_t	dim = coder->dim;
	uint32_t	bits = sq_bits(coder->kind);
	uint32_t	top = (1u << bits) - 1;
	uint32_t	stride = sq_stride(coder->kind, dim);
	uint8_t    *packed = code + sizeof(VecxSqHead);
	SqMoments	m = sq_moments(x, dim);
	VecxSqHead	head;
	float		offset = (float) m.mean;
	float		scale = 0.0f;
	double		err2 = 0.0;

	memset(code, 0, coder->nbytes);
	memset(&head, 0, sizeof(head));
	head.offset = offset;
	if (bits == 8)
	{
		/* Whole numbers within 255 of each other, as image data, stay exact. */
		scale = m.integers && m.max - m.min <= 255.0f ? 1.0f : (m.max - m.min) / 255.0f;
		if (m.min == m.max || scale < FLT_MIN)
			scale = 0.0f;
		head.offset = offset = m.min;
		head.scale = scale;
	}
	else
		sq_choose_range(x, dim, &m, bits, &offset, &scale, &head.offset, &head.scale);

	for (uint32_t i = 0; i < dim; i++)
	{
		uint32_t	c = scale > 0.0f ? sq_level(x[i], offset, 1.0f / scale, top) : 0;
		double		e = (double) x[i] - ((double) head.offset + (double) head.scale * (double) c);

		packed[i % stride] = (uint8_t) (packed[i % stride] | (c << (i / stride * bits)));
		head.sum += c;
		head.sumsq += c * c;
		err2 += e * e;
	}
	head.err2 = vecx_finite(err2);
	memcpy(code, &head, sizeof(head));
}

void
vecx_sq_decode(const VecxCoder *coder, const uint8_t *code, float *x)
{
	const uint8_t *packed = code + sizeof(VecxSqHead);
	uint32_t	bits = sq_bits(coder->kind);
	uint32_t	stride = sq_stride(coder->kind, coder->dim);
	VecxSqHead	head = sq_head(code);
	uint32_t	part = 0;
	uint32_t	j = 0;

	for (uint32_t i = 0; i < coder->dim; i++)
	{
		uint32_t	c = ((uint32_t) packed[j] >> (part * bits)) & ((1u << bits) - 1);

		x[i] = head.offset + head.scale * (float) c;
		if (++j == stride)
		{
			j = 0;
			part++;
		}
	}
}

bool
vecx_sq_check(const VecxCoder *coder, const uint8_t *code)
{
	const uint8_t *packed = code + sizeof(VecxSqHead);
	uint32_t	bits = sq_bits(coder->kind);
	uint32_t	stride = sq_stride(coder->kind, coder->dim);
	uint32_t	nelems = stride * (8 / bits);
	VecxSqHead	head = sq_head(code);
	uint32_t	sum = 0;
	uint32_t	sumsq = 0;

	for (uint32_t i = 0; i < nelems; i++)
	{
		uint32_t	c = ((uint32_t) packed[i % stride] >> (i / stride * bits)) & ((1u << bits) - 1);

		if (i >= coder->dim && c != 0)
			return false;
		sum += c;
		sumsq += c * c;
	}
	return isfinite(head.scale) && head.scale >= 0.0f && isfinite(head.offset) &&
		isfinite(head.err2) && head.err2 >= 0.0f &&
		sum == head.sum && sumsq == head.sumsq;
}

/* Mean and squared deviation of what a code stands for. */
static void
sq_centre(const VecxSqHead *head, uint32_t dim, double *mean, double *dev2)
{
	double		n = (double) dim;
	double		sum = (double) head->sum;
	double		s = (double) head->scale;

	*mean = (double) head->offset + s * sum / n;
	*dev2 = s * s * ((double) head->sumsq - sum * sum / n);
}

double
vecx_sq_norm2(const VecxCoder *coder, const uint8_t *code)
{
	VecxSqHead	head = sq_head(code);
	double		mean;
	double		dev2;

	sq_centre(&head, coder->dim, &mean, &dev2);
	return (double) coder->dim * mean * mean + dev2;
}

void
vecx_sq_noise(const VecxCoder *coder, const uint8_t *code, double *err2, double *step)
{
	VecxSqHead	head = sq_head(code);

	(void) coder;
	*err2 = (double) head.err2;
	*step = (double) head.scale;
}

/* Scratch: the query centred or decoded, the other code's levels, its own. */
size_t
vecx_sq_query_scratch(const VecxCoder *coder)
{
	return (size_t) vecx_round_up(coder->dim, 2) * sizeof(float) + 2 * sq_unpacked_bytes(coder);
}

static void
sq_place_scratch(const VecxCoder *coder, VecxCodeQuery *query, void *scratch)
{
	query->work = scratch;
	query->unpacked = (uint8_t *) (query->work + vecx_round_up(coder->dim, 2));
}

void
vecx_sq_query_init(const VecxCoder *coder, VecxCodeQuery *query, const float *x, void *scratch)
{
	double		sum = 0.0;
	double		rest = 0.0;
	double		dev2 = 0.0;
	double		mean;

	sq_place_scratch(coder, query, scratch);
	for (uint32_t i = 0; i < coder->dim; i++)
		sum += (double) x[i];
	query->mean = (float) (sum / (double) coder->dim);
	for (uint32_t i = 0; i < coder->dim; i++)
	{
		float		t = x[i] - query->mean;

		query->work[i] = t;
		rest += (double) t;
		dev2 += (double) t * (double) t;
	}
	mean = (double) query->mean;
	query->x = x;
	query->centred = query->work;
	query->rest = (float) rest;
	query->dev2 = (float) dev2;
	query->norm2 = vecx_finite((double) coder->dim * mean * mean + 2.0 * mean * rest + dev2);
}

void
vecx_sq_query_init_code(const VecxCoder *coder, VecxCodeQuery *query,
						const uint8_t *code, void *scratch)
{
	sq_place_scratch(coder, query, scratch);
	query->code = code;
	query->levels = sq_levels(coder, code, query->unpacked + sq_unpacked_bytes(coder));
	query->norm2 = vecx_finite(vecx_sq_norm2(coder, code));
	if (coder->metric == VECX_METRIC_L1)
	{
		vecx_sq_decode(coder, code, query->work);
		query->x = query->work;
	}
}

/*
 * Means of query and code, their centred squares and the centred product.
 */
static double
sq_products(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code,
			double *mean_q, double *mean_x, double *dev2_q, double *dev2_x)
{
	const uint8_t *levels = sq_levels(coder, code, query->unpacked);
	double		n = (double) coder->dim;
	VecxSqHead	head = sq_head(code);
	double		level_mean = (double) head.sum / n;

	sq_centre(&head, coder->dim, mean_x, dev2_x);
	if (query->code != NULL)
	{
		VecxSqHead	qhead = sq_head(query->code);
		double		prod = (double) vecx_kernels->ip_u8u8(query->levels, levels, coder->dim);

		sq_centre(&qhead, coder->dim, mean_q, dev2_q);
		return (double) head.scale * (double) qhead.scale * (prod - level_mean * (double) qhead.sum);
	}
	*mean_q = (double) query->mean + (double) query->rest / n;
	*dev2_q = (double) query->dev2 - (double) query->rest * (double) query->rest / n;
	return (double) head.scale *
		((double) vecx_kernels->ip_f32u8(query->centred, levels, coder->dim) -
		 level_mean * (double) query->rest);
}

double
vecx_sq_l2sq(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	double		mq;
	double		mx;
	double		dq;
	double		dx;
	double		prod = sq_products(coder, query, code, &mq, &mx, &dq, &dx);
	double		d = (double) coder->dim * (mq - mx) * (mq - mx) + dq + dx - 2.0 * prod;

	return d > 0.0 ? d : 0.0;
}

double
vecx_sq_ip(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	double		mq;
	double		mx;
	double		dq;
	double		dx;
	double		prod = sq_products(coder, query, code, &mq, &mx, &dq, &dx);

	return (double) coder->dim * mq * mx + prod;
}

double
vecx_sq_l1(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	const uint8_t *levels = sq_levels(coder, code, query->unpacked);
	VecxSqHead	head = sq_head(code);

	return (double) vecx_kernels->l1_f32u8(query->x, levels, coder->dim, head.scale, head.offset);
}

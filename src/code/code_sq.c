/*
 * code_sq.c
 *    The scalar quantiser SQ8: x[i] is about offset + scale * c[i], where c[i]
 *    has 8 bits, with a scale and an offset of each vector's own.
 *
 * A code is a VecxSqHead and then the c[i].
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

uint32_t
vecx_sq_nbytes(uint32_t dim)
{
	return (uint32_t) sizeof(VecxSqHead) + vecx_round_up(dim, 4);
}

static VecxSqHead
sq_head(const uint8_t *code)
{
	VecxSqHead	head;

	memcpy(&head, code, sizeof(head));
	return head;
}

static const uint8_t *
sq_levels(const uint8_t *code)
{
	return code + sizeof(VecxSqHead);
}

/* Whole numbers up to this are exact in float. */
#define MOST_WHOLE	16777216.0f

/* The least and the largest of some elements: of every eighth, then of those. */
static void
find_range(const float *x, uint32_t n, float *min, float *max)
{
	float		least[8];
	float		most[8];

	for (uint32_t k = 0; k < 8; k++)
		least[k] = most[k] = x[k < n ? k : 0];
	for (uint32_t i = 8; i + 8 <= n; i += 8)
		for (uint32_t k = 0; k < 8; k++)
		{
			least[k] = x[i + k] < least[k] ? x[i + k] : least[k];
			most[k] = x[i + k] > most[k] ? x[i + k] : most[k];
		}
	for (uint32_t i = n / 8 * 8; i < n; i++)
	{
		least[0] = x[i] < least[0] ? x[i] : least[0];
		most[0] = x[i] > most[0] ? x[i] : most[0];
	}
	*min = least[0];
	*max = most[0];
	for (uint32_t k = 1; k < 8; k++)
	{
		*min = least[k] < *min ? least[k] : *min;
		*max = most[k] > *max ? most[k] : *max;
	}
}

static bool
are_whole(const float *x, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (fabsf(x[i]) > MOST_WHOLE || (float) (int32_t) x[i] != x[i])
			return false;
	return true;
}

void
vecx_sq_encode(const VecxCoder *coder, const float *x, uint8_t *code)
{
	uint32_t	dim = coder->dim;
	uint8_t    *levels = code + sizeof(VecxSqHead);
	float		min;
	float		max;
	double		err2;
	VecxSqHead	head;

	find_range(x, dim, &min, &max);
	memset(code, 0, coder->nbytes);
	memset(&head, 0, sizeof(head));
	head.offset = min;
	/* Whole numbers within 255 of each other, as image data, stay exact. */
	head.scale = max - min <= 255.0f && are_whole(x, dim) ? 1.0f : (max - min) / 255.0f;
	if (min == max || head.scale < FLT_MIN)
		head.scale = 0.0f;
	head.sum = vecx_kernels->levels_sq8(x, dim, head.offset, head.scale,
										head.scale > 0.0f ? 1.0f / head.scale : 0.0f, levels, &err2);
	head.err2 = vecx_finite(err2);
	head.sumsq = vecx_kernels->ip_u8u8(levels, levels, dim);
	memcpy(code, &head, sizeof(head));
}

typedef uint8_t FourBytes __attribute__((vector_size(4)));

void
vecx_sq_decode(const VecxCoder *coder, const uint8_t *code, float *x)
{
	const uint8_t *levels = sq_levels(code);
	VecxSqHead	head = sq_head(code);
	uint32_t	whole = coder->dim / 4 * 4;

	for (uint32_t i = 0; i < whole; i += 4)
	{
		FourBytes	four;
		VecxFour	values;

		memcpy(&four, levels + i, sizeof(four));
		values = head.offset + head.scale * __builtin_convertvector(four, VecxFour);
		memcpy(x + i, &values, sizeof(values));
	}
	for (uint32_t i = whole; i < coder->dim; i++)
		x[i] = head.offset + head.scale * (float) levels[i];
}

bool
vecx_sq_check(const VecxCoder *coder, const uint8_t *code)
{
	const uint8_t *levels = sq_levels(code);
	VecxSqHead	head = sq_head(code);
	uint32_t	sum = 0;
	uint32_t	sumsq = 0;

	for (uint32_t i = 0; i < vecx_round_up(coder->dim, 4); i++)
	{
		if (i >= coder->dim && levels[i] != 0)
			return false;
		sum += levels[i];
		sumsq += (uint32_t) levels[i] * levels[i];
	}
	return isfinite(head.scale) && head.scale >= 0.0f && isfinite(head.offset) &&
		isfinite(head.err2) && head.err2 >= 0.0f &&
		sum == head.sum && sumsq == head.sumsq;
}

/* Mean and squared deviation of what a code stands for, and the mean of its levels. */
static inline double
sq_centre(const VecxSqHead *head, double inverse_dim, double *mean, double *dev2)
{
	double		level_mean = (double) head->sum * inverse_dim;
	double		s = (double) head->scale;

	*mean = (double) head->offset + s * level_mean;
	*dev2 = s * s * ((double) head->sumsq - (double) head->sum * level_mean);
	return level_mean;
}

double
vecx_sq_norm2(const VecxCoder *coder, const uint8_t *code)
{
	VecxSqHead	head = sq_head(code);
	double		mean;
	double		dev2;

	(void) sq_centre(&head, 1.0 / (double) coder->dim, &mean, &dev2);
	return (double) coder->dim * mean * mean + dev2;
}

void
vecx_sq_noise(const uint8_t *code, double *err2, double *step)
{
	VecxSqHead	head = sq_head(code);

	*err2 = (double) head.err2;
	*step = (double) head.scale;
}

/* Scratch: the query centred or decoded. */
size_t
vecx_sq_query_scratch(const VecxCoder *coder)
{
	return (size_t) vecx_round_up(coder->dim, 2) * sizeof(float);
}

void
vecx_sq_query_init(const VecxCoder *coder, VecxCodeQuery *query, const float *x, void *scratch)
{
	double		sum = 0.0;
	double		rest = 0.0;
	double		dev2 = 0.0;
	double		mean;

	query->work = scratch;
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
	VecxSqHead	head = sq_head(code);
	double		n = (double) coder->dim;

	query->work = scratch;
	query->code = code;
	(void) sq_centre(&head, 1.0 / n, &query->code_mean, &query->code_dev2);
	query->code_scale = (double) head.scale;
	query->code_sum = (double) head.sum;
	query->norm2 = vecx_finite(n * query->code_mean * query->code_mean + query->code_dev2);
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
	const uint8_t *levels = sq_levels(code);
	double		inverse_dim = 1.0 / (double) coder->dim;
	VecxSqHead	head = sq_head(code);
	double		level_mean = sq_centre(&head, inverse_dim, mean_x, dev2_x);

	if (query->code != NULL)
	{
		double		prod = (double) vecx_kernels->ip_u8u8(sq_levels(query->code), levels, coder->dim);

		*mean_q = query->code_mean;
		*dev2_q = query->code_dev2;
		return (double) head.scale * query->code_scale * (prod - level_mean * query->code_sum);
	}
	*mean_q = (double) query->mean + (double) query->rest * inverse_dim;
	*dev2_q = (double) query->dev2 - (double) query->rest * (double) query->rest * inverse_dim;
	return (double) head.scale *
		((double) vecx_kernels->ip_f32u8(query->centred, levels, coder->dim) -
		 level_mean * (double) query->rest);
}

/* |q - x|^2 and <q, x> of means, squared deviations and the centred product. */
static double
l2sq_of(double n, double mq, double mx, double dq, double dx, double prod)
{
	double		d = n * (mq - mx) * (mq - mx) + dq + dx - 2.0 * prod;

	return d > 0.0 ? d : 0.0;
}

static double
ip_of(double n, double mq, double mx, double prod)
{
	return n * mq * mx + prod;
}

double
vecx_sq_l2sq(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	double		mq;
	double		mx;
	double		dq;
	double		dx;
	double		prod = sq_products(coder, query, code, &mq, &mx, &dq, &dx);

	return l2sq_of((double) coder->dim, mq, mx, dq, dx, prod);
}

double
vecx_sq_ip(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	double		mq;
	double		mx;
	double		dq;
	double		dx;
	double		prod = sq_products(coder, query, code, &mq, &mx, &dq, &dx);

	return ip_of((double) coder->dim, mq, mx, prod);
}

/* The rows of heads. */
enum
{
	MEAN, DEV2, SCALE, SUM, HEADS
};

size_t
vecx_sq_queries_room(const VecxCoder *coder, size_t nqueries, size_t ncodes)
{
	return sizeof(float) * HEADS * nqueries + sizeof(uint32_t) * nqueries * ncodes + (nqueries + ncodes) * coder->dim;
}

/* The levels of all are laid side by side, for one product of matrices. */
void
vecx_sq_queries_init(VecxCodeQueries *set, size_t ncodes, void *room)
{
	size_t		dim = set->coder->dim;
	size_t		n = set->count;

	set->heads = room;
	set->products = (uint32_t *) (void *) (set->heads + HEADS * n);
	set->levels = (uint8_t *) (set->products + n * ncodes);
	set->room = set->levels + n * dim;
	for (size_t q = 0; q < n; q++)
	{
		const VecxCodeQuery *query = set->queries[q];

		set->heads[MEAN * n + q] = (float) query->code_mean;
		set->heads[DEV2 * n + q] = (float) query->code_dev2;
		set->heads[SCALE * n + q] = (float) query->code_scale;
		set->heads[SUM * n + q] = (float) query->code_sum;
		memcpy(set->levels + q * dim, sq_levels(query->code), dim);
	}
}

/* What a code has to say for its distances. */
typedef struct SqTerms
{
	double		mean;
	double		dev2;
	double		level_mean;
	double		scale;
} SqTerms;

static float
distance_of_product(const VecxCoder *coder, const VecxCodeQuery *q, const SqTerms *code, uint32_t product)
{
	double		n = (double) coder->dim;
	double		centred = code->scale * q->code_scale * ((double) product - code->level_mean * q->code_sum);

	if (coder->metric == VECX_METRIC_IP)
		return vecx_finite(-ip_of(n, q->code_mean, code->mean, centred));
	return vecx_finite(l2sq_of(n, q->code_mean, code->mean, q->code_dev2, code->dev2, centred));
}

/* More than float arithmetic may be off: of the sum of all terms, and where these are tiny. */
#define FLOAT_SLACK	1e-6f
#define TINY_SLACK	1e-30f

/* Whether the distances of a code to four queries, from the q-th on, may be within their limits.
 * Products fit int32: what is longer than 33,000 dimensions fits no page. */
static inline VecxFourInts
may_be_within(const VecxCodeQueries *set, const SqTerms *code, size_t q, const float *limits, const uint32_t *products)
{
	size_t		n = set->count;
	float		dim = (float) set->coder->dim;
#define FOUR(row)	(*(const VecxFour *) (const void *) (set->heads + (row) * n + q))
	VecxFour	product = __builtin_convertvector(*(const VecxFourInts *) (const void *) products, VecxFour);
	VecxFour	off = FOUR(SUM) * (float) code->level_mean;
	VecxFour	factor = FOUR(SCALE) * (float) code->scale;
	VecxFour	mean = FOUR(MEAN);
	VecxFour	size = dim * (mean * mean + (float) (code->mean * code->mean));
	VecxFour	rest;

	if (set->coder->metric == VECX_METRIC_IP)
		rest = mean * (-dim * (float) code->mean);
	else
	{
		mean -= (float) code->mean;
		rest = mean * mean * dim + FOUR(DEV2) + (float) code->dev2;
		size += rest;
		factor += factor;
	}
	return ~(rest - factor * (product - off) - FLOAT_SLACK * (size + factor * (product + off)) - TINY_SLACK >
			 *(const VecxFour *) (const void *) (limits + q));
#undef FOUR
}

static inline bool
any_of(VecxFourInts four)
{
	return (four[0] | four[1] | four[2] | four[3]) != 0;
}

/* Nearly all are beyond their limits, which floats and four lanes tell; the rest are computed
 * as for one query and one code. */
size_t
vecx_sq_pairs(const VecxCodeQueries *set, const uint8_t *codes, size_t ncodes, const float *limits,
			  VecxCodePair *pairs)
{
	const VecxCoder *coder = set->coder;
	size_t		dim = coder->dim;
	size_t		n = set->count;
	size_t		found = 0;

	for (size_t c = 0; c < ncodes; c++)
		memcpy(set->room + c * dim, sq_levels(codes + c * coder->nbytes), dim);
	vecx_kernels->products_u8u8(set->room, ncodes, set->levels, n, dim, set->products, n);
	for (size_t c = 0; c < ncodes; c++)
	{
		VecxSqHead	head = sq_head(codes + c * coder->nbytes);
		const uint32_t *products = set->products + c * n;
		SqTerms		code;

		code.level_mean = sq_centre(&head, 1.0 / (double) dim, &code.mean, &code.dev2);
		code.scale = (double) head.scale;
		for (size_t q = 0; q < n; q += 4)
		{
			size_t		lanes = n - q < 4 ? n - q : 4;
			VecxFourInts within = {-1, -1, -1, -1};

			if (lanes == 4)
				within = may_be_within(set, &code, q, limits, products + q);
			if (!any_of(within))
				continue;
			for (size_t i = 0; i < lanes; i++)
				if (within[i])
					pairs[found++] = (VecxCodePair) {(uint32_t) c, (uint32_t) (q + i),
						distance_of_product(coder, set->queries[q + i], &code, products[q + i])};
		}
	}
	return found;
}

void
vecx_sq_set_head(const VecxCoder *coder, const uint8_t *code, VecxSetHead *head, uint8_t *levels)
{
	VecxSqHead	own = sq_head(code);

	head->level_mean = sq_centre(&own, 1.0 / (double) coder->dim, &head->mean, &head->dev2);
	head->scale = (double) own.scale;
	head->sum = (double) own.sum;
	memcpy(levels, sq_levels(code), coder->dim);
}

double
vecx_sq_l1(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	const uint8_t *levels = sq_levels(code);
	VecxSqHead	head = sq_head(code);

	return (double) vecx_kernels->l1_f32u8(query->x, levels, coder->dim, head.scale, head.offset);
}

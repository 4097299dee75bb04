/*
 * code_rabitq.c
 *    RaBitQ of 1 to 8 bits a dimension (Gao and Long, arXiv 2405.12497 and
 *    2409.09913): levels of the rotated vector, and an unbiased estimate of
 *    its product with any other.
 *
 * Let r be the vector less the coder's centre, padded with zeros to a multiple
 * of 64 and rotated;
 *    u[i]    its level, by the uniform step that is best for a normal variable
 *    s[i]    u[i] - (2^B - 1) / 2
 *    A       <r, s>
 * Then r and the error (|r|^2 / A) s - r are orthogonal, and as the rotation is
 * random, the error's product with a query is noise around zero:
 *
 *    <q, r> is about (|r|^2 / A) <q, s>
 *    with variance |q'|^2 |r|^2 (1 / cos^2 - 1) / n,  cos = A / (|r| |s|)
 *
 * where q, treated as r was, less its part along r is q'.  A code is a
 * VecxRabitqHead and then the levels, packed for the kernel packed_dot.
 * Decoded, it is (|r|^2 / A) s, turned back, plus the centre.
 *
 * A centre makes r shorter, and the error with it, where the data lie about a
 * mean far from zero.  Inner products have none: where lengths vary, it would
 * add more to the error than it takes away.
 */
#include "code_int.h"

#define RABITQ_MAX_DIMS		16384

/* From so many bits on a query of 8 bits would be coarser than the code. */
#define RABITQ_FINE_BITS	7
/* Steps of the query's fine part in one of its coarse part. */
#define RABITQ_FINE_STEPS	254

typedef struct VecxRabitqHead
{
	float		rescale;		/* |r|^2 / A; 0 if r is */
	float		r2;				/* |r|^2 */
	float		norm2;			/* |x|^2 */
	uint32_t	sum;			/* of u[i]; <= 16,384 * 255 */
	uint32_t	sumsq;			/* of u[i]^2; <= 16,384 * 255^2 */
} VecxRabitqHead;

/* Steps, in standard deviations, by Max 1960. */
static const float rabitq_steps[9] = {
	0.0f, 1.5958f, 0.9957f, 0.5860f, 0.3352f, 0.1881f, 0.1041f, 0.0569f, 0.0308f
};

static uint32_t
rabitq_bits(const VecxCoder *coder)
{
	return (uint32_t) (coder->kind - VECX_CODE_RABITQ1) + 1;
}

static uint32_t
rabitq_dims(const VecxCoder *coder)
{
	return vecx_round_up(coder->dim, 64);
}

uint32_t
vecx_rabitq_nbytes(VecxCodeKind kind, uint32_t dim)
{
	return (uint32_t) sizeof(VecxRabitqHead) +
		vecx_round_up(dim, 64) / 8 * ((uint32_t) (kind - VECX_CODE_RABITQ1) + 1);
}

static VecxRabitqHead
rabitq_head(const uint8_t *code)
{
	VecxRabitqHead head;

	memcpy(&head, code, sizeof(head));
	return head;
}

/*
 * Level 0 plus half of the range is zero: s[i] = u[i] - middle.
 */
static double
rabitq_middle(const VecxCoder *coder)
{
	return (double) ((1u << rabitq_bits(coder)) - 1) / 2.0;
}

/* |s|^2 */
static double
rabitq_s2(const VecxCoder *coder, const VecxRabitqHead *head)
{
	double		middle = rabitq_middle(coder);

	return (double) head->sumsq - 2.0 * middle * (double) head->sum +
		(double) rabitq_dims(coder) * middle * middle;
}

/* |r|^2 / cos^2 of r and s: how long what the code stands for is. */
static double
rabitq_length2(const VecxCoder *coder, const VecxRabitqHead *head)
{
	return (double) head->rescale * (double) head->rescale * rabitq_s2(coder, head);
}

/* The square of the cosine of r and s, 1 for a zero vector. */
static double
rabitq_cos2(const VecxCoder *coder, const VecxRabitqHead *head)
{
	double		length = rabitq_length2(coder, head);

	return length > (double) head->r2 ? (double) head->r2 / length : 1.0;
}

#define EACH_BYTE	UINT64_C(0x0101010101010101)

static inline uint64_t
load_word(const uint8_t *bytes)
{
	uint64_t	word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline void
or_word(uint8_t *bytes, uint64_t word)
{
	word |= load_word(bytes);
	memcpy(bytes, &word, sizeof(word));
}

/*
 * Levels to and from the packed form that kernel.h describes, eight at a time:
 * in a field of w bits, of w words, part p of word k is word p w + k of the
 * block's levels.
 */
void
vecx_rabitq_pack(uint8_t *packed, const uint8_t *levels, uint32_t dims, uint32_t bits)
{
	memset(packed, 0, dims / 8 * bits);
	for (uint32_t start = 0; start < dims; start += 64)
	{
		uint32_t	shift = 0;

		for (uint32_t width = 8; width > 0; width /= 2)
		{
			uint64_t	mask = EACH_BYTE * ((1u << width) - 1);

			if (!(bits & width))
				continue;
			for (uint32_t word = 0; word < 8; word++)
				or_word(packed + word % width * 8,
						(load_word(levels + start + word * 8) >> shift & mask) << word / width * width);
			shift += width;
			packed += 8 * width;
		}
	}
}

static void
rabitq_unpack(const uint8_t *packed, uint8_t *levels, uint32_t dims, uint32_t bits)
{
	memset(levels, 0, dims);
	for (uint32_t start = 0; start < dims; start += 64)
	{
		uint32_t	shift = 0;

		for (uint32_t width = 8; width > 0; width /= 2)
		{
			uint64_t	mask = EACH_BYTE * ((1u << width) - 1);

			if (!(bits & width))
				continue;
			for (uint32_t word = 0; word < 8; word++)
				or_word(levels + start + word * 8,
						(load_word(packed + word % width * 8) >> word / width * width & mask) << shift);
			shift += width;
			packed += 8 * width;
		}
	}
}

static double
sum_of_squares(const float *x, uint32_t n)
{
	double		sum = 0.0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double) x[i] * (double) x[i];
	return sum;
}

/* The vector less the centre, padded and rotated; returns |r|^2. */
static double
rabitq_rotate(const VecxCoder *coder, const float *x, float *r)
{
	double		r2;

	for (uint32_t i = 0; i < coder->dim; i++)
		r[i] = coder->centre ? x[i] - coder->centre[i] : x[i];
	memset(r + coder->dim, 0, (rabitq_dims(coder) - coder->dim) * sizeof(float));
	r2 = sum_of_squares(r, coder->dim);
	vecx_rotate(r, rabitq_dims(coder));
	return r2;
}

static inline uint32_t
rabitq_level(float r, float inverse, uint32_t bits)
{
	float		half = (float) (1u << (bits - 1));
	float		t = r * inverse + half;

	if (bits == 1)
		return r > 0.0f;
	if (!(t > 0.0f))
		return 0;
	return t >= 2.0f * half ? 2 * (uint32_t) half - 1 : (uint32_t) t;
}

/*
 * levels[dims] of r, whose squared length is r2, by the step that is best for a
 * normal variable, but no wider than the largest element needs.  Returns false
 * if r is too short for levels.
 */
bool
vecx_rabitq_levels(const float *r, uint32_t dims, uint32_t bits, double r2, uint8_t *levels)
{
	float		step = (float) sqrt(r2 / (double) dims) * rabitq_steps[bits];
	float		max = 0.0f;

	for (uint32_t i = 0; i < dims; i++)
		max = fabsf(r[i]) > max ? fabsf(r[i]) : max;
	if (step > max / (float) (1u << (bits - 1)))
		step = max / (float) (1u << (bits - 1));
	if (!(r2 >= (double) FLT_MIN) || !(step >= FLT_MIN))
	{
		memset(levels, 0, dims);
		return false;
	}
	for (uint32_t i = 0; i < dims; i++)
		levels[i] = (uint8_t) rabitq_level(r[i], 1.0f / step, bits);
	return true;
}

void
vecx_rabitq_encode(const VecxCoder *coder, const float *x, uint8_t *code)
{
	uint32_t	dims = rabitq_dims(coder);
	uint32_t	bits = rabitq_bits(coder);
	double		middle = rabitq_middle(coder);
	float		r[RABITQ_MAX_DIMS];
	uint8_t		levels[RABITQ_MAX_DIMS];
	double		r2 = rabitq_rotate(coder, x, r);
	double		a = 0.0;
	VecxRabitqHead head;

	memset(&head, 0, sizeof(head));
	memset(code, 0, coder->nbytes);
	head.norm2 = vecx_finite(sum_of_squares(x, coder->dim));
	if (vecx_rabitq_levels(r, dims, bits, r2, levels))
	{
		for (uint32_t i = 0; i < dims; i++)
		{
			uint32_t	u = levels[i];

			head.sum += u;
			head.sumsq += u * u;
			a += (double) r[i] * ((double) u - middle);
		}
		vecx_rabitq_pack(code + sizeof(head), levels, dims, bits);
		head.r2 = vecx_finite(r2);
		head.rescale = vecx_finite(r2 / a);
	}
	memcpy(code, &head, sizeof(head));
}

/* x has room for all dims, of which the caller wants the first dim. */
static void
rabitq_decode_all(const VecxCoder *coder, const uint8_t *code, float *x)
{
	uint32_t	dims = rabitq_dims(coder);
	VecxRabitqHead head = rabitq_head(code);
	float		middle = (float) rabitq_middle(coder);
	uint8_t		levels[RABITQ_MAX_DIMS];

	rabitq_unpack(code + sizeof(head), levels, dims, rabitq_bits(coder));
	for (uint32_t i = 0; i < dims; i++)
		x[i] = ((float) levels[i] - middle) * head.rescale;
	vecx_rotate_back(x, dims);
	for (uint32_t i = 0; i < coder->dim && coder->centre; i++)
		x[i] += coder->centre[i];
}

void
vecx_rabitq_decode(const VecxCoder *coder, const uint8_t *code, float *x)
{
	float		all[RABITQ_MAX_DIMS];

	rabitq_decode_all(coder, code, all);
	memcpy(x, all, coder->dim * sizeof(float));
}

bool
vecx_rabitq_check(const VecxCoder *coder, const uint8_t *code)
{
	uint32_t	dims = rabitq_dims(coder);
	VecxRabitqHead head = rabitq_head(code);
	uint8_t		levels[RABITQ_MAX_DIMS];
	uint32_t	sum = 0;
	uint32_t	sumsq = 0;

	rabitq_unpack(code + sizeof(head), levels, dims, rabitq_bits(coder));
	for (uint32_t i = 0; i < dims; i++)
	{
		sum += levels[i];
		sumsq += (uint32_t) levels[i] * levels[i];
	}
	return isfinite(head.rescale) && head.rescale >= 0.0f &&
		isfinite(head.r2) && head.r2 >= 0.0f &&
		isfinite(head.norm2) && head.norm2 >= 0.0f &&
		(head.rescale > 0.0f) == (head.r2 > 0.0f) &&
		sum == head.sum && sumsq == head.sumsq;
}

double
vecx_rabitq_norm2(const uint8_t *code)
{
	return (double) rabitq_head(code).norm2;
}

double
vecx_rabitq_err2(const VecxCoder *coder, const uint8_t *code)
{
	VecxRabitqHead head = rabitq_head(code);

	return fmax(0.0, rabitq_length2(coder, &head) - (double) head.r2);
}

/*
 * Codes of so few bits are scored many at once by the kernel sketch_dot, as if each of
 * their bits were an element; the second bit counts double, so that the query has a bit
 * less.
 */
#define RABITQ_SKETCH_BITS	2
_Static_assert(RABITQ_SKETCH_BITS <= 2, "a code of three bits has two fields");

/* Scratch: floats for a rotated vector, the query in 8 bits, and its second part, or it
 * again in the order of the bits. */
size_t
vecx_rabitq_query_scratch(const VecxCoder *coder)
{
	return (size_t) rabitq_dims(coder) * (sizeof(float) + 1 + RABITQ_SKETCH_BITS);
}

static void
rabitq_place_scratch(const VecxCoder *coder, VecxCodeQuery *query, void *scratch)
{
	query->work = scratch;
	query->parts = (int8_t *) (query->work + rabitq_dims(coder));
}

/* An element of the query for each of its bits in a code; kernel.h has where these are. */
static void
put_for_bits(int8_t *parts, uint32_t i, uint32_t bits, int value)
{
	uint32_t	bytes = 8 * bits;
	int8_t	   *part = parts + i / 64 * 64 * bits + 8 * (i % bytes) + i % 64 / bytes * bits;

	for (uint32_t b = 0; b < bits; b++)
		part[b] = (int8_t) (value * (1 << b));
}

void
vecx_rabitq_query_init(const VecxCoder *coder, VecxCodeQuery *query, const float *x, void *scratch)
{
	uint32_t	dims = rabitq_dims(coder);
	uint32_t	bits = rabitq_bits(coder);
	bool		fine = bits >= RABITQ_FINE_BITS;
	float		max = 0.0f;
	double		total = 0.0;
	float	   *r;

	rabitq_place_scratch(coder, query, scratch);
	r = query->work;
	query->x = x;
	query->norm2 = vecx_finite(sum_of_squares(x, coder->dim));
	query->dev2 = vecx_finite(rabitq_rotate(coder, x, r));
	for (uint32_t i = 0; i < dims; i++)
		max = fabsf(r[i]) > max ? fabsf(r[i]) : max;
	max /= bits <= RABITQ_SKETCH_BITS ? (float) (127 >> (bits - 1)) : 127.0f;
	query->step = max >= FLT_MIN ? max : 0.0f;
	for (uint32_t i = 0; i < dims; i++)
	{
		float		t = query->step > 0.0f ? r[i] / query->step : 0.0f;
		float		coarse = rintf(t);
		float		rest = fine ? rintf((t - coarse) * (float) RABITQ_FINE_STEPS) : 0.0f;

		query->parts[i] = (int8_t) coarse;
		if (bits <= RABITQ_SKETCH_BITS)
			put_for_bits(query->parts + dims, i, bits, (int) coarse);
		else
			query->parts[dims + i] = (int8_t) rest;
		total += (double) coarse + (double) rest / RABITQ_FINE_STEPS;
	}
	query->total = total;
}

/* Levels less half their number, so that they fit 8 bits with a sign. */
void
vecx_rabitq_query_init_code(const VecxCoder *coder, VecxCodeQuery *query,
							const uint8_t *code, void *scratch)
{
	uint32_t	dims = rabitq_dims(coder);
	uint32_t	bits = rabitq_bits(coder);
	VecxRabitqHead head = rabitq_head(code);
	uint8_t    *levels;

	rabitq_place_scratch(coder, query, scratch);
	query->code = code;
	query->norm2 = head.norm2;
	query->dev2 = head.r2;
	if (coder->metric == VECX_METRIC_L1)
		rabitq_decode_all(coder, code, query->work);
	levels = (uint8_t *) query->parts;
	rabitq_unpack(code + sizeof(head), levels, dims, bits);
	for (uint32_t i = 0; i < dims; i += 8)
	{
		/* the high bit keeps a byte from borrowing of the next */
		uint64_t	word = load_word(levels + i);

		word = bits == 8 ? word : (word | EACH_BYTE << 7) - (EACH_BYTE << (bits - 1));
		word ^= EACH_BYTE << 7;
		memcpy(query->parts + i, &word, sizeof(word));
	}
	query->total = (double) head.sum - (double) dims * (double) (1u << (bits - 1));
}

/* <q, r> of a query of floats. */
static double
rabitq_ip_floats(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	uint32_t	dims = rabitq_dims(coder);
	uint32_t	bits = rabitq_bits(coder);
	VecxRabitqHead head = rabitq_head(code);
	const uint8_t *packed = code + sizeof(head);
	double		prod = (double) vecx_kernels->packed_dot(query->parts, packed, dims, bits);

	if (bits >= RABITQ_FINE_BITS)
		prod += (double) vecx_kernels->packed_dot(query->parts + dims, packed, dims, bits) /
			RABITQ_FINE_STEPS;
	return (double) head.rescale * (double) query->step *
		(prod - rabitq_middle(coder) * query->total);
}

/*
 * The cosine of two vectors from that of their s, c.  If the vectors are far
 * apart, their errors have nothing to do with each other, and it is
 * c / (cos cos'); if they are equal, so are the errors, and it is c.  With
 * u = 2 (1 - c), the squared distance of the s, the far case is, times cos cos',
 * u - e, where e = 2 (1 - cos cos') is what the errors add.  Near is where few
 * elements differ in level, and those by one: u grows with the distance itself,
 * not with its square.  The parabola that runs into that line is near the truth:
 * with 1 bit, where the cosine is sin(c pi / 2), within .03 of it.
 */
static double
rabitq_cosine(double c, double coscos)
{
	double		u = 2.0 * (1.0 - fabs(c));
	double		e = 2.0 * (1.0 - coscos);
	double		w = u < 2.0 * e ? u * u / (4.0 * e) : u - e;
	double		cosine = 1.0 - w / coscos / 2.0;

	return c < 0.0 ? -cosine : cosine;
}

/* The cosine of the query and r, both codes. */
static double
rabitq_cosine_codes(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	uint32_t	dims = rabitq_dims(coder);
	uint32_t	bits = rabitq_bits(coder);
	VecxRabitqHead head = rabitq_head(code);
	VecxRabitqHead qhead = rabitq_head(query->code);
	double		prod = (double) vecx_kernels->packed_dot(query->parts, code + sizeof(head), dims, bits);
	double		lengths = sqrt(rabitq_s2(coder, &head) * rabitq_s2(coder, &qhead));

	/* the query's s is its parts + 1/2 */
	prod += (double) head.sum / 2.0 -
		rabitq_middle(coder) * (query->total + (double) dims / 2.0);
	return rabitq_cosine(fmax(-1.0, fmin(prod / lengths, 1.0)),
						 sqrt(rabitq_cos2(coder, &head) * rabitq_cos2(coder, &qhead)));
}

double
vecx_rabitq_ip(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	if (query->code == NULL)
		return rabitq_ip_floats(coder, query, code);
	return sqrt((double) query->dev2 * (double) rabitq_head(code).r2) *
		rabitq_cosine_codes(coder, query, code);
}

double
vecx_rabitq_l2sq(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	double		d = (double) query->dev2 + (double) rabitq_head(code).r2 -
		2.0 * vecx_rabitq_ip(coder, query, code);

	return d > 0.0 ? d : 0.0;
}

/* Only here the code has to be turned back. */
double
vecx_rabitq_l1(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code)
{
	float		x[RABITQ_MAX_DIMS];

	rabitq_decode_all(coder, code, x);
	return (double) vecx_kernels->l1_f32(query->code ? query->work : query->x, x, coder->dim);
}

/*
 * Standard deviation of the estimate of <q, r>, which came out as ip.  The part
 * of the query that is not along r is taken a little too long, ip being an
 * estimate itself.
 */
static double
rabitq_sigma(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code, double ip)
{
	double		n = (double) rabitq_dims(coder);
	double		r2 = (double) rabitq_head(code).r2;
	double		err2 = vecx_rabitq_err2(coder, code);
	double		along = fabs(ip) - sqrt((double) query->dev2 * err2 / n);
	double		across = (double) query->dev2;
	double		step = (double) query->step;

	if (query->code != NULL)
	{
		double		query_err2 = vecx_rabitq_err2(coder, query->code);

		return sqrt((across * err2 + r2 * query_err2 + err2 * query_err2) / n);
	}
	if (along > 0.0 && r2 > 0.0)
		across = fmax(0.0, across - along * along / r2);
	if (rabitq_bits(coder) >= RABITQ_FINE_BITS)
		step /= RABITQ_FINE_STEPS;
	return sqrt(across * err2 / n + step * step / 12.0 * (r2 + err2));
}

double
vecx_rabitq_error(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *code, float rank)
{
	if (coder->metric == VECX_METRIC_IP)
		return 3.0 * rabitq_sigma(coder, query, code, (double) rank);
	return 6.0 * rabitq_sigma(coder, query, code, ((double) query->dev2 +
												   (double) rabitq_head(code).r2 - (double) rank) / 2.0);
}

/* Without the call that fmaxf is where NaN counts. */
static inline float
at_least_zero(float x)
{
	return x > 0.0f ? x : 0.0f;
}

/* Codes whose least distances are computed at a time. */
#define LEAST_AT_A_TIME	32

/* What is needed of some codes, each part of all of them together. */
typedef struct LeastParts
{
	int32_t		prod[LEAST_AT_A_TIME];
	int32_t		rest[LEAST_AT_A_TIME];	/* of the query's second part, if it counts */
	int32_t		sum[LEAST_AT_A_TIME];
	int32_t		sumsq[LEAST_AT_A_TIME];
	float		r2[LEAST_AT_A_TIME];
	float		rescale[LEAST_AT_A_TIME];
} LeastParts;

/*
 * The products of the query and codes of few bits that lie at even distances, as those on
 * one page mostly do, by a kernel that takes many at once; false if they do not.
 */
static bool
sketch_products(const VecxCodeQuery *query, uint32_t dims, uint32_t bits,
				const uint8_t *const *codes, size_t n, int32_t *prod)
{
	const uint8_t *first = codes[0] < codes[n - 1] ? codes[0] : codes[n - 1];
	ptrdiff_t	stride = n > 1 ? codes[1] - codes[0] : 0;

	for (size_t i = 2; i < n; i++)
		if (codes[i] - codes[i - 1] != stride)
			return false;
	vecx_kernels->sketch_dot(query->parts + dims, dims * bits, 1, first + sizeof(VecxRabitqHead),
							 (size_t) (stride < 0 ? -stride : stride), n, prod);
	for (size_t i = 0; stride < 0 && i < n / 2; i++)
	{
		int32_t		other = prod[i];

		prod[i] = prod[n - 1 - i];
		prod[n - 1 - i] = other;
	}
	return true;
}

static void
read_products(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *const *codes, size_t n,
			  LeastParts *parts)
{
	uint32_t	dims = rabitq_dims(coder);
	uint32_t	bits = rabitq_bits(coder);

	if (bits <= RABITQ_SKETCH_BITS && dims * bits <= RABITQ_MAX_DIMS &&
		sketch_products(query, dims, bits, codes, n, parts->prod))
		return;
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *packed = codes[i] + sizeof(VecxRabitqHead);

		parts->prod[i] = vecx_kernels->packed_dot(query->parts, packed, dims, bits);
		if (bits >= RABITQ_FINE_BITS)
			parts->rest[i] = vecx_kernels->packed_dot(query->parts + dims, packed, dims, bits);
	}
}

static void
read_parts(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *const *codes, size_t n,
		   LeastParts *parts)
{
	read_products(coder, query, codes, n, parts);
	for (size_t i = 0; i < n; i++)
	{
		VecxRabitqHead head = rabitq_head(codes[i]);

		parts->sum[i] = (int32_t) head.sum;
		parts->sumsq[i] = (int32_t) head.sumsq;
		parts->r2[i] = head.r2;
		parts->rescale[i] = head.rescale;
	}
}

/*
 * The least distances of n codes, as vecx_code_least says, of a query of floats:
 * as rabitq_sigma, in float, and without its first limit, which nobody can foresee
 * and which changes the variance by one in n.  What follows the products is arithmetic
 * without calls, of several codes at a time.
 */
void
vecx_rabitq_least(const VecxCoder *coder, const VecxCodeQuery *query, const uint8_t *const *codes,
				  size_t n, float errors, float *dist, float *out)
{
	bool		is_ip = coder->metric == VECX_METRIC_IP;
	bool		fine = rabitq_bits(coder) >= RABITQ_FINE_BITS;
	float		twice = (float) (2.0 * rabitq_middle(coder));
	float		zero2 = (float) ((double) rabitq_dims(coder) * rabitq_middle(coder) * rabitq_middle(coder));
	float		total = (float) (rabitq_middle(coder) * query->total);
	float		dev2 = query->dev2;
	float		per_dim = 1.0f / (float) rabitq_dims(coder);
	float		step = fine ? query->step / RABITQ_FINE_STEPS : query->step;
	float		rounding = step * step / 12.0f;
	float		allowance = errors * (is_ip ? 3.0f : 6.0f);
	float		ips = is_ip ? 1.0f : 2.0f;
	float		lengths = is_ip ? 0.0f : 1.0f;
	float		least = is_ip ? -INFINITY : 0.0f;
	LeastParts	parts;

	memset(&parts, 0, sizeof(parts));
	for (size_t done = 0; done < n; done += LEAST_AT_A_TIME)
	{
		size_t		count = n - done < LEAST_AT_A_TIME ? n - done : LEAST_AT_A_TIME;
		float		result[LEAST_AT_A_TIME];
		float		nav[LEAST_AT_A_TIME];

		read_parts(coder, query, codes + done, count, &parts);
		for (size_t i = 0; i < LEAST_AT_A_TIME; i++)
		{
			float		rescale = parts.rescale[i];
			float		r2 = parts.r2[i];
			float		prod = (float) parts.prod[i] + (float) parts.rest[i] * (1.0f / RABITQ_FINE_STEPS);
			float		s2 = (float) parts.sumsq[i] - twice * (float) parts.sum[i] + zero2;
			float		ip = rescale * query->step * (prod - total);
			float		err2 = at_least_zero(rescale * rescale * s2 - r2);
			float		noise = err2 * per_dim;
			float		along = fabsf(ip) - sqrtf(dev2 * noise);
			float		across = dev2 - along * along / (r2 > 0.0f ? r2 : 1.0f);
			float		d = lengths * (dev2 + r2) - ips * ip;

			d = d > least ? d : least;
			nav[i] = d;
			result[i] = d - allowance * sqrtf(at_least_zero(across * noise) + rounding * (r2 + err2));
		}
		memcpy(out + done, result, count * sizeof(float));
		if (dist)
			memcpy(dist + done, nav, count * sizeof(float));
	}
}

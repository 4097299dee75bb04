/*
 * code_sketch.c
 *    Sketches: a neighbour's residual in a few bits, and the distances that
 *    may be estimated from it.
 *
 * With v the vertex, n its neighbour, pv and pn their projections, and
 *    r = pn - pv,   u[i] the code of r[i],   s[i] = u[i] - (2^B - 1) / 2,
 *    A = <r, s>,   C = <pv, s>,   y the projection of the query q,
 * the estimate of <y - pv, r> is |r|^2 / A * (<s, y> - C), hence
 *    L2:  |q - n|^2  = |q - v|^2 + |v - n|^2 - 2 <q - v, n - v>
 *                    = |q - v|^2 + add + rescale * <s, y>
 *         rescale = -2 |r|^2 / A,  add = |v - n|^2 - rescale * C
 *    IP:  with a = <q, v> / |v|^2, so that q - a v carries no part along v,
 *         -<q, n> = -<q, v> + a * add + rescale * <s, y>
 *         rescale = -|r|^2 / A,  add = -<v, n - v> - rescale * C
 * Here |r|^2 is that of the whole residual: a basis that leaves dimensions out
 * is taken to show the residual at its true angle to the query.  To take what
 * is left out as orthogonal instead, |r|^2 being that of the projection, costs
 * a third to a half of the recall that is missing.
 * (RaBitQ, Gao and Long 2024; the form for IP is in docs/design.md.)
 */
#include "code_int.h"

/* How far a residual's kept share may be below the sample's. */
#define SKETCH_MAX_EXPANSION	4.0

size_t
vecx_sketch_size(const VecxBasis *basis)
{
	return VECX_SKETCH_FACTOR_BYTES + basis->sketch_bytes;
}

/*
 * Step of the code of r, whose mean square is var: that of the best uniform
 * quantiser of a normal variable (Max 1960), which is what a random rotation
 * makes of a residual; but not wider than the largest element needs.
 */
static float
sketch_step(double var, float max, uint32_t nplanes)
{
	float		sigma = (float) sqrt(var);
	float		step = sigma * (nplanes == 2 ? 0.9957f : nplanes == 4 ? 0.3352f : 0.0308f);
	float		full = max / (float) (1u << (nplanes - 1));

	return step < full ? step : full;
}

static inline uint32_t
sketch_level(float r, float inverse, uint32_t nplanes)
{
	int			half = 1 << (nplanes - 1);
	float		t;
	int			level;

	if (nplanes == 1)
		return r > 0.0f;
	t = r * inverse;
	if (t >= (float) half)
		return (uint32_t) (2 * half - 1);
	if (!(t >= (float) -half))
		return 0;
	level = (int) t;
	level -= t < (float) level;	/* floor: not truncation */
	return (uint32_t) (level + half);
}

/*
 * |r|^2 of the whole residual, of which n2 is seen in the projection.  Bounded,
 * for a residual that the basis hardly shows would be all noise.  Inner
 * products do not tell |r|: there the share is that of the sample.
 */
static double
residual_norm2(const VecxBasis *basis, double n2, float dist_vn)
{
	double		share = basis->energy > 0.01f ? (double) basis->energy : 0.01;

	if (basis->metric == VECX_METRIC_IP)
		return n2 / share;
	if (n2 / share * SKETCH_MAX_EXPANSION < (double) dist_vn)
		return n2 / share * SKETCH_MAX_EXPANSION;
	return basis->ndims < basis->dim && dist_vn > 0.0f ? (double) dist_vn : n2;
}

/* The elements that the kernel left: sums and planes of its first. */
static void
encode_tail(const VecxBasis *basis, const float *pv, const float *pn, uint32_t first,
			float inverse, uint8_t *planes, float sums[2])
{
	uint32_t	plane_bytes = basis->pdims / 8;
	float		centre = (float) ((1u << basis->nplanes) - 1) / 2.0f;

	for (uint32_t i = first; i < basis->ndims; i++)
	{
		float		r = pn[i] - pv[i];
		uint32_t	u = sketch_level(r, inverse, basis->nplanes);
		float		s = (float) u - centre;

		sums[0] += r * s;
		sums[1] += pv[i] * s;
		for (uint32_t plane = 0; plane < basis->nplanes; plane++)
		{
			uint32_t	bit = (u >> (basis->nplanes - 1 - plane)) & 1;
			uint8_t    *byte = planes + plane * plane_bytes + i / 8;

			*byte = (uint8_t) (*byte | bit << i % 8);
		}
	}
}

static void
sketch_encode_floats(const VecxBasis *basis, const float *pv, const float *pn,
					 float norm_v2, float dist_vn, uint8_t *sketch)
{
	uint8_t    *planes = sketch + VECX_SKETCH_FACTOR_BYTES;
	uint32_t	whole = basis->ndims / 64 * 64;
	bool		ip = basis->metric == VECX_METRIC_IP;
	float		max;
	double		n2 = (double) vecx_kernels->l2sq_max_f32(pv, pn, basis->ndims, &max);
	float		inverse = 0.0f;
	float		sums[2];
	double		rescale = 0.0;
	double		add;
	uint16_t	factors[2];

	if (basis->nplanes > 1)
	{
		inverse = 1.0f / sketch_step(n2 / (double) basis->ndims, max, basis->nplanes);
		if (!isfinite(inverse))
			inverse = 0.0f;
	}
	if (whole < basis->ndims)
		memset(planes, 0, basis->sketch_bytes);
	vecx_kernels->sketch_encode(pv, pn, whole, basis->nplanes, basis->pdims / 8, inverse, planes, sums);
	encode_tail(basis, pv, pn, whole, inverse, planes, sums);
	if (sums[0] > 0.0f)
		rescale = (ip ? -1.0 : -2.0) * residual_norm2(basis, n2, dist_vn) / (double) sums[0];
	/* add takes up what rounding does to rescale. */
	factors[1] = vecx_bf16_from_float(rescale);
	add = ip ? (double) dist_vn + (double) norm_v2 : (double) dist_vn;
	factors[0] = vecx_bf16_from_float(add - (double) vecx_bf16_to_float(factors[1]) * (double) sums[1]);
	memcpy(sketch, factors, sizeof(factors));
}

void
vecx_sketch_encode(const VecxBasis *basis, const void *pv, const void *pn,
				   float norm_v2, float dist_vn, uint32_t popcount_n, uint8_t *sketch)
{
	if (basis->positions != NULL)
	{
		uint16_t	factors[2] = {(uint16_t) (popcount_n > 65535 ? 65535 : popcount_n), 0};

		memcpy(sketch, factors, sizeof(factors));
		memcpy(sketch + VECX_SKETCH_FACTOR_BYTES, pn, basis->sketch_bytes);
	}
	else
		sketch_encode_floats(basis, pv, pn, norm_v2, dist_vn, sketch);
}

void
vecx_sketch_query_init(const VecxBasis *basis, const void *y, uint32_t popcount,
					   int8_t *codes, VecxSketchQuery *query)
{
	const float *x = y;
	float		max = 0.0f;
	float		inverse;
	int32_t		sum = 0;

	query->q = codes;
	query->delta = 0.0f;
	query->half_sum = 0.0f;
	query->popcount = popcount;
	if (basis->positions != NULL)
	{
		memcpy(codes, y, basis->pdims / 8);
		return;
	}
	for (uint32_t i = 0; i < basis->ndims; i++)
		max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
	memset(codes, 0, basis->pdims);
	if (!(max >= 127.0f * FLT_MIN) || !isfinite(max))
		return;
	query->delta = max / 127.0f;
	inverse = 127.0f / max;
	for (uint32_t i = 0; i < basis->ndims; i++)
	{
		int			level = (int) lrintf(x[i] * inverse);

		codes[i] = (int8_t) level;
		sum += level;
	}
	query->half_sum = (float) ((1u << basis->nplanes) - 1) / 2.0f * (float) sum * query->delta;
}

static inline void
read_factors(const uint8_t *sketch, uint16_t factors[2])
{
	memcpy(factors, sketch, VECX_SKETCH_FACTOR_BYTES);
}

/*
 * Hamming distance of the kept bits, divided by the share of the distance that
 * they carry.  Jaccard from it and the two popcounts: with h = |q ^ n|,
 * |q & n| = (|q| + |n| - h) / 2.
 */
static void
estimate_bits(const VecxBasis *basis, const VecxSketchQuery *query, const uint8_t *first,
			  size_t stride, size_t n, int32_t *scratch, float *est)
{
	uint32_t   *counts = (uint32_t *) scratch;
	float		scale = basis->energy > 0.0f ? 1.0f / basis->energy : 1.0f;

	vecx_kernels->hamming_many((const uint8_t *) query->q, basis->sketch_bytes,
							   first + VECX_SKETCH_FACTOR_BYTES, stride, n, counts);
	for (size_t j = 0; j < n; j++)
	{
		float		hamming = (float) counts[j] * scale;
		uint16_t	factors[2];
		float		sum;
		float		least;
		float		both;

		if (basis->metric == VECX_METRIC_HAMMING)
		{
			est[j] = hamming;
			continue;
		}
		read_factors(first + j * stride, factors);
		sum = (float) query->popcount + (float) factors[0];
		least = (float) (query->popcount < factors[0] ? query->popcount : factors[0]);
		both = (sum - hamming) / 2.0f;
		both = both < 0.0f ? 0.0f : both > least ? least : both;
		est[j] = sum > 0.0f ? 1.0f - both / (sum - both) : 1.0f;
	}
}

/* The floats of both bfloat16 factors, read as one word. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FIRST_FACTOR(word)	((word) << 16)
#define SECOND_FACTOR(word)	((word) & 0xFFFF0000u)
#else
#define FIRST_FACTOR(word)	((word) & 0xFFFF0000u)
#define SECOND_FACTOR(word)	((word) << 16)
#endif

#define ESTIMATE_BATCH	16

/*
 * From the products <s, q> of n sketches, at most ESTIMATE_BATCH, to distances.
 * The loop over a whole batch is one that compilers turn into vector code.
 */
static void
estimate_batch(const VecxSketchQuery *query, float dist_qv, float alpha,
			   const uint8_t *first, size_t stride, size_t n,
			   const int32_t *products, float *est)
{
	uint32_t	factors[ESTIMATE_BATCH] = {0};
	int32_t		dots[ESTIMATE_BATCH] = {0};
	float		d[ESTIMATE_BATCH];

	for (size_t j = 0; j < n; j++)
		memcpy(&factors[j], first + j * stride, sizeof(uint32_t));
	memcpy(dots, products, n * sizeof(int32_t));
	for (int j = 0; j < ESTIMATE_BATCH; j++)
	{
		uint32_t	bits[2] = {FIRST_FACTOR(factors[j]), SECOND_FACTOR(factors[j])};
		float		add;
		float		rescale;

		memcpy(&add, &bits[0], sizeof(add));
		memcpy(&rescale, &bits[1], sizeof(rescale));
		d[j] = dist_qv + alpha * add +
			rescale * (query->delta * (float) dots[j] - query->half_sum);
		/* False for a NaN, which saturated factors may give, and infinities. */
		d[j] = fabsf(d[j]) <= FLT_MAX ? d[j] : FLT_MAX;
	}
	memcpy(est, d, n * sizeof(float));
}

void
vecx_sketch_estimate(const VecxBasis *basis, const VecxSketchQuery *query,
					 float dist_qv, float norm_v2,
					 const uint8_t *first, size_t stride, size_t n,
					 int32_t *scratch, float *est)
{
	float		alpha = 1.0f;

	if (basis->positions != NULL)
	{
		estimate_bits(basis, query, first, stride, n, scratch, est);
		return;
	}
	if (basis->metric == VECX_METRIC_IP)
	{
		alpha = norm_v2 > 0.0f ? -dist_qv / norm_v2 : 0.0f;
		if (!isfinite(alpha))
			alpha = 0.0f;
	}
	vecx_kernels->sketch_dot(query->q, basis->pdims, basis->nplanes,
							 first + VECX_SKETCH_FACTOR_BYTES, stride, n, scratch);
	for (size_t j = 0; j < n; j += ESTIMATE_BATCH)
	{
		size_t		batch = n - j < ESTIMATE_BATCH ? n - j : ESTIMATE_BATCH;

		estimate_batch(query, dist_qv, alpha, first + j * stride, stride, batch,
					   scratch + j, est + j);
	}
}

/*
 * What different summation orders may leave of |v| and |n| in an element of
 * their projections: 16 units in the last place, where 2,048 products summed
 * in eight lanes leave about as many at worst, and as rough ones leave of as many
 * products on average.
 */
#define SKETCH_NOISE	(1.0 / 1048576.0)

/* What the half precision of a build's points leaves of the largest elements. */
#define SKETCH_HALF_NOISE	(1.0 / 2048.0)

/* Residuals that rounding makes up more of than this tell nothing. */
#define SKETCH_MAX_NOISE	0.1

/* A stored sketch beside the residual it should be of. */
typedef struct SketchPair
{
	double		noise;			/* of an element of the residual */
	double		share;			/* of the residual that is noise */
	double		n2;				/* |r|^2 in the projection */
	float		max;			/* largest element */
	double		a;				/* <r, s> with the stored s */
	double		c;				/* <pv, s> */
	double		sum;			/* of |s| */
} SketchPair;

static void
pair_init(SketchPair *pair, const VecxBasis *basis, const float *pv, const float *pn,
		  float norm_v2, float norm_n2)
{
	double		pv2 = 0.0;
	double		pn2 = 0.0;
	double		max_v = 0.0;
	double		max_n = 0.0;

	memset(pair, 0, sizeof(*pair));
	for (uint32_t i = 0; i < basis->ndims; i++)
	{
		float		r = pn[i] - pv[i];

		pv2 += (double) pv[i] * (double) pv[i];
		pn2 += (double) pn[i] * (double) pn[i];
		max_v = fmax(max_v, fabs((double) pv[i]));
		max_n = fmax(max_n, fabs((double) pn[i]));
		pair->n2 += (double) r * (double) r;
		pair->max = fabsf(r) > pair->max ? fabsf(r) : pair->max;
	}
	pair->noise = SKETCH_NOISE * (sqrt((double) norm_v2) + sqrt((double) norm_n2) + sqrt(pv2) + sqrt(pn2)) +
		SKETCH_HALF_NOISE * (max_v + max_n);
	pair->share = pair->n2 > 0.0 ? pair->noise * sqrt((double) basis->ndims / pair->n2) : 1.0;
}

static uint32_t
stored_level(const VecxBasis *basis, const uint8_t *planes, uint32_t i)
{
	uint32_t	level = 0;

	for (uint32_t plane = 0; plane < basis->nplanes; plane++)
		level = level << 1 | ((planes[plane * (basis->pdims / 8) + i / 8] >> i % 8) & 1u);
	return level;
}

/* Whether each element has a level that its value may have been rounded to. */
static bool
planes_match(SketchPair *pair, const VecxBasis *basis, const float *pv, const float *pn,
			 const uint8_t *planes)
{
	double		centre = (double) ((1u << basis->nplanes) - 1) / 2.0;
	float		inverse = 0.0f;

	if (basis->nplanes > 1)
		inverse = 1.0f / sketch_step(pair->n2 / (double) basis->ndims, pair->max, basis->nplanes);
	if (!isfinite(inverse))
		return true;
	for (uint32_t i = 0; i < basis->ndims; i++)
	{
		float		r = pn[i] - pv[i];
		/* the step varies as the whole residual does */
		float		slack = (float) (pair->noise + fabs((double) r) * (2.0 * pair->share + 1e-6));
		uint32_t	level = stored_level(basis, planes, i);
		double		s = (double) level - centre;

		if (level < sketch_level(r - slack, inverse, basis->nplanes) ||
			level > sketch_level(r + slack, inverse, basis->nplanes))
			return false;
		pair->a += (double) r * s;
		pair->c += (double) pv[i] * s;
		pair->sum += fabs(s);
	}
	return true;
}

/* Whether a factor is the number, to half precision and some tolerance. */
static bool
factor_matches(float factor, double expected, double tolerance)
{
	if (fabs(expected) > (double) FLT_MAX / 2.0)
		return true;			/* cut off */
	return fabs((double) factor - expected) <= fabs(expected) / 256.0 + tolerance + (double) FLT_MIN;
}

static bool
sketch_matches_floats(const VecxBasis *basis, const float *pv, const float *pn,
					  float norm_v2, float norm_n2, float dist_vn, const uint8_t *sketch)
{
	const uint8_t *planes = sketch + VECX_SKETCH_FACTOR_BYTES;
	bool		ip = basis->metric == VECX_METRIC_IP;
	double		dist_noise = SKETCH_NOISE * ((double) norm_v2 + (double) norm_n2);
	double		expected;
	float		add;
	float		rescale;
	uint16_t	factors[2];
	SketchPair	pair;

	read_factors(sketch, factors);
	add = vecx_bf16_to_float(factors[0]);
	rescale = vecx_bf16_to_float(factors[1]);
	if (!isfinite(add) || !isfinite(rescale))
		return false;
	for (uint32_t i = basis->ndims; i < basis->pdims; i++)
		if (stored_level(basis, planes, i) != 0)
			return false;

	pair_init(&pair, basis, pv, pn, norm_v2, norm_n2);
	/* squares below float's least come and go with the order of summation */
	if (!(pair.share <= SKETCH_MAX_NOISE) || pair.n2 < (double) FLT_MIN * basis->ndims ||
		(!ip && !(dist_noise < SKETCH_MAX_NOISE * (double) dist_vn)))
		return true;
	if (!planes_match(&pair, basis, pv, pn, planes))
		return false;
	if (!(pair.a > 0.0))
		return true;
	expected = (ip ? -1.0 : -2.0) * residual_norm2(basis, pair.n2, dist_vn) / pair.a;
	if (!factor_matches(rescale, expected,
						fabs(expected) * (pair.noise * pair.sum / pair.a + 2.0 * pair.share +
										  (ip ? 0.0 : dist_noise / (double) dist_vn))))
		return false;
	expected = ip ? (double) dist_vn + (double) norm_v2 : (double) dist_vn;
	return factor_matches(add, expected - (double) rescale * pair.c,
						  dist_noise + fabs((double) rescale) * pair.noise * pair.sum);
}

bool
vecx_sketch_matches(const VecxBasis *basis, const void *pv, const void *pn, float norm_v2,
					float norm_n2, float dist_vn, uint32_t popcount_n, const uint8_t *sketch)
{
	uint16_t	factors[2];

	if (basis->positions == NULL)
		return sketch_matches_floats(basis, pv, pn, norm_v2, norm_n2, dist_vn, sketch);
	read_factors(sketch, factors);
	return factors[0] == (popcount_n > 65535 ? 65535 : popcount_n) && factors[1] == 0 &&
		memcmp(sketch + VECX_SKETCH_FACTOR_BYTES, pn, basis->sketch_bytes) == 0;
}

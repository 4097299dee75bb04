/*
 * code.h
 *    How vecx makes vectors small: a vector's own code (quantiser), sketches
 *    of its neighbours, and the basis (model) the sketches are taken in.
 *
 * Pure C over kernel.h: no PostgreSQL header, no error exits.  Functions that
 * need scratch memory take it from the caller; training takes an allocator.
 *
 * Distances here are *navigation distances*, the smaller the nearer, cheap to
 * compute and ordered like the operator's (but for L1, see below):
 *
 *     metric    navigation distance            operator in these units
 *     L2        |q - x|^2                      d^2
 *     COSINE    |q' - x'|^2 of unit vectors    2 d
 *     IP        -<q, x>                        d
 *     L1        |q - x|^2 (L2, the links')     none: vecx_code_rank gives L1
 *     HAMMING   number of differing bits       d
 *     JACCARD   1 - |q & x| / |q | x|          d   (1 when both are empty)
 */
#ifndef VECX_CODE_H
#define VECX_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum VecxMetric
{
	VECX_METRIC_L2 = 1,
	VECX_METRIC_COSINE,
	VECX_METRIC_IP,
	VECX_METRIC_L1,
	VECX_METRIC_HAMMING,
	VECX_METRIC_JACCARD
} VecxMetric;

/* What a vector's own code is.  Values are on disk. */
typedef enum VecxCodeKind
{
	VECX_CODE_NONE = 1,			/* float32 as it is */
	VECX_CODE_HALF,				/* float16 of x / scale, one scale a vector */
	VECX_CODE_SQ8,				/* 8 bits a dimension, scale and offset a vector */
	VECX_CODE_BITS,				/* the bits of a bit vector */
	VECX_CODE_BITS_SAMPLE,		/* every k-th bit of one too wide for a page */
	VECX_CODE_RABITQ1,			/* RaBitQ of 1 bit a dimension, ... */
	VECX_CODE_RABITQ8 = VECX_CODE_RABITQ1 + 7	/* ... of 8 bits */
} VecxCodeKind;

/*
 * 1. Own codes.
 *
 * A coder is plain data derived from (kind, metric, dim); copy it freely.  Only
 * the centre, for kinds that can have one, is the caller's to set and to keep:
 * a point in the midst of the vectors, the same for all codes that meet.
 * Input vectors are float32[dim], or for the two BITS kinds bytes with the
 * first bit in the most significant bit of byte 0 (PostgreSQL's bit strings),
 * unused trailing bits zero.  Under COSINE the caller passes unit vectors.
 */
typedef struct VecxCoder
{
	VecxCodeKind kind;
	VecxMetric	metric;
	uint32_t	dim;
	uint32_t	nbytes;			/* size of a code, a multiple of 4 */
	uint32_t	step;			/* BITS_SAMPLE keeps every step-th bit, else 1 */
	const float *centre;		/* [dim], NULL: the origin */
} VecxCoder;

extern const char *vecx_code_name(VecxCodeKind kind);
extern VecxCodeKind vecx_code_rabitq(uint32_t bits);
extern bool vecx_code_has_centre(VecxCodeKind kind, VecxMetric metric);

/* Fills *coder.  code_limit (bytes) matters to BITS_SAMPLE only: the largest
 * power-of-two sample that fits is taken. */
extern void vecx_coder_init(VecxCoder *coder, VecxCodeKind kind, VecxMetric metric,
							uint32_t dim, uint32_t code_limit);

/* code[coder->nbytes] from a vector of finite elements with finite norm^2.
 * Every byte of code is written, equal vectors give equal bytes. */
extern void vecx_code_encode(const VecxCoder *coder, const void *vec, uint8_t *code);

/* float32[dim] (or the bit bytes) back from a code.  Bits that BITS_SAMPLE left
 * out come back as zeros.  RABITQ comes back longer than the vector was, as its
 * inner products need it to be; vecx_code_norm2 is the vector's own. */
extern void vecx_code_decode(const VecxCoder *coder, const uint8_t *code, void *vec);

/* True if a code holds nothing but plausible numbers (finite factors, sums that
 * match): vecx_check calls it for bytes it does not trust. */
extern bool vecx_code_check(const VecxCoder *coder, const uint8_t *code);

/*
 * A query ready to be compared with codes.  vec (or code) and scratch are kept
 * by reference; scratch must hold vecx_code_query_scratch() bytes, 8-aligned.
 */
typedef struct VecxCodeQuery
{
	const float *x;				/* the query as floats, when there is one */
	const uint8_t *bits;		/* the query as bit bytes, for BITS kinds */
	const uint8_t *code;		/* the query as a code, when made from one */
	float		norm2;			/* |x|^2 of what x or code stands for */
	uint32_t	popcount;		/* bits set, for BITS kinds */

	/* Private to the coders. */
	float		mean;			/* of the elements */
	float		rest;			/* sum of the centred elements: rounding's */
	float		dev2;			/* |centred|^2 */
	double		code_mean;		/* the same of what the code stands for */
	double		code_dev2;
	double		code_scale;
	double		code_sum;		/* of its levels */
	float	   *centred;		/* elements less their mean */
	float	   *work;			/* room for a copy of x, where a code needs it */
	int8_t	   *parts;			/* rotated and rounded */
	float		step;			/* of the rounding */
	double		total;			/* of the rounded elements */
} VecxCodeQuery;

extern size_t vecx_code_query_scratch(const VecxCoder *coder);
extern void vecx_code_query_init(const VecxCoder *coder, VecxCodeQuery *query,
								 const void *vec, void *scratch);
/* The same from a code.  Code against code is as precise as decoding both, or
 * more: RABITQ's errors do not add up where vectors are near. */
extern void vecx_code_query_init_code(const VecxCoder *coder, VecxCodeQuery *query,
									  const uint8_t *code, void *scratch);

/* Navigation distance of a query to a code. */
extern float vecx_code_distance(const VecxCoder *coder, const VecxCodeQuery *query,
								const uint8_t *code);
/*
 * Queries made from codes, with which many codes are compared: faster than one by one.
 * The room is for so many codes at once, aligned as malloc does it.
 */
typedef struct VecxCodeQueries
{
	const VecxCoder *coder;
	const VecxCodeQuery *const *queries;
	size_t		count;
	float	   *heads;			/* SQ8: what all have to say, [4][count] */
	uint8_t    *levels;			/* theirs, one right after the other */
	uint32_t   *products;		/* room for the products, */
	uint8_t    *room;			/* and for the codes' levels */
} VecxCodeQueries;

extern size_t vecx_code_queries_room(const VecxCoder *coder, size_t nqueries, size_t ncodes);
extern void vecx_code_queries_init(VecxCodeQueries *set, const VecxCoder *coder,
								   const VecxCodeQuery *const *queries, size_t nqueries, size_t ncodes,
								   void *room);
/* A code and a query that are near each other, by their numbers. */
typedef struct VecxCodePair
{
	uint32_t	code;
	uint32_t	query;
	float		distance;		/* for navigation */
} VecxCodePair;

/*
 * Finds the pairs of a query and one of the codes, which lie one after the other, no farther
 * than limits[query]; maybe a few more.  Returns their number; pairs has room for all.
 */
extern size_t vecx_code_pairs(const VecxCodeQueries *set, const uint8_t *codes, size_t ncodes,
							  const float *limits, VecxCodePair *pairs);
/*
 * Codes that are to be compared with each other: put them in, compare them, then
 * ask for the distances from one to others.
 */
typedef struct VecxSetHead
{
	double		mean;			/* of what the code stands for */
	double		dev2;			/* its squared deviation */
	double		scale;
	double		sum;			/* of the levels */
	double		level_mean;
} VecxSetHead;

typedef struct VecxCodeSet
{
	const VecxCoder *coder;
	size_t		count;
	size_t		from;
	bool		compared;		/* all products are there */
	uint8_t    *codes;			/* [most] */
	uint8_t    *levels;
	VecxSetHead *heads;
	uint32_t   *products;		/* [count][count] */
	VecxCodeQuery query;		/* the code to compare from, if they are not */
	void	   *scratch;
} VecxCodeSet;

/* Codes that are compared with each other: most are put, then count of them compared, then
 * distances asked for from one to others.  room[vecx_code_set_bytes()], 8-aligned, is kept. */
extern size_t vecx_code_set_bytes(const VecxCoder *coder, size_t most);
extern void vecx_code_set_init(VecxCodeSet *set, const VecxCoder *coder, size_t most, uint8_t *room);
extern void vecx_code_set_put(VecxCodeSet *set, size_t at, const uint8_t *code);
extern void vecx_code_set_compare(VecxCodeSet *set, size_t count);
extern void vecx_code_set_from(VecxCodeSet *set, size_t from);
/* The navigation distance to the code at to. */
extern float vecx_code_set_distance(const VecxCodeSet *set, size_t to);

/* The distance that orders results: L1 under L1, else the navigation distance
 * nav, which the caller has already. */
extern float vecx_code_rank(const VecxCoder *coder, const VecxCodeQuery *query,
							const uint8_t *code, float nav);
/*
 * Radius of the likely error of rank against the true vector, three standard
 * deviations of the quantisation noise (0 for codes that are exact up to
 * rounding: NONE and BITS).  True rank is within +- this in all but rare cases.
 */
extern float vecx_code_error(const VecxCoder *coder, const VecxCodeQuery *query,
							 const uint8_t *code, float rank);
/*
 * Of n codes: their navigation distances, unless dist is NULL, and the same less so many times
 * vecx_code_error, up to rounding in float; faster than one by one.
 */
extern void vecx_code_least(const VecxCoder *coder, const VecxCodeQuery *query,
							const uint8_t *const *codes, size_t n, float errors, float *dist,
							float *out);
/* |x|^2 of what a float code stands for; number of bits set for BITS kinds. */
extern float vecx_code_norm2(const VecxCoder *coder, const uint8_t *code);

/*
 * 2. The basis: what sketches are taken in (a model).
 *
 * For float vectors: y = M (H x - mean), where H is the identity or, above
 * VECX_BASIS_DIRECT_DIM dims, a seeded fast-Hadamard projection to that many;
 * M's ndims rows are principal directions turned by a seeded random rotation
 * among themselves (or random orthonormal directions when untrained).  Where all
 * dims are kept, padded to a multiple of 64, M is a fixed fast rotation, which nothing is
 * stored of.  Under IP the mean is zero.  y is padded with zeros to pdims, a multiple of 64.
 *
 * For bit vectors: y is the bits at ndims chosen positions (all of them up to
 * 512 bits), kept as bytes.
 *
 * The serialised form is self-describing, versioned, in the machine's byte
 * order, and is what the index stores; vecx_basis_bind makes it usable in place, without
 * copying.  It is at most VECX_BASIS_MAX_BYTES.
 */
#define VECX_BASIS_MAX_BYTES	(1024 * 1024 + 65536)
#define VECX_BASIS_DIRECT_DIM	2048

typedef struct VecxBasis
{
	VecxMetric	metric;
	uint32_t	dim;			/* of the vectors */
	uint32_t	hdim;			/* after H; == dim when there is no H */
	uint32_t	ndims;			/* dimensions kept; bits kept for bit vectors */
	uint32_t	pdims;			/* ndims rounded up to a multiple of 64 */
	uint32_t	nplanes;		/* bits a dimension: 1, 2, 4 or 8 */
	uint32_t	sketch_bytes;	/* pdims / 8 * nplanes */
	uint64_t	seed;
	bool		trained;
	float		energy;			/* share of the sample's variance in the kept dims */
	const float *mean;			/* [hdim] */
	const uint16_t *matrix;		/* [ndims][hdim] half precision; NULL: vecx_rotate */
	const uint32_t *positions;	/* [ndims] for bit vectors, else NULL */
} VecxBasis;

/* Memory and progress for training.  alloc never returns NULL (it may longjmp);
 * poll is called at least every some 10 ms of work, a second on a processor without SIMD, and
 * may longjmp. */
typedef struct VecxTrainEnv
{
	void	   *(*alloc) (void *arg, size_t nbytes);
	void		(*release) (void *arg, void *ptr);
	void		(*poll) (void *arg);
	void	   *arg;
} VecxTrainEnv;

/* Sketch size for an index without data to look at: bytes a sketch takes, with
 * sketch_bits as asked for (0: the default for dim and metric). */
extern uint32_t vecx_sketch_default_bytes(VecxMetric metric, uint32_t dim, uint32_t sketch_bits);

/* Length of a basis' serialised form whose sketches are given so many bytes, and of as
 * many dims as there are bits (the sample may decide for fewer and more bits each). */
extern size_t vecx_basis_default_nbytes(VecxMetric metric, uint32_t dim, uint32_t sketch_bytes);

/*
 * Bytes of a sketch of all dims, one bit each, if for so many vertices such sketches take
 * less than a matrix would, which they need none of; 0 if not, or if sketches of the default
 * size have as many bits.  And the length of the basis of such sketches.
 */
extern uint32_t vecx_basis_rotation_bytes(VecxMetric metric, uint32_t dim, double vertices);
extern size_t vecx_basis_rotation_nbytes(VecxMetric metric, uint32_t dim);

/*
 * Trains a basis on nrows sample vectors (float32 rows of dim, unit vectors
 * under COSINE; bit bytes of (dim + 7) / 8 for bit vectors) and returns its
 * serialised form, allocated by env, *nbytes long.
 *
 * sketch_bytes > 0 fixes the sketch size: dimensions and planes are then the
 * best that use at most so much.  sketch_bytes == 0: the sample decides, see
 * code_train.c.  nrows may be 0: the basis is then a seeded rotation.
 */
extern uint8_t *vecx_basis_train(const VecxTrainEnv *env, VecxMetric metric, uint32_t dim,
								 const void *sample, size_t nrows,
								 uint32_t sketch_bytes, uint64_t seed, size_t *nbytes);

/* The same for sketches of vecx_basis_rotation_bytes: nothing but the mean is learned. */
extern uint8_t *vecx_basis_train_rotation(const VecxTrainEnv *env, VecxMetric metric, uint32_t dim,
										  const float *sample, size_t nrows, uint64_t seed,
										  size_t *nbytes);

/* Returns NULL, or what is wrong with the bytes (a static string). */
extern const char *vecx_basis_bind(VecxBasis *basis, const uint8_t *bytes, size_t nbytes);

/* Of nvecs vectors, how many are best projected at once. */
#define VECX_LEAST_AT_ONCE	64
#define VECX_MOST_AT_ONCE	256
extern size_t vecx_rows_at_once(uint32_t dim, size_t nvecs);

/* y = float32[pdims], or bytes [pdims / 8] for bit vectors.  scratch: float32
 * [vecx_basis_scratch_floats()] for as many vectors as there are (may be 0). */
extern size_t vecx_basis_scratch_floats(const VecxBasis *basis, size_t nvecs);
extern size_t vecx_basis_proj_bytes(const VecxBasis *basis);	/* of one y */
extern void vecx_basis_project(const VecxBasis *basis, const void *vec, void *y, float *scratch);
/* The same for nvecs vectors at once (row-major, dims of the basis): faster, and rough
 * (kernel.h) where that is faster still. */
extern void vecx_basis_project_many(const VecxBasis *basis, const void *vecs, size_t nvecs,
									void *y, float *scratch);

/*
 * 3. Sketches: neighbour n of vertex v, relative to v (RaBitQ with v as the
 * centroid; see docs/design.md for the formulas), as stored behind the
 * neighbour's id in a link:
 *
 *     uint16 add, uint16 rescale (bfloat16), then sketch_bytes of bit planes
 *
 * For bit vectors: uint16 bits set in n, uint16 zero, then the bits.
 * vecx_sketch_size() is all of that.
 */
#define VECX_SKETCH_FACTOR_BYTES	4

extern size_t vecx_sketch_size(const VecxBasis *basis);

/*
 * pv and pn are the projections of v and n.  norm_v2 is |v|^2, dist_vn the
 * navigation distance of v and n (both from their own codes).  For bit vectors
 * pv, norm_v2 and dist_vn are ignored and popcount_n is used instead.
 */
extern void vecx_sketch_encode(const VecxBasis *basis, const void *pv, const void *pn,
							   float norm_v2, float dist_vn, uint32_t popcount_n,
							   uint8_t *sketch);

/* A query ready to be compared with sketches: 8-bit integers. */
typedef struct VecxSketchQuery
{
	const int8_t *q;			/* [pdims], or the bit bytes */
	float		delta;			/* q[i] * delta is about y[i] */
	float		half_sum;		/* (2^nplanes - 1) / 2 * sum of q[i], times delta */
	uint32_t	popcount;		/* bits set in the whole query, for bit vectors */
} VecxSketchQuery;

/* y is the query's projection; codes [pdims] is kept by reference. */
extern void vecx_sketch_query_init(const VecxBasis *basis, const void *y, uint32_t popcount,
								   int8_t *codes, VecxSketchQuery *query);

/*
 * Estimated navigation distances of a query to n neighbours of v, whose links
 * lie stride bytes apart, the first one's sketch at *first.  dist_qv is the
 * query's navigation distance to v, norm_v2 is |v|^2 (used under IP only).
 * est[n]; scratch int32[n].  Estimates of distances that cannot be negative
 * are not clamped.
 */
extern void vecx_sketch_estimate(const VecxBasis *basis, const VecxSketchQuery *query,
								 float dist_qv, float norm_v2,
								 const uint8_t *first, size_t stride, size_t n,
								 int32_t *scratch, float *est);

/*
 * True if a sketch may be that of v and n, whose projections were made anew:
 * up to what different summation orders may do, on another processor, to them
 * and to dist_vn, and what half precision does to a build's.  Where n is so near to v, beside their lengths, that rounding
 * makes up a tenth of the residual, every sketch may.
 */
extern bool vecx_sketch_matches(const VecxBasis *basis, const void *pv, const void *pn,
								float norm_v2, float norm_n2, float dist_vn,
								uint32_t popcount_n, const uint8_t *sketch);

/*
 * 4. Points: projections in half precision (in full of exact codes; of bit vectors
 * the code and then the projection), kept while an index is built.
 */
extern uint32_t vecx_point_bytes(const VecxCoder *coder, const VecxBasis *basis);
/* The point of a vector of which y is the projection, code the own code. */
extern void vecx_point_make(const VecxCoder *coder, const VecxBasis *basis, const void *y,
							const uint8_t *code, uint8_t *point);
/* A point's projection, as vecx_basis_project gives it. */
extern void vecx_point_read(const VecxCoder *coder, const VecxBasis *basis, const uint8_t *point,
							void *y);

/* A set of points in 8 bits, to compute all distances to another at once. */
typedef struct VecxPointHead
{
	float		scale;
	float		norm2;			/* |y|^2; of bit vectors the bits set */
	uint32_t	sum;			/* of the 8-bit numbers */
} VecxPointHead;

typedef struct VecxPoints
{
	size_t		count;
	size_t		nbytes;			/* of one point: vecx_points_row_bytes() */
	VecxPointHead *heads;		/* [count] */
	uint8_t    *points;			/* [count][nbytes] */
} VecxPoints;

extern uint32_t vecx_points_row_bytes(const VecxCoder *coder, const VecxBasis *basis);
/* y less centre, unless that is NULL. */
extern void vecx_points_put(VecxPoints *points, size_t at, const float *y, const float *centre);
extern void vecx_points_put_bits(VecxPoints *points, size_t at, const VecxCoder *coder,
								 const uint8_t *code);

/* What to compute of float vectors; bit vectors have their metric's distance. */
typedef enum VecxPointMetric
{
	VECX_POINT_L2SQ,			/* |y - z|^2 */
	VECX_POINT_PRODUCT,			/* -<y, z> */
	VECX_POINT_ANGLE			/* -cosine of y and z */
} VecxPointMetric;

/* out[count][b->count]: distances of the points of a from first on to all of b. */
extern void vecx_point_distances(VecxMetric metric, VecxPointMetric how, const VecxPoints *a,
								 size_t first, size_t count, const VecxPoints *b, float *out);

/* Distances rounded to half precision, as integers of the same order. */
extern void vecx_points_round(VecxPointMetric how, const float *dist, size_t n, int16_t *rounded);

/*
 * Positions of the want (at least one) least of a row of floats, in ascending
 * order; elements that differ by less than 2^-15 of themselves may change places.
 * Returns how many.  at[count] is overwritten as a whole; room[count + 4].
 */
extern size_t vecx_least(const float *row, size_t count, size_t want, int32_t *room, uint32_t *at);

/* For qsort: floats in ascending order, none of them NaN. */
extern int	vecx_compare_floats(const void *a, const void *b);

/*
 * 5. Hashed vectors: dense ones of VECX_HASH_DIM dimensions that stand for
 * sparse ones of any number.  Inner products and distances between them
 * estimate those of the sparse vectors, in each case with a standard deviation
 * of about |a| |b| / sqrt(VECX_HASH_DIM); lengths are kept.
 */
#define VECX_HASH_DIM	1024
#define VECX_HASH_WAYS	4		/* places of each element */

/* x[VECX_HASH_DIM] from nnz elements by their indices; norm^2 within float. */
extern void vecx_hash_project(uint64_t seed, size_t nnz, const int32_t *index,
							  const float *value, float *x);

#endif							/* VECX_CODE_H */

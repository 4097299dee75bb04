/*
 * code_list.h
 *    Codes of vectors in posting lists: blocks of 32 that are scored together
 *    by table lookups in registers (FastScan), and further bits behind them.
 *
 * Two quantisers, one form.  A vector x of a list with the centre c is coded by
 * its residual r = x - c, projected: y(r).  Its code is a row of small numbers,
 * one a column; the query has a table for each column, and the entries that a
 * code selects add up to an estimate of <q, r>:
 *
 *    RABITQ   a column is four signs of the rotated residual, its table the
 *             sixteen sums of four elements of the query
 *    PQ       a column is one sub-quantiser of 4 (8) bits, its table the products
 *             of the query's part with 16 (256) centroids
 *
 * The query's tables are the same for all lists, because what depends on c goes
 * into two factors of the entry:
 *
 *    estimate = probe.add + probe.scale * add + rescale * (delta * sum + bias)
 *    sigma    = probe.spread * sigma, at least |rescale| * noise; and rounding
 *
 * in navigation distance (code.h); sigma is one standard deviation of the
 * estimate's error.  With r^ what the code stands for and s = |r|^2 / <r, r^>,
 * which makes the estimate exact for a query at x:
 *
 *    L2, COSINE, L1   rescale = -2 s    add = |r|^2 - rescale <c, r^>
 *    IP               rescale = -s      add = -<c, r> - rescale <c, r^>
 *
 * under IP the query less its part along c is what is estimated: probe.scale is
 * <q, c> / |c|^2.  Bit metrics have no list codes.
 *
 * Codes of PQ are coarser, and s makes their errors larger.  Where training finds
 * that better, s is 1, and in place of |r|^2 is |r^|^2, which gives the distance to
 * c + r^, or |r^|^2 + |r - r^|^2, which gives the expected one where errors have
 * nothing to do with the query; under IP, in place of <c, r>, <c, r^>, or itself.
 *
 * Pure C over kernel.h, no error exits, as code.h.
 */
#ifndef VECX_CODE_LIST_H
#define VECX_CODE_LIST_H

#include "code.h"

#define VECX_LIST_BLOCK	32		/* entries of a block */

/*
 * Bounds of a distance, in standard deviations of its estimate.  One row in forty
 * is nearer than its bound says, and may come late.  With three instead of two, of
 * the ten nearest of 200,000 SIFT vectors .9845 came in time instead of .983, of
 * 57,000 LSA vectors .9705 instead of .966, for half as many fetches more.
 */
#define VECX_LIST_SIGMAS	2.0f
#define VECX_LIST_MISSED	40		/* one of so many */

/* The same where the recall that is asked for is so great that this would be felt. */
#define VECX_LIST_FINE_TARGET	0.99
#define VECX_LIST_FINE_SIGMAS	3.0f

/* The same where a row that comes late is a row lost. */
#define VECX_LIST_STRICT_SIGMAS	6.0f

/* Values are on disk. */
typedef enum VecxListQuantizer
{
	VECX_LIST_RABITQ = 1,
	VECX_LIST_PQ
} VecxListQuantizer;

/* How PQ is trained; values are on disk. */
typedef enum VecxPqTraining
{
	VECX_PQ_KMEANS = 1,			/* k-means, in a rotation learned with it (OPQ) */
	VECX_PQ_BALANCED,			/* codes used equally often (RepCONC) */
	VECX_PQ_ANISOTROPIC,		/* error along the vector counts more (ScaNN) */
	VECX_PQ_DISTILL,			/* order of the queries' neighbours (Distill-VQ) */
	VECX_PQ_QUERY_AWARE,		/* error where queries point counts more (A2ATS) */
	VECX_PQ_PLAIN				/* k-means without a rotation: to compare with */
} VecxPqTraining;

/* How a product with what a code of PQ stands for becomes a distance; values are
 * on disk. */
typedef enum VecxListEstimate
{
	VECX_LIST_STRETCHED,		/* exact for a query at the vector, as RABITQ's */
	VECX_LIST_DECODED,			/* to what the code stands for */
	VECX_LIST_EXPECTED			/* the same with the code's own error */
} VecxListEstimate;

typedef struct VecxListOptions
{
	VecxListQuantizer quantizer;
	uint32_t	bits;			/* RABITQ: 1 to 8 a dimension; PQ: 4 or 8 a column */
	uint32_t	pq_m;			/* PQ: columns; 0: vecx_list_default_m() */
	VecxPqTraining training;
	uint64_t	seed;
} VecxListOptions;

/* So many rows are needed for PQ to be trained; of fewer the code is a random one. */
#define vecx_pq_least_rows(bits)	((size_t) 2 << (bits))
/* Of more columns there would be some without a dimension. */
extern uint32_t vecx_list_most_m(uint32_t dim);
extern const char *vecx_pq_training_name(VecxPqTraining training);

/* The matrix that queries are projected by, its rows rounded to 8 bits. */
typedef struct VecxListRounded
{
	VecxPoints	rows;			/* none: the matrix itself is used */
	float		step2;			/* mean square of their steps */
	float		coded;			/* root mean square length of what codes stand for */
} VecxListRounded;

/*
 * 1. A quantiser, trained.  Its serialised form is self-describing, versioned,
 * in the machine's byte order; bind makes it usable in place.
 */
typedef struct VecxListCode
{
	VecxListQuantizer quantizer;
	VecxMetric	metric;
	VecxPqTraining training;
	uint32_t	dim;			/* of the vectors */
	uint32_t	bits;
	uint32_t	pdims;			/* of a projection */
	uint32_t	proj_floats;	/* of what vecx_list_project writes: pdims or twice that */
	uint32_t	ncolumns;
	uint32_t	column_bytes;	/* of a block: 16, or 32 with PQ of 8 bits */
	uint32_t	code_bytes;		/* of a block's columns: ncolumns * column_bytes */
	uint32_t	packed_bytes;	/* of one entry's codes by themselves */
	uint32_t	extra_bytes;	/* behind the block, of one entry; 0: none */
	float		energy;			/* share of the residuals' variance in the projection */
	float		spread;			/* of true errors, in those that independence would give */
	uint32_t	trained_rows;	/* that PQ was trained on; 0: its books are random */
	VecxListEstimate estimate;

	/* Private. */
	uint32_t	hdim;			/* dims that the matrices take */
	uint64_t	column_step;	/* pdims / ncolumns times 2^32, rounded up */
	uint64_t	seed;
	float		eta;			/* ANISOTROPIC: weight of the error along the vector */
	const uint16_t *encode_matrix;	/* [pdims][hdim] half precision; NULL: RABITQ */
	const uint16_t *query_matrix;	/* the same but for QUERY_AWARE */
	VecxListRounded rounded;	/* query_matrix in 8 bits, if it is to be used */
	const float *encode_books;	/* [pdims][1 << bits]: element i of each centroid */
	const float *encode_halves; /* [ncolumns][1 << bits]: half of each's |C|^2 */
	const float *score_books;	/* what codes stand for; may be encode_books */
	const float *score_biases;	/* [ncolumns][1 << bits], of queries' tables; NULL: none */
	float		score_spread;	/* of errors with them, in those expected */
} VecxListCode;

/*
 * What to train on.  Rows are float32[dim], unit vectors under COSINE.  centres
 * may be NULL: the residuals are then those to the rows' mean.
 */
typedef struct VecxListSample
{
	const float *rows;
	size_t		nrows;
	const float *centres;		/* [..][dim] */
	const uint32_t *centre_of;	/* [nrows] */
	const float *queries;		/* [nqueries][dim]; NULL: rows stand for them */
	size_t		nqueries;
	size_t		memory;			/* to use beside all this, in bytes; 0: 64 MB */
} VecxListSample;

/* The serialised form, allocated by env.  RABITQ looks at no sample. */
extern uint8_t *vecx_list_code_train(const VecxTrainEnv *env, const VecxListOptions *options,
									 VecxMetric metric, uint32_t dim,
									 const VecxListSample *sample, size_t *nbytes);
/* Returns NULL, or what is wrong with the bytes (a static string). */
extern const char *vecx_list_code_bind(VecxListCode *code, const uint8_t *bytes, size_t nbytes);
/*
 * Rounds the rows of the matrix that queries are projected by to 8 bits, in
 * room[vecx_list_rounded_bytes()], 8-aligned, which is kept; of a code that has rounded set
 * to the result, a query reads half as much.  Its projection is off by some 4e-4 of its length,
 * which counts as noise; where that is more than a small part of the error that PQ makes, as of
 * vectors that are far longer than what their lists leave of them, the matrix itself is used.
 * No bytes where there is no matrix.
 */
extern size_t vecx_list_rounded_bytes(const VecxListCode *code);
extern void vecx_list_round_matrix(const VecxListCode *code, void *room, VecxListRounded *rounded);
/* The sizes of what training would give, without that; good for nothing else.  Then those of a
 * training on so many rows, of which few have a smaller matrix. */
extern void vecx_list_code_plan(const VecxListOptions *options, VecxMetric metric, uint32_t dim,
								VecxListCode *code);
extern void vecx_list_code_plan_rows(VecxListCode *code, size_t nrows);
/* Length of the serialised form, with one matrix and one set of books. */
extern size_t vecx_list_code_nbytes(const VecxListCode *code);

/*
 * 2. Projections, rough where many are projected at once (kernel.h).  y is
 * float32[proj_floats].  scratch for everything below: vecx_list_scratch() bytes for
 * as many vectors as there are at once, 8-aligned.
 */
extern size_t vecx_list_scratch(const VecxListCode *code, size_t nvecs);
extern void vecx_list_project(const VecxListCode *code, const float *x, float *y, void *scratch);
extern void vecx_list_project_many(const VecxListCode *code, const float *x, size_t n, float *y,
								   void *scratch);

/* The centre of a list; both arrays are the caller's and stay. */
typedef struct VecxListCentre
{
	const float *c;				/* [dim] */
	const float *y;				/* its projection */
} VecxListCentre;

/*
 * 3. Entries.  codes and extra are the caller's: [ncolumns] bytes with a code
 * each, and [extra_bytes].
 */
typedef struct VecxListEntry
{
	float		add;
	uint16_t	rescale;		/* bfloat16, as sigma */
	uint16_t	sigma;
	uint8_t    *codes;
	uint8_t    *extra;
} VecxListEntry;

/* The factors of a block. */
typedef struct VecxListFactors
{
	float		add[VECX_LIST_BLOCK];
	uint16_t	rescale[VECX_LIST_BLOCK];
	uint16_t	sigma[VECX_LIST_BLOCK];
} VecxListFactors;

/* y is the projection of x, made before (vecx_list_project_many is faster). */
extern void vecx_list_encode(const VecxListCode *code, const VecxListCentre *centre,
							 const float *x, const float *y, VecxListEntry *entry, void *scratch);

/* Slot 0 to 31 of a block: columns [first, first + count) of the entry's codes
 * into (out of) columns, which begin with first.  A block need not lie in one
 * piece. */
extern void vecx_list_put_codes(const VecxListCode *code, uint8_t *columns, uint32_t first,
								uint32_t count, int slot, const uint8_t *codes);
extern void vecx_list_get_codes(const VecxListCode *code, const uint8_t *columns, uint32_t first,
								uint32_t count, int slot, uint8_t *codes);

/* An entry's codes by themselves: two of four bits to a byte, the first in the lower half. */
extern void vecx_list_pack_codes(const VecxListCode *code, const uint8_t *codes, uint8_t *packed);
extern void vecx_list_unpack_codes(const VecxListCode *code, const uint8_t *packed, uint8_t *codes);
/* Makes columns, for an even number of which there is room, of the codes of n entries, packed
 * and stride bytes apart; what the other slots get is no matter. */
extern void vecx_list_turn_codes(const VecxListCode *code, const uint8_t *packed, size_t stride,
								 int n, uint8_t *columns);

extern void vecx_list_put_factors(VecxListFactors *factors, int slot, const VecxListEntry *entry);
extern void vecx_list_get_factors(const VecxListFactors *factors, int slot, VecxListEntry *entry);

/* What an entry's product with the query is multiplied by. */
extern float vecx_list_rescale(const VecxListFactors *factors, int slot);

/* True if these bytes may be an entry, without its extra, or that: for vecx_check. */
extern bool vecx_list_entry_check(const VecxListCode *code, const VecxListEntry *entry);
extern bool vecx_list_extra_check(const VecxListCode *code, const uint8_t *extra);

/*
 * 4. Queries.  q is float32[dim] and kept by reference, like scratch:
 * vecx_list_query_bytes(), 64-aligned at best.
 */
typedef struct VecxListQuery
{
	float		norm2;			/* |q|^2 */
	float		spread;			/* of errors, in those expected */
	float	   *y;				/* the projection */
	uint8_t    *tables;			/* [ncolumns][16 or 256], of entries the lower byte */
	uint8_t    *high;			/* [nwide][16 or 256], the other one */
	uint32_t	nwide;			/* columns that have one: an even number, the first */
	float		delta;			/* a table's unit */
	float		noise;			/* standard deviation of a sum's rounding to it */
	float		bias;

	/* For what lies behind a block. */
	int8_t	   *parts;			/* the projection in 2 x 8 bits */
	float		step;
	double		total;
} VecxListQuery;

extern size_t vecx_list_query_bytes(const VecxListCode *code);
extern void vecx_list_query_init(const VecxListCode *code, VecxListQuery *query, const float *q,
								 void *scratch);

/* What a list adds: from the query's navigation distance to its centre and the
 * centre's squared length. */
typedef struct VecxListProbe
{
	float		add;
	float		scale;
	float		spread;
} VecxListProbe;

extern void vecx_list_probe_init(const VecxListCode *code, const VecxListQuery *query,
								 float dist_qc, float norm2_c, VecxListProbe *probe);

/*
 * Adds what the columns [first, first + count), which lie at columns, give for
 * each of the 32 entries to sums, which the caller sets to zero before the first.
 */
extern void vecx_list_add_sums(const VecxListCode *code, const VecxListQuery *query,
							   const uint8_t *columns, uint32_t first, uint32_t count,
							   uint32_t *sums);
/* est[32] and sigma[32] of a block from its sums. */
extern void vecx_list_estimates(const VecxListQuery *query, const VecxListProbe *probe,
								const uint32_t *sums, const VecxListFactors *factors,
								float *est, float *sigma);

/* The product with what an entry stands for, by its sum. */
static inline float
vecx_list_product(const VecxListQuery *query, uint32_t sum)
{
	return query->delta * (float) (int32_t) sum + query->bias;
}

/* The estimate of one entry by all its bits, when the product is known. */
extern void vecx_list_refine(const VecxListCode *code, const VecxListQuery *query,
							 const VecxListProbe *probe, float product,
							 const uint8_t *extra, float *est, float *sigma);

#endif							/* VECX_CODE_LIST_H */

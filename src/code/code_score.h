/*
 * code_score.h
 *    Books that codes of product quantisation are scored by, learned from queries
 *    whose nearest rows are known, while the codes stay what they are.
 *
 * A search adds up what its tables have for the numbers of a code: products of the query
 * with the centroids that the numbers stand for.  Here a number comes to stand for another
 * vector, and for a bias besides:
 *
 *    table[column][number] = <query's part, book[column][number]> + bias[column][number]
 *
 * After JPQ (arXiv 2108.00644), with codes frozen.  Rows are encoded with the
 * quantiser's own books, before and after.
 *
 * Pure C over kernel.h, no error exits, as code.h.
 */
#ifndef VECX_CODE_SCORE_H
#define VECX_CODE_SCORE_H

#include "code_list.h"

typedef struct VecxScoreBooks
{
	uint32_t	pdims;
	uint32_t	ncolumns;
	uint32_t	entries;
	float		spread;			/* of errors, in those that the quantiser expects */
	const float *books;			/* [pdims][entries] */
	const float *biases;		/* [ncolumns][entries] */
} VecxScoreBooks;

extern size_t vecx_score_bytes(const VecxListCode *code);
/* Returns NULL, or what is wrong with the bytes (a static string), which are kept by reference,
 * aligned as floats. */
extern const char *vecx_score_bind(VecxScoreBooks *books, const VecxListCode *code,
								   const uint8_t *bytes, size_t nbytes);
/* The quantiser as queries use it; it is good for encoding no longer. */
extern void vecx_score_use(const VecxListCode *code, const VecxScoreBooks *books,
						   VecxListCode *scoring);

/* What is known of a row's distance to a query. */
typedef enum VecxScoreKind
{
	VECX_SCORE_KNOWN,			/* it is the target */
	VECX_SCORE_BEYOND,			/* no less than that */
	VECX_SCORE_WITHIN			/* wanted as if it were no more than that */
} VecxScoreKind;

typedef struct VecxScoreRow
{
	float		fixed;			/* the estimate less what the code selects ... */
	float		rescale;		/* times this */
	float		target;			/* navigation distance */
	VecxScoreKind kind;
} VecxScoreRow;

/* Queries with the rows that come first by the quantiser's own books. */
typedef struct VecxScoreSample
{
	const VecxListCode *code;	/* PQ */
	const float *const *queries;	/* [nqueries], float32[dim] each */
	uint32_t	nqueries;
	const uint32_t *first;		/* [nqueries + 1]: of each query's rows */
	const VecxScoreRow *rows;
	const uint8_t *codes;		/* [of rows][ncolumns] */
} VecxScoreSample;

/*
 * Learns books; their serialised form, allocated by env, is vecx_score_bytes() long.
 * One in eight of the queries, which it does not learn from, say when to stop: at worst the
 * books are the quantiser's own.
 */
extern uint8_t *vecx_score_train(const VecxTrainEnv *env, const VecxScoreSample *sample,
								 uint64_t seed);

#endif							/* VECX_CODE_SCORE_H */

/*
 * code_list_int.h
 *    What the files of list codes share among themselves.
 */
#ifndef VECX_CODE_LIST_INT_H
#define VECX_CODE_LIST_INT_H

#include "code_int.h"
#include "code_list.h"

/* Matrices take at most so many elements, of half precision. */
#define VECX_PQ_MATRIX_MAX	((uint32_t) 1024 * 1024)
#define VECX_PQ_MAX_BITS	8

/* First element of the projection that belongs to a column of PQ: column * pdims / ncolumns, of
 * which column_step has all that up to 2^16 columns need. */
static inline uint32_t
vecx_pq_first(const VecxListCode *code, uint32_t column)
{
	return (uint32_t) (column * code->column_step >> 32);
}

/* products[k] = sum of y[i] * books[i][k] over n elements; entries is 16 or 256. */
static inline void
vecx_pq_products(const float *books, uint32_t entries, const float *y, uint32_t n, float *products)
{
	/* sixteen at a time: their sums stay in registers */
	for (uint32_t k = 0; k < entries; k += 16)
	{
		VecxFour   *to = (VecxFour *) (void *) (products + k);
		VecxFour	a = {0};
		VecxFour	b = {0};
		VecxFour	c = {0};
		VecxFour	d = {0};

		for (uint32_t i = 0; i < n; i++)
		{
			const VecxFour *from = (const VecxFour *) (const void *) (books + (size_t) i * entries + k);
			VecxFour	factor = {y[i], y[i], y[i], y[i]};

			a += factor * from[0];
			b += factor * from[1];
			c += factor * from[2];
			d += factor * from[3];
		}
		to[0] = a;
		to[1] = b;
		to[2] = c;
		to[3] = d;
	}
}

/* y[pdims] of a query of that square by the rounded rows, and the standard deviation of what that
 * leaves out of estimates; false if there are none, or they are too rough.  work is
 * vecx_list_scratch(code, 1). */
extern bool vecx_list_pq_project_query(const VecxListCode *code, const float *q, float norm2, float *y,
									   float *noise, void *work);

/* What a code stands for, as far as the factors of its entry need to know. */
typedef struct VecxListShape
{
	double		r2;				/* |r|^2 */
	double		rr;				/* <r, r^> */
	double		cr;				/* <c, r^> */
	double		c_r;			/* <c, r> */
	double		coded2;			/* |r^|^2 */
} VecxListShape;

/* s of code_list.h; 0 if the code says nothing of r. */
static inline double
vecx_list_stretch(const VecxListCode *code, const VecxListShape *shape)
{
	if (code->estimate != VECX_LIST_STRETCHED)
		return 1.0;
	return shape->rr > 0.0 && shape->r2 >= (double) FLT_MIN ? shape->r2 / shape->rr : 0.0;
}

/* What is added for the residual alone: |r|^2 of code_list.h, or -<c, r>. */
static inline double
vecx_list_alone(const VecxListCode *code, const VecxListShape *shape)
{
	if (code->metric == VECX_METRIC_IP)
		return code->estimate == VECX_LIST_DECODED ? -shape->cr : -shape->c_r;
	if (code->estimate == VECX_LIST_DECODED)
		return shape->coded2;
	if (code->estimate == VECX_LIST_EXPECTED)
		return 2.0 * (shape->coded2 - shape->rr) + shape->r2;
	return shape->r2;
}

/* The factors of an entry in a block; add is for the rescale that is stored. */
typedef struct VecxListTerms
{
	double		rescale;
	double		add;
	double		sigma;
} VecxListTerms;

/*
 * Errors of a stretched estimate have random directions, so that their part along
 * the query is known.  The others take a vector that is near for farther than it
 * is by about the same for all, which spread is measured as; a list that may have
 * near rows is about as far from the query as from these.
 */
static inline void
vecx_list_terms(const VecxListCode *code, const VecxListShape *shape, VecxListTerms *terms)
{
	double		s = vecx_list_stretch(code, shape);
	double		e2 = shape->r2 - 2.0 * s * shape->rr + s * s * shape->coded2;	/* |r - s r^|^2 */
	double		unit = code->metric == VECX_METRIC_IP ? 1.0 : 2.0;

	terms->rescale = -unit * s;
	terms->add = vecx_list_alone(code, shape) - terms->rescale * shape->cr;
	if (code->estimate == VECX_LIST_STRETCHED)
		terms->sigma = unit * (double) code->spread * sqrt(fmax(e2, 0.0) / (double) code->pdims);
	else
		terms->sigma = (double) code->spread /
			(code->metric == VECX_METRIC_IP ? 1.0 : sqrt(fmax(shape->r2, (double) FLT_MIN)));
}

static inline void
vecx_list_put_terms(const VecxListCode *code, const VecxListShape *shape, VecxListEntry *entry)
{
	VecxListTerms terms;

	vecx_list_terms(code, shape, &terms);
	entry->rescale = vecx_bf16_from_float(terms.rescale);
	entry->sigma = vecx_bf16_from_float(terms.sigma);
	entry->add = vecx_finite(terms.add + (terms.rescale - (double) vecx_bf16_to_float(entry->rescale)) *
							 shape->cr);
}

/* code_list.c */
extern uint8_t *vecx_list_code_format(const VecxTrainEnv *env, VecxListCode *code, bool two_matrices,
									  bool two_books, size_t *nbytes);
extern void vecx_list_code_seal(uint8_t *bytes, const VecxListCode *code);
/* Rows of hdim from rows of dim: a Hadamard transform where dim is large. */
extern void vecx_list_reduce(const VecxListCode *code, const float *x, float *out, float *work);

/* code_list_rabitq.c */
extern void vecx_list_rabitq_encode(const VecxListCode *code, const VecxListCentre *centre,
									const float *x, const float *y, VecxListEntry *entry,
									void *scratch);
extern float vecx_list_rabitq_tables(const float *y, uint32_t column, float *table, float *least);
extern void vecx_list_rabitq_query(const VecxListCode *code, VecxListQuery *query);
extern bool vecx_list_rabitq_check(const uint8_t *extra);

/* code_list_pq.c */
extern void vecx_list_pq_encode(const VecxListCode *code, const VecxListCentre *centre,
								const float *x, const float *y, VecxListEntry *entry, void *scratch);
/* What an entry's codes say of x, of which and of the centre there are projections;
 * coded is what they stand for, [pdims]. */
extern void vecx_list_pq_shape(const VecxListCode *code, const VecxListCentre *centre,
							   const float *x, const float *y, const uint8_t *codes, float *coded,
							   VecxListShape *shape);
extern void vecx_list_pq_tables(const VecxListCode *code, const float *y, uint32_t column,
								float *table);
/* Whether errors along the vector count more, where training is anisotropic; else those along
 * the residual. */
static inline bool
vecx_pq_errs_along_vector(const VecxListCode *code)
{
	return code->metric == VECX_METRIC_IP || code->metric == VECX_METRIC_COSINE;
}

/* The codes of one projected residual; x_y is the vector itself, projected. */
extern void vecx_pq_assign(const VecxListCode *code, const float *r, const float *x_y,
						   uint8_t *codes);

/* code_pq_train.c */
/* Dimensions of the projection, of a code that has all but that. */
extern uint32_t vecx_pq_dims(const VecxListCode *code, size_t nrows);
extern uint8_t *vecx_pq_train(const VecxTrainEnv *env, VecxListCode *code,
							  const VecxListSample *sample, size_t *nbytes);

#endif							/* VECX_CODE_LIST_INT_H */

/*
 * column_sample.h
 *    A random choice of the vectors in a column, read as the current user may.
 */
#ifndef VECX_COLUMN_SAMPLE_H
#define VECX_COLUMN_SAMPLE_H

#include "common/pg_prng.h"

#include "am/am.h"

typedef struct VecxColumnSample
{
	VecxIndex  *index;			/* as far as preparing values needs one */
	Oid			type;			/* that its values are of */
	MemoryContext row_cxt;		/* of one row */
	pg_prng_state prng;
	float	   *vectors;		/* [n][dim], unit vectors under cosine */
	bool		skips_other_dims;	/* of dense vectors, rather than raise an error */
	int			most;
	int			n;
	int64		seen;			/* vectors in the column */
} VecxColumnSample;

extern void VecxColumnSampleRead(VecxColumnSample *sample, MemoryContext cxt, Relation table,
								 const char *column, uint64 seed);

#endif							/* VECX_COLUMN_SAMPLE_H */

/*
 * code_cells.h
 *    Cells: clusters of all vectors of an index, by which those of one value of a filter
 *    column are put in an order, so that a search for the nearest of them reads a part.
 *
 * A vector belongs to the cell whose centre is nearest, or to none, where it is far from
 * all: what comes later may lie where nothing was.  Of a cell's members x and its centre c
 * the squared distance to a query q is |q - c|^2 + |x - c|^2, give or take
 * 2 |q - c| |x - c| times the cosine of an angle.  Which cosines those members have that are
 * within reach of a query is measured on the sample, for near and for far reaches; so much
 * nearer than its members' mean distance a cell is taken to begin.
 *
 * Pure C, no error exits, as code.h.  Centres are codes of the coder that the caller
 * names, the same each time, which must not be one of bits.
 */
#ifndef VECX_CODE_CELLS_H
#define VECX_CODE_CELLS_H

#include "code.h"

#define VECX_CELLS_MOST		1024

/* Reaches, and ranks of a neighbour in the sample, and recalls, that figures are known of. */
#define VECX_CELLS_REACHES	8
#define VECX_CELLS_RANKS	11	/* 1, 2, 4, .. 1,024 */
#define VECX_CELLS_RECALLS	5	/* .8, .9, .95, .97, .99 */

/* The beginning of the serialised form; radii and codes follow. */
typedef struct VecxCellsHead
{
	uint32_t	magic;
	uint32_t	count;
	uint32_t	sample;			/* vectors it came of */
	float		outside;		/* share of them that is in no cell */
	float		unlike;			/* as many squared radii as one in a hundred of them is from its centre */
	float		reach[VECX_CELLS_REACHES];	/* navigation distances, ascending; of a unit query under IP */
	float		cosine[VECX_CELLS_REACHES][VECX_CELLS_RECALLS];
	float		distance[VECX_CELLS_RANKS];	/* of neighbours, on average; the same */
	float		share[VECX_CELLS_RANKS][VECX_CELLS_RECALLS];	/* of the sample, in cells that
																 * begin before them */
} VecxCellsHead;

typedef struct VecxCells
{
	VecxCellsHead head;
	const float *radius2;		/* [count]: mean |x - c|^2 */
	const uint8_t *codes;		/* [count] */
} VecxCells;

extern bool vecx_cells_fit(const VecxCoder *coder);
extern size_t vecx_cells_bytes(const VecxCoder *coder, uint32_t count);

/*
 * About k cells of n sample vectors, float32[coder->dim], row_bytes apart; returns their
 * serialised form, allocated by env.
 */
extern uint8_t *vecx_cells_train(const VecxTrainEnv *env, const VecxCoder *coder, const void *sample,
								 size_t row_bytes, size_t n, uint32_t k, uint64_t seed, size_t *nbytes);

/* Uses the bytes in place; returns NULL, or what is wrong with them (a static string). */
extern const char *vecx_cells_bind(VecxCells *cells, const VecxCoder *coder, const uint8_t *bytes,
								   size_t nbytes);

/* The cell of a query of floats; the count of cells: none. */
extern uint32_t vecx_cells_nearest(const VecxCells *cells, const VecxCoder *coder,
								   const VecxCodeQuery *query);

/*
 * What to expect of a search for some rows among a number that pass: in cells of which share of
 * those that pass they are, but for what the recall allows to miss; and how far they reach.
 */
extern float vecx_cells_share(const VecxCells *cells, double recall, double rows, double passing);
extern float vecx_cells_reach(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query,
							  double rows, double passing);

/* How far members with such a reach may be from the mean of their cell, as a cosine; infinity:
 * nothing is known of so far a reach. */
extern float vecx_cells_cosine(const VecxCells *cells, const VecxCoder *coder, const VecxCodeQuery *query,
							   double recall, float reach);

/*
 * mean[count]: navigation distances of cells' members, on average, and deviation[count], what a
 * cosine of 1 takes from it.  False if the query is so unlike the sample that it told nothing
 * about such.
 */
extern bool vecx_cells_distances(const VecxCells *cells, const VecxCoder *coder,
								 const VecxCodeQuery *query, float *mean, float *deviation);

#endif							/* VECX_CODE_CELLS_H */

/*
 * vtree_cells.c
 *    The cells of the value tree: made when an index is built, and what cell a vertex
 *    belongs to.
 *
 * Entries of one value are in the order of their vertices' cells (code_cells.h).  A vertex
 * keeps its cell in its record: what another processor would compute does not matter.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "am/vtree.h"

/* Rows of a cell, so that those of a value that many rows have fill some pages. */
#define ROWS_PER_CELL		400
/* Sample vectors that a centre is the mean of, about. */
#define SAMPLE_PER_CELL		16
/* With fewer there is no order. */
#define LEAST_CELLS			8

/*
 * Makes the cells of an index that is to have so many rows, from a sample of its
 * vectors, and notes them in its metapage as it is in memory.  The coder of sketches has its
 * centre.
 */
void
VecxTreeMakeCells(VecxIndex *index, double rows, const char *sample, Size sample_bytes, int nsample)
{
	VecxMetaPageData *meta = &index->meta;
	double		wanted = Min(Min(rows / ROWS_PER_CELL, (double) nsample / SAMPLE_PER_CELL), VECX_CELLS_MOST);
	VecxTrainEnv env;
	MemoryContext cxt;
	VecxCells	cells;
	uint8	   *bytes;
	size_t		nbytes;

	if (wanted < LEAST_CELLS || !vecx_cells_fit(&index->tree_coder))
		return;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx cells", ALLOCSET_DEFAULT_SIZES);
	VecxTrainEnvInit(&env, cxt);
	bytes = vecx_cells_train(&env, &index->tree_coder, sample, sample_bytes, nsample, (uint32) wanted,
							 meta->seed, &nbytes);
	/* numbers at the end of float may not do */
	if (vecx_cells_bind(&cells, &index->tree_coder, bytes, nbytes) == NULL)
	{
		meta->tree_cells = VecxBlobWrite(index->rel, MAIN_FORKNUM, VECX_WRITE_DIRECT, bytes, nbytes);
		meta->tree_ncells = (uint16) cells.head.count;
	}
	MemoryContextDelete(cxt);
}

/* Makes ready to tell cells. */
void
VecxTreeCellsOpen(VecxIndex *index, VecxTreeCells *cells)
{
	memset(cells, 0, sizeof(VecxTreeCells));
	cells->index = index;
	if (index->meta.tree_ncells == 0)
		return;
	cells->cells = VecxLoadCells(index);
	cells->scratch = palloc(vecx_code_query_scratch(&index->tree_coder));
}

/* The cell of a vector as the index knows it. */
uint16
VecxTreeCellOf(VecxTreeCells *cells, const void *vec)
{
	const VecxCoder *coder = &cells->index->tree_coder;
	VecxCodeQuery query;

	if (cells->index->meta.tree_ncells == 0)
		return 0;
	vecx_code_query_init(coder, &query, vec, cells->scratch);
	return (uint16) vecx_cells_nearest(&cells->cells, coder, &query);
}

/*
 * vtree_cells.c
 *    The cells of the value tree: made when an index is built, and which cell a vector or
 *    a vertex belongs to.
 *
 * Entries of one value are in the order of their vertices' cells (code_cells.h).  A vertex
 * keeps its cell in its record: what another processor would compute does not matter.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/vtree.h"

/* Rows of a cell, at least, so that those of a value that many rows have fill some pages. */
#define ROWS_PER_CELL		400
/* Sample vectors that a centre is the mean of, about. */
#define SAMPLE_PER_CELL		16
/* With fewer there is no order. */
#define LEAST_CELLS			8

/* Of the sample, more than that in no cell: then they are of no use. */
#define MOST_OUTSIDE		0.05f
/* Share of maintenance_work_mem that the sample may take once more. */
#define SAMPLE_SHARE		4

/* Vectors of a sample as the index will know them. */
static char *
decode_sample(const VecxIndex *index, const char *sample, Size sample_bytes, int nsample)
{
	Size		bytes = VecxVectorBytes(index);
	char	   *decoded = MemoryContextAllocHuge(CurrentMemoryContext, bytes * Max(nsample, 1));
	uint8	   *code = palloc0(index->coder.nbytes);

	for (int i = 0; i < nsample; i++)
	{
		CHECK_FOR_INTERRUPTS();
		vecx_code_encode(&index->coder, sample + i * sample_bytes, code);
		vecx_code_decode(&index->coder, code, decoded + i * bytes);
	}
	return decoded;
}

static void
set_cells(VecxMetaPageData *meta, void *arg)
{
	const VecxMetaPageData *with_cells = arg;

	meta->tree_cells = with_cells->tree_cells;
	meta->tree_ncells = with_cells->tree_ncells;
}

/*
 * Makes the cells of an index that is to have so many rows, from a sample of its
 * vectors, if they are of use.  The index's coders are ready.
 */
void
VecxTreeMakeCells(VecxIndex *index, double rows, const char *sample, Size sample_bytes, int nsample)
{
	double		wanted;
	VecxMetaPageData meta = index->meta;
	VecxTrainEnv env;
	MemoryContext cxt;
	MemoryContext old;
	VecxCells	cells;
	uint8	   *bytes;
	size_t		nbytes;

	if (!vecx_cells_fit(&index->tree_coder))
		return;
	nsample = (int) Min((Size) nsample, (Size) maintenance_work_mem * 1024 / SAMPLE_SHARE / VecxVectorBytes(index));
	wanted = Min(Min(rows / ROWS_PER_CELL, (double) nsample / SAMPLE_PER_CELL), VECX_CELLS_MOST);
	if (wanted < LEAST_CELLS)
		return;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx cells", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	VecxTrainEnvInit(&env, cxt);
	bytes = vecx_cells_train(&env, &index->tree_coder, decode_sample(index, sample, sample_bytes, nsample),
							 VecxVectorBytes(index), nsample, (uint32) wanted, meta.seed, &nbytes);
	/* numbers at the end of float may not do */
	if (vecx_cells_bind(&cells, &index->tree_coder, bytes, nbytes) == NULL && cells.head.outside <= MOST_OUTSIDE)
	{
		meta.tree_cells = VecxBlobWrite(index->rel, MAIN_FORKNUM, VECX_WRITE_DIRECT, bytes, nbytes);
		meta.tree_ncells = (uint16) cells.head.count;
		VecxMetaEdit(index, set_cells, &meta);
	}
	MemoryContextSwitchTo(old);
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

/* The cell of a vertex that there is, by its record; 0 if there are no cells, or no such vertex. */
uint16
VecxTreeReadCell(VecxIndex *index, VecxId id)
{
	Buffer		buf;
	VecxRecord	rec;
	Size		size;
	uint16		cell = 0;

	if (index->meta.tree_ncells == 0)
		return 0;
	buf = VecxReadPage(index->rel, VecxIdBlock(id), BUFFER_LOCK_SHARE, VECX_PAGE_VERTEX);
	rec = VecxGetRecord(index, BufferGetPage(buf), id, &size);
	if (rec && rec->level == 0)
		cell = (uint16) rec->cell;
	UnlockReleaseBuffer(buf);
	return cell;
}

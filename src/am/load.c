/*
 * load.c
 *    Reads rows into a graph under construction: a vertex for each vector, its
 *    code and its point, and the leaves and the cell it belongs to.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "am/load.h"

/* Vertices of one hash and code that are asked for their value, at most. */
#define MAX_VERTICES_ASKED	16

/* Rows whose vectors are projected together: fewer where memory is short. */
int
VecxRowsAtOnce(const VecxIndex *index)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 64 / VecxVectorBytes(index);

	return (int) vecx_rows_at_once(index->meta.dim, Min(Max(limit, VECX_LEAST_AT_ONCE), VECX_MOST_AT_ONCE));
}

void
VecxLoaderInit(VecxLoader *l, VecxIndex *index, Relation heap, VecxGraph *graph,
			   VecxSpool *points, VecxSpool *keys, VecxPivots *pivots)
{
	const VecxBasis *basis = &VecxCurrentModel(index)->basis;

	memset(l, 0, sizeof(VecxLoader));
	l->index = index;
	l->heap = heap;
	l->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx load", ALLOCSET_DEFAULT_SIZES);
	l->row_cxt = AllocSetContextCreate(l->cxt, "vecx load of a row", ALLOCSET_DEFAULT_SIZES);
	l->graph = graph;
	l->points = points;
	l->keys = keys;
	l->pivots = pivots;
	l->exact = VecxExactMake(heap, index->rel, NULL);
	l->code = palloc(index->coder.nbytes);
	l->filters = palloc(Max(index->filters->nbytes, 1));
	l->side = VecxSpoolMake(l->cxt, index->layout.row_size, VECX_LOAD_SIDE_MEMORY);
	l->side_row = palloc0(index->layout.row_size);
	l->leaves_cap = 1024;
	l->leaves = palloc(sizeof(uint16) * VECX_LEAVES_OF_VERTEX * l->leaves_cap);
	l->most_rows = VecxRowsAtOnce(index);
	l->batch_codes = palloc((Size) index->coder.nbytes * l->most_rows);
	l->batch_vecs = palloc(VecxVectorBytes(index) * l->most_rows);
	l->batch_y = palloc0(vecx_basis_proj_bytes(basis) * l->most_rows);
	l->batch_scratch = palloc(sizeof(float) * vecx_basis_scratch_floats(basis, l->most_rows) + 1);
	l->batch_points.nbytes = pivots->points.nbytes;
	l->point = palloc(vecx_point_bytes(&index->coder, basis));
	VecxTreeCellsOpen(index, &l->cells);
	l->batch_points.heads = palloc(sizeof(VecxPointHead) * l->most_rows);
	l->batch_points.points = palloc(l->batch_points.nbytes * l->most_rows);
}

/* Computes and keeps the points, the leaves and the cells of the waiting vertices. */
static void
flush_batch(VecxLoader *l)
{
	const VecxBasis *basis = &VecxCurrentModel(l->index)->basis;
	const VecxCoder *coder = &l->index->coder;
	uint32		first = l->graph->nvertices - l->nbatch;
	Size		proj_bytes = vecx_basis_proj_bytes(basis);

	if (l->nbatch == 0)
		return;
	for (int i = 0; i < l->nbatch; i++)
		vecx_code_decode(coder, l->batch_codes + (Size) i * coder->nbytes,
						 l->batch_vecs + i * VecxVectorBytes(l->index));
	vecx_basis_project_many(basis, l->batch_vecs, l->nbatch, l->batch_y, l->batch_scratch);
	for (int i = 0; i < l->nbatch; i++)
	{
		const uint8 *code = l->batch_codes + (Size) i * coder->nbytes;
		char	   *y = l->batch_y + i * proj_bytes;

		l->graph->vertices[first + i].cell = VecxTreeCellOf(&l->cells, l->batch_vecs + i * VecxVectorBytes(l->index));
		vecx_point_make(coder, basis, y, code, l->point);
		VecxSpoolAppend(l->points, l->point);
		if (basis->positions)
			vecx_points_put_bits(&l->batch_points, i, coder, code);
		else
			vecx_points_put(&l->batch_points, i, (float *) y, NULL);
	}
	while (l->graph->nvertices > l->leaves_cap)
	{
		l->leaves_cap *= 2;
		l->leaves = repalloc_huge(l->leaves, sizeof(uint16) * VECX_LEAVES_OF_VERTEX * l->leaves_cap);
	}
	l->batch_points.count = l->nbatch;
	VecxPivotsAssign(l->pivots, coder->metric, &l->batch_points,
					 l->leaves + (Size) first * VECX_LEAVES_OF_VERTEX);
	l->nbatch = 0;
}

static uint32
add_vertex(VecxLoader *l, uint32 hash, const uint8 *code, bool findable)
{
	uint32		vertex = VecxGraphAddVertex(l->graph, hash, code, findable);

	memcpy(l->batch_codes + (Size) l->nbatch++ * l->index->coder.nbytes, code, l->index->coder.nbytes);
	if (l->nbatch == l->most_rows)
		flush_batch(l);
	return vertex;
}

void
VecxLoaderSideRow(VecxLoader *l, ItemPointer tid, const uint8 *filters, uint16 why)
{
	VecxRowEntry *row = l->side_row;

	row->tid = *tid;
	row->flags = why;
	memcpy(VecxRowFilters(row), filters, l->index->filters->nbytes);
	VecxSpoolAppend(l->side, row);
}

/* Remembers that the vertex has this value, so that the next row with it need
 * not look at the table. */
static void
remember_value(VecxLoader *l, const VecxInput *input, uint32 hash, uint32 vertex)
{
	VecxKnownValue *known = &l->known[hash % VECX_KNOWN_VALUES];
	Size		size = VARSIZE_ANY(input->value);

	if (known->value)
		pfree(known->value);
	known->value = memcpy(MemoryContextAlloc(l->cxt, size), input->value, size);
	known->hash = hash;
	known->vertex = vertex;
}

/* The first row of a vertex, if it can still be read. */
static struct varlena *
value_of(VecxLoader *l, uint32 vertex)
{
	Datum		value;
	bool		isnull;
	uint32		row = l->graph->vertices[vertex].first_row;

	if (!VecxExactFetch(l->exact, &l->graph->rows[row].tid, &value, &isnull) || isnull)
		return NULL;
	return PG_DETOAST_DATUM(value);
}

static uint32
find_vertex(VecxLoader *l, const VecxInput *input, uint32 hash)
{
	const VecxKnownValue *known = &l->known[hash % VECX_KNOWN_VALUES];
	uint32		vertex = VECX_NO_VERTEX;

	if (known->value && known->hash == hash && VecxSameValue(known->value, input->value))
		return known->vertex;
	vecx_code_encode(&l->index->coder, input->vec, l->code);
	for (int asked = 0; asked < MAX_VERTICES_ASKED; asked++)
	{
		struct varlena *value;

		CHECK_FOR_INTERRUPTS();
		vertex = VecxGraphFind(l->graph, hash, l->code, vertex);
		if (vertex == VECX_NO_VERTEX)
			break;
		value = value_of(l, vertex);
		if (value && VecxSameValue(value, input->value))
		{
			remember_value(l, input, hash, vertex);
			return vertex;
		}
	}
	return VECX_NO_VERTEX;
}

/* Notes under which keys of the value tree a row of a vertex is to be found. */
static void
add_keys(VecxLoader *l, uint32 vertex, const Datum *values, const bool *isnull)
{
	const VecxFilters *filters = l->index->filters;

	for (int column = 0; column < filters->ncolumns; column++)
	{
		int			at = filters->columns[column].attno - 1;
		uint64	   *keys;
		int			n = VecxFilterKeys(filters, column, values[at], isnull[at], &keys);

		for (int i = 0; i < n; i++)
		{
			VecxTreeKey key = {.value = keys[i],.id = vertex,.column = (uint16) column};

			VecxSpoolAppend(l->keys, &key);
		}
	}
}

/*
 * A row into the graph: at a vertex with the same vector, or one of its own.
 * One that is dead to new transactions cannot prove its value to later rows, so
 * it always gets a vertex of its own, where nobody looks for it.
 */
static uint32
add_to_graph(VecxLoader *l, const VecxInput *input, ItemPointer tid, bool alive)
{
	uint32		hash = VecxInputHash(input);
	uint32		vertex = VECX_NO_VERTEX;

	memset(l->code, 0, l->index->coder.nbytes);
	if (alive)
		vertex = find_vertex(l, input, hash);
	else
		vecx_code_encode(&l->index->coder, input->vec, l->code);
	if (vertex == VECX_NO_VERTEX)
		vertex = add_vertex(l, hash, l->code, alive);
	VecxGraphAddRow(l->graph, vertex, tid, l->filters);
	return vertex;
}

/* A callback of table_index_build_scan; arg is the loader. */
void
VecxLoaderRow(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	VecxLoader *l = arg;
	MemoryContext old = MemoryContextSwitchTo(l->row_cxt);
	VecxInput	input;

	l->rows++;
	VecxFilterForm(l->index->filters, values, isnull, l->filters);
	if (isnull[0])
		VecxLoaderSideRow(l, tid, l->filters, VECX_ROW_NULL);
	else
	{
		VecxPrepareInput(l->index, values[0], &input);
		if (input.kind == VECX_INPUT_OK)
		{
			uint32		vertex = add_to_graph(l, &input, tid, alive);

			if (l->keys)
				add_keys(l, vertex, values, isnull);
		}
		else
			VecxLoaderSideRow(l, tid, l->filters, VECX_ROW_UNSCORABLE);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(l->row_cxt);
}

/* Whether the first rows of two vertices have the same value. */
bool
VecxLoaderSameVertex(VecxLoader *l, uint32 a, uint32 b)
{
	MemoryContext old = MemoryContextSwitchTo(l->row_cxt);
	struct varlena *value = value_of(l, a);
	struct varlena *other = NULL;
	bool		same;

	/* fetching the next row may let go of the page of the last */
	if (value)
	{
		Size		size = VARSIZE_ANY(value);

		value = memcpy(palloc(size), value, size);
		other = value_of(l, b);
	}
	same = value && other && VecxSameValue(value, other);
	MemoryContextSwitchTo(old);
	MemoryContextReset(l->row_cxt);
	return same;
}

/* A vertex that is the centroid of a list. */
void
VecxLoaderCentroid(VecxLoader *l, const uint8 *code, BlockNumber head)
{
	ItemPointerData tid;

	VecxListSetTid(&tid, head);
	memset(l->filters, 0, l->index->filters->nbytes);
	VecxGraphAddRow(l->graph, add_vertex(l, 0, code, false), &tid, l->filters);
}

/* After the last row. */
void
VecxLoaderEnd(VecxLoader *l)
{
	MemoryContext old = MemoryContextSwitchTo(l->row_cxt);

	flush_batch(l);
	MemoryContextSwitchTo(old);
	MemoryContextReset(l->row_cxt);
}

/*
 * insert.c
 *    Adds one row to an index.
 *
 * The whole insertion holds a share lock on the lock tag of page 0, so that
 * VACUUM can wait for those who may be about to link to what it removes; see
 * README.md.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "am/vtree.h"

/*
 * Rows of a vertex that are looked at to learn whether it has a vector, at
 * most: those of other transactions under way tell nothing.
 */
#define MAX_ROWS_LOOKED_AT	16

/* A new vertex on its way in. */
typedef struct NewVertex
{
	VecxIndex  *index;
	Relation	heap;			/* NULL: may not share a vertex */
	uint32		hash;
	const VecxInput *input;
	const VecxRowEntry *row;
	const Datum *values;		/* of all columns */
	const bool *isnull;
	VecxId		id;				/* once it is known */
	uint8	   *code;
	VecxProbe  *probe;
	uint32		cell;			/* in the value tree */
	int			level;			/* highest level it reaches */
	int			nneighbours[VECX_MAX_LEVEL + 1];
	VecxNeighbour *neighbours[VECX_MAX_LEVEL + 1];
} NewVertex;

/*
 * The exponential distribution of HNSW, thinned by the number of links at the
 * base: a level is reached by one in 2 m of those below.
 */
int
VecxRandomLevel(pg_prng_state *prng, int m)
{
	double		u = 1.0 - pg_prng_double(prng);
	double		level = floor(-log(u) / log(2.0 * m));

	return (int) Min(level, VECX_MAX_LEVEL);
}

/* Whether a row of the heap has the same value as the input, to the bit. */
static bool
same_value(VecxExact *exact, const NewVertex *v, ItemPointer tid)
{
	Datum		value;
	bool		isnull;

	return VecxExactFetch(exact, tid, &value, &isnull) && !isnull &&
		VecxSameValue(PG_DETOAST_DATUM(value), v->input->value);
}

/* Whether a vertex with the same hash and code stands for the same vector: any
 * of its rows that is still in the heap tells.  In doubt it does not. */
static bool
same_vector(NewVertex *v, VecxExact *exact, const VecxOpened *opened)
{
	VecxId		segment = opened->chain;
	VecxRowEntry *rows;
	XLogRecPtr	lsn;
	int			looked_at = opened->nrows;

	for (int i = 0; i < opened->nrows; i++)
		if (same_value(exact, v, (ItemPointer) &opened->tids[i]))
			return true;
	rows = palloc(sizeof(VecxRowEntry) * VECX_SEGMENT_MAX_ROWS);
	/* a segment counts, too: all its rows may be known to be dead */
	for (; segment != VECX_INVALID_ID && looked_at < MAX_ROWS_LOOKED_AT; looked_at++)
	{
		int			nrows = VecxRowsReadSegment(v->index, NULL, opened->id, &segment, rows, &lsn);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nrows && looked_at < MAX_ROWS_LOOKED_AT; i++, looked_at++)
			if (same_value(exact, v, &rows[i].tid))
				return true;
	}
	return false;
}

/* Enters the row at a vertex that has its vector already, if there is one. */
static bool
share_vertex(NewVertex *v, const VecxOpened *opened, int nopened)
{
	VecxExact  *exact = NULL;
	bool		shared = false;

	for (int i = 0; i < nopened && !shared; i++)
	{
		if (opened[i].dead || opened[i].hash != v->hash ||
			memcmp(opened[i].code, v->code, v->index->coder.nbytes) != 0)
			continue;
		if (!exact)
			exact = VecxExactMake(v->heap, v->index->rel, NULL);
		shared = same_vector(v, exact, &opened[i]) &&
			VecxRowsAppend(v->index, opened[i].id, opened[i].generation, v->row);
		v->id = opened[i].id;
	}
	if (exact)
		VecxExactEnd(exact);
	return shared;
}

/*
 * Opens what a vertex's neighbours at a level are chosen among: at least
 * ef_construction records, nearest first.
 *
 * Sketches are estimates, so that a search opens two or three records for each
 * of its width.  A narrower one hence finds as many, and nearly the same: at five
 * eighths an index that was filled row by row finds .001 less than at the whole
 * width, for a quarter less time.
 */
VecxOpened *
VecxSearchForLinks(VecxSearch *search, VecxProbe *probe, int level,
				   const VecxId *seeds, int nseeds, int *nopened)
{
	int			wanted = probe->index->meta.ef_construction;
	int			width = Max(wanted * 5 / 8, 1);

	VecxSearchStart(search, probe, level, seeds, nseeds);
	VecxSearchRun(search, width);
	VecxSearchOpened(search, nopened);
	if (*nopened < wanted)
		VecxSearchRun(search, width + wanted - *nopened);
	VecxSearchSort(search);
	VecxSearchRelease(search);
	return VecxSearchOpened(search, nopened);
}

/*
 * Chooses a vertex's neighbours among what a search of the level opened, but
 * for the vertex itself; returns them, *count of them, not projected yet.
 */
VecxNeighbour *
VecxChooseNeighbours(VecxIndex *index, VecxId self, int level,
					 const VecxOpened *opened, int nopened, int *count)
{
	int			max_links = VecxMaxLinks(index->meta.m, level);
	VecxLinkCandidate *cands = palloc(sizeof(VecxLinkCandidate) * (nopened + 1));
	int		   *origin = palloc(sizeof(int) * (nopened + 1));
	int		   *chosen = palloc(sizeof(int) * max_links);
	void	   *scratch = palloc(vecx_code_query_scratch(&index->coder));
	VecxNeighbour *neighbours;
	int			ncands = 0;
	int			n;

	/* of what the search opened beyond its width, the nearest are of use */
	for (int i = 0; i < nopened && 2 * ncands < 3 * index->meta.ef_construction; i++)
	{
		if (opened[i].dead || opened[i].id == self)
			continue;
		cands[ncands].dist = opened[i].nav;
		cands[ncands].code = opened[i].code;
		origin[ncands++] = i;
	}
	n = VecxSelectLinks(&index->coder, cands, ncands, level, max_links, scratch, chosen);
	neighbours = palloc0(sizeof(VecxNeighbour) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const VecxOpened *o = &opened[origin[chosen[i]]];
		VecxNeighbour *neighbour = &neighbours[i];

		neighbour->id = o->id;
		neighbour->generation = o->generation;
		neighbour->level = (uint8) level;
		neighbour->dist = o->nav;
		neighbour->norm2 = o->norm2;
		neighbour->code = o->code;
	}
	*count = n;
	return neighbours;
}

/* Projects neighbours in the current model. */
void
VecxProjectNeighbours(VecxIndex *index, VecxNeighbour *neighbours, int n)
{
	const VecxModel *model = VecxCurrentModel(index);
	const VecxBasis *basis = &model->basis;
	Size		vec_bytes = VecxVectorBytes(index);
	Size		proj_bytes = vecx_basis_proj_bytes(basis);
	char	   *vecs = palloc(vec_bytes * Max(n, 1));
	char	   *projs = palloc(proj_bytes * Max(n, 1));
	float	   *scratch = palloc(sizeof(float) * vecx_basis_scratch_floats(basis, n) + 1);

	for (int i = 0; i < n; i++)
	{
		vecx_code_decode(&index->coder, neighbours[i].code, vecs + i * vec_bytes);
		neighbours[i].proj = projs + i * proj_bytes;
		neighbours[i].model = model->number;
	}
	vecx_basis_project_many(basis, vecs, n, projs, scratch);
	pfree(scratch);
	pfree(vecs);
}

/* Writes the vertex's record of one level; returns its id. */
static VecxId
write_record(NewVertex *v, int level, uint32 generation, VecxId down, VecxId base)
{
	VecxIndex  *index = v->index;
	uint8		model = index->meta.current_model;
	VecxProbeModel *pm = VecxProbeForModel(v->probe, model);
	int			n = v->nneighbours[level];
	int			max_links = VecxMaxLinks(index->meta.m, level);
	/* above the base a record keeps all its room, there are few of them; at the
	 * base about as many vertices will link to it as it links to, of which most
	 * may take the place of others: more room would make the record longer than
	 * those that a build leaves, whose place it takes */
	int			cap = level > 0 ? max_links : Min(max_links, n + Max(n / 4, 4));
	Size		size = VecxRecordSize(&index->layout, cap);
	VecxRecord	rec = palloc0(size);
	VecxId		id;

	rec->level = (uint8) level;
	rec->model = model;
	rec->nlinks = (uint16) n;
	rec->link_cap = (uint16) cap;
	rec->generation = generation;
	rec->hash = v->hash;
	rec->down = down;
	rec->base = base;
	if (level == 0)
	{
		rec->nrows = 1;
		memcpy(VecxRecordRows(&index->layout, rec), v->row, index->layout.row_size);
	}
	memcpy(VecxRecordCode(&index->layout, rec), v->code, index->coder.nbytes);
	for (int i = 0; i < n; i++)
	{
		const VecxNeighbour *nb = &v->neighbours[level][i];

		VecxEncodeLink(index, &pm->basis, nb->id, pm->proj, nb->proj,
					   v->probe->code.norm2, nb->dist,
					   VecxPopcount(index, nb->norm2),
					   VecxRecordLink(&index->layout, rec, i));
	}
	id = VecxPlaceItem(index, level > 0 ? VECX_PAGE_UPPER : VECX_PAGE_VERTEX, rec, size);
	pfree(rec);
	return id;
}

typedef struct EntryEdit
{
	VecxId		id;
	int			level;
	bool		alone;			/* nothing alive is reached from the entry there is */
} EntryEdit;

static void
raise_entry(VecxMetaPageData *meta, void *arg)
{
	EntryEdit  *edit = arg;

	if (meta->entry == VECX_INVALID_ID || edit->alone || edit->level > meta->entry_level)
	{
		meta->entry = edit->id;
		meta->entry_level = (uint8) edit->level;
	}
}

/* Writes all records of the vertex, from the base up, then the links to it. */
static void
write_vertex(NewVertex *v)
{
	VecxIndex  *index = v->index;
	uint32		generation = pg_prng_uint32(&pg_global_prng_state);
	VecxId		ids[VECX_MAX_LEVEL + 1];

	for (int level = 0; level <= v->level; level++)
	{
		VecxProjectNeighbours(index, v->neighbours[level], v->nneighbours[level]);
		ids[level] = write_record(v, level, generation,
								  level > 0 ? ids[level - 1] : VECX_INVALID_ID,
								  level > 0 ? ids[0] : v->cell);
	}
	v->id = ids[0];
	/* before anything leads to it: whoever copied the others before knows all that rows go to */
	if (index->lists)
		VecxCentroidsChanged(index);
	for (int level = 0; level <= v->level; level++)
		VecxLinkBackSurely(v->probe, ids[level], v->neighbours[level], v->nneighbours[level],
						   v->nneighbours[level]);
	if (v->nneighbours[0] == 0 || v->level > index->meta.entry_level)
	{
		EntryEdit	edit = {ids[v->level], v->level, v->nneighbours[0] == 0};

		VecxMetaEdit(index, raise_entry, &edit);
	}
}

/* Finds the vertex's place; true if another one took its row. */
static bool
find_place(NewVertex *v)
{
	VecxIndex  *index = v->index;
	VecxSearch *search = VecxSearchMake(index, CurrentMemoryContext, true);
	int			top = Min(v->level, index->meta.entry_level);
	VecxId		seeds[VECX_MAX_SEEDS];
	int			nseeds = VecxSearchDescend(search, v->probe, top, seeds);
	bool		shared = false;

	for (int level = top; level >= 0; level--)
	{
		VecxOpened *opened;
		int			nopened;

		opened = VecxSearchForLinks(search, v->probe, level, seeds, nseeds, &nopened);
		if (level == 0 && v->heap && share_vertex(v, opened, nopened))
		{
			shared = true;
			break;
		}
		v->neighbours[level] = VecxChooseNeighbours(index, VECX_INVALID_ID, level, opened, nopened,
													&v->nneighbours[level]);
		nseeds = Min(nopened, VECX_MAX_SEEDS);
		for (int i = 0; i < nseeds; i++)
			seeds[i] = opened[i].down;
	}
	return shared;
}

/* The cell of a new vertex. */
static uint32
find_cell(NewVertex *v)
{
	VecxTreeCells cells;

	VecxTreeCellsOpen(v->index, &cells);
	return VecxTreeCellOf(&cells, v->probe->vec);
}

/* Enters the row's values in the value tree, for its vertex. */
static void
add_to_tree(NewVertex *v)
{
	VecxTreeKey key = {.id = v->id,.place = (uint16) v->cell};
	uint8	   *sketch;

	/* a list's centroid has no values */
	if (v->index->filters->ncolumns == 0 || v->values == NULL)
		return;
	sketch = palloc(v->index->tree_coder.nbytes);
	VecxTreeSketch(v->index, v->probe->vec, sketch);
	VecxTreeInsertRow(v->index, key, sketch, v->values, v->isnull);
}

/* Fills in what a new vertex begins with. */
static void
begin_vertex(NewVertex *v, VecxIndex *index, Relation heap, uint8 *code,
			 const VecxRowEntry *row)
{
	memset(v, 0, sizeof(NewVertex));
	v->index = index;
	v->heap = heap;
	v->row = row;
	v->level = VecxRandomLevel(&pg_global_prng_state, index->meta.m);
	v->code = code;

	/* from the code, so that the sketches follow from what the index stores */
	v->probe = VecxProbeMakeFromCode(index, v->code);
}

/* Finds the vertex's place and writes it, unless another took its row. */
static void
add_vertex(NewVertex *v)
{
	VecxIndex  *index = v->index;
	LOCKMODE	mode = ShareLock;
	bool		shared;

	/*
	 * A vertex that finds none to link to becomes the entry: the first of all,
	 * or the first after all that VACUUM has marked dead.  Two such must not
	 * arrive together, so it looks again when it is alone.  All others only
	 * have to keep VACUUM waiting.
	 */
	for (;;)
	{
		LockPage(index->rel, VECX_META_BLKNO, mode);
		VecxIndexRefresh(index);
		/* those found before the lock was let go may be gone */
		memset(v->nneighbours, 0, sizeof(v->nneighbours));
		shared = index->meta.entry != VECX_INVALID_ID && find_place(v);
		if (shared || v->nneighbours[0] > 0 || mode == ExclusiveLock)
			break;
		UnlockPage(index->rel, VECX_META_BLKNO, mode);
		mode = ExclusiveLock;
	}
	if (shared)
		v->cell = VecxTreeReadCell(index, v->id);
	else
	{
		v->cell = find_cell(v);
		write_vertex(v);
	}
	add_to_tree(v);
	UnlockPage(index->rel, VECX_META_BLKNO, mode);
}

static void
insert_vector(VecxIndex *index, Relation heap, const VecxInput *input, const Datum *values,
			  const bool *isnull, const VecxRowEntry *row)
{
	NewVertex	v;
	uint8	   *code = palloc0(index->coder.nbytes);

	vecx_code_encode(&index->coder, input->vec, code);
	begin_vertex(&v, index, heap, code, row);
	v.input = input;
	v.hash = VecxInputHash(input);
	v.values = values;
	v.isnull = isnull;
	add_vertex(&v);
}

/* Adds the centroid of a list, whose first page is given; returns its id.  code is
 * kept by reference meanwhile. */
VecxId
VecxInsertCentroid(VecxIndex *index, uint8 *code, BlockNumber head)
{
	NewVertex	v;
	VecxRowEntry *row = palloc0(index->layout.row_size);

	VecxListSetTid(&row->tid, head);
	begin_vertex(&v, index, NULL, code, row);
	add_vertex(&v);
	return v.id;
}

/*
 * Adds a row to the index, whose values are those of all its columns.  Allocates in
 * the current context, which the caller resets.
 */
static void
insert_row(VecxIndex *index, Relation heap, const Datum *values, const bool *isnull,
			  ItemPointer tid)
{
	VecxRowEntry *row = palloc0(index->layout.row_size);
	VecxInput	input;

	row->tid = *tid;
	VecxFilterForm(index->filters, values, isnull, VecxRowFilters(row));
	if (isnull[0])
		row->flags = VECX_ROW_NULL;
	else
	{
		VecxPrepareInput(index, values[0], &input);
		if (input.kind != VECX_INPUT_OK)
			row->flags = VECX_ROW_UNSCORABLE;
	}
	if (row->flags != 0)
		VecxSideInsert(index, row);
	else if (index->lists)
	{
		VecxListInsert(index, heap, &input, row);
		if (index->filters->ncolumns > 0)
			VecxTreeInsertRow(index, VecxTreeKeyOfRow(0, 0, tid), NULL, values, isnull);
	}
	else
		insert_vector(index, heap, &input, values, isnull, row);
}

bool
vecxinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
		   IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx insert",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxIndex  *index = VecxIndexOpen(rel, cxt);
	BlockNumber before = RelationGetNumberOfBlocks(rel);

	insert_row(index, heap, values, isnull, tid);

	/*
	 * A scan might have found the row, whatever it asked for.  One that did not meet the entry has
	 * its predicate lock by now: before the entry was there others might have begun after the check.
	 */
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	if (RelationGetNumberOfBlocks(rel) > before)
		VecxMaybeTrain(index, VECX_INSERT_TRAIN_ROWS);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return false;
}

/*
 * list_settle.c
 *    VACUUM, when it has made lists anew: each row goes to the list of its nearest
 *    centroid, with copies in others.
 *
 * Inserts find the nearest centroid by a narrow search, and splits look at lists near by
 * (list_reassign.c).  A row far from its centroid may be nearest to one that neither
 * finds: of a set that came in region by region, one row of eight was in another list
 * than it should be, and one copy of ten was there.  So all centroids are known here, as
 * in a build.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/index.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/list_split.h"

typedef struct Settling
{
	VecxIndex  *index;
	VecxExact  *exact;
	int			n;				/* lists */
	int			cap;
	bool		too_many;		/* there are more */
	float	   *centres;		/* [n][dim] */
	BlockNumber *heads;			/* [n] */
	VecxClusters clusters;
	uint32	   *which;			/* [n]: leaves' lists */
	VecxPoints	point;			/* of the row at hand */
	float	   *work;
	float	   *room;
	VecxListEncoder encoder;
	MemoryContext row_cxt;
	VecxListArrival *leaving;	/* [page_rows]: of the page at hand */
	int			nleaving;
} Settling;

/* Lists whose centroids maintenance_work_mem has room for, as they are kept: decoded while
 * they are found, then among the leaves, and as what they are compared by. */
double
VecxListsMostSettled(const VecxIndex *index)
{
	return VecxMaintenanceMemory() * 1024.0 / (3 * sizeof(float) * index->meta.dim);
}

static void
add_list(VecxId id, VecxRecord rec, void *arg)
{
	Settling   *s = arg;
	VecxIndex  *index = s->index;
	uint32		dim = index->meta.dim;
	BlockNumber head = VecxListOfRecord(index, rec);

	if (head == InvalidBlockNumber || s->too_many)
		return;
	if (s->n >= VecxListsMostSettled(index))
	{
		s->too_many = true;
		return;
	}
	if (s->n == s->cap)
	{
		s->cap *= 2;
		s->centres = repalloc_huge(s->centres, sizeof(float) * dim * s->cap);
		s->heads = repalloc_huge(s->heads, sizeof(BlockNumber) * s->cap);
	}
	vecx_code_decode(&index->coder, VecxRecordCode(&index->layout, rec), s->centres + (Size) s->n * dim);
	s->heads[s->n++] = head;
}

/* Takes up all lists; false if there are none, or too many. */
static bool
find_lists(Settling *s)
{
	uint32		dim = s->index->meta.dim;
	VecxTrainEnv env;

	s->cap = 256;
	s->centres = palloc(sizeof(float) * dim * s->cap);
	s->heads = palloc(sizeof(BlockNumber) * s->cap);
	VecxForEachRecord(s->index, false, add_list, s);
	if (s->n == 0 || s->too_many)
		return false;
	VecxTrainEnvInit(&env, CurrentMemoryContext);
	s->which = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * s->n);
	vecx_clusters_take(&env, s->centres, s->n, dim, s->index->meta.seed, &s->clusters, s->which);
	pfree(s->centres);
	vecx_cluster_alloc(&env, dim, 1, &s->point);
	s->work = palloc(sizeof(float) * s->point.nbytes);
	s->room = palloc(sizeof(float) * vecx_clusters_room(&s->clusters, 1, VECX_REPLICA_CENTRES));
	return true;
}

/* The leaves whose lists a vector should be in, the nearest first; 0: no distance is
 * a number. */
static int
choose(Settling *s, const float *x, uint32 *to)
{
	uint32		dim = s->index->meta.dim;
	uint32		leaf[VECX_REPLICA_CENTRES];
	const float *centres[VECX_REPLICA_CENTRES];
	int			chosen[VECX_MOST_REPLICAS];
	int			n = 0;

	vecx_cluster_put(&s->point, 0, dim, s->clusters.mean, x, s->work);
	vecx_clusters_assign(&s->clusters, &s->point, VECX_REPLICA_CENTRES, leaf, s->room);
	for (; n < VECX_REPLICA_CENTRES && leaf[n] != VECX_NO_LEAF; n++)
		centres[n] = s->clusters.centres + (Size) leaf[n] * dim;
	if (n == 0)
		return 0;
	n = vecx_replicas_choose((VecxMetric) s->index->meta.metric, x, dim, centres, n,
							 s->index->lists->replicas, chosen);
	for (int i = 0; i < n; i++)
		to[i] = leaf[chosen[i]];
	return n;
}

/* Puts a row into the list of a leaf. */
static bool
give(Settling *s, const VecxRowEntry *row, uint16 flags, const float *x, uint32 leaf)
{
	return VecxListGive(&s->encoder, s->heads[s->which[leaf]],
						s->clusters.centres + (Size) leaf * s->index->meta.dim, row, flags, x);
}

/* Sees to a row whose own entry is in a list, on a page that we have a copy of. */
static void
settle_row(Settling *s, BlockNumber head, BlockNumber blkno, int place, const VecxRowEntry *row)
{
	const float *x = VecxListVectorOf(s->index, s->exact, unconstify(ItemPointerData *, &row->tid));
	uint32		to[VECX_MOST_REPLICAS];
	uint16		flags = VECX_ROW_LEAVING;
	int			n;

	if (!x)
		return;
	n = choose(s, x, to);
	if (n == 0)
		return;
	for (int i = 1; i < n; i++)
		if (s->heads[s->which[to[i]]] == head)
			flags |= VECX_ROW_STAYS;
		else
			(void) give(s, row, VECX_ROW_COPY, x, to[i]);
	if (s->heads[s->which[to[0]]] != head && give(s, row, VECX_ROW_ARRIVED, x, to[0]))
		s->leaving[s->nleaving++] = (VecxListArrival) {blkno, place, row->tid, flags};
}

static void
settle_page(Settling *s, BlockNumber head, BlockNumber blkno, Page page)
{
	int			nrows = VecxListPageHeader(page)->nrows;

	s->nleaving = 0;
	for (int i = 0; i < nrows; i++)
	{
		const VecxRowEntry *row = VecxListRow(s->index->lists, page, i);
		MemoryContext old;

		if (!VecxRowIsOwn(row))
			continue;
		vacuum_delay_point(false);
		old = MemoryContextSwitchTo(s->row_cxt);
		settle_row(s, head, blkno, i, row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(s->row_cxt);
	}
	if (s->nleaving > 0)
		VecxListMarkPage(s->index, s->leaving, s->nleaving);
}

/* Rows that come to the list meanwhile are where they should be. */
static void
settle_list(Settling *s, BlockNumber head)
{
	VecxIndex  *index = s->index;
	BlockNumber steps = RelationGetNumberOfBlocks(index->rel);
	PGAlignedBlock copy;

	for (BlockNumber blkno = head; blkno != InvalidBlockNumber;)
	{
		BlockNumber next = VecxListCopyPage(index, head, blkno, &steps, &copy);

		settle_page(s, head, blkno, copy.data);
		blkno = next;
	}
	VecxExactReset(s->exact);
}

static void
note_settled(VecxMetaPageData *meta, void *arg)
{
	meta->lists_made = meta->lists_unsettled = 0;
}

/*
 * The caller has the training lock.  Where memory is too little, rows stay without copies
 * until a VACUUM has more.
 */
void
VecxListsSettle(VecxIndex *index)
{
	Settling	s = {.index = index};
	/* who vacuums has it locked */
	Relation	heap = table_open(IndexGetRelation(RelationGetRelid(index->rel), false), NoLock);

	if (!find_lists(&s) && s.too_many)
	{
		table_close(heap, NoLock);
		ereport(WARNING,
				(errmsg("rows of index \"%s\" are in one list each until they are settled",
						RelationGetRelationName(index->rel)),
				 errdetail("VACUUM has made its lists anew, and maintenance_work_mem is too little to put rows where they should be."),
				 errhint("VACUUM the table with a larger maintenance_work_mem.")));
		return;
	}
	s.exact = VecxExactMake(heap, index->rel, NULL);
	VecxExactOnlyLive(s.exact);
	VecxListEncoderInit(&s.encoder, index);
	s.leaving = palloc(sizeof(VecxListArrival) * index->lists->page_rows);
	s.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx row of a list", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < s.n; i++)
		settle_list(&s, s.heads[i]);
	VecxExactEnd(s.exact);
	table_close(heap, NoLock);
	VecxMetaEdit(index, note_settled, NULL);
}

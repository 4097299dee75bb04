/*
 * recall.c
 *    vecx_recall: the share of the true nearest rows that an index finds.
 *
 * A row found counts if it is no farther than the k-th of the true nearest
 * (queries.c), so that ties do not matter.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "verify/verify.h"

#define MAX_K			10000
#define MAX_SAMPLES		10000

typedef struct Recall
{
	VecxQuerySet set;
	MemoryContext query_cxt;	/* of one search */
} Recall;

static int
compare_opened(const void *a, const void *b)
{
	const VecxOpened *x = a;
	const VecxOpened *y = b;
	float		dx = x->rank - x->error;
	float		dy = y->rank - y->error;

	return (dx > dy) - (dx < dy);
}

/* Leaves for a later batch what is farther than the threshold, as a scan does;
 * returns how many vertices are not. */
static int
split_batch(VecxOpened *opened, int n, float threshold)
{
	int			taken = 0;

	for (int i = 0; i < n; i++)
		if (opened[i].nav <= threshold)
		{
			VecxOpened	vertex = opened[i];

			opened[i] = opened[taken];
			opened[taken++] = vertex;
		}
	return taken;
}

/* Adds a batch of what a search opened to the rows found, as a scan would return
 * them; returns how many vertices there were. */
static int
take_batch(VecxQuerySet *set, const VecxQuery *query, VecxSearch *search, float threshold,
		   VecxNearest *found)
{
	int			nopened;
	int			live = 0;
	VecxOpened *opened = VecxSearchOpened(search, &nopened);
	int			n = split_batch(opened, nopened, threshold);

	VecxSearchRelease(search);
	qsort(opened, n, sizeof(VecxOpened), compare_opened);
	for (int i = 0; i < n; i++)
	{
		const VecxOpened *o = &opened[i];
		MemoryContext old;
		struct varlena *value;
		int			nrows;

		CHECK_FOR_INTERRUPTS();
		if (o->dead || VecxIdSetContains(&query->stored.hidden, o->id))
			continue;
		live++;
		if (found->n == found->k &&
			o->rank - 2 * o->error > VecxRankFromOperator(set->index->spec->metric, found->distance[0]))
			continue;
		old = MemoryContextSwitchTo(set->row_cxt);
		nrows = VecxVisibleRows(set, o->id, o->tids, o->nrows, o->chain, set->k, &value);
		if (nrows > 0)
		{
			double		d = VecxQueryDistance(set, query, PointerGetDatum(value));

			while (nrows-- > 0)
				VecxNearestAdd(found, d);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(set->row_cxt);
	}
	VecxExactReset(set->exact);
	memmove(opened, opened + n, sizeof(VecxOpened) * (nopened - n));
	VecxSearchKeepOpened(search, nopened - n);
	return live;
}

/* What an index scan for a stored vector would return, were it not stored. */
static void
search_hidden(VecxQuerySet *set, VecxQuery *query, VecxNearest *found)
{
	VecxIndex  *index = set->index;
	VecxSearch *search = VecxSearchMake(index, CurrentMemoryContext, false);
	BlockNumber nblocks = RelationGetNumberOfBlocks(index->rel);
	VecxInput	input;
	VecxProbe  *probe;
	VecxEffort	effort;
	int			width = 0;
	int			returned = 0;

	VecxPrepareInput(index, PointerGetDatum(query->value), &input);
	probe = VecxProbeMake(index, input.vec);
	VecxSearchHide(search, &query->stored.hidden);
	VecxSearchStandIn(search, probe, query->stored.id);
	VecxSearchBegin(search, probe);
	VecxEffortChoose(index->rel, &index->meta, found->k, &effort);
	while (found->n < found->k && !VecxSearchExhausted(search))
	{
		if (width == 0)
		{
			width = VecxEffortSearch(search, &effort, 0);
			(void) VecxEffortMakeSure(search, &effort, &width);
		}
		else
			VecxSearchRun(search, Max(returned, width));
		returned += take_batch(set, query, search, VecxSearchThreshold(search), found);
	}
	for (BlockNumber blkno = VECX_META_BLKNO + 1; blkno < nblocks && found->n < found->k; blkno++)
	{
		VecxSearchSweep(search, blkno);
		take_batch(set, query, search, get_float4_infinity(), found);
	}
	VecxSearchRelease(search);
}

/* What an index scan returns, the query itself left out. */
static void
search_index(VecxQuerySet *set, const VecxQuery *query, VecxNearest *found)
{
	Relation	rel = set->target.rel;
	IndexInfo  *info = BuildIndexInfo(rel);
	EState	   *estate = CreateExecutorState();
	TupleTableSlot *slot = table_slot_create(set->target.heap, NULL);
	IndexScanDesc scan = VecxIndexBeginScan(set->target.heap, rel, set->snapshot, 0, 1);
	ScanKeyData key;

	GetPerTupleExprContext(estate)->ecxt_scantuple = slot;
	ScanKeyEntryInitialize(&key, 0, 1, VECX_DISTANCE_STRATEGY, set->type, set->collation,
						   set->distance_proc, PointerGetDatum(query->value));
	VecxScanSetRows(scan, found->k);
	index_rescan(scan, NULL, 0, &key, 1);
	while (found->n < found->k && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		Datum		value;
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(set->row_cxt);
		ResetPerTupleExprContext(estate);
		old = MemoryContextSwitchTo(set->row_cxt);
		FormIndexDatum(info, slot, estate, values, isnull);
		value = isnull[0] ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM(values[0]));
		/* the query itself does not count, nor do its equals, however many */
		if (!isnull[0] && !(VecxQueryIsStored(query) && VecxSameValue((struct varlena *) DatumGetPointer(value), query->value)))
			VecxNearestAdd(found, VecxQueryDistance(set, query, value));
		MemoryContextSwitchTo(old);
		if (isnull[0])
			break;				/* only those are left */
	}
	MemoryContextReset(set->row_cxt);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

/* The mean over all queries that have neighbours; false if none has. */
static bool
mean_recall(Recall *r, double *result)
{
	double		sum = 0;
	int			n = 0;

	for (int i = 0; i < r->set.nqueries; i++)
	{
		VecxQuery  *query = &r->set.queries[i];
		MemoryContext old = MemoryContextSwitchTo(r->query_cxt);
		VecxNearest found;
		int			hits = 0;

		CHECK_FOR_INTERRUPTS();
		if (query->truth.n > 0)
		{
			VecxNearestInit(&found, query->truth.n);
			if (query->stored.id != VECX_INVALID_ID)
				search_hidden(&r->set, query, &found);
			else
				search_index(&r->set, query, &found);
			for (int j = 0; j < found.n; j++)
				hits += found.distance[j] <= query->truth.distance[0];
			sum += (double) hits / query->truth.n;
			n++;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(r->query_cxt);
	}
	/* exact, but for what sums of shares add in the last digits */
	*result = rint(sum / Max(n, 1) * 1e6) / 1e6;
	return n > 0;
}

static void
begin_recall(Recall *r, FunctionCallInfo fcinfo)
{
	memset(r, 0, sizeof(Recall));
	r->set.k = VecxCheckCount(PG_GETARG_INT32(1), "k", 1, MAX_K);
	r->set.most_queries = VecxCheckCount(PG_GETARG_INT32(2), "samples", 1, MAX_SAMPLES);
	r->set.cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx recall", ALLOCSET_DEFAULT_SIZES);
	r->query_cxt = AllocSetContextCreate(r->set.cxt, "vecx recall of a query", ALLOCSET_DEFAULT_SIZES);

	VecxTargetOpen(&r->set.target, PG_GETARG_OID(0), AccessShareLock);
	/* undone when the target is closed */
	if (!PG_ARGISNULL(3))
		(void) set_config_option("vecx.ef_search", psprintf("%d", VecxCheckCount(PG_GETARG_INT32(3), "ef", 0, VECX_MAX_EF_SEARCH)),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * vecx_recall(index regclass, k int, samples int, ef int, queries regclass,
 * query_column name)
 */
PG_FUNCTION_INFO_V1(vecx_recall);
Datum
vecx_recall(PG_FUNCTION_ARGS)
{
	Recall		r;
	MemoryContext old;
	double		result;
	bool		known;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	begin_recall(&r, fcinfo);
	old = MemoryContextSwitchTo(r.set.cxt);
	VecxQuerySetMake(&r.set, PG_ARGISNULL(4) ? InvalidOid : PG_GETARG_OID(4),
					 PG_ARGISNULL(5) ? NULL : NameStr(*PG_GETARG_NAME(5)));
	known = mean_recall(&r, &result);
	VecxQuerySetEnd(&r.set);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(r.set.cxt);
	VecxTargetClose(&r.set.target);
	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

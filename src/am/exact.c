/*
 * exact.c
 *    The indexed value of a heap row: of its column, or of the index's
 *    expression over it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "utils/snapmgr.h"

#include "am/page.h"
#include "am/toast.h"

struct VecxExact
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;
	SnapshotData dirty;			/* what snapshot points to, when none was given */
	IndexFetchTableData *fetch;
	Buffer		buf;			/* of a heap, pinned; or invalid */
	HeapTupleData tuple;		/* in slot, if it came from a heap */
	TupleTableSlot *slot;
	IndexInfo  *info;
	bool		only_live;		/* see VecxExactOnlyLive */
	bool		missing_ok;		/* see VecxExactMissingOk */
	ExprState  *predicate;		/* of a partial index, once it was asked for */
	bool		all_dead;		/* whether the last fetch found it so */
	VecxToast  *toast;			/* once a value was out of line */
	EState	   *estate;
};

/*
 * snapshot NULL: sees the rows whose values are certain to be still there.
 * Those are the live ones, those that are being deleted, since their TOAST
 * outlives the transaction that has an active snapshot here, and those that the
 * active snapshot sees, as the row that the command at hand is updating; not
 * the ones that another transaction is inserting, which may abort and be
 * vacuumed meanwhile.  Values that are missing all the same count as NULL.
 */
VecxExact *
VecxExactMake(Relation heap, Relation index, Snapshot snapshot)
{
	VecxExact  *exact = palloc0(sizeof(VecxExact));

	exact->heap = heap;
	exact->index = index;
	InitDirtySnapshot(exact->dirty);
	exact->snapshot = snapshot ? snapshot : &exact->dirty;
	exact->missing_ok = snapshot == NULL;
	exact->fetch = table_index_fetch_begin(heap);
	exact->slot = table_slot_create(heap, NULL);
	exact->info = BuildIndexInfo(index);
	/* of the index's columns only the first is wanted */
	exact->info->ii_NumIndexAttrs = 1;
	exact->info->ii_Expressions = list_truncate(exact->info->ii_Expressions,
												exact->info->ii_IndexAttrNumbers[0] == 0 ? 1 : 0);
	exact->estate = CreateExecutorState();
	GetPerTupleExprContext(exact->estate)->ecxt_scantuple = exact->slot;
	return exact;
}

static void
release_page(VecxExact *exact)
{
	if (BufferIsValid(exact->buf))
		ReleaseBuffer(exact->buf);
	exact->buf = InvalidBuffer;
}

/* Raises if the table can have no such row: of a damaged index, since a page of a table is
 * cut off only when no index leads to it. */
void
VecxCheckTid(Relation heap, Relation index, ItemPointer tid)
{
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);

	if (heap->rd_rel->relam == HEAP_TABLE_AM_OID &&
		(!VecxHasBlock(heap, ItemPointerGetBlockNumberNoCheck(tid)) ||
		 offset < FirstOffsetNumber || offset > MaxHeapTuplesPerPage))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is damaged: a row leads out of the table",
						RelationGetRelationName(index)),
				 errdetail_internal("TID=(%u,%u).", ItemPointerGetBlockNumberNoCheck(tid), offset),
				 errhint("REINDEX the index.")));
}

/*
 * table_index_fetch_tuple for a heap: pages are read through remembered buffers, and not
 * pruned, which is left to those who fetch the rows that are returned.
 */
static bool
fetch_from_heap(VecxExact *exact, ItemPointer tid, Snapshot snapshot)
{
	BlockNumber blkno = ItemPointerGetBlockNumberNoCheck(tid);
	bool		found;

	if (!BufferIsValid(exact->buf) || BufferGetBlockNumber(exact->buf) != blkno)
	{
		release_page(exact);
		VecxCheckTid(exact->heap, exact->index, tid);
		exact->buf = VecxReadBuffer(exact->heap, blkno);
	}
	LockBuffer(exact->buf, BUFFER_LOCK_SHARE);
	/* not of an insert, to which a row that is not found is only a vertex not to share */
	if (snapshot == exact->snapshot)
		TestForOldSnapshot(snapshot, exact->heap, BufferGetPage(exact->buf));
	found = heap_hot_search_buffer(tid, exact->heap, exact->buf, snapshot, &exact->tuple,
								   &exact->all_dead, true);
	LockBuffer(exact->buf, BUFFER_LOCK_UNLOCK);
	if (!found)
		return false;
	exact->tuple.t_self = *tid;
	ExecStoreBufferHeapTuple(&exact->tuple, exact->slot, exact->buf);
	return true;
}

static bool
fetch_tuple(VecxExact *exact, ItemPointer tid, Snapshot snapshot)
{
	ItemPointerData copy = *tid;	/* fetching moves it along the HOT chain */
	bool		call_again = false;
	bool		found;

	if (exact->heap->rd_rel->relam == HEAP_TABLE_AM_OID)
		found = fetch_from_heap(exact, &copy, snapshot);
	else
		found = table_index_fetch_tuple(exact->fetch, &copy, snapshot, exact->slot,
										&call_again, &exact->all_dead);
	return found &&
		(snapshot != &exact->dirty || !TransactionIdIsValid(exact->dirty.xmin)) &&
		!(exact->only_live && TransactionIdIsValid(exact->dirty.xmax));
}

/*
 * Without a snapshot, in VACUUM: sees only the rows that nobody is deleting, since the
 * snapshot that VACUUM has active does not keep others from removing TOAST.
 */
void
VecxExactOnlyLive(VecxExact *exact)
{
	exact->only_live = true;
}

/*
 * For those who look at rows that nobody asked for: a value out of line that is damaged, or that
 * VACUUM of the TOAST table has just removed, counts as NULL.
 */
void
VecxExactMissingOk(VecxExact *exact)
{
	exact->missing_ok = true;
}

/* The value itself in place of a pointer to it, or a null pointer. */
static Datum
read_out_of_line(VecxExact *exact, Datum value)
{
	struct varlena *pointer = (struct varlena *) DatumGetPointer(value);

	/* an expression may come from anywhere */
	if (!VARATT_IS_EXTERNAL_ONDISK(pointer) || !OidIsValid(exact->heap->rd_rel->reltoastrelid))
		return value;
	if (!exact->toast)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(exact));

		exact->toast = VecxToastOpen(exact->heap->rd_rel->reltoastrelid);
		MemoryContextSwitchTo(old);
	}
	return PointerGetDatum(VecxToastRead(exact->toast, pointer, exact->missing_ok));
}

/* Finds a row by an index entry's TID; NULL if the snapshot sees no version of it. */
TupleTableSlot *
VecxExactFind(VecxExact *exact, ItemPointer tid)
{
	exact->all_dead = false;
	if (!fetch_tuple(exact, tid, exact->snapshot) &&
		(exact->snapshot != &exact->dirty || exact->only_live || !ActiveSnapshotSet() ||
		 !fetch_tuple(exact, tid, GetActiveSnapshot())))
		return NULL;
	return exact->slot;
}

/*
 * The value of the row that was found; false if it is NULL.  It is valid until the next
 * row; if it was out of line it is allocated in the current context.
 */
bool
VecxExactValue(VecxExact *exact, Datum *value)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnulls[INDEX_MAX_KEYS];

	ResetPerTupleExprContext(exact->estate);
	FormIndexDatum(exact->info, exact->slot, exact->estate, values, isnulls);
	if (isnulls[0])
		return false;
	/* values of an index are never passed by value */
	*value = read_out_of_line(exact, values[0]);
	return DatumGetPointer(*value) != NULL;
}

/* Both; false if the snapshot sees no version of the row. */
bool
VecxExactFetch(VecxExact *exact, ItemPointer tid, Datum *value, bool *isnull)
{
	if (!VecxExactFind(exact, tid))
		return false;
	*isnull = !VecxExactValue(exact, value);
	return true;
}

/* What the index compares of a row, by reference; false if it cannot be seen, or has no distance. */
bool
VecxExactVector(VecxExact *exact, const VecxIndex *index, ItemPointer tid, VecxInput *input)
{
	Datum		value;
	bool		isnull;

	if (!VecxExactFetch(exact, tid, &value, &isnull) || isnull)
		return false;
	VecxPrepareInput(index, value, input);
	return input->kind == VECX_INPUT_OK;
}

/* Whether the row that was found is one of those that a partial index is about. */
bool
VecxExactMeetsPredicate(VecxExact *exact)
{
	if (exact->info->ii_Predicate == NIL)
		return true;
	ResetPerTupleExprContext(exact->estate);
	if (!exact->predicate)
		exact->predicate = ExecPrepareQual(exact->info->ii_Predicate, exact->estate);
	return ExecQual(exact->predicate, GetPerTupleExprContext(exact->estate));
}

/* Whether the row of the last fetch is dead to everybody. */
bool
VecxExactAllDead(const VecxExact *exact)
{
	return exact->all_dead;
}

/* Lets go of the heap page that the last fetch pinned. */
void
VecxExactReset(VecxExact *exact)
{
	ExecClearTuple(exact->slot);
	table_index_fetch_reset(exact->fetch);
	release_page(exact);
}

void
VecxExactEnd(VecxExact *exact)
{
	release_page(exact);
	ExecDropSingleTupleTableSlot(exact->slot);
	table_index_fetch_end(exact->fetch);
	FreeExecutorState(exact->estate);
	if (exact->toast)
		VecxToastClose(exact->toast);
	pfree(exact);
}

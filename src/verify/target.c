/*
 * target.c
 *    Opens the index that a verification function was called for, and says
 *    where damage is.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "verify/verify.h"

/* Raises on a standby, where the function could not do its work; hint says what to do instead. */
void
VecxRefuseRecovery(const char *function, const char *hint)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", function),
				 errhint("%s", hint)));
}

/* The value of an argument; raises if it is out of range. */
int
VecxCheckCount(int32 value, const char *name, int least, int most)
{
	if (value < least || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between %d and %d", name, least, most)));
	return value;
}

void
VecxDamage(Relation rel, BlockNumber blkno, OffsetNumber off, const char *what,
		   const char *fmt,...)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "Block=%u", blkno);
	if (off != InvalidOffsetNumber)
		appendStringInfo(&detail, " offset=%u", off);
	if (fmt)
	{
		va_list		args;
		int			needed;

		appendStringInfoChar(&detail, ' ');
		for (;;)
		{
			va_start(args, fmt);
			needed = appendStringInfoVA(&detail, fmt, args);
			va_end(args);
			if (needed == 0)
				break;
			enlargeStringInfo(&detail, needed);
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is damaged: %s", RelationGetRelationName(rel), what),
			 errdetail_internal("%s.", detail.data),
			 errhint("REINDEX the index.")));
}

/* Raises unless the OID is that of a vecx index; returns its table's. */
static Oid
check_kind(Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));
	Form_pg_class class;
	IndexAmRoutine *am = NULL;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("relation with OID %u does not exist", indexid)));
	class = (Form_pg_class) GETSTRUCT(tuple);
	if (class->relkind == RELKIND_INDEX || class->relkind == RELKIND_PARTITIONED_INDEX)
		am = GetIndexAmRoutineByAmId(class->relam, true);
	if (am == NULL || am->ambuild != vecxbuild)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a vecx index", NameStr(class->relname))));
	if (class->relkind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("vecx index \"%s\" is partitioned", NameStr(class->relname)),
				 errhint("Name the index of a partition; pg_partition_tree() lists them.")));
	ReleaseSysCache(tuple);
	return IndexGetRelation(indexid, false);
}

/* A table, view or the like that an argument names, locked against what would change it. */
Relation
VecxTableOpen(Oid table)
{
	Relation	rel = try_table_open(table, AccessShareLock);

	if (!rel)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", table)));
	return rel;
}

/* Raises where a standby lacks the relation's contents. */
void
VecxCheckReplayed(Relation rel)
{
	if (RecoveryInProgress() && !RelationNeedsWAL(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));
}

static void
check_owner(Oid table)
{
	if (!object_ownercheck(RelationRelationId, table, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(table));
}

/*
 * Opens the index and its table.  Only the table's owner and superusers may;
 * expressions of the index are evaluated as the owner, whoever calls.
 */
void
VecxTargetOpen(VecxTarget *target, Oid indexid, LOCKMODE mode)
{
	Oid			heapid = check_kind(indexid);

	check_owner(heapid);
	/* the table first, as everybody does */
	target->mode = mode;
	target->heap = table_open(heapid, mode);
	target->rel = index_open(indexid, mode);
	/* which may have waited for another to become the owner */
	check_owner(heapid);
	if (RELATION_IS_OTHER_TEMP(target->rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary tables of other sessions")));
	if (!target->rel->rd_index->indisready)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not ready", RelationGetRelationName(target->rel)),
				 errdetail("CREATE INDEX CONCURRENTLY is not done with it, or has failed."),
				 errhint("Wait for it, or REINDEX INDEX or drop the index.")));
	VecxCheckReplayed(target->rel);

	GetUserIdAndSecContext(&target->save_user, &target->save_context);
	SetUserIdAndSecContext(target->heap->rd_rel->relowner,
						   target->save_context | SECURITY_RESTRICTED_OPERATION);
	target->save_nestlevel = NewGUCNestLevel();
}

void
VecxTargetClose(VecxTarget *target)
{
	AtEOXact_GUC(false, target->save_nestlevel);
	SetUserIdAndSecContext(target->save_user, target->save_context);
	index_close(target->rel, target->mode);
	table_close(target->heap, target->mode);
}

typedef struct RowCall
{
	VecxRowFunction function;
	void	   *arg;
	MemoryContext cxt;
} RowCall;

static void
call_for_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	RowCall    *call = arg;
	MemoryContext old = MemoryContextSwitchTo(call->cxt);

	call->function(tid, values, isnull, call->arg);
	MemoryContextSwitchTo(old);
	MemoryContextReset(call->cxt);
}

/*
 * Calls a function for every row that the snapshot sees and the index should have, in
 * the order of the table; in row_cxt, which is reset after each.
 */
void
VecxTargetForEachRow(VecxTarget *target, Snapshot snapshot, MemoryContext row_cxt,
					 VecxRowFunction function, void *arg)
{
	Form_pg_index form = target->rel->rd_index;
	RowCall		call = {function, arg, row_cxt};
	IndexInfo  *info;

	if (!form->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(target->rel)),
				 errdetail("It need not have every row of its table.")));
	/* an old snapshot may see versions of rows that the index never had */
	if (IsolationUsesXactSnapshot() && form->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(target->rel->rd_indextuple->t_data),
							   snapshot->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("index \"%s\" is too new for this transaction's snapshot",
						RelationGetRelationName(target->rel))));
	info = BuildIndexInfo(target->rel);
	/* makes the scan go by the snapshot */
	info->ii_Concurrent = true;
	table_index_build_scan(target->heap, target->rel, info, true, false, call_for_row, &call,
						   table_beginscan_strat(target->heap, snapshot, 0, NULL, true, false));
}

/* The name of the indexed column, which may have been renamed since; of an expression that of the
 * index's own column. */
const char *
VecxTargetColumn(const VecxTarget *target)
{
	AttrNumber	attno = target->rel->rd_index->indkey.values[0];

	return attno == 0 ? get_attname(RelationGetRelid(target->rel), 1, false) :
		get_attname(RelationGetRelid(target->heap), attno, false);
}

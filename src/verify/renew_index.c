/*
 * renew_index.c
 *    vecx_renew: a new model for an index, without building it anew.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "verify/verify.h"

PG_FUNCTION_INFO_V1(vecx_renew);
Datum
vecx_renew(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx renewal",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxTarget	target;
	VecxIndex  *index;

	VecxRefuseRecovery("vecx_renew()", "A standby gets renewed sketches from its primary.");
	PreventCommandIfReadOnly("vecx_renew()");
	/* beside reads and writes, but not beside VACUUM, nor another of its kind */
	VecxTargetOpen(&target, PG_GETARG_OID(0), ShareUpdateExclusiveLock);
	index = VecxIndexOpen(target.rel, cxt);
	VecxTrainLock(index);
	VecxRenew(index);
	VecxTrainUnlock(index);
	VecxTargetClose(&target);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	PG_RETURN_VOID();
}

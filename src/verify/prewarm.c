/*
 * prewarm.c
 *    vecx_prewarm: reads an index into shared buffers.
 *
 * The pages that every search needs, metapage, model and upper levels, are at
 * the file's start as a build leaves it, so the file is read in its order.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/spccache.h"

#include "verify/verify.h"

/* More than this share of shared buffers would drive out what was read first. */
#define MAX_BUFFERS		(NBuffers - NBuffers / 8)

PG_FUNCTION_INFO_V1(vecx_prewarm);
Datum
vecx_prewarm(PG_FUNCTION_ARGS)
{
	VecxTarget	target;
	BlockNumber nblocks;
	BlockNumber prefetched = 0;
	int			distance;

	VecxTargetOpen(&target, PG_GETARG_OID(0), AccessShareLock);
	nblocks = Min(RelationGetNumberOfBlocks(target.rel), (BlockNumber) MAX_BUFFERS);
	distance = get_tablespace_maintenance_io_concurrency(target.rel->rd_rel->reltablespace);
	for (BlockNumber blkno = 0; blkno < nblocks; blkno++)
	{
		CHECK_FOR_INTERRUPTS();
		for (; prefetched < nblocks && prefetched < blkno + distance; prefetched++)
			PrefetchBuffer(target.rel, MAIN_FORKNUM, prefetched);
		ReleaseBuffer(ReadBuffer(target.rel, blkno));
	}
	VecxTargetClose(&target);
	PG_RETURN_INT64(nblocks);
}

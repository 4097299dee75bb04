/*
 * parallel_plan.c
 *    The plan of a build, handed from the leader to its workers in a file.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/load.h"

/* The plan is passed on as numbers in blocks: there may be more than 2^32. */
#define PLAN_BLOCK	1024

typedef struct PlanStream
{
	VecxSpool  *spool;
	uint32		at;				/* in the block */
	uint32		nblocks;		/* read */
	uint32		block[PLAN_BLOCK];
} PlanStream;

static void
plan_write(PlanStream *stream, uint32 number)
{
	stream->block[stream->at++] = number;
	if (stream->at == PLAN_BLOCK)
	{
		VecxSpoolAppend(stream->spool, stream->block);
		stream->at = 0;
		CHECK_FOR_INTERRUPTS();
	}
}

static uint32
plan_read(PlanStream *stream)
{
	if (stream->at == 0)
	{
		memcpy(stream->block, VecxSpoolGet(stream->spool, stream->nblocks++), sizeof(stream->block));
		CHECK_FOR_INTERRUPTS();
	}
	stream->at = (stream->at + 1) % PLAN_BLOCK;
	return stream->block[(stream->at + PLAN_BLOCK - 1) % PLAN_BLOCK];
}

/* Writes the plan for the others to read; returns the number of blocks. */
uint32
VecxPlanWrite(const VecxPlan *plan, SharedFileSet *files)
{
	PlanStream *stream = palloc0(sizeof(PlanStream));
	uint32		nblocks;

	stream->spool = VecxSpoolMakeShared(CurrentMemoryContext, sizeof(stream->block), 0,
										files, "plan", 0);
	plan_write(stream, plan->nvertices);
	plan_write(stream, (uint32) plan->nleaves);
	plan_write(stream, (uint32) plan->nbuckets);
	for (int i = 0; i <= plan->nleaves; i++)
		plan_write(stream, plan->leaf_first[i]);
	for (uint32 i = 0; i < plan->leaf_first[plan->nleaves]; i++)
		plan_write(stream, plan->members[i]);
	for (uint32 v = 0; v < plan->nvertices; v++)
		plan_write(stream, plan->bucket_of[v]);
	if (stream->at > 0)
		VecxSpoolAppend(stream->spool, stream->block);
	nblocks = VecxSpoolCount(stream->spool);
	VecxSpoolShare(stream->spool);
	VecxSpoolFree(stream->spool);
	pfree(stream);
	return nblocks;
}

/* Reads what the leader wrote. */
void
VecxPlanRead(SharedFileSet *files, uint32 nblocks, VecxPlan *plan)
{
	PlanStream *stream = palloc0(sizeof(PlanStream));

	stream->spool = VecxSpoolOpenShared(CurrentMemoryContext, sizeof(stream->block), 0,
										files, "plan", 1, &nblocks);
	memset(plan, 0, sizeof(VecxPlan));
	plan->nvertices = plan_read(stream);
	plan->nleaves = (int) plan_read(stream);
	plan->nbuckets = (int) plan_read(stream);
	plan->leaf_first = palloc(sizeof(uint32) * (plan->nleaves + 1));
	for (int i = 0; i <= plan->nleaves; i++)
		plan->leaf_first[i] = plan_read(stream);
	plan->members = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(uint32) * Max(plan->leaf_first[plan->nleaves], 1));
	for (uint32 i = 0; i < plan->leaf_first[plan->nleaves]; i++)
		plan->members[i] = plan_read(stream);
	plan->bucket_of = MemoryContextAllocHuge(CurrentMemoryContext,
											 sizeof(uint16) * Max(plan->nvertices, 1));
	for (uint32 v = 0; v < plan->nvertices; v++)
		plan->bucket_of[v] = (uint16) plan_read(stream);
	VecxSpoolFree(stream->spool);
	pfree(stream);
}

/*
 * parallel_workers.c
 *    How many workers a build asks for.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "optimizer/clauses.h"
#include "optimizer/paths.h"

#include "am/load.h"

static bool
is_safe(IndexInfo *info)
{
	PlannerInfo *root = makeNode(PlannerInfo);

	/* as plan_create_index_workers does it */
	root->parse = makeNode(Query);
	root->parse->commandType = CMD_SELECT;
	root->glob = makeNode(PlannerGlobal);
	return is_parallel_safe(root, (Node *) info->ii_Expressions) &&
		is_parallel_safe(root, (Node *) info->ii_Predicate);
}

static uint64
table_blocks(Relation heap)
{
	uint64		blocks = RelationGetNumberOfBlocks(heap);

	if (OidIsValid(heap->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(heap->rd_rel->reltoastrelid, AccessShareLock);

		blocks += RelationGetNumberOfBlocks(toast);
		table_close(toast, AccessShareLock);
	}
	return blocks;
}

/*
 * Workers to ask for.  PostgreSQL plans them for its own B-trees only, by the
 * size of the table without TOAST, which is where large vectors are.
 */
int
VecxWantedWorkers(Relation heap, IndexInfo *info)
{
	int			most = Min(max_parallel_maintenance_workers, VECX_MAX_PARTICIPANTS - 1);
	int			asked = RelationGetParallelWorkers(heap, -1);
	int			workers = 0;

	if (most <= 0 || asked == 0 || IsParallelWorker() || IsInParallelMode() ||
		heap->rd_rel->relpersistence == RELPERSISTENCE_TEMP || !is_safe(info))
		return 0;
	if (asked > 0)
		return Min(asked, most);
	/* as PostgreSQL does it for scans: one, and another each time it is thrice as large */
	for (uint64 blocks = table_blocks(heap);
		 blocks >= Max((uint64) min_parallel_table_scan_size, 1) && workers < most; blocks /= 3)
		workers++;
	return workers;
}

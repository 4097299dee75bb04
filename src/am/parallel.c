/*
 * parallel.c
 *    Several processes that build one index: the leader and parallel workers.
 *
 * Shared memory holds control structures only; what one participant has for
 * the others it leaves in temporary files.  All take the same steps and meet
 * at a barrier after each:
 *
 *    load     each reads a part of the table into files of its own
 *    plan     the leader joins equal vectors and writes who is in which leaf
 *    link     leaves and then buckets, whoever is free takes the next; the leader
 *             makes the upper levels first
 *    write    the leader says what is to be on which page, while the others begin;
 *             the same for pages
 *    log      each a share of the pages
 *    measure  each searches for some of the vectors that the leader has drawn
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/load.h"
#include "am/vtree.h"
#include "compat.h"

#define KEY_SHARED			UINT64CONST(0x5645435800000001)
#define KEY_SCAN			UINT64CONST(0x5645435800000002)
#define KEY_QUERY			UINT64CONST(0x5645435800000003)
#define KEY_WAL_USAGE		UINT64CONST(0x5645435800000004)
#define KEY_BUFFER_USAGE	UINT64CONST(0x5645435800000005)

typedef struct Shared
{
	Oid			heap;
	Oid			index;
	bool		concurrent;
	int			npivots;
	ConditionVariable started;
	int			nparticipants;	/* 0 until all have started */
	slock_t		mutex;			/* of what follows */
	double		heap_tuples;
	double		rows;
	bool		broken_hot_chain;
	uint32		nrows[VECX_MAX_PARTICIPANTS];	/* row records of each */
	uint32		nkeys[VECX_MAX_PARTICIPANTS];	/* keys of the value tree */
	uint32		plan_blocks;
	VecxCurveSample sample;		/* of no query: there is nothing to measure */
	VecxCurveTotals totals[VECX_MAX_PARTICIPANTS];
	VecxTeamShared team;
	SharedFileSet files;
} Shared;

struct VecxParallel
{
	ParallelContext *pcxt;
	Shared	   *shared;
	ParallelTableScanDesc scan;
	Snapshot	snapshot;
	WalUsage   *wal_usage;
	BufferUsage *buffer_usage;
	VecxSpool  *rows;
	VecxSpool  *vertices;
	VecxSpool  *plan;
};

/* What a participant hands the leader for a row, and for a vertex. */
typedef struct RowRecord
{
	uint32		vertex;			/* VECX_NO_VERTEX: a row without a distance */
	ItemPointerData tid;
	uint16		why;
	/* filter bytes follow */
} RowRecord;

#define RowRecordSize(index)	(sizeof(RowRecord) + (index)->filters->nbytes)

typedef struct VertexRecord
{
	uint32		hash;
	uint16		leaves[VECX_LEAVES_OF_VERTEX];
	uint16		cell;
	bool		findable;
} VertexRecord;

void
VecxTeamInit(VecxTeamShared *shared, int nparticipants)
{
	memset(shared, 0, sizeof(VecxTeamShared));
	BarrierInit(&shared->barrier, nparticipants);
	for (int i = 0; i < lengthof(shared->next); i++)
		pg_atomic_init_u32(&shared->next[i], 0);
	pg_atomic_init_u64(&shared->done, 0);
	pg_atomic_init_u32(&shared->ready, 0);
	ConditionVariableInit(&shared->more);
}

/* Waits until everybody has come here. */
void
VecxTeamWait(VecxTeam *team)
{
	if (team->nparticipants > 1)
		BarrierArriveAndWait(&team->shared->barrier, PG_WAIT_EXTENSION);
}

/*
 * Logs this participant's share of all pages.  None is changed, and none added, until all
 * participants have met again.
 */
void
VecxTeamLogPages(const VecxTeam *team, Relation rel)
{
	uint64		npages = RelationGetNumberOfBlocks(rel);
	BlockNumber first = (BlockNumber) (npages * team->me / team->nparticipants);
	BlockNumber end = (BlockNumber) (npages * (team->me + 1) / team->nparticipants);

	if (RelationNeedsWAL(rel) && first < end)
		log_newpage_range(rel, MAIN_FORKNUM, first, end, true);
}

/* ---- the leader's side ---- */

static void
write_pivots(Shared *shared, const VecxPivots *pivots)
{
	VecxSpool  *spool = VecxSpoolMakeShared(CurrentMemoryContext, sizeof(VecxPointHead) + pivots->points.nbytes,
											0, &shared->files, "pivots", 0);
	char	   *rec = palloc(sizeof(VecxPointHead) + pivots->points.nbytes);

	for (Size i = 0; i < pivots->points.count; i++)
	{
		memcpy(rec, &pivots->points.heads[i], sizeof(VecxPointHead));
		memcpy(rec + sizeof(VecxPointHead), pivots->points.points + i * pivots->points.nbytes,
			   pivots->points.nbytes);
		VecxSpoolAppend(spool, rec);
	}
	VecxSpoolShare(spool);
	VecxSpoolFree(spool);
	pfree(rec);
}

static void
estimate(ParallelContext *pcxt, Size scan_size)
{
	shm_toc_estimate_chunk(&pcxt->estimator, sizeof(Shared));
	shm_toc_estimate_chunk(&pcxt->estimator, scan_size);
	shm_toc_estimate_chunk(&pcxt->estimator, mul_size(sizeof(WalUsage), pcxt->nworkers));
	shm_toc_estimate_chunk(&pcxt->estimator, mul_size(sizeof(BufferUsage), pcxt->nworkers));
	if (debug_query_string)
		shm_toc_estimate_chunk(&pcxt->estimator, strlen(debug_query_string) + 1);
	shm_toc_estimate_keys(&pcxt->estimator, 5);
}

static void
fill_segment(VecxParallel *p, Relation heap, Relation index, IndexInfo *info, Size scan_size,
			 int npivots)
{
	shm_toc    *toc = p->pcxt->toc;

	p->shared = shm_toc_allocate(toc, sizeof(Shared));
	memset(p->shared, 0, sizeof(Shared));
	p->shared->heap = RelationGetRelid(heap);
	p->shared->index = RelationGetRelid(index);
	p->shared->concurrent = info->ii_Concurrent;
	p->shared->npivots = npivots;
	ConditionVariableInit(&p->shared->started);
	SpinLockInit(&p->shared->mutex);
	SharedFileSetInit(&p->shared->files, p->pcxt->seg);
	shm_toc_insert(toc, KEY_SHARED, p->shared);

	p->scan = shm_toc_allocate(toc, scan_size);
	table_parallelscan_initialize(heap, p->scan, p->snapshot);
	shm_toc_insert(toc, KEY_SCAN, p->scan);

	p->wal_usage = shm_toc_allocate(toc, mul_size(sizeof(WalUsage), p->pcxt->nworkers));
	shm_toc_insert(toc, KEY_WAL_USAGE, p->wal_usage);
	p->buffer_usage = shm_toc_allocate(toc, mul_size(sizeof(BufferUsage), p->pcxt->nworkers));
	shm_toc_insert(toc, KEY_BUFFER_USAGE, p->buffer_usage);
	if (debug_query_string)
	{
		char	   *query = shm_toc_allocate(toc, strlen(debug_query_string) + 1);

		strcpy(query, debug_query_string);
		shm_toc_insert(toc, KEY_QUERY, query);
	}
}

static void
end_parallel(VecxParallel *p)
{
	if (IsMVCCSnapshot(p->snapshot))
		UnregisterSnapshot(p->snapshot);
	DestroyParallelContext(p->pcxt);
	ExitParallelMode();
}

/*
 * Starts workers, if it is worth while and possible, and sets *team; else
 * returns NULL.
 */
VecxParallel *
VecxParallelBegin(Relation heap, Relation index, IndexInfo *info, VecxPivots *pivots,
				  VecxTeam *team)
{
	int			nworkers = VecxWantedWorkers(heap, info);
	VecxParallel *p;
	Size		scan_size;

	if (nworkers == 0)
		return NULL;
	p = palloc0(sizeof(VecxParallel));
	EnterParallelMode();
	p->pcxt = CreateParallelContext("vecx", "VecxParallelBuildMain", nworkers);
	p->snapshot = info->ii_Concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	scan_size = table_parallelscan_estimate(heap, p->snapshot);
	estimate(p->pcxt, scan_size);
	InitializeParallelDSM(p->pcxt);
	if (p->pcxt->seg == NULL)
	{
		/* no shared memory segment is to be had */
		end_parallel(p);
		return NULL;
	}
	fill_segment(p, heap, index, info, scan_size, (int) pivots->points.count);
	write_pivots(p->shared, pivots);

	LaunchParallelWorkers(p->pcxt);
	if (p->pcxt->nworkers_launched == 0)
	{
		end_parallel(p);
		return NULL;
	}
	/* one that cannot start would be waited for at the barrier for ever */
	WaitForParallelWorkersToAttach(p->pcxt);
	team->nparticipants = p->pcxt->nworkers_launched + 1;
	team->me = 0;
	team->shared = &p->shared->team;
	team->files = &p->shared->files;
	VecxTeamInit(team->shared, team->nparticipants);
	SpinLockAcquire(&p->shared->mutex);
	p->shared->nparticipants = team->nparticipants;
	SpinLockRelease(&p->shared->mutex);
	ConditionVariableBroadcast(&p->shared->started);
	return p;
}

/* ---- what all participants do ---- */

/* Leaves the vertices and rows that this participant has read to the leader. */
static void
hand_over(Shared *shared, VecxWork *w)
{
	VecxTeam   *team = w->team;
	VecxGraph  *graph = w->graph;
	VecxSpool  *vertices = VecxSpoolMakeShared(CurrentMemoryContext, sizeof(VertexRecord), 0,
											   team->files, "vertices", team->me);
	VecxSpool  *rows = VecxSpoolMakeShared(CurrentMemoryContext, RowRecordSize(w->index), 0,
										   team->files, "rows", team->me);
	RowRecord  *rec = palloc0(RowRecordSize(w->index));

	for (uint32 v = 0; v < graph->nvertices; v++)
	{
		VertexRecord vertex = {graph->vertices[v].hash, {0}, graph->vertices[v].cell, graph->vertices[v].findable};

		CHECK_FOR_INTERRUPTS();
		memcpy(vertex.leaves, w->loader.leaves + (Size) v * VECX_LEAVES_OF_VERTEX,
			   sizeof(vertex.leaves));
		VecxSpoolAppend(vertices, &vertex);
		rec->vertex = v;
		for (uint32 row = graph->vertices[v].first_row; row != PG_UINT32_MAX; row = graph->rows[row].next)
		{
			CHECK_FOR_INTERRUPTS();
			rec->tid = graph->rows[row].tid;
			if (graph->filters)
				memcpy(rec + 1, VecxGraphRowFilters(graph, row), w->index->filters->nbytes);
			VecxSpoolAppend(rows, rec);
		}
	}
	for (uint32 i = 0; i < VecxSpoolCount(w->loader.side); i++)
	{
		const VecxRowEntry *row = VecxSpoolGet(w->loader.side, i);

		CHECK_FOR_INTERRUPTS();
		rec->vertex = VECX_NO_VERTEX;
		rec->tid = row->tid;
		rec->why = row->flags;
		memcpy(rec + 1, VecxRowFilters(row), w->index->filters->nbytes);
		VecxSpoolAppend(rows, rec);
	}
	VecxSpoolFree(w->loader.side);
	if (w->keys)
	{
		shared->nkeys[team->me] = VecxSpoolCount(w->keys);
		VecxSpoolShare(w->keys);
		VecxSpoolFree(w->keys);
	}
	team->shared->nvertices[team->me] = graph->nvertices;
	shared->nrows[team->me] = VecxSpoolCount(rows);
	VecxSpoolShare(vertices);
	VecxSpoolShare(rows);
	VecxSpoolShare(w->codes);
	VecxSpoolShare(w->points);
	VecxSpoolFree(vertices);
	VecxSpoolFree(rows);
	pfree(rec);
}

static void
load_part(Shared *shared, ParallelTableScanDesc scan_desc, VecxWork *w, Relation heap,
		  Relation index, IndexInfo *info)
{
	TableScanDesc scan = table_beginscan_parallel(heap, scan_desc);
	double		tuples = table_index_build_scan(heap, index, info, true, w->team->me == 0,
												VecxLoaderRow, &w->loader, scan);

	VecxLoaderEnd(&w->loader);
	SpinLockAcquire(&shared->mutex);
	shared->heap_tuples += tuples;
	shared->rows += w->loader.rows;
	shared->broken_hot_chain |= info->ii_BrokenHotChain;
	SpinLockRelease(&shared->mutex);
}

/* ---- the leader's side again ---- */

/* Finds a vertex of the same vector that was read by a participant before. */
static void
join_equal(VecxWork *w, uint32 vertex, uint8 *code)
{
	VecxGraph  *graph = w->graph;
	uint32		other = VECX_NO_VERTEX;

	if (!graph->vertices[vertex].findable)
		return;
	memcpy(code, VecxGraphCode(graph, vertex), graph->coder->nbytes);
	for (int asked = 0; asked < 16; asked++)
	{
		other = VecxGraphFind(graph, graph->vertices[vertex].hash, code, other);
		if (other == VECX_NO_VERTEX || other == vertex)
			return;
		if (VecxLoaderSameVertex(&w->loader, other, vertex))
		{
			VecxGraphMoveRows(graph, vertex, other);
			return;
		}
	}
}

/* Reads one participant's vertices and rows into the leader's graph. */
static void
take_over(VecxParallel *p, VecxWork *w, uint32 first, int participant, uint32 *at_row)
{
	VecxGraph  *graph = w->graph;
	uint32		count = w->team->shared->nvertices[participant];
	uint32		last_row = *at_row + p->shared->nrows[participant];

	for (uint32 v = 0; v < count; v++)
	{
		const VertexRecord *rec = VecxSpoolGet(p->vertices, first + v);
		uint32		vertex;

		if (v % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(w->loader.leaves + (Size) (first + v) * VECX_LEAVES_OF_VERTEX, rec->leaves, sizeof(rec->leaves));
		vertex = VecxGraphKnownVertex(graph, rec->hash, rec->findable);
		graph->vertices[vertex].cell = rec->cell;
	}
	for (; *at_row < last_row; (*at_row)++)
	{
		const RowRecord *rec = VecxSpoolGet(p->rows, *at_row);
		ItemPointerData tid = rec->tid;

		CHECK_FOR_INTERRUPTS();
		if (rec->vertex == VECX_NO_VERTEX)
			VecxLoaderSideRow(&w->loader, &tid, (const uint8 *) (rec + 1), rec->why);
		else
			VecxGraphAddRow(graph, first + rec->vertex, &tid, (const uint8 *) (rec + 1));
	}
}

/* The keys of all participants, in one spool and of the leader's vertices. */
static void
gather_keys(VecxParallel *p, VecxWork *w)
{
	VecxTeam   *team = w->team;
	VecxSpool  *theirs = VecxSpoolOpenShared(CurrentMemoryContext, sizeof(VecxTreeKey), BLCKSZ, team->files,
											 "keys", team->nparticipants, p->shared->nkeys);
	uint32		first = 0;
	uint32		at = 0;

	w->keys = VecxSpoolMake(CurrentMemoryContext, sizeof(VecxTreeKey), VecxKeysMemory());
	for (int i = 0; i < team->nparticipants; i++)
	{
		for (uint32 n = p->shared->nkeys[i]; n > 0; n--, at++)
		{
			VecxTreeKey key = *(const VecxTreeKey *) VecxSpoolGet(theirs, at);

			if (n % 1024 == 0)
				CHECK_FOR_INTERRUPTS();
			key.id += first;
			VecxSpoolAppend(w->keys, &key);
		}
		first += team->shared->nvertices[i];
	}
	VecxSpoolFree(theirs);
}

/* The leader's graph of what all have read. */
static void
gather(VecxParallel *p, VecxWork *w)
{
	VecxTeam   *team = w->team;
	VecxGraph  *mine = w->graph;
	VecxSpool  *codes;
	uint32		total = 0;
	uint32		first = 0;
	uint32		at_row = 0;
	uint8	   *code = palloc(mine->coder->nbytes);

	for (int i = 0; i < team->nparticipants; i++)
		total += team->shared->nvertices[i];
	codes = VecxSpoolOpenShared(CurrentMemoryContext, mine->coder->nbytes, 1024 * 1024, team->files,
								"codes", team->nparticipants, team->shared->nvertices);
	p->vertices = VecxSpoolOpenShared(CurrentMemoryContext, sizeof(VertexRecord), BLCKSZ, team->files,
									  "vertices", team->nparticipants, team->shared->nvertices);
	p->rows = VecxSpoolOpenShared(CurrentMemoryContext, RowRecordSize(w->index), BLCKSZ,
								  team->files, "rows", team->nparticipants, p->shared->nrows);
	w->graph = VecxGraphMake(AllocSetContextCreate(CurrentMemoryContext, "vecx graph", ALLOCSET_DEFAULT_SIZES),
							 mine->coder, mine->m, mine->ef_construction, w->index->meta.seed, codes);
	if (mine->filters)
		VecxSpoolFree(mine->filters);
	MemoryContextDelete(mine->cxt);
	w->graph->filters = VecxWorkFilters(w);
	w->loader.graph = w->graph;
	w->loader.side = VecxSpoolMake(CurrentMemoryContext, w->index->layout.row_size, VECX_LOAD_SIDE_MEMORY);
	pfree(w->loader.leaves);
	w->loader.leaves = MemoryContextAllocHuge(CurrentMemoryContext,
											  sizeof(uint16) * VECX_LEAVES_OF_VERTEX * Max(total, 1));
	for (int i = 0; i < team->nparticipants; i++)
	{
		take_over(p, w, first, i, &at_row);
		for (uint32 v = first; i > 0 && v < first + team->shared->nvertices[i]; v++)
		{
			CHECK_FOR_INTERRUPTS();
			join_equal(w, v, code);
		}
		first += team->shared->nvertices[i];
	}
	VecxSpoolFree(p->vertices);
	VecxSpoolFree(p->rows);
	VecxSpoolFree(codes);
	pfree(code);
	if (w->keys)
		gather_keys(p, w);
}

/*
 * Reads the table with the others; returns the number of its rows.  The caller
 * of the build learns from built_info whether any of them met a broken HOT chain.
 */
double
VecxParallelLoad(VecxParallel *p, VecxWork *w, IndexInfo *built_info)
{
	IndexInfo  *info = BuildIndexInfo(w->index->rel);

	info->ii_Concurrent = p->shared->concurrent;
	load_part(p->shared, p->scan, w, w->loader.heap, w->index->rel, info);
	hand_over(p->shared, w);
	VecxTeamWait(w->team);
	built_info->ii_BrokenHotChain |= p->shared->broken_hot_chain;
	gather(p, w);
	w->loader.rows = p->shared->rows;
	return p->shared->heap_tuples;
}

/* For the others to read. */
void
VecxParallelPlan(VecxParallel *p, const VecxPlan *plan)
{
	p->shared->plan_blocks = VecxPlanWrite(plan, &p->shared->files);
	BarrierArriveAndWait(&p->shared->team.barrier, PG_WAIT_EXTENSION);
}

/* A copy of all participants' links that the leader may change.  The other half of the memory
 * for linking is for points while pages are written. */
VecxSpool *
VecxParallelLinks(VecxParallel *p, VecxWork *w)
{
	VecxTeam   *team = w->team;
	Size		record = VecxLinkRecordSize(w->graph->m);
	VecxSpool  *all = VecxSpoolMake(CurrentMemoryContext, record, w->linker.memory / 2);
	VecxSpool  *from = VecxSpoolOpenShared(CurrentMemoryContext, record, BLCKSZ, team->files, "links",
										   team->nparticipants, team->shared->nlinks);

	for (uint32 i = 0; i < VecxSpoolCount(from); i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		VecxSpoolAppend(all, VecxSpoolGet(from, i));
	}
	VecxSpoolFree(from);
	VecxSpoolFree(w->linker.links);
	return all;
}

static void
measure_share(Shared *shared, VecxTeam *team, VecxIndex *index)
{
	if (shared->sample.n == 0)
		return;
	VecxCurveMeasureShare(index, &shared->sample, team->me, team->nparticipants, &shared->totals[team->me]);
	VecxTeamWait(team);
}

/* Measures the curve together with the others. */
void
VecxParallelCalibrate(VecxParallel *p, VecxWork *w)
{
	Shared	   *shared = p->shared;

	shared->sample.n = 0;
	if (VecxCurveIsWanted(w->index))
		VecxCurveDraw(w->index, false, &shared->sample);
	if (shared->sample.n < VECX_LEAST_QUERIES)
		shared->sample.n = 0;
	VecxTeamWait(w->team);
	measure_share(shared, w->team, w->index);
	if (shared->sample.n > 0)
		VecxCurveStoreTotals(w->index, &shared->sample, shared->totals, w->team->nparticipants);
}

void
VecxParallelEnd(VecxParallel *p)
{
	WaitForParallelWorkersToFinish(p->pcxt);
	for (int i = 0; i < p->pcxt->nworkers_launched; i++)
		InstrAccumParallelQuery(&p->buffer_usage[i], &p->wal_usage[i]);
	end_parallel(p);
}

/* ---- a worker ---- */

static void
wait_for_team(Shared *shared, VecxTeam *team)
{
	for (;;)
	{
		SpinLockAcquire(&shared->mutex);
		team->nparticipants = shared->nparticipants;
		SpinLockRelease(&shared->mutex);
		if (team->nparticipants > 0)
			break;
		ConditionVariableSleep(&shared->started, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	team->shared = &shared->team;
	team->files = &shared->files;
	team->me = ParallelWorkerNumber + 1;
}

static void
read_pivots(Shared *shared, VecxIndex *index, VecxPivots *pivots)
{
	Size		nbytes = vecx_points_row_bytes(&index->coder, &VecxCurrentModel(index)->basis);
	uint32		count = (uint32) shared->npivots;
	VecxSpool  *spool = VecxSpoolOpenShared(CurrentMemoryContext, sizeof(VecxPointHead) + nbytes, BLCKSZ,
											&shared->files, "pivots", 1, &count);

	VecxPivotsAlloc(pivots, &index->coder, nbytes, (int) count);
	for (uint32 i = 0; i < count; i++)
	{
		const char *rec = VecxSpoolGet(spool, i);

		memcpy(&pivots->points.heads[i], rec, sizeof(VecxPointHead));
		memcpy(pivots->points.points + i * nbytes, rec + sizeof(VecxPointHead), nbytes);
	}
	VecxSpoolFree(spool);
}

static void
work(Shared *shared, ParallelTableScanDesc scan, Relation heap, Relation rel)
{
	VecxIndex  *index = VecxIndexOpen(rel, CurrentMemoryContext);
	IndexInfo  *info = BuildIndexInfo(rel);
	VecxTeam	team;
	VecxPivots	pivots;
	VecxWork	w;
	VecxPlan	plan;
	VecxRecordMaker maker;

	info->ii_Concurrent = shared->concurrent;
	wait_for_team(shared, &team);
	read_pivots(shared, index, &pivots);
	VecxWorkInit(&w, &team, index, heap, &pivots);
	load_part(shared, scan, &w, heap, rel, info);
	hand_over(shared, &w);
	VecxExactEnd(w.loader.exact);
	if (w.graph->filters)
		VecxSpoolFree(w.graph->filters);
	MemoryContextDelete(w.graph->cxt);
	w.graph = NULL;
	VecxTeamWait(&team);

	/* the leader makes the plan */
	VecxTeamWait(&team);
	VecxPlanRead(&shared->files, shared->plan_blocks, &plan);
	VecxWorkLink(&w, &plan);

	/* the leader decides what is to be on which page */
	VecxTeamWait(&team);
	VecxRecordMakerInit(&maker, index, w.codes, w.points);
	VecxPagesMake(&team, &maker, &team.shared->pages);
	VecxTeamWait(&team);
	VecxSpoolFree(w.codes);
	VecxSpoolFree(w.points);
	VecxSpoolFree(w.linker.links);

	/* the leader writes the rest */
	VecxTeamWait(&team);
	VecxTeamLogPages(&team, rel);

	/* the leader draws vectors to search for */
	VecxTeamWait(&team);
	measure_share(shared, &team, index);
}

extern PGDLLEXPORT void VecxParallelBuildMain(dsm_segment *seg, shm_toc *toc);

void
VecxParallelBuildMain(dsm_segment *seg, shm_toc *toc)
{
	Shared	   *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	ParallelTableScanDesc scan = shm_toc_lookup(toc, KEY_SCAN, false);
	WalUsage   *wal_usage = shm_toc_lookup(toc, KEY_WAL_USAGE, false);
	BufferUsage *buffer_usage = shm_toc_lookup(toc, KEY_BUFFER_USAGE, false);
	LOCKMODE	heap_lock = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE	index_lock = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	Relation	heap;
	Relation	index;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	SharedFileSetAttach(&shared->files, seg);
	heap = table_open(shared->heap, heap_lock);
	index = index_open(shared->index, index_lock);
	InstrStartParallelQuery();
	work(shared, scan, heap, index);
	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber], &wal_usage[ParallelWorkerNumber]);
	index_close(index, index_lock);
	table_close(heap, heap_lock);
}

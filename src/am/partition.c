/*
 * partition.c
 *    Overlapping leaves of near vertices: each vertex belongs to those of its
 *    nearest pivots.  Neighbours are looked for within leaves only.
 *
 * Pivots are means of a sample around rows of the sample; of bit strings, rows of
 * the sample.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/build.h"

/* Rounds of the means, and vectors compared with the pivots at once. */
#define PIVOT_ROUNDS	2
#define PIVOT_BATCH		64

/* Distances between all members of a leaf that there may be in memory: for half of it. */
static double
distances_in_memory(void)
{
	return (double) maintenance_work_mem * 1024 / 2 / sizeof(int16);
}

/*
 * Vertices that one leaf has room for: each in four leaves of a thousand is compared with as
 * many others as all of four thousand are.  Their distances may take half of
 * maintenance_work_mem; those of one and a half thousand are taken for little.
 */
int
VecxOneLeafMost(void)
{
	double		room = sqrt(distances_in_memory());

	return (int) Max(Min(room, VECX_LEAVES_OF_VERTEX * VECX_LEAF_VERTICES), 1.5 * VECX_LEAF_VERTICES);
}

/* How many participants may look at parts of one leaf, each with all its distances. */
int
VecxOneLeafParts(uint32 count, int nparticipants)
{
	return (int) Max(Min(distances_in_memory() / Max((double) count * count, 1), nparticipants), 1);
}

/* Pivots for so many vertices: as many as give leaves of the usual size. */
int
VecxPivotsWanted(double nvertices)
{
	if (nvertices <= VecxOneLeafMost())
		return 1;
	return (int) Min(nvertices * VECX_LEAVES_OF_VERTEX / VECX_LEAF_VERTICES, VECX_MAX_PIVOTS);
}

/* A point of each vector, and its projection in y, unless that is NULL. */
static void
make_points(const VecxCoder *coder, const VecxBasis *basis, const char *vecs, Size vec_bytes,
			VecxPoints *points, float *y)
{
	char	   *batch = MemoryContextAllocHuge(CurrentMemoryContext, vec_bytes * PIVOT_BATCH);
	uint8	   *code = palloc0(coder->nbytes);
	float	   *scratch = palloc(sizeof(float) * vecx_basis_scratch_floats(basis, PIVOT_BATCH) + 1);

	for (Size first = 0; first < points->count; first += PIVOT_BATCH)
	{
		Size		n = Min(PIVOT_BATCH, points->count - first);

		CHECK_FOR_INTERRUPTS();
		for (Size i = 0; i < n; i++)
		{
			vecx_code_encode(coder, vecs + (first + i) * vec_bytes, code);
			if (y == NULL)
				vecx_points_put_bits(points, first + i, coder, code);
			else
				vecx_code_decode(coder, code, batch + i * vec_bytes);
		}
		if (y == NULL)
			continue;
		vecx_basis_project_many(basis, batch, n, y + first * basis->pdims, scratch);
		for (Size i = first; i < first + n; i++)
			vecx_points_put(points, i, y + i * basis->pdims, NULL);
	}
	pfree(batch);
	pfree(code);
	pfree(scratch);
}

static void
points_alloc(VecxPoints *points, Size count, Size nbytes)
{
	points->count = count;
	points->nbytes = nbytes;
	points->heads = palloc0(sizeof(VecxPointHead) * count);
	points->points = MemoryContextAllocHuge(CurrentMemoryContext, nbytes * count);
}

static int
nearest_pivot(const float *dist, int npivots)
{
	int			best = 0;

	for (int p = 1; p < npivots; p++)
		if (dist[p] < dist[best])
			best = p;
	return best;
}

/* Moves each pivot to the mean of the sample's vectors that it is nearest to. */
static void
move_pivots(VecxPivots *pivots, const VecxCoder *coder, const VecxBasis *basis,
			const VecxPoints *sample, const float *y)
{
	int			n = (int) pivots->points.count;
	Size		dims = basis->pdims;
	float	   *sum = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(float) * n * dims,
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int		   *count = palloc0(sizeof(int) * n);

	for (Size i = 0; i < sample->count; i += PIVOT_BATCH)
	{
		Size		batch = Min(PIVOT_BATCH, sample->count - i);

		CHECK_FOR_INTERRUPTS();
		vecx_point_distances(coder->metric, pivots->how, sample, i, batch, &pivots->points, pivots->room);
		for (Size j = 0; j < batch; j++)
		{
			int			p = nearest_pivot(pivots->room + j * n, n);

			count[p]++;
			for (Size k = 0; k < dims; k++)
				sum[p * dims + k] += y[(i + j) * dims + k];
		}
	}
	for (int p = 0; p < n; p++)
	{
		if (count[p] == 0)
			continue;
		for (Size k = 0; k < dims; k++)
			sum[p * dims + k] /= (float) count[p];
		vecx_points_put(&pivots->points, p, sum + p * dims, NULL);
	}
	pfree(sum);
	pfree(count);
}

void
VecxPivotsAlloc(VecxPivots *pivots, const VecxCoder *coder, Size nbytes, int n)
{
	/* by direction under the inner product: near ones have large products */
	pivots->how = coder->metric == VECX_METRIC_IP ? VECX_POINT_ANGLE : VECX_POINT_L2SQ;
	points_alloc(&pivots->points, n, nbytes);
	memset(pivots->points.points, 128, nbytes * n);
	pivots->room = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * n * PIVOT_BATCH);
}

/* The sample is in random order. */
void
VecxPivotsMake(VecxPivots *pivots, const VecxCoder *coder, const VecxBasis *basis,
			   const char *sample, Size sample_bytes, int nsample, int wanted)
{
	int			n = Max(1, Min(wanted, nsample));
	bool		is_bits = basis->positions != NULL;
	VecxPoints	all;
	float	   *y = NULL;

	VecxPivotsAlloc(pivots, coder, vecx_points_row_bytes(coder, basis), n);
	if (nsample == 0)
		return;
	if (is_bits || n == 1)
		nsample = n;			/* none will be moved */
	points_alloc(&all, nsample, pivots->points.nbytes);
	if (!is_bits)
		y = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * basis->pdims * nsample);
	make_points(coder, basis, sample, sample_bytes, &all, y);
	memcpy(pivots->points.heads, all.heads, sizeof(VecxPointHead) * n);
	memcpy(pivots->points.points, all.points, all.nbytes * n);
	for (int round = 0; round < PIVOT_ROUNDS && nsample > n; round++)
		move_pivots(pivots, coder, basis, &all, y);
	pfree(all.heads);
	pfree(all.points);
	if (y)
		pfree(y);
}

/* leaves[VECX_LEAVES_OF_VERTEX] of each point: its nearest pivots, the nearest
 * first; PG_UINT16_MAX where there are not so many. */
void
VecxPivotsAssign(VecxPivots *pivots, VecxMetric metric, const VecxPoints *batch, uint16 *leaves)
{
	int			n = (int) pivots->points.count;

	for (Size i = 0; i < batch->count; i++)
	{
		const float *dist = pivots->room + i % PIVOT_BATCH * n;
		uint16	   *own = leaves + i * VECX_LEAVES_OF_VERTEX;
		float		best[VECX_LEAVES_OF_VERTEX];

		if (i % PIVOT_BATCH == 0)
			vecx_point_distances(metric, pivots->how, batch, i, Min(PIVOT_BATCH, batch->count - i),
								 &pivots->points, pivots->room);
		for (int k = 0; k < VECX_LEAVES_OF_VERTEX; k++)
		{
			best[k] = FLT_MAX;
			own[k] = PG_UINT16_MAX;
		}
		for (int p = 0; p < n; p++)
		{
			int			k = VECX_LEAVES_OF_VERTEX - 1;

			if (dist[p] >= best[k] && own[k] != PG_UINT16_MAX)
				continue;
			for (; k > 0 && (dist[p] < best[k - 1] || own[k - 1] == PG_UINT16_MAX); k--)
			{
				best[k] = best[k - 1];
				own[k] = own[k - 1];
			}
			best[k] = dist[p];
			own[k] = (uint16) p;
		}
	}
}

/*
 * Buckets of whole leaves: a vertex is in the one of its first leaf.  Those of one leaf are
 * parts of it, one for each participant at least.
 */
static void
assign_buckets(VecxPlan *plan, const uint16 *leaves, int nparticipants)
{
	uint32		nvertices = plan->nvertices;
	uint32	   *in_leaf;
	uint16	   *bucket_of_leaf;
	uint64		seen = 0;

	plan->nbuckets = (int) Max(1, Min(nvertices / VECX_BUCKET_VERTICES, VECX_MAX_BUCKETS));
	plan->bucket_of = MemoryContextAllocHuge(CurrentMemoryContext,
											 sizeof(uint16) * Max(nvertices, 1));
	if (plan->nleaves == 1)
	{
		plan->nbuckets = Max(plan->nbuckets, nparticipants);
		for (uint32 v = 0; v < nvertices; v++)
			plan->bucket_of[v] = (uint16) ((uint64) v * plan->nbuckets / nvertices);
		return;
	}
	in_leaf = palloc0(sizeof(uint32) * (plan->nleaves + 1));
	bucket_of_leaf = palloc0(sizeof(uint16) * (plan->nleaves + 1));
	for (uint32 v = 0; v < nvertices; v++)
		in_leaf[leaves[(Size) v * VECX_LEAVES_OF_VERTEX]]++;
	for (int leaf = 0; leaf < plan->nleaves; leaf++)
	{
		bucket_of_leaf[leaf] = (uint16) (seen * plan->nbuckets / Max(nvertices, 1));
		seen += in_leaf[leaf];
	}
	for (uint32 v = 0; v < nvertices; v++)
		plan->bucket_of[v] = bucket_of_leaf[leaves[(Size) v * VECX_LEAVES_OF_VERTEX]];
	pfree(in_leaf);
	pfree(bucket_of_leaf);
}

/* The members of each leaf, by vertex number: a counting sort. */
void
VecxPlanMake(VecxPlan *plan, uint32 nvertices, int nleaves, const uint16 *leaves,
			 const VecxGraphVertex *vertices, int nparticipants)
{
	Size		nassigned = (Size) nvertices * VECX_LEAVES_OF_VERTEX;
	uint32	   *next = palloc0(sizeof(uint32) * (nleaves + 1));

	memset(plan, 0, sizeof(VecxPlan));
	plan->nvertices = nvertices;
	plan->nleaves = nleaves;
	plan->leaf_first = palloc0(sizeof(uint32) * (nleaves + 1));
	for (Size i = 0; i < nassigned; i++)
		if (leaves[i] != PG_UINT16_MAX && !vertices[i / VECX_LEAVES_OF_VERTEX].gone)
			plan->leaf_first[leaves[i] + 1]++;
	for (int leaf = 0; leaf < nleaves; leaf++)
		plan->leaf_first[leaf + 1] += plan->leaf_first[leaf];
	memcpy(next, plan->leaf_first, sizeof(uint32) * nleaves);
	plan->members = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(uint32) * Max(plan->leaf_first[nleaves], 1));
	for (Size i = 0; i < nassigned; i++)
		if (leaves[i] != PG_UINT16_MAX && !vertices[i / VECX_LEAVES_OF_VERTEX].gone)
			plan->members[next[leaves[i]]++] = (uint32) (i / VECX_LEAVES_OF_VERTEX);
	pfree(next);
	assign_buckets(plan, leaves, nparticipants);
}

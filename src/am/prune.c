/*
 * prune.c
 *    The links at the base, chosen among the candidates from all leaves; then
 *    links back.  Distances are between codes, as they will be when the
 *    finished index is searched and added to.
 *
 * The work goes bucket by bucket, so that what is read of others stays small.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "am/build.h"

/* Candidates that are looked at for one vertex. */
#define MAX_CANDIDATES	256

typedef struct Reverse
{
	uint32		to;
	uint32		from;
	float		dist;
} Reverse;

/* A candidate, and where its code is in the set of them. */
typedef struct Candidate
{
	VecxGraphLink link;
	uint32		at;
} Candidate;

#define ST_SORT sort_candidates
#define ST_ELEMENT_TYPE Candidate
#define ST_COMPARE(a, b) ((a)->link.dist < (b)->link.dist ? -1 : (a)->link.dist > (b)->link.dist ? 1 : \
						  (a)->link.vertex < (b)->link.vertex ? -1 : (a)->link.vertex > (b)->link.vertex)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Working memory for choosing the links of one vertex. */
typedef struct Pruner
{
	VecxLinker *l;
	MemoryContext cxt;			/* reset after each bucket */
	Candidate  *cands;
	VecxCodeSet set;			/* the vertex's code, then those of the candidates */
	VecxLinkRecord *record;
} Pruner;

static void
pruner_init(Pruner *p, VecxLinker *l)
{
	memset(p, 0, sizeof(Pruner));
	p->l = l;
	p->cxt = AllocSetContextCreate(l->cxt, "vecx links", ALLOCSET_DEFAULT_SIZES);
	p->cands = palloc(sizeof(Candidate) * MAX_CANDIDATES);
	vecx_code_set_init(&p->set, l->coder, MAX_CANDIDATES + 1,
					   MemoryContextAllocHuge(l->cxt, vecx_code_set_bytes(l->coder, MAX_CANDIDATES + 1)));
	p->record = palloc0(VecxLinkRecordSize(l->m));
}

/* Digits of a key that records are sorted by at once. */
#define SORT_BITS	11

/*
 * Sorts records by a number below 2^bits in them, keeping the order of equal
 * ones.  room has as much space.  The constant arguments fold away.
 */
static inline void
sort_by(char *records, char *room, Size n, Size record, Size key_at, int bits)
{
	char	   *from = records;
	char	   *to = room;

	for (int shift = 0; shift < bits; shift += SORT_BITS)
	{
		Size		first[1 << SORT_BITS] = {0};
		Size		sum = 0;
		char	   *other = from;
		uint32		key;

		for (Size i = 0; i < n; i++)
		{
			memcpy(&key, from + i * record + key_at, sizeof(key));
			first[key >> shift & ((1 << SORT_BITS) - 1)]++;
		}
		for (int digit = 0; digit < 1 << SORT_BITS; digit++)
		{
			sum += first[digit];
			first[digit] = sum - first[digit];
		}
		for (Size i = 0; i < n; i++)
		{
			memcpy(&key, from + i * record + key_at, sizeof(key));
			memcpy(to + first[key >> shift & ((1 << SORT_BITS) - 1)]++ * record, from + i * record, record);
		}
		from = to;
		to = other;
	}
	if (from != records)
		memcpy(records, from, n * record);
}

/* Bits that numbers of vertices have. */
static int
vertex_bits(const VecxLinker *l)
{
	return pg_leftmost_one_pos32(Max(l->plan.nvertices, 2) - 1) + 1;
}

/* By the vertex that they lead from, then by that they lead to. */
static void
sort_edges(VecxEdge *edges, Size n, int bits)
{
	char	   *room = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(VecxEdge) * Max(n, 1));

	sort_by((char *) edges, room, n, sizeof(VecxEdge), offsetof(VecxEdge, to), bits);
	sort_by((char *) edges, room, n, sizeof(VecxEdge), offsetof(VecxEdge, from), bits);
	pfree(room);
}

static void
sort_reverse(Reverse *reverse, Size n, int bits)
{
	char	   *room = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Reverse) * Max(n, 1));

	sort_by((char *) reverse, room, n, sizeof(Reverse), offsetof(Reverse, to), bits);
	pfree(room);
}

/*
 * The best of the candidates, which are sorted and compared with each other, into
 * the record: the rule of VecxSelectLinks.
 */
static void
select_links(Pruner *p, uint32 vertex, int ncands)
{
	VecxLinkRecord *rec = p->record;
	uint32		most = 2 * (uint32) p->l->m;
	int			chosen[2 * VECX_MAX_M];
	bool		pruned[MAX_CANDIDATES] = {0};

	rec->vertex = vertex;
	rec->nlinks = 0;
	for (int i = 0; i < ncands && rec->nlinks < most; i++)
	{
		vecx_code_set_from(&p->set, p->cands[i].at);
		for (uint32 k = 0; k < rec->nlinks && !pruned[i]; k++)
			pruned[i] = vecx_code_set_distance(&p->set, p->cands[chosen[k]].at) < p->cands[i].link.dist;
		if (!pruned[i])
			chosen[rec->nlinks++] = i;
	}
	for (int i = 0; i < ncands && rec->nlinks < most / 4; i++)
		if (pruned[i])
			chosen[rec->nlinks++] = i;
	/* in the order of the candidates, which is by distance */
	qsort(chosen, rec->nlinks, sizeof(int), VecxCompareInts);
	for (uint32 k = 0; k < rec->nlinks; k++)
		rec->links[k] = p->cands[chosen[k]].link;
}

/* Edges ahead whose codes are fetched into the cache, and how much of each: the
 * processor goes on by itself. */
#define EDGES_AHEAD			4
#define CODE_BYTES_AHEAD	256

static void
prefetch_code(VecxSpool *codes, uint32 vertex)
{
	const char *code;

	if (!VecxSpoolInMemory(codes))
		return;
	code = VecxSpoolGet(codes, vertex);
	for (int at = 0; at < CODE_BYTES_AHEAD; at += 64)
		__builtin_prefetch(code + at);
}

/* Candidates of one vertex: what its edges lead to, without repeats. */
static int
candidates_of(Pruner *p, uint32 vertex, const VecxEdge *edges, Size n)
{
	VecxLinker *l = p->l;
	Size		step = n / MAX_CANDIDATES + 1;
	int			ncands = 0;

	vecx_code_set_put(&p->set, 0, VecxSpoolGet(l->codes, vertex));
	for (Size i = 0; i < n; i += step)
	{
		uint32		to = edges[i].to;

		if (i + EDGES_AHEAD * step < n)
			prefetch_code(l->codes, edges[i + EDGES_AHEAD * step].to);
		if (i >= step && edges[i - step].to == to)
			continue;
		p->cands[ncands].link.vertex = to;
		p->cands[ncands].at = ncands + 1;
		ncands++;
		vecx_code_set_put(&p->set, ncands, VecxSpoolGet(l->codes, to));
	}
	vecx_code_set_compare(&p->set, ncands + 1);
	vecx_code_set_from(&p->set, 0);
	for (int i = 0; i < ncands; i++)
		p->cands[i].link.dist = vecx_code_set_distance(&p->set, p->cands[i].at);
	sort_candidates(p->cands, ncands);
	return ncands;
}

/* Forward links of a bucket's vertices, and the links back that follow from them. */
static void
choose_in_bucket(Pruner *p, int bucket)
{
	VecxLinker *l = p->l;
	VecxBucketPlace *place = &l->team->shared->places[bucket];
	MemoryContext old = MemoryContextSwitchTo(p->cxt);
	Size		nedges;
	VecxEdge   *edges = VecxBucketsLoad(l->edges, bucket, l->team->nparticipants, &nedges);
	Size		next;

	sort_edges(edges, nedges, vertex_bits(l));
	place->participant = l->team->me;
	place->first = VecxSpoolCount(l->forward);
	for (Size i = 0; i < nedges; i = next)
	{
		uint32		vertex = edges[i].from;

		CHECK_FOR_INTERRUPTS();
		for (next = i; next < nedges && edges[next].from == vertex;)
			next++;
		select_links(p, vertex, candidates_of(p, vertex, edges + i, next - i));
		VecxSpoolAppend(l->forward, p->record);
		for (uint32 k = 0; k < p->record->nlinks; k++)
		{
			VecxGraphLink *link = &p->record->links[k];
			Reverse		reverse = {link->vertex, vertex, link->dist};

			VecxBucketsAdd(l->reverse, l->plan.bucket_of[link->vertex], &reverse);
		}
	}
	place->count = VecxSpoolCount(l->forward) - place->first;
	VecxReportLinked(l, place->count);
	MemoryContextSwitchTo(old);
	MemoryContextReset(p->cxt);
}

static void
choose_links(VecxLinker *l)
{
	Pruner		p;
	uint32		bucket;

	pruner_init(&p, l);
	while ((bucket = pg_atomic_fetch_add_u32(&l->team->shared->next[1], 1)) < (uint32) l->plan.nbuckets)
		choose_in_bucket(&p, (int) bucket);
	MemoryContextDelete(p.cxt);
}

/* The record of forward links with those back added: chosen anew if they are
 * too many. */
static void
add_reverse(Pruner *p, const VecxLinkRecord *forward, const Reverse *reverse, Size n)
{
	int			ncands = (int) forward->nlinks;
	Size		step = n / (MAX_CANDIDATES - forward->nlinks) + 1;

	for (int k = 0; k < ncands; k++)
		p->cands[k].link = forward->links[k];
	for (Size i = 0; i < n; i += step)
	{
		bool		known = false;

		for (uint32 k = 0; k < forward->nlinks && !known; k++)
			known = forward->links[k].vertex == reverse[i].from;
		if (known)
			continue;
		p->cands[ncands].link.vertex = reverse[i].from;
		p->cands[ncands++].link.dist = reverse[i].dist;
	}
	for (int i = 0; i < ncands && ncands > 2 * p->l->m; i++)
	{
		p->cands[i].at = i;
		vecx_code_set_put(&p->set, i, VecxSpoolGet(p->l->codes, p->cands[i].link.vertex));
	}
	sort_candidates(p->cands, ncands);
	if (ncands > 2 * p->l->m)
	{
		vecx_code_set_compare(&p->set, ncands);
		select_links(p, forward->vertex, ncands);
		return;
	}
	p->record->vertex = forward->vertex;
	p->record->nlinks = (uint32) ncands;
	for (int k = 0; k < ncands; k++)
		p->record->links[k] = p->cands[k].link;
}

static void
finish_bucket(Pruner *p, int bucket, VecxSpool *forward, uint32 first)
{
	VecxLinker *l = p->l;
	VecxBucketPlace *place = &l->team->shared->places[bucket];
	MemoryContext old = MemoryContextSwitchTo(p->cxt);
	Size		nreverse;
	Reverse    *reverse = VecxBucketsLoad(l->reverse, bucket, l->team->nparticipants, &nreverse);
	Size		at = 0;

	/* as the forward links, by vertex */
	sort_reverse(reverse, nreverse, vertex_bits(l));
	for (uint32 i = 0; i < place->count; i++)
	{
		const VecxLinkRecord *rec = VecxSpoolGet(forward, first + place->first + i);
		Size		begin;

		CHECK_FOR_INTERRUPTS();
		while (at < nreverse && reverse[at].to < rec->vertex)
			at++;
		for (begin = at; at < nreverse && reverse[at].to == rec->vertex;)
			at++;
		add_reverse(p, rec, reverse + begin, at - begin);
		VecxSpoolAppend(l->links, p->record);
	}
	VecxReportLinked(l, place->count);
	MemoryContextSwitchTo(old);
	MemoryContextReset(p->cxt);
}

/* All participants must have chosen their links. */
static void
add_reverse_links(VecxLinker *l)
{
	VecxTeamShared *shared = l->team->shared;
	Size		record = VecxLinkRecordSize(l->m);
	VecxSpool  *forward = l->forward;
	uint32		first[VECX_MAX_PARTICIPANTS] = {0};
	Pruner		p;
	uint32		bucket;

	pruner_init(&p, l);
	if (l->team->files)
	{
		forward = VecxSpoolOpenShared(l->cxt, record, 64 * record, l->team->files, "forward",
									  l->team->nparticipants, shared->nforward);
		for (int i = 1; i < l->team->nparticipants; i++)
			first[i] = first[i - 1] + shared->nforward[i - 1];
	}
	while ((bucket = pg_atomic_fetch_add_u32(&shared->next[2], 1)) < (uint32) l->plan.nbuckets)
		finish_bucket(&p, (int) bucket, forward, first[shared->places[bucket].participant]);
	if (l->team->files)
		VecxSpoolFree(forward);
	MemoryContextDelete(p.cxt);
}

static VecxSpool *
make_spool(VecxLinker *l, Size limit, const char *name)
{
	Size		record = VecxLinkRecordSize(l->m);

	return l->team->files ?
		VecxSpoolMakeShared(l->cxt, record, limit, l->team->files, name, l->team->me) :
		VecxSpoolMake(l->cxt, record, limit);
}

/* Each vertex is worked on once a leaf, then twice; reported as vertices. */
void
VecxReportLinked(VecxLinker *l, uint32 count)
{
	uint64		total = (uint64) l->plan.leaf_first[l->plan.nleaves] + 2 * (uint64) l->plan.nvertices;
	uint64		done = pg_atomic_add_fetch_u64(&l->team->shared->done, count);

	if (l->team->me == 0)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 (int64) (done * l->plan.nvertices / Max(total, 1)));
}

/*
 * All steps of linking, as every participant takes them: leaves, forward links,
 * links back.  Leaves l->links, for others to read if there are others.
 */
void
VecxLinkAll(VecxLinker *l)
{
	VecxTeam   *team = l->team;
	int			nbuckets = l->plan.nbuckets;

	l->edges = VecxBucketsMake(l->cxt, nbuckets, sizeof(VecxEdge), l->memory / 4, team->files, "edges", team->me);
	VecxFindCandidates(l);
	VecxBucketsShare(l->edges);
	VecxTeamWait(team);

	/* of points nothing is asked until links are there */
	VecxSpoolCache(l->points, 0);
	VecxSpoolCache(l->codes, l->code_memory + (VecxSpoolInMemory(l->points) ? 0 : l->point_memory));
	l->forward = make_spool(l, l->memory / 4, "forward");
	l->reverse = VecxBucketsMake(l->cxt, nbuckets, sizeof(Reverse), l->memory / 8, team->files, "reverse", team->me);
	choose_links(l);
	VecxBucketsShare(l->reverse);
	team->shared->nforward[team->me] = VecxSpoolCount(l->forward);
	if (team->files)
		VecxSpoolShare(l->forward);
	VecxTeamWait(team);
	VecxBucketsFree(l->edges);

	l->links = make_spool(l, l->memory / 4, "links");
	add_reverse_links(l);
	team->shared->nlinks[team->me] = VecxSpoolCount(l->links);
	if (team->files)
		VecxSpoolShare(l->links);
	VecxTeamWait(team);
	VecxBucketsFree(l->reverse);
	VecxSpoolFree(l->forward);
	VecxSpoolCache(l->codes, l->code_memory);
	VecxSpoolCache(l->points, l->point_memory);
}

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

#define ST_SORT sort_edges
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_reverse
#define ST_ELEMENT_TYPE Reverse
#define ST_COMPARE(a, b) ((a)->to < (b)->to ? -1 : (a)->to > (b)->to)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_links
#define ST_ELEMENT_TYPE VecxGraphLink
#define ST_COMPARE(a, b) ((a)->dist < (b)->dist ? -1 : (a)->dist > (b)->dist ? 1 : \
						  (a)->vertex < (b)->vertex ? -1 : (a)->vertex > (b)->vertex)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Working memory for choosing the links of one vertex. */
typedef struct Pruner
{
	VecxLinker *l;
	MemoryContext cxt;			/* reset after each bucket */
	VecxGraphLink *cands;
	VecxLinkCandidate *with_codes;
	uint8	   *codes;			/* copies of candidates' codes */
	uint8	   *own;			/* the vertex's code */
	int		   *chosen;
	void	   *query_scratch;
	void	   *select_scratch;
	VecxLinkRecord *record;
} Pruner;

static void
pruner_init(Pruner *p, VecxLinker *l)
{
	Size		scratch = vecx_code_query_scratch(l->coder);

	memset(p, 0, sizeof(Pruner));
	p->l = l;
	p->cxt = AllocSetContextCreate(l->cxt, "vecx links", ALLOCSET_DEFAULT_SIZES);
	p->cands = palloc(sizeof(VecxGraphLink) * MAX_CANDIDATES);
	p->with_codes = palloc(sizeof(VecxLinkCandidate) * MAX_CANDIDATES);
	p->codes = MemoryContextAllocHuge(l->cxt, (Size) l->coder->nbytes * MAX_CANDIDATES);
	p->own = palloc(l->coder->nbytes);
	p->chosen = palloc(sizeof(int) * MAX_CANDIDATES);
	p->query_scratch = palloc(scratch);
	p->select_scratch = palloc(scratch);
	p->record = palloc0(VecxLinkRecordSize(l->m));
}

/* The code of a candidate, good until all candidates are replaced. */
static const uint8 *
candidate_code(Pruner *p, int i, uint32 vertex)
{
	const uint8 *code = VecxSpoolGet(p->l->codes, vertex);

	if (VecxSpoolInMemory(p->l->codes))
		return code;
	return memcpy(p->codes + (Size) i * p->l->coder->nbytes, code, p->l->coder->nbytes);
}

/* The best of the candidates, which are sorted, into the record. */
static void
select_links(Pruner *p, uint32 vertex, int ncands)
{
	VecxLinker *l = p->l;
	int			kept;

	for (int i = 0; i < ncands; i++)
	{
		p->with_codes[i].dist = p->cands[i].dist;
		p->with_codes[i].code = candidate_code(p, i, p->cands[i].vertex);
	}
	kept = VecxSelectLinks(l->coder, p->with_codes, ncands, 2 * l->m, p->select_scratch, p->chosen);
	p->record->vertex = vertex;
	p->record->nlinks = (uint32) kept;
	for (int i = 0; i < kept; i++)
		p->record->links[i] = p->cands[p->chosen[i]];
	sort_links(p->record->links, kept);
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

/* Candidates of one vertex: the second halves of its edges, without repeats. */
static int
candidates_of(Pruner *p, uint32 vertex, const uint64 *edges, Size n)
{
	VecxLinker *l = p->l;
	VecxCodeQuery query;
	Size		step = n / MAX_CANDIDATES + 1;
	int			ncands = 0;

	memcpy(p->own, VecxSpoolGet(l->codes, vertex), l->coder->nbytes);
	vecx_code_query_init_code(l->coder, &query, p->own, p->query_scratch);
	for (Size i = 0; i < n; i += step)
	{
		uint32		to = (uint32) edges[i];

		if (i + EDGES_AHEAD * step < n)
			prefetch_code(l->codes, (uint32) edges[i + EDGES_AHEAD * step]);
		if (i >= step && (uint32) edges[i - step] == to)
			continue;
		p->cands[ncands].vertex = to;
		p->cands[ncands++].dist = vecx_code_distance(l->coder, &query, VecxSpoolGet(l->codes, to));
	}
	sort_links(p->cands, ncands);
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
	uint64	   *edges = VecxBucketsLoad(l->edges, bucket, l->team->nparticipants, &nedges);
	Size		next;

	sort_edges(edges, nedges);
	place->participant = l->team->me;
	place->first = VecxSpoolCount(l->forward);
	for (Size i = 0; i < nedges; i = next)
	{
		uint32		vertex = (uint32) (edges[i] >> 32);

		CHECK_FOR_INTERRUPTS();
		for (next = i; next < nedges && edges[next] >> 32 == vertex;)
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

void
VecxChooseLinks(VecxLinker *l)
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

	memcpy(p->cands, forward->links, sizeof(VecxGraphLink) * ncands);
	for (Size i = 0; i < n; i += step)
	{
		bool		known = false;

		for (uint32 k = 0; k < forward->nlinks && !known; k++)
			known = forward->links[k].vertex == reverse[i].from;
		if (known)
			continue;
		p->cands[ncands].vertex = reverse[i].from;
		p->cands[ncands++].dist = reverse[i].dist;
	}
	sort_links(p->cands, ncands);
	if (ncands > 2 * p->l->m)
	{
		select_links(p, forward->vertex, ncands);
		return;
	}
	p->record->vertex = forward->vertex;
	p->record->nlinks = (uint32) ncands;
	memcpy(p->record->links, p->cands, sizeof(VecxGraphLink) * ncands);
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
	sort_reverse(reverse, nreverse);
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
void
VecxAddReverseLinks(VecxLinker *l)
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

	l->edges = VecxBucketsMake(l->cxt, nbuckets, sizeof(uint64), l->memory / 4, team->files, "edges", team->me);
	VecxFindCandidates(l);
	VecxBucketsShare(l->edges);
	VecxTeamWait(team);

	l->forward = make_spool(l, l->memory / 4, "forward");
	l->reverse = VecxBucketsMake(l->cxt, nbuckets, sizeof(Reverse), l->memory / 8, team->files, "reverse", team->me);
	VecxChooseLinks(l);
	VecxBucketsShare(l->reverse);
	team->shared->nforward[team->me] = VecxSpoolCount(l->forward);
	if (team->files)
		VecxSpoolShare(l->forward);
	VecxTeamWait(team);
	VecxBucketsFree(l->edges);

	l->links = make_spool(l, l->memory / 4, "links");
	VecxAddReverseLinks(l);
	team->shared->nlinks[team->me] = VecxSpoolCount(l->links);
	if (team->files)
		VecxSpoolShare(l->links);
	VecxTeamWait(team);
	VecxBucketsFree(l->reverse);
	VecxSpoolFree(l->forward);
}

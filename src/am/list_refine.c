/*
 * list_refine.c
 *    Better bounds of rows that a scan of posting lists met, by what is behind them.
 *
 * A row is known by the LIST page that it was met on, of which what is needed is kept,
 * and its place there.  It may have been moved or removed since: then its bounds stay.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "am/list.h"
#include "am/scan.h"

/* Rows of a page that a reference can tell apart, and pages. */
#define PLACE_BITS	9
#define MOST_PAGES	((uint32) 1 << (32 - PLACE_BITS))

StaticAssertDecl(BLCKSZ / sizeof(VecxRowEntry) / 2 <= 1 << PLACE_BITS, "places fit a reference");

/* A LIST page; its BEHIND pages follow. */
typedef struct RefinedPage
{
	VecxListProbe list;
	BlockNumber blkno;
	BlockNumber behind[FLEXIBLE_ARRAY_MEMBER];
} RefinedPage;

struct VecxListRefiner
{
	VecxIndex  *index;
	const VecxListQuery *query;
	float		sigmas;			/* of bounds */
	VecxCodeQuery copies;		/* the query as copies are compared with it */
	MemoryContext cxt;
	Size		page_bytes;		/* of a RefinedPage */
	BlockNumber nblocks;		/* of the index, when it was asked last */
	char	   *pages;
	uint32		npages;			/* number 0 is none */
	uint32		pages_cap;
};

/* NULL if nothing is behind rows; bounds are so many standard deviations away. */
VecxListRefiner *
VecxListRefinerMake(VecxIndex *index, MemoryContext cxt, const VecxListQuery *query, const float *vec,
					float sigmas)
{
	const VecxLists *lists = index->lists;
	VecxListRefiner *r;

	if (lists->behind_bytes == 0)
		return NULL;
	r = MemoryContextAllocZero(cxt, sizeof(VecxListRefiner));
	r->index = index;
	r->query = query;
	r->sigmas = sigmas;
	r->cxt = cxt;
	r->page_bytes = MAXALIGN(offsetof(RefinedPage, behind) + sizeof(BlockNumber) * lists->behind_pages);
	r->npages = 1;
	r->pages_cap = 64;
	r->pages = MemoryContextAlloc(cxt, r->page_bytes * r->pages_cap);
	if (lists->has_copies)
		vecx_code_query_init(&lists->copies, &r->copies, vec,
							 MemoryContextAlloc(cxt, vecx_code_query_scratch(&lists->copies)));
	return r;
}

/* Remembers a locked page of a list; returns the reference of its first row, and 0 if
 * there is no more room: others follow. */
uint32
VecxListRefinerPage(VecxListRefiner *r, BlockNumber blkno, Page page, const VecxListProbe *list)
{
	RefinedPage *kept;

	if (r->npages == MOST_PAGES)
		return 0;
	if (r->npages == r->pages_cap)
	{
		r->pages_cap *= 2;
		r->pages = repalloc_huge(r->pages, r->page_bytes * r->pages_cap);
	}
	kept = (RefinedPage *) (r->pages + r->page_bytes * r->npages);
	kept->list = *list;
	kept->blkno = blkno;
	memcpy(kept->behind, VecxListPageBehind(page), sizeof(BlockNumber) * r->index->lists->behind_pages);
	return r->npages++ << PLACE_BITS;
}

static void
refine_by_copy(const VecxListRefiner *r, const uint8 *copy, float *lower, float *upper)
{
	const VecxCoder *coder = &r->index->lists->copies;
	float		rank = vecx_code_rank(coder, &r->copies, copy,
									  vecx_code_distance(coder, &r->copies, copy));
	float		error = VECX_SCAN_ERROR_FACTOR * vecx_code_error(coder, &r->copies, copy, rank);

	*lower = rank - error;
	*upper = rank + error;
}

static void
refine_by_bits(const VecxListRefiner *r, const RefinedPage *page, float product, const uint8 *extra,
			   float *lower, float *upper)
{
	float		est;
	float		sigma;

	vecx_list_refine(&r->index->lists->code, r->query, &page->list, product, extra, &est, &sigma);
	*lower = est - r->sigmas * sigma;
	*upper = est + r->sigmas * sigma;
}

/* Makes the bounds of a row those by all that the index has of it. */
void
VecxListRefine(VecxListRefiner *r, uint32 reference, const ItemPointerData *tid, float product,
			   float *lower, float *upper)
{
	const VecxLists *lists = r->index->lists;
	const RefinedPage *page = (RefinedPage *) (r->pages + r->page_bytes * (reference >> PLACE_BITS));
	int			row = (int) (reference & ((1 << PLACE_BITS) - 1));
	BlockNumber blkno = page->behind[row / lists->behind_rows];
	const VecxBehindEntry *entry;
	Buffer		buf;

	if (blkno >= r->nblocks)
		r->nblocks = RelationGetNumberOfBlocks(r->index->rel);
	if (blkno >= r->nblocks)
		VecxCorrupted(r->index->rel, page->blkno, "what is behind a list is not there");
	buf = VecxReadBuffer(r->index->rel, blkno);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	entry = VecxBehindFind(lists, BufferGetPage(buf), page->blkno, row, tid);
	if (entry && lists->has_copies)
		refine_by_copy(r, entry->bytes + lists->code.extra_bytes, lower, upper);
	else if (entry)
		refine_by_bits(r, page, product, entry->bytes, lower, upper);
	UnlockReleaseBuffer(buf);
}

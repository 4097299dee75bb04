/*
 * write_record.c
 *    Records of a graph that is built, from what is to be in them to their bytes.
 *
 * Whoever knows the whole graph says what a record holds, in a recipe; anybody
 * who has all codes and points can make it.  So the pages can be written by all
 * who build: each takes the next few, which it adds to the file by itself.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "am/build.h"

/* Pages that a participant takes at once. */
#define PAGES_AT_ONCE	16

/* Of the next neighbour's point, the beginning: the processor goes on by itself. */
#define POINT_BYTES_AHEAD	512

Size
VecxRecipeSize(const VecxIndex *index)
{
	return MAXALIGN(sizeof(VecxRecipe) + sizeof(VecxRecipeLink) * VecxMaxLinks(index->meta.m, 0) +
					VECX_INLINE_ROWS * index->layout.row_size);
}

void
VecxRecordMakerInit(VecxRecordMaker *maker, VecxIndex *index, VecxSpool *codes, VecxSpool *points)
{
	const VecxModel *model = VecxCurrentModel(index);

	maker->index = index;
	maker->basis = &model->basis;
	maker->model = model->number;
	maker->codes = codes;
	maker->points = points;
	maker->pv = palloc(vecx_basis_proj_bytes(maker->basis));
	maker->pn = palloc(vecx_basis_proj_bytes(maker->basis));
}

static void
prefetch_point(VecxSpool *points, uint32 vertex)
{
	const char *point;

	if (!VecxSpoolInMemory(points))
		return;
	point = VecxSpoolGet(points, vertex);
	for (int at = 0; at < POINT_BYTES_AHEAD; at += 64)
		__builtin_prefetch(point + at);
}

static void
make_links(VecxRecordMaker *maker, const VecxRecipe *recipe, VecxRecord rec)
{
	VecxIndex  *index = maker->index;
	const VecxCoder *coder = &index->coder;
	float		norm2 = vecx_code_norm2(coder, VecxRecordCode(&index->layout, rec));

	vecx_point_read(coder, maker->basis, VecxSpoolGet(maker->points, recipe->vertex), maker->pv);
	for (int i = 0; i < recipe->nlinks; i++)
	{
		const VecxRecipeLink *link = &recipe->links[i];
		uint32		popcount = 0;

		if (i + 1 < recipe->nlinks)
			prefetch_point(maker->points, link[1].vertex);
		if (index->spec->is_bits)
			popcount = (uint32) vecx_code_norm2(coder, VecxSpoolGet(maker->codes, link->vertex));
		vecx_point_read(coder, maker->basis, VecxSpoolGet(maker->points, link->vertex), maker->pn);
		VecxEncodeLink(index, maker->basis, link->id, maker->pv, maker->pn, norm2, link->dist,
					   popcount, VecxRecordLink(&index->layout, rec, i));
	}
}

/* Puts the record on its page. */
void
VecxRecordMake(VecxRecordMaker *maker, const VecxRecipe *recipe, Page page)
{
	VecxIndex  *index = maker->index;
	Size		size = VecxRecordSize(&index->layout, recipe->cap);
	VecxRecord	rec = palloc0(size);

	rec->level = recipe->level;
	rec->model = maker->model;
	rec->nlinks = recipe->nlinks;
	rec->link_cap = recipe->cap;
	rec->generation = VecxBuildGeneration(index, recipe->vertex);
	rec->hash = recipe->hash;
	rec->down = recipe->down;
	rec->base = recipe->base;
	rec->nrows = recipe->nrows;
	for (int i = 0; i < recipe->nrows; i++)
		memcpy(VecxRecordRow(&index->layout, rec, i), VecxRecipeRow(index, recipe, i),
			   index->layout.row_size);
	memcpy(VecxRecordCode(&index->layout, rec), VecxSpoolGet(maker->codes, recipe->vertex),
		   index->coder.nbytes);
	make_links(maker, recipe, rec);
	VecxPageAddItem(page, VecxIdOffset(recipe->id), rec, size);
	pfree(rec);
}

/* ---- pages by all participants ---- */

/* Says that the recipes of some more pages are there, npages in all. */
void
VecxPagesReady(VecxTeam *team, uint32 npages)
{
	pg_write_barrier();
	pg_atomic_write_u32(&team->shared->ready, npages);
	ConditionVariableBroadcast(&team->shared->more);
}

/* Waits for recipes of pages that nobody has taken, or for the last; returns how many pages
 * have theirs. */
static uint32
wait_for_recipes(VecxTeamShared *shared, const VecxPageList *pages)
{
	uint32		ready;

	while ((ready = pg_atomic_read_u32(&shared->ready)) < pages->npages &&
		   pg_atomic_read_u32(&shared->next[3]) >= ready)
		ConditionVariableSleep(&shared->more, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	pg_read_barrier();
	return ready;
}

/*
 * Takes some pages, which are added to the file here: whoever holds the lock for
 * that takes the next.  Returns their number, 0 if there are no more.
 */
static int
take_pages(VecxTeam *team, Relation rel, const VecxPageList *pages, uint32 *first)
{
	uint32		ready;
	uint32		n;

	do
	{
		ready = wait_for_recipes(team->shared, pages);
		LockRelationForExtension(rel, ExclusiveLock);
		*first = pg_atomic_read_u32(&team->shared->next[3]);
		n = *first < ready ? Min(PAGES_AT_ONCE, ready - *first) : 0;
		pg_atomic_write_u32(&team->shared->next[3], *first + n);
		for (uint32 i = 0; i < n; i++)
		{
			Buffer		buf = ReadBufferExtended(rel, MAIN_FORKNUM, P_NEW, RBM_NORMAL, NULL);

			VecxCheckBlock(rel, buf, pages->first + *first + i);
			ReleaseBuffer(buf);
		}
		UnlockRelationForExtension(rel, ExclusiveLock);
	} while (n == 0 && ready < pages->npages);
	return (int) n;
}

/* Writes base pages until none is left.  The same for every participant. */
void
VecxPagesMake(VecxTeam *team, VecxRecordMaker *maker, const VecxPageList *pages)
{
	Relation	rel = maker->index->rel;
	/* they are not to be read at once: they grow */
	VecxSpool  *recipes = VecxSpoolOpenShared(CurrentMemoryContext, VecxRecipeSize(maker->index), 0,
											  team->files, "recipes", 1, &pages->nrecipes);
	VecxSpool  *firsts = VecxSpoolOpenShared(CurrentMemoryContext, sizeof(uint32), 0,
											 team->files, "pages", 1, &pages->nfirsts);
	uint32		page;
	int			n;

	while ((n = take_pages(team, rel, pages, &page)) > 0)
	{
		VecxSpoolForgetAhead(recipes);
		VecxSpoolForgetAhead(firsts);
		for (; n > 0; n--, page++)
		{
			uint32		at = *(const uint32 *) VecxSpoolGet(firsts, page);
			uint32		end = *(const uint32 *) VecxSpoolGet(firsts, page + 1);
			Buffer		buf;

			/* no interrupt comes through while a page is locked */
			CHECK_FOR_INTERRUPTS();
			buf = ReadBuffer(rel, pages->first + page);
			LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
			VecxPageInit(BufferGetPage(buf), VECX_PAGE_VERTEX);
			for (; at < end; at++)
				VecxRecordMake(maker, VecxSpoolGet(recipes, at), BufferGetPage(buf));
			MarkBufferDirty(buf);
			UnlockReleaseBuffer(buf);
			if (team->me == 0)
				pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, end);
		}
	}
	VecxSpoolFree(recipes);
	VecxSpoolFree(firsts);
}

/*
 * check_graph.c
 *    Checks the records of a graph: their form, what they say of one another,
 *    and their sketches against the codes of both ends.
 *
 * What a crash or a cancelled VACUUM may leave is no damage: vertices without
 * links to them, levels without records, records marked dead, whose links may
 * lead anywhere.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "verify/verify.h"

/* A record that others refer to.  Code and projection lie in the cache. */
typedef struct Seen
{
	VecxId		id;				/* 0: free slot */
	uint8		level;
	uint8		flags;
	uint8		proj_model;		/* of proj; 0: not made yet */
	uint32		generation;
	uint32		hash;
	VecxId		base;
	float		norm2;
	uint8	   *code;
	void	   *proj;
} Seen;

struct VecxGraphCheck
{
	VecxIndex  *index;
	BlockNumber nblocks;
	VecxRowCheck *rows;
	VecxListCheck *lists;		/* NULL: vertices have rows of their own */
	VecxIdSet	segments;		/* met in a chain */

	/* records seen, direct-mapped */
	uint32		nslots;			/* a power of two */
	Seen	   *slots;

	/* of the record being checked */
	BlockNumber blkno;
	OffsetNumber off;
	VecxRecord	rec;
	void	   *pv;
	VecxId	   *ids;
	VecxRowEntry *segment_rows;
	void	   *query_scratch;
	void	   *vec;
	float	   *proj_scratch;
};

static void
make_slots(VecxGraphCheck *g, Size proj_bytes)
{
	Size		code_bytes = MAXALIGN(g->index->coder.nbytes);
	Size		each = sizeof(Seen) + code_bytes + proj_bytes;
	Size		limit = (Size) maintenance_work_mem * 1024 / 2;
	char	   *space;

	g->nslots = 64;
	while (g->nslots < PG_UINT32_MAX / 2 && (Size) g->nslots * 2 * each <= limit && g->nslots < (Size) g->nblocks * VECX_MAX_ITEMS)
		g->nslots *= 2;
	g->slots = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(Seen) * g->nslots,
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	space = MemoryContextAllocHuge(CurrentMemoryContext, (code_bytes + proj_bytes) * g->nslots);
	for (uint32 i = 0; i < g->nslots; i++)
	{
		g->slots[i].code = (uint8 *) (space + (code_bytes + proj_bytes) * i);
		g->slots[i].proj = g->slots[i].code + code_bytes;
	}
}

VecxGraphCheck *
VecxGraphCheckMake(VecxIndex *index, BlockNumber nblocks, VecxRowCheck *rows, VecxListCheck *lists)
{
	VecxGraphCheck *g = palloc0(sizeof(VecxGraphCheck));
	Size		proj_bytes = 0;
	Size		scratch_floats = 0;

	g->index = index;
	g->nblocks = nblocks;
	g->rows = rows;
	g->lists = lists;
	VecxIdSetInit(&g->segments, CurrentMemoryContext, nblocks);
	for (int i = 0; i < index->nmodels; i++)
	{
		const VecxBasis *basis = &index->models[i].basis;

		proj_bytes = Max(proj_bytes, MAXALIGN(vecx_basis_proj_bytes(basis)));
		scratch_floats = Max(scratch_floats, vecx_basis_scratch_floats(basis, 1));
	}
	make_slots(g, proj_bytes);
	g->pv = palloc(proj_bytes);
	g->proj_scratch = palloc(sizeof(float) * scratch_floats + 1);
	g->ids = palloc(sizeof(VecxId) * VecxMaxLinks(index->meta.m, 0));
	g->segment_rows = palloc((Size) index->layout.row_size *
							 VecxSegmentMaxRows(index->layout.row_size));
	g->query_scratch = palloc(vecx_code_query_scratch(&index->coder));
	g->vec = palloc(VecxVectorBytes(index));
	return g;
}

static const VecxBasis *
find_basis(VecxGraphCheck *g, uint8 number)
{
	for (int i = 0; i < g->index->nmodels; i++)
		if (g->index->models[i].number == number)
			return &g->index->models[i].basis;
	return NULL;
}

static bool
is_possible_id(const VecxGraphCheck *g, VecxId id)
{
	return VecxIdBlock(id) != VECX_META_BLKNO && VecxIdBlock(id) < g->nblocks &&
		VecxIdOffset(id) != InvalidOffsetNumber;
}

/* What there is under an id, good until the next call; NULL: no record. */
static Seen *
look_up(VecxGraphCheck *g, VecxId id)
{
	VecxIndex  *index = g->index;
	Seen	   *slot = &g->slots[((id * 0x9E3779B1u) >> 7) & (g->nslots - 1)];
	Buffer		buf;
	VecxRecord	rec;
	Size		size;

	if (!is_possible_id(g, id))
		return NULL;
	if (slot->id == id)
		return slot;
	buf = ReadBuffer(index->rel, VecxIdBlock(id));
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	rec = VecxPageGetRecord(BufferGetPage(buf), VecxIdOffset(id),
							VecxRecordSize(&index->layout, 0), &size);
	if (!rec)
	{
		UnlockReleaseBuffer(buf);
		return NULL;
	}
	slot->id = VECX_INVALID_ID;
	slot->level = rec->level;
	slot->flags = rec->flags;
	slot->generation = rec->generation;
	slot->hash = rec->hash;
	slot->base = rec->base;
	memcpy(slot->code, VecxRecordCode(&index->layout, rec), index->coder.nbytes);
	UnlockReleaseBuffer(buf);
	if (!vecx_code_check(&index->coder, slot->code))
		VecxDamage(index->rel, VecxIdBlock(id), VecxIdOffset(id), "a vector's code is not one", NULL);
	slot->norm2 = vecx_code_norm2(&index->coder, slot->code);
	slot->proj_model = 0;
	slot->id = id;
	return slot;
}

static void
project(VecxGraphCheck *g, const VecxBasis *basis, const uint8 *code, void *proj)
{
	vecx_code_decode(&g->index->coder, code, g->vec);
	vecx_basis_project(basis, g->vec, proj, g->proj_scratch);
}

/* Raises with the place of the record being checked. */
#define damage(g, ...)	VecxDamage((g)->index->rel, (g)->blkno, (g)->off, __VA_ARGS__)

static void
check_fields(VecxGraphCheck *g, Size size)
{
	VecxIndex  *index = g->index;
	VecxRecord	rec = g->rec;
	int			max_links;

	if (rec->level > VECX_MAX_LEVEL)
		damage(g, "a record is of a level that does not exist", "level=%u", rec->level);
	max_links = VecxMaxLinks(index->meta.m, rec->level);
	if (rec->link_cap > max_links || rec->nlinks > rec->link_cap)
		damage(g, "a record has more links than room", "nlinks=%u link_cap=%u most=%d",
			   rec->nlinks, rec->link_cap, max_links);
	if (size != VecxRecordSize(&index->layout, rec->link_cap))
		damage(g, "a record is not as long as it should be", "length=%zu expected=%zu",
			   size, VecxRecordSize(&index->layout, rec->link_cap));
	if (rec->flags & ~VECX_RECORD_DEAD)
		damage(g, "a record has flags that do not exist", "flags=%u", rec->flags);
	if (!find_basis(g, rec->model))
		damage(g, "a record names a model that does not exist", "model=%u", rec->model);
	if (!vecx_code_check(&index->coder, VecxRecordCode(&index->layout, rec)))
		damage(g, "a vector's code is not one", NULL);
	if (rec->level == 0 && rec->cell > index->meta.tree_ncells)
		damage(g, "a vertex is in a cell that does not exist", "cell=%u", rec->cell);
	if (rec->level == 0 && rec->nlinks < VECX_SOLE_LINKS && rec->sole >> rec->nlinks != 0)
		damage(g, "a record is to keep links that it does not have", "links=%u kept=%08x", rec->nlinks, rec->sole);
	if (rec->level > 0 && (rec->down == VECX_INVALID_ID || rec->base == VECX_INVALID_ID))
		damage(g, "a record's level does not fit its way down", "level=%u down=%08x base=%08x",
			   rec->level, rec->down, rec->base);
}

/* The rows of a chain of segments. */
static void
check_chain(VecxGraphCheck *g, VecxId owner)
{
	VecxIndex  *index = g->index;
	VecxId		segment = g->rec->chain_head;
	Size		row_size = index->layout.row_size;
	bool		met_tail = false;

	while (segment != VECX_INVALID_ID)
	{
		VecxId		id = segment;
		BlockNumber blkno = VecxIdBlock(id);
		Buffer		buf;
		VecxRowSegment seg;
		int			nrows;

		CHECK_FOR_INTERRUPTS();
		if (!is_possible_id(g, id))
			damage(g, "a chain of rows leads out of the index", "segment=%08x", id);
		buf = ReadBuffer(index->rel, blkno);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		seg = VecxPageGetSegment(BufferGetPage(buf), VecxIdOffset(id), row_size);
		if (!seg || seg->cap > VecxSegmentMaxRows(row_size))
			damage(g, "a chain of rows leads to no segment", "segment=%08x", id);
		if (seg->owner != owner)
			VecxDamage(index->rel, blkno, VecxIdOffset(id), "a segment of rows is another vertex's",
					   "owner=%08x vertex=%08x", seg->owner, owner);
		nrows = seg->nrows;
		memcpy(g->segment_rows, VecxSegmentRows(seg), row_size * nrows);
		segment = seg->next;
		UnlockReleaseBuffer(buf);

		met_tail |= id == g->rec->chain_tail;
		if (!VecxIdSetAdd(&g->segments, id))
			VecxDamage(index->rel, blkno, VecxIdOffset(id), "a segment of rows is in a chain twice",
					   "vertex=%08x", owner);
		VecxRowCheckAdd(g->rows, owner, g->rec->hash, blkno, VecxIdOffset(id),
						g->segment_rows, nrows);
	}
	/* a crash may have left it behind the true end, but not elsewhere */
	if (!met_tail)
		damage(g, "the tail of a chain of rows is not in the chain", "tail=%08x",
			   g->rec->chain_tail);
}

/* The list of a centroid.  VACUUM takes it from a dead one. */
static void
check_list(VecxGraphCheck *g)
{
	VecxRecord	rec = g->rec;
	bool		is_dead = (rec->flags & VECX_RECORD_DEAD) != 0;

	if (rec->chain_head != VECX_INVALID_ID || rec->chain_tail != VECX_INVALID_ID)
		damage(g, "a centroid has rows that should have none", "head=%08x tail=%08x",
			   rec->chain_head, rec->chain_tail);
	if (rec->level > 0 ? rec->nrows != 0 : rec->nrows > 1 || (rec->nrows == 0 && !is_dead))
		damage(g, "a centroid does not have one list", "level=%u flags=%u nrows=%u",
			   rec->level, rec->flags, rec->nrows);
	if (rec->level == 0 && !is_dead)
		VecxListCheckList(g->lists, g->blkno, g->off,
						  VecxListOfTid(&VecxRecordRows(&g->index->layout, rec)->tid));
}

static void
check_rows(VecxGraphCheck *g, VecxId id)
{
	VecxRecord	rec = g->rec;
	bool		has_chain = rec->chain_head != VECX_INVALID_ID;
	bool		is_dead = (rec->flags & VECX_RECORD_DEAD) != 0;

	if (rec->nrows > VECX_INLINE_ROWS)
		damage(g, "a record has more rows than room", "nrows=%u", rec->nrows);
	if (has_chain != (rec->chain_tail != VECX_INVALID_ID))
		damage(g, "a chain of rows has only one end", "head=%08x tail=%08x",
			   rec->chain_head, rec->chain_tail);
	if ((rec->level > 0 || is_dead) && (rec->nrows > 0 || has_chain))
		damage(g, "a record has rows that should have none", "level=%u flags=%u nrows=%u head=%08x",
			   rec->level, rec->flags, rec->nrows, rec->chain_head);
	if (rec->level == 0 && !is_dead && rec->nrows == 0 && !has_chain)
		damage(g, "a vertex has no rows", NULL);
	VecxRowCheckAdd(g->rows, id, rec->hash, g->blkno, g->off,
					VecxRecordRows(&g->index->layout, rec), rec->nrows);
	if (has_chain)
		check_chain(g, id);
}

/* The way down from a record above the base. */
static void
check_descent(VecxGraphCheck *g)
{
	VecxRecord	rec = g->rec;
	bool		is_dead = (rec->flags & VECX_RECORD_DEAD) != 0;
	Seen	   *base = look_up(g, rec->base);
	Seen	   *down;

	if (!base || base->level != 0)
		damage(g, "a record above the base belongs to no vertex", "base=%08x", rec->base);
	if (base->generation != rec->generation || base->hash != rec->hash ||
		memcmp(base->code, VecxRecordCode(&g->index->layout, rec), g->index->coder.nbytes) != 0)
		damage(g, "a record above the base has another vector than its vertex",
			   "base=%08x generation=%08x of base=%08x hash=%08x of base=%08x",
			   rec->base, rec->generation, base->generation, rec->hash, base->hash);
	/* VACUUM marks the vertex first, and frees it last */
	if (is_dead && !(base->flags & VECX_RECORD_DEAD))
		damage(g, "a dead record belongs to a live vertex", "base=%08x", rec->base);
	if (is_dead)
		return;
	down = look_up(g, rec->down);
	if (!down || down->level != rec->level - 1 ||
		(rec->level == 1 ? rec->down != rec->base : down->base != rec->base))
		damage(g, "the way down from a record is broken", "level=%u down=%08x base=%08x",
			   rec->level, rec->down, rec->base);
}

/* Links that the same record has twice, or to itself, or out of the index. */
static void
check_link_ids(VecxGraphCheck *g, VecxId self)
{
	VecxRecord	rec = g->rec;

	for (int i = 0; i < rec->nlinks; i++)
	{
		g->ids[i] = VecxLinkId(VecxRecordLink(&g->index->layout, rec, i));
		if (!is_possible_id(g, g->ids[i]))
			damage(g, "a link leads out of the index", "link=%d id=%08x", i, g->ids[i]);
		if (g->ids[i] == self)
			damage(g, "a record links to itself", "link=%d", i);
	}
	for (int i = 0; i < rec->nlinks; i++)
		for (int j = 0; j < i; j++)
			if (g->ids[i] == g->ids[j])
				damage(g, "a record has a link twice", "links=%d,%d id=%08x", j, i, g->ids[i]);
}

static void
check_links(VecxGraphCheck *g)
{
	VecxIndex  *index = g->index;
	VecxRecord	rec = g->rec;
	const uint8 *code = VecxRecordCode(&index->layout, rec);
	const VecxBasis *basis = find_basis(g, rec->model);
	float		norm2 = vecx_code_norm2(&index->coder, code);
	VecxCodeQuery query;

	if (rec->nlinks == 0)
		return;
	project(g, basis, code, g->pv);
	vecx_code_query_init_code(&index->coder, &query, code, g->query_scratch);
	for (int i = 0; i < rec->nlinks; i++)
	{
		const uint8 *link = VecxRecordLink(&index->layout, rec, i);
		Seen	   *other = look_up(g, VecxLinkId(link));

		if (!other)
			damage(g, "a link leads to no record", "link=%d id=%08x", i, VecxLinkId(link));
		if (other->level != rec->level)
			damage(g, "a link leads to another level", "link=%d id=%08x level=%u expected=%u",
				   i, other->id, other->level, rec->level);
		if (other->proj_model != rec->model)
		{
			project(g, basis, other->code, other->proj);
			other->proj_model = rec->model;
		}
		if (!vecx_sketch_matches(basis, g->pv, other->proj, norm2, other->norm2,
								 vecx_code_distance(&index->coder, &query, other->code),
								 VecxPopcount(index, other->norm2), link + VECX_LINK_SKETCH))
			damage(g, "a sketch is not that of its neighbour", "link=%d id=%08x", i, other->id);
	}
}

/* Checks all records of a VERTEX or UPPER page, which is a private copy. */
void
VecxGraphCheckPage(VecxGraphCheck *g, BlockNumber blkno, Page page)
{
	VecxIndex  *index = g->index;
	bool		is_base = VecxPageGetOpaque(page)->kind == VECX_PAGE_VERTEX;

	g->blkno = blkno;
	for (g->off = FirstOffsetNumber; g->off <= PageGetMaxOffsetNumber(page); g->off++)
	{
		VecxId		id = VecxIdMake(blkno, g->off);
		Size		size;

		if (!ItemIdIsUsed(PageGetItemId(page, g->off)))
			continue;
		g->rec = VecxPageGetRecord(page, g->off, VecxRecordSize(&index->layout, 0), &size);
		if (!g->rec)
			damage(g, "a record is too short", NULL);
		check_fields(g, size);
		if (is_base != (g->rec->level == 0))
			damage(g, "a record is on a page of another kind", "level=%u", g->rec->level);
		if (g->lists)
			check_list(g);
		else
			check_rows(g, id);
		if (g->rec->level > 0)
			check_descent(g);
		check_link_ids(g, id);
		/* what a dead record links to may be freed, and used again, before it */
		if (!(g->rec->flags & VECX_RECORD_DEAD))
		{
			check_links(g);
			if (g->rec->nlinks > 0 &&
				(index->meta.entry == VECX_INVALID_ID || g->rec->level > index->meta.entry_level))
				damage(g, "searches start below a record", "level=%u entry=%08x entry_level=%u",
					   g->rec->level, index->meta.entry, index->meta.entry_level);
		}
	}
}

/* Where searches start. */
void
VecxGraphCheckEntry(VecxGraphCheck *g)
{
	const VecxMetaPageData *meta = &g->index->meta;
	Seen	   *entry;

	if (meta->entry == VECX_INVALID_ID)
		return;
	entry = look_up(g, meta->entry);
	if (!entry)
		VecxDamage(g->index->rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "searches start at no record", "entry=%08x", meta->entry);
	if (entry->level != meta->entry_level)
		VecxDamage(g->index->rel, VECX_META_BLKNO, InvalidOffsetNumber,
				   "searches start at a record of another level", "entry=%08x level=%u expected=%u",
				   meta->entry, entry->level, meta->entry_level);
}

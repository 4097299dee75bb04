/*
 * layout.c
 *    Where the parts of a record lie: chosen when an index is built, written
 *    as a table in the metapage, read back from there by everyone.
 */
#include "postgres.h"

#include "am/am.h"

static void
set_part(VecxMetaPageData *meta, int i, uint16 part, Size offset, Size length, uint16 format)
{
	meta->parts[i].part = part;
	meta->parts[i].offset = (uint16) offset;
	meta->parts[i].length = (uint16) length;
	meta->parts[i].format = format;
}

/* Bytes of a record of level 0 with all its links. */
static Size
full_record_size(Size row_size, Size code_bytes, Size link_size, int m)
{
	return MAXALIGN(sizeof(VecxRecordData) + VECX_INLINE_ROWS * row_size +
					code_bytes + link_size * VecxMaxLinks(m, 0)) + sizeof(ItemIdData);
}

/* What a record is to hold, but for its code. */
typedef struct Contents
{
	const VecxOpSpec *spec;
	uint32		dim;
	Size		row_size;
	Size		link_size;
} Contents;

static bool
fits(const Contents *c, VecxCodeKind kind, int m)
{
	VecxCoder	coder;

	vecx_coder_init(&coder, kind, c->spec->metric, c->dim, 0);
	return full_record_size(c->row_size, coder.nbytes, c->link_size, m) <= VECX_PAGE_CAPACITY;
}

/* Whether a vertex with that code, and sketches of that size, fits a page. */
bool
VecxCodeFits(const VecxOpSpec *spec, VecxCodeKind kind, uint32 dim, Size sketch, int m)
{
	Contents	contents = {spec, dim, sizeof(VecxRowEntry), VECX_LINK_SKETCH + sketch};

	return fits(&contents, kind, m);
}

/* The largest m up to the given one with which a vertex fits a page; less than
 * VECX_MIN_M if none does. */
static int
largest_fitting_m(const Contents *c, VecxCodeKind kind, int m)
{
	while (m >= VECX_MIN_M && !fits(c, kind, m))
		m--;
	return m;
}

/* The widest kind of code of float vectors, up to 8 bits a dimension, with which
 * a vertex fits a page; VECX_CODE_NONE if none does. */
static VecxCodeKind
widest_fitting_kind(const Contents *c, int m)
{
	if (fits(c, VECX_CODE_SQ8, m))
		return VECX_CODE_SQ8;
	for (uint32 bits = VECX_MAX_BITS - 1; bits >= VECX_MIN_BITS; bits--)
		if (fits(c, vecx_code_rabitq(bits), m))
			return vecx_code_rabitq(bits);
	return VECX_CODE_NONE;
}

static VecxCodeKind
kind_of_options(const VecxOptions *options, uint32 dim)
{
	switch (options ? options->quantizer : VECX_QUANTIZER_AUTO)
	{
		case VECX_QUANTIZER_NONE:
			return VECX_CODE_NONE;
		case VECX_QUANTIZER_HALF:
			return VECX_CODE_HALF;
		case VECX_QUANTIZER_SQ8:
			return VECX_CODE_SQ8;
		case VECX_QUANTIZER_RABITQ:
			return vecx_code_rabitq(options->bits ? options->bits : VECX_DEFAULT_BITS);
		default:
			/* up to 32 dimensions full floats are hardly larger */
			return dim <= 32 ? VECX_CODE_NONE : VECX_CODE_SQ8;
	}
}

static void
refuse_layout(Relation index, const Contents *c, VecxCodeKind kind, int m)
{
	int			largest = largest_fitting_m(c, kind, m);
	VecxCodeKind widest = c->spec->is_bits ? VECX_CODE_NONE : widest_fitting_kind(c, m);
	const char *narrower = NULL;
	VecxCoder	coder;

	vecx_coder_init(&coder, kind, c->spec->metric, c->dim, 0);
	if (widest == VECX_CODE_SQ8)
		narrower = "quantizer = sq8";
	else if (widest != VECX_CODE_NONE)
		narrower = psprintf("quantizer = rabitq and bits = %d", (int) (widest - VECX_CODE_RABITQ1) + 1);

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("vertices of index \"%s\" do not fit a page", RelationGetRelationName(index)),
			 errdetail("%u dimensions as \"%s\" with m = %d and sketches of %zu bytes need %zu of %zu bytes.",
					   c->dim, vecx_code_name(kind), m, c->link_size - VECX_LINK_SKETCH,
					   full_record_size(c->row_size, coder.nbytes, c->link_size, m),
					   (Size) VECX_PAGE_CAPACITY),
			 largest >= VECX_MIN_M && narrower ?
			 errhint("Use m = %d or less, or %s.", largest, narrower) :
			 largest >= VECX_MIN_M ?
			 errhint("Use m = %d or less, or a smaller sketch_bits.", largest) :
			 narrower ?
			 errhint("Use %s.", narrower) :
			 errhint("Use a smaller sketch_bits or m.")));
}

/* Tells what became of the code the user would have got with fewer links. */
static void
report_narrowed(Relation index, const Contents *c, VecxCodeKind wanted, VecxCodeKind kind, int m)
{
	int			largest = largest_fitting_m(c, wanted, m);

	ereport(NOTICE,
			(errmsg("index \"%s\" keeps vectors of %u dimensions as \"%s\", so that a vertex fits a page",
					RelationGetRelationName(index), c->dim, vecx_code_name(kind)),
			 largest >= VECX_MIN_M ?
			 errhint("Use m = %d or less, or a smaller sketch_bits, to keep \"%s\".",
					 largest, vecx_code_name(wanted)) : 0));
}

/*
 * Chooses the kind of code and fills meta's layout table.  Only a quantizer
 * that the user did not set is narrowed, with a NOTICE.
 */
void
VecxChooseLayout(Relation index, const VecxOpSpec *spec, uint32 dim, Size row_size,
				 Size sketch_size, VecxCodeKind *kind, VecxMetaPageData *meta)
{
	/* of lists, the quantizer is that of the rows; centroids have the default one */
	VecxOptions *options = meta->structure == VECX_STRUCTURE_LISTS ? NULL :
		(VecxOptions *) index->rd_options;
	int			quantizer = options ? options->quantizer : VECX_QUANTIZER_AUTO;
	Contents	c = {spec, dim, row_size, VECX_LINK_SKETCH + sketch_size};
	VecxCoder	coder;
	Size		offset;
	Size		base = full_record_size(row_size, 0, c.link_size, meta->m);

	if (spec->is_bits)
	{
		if (quantizer != VECX_QUANTIZER_AUTO && quantizer != VECX_QUANTIZER_NONE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("quantizer of index \"%s\" does not apply to bit strings",
							RelationGetRelationName(index)),
					 errhint("Leave out the option (ALTER INDEX ... RESET (quantizer)).")));
		*kind = fits(&c, VECX_CODE_BITS, meta->m) ?
			VECX_CODE_BITS : VECX_CODE_BITS_SAMPLE;
		if (base + 64 > VECX_PAGE_CAPACITY)
			refuse_layout(index, &c, *kind, meta->m);
	}
	else
	{
		VecxCodeKind wanted = kind_of_options(options, dim);

		*kind = wanted;
		if (quantizer == VECX_QUANTIZER_AUTO && !fits(&c, *kind, meta->m))
		{
			*kind = widest_fitting_kind(&c, meta->m);
			if (*kind == VECX_CODE_NONE)
				*kind = vecx_code_rabitq(VECX_MIN_BITS);
		}
		if (!fits(&c, *kind, meta->m))
			refuse_layout(index, &c, *kind, meta->m);
		if (*kind != wanted)
			report_narrowed(index, &c, wanted, *kind, meta->m);
	}

	vecx_coder_init(&coder, *kind, spec->metric, dim,
					base < VECX_PAGE_CAPACITY ? (uint32) (VECX_PAGE_CAPACITY - base) : 0);
	memset(meta->parts, 0, sizeof(meta->parts));
	offset = sizeof(VecxRecordData);
	set_part(meta, 0, VECX_PART_ROWS, offset, VECX_INLINE_ROWS * row_size, 1);
	offset += meta->parts[0].length;
	set_part(meta, 1, VECX_PART_CODE, offset, coder.nbytes, *kind);
	offset += coder.nbytes;
	set_part(meta, 2, VECX_PART_LINKS, offset, c.link_size, 1);
	meta->sketch_size = (uint32) sketch_size;
}

static const VecxLayoutPart *
find_part(Relation index, const VecxMetaPageData *meta, uint16 part)
{
	for (int i = 0; i < VECX_MAX_PARTS; i++)
		if (meta->parts[i].part == part)
			return &meta->parts[i];
	VecxCorrupted(index, VECX_META_BLKNO, "the metapage lacks a part of the layout");
}

/* The layout as the metapage says, checked so far that no reader can leave a
 * page by it. */
void
VecxLayoutFromMeta(Relation index, const VecxMetaPageData *meta, const VecxOpSpec *spec,
				   VecxLayout *layout, VecxCoder *coder)
{
	const VecxLayoutPart *rows = find_part(index, meta, VECX_PART_ROWS);
	const VecxLayoutPart *code = find_part(index, meta, VECX_PART_CODE);
	const VecxLayoutPart *links = find_part(index, meta, VECX_PART_LINKS);

	if (meta->dim != VecxCodeDim(spec, meta->value_dim))
		VecxCorrupted(index, VECX_META_BLKNO, "the metapage has other dimensions than its codes");
	layout->rows = rows->offset;
	layout->row_size = rows->length / VECX_INLINE_ROWS;
	layout->code = code->offset;
	layout->links = links->offset;
	layout->link_size = links->length;
	vecx_coder_init(coder, (VecxCodeKind) code->format, (VecxMetric) meta->metric, meta->dim,
					code->length);

	if (rows->length != VECX_INLINE_ROWS * layout->row_size ||
		layout->row_size < sizeof(VecxRowEntry) || layout->row_size > VECX_MAX_ROW_BYTES ||
		layout->rows < sizeof(VecxRecordData) ||
		layout->rows + rows->length > layout->code ||
		coder->nbytes == 0 || coder->nbytes != code->length ||
		layout->code + code->length > layout->links ||
		layout->link_size != VECX_LINK_SKETCH + meta->sketch_size ||
		VecxRecordSize(layout, VecxMaxLinks(meta->m, 0)) > VECX_PAGE_CAPACITY ||
		meta->metric != spec->metric)
		VecxCorrupted(index, VECX_META_BLKNO, "the layout in the metapage does not fit the page");
}

/*
 * The record of that id on its locked page, or NULL if there is none (any
 * more).  What is there is checked so far that nobody leaves the item by it.
 */
VecxRecord
VecxGetRecord(const VecxIndex *index, Page page, VecxId id, Size *size)
{
	const VecxLayout *layout = &index->layout;
	VecxRecord	rec = VecxPageGetRecord(page, VecxIdOffset(id), VecxRecordSize(layout, 0), size);

	if (rec && (rec->level > VECX_MAX_LEVEL || rec->nlinks > rec->link_cap ||
				rec->link_cap > VecxMaxLinks(index->meta.m, rec->level) ||
				rec->nrows > VECX_INLINE_ROWS ||
				VecxRecordSize(layout, rec->link_cap) > *size))
		VecxCorrupted(index->rel, VecxIdBlock(id), "a record claims more than its item holds");
	return rec;
}

/*
 * estimate.c
 *    vecx_estimate: how large an index would be, and what its build would take,
 *    from the number of rows and the layout that the options lead to.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "am/list.h"
#include "am/load.h"
#include "verify/verify.h"

/*
 * Links of a vertex, of the 2 m it may have: 13 to 24 of 32 on the benchmark's
 * sets.  Pages are full but for what is too small for another record.
 */
#define LINKS_IN_USE	0.55
/* Of short vectors there are fewer: 9 of 32 in 2 dimensions, 12 in 8, 17 in 16. */
#define LINKS_OF_SHORT	0.27
#define LINKS_PER_DIM	(1.0 / 64)
#define PAGE_IN_USE		0.97

/* Training, which sees the data, takes more than so many bits for a sketch only of
 * vectors so long. */
#define TRAINED_BITS	256
#define LONG_DIM		256

/*
 * What an operator class of the access method indexes, by default the type's.
 */
static const VecxOpSpec *
spec_of_type(Oid type, const char *opclass_name)
{
	Oid			am = get_am_oid("vecx", false);
	Oid			opclass = opclass_name ?
		get_opclass_oid(am, textToQualifiedNameList(cstring_to_text(opclass_name)), false) :
		GetDefaultOpClass(type, am);
	Oid			proc = InvalidOid;

	if (opclass_name && get_opclass_input_type(opclass) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("operator class \"%s\" does not accept data type %s", opclass_name,
						format_type_be(type))));
	/* those of filter columns have no such function */
	if (OidIsValid(opclass))
		proc = get_opfamily_proc(get_opclass_family(opclass), get_opclass_input_type(opclass),
								 get_opclass_input_type(opclass), VECX_SUPPORT_PROC);
	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a vecx index has no operator class for vectors of type %s",
						format_type_be(type))));
	return (const VecxOpSpec *) DatumGetPointer(OidFunctionCall1(proc, PointerGetDatum(NULL)));
}

/*
 * What an index on the column compares, and in how many dimensions.  opclass is
 * NULL for the type's default.
 */
const VecxOpSpec *
VecxColumnSpec(Relation heap, const char *column, const char *opclass, uint32 *dim)
{
	AttrNumber	attno = get_attnum(RelationGetRelid(heap), column);
	const VecxOpSpec *spec;
	int32		typmod;
	Oid			type;

	if (attno <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", column,
						RelationGetRelationName(heap))));
	typmod = TupleDescAttr(RelationGetDescr(heap), attno - 1)->atttypmod;
	type = getBaseTypeAndTypmod(TupleDescAttr(RelationGetDescr(heap), attno - 1)->atttypid, &typmod);
	spec = spec_of_type(type, opclass);
	if (typmod < 1 || type == VARBITOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" does not have dimensions", column),
				 errhint("Declare it as %s(n).", format_type_be(type == VARBITOID ? BITOID : type))));
	if ((uint32) typmod > spec->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" has more than %u dimensions", column, spec->max_dim)));
	*dim = (uint32) typmod;
	return spec;
}

/* Only what stores rows has a size. */
static void
check_kind(Relation heap)
{
	char		kind = heap->rd_rel->relkind;

	if (!RELKIND_HAS_TABLE_AM(kind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" has no rows of its own", RelationGetRelationName(heap)),
				 kind == RELKIND_PARTITIONED_TABLE ? errhint("Name a partition.") :
				 errhint("Name a table or a materialized view.")));
	VecxCheckReplayed(heap);
}

/* The options, each with a value: without, PostgreSQL does not know the name. */
static Datum
get_options(ArrayType *array)
{
	Datum	   *elems;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *option = TextDatumGetCString(elems[i]);

		if (!strchr(option, '='))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" has no value", option),
					 errhint("Write options as '{m=24,quantizer=half}'.")));
	}
	return PointerGetDatum(array);
}

/* The same of posting lists, if the options ask for them; else lists->page_rows is 0. */
static void
find_lists(Relation rel, const VecxOpSpec *spec, Size row_size, double rows, VecxMetaPageData *meta,
		   VecxLists *lists)
{
	const VecxOptions *options = (VecxOptions *) rel->rd_options;
	VecxListOptions wanted;

	memset(lists, 0, sizeof(*lists));
	if (!options || options->structure != VECX_STRUCTURE_OPTION_LISTS)
		return;
	meta->structure = VECX_STRUCTURE_LISTS;
	VecxListsCheckSupport(rel, spec, meta);
	meta->list_rows = (uint32) VecxListsDefaultRows(rel, meta, row_size);
	meta->list_replicas = (uint16) VecxListsReplicas(rel);
	VecxListsQuantizer(rel, meta, &wanted);
	vecx_list_code_plan(&wanted, spec->metric, meta->dim, &lists->code);
	vecx_list_code_plan_rows(&lists->code, (size_t) rows);
	lists->row_size = row_size;
	VecxListsLayOut(lists, VecxListsCopies(rel));
	if (lists->page_rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("blocks of index \"%s\" do not fit a page", RelationGetRelationName(rel)),
				 errhint("Use quantizer = pq with a smaller pq_m, or structure = graph.")));
}

/* An index that does not exist. */
typedef struct Planned
{
	const VecxOpSpec *spec;
	VecxMetaPageData meta;
	VecxLayout	layout;
	VecxCoder	coder;
	VecxLists	lists;			/* page_rows is 0: it is a graph */
	uint32		rotation_bytes; /* of a sketch, if centroids are so few that the model has no matrix */
	VecxPlannedFilters filters;
} Planned;

/*
 * What CREATE INDEX would choose for it and so many rows, under a name for messages; the filter columns
 * are those that are there already.
 */
static void
plan_index(const char *name, const VecxOpSpec *spec, uint32 dim, Datum options, double rows,
		   Planned *planned)
{
	VecxMetaPageData *meta = &planned->meta;
	RelationData rel;
	FormData_pg_class form;
	VecxOptions *opts = (VecxOptions *) vecxoptions(options, true);
	uint32		sketch_bits = opts ? (uint32) opts->sketch_bits : 0;
	Size		row_size = sizeof(VecxRowEntry) + planned->filters.filters.nbytes;
	VecxCodeKind kind;
	Size		sketch;

	memset(&rel, 0, sizeof(rel));
	memset(&form, 0, sizeof(form));
	memset(meta, 0, sizeof(*meta));
	namestrcpy(&form.relname, name);
	rel.rd_rel = &form;
	rel.rd_options = (bytea *) opts;
	planned->spec = spec;
	meta->value_dim = dim;
	meta->dim = VecxCodeDim(spec, dim);
	meta->metric = (uint16) spec->metric;
	meta->m = (uint16) (opts ? opts->m : VECX_DEFAULT_M);
	find_lists(&rel, spec, row_size, rows, meta, &planned->lists);
	planned->rotation_bytes = sketch_bits == 0 && planned->lists.page_rows > 0 && rows > 0 ?
		vecx_basis_rotation_bytes(spec->metric, meta->dim, rows / meta->list_rows) : 0;
	if (sketch_bits == 0 && !spec->is_bits && meta->dim < LONG_DIM)
		sketch_bits = TRAINED_BITS;
	sketch = VECX_SKETCH_FACTOR_BYTES + (planned->rotation_bytes > 0 ? planned->rotation_bytes :
										 vecx_sketch_default_bytes(spec->metric, meta->dim, sketch_bits));
	VecxChooseLayout(&rel, spec, meta->dim, row_size, sketch, &kind, meta);
	VecxLayoutFromMeta(&rel, meta, spec, &planned->layout, &planned->coder);
	VecxPlannedTreeSketch(&planned->filters, spec, meta);
}

static double
count_rows(Relation heap)
{
	BlockNumber pages;
	double		tuples;
	double		all_visible;

	estimate_rel_size(heap, NULL, &pages, &tuples, &all_visible);
	return tuples;
}

/* Bytes of the pages of so many vertices, and of the levels above them. */
static double
graph_bytes(const Planned *planned, double rows)
{
	int			m = planned->meta.m;
	double		links = 2 * m * Min(LINKS_IN_USE, LINKS_OF_SHORT + planned->meta.value_dim * LINKS_PER_DIM);
	double		record = MAXALIGN(VecxRecordSize(&planned->layout, (int) links)) + sizeof(ItemIdData);
	double		upper = MAXALIGN(VecxRecordSize(&planned->layout, m)) + sizeof(ItemIdData);
	double		bytes = rows * record + rows / (2 * m - 1) * upper;

	return ceil(bytes / (VECX_PAGE_CAPACITY * PAGE_IN_USE) + 1) * BLCKSZ;
}

/* Of the copies that lists make room for the data says how many there are, but under inner
 * product: 0 to 1.4 times so many on the benchmark's sets and on random vectors. */
#define COPIES_IN_USE	0.7

/* Rows of a list on average, with copies. */
static double
entries_of_list(const VecxMetaPageData *meta)
{
	double		copies = VecxListEntries(meta) - meta->list_rows;

	return meta->list_rows + copies * (meta->metric == VECX_METRIC_IP ? 1 : COPIES_IN_USE);
}

/* Pages of a list of so many rows on average, with so many on a page: the lengths of lists
 * vary, so that the last one is half full, and each has one. */
static double
chain_pages(double rows, int page_rows)
{
	return Max(rows / page_rows + 0.5, 1);
}

/* Bytes of the pages of lists, and of the graph of their centroids. */
static double
lists_bytes(const Planned *planned, double rows)
{
	const VecxLists *lists = &planned->lists;
	double		nlists = ceil(rows / planned->meta.list_rows);
	double		entries = entries_of_list(&planned->meta);
	double		pages = chain_pages(entries, lists->page_rows);

	if (lists->behind_rows > 0)
		pages += chain_pages(entries, lists->behind_rows);
	return ceil(nlists * pages) * BLCKSZ + graph_bytes(planned, nlists);
}

/* Bytes of the metapage, the model, and the quantiser of lists. */
static double
model_bytes(const Planned *planned)
{
	const VecxMetaPageData *meta = &planned->meta;
	double		bytes = planned->rotation_bytes > 0 ? vecx_basis_rotation_nbytes(planned->spec->metric, meta->dim) :
		vecx_basis_default_nbytes(planned->spec->metric, meta->dim,
								  meta->sketch_size - VECX_SKETCH_FACTOR_BYTES);
	double		pages = 1 + ceil(bytes / VECX_PAGE_CAPACITY);

	if (planned->lists.page_rows > 0)
		pages += ceil(vecx_list_code_nbytes(&planned->lists.code) / (double) VECX_PAGE_CAPACITY);
	return pages * BLCKSZ;
}

static double
index_bytes(const Planned *planned, double rows)
{
	return (planned->lists.page_rows > 0 ? lists_bytes(planned, rows) : graph_bytes(planned, rows)) +
		VecxPlannedTreeBytes(&planned->filters, &planned->meta, rows) + model_bytes(planned);
}

/* Bytes of an index of so many rows without filter columns, with options, "m=24" and so on. */
double
VecxEstimateIndexBytes(const char *name, const VecxOpSpec *spec, uint32 dim, Datum options,
					   double rows)
{
	Planned		planned;

	memset(&planned.filters, 0, sizeof(planned.filters));
	plan_index(name, spec, dim, options, rows, &planned);
	return index_bytes(&planned, rows);
}

static Size
guess_point_bytes(const VecxCoder *coder, const VecxOpSpec *spec, uint32 dim, uint32 sketch_size)
{
	uint32		sketch_bytes = sketch_size - VECX_SKETCH_FACTOR_BYTES;
	Size		dims = TYPEALIGN(64, Min(dim, sketch_bytes * 8));

	if (spec->is_bits)
		return coder->nbytes + sketch_bytes;
	return coder->kind == VECX_CODE_NONE ? sizeof(float) * dims : sizeof(float) + sizeof(uint16) * dims;
}

PG_FUNCTION_INFO_V1(vecx_estimate);
Datum
vecx_estimate(PG_FUNCTION_ARGS)
{
	Oid			relid;
	const char *column;
	Relation	heap;
	Datum		options;
	const VecxOpSpec *spec;
	Planned		planned;
	VecxBuildBytes bytes;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};
	uint32		dim;
	double		rows;
	AclResult	acl;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	relid = PG_GETARG_OID(0);
	column = NameStr(*PG_GETARG_NAME(1));
	options = PG_ARGISNULL(2) ? (Datum) 0 : get_options(PG_GETARG_ARRAYTYPE_P(2));
	heap = VecxTableOpen(relid);
	acl = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_TABLE, RelationGetRelationName(heap));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_kind(heap);
	spec = VecxColumnSpec(heap, column, PG_ARGISNULL(4) ? NULL : NameStr(*PG_GETARG_NAME(4)), &dim);
	VecxPlanFilters(heap, PG_ARGISNULL(3) ? NULL : PG_GETARG_ARRAYTYPE_P(3), &planned.filters);
	rows = count_rows(heap);
	plan_index(makeObjectName(RelationGetRelationName(heap), column, "idx"), spec, dim, options, rows,
			   &planned);
	VecxBuildCost(&planned.coder, guess_point_bytes(&planned.coder, spec, dim, planned.meta.sketch_size),
				  planned.filters.filters.nbytes, planned.meta.m, &bytes);
	table_close(heap, AccessShareLock);

	values[0] = Int64GetDatum((int64) rows);
	values[1] = Int64GetDatum((int64) index_bytes(&planned, rows));
	if (planned.lists.page_rows > 0)
	{
		/* centroids are built as a graph; rows are sorted */
		rows = ceil(rows / planned.meta.list_rows);
		bytes.total += (Size) (planned.lists.item_bytes * VecxListEntries(&planned.meta));
	}
	values[2] = Int64GetDatum((int64) (rows * (bytes.total + bytes.fixed)));
	values[3] = Int64GetDatum((int64) (rows * bytes.fixed));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

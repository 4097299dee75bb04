/*
 * estimate_filters.c
 *    What filter columns add to an index that does not exist: bytes of each row's
 *    entry, and entries of the value tree.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "am/vtree.h"
#include "verify/verify.h"

/* Elements of an array that ANALYZE has not seen, as PostgreSQL guesses them. */
#define UNKNOWN_ELEMENTS	10
/* Share of a leaf's entries that a build fills. */
#define LEAF_IN_USE			0.9

/* The default class of a column's type that filters by it. */
static Oid
find_opclass(const char *column, Oid type)
{
	Oid			opclass = GetDefaultOpClass(type, get_am_oid("vecx", false));

	if (!OidIsValid(opclass))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("a vecx index cannot filter by column \"%s\" of type %s", column,
						format_type_be(type)),
				 errhint("Filter columns are numbers, text, uuid, boolean, dates, timestamps, enums, and arrays of labels.")));
	if (OidIsValid(get_opfamily_proc(get_opclass_family(opclass), get_opclass_input_type(opclass),
									 get_opclass_input_type(opclass), VECX_SUPPORT_PROC)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a vecx index cannot filter by column \"%s\", which is a vector", column),
				 errhint("The vector is the column argument; filters are the columns after it in the index.")));
	return opclass;
}

/* Different elements of an array that is not NULL, on average: ANALYZE notes them behind
 * its histogram of their numbers. */
static double
elements_of_array(Relation heap, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(heap)),
										Int16GetDatum(attno), BoolGetDatum(false));
	double		result = UNKNOWN_ELEMENTS;
	AttStatsSlot slot;

	if (!HeapTupleIsValid(tuple))
		return result;
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_DECHIST, InvalidOid, ATTSTATSSLOT_NUMBERS))
	{
		double		nulls = ((Form_pg_statistic) GETSTRUCT(tuple))->stanullfrac;

		/* an array without elements has an entry, too, and so has NULL */
		if (slot.nnumbers > 0)
			result = nulls + (1 - nulls) * Max(slot.numbers[slot.nnumbers - 1], 1);
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return result;
}

/* The columns of that names; NULL: none. */
void
VecxPlanFilters(Relation heap, ArrayType *names, VecxPlannedFilters *planned)
{
	Oid			types[VECX_MAX_FILTERS];
	Oid			opclasses[VECX_MAX_FILTERS];
	AttrNumber	attnos[VECX_MAX_FILTERS];
	Datum	   *elems = NULL;
	bool	   *nulls = NULL;
	int			n = 0;

	if (names)
		deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elems, &nulls, &n);
	if (n > VECX_MAX_FILTERS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("too many columns to filter by"),
				 errdetail("There can be up to %d.", VECX_MAX_FILTERS)));
	for (int i = 0; i < n; i++)
	{
		const char *name = nulls[i] ? "" : NameStr(*DatumGetName(elems[i]));

		attnos[i] = get_attnum(RelationGetRelid(heap), name);
		if (attnos[i] <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
							RelationGetRelationName(heap))));
		types[i] = TupleDescAttr(RelationGetDescr(heap), attnos[i] - 1)->atttypid;
		opclasses[i] = find_opclass(name, types[i]);
	}
	VecxFiltersOfTypes(n, types, opclasses, &planned->filters);
	planned->entries = 0;
	for (int i = 0; i < n; i++)
		planned->entries += planned->filters.columns[i].kind == VECX_FILTER_ARRAY ?
			elements_of_array(heap, attnos[i]) : 1;
}

/* What the value tree's entries would keep of vectors. */
void
VecxPlannedTreeSketch(const VecxPlannedFilters *planned, const VecxOpSpec *spec, VecxMetaPageData *meta)
{
	if (planned->filters.ncolumns > 0)
		VecxTreeChooseSketch(spec, meta);
}

/* Bytes of the value tree of so many rows. */
double
VecxPlannedTreeBytes(const VecxPlannedFilters *planned, const VecxMetaPageData *meta, double rows)
{
	Size		entry = sizeof(VecxTreeKey) + meta->tree_sketch;

	return ceil(rows * planned->entries / (VecxTreeCapacity(entry) * LEAF_IN_USE)) * BLCKSZ;
}

/*
 * filter.c
 *    Which filter columns an index has, and how their values lie in row entries.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "am/am.h"
#include "am/filter.h"

/* Values of fixed length up to this are kept; others take a slot for their hash. */
#define MAX_FIXED	16

/* Bits of an array's Bloom filter that each element sets. */
#define BLOOM_BITS	3

static VecxFilterOrder
order_of_type(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return VECX_ORDER_INT;
		case FLOAT4OID:
		case FLOAT8OID:
			return VECX_ORDER_FLOAT;
		case NUMERICOID:
			return VECX_ORDER_NUMERIC;
		case DATEOID:
		case TIMESTAMPOID:
			return VECX_ORDER_TIMESTAMP;
		case TIMESTAMPTZOID:
			return VECX_ORDER_TIMESTAMPTZ;
		case UUIDOID:
			return VECX_ORDER_UUID;
		default:
			return VECX_ORDER_HASH;
	}
}

/*
 * Whether the operators of a class are those of its type's own order: a class may
 * come with another, which numbers do not follow.
 */
static bool
has_own_order(const VecxFilterColumn *column, Oid family)
{
	TypeCacheEntry *entry = lookup_type_cache(column->type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR |
											  TYPECACHE_GT_OPR);
	const Oid	own[] = {entry->lt_opr, get_negator(entry->gt_opr), entry->eq_opr,
	get_negator(entry->lt_opr), entry->gt_opr, get_negator(entry->eq_opr)};

	for (int strategy = VECX_LESS_STRATEGY; strategy <= VECX_NOT_EQUAL_STRATEGY; strategy++)
	{
		Oid			member = get_opfamily_member(family, column->input_type, column->input_type,
												 (int16) strategy);

		if (OidIsValid(member) && member != own[strategy - VECX_LESS_STRATEGY])
			return false;
	}
	return true;
}

/*
 * The hash of a value's type, if its equality is that of the operator class: a
 * class may come with an equality of its own.
 */
static FmgrInfo *
find_hash(const VecxFilterColumn *column, TypeCacheEntry *type, Oid family)
{
	Oid			equal = get_opfamily_member(family, column->input_type, column->input_type,
											VECX_EQUAL_STRATEGY);

	if (!OidIsValid(type->hash_extended_proc) ||
		(column->kind != VECX_FILTER_ARRAY && equal != type->eq_opr))
		return NULL;
	return &type->hash_extended_proc_finfo;
}

static void
choose_place(VecxFilterColumn *column, bool is_array)
{
	if (is_array)
	{
		column->kind = VECX_FILTER_ARRAY;
		column->width = VECX_FILTER_ARRAY_SLOT;
	}
	else if (column->typlen > 0 && column->typlen <= MAX_FIXED)
	{
		column->kind = VECX_FILTER_FIXED;
		column->width = (uint16) column->typlen;
	}
	else
	{
		column->kind = column->typlen == -1 ? VECX_FILTER_VARLENA : VECX_FILTER_LONG;
		column->width = column->type == NUMERICOID ? VECX_FILTER_NUMERIC : VECX_FILTER_SLOT;
	}
}

/* What a column's type and the input type of its operator class say. */
static void
describe_column(VecxFilterColumn *column, Oid type, Oid family, Oid input_type)
{
	bool		is_array = OidIsValid(get_opfamily_member(family, input_type, input_type,
														  VECX_OVERLAPS_STRATEGY));

	type = getBaseType(type);
	is_array &= OidIsValid(get_base_element_type(type));
	column->input_type = input_type;
	column->type = is_array ? getBaseType(get_base_element_type(type)) : type;
	get_typlenbyvalalign(column->type, &column->typlen, &column->byval, &column->align);
	choose_place(column, is_array);
}

static void
open_column(VecxFilterColumn *column, Relation index, AttrNumber attno)
{
	Oid			family = index->rd_opfamily[attno - 1];
	bool		is_array;
	TypeCacheEntry *entry;

	column->attno = attno;
	column->collation = index->rd_indcollation[attno - 1];
	describe_column(column, TupleDescAttr(RelationGetDescr(index), attno - 1)->atttypid, family,
					index->rd_opcintype[attno - 1]);
	is_array = column->kind == VECX_FILTER_ARRAY;
	column->order = order_of_type(column->type);
	if (!is_array && column->order != VECX_ORDER_HASH && !has_own_order(column, family))
		column->order = VECX_ORDER_NONE;
	column->hash = column->equal = NULL;
	if (column->kind == VECX_FILTER_FIXED && column->order != VECX_ORDER_HASH)
		return;
	entry = lookup_type_cache(column->type, TYPECACHE_EQ_OPR | TYPECACHE_EQ_OPR_FINFO |
							  TYPECACHE_HASH_EXTENDED_PROC | TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	column->hash = find_hash(column, entry, family);
	if (is_array && OidIsValid(entry->eq_opr))
		column->equal = &entry->eq_opr_finfo;
	if (column->order == VECX_ORDER_HASH && !column->hash)
		column->order = VECX_ORDER_NONE;
}

/* Gives the columns their places in a row entry. */
static void
lay_out(VecxFilters *filters)
{
	Size		offset = (Size) (filters->ncolumns + 3) / 4;

	if (filters->ncolumns == 0)
		return;
	for (int i = 0; i < filters->ncolumns; i++)
	{
		filters->columns[i].offset = (uint16) offset;
		offset += filters->columns[i].width;
	}
	filters->nbytes = TYPEALIGN(sizeof(uint32), offset);
}

/* What the catalogs say of the filter columns. */
static void
open_columns(Relation index, VecxFilters *filters)
{
	memset(filters, 0, sizeof(VecxFilters));
	filters->ncolumns = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	Assert(filters->ncolumns <= VECX_MAX_FILTERS);
	for (int i = 0; i < filters->ncolumns; i++)
		open_column(&filters->columns[i], index, (AttrNumber) (i + 2));
	lay_out(filters);
}

/*
 * The filter columns of an index; an index without any has no filter bytes.  The relation
 * remembers them: they take some twenty look-ups each, as long as a small search.  An
 * invalidation may forget what it remembers at any time, hence a copy.  As of other
 * indexes, a session may go on by what an operator family was before ALTER OPERATOR FAMILY.
 */
const VecxFilters *
VecxFiltersMake(Relation index)
{
	static const VecxFilters none = {0, 0};
	VecxFilters *filters;

	if (IndexRelationGetNumberOfKeyAttributes(index) == 1)
		return &none;
	filters = palloc(sizeof(VecxFilters));
	if (index->rd_amcache)
		memcpy(filters, index->rd_amcache, sizeof(VecxFilters));
	else
	{
		open_columns(index, filters);
		index->rd_amcache = memcpy(MemoryContextAlloc(index->rd_indexcxt, sizeof(VecxFilters)),
								   filters, sizeof(VecxFilters));
	}
	return filters;
}

/*
 * The filter columns that an index on columns of these types would have, each by an operator
 * class: what takes room, not what tests conditions.
 */
void
VecxFiltersOfTypes(int ncolumns, const Oid *types, const Oid *opclasses, VecxFilters *filters)
{
	Assert(ncolumns <= VECX_MAX_FILTERS);
	memset(filters, 0, sizeof(VecxFilters));
	filters->ncolumns = ncolumns;
	for (int i = 0; i < ncolumns; i++)
		describe_column(&filters->columns[i], types[i], get_opclass_family(opclasses[i]),
						get_opclass_input_type(opclasses[i]));
	lay_out(filters);
}

uint64
VecxFilterHash(const VecxFilterColumn *column, Datum value)
{
	return DatumGetUInt64(FunctionCall2Coll(column->hash, column->collation, value,
											UInt64GetDatum(0)));
}

static void
store_fixed(const VecxFilterColumn *column, Datum value, uint8 *to)
{
	if (!column->byval)
		memcpy(to, DatumGetPointer(value), column->typlen);
	else
	{
		union
		{
			char		c;
			int16		i2;
			int32		i4;
			Datum		d;
		}			v;

		store_att_byval(&v, value, column->typlen);
		memcpy(to, &v, column->typlen);
	}
}

/* What is kept of a wide value: its hash, and its number. */
static void
store_wide(const VecxFilterColumn *column, Datum value, uint8 *to)
{
	uint64		wide[2] = {0, 0};

	if (column->hash)
		wide[0] = VecxFilterHash(column, value);
	if (!VecxFilterKey(column, column->type, value, &wide[1]))
		wide[1] = 0;
	memcpy(to, wide, sizeof(wide));
}

static int
store_varlena(const VecxFilterColumn *column, Datum value, uint8 *to)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(value);
	Size		nbytes = VARSIZE_ANY_EXHDR(v) + VARHDRSZ_SHORT;

	if (nbytes > column->width)
	{
		store_wide(column, PointerGetDatum(v), to);
		return VECX_FILTER_WIDE;
	}
	SET_VARSIZE_SHORT(to, nbytes);
	memcpy(VARDATA_SHORT(to), VARDATA_ANY(v), nbytes - VARHDRSZ_SHORT);
	return VECX_FILTER_WHOLE;
}

/*
 * Elements of an array, one after the other, behind their number.  False if they
 * do not fit.  NULLs among them are left out: no condition is met by one.
 */
static bool
store_elements(const VecxFilterColumn *column, const Datum *elems, const bool *nulls, int n,
			   uint8 *to)
{
	Size		at = 1;
	uint8		count = 0;

	for (int i = 0; i < n; i++)
	{
		Size		nbytes;

		if (nulls[i])
			continue;
		if (column->typlen > 0)
			nbytes = (Size) column->typlen;
		else if (column->typlen == -1)
			nbytes = VARSIZE_ANY_EXHDR(DatumGetPointer(elems[i])) + VARHDRSZ_SHORT;
		else
			return false;
		if (at + nbytes > column->width)
			return false;
		if (column->typlen > 0)
			store_fixed(column, elems[i], to + at);
		else
		{
			SET_VARSIZE_SHORT(to + at, nbytes);
			memcpy(VARDATA_SHORT(to + at), VARDATA_ANY(DatumGetPointer(elems[i])),
				   nbytes - VARHDRSZ_SHORT);
		}
		at += nbytes;
		count++;
	}
	to[0] = count;
	return true;
}

static void
bloom_add(const VecxFilterColumn *column, uint8 *bloom, uint64 hash)
{
	for (int i = 0; i < BLOOM_BITS; i++, hash >>= 16)
	{
		uint32		bit = (uint32) (hash & 0xFFFF) % (column->width * 8u);

		bloom[bit / 8] |= (uint8) (1 << bit % 8);
	}
}

/* False if no element of that hash is in the array. */
bool
VecxFilterBloomHas(const VecxFilterColumn *column, const uint8 *bloom, uint64 hash)
{
	for (int i = 0; i < BLOOM_BITS; i++, hash >>= 16)
	{
		uint32		bit = (uint32) (hash & 0xFFFF) % (column->width * 8u);

		if (!(bloom[bit / 8] & (1 << bit % 8)))
			return false;
	}
	return true;
}

static int
store_array(const VecxFilterColumn *column, Datum value, uint8 *to)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, ARR_ELEMTYPE(array), column->typlen, column->byval, column->align,
					  &elems, &nulls, &n);
	if (store_elements(column, elems, nulls, n, to))
		return VECX_FILTER_WHOLE;
	memset(to, column->hash ? 0 : 0xFF, column->width);
	for (int i = 0; i < n && column->hash; i++)
		if (!nulls[i])
			bloom_add(column, to, VecxFilterHash(column, elems[i]));
	return VECX_FILTER_WIDE;
}

static int
store_value(const VecxFilterColumn *column, Datum value, uint8 *to)
{
	switch (column->kind)
	{
		case VECX_FILTER_FIXED:
			store_fixed(column, value, to);
			return VECX_FILTER_WHOLE;
		case VECX_FILTER_VARLENA:
			return store_varlena(column, value, to);
		case VECX_FILTER_LONG:
			store_wide(column, value, to);
			return VECX_FILTER_WIDE;
		case VECX_FILTER_ARRAY:
			return store_array(column, value, to);
	}
	pg_unreachable();
}

/*
 * The filter bytes of a row, whose values are those of all columns of the index.
 * What it allocates in the current context is left to the caller.
 */
void
VecxFilterForm(const VecxFilters *filters, const Datum *values, const bool *isnull, uint8 *bytes)
{
	memset(bytes, 0, filters->nbytes);
	for (int i = 0; i < filters->ncolumns; i++)
	{
		const VecxFilterColumn *column = &filters->columns[i];
		int			at = column->attno - 1;
		int			state;

		if (isnull[at])
			continue;
		state = store_value(column, values[at], bytes + column->offset);
		bytes[i / 4] |= (uint8) (state << (i % 4 * 2));
	}
}

/*
 * The value that starts at from: in place if it need not be aligned, else in room,
 * which has VECX_FILTER_VALUE_WORDS words.
 */
Datum
VecxFilterValue(const VecxFilterColumn *column, const uint8 *from, void *room)
{
	if (column->typlen == -1)
		return PointerGetDatum(from);
	if (!column->byval && column->align == TYPALIGN_CHAR)
		return PointerGetDatum(from);
	memcpy(room, from, column->typlen);
	return fetch_att(room, column->byval, column->typlen);
}

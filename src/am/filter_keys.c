/*
 * filter_keys.c
 *    Numbers of 64 bits for values of filter columns, by which lists of vertices
 *    are sorted and searched.
 *
 * Numbers lose what does not fit them, so that whatever is found by them is tested
 * again.  They are comparable across the types of a family.  Types whose order
 * cannot be told by 8 bytes, as that of text under a collation, are hashed.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "am/filter.h"

/* Elements of an array that rows are looked for by which must have all of it. */
#define MOST_CONTAINED	64

/* NaN is the greatest, and both zeros are the same. */
static uint64
key_of_float(double value)
{
	uint64		bits;

	if (isnan(value))
		return VECX_KEY_GREATEST;
	if (value == 0)
		value = 0;
	memcpy(&bits, &value, sizeof(bits));
	return bits & (UINT64CONST(1) << 63) ? ~bits : bits | (UINT64CONST(1) << 63);
}

/* What lies in a page has a short header, of which the function would leave a copy each time. */
static uint64
key_of_numeric(Datum value)
{
	Numeric		number = DatumGetNumeric(value);
	uint64		key = key_of_float(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
																	  NumericGetDatum(number))));

	if ((Pointer) number != DatumGetPointer(value))
		pfree(number);
	return key;
}

/* A date as the timestamp of its midnight, as far as there is one. */
static uint64
key_of_date(DateADT date)
{
	if (DATE_IS_NOBEGIN(date))
		return VecxKeyOfInt(DT_NOBEGIN);
	if (DATE_IS_NOEND(date) || date >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE)
		return VecxKeyOfInt(DT_NOEND);
	return VecxKeyOfInt((int64) date * USECS_PER_DAY);
}

static uint64
key_of_uuid(Datum value)
{
	uint64		key;

	memcpy(&key, DatumGetUUIDP(value)->data, sizeof(key));
	return Min(pg_ntoh64(key), VECX_KEY_GREATEST);
}

/*
 * Whether values of some type of the column's family have numbers that compare with
 * those of the column.
 */
bool
VecxFilterHasKey(const VecxFilterColumn *column, Oid type)
{
	switch (column->order)
	{
		case VECX_ORDER_INT:
			return type == INT2OID || type == INT4OID || type == INT8OID || type == BOOLOID;
		case VECX_ORDER_FLOAT:
			return type == FLOAT4OID || type == FLOAT8OID;
		case VECX_ORDER_NUMERIC:
			return type == NUMERICOID;
		case VECX_ORDER_TIMESTAMP:
			/* what a timestamp with time zone is here depends on the session */
			return type == DATEOID || type == TIMESTAMPOID;
		case VECX_ORDER_TIMESTAMPTZ:
			return type == TIMESTAMPTZOID;
		case VECX_ORDER_UUID:
			return type == UUIDOID;
		case VECX_ORDER_HASH:
			return type == column->type;
		case VECX_ORDER_NONE:
			break;
	}
	return false;
}

/* The number of a value of such a type; false if it has none. */
bool
VecxFilterKey(const VecxFilterColumn *column, Oid type, Datum value, uint64 *key)
{
	if (!VecxFilterHasKey(column, type))
		return false;
	if (column->order == VECX_ORDER_HASH)
	{
		*key = Min(VecxFilterHash(column, value), VECX_KEY_GREATEST);
		return true;
	}
	switch (type)
	{
		case BOOLOID:
			*key = VecxKeyOfInt(DatumGetBool(value));
			return true;
		case INT2OID:
			*key = VecxKeyOfInt(DatumGetInt16(value));
			return true;
		case INT4OID:
			*key = VecxKeyOfInt(DatumGetInt32(value));
			return true;
		case INT8OID:
			*key = VecxKeyOfInt(DatumGetInt64(value));
			return true;
		case FLOAT4OID:
			*key = key_of_float((double) DatumGetFloat4(value));
			return true;
		case FLOAT8OID:
			*key = key_of_float(DatumGetFloat8(value));
			return true;
		case NUMERICOID:
			*key = key_of_numeric(value);
			return true;
		case DATEOID:
			*key = key_of_date(DatumGetDateADT(value));
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			*key = VecxKeyOfInt(DatumGetTimestamp(value));
			return true;
		case UUIDOID:
			*key = key_of_uuid(value);
			return true;
	}
	pg_unreachable();
}

/* One that cannot be told has the least number there is. */
static uint64
key_or_least(const VecxFilterColumn *column, Datum value)
{
	uint64		key;

	return VecxFilterKey(column, column->type, value, &key) ? key : 0;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/* Sorts numbers and drops those that are there twice; returns how many are left. */
static int
sort_keys(uint64 *keys, int n)
{
	int			kept = 0;

	qsort(keys, n, sizeof(uint64), compare_keys);
	for (int i = 0; i < n; i++)
		if (kept == 0 || keys[kept - 1] != keys[i])
			keys[kept++] = keys[i];
	return kept;
}

/*
 * The numbers of a value of a column as the row has it: one, or those of an array's
 * elements, without repetitions; of an array without any the least number, so that
 * every row has one.  *keys is allocated.
 */
int
VecxFilterKeys(const VecxFilters *filters, int column, Datum value, bool isnull, uint64 **keys)
{
	const VecxFilterColumn *c = &filters->columns[column];
	ArrayType  *array;
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	int			n = 0;

	if (isnull || c->kind != VECX_FILTER_ARRAY)
	{
		*keys = palloc(sizeof(uint64));
		**keys = isnull ? VECX_KEY_NULL : key_or_least(c, value);
		return 1;
	}
	array = DatumGetArrayTypeP(value);
	deconstruct_array(array, ARR_ELEMTYPE(array), c->typlen, c->byval, c->align,
					  &elems, &nulls, &nelems);
	*keys = palloc(sizeof(uint64) * Max(nelems, 1));
	for (int i = 0; i < nelems; i++)
		if (!nulls[i])
			(*keys)[n++] = key_or_least(c, elems[i]);
	if (n == 0)
		(*keys)[n++] = 0;
	return sort_keys(*keys, n);
}

/*
 * The same from the filter bytes of a row entry, up to max of them; -1 if the
 * bytes do not tell, as those of a wide array.
 */
int
VecxFilterKeysOfBytes(const VecxFilters *filters, int column, const uint8 *bytes,
					  uint64 *keys, int max)
{
	const VecxFilterColumn *c = &filters->columns[column];
	int			state = VecxFilterState(bytes, column);
	const uint8 *from = bytes + c->offset;
	uint64		room[VECX_FILTER_VALUE_WORDS];
	int			n = 0;

	Assert(max >= 1);
	if (state == VECX_FILTER_NULL)
	{
		keys[0] = VECX_KEY_NULL;
		return 1;
	}
	if (c->kind != VECX_FILTER_ARRAY)
	{
		if (state == VECX_FILTER_WIDE)
			memcpy(keys, from + sizeof(uint64), sizeof(uint64));
		else
			keys[0] = key_or_least(c, VecxFilterValue(c, from, room));
		return 1;
	}
	if (state == VECX_FILTER_WIDE || from[0] > max)
		return -1;
	for (int i = 0, at = 1; i < from[0]; i++)
	{
		keys[n++] = key_or_least(c, VecxFilterValue(c, from + at, room));
		at += VecxFilterElementSize(c, from + at);
	}
	if (n == 0)
		keys[n++] = 0;
	return sort_keys(keys, n);
}

/* Stretches that two conditions on one column leave together. */
static int
intersect(const VecxStretch *a, int na, const VecxStretch *b, int nb, VecxStretch *out)
{
	int			n = 0;

	for (int i = 0, j = 0; i < na && j < nb;)
	{
		uint64		lo = Max(a[i].lo, b[j].lo);
		uint64		hi = Min(a[i].hi, b[j].hi);

		if (lo <= hi)
			out[n++] = (VecxStretch) {lo, hi, a[i].column};
		if (a[i].hi < b[j].hi)
			i++;
		else
			j++;
	}
	return n;
}

/* Adds what a condition needs; scalar conditions on one column become one. */
static void
add_need(const VecxFilterQuery *query, VecxFilterNeed *needs, int *n, int column,
		 VecxStretch *stretches, int nstretches)
{
	/* each of an array's is one by itself, of which there may be many */
	bool		one = query->filters->columns[column].kind != VECX_FILTER_ARRAY;

	for (int i = 0; one && i < *n; i++)
		if (needs[i].stretches[0].column == column)
		{
			VecxStretch *both = MemoryContextAllocHuge(CurrentMemoryContext,
													   sizeof(VecxStretch) * Max(needs[i].nstretches + nstretches, 1));

			/* a column even if nothing is left */
			both[0].column = column;
			needs[i].nstretches = intersect(needs[i].stretches, needs[i].nstretches,
											stretches, nstretches, both);
			needs[i].stretches = both;
			return;
		}
	needs[*n].nstretches = nstretches;
	needs[(*n)++].stretches = stretches;
}

static VecxStretch *
one_stretch(int column, uint64 lo, uint64 hi)
{
	VecxStretch *stretch = palloc(sizeof(VecxStretch));

	*stretch = (VecxStretch) {lo, hi, column};
	return stretch;
}

/* Whether different values of the column's family have different numbers, this one and
 * what is on either side of it. */
static bool
is_exact(const VecxFilterColumn *column, uint64 number)
{
	switch (column->order)
	{
		case VECX_ORDER_INT:
		case VECX_ORDER_FLOAT:
		case VECX_ORDER_TIMESTAMP:
		case VECX_ORDER_TIMESTAMPTZ:
			return number < VECX_KEY_GREATEST;
		default:
			return false;
	}
}

/* The numbers of values less than an argument, or no greater. */
static VecxStretch *
stretch_up_to(const VecxFilterKeyTest *key, const VecxFilterColumn *column, uint64 number, int *n)
{
	bool		less = key->strategy == VECX_LESS_STRATEGY && is_exact(column, number);

	*n = less && number == 0 ? 0 : 1;
	return one_stretch(key->column, 0, less ? number - *n : number);
}

/* The numbers of values greater than an argument, or no less. */
static VecxStretch *
stretch_from(const VecxFilterKeyTest *key, const VecxFilterColumn *column, uint64 number, int *n)
{
	bool		greater = key->strategy == VECX_GREATER_STRATEGY && is_exact(column, number);

	*n = 1;
	return one_stretch(key->column, greater ? number + 1 : number, VECX_KEY_GREATEST);
}

/* The numbers of a condition's arguments as stretches of one number each. */
static VecxStretch *
points_of(const VecxFilterKeyTest *key, int *n)
{
	VecxStretch *points = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(VecxStretch) * Max(key->nargs, 1));

	*n = 0;
	for (int i = 0; i < key->nargs; i++)
		if (*n == 0 || points[*n - 1].hi != key->numbers[i])
			points[(*n)++] = (VecxStretch) {key->numbers[i], key->numbers[i], key->column};
	return points;
}

/*
 * The stretches that a condition tells; NULL if it tells nothing.  Of an array that has to
 * contain several elements each is one by itself: *all says that a row has all of them.
 */
static VecxStretch *
stretches_of(const VecxFilterQuery *query, const VecxFilterKeyTest *key, int *n, bool *all)
{
	const VecxFilterColumn *column = &query->filters->columns[key->column];
	bool		is_array = column->kind == VECX_FILTER_ARRAY;
	bool		hashed = column->order == VECX_ORDER_HASH;

	*all = false;
	*n = 1;
	if (key->is_null)
		return one_stretch(key->column, VECX_KEY_NULL, VECX_KEY_NULL);
	if (key->is_not_null)
		return one_stretch(key->column, 0, VECX_KEY_GREATEST);
	if (!key->numbers || key->whole_array || key->nargs == 0)
		return NULL;
	switch (key->strategy)
	{
		case VECX_LESS_STRATEGY:
		case VECX_LESS_EQUAL_STRATEGY:
			/* of several arguments the one that lets most pass */
			return hashed ? NULL : stretch_up_to(key, column, key->numbers[key->nargs - 1], n);
		case VECX_GREATER_STRATEGY:
		case VECX_GREATER_EQUAL_STRATEGY:
			return hashed ? NULL : stretch_from(key, column, key->numbers[0], n);
		case VECX_EQUAL_STRATEGY:
			return points_of(key, n);
		case VECX_OVERLAPS_STRATEGY:
			/* of what is no array, a whole that overlaps another need not be equal */
			return is_array ? points_of(key, n) : NULL;
		case VECX_CONTAINS_STRATEGY:
			*all = true;
			return is_array ? points_of(key, n) : NULL;
		default:
			return NULL;
	}
}

/* The needs that conditions which all have to be met may have, at most. */
static int
most_needs(const VecxFilterKeyTest *keys, int nkeys)
{
	int			most = 0;

	for (int i = 0; i < nkeys; i++)
		most += Min(Max(keys[i].nargs, 1), MOST_CONTAINED);
	return most;
}

/* Fills in what such conditions need, and returns how many needs that are. */
static int
needs_of(const VecxFilterQuery *query, const VecxFilterKeyTest *keys, int nkeys, VecxFilterNeed *needs)
{
	int			n = 0;

	for (int i = 0; i < nkeys; i++)
	{
		int			count;
		bool		all;
		VecxStretch *stretches = stretches_of(query, &keys[i], &count, &all);

		if (!stretches)
			continue;
		if (!all)
			add_need(query, needs, &n, keys[i].column, stretches, count);
		/* some are enough to find the row by */
		for (int j = 0; all && j < Min(count, MOST_CONTAINED); j++)
			add_need(query, needs, &n, keys[i].column, &stretches[j], 1);
	}
	return n;
}

/* The need of an arm that has the fewest entries; false if its conditions tell nothing. */
static bool
need_of_arm(const VecxFilterQuery *query, const VecxFilterArm *arm, VecxCountNeed count, void *arg,
			VecxFilterNeed *best)
{
	VecxFilterNeed *needs = palloc(sizeof(VecxFilterNeed) * Max(most_needs(arm->keys, arm->nkeys), 1));
	int			n = needs_of(query, arm->keys, arm->nkeys, needs);
	double		fewest = 0;

	for (int i = 0; i < n; i++)
	{
		double		entries = n > 1 ? count(&needs[i], arg) : 0;

		if (i > 0 && entries >= fewest)
			continue;
		*best = needs[i];
		fewest = entries;
	}
	return n > 0;
}

/* The stretches of all arms; false if one tells nothing. */
static bool
need_of_or(const VecxFilterQuery *query, const VecxFilterOr *any, VecxCountNeed count, void *arg,
		   VecxFilterNeed *need)
{
	VecxFilterNeed *arms = palloc(sizeof(VecxFilterNeed) * Max(any->narms, 1));

	need->nstretches = 0;
	for (int i = 0; i < any->narms; i++)
	{
		if (!need_of_arm(query, &any->arms[i], count, arg, &arms[i]))
			return false;
		need->nstretches += arms[i].nstretches;
	}
	need->stretches = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(VecxStretch) * Max(need->nstretches, 1));
	need->nstretches = 0;
	for (int i = 0; i < any->narms; i++)
	{
		memcpy(need->stretches + need->nstretches, arms[i].stretches, sizeof(VecxStretch) * arms[i].nstretches);
		need->nstretches += arms[i].nstretches;
	}
	pfree(arms);
	return true;
}

/*
 * What the conditions of a query need: each row that passes has, for every need, a
 * number within one of its stretches.  Of conditions that do not
 * tell there is none.  count tells how many entries a need has: of an arm's the one with the
 * fewest is taken.  Allocates in the current context.
 */
VecxFilterNeed *
VecxFilterNeeds(const VecxFilterQuery *query, VecxCountNeed count, void *arg, int *n)
{
	VecxFilterNeed *needs = palloc(sizeof(VecxFilterNeed) *
								   Max(most_needs(query->keys, query->nkeys) + query->nors, 1));

	*n = needs_of(query, query->keys, query->nkeys, needs);
	for (int i = 0; i < query->nors; i++)
		*n += need_of_or(query, &query->ors[i], count, arg, &needs[*n]);
	return needs;
}

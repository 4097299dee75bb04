/*
 * filter_test.c
 *    Conditions on filter columns, tested on row entries.
 *
 * A value that is kept whole is given to the condition's own function.  Of a wide
 * one the hash refutes an equality, and the number may decide an order; else the
 * row itself has to be looked at.  Conditions on arrays are tested element by element.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "am/filter.h"

/* From so many arguments of IN on their numbers are searched first. */
#define SEARCHED_ARGS	6

/* An argument while they are sorted. */
typedef struct Argument
{
	uint64		number;
	Datum		value;
} Argument;

static int
compare_arguments(const void *a, const void *b)
{
	uint64		x = ((const Argument *) a)->number;
	uint64		y = ((const Argument *) b)->number;

	return (x > y) - (x < y);
}

/* Sorts the arguments by their numbers, if all have one. */
static void
number_args(VecxFilterKeyTest *key, const VecxFilterColumn *column)
{
	Argument   *args = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Argument) * Max(key->nargs, 1));

	for (int i = 0; i < key->nargs; i++)
	{
		args[i].value = key->args[i];
		if (!VecxFilterKey(column, key->type, key->args[i], &args[i].number))
		{
			pfree(args);
			return;
		}
	}
	qsort(args, key->nargs, sizeof(Argument), compare_arguments);
	key->numbers = palloc(sizeof(uint64) * Max(key->nargs, 1));
	for (int i = 0; i < key->nargs; i++)
	{
		key->args[i] = args[i].value;
		key->numbers[i] = args[i].number;
	}
	pfree(args);
}

static void
hash_args(VecxFilterKeyTest *key, const VecxFilterColumn *column)
{
	if (!column->hash || !key->same_type || key->collation != column->collation)
		return;
	key->hashes = palloc(sizeof(uint64) * Max(key->nargs, 1));
	for (int i = 0; i < key->nargs; i++)
		key->hashes[i] = VecxFilterHash(column, key->args[i]);
}

/* The elements of an array that are not NULL; returns whether any is. */
static bool
take_elements(VecxFilterKeyTest *key, ArrayType *array)
{
	int16		typlen;
	bool		byval;
	char		align;
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			kept = 0;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, byval, align, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			elems[kept++] = elems[i];
	key->args = elems;
	key->nargs = kept;
	return kept < n;
}

/* Whether the elements of an array tell if it meets a condition, which a function tests
 * with an array of elements of that type. */
bool
VecxFilterByElements(const VecxFilterColumn *column, int strategy, Oid func, Oid type)
{
	if (!column->equal || type != column->type)
		return false;
	return (strategy == VECX_OVERLAPS_STRATEGY && func == F_ARRAYOVERLAP) ||
		(strategy == VECX_CONTAINS_STRATEGY && func == F_ARRAYCONTAINS);
}

/* The elements that a condition on a column of arrays is about.  False if no array
 * can meet it. */
static bool
take_array(VecxFilterKeyTest *key, const VecxFilterColumn *column, ScanKey from)
{
	ArrayType  *array = DatumGetArrayTypeP(from->sk_argument);
	bool		has_null = take_elements(key, array);

	key->type = ARR_ELEMTYPE(array);
	key->same_type = key->type == column->type;
	key->whole_array = !VecxFilterByElements(column, key->strategy, from->sk_func.fn_oid, key->type);
	if (key->whole_array)
		return true;
	if (key->strategy == VECX_OVERLAPS_STRATEGY)
		return key->nargs > 0;
	return !has_null;
}

/*
 * Lets an integer's number decide where that says all: the greatest number stands for
 * several values.  Integers of one family compare as their numbers do.
 */
static void
take_number(VecxFilterKeyTest *key, const VecxFilterColumn *column)
{
	uint64		number;

	if (column->kind != VECX_FILTER_FIXED || column->order != VECX_ORDER_INT ||
		key->strategy < VECX_LESS_STRATEGY || key->strategy > VECX_NOT_EQUAL_STRATEGY ||
		key->nargs != 1 || !key->numbers || key->numbers[0] >= VECX_KEY_GREATEST)
		return;
	number = key->numbers[0];
	key->by_number = true;
	key->outside = key->strategy == VECX_NOT_EQUAL_STRATEGY;
	if (key->outside)
	{
		key->lo = key->hi = number;
		return;
	}
	key->lo = key->strategy == VECX_EQUAL_STRATEGY || key->strategy == VECX_GREATER_EQUAL_STRATEGY ? number :
		key->strategy == VECX_GREATER_STRATEGY ? number + 1 : 0;
	key->hi = key->strategy == VECX_EQUAL_STRATEGY || key->strategy == VECX_LESS_EQUAL_STRATEGY ? number :
		key->strategy == VECX_LESS_STRATEGY ? Max(number, 1) - 1 : VECX_KEY_GREATEST;
	if (key->strategy == VECX_LESS_STRATEGY && number == 0)
		key->lo = VECX_KEY_GREATEST;	/* less than the least: none is */
}

/* False if no row can meet the condition. */
static bool
take_key(VecxFilterKeyTest *key, const VecxFilters *filters, ScanKey from)
{
	const VecxFilterColumn *column = &filters->columns[from->sk_attno - 2];

	memset(key, 0, sizeof(VecxFilterKeyTest));
	key->column = from->sk_attno - 2;
	key->is_null = (from->sk_flags & SK_SEARCHNULL) != 0;
	key->is_not_null = (from->sk_flags & SK_SEARCHNOTNULL) != 0;
	if (key->is_null || key->is_not_null)
		return true;
	if (from->sk_flags & SK_ISNULL)
		return false;
	key->strategy = from->sk_strategy;
	key->collation = from->sk_collation;
	key->func = &from->sk_func;
	if (column->kind == VECX_FILTER_ARRAY)
	{
		if (!take_array(key, column, from))
			return false;
	}
	else
	{
		key->type = VecxFilterArgType(column, from->sk_subtype);
		key->same_type = key->type == column->type;
		if (from->sk_flags & SK_SEARCHARRAY)
			(void) take_elements(key, DatumGetArrayTypeP(from->sk_argument));
		else
		{
			key->args = palloc(sizeof(Datum));
			key->args[0] = from->sk_argument;
			key->nargs = 1;
		}
		if (key->nargs == 0)
			return false;
	}
	number_args(key, column);
	take_number(key, column);
	hash_args(key, column);
	return true;
}

/* False if no row can meet any arm. */
static bool
take_or(VecxFilterOr *result, const VecxFilters *filters, const VecxOrKeys *from)
{
	result->narms = 0;
	result->arms = palloc0(sizeof(VecxFilterArm) * from->narms);
	for (int i = 0; i < from->narms; i++)
	{
		VecxFilterArm *arm = &result->arms[result->narms];
		bool		possible = true;

		arm->nkeys = from->nkeys[i];
		arm->keys = palloc(sizeof(VecxFilterKeyTest) * arm->nkeys);
		for (int j = 0; j < arm->nkeys && possible; j++)
			possible = take_key(&arm->keys[j], filters, &from->keys[i][j]);
		result->narms += possible;
	}
	return result->narms > 0;
}

/*
 * What the keys of a scan on filter columns demand, ORs over several of them, and a set of
 * TIDs that rows must be in, if there is one.  NULL if that is nothing.  The keys are kept
 * by reference.
 */
VecxFilterQuery *
VecxFilterQueryMake(const VecxFilters *filters, MemoryContext cxt, ScanKey keys, int nkeys,
					const VecxOrKeys *ors, int nors, VecxTidTest tid_test, void *tid_arg)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VecxFilterQuery *query = palloc0(sizeof(VecxFilterQuery));

	query->filters = filters;
	query->keys = palloc(sizeof(VecxFilterKeyTest) * Max(nkeys, 1));
	query->tid_test = tid_test;
	query->tid_arg = tid_arg;
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i].sk_attno <= 1)
			continue;
		if (!take_key(&query->keys[query->nkeys], filters, &keys[i]))
			query->never = true;
		else
			query->nkeys++;
	}
	query->nors = nors;
	query->ors = palloc(sizeof(VecxFilterOr) * Max(nors, 1));
	for (int i = 0; i < nors; i++)
		if (!take_or(&query->ors[i], filters, &ors[i]))
			query->never = true;
	if (query->nkeys == 0 && nors == 0 && !query->never && !tid_test)
		query = NULL;
	else
		query->cxt = AllocSetContextCreate(cxt, "vecx filter", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(old);
	return query;
}

static bool
calls_true(const VecxFilterKeyTest *key, Datum value, Datum arg)
{
	return DatumGetBool(FunctionCall2Coll(key->func, key->collation, value, arg));
}

/* The first argument whose number is not less. */
static int
first_arg(const VecxFilterKeyTest *key, uint64 number)
{
	int			lo = 0;
	int			hi = key->nargs;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (key->numbers[mid] < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Whether the condition holds for one of its arguments. */
static bool
test_whole(const VecxFilterKeyTest *key, const VecxFilterColumn *column, Datum value)
{
	uint64		number;

	if (key->nargs < SEARCHED_ARGS || !key->numbers || key->strategy != VECX_EQUAL_STRATEGY ||
		!VecxFilterKey(column, column->type, value, &number))
	{
		for (int i = 0; i < key->nargs; i++)
			if (calls_true(key, value, key->args[i]))
				return true;
		return false;
	}
	for (int i = first_arg(key, number); i < key->nargs && key->numbers[i] == number; i++)
		if (calls_true(key, value, key->args[i]))
			return true;
	return false;
}

/* The same of a value of which only hash and number are kept. */
static VecxPass
test_wide(const VecxFilterKeyTest *key, const VecxFilterColumn *column, const uint8 *from)
{
	uint64		wide[2];

	memcpy(wide, from, sizeof(wide));
	if (key->strategy == VECX_EQUAL_STRATEGY && key->hashes)
	{
		for (int i = 0; i < key->nargs; i++)
			if (key->hashes[i] == wide[0])
				return VECX_PASS_MAYBE;
		return VECX_PASS_NO;
	}
	if (!key->numbers || column->order == VECX_ORDER_HASH)
		return VECX_PASS_MAYBE;
	switch (key->strategy)
	{
		case VECX_LESS_STRATEGY:
		case VECX_LESS_EQUAL_STRATEGY:
			return wide[1] < key->numbers[key->nargs - 1] ? VECX_PASS_YES :
				wide[1] > key->numbers[key->nargs - 1] ? VECX_PASS_NO : VECX_PASS_MAYBE;
		case VECX_GREATER_STRATEGY:
		case VECX_GREATER_EQUAL_STRATEGY:
			return wide[1] > key->numbers[0] ? VECX_PASS_YES :
				wide[1] < key->numbers[0] ? VECX_PASS_NO : VECX_PASS_MAYBE;
		default:
			return VECX_PASS_MAYBE;
	}
}

/* Whether the elements that are kept of an array have one that is equal. */
static bool
has_element(const VecxFilterKeyTest *key, const VecxFilterColumn *column, const uint8 *from,
			Datum arg)
{
	uint64		room[VECX_FILTER_VALUE_WORDS];

	for (int i = 0, at = 1; i < from[0]; i++)
	{
		Datum		elem = VecxFilterValue(column, from + at, room);

		if (DatumGetBool(FunctionCall2Coll(column->equal, key->collation, elem, arg)))
			return true;
		at += VecxFilterElementSize(column, from + at);
	}
	return false;
}

/* Whether one of the elements that are kept of an array is equal to an argument; arguments have
 * numbers. */
static bool
has_argument(const VecxFilterKeyTest *key, const VecxFilterColumn *column, const uint8 *from)
{
	uint64		room[VECX_FILTER_VALUE_WORDS];

	for (int i = 0, at = 1; i < from[0]; i++)
	{
		Datum		elem = VecxFilterValue(column, from + at, room);
		uint64		number;

		if (!VecxFilterKey(column, column->type, elem, &number))
			return true;
		for (int arg = first_arg(key, number); arg < key->nargs && key->numbers[arg] == number; arg++)
			if (DatumGetBool(FunctionCall2Coll(column->equal, key->collation, elem, key->args[arg])))
				return true;
		at += VecxFilterElementSize(column, from + at);
	}
	return false;
}

static VecxPass
test_array(const VecxFilterKeyTest *key, const VecxFilterColumn *column, const uint8 *from,
		   bool wide)
{
	bool		overlaps = key->strategy == VECX_OVERLAPS_STRATEGY;

	if (key->whole_array || (wide && !key->hashes))
		return VECX_PASS_MAYBE;
	/* one of many: each of the few that the array has is looked for among them */
	if (overlaps && !wide && key->numbers && key->nargs >= SEARCHED_ARGS)
		return has_argument(key, column, from) ? VECX_PASS_YES : VECX_PASS_NO;
	for (int i = 0; i < key->nargs; i++)
	{
		bool		has = wide ? VecxFilterBloomHas(column, from, key->hashes[i]) :
			has_element(key, column, from, key->args[i]);

		if (has == overlaps)
			return !has ? VECX_PASS_NO : wide ? VECX_PASS_MAYBE : VECX_PASS_YES;
	}
	return overlaps ? VECX_PASS_NO : wide && key->nargs > 0 ? VECX_PASS_MAYBE : VECX_PASS_YES;
}

/* Whether a whole integer's number is one that meets the condition. */
static inline bool
number_meets(const VecxFilterKeyTest *key, const VecxFilterColumn *column, const uint8 *from)
{
	union
	{
		uint8		b;
		int16		i2;
		int32		i4;
		int64		i8;
	}			v;
	uint64		number;

	switch (column->typlen)
	{
		case sizeof(uint8):
			number = VecxKeyOfInt(*from);
			break;
		case sizeof(int16):
			memcpy(&v.i2, from, sizeof(v.i2));
			number = VecxKeyOfInt(v.i2);
			break;
		case sizeof(int32):
			memcpy(&v.i4, from, sizeof(v.i4));
			number = VecxKeyOfInt(v.i4);
			break;
		default:
			memcpy(&v.i8, from, sizeof(v.i8));
			number = VecxKeyOfInt(v.i8);
	}
	return (number >= key->lo && number <= key->hi) != key->outside;
}

static VecxPass
test_key(const VecxFilterQuery *query, const VecxFilterKeyTest *key, const uint8 *bytes)
{
	const VecxFilterColumn *column = &query->filters->columns[key->column];
	int			state = VecxFilterState(bytes, key->column);
	const uint8 *from = bytes + column->offset;
	uint64		room[VECX_FILTER_VALUE_WORDS];

	if (key->is_null || key->is_not_null)
		return (state == VECX_FILTER_NULL) == key->is_null ? VECX_PASS_YES : VECX_PASS_NO;
	if (state == VECX_FILTER_NULL)
		return VECX_PASS_NO;
	if (key->by_number)
		return number_meets(key, column, from) ? VECX_PASS_YES : VECX_PASS_NO;
	if (column->kind == VECX_FILTER_ARRAY)
		return test_array(key, column, from, state == VECX_FILTER_WIDE);
	if (state == VECX_FILTER_WIDE)
		return test_wide(key, column, from);
	return test_whole(key, column, VecxFilterValue(column, from, room)) ?
		VECX_PASS_YES : VECX_PASS_NO;
}

/*
 * The conditions that numbers decide; *left tells whether there are others.
 */
static VecxPass
test_numbers(const VecxFilterQuery *query, const uint8 *bytes, bool *left)
{
	*left = false;
	for (int i = 0; i < query->nkeys; i++)
	{
		const VecxFilterKeyTest *key = &query->keys[i];
		const VecxFilterColumn *column = &query->filters->columns[key->column];

		if (!key->by_number)
			*left = true;
		else if (VecxFilterState(bytes, key->column) == VECX_FILTER_NULL ||
				 !number_meets(key, column, bytes + column->offset))
			return VECX_PASS_NO;
	}
	return VECX_PASS_YES;
}

/* An arm that meets all of its conditions, or may, is enough. */
static VecxPass
test_or(const VecxFilterQuery *query, const VecxFilterOr *any, const uint8 *bytes)
{
	VecxPass	best = VECX_PASS_NO;

	for (int i = 0; i < any->narms && best != VECX_PASS_YES; i++)
	{
		VecxPass	pass = VECX_PASS_YES;

		for (int j = 0; j < any->arms[i].nkeys && pass != VECX_PASS_NO; j++)
			pass = Min(pass, test_key(query, &any->arms[i].keys[j], bytes));
		best = Max(best, pass);
	}
	return best;
}

/*
 * Whether the row of an entry meets all conditions.  The entry may lie on a page
 * that is share-locked: functions of operator classes are called as a B-tree
 * calls them.
 */
VecxPass
VecxFilterTest(const VecxFilterQuery *query, const VecxRowEntry *row)
{
	const uint8 *bytes = (const uint8 *) (row + 1);
	VecxPass	pass;
	bool		left;

	if (query->never)
		return VECX_PASS_NO;
	pass = test_numbers(query, bytes, &left);
	left |= query->nors > 0;
	if (left && pass != VECX_PASS_NO)
	{
		MemoryContext old = MemoryContextSwitchTo(query->cxt);

		for (int i = 0; i < query->nkeys && pass != VECX_PASS_NO; i++)
			if (!query->keys[i].by_number)
				pass = Min(pass, test_key(query, &query->keys[i], bytes));
		for (int i = 0; i < query->nors && pass != VECX_PASS_NO; i++)
			pass = Min(pass, test_or(query, &query->ors[i], bytes));
		MemoryContextSwitchTo(old);
		MemoryContextReset(query->cxt);
	}
	if (pass != VECX_PASS_NO && query->tid_test)
	{
		ItemPointerData tid = row->tid;

		pass = Min(pass, query->tid_test(&tid, query->tid_arg));
	}
	return pass;
}

/*
 * filter.h
 *    Filter columns: the columns of an index after its vector.  A row entry keeps
 *    their values, and searches test conditions on them.
 *
 * Behind a row's TID and flags lie two bits of state for each column, then a
 * place of fixed width for each.  Values of fixed length lie there as they are.
 * Others have a slot: the value if it fits; else it is *wide*, and the slot says
 * only enough to refute an equality.  Of an array the slot has the elements, or
 * a Bloom filter of their hashes.
 */
#ifndef VECX_FILTER_H
#define VECX_FILTER_H

#include "access/attnum.h"
#include "access/skey.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "am/page.h"

#define VECX_MAX_FILTERS	16

/* Strategies of filter columns' operator classes; those of vectors are in am.h. */
#define VECX_LESS_STRATEGY			11
#define VECX_LESS_EQUAL_STRATEGY	12
#define VECX_EQUAL_STRATEGY			13
#define VECX_GREATER_EQUAL_STRATEGY 14
#define VECX_GREATER_STRATEGY		15
#define VECX_NOT_EQUAL_STRATEGY		16
#define VECX_OVERLAPS_STRATEGY		21
#define VECX_CONTAINS_STRATEGY		22

/* Widths of slots: what is longer, with a byte of length, is wide. */
#define VECX_FILTER_SLOT		24
#define VECX_FILTER_NUMERIC		16
#define VECX_FILTER_ARRAY_SLOT	32
/* The longest value that may be in one, an element of an array: circles have 24 bytes. */
#define VECX_FILTER_VALUE_WORDS	(VECX_FILTER_ARRAY_SLOT / sizeof(uint64))

typedef enum VecxFilterKind
{
	VECX_FILTER_FIXED,
	VECX_FILTER_VARLENA,		/* in a slot, as a varlena with a short header */
	VECX_FILTER_LONG,			/* fixed length, but too long: always wide */
	VECX_FILTER_ARRAY
} VecxFilterKind;

/* State of a column in a row entry. */
#define VECX_FILTER_NULL		0
#define VECX_FILTER_WHOLE		1
#define VECX_FILTER_WIDE		2

/* How values become numbers, for lists in their order; see filter_keys.c. */
typedef enum VecxFilterOrder
{
	VECX_ORDER_NONE,
	VECX_ORDER_HASH,			/* equal values have equal numbers, that is all */
	VECX_ORDER_INT,
	VECX_ORDER_FLOAT,
	VECX_ORDER_NUMERIC,
	VECX_ORDER_TIMESTAMP,		/* dates as well */
	VECX_ORDER_TIMESTAMPTZ,
	VECX_ORDER_UUID
} VecxFilterOrder;

typedef struct VecxFilterColumn
{
	AttrNumber	attno;			/* in the index */
	VecxFilterKind kind;
	VecxFilterOrder order;		/* of values; of an array's elements */
	Oid			type;			/* base type of the value, or of an array's elements */
	Oid			input_type;		/* of the operator class */
	Oid			collation;
	int16		typlen;			/* of type, as the next two */
	bool		byval;
	char		align;
	uint16		offset;			/* in the filter bytes */
	uint16		width;
	FmgrInfo   *hash;			/* extended hash that agrees with equality; NULL: none */
	FmgrInfo   *equal;			/* of an array's elements; NULL: none */
} VecxFilterColumn;

typedef struct VecxFilters
{
	int			ncolumns;
	Size		nbytes;			/* of all columns in a row entry */
	VecxFilterColumn columns[VECX_MAX_FILTERS];
} VecxFilters;

/* The longest row entry there can be. */
#define VECX_MAX_ROW_BYTES \
	(sizeof(VecxRowEntry) + VECX_MAX_FILTERS / 4 + VECX_MAX_FILTERS * VECX_FILTER_ARRAY_SLOT)

static inline int
VecxFilterState(const uint8 *bytes, int column)
{
	return (bytes[column / 4] >> (column % 4 * 2)) & 3;
}

/* filter.c: which columns there are, and their values as bytes */
extern const VecxFilters *VecxFiltersMake(Relation index);
extern void VecxFiltersOfTypes(int ncolumns, const Oid *types, const Oid *opclasses,
							   VecxFilters *filters);
extern void VecxFilterForm(const VecxFilters *filters, const Datum *values, const bool *isnull,
						   uint8 *bytes);

/* The value of fixed length, or of a slot, in a row entry that has it whole. */
extern Datum VecxFilterValue(const VecxFilterColumn *column, const uint8 *bytes, void *room);

/* Bytes of an element of an array that is kept whole, to the next one. */
static inline int
VecxFilterElementSize(const VecxFilterColumn *column, const uint8 *element)
{
	return column->typlen > 0 ? column->typlen : VARSIZE_SHORT(element);
}

extern uint64 VecxFilterHash(const VecxFilterColumn *column, Datum value);
extern bool VecxFilterBloomHas(const VecxFilterColumn *column, const uint8 *bloom, uint64 hash);

/*
 * filter_keys.c: numbers that values are sorted by in lists of vertices.  Smaller
 * values never have greater numbers, if the order is not HASH; different values
 * may have the same.  NULL has the greatest.
 */
#define VECX_KEY_NULL	PG_UINT64_MAX
#define VECX_KEY_GREATEST	(VECX_KEY_NULL - 1)	/* of values */

extern bool VecxFilterHasKey(const VecxFilterColumn *column, Oid type);
extern bool VecxFilterKey(const VecxFilterColumn *column, Oid type, Datum value, uint64 *key);

/* The type of a condition's arguments, by what its operator has on the right. */
static inline Oid
VecxFilterArgType(const VecxFilterColumn *column, Oid right_type)
{
	return !OidIsValid(right_type) || right_type == column->input_type ? column->type : right_type;
}

static inline uint64
VecxKeyOfInt(int64 value)
{
	return Min((uint64) value ^ (UINT64CONST(1) << 63), VECX_KEY_GREATEST);
}

extern int	VecxFilterKeys(const VecxFilters *filters, int column, Datum value, bool isnull,
						   uint64 **keys);
extern int	VecxFilterKeysOfBytes(const VecxFilters *filters, int column, const uint8 *bytes,
								  uint64 *keys, int max);

/* filter_test.c: conditions on filter columns */
typedef enum VecxPass
{
	VECX_PASS_NO,
	VECX_PASS_MAYBE,			/* the condition has to be tested on the row itself */
	VECX_PASS_YES
} VecxPass;

/* One condition, from a scan key. */
typedef struct VecxFilterKeyTest
{
	int			column;			/* in filters */
	int			strategy;
	bool		is_null;		/* IS NULL */
	bool		is_not_null;
	bool		same_type;		/* the arguments are of the column's type */
	Oid			type;			/* of the arguments */
	Oid			collation;
	FmgrInfo   *func;
	int			nargs;			/* one, or those of IN; elements of an array */
	Datum	   *args;
	uint64	   *numbers;		/* of args, ascending; NULL: they cannot be told */
	uint64	   *hashes;			/* of args; NULL: they cannot be told */
	bool		whole_array;	/* func is not one whose result follows from elements */
	bool		by_number;		/* an integer's number decides: it is from lo to hi, or */
	bool		outside;		/* is not */
	uint64		lo;
	uint64		hi;
} VecxFilterKeyTest;

/* Conditions of which a row must meet one at least: an OR over several columns. */
typedef struct VecxFilterArm
{
	int			nkeys;
	VecxFilterKeyTest *keys;	/* all of which a row meets that meets the arm */
} VecxFilterArm;

typedef struct VecxFilterOr
{
	int			narms;
	VecxFilterArm *arms;
} VecxFilterOr;

/* The same as it comes: each arm's conditions as keys of a scan. */
typedef struct VecxOrKeys
{
	int			narms;
	int		   *nkeys;
	ScanKey    *keys;
} VecxOrKeys;

/* Whether a set of rows from elsewhere has one of that TID. */
typedef VecxPass (*VecxTidTest) (ItemPointer tid, void *arg);

typedef struct VecxFilterQuery
{
	const VecxFilters *filters;
	MemoryContext cxt;			/* of what a test allocates */
	bool		never;			/* no row passes */
	int			nkeys;
	VecxFilterKeyTest *keys;
	int			nors;
	VecxFilterOr *ors;
	VecxTidTest tid_test;		/* NULL: none */
	void	   *tid_arg;
} VecxFilterQuery;

extern VecxFilterQuery *VecxFilterQueryMake(const VecxFilters *filters, MemoryContext cxt,
											ScanKey keys, int nkeys, const VecxOrKeys *ors, int nors,
											VecxTidTest tid_test, void *tid_arg);
extern bool VecxFilterByElements(const VecxFilterColumn *column, int strategy, Oid func, Oid type);
extern VecxPass VecxFilterTest(const VecxFilterQuery *query, const VecxRowEntry *row);

/* A stretch of numbers in a column. */
typedef struct VecxStretch
{
	uint64		lo;
	uint64		hi;
	int			column;
} VecxStretch;

/* Stretches one of which every row that passes is in: of conditions on one column ascending
 * and not overlapping; of an OR as its arms have them. */
typedef struct VecxFilterNeed
{
	int			nstretches;
	VecxStretch *stretches;
} VecxFilterNeed;

/* filter_keys.c */
typedef double (*VecxCountNeed) (const VecxFilterNeed *need, void *arg);

extern VecxFilterNeed *VecxFilterNeeds(const VecxFilterQuery *query, VecxCountNeed count, void *arg,
									   int *n);

#endif							/* VECX_FILTER_H */

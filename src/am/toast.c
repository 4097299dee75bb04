/*
 * toast.c
 *    Values that PostgreSQL keeps out of line, read without the index over them.
 *
 * A search reads tens of vectors from the table, and for each the way through a TOAST
 * table's B-tree takes longer than scoring hundreds of codes.  Ids of values come from
 * a counter and chunks are stored as they come, so that most TOAST tables are in the
 * order of their ids; interpolation (Perl, Itai and Avni, CACM 21(7), 1978) then finds
 * a value in one page or two.  Where the room of removed values was used again the
 * order is lost; what is not found is left to the index, and after some failures
 * everything is.
 *
 * What is found is what the index would have led to: an id is not given away again
 * while a tuple with it is in the index.  One that never came there is of a transaction
 * that failed, so that only tuples of others are taken.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "compat.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"

#include "am/toast.h"

/* TOAST tables whose order is remembered, and pages of each. */
#define MAPS			8
#define MOST_KNOWN		64
/* Pages that are read to find a value's first chunk, at most. */
#define MOST_PROBES		5
/* Failures, less successes, after which so many values are left to the index. */
#define MOST_FAILURES	4
#define REST			4096

/* A page, and the least id there. */
typedef struct Known
{
	BlockNumber blkno;
	Oid			first;
} Known;

/* What a backend knows of a TOAST table: guesses, good for any file of that number. */
typedef struct Map
{
	RelFileNumber number;
	int			failures;
	int			resting;		/* values that are still to be left to the index */
	int			nknown;
	Known		known[MOST_KNOWN];	/* both parts ascending */
} Map;

struct VecxToast
{
	Relation	rel;
	BlockNumber nblocks;
	SnapshotData snapshot;
	Map		   *map;
};

/* A value that is being read. */
typedef struct Reading
{
	Oid			id;
	char	   *to;
	int32		seq;			/* of the next chunk */
	Size		left;			/* bytes */
} Reading;

static Map	maps[MAPS];

/* Takes a chunk; false if it is not as it should be. */
static bool
take_chunk(Reading *reading, const struct varlena *data)
{
	Size		expected = Min(reading->left, TOAST_MAX_CHUNK_SIZE);

	if (VARATT_IS_EXTERNAL(data) || VARATT_IS_COMPRESSED(data) ||
		VARSIZE_ANY_EXHDR(data) != expected)
		return false;
	/* for a memcpy of so few bytes compilers put string instructions, which are slower */
	memmove(reading->to, VARDATA_ANY(data), expected);
	reading->to += expected;
	reading->left -= expected;
	reading->seq++;
	return true;
}

/* Whether the transaction that inserted a tuple has not failed: what a snapshot for TOAST
 * sees may be of one that did, if nobody has noted it yet. */
static bool
is_sound(HeapTupleHeader tuple)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(tuple);

	return HeapTupleHeaderXminCommitted(tuple) || TransactionIdIsCurrentTransactionId(xmin) ||
		TransactionIdDidCommit(xmin);
}

/* The tuples lie far from each other: their cache lines are fetched side by side. */
static void
prefetch_tuples(Page page, OffsetNumber max)
{
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		ItemId		item = PageGetItemId(page, off);

		if (ItemIdIsNormal(item))
			__builtin_prefetch(PageGetItem(page, item));
	}
}

/*
 * Takes those chunks from a page that come next.  *first and *last become the least and
 * the greatest id there; false if there is none.
 */
static bool
read_page(VecxToast *toast, BlockNumber blkno, Reading *reading, Oid *first, Oid *last)
{
	TupleDesc	desc = RelationGetDescr(toast->rel);
	Buffer		buf = VecxReadBuffer(toast->rel, blkno);
	Page		page = BufferGetPage(buf);
	OffsetNumber max;

	*first = PG_UINT32_MAX;
	*last = 0;
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	max = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
	prefetch_tuples(page, max);
	for (OffsetNumber off = FirstOffsetNumber; off <= max && reading->left > 0; off++)
	{
		ItemId		item = PageGetItemId(page, off);
		HeapTupleData tuple;
		bool		isnull;
		Oid			id;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_tableOid = RelationGetRelid(toast->rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple.t_self, blkno, off);
		id = DatumGetObjectId(fastgetattr(&tuple, 1, desc, &isnull));
		*first = Min(*first, id);
		*last = Max(*last, id);
		if (id == reading->id &&
			DatumGetInt32(fastgetattr(&tuple, 2, desc, &isnull)) == reading->seq &&
			HeapTupleSatisfiesVisibility(&tuple, &toast->snapshot, buf) && is_sound(tuple.t_data) &&
			!take_chunk(reading, (struct varlena *)
						DatumGetPointer(fastgetattr(&tuple, 3, desc, &isnull))))
			break;
	}
	UnlockReleaseBuffer(buf);
	return *first <= *last;
}

/* Of the pages that are known every second is forgotten when there is no room. */
static void
remember(Map *map, BlockNumber blkno, Oid first)
{
	int			at = 0;

	if (map->nknown == MOST_KNOWN)
	{
		for (int i = 0; i < MOST_KNOWN / 2; i++)
			map->known[i] = map->known[2 * i];
		map->nknown = MOST_KNOWN / 2;
	}
	while (at < map->nknown && map->known[at].first < first)
		at++;
	if ((at > 0 && map->known[at - 1].blkno >= blkno) ||
		(at < map->nknown && map->known[at].blkno <= blkno))
		return;
	memmove(&map->known[at + 1], &map->known[at], sizeof(Known) * (map->nknown - at));
	map->known[at].blkno = blkno;
	map->known[at].first = first;
	map->nknown++;
}

/* Where an id should be, between two pages. */
static BlockNumber
guess(const Map *map, Oid id, BlockNumber from, BlockNumber to)
{
	const Known *low = NULL;
	const Known *high = NULL;
	BlockNumber at;

	for (int i = 0; i < map->nknown && !high; i++)
	{
		if (map->known[i].first <= id)
			low = &map->known[i];
		else
			high = &map->known[i];
	}
	if (low && high)
		at = low->blkno + (BlockNumber) ((uint64) (id - low->first) * (high->blkno - low->blkno) /
										 (high->first - low->first));
	else
		at = low ? to : from;
	return Max(from, Min(at, to));
}

/* The page where a value begins, its chunks there taken; InvalidBlockNumber if it is
 * not where it should be. */
static BlockNumber
find_first(VecxToast *toast, Reading *reading)
{
	BlockNumber from = 0;
	BlockNumber to = toast->nblocks - 1;

	for (int i = 0; i < MOST_PROBES; i++)
	{
		BlockNumber blkno = guess(toast->map, reading->id, from, to);
		Oid			first;
		Oid			last;

		if (!read_page(toast, blkno, reading, &first, &last))
			break;
		if (i > 0 || reading->seq == 0)
			remember(toast->map, blkno, first);
		if (reading->seq > 0)
			return blkno;
		if ((first <= reading->id && reading->id <= last) ||
			(first > reading->id ? blkno == from : blkno == to))
			break;
		if (first > reading->id)
			to = blkno - 1;
		else
			from = blkno + 1;
	}
	return InvalidBlockNumber;
}

/* Reads a whole value; false if it must be left to the index. */
static bool
read_value(VecxToast *toast, Reading *reading)
{
	Map		   *map = toast->map;
	BlockNumber blkno;
	Oid			first;
	Oid			last;

	if (map->resting > 0)
	{
		map->resting--;
		return false;
	}
	blkno = find_first(toast, reading);
	while (blkno != InvalidBlockNumber && reading->left > 0)
	{
		int32		seq = reading->seq;

		if (++blkno >= toast->nblocks || !read_page(toast, blkno, reading, &first, &last) ||
			reading->seq == seq)
			break;
	}
	if (reading->left == 0)
	{
		map->failures = Max(map->failures - 1, 0);
		return true;
	}
	toast->nblocks = RelationGetNumberOfBlocks(toast->rel);	/* the next may be behind */
	if (++map->failures == MOST_FAILURES)
	{
		map->failures = 0;
		map->resting = REST;
		map->nknown = 0;
	}
	return false;
}

static Map *
map_of(Relation rel)
{
	RelFileNumber number = RelFileLocatorNumber(rel->rd_locator);
	Map		   *map = &maps[number % MAPS];

	if (map->number != number)
	{
		memset(map, 0, sizeof(Map));
		map->number = number;
	}
	return map;
}

/* Opens a TOAST table; it is to be closed by VecxToastClose. */
VecxToast *
VecxToastOpen(Oid relid)
{
	VecxToast  *toast = palloc0(sizeof(VecxToast));

	toast->rel = table_open(relid, AccessShareLock);
	toast->nblocks = RelationGetNumberOfBlocks(toast->rel);
	toast->map = map_of(toast->rel);
	/* the only kind of snapshot for which it does not matter when it was taken */
	toast->snapshot.snapshot_type = SNAPSHOT_TOAST;
	return toast;
}

/* Reads a whole value by the index; false if a chunk is missing, or not as it should be. */
static bool
read_by_index(VecxToast *toast, Reading *reading)
{
	TupleDesc	desc = RelationGetDescr(toast->rel);
	Relation   *indexes;
	int			nindexes;
	int			valid = toast_open_indexes(toast->rel, AccessShareLock, &indexes, &nindexes);
	bool		right = true;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(reading->id));
	scan = systable_beginscan_ordered(toast->rel, indexes[valid], &toast->snapshot, 1, &key);
	while (right && (tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		bool		no_seq;
		bool		no_data;
		Datum		seq = fastgetattr(tuple, 2, desc, &no_seq);
		Datum		data = fastgetattr(tuple, 3, desc, &no_data);

		right = !no_seq && !no_data && DatumGetInt32(seq) == reading->seq &&
			take_chunk(reading, (struct varlena *) DatumGetPointer(data));
	}
	systable_endscan_ordered(scan);
	toast_close_indexes(indexes, nindexes, AccessShareLock);
	return right && reading->left == 0;
}

/* The bytes of a value that is out of line, as they are there. */
static void
begin_reading(const struct varatt_external *external, struct varlena *value, Reading *reading)
{
	reading->id = external->va_valueid;
	reading->seq = 0;
	reading->left = VARATT_EXTERNAL_GET_EXTSIZE(*external);
	reading->to = VARDATA(value);
}

/*
 * The value of a pointer, not compressed, allocated in the current context; by
 * PostgreSQL's own way where this one does not serve.  NULL, and no error, if chunks are
 * missing and that may be.
 */
struct varlena *
VecxToastRead(VecxToast *toast, struct varlena *pointer, bool missing_ok)
{
	struct varatt_external external;
	struct varlena *value;
	Reading		reading;
	bool		found;

	VARATT_EXTERNAL_GET_POINTER(external, pointer);
	if (external.va_toastrelid != RelationGetRelid(toast->rel) ||
		toast->rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return detoast_attr(pointer);
	value = palloc(VARATT_EXTERNAL_GET_EXTSIZE(external) + VARHDRSZ);
	if (VARATT_EXTERNAL_IS_COMPRESSED(external))
		SET_VARSIZE_COMPRESSED(value, VARATT_EXTERNAL_GET_EXTSIZE(external) + VARHDRSZ);
	else
		SET_VARSIZE(value, VARATT_EXTERNAL_GET_EXTSIZE(external) + VARHDRSZ);
	begin_reading(&external, value, &reading);
	found = toast->nblocks > 0 && read_value(toast, &reading);
	if (!found && missing_ok)
	{
		begin_reading(&external, value, &reading);
		found = read_by_index(toast, &reading);
	}
	if (!found)
	{
		pfree(value);
		return missing_ok ? NULL : detoast_attr(pointer);
	}
	return VARATT_EXTERNAL_IS_COMPRESSED(external) ? detoast_attr(value) : value;
}

void
VecxToastClose(VecxToast *toast)
{
	table_close(toast->rel, AccessShareLock);
	pfree(toast);
}

/*
 * spool.c
 *    Records of one size, appended and then read by their number, for a build.
 *
 * They stay in memory up to a limit.  Beyond it they lie in a temporary file, or
 * in one of each process that builds, with a direct-mapped cache in front.  What
 * others have written is read into memory as a whole if the limit allows.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/build.h"
#include "compat.h"

#define CHUNK_BYTES		(256 * 1024)

typedef struct SpoolPart
{
	VecxSpoolFile *file;
	uint32		first;			/* number of its first record */
	uint32		count;
} SpoolPart;

struct VecxSpool
{
	MemoryContext cxt;			/* of this spool alone */
	Size		record;
	Size		limit;
	uint32		count;

	/* in memory */
	int			chunk_shift;	/* log2 of the records in a chunk */
	char	  **chunks;
	uint32		nchunks;
	uint32		chunks_cap;

	/* in files */
	int			nparts;			/* 0: in memory */
	SpoolPart  *parts;
	Size		cache;			/* bytes that it may take */
	uint32		nslots;			/* of it; 0: none yet */
	bool		all_fit;		/* each record that there was then has a slot of its own */
	uint32	   *cached;			/* number of the record in each slot */
	char	   *slots;
};

VecxSpool *
VecxSpoolMake(MemoryContext parent, Size record, Size limit)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "vecx spool", ALLOCSET_DEFAULT_SIZES);
	VecxSpool  *spool = MemoryContextAllocZero(cxt, sizeof(VecxSpool));

	spool->cxt = cxt;
	spool->record = record;
	spool->limit = spool->cache = limit;
	while (record << (spool->chunk_shift + 1) <= CHUNK_BYTES)
		spool->chunk_shift++;
	return spool;
}

static void
file_name(char *buf, Size size, const char *name, int participant)
{
	snprintf(buf, size, "%s.%d", name, participant);
}

/* One that this process writes and that others read after VecxSpoolShare. */
VecxSpool *
VecxSpoolMakeShared(MemoryContext parent, Size record, Size limit, SharedFileSet *files,
					const char *name, int participant)
{
	VecxSpool  *spool = VecxSpoolMake(parent, record, limit);
	MemoryContext old = MemoryContextSwitchTo(spool->cxt);
	char		path[64];

	file_name(path, sizeof(path), name, participant);
	spool->nparts = 1;
	spool->parts = palloc0(sizeof(SpoolPart));
	spool->parts[0].file = VecxSpoolFileMake(spool->cxt, files, path);
	MemoryContextSwitchTo(old);
	return spool;
}

/* Where a record is in its part's file. */
static off_t
place_of(const VecxSpool *spool, const SpoolPart *part, uint32 i)
{
	return (off_t) (i - part->first) * (off_t) spool->record;
}

/* Moves what there is from memory into a file of its own. */
static void
spill(VecxSpool *spool)
{
	MemoryContext old = MemoryContextSwitchTo(spool->cxt);

	spool->parts = palloc0(sizeof(SpoolPart));
	spool->parts[0].file = VecxSpoolFileMake(spool->cxt, NULL, NULL);
	spool->parts[0].count = spool->count;
	for (uint32 i = 0; i < spool->count; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		VecxSpoolFileAppend(spool->parts[0].file, VecxSpoolGet(spool, i), spool->record);
	}
	for (uint32 c = 0; c < spool->nchunks; c++)
		pfree(spool->chunks[c]);
	pfree(spool->chunks);
	spool->chunks = NULL;		/* what fits later on is read into new ones */
	spool->nchunks = spool->chunks_cap = 0;
	spool->nparts = 1;
	MemoryContextSwitchTo(old);
}

static void
add_chunk(VecxSpool *spool)
{
	if (spool->nchunks == spool->chunks_cap)
	{
		spool->chunks_cap = Max(64, spool->chunks_cap * 2);
		spool->chunks = spool->chunks ?
			repalloc_huge(spool->chunks, sizeof(char *) * spool->chunks_cap) :
			MemoryContextAlloc(spool->cxt, sizeof(char *) * spool->chunks_cap);
	}
	spool->chunks[spool->nchunks++] = MemoryContextAlloc(spool->cxt,
														 spool->record << spool->chunk_shift);
}

static inline char *
in_memory(const VecxSpool *spool, uint32 i)
{
	return spool->chunks[i >> spool->chunk_shift] +
		spool->record * (i & ((1u << spool->chunk_shift) - 1));
}

/* Moves what others have written into memory: once in order is faster than many
 * times here and there. */
static void
read_all(VecxSpool *spool)
{
	uint32		per_chunk = 1u << spool->chunk_shift;
	int			nparts = spool->nparts;
	uint32		at = 0;

	spool->nparts = 0;
	for (int p = 0; p < nparts; p++)
	{
		SpoolPart  *part = &spool->parts[p];

		for (uint32 end = at + part->count; at < end;)
		{
			uint32		n = Min(end - at, per_chunk - at % per_chunk);

			CHECK_FOR_INTERRUPTS();
			if (at % per_chunk == 0)
				add_chunk(spool);
			VecxSpoolFileRead(part->file, place_of(spool, part, at), in_memory(spool, at), n * spool->record);
			at += n;
		}
		VecxSpoolFileClose(part->file);
	}
}

/* All participants' records, numbered one participant after the other. */
VecxSpool *
VecxSpoolOpenShared(MemoryContext parent, Size record, Size limit, SharedFileSet *files,
					const char *name, int nparticipants, const uint32 *counts)
{
	VecxSpool  *spool = VecxSpoolMake(parent, record, limit);
	MemoryContext old = MemoryContextSwitchTo(spool->cxt);

	spool->nparts = nparticipants;
	spool->parts = palloc0(sizeof(SpoolPart) * nparticipants);
	for (int i = 0; i < nparticipants; i++)
	{
		char		path[64];

		file_name(path, sizeof(path), name, i);
		spool->parts[i].file = VecxSpoolFileOpen(spool->cxt, files, path);
		spool->parts[i].first = spool->count;
		spool->parts[i].count = counts[i];
		spool->count += counts[i];
	}
	if (spool->count * record <= limit)
		read_all(spool);
	MemoryContextSwitchTo(old);
	return spool;
}

uint32
VecxSpoolAppend(VecxSpool *spool, const void *rec)
{
	uint32		i = spool->count;

	if (i == PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an index build has more than %u entries of one kind", PG_UINT32_MAX),
				 errhint("Build the index on partitions, or on fewer columns.")));
	if (spool->nparts == 0 && i >> spool->chunk_shift == spool->nchunks)
	{
		/* the first chunk is free, so that small things need no file */
		if (i > 0 && (spool->nchunks + 1) * (spool->record << spool->chunk_shift) > spool->limit)
			spill(spool);
		else
			add_chunk(spool);
	}
	spool->count++;
	if (spool->nparts == 0)
		memcpy(in_memory(spool, i), rec, spool->record);
	else
	{
		SpoolPart  *part = &spool->parts[spool->nparts - 1];

		part->count++;
		VecxSpoolFileAppend(part->file, rec, spool->record);
	}
	return i;
}

uint32
VecxSpoolCount(const VecxSpool *spool)
{
	return spool->count;
}

bool
VecxSpoolInMemory(const VecxSpool *spool)
{
	return spool->nparts == 0;
}

/* Slots there are in any case, and as many as may be of use where more records will come. */
#define SLOTS_AT_LEAST	64
#define USEFUL_SLOTS	1024

static void
make_cache(VecxSpool *spool)
{
	Size		fit = spool->cache / (spool->record + sizeof(uint32));

	spool->nslots = (uint32) Max(Min(fit, Max(spool->count, USEFUL_SLOTS)), SLOTS_AT_LEAST);
	spool->all_fit = spool->nslots >= spool->count;
	spool->cached = MemoryContextAllocHuge(spool->cxt, sizeof(uint32) * spool->nslots);
	spool->slots = MemoryContextAllocHuge(spool->cxt, spool->record * spool->nslots);
	memset(spool->cached, 0xFF, sizeof(uint32) * spool->nslots);
}

/* Numbers spread by a multiplication (Fibonacci hashing), unless each has a slot: what is asked
 * for together may lie at even distances. */
static inline uint32
slot_of(const VecxSpool *spool, uint32 i)
{
	if (spool->all_fit && i < spool->nslots)
		return i;
	return (uint32) (((uint64) (i * UINT32_C(0x9E3779B1)) * spool->nslots) >> 32);
}

const void *
VecxSpoolGet(VecxSpool *spool, uint32 i)
{
	SpoolPart  *part;
	uint32		slot;
	char	   *rec;

	Assert(i < spool->count);
	if (spool->nparts == 0)
		return in_memory(spool, i);
	if (spool->nslots == 0)
		make_cache(spool);
	slot = slot_of(spool, i);
	rec = spool->slots + spool->record * slot;
	if (spool->cached[slot] == i)
		return rec;

	part = spool->parts;
	while (i - part->first >= part->count)
		part++;
	spool->cached[slot] = PG_UINT32_MAX;
	VecxSpoolFileRead(part->file, place_of(spool, part, i), rec, spool->record);
	spool->cached[slot] = i;
	return rec;
}

/* Replaces a record; not of a spool that others have written. */
void
VecxSpoolPut(VecxSpool *spool, uint32 i, const void *rec)
{
	if (spool->nparts == 0)
	{
		memcpy(in_memory(spool, i), rec, spool->record);
		return;
	}
	Assert(spool->nparts == 1);
	VecxSpoolFileReplace(spool->parts[0].file, place_of(spool, &spool->parts[0], i), rec, spool->record);
	if (spool->nslots > 0 && spool->cached[slot_of(spool, i)] == i)
		memcpy(spool->slots + spool->record * slot_of(spool, i), rec, spool->record);
}

/* Of what lies in files so many bytes may be kept from now on. */
void
VecxSpoolCache(VecxSpool *spool, Size bytes)
{
	spool->cache = bytes;
	if (spool->nslots > 0)
	{
		pfree(spool->cached);
		pfree(spool->slots);
		spool->nslots = 0;
	}
}

/* More may stay in memory: nothing is appended or replaced any more. */
void
VecxSpoolGrow(VecxSpool *spool, Size limit)
{
	MemoryContext old;

	if (spool->nparts == 0 || limit <= spool->limit)
		return;
	old = MemoryContextSwitchTo(spool->cxt);
	spool->limit = limit;
	VecxSpoolCache(spool, limit);
	if (spool->count * spool->record <= limit)
		read_all(spool);
	MemoryContextSwitchTo(old);
}

/* Lets other processes read what there is. */
void
VecxSpoolShare(VecxSpool *spool)
{
	VecxSpoolFileFlush(spool->parts[0].file);
}

/* Of a spool that others still write: only records that were asked for are known. */
void
VecxSpoolForgetAhead(VecxSpool *spool)
{
	for (int i = 0; i < spool->nparts; i++)
		VecxSpoolFileForget(spool->parts[i].file);
}

void
VecxSpoolFree(VecxSpool *spool)
{
	for (int i = 0; i < spool->nparts; i++)
		VecxSpoolFileClose(spool->parts[i].file);
	MemoryContextDelete(spool->cxt);
}

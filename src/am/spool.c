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
#include "storage/buffile.h"
#include "utils/memutils.h"

#include "am/build.h"
#include "compat.h"

#define CHUNK_BYTES		(256 * 1024)

typedef struct SpoolPart
{
	BufFile    *file;
	uint32		first;			/* number of its first record */
	uint32		count;
	bool		at_end;			/* the next write needs no seek */
} SpoolPart;

struct VecxSpool
{
	MemoryContext cxt;			/* of this spool alone */
	Size		record;
	Size		limit;
	uint32		count;
	SharedFileSet *files;

	/* in memory */
	int			chunk_shift;	/* log2 of the records in a chunk */
	char	  **chunks;
	uint32		nchunks;
	uint32		chunks_cap;

	/* in files */
	int			nparts;			/* 0: in memory */
	SpoolPart  *parts;
	uint32		nslots;			/* of the cache, a power of two; 0: none yet */
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
	spool->limit = limit;
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
	spool->files = files;
	spool->nparts = 1;
	spool->parts = palloc0(sizeof(SpoolPart));
	spool->parts[0].file = BufFileCreateFileSet(&files->fs, path);
	spool->parts[0].at_end = true;
	MemoryContextSwitchTo(old);
	return spool;
}

static void
seek(VecxSpool *spool, SpoolPart *part, uint32 i)
{
	if (BufFileSeek(part->file, 0, (off_t) (i - part->first) * spool->record, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in a temporary file of an index build: %m")));
}

static void
write_record(VecxSpool *spool, SpoolPart *part, const void *rec)
{
	BufFileWrite(part->file, unconstify(void *, rec), spool->record);
}

/* Moves what there is from memory into a file of its own. */
static void
spill(VecxSpool *spool)
{
	MemoryContext old = MemoryContextSwitchTo(spool->cxt);

	spool->parts = palloc0(sizeof(SpoolPart));
	spool->parts[0].file = BufFileCreateTemp(false);
	spool->parts[0].count = spool->count;
	spool->parts[0].at_end = true;
	for (uint32 i = 0; i < spool->count; i++)
		write_record(spool, &spool->parts[0], VecxSpoolGet(spool, i));
	for (uint32 c = 0; c < spool->nchunks; c++)
		pfree(spool->chunks[c]);
	pfree(spool->chunks);
	spool->nchunks = 0;
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

static void
read_records(BufFile *file, void *to, Size nbytes)
{
	if (BufFileRead(file, to, nbytes) != nbytes)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read from a temporary file of an index build: %m")));
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

		seek(spool, part, part->first);
		for (uint32 end = at + part->count; at < end;)
		{
			uint32		n = Min(end - at, per_chunk - at % per_chunk);

			CHECK_FOR_INTERRUPTS();
			if (at % per_chunk == 0)
				add_chunk(spool);
			read_records(part->file, in_memory(spool, at), n * spool->record);
			at += n;
		}
		BufFileClose(part->file);
	}
}

/* All participants' records, numbered one participant after the other. */
VecxSpool *
VecxSpoolOpenShared(MemoryContext parent, Size record, Size limit, SharedFileSet *files,
					const char *name, int nparticipants, const uint32 *counts)
{
	VecxSpool  *spool = VecxSpoolMake(parent, record, limit);
	MemoryContext old = MemoryContextSwitchTo(spool->cxt);

	spool->files = files;
	spool->nparts = nparticipants;
	spool->parts = palloc0(sizeof(SpoolPart) * nparticipants);
	for (int i = 0; i < nparticipants; i++)
	{
		char		path[64];

		file_name(path, sizeof(path), name, i);
		spool->parts[i].file = BufFileOpenFileSet(&files->fs, path, O_RDONLY, false);
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
		if (!part->at_end)
			seek(spool, part, i);
		part->at_end = true;
		write_record(spool, part, rec);
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

static void
make_cache(VecxSpool *spool)
{
	uint32		useful = Max(spool->count, 1024);

	spool->nslots = 64;
	while (spool->nslots < useful &&
		   spool->nslots * 2 * (spool->record + sizeof(uint32)) <= spool->limit)
		spool->nslots *= 2;
	spool->cached = MemoryContextAllocHuge(spool->cxt, sizeof(uint32) * spool->nslots);
	spool->slots = MemoryContextAllocHuge(spool->cxt, spool->record * spool->nslots);
	memset(spool->cached, 0xFF, sizeof(uint32) * spool->nslots);
}

const void *
VecxSpoolGet(VecxSpool *spool, uint32 i)
{
	SpoolPart  *part;
	char	   *slot;

	Assert(i < spool->count);
	if (spool->nparts == 0)
		return in_memory(spool, i);
	if (spool->nslots == 0)
		make_cache(spool);
	slot = spool->slots + spool->record * (i & (spool->nslots - 1));
	if (spool->cached[i & (spool->nslots - 1)] == i)
		return slot;

	part = spool->parts;
	while (i - part->first >= part->count)
		part++;
	seek(spool, part, i);
	part->at_end = false;
	spool->cached[i & (spool->nslots - 1)] = PG_UINT32_MAX;
	read_records(part->file, slot, spool->record);
	spool->cached[i & (spool->nslots - 1)] = i;
	return slot;
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
	seek(spool, &spool->parts[0], i);
	spool->parts[0].at_end = false;
	write_record(spool, &spool->parts[0], rec);
	if (spool->nslots > 0 && spool->cached[i & (spool->nslots - 1)] == i)
		memcpy(spool->slots + spool->record * (i & (spool->nslots - 1)), rec, spool->record);
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
	if (spool->nslots > 0)
	{
		pfree(spool->cached);
		pfree(spool->slots);
		spool->nslots = 0;
	}
	if (spool->count * spool->record <= limit)
		read_all(spool);
	MemoryContextSwitchTo(old);
}

/* Lets other processes read it.  Nothing can be appended any more. */
void
VecxSpoolShare(VecxSpool *spool)
{
	BufFileExportFileSet(spool->parts[0].file);
}

void
VecxSpoolFree(VecxSpool *spool)
{
	for (int i = 0; i < spool->nparts; i++)
		BufFileClose(spool->parts[i].file);
	MemoryContextDelete(spool->cxt);
}

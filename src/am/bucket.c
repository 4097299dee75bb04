/*
 * bucket.c
 *    Records sorted into buckets, each of which is read as a whole later: what
 *    a build knows about some thousand vertices, from all over the table.
 *
 * They stay in memory up to a limit, or go into a file for each bucket.
 */
#include "postgres.h"

#include "storage/buffile.h"
#include "utils/memutils.h"

#include "am/build.h"
#include "compat.h"

typedef struct Bucket
{
	char	   *data;			/* records in memory */
	uint32		count;
	uint32		cap;
	BufFile    *file;			/* those that came before, or NULL */
	Size		in_file;		/* records */
} Bucket;

struct VecxBuckets
{
	MemoryContext cxt;			/* of these buckets alone */
	int			nbuckets;
	Size		record;
	Size		limit;
	Size		used;			/* bytes in memory */
	SharedFileSet *files;		/* NULL: nobody else reads or writes them */
	char		name[32];
	int			participant;
	Bucket	   *buckets;
};

VecxBuckets *
VecxBucketsMake(MemoryContext parent, int nbuckets, Size record, Size limit,
				SharedFileSet *files, const char *name, int participant)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "vecx buckets", ALLOCSET_DEFAULT_SIZES);
	VecxBuckets *b = MemoryContextAllocZero(cxt, sizeof(VecxBuckets));

	b->cxt = cxt;
	b->nbuckets = nbuckets;
	b->record = record;
	b->limit = limit;
	b->files = files;
	strlcpy(b->name, name, sizeof(b->name));
	b->participant = participant;
	b->buckets = MemoryContextAllocZero(cxt, sizeof(Bucket) * nbuckets);
	return b;
}

static void
file_name(const VecxBuckets *b, int participant, int bucket, char *buf, Size size)
{
	snprintf(buf, size, "%s.%d.%d", b->name, participant, bucket);
}

static void
flush(VecxBuckets *b, int i)
{
	Bucket	   *bucket = &b->buckets[i];

	if (bucket->count == 0)
		return;
	if (bucket->file == NULL && b->files == NULL)
		bucket->file = BufFileCreateTemp(false);
	else if (bucket->file == NULL)
	{
		char		path[64];

		file_name(b, b->participant, i, path, sizeof(path));
		bucket->file = BufFileCreateFileSet(&b->files->fs, path);
	}
	BufFileWrite(bucket->file, bucket->data, bucket->count * b->record);
	bucket->in_file += bucket->count;
	bucket->count = bucket->cap = 0;
	pfree(bucket->data);
	bucket->data = NULL;
}

static void
flush_all(VecxBuckets *b)
{
	MemoryContext old = MemoryContextSwitchTo(b->cxt);

	for (int i = 0; i < b->nbuckets; i++)
		flush(b, i);
	b->used = 0;
	MemoryContextSwitchTo(old);
}

void
VecxBucketsAdd(VecxBuckets *b, int i, const void *rec)
{
	Bucket	   *bucket = &b->buckets[i];

	if (bucket->count == bucket->cap)
	{
		if (b->used > b->limit)
			flush_all(b);
		b->used -= bucket->cap * b->record;
		bucket->cap = Max(64, bucket->cap * 2);
		b->used += bucket->cap * b->record;
		bucket->data = bucket->data ?
			repalloc_huge(bucket->data, bucket->cap * b->record) :
			MemoryContextAllocHuge(b->cxt, bucket->cap * b->record);
	}
	memcpy(bucket->data + b->record * bucket->count++, rec, b->record);
}

/* Lets other processes read them.  Nothing can be added any more. */
void
VecxBucketsShare(VecxBuckets *b)
{
	if (b->files == NULL)
		return;
	flush_all(b);
	for (int i = 0; i < b->nbuckets; i++)
		if (b->buckets[i].file)
		{
			BufFileExportFileSet(b->buckets[i].file);
			BufFileClose(b->buckets[i].file);
			b->buckets[i].file = NULL;
		}
}

static void
read_file(BufFile *file, void *to, Size nbytes)
{
	if (BufFileSeek(file, 0, 0, SEEK_SET) != 0 || BufFileRead(file, to, nbytes) != nbytes)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read from a temporary file of an index build: %m")));
}

/* The records of one bucket, from all participants; allocated in the current context. */
void *
VecxBucketsLoad(VecxBuckets *b, int i, int nparticipants, Size *count)
{
	Bucket	   *bucket = &b->buckets[i];
	BufFile    *files[VECX_MAX_PARTICIPANTS];
	Size		sizes[VECX_MAX_PARTICIPANTS];
	Size		total = 0;
	char	   *all;
	char	   *to;

	if (b->files == NULL)
	{
		*count = bucket->in_file + bucket->count;
		all = MemoryContextAllocHuge(CurrentMemoryContext, Max(*count, 1) * b->record);
		if (bucket->file)
			read_file(bucket->file, all, bucket->in_file * b->record);
		if (bucket->count > 0)
			memcpy(all + bucket->in_file * b->record, bucket->data, bucket->count * b->record);
		return all;
	}
	for (int p = 0; p < nparticipants; p++)
	{
		char		path[64];

		file_name(b, p, i, path, sizeof(path));
		files[p] = BufFileOpenFileSet(&b->files->fs, path, O_RDONLY, true);
		sizes[p] = files[p] ? (Size) BufFileSize(files[p]) : 0;
		total += sizes[p];
	}
	to = all = MemoryContextAllocHuge(CurrentMemoryContext, Max(total, 1));
	for (int p = 0; p < nparticipants; p++)
		if (files[p])
		{
			read_file(files[p], to, sizes[p]);
			to += sizes[p];
			BufFileClose(files[p]);
		}
	*count = total / b->record;
	return all;
}

void
VecxBucketsFree(VecxBuckets *b)
{
	for (int i = 0; i < b->nbuckets; i++)
		if (b->buckets[i].file)
			BufFileClose(b->buckets[i].file);
	MemoryContextDelete(b->cxt);
}

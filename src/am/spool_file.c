/*
 * spool_file.c
 *    The temporary file of a spool.
 *
 * A BufFile reads a block for whatever is asked for: in a build that has little memory,
 * and needs codes here and there, that was most of the time.  This file reads as much as
 * is asked for, and ahead only where one reading follows on another.
 */
#include "postgres.h"

#include "commands/tablespace.h"
#include "executor/instrument.h"
#include "utils/wait_event.h"

#include "am/build.h"

struct VecxSpoolFile
{
	File		file;
	off_t		size;			/* written, but for what waits in the buffer */
	off_t		asked;			/* where the last reading ended */
	bool		waiting;		/* the buffer's bytes are to be written, at size */
	off_t		first;			/* else they were read ahead, from here on */
	Size		count;			/* of the bytes in the buffer */
	PGAlignedBlock buffer;
};

/* A new file: of this process alone, or of that name in a set that others read. */
VecxSpoolFile *
VecxSpoolFileMake(MemoryContext cxt, SharedFileSet *files, const char *name)
{
	VecxSpoolFile *f = MemoryContextAllocZero(cxt, sizeof(VecxSpoolFile));

	if (!files)
		PrepareTempTablespaces();
	f->file = files ? FileSetCreate(&files->fs, name) : OpenTemporaryFile(false);
	return f;
}

/* One that another process has made, to read what it has flushed. */
VecxSpoolFile *
VecxSpoolFileOpen(MemoryContext cxt, SharedFileSet *files, const char *name)
{
	VecxSpoolFile *f = MemoryContextAllocZero(cxt, sizeof(VecxSpoolFile));

	f->file = FileSetOpen(&files->fs, name, O_RDONLY);
	if (f->file <= 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open temporary file \"%s\" of an index build: %m", name)));
	return f;
}

static void
write_at(VecxSpoolFile *f, off_t at, const char *bytes, Size nbytes)
{
	for (Size done = 0; done < nbytes;)
	{
		int			n;

		errno = 0;
		n = FileWrite(f->file, unconstify(char *, bytes) + done, (int) Min(nbytes - done, INT_MAX),
					  at + (off_t) done, WAIT_EVENT_BUFFILE_WRITE);
		if (n <= 0)
		{
			/* whoever wrote less and says no reason found the disk full */
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write to temporary file \"%s\" of an index build: %m",
							FilePathName(f->file))));
		}
		done += n;
	}
	pgBufferUsage.temp_blks_written += (nbytes + BLCKSZ - 1) / BLCKSZ;
}

/* Reads some bytes, and up to so many if there are; returns their number. */
static Size
read_at(VecxSpoolFile *f, off_t at, char *to, Size nbytes, Size most)
{
	Size		done = 0;

	while (done < nbytes)
	{
		int			n = FileRead(f->file, to + done, (int) Min(most - done, INT_MAX),
								 at + (off_t) done, WAIT_EVENT_BUFFILE_READ);

		if (n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("temporary file \"%s\" of an index build ends too early",
							FilePathName(f->file))));
		if (n < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read from temporary file \"%s\" of an index build: %m",
							FilePathName(f->file))));
		done += n;
	}
	pgBufferUsage.temp_blks_read += (done + BLCKSZ - 1) / BLCKSZ;
	return done;
}

/* Forgets what was read ahead, and writes what waits: then others may read it. */
void
VecxSpoolFileFlush(VecxSpoolFile *f)
{
	if (f->waiting)
	{
		write_at(f, f->size, f->buffer.data, f->count);
		f->size += (off_t) f->count;
	}
	f->waiting = false;
	f->count = 0;
}

/* Forgets what was read ahead: another process may have been writing it just then. */
void
VecxSpoolFileForget(VecxSpoolFile *f)
{
	Assert(!f->waiting);
	f->count = 0;
}

/* Writes at the end. */
void
VecxSpoolFileAppend(VecxSpoolFile *f, const void *bytes, Size nbytes)
{
	if (!f->waiting || f->count + nbytes > sizeof(f->buffer))
		VecxSpoolFileFlush(f);
	if (nbytes > sizeof(f->buffer))
	{
		write_at(f, f->size, bytes, nbytes);
		f->size += (off_t) nbytes;
		return;
	}
	memcpy(f->buffer.data + f->count, bytes, nbytes);
	f->waiting = true;
	f->count += nbytes;
}

/* Writes over bytes that are there. */
void
VecxSpoolFileReplace(VecxSpoolFile *f, off_t at, const void *bytes, Size nbytes)
{
	VecxSpoolFileFlush(f);
	write_at(f, at, bytes, nbytes);
}

void
VecxSpoolFileRead(VecxSpoolFile *f, off_t at, void *to, Size nbytes)
{
	bool		follows = at == f->asked;

	f->asked = at + (off_t) nbytes;
	if (f->waiting && at >= f->size)
	{
		memcpy(to, f->buffer.data + (at - f->size), nbytes);
		return;
	}
	if (f->waiting)
		VecxSpoolFileFlush(f);
	if (at < f->first || f->asked > f->first + (off_t) f->count)
	{
		if (!follows || nbytes > sizeof(f->buffer))
		{
			(void) read_at(f, at, to, nbytes, nbytes);
			return;
		}
		f->count = 0;
		f->count = read_at(f, at, f->buffer.data, nbytes, sizeof(f->buffer));
		f->first = at;
	}
	memcpy(to, f->buffer.data + (at - f->first), nbytes);
}

void
VecxSpoolFileClose(VecxSpoolFile *f)
{
	FileClose(f->file);
	pfree(f);
}

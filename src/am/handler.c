/*
 * handler.c
 *    What PostgreSQL asks of an access method.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "commands/vacuum.h"
#include "fmgr.h"

#include "am/am.h"

static char *
vecxbuildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case VECX_PROGRESS_LOAD:
			return "loading rows";
		case VECX_PROGRESS_TRAIN:
			return "training sketches";
		case VECX_PROGRESS_GRAPH:
			return "linking vertices";
		case VECX_PROGRESS_WRITE:
			return "writing pages";
		case VECX_PROGRESS_CLUSTER:
			return "finding lists";
		case VECX_PROGRESS_CODEBOOKS:
			return "training codebooks";
		case VECX_PROGRESS_LISTS:
			return "assigning rows to lists";
		case VECX_PROGRESS_MEASURE:
			return "measuring recall";
		default:
			return NULL;
	}
}

PG_FUNCTION_INFO_V1(vecx_handler);
Datum
vecx_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = 0;
	am->amsupport = 1;
	am->amoptsprocnum = 0;
	am->amcanorder = false;
	am->amcanorderbyop = true;
	am->amcanbackward = false;
	am->amcanunique = false;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amstorage = false;
	am->amclusterable = false;
	am->ampredlocks = true;		/* of the whole index, when it is read */
	am->amcanparallel = false;
	am->amcaninclude = true;	/* so that the build refuses it, with advice */
	am->amusemaintenanceworkmem = true;
	am->amparallelvacuumoptions = VACUUM_OPTION_NO_PARALLEL;
	am->amkeytype = InvalidOid;

	am->ambuild = vecxbuild;
	am->ambuildempty = vecxbuildempty;
	am->aminsert = vecxinsert;
	am->ambulkdelete = vecxbulkdelete;
	am->amvacuumcleanup = vecxvacuumcleanup;
	am->amcanreturn = NULL;
	am->amcostestimate = vecxcostestimate;
	am->amoptions = vecxoptions;
	am->amproperty = NULL;
	am->ambuildphasename = vecxbuildphasename;
	am->amvalidate = vecxvalidate;
	am->amadjustmembers = NULL;
	am->ambeginscan = vecxbeginscan;
	am->amrescan = vecxrescan;
	am->amgettuple = vecxgettuple;
	am->amgetbitmap = NULL;
	am->amendscan = vecxendscan;
	am->ammarkpos = NULL;
	am->amrestrpos = NULL;
	am->amestimateparallelscan = NULL;
	am->aminitparallelscan = NULL;
	am->amparallelrescan = NULL;

	PG_RETURN_POINTER(am);
}

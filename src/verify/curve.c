/*
 * curve.c
 *    vecx_calibrate, vecx_curve, vecx_last_scan: what searches of an index find
 *    for which effort, measured with the user's queries, and shown.
 *
 * A build measures by codes (am/calibrate.c).  Of given queries, and where codes are
 * too coarse for that, the truth comes from the table, by the operator itself.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "verify/verify.h"

/* Stored vectors that are searched for, and queries of a table, at most. */
#define STORED_QUERIES	500
#define GIVEN_QUERIES	1000

typedef struct Measured
{
	VecxQuerySet *set;
	const VecxQuery *query;
} Measured;

/* Rows of a vertex that are no farther than reach, by their values. */
static int
rows_within_reach(const VecxOpened *opened, double reach, void *arg)
{
	const Measured *measured = arg;
	VecxQuerySet *set = measured->set;
	MemoryContext old;
	struct varlena *value;
	VecxRange	range;
	int			nrows;

	CHECK_FOR_INTERRUPTS();
	/* the last of the true nearest is at reach, and may seem beyond it by rounding */
	VecxRangeInit(&range, set->index->spec->metric, set->index->meta.dim, reach);
	if (opened->rank - 2 * opened->error > range.max_rank)
		return 0;
	old = MemoryContextSwitchTo(set->row_cxt);
	nrows = VecxVisibleRows(set, opened->id, opened->tids, opened->nrows, opened->chain, set->k,
							&value);
	if (nrows > 0 && VecxQueryDistance(set, measured->query, PointerGetDatum(value)) > reach)
		nrows = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(set->row_cxt);
	return nrows;
}

/* Searches for a query, at first only for how far its nearest are, *near; whether it
 * has a distance to anything. */
static bool
search_for(VecxCurveSums *sums, VecxQuerySet *set, VecxQuery *query, bool look, float *near)
{
	Measured	measured = {set, query};
	const VecxStored *stored = query->stored.id != VECX_INVALID_ID ? &query->stored : NULL;
	VecxInput	input;
	VecxProbe  *probe;

	VecxPrepareInput(set->index, PointerGetDatum(query->value), &input);
	if (input.kind != VECX_INPUT_OK || query->truth.n == 0)
		return false;
	probe = VecxProbeMake(set->index, input.vec);
	if (look)
		*near = VecxCurveLook(sums, *probe, stored);
	else
		VecxCurveAdd(sums, probe, stored, *near, query->truth.distance, query->truth.n,
					 rows_within_reach, &measured);
	return true;
}

/* The same for all queries of the set; returns how many were of use. */
static int
search_for_all(VecxCurveSums *sums, VecxQuerySet *set, bool look, float *near)
{
	MemoryContext query_cxt = AllocSetContextCreate(set->cxt, "vecx calibration of a query",
													ALLOCSET_DEFAULT_SIZES);
	int			used = 0;

	for (int i = 0; i < set->nqueries; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(query_cxt);

		CHECK_FOR_INTERRUPTS();
		used += search_for(sums, set, &set->queries[i], look, &near[i]);
		VecxExactReset(set->exact);
		MemoryContextSwitchTo(old);
		MemoryContextReset(query_cxt);
	}
	MemoryContextDelete(query_cxt);
	return used;
}

/* Measures the curve with the queries of the set, unless too few are of use. */
static void
measure(VecxQuerySet *set, bool given)
{
	VecxCurveSums *sums = VecxCurveBegin(set->index);
	float	   *near = palloc(sizeof(float) * Max(set->nqueries, 1));

	/* queries without a distance stay so far */
	for (int i = 0; i < set->nqueries; i++)
		near[i] = get_float4_infinity();
	VecxQueriesCheck(set, given, search_for_all(sums, set, true, near));
	VecxCurveLooked(sums, near, set->nqueries);
	(void) search_for_all(sums, set, false, near);
	if (given)
		(void) VecxSampleVertices(set->index, NULL, 0, &set->vertices);
	(void) VecxCurveStore(sums, given ? VECX_CURVE_GIVEN : VECX_CURVE_STORED, set->vertices);
}

/* The same of posting lists, which tell themselves what is nearest. */
static void
measure_lists(VecxQuerySet *set, bool given)
{
	const float **x = palloc(sizeof(float *) * Max(set->nqueries, 1));
	ItemPointerData *tids = palloc(sizeof(ItemPointerData) * Max(set->nqueries, 1));
	Size		bytes = sizeof(float) * set->index->meta.dim;
	int			n = 0;

	for (int i = 0; i < set->nqueries; i++)
	{
		VecxInput	input;

		VecxPrepareInput(set->index, PointerGetDatum(set->queries[i].value), &input);
		if (input.kind != VECX_INPUT_OK)
			continue;
		x[n] = memcpy(palloc(bytes), input.vec, bytes);
		tids[n++] = set->queries[i].row;
	}
	VecxQueriesCheck(set, given, n);
	(void) VecxListCalibrate(set->index, set->exact, x, given ? NULL : tids, n,
							 given ? VECX_CURVE_GIVEN : VECX_CURVE_STORED);
}

/* A share of the curve, to the four digits that its queries are good for. */
static double
rounded_share(uint16 share)
{
	return rint(share * 1e4 / PG_UINT16_MAX) / 1e4;
}

/* The width of a point; of posting lists it is a number of lists. */
static int
point_width(const VecxMetaPageData *meta, int line, int at)
{
	const VecxCurvePoint *point = &meta->curve.points[line][at];

	return meta->structure == VECX_STRUCTURE_LISTS ? point->multiple : VecxPointWidth(line, point);
}

/* Tells if no effort that was measured reaches the target, where most is missing. */
static void
note_shortfall(Relation rel)
{
	VecxMetaPageData meta;
	const VecxCurveData *curve = &meta.curve;
	double		target = VecxTargetRecall(rel);
	double		found = target;
	int			line = -1;
	int			width;

	VecxMetaRead(rel, &meta);
	for (int i = 0; i < VECX_CURVE_KS && VecxCurveIsValid(curve); i++)
		if (curve->npoints[i] > 0 && rounded_share(curve->points[i][curve->npoints[i] - 1].mean) < found)
		{
			found = rounded_share(curve->points[i][curve->npoints[i] - 1].mean);
			line = i;
		}
	if (line < 0)
		return;
	width = point_width(&meta, line, curve->npoints[line] - 1);
	ereport(NOTICE,
			(errmsg("searches of index \"%s\" do not reach the target recall of %g", RelationGetRelationName(rel),
					target),
			 meta.structure == VECX_STRUCTURE_LISTS ?
			 errdetail("With LIMIT %d they find %g of the nearest rows by the most that was measured, %d lists.",
					   VecxCurveRows[line], found, width) :
			 errdetail("With LIMIT %d they find %g of the nearest rows by the most that was measured, a width of %d.",
					   VecxCurveRows[line], found, width),
			 errhint("A larger %s may find more.  vecx_curve() shows what was measured.",
					 meta.structure == VECX_STRUCTURE_LISTS ? "vecx.probes" : "vecx.ef_search")));
}

/* vecx_calibrate(index regclass, queries regclass, query_column name) */
PG_FUNCTION_INFO_V1(vecx_calibrate);
Datum
vecx_calibrate(PG_FUNCTION_ARGS)
{
	bool		given = !PG_ARGISNULL(1);
	VecxMetaPageData meta;
	VecxQuerySet set;
	VecxIndex  *index;
	MemoryContext old;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	VecxRefuseRecovery("vecx_calibrate()", "A standby gets what its primary has measured.");
	PreventCommandIfReadOnly("vecx_calibrate()");
	memset(&set, 0, sizeof(set));
	set.k = VecxCurveRows[VECX_CURVE_FEW_KS - 1];
	set.least_queries = VECX_LEAST_QUERIES;
	set.most_queries = given ? GIVEN_QUERIES : STORED_QUERIES;
	set.cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx calibration",
									ALLOCSET_DEFAULT_SIZES);
	VecxTargetOpen(&set.target, PG_GETARG_OID(0), RowExclusiveLock);
	VecxMetaRead(set.target.rel, &meta);
	if (meta.structure == VECX_STRUCTURE_LISTS)
		set.k = 0;
	old = MemoryContextSwitchTo(set.cxt);
	set.index = index = VecxIndexOpen(set.target.rel, set.cxt);
	if (!given && PG_ARGISNULL(2) && !index->lists && VecxCodesAreFine(index))
		VecxQueriesCheck(&set, given, VecxCalibrate(index, true));
	else
	{
		VecxQuerySetMake(&set, given ? PG_GETARG_OID(1) : InvalidOid,
						 PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2)));
		if (index->lists)
			measure_lists(&set, given);
		else
			measure(&set, given);
		VecxQuerySetEnd(&set);
	}
	note_shortfall(set.target.rel);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(set.cxt);
	VecxTargetClose(&set.target);
	PG_RETURN_VOID();
}

/* Whether a point is the same effort as the one before, at so few rows. */
static bool
repeats(const VecxMetaPageData *meta, int line, int at)
{
	const VecxCurveData *curve = &meta->curve;

	return at > 0 && point_width(meta, line, at) == point_width(meta, line, at - 1) &&
		curve->points[line][at].spread == curve->points[line][at - 1].spread;
}

static void
put_point(ReturnSetInfo *result, const VecxMetaPageData *meta, int line, int at)
{
	const VecxCurveData *curve = &meta->curve;
	const VecxCurvePoint *point = &curve->points[line][at];
	Datum		values[9];
	bool		nulls[9] = {false};
	int			n = 0;

	values[n++] = Int32GetDatum(VecxCurveRows[line]);
	values[n++] = Float8GetDatum(rounded_share(point->mean));
	values[n++] = Float8GetDatum(rounded_share(point->lower));
	values[n++] = Int32GetDatum(point_width(meta, line, at));
	values[n++] = Float8GetDatum(rint(point->spread * 100 / 256.0) / 100);
	values[n++] = Int32GetDatum(point->records);
	values[n++] = CStringGetTextDatum(curve->source == VECX_CURVE_GIVEN ? "given" : "stored");
	values[n++] = Int32GetDatum(curve->queries);
	values[n++] = Int64GetDatum(curve->vertices);
	Assert(n == lengthof(values));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(vecx_curve);
Datum
vecx_curve(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	VecxMetaPageData meta;
	VecxTarget	target;

	InitMaterializedSRF(fcinfo, 0);
	VecxTargetOpen(&target, PG_GETARG_OID(0), AccessShareLock);
	VecxMetaRead(target.rel, &meta);
	VecxTargetClose(&target);
	if (VecxCurveIsValid(&meta.curve))
		for (int line = 0; line < VECX_CURVE_KS; line++)
			for (int at = 0; at < meta.curve.npoints[line]; at++)
				if (!repeats(&meta, line, at))
					put_point(result, &meta, line, at);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(vecx_last_scan);
Datum
vecx_last_scan(PG_FUNCTION_ARGS)
{
	const VecxScanCounts *counts = VecxLastScan();
	TupleDesc	desc;
	Datum		values[14];
	bool		nulls[14] = {false};
	int			n = 0;

	if (!OidIsValid(counts->index))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[n++] = ObjectIdGetDatum(counts->index);
	nulls[n] = counts->rows_wanted == 0;
	values[n++] = Int64GetDatum(counts->rows_wanted);
	values[n++] = Int32GetDatum(counts->width);
	values[n++] = Int64GetDatum(counts->batches);
	values[n++] = Int64GetDatum(counts->hops);
	values[n++] = Int64GetDatum(counts->records);
	values[n++] = Int64GetDatum(counts->tested);
	values[n++] = Int64GetDatum(counts->matching);
	values[n++] = Int64GetDatum(counts->entries);
	values[n++] = Int64GetDatum(counts->heap_fetches);
	values[n++] = Int64GetDatum(counts->dropped);
	values[n++] = BoolGetDatum(counts->stopped);
	values[n++] = BoolGetDatum(counts->by_tree);
	values[n++] = BoolGetDatum(counts->by_table);
	Assert(n == lengthof(values));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

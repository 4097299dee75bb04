/*
 * compress.c
 *    vecx_compress_report: what each way to make a column's vectors small costs
 *    in recall, tried on a sample of them.
 */
#include "postgres.h"

#include <math.h>
#include <time.h>

#include "access/table.h"
#include "catalog/pg_type.h"
#include "code/code_list.h"
#include "commands/defrem.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "kernel/kernel.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "am/list.h"
#include "verify/verify.h"

#define RERANK		10			/* times k rows are looked at again */
#define MAX_K		1000
#define MAX_SAMPLES 1000000
#define TRAIN_SEED	UINT64CONST(0x7665637843)
#define RESULTS		64			/* rows of a report: more than all its arguments make */

/* One row of the report. */
typedef struct Trial
{
	const char *structure;
	const char *quantizer;
	int			bits;			/* 0: none to tell */
	int			pq_m;
	const char *pq_training;
	int			nbytes;			/* of a vector's code */
	double		recall;
	double		reranked;
	double		encode_us;		/* of one vector */
	double		train_s;
	const char *options;		/* of an index, or NULL */
	double		index_bytes;
} Trial;

typedef struct Report
{
	VecxSample	sample;
	MemoryContext cxt;			/* of one code */
	const char *name;			/* of an index, in messages */
	float	   *mean;			/* [dim], zeros under inner product */
	int			nresults;
	Trial		results[RESULTS];
} Report;

/* Own codes of the graph's vertices. */
static const struct
{
	VecxCodeKind kind;
	const char *quantizer;
	int			bits;
}			vertex_codes[] =
{
	{VECX_CODE_NONE, "none", 0},
	{VECX_CODE_HALF, "half", 0},
	{VECX_CODE_SQ8, "sq8", 0},
	{VECX_CODE_RABITQ8, "rabitq", 8},
	{VECX_CODE_RABITQ1 + 5, "rabitq", 6},
	{VECX_CODE_RABITQ1 + 4, "rabitq", 5},
	{VECX_CODE_RABITQ1 + 3, "rabitq", 4},
	{VECX_CODE_RABITQ1 + 2, "rabitq", 3},
	{VECX_CODE_RABITQ1 + 1, "rabitq", 2},
	{VECX_CODE_RABITQ1, "rabitq", 1},
};

/* Bits a dimension that codes in blocks are tried with: RaBitQ, and PQ by the
 * dimensions that share one of its bits. */
static const int block_bits[] = {7, 5, 4, 2, 1};
static const int pq_dims_a_bit[] = {1, 2, 4};

/* ---- recall ---- */

/*
 * How many of a query's nearest rows are among the n that the estimates take for
 * nearest.  Rows with one code have one estimate: of those at the border as many are
 * among the n as there is room for, chosen by chance.
 */
static double
count_found(const VecxSample *sample, int query, const float *est, float *work, int n)
{
	const float *truth = sample->distances + (Size) query * sample->nrows;
	float		limit;
	int			within = 0;
	int			border = 0;
	int			found = 0;
	int			found_at_border = 0;

	memcpy(work, est, sizeof(float) * sample->nrows);
	limit = VecxKthSmallest(work, sample->nrows, n);
	for (int r = 0; r < sample->nrows; r++)
	{
		bool		nearest = truth[r] <= sample->reach[query];

		within += est[r] < limit;
		found += est[r] < limit && nearest;
		border += est[r] == limit;
		found_at_border += est[r] == limit && nearest;
	}
	return found + (border > 0 ? found_at_border * (double) (n - within) / border : 0);
}

/*
 * Adds what share of a query's nearest rows is among the k, and among the
 * RERANK k, that the estimates take for nearest.
 */
static void
add_recall(const VecxSample *sample, int query, const float *est, float *work, Trial *result)
{
	int			k = Min(sample->k, sample->nrows);
	double		found = count_found(sample, query, est, work, k);
	double		reranked = count_found(sample, query, est, work, Min(RERANK * k, sample->nrows));

	result->recall += Min(found, k) / k / sample->nqueries;
	result->reranked += Min(reranked, k) / k / sample->nqueries;
}

/* Processor time, so that what else the machine does is of no matter. */
static double
seconds_since(clock_t start)
{
	return (double) (clock() - start) / CLOCKS_PER_SEC;
}

/* ---- codes of vertices ---- */

static void
try_vertex_code(Report *report, VecxCodeKind kind, Trial *result)
{
	VecxSample *sample = &report->sample;
	uint32		dim = sample->index.meta.dim;
	VecxCoder	coder;
	uint8	   *codes;
	float	   *est = palloc(sizeof(float) * sample->nrows);
	float	   *work = palloc(sizeof(float) * sample->nrows);
	clock_t		start;
	void	   *scratch;

	vecx_coder_init(&coder, kind, sample->index.spec->metric, dim, 0);
	if (vecx_code_has_centre(kind, coder.metric))
		coder.centre = report->mean;
	codes = MemoryContextAllocHuge(report->cxt, (Size) coder.nbytes * sample->nrows);
	scratch = palloc(vecx_code_query_scratch(&coder));
	start = clock();
	for (int r = 0; r < sample->nrows; r++)
	{
		CHECK_FOR_INTERRUPTS();
		vecx_code_encode(&coder, sample->rows + (Size) r * dim, codes + (Size) r * coder.nbytes);
	}
	result->encode_us = seconds_since(start) * 1e6 / sample->nrows;
	result->nbytes = (int) coder.nbytes;
	for (int q = 0; q < sample->nqueries; q++)
	{
		VecxCodeQuery query;

		CHECK_FOR_INTERRUPTS();
		vecx_code_query_init(&coder, &query, sample->queries + (Size) q * dim, scratch);
		for (int r = 0; r < sample->nrows; r++)
		{
			const uint8 *code = codes + (Size) r * coder.nbytes;

			est[r] = vecx_code_rank(&coder, &query, code,
									vecx_code_distance(&coder, &query, code));
		}
		add_recall(sample, q, est, work, result);
	}
}

/*
 * The options that give a vertex code, as users write them, and for the library.
 * There are none if vertices of it do not fit a page.
 */
static void
set_options(Report *report, VecxCodeKind kind, Trial *result)
{
	const VecxOpSpec *spec = report->sample.index.spec;
	uint32		dim = report->sample.index.meta.dim;
	Datum		options[2];
	int			n = 0;

	if (!VecxCodeFits(spec, kind, dim, VECX_SKETCH_FACTOR_BYTES +
					  vecx_sketch_default_bytes(spec->metric, dim, 0), VECX_DEFAULT_M))
		return;
	options[n++] = CStringGetTextDatum(psprintf("quantizer=%s", result->quantizer));
	if (result->bits > 0)
		options[n++] = CStringGetTextDatum(psprintf("bits=%d", result->bits));
	result->options = MemoryContextStrdup(report->sample.cxt, result->bits > 0 ?
										  psprintf("quantizer = %s, bits = %d", result->quantizer,
												   result->bits) :
										  psprintf("quantizer = %s", result->quantizer));
	result->index_bytes = VecxEstimateIndexBytes(report->name, spec, dim,
												 PointerGetDatum(construct_array(options, n, TEXTOID, -1, false, TYPALIGN_INT)),
												 (double) report->sample.seen);
}

/* ---- codes in blocks ---- */

/* The blocks of all rows, coded relative to their mean. */
typedef struct Blocks
{
	VecxListCode code;
	uint8	   *columns;		/* [blocks][code_bytes] */
	VecxListFactors *factors;
	uint8	   *extras;			/* [nrows][extra_bytes] */
	float		mean2;			/* |mean|^2 */
} Blocks;

static void
encode_blocks(Report *report, Blocks *blocks)
{
	VecxSample *sample = &report->sample;
	const VecxListCode *code = &blocks->code;
	uint32		dim = sample->index.meta.dim;
	Size		nblocks = (sample->nrows + VECX_LIST_BLOCK - 1) / VECX_LIST_BLOCK;
	float	   *y = palloc(sizeof(float) * code->proj_floats * (VECX_LIST_BLOCK + 1));
	VecxListCentre centre = {report->mean, y + VECX_LIST_BLOCK * code->proj_floats};
	void	   *scratch = palloc(vecx_list_scratch(code, VECX_LIST_BLOCK));
	VecxListEntry entry = {.codes = palloc(code->ncolumns)};

	blocks->columns = MemoryContextAllocExtended(report->cxt, nblocks * code->code_bytes,
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	blocks->factors = palloc0(sizeof(VecxListFactors) * nblocks);
	if (code->extra_bytes > 0)
		blocks->extras = MemoryContextAllocHuge(report->cxt, (Size) code->extra_bytes * sample->nrows);
	blocks->mean2 = vecx_kernels->ip_f32(report->mean, report->mean, dim);
	vecx_list_project(code, report->mean, unconstify(float *, centre.y), scratch);
	for (int r = 0; r < sample->nrows; r++)
	{
		int			slot = r % VECX_LIST_BLOCK;
		const float *x = sample->rows + (Size) r * dim;

		CHECK_FOR_INTERRUPTS();
		if (slot == 0)
			vecx_list_project_many(code, x, Min(VECX_LIST_BLOCK, sample->nrows - r), y, scratch);
		entry.extra = code->extra_bytes > 0 ? blocks->extras + (Size) r * code->extra_bytes : NULL;
		vecx_list_encode(code, &centre, x, y + slot * code->proj_floats, &entry, scratch);
		vecx_list_put_codes(code, blocks->columns + (Size) (r / VECX_LIST_BLOCK) * code->code_bytes,
							0, code->ncolumns, slot, entry.codes);
		vecx_list_put_factors(&blocks->factors[r / VECX_LIST_BLOCK], slot, &entry);
	}
}

/* Estimates of a block's rows, from first on, with all the bits there are. */
static void
estimate_block(const Blocks *blocks, const VecxListQuery *query, const VecxListProbe *probe,
			   int first, int n, float *est)
{
	const VecxListCode *code = &blocks->code;
	const uint8 *columns = blocks->columns + (Size) (first / VECX_LIST_BLOCK) * code->code_bytes;
	uint32		sums[VECX_LIST_BLOCK] = {0};
	float		ests[VECX_LIST_BLOCK];
	float		sigmas[VECX_LIST_BLOCK];

	vecx_list_add_sums(code, query, columns, 0, code->ncolumns, sums);
	vecx_list_estimates(query, probe, sums, &blocks->factors[first / VECX_LIST_BLOCK], ests,
						sigmas);
	for (int i = 0; i < n && code->extra_bytes > 0; i++)
		vecx_list_refine(code, query, probe, vecx_list_product(query, sums[i]),
						 blocks->extras + (Size) (first + i) * code->extra_bytes, &ests[i],
						 &sigmas[i]);
	memcpy(est, ests, sizeof(float) * n);
}

static void
try_block_code(Report *report, const VecxListOptions *options, Trial *result)
{
	VecxSample *sample = &report->sample;
	uint32		dim = sample->index.meta.dim;
	VecxMetric	metric = sample->index.spec->metric;
	VecxListSample rows = {
		.rows = sample->rows, .nrows = sample->nrows,
		.queries = sample->ngiven > 0 ? sample->given : NULL, .nqueries = sample->ngiven,
		.memory = (Size) maintenance_work_mem * 1024 / 2
	};
	float	   *est = palloc(sizeof(float) * sample->nrows);
	float	   *work = palloc(sizeof(float) * sample->nrows);
	VecxTrainEnv env;
	Blocks		blocks;
	clock_t		start;
	const char *problem;
	uint8	   *bytes;
	size_t		nbytes;
	void	   *scratch;

	memset(&blocks, 0, sizeof(blocks));
	VecxTrainEnvInit(&env, report->cxt);
	start = clock();
	bytes = vecx_list_code_train(&env, options, metric, dim, &rows, &nbytes);
	result->train_s = seconds_since(start);
	problem = vecx_list_code_bind(&blocks.code, bytes, nbytes);
	if (problem)
		elog(ERROR, "trained quantizer: %s", problem);
	start = clock();
	encode_blocks(report, &blocks);
	result->encode_us = seconds_since(start) * 1e6 / sample->nrows;
	result->nbytes = (int) (blocks.code.code_bytes + sizeof(VecxListFactors)) / VECX_LIST_BLOCK +
		(int) blocks.code.extra_bytes;
	scratch = palloc(vecx_list_query_bytes(&blocks.code));
	for (int q = 0; q < sample->nqueries; q++)
	{
		const float *x = sample->queries + (Size) q * dim;
		VecxListQuery query;
		VecxListProbe probe;

		CHECK_FOR_INTERRUPTS();
		vecx_list_query_init(&blocks.code, &query, x, scratch);
		vecx_list_probe_init(&blocks.code, &query, metric == VECX_METRIC_IP ?
							 -vecx_kernels->ip_f32(x, report->mean, dim) :
							 vecx_kernels->l2sq_f32(x, report->mean, dim), blocks.mean2, &probe);
		for (int r = 0; r < sample->nrows; r += VECX_LIST_BLOCK)
			estimate_block(&blocks, &query, &probe, r, Min(VECX_LIST_BLOCK, sample->nrows - r),
						   est + r);
		add_recall(sample, q, est, work, result);
	}
}

/* ---- the report ---- */

static Trial *
new_result(Report *report)
{
	Trial	   *result;

	if (report->nresults == RESULTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a report has at most %d rows", RESULTS),
				 errhint("Ask for fewer trainings at once.")));
	result = &report->results[report->nresults++];
	memset(result, 0, sizeof(*result));
	return result;
}

static void
report_vertex_codes(Report *report)
{
	for (int i = 0; i < lengthof(vertex_codes); i++)
	{
		Trial	   *result = new_result(report);
		MemoryContext old = MemoryContextSwitchTo(report->cxt);

		result->structure = "graph";
		result->quantizer = vertex_codes[i].quantizer;
		result->bits = vertex_codes[i].bits;
		try_vertex_code(report, vertex_codes[i].kind, result);
		set_options(report, vertex_codes[i].kind, result);
		MemoryContextSwitchTo(old);
		MemoryContextReset(report->cxt);
	}
}

/* The options that give a code in blocks, if blocks of it fit a page. */
static void
set_list_options(Report *report, const VecxListOptions *wanted, Trial *result)
{
	const VecxOpSpec *spec = report->sample.index.spec;
	uint32		dim = report->sample.index.meta.dim;
	bool		pq = wanted->quantizer == VECX_LIST_PQ;
	VecxLists	lists;
	Datum		options[5];
	int			n = 0;
	StringInfoData line;

	memset(&lists, 0, sizeof(lists));
	vecx_list_code_plan(wanted, spec->metric, dim, &lists.code);
	lists.row_size = sizeof(VecxRowEntry);
	VecxListsLayOut(&lists, 0);
	if (lists.page_rows == 0 || spec->metric == VECX_METRIC_L1)
		return;
	options[n++] = CStringGetTextDatum("structure=lists");
	options[n++] = CStringGetTextDatum(pq ? "quantizer=pq" : "quantizer=rabitq");
	options[n++] = CStringGetTextDatum(psprintf("bits=%u", wanted->bits));
	if (pq)
	{
		options[n++] = CStringGetTextDatum(psprintf("pq_m=%u", wanted->pq_m));
		options[n++] = CStringGetTextDatum(psprintf("pq_training=%s", vecx_pq_training_name(wanted->training)));
	}
	initStringInfo(&line);
	for (int i = 0; i < n; i++)
	{
		char	   *option = TextDatumGetCString(options[i]);
		char	   *equals = strchr(option, '=');

		*equals = '\0';
		appendStringInfo(&line, "%s%s = %s", i > 0 ? ", " : "", option, equals + 1);
	}
	result->options = MemoryContextStrdup(report->sample.cxt, line.data);
	result->index_bytes = VecxEstimateIndexBytes(report->name, spec, dim,
												 PointerGetDatum(construct_array(options, n, TEXTOID, -1, false, TYPALIGN_INT)),
												 (double) report->sample.seen);
}

static void
report_block_code(Report *report, VecxListQuantizer quantizer, int bits, int m,
				  VecxPqTraining training)
{
	VecxListOptions options = {quantizer, (uint32) bits, (uint32) m, training, TRAIN_SEED};
	Trial	   *result = new_result(report);
	MemoryContext old = MemoryContextSwitchTo(report->cxt);

	result->structure = "lists";
	result->quantizer = quantizer == VECX_LIST_PQ ? "pq" : "rabitq";
	result->bits = bits;
	result->pq_m = m;
	result->pq_training = quantizer == VECX_LIST_PQ ? vecx_pq_training_name(training) : NULL;
	try_block_code(report, &options, result);
	set_list_options(report, &options, result);
	MemoryContextSwitchTo(old);
	MemoryContextReset(report->cxt);
}

static void
report_block_codes(Report *report, const VecxPqTraining *trainings, int ntrainings,
				   const int *bits, int nbits)
{
	int			dim = (int) report->sample.index.meta.dim;

	for (int i = 0; i < lengthof(block_bits); i++)
		report_block_code(report, VECX_LIST_RABITQ, block_bits[i], 0, 0);
	for (int b = 0; b < nbits; b++)
		for (int i = 0; i < lengthof(pq_dims_a_bit); i++)
			for (int t = 0; t < ntrainings; t++)
			{
				int			m = dim / bits[b] / pq_dims_a_bit[i];

				if (m > 0 && m <= (int) vecx_list_most_m((uint32) dim))
					report_block_code(report, VECX_LIST_PQ, bits[b], m, trainings[t]);
			}
}

/*
 * The row to recommend: of what an index can be made of and what fits the
 * budget, the most recall after reranking, to the thousandth; then before it,
 * then the smallest.  NULL if nothing fits.
 */
static const Trial *
recommend(const Report *report, int64 budget)
{
	const Trial *best = NULL;

	for (int i = 0; i < report->nresults; i++)
	{
		const Trial *result = &report->results[i];
		double		gain[3] = {1, 0, 0};

		if (!result->options || result->index_bytes > (double) budget)
			continue;
		if (best)
		{
			gain[0] = rint(result->reranked * 1000) - rint(best->reranked * 1000);
			gain[1] = rint(result->recall * 1000) - rint(best->recall * 1000);
			gain[2] = best->index_bytes - result->index_bytes;
		}
		if (gain[0] > 0 || (gain[0] == 0 && (gain[1] > 0 || (gain[1] == 0 && gain[2] > 0))))
			best = result;
	}
	return best;
}

/* Numbers to as many digits as a sample of this size is good for. */
static Datum
rounded(double x, double digits)
{
	return Float8GetDatum(rint(x * digits) / digits);
}

static Datum
text_datum(const char *text)
{
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
put_result(ReturnSetInfo *set, const Report *report, const Trial *result, const Trial *best,
		   bool budget)
{
	Datum		values[14];
	bool		nulls[14] = {false};
	double		plain = 4.0 * report->sample.index.meta.dim;
	int			n = 0;

	values[n++] = CStringGetTextDatum(result->structure);
	values[n++] = CStringGetTextDatum(result->quantizer);
	nulls[n] = result->bits == 0;
	values[n++] = Int32GetDatum(result->bits);
	nulls[n] = result->pq_m == 0;
	values[n++] = Int32GetDatum(result->pq_m);
	nulls[n] = result->pq_training == NULL;
	values[n++] = text_datum(result->pq_training);
	values[n++] = Int32GetDatum(result->nbytes);
	values[n++] = rounded(plain / result->nbytes, 10);
	values[n++] = rounded(result->recall, 10000);
	values[n++] = rounded(result->reranked, 10000);
	values[n++] = rounded(result->encode_us, 100);
	values[n++] = rounded(result->train_s, 1000);
	nulls[n] = result->options == NULL;
	values[n++] = Int64GetDatum((int64) result->index_bytes);
	nulls[n] = result->options == NULL;
	values[n++] = text_datum(result->options);
	nulls[n] = !budget;
	values[n++] = BoolGetDatum(result == best);
	Assert(n == lengthof(values));
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/* ---- arguments ---- */

static int
get_training(const char *name)
{
	for (int t = VECX_PQ_KMEANS; t <= VECX_PQ_PLAIN; t++)
		if (strcmp(name, vecx_pq_training_name(t)) == 0)
			return t;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown training \"%s\"", name),
			 errhint("Trainings are kmeans, balanced, anisotropic, distill, query_aware and plain.")));
	return 0;
}

static int
get_trainings(ArrayType *array, VecxPqTraining *trainings)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
	if (n > VECX_PQ_PLAIN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are %d trainings", VECX_PQ_PLAIN)));
	for (int i = 0; i < n; i++)
		trainings[i] = get_training(nulls[i] ? "" : TextDatumGetCString(elems[i]));
	return n;
}

static int
get_pq_bits(ArrayType *array, int *bits)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		bits[i % 2] = nulls[i] ? 0 : DatumGetInt32(elems[i]);
		if (n > 2 || (bits[i] != 4 && bits[i] != 8))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("pq_bits must be 4, 8 or both")));
	}
	return n;
}

/* Fills in what preparing the column's values takes. */
static void
begin_sample(VecxSample *sample, Relation rel, const char *column, const char *opclass)
{
	uint32		dim;
	const VecxOpSpec *spec = VecxColumnSpec(rel, column, opclass, &dim);

	if (spec->is_bits || spec->is_sparse)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has no vectors of type vector or halfvec", column),
				 errdetail("Other types have one way to be kept in an index.")));
	sample->index.spec = spec;
	sample->index.meta.dim = sample->index.meta.value_dim = dim;
}

static void
find_mean(Report *report)
{
	VecxSample *sample = &report->sample;
	uint32		dim = sample->index.meta.dim;
	double	   *sum = palloc0(sizeof(double) * dim);

	report->mean = palloc(sizeof(float) * dim);
	for (int r = 0; r < sample->nrows; r++)
		for (uint32 d = 0; d < dim; d++)
			sum[d] += sample->rows[(Size) r * dim + d];
	for (uint32 d = 0; d < dim; d++)
		report->mean[d] = sample->index.spec->metric == VECX_METRIC_IP ? 0.0f :
			(float) (sum[d] / sample->nrows);
	pfree(sum);
}

/*
 * vecx_compress_report(table regclass, column name, opclass name,
 * memory_budget bigint, k int, samples int, queries regclass, query_column name,
 * pq_training text[], pq_bits int[])
 */
PG_FUNCTION_INFO_V1(vecx_compress_report);
Datum
vecx_compress_report(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	VecxPqTraining trainings[VECX_PQ_PLAIN];
	int			bits[2];
	int			ntrainings;
	int			nbits;
	const char *column;
	Relation	table;
	Relation	query_table;
	Report	   *report;
	const Trial *best = NULL;
	MemoryContext cxt;
	MemoryContext old;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(4))
		return (Datum) 0;
	column = NameStr(*PG_GETARG_NAME(1));
	ntrainings = PG_ARGISNULL(8) ? 0 : get_trainings(PG_GETARG_ARRAYTYPE_P(8), trainings);
	nbits = PG_ARGISNULL(9) ? 0 : get_pq_bits(PG_GETARG_ARRAYTYPE_P(9), bits);
	VecxCheckQueries(PG_ARGISNULL(6) ? InvalidOid : PG_GETARG_OID(6),
					 PG_ARGISNULL(7) ? NULL : NameStr(*PG_GETARG_NAME(7)));
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecx compression report",
								ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	report = palloc0(sizeof(Report));
	report->sample.cxt = cxt;
	report->cxt = AllocSetContextCreate(cxt, "vecx code on trial", ALLOCSET_DEFAULT_SIZES);
	report->sample.k = VecxCheckCount(PG_GETARG_INT32(4), "k", 1, MAX_K);
	/* open until both are read: a function of a view cannot drop them then */
	table = VecxTableOpen(PG_GETARG_OID(0));
	query_table = PG_ARGISNULL(6) ? NULL : VecxTableOpen(PG_GETARG_OID(6));
	report->name = makeObjectName(RelationGetRelationName(table), column, "idx");
	begin_sample(&report->sample, table, column,
				 PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2)));
	VecxSampleTake(&report->sample, table, column,
				   PG_ARGISNULL(5) ? 0 : VecxCheckCount(PG_GETARG_INT32(5), "samples", VECX_LEAST_SAMPLES, MAX_SAMPLES),
				   query_table, PG_ARGISNULL(7) ? column : NameStr(*PG_GETARG_NAME(7)));
	if (query_table)
		table_close(query_table, NoLock);
	table_close(table, NoLock);
	find_mean(report);
	report_vertex_codes(report);
	report_block_codes(report, trainings, ntrainings, bits, nbits);
	if (!PG_ARGISNULL(3))
	{
		best = recommend(report, PG_GETARG_INT64(3));
		if (!best)
			ereport(NOTICE,
					(errmsg("no index on column \"%s\" fits %lld bytes", column,
							(long long) PG_GETARG_INT64(3))));
	}
	MemoryContextSwitchTo(old);
	for (int i = 0; i < report->nresults; i++)
		put_result(set, report, &report->results[i], best, !PG_ARGISNULL(3));
	MemoryContextDelete(cxt);
	return (Datum) 0;
}

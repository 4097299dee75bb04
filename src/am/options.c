/*
 * options.c
 *    Index options and settings.
 */
#include "postgres.h"

#include <limits.h>

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_class.h"
#include "code/code_list.h"
#include "compat.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "am/am.h"
#include "am/plan.h"
#include "code/code_replica.h"
#include "vecx.h"

int			vecx_ef_search = 0;
int			vecx_probes = 0;
double		vecx_probe_ratio = 0;
double		vecx_target_recall = VECX_DEFAULT_TARGET_RECALL;
bool		vecx_target_recall_is_own = false;
int			vecx_scan_order = VECX_SCAN_RELAXED;
int			vecx_max_scan_tuples = 0;

static relopt_kind vecx_relopt_kind;

static relopt_enum_elt_def quantizer_values[] =
{
	{"auto", VECX_QUANTIZER_AUTO},
	{"sq8", VECX_QUANTIZER_SQ8},
	{"rabitq", VECX_QUANTIZER_RABITQ},
	{"half", VECX_QUANTIZER_HALF},
	{"none", VECX_QUANTIZER_NONE},
	{"pq", VECX_QUANTIZER_PQ},
	{NULL}
};

static relopt_enum_elt_def rerank_values[] =
{
	{"heap", VECX_RERANK_HEAP},
	{"sq8", VECX_RERANK_SQ8},
	{"half", VECX_RERANK_HALF},
	{NULL}
};

static relopt_enum_elt_def pq_training_values[] =
{
	{"kmeans", VECX_PQ_KMEANS},
	{"balanced", VECX_PQ_BALANCED},
	{"anisotropic", VECX_PQ_ANISOTROPIC},
	{"distill", VECX_PQ_DISTILL},
	{"query_aware", VECX_PQ_QUERY_AWARE},
	{"plain", VECX_PQ_PLAIN},
	{NULL}
};

static relopt_enum_elt_def structure_values[] =
{
	{"graph", VECX_STRUCTURE_OPTION_GRAPH},
	{"lists", VECX_STRUCTURE_OPTION_LISTS},
	{NULL}
};

static const struct config_enum_entry scan_order_values[] =
{
	{"relaxed", VECX_SCAN_RELAXED, false},
	{"strict", VECX_SCAN_STRICT, false},
	{NULL, 0, false}
};

/* Remembers whether the value is the session's own, which counts more than an
 * index's; one that comes with the server, database or role counts less. */
static bool
check_target_recall(double *newval, void **extra, GucSource source)
{
	bool	   *is_own = guc_malloc(LOG, sizeof(bool));

	if (!is_own)
		return false;
	*is_own = source >= PGC_S_CLIENT;
	*extra = is_own;
	return true;
}

static void
assign_target_recall(double newval, void *extra)
{
	vecx_target_recall_is_own = extra && *(bool *) extra;
}

/* No list is nearer than the nearest. */
static bool
check_probe_ratio(double *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= 1)
		return true;
	GUC_check_errdetail("A ratio below 1 leaves no list to read.");
	return false;
}

/* Plans made for the strict order may rely on it, see plan_order.c; others are right under
 * either. */
static void
assign_scan_order(int newval, void *extra)
{
	if (newval != vecx_scan_order && vecx_scan_order == VECX_SCAN_STRICT)
		ResetPlanCache();
}

/* Schema, table and column that pq_queries names. */
List *
VecxSplitPqQueries(const char *value)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(value));

	if (list_length(names) != 3)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" does not name a column", value),
				 errhint("Write pq_queries as 'schema.table.column'.")));
	return names;
}

/* Only the form: an index may be restored before its queries are, and is built anew
 * under any search_path. */
static void
check_pq_queries(const char *value)
{
	if (value)
		(void) VecxSplitPqQueries(value);
}

static void
add_index_options(void)
{
	vecx_relopt_kind = add_reloption_kind();
	add_enum_reloption(vecx_relopt_kind, "structure",
					   "What the index is: a graph of all vectors, or lists of near ones",
					   structure_values, VECX_STRUCTURE_OPTION_GRAPH,
					   "Valid values are \"graph\" and \"lists\".",
					   AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "m",
					  "Links of a vertex above the base level; twice as many at the base",
					  VECX_DEFAULT_M, VECX_MIN_M, VECX_MAX_M, AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "ef_construction",
					  "Search width while vertices are linked",
					  VECX_DEFAULT_EF_CONSTRUCTION, VECX_MIN_EF_CONSTRUCTION,
					  VECX_MAX_EF_CONSTRUCTION, AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "sketch_bits",
					  "Bits of a neighbour's sketch; 0 lets the build choose",
					  0, 0, VECX_MAX_SKETCH_BITS, AccessExclusiveLock);
	add_enum_reloption(vecx_relopt_kind, "quantizer",
					   "Form in which the index keeps vectors",
					   quantizer_values, VECX_QUANTIZER_AUTO,
					   "Valid values are \"auto\", \"rabitq\", \"pq\", \"sq8\", \"half\" and \"none\".",
					   AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "bits",
					  "Bits of a dimension with quantizer = rabitq, of a number with quantizer = pq",
					  0, VECX_MIN_BITS, VECX_MAX_BITS, AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "list_rows",
					  "Rows of a list with structure = lists; the build chooses if this is not set",
					  0, VECX_MIN_LIST_ROWS, VECX_MAX_LIST_ROWS, AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "replicas",
					  "Lists that a row is put into at most, with structure = lists",
					  0, 1, VECX_MOST_REPLICAS, AccessExclusiveLock);
	add_int_reloption(vecx_relopt_kind, "pq_m",
					  "Numbers that a vector is coded by with quantizer = pq; 0 lets the build choose",
					  0, 0, VECX_MAX_PQ_M, AccessExclusiveLock);
	add_enum_reloption(vecx_relopt_kind, "pq_training",
					   "How the codebooks of quantizer = pq are trained",
					   pq_training_values, 0,
					   "Valid values are \"kmeans\", \"balanced\", \"anisotropic\", \"distill\", \"query_aware\" and \"plain\".",
					   AccessExclusiveLock);
	add_string_reloption(vecx_relopt_kind, "pq_queries",
						 "Column of queries for the training of quantizer = pq, as schema.table.column",
						 NULL, check_pq_queries, AccessExclusiveLock);
	add_enum_reloption(vecx_relopt_kind, "rerank",
					   "What the nearest rows of lists are looked up in: the table, or copies in the index",
					   rerank_values, VECX_RERANK_HEAP,
					   "Valid values are \"heap\", \"sq8\" and \"half\".",
					   AccessExclusiveLock);

	add_real_reloption(vecx_relopt_kind, "target_recall",
					   "Share of the nearest rows that searches should find",
					   0, VECX_MIN_TARGET_RECALL, VECX_MAX_TARGET_RECALL,
					   ShareUpdateExclusiveLock);
	add_bool_reloption(vecx_relopt_kind, "auto_calibrate",
					   "Whether builds, VACUUM and ANALYZE measure what searches find",
					   true, ShareUpdateExclusiveLock);
}

static void
define_settings(void)
{
	DefineCustomIntVariable("vecx.ef_search",
							"Search width of vecx index scans; 0 lets vecx.target_recall choose.",
							"Vertices that a search ranks before it returns its first row.",
							&vecx_ef_search, 0, 0, VECX_MAX_EF_SEARCH,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("vecx.probes",
							"Lists that scans of a vecx index with structure = lists read; 0 lets vecx.target_recall choose.",
							"Lists that a search reads before it returns its first row.",
							&vecx_probes, 0, 0, VECX_MAX_PROBES,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("vecx.probe_ratio",
							 "How many times as far as the nearest list others are read; 0 lets vecx.target_recall choose.",
							 "Lists of a vecx index with structure = lists that are farther are not read before the first row is returned.",
							 &vecx_probe_ratio, 0, 0, VECX_MAX_PROBE_RATIO,
							 PGC_USERSET, 0, check_probe_ratio, NULL, NULL);
	DefineCustomRealVariable("vecx.target_recall",
							 "Share of the nearest rows that searches should find.",
							 "By what was measured for the index; see vecx_calibrate.",
							 &vecx_target_recall, VECX_DEFAULT_TARGET_RECALL,
							 VECX_MIN_TARGET_RECALL, VECX_MAX_TARGET_RECALL,
							 PGC_USERSET, 0, check_target_recall, assign_target_recall, NULL);
	DefineCustomEnumVariable("vecx.scan_order",
							 "Order of rows that a vecx index scan finds late.",
							 "relaxed returns a row found late at once; strict drops it.",
							 &vecx_scan_order, VECX_SCAN_RELAXED, scan_order_values,
							 PGC_USERSET, 0, NULL, assign_scan_order, NULL);
	DefineCustomIntVariable("vecx.max_scan_tuples",
							"Rows of an index that a scan looks at before it gives up; 0 sets no limit.",
							"A scan that gives up says so in a NOTICE; its result may lack rows.",
							&vecx_max_scan_tuples, 0, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
}

/* Called once, when the library is loaded. */
void
vecxAmInit(void)
{
	add_index_options();
	define_settings();
	vecxPlanInit();
	vecxLimitInit();
}

static const char *
enum_name(const relopt_enum_elt_def *values, int value)
{
	while (values->string_val && values->symbol_val != value)
		values++;
	return values->string_val;
}

/* Raises if an option is given, and what it has an effect with is not. */
static void
check_needs(bool given, bool met, const char *what, const char *option, const char *needs)
{
	if (given && !met)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s applies to %s only", what, needs),
				 errhint("Set %s, or leave out %s (ALTER INDEX ... RESET (%s)).", needs, option, option)));
}

static void
check_list_options(const VecxOptions *options)
{
	bool		pq = options->quantizer == VECX_QUANTIZER_PQ;

	if (!pq && options->quantizer != VECX_QUANTIZER_AUTO && options->quantizer != VECX_QUANTIZER_RABITQ)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("structure = lists does not support quantizer = %s",
						enum_name(quantizer_values, options->quantizer)),
				 errhint("Use quantizer = rabitq or quantizer = pq.")));
	if (pq && options->bits != 0 && options->bits != 4 && options->bits != 8)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bits must be 4 or 8 with quantizer = pq"),
				 errhint("Set one of these, or leave out bits for 4.")));
	if (!pq && options->bits > 1 && options->rerank != VECX_RERANK_HEAP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bits = %d and rerank = %s do not go together", options->bits,
						enum_name(rerank_values, options->rerank)),
				 errdetail("Copies of vectors leave nothing for further bits to tell."),
				 errhint("Leave out one of them.")));
}

/*
 * Raises if options do not go together, or one would be without effect.  ALTER INDEX
 * comes here with all that an index has then: what it lets pass, a dump can restore, but
 * for what depends on the column.
 */
static void
check_together(const VecxOptions *options)
{
	bool		lists = options->structure == VECX_STRUCTURE_OPTION_LISTS;
	bool		pq = options->quantizer == VECX_QUANTIZER_PQ;
	int			training = options->pq_training;
	const char *of_lists = "structure = lists";
	const char *of_pq = "structure = lists and quantizer = pq";

	check_needs(pq, lists, "quantizer = pq", "quantizer", of_lists);
	check_needs(options->list_rows > 0, lists, "list_rows", "list_rows", of_lists);
	check_needs(options->replicas > 0, lists, "replicas", "replicas", of_lists);
	check_needs(options->rerank != VECX_RERANK_HEAP, lists, "rerank", "rerank", of_lists);
	check_needs(options->pq_m > 0, pq, "pq_m", "pq_m", of_pq);
	check_needs(training > 0, pq, "pq_training", "pq_training", of_pq);
	check_needs(options->pq_queries > 0, pq, "pq_queries", "pq_queries", of_pq);
	check_needs(options->pq_queries > 0, training == VECX_PQ_DISTILL || training == VECX_PQ_QUERY_AWARE,
				"pq_queries", "pq_queries", "pq_training = distill or query_aware");
	if (lists)
		check_list_options(options);
	else
		check_needs(options->bits > 0, options->quantizer == VECX_QUANTIZER_RABITQ,
					"bits", "bits", "quantizer = rabitq");
}

bytea *
vecxoptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt tab[] = {
		{"structure", RELOPT_TYPE_ENUM, offsetof(VecxOptions, structure)},
		{"m", RELOPT_TYPE_INT, offsetof(VecxOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(VecxOptions, ef_construction)},
		{"sketch_bits", RELOPT_TYPE_INT, offsetof(VecxOptions, sketch_bits)},
		{"quantizer", RELOPT_TYPE_ENUM, offsetof(VecxOptions, quantizer)},
		{"bits", RELOPT_TYPE_INT, offsetof(VecxOptions, bits)},
		{"list_rows", RELOPT_TYPE_INT, offsetof(VecxOptions, list_rows)},
		{"replicas", RELOPT_TYPE_INT, offsetof(VecxOptions, replicas)},
		{"pq_m", RELOPT_TYPE_INT, offsetof(VecxOptions, pq_m)},
		{"pq_training", RELOPT_TYPE_ENUM, offsetof(VecxOptions, pq_training)},
		{"pq_queries", RELOPT_TYPE_STRING, offsetof(VecxOptions, pq_queries)},
		{"rerank", RELOPT_TYPE_ENUM, offsetof(VecxOptions, rerank)},
		{"target_recall", RELOPT_TYPE_REAL, offsetof(VecxOptions, target_recall)},
		{"auto_calibrate", RELOPT_TYPE_BOOL, offsetof(VecxOptions, auto_calibrate)},
	};
	VecxOptions *options;

	options = build_reloptions(reloptions, validate, vecx_relopt_kind, sizeof(VecxOptions), tab,
							   lengthof(tab));
	if (options && validate)
		check_together(options);
	return (bytea *) options;
}

static void
name_index(void *arg)
{
	errcontext("options of index \"%s\"", RelationGetRelationName((Relation) arg));
}

/*
 * Raises if CREATE INDEX would refuse the options that an index has.  What makes an index anew,
 * as REINDEX and TRUNCATE do, takes them unchecked from the catalog, where there may be what
 * another version let pass, or what was written there by hand.
 */
void
VecxCheckStoredOptions(Relation index)
{
	ErrorContextCallback context = {error_context_stack, name_index, index};
	HeapTuple	class = SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(index)));
	Datum		options;
	bool		isnull;

	if (!HeapTupleIsValid(class))
		elog(ERROR, "cache lookup failed for relation %u", RelationGetRelid(index));
	options = SysCacheGetAttr(RELOID, class, Anum_pg_class_reloptions, &isnull);
	error_context_stack = &context;
	if (!isnull)
		(void) vecxoptions(options, true);
	error_context_stack = context.previous;
	ReleaseSysCache(class);
}

/*
 * code_list.c
 *    What both quantisers of lists share: the serialised form, projections,
 *    queries and estimates.
 *
 * Serialised: a VecxListHead and, for PQ, the matrix of encoding and of queries
 * (if that is another), half[pdims][hdim] and one more if their number is odd; the
 * books of encoding, float[pdims][entries]; the halves, float[ncolumns][entries]; the books of
 * scoring (if they are others).  In the machine's byte order.
 */
#include "code_list_int.h"

#define LIST_MAGIC		UINT32_C(0x6C784356)
#define LIST_VERSION	2
#define LIST_TWO_MATRICES	1
#define LIST_TWO_BOOKS	2
#define LIST_MAX_DIM	16384
#define LIST_DEFAULT_BYTES	5120	/* of a block's codes, unless the user says */

/* One in so many of PQ's columns may have entries of two bytes; no more once the rest is so much
 * narrower than the widest; and none if all that does not make it so much narrower. */
#define WIDE_OF_COLUMNS	8
#define WIDE_ENOUGH		16.0f
#define WIDE_WORTH		2.0f

typedef struct VecxListHead
{
	uint32_t	magic;			/* LIST_MAGIC */
	uint16_t	version;		/* LIST_VERSION */
	uint8_t		quantizer;		/* VecxListQuantizer */
	uint8_t		metric;			/* VecxMetric */
	uint32_t	nbytes;			/* of all of it */
	uint8_t		training;		/* VecxPqTraining, 0 of RABITQ */
	uint8_t		bits;
	uint16_t	flags;			/* LIST_TWO_... */
	uint32_t	dim;
	uint32_t	pdims;
	uint32_t	ncolumns;
	float		energy;
	float		spread;
	float		eta;
	uint64_t	seed;
	uint64_t	checksum;		/* of everything with this field zero */
	uint32_t	estimate;		/* VecxListEstimate */
	uint32_t	trained_rows;
} VecxListHead;

typedef char vecx_list_head_is_64_bytes[sizeof(VecxListHead) == 64 ? 1 : -1];

static const char *const training_names[] = {
	"", "kmeans", "balanced", "anisotropic", "distill", "query_aware", "plain"
};

const char *
vecx_pq_training_name(VecxPqTraining training)
{
	return training_names[training];
}

/* A bit a dimension, as RABITQ of one bit takes, as long as blocks fit pages. */
static uint32_t
list_default_m(uint32_t dim, uint32_t bits)
{
	uint32_t	m = dim / bits;
	uint32_t	most = bits == 8 ? LIST_DEFAULT_BYTES / 32 : LIST_DEFAULT_BYTES / 16;

	return m < 1 ? 1 : m > most ? most : m;
}

uint32_t
vecx_list_most_m(uint32_t dim)
{
	uint32_t	hdim = vecx_basis_hdim(VECX_METRIC_L2, dim);

	return hdim < VECX_PQ_MATRIX_MAX / hdim ? hdim : VECX_PQ_MATRIX_MAX / hdim;
}

static uint32_t
pq_entries(const VecxListCode *code)
{
	return 1u << code->bits;
}

/* ---- the serialised form ---- */

/* Fills in what follows from quantizer, dim, bits, pdims and ncolumns. */
static void
derive_sizes(VecxListCode *code)
{
	bool		rabitq = code->quantizer == VECX_LIST_RABITQ;

	code->hdim = vecx_basis_hdim(code->metric, code->dim);
	if (rabitq)
	{
		code->pdims = vecx_round_up(code->dim, 64);
		code->ncolumns = code->pdims / 4;
	}
	code->column_step = (((uint64_t) code->pdims << 32) + code->ncolumns - 1) / code->ncolumns;
	code->proj_floats = code->pdims;
	code->score_spread = 1.0f;
	code->column_bytes = !rabitq && code->bits == 8 ? 32 : 16;
	code->code_bytes = code->ncolumns * code->column_bytes;
	code->packed_bytes = code->column_bytes == 16 ? (code->ncolumns + 1) / 2 : code->ncolumns;
	code->extra_bytes = rabitq && code->bits > 1 ?
		(uint32_t) (3 * sizeof(float)) + code->pdims / 8 * (code->bits - 1) : 0;
}

/* Halves that a matrix takes: floats follow. */
static size_t
matrix_halves(const VecxListCode *code)
{
	size_t		n = (size_t) code->pdims * code->hdim;

	return n + n % 2;
}

static size_t
serialised_bytes(const VecxListCode *code, uint32_t flags)
{
	size_t		matrix = matrix_halves(code) * sizeof(uint16_t);
	size_t		books = (size_t) code->pdims * pq_entries(code) * sizeof(float);
	size_t		halves = (size_t) code->ncolumns * pq_entries(code) * sizeof(float);

	if (code->quantizer == VECX_LIST_RABITQ)
		return sizeof(VecxListHead);
	return sizeof(VecxListHead) + matrix * (flags & LIST_TWO_MATRICES ? 2 : 1) +
		books * (flags & LIST_TWO_BOOKS ? 2 : 1) + halves;
}

size_t
vecx_list_code_nbytes(const VecxListCode *code)
{
	return serialised_bytes(code, 0);
}

/* Points the arrays of *code into the bytes. */
static void
place_arrays(VecxListCode *code, const uint8_t *bytes, uint32_t flags)
{
	size_t		matrix = matrix_halves(code);
	size_t		books = (size_t) code->pdims * pq_entries(code);
	const uint16_t *matrices = (const uint16_t *) (const void *) (bytes + sizeof(VecxListHead));

	if (code->quantizer == VECX_LIST_RABITQ)
		return;
	code->encode_matrix = matrices;
	code->query_matrix = flags & LIST_TWO_MATRICES ? matrices + matrix : matrices;
	code->encode_books = (const float *) (const void *) (code->query_matrix + matrix);
	code->encode_halves = code->encode_books + books;
	code->score_books = flags & LIST_TWO_BOOKS ?
		code->encode_halves + (size_t) code->ncolumns * pq_entries(code) : code->encode_books;
	if (flags & LIST_TWO_MATRICES)
		code->proj_floats = 2 * code->pdims;
}

/*
 * Allocates the form of a code whose quantizer, metric, training, dim, bits,
 * pdims, ncolumns and seed are set, and binds the code to it; the arrays are to
 * be filled in.
 */
uint8_t *
vecx_list_code_format(const VecxTrainEnv *env, VecxListCode *code, bool two_matrices,
					  bool two_books, size_t *nbytes)
{
	uint32_t	flags = (two_matrices ? LIST_TWO_MATRICES : 0) | (two_books ? LIST_TWO_BOOKS : 0);
	VecxListHead head;
	uint8_t    *bytes;

	derive_sizes(code);
	*nbytes = serialised_bytes(code, flags);
	bytes = env->alloc(env->arg, *nbytes);
	memset(&head, 0, sizeof(head));
	head.magic = LIST_MAGIC;
	head.version = LIST_VERSION;
	head.quantizer = (uint8_t) code->quantizer;
	head.metric = (uint8_t) code->metric;
	head.nbytes = (uint32_t) *nbytes;
	head.training = (uint8_t) code->training;
	head.bits = (uint8_t) code->bits;
	head.flags = (uint16_t) flags;
	head.dim = code->dim;
	head.pdims = code->pdims;
	head.ncolumns = code->ncolumns;
	head.seed = code->seed;
	memcpy(bytes, &head, sizeof(head));
	place_arrays(code, bytes, flags);
	return bytes;
}

/* Adds what training found out, and the checksum. */
void
vecx_list_code_seal(uint8_t *bytes, const VecxListCode *code)
{
	VecxListHead head;

	memcpy(&head, bytes, sizeof(head));
	head.energy = code->energy;
	head.spread = code->spread;
	head.eta = code->eta;
	head.estimate = (uint32_t) code->estimate;
	head.trained_rows = code->trained_rows;
	memcpy(bytes, &head, sizeof(head));
	head.checksum = vecx_checksum(bytes, head.nbytes, offsetof(VecxListHead, checksum));
	memcpy(bytes, &head, sizeof(head));
}

static const char *
check_head(const VecxListHead *head, size_t nbytes)
{
	bool		rabitq = head->quantizer == VECX_LIST_RABITQ;

	if (head->magic != LIST_MAGIC)
		return "list quantizer is not of this machine's byte order";
	if (head->version != LIST_VERSION)
		return "list quantizer has an unknown version";
	if (head->nbytes != nbytes)
		return "list quantizer is truncated";
	if (!rabitq && head->quantizer != VECX_LIST_PQ)
		return "list quantizer is of an unknown kind";
	if (head->metric < VECX_METRIC_L2 || head->metric > VECX_METRIC_L1)
		return "list quantizer has an unknown metric";
	if (rabitq ? head->training != 0 :
		head->training < VECX_PQ_KMEANS || head->training > VECX_PQ_PLAIN)
		return "list quantizer has an unknown training";
	if (rabitq ? head->bits < 1 || head->bits > 8 : head->bits != 4 && head->bits != 8)
		return "list quantizer has an impossible number of bits";
	if (head->dim < 1 || head->dim > LIST_MAX_DIM ||
		(!rabitq && (head->pdims < 1 || head->ncolumns < 1 || head->ncolumns > head->pdims ||
					 head->pdims > vecx_basis_hdim((VecxMetric) head->metric, head->dim))))
		return "list quantizer has impossible dimensions";
	if (!isfinite(head->energy) || !isfinite(head->spread) || head->spread <= 0.0f ||
		!isfinite(head->eta))
		return "list quantizer has an impossible error";
	if (head->estimate > (rabitq ? VECX_LIST_STRETCHED : VECX_LIST_EXPECTED))
		return "list quantizer has an unknown kind of estimate";
	return NULL;
}

const char *
vecx_list_code_bind(VecxListCode *code, const uint8_t *bytes, size_t nbytes)
{
	VecxListHead head;
	const char *problem;

	memset(code, 0, sizeof(*code));
	if (nbytes < sizeof(head))
		return "list quantizer is truncated";
	if ((uintptr_t) bytes % sizeof(float) != 0)
		return "list quantizer is not aligned";
	memcpy(&head, bytes, sizeof(head));
	problem = check_head(&head, nbytes);
	if (problem != NULL)
		return problem;
	code->quantizer = (VecxListQuantizer) head.quantizer;
	code->metric = (VecxMetric) head.metric;
	code->training = (VecxPqTraining) head.training;
	code->dim = head.dim;
	code->bits = head.bits;
	code->pdims = head.pdims;
	code->ncolumns = head.ncolumns;
	code->seed = head.seed;
	code->energy = head.energy;
	code->spread = head.spread;
	code->eta = head.eta;
	code->estimate = (VecxListEstimate) head.estimate;
	code->trained_rows = head.trained_rows;
	derive_sizes(code);
	if (nbytes != serialised_bytes(code, head.flags))
		return "list quantizer has a wrong length";
	if (head.checksum != vecx_checksum(bytes, nbytes, offsetof(VecxListHead, checksum)))
		return "list quantizer does not match its checksum";
	place_arrays(code, bytes, head.flags);
	return NULL;
}

void
vecx_list_code_plan(const VecxListOptions *options, VecxMetric metric, uint32_t dim,
					VecxListCode *code)
{
	memset(code, 0, sizeof(*code));
	code->quantizer = options->quantizer;
	code->metric = metric;
	code->dim = dim;
	code->bits = options->bits;
	code->seed = options->seed;
	code->energy = 1.0f;
	code->spread = 1.0f;
	if (options->quantizer == VECX_LIST_PQ)
	{
		code->training = options->training;
		code->ncolumns = options->pq_m > 0 ? options->pq_m :
			list_default_m(dim, options->bits);
		code->pdims = vecx_pq_dims(code, SIZE_MAX);
		code->ncolumns = code->ncolumns < code->pdims ? code->ncolumns : code->pdims;
	}
	derive_sizes(code);
}

void
vecx_list_code_plan_rows(VecxListCode *code, size_t nrows)
{
	if (code->quantizer == VECX_LIST_PQ)
		code->pdims = vecx_pq_dims(code, nrows);
	derive_sizes(code);
}

uint8_t *
vecx_list_code_train(const VecxTrainEnv *env, const VecxListOptions *options, VecxMetric metric,
					 uint32_t dim, const VecxListSample *sample, size_t *nbytes)
{
	VecxListCode code;
	uint8_t    *bytes;

	vecx_list_code_plan(options, metric, dim, &code);
	vecx_list_code_plan_rows(&code, sample->nrows);
	if (options->quantizer == VECX_LIST_PQ)
		return vecx_pq_train(env, &code, sample, nbytes);
	bytes = vecx_list_code_format(env, &code, false, false, nbytes);
	vecx_list_code_seal(bytes, &code);
	return bytes;
}

/* ---- projections ---- */

/* Room for vectors of hdim and their projections, or for a rotated vector and its
 * levels, and for a Hadamard transform. */
size_t
vecx_list_scratch(const VecxListCode *code, size_t nvecs)
{
	size_t		each = (size_t) code->hdim + 2 * (size_t) code->pdims + 512;

	return (vecx_rows_at_once(code->dim, nvecs) * each + vecx_hadamard_floats(code->dim)) * sizeof(float);
}

void
vecx_list_reduce(const VecxListCode *code, const float *x, float *out, float *work)
{
	if (code->hdim == code->dim)
		memcpy(out, x, code->dim * sizeof(float));
	else
		vecx_hadamard(code->dim, code->seed, x, out, work);
}

/* As many vectors as vecx_rows_at_once says. */
static void
project_batch(const VecxListCode *code, const float *x, size_t n, float *y, float *scratch)
{
	float	   *rows = scratch + vecx_hadamard_floats(code->dim);
	float	   *packed = rows + n * (size_t) code->hdim;

	if (code->hdim != code->dim)
	{
		for (size_t i = 0; i < n; i++)
			vecx_list_reduce(code, x + i * code->dim, rows + i * code->hdim, scratch);
		x = rows;
	}
	if (code->proj_floats == code->pdims)
	{
		vecx_project_rows(code->encode_matrix, code->pdims, code->hdim, x, n, y);
		return;
	}
	for (int part = 0; part < 2; part++)
	{
		vecx_project_rows(part == 0 ? code->encode_matrix : code->query_matrix,
						  code->pdims, code->hdim, x, n, packed);
		for (size_t i = 0; i < n; i++)
			memcpy(y + i * code->proj_floats + part * code->pdims, packed + i * code->pdims,
				   code->pdims * sizeof(float));
	}
}

void
vecx_list_project_many(const VecxListCode *code, const float *x, size_t n, float *y, void *scratch)
{
	if (code->quantizer == VECX_LIST_RABITQ)
	{
		for (size_t i = 0; i < n; i++, x += code->dim, y += code->pdims)
		{
			memcpy(y, x, code->dim * sizeof(float));
			memset(y + code->dim, 0, (code->pdims - code->dim) * sizeof(float));
			vecx_rotate(y, code->pdims);
		}
		return;
	}
	for (size_t i = 0, some; i < n; i += some)
	{
		some = vecx_rows_at_once(code->dim, n - i);
		project_batch(code, x + i * code->dim, some, y + i * code->proj_floats, scratch);
	}
}

void
vecx_list_project(const VecxListCode *code, const float *x, float *y, void *scratch)
{
	vecx_list_project_many(code, x, 1, y, scratch);
}

/* ---- entries ---- */

void
vecx_list_encode(const VecxListCode *code, const VecxListCentre *centre, const float *x,
				 const float *y, VecxListEntry *entry, void *scratch)
{
	if (code->quantizer == VECX_LIST_RABITQ)
		vecx_list_rabitq_encode(code, centre, x, y, entry, scratch);
	else
		vecx_list_pq_encode(code, centre, x, y, entry, scratch);
}

bool
vecx_list_entry_check(const VecxListCode *code, const VecxListEntry *entry)
{
	float		rescale = vecx_bf16_to_float(entry->rescale);
	float		sigma = vecx_bf16_to_float(entry->sigma);

	if (!isfinite(entry->add) || !isfinite(rescale) || rescale > 0.0f || !isfinite(sigma) ||
		sigma < 0.0f)
		return false;
	for (uint32_t i = 0; i < code->ncolumns; i++)
		if (code->column_bytes == 16 && entry->codes[i] > 15)
			return false;
	return true;
}

bool
vecx_list_extra_check(const VecxListCode *code, const uint8_t *extra)
{
	return code->extra_bytes == 0 || vecx_list_rabitq_check(extra);
}

/* ---- queries ---- */

static size_t
table_entries(const VecxListCode *code)
{
	return code->column_bytes == 16 ? 16 : 256;
}

/* Columns that two bytes an entry may be spent on: these are scored twice. */
static uint32_t
most_wide(const VecxListCode *code)
{
	return code->quantizer == VECX_LIST_PQ ? code->ncolumns / WIDE_OF_COLUMNS & ~UINT32_C(1) : 0;
}

/* Bytes of a query before its floats. */
static size_t
query_integers(const VecxListCode *code)
{
	size_t		tables = (code->ncolumns + most_wide(code)) * table_entries(code);
	size_t		nbytes = code->extra_bytes > 0 ? tables + 2 * code->pdims : tables;

	return (nbytes + 63) / 64 * 64;
}

static size_t
query_floats(const VecxListCode *code)
{
	return 2 * (size_t) code->pdims + (table_entries(code) + 2) * code->ncolumns;
}

size_t
vecx_list_query_bytes(const VecxListCode *code)
{
	return query_integers(code) + query_floats(code) * sizeof(float) + vecx_list_scratch(code, 1);
}

/* Returns the rest of the scratch. */
static void *
place_query(const VecxListCode *code, VecxListQuery *query, uint8_t *scratch)
{
	size_t		tables = (code->ncolumns + most_wide(code)) * table_entries(code);

	query->tables = scratch;
	query->high = scratch + code->ncolumns * table_entries(code);
	query->parts = code->extra_bytes > 0 ? (int8_t *) (scratch + tables) : NULL;
	query->y = (float *) (void *) (scratch + query_integers(code));
	return query->y + query_floats(code);
}

/* Of two fours the first where the mask says so, else the second. */
static inline VecxFour
pick(VecxFourInts first, VecxFour a, VecxFour b)
{
	return (VecxFour) ((first & (VecxFourInts) a) | (~first & (VecxFourInts) b));
}

static inline float
least_of(VecxFour four)
{
	VecxFour	turned = {four[2], four[3], four[0], four[1]};

	four = pick(turned < four, turned, four);
	return four[0] < four[1] ? four[0] : four[1];
}

/* The least and the greatest of a multiple of four entries; false if one is beyond float, which
 * every query pays for. */
static bool
find_range(const float *table, size_t entries, float *low, float *high)
{
	const VecxFour *fours = (const VecxFour *) (const void *) table;
	VecxFour	least = fours[0];
	VecxFour	greatest = fours[0];
	VecxFour	nothing = fours[0] * 0.0f;

	for (size_t i = 1; i < entries / 4; i++)
	{
		VecxFour	four = fours[i];

		nothing += four * 0.0f;
		least = pick(four < least, four, least);
		greatest = pick(four > greatest, four, greatest);
	}
	*low = least_of(least);
	*high = -least_of(-greatest);
	return nothing[0] + nothing[1] + nothing[2] + nothing[3] == 0.0f;
}

/* The tables as floats, each one's least entry, and how far the greatest is from it. */
static void
float_tables(const VecxListCode *code, const float *y, float *tables, float *least, float *range)
{
	size_t		entries = table_entries(code);

	for (uint32_t c = 0; c < code->ncolumns; c++, tables += entries)
	{
		float		high;
		bool		finite;

		if (code->quantizer == VECX_LIST_RABITQ)
		{
			high = vecx_list_rabitq_tables(y, c, tables, &least[c]);
			finite = isfinite(high - least[c]);
		}
		else
		{
			vecx_list_pq_tables(code, y, c, tables);
			finite = find_range(tables, entries, &least[c], &high);
		}
		if (!finite)
		{
			/* entries beyond float, of vectors near its end, become its end */
			for (size_t i = 0; i < entries; i++)
				tables[i] = vecx_finite((double) tables[i]);
			(void) find_range(tables, entries, &least[c], &high);
		}
		range[c] = vecx_finite((double) high - (double) least[c]);
	}
}

/*
 * Columns whose entries take two bytes, and the step of all.  PQ's first columns have the
 * directions of most variance, and ranges a hundred times those of the last ones (Fashion-MNIST):
 * with one byte an entry the step that the widest needs would leave nothing of most columns,
 * and of the ten nearest .69 were found by codes that find .88.
 */
static void
choose_step(const VecxListCode *code, VecxListQuery *query, float *range)
{
	uint32_t	most = most_wide(code);
	float		widest;
	float		rest;

	/* each becomes the widest from there on */
	for (uint32_t c = code->ncolumns - 1; c > 0; c--)
		range[c - 1] = range[c] > range[c - 1] ? range[c] : range[c - 1];
	rest = widest = range[0];
	query->nwide = 0;
	while (query->nwide < most && rest * WIDE_ENOUGH > widest)
		rest = range[query->nwide += 2];
	if (rest * WIDE_WORTH > widest)
	{
		query->nwide = 0;
		rest = widest;
	}
	/* a step is left for what PQ adds to the greatest entry, which rounding may make one */
	query->delta = code->quantizer == VECX_LIST_PQ ? fmaxf(rest / 254.0f, widest / 65534.0f) : rest / 255.0f;
}

/*
 * What is added to four entries before their fractions are cut off, from 0 to 1.  One half,
 * which rounds, would take all that columns of narrow range tell: the step is that of the
 * widest, and near rows have the greatest entries of all columns, so that their errors add up.
 */
static inline VecxFour
dither(VecxFourWords mixed)
{
	return __builtin_convertvector((VecxFourInts) (mixed >> 8), VecxFour) * 0x1p-24f;
}

/* The lower bytes of sixteen numbers. */
static inline void
put_bytes(const int32_t *numbers, uint8_t *bytes)
{
	typedef int32_t Eight __attribute__((vector_size(32), aligned(4), may_alias));
	typedef uint16_t EightHalves __attribute__((vector_size(16)));
	typedef uint16_t Halves __attribute__((vector_size(32)));
	typedef uint8_t Bytes __attribute__((vector_size(16)));
	EightHalves halves[2];
	Halves		all;
	Bytes		low;

	/* by halves, for compilers take numbers apart one by one else */
	for (int i = 0; i < 2; i++)
		halves[i] = __builtin_convertvector(*(const Eight *) (const void *) (numbers + 8 * i), EightHalves);
	memcpy(&all, halves, sizeof(all));
	low = __builtin_convertvector(all, Bytes);
	memcpy(bytes, &low, sizeof(low));
}

/* The entries of a column's table as steps, and the lower and upper bytes of these.  RABITQ's
 * columns are alike, and rounded. */
static inline void
quantise_entries(const VecxListCode *code, const float *table, float least, float scale, uint32_t column,
				 uint8_t *low, uint8_t *high)
{
	const uint32_t factor = 0x9E3779B1u;
	const VecxFour *fours = (const VecxFour *) (const void *) table;
	size_t		entries = table_entries(code);
	uint32_t	first = column * (uint32_t) entries * factor + column * 0x85EBCA77u;
	VecxFourWords mixed = {first, first + factor, first + 2 * factor, first + 3 * factor};

	for (size_t i = 0; i < entries; i += 16, fours += 4)
	{
		VecxFourInts whole[4];

		for (int k = 0; k < 4; k++, mixed += 4 * factor)
		{
			VecxFour	steps = (fours[k] - least) * scale;

			steps += code->quantizer == VECX_LIST_PQ ? dither(mixed) : (VecxFour) {0.5f, 0.5f, 0.5f, 0.5f};
			whole[k] = __builtin_convertvector(steps, VecxFourInts);
		}
		put_bytes((const int32_t *) whole, low + i);
		if (high == NULL)
			continue;
		for (int k = 0; k < 4; k++)
			whole[k] >>= 8;
		put_bytes((const int32_t *) whole, high + i);
	}
}

void
vecx_list_query_init(const VecxListCode *code, VecxListQuery *query, const float *q, void *scratch)
{
	size_t		entries = table_entries(code);
	void	   *work = place_query(code, query, scratch);
	float	   *tables = query->y + 2 * code->pdims;
	float	   *least = tables + entries * code->ncolumns;
	float		scale;
	float		rounding = 0.0f;
	double		bias = 0.0;

	query->spread = code->score_spread;
	query->norm2 = vecx_finite((double) vecx_kernels->ip_f32(q, q, code->dim));
	if (!vecx_list_pq_project_query(code, q, query->norm2, query->y, &rounding, work))
	{
		vecx_list_project(code, q, query->y, work);
		if (code->proj_floats > code->pdims)
			memcpy(query->y, query->y + code->pdims, code->pdims * sizeof(float));
	}
	float_tables(code, query->y, tables, least, least + code->ncolumns);
	choose_step(code, query, least + code->ncolumns);
	query->noise = query->delta * sqrtf((float) code->ncolumns / (code->quantizer == VECX_LIST_PQ ? 6.0f : 12.0f));
	query->noise = sqrtf(query->noise * query->noise + rounding * rounding);
	scale = query->delta >= FLT_MIN ? 1.0f / query->delta : 0.0f;
	for (uint32_t c = 0; c < code->ncolumns; c++)
	{
		size_t		first = c * entries;

		bias += (double) least[c];
		quantise_entries(code, tables + first, least[c], scale, c, query->tables + first,
						 c < query->nwide ? query->high + first : NULL);
	}
	query->bias = (float) bias;
	if (code->quantizer == VECX_LIST_RABITQ)
		vecx_list_rabitq_query(code, query);
}

void
vecx_list_probe_init(const VecxListCode *code, const VecxListQuery *query, float dist_qc,
					 float norm2_c, VecxListProbe *probe)
{
	probe->add = dist_qc;
	probe->scale = 1.0f;
	probe->spread = sqrtf(dist_qc > 0.0f ? dist_qc : 0.0f);
	if (code->metric == VECX_METRIC_IP)
	{
		double		along = norm2_c > 0.0f ? -(double) dist_qc / (double) norm2_c : 0.0;
		double		across = (double) query->norm2 + along * (double) dist_qc;

		probe->scale = (float) along;
		probe->spread = (float) sqrt(across > 0.0 ? across : 0.0);
	}
	probe->spread *= query->spread;
}

static void
add_entries(const VecxListCode *code, const uint8_t *columns, uint32_t count, const uint8_t *tables,
			uint32_t first, uint32_t *sums)
{
	if (code->column_bytes == 16)
		vecx_kernels->fastscan4(columns, count, tables + (size_t) first * 16, sums);
	else
		vecx_kernels->fastscan8(columns, count, tables + (size_t) first * 256, sums);
}

void
vecx_list_add_sums(const VecxListCode *code, const VecxListQuery *query, const uint8_t *columns,
				   uint32_t first, uint32_t count, uint32_t *sums)
{
	uint32_t	high[VECX_LIST_BLOCK] = {0};

	add_entries(code, columns, count, query->tables, first, sums);
	if (first >= query->nwide)
		return;
	add_entries(code, columns, count < query->nwide - first ? count : query->nwide - first,
				query->high, first, high);
	for (int i = 0; i < VECX_LIST_BLOCK; i++)
		sums[i] += high[i] << 8;
}

/* As vecx_bf16_to_float. */
static inline VecxFour
four_halves(const uint16_t *halves)
{
	typedef uint16_t Halves __attribute__((vector_size(8), aligned(2), may_alias));

	return (VecxFour) (__builtin_convertvector(*(const Halves *) (const void *) halves, VecxFourWords) << 16);
}

static inline VecxFour
magnitude(VecxFour four)
{
	return (VecxFour) ((VecxFourInts) four & INT32_MAX);
}

void
vecx_list_estimates(const VecxListQuery *query, const VecxListProbe *probe, const uint32_t *sums,
					const VecxListFactors *factors, float *est, float *sigma)
{
	float		add = fabsf(probe->add);

	for (int i = 0; i < VECX_LIST_BLOCK; i += 4)
	{
		VecxFour	rescale = four_halves(factors->rescale + i);
		VecxFour	sum = __builtin_convertvector(*(const VecxFourInts *) (const void *) (sums + i), VecxFour);
		VecxFour	turned = rescale * (query->delta * sum + query->bias);
		VecxFour	shift = probe->scale * *(const VecxFour *) (const void *) (factors->add + i);
		VecxFour	of_code = probe->spread * four_halves(factors->sigma + i);
		VecxFour	of_tables = magnitude(rescale) * query->noise;

		*(VecxFour *) (void *) (est + i) = probe->add + shift + turned;
		*(VecxFour *) (void *) (sigma + i) = pick(of_code > of_tables, of_code, of_tables) +
			FLT_EPSILON * (add + magnitude(shift) + magnitude(turned));
	}
}

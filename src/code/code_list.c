/*
 * code_list.c
 *    What both quantisers of lists share: the serialised form, projections and
 *    entries.
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

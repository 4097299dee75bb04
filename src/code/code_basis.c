/*
 * code_basis.c
 *    The basis of the sketches: its serialised form, and projection into it.
 *
 * Serialised: a VecxBasisHead, then for float vectors the mean, float[hdim],
 * and the matrix, half[ndims][hdim], which a rotation of all dimensions has none
 * of; for bit vectors the positions, uint32[ndims].  Numbers are in the machine's byte order, as everything in a
 * PostgreSQL data directory is.
 */
#include "code_int.h"

#define BASIS_MAGIC		UINT32_C(0x62784356)
#define BASIS_VERSION	1
#define BASIS_TRAINED	1
#define BASIS_MAX_DIM	65536
/* Bytes of vectors that are projected at once, but for the least number. */
#define BYTES_AT_ONCE		((size_t) 1024 * 1024)
/* Links that a vertex has, about, and bytes of a sketch with which as many as it may have fit a
 * page: the largest that is chosen by trying. */
#define LINKS_OF_VERTEX	24
#define ROTATION_MOST_BYTES	128

typedef struct VecxBasisHead
{
	uint32_t	magic;			/* BASIS_MAGIC */
	uint16_t	version;		/* BASIS_VERSION */
	uint8_t		metric;			/* VecxMetric */
	uint8_t		flags;			/* BASIS_TRAINED or 0 */
	uint32_t	nbytes;			/* of all of it */
	uint32_t	dim;
	uint32_t	hdim;
	uint32_t	ndims;
	uint32_t	nplanes;
	float		energy;
	uint64_t	seed;
	uint64_t	checksum;		/* of everything with this field zero */
	uint64_t	unused[2];		/* zero; reserved */
} VecxBasisHead;

typedef char vecx_basis_head_is_64_bytes[sizeof(VecxBasisHead) == 64 ? 1 : -1];

uint32_t
vecx_basis_hdim(VecxMetric metric, uint32_t dim)
{
	if (vecx_metric_is_bits(metric) || dim <= VECX_BASIS_DIRECT_DIM)
		return dim;
	return VECX_BASIS_DIRECT_DIM;
}

/* Rows that a matrix of VECX_BASIS_MATRIX_MAX bytes has. */
static uint32_t
basis_max_ndims(VecxMetric metric, uint32_t dim)
{
	uint32_t	hdim = vecx_basis_hdim(metric, dim);
	uint32_t	rows;

	if (vecx_metric_is_bits(metric))
		return dim < 4096 ? dim : 4096;
	rows = VECX_BASIS_MATRIX_MAX / (uint32_t) sizeof(uint16_t) / hdim;
	return rows < hdim ? rows / 64 * 64 : hdim;
}

/*
 * As many dimensions as there are bits, as many bits a dimension as are left
 * when all dimensions are kept.
 */
void
vecx_basis_shape(VecxMetric metric, uint32_t dim, uint32_t sketch_bytes,
				 uint32_t *ndims, uint32_t *nplanes)
{
	uint32_t	most = basis_max_ndims(metric, dim);
	uint32_t	bits = sketch_bytes / 8 * 64;
	uint32_t	planes = 1;

	if (bits < 64)
		bits = 64;
	if (!vecx_metric_is_bits(metric))
		while (planes < 8 && bits / (planes * 2) / 64 * 64 >= most)
			planes *= 2;
	*nplanes = planes;
	*ndims = bits / planes / 64 * 64 < most ? bits / planes / 64 * 64 : most;
}

uint32_t
vecx_sketch_default_bytes(VecxMetric metric, uint32_t dim, uint32_t sketch_bits)
{
	bool		is_bits = vecx_metric_is_bits(metric);
	uint32_t	pdims = vecx_round_up(basis_max_ndims(metric, dim), 64);
	uint32_t	most = is_bits ? pdims / 8 : pdims;
	uint32_t	nbytes;

	if (sketch_bits > 0)
		nbytes = sketch_bits >= most * 8 ? most : vecx_round_up(sketch_bits, 64) / 8;
	else if (is_bits)
		nbytes = 64;
	else if (dim <= 32)
		nbytes = 64;
	else if (dim <= 128)
		nbytes = 32;
	else
		nbytes = 64;
	return nbytes < most ? nbytes : most;
}

uint64_t
vecx_checksum(const uint8_t *bytes, size_t nbytes, size_t skipped)
{
	uint64_t	sum = nbytes;

	for (size_t at = 0; at < nbytes; at += 8)
	{
		uint64_t	word = 0;

		memcpy(&word, bytes + at, nbytes - at < 8 ? nbytes - at : 8);
		if (at == skipped)
			word = 0;
		sum = (sum ^ word) * UINT64_C(0x9FB21C651E98DF25);
		sum ^= sum >> 29;
	}
	return sum;
}

uint32_t
vecx_basis_rotated_dims(VecxMetric metric, uint32_t dim)
{
	return vecx_round_up(vecx_basis_hdim(metric, dim), 64);
}

/* A rotation of all dimensions needs no matrix where vecx_rotate does it. */
bool
vecx_basis_rotates(VecxMetric metric, uint32_t dim, uint32_t ndims)
{
	return !vecx_metric_is_bits(metric) && ndims == vecx_basis_rotated_dims(metric, dim);
}

size_t
vecx_basis_nbytes(VecxMetric metric, uint32_t dim, uint32_t ndims)
{
	size_t		hdim = vecx_basis_hdim(metric, dim);
	size_t		nbytes = sizeof(VecxBasisHead);

	if (vecx_metric_is_bits(metric))
		return nbytes + ndims * sizeof(uint32_t);
	nbytes += hdim * sizeof(float);
	if (!vecx_basis_rotates(metric, dim, ndims))
		nbytes += ndims * hdim * sizeof(uint16_t);
	return nbytes;
}

size_t
vecx_basis_default_nbytes(VecxMetric metric, uint32_t dim, uint32_t sketch_bytes)
{
	uint32_t	ndims;
	uint32_t	nplanes;

	vecx_basis_shape(metric, dim, sketch_bytes, &ndims, &nplanes);
	return vecx_basis_nbytes(metric, dim, ndims);
}

uint32_t
vecx_basis_rotation_bytes(VecxMetric metric, uint32_t dim, double vertices)
{
	uint32_t	hdim = vecx_basis_hdim(metric, dim);
	uint32_t	nbytes = vecx_basis_rotated_dims(metric, dim) / 8;

	/* sketches of the default size have as many bits as there are dims already, or more */
	if (vecx_metric_is_bits(metric) || nbytes <= vecx_sketch_default_bytes(metric, dim, 0))
		return 0;
	return nbytes <= ROTATION_MOST_BYTES &&
		vertices * LINKS_OF_VERTEX * nbytes < (double) (8 * nbytes) * hdim * sizeof(uint16_t) ? nbytes : 0;
}

size_t
vecx_basis_rotation_nbytes(VecxMetric metric, uint32_t dim)
{
	return vecx_basis_nbytes(metric, dim, vecx_basis_rotated_dims(metric, dim));
}

void
vecx_basis_format(uint8_t *bytes, const VecxBasis *basis, float **mean,
				  uint16_t **matrix, uint32_t **positions)
{
	uint8_t    *body = bytes + sizeof(VecxBasisHead);
	VecxBasisHead head;

	memset(&head, 0, sizeof(head));
	head.magic = BASIS_MAGIC;
	head.version = BASIS_VERSION;
	head.metric = (uint8_t) basis->metric;
	head.flags = basis->trained ? BASIS_TRAINED : 0;
	head.nbytes = (uint32_t) vecx_basis_nbytes(basis->metric, basis->dim, basis->ndims);
	head.dim = basis->dim;
	head.hdim = vecx_basis_hdim(basis->metric, basis->dim);
	head.ndims = basis->ndims;
	head.nplanes = basis->nplanes;
	head.energy = basis->energy;
	head.seed = basis->seed;
	memcpy(bytes, &head, sizeof(head));
	*mean = (float *) (void *) body;
	*matrix = (uint16_t *) (void *) (*mean + head.hdim);
	*positions = (uint32_t *) (void *) body;
}

void
vecx_basis_seal(uint8_t *bytes)
{
	VecxBasisHead head;

	memcpy(&head, bytes, sizeof(head));
	head.checksum = vecx_checksum(bytes, head.nbytes, offsetof(VecxBasisHead, checksum));
	memcpy(bytes, &head, sizeof(head));
}

static const char *
basis_check_head(const VecxBasisHead *head, size_t nbytes)
{
	VecxMetric	metric = (VecxMetric) head->metric;
	bool		is_bits;

	if (head->magic != BASIS_MAGIC)
		return "sketch basis is not of this machine's byte order";
	if (head->version != BASIS_VERSION)
		return "sketch basis has an unknown version";
	if (head->nbytes != nbytes)
		return "sketch basis is truncated";
	if (metric < VECX_METRIC_L2 || metric > VECX_METRIC_JACCARD)
		return "sketch basis has an unknown metric";
	is_bits = vecx_metric_is_bits(metric);
	if (head->dim < 1 || head->dim > BASIS_MAX_DIM || head->hdim != vecx_basis_hdim(metric, head->dim) ||
		head->ndims < 1 || (head->ndims > basis_max_ndims(metric, head->dim) &&
							!vecx_basis_rotates(metric, head->dim, head->ndims)))
		return "sketch basis has impossible dimensions";
	if ((head->nplanes != 1 && head->nplanes != 2 && head->nplanes != 4 && head->nplanes != 8) ||
		(is_bits && head->nplanes != 1))
		return "sketch basis has an impossible number of bits";
	if (!isfinite(head->energy) || head->energy < 0.0f || head->energy > 1.0f)
		return "sketch basis has an impossible energy";
	if (head->nbytes != vecx_basis_nbytes(metric, head->dim, head->ndims))
		return "sketch basis has a wrong length";
	return NULL;
}

const char *
vecx_basis_bind(VecxBasis *basis, const uint8_t *bytes, size_t nbytes)
{
	const uint8_t *body = bytes + sizeof(VecxBasisHead);
	VecxBasisHead head;
	const char *problem;

	memset(basis, 0, sizeof(*basis));
	if (nbytes < sizeof(head))
		return "sketch basis is truncated";
	if ((uintptr_t) bytes % sizeof(uint32_t) != 0)
		return "sketch basis is not aligned";
	memcpy(&head, bytes, sizeof(head));
	problem = basis_check_head(&head, nbytes);
	if (problem != NULL)
		return problem;
	if (head.checksum != vecx_checksum(bytes, nbytes, offsetof(VecxBasisHead, checksum)))
		return "sketch basis does not match its checksum";

	basis->metric = (VecxMetric) head.metric;
	basis->dim = head.dim;
	basis->hdim = head.hdim;
	basis->ndims = head.ndims;
	basis->pdims = vecx_round_up(head.ndims, 64);
	basis->nplanes = head.nplanes;
	basis->sketch_bytes = basis->pdims / 8 * head.nplanes;
	basis->seed = head.seed;
	basis->trained = (head.flags & BASIS_TRAINED) != 0;
	basis->energy = head.energy;
	if (vecx_metric_is_bits(basis->metric))
	{
		basis->positions = (const uint32_t *) (const void *) body;
		for (uint32_t i = 0; i < basis->ndims; i++)
			if (basis->positions[i] >= basis->dim)
				return "sketch basis names a bit past the end";
	}
	else
	{
		basis->mean = (const float *) (const void *) body;
		if (!vecx_basis_rotates(basis->metric, basis->dim, basis->ndims))
			basis->matrix = (const uint16_t *) (const void *) (basis->mean + basis->hdim);
	}
	return NULL;
}

/* Length of the Hadamard transform for dim elements. */
static uint32_t
hadamard_length(uint32_t dim)
{
	uint32_t	length = VECX_BASIS_DIRECT_DIM;

	while (length < dim)
		length *= 2;
	return length;
}

size_t
vecx_hadamard_floats(uint32_t dim)
{
	return dim <= VECX_BASIS_DIRECT_DIM ? 0 : hadamard_length(dim);
}

/*
 * Subsampled randomised Hadamard transform: random signs, the transform, and
 * VECX_BASIS_DIRECT_DIM of its outputs, scaled to keep lengths on average.
 * Which outputs: those at multiples of a random odd number, since a block of
 * consecutive ones would only fold the vector.
 */
void
vecx_hadamard(uint32_t dim, uint64_t seed, const float *x, float *out, float *work)
{
	uint32_t	length = hadamard_length(dim);
	uint64_t	rng = seed ^ UINT64_C(0x48616461);
	uint32_t	factor = (uint32_t) vecx_random(&rng) | 1;
	uint32_t	first = (uint32_t) vecx_random(&rng);
	float		scale = 1.0f / sqrtf((float) VECX_BASIS_DIRECT_DIM);
	uint64_t	signs = 0;

	for (uint32_t i = 0; i < dim; i++)
	{
		if (i % 64 == 0)
			signs = vecx_random(&rng);
		work[i] = (signs & 1) != 0 ? -x[i] : x[i];
		signs >>= 1;
	}
	memset(work + dim, 0, (length - dim) * sizeof(float));
	vecx_kernels->fht_f32(work, length);
	for (uint32_t i = 0; i < VECX_BASIS_DIRECT_DIM; i++)
		out[i] = scale * work[(first + i * factor) & (length - 1)];
}

/* A matrix is made ready for products once for all of them. */
size_t
vecx_rows_at_once(uint32_t dim, size_t nvecs)
{
	/* whole blocks of tile registers */
	size_t		rows = BYTES_AT_ONCE / ((dim > 0 ? dim : 1) * sizeof(float)) / 32 * 32;

	rows = rows < VECX_LEAST_AT_ONCE ? VECX_LEAST_AT_ONCE : rows > VECX_MOST_AT_ONCE ? VECX_MOST_AT_ONCE : rows;
	return nvecs < rows ? nvecs : rows;
}

size_t
vecx_basis_scratch_floats(const VecxBasis *basis, size_t nvecs)
{
	if (basis->positions != NULL)
		return 0;
	return vecx_hadamard_floats(basis->dim) +
		vecx_rows_at_once(basis->dim, nvecs) * ((size_t) basis->hdim + basis->ndims);
}

size_t
vecx_basis_proj_bytes(const VecxBasis *basis)
{
	return basis->positions != NULL ? basis->pdims / 8 : basis->pdims * sizeof(float);
}

static void
project_bits(const VecxBasis *basis, const uint8_t *bits, uint8_t *y)
{
	memset(y, 0, basis->pdims / 8);
	for (uint32_t i = 0; i < basis->ndims; i++)
	{
		uint32_t	at = basis->positions[i];

		if (bits[at / 8] & (0x80u >> at % 8))
			y[i / 8] = (uint8_t) (y[i / 8] | (1u << i % 8));
	}
}

/* H x - mean */
static void
project_centre(const VecxBasis *basis, const float *x, float *out, float *work)
{
	if (basis->hdim != basis->dim)
	{
		vecx_hadamard(basis->dim, basis->seed, x, out, work);
		x = out;
	}
	for (uint32_t i = 0; i < basis->hdim; i++)
		out[i] = x[i] - basis->mean[i];
}

void
vecx_basis_project(const VecxBasis *basis, const void *vec, void *y, float *scratch)
{
	float	   *out = y;
	float	   *centred;

	if (basis->positions != NULL)
	{
		project_bits(basis, vec, y);
		return;
	}
	if (basis->matrix == NULL)
	{
		project_centre(basis, vec, out, scratch);
		for (uint32_t i = basis->hdim; i < basis->ndims; i++)
			out[i] = 0.0f;
		vecx_rotate(out, basis->ndims);
		return;
	}
	centred = scratch + vecx_hadamard_floats(basis->dim);
	project_centre(basis, vec, centred, scratch);
	vecx_kernels->gemv_f16(basis->matrix, basis->ndims, basis->hdim, centred, out);
	for (uint32_t i = basis->ndims; i < basis->pdims; i++)
		out[i] = 0.0f;
}

void
vecx_project_rows(const uint16_t *m, size_t nrows, size_t n, const float *x, size_t nvecs, float *y)
{
	bool		finite = true;

	vecx_kernels->gemm_rough(m, nrows, n, x, nvecs, 2, y);
	for (size_t i = 0; i < nvecs * nrows; i++)
		finite &= fabsf(y[i]) <= FLT_MAX;
	if (!finite)
		vecx_kernels->gemm_f16(m, nrows, n, x, nvecs, y);
}

/* As many vectors as vecx_rows_at_once says. */
static void
project_batch(const VecxBasis *basis, const float *vecs, size_t nvecs, float *y, float *scratch)
{
	float	   *centred = scratch + vecx_hadamard_floats(basis->dim);
	float	   *packed = centred + nvecs * (size_t) basis->hdim;

	for (size_t v = 0; v < nvecs; v++)
		project_centre(basis, vecs + v * basis->dim, centred + v * basis->hdim, scratch);
	vecx_project_rows(basis->matrix, basis->ndims, basis->hdim, centred, nvecs, packed);
	for (size_t v = 0; v < nvecs; v++)
	{
		memcpy(y + v * basis->pdims, packed + v * basis->ndims, basis->ndims * sizeof(float));
		for (uint32_t i = basis->ndims; i < basis->pdims; i++)
			y[v * basis->pdims + i] = 0.0f;
	}
}

void
vecx_basis_project_many(const VecxBasis *basis, const void *vecs, size_t nvecs,
						void *y, float *scratch)
{
	if (basis->positions != NULL)
	{
		const uint8_t *bits = vecs;
		uint8_t    *out = y;

		for (size_t v = 0; v < nvecs; v++)
			project_bits(basis, bits + v * ((basis->dim + 7) / 8), out + v * (basis->pdims / 8));
		return;
	}
	if (basis->matrix == NULL)
	{
		for (size_t v = 0; v < nvecs; v++)
			vecx_basis_project(basis, (const float *) vecs + v * basis->dim,
							   (float *) y + v * basis->pdims, scratch);
		return;
	}
	for (size_t v = 0, n; v < nvecs; v += n)
	{
		n = vecx_rows_at_once(basis->dim, nvecs - v);
		project_batch(basis, (const float *) vecs + v * basis->dim, n, (float *) y + v * basis->pdims, scratch);
	}
}

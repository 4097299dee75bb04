/*
 * code_train.c
 *    Training of a basis: principal directions of a sample by randomised
 *    subspace iteration (Halko, Martinsson and Tropp 2011), turned by a random
 *    rotation among themselves so that every bit carries an equal share; for
 *    bit vectors, the positions of highest entropy.
 *
 * When all dimensions are kept there are no directions to choose, and the
 * basis is a random rotation.
 */
#include <stdlib.h>

#include "code_train.h"

/* Sample floats worked on: 10,000 rows of 784 dims. */
#define TRAIN_MAX_FLOATS	((size_t) 8 * 1024 * 1024)
/* Rounds of the iteration, and when some of the directions are known.  More gain
 * nothing measurable in recall.  One less is enough to try a basis, whose directions are
 * the start for the one that is kept: its energy stays what it was. */
#define TRAIN_ROUNDS		3
#define TRAIN_MORE_ROUNDS	2
#define TRAIN_POLL_FLOPS	((size_t) 100 * 1000 * 1000)
#define TRAIN_LEAST_ROWS	32

void *
vecx_train_alloc(const VecxTrainEnv *env, size_t nelems, size_t size)
{
	return env->alloc(env->arg, nelems * size > 0 ? nelems * size : 1);
}

void
vecx_train_free(const VecxTrainEnv *env, void *ptr)
{
	if (ptr != NULL)
		env->release(env->arg, ptr);
}

/* By so many parts of A's floats, or, if that is 0, by these. */
static void
train_gemm(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
		   const float *a, const float *b, int parts, float *c, uint16_t *half)
{
	/* Rows of A at once: bounds the time between two polls, but B is read for each time. */
	size_t		rows = TRAIN_POLL_FLOPS / (n * k + 1) / 32 * 32;

	rows = rows < TRAIN_LEAST_ROWS ? TRAIN_LEAST_ROWS : rows;
	vecx_kernels->f32_to_f16(b, half, n * k);
	for (size_t i = 0; i < m; i += rows)
	{
		size_t		count = m - i < rows ? m - i : rows;

		env->poll(env->arg);
		if (parts == 0)
			vecx_kernels->gemm_f16(half, n, k, a + i * k, count, c + i * n);
		else
			vecx_kernels->gemm_rough(half, n, k, a + i * k, count, parts, c + i * n);
	}
}

/* B passes through half precision, for which there are fast kernels. */
void
vecx_train_gemm(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
				const float *a, const float *b, float *c, uint16_t *half)
{
	train_gemm(env, m, n, k, a, b, 2, c, half);
}

void
vecx_train_gemm_fine(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
					 const float *a, const float *b, float *c, uint16_t *half)
{
	train_gemm(env, m, n, k, a, b, 0, c, half);
}

/* Principal directions are good to some percent at best anyway. */
void
vecx_train_gemm_coarse(const VecxTrainEnv *env, size_t m, size_t n, size_t k,
					   const float *a, const float *b, float *c, uint16_t *half)
{
	train_gemm(env, m, n, k, a, b, 1, c, half);
}

/* to[ncols][nrows] = from[nrows][ncols]^T, by blocks that fit the cache. */
void
vecx_train_transpose(const float *from, size_t nrows, size_t ncols, float *to)
{
	/* a line of each row, and no more lines than a set of the cache has ways: rows are often
	 * so many bytes apart that all come into one */
	for (size_t r0 = 0; r0 < nrows; r0 += 8)
		for (size_t c0 = 0; c0 < ncols; c0 += 8)
			for (size_t c = c0; c < c0 + 8 && c < ncols; c++)
				for (size_t r = r0; r < r0 + 8 && r < nrows; r++)
					to[c * nrows + r] = from[r * ncols + c];
}

/* Length 1 for a row, unless it is zero.  First, it keeps tiny and huge rows within range. */
static bool
train_normalise(float *row, size_t n, float least)
{
	float		norm2 = vecx_kernels->ip_f32(row, row, n);
	float		scale;

	if (!(norm2 > least))
		return false;
	scale = 1.0f / sqrtf(norm2);
	for (size_t i = 0; i < n; i++)
		row[i] *= scale;
	return true;
}

/* Takes the parts along some orthonormal rows off. */
static void
train_take_off(float *row, const float *others, size_t nothers, size_t n)
{
	for (size_t p = 0; p < nothers; p++)
		vecx_kernels->add_multiple_f32(row, others + p * n,
									   -vecx_kernels->ip_f32(row, others + p * n, n), n);
}

/* Rows that are made orthogonal to each other one by one, and those after them that their parts
 * are taken off at once. */
#define TRAIN_BLOCK		32
#define TRAIN_AFTER		128
#define TRAIN_PASSES	2
/* Less than that of a row's square is no more than what half precision leaves of those before it,
 * twice 2^-11 of its length at most. */
#define TRAIN_LEAST_NORM2	2e-6f

/* A block of orthonormal rows, in half precision. */
typedef struct TrainBlock
{
	size_t		n;
	uint16_t   *rows;			/* [TRAIN_BLOCK][n] */
	uint16_t   *columns;		/* [n][so many rows] */
	float	   *products;		/* [TRAIN_AFTER][TRAIN_BLOCK] */
	float	   *parts;			/* [TRAIN_AFTER][n] */
} TrainBlock;

static void
block_init(TrainBlock *b, const VecxTrainEnv *env, size_t n)
{
	b->n = n;
	b->rows = vecx_train_alloc(env, TRAIN_BLOCK * n, sizeof(uint16_t));
	b->columns = vecx_train_alloc(env, TRAIN_BLOCK * n, sizeof(uint16_t));
	b->products = vecx_train_alloc(env, TRAIN_AFTER * TRAIN_BLOCK, sizeof(float));
	b->parts = vecx_train_alloc(env, TRAIN_AFTER * n, sizeof(float));
}

static void
block_free(const TrainBlock *b, const VecxTrainEnv *env)
{
	vecx_train_free(env, b->rows);
	vecx_train_free(env, b->columns);
	vecx_train_free(env, b->products);
	vecx_train_free(env, b->parts);
}

/* Takes the parts along a block's rows off the rows after them. */
static void
block_take_off(TrainBlock *b, const VecxTrainEnv *env, const float *block, size_t nblock, float *after, size_t nafter)
{
	size_t		n = b->n;

	vecx_kernels->f32_to_f16(block, b->rows, nblock * n);
	for (size_t i = 0; i < n; i++)
		for (size_t r = 0; r < nblock; r++)
			b->columns[i * nblock + r] = b->rows[r * n + i];
	for (size_t first = 0, count; first < nafter; first += count)
	{
		float	   *rows = after + first * n;

		count = nafter - first < TRAIN_AFTER ? nafter - first : TRAIN_AFTER;
		env->poll(env->arg);
		vecx_kernels->gemm_rough(b->rows, nblock, n, rows, count, 2, b->products);
		vecx_kernels->gemm_rough(b->columns, n, nblock, b->products, count, 2, b->parts);
		for (size_t i = 0; i < count * n; i++)
			rows[i] -= b->parts[i];
	}
}

/* The rows from first on, less their parts along each other; those before, if one is no more
 * than these, and is replaced by a random one. */
static void
orthonormalise_block(uint64_t *rng, float *rows, size_t first, size_t count, size_t n)
{
	for (size_t r = first; r < first + count; r++)
	{
		float	   *row = rows + r * n;

		train_take_off(row, rows + first * n, r - first, n);
		while (!train_normalise(row, n, TRAIN_LEAST_NORM2))
		{
			for (size_t i = 0; i < n; i++)
				row[i] = (float) vecx_random_normal(rng);
			(void) train_normalise(row, n, 0.0f);
			for (int pass = 0; pass < TRAIN_PASSES; pass++)
				train_take_off(row, rows, r, n);
		}
	}
}

/*
 * Gram-Schmidt, twice over: products of rows are 2^-14 then, what half precision of those
 * before leaves; once would leave much of them where rows nearly depend on others.  A row that turns
 * out to depend on those before it (constant columns, fewer sample rows than
 * directions) is replaced by a random one.
 */
void
vecx_train_orthonormalise(const VecxTrainEnv *env, uint64_t *rng, float *rows, size_t nrows,
						  size_t n)
{
	TrainBlock	block;

	block_init(&block, env, n);
	for (size_t r = 0; r < nrows; r++)
		(void) train_normalise(rows + r * n, n, 0.0f);
	for (int pass = 0; pass < TRAIN_PASSES; pass++)
		for (size_t first = 0, count; first < nrows; first += count)
		{
			count = nrows - first < TRAIN_BLOCK ? nrows - first : TRAIN_BLOCK;
			env->poll(env->arg);
			orthonormalise_block(rng, rows, first, count, n);
			block_take_off(&block, env, rows + first * n, count, rows + (first + count) * n, nrows - first - count);
		}
	block_free(&block, env);
}

/* Copies every step-th row, fewer if there are very many, through H. */
static void
train_load(VecxTrainer *t, const float *sample, size_t nrows, size_t first, size_t step)
{
	const VecxTrainEnv *env = t->env;
	float	   *work = vecx_train_alloc(env, vecx_hadamard_floats(t->dim), sizeof(float));
	size_t		most = TRAIN_MAX_FLOATS / t->hdim;

	nrows = nrows > first ? (nrows - first + step - 1) / step : 0;
	step *= nrows / most + 1;
	t->nrows = nrows / (nrows / most + 1);
	t->rows = vecx_train_alloc(env, t->nrows * t->hdim, sizeof(float));
	for (size_t r = 0; r < t->nrows; r++)
	{
		const float *from = sample + (first + r * step) * t->dim;

		if (r % 64 == 0)
			env->poll(env->arg);
		if (t->hdim == t->dim)
			memcpy(t->rows + r * t->hdim, from, t->hdim * sizeof(float));
		else
			vecx_hadamard(t->dim, t->seed, from, t->rows + r * t->hdim, work);
	}
	vecx_train_free(env, work);
}

/*
 * The mean, and the rows less it, scaled by a power of two so that their
 * squares neither overflow nor vanish.
 */
static void
train_centre(VecxTrainer *t)
{
	size_t		n = t->hdim;
	double	   *sum = vecx_train_alloc(t->env, n, sizeof(double));
	float		max = 0.0f;
	int			exponent = 0;
	float		scale;

	memset(sum, 0, n * sizeof(double));
	if (t->metric != VECX_METRIC_IP)
		for (size_t r = 0; r < t->nrows; r++)
			for (size_t i = 0; i < n; i++)
				sum[i] += (double) t->rows[r * n + i];
	for (size_t i = 0; i < n; i++)
		t->mean[i] = t->nrows > 0 ? (float) (sum[i] / (double) t->nrows) : 0.0f;
	vecx_train_free(t->env, sum);
	for (size_t r = 0; r < t->nrows; r++)
	{
		float		far;

		(void) vecx_kernels->l2sq_max_f32(t->rows + r * n, t->mean, n, &far);
		max = far > max ? far : max;
		vecx_kernels->add_multiple_f32(t->rows + r * n, t->mean, -1.0f, n);
	}
	t->varied = max > 0.0f;
	if (!t->varied)
		return;
	(void) frexpf(max, &exponent);
	scale = ldexpf(1.0f, exponent < -120 ? 120 : -exponent);
	for (size_t i = 0; i < t->nrows * n; i++)
		t->rows[i] *= scale;
}

/*
 * Makes t->dirs the ndims leading directions, in about descending order of
 * variance: the first j rows are what training for j directions would give.
 * Directions found before are the start; then one round settles them.
 */
static void
train_directions(VecxTrainer *t, uint32_t ndims)
{
	const VecxTrainEnv *env = t->env;
	size_t		n = t->hdim;
	float	   *dirs = vecx_train_alloc(env, (size_t) ndims * n, sizeof(float));
	float	   *proj = vecx_train_alloc(env, (size_t) ndims * t->nrows, sizeof(float));
	float	   *turned = vecx_train_alloc(env, (size_t) ndims * t->nrows, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, n * (t->nrows > ndims ? t->nrows : ndims),
										sizeof(uint16_t));
	int			rounds = t->ndirs >= ndims ? 1 :
		(t->ndirs > 0 ? TRAIN_MORE_ROUNDS : TRAIN_ROUNDS) - (t->tries ? 1 : 0);
	/* there are no more to be found; the rest are any that are orthogonal to these */
	uint32_t	found = ndims < t->nrows ? ndims : (uint32_t) t->nrows;

	if (t->columns == NULL)
	{
		t->columns = vecx_train_alloc(env, t->nrows * n, sizeof(float));
		vecx_train_transpose(t->rows, t->nrows, n, t->columns);
	}
	for (size_t i = 0; i < ndims * n; i++)
		dirs[i] = i < t->ndirs * n ? t->dirs[i] : vecx_random_signed(&t->rng);
	for (int round = 0; round < rounds; round++)
	{
		vecx_train_gemm_coarse(env, t->nrows, found, n, t->rows, dirs, proj, half);
		vecx_train_transpose(proj, t->nrows, found, turned);
		vecx_train_gemm_coarse(env, found, n, t->nrows, turned, t->columns, dirs, half);
		vecx_train_orthonormalise(env, &t->rng, dirs, round == rounds - 1 ? ndims : found, n);
	}
	vecx_train_free(env, t->dirs);
	vecx_train_free(env, proj);
	vecx_train_free(env, turned);
	vecx_train_free(env, half);
	t->dirs = dirs;
	t->ndirs = t->nsettled = ndims;
}

/* Rows that the share of the variance is taken from, about. */
#define ENERGY_ROWS		100

/* Share of the sample's variance along the directions. */
static float
train_energy(const VecxTrainer *t, uint32_t ndims)
{
	const VecxTrainEnv *env = t->env;
	size_t		n = t->hdim;
	size_t		step = t->nrows / ENERGY_ROWS + 1;
	size_t		nrows = (t->nrows + step - 1) / step;
	float	   *rows = vecx_train_alloc(env, nrows * n, sizeof(float));
	float	   *proj = vecx_train_alloc(env, nrows * ndims, sizeof(float));
	uint16_t   *half = vecx_train_alloc(env, ndims * n, sizeof(uint16_t));
	double		total = 0.0;
	double		kept = 0.0;

	for (size_t r = 0; r < nrows; r++)
	{
		const float *row = t->rows + r * step * n;

		memcpy(rows + r * n, row, n * sizeof(float));
		total += (double) vecx_kernels->ip_f32(row, row, n);
	}
	vecx_train_gemm(env, nrows, ndims, n, rows, t->dirs, proj, half);
	for (size_t r = 0; r < nrows; r++)
		kept += (double) vecx_kernels->ip_f32(proj + r * ndims, proj + r * ndims, ndims);
	vecx_train_free(env, rows);
	vecx_train_free(env, proj);
	vecx_train_free(env, half);
	return total > 0.0 ? (float) fmin(kept / total, 1.0) : 1.0f;
}

/* The basis' ndims rows, and the share of the variance that they keep. */
static float *
train_rows(VecxTrainer *t, uint32_t ndims, float *energy)
{
	const VecxTrainEnv *env = t->env;
	size_t		n = t->hdim;
	float	   *m = vecx_train_alloc(env, (size_t) ndims * n, sizeof(float));
	uint64_t	rng = t->seed ^ UINT64_C(0x526F74617465);

	*energy = (float) ndims / (float) n;
	if (t->varied && ndims < n)
	{
		/* as vectors of ndims numbers, one for each dimension */
		float	   *turned = vecx_train_alloc(env, (size_t) ndims * n, sizeof(float));

		if (t->nsettled < ndims)
			train_directions(t, ndims);
		*energy = train_energy(t, ndims);
		vecx_train_transpose(t->dirs, ndims, n, turned);
		vecx_rotate_vectors(&rng, n, ndims, turned);
		vecx_train_transpose(turned, n, ndims, m);
		vecx_train_free(env, turned);
	}
	else
		vecx_random_rows(&rng, ndims, (uint32_t) n, m);
	return m;
}

uint8_t *
vecx_train_basis(VecxTrainer *t, uint32_t ndims, uint32_t nplanes, size_t *nbytes)
{
	const VecxTrainEnv *env = t->env;
	float	   *m = NULL;
	VecxBasis	basis;
	uint8_t    *bytes;
	float	   *mean;
	uint16_t   *matrix;
	uint32_t   *positions;

	memset(&basis, 0, sizeof(basis));
	basis.metric = t->metric;
	basis.dim = t->dim;
	basis.ndims = ndims;
	basis.nplanes = nplanes;
	basis.seed = t->seed;
	basis.trained = t->varied;
	basis.energy = 1.0f;
	env->poll(env->arg);
	if (!vecx_basis_rotates(t->metric, t->dim, ndims))
		m = train_rows(t, ndims, &basis.energy);

	*nbytes = vecx_basis_nbytes(t->metric, t->dim, ndims);
	bytes = vecx_train_alloc(env, *nbytes, 1);
	vecx_basis_format(bytes, &basis, &mean, &matrix, &positions);
	memcpy(mean, t->mean, t->hdim * sizeof(float));
	if (m != NULL)
		vecx_kernels->f32_to_f16(m, matrix, (size_t) ndims * t->hdim);
	vecx_basis_seal(bytes);
	vecx_train_free(env, m);
	return bytes;
}

/* Orders positions by descending variance, then ascending position. */
static bool
bit_before(const uint32_t *count, size_t nrows, uint32_t a, uint32_t b)
{
	uint64_t	va = (uint64_t) count[a] * (nrows - count[a]);
	uint64_t	vb = (uint64_t) count[b] * (nrows - count[b]);

	return va != vb ? va > vb : a < b;
}

/* Heap sort: no allocation, no worst case. */
static void
sort_positions(uint32_t *positions, uint32_t n, const uint32_t *count, size_t nrows)
{
	for (uint32_t step = 0; step < n + n / 2; step++)
	{
		uint32_t	end = step < n / 2 ? n : n - 1 - (step - n / 2);
		uint32_t	root = step < n / 2 ? n / 2 - 1 - step : 0;
		uint32_t	moved;

		if (step >= n / 2)
		{
			moved = positions[0];
			positions[0] = positions[end];
			positions[end] = moved;
		}
		moved = positions[root];
		for (uint32_t child = 2 * root + 1; child < end; child = 2 * root + 1)
		{
			if (child + 1 < end && bit_before(count, nrows, positions[child], positions[child + 1]))
				child++;
			if (!bit_before(count, nrows, moved, positions[child]))
				break;
			positions[root] = positions[child];
			root = child;
		}
		positions[root] = moved;
	}
}

/*
 * Bit vectors: the positions whose bits vary most, and as energy the share of
 * the mean Hamming distance that they carry.
 */
static uint8_t *
train_bits(const VecxTrainEnv *env, VecxMetric metric, uint32_t dim, const uint8_t *sample,
		   size_t nrows, uint32_t ndims, uint64_t seed, size_t *nbytes)
{
	uint32_t   *count = vecx_train_alloc(env, dim, sizeof(uint32_t));
	uint32_t   *order = vecx_train_alloc(env, dim, sizeof(uint32_t));
	size_t		row_bytes = (dim + 7) / 8;
	uint64_t	rng = seed;
	double		total = 0.0;
	double		kept = 0.0;
	VecxBasis	basis;
	uint8_t    *bytes;
	float	   *mean;
	uint16_t   *matrix;
	uint32_t   *positions;

	memset(count, 0, dim * sizeof(uint32_t));
	for (size_t r = 0; r < nrows; r++)
	{
		if (r % 64 == 0)
			env->poll(env->arg);
		for (uint32_t i = 0; i < dim; i++)
			count[i] += (sample[r * row_bytes + i / 8] >> (7 - i % 8)) & 1u;
	}
	/* Shuffled first, so that equals are taken from everywhere. */
	for (uint32_t i = 0; i < dim; i++)
	{
		uint32_t	j = vecx_random_below(&rng, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32_t i = 0; i < dim; i++)
		total += (double) count[i] * (double) (nrows - count[i]);
	if (total > 0.0 && ndims < dim)
		sort_positions(order, dim, count, nrows);
	for (uint32_t i = 0; i < ndims; i++)
		kept += (double) count[order[i]] * (double) (nrows - count[order[i]]);

	memset(&basis, 0, sizeof(basis));
	basis.metric = metric;
	basis.dim = dim;
	basis.ndims = ndims;
	basis.nplanes = 1;
	basis.seed = seed;
	basis.trained = total > 0.0;
	basis.energy = ndims == dim ? 1.0f :
		total > 0.0 ? (float) fmin(kept / total, 1.0) : (float) ndims / (float) dim;
	*nbytes = vecx_basis_nbytes(metric, dim, ndims);
	bytes = vecx_train_alloc(env, *nbytes, 1);
	vecx_basis_format(bytes, &basis, &mean, &matrix, &positions);
	for (uint32_t i = 0; i < ndims; i++)
		positions[i] = ndims == dim ? i : order[i];
	vecx_basis_seal(bytes);
	vecx_train_free(env, count);
	vecx_train_free(env, order);
	return bytes;
}

/* Loads and centres every step-th row of the sample, from row first on. */
static void
trainer_init(VecxTrainer *t, const VecxTrainEnv *env, VecxMetric metric, uint32_t dim,
			 const float *sample, size_t nrows, size_t first, size_t step, uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	t->env = env;
	t->metric = metric;
	t->dim = dim;
	t->hdim = vecx_basis_hdim(metric, dim);
	t->seed = seed;
	t->rng = seed ^ UINT64_C(0x547261696E);
	t->mean = vecx_train_alloc(env, t->hdim, sizeof(float));
	train_load(t, sample, nrows, first, step);
	train_centre(t);
}

/* Frees what t holds, but for the directions, which are the caller's then. */
static void
trainer_done(VecxTrainer *t)
{
	vecx_train_free(t->env, t->mean);
	vecx_train_free(t->env, t->rows);
	vecx_train_free(t->env, t->columns);
}

/* Vectors so many times longer than the median, squared, are outliers. */
#define OUTLIER_NORM2	1e4f

/*
 * The rows that are not outliers: a few vectors far beyond the rest would be the
 * principal directions, and take the mean so far away that the projections of
 * all others lost their digits.  Returns a copy, or NULL if none are outliers,
 * or so many that they are not, or if distances do not depend on lengths.
 */
static float *
without_outliers(const VecxTrainEnv *env, VecxMetric metric, uint32_t dim, const float *rows,
				 size_t *nrows)
{
	size_t		n = *nrows;
	size_t		kept = 0;
	float	   *norms;
	float	   *sorted;
	float	   *copy = NULL;
	float		limit;

	if (metric != VECX_METRIC_L2 && metric != VECX_METRIC_L1)
		return NULL;
	norms = env->alloc(env->arg, 2 * n * sizeof(float) + sizeof(float));
	sorted = norms + n;
	for (size_t i = 0; i < n; i++)
		sorted[i] = norms[i] = vecx_finite((double) vecx_kernels->ip_f32(rows + i * dim, rows + i * dim, dim));
	qsort(sorted, n, sizeof(float), vecx_compare_floats);
	limit = n > 0 ? sorted[n / 2] * OUTLIER_NORM2 : 0.0f;
	for (size_t i = 0; i < n; i++)
		kept += norms[i] <= limit;
	if (kept < n && kept >= n - n / 10 && limit > 0.0f)
	{
		copy = env->alloc(env->arg, kept * dim * sizeof(float));
		kept = 0;
		for (size_t i = 0; i < n; i++)
			if (norms[i] <= limit)
				memcpy(copy + kept++ * dim, rows + i * dim, dim * sizeof(float));
		*nrows = kept;
	}
	env->release(env->arg, norms);
	return copy;
}

uint8_t *
vecx_basis_train(const VecxTrainEnv *env, VecxMetric metric, uint32_t dim,
				 const void *sample, size_t nrows,
				 uint32_t sketch_bytes, uint64_t seed, size_t *nbytes)
{
	VecxTrainer half;
	VecxTrainer t;
	uint32_t	ndims;
	uint32_t	nplanes;
	uint8_t    *bytes;
	float	   *copy;

	vecx_basis_shape(metric, dim, sketch_bytes > 0 ? sketch_bytes :
					 vecx_sketch_default_bytes(metric, dim, 0), &ndims, &nplanes);
	if (vecx_metric_is_bits(metric))
		return train_bits(env, metric, dim, sample, nrows, ndims, seed, nbytes);

	copy = without_outliers(env, metric, dim, sample, &nrows);
	if (copy != NULL)
		sample = copy;
	/* What half of the sample shows is a good start for all of it. */
	trainer_init(&half, env, metric, dim, sample, nrows, 1, 2, seed);
	half.tries = true;
	(void) vecx_train_choose(&half, sample, nrows, sketch_bytes, &ndims, &nplanes);
	trainer_done(&half);
	trainer_init(&t, env, metric, dim, sample, nrows, 0, 1, seed);
	t.dirs = half.dirs;
	t.ndirs = half.ndirs;
	bytes = vecx_train_basis(&t, ndims, nplanes, nbytes);
	trainer_done(&t);
	vecx_train_free(env, t.dirs);
	vecx_train_free(env, copy);
	return bytes;
}

uint8_t *
vecx_basis_train_rotation(const VecxTrainEnv *env, VecxMetric metric, uint32_t dim,
						  const float *sample, size_t nrows, uint64_t seed, size_t *nbytes)
{
	float	   *copy = without_outliers(env, metric, dim, sample, &nrows);
	VecxTrainer t;
	uint8_t    *bytes;

	trainer_init(&t, env, metric, dim, copy ? copy : sample, nrows, 0, 1, seed);
	bytes = vecx_train_basis(&t, vecx_basis_rotated_dims(metric, dim), 1, nbytes);
	trainer_done(&t);
	vecx_train_free(env, copy);
	return bytes;
}

/*
 * test_sketch.c
 *    Proves the sketches of src/code/code.h: their estimates against true
 *    distances, the basis' orthonormality and its refusal of damaged bytes,
 *    hashed vectors, and that nothing odd breaks them.
 *
 * An argument is the seed of the random data.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/kernel/kernel.h"
#include "unit.h"
#include "unit_code.h"

/* ---- basis and sketches ---- */

/* What a basis without a matrix makes of each unit vector: m[hdim][pdims]. */
static void
rotated_units(const VecxBasis *basis, float *m)
{
	size_t		n = basis->hdim;
	float	   *x = get(n * sizeof(float));
	float	   *scratch = get(vecx_basis_scratch_floats(basis, VECX_MOST_AT_ONCE) * sizeof(float));

	for (size_t i = 0; i < n; i++)
	{
		memcpy(x, basis->mean, n * sizeof(float));
		x[i] += 1.0f;
		vecx_basis_project(basis, x, m + i * basis->pdims, scratch);
	}
	free(scratch);
	free(x);
}

/* Bases without a matrix that were looked at. */
static int	rotations;

static double
orthonormality(const VecxBasis *basis)
{
	size_t		nrows = basis->matrix != NULL ? basis->ndims : basis->hdim;
	size_t		n = basis->matrix != NULL ? basis->hdim : basis->pdims;
	float	   *m = get(nrows * n * sizeof(float));
	double		worst = 0.0;

	if (basis->matrix != NULL)
		vecx_kernels->f16_to_f32(basis->matrix, m, nrows * n);
	else
		rotated_units(basis, m);
	for (size_t i = 0; i < nrows; i++)
		for (size_t j = i > 40 ? i - 40 : 0; j <= i; j++)
			worst = fmax(worst, fabs(-true_distance(VECX_METRIC_IP, m + i * n, m + j * n, n) - (i == j)));
	free(m);
	return worst;
}

/*
 * Sketches of some vertices' neighbours, estimates for some queries: bias
 * relative to the mean squared distance, correlation with the truth.
 */
static void
measure_sketches(const VecxBasis *basis, const float *rows, double *bias, double *corr)
{
	enum
	{
		NQ = 60, NN = 32
	};
	size_t		dim = basis->dim;
	size_t		pdims = basis->pdims;
	size_t		size = vecx_sketch_size(basis);
	VecxMetric	metric = basis->metric == VECX_METRIC_IP ? VECX_METRIC_IP : VECX_METRIC_L2;
	float	   *y = get(2 * NQ * pdims * sizeof(float));
	float	   *alone = get(pdims * sizeof(float));
	float	   *scratch = get(vecx_basis_scratch_floats(basis, VECX_MOST_AT_ONCE) * sizeof(float));
	uint8_t    *sketches = get(NN * size);
	int8_t	   *codes = get(pdims);
	double	   *est = get(NQ * NN * sizeof(double));
	double	   *truth = get(NQ * NN * sizeof(double));
	double		scale = 0.0;
	double		apart = 0.0;

	vecx_basis_project_many(basis, rows, 2 * NQ, y, scratch);
	vecx_basis_project(basis, rows, alone, scratch);
	for (size_t i = 0; i < pdims; i++)
		apart = fmax(apart, fabs((double) alone[i] - (double) y[i]));
	*bias = apart > 1e-3 * sqrt(norm2_of(rows, dim)) ? INFINITY : 0.0;
	for (size_t k = 0; k < NQ; k++)
	{
		const float *v = rows + k * dim;
		const float *q = rows + (k + NQ) * dim;
		float		norm_v2 = (float) norm2_of(v, dim);
		VecxSketchQuery query;
		int32_t		counts[NN];
		float		out[NN];

		for (size_t n = 0; n < NN; n++)
		{
			size_t		at = (k + 1 + n) % NQ;

			vecx_sketch_encode(basis, y + k * pdims, y + at * pdims, norm_v2,
							   (float) true_distance(metric, v, rows + at * dim, dim), 0, sketches + n * size);
			truth[k * NN + n] = true_distance(metric, q, rows + at * dim, dim);
		}
		vecx_sketch_query_init(basis, y + (k + NQ) * pdims, 0, codes, &query);
		vecx_sketch_estimate(basis, &query, (float) true_distance(metric, q, v, dim), norm_v2,
							 sketches, size, NN, counts, out);
		for (size_t n = 0; n < NN; n++)
		{
			est[k * NN + n] = (double) out[n];
			*bias += ((double) out[n] - truth[k * NN + n]) / (NQ * NN);
			scale += fabs(truth[k * NN + n]) / (NQ * NN);
		}
	}
	*bias /= scale;
	*corr = correlation(est, truth, NQ * NN);
	free(y);
	free(alone);
	free(scratch);
	free(sketches);
	free(codes);
	free(est);
	free(truth);
}

static void
test_sketches(VecxMetric metric, uint32_t dim, size_t nsample, uint32_t sketch_bytes, double least)
{
	float	   *rows = make_rows(nsample + 120, dim, metric);
	size_t		nbytes;
	size_t		nbytes_again;
	uint8_t    *bytes = vecx_basis_train(&env, metric, dim, rows + 120 * dim, nsample, sketch_bytes, 11, &nbytes);
	uint8_t    *again = vecx_basis_train(&env, metric, dim, rows + 120 * dim, nsample, sketch_bytes, 11, &nbytes_again);
	VecxBasis	basis;
	const char *problem = vecx_basis_bind(&basis, bytes, nbytes);
	double		bias;
	double		corr;

	UNIT_CHECK(problem == NULL && nbytes <= VECX_BASIS_MAX_BYTES, "%s %u dims, %zu rows: binds (%s)",
			   metric_names[metric], dim, nsample, problem ? problem : "well");
	if (problem == NULL)
	{
		UNIT_CHECK(nbytes == nbytes_again && memcmp(bytes, again, nbytes) == 0, "the same seed, the same basis");
		UNIT_CHECK(sketch_bytes == 0 || basis.sketch_bytes <= sketch_bytes, "sketches of %u bytes, %u asked for",
				   basis.sketch_bytes, sketch_bytes);
		rotations += basis.matrix == NULL;
		UNIT_CHECK((basis.matrix == NULL) == (basis.ndims == basis.hdim && basis.ndims % 64 == 0) &&
				   nbytes < 1000 + basis.hdim * (sizeof(float) + (basis.matrix ? basis.ndims * sizeof(uint16_t) : 0)),
				   "%zu bytes, a matrix unless %u of %u dims are kept", nbytes, basis.ndims, basis.hdim);
		UNIT_CHECK(orthonormality(&basis) < (dim < 128 ? 1e-3 : 4e-4), "orthonormal to %.1e", orthonormality(&basis));
		measure_sketches(&basis, rows, &bias, &corr);
		UNIT_CHECK(fabs(bias) < 0.05, "%u bits of %u dims: bias %.4f", basis.nplanes, basis.ndims, bias);
		UNIT_CHECK(corr > least, "%u bits of %u dims: correlation %.4f", basis.nplanes, basis.ndims, corr);
	}
	free(rows);
	env_release(NULL, bytes);
	env_release(NULL, again);
}

/* Few vertices get sketches of all dimensions and no matrix, of any number of dimensions that
 * is large enough; many do not. */
static void
test_rotation(VecxMetric metric, uint32_t dim, double least)
{
	float	   *rows = make_rows(200, dim, metric);
	uint32_t	sketch_bytes = vecx_basis_rotation_bytes(metric, dim, 20);
	size_t		nbytes;
	uint8_t    *bytes;
	VecxBasis	basis;
	double		bias;
	double		corr;

	/* one far beyond the others does not take the mean with it */
	if (metric == VECX_METRIC_L2)
		for (uint32_t i = 0; i < dim; i++)
			rows[150 * dim + i] = 1e7f;
	bytes = vecx_basis_train_rotation(&env, metric, dim, rows + 120 * dim, 80, 11, &nbytes);
	UNIT_CHECK(vecx_basis_bind(&basis, bytes, nbytes) == NULL && basis.trained && basis.matrix == NULL &&
			   basis.sketch_bytes == sketch_bytes && basis.ndims >= basis.hdim &&
			   vecx_basis_rotation_bytes(metric, dim, 20000) == 0,
			   "%s %u dims: a rotation, for few vertices", metric_names[metric], dim);
	UNIT_CHECK(nbytes < 100 + basis.hdim * sizeof(float) &&
			   vecx_basis_rotation_nbytes(metric, dim) == nbytes, "%zu bytes", nbytes);
	UNIT_CHECK(orthonormality(&basis) < 4e-4, "orthonormal to %.1e", orthonormality(&basis));
	measure_sketches(&basis, rows, &bias, &corr);
	UNIT_CHECK(fabs(bias) < 0.05 && corr > least, "%s, all of %u dims: bias %.4f, correlation %.4f",
			   metric_names[metric], dim, bias, corr);
	free(rows);
	env_release(NULL, bytes);
}

/* Samples that have little or nothing to train on. */
static void
test_poor_samples(void)
{
	static const uint32_t dims[] = {1, 2, 65, 300, 784, 2100};
	static const size_t counts[] = {0, 1, 5, 250};
	bool		good = true;
	double		worst = 0.0;

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (size_t c = 0; c < LENGTH(counts); c++)
			for (int way = 0; way < 5; way++)
			{
				uint32_t	dim = dims[d];
				float	   *rows;
				size_t		nbytes;
				uint8_t    *bytes;
				VecxBasis	basis;

				/* The choice by sample is slow under sanitizers, and the same. */
				if (counts[c] > 5 && dim > 300)
					continue;
				rows = make_rows(counts[c], dim, VECX_METRIC_L2);
				for (size_t i = 0; i < counts[c] * dim; i++)
				{
					if (way == 1)
						rows[i] = 3.0f; /* all rows equal */
					else if (way == 2 && i % dim >= dim / 4)
						rows[i] = 1.0f; /* constant columns */
					else if (way == 3)
						rows[i] *= 1e16f;
					else if (way == 4)
						rows[i] *= 1e-30f;
				}
				bytes = vecx_basis_train(&env, VECX_METRIC_L2, dim, rows, counts[c],
										 way % 2 == 0 ? 0 : 32, 5, &nbytes);
				if (vecx_basis_bind(&basis, bytes, nbytes) != NULL)
					good = false;
				else if (dim > 64)
					worst = fmax(worst, orthonormality(&basis));
				free(rows);
				env_release(NULL, bytes);
			}
	UNIT_CHECK(good, "poor samples give a basis");
	UNIT_CHECK(worst < 1e-3, "poor samples' bases are orthonormal to %.1e", worst);
}

/* Equal, huge and tiny vectors: estimates stay numbers, and right when r = 0. */
static void
test_degenerate_sketches(void)
{
	static const float values[] = {0.0f, 1.0f, 1e17f, 1e-20f, 1e-42f};
	static const uint32_t sizes[] = {16, 32, 64, 128};
	bool		finite = true;
	bool		same = true;

	for (size_t m = 0; m < LENGTH(float_metrics); m++)
		for (size_t s = 0; s < LENGTH(sizes); s++)
			for (size_t a = 0; a < LENGTH(values); a++)
				for (size_t b = 0; b < LENGTH(values); b++)
				{
					VecxMetric	metric = float_metrics[m] == VECX_METRIC_IP ? VECX_METRIC_IP : VECX_METRIC_L2;
					float		v[100];
					float		q[100];
					float		y[2][128];
					float		scratch[4096];
					int8_t		codes[128];
					uint8_t		sketch[2][200];
					VecxBasis	basis;
					VecxSketchQuery query;
					int32_t		count[2];
					float		est[2];
					float		dist_qv;
					float		norm_v2;
					float		dist_vq;
					size_t		nbytes;
					uint8_t    *bytes;

					bytes = vecx_basis_train(&env, float_metrics[m], 100, NULL, 0, sizes[s], 3, &nbytes);
					(void) vecx_basis_bind(&basis, bytes, nbytes);
					for (int i = 0; i < 100; i++)
					{
						v[i] = values[a] * (float) random_unit();
						q[i] = values[b] * (float) random_unit();
					}
					dist_qv = (float) true_distance(metric, q, v, 100);
					dist_vq = dist_qv;
					norm_v2 = (float) norm2_of(v, 100);
					vecx_basis_project(&basis, v, y[0], scratch);
					vecx_basis_project(&basis, q, y[1], scratch);
					vecx_sketch_encode(&basis, y[0], y[0], norm_v2, (float) true_distance(metric, v, v, 100), 0, sketch[0]);
					vecx_sketch_encode(&basis, y[0], y[1], norm_v2, dist_vq, 0, sketch[1]);
					vecx_sketch_query_init(&basis, y[1], 0, codes, &query);
					vecx_sketch_estimate(&basis, &query, dist_qv, norm_v2, sketch[0], 200, 2, count, est);
					finite = finite && isfinite(est[0]) && isfinite(est[1]);
					same = same && fabsf(est[0] - dist_qv) <= 0.01f * fabsf(dist_qv) + 1e-37f &&
						vecx_sketch_matches(&basis, y[0], y[1], norm_v2, (float) norm2_of(q, 100), dist_vq, 0,
											sketch[1]);
					env_release(NULL, bytes);
				}
	UNIT_CHECK(finite, "estimates of odd vectors are finite");
	UNIT_CHECK(same, "a neighbour equal to its vertex is as far as the vertex");
}

static void
test_agreement(void)
{
	uint32_t	dim = 300;
	float	   *rows = make_rows(64, dim, VECX_METRIC_L2);
	size_t		nbytes;
	uint8_t    *bytes = vecx_basis_train(&env, VECX_METRIC_L2, dim, rows, 0, 64, 9, &nbytes);
	VecxBasis	basis;
	float	   *one;
	float	   *other;
	float	   *scratch;
	uint8_t		a[300];
	uint8_t		b[300];
	int			agree = 0;
	int			differ = 0;
	int			broken = 0;

#define MATCHES(n, sketch, dist) \
	vecx_sketch_matches(&basis, other, other + (n) * basis.pdims, (float) norm2_of(rows, dim), \
						(float) norm2_of(rows + (n) * dim, dim), dist, 0, sketch)

	(void) vecx_basis_bind(&basis, bytes, nbytes);
	one = get(64 * basis.pdims * sizeof(float));
	other = get(64 * basis.pdims * sizeof(float));
	scratch = get(vecx_basis_scratch_floats(&basis, VECX_MOST_AT_ONCE) * sizeof(float));
	(void) vecx_kernels_choose("scalar");
	vecx_basis_project_many(&basis, rows, 64, one, scratch);
	(void) vecx_kernels_choose("auto");
	vecx_basis_project_many(&basis, rows, 64, other, scratch);
	for (size_t n = 1; n < 64; n++)
	{
		float		d = (float) true_distance(VECX_METRIC_L2, rows, rows + n * dim, dim);
		float		d2 = (float) true_distance(VECX_METRIC_L2, rows, rows + (n ^ 1) * dim, dim);

		vecx_sketch_encode(&basis, one, one + n * basis.pdims, 0.0f, d, 0, a);
		vecx_sketch_encode(&basis, other, other + n * basis.pdims, 0.0f, d, 0, b);
		agree += MATCHES(n, a, d) && MATCHES(n, b, d);
		memset(b + VECX_SKETCH_FACTOR_BYTES, 0x5A, 16);
		broken += !MATCHES(n, b, d);
		if (n > 1)
		{
			vecx_sketch_encode(&basis, other, other + (n ^ 1) * basis.pdims, 0.0f, d2, 0, b);
			differ += !MATCHES(n, b, d);
		}
	}
#undef MATCHES
	UNIT_CHECK(agree == 63, "%d of 63 sketches match across kernels", agree);
	UNIT_CHECK(broken == 63 && differ == 62, "%d and %d wrong sketches do not", broken, differ);
	free(rows);
	free(one);
	free(other);
	free(scratch);
	env_release(NULL, bytes);
}

static void
test_bit_sketches(VecxMetric metric, uint32_t dim)
{
	enum
	{
		NROWS = 300
	};
	size_t		row_bytes = (dim + 7) / 8;
	uint8_t    *rows = make_bits(NROWS, dim);
	size_t		nbytes;
	uint8_t    *bytes = vecx_basis_train(&env, metric, dim, rows, NROWS, 0, 4, &nbytes);
	VecxBasis	basis;
	uint8_t    *y;
	uint8_t    *sketches;
	int8_t	   *codes;
	VecxSketchQuery query;
	int32_t		counts[NROWS];
	float		est[NROWS];
	double		guess[NROWS];
	double		truth[NROWS];
	double		worst = 0.0;
	uint32_t	pop[NROWS];

	(void) vecx_basis_bind(&basis, bytes, nbytes);
	y = get(NROWS * vecx_basis_proj_bytes(&basis));
	sketches = get(NROWS * vecx_sketch_size(&basis));
	codes = get(basis.pdims);
	vecx_basis_project_many(&basis, rows, NROWS, y, NULL);
	for (size_t r = 0; r < NROWS; r++)
	{
		uint64_t	either;
		uint64_t	both;

		vecx_kernels->jaccard(rows + r * row_bytes, rows + r * row_bytes, row_bytes, &both, &either);
		pop[r] = (uint32_t) both;
		vecx_sketch_encode(&basis, NULL, y + r * vecx_basis_proj_bytes(&basis), 0.0f, 0.0f, pop[r],
						   sketches + r * vecx_sketch_size(&basis));
	}
	vecx_sketch_query_init(&basis, y, pop[0], codes, &query);
	vecx_sketch_estimate(&basis, &query, 0.0f, 0.0f, sketches, vecx_sketch_size(&basis), NROWS, counts, est);
	for (size_t r = 0; r < NROWS; r++)
	{
		guess[r] = (double) est[r];
		truth[r] = bit_distance(metric, rows, rows + r * row_bytes, dim);
		worst = fmax(worst, fabs(guess[r] - truth[r]));
	}
	if (dim <= 512)
		UNIT_CHECK(worst < 1e-5, "%s of %u bits: exact", metric_names[metric], dim);
	else
		UNIT_CHECK(correlation(guess, truth, NROWS) > 0.8, "%s of %u bits by %u: correlation %.4f",
				   metric_names[metric], dim, basis.ndims, correlation(guess, truth, NROWS));
	free(rows);
	free(y);
	free(sketches);
	free(codes);
	env_release(NULL, bytes);
}

/* Cuts and changes of single bytes are all found, by the checksum if not before. */
static void
test_damaged_basis(void)
{
	int			accepted = 0;

	for (int kind = 0; kind < 2; kind++)
	{
		size_t		nbytes;
		uint8_t    *bytes = vecx_basis_train(&env, kind == 0 ? VECX_METRIC_L2 : VECX_METRIC_HAMMING,
											 kind == 0 ? 70 : 900, NULL, 0, 32, 8, &nbytes);

		for (int i = 0; i < 5000; i++)
		{
			size_t		at = i % 2 == 0 ? random64() % 64 : random64() % nbytes;
			size_t		length = i % 10 == 0 ? random64() % nbytes : nbytes;
			uint8_t    *copy = get(length);
			VecxBasis	basis;

			memcpy(copy, bytes, length);
			if (length == nbytes)
				copy[at] ^= (uint8_t) (1 + random64() % 255);
			accepted += vecx_basis_bind(&basis, copy, length) == NULL;
			free(copy);
		}
		env_release(NULL, bytes);
	}
	UNIT_CHECK(accepted == 0, "%d of 10,000 damaged bases accepted", accepted);
}

static void
test_default_sizes(void)
{
	bool		good = true;

	for (uint32_t dim = 1; dim <= 16000; dim = dim * 5 / 4 + 1)
		for (uint32_t bits = 0; bits <= 20000; bits = bits * 2 + 1)
			for (VecxMetric metric = VECX_METRIC_L2; metric <= VECX_METRIC_JACCARD; metric++)
			{
				uint32_t	n = vecx_sketch_default_bytes(metric, dim, bits);

				good = good && n >= 8 && n % 8 == 0 && (bits > 0 ? n * 8 < bits + 64 : n <= 64);
			}
	UNIT_CHECK(good, "sketch sizes are whole words and not more than asked for");
}

/* ---- hashed vectors ---- */

/* nnz different indices below dim, ascending, and normal values. */
static void
random_sparse(uint32_t dim, size_t nnz, int32_t *index, float *value)
{
	uint32_t	step = dim / (uint32_t) nnz;

	for (size_t i = 0; i < nnz; i++)
	{
		index[i] = (int32_t) (step * (uint32_t) i + (uint32_t) (random64() % step));
		value[i] = (float) random_normal();
	}
}

static void
test_hashing(uint32_t dim, size_t nnz)
{
	const int	npairs = 300;
	int32_t    *index[2] = {get(nnz * sizeof(int32_t)), get(nnz * sizeof(int32_t))};
	float	   *value[2] = {get(nnz * sizeof(float)), get(nnz * sizeof(float))};
	float	   *x[2] = {get(VECX_HASH_DIM * sizeof(float)), get(VECX_HASH_DIM * sizeof(float))};
	float	   *again = get(VECX_HASH_DIM * sizeof(float));
	double		error2 = 0;
	double		bias = 0;
	bool		same = true;
	bool		lengths = true;

	for (int pair = 0; pair < npairs; pair++)
	{
		double		ip = 0;
		double		hashed = 0;
		double		norm2[2] = {0};

		random_sparse(dim, nnz, index[0], value[0]);
		random_sparse(dim, nnz, index[1], value[1]);
		/* every second element is the other vector's as well */
		for (size_t i = 0; i < nnz; i += 2)
			index[1][i] = index[0][i];
		for (int v = 0; v < 2; v++)
		{
			double		hashed2 = 0;

			vecx_hash_project(42, nnz, index[v], value[v], x[v]);
			vecx_hash_project(42, nnz, index[v], value[v], again);
			same = same && memcmp(x[v], again, VECX_HASH_DIM * sizeof(float)) == 0;
			for (size_t i = 0; i < nnz; i++)
				norm2[v] += (double) value[v][i] * (double) value[v][i];
			for (size_t i = 0; i < VECX_HASH_DIM; i++)
				hashed2 += (double) x[v][i] * (double) x[v][i];
			lengths = lengths && fabs(hashed2 - norm2[v]) <= 1e-5 * norm2[v];
		}
		for (size_t i = 0, j = 0; i < nnz && j < nnz;)
		{
			if (index[0][i] == index[1][j])
				ip += (double) value[0][i++] * (double) value[1][j++];
			else if (index[0][i] < index[1][j])
				i++;
			else
				j++;
		}
		for (size_t i = 0; i < VECX_HASH_DIM; i++)
			hashed += (double) x[0][i] * (double) x[1][i];
		bias += (hashed - ip) / sqrt(norm2[0] * norm2[1]) / npairs;
		error2 += (hashed - ip) * (hashed - ip) / (norm2[0] * norm2[1]) / npairs;
	}
	UNIT_CHECK(same, "hashing of %zu of %u: the same again", nnz, dim);
	UNIT_CHECK(lengths, "hashing of %zu of %u keeps lengths", nnz, dim);
	UNIT_CHECK(sqrt(error2) < 1.2 / sqrt(VECX_HASH_DIM) && fabs(bias) < 0.25 / sqrt(VECX_HASH_DIM),
			   "hashing of %zu of %u: error %.4f, bias %.4f", nnz, dim, sqrt(error2), bias);
	for (int v = 0; v < 2; v++)
	{
		free(index[v]);
		free(value[v]);
		free(x[v]);
	}
	free(again);
}

static void
test_degenerate_hashing(void)
{
	float	   *x = get(VECX_HASH_DIM * sizeof(float));
	int32_t		index[2] = {0, 999999999};
	float		huge[2] = {FLT_MAX, FLT_MAX};
	float		one = 3.0f;
	double		norm2 = 0;
	int			nplaces = 0;
	bool		zero = true;

	vecx_hash_project(1, 0, index, huge, x);
	for (int i = 0; i < VECX_HASH_DIM; i++)
		zero = zero && x[i] == 0.0f;
	UNIT_CHECK(zero, "nothing is hashed to zero");

	vecx_hash_project(1, 1, index + 1, &one, x);
	for (int i = 0; i < VECX_HASH_DIM; i++)
	{
		norm2 += (double) x[i] * (double) x[i];
		nplaces += x[i] != 0.0f;
	}
	UNIT_CHECK(nplaces == VECX_HASH_WAYS && fabs(norm2 - 9.0) < 1e-5,
			   "an element goes to %d places", nplaces);

	vecx_hash_project(1, 2, index, huge, x);
	for (int i = 0; i < VECX_HASH_DIM; i++)
		zero = zero && !isnan(x[i]);
	UNIT_CHECK(zero, "huge elements give no NaN");
	free(x);
}

int
main(int argc, char **argv)
{
	random_begin(argc, argv);
	printf("# kernels %s\n", vecx_kernels->name);
	for (size_t m = 0; m < LENGTH(float_metrics); m++)
	{
		test_sketches(float_metrics[m], 20, 0, 64, 0.99);
		test_sketches(float_metrics[m], 60, 600, 0, 0.97);
		test_sketches(float_metrics[m], 128, 600, 32, 0.9);
		test_sketches(float_metrics[m], 300, 600, 0, 0.8);
		test_sketches(float_metrics[m], 300, 0, 64, 0.8);
		/* rotations, of a length that is a power of two and one that is not */
		test_sketches(float_metrics[m], 512, 0, 64, 0.8);
		test_sketches(float_metrics[m], 320, 0, 80, 0.8);
	}
	UNIT_CHECK(rotations >= 2 * (int) LENGTH(float_metrics), "%d bases without a matrix", rotations);
	test_sketches(VECX_METRIC_L2, 3000, 300, 0, 0.6);
	test_sketches(VECX_METRIC_L2, 16000, 0, 0, 0.4);
	for (size_t m = 0; m < LENGTH(float_metrics); m++)
	{
		test_rotation(float_metrics[m], 700, 0.9);
		test_rotation(float_metrics[m], 768, 0.9);
		test_rotation(float_metrics[m], 784, 0.9);
		test_rotation(float_metrics[m], 1000, 0.9);
		test_rotation(float_metrics[m], 1024, 0.9);
	}
	UNIT_CHECK(vecx_basis_rotation_bytes(VECX_METRIC_L2, 512, 1) == 0 &&
			   vecx_basis_rotation_bytes(VECX_METRIC_L2, 3000, 1) == 0 &&
			   vecx_basis_rotation_bytes(VECX_METRIC_HAMMING, 1024, 1) == 0, "not of any dimensions, nor of bits");
	test_poor_samples();
	test_degenerate_sketches();
	test_agreement();
	test_bit_sketches(VECX_METRIC_HAMMING, 500);
	test_bit_sketches(VECX_METRIC_JACCARD, 500);
	test_bit_sketches(VECX_METRIC_HAMMING, 1500);
	test_bit_sketches(VECX_METRIC_JACCARD, 1500);
	test_damaged_basis();
	test_default_sizes();
	test_hashing(5000, 10);
	test_hashing(100000, 120);
	test_hashing(1000000000, 2000);
	test_degenerate_hashing();
	UNIT_CHECK(blocks_out == 0, "training frees what it takes (%ld blocks left)", blocks_out);
	UNIT_CHECK(polls > 1000, "training polls");
	return unit_done();
}

/*
 * probe.c
 *    A vector prepared for being compared with codes and sketches.
 */
#include "postgres.h"

#include "am/am.h"

static VecxProbe *
make_probe(VecxIndex *index)
{
	VecxProbe  *probe = palloc0(sizeof(VecxProbe));

	probe->index = index;
	return probe;
}

/* vec (float[dim] or bits) is kept by reference. */
VecxProbe *
VecxProbeMake(VecxIndex *index, const void *vec)
{
	VecxProbe  *probe = make_probe(index);

	probe->vec = vec;
	vecx_code_query_init(&index->coder, &probe->code, vec,
						 palloc(vecx_code_query_scratch(&index->coder)));
	return probe;
}

/* Bytes of a decoded vector. */
Size
VecxVectorBytes(const VecxIndex *index)
{
	return index->spec->is_bits ? (index->meta.dim + 7) / 8 : sizeof(float) * index->meta.dim;
}

/* The same from a vector's code, kept by reference. */
VecxProbe *
VecxProbeMakeFromCode(VecxIndex *index, const uint8 *code)
{
	VecxProbe  *probe = make_probe(index);
	void	   *vec = palloc(VecxVectorBytes(index));

	vecx_code_decode(&index->coder, code, vec);
	probe->vec = vec;
	vecx_code_query_init_code(&index->coder, &probe->code, code,
							  palloc(vecx_code_query_scratch(&index->coder)));
	return probe;
}

/*
 * The probe's form for sketches of a model, made when first asked for.  May
 * read the metapage and allocate in the current context.
 */
VecxProbeModel *
VecxProbeForModel(VecxProbe *probe, uint8 number)
{
	VecxProbeModel *slot = NULL;
	const VecxBasis *basis;
	float	   *scratch;

	for (int i = 0; i < VECX_MAX_MODELS; i++)
	{
		if (number != 0 && probe->models[i].number == number)
			return &probe->models[i];
		if (!slot && probe->models[i].number == 0)
			slot = &probe->models[i];
	}
	/* both in use by older models: the oldest is alive in no record any more */
	if (!slot)
	{
		probe->models[0] = probe->models[1];
		slot = &probe->models[1];
	}

	slot->basis = VecxFindModel(probe->index, number)->basis;
	basis = &slot->basis;
	slot->proj = palloc(vecx_basis_proj_bytes(basis));
	slot->codes = palloc(basis->pdims);
	scratch = palloc(sizeof(float) * vecx_basis_scratch_floats(basis, 1) + 1);
	vecx_basis_project(basis, probe->vec, slot->proj, scratch);
	pfree(scratch);
	vecx_sketch_query_init(basis, slot->proj, VecxProbePopcount(probe), slot->codes, &slot->query);
	slot->number = number;
	return slot;
}

/* Prepares all models of the index. */
void
VecxProbeForModels(VecxProbe *probe)
{
	for (int i = 0; i < probe->index->nmodels; i++)
		(void) VecxProbeForModel(probe, probe->index->models[i].number);
}

/*
 * Estimated distances of the probe to all neighbours of a record, given its
 * distance to the record itself.  est and scratch hold rec->nlinks numbers.
 * Returns the norm^2 of the record's code.
 *
 * The record's model must have been prepared, since the record's page is
 * locked here.
 */
float
VecxRecordEstimates(VecxProbe *probe, const VecxRecordData *rec, float nav,
					int32 *scratch, float *est)
{
	VecxIndex  *index = probe->index;
	VecxProbeModel *pm = VecxProbeForModel(probe, rec->model);
	float		norm2 = vecx_code_norm2(&index->coder, VecxRecordCode(&index->layout, rec));

	vecx_sketch_estimate(&pm->basis, &pm->query, nav, norm2,
						 VecxRecordLink(&index->layout, rec, 0) + VECX_LINK_SKETCH,
						 index->layout.link_size, rec->nlinks, scratch, est);
	return norm2;
}

/*
 * code_replica.h
 *    Which lists a vector goes to besides that of its nearest centre.
 *
 * Pure C, no error exits, as code.h.
 */
#ifndef VECX_CODE_REPLICA_H
#define VECX_CODE_REPLICA_H

#include "code.h"

/* Lists of one vector, at most; centres that are looked at for them. */
#define VECX_MOST_REPLICAS		8
#define VECX_REPLICA_CENTRES	16

/*
 * Of n centres (VECX_REPLICA_CENTRES at most), the first of which is the nearest to
 * x, chooses up to most, the first among them: chosen has their places.  Returns how
 * many.
 *
 * Under the inner product by SOAR's rule (arXiv 2404.00774), which always finds
 * another centre: one for which x's residual is at right angles to that of the
 * centres before, so that the errors of their estimates are not alike.  Else by
 * SPANN's (arXiv 2111.08566): a centre nearly as near as the nearest, unless it lies
 * in the same direction as one that was chosen.
 */
extern int vecx_replicas_choose(VecxMetric metric, const float *x, uint32_t dim,
								const float *const *centres, int n, int most, int *chosen);

#endif							/* VECX_CODE_REPLICA_H */

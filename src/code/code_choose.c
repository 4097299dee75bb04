/*
 * code_choose.c
 *    Choice of a sketch's size.
 */
#include "code_train.h"

uint8_t *
vecx_train_choose(VecxTrainer *t, const float *sample, size_t nrows,
				  uint32_t sketch_bytes, size_t *nbytes)
{
	(void) t;
	(void) sample;
	(void) nrows;
	(void) sketch_bytes;
	(void) nbytes;
	return NULL;
}

/*
 * toast.h
 *    Values out of line, read without the index over them: toast.c.
 */
#ifndef VECX_TOAST_H
#define VECX_TOAST_H

#include "am/am.h"

typedef struct VecxToast VecxToast;
extern VecxToast *VecxToastOpen(Oid relid);
extern struct varlena *VecxToastRead(VecxToast *toast, struct varlena *pointer, bool missing_ok);
extern void VecxToastClose(VecxToast *toast);

#endif							/* VECX_TOAST_H */

/*
 * vecx.h
 *    What the library's entry point shares with the layers below it.
 */
#ifndef VECX_VECX_H
#define VECX_VECX_H

#define VECX_VERSION	"0.1.0"

/* am: defines the access method's settings and reloptions; called once a load */
extern void vecxAmInit(void);

#endif							/* VECX_VECX_H */

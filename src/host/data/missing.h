/* Missing numbers of a sample, which are NaN until something stands for them. */
#ifndef EBB_HOST_DATA_MISSING_H
#define EBB_HOST_DATA_MISSING_H

#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of dataset.missing's choices. */
typedef enum EbbMissing { EBB_MISSING_REFUSE, EBB_MISSING_LAST, EBB_MISSING_ZERO } EbbMissing;

/* values (*n_steps, width): steps at the end that have nothing but NaN are padding and are taken off; another
   NaN becomes the number of the step before (0 in the first) or 0. Errors: FORMAT naming `where`, step and
   channel (a missing one to be refused, an infinite one, nothing but NaN). */
EbbStatus ebb_missing_fill(EbbMissing missing, float *values, int64_t *n_steps, int64_t width,
                           const char *where) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

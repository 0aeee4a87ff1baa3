/* The IDX format of MNIST, in memory. */
#ifndef EBB_HOST_DATA_IDX_H
#define EBB_HOST_DATA_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_IDX_MOST_RANK = 4 };

typedef struct EbbIdx {
  int rank;
  int64_t dim[EBB_IDX_MOST_RANK], size;
  const uint8_t *bytes; /* (size) inside the text that was given */
} EbbIdx;

/* Reads an array of unsigned bytes with `rank` dimensions. Errors: FORMAT, naming `origin` (other type, other
   number of dimensions, cut off or too long). */
EbbStatus ebb_idx_parse(const char *bytes, size_t length, const char *origin, int rank,
                        EbbIdx *out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

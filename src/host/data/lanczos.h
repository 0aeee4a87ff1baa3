/* Reduction of square 8-bit images by the Lanczos window of three lobes, bit for bit as Pillow computes it.
 */
#ifndef EBB_HOST_DATA_LANCZOS_H
#define EBB_HOST_DATA_LANCZOS_H

#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Weights of a reduction from side `in` to side `out`: pixel j of a row is the sum of count[j] pixels from
   first[j] on, times weight[j * taps ...], in units of 2^-22. */
typedef struct EbbLanczos {
  int in, out, taps;
  int *first, *count; /* (out) */
  int32_t *weight;    /* (out, taps) */
} EbbLanczos;

/* 1 <= out <= in. Lifetime: ebb_lanczos_release, after an error too. Errors: MEMORY. */
EbbStatus ebb_lanczos_create(int in, int out, EbbLanczos *lanczos) EBB_MUST_CHECK;
void ebb_lanczos_release(EbbLanczos *lanczos);

/* Bytes of scratch memory that a reduction needs. */
size_t ebb_lanczos_scratch(const EbbLanczos *lanczos);
/* from (in, in) becomes to (out, out): rows first, then columns, each rounded to 8 bits. */
void ebb_lanczos_reduce(const EbbLanczos *lanczos, const uint8_t *from, uint8_t *to, uint8_t *scratch);

#ifdef __cplusplus
}
#endif
#endif

/* What a pass over batches has seen so far, summed where the losses are: on a GPU the host reads it only now
   and then, so that it need not wait for every batch. */
#ifndef EBB_TALLY_H
#define EBB_TALLY_H

#include <stdint.h>

#include "ebb/device.h"
#include "ebb/ops/scores.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbTallyFailure { EBB_TALLY_FINE, EBB_TALLY_LOSS, EBB_TALLY_GRADIENT } EbbTallyFailure;

typedef struct EbbTally {
  double loss, weight; /* sums over samples (steps, where every step has a target): loss, how many */
  double scores[EBB_SCORE_SUMS]; /* sums of ebb/ops/scores.h */
  double last_loss;              /* of the latest batch */
  double norm;                   /* of the gradients of the latest update */
  int64_t batches;
  int64_t failed_batch; /* `batches` when the first loss or gradient that is not finite came, itself not
                           counted */
  int32_t failure; /* EbbTallyFailure: which of the two; while it is set, batches and updates are ignored */
  int32_t unused;
} EbbTally;

/* In device memory, all zero. Errors: MEMORY. */
EbbStatus ebb_tally_create(EbbDevice *device, EbbTally **out) EBB_MUST_CHECK;
void ebb_tally_destroy(EbbDevice *device, EbbTally *tally);

/* Copies between the host and the device's tally, in the order of the device's work; read waits. */
EbbStatus ebb_tally_write(EbbDevice *device, EbbTally *tally, const EbbTally *host) EBB_MUST_CHECK;
EbbStatus ebb_tally_read(EbbDevice *device, const EbbTally *tally, EbbTally *host) EBB_MUST_CHECK;

/* Adds a batch, all pointers in device memory: its mean loss (), scores (EBB_SCORE_SUMS) or NULL, and the
   weights of its n rows, whose sum is the number of its samples. Can be recorded. */
EbbStatus ebb_tally_add(EbbDevice *device, EbbTally *tally, const float *loss, const float *scores,
                        const float *weights, int64_t n) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

/* Checkpoints: one safetensors file with the parameters by name, AdamW's moments as adamw.m.<name> and
   adamw.v.<name>, the buffers, and in the metadata everything else that an exact resume needs. */
#ifndef EBB_CHECKPOINT_H
#define EBB_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a run stands between two optimiser steps. */
typedef struct EbbTrainState {
  uint64_t seed;
  int64_t step;         /* optimiser updates done */
  int64_t epoch, batch; /* the next batch of the loader */
  int64_t best_epoch;   /* -1: none yet */
  double best_score;
  double plateau_best, plateau_factor; /* the plateau schedule's memory */
  int64_t plateau_bad_epochs;
  double epoch_loss, epoch_correct, epoch_weight; /* running sums of the epoch's training metrics */
  int64_t averaged;                               /* updates inside the SWA average */
  /* More of those sums; 0 in files from before they were kept. */
  double epoch_true_positive, epoch_false_positive, epoch_false_negative;
} EbbTrainState;

/* Averages of the parameters kept beside them (EMA, SWA): `name` prefixes the tensors ("ema" + "." +
   parameter) and has no comma. */
typedef struct EbbAverage {
  const char *name;
  float *values; /* device, ebb_params_size floats with the offsets of the flat buffers; NULL: not in use */
} EbbAverage;

/* Writes atomically: `path` is whole before and after. state NULL: weights only, without moments. config: the
   resolved configuration's YAML, or NULL. Errors: IO, MEMORY, STATE (parameters not placed), INVALID (an
   average's name), NUMERIC never (NaN is saved as it is). */
EbbStatus ebb_checkpoint_save(const char *path, const EbbParams *params, const EbbTrainState *state,
                              const char *config, const EbbAverage *averages, int n_averages) EBB_MUST_CHECK;

/* Fills parameters, buffers, moments and state from a checkpoint of the same model. state may be NULL
   (weights only: moments then stay as they are, and moments and averages that nobody asked for are passed
   over). Every average with values must be in the file. Nothing is changed unless all fits. Errors:
   NOT_FOUND, FORMAT, MISMATCH (the first tensor, in name order, that is missing, unknown or of another shape,
   with both shapes, and how many more differ; or state asked of a file with weights only), NUMERIC (a wider
   type's value beyond 32-bit floats), IO, STATE (parameters not placed), MEMORY. */
EbbStatus ebb_checkpoint_load(const char *path, EbbParams *params, EbbTrainState *state, EbbAverage *averages,
                              int n_averages) EBB_MUST_CHECK;

/* The resolved configuration stored in a checkpoint; free with free(). Errors: NOT_FOUND, FORMAT (none
 * stored). */
EbbStatus ebb_checkpoint_config(const char *path, char **yaml) EBB_MUST_CHECK;

/* Loads the published PyTorch code's state_dict, saved as safetensors, into the parameters: names are mapped
   (kernel.kernel.C -> kernel.C, output_linear.0.weight -> output_linear.weight, norm.norm.* -> norm.*,
   leading "model." dropped, decoder.output_transform -> decoder, decoder.retrieval.classifier ->
   decoder.classifier, inv_A_real -> inv_w_real, A_imag -> w_imag, num_batches_tracked and the unused kernel.A
   ignored). A liquid model's frozen constants are not in such a file: the parameters named liquid.* keep
   their values and *liquid_missing counts them. state_dict.h does the same for recurrent cells. Errors: as
   ebb_checkpoint_load. */
EbbStatus ebb_checkpoint_import(const char *path, EbbParams *params, int *liquid_missing) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

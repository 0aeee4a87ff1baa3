/* Streaming: a trained model fed one time step at a time, with a state that can be saved and restored. Plain
   S4, series and scan layers step exactly as they run in batch mode; so do recurrent cells, to the bit of the
   CPU's batch mode. Runs on the host: S4 in float32 with float64 states, cells in float32. */
#ifndef EBB_STREAM_H
#define EBB_STREAM_H

#include <stddef.h>

#include "ebb/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One layer. */
typedef struct EbbS4Stream EbbS4Stream;

/* Reads the layer's parameters (a copy: later training does not change the stream) for B parallel streams, at
   rest. Errors: UNSUPPORTED for bidirectional layers and for polyb and kb, which are not causal: their output
   at a step depends on later steps. INVALID (B < 1); MEMORY; NOT_FOUND (parameters of another model). */
EbbStatus ebb_s4_stream_create(const EbbParams *params, const char *scope, const EbbS4Layer *layer, int64_t B,
                               EbbS4Stream **out) EBB_MUST_CHECK;
void ebb_s4_stream_destroy(EbbS4Stream *stream);
/* u (B, H) -> y (B, H), both on the host and distinct: what the layer's batch mode gives at this step,
 * without dropout. */
EbbStatus ebb_s4_stream_step(EbbS4Stream *stream, const float *u, float *y) EBB_MUST_CHECK;
/* Back to rest. */
void ebb_s4_stream_reset(EbbS4Stream *stream);
/* The state as plain bytes, the same size for all streams of a layer and B. */
size_t ebb_s4_stream_size(const EbbS4Stream *stream);
void ebb_s4_stream_save(const EbbS4Stream *stream, void *state);
void ebb_s4_stream_restore(EbbS4Stream *stream, const void *state);

/* One recurrent cell. */
typedef struct EbbCellStream EbbCellStream;

/* As above, for the cell whose parameters stand in `scope`. Lifetime: the cell must outlive the stream. */
EbbStatus ebb_cell_stream_create(const EbbParams *params, const char *scope, const EbbCell *cell, int64_t B,
                                 EbbCellStream **out) EBB_MUST_CHECK;
void ebb_cell_stream_destroy(EbbCellStream *stream);
/* x (B, I) -> y (B, O). elapsed (B): time since the step before, NULL for 1. Errors: INVALID names a row
   whose elapsed time is negative or not finite; the state stays as it was. */
EbbStatus ebb_cell_stream_step(EbbCellStream *stream, const float *x, const float *elapsed,
                               float *y) EBB_MUST_CHECK;
/* The state (B, S), to look at or to change. Lifetime: the stream's, here and below. */
float *ebb_cell_stream_state(EbbCellStream *stream);
/* 1 / (effective time constant) of each neuron in the latest step (B, cell->rate.width); NULL where the cell
   does not know them. */
const float *ebb_cell_stream_rates(const EbbCellStream *stream);
void ebb_cell_stream_reset(EbbCellStream *stream);
size_t ebb_cell_stream_size(const EbbCellStream *stream);
void ebb_cell_stream_save(const EbbCellStream *stream, void *state);
void ebb_cell_stream_restore(EbbCellStream *stream, const void *state);

/* A whole sequence model. Batch norm uses its running statistics. */
typedef struct EbbStream EbbStream;

/* Errors: as ebb_s4_stream_create, and UNSUPPORTED for retrieval models. The stream starts at rest. Lifetime:
   the cells of a model that has some must outlive it. */
EbbStatus ebb_stream_create(const EbbParams *params, const EbbSequence *model, int64_t B,
                            EbbStream **out) EBB_MUST_CHECK;
void ebb_stream_destroy(EbbStream *stream);
/* input: tokens (B) int32 or x (B, d_input) float32, by the encoder. logits (B, d_output): the decoder's
   answer on all steps so far (mean pooling: their running mean; last, and models with a
   decision a step: this step); may be NULL. Errors:
   INVALID names a token outside the vocabulary and its row. */
EbbStatus ebb_stream_step(EbbStream *stream, const void *input, float *logits) EBB_MUST_CHECK;
/* The same with the time (B) since the step before. Errors: UNSUPPORTED for models of S4 layers, whose time
   is regular; as ebb_cell_stream_step. */
EbbStatus ebb_stream_step_after(EbbStream *stream, const void *input, const float *elapsed,
                                float *logits) EBB_MUST_CHECK;
/* The stream of cell `layer` of a model of recurrent cells, otherwise NULL. Lifetime: the stream's. */
EbbCellStream *ebb_stream_cell(EbbStream *stream, int64_t layer);
void ebb_stream_reset(EbbStream *stream);
size_t ebb_stream_size(const EbbStream *stream);
void ebb_stream_save(const EbbStream *stream, void *state);
void ebb_stream_restore(EbbStream *stream, const void *state);

#ifdef __cplusplus
}
#endif
#endif

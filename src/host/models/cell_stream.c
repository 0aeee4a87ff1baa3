/* One recurrent cell, step by step. */
#include <stdlib.h>
#include <string.h>

#include "ebb/stream.h"
#include "host/ops/cell_step.h"

struct EbbCellStream {
  EbbCellStepper *stepper;
  float *state, *rates;
  size_t bytes; /* of the state */
};

static EbbStatus fill(EbbCellStream *stream, const EbbParams *params, const char *scope, const EbbCell *cell,
                      int64_t B) {
  EBB_TRY(ebb_cell_stepper_create(cell, params, scope, B, &stream->stepper));
  stream->bytes = (size_t)(B * cell->states) * sizeof *stream->state;
  stream->state = calloc(1, stream->bytes);
  if (cell->rate.width) stream->rates = calloc((size_t)(B * cell->rate.width), sizeof *stream->rates);
  if (stream->state && (stream->rates || !cell->rate.width)) return EBB_OK;
  return ebb_fail(EBB_MEMORY, "no memory for a stream of %lld rows", (long long)B);
}

EbbStatus ebb_cell_stream_create(const EbbParams *params, const char *scope, const EbbCell *cell, int64_t B,
                                 EbbCellStream **out) {
  *out = NULL;
  EbbCellStream *stream = calloc(1, sizeof *stream);
  if (!stream) return ebb_fail(EBB_MEMORY, "no memory for a stream");
  EbbStatus status = fill(stream, params, scope, cell, B);
  if (status == EBB_OK)
    *out = stream;
  else
    ebb_cell_stream_destroy(stream);
  return status;
}

void ebb_cell_stream_destroy(EbbCellStream *stream) {
  if (!stream) return;
  ebb_cell_stepper_destroy(stream->stepper);
  free(stream->state);
  free(stream->rates);
  free(stream);
}

EbbStatus ebb_cell_stream_step(EbbCellStream *stream, const float *x, const float *elapsed, float *y) {
  return ebb_cell_stepper_step(stream->stepper, x, elapsed, stream->state, y, stream->rates);
}

float *ebb_cell_stream_state(EbbCellStream *stream) { return stream->state; }
const float *ebb_cell_stream_rates(const EbbCellStream *stream) { return stream->rates; }

void ebb_cell_stream_reset(EbbCellStream *stream) { memset(stream->state, 0, stream->bytes); }
size_t ebb_cell_stream_size(const EbbCellStream *stream) { return stream->bytes; }
void ebb_cell_stream_save(const EbbCellStream *stream, void *state) {
  memcpy(state, stream->state, stream->bytes);
}
void ebb_cell_stream_restore(EbbCellStream *stream, const void *state) {
  memcpy(stream->state, state, stream->bytes);
}

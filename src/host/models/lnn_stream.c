/* A liquid network step by step: a graph of one step whose layers' states go round through the host. */
#include <stdlib.h>
#include <string.h>

#include "ebb/lnn.h"

struct EbbLnnStream {
  EbbGraph *graph;
  EbbDevice *device;
  int64_t B, input, hidden, layers, steps;
  float *state;         /* (layers, B, hidden) */
  float *elapsed;       /* (B) ones */
  EbbValue *h0, *final; /* (layers) each */
  EbbValue x, dt, y;
};

static int64_t state_floats(const EbbLnnStream *s) { return s->layers * s->B * s->hidden; }

static EbbStatus record(EbbLnnStream *s, const char *scope, const EbbLnn *model) {
  EbbLnn step = *model;
  step.dropout = 0, step.all_steps = false;
  EBB_TRY(ebb_graph_input(s->graph, "x", EBB_F32, ebb_shape(s->B, 1, s->input), false, &s->x));
  EBB_TRY(ebb_graph_input(s->graph, "elapsed", EBB_F32, ebb_shape(s->B, 1), false, &s->dt));
  for (int64_t i = 0; i < s->layers; i++)
    EBB_TRY(ebb_graph_input(s->graph, "h0", EBB_F32, ebb_shape(s->B, s->hidden), false, &s->h0[i]));
  const EbbLnnStates states = {.h0 = s->h0, .final = s->final};
  EBB_TRY(ebb_lnn_record(s->graph, scope, &step, s->x, s->dt, EBB_NO_VALUE, &states, &s->y));
  for (int64_t i = 0; i < s->layers; i++) EBB_TRY(ebb_graph_output(s->graph, s->final[i]));
  EBB_TRY(ebb_graph_output(s->graph, s->y));
  return ebb_graph_layout(s->graph);
}

static EbbStatus fill(EbbLnnStream *s, EbbParams *params, const char *scope, const EbbLnn *model) {
  s->device = ebb_params_device(params);
  s->state = calloc((size_t)state_floats(s), sizeof *s->state);
  s->elapsed = malloc((size_t)s->B * sizeof *s->elapsed);
  s->h0 = calloc((size_t)s->layers, sizeof *s->h0);
  s->final = calloc((size_t)s->layers, sizeof *s->final);
  if (!s->state || !s->elapsed || !s->h0 || !s->final)
    return ebb_fail(EBB_MEMORY, "lnn '%s': no memory for a stream of %lld rows", scope, (long long)s->B);
  for (int64_t b = 0; b < s->B; b++) s->elapsed[b] = 1;
  EBB_TRY(ebb_graph_create(params, NULL, false, &s->graph));
  return record(s, scope, model);
}

EbbStatus ebb_lnn_stream_create(EbbParams *params, const char *scope, const EbbLnn *model, int64_t rows,
                                EbbLnnStream **out) {
  *out = NULL;
  if (rows < 1 || model->layers < 1 || model->hidden < 1)
    return ebb_fail(EBB_INVALID,
                    "lnn '%s': a stream of %lld rows, %lld layers, %lld units; all must be at least 1", scope,
                    (long long)rows, (long long)model->layers, (long long)model->hidden);
  EbbLnnStream *stream = calloc(1, sizeof *stream);
  if (!stream) return ebb_fail(EBB_MEMORY, "no memory for a stream");
  stream->B = rows, stream->input = model->input;
  stream->hidden = model->hidden, stream->layers = model->layers;
  EbbStatus status = fill(stream, params, scope, model);
  if (status == EBB_OK)
    *out = stream;
  else
    ebb_lnn_stream_destroy(stream);
  return status;
}

void ebb_lnn_stream_destroy(EbbLnnStream *stream) {
  if (!stream) return;
  ebb_graph_destroy(stream->graph);
  free(stream->state);
  free(stream->elapsed);
  free(stream->h0);
  free(stream->final);
  free(stream);
}

EbbStatus ebb_lnn_stream_step(EbbLnnStream *s, const float *x, const float *elapsed, float *y) {
  const EbbRun run = {.device = s->device};
  const int64_t layer = s->B * s->hidden;
  EBB_TRY(ebb_graph_write(s->graph, s->x, x));
  EBB_TRY(ebb_graph_write(s->graph, s->dt, elapsed ? elapsed : s->elapsed));
  for (int64_t i = 0; i < s->layers; i++) EBB_TRY(ebb_graph_write(s->graph, s->h0[i], s->state + i * layer));
  EBB_TRY(ebb_graph_forward(s->graph, &run));
  EBB_TRY(ebb_graph_read(s->graph, s->y, y)); /* waits: what went wrong is known before the state changes */
  for (int64_t i = 0; i < s->layers; i++)
    EBB_TRY(ebb_graph_read(s->graph, s->final[i], s->state + i * layer));
  s->steps++;
  return EBB_OK;
}

void ebb_lnn_stream_reset(EbbLnnStream *s) {
  memset(s->state, 0, (size_t)state_floats(s) * sizeof *s->state);
  s->steps = 0;
}

int64_t ebb_lnn_stream_steps(const EbbLnnStream *s) { return s->steps; }

size_t ebb_lnn_stream_size(const EbbLnnStream *s) {
  return sizeof s->steps + (size_t)state_floats(s) * sizeof *s->state;
}

void ebb_lnn_stream_save(const EbbLnnStream *s, void *state) {
  memcpy(state, &s->steps, sizeof s->steps);
  memcpy((char *)state + sizeof s->steps, s->state, (size_t)state_floats(s) * sizeof *s->state);
}

void ebb_lnn_stream_restore(EbbLnnStream *s, const void *state) {
  memcpy(&s->steps, state, sizeof s->steps);
  memcpy(s->state, (const char *)state + sizeof s->steps, (size_t)state_floats(s) * sizeof *s->state);
}

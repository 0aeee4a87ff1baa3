/* A whole sequence model, one step at a time on the host. */
#include "ebb/stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/ops/norm.h"
#include "host/models/cells.h"

enum { NAME_BYTES = 96 };

/* Copies of the weights around the layers, and the frames of one step. */
typedef struct Affine {
  float *weight, *bias; /* bias NULL: none */
} Affine;

typedef struct Norm {
  Affine affine;
  float *mean, *variance; /* batch norm's running statistics */
} Norm;

struct EbbStream {
  EbbSequence model;
  int64_t B;
  Affine encoder, decoder;
  Norm *norm;           /* n_layers, then the final one */
  EbbS4Stream **layer;  /* or, in a model of cells, */
  EbbCellStream **cell; /* these */
  int64_t read, widest; /* what the decoder reads of a frame; the widest frame */
  double *pooled;       /* (B, read): sum over the steps so far */
  int64_t steps;
  float *x, *u, *y; /* (B, widest) */
};

/* ---- weights ---- */

static EbbStatus read(const EbbParams *params, const char *scope, const char *name, int64_t size,
                      float **out) {
  char full[NAME_BYTES];
  snprintf(full, sizeof full, "%s.%s", scope, name);
  *out = malloc((size_t)size * sizeof **out);
  if (!*out) return ebb_fail(EBB_MEMORY, "no memory for a copy of '%s'", full);
  return ebb_params_read(params, full, *out, size);
}

static EbbStatus read_affine(const EbbParams *params, const char *scope, int64_t weights, int64_t biases,
                             Affine *out) {
  EBB_TRY(read(params, scope, "weight", weights, &out->weight));
  return biases ? read(params, scope, "bias", biases, &out->bias) : EBB_OK;
}

static EbbStatus read_norm(const EbbParams *params, EbbNorm kind, const char *scope, int64_t H, Norm *out) {
  if (kind == EBB_NORM_NONE) return EBB_OK;
  if (kind == EBB_NORM_LAYER_SCALAR) {
    EBB_TRY(read(params, scope, "s", 1, &out->affine.weight));
    return read(params, scope, "m", 1, &out->affine.bias);
  }
  EBB_TRY(read_affine(params, scope, H, H, &out->affine));
  if (kind != EBB_NORM_BATCH) return EBB_OK;
  EBB_TRY(read(params, scope, "running_mean", H, &out->mean));
  return read(params, scope, "running_var", H, &out->variance);
}

static EbbStatus read_decoder(EbbStream *s, const EbbParams *params) {
  const EbbSequence *m = &s->model;
  if (m->decoder == EBB_DECODER_IDENTITY) return EBB_OK;
  return read_affine(params, "decoder", m->d_output * s->read, m->d_output, &s->decoder);
}

static EbbStatus read_cells(EbbStream *s, const EbbParams *params) {
  const EbbSequence *m = &s->model;
  if (m->encoder == EBB_ENCODER_EMBEDDING)
    EBB_TRY(read_affine(params, "encoder", m->vocabulary * m->d_model, 0, &s->encoder));
  for (int64_t i = 0; i < m->cells->n; i++) {
    char scope[NAME_BYTES];
    snprintf(scope, sizeof scope, "layers.%lld.layer", (long long)i);
    EBB_TRY(ebb_cell_stream_create(params, scope, m->cells->cell[i], s->B, &s->cell[i]));
  }
  return read_decoder(s, params);
}

static EbbStatus read_weights(EbbStream *s, const EbbParams *params) {
  const EbbSequence *m = &s->model;
  bool tokens = m->encoder == EBB_ENCODER_EMBEDDING;
  EBB_TRY(read_affine(params, "encoder", (tokens ? m->vocabulary : m->d_input) * m->d_model,
                      tokens ? 0 : m->d_model, &s->encoder));
  for (int64_t i = 0; i < m->n_layers; i++) {
    char scope[NAME_BYTES];
    snprintf(scope, sizeof scope, "layers.%lld.norm", (long long)i);
    EBB_TRY(read_norm(params, m->norm, scope, m->d_model, &s->norm[i]));
    snprintf(scope, sizeof scope, "layers.%lld.layer", (long long)i);
    EBB_TRY(ebb_s4_stream_create(params, scope, &m->layer, s->B, &s->layer[i]));
  }
  if (m->prenorm) EBB_TRY(read_norm(params, m->norm, "norm", m->d_model, &s->norm[m->n_layers]));
  return read_decoder(s, params);
}

static void set_widths(EbbStream *s) {
  const EbbSequence *m = &s->model;
  s->read = m->cells ? ebb_cells_outputs(m->cells) : m->d_model;
  s->widest = m->d_model;
  for (int64_t i = 0; m->cells && i < m->cells->n; i++) {
    const EbbCell *cell = m->cells->cell[i];
    if (cell->inputs > s->widest) s->widest = cell->inputs;
    if (cell->output.width > s->widest) s->widest = cell->output.width;
  }
}

static EbbStatus fill(EbbStream *s, const EbbParams *params) {
  set_widths(s);
  size_t layers = (size_t)s->model.n_layers, frame = (size_t)(s->B * s->widest);
  s->norm = calloc(layers + 1, sizeof *s->norm);
  s->layer = calloc(layers + 1, sizeof(EbbS4Stream *));
  s->cell = calloc(layers + 1, sizeof(EbbCellStream *));
  s->pooled = calloc(frame, sizeof *s->pooled);
  s->x = calloc(frame, sizeof *s->x);
  s->u = calloc(frame, sizeof *s->u);
  s->y = calloc(frame, sizeof *s->y);
  if (!s->norm || !s->layer || !s->cell || !s->pooled || !s->x || !s->u || !s->y)
    return ebb_fail(EBB_MEMORY, "no memory for a stream of %lld rows", (long long)s->B);
  return s->model.cells ? read_cells(s, params) : read_weights(s, params);
}

EbbStatus ebb_stream_create(const EbbParams *params, const EbbSequence *model, int64_t B, EbbStream **out) {
  *out = NULL;
  if (model->decoder == EBB_DECODER_RETRIEVAL)
    return ebb_fail(EBB_UNSUPPORTED, "a retrieval model compares two whole sequences and cannot be streamed");
  if (model->liquid_net)
    return ebb_fail(EBB_UNSUPPORTED,
                    "a model of lnn layers is streamed by ebb_lnn_stream_create (ebb/lnn.h)");
  if (model->cells && model->cells->backwards)
    return ebb_fail(EBB_UNSUPPORTED,
                    "cells that run backwards in time (model.layer.bidirectional) cannot be streamed");
  if (B < 1) return ebb_fail(EBB_INVALID, "a stream needs at least 1 row, not %lld", (long long)B);
  EbbStream *stream = calloc(1, sizeof *stream);
  if (!stream) return ebb_fail(EBB_MEMORY, "no memory for a stream");
  stream->model = *model;
  stream->B = B;
  EbbStatus status = fill(stream, params);
  if (status == EBB_OK)
    *out = stream;
  else
    ebb_stream_destroy(stream);
  return status;
}

static void free_norm(Norm *norm) {
  free(norm->affine.weight);
  free(norm->affine.bias);
  free(norm->mean);
  free(norm->variance);
}

void ebb_stream_destroy(EbbStream *s) {
  if (!s) return;
  for (int64_t i = 0; s->layer && i < s->model.n_layers; i++) ebb_s4_stream_destroy(s->layer[i]);
  for (int64_t i = 0; s->cell && i < s->model.n_layers; i++) ebb_cell_stream_destroy(s->cell[i]);
  for (int64_t i = 0; s->norm && i <= s->model.n_layers; i++) free_norm(&s->norm[i]);
  free(s->encoder.weight);
  free(s->encoder.bias);
  free(s->decoder.weight);
  free(s->decoder.bias);
  free(s->norm);
  free((void *)s->layer);
  free((void *)s->cell);
  free(s->pooled);
  free(s->x);
  free(s->u);
  free(s->y);
  free(s);
}

/* ---- one step ---- */

/* y = W x + b for one row, W (outputs, inputs). */
static void affine_row(const Affine *a, const float *x, int64_t inputs, int64_t outputs, float *y) {
  for (int64_t o = 0; o < outputs; o++) {
    double sum = (double)a->bias[o];
    for (int64_t i = 0; i < inputs; i++) sum += (double)a->weight[o * inputs + i] * (double)x[i];
    y[o] = (float)sum;
  }
}

static EbbStatus encode(EbbStream *s, const void *input) {
  const EbbSequence *m = &s->model;
  for (int64_t b = 0; b < s->B; b++) {
    float *x = s->x + b * m->d_model;
    if (m->encoder == EBB_ENCODER_LINEAR && m->cells) {
      memcpy(s->x + b * m->d_input, (const float *)input + b * m->d_input, (size_t)m->d_input * sizeof *x);
      continue;
    }
    if (m->encoder == EBB_ENCODER_LINEAR) {
      affine_row(&s->encoder, (const float *)input + b * m->d_input, m->d_input, m->d_model, x);
      continue;
    }
    int32_t token = ((const int32_t *)input)[b];
    if (token < 0 || token >= m->vocabulary)
      return ebb_fail(EBB_INVALID, "row %lld: token %d is outside the vocabulary 0..%lld", (long long)b,
                      token, (long long)m->vocabulary - 1);
    memcpy(x, s->encoder.weight + token * m->d_model, (size_t)m->d_model * sizeof *x);
  }
  return EBB_OK;
}

static void moments(const float *x, int64_t H, double *mean, double *variance) {
  double sum = 0, squares = 0;
  for (int64_t h = 0; h < H; h++) sum += (double)x[h];
  *mean = sum / (double)H;
  for (int64_t h = 0; h < H; h++) squares += ((double)x[h] - *mean) * ((double)x[h] - *mean);
  *variance = squares / (double)H;
}

/* The norms of the batch model on a frame, their sums in double; the scalar norm has no epsilon. */
static void normalise_row(EbbNorm kind, const Norm *norm, const float *x, int64_t H, float *y) {
  double mean = 0, variance = 0;
  const float *w = norm->affine.weight, *b = norm->affine.bias;
  if (kind != EBB_NORM_BATCH) moments(x, H, &mean, &variance);
  for (int64_t h = 0; h < H; h++) {
    if (kind == EBB_NORM_BATCH) mean = (double)norm->mean[h], variance = (double)norm->variance[h];
    if (kind == EBB_NORM_LAYER_SCALAR)
      y[h] = (float)((double)w[0] / sqrt(variance) * ((double)x[h] - mean + (double)b[0]));
    else
      y[h] = (float)(((double)x[h] - mean) / sqrt(variance + EBB_NORM_EPS) * (double)w[h] + (double)b[h]);
  }
}

static void normalise(const EbbStream *s, int64_t index, const float *x, float *y) {
  int64_t H = s->model.d_model;
  if (s->model.norm == EBB_NORM_NONE) {
    if (x != y) memcpy(y, x, (size_t)(s->B * H) * sizeof *y);
    return;
  }
  for (int64_t b = 0; b < s->B; b++) normalise_row(s->model.norm, &s->norm[index], x + b * H, H, y + b * H);
}

static EbbStatus step_block(EbbStream *s, int64_t i) {
  int64_t frame = s->B * s->model.d_model;
  const float *u = s->x;
  if (s->model.prenorm) {
    normalise(s, i, s->x, s->u);
    u = s->u;
  }
  EBB_TRY(ebb_s4_stream_step(s->layer[i], u, s->y));
  for (int64_t e = 0; e < frame; e++) s->x[e] = s->model.residual ? s->x[e] + s->y[e] : s->y[e];
  if (!s->model.prenorm) normalise(s, i, s->x, s->x);
  return EBB_OK;
}

/* The cells one after the other; the last one's outputs into y. */
static EbbStatus step_cells(EbbStream *s, const float *elapsed) {
  for (int64_t i = 0; i < s->model.n_layers; i++) {
    EBB_TRY(ebb_cell_stream_step(s->cell[i], s->x, elapsed, s->y));
    memcpy(s->x, s->y, (size_t)(s->B * s->model.cells->cell[i]->output.width) * sizeof *s->x);
  }
  return EBB_OK;
}

/* The blocks and the last norm; their result into y. */
static EbbStatus step_blocks(EbbStream *s) {
  for (int64_t i = 0; i < s->model.n_layers; i++) EBB_TRY(step_block(s, i));
  if (s->model.prenorm)
    normalise(s, s->model.n_layers, s->x, s->y);
  else
    memcpy(s->y, s->x, (size_t)(s->B * s->model.d_model) * sizeof *s->y);
  return EBB_OK;
}

static void decode(EbbStream *s, float *logits) {
  int64_t H = s->read, O = s->model.d_output;
  const bool last = s->model.per_step || s->model.pooling == EBB_POOLING_LAST;
  for (int64_t b = 0; b < s->B; b++) {
    float *pooled = s->u + b * H;
    for (int64_t h = 0; h < H; h++)
      pooled[h] = last ? s->y[b * H + h] : (float)(s->pooled[b * H + h] / (double)s->steps);
    if (s->model.decoder == EBB_DECODER_IDENTITY)
      memcpy(logits + b * O, pooled, (size_t)O * sizeof *logits);
    else
      affine_row(&s->decoder, pooled, H, O, logits + b * O);
  }
}

EbbStatus ebb_stream_step_after(EbbStream *s, const void *input, const float *elapsed, float *logits) {
  if (elapsed && !s->model.cells)
    return ebb_fail(EBB_UNSUPPORTED, "a stream of S4 layers has steps of equal time; give no elapsed times");
  EBB_TRY(encode(s, input));
  EBB_TRY(s->model.cells ? step_cells(s, elapsed) : step_blocks(s));
  for (int64_t e = 0; e < s->B * s->read; e++) s->pooled[e] += (double)s->y[e];
  s->steps++;
  if (logits) decode(s, logits);
  return EBB_OK;
}

EbbStatus ebb_stream_step(EbbStream *s, const void *input, float *logits) {
  return ebb_stream_step_after(s, input, NULL, logits);
}

EbbCellStream *ebb_stream_cell(EbbStream *s, int64_t layer) {
  return s->model.cells && layer >= 0 && layer < s->model.n_layers ? s->cell[layer] : NULL;
}

/* ---- state ---- */

static size_t pooled_bytes(const EbbStream *s) { return (size_t)(s->B * s->read) * sizeof *s->pooled; }

static size_t layer_bytes(const EbbStream *s, int64_t i) {
  return s->model.cells ? ebb_cell_stream_size(s->cell[i]) : ebb_s4_stream_size(s->layer[i]);
}

void ebb_stream_reset(EbbStream *s) {
  for (int64_t i = 0; i < s->model.n_layers; i++)
    if (s->model.cells)
      ebb_cell_stream_reset(s->cell[i]);
    else
      ebb_s4_stream_reset(s->layer[i]);
  memset(s->pooled, 0, pooled_bytes(s));
  s->steps = 0;
}

size_t ebb_stream_size(const EbbStream *s) {
  size_t size = sizeof s->steps + pooled_bytes(s);
  for (int64_t i = 0; i < s->model.n_layers; i++) size += layer_bytes(s, i);
  return size;
}

void ebb_stream_save(const EbbStream *s, void *state) {
  char *to = state;
  memcpy(to, &s->steps, sizeof s->steps);
  memcpy(to + sizeof s->steps, s->pooled, pooled_bytes(s));
  to += sizeof s->steps + pooled_bytes(s);
  for (int64_t i = 0; i < s->model.n_layers; i++) {
    if (s->model.cells)
      ebb_cell_stream_save(s->cell[i], to);
    else
      ebb_s4_stream_save(s->layer[i], to);
    to += layer_bytes(s, i);
  }
}

void ebb_stream_restore(EbbStream *s, const void *state) {
  const char *from = state;
  memcpy(&s->steps, from, sizeof s->steps);
  memcpy(s->pooled, from + sizeof s->steps, pooled_bytes(s));
  from += sizeof s->steps + pooled_bytes(s);
  for (int64_t i = 0; i < s->model.n_layers; i++) {
    if (s->model.cells)
      ebb_cell_stream_restore(s->cell[i], from);
    else
      ebb_s4_stream_restore(s->layer[i], from);
    from += layer_bytes(s, i);
  }
}

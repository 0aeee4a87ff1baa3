/* One S4 layer, one step at a time: the recurrence, then skip, activation and output layer as in batch mode.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/ops/s4_epilogue.h"
#include "ebb/ops/s4_out.h"
#include "ebb/ops/ssm_step.h"
#include "ebb/stream.h"

enum { NAME_BYTES = 160 };

struct EbbS4Stream {
  EbbS4Layer layer;
  int64_t B, H;
  EbbSsmStep *step;
  double *state;         /* (B, state_doubles) */
  int64_t state_doubles; /* of one row */
  float *D;              /* (H) or NULL */
  float *weight, *bias;  /* output layer, (O, H) and (O); NULL where the layer stops before it */
  float *frame;          /* (H) */
};

/* ---- create ---- */

static EbbStatus check_causal(const char *scope, const EbbS4Layer *layer) {
  if (layer->liquid == EBB_LIQUID_POLYB || layer->liquid == EBB_LIQUID_KB)
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: liquid_kernel %s is not causal (a step's output depends on later steps), so it "
                    "cannot be streamed; series and scan can",
                    scope, layer->liquid == EBB_LIQUID_KB ? "kb" : "polyb");
  if (layer->bidirectional)
    return ebb_fail(EBB_UNSUPPORTED, "%s: a bidirectional layer looks ahead, so it cannot be streamed",
                    scope);
  return EBB_OK;
}

/* A copy of `scope`.`name`; *size receives its number of elements. */
static EbbStatus copy(const EbbParams *params, const char *scope, const char *name, float **out,
                      int64_t *size) {
  char full[NAME_BYTES];
  snprintf(full, sizeof full, "%s%s%s", scope, *scope ? "." : "", name);
  int index = ebb_params_find(params, full);
  if (index < 0) return ebb_fail(EBB_NOT_FOUND, "the model has no parameter '%s'", full);
  *size = ebb_params_at(params, index)->size;
  *out = malloc((size_t)*size * sizeof **out);
  if (!*out) return ebb_fail(EBB_MEMORY, "no memory for a copy of '%s'", full);
  return ebb_params_read(params, full, *out, *size);
}

/* The tensors that the recurrence is made from, by slot. */
typedef enum Slot { C, LOG_DT, B, INV_W_REAL, W_IMAG, P, E, L, SLOTS } Slot;

static bool needed(const EbbS4Layer *layer, Slot slot) {
  if (slot == P || slot == L) return !layer->diagonal;
  return slot != E || (layer->liquid == EBB_LIQUID_SERIES && layer->ssm.readout == EBB_SSM_LEARNED);
}

static EbbStatus copy_slots(const EbbParams *params, const char *scope, const EbbS4Layer *layer,
                            float *slot[SLOTS], int64_t size[SLOTS]) {
  static const char *const names[SLOTS] = {"kernel.C",      "kernel.log_dt", "kernel.B", "kernel.inv_w_real",
                                           "kernel.w_imag", "kernel.P",      "kernel.e", "kernel.L"};
  for (int i = 0; i < SLOTS; i++)
    if (needed(layer, (Slot)i)) EBB_TRY(copy(params, scope, names[i], &slot[i], &size[i]));
  return EBB_OK;
}

static EbbStatus make_step(EbbS4Stream *s, float *const slot[SLOTS], int64_t H) {
  static const EbbSsmStepKind kinds[] = {[EBB_LIQUID_NONE] = EBB_STEP_PLAIN,
                                         [EBB_LIQUID_SERIES] = EBB_STEP_SERIES,
                                         [EBB_LIQUID_SCAN] = EBB_STEP_SCAN};
  const EbbS4Layer *layer = &s->layer;
  EbbSsmStepConfig config = {.ssm = layer->ssm,
                             .diagonal = layer->diagonal,
                             .kind = kinds[layer->liquid],
                             .degree = layer->degree,
                             .bound = layer->scan_bound};
  config.ssm.H = H;
  config.ssm.channels = 1;
  config.ssm.length = 1;
  EbbSsmStepParams tensors = {.C = slot[C],
                              .log_dt = slot[LOG_DT],
                              .B = slot[B],
                              .inv_w_real = slot[INV_W_REAL],
                              .w_imag = slot[W_IMAG],
                              .P = slot[P],
                              .e = slot[E],
                              .L = slot[L] ? (double)slot[L][0] : 0};
  return ebb_ssm_step_create(&config, &tensors, &s->step);
}

static EbbStatus fill(EbbS4Stream *s, const EbbParams *params, const char *scope, float *slot[SLOTS]) {
  int64_t size[SLOTS] = {0}, ignored = 0;
  EBB_TRY(copy_slots(params, scope, &s->layer, slot, size));
  s->H = size[LOG_DT];
  EBB_TRY(make_step(s, slot, s->H));
  if (s->layer.skip) EBB_TRY(copy(params, scope, "D", &s->D, &ignored));
  if (!s->layer.linear) EBB_TRY(copy(params, scope, "output_linear.weight", &s->weight, &ignored));
  if (!s->layer.linear) EBB_TRY(copy(params, scope, "output_linear.bias", &s->bias, &ignored));
  s->state_doubles = ebb_ssm_step_state(s->step);
  s->state = calloc((size_t)(s->B * s->state_doubles) + 1, sizeof *s->state);
  s->frame = calloc((size_t)s->H, sizeof *s->frame);
  return s->state && s->frame
             ? EBB_OK
             : ebb_fail(EBB_MEMORY, "%s: no memory for a stream of %lld rows", scope, (long long)s->B);
}

EbbStatus ebb_s4_stream_create(const EbbParams *params, const char *scope, const EbbS4Layer *layer,
                               int64_t rows, EbbS4Stream **out) {
  *out = NULL;
  EBB_TRY(check_causal(*scope ? scope : "layer", layer));
  if (rows < 1) return ebb_fail(EBB_INVALID, "a stream needs at least 1 row, not %lld", (long long)rows);
  EbbS4Stream *stream = calloc(1, sizeof *stream);
  if (!stream) return ebb_fail(EBB_MEMORY, "no memory for a stream");
  stream->layer = *layer;
  stream->B = rows;
  float *slot[SLOTS] = {NULL};
  EbbStatus status = fill(stream, params, scope, slot);
  for (int i = 0; i < SLOTS; i++) free(slot[i]);
  if (status == EBB_OK)
    *out = stream;
  else
    ebb_s4_stream_destroy(stream);
  return status;
}

void ebb_s4_stream_destroy(EbbS4Stream *s) {
  if (!s) return;
  ebb_ssm_step_destroy(s->step);
  free(s->state);
  free(s->D);
  free(s->weight);
  free(s->bias);
  free(s->frame);
  free(s);
}

/* ---- step ---- */

static float project(const EbbS4Stream *s, const float *x, int64_t o) {
  float sum = s->bias[o];
  const float *restrict w = s->weight + o * s->H;
  for (int64_t h = 0; h < s->H; h++) sum += w[h] * x[h];
  return sum;
}

static void output_row(const EbbS4Stream *s, const float *x, float *y) {
  for (int64_t h = 0; h < s->H; h++) {
    float a = project(s, x, h);
    y[h] = s->layer.glu ? ebb_glu(a, ebb_sigmoidf(project(s, x, h + s->H))) : a;
  }
}

static void step_row(EbbS4Stream *s, const float *u, double *state, float *y) {
  EbbS4Activation activation = s->layer.gelu && !s->layer.linear ? EBB_S4_GELU : EBB_S4_IDENTITY;
  float *x = s->layer.linear ? y : s->frame;
  ebb_ssm_step_run(s->step, u, state, x);
  for (int64_t h = 0; h < s->H; h++)
    x[h] = ebb_s4_activate(activation, x[h] + (s->D ? s->D[h] * u[h] : 0.0F));
  if (!s->layer.linear) output_row(s, x, y);
}

EbbStatus ebb_s4_stream_step(EbbS4Stream *s, const float *u, float *y) {
  for (int64_t b = 0; b < s->B; b++) step_row(s, u + b * s->H, s->state + b * s->state_doubles, y + b * s->H);
  return EBB_OK;
}

/* ---- state ---- */

size_t ebb_s4_stream_size(const EbbS4Stream *s) {
  return (size_t)(s->B * s->state_doubles) * sizeof *s->state;
}
void ebb_s4_stream_reset(EbbS4Stream *s) { memset(s->state, 0, ebb_s4_stream_size(s)); }
void ebb_s4_stream_save(const EbbS4Stream *s, void *state) { memcpy(state, s->state, ebb_s4_stream_size(s)); }
void ebb_s4_stream_restore(EbbS4Stream *s, const void *state) {
  memcpy(s->state, state, ebb_s4_stream_size(s));
}

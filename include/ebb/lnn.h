/* Liquid neural networks as published in Edifice: layers of elementwise linear time-constant dynamics between
   dense gates, with an optional SwiGLU after each, recorded into a graph. Source: blasphemetheus/edifice
   v0.2.0, Edifice.Liquid. */
#ifndef EBB_LNN_H
#define EBB_LNN_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/graph.h"
#include "ebb/ops/lnn_scan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* input: features of a step, E; a dense layer leads to `hidden` where they differ. solver: what
   ebb_lnn_solver gives; its switches for inputs and outputs are set by the recorders. */
typedef struct EbbLnn {
  int64_t input, hidden, layers;
  double dropout; /* on what a layer adds to its input */
  EbbLnnScanConfig solver;
  bool ffn;       /* a SwiGLU with inner width 4 hidden after each layer */
  bool unit_norm; /* norm weights start at 1; otherwise U(-sqrt(3/H), sqrt(3/H)), as published */
  bool all_steps; /* the output is (B, T, hidden); otherwise the last step's, (B, hidden) */
} EbbLnn;

enum { EBB_LNN_WINDOW = 60 }; /* published length of a sequence */

/* A solver by name: exact; a Runge-Kutta method in `steps` equal sub-steps; dopri5: adaptive, atol 1e-4, rtol
   1e-2, first sub-step 0.25, 100 attempts, as published. Errors: INVALID lists the names. */
EbbStatus ebb_lnn_solver(const char *name, int64_t steps, EbbLnnScanConfig *out) EBB_MUST_CHECK;

/* hidden 256, 4 layers, dropout 0.1, exact; and the same with dopri5. */
EbbLnn ebb_lnn_defaults(int64_t input);
EbbLnn ebb_lnn_high_accuracy_defaults(int64_t input);

/* The published count: dense matrices of projection and layers, E H (where E != H) + 5 H^2 a layer; without
   biases, norms and SwiGLU. ebb_params_trained counts all. */
int64_t ebb_lnn_param_count(const EbbLnn *model);
int64_t ebb_lnn_output_size(const EbbLnn *model);

/* What comes beside x; EBB_NO_VALUE: none. Of a layer, h0 is (B, H). */
typedef struct EbbLnnLinks {
  EbbValue elapsed; /* (B, T): how long each step is */
  EbbValue lengths; /* (B) */
  EbbValue h0;
  bool final, log; /* that these values are wanted */
} EbbLnnLinks;
EbbLnnLinks ebb_lnn_no_links(void);

typedef struct EbbLnnLayerValues {
  EbbValue tau, activation, h; /* (B, T, H): time constants, targets, states */
  EbbValue y;                  /* (B, T, H) = x + drop(h) */
  EbbValue final;              /* (B, H), where wanted */
  EbbValue log;                /* see ops/lnn_scan.h, where wanted */
  EbbValue stiffness;          /* (), with EBB_LNN_WARN */
} EbbLnnLayerValues;

/* One layer: n = norm(x), tau = softplus(n Wt + bt) + 0.1, a = silu(n W1 + b1) W2 + b2, h from lnn_scan, y =
   x + drop(h). x (B, T, hidden). Parameters ln_g, ln_b, Wt (H, H), bt, W1 (H, 2H), b1, W2 (2H, H), b2.
   Errors: those of the ops. */
EbbStatus ebb_lnn_record_layer(EbbGraph *graph, const char *scope, const EbbLnn *model, EbbValue x,
                               const EbbLnnLinks *links, EbbLnnLayerValues *out) EBB_MUST_CHECK;

/* The states of a model's layers, `layers` values each: h0 and final may be NULL. */
typedef struct EbbLnnStates {
  const EbbValue *h0;  /* (B, H) each */
  EbbValue *final;     /* receives (B, H) each */
  EbbValue *stiffness; /* receives () each, with EBB_LNN_WARN; may be NULL */
} EbbLnnStates;

/* The model: [x Wp + bp], layers (scopes layers.<i>), each followed by its SwiGLU (ffn.<i>), last step, norm
   (ng, nb). x (B, T, input); elapsed and lengths may be EBB_NO_VALUE, states NULL. */
EbbStatus ebb_lnn_record(EbbGraph *graph, const char *scope, const EbbLnn *model, EbbValue x,
                         EbbValue elapsed, EbbValue lengths, const EbbLnnStates *states,
                         EbbValue *y) EBB_MUST_CHECK;

/* ---- one step at a time ---- */

/* A model fed step by step, with the layers' states kept between the steps: gives what batch mode gives, up
   to rounding. It runs on the parameters' device, without dropout, and follows later training. Lifetime:
   params must outlive it, and model's solver its tableau. */
typedef struct EbbLnnStream EbbLnnStream;

/* For B parallel streams, at rest. params: placed, with the model's parameters under `scope`. Errors:
   INVALID, MEMORY, STATE. */
EbbStatus ebb_lnn_stream_create(EbbParams *params, const char *scope, const EbbLnn *model, int64_t B,
                                EbbLnnStream **out) EBB_MUST_CHECK;
void ebb_lnn_stream_destroy(EbbLnnStream *stream);
/* x (B, input), elapsed (B) or NULL for 1 -> y (B, hidden), all on the host. Errors: those of the ops. */
EbbStatus ebb_lnn_stream_step(EbbLnnStream *stream, const float *x, const float *elapsed,
                              float *y) EBB_MUST_CHECK;
/* Back to rest. */
void ebb_lnn_stream_reset(EbbLnnStream *stream);
/* Steps since rest. */
int64_t ebb_lnn_stream_steps(const EbbLnnStream *stream);
/* The state as plain bytes, the same size for all streams of a model and B. */
size_t ebb_lnn_stream_size(const EbbLnnStream *stream);
void ebb_lnn_stream_save(const EbbLnnStream *stream, void *state);
void ebb_lnn_stream_restore(EbbLnnStream *stream, const void *state);

#ifdef __cplusplus
}
#endif
#endif

/* The recurrent cells of the literature as programs (cell.h), with the parameter names of the published
   codes. Every function makes a new cell, to be destroyed by ebb_cell_destroy. Errors, all: INVALID names the
   option and its range; MEMORY. */
#ifndef EBB_CELLS_H
#define EBB_CELLS_H

#include "ebb/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- liquid time-constant networks ---- */

/* x w + b, x w, or x, on inputs or outputs. */
typedef enum EbbMapping { EBB_MAPPING_NONE, EBB_MAPPING_LINEAR, EBB_MAPPING_AFFINE } EbbMapping;
typedef enum EbbLtcSolver { EBB_LTC_FUSED, EBB_LTC_EULER, EBB_LTC_RK4 } EbbLtcSolver;

/* Which neurons and sensors are connected: 1 or 0, and the sign of the reversal potential a synapse starts
   with. NULL: all; signs drawn. */
typedef struct EbbCellWiring {
  const float *exists, *sensory_exists;     /* (H, H) and (I, H), [source][target] */
  const float *polarity, *sensory_polarity; /* the same, +1 or -1 */
} EbbCellWiring;

/* Conductance LTC, parameters and defaults of ncps; outputs are the first `motors` neurons. Source: Hasani et
   al. 2021, "Liquid Time-constant Networks"; ncps LTCCell. */
typedef struct EbbLtc {
  int64_t I, H, motors;
  int64_t unfolds; /* sub-steps a time step: 6 */
  EbbLtcSolver solver;
  EbbMapping input_mapping, output_mapping;
  bool implicit;     /* w, sensory_w, cm and gleak pass through softplus; else they are kept >= 0 */
  double epsilon;    /* 1e-8 */
  bool mixed_memory; /* an LSTM cell in front */
  bool with_rate;    /* report neurons' rates; explicit solvers always do */
  bool fall_back;    /* explicit solvers: a neuron takes a fused sub-step where its own would be unstable */
  EbbCellWiring wiring;
} EbbLtc;
EbbLtc ebb_ltc_defaults(int64_t I, int64_t H);
EbbStatus ebb_cell_ltc(const EbbLtc *ltc, EbbCell **out) EBB_MUST_CHECK;

/* The same cell with the conventions of the AAAI-21 code: cm_t stands for cm / dt in the fused solver,
   explicit ones take sub-steps of `step` (0.1), parameters are clipped after every update, all neurons are
   outputs. */
typedef struct EbbLtcAaai {
  int64_t I, H, unfolds;
  EbbLtcSolver solver;
  double step;
  bool with_rate, fall_back;
  EbbCellWiring wiring;
} EbbLtcAaai;
EbbLtcAaai ebb_ltc_aaai_defaults(int64_t I, int64_t H);
EbbStatus ebb_cell_ltc_aaai(const EbbLtcAaai *ltc, EbbCell **out) EBB_MUST_CHECK;

/* dh/dt = -(1/tau + f) h + f A, f = act(h Wr + x W + b), fused sub-steps. Source: the same paper, equation 1.
 */
typedef struct EbbLtcVector {
  int64_t I, H, unfolds;
  bool tanh; /* act; else sigmoid */
  bool with_rate;
} EbbLtcVector;
EbbLtcVector ebb_ltc_vector_defaults(int64_t I, int64_t H);
EbbStatus ebb_cell_ltc_vector(const EbbLtcVector *ltc, EbbCell **out) EBB_MUST_CHECK;

/* S = x + h Wr + br, tau = c g(S + h Wa + ba), dh/dt = (S - h) / tau, `unfolds` sub-steps of `step`. Version
   1: g = tanh; 2: g = sigmoid, no biases, tau and slopes clamped. SEMI_IMPLICIT, which the source only names:
   h' = (h + dt S / tau) / (1 + dt / tau) with tau = softplus(c + S + h Wa + ba). x: embedded tokens, I = H.
   Source: LTC-TextGen. */
typedef enum EbbTextgenSolver {
  EBB_TEXTGEN_EULER,
  EBB_TEXTGEN_RK4,
  EBB_TEXTGEN_SEMI_IMPLICIT
} EbbTextgenSolver;
typedef struct EbbLtcTextgen {
  int64_t H, unfolds; /* 5 */
  double step;        /* 0.01 */
  EbbTextgenSolver solver;
  bool adaptive; /* the term h Wa + ba */
  int version;   /* 1 or 2 */
} EbbLtcTextgen;
EbbLtcTextgen ebb_ltc_textgen_defaults(int64_t H, int version);
EbbStatus ebb_cell_ltc_textgen(const EbbLtcTextgen *ltc, EbbCell **out) EBB_MUST_CHECK;

/* h' = h + elapsed (tanh(x W_in + b_in + h W_h + b_h) - h) / tau. Source: LiquidTimeStep. */
EbbStatus ebb_cell_liquid_time_step(int64_t I, int64_t H, EbbCell **out) EBB_MUST_CHECK;

/* ---- closed-form continuous-time networks ---- */

typedef enum EbbCfcMode { EBB_CFC_DEFAULT, EBB_CFC_PURE, EBB_CFC_NO_GATE } EbbCfcMode;
/* In the order of their codes in cell_codes.def. */
typedef enum EbbCfcActivation {
  EBB_CFC_LECUN_TANH,
  EBB_CFC_RELU,
  EBB_CFC_SILU,
  EBB_CFC_GELU,
  EBB_CFC_TANH
} EbbCfcActivation;

/* Source: Hasani et al. 2022, "Closed-form continuous-time neural networks"; ncps CfC. */
typedef struct EbbCfc {
  int64_t I, H;
  EbbCfcMode mode;
  int64_t backbone_layers, backbone_units; /* 1 x 128; 0 layers: none */
  EbbCfcActivation activation;
  bool backbone_dropout; /* X is (x, factors): what layers 1, 2, .. of the backbone give is multiplied by the
                            (backbone_layers - 1) backbone_units floats behind x, of ops/dropout_columns.h */
  int64_t proj_size;     /* outputs of a linear map of h; 0: y = h */
  bool mixed_memory;
} EbbCfc;
EbbCfc ebb_cfc_defaults(int64_t I, int64_t H);
EbbStatus ebb_cell_cfc(const EbbCfc *cfc, EbbCell **out) EBB_MUST_CHECK;

/* CfC cells without backbone after each other in one time step, their weights ff1 and ff2 masked by a wiring:
   layer k has units[k] neurons and sees its predecessor (layer 0: x) and itself. y: the last layer. */
enum { EBB_WIRED_LAYERS = 8 };
typedef struct EbbWiredCfc {
  int64_t I, n_layers, units[EBB_WIRED_LAYERS];
  const float *mask[EBB_WIRED_LAYERS]; /* (units[k], inputs of layer k + units[k]); NULL: all ones */
  EbbCfcMode mode;
  int64_t proj_size;
  bool mixed_memory;
} EbbWiredCfc;
EbbStatus ebb_cell_wired_cfc(const EbbWiredCfc *cfc, EbbCell **out) EBB_MUST_CHECK;

/* ---- baselines, as the AAAI-21 code has them where it does ---- */

/* dh/dt = -h / tau + tanh([x, h] W + b), or tanh(x W + b) without feedback; 6 Euler steps of 0.1, tau 1. */
typedef struct EbbCtrnn {
  int64_t I, H, unfolds;
  double step, tau;
  bool feedback;
} EbbCtrnn;
EbbCtrnn ebb_ctrnn_defaults(int64_t I, int64_t H);
EbbStatus ebb_cell_ctrnn(const EbbCtrnn *ctrnn, EbbCell **out) EBB_MUST_CHECK;

/* dh/dt = tanh([x, h] W + b), 6 steps of 0.1 of an explicit Runge-Kutta solver (rk4). clip > 0: |h| <= clip
   after every sub-step. */
typedef struct EbbNeuralOde {
  int64_t I, H, unfolds;
  double step, clip;
  const char *solver; /* a tableau's name */
} EbbNeuralOde;
EbbNeuralOde ebb_neural_ode_defaults(int64_t I, int64_t H);
EbbStatus ebb_cell_neural_ode(const EbbNeuralOde *ode, EbbCell **out) EBB_MUST_CHECK;

/* M traces a unit with time constants 10^(k/2), k = 0 .. M-1 (8). published_decay: e^(-1 / ln tau_k) as the
   AAAI-21 code has it, 0 for k = 0; else e^(-elapsed / tau_k). */
typedef struct EbbCtGru {
  int64_t I, H, M;
  bool published_decay;
} EbbCtGru;
EbbStatus ebb_cell_ct_gru(const EbbCtGru *gru, EbbCell **out) EBB_MUST_CHECK;

/* dh/dt = (1 - z) (g - h) with the gates of a GRU; Euler, `unfolds` (6) sub-steps of elapsed / unfolds. */
EbbStatus ebb_cell_gru_ode(int64_t I, int64_t H, int64_t unfolds, EbbCell **out) EBB_MUST_CHECK;

/* h' = (1 - leak) h + leak tanh(W_in x + W h) with weights (H, I) and (H, H), [target][source], that are
   never trained; they are copied. reservoir.h draws such weights. Source: Jaeger et al. 2007. */
typedef struct EbbEsn {
  int64_t I, H;
  double leak; /* above 0, up to 1 */
  const float *W_in, *W;
} EbbEsn;
EbbStatus ebb_cell_esn(const EbbEsn *esn, EbbCell **out) EBB_MUST_CHECK;

/* LSTM with a forget bias of 1. States h, c. */
EbbStatus ebb_cell_lstm(int64_t I, int64_t H, EbbCell **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

/* Models: functions that record a network into a graph. */
#ifndef EBB_MODEL_H
#define EBB_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/cell.h"
#include "ebb/config.h"
#include "ebb/data.h"
#include "ebb/graph.h"
#include "ebb/lnn.h"
#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/s4_liquid.h"
#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The liquid term of an S4 layer. POLYB and KB as published (frozen constants, not causal); SERIES: the exact
   causal expansion to `degree`; SCAN: the exact time-varying recurrence, diagonal layers only. */
typedef enum EbbLiquid {
  EBB_LIQUID_NONE,
  EBB_LIQUID_POLYB,
  EBB_LIQUID_KB,
  EBB_LIQUID_SERIES,
  EBB_LIQUID_SCAN
} EbbLiquid;

/* One S4 / Liquid-S4 layer. ssm.length and ssm.H are set by the recorder; ssm.channels by bidirectional. */
typedef struct EbbS4Layer {
  EbbSsmConfig ssm;
  bool diagonal; /* mode diag, otherwise nplr */
  bool bidirectional;
  bool skip;   /* the D u term */
  bool gelu;   /* activation, otherwise none */
  bool glu;    /* postact: Linear(H -> 2H) and gate, otherwise Linear(H -> H) */
  bool linear; /* stop after the skip term: no activation, dropout or output layer */
  double dropout;
  bool tie_dropout; /* one mask per (sample, channel), shared over time */
  EbbLiquid liquid;
  int degree;
  bool allcombs;
  EbbS4Contract contract;
  double scan_bound; /* SCAN: |a + b u| is kept at or below this; 0: unbounded */
} EbbS4Layer;

/* Records a layer: u (B, H, L) -> y (B, H, L) = residual + drop(out(S4(u))). lengths (B) i32 and residual (B,
   H, L) may be EBB_NO_VALUE; residual is for layers with an output. block_dropout: the second dropout of the
   published block, on the layer's output. k (may be NULL) receives the kernel's value (C, H, Lk),
   EBB_NO_VALUE for SCAN. Errors: UNSUPPORTED and INVALID name the keys that exclude each other; as
   ebb_graph_apply. */
EbbStatus ebb_s4_record(EbbGraph *graph, const char *scope, const EbbS4Layer *layer, EbbValue u,
                        EbbValue lengths, EbbValue residual, double block_dropout, EbbValue *y,
                        EbbValue *k) EBB_MUST_CHECK;

typedef enum EbbEncoder { EBB_ENCODER_EMBEDDING, EBB_ENCODER_LINEAR } EbbEncoder;
typedef enum EbbNorm { EBB_NORM_NONE, EBB_NORM_BATCH, EBB_NORM_LAYER, EBB_NORM_LAYER_SCALAR } EbbNorm;
/* IDENTITY: the last layer's outputs are the answer. */
typedef enum EbbDecoder { EBB_DECODER_SEQUENCE, EBB_DECODER_RETRIEVAL, EBB_DECODER_IDENTITY } EbbDecoder;
typedef enum EbbPooling { EBB_POOLING_LAST, EBB_POOLING_MEAN } EbbPooling;
typedef enum EbbLoss { EBB_LOSS_CROSS_ENTROPY, EBB_LOSS_MSE } EbbLoss;

/* Recurrent cells, one a layer, each fed by the outputs of the one before; or two a layer, the second
   backwards in time and its outputs behind those of the first. Source: Schuster and Paliwal 1997,
   "Bidirectional recurrent neural networks". */
typedef struct EbbCells {
  int64_t n;
  EbbCell **cell, **backwards; /* (n) each; backwards NULL: one a layer */
  double dropout;              /* of what a layer gives */
  /* (n) in graphs, the place of a layer's cells that have dropout inside is taken by this one, which reads
     the factors behind its inputs; NULL, the list or an element: there is none. */
  EbbCell **dropped;
  double inner_dropout; /* of these factors */
  bool unstable_fails;  /* an explicit solver beyond its limit is an error */
  bool watched;         /* EbbSequenceValues.rates are wanted */
  bool approximate;     /* see ops/cell.h */
  int64_t truncate;     /* steps that gradients go back through, see ops/cell.h; 0: all */
} EbbCells;

/* Encoder, n_layers blocks, final norm (prenorm only), pooling, decoder, loss. Source: the published
   SequenceModel. With `cells` a stack of recurrent cells stands in the place of blocks and norms, tokens are
   embedded and values go in as they are. */
typedef struct EbbSequence {
  EbbEncoder encoder;
  int64_t vocabulary, d_input; /* by encoder */
  int64_t d_model, n_layers;
  bool prenorm, residual;
  EbbNorm norm;
  bool norm_lengths; /* with use_lengths: norm BATCH leaves out what is beyond each row's length */
  double dropout;
  EbbS4Layer layer;
  EbbCells *cells; /* NULL: S4 blocks. Lifetime: until ebb_sequence_release; copies of the struct share it */
  bool liquid_net; /* with cells NULL: the layers are lnn's instead of S4 blocks */
  EbbLnn lnn;      /* its input, hidden and all_steps follow from this struct */
  bool elapsed;    /* the model has an input of elapsed times: cells and liquid_net alone */
  EbbDecoder decoder;
  bool per_step; /* the decoder is applied to every step, without pooling; decoder SEQUENCE only */
  EbbPooling pooling;
  bool use_lengths;  /* the layers' inputs are masked beyond each row's length */
  bool pool_lengths; /* and pooling takes the valid steps only */
  int64_t d_output;
  EbbLoss loss;
  EbbCrossEntropyConfig class_weights; /* of the loss CROSS_ENTROPY */
} EbbSequence;

/* A layer from the keys model.layer.* and model.d_model. Errors: UNSUPPORTED names the key. */
EbbStatus ebb_s4_layer_from_config(const EbbConfig *config, EbbS4Layer *out) EBB_MUST_CHECK;

/* The part of a model that the keys model.* and decoder.* give; encoder, decoder, sizes and loss are the data
 * set's. */
EbbStatus ebb_sequence_from_keys(const EbbConfig *config, EbbSequence *out) EBB_MUST_CHECK;

/* The model of an experiment, its sizes taken from the data set. Errors: INVALID, UNSUPPORTED name the keys.
 */
EbbStatus ebb_sequence_from_config(const EbbConfig *config, const EbbDataset *dataset,
                                   EbbSequence *out) EBB_MUST_CHECK;

/* Frees what a model from a configuration holds. After its graphs and streams. */
void ebb_sequence_release(EbbSequence *model);

/* The largest rate * step of explicit solvers in a batch, a value (R) or () for each cell, and the limit
   beyond which they are unstable. */
enum { EBB_RATES = 64 };
typedef struct EbbRates {
  int n; /* 0: nobody asked (model.layer.unstable=warn) */
  EbbValue met[EBB_RATES];
  int layer[EBB_RATES];
  double limit;
} EbbRates;

/* The values of one recorded model; rows R = B, or 2 B for retrieval. */
typedef struct EbbSequenceValues {
  EbbValue input;   /* tokens (R, L) i32, or x (R, L, d_input) f32 */
  EbbValue lengths; /* (R) i32; EBB_NO_VALUE without use_lengths */
  EbbValue elapsed; /* (R, L) f32; EBB_NO_VALUE where the model does not ask for times */
  EbbValue labels;  /* (B) i32, or targets (B, d_output) f32; per step (B, L), (B, L, d_output) */
  EbbValue weights; /* (B) f32; per step (B, L) */
  EbbValue logits;  /* (B, d_output); per step (B, L, d_output) */
  EbbValue loss;    /* () */
  EbbValue scores;  /* (EBB_SCORE_SUMS) */
  EbbRates rates;
} EbbSequenceValues;

/* Records the model for B samples of length L. logits, loss, scores and rates are graph
   outputs. */
EbbStatus ebb_sequence_record(EbbGraph *graph, const EbbSequence *model, int64_t B, int64_t L,
                              EbbSequenceValues *out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

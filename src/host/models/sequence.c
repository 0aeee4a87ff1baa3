/* The sequence model: encoder, blocks, pooling unless every step has a target, decoder, loss. */
#include <stdio.h>

#include "ebb/model.h"
#include "ebb/ops/batch_norm.h"
#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/encode_linear.h"
#include "ebb/ops/gelu.h"
#include "ebb/ops/layer_norm.h"
#include "ebb/ops/layer_norm_scalar.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/mse.h"
#include "ebb/ops/pool.h"
#include "ebb/ops/retrieval.h"
#include "ebb/ops/transpose.h"
#include "host/models/cells.h"

static const double norm_momentum = 0.1;

/* An op with one input and one output. */
static EbbStatus apply1(EbbGraph *graph, const EbbOp *op, const char *scope, const void *config, size_t size,
                        EbbValue in, EbbValue *out) {
  return ebb_graph_apply(graph, op, scope, config, size, &in, 1, out, 1);
}

static EbbStatus record_encoder(EbbGraph *graph, const EbbSequence *model, EbbValue input, EbbValue *out) {
  EbbEmbeddingConfig embedding = {.V = model->vocabulary, .H = model->d_model};
  EbbEncodeLinearConfig linear = {.I = model->d_input, .H = model->d_model};
  return model->encoder == EBB_ENCODER_EMBEDDING
             ? apply1(graph, &ebb_embedding_op, "encoder", &embedding, sizeof embedding, input, out)
             : apply1(graph, &ebb_encode_linear_op, "encoder", &linear, sizeof linear, input, out);
}

static EbbStatus record_norm(EbbGraph *graph, const EbbSequence *model, const char *scope, EbbValue lengths,
                             EbbValue x, EbbValue *y) {
  EbbBatchNormConfig batch = {.eps = EBB_NORM_EPS, .momentum = norm_momentum};
  EbbLayerNormConfig layer = {.eps = EBB_NORM_EPS};
  const EbbValue inputs[] = {x, model->norm_lengths ? lengths : EBB_NO_VALUE};
  switch (model->norm) {
  case EBB_NORM_BATCH:
    return ebb_graph_apply(graph, &ebb_batch_norm_op, scope, &batch, sizeof batch, inputs, 2, y, 1);
  case EBB_NORM_LAYER:
    return apply1(graph, &ebb_layer_norm_op, scope, &layer, sizeof layer, x, y);
  case EBB_NORM_LAYER_SCALAR:
    return apply1(graph, &ebb_layer_norm_scalar_op, scope, NULL, 0, x, y);
  case EBB_NORM_NONE:
    break;
  }
  *y = x;
  return EBB_OK;
}

static EbbStatus record_block(EbbGraph *graph, const EbbSequence *model, int64_t index, EbbValue lengths,
                              EbbValue *x) {
  char layer[64], norm[64];
  snprintf(layer, sizeof layer, "layers.%lld.layer", (long long)index);
  snprintf(norm, sizeof norm, "layers.%lld.norm", (long long)index);
  EbbValue u = *x, y = EBB_NO_VALUE, residual = model->residual ? *x : EBB_NO_VALUE;
  if (model->prenorm) EBB_TRY(record_norm(graph, model, norm, lengths, *x, &u));
  EBB_TRY(ebb_s4_record(graph, layer, &model->layer, u, lengths, residual, model->dropout, &y, NULL));
  if (!model->prenorm) EBB_TRY(record_norm(graph, model, norm, lengths, y, &y));
  *x = y;
  return EBB_OK;
}

static EbbStatus record_decoder(EbbGraph *graph, const EbbSequence *model, EbbValue read, EbbValue *logits) {
  EbbLinearConfig output = {.O = model->d_output}, hidden = {.O = model->d_model};
  if (model->decoder == EBB_DECODER_IDENTITY) {
    *logits = read;
    return EBB_OK;
  }
  if (model->decoder == EBB_DECODER_SEQUENCE)
    return apply1(graph, &ebb_linear_op, "decoder", &output, sizeof output, read, logits);
  EbbValue x = EBB_NO_VALUE;
  EBB_TRY(apply1(graph, &ebb_retrieval_op, "decoder", NULL, 0, read, &x));
  EBB_TRY(apply1(graph, &ebb_linear_op, "decoder.classifier.0", &hidden, sizeof hidden, x, &x));
  EBB_TRY(apply1(graph, &ebb_gelu_op, "decoder.classifier.1", NULL, 0, x, &x));
  return apply1(graph, &ebb_linear_op, "decoder.classifier.2", &output, sizeof output, x, logits);
}

static EbbStatus record_loss(EbbGraph *graph, const EbbSequence *model, EbbSequenceValues *v) {
  const EbbValue inputs[] = {v->logits, v->labels, v->weights};
  EbbValue outputs[2] = {EBB_NO_VALUE, EBB_NO_VALUE};
  if (model->loss == EBB_LOSS_CROSS_ENTROPY)
    EBB_TRY(ebb_graph_apply(graph, &ebb_cross_entropy_op, "loss", &model->class_weights,
                            sizeof model->class_weights, inputs, 3, outputs, 2));
  else
    EBB_TRY(ebb_graph_apply(graph, &ebb_mse_op, "loss", NULL, 0, inputs, 3, outputs, 2));
  v->loss = outputs[0];
  v->scores = outputs[1];
  return EBB_OK;
}

static EbbStatus record_inputs(EbbGraph *graph, const EbbSequence *model, int64_t B, int64_t L,
                               EbbSequenceValues *v) {
  int64_t rows = model->decoder == EBB_DECODER_RETRIEVAL ? 2 * B : B;
  if (model->encoder == EBB_ENCODER_EMBEDDING)
    EBB_TRY(ebb_graph_input(graph, "tokens", EBB_I32, ebb_shape(rows, L), false, &v->input));
  else
    EBB_TRY(ebb_graph_input(graph, "x", EBB_F32, ebb_shape(rows, L, model->d_input), false, &v->input));
  v->lengths = v->elapsed = EBB_NO_VALUE;
  if (model->elapsed)
    EBB_TRY(ebb_graph_input(graph, "elapsed", EBB_F32, ebb_shape(rows, L), false, &v->elapsed));
  if (model->use_lengths)
    EBB_TRY(ebb_graph_input(graph, "lengths", EBB_I32, ebb_shape(rows), false, &v->lengths));
  const EbbShape one = model->per_step ? ebb_shape(B, L) : ebb_shape(B);
  const EbbShape several = model->per_step ? ebb_shape(B, L, model->d_output) : ebb_shape(B, model->d_output);
  if (model->loss == EBB_LOSS_CROSS_ENTROPY)
    EBB_TRY(ebb_graph_input(graph, "labels", EBB_I32, one, false, &v->labels));
  else
    EBB_TRY(ebb_graph_input(graph, "targets", EBB_F32, several, false, &v->labels));
  return ebb_graph_input(graph, "weights", EBB_F32, one, false, &v->weights);
}

/* What the decoder reads of x (B, H, L): one vector a row, or (B, L, H) for a decision at every step. */
static EbbStatus record_readout(EbbGraph *graph, const EbbSequence *model, EbbValue x, EbbValue lengths,
                                EbbValue *read) {
  const EbbTransposeConfig transpose = {.x_activations = true};
  if (model->per_step)
    return apply1(graph, &ebb_transpose_op, "decoder", &transpose, sizeof transpose, x, read);
  EbbPoolConfig pool = {.kind = model->pooling == EBB_POOLING_LAST ? EBB_POOL_LAST : EBB_POOL_MEAN};
  const EbbValue inputs[] = {x, model->pool_lengths ? lengths : EBB_NO_VALUE};
  return ebb_graph_apply(graph, &ebb_pool_op, "decoder", &pool, sizeof pool, inputs, 2, read, 1);
}

/* Blocks on (B, H, L), and what the decoder reads of them. */
static EbbStatus record_blocks(EbbGraph *graph, const EbbSequence *model, const EbbSequenceValues *v,
                               EbbValue *read) {
  EbbValue x = EBB_NO_VALUE;
  EBB_TRY(record_encoder(graph, model, v->input, &x));
  for (int64_t i = 0; i < model->n_layers; i++) EBB_TRY(record_block(graph, model, i, v->lengths, &x));
  if (model->prenorm) EBB_TRY(record_norm(graph, model, "norm", v->lengths, x, &x));
  return record_readout(graph, model, x, v->lengths, read);
}

/* The layers of a liquid network on (B, L, I), the states of all steps. */
static EbbStatus record_lnn(EbbGraph *graph, const EbbSequence *model, EbbSequenceValues *v, EbbValue x,
                            EbbValue *y) {
  const EbbShape shape = ebb_graph_shape(graph, x);
  EbbLnn lnn = model->lnn;
  lnn.input = shape.dim[2], lnn.hidden = model->d_model, lnn.all_steps = true;
  if (lnn.solver.guard != EBB_LNN_WARN)
    return ebb_lnn_record(graph, "lnn", &lnn, x, v->elapsed, v->lengths, NULL, y);
  const EbbLnnStates states = {.stiffness = v->rates.met};
  EBB_TRY(ebb_lnn_record(graph, "lnn", &lnn, x, v->elapsed, v->lengths, &states, y));
  v->rates.n = (int)lnn.layers, v->rates.limit = lnn.solver.tableau->real_limit;
  for (int i = 0; i < v->rates.n; i++) {
    v->rates.layer[i] = i;
    EBB_TRY(ebb_graph_output(graph, v->rates.met[i]));
  }
  return EBB_OK;
}

/* Cells or liquid networks on (B, L, H), and what the decoder reads of them. */
static EbbStatus record_recurrent(EbbGraph *graph, const EbbSequence *model, EbbSequenceValues *v,
                                  EbbValue *read) {
  const EbbTransposeConfig back = {.x_activations = true}, forth = {.y_activations = true};
  EbbValue x = v->input;
  if (model->encoder == EBB_ENCODER_EMBEDDING) {
    EBB_TRY(record_encoder(graph, model, x, &x));
    EBB_TRY(apply1(graph, &ebb_transpose_op, "encoder", &back, sizeof back, x, &x));
  }
  EBB_TRY(model->cells ? ebb_cells_record(graph, model->cells, x, v->elapsed, v->lengths, &v->rates, &x)
                       : record_lnn(graph, model, v, x, &x));
  *read = x;
  if (model->per_step) return EBB_OK;
  EBB_TRY(apply1(graph, &ebb_transpose_op, "decoder", &forth, sizeof forth, x, &x));
  return record_readout(graph, model, x, v->lengths, read);
}

EbbStatus ebb_sequence_record(EbbGraph *graph, const EbbSequence *model, int64_t B, int64_t L,
                              EbbSequenceValues *out) {
  EbbSequenceValues v = {0};
  EBB_TRY(record_inputs(graph, model, B, L, &v));
  EbbValue read = EBB_NO_VALUE;
  const bool recurrent = model->cells || model->liquid_net;
  EBB_TRY(recurrent ? record_recurrent(graph, model, &v, &read) : record_blocks(graph, model, &v, &read));
  EBB_TRY(record_decoder(graph, model, read, &v.logits));
  EBB_TRY(record_loss(graph, model, &v));
  EBB_TRY(ebb_graph_output(graph, v.logits));
  EBB_TRY(ebb_graph_output(graph, v.loss));
  EBB_TRY(ebb_graph_output(graph, v.scores));
  *out = v;
  return EBB_OK;
}

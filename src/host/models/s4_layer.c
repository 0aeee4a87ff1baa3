/* One S4 / Liquid-S4 layer as a composition of ops, all in the layer's scope. */
#include "ebb/model.h"
#include "ebb/ops/s4_conv.h"
#include "ebb/ops/s4_out.h"
#include "ebb/ops/s4_scan.h"
#include "ebb/ops/s4_series.h"

static EbbS4EpilogueConfig epilogue_of(const EbbS4Layer *layer) {
  EbbS4EpilogueConfig epilogue = {.skip = layer->skip, .activation = EBB_S4_IDENTITY};
  if (layer->linear) return epilogue;
  epilogue.activation = layer->gelu ? EBB_S4_GELU : EBB_S4_IDENTITY;
  epilogue.dropout = layer->dropout;
  epilogue.tie = layer->tie_dropout;
  return epilogue;
}

static EbbStatus record_kernel(EbbGraph *graph, const char *scope, const EbbS4Layer *layer,
                               const EbbSsmConfig *ssm, EbbValue kernels[2]) {
  const EbbOp *op = layer->diagonal ? &ebb_ssm_diag_op : &ebb_ssm_nplr_op;
  return ebb_graph_apply(graph, op, scope, ssm, sizeof *ssm, NULL, 0, kernels,
                         ssm->readout == EBB_SSM_NO_READOUT ? 1 : 2);
}

static EbbStatus record_conv(EbbGraph *graph, const char *scope, const EbbS4Layer *layer, EbbValue u,
                             EbbValue lengths, EbbValue k, EbbValue *y) {
  static const EbbS4LiquidKind kinds[] = {
      [EBB_LIQUID_NONE] = EBB_S4_PLAIN, [EBB_LIQUID_POLYB] = EBB_S4_POLYB, [EBB_LIQUID_KB] = EBB_S4_KB};
  EbbS4ConvConfig config = {.bidirectional = layer->bidirectional,
                            .epilogue = epilogue_of(layer),
                            .liquid = {.kind = kinds[layer->liquid],
                                       .degree = layer->degree,
                                       .allcombs = layer->allcombs,
                                       .contract = layer->contract,
                                       .n_ssm = layer->ssm.n_ssm,
                                       .M = ebb_ssm_modes(&layer->ssm)}};
  const EbbValue inputs[] = {u, k, lengths};
  return ebb_graph_apply(graph, &ebb_s4_conv_op, scope, &config, sizeof config, inputs, 3, y, 1);
}

static EbbStatus record_series(EbbGraph *graph, const char *scope, const EbbS4Layer *layer, EbbValue u,
                               EbbValue lengths, const EbbValue kernels[2], EbbValue *y) {
  EbbS4SeriesConfig config = {.degree = layer->degree, .epilogue = epilogue_of(layer)};
  const EbbValue inputs[] = {u, kernels[0], kernels[1], lengths};
  return ebb_graph_apply(graph, &ebb_s4_series_op, scope, &config, sizeof config, inputs, 4, y, 1);
}

static EbbStatus record_scan(EbbGraph *graph, const char *scope, const EbbS4Layer *layer,
                             const EbbSsmConfig *ssm, EbbValue u, EbbValue lengths, EbbValue *y) {
  EbbS4ScanConfig config = {.ssm = *ssm, .contraction = layer->scan_bound, .epilogue = epilogue_of(layer)};
  const EbbValue inputs[] = {u, lengths};
  return ebb_graph_apply(graph, &ebb_s4_scan_op, scope, &config, sizeof config, inputs, 2, y, 1);
}

static EbbStatus check(const char *scope, const EbbS4Layer *layer) {
  bool causal = layer->liquid == EBB_LIQUID_SERIES || layer->liquid == EBB_LIQUID_SCAN;
  if (causal && layer->bidirectional)
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: liquid_kernel %s is causal; set model.layer.bidirectional=false or choose "
                    "model.layer.liquid_kernel=polyb or kb",
                    scope, layer->liquid == EBB_LIQUID_SCAN ? "scan" : "series");
  if (layer->liquid == EBB_LIQUID_SCAN && !layer->diagonal)
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: liquid_kernel scan is exact for diagonal state matrices; set model.layer.mode=diag "
                    "(and a measure such as diag-lin)",
                    scope);
  return EBB_OK;
}

static EbbStatus record_mixing(EbbGraph *graph, const char *scope, const EbbS4Layer *layer, EbbValue u,
                               EbbValue lengths, EbbValue *y, EbbValue *k) {
  EbbSsmConfig ssm = layer->ssm;
  EbbShape shape = ebb_graph_shape(graph, u);
  ssm.H = shape.dim[1];
  ssm.length = shape.dim[2];
  ssm.channels = layer->bidirectional ? 2 : 1;
  ssm.liquid_buffers = layer->liquid == EBB_LIQUID_POLYB || layer->liquid == EBB_LIQUID_KB;
  if (layer->liquid != EBB_LIQUID_SERIES) ssm.readout = EBB_SSM_NO_READOUT;
  *k = EBB_NO_VALUE;
  if (layer->liquid == EBB_LIQUID_SCAN) return record_scan(graph, scope, layer, &ssm, u, lengths, y);
  EbbValue kernels[2] = {EBB_NO_VALUE, EBB_NO_VALUE};
  EBB_TRY(record_kernel(graph, scope, layer, &ssm, kernels));
  *k = kernels[0];
  if (layer->liquid == EBB_LIQUID_SERIES) return record_series(graph, scope, layer, u, lengths, kernels, y);
  return record_conv(graph, scope, layer, u, lengths, kernels[0], y);
}

EbbStatus ebb_s4_record(EbbGraph *graph, const char *scope, const EbbS4Layer *layer, EbbValue u,
                        EbbValue lengths, EbbValue residual, double block_dropout, EbbValue *y, EbbValue *k) {
  EbbValue kernel = EBB_NO_VALUE, mixed = EBB_NO_VALUE;
  EBB_TRY(check(scope, layer));
  EBB_TRY(record_mixing(graph, scope, layer, u, lengths, &mixed, &kernel));
  if (k) *k = kernel;
  if (layer->linear) {
    *y = mixed;
    return EBB_OK;
  }
  EbbS4OutConfig config = {.glu = layer->glu, .dropout = (float)block_dropout, .tie = layer->tie_dropout};
  const EbbValue inputs[] = {mixed, residual};
  return ebb_graph_apply(graph, &ebb_s4_out_op, scope, &config, sizeof config, inputs, 2, y, 1);
}

#include "ebb/attention.h"

#include <stdio.h>

#include "ebb/ops/linear.h"

enum { SCOPE_BYTES = 160 };

static EbbStatus project(EbbGraph *graph, const char *scope, const char *part, EbbValue x, EbbValue *y) {
  const EbbShape shape = ebb_graph_shape(graph, x);
  const EbbLinearConfig config = {.O = shape.rank ? shape.dim[shape.rank - 1] : 1};
  char text[SCOPE_BYTES];
  snprintf(text, sizeof text, "%s%s%s", scope, *scope ? "." : "", part);
  return ebb_graph_apply(graph, &ebb_linear_op, text, &config, sizeof config, &x, 1, y, 1);
}

EbbStatus ebb_leaky_attention_record(EbbGraph *graph, const char *scope,
                                     const EbbLeakyAttentionConfig *config, EbbValue x, EbbValue lengths,
                                     EbbValue *y, EbbValue *weights) {
  EbbValue inputs[4] = {EBB_NO_VALUE, EBB_NO_VALUE, EBB_NO_VALUE, lengths}, outputs[2];
  EBB_TRY(project(graph, scope, "q", x, &inputs[0]));
  EBB_TRY(project(graph, scope, "k", x, &inputs[1]));
  EBB_TRY(project(graph, scope, "v", x, &inputs[2]));
  EBB_TRY(
      ebb_graph_apply(graph, &ebb_leaky_attention_op, scope, config, sizeof *config, inputs, 4, outputs, 2));
  if (weights) *weights = outputs[1];
  return project(graph, scope, "o", outputs[0], y);
}

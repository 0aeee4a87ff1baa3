/* Running a graph, and reading and writing its values. */
#include <math.h>
#include <stdlib.h>

#include "host/graph/graph_internal.h"

static EbbStatus ensure_layout(EbbGraph *graph) {
  if (graph->laid_out && graph->params_generation == ebb_params_generation(graph->params) &&
      graph->workspace_generation == graph->workspace->generation)
    return EBB_OK;
  return ebb_graph_layout(graph);
}

static size_t value_bytes(const Value *value) {
  return (size_t)ebb_shape_size(&value->shape) * ebb_dtype_size(value->dtype);
}

/* The value, with memory; NULL after ebb_fail, whose status *status then holds. */
static const Value *find_value(EbbGraph *graph, EbbValue index, EbbStatus *status) {
  bool inside = index >= 0 && index < graph->n_values;
  *status = inside ? ensure_layout(graph) : ebb_fail(EBB_INVALID, "value %d is not in this graph", index);
  return *status == EBB_OK ? &graph->value[index] : NULL;
}

/* The value's gradient, or NULL as above. */
static float *find_grad(EbbGraph *graph, EbbValue index, size_t *bytes, EbbStatus *status) {
  const Value *value = find_value(graph, index, status);
  if (!value) return NULL;
  if (!value->grad) *status = ebb_fail(EBB_STATE, "value '%s' has no gradient in this graph", value->name);
  *bytes = value_bytes(value);
  return value->grad;
}

EbbStatus ebb_graph_write(EbbGraph *graph, EbbValue index, const void *host) {
  EbbStatus status;
  const Value *value = find_value(graph, index, &status);
  return value ? ebb_device_upload(graph->device, value->value, host, value_bytes(value)) : status;
}

EbbStatus ebb_graph_read(EbbGraph *graph, EbbValue index, void *host) {
  EbbStatus status;
  const Value *value = find_value(graph, index, &status);
  if (!value) return status;
  if (!value->marked && value->producer >= 0)
    return ebb_fail(EBB_STATE, "value '%s' is not kept after a run; mark it with ebb_graph_output",
                    value->name);
  return ebb_device_read(graph->device, host, value->value, value_bytes(value));
}

EbbStatus ebb_graph_write_grad(EbbGraph *graph, EbbValue index, const float *host) {
  EbbStatus status;
  size_t bytes;
  float *grad = find_grad(graph, index, &bytes, &status);
  return grad ? ebb_device_upload(graph->device, grad, host, bytes) : status;
}

EbbStatus ebb_graph_read_grad(EbbGraph *graph, EbbValue index, float *host) {
  EbbStatus status;
  size_t bytes;
  const float *grad = find_grad(graph, index, &bytes, &status);
  return grad ? ebb_device_read(graph->device, host, grad, bytes) : status;
}

static EbbStatus run_node(const Node *node, EbbKernelFn kernel, const EbbRun *run) {
  EbbStatus status = kernel(node->args, run);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", node->where);
}

EbbStatus ebb_graph_forward(EbbGraph *graph, const EbbRun *run) {
  EBB_TRY(ensure_layout(graph));
  EBB_TRY(ebb_device_set_step(graph->device, run->seed, run->step));
  for (int i = 0; i < graph->n_nodes; i++)
    EBB_TRY(run_node(&graph->node[i], graph->node[i].kernels->forward, run));
  for (int v = 0; v < graph->n_values; v++) {
    const Value *value = &graph->value[v];
    if (value->marked && value->grad)
      EBB_TRY(ebb_device_zero(graph->device, value->grad, value_bytes(value)));
  }
  return EBB_OK;
}

EbbStatus ebb_graph_backward(EbbGraph *graph, const EbbRun *run) {
  if (!graph->backward) return ebb_fail(EBB_STATE, "this graph was made without a backward pass");
  if (!graph->laid_out) return ebb_fail(EBB_STATE, "backward runs after forward");
  EBB_TRY(ebb_device_set_step(graph->device, run->seed, run->step));
  for (int i = graph->n_nodes - 1; i >= 0; i--)
    if (graph->node[i].active) EBB_TRY(run_node(&graph->node[i], graph->node[i].kernels->backward, run));
  return EBB_OK;
}

static EbbStatus check_finite(EbbGraph *graph, const Node *node, const Value *value) {
  int64_t size = ebb_shape_size(&value->shape);
  if (value->dtype != EBB_F32) return EBB_OK;
  float *host = malloc((size_t)size * sizeof *host);
  if (!host) return ebb_fail(EBB_MEMORY, "%s: no memory to look for NaN", node->where);
  EbbStatus status = ebb_device_read(graph->device, host, value->value, (size_t)size * sizeof *host);
  for (int64_t i = 0; status == EBB_OK && i < size; i++)
    if (!isfinite(host[i]))
      status =
          ebb_fail(EBB_NUMERIC, "%s: output %d is %s at element %lld of %lld", node->where,
                   value->output_slot, ebb_nonfinite_name((double)host[i]), (long long)i, (long long)size);
  free(host);
  return status;
}

EbbStatus ebb_graph_find_nonfinite(EbbGraph *graph, const EbbRun *run) {
  EBB_TRY(ensure_layout(graph));
  EBB_TRY(ebb_device_set_step(graph->device, run->seed, run->step));
  for (int i = 0; i < graph->n_nodes; i++) {
    const Node *node = &graph->node[i];
    EBB_TRY(run_node(node, node->kernels->forward, run));
    for (int o = 0; o < node->n_outputs; o++)
      EBB_TRY(check_finite(graph, node, &graph->value[node->output[o]]));
  }
  return EBB_OK;
}

/* Running a graph, and reading and writing its values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The same for a value that may be read after a run. */
static const Value *find_readable(EbbGraph *graph, EbbValue index, EbbStatus *status) {
  const Value *value = find_value(graph, index, status);
  if (!value || value->marked || value->producer < 0) return value;
  *status =
      ebb_fail(EBB_STATE, "value '%s' is not kept after a run; mark it with ebb_graph_output", value->name);
  return NULL;
}

EbbStatus ebb_graph_read(EbbGraph *graph, EbbValue index, void *host) {
  EbbStatus status;
  const Value *value = find_readable(graph, index, &status);
  return value ? ebb_device_read(graph->device, host, value->value, value_bytes(value)) : status;
}

EbbStatus ebb_graph_memory_of(EbbGraph *graph, EbbValue index, const void **memory) {
  EbbStatus status;
  const Value *value = find_readable(graph, index, &status);
  *memory = value ? value->value : NULL;
  return status;
}

uint64_t ebb_graph_layouts(const EbbGraph *graph) { return graph->layouts; }

EbbStatus ebb_graph_write_grad(EbbGraph *graph, EbbValue index, const float *host) {
  EbbStatus status;
  size_t bytes;
  float *grad = find_grad(graph, index, &bytes, &status);
  return grad ? ebb_device_upload(graph->device, grad, host, bytes) : status;
}

EbbStatus ebb_graph_copy_grad(EbbGraph *graph, EbbValue index, const float *from) {
  EbbStatus status;
  size_t bytes;
  float *grad = find_grad(graph, index, &bytes, &status);
  return grad ? ebb_device_copy(graph->device, grad, from, bytes) : status;
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

/* Element i of what was read from a value of this type. */
static float element(EbbDtype dtype, const void *host, int64_t i) {
  float value;
  if (dtype == EBB_F32) {
    memcpy(&value, (const char *)host + 4 * i, sizeof value);
    return value;
  }
  uint16_t upper; /* a bfloat16 is the upper half of a float32 */
  memcpy(&upper, (const char *)host + 2 * i, sizeof upper);
  const uint32_t bits = (uint32_t)upper << 16;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static EbbStatus check_finite(EbbGraph *graph, const Node *node, const Value *value) {
  int64_t size = ebb_shape_size(&value->shape);
  if (value->dtype == EBB_I32) return EBB_OK;
  void *host = malloc(value_bytes(value));
  if (!host) return ebb_fail(EBB_MEMORY, "%s: no memory to look for NaN", node->where);
  EbbStatus status = ebb_device_read(graph->device, host, value->value, value_bytes(value));
  for (int64_t i = 0; status == EBB_OK && i < size; i++) {
    const float x = element(value->dtype, host, i);
    if (!isfinite(x))
      status = ebb_fail(EBB_NUMERIC, "%s: output %d is %s at element %lld of %lld", node->where,
                        value->output_slot, ebb_nonfinite_name((double)x), (long long)i, (long long)size);
  }
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

/* Recording: inputs, nodes, outputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/graph/graph_internal.h"

EbbStatus ebb_workspace_create(EbbDevice *device, EbbWorkspace **out) {
  *out = calloc(1, sizeof **out);
  if (!*out) return ebb_fail(EBB_MEMORY, "no memory for a workspace");
  (*out)->device = device;
  return EBB_OK;
}

void ebb_workspace_destroy(EbbWorkspace *workspace) {
  if (!workspace) return;
  ebb_device_free(workspace->device, workspace->memory);
  free(workspace);
}

EbbStatus ebb_workspace_reserve(EbbWorkspace *workspace, int64_t bytes) {
  if (bytes <= workspace->bytes) return EBB_OK;
  ebb_device_free(workspace->device, workspace->memory);
  workspace->memory = NULL, workspace->bytes = 0;
  workspace->generation++;
  EBB_TRY(ebb_device_alloc_unset(workspace->device, (size_t)bytes, "the graph's activations",
                                 &workspace->memory));
  workspace->bytes = bytes;
  return EBB_OK;
}

EbbStatus ebb_graph_create(EbbParams *params, EbbWorkspace *workspace, bool backward, EbbGraph **out) {
  *out = NULL;
  EbbGraph *graph = calloc(1, sizeof *graph);
  if (!graph) return ebb_fail(EBB_MEMORY, "no memory for a graph");
  graph->params = params;
  graph->device = ebb_params_device(params);
  graph->workspace = workspace;
  graph->backward = backward;
  if (!workspace) {
    EbbStatus status = ebb_workspace_create(graph->device, &graph->workspace);
    if (status != EBB_OK) {
      free(graph);
      return status;
    }
    graph->own_workspace = true;
  }
  *out = graph;
  return EBB_OK;
}

EbbStatus ebb_graph_store_activations(EbbGraph *graph, EbbDtype type) {
  if (graph->n_nodes) return ebb_fail(EBB_STATE, "how activations are stored is set before the first node");
  if (type != EBB_F32 && type != EBB_BF16)
    return ebb_fail(EBB_INVALID, "activations cannot be stored as %s", ebb_dtype_name(type));
  if (type == EBB_BF16 && ebb_device_backend(graph->device) == EBB_CPU)
    return ebb_fail(EBB_UNSUPPORTED, "activations in bfloat16 need a CUDA device; the CPU stores float32");
  graph->activations = type;
  return EBB_OK;
}

static void free_node(Node *node) {
  free(node->scope);
  free(node->where);
  free(node->config);
  free(node->args);
  free(node->input);
  free(node->output);
  free(node->saved);
}

void ebb_graph_destroy(EbbGraph *graph) {
  if (!graph) return;
  for (int i = 0; i < graph->n_nodes; i++) free_node(&graph->node[i]);
  for (int i = 0; i < graph->n_values; i++) free(graph->value[i].name);
  ebb_device_free(graph->device, graph->tables);
  if (graph->own_workspace) ebb_workspace_destroy(graph->workspace);
  free(graph->node);
  free(graph->value);
  free(graph);
}

static EbbStatus add_value(EbbGraph *graph, const char *name, EbbValue *out) {
  if (graph->n_values == graph->value_capacity) {
    int capacity = 2 * graph->value_capacity + 32;
    Value *value = realloc(graph->value, (size_t)capacity * sizeof *value);
    if (!value) return ebb_fail(EBB_MEMORY, "no memory for graph value '%s'", name);
    graph->value = value, graph->value_capacity = capacity;
  }
  char *copy = strdup(name);
  if (!copy) return ebb_fail(EBB_MEMORY, "no memory for graph value '%s'", name);
  graph->value[graph->n_values] = (Value){.name = copy, .producer = -1};
  *out = graph->n_values++;
  return EBB_OK;
}

EbbStatus ebb_graph_input(EbbGraph *graph, const char *name, EbbDtype type, EbbShape shape, bool grad,
                          EbbValue *out) {
  EbbStatus status = ebb_shape_check(&shape);
  if (status != EBB_OK) return ebb_fail_within(status, "graph input '%s'", name);
  EBB_TRY(add_value(graph, name, out));
  Value *value = &graph->value[*out];
  value->dtype = type;
  value->shape = shape;
  value->differentiable = grad && graph->backward && type != EBB_I32;
  graph->laid_out = false;
  return EBB_OK;
}

static char *node_title(const char *scope, const EbbOp *op) {
  size_t size = strlen(scope) + strlen(op->name) + 4;
  char *title = malloc(size);
  if (title) snprintf(title, size, *scope ? "%s (%s)" : "%s%s", scope, op->name);
  return title;
}

static EbbStatus fill_node(EbbGraph *graph, Node *node, const EbbOp *op, const char *scope,
                           const void *config, size_t config_size, int n_inputs, int n_outputs) {
  node->op = op;
  node->scope = strdup(scope);
  node->where = node_title(scope, op);
  node->config = calloc(1, config_size + 1);
  node->args = calloc(1, op->args_size + 1);
  node->input = calloc((size_t)n_inputs + 1, sizeof *node->input);
  node->output = calloc((size_t)n_outputs + 1, sizeof *node->output);
  if (!node->scope || !node->where || !node->config || !node->args || !node->input || !node->output)
    return ebb_fail(EBB_MEMORY, "no memory for node '%s' (%s)", scope, op->name);
  if (config_size) memcpy(node->config, config, config_size);
  EbbBackend backend = ebb_device_backend(graph->device);
  node->kernels = ebb_op_kernels(op, backend);
  if (!node->kernels) return ebb_fail(EBB_UNSUPPORTED, "%s: has no kernels for this device", node->where);
  return EBB_OK;
}

static EbbStatus bind_values(EbbGraph *graph, Node *node, const EbbValue *inputs, int n_inputs,
                             EbbValue *outputs, int n_outputs) {
  for (int i = 0; i < n_inputs && inputs[i] != EBB_NO_VALUE; i++) {
    if (inputs[i] < 0 || inputs[i] >= graph->n_values)
      return ebb_fail(EBB_INVALID, "%s: input %d is not a value of this graph", node->where, i);
    node->input[node->n_inputs++].value = inputs[i];
  }
  for (int i = 0; i < n_outputs; i++) {
    EBB_TRY(add_value(graph, node->where, &outputs[i]));
    graph->value[outputs[i]].producer = graph->n_nodes;
    graph->value[outputs[i]].output_slot = i;
    node->output[node->n_outputs++] = outputs[i];
  }
  return EBB_OK;
}

/* A gradient flows through a node that trains, or that has an input through which one flows further. */
static void settle_differentiability(EbbGraph *graph, const Node *node) {
  bool carries = node->trains;
  for (int i = 0; i < node->n_inputs; i++) carries |= node->input[i].writes;
  for (int i = 0; i < node->n_outputs; i++)
    if (!carries) graph->value[node->output[i]].differentiable = false;
}

static EbbStatus record(EbbGraph *graph, const EbbOp *op, const char *scope, const void *config,
                        size_t config_size, const EbbValue *inputs, int n_inputs, EbbValue *outputs,
                        int n_outputs) {
  Node *node = &graph->node[graph->n_nodes];
  EBB_TRY(fill_node(graph, node, op, scope, config, config_size, n_inputs, n_outputs));
  EBB_TRY(bind_values(graph, node, inputs, n_inputs, outputs, n_outputs));
  EBB_TRY(ebb_graph_run_setup(graph, graph->n_nodes, SETUP_RECORD, 0));
  settle_differentiability(graph, node);
  return EBB_OK;
}

EbbStatus ebb_graph_apply(EbbGraph *graph, const EbbOp *op, const char *scope, const void *config,
                          size_t config_size, const EbbValue *inputs, int n_inputs, EbbValue *outputs,
                          int n_outputs) {
  if (graph->n_nodes == graph->node_capacity) {
    int capacity = 2 * graph->node_capacity + 16;
    Node *node = realloc(graph->node, (size_t)capacity * sizeof *node);
    if (!node) return ebb_fail(EBB_MEMORY, "no memory for node '%s' (%s)", scope, op->name);
    graph->node = node, graph->node_capacity = capacity;
  }
  graph->node[graph->n_nodes] = (Node){0};
  int values_before = graph->n_values;
  graph->laid_out = false;
  EbbStatus status = record(graph, op, scope, config, config_size, inputs, n_inputs, outputs, n_outputs);
  if (status == EBB_OK) {
    graph->n_nodes++;
    return EBB_OK;
  }
  free_node(&graph->node[graph->n_nodes]);
  while (graph->n_values > values_before) free(graph->value[--graph->n_values].name);
  return status;
}

EbbStatus ebb_graph_output(EbbGraph *graph, EbbValue value) {
  if (value < 0 || value >= graph->n_values)
    return ebb_fail(EBB_INVALID, "value %d is not in this graph", value);
  graph->value[value].marked = true;
  graph->laid_out = false;
  return EBB_OK;
}

EbbShape ebb_graph_shape(const EbbGraph *graph, EbbValue value) { return graph->value[value].shape; }
EbbDtype ebb_graph_dtype(const EbbGraph *graph, EbbValue value) { return graph->value[value].dtype; }
int ebb_graph_nodes(const EbbGraph *graph) { return graph->n_nodes; }
const char *ebb_graph_node_scope(const EbbGraph *graph, int node) { return graph->node[node].scope; }
const EbbOp *ebb_graph_node_op(const EbbGraph *graph, int node) { return graph->node[node].op; }
EbbMemoryPlan ebb_graph_memory(const EbbGraph *graph) { return graph->plan; }

EbbShape ebb_graph_node_output_shape(const EbbGraph *graph, int node, int output) {
  return graph->value[graph->node[node].output[output]].shape;
}

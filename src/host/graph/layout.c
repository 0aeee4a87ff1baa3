/* Layout: prepare, measure, plan lifetimes, place. */
#include <stdlib.h>
#include <string.h>

#include "host/graph/graph_internal.h"

static EbbStatus for_each_node(EbbGraph *graph, bool init) {
  for (int i = 0; i < graph->n_nodes; i++) {
    Node *node = &graph->node[i];
    EbbPrepare prepare = {graph, node};
    EbbStatus (*function)(EbbPrepare *, const void *) = init ? node->op->init : node->op->prepare;
    if (function) EBB_TRY(function(&prepare, node->config));
  }
  return EBB_OK;
}

EbbStatus ebb_graph_init_params(EbbGraph *graph) {
  if (!ebb_params_placed(graph->params))
    return ebb_fail(EBB_STATE, "parameters are initialised after they are placed");
  return for_each_node(graph, true);
}

/* Backward order: a value's gradient is first written by its highest consumer, in the lowest of that node's
 * slots. */
static void find_active_nodes(EbbGraph *graph) {
  for (int v = 0; v < graph->n_values; v++) {
    Value *value = &graph->value[v];
    value->grad_live = value->marked && value->differentiable;
    value->first_writer = -1;
  }
  for (int i = graph->n_nodes - 1; i >= 0; i--) {
    Node *node = &graph->node[i];
    node->active = false;
    for (int o = 0; o < node->n_outputs; o++) node->active |= graph->value[node->output[o]].grad_live;
    node->active = node->active && graph->backward && node->kernels->backward;
    for (int k = 0; node->active && k < node->n_inputs; k++) {
      Value *input = &graph->value[node->input[k].value];
      if (!node->input[k].writes || !input->differentiable) continue;
      input->grad_live = true;
      if (input->first_writer < 0) input->first_writer = i, input->first_slot = k;
    }
  }
}

static int max_int(int a, int b) { return a > b ? a : b; }
static int backward_time(const EbbGraph *graph, int node) { return 2 * graph->n_nodes - 1 - node; }

static void find_lifetimes(EbbGraph *graph) {
  int end = 2 * graph->n_nodes;
  for (int v = 0; v < graph->n_values; v++) {
    Value *value = &graph->value[v];
    int64_t bytes = align_memory(ebb_shape_size(&value->shape) * (int64_t)ebb_dtype_size(value->dtype));
    int birth = value->producer < 0 ? -1 : value->producer;
    bool producer_reads = value->producer >= 0 && value->kept && graph->node[value->producer].active;
    value->value_block = (Block){.bytes = bytes,
                                 .birth = birth,
                                 .death = producer_reads ? backward_time(graph, value->producer) : birth};
    /* Inputs stay: the caller may read them, and a second run may reuse them. */
    if (value->marked || value->producer < 0) value->value_block.death = end;
    bool until_producer = value->producer >= 0 && !value->marked;
    value->grad_block =
        (Block){.bytes = value->grad_live ? bytes : 0,
                .birth = value->marked || value->first_writer < 0 ? graph->n_nodes - 1
                                                                  : backward_time(graph, value->first_writer),
                .death = until_producer ? backward_time(graph, value->producer) : end};
  }
  for (int i = 0; i < graph->n_nodes; i++) {
    const Node *node = &graph->node[i];
    for (int k = 0; k < node->n_inputs; k++) {
      Block *block = &graph->value[node->input[k].value].value_block;
      int last = node->active && node->input[k].kept ? backward_time(graph, i) : i;
      block->death = max_int(block->death, last);
    }
    for (int s = 0; s < node->n_saved; s++)
      node->saved[s].block = (Block){
          .bytes = node->saved[s].bytes, .birth = i, .death = node->active ? backward_time(graph, i) : i};
  }
}

static int collect_blocks(EbbGraph *graph, Block **blocks) {
  int count = 0;
  for (int v = 0; v < graph->n_values; v++) {
    blocks[count++] = &graph->value[v].value_block;
    if (graph->value[v].grad_live) blocks[count++] = &graph->value[v].grad_block;
  }
  for (int i = 0; i < graph->n_nodes; i++)
    for (int s = 0; s < graph->node[i].n_saved; s++)
      if (graph->node[i].saved[s].bytes) blocks[count++] = &graph->node[i].saved[s].block;
  return count;
}

static EbbStatus plan_memory(EbbGraph *graph) {
  size_t most = 2 * (size_t)graph->n_values + 1;
  for (int i = 0; i < graph->n_nodes; i++) most += (size_t)graph->node[i].n_saved;
  Block **blocks = malloc(most * sizeof(Block *));
  if (!blocks) return ebb_fail(EBB_MEMORY, "no memory to plan a graph of %d nodes", graph->n_nodes);
  int count = collect_blocks(graph, blocks);
  EbbMemoryPlan plan = {0};
  for (int i = 0; i < count; i++) plan.values_unshared += blocks[i]->bytes;
  plan.values_and_saved = ebb_plan_blocks(blocks, count);
  free(blocks);
  for (int v = 0; v < graph->n_values; v++)
    if (graph->value[v].producer < 0) plan.inputs += graph->value[v].value_block.bytes;
  for (int i = 0; i < graph->n_nodes; i++) {
    if (graph->node[i].scratch_bytes > plan.scratch) plan.scratch = graph->node[i].scratch_bytes;
    plan.tables += graph->node[i].tables_bytes;
  }
  graph->scratch_offset = plan.values_and_saved;
  plan.total = plan.values_and_saved + plan.scratch + plan.tables;
  graph->plan = plan;
  return EBB_OK;
}

static EbbStatus allocate(EbbGraph *graph) {
  EBB_TRY(ebb_workspace_reserve(graph->workspace, graph->plan.values_and_saved + graph->plan.scratch));
  ebb_device_free(graph->device, graph->tables);
  graph->tables = NULL;
  void *tables;
  EBB_TRY(
      ebb_device_alloc(graph->device, (size_t)graph->plan.tables, "the graph's constant tables", &tables));
  graph->tables = tables;
  char *base = graph->workspace->memory;
  for (int v = 0; v < graph->n_values; v++) {
    Value *value = &graph->value[v];
    value->value = base + value->value_block.offset;
    value->grad = value->grad_live ? (float *)(void *)(base + value->grad_block.offset) : NULL;
  }
  return EBB_OK;
}

EbbStatus ebb_graph_plan(EbbGraph *graph) {
  if (!ebb_params_placed(graph->params))
    return ebb_fail(EBB_STATE, "a graph is laid out after its parameters are placed");
  graph->laid_out = false;
  EBB_TRY(for_each_node(graph, false));
  for (int i = 0; i < graph->n_nodes; i++) EBB_TRY(ebb_graph_run_setup(graph, i, SETUP_MEASURE, 0));
  find_active_nodes(graph);
  find_lifetimes(graph);
  return plan_memory(graph);
}

EbbStatus ebb_graph_layout(EbbGraph *graph) {
  EBB_TRY(ebb_graph_plan(graph));
  EBB_TRY(allocate(graph));
  int64_t tables = 0;
  for (int i = 0; i < graph->n_nodes; i++) {
    EBB_TRY(ebb_graph_run_setup(graph, i, SETUP_PLACE, tables));
    tables += graph->node[i].tables_bytes;
  }
  graph->params_generation = ebb_params_generation(graph->params);
  graph->workspace_generation = graph->workspace->generation;
  graph->laid_out = true;
  graph->layouts++;
  return EBB_OK;
}

/* A static graph: nodes recorded once, memory planned before the first step, then run forward and backward
   without allocation. Shapes are constants of a graph; other shapes are other graphs over the same
   parameters. */
#ifndef EBB_GRAPH_H
#define EBB_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbGraph EbbGraph;
typedef struct EbbWorkspace EbbWorkspace;

/* A value's number in its graph; negative: none. */
typedef int EbbValue;
enum { EBB_NO_VALUE = -1 };

/* Memory that several graphs share because only one runs at a time; grows to the largest. Errors: MEMORY. */
EbbStatus ebb_workspace_create(EbbDevice *device, EbbWorkspace **out) EBB_MUST_CHECK;
void ebb_workspace_destroy(EbbWorkspace *workspace);

/* `workspace` may be NULL: the graph then has its own. backward: plan a backward pass.
   Lifetime: params and workspace must outlive it. Errors: MEMORY. */
EbbStatus ebb_graph_create(EbbParams *params, EbbWorkspace *workspace, bool backward,
                           EbbGraph **out) EBB_MUST_CHECK;
void ebb_graph_destroy(EbbGraph *graph);

/* Before the first node: the type in which tensors between layers, and their gradients, are stored. BF16
   halves their memory and traffic; arithmetic stays float32. Errors: UNSUPPORTED (BF16 on the CPU), STATE. */
EbbStatus ebb_graph_store_activations(EbbGraph *graph, EbbDtype type) EBB_MUST_CHECK;

/* A value that the caller writes before each run. grad: its gradient is wanted, for
   ebb_graph_read_grad. Errors: SHAPE, MEMORY. */
EbbStatus ebb_graph_input(EbbGraph *graph, const char *name, EbbDtype type, EbbShape shape, bool grad,
                          EbbValue *out) EBB_MUST_CHECK;

/* Records a node. config is copied. Values of `inputs` may be EBB_NO_VALUE only after the last one that is
   given. Errors: what the op's setup finds (SHAPE, INVALID, UNSUPPORTED), with the node's name; MEMORY. */
EbbStatus ebb_graph_apply(EbbGraph *graph, const EbbOp *op, const char *scope, const void *config,
                          size_t config_size, const EbbValue *inputs, int n_inputs, EbbValue *outputs,
                          int n_outputs) EBB_MUST_CHECK;

/* Keeps the value (and, with backward, its gradient) readable after a run. */
EbbStatus ebb_graph_output(EbbGraph *graph, EbbValue value) EBB_MUST_CHECK;

EbbShape ebb_graph_shape(const EbbGraph *graph, EbbValue value);
EbbDtype ebb_graph_dtype(const EbbGraph *graph, EbbValue value);

/* Runs init of every node of this graph: once per model, after ebb_params_place and before the first layout.
 */
EbbStatus ebb_graph_init_params(EbbGraph *graph) EBB_MUST_CHECK;

/* Plans memory without taking it: ebb_graph_memory then tells what a layout needs. Errors: STATE before
   ebb_params_place. */
EbbStatus ebb_graph_plan(EbbGraph *graph) EBB_MUST_CHECK;

/* Plans memory, takes it and binds every argument. Errors: MEMORY names the sizes, STATE before
   ebb_params_place. Repeated automatically by forward when ebb_params_generation has moved on. */
EbbStatus ebb_graph_layout(EbbGraph *graph) EBB_MUST_CHECK;

/* Copy a whole value, or its gradient, between host and device; the graph is laid out first where it is not
   yet. Inputs are written before forward; only inputs and values marked by ebb_graph_output can be read
   after it. Errors: INVALID (no such value), STATE (not kept, or no gradient), those of layout. */
EbbStatus ebb_graph_write(EbbGraph *graph, EbbValue value, const void *host) EBB_MUST_CHECK;
EbbStatus ebb_graph_read(EbbGraph *graph, EbbValue value, void *host) EBB_MUST_CHECK;
EbbStatus ebb_graph_write_grad(EbbGraph *graph, EbbValue value, const float *host) EBB_MUST_CHECK;
EbbStatus ebb_graph_read_grad(EbbGraph *graph, EbbValue value, float *host) EBB_MUST_CHECK;

/* Where a value that ebb_graph_read can read, or an input, lies in device memory. Lifetime: until the next
   layout. Errors: as ebb_graph_read. */
EbbStatus ebb_graph_memory_of(EbbGraph *graph, EbbValue value, const void **memory) EBB_MUST_CHECK;
/* As ebb_graph_write_grad, from device memory. */
EbbStatus ebb_graph_copy_grad(EbbGraph *graph, EbbValue value, const float *from) EBB_MUST_CHECK;
/* How often this graph has been laid out: work recorded before the latest layout is stale. */
uint64_t ebb_graph_layouts(const EbbGraph *graph);

EbbStatus ebb_graph_forward(EbbGraph *graph, const EbbRun *run) EBB_MUST_CHECK;
/* After forward with the same run, and after ebb_graph_write_grad of every output that has a gradient (the
   others count as zero). Adds to parameter gradients; overwrites input gradients. Errors: STATE without
   backward. */
EbbStatus ebb_graph_backward(EbbGraph *graph, const EbbRun *run) EBB_MUST_CHECK;

/* Runs forward node by node and stops at the first that makes a NaN or an infinity: NUMERIC, naming node,
   element and value. OK where there is none. */
EbbStatus ebb_graph_find_nonfinite(EbbGraph *graph, const EbbRun *run) EBB_MUST_CHECK;

/* Bytes by purpose, after plan or layout. */
typedef struct EbbMemoryPlan {
  int64_t inputs, values_and_saved, scratch, tables, total;
  int64_t values_unshared; /* what activations would take without sharing */
} EbbMemoryPlan;
EbbMemoryPlan ebb_graph_memory(const EbbGraph *graph);

int ebb_graph_nodes(const EbbGraph *graph);
const char *ebb_graph_node_scope(const EbbGraph *graph, int node);
const EbbOp *ebb_graph_node_op(const EbbGraph *graph, int node);
EbbShape ebb_graph_node_output_shape(const EbbGraph *graph, int node, int output);

#ifdef __cplusplus
}
#endif
#endif

/* What setup functions ask of the graph. */
#include <stdlib.h>
#include <string.h>

#include "host/device/device_internal.h"
#include "host/graph/graph_internal.h"

/* Pointers to differently typed pointers come in as void *; memcpy writes them without breaking aliasing
 * rules. */
static void give(void *address, const void *pointer) { memcpy(address, &pointer, sizeof pointer); }

static Value *input_value(const EbbSetup *setup, int i) {
  return &setup->graph->value[setup->node->input[i].value];
}

int ebb_setup_inputs(const EbbSetup *setup) { return setup->node->n_inputs; }
EbbShape ebb_setup_shape(const EbbSetup *setup, int i) { return input_value(setup, i)->shape; }
const char *ebb_setup_where(const EbbSetup *setup) { return setup->node->where; }
bool ebb_setup_training(const EbbSetup *setup) { return setup->graph->backward; }
uint32_t ebb_setup_node(const EbbSetup *setup) { return (uint32_t)setup->node_index; }
EbbBackend ebb_setup_backend(const EbbSetup *setup) { return ebb_device_backend(setup->graph->device); }

EbbDtype ebb_setup_activations(const EbbSetup *setup) { return setup->graph->activations; }

int ebb_setup_threads(const EbbSetup *setup) {
  return ebb_setup_backend(setup) == EBB_CPU ? ebb_device_threads(setup->graph->device) : 1;
}

static EbbStatus check_input_index(const EbbSetup *setup, int i) {
  if (i < setup->node->n_inputs) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: has %d inputs but needs at least %d", setup->node->where,
                  setup->node->n_inputs, i + 1);
}

EbbStatus ebb_setup_input(EbbSetup *setup, int i, EbbDtype type, int rank, bool keep, void *value) {
  EBB_TRY(check_input_index(setup, i));
  const Value *input = input_value(setup, i);
  char shape[128];
  if (input->dtype != type)
    return ebb_fail(EBB_SHAPE, "%s: input %d ('%s') is %s, expected %s", setup->node->where, i, input->name,
                    ebb_dtype_name(input->dtype), ebb_dtype_name(type));
  if (rank >= 0 && input->shape.rank != rank)
    return ebb_fail(EBB_SHAPE, "%s: input %d ('%s') has shape %s, expected %d dimensions", setup->node->where,
                    i, input->name, ebb_shape_text(&input->shape, shape, sizeof shape), rank);
  setup->node->input[i].kept = keep;
  give(value, setup->mode == SETUP_PLACE ? input->value : NULL);
  return EBB_OK;
}

EbbStatus ebb_setup_input_grad(EbbSetup *setup, int i, float **grad, bool *add) {
  EBB_TRY(check_input_index(setup, i));
  const Value *input = input_value(setup, i);
  setup->node->input[i].writes = input->differentiable;
  bool placed = setup->mode == SETUP_PLACE && setup->node->active && input->grad_live;
  *grad = placed ? input->grad : NULL;
  *add = placed && (input->marked || input->first_writer != setup->node_index || input->first_slot != i);
  return EBB_OK;
}

static EbbStatus record_output(EbbSetup *setup, int i, EbbDtype type, const EbbShape *shape) {
  EbbStatus status = ebb_shape_check(shape);
  if (status != EBB_OK) return ebb_fail_within(status, "%s: output %d", setup->node->where, i);
  if (i != setup->outputs_done || i >= setup->node->n_outputs)
    return ebb_fail(EBB_SHAPE, "%s: makes more outputs than the %d that were asked for", setup->node->where,
                    setup->node->n_outputs);
  Value *value = &setup->graph->value[setup->node->output[i]];
  value->dtype = type;
  value->shape = *shape;
  return EBB_OK;
}

EbbStatus ebb_setup_output(EbbSetup *setup, int i, EbbDtype type, EbbShape shape, bool keep, void *value) {
  if (setup->mode == SETUP_RECORD) EBB_TRY(record_output(setup, i, type, &shape));
  setup->outputs_done++;
  Value *output = &setup->graph->value[setup->node->output[i]];
  output->kept = keep;
  give(value, setup->mode == SETUP_PLACE ? output->value : NULL);
  return EBB_OK;
}

EbbStatus ebb_setup_output_grad(EbbSetup *setup, int i, const float **grad) {
  Value *output = &setup->graph->value[setup->node->output[i]];
  if (setup->mode == SETUP_RECORD) output->differentiable = setup->graph->backward;
  *grad = setup->mode == SETUP_PLACE && setup->node->active && output->grad_live ? output->grad : NULL;
  return EBB_OK;
}

static EbbStatus declare(EbbSetup *setup, const EbbParamSpec *spec, int *index) {
  EbbStatus status = ebb_params_declare(setup->graph->params, setup->node->scope, spec, index);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", setup->node->where);
}

EbbStatus ebb_setup_param(EbbSetup *setup, const EbbParamSpec *spec, const float **value, float **grad) {
  int index = -1;
  EBB_TRY(declare(setup, spec, &index));
  bool frozen = spec->own_lr && spec->lr == 0;
  if (setup->graph->backward && !frozen) setup->node->trains = true;
  bool placed = setup->mode == SETUP_PLACE;
  *value = placed ? ebb_params_value(setup->graph->params, index) : NULL;
  *grad = placed && setup->node->active && !frozen ? ebb_params_grad(setup->graph->params, index) : NULL;
  return EBB_OK;
}

EbbStatus ebb_setup_buffer(EbbSetup *setup, const EbbParamSpec *spec, float **value) {
  EbbParamSpec buffer = *spec;
  buffer.buffer = true;
  int index = -1;
  EBB_TRY(declare(setup, &buffer, &index));
  *value = setup->mode == SETUP_PLACE ? ebb_params_value(setup->graph->params, index) : NULL;
  return EBB_OK;
}

EbbStatus ebb_setup_buffer_value(EbbSetup *setup, const char *name, double otherwise, double *value) {
  *value = otherwise;
  if (!ebb_params_placed(setup->graph->params)) return EBB_OK;
  EbbPrepare prepare = {setup->graph, setup->node};
  float stored = 0;
  EBB_TRY(ebb_prepare_read(&prepare, name, &stored, 1));
  *value = stored;
  return EBB_OK;
}

static EbbStatus add_saved(Node *node, size_t bytes) {
  if (node->n_saved == node->saved_capacity) {
    int capacity = 2 * node->saved_capacity + 4;
    Saved *saved = realloc(node->saved, (size_t)capacity * sizeof *saved);
    if (!saved) return ebb_fail(EBB_MEMORY, "%s: no memory for its plan", node->where);
    node->saved = saved, node->saved_capacity = capacity;
  }
  node->saved[node->n_saved++] = (Saved){.bytes = align_memory((int64_t)bytes)};
  return EBB_OK;
}

EbbStatus ebb_setup_saved(EbbSetup *setup, size_t bytes, void *memory) {
  give(memory, NULL);
  if (setup->mode == SETUP_MEASURE) EBB_TRY(add_saved(setup->node, bytes));
  if (setup->mode == SETUP_PLACE && bytes)
    give(memory,
         (char *)setup->graph->workspace->memory + setup->node->saved[setup->saved_done].block.offset);
  setup->saved_done++;
  return EBB_OK;
}

EbbStatus ebb_setup_scratch(EbbSetup *setup, size_t bytes, void *memory) {
  bool placed = setup->mode == SETUP_PLACE && bytes;
  give(memory,
       placed ? (char *)setup->graph->workspace->memory + setup->graph->scratch_offset + setup->scratch_used
              : NULL);
  setup->scratch_used += align_memory((int64_t)bytes);
  return EBB_OK;
}

EbbStatus ebb_setup_fft(EbbSetup *setup, int64_t n, const EbbFft **fft) {
  *fft = NULL;
  return setup->mode == SETUP_PLACE ? ebb_device_fft(setup->graph->device, n, fft) : EBB_OK;
}

EbbStatus ebb_setup_cuda_fft(EbbSetup *setup, const EbbCudaFftSpec *spec, const EbbCudaFft **out) {
  EbbDevice *device = setup->graph->device;
  *out = NULL;
  return setup->mode == SETUP_PLACE && device->ops->cuda_fft ? device->ops->cuda_fft(device, spec, out)
                                                             : EBB_OK;
}

static EbbStatus fill_table(EbbSetup *setup, char *to, size_t bytes,
                            void (*fill)(const void *context, void *host), const void *context) {
  void *host = malloc(bytes);
  if (!host) return ebb_fail(EBB_MEMORY, "%s: no memory for a table of %zu bytes", setup->node->where, bytes);
  fill(context, host);
  EbbStatus status = ebb_device_write(setup->graph->device, to, host, bytes);
  free(host);
  return status;
}

EbbStatus ebb_setup_table(EbbSetup *setup, size_t bytes, void (*fill)(const void *context, void *host),
                          const void *context, void *memory) {
  give(memory, NULL);
  if (setup->mode == SETUP_PLACE && bytes) {
    char *to = setup->graph->tables + setup->tables_base + setup->tables_used;
    EBB_TRY(fill_table(setup, to, bytes, fill, context));
    give(memory, to);
  }
  setup->tables_used += align_memory((int64_t)bytes);
  return EBB_OK;
}

EbbStatus ebb_graph_run_setup(EbbGraph *graph, int index, SetupMode mode, int64_t tables_base) {
  Node *node = &graph->node[index];
  EbbSetup setup = {
      .graph = graph, .node = node, .node_index = index, .mode = mode, .tables_base = tables_base};
  if (mode == SETUP_MEASURE) node->n_saved = 0;
  memset(node->args, 0, node->op->args_size);
  EBB_TRY(node->op->setup(&setup, node->config, node->args));
  if (setup.outputs_done != node->n_outputs)
    return ebb_fail(EBB_SHAPE, "%s: makes %d outputs, not the %d that were asked for", node->where,
                    setup.outputs_done, node->n_outputs);
  node->scratch_bytes = setup.scratch_used;
  node->tables_bytes = setup.tables_used;
  return EBB_OK;
}

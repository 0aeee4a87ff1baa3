#include "host/train/step.h"

EbbStatus stepper_create(Stepper *stepper, EbbDevice *device, Averages *averages) {
  *stepper = (Stepper){.device = device, .averages = averages};
  EBB_TRY(ebb_tally_create(device, &stepper->tally));
  EBB_TRY(ebb_tally_create(device, &stepper->evaluation));
  void *memory = NULL;
  EBB_TRY(ebb_device_alloc(device, sizeof(float), "the loss's gradient", &memory));
  stepper->loss_gradient = memory;
  return EBB_OK;
}

EbbStatus stepper_begin_training(Stepper *stepper, EbbParams *params) {
  return stepper->optimizer ? EBB_OK : ebb_optimizer_create(params, stepper->tally, &stepper->optimizer);
}

void stepper_release(Stepper *stepper) {
  if (!stepper->device) return;
  ebb_optimizer_destroy(stepper->optimizer);
  ebb_tally_destroy(stepper->device, stepper->tally);
  ebb_tally_destroy(stepper->device, stepper->evaluation);
  ebb_device_free(stepper->device, stepper->loss_gradient);
  *stepper = (Stepper){0};
}

EbbStatus stepper_set_loss_gradient(Stepper *stepper, float gradient) {
  if (stepper->loss_gradient_now == gradient) return EBB_OK;
  stepper->loss_gradient_now = gradient;
  return ebb_device_upload(stepper->device, stepper->loss_gradient, &gradient, sizeof gradient);
}

static EbbStatus count(Stepper *stepper, Recorded *r) {
  const void *loss = NULL, *scores = NULL, *weights = NULL;
  EBB_TRY(ebb_graph_memory_of(r->graph, r->values.loss, &loss));
  EBB_TRY(ebb_graph_memory_of(r->graph, r->values.weights, &weights));
  EBB_TRY(ebb_graph_memory_of(r->graph, r->values.scores, &scores));
  const EbbShape rows = ebb_graph_shape(r->graph, r->values.weights);
  return ebb_tally_add(stepper->device, r->training ? stepper->tally : stepper->evaluation, loss, scores,
                       weights, ebb_shape_size(&rows));
}

static EbbStatus work(Stepper *stepper, Recorded *r, const EbbRun *run, StepEnd end) {
  EBB_TRY(ebb_graph_forward(r->graph, run));
  EBB_TRY(count(stepper, r));
  if (!r->training) return EBB_OK;
  EBB_TRY(ebb_graph_copy_grad(r->graph, r->values.loss, stepper->loss_gradient));
  EBB_TRY(ebb_graph_backward(r->graph, run));
  if (end != STEP_ENDS_WITH_UPDATE) return EBB_OK;
  EBB_TRY(ebb_optimizer_update(stepper->optimizer));
  return averages_after_step(stepper->averages);
}

static EbbStatus record(Stepper *stepper, Recorded *r, const EbbRun *run, StepEnd end) {
  EBB_TRY(ebb_device_record_begin(stepper->device));
  EbbStatus status = work(stepper, r, run, end);
  EbbStatus ended = ebb_device_record_end(stepper->device, status == EBB_OK, &r->recording[end]);
  return status == EBB_OK ? ended : status;
}

/* The first run of a graph is not recorded: libraries and the driver load kernels at their first use. */
EbbStatus stepper_run(Stepper *stepper, Recorded *r, const EbbRun *run, StepEnd end) {
  if (!ebb_device_records(stepper->device)) return work(stepper, r, run, end);
  const uint64_t layout = ebb_graph_layouts(r->graph);
  if (r->layout[end] != layout) {
    ebb_device_release(stepper->device, r->recording[end]);
    r->recording[end] = NULL;
    r->layout[end] = layout, r->runs[end] = 0;
  }
  if (!r->runs[end]++) return work(stepper, r, run, end);
  if (!r->recording[end]) EBB_TRY(record(stepper, r, run, end));
  EBB_TRY(ebb_device_set_step(stepper->device, run->seed, run->step));
  return ebb_device_replay(stepper->device, r->recording[end]);
}

void stepper_forget(Stepper *stepper, Recorded *r) {
  for (int end = 0; end < STEP_ENDS; end++) {
    ebb_device_release(stepper->device, r->recording[end]);
    r->recording[end] = NULL;
  }
}

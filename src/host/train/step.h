/* One batch on the device: forward, sums and, in training, backward and the update; on a GPU recorded once a
   graph and replayed. */
#ifndef EBB_HOST_TRAIN_STEP_H
#define EBB_HOST_TRAIN_STEP_H

#include "ebb/graph.h"
#include "ebb/model.h"
#include "ebb/optim.h"
#include "host/train/averages.h"

/* Recordings of a graph's work, by what follows the backward pass. */
typedef enum StepEnd { STEP_ENDS_WITHOUT_UPDATE, STEP_ENDS_WITH_UPDATE, STEP_ENDS } StepEnd;

/* One recorded graph: B samples of length L. */
typedef struct Recorded {
  int64_t rows, length;
  bool training;
  EbbGraph *graph;
  EbbSequenceValues values;
  EbbRecording *recording[STEP_ENDS];
  uint64_t layout[STEP_ENDS]; /* ebb_graph_layouts when the recording was made */
  int runs[STEP_ENDS];        /* before it, in the same layout */
} Recorded;

/* What a model's steps share, in device memory. */
typedef struct Stepper {
  EbbDevice *device;
  EbbTally *tally;         /* of training */
  EbbTally *evaluation;    /* of evaluating */
  EbbOptimizer *optimizer; /* NULL until training begins */
  Averages *averages;
  float *loss_gradient; /* () dL/dloss */
  float loss_gradient_now;
} Stepper;

EbbStatus stepper_create(Stepper *stepper, EbbDevice *device, Averages *averages) EBB_MUST_CHECK;
/* Before the first training step. */
EbbStatus stepper_begin_training(Stepper *stepper, EbbParams *params) EBB_MUST_CHECK;
void stepper_release(Stepper *stepper);

/* The gradient that backward starts from: 1 / batches of the optimiser step. */
EbbStatus stepper_set_loss_gradient(Stepper *stepper, float gradient) EBB_MUST_CHECK;

/* Runs the batch that has been fed to `recorded`; on a GPU it returns before the work is done. */
EbbStatus stepper_run(Stepper *stepper, Recorded *recorded, const EbbRun *run, StepEnd end) EBB_MUST_CHECK;

/* Releases recordings; the graph stays. */
void stepper_forget(Stepper *stepper, Recorded *recorded);

#endif

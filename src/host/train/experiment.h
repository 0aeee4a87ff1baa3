/* The inside of an experiment, shared by the files of this folder. */
#ifndef EBB_HOST_EXPERIMENT_H
#define EBB_HOST_EXPERIMENT_H

#include "ebb/train.h"
#include "host/train/averages.h"
#include "host/train/scores.h"
#include "host/train/step.h"

struct EbbExperiment {
  EbbConfig *config;
  EbbDevice *device;
  EbbDataset *dataset;
  EbbParams *params;
  EbbWorkspace *workspace;
  EbbSequence model;
  Scoring scoring;
  EbbDtype activations;
  Averages averages;
  Stepper stepper;
  Recorded *recorded;
  int n_recorded, capacity;
  uint64_t seed;
};

/* The graph for a batch shape, recorded at its first use. */
EbbStatus ebb_experiment_graph(EbbExperiment *experiment, int64_t rows, int64_t length, bool training,
                               Recorded **out);

/* A loader over a split: shuffled, cut and bucketed by the loader.* keys for training, plain for evaluation.
 */
EbbStatus ebb_experiment_loader(const EbbExperiment *experiment, EbbSplit split, bool training,
                                EbbLoader **out);

/* Writes a batch into a graph's inputs. */
EbbStatus ebb_experiment_feed(Recorded *recorded, const EbbBatch *batch);

#endif

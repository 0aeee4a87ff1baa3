/* The inside of an experiment, shared by the files of this folder. */
#ifndef EBB_HOST_EXPERIMENT_H
#define EBB_HOST_EXPERIMENT_H

#include "ebb/train.h"
#include "host/train/averages.h"

/* One recorded graph: B samples of length L. */
typedef struct Recorded {
  int64_t rows, length;
  bool training;
  EbbGraph *graph;
  EbbSequenceValues values;
} Recorded;

struct EbbExperiment {
  EbbConfig *config;
  EbbDevice *device;
  EbbDataset *dataset;
  EbbParams *params;
  EbbWorkspace *workspace;
  EbbSequence model;
  Averages averages;
  Recorded *recorded;
  int n_recorded, capacity;
  uint64_t seed;
};

/* Sums over the samples of a pass. */
typedef struct EbbTotals {
  double loss, correct, weight;
  double last_loss; /* of the latest batch */
} EbbTotals;

/* Adds a batch after its forward pass: reads its loss and hits, and so waits for it. */
EbbStatus ebb_totals_add(EbbTotals *totals, Recorded *recorded, int64_t n_valid);
EbbScores ebb_totals_scores(const EbbTotals *totals, EbbLoss kind);

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

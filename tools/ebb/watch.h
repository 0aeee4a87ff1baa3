/* A watcher that draws a progress line and stops at SIGINT or SIGTERM. */
#ifndef EBB_WATCH_H
#define EBB_WATCH_H

#include "ebb/loading.h"
#include "ebb/metrics.h"
#include "ebb/train.h"

typedef struct Watch {
  EbbProgress *progress;
  EbbWatcher watcher;
} Watch;

/* Errors: MEMORY. */
EbbStatus watch_create(Watch *watch, FILE *out) EBB_MUST_CHECK;
void watch_destroy(Watch *watch);

/* From now on the first SIGINT or SIGTERM asks the work to stop and says `promise`; the second kills. */
void watch_signals(const char *promise);

/* ebb_experiment_create with a progress line on standard error while the data set is prepared. */
EbbStatus watch_experiment(const EbbConfig *config, EbbExperiment **out) EBB_MUST_CHECK;
/* The same for a data set alone. */
EbbStatus watch_dataset(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

#endif

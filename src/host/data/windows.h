/* Windows of equal length cut out of recordings, dealt to the splits, and made a data set with a target in
   every step. */
#ifndef EBB_HOST_DATA_WINDOWS_H
#define EBB_HOST_DATA_WINDOWS_H

#include "host/data/series.h"

typedef struct EbbWindow {
  const EbbSeries *series;
  int64_t start;
} EbbWindow;

typedef struct EbbWindows {
  EbbWindow *at;
  int64_t n, capacity;
} EbbWindows;

void ebb_windows_release(EbbWindows *windows);
/* Errors: MEMORY. */
EbbStatus ebb_windows_add(EbbWindows *windows, const EbbSeries *series, int64_t start) EBB_MUST_CHECK;
/* Windows of `length` rows inside span that start at its begin and then every `stride` rows: the published
   rule, which leaves the last possible start out: start < end - length. Errors: MEMORY. */
EbbStatus ebb_windows_cut(EbbWindows *windows, const EbbSpan *span, int64_t length,
                          int64_t stride) EBB_MUST_CHECK;

/* Shares of a split by permutation or by time; training has the rest. */
typedef struct EbbShares {
  double validation, test;
} EbbShares;

/* The published way: numpy's RandomState(seed).permutation of all windows, of which the first int(validation
   n) are the validation, the next int(test n) the test and the rest the training split, in that order.
   Windows that overlap end in different splits. `to` is empty. Errors: MEMORY. */
EbbStatus ebb_windows_deal(const EbbWindows *all, uint32_t seed, EbbShares shares,
                           EbbWindows to[EBB_SPLITS]) EBB_MUST_CHECK;

/* The leak-free way: the first rows are for training, then the validation's, then the test's, with
   int(validation n) and int(test n) rows. */
void ebb_chronological(const EbbSeries *series, EbbShares shares, EbbSpan out[EBB_SPLITS]);

/* Gives the splits' samples the windows' rows; to be called once a data set. max_samples > 0 cuts training.
   Errors: FORMAT (`name`: a split is empty because the recordings are too short), MEMORY. */
EbbStatus ebb_windows_dataset(const char *name, const EbbWindows windows[EBB_SPLITS], int64_t length,
                              int64_t max_samples, EbbDataset *dataset) EBB_MUST_CHECK;

#endif

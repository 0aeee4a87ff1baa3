/* The averages of the parameters that a run may keep: exponential (EMA, after every step) and plain (SWA,
   after every epoch from a given one). Evaluation uses SWA where it has begun, else EMA, else the parameters
   themselves. */
#ifndef EBB_HOST_AVERAGES_H
#define EBB_HOST_AVERAGES_H

#include <stdbool.h>

#include "ebb/checkpoint.h"
#include "ebb/params.h"

enum { EBB_MOST_AVERAGES = 2 };

typedef struct Averages {
  EbbParams *params;
  double ema_decay; /* 0: off */
  float *ema, *swa; /* device memory, or NULL */
  int64_t swa_count;
  float *swapped; /* the average that stands in the parameters' place now */
} Averages;

/* Errors: MEMORY. */
EbbStatus averages_create(Averages *averages, EbbParams *params, double ema_decay, bool swa);
void averages_release(Averages *averages);
EbbStatus averages_after_step(Averages *averages);
EbbStatus averages_after_epoch(Averages *averages);
/* Puts the average in the parameters' place, and back. */
EbbStatus averages_swap_in(Averages *averages);
EbbStatus averages_swap_out(Averages *averages);
/* For checkpoints: returns how many there are. */
int averages_list(const Averages *averages, EbbAverage list[EBB_MOST_AVERAGES]);

#endif

/* Items of a sequence, made ahead by threads into a bounded number of slots and taken in order. */
#ifndef EBB_HOST_DATA_PREFETCH_H
#define EBB_HOST_DATA_PREFETCH_H

#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An item: they are taken by rising index mostly, from 0 in every epoch. */
typedef struct EbbPlace {
  int64_t epoch, index;
} EbbPlace;

typedef struct EbbPrefetchWork {
  void *context;
  int64_t n_items; /* an epoch */
  /* Says what goes into a slot: in the thread that takes, in the items' order. */
  void (*plan)(void *context, EbbPlace place, int slot);
  /* Makes it: in any thread, of several slots at once. */
  void (*fill)(void *context, int slot);
} EbbPrefetchWork;

typedef struct EbbPrefetch EbbPrefetch;

/* Threads start at the first take; they leave signals to the others. Errors: MEMORY. */
EbbStatus ebb_prefetch_create(const EbbPrefetchWork *work, int n_threads, int n_slots,
                              EbbPrefetch **out) EBB_MUST_CHECK;
/* Ends the threads, whatever they are at. NULL is allowed. */
void ebb_prefetch_destroy(EbbPrefetch *prefetch);

/* The slot with an item; those after it, up to the epoch's end, are made meanwhile. An item that is not the
   one after the last drops what was made ahead. Lifetime: the slot is the caller's until the next take.
   Errors: MEMORY (no thread can be started). */
EbbStatus ebb_prefetch_take(EbbPrefetch *prefetch, EbbPlace place, int *slot) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

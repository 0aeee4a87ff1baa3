#include "host/data/prefetch.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef enum SlotState { SLOT_PLANNED, SLOT_BEING_FILLED, SLOT_FILLED } SlotState;

typedef struct Slot {
  EbbPlace place;
  SlotState state;
} Slot;

struct EbbPrefetch {
  EbbPrefetchWork work;
  int n_threads, n_started, n_slots;
  pthread_t *thread;     /* (n_threads) */
  pthread_mutex_t mutex; /* of all below */
  pthread_cond_t planned, filled;
  bool quit;
  Slot *slot; /* (n_slots) a ring: n_queued slots from `head` on, in the items' order */
  int head, n_queued;
  EbbPlace next; /* to be planned; none where next.index is n_items */
};

static Slot *queued(EbbPrefetch *prefetch, int i) {
  return &prefetch->slot[(prefetch->head + i) % prefetch->n_slots];
}

/* ---- the threads ---- */

/* The oldest slot that nobody fills yet, or NULL. */
static Slot *find_planned(EbbPrefetch *prefetch) {
  for (int i = 0; i < prefetch->n_queued; i++)
    if (queued(prefetch, i)->state == SLOT_PLANNED) return queued(prefetch, i);
  return NULL;
}

static void *fill_slots(void *argument) {
  EbbPrefetch *prefetch = argument;
  pthread_mutex_lock(&prefetch->mutex);
  while (!prefetch->quit) {
    Slot *slot = find_planned(prefetch);
    if (!slot) {
      pthread_cond_wait(&prefetch->planned, &prefetch->mutex);
      continue;
    }
    slot->state = SLOT_BEING_FILLED;
    pthread_mutex_unlock(&prefetch->mutex);
    prefetch->work.fill(prefetch->work.context, (int)(slot - prefetch->slot));
    pthread_mutex_lock(&prefetch->mutex);
    slot->state = SLOT_FILLED;
    pthread_cond_broadcast(&prefetch->filled);
  }
  pthread_mutex_unlock(&prefetch->mutex);
  return NULL;
}

/* Fewer threads than asked for will do. */
static EbbStatus start_threads(EbbPrefetch *prefetch) {
  sigset_t all, before;
  int error = 0;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (prefetch->n_started < prefetch->n_threads && !error) {
    error = pthread_create(&prefetch->thread[prefetch->n_started], NULL, fill_slots, prefetch);
    if (!error) prefetch->n_started++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (prefetch->n_started > 0) return EBB_OK;
  return ebb_fail(EBB_MEMORY,
                  "cannot start a thread that prepares batches: %s; loader.num_workers=0 does without",
                  strerror(error));
}

/* ---- taking ---- */

/* Drops what was made ahead; slots that are being filled are waited for. */
static void drop_queue(EbbPrefetch *prefetch) {
  for (int i = 0; i < prefetch->n_queued; i++)
    if (queued(prefetch, i)->state == SLOT_PLANNED) queued(prefetch, i)->state = SLOT_FILLED;
  for (int i = 0; i < prefetch->n_queued; i++)
    while (queued(prefetch, i)->state == SLOT_BEING_FILLED)
      pthread_cond_wait(&prefetch->filled, &prefetch->mutex);
  prefetch->n_queued = 0;
}

/* Returns how many slots were planned. */
static int plan_ahead(EbbPrefetch *prefetch) {
  int n = 0;
  while (prefetch->n_queued < prefetch->n_slots && prefetch->next.index < prefetch->work.n_items) {
    Slot *slot = queued(prefetch, prefetch->n_queued);
    prefetch->work.plan(prefetch->work.context, prefetch->next, (int)(slot - prefetch->slot));
    *slot = (Slot){prefetch->next, SLOT_PLANNED};
    prefetch->n_queued++, prefetch->next.index++, n++;
  }
  return n;
}

/* One slot needs one thread: more would only stand in the taker's way. */
static void wake(EbbPrefetch *prefetch, int n_planned) {
  if (n_planned == 1) pthread_cond_signal(&prefetch->planned);
  if (n_planned > 1) pthread_cond_broadcast(&prefetch->planned);
}

static bool is_first(EbbPrefetch *prefetch, EbbPlace place) {
  if (!prefetch->n_queued) return false;
  const EbbPlace first = queued(prefetch, 0)->place;
  return first.epoch == place.epoch && first.index == place.index;
}

EbbStatus ebb_prefetch_take(EbbPrefetch *prefetch, EbbPlace place, int *slot) {
  if (!prefetch->n_started) EBB_TRY(start_threads(prefetch));
  pthread_mutex_lock(&prefetch->mutex);
  if (!is_first(prefetch, place)) {
    drop_queue(prefetch);
    prefetch->next = place;
  }
  const int n_planned = plan_ahead(prefetch);
  const bool ready = queued(prefetch, 0)->state == SLOT_FILLED;
  if (!ready) wake(prefetch, n_planned);
  while (queued(prefetch, 0)->state != SLOT_FILLED) pthread_cond_wait(&prefetch->filled, &prefetch->mutex);
  *slot = prefetch->head;
  prefetch->head = (prefetch->head + 1) % prefetch->n_slots;
  prefetch->n_queued--;
  pthread_mutex_unlock(&prefetch->mutex);
  if (ready) wake(prefetch, n_planned);
  return EBB_OK;
}

/* ---- begin and end ---- */

EbbStatus ebb_prefetch_create(const EbbPrefetchWork *work, int n_threads, int n_slots, EbbPrefetch **out) {
  *out = NULL;
  EbbPrefetch *prefetch = calloc(1, sizeof *prefetch);
  if (!prefetch) return ebb_fail(EBB_MEMORY, "no memory for the threads that prepare batches");
  prefetch->work = *work;
  prefetch->n_threads = n_threads, prefetch->n_slots = n_slots;
  prefetch->thread = calloc((size_t)n_threads, sizeof *prefetch->thread);
  prefetch->slot = calloc((size_t)n_slots, sizeof *prefetch->slot);
  pthread_mutex_init(&prefetch->mutex, NULL);
  pthread_cond_init(&prefetch->planned, NULL);
  pthread_cond_init(&prefetch->filled, NULL);
  if (prefetch->thread && prefetch->slot) {
    *out = prefetch;
    return EBB_OK;
  }
  ebb_prefetch_destroy(prefetch);
  return ebb_fail(EBB_MEMORY, "no memory for %d threads that prepare batches", n_threads);
}

void ebb_prefetch_destroy(EbbPrefetch *prefetch) {
  if (!prefetch) return;
  pthread_mutex_lock(&prefetch->mutex);
  prefetch->quit = true;
  pthread_cond_broadcast(&prefetch->planned);
  pthread_mutex_unlock(&prefetch->mutex);
  for (int i = 0; i < prefetch->n_started; i++) pthread_join(prefetch->thread[i], NULL);
  pthread_cond_destroy(&prefetch->filled);
  pthread_cond_destroy(&prefetch->planned);
  pthread_mutex_destroy(&prefetch->mutex);
  free(prefetch->slot);
  free(prefetch->thread);
  free(prefetch);
}

#include "ebb/data.h"

#include <stdlib.h>
#include <string.h>

#include "ebb/rng.h"
#include "host/data/batch.h"
#include "host/data/prefetch.h"

/* Random streams of the order, apart from the nodes of a graph. */
enum { SAMPLE_NODE = 0xDA7A, BATCH_NODE = 0xDA7B };

enum { MOST_WORKERS = 64 };

typedef struct Chunk {
  int64_t first, n; /* samples order[first] .. order[first + n - 1] */
} Chunk;

/* Memory for one batch: its samples, planned first, and what is made of them. */
typedef struct Slot {
  int64_t *samples; /* (batch_size) */
  int64_t n;
  EbbBatch batch;
} Slot;

struct EbbLoader {
  EbbShown shown;
  int64_t n_batches, n_used; /* samples that one epoch shows */
  int64_t longest;
  int64_t epoch;        /* of order and chunks; -1: none yet */
  int64_t *order;       /* (n_samples) */
  int64_t *sorted;      /* scratch of one window; NULL without sorting */
  int64_t *length_rank; /* (longest sequence + 2) */
  Chunk *chunks;        /* (n_batches) */
  Slot *slots;          /* (n_slots) the caller's batch, and those that threads prepare */
  int n_slots;
  EbbPrefetch *prefetch; /* NULL without threads */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Fisher-Yates with one draw a place, a pure function of (seed, epoch). */
static void shuffle_order(EbbLoader *loader, int64_t epoch) {
  for (int64_t i = loader->shown.samples->n_samples - 1; i > 0; i--) {
    uint32_t word = ebb_random(loader->shown.config.seed, (uint64_t)epoch, SAMPLE_NODE, (uint64_t)i);
    int64_t j = ebb_below(word, (uint32_t)i + 1), swap = loader->order[i];
    loader->order[i] = loader->order[j];
    loader->order[j] = swap;
  }
}

/* Stable counting sort by length: it needs no memory of its own, unlike qsort. */
static void sort_window(EbbLoader *loader, int64_t *order, int64_t n) {
  int64_t *rank = loader->length_rank, longest = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t length = ebb_shown_length(&loader->shown, order[i]);
    if (length > longest) longest = length;
  }
  memset(rank, 0, (size_t)(longest + 2) * sizeof *rank);
  for (int64_t i = 0; i < n; i++) rank[ebb_shown_length(&loader->shown, order[i]) + 1]++;
  for (int64_t length = 0; length < longest; length++) rank[length + 1] += rank[length];
  for (int64_t i = 0; i < n; i++)
    loader->sorted[rank[ebb_shown_length(&loader->shown, order[i])]++] = order[i];
  memcpy(order, loader->sorted, (size_t)n * sizeof *order);
}

static void shuffle_chunks(EbbLoader *loader, int64_t epoch, int64_t first, int64_t n) {
  for (int64_t i = n - 1; i > 0; i--) {
    uint32_t word = ebb_random(loader->shown.config.seed, (uint64_t)epoch, BATCH_NODE, (uint64_t)(first + i));
    int64_t j = ebb_below(word, (uint32_t)i + 1);
    Chunk swap = loader->chunks[first + i];
    loader->chunks[first + i] = loader->chunks[first + j];
    loader->chunks[first + j] = swap;
  }
}

/* With drop_last the remainder is dropped before sorting: else always the longest would go. */
static void arrange_epoch(EbbLoader *loader, int64_t epoch) {
  const EbbLoaderConfig *config = &loader->shown.config;
  for (int64_t s = 0; s < loader->shown.samples->n_samples; s++) loader->order[s] = s;
  if (config->shuffle) shuffle_order(loader, epoch);
  for (int64_t b = 0; b < loader->n_batches; b++) {
    int64_t first = b * config->batch_size;
    loader->chunks[b] = (Chunk){first, least(config->batch_size, loader->n_used - first)};
  }
  for (int64_t b = 0; config->sort_window > 0 && b < loader->n_batches; b += config->sort_window) {
    int64_t n = least(config->sort_window, loader->n_batches - b);
    int64_t first = loader->chunks[b].first,
            end = loader->chunks[b + n - 1].first + loader->chunks[b + n - 1].n;
    sort_window(loader, loader->order + first, end - first);
    if (config->shuffle) shuffle_chunks(loader, epoch, b, n);
  }
  loader->epoch = epoch;
}

/* ---- slots ---- */

static void plan_slot(void *context, EbbPlace place, int slot) {
  EbbLoader *loader = context;
  if (loader->epoch != place.epoch) arrange_epoch(loader, place.epoch);
  const Chunk *chunk = &loader->chunks[place.index];
  Slot *to = &loader->slots[slot];
  to->n = chunk->n;
  memcpy(to->samples, loader->order + chunk->first, (size_t)chunk->n * sizeof *to->samples);
}

static void fill_slot(void *context, int slot) {
  const EbbLoader *loader = context;
  Slot *to = &loader->slots[slot];
  ebb_batch_fill(&loader->shown, to->samples, to->n, &to->batch);
}

static EbbStatus allocate_slots(EbbLoader *loader) {
  const EbbShown *shown = &loader->shown;
  const int64_t wanted = least(least(shown->config.n_workers, MOST_WORKERS), loader->n_batches - 1);
  const int workers = wanted > 0 ? (int)wanted : 0;
  loader->slots = calloc((size_t)workers + 2, sizeof *loader->slots);
  if (!loader->slots) return ebb_fail(EBB_MEMORY, "no memory for batches");
  /* The caller holds one while one waits for him and every thread fills another. */
  loader->n_slots = workers > 0 ? workers + 2 : 1;
  for (int i = 0; i < loader->n_slots; i++) {
    Slot *slot = &loader->slots[i];
    slot->samples = ebb_batch_array(shown->config.batch_size, 1, 1, sizeof *slot->samples);
    if (!slot->samples) return ebb_fail(EBB_MEMORY, "no memory for batches");
    EBB_TRY(ebb_batch_allocate(shown, loader->longest, &slot->batch));
  }
  if (!workers) return EBB_OK;
  const EbbPrefetchWork work = {
      .context = loader, .n_items = loader->n_batches, .plan = plan_slot, .fill = fill_slot};
  return ebb_prefetch_create(&work, workers, loader->n_slots, &loader->prefetch);
}

/* ---- begin and end ---- */

static EbbStatus check_config(const EbbLoaderConfig *config, int64_t n_samples) {
  long long batch = config->batch_size;
  if (n_samples < 1) return ebb_fail(EBB_INVALID, "the split has no samples");
  if (n_samples > UINT32_MAX) {
    return ebb_fail(EBB_INVALID, "the split has %lld samples; at most %lld are supported",
                    (long long)n_samples, (long long)UINT32_MAX);
  }
  const struct {
    const char *name;
    int64_t value, least;
  } rows[] = {{"batch size", batch, 1},
              {"bucket quantum", config->bucket_quantum, 1},
              {"sort window", config->sort_window, 0},
              {"l_max", config->l_max, 0},
              {"stride", config->stride, 0},
              {"number of workers", config->n_workers, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].value < rows[i].least || rows[i].value > INT32_MAX) {
      return ebb_fail(EBB_INVALID, "the %s is %lld, but must be in %lld..%d", rows[i].name,
                      (long long)rows[i].value, (long long)rows[i].least, INT32_MAX);
    }
  }
  if (config->pad_to_l_max && config->l_max == 0) {
    return ebb_fail(EBB_INVALID, "padding every batch to l_max needs an l_max above 0");
  }
  if (config->drop_last && batch > n_samples) {
    return ebb_fail(
        EBB_INVALID,
        "the batch size %lld is above the split's %lld samples, so dropping the last incomplete batch "
        "leaves none; choose a batch size of at most %lld",
        batch, (long long)n_samples, (long long)n_samples);
  }
  return EBB_OK;
}

static EbbStatus allocate(EbbLoader *loader, int64_t longest_sample) {
  const EbbShown *shown = &loader->shown;
  const int64_t n = shown->samples->n_samples;
  bool whole = (loader->order = ebb_batch_array(n, 1, 1, sizeof *loader->order)) != NULL;
  whole &= (loader->chunks = ebb_batch_array(loader->n_batches, 1, 1, sizeof *loader->chunks)) != NULL;
  if (shown->config.sort_window > 0) {
    whole &= (loader->sorted = ebb_batch_array(loader->n_used, 1, 1, sizeof *loader->sorted)) != NULL;
    loader->length_rank = ebb_batch_array(longest_sample + 2, 1, 1, sizeof *loader->length_rank);
    whole &= loader->length_rank != NULL;
  }
  if (!whole) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld samples", (long long)n);
  return allocate_slots(loader);
}

/* Counts batches and the longest of them, and takes the memory. */
static EbbStatus prepare(EbbLoader *loader) {
  const EbbShown *shown = &loader->shown;
  const int64_t n = shown->samples->n_samples, rows = shown->config.batch_size;
  const bool drop_last = shown->config.drop_last;
  loader->epoch = -1;
  loader->n_batches = n / rows + (!drop_last && n % rows != 0);
  loader->n_used = drop_last ? loader->n_batches * rows : n;
  int64_t longest_sample = 0;
  for (int64_t s = 0; s < n; s++) {
    int64_t length = ebb_shown_length(shown, s);
    if (length > longest_sample) longest_sample = length;
  }
  if (longest_sample > INT32_MAX)
    return ebb_fail(EBB_INVALID, "'%s' has a sequence of %lld steps; at most %d are supported",
                    shown->dataset->name, (long long)longest_sample, INT32_MAX);
  loader->longest = ebb_shown_padded(shown, longest_sample);
  return allocate(loader, longest_sample);
}

EbbStatus ebb_loader_create(const EbbDataset *dataset, EbbSplit split, const EbbLoaderConfig *config,
                            EbbLoader **out) {
  *out = NULL;
  const EbbShown shown = {dataset, &dataset->split[split], *config};
  static const char *const names[EBB_SPLITS] = {"training", "validation", "test"};
  EbbStatus status = check_config(config, shown.samples->n_samples);
  if (status == EBB_OK) status = ebb_shown_check(&shown);
  if (status != EBB_OK) return ebb_fail_within(status, "%s split of '%s'", names[split], dataset->name);
  EbbLoader *loader = calloc(1, sizeof *loader);
  if (!loader) return ebb_fail(EBB_MEMORY, "no memory for a loader of '%s'", dataset->name);
  loader->shown = shown;
  status = prepare(loader);
  if (status == EBB_OK)
    *out = loader;
  else
    ebb_loader_destroy(loader);
  return status;
}

void ebb_loader_destroy(EbbLoader *loader) {
  if (!loader) return;
  ebb_prefetch_destroy(loader->prefetch);
  for (int i = 0; i < loader->n_slots; i++) {
    free(loader->slots[i].samples);
    ebb_batch_release(&loader->slots[i].batch);
  }
  free(loader->slots);
  free(loader->order);
  free(loader->sorted);
  free(loader->length_rank);
  free(loader->chunks);
  free(loader);
}

int64_t ebb_loader_batches(const EbbLoader *loader) { return loader->n_batches; }

int64_t ebb_loader_longest(const EbbLoader *loader) { return loader->longest; }

EbbStatus ebb_loader_batch(EbbLoader *loader, int64_t epoch, int64_t index, const EbbBatch **out) {
  *out = NULL;
  if (epoch < 0 || index < 0 || index >= loader->n_batches) {
    return ebb_fail(EBB_INVALID, "batch %lld of epoch %lld does not exist: an epoch has batches 0 to %lld",
                    (long long)index, (long long)epoch, (long long)loader->n_batches - 1);
  }
  const EbbPlace place = {epoch, index};
  int slot = 0;
  if (loader->prefetch) {
    EBB_TRY(ebb_prefetch_take(loader->prefetch, place, &slot));
  } else {
    plan_slot(loader, place, slot);
    fill_slot(loader, slot);
  }
  *out = &loader->slots[slot].batch;
  return EBB_OK;
}

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ebb/file.h"
#include "host/data/cache_file.h"
#include "host/data/sample_arrays.h"

enum { MOST_ROWS = EBB_SPLITS * EBB_SAMPLE_ARRAYS + EBB_DATASET_ARRAYS + 1 };
static const double MIB = 1024.0 * 1024.0;

/* What is written: rows[i] from array[i]. A row whose place an earlier one has is not written again. */
typedef struct Plan {
  const EbbCacheKey *key;
  const EbbLoading *loading;
  EbbCacheHead head;
  EbbCacheFacts facts;
  EbbCacheRow rows[MOST_ROWS];
  const char *array[MOST_ROWS];
  bool again[MOST_ROWS];
  char *token_text; /* owned */
  uint32_t *crc;    /* (n_blocks) owned */
  char *written;    /* the head's bytes; owned */
} Plan;

static uint64_t page_up(uint64_t bytes) {
  return (bytes + EBB_CACHE_PAGE - 1) / EBB_CACHE_PAGE * EBB_CACHE_PAGE;
}

static void add_row(Plan *plan, int split, int index, const void *array, size_t bytes) {
  if (!array) return;
  const size_t at = plan->head.n_rows++;
  plan->rows[at] = (EbbCacheRow){.split = split, .array = index, .bytes = bytes};
  plan->array[at] = array;
  for (size_t i = 0; i < at && !plan->again[at]; i++) plan->again[at] = plan->array[i] == array;
  if (!plan->again[at]) plan->head.n_blocks += ebb_cache_blocks(bytes);
}

static EbbStatus join_token_text(Plan *plan, const EbbDataset *dataset) {
  size_t bytes = 0;
  FILE *text = open_memstream(&plan->token_text, &bytes);
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for the tokens of '%s'", dataset->name);
  for (int64_t id = 0; id < dataset->vocabulary; id++)
    fwrite(dataset->token_text[id], 1, strlen(dataset->token_text[id]) + 1, text);
  const bool failed = ferror(text) != 0;
  if (fclose(text) != 0 || failed)
    return ebb_fail(EBB_MEMORY, "no memory for the tokens of '%s'", dataset->name);
  add_row(plan, EBB_CACHE_OF_DATASET, EBB_CACHE_TOKEN_TEXT, plan->token_text, bytes);
  return EBB_OK;
}

static EbbCacheFacts facts_of(const EbbDataset *dataset) {
  EbbCacheFacts facts;
  memset(&facts, 0, sizeof facts);
  snprintf(facts.name, sizeof facts.name, "%s", dataset->name);
  facts.n_classes = dataset->n_classes, facts.d_output = dataset->d_output;
  facts.vocabulary = dataset->vocabulary, facts.d_input = dataset->d_input;
  facts.n_towers = dataset->n_towers, facts.longest = dataset->longest;
  facts.variable_length = dataset->variable_length, facts.per_step = dataset->per_step;
  facts.scale_per_position = dataset->scale_per_position;
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples *samples = &dataset->split[split];
    facts.split[split].n_samples = samples->n_samples;
    facts.split[split].n_stored = samples->n_stored;
    facts.split[split].raw_type = samples->raw_type;
  }
  return facts;
}

/* Which arrays there are and where each goes. */
static EbbStatus lay_out(Plan *plan, const EbbDataset *dataset) {
  const EbbCacheKey *key = plan->key;
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples *samples = &dataset->split[split];
    for (int i = 0; samples->offset && i < EBB_SAMPLE_ARRAYS; i++)
      add_row(plan, split, i, ebb_sample_array(samples, i), ebb_sample_array_bytes(dataset, samples, i));
  }
  for (int i = 0; i < EBB_DATASET_ARRAYS; i++)
    add_row(plan, EBB_CACHE_OF_DATASET, i, ebb_dataset_array(dataset, i),
            ebb_dataset_array_bytes(dataset, i));
  if (dataset->token_text) EBB_TRY(join_token_text(plan, dataset));
  EbbCacheHead *head = &plan->head;
  memcpy(head->magic, "ebbcache", sizeof head->magic);
  head->version = EBB_CACHE_VERSION, head->byte_order = 0x01020304;
  head->settings_bytes = key->settings_bytes + 1, head->sources_bytes = key->sources_bytes + 1;
  head->head_bytes = sizeof *head + head->settings_bytes + head->sources_bytes + sizeof plan->facts +
                     head->n_rows * sizeof *plan->rows + head->n_blocks * sizeof *plan->crc;
  uint64_t end = page_up(head->head_bytes);
  for (size_t i = 0; i < head->n_rows; i++) {
    size_t first = 0;
    while (plan->array[first] != plan->array[i]) first++;
    plan->rows[i].begin = first < i ? plan->rows[first].begin : end;
    if (first == i) end = page_up(end + plan->rows[i].bytes);
  }
  head->file_bytes = end;
  return EBB_OK;
}

static void check_sums(Plan *plan) {
  uint32_t *crc = plan->crc;
  for (size_t i = 0; i < plan->head.n_rows; i++) {
    if (plan->again[i]) continue;
    const int64_t blocks = (int64_t)ebb_cache_blocks(plan->rows[i].bytes);
    const unsigned char *array = (const unsigned char *)plan->array[i];
    const size_t bytes = plan->rows[i].bytes;
#pragma omp parallel for schedule(dynamic)
    for (int64_t b = 0; b < blocks; b++) {
      const size_t at = (size_t)b * EBB_CACHE_BLOCK, left = bytes - at;
      crc[b] = (uint32_t)crc32_z(0, array + at, left < EBB_CACHE_BLOCK ? left : EBB_CACHE_BLOCK);
    }
    crc += blocks;
  }
}

static char *put(char *to, const void *from, size_t bytes) {
  if (bytes) memcpy(to, from, bytes);
  return to + bytes;
}

/* The head's bytes, and its own checksum in them. */
static EbbStatus join_head(Plan *plan) {
  EbbCacheHead *head = &plan->head;
  plan->crc = malloc((size_t)head->n_blocks * sizeof *plan->crc + 1);
  plan->written = malloc((size_t)head->head_bytes);
  if (!plan->crc || !plan->written) return ebb_fail(EBB_MEMORY, "no memory for the head of a cache");
  check_sums(plan);
  char *to = put(plan->written, head, sizeof *head);
  to = put(to, plan->key->settings, (size_t)head->settings_bytes);
  to = put(to, plan->key->sources, (size_t)head->sources_bytes);
  to = put(to, &plan->facts, sizeof plan->facts);
  to = put(to, plan->rows, (size_t)head->n_rows * sizeof *plan->rows);
  put(to, plan->crc, (size_t)head->n_blocks * sizeof *plan->crc);
  head->head_crc = (uint32_t)crc32_z(0, (const unsigned char *)plan->written, (size_t)head->head_bytes);
  put(plan->written, head, sizeof *head);
  return EBB_OK;
}

static EbbStatus write_padding(EbbFileWriter *writer, uint64_t *at) {
  static const char zeros[EBB_CACHE_PAGE];
  const size_t bytes = (size_t)(page_up(*at) - *at);
  *at += bytes;
  return ebb_file_writer_write(writer, zeros, bytes);
}

static EbbStatus write_array(const Plan *plan, size_t row, EbbFileWriter *writer, uint64_t *at) {
  char label[96];
  snprintf(label, sizeof label, "caching %s", plan->facts.name);
  const size_t bytes = (size_t)plan->rows[row].bytes;
  for (size_t done = 0; done < bytes;) {
    const size_t piece = bytes - done < EBB_CACHE_BLOCK ? bytes - done : EBB_CACHE_BLOCK;
    EBB_TRY(ebb_file_writer_write(writer, plan->array[row] + done, piece));
    done += piece, *at += piece;
    EBB_TRY(ebb_loading_step(plan->loading, label, (int64_t)((double)*at / MIB),
                             (int64_t)((double)plan->head.file_bytes / MIB), "MiB"));
  }
  return write_padding(writer, at);
}

static EbbStatus write_all(const Plan *plan, EbbFileWriter *writer) {
  uint64_t at = plan->head.head_bytes;
  EBB_TRY(ebb_file_writer_write(writer, plan->written, (size_t)plan->head.head_bytes));
  EBB_TRY(write_padding(writer, &at));
  for (size_t row = 0; row < plan->head.n_rows; row++)
    if (!plan->again[row]) EBB_TRY(write_array(plan, row, writer, &at));
  return ebb_file_writer_commit(writer);
}

static EbbStatus write_file(const Plan *plan, const char *path) {
  EbbFileWriter *writer = NULL;
  EBB_TRY(ebb_file_writer_create(path, &writer));
  const EbbStatus status = write_all(plan, writer);
  ebb_file_writer_destroy(writer);
  if (status != EBB_IO) return status;
  return ebb_fail_within(status,
                         "the cache of '%s' takes %.1f MiB; make room, name another folder with "
                         "dataset.cache_dir, or go without: dataset.cache=off",
                         plan->facts.name, (double)plan->head.file_bytes / MIB);
}

EbbStatus ebb_cache_write(const char *path, const EbbCacheKey *key, const EbbDataset *dataset,
                          const EbbLoading *loading) {
  Plan plan = {.key = key, .loading = loading, .facts = facts_of(dataset)};
  EbbStatus status = lay_out(&plan, dataset);
  if (status == EBB_OK) status = join_head(&plan);
  if (status == EBB_OK) status = write_file(&plan, path);
  free(plan.token_text);
  free(plan.crc);
  free(plan.written);
  return status;
}

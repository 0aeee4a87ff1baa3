#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "host/data/cache_file.h"
#include "host/data/sample_arrays.h"

enum { BLOCKS_A_STEP = 64 }; /* between reports of progress; fewer take no time worth one */

/* A mapped file and its parts. */
typedef struct Cache {
  const char *path;
  const char *file;
  size_t bytes;
  EbbCacheHead head;
  const char *settings, *sources;
  EbbCacheFacts facts;
  const char *rows, *crc; /* not aligned */
} Cache;

/* Constants where the analyser would think that ebb_fail may return EBB_OK. */
static EbbStatus damaged(const Cache *cache, const char *what) {
  ebb_fail(EBB_FORMAT, "%s: %s", cache->path, what);
  return EBB_FORMAT;
}

static EbbStatus refused(const Cache *cache, const char *what) {
  const int error = errno;
  ebb_fail(EBB_IO, "%s: cannot %s the cache: %s", cache->path, what, strerror(error));
  return error == ENOENT ? EBB_NOT_FOUND : EBB_IO;
}

static EbbStatus map_file(Cache *cache) {
  struct stat info;
  const int fd = open(cache->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused(cache, "open");
  EbbStatus status = EBB_OK;
  void *file = MAP_FAILED;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < (off_t)sizeof cache->head)
    status = damaged(cache, "is too short for a cache");
  else if ((file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
    status = refused(cache, "map");
  close(fd);
  EBB_TRY(status);
  cache->file = file, cache->bytes = (size_t)info.st_size;
  return EBB_OK;
}

/* Sizes first: nothing outside the file is looked at. */
static bool sizes_fit(const Cache *cache) {
  const EbbCacheHead *head = &cache->head;
  const uint64_t most = cache->bytes;
  const bool small = head->settings_bytes > 0 && head->settings_bytes <= most && head->sources_bytes > 0 &&
                     head->sources_bytes <= most && head->n_rows <= most && head->n_blocks <= most;
  return small && head->head_bytes <= most &&
         head->head_bytes == sizeof *head + head->settings_bytes + head->sources_bytes + sizeof cache->facts +
                                 head->n_rows * sizeof(EbbCacheRow) + head->n_blocks * sizeof(uint32_t);
}

static bool head_is_whole(const Cache *cache) {
  EbbCacheHead head = cache->head;
  head.head_crc = 0;
  const uLong crc = crc32_z(0, (const unsigned char *)&head, sizeof head);
  const size_t rest = (size_t)head.head_bytes - sizeof head;
  return crc32_z(crc, (const unsigned char *)cache->file + sizeof head, rest) == cache->head.head_crc;
}

static EbbStatus read_head(Cache *cache) {
  memcpy(&cache->head, cache->file, sizeof cache->head);
  const EbbCacheHead *head = &cache->head;
  if (memcmp(head->magic, "ebbcache", sizeof head->magic) != 0) return damaged(cache, "is no cache of ebb");
  if (head->version != EBB_CACHE_VERSION || head->byte_order != 0x01020304)
    return damaged(cache, "another version of ebb, or another kind of machine, wrote it");
  if (head->file_bytes != cache->bytes) return damaged(cache, "is cut off");
  if (!sizes_fit(cache) || !head_is_whole(cache)) return damaged(cache, "its head is damaged");
  const char *at = cache->file + sizeof *head;
  cache->settings = at, at += head->settings_bytes;
  cache->sources = at, at += head->sources_bytes;
  memcpy(&cache->facts, at, sizeof cache->facts);
  cache->rows = at + sizeof cache->facts;
  cache->crc = cache->rows + head->n_rows * sizeof(EbbCacheRow);
  return EBB_OK;
}

/* Names the first line that differs. */
static EbbStatus different(const char *then, const char *now, const char *what) {
  while (*then && *now) {
    const size_t a = strcspn(then, "\n"), b = strcspn(now, "\n");
    if (a != b || memcmp(then, now, a) != 0) break;
    then += a + (then[a] == '\n'), now += b + (now[b] == '\n');
  }
  return ebb_fail(EBB_MISMATCH, "%s: it was made from '%.*s', which now is '%.*s'", what,
                  (int)strcspn(then, "\n"), then, (int)strcspn(now, "\n"), now);
}

static EbbStatus check_key(const Cache *cache, const EbbCacheKey *key) {
  if (strcmp(cache->settings, key->settings) != 0)
    return different(cache->settings, key->settings, "settings");
  if (strcmp(cache->sources, key->sources) != 0)
    return different(cache->sources, key->sources, "a file has changed");
  return EBB_OK;
}

static EbbCacheRow row_at(const Cache *cache, uint64_t i) {
  EbbCacheRow row;
  memcpy(&row, cache->rows + i * sizeof row, sizeof row);
  return row;
}

static bool row_fits(const Cache *cache, const EbbCacheRow *row) {
  const bool dataset = row->split == EBB_CACHE_OF_DATASET;
  const int arrays = dataset ? EBB_DATASET_ARRAYS : EBB_SAMPLE_ARRAYS;
  const int first = dataset ? EBB_CACHE_TOKEN_TEXT : 0;
  return row->split >= EBB_CACHE_OF_DATASET && row->split < EBB_SPLITS && row->array >= first &&
         row->array < arrays && row->begin % EBB_CACHE_PAGE == 0 && row->begin <= cache->bytes &&
         row->bytes <= cache->bytes - row->begin;
}

/* ---- blocks ---- */

static bool place_is_earlier(const Cache *cache, uint64_t i) {
  const uint64_t begin = row_at(cache, i).begin;
  for (uint64_t earlier = 0; earlier < i; earlier++)
    if (row_at(cache, earlier).begin == begin && row_at(cache, earlier).bytes) return true;
  return false;
}

static bool block_is_whole(const Cache *cache, const EbbCacheRow *row, uint64_t block, uint64_t number) {
  uint32_t stored;
  memcpy(&stored, cache->crc + number * sizeof stored, sizeof stored);
  const size_t at = (size_t)block * EBB_CACHE_BLOCK, left = (size_t)row->bytes - at;
  const unsigned char *bytes = (const unsigned char *)cache->file + row->begin + at;
  return crc32_z(0, bytes, left < EBB_CACHE_BLOCK ? left : EBB_CACHE_BLOCK) == stored;
}

/* Blocks of one array; `number` is the first one's among all. */
static EbbStatus check_array(const Cache *cache, const EbbCacheRow *row, uint64_t number,
                             const EbbLoading *loading) {
  char label[96];
  snprintf(label, sizeof label, "reading %.63s", cache->facts.name);
  const int64_t blocks = (int64_t)ebb_cache_blocks(row->bytes);
  for (int64_t first = 0; first < blocks; first += BLOCKS_A_STEP) {
    const int64_t end = blocks - first < BLOCKS_A_STEP ? blocks : first + BLOCKS_A_STEP;
    int bad = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : bad)
    for (int64_t b = first; b < end; b++)
      bad += !block_is_whole(cache, row, (uint64_t)b, number + (uint64_t)b);
    if (bad) return damaged(cache, "its contents are damaged");
    if (cache->head.n_blocks > BLOCKS_A_STEP)
      EBB_TRY(
          ebb_loading_step(loading, label, (int64_t)number + end, (int64_t)cache->head.n_blocks, "block"));
  }
  return EBB_OK;
}

static EbbStatus check_blocks(const Cache *cache, const EbbLoading *loading) {
  uint64_t number = 0;
  for (uint64_t i = 0; i < cache->head.n_rows; i++) {
    const EbbCacheRow row = row_at(cache, i);
    if (!row_fits(cache, &row)) return damaged(cache, "its head is damaged");
    if (place_is_earlier(cache, i)) continue;
    const uint64_t blocks = ebb_cache_blocks(row.bytes);
    if (blocks > cache->head.n_blocks - number) return damaged(cache, "its head is damaged");
    EBB_TRY(check_array(cache, &row, number, loading));
    number += blocks;
  }
  return EBB_OK;
}

/* ---- the data set ---- */

static EbbStatus take_facts(const Cache *cache, EbbDataset *dataset) {
  const EbbCacheFacts *facts = &cache->facts;
  snprintf(dataset->name, sizeof dataset->name, "%.63s", facts->name);
  dataset->n_classes = facts->n_classes, dataset->d_output = facts->d_output;
  dataset->vocabulary = facts->vocabulary, dataset->d_input = facts->d_input;
  dataset->n_towers = facts->n_towers, dataset->longest = facts->longest;
  dataset->variable_length = facts->variable_length != 0, dataset->per_step = facts->per_step != 0;
  dataset->scale_per_position = facts->scale_per_position != 0;
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbSamples *samples = &dataset->split[split];
    samples->n_samples = facts->split[split].n_samples, samples->n_stored = facts->split[split].n_stored;
    if (facts->split[split].raw_type < 0 || facts->split[split].raw_type >= EBB_RAW_TYPES)
      return damaged(cache, "its head is damaged");
    samples->raw_type = (EbbRawType)facts->split[split].raw_type;
  }
  return EBB_OK;
}

static EbbStatus take_token_text(const Cache *cache, const EbbCacheRow *row, EbbDataset *dataset) {
  const char *text = cache->file + row->begin, *end = text + row->bytes;
  dataset->token_text = calloc((size_t)dataset->vocabulary + 1, sizeof *dataset->token_text);
  if (!dataset->token_text) return ebb_fail(EBB_MEMORY, "no memory for the tokens of '%s'", dataset->name);
  for (int64_t id = 0; id < dataset->vocabulary; id++) {
    const size_t length = strnlen(text, (size_t)(end - text));
    if (length == (size_t)(end - text)) return damaged(cache, "tokens are missing");
    dataset->token_text[id] = strdup(text);
    if (!dataset->token_text[id])
      return ebb_fail(EBB_MEMORY, "no memory for the tokens of '%s'", dataset->name);
    text += length + 1;
  }
  return EBB_OK;
}

/* Sizes are those that the facts and the offsets, which stand before the arrays that need them, ask for. */
static EbbStatus take_array(const Cache *cache, const EbbCacheRow *row, EbbDataset *dataset) {
  enum { OFFSET = 1 }; /* place among the sample arrays */
  EbbSamples *samples = &dataset->split[row->split];
  if (row->array > OFFSET && !samples->offset) return damaged(cache, "its head is damaged");
  if (ebb_sample_array_bytes(dataset, samples, row->array) != row->bytes)
    return damaged(cache, "an array has another size than its samples");
  ebb_set_sample_array(samples, row->array, (char *)dataset->mapping + row->begin);
  return EBB_OK;
}

static EbbStatus take_dataset_array(const Cache *cache, const EbbCacheRow *row, EbbDataset *dataset) {
  if (row->array == EBB_CACHE_TOKEN_TEXT) return take_token_text(cache, row, dataset);
  if (ebb_dataset_array_bytes(dataset, row->array) != row->bytes)
    return damaged(cache, "an array has another size than the data set");
  ebb_set_dataset_array(dataset, row->array, (char *)dataset->mapping + row->begin);
  return EBB_OK;
}

/* Arrays of a split come in the order of arrays.h. */
static EbbStatus take_arrays(const Cache *cache, EbbDataset *dataset) {
  for (uint64_t i = 0; i < cache->head.n_rows; i++) {
    const EbbCacheRow row = row_at(cache, i);
    const bool of_dataset = row.split == EBB_CACHE_OF_DATASET;
    EBB_TRY((of_dataset ? take_dataset_array : take_array)(cache, &row, dataset));
  }
  return EBB_OK;
}

static EbbStatus check_cache(Cache *cache, const EbbCacheKey *key, const EbbLoading *loading) {
  EBB_TRY(read_head(cache));
  EBB_TRY(check_key(cache, key));
  return check_blocks(cache, loading);
}

EbbStatus ebb_cache_read(const char *path, const EbbCacheKey *key, const EbbLoading *loading,
                         EbbDataset **out) {
  *out = NULL;
  Cache cache = {.path = path};
  EbbDataset *dataset = calloc(1, sizeof *dataset);
  if (!dataset) return ebb_fail(EBB_MEMORY, "%s: no memory for a data set", path);
  EbbStatus status = map_file(&cache);
  dataset->mapping = (char *)cache.file, dataset->mapping_bytes = cache.bytes;
  if (status == EBB_OK) status = check_cache(&cache, key, loading);
  if (status == EBB_OK) status = take_facts(&cache, dataset);
  if (status == EBB_OK) status = take_arrays(&cache, dataset);
  if (status == EBB_OK)
    *out = dataset;
  else
    ebb_dataset_destroy(dataset);
  return status;
}

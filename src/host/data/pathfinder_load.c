#include "host/data/pathfinder_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ebb/file.h"
#include "ebb/numpy_random.h"
#include "host/data/data_elsewhere.h"
#include "host/data/pathfinder_folder.h"
#include "host/data/pathfinder_rows.h"
#include "host/data/png_grey.h"

enum {
  CLASSES = 2,
  LEVELS_OF_GREY = 256,
  MOST_POOL = 8,
  MOST_SIDE = 1024,
  SPLIT_SEED = 42,
  MOST_PNG = 1 << 24
};

static const double TEST_SHARE = 0.1;

typedef struct Reader {
  const EbbPathfinderOptions *options;
  char folder[PATHFINDER_PATH - 64];
  EbbPathfinderRows rows;
  bool *skipped;          /* (rows) */
  int64_t *kept;          /* (n_kept) rows that are not */
  int64_t n_kept, length; /* pixels of an image as it is shown */
  void *raw;              /* (rows, length) */
  EbbDataset *dataset;
} Reader;

static bool wide(const Reader *reader) { return reader->options->pool > 1 && !reader->options->tokenize; }

/* What a batch shows of an image: bytes, or sums of pool x pool of them. */
static void store(Reader *reader, int64_t row, const uint8_t *pixels) {
  const int64_t pool = reader->options->pool, side = reader->options->resolution, n = side / pool;
  for (int64_t y = 0; y < n; y++) {
    for (int64_t x = 0; x < n; x++) {
      int sum = 0;
      for (int64_t i = 0; i < pool * pool; i++)
        sum += pixels[(y * pool + i / pool) * side + x * pool + i % pool];
      const int64_t to = row * reader->length + y * n + x;
      if (wide(reader))
        ((int16_t *)reader->raw)[to] = (int16_t)sum;
      else
        ((uint8_t *)reader->raw)[to] = (uint8_t)(sum / (pool * pool));
    }
  }
}

static EbbStatus read_image(Reader *reader, int64_t index, uint8_t *pixels) {
  const EbbPathfinderRow *row = &reader->rows.row[index];
  const int side = (int)reader->options->resolution;
  char *path, *bytes = NULL;
  size_t length;
  if (asprintf(&path, "%s/%s", reader->folder, reader->rows.names + row->name) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of an image");
  EbbStatus status = ebb_file_read(path, MOST_PNG, &bytes, &length);
  reader->skipped[index] = status == EBB_OK && length == 0;
  if (status == EBB_OK && length > 0) status = ebb_png_read_grey(bytes, length, path, side, side, pixels);
  if (status == EBB_OK && length > 0) store(reader, index, pixels);
  free(bytes);
  free(path);
  return status;
}

/* Reads images [begin, end); returns the first that failed, or the number of all images. */
static int64_t read_some(Reader *reader, int64_t begin, int64_t end) {
  const size_t area = (size_t)reader->options->resolution * (size_t)reader->options->resolution;
  int64_t failed = reader->rows.n;
#pragma omp parallel
  {
    uint8_t *pixels = malloc(area);
#pragma omp for schedule(static)
    for (int64_t i = begin; i < end; i++) {
      if (pixels && read_image(reader, i, pixels) == EBB_OK) continue;
#pragma omp critical(ebb_pathfinder_read)
      if (i < failed) failed = i;
    }
    free(pixels);
  }
  return failed;
}

/* A failure is repeated for its sentence, so that it is that of the first image that is wrong. */
static EbbStatus explain(Reader *reader, int64_t failed) {
  uint8_t *pixels = malloc((size_t)reader->options->resolution * (size_t)reader->options->resolution);
  if (!pixels) return ebb_fail(EBB_MEMORY, "no memory for one image");
  const EbbStatus status = read_image(reader, failed, pixels);
  free(pixels);
  const EbbPathfinderRow *row = &reader->rows.row[failed];
  return status == EBB_OK ? ebb_fail(EBB_IO, "'%s' changed while it was read", reader->folder)
                          : ebb_fail_within(status, "Pathfinder: line %d of '%s/metadata/%lld.npy'",
                                            (int)row->line, reader->folder, (long long)row->file);
}

static EbbStatus read_images(Reader *reader) {
  enum { STEP = 2048 }; /* images between reports */
  const int64_t n = reader->rows.n;
  for (int64_t begin = 0; begin < n; begin += STEP) {
    const int64_t end = n - begin < STEP ? n : begin + STEP;
    const int64_t failed = read_some(reader, begin, end);
    if (failed < n) return explain(reader, failed);
    EBB_TRY(ebb_loading_step(reader->options->loading, "pathfinder", end, n, "image"));
  }
  return EBB_OK;
}

static EbbStatus no_memory(const Reader *reader) {
  return ebb_fail(EBB_MEMORY, "Pathfinder: no memory for %lld images of %lld pixels",
                  (long long)reader->rows.n, (long long)reader->length);
}

static EbbStatus allocate(Reader *reader) {
  const size_t n = (size_t)reader->rows.n, bytes = wide(reader) ? sizeof(int16_t) : sizeof(uint8_t);
  reader->skipped = calloc(n, sizeof *reader->skipped);
  reader->kept = malloc(n * sizeof *reader->kept);
  reader->raw = calloc(n, (size_t)reader->length * bytes);
  return reader->skipped && reader->kept && reader->raw ? EBB_OK : no_memory(reader);
}

/* Images begin .. begin + n - 1 of the permutation become the split. */
static EbbStatus take(Reader *reader, const int64_t *permutation, int64_t begin, int64_t n, EbbSplit split) {
  EbbSamples *samples = &reader->dataset->split[split];
  *samples = reader->dataset->split[EBB_TRAIN];
  samples->order = malloc((size_t)(n + 1) * sizeof *samples->order);
  if (!samples->order) return no_memory(reader);
  for (int64_t i = 0; i < n; i++) samples->order[i] = reader->kept[permutation[begin + i]];
  samples->n_samples = n;
  return EBB_OK;
}

static EbbStatus split_images(Reader *reader, int64_t *permutation) {
  const EbbPathfinderOptions *options = reader->options;
  const int64_t n = reader->n_kept, n_val = (int64_t)(options->val_split * (double)n);
  const int64_t n_test = (int64_t)(TEST_SHARE * (double)n), n_train = n - n_val - n_test;
  if (n_val < 1 || n_test < 1 || n_train < 1)
    return ebb_fail(EBB_FORMAT, "Pathfinder: '%s' has %lld images, too few for three splits", reader->folder,
                    (long long)n);
  ebb_torch_permutation(SPLIT_SEED, n, permutation);
  const int64_t most = options->max_samples;
  EBB_TRY(take(reader, permutation, 0, most > 0 && most < n_train ? most : n_train, EBB_TRAIN));
  EBB_TRY(take(reader, permutation, n_train, n_val, EBB_VALIDATION));
  return take(reader, permutation, n_train + n_val, n_test, EBB_TEST);
}

/* The arrays that all splits are views of; the training split holds them until then. */
static EbbStatus store_samples(Reader *reader) {
  EbbSamples *samples = &reader->dataset->split[EBB_TRAIN];
  const int64_t n = reader->rows.n;
  samples->raw = reader->raw, reader->raw = NULL;
  samples->raw_type = wide(reader) ? EBB_RAW_I16 : EBB_RAW_U8;
  samples->n_stored = n;
  samples->offset = malloc((size_t)(n + 1) * sizeof *samples->offset);
  samples->labels = malloc((size_t)n * sizeof *samples->labels);
  if (!samples->offset || !samples->labels) return no_memory(reader);
  for (int64_t i = 0; i <= n; i++) samples->offset[i] = i * reader->length;
  for (int64_t i = 0; i < n; i++) samples->labels[i] = reader->rows.row[i].label;
  for (int64_t i = 0; i < n; i++)
    if (!reader->skipped[i]) reader->kept[reader->n_kept++] = i;
  if (reader->n_kept < n)
    ebb_loading_line(reader->options->loading,
                     "pathfinder: %lld of the %lld images in %s are empty files and "
                     "are left out",
                     (long long)(n - reader->n_kept), (long long)n, reader->folder);
  int64_t *permutation = malloc((size_t)(reader->n_kept + 1) * sizeof *permutation);
  const EbbStatus status = permutation ? split_images(reader, permutation) : no_memory(reader);
  free(permutation);
  return status;
}

static EbbStatus make_dataset(Reader *reader) {
  EbbDataset *dataset = reader->dataset = calloc(1, sizeof *dataset);
  if (!dataset) return no_memory(reader);
  snprintf(dataset->name, sizeof dataset->name, "pathfinder");
  dataset->n_classes = dataset->d_output = CLASSES;
  dataset->n_towers = 1;
  dataset->longest = reader->length;
  if (reader->options->tokenize) {
    dataset->vocabulary = LEVELS_OF_GREY;
  } else {
    const int64_t pool = wide(reader) ? reader->options->pool : 1;
    dataset->d_input = 1;
    dataset->scale = malloc(sizeof *dataset->scale);
    dataset->offset = malloc(sizeof *dataset->offset);
    if (!dataset->scale || !dataset->offset) return no_memory(reader);
    *dataset->scale = 2 / (255 * (float)(pool * pool));
    *dataset->offset = -1;
  }
  return store_samples(reader);
}

static EbbStatus check(const EbbPathfinderOptions *options, int64_t length) {
  const int64_t side = options->resolution, pool = options->pool;
  if (side < 1 || side > MOST_SIDE)
    return ebb_fail(EBB_INVALID, "Pathfinder: the resolution is %lld, but must be in 1..%d", (long long)side,
                    (int)MOST_SIDE);
  if (pool < 1 || pool > MOST_POOL || side % pool != 0)
    return ebb_fail(EBB_INVALID,
                    "Pathfinder: pool is %lld, but must divide the resolution %lld and be at most %d",
                    (long long)pool, (long long)side, (int)MOST_POOL);
  if (length <= options->l_max) return EBB_OK;
  return ebb_fail(EBB_INVALID,
                  "Pathfinder: an image has %lld pixels, but dataset.l_max %lld would cut it; give "
                  "dataset.l_max=%lld",
                  (long long)length, (long long)options->l_max, (long long)length);
}

static EbbStatus missing(const Reader *reader, const char *root, const char *level) {
  const long long resolution = (long long)reader->options->resolution;
  char mark[128];
  snprintf(mark, sizeof mark, "pathfinder%lld/%s", resolution, level);
  const char *const marks[] = {mark, NULL};
  char *elsewhere = ebb_data_elsewhere(root, marks);
  const EbbStatus status =
      elsewhere
          ? ebb_fail(EBB_NOT_FOUND,
                     "Pathfinder: '%s' does not exist, but '%s/%s' does: take dataset.data_dir=%s",
                     reader->folder, elsewhere, mark, elsewhere)
          : ebb_fail(
                EBB_NOT_FOUND,
                "Pathfinder: '%s' does not exist; `ebb data pathfinder --resolution %lld --level %s` makes "
                "it, or put the folder pathfinder%lld of the published Long Range Arena release there "
                "(dataset.data_dir names the folder above it; without it $EBB_DATA/pathfinder, or "
                "data/pathfinder where EBB_DATA is not set)",
                reader->folder, resolution, level, resolution);
  free(elsewhere);
  return status;
}

static EbbStatus find_folder(Reader *reader) {
  const EbbPathfinderOptions *options = reader->options;
  const char *data = getenv("EBB_DATA"), *level = ebb_pathfinder_level_name(options->level);
  const char *root = options->folder ? options->folder : data && *data ? data : "data";
  char unfinished[PATHFINDER_PATH];
  const int length = snprintf(reader->folder, sizeof reader->folder, "%s%s/pathfinder%lld/%s", root,
                              options->folder ? "" : "/pathfinder", (long long)options->resolution, level);
  if (length < 0 || (size_t)length >= sizeof reader->folder)
    return ebb_fail(EBB_INVALID, "Pathfinder: the folder's name is too long: %.60s...", root);
  snprintf(unfinished, sizeof unfinished, "%s/%s", reader->folder, PATHFINDER_UNFINISHED);
  if (ebb_file_exists(unfinished))
    return ebb_fail(
        EBB_STATE,
        "Pathfinder: '%s' is not finished; `ebb data pathfinder` with the settings that '%s' says "
        "goes on with it",
        reader->folder, unfinished);
  if (access(reader->folder, F_OK) == 0) return EBB_OK;
  return missing(reader, root, level);
}

static EbbStatus find_images(Reader *reader) {
  EBB_TRY(check(reader->options, reader->length));
  EBB_TRY(find_folder(reader));
  return ebb_pathfinder_rows_read(reader->folder, &reader->rows);
}

static EbbStatus load(Reader *reader) {
  EBB_TRY(find_images(reader));
  EBB_TRY(allocate(reader));
  EBB_TRY(read_images(reader));
  return make_dataset(reader);
}

static Reader reader_of(const EbbPathfinderOptions *options) {
  const int64_t side = options->pool > 0 ? options->resolution / options->pool : 0;
  return (Reader){.options = options, .length = side * side};
}

EbbStatus ebb_pathfinder_load(const EbbPathfinderOptions *options, EbbDataset **out) {
  *out = NULL;
  Reader reader = reader_of(options);
  EbbStatus status = load(&reader);
  ebb_pathfinder_rows_release(&reader.rows);
  free(reader.skipped);
  free(reader.kept);
  free(reader.raw);
  if (status == EBB_OK)
    *out = reader.dataset;
  else
    ebb_dataset_destroy(reader.dataset);
  return status;
}

/* The metadata file of a row and the folder of its image, once for rows that follow each other. */
static EbbStatus add_source(const Reader *reader, int64_t index, EbbCacheKey *key) {
  const EbbPathfinderRow *row = &reader->rows.row[index];
  const char *name = reader->rows.names + row->name;
  const char *slash = strrchr(name, '/');
  char *file = NULL;
  if (index > 0 && row->file == row[-1].file) return EBB_OK;
  if (asprintf(&file, "metadata/%lld.npy", (long long)row->file) < 0) return no_memory(reader);
  EbbStatus status = ebb_cache_key_file(key, file);
  free(file);
  if (status != EBB_OK || !slash) return status;
  if (asprintf(&file, "%.*s", (int)(slash - name), name) < 0) return no_memory(reader);
  status = ebb_cache_key_file(key, file);
  free(file);
  return status;
}

EbbStatus ebb_pathfinder_sources(const EbbPathfinderOptions *options, EbbCacheKey *key) {
  Reader reader = reader_of(options);
  EbbStatus status = find_images(&reader);
  if (status == EBB_OK) status = ebb_cache_key_folder(key, reader.folder);
  for (int64_t i = 0; i < reader.rows.n && status == EBB_OK; i++) status = add_source(&reader, i, key);
  key->expected = reader.rows.n * reader.length * (wide(&reader) ? 2 : 1);
  ebb_pathfinder_rows_release(&reader.rows);
  return status;
}

#include <stdio.h>
#include <stdlib.h>

#include "ebb/file.h"
#include "host/data/aside.h"
#include "host/data/data_file.h"
#include "host/data/images.h"
#include "host/data/pixel_order.h"

enum { CLASSES = 10, CHANNELS = 3, RECORD = 1 + CHANNELS * EBB_CIFAR_PIXELS, BATCHES = 5, GREYS = 256 };

uint8_t ebb_cifar_grey(unsigned red, unsigned green, unsigned blue) {
  return (uint8_t)((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
}

EbbStatus ebb_cifar_check(const char *bytes, size_t length, const char *origin, int64_t *n) {
  *n = (int64_t)(length / RECORD);
  if (length == 0 || length % RECORD != 0)
    return ebb_fail(EBB_FORMAT,
                    "%s: %zu bytes are no whole records of %d bytes (a label and 3 x 1024 pixels); record "
                    "%lld is cut off",
                    origin, length, (int)RECORD, (long long)*n);
  for (int64_t i = 0; i < *n; i++) {
    const unsigned label = (unsigned char)bytes[i * RECORD];
    if (label >= CLASSES)
      return ebb_fail(EBB_FORMAT, "%s: the label of record %lld is %u, not one of 0..9", origin, (long long)i,
                      label);
  }
  return EBB_OK;
}

/* How a loader shows an image. */
typedef struct View {
  bool grey, tokens;
  int colours;      /* values of a pixel: 1 or 3 */
  int d_input;      /* the same, twice where columns stand beside rows */
  int32_t *columns; /* (EBB_CIFAR_PIXELS) or NULL */
} View;

static void put_pixel(const View *view, const uint8_t *planes, int pixel, uint8_t *to) {
  const uint8_t *at = planes + pixel;
  if (view->grey)
    to[0] = ebb_cifar_grey(at[0], at[EBB_CIFAR_PIXELS], at[2 * EBB_CIFAR_PIXELS]);
  else
    for (int channel = 0; channel < CHANNELS; channel++) to[channel] = at[channel * EBB_CIFAR_PIXELS];
}

static EbbStatus grow(EbbSamples *samples, int64_t n, int d_input) {
  uint8_t *raw = realloc(samples->raw, (size_t)n * EBB_CIFAR_PIXELS * (size_t)d_input);
  if (raw) samples->raw = raw;
  int32_t *labels = realloc(samples->labels, (size_t)n * sizeof *labels);
  if (labels) samples->labels = labels;
  int64_t *offset = realloc(samples->offset, ((size_t)n + 1) * sizeof *offset);
  if (offset) samples->offset = offset;
  if (!raw || !labels || !offset) return ebb_fail(EBB_MEMORY, "no memory for %lld images", (long long)n);
  return EBB_OK;
}

static EbbStatus append(const View *view, const EbbDataFile *file, EbbSamples *samples) {
  int64_t n;
  EBB_TRY(ebb_cifar_check(file->text, file->length, file->path, &n));
  const int64_t before = samples->n_samples, after = before + n;
  EBB_TRY(grow(samples, after, view->d_input));
  uint8_t *to = (uint8_t *)samples->raw + before * EBB_CIFAR_PIXELS * view->d_input;
  for (int64_t i = 0; i < n; i++) {
    const uint8_t *record = (const uint8_t *)file->text + i * RECORD;
    samples->labels[before + i] = record[0];
    for (int pixel = 0; pixel < EBB_CIFAR_PIXELS; pixel++, to += view->d_input) {
      put_pixel(view, record + 1, pixel, to);
      if (view->columns) put_pixel(view, record + 1, view->columns[pixel], to + view->colours);
    }
  }
  for (int64_t i = before; i <= after; i++) samples->offset[i] = i * EBB_CIFAR_PIXELS;
  samples->n_samples = after;
  return EBB_OK;
}

static EbbStatus read_batch(const EbbDataSource *source, const char *inner, const char *name,
                            const View *view, EbbSamples *samples) {
  char path[64];
  snprintf(path, sizeof path, "%s%s", inner, name);
  EbbDataFile file;
  EbbStatus status = ebb_data_file_read(source, path, &file);
  if (status == EBB_OK) status = append(view, &file, samples);
  ebb_data_file_release(&file);
  return status;
}

/* The folder that the published archive unpacks to, if the files stand there. */
static EbbStatus find_inner(const EbbDataSource *source, const char **inner) {
  static const char folder[] = "cifar-10-batches-bin/";
  *inner = "";
  static const char *const suffixes[] = {"test_batch.bin", "test_batch.bin.gz"};
  for (int i = 0; i < 2; i++) {
    char *probe;
    EBB_TRY(ebb_data_path(source, folder, suffixes[i], &probe));
    if (ebb_file_exists(probe)) *inner = folder;
    free(probe);
  }
  return EBB_OK;
}

static EbbStatus read_all(const EbbDataSource *source, const View *view, EbbDataset *dataset) {
  const char *inner;
  EBB_TRY(find_inner(source, &inner));
  for (int batch = 1; batch <= BATCHES; batch++) {
    char name[32];
    snprintf(name, sizeof name, "data_batch_%d.bin", batch);
    EBB_TRY(read_batch(source, inner, name, view, &dataset->split[EBB_TRAIN]));
  }
  return read_batch(source, inner, "test_batch.bin", view, &dataset->split[EBB_TEST]);
}

/* value = byte * scale + offset. */
static EbbStatus set_scales(const View *view, EbbDataset *dataset) {
  static const double mean[CHANNELS] = {0.4914, 0.4822, 0.4465}, deviation[CHANNELS] = {0.247, 0.243, 0.261};
  dataset->d_input = view->d_input;
  dataset->scale = malloc((size_t)view->d_input * sizeof *dataset->scale);
  dataset->offset = malloc((size_t)view->d_input * sizeof *dataset->offset);
  if (!dataset->scale || !dataset->offset)
    return ebb_fail(EBB_MEMORY, "no memory for the scales of cifar's pixels");
  for (int i = 0; i < view->d_input; i++) {
    const int channel = i % view->colours;
    const double m = view->grey ? 122.6 / 255 : mean[channel],
                 s = view->grey ? 61.0 / 255 : deviation[channel];
    dataset->scale[i] = (float)(1 / (255 * s));
    dataset->offset[i] = (float)(-m / s);
  }
  return EBB_OK;
}

static EbbStatus set_view(const EbbConfig *config, EbbPixelOrder order, View *view) {
  view->grey = ebb_config_flag(config, "dataset.grayscale");
  view->tokens = ebb_config_flag(config, "dataset.tokenize");
  view->colours = view->grey ? 1 : CHANNELS;
  view->d_input = view->colours * (order == EBB_PIXELS_TRANSPOSE ? 2 : 1);
  if (view->tokens && !view->grey)
    return ebb_fail(EBB_INVALID,
                    "cifar: dataset.tokenize=true needs dataset.grayscale=true: a token is one grey value");
  if (view->tokens && order == EBB_PIXELS_TRANSPOSE)
    return ebb_fail(EBB_INVALID, "cifar: dataset.permute=transpose makes two values of a pixel, which "
                                 "dataset.tokenize=true cannot show");
  return order == EBB_PIXELS_TRANSPOSE ? ebb_pixel_order(order, EBB_CIFAR_SIDE, &view->columns) : EBB_OK;
}

static EbbStatus fill(const EbbConfig *config, View *view, EbbDataset *dataset) {
  const EbbDataSource source = {"cifar", ebb_config_string(config, "dataset.data_dir"),
                                "the files data_batch_1.bin .. data_batch_5.bin and test_batch.bin of "
                                "CIFAR-10's binary version (cifar-10-binary.tar.gz, unpacked; "
                                "www.cs.toronto.edu/~kriz/cifar.html)"};
  const EbbPixelOrder order = ebb_pixel_order_key(config, EBB_PIXELS_ROWS);
  EBB_TRY(set_view(config, order, view));
  snprintf(dataset->name, sizeof dataset->name, "cifar");
  dataset->n_classes = dataset->d_output = CLASSES;
  dataset->n_towers = 1;
  dataset->longest = EBB_CIFAR_PIXELS;
  if (view->tokens)
    dataset->vocabulary = GREYS;
  else
    EBB_TRY(set_scales(view, dataset));
  if (order != EBB_PIXELS_ROWS && order != EBB_PIXELS_TRANSPOSE)
    EBB_TRY(ebb_pixel_order(order, EBB_CIFAR_SIDE, &dataset->permutation));
  EBB_TRY(read_all(&source, view, dataset));
  EBB_TRY(ebb_dataset_torch_validation(dataset, ebb_config_number(config, "dataset.val_split"),
                                       (uint32_t)ebb_config_integer(config, "dataset.seed")));
  ebb_dataset_cut(dataset, ebb_config_integer_or(config, "dataset.max_samples", 0));
  return EBB_OK;
}

EbbStatus ebb_cifar_load(const EbbConfig *config, EbbDataset **out) {
  *out = NULL;
  EbbDataset *dataset = calloc(1, sizeof *dataset);
  if (!dataset) return ebb_fail(EBB_MEMORY, "no memory for the data set 'cifar'");
  View view = {0};
  const EbbStatus status = fill(config, &view, dataset);
  free(view.columns);
  if (status == EBB_OK)
    *out = dataset;
  else
    ebb_dataset_destroy(dataset);
  return status;
}

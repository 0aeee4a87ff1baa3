#include "host/data/mnist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/aside.h"
#include "host/data/images.h"
#include "host/data/pixel_order.h"

enum { PIXELS = EBB_MNIST_SIDE * EBB_MNIST_SIDE };

static const struct {
  const char *images, *labels;
} names[2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
              {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}};

static EbbStatus check(const EbbIdx *images, const EbbIdx *labels, const char *path) {
  if (images->dim[1] != EBB_MNIST_SIDE || images->dim[2] != EBB_MNIST_SIDE)
    return ebb_fail(EBB_FORMAT, "%s: images of %lld x %lld, expected %d x %d", path,
                    (long long)images->dim[1], (long long)images->dim[2], (int)EBB_MNIST_SIDE,
                    (int)EBB_MNIST_SIDE);
  if (images->dim[0] != labels->dim[0])
    return ebb_fail(EBB_FORMAT, "%s: %lld images, but %lld labels", path, (long long)images->dim[0],
                    (long long)labels->dim[0]);
  for (int64_t i = 0; i < labels->size; i++)
    if (labels->bytes[i] >= EBB_MNIST_CLASSES)
      return ebb_fail(EBB_FORMAT, "%s: label %lld is %d, not one of 0..9", path, (long long)i,
                      (int)labels->bytes[i]);
  return EBB_OK;
}

EbbStatus ebb_mnist_read(const EbbDataSource *source, int part, EbbMnistFiles *out) {
  *out = (EbbMnistFiles){0};
  EBB_TRY(ebb_data_file_read(source, names[part].images, &out->file[0]));
  EBB_TRY(ebb_data_file_read(source, names[part].labels, &out->file[1]));
  EBB_TRY(ebb_idx_parse(out->file[0].text, out->file[0].length, out->file[0].path, 3, &out->images));
  EBB_TRY(ebb_idx_parse(out->file[1].text, out->file[1].length, out->file[1].path, 1, &out->labels));
  return check(&out->images, &out->labels, out->file[0].path);
}

void ebb_mnist_release(EbbMnistFiles *files) {
  ebb_data_file_release(&files->file[0]);
  ebb_data_file_release(&files->file[1]);
}

/* ---- one pixel a step ---- */

static EbbStatus take(const EbbMnistFiles *files, EbbSamples *samples) {
  const int64_t n = files->images.dim[0];
  samples->raw = malloc((size_t)n * PIXELS + 1);
  samples->offset = malloc(((size_t)n + 1) * sizeof *samples->offset);
  samples->labels = malloc(((size_t)n + 1) * sizeof *samples->labels);
  if (!samples->raw || !samples->offset || !samples->labels)
    return ebb_fail(EBB_MEMORY, "no memory for %lld images", (long long)n);
  if (n > 0) memcpy(samples->raw, files->images.bytes, (size_t)n * PIXELS);
  for (int64_t i = 0; i <= n; i++) samples->offset[i] = i * PIXELS;
  for (int64_t i = 0; i < n; i++) samples->labels[i] = files->labels.bytes[i];
  samples->n_samples = n;
  return EBB_OK;
}

static EbbStatus read_split(const EbbDataSource *source, EbbSplit split, EbbDataset *dataset) {
  EbbMnistFiles files;
  EbbStatus status = ebb_mnist_read(source, split == EBB_TEST, &files);
  if (status == EBB_OK && files.images.dim[0] == 0)
    status = ebb_fail(EBB_FORMAT, "%s: the file has no images", files.file[0].path);
  if (status == EBB_OK) status = take(&files, &dataset->split[split]);
  ebb_mnist_release(&files);
  return status;
}

static EbbStatus set_scale(EbbDataset *dataset) {
  dataset->scale = malloc(sizeof *dataset->scale);
  dataset->offset = calloc(1, sizeof *dataset->offset);
  if (!dataset->scale || !dataset->offset) return ebb_fail(EBB_MEMORY, "no memory for the scale of pixels");
  dataset->scale[0] = 1.0F / 255.0F;
  return EBB_OK;
}

static EbbStatus fill(const EbbConfig *config, const EbbDataSource *source, EbbDataset *dataset) {
  snprintf(dataset->name, sizeof dataset->name, "%s", source->name);
  dataset->n_classes = dataset->d_output = EBB_MNIST_CLASSES;
  dataset->n_towers = dataset->d_input = 1;
  dataset->longest = PIXELS;
  EBB_TRY(set_scale(dataset));
  const EbbPixelOrder order = ebb_pixel_order_key(config, EBB_PIXELS_BIT_REVERSAL);
  if (order == EBB_PIXELS_TRANSPOSE)
    return ebb_fail(EBB_INVALID, "%s: dataset.permute=transpose is cifar's; choose another order",
                    source->name);
  if (order != EBB_PIXELS_ROWS) EBB_TRY(ebb_pixel_order(order, EBB_MNIST_SIDE, &dataset->permutation));
  EBB_TRY(read_split(source, EBB_TRAIN, dataset));
  EBB_TRY(read_split(source, EBB_TEST, dataset));
  EBB_TRY(ebb_dataset_torch_validation(dataset, ebb_config_number(config, "dataset.val_split"),
                                       (uint32_t)ebb_config_integer(config, "dataset.seed")));
  ebb_dataset_cut(dataset, ebb_config_integer_or(config, "dataset.max_samples", 0));
  return EBB_OK;
}

static EbbStatus load(const EbbConfig *config, const EbbDataSource *source, EbbDataset **out) {
  *out = NULL;
  EbbDataset *dataset = calloc(1, sizeof *dataset);
  if (!dataset) return ebb_fail(EBB_MEMORY, "no memory for the data set '%s'", source->name);
  const EbbStatus status = fill(config, source, dataset);
  if (status == EBB_OK)
    *out = dataset;
  else
    ebb_dataset_destroy(dataset);
  return status;
}

EbbStatus ebb_mnist_load(const EbbConfig *config, EbbDataset **out) {
  const EbbDataSource source = {"mnist", ebb_config_string(config, "dataset.data_dir"),
                                "the four files of MNIST (*-ubyte or *-ubyte.gz)"};
  return load(config, &source, out);
}

EbbStatus ebb_fashion_pixels_load(const EbbConfig *config, EbbDataset **out) {
  const EbbDataSource source = {"fashion", ebb_config_string(config, "dataset.data_dir"),
                                "the four files of Fashion-MNIST (*-ubyte or *-ubyte.gz)"};
  return load(config, &source, out);
}

#include <stdlib.h>
#include <string.h>

#include "host/data/mnist.h"
#include "host/data/sources.h"

enum { CLASSES = EBB_MNIST_CLASSES, SIDE = EBB_MNIST_SIDE, VALIDATION = 6000 };

/* Images begin .. begin + n - 1 become the split's samples. */
static EbbStatus take(const EbbIdx *images, const EbbIdx *labels, int64_t begin, int64_t n,
                      EbbSamples *samples) {
  enum { PIXELS = SIDE * SIDE };
  samples->offset = malloc(((size_t)n + 1) * sizeof *samples->offset);
  samples->labels = malloc(((size_t)n + 1) * sizeof *samples->labels);
  samples->values = malloc(((size_t)n * PIXELS + 1) * sizeof *samples->values);
  if (!samples->offset || !samples->labels || !samples->values)
    return ebb_fail(EBB_MEMORY, "no memory for %lld images", (long long)n);
  for (int64_t i = 0; i <= n; i++) samples->offset[i] = i * SIDE;
  for (int64_t i = 0; i < n; i++) samples->labels[i] = labels->bytes[begin + i];
  for (int64_t i = 0; i < n * PIXELS; i++)
    samples->values[i] = (float)images->bytes[begin * PIXELS + i] / 255.0F;
  samples->n_samples = n;
  return EBB_OK;
}

static EbbStatus take_training(const EbbIdx *images, const EbbIdx *labels, const char *path,
                               int64_t max_samples, EbbDataset *dataset) {
  int64_t n = images->dim[0] - VALIDATION;
  if (n < 1)
    return ebb_fail(EBB_FORMAT, "%s: %lld images; more than the %d for validation are needed", path,
                    (long long)images->dim[0], (int)VALIDATION);
  EBB_TRY(take(images, labels, n, VALIDATION, &dataset->split[EBB_VALIDATION]));
  return take(images, labels, 0, max_samples > 0 && n > max_samples ? max_samples : n,
              &dataset->split[EBB_TRAIN]);
}

/* part 0: training and validation; part 1: test. */
static EbbStatus read_part(const EbbDataSource *source, int part, int64_t max_samples, EbbDataset *dataset) {
  EbbMnistFiles files;
  EbbStatus status = ebb_mnist_read(source, part, &files);
  if (status == EBB_OK)
    status = part == 0
                 ? take_training(&files.images, &files.labels, files.file[0].path, max_samples, dataset)
                 : take(&files.images, &files.labels, 0, files.images.dim[0], &dataset->split[EBB_TEST]);
  ebb_mnist_release(&files);
  return status;
}

static EbbStatus load(const EbbDataSource *source, int64_t max_samples, EbbDataset **out) {
  *out = NULL;
  EbbDataset *dataset = calloc(1, sizeof *dataset);
  if (!dataset) return ebb_fail(EBB_MEMORY, "no memory for the data set '%s'", source->name);
  memcpy(dataset->name, source->name, strlen(source->name) + 1);
  dataset->n_classes = dataset->d_output = CLASSES;
  dataset->d_input = dataset->longest = SIDE;
  dataset->n_towers = 1;
  EbbStatus status = read_part(source, 0, max_samples, dataset);
  if (status == EBB_OK) status = read_part(source, 1, 0, dataset);
  if (status == EBB_OK)
    *out = dataset;
  else
    ebb_dataset_destroy(dataset);
  return status;
}

EbbStatus ebb_smnist_load(const EbbSourceOptions *options, EbbDataset **out) {
  const EbbDataSource source = {"smnist", options->folder, "the four files of MNIST (*-ubyte or *-ubyte.gz)"};
  return load(&source, options->max_samples, out);
}

EbbStatus ebb_fashion_load(const EbbSourceOptions *options, EbbDataset **out) {
  const EbbDataSource source = {"fashion_mnist", options->folder,
                                "the four files of Fashion-MNIST (*-ubyte or *-ubyte.gz)"};
  return load(&source, options->max_samples, out);
}

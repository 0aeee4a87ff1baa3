/* Batches of images are drawn and written in parallel; a batch counts once its metadata stands. */
#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ebb/file.h"
#include "host/data/pathfinder_draw.h"
#include "host/data/pathfinder_folder.h"
#include "host/data/png_grey.h"

static const int64_t MOST_SAMPLES = 1000000000;

/* One thread's image. */
typedef struct Hand {
  uint8_t *pixels;
  EbbPngBuffer png;
} Hand;

typedef struct Generator {
  const EbbPathfinderConfig *config;
  EbbPathfinderFolder folder;
  EbbPathfinder pathfinder;
  Hand *hand; /* (n_scenes) */
  EbbPathfinderFacts facts[PATHFINDER_BATCH];
  int64_t batch, n_done;
  int ended;        /* nonzero: no image is begun any more */
  EbbStatus status; /* of the first failure, which another thread's sentence must not replace */
  char sentence[PATHFINDER_PATH + 256];
} Generator;

static EbbStatus cannot_write(const char *path) {
  const int error = errno;
  unlink(path);
  return ebb_fail(EBB_IO, "%s: cannot write the image: %s", path, strerror(error));
}

static EbbStatus write_file(const char *path, const uint8_t *bytes, size_t length) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return ebb_fail(EBB_IO, "%s: cannot open the file: %s", path, strerror(errno));
  while (length > 0) {
    const ssize_t n = write(fd, bytes, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const EbbStatus status = cannot_write(path);
      close(fd);
      return status;
    }
    bytes += n, length -= (size_t)n;
  }
  return close(fd) == 0 ? EBB_OK : cannot_write(path);
}

static EbbStatus make_image(Generator *generator, int thread, int64_t index) {
  const int side = generator->config->resolution;
  Hand *hand = &generator->hand[thread];
  const uint64_t sample = (uint64_t)(generator->batch * PATHFINDER_BATCH + index);
  ebb_pathfinder_image(&generator->pathfinder, thread, generator->config->seed, sample, hand->pixels,
                       &generator->facts[index]);
  EBB_TRY(ebb_png_write_grey(hand->pixels, side, side, &hand->png));
  char path[PATHFINDER_PATH];
  ebb_pathfinder_image_path(&generator->folder, generator->batch, index, path);
  return write_file(path, hand->png.bytes, hand->png.length);
}

static void end(Generator *generator, EbbStatus status) {
#pragma omp critical(ebb_pathfinder_failure)
  if (generator->status == EBB_OK) {
    generator->status = status;
    snprintf(generator->sentence, sizeof generator->sentence, "%s", ebb_error());
  }
#pragma omp atomic write
  generator->ended = 1;
}

static EbbStatus stopped(const Generator *generator) {
  return ebb_fail(EBB_INTERRUPTED, "stopped after %lld of %lld images; the same command goes on from there",
                  (long long)generator->n_done, (long long)generator->config->n_samples);
}

/* Called by one thread. */
static void report(Generator *generator) {
  const EbbPathfinderConfig *config = generator->config;
  int64_t done;
#pragma omp atomic read
  done = generator->n_done;
  if (config->progress) config->progress(config->context, done, config->n_samples);
  if (config->stop && config->stop(config->context)) end(generator, stopped(generator));
}

static EbbStatus make_images(Generator *generator, int64_t n) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t i = 0; i < n; i++) {
    int ended;
#pragma omp atomic read
    ended = generator->ended;
    if (ended) continue;
    const int thread = omp_get_thread_num();
    const EbbStatus status = make_image(generator, thread, i);
    if (status != EBB_OK) end(generator, status);
#pragma omp atomic
    generator->n_done += status == EBB_OK;
    if (thread == 0) report(generator);
  }
  return generator->status == EBB_OK ? EBB_OK : ebb_fail(generator->status, "%s", generator->sentence);
}

/* The published eleven columns. */
static EbbStatus print_rows(const Generator *generator, int64_t n, EbbFileWriter *writer) {
  const EbbPathfinderRules *rules = &generator->pathfinder.rules;
  for (int64_t i = 0; i < n; i++) {
    const EbbPathfinderFacts *facts = &generator->facts[i];
    EBB_TRY(ebb_file_writer_print(writer, "imgs/%lld sample_%lld.png %lld %d %.1f %d %d %d %.1f %d 1\n",
                                  (long long)generator->batch, (long long)i, (long long)i, facts->label,
                                  rules->continuity, rules->contour, rules->distractor, rules->paddle_length,
                                  rules->thickness, facts->margin));
  }
  return ebb_file_writer_commit(writer);
}

static EbbStatus write_metadata(const Generator *generator, int64_t n) {
  char path[PATHFINDER_PATH];
  ebb_pathfinder_metadata_path(&generator->folder, generator->batch, path);
  EbbFileWriter *writer;
  EBB_TRY(ebb_file_writer_create(path, &writer));
  const EbbStatus status = print_rows(generator, n, writer);
  ebb_file_writer_destroy(writer);
  return status;
}

static EbbStatus make_batch(Generator *generator, int64_t n) {
  char path[PATHFINDER_PATH];
  snprintf(path, sizeof path, "%s/imgs/%lld", generator->folder.path, (long long)generator->batch);
  EBB_TRY(ebb_folder_create(path));
  EBB_TRY(make_images(generator, n));
  return write_metadata(generator, n);
}

static EbbStatus make_batches(Generator *generator) {
  const int64_t total = generator->config->n_samples;
  for (int64_t first = 0; first < total; first += PATHFINDER_BATCH) {
    const int64_t n = total - first < PATHFINDER_BATCH ? total - first : PATHFINDER_BATCH;
    generator->batch = first / PATHFINDER_BATCH;
    if (ebb_pathfinder_batch_whole(&generator->folder, generator->batch, n)) {
      generator->n_done += n;
      continue;
    }
    EBB_TRY(make_batch(generator, n));
  }
  if (generator->config->progress) generator->config->progress(generator->config->context, total, total);
  return ebb_pathfinder_folder_finish(&generator->folder);
}

static EbbStatus allocate(Generator *generator) {
  const size_t side = (size_t)generator->config->resolution;
  const int n = generator->pathfinder.n_scenes;
  generator->hand = calloc((size_t)n, sizeof *generator->hand);
  bool whole = generator->hand != NULL;
  for (int i = 0; whole && i < n; i++) whole = (generator->hand[i].pixels = malloc(side * side)) != NULL;
  return whole ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for Pathfinder images");
}

static EbbStatus generate(Generator *generator, const char *folder) {
  EBB_TRY(ebb_pathfinder_create(generator->config, &generator->pathfinder));
  EBB_TRY(allocate(generator));
  EbbStatus status = ebb_pathfinder_folder_open(folder, generator->config, &generator->folder);
  if (status == EBB_OK) status = make_batches(generator);
  ebb_pathfinder_folder_close(&generator->folder);
  return status;
}

EbbStatus ebb_pathfinder_generate(const char *folder, const EbbPathfinderConfig *config) {
  if (config->n_samples < 1 || config->n_samples > MOST_SAMPLES)
    return ebb_fail(EBB_INVALID, "Pathfinder: n_samples is %lld, but must be in 1..%lld",
                    (long long)config->n_samples, (long long)MOST_SAMPLES);
  Generator *generator = calloc(1, sizeof *generator);
  if (!generator) return ebb_fail(EBB_MEMORY, "no memory to generate Pathfinder");
  generator->config = config;
  const EbbStatus status = generate(generator, folder);
  for (int i = 0; generator->hand && i < generator->pathfinder.n_scenes; i++) {
    free(generator->hand[i].pixels);
    free(generator->hand[i].png.bytes);
  }
  free(generator->hand);
  ebb_pathfinder_release(&generator->pathfinder);
  free(generator);
  return status;
}

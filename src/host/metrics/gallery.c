#include "host/metrics/gallery.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/metrics/gallery_internal.h"
#include "host/metrics/picture.h"

enum { LEAST_SIDE = 4, GREY_LEVELS = 256 };

int64_t ebb_gallery_side(int64_t area) {
  const int64_t side = (int64_t)lround(sqrt((double)area));
  return side * side == area && side >= LEAST_SIDE ? side : 0;
}

EbbGalleryKind ebb_gallery_kind(const EbbDataset *dataset) {
  const bool plain = !dataset->variable_length && !dataset->per_step;
  const int64_t side = plain ? ebb_gallery_side(dataset->longest) : 0;
  if (dataset->vocabulary > 0)
    return side && dataset->vocabulary == GREY_LEVELS && !dataset->token_text ? EBB_GALLERY_IMAGES
                                                                              : EBB_GALLERY_TOKENS;
  if (side && (dataset->d_input == 1 || dataset->d_input == 3)) return EBB_GALLERY_IMAGES;
  const bool rows = plain && dataset->d_input == dataset->longest && dataset->longest >= LEAST_SIDE;
  if (rows) return EBB_GALLERY_IMAGES;
  return dataset->d_input <= EBB_GALLERY_MOST_CURVES ? EBB_GALLERY_CURVES : EBB_GALLERY_MAPS;
}

static const struct {
  int columns, rows, width, height;
  EbbPutPanel put;
} layouts[] = {[EBB_GALLERY_IMAGES] = {8, 3, 1280, 600, ebb_gallery_image},
               [EBB_GALLERY_CURVES] = {3, 3, 1400, 900, ebb_gallery_curves},
               [EBB_GALLERY_MAPS] = {3, 3, 1400, 900, ebb_gallery_map},
               [EBB_GALLERY_TOKENS] = {2, 3, 1500, 1000, ebb_gallery_tokens}};

/* The next sample from *from on that has the label. */
static bool find_sample(const EbbGallery *g, int32_t label, int64_t *from) {
  for (; *from < g->samples->n_samples; ++*from)
    if (g->samples->labels[ebb_stored_sample(g->samples, *from)] == label) return true;
  return false;
}

static void choose_spread(EbbGallery *g, int most) {
  const int64_t n = g->samples->n_samples;
  g->n_panels = n < most ? (int)n : most;
  for (int p = 0; p < g->n_panels; p++) g->panel[p] = p * n / g->n_panels;
}

/* The first of each class by turns; without classes of samples they are spread over the split, because
   neighbours are often windows that overlap. */
static void choose_panels(EbbGallery *g) {
  enum { MOST_CLASSES = 64 };
  const int most = layouts[g->kind].columns * layouts[g->kind].rows;
  const int64_t n_classes = g->dataset->n_classes;
  if (!g->samples->labels || g->dataset->per_step || n_classes > MOST_CLASSES) {
    choose_spread(g, most);
    return;
  }
  int64_t next[MOST_CLASSES] = {0};
  for (bool found = true; found;) {
    found = false;
    for (int c = 0; c < n_classes && g->n_panels < most; c++) {
      if (!find_sample(g, c, &next[c])) continue;
      g->panel[g->n_panels++] = next[c]++;
      found = true;
    }
  }
}

static void put_title(FILE *script, const EbbGallery *g, int64_t sample, const EbbBatch *batch) {
  char title[96];
  int n = snprintf(title, sizeof title, "%lld", (long long)sample);
  if (batch->labels && !g->dataset->per_step) {
    if (g->class_names)
      snprintf(title + n, sizeof title - (size_t)n, ": %s", g->class_names[batch->labels[0]]);
    else
      snprintf(title + n, sizeof title - (size_t)n, ": class %d", (int)batch->labels[0]);
  } else if (batch->targets && !g->dataset->per_step) {
    snprintf(title + n, sizeof title - (size_t)n, ": target %.4g", (double)batch->targets[0]);
  }
  fputs("set title ", script);
  ebb_gallery_quoted(script, title, (int)sizeof title);
  fputs(" noenhanced offset 0,-0.6\n", script);
}

static void put_terminal(FILE *script, const EbbGallery *g) {
  char size[64];
  snprintf(size, sizeof size, "size %d,%d font 'sans,10'", layouts[g->kind].width, layouts[g->kind].height);
  if (g->svg)
    fprintf(script, "set terminal svg background 'white' %s\n", size);
  else
    fprintf(script,
            "if (strstrt(GPVAL_TERMINALS, ' pngcairo ')) {\n  set terminal pngcairo %s\n"
            "} else {\n  set terminal png truecolor %s\n}\n",
            size, size);
}

static void write_script(FILE *script, const void *context) {
  EbbGallery *g = *(EbbGallery *const *)context;
  put_terminal(script, g);
  fprintf(script, "set encoding utf8\nset multiplot layout %d,%d title ", layouts[g->kind].rows,
          layouts[g->kind].columns);
  ebb_gallery_quoted(script, g->dataset->name, (int)sizeof g->dataset->name);
  fputs(" font ',14' noenhanced\n", script);
  for (int p = 0; p < g->n_panels && g->status == EBB_OK; p++) {
    const EbbBatch *batch;
    g->status = ebb_loader_batch(g->loader, 0, g->panel[p], &batch);
    if (g->status != EBB_OK) break;
    put_title(script, g, g->panel[p], batch);
    layouts[g->kind].put(script, g, batch, p);
  }
  fputs("unset multiplot\n", script);
}

/* ---- what all panels have in common ---- */

static void measure_features(EbbGallery *g, const EbbBatch *batch, bool first) {
  const int64_t width = g->dataset->d_input;
  for (int64_t t = 0; t < batch->lengths[0]; t++)
    for (int64_t i = 0; i < width; i++) {
      const float value = batch->values[t * width + i];
      const bool begins = first && t == 0;
      g->least[i] = begins ? value : fminf(g->least[i], value);
      g->most[i] = begins ? value : fmaxf(g->most[i], value);
    }
}

static void measure_tokens(EbbGallery *g, const EbbBatch *batch) {
  for (int32_t i = 0; i < batch->lengths[0] && g->dataset->token_text; i++) {
    const int characters = ebb_gallery_characters(g->dataset->token_text[batch->tokens[i]]);
    if (characters > g->longest_text) g->longest_text = characters;
  }
}

static EbbStatus measure(EbbGallery *g) {
  if (g->kind == EBB_GALLERY_MAPS) {
    g->least = malloc(2 * (size_t)g->dataset->d_input * sizeof *g->least);
    if (!g->least) return ebb_fail(EBB_MEMORY, "no memory for the ranges of '%s'", g->dataset->name);
    g->most = g->least + g->dataset->d_input;
  }
  for (int p = 0; p < g->n_panels; p++) {
    const EbbBatch *batch;
    EBB_TRY(ebb_loader_batch(g->loader, 0, g->panel[p], &batch));
    if (batch->lengths[0] > g->longest) g->longest = batch->lengths[0];
    if (g->kind == EBB_GALLERY_MAPS) measure_features(g, batch, p == 0);
    if (g->kind == EBB_GALLERY_TOKENS) measure_tokens(g, batch);
  }
  return EBB_OK;
}

EbbStatus ebb_gallery_draw(const EbbDataset *dataset, EbbSplit split, const char *const *class_names,
                           const char *picture) {
  EbbGallery g = {.dataset = dataset,
                  .samples = &dataset->split[split],
                  .class_names = class_names,
                  .kind = ebb_gallery_kind(dataset)};
  EBB_TRY(ebb_picture_kind(picture, &g.svg));
  const EbbLoaderConfig config = {.batch_size = 1, .bucket_quantum = 1};
  EBB_TRY(ebb_loader_create(dataset, split, &config, &g.loader));
  choose_panels(&g);
  g.status = measure(&g);
  EbbGallery *const context = &g;
  const EbbStatus status =
      g.status == EBB_OK ? ebb_picture_draw(&ebb_gnuplot, write_script, &context, picture) : g.status;
  ebb_loader_destroy(g.loader);
  free(g.least);
  return g.status == EBB_OK ? status : g.status;
}

#include "host/data/pathfinder_draw.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS, DISTRACTORS, MARKERS, LAYERS, LABEL_NODE = 0x9A7E };
enum { CONTOUR_TRIES = 5, PADDLE_TRIES = 3 };

/* How many one-paddle distractors fill a window, by the published rule. */
static int single_paddles(const EbbPathfinderRules *rules, int margin) {
  const int all = (int)(150 * 123.5 / (7.5 + 13 * margin + 4 * margin * margin));
  const int n = all - 2 * rules->contour - rules->n_distractors * rules->distractor;
  return rules->single_paddles && n > 0 ? n : 0;
}

static int most_strokes(const EbbPathfinderRules *rules) {
  int single = 0;
  for (int i = 0; i < rules->n_margins; i++) {
    const int n = single_paddles(rules, rules->margin[i]);
    single = n > single ? n : single;
  }
  return 2 * rules->contour + rules->n_distractors * rules->distractor + single;
}

static int widest_reach(const EbbPathfinder *pathfinder) {
  int reach = 0;
  for (int i = 0; i < PATHFINDER_MARGINS; i++)
    reach = pathfinder->paddles[i].reach > reach ? pathfinder->paddles[i].reach : reach;
  return reach;
}

static void release_scene(EbbScene *scene) {
  free(scene->mask);
  free(scene->saved);
  free(scene->taken);
  free(scene->blocked);
  free(scene->stroke);
  for (int i = 0; i < LAYERS; i++) free(scene->layer[i]);
  free(scene->fine);
  free(scene->disc);
  free(scene->scratch);
  ebb_lanczos_release(&scene->lanczos);
}

/* Masks end in a row's slack: patches are read in rows of PADDLE_WIDTH. */
static EbbStatus create_scene(const EbbPathfinder *pathfinder, EbbScene *scene) {
  const EbbPathfinderRules *rules = &pathfinder->rules;
  const size_t window = (size_t)rules->window, area = window * window;
  const size_t fine = PATHFINDER_FINE * window;
  const int stride = rules->window + 2 * widest_reach(pathfinder);
  *scene = (EbbScene){.rules = rules, .stride = stride};
  scene->bytes = (size_t)stride * (size_t)stride + PADDLE_WIDTH;
  EBB_TRY(ebb_lanczos_create((int)fine, rules->window, &scene->lanczos));
  bool whole = (scene->mask = malloc(scene->bytes)) != NULL;
  whole &= (scene->saved = malloc(scene->bytes)) != NULL;
  whole &= (scene->taken = malloc(scene->bytes)) != NULL;
  whole &= (scene->blocked = malloc(area)) != NULL;
  whole &= (scene->stroke = calloc((size_t)most_strokes(rules), sizeof *scene->stroke)) != NULL;
  for (int i = 0; i < LAYERS; i++) whole &= (scene->layer[i] = malloc(area)) != NULL;
  whole &= (scene->fine = malloc(fine * fine)) != NULL;
  whole &= (scene->disc = malloc(area)) != NULL;
  whole &= (scene->scratch = malloc(ebb_lanczos_scratch(&scene->lanczos))) != NULL;
  return whole ? EBB_OK
               : ebb_fail(EBB_MEMORY, "no memory to draw Pathfinder images of %d x %d pixels", rules->window,
                          rules->window);
}

void ebb_pathfinder_release(EbbPathfinder *pathfinder) {
  for (int i = 0; i < PATHFINDER_MARGINS; i++) ebb_pathfinder_paddles_release(&pathfinder->paddles[i]);
  for (int i = 0; i < pathfinder->n_scenes; i++) release_scene(&pathfinder->scene[i]);
  free(pathfinder->scene);
  *pathfinder = (EbbPathfinder){0};
}

EbbStatus ebb_pathfinder_create(const EbbPathfinderConfig *config, EbbPathfinder *pathfinder) {
  *pathfinder = (EbbPathfinder){0};
  EBB_TRY(ebb_pathfinder_rules(config, &pathfinder->rules));
  const EbbPathfinderRules *rules = &pathfinder->rules;
  for (int i = 0; i < rules->n_margins; i++)
    EBB_TRY(ebb_pathfinder_paddles_create(rules, rules->margin[i], &pathfinder->paddles[i]));
  const int n = omp_get_max_threads();
  pathfinder->scene = calloc((size_t)n, sizeof *pathfinder->scene);
  if (!pathfinder->scene) return ebb_fail(EBB_MEMORY, "no memory for %d threads", n);
  while (pathfinder->n_scenes < n)
    EBB_TRY(create_scene(pathfinder, &pathfinder->scene[pathfinder->n_scenes++]));
  return EBB_OK;
}

static void brighten(uint8_t *to, const uint8_t *from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = to[i] > from[i] ? to[i] : from[i];
}

static void draw_strokes(EbbScene *scene, uint8_t *layer, const EbbStroke *stroke, int n) {
  const int window = scene->rules->window, reach = scene->paddles->reach;
  memset(layer, 0, (size_t)window * (size_t)window);
  for (int i = 0; i < n; i++) {
    const EbbPoint corner = {stroke[i].at.y - reach, stroke[i].at.x - reach};
    const EbbPaddle *paddle = &scene->paddles->paddle[stroke[i].paddle];
    const int left = corner.x < 0 ? -corner.x : 0;
    const int right = corner.x + 2 * reach >= window ? window - corner.x : 2 * reach + 1;
    for (int y = 0; y < 2 * reach + 1; y++) {
      const int row = corner.y + y;
      if (row < 0 || row >= window || left >= right) continue;
      brighten(layer + row * window + corner.x + left, paddle->line[y] + left, (size_t)(right - left));
    }
  }
}

static void draw_marker(EbbScene *scene, EbbPoint at) {
  const int window = scene->rules->window, side = PATHFINDER_FINE * window;
  const double radius = PATHFINDER_FINE * scene->rules->marker_radius;
  memset(scene->fine, 0, (size_t)side * (size_t)side);
  const int reach = (int)radius, y0 = PATHFINDER_FINE * at.y, x0 = PATHFINDER_FINE * at.x;
  for (int y = -reach; y <= reach; y++) {
    for (int x = -reach; x <= reach; x++) {
      const bool there = y0 + y >= 0 && y0 + y < side && x0 + x >= 0 && x0 + x < side;
      if (there && y * y + x * x <= radius * radius) scene->fine[(y0 + y) * side + x0 + x] = UINT8_MAX;
    }
  }
  ebb_lanczos_reduce(&scene->lanczos, scene->fine, scene->disc, scene->scratch);
  brighten(scene->layer[MARKERS], scene->disc, (size_t)window * (size_t)window);
}

static double brightness(const EbbScene *scene, size_t i) {
  const EbbPathfinderRules *rules = scene->rules;
  const double target = scene->layer[TARGETS][i] / 255.0 * (rules->paddle_contrast * rules->snake_contrast);
  const double distractor = scene->layer[DISTRACTORS][i] / 255.0 * rules->snake_contrast;
  return fmax(fmax(target, distractor), scene->layer[MARKERS][i] / 255.0);
}

/* From the darkest to the brightest pixel becomes 0 to 255. */
static void develop(const EbbScene *scene, uint8_t *pixels) {
  const size_t n = (size_t)scene->rules->window * (size_t)scene->rules->window;
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < n; i++) {
    const double value = brightness(scene, i);
    low = fmin(low, value);
    high = fmax(high, value);
  }
  const double scale = 255 / (high - low);
  for (size_t i = 0; i < n; i++) pixels[i] = (uint8_t)((brightness(scene, i) - low) * scale + 0.5);
}

static int add_distractors(EbbScene *scene, int n, int length, int tries) {
  int n_placed = 0;
  for (int i = 0; i < n; i++) {
    bool placed = false;
    for (int t = 0; !placed && t < tries; t++) placed = ebb_scene_distractor(scene, length);
    n_placed += placed;
  }
  return n_placed;
}

/* A coin decides for each pair of samples which is which, so that both labels are equally many. */
static int draw_label(uint64_t seed, uint64_t sample) {
  return (int)((ebb_random(seed, 0, LABEL_NODE, sample / 2) ^ sample) & 1);
}

void ebb_pathfinder_image(EbbPathfinder *pathfinder, int thread, uint64_t seed, uint64_t sample,
                          uint8_t *pixels, EbbPathfinderFacts *facts) {
  const EbbPathfinderRules *rules = &pathfinder->rules;
  EbbScene *scene = &pathfinder->scene[thread];
  scene->seed = seed, scene->sample = sample, scene->n_words = 0;
  const uint32_t margin = ebb_scene_below(scene, (uint32_t)rules->n_margins);
  scene->paddles = &pathfinder->paddles[margin];
  *facts = (EbbPathfinderFacts){.label = draw_label(seed, sample), .margin = rules->margin[margin]};
  EbbContour contour[2];
  do {
    facts->attempts++;
  } while (!ebb_scene_targets(scene, contour));
  facts->n_distractors = add_distractors(scene, rules->n_distractors, rules->distractor, CONTOUR_TRIES);
  add_distractors(scene, single_paddles(rules, facts->margin), 1, PADDLE_TRIES);
  const int begin = (int)ebb_scene_below(scene, 2), end = facts->label ? begin : 1 - begin;
  const EbbPoint marker[2] = {contour[begin].tail, contour[end].tip};
  draw_strokes(scene, scene->layer[TARGETS], scene->stroke, scene->n_target_strokes);
  draw_strokes(scene, scene->layer[DISTRACTORS], scene->stroke + scene->n_target_strokes,
               scene->n_strokes - scene->n_target_strokes);
  memset(scene->layer[MARKERS], 0, (size_t)rules->window * (size_t)rules->window);
  for (int i = 0; i < 2; i++) {
    draw_marker(scene, marker[i]);
    facts->marker[i][0] = marker[i].y, facts->marker[i][1] = marker[i].x;
  }
  develop(scene, pixels);
}

EbbStatus ebb_pathfinder_draw(const EbbPathfinderConfig *config, int64_t first, int64_t n, uint8_t *pixels,
                              EbbPathfinderFacts *facts) {
  EbbPathfinder pathfinder;
  EbbStatus status = ebb_pathfinder_create(config, &pathfinder);
  const size_t area = (size_t)pathfinder.rules.window * (size_t)pathfinder.rules.window;
#pragma omp parallel for schedule(dynamic, 1) if (status == EBB_OK)
  for (int64_t i = 0; i < (status == EBB_OK ? n : 0); i++) {
    EbbPathfinderFacts dropped;
    ebb_pathfinder_image(&pathfinder, omp_get_thread_num(), config->seed, (uint64_t)(first + i),
                         pixels + (size_t)i * area, facts ? &facts[i] : &dropped);
  }
  ebb_pathfinder_release(&pathfinder);
  return status;
}

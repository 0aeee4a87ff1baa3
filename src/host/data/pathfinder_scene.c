#include "host/data/pathfinder_scene.h"

#include <math.h>
#include <string.h>

/* A pixel is in the way where its mask is above 0.3, that is above FREE / 255. */
enum { FREE = 76, TRIALS = 3, NODE = 0x9A7F, BORDER = 1 };

static const double LEAST_WEIGHT = 1e-4, PI = 3.14159265358979323846;

static uint32_t next_word(EbbScene *scene) {
  const uint64_t n = scene->n_words++;
  if ((n & 3) == 0) scene->words = ebb_random4(scene->seed, scene->sample, NODE, n >> 2);
  return scene->words.word[n & 3];
}

uint32_t ebb_scene_below(EbbScene *scene, uint32_t n) { return ebb_below(next_word(scene), n); }

static bool inside(const EbbScene *scene, EbbPoint at) {
  const int window = scene->rules->window;
  return at.y >= 0 && at.x >= 0 && at.y < window && at.x < window;
}

static size_t place(const EbbScene *scene, EbbPoint at) {
  const int reach = scene->paddles->reach;
  return (size_t)(at.y + reach) * (size_t)scene->stride + (size_t)(at.x + reach);
}

/* Where the patch of a stroke begins. */
static uint8_t *patch_at(const EbbScene *scene, EbbPoint at) {
  return scene->mask + (size_t)at.y * (size_t)scene->stride + at.x;
}

/* Rows first .. end - 1 of a patch lie in the window, likewise columns. */
static void cut(const EbbScene *scene, int at, int *first, int *end) {
  const int reach = scene->paddles->reach, window = scene->rules->window;
  *first = at < reach ? reach - at : 0;
  *end = at + reach >= window ? window - at + reach : 2 * reach + 1;
}

static void merge(EbbScene *scene, const EbbStroke *stroke) {
  const EbbPaddle *paddle = &scene->paddles->paddle[stroke->paddle];
  int top, bottom, left, right;
  cut(scene, stroke->at.y, &top, &bottom);
  cut(scene, stroke->at.x, &left, &right);
  uint8_t *to = patch_at(scene, stroke->at);
  for (int y = top; y < bottom; y++) {
    uint8_t *row = to + y * scene->stride;
    for (int x = left; x < right; x++) row[x] = row[x] > paddle->mask[y][x] ? row[x] : paddle->mask[y][x];
  }
}

/* Rows are compared in full: what is not of the patch, or of the window, never collides. */
static bool collides(const EbbScene *scene, const EbbStroke *stroke) {
  const EbbPaddle *paddle = &scene->paddles->paddle[stroke->paddle];
  const uint8_t *mask = patch_at(scene, stroke->at);
  for (int y = 0; y < 2 * scene->paddles->reach + 1; y++, mask += scene->stride) {
    uint8_t hit = 0;
    for (int x = 0; x < PADDLE_WIDTH; x++) hit |= (uint8_t)(mask[x] > paddle->most[y][x]);
    if (hit) return true;
  }
  return false;
}

static void add_stroke(EbbScene *scene, EbbContour *contour, EbbPoint at, int paddle) {
  contour->last = (EbbStroke){at, paddle};
  scene->stroke[scene->n_strokes++] = contour->last;
}

/* The contour of one paddle at `tail`, if its head and its pivot are in the window. */
static bool start(EbbScene *scene, EbbPoint tail, int degree, EbbContour *contour) {
  const EbbPathfinderPaddles *p = scene->paddles;
  const double direction = p->direction[degree];
  const EbbPoint head = ebb_paddle_move(tail, direction, p->length);
  const EbbPoint pivot = ebb_paddle_move(head, ebb_paddle_opposite(direction), p->length + p->margin);
  if (!inside(scene, head) || !inside(scene, pivot)) return false;
  *contour = (EbbContour){.tail = tail, .tip = tail, .pivot = pivot, .direction = degree};
  add_stroke(scene, contour, tail, degree);
  return true;
}

static double freedom(const EbbScene *scene, EbbPoint at) {
  const EbbPathfinderPaddles *p = scene->paddles;
  uint8_t largest = 0;
  for (int i = 0; i < p->n_disc; i++) {
    const EbbPoint near = {at.y + p->disc[i].y, at.x + p->disc[i].x};
    const uint8_t value = scene->mask[place(scene, near)];
    if (value > largest) largest = value;
  }
  return 1 - largest / 255.0;
}

/* Weights of the next tips added up, from the first on. */
static double weigh(const EbbScene *scene, const EbbContour *contour, EbbPoint pivot,
                    double sum[PADDLE_TURNS]) {
  const EbbPathfinderPaddles *p = scene->paddles;
  const double *weight = p->weight + (size_t)contour->direction * (size_t)p->n_turns;
  double total = 0;
  for (int j = 0; j < p->n_turns; j++) {
    const EbbPoint tip = {pivot.y + p->turn[j].y, pivot.x + p->turn[j].x};
    if (weight[j] > 0 && inside(scene, tip)) total += weight[j] * freedom(scene, tip);
    sum[j] = total;
  }
  return total;
}

static int draw_turn(EbbScene *scene, const double *sum, double total) {
  const double draw = ebb_unit_double(next_word(scene)) * total;
  int j = 0;
  while (j + 1 < scene->paddles->n_turns && sum[j] <= draw) j++;
  return j;
}

/* The stroke before the last begins to count once the next one is found. */
static bool extend(EbbScene *scene, EbbContour *contour) {
  const EbbPathfinderPaddles *p = scene->paddles;
  const EbbPoint pivot =
      ebb_paddle_move(contour->pivot, p->direction[contour->direction], p->length + 2 * p->margin);
  double sum[PADDLE_TURNS];
  const double total = weigh(scene, contour, pivot, sum);
  if (total < LEAST_WEIGHT) return false;
  for (int trial = 0; trial < TRIALS; trial++) {
    const int j = draw_turn(scene, sum, total), direction = PADDLE_DEGREES + j;
    const EbbStroke stroke = {{pivot.y + p->turn[j].y, pivot.x + p->turn[j].x}, direction};
    if (collides(scene, &stroke)) continue;
    merge(scene, &contour->last);
    contour->pivot = pivot, contour->direction = direction, contour->tip = stroke.at;
    add_stroke(scene, contour, stroke.at, stroke.paddle);
    return true;
  }
  return false;
}

static const EbbPaddleKernel *draw_kernel(EbbScene *scene, int *degree) {
  *degree = (int)ebb_scene_below(scene, PADDLE_DEGREES);
  return &scene->paddles->kernel[*degree];
}

/* Nothing is in the way yet but the border, so the free places fill a rectangle. */
static bool start_first(EbbScene *scene, EbbContour *contour) {
  const EbbPathfinderRules *rules = scene->rules;
  for (int trial = 0; trial < TRIALS; trial++) {
    int degree;
    const EbbPaddleKernel *kernel = draw_kernel(scene, &degree);
    if (!kernel->surrounds && !rules->any_direction) return false;
    const int low = 2 * rules->seed_distance, high = rules->window - low;
    const int height = high - low - (kernel->most.y - kernel->least.y);
    const int width = high - low - (kernel->most.x - kernel->least.x);
    if (height < 1 || width < 1) return false;
    const int index = (int)ebb_scene_below(scene, (uint32_t)(height * width));
    const EbbPoint tail = {low - kernel->least.y + index / width, low - kernel->least.x + index % width};
    if (start(scene, tail, degree, contour)) return true;
  }
  return false;
}

static bool start_second(EbbScene *scene, EbbPoint first, EbbContour *contour) {
  const double distance = scene->rules->seed_distance;
  for (int trial = 0; trial < TRIALS; trial++) {
    const int degree = (int)ebb_scene_below(scene, PADDLE_DEGREES);
    const double bearing = ebb_scene_below(scene, PADDLE_DEGREES) * PI / 180;
    const EbbPoint tail = {(int)rint(first.y + distance * sin(bearing)),
                           (int)rint(first.x + distance * cos(bearing))};
    if (start(scene, tail, degree, contour)) return true;
  }
  return false;
}

static void clear(EbbScene *scene) {
  const int window = scene->rules->window, padding = scene->rules->padding;
  memset(scene->mask, 0, scene->bytes);
  for (int y = 0; y < window; y++) {
    uint8_t *row = scene->mask + place(scene, (EbbPoint){y, 0});
    const bool border = y < padding || y >= window - padding;
    memset(row, UINT8_MAX, (size_t)(border ? window : padding));
    memset(row + window - padding, UINT8_MAX, (size_t)padding);
  }
  scene->n_strokes = 0;
}

/* The first contour's last paddle never enters the mask: distractors may cross it, as published. */
bool ebb_scene_targets(EbbScene *scene, EbbContour contour[2]) {
  clear(scene);
  if (!start_first(scene, &contour[0]) || !start_second(scene, contour[0].tail, &contour[1])) return false;
  for (int i = 1; i < scene->rules->contour; i++)
    if (!extend(scene, &contour[0]) || !extend(scene, &contour[1])) return false;
  merge(scene, &contour[1].last);
  scene->n_target_strokes = scene->n_strokes;
  return true;
}

/* Fills `taken` and says how many pixels of the window no mask covers. */
static int64_t find_taken(EbbScene *scene) {
  const int window = scene->rules->window;
  int64_t n_free = 0;
  memset(scene->taken, 1, scene->bytes);
  for (int y = 0; y < window; y++) {
    const size_t begin = place(scene, (EbbPoint){y, 0});
    const bool border = y < BORDER || y >= window - BORDER;
    int n_taken = 0;
    for (int x = 0; x < window; x++) {
      const uint8_t taken = scene->mask[begin + (size_t)x] > FREE;
      n_taken += taken;
      scene->taken[begin + (size_t)x] = taken;
    }
    n_free += window - n_taken;
    memset(scene->taken + begin, 1, (size_t)(border ? window : BORDER));
    memset(scene->taken + begin + window - BORDER, 1, BORDER);
  }
  return n_free;
}

/* Where any pixel of the kernel is taken; says how many places are left. */
static int64_t find_blocked(EbbScene *scene, const EbbPaddleKernel *kernel) {
  const int window = scene->rules->window;
  memset(scene->blocked, 0, (size_t)window * (size_t)window);
  int64_t n_free = 0;
  for (int y = 0; y < window; y++) {
    uint8_t *row = scene->blocked + (size_t)y * (size_t)window;
    for (int i = 0; i < kernel->n; i++) {
      const uint8_t *taken = scene->taken + place(scene, (EbbPoint){y + kernel->at[i].y, kernel->at[i].x});
      for (int x = 0; x < window; x++) row[x] |= taken[x];
    }
    int n_blocked = 0;
    for (int x = 0; x < window; x++) n_blocked += row[x];
    n_free += window - n_blocked;
  }
  return n_free;
}

/* The index-th place that is not blocked. */
static EbbPoint free_place(const EbbScene *scene, int64_t index) {
  const int window = scene->rules->window;
  const uint8_t *at = scene->blocked;
  for (;; at++)
    if (!*at && index-- == 0) break;
  const int offset = (int)(at - scene->blocked);
  return (EbbPoint){offset / window, offset % window};
}

static bool start_distractor(EbbScene *scene, EbbContour *contour) {
  const int window = scene->rules->window;
  if (100 * find_taken(scene) < (int64_t)window * window) return false;
  for (int trial = 0; trial < TRIALS; trial++) {
    int degree;
    const EbbPaddleKernel *kernel = draw_kernel(scene, &degree);
    if (!kernel->surrounds && !scene->rules->any_direction) return false;
    const int64_t n_free = find_blocked(scene, kernel);
    if (n_free == 0) return false;
    const EbbPoint tail = free_place(scene, ebb_scene_below(scene, (uint32_t)n_free));
    if (start(scene, tail, degree, contour)) return true;
  }
  return false;
}

bool ebb_scene_distractor(EbbScene *scene, int length) {
  const int before = scene->n_strokes;
  memcpy(scene->saved, scene->mask, scene->bytes);
  EbbContour contour;
  bool fits = start_distractor(scene, &contour);
  for (int i = 1; fits && i < length; i++) fits = extend(scene, &contour);
  if (fits) {
    merge(scene, &contour.last);
  } else {
    memcpy(scene->mask, scene->saved, scene->bytes);
    scene->n_strokes = before;
  }
  return fits;
}

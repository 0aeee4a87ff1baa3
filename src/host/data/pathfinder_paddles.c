#include "host/data/pathfinder_paddles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/lanczos.h"

/* Masks of sum COLLISION = 1.8 * 255 collide. */
enum { OPAQUE = 255, COLLISION = 459 };

static const double PI = 3.14159265358979323846;

EbbPoint ebb_paddle_move(EbbPoint from, double direction, double distance) {
  return (EbbPoint){(int)ceil(from.y + distance * sin(direction)),
                    (int)ceil(from.x + distance * cos(direction))};
}

double ebb_paddle_opposite(double direction) { return direction < 0 ? direction + PI : direction - PI; }

/* The canvas on which a stroke is drawn before it is reduced. */
typedef struct Canvas {
  const EbbPathfinderRules *rules;
  EbbLanczos lanczos;
  uint8_t *fine, *wide, *small, *scratch;
} Canvas;

static EbbStatus create_canvas(const EbbPathfinderRules *rules, int reach, Canvas *canvas) {
  const int in = 2 * PATHFINDER_FINE * reach + 1, out = 2 * reach + 1;
  *canvas = (Canvas){.rules = rules};
  EBB_TRY(ebb_lanczos_create(in, out, &canvas->lanczos));
  canvas->fine = calloc((size_t)in * (size_t)in, 1);
  canvas->wide = calloc((size_t)in * (size_t)in, 1);
  canvas->small = calloc((size_t)out * (size_t)out, 1);
  canvas->scratch = calloc(ebb_lanczos_scratch(&canvas->lanczos), 1);
  return canvas->fine && canvas->wide && canvas->small && canvas->scratch
             ? EBB_OK
             : ebb_fail(EBB_MEMORY, "no memory to draw Pathfinder's strokes");
}

static void release_canvas(Canvas *canvas) {
  ebb_lanczos_release(&canvas->lanczos);
  free(canvas->fine);
  free(canvas->wide);
  free(canvas->small);
  free(canvas->scratch);
}

static void reduce(Canvas *canvas, const uint8_t *fine, uint8_t patch[PADDLE_HEIGHT][PADDLE_WIDTH]) {
  const size_t side = (size_t)canvas->lanczos.out;
  ebb_lanczos_reduce(&canvas->lanczos, fine, canvas->small, canvas->scratch);
  for (size_t y = 0; y < side; y++) memcpy(patch[y], canvas->small + y * side, side);
}

static void draw_paddle(Canvas *canvas, const EbbPathfinderPaddles *p, double direction, EbbPaddle *paddle) {
  const int side = canvas->lanczos.in, middle = PATHFINDER_FINE * p->reach;
  const EbbPoint centre = {middle, middle};
  const EbbPoint tip = ebb_paddle_move(centre, direction, PATHFINDER_FINE * p->length);
  memset(canvas->fine, 0, (size_t)side * (size_t)side);
  ebb_stroke_line(canvas->fine, side, centre, tip, (int)lround(PATHFINDER_FINE * canvas->rules->thickness));
  ebb_stroke_dilate(canvas->fine, canvas->wide, side, PATHFINDER_FINE * p->margin);
  reduce(canvas, canvas->fine, paddle->line);
  reduce(canvas, canvas->wide, paddle->mask);
  for (int y = 0; y < PADDLE_HEIGHT; y++) {
    for (int x = 0; x < PADDLE_WIDTH; x++) {
      const int most = COLLISION - 1 - paddle->mask[y][x];
      paddle->most[y][x] = (uint8_t)(most < OPAQUE ? most : OPAQUE);
    }
  }
}

/* The paddle starts one pixel right of and below the origin, and is cut off at `half` pixels from it. */
static EbbStatus make_kernel(const EbbPathfinderPaddles *p, const EbbPaddle *paddle,
                             EbbPaddleKernel *kernel) {
  const int half = p->length + p->margin, side = 2 * half + 1;
  bool quadrant[2][2] = {{false, false}, {false, false}};
  kernel->least = (EbbPoint){half, half}, kernel->most = (EbbPoint){-half, -half};
  kernel->at = malloc((size_t)side * (size_t)side * sizeof *kernel->at);
  if (!kernel->at) return ebb_fail(EBB_MEMORY, "no memory for Pathfinder's strokes");
  for (int y = -half; y <= half; y++) {
    for (int x = -half; x <= half; x++) {
      const int row = y - 1 + p->reach, column = x - 1 + p->reach;
      if (row < 0 || column < 0 || paddle->mask[row][column] != OPAQUE) continue;
      kernel->at[kernel->n++] = (EbbPoint){y, x};
      if (y < kernel->least.y) kernel->least.y = y;
      if (x < kernel->least.x) kernel->least.x = x;
      if (y > kernel->most.y) kernel->most.y = y;
      if (x > kernel->most.x) kernel->most.x = x;
      for (int q = 0; q < 4; q++)
        quadrant[q / 2][q % 2] |= (q / 2 ? y >= 0 : y <= 0) && (q % 2 ? x >= 0 : x <= 0);
    }
  }
  kernel->surrounds = quadrant[0][0] && quadrant[0][1] && quadrant[1][0] && quadrant[1][1];
  return EBB_OK;
}

static int compare_points(const void *a, const void *b) {
  const EbbPoint *p = a, *q = b;
  return p->y != q->y ? p->y - q->y : p->x - q->x;
}

/* Pixels on the circle around a pivot, one for every pixel of arc, each once. */
static void find_turns(EbbPathfinderPaddles *p) {
  const double radius = p->length + p->margin, step = 360 / (2 * radius * PI);
  for (int i = 0; i * step < 360; i++) {
    const double angle = i * step * PI / 180;
    const EbbPoint at = {(int)floor(radius * sin(angle)), (int)floor(radius * cos(angle))};
    bool known = false;
    for (int j = 0; j < p->n_turns; j++) known |= compare_points(&p->turn[j], &at) == 0;
    if (!known) p->turn[p->n_turns++] = at;
  }
  qsort(p->turn, (size_t)p->n_turns, sizeof *p->turn, compare_points);
}

static void weigh_turns(EbbPathfinderPaddles *p, double continuity) {
  for (int from = 0; from < PADDLE_DEGREES + p->n_turns; from++) {
    for (int j = 0; j < p->n_turns; j++) {
      const double apart = fabs(p->direction[PADDLE_DEGREES + j] - p->direction[from]);
      const double bend = fmin(continuity * fmin(apart, 2 * PI - apart), PI / 2);
      p->weight[from * p->n_turns + j] = cos(bend) * cos(bend);
    }
  }
}

static void find_disc(EbbPathfinderPaddles *p) {
  for (int y = -p->margin; y <= p->margin; y++)
    for (int x = -p->margin; x <= p->margin; x++)
      if (y * y + x * x <= p->margin * p->margin) p->disc[p->n_disc++] = (EbbPoint){y, x};
}

static EbbStatus allocate(EbbPathfinderPaddles *p) {
  const size_t n = PADDLE_DEGREES + (size_t)p->n_turns, width = 2 * (size_t)p->margin + 1;
  p->paddle = calloc(n, sizeof *p->paddle);
  p->weight = calloc(n * (size_t)p->n_turns, sizeof *p->weight);
  p->disc = calloc(width * width, sizeof *p->disc);
  return p->paddle && p->weight && p->disc ? EBB_OK
                                           : ebb_fail(EBB_MEMORY, "no memory for Pathfinder's strokes");
}

static EbbStatus draw_all(const EbbPathfinderRules *rules, EbbPathfinderPaddles *p) {
  Canvas canvas;
  EbbStatus status = create_canvas(rules, p->reach, &canvas);
  for (int i = 0; status == EBB_OK && i < PADDLE_DEGREES; i++) {
    draw_paddle(&canvas, p, p->direction[i], &p->paddle[i]);
    status = make_kernel(p, &p->paddle[i], &p->kernel[i]);
  }
  for (int j = PADDLE_DEGREES; status == EBB_OK && j < PADDLE_DEGREES + p->n_turns; j++)
    draw_paddle(&canvas, p, ebb_paddle_opposite(p->direction[j]), &p->paddle[j]);
  release_canvas(&canvas);
  return status;
}

EbbStatus ebb_pathfinder_paddles_create(const EbbPathfinderRules *rules, int margin,
                                        EbbPathfinderPaddles *p) {
  *p = (EbbPathfinderPaddles){.length = rules->paddle_length,
                              .margin = margin,
                              .reach = rules->paddle_length + (int)ceil(rules->thickness) + margin};
  find_turns(p);
  for (int i = 0; i < PADDLE_DEGREES; i++) p->direction[i] = (i - 180) * PI / 180;
  for (int j = 0; j < p->n_turns; j++) p->direction[PADDLE_DEGREES + j] = atan2(p->turn[j].y, p->turn[j].x);
  EBB_TRY(allocate(p));
  weigh_turns(p, rules->continuity);
  find_disc(p);
  return draw_all(rules, p);
}

void ebb_pathfinder_paddles_release(EbbPathfinderPaddles *paddles) {
  for (int i = 0; i < PADDLE_DEGREES; i++) free(paddles->kernel[i].at);
  free(paddles->paddle);
  free(paddles->weight);
  free(paddles->disc);
  *paddles = (EbbPathfinderPaddles){0};
}

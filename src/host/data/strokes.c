#include "host/data/strokes.h"

#include <math.h>
#include <stdlib.h>

enum { INK = 255, CORNERS = 4 };

static void put(uint8_t *canvas, int side, int y, int x) {
  if (y >= 0 && y < side && x >= 0 && x < side) canvas[y * side + x] = INK;
}

/* Bresenham's line with the steps of the longer axis; a diagonal steps along y. */
static void thin_line(uint8_t *canvas, int side, EbbPoint from, EbbPoint to) {
  const int dx = abs(to.x - from.x), dy = abs(to.y - from.y);
  const int step_x = to.x < from.x ? -1 : 1, step_y = to.y < from.y ? -1 : 1;
  const int along = dx > dy ? dx : dy, across = dx > dy ? dy : dx;
  int error = 2 * across - along;
  EbbPoint at = from;
  for (int i = 0; i < along; i++) {
    put(canvas, side, at.y, at.x);
    const int turn = error >= 0 && across > 0;
    if (turn) error -= 2 * along;
    error += 2 * across;
    if (dx > dy) {
      at.x += step_x, at.y += turn ? step_y : 0;
    } else {
      at.y += step_y, at.x += turn ? step_x : 0;
    }
  }
  put(canvas, side, to.y, to.x);
}

/* To the nearest integer; halves go away from zero, or towards it. */
static int half_up(double v) { return (int)copysign(floor(fabs(v) + 0.5), v); }
static int half_down(double v) { return (int)copysign(ceil(fabs(v) - 0.5), v); }

static void fill_row(uint8_t *canvas, int side, const EbbPoint corner[CORNERS], int y) {
  double low = INFINITY, high = -INFINITY;
  for (int i = 0; i < CORNERS; i++) {
    const EbbPoint a = corner[i], b = corner[(i + 1) % CORNERS];
    if (y < (a.y < b.y ? a.y : b.y) || y > (a.y < b.y ? b.y : a.y)) continue;
    const double slope = a.y == b.y ? 0 : (double)(b.x - a.x) / (b.y - a.y);
    const double first = a.x + slope * (y - a.y), second = a.y == b.y ? b.x : first;
    low = fmin(low, fmin(first, second));
    high = fmax(high, fmax(first, second));
  }
  int begin = half_up(low), end = half_down(high);
  if (end < begin) end = begin;
  for (int x = begin; x <= end; x++) put(canvas, side, y, x);
}

static void wide_line(uint8_t *canvas, int side, EbbPoint from, EbbPoint to, int width) {
  const int dx = to.x - from.x, dy = to.y - from.y;
  if (dx == 0 && dy == 0) {
    put(canvas, side, from.y, from.x);
    return;
  }
  const double half = (width - 1) / 2.0, length = hypot(dx, dy);
  const double narrow = half_down(half) / length, broad = half_up(half) / length;
  const int left = half_down(narrow * dy), down = half_up(broad * dx);
  const int right = half_down(broad * dy), up = half_up(narrow * dx);
  const EbbPoint corner[CORNERS] = {{from.y + down, from.x - left},
                                    {to.y + down, to.x - left},
                                    {to.y - up, to.x + right},
                                    {from.y - up, from.x + right}};
  int top = corner[0].y, bottom = corner[0].y;
  for (int i = 1; i < CORNERS; i++) {
    top = corner[i].y < top ? corner[i].y : top;
    bottom = corner[i].y > bottom ? corner[i].y : bottom;
  }
  for (int y = top; y <= bottom; y++) fill_row(canvas, side, corner, y);
}

void ebb_stroke_line(uint8_t *canvas, int side, EbbPoint from, EbbPoint to, int width) {
  if (width > 1)
    wide_line(canvas, side, from, to, width);
  else
    thin_line(canvas, side, from, to);
}

static uint8_t largest_around(const uint8_t *from, int side, int y, int x, int radius) {
  uint8_t largest = 0;
  for (int v = -radius; v <= radius; v++) {
    for (int u = -radius; u <= radius; u++) {
      const int row = y + v, column = x + u;
      if (v * v + u * u > radius * radius || row < 0 || row >= side || column < 0 || column >= side) continue;
      if (from[row * side + column] > largest) largest = from[row * side + column];
    }
  }
  return largest;
}

void ebb_stroke_dilate(const uint8_t *from, uint8_t *to, int side, int radius) {
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++) to[y * side + x] = largest_around(from, side, y, x, radius);
}

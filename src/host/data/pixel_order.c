#include "host/data/pixel_order.h"

#include <stdlib.h>

#include "ebb/numpy_random.h"

enum { RANDOM_SEED = 92916 };

EbbPixelOrder ebb_pixel_order_key(const EbbConfig *config, EbbPixelOrder automatic) {
  /* In the order of the key's choices: auto, null, false, true, br, random, snake, hilbert, transpose. */
  const EbbPixelOrder of_choice[] = {automatic,
                                     EBB_PIXELS_ROWS,
                                     EBB_PIXELS_ROWS,
                                     EBB_PIXELS_BIT_REVERSAL,
                                     EBB_PIXELS_BIT_REVERSAL,
                                     EBB_PIXELS_RANDOM,
                                     EBB_PIXELS_SNAKE,
                                     EBB_PIXELS_HILBERT,
                                     EBB_PIXELS_TRANSPOSE};
  return of_choice[ebb_config_choice(config, "dataset.permute")];
}

static void rows(int side, int32_t *out) {
  for (int i = 0; i < side * side; i++) out[i] = i;
}

static void bit_reversal(int side, int32_t *out) {
  const int n = side * side;
  int bits = 0, filled = 0;
  while (1 << bits < n) bits++;
  for (int i = 0; i < 1 << bits; i++) {
    int reversed = 0;
    for (int bit = 0; bit < bits; bit++) reversed |= (i >> bit & 1) << (bits - 1 - bit);
    if (reversed < n) out[filled++] = reversed;
  }
}

static void snake(int side, int32_t *out) {
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++) out[y * side + x] = y * side + (y % 2 ? side - 1 - x : x);
}

static void transpose(int side, int32_t *out) {
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++) out[y * side + x] = x * side + y;
}

/* Two bits of the distance along the curve pick a quadrant of each size, and turn what is inside it. */
static int32_t hilbert_pixel(int side, int distance) {
  int y = 0, x = 0;
  for (int size = 1; size < side; size *= 2, distance /= 4) {
    const int down = distance / 2 & 1, right = (distance ^ down) & 1;
    if (!right) {
      const int turned = down ? size - 1 - y : y;
      y = down ? size - 1 - x : x;
      x = turned;
    }
    y += size * down, x += size * right;
  }
  return y * side + x;
}

static void hilbert(int side, int32_t *out) {
  for (int i = 0; i < side * side; i++) out[i] = hilbert_pixel(side, i);
}

static EbbStatus random_order(int n, int32_t *out) {
  int64_t *order = malloc((size_t)n * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for the order of %d pixels", n);
  ebb_numpy_permutation(RANDOM_SEED, n, order);
  for (int i = 0; i < n; i++) out[i] = (int32_t)order[i];
  free(order);
  return EBB_OK;
}

EbbStatus ebb_pixel_order(EbbPixelOrder order, int side, int32_t **out) {
  static void (*const fill[])(int, int32_t *) = {
      [EBB_PIXELS_ROWS] = rows,       [EBB_PIXELS_BIT_REVERSAL] = bit_reversal, [EBB_PIXELS_SNAKE] = snake,
      [EBB_PIXELS_HILBERT] = hilbert, [EBB_PIXELS_TRANSPOSE] = transpose,
  };
  *out = NULL;
  if (order == EBB_PIXELS_HILBERT && (side & (side - 1)) != 0)
    return ebb_fail(EBB_INVALID, "dataset.permute=hilbert needs images whose side is a power of 2, not %d",
                    side);
  int32_t *pixels = malloc((size_t)(side * side) * sizeof *pixels);
  if (!pixels) return ebb_fail(EBB_MEMORY, "no memory for the order of %d pixels", side * side);
  EbbStatus status = EBB_OK;
  if (order == EBB_PIXELS_RANDOM)
    status = random_order(side * side, pixels);
  else
    fill[order](side, pixels);
  if (status == EBB_OK)
    *out = pixels;
  else
    free(pixels);
  return status;
}

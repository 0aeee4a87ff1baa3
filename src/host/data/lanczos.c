#include "host/data/lanczos.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LOBES = 3, FRACTION_BITS = 22, HALF = 1 << (FRACTION_BITS - 1) };

static const double PI = 3.14159265358979323846;

static double sinc(double x) { return x == 0 ? 1 : sin(x * PI) / (x * PI); }

static double window(double x) { return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0; }

static int32_t fixed(double weight) {
  return (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << FRACTION_BITS));
}

void ebb_lanczos_release(EbbLanczos *lanczos) {
  free(lanczos->first);
  free(lanczos->count);
  free(lanczos->weight);
  *lanczos = (EbbLanczos){0};
}

static void weigh(EbbLanczos *lanczos, int j, double *weight) {
  const double scale = (double)lanczos->in / lanczos->out, reach = LOBES * scale;
  const double centre = (j + 0.5) * scale, inverse = 1.0 / scale;
  int first = (int)(centre - reach + 0.5), end = (int)(centre + reach + 0.5);
  if (first < 0) first = 0;
  if (end > lanczos->in) end = lanczos->in;
  double sum = 0;
  for (int i = first; i < end; i++) sum += weight[i - first] = window((i - centre + 0.5) * inverse);
  for (int i = first; i < end; i++)
    lanczos->weight[j * lanczos->taps + i - first] = fixed(weight[i - first] / sum);
  lanczos->first[j] = first;
  lanczos->count[j] = end - first;
}

EbbStatus ebb_lanczos_create(int in, int out, EbbLanczos *lanczos) {
  *lanczos = (EbbLanczos){.in = in, .out = out, .taps = 2 * (int)ceil(LOBES * (double)in / out) + 1};
  lanczos->first = calloc((size_t)out, sizeof *lanczos->first);
  lanczos->count = calloc((size_t)out, sizeof *lanczos->count);
  lanczos->weight = calloc((size_t)out * (size_t)lanczos->taps, sizeof *lanczos->weight);
  double *weight = calloc((size_t)lanczos->taps, sizeof *weight);
  const bool whole = lanczos->first && lanczos->count && lanczos->weight && weight;
  for (int j = 0; whole && j < out; j++) weigh(lanczos, j, weight);
  free(weight);
  return whole ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory to reduce images of %d x %d pixels", in, in);
}

/* Rows reduced, and which of them hold anything. */
size_t ebb_lanczos_scratch(const EbbLanczos *lanczos) {
  return (size_t)lanczos->in * ((size_t)lanczos->out + 1);
}

static uint8_t clip(int32_t sum) {
  const int32_t value = sum >> FRACTION_BITS;
  return (uint8_t)(value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : value);
}

/* Pixel j of a line whose pixels are `stride` apart. */
static uint8_t weighted(const EbbLanczos *lanczos, int j, const uint8_t *line, size_t stride) {
  const int32_t *weight = lanczos->weight + (size_t)j * (size_t)lanczos->taps;
  int32_t sum = HALF;
  line += (size_t)lanczos->first[j] * stride;
  for (int i = 0; i < lanczos->count[j]; i++) sum += weight[i] * line[(size_t)i * stride];
  return clip(sum);
}

/* A row is zero where all it is made of is zero: most are, around a stroke or a disc. */
void ebb_lanczos_reduce(const EbbLanczos *lanczos, const uint8_t *from, uint8_t *to, uint8_t *scratch) {
  const size_t in = (size_t)lanczos->in, out = (size_t)lanczos->out;
  uint8_t *rows = scratch, *used = scratch + in * out;
  memset(to, 0, out * out);
  for (size_t y = 0; y < in; y++) {
    const uint8_t *line = from + y * in;
    used[y] = line[0] != 0 || memcmp(line, line + 1, in - 1) != 0;
    for (size_t x = 0; x < out; x++) rows[y * out + x] = used[y] ? weighted(lanczos, (int)x, line, 1) : 0;
  }
  for (size_t y = 0; y < out; y++) {
    if (!memchr(used + lanczos->first[y], 1, (size_t)lanczos->count[y])) continue;
    for (size_t x = 0; x < out; x++) to[y * out + x] = weighted(lanczos, (int)y, rows + x, out);
  }
}

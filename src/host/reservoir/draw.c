/* Random weights of a reservoir. */
#include <math.h>
#include <stdlib.h>

#include "ebb/rng.h"
#include "host/reservoir/reservoir_internal.h"

/* Streams of the generator, one a kind of draw. */
enum { COLUMNS, WEIGHTS, INPUT_WEIGHTS };

static const int64_t most_weights = INT64_C(1) << 31;

static double uniform(const EbbReservoirDraw *draw, uint32_t stream, int64_t element) {
  return ebb_unit_double(ebb_random(draw->seed, 0, stream, (uint64_t)element));
}

static EbbStatus check(const EbbReservoirDraw *draw) {
  if (!(draw->density > 0 && draw->density <= 1))
    return ebb_fail(EBB_INVALID, "density of a reservoir is %g; it is above 0, up to 1", draw->density);
  if (!(draw->spectral_radius >= 0 && isfinite(draw->spectral_radius)))
    return ebb_fail(EBB_INVALID, "spectral_radius of a reservoir is %g; it is 0 or more",
                    draw->spectral_radius);
  if (!(draw->input_scale >= 0 && isfinite(draw->input_scale)))
    return ebb_fail(EBB_INVALID, "input_scale of a reservoir is %g; it is 0 or more", draw->input_scale);
  return EBB_OK;
}

static int ascending(const void *a, const void *b) {
  const int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

/* Floyd's algorithm: k of n columns for a row, in increasing order; `chosen` (n) is false before and after.
 */
static void choose(const EbbReservoirDraw *draw, int64_t first_draw, int n, int k, bool *chosen,
                   int *column) {
  for (int i = 0; i < k; i++) {
    const int last = n - k + i;
    const uint32_t word = ebb_random(draw->seed, 0, COLUMNS, (uint64_t)(first_draw + i));
    int item = (int)ebb_below(word, (uint32_t)last + 1);
    if (chosen[item]) item = last;
    chosen[item] = true;
    column[i] = item;
  }
  for (int i = 0; i < k; i++) chosen[column[i]] = false;
  qsort(column, (size_t)k, sizeof *column, ascending);
}

static void draw_recurrent(EbbReservoir *r, const EbbReservoirDraw *draw, int k, bool *chosen) {
  for (int row = 0; row < r->units; row++) {
    const int64_t first = (int64_t)row * k;
    r->W.start[row] = first;
    choose(draw, first, r->units, k, chosen, r->W.column + first);
    for (int64_t i = first; i < first + k; i++) r->W.value[i] = 2 * uniform(draw, WEIGHTS, i) - 1;
  }
  r->W.start[r->units] = (int64_t)r->units * k;
}

static EbbStatus scale_recurrent(EbbReservoir *r, double wanted) {
  double radius = 0;
  if (wanted > 0) {
    EBB_TRY(sparse_radius(&r->W, &radius));
    if (!(radius > 0))
      return ebb_fail(EBB_NUMERIC,
                      "the drawn weights have the spectral radius 0 and cannot be scaled to %g; "
                      "draw with another seed or density",
                      wanted);
  }
  const double factor = wanted > 0 ? wanted / radius : 0;
  for (int64_t i = 0; i < r->W.start[r->units]; i++) r->W.value[i] *= factor;
  return EBB_OK;
}

static void draw_inputs(EbbReservoir *r, const EbbReservoirDraw *draw) {
  const double low = r->kind->positive_inputs ? 0 : -draw->input_scale;
  for (int64_t i = 0; i < (int64_t)r->units * r->inputs; i++)
    r->W_in[i] = low + (draw->input_scale - low) * uniform(draw, INPUT_WEIGHTS, i);
}

EbbStatus reservoir_draw(EbbReservoir *r, const EbbReservoirDraw *draw) {
  EBB_TRY(check(draw));
  const int k = (int)fmax(1, rint(draw->density * r->units));
  if ((int64_t)r->units * k > most_weights)
    return ebb_fail(EBB_INVALID, "%d units of density %g have more than %lld weights", r->units,
                    draw->density, (long long)most_weights);
  EBB_TRY(sparse_create(r->units, (int64_t)r->units * k, &r->W));
  bool *chosen = calloc((size_t)r->units, sizeof *chosen);
  if (!chosen) return ebb_fail(EBB_MEMORY, "no memory to draw %d units", r->units);
  draw_recurrent(r, draw, k, chosen);
  free(chosen);
  draw_inputs(r, draw);
  return scale_recurrent(r, draw->spectral_radius);
}

#include "host/ops/s4_scan.h"

#include <omp.h>
#include <string.h>

#include "host/cpu.h"

enum { LANES = EBB_SCAN_LANES, WIDTH = EBB_LANES, TILE = EBB_SCAN_TILE };

static int64_t padded_length(const EbbS4ScanArgs *args) { return ebb_row_floats(args->L); }

static size_t floats_of(const EbbS4ScanArgs *args, bool backward) {
  int64_t floats = 8 * LANES + 2 * args->R * padded_length(args);
  if (backward) floats += args->R * padded_length(args) + 2 * LANES * args->interval + 6 * LANES;
  return (size_t)floats;
}

size_t ebb_scan_thread_bytes(const EbbS4ScanArgs *args, bool backward) {
  size_t doubles = backward ? 6 * LANES + (size_t)(args->K * args->M * 6) : 0;
  return (sizeof(float) * floats_of(args, backward) + sizeof(double) * doubles + 255) / 256 * 256;
}

EbbScanThread ebb_scan_thread(const EbbS4ScanArgs *args, const EbbRun *run) {
  EbbScanThread t = {.args = args, .run = run, .padded = padded_length(args)};
  float *at = (float *)(void *)(args->work + (size_t)omp_get_thread_num() * args->work_bytes);
  for (int part = 0; part < 2; part++) {
    t.a[part] = at + part * LANES, t.b[part] = at + (2 + part) * LANES;
    t.c[part] = at + (4 + part) * LANES, t.x[part] = at + (6 + part) * LANES;
  }
  at += 8 * LANES;
  t.u = at, at += args->R * t.padded;
  t.out = at, at += args->R * t.padded;
  t.g = at, at += args->R * t.padded;
  t.history = at, at += 2 * LANES * args->interval;
  t.lane_parts = at, at += 6 * LANES;
  t.lane_sums = (double *)(void *)at;
  t.unit_sums = t.lane_sums + 6 * LANES;
  return t;
}

void ebb_scan_load(EbbScanThread *thread, const int64_t *channel, int64_t part) {
  const EbbS4ScanArgs *args = thread->args;
  memset(thread->a[0], 0, sizeof(float) * 6 * LANES);
  for (int64_t lane = 0; lane < LANES; lane++) {
    const int64_t h = channel[lane % args->R], m = part * LANES + lane / args->R;
    if (h < 0 || m >= args->M) continue;
    const EbbSsmMode mode = ebb_ssm_mode(&args->diagonal, h, m);
    const EbbC64 bbar = ebb_ssm_bbar(&mode);
    thread->a[0][lane] = (float)mode.discrete.lambda.re, thread->a[1][lane] = (float)mode.discrete.lambda.im;
    thread->b[0][lane] = (float)bbar.re, thread->b[1][lane] = (float)bbar.im;
    thread->c[0][lane] = args->C[2 * (h * args->M + m)],
    thread->c[1][lane] = args->C[2 * (h * args->M + m) + 1];
  }
}

typedef struct Tile {
  _Alignas(64) float step[TILE][WIDTH];
} Tile;

/* Sixteen steps of the R rows as sixteen vectors, one a step, in which row j mod R lies in lane j. */
static void load_tile(const EbbScanThread *thread, const float *rows, int64_t t, Tile *into) {
  EbbLanes tile[TILE];
  for (int64_t j = 0; j < WIDTH; j++)
    tile[j] = *(const EbbLanes *)(const void *)(rows + j % thread->args->R * thread->padded + t);
  ebb_lanes_transpose(tile);
  memcpy(into, tile, sizeof tile);
}

/* The way back: lanes of one row are summed, times `factor`, onto the rows. */
static void add_tile(const EbbScanThread *thread, const Tile *from, float factor, float *rows, int64_t t) {
  EbbLanes tile[TILE];
  memcpy(tile, from, sizeof tile);
  ebb_lanes_transpose(tile);
  for (int64_t j = 0; j < WIDTH; j++) {
    EbbLanes *to = (EbbLanes *)(void *)(rows + j % thread->args->R * thread->padded + t);
    *to += factor * tile[j];
  }
}

/* One step of all lanes; `sum` gets Re C x by lane of a vector. */
EBB_INLINE void step(EbbScanThread *thread, const float *restrict u, bool bounded, float *restrict sum) {
  const float r = thread->args->bound;
  const float *restrict ar = thread->a[0], *restrict ai = thread->a[1], *restrict br = thread->b[0];
  const float *restrict bi = thread->b[1], *restrict cr = thread->c[0], *restrict ci = thread->c[1];
  float *restrict xr = thread->x[0], *restrict xi = thread->x[1];
  for (int v = 0; v < LANES; v += WIDTH)
#pragma omp simd
    for (int j = 0; j < WIDTH; j++) {
      const int l = v + j;
      EbbC32 b = {br[l], bi[l]}, g = ebb_scan_gate(ebb_c32_make(ar[l], ai[l]), b, u[j]);
      if (bounded) g = ebb_c32_scale(g, ebb_scan_factor(g, r));
      EbbC32 x = ebb_scan_step(g, b, u[j], ebb_c32_make(xr[l], xi[l]));
      xr[l] = x.re, xi[l] = x.im;
      sum[j] = (v ? sum[j] : 0.0f) + cr[l] * x.re - ci[l] * x.im;
    }
}

EBB_INLINE void forward_tile(EbbScanThread *thread, int64_t t, bool bounded) {
  Tile u, sum;
  load_tile(thread, thread->u, t, &u);
  for (int s = 0; s < TILE; s++) step(thread, u.step[s], bounded, sum.step[s]);
  add_tile(thread, &sum, 2.0f, thread->out, t);
}
static void forward_free(EbbScanThread *thread, int64_t t) { forward_tile(thread, t, false); }
static void forward_bounded(EbbScanThread *thread, int64_t t) { forward_tile(thread, t, true); }

void ebb_scan_forward(EbbScanThread *thread, float *states) {
  const EbbS4ScanArgs *args = thread->args;
  memset(thread->x[0], 0, sizeof(float) * 2 * LANES);
  for (int64_t t = 0; t < thread->padded; t += TILE) {
    if (states && t % args->interval == 0)
      memcpy(states + t / args->interval * 2 * LANES, thread->x[0], sizeof(float) * 2 * LANES);
    if (args->bound > 0.0f)
      forward_bounded(thread, t);
    else
      forward_free(thread, t);
  }
}

/* States before each step of an interval, from the one that was kept. */
EBB_INLINE void remember_tile(EbbScanThread *thread, int64_t t, float *history, bool bounded) {
  Tile u;
  _Alignas(64) float unused[WIDTH];
  load_tile(thread, thread->u, t, &u);
  for (int s = 0; s < TILE; s++) {
    memcpy(history + (ptrdiff_t)(2 * LANES) * s, thread->x[0], sizeof(float) * 2 * LANES);
    step(thread, u.step[s], bounded, unused);
  }
}

/* One step back of all lanes. lambda = thread->x is dL/dx[t] without y_t's part on entry, and dL/dx[t-1] on
   exit; before = x[t-1]; sum gets du by lane of a vector. */
EBB_INLINE void step_back(EbbScanThread *thread, const float *restrict u, const float *restrict gy,
                          const float *restrict before, bool bounded, float *restrict sum) {
  const float r = thread->args->bound;
  const float *restrict ar = thread->a[0], *restrict ai = thread->a[1], *restrict br = thread->b[0];
  const float *restrict bi = thread->b[1], *restrict cr = thread->c[0], *restrict ci = thread->c[1];
  float *restrict lr = thread->x[0], *restrict li = thread->x[1], *restrict part = thread->lane_parts;
  for (int v = 0; v < LANES; v += WIDTH)
#pragma omp simd
    for (int j = 0; j < WIDTH; j++) {
      const int l = v + j;
      const float gy2 = 2.0f * gy[j];
      EbbC32 a = {ar[l], ai[l]}, b = {br[l], bi[l]}, x = {before[l], before[LANES + l]};
      EbbC32 free = ebb_scan_gate(a, b, u[j]);
      EbbC32 g = bounded ? ebb_c32_scale(free, ebb_scan_factor(free, r)) : free;
      EbbC32 now = ebb_scan_step(g, b, u[j], x);
      EbbC32 lambda = {lr[l] + gy2 * cr[l], li[l] - gy2 * ci[l]};
      EbbC32 dg = ebb_c32_mul_conj(lambda, x);
      if (bounded) dg = ebb_scan_factor_grad(free, r, dg);
      EbbC32 both = ebb_c32_add(lambda, dg), next = ebb_c32_mul_conj(lambda, g);
      part[l] += dg.re, part[LANES + l] += dg.im;
      part[2 * LANES + l] += u[j] * both.re, part[3 * LANES + l] += u[j] * both.im;
      part[4 * LANES + l] += gy2 * now.re, part[5 * LANES + l] -= gy2 * now.im;
      sum[j] = (v ? sum[j] : 0.0f) + b.re * both.re + b.im * both.im;
      lr[l] = next.re, li[l] = next.im;
    }
}

EBB_INLINE void backward_tile(EbbScanThread *thread, int64_t t, const float *history, bool bounded) {
  Tile u, g, sum;
  load_tile(thread, thread->u, t, &u);
  load_tile(thread, thread->g, t, &g);
  for (int s = TILE - 1; s >= 0; s--)
    step_back(thread, u.step[s], g.step[s], history + (ptrdiff_t)(2 * LANES) * s, bounded, sum.step[s]);
  add_tile(thread, &sum, 1.0f, thread->out, t);
}

EBB_INLINE void interval_back(EbbScanThread *thread, const float *state, int64_t begin, int64_t end,
                              bool bounded) {
  float lambda[2 * LANES];
  memcpy(lambda, thread->x[0], sizeof lambda);
  memcpy(thread->x[0], state, sizeof lambda);
  for (int64_t t = begin; t < end; t += TILE)
    remember_tile(thread, t, thread->history + (t - begin) * 2 * LANES, bounded);
  memcpy(thread->x[0], lambda, sizeof lambda);
  memset(thread->lane_parts, 0, sizeof(float) * 6 * LANES);
  for (int64_t t = end - TILE; t >= begin; t -= TILE)
    backward_tile(thread, t, thread->history + (t - begin) * 2 * LANES, bounded);
  for (int i = 0; i < 6 * LANES; i++) thread->lane_sums[i] += (double)thread->lane_parts[i];
}
static void interval_free(EbbScanThread *thread, const float *state, int64_t begin, int64_t end) {
  interval_back(thread, state, begin, end, false);
}
static void interval_bounded(EbbScanThread *thread, const float *state, int64_t begin, int64_t end) {
  interval_back(thread, state, begin, end, true);
}

void ebb_scan_backward(EbbScanThread *thread, const float *states) {
  const EbbS4ScanArgs *args = thread->args;
  memset(thread->x[0], 0, sizeof(float) * 2 * LANES);
  memset(thread->lane_sums, 0, sizeof(double) * 6 * LANES);
  for (int64_t check = args->checks - 1; check >= 0; check--) {
    const int64_t begin = check * args->interval, end = begin + args->interval;
    const int64_t last = end < thread->padded ? end : thread->padded;
    if (args->bound > 0.0f)
      interval_bounded(thread, states + check * 2 * LANES, begin, last);
    else
      interval_free(thread, states + check * 2 * LANES, begin, last);
  }
}

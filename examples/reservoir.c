/* An echo-state network learns a chaotic series (Mackey and Glass 1977, delay 17) and goes on with it by
   itself: a reservoir is driven with the series, ridge regression learns the next value from its state, and
   from then on each prediction is the next input. Usage: reservoir [UNITS] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ebb/reservoir.h"
#include "ebb/ridge.h"

enum {
  DELAY = 17,
  SUBSTEPS = 10,
  WARM_UP = 200,
  TRAINING = 2000,
  FREE = 100,
  ALL = WARM_UP + TRAINING + FREE
};

/* dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x, by Euler steps of 0.1, moved to about -0.5 .. 0.5. */
static void mackey_glass(double series[ALL + 1]) {
  double past[DELAY * SUBSTEPS], x = 1.2;
  for (int i = 0; i < DELAY * SUBSTEPS; i++) past[i] = x;
  for (int t = -500, at = 0; t <= ALL; t++) {
    if (t >= 0) series[t] = x - 0.9;
    for (int i = 0; i < SUBSTEPS; i++, at = (at + 1) % (DELAY * SUBSTEPS)) {
      const double late = past[at];
      past[at] = x;
      x += (0.2 * late / (1 + pow(late, 10)) - 0.1 * x) / SUBSTEPS;
    }
  }
}

static EbbStatus train(const EbbReservoir *reservoir, EbbReservoirState *state, EbbRidge *ridge,
                       const double *series, double *h, double *W) {
  const int units = ebb_reservoir_units(reservoir);
  EBB_TRY(ebb_reservoir_run(reservoir, state, WARM_UP + TRAINING, series, h));
  EBB_TRY(ebb_ridge_add(ridge, TRAINING, h + (long)WARM_UP * units, series + WARM_UP + 1));
  return ebb_ridge_solve(ridge, 1e-8, W);
}

/* Prints every tenth step and the error over all. */
static EbbStatus go_on(const EbbReservoir *reservoir, EbbReservoirState *state, const EbbRidge *ridge,
                       const double *W, const double *truth, double *h) {
  double error = 0, power = 0, x;
  for (int t = 0; t < FREE; t++) {
    ebb_ridge_apply(ridge, W, 1, h, &x);
    error += (x - truth[t]) * (x - truth[t]);
    power += truth[t] * truth[t];
    if (t % 10 == 9) printf("step %3d   predicted %7.4f   true %7.4f\n", t + 1, x, truth[t]);
    EBB_TRY(ebb_reservoir_step(reservoir, state, &x, h));
  }
  printf("relative error over %d steps: %.2g\n", FREE, sqrt(error / power));
  return EBB_OK;
}

static EbbStatus predict(const EbbReservoir *reservoir, EbbReservoirState *state, EbbRidge *ridge) {
  static double series[ALL + 1];
  const size_t units = (size_t)ebb_reservoir_units(reservoir), steps = WARM_UP + TRAINING;
  double *h = malloc((steps * units + units + 1) * sizeof *h);
  if (!h) return ebb_fail(EBB_MEMORY, "no memory for the states of %zu units", units);
  double *W = h + steps * units;
  mackey_glass(series);
  EbbStatus status = train(reservoir, state, ridge, series, h, W);
  if (status == EBB_OK) status = go_on(reservoir, state, ridge, W, series + steps, h + (steps - 1) * units);
  free(h);
  return status;
}

static EbbStatus run(int units) {
  const EbbEcho echo = {.leak = 0.5};
  const EbbReservoirDraw draw = {.density = 0.1, .spectral_radius = 0.9, .input_scale = 1, .seed = 1};
  EbbReservoir *reservoir = NULL;
  EbbReservoirState *state = NULL;
  EbbRidge *ridge = NULL;
  EbbStatus status = ebb_reservoir_echo_draw(&echo, 1, units, &draw, &reservoir);
  if (status == EBB_OK) status = ebb_reservoir_state_create(reservoir, 1, &state);
  if (status == EBB_OK) status = ebb_ridge_create(units, 1, true, &ridge);
  if (status == EBB_OK) status = predict(reservoir, state, ridge);
  ebb_ridge_destroy(ridge);
  ebb_reservoir_state_destroy(state);
  ebb_reservoir_destroy(reservoir);
  return status;
}

int main(int argc, char **argv) {
  if (run(argc > 1 ? atoi(argv[1]) : 400) == EBB_OK) return EXIT_SUCCESS;
  fprintf(stderr, "reservoir: %s\n", ebb_error());
  return EXIT_FAILURE;
}

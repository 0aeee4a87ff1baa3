#include "ebb/metrics.h"

#include <stdlib.h>

#include "picture.h"
#include "plot_curves.h"
#include "plot_script.h"

typedef struct Plot {
  const EbbRunCurves *runs;
  int count;
  bool svg;
} Plot;

static void write_script(FILE *script, const void *context) {
  const Plot *plot = context;
  ebb_plot_script(script, plot->runs, plot->count, plot->svg);
}

static EbbStatus plot_runs(const char *const *folders, EbbRunCurves *runs, int count, const char *picture,
                           bool svg) {
  for (int i = 0; i < count; i++) EBB_TRY(ebb_curves_read(folders[i], &runs[i]));
  const Plot plot = {.runs = runs, .count = count, .svg = svg};
  return ebb_picture_draw(&ebb_gnuplot, write_script, &plot, picture);
}

EbbStatus ebb_plot_runs(const char *const *run_folders, int count, const char *picture) {
  bool svg;
  EBB_TRY(ebb_picture_kind(picture, &svg));
  if (count < 1) return ebb_fail(EBB_INVALID, "no run was given to draw into '%s'", picture);
  EbbRunCurves *runs = calloc((size_t)count, sizeof *runs);
  if (!runs) return ebb_fail(EBB_MEMORY, "no memory to draw %d runs", count);
  EbbStatus status = plot_runs(run_folders, runs, count, picture, svg);
  for (int i = 0; i < count; i++) ebb_curves_free(&runs[i]);
  free(runs);
  return status;
}

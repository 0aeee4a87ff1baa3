#include "plot_script.h"

#include <math.h>
#include <string.h>

#include "plot_settings.h"

enum { MOST_POINTS = 4000, RAW_LEAST = 20, RAW_MOST_RUNS = 3, NAME_COLUMNS = 60, N_COLOURS = 7 };

/* Okabe and Ito's palette for the colour-blind; runs beyond it differ in their dashes. */
static const char *const colours[N_COLOURS] = {"0072B2", "D55E00", "009E73", "CC79A7",
                                               "E69F00", "56B4E9", "000000"};

static const struct {
  const char *label;
  double scale, least, most; /* the values are shown times `scale`; the axis never leaves [least, most] */
  bool more_is_better;
} measures[EBB_N_MEASURES] = {
    [EBB_LOSS] = {"loss", 1, -INFINITY, INFINITY, false},
    [EBB_ACCURACY] = {"accuracy (%)", 100, 0, 100, true},
    [EBB_F1] = {"F1", 1, 0, 1, true},
    [EBB_RMSE] = {"RMSE", 1, 0, INFINITY, false},
};

static const struct {
  const char *name, *with, *style; /* "with <with> lc rgb '#RRGGBB' dashtype N <style>" */
} splits[EBB_N_SPLITS] = {
    [EBB_TRAIN_SPLIT] = {"train", "lines", "lw 2.4"},
    [EBB_VAL_SPLIT] = {"validation", "linespoints", "lw 1.5 pt 7 ps 0.9"},
    [EBB_TEST_SPLIT] = {"test", "points", "lw 2 pt 9 ps 2.2"},
};

typedef struct Range {
  double low, high;
} Range;

static bool is_usable(const EbbCurve *curve) { return curve->n_finite > 0; }

static void widen(Range *range, double value) {
  if (!isfinite(value)) return;
  range->low = fmin(range->low, value);
  range->high = fmax(range->high, value);
}

/* Room around the curves; a single value gets some too. */
static void pad(Range *range, double share) {
  if (range->low > range->high) *range = (Range){0, 1};
  double span = range->high - range->low;
  double room = span > 0 ? share * span : fmax(0.5 * fabs(range->low), 0.5);
  range->low -= room;
  range->high += room;
}

/* Single quotes keep gnuplot from seeing anything in the text; a name may hold every other character. */
static void put_quoted(FILE *script, const char *text) {
  int columns = 0;
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    columns += (*c & 0xC0) != 0x80;
    if (columns > NAME_COLUMNS) {
      fputs("...", script);
      return;
    }
    if (*c == '\'') fputc('\'', script);
    fputc(*c < ' ' || *c == 0x7F ? '?' : *c, script);
  }
}

static void put_data(FILE *script, const EbbCurve *curve, double scale, int run, int measure, int split) {
  if (!is_usable(curve)) return;
  fprintf(script, "$d%d_%d_%d << EOD\n", run, measure, split);
  size_t stride = curve->n / MOST_POINTS + 1;
  for (size_t i = 0; i < curve->n; i++) {
    const EbbCurvePoint *p = &curve->point[i];
    if (i % stride && i + 1 < curve->n) continue;
    fprintf(script, "%.15g ", p->step);
    fprintf(script, isfinite(p->value) ? "%.9g " : "NaN ", scale * p->value);
    fprintf(script, isfinite(p->smooth) ? "%.9g\n" : "NaN\n", scale * p->smooth);
  }
  fputs("EOD\n", script);
}

static void put_x_axis(FILE *script, const EbbRunCurves *runs, int count, int measure) {
  Range x = {INFINITY, -INFINITY};
  double per_epoch = runs[0].steps_per_epoch;
  for (int r = 0; r < count; r++) {
    for (int s = 0; s < EBB_N_SPLITS; s++)
      for (size_t i = 0; i < runs[r].curve[measure][s].n; i++)
        widen(&x, runs[r].curve[measure][s].point[i].step);
    if (fabs(runs[r].steps_per_epoch - per_epoch) > 0.5) per_epoch = 0;
  }
  pad(&x, 0.02);
  x.low = fmax(x.low, 0);
  fprintf(script, "set xrange [%.15g:%.15g]\nset format x '%s'\n", x.low, x.high,
          x.high - x.low >= 10 ? "%.0f" : "%g");
  if (per_epoch >= 1)
    fprintf(script, "set xlabel 'step (about %.0f an epoch)' offset 0,0.3\n", per_epoch);
  else
    fputs("set xlabel 'step' offset 0,0.3\n", script);
}

/* The raw train line is not asked: one spike would flatten everything else. */
static void put_y_axis(FILE *script, const EbbRunCurves *runs, int count, int measure) {
  Range y = {INFINITY, -INFINITY};
  double scale = measures[measure].scale;
  for (int r = 0; r < count; r++)
    for (int s = 0; s < EBB_N_SPLITS; s++) {
      const EbbCurve *curve = &runs[r].curve[measure][s];
      for (size_t i = 0; i < curve->n; i++)
        widen(&y, scale * (s == EBB_TRAIN_SPLIT ? curve->point[i].smooth : curve->point[i].value));
    }
  pad(&y, 0.06);
  y.low = fmax(y.low, measures[measure].least);
  y.high = fmin(y.high, measures[measure].most);
  fprintf(script, "set yrange [%.9g:%.9g]\nset ylabel '%s'\n", y.low, y.high, measures[measure].label);
}

static double best_value(const EbbCurve *curve, int measure) {
  double best = NAN;
  for (size_t i = 0; i < curve->n; i++) {
    double value = curve->point[i].value;
    if (isfinite(value) && (isnan(best) || (value > best) == measures[measure].more_is_better)) best = value;
  }
  return measures[measure].scale * best;
}

/* The last finite value of the test split: it is measured once, with the best checkpoint. */
static double last_value(const EbbCurve *curve, int measure) {
  for (size_t i = curve->n; i > 0; i--)
    if (isfinite(curve->point[i - 1].value)) return measures[measure].scale * curve->point[i - 1].value;
  return NAN;
}

/* One run: the legend names the splits. Several: it names the runs. */
static void put_title(FILE *script, const EbbRunCurves *run, int count, int measure, int split) {
  const EbbCurve *curve = &run->curve[measure][split];
  if (count > 1)
    fputs(" notitle", script);
  else if (split == EBB_TRAIN_SPLIT)
    fputs(" title 'train'", script);
  else if (split == EBB_VAL_SPLIT)
    fprintf(script, " title 'val (best %.4g)'", best_value(curve, measure));
  else
    fprintf(script, " title 'test (%.4g)'", last_value(curve, measure));
}

/* A colour a run; a single run has one a split. */
static const char *colour_of(int run, int split, int count) {
  return colours[count > 1 ? run % N_COLOURS : split];
}

static void put_curve(FILE *script, const EbbRunCurves *runs, int r, int count, int measure, int split) {
  const EbbCurve *curve = &runs[r].curve[measure][split];
  if (!is_usable(curve)) return;
  bool train = split == EBB_TRAIN_SPLIT;
  const char *colour = colour_of(r, split, count);
  if (train && curve->n >= RAW_LEAST && count <= RAW_MOST_RUNS)
    fprintf(script, ", $d%d_%d_%d using 1:2 with lines lc rgb '#B8%s' lw 1 notitle", r, measure, split,
            colour);
  fprintf(script, ", $d%d_%d_%d using 1:%d with %s lc rgb '#%s' dashtype %d %s", r, measure, split,
          train ? 3 : 2, train && curve->n_finite == 1 ? "points" : splits[split].with, colour,
          1 + r / N_COLOURS, splits[split].style);
  put_title(script, &runs[r], count, measure, split);
}

static void put_legend(FILE *script, const EbbRunCurves *runs, int count, int measure) {
  for (int r = 0; r < count; r++) {
    fprintf(script, ", NaN with lines lc rgb '#%s' dashtype %d lw 4 title '", colours[r % N_COLOURS],
            1 + r / N_COLOURS);
    put_quoted(script, runs[r].name);
    const EbbCurve *curve = &runs[r].curve[measure][EBB_VAL_SPLIT];
    if (is_usable(curve)) fprintf(script, "  (best val %.4g)", best_value(curve, measure));
    fputc('\'', script);
  }
}

static void put_panel(FILE *script, const EbbRunCurves *runs, int count, int measure) {
  put_x_axis(script, runs, count, measure);
  put_y_axis(script, runs, count, measure);
  fputs("plot NaN notitle", script);
  for (int s = 0; s < EBB_N_SPLITS; s++)
    for (int r = 0; r < count; r++) put_curve(script, runs, r, count, measure, s);
  if (count > 1) put_legend(script, runs, count, measure);
  fputc('\n', script);
}

static bool is_measured(const EbbRunCurves *runs, int count, int measure) {
  for (int r = 0; r < count; r++)
    for (int s = 0; s < EBB_N_SPLITS; s++)
      if (is_usable(&runs[r].curve[measure][s])) return true;
  return false;
}

void ebb_plot_script(FILE *script, const EbbRunCurves *runs, int count, bool svg) {
  int panel[EBB_N_MEASURES], n = 0;
  for (int m = 0; m < EBB_N_MEASURES; m++)
    if (is_measured(runs, count, m)) panel[n++] = m;
  ebb_plot_settings(script, svg);
  for (int p = 0; p < n; p++)
    for (int r = 0; r < count; r++)
      for (int s = 0; s < EBB_N_SPLITS; s++)
        put_data(script, &runs[r].curve[panel[p]][s], measures[panel[p]].scale, r, panel[p], s);
  fprintf(script, "set multiplot layout 1,%d title '", n);
  put_quoted(script, count == 1 ? runs[0].name : "lines: train, dots: validation, triangles: test");
  fprintf(script, "' font 'sans,%d' noenhanced\n", count == 1 ? 15 : 12);
  for (int p = 0; p < n; p++) put_panel(script, runs, count, panel[p]);
  fputs("unset multiplot\n", script);
}

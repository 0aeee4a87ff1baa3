/* Panels of numbers: images, curves, and maps of features over time. */
#include <math.h>

#include "host/metrics/gallery_internal.h"

enum { MOST_CURVE_STEPS = 2000, MOST_MAP_STEPS = 400, N_COLOURS = EBB_GALLERY_MOST_CURVES };

/* Okabe and Ito's palette for the colour-blind. */
static const char *const colours[N_COLOURS] = {"0072B2", "D55E00", "009E73", "CC79A7",
                                               "E69F00", "56B4E9", "999999", "000000"};

/* ---- images ---- */

/* The levels of rgbimage are 0 .. 255, those of a batch are normalised. */
static void put_pixels(FILE *script, const float *values, int64_t side) {
  const int64_t n = side * side;
  float least = values[0], most = values[0];
  for (int64_t i = 1; i < 3 * n; i++) least = fminf(least, values[i]), most = fmaxf(most, values[i]);
  const double scale = most > least ? 255 / ((double)most - (double)least) : 0;
  for (int64_t i = 0; i < n; i++) {
    fprintf(script, "%lld %lld", (long long)(i % side), (long long)(i / side));
    for (int c = 0; c < 3; c++) fprintf(script, " %.0f", ((double)values[3 * i + c] - (double)least) * scale);
    fputc('\n', script);
  }
}

void ebb_gallery_image(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel) {
  const int64_t width = g->dataset->d_input, length = batch->length;
  const bool rows = !batch->tokens && width == length, colour = width == 3 && !rows;
  const int64_t side = rows ? length : ebb_gallery_side(length);
  fprintf(script, "$d%d << EOD\n", panel);
  if (colour) put_pixels(script, batch->values, side);
  for (int64_t i = 0; i < side * side && !colour; i++)
    fprintf(script, "%g%c", batch->tokens ? batch->tokens[i] : (double)batch->values[i],
            i % side == side - 1 ? '\n' : ' ');
  fputs("EOD\n", script);
  fprintf(script,
          "set size ratio -1; unset tics; unset key; unset colorbox; set palette gray\n"
          "set xrange [-0.5:%lld.5]; set yrange [%lld.5:-0.5]\nset margins 0.5,0.5,0.2,1.6\n",
          (long long)side - 1, (long long)side - 1);
  fprintf(script, colour ? "plot $d%d using 1:2:3:4:5 with rgbimage\n" : "plot $d%d matrix with image\n",
          panel);
}

/* ---- time ---- */

/* Steps between marks: about five marks, at whole steps that people count in. */
static int64_t mark_steps(int64_t length) {
  const double rough = fmax((double)length / 5, 1), power = pow(10, floor(log10(rough)));
  const double nice = rough / power;
  return (int64_t)(power * (nice > 5 ? 10 : nice > 2 ? 5 : nice > 1 ? 2 : 1));
}

static void put_time_axis(FILE *script, int64_t length, double beyond) {
  const double end = (double)length - 1;
  fprintf(script, "set xrange [%g:%g]; set xtics %lld\n", 0 - beyond, end + beyond,
          (long long)mark_steps(length));
}

/* The classes or the first target of every step, on an axis of their own. */
static void put_class_axis(FILE *script, const EbbGallery *g) {
  fprintf(script, "set y2range [-0.1:%lld.1]; set ytics nomirror; set y2tics %lld\n",
          (long long)g->dataset->n_classes - 1, (long long)mark_steps(g->dataset->n_classes));
}

/* ---- curves ---- */

void ebb_gallery_curves(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel) {
  const int64_t width = g->dataset->d_input, length = batch->lengths[0], outputs = g->dataset->d_output;
  const int64_t stride = length / MOST_CURVE_STEPS + 1;
  const bool labels = batch->labels && g->dataset->per_step;
  const bool target = batch->targets && g->dataset->per_step;
  fprintf(script, "$d%d << EOD\n", panel);
  for (int64_t t = 0; t < length; t += stride) {
    fprintf(script, "%lld", (long long)t);
    for (int64_t i = 0; i < width; i++) fprintf(script, " %g", (double)batch->values[t * width + i]);
    if (labels) fprintf(script, " %d", (int)batch->labels[t]);
    if (target) fprintf(script, " %g", (double)batch->targets[t * outputs]);
    fputc('\n', script);
  }
  fputs("EOD\n", script);
  fputs("set key outside right top samplen 1 spacing 0.9 font ',8'; set grid lc rgb '#dddddd'\n", script);
  put_time_axis(script, length, length > 1 ? 0 : 0.5);
  if (labels) put_class_axis(script, g);
  fprintf(script, "plot ");
  for (int64_t i = 0; i < width; i++)
    fprintf(script, "%s$d%d using 1:%lld with %s lc rgb '#%s' lw 1.5 title 'x%lld'", i ? ", " : "", panel,
            (long long)i + 2, length > 1 ? "lines" : "points", colours[i % N_COLOURS], (long long)i);
  if (labels)
    fprintf(script, ", $d%d using 1:%lld axes x1y2 with steps lc rgb 'black' dashtype 2 title 'class'", panel,
            (long long)width + 2);
  if (target)
    fprintf(script, ", $d%d using 1:%lld with lines lc rgb 'black' lw 2 dashtype 2 title 'y0'", panel,
            (long long)width + 2);
  fputc('\n', script);
}

/* ---- maps ---- */

/* A row a feature, each from its least to its largest number in the picture. */
static void put_features(FILE *script, const EbbGallery *g, const EbbBatch *batch, int64_t stride) {
  const int64_t width = g->dataset->d_input;
  for (int64_t i = 0; i < width; i++) {
    const double least = (double)g->least[i], range = (double)g->most[i] - least;
    for (int64_t t = 0; t < batch->lengths[0]; t += stride)
      fprintf(script, "%.3g ", range > 0 ? ((double)batch->values[t * width + i] - least) / range : 0.5);
    fputc('\n', script);
  }
}

void ebb_gallery_map(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel) {
  const int64_t width = g->dataset->d_input, length = batch->lengths[0];
  const int64_t stride = length / MOST_MAP_STEPS + 1;
  const bool labels = batch->labels && g->dataset->per_step;
  fprintf(script, "$d%d << EOD\n", panel);
  put_features(script, g, batch, stride);
  fputs("EOD\n", script);
  fprintf(script,
          "set palette defined (0 '#440154', 1 '#3b528b', 2 '#21918c', 3 '#5ec962', 4 '#fde725'); set "
          "cbrange [0:1]; unset colorbox; unset key\nset yrange [-0.5:%lld.5]; set ytics %lld\n",
          (long long)width - 1, (long long)mark_steps(width));
  put_time_axis(script, length, (double)stride / 2);
  if (labels) {
    fprintf(script, "$c%d << EOD\n", panel);
    for (int64_t t = 0; t < length; t += stride)
      fprintf(script, "%lld %d\n", (long long)t, (int)batch->labels[t]);
    fputs("EOD\n", script);
    put_class_axis(script, g);
  }
  fprintf(script, "plot $d%d matrix using ($1*%lld):2:3 with image", panel, (long long)stride);
  if (labels) fprintf(script, ", $c%d axes x1y2 with steps lc rgb 'white' lw 2 dashtype 2", panel);
  fputc('\n', script);
}

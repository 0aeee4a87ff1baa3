/* Histograms of time constants. */
#include <math.h>
#include <string.h>

#include "host/metrics/picture.h"
#include "host/metrics/plot_settings.h"
#include "host/report/report_internal.h"

enum { BINS = 48, COLUMNS = 3, MOST_PANELS = 9 };

static const struct {
  const char *name, *colour; /* Okabe and Ito's palette for the colour-blind */
} groups[] = {{"inter", "0072B2"}, {"command", "E69F00"}, {"motor", "009E73"}, {"units", "0072B2"}};
enum { GROUPS = sizeof groups / sizeof *groups };

/* Bins of equal width in log tau. */
typedef struct Bins {
  double low, width;
  int64_t in[GROUPS][BINS], all[GROUPS];
} Bins;

static int group_of(const EbbNeuronReport *neuron) {
  for (int g = 0; g < GROUPS; g++)
    if (strcmp(groups[g].name, neuron->group) == 0) return g;
  return GROUPS - 1;
}

/* A time constant that a logarithmic axis can show. */
static bool is_shown(float tau) { return tau > 0 && isfinite(tau); }

static void find_range(const EbbLayerReport *layer, Bins *bins) {
  double low = (double)INFINITY, high = -(double)INFINITY;
  for (int64_t i = 0; i < layer->kept * layer->n; i++)
    if (is_shown(layer->tau[i]))
      low = fmin(low, log10((double)layer->tau[i])), high = fmax(high, log10((double)layer->tau[i]));
  if (low > high) low = -1, high = 1;
  const double room = high - low < 0.1 ? 0.05 : 0;
  bins->low = low - room, bins->width = (high - low + 2 * room) / BINS;
}

static void count(const EbbLayerReport *layer, Bins *bins) {
  *bins = (Bins){0};
  find_range(layer, bins);
  for (int64_t i = 0; i < layer->kept * layer->n; i++) {
    const int g = group_of(&layer->neuron[i % layer->n]);
    bins->all[g]++;
    if (!is_shown(layer->tau[i])) continue;
    int bin = (int)((log10((double)layer->tau[i]) - bins->low) / bins->width);
    bin = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
    bins->in[g][bin]++;
  }
}

/* A bin is two points of a step line. */
static void put_data(FILE *script, int64_t layer, const Bins *bins) {
  for (int g = 0; g < GROUPS; g++) {
    if (!bins->all[g]) continue;
    fprintf(script, "$d%lld_%d << EOD\n", (long long)layer, g);
    for (int b = 0; b <= BINS; b++) {
      const double share = b < BINS ? 100 * (double)bins->in[g][b] / (double)bins->all[g] : 0;
      fprintf(script, "%.9g %.9g\n", pow(10, bins->low + b * bins->width), share);
    }
    fputs("EOD\n", script);
  }
}

/* Labels at 1, 2 and 5 times powers of ten; where there would be few, at more, and where many, at powers
 * alone. */
static void put_ticks(FILE *script, const Bins *bins) {
  static const double few[] = {1, 2, 5}, many[] = {1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9};
  const double high = bins->low + BINS * bins->width;
  const double decades = high - bins->low;
  const bool narrow = decades < 1;
  const int digits = narrow ? 10 : decades < 4 ? 3 : 1;
  const double *digit = narrow ? many : few;
  const char *separator = "";
  fputs("set xtics (", script);
  for (int power = (int)floor(bins->low); power <= (int)floor(high); power++)
    for (int k = 0; k < digits; k++) {
      const double at = digit[k] * pow(10, power);
      fprintf(script, "%s'%g' %.9g", separator, at, at);
      separator = ", ";
    }
  fputs(")\n", script);
}

static void put_panel(FILE *script, const EbbReport *report, int64_t i, const Bins *bins) {
  const EbbLayerReport *layer = &report->layer[i];
  const char *separator = "plot ";
  fprintf(script, "set title 'layer %lld: %s, %lld neurons' noenhanced\nset xrange [%.9g:%.9g]\n",
          (long long)i, layer->cell, (long long)layer->n, pow(10, bins->low - bins->width),
          pow(10, bins->low + (BINS + 1) * bins->width));
  put_ticks(script, bins);
  for (int g = 0; g < GROUPS; g++) {
    if (!bins->all[g]) continue;
    fprintf(script,
            "%s$d%lld_%d using 1:2 with fillsteps fs transparent solid 0.25 noborder lc rgb '#%s' notitle, "
            "$d%lld_%d using 1:2 with steps lw 2 lc rgb '#%s' title '%s'",
            separator, (long long)i, g, groups[g].colour, (long long)i, g, groups[g].colour, groups[g].name);
    separator = ", ";
  }
  fputc('\n', script);
}

static bool is_known(const EbbLayerReport *layer) { return layer->kept > 0; }

void report_script(FILE *script, const EbbReport *report, bool svg) {
  int panels = 0;
  Bins bins;
  for (int64_t i = 0; i < report->n_layers; i++) panels += is_known(&report->layer[i]);
  if (panels > MOST_PANELS) panels = MOST_PANELS;
  const int columns = panels < 1 ? 1 : panels < COLUMNS ? panels : COLUMNS;
  ebb_plot_settings(script, svg);
  fprintf(script,
          "set logscale x\nset yrange [0:*]\nset xlabel 'effective time constant'\n"
          "set ylabel 'share of the steps of a group (%%)'\nset key width 3\nset multiplot layout %d,%d\n",
          (panels + columns - 1) / columns, columns);
  for (int64_t i = 0, drawn = 0; i < report->n_layers && drawn < panels; i++) {
    if (!is_known(&report->layer[i])) continue;
    count(&report->layer[i], &bins);
    put_data(script, i, &bins);
    put_panel(script, report, i, &bins);
    drawn++;
  }
  fputs("unset multiplot\n", script);
}

typedef struct Drawing {
  const EbbReport *report;
  bool svg;
} Drawing;

static void write_script(FILE *script, const void *context) {
  const Drawing *drawing = context;
  report_script(script, drawing->report, drawing->svg);
}

EbbStatus ebb_report_draw(const EbbReport *report, const char *picture) {
  Drawing drawing = {.report = report};
  bool known = false;
  EBB_TRY(ebb_picture_kind(picture, &drawing.svg));
  for (int64_t i = 0; i < report->n_layers; i++) known = known || is_known(&report->layer[i]);
  if (!known)
    return ebb_fail(EBB_INVALID, "there is nothing to draw into '%s': cells '%s' have no rates", picture,
                    report->layer[0].cell);
  return ebb_picture_draw(&ebb_gnuplot, write_script, &drawing, picture);
}

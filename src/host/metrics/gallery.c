#include "host/metrics/gallery.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/metrics/picture.h"

enum { MOST_PANELS = 24, LEAST_SIDE = 4, MOST_CURVES = 8, MOST_STEPS = 2000, N_COLOURS = 8 };
enum { TOKEN_COLUMNS = 28, TOKEN_ROWS = 12, TOKEN_BYTES = 5, GREY_LEVELS = 256 };

/* Okabe and Ito's palette for the colour-blind. */
static const char *const colours[N_COLOURS] = {"0072B2", "D55E00", "009E73", "CC79A7",
                                               "E69F00", "56B4E9", "999999", "000000"};

typedef struct Gallery {
  const EbbDataset *dataset;
  const EbbSamples *samples;
  const char *const *class_names;
  EbbLoader *loader;
  EbbGalleryKind kind;
  int n_panels;
  int64_t panel[MOST_PANELS]; /* samples of the split */
  bool svg;
  EbbStatus status;
} Gallery;

static int64_t side_of(int64_t area) {
  const int64_t side = (int64_t)lround(sqrt((double)area));
  return side * side == area && side >= LEAST_SIDE ? side : 0;
}

EbbGalleryKind ebb_gallery_kind(const EbbDataset *dataset) {
  const bool plain = !dataset->variable_length && !dataset->per_step;
  const int64_t side = plain ? side_of(dataset->longest) : 0;
  if (dataset->vocabulary > 0)
    return side && dataset->vocabulary == GREY_LEVELS && !dataset->token_text ? EBB_GALLERY_IMAGES
                                                                              : EBB_GALLERY_TOKENS;
  if (side && (dataset->d_input == 1 || dataset->d_input == 3)) return EBB_GALLERY_IMAGES;
  const bool rows = plain && dataset->d_input == dataset->longest && dataset->longest >= LEAST_SIDE;
  return rows ? EBB_GALLERY_IMAGES : EBB_GALLERY_CURVES;
}

static const struct {
  int columns, rows, width, height;
} layouts[] = {[EBB_GALLERY_IMAGES] = {8, 3, 1280, 600},
               [EBB_GALLERY_CURVES] = {3, 3, 1400, 900},
               [EBB_GALLERY_TOKENS] = {2, 3, 1500, 1000}};

/* The next sample from *from on that has the label. */
static bool find_sample(const Gallery *g, int32_t label, int64_t *from) {
  for (; *from < g->samples->n_samples; ++*from)
    if (g->samples->labels[ebb_stored_sample(g->samples, *from)] == label) return true;
  return false;
}

static void choose_spread(Gallery *g, int most) {
  const int64_t n = g->samples->n_samples;
  g->n_panels = n < most ? (int)n : most;
  for (int p = 0; p < g->n_panels; p++) g->panel[p] = p * n / g->n_panels;
}

/* The first of each class by turns; without classes of samples they are spread over the split, because
   neighbours are often windows that overlap. */
static void choose_panels(Gallery *g) {
  enum { MOST_CLASSES = 64 };
  const int most = layouts[g->kind].columns * layouts[g->kind].rows;
  const int64_t n_classes = g->dataset->n_classes;
  if (!g->samples->labels || g->dataset->per_step || n_classes > MOST_CLASSES) {
    choose_spread(g, most);
    return;
  }
  int64_t next[MOST_CLASSES] = {0};
  for (bool found = true; found;) {
    found = false;
    for (int c = 0; c < n_classes && g->n_panels < most; c++) {
      if (!find_sample(g, c, &next[c])) continue;
      g->panel[g->n_panels++] = next[c]++;
      found = true;
    }
  }
}

/* Single quotes keep gnuplot from seeing anything in the text. */
static void put_quoted(FILE *script, const char *text, int most) {
  fputc('\'', script);
  for (int i = 0; text[i] && i < most; i++) {
    if (text[i] == '\'') fputc('\'', script);
    fputc((unsigned char)text[i] < ' ' || text[i] == 0x7F ? '?' : text[i], script);
  }
  fputc('\'', script);
}

static void put_title(FILE *script, const Gallery *g, int64_t sample, const EbbBatch *batch) {
  char title[96];
  int n = snprintf(title, sizeof title, "%lld", (long long)sample);
  if (batch->labels && !g->dataset->per_step) {
    if (g->class_names)
      snprintf(title + n, sizeof title - (size_t)n, ": %s", g->class_names[batch->labels[0]]);
    else
      snprintf(title + n, sizeof title - (size_t)n, ": class %d", (int)batch->labels[0]);
  } else if (batch->targets && !g->dataset->per_step) {
    snprintf(title + n, sizeof title - (size_t)n, ": target %.4g", (double)batch->targets[0]);
  }
  fputs("set title ", script);
  put_quoted(script, title, (int)sizeof title);
  fputs(" noenhanced offset 0,-0.6\n", script);
}

static void put_image(FILE *script, const Gallery *g, const EbbBatch *batch, int panel) {
  const int64_t width = g->dataset->d_input, length = batch->length;
  const bool rows = !batch->tokens && width == length, colour = width == 3 && !rows;
  const int64_t side = rows ? length : side_of(length);
  fprintf(script, "$d%d << EOD\n", panel);
  for (int64_t i = 0; i < side * side; i++) {
    if (colour) {
      const float *pixel = batch->values + 3 * i;
      fprintf(script, "%lld %lld %g %g %g\n", (long long)(i % side), (long long)(i / side), (double)pixel[0],
              (double)pixel[1], (double)pixel[2]);
    } else {
      fprintf(script, "%g%c", batch->tokens ? batch->tokens[i] : (double)batch->values[i],
              i % side == side - 1 ? '\n' : ' ');
    }
  }
  fputs("EOD\n", script);
  fprintf(script,
          "set size ratio -1; unset tics; unset key; unset colorbox; set palette gray\n"
          "set xrange [-0.5:%lld.5]; set yrange [%lld.5:-0.5]\nset margins 0.5,0.5,0.2,1.6\n",
          (long long)side - 1, (long long)side - 1);
  fprintf(script, colour ? "plot $d%d using 1:2:3:4:5 with rgbimage\n" : "plot $d%d matrix with image\n",
          panel);
}

static void put_curves(FILE *script, const Gallery *g, const EbbBatch *batch, int panel) {
  const int64_t width = g->dataset->d_input, length = batch->lengths[0], outputs = g->dataset->d_output;
  const int64_t shown = width < MOST_CURVES ? width : MOST_CURVES, stride = length / MOST_STEPS + 1;
  const bool labels = batch->labels && g->dataset->per_step;
  const bool target = batch->targets && g->dataset->per_step;
  fprintf(script, "$d%d << EOD\n", panel);
  for (int64_t t = 0; t < length; t += stride) {
    fprintf(script, "%lld", (long long)t);
    for (int64_t i = 0; i < shown; i++) fprintf(script, " %g", (double)batch->values[t * width + i]);
    if (labels) fprintf(script, " %d", (int)batch->labels[t]);
    if (target) fprintf(script, " %g", (double)batch->targets[t * outputs]);
    fputc('\n', script);
  }
  fputs("EOD\n", script);
  fputs("set key outside right top samplen 1 spacing 0.9 font ',8'; set grid lc rgb '#dddddd'\n", script);
  if (labels)
    fprintf(script, "set y2range [-0.1:%lld.1]; set ytics nomirror; set y2tics 1\n",
            (long long)g->dataset->n_classes - 1);
  fprintf(script, "plot ");
  for (int64_t i = 0; i < shown; i++)
    fprintf(script, "%s$d%d using 1:%lld with lines lc rgb '#%s' lw 1.5 title 'x%lld'", i ? ", " : "", panel,
            (long long)i + 2, colours[i % N_COLOURS], (long long)i);
  if (labels)
    fprintf(script, ", $d%d using 1:%lld axes x1y2 with steps lc rgb 'black' dashtype 2 title 'class'", panel,
            (long long)shown + 2);
  if (target)
    fprintf(script, ", $d%d using 1:%lld with lines lc rgb 'black' lw 2 dashtype 2 title 'y0'", panel,
            (long long)shown + 2);
  fputc('\n', script);
}

static void put_token(FILE *script, const Gallery *g, int32_t id, int cell) {
  char number[16];
  snprintf(number, sizeof number, "%d", (int)id);
  const char *text = g->dataset->token_text ? g->dataset->token_text[id] : number;
  fputs("set label ", script);
  put_quoted(script, text, TOKEN_BYTES);
  fprintf(script, " at %d,%d center noenhanced font ',8' front\n", cell % TOKEN_COLUMNS,
          cell / TOKEN_COLUMNS);
}

/* The beginning, row by row; a cell's colour is its token's. */
static void put_tokens(FILE *script, const Gallery *g, const EbbBatch *batch, int panel) {
  enum { CELLS = TOKEN_COLUMNS * TOKEN_ROWS };
  const int n = batch->lengths[0] < CELLS ? batch->lengths[0] : (int)CELLS;
  fprintf(script, "unset label\n$d%d << EOD\n", panel);
  for (int i = 0; i < CELLS; i++)
    fprintf(script, i < n ? "%d%c" : "NaN%.0d%c", i < n ? (int)batch->tokens[i] : 0,
            i % TOKEN_COLUMNS == TOKEN_COLUMNS - 1 ? '\n' : ' ');
  fputs("EOD\n", script);
  for (int i = 0; i < n; i++) put_token(script, g, batch->tokens[i], i);
  fprintf(
      script,
      "set palette defined (0 '#ffffff', 1 '#a6cee3', 2 '#fdbf6f', 3 '#b2df8a', 4 '#cab2d6', 5 '#fb9a99', "
      "6 '#ffff99', 7 '#8dd3c7')\nset cbrange [0:%lld]; unset colorbox; unset tics; unset key\n"
      "set xrange [-0.5:%d.5]; set yrange [%d.5:-0.5]\nset margins 1,1,0.5,1.6\n"
      "plot $d%d matrix with image\n",
      (long long)g->dataset->vocabulary, TOKEN_COLUMNS - 1, TOKEN_ROWS - 1, panel);
}

static void (*const put_panel[])(FILE *, const Gallery *, const EbbBatch *, int) = {
    [EBB_GALLERY_IMAGES] = put_image, [EBB_GALLERY_CURVES] = put_curves, [EBB_GALLERY_TOKENS] = put_tokens};

static void put_terminal(FILE *script, const Gallery *g) {
  char size[64];
  snprintf(size, sizeof size, "size %d,%d font 'sans,10'", layouts[g->kind].width, layouts[g->kind].height);
  if (g->svg)
    fprintf(script, "set terminal svg background 'white' %s\n", size);
  else
    fprintf(script,
            "if (strstrt(GPVAL_TERMINALS, ' pngcairo ')) {\n  set terminal pngcairo %s\n"
            "} else {\n  set terminal png truecolor %s\n}\n",
            size, size);
}

static void write_script(FILE *script, const void *context) {
  Gallery *g = *(Gallery *const *)context;
  put_terminal(script, g);
  fprintf(script, "set multiplot layout %d,%d title ", layouts[g->kind].rows, layouts[g->kind].columns);
  put_quoted(script, g->dataset->name, (int)sizeof g->dataset->name);
  fputs(" font ',14' noenhanced\n", script);
  for (int p = 0; p < g->n_panels && g->status == EBB_OK; p++) {
    const EbbBatch *batch;
    g->status = ebb_loader_batch(g->loader, 0, g->panel[p], &batch);
    if (g->status != EBB_OK) break;
    put_title(script, g, g->panel[p], batch);
    put_panel[g->kind](script, g, batch, p);
  }
  fputs("unset multiplot\n", script);
}

EbbStatus ebb_gallery_draw(const EbbDataset *dataset, EbbSplit split, const char *const *class_names,
                           const char *picture) {
  static const EbbPainter gnuplot = {.arguments = {"gnuplot", "--default-settings"},
                                     .package = "gnuplot-nox"};
  const char *ending = strrchr(picture, '.');
  Gallery g = {.dataset = dataset,
               .samples = &dataset->split[split],
               .class_names = class_names,
               .kind = ebb_gallery_kind(dataset),
               .svg = ending && strcmp(ending, ".svg") == 0};
  if (!g.svg && !(ending && strcmp(ending, ".png") == 0))
    return ebb_fail(EBB_INVALID, "cannot draw '%s': the name of a picture ends in .png or .svg", picture);
  const EbbLoaderConfig config = {.batch_size = 1, .bucket_quantum = 1};
  EBB_TRY(ebb_loader_create(dataset, split, &config, &g.loader));
  choose_panels(&g);
  Gallery *const context = &g;
  const EbbStatus status = ebb_picture_draw(&gnuplot, write_script, &context, picture);
  ebb_loader_destroy(g.loader);
  return g.status == EBB_OK ? status : g.status;
}

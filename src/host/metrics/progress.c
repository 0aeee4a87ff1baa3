#include "ebb/metrics.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "progress_text.h"

static const double redraw_every_s = 0.1, rate_memory_s = 15;
static const char clear_line[] = "\r\x1b[K";

enum { TEXT_BYTES = 192, DEFAULT_WIDTH = 80 };

struct EbbProgress {
  FILE *out;
  bool terminal, utf8;
  bool shown, stale; /* a bar stands on the screen; it is older than the state */
  double every_s, last_draw_s;
  double last_update_s, recent_units, recent_s; /* what the rate is taken from */
  int64_t done, total;
  char label[TEXT_BYTES], unit[TEXT_BYTES], note[TEXT_BYTES];
};

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_terminal(FILE *out) {
  const char *kind = getenv("TERM");
  return isatty(fileno(out)) && kind && *kind && strcmp(kind, "dumb") != 0;
}

/* Asks the environment: a library does not know whether its program has called setlocale, and must not. */
static bool is_utf8(void) {
  locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
  if (!locale) return false;
  bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
  freelocale(locale);
  return utf8;
}

EbbStatus ebb_progress_create(FILE *out, double plain_every_s, EbbProgress **out_progress) {
  *out_progress = NULL;
  EbbProgress *progress = calloc(1, sizeof *progress);
  if (!progress) return ebb_fail(EBB_MEMORY, "no memory for a progress line");
  progress->out = out;
  progress->terminal = is_terminal(out);
  progress->utf8 = is_utf8();
  progress->every_s = progress->terminal ? redraw_every_s : plain_every_s;
  progress->last_draw_s = progress->terminal ? -INFINITY : now_s();
  *out_progress = progress;
  return EBB_OK;
}

/* One column stays free: a full line would make the terminal wrap. */
static int bar_width(FILE *out) {
  struct winsize size;
  int width = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : DEFAULT_WIDTH;
  return width - 1;
}

static void draw(EbbProgress *progress) {
  EbbProgressState state = {.label = progress->label,
                            .unit = progress->unit,
                            .note = progress->note,
                            .done = progress->done,
                            .total = progress->total};
  if (progress->recent_s > 0) state.rate = progress->recent_units / progress->recent_s;
  char text[EBB_PROGRESS_BYTES];
  if (progress->terminal)
    fprintf(progress->out, "\r%s\x1b[K",
            ebb_progress_text(&state, bar_width(progress->out), progress->utf8, text));
  else
    fprintf(progress->out, "%s\n", ebb_progress_text(&state, 0, false, text));
  fflush(progress->out);
  progress->shown = progress->terminal;
  progress->stale = false;
}

/* Units and seconds fade with the same half-life, so their quotient is unbiased from the first update on. */
static void measure(EbbProgress *progress, bool new_phase, int64_t done, double now) {
  if (new_phase)
    progress->recent_units = progress->recent_s = 0;
  else {
    double passed = now - progress->last_update_s, keep = exp(-passed / rate_memory_s);
    progress->recent_units = keep * progress->recent_units + (double)(done - progress->done);
    progress->recent_s = keep * progress->recent_s + passed;
  }
  progress->last_update_s = now;
}

void ebb_progress_update(EbbProgress *progress, const char *label, int64_t done, int64_t total,
                         const char *unit, const char *note) {
  double now = now_s();
  bool new_phase = strncmp(progress->label, label, TEXT_BYTES - 1) != 0 || done < progress->done;
  measure(progress, new_phase, done, now);
  snprintf(progress->label, TEXT_BYTES, "%s", label);
  snprintf(progress->unit, TEXT_BYTES, "%s", unit);
  snprintf(progress->note, TEXT_BYTES, "%s", note ? note : "");
  progress->done = done;
  progress->total = total;
  progress->stale = true;
  if (now - progress->last_draw_s < progress->every_s) return;
  progress->last_draw_s = now;
  draw(progress);
}

void ebb_progress_line(EbbProgress *progress, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (progress->shown) fputs(clear_line, progress->out);
  vfprintf(progress->out, format, arguments);
  va_end(arguments);
  fputc('\n', progress->out);
  fflush(progress->out);
  progress->shown = false;
}

void ebb_progress_destroy(EbbProgress *progress) {
  if (!progress) return;
  if (progress->shown) {
    if (progress->stale) draw(progress);
    fputc('\n', progress->out);
    fflush(progress->out);
  }
  free(progress);
}

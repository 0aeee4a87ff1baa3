#include "progress_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIELD_BYTES = 192, BAR_LEAST = 6, BAR_MOST = 40, EIGHTHS = 8, N_YIELDING = 6 };

/* In the order in which they stand. Ranks below N_YIELDING give way, the lowest first; label and note are
 * cut. */
typedef enum Field { LABEL, BAR, COUNT, UNIT, PERCENT, RATE, LEFT, NOTE, N_FIELDS } Field;

static const struct {
  int rank;
  const char *before;
} layout[N_FIELDS] = {
    [LABEL] = {N_YIELDING, ""}, [BAR] = {3, " "},   [COUNT] = {2, "  "}, [UNIT] = {0, " "},
    [PERCENT] = {5, "  "},      [RATE] = {1, "  "}, [LEFT] = {4, "  "},  [NOTE] = {N_YIELDING, "  "},
};

typedef char Fields[N_FIELDS][FIELD_BYTES];

/* UTF-8 continuation bytes take no column. */
static int columns(const char *text) {
  int n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
  return n;
}

static void cut_to_columns(char *text, int most) {
  for (int n = 0; *text; text++) {
    n += ((unsigned char)*text & 0xC0) != 0x80;
    if (n > most) *text = '\0';
    if (n > most) return;
  }
}

static void format_rate(double rate, const char *unit, char *text) {
  bool slow = rate < 1;
  double shown = slow ? 1 / rate : rate;
  int decimals = shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2;
  if (slow)
    snprintf(text, FIELD_BYTES, "%4.*f s/%.40s", decimals, shown, unit);
  else
    snprintf(text, FIELD_BYTES, "%4.*f %.40s/s", decimals, shown, unit);
}

static void format_left(double seconds, char *text) {
  char span[32];
  if (seconds >= 1000.0 * 86400) return;
  long long s = (long long)ceil(seconds);
  if (s < 60)
    snprintf(span, sizeof span, "%llds", s);
  else if (s < 3600)
    snprintf(span, sizeof span, "%lldm%02llds", s / 60, s % 60);
  else if (s < 86400)
    snprintf(span, sizeof span, "%lldh%02lldm", s / 3600, s / 60 % 60);
  else
    snprintf(span, sizeof span, "%lldd%02lldh", s / 86400, s / 3600 % 24);
  snprintf(text, FIELD_BYTES, "%s left", span);
}

static void format_fields(const EbbProgressState *state, Fields field) {
  for (int i = 0; i < N_FIELDS; i++) field[i][0] = '\0';
  snprintf(field[LABEL], FIELD_BYTES, "%s", state->label ? state->label : "");
  snprintf(field[UNIT], FIELD_BYTES, "%s", state->unit ? state->unit : "");
  snprintf(field[NOTE], FIELD_BYTES, "%s", state->note ? state->note : "");
  long long done = (long long)state->done, total = (long long)state->total;
  if (total > 0) {
    int digits = snprintf(NULL, 0, "%lld", total);
    snprintf(field[COUNT], FIELD_BYTES, "%*lld/%lld", digits, done, total);
    snprintf(field[PERCENT], FIELD_BYTES, "%3.0f%%", floor(100.0 * (double)done / (double)total));
  } else
    snprintf(field[COUNT], FIELD_BYTES, "%lld", done);
  if (!(state->rate > 0)) return;
  format_rate(state->rate, field[UNIT], field[RATE]);
  if (total > 0) format_left((double)(done < total ? total - done : 0) / state->rate, field[LEFT]);
}

static int line_columns(Fields field) {
  int n = 0;
  for (int i = 0; i < N_FIELDS; i++)
    if (field[i][0]) n += (n ? (int)strlen(layout[i].before) : 0) + columns(field[i]);
  return n;
}

static char *put(char *to, const char *text, int times) {
  for (int i = 0; i < times; i++)
    for (const char *from = text; *from; from++) *to++ = *from;
  return to;
}

/* Two columns of `width` are the brackets. */
static void draw_bar(double part, int width, bool utf8, char *text) {
  static const char *const tips[EIGHTHS] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int cells = width - 2, grain = utf8 ? EIGHTHS : 1;
  part = part < 0 ? 0 : part > 1 ? 1 : part;
  int grains = (int)(part * cells * grain), full = grains / grain, tip = grains % grain;
  text = put(text, utf8 ? "▕" : "[", 1);
  text = put(text, utf8 ? "█" : "#", full);
  text = put(text, tips[tip], 1);
  text = put(text, utf8 ? " " : ".", cells - full - (tip > 0));
  text = put(text, utf8 ? "▏" : "]", 1);
  *text = '\0';
}

static void fit(const EbbProgressState *state, int width, bool utf8, Fields field) {
  double part = state->total > 0 ? (double)state->done / (double)state->total : 0;
  if (state->total > 0) draw_bar(part, BAR_LEAST, utf8, field[BAR]);
  for (int rank = 0; rank < N_YIELDING && line_columns(field) > width; rank++)
    for (int i = 0; i < N_FIELDS; i++)
      if (layout[i].rank == rank) field[i][0] = '\0';
  if (!field[BAR][0]) return;
  int room = BAR_LEAST + width - line_columns(field);
  draw_bar(part, room < BAR_MOST ? room : BAR_MOST, utf8, field[BAR]);
}

const char *ebb_progress_text(const EbbProgressState *state, int width, bool utf8,
                              char text[EBB_PROGRESS_BYTES]) {
  Fields field;
  format_fields(state, field);
  if (width > 0) fit(state, width, utf8, field);
  text[0] = '\0';
  size_t used = 0;
  for (int i = 0; i < N_FIELDS && used < EBB_PROGRESS_BYTES; i++)
    if (field[i][0])
      used += (size_t)snprintf(text + used, EBB_PROGRESS_BYTES - used, "%s%s", used ? layout[i].before : "",
                               field[i]);
  if (width > 0) cut_to_columns(text, width);
  return text;
}

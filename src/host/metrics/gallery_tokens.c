/* Panels of tokens: the beginning of a sequence, row by row. */
#include <stdlib.h>
#include <string.h>

#include "host/metrics/gallery_internal.h"

enum { COLOURS = 12, NARROW = 28, WIDE = 14, NARROW_CHARACTERS = 5, WIDE_CHARACTERS = 12 };

static bool continues(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

int ebb_gallery_characters(const char *text) {
  int n = 0;
  for (; *text; text++) n += !continues(*text);
  return n;
}

/* What stands for a character that the script cannot hold or nobody could see; NULL: itself. Between single
   quotes a quote is gnuplot's alone, doubled or not. */
static const char *stand_in(const char *at) {
  static const struct {
    const char *character, *shown;
  } rows[] = {{"'", "\u2019"}, {"\n", "\u21B5"}, {"\t", "\u2192"}, {"\xC0\x80", "?"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strncmp(at, rows[i].character, strlen(rows[i].character)) == 0) return rows[i].shown;
  const unsigned char first = (unsigned char)at[0], second = (unsigned char)at[1];
  const bool control = first < ' ' || first == 0x7F || (first == 0xC2 && second < 0xA0);
  return control ? "?" : NULL;
}

void ebb_gallery_quoted(FILE *script, const char *text, int most) {
  fputc('\'', script);
  for (int n = 0; *text && n < most; n++) {
    const char *shown = stand_in(text);
    if (shown) fputs(shown, script);
    do {
      if (!shown) fputc(*text, script);
      text++;
    } while (continues(*text));
  }
  fputc('\'', script);
}

static int columns_of(const EbbGallery *g) { return g->longest_text > NARROW_CHARACTERS ? WIDE : NARROW; }

static int rows_of(const EbbGallery *g) {
  const int64_t rows = (g->longest + columns_of(g) - 1) / columns_of(g);
  return rows < EBB_GALLERY_TOKEN_ROWS ? (int)rows : (int)EBB_GALLERY_TOKEN_ROWS;
}

/* So that a cell holds its text. */
static int font_size(int characters, bool wide) {
  static const int fits[2][2] = {{3, 4}, {7, 9}}; /* characters at size 8 and at 7 */
  return characters <= fits[wide][0] ? 8 : characters <= fits[wide][1] ? 7 : 6;
}

static void put_token(FILE *script, const EbbGallery *g, int32_t id, int cell) {
  char number[16];
  snprintf(number, sizeof number, "%d", (int)id);
  const char *text = g->dataset->token_text ? g->dataset->token_text[id] : number;
  const bool wide = columns_of(g) == WIDE;
  const int most = wide ? WIDE_CHARACTERS : NARROW_CHARACTERS;
  fputs("set label ", script);
  ebb_gallery_quoted(script, text, most);
  fprintf(script, " at %d,%d center noenhanced font ',%d' front\n", cell % columns_of(g),
          cell / columns_of(g), font_size(ebb_gallery_characters(text), wide));
}

/* A cell's colour is its token's, one of a few. */
void ebb_gallery_tokens(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel) {
  const int columns = columns_of(g), cells = columns * rows_of(g);
  const int n = batch->lengths[0] < cells ? batch->lengths[0] : cells;
  fprintf(script, "unset label\n$d%d << EOD\n", panel);
  for (int i = 0; i < cells; i++)
    fprintf(script, i < n ? "%d%c" : "NaN%.0d%c", i < n ? (int)batch->tokens[i] % COLOURS : 0,
            i % columns == columns - 1 ? '\n' : ' ');
  fputs("EOD\n", script);
  for (int i = 0; i < n; i++) put_token(script, g, batch->tokens[i], i);
  fprintf(
      script,
      "set palette maxcolors %d defined (0 '#f2f2f2', 1 '#a6cee3', 2 '#fdbf6f', 3 '#b2df8a', 4 '#cab2d6', "
      "5 '#fb9a99', 6 '#ffff99', 7 '#8dd3c7', 8 '#d9d9d9', 9 '#fccde5', 10 '#80b1d3', 11 '#e5c494')\n"
      "set cbrange [-0.5:%d.5]; unset colorbox; unset tics; unset key\n"
      "set xrange [-0.5:%d.5]; set yrange [%d.5:-0.5]\nset margins 1,1,0.5,1.6\n"
      "plot $d%d matrix with image\n",
      (int)COLOURS, (int)COLOURS - 1, columns - 1, rows_of(g) - 1, panel);
}

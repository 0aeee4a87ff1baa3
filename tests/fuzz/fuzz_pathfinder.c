/* Any bytes, as an image and as metadata of images, are refused with a sentence or read within bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/pathfinder_rows.h"
#include "host/data/png_grey.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void read_image(const uint8_t *bytes, size_t length) {
  enum { MOST_SIDE = 64, WIDTH_AT = 19, HEIGHT_AT = 23 };
  const int width = length > HEIGHT_AT ? bytes[WIDTH_AT] % MOST_SIDE + 1 : 1;
  const int height = length > HEIGHT_AT ? bytes[HEIGHT_AT] % MOST_SIDE + 1 : 1;
  uint8_t *pixels = malloc((size_t)width * (size_t)height);
  if (!pixels) return;
  for (int w = width - 1; w <= width; w++) {
    if (w == 0) continue;
    const EbbStatus status = ebb_png_read_grey((const char *)bytes, length, "input", w, height, pixels);
    if (status != EBB_OK && (status != EBB_FORMAT || !*ebb_error())) abort();
  }
  free(pixels);
}

static void read_rows(const uint8_t *bytes, size_t length) {
  char *text = malloc(length + 1);
  if (!text) return;
  memcpy(text, bytes, length);
  text[length] = 0;
  EbbPathfinderRows rows = {0};
  const EbbStatus status = ebb_pathfinder_rows_parse(text, length, "input", 0, &rows);
  if (status != EBB_OK && status != EBB_FORMAT && status != EBB_UNSUPPORTED) abort();
  for (int64_t i = 0; i < rows.n; i++) {
    if (rows.row[i].label != 0 && rows.row[i].label != 1) abort();
    if (rows.row[i].name + strlen(rows.names + rows.row[i].name) >= rows.names_length) abort();
  }
  ebb_pathfinder_rows_release(&rows);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  read_image(bytes, length);
  read_rows(bytes, length);
  return 0;
}

#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "host/metrics/picture.h"
#include "host/wiring/wiring_internal.h"

static void write_script(FILE *script, const void *context) { wiring_dot(script, context); }

static EbbStatus write_file(const char *path, const char *text, size_t length) {
  EbbFileWriter *file;
  EBB_TRY(ebb_file_writer_create(path, &file));
  EbbStatus status = ebb_file_writer_write(file, text, length);
  if (status == EBB_OK) status = ebb_file_writer_commit(file);
  ebb_file_writer_destroy(file);
  return status;
}

static EbbStatus write_dot(const EbbWiring *wiring, const char *path) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  bool failed = !out;
  if (out) {
    ebb_picture_script(write_script, wiring, out);
    failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
  }
  EbbStatus status =
      failed ? ebb_fail(EBB_MEMORY, "no memory to write '%s'", path) : write_file(path, text, length);
  free(text);
  return status;
}

EbbStatus ebb_wiring_draw(const EbbWiring *wiring, const char *picture) {
  static const EbbPainter png = {.arguments = {"dot", "-Tpng"}, .package = "graphviz"},
                          svg = {.arguments = {"dot", "-Tsvg"}, .package = "graphviz"};
  const char *ending = strrchr(picture, '.');
  if (ending && strcmp(ending, ".dot") == 0) return write_dot(wiring, picture);
  const bool is_svg = ending && strcmp(ending, ".svg") == 0;
  if (!is_svg && !(ending && strcmp(ending, ".png") == 0))
    return ebb_fail(EBB_INVALID, "cannot draw '%s': the name of a picture ends in .png, .svg or .dot",
                    picture);
  return ebb_picture_draw(is_svg ? &svg : &png, write_script, wiring, picture);
}

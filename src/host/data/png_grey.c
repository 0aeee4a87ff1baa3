#include "host/data/png_grey.h"

#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLAINT_BYTES = 160, GREY_BITS = 8 };

/* libpng leaves through longjmp; what is needed afterwards stands here. */
typedef struct Reader {
  png_structp png;
  png_infop info;
  const char *at;
  size_t left;
  bool cut_off;
  char complaint[COMPLAINT_BYTES];
} Reader;

static void on_error(png_structp png, png_const_charp text) {
  char *complaint = png_get_error_ptr(png);
  snprintf(complaint, COMPLAINT_BYTES, "%s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void on_read(png_structp png, png_bytep to, size_t n) {
  Reader *reader = png_get_io_ptr(png);
  if (n > reader->left) {
    reader->cut_off = true;
    png_error(png, "the file is cut off");
  }
  memcpy(to, reader->at, n);
  reader->at += n;
  reader->left -= n;
}

static EbbStatus check_header(const Reader *reader, const char *origin, int width, int height) {
  const png_uint_32 w = png_get_image_width(reader->png, reader->info);
  const png_uint_32 h = png_get_image_height(reader->png, reader->info);
  const int bits = png_get_bit_depth(reader->png, reader->info);
  const int channels = png_get_channels(reader->png, reader->info);
  const bool grey = png_get_color_type(reader->png, reader->info) == PNG_COLOR_TYPE_GRAY;
  if (w != (png_uint_32)width || h != (png_uint_32)height)
    return ebb_fail(EBB_FORMAT, "%s: an image of %u x %u pixels, expected %d x %d", origin, (unsigned)w,
                    (unsigned)h, width, height);
  if (!grey || bits != GREY_BITS)
    return ebb_fail(EBB_FORMAT, "%s: an image of %d %s with %d bits, expected one grey channel with 8",
                    origin, channels, grey ? "grey channel" : "colour or alpha channels", bits);
  return EBB_OK;
}

static EbbStatus read_pixels(Reader *reader, const char *origin, int width, int height, uint8_t *pixels) {
  if (setjmp(png_jmpbuf(reader->png)))
    return ebb_fail(EBB_FORMAT, "%s: %s", origin,
                    reader->cut_off ? "the file is cut off" : reader->complaint);
  png_set_read_fn(reader->png, reader, on_read);
  png_read_info(reader->png, reader->info);
  EBB_TRY(check_header(reader, origin, width, height));
  const int passes = png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  for (int pass = 0; pass < passes; pass++)
    for (int y = 0; y < height; y++) png_read_row(reader->png, pixels + (size_t)y * (size_t)width, NULL);
  png_read_end(reader->png, NULL);
  return EBB_OK;
}

EbbStatus ebb_png_read_grey(const char *bytes, size_t length, const char *origin, int width, int height,
                            uint8_t *pixels) {
  enum { SIGNATURE = 8 };
  if (length < SIGNATURE || png_sig_cmp((png_const_bytep)bytes, 0, SIGNATURE) != 0)
    return ebb_fail(EBB_FORMAT, "%s: no PNG image: it begins with other bytes", origin);
  Reader reader = {.at = bytes, .left = length};
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader.complaint, on_error, on_warning);
  reader.info = reader.png ? png_create_info_struct(reader.png) : NULL;
  EbbStatus status = reader.info ? read_pixels(&reader, origin, width, height, pixels)
                                 : ebb_fail(EBB_MEMORY, "%s: no memory to read the image", origin);
  png_destroy_read_struct(&reader.png, &reader.info, NULL);
  return status;
}

static void on_write(png_structp png, png_bytep from, size_t n) {
  EbbPngBuffer *out = png_get_io_ptr(png);
  if (out->capacity - out->length < n) {
    const size_t capacity = 2 * (out->length + n);
    uint8_t *bytes = realloc(out->bytes, capacity);
    if (!bytes) png_error(png, "no memory");
    out->bytes = bytes, out->capacity = capacity;
  }
  memcpy(out->bytes + out->length, from, n);
  out->length += n;
}

static void on_flush(png_structp png) { (void)png; }

static bool write_image(png_structp png, png_infop info, const uint8_t *pixels, int width, int height) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, GREY_BITS, PNG_COLOR_TYPE_GRAY,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < height; y++) png_write_row(png, pixels + (size_t)y * (size_t)width);
  png_write_end(png, info);
  return true;
}

EbbStatus ebb_png_write_grey(const uint8_t *pixels, int width, int height, EbbPngBuffer *out) {
  char complaint[COMPLAINT_BYTES] = "";
  out->length = 0;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, complaint, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  bool written = false;
  if (info) {
    png_set_write_fn(png, out, on_write, on_flush);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE); /* strokes on black: filters gain nothing */
    written = write_image(png, info, pixels, width, height);
  }
  png_destroy_write_struct(&png, &info);
  return written ? EBB_OK
                 : ebb_fail(EBB_MEMORY, "no memory to write an image of %d x %d pixels", width, height);
}

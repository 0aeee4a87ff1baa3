/* 8-bit grey PNG images in memory. */
#ifndef EBB_HOST_DATA_PNG_GREY_H
#define EBB_HOST_DATA_PNG_GREY_H

#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads an image of exactly width x height pixels, row by row; gamma and text chunks are not looked at.
   Errors: FORMAT, naming `origin` (no PNG, cut off, damaged, other size, depth or channels); MEMORY. */
EbbStatus ebb_png_read_grey(const char *bytes, size_t length, const char *origin, int width, int height,
                            uint8_t *pixels) EBB_MUST_CHECK;

/* A file in memory, whose room is used again. Lifetime: free(bytes). */
typedef struct EbbPngBuffer {
  uint8_t *bytes;
  size_t length, capacity;
} EbbPngBuffer;

/* Replaces the buffer's contents. Errors: MEMORY. */
EbbStatus ebb_png_write_grey(const uint8_t *pixels, int width, int height, EbbPngBuffer *out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

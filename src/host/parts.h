/* Parts of one block of scratch memory. */
#ifndef EBB_HOST_PARTS_H
#define EBB_HOST_PARTS_H

#include <stddef.h>
#include <string.h>

/* A part: where its pointer stands (the address of a `T *`) and how much memory it takes. */
typedef struct EbbPart {
  void *pointer;
  size_t bytes;
} EbbPart;

/* Lays n parts out from `base` on, each 64-byte aligned where base is; returns the bytes that all take. base
   NULL: only counts, and the pointers become NULL. */
static inline size_t ebb_place_parts(char *base, const EbbPart *part, size_t n) {
  size_t at = 0;
  for (size_t i = 0; i < n; i++) {
    void *start = base ? base + at : NULL;
    /* The pointers have different types; memcpy writes them without breaking aliasing rules. */
    memcpy(part[i].pointer, &start, sizeof start);
    at += (part[i].bytes + 63) / 64 * 64;
  }
  return at;
}

#endif

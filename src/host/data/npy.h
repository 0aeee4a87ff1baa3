/* numpy's .npy files (versions 1 to 3) in memory. */
#ifndef EBB_HOST_DATA_NPY_H
#define EBB_HOST_DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_NPY_MOST_RANK = 8 };

typedef struct EbbNpy {
  int rank; /* 0: one number */
  int64_t dim[EBB_NPY_MOST_RANK];
  int64_t size;  /* numbers in all */
  bool whole;    /* the file's elements are integers or bool */
  float *values; /* (size) row-major, whatever the order in the file */
} EbbNpy;

/* Reads bool, signed and unsigned integers and floats of 2, 4 and 8 bytes, in either byte order. Lifetime:
   ebb_npy_release, after an error too. Errors: FORMAT (no .npy file, malformed header, cut off or too long,
   more than 2^40 elements), UNSUPPORTED (pickled objects, texts, records, complex numbers), each naming
   `origin`; MEMORY. */
EbbStatus ebb_npy_parse(const char *bytes, size_t length, const char *origin, EbbNpy *out) EBB_MUST_CHECK;
void ebb_npy_release(EbbNpy *npy);

typedef struct EbbNpyTexts {
  int64_t rows, columns;
  size_t width; /* bytes of an element, its closing 0 included */
  char *text;   /* (rows, columns, width) */
} EbbNpyTexts;

/* Reads a matrix of ASCII texts, numpy's types U and S. Lifetime: ebb_npy_texts_release, after an error too.
   Errors: FORMAT (as above, no matrix, other letters), UNSUPPORTED (other elements), MEMORY. */
EbbStatus ebb_npy_parse_texts(const char *bytes, size_t length, const char *origin,
                              EbbNpyTexts *out) EBB_MUST_CHECK;
void ebb_npy_texts_release(EbbNpyTexts *texts);

#ifdef __cplusplus
}
#endif
#endif

/* Tensor shapes and element types. */
#ifndef EBB_SHAPE_H
#define EBB_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_MAX_RANK = 6 };

/* Row-major: the last dimension is contiguous. Rank 0 is a scalar of one element. Unused dimensions are 0. */
typedef struct EbbShape {
  int rank;
  int64_t dim[EBB_MAX_RANK];
} EbbShape;

/* Element types of values in a graph: float32 tensors; int32 tokens, lengths and targets; bfloat16
   activations, on CUDA devices only. */
typedef enum EbbDtype { EBB_F32, EBB_I32, EBB_BF16 } EbbDtype;

/* ebb_shape(B, H, L): a shape of the listed dimensions (C only; C++ calls ebb_shape_from). A scalar is
 * (EbbShape){0}. */
#define ebb_shape(...)    ebb_shape_of((const int64_t[]){__VA_ARGS__})
#define ebb_shape_of(...) ebb_shape_from((int)(sizeof(__VA_ARGS__) / sizeof(int64_t)), __VA_ARGS__)

/* A shape from an array of `rank` dimensions. Errors: none here; ebb_shape_check names bad dimensions. */
EbbShape ebb_shape_from(int rank, const int64_t *dim);

/* Errors: SHAPE for a rank outside 0..EBB_MAX_RANK, a dimension < 1, or more than 2^62 elements. */
EbbStatus ebb_shape_check(const EbbShape *shape) EBB_MUST_CHECK;

/* Number of elements. The shape must have passed ebb_shape_check. */
int64_t ebb_shape_size(const EbbShape *shape);

bool ebb_shape_equal(const EbbShape *a, const EbbShape *b);

/* "(12, 128, 2048)"; cut to fit `size`. Returns `text`. */
const char *ebb_shape_text(const EbbShape *shape, char *text, size_t size);

/* Bytes of one element. */
size_t ebb_dtype_size(EbbDtype dtype);
const char *ebb_dtype_name(EbbDtype dtype);

#ifdef __cplusplus
}
#endif
#endif

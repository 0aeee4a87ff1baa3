#include "ebb/shape.h"

#include <stdio.h>

static const struct {
  size_t size;
  const char *name;
} dtypes[] = {[EBB_F32] = {4, "f32"}, [EBB_I32] = {4, "i32"}, [EBB_BF16] = {2, "bf16"}};

EbbShape ebb_shape_from(int rank, const int64_t *dim) {
  EbbShape shape = {.rank = rank};
  for (int i = 0; i < rank && i < EBB_MAX_RANK; i++) shape.dim[i] = dim[i];
  return shape;
}

EbbStatus ebb_shape_check(const EbbShape *shape) {
  if (shape->rank < 0 || shape->rank > EBB_MAX_RANK)
    return ebb_fail(EBB_SHAPE, "a shape has %d dimensions; 0 to %d are possible", shape->rank, EBB_MAX_RANK);
  const int64_t most = (int64_t)1 << 62;
  int64_t size = 1;
  for (int i = 0; i < shape->rank; i++) {
    int64_t n = shape->dim[i];
    char text[160];
    if (n < 1)
      return ebb_fail(EBB_SHAPE, "shape %s: every dimension must be at least 1",
                      ebb_shape_text(shape, text, sizeof text));
    if (n > most / size)
      return ebb_fail(EBB_SHAPE, "shape %s has more than 2^62 elements",
                      ebb_shape_text(shape, text, sizeof text));
    size *= n;
  }
  return EBB_OK;
}

int64_t ebb_shape_size(const EbbShape *shape) {
  int64_t size = 1;
  for (int i = 0; i < shape->rank; i++) size *= shape->dim[i];
  return size;
}

bool ebb_shape_equal(const EbbShape *a, const EbbShape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

const char *ebb_shape_text(const EbbShape *shape, char *text, size_t size) {
  size_t used = 0;
  used += (size_t)snprintf(text, size, "(");
  for (int i = 0; i < shape->rank && i < EBB_MAX_RANK && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)shape->dim[i]);
  if (used < size) snprintf(text + used, size - used, ")");
  return text;
}

size_t ebb_dtype_size(EbbDtype dtype) { return dtypes[dtype].size; }

const char *ebb_dtype_name(EbbDtype dtype) { return dtypes[dtype].name; }

#include "host/data/token_column.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 4096 };

void ebb_token_column_release(EbbTokenColumn *column) {
  free(column->data);
  *column = (EbbTokenColumn){0};
}

static int width_for(int32_t token) { return token <= UINT8_MAX ? 1 : token <= INT16_MAX ? 2 : 4; }

int32_t ebb_token_column_at(const EbbTokenColumn *column, int64_t i) {
  return column->width == 1   ? ((const uint8_t *)column->data)[i]
         : column->width == 2 ? ((const int16_t *)column->data)[i]
                              : ((const int32_t *)column->data)[i];
}

static void put(EbbTokenColumn *column, int64_t i, int32_t token) {
  if (column->width == 1)
    ((uint8_t *)column->data)[i] = (uint8_t)token;
  else if (column->width == 2)
    ((int16_t *)column->data)[i] = (int16_t)token;
  else
    ((int32_t *)column->data)[i] = token;
}

static EbbStatus no_memory(int64_t capacity) {
  return ebb_fail(EBB_MEMORY, "no memory for %lld tokens of texts", (long long)capacity);
}

static EbbStatus widen(EbbTokenColumn *column, int width) {
  EbbTokenColumn wide = {.width = width, .n = column->n, .capacity = column->capacity};
  wide.data = malloc((size_t)wide.capacity * (size_t)width + 1);
  if (!wide.data) return no_memory(wide.capacity);
  for (int64_t i = 0; i < column->n; i++) put(&wide, i, ebb_token_column_at(column, i));
  free(column->data);
  *column = wide;
  return EBB_OK;
}

static EbbStatus grow(EbbTokenColumn *column) {
  const int64_t capacity = 2 * column->capacity + FIRST_CAPACITY;
  void *data = realloc(column->data, (size_t)capacity * (size_t)column->width);
  if (!data) return no_memory(capacity);
  column->data = data, column->capacity = capacity;
  return EBB_OK;
}

EbbStatus ebb_token_column_set(EbbTokenColumn *column, int64_t i, int32_t token) {
  const int width = width_for(token);
  if (width > column->width) EBB_TRY(widen(column, width));
  put(column, i, token);
  return EBB_OK;
}

EbbStatus ebb_token_column_append(EbbTokenColumn *column, int32_t token) {
  const int width = width_for(token);
  if (width > column->width) EBB_TRY(widen(column, width));
  if (column->n == column->capacity) EBB_TRY(grow(column));
  put(column, column->n++, token);
  return EBB_OK;
}

void ebb_token_column_move(EbbTokenColumn *column, EbbSamples *samples) {
  if (column->width == 4) {
    samples->tokens = column->data;
  } else {
    samples->raw = column->data;
    samples->raw_type = column->width == 2 ? EBB_RAW_I16 : EBB_RAW_U8;
  }
  *column = (EbbTokenColumn){0};
}

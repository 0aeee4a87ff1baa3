#include "host/data/raw.h"

static inline float raw_value(int number, float scale, float offset) {
  return (float)number * scale + offset;
}

#define EBB_RAW_LOOPS(type)                                                                                  \
  static void type##_tokens(const void *from, size_t n, int32_t *to) {                                       \
    const type *numbers = from;                                                                              \
    for (size_t i = 0; i < n; i++) to[i] = numbers[i];                                                       \
  }                                                                                                          \
  static void type##_values(const void *from, size_t n, const float *scale, const float *offset, bool one,   \
                            float *to) {                                                                     \
    const type *numbers = from;                                                                              \
    const float scale0 = scale[0], offset0 = offset[0];                                                      \
    if (one)                                                                                                 \
      for (size_t i = 0; i < n; i++) to[i] = raw_value(numbers[i], scale0, offset0);                         \
    else                                                                                                     \
      for (size_t i = 0; i < n; i++) to[i] = raw_value(numbers[i], scale[i], offset[i]);                     \
  }
EBB_RAW_LOOPS(uint8_t)
EBB_RAW_LOOPS(int16_t)

static const struct {
  size_t bytes;
  void (*tokens)(const void *from, size_t n, int32_t *to);
  void (*values)(const void *from, size_t n, const float *scale, const float *offset, bool one, float *to);
} rows[EBB_RAW_TYPES] = {[EBB_RAW_U8] = {sizeof(uint8_t), uint8_t_tokens, uint8_t_values},
                         [EBB_RAW_I16] = {sizeof(int16_t), int16_t_tokens, int16_t_values}};

size_t ebb_raw_bytes(EbbRawType type) { return rows[type].bytes; }

void ebb_raw_tokens(EbbRawType type, const void *from, size_t n, int32_t *to) {
  rows[type].tokens(from, n, to);
}

void ebb_raw_values(EbbRawType type, const void *from, size_t n, const float *scale, const float *offset,
                    bool one, float *to) {
  if (n > 0) rows[type].values(from, n, scale, offset, one, to);
}

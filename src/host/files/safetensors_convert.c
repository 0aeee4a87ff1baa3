#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ebb/safetensors.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors data is little-endian and is used as it lies in the file"
#endif

enum { BLOCK = 256 };

typedef union Wide {
  double real;
  int64_t whole;
} Wide;

typedef void (*WidenFn)(const unsigned char *in, int n, Wide *out);

/* Data may lie unaligned in the file, hence memcpy. */
#define WIDEN(name, type, field, expression)                                                                 \
  static void widen_##name(const unsigned char *in, int n, Wide *out) {                                      \
    for (int i = 0; i < n; i++) {                                                                            \
      type x;                                                                                                \
      memcpy(&x, in + (size_t)i * sizeof x, sizeof x);                                                       \
      out[i].field = (expression);                                                                           \
    }                                                                                                        \
  }

static double half_value(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                : exponent == 0 ? ldexp(fraction, -24)
                                : ldexp(fraction + 1024, exponent - 25);
  return bits >> 15 ? -size : size;
}

static double bfloat_value(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

WIDEN(f64, double, real, x)
WIDEN(f32, float, real, x)
WIDEN(f16, uint16_t, real, half_value(x))
WIDEN(bf16, uint16_t, real, bfloat_value(x))
WIDEN(i64, int64_t, whole, x)
WIDEN(i32, int32_t, whole, x)
WIDEN(i16, int16_t, whole, x)
WIDEN(i8, int8_t, whole, (int64_t)x)
WIDEN(u8, uint8_t, whole, x)
WIDEN(bool, uint8_t, whole, x != 0)

static const struct {
  const char *name;
  int size;
  bool whole;
  WidenFn widen;
} types[] = {
    [EBB_ST_F64] = {"F64", 8, false, widen_f64}, [EBB_ST_F32] = {"F32", 4, false, widen_f32},
    [EBB_ST_F16] = {"F16", 2, false, widen_f16}, [EBB_ST_BF16] = {"BF16", 2, false, widen_bf16},
    [EBB_ST_I64] = {"I64", 8, true, widen_i64},  [EBB_ST_I32] = {"I32", 4, true, widen_i32},
    [EBB_ST_I16] = {"I16", 2, true, widen_i16},  [EBB_ST_I8] = {"I8", 1, true, widen_i8},
    [EBB_ST_U8] = {"U8", 1, true, widen_u8},     [EBB_ST_BOOL] = {"BOOL", 1, true, widen_bool},
};

const char *ebb_stored_name(EbbStored type) { return types[type].name; }

int ebb_stored_size(EbbStored type) { return types[type].size; }

/* Widens the elements from `start` on, a block at most; returns how many. */
static int widen(const EbbStoredTensor *tensor, int64_t start, int64_t count, Wide *block) {
  int n = count - start < BLOCK ? (int)(count - start) : BLOCK;
  types[tensor->type].widen((const unsigned char *)tensor->data + start * types[tensor->type].size, n, block);
  return n;
}

static EbbStatus check_count(const EbbStoredTensor *tensor, int64_t count) {
  char text[160];
  if (count == ebb_shape_size(&tensor->shape)) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "tensor '%.200s' has shape %s, which is not %" PRId64 " elements", tensor->name,
                  ebb_shape_text(&tensor->shape, text, sizeof text), count);
}

static EbbStatus fail_value(const EbbStoredTensor *tensor, int64_t index, double value, const char *why) {
  return ebb_fail(EBB_NUMERIC, "tensor '%.200s': element %" PRId64 " is %.17g, %s", tensor->name, index,
                  value, why);
}

EbbStatus ebb_stored_floats(const EbbStoredTensor *tensor, float *out, int64_t count) {
  Wide block[BLOCK];
  EBB_TRY(check_count(tensor, count));
  if (tensor->type == EBB_ST_F32 && count > 0) {
    memcpy(out, tensor->data, (size_t)count * sizeof *out);
    return EBB_OK;
  }
  for (int64_t start = 0; start < count; start += BLOCK) {
    int n = widen(tensor, start, count, block);
    for (int i = 0; i < n; i++) {
      if (types[tensor->type].whole) {
        out[start + i] = (float)block[i].whole;
        continue;
      }
      out[start + i] = (float)block[i].real;
      if (isinf(out[start + i]) && !isinf(block[i].real))
        return fail_value(tensor, start + i, block[i].real, "which is beyond the range of 32-bit floats");
    }
  }
  return EBB_OK;
}

EbbStatus ebb_stored_doubles(const EbbStoredTensor *tensor, double *out, int64_t count) {
  Wide block[BLOCK];
  EBB_TRY(check_count(tensor, count));
  for (int64_t start = 0; start < count; start += BLOCK) {
    int n = widen(tensor, start, count, block);
    for (int i = 0; i < n; i++)
      out[start + i] = types[tensor->type].whole ? (double)block[i].whole : block[i].real;
  }
  return EBB_OK;
}

EbbStatus ebb_stored_integers(const EbbStoredTensor *tensor, int64_t *out, int64_t count) {
  Wide block[BLOCK];
  EBB_TRY(check_count(tensor, count));
  for (int64_t start = 0; start < count; start += BLOCK) {
    int n = widen(tensor, start, count, block);
    for (int i = 0; i < n; i++) {
      if (types[tensor->type].whole) {
        out[start + i] = block[i].whole;
        continue;
      }
      double value = block[i].real;
      if (!(value >= -0x1p63 && value < 0x1p63) || value != trunc(value))
        return fail_value(tensor, start + i, value, "which is not a 64-bit integer");
      out[start + i] = (int64_t)value;
    }
  }
  return EBB_OK;
}

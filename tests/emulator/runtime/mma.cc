/* Products of a warp: the lanes lay their operands side by side, and each sums its elements of the result. */
#include "kernel_mma.h"

#include <cstring>

#include "kernel_language.h"

namespace {

constexpr unsigned all_lanes = 0xffffffffu;

/* On the first lane's stack, which stays until every lane has left. */
struct Operands {
  uint32_t a[warpSize][4], b[warpSize][2];
};

float value_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Element k of row `row` of a, or of column `column` of b. */
struct Tf32 {
  static constexpr int K = 8;
  static float a(const Operands &all, int row, int k) {
    return value_of(all.a[row % 8 * 4 + k % 4][row / 8 + k / 4 * 2] & 0xffffe000u);
  }
  static float b(const Operands &all, int k, int column) {
    return value_of(all.b[column * 4 + k % 4][k / 4] & 0xffffe000u);
  }
};
struct Bf16 {
  static constexpr int K = 16;
  static float half(uint32_t pair, int k) { return value_of(k % 2 ? pair & 0xffff0000u : pair << 16); }
  static float a(const Operands &all, int row, int k) {
    return half(all.a[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k);
  }
  static float b(const Operands &all, int k, int column) {
    return half(all.b[column * 4 + k % 8 / 2][k / 8], k);
  }
};

template <class Format> void multiply(const char *what, float *d, const uint32_t *a, const uint32_t *b) {
  const int lane = ebb_emulator_lane();
  Operands own;
  auto *all = reinterpret_cast<Operands *>(
      static_cast<uintptr_t>(ebb_emulator_shuffle(what, all_lanes, reinterpret_cast<uintptr_t>(&own), 0)));
  memcpy(all->a[lane], a, sizeof all->a[lane]);
  memcpy(all->b[lane], b, sizeof all->b[lane]);
  ebb_emulator_vote(what, all_lanes, false);
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < Format::K; k++) d[i] += Format::a(*all, row, k) * Format::b(*all, k, column);
  }
  ebb_emulator_vote(what, all_lanes, false);
}

} // namespace

uint32_t ebb_emulator_tf32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
}

void ebb_emulator_mma_tf32(float *d, const uint32_t *a, const uint32_t *b) {
  multiply<Tf32>("mma.m16n8k8.tf32", d, a, b);
}

void ebb_emulator_mma_bf16(float *d, const uint32_t *a, const uint32_t *b) {
  multiply<Bf16>("mma.m16n8k16.bf16", d, a, b);
}

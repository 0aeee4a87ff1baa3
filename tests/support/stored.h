// Floats as they lie in device memory: as such, or as bfloat16.
#ifndef EBB_TESTS_STORED_H
#define EBB_TESTS_STORED_H

#include <cstdint>
#include <cstring>
#include <vector>

#include "ebb/shape.h"

namespace ebb_test {

class Stored {
public:
  Stored(EbbDtype type, const std::vector<float> &values) : half_(type == EBB_BF16) {
    if (half_)
      for (float value : values) halves_.push_back(rounded(value));
    else
      floats_ = values;
  }
  void *data() { return half_ ? static_cast<void *>(halves_.data()) : floats_.data(); }
  const void *data() const { return half_ ? static_cast<const void *>(halves_.data()) : floats_.data(); }
  std::vector<float> floats() const {
    std::vector<float> out = floats_;
    for (uint16_t half : halves_) {
      const uint32_t bits = uint32_t(half) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof value);
      out.push_back(value);
    }
    return out;
  }

private:
  // To the nearest, ties to even; the value is finite.
  static uint16_t rounded(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return uint16_t((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
  }
  bool half_;
  std::vector<float> floats_;
  std::vector<uint16_t> halves_;
};

} // namespace ebb_test

#endif

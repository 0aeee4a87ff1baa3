// Wirings that free themselves, and hashes of their masks.
#ifndef EBB_TESTS_WIRING_TEST_H
#define EBB_TESTS_WIRING_TEST_H

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "ebb/wiring.h"

struct WiringFree {
  void operator()(EbbWiring *wiring) const { ebb_wiring_destroy(wiring); }
};
using Wiring = std::unique_ptr<EbbWiring, WiringFree>;

inline Wiring wiring_of(const std::string &text, int inputs) {
  EbbWiring *wiring = nullptr;
  EXPECT_EQ(ebb_wiring_from_text(text.c_str(), inputs, &wiring), EBB_OK) << ebb_error();
  return Wiring(wiring);
}

// The sentence that `text` is refused with.
inline std::string refusal(const std::string &text, int inputs, EbbStatus expected = EBB_INVALID) {
  EbbWiring *wiring = nullptr;
  EXPECT_EQ(ebb_wiring_from_text(text.c_str(), inputs, &wiring), expected) << text;
  EXPECT_EQ(wiring, nullptr);
  Wiring owner(wiring);
  return ebb_error();
}

inline std::vector<int> layer_of(const Wiring &wiring, int layer) {
  std::vector<int> ids(static_cast<size_t>(wiring->units));
  ids.resize(static_cast<size_t>(ebb_wiring_layer(wiring.get(), layer, ids.data())));
  return ids;
}

// FNV-1a over the bytes of a mask.
inline uint64_t hash_of(const int8_t *mask, int64_t size) {
  uint64_t hash = 14695981039346656037U;
  for (int64_t i = 0; i < size; i++) hash = (hash ^ static_cast<uint8_t>(mask[i])) * 1099511628211U;
  return hash;
}

#endif

/* In which order the threads of a block run. */
#include "order.h"
#include "block.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace emulator {

void Order::read_environment() {
  const char *text = getenv("EBB_EMULATOR_ORDER");
  if (text == nullptr || strcmp(text, "forward") == 0) {
    kind_ = Kind::forward;
  } else if (strcmp(text, "reverse") == 0) {
    kind_ = Kind::reverse;
  } else if (strncmp(text, "random:", 7) == 0) {
    kind_ = Kind::random;
    random_ = strtoull(text + 7, nullptr, 10);
  } else {
    fprintf(stderr, "emulated device: EBB_EMULATOR_ORDER=%s: give forward, reverse or random:SEED\n", text);
    exit(2);
  }
}

void Order::fill(std::vector<int> *order, int count) {
  order->resize((size_t)count);
  for (int i = 0; i < count; i++) (*order)[(size_t)i] = kind_ == Kind::reverse ? count - 1 - i : i;
  if (kind_ == Kind::random) std::shuffle(order->begin(), order->end(), std::mt19937_64(random_++));
}

void Order::next_block(int threads) {
  if (kind_ == Kind::unknown) read_environment();
  if (kind_ != Kind::random && (int)threads_.size() == threads) return;
  fill(&threads_, threads);
  fill(&lanes_, warp_lanes);
}

} // namespace emulator

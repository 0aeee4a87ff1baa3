/* In which order the threads of a block run, by EBB_EMULATOR_ORDER: programs must not depend on it. */
#ifndef EBB_EMULATOR_ORDER_H
#define EBB_EMULATOR_ORDER_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace emulator {

class Order {
public:
  /* Draws the order of the next block of so many threads. */
  void next_block(int threads);
  /* The i-th thread of the block, the i-th lane of a warp. */
  int thread(int i) const { return threads_[(std::size_t)i]; }
  int lane(int i) const { return lanes_[(std::size_t)i]; }

private:
  enum class Kind { unknown, forward, reverse, random };
  void read_environment();
  void fill(std::vector<int> *order, int count);
  Kind kind_ = Kind::unknown;
  uint64_t random_ = 0;
  std::vector<int> threads_, lanes_;
};

} // namespace emulator

#endif

// Floors: the least time that work can take on the device it runs on, from rates measured in the same
// process.
#ifndef EBB_BENCH_SUPPORT_FLOOR_H
#define EBB_BENCH_SUPPORT_FLOOR_H

#include <benchmark/benchmark.h>

namespace ebb_bench {

struct Rates {
  double copy;         // bytes a second, read and written, of copies far larger than the cache
  double instructions; // float32 lane operations a second, a multiply-add counting once
  double products;     // operations a second of matrix products in the device's precision
};
// Measured at the first call; on a GPU only, as the functions below.
const Rates &rates();
double measure_copy();
double measure_instructions();
double measure_products();

// What a run must do at least.
struct Work {
  double bytes;         // through memory
  double flops;         // float32, outside matrix products
  double instructions;  // which these take, a multiply-add being one
  double product_flops; // of matrix products
};

// Counters of work that took `seconds`: GB/s and GFLOP/s; on a GPU also floor_us, x_floor (time / floor),
// x_bytes (time / floor of the bytes alone) and a label where the data fits into the cache.
void report(benchmark::State &state, double seconds, const Work &work);

} // namespace ebb_bench

#endif

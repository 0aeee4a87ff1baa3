// State-space ops in tests: an op on its own, the conformance cases, and plain double-precision references.
#ifndef EBB_TESTS_SSM_BENCH_H
#define EBB_TESTS_SSM_BENCH_H

#include <gtest/gtest.h>

#include <complex>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/ops/ssm.h"

namespace ebb_test {

using Complex = std::complex<double>;
using Doubles = std::vector<double>;

// A legs / diag-lin configuration of small size, to be varied.
EbbSsmConfig ssm_config(bool diagonal);

// A named change to it, as the parameter of a suite.
struct SsmVariant {
  const char *name;
  void (*change)(EbbSsmConfig &);
};
inline std::string name_of(const testing::TestParamInfo<SsmVariant> &info) { return info.param.name; }
inline void PrintTo(const SsmVariant &variant, std::ostream *out) { *out << variant.name; }
inline EbbSsmConfig varied(bool diagonal, const SsmVariant &variant) {
  EbbSsmConfig config = ssm_config(diagonal);
  variant.change(config);
  return config;
}

// One kernel op as a graph of its own in scope "node".
class SsmBench {
public:
  SsmBench(bool diagonal, const EbbSsmConfig &config, int threads = 2, bool backward = true,
           const std::string &device = "cpu");
  SsmBench(const SsmBench &) = delete;
  SsmBench &operator=(const SsmBench &) = delete;
  ~SsmBench();
  void set(const std::string &name, const Doubles &value); // "kernel.C"
  Doubles get(const std::string &name) const;
  Doubles grad(const std::string &name) const;
  void forward();
  void backward(const Doubles &dk, const Doubles &dke = {});
  Doubles k, ke;

private:
  void build(bool diagonal, const EbbSsmConfig &config, int threads, bool backward,
             const std::string &device);
  void close();
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbValue output_[2] = {EBB_NO_VALUE, EBB_NO_VALUE};
  int outputs_ = 1;
  EbbRun run_{};
};

// One channel as a dense system of 2M states, conjugates behind the stored modes: k_l = c Abar^l Bbar.
struct DenseSystem {
  size_t n = 0;
  std::vector<Complex> A, B; // Abar (n,n), Bbar (n)
  Doubles kernel(const std::vector<Complex> &c, size_t length) const;
  std::vector<Complex> apply(const std::vector<Complex> &x) const;
  std::vector<Complex> apply_left(const std::vector<Complex> &c) const;
};
// Bilinear. P: columns behind each other; empty: diagonal.
DenseSystem dense_bilinear(const std::vector<Complex> &w, const std::vector<Complex> &B,
                           const std::vector<Complex> &P, double dt);
// z and conj(z) behind it.
std::vector<Complex> closed(std::vector<Complex> z);

// What a bench's parameters mean for channel h.
struct ChannelValues {
  std::vector<Complex> w, B, P, C;
  double dt = 0;
};
ChannelValues channel_values(const SsmBench &bench, const EbbSsmConfig &config, bool diagonal, int64_t h,
                             int64_t c = 0);

// A conformance case of ../shared/golden/s4; config has the case's sizes, length that of its input.
struct SsmGolden {
  std::map<std::string, Doubles> tensor; // "param.kernel.C"
  std::map<std::string, std::vector<int64_t>> shape;
  EbbSsmConfig config;
  bool diagonal = false;
  double kernel_length = 0, output_tolerance = 0, grad_tolerance = 0;
  bool plain_C = false;
};
bool ssm_golden_present(); // the cases lie beside the source tree
SsmGolden ssm_golden(const std::string &name);
// A bench with the case's parameters and internal length.
void ssm_load(SsmBench &bench, const SsmGolden &golden);
// dL/dk (C,H,Lk) of y = conv(k, u) with cotangent W.
Doubles kernel_cotangent(const SsmGolden &golden);

// ||a - b|| / ||b||, infinite where sizes differ or a value is not finite.
double relative_error(const Doubles &a, const Doubles &b);

} // namespace ebb_test

#endif

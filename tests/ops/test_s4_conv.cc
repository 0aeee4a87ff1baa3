// Convolution with liquid terms: published cases, and double-precision loops of the definition.
#include "ebb/ops/s4_conv.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/golden.h"
#include "support/node_run.h"
#include "support/op_check.h"

using namespace ebb_test;

namespace {

EbbS4Contract contract_named(const std::string &name) {
  return name == "tanh" ? EBB_S4_TANH : name == "lecun" ? EBB_S4_LECUN : EBB_S4_NO_CONTRACT;
}

EbbS4ConvConfig config_of(const Golden &golden) {
  EbbS4ConvConfig config = {};
  const std::string kind = golden.text("liquid_kernel");
  config.bidirectional = golden.flag("bidirectional", false);
  config.epilogue.skip = golden.flag("skip", true);
  config.liquid.kind = kind == "polyb" ? EBB_S4_POLYB : kind == "kb" ? EBB_S4_KB : EBB_S4_PLAIN;
  config.liquid.degree = int64_t(golden.number("liquid_degree", 2));
  config.liquid.allcombs = golden.flag("allcombs", true);
  config.liquid.contract = contract_named(golden.text("lcontract"));
  config.liquid.n_ssm = int64_t(golden.number("n_ssm", 0));
  config.liquid.M = int64_t(golden.number("d_state", 0)) / 2;
  return config;
}

void check_golden(const Golden &golden, const std::string &device) {
  std::vector<NodeInput> inputs = {{golden.shape("input.u"), golden.floats("input.u")},
                                   {golden.shape("expect.k"), golden.floats("expect.k")}};
  if (golden.has("input.lengths"))
    inputs.push_back({golden.shape("input.lengths"), {}, golden.integers("input.lengths")});
  const EbbS4ConvConfig config = config_of(golden);
  NodeRun run("s4_conv", config, inputs, 2, device);
  if (config.epilogue.skip) run.set("D", golden.floats("param.D"));
  if (config.liquid.kind != EBB_S4_PLAIN) {
    for (const char *name : {"liquid.B", "liquid.C", "liquid.w", "liquid.log_dt"})
      run.set(name, golden.floats(std::string("state.") + name));
  }
  EXPECT_LT(relative_error(run.forward(), golden.floats("expect.y")), golden.tolerance("output"));
  run.backward(golden.floats("cotangent.y"));
  EXPECT_LT(relative_error(run.input_grad(0), golden.floats("expect.grad.u")), golden.tolerance("grad"));
  if (config.epilogue.skip) {
    EXPECT_LT(relative_error(run.param_grad("D"), golden.floats("expect.grad.D")), golden.tolerance("grad"));
  }
}

TEST(S4Conv, PublishedLayers) {
  int cases = 0;
  for (const std::string &file : golden_files("s4", "s4_")) {
    SCOPED_TRACE(std::filesystem::path(file).filename().string());
    Golden golden(file);
    if (!golden.flag("linear", false) || !golden.has("expect.k")) continue;
    for (const std::string &device : devices()) {
      SCOPED_TRACE(device);
      check_golden(golden, device);
    }
    cases++;
  }
  if (!cases) GTEST_SKIP() << "no cases under " << golden_folder("s4");
  EXPECT_GT(cases, 40);
}

// The op as its definition says, in double.
struct Reference {
  EbbS4ConvConfig config;
  int64_t B, H, L, Lk;
  std::vector<double> u, k, D, s, c0, c1;
  std::vector<int32_t> lengths;

  double valid(int64_t b, int64_t h, int64_t t) const {
    if (t < 0 || t >= L || (!lengths.empty() && t >= lengths[size_t(b)])) return 0;
    return u[size_t((b * H + h) * L + t)];
  }
  double contract(double x) const {
    if (config.liquid.contract == EBB_S4_TANH) return std::tanh(x);
    if (config.liquid.contract == EBB_S4_LECUN) return 1.7159 * std::tanh(0.666 * x);
    return x;
  }
  static double binomial(int64_t n, int64_t q) {
    double value = 1;
    for (int64_t i = 1; i <= q; i++) value = value * double(n - q + i) / double(i);
    return q > n ? 0 : std::round(value);
  }
  // Products over all q-subsets of the last m inputs, in lexicographic order.
  void subsets(std::vector<double> &out, const std::vector<double> &x, size_t from, int64_t q,
               double product) const {
    if (q == 0) {
      out.push_back(product);
      return;
    }
    for (size_t i = from; i + size_t(q) <= x.size(); i++) subsets(out, x, i + 1, q - 1, product * x[i]);
  }
  std::vector<std::vector<double>> streams(int64_t b, int64_t h) const {
    std::vector<std::vector<double>> out;
    std::vector<double> previous;
    for (int64_t t = 0; t < L; t++) previous.push_back(valid(b, h, t));
    const std::vector<double> row = previous;
    for (int64_t i = 1; i < config.liquid.degree; i++) {
      std::vector<double> v;
      if (config.liquid.allcombs) {
        int64_t m = 2;
        while (binomial(m, i + 1) < double(L)) m++;
        subsets(v, std::vector<double>(row.end() - m, row.end()), 0, i + 1, 1.0);
        v.erase(v.begin(), v.end() - L);
      } else {
        for (int64_t t = 0; t < L; t++) v.push_back(t ? previous[size_t(t)] * previous[size_t(t - 1)] : 0.0);
      }
      out.push_back(v);
      previous = v;
    }
    return out;
  }
  double kb_tap(int64_t h, int64_t l) const {
    if (l < Lk) return k[size_t(h * Lk + l)];
    if (config.bidirectional && l >= L && l < L + Lk) return k[size_t((H + h) * Lk + Lk - 1 - (l - L))];
    return 0;
  }
  // irfft_n( DFT_{n/2+1}(taps)_j rfft_n(x)_j )_t by the sums themselves.
  std::vector<double> kb(int64_t h, const std::vector<double> &x) const {
    const int64_t n = Lk + L, m = n / 2 + 1;
    std::vector<double> y(static_cast<size_t>(L), 0.0);
    for (int64_t j = 0; j < m; j++) {
      double kr = 0, ki = 0, xr = 0, xi = 0;
      for (int64_t l = 0; l < m; l++) {
        const double a = -2 * M_PI * double(j * l % m) / double(m);
        kr += kb_tap(h, l) * std::cos(a), ki += kb_tap(h, l) * std::sin(a);
      }
      for (int64_t t = 0; t < L; t++) {
        const double a = -2 * M_PI * double(j * t % n) / double(n);
        xr += x[size_t(t)] * std::cos(a), xi += x[size_t(t)] * std::sin(a);
      }
      const double re = kr * xr - ki * xi, im = kr * xi + ki * xr, weight = j == 0 || 2 * j == n ? 1 : 2;
      for (int64_t t = 0; t < L; t++) {
        const double a = 2 * M_PI * double(j * t % n) / double(n);
        y[size_t(t)] += weight * (re * std::cos(a) - (weight == 1 ? 0 : im * std::sin(a))) / double(n);
      }
    }
    return y;
  }
  std::vector<double> forward() const {
    std::vector<double> y;
    for (int64_t b = 0; b < B; b++)
      for (int64_t h = 0; h < H; h++) row(b, h, y);
    return y;
  }
  void row(int64_t b, int64_t h, std::vector<double> &y) const {
    std::vector<double> x(static_cast<size_t>(L));
    for (int64_t t = 0; t < L; t++) {
      double sum = config.epilogue.skip ? D[size_t(h)] * valid(b, h, t) : 0;
      for (int64_t j = 0; j < Lk; j++) {
        sum += k[size_t(h * Lk + j)] * valid(b, h, t - j);
        if (config.bidirectional) sum += k[size_t((H + h) * Lk + j)] * valid(b, h, t + 1 + j);
      }
      x[size_t(t)] = sum;
    }
    if (config.liquid.kind != EBB_S4_PLAIN) add_liquid(b, h, x);
    for (double value : x)
      y.push_back(config.epilogue.activation == EBB_S4_GELU ? 0.5 * value * std::erfc(-value / std::sqrt(2.0))
                                                            : value);
  }
  void add_liquid(int64_t b, int64_t h, std::vector<double> &x) const {
    const auto v = streams(b, h);
    const double S = s[size_t(h)];
    std::vector<double> mixed(static_cast<size_t>(L), 0.0);
    for (size_t i = 1; i <= v.size(); i++)
      for (int64_t t = 0; t < L; t++) {
        const double flipped = contract(v[i - 1][size_t(L - 1 - t)]),
                     straight = contract(v[i - 1][size_t(t)]);
        if (config.liquid.kind == EBB_S4_KB)
          mixed[size_t(t)] += std::pow(S, double(i)) * flipped;
        else
          mixed[size_t(t)] +=
              std::pow(S, std::ldexp(1.0, int(i)) - 1) *
              (c0[size_t(h)] * flipped + (config.bidirectional ? c1[size_t(h)] * straight : 0.0));
      }
    if (config.liquid.kind == EBB_S4_KB) mixed = kb(h, mixed);
    for (int64_t t = 0; t < L; t++) x[size_t(t)] += mixed[size_t(t)];
  }
};

struct Case {
  int64_t B, H, L, Lk;
  bool bidirectional, lengths;
  EbbS4LiquidConfig liquid;
  EbbS4Activation activation = EBB_S4_IDENTITY;
};

std::vector<NodeInput> inputs_of(const Case &c) {
  const int64_t C = c.bidirectional ? 2 : 1;
  std::vector<NodeInput> inputs = {{{c.B, c.H, c.L}, numbers(size_t(c.B * c.H * c.L), 1, 1.5F)},
                                   {{C, c.H, c.Lk}, numbers(size_t(C * c.H * c.Lk), 2)}};
  if (c.lengths) {
    std::vector<int32_t> lengths;
    for (int64_t b = 0; b < c.B; b++) lengths.push_back(int32_t(c.L - b * c.L / (c.B + 1)));
    inputs.push_back({{c.B}, {}, lengths});
  }
  return inputs;
}

EbbS4ConvConfig config_of(const Case &c) {
  EbbS4ConvConfig config = {};
  config.bidirectional = c.bidirectional;
  config.epilogue = {true, c.activation, 0.0, false};
  config.liquid = c.liquid;
  return config;
}

// One mode with w = 0 and dt = 1: bbar = B, so that s = 2 Re B and c = 2 Re (C B) follow by hand.
void set_liquid(NodeRun &run, Reference &reference) {
  const int64_t H = reference.H, C = reference.config.bidirectional ? 2 : 1;
  std::vector<float> B, c(size_t(C * H * 2)), zero(size_t(2 * H), 0.0F), dt(size_t(H), 0.0F);
  for (int64_t h = 0; h < H; h++) {
    const float re = 0.3F + 0.1F * float(h), im = -0.2F;
    B.push_back(re), B.push_back(im);
    reference.s.push_back(2 * double(re));
    for (int64_t a = 0; a < C; a++) {
      float *value = &c[size_t(2 * (a * H + h))];
      value[0] = 0.5F - 0.4F * float(a), value[1] = 0.25F * float(h);
      (a ? reference.c1 : reference.c0)
          .push_back(2 * (double(value[0]) * double(re) - double(value[1]) * double(im)));
    }
  }
  run.set("liquid.B", B), run.set("liquid.C", c), run.set("liquid.w", zero), run.set("liquid.log_dt", dt);
}

void check_on(const Case &c, const std::string &device) {
  const auto inputs = inputs_of(c);
  NodeRun run("s4_conv", config_of(c), inputs, 2, device);
  Reference reference = {config_of(c), c.B, c.H, c.L, c.Lk, {}, {}, {}, {}, {}, {}, {}};
  reference.u.assign(inputs[0].floats.begin(), inputs[0].floats.end());
  reference.k.assign(inputs[1].floats.begin(), inputs[1].floats.end());
  if (c.lengths) reference.lengths = inputs[2].integers;
  const auto D = numbers(size_t(c.H), 3);
  run.set("D", D);
  reference.D.assign(D.begin(), D.end());
  if (c.liquid.kind != EBB_S4_PLAIN) set_liquid(run, reference);
  EXPECT_LT(relative_error(run.forward(), reference.forward()), 3e-6);

  // Gradients against central differences of the reference along one direction of everything.
  const auto w = numbers(size_t(c.B * c.H * c.L), 4);
  const auto du = numbers(inputs[0].floats.size(), 5), dk = numbers(inputs[1].floats.size(), 6),
             dD = numbers(D.size(), 7);
  run.backward(w);
  const auto gu = run.input_grad(0), gk = run.input_grad(1), gD = run.param_grad("D");
  double analytic = 0, norm = 0;
  for (size_t i = 0; i < du.size(); i++) analytic += double(du[i]) * gu[i], norm += double(gu[i]) * gu[i];
  for (size_t i = 0; i < dk.size(); i++) analytic += double(dk[i]) * gk[i], norm += double(gk[i]) * gk[i];
  for (size_t i = 0; i < dD.size(); i++) analytic += double(dD[i]) * gD[i], norm += double(gD[i]) * gD[i];
  auto loss = [&](double step) {
    Reference moved = reference;
    for (size_t i = 0; i < du.size(); i++) moved.u[i] += step * double(du[i]);
    for (size_t i = 0; i < dk.size(); i++) moved.k[i] += step * double(dk[i]);
    for (size_t i = 0; i < dD.size(); i++) moved.D[i] += step * double(dD[i]);
    const auto y = moved.forward();
    double sum = 0;
    for (size_t i = 0; i < y.size(); i++) sum += y[i] * double(w[i]);
    return sum;
  };
  const double h = 1e-4;
  const double numeric = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
  EXPECT_NEAR(numeric, analytic, 1e-5 * std::sqrt(norm) + 1e-6);
}

void check(const Case &c) {
  for (const std::string &device : devices()) {
    SCOPED_TRACE(device);
    check_on(c, device);
  }
}

std::string text_of(const Case &c) {
  return "B" + std::to_string(c.B) + " H" + std::to_string(c.H) + " L" + std::to_string(c.L) + " Lk" +
         std::to_string(c.Lk) + " bidirectional " + std::to_string(c.bidirectional) + " lengths " +
         std::to_string(c.lengths) + " kind " + std::to_string(c.liquid.kind) + " degree " +
         std::to_string(c.liquid.degree) + " allcombs " + std::to_string(c.liquid.allcombs) + " contract " +
         std::to_string(c.liquid.contract);
}

TEST(S4Conv, PlainShapes) {
  for (bool bidirectional : {false, true})
    for (bool lengths : {false, true})
      for (const auto &[B, H, L, Lk] : {std::array<int64_t, 4>{1, 1, 1, 1},
                                        {2, 3, 7, 7},
                                        {3, 2, 33, 12},
                                        {5, 1, 130, 129},
                                        {2, 2, 200, 1},
                                        {1, 2, 400, 400},
                                        {2, 1, 700, 300},
                                        {4, 1, 610, 610}}) {
        const Case c = {B, H, L, Lk, bidirectional, lengths, {}, L % 2 ? EBB_S4_GELU : EBB_S4_IDENTITY};
        SCOPED_TRACE(text_of(c));
        check(c);
      }
}

TEST(S4Conv, EveryLiquidTerm) {
  for (EbbS4LiquidKind kind : {EBB_S4_POLYB, EBB_S4_KB})
    for (int64_t degree : {2, 3, 4, 6})
      for (bool allcombs : {false, true})
        for (EbbS4Contract contract : {EBB_S4_NO_CONTRACT, EBB_S4_TANH, EBB_S4_LECUN})
          for (bool bidirectional : {false, true}) {
            const bool odd = degree % 2;
            const Case c = {3,
                            2,
                            odd ? 23 : 16,
                            bidirectional ? 11 : 16,
                            bidirectional,
                            odd,
                            {kind, degree, allcombs, contract, 0, 1}};
            SCOPED_TRACE(text_of(c));
            check(c);
          }
}

TEST(S4Conv, ShortestSequencesOfAllCombinations) {
  for (int64_t degree : {2, 3, 5, 9}) {
    const Case c = {
        1, 1, degree + 3, degree + 3, false, false, {EBB_S4_POLYB, degree, true, EBB_S4_NO_CONTRACT, 0, 1}};
    SCOPED_TRACE(text_of(c));
    check(c);
  }
}

std::string failure(const Case &c) {
  try {
    NodeRun run("s4_conv", config_of(c), inputs_of(c));
  } catch (const std::runtime_error &error) {
    return error.what();
  }
  return "no failure";
}

TEST(S4Conv, RefusesWhatCannotBe) {
  Case c = {2, 4, 16, 16, false, false, {EBB_S4_POLYB, 2, true, EBB_S4_NO_CONTRACT, 0, 1}};
  EXPECT_EQ(failure(c), "no failure");
  c.liquid.degree = 1;
  EXPECT_NE(failure(c).find("liquid_degree is 1"), std::string::npos) << failure(c);
  c.liquid.degree = 14;
  EXPECT_NE(failure(c).find("need L >= 17"), std::string::npos) << failure(c);
  c.liquid.degree = int64_t{1} << 62;
  EXPECT_NE(failure(c).find("too short"), std::string::npos) << failure(c);
  c.liquid = {EBB_S4_POLYB, 2, true, EBB_S4_NO_CONTRACT, 2, 1};
  EXPECT_NE(failure(c).find("n_ssm = 1 or n_ssm = d_model (4), not 2"), std::string::npos) << failure(c);
  c.liquid = {EBB_S4_PLAIN, 0, false, EBB_S4_NO_CONTRACT, 0, 0};
  c.Lk = 17;
  EXPECT_NE(failure(c).find("at most 16"), std::string::npos) << failure(c);
  EXPECT_NE(failure(c).find("node"), std::string::npos) << "the node is named";
}

TEST(S4Conv, DropoutTiesRowsAndKeepsExpectation) {
  const Case c = {6, 40, 64, 64, false, false, {}};
  for (const std::string &device : devices())
    for (bool tie : {true, false}) {
      EbbS4ConvConfig config = config_of(c);
      config.epilogue.dropout = 0.25;
      config.epilogue.tie = tie;
      NodeRun run("s4_conv", config, inputs_of(c), 2, device);
      const auto kept = run.forward(false), dropped = run.forward(true);
      size_t zeros = 0;
      for (size_t i = 0; i < kept.size(); i++) {
        const bool gone = dropped[i] == 0.0F;
        zeros += gone;
        ASSERT_FLOAT_EQ(dropped[i], gone ? 0.0F : kept[i] / 0.75F);
        ASSERT_TRUE(!tie || gone == (dropped[i / 64 * 64] == 0.0F)) << "one draw a row";
      }
      EXPECT_NEAR(double(zeros) / double(kept.size()), 0.25, tie ? 0.1 : 0.02);
    }
}

void give_liquid(EbbParams *params) {
  for (int p = 0; p < ebb_params_count(params); p++) {
    const EbbParam *param = ebb_params_at(params, p);
    if (std::string(param->name).find("liquid.") == std::string::npos) continue;
    const auto values = numbers(size_t(param->size), uint64_t(p), 0.5F);
    require(ebb_params_write(params, param->name, values.data(), param->size));
  }
}

TEST(S4Conv, PassesTheOpChecks) {
  for (EbbS4LiquidKind kind : {EBB_S4_PLAIN, EBB_S4_POLYB, EBB_S4_KB})
    for (bool bidirectional : {false, true})
      for (bool tie : {false, true}) {
        EbbS4ConvConfig config = {};
        config.bidirectional = bidirectional;
        config.epilogue = {true, EBB_S4_GELU, 0.2, tie};
        config.liquid = {kind, 3, tie, tie ? EBB_S4_TANH : EBB_S4_NO_CONTRACT, tie ? 1 : 0, 2};
        OpCase test;
        test.name = "s4_conv kind " + std::to_string(kind);
        test.op = "s4_conv";
        test.config = bytes_of(config);
        test.inputs.resize(2);
        test.inputs[0].shape = {3, 5, 19};
        test.inputs[1].shape = {bidirectional ? 2 : 1, 5, 17};
        if (tie) test.inputs.push_back({{3}, EBB_I32, false, 0, 0, {19, 8, 0}, {}});
        test.adjust = give_liquid;
        for (const std::string &device : devices()) check_op(test, device);
      }
}

} // namespace

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ebb/optim.h"
#include "ebb/rng.h"
#include "support/op_check.h"

namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Six parameters in six groups: the optimiser's settings, own rate and no decay, frozen, kept non-negative,
// and clipped to two ranges.
struct Model {
  explicit Model(const std::string &name = "cpu", int threads = 1, int64_t size = 40000) {
    EXPECT_EQ(ebb_device_open(name.c_str(), threads, &device), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
    EbbParamSpec plain = {}, own = {}, frozen = {}, positive = {}, clipped = {}, wider = {};
    plain.name = "plain", own.name = "own", frozen.name = "frozen", positive.name = "positive";
    clipped.name = "clipped", wider.name = "wider";
    clipped.constraint = wider.constraint = EBB_CLIPPED;
    clipped.low = 0.01, clipped.high = 0.1, wider.low = -0.02, wider.high = 0.1;
    own.own_lr = own.own_decay = frozen.own_lr = true;
    own.lr = 0.02;
    positive.constraint = EBB_NONNEGATIVE;
    for (EbbParamSpec *spec : {&plain, &own, &frozen, &positive, &clipped, &wider}) {
      const int64_t dim = spec == &plain ? size : 37;
      spec->shape = ebb_shape_from(1, &dim);
      spec->draw = EBB_DRAW_NORMAL, spec->a = 0.1;
      int index = -1;
      EXPECT_EQ(ebb_params_declare(params, "m", spec, &index), EBB_OK);
    }
    EXPECT_EQ(ebb_params_place(params, 3), EBB_OK);
    EXPECT_EQ(ebb_optimizer_create(params, nullptr, &optimizer), EBB_OK);
  }
  // One update; gradients of a norm above `most` are scaled down (0: never).
  void update(const EbbAdamW &config, int64_t step, double factor, double most = 0) const {
    EXPECT_EQ(ebb_optimizer_set(optimizer, &config, step, factor, most), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_optimizer_update(optimizer), EBB_OK) << ebb_error();
  }
  double norm() const {
    double norm = 0;
    EXPECT_EQ(ebb_optimizer_norm(optimizer, &norm), EBB_OK);
    return norm;
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;
  ~Model() {
    ebb_optimizer_destroy(optimizer);
    ebb_params_destroy(params);
    ebb_device_close(device);
  }
  int find(const char *name) const { return ebb_params_find(params, name); }
  Floats values(const char *name) const {
    Floats host(size_t(ebb_params_at(params, find(name))->size));
    EXPECT_EQ(ebb_params_read(params, name, host.data(), int64_t(host.size())), EBB_OK);
    return host;
  }
  Floats moments(const char *name, int which) const {
    Floats host(size_t(ebb_params_at(params, find(name))->size));
    EXPECT_EQ(ebb_device_read(device, host.data(), ebb_params_moment(params, find(name), which),
                              host.size() * sizeof(float)),
              EBB_OK);
    return host;
  }
  void set_grad(const char *name, const Floats &grad) const {
    EXPECT_EQ(ebb_device_write(device, ebb_params_grad(params, find(name)), grad.data(),
                               grad.size() * sizeof(float)),
              EBB_OK);
  }
  void random_grads(uint64_t step) const {
    for (int i = 0; i < ebb_params_count(params); i++) {
      const EbbParam *param = ebb_params_at(params, i);
      Floats grad(static_cast<size_t>(param->size));
      for (size_t e = 0; e < grad.size(); e++)
        grad[e] = float(ebb_unit_double(ebb_random(1, step, uint32_t(i), e)) - 0.45);
      set_grad(param->name, grad);
    }
  }
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  EbbOptimizer *optimizer = nullptr;
};

const EbbAdamW kConfig = {0.01, 0.05, 0.9, 0.999, 1e-8};

// The update in double, as the specification writes it.
struct Reference {
  Doubles p, m, v;
  explicit Reference(const Floats &start) : p(start.begin(), start.end()), m(p.size()), v(p.size()) {}
  void step(const Floats &g, double lr, double decay, int t, double low = -INFINITY, double high = INFINITY) {
    for (size_t i = 0; i < p.size(); i++) {
      const double gi = g[i];
      m[i] = 0.9 * m[i] + 0.1 * gi;
      v[i] = 0.999 * v[i] + 0.001 * gi * gi;
      p[i] = p[i] * (1 - lr * decay) - lr * (m[i] / (1 - std::pow(0.9, t))) /
                                           (std::sqrt(v[i]) / std::sqrt(1 - std::pow(0.999, t)) + 1e-8);
      p[i] = std::min(std::max(p[i], low), high);
    }
  }
};

Floats grad_of(const Model &model, const char *name) {
  Floats host(size_t(ebb_params_at(model.params, model.find(name))->size));
  EXPECT_EQ(ebb_device_read(model.device, host.data(), ebb_params_grad(model.params, model.find(name)),
                            host.size() * sizeof(float)),
            EBB_OK);
  return host;
}

class OptimizerOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, OptimizerOn, testing::ValuesIn(ebb_test::devices()));

TEST_P(OptimizerOn, FollowsTheSpecificationInEveryGroup) {
  Model model(GetParam());
  Reference plain(model.values("m.plain")), own(model.values("m.own")), positive(model.values("m.positive")),
      clipped(model.values("m.clipped")), wider(model.values("m.wider"));
  const Floats frozen = model.values("m.frozen");
  for (int t = 1; t <= 6; t++) {
    const double factor = t == 1 ? 0 : 0.2 * t; // a warm-up: the first update changes moments only
    model.random_grads(uint64_t(t));
    plain.step(grad_of(model, "m.plain"), kConfig.lr * factor, kConfig.weight_decay, t);
    own.step(grad_of(model, "m.own"), 0.02 * factor, 0, t);
    positive.step(grad_of(model, "m.positive"), kConfig.lr * factor, kConfig.weight_decay, t, 0);
    clipped.step(grad_of(model, "m.clipped"), kConfig.lr * factor, kConfig.weight_decay, t, 0.01, 0.1);
    wider.step(grad_of(model, "m.wider"), kConfig.lr * factor, kConfig.weight_decay, t, -0.02, 0.1);
    model.update(kConfig, t, factor);
  }
  const struct {
    const char *name;
    const Reference &expected;
  } rows[] = {{"m.plain", plain},
              {"m.own", own},
              {"m.positive", positive},
              {"m.clipped", clipped},
              {"m.wider", wider}};
  for (const auto &row : rows) {
    const Floats got = model.values(row.name);
    for (size_t i = 0; i < got.size(); i++)
      ASSERT_NEAR(got[i], row.expected.p[i], 3e-7) << row.name << " " << i;
  }
  EXPECT_EQ(model.values("m.frozen"), frozen);
  int zeros = 0;
  for (float v : model.values("m.positive")) zeros += v == 0;
  EXPECT_GT(zeros, 3);
  for (const float bound : {0.01F, 0.1F}) {
    const Floats got = model.values("m.clipped");
    EXPECT_GT(std::count(got.begin(), got.end(), bound), 0) << bound;
  }
}

TEST_P(OptimizerOn, FirstUpdateWithRateZeroKeepsValuesAndFillsMoments) {
  Model model(GetParam());
  const Floats before = model.values("m.plain");
  model.random_grads(1);
  const Floats grad = grad_of(model, "m.plain");
  model.update(kConfig, 1, 0);
  EXPECT_EQ(model.values("m.plain"), before);
  EXPECT_FLOAT_EQ(model.moments("m.plain", 1)[5], 0.1F * grad[5]);
}

TEST_P(OptimizerOn, GradientsAreZeroAfterwards) {
  Model model(GetParam());
  model.random_grads(1);
  model.update(kConfig, 1, 1);
  for (const char *name : {"m.plain", "m.own", "m.frozen", "m.positive", "m.clipped", "m.wider"})
    EXPECT_EQ(grad_of(model, name), Floats(grad_of(model, name).size(), 0.0F)) << name;
}

TEST_P(OptimizerOn, ClippingIsThatOfScaledGradients) {
  Model clipped(GetParam()), plain(GetParam());
  clipped.random_grads(2);
  double sum = 0;
  for (const char *name : {"m.plain", "m.own", "m.frozen", "m.positive", "m.clipped", "m.wider"})
    for (float g : grad_of(clipped, name)) sum += double(g) * g;
  const float scale = float(3 / (std::sqrt(sum) + 1e-6));
  for (const char *name : {"m.plain", "m.own", "m.frozen", "m.positive", "m.clipped", "m.wider"}) {
    Floats grad = grad_of(clipped, name);
    for (float &g : grad) g *= scale;
    plain.set_grad(name, grad);
  }
  clipped.update(kConfig, 1, 1, 3);
  plain.update(kConfig, 1, 1);
  const Floats a = clipped.moments("m.plain", 1), b = plain.moments("m.plain", 1);
  for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], 1e-6 * std::fabs(b[i])) << i;
}

TEST(AdamW, ThreadsDoNotChangeBits) {
  Model one("cpu", 1), three("cpu", 3);
  for (int t = 1; t <= 3; t++) {
    for (const Model *model : {&one, &three}) {
      model->random_grads(uint64_t(t));
      model->update(kConfig, t, 1);
    }
  }
  EXPECT_EQ(one.values("m.plain"), three.values("m.plain"));
  EXPECT_EQ(one.norm(), three.norm());
}

// What went wrong stops the updates until the host has dealt with it.
TEST_P(OptimizerOn, NothingChangesWhereAGradientIsNotFinite) {
  Model model(GetParam());
  EbbTally *tally = nullptr, seen = {};
  EbbOptimizer *optimizer = nullptr;
  ASSERT_EQ(ebb_tally_create(model.device, &tally), EBB_OK);
  ASSERT_EQ(ebb_optimizer_create(model.params, tally, &optimizer), EBB_OK);
  ASSERT_EQ(ebb_optimizer_set(optimizer, &kConfig, 1, 1, 0), EBB_OK);
  const Floats before = model.values("m.plain");
  seen.batches = 3;
  ASSERT_EQ(ebb_tally_write(model.device, tally, &seen), EBB_OK);
  model.random_grads(1);
  model.set_grad("m.own", Floats(37, INFINITY));
  ASSERT_EQ(ebb_optimizer_update(optimizer), EBB_OK);
  model.random_grads(1);
  ASSERT_EQ(ebb_optimizer_update(optimizer), EBB_OK);
  EXPECT_EQ(model.values("m.plain"), before);
  EXPECT_EQ(model.moments("m.plain", 2), Floats(before.size(), 0.0F));
  ASSERT_EQ(ebb_tally_read(model.device, tally, &seen), EBB_OK);
  EXPECT_EQ(seen.failure, EBB_TALLY_GRADIENT);
  EXPECT_EQ(seen.failed_batch, 2);
  ebb_optimizer_destroy(optimizer);
  ebb_tally_destroy(model.device, tally);
}

// Losses (), scores (4) and weights (B) of one batch in device memory.
struct Batch {
  EbbDevice *device;
  void *memory = nullptr;
  Batch(EbbDevice *device_, const Floats &values) : device(device_) {
    EXPECT_EQ(ebb_device_alloc(device, values.size() * sizeof(float), "a batch", &memory), EBB_OK);
    EXPECT_EQ(ebb_device_write(device, memory, values.data(), values.size() * sizeof(float)), EBB_OK);
  }
  Batch(const Batch &) = delete;
  Batch &operator=(const Batch &) = delete;
  ~Batch() { ebb_device_free(device, memory); }
  const float *at(int i) const { return static_cast<const float *>(memory) + i; }
};

TEST_P(OptimizerOn, TallySumsBatchesAndNotesTheFirstBadLoss) {
  Model model(GetParam());
  EbbTally *tally = nullptr, seen = {};
  ASSERT_EQ(ebb_tally_create(model.device, &tally), EBB_OK);
  const Batch good(model.device, {0.5F, 2, 3, 4, 5, 1, 1, 1, 0}),
      bad(model.device, {NAN, 1, 0, 0, 0, 1, 1, 0, 0});
  ASSERT_EQ(ebb_tally_add(model.device, tally, good.at(0), good.at(1), good.at(5), 4), EBB_OK);
  ASSERT_EQ(ebb_tally_add(model.device, tally, good.at(0), nullptr, good.at(5), 4), EBB_OK);
  ASSERT_EQ(ebb_tally_read(model.device, tally, &seen), EBB_OK);
  EXPECT_EQ(seen.loss, 0.5 * 3 + 0.5 * 3);
  for (int s = 0; s < EBB_SCORE_SUMS; s++) EXPECT_EQ(seen.scores[s], 2 + s);
  EXPECT_EQ(seen.weight, 6);
  EXPECT_EQ(seen.last_loss, 0.5);
  EXPECT_EQ(seen.failure, EBB_TALLY_FINE);
  for (const Batch *batch : {&bad, &good, &bad})
    ASSERT_EQ(ebb_tally_add(model.device, tally, batch->at(0), batch->at(1), batch->at(5), 4), EBB_OK);
  ASSERT_EQ(ebb_tally_read(model.device, tally, &seen), EBB_OK);
  EXPECT_EQ(seen.failure, EBB_TALLY_LOSS);
  EXPECT_EQ(seen.failed_batch, 2);
  EXPECT_EQ(seen.batches, 5);
  ebb_tally_destroy(model.device, tally);
}

TEST(AdamW, BadSettingsAreNamed) {
  Model model;
  const struct {
    EbbAdamW config;
    int64_t step;
    double factor;
    const char *says;
  } rows[] = {
      {{-1, 0, 0.9, 0.999, 1e-8}, 1, 1, "learning rate -1"},
      {{1, -2, 0.9, 0.999, 1e-8}, 1, 1, "weight decay -2"},
      {{1, 0, 1, 0.999, 1e-8}, 1, 1, "betas 1 and 0.999"},
      {{1, 0, 0.9, 0.999, 0}, 1, 1, "eps 0"},
      {{1, 0, 0.9, 0.999, 1e-8}, 0, 1, "update 0"},
      {{1, 0, 0.9, 0.999, 1e-8}, 1, NAN, "rate factor nan"},
  };
  EXPECT_EQ(ebb_optimizer_set(model.optimizer, &kConfig, 1, 1, -1), EBB_INVALID);
  for (const auto &row : rows) {
    EXPECT_EQ(ebb_optimizer_set(model.optimizer, &row.config, row.step, row.factor, 0), EBB_INVALID);
    EXPECT_NE(std::string(ebb_error()).find(row.says), std::string::npos) << ebb_error();
  }
}

TEST_P(OptimizerOn, NormIsTheEuclideanNorm) {
  Model model(GetParam());
  model.random_grads(4);
  double sum = 0;
  for (const char *name : {"m.plain", "m.own", "m.frozen", "m.positive", "m.clipped", "m.wider"})
    for (float g : grad_of(model, name)) sum += double(g) * g;
  model.update(kConfig, 1, 1);
  EXPECT_NEAR(model.norm() / std::sqrt(sum), 1, 1e-6);
  EXPECT_EQ(ebb_grad_check(model.params, model.norm()), EBB_OK);
}

TEST(Gradients, ClippingScalesDownOnly) {
  EXPECT_EQ(ebb_grad_clip_scale(0.5, 1), 1);
  EXPECT_NEAR(ebb_grad_clip_scale(4, 1), 0.25, 1e-6);
  EXPECT_EQ(ebb_grad_clip_scale(4, 0), 1);
}

TEST_P(OptimizerOn, NotFiniteNamesTheParameter) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Model model(GetParam());
    model.random_grads(4);
    Floats grad = grad_of(model, "m.own");
    grad[17] = grad[30] = bad;
    model.set_grad("m.own", grad);
    model.update(kConfig, 1, 1);
    EXPECT_EQ(ebb_grad_check(model.params, model.norm()), EBB_NUMERIC);
    const std::string sentence = ebb_error();
    EXPECT_NE(sentence.find("'m.own'"), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("element 17 (2 of 37"), std::string::npos) << sentence;
  }
}

TEST_P(OptimizerOn, AverageMovesTowardsTheParameters) {
  Model model(GetParam(), 2);
  float *average = nullptr;
  ASSERT_EQ(ebb_average_create(model.params, &average), EBB_OK);
  const Floats start = model.values("m.plain");
  Floats now = start;
  Doubles expected(start.begin(), start.end());
  for (int t = 0; t < 3; t++) {
    for (size_t i = 0; i < now.size(); i++) {
      now[i] += 0.25F;
      expected[i] = 0.9 * expected[i] + 0.1 * now[i];
    }
    ASSERT_EQ(ebb_params_write(model.params, "m.plain", now.data(), int64_t(now.size())), EBB_OK);
    ASSERT_EQ(ebb_average_update(model.params, average, 1 - 0.9), EBB_OK);
  }
  ASSERT_EQ(ebb_average_swap(model.params, average), EBB_OK);
  const Floats swapped = model.values("m.plain");
  for (size_t i = 0; i < swapped.size(); i++) ASSERT_NEAR(swapped[i], expected[i], 1e-6);
  ASSERT_EQ(ebb_average_swap(model.params, average), EBB_OK);
  EXPECT_EQ(model.values("m.plain"), now);
  EXPECT_EQ(ebb_average_update(model.params, average, 1.5), EBB_INVALID);
  ebb_device_free(model.device, average);
}

TEST_P(OptimizerOn, WeightsOfAMeanGiveTheMean) {
  Model model(GetParam());
  float *average = nullptr;
  ASSERT_EQ(ebb_average_create(model.params, &average), EBB_OK);
  const size_t size = model.values("m.own").size();
  for (int n = 0; n < 4; n++) {
    const Floats value(size, float(n * n)); // 0 1 4 9
    ASSERT_EQ(ebb_params_write(model.params, "m.own", value.data(), int64_t(size)), EBB_OK);
    ASSERT_EQ(ebb_average_update(model.params, average, 1.0 / (n + 1)), EBB_OK);
  }
  ASSERT_EQ(ebb_average_swap(model.params, average), EBB_OK);
  EXPECT_NEAR(model.values("m.own")[20], 3.5, 1e-6);
  ebb_device_free(model.device, average);
}

TEST(AdamW, ClippingToAnEmptyRangeIsRefused) {
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  ASSERT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
  ASSERT_EQ(ebb_params_create(device, &params), EBB_OK);
  EbbParamSpec spec = {};
  spec.name = "w", spec.constraint = EBB_CLIPPED, spec.low = 2, spec.high = 1;
  int index = -1;
  EXPECT_EQ(ebb_params_declare(params, "m", &spec, &index), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("clipped to [2, 1]"), std::string::npos) << ebb_error();
  ebb_params_destroy(params);
  ebb_device_close(device);
}

TEST(AdamW, NeedsPlacedParameters) {
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  ASSERT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
  ASSERT_EQ(ebb_params_create(device, &params), EBB_OK);
  EbbOptimizer *optimizer = nullptr;
  EXPECT_EQ(ebb_optimizer_create(params, nullptr, &optimizer), EBB_STATE);
  ebb_params_destroy(params);
  ebb_device_close(device);
}

} // namespace

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ebb/optim.h"
#include "ebb/rng.h"

namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Four parameters in four groups: the optimiser's settings, own rate and no decay, frozen, and kept
// non-negative.
struct Model {
  explicit Model(int threads = 1, int64_t size = 40000) {
    EXPECT_EQ(ebb_device_open("cpu", threads, &device), EBB_OK);
    EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
    EbbParamSpec plain = {}, own = {}, frozen = {}, positive = {};
    plain.name = "plain", own.name = "own", frozen.name = "frozen", positive.name = "positive";
    own.own_lr = own.own_decay = frozen.own_lr = true;
    own.lr = 0.02;
    positive.constraint = EBB_NONNEGATIVE;
    for (EbbParamSpec *spec : {&plain, &own, &frozen, &positive}) {
      const int64_t dim = spec == &plain ? size : 37;
      spec->shape = ebb_shape_from(1, &dim);
      spec->draw = EBB_DRAW_NORMAL, spec->a = 0.1;
      int index = -1;
      EXPECT_EQ(ebb_params_declare(params, "m", spec, &index), EBB_OK);
    }
    EXPECT_EQ(ebb_params_place(params, 3), EBB_OK);
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;
  ~Model() {
    ebb_params_destroy(params);
    ebb_device_close(device);
  }
  int find(const char *name) const { return ebb_params_find(params, name); }
  Floats values(const char *name) const {
    Floats host(size_t(ebb_params_at(params, find(name))->size));
    EXPECT_EQ(ebb_params_read(params, name, host.data(), int64_t(host.size())), EBB_OK);
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
};

const EbbAdamW kConfig = {0.01, 0.05, 0.9, 0.999, 1e-8};

// The update in double, as the specification writes it.
struct Reference {
  Doubles p, m, v;
  explicit Reference(const Floats &start) : p(start.begin(), start.end()), m(p.size()), v(p.size()) {}
  void step(const Floats &g, double lr, double decay, int t, bool nonnegative) {
    for (size_t i = 0; i < p.size(); i++) {
      const double gi = g[i];
      m[i] = 0.9 * m[i] + 0.1 * gi;
      v[i] = 0.999 * v[i] + 0.001 * gi * gi;
      p[i] = p[i] * (1 - lr * decay) - lr * (m[i] / (1 - std::pow(0.9, t))) /
                                           (std::sqrt(v[i]) / std::sqrt(1 - std::pow(0.999, t)) + 1e-8);
      if (nonnegative) p[i] = std::max(p[i], 0.0);
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

TEST(AdamW, FollowsTheSpecificationInEveryGroup) {
  Model model;
  Reference plain(model.values("m.plain")), own(model.values("m.own")), positive(model.values("m.positive"));
  const Floats frozen = model.values("m.frozen");
  for (int t = 1; t <= 6; t++) {
    const double factor = t == 1 ? 0 : 0.2 * t; // a warm-up: the first update changes moments only
    model.random_grads(uint64_t(t));
    ASSERT_EQ(ebb_adamw_step(model.params, &kConfig, t, factor, 1), EBB_OK) << ebb_error();
    plain.step(grad_of(model, "m.plain"), kConfig.lr * factor, kConfig.weight_decay, t, false);
    own.step(grad_of(model, "m.own"), 0.02 * factor, 0, t, false);
    positive.step(grad_of(model, "m.positive"), kConfig.lr * factor, kConfig.weight_decay, t, true);
  }
  const struct {
    const char *name;
    const Reference &expected;
  } rows[] = {{"m.plain", plain}, {"m.own", own}, {"m.positive", positive}};
  for (const auto &row : rows) {
    const Floats got = model.values(row.name);
    for (size_t i = 0; i < got.size(); i++)
      ASSERT_NEAR(got[i], row.expected.p[i], 3e-7) << row.name << " " << i;
  }
  EXPECT_EQ(model.values("m.frozen"), frozen);
  int zeros = 0;
  for (float v : model.values("m.positive")) zeros += v == 0;
  EXPECT_GT(zeros, 3);
}

TEST(AdamW, FirstUpdateWithRateZeroKeepsValuesAndFillsMoments) {
  Model model;
  const Floats before = model.values("m.plain");
  model.random_grads(1);
  ASSERT_EQ(ebb_adamw_step(model.params, &kConfig, 1, 0, 1), EBB_OK);
  EXPECT_EQ(model.values("m.plain"), before);
  const float *m = ebb_params_moment(model.params, model.find("m.plain"), 1);
  EXPECT_FLOAT_EQ(m[5], 0.1F * grad_of(model, "m.plain")[5]);
}

TEST(AdamW, GradientScaleIsThatOfScaledGradients) {
  Model scaled, plain;
  scaled.random_grads(2);
  plain.random_grads(2);
  Floats half = grad_of(plain, "m.plain");
  for (float &g : half) g *= 0.5F;
  plain.set_grad("m.plain", half);
  ASSERT_EQ(ebb_adamw_step(scaled.params, &kConfig, 1, 1, 0.5), EBB_OK);
  ASSERT_EQ(ebb_adamw_step(plain.params, &kConfig, 1, 1, 1), EBB_OK);
  EXPECT_EQ(scaled.values("m.plain"), plain.values("m.plain"));
}

TEST(AdamW, ThreadsDoNotChangeBits) {
  Model one(1), three(3);
  double norm[2] = {};
  for (int t = 1; t <= 3; t++) {
    for (const Model *model : {&one, &three}) {
      model->random_grads(uint64_t(t));
      ASSERT_EQ(ebb_adamw_step(model->params, &kConfig, t, 1, 1), EBB_OK);
    }
  }
  ASSERT_EQ(ebb_grad_norm(one.params, &norm[0]), EBB_OK);
  ASSERT_EQ(ebb_grad_norm(three.params, &norm[1]), EBB_OK);
  EXPECT_EQ(one.values("m.plain"), three.values("m.plain"));
  EXPECT_EQ(norm[0], norm[1]);
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
  for (const auto &row : rows) {
    EXPECT_EQ(ebb_adamw_step(model.params, &row.config, row.step, row.factor, 1), EBB_INVALID);
    EXPECT_NE(std::string(ebb_error()).find(row.says), std::string::npos) << ebb_error();
  }
}

TEST(Gradients, NormIsTheEuclideanNorm) {
  Model model;
  model.random_grads(4);
  double sum = 0, norm = 0;
  for (const char *name : {"m.plain", "m.own", "m.frozen", "m.positive"})
    for (float g : grad_of(model, name)) sum += double(g) * g;
  ASSERT_EQ(ebb_grad_norm(model.params, &norm), EBB_OK);
  EXPECT_NEAR(norm / std::sqrt(sum), 1, 1e-6);
  EXPECT_EQ(ebb_grad_check(model.params, norm), EBB_OK);
}

TEST(Gradients, ClippingScalesDownOnly) {
  EXPECT_EQ(ebb_grad_clip_scale(0.5, 1), 1);
  EXPECT_NEAR(ebb_grad_clip_scale(4, 1), 0.25, 1e-6);
  EXPECT_EQ(ebb_grad_clip_scale(4, 0), 1);
}

TEST(Gradients, NotFiniteNamesTheParameter) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Model model;
    model.random_grads(4);
    Floats grad = grad_of(model, "m.own");
    grad[17] = grad[30] = bad;
    model.set_grad("m.own", grad);
    double norm = 0;
    ASSERT_EQ(ebb_grad_norm(model.params, &norm), EBB_OK);
    EXPECT_EQ(ebb_grad_check(model.params, norm), EBB_NUMERIC);
    const std::string sentence = ebb_error();
    EXPECT_NE(sentence.find("'m.own'"), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("element 17 (2 of 37"), std::string::npos) << sentence;
  }
}

TEST(Average, MovesTowardsTheParameters) {
  Model model(2);
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

TEST(Average, WeightsOfAMeanGiveTheMean) {
  Model model;
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

TEST(AdamW, NeedsPlacedParameters) {
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  ASSERT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
  ASSERT_EQ(ebb_params_create(device, &params), EBB_OK);
  EXPECT_EQ(ebb_adamw_step(params, &kConfig, 1, 1, 1), EBB_STATE);
  ebb_params_destroy(params);
  ebb_device_close(device);
}

} // namespace

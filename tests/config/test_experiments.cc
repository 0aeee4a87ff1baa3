// The shipped experiments have the published hyper-parameters, and their corrected twins differ where they
// say.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "ebb/config.h"

namespace {

struct Config {
  EbbConfig *config = nullptr;
  explicit Config(const std::string &name) {
    EXPECT_EQ(ebb_config_create(&config), EBB_OK);
    const std::string path = std::string(EBB_SOURCE_DIR) + "/experiments/" + name + ".yaml";
    EXPECT_EQ(ebb_config_load_file(config, path.c_str()), EBB_OK) << ebb_error();
  }
  Config(const Config &) = delete;
  Config &operator=(const Config &) = delete;
  ~Config() { ebb_config_destroy(config); }

  double number(const char *key) const { return ebb_config_number(config, key); }
  int64_t integer(const char *key) const { return ebb_config_integer(config, key); }
  // The lines of the resolved configuration.
  std::vector<std::string> lines() const {
    char *text = nullptr;
    EXPECT_EQ(ebb_config_yaml(config, &text), EBB_OK);
    std::vector<std::string> all;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    std::free(text);
    return all;
  }
};

// A rate of a group of its own; NAN stands for the global one.
constexpr double kGlobal = NAN;

struct Published {
  const char *name;
  int layers, d_model, d_state;
  double dt_min, dt_max;
  bool bidirectional;
  double dropout;
  bool prenorm_batch; // else postnorm with layer norm
  double lr, lr_dt, lr_ab, decay;
  int batch, epochs, warmup, steps;
  bool last, use_lengths;
  int l_max, seed; // l_max 0: null
};

// Liquid-S4's repository, configs/experiment.
const Published kPublished[] = {
    {"lra/s4-lra-listops",
     9,
     128,
     7,
     .002,
     .2,
     false,
     .01,
     true,
     .002,
     kGlobal,
     .0009,
     .03,
     12,
     40,
     1000,
     80000,
     false,
     true,
     2048,
     2222},
    {"lra/s4-lra-imdb",
     4,
     128,
     7,
     .002,
     .2,
     false,
     .1,
     true,
     .003,
     kGlobal,
     .0009,
     .01,
     8,
     50,
     1000,
     50000,
     false,
     true,
     4096,
     2222},
    {"lra/s4-lra-aan",
     6,
     256,
     64,
     .001,
     .1,
     false,
     .2,
     true,
     .005,
     kGlobal,
     .001,
     .05,
     16,
     20,
     2500,
     50000,
     false,
     true,
     4000,
     2222},
    {"lra/s4-lra-cifar",
     6,
     512,
     512,
     .002,
     .2,
     true,
     .1,
     false,
     .01,
     kGlobal,
     .001,
     .03,
     50,
     200,
     1000,
     200000,
     false,
     false,
     0,
     2222},
    {"lra/s4-lra-pathfinder",
     6,
     256,
     64,
     .001,
     .1,
     false,
     0,
     true,
     .004,
     .001,
     .001,
     .03,
     4,
     200,
     2500,
     500000,
     true,
     false,
     1024,
     2222},
    {"lra/s4-lra-pathx",
     6,
     320,
     64,
     .0001,
     .1,
     false,
     0,
     true,
     .001,
     .0005,
     .0005,
     .05,
     8,
     60,
     10000,
     500000,
     false,
     false,
     16384,
     1112},
    {"cifar/s4-cifar", 6,     512,   64, .001, .1, true, .1, false, .01, .001, .001, .05, 50, 200, 1000,
     200000,           false, false, 0,  2222},
};

// Choices are those of config.def.
int choice(const Config &c, const char *key) { return ebb_config_choice(c.config, key); }

void expect_rate(const Config &c, const char *key, double expected) {
  if (std::isnan(expected))
    EXPECT_TRUE(ebb_config_is_null(c.config, key)) << key;
  else
    EXPECT_EQ(c.number(key), expected) << key;
}

TEST(Experiments, HaveThePublishedHyperParameters) {
  for (const Published &p : kPublished) {
    SCOPED_TRACE(p.name);
    const Config c(p.name);
    EXPECT_EQ(c.integer("model.n_layers"), p.layers);
    EXPECT_EQ(c.integer("model.d_model"), p.d_model);
    EXPECT_EQ(c.integer("model.layer.d_state"), p.d_state);
    EXPECT_EQ(c.number("model.layer.dt_min"), p.dt_min);
    EXPECT_EQ(c.number("model.layer.dt_max"), p.dt_max);
    EXPECT_EQ(ebb_config_flag(c.config, "model.layer.bidirectional"), p.bidirectional);
    EXPECT_EQ(c.number("model.dropout"), p.dropout);
    EXPECT_EQ(ebb_config_flag(c.config, "model.prenorm"), p.prenorm_batch);
    EXPECT_TRUE(ebb_config_flag(c.config, "model.tie_dropout"));
    EXPECT_FALSE(ebb_config_flag(c.config, "model.transposed"));
    EXPECT_EQ(c.number("optimizer.lr"), p.lr);
    expect_rate(c, "model.layer.lr.dt", p.lr_dt);
    expect_rate(c, "model.layer.lr.A", p.lr_ab);
    expect_rate(c, "model.layer.lr.B", p.lr_ab);
    EXPECT_EQ(c.number("optimizer.weight_decay"), p.decay);
    EXPECT_EQ(c.integer("loader.batch_size"), p.batch);
    EXPECT_EQ(c.integer("trainer.max_epochs"), p.epochs);
    EXPECT_EQ(c.integer("scheduler.num_warmup_steps"), p.warmup);
    EXPECT_EQ(c.integer("scheduler.num_training_steps"), p.steps);
    EXPECT_EQ(choice(c, "decoder.mode") == 0, p.last);
    EXPECT_EQ(ebb_config_flag(c.config, "decoder.use_lengths"), p.use_lengths);
    EXPECT_EQ(ebb_config_integer_or(c.config, "model.layer.l_max", 0), p.l_max);
    EXPECT_EQ(c.integer("train.seed"), p.seed);
    EXPECT_EQ(choice(c, "model.layer.liquid_kernel"), 0) << "null, as published";
    EXPECT_EQ(c.integer("model.layer.liquid_degree"), 2);
    EXPECT_EQ(choice(c, "scheduler._name_"), 1) << "the cosine that rises again";
    EXPECT_EQ(c.integer("loader.sort_window"), 0);
  }
}

TEST(Experiments, NormsAreThePublishedOnes) {
  const Config batch("lra/s4-lra-imdb"), layer("lra/s4-lra-cifar");
  EXPECT_NE(choice(batch, "model.norm"), choice(layer, "model.norm"));
  for (const Published &p : kPublished)
    EXPECT_EQ(choice(Config(p.name), "model.norm"), choice(p.prenorm_batch ? batch : layer, "model.norm"))
        << p.name;
}

TEST(Experiments, FixedTwinsDifferOnlyWhereTheySay) {
  const std::set<std::string> allowed = {"_name_",         "num_training_steps", "val_split",
                                         "bucket_quantum", "norm_padding",       "sort_window"};
  const std::pair<const char *, int64_t> twins[] = {{"listops", 96000 / 12 * 40},
                                                    {"imdb", 22500 / 8 * 50},
                                                    {"aan", 147086 / 16 * 20},
                                                    {"pathfinder", 160000 / 4 * 200},
                                                    {"pathx", 160000 / 8 * 60}};
  for (const auto &[task, steps] : twins) {
    SCOPED_TRACE(task);
    const Config published(std::string("lra/s4-lra-") + task),
        fixed(std::string("lra/s4-lra-") + task + "-fixed");
    EXPECT_EQ(fixed.integer("scheduler.num_training_steps"), steps) << "the end of the training";
    EXPECT_EQ(choice(published, "model.norm_padding"), 0) << "as published";
    EXPECT_EQ(choice(fixed, "model.norm_padding"), ebb_config_flag(fixed.config, "decoder.use_lengths"))
        << "padding, where there is any, counts in no statistic";
    const auto a = published.lines(), b = fixed.lines();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); i++) {
      if (a[i] == b[i]) continue;
      const size_t begin = b[i].find_first_not_of(' ');
      EXPECT_EQ(allowed.count(b[i].substr(begin, b[i].find(':') - begin)), 1u) << a[i] << " " << b[i];
    }
  }
  EXPECT_EQ(Config("lra/s4-lra-imdb").number("dataset.val_split"), 0);
  EXPECT_EQ(Config("lra/s4-lra-imdb-fixed").number("dataset.val_split"), 0.1);
}

} // namespace

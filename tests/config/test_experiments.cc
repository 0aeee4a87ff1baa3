// The shipped experiments have the published hyper-parameters, and their corrected twins differ where they
// say.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>
#include <map>
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

// Liquid-S4's repository, configs/experiment. "g": the rate of the optimiser. axes: the order of
// batch, time and channels between layers.
const char kPublished[] = R"(
name layers d_model d_state dt_min dt_max directions dropout norm axes lr lr_dt lr_AB decay batch epochs warmup steps decode lengths l_max seed
lra/s4-lra-listops     9 128   7 .002  .2  1 .01 pre-batch  BLH .002  g     .0009 .03 12 40  1000  80000  pool yes 2048  2222
lra/s4-lra-imdb        4 128   7 .002  .2  1 .1  pre-batch  BLH .003  g     .0009 .01 8  50  1000  50000  pool yes 4096  2222
lra/s4-lra-aan         6 256  64 .001  .1  1 .2  pre-batch  BLH .005  g     .001  .05 16 20  2500  50000  pool yes 4000  2222
lra/s4-lra-cifar       6 512 512 .002  .2  2 .1  post-layer BLH .01   g     .001  .03 50 200 1000  200000 pool no  null  2222
lra/s4-lra-pathfinder  6 256  64 .001  .1  1 0   pre-batch  BLH .004  .001  .001  .03 4  200 2500  500000 last no  1024  2222
lra/s4-lra-pathx       6 320  64 .0001 .1  1 0   pre-batch  BLH .001  .0005 .0005 .05 8  60  10000 500000 pool no  16384 1112
cifar/s4-cifar         6 512  64 .001  .1  2 .1  post-layer BLH .01   .001  .001  .05 50 200 1000  200000 pool no  null  2222
sc/s4-sc               6 128   7 .002  .2  1 0   pre-batch  BLH .008  g     .001  .05 10 50  1000  200000 pool no  16000 2222
bidmc/s4-bidmc         6 128 256 .001  .1  2 0   pre-layer  BLH .01   .001  .001  .01 32 500 -     -      pool no  4000  1112
ml/listops             8 128  64 .001  .1  1 0   post-batch BHL .01   .001  .001  .05 50 40  1000  80000  pool yes 2048  2222
ml/imdb                4 128  64 .001  .1  1 0   pre-batch  BHL .001  .001  .001  0   16 32  1000  40000  last yes 4096  2222
ml/imdb-new            4 128   8 .002  .2  1 .1  pre-batch  BLH .001  g     .0009 .01 8  40  1000  50000  pool yes 4096  2222
ml/aan                 6 256  64 .001  .1  1 .2  post-batch BHL .01   .001  .001  .05 64 20  2500  50000  pool yes 4000  2222
ml/cifar               6 256  64 .0002 .02 2 0   pre-batch  BHL .0004 .0004 .0004 .03 64 200 10000 500000 pool no  1024  2222
ml/pathfinder          6 256  64 .0002 .02 2 0   pre-batch  BHL .0004 .0004 .0004 .03 64 200 10000 500000 pool no  1024  2222
ml/pathfinder-new      6 256  64 .0002 .02 2 0   pre-batch  BLH .0004 .0004 .0004 .03 16 200 10000 500000 last no  1024  1112
ml/pathx               8 128  64 .0001 .2  2 0   pre-batch  BHL .0004 .0003 .0003 .03 16 50  10000 500000 pool no  16384 1112
ml/pathx-new           6 256  64 .0001 .2  1 0   pre-batch  BLH .0003 .0003 .0003 .05 32 50  10000 500000 pool no  16384 1112
ml/sc                  6 128  64 .001  .1  2 0   pre-batch  BLH .005  .001  .001  .05 64 50  1000  200000 pool no  16000 2222
ml/bidmc-rr            6 128 256 .001  .1  2 0   pre-layer  BLH .005  .001  .001  .05 32 500 -     -      pool no  4000  1112
ml/bidmc-hr            6 128 256 .001  .1  2 0   pre-layer  BLH .005  .001  .001  .05 32 500 -     -      pool no  4000  1112
ml/bidmc-spo2          6 128 256 .001  .1  2 0   pre-layer  BLH .005  .001  .001  .05 32 500 -     -      pool no  4000  1112
)";

// The rows of the table: what stands in each column.
std::vector<std::map<std::string, std::string>> published() {
  std::vector<std::map<std::string, std::string>> rows;
  std::vector<std::string> columns;
  std::istringstream text(kPublished);
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::vector<std::string> cells{std::istream_iterator<std::string>(words), {}};
    if (columns.empty()) {
      columns = cells;
      continue;
    }
    EXPECT_EQ(cells.size(), columns.size()) << line;
    rows.emplace_back();
    for (size_t i = 0; i < cells.size(); i++) rows.back()[columns[i]] = cells[i];
  }
  return rows;
}

// Choices are those of config.def.
int choice(const Config &c, const char *key) { return ebb_config_choice(c.config, key); }
bool flag(const Config &c, const char *key) { return ebb_config_flag(c.config, key); }

// "null", "g" and "-": the key is null, or of no meaning here.
void expect_number(const Config &c, const char *key, const std::string &expected) {
  if (expected == "-") return;
  EXPECT_EQ(ebb_config_is_null(c.config, key), expected == "null" || expected == "g") << key;
  if (!ebb_config_is_null(c.config, key)) EXPECT_EQ(c.number(key), std::stod(expected)) << key;
}
void expect_integer(const Config &c, const char *key, const std::string &expected) {
  if (expected == "-") return;
  EXPECT_EQ(ebb_config_is_null(c.config, key), expected == "null") << key;
  if (expected != "null") EXPECT_EQ(c.integer(key), std::stoll(expected)) << key;
}

const std::pair<const char *, const char *> kNumbers[] = {
    {"dt_min", "model.layer.dt_min"}, {"dt_max", "model.layer.dt_max"},   {"dropout", "model.dropout"},
    {"lr", "optimizer.lr"},           {"lr_dt", "model.layer.lr.dt"},     {"lr_AB", "model.layer.lr.A"},
    {"lr_AB", "model.layer.lr.B"},    {"decay", "optimizer.weight_decay"}};
const std::pair<const char *, const char *> kIntegers[] = {{"layers", "model.n_layers"},
                                                           {"d_model", "model.d_model"},
                                                           {"d_state", "model.layer.d_state"},
                                                           {"batch", "loader.batch_size"},
                                                           {"epochs", "trainer.max_epochs"},
                                                           {"warmup", "scheduler.num_warmup_steps"},
                                                           {"steps", "scheduler.num_training_steps"},
                                                           {"l_max", "model.layer.l_max"},
                                                           {"seed", "train.seed"}};

TEST(Experiments, HaveThePublishedHyperParameters) {
  auto rows = published();
  EXPECT_EQ(rows.size(), 22u);
  for (auto &row : rows) {
    SCOPED_TRACE(row["name"]);
    const Config c(row["name"]);
    for (const auto &[column, key] : kNumbers) expect_number(c, key, row[column]);
    for (const auto &[column, key] : kIntegers) expect_integer(c, key, row[column]);
    EXPECT_EQ(flag(c, "model.layer.bidirectional"), row["directions"] == "2");
    EXPECT_EQ(flag(c, "model.prenorm"), row["norm"].substr(0, 4) == "pre-");
    EXPECT_EQ(choice(c, "model.norm"), row["norm"].find("batch") != std::string::npos ? 1 : 2);
    EXPECT_EQ(flag(c, "model.transposed"), row["axes"] == "BHL");
    EXPECT_EQ(choice(c, "decoder.mode") == 0, row["decode"] == "last");
    EXPECT_EQ(flag(c, "decoder.use_lengths"), row["lengths"] == "yes");
    EXPECT_TRUE(flag(c, "model.tie_dropout"));
    EXPECT_EQ(choice(c, "model.layer.postact"), row["name"] == "ml/imdb" ? 0 : 1) << "glu";
    EXPECT_EQ(ebb_config_is_null(c.config, "model.layer.n_ssm"), row["name"] != "ml/imdb");
    EXPECT_EQ(choice(c, "model.layer.liquid_kernel"), 0) << "null, as published";
    EXPECT_EQ(c.integer("model.layer.liquid_degree"), 2);
    if (row["steps"] != "-") EXPECT_EQ(choice(c, "scheduler._name_"), 1) << "the cosine that rises again";
    EXPECT_EQ(c.integer("loader.sort_window"), 0);
  }
}

TEST(Experiments, CifarOfTheEarlierSettingsTrainsOnPathfinder) {
  EXPECT_STREQ(ebb_config_string(Config("ml/cifar").config, "dataset._name_"), "pathfinder");
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

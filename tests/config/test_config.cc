#include "ebb/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

extern "C" {
#include "host/config/config_row.h"
}

namespace {

struct Destroy {
  void operator()(EbbConfig *config) const { ebb_config_destroy(config); }
};
using Config = std::unique_ptr<EbbConfig, Destroy>;

Config create() {
  EbbConfig *config = nullptr;
  EXPECT_EQ(ebb_config_create(&config), EBB_OK) << ebb_error();
  return Config(config);
}

EbbStatus load(const Config &config, const std::string &text) {
  return ebb_config_load_text(config.get(), text.data(), text.size(), "t.yaml");
}

std::string yaml(const Config &config) {
  char *text = nullptr;
  EXPECT_EQ(ebb_config_yaml(config.get(), &text), EBB_OK);
  std::string result = text ? text : "";
  free(text);
  return result;
}

class Temporary {
public:
  explicit Temporary(const std::string &name) : path(testing::TempDir() + "ebb_config_" + name) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Temporary() { std::filesystem::remove_all(path); }
  std::string write(const std::string &name, const std::string &text) const {
    std::filesystem::path file = std::filesystem::path(path) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  std::string path;
};

} // namespace

TEST(Config, DefaultsPassTheirOwnChecks) {
  Config config = create();
  for (const EbbConfigRow &row : ebb_config_rows) {
    EXPECT_STREQ(ebb_config_origin(config.get(), row.path), "default");
    EXPECT_NE(std::string(row.help), "") << row.path;
    EXPECT_LT(std::string(row.path).size(), size_t(EBB_CONFIG_PATH_BYTES));
    bool ranged = row.type == EBB_CONFIG_INTEGER || row.type == EBB_CONFIG_NUMBER;
    EXPECT_EQ(row.min <= row.max && (!ranged || row.max > 0), true) << row.path;
    EXPECT_EQ(*row.choices != 0, row.type == EBB_CONFIG_CHOICE) << row.path;
  }
  EXPECT_EQ(ebb_config_integer(config.get(), "model.d_model"), 256);
  EXPECT_EQ(ebb_config_number(config.get(), "model.layer.dt_max"), 0.1);
  EXPECT_STREQ(ebb_config_string(config.get(), "device"), "auto");
  EXPECT_TRUE(ebb_config_flag(config.get(), "model.prenorm"));
  int count = 0;
  const int64_t *milestones = ebb_config_integers(config.get(), "scheduler.milestones", &count);
  ASSERT_EQ(count, 3);
  EXPECT_EQ(milestones[2], 180);
}

TEST(Config, RowsOfAKeyAreUniqueAndGrouped) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) EXPECT_EQ(ebb_config_row(ebb_config_rows[i].path), i);
}

TEST(Config, NullReadsAsDocumented) {
  Config config = create();
  EXPECT_EQ(load(config, "run_dir: null\nmodel: {layer: {n_ssm: ~, dropout: null, tie_dropout: }}"), EBB_OK)
      << ebb_error();
  EXPECT_EQ(ebb_config_string(config.get(), "run_dir"), nullptr);
  EXPECT_EQ(ebb_config_integer(config.get(), "model.layer.n_ssm"), INT64_MIN);
  EXPECT_TRUE(std::isnan(ebb_config_number(config.get(), "model.layer.dropout")));
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.tie_dropout"));
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.liquid_kernel"));
  EXPECT_EQ(ebb_config_choice(config.get(), "model.layer.liquid_kernel"), 0);
}

TEST(Config, ChoiceIndexFollowsTheRow) {
  Config config = create();
  EXPECT_EQ(ebb_config_override(config.get(), "model.layer.liquid_kernel=kb"), EBB_OK);
  EXPECT_EQ(ebb_config_choice(config.get(), "model.layer.liquid_kernel"), 2);
  EXPECT_FALSE(ebb_config_is_null(config.get(), "model.layer.liquid_kernel"));
  EXPECT_STREQ(ebb_config_origin(config.get(), "model.layer.liquid_kernel"), "override");
}

TEST(Config, PythonWordsAndNumbers) {
  Config config = create();
  EXPECT_EQ(load(config, "model:\n  prenorm: False\n  tie_dropout: yes\n  dropout: .003\n  d_model: 1e2\n"
                         "optimizer: {lr: 1e-3, eps: 1.0E-9}\nscheduler:\n  milestones:\n  - 3\n  - 2e1\n"),
            EBB_OK)
      << ebb_error();
  EXPECT_FALSE(ebb_config_flag(config.get(), "model.prenorm"));
  EXPECT_TRUE(ebb_config_flag(config.get(), "model.tie_dropout"));
  EXPECT_EQ(ebb_config_number(config.get(), "model.dropout"), 0.003);
  EXPECT_EQ(ebb_config_integer(config.get(), "model.d_model"), 100);
  EXPECT_EQ(ebb_config_number(config.get(), "optimizer.lr"), 1e-3);
  EXPECT_STREQ(ebb_config_origin(config.get(), "model.dropout"), "t.yaml:4");
  int count = 0;
  const int64_t *milestones = ebb_config_integers(config.get(), "scheduler.milestones", &count);
  ASSERT_EQ(count, 2);
  EXPECT_EQ(milestones[1], 20);
}

TEST(Config, OneLearningRateForTheWholeKernel) {
  Config config = create();
  EXPECT_EQ(load(config, "model: {layer: {lr: 0.0004}}"), EBB_OK);
  for (const char *key : {"model.layer.lr.dt", "model.layer.lr.A", "model.layer.lr.B"}) {
    EXPECT_EQ(ebb_config_number(config.get(), key), 0.0004);
  }
  EXPECT_EQ(ebb_config_override(config.get(), "model.layer.lr.dt=null"), EBB_OK);
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.lr.dt"));
  EXPECT_EQ(ebb_config_number(config.get(), "model.layer.lr.A"), 0.0004);
}

TEST(Config, PublishedFileLoads) {
  const char *text =
      "# @package _global_\n"
      "defaults:\n  - /pipeline: imdb\n  - /model: s4\n  - override /scheduler: cosine_warmup\n"
      "  - /trainer: default\n  - _self_\n"
      "encoder: embedding\n"
      "model:\n  n_layers: 9\n  prenorm: True\n  layer:\n    lr:\n      dt: null\n      A: 0.0009\n"
      "    n_ssm: ${..d_model}\n    dropout: ${..dropout}\n"
      "dataset:\n  l_max: 1000\ntrain:\n  interval: step\n"
      "wandb:\n  project: x\n  tags: [a, {b: c}]\n";
  Config config = create();
  EXPECT_EQ(load(config, text), EBB_OK) << ebb_error();
  EXPECT_STREQ(ebb_config_string(config.get(), "dataset._name_"), "imdb");
  EXPECT_EQ(ebb_config_integer(config.get(), "dataset.l_max"), 1000);
  EXPECT_EQ(ebb_config_integer(config.get(), "model.layer.l_max"), 4096);
  EXPECT_EQ(ebb_config_choice(config.get(), "scheduler._name_"), 1);
  EXPECT_EQ(ebb_config_choice(config.get(), "encoder._name_"), 1);
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.n_ssm"));
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.dropout"));
}

TEST(Config, OwnKeysWinOverTheDefaultsListWhereverItStands) {
  Config config = create();
  EXPECT_EQ(load(config, "dataset: {l_max: 77}\nscheduler: plateau\n"
                         "defaults: [/pipeline: listops, /scheduler: constant, override /dataset: aan]"),
            EBB_OK)
      << ebb_error();
  EXPECT_EQ(ebb_config_integer(config.get(), "dataset.l_max"), 77);
  EXPECT_EQ(ebb_config_choice(config.get(), "scheduler._name_"), 4);
  EXPECT_STREQ(ebb_config_string(config.get(), "dataset._name_"), "aan");
}

struct Bad {
  const char *text;
  EbbStatus status;
  const char *sentence;
};

class BadText : public testing::TestWithParam<Bad> {};

/* Every case begins with a good key, which must not be applied. */
TEST_P(BadText, IsRefusedAndChangesNothing) {
  Config config = create();
  std::string before = yaml(config);
  EXPECT_EQ(load(config, GetParam().text), GetParam().status) << ebb_error();
  EXPECT_NE(std::string(ebb_error()).find(GetParam().sentence), std::string::npos) << ebb_error();
  EXPECT_EQ(yaml(config), before);
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadText,
    testing::Values(
        Bad{"threads: 3\nmodel:\n  d_modl: 3", EBB_INVALID,
            "t.yaml:3:3: unknown key 'model.d_modl'; the nearest known key is 'model.d_model'"},
        Bad{"threads: 3\nd_state: 4", EBB_INVALID,
            "t.yaml:2:1: unknown key 'd_state'; the nearest known key is 'model.layer.d_state'"},
        Bad{"threads: 3\nqqqqqq: 4", EBB_INVALID, "no known key is near"},
        Bad{"threads: 3\nmodel: {d_model: wide}", EBB_INVALID,
            "t.yaml:2:18: model.d_model must be an integer from 1 to 65536 (channels), not 'wide'"},
        Bad{"threads: 3\nmodel: {d_model: 2.5}", EBB_INVALID, "not '2.5'"},
        Bad{"threads: 3\nmodel: {d_model: '64'}", EBB_INVALID, "not \"64\""},
        Bad{"threads: 3\nmodel: {d_model: 0}", EBB_INVALID, "from 1 to 65536 (channels), not '0'"},
        Bad{"threads: 3\nmodel: {d_model: 99999999999999999999}", EBB_INVALID, "from 1 to 65536"},
        Bad{"threads: 3\nmodel: {d_model: null}", EBB_INVALID,
            "model.d_model must be an integer from 1 to 65536 (channels), not 'null'"},
        Bad{"threads: 3\nmodel: {dropout: 1}", EBB_INVALID,
            "model.dropout must be a number from 0 to 0.99 (probability), not '1'"},
        Bad{"threads: 3\nmodel: {dropout: .nan}", EBB_INVALID, "not '.nan'"},
        Bad{"threads: 3\nmodel: {dropout: 0x1}", EBB_INVALID, "not '0x1'"},
        Bad{"threads: 3\nmodel: {prenorm: maybe}", EBB_INVALID,
            "model.prenorm must be true or false, not 'maybe'"},
        Bad{"threads: 3\nmodel: {layer: {liquid_kernel: quadratic}}", EBB_INVALID,
            "one of null|polyb|kb|series|scan, not 'quadratic'"},
        Bad{"threads: 3\nmodel: {layer: {gate: 2}}", EBB_INVALID,
            "model.layer.gate is a published option that ebb does not support"},
        Bad{"threads: 3\nmodel: {layer: {shift: true}}", EBB_INVALID,
            "model.layer.shift is a published option"},
        Bad{"threads: 3\nmodel: {layer: {l_max: \"${oc.select:a,1}\"}}", EBB_INVALID, "must be an integer"},
        Bad{"threads: 3\nmodel:\n  layer:\n    d_state: ${..d_model}", EBB_INVALID,
            "the interpolation '${..d_model}' is not resolved"},
        Bad{"threads: 3\nmodel: [1, 2]", EBB_INVALID, "t.yaml:2:8: model is a group of keys"},
        Bad{"threads: 3\nmodel: {layer: {lr: [1]}}", EBB_INVALID, "model.layer.lr is a group of keys"},
        Bad{"threads: 3\ntrainer: fast", EBB_INVALID, "trainer is a group of keys (max_epochs, max_steps"},
        Bad{"threads: 3\ntrainer:\n\tmax_epochs: 3", EBB_FORMAT,
            "tab character may not be used as indentation"},
        Bad{"threads: 3\ntrainer:\nmax_epochs: 3", EBB_INVALID,
            "nothing stands below it; indent its keys with spaces"},
        Bad{"threads: 3\nmodel: {d_model: {a: 1}}", EBB_INVALID,
            "model.d_model takes one value, not a mapping"},
        Bad{"threads: 3\nmodel: {d_model: [1]}", EBB_INVALID, "(channels), not a list"},
        Bad{"threads: 3\nscheduler: {milestones: 4}", EBB_INVALID,
            "must be a list of integers from 1 to 1000000000 (epochs), not '4'"},
        Bad{"threads: 3\nscheduler: {milestones: [4, x]}", EBB_INVALID,
            "t.yaml:2:29: scheduler.milestones must be a list"},
        Bad{"threads: 3\nscheduler: {milestones: [[4]]}", EBB_INVALID, "an item is a list or mapping itself"},
        Bad{"threads: 3\nthreads: 4", EBB_INVALID, "t.yaml:2:10: threads is set twice, first in line 1"},
        Bad{"threads: 3\nmodel: {d_model: 4}\nmodel: {n_layers: 3}", EBB_INVALID,
            "t.yaml:3:8: the group model stands twice"},
        Bad{"threads: 3\nmodel: {layer: {lr: {dt: 1}, lr.dt: 2}}", EBB_INVALID,
            "model.layer.lr.dt is set twice"},
        Bad{"- threads", EBB_FORMAT,
            "the top level must be a mapping of keys ('model:', 'train:'), not a list"},
        Bad{"threads", EBB_FORMAT, "not a single value"}, Bad{"", EBB_FORMAT, "t.yaml:1:1: empty"},
        Bad{"# only a comment\n", EBB_FORMAT, "empty"},
        Bad{"threads: 3\nmodel: {d_model: 4", EBB_FORMAT, "not YAML"},
        Bad{"threads: 3\ndevice: \"cpu", EBB_FORMAT,
            "t.yaml:2:10: not YAML: double-quoted scalar without closing quote"},
        Bad{"threads: 3\ndevice: \xff\xfe", EBB_FORMAT, "t.yaml:2:9: byte 0xff is not UTF-8"},
        Bad{"threads: 3\n---\nthreads: 4", EBB_FORMAT, "t.yaml:2:1: a second YAML document"},
        Bad{"threads: 3\ndevice: &a cpu\nrun_dir: *a", EBB_INVALID,
            "anchors (&name) and aliases (*name) are refused"},
        Bad{"threads: 3\nrun_dir: *a", EBB_INVALID, "t.yaml:2:11: anchors"},
        Bad{"threads: 3\nrun_dir: !!str a", EBB_INVALID, "tags (!name) are refused"},
        Bad{"threads: 3\n? [a]\n: 4", EBB_INVALID, "a key must be a plain name"},
        Bad{"threads: 3\nrun_dir: \"a\\0b\"", EBB_INVALID, "run_dir holds a NUL byte"},
        Bad{"threads: 3\ndevice: ''", EBB_INVALID, "device must be a text"},
        Bad{"threads: 3\nwandb: [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]", EBB_INVALID,
            "nested deeper than 16 levels"},
        Bad{"threads: 3\ndefaults: 4", EBB_INVALID, "defaults must be a list"},
        Bad{"threads: 3\ndefaults:\n  - /cluster: slurm", EBB_INVALID,
            "t.yaml:3:15: the defaults entry '/cluster' means nothing to ebb"},
        Bad{"threads: 3\ndefaults:\n  - /model: lssl", EBB_INVALID,
            "model._name_ must be one of model|s4, not 'lssl'"},
        Bad{"threads: 3\ndefaults:\n  - /pipeline: [a]", EBB_INVALID, "dataset._name_ must be a text"},
        Bad{"threads: 3\ndefaults:\n  - {/model: s4, /dataset: aan}", EBB_INVALID,
            "an entry of defaults is one"}));

TEST(Config, NulBytesAndBombsAreRefused) {
  Config config = create();
  EXPECT_EQ(load(config, std::string("threads: 3\nmodel\0: 4", 20)), EBB_FORMAT);
  EXPECT_NE(std::string(ebb_error()).find("t.yaml:2:6: byte 0x00 is a control character"), std::string::npos)
      << ebb_error();
  EXPECT_EQ(load(config, std::string((1 << 20) + 1, '#')), EBB_FORMAT);
  EXPECT_NE(std::string(ebb_error()).find("larger than 1 MiB"), std::string::npos);
  for (const char *deep : {"[", "{a: ", "- "}) {
    std::string text = "wandb: \n  ";
    for (int i = 0; i < 20000; i++) text += deep;
    EXPECT_NE(load(config, text), EBB_OK);
  }
  EXPECT_NE(load(config, std::string(100000, 'k') + ": 3"), EBB_OK);
  EXPECT_NE(load(config, "device: " + std::string(100000, 'k')), EBB_OK);
  EXPECT_NE(std::string(ebb_error()).find("device is longer than 4096 bytes"), std::string::npos);
}

TEST(Config, OnlyWellFormedUtf8) {
  Config config = create();
  for (const char *good : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    EXPECT_EQ(load(config, std::string("device: ") + good), EBB_OK) << ebb_error();
    EXPECT_STREQ(ebb_config_string(config.get(), "device"), good);
  }
  for (const char *bad :
       {"\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\x1b[2J"}) {
    EXPECT_EQ(load(config, std::string("device: cpu\nrun_dir: ") + bad), EBB_FORMAT);
    EXPECT_NE(std::string(ebb_error()).find("t.yaml:2:10: byte 0x"), std::string::npos) << ebb_error();
  }
}

TEST(Config, SyntaxErrorsPrintNothing) {
  Config config = create();
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  EXPECT_EQ(load(config, "a: [b\nc: : :"), EBB_FORMAT);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

class BadOverride : public testing::TestWithParam<Bad> {};

TEST_P(BadOverride, IsRefused) {
  Config config = create();
  std::string before = yaml(config);
  EXPECT_EQ(ebb_config_override(config.get(), GetParam().text), GetParam().status);
  EXPECT_NE(std::string(ebb_error()).find(GetParam().sentence), std::string::npos) << ebb_error();
  EXPECT_EQ(yaml(config), before);
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadOverride,
    testing::Values(
        Bad{"+model.d_model=3", EBB_INVALID, "ebb knows every key, drop the '+': model.d_model=3"},
        Bad{"++model.d_model=3", EBB_INVALID, "drop the '+': model.d_model=3"},
        Bad{"~wandb", EBB_INVALID, "override '~wandb': a key cannot be deleted; write wandb=null"},
        Bad{"model.d_model", EBB_INVALID, "an override is key=value"},
        Bad{"=3", EBB_INVALID, "an override is key=value"},
        Bad{"model.d_modle=3", EBB_INVALID,
            "override 'model.d_modle=3': unknown key 'model.d_modle'; the nearest known key is "
            "'model.d_model'"},
        Bad{"model.d_model=", EBB_INVALID, "model.d_model must be an integer"},
        Bad{"model.d_model=three", EBB_INVALID, "not 'three'"},
        Bad{"model.d_model=[3", EBB_FORMAT, "not YAML"},
        Bad{"model.d_model={a: 3}", EBB_INVALID, "takes one value"},
        Bad{"model=[3]", EBB_INVALID, "model is a group of keys"}));

TEST(Config, OverridesOfThePublishedReadme) {
  Config config = create();
  for (const char *good :
       {"wandb=null", "wandb.mode=disabled", "trainer.gpus=1", "model.layer.liquid_kernel=polyb",
        "model.layer.liquid_degree=3", "scheduler=plateau", "run_dir=", "run_dir=\"a=b: c\"",
        "scheduler.milestones=[]", "model.layer.lr={A: 0.5, B: null}"}) {
    EXPECT_EQ(ebb_config_override(config.get(), good), EBB_OK) << ebb_error();
  }
  EXPECT_STREQ(ebb_config_string(config.get(), "run_dir"), "a=b: c");
  EXPECT_EQ(ebb_config_number(config.get(), "model.layer.lr.A"), 0.5);
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.lr.B"));
  EXPECT_EQ(ebb_config_number(config.get(), "model.layer.lr.dt"), 0.001);
}

TEST(Config, YamlLoadsBackToTheSame) {
  Config config = create(), copy = create();
  for (const char *change :
       {"run_dir=\"tab\\there \\\"quoted\\\" back\\\\slash \xc3\xa9\"", "model.dropout=0.1",
        "optimizer.eps=1.2345678901234567e-9", "model.layer.liquid_kernel=scan",
        "scheduler.milestones=[1, 22, 333]", "model.layer.n_ssm=null", "model.layer.lr.dt=null",
        "train.seed=9007199254740991", "dataset._name_=\"null\"", "model.layer.tie_dropout=false"}) {
    ASSERT_EQ(ebb_config_override(config.get(), change), EBB_OK) << ebb_error();
  }
  std::string text = yaml(config);
  EXPECT_NE(text.find("\n  layer:\n    _name_: s4\n"), std::string::npos);
  ASSERT_EQ(load(copy, text), EBB_OK) << ebb_error();
  EXPECT_EQ(yaml(copy), text);
  EXPECT_STREQ(ebb_config_string(copy.get(), "run_dir"), ebb_config_string(config.get(), "run_dir"));
  EXPECT_STREQ(ebb_config_string(copy.get(), "dataset._name_"), "null");
  EXPECT_EQ(ebb_config_number(copy.get(), "optimizer.eps"), 1.2345678901234567e-9);
}

TEST(Config, CopyIsIndependent) {
  Config config = create();
  ASSERT_EQ(ebb_config_override(config.get(), "run_dir=a"), EBB_OK);
  EbbConfig *raw = nullptr;
  ASSERT_EQ(ebb_config_copy(config.get(), &raw), EBB_OK);
  Config copy(raw);
  EXPECT_EQ(yaml(copy), yaml(config));
  ASSERT_EQ(ebb_config_override(copy.get(), "scheduler.milestones=[7]"), EBB_OK);
  config.reset();
  EXPECT_STREQ(ebb_config_string(copy.get(), "run_dir"), "a");
  EXPECT_STREQ(ebb_config_origin(copy.get(), "run_dir"), "override");
}

TEST(Config, FilesThatCannotBeRead) {
  Config config = create();
  Temporary folder("files");
  EXPECT_EQ(ebb_config_load_file(config.get(), (folder.path + "/none.yaml").c_str()), EBB_NOT_FOUND);
  EXPECT_NE(std::string(ebb_error()).find("none.yaml"), std::string::npos);
  EXPECT_EQ(ebb_config_load_file(config.get(), folder.path.c_str()), EBB_IO);
  std::string big = folder.write("big.yaml", std::string((1 << 20) + 5, ' '));
  EXPECT_EQ(ebb_config_load_file(config.get(), big.c_str()), EBB_FORMAT);
  std::string good = folder.write("good.yaml", "train:\n  seed: 5\n");
  EXPECT_EQ(ebb_config_load_file(config.get(), good.c_str()), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_config_origin(config.get(), "train.seed"), good + ":2");
}

TEST(Config, HelpShowsEveryRow) {
  char *text = nullptr;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  ebb_config_help(out);
  (void)fclose(out);
  std::string help = text;
  free(text);
  for (const EbbConfigRow &row : ebb_config_rows) {
    EXPECT_NE(help.find(std::string(row.path) + "=" + row.initial), std::string::npos) << row.path;
    EXPECT_NE(help.find(row.help), std::string::npos) << row.path;
  }
  EXPECT_NE(help.find("null|polyb|kb|series|scan"), std::string::npos);
}

TEST(Experiments, EveryShippedFileLoads) {
  std::filesystem::path root = std::filesystem::path(EBB_SOURCE_DIR) / "experiments";
  int count = 0;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".yaml") continue;
    Config config = create();
    std::string name = std::filesystem::relative(entry.path(), root).replace_extension("");
    EXPECT_EQ(ebb_config_load_experiment(config.get(), name.c_str()), EBB_OK) << ebb_error();
    count++;
  }
  EXPECT_GE(count, 7);
}

TEST(Experiments, PublishedListOps) {
  Config config = create();
  ASSERT_EQ(ebb_config_load_experiment(config.get(), "lra/s4-lra-listops"), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_config_integer(config.get(), "model.layer.d_state"), 7);
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.n_ssm"));
  EXPECT_TRUE(ebb_config_is_null(config.get(), "model.layer.lr.dt"));
  EXPECT_EQ(ebb_config_number(config.get(), "model.layer.lr.A"), 0.0009);
  EXPECT_EQ(ebb_config_integer(config.get(), "loader.batch_size"), 12);
  EXPECT_EQ(ebb_config_integer(config.get(), "scheduler.num_training_steps"), 80000);
}

TEST(Experiments, StandOnEachOther) {
  Config hr = create();
  ASSERT_EQ(ebb_config_load_experiment(hr.get(), "bidmc/s4-bidmc-hr"), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_config_choice(hr.get(), "dataset.target"), 1);
  EXPECT_EQ(ebb_config_number(hr.get(), "optimizer.lr"), 0.005);
  EXPECT_EQ(ebb_config_integer(hr.get(), "model.layer.d_state"), 256) << "of the base";
  int n;
  const int64_t *milestones = ebb_config_integers(hr.get(), "scheduler.milestones", &n);
  EXPECT_EQ(std::vector<int64_t>(milestones, milestones + n),
            (std::vector<int64_t>{100, 200, 300, 400, 500}));
  EXPECT_NE(std::string(ebb_config_origin(hr.get(), "model.layer.d_state")).find("s4-bidmc.yaml:"),
            std::string::npos);
  EXPECT_NE(std::string(ebb_config_origin(hr.get(), "optimizer.lr")).find("s4-bidmc-hr.yaml:"),
            std::string::npos);
}

TEST(Experiments, BasesThatFailChangeNothing) {
  Temporary folder("bases");
  folder.write("round.yaml", "defaults:\n  - /experiment: round\ntrain:\n  seed: 77\n");
  folder.write("gone.yaml", "train:\n  seed: 77\ndefaults:\n  - /experiment: lra/nothing\n");
  folder.write("broken.yaml", "model:\n  d_modle: 4\n");
  folder.write("twice.yaml", "defaults: [/experiment: gone, /experiment: round]\n");
  folder.write("on_broken.yaml", "defaults: [/experiment: broken]\n");
  ASSERT_EQ(setenv("EBB_EXPERIMENTS", folder.path.c_str(), 1), 0);
  const struct {
    const char *name;
    EbbStatus status;
    const char *sentence;
  } cases[] = {{"round", EBB_INVALID, "does one stand on itself?"},
               {"gone", EBB_NOT_FOUND, "gone.yaml:4:"},
               {"gone", EBB_NOT_FOUND, "no experiment 'lra/nothing'"},
               {"twice", EBB_INVALID, "stands on one /experiment"},
               {"on_broken", EBB_INVALID, "broken.yaml:2:3: unknown key 'model.d_modle'"}};
  for (const auto &c : cases) {
    Config config = create();
    const std::string before = yaml(config);
    EXPECT_EQ(ebb_config_load_experiment(config.get(), c.name), c.status);
    EXPECT_NE(std::string(ebb_error()).find(c.sentence), std::string::npos) << ebb_error();
    EXPECT_EQ(yaml(config), before);
  }
  unsetenv("EBB_EXPERIMENTS");
}

TEST(Experiments, UnknownNameListsTheNearest) {
  Config config = create();
  EXPECT_EQ(ebb_config_load_experiment(config.get(), "s4-lra-listop"), EBB_NOT_FOUND);
  std::string error = ebb_error();
  EXPECT_NE(error.find("no experiment 's4-lra-listop'; the nearest: lra/s4-lra-listops"), std::string::npos)
      << error;
  EXPECT_NE(error.find("searched " EBB_SOURCE_DIR "/experiments"), std::string::npos) << error;
  for (const char *bad : {"", "../secret", "/etc/passwd", "a/../../b"}) {
    EXPECT_EQ(ebb_config_load_experiment(config.get(), bad), EBB_INVALID) << bad;
  }
}

TEST(Experiments, OwnFolderComesFirst) {
  Temporary folder("experiments");
  folder.write("lra/s4-lra-listops.yaml", "train:\n  seed: 77\n");
  ASSERT_EQ(setenv("EBB_EXPERIMENTS", folder.path.c_str(), 1), 0);
  Config config = create();
  EXPECT_EQ(ebb_config_load_experiment(config.get(), "lra/s4-lra-listops"), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_config_integer(config.get(), "train.seed"), 77);
  EXPECT_EQ(ebb_config_load_experiment(config.get(), "nothing"), EBB_NOT_FOUND);
  EXPECT_NE(std::string(ebb_error()).find("searched " + folder.path + ", "), std::string::npos)
      << ebb_error();
  unsetenv("EBB_EXPERIMENTS");
}

TEST(Names, Distance) {
  EXPECT_EQ(ebb_name_distance("kitten", "sitting"), 3);
  EXPECT_EQ(ebb_name_distance("lr", "rl"), 1);
  EXPECT_EQ(ebb_name_distance("", "abc"), 3);
  EXPECT_EQ(ebb_name_distance("same", "same"), 0);
}

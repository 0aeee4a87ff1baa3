// Cases of kind "table": names of wirings, reservoirs; those made here and the recorded ones.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ebb/safetensors.h"
#include "ebb/verify.h"
#include "ebb/wiring.h"
#include "support/golden.h"

namespace {

using Doubles = std::vector<double>;

struct Tensor {
  std::vector<int64_t> shape;
  Doubles values;
};

struct Outcome {
  EbbStatus status;
  int compared, failed;
  std::string error;
};

Outcome verify(const std::string &path) {
  EbbVerifyResult result = {};
  const EbbStatus status = ebb_verify_case(path.c_str(), "cpu", 1, nullptr, &result);
  return {status, int(result.compared), int(result.failed), status == EBB_OK ? "" : ebb_error()};
}

Outcome verify(const std::string &layer, const std::string &config,
               const std::map<std::string, Tensor> &tensors) {
  const std::string path = testing::TempDir() + "table.safetensors";
  EbbSafetensorsWriter *w = nullptr;
  EXPECT_EQ(ebb_safetensors_writer_create(&w), EBB_OK);
  const std::pair<const char *, std::string> metadata[] = {{"format", "ebb-case-1"},
                                                           {"kind", "table"},
                                                           {"layer", layer},
                                                           {"config", config},
                                                           {"tolerance", "{\"output\": 1e-6}"}};
  for (const auto &[key, value] : metadata)
    EXPECT_EQ(ebb_safetensors_writer_metadata(w, key, value.c_str()), EBB_OK);
  for (const auto &[name, tensor] : tensors) {
    const EbbShape shape = ebb_shape_from(int(tensor.shape.size()), tensor.shape.data());
    EXPECT_EQ(ebb_safetensors_writer_add(w, name.c_str(), EBB_ST_F64, &shape, tensor.values.data()), EBB_OK);
  }
  EXPECT_EQ(ebb_safetensors_writer_commit(w, path.c_str()), EBB_OK) << ebb_error();
  ebb_safetensors_writer_destroy(w);
  return verify(path);
}

std::map<std::string, Tensor> tables_of(const std::string &name, const std::string &text, int inputs) {
  EbbWiring *w = nullptr;
  EXPECT_EQ(ebb_wiring_from_text(text.c_str(), inputs, &w), EBB_OK) << ebb_error();
  const int64_t units = w->units;
  std::map<std::string, Tensor> out = {
      {name + "__adj", {{units, units}, Doubles(w->adjacency, w->adjacency + units * units)}},
      {name + "__sens", {{inputs, units}, Doubles(w->sensory, w->sensory + inputs * units)}},
      {name + "__types", {{units}, Doubles(w->type, w->type + units)}}};
  ebb_wiring_destroy(w);
  return out;
}

TEST(VerifyWiring, NamesSayHowMasksAreMade) {
  const std::pair<const char *, const char *> kNames[] = {
      {"fc9", "fully_connected(9)"},
      {"fc9_out2_seed5_noself", "fully_connected(9, 2, seed=5, self_connections=false)"},
      {"random20", "random(20, 20, sparsity=0.3)"},
      {"random20_out20_s05_seed3", "random(20, 20, sparsity=0.05, seed=3)"},
      {"autoncp20_3", "autoncp(20, 3)"},
      {"autoncp20_3_s25_seed9", "autoncp(20, 3, sparsity=0.25, seed=9)"},
      {"ncp_9_6_2", "ncp(9, 6, 2)"},
      {"ncp_9_6_2_3_2_8_1_seed4", "ncp(9, 6, 2, 3, 2, 8, 1, seed=4)"}};
  for (const auto &[name, text] : kNames) {
    const Outcome outcome = verify("wiring", "{}", tables_of(name, text, 5));
    EXPECT_EQ(outcome.status, EBB_OK) << name << ": " << outcome.error;
    EXPECT_EQ(outcome.compared, 3) << name;
    EXPECT_EQ(outcome.failed, 0) << name;
  }
}

TEST(VerifyWiring, OneWrongSynapseFails) {
  auto tables = tables_of("autoncp20_3", "autoncp(20, 3)", 5);
  for (double &x : tables["autoncp20_3__sens"].values)
    if (x != 0) {
      x = -x;
      break;
    }
  EXPECT_EQ(verify("wiring", "{}", tables).failed, 1);
  tables = tables_of("autoncp20_3", "autoncp(20, 3, seed=1)", 5);
  EXPECT_GE(verify("wiring", "{}", tables).failed, 2);
}

TEST(VerifyWiring, SaysWhatIsWrong) {
  for (const char *name : {"fc", "small20_3", "autoncp20", "fc9_x3", "fc9_out", "fc9_2_3", "fc20_3"}) {
    const Outcome outcome = verify("wiring", "{}", tables_of(name, "autoncp(20, 3)", 5));
    EXPECT_NE(outcome.status == EBB_OK && !outcome.failed, true) << name;
  }
  EXPECT_NE(verify("wiring", "{}", tables_of("small20_3", "autoncp(20, 3)", 5))
                .error.find("the wiring name 'small20_3' is not understood"),
            std::string::npos);
  auto tables = tables_of("autoncp20_3", "autoncp(20, 3)", 5);
  tables.erase("autoncp20_3__types");
  EXPECT_NE(verify("wiring", "{}", tables).error.find("needs tensors __adj, __sens and __types"),
            std::string::npos);
  tables = tables_of("autoncp30_3", "autoncp(20, 3)", 5);
  EXPECT_NE(verify("wiring", "{}", tables).error.find("30 units by its name and 20 by its masks"),
            std::string::npos);
}

TEST(VerifyReservoir, SaysWhatIsWrong) {
  std::map<std::string, Tensor> tensors = {
      {"W", {{1, 1}, {0}}}, {"W_in", {{1, 1}, {1}}}, {"u", {{2, 1}, {0, 0}}}, {"states", {{2, 1}, {0, 0}}}};
  const Outcome good = verify("reservoir", "{\"leak\": 0.5}", tensors);
  EXPECT_EQ(good.compared, 1) << good.error;
  EXPECT_EQ(good.failed, 0);
  EXPECT_NE(verify("reservoir", "{}", tensors).error.find("config has no number 'leak'"), std::string::npos);
  tensors["states"].values[1] = 0.1;
  EXPECT_EQ(verify("reservoir", "{\"leak\": 0.5}", tensors).failed, 1);
  tensors["states"] = {{1, 1}, {0}};
  EXPECT_NE(verify("reservoir", "{\"leak\": 0.5}", tensors).error.find("has 1 elements, where 2 are made"),
            std::string::npos);
  tensors["W"] = {{2, 2}, {0, 0, 0, 0}};
  EXPECT_NE(verify("reservoir", "{\"leak\": 0.5}", tensors).error.find("do not fit together"),
            std::string::npos);
  tensors.erase("W");
  EXPECT_NE(verify("reservoir", "{\"leak\": 0.5}", tensors).error.find("'W' is missing"), std::string::npos);
}

TEST(Golden, Tables) {
  for (const char *name : {"wirings", "reservoir_esn", "reservoir_lif"}) {
    const auto path = ebb_test::golden_folder("cells") / (std::string(name) + ".safetensors");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no conformance cases beside the source tree";
    const Outcome outcome = verify(path.string());
    EXPECT_EQ(outcome.status, EBB_OK) << outcome.error;
    EXPECT_GE(outcome.compared, 3);
    EXPECT_EQ(outcome.failed, 0) << name;
  }
}

} // namespace

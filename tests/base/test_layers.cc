// The layers of the architecture: a public header includes only headers of its own layer or of those below
// it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace {

namespace fs = std::filesystem;

// Layer of every public header; headers of ops/ are layer 3.
// clang-format off: one header a line
const std::map<std::string, int> kLayer = {
    {"complex.h", 0},
    {"fault.def", 0},
    {"fault.h", 0},
    {"numpy_random.h", 0},
    {"rng.h", 0},
    {"scalar.h", 0},
    {"shape.h", 0},
    {"solvers.def", 0},
    {"status.def", 0},
    {"status.h", 0},
    {"tableau.h", 0},
    {"device.h", 1},
    {"file.h", 1},
    {"params.h", 2},
    {"cell.h", 3},
    {"cell_codes.def", 3},
    {"cell_formulas.def", 3},
    {"cell_formulas.h", 3},
    {"cell_reals.def", 3},
    {"cells.h", 3},
    {"hippo.h", 3},
    {"op.h", 3},
    {"ops.def", 3},
    {"graph.h", 4},
    {"ode.h", 5},
    {"optim.h", 5},
    {"ridge.h", 5},
    {"schedule.h", 5},
    {"spikes.h", 5},
    {"tally.h", 5},
    {"attention.h", 6},
    {"config.def", 6},
    {"config.h", 6},
    {"data.h", 6},
    {"lnn.h", 6},
    {"loading.h", 6},
    {"model.h", 6},
    {"pathfinder.h", 6},
    {"reservoir.h", 6},
    {"stream.h", 6},
    {"wiring.h", 6},
    {"checkpoint.h", 7},
    {"metrics.h", 7},
    {"safetensors.h", 7},
    {"state_dict.h", 7},
    {"report.h", 7},
    {"train.h", 7},
    {"verify.h", 7},
};
// clang-format on

// What stands between `before` and `after` in a line that starts with `before`; "" elsewhere.
std::string between(const std::string &line, const std::string &before, char after) {
  if (line.rfind(before, 0) != 0) return "";
  return line.substr(before.size(), line.find(after, before.size()) - before.size());
}

const std::string kInclude = "#include \"ebb/";

int layer_of(const std::string &header) {
  if (header.rfind("ops/", 0) == 0) return 3;
  auto row = kLayer.find(header);
  return row == kLayer.end() ? -1 : row->second;
}

TEST(Layers, HeadersIncludeOnlyWhatStandsBelow) {
  const fs::path root = fs::path(EBB_SOURCE_DIR) / "include" / "ebb";
  int edges = 0;
  for (const auto &entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), root).string();
    const int from = layer_of(name);
    EXPECT_GE(from, 0) << name << " has no layer: add it to the table";
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      const std::string included = between(line, kInclude, '"');
      if (included.empty()) continue;
      edges++;
      EXPECT_LE(layer_of(included), from) << name << " includes " << included << ", which stands above it";
    }
  }
  EXPECT_GT(edges, 20);
}

// Kernels and ops know nothing of models, data or running.
TEST(Layers, SourcesOfLowLayersStayLow) {
  const std::map<std::string, int> folders = {
      {"device", 1}, {"params", 2}, {"ops", 3}, {"graph", 4}, {"learn", 5}};
  for (const auto &[folder, layer] : folders)
    for (const auto &entry : fs::directory_iterator(fs::path(EBB_SOURCE_DIR) / "src" / "host" / folder)) {
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        const std::string included = between(line, kInclude, '"');
        if (!included.empty()) EXPECT_LE(layer_of(included), layer) << entry.path() << ": " << included;
      }
    }
}

// Every op of the registry is named by a case of tests/ops.
TEST(Ops, EveryOpHasACase) {
  std::string cases;
  for (const auto &entry : fs::directory_iterator(fs::path(EBB_SOURCE_DIR) / "tests" / "ops")) {
    std::ifstream file(entry.path());
    cases.append(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::ifstream file(fs::path(EBB_SOURCE_DIR) / "include" / "ebb" / "ops.def");
  int ops = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string op = between(line, "EBB_OP(", ')');
    if (op.empty()) continue;
    ops++;
    EXPECT_NE(cases.find("\"" + op + "\""), std::string::npos) << "no case for op " << op;
  }
  EXPECT_GT(ops, 0);
}

} // namespace

// Wirings read from state dicts of ncps.
#include <algorithm>
#include <map>

#include "ebb/safetensors.h"
#include "wiring/wiring_test.h"

namespace {

struct Matrix {
  int64_t rows, columns; // 0 columns: a vector
  std::vector<float> values;
};
using Dict = std::map<std::string, Matrix>;

std::string write(const Dict &dict) {
  const std::string path = testing::TempDir() + "state_dict.safetensors";
  EbbSafetensorsWriter *writer = nullptr;
  EXPECT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
  for (const auto &[name, m] : dict) {
    const int64_t dims[] = {m.rows, m.columns};
    const EbbShape shape = ebb_shape_from(m.columns ? 2 : 1, dims);
    EXPECT_EQ(ebb_safetensors_writer_add(writer, name.c_str(), EBB_ST_F32, &shape, m.values.data()), EBB_OK);
  }
  EXPECT_EQ(ebb_safetensors_writer_commit(writer, path.c_str()), EBB_OK) << ebb_error();
  ebb_safetensors_writer_destroy(writer);
  return path;
}

// Masks and reversal potentials as LTCCell has them, the potentials of half the size after training.
Dict ltc_of(const EbbWiring *w, const std::string &scope) {
  Dict dict;
  auto add = [&](const std::string &mask, const std::string &erev, const int8_t *synapse, int64_t sources) {
    Matrix exists{sources, w->units, {}}, potential = exists;
    for (int64_t i = 0; i < sources * w->units; i++) {
      exists.values.push_back(synapse[i] != 0);
      potential.values.push_back(synapse[i] ? 0.5f * float(synapse[i]) : -0.25f);
    }
    dict[scope + mask] = exists, dict[scope + erev] = potential;
  };
  add("sparsity_mask", "erev", w->adjacency, w->units);
  add("sensory_sparsity_mask", "sensory_erev", w->sensory, w->inputs);
  dict[scope + "output_w"] = {w->motors, 0, std::vector<float>(size_t(w->motors), 1)};
  return dict;
}

// The masks of the layers of WiredCfCCell, (units, before + units).
Dict cfc_of(const EbbWiring *w, const std::string &scope) {
  Dict dict;
  std::vector<int> before(size_t(w->inputs));
  for (int i = 0; i < w->inputs; i++) before[size_t(i)] = i;
  for (int k = 0; k < w->layers; k++) {
    std::vector<int> own(size_t(w->units));
    own.resize(size_t(ebb_wiring_layer(w, k, own.data())));
    Matrix mask{int64_t(own.size()), int64_t(before.size() + own.size()), {}};
    for (int unit : own) {
      for (int source : before)
        mask.values.push_back((k ? w->adjacency : w->sensory)[source * w->units + unit] != 0);
      mask.values.insert(mask.values.end(), own.size(), 1);
    }
    dict[scope + "layer_" + std::to_string(k) + ".sparsity_mask"] = mask;
    before = own;
  }
  return dict;
}

void expect_refused(const Dict &dict, EbbStatus expected, const std::string &sentence) {
  EbbWiring *wiring = nullptr;
  EXPECT_EQ(ebb_wiring_read(write(dict).c_str(), 0, &wiring), expected) << ebb_error();
  EXPECT_EQ(wiring, nullptr);
  EXPECT_NE(std::string(ebb_error()).find(sentence), std::string::npos) << ebb_error();
}

} // namespace

TEST(WiringStateDict, SynapsesSignsAndMotorsOfAnLtc) {
  for (const char *text : {"autoncp(28, 4)", "fully_connected(5, 2)", "random(9, 3, sparsity=0.3)"})
    for (const char *scope : {"", "rnn.rnn_cell."}) {
      SCOPED_TRACE(text);
      Wiring made = wiring_of(text, 6), read = wiring_of(write(ltc_of(made.get(), scope)), 6);
      ASSERT_TRUE(read);
      ASSERT_EQ(read->units, made->units);
      EXPECT_EQ(read->motors, made->motors);
      EXPECT_EQ(read->layers, made->layers);
      EXPECT_TRUE(std::equal(made->type, made->type + made->units, read->type));
      EXPECT_TRUE(std::equal(made->adjacency, made->adjacency + made->units * made->units, read->adjacency));
      EXPECT_TRUE(std::equal(made->sensory, made->sensory + made->inputs * made->units, read->sensory));
    }
}

// What happens inside a layer and the signs are not the masks' of a CfC.
TEST(WiringStateDict, LayersOfACfc) {
  for (const char *text : {"autoncp(28, 4)", "ncp(inter=[9, 5, 7], command=6, motors=3)"}) {
    SCOPED_TRACE(text);
    Wiring made = wiring_of(text, 6), read = wiring_of(write(cfc_of(made.get(), "cell.")), 6);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->units, made->units);
    EXPECT_EQ(read->motors, made->motors);
    ASSERT_EQ(read->layers, made->layers);
    EXPECT_TRUE(std::equal(made->layer, made->layer + made->units, read->layer));
    for (int i = 0; i < made->inputs * made->units; i++)
      EXPECT_EQ(made->sensory[i] != 0, read->sensory[i] != 0) << i;
    for (int i = 0; i < made->units; i++)
      for (int j = 0; j < made->units; j++)
        if (made->layer[i] != made->layer[j])
          EXPECT_EQ(made->adjacency[i * made->units + j] != 0, read->adjacency[i * made->units + j] != 0)
              << i << " -> " << j;
  }
}

TEST(WiringStateDict, SaysWhatIsWrong) {
  Wiring made = wiring_of("autoncp(12, 3)", 4);
  Dict two = ltc_of(made.get(), "a."), other = ltc_of(made.get(), "b.");
  two.insert(other.begin(), other.end());
  expect_refused(two, EBB_UNSUPPORTED, "the wirings of 2 cells");
  Dict lacks = ltc_of(made.get(), "a.");
  lacks.erase("a.erev");
  expect_refused(lacks, EBB_FORMAT, "'a.erev' is missing");
  Dict layers = cfc_of(made.get(), "");
  layers["layer_1.sparsity_mask"].rows = 1;
  layers["layer_1.sparsity_mask"].values.resize(size_t(layers["layer_1.sparsity_mask"].columns));
  expect_refused(layers, EBB_FORMAT, "does not fit the other masks");
  Dict outputs = ltc_of(made.get(), "");
  outputs["output_w"] = {13, 0, std::vector<float>(13)};
  expect_refused(outputs, EBB_FORMAT, "13 outputs of 12 units");
}

// The wirings of ncps, and what is refused.
#include <algorithm>
#include <numeric>

#include "ebb/safetensors.h"
#include "support/golden.h"
#include "wiring/wiring_test.h"

namespace {

// Counts and FNV-1a hashes of the masks that ncps 1.0 with numpy 2.4 makes of the same arguments.
struct Published {
  const char *text;
  int inputs;
  int64_t synapses, sensory;
  uint64_t adjacency_hash, sensory_hash;
};

const Published kPublished[] = {
    {"fully_connected(1)", 1, 1, 1, 0xaf63bc4c8601b62cU, 0xaf63bc4c8601b62cU},
    {"FullyConnected(8, 3)", 6, 64, 48, 0xc09fcc22d1d6eb05U, 0xb53b71c082398db5U},
    {"fully_connected(units=17, output_dim=2, erev_init_seed=4294967303, self_connections=False)", 5, 272, 85,
     0x55258da6b0c162b1U, 0x9bbb11fac1dbcfa8U},
    {"random(12, 4, sparsity=0.5)", 6, 72, 36, 0x455ea99571516a79U, 0x602e405d92ab07dfU},
    {"Random(units=33, output_dim=33, sparsity_level=0.15, random_seed=3)", 7, 926, 196, 0x01aee17888769783U,
     0xe26e60cd7550fddfU},
    {"random(128, 2, 0.3)", 3, 11469, 269, 0x560f1f9d50875db0U, 0xee3ef5c6c7d3150aU},
    {"ncp(10, 8, 3)", 6, 71, 26, 0xa8521a722a63d7acU, 0x66c90728c60d2899U},
    {"ncp(inter=20, command=4, motors=9, sensory_fanout=1, inter_fanout=1, recurrent_command_synapses=0, "
     "motor_fanin=1, seed=0)",
     2, 31, 20, 0xc634b95de2d0d598U, 0x4d19f99bfb5c6401U},
    {"NCP(inter_neurons=30, command_neurons=5, motor_neurons=1, sensory_fanout=30, inter_fanout=3, "
     "recurrent_command_synapses=40, motor_fanin=5, seed=4294967295)",
     40, 116, 1200, 0x242d72dfb89c164fU, 0x09196d06eecb36f7U},
    {"autoncp(28, 4)", 6, 84, 42, 0x636b3d2421f33d19U, 0x1ab1185d1a56a497U},
    {"AutoNCP(units=64, output_size=8, sparsity_level=0.75, seed=7)", 6, 224, 56, 0x60b0755fa1df36b7U,
     0x54b05128223e9107U},
    {"auto_ncp(4, 1, sparsity=1)", 1, 4, 2, 0x9b342665f4afbd3bU, 0x4a3d077f9b55736bU},
    {"autoncp(256, 32, sparsity=0.1, seed=99)", 11, 13519, 1331, 0x16c6fd9b5a8c5cdeU, 0xe2de77825e1fe7deU},
};

TEST(Wiring, MasksOfNcps) {
  for (const Published &p : kPublished) {
    SCOPED_TRACE(p.text);
    Wiring w = wiring_of(p.text, p.inputs);
    ASSERT_TRUE(w);
    EXPECT_EQ(ebb_wiring_synapses(w.get()), p.synapses);
    EXPECT_EQ(ebb_wiring_sensory_synapses(w.get()), p.sensory);
    EXPECT_EQ(hash_of(w->adjacency, int64_t(w->units) * w->units), p.adjacency_hash);
    EXPECT_EQ(hash_of(w->sensory, int64_t(w->inputs) * w->units), p.sensory_hash);
  }
}

TEST(Wiring, SparseRandomMaskOfNcps) {
  EbbWiring *made = nullptr;
  ASSERT_EQ(ebb_wiring_random(128, 2, 0.99, 1111, 300, &made), EBB_OK);
  Wiring w(made);
  EXPECT_EQ(hash_of(w->adjacency, 128 * 128), 0x536988d69f63e0dfU);
  EXPECT_EQ(hash_of(w->sensory, 300 * 128), 0x0fa4f68d4e9d7323U);
}

TEST(Wiring, LayersOfAnNcp) {
  Wiring w =
      wiring_of("ncp(inter=3, command=2, motors=2, sensory_fanout=2, inter_fanout=1, motor_fanin=1)", 4);
  ASSERT_TRUE(w);
  EXPECT_EQ(w->units, 7);
  EXPECT_EQ(w->motors, 2);
  EXPECT_EQ(w->layers, 3);
  EXPECT_EQ(layer_of(w, 0), (std::vector<int>{4, 5, 6}));
  EXPECT_EQ(layer_of(w, 1), (std::vector<int>{2, 3}));
  EXPECT_EQ(layer_of(w, 2), (std::vector<int>{0, 1}));
  EXPECT_STREQ(ebb_neuron_name(static_cast<EbbNeuron>(w->type[3])), "command");
}

TEST(Wiring, UnitsOfOneLayer) {
  Wiring w = wiring_of("fully_connected(5, 2)", 1);
  EXPECT_EQ(w->layers, 1);
  EXPECT_EQ(layer_of(w, 0), (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(std::vector<int>(w->type, w->type + 5), (std::vector<int>{0, 0, 2, 2, 2}));
}

// Every synapse of an NCP leads from a layer to the next one, or within command neurons.
TEST(Wiring, SeveralInterLayersFeedEachOther) {
  Wiring w = wiring_of("ncp(inter=[9, 5, 7], command=6, motors=3, sensory_fanout=2, inter_fanout=3)", 4);
  ASSERT_TRUE(w);
  EXPECT_EQ(w->units, 30);
  EXPECT_EQ(w->layers, 5);
  EXPECT_EQ(layer_of(w, 0).front(), 21);
  EXPECT_EQ(layer_of(w, 0).size(), 9U);
  EXPECT_EQ(layer_of(w, 2), (std::vector<int>{9, 10, 11, 12, 13, 14, 15}));
  std::vector<int> in(30, 0), out(30, 0);
  for (int source = 0; source < 30; source++)
    for (int target = 0; target < 30; target++) {
      if (!w->adjacency[source * 30 + target]) continue;
      const int from = w->layer[source], to = w->layer[target];
      EXPECT_TRUE(to == from + 1 || (from == 3 && to == 3)) << source << " -> " << target;
      if (from != to) in[size_t(target)]++, out[size_t(source)]++;
    }
  for (int unit = 0; unit < 30; unit++) {
    if (w->layer[unit]) EXPECT_GE(in[size_t(unit)], 1) << unit;
    if (w->layer[unit] < 2) EXPECT_GE(out[size_t(unit)], 3) << unit;
    if (w->layer[unit] < 4) EXPECT_GE(out[size_t(unit)], 1) << unit;
  }
  for (int sensor = 0; sensor < 4; sensor++)
    for (int unit = 0; unit < 21; unit++) EXPECT_EQ(w->sensory[sensor * 30 + unit], 0);
}

TEST(Wiring, GoldenMasksWithTheirArguments) {
  const auto path = ebb_test::golden_folder("cells") / "wirings.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no conformance cases beside the source tree";
  EbbSafetensors *file = nullptr;
  ASSERT_EQ(ebb_safetensors_open(path.c_str(), &file), EBB_OK);
  const std::pair<const char *, const char *> kCases[] = {
      {"fc32", "FullyConnected(32)"},     {"fc8_out3", "FullyConnected(8, 3)"},
      {"random12", "Random(12, 4, 0.5)"}, {"random32_s75", "Random(32, 8, 0.75)"},
      {"ncp_10_8_3", "NCP(10, 8, 3)"},    {"autoncp256_32_s5", "AutoNCP(256, 32)"},
      {"autoncp19_1", "AutoNCP(19, 1)"},  {"autoncp64_8_s75_seed7", "AutoNCP(64, 8, 0.75, 7)"}};
  for (const auto &[name, text] : kCases) {
    Wiring w = wiring_of(text, 6);
    ASSERT_TRUE(w) << text;
    for (const auto &[part, mask, size] :
         {std::tuple<const char *, const int8_t *, int>{"__adj", w->adjacency, w->units * w->units},
          {"__sens", w->sensory, 6 * w->units},
          {"__types", reinterpret_cast<const int8_t *>(w->type), w->units}}) {
      std::vector<int64_t> expected(static_cast<size_t>(size));
      const EbbStoredTensor *tensor = ebb_safetensors_find(file, (std::string(name) + part).c_str());
      ASSERT_NE(tensor, nullptr);
      ASSERT_EQ(ebb_stored_integers(tensor, expected.data(), size), EBB_OK) << ebb_error();
      EXPECT_EQ(std::vector<int64_t>(mask, mask + size), expected) << name << part;
    }
  }
  ebb_safetensors_close(file);
}

TEST(WiringText, NamesAndBlanks) {
  Wiring a = wiring_of("  AutoNCP ( 28 ,  4, sparsity = 0.5,seed=22222 ) ", 6),
         b = wiring_of("autoncp(28, 4)", 6);
  ASSERT_TRUE(a && b);
  EXPECT_TRUE(std::equal(a->adjacency, a->adjacency + 28 * 28, b->adjacency));
}

TEST(WiringText, SaysWhatIsWrong) {
  const std::pair<const char *, const char *> kRefused[] = {
      {"autoncp(unts=32, motors=4)", "autoncp has no argument 'unts'; did you mean units"},
      {"autoncp(32)", "autoncp needs motors"},
      {"autoncp", "autoncp needs units"},
      {"autoncp(32, 4, sparsity=0.05)", "sparsity of autoncp is 0.05; it takes a number from 0.1 to 1"},
      {"autoncp(32, 4, sparsity=x)", "sparsity of autoncp is x;"},
      {"autoncp(32, 30)", "30 motor neurons among 32 units"},
      {"autoncp(32, 4.5)", "motors of autoncp is 4.5; it takes a whole number from 1 to"},
      {"autoncp(32, 4, 0.5, 1, 2)", "autoncp takes at most 4 arguments"},
      {"autoncp(32, 4, units=3)", "units of autoncp is given twice"},
      {"autoncp(units=32, 4)", "the name of an argument is missing before '4)'"},
      {"autoncp(32, 4", "',' or ')' is missing at the end"},
      {"autoncp(32, 4) x", "'x' stands behind the call"},
      {"autoncp(32, 4, seed=4294967296)", "seed of autoncp is 4294967296"},
      {"sparse(3)", "there is no wiring 'sparse'; there are autoncp, ncp"},
      {"random(8, 2, sparsity=1)", "sparsity of random is 1;"},
      {"random(8, 9)", "9 motor neurons (outputs) among 8 units"},
      {"fully_connected(4, self_connections=maybe)",
       "self_connections of fully_connected is maybe; it takes true"},
      {"ncp(inter=3, command=8, motors=2)",
       "sensory_fanout is 4; there are 3 inter neurons, so it is 1 to 3"},
      {"ncp(inter=8, command=4, motors=2)",
       "inter_fanout is 5; there are 4 command neurons, so it is 1 to 4"},
      {"ncp(inter=[8, 4], command=8, motors=2)", "inter_fanout is 5; there are 4 inter neurons"},
      {"ncp(inter=[8, 4, command=8)", "inter of ncp is command=8;"},
      {"ncp(inter=[8 4], command=8)", "']' is missing before '4]"},
      {"ncp(inter=8, command=8, motors=2, motor_fanin=9)", "motor_fanin is 9; there are 8 command neurons"}};
  for (const auto &[text, sentence] : kRefused)
    EXPECT_NE(refusal(text, 6).find(sentence), std::string::npos) << text << "\n  gave " << ebb_error();
}

TEST(WiringText, MoreLayersThanArePossible) {
  std::string text = "ncp(inter=[8";
  for (int i = 0; i < EBB_WIRING_MAX_INTER; i++) text += ", 8";
  EXPECT_NE(refusal(text + "], command=8, motors=1)", 2).find("inter has more than 16 sizes"),
            std::string::npos);
}

TEST(WiringText, NeedsInputs) {
  EXPECT_NE(refusal("autoncp(32, 4)", 0).find("autoncp needs a number of inputs"), std::string::npos);
}

TEST(WiringCheck, CutOffMotorNeurons) {
  EXPECT_NE(refusal("random(40, 10, sparsity=0.97)", 2).find("no sensor reaches motor neuron"),
            std::string::npos);
  EXPECT_NE(refusal("random(8, 8, sparsity=0.999)", 2).find("no sensor reaches a motor neuron"),
            std::string::npos);
  EXPECT_TRUE(wiring_of("random(12, sparsity=0.9)", 3))
      << "an output may be silent where all units are outputs";
}

TEST(WiringHelp, NamesEveryArgument) {
  char *text = nullptr;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  ebb_wiring_help(out);
  (void)fclose(out);
  for (const char *needed :
       {"  autoncp(...)", "    units: neurons (4 to 16384)", "recurrent_command_synapses=6", "sparsity=0.5"})
    EXPECT_NE(std::string(text).find(needed), std::string::npos) << needed;
  free(text);
}

} // namespace

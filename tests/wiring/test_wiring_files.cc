// Wirings in files.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "ebb/safetensors.h"
#include "wiring/wiring_test.h"

namespace {

std::string path_of(const std::string &name) { return testing::TempDir() + name; }

std::string write_file(const std::string &name, const std::string &text) {
  std::ofstream(path_of(name)) << text;
  return path_of(name);
}

void expect_equal(const EbbWiring *a, const EbbWiring *b) {
  ASSERT_TRUE(a && b);
  ASSERT_EQ(a->units, b->units);
  ASSERT_EQ(a->inputs, b->inputs);
  EXPECT_EQ(a->motors, b->motors);
  EXPECT_EQ(a->layers, b->layers);
  EXPECT_TRUE(std::equal(a->type, a->type + a->units, b->type));
  EXPECT_TRUE(std::equal(a->layer, a->layer + a->units, b->layer));
  EXPECT_TRUE(std::equal(a->adjacency, a->adjacency + a->units * a->units, b->adjacency));
  EXPECT_TRUE(std::equal(a->sensory, a->sensory + a->inputs * a->units, b->sensory));
}

TEST(WiringFiles, WhatIsWrittenIsRead) {
  for (const char *text : {"autoncp(28, 4)", "fully_connected(5, 2)", "random(9, sparsity=0.3)",
                           "fully_connected(1)", "ncp(inter=[9, 5, 7], command=6, motors=3)"})
    for (const char *name : {"wiring.txt", "wiring.safetensors"}) {
      SCOPED_TRACE(std::string(text) + " in " + name);
      Wiring made = wiring_of(text, 6);
      ASSERT_EQ(ebb_wiring_write(made.get(), path_of(name).c_str()), EBB_OK) << ebb_error();
      expect_equal(made.get(), wiring_of(path_of(name), 6).get());
      expect_equal(made.get(), wiring_of(path_of(name), 0).get());
    }
}

const char *const kSmall = "# a small one\n"
                           "units 6\n"
                           "motors 1   # neuron 0\n"
                           "inputs 2\n"
                           "\n"
                           "inter 4-5\n"
                           "inter 3\n"
                           "command 1 2\n"
                           "sensor 0 -> 4 +1\n"
                           "sensor 1->5 -\n"
                           "4 -> 3 +\n"
                           "3 -> 1 -1\n"
                           "2 -> 2 -1\r\n"
                           "1 -> 0 +1";

TEST(WiringFiles, Text) {
  Wiring w = wiring_of(write_file("small.txt", kSmall), 2);
  ASSERT_TRUE(w);
  EXPECT_EQ(w->layers, 4);
  EXPECT_EQ(layer_of(w, 0), (std::vector<int>{4, 5}));
  EXPECT_EQ(layer_of(w, 1), (std::vector<int>{3}));
  EXPECT_EQ(layer_of(w, 2), (std::vector<int>{1, 2}));
  EXPECT_EQ(layer_of(w, 3), (std::vector<int>{0}));
  EXPECT_EQ(ebb_wiring_synapses(w.get()), 4);
  EXPECT_EQ(ebb_wiring_sensory_synapses(w.get()), 2);
  EXPECT_EQ(w->adjacency[3 * 6 + 1], -1);
  EXPECT_EQ(w->adjacency[1 * 6 + 0], 1);
  EXPECT_EQ(w->sensory[1 * 6 + 5], -1);
}

// Without an inter line the other units are inter neurons of the first layer, if they have types at all.
TEST(WiringFiles, CommandNeuronsAlone) {
  const char *sizes = "units 3\nmotors 1\ninputs 1\n", *synapses = "sensor 0 -> 1 +1\n1 -> 0 +1\n";
  Wiring w = wiring_of(write_file("command.txt", std::string(sizes) + "command 1-2\n" + synapses), 1);
  ASSERT_TRUE(w);
  EXPECT_EQ(w->layers, 2);
  EXPECT_EQ(layer_of(w, 0), (std::vector<int>{1, 2}));
  w = wiring_of(write_file("plain.txt", std::string(sizes) + synapses), 1);
  EXPECT_EQ(w->layers, 1);
}

TEST(WiringFiles, TextSaysWhatIsWrongAndWhere) {
  const std::string sizes = "units 4\nmotors 2\ninputs 3\n";
  const std::pair<std::string, const char *> kRefused[] = {
      {"", "'units NUMBER' has to come first"},
      {"units 4\nmotors 2\n0 -> 1 +1\n", ":3: 'inputs NUMBER' has to come first"},
      {"units 4\nunits 4\n", ":2: 'units' stands there twice"},
      {"units 0\nmotors 1\ninputs 1\n", "a wiring of 0 units; 1 to 16384 are possible"},
      {"units 4\nmotors 5\ninputs 1\n", "5 motor neurons (outputs) among 4 units"},
      {"units x\n", ":1: a number is missing before 'x'"},
      {sizes + "0 -> 4 +1\n", ":4: neuron 4 does not exist; there are 0 to 3"},
      {sizes + "sensor 3 -> 1 +1\n", ":4: sensor 3 does not exist; there are 0 to 2"},
      {sizes + "99999999999999999999 -> 1 +1\n", ":4: neuron 99999999999999999999 does not exist"},
      {sizes + "0 -> 1\n", ":4: a polarity (+1 or -1) is missing at the end"},
      {sizes + "0 -> 1 2\n", ":4: a polarity (+1 or -1) is missing before '2'"},
      {sizes + "0 -> 1 +2\n", ":4: '2' is too much"},
      {sizes + "0 1 +1\n", ":4: '->' is missing before '1 +1'"},
      {sizes + "0 -> 1 +1\n0 -> 1 -1\n", ":5: the synapse 0 -> 1 stands there twice"},
      {sizes + "synapse 0 1\n", ":4: neuron is missing before 'synapse 0 1'"},
      {sizes + "command 1\n", ":4: neuron 1 is a motor neuron: those are 0 to 1"},
      {sizes + "inter 2\ncommand 2\n", ":5: neuron 2 has a type already"},
      {sizes + "inter 3-2\n", ":4: 3-2 is empty"},
      {sizes + "inter 2\n", "neuron 3 is in no 'inter' or 'command' line"},
      {sizes + "sensor 0 -> 0 +1\n", "no sensor reaches motor neuron 1 (1 of 2 are cut off)"},
      {sizes + "2 -> 0 +1\n2 -> 1 +1\n", "no sensor reaches a motor neuron"},
      {sizes + "inputs 3\n", "'inputs' stands there twice"}};
  for (const auto &[text, sentence] : kRefused) {
    EbbWiring *wiring = nullptr;
    const std::string path = write_file("refused.txt", text);
    EXPECT_NE(ebb_wiring_read(path.c_str(), 0, &wiring), EBB_OK) << text;
    EXPECT_EQ(wiring, nullptr);
    EXPECT_NE(std::string(ebb_error()).find(sentence), std::string::npos) << text << "  gave " << ebb_error();
    EXPECT_NE(std::string(ebb_error()).find("refused.txt"), std::string::npos) << ebb_error();
  }
}

TEST(WiringFiles, AnotherNumberOfInputs) {
  EXPECT_NE(
      refusal(write_file("small.txt", kSmall), 3, EBB_MISMATCH).find("wired to 2 inputs, where 3 are needed"),
      std::string::npos);
  EXPECT_NE(refusal(path_of("absent.txt"), 3, EBB_NOT_FOUND).find("absent.txt"), std::string::npos);
}

// What ebb_wiring_write does not write but another program may.
struct Tensors {
  std::vector<int64_t> adjacency{0, 0, 1, 0}, sensory{0, 1}, types{0, 1}, layers{1, 0};
  bool with_types = true, with_layers = true;
  int64_t columns = 2;

  std::string write() const {
    const int64_t square[] = {2, columns}, sensors[] = {1, 2};
    const EbbShape two = ebb_shape_from(2, square), one = ebb_shape_from(2, sensors),
                   units = ebb_shape_from(1, square);
    EbbSafetensorsWriter *writer = nullptr;
    EXPECT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(writer, "adjacency", EBB_ST_I64, &two, adjacency.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(writer, "sensory_adjacency", EBB_ST_I64, &one, sensory.data()),
              EBB_OK);
    if (with_types)
      EXPECT_EQ(ebb_safetensors_writer_add(writer, "types", EBB_ST_I64, &units, types.data()), EBB_OK);
    if (with_layers)
      EXPECT_EQ(ebb_safetensors_writer_add(writer, "layers", EBB_ST_I64, &units, layers.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_commit(writer, path_of("made.safetensors").c_str()), EBB_OK)
        << ebb_error();
    ebb_safetensors_writer_destroy(writer);
    return path_of("made.safetensors");
  }
};

TEST(WiringFiles, TensorsOfOtherPrograms) {
  Tensors made;
  Wiring w = wiring_of(made.write(), 1);
  ASSERT_TRUE(w);
  EXPECT_EQ(w->motors, 1);
  EXPECT_EQ(w->layers, 2);
  made.with_layers = false;
  EXPECT_EQ(wiring_of(made.write(), 1)->layers, 2);
  made.with_types = false;
  w = wiring_of(made.write(), 1);
  EXPECT_EQ(w->motors, 2) << "without types all units are outputs";
  EXPECT_EQ(w->layers, 1);
}

TEST(WiringFiles, TensorsSayWhatIsWrong) {
  Tensors value, type, order, layer, shape;
  value.adjacency[2] = 2;
  type.types = {0, 3};
  order.types = {1, 0};
  layer.layers = {0, 1};
  shape.columns = 1;
  const std::pair<Tensors, const char *> kRefused[] = {
      {value, "element 2 of 'adjacency' is 2; -1 to 1 are possible"},
      {type, "element 1 of 'types' is 3; 0 to 2 are possible"},
      {order, "neuron 0 is a command neuron; the 1 motor neurons are the first units"},
      {layer, "neuron 0, a motor neuron, is in layer 0"},
      {shape, "tensor 'adjacency' is (2, 1); adjacency is (units, units)"}};
  for (const auto &[tensors, sentence] : kRefused) {
    EbbWiring *wiring = nullptr;
    EXPECT_NE(ebb_wiring_read(tensors.write().c_str(), 1, &wiring), EBB_OK);
    EXPECT_EQ(wiring, nullptr);
    EXPECT_NE(std::string(ebb_error()).find(sentence), std::string::npos) << "gave " << ebb_error();
  }
}

} // namespace

#include "files/checkpoint_support.h"

#include <memory>

namespace {

/* A state_dict under construction; its tensors count upwards from a number of their own. */
struct StateDict {
  EbbSafetensorsWriter *writer = nullptr;
  std::vector<std::shared_ptr<std::vector<double>>> data;
  StateDict() { EXPECT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK); }
  StateDict(const StateDict &) = delete;
  StateDict &operator=(const StateDict &) = delete;
  ~StateDict() { ebb_safetensors_writer_destroy(writer); }

  void add(const char *name, const std::vector<int64_t> &dim, EbbStored type, const void *bytes) {
    EbbShape shape = ebb_shape_from(static_cast<int>(dim.size()), dim.data());
    EXPECT_EQ(ebb_safetensors_writer_add(writer, name, type, &shape, bytes), EBB_OK) << ebb_error();
  }
  void add(const char *name, const std::vector<int64_t> &dim, double first) {
    EbbShape shape = ebb_shape_from(static_cast<int>(dim.size()), dim.data());
    auto values = std::make_shared<std::vector<double>>(static_cast<size_t>(ebb_shape_size(&shape)));
    for (size_t i = 0; i < values->size(); i++) (*values)[i] = first + static_cast<double>(i);
    data.push_back(values);
    add(name, dim, EBB_ST_F64, values->data());
  }
  std::string write(const std::string &name) {
    EXPECT_EQ(ebb_safetensors_writer_metadata(writer, "format", "pt"), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_commit(writer, scratch(name).c_str()), EBB_OK) << ebb_error();
    return scratch(name);
  }
};

const std::vector<Declared> published_model = {
    {"encoder", "weight", {4, 2}, false, -1},
    {"layers.0.layer", "D", {1, 2}, false, -1},
    {"layers.0.layer", "kernel.C", {1, 2, 1, 2}, false, -1},
    {"layers.0.layer", "kernel.L", {1}, true, -1},
    {"layers.0.layer", "kernel.inv_w_real", {2, 1}, false, -1},
    {"layers.0.layer", "kernel.w_imag", {2, 1}, false, -1},
    {"layers.0.layer", "output_linear.weight", {4, 2}, false, -1},
    {"layers.0.layer", "liquid.B", {2, 1, 2}, true, -1},
    {"layers.0.layer", "liquid.log_dt", {2}, true, -1},
    {"layers.0", "norm.weight", {2}, false, -1},
    {"layers.0", "norm.running_mean", {2}, true, -1},
    {"", "norm.weight", {2}, false, -1},
    {"decoder", "weight", {3, 2}, false, -1},
};

void add_layers(StateDict *dict) {
  static const int64_t length = 2048, batches = 12345;
  dict->add("model.layers.0.layer.D", {1, 2}, 20);
  dict->add("model.layers.0.layer.kernel.kernel.C", {1, 2, 1, 2}, 30);
  dict->add("model.layers.0.layer.kernel.kernel.L", {}, EBB_ST_I64, &length);
  dict->add("model.layers.0.layer.kernel.kernel.A", {2, 1, 2}, 0);
  dict->add("model.layers.0.layer.kernel.kernel.inv_A_real", {2, 1}, 40);
  dict->add("model.layers.0.layer.kernel.kernel.A_imag", {2, 1}, 50);
  dict->add("model.layers.0.layer.output_linear.0.weight", {4, 2}, 60);
  dict->add("model.layers.0.norm.norm.weight", {2}, 70);
  dict->add("model.layers.0.norm.norm.running_mean", {2}, 80);
  dict->add("model.layers.0.norm.norm.num_batches_tracked", {}, EBB_ST_I64, &batches);
  dict->add("model.norm.norm.weight", {2}, 90);
}

std::vector<float> counted(float first, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; i++) values[i] = first + static_cast<float>(i);
  return values;
}

std::string import_refused(const std::vector<Declared> &list, const std::string &path, EbbStatus expected) {
  Model model(list, 4);
  int missing = -7;
  std::string before = model.bytes();
  EXPECT_EQ(ebb_checkpoint_import(path.c_str(), model.params, &missing), expected) << ebb_error();
  EXPECT_EQ(model.bytes(), before);
  EXPECT_EQ(missing, -7);
  expect_contains(ebb_error(), {path});
  return ebb_error();
}

} // namespace

TEST(CheckpointImport, EveryNameIsMapped) {
  StateDict dict;
  add_layers(&dict);
  dict.add("encoder.0.weight", {4, 2}, 10);
  dict.add("decoder.0.output_transform.weight", {3, 2}, 100);
  std::string path = dict.write("published");
  Model model(published_model);
  int missing = -1;
  std::vector<float> liquid = model.value("layers.0.layer.liquid.B");
  const uint64_t generation = ebb_params_generation(model.params);
  ASSERT_EQ(ebb_checkpoint_import(path.c_str(), model.params, &missing), EBB_OK) << ebb_error();
  EXPECT_EQ(missing, 2);
  EXPECT_GT(ebb_params_generation(model.params), generation);
  EXPECT_EQ(model.value("encoder.weight"), counted(10, 8));
  EXPECT_EQ(model.value("layers.0.layer.D"), counted(20, 2));
  EXPECT_EQ(model.value("layers.0.layer.kernel.C"), counted(30, 4));
  EXPECT_EQ(model.value("layers.0.layer.kernel.L"), counted(2048, 1));
  EXPECT_EQ(model.value("layers.0.layer.kernel.inv_w_real"), counted(40, 2));
  EXPECT_EQ(model.value("layers.0.layer.kernel.w_imag"), counted(50, 2));
  EXPECT_EQ(model.value("layers.0.layer.output_linear.weight"), counted(60, 8));
  EXPECT_EQ(model.value("layers.0.norm.weight"), counted(70, 2));
  EXPECT_EQ(model.value("layers.0.norm.running_mean"), counted(80, 2));
  EXPECT_EQ(model.value("norm.weight"), counted(90, 2));
  EXPECT_EQ(model.value("decoder.weight"), counted(100, 6));
  EXPECT_EQ(model.value("layers.0.layer.liquid.B"), liquid);
}

TEST(CheckpointImport, EncoderAndDecoderFormsAndNarrowTypes) {
  const std::vector<Declared> heads = {{"encoder", "weight", {2}, false, -1},
                                       {"decoder", "weight", {2}, false, -1},
                                       {"decoder.classifier.0", "weight", {2}, false, -1},
                                       {"decoder.classifier.2", "bias", {2}, false, -1}};
  const uint16_t half[] = {0x3c00, 0xc000}, bfloat[] = {0x3f80, 0xc000};
  const int8_t small[] = {-3, 4};
  StateDict dict;
  dict.add("model.encoder.weight", {2}, EBB_ST_F16, half);
  dict.add("decoder.output_transform.weight", {2}, EBB_ST_BF16, bfloat);
  dict.add("decoder.retrieval.classifier.0.weight", {2}, EBB_ST_I8, small);
  dict.add("decoder.0.retrieval.classifier.2.bias", {2}, 5);
  std::string path = dict.write("heads");
  Model model(heads);
  int missing = -1;
  ASSERT_EQ(ebb_checkpoint_import(path.c_str(), model.params, &missing), EBB_OK) << ebb_error();
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(model.value("encoder.weight"), (std::vector<float>{1, -2}));
  EXPECT_EQ(model.value("decoder.weight"), (std::vector<float>{1, -2}));
  EXPECT_EQ(model.value("decoder.classifier.0.weight"), (std::vector<float>{-3, 4}));
  EXPECT_EQ(model.value("decoder.classifier.2.bias"), (std::vector<float>{5, 6}));
}

TEST(CheckpointImport, WhatDoesNotFitIsNamedAsInTheFile) {
  StateDict dict;
  add_layers(&dict);
  dict.add("encoder.weight", {4, 2}, 10);
  dict.add("decoder.output_transform.weight", {3, 2}, 100);
  dict.add("model.layers.0.layer.kernel.kernel.P", {1, 2, 1, 2}, 0);
  std::string path = dict.write("misfit");
  expect_contains(
      import_refused(published_model, path, EBB_MISMATCH),
      {"'model.layers.0.layer.kernel.kernel.P' (in the model 'layers.0.layer.kernel.P') has shape "
       "(1, 2, 1, 2) in the file and is unknown to the model. ",
       "configuration"});
  std::vector<Declared> wide = published_model;
  wide.push_back({"layers.0.layer", "kernel.P", {2, 2, 1, 2}, false, -1});
  wide.push_back({"layers.1.layer", "D", {1, 2}, false, -1});
  expect_contains(
      import_refused(wide, path, EBB_MISMATCH),
      {"has shape (1, 2, 1, 2) in the file and (2, 2, 1, 2) in the model; 1 more tensor differs"});
  wide[13].dim = {1, 2, 1, 2};
  expect_contains(import_refused(wide, path, EBB_MISMATCH),
                  {"'layers.1.layer.D' is missing in the file and has shape (1, 2) in the model. "});
}

TEST(CheckpointImport, TwoTensorsForOneParameterAndHugeValuesAreRefused) {
  const std::vector<Declared> list = {{"encoder", "bias", {2}, false, -1},
                                      {"encoder", "weight", {2}, false, -1}};
  const double huge[] = {1, 1e300};
  StateDict twice;
  twice.add("encoder.weight", {2}, 1);
  twice.add("encoder.0.weight", {2}, 1);
  expect_contains(import_refused(list, twice.write("twice"), EBB_MISMATCH),
                  {"'encoder.0.weight'", "'encoder.weight'", "both"});
  StateDict wide;
  wide.add("encoder.bias", {2}, 1);
  wide.add("encoder.weight", {2}, EBB_ST_F64, huge);
  expect_contains(import_refused(list, wide.write("huge"), EBB_NUMERIC), {"'encoder.weight'", "element 1"});
}

TEST(CheckpointImport, OwnCheckpointsAndOtherFilesAreRefused) {
  std::string path = scratch("own");
  ASSERT_EQ(ebb_checkpoint_save(path.c_str(), Model(small_model).params, nullptr, nullptr, nullptr, 0),
            EBB_OK);
  expect_contains(import_refused(small_model, path, EBB_MISMATCH), {"checkpoint of ebb", "load it"});
  import_refused(small_model, scratch("absent"), EBB_NOT_FOUND);
  overwrite(scratch("pickle"), "PK\x03\x04 not a safetensors file");
  import_refused(small_model, scratch("pickle"), EBB_FORMAT);
}

#include "files/checkpoint_support.h"

#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstdlib>

namespace {

EbbTrainState some_state() {
  EbbTrainState state = {};
  state.seed = std::numeric_limits<uint64_t>::max();
  state.step = 1234567890123;
  state.epoch = 7;
  state.batch = 31;
  state.best_epoch = -1;
  state.best_score = std::numeric_limits<double>::quiet_NaN();
  state.plateau_best = -std::numeric_limits<double>::infinity();
  state.plateau_factor = 0.1;
  state.plateau_bad_epochs = std::numeric_limits<int64_t>::min();
  state.epoch_loss = std::numeric_limits<double>::denorm_min();
  state.epoch_correct = -0.0;
  state.epoch_weight = -std::numeric_limits<double>::max();
  state.averaged = 3;
  state.epoch_true_positive = 5, state.epoch_false_positive = 0.25, state.epoch_false_negative = 1e9;
  return state;
}

/* All bytes, for NaN equals nothing. */
std::string bits(const EbbTrainState &state) {
  return std::string(reinterpret_cast<const char *>(&state), sizeof state);
}

const char config_text[] = "model:\n  name: \"s4\"   # quotes, a backslash \\ and \xc3\xa9\n";

EbbStatus save(const Model &model, const std::string &path, const EbbTrainState *state,
               const std::vector<EbbAverage> &averages = {}) {
  return ebb_checkpoint_save(path.c_str(), model.params, state, config_text, averages.data(),
                             static_cast<int>(averages.size()));
}

EbbStatus load(Model &model, const std::string &path, EbbTrainState *state,
               std::vector<EbbAverage> averages = {}) {
  return ebb_checkpoint_load(path.c_str(), model.params, state, averages.data(),
                             static_cast<int>(averages.size()));
}

/* A checkpoint of the small model with moments and state, and its path. */
std::string saved(const std::string &name) {
  Model model(small_model);
  EbbTrainState state = some_state();
  model.fill_moments();
  EXPECT_EQ(save(model, scratch(name), &state), EBB_OK) << ebb_error();
  return scratch(name);
}

/* Loading must fail with this status and leave every byte and the state as they were. Returns the error. */
std::string refused(const std::vector<Declared> &list, const std::string &path, EbbStatus expected,
                    bool with_state = true) {
  Model model(list, 99);
  EbbTrainState state = {};
  state.step = 5;
  const EbbTrainState before = state;
  std::string bytes = model.bytes();
  EXPECT_EQ(load(model, path, with_state ? &state : nullptr), expected) << ebb_error();
  std::string error = ebb_error();
  EXPECT_EQ(model.bytes(), bytes) << error;
  EXPECT_EQ(bits(state), bits(before)) << error;
  EXPECT_EQ(error.rfind(path + ": ", 0), 0U) << error;
  return error;
}

std::vector<Declared> without(const std::string &name) {
  std::vector<Declared> list;
  for (const Declared &one : small_model)
    if (name != one.scope + std::string(".") + one.name) list.push_back(one);
  return list;
}

/* The file with one text in its header replaced by another of the same length. */
std::string patched(const std::string &name, const std::string &from, const std::string &to) {
  std::string path = saved(name), bytes = contents(path);
  size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(from.size(), to.size());
  overwrite(path, bytes.replace(at, to.size(), to));
  return path;
}

} // namespace

TEST(Checkpoint, EverythingComesBackBitEqual) {
  Model from(small_model, 1), to(small_model, 2);
  EbbTrainState state = some_state(), read = {};
  from.fill_moments();
  std::vector<float> ema(from.size(), 0.25F), swa(from.size(), -4.0F), ema_read(to.size()),
      swa_read(to.size());
  const int decoder = ebb_params_find(from.params, "decoder.weight");
  const size_t at = static_cast<size_t>(ebb_params_at(from.params, decoder)->offset);
  ema[at] = 17;
  EXPECT_EQ(ebb_params_group_count(from.params), 3);
  ASSERT_EQ(save(from, scratch("all"), &state, {{"ema", ema.data()}, {"off", nullptr}, {"swa", swa.data()}}),
            EBB_OK)
      << ebb_error();
  const uint64_t generation = ebb_params_generation(to.params);
  ASSERT_EQ(load(to, scratch("all"), &read, {{"swa", swa_read.data()}, {"ema", ema_read.data()}}), EBB_OK)
      << ebb_error();
  EXPECT_EQ(to.bytes(), from.bytes());
  EXPECT_EQ(bits(read), bits(state));
  EXPECT_GT(ebb_params_generation(to.params), generation);
  EXPECT_EQ(ema_read[at], 17.0F);
  EXPECT_EQ(ema_read[at + 1], 0.25F);
  EXPECT_EQ(swa_read[at], -4.0F);
}

TEST(Checkpoint, EveryStateSurvives) {
  Model model(small_model);
  const double values[] = {0.0,
                           -0.0,
                           1.0,
                           -1.0 / 3,
                           1e300,
                           4.9406564584124654e-324,
                           2.2250738585072014e-308,
                           3.0000000000000004,
                           -std::numeric_limits<double>::infinity(),
                           std::nan("0x123"),
                           -std::numeric_limits<double>::quiet_NaN()};
  for (double value : values) {
    EbbTrainState state = some_state(), read = {};
    state.best_score = state.epoch_loss = value;
    ASSERT_EQ(save(model, scratch("state"), &state), EBB_OK) << ebb_error();
    ASSERT_EQ(load(model, scratch("state"), &read), EBB_OK) << ebb_error();
    EXPECT_EQ(bits(read), bits(state)) << value;
  }
}

TEST(Checkpoint, NamesAndMetadataAreThePromisedOnes) {
  EbbSafetensors *file = nullptr;
  ASSERT_EQ(ebb_safetensors_open(saved("names").c_str(), &file), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_safetensors_count(file), 6 * 3 + 2);
  for (const char *name : {"encoder.weight", "adamw.m.encoder.weight", "adamw.v.encoder.weight",
                           "layers.0.kernel.L", "layers.0.norm.running_mean"})
    EXPECT_NE(ebb_safetensors_find(file, name), nullptr) << name;
  EXPECT_EQ(ebb_safetensors_find(file, "adamw.m.layers.0.kernel.L"), nullptr);
  EXPECT_STREQ(ebb_safetensors_metadata(file, "format"), "ebb-checkpoint-1");
  EXPECT_STREQ(ebb_safetensors_metadata(file, "state.seed"), "18446744073709551615");
  EXPECT_STREQ(ebb_safetensors_metadata(file, "state.step"), "1234567890123");
  EXPECT_STREQ(ebb_safetensors_metadata(file, "config"), config_text);
  ebb_safetensors_close(file);
}

TEST(Checkpoint, ALoadedModelIsSavedToTheSameBytes) {
  std::string path = saved("first");
  Model model(small_model, 3);
  EbbTrainState state = {};
  ASSERT_EQ(load(model, path, &state), EBB_OK) << ebb_error();
  ASSERT_EQ(save(model, scratch("second"), &state), EBB_OK) << ebb_error();
  EXPECT_EQ(contents(path), contents(scratch("second")));
}

TEST(Checkpoint, TheConfigurationComesBack) {
  char *yaml = nullptr;
  std::string path = saved("config");
  ASSERT_EQ(ebb_checkpoint_config(path.c_str(), &yaml), EBB_OK) << ebb_error();
  EXPECT_STREQ(yaml, config_text);
  free(yaml);
  Model model(small_model);
  ASSERT_EQ(ebb_checkpoint_save(path.c_str(), model.params, nullptr, nullptr, nullptr, 0), EBB_OK);
  EXPECT_EQ(ebb_checkpoint_config(path.c_str(), &yaml), EBB_FORMAT);
  EXPECT_EQ(yaml, nullptr);
  expect_contains(ebb_error(), {path, "holds no configuration"});
  EXPECT_EQ(ebb_checkpoint_config(scratch("absent").c_str(), &yaml), EBB_NOT_FOUND);
}

TEST(Checkpoint, WeightsAlonePassOverMomentsAndAverages) {
  Model from(small_model, 1), to(small_model, 2);
  EbbTrainState state = some_state();
  std::vector<float> ema(from.size(), 0.5F), read(from.size());
  from.fill_moments();
  to.fill_moments();
  ASSERT_EQ(save(from, scratch("weights"), &state, {{"ema", ema.data()}, {"swa", ema.data()}}), EBB_OK);
  std::vector<float> moments(ebb_params_flat(to.params, EBB_FLAT_M),
                             ebb_params_flat(to.params, EBB_FLAT_M) + to.size());
  moments[0] = ebb_params_flat(to.params, EBB_FLAT_M)[0] = 2;
  ASSERT_EQ(load(to, scratch("weights"), nullptr, {{"ema", read.data()}}), EBB_OK) << ebb_error();
  EXPECT_EQ(to.bytes(false), from.bytes(false));
  EXPECT_EQ(std::memcmp(moments.data(), ebb_params_flat(to.params, EBB_FLAT_M), to.size() * sizeof(float)),
            0);
  EXPECT_EQ(read[0], 0.5F);
  expect_contains(refused(small_model, scratch("weights"), EBB_MISMATCH),
                  {"'ema.decoder.bias' has shape (2) in the file and is unknown to the model",
                   "; 11 more tensors differ"});
}

TEST(Checkpoint, AnAverageThatIsAskedForMustBeThere) {
  Model model(small_model);
  std::vector<float> ema(model.size(), 3.0F);
  std::string bytes = model.bytes();
  EXPECT_EQ(load(model, saved("plain"), nullptr, {{"ema", ema.data()}}), EBB_MISMATCH);
  expect_contains(ebb_error(), {"'ema.decoder.bias' is missing in the file and has shape (2) in the model",
                                "; 5 more tensors differ"});
  EXPECT_EQ(model.bytes(), bytes);
  EXPECT_EQ(ema[0], 3.0F);
}

TEST(Checkpoint, AFileWithWeightsAloneCannotBeResumed) {
  Model model(small_model);
  ASSERT_EQ(save(model, scratch("light"), nullptr), EBB_OK) << ebb_error();
  expect_contains(refused(small_model, scratch("light"), EBB_MISMATCH), {"holds weights only", "resume"});
  Model to(small_model, 8);
  ASSERT_EQ(load(to, scratch("light"), nullptr), EBB_OK) << ebb_error();
  EXPECT_EQ(to.bytes(false), model.bytes(false));
}

TEST(Checkpoint, MissingMomentsAreNamed) {
  std::string path = scratch("no_moments");
  EbbSafetensorsWriter *writer = nullptr;
  EbbSafetensors *file = nullptr;
  ASSERT_EQ(ebb_safetensors_open(saved("with_moments").c_str(), &file), EBB_OK);
  ASSERT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(file, i);
    if (std::string(tensor->name).rfind("adamw.v.", 0) == 0) continue;
    ASSERT_EQ(ebb_safetensors_writer_add(writer, tensor->name, tensor->type, &tensor->shape, tensor->data),
              EBB_OK);
  }
  for (const char *key :
       {"format", "state.seed", "state.step", "state.epoch", "state.batch", "state.best_epoch",
        "state.best_score", "state.plateau_best", "state.plateau_factor", "state.plateau_bad_epochs",
        "state.epoch_loss", "state.epoch_correct", "state.epoch_weight", "state.averaged"})
    ASSERT_EQ(ebb_safetensors_writer_metadata(writer, key, ebb_safetensors_metadata(file, key)), EBB_OK);
  ASSERT_EQ(ebb_safetensors_writer_commit(writer, path.c_str()), EBB_OK);
  ebb_safetensors_writer_destroy(writer);
  ebb_safetensors_close(file);
  expect_contains(refused(small_model, path, EBB_MISMATCH),
                  {"'adamw.v.decoder.bias' is missing in the file", "; 5 more tensors differ"});
}

TEST(Checkpoint, AnotherModelIsRefusedByName) {
  std::string path = saved("other");
  expect_contains(refused(without("layers.0.norm.weight"), path, EBB_MISMATCH),
                  {"'adamw.m.layers.0.norm.weight' has shape (3) in the file and is unknown to the model",
                   "; 2 more tensors differ. ", "another model", "`ebb info " + path + "`"});
  expect_contains(refused(without("layers.0.kernel.L"), path, EBB_MISMATCH),
                  {"'layers.0.kernel.L' has shape (1) in the file and is unknown to the model. Was it"});
  std::vector<Declared> more = small_model;
  more.push_back({"layers.1", "D", {1, 3}, true, -1});
  expect_contains(refused(more, path, EBB_MISMATCH),
                  {"'layers.1.D' is missing in the file and has shape (1, 3) in the model. "});
  std::vector<Declared> wide = small_model;
  wide[0].dim = {5, 4};
  expect_contains(refused(wide, path, EBB_MISMATCH, false),
                  {"'encoder.weight' has shape (5, 3) in the file and (5, 4) in the model. "});
  wide[3].dim = {4};
  expect_contains(refused(wide, path, EBB_MISMATCH, false),
                  {"'encoder.weight' has shape (5, 3) in the file and (5, 4)", "; 1 more tensor differs. "});
}

TEST(Checkpoint, DamagedFilesChangeNothing) {
  std::string path = saved("damaged"), whole = contents(path);
  for (size_t length : {size_t{0}, size_t{5}, size_t{300}, whole.size() / 2, whole.size() - 1}) {
    overwrite(path, whole.substr(0, length));
    refused(small_model, path, EBB_FORMAT);
  }
  overwrite(path, whole + "x");
  refused(small_model, path, EBB_FORMAT);
  overwrite(path, "model:\n  name: s4\n  layers: 6\n");
  refused(small_model, path, EBB_FORMAT);
  expect_contains(refused(small_model, scratch("absent.safetensors"), EBB_NOT_FOUND), {"cannot open"});
  refused(small_model, scratch("."), EBB_IO);
}

TEST(Checkpoint, WrongMetadataAreNamed) {
  expect_contains(refused(small_model, patched("m1", "ebb-checkpoint-1", "ebb-checkpoint-2"), EBB_FORMAT),
                  {"'ebb-checkpoint-2'", "reads 'ebb-checkpoint-1'"});
  expect_contains(refused(small_model, patched("m2", "ebb-checkpoint-1", "some-other-file1"), EBB_FORMAT),
                  {"no checkpoint", "format 'some-other-file1'", "imported"});
  expect_contains(refused(small_model, patched("m3", "1234567890123", "12345678x0123"), EBB_FORMAT),
                  {"state.step = '12345678x0123', expected a whole number"});
  expect_contains(
      refused(small_model, patched("m4", "18446744073709551615", "18446744073709551616"), EBB_FORMAT),
      {"state.seed", "from 0 to 2^64 - 1"});
  expect_contains(refused(small_model, patched("m5", "\"-0x0p+0\"", "\"-0x0p+9\""), EBB_FORMAT),
                  {"state.epoch_correct", "hexadecimal float"});
  expect_contains(refused(small_model, patched("m6", "nan(0x7ff8", "nan(0x0008"), EBB_FORMAT),
                  {"state.best_score"});
  expect_contains(refused(small_model, patched("m7", "state.averaged", "state.overaged"), EBB_FORMAT),
                  {"have no 'state.averaged'"});
}

// Files from before F1 was counted have no sums of it.
TEST(Checkpoint, SumsThatOlderFilesLackAreZero) {
  std::string path = patched("older", "state.epoch_true_positive", "state.epoch_true_pusitive");
  Model model(small_model, 12);
  EbbTrainState state = {};
  state.epoch_true_positive = 7;
  ASSERT_EQ(ebb_checkpoint_load(path.c_str(), model.params, &state, nullptr, 0), EBB_OK) << ebb_error();
  EXPECT_EQ(state.epoch_true_positive, 0);
  EXPECT_EQ(state.epoch_false_positive, 0.25);
  EXPECT_EQ(state.epoch_false_negative, 1e9);
}

TEST(Checkpoint, AFailedSaveKeepsTheOldFile) {
  std::string path = saved("kept"), before = contents(path);
  Model model(small_model, 12);
  EbbTrainState state = {};
  rlimit old = {}, low = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  low = old;
  low.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  EbbStatus status = save(model, path, &state);
  std::string error = ebb_error();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(status, EBB_IO);
  expect_contains(error, {path});
  EXPECT_EQ(contents(path), before);
  for (const auto &entry : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path()))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
}

TEST(Checkpoint, AFolderThatCannotBeWrittenIsNamed) {
  Model model(small_model);
  EbbTrainState state = {};
  std::string path = scratch("no_such_folder/last.safetensors");
  EXPECT_EQ(save(model, path, &state), EBB_IO);
  expect_contains(ebb_error(), {path});
  path = scratch("a_file");
  overwrite(path, "text");
  EXPECT_EQ(save(model, path + "/last.safetensors", &state), EBB_IO);
  expect_contains(ebb_error(), {path});
  EXPECT_EQ(contents(path), "text");
  EXPECT_EQ(save(model, "/proc/ebb_checkpoint.safetensors", &state), EBB_IO); /* not even root may */
  expect_contains(ebb_error(), {"/proc/ebb_checkpoint.safetensors"});
}

TEST(Checkpoint, UnplacedParametersAndBadAverageNamesAreRefused) {
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  int missing = 0;
  ASSERT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
  ASSERT_EQ(ebb_params_create(device, &params), EBB_OK);
  EXPECT_EQ(ebb_checkpoint_save(scratch("x").c_str(), params, nullptr, nullptr, nullptr, 0), EBB_STATE);
  EXPECT_EQ(ebb_checkpoint_load(scratch("x").c_str(), params, nullptr, nullptr, 0), EBB_STATE);
  EXPECT_EQ(ebb_checkpoint_import(scratch("x").c_str(), params, &missing), EBB_STATE);
  ebb_params_destroy(params);
  ebb_device_close(device);
  Model model(small_model);
  std::vector<float> values(model.size());
  for (const char *name : {"", "a,b"}) {
    EXPECT_EQ(save(model, scratch("x"), nullptr, {{name, values.data()}}), EBB_INVALID) << name;
    expect_contains(ebb_error(), {"average", "'" + std::string(name) + "'"});
  }
  EXPECT_FALSE(std::filesystem::exists(scratch("x")));
}

// Published weights through ebb import: the same scores as the checkpoint that they came from.
#include <memory>

#include "cli/program.h"
#include "ebb/safetensors.h"

using namespace ebb_test;

namespace {

// The published code's name of a parameter.
std::string published(std::string name) {
  auto replace = [&name](const std::string &from, const std::string &to) {
    size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  };
  replace("layer.kernel.", "layer.kernel.kernel.");
  replace("output_linear.", "output_linear.0.");
  replace("norm.", "norm.norm.");
  replace("decoder.", "decoder.0.output_transform.");
  replace("encoder.", "encoder.0.");
  return name.rfind("layers.", 0) == 0 || name.rfind("norm.", 0) == 0 ? "model." + name : name;
}

// The weights of a checkpoint as the published code's state_dict.
void write_state_dict(const fs::path &checkpoint, const fs::path &state_dict) {
  EbbSafetensors *file = nullptr;
  EbbSafetensorsWriter *writer = nullptr;
  ASSERT_EQ(ebb_safetensors_open(checkpoint.c_str(), &file), EBB_OK) << ebb_error();
  ASSERT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
  std::vector<std::unique_ptr<std::vector<float>>> kept;
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(file, i);
    if (std::string(tensor->name).rfind("adamw.", 0) == 0) continue;
    kept.push_back(std::make_unique<std::vector<float>>(size_t(ebb_shape_size(&tensor->shape))));
    ASSERT_EQ(ebb_stored_floats(tensor, kept.back()->data(), int64_t(kept.back()->size())), EBB_OK);
    ASSERT_EQ(ebb_safetensors_writer_add(writer, published(tensor->name).c_str(), EBB_ST_F32, &tensor->shape,
                                         kept.back()->data()),
              EBB_OK)
        << ebb_error();
  }
  ASSERT_EQ(ebb_safetensors_writer_commit(writer, state_dict.c_str()), EBB_OK) << ebb_error();
  ebb_safetensors_writer_destroy(writer);
  ebb_safetensors_close(file);
}

std::string scores(const TinyPlace &place, const std::string &checkpoint) {
  Outcome eval = place.run({"eval", checkpoint, "--json"});
  EXPECT_EQ(eval.code, 0) << eval.err;
  size_t at = eval.out.find("\"split\"");
  return at == std::string::npos ? "no scores" : eval.out.substr(at);
}

} // namespace

TEST(CliImport, ScoresAsTheModelItCameFrom) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run"}).code, 0);
  write_state_dict(place.path / "run/best.safetensors", place.path / "weights.safetensors");
  Outcome import =
      place.run({"import", "weights.safetensors", "experiment=tiny", "-o", "imported.safetensors"});
  ASSERT_EQ(import.code, 0) << import.err;
  expect_contains(import.out, "imported.safetensors");
  EXPECT_EQ(scores(place, "imported.safetensors"), scores(place, "run"));
}

TEST(CliImport, SaysThatFrozenConstantsAreDrawn) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run"}).code, 0);
  write_state_dict(place.path / "run/best.safetensors", place.path / "weights.safetensors");
  Outcome import = place.run({"import", "weights.safetensors", "experiment=tiny",
                              "model.layer.liquid_kernel=polyb", "-o", "imported.safetensors"});
  ASSERT_EQ(import.code, 0) << import.err;
  expect_contains(import.out, "frozen tensors");
  EXPECT_EQ(place.run({"eval", "imported.safetensors"}).code, 0);
}

TEST(CliImport, RefusesWhatDoesNotFit) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run"}).code, 0);
  write_state_dict(place.path / "run/best.safetensors", place.path / "weights.safetensors");
  auto import = [&place](std::vector<std::string> more) {
    more.insert(more.begin(), {"import", "weights.safetensors"});
    return place.run(more);
  };
  expect_failure(import({"experiment=tiny"}), 2, {"-o CHECKPOINT"});
  expect_failure(import({"-o", "new.safetensors"}), 2, {"experiment=NAME"});
  expect_failure(import({"experiment=tiny", "-o", "weights.safetensors"}), 1,
                 {"weights.safetensors", "exists"});
  expect_failure(import({"experiment=tiny", "model.d_model=4", "-o", "new.safetensors"}), 1,
                 {"weights.safetensors", "(10, 8)", "(10, 4)"});
  expect_failure(import({"experiment=tiny", "dataset._name_=mine", "-o", "new.safetensors"}), 1, {"'mine'"});
  expect_failure(place.run({"import", "run/best.safetensors", "experiment=tiny", "-o", "new.safetensors"}), 1,
                 {"best.safetensors", "needs no import"});
  EXPECT_FALSE(fs::exists(place.path / "new.safetensors"));
}

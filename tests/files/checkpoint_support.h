/* What the tests of checkpoints share: a scratch folder and models declared by hand. */
#ifndef EBB_CHECKPOINT_SUPPORT_H
#define EBB_CHECKPOINT_SUPPORT_H

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "ebb/checkpoint.h"
#include "ebb/safetensors.h"

/* A folder of this process, removed at its end. */
struct Scratch {
  std::string folder = testing::TempDir() + "ebb_checkpoint_" + std::to_string(getpid());
  Scratch() { std::filesystem::create_directories(folder); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() { std::filesystem::remove_all(folder); }
};

inline std::string scratch(const std::string &name) {
  static const Scratch root;
  return root.folder + "/" + name;
}

inline std::string contents(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

inline void overwrite(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void expect_contains(const std::string &text, const std::vector<std::string> &parts) {
  for (const std::string &part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in: " << text;
}

struct Declared {
  const char *scope, *name;
  std::vector<int64_t> dim;
  bool buffer;
  double lr; /* negative: the optimiser's */
};

const std::vector<Declared> small_model = {
    {"encoder", "weight", {5, 3}, false, -1},       {"layers.0", "kernel.B", {1, 3, 2, 2}, false, 0.001},
    {"layers.0", "kernel.L", {1}, true, -1},        {"layers.0", "norm.running_mean", {3}, true, -1},
    {"layers.0", "norm.weight", {3}, false, -1},    {"decoder", "weight", {2, 3}, false, -1},
    {"layers.0", "kernel.log_dt", {3}, false, 0.0}, {"decoder", "bias", {2}, false, -1},
};

/* Parameters declared by hand, placed on the CPU. */
struct Model {
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  explicit Model(const std::vector<Declared> &list, uint64_t seed = 1) {
    EXPECT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
    for (const Declared &one : list) {
      EbbParamSpec spec = {};
      int index = -1;
      spec.name = one.name;
      spec.shape = ebb_shape_from(static_cast<int>(one.dim.size()), one.dim.data());
      spec.buffer = one.buffer;
      spec.own_lr = one.lr >= 0;
      spec.lr = one.lr;
      spec.draw = EBB_DRAW_NORMAL;
      spec.a = 1;
      EXPECT_EQ(ebb_params_declare(params, one.scope, &spec, &index), EBB_OK) << ebb_error();
    }
    EXPECT_EQ(ebb_params_place(params, seed), EBB_OK) << ebb_error();
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;
  ~Model() {
    ebb_params_destroy(params);
    ebb_device_close(device);
  }

  size_t size() const { return static_cast<size_t>(ebb_params_size(params)); }

  /* Moments that differ everywhere; NaN and infinity among them. */
  void fill_moments() {
    float *m = ebb_params_flat(params, EBB_FLAT_M), *v = ebb_params_flat(params, EBB_FLAT_V);
    for (size_t i = 0; i < size(); i++) {
      m[i] = 0.1F * static_cast<float>(i) - 3;
      v[i] = 1.0F / static_cast<float>(i + 1);
    }
    m[0] = std::numeric_limits<float>::quiet_NaN();
    v[1] = std::numeric_limits<float>::infinity();
  }

  static void append(std::string *all, const float *data, int64_t count) {
    all->append(reinterpret_cast<const char *>(data), static_cast<size_t>(count) * sizeof *data);
  }

  /* Every byte of every value, moment and buffer, by declaration. */
  std::string bytes(bool moments = true) const {
    std::string all;
    for (int i = 0; i < ebb_params_count(params); i++) {
      int64_t count = ebb_params_at(params, i)->size;
      append(&all, ebb_params_value(params, i), count);
      for (int which = 1; which <= 2 && moments && ebb_params_moment(params, i, which); which++)
        append(&all, ebb_params_moment(params, i, which), count);
    }
    return all;
  }

  std::vector<float> value(const std::string &name) const {
    int index = ebb_params_find(params, name.c_str());
    EXPECT_GE(index, 0) << name;
    const float *data = ebb_params_value(params, index);
    return std::vector<float>(data, data + ebb_params_at(params, index)->size);
  }
};

#endif

// Conformance cases: safetensors files under $EBB_TEST_GOLDEN, or beside the source tree.
#ifndef EBB_TESTS_GOLDEN_H
#define EBB_TESTS_GOLDEN_H

#include <cjson/cJSON.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/safetensors.h"

namespace ebb_test {

inline std::filesystem::path golden_folder(const std::string &part) {
  const char *given = std::getenv("EBB_TEST_GOLDEN");
  return (given ? std::filesystem::path(given) : std::filesystem::path(EBB_SOURCE_DIR) / "../shared/golden") /
         part;
}

// Files of a folder whose name starts with `prefix`, sorted; none where the folder is absent.
inline std::vector<std::string> golden_files(const std::string &part, const std::string &prefix) {
  std::vector<std::string> files;
  std::error_code absent;
  for (const auto &entry : std::filesystem::directory_iterator(golden_folder(part), absent))
    if (entry.path().filename().string().rfind(prefix, 0) == 0) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

class Golden {
public:
  explicit Golden(const std::string &path) : file_(open(path), ebb_safetensors_close) {
    const char *config = ebb_safetensors_metadata(file_.get(), "config");
    const char *tolerance = ebb_safetensors_metadata(file_.get(), "tolerance");
    config_.reset(cJSON_Parse(config ? config : "{}"));
    tolerance_.reset(cJSON_Parse(tolerance ? tolerance : "{}"));
  }

  std::string metadata(const char *key) const {
    const char *value = ebb_safetensors_metadata(file_.get(), key);
    return value ? value : "";
  }
  bool has(const std::string &name) const { return ebb_safetensors_find(file_.get(), name.c_str()); }
  std::vector<int64_t> shape(const std::string &name) const {
    const EbbShape &shape = find(name)->shape;
    return {shape.dim, shape.dim + shape.rank};
  }
  std::vector<float> floats(const std::string &name) const {
    std::vector<float> out(size_t(ebb_shape_size(&find(name)->shape)));
    if (ebb_stored_floats(find(name), out.data(), int64_t(out.size()))) throw std::runtime_error(ebb_error());
    return out;
  }
  std::vector<int32_t> integers(const std::string &name) const {
    std::vector<int64_t> wide(size_t(ebb_shape_size(&find(name)->shape)));
    if (ebb_stored_integers(find(name), wide.data(), int64_t(wide.size())))
      throw std::runtime_error(ebb_error());
    return {wide.begin(), wide.end()};
  }

  std::string text(const char *key) const {
    const cJSON *item = cJSON_GetObjectItem(config_.get(), key);
    return cJSON_IsString(item) ? item->valuestring : "";
  }
  double number(const char *key, double otherwise) const {
    const cJSON *item = cJSON_GetObjectItem(config_.get(), key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
  }
  bool flag(const char *key, bool otherwise) const {
    const cJSON *item = cJSON_GetObjectItem(config_.get(), key);
    return cJSON_IsBool(item) ? bool(cJSON_IsTrue(item)) : otherwise;
  }
  double tolerance(const char *key) const { return cJSON_GetObjectItem(tolerance_.get(), key)->valuedouble; }

private:
  static EbbSafetensors *open(const std::string &path) {
    EbbSafetensors *file = nullptr;
    if (ebb_safetensors_open(path.c_str(), &file)) throw std::runtime_error(ebb_error());
    return file;
  }
  const EbbStoredTensor *find(const std::string &name) const {
    const EbbStoredTensor *tensor = ebb_safetensors_find(file_.get(), name.c_str());
    if (!tensor) throw std::runtime_error("no tensor " + name);
    return tensor;
  }
  struct Delete {
    void operator()(cJSON *json) const { cJSON_Delete(json); }
  };
  std::unique_ptr<EbbSafetensors, void (*)(EbbSafetensors *)> file_;
  std::unique_ptr<cJSON, Delete> config_, tolerance_;
};

} // namespace ebb_test

#endif

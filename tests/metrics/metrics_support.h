// What the tests of metrics share: folders, whole files, the names in a folder.
#ifndef EBB_TESTS_METRICS_SUPPORT_H
#define EBB_TESTS_METRICS_SUPPORT_H

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace metrics_support {

inline std::string fresh_folder(const std::string &name) {
  std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::path path = std::filesystem::path(testing::TempDir()) / ("ebb_metrics_" + test) / name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

inline std::string read_all(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void write_all(const std::string &path, const std::string &text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::string> names_in(const std::string &folder) {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

inline bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace metrics_support

#endif

// A folder of files for one test, removed with it.
#ifndef EBB_TESTS_FILES_H
#define EBB_TESTS_FILES_H

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace ebb_test {

class Files {
public:
  Files() {
    std::string pattern = testing::TempDir() + "ebb_files_XXXXXX";
    path = mkdtemp(pattern.data());
  }
  Files(const Files &) = delete;
  Files &operator=(const Files &) = delete;
  ~Files() { std::filesystem::remove_all(path); }

  void write(const std::string &name, const std::string &text) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
  }
  void remove(const std::string &name) const { std::filesystem::remove_all(path / name); }
  std::string folder() const { return path.string(); }

private:
  std::filesystem::path path;
};

} // namespace ebb_test

#endif

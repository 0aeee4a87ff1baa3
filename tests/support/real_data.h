// Real data files for tests, where this machine has them: EBB_TEST_DATA names a folder with a folder a data
// set, or one of packed files with an unpack.sh that lays them out; by default ../shared/data beside the
// sources.
#ifndef EBB_TESTS_REAL_DATA_H
#define EBB_TESTS_REAL_DATA_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace ebb_test {

// The folder of the data set `name`; empty where there is none.
inline std::string real_data(const std::string &name) {
  namespace fs = std::filesystem;
  const char *given = std::getenv("EBB_TEST_DATA");
  const fs::path root =
      given && *given ? fs::path(given) : fs::path(EBB_SOURCE_DIR) / ".." / "shared" / "data";
  if (!fs::exists(root / name)) return "";
  if (!fs::exists(root / "unpack.sh")) return (root / name).string();
  const fs::path out = fs::path(testing::TempDir()) / "ebb_real_data";
  if (!fs::exists(out / name)) {
    const std::string command =
        "bash '" + (root / "unpack.sh").string() + "' '" + out.string() + "' " + name + " >/dev/null 2>&1";
    if (std::system(command.c_str()) != 0) return "";
  }
  return (out / name).string();
}

} // namespace ebb_test

// The folder of a data set in `folder`, or the test is skipped.
#define REAL_DATA(folder, name)                                                                              \
  const std::string folder = ebb_test::real_data(name);                                                      \
  if (folder.empty())                                                                                        \
  GTEST_SKIP() << "the files of '" << (name) << "' are not here: EBB_TEST_DATA names a folder with them"

#endif

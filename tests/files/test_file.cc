#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "ebb/file.h"
#include "ebb/safetensors.h"

namespace {

class File : public testing::Test {
protected:
  std::string folder;
  void SetUp() override {
    folder = testing::TempDir() + "ebb_file_XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    chmod(folder.c_str(), 0755);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string path(const std::string &name) const { return folder + "/" + name; }
  void put(const std::string &name, const std::string &text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string get(const std::string &name) const {
    std::ifstream stream(path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      list.push_back(entry.path().filename().string());
    std::sort(list.begin(), list.end());
    return list;
  }
};

using Names = std::vector<std::string>;

struct Writer {
  EbbFileWriter *writer = nullptr;
  EbbStatus status;
  explicit Writer(const std::string &path) : status(ebb_file_writer_create(path.c_str(), &writer)) {}
  Writer(const Writer &) = delete;
  Writer &operator=(const Writer &) = delete;
  ~Writer() { ebb_file_writer_destroy(writer); }
  EbbStatus write(const std::string &text) { return ebb_file_writer_write(writer, text.data(), text.size()); }
  EbbStatus commit() { return ebb_file_writer_commit(writer); }
};

/* Files of this process end at `bytes`, as if the disk were full, until this goes out of scope. */
class FileLimit {
  rlimit before{};
  void (*handler)(int);

public:
  explicit FileLimit(rlim_t bytes) : handler(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit now = {bytes, before.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &now), 0);
  }
  FileLimit(const FileLimit &) = delete;
  FileLimit &operator=(const FileLimit &) = delete;
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
};

/* Without the superuser's right to write anywhere, until this goes out of scope. */
class Unprivileged {
  uid_t before = geteuid();

public:
  Unprivileged() { EXPECT_EQ(seteuid(before == 0 ? 65534 : before), 0); }
  Unprivileged(const Unprivileged &) = delete;
  Unprivileged &operator=(const Unprivileged &) = delete;
  ~Unprivileged() { EXPECT_EQ(seteuid(before), 0); }
};

/* Runs `work` in a process of its own and returns its wait status. */
int in_child(const std::function<int()> &work) {
  pid_t pid = fork();
  if (pid == 0) _exit(work());
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

void expect_contains(const std::string &text, const std::vector<std::string> &parts) {
  for (const std::string &part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in: " << text;
}

EbbStatus read(const std::string &path, size_t most, std::string *out) {
  char *text;
  size_t length;
  EbbStatus status = ebb_file_read(path.c_str(), most, &text, &length);
  if (status == EBB_OK) {
    EXPECT_EQ(text[length], '\0');
    out->assign(text, length);
  } else {
    EXPECT_EQ(text, nullptr);
  }
  std::free(text);
  return status;
}

} // namespace

TEST_F(File, ReadsWhole) {
  std::string text, large(100001, 'x');
  large[5] = '\0';
  put("large", large);
  put("empty", "");
  EXPECT_EQ(read(path("large"), large.size(), &text), EBB_OK);
  EXPECT_EQ(text, large);
  EXPECT_EQ(read(path("empty"), 0, &text), EBB_OK);
  EXPECT_EQ(text, "");
  EXPECT_EQ(read("/proc/self/status", 1 << 20, &text), EBB_OK) << "a file that has no size before it is read";
  EXPECT_NE(text.find("Pid:"), std::string::npos);
}

TEST_F(File, ReadErrorsNameThePath) {
  std::string text;
  put("large", std::string(4097, 'x'));
  EXPECT_EQ(read(path("large"), 4096, &text), EBB_INVALID);
  expect_contains(ebb_error(), {path("large"), "4096 bytes"});
  EXPECT_EQ(read(path("absent"), 10, &text), EBB_NOT_FOUND);
  expect_contains(ebb_error(), {path("absent"), "No such file"});
  EXPECT_EQ(read(folder, 10, &text), EBB_IO);
  expect_contains(ebb_error(), {folder, "directory"});
}

TEST_F(File, Exists) {
  put("here", "");
  EXPECT_TRUE(ebb_file_exists(path("here").c_str()));
  EXPECT_FALSE(ebb_file_exists(path("there").c_str()));
  EXPECT_FALSE(ebb_file_exists(folder.c_str()));
}

TEST_F(File, FoldersAreCreatedWithAllThatLeadsToThem) {
  for (const char *name : {"a/b/c", "a/b/c", "a//b///d/", "./e"}) {
    EXPECT_EQ(ebb_folder_create(path(name).c_str()), EBB_OK) << ebb_error();
    EXPECT_TRUE(std::filesystem::is_directory(path(name)));
  }
  EXPECT_EQ(ebb_folder_create("/"), EBB_OK);
  EXPECT_EQ(ebb_folder_create(""), EBB_INVALID);
}

TEST_F(File, FolderErrorsNameTheComponent) {
  put("file", "");
  EXPECT_EQ(ebb_folder_create(path("file/x/y").c_str()), EBB_IO);
  expect_contains(ebb_error(),
                  {path("file/x/y") + ": ", "'" + path("file") + "' exists and is not a folder"});
  EXPECT_EQ(ebb_folder_create(path("file").c_str()), EBB_IO);
  expect_contains(ebb_error(), {"not a folder"});
  EXPECT_EQ(ebb_folder_create("/proc/ebb/x"), EBB_IO);
  expect_contains(ebb_error(), {"'/proc/ebb': "});
  const Unprivileged guard;
  chmod(folder.c_str(), 0555);
  EXPECT_EQ(ebb_folder_create(path("p/q").c_str()), EBB_IO);
  expect_contains(ebb_error(), {"'" + path("p") + "': Permission denied"});
}

TEST_F(File, UnwritableFoldersAreTold) {
  put("file", "");
  EXPECT_EQ(ebb_folder_check_writable(folder.c_str()), EBB_OK) << ebb_error();
  EXPECT_EQ(names(), Names{"file"}) << "the probe is gone";
  EXPECT_EQ(ebb_folder_check_writable(path("absent").c_str()), EBB_NOT_FOUND);
  EXPECT_EQ(ebb_folder_check_writable(path("file").c_str()), EBB_IO);
  expect_contains(ebb_error(), {path("file"), "is not a folder"});
  EXPECT_EQ(ebb_folder_check_writable("/proc"), EBB_IO);
  expect_contains(ebb_error(), {"/proc: "});
  {
    const FileLimit limit(0);
    EXPECT_EQ(ebb_folder_check_writable(folder.c_str()), EBB_IO);
    expect_contains(ebb_error(), {folder, "cannot write", "too large"});
  }
  EXPECT_EQ(names(), Names{"file"});
  const Unprivileged guard;
  chmod(folder.c_str(), 0555);
  EXPECT_EQ(ebb_folder_check_writable(folder.c_str()), EBB_IO);
  expect_contains(ebb_error(), {folder, "Permission denied"});
}

TEST_F(File, CommitReplacesAndDestroyAbandons) {
  put("out", "old");
  {
    Writer w(path("out"));
    ASSERT_EQ(w.status, EBB_OK) << ebb_error();
    EXPECT_EQ(w.write("new "), EBB_OK);
    EXPECT_EQ(ebb_file_writer_print(w.writer, "%d %s", 7, "lines\n"), EBB_OK);
    EXPECT_EQ(names(), (Names{"out", "out.tmp-" + std::to_string(getpid())}));
    EXPECT_EQ(get("out"), "old");
    EXPECT_EQ(w.commit(), EBB_OK) << ebb_error();
    EXPECT_EQ(w.commit(), EBB_STATE);
  }
  EXPECT_EQ(get("out"), "new 7 lines\n");
  {
    Writer w(path("out"));
    EXPECT_EQ(w.write("never seen"), EBB_OK);
  }
  EXPECT_EQ(get("out"), "new 7 lines\n");
  EXPECT_EQ(names(), Names{"out"});
}

TEST_F(File, WritesToTheCurrentFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder);
  {
    Writer w("bare");
    EXPECT_EQ(w.write("x"), EBB_OK);
    EXPECT_EQ(w.commit(), EBB_OK) << ebb_error();
  }
  std::filesystem::current_path(before);
  EXPECT_EQ(get("bare"), "x");
}

TEST_F(File, TargetsThatAreNoFilesAreRefused) {
  EXPECT_EQ(Writer("").status, EBB_INVALID);
  EXPECT_EQ(Writer(folder).status, EBB_INVALID);
  expect_contains(ebb_error(), {folder, "is a folder"});
  EXPECT_EQ(Writer("/dev/null").status, EBB_INVALID);
  expect_contains(ebb_error(), {"/dev/null", "not a regular file"});
  put("file", "");
  EXPECT_EQ(Writer(path("file/below")).status, EBB_IO);
  expect_contains(ebb_error(), {path("file/below"), "temporary", "Not a directory"});
  EXPECT_EQ(Writer(path(std::string(255, 'n'))).status, EBB_IO);
  expect_contains(ebb_error(), {"too long"});
  {
    const Unprivileged guard;
    chmod(folder.c_str(), 0555);
    EXPECT_EQ(Writer(path("denied")).status, EBB_IO);
    expect_contains(ebb_error(), {path("denied"), "Permission denied"});
    chmod(folder.c_str(), 0755);
  }
  EXPECT_EQ(names(), Names{"file"});
}

TEST_F(File, AFullDiskKeepsTheOldFile) {
  put("out", "old");
  for (int turn = 0; turn < 3; turn++) {
    Writer w(path("out"));
    ASSERT_EQ(w.status, EBB_OK) << ebb_error();
    const FileLimit limit(10000);
    EXPECT_EQ(w.write("head"), EBB_OK);
    const std::string text(turn == 2 ? 10001 - 4 : 20000, 'x');
    /* A write that fits the buffer fails at the commit only. */
    EbbStatus status = turn == 0   ? w.write(text)
                       : turn == 1 ? ebb_file_writer_print(w.writer, "%s", text.c_str())
                                   : w.write(text);
    if (status == EBB_OK) status = w.commit();
    EXPECT_EQ(status, EBB_IO);
    expect_contains(ebb_error(), {path("out") + ": cannot write", "File too large"});
    if (turn == 0) expect_contains(ebb_error(), {"20000 bytes after the first 4:"});
    EXPECT_EQ(w.commit(), EBB_IO) << "a failed writer must not replace the file";
  }
  EXPECT_EQ(get("out"), "old");
  EXPECT_EQ(names(), Names{"out"});
}

TEST_F(File, SafetensorsCommitOnAFullDiskKeepsTheOldFile) {
  const std::vector<float> values(5000, 1.0F);
  const int64_t dim = 5000;
  const EbbShape shape = ebb_shape_from(1, &dim);
  put("model", "old");
  EbbSafetensorsWriter *writer;
  ASSERT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
  EXPECT_EQ(ebb_safetensors_writer_add(writer, "w", EBB_ST_F32, &shape, values.data()), EBB_OK);
  {
    const FileLimit limit(8192);
    EXPECT_EQ(ebb_safetensors_writer_commit(writer, path("model").c_str()), EBB_IO);
    expect_contains(ebb_error(), {path("model"), "20000 bytes", "File too large"});
  }
  EXPECT_EQ(get("model"), "old");
  EXPECT_EQ(names(), Names{"model"});
  EXPECT_EQ(ebb_safetensors_writer_commit(writer, path("model").c_str()), EBB_OK) << "space was made";
  ebb_safetensors_writer_destroy(writer);
  EbbSafetensors *file;
  ASSERT_EQ(ebb_safetensors_open(path("model").c_str(), &file), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_safetensors_find(file, "w")->bytes, 20000U);
  ebb_safetensors_close(file);
}

TEST_F(File, AKilledWriterLeavesTheOldFileAndTheNextOneCleansUp) {
  put("out", "old");
  const int status = in_child([&] {
    Writer w(path("out"));
    if (w.write(std::string(1 << 20, 'x')) == EBB_OK) kill(getpid(), SIGKILL);
    return 1;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(get("out"), "old");
  EXPECT_EQ(names().size(), 2U) << "the killed process cannot remove its temporary";
  put("out.tmp-notes", "not ours");
  put("other.tmp-1", "of another file");
  put("out.tmp-" + std::to_string(getpid()), "left by an earlier process with our number");
  Writer w(path("out"));
  ASSERT_EQ(w.status, EBB_OK) << ebb_error();
  EXPECT_EQ(w.write("new"), EBB_OK);
  EXPECT_EQ(w.commit(), EBB_OK) << ebb_error();
  EXPECT_EQ(get("out"), "new");
  EXPECT_EQ(names(), (Names{"other.tmp-1", "out", "out.tmp-notes"}));
}

TEST_F(File, TwoWritersOfOneFileInOneProcess) {
  Writer first(path("out"));
  EXPECT_EQ(Writer(path("out")).status, EBB_STATE);
  expect_contains(ebb_error(), {path("out"), "being written already"});
  EXPECT_EQ(first.write("first"), EBB_OK);
  EXPECT_EQ(first.commit(), EBB_OK) << ebb_error();
  EXPECT_EQ(get("out"), "first");
}

TEST_F(File, ALiveWriterOfAnotherProcessIsLeftAlone) {
  Writer w(path("out"));
  EXPECT_EQ(w.write("parent"), EBB_OK);
  const int status = in_child([&] {
    Writer other(path("out"));
    return other.write("child") != EBB_OK || other.commit() != EBB_OK;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(get("out"), "child");
  EXPECT_EQ(w.commit(), EBB_OK) << ebb_error();
  EXPECT_EQ(get("out"), "parent");
}

/* Writers clean up after each other while others are between creating and locking their temporaries. */
TEST_F(File, ManyProcessesWritingOneFile) {
  std::vector<pid_t> children;
  for (int k = 0; k < 4; k++) {
    const pid_t pid = fork();
    if (pid == 0) {
      int failures = 0;
      for (int i = 0; i < 25; i++) {
        Writer w(path("out"));
        const std::string text(9000, static_cast<char>('a' + k));
        failures += w.status != EBB_OK || w.write(text) != EBB_OK || w.commit() != EBB_OK;
      }
      _exit(failures);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const std::string text = get("out");
  EXPECT_EQ(text, std::string(9000, text.empty() ? '?' : text[0]));
  EXPECT_EQ(names(), Names{"out"});
}

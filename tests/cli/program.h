// Starts the built ebb in a folder of its own and sees what it leaves: exit status, output, files.
#ifndef EBB_TESTS_PROGRAM_H
#define EBB_TESTS_PROGRAM_H

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace ebb_test {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;  // exit status, or -1 after a signal
  int signal = 0; // that ended it
  std::string out, err;
};

inline std::string read_text(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A folder for one test, removed with it. Programs run in it, data sets are looked for in its folder data,
// and experiments in its folder experiments.
class Place {
public:
  Place() {
    std::string pattern = testing::TempDir() + "ebb_cli_XXXXXX";
    path = mkdtemp(pattern.data());
    fs::create_directories(path / "data");
    fs::create_directories(path / "experiments");
  }
  Place(const Place &) = delete;
  Place &operator=(const Place &) = delete;
  ~Place() { fs::remove_all(path); }

  fs::path write(const std::string &name, const std::string &text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
    return path / name;
  }

  // Starts `program` with arguments; `name` keeps the outputs of several apart.
  pid_t start(const std::vector<std::string> &arguments, const std::string &name = "run",
              const std::string &program = EBB_PROGRAM) const {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_addopen(&actions, 2, err(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_addchdir_np(&actions, path.c_str());
    std::vector<char *> argv{const_cast<char *>(program.c_str())};
    for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<std::string> environment = surroundings();
    std::vector<char *> envp;
    for (std::string &variable : environment) envp.push_back(variable.data());
    envp.push_back(nullptr);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), envp.data()), 0) << program;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }

  Outcome wait(pid_t pid, const std::string &name = "run") const {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    Outcome outcome;
    if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.out = read_text(out(name));
    outcome.err = read_text(err(name));
    return outcome;
  }

  Outcome run(const std::vector<std::string> &arguments) const { return wait(start(arguments)); }
  Outcome shell(const std::string &command) const { return wait(start({"-c", command}, "run", "/bin/sh")); }

  fs::path path;

private:
  std::string out(const std::string &name) const { return path / (name + ".out"); }
  std::string err(const std::string &name) const { return path / (name + ".err"); }

  std::vector<std::string> surroundings() const {
    std::vector<std::string> result{"EBB_DATA=" + (path / "data").string(),
                                    "EBB_EXPERIMENTS=" + (path / "experiments").string()};
    for (char **variable = environ; *variable; variable++) {
      std::string text = *variable;
      if (text.rfind("EBB_DATA=", 0) && text.rfind("EBB_EXPERIMENTS=", 0)) result.push_back(text);
    }
    return result;
  }
};

inline void expect_contains(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in:\n" << text;
}

// The work failed with one sentence, which contains every part.
inline void expect_failure(const Outcome &outcome, int code, const std::vector<std::string> &parts) {
  EXPECT_EQ(outcome.code, code) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.err.rfind("ebb: ", 0), 0u) << outcome.err;
  for (const std::string &part : parts) expect_contains(outcome.err, part);
}

// A small data set and an experiment on it, "tiny", that trains within a second.
class TinyPlace : public Place {
public:
  explicit TinyPlace(int epochs = 2) {
    write("experiments/tiny.yaml",
          "model: {d_model: 8, n_layers: 1, dropout: 0.1,\n"
          "        layer: {d_state: 4, n_ssm: 1, l_max: 32, liquid_kernel: series}}\n"
          "dataset: {_name_: listops, l_max: 32}\n"
          "loader: {batch_size: 16, bucket_quantum: 8}\n"
          "optimizer: {lr: 0.01}\n"
          "threads: 1\n"
          "trainer: {max_epochs: " +
              std::to_string(epochs) + ", log_every_n_steps: 1}\n");
    Outcome made = run({"data", "listops", "data/listops", "--train", "300", "--val", "60", "--test", "60",
                        "--min-length=5", "--max-length=30", "--seed", "1"});
    EXPECT_EQ(made.code, 0) << made.err;
  }
  Outcome train(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"train", "experiment=tiny"});
    return run(more);
  }
};

} // namespace ebb_test

#endif

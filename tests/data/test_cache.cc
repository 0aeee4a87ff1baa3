// The cache of prepared data sets: equal contents, and every way in which it must not be believed.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "host/data/cache.h"
#include "host/data/cache_file.h"
#include "host/data/sample_arrays.h"

namespace {

namespace fs = std::filesystem;

template <typename T> T *copy_of(const std::vector<T> &from) {
  T *to = static_cast<T *>(malloc(from.size() * sizeof(T) + 1));
  memcpy(to, from.data(), from.size() * sizeof(T));
  return to;
}

// A loader that makes every kind of array; three splits, two of them views of one storage of more than a
// block. Each use is noted in a file, so that other processes' count too.
int64_t expected_bytes = 0;
const char *const sources[] = {"small.txt", "large.bin"};

EbbStatus list_sources(const EbbConfig *config, EbbCacheKey *key) {
  EBB_TRY(ebb_cache_key_folder(key, ebb_config_string(config, "dataset.data_dir")));
  for (const char *name : sources) EBB_TRY(ebb_cache_key_file(key, name));
  key->expected = expected_bytes;
  return EBB_OK;
}

void fill(EbbSamples *samples, int64_t n, int64_t length) {
  std::vector<int64_t> offset;
  std::vector<int32_t> labels;
  for (int64_t s = 0; s <= n; s++) offset.push_back(s * length), labels.push_back(int32_t(s * 7 % 10));
  std::vector<int16_t> raw;
  for (int64_t i = 0; i < n * length * 2; i++) raw.push_back(int16_t(i * 31337));
  std::vector<float> elapsed(size_t(n * length), 0.25F);
  samples->n_samples = samples->n_stored = n;
  samples->offset = copy_of(offset), samples->labels = copy_of(labels);
  samples->raw = copy_of(raw), samples->raw_type = EBB_RAW_I16;
  samples->elapsed = copy_of(elapsed);
}

EbbStatus make(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  const std::string folder = ebb_config_string(config, "dataset.data_dir");
  std::ofstream(folder + "/uses", std::ios::app) << "x";
  EbbDataset *dataset = static_cast<EbbDataset *>(calloc(1, sizeof *dataset));
  snprintf(dataset->name, sizeof dataset->name, "made");
  dataset->n_classes = dataset->d_output = 10;
  dataset->d_input = 2, dataset->n_towers = 1, dataset->longest = 40;
  fill(&dataset->split[EBB_TRAIN], 30000, 40);
  fill(&dataset->split[EBB_TEST], 3, 40);
  dataset->split[EBB_VALIDATION] = dataset->split[EBB_TRAIN];
  dataset->split[EBB_TRAIN].order = copy_of(std::vector<int64_t>{5, 29999, 0});
  dataset->split[EBB_VALIDATION].order = copy_of(std::vector<int64_t>{1, 4});
  dataset->split[EBB_TRAIN].n_samples = 3, dataset->split[EBB_VALIDATION].n_samples = 2;
  std::vector<float> scale(80, 0.5F);
  std::vector<int32_t> permutation;
  for (int32_t t = 0; t < 40; t++) permutation.push_back(39 - t);
  dataset->scale = copy_of(scale), dataset->offset = copy_of(scale), dataset->scale_per_position = true;
  dataset->permutation = copy_of(permutation);
  dataset->class_weights = copy_of(std::vector<float>(10, 2.0F));
  *out = dataset;
  return ebb_loading_step(loading, "made", 1, 1, "sample");
}

const EbbCachedLoader maker = {3, list_sources, make};

// What a load told, and what is done to it on the way.
struct Told {
  std::vector<std::string> lines;
  int steps = 0;
  std::function<void(const std::string &label, int64_t done, int64_t total)> at_step;
  bool stop = false;
};

const EbbLoading listen(Told *told) {
  EbbLoading loading = {};
  loading.context = told;
  loading.line = [](void *context, const char *text) { static_cast<Told *>(context)->lines.push_back(text); };
  loading.progress = [](void *context, const char *label, int64_t done, int64_t total, const char *) {
    Told *t = static_cast<Told *>(context);
    t->steps++;
    if (t->at_step) t->at_step(label, done, total);
  };
  loading.stop = [](void *context) { return static_cast<Told *>(context)->stop; };
  return loading;
}

class Cache : public testing::Test {
protected:
  fs::path root, folder;
  EbbConfig *config = nullptr;

  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_cache", folder = root / "cache";
    fs::remove_all(root);
    fs::create_directories(root);
    write("small.txt", "some text");
    write("large.bin", std::string(100 * 1024, 'a'));
    ASSERT_EQ(ebb_config_create(&config), EBB_OK);
    set("dataset._name_=made");
    set("dataset.data_dir=" + root.string());
    set("dataset.cache=on");
  }
  void TearDown() override {
    ebb_config_destroy(config);
    expected_bytes = 0;
    fs::remove_all(root);
  }
  void set(const std::string &assignment) {
    ASSERT_EQ(ebb_config_override(config, assignment.c_str()), EBB_OK) << ebb_error();
  }
  void write(const std::string &name, const std::string &text) const { std::ofstream(root / name) << text; }
  EbbStatus load(EbbDataset **out, Told *told = nullptr) const {
    static Told nothing;
    const EbbLoading loading = listen(told ? told : &nothing);
    return ebb_cached_load(&maker, config, &loading, out);
  }
  // Loads and forgets; the lines that were told.
  std::vector<std::string> load_once() const {
    Told told;
    EbbDataset *dataset = nullptr;
    EXPECT_EQ(load(&dataset, &told), EBB_OK) << ebb_error();
    ebb_dataset_destroy(dataset);
    return told.lines;
  }
  size_t uses() const { return fs::exists(root / "uses") ? size_t(fs::file_size(root / "uses")) : 0; }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    if (fs::exists(folder))
      for (const auto &entry : fs::directory_iterator(folder)) all.push_back(entry.path());
    return all;
  }
  EbbStatus read(const fs::path &path) const {
    EbbCacheKey key;
    EbbDataset *dataset = nullptr;
    EXPECT_EQ(ebb_cache_key_begin(&key, config, maker.version), EBB_OK);
    EXPECT_EQ(list_sources(config, &key), EBB_OK);
    EXPECT_EQ(ebb_cache_key_end(&key), EBB_OK);
    const EbbStatus status = ebb_cache_read(path.c_str(), &key, nullptr, &dataset);
    EXPECT_EQ(dataset != nullptr, status == EBB_OK);
    ebb_dataset_destroy(dataset);
    ebb_cache_key_release(&key);
    return status;
  }
};

bool has(const std::vector<std::string> &lines, const std::string &part) {
  for (const std::string &line : lines)
    if (line.find(part) != std::string::npos) return true;
  return false;
}

void expect_same(const EbbDataset *a, const EbbDataset *b) {
  EXPECT_STREQ(a->name, b->name);
  EXPECT_EQ(a->n_classes, b->n_classes);
  EXPECT_EQ(a->vocabulary, b->vocabulary);
  EXPECT_EQ(a->d_input, b->d_input);
  EXPECT_EQ(a->longest, b->longest);
  EXPECT_EQ(a->scale_per_position, b->scale_per_position);
  const auto same = [](const void *x, const void *y, size_t bytes) {
    return (!x && !y) || (x && y && memcmp(x, y, bytes) == 0);
  };
  for (int i = 0; i < EBB_DATASET_ARRAYS; i++)
    EXPECT_TRUE(same(ebb_dataset_array(a, i), ebb_dataset_array(b, i), ebb_dataset_array_bytes(a, i))) << i;
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples *x = &a->split[split], *y = &b->split[split];
    ASSERT_EQ(x->n_samples, y->n_samples);
    for (int i = 0; i < EBB_SAMPLE_ARRAYS; i++) {
      const size_t bytes = ebb_sample_array(x, i) ? ebb_sample_array_bytes(a, x, i) : 0;
      EXPECT_TRUE(same(ebb_sample_array(x, i), ebb_sample_array(y, i), bytes)) << split << " " << i;
    }
  }
}

TEST_F(Cache, HoldsWhatTheLoaderMade) {
  EbbDataset *made = nullptr, *first = nullptr, *second = nullptr;
  Told told;
  ASSERT_EQ(make(config, nullptr, &made), EBB_OK);
  ASSERT_EQ(load(&first, &told), EBB_OK) << ebb_error();
  EXPECT_TRUE(has(told.lines, "preparing 'made' once")) << testing::PrintToString(told.lines);
  EXPECT_GT(told.steps, 3);
  ASSERT_EQ(load(&second), EBB_OK) << ebb_error();
  EXPECT_EQ(uses(), 2U);
  EXPECT_EQ(files().size(), 1U);
  expect_same(made, first);
  expect_same(made, second);
  EXPECT_NE(second->mapping, nullptr);
  EXPECT_EQ(second->split[EBB_TRAIN].raw, second->split[EBB_VALIDATION].raw);
  EXPECT_NE(second->split[EBB_TRAIN].order, second->split[EBB_VALIDATION].order);
  EXPECT_LT(second->mapping_bytes, 3 * ebb_sample_array_bytes(made, &made->split[EBB_TRAIN], 4))
      << "the shared storage is written twice";
  for (EbbDataset *dataset : {made, first, second}) ebb_dataset_destroy(dataset);
}

TEST_F(Cache, ChangedFilesAndSettingsAreNoticed) {
  load_once();
  struct stat before;
  ASSERT_EQ(stat((root / "small.txt").c_str(), &before), 0);
  write("small.txt", "same size");
  const timespec times[] = {before.st_mtim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (root / "small.txt").c_str(), times, 0), 0);
  const std::vector<std::string> lines = load_once();
  EXPECT_TRUE(has(lines, "a file has changed: it was made from 'small.txt")) << testing::PrintToString(lines);
  EXPECT_EQ(uses(), 2U);
  fs::last_write_time(root / "large.bin", fs::last_write_time(root / "large.bin") + std::chrono::seconds(1));
  EXPECT_TRUE(has(load_once(), "made from 'large.bin"));
  EXPECT_EQ(uses(), 3U);
  EXPECT_EQ(load_once(), std::vector<std::string>());
  set("dataset.l_max=77");
  load_once();
  EXPECT_EQ(uses(), 4U);
  set("dataset.l_max=2048");
  load_once();
  EXPECT_EQ(uses(), 4U) << "settings replaced each other's cache";
  EXPECT_EQ(files().size(), 2U);
  set("dataset.cache_dir=" + (root / "elsewhere").string());
  load_once();
  EXPECT_EQ(uses(), 5U);
  EXPECT_TRUE(fs::exists(root / "elsewhere" / files()[0].filename()) ||
              fs::exists(root / "elsewhere" / files()[1].filename()));
}

// One byte of the head after the other, bytes of every array, and every kind of cut.
TEST_F(Cache, DamageIsFound) {
  load_once();
  const fs::path path = files().at(0);
  ASSERT_EQ(read(path), EBB_OK) << ebb_error();
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  EbbCacheHead head;
  memcpy(&head, text.data(), sizeof head);
  ASSERT_GT(head.n_blocks, head.n_rows / 2);
  std::vector<size_t> at;
  for (size_t i = 0; i < head.head_bytes; i += 3) at.push_back(i);
  at.push_back(EBB_CACHE_PAGE), at.push_back(EBB_CACHE_BLOCK + 12345);
  const size_t rows = sizeof head + head.settings_bytes + head.sources_bytes + sizeof(EbbCacheFacts);
  for (size_t r = 0; r < head.n_rows; r++) {
    EbbCacheRow row;
    memcpy(&row, text.data() + rows + r * sizeof row, sizeof row);
    at.push_back(row.begin), at.push_back(row.begin + row.bytes - 1);
  }
  const int fd = open(path.c_str(), O_RDWR);
  for (size_t i : at) {
    const char wrong = char(text[i] ^ 0x10);
    ASSERT_EQ(pwrite(fd, &wrong, 1, off_t(i)), 1);
    const EbbStatus status = read(path);
    EXPECT_TRUE(status == EBB_FORMAT || status == EBB_MISMATCH) << i << " " << status;
    ASSERT_EQ(pwrite(fd, &text[i], 1, off_t(i)), 1);
  }
  ASSERT_EQ(read(path), EBB_OK);
  for (size_t length : {text.size() - 1, size_t(head.head_bytes), sizeof head, sizeof head - 1, size_t(0)}) {
    ASSERT_EQ(ftruncate(fd, off_t(length)), 0);
    EXPECT_EQ(read(path), EBB_FORMAT) << length;
  }
  close(fd);
  EXPECT_TRUE(has(load_once(), "is made again"));
  EXPECT_EQ(uses(), 2U);
  EXPECT_EQ(read(path), EBB_OK);
}

TEST_F(Cache, FullDiskIsAnErrorAndLeavesNothing) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit low = {1000 * 1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  EbbDataset *dataset = nullptr;
  const EbbStatus status = load(&dataset);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(status, EBB_IO);
  EXPECT_EQ(dataset, nullptr);
  EXPECT_NE(std::string(ebb_error()).find("MiB; make room"), std::string::npos) << ebb_error();
  EXPECT_NE(std::string(ebb_error()).find("dataset.cache=off"), std::string::npos) << ebb_error();
  EXPECT_TRUE(files().empty()) << files()[0];
  load_once();
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(Cache, RoomIsCheckedBeforeTheWork) {
  expected_bytes = int64_t(1) << 60;
  EbbDataset *dataset = nullptr;
  EXPECT_EQ(load(&dataset), EBB_IO);
  EXPECT_NE(std::string(ebb_error()).find("GiB are free"), std::string::npos) << ebb_error();
  EXPECT_EQ(uses(), 0U);
}

TEST_F(Cache, KilledPreparationIsNotTakenForWhole) {
  for (bool writing : {false, true}) {
    const pid_t child = fork();
    if (child == 0) {
      omp_set_num_threads(1); // the parent's threads are not here
      Told told;
      told.at_step = [writing](const std::string &label, int64_t done, int64_t total) {
        if (!writing || (label == "caching made" && done > total / 2)) raise(SIGKILL);
      };
      EbbDataset *dataset = nullptr;
      (void)!load(&dataset, &told);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    for (const fs::path &path : files()) EXPECT_NE(path.extension(), ".ebbcache") << path;
  }
  EXPECT_FALSE(files().empty());
  load_once();
  EXPECT_EQ(uses(), 3U);
  EXPECT_EQ(files().size(), 1U) << "what the killed left is still there";
  EXPECT_EQ(read(files().at(0)), EBB_OK);
}

TEST_F(Cache, StopEndsItWithoutFiles) {
  for (int after : {1, 3}) {
    Told told;
    told.at_step = [&told, after](const std::string &, int64_t, int64_t) { told.stop = told.steps >= after; };
    EbbDataset *dataset = nullptr;
    EXPECT_EQ(load(&dataset, &told), EBB_INTERRUPTED);
    EXPECT_EQ(dataset, nullptr);
    EXPECT_TRUE(files().empty());
  }
}

TEST_F(Cache, OneOfManyProcessesPrepares) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; i++) {
    children.push_back(fork());
    if (children.back() == 0) {
      omp_set_num_threads(1);
      Told told;
      told.at_step = [](const std::string &, int64_t, int64_t) { usleep(2000); };
      EbbDataset *dataset = nullptr;
      const EbbStatus status = load(&dataset, &told);
      _exit(status == EBB_OK && dataset->split[EBB_TRAIN].order[1] == 29999 ? 0 : 1);
    }
  }
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(uses(), 1U);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(Cache, FolderThatCannotBeWritten) {
  write("blocked", "a file stands where the folder should be");
  fs::create_symlink(root / "blocked", root / "cache");
  const std::vector<std::string> lines = load_once();
  EXPECT_TRUE(has(lines, "'made' is loaded without a cache")) << testing::PrintToString(lines);
  EXPECT_EQ(uses(), 1U);
  set("dataset.cache_dir=" + (root / "blocked").string());
  EbbDataset *dataset = nullptr;
  EXPECT_EQ(load(&dataset), EBB_IO);
  EXPECT_EQ(uses(), 1U);
}

TEST_F(Cache, AutoKeepsLargeOnesAlone) {
  set("dataset.cache=auto");
  load_once();
  EXPECT_TRUE(files().empty());
  expected_bytes = 64 << 20;
  load_once();
  EXPECT_EQ(files().size(), 1U);
  set("dataset.cache=off");
  load_once();
  EXPECT_EQ(uses(), 3U);
  set("dataset.cache=auto");
  load_once();
  EXPECT_EQ(uses(), 3U);
}

// Tokens come back raw, with their texts; batches are the same with and without a cache, whatever the length.
TEST_F(Cache, ListopsBatchesAreTheSame) {
  EbbListopsConfig listops = {};
  listops.n_train = 60, listops.n_val = listops.n_test = 9;
  listops.max_depth = listops.max_args = 5;
  listops.min_length = 5, listops.max_length = 60;
  ASSERT_EQ(ebb_listops_generate(root.c_str(), &listops), EBB_OK) << ebb_error();
  set("dataset._name_=listops");
  EbbDataset *set_of[3] = {};
  for (int i = 0; i < 3; i++) {
    set(i == 0 ? "dataset.cache=off" : "dataset.cache=on");
    ASSERT_EQ(ebb_dataset_load(config, &set_of[i]), EBB_OK) << ebb_error();
  }
  ASSERT_EQ(files().size(), 1U);
  EXPECT_NE(set_of[0]->split[EBB_TRAIN].tokens, nullptr);
  EXPECT_EQ(set_of[2]->split[EBB_TRAIN].tokens, nullptr);
  for (int64_t id = 0; id < set_of[0]->vocabulary; id++)
    EXPECT_STREQ(set_of[2]->token_text[id], set_of[0]->token_text[id]);
  EbbLoaderConfig plan = {};
  plan.batch_size = 7, plan.shuffle = true, plan.bucket_quantum = 8, plan.sort_window = 3, plan.seed = 5;
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbLoader *loader[3] = {};
    for (int i = 0; i < 3; i++)
      ASSERT_EQ(ebb_loader_create(set_of[i], EbbSplit(split), &plan, &loader[i]), EBB_OK) << ebb_error();
    for (int64_t index = 0; index < ebb_loader_batches(loader[0]); index++) {
      const EbbBatch *batch[3] = {};
      for (int i = 0; i < 3; i++) ASSERT_EQ(ebb_loader_batch(loader[i], 1, index, &batch[i]), EBB_OK);
      for (int i = 1; i < 3; i++) {
        ASSERT_EQ(batch[i]->length, batch[0]->length);
        EXPECT_EQ(memcmp(batch[i]->tokens, batch[0]->tokens, size_t(7 * batch[0]->length) * 4), 0);
        EXPECT_EQ(memcmp(batch[i]->lengths, batch[0]->lengths, 7 * 4), 0);
        EXPECT_EQ(memcmp(batch[i]->labels, batch[0]->labels, 7 * 4), 0);
      }
    }
    for (EbbLoader *one : loader) ebb_loader_destroy(one);
  }
  for (EbbDataset *dataset : set_of) ebb_dataset_destroy(dataset);
}

} // namespace

#include <gtest/gtest.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "ebb/data.h"

namespace {

namespace fs = std::filesystem;

class ListopsGenerate : public testing::Test {
protected:
  fs::path root;
  void SetUp() override {
    const auto *info = testing::UnitTest::GetInstance()->current_test_info();
    root = fs::path(testing::TempDir()) / (std::string("ebb_listops_generate_") + info->name());
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }
};

EbbListopsConfig standard(int64_t n_train) {
  EbbListopsConfig config = {};
  config.n_train = n_train, config.n_val = 50, config.n_test = 50;
  config.max_depth = config.max_args = 10;
  config.min_length = 500, config.max_length = 2000;
  config.seed = 5;
  return config;
}

std::string bytes_of(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> rows_of(const fs::path &path) {
  std::string text = bytes_of(path);
  std::vector<std::string> rows;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find("\r\n", at);
    if (end == std::string::npos) {
      ADD_FAILURE() << path << " has a line without CRLF";
      break;
    }
    rows.push_back(text.substr(at, end - at));
    at = end + 2;
  }
  EXPECT_FALSE(rows.empty());
  if (rows.empty()) return rows;
  EXPECT_EQ(rows[0], "Source\tTarget");
  rows.erase(rows.begin());
  return rows;
}

/* An evaluator and writer of its own, by the published definition: it reads the text without parentheses. */
struct Node {
  std::string name; /* operator, or empty */
  int value = 0;
  std::vector<Node> arguments;
};

struct Parsed {
  Node root;
  int64_t tokens = 0;
};

int value_of(const std::string &name, std::vector<int> values) {
  std::sort(values.begin(), values.end());
  size_t k = values.size();
  int sum = 0;
  for (int value : values) sum += value;
  if (name == "[MIN") return values.front();
  if (name == "[MAX") return values.back();
  if (name == "[MED") return k % 2 ? values[k / 2] : (values[k / 2 - 1] + values[k / 2]) / 2;
  EXPECT_EQ(name, "[SM");
  return sum % 10;
}

const char *skip(const char *at) { return at + strspn(at, "() "); }

Node parse(const char **at, int64_t *tokens) {
  Node node;
  const char *begin = *at = skip(*at);
  *at += strcspn(begin, "() \t");
  ++*tokens;
  if (*begin != '[') {
    EXPECT_TRUE(*at == begin + 1 && *begin >= '0' && *begin <= '9') << begin;
    node.value = *begin - '0';
    return node;
  }
  node.name.assign(begin, *at);
  std::vector<int> values;
  while (*(*at = skip(*at)) != ']' && **at != '\t') {
    node.arguments.push_back(parse(at, tokens));
    values.push_back(node.arguments.back().value);
  }
  ++*at;
  ++*tokens;
  EXPECT_GE(values.size(), 2U);
  if (!values.empty()) node.value = value_of(node.name, values);
  return node;
}

std::string written(const Node &node) {
  if (node.name.empty()) return std::to_string(node.value);
  std::string text = node.name;
  for (const Node &argument : node.arguments) {
    std::string pair = "( ";
    pair += text + " " + written(argument) + " )";
    text = pair;
  }
  std::string closed = "( ";
  return closed + text + " ] )";
}

Parsed parse_row(const std::string &row, bool check_form = true) {
  size_t tab = row.find('\t');
  const char *at = row.c_str();
  Parsed parsed;
  parsed.root = parse(&at, &parsed.tokens);
  EXPECT_EQ(skip(at), row.c_str() + tab);
  if (check_form) {
    EXPECT_EQ(written(parsed.root), row.substr(0, tab));
  }
  EXPECT_EQ(std::to_string(parsed.root.value), row.substr(tab + 1));
  return parsed;
}

void expect_refused(const fs::path &folder, const EbbListopsConfig &config, EbbStatus code,
                    const std::string &part) {
  EXPECT_EQ(ebb_listops_generate(folder.c_str(), &config), code);
  EXPECT_NE(std::string(ebb_error()).find(part), std::string::npos) << ebb_error();
  if (!fs::is_directory(folder)) return;
  for (const auto &entry : fs::directory_iterator(folder)) {
    EXPECT_FALSE(entry.is_regular_file()) << entry.path() << " was left behind";
  }
}

/* All 400 expressions of one operator and two digits: every value rule on every pair, and the string form. */
TEST_F(ListopsGenerate, AllPairs) {
  EbbListopsConfig config = standard(398);
  config.n_val = config.n_test = 1;
  config.max_depth = config.max_args = 2;
  config.min_length = 3, config.max_length = 5;
  ASSERT_EQ(ebb_listops_generate(root.c_str(), &config), EBB_OK) << ebb_error();
  std::set<std::string> rows;
  for (const char *name : {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"}) {
    for (const std::string &row : rows_of(root / name)) rows.insert(row);
  }
  EXPECT_EQ(rows.size(), 400U);
  EXPECT_EQ(rows.count("( ( ( [MAX 2 ) 9 ) ] )\t9"), 1U);
  EXPECT_EQ(rows.count("( ( ( [MED 2 ) 9 ) ] )\t5"), 1U);
  EXPECT_EQ(rows.count("( ( ( [SM 2 ) 9 ) ] )\t1"), 1U);
  for (const std::string &row : rows) EXPECT_EQ(parse_row(row).tokens, 4);
}

TEST_F(ListopsGenerate, MoreSamplesThanExpressions) {
  EbbListopsConfig config = standard(399);
  config.n_val = config.n_test = 1;
  config.max_depth = config.max_args = 2;
  config.min_length = 3, config.max_length = 5;
  expect_refused(root / "new", config, EBB_INVALID, "401 samples are wanted, but after 400 different ones");
}

/* Expected shares: 20000 samples of an independent generator (standard errors 0.2 to 0.3 points there). */
TEST_F(ListopsGenerate, StatisticsOfThePublishedRules) {
  EbbListopsConfig config = standard(3000);
  ASSERT_EQ(ebb_listops_generate(root.c_str(), &config), EBB_OK) << ebb_error();
  const double share[10] = {.170, .087, .080, .083, .089, .088, .076, .072, .086, .171};
  std::map<std::string, int> operators, arguments;
  std::vector<int64_t> lengths;
  std::vector<double> count(10);
  int from_root = 0;
  std::vector<std::string> rows = rows_of(root / "basic_train.tsv");
  ASSERT_EQ(rows.size(), 3000U);
  for (const std::string &row : rows) {
    Parsed parsed = parse_row(row, lengths.size() < 300);
    lengths.push_back(parsed.tokens);
    count[parsed.root.value]++;
    operators[parsed.root.name]++;
    arguments[std::to_string(parsed.root.arguments.size())]++;
    from_root +=
        parsed.root.value ==
        std::map<std::string, int>{{"[MIN", 0}, {"[MAX", 9}, {"[MED", 4}, {"[SM", 0}}[parsed.root.name];
  }
  const double n = 3000;
  for (int label = 0; label < 10; label++) {
    EXPECT_NEAR(count[label] / n, share[label], 4.5 * std::sqrt(share[label] / n) + .002) << label;
  }
  EXPECT_EQ(operators.size(), 4U);
  for (const auto &[name, times] : operators) EXPECT_NEAR(times / n, .25, .036) << name;
  EXPECT_NEAR(arguments["10"] / n, .166, .032);
  EXPECT_NEAR(arguments["2"] / n, .043, .018);
  EXPECT_NEAR(from_root / n, .364, .042);
  std::sort(lengths.begin(), lengths.end());
  double mean = 0;
  for (int64_t length : lengths) mean += static_cast<double>(length) / n;
  EXPECT_NEAR(mean, 1035, 37);
  EXPECT_NEAR(static_cast<double>(lengths[750]), 700, 50);
  EXPECT_NEAR(static_cast<double>(lengths[1500]), 951, 63);
  EXPECT_NEAR(static_cast<double>(lengths[2250]), 1313, 85);
  EXPECT_GT(lengths.front(), 500);
  EXPECT_LT(lengths.back(), 2000);
  EXPECT_LE(lengths.front(), 503);
  EXPECT_GE(lengths.back(), 1980);
}

TEST_F(ListopsGenerate, BoundsAreExclusive) {
  EbbListopsConfig config = standard(300);
  config.min_length = 9, config.max_length = 12;
  ASSERT_EQ(ebb_listops_generate(root.c_str(), &config), EBB_OK) << ebb_error();
  std::set<int64_t> lengths;
  for (const std::string &row : rows_of(root / "basic_train.tsv")) lengths.insert(parse_row(row).tokens);
  EXPECT_EQ(lengths, (std::set<int64_t>{10, 11}));
}

TEST_F(ListopsGenerate, SameBytesWithOneAndMoreThreads) {
  EbbListopsConfig config = standard(1200);
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  ASSERT_EQ(ebb_listops_generate((root / "one").c_str(), &config), EBB_OK) << ebb_error();
  omp_set_num_threads(3);
  ASSERT_EQ(ebb_listops_generate((root / "a/b/three/").c_str(), &config), EBB_OK) << ebb_error();
  omp_set_num_threads(threads);
  config.seed++;
  ASSERT_EQ(ebb_listops_generate((root / "other").c_str(), &config), EBB_OK) << ebb_error();
  std::set<std::string> all;
  for (const char *name : {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"}) {
    std::string one = bytes_of(root / "one" / name);
    EXPECT_GT(one.size(), 100U);
    EXPECT_EQ(one, bytes_of(root / "a/b/three" / name));
    EXPECT_NE(one, bytes_of(root / "other" / name));
    for (const std::string &row : rows_of(root / "one" / name)) all.insert(row);
  }
  EXPECT_EQ(all.size(), 1300U) << "a sample occurs twice";
}

/* Small expressions repeat often; none may occur twice, and a longer set begins with a shorter one. */
TEST_F(ListopsGenerate, NoDuplicatesAndStableOrder) {
  EbbListopsConfig config = standard(3000);
  config.min_length = 3, config.max_length = 7;
  ASSERT_EQ(ebb_listops_generate((root / "long").c_str(), &config), EBB_OK) << ebb_error();
  config.n_train = 1000;
  ASSERT_EQ(ebb_listops_generate((root / "short").c_str(), &config), EBB_OK) << ebb_error();
  std::vector<std::string> rows = rows_of(root / "long/basic_train.tsv"),
                           some = rows_of(root / "short/basic_train.tsv");
  std::set<std::string> all(rows.begin(), rows.end());
  for (const char *name : {"basic_val.tsv", "basic_test.tsv"}) {
    for (const std::string &row : rows_of(root / "long" / name)) all.insert(row);
  }
  EXPECT_EQ(all.size(), 3100U);
  ASSERT_EQ(some.size(), 1000U);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), rows.begin()));
}

TEST_F(ListopsGenerate, ReplacesAnEarlierSetAndReportsProgress) {
  EbbListopsConfig config = standard(2000);
  std::vector<int64_t> seen;
  config.context = &seen;
  config.progress = [](void *context, int64_t done, int64_t total) {
    EXPECT_EQ(total, 2100);
    static_cast<std::vector<int64_t> *>(context)->push_back(done);
  };
  std::ofstream(root / "basic_val.tsv") << "old";
  ASSERT_EQ(ebb_listops_generate(root.c_str(), &config), EBB_OK) << ebb_error();
  EXPECT_EQ(rows_of(root / "basic_val.tsv").size(), 50U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_GE(seen.size(), 2U);
  EXPECT_EQ(seen.back(), 2100);
  EXPECT_EQ(std::distance(fs::directory_iterator(root), fs::directory_iterator()), 3);
}

TEST_F(ListopsGenerate, RefusesBadSettings) {
  const struct {
    void (*change)(EbbListopsConfig *);
    const char *part;
  } rows[] = {
      {[](EbbListopsConfig *c) { c->n_train = 0; }, "n_train is 0"},
      {[](EbbListopsConfig *c) { c->n_val = -1; }, "n_val is -1"},
      {[](EbbListopsConfig *c) { c->n_test = int64_t(1) << 40; }, "n_test is 1099511627776"},
      {[](EbbListopsConfig *c) { c->max_depth = 0; }, "max_depth is 0"},
      {[](EbbListopsConfig *c) { c->max_args = 1; }, "max_args is 1"},
      {[](EbbListopsConfig *c) { c->min_length = -1; }, "min_length is -1"},
      {[](EbbListopsConfig *c) { c->max_length = int64_t(1) << 40; }, "max_length is 1099511627776"},
      {[](EbbListopsConfig *c) { c->max_length = 501; },
       "strictly between min_length 500 and max_length 501"},
      {[](EbbListopsConfig *c) { c->max_depth = 3; }, "an expression has 1 to 122 tokens"},
      {[](EbbListopsConfig *c) { c->max_args = 2; }, "the longest of them has"},
      {[](EbbListopsConfig *c) { c->min_length = 1, c->max_length = 4; }, "longer; choose"},
  };
  for (const auto &row : rows) {
    EbbListopsConfig config = standard(10);
    row.change(&config);
    expect_refused(root / "new", config, EBB_INVALID, row.part);
  }
}

TEST_F(ListopsGenerate, RefusesBadFolders) {
  std::ofstream(root / "file") << "x";
  fs::create_directories(root / "taken/basic_test.tsv");
  expect_refused(root / "file/sub", standard(10), EBB_IO, "file");
  expect_refused(root / "file", standard(10), EBB_IO, "file");
  expect_refused(root / "taken", standard(10), EBB_INVALID, "basic_test.tsv: is a folder");
  expect_refused("/proc/ebb", standard(10), EBB_IO, "/proc/ebb");
}

/* A limit of the file size stands in for a full disk: write fails in the middle with EFBIG. */
TEST_F(ListopsGenerate, FullDiskLeavesNothing) {
  struct rlimit old, low;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  low = old;
  low.rlim_cur = 100000;
  auto *handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  expect_refused(root, standard(1000), EBB_IO, "basic_train.tsv: cannot write");
  EXPECT_NE(std::string(ebb_error()).find("File too large"), std::string::npos) << ebb_error();
  EXPECT_NE(std::string(ebb_error()).find("nothing is kept"), std::string::npos) << ebb_error();
  EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
}

} // namespace

// Texts as tokens: the IMDB and AAN pipelines as published, a user's own texts, and what is refused.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/files.h"
#include "support/real_data.h"
#include "support/shown.h"

namespace {

using ebb_test::Files;
using ebb_test::Loaded;
using ebb_test::show;
using Ids = std::vector<int32_t>;
using Counts = std::vector<int64_t>;
using Keys = std::vector<std::string>;

// The text of a token sequence.
std::string spell(const Loaded &data, const Ids &ids) {
  std::string text;
  for (int32_t id : ids) text += data.set->token_text[id];
  return text;
}

// Four reviews in every folder; ids are out of the order of names.
void write_imdb(const Files &files) {
  for (const std::string part : {"train", "test"}) {
    for (const std::string id : {"2", "10", "1", "0"}) {
      files.write("aclImdb/" + part + "/neg/" + id + "_3.txt", "bad " + part + id);
      files.write("aclImdb/" + part + "/pos/" + id + "_9.txt", "good\xC3\xA9 " + part + id);
    }
    files.write("aclImdb/" + part + "/unsup/0_0.txt", "zzzz");
  }
}

std::string imdb_lines(const std::string &part) {
  std::string lines;
  for (const std::string id : {"0", "1", "2", "10"}) lines += "0\t" + id + "_3\tbad " + part + id + "\n";
  for (const std::string id : {"0", "1", "2", "10"})
    lines += "1\t" + id + "_9\tgood\xC3\xA9 " + part + id + "\n";
  return lines;
}

TEST(Imdb, TreeIsReadByIdAndTestIsTheValidation) {
  Files files;
  write_imdb(files);
  const Loaded data("imdb", files.folder(), {"dataset.val_split=0", "dataset.min_freq=1"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{8, 8, 8}));
  EXPECT_TRUE(data.set->variable_length);
  EXPECT_EQ(data.set->n_classes, 2);
  const char *expected[] = {"bad train0", "bad train1", "bad train2", "bad train10", "good\xC3\xA9 train0"};
  for (int i = 0; i < 5; i++) {
    const auto shown = show(data, EBB_TRAIN, i);
    EXPECT_EQ(spell(data, shown.tokens[0]), std::string(expected[i]) + "<eos>");
    EXPECT_EQ(shown.labels[0], i >= 4);
  }
  std::multiset<std::string> validation, test;
  int64_t labels = 0;
  for (int64_t i = 0; i < 8; i++) {
    validation.insert(spell(data, show(data, EBB_VALIDATION, i).tokens[0]));
    test.insert(spell(data, show(data, EBB_TEST, i).tokens[0]));
    labels += i < 4 ? show(data, EBB_VALIDATION, i).labels[0] : 0;
  }
  EXPECT_EQ(validation, test);
  EXPECT_TRUE(labels > 0 && labels < 4) << "a part of the validation has both classes";
  const Loaded few("imdb", files.folder(),
                   {"dataset.val_split=0", "dataset.min_freq=1", "dataset.max_samples=4"});
  ASSERT_EQ(few.status, EBB_OK) << few.error;
  EXPECT_EQ(few.counts(), (Counts{4, 8, 8}));
  labels = 0;
  for (int64_t i = 0; i < 4; i++) labels += show(few, EBB_TRAIN, i).labels[0];
  EXPECT_TRUE(labels > 0 && labels < 4) << "a part of the training has both classes";
}

TEST(Imdb, LinesAreTheSameReviews) {
  Files tree, lines;
  write_imdb(tree);
  lines.write("imdb_train.tsv", imdb_lines("train"));
  lines.write("imdb_test.tsv", imdb_lines("test"));
  const Keys keys = {"dataset.val_split=0.3", "dataset.min_freq=2"};
  const Loaded a("imdb", tree.folder(), keys), b("imdb", lines.folder(), keys),
      inside("imdb", tree.folder() + "/aclImdb", keys);
  ASSERT_EQ(a.status, EBB_OK) << a.error;
  ASSERT_EQ(b.status, EBB_OK) << b.error;
  ASSERT_EQ(inside.status, EBB_OK) << inside.error;
  EXPECT_EQ(a.counts(), (Counts{5, 3, 8}));
  EXPECT_EQ(b.counts(), a.counts());
  EXPECT_EQ(inside.counts(), a.counts());
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(show(a, EBB_TRAIN, i).tokens, show(b, EBB_TRAIN, i).tokens);
    EXPECT_EQ(show(a, EBB_TRAIN, i).labels, show(b, EBB_TRAIN, i).labels);
  }
}

TEST(Imdb, NoReviewIsInTrainingAndValidation) {
  Files files;
  write_imdb(files);
  const Loaded data("imdb", files.folder(), {"dataset.val_split=0.25", "dataset.min_freq=1"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  std::set<std::string> seen;
  for (EbbSplit split : {EBB_TRAIN, EBB_VALIDATION})
    for (int64_t i = 0; i < data.split(split).n_samples; i++)
      EXPECT_TRUE(seen.insert(spell(data, show(data, split, i).tokens[0])).second);
  EXPECT_EQ(seen.size(), 8u);
}

TEST(Imdb, VocabularyCountsTextsAsCut) {
  Files files;
  files.write("imdb_train.tsv", "0\t0_1\taab\xC3\xA9zzzz\n1\t0_7\tbaac\n");
  files.write("imdb_test.tsv", "0\t0_1\tabq\n");
  const Loaded data(
      "imdb", files.folder(),
      {"dataset.val_split=0", "dataset.min_freq=2", "dataset.l_max=5", "dataset.append_bos=true"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  // Three characters fit: aab and baa; a is seen four times, b twice, e-acute and z never.
  ASSERT_EQ(data.set->vocabulary, 6);
  const char *expected[] = {"<pad>", "<unk>", "<bos>", "<eos>", "a", "b"};
  for (int id = 0; id < 6; id++) EXPECT_STREQ(data.set->token_text[id], expected[id]);
  EXPECT_EQ(show(data, EBB_TRAIN, 0).tokens[0], (Ids{2, 4, 4, 5, 3}));
  EXPECT_EQ(show(data, EBB_TEST, 0).tokens[0], (Ids{2, 4, 5, 1, 3}));
  EXPECT_EQ(data.set->longest, 5);
}

TEST(Imdb, Words) {
  Files files;
  files.write("imdb_train.tsv", "0\t0_1\tThe film, the FILM... isn't good!\n1\t0_7\tthe best<br />film\n");
  files.write("imdb_test.tsv", "0\t0_1\tthe worst\n");
  const Keys keys = {"dataset.val_split=0", "dataset.min_freq=1", "dataset.level=word",
                     "dataset.append_eos=false"};
  const Loaded data("imdb", files.folder(), keys);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_STREQ(data.set->token_text[2], "film");
  EXPECT_STREQ(data.set->token_text[3], "the");
  EXPECT_STREQ(data.set->token_text[4], "best");
  EXPECT_EQ(data.set->vocabulary, 2 + 6); // film the best br good isn't
  EXPECT_EQ(show(data, EBB_TEST, 0).tokens[0], (Ids{3, 1}));
  Keys last = keys;
  last.insert(last.end(), {"dataset.keep=last", "dataset.l_max=2", "dataset.max_vocab=5"});
  const Loaded cut("imdb", files.folder(), last);
  ASSERT_EQ(cut.status, EBB_OK) << cut.error;
  EXPECT_EQ(cut.set->vocabulary, 5);
  EXPECT_EQ(spell(cut, show(cut, EBB_TRAIN, 1).tokens[0]), "brfilm");
}

// More than 256 and 32,768 kinds of tokens: ids wider than a byte survive in every split.
TEST(Imdb, WideVocabularies) {
  for (const int kinds : {100, 253, 254, 300, 40000}) {
    Files files;
    std::string train = "0\t0_1\t";
    for (int i = 0; i < kinds; i++) train += "w" + std::to_string(i) + " ";
    files.write("imdb_train.tsv", train + "\n1\t0_7\tw0 w" + std::to_string(kinds - 1) + "\n");
    files.write("imdb_test.tsv", "0\t0_1\tw" + std::to_string(kinds - 1) + " w1 w99\n");
    const Loaded data(
        "imdb", files.folder(),
        {"dataset.val_split=0", "dataset.min_freq=1", "dataset.level=word", "dataset.l_max=100000"});
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_EQ(data.set->vocabulary, kinds + 3);
    EXPECT_EQ(spell(data, show(data, EBB_TEST, 0).tokens[0]), "w" + std::to_string(kinds - 1) + "w1w99<eos>");
    const Ids train_ids = show(data, EBB_TRAIN, 0).tokens[0];
    ASSERT_EQ(train_ids.size(), size_t(kinds) + 1);
    for (int i = 0; i < kinds; i++)
      ASSERT_EQ(data.set->token_text[train_ids[size_t(i)]], "w" + std::to_string(i));
  }
}

TEST(Imdb, RefusesDamage) {
  const struct {
    std::string file, text, error;
  } cases[] = {
      {"aclImdb/train/neg/7_9.txt", "x", "7_9.txt: a rating of 9, but those in the folder 'neg' are 1 to 4"},
      {"aclImdb/train/neg/seven.txt", "x", "train/neg/seven.txt: the name of a review is ID_RATING.txt"},
      {"aclImdb/test/pos/7_9.txt", "", "test/pos/7_9.txt: the review is empty"},
      {"aclImdb/test/pos/7_9.txt", "ab\xFF", "test/pos/7_9.txt: the text is not valid UTF-8 from byte 2 on"},
      {"aclImdb/test/pos/7_9.txt", "\xC3", "test/pos/7_9.txt: the text is not valid UTF-8 from byte 0 on"},
      {"imdb_train.tsv", "2\t0_1\tx\n", "imdb_train.tsv:1: the label '2' is not 0 or 1"},
      {"imdb_train.tsv", "0\t0_1\tx\n0\t0_8\tx\n", "imdb_train.tsv:2: '0_8' is no ID_RATING"},
      {"imdb_train.tsv", "0\t0-1\tx\n", "imdb_train.tsv:1: '0-1' is no ID_RATING"},
      {"imdb_train.tsv", "0\tx\n", "imdb_train.tsv:1: the line has 2 tab-separated fields, expected 3"},
      {"imdb_train.tsv", "0\t0_1\t\n", "imdb_train.tsv:1: the review is empty"},
      {"imdb_train.tsv", "0\t0_1\tx", "imdb_train.tsv:1: the last line has no line end"},
      {"imdb_train.tsv", "0\t0_1\tx\xE2\x82\n",
       "imdb_train.tsv:1: the line is not valid UTF-8 from its byte 8 on"},
      {"imdb_train.tsv", "", "imdb_train.tsv: the file is empty"},
  };
  for (const auto &c : cases) {
    Files files;
    if (c.file[0] == 'a') write_imdb(files);
    files.write(c.file, c.text);
    const Loaded data("imdb", files.folder());
    EXPECT_EQ(data.status, EBB_FORMAT) << c.text;
    EXPECT_NE(data.error.find(c.error), std::string::npos) << data.error;
  }
  Files empty;
  const Loaded missing("imdb", empty.folder());
  EXPECT_EQ(missing.status, EBB_NOT_FOUND);
  EXPECT_NE(missing.error.find("aclImdb_v1.tar.gz"), std::string::npos) << missing.error;
  write_imdb(empty);
  const Loaded short_l_max("imdb", empty.folder(), {"dataset.l_max=1"});
  EXPECT_EQ(short_l_max.status, EBB_INVALID);
  const Loaded greedy("imdb", empty.folder(), {"dataset.val_split=0.9"});
  EXPECT_EQ(greedy.status, EBB_INVALID);
  empty.remove("aclImdb/test/pos");
  const Loaded half("imdb", empty.folder());
  EXPECT_EQ(half.status, EBB_NOT_FOUND);
  EXPECT_NE(half.error.find("test/pos"), std::string::npos) << half.error;
}

// Values of an independent reading of the real files.
TEST(Imdb, RealFiles) {
  REAL_DATA(folder, "imdb");
  const Loaded data("imdb", folder, {"dataset.val_split=0", "dataset.l_max=4096"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{25000, 25000, 25000}));
  EXPECT_EQ(data.set->vocabulary, 133);
  EXPECT_EQ(data.set->longest, 4096);
  std::string order;
  for (int id = 3; id < 43; id++) order += data.set->token_text[id];
  EXPECT_EQ(order, " etaoisnrhldcumfygwbp.v,k'IT/><-\"ASBxMHC");
  const EbbSamples &train = data.split(EBB_TRAIN), &test = data.split(EBB_TEST);
  EXPECT_EQ(train.offset[25000], 32485404);
  EXPECT_EQ(test.offset[25000], 31774771);
  int64_t unknown = 0;
  ASSERT_EQ(train.raw_type, EBB_RAW_U8);
  for (int64_t i = 0; i < train.offset[25000]; i++) unknown += static_cast<uint8_t *>(train.raw)[i] == 1;
  EXPECT_EQ(unknown, 197);
  Ids first = show(data, EBB_TRAIN, 0).tokens[0];
  EXPECT_EQ(first.size(), 656u);
  first.resize(12);
  EXPECT_EQ(first, (Ids{37, 5, 7, 11, 19, 3, 7, 18, 3, 6, 3, 17}));
  Ids last = show(data, EBB_TEST, 24999).tokens[0];
  EXPECT_EQ(last.size(), 866u);
  last.resize(6);
  EXPECT_EQ(last, (Ids{29, 3, 21, 6, 9, 3}));
  int64_t longer = 0;
  for (int64_t i = 0; i < 25000; i++) longer += train.offset[i + 1] - train.offset[i] == 4096;
  EXPECT_GE(longer, 727);
}

TEST(Imdb, RealValidationIsThePublishedPermutation) {
  REAL_DATA(folder, "imdb");
  const Loaded data("imdb", folder, {"dataset.val_split=0.1", "dataset.l_max=4096"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{22500, 2500, 25000}));
  const auto val = show(data, EBB_VALIDATION, 0), train = show(data, EBB_TRAIN, 0);
  EXPECT_EQ(val.labels[0], 1);
  EXPECT_EQ(val.tokens[0].size(), 666u);
  EXPECT_EQ(Ids(val.tokens[0].begin(), val.tokens[0].begin() + 8), (Ids{29, 3, 11, 4, 15, 4, 10, 5}));
  EXPECT_EQ(train.labels[0], 0);
  EXPECT_EQ(train.tokens[0].size(), 684u);
  EXPECT_EQ(Ids(train.tokens[0].begin(), train.tokens[0].begin() + 8), (Ids{43, 8, 14, 3, 6, 10, 19, 7}));
  int64_t positive = 0;
  for (int64_t i = 0; i < 2500; i++)
    positive += data.split(EBB_VALIDATION).labels[ebb_stored_sample(&data.split(EBB_VALIDATION), i)];
  EXPECT_EQ(positive, 1257);
}

void write_aan(const Files &files, const std::string &inner = "") {
  files.write(inner + "new_aan_pairs.train.tsv",
              "1.0\tP1\tP2\t\"quoted\tabc\n0.0\tP3\tP4\tx\tyy\n1\tP5\tP6\tab\tcd\n");
  files.write(inner + "new_aan_pairs.eval.tsv", "0.0\tP1\tP3\taq\tb\n");
  files.write(inner + "new_aan_pairs.test.tsv", "1.0\tP1\tP3\tab\tba\r\n");
}

TEST(Aan, PairsAreTwoTowersWithoutQuoting) {
  for (const std::string inner : {"", "tsv_data/"}) {
    Files files;
    write_aan(files, inner);
    for (const char *cache : {"off", "on", "on"}) { // made and mapped
      const Loaded data("aan", files.folder(), {"dataset.l_max=5", std::string("dataset.cache=") + cache});
      ASSERT_EQ(data.status, EBB_OK) << data.error;
      EXPECT_EQ(data.counts(), (Counts{3, 1, 1}));
      EXPECT_EQ(data.set->n_towers, 2);
      const auto first = show(data, EBB_TRAIN, 0);
      EXPECT_EQ(spell(data, first.tokens[0]), "\"quo<eos>") << "cut to four characters";
      EXPECT_EQ(spell(data, first.tokens[1]), "abc<eos>");
      EXPECT_EQ(first.labels[0], 1);
      EXPECT_EQ(show(data, EBB_TRAIN, 1).labels[0], 0);
      EXPECT_EQ(spell(data, show(data, EBB_VALIDATION, 0).tokens[0]), "aq<eos>");
      EXPECT_EQ(spell(data, show(data, EBB_TEST, 0).tokens[1]), "ba<eos>");
      // " q u o a b c x y d, and three specials; ted of "quoted is cut off.
      EXPECT_EQ(data.set->vocabulary, 13);
      EXPECT_EQ(data.set->mapping != nullptr, std::string(cache) == "on");
    }
  }
}

TEST(Aan, RefusesDamage) {
  const struct {
    std::string text, error;
  } cases[] = {
      {"2.0\ta\tb\tc\td\n", "train.tsv:1: the label '2.0' is not 0.0 or 1.0"},
      {"0.5\ta\tb\tc\td\n", "train.tsv:1: the label '0.5' is not 0.0 or 1.0"},
      {"\ta\tb\tc\td\n", "train.tsv:1: the label '' is not 0.0 or 1.0"},
      {"1e0\ta\tb\tc\td\n", "train.tsv:1: the label '1e0' is not 0.0 or 1.0"},
      {"0.0\ta\tb\tc\td\n0.0\ta\tb\tc\n", "train.tsv:2: the line has 4 tab-separated fields, expected 5"},
      {"0.0\ta\tb\tc\td\te\n", "train.tsv:1: the line has 6 tab-separated fields, expected 5"},
      {"0.0\ta\tb\tc\t\xC0\x80\n", "train.tsv:1: the line is not valid UTF-8 from its byte 11 on"},
      {"", "train.tsv: the file is empty"}};
  for (const auto &c : cases) {
    Files files;
    write_aan(files);
    files.write("new_aan_pairs.train.tsv", c.text);
    const Loaded data("aan", files.folder());
    EXPECT_EQ(data.status, EBB_FORMAT) << c.text;
    EXPECT_NE(data.error.find(c.error), std::string::npos) << data.error;
  }
  Files files;
  write_aan(files);
  files.remove("new_aan_pairs.eval.tsv");
  const Loaded data("aan", files.folder());
  EXPECT_EQ(data.status, EBB_NOT_FOUND);
  EXPECT_NE(data.error.find("new_aan_pairs.eval.tsv"), std::string::npos) << data.error;
  EXPECT_NE(data.error.find("lra_release"), std::string::npos) << data.error;
}

TEST(Text, ClassesAreFoldersInSplits) {
  Files files;
  for (const std::string split : {"train", "val", "test"}) {
    files.write(split + "/spam/1.txt", "buy " + split);
    files.write(split + "/ham/1.txt", "hello " + split);
    files.write(split + "/ham/notes.md", "ignored");
  }
  const Loaded data("text", files.folder());
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{2, 2, 2}));
  EXPECT_EQ(data.set->n_classes, 2);
  for (int64_t i = 0; i < 2; i++) {
    const auto shown = show(data, EBB_TRAIN, i);
    EXPECT_EQ(spell(data, shown.tokens[0]), shown.labels[0] == 0 ? "hello train<eos>" : "buy train<eos>");
  }
}

TEST(Text, ClassesAreSetAsideWhereThereAreNoSplits) {
  Files files;
  for (int i = 0; i < 10; i++) {
    files.write("a/" + std::to_string(i) + ".txt", "a" + std::to_string(i));
    files.write("b/" + std::to_string(i) + ".txt", "b" + std::to_string(i));
  }
  const Loaded data("text", files.folder(), {"dataset.val_split=0.2", "dataset.test_split=0.1"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{14, 4, 2}));
  std::set<std::string> seen;
  for (EbbSplit split : {EBB_TRAIN, EBB_VALIDATION, EBB_TEST})
    for (int64_t i = 0; i < data.split(split).n_samples; i++) {
      const auto shown = show(data, split, i);
      const std::string text = spell(data, shown.tokens[0]);
      EXPECT_EQ(text[0] - 'a', shown.labels[0]);
      EXPECT_TRUE(seen.insert(text).second) << text;
    }
  EXPECT_EQ(seen.size(), 20u);
}

TEST(Text, WindowsPredictTheNextCharacter) {
  Files files;
  files.write("book.txt", "abcdefghij\xC3\xA9klmnopqrs"); // 20 characters
  const Loaded data("text", files.folder(),
                    {"dataset.file=book.txt", "dataset.window=3", "dataset.stride=2", "dataset.val_split=0.2",
                     "dataset.test_split=0.25"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_TRUE(data.set->per_step);
  // 11 characters for training, 4 for validation, 5 for test.
  EXPECT_EQ(data.counts(), (Counts{4, 1, 1}));
  EXPECT_EQ(data.set->vocabulary, 13);
  EXPECT_EQ(data.set->n_classes, 13);
  const char *windows[] = {"abc", "cde", "efg", "ghi"}, *next[] = {"bcd", "def", "fgh", "hij"};
  for (int i = 0; i < 4; i++) {
    const auto shown = show(data, EBB_TRAIN, i);
    EXPECT_EQ(spell(data, shown.tokens[0]), windows[i]);
    EXPECT_EQ(spell(data, shown.labels), next[i]);
  }
  EXPECT_EQ(spell(data, show(data, EBB_VALIDATION, 0).labels), "<unk><unk><unk>");
}

TEST(Text, WindowsOfFilesOfTheirOwn) {
  Files files;
  files.write("a.txt", "abcabcabc");
  files.write("b.txt", "cba");
  files.write("c.txt", "aab");
  const Loaded data(
      "text", files.folder(),
      {"dataset.file=a.txt", "dataset.val_file=b.txt", "dataset.test_file=c.txt", "dataset.window=2"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{4, 1, 1}));
  EXPECT_EQ(spell(data, show(data, EBB_TEST, 0).tokens[0]), "aa");
  EXPECT_EQ(spell(data, show(data, EBB_TEST, 0).labels), "ab");
}

TEST(Text, RefusesDamage) {
  Files files;
  const Loaded nothing("text", files.folder());
  EXPECT_EQ(nothing.status, EBB_FORMAT);
  files.write("a/1.txt", "x");
  const Loaded one("text", files.folder());
  EXPECT_NE(one.error.find("at least two"), std::string::npos) << one.error;
  files.write("b/1.txt", "\x80");
  const Loaded damaged("text", files.folder());
  EXPECT_NE(damaged.error.find("b/1.txt: the text is not valid UTF-8 from byte 0 on"), std::string::npos)
      << damaged.error;
  files.write("b/1.txt", "");
  const Loaded empty("text", files.folder());
  EXPECT_NE(empty.error.find("b/1.txt: the text is empty"), std::string::npos) << empty.error;
  files.write("t.txt", "abcdef");
  const Loaded brief("text", files.folder(), {"dataset.file=t.txt", "dataset.window=6"});
  EXPECT_EQ(brief.status, EBB_INVALID);
  EXPECT_NE(brief.error.find("too short for dataset.window=6"), std::string::npos) << brief.error;
  const Loaded wide("text", files.folder(), {"dataset.file=t.txt", "dataset.window=6", "dataset.l_max=5"});
  EXPECT_EQ(wide.status, EBB_INVALID);
  const Loaded absent("text", files.folder(), {"dataset.file=u.txt"});
  EXPECT_EQ(absent.status, EBB_NOT_FOUND);
  files.write("train/a/1.txt", "x");
  files.write("train/b/1.txt", "x");
  files.write("test/c/1.txt", "x");
  const Loaded strange("text", files.folder());
  EXPECT_NE(strange.error.find("the class 'c' is not among those of the training"), std::string::npos)
      << strange.error;
}

TEST(Text, RealShakespeare) {
  REAL_DATA(folder, "tinyshakespeare");
  const Loaded data("text", folder,
                    {"dataset.file=tinyshakespeare.txt", "dataset.window=256", "dataset.l_max=256",
                     "dataset.test_split=0"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.set->vocabulary, 65 + 2); // every character is in the training part
  EXPECT_EQ(data.counts(), (Counts{(1003855 - 257) / 256 + 1, (111539 - 257) / 256 + 1, 0}));
  EXPECT_EQ(spell(data, show(data, EBB_TRAIN, 0).tokens[0]).substr(0, 14), "First Citizen:");
  EXPECT_EQ(spell(data, show(data, EBB_TRAIN, 0).labels).substr(0, 13), "irst Citizen:");
}

} // namespace

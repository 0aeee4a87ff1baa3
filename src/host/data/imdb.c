#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "ebb/numpy_random.h"
#include "host/data/aside.h"
#include "host/data/corpora.h"
#include "host/data/data_file.h"
#include "host/data/folder_list.h"
#include "host/data/tsv.h"

enum { CLASSES = 2, MOST_REVIEW_BYTES = 1 << 26, STEP_REVIEWS = 256 };

/* A review's class, and the ratings that it may have. */
static const struct {
  const char *folder;
  int worst, best;
} classes[CLASSES] = {{"neg", 1, 4}, {"pos", 7, 10}};

/* ---- ID_RATING ---- */

typedef struct Review {
  long id, rating;
  const char *name;
} Review;

/* Digits, an underscore and digits; what follows is `end`. */
static bool parse_name(const char *name, const char *end, Review *out) {
  char *at;
  const size_t digits = strspn(name, "0123456789");
  if (digits == 0 || digits > 9 || name[digits] != '_') return false;
  out->id = strtol(name, NULL, 10);
  const size_t more = strspn(name + digits + 1, "0123456789");
  if (more == 0 || more > 2) return false;
  out->rating = strtol(name + digits + 1, &at, 10);
  out->name = name;
  return strcmp(at, end) == 0;
}

static bool fits(const Review *review, int label) {
  return review->rating >= classes[label].worst && review->rating <= classes[label].best;
}

/* ---- two files of lines ---- */

static EbbStatus read_line(EbbTexts *texts, EbbSplit split, const EbbTsv *tsv, char **fields) {
  Review review;
  const char *label = fields[0];
  if ((label[0] != '0' && label[0] != '1') || label[1] != 0)
    return ebb_fail(EBB_FORMAT, "%s:%lld: the label '%.40s' is not 0 or 1", tsv->origin, (long long)tsv->line,
                    label);
  const int value = label[0] - '0';
  if (!parse_name(fields[1], "", &review) || !fits(&review, value))
    return ebb_fail(
        EBB_FORMAT, "%s:%lld: '%.40s' is no ID_RATING with a rating from %d to %d, which label %d has",
        tsv->origin, (long long)tsv->line, fields[1], classes[value].worst, classes[value].best, value);
  const EbbTextOrigin origin = {tsv->origin, tsv->line};
  if (!*fields[2])
    return ebb_fail(EBB_FORMAT, "%s:%lld: the review is empty", tsv->origin, (long long)tsv->line);
  EBB_TRY(ebb_texts_add(texts, split, fields[2], strlen(fields[2]), origin));
  return ebb_texts_label(texts, split, value);
}

static EbbStatus read_lines(EbbTexts *texts, EbbSplit split, EbbTsv *tsv) {
  for (;;) {
    char *fields[3];
    bool end;
    EBB_TRY(ebb_tsv_next(tsv, fields, 3, &end));
    if (!end) EBB_TRY(read_line(texts, split, tsv, fields));
    EBB_TRY(ebb_tsv_tell(tsv, texts->loading, split == EBB_TRAIN ? "imdb training" : "imdb test"));
    if (end && tsv->line == 0) return ebb_fail(EBB_FORMAT, "%s: the file is empty", tsv->origin);
    if (end) return EBB_OK;
  }
}

EbbStatus ebb_imdb_read(EbbTexts *texts, EbbSplit split, FILE *file, const char *origin) {
  EbbTsv tsv = {.file = file, .origin = origin};
  const EbbStatus status = read_lines(texts, split, &tsv);
  ebb_tsv_clear(&tsv);
  return status;
}

/* ---- the tree of files ---- */

static int by_id(const void *left, const void *right) {
  const Review *a = left, *b = right;
  if (a->id != b->id) return a->id < b->id ? -1 : 1;
  return strcmp(a->name, b->name);
}

static EbbStatus read_review(EbbTexts *texts, EbbSplit split, const char *folder, const Review *review,
                             int label) {
  char *path = NULL, *text = NULL;
  size_t length = 0;
  if (asprintf(&path, "%s/%s", folder, review->name) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of a review");
  EbbStatus status = EBB_OK;
  if (!fits(review, label))
    status = ebb_fail(EBB_FORMAT, "%s: a rating of %ld, but those in the folder '%s' are %d to %d", path,
                      review->rating, classes[label].folder, classes[label].worst, classes[label].best);
  if (status == EBB_OK) status = ebb_file_read(path, MOST_REVIEW_BYTES, &text, &length);
  if (status == EBB_OK && length == 0) status = ebb_fail(EBB_FORMAT, "%s: the review is empty", path);
  if (status == EBB_OK) status = ebb_texts_add(texts, split, text, length, (EbbTextOrigin){path, 0});
  if (status == EBB_OK) status = ebb_texts_label(texts, split, label);
  free(text);
  free(path);
  return status;
}

/* Where reading is among the two folders of a split, which have about as many reviews each. */
static EbbStatus tell(const EbbTexts *texts, EbbSplit split, int label, int64_t done, int64_t n) {
  const char *name = split == EBB_TRAIN ? "imdb training" : "imdb test";
  return ebb_loading_step(texts->loading, name, label * n + done, CLASSES * n, "review");
}

/* An archive whose unpacking was interrupted is no error: fewer reviews can be wanted. */
static void tell_fewer(const EbbTexts *texts, const char *folder, int n) {
  enum { PUBLISHED = 12500 };
  if (n < PUBLISHED)
    ebb_loading_line(texts->loading, "imdb: %s has %d of the %d published reviews; is it whole?", folder, n,
                     (int)PUBLISHED);
}

static EbbStatus read_listed(EbbTexts *texts, EbbSplit split, const char *folder, const EbbFolderList *list,
                             int label) {
  if (list->n == 0) return ebb_fail(EBB_FORMAT, "%s: the folder has no reviews ID_RATING.txt", folder);
  tell_fewer(texts, folder, list->n);
  Review *reviews = malloc((size_t)list->n * sizeof *reviews);
  if (!reviews) return ebb_fail(EBB_MEMORY, "no memory for the names of %d reviews", list->n);
  EbbStatus status = EBB_OK;
  for (int i = 0; i < list->n && status == EBB_OK; i++)
    if (!parse_name(list->name[i], ".txt", &reviews[i]))
      status = ebb_fail(EBB_FORMAT, "%s/%s: the name of a review is ID_RATING.txt", folder, list->name[i]);
  if (status == EBB_OK) qsort(reviews, (size_t)list->n, sizeof *reviews, by_id);
  for (int i = 0; i < list->n && status == EBB_OK; i++) {
    status = read_review(texts, split, folder, &reviews[i], label);
    if (status == EBB_OK && i % STEP_REVIEWS == 0) status = tell(texts, split, label, i, list->n);
  }
  free(reviews);
  return status;
}

static EbbStatus read_folder(EbbTexts *texts, EbbSplit split, const char *base, int label) {
  char *folder;
  if (asprintf(&folder, "%s/%s/%s", base, split == EBB_TRAIN ? "train" : "test", classes[label].folder) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of a folder in '%s'", base);
  EbbFolderList list;
  EbbStatus status = ebb_folder_list(folder, ".txt", &list);
  if (status == EBB_OK) status = read_listed(texts, split, folder, &list, label);
  ebb_folder_list_release(&list);
  free(folder);
  return status;
}

/* ---- the data set ---- */

static EbbStatus read_tree(EbbTexts *texts, const char *base) {
  for (int part = 0; part < 2; part++)
    for (int label = 0; label < CLASSES; label++)
      EBB_TRY(read_folder(texts, part == 0 ? EBB_TRAIN : EBB_TEST, base, label));
  return EBB_OK;
}

/* By which a folder of the data set is known. */
static const char *const marks[] = {"aclImdb/train/neg", "train/neg", "imdb_train.tsv", NULL};

static EbbStatus read_file(EbbTexts *texts, EbbSplit split, const EbbDataSource *source, const char *name) {
  char *path;
  EBB_TRY(ebb_data_path(source, name, "", &path));
  FILE *file = fopen(path, "re");
  EbbStatus status;
  if (file)
    status = ebb_imdb_read(texts, split, file, path);
  else if (errno == ENOENT)
    status = ebb_data_missing_marks(source, path, ", nor does the folder aclImdb", marks);
  else
    status = ebb_fail(EBB_IO, "cannot open '%s': %s", path, strerror(errno));
  if (file) (void)fclose(file);
  free(path);
  return status;
}

/* The folder of the source that has a tree; NULL: there is none. */
static EbbStatus find_inner(const EbbDataSource *source, const char **inner) {
  static const char *const places[] = {"aclImdb", "."};
  *inner = NULL;
  for (int i = 0; i < 2 && !*inner; i++) {
    char *probe;
    EBB_TRY(ebb_data_path(source, places[i], "/train/neg", &probe));
    if (ebb_folder_exists(probe)) *inner = places[i];
    free(probe);
  }
  return EBB_OK;
}

static EbbStatus read_source(EbbTexts *texts, const EbbDataSource *source) {
  const char *inner;
  char *base;
  EBB_TRY(find_inner(source, &inner));
  if (!inner) {
    EBB_TRY(read_file(texts, EBB_TRAIN, source, "imdb_train.tsv"));
    return read_file(texts, EBB_TEST, source, "imdb_test.tsv");
  }
  EBB_TRY(ebb_data_path(source, inner, "", &base));
  const EbbStatus status = read_tree(texts, base);
  free(base);
  return status;
}

static EbbStatus permute(int64_t n, uint64_t seed, int64_t extra, int64_t **order) {
  *order = malloc((size_t)(n + extra) * sizeof **order);
  if (!*order) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld reviews", (long long)n);
  EbbPcg64 generator;
  ebb_pcg64_seed(&generator, seed);
  ebb_pcg64_permutation(&generator, n, *order);
  return EBB_OK;
}

/* The permutation's first ceil(share n) reviews are the validation, the others the training. */
static EbbStatus set_aside(EbbDataset *dataset, double share, uint64_t seed) {
  const int64_t n = dataset->split[EBB_TRAIN].n_samples, n_val = (int64_t)ceil(share * (double)n);
  if (n_val >= n)
    return ebb_fail(EBB_INVALID, "imdb: dataset.val_split=%g leaves none of %lld reviews for training", share,
                    (long long)n);
  int64_t *order;
  EBB_TRY(permute(n, seed, n_val, &order));
  memcpy(order + n, order, (size_t)n_val * sizeof *order); /* the rest, then the first */
  const EbbStatus status = ebb_dataset_deal(dataset, order + n_val, n - n_val, n_val, 0);
  free(order);
  return status;
}

static EbbStatus look_at_test(EbbDataset *dataset, uint64_t seed) {
  int64_t *order;
  EBB_TRY(permute(dataset->split[EBB_TEST].n_samples, seed, 0, &order));
  const EbbStatus status = ebb_dataset_test_as_validation(dataset, order);
  free(order);
  return status;
}

/* The reviews stand class by class: the training that max_samples leaves is drawn from both. */
static EbbStatus split(EbbDataset *dataset, double share, uint64_t seed, int64_t max_samples) {
  if (share > 0) {
    EBB_TRY(set_aside(dataset, share, seed));
  } else {
    EBB_TRY(look_at_test(dataset, seed));
    if (max_samples > 0) EBB_TRY(set_aside(dataset, 0, seed));
  }
  ebb_dataset_cut(dataset, max_samples);
  return EBB_OK;
}

static EbbDataSource source_of(const EbbConfig *config) {
  return (EbbDataSource){"imdb", ebb_config_string(config, "dataset.data_dir"),
                         "the folder aclImdb of the Large Movie Review Dataset (aclImdb_v1.tar.gz, "
                         "unpacked; ai.stanford.edu/~amaas/data/sentiment), or imdb_train.tsv and "
                         "imdb_test.tsv"};
}

static EbbStatus load(const EbbConfig *config, const EbbLoading *loading, EbbTexts *texts,
                      EbbDataset *dataset) {
  const EbbDataSource source = source_of(config);
  const EbbTextRules rules = ebb_text_rules(config);
  snprintf(dataset->name, sizeof dataset->name, "imdb");
  dataset->n_classes = dataset->d_output = CLASSES;
  dataset->n_towers = 1;
  EBB_TRY(ebb_texts_begin(texts, &rules, dataset));
  texts->loading = loading;
  EBB_TRY(read_source(texts, &source));
  EBB_TRY(ebb_texts_finish(texts));
  return split(dataset, ebb_config_number(config, "dataset.val_split"),
               (uint64_t)ebb_config_integer(config, "dataset.seed"),
               ebb_config_integer_or(config, "dataset.max_samples", 0));
}

EbbStatus ebb_imdb_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  return ebb_texts_build(config, loading, load, out);
}

/* ---- the cache ---- */

static EbbStatus add_folder(EbbCacheKey *key, const char *inner, const char *part, int label) {
  char *name, *folder = NULL;
  EbbFolderList list = {0};
  if (asprintf(&name, "%s/%s/%s", inner, part, classes[label].folder) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of a folder");
  EbbStatus status = asprintf(&folder, "%s/%s", key->folder, name) < 0
                         ? ebb_fail(EBB_MEMORY, "no memory for the name of the folder '%s'", name)
                         : ebb_folder_list(folder, ".txt", &list);
  if (status == EBB_OK) status = ebb_cache_key_files(key, name, &list);
  ebb_folder_list_release(&list);
  free(folder);
  free(name);
  return status;
}

static EbbStatus add_sources(EbbCacheKey *key, const char *inner) {
  if (!inner) {
    EBB_TRY(ebb_cache_key_file(key, "imdb_train.tsv"));
    return ebb_cache_key_file(key, "imdb_test.tsv");
  }
  for (int part = 0; part < 2; part++)
    for (int label = 0; label < CLASSES; label++)
      EBB_TRY(add_folder(key, inner, part == 0 ? "train" : "test", label));
  return EBB_OK;
}

EbbStatus ebb_imdb_sources(const EbbConfig *config, EbbCacheKey *key) {
  const EbbDataSource source = source_of(config);
  const char *inner;
  char *folder;
  EBB_TRY(find_inner(&source, &inner));
  EBB_TRY(ebb_data_path(&source, ".", "", &folder));
  const EbbStatus status = ebb_cache_key_folder(key, folder);
  free(folder);
  return status == EBB_OK ? add_sources(key, inner) : status;
}

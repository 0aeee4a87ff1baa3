#include <stdio.h>
#include <stdlib.h>

#include "ebb/file.h"
#include "host/data/cases.h"
#include "host/data/data_file.h"
#include "host/data/sequence_sets.h"
#include "host/data/sklearn_split.h"
#include "host/data/split_arrays.h"

/* What is to be read, and from where. */
typedef struct Vitals {
  char *folder;       /* owned */
  const char *target; /* RR, HR or SpO2 */
  bool reshuffle;
  EbbMissing missing;
  const EbbLoading *loading;
} Vitals;

/* All cases, training file first, dealt 70/15/15. */
static EbbStatus deal(EbbStore *store, int64_t n) {
  int64_t n_train = 0, n_val = 0, *items = malloc(((size_t)n + 1) * sizeof *items);
  if (!items) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld cases", (long long)n);
  for (int64_t i = 0; i < n; i++) items[i] = i;
  EbbStatus status = ebb_sklearn_split(items, n, 0.7, 0, NULL, 0, &n_train);
  if (status == EBB_OK) status = ebb_sklearn_split(items + n_train, n - n_train, 0.5, 1, NULL, 0, &n_val);
  const int64_t *rest = items + n_train;
  if (status == EBB_OK) status = ebb_store_view(store, EBB_TRAIN, items, 0, n_train);
  if (status == EBB_OK) status = ebb_store_view(store, EBB_VALIDATION, rest, 0, n_val);
  if (status == EBB_OK) status = ebb_store_view(store, EBB_TEST, rest + n_val, 0, n - n_train - n_val);
  free(items);
  return status;
}

/* The test file as it is; the last seventh of the training file is the validation. */
static EbbStatus keep_files(EbbStore *store, int64_t n_train, int64_t n_test) {
  const int64_t n_val = n_train / 7;
  EBB_TRY(ebb_store_view(store, EBB_TRAIN, NULL, 0, n_train - n_val));
  EBB_TRY(ebb_store_view(store, EBB_VALIDATION, NULL, n_train - n_val, n_val));
  return ebb_store_view(store, EBB_TEST, NULL, n_train, n_test);
}

static EbbStatus read_cases(EbbCases *cases, const Vitals *v, const char *part, int64_t *count) {
  char file[64];
  EbbDataFile data;
  const EbbDataSource source = {"bidmc", v->folder,
                                "BIDMC32RR, HR or SpO2 of the TSER archive (_TRAIN.ts and _TEST.ts), or the "
                                "prepared trainx.npy ... in TARGET/reshuffle or TARGET/original,"};
  const int64_t before = cases->store.samples.n_samples;
  snprintf(file, sizeof file, "BIDMC32%s_%s.ts", v->target, part);
  EbbStatus status = ebb_data_file_read(&source, file, &data);
  if (status == EBB_OK) status = ebb_ts_read(data.text, data.length, data.path, cases);
  ebb_data_file_release(&data);
  *count = cases->store.samples.n_samples - before;
  return status == EBB_OK ? ebb_loading_step(v->loading, file, 1, 1, "file") : status;
}

static EbbStatus read_archive(const Vitals *v, EbbStore *store) {
  EbbCases cases;
  int64_t n_train = 0, n_test = 0;
  EbbStatus status = ebb_cases_create("bidmc", v->missing, &cases);
  if (status == EBB_OK) status = read_cases(&cases, v, "TRAIN", &n_train);
  if (status == EBB_OK) status = read_cases(&cases, v, "TEST", &n_test);
  if (status == EBB_OK) status = ebb_cases_finish(&cases);
  if (status == EBB_OK)
    status = v->reshuffle ? deal(&cases.store, n_train + n_test) : keep_files(&cases.store, n_train, n_test);
  if (status == EBB_OK) *store = cases.store, cases.store = (EbbStore){0};
  ebb_cases_release(&cases);
  return status;
}

static EbbStatus read_prepared(const Vitals *v, const char *folder, EbbStore *store) {
  const EbbDataSource source = {"bidmc", folder, "the prepared arrays of this split"};
  const EbbArrayRules rules = {.missing = v->missing};
  int64_t counts[EBB_SPLITS] = {0};
  EBB_TRY(ebb_store_create("bidmc", EBB_STORE_FLOATS, store));
  EBB_TRY(ebb_split_arrays_read(&source, store, &rules, counts));
  for (int64_t split = 0, first = 0; split < EBB_SPLITS; first += counts[split++])
    EBB_TRY(ebb_store_view(store, (EbbSplit)split, NULL, first, counts[split]));
  return EBB_OK;
}

/* Where the prepared arrays of this split would be. Lifetime: free(*inner). */
static EbbStatus find_prepared(const Vitals *v, char **inner, bool *there) {
  char *probe = NULL;
  *there = false;
  if (asprintf(inner, "%s/%s", v->target, v->reshuffle ? "reshuffle" : "original") < 0) *inner = NULL;
  if (!*inner || asprintf(&probe, "%s/%s/trainx.npy", v->folder, *inner) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the names of files");
  *there = ebb_file_exists(probe);
  free(probe);
  return EBB_OK;
}

/* Prepared arrays are taken where there are any. */
static EbbStatus read_vitals(const Vitals *v, EbbStore *store) {
  char *inner, *folder = NULL;
  bool prepared;
  EbbStatus status = find_prepared(v, &inner, &prepared);
  if (status == EBB_OK && asprintf(&folder, "%s/%s", v->folder, inner) < 0) {
    folder = NULL;
    status = ebb_fail(EBB_MEMORY, "no memory for the name of the folder '%s'", inner);
  }
  if (status == EBB_OK) status = prepared ? read_prepared(v, folder, store) : read_archive(v, store);
  free(folder);
  free(inner);
  return status;
}

/* Lifetime: free((char *)out->folder). */
static EbbStatus take_settings(const EbbConfig *config, const EbbLoading *loading, Vitals *out) {
  static const char *const targets[] = {"RR", "HR", "SpO2"}; /* in the order of the key's choices */
  const EbbDataSource source = {"bidmc", ebb_config_string(config, "dataset.data_dir"),
                                "BIDMC32RR, HR or SpO2 of the TSER archive"};
  *out = (Vitals){.target = targets[ebb_config_choice(config, "dataset.target")],
                  .reshuffle = ebb_config_flag(config, "dataset.reshuffle"),
                  .missing = (EbbMissing)ebb_config_choice(config, "dataset.missing"),
                  .loading = loading};
  return ebb_data_folder(&source, &out->folder);
}

static EbbStatus load(EbbStore *store, const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  Vitals vitals;
  EBB_TRY(take_settings(config, loading, &vitals));
  const EbbStatus status = read_vitals(&vitals, store);
  free(vitals.folder);
  EBB_TRY(status);
  if (store->dataset->n_classes > 0)
    return ebb_fail(EBB_FORMAT, "bidmc: the targets of its files are classes, not numbers");
  EBB_TRY(ebb_store_check_cut(store, config));
  return ebb_store_finish(store, ebb_config_integer_or(config, "dataset.max_samples", 0), out);
}

EbbStatus ebb_bidmc_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  EbbStore store = {0};
  *out = NULL;
  const EbbStatus status = load(&store, config, loading, out);
  ebb_store_release(&store);
  return status;
}

/* ---- the cache ---- */

static EbbStatus add_archive(EbbCacheKey *key, const char *target) {
  static const char *const parts[] = {"TRAIN", "TEST"};
  for (int part = 0; part < 2; part++) {
    char file[64];
    snprintf(file, sizeof file, "BIDMC32%s_%s.ts", target, parts[part]);
    EbbStatus status = ebb_cache_key_file(key, file);
    snprintf(file, sizeof file, "BIDMC32%s_%s.ts.gz", target, parts[part]);
    if (status == EBB_NOT_FOUND) status = ebb_cache_key_file(key, file);
    EBB_TRY(status);
  }
  return EBB_OK;
}

static EbbStatus add_prepared(EbbCacheKey *key, const char *inner) {
  static const char *const names[] = {"trainx", "trainy", "validx", "validy", "testx", "testy"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char file[64];
    snprintf(file, sizeof file, "%s/%s.npy", inner, names[i]);
    EBB_TRY(ebb_cache_key_file(key, file));
  }
  return EBB_OK;
}

EbbStatus ebb_bidmc_sources(const EbbConfig *config, EbbCacheKey *key) {
  Vitals vitals;
  char *inner = NULL;
  bool prepared;
  ebb_cache_key_cut(key, config);
  EBB_TRY(take_settings(config, NULL, &vitals));
  EbbStatus status = ebb_cache_key_folder(key, vitals.folder);
  if (status == EBB_OK) status = find_prepared(&vitals, &inner, &prepared);
  if (status == EBB_OK) status = prepared ? add_prepared(key, inner) : add_archive(key, vitals.target);
  free(inner);
  free(vitals.folder);
  return status;
}

#include <stdio.h>
#include <string.h>

#include "host/data/arrays.h"
#include "host/data/data_file.h"
#include "host/data/npz.h"
#include "host/data/sequence_sets.h"
#include "host/data/split_arrays.h"
#include "host/data/user_splits.h"

static const char *const x_names[EBB_SPLITS] = {"trainx", "validx", "testx"};
static const char *const y_names[EBB_SPLITS] = {"trainy", "validy", "testy"};

/* Where arrays are read from, by name. */
typedef struct Arrays {
  const EbbDataSource *source; /* of .npy files, */
  const EbbDataFile *archive;  /* or one .npz file in memory */
} Arrays;

/* NAME.npy; validation and test may be absent. */
static EbbStatus read_file(const EbbDataSource *source, const char *name, bool needed, bool *found,
                           EbbNpy *out) {
  char file[32];
  EbbDataFile data;
  snprintf(file, sizeof file, "%s.npy", name);
  EbbStatus status = ebb_data_file_read(source, file, &data);
  *found = status == EBB_OK;
  if (status == EBB_OK) status = ebb_npy_parse(data.text, data.length, data.path, out);
  ebb_data_file_release(&data);
  return status == EBB_NOT_FOUND && !needed ? EBB_OK : status;
}

static EbbStatus read_array(const Arrays *from, const char *name, bool needed, bool *found, EbbNpy *out) {
  if (!from->archive) return read_file(from->source, name, needed, found, out);
  const EbbDataFile *a = from->archive;
  EBB_TRY(ebb_npz_read(a->text, a->length, a->path, name, found, out));
  if (*found || !needed) return EBB_OK;
  return ebb_fail(EBB_FORMAT,
                  "%s: there is no array '%s' in it; trainx, trainy and, if they are there, validx, "
                  "validy, testx, testy are read",
                  a->path, name);
}

static EbbStatus read_split(const Arrays *from, int split, EbbStore *store, const EbbArrayRules *rules,
                            int64_t *count) {
  bool found;
  EbbArrays arrays = {.x_name = x_names[split], .y_name = y_names[split]};
  EbbStatus status = read_array(from, x_names[split], split == EBB_TRAIN, &found, &arrays.x);
  *count = 0;
  if (status == EBB_OK && found) {
    *count = arrays.x.rank > 0 ? arrays.x.dim[0] : 0;
    status = read_array(from, y_names[split], true, &found, &arrays.y);
    if (status == EBB_OK) status = ebb_arrays_add(store, &arrays, rules);
  }
  ebb_npy_release(&arrays.x);
  ebb_npy_release(&arrays.y);
  return status;
}

EbbStatus ebb_split_arrays_read(const EbbDataSource *source, EbbStore *store, const EbbArrayRules *rules,
                                int64_t counts[EBB_SPLITS]) {
  const Arrays from = {.source = source};
  for (int split = 0; split < EBB_SPLITS; split++)
    EBB_TRY(read_split(&from, split, store, rules, &counts[split]));
  return EBB_OK;
}

static EbbStatus read_archive(const char *folder, const char *file, EbbStore *store,
                              const EbbArrayRules *rules, int64_t counts[EBB_SPLITS]) {
  EbbDataFile data;
  EbbStatus status = ebb_user_file_read("npz", folder, file, &data);
  const Arrays from = {.archive = &data};
  for (int split = 0; split < EBB_SPLITS && status == EBB_OK; split++)
    status = read_split(&from, split, store, rules, &counts[split]);
  ebb_data_file_release(&data);
  return status;
}

static EbbStatus load(EbbStore *store, const EbbConfig *config, EbbDataset **out) {
  const EbbDataSource source = {ebb_config_string(config, "dataset._name_"),
                                ebb_config_string(config, "dataset.data_dir"),
                                "arrays trainx and trainy, for other splits validx, validy, testx, testy"};
  const EbbArrayRules rules = {.missing = (EbbMissing)ebb_config_choice(config, "dataset.missing"),
                               .n_classes = ebb_config_integer_or(config, "dataset.classes", -1)};
  const char *file = ebb_config_string(config, "dataset.file");
  const bool archive = strcmp(source.name, "npz") == 0;
  int64_t counts[EBB_SPLITS] = {0};
  EBB_TRY(ebb_store_create(source.name, EBB_STORE_FLOATS, store));
  if (archive && !file) return ebb_fail(EBB_INVALID, "the npz data set needs dataset.file, the .npz file");
  EBB_TRY(archive ? read_archive(source.folder, file, store, &rules, counts)
                  : ebb_split_arrays_read(&source, store, &rules, counts));
  EBB_TRY(ebb_user_splits(store, counts, config));
  EBB_TRY(ebb_store_check_cut(store, config));
  if (ebb_config_flag(config, "dataset.normalise")) EBB_TRY(ebb_store_normalise(store));
  return ebb_store_finish(store, ebb_config_integer_or(config, "dataset.max_samples", 0), out);
}

EbbStatus ebb_npy_dataset_load(const EbbConfig *config, EbbDataset **out) {
  EbbStore store = {0};
  *out = NULL;
  const EbbStatus status = load(&store, config, out);
  ebb_store_release(&store);
  return status;
}

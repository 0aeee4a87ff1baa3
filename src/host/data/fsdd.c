#include <stdio.h>
#include <stdlib.h>

#include "host/data/data_file.h"
#include "host/data/folder_list.h"
#include "host/data/sequence_sets.h"
#include "host/data/store.h"
#include "host/data/wav.h"

enum { RATE = 8000, DIGITS = 10, TEST_TAKES = 5, VALIDATION_TAKES = 5 };

/* Digit and take of DIGIT_SPEAKER_TAKE.wav. */
static bool read_name(const char *name, int *digit, int *take) {
  int length = 0;
  const int found = sscanf(name, "%1d_%*[^_]_%6d.wav%n", digit, take, &length);
  return found == 2 && length > 0 && !name[length] && *digit >= 0 && *take >= 0;
}

static EbbSplit split_of(int take) {
  return take < TEST_TAKES ? EBB_TEST : take < TEST_TAKES + VALIDATION_TAKES ? EBB_VALIDATION : EBB_TRAIN;
}

static EbbStatus take_recording(EbbStore *store, const char *path, int32_t digit) {
  EbbWav wav;
  EbbStatus status = ebb_wav_read(path, &wav);
  if (status == EBB_OK) status = ebb_wav_expect(&wav, path, 1, RATE);
  if (status == EBB_OK) {
    const EbbSample sample = {.elements = wav.numbers, .n_steps = wav.n_frames, .labels = &digit};
    status = ebb_store_add(store, &sample);
  }
  ebb_wav_release(&wav);
  return status;
}

/* Recording i of the names; order[split][n[split]++] becomes its place in the store. */
static EbbStatus read_recording(EbbStore *store, const char *folder, const char *name, int64_t *order,
                                int64_t n[EBB_SPLITS], int64_t most) {
  int digit, take;
  char *path = NULL;
  if (!read_name(name, &digit, &take))
    return ebb_fail(EBB_FORMAT, "%s/recordings/%s: the name is not DIGIT_SPEAKER_TAKE.wav", folder, name);
  if (asprintf(&path, "%s/recordings/%s", folder, name) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", name);
  const EbbSplit split = split_of(take);
  order[split * most + n[split]++] = store->samples.n_samples;
  const EbbStatus status = take_recording(store, path, digit);
  free(path);
  return status;
}

static EbbStatus read_all(EbbStore *store, const char *folder, const EbbFolderList *names) {
  int64_t n[EBB_SPLITS] = {0};
  int64_t *order = malloc(EBB_SPLITS * (size_t)(names->n + 1) * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for %d recordings", names->n);
  EbbStatus status = EBB_OK;
  for (int i = 0; i < names->n && status == EBB_OK; i++)
    status = read_recording(store, folder, names->name[i], order, n, names->n);
  for (int split = 0; split < EBB_SPLITS && status == EBB_OK; split++)
    status = ebb_store_view(store, (EbbSplit)split, order + (int64_t)split * names->n, 0, n[split]);
  free(order);
  return status;
}

static EbbStatus read_folder(EbbStore *store, const EbbDataSource *source, const char *folder) {
  char *recordings = NULL;
  EbbFolderList names;
  if (asprintf(&recordings, "%s/recordings", folder) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", folder);
  EbbStatus status = ebb_folder_list(recordings, ".wav", &names);
  if (status == EBB_NOT_FOUND) status = ebb_data_missing(source, recordings, "");
  if (status == EBB_OK) status = read_all(store, folder, &names);
  ebb_folder_list_release(&names);
  free(recordings);
  return status;
}

static EbbStatus load(EbbStore *store, const EbbConfig *config, EbbDataset **out) {
  const EbbDataSource source = {"fsdd", ebb_config_string(config, "dataset.data_dir"),
                                "the Free Spoken Digit Dataset (its folder recordings)"};
  char *folder;
  EBB_TRY(ebb_store_create(source.name, EBB_STORE_I16, store));
  store->dataset->d_input = 1;
  store->dataset->n_classes = store->dataset->d_output = DIGITS;
  EBB_TRY(ebb_data_folder(&source, &folder));
  const EbbStatus status = read_folder(store, &source, folder);
  free(folder);
  EBB_TRY(status);
  EBB_TRY(ebb_store_check_cut(store, config));
  if (ebb_config_flag(config, "dataset.normalise")) EBB_TRY(ebb_store_normalise(store));
  return ebb_store_finish(store, ebb_config_integer_or(config, "dataset.max_samples", 0), out);
}

EbbStatus ebb_fsdd_load(const EbbConfig *config, EbbDataset **out) {
  EbbStore store = {0};
  *out = NULL;
  const EbbStatus status = load(&store, config, out);
  ebb_store_release(&store);
  return status;
}

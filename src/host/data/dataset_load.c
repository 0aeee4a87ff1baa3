#include "ebb/data.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/data/cache.h"
#include "host/data/corpora.h"
#include "host/data/csv_dataset.h"
#include "host/data/images.h"
#include "host/data/listops_load.h"
#include "host/data/pathfinder_load.h"
#include "host/data/sequence_sets.h"
#include "host/data/sources.h"
#include "host/data/synthetic.h"

static EbbStatus load_listops(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  const EbbListopsOptions options = {.folder = ebb_config_string(config, "dataset.data_dir"),
                                     .l_max = ebb_config_integer_or(config, "dataset.l_max", 0),
                                     .append_bos = ebb_config_flag(config, "dataset.append_bos"),
                                     .append_eos = ebb_config_flag(config, "dataset.append_eos"),
                                     .max_samples = ebb_config_integer_or(config, "dataset.max_samples", 0),
                                     .loading = loading};
  return ebb_listops_load(&options, out);
}

static EbbPathfinderOptions pathfinder_options(const EbbConfig *config, const EbbLoading *loading,
                                               int64_t resolution) {
  return (EbbPathfinderOptions){.folder = ebb_config_string(config, "dataset.data_dir"),
                                .resolution = ebb_config_integer_or(config, "dataset.resolution", resolution),
                                .level = (EbbPathfinderLevel)ebb_config_choice(config, "dataset.contours"),
                                .pool = ebb_config_integer(config, "dataset.pool"),
                                .tokenize = ebb_config_flag(config, "dataset.tokenize"),
                                .l_max = ebb_config_integer(config, "dataset.l_max"),
                                .val_split = ebb_config_number(config, "dataset.val_split"),
                                .max_samples = ebb_config_integer_or(config, "dataset.max_samples", 0),
                                .loading = loading};
}

enum { PATHFINDER_SIDE = 32, PATHX_SIDE = 128 };

static EbbStatus load_pathfinder(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  const EbbPathfinderOptions options = pathfinder_options(config, loading, PATHFINDER_SIDE);
  return ebb_pathfinder_load(&options, out);
}

static EbbStatus load_pathx(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  const EbbPathfinderOptions options = pathfinder_options(config, loading, PATHX_SIDE);
  return ebb_pathfinder_load(&options, out);
}

static EbbStatus list_pathfinder(const EbbConfig *config, EbbCacheKey *key) {
  const EbbPathfinderOptions options = pathfinder_options(config, NULL, PATHFINDER_SIDE);
  return ebb_pathfinder_sources(&options, key);
}

static EbbStatus list_pathx(const EbbConfig *config, EbbCacheKey *key) {
  const EbbPathfinderOptions options = pathfinder_options(config, NULL, PATHX_SIDE);
  return ebb_pathfinder_sources(&options, key);
}

static const EbbCachedLoader aan = {1, ebb_aan_sources, ebb_aan_load};
static const EbbCachedLoader bidmc = {1, ebb_bidmc_sources, ebb_bidmc_load};
static const EbbCachedLoader imdb = {1, ebb_imdb_sources, ebb_imdb_load};
static const EbbCachedLoader listops = {1, ebb_listops_sources, load_listops};
static const EbbCachedLoader pathfinder = {1, list_pathfinder, load_pathfinder};
static const EbbCachedLoader speech = {1, ebb_speech_commands_sources, ebb_speech_commands_load};
static const EbbCachedLoader pathx = {1, list_pathx, load_pathx};

typedef EbbStatus (*LoadSource)(const EbbSourceOptions *options, EbbDataset **out);

/* A new data set is a row here: with a loader of its own, with one of sources.h, or, where preparing takes
   long, with one whose work is cached; and whether its files are published. */
static const struct {
  const char *name;
  EbbStatus (*load)(const EbbConfig *config, EbbDataset **out);
  LoadSource load_source;
  const EbbCachedLoader *cached;
  bool published; /* else the files are the user's own, or made from a seed */
} rows[] = {
    {"listops", NULL, NULL, &listops, true},
    {"csv", ebb_csv_dataset_load, NULL, NULL, false},
    {"imdb", NULL, NULL, &imdb, true},
    {"aan", NULL, NULL, &aan, true},
    {"text", ebb_text_load, NULL, NULL, false},
    {"cifar", ebb_cifar_load, NULL, NULL, true},
    {"mnist", ebb_mnist_load, NULL, NULL, true},
    {"fashion", ebb_fashion_pixels_load, NULL, NULL, true},
    {"pathfinder", NULL, NULL, &pathfinder, true},
    {"pathx", NULL, NULL, &pathx, true},
    {"sc", NULL, NULL, &speech, true},
    {"fsdd", ebb_fsdd_load, NULL, NULL, true},
    {"wav", ebb_wav_dataset_load, NULL, NULL, false},
    {"copying", ebb_copying_load, NULL, NULL, false},
    {"adding", ebb_adding_load, NULL, NULL, false},
    {"delay", ebb_delay_load, NULL, NULL, false},
    {"bidmc", NULL, NULL, &bidmc, true},
    {"ts", ebb_ts_dataset_load, NULL, NULL, false},
    {"npy", ebb_npy_dataset_load, NULL, NULL, false},
    {"npz", ebb_npy_dataset_load, NULL, NULL, false},
    {"occupancy", NULL, ebb_occupancy_load, NULL, true},
    {"traffic", NULL, ebb_traffic_load, NULL, true},
    {"ozone", NULL, ebb_ozone_load, NULL, true},
    {"cheetah", NULL, ebb_cheetah_load, NULL, true},
    {"smnist", NULL, ebb_smnist_load, NULL, true},
    {"fashion_mnist", NULL, ebb_fashion_load, NULL, true},
    {"gesture", NULL, ebb_gesture_load, NULL, true},
    {"har", NULL, ebb_har_load, NULL, true},
    {"power", NULL, ebb_power_load, NULL, true},
    {"person", NULL, ebb_person_load, NULL, true},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static EbbStatus load_source(LoadSource load, const EbbConfig *config, EbbDataset **out) {
  enum { CHRONOLOGICAL, PAPER }; /* in the order of the key's choices */
  const EbbSourceOptions options = {.folder = ebb_config_string(config, "dataset.data_dir"),
                                    .paper = ebb_config_choice(config, "dataset.protocol") == PAPER,
                                    .max_samples = ebb_config_integer_or(config, "dataset.max_samples", 0)};
  return load(&options, out);
}

/* What is wrong with published files has one remedy, unless the sentence names another. */
static EbbStatus advise(size_t row, EbbStatus status) {
  const bool files = status == EBB_FORMAT || status == EBB_NOT_FOUND;
  if (!files || !rows[row].published || strstr(ebb_error(), "dataset.")) return status;
  return ebb_fail(status,
                  "%s; put the files of '%s' there again, whole, or name another folder with "
                  "dataset.data_dir",
                  ebb_error(), rows[row].name);
}

static EbbStatus load_row(size_t row, const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  if (rows[row].cached) return ebb_cached_load(rows[row].cached, config, loading, out);
  return rows[row].load ? rows[row].load(config, out) : load_source(rows[row].load_source, config, out);
}

/* A folder that does not exist is the loaders' to explain. */
static EbbStatus check_folder(const EbbConfig *config) {
  const char *folder = ebb_config_string(config, "dataset.data_dir");
  struct stat info;
  if (!folder) return EBB_OK;
  int error = stat(folder, &info) == 0 ? 0 : errno;
  const bool is_folder = error == 0 && S_ISDIR(info.st_mode);
  if (is_folder && access(folder, R_OK | X_OK) != 0) error = errno;
  if (error == ENOENT || (is_folder && error == 0)) return EBB_OK;
  return ebb_fail(error ? EBB_IO : EBB_INVALID,
                  "%s: dataset.data_dir=%s: %s; it names the folder with the data set's files",
                  ebb_config_origin(config, "dataset.data_dir"), folder,
                  error ? strerror(error) : "this is no folder");
}

EbbStatus ebb_dataset_load_watched(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  *out = NULL;
  const char *name = ebb_config_string(config, "dataset._name_");
  char known[512] = "";
  EBB_TRY(check_folder(config));
  for (size_t i = 0, used = 0; i < N_ROWS; i++) {
    if (name && strcmp(rows[i].name, name) == 0) return advise(i, load_row(i, config, loading, out));
    used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", rows[i].name);
  }
  return ebb_fail(EBB_NOT_FOUND, "%s: there is no data set '%s' (dataset._name_); known are: %s",
                  ebb_config_origin(config, "dataset._name_"), name ? name : "null", known);
}

EbbStatus ebb_dataset_load(const EbbConfig *config, EbbDataset **out) {
  return ebb_dataset_load_watched(config, NULL, out);
}

#include "published_data.h"

#include <string.h>

typedef struct Facts {
  const char *name;
  int64_t vocabulary, d_input, n_classes, d_output, n_towers;
  bool variable_length;
  int64_t length; /* 0: dataset.l_max */
  bool per_step;
} Facts;

static const Facts known[] = {
    {"listops", 18, 0, 10, 10, 1, true, 0, false},  {"imdb", 133, 0, 2, 2, 1, true, 0, false},
    {"aan", 98, 0, 2, 2, 2, true, 0, false},        {"cifar", 0, 1, 10, 10, 1, false, 1024, false},
    {"mnist", 0, 1, 10, 10, 1, false, 784, false},  {"fashion", 0, 1, 10, 10, 1, false, 784, false},
    {"pathfinder", 0, 1, 2, 2, 1, false, 0, false}, {"pathx", 0, 1, 2, 2, 1, false, 0, false},
    {"smnist", 0, 28, 10, 10, 1, false, 28, false}, {"fashion_mnist", 0, 28, 10, 10, 1, false, 28, false},
    {"occupancy", 0, 5, 2, 2, 1, false, 16, true},  {"traffic", 0, 7, 0, 1, 1, false, 32, true},
    {"ozone", 0, 72, 2, 2, 1, false, 32, true},     {"cheetah", 0, 17, 0, 17, 1, false, 32, true},
    {"gesture", 0, 32, 5, 5, 1, false, 32, true},   {"har", 0, 561, 6, 6, 1, false, 16, true},
    {"power", 0, 6, 0, 1, 1, false, 32, true},      {"person", 0, 7, 7, 7, 1, false, 32, true},
    {"sc", 0, 1, 35, 35, 1, false, 16000, false},   {"fsdd", 0, 1, 10, 10, 1, true, 0, false},
    {"bidmc", 0, 2, 0, 1, 1, false, 4000, false},   {"copying", 0, 0, 0, 0, 1, false, 1, true},
    {"adding", 0, 2, 0, 1, 1, false, 1, false},     {"delay", 0, 1, 0, 1, 1, false, 1, true},
};
static const Facts unknown = {"unknown", 0, 1, 10, 10, 1, false, 0, false};

static const Facts *facts_of(const char *name) {
  for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0) return &known[i];
  return &unknown;
}

/* How pixels are shown: cifar's keys. */
static void set_pixels(const EbbConfig *config, EbbDataset *out) {
  if (!ebb_config_flag(config, "dataset.grayscale")) out->d_input = 3;
  if (ebb_config_flag(config, "dataset.tokenize")) out->vocabulary = 256, out->d_input = 0;
  enum { TRANSPOSE = 8 }; /* the last of the key's choices: rows and columns side by side */
  if (ebb_config_choice(config, "dataset.permute") == TRANSPOSE) out->d_input *= 2;
}

static void set_grey_levels(const EbbConfig *config, EbbDataset *out) {
  if (ebb_config_flag(config, "dataset.tokenize")) out->vocabulary = 256, out->d_input = 0;
}

/* The sizes that keys of the data set set. */
static void adjust(const EbbConfig *config, const char *name, EbbDataset *out) {
  if (!strcmp(name, "cifar")) set_pixels(config, out);
  if (!strcmp(name, "pathfinder") || !strcmp(name, "pathx")) set_grey_levels(config, out);
  if (!strcmp(name, "sc") && !ebb_config_flag(config, "dataset.all_classes"))
    out->n_classes = out->d_output = 10;
  if (!strcmp(name, "adding") || !strcmp(name, "delay"))
    out->longest = ebb_config_integer(config, "dataset.length");
  if (!strcmp(name, "copying")) {
    const int64_t tokens = ebb_config_integer(config, "dataset.n_tokens");
    out->vocabulary = tokens + 1;
    out->n_classes = out->d_output = tokens - 1;
    out->longest =
        2 * ebb_config_integer(config, "dataset.l_memorize") + ebb_config_integer(config, "dataset.l_noise");
  }
  const int64_t subsample = ebb_config_integer(config, "dataset.subsample");
  out->longest = (out->longest + subsample - 1) / subsample;
}

bool published_data(const EbbConfig *config, EbbDataset *out) {
  const Facts *facts = facts_of(ebb_config_string(config, "dataset._name_"));
  bool bos = facts->vocabulary && ebb_config_flag(config, "dataset.append_bos");
  bool no_eos = facts->vocabulary && !ebb_config_flag(config, "dataset.append_eos");
  *out = (EbbDataset){.n_classes = facts->n_classes,
                      .d_output = facts->d_output,
                      .vocabulary = facts->vocabulary + bos - no_eos,
                      .d_input = facts->d_input,
                      .n_towers = facts->n_towers,
                      .longest = facts->length ? facts->length : ebb_config_integer(config, "dataset.l_max"),
                      .variable_length = facts->variable_length,
                      .per_step = facts->per_step};
  adjust(config, facts->name, out);
  return facts != &unknown;
}

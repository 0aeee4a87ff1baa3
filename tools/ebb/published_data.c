#include "published_data.h"

#include <string.h>

typedef struct Facts {
  const char *name;
  int64_t vocabulary, d_input, n_classes, d_output, n_towers;
  bool variable_length;
} Facts;

static const Facts known[] = {
    {"listops", 18, 0, 10, 10, 1, true},  {"imdb", 135, 0, 2, 2, 1, true},
    {"aan", 98, 0, 2, 2, 2, true},        {"cifar", 0, 1, 10, 10, 1, false},
    {"pathfinder", 0, 1, 2, 2, 1, false}, {"pathx", 0, 1, 2, 2, 1, false},
};
static const Facts unknown = {"unknown", 0, 1, 10, 10, 1, false};

static const Facts *facts_of(const char *name) {
  for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0) return &known[i];
  return &unknown;
}

bool published_data(const EbbConfig *config, EbbDataset *out) {
  const Facts *facts = facts_of(ebb_config_string(config, "dataset._name_"));
  bool colour = !strcmp(facts->name, "cifar") && !ebb_config_flag(config, "dataset.grayscale");
  bool bos = facts->vocabulary && ebb_config_flag(config, "dataset.append_bos");
  bool no_eos = facts->vocabulary && !ebb_config_flag(config, "dataset.append_eos");
  *out = (EbbDataset){.n_classes = facts->n_classes,
                      .d_output = facts->d_output,
                      .vocabulary = facts->vocabulary + bos - no_eos,
                      .d_input = colour ? 3 : facts->d_input,
                      .n_towers = facts->n_towers,
                      .longest = ebb_config_integer(config, "dataset.l_max"),
                      .variable_length = facts->variable_length};
  return facts != &unknown;
}

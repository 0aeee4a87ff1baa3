#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What loads must also print as text that loads to the same text. */
static void check_round_trip(const EbbConfig *config) {
  EbbConfig *again = NULL;
  char *text = NULL, *repeated = NULL;
  if (ebb_config_yaml(config, &text) != EBB_OK || ebb_config_create(&again) != EBB_OK) abort();
  if (ebb_config_load_text(again, text, strlen(text), "text") != EBB_OK) abort();
  if (ebb_config_yaml(again, &repeated) != EBB_OK || strcmp(text, repeated) != 0) abort();
  free(text);
  free(repeated);
  ebb_config_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static EbbConfig *defaults;
  if (!defaults && ebb_config_create(&defaults) != EBB_OK) abort();
  EbbConfig *config = NULL;
  if (ebb_config_copy(defaults, &config) != EBB_OK) abort();
  if (ebb_config_load_text(config, (const char *)data, size, "fuzz") == EBB_OK) check_round_trip(config);
  ebb_config_destroy(config);
  return 0;
}

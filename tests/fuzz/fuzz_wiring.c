/* Any bytes are refused with a sentence or are a wiring whose parts fit together. The first byte says whether
   they are a text file or a call. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/wiring/calls.h"
#include "host/wiring/wiring_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { SMALL = 100 }; /* larger wirings are not made: they only take time */

static void check_wiring(const EbbWiring *w) {
  if (w->motors < 1 || w->motors > w->units || w->layers < 1 || w->layers > EBB_WIRING_MAX_INTER + 2) abort();
  int *ids = malloc((size_t)w->units * sizeof *ids), total = 0;
  if (!ids) abort();
  for (int layer = 0; layer < w->layers; layer++) {
    const int n = ebb_wiring_layer(w, layer, ids);
    if (n < 1) abort();
    total += n;
  }
  free(ids);
  if (total != w->units) abort();
  for (int i = 0; i < w->units; i++)
    if ((w->type[i] == EBB_MOTOR) != (i < w->motors) || w->type[i] > EBB_INTER) abort();
  if (w->units <= SMALL && w->inputs <= SMALL && ebb_wiring_check(w) != EBB_OK && !*ebb_error()) abort();
}

static void check(EbbStatus status, EbbWiring *wiring) {
  if ((status == EBB_OK) != (wiring != NULL) || (status != EBB_OK && !*ebb_error())) abort();
  if (wiring) check_wiring(wiring);
  ebb_wiring_destroy(wiring);
}

static void call(const char *text) {
  const WiringCall *named;
  WiringValue value[WIRING_MAX_ARGUMENTS];
  const EbbStatus status = wiring_call_parse(text, &named, value);
  if (status != EBB_OK) {
    if (status != EBB_INVALID || !*ebb_error()) abort();
    return;
  }
  for (int i = 0; i < named->n_arguments; i++) {
    for (int k = 0; k < value[i].n; k++)
      if (value[i].size[k] > SMALL) return;
    if (strcmp(named->argument[i].name, "seed") != 0 && value[i].number > SMALL) return;
  }
  EbbWiring *wiring;
  check(named->make(value, 3, &wiring), wiring);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (length < 1) return 0;
  char *text = malloc(length);
  if (!text) abort();
  memcpy(text, bytes + 1, length - 1);
  text[length - 1] = '\0';
  EbbWiring *wiring;
  if (bytes[0] == 'c')
    call(text);
  else
    check(wiring_parse_text(text, length - 1, "input", &wiring), wiring);
  free(text);
  return 0;
}

#include "host/wiring/layers.h"

#include <string.h>

static EbbStatus check_motors(const EbbWiring *wiring) {
  for (int i = 0; i < wiring->units; i++) {
    if ((wiring->type[i] == EBB_MOTOR) == (i < wiring->motors)) continue;
    return ebb_fail(EBB_INVALID, "neuron %d is a%s %s neuron; the %d motor neurons are the first units", i,
                    wiring->type[i] == EBB_INTER ? "n" : "", ebb_neuron_name(wiring->type[i]),
                    wiring->motors);
  }
  return EBB_OK;
}

static int units_of_layer(const EbbWiring *wiring, int layer) {
  int n = 0;
  for (int i = 0; i < wiring->units; i++) n += wiring->layer[i] == layer;
  return n;
}

EbbStatus wiring_set_layers(EbbWiring *wiring, int inter_layers) {
  EBB_TRY(check_motors(wiring));
  const bool commanded = memchr(wiring->type, EBB_COMMAND, (size_t)wiring->units) != NULL;
  wiring->layers = 1;
  if (!commanded && !inter_layers) {
    memset(wiring->layer, 0, (size_t)wiring->units);
    return EBB_OK;
  }
  wiring->layers = inter_layers + commanded + 1;
  for (int i = 0; i < wiring->units; i++)
    if (wiring->type[i] != EBB_INTER)
      wiring->layer[i] = (int8_t)(wiring->type[i] == EBB_COMMAND ? inter_layers : wiring->layers - 1);
  for (int layer = 0; layer < wiring->layers; layer++)
    if (!units_of_layer(wiring, layer)) return ebb_fail(EBB_INVALID, "layer %d has no neuron", layer);
  return EBB_OK;
}

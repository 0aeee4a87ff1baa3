/* Which kind of neuron each unit of a state is. */
#include <stdlib.h>
#include <string.h>

#include "ebb/wiring.h"
#include "host/report/report_internal.h"

/* A wired CfC has its units layer by layer, the others in the wiring's order. */
static void name_by_wiring(const EbbWiring *wiring, bool by_layers, int *ids, EbbLayerReport *layer) {
  int n = 0;
  for (int k = 0; by_layers && k < wiring->layers; k++) n += ebb_wiring_layer(wiring, k, ids + n);
  for (int64_t j = 0; j < layer->n; j++)
    layer->neuron[j].group = ebb_neuron_name((EbbNeuron)wiring->type[by_layers ? ids[j] : j]);
}

EbbStatus report_groups(const EbbCell *cell, const EbbConfig *config, EbbLayerReport *layer) {
  const char *text = ebb_config_string(config, "model.layer.wiring");
  const bool by_layers = strcmp(cell->name, "wired_cfc") == 0;
  for (int64_t j = 0; j < layer->n; j++) layer->neuron[j].group = "units";
  if (!text || (!by_layers && cell->n_tables == 0)) return EBB_OK;
  EbbWiring *wiring;
  EBB_TRY(ebb_wiring_from_text(text, cell->inputs, &wiring));
  int *ids = calloc((size_t)wiring->units, sizeof *ids);
  if (ids && wiring->units == layer->n) name_by_wiring(wiring, by_layers, ids, layer);
  ebb_wiring_destroy(wiring);
  free(ids);
  return ids ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for the groups of neurons");
}

/* The layers that neuron types imply. */
#ifndef EBB_HOST_WIRING_LAYERS_H
#define EBB_HOST_WIRING_LAYERS_H

#include "ebb/wiring.h"

/* Completes a wiring that was read: layer[] holds the inter layer of every inter neuron, `inter_layers` is
   their number. A wiring with neither those nor command neurons is one layer; else command and motor neurons
   get theirs. Errors: INVALID (an empty layer, motor neurons that are not the first units). */
EbbStatus wiring_set_layers(EbbWiring *wiring, int inter_layers) EBB_MUST_CHECK;

#endif

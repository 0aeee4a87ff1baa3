#include "ebb/wiring.h"

#include <stdlib.h>
#include <string.h>

#include "host/wiring/wiring_internal.h"

static EbbStatus check_sizes(int units, int motors, int inputs) {
  if (units < 1 || units > EBB_WIRING_MAX_UNITS)
    return ebb_fail(EBB_INVALID, "a wiring of %d units; 1 to %d are possible", units, EBB_WIRING_MAX_UNITS);
  if (motors < 1 || motors > units)
    return ebb_fail(EBB_INVALID, "%d motor neurons (outputs) among %d units; 1 to %d are possible", motors,
                    units, units);
  if (inputs < 1 || inputs > EBB_WIRING_MAX_INPUTS || (int64_t)inputs * units > EBB_WIRING_MAX_SYNAPSES)
    return ebb_fail(EBB_INVALID,
                    "a wiring of %d inputs and %d units; 1 to %d inputs, and inputs * units up to %d, are "
                    "possible",
                    inputs, units, EBB_WIRING_MAX_INPUTS, EBB_WIRING_MAX_SYNAPSES);
  return EBB_OK;
}

static bool allocate(EbbWiring *wiring) {
  const size_t units = (size_t)wiring->units;
  wiring->type = malloc(units);
  wiring->layer = calloc(units, 1);
  wiring->adjacency = calloc(units, units);
  wiring->sensory = calloc((size_t)wiring->inputs, units);
  return wiring->type && wiring->layer && wiring->adjacency && wiring->sensory;
}

EbbStatus wiring_create(int units, int motors, int inputs, EbbWiring **out) {
  *out = NULL;
  EBB_TRY(check_sizes(units, motors, inputs));
  EbbWiring *wiring = calloc(1, sizeof *wiring);
  if (wiring) *wiring = (EbbWiring){.units = units, .motors = motors, .inputs = inputs, .layers = 1};
  if (!wiring || !allocate(wiring)) {
    ebb_wiring_destroy(wiring);
    return ebb_fail(EBB_MEMORY, "no memory for a wiring of %d units and %d inputs", units, inputs);
  }
  for (int i = 0; i < units; i++) wiring->type[i] = i < motors ? EBB_MOTOR : EBB_INTER;
  *out = wiring;
  return EBB_OK;
}

void ebb_wiring_destroy(EbbWiring *wiring) {
  if (!wiring) return;
  free(wiring->type);
  free(wiring->layer);
  free(wiring->adjacency);
  free(wiring->sensory);
  free(wiring);
}

EbbStatus wiring_finish(EbbStatus status, EbbWiring *wiring, EbbWiring **out) {
  *out = status == EBB_OK ? wiring : NULL;
  if (status != EBB_OK) ebb_wiring_destroy(wiring);
  return status;
}

static int64_t count(const int8_t *synapse, int64_t size) {
  int64_t synapses = 0;
  for (int64_t i = 0; i < size; i++) synapses += synapse[i] != 0;
  return synapses;
}

int64_t ebb_wiring_synapses(const EbbWiring *wiring) {
  return count(wiring->adjacency, (int64_t)wiring->units * wiring->units);
}

int64_t ebb_wiring_sensory_synapses(const EbbWiring *wiring) {
  return count(wiring->sensory, (int64_t)wiring->inputs * wiring->units);
}

int ebb_wiring_layer(const EbbWiring *wiring, int layer, int *ids) {
  int n = 0;
  for (int i = 0; i < wiring->units; i++)
    if (wiring->layer[i] == layer) ids[n++] = i;
  return n;
}

const char *ebb_neuron_name(EbbNeuron type) {
  static const char *const names[] = {
      [EBB_MOTOR] = "motor", [EBB_COMMAND] = "command", [EBB_INTER] = "inter"};
  return names[type];
}

/* Marks the targets of a row that are not marked yet and puts them at the queue's end. */
static int spread(const int8_t *row, int units, bool *reached, int *queue, int n) {
  for (int target = 0; target < units; target++) {
    if (!row[target] || reached[target]) continue;
    reached[target] = true;
    queue[n++] = target;
  }
  return n;
}

static void reach(const EbbWiring *wiring, bool *reached, int *queue) {
  int n = 0;
  for (int sensor = 0; sensor < wiring->inputs; sensor++)
    n = spread(wiring_sensory_synapse(wiring, sensor, 0), wiring->units, reached, queue, n);
  for (int i = 0; i < n; i++)
    n = spread(wiring_synapse(wiring, queue[i], 0), wiring->units, reached, queue, n);
}

static EbbStatus check_motors(const EbbWiring *wiring, const bool *reached) {
  int cut_off = 0, first = -1;
  for (int motor = wiring->motors - 1; motor >= 0; motor--)
    if (!reached[motor]) first = motor, cut_off++;
  const bool all_are_motors = wiring->motors == wiring->units;
  if (!cut_off || (all_are_motors && cut_off < wiring->motors)) return EBB_OK;
  if (cut_off == wiring->motors)
    return ebb_fail(EBB_INVALID,
                    "no sensor reaches a motor neuron: the output would not depend on the input");
  return ebb_fail(EBB_INVALID,
                  "no sensor reaches motor neuron %d (%d of %d are cut off); more synapses, or another seed, "
                  "connect it",
                  first, cut_off, wiring->motors);
}

EbbStatus ebb_wiring_check(const EbbWiring *wiring) {
  bool *reached = calloc((size_t)wiring->units, sizeof *reached);
  int *queue = malloc((size_t)wiring->units * sizeof *queue);
  EbbStatus status = EBB_OK;
  if (reached && queue) {
    reach(wiring, reached, queue);
    status = check_motors(wiring, reached);
  } else {
    status = ebb_fail(EBB_MEMORY, "no memory to check a wiring of %d units", wiring->units);
  }
  free(reached);
  free(queue);
  return status;
}

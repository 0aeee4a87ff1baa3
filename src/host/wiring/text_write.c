/* Wirings as text; docs/wirings.md has the form. */
#include "ebb/file.h"
#include "host/wiring/wiring_internal.h"

/* "inter 4-7 9", the units of a type in a layer; nothing where there is none. */
static EbbStatus write_units(EbbFileWriter *file, const EbbWiring *wiring, EbbNeuron type, int layer) {
  bool named = false;
  for (int i = 0; i < wiring->units; i++) {
    int last = i;
    while (last < wiring->units && wiring->type[last] == type && wiring->layer[last] == layer) last++;
    if (last == i) continue;
    if (!named) EBB_TRY(ebb_file_writer_print(file, "%s", ebb_neuron_name(type)));
    named = true;
    EBB_TRY(ebb_file_writer_print(file, last - 1 > i ? " %d-%d" : " %d", i, last - 1));
    i = last;
  }
  return named ? ebb_file_writer_print(file, "\n") : EBB_OK;
}

static EbbStatus write_synapses(EbbFileWriter *file, const int8_t *synapse, int sources, int units,
                                const char *prefix) {
  for (int64_t source = 0; source < sources; source++)
    for (int target = 0; target < units; target++) {
      const int8_t sign = synapse[source * units + target];
      if (!sign) continue;
      EBB_TRY(ebb_file_writer_print(file, "%s%d -> %d %+d\n", prefix, (int)source, target, (int)sign));
    }
  return EBB_OK;
}

static EbbStatus write(EbbFileWriter *file, const EbbWiring *wiring) {
  EBB_TRY(ebb_file_writer_print(file, "units %d\nmotors %d\ninputs %d\n", wiring->units, wiring->motors,
                                wiring->inputs));
  for (int layer = 0; wiring->layers > 1 && layer < wiring->layers; layer++) {
    EBB_TRY(write_units(file, wiring, EBB_INTER, layer));
    EBB_TRY(write_units(file, wiring, EBB_COMMAND, layer));
  }
  EBB_TRY(write_synapses(file, wiring->sensory, wiring->inputs, wiring->units, "sensor "));
  EBB_TRY(write_synapses(file, wiring->adjacency, wiring->units, wiring->units, ""));
  return ebb_file_writer_commit(file);
}

EbbStatus wiring_write_text(const EbbWiring *wiring, const char *path) {
  EbbFileWriter *file;
  EBB_TRY(ebb_file_writer_create(path, &file));
  EbbStatus status = write(file, wiring);
  ebb_file_writer_destroy(file);
  return status;
}

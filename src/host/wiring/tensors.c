/* Wirings as safetensors. */
#include <stdlib.h>

#include "ebb/safetensors.h"
#include "host/wiring/layers.h"
#include "host/wiring/wiring_internal.h"

/* Reads integers from least..most into bytes. */
static EbbStatus read_bytes(const EbbStoredTensor *tensor, int least, int most, void *bytes) {
  const int64_t size = ebb_shape_size(&tensor->shape);
  int64_t *values = malloc((size_t)size * sizeof *values);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", tensor->name);
  EbbStatus status = ebb_stored_integers(tensor, values, size);
  for (int64_t i = 0; status == EBB_OK && i < size; i++) {
    ((int8_t *)bytes)[i] = (int8_t)values[i];
    if (values[i] < least || values[i] > most)
      status = ebb_fail(EBB_FORMAT, "element %lld of '%s' is %lld; %d to %d are possible", (long long)i,
                        tensor->name, (long long)values[i], least, most);
  }
  free(values);
  return status;
}

static EbbStatus require(const EbbSafetensors *file, const char *name, int rank, int64_t rows,
                         int64_t columns, const EbbStoredTensor **out) {
  *out = ebb_safetensors_find(file, name);
  if (!*out) return ebb_fail(EBB_FORMAT, "tensor '%s' is missing", name);
  const EbbShape *shape = &(*out)->shape;
  char text[96];
  if (shape->rank == rank && (rows < 0 || shape->dim[0] == rows) &&
      (rank < 2 || columns < 0 || shape->dim[1] == columns))
    return EBB_OK;
  return ebb_fail(EBB_FORMAT,
                  "tensor '%s' is %s; adjacency is (units, units), sensory_adjacency (inputs, units), types "
                  "and layers (units)",
                  name, ebb_shape_text(shape, text, sizeof text));
}

static EbbStatus read_types(const EbbSafetensors *file, EbbWiring *wiring) {
  const EbbStoredTensor *types;
  if (!ebb_safetensors_find(file, "types")) return EBB_OK;
  EBB_TRY(require(file, "types", 1, wiring->units, -1, &types));
  EBB_TRY(read_bytes(types, EBB_MOTOR, EBB_INTER, wiring->type));
  wiring->motors = 0;
  for (int i = 0; i < wiring->units; i++) wiring->motors += wiring->type[i] == EBB_MOTOR;
  return wiring->motors ? EBB_OK : ebb_fail(EBB_FORMAT, "'types' has no motor neuron (0)");
}

/* Without `layers`, command neurons say that there are layers, and all inter neurons are the first. */
static int implied_inter_layers(const EbbWiring *wiring) {
  bool inter = false, command = false;
  for (int i = 0; i < wiring->units; i++) {
    inter = inter || wiring->type[i] == EBB_INTER;
    command = command || wiring->type[i] == EBB_COMMAND;
  }
  return inter && command;
}

static EbbStatus check_layers(const EbbWiring *wiring, const int8_t *stored) {
  for (int i = 0; i < wiring->units; i++)
    if (wiring->layer[i] != stored[i])
      return ebb_fail(EBB_FORMAT,
                      "neuron %d, a%s %s neuron, is in layer %d; the last layer is motor, the one before it "
                      "command neurons",
                      i, wiring->type[i] == EBB_INTER ? "n" : "", ebb_neuron_name(wiring->type[i]),
                      stored[i]);
  return EBB_OK;
}

static EbbStatus read_layers(const EbbSafetensors *file, EbbWiring *wiring, int8_t *stored) {
  const EbbStoredTensor *layers;
  if (!ebb_safetensors_find(file, "layers")) return wiring_set_layers(wiring, implied_inter_layers(wiring));
  EBB_TRY(require(file, "layers", 1, wiring->units, -1, &layers));
  EBB_TRY(read_bytes(layers, 0, EBB_WIRING_MAX_INTER + 1, stored));
  int inter_layers = 0;
  bool single = true;
  for (int i = 0; i < wiring->units; i++) {
    wiring->layer[i] = stored[i];
    single = single && !stored[i];
    if (wiring->type[i] == EBB_INTER && stored[i] >= inter_layers) inter_layers = stored[i] + 1;
  }
  EBB_TRY(wiring_set_layers(wiring, single ? 0 : inter_layers));
  return check_layers(wiring, stored);
}

static EbbStatus read(const EbbSafetensors *file, EbbWiring **out) {
  const EbbStoredTensor *adjacency, *sensory;
  EBB_TRY(require(file, "sensory_adjacency", 2, -1, -1, &sensory));
  const int64_t inputs = sensory->shape.dim[0], units = sensory->shape.dim[1];
  EBB_TRY(require(file, "adjacency", 2, units, units, &adjacency));
  if (inputs > EBB_WIRING_MAX_INPUTS || units > EBB_WIRING_MAX_UNITS)
    return ebb_fail(EBB_INVALID, "%lld inputs and %lld units are more than the %d and %d that are possible",
                    (long long)inputs, (long long)units, EBB_WIRING_MAX_INPUTS, EBB_WIRING_MAX_UNITS);
  EBB_TRY(wiring_create((int)units, (int)units, (int)inputs, out));
  EBB_TRY(read_bytes(adjacency, -1, 1, (*out)->adjacency));
  EBB_TRY(read_bytes(sensory, -1, 1, (*out)->sensory));
  EBB_TRY(read_types(file, *out));
  int8_t *stored = calloc((size_t)units, 1);
  EbbStatus status =
      stored ? read_layers(file, *out, stored) : ebb_fail(EBB_MEMORY, "no memory for the layers");
  free(stored);
  return status;
}

EbbStatus wiring_read_tensors(const char *path, EbbWiring **out) {
  *out = NULL;
  EbbSafetensors *file;
  EBB_TRY(ebb_safetensors_open(path, &file));
  EbbWiring *wiring = NULL;
  EbbStatus status = wiring_is_state_dict(file) ? wiring_read_state_dict(file, &wiring) : read(file, &wiring);
  ebb_safetensors_close(file);
  if (status != EBB_OK) status = ebb_fail_within(status, "wiring '%s'", path);
  return wiring_finish(status, wiring, out);
}

static EbbStatus add(EbbSafetensorsWriter *writer, const EbbWiring *wiring) {
  const int64_t square[] = {wiring->units, wiring->units}, sensors[] = {wiring->inputs, wiring->units};
  const EbbShape adjacency = ebb_shape_from(2, square), sensory = ebb_shape_from(2, sensors),
                 units = ebb_shape_from(1, square);
  EBB_TRY(ebb_safetensors_writer_add(writer, "adjacency", EBB_ST_I8, &adjacency, wiring->adjacency));
  EBB_TRY(ebb_safetensors_writer_add(writer, "sensory_adjacency", EBB_ST_I8, &sensory, wiring->sensory));
  EBB_TRY(ebb_safetensors_writer_add(writer, "types", EBB_ST_U8, &units, wiring->type));
  EBB_TRY(ebb_safetensors_writer_add(writer, "layers", EBB_ST_I8, &units, wiring->layer));
  return ebb_safetensors_writer_metadata(writer, "format", "ebb-wiring-1");
}

EbbStatus wiring_write_tensors(const EbbWiring *wiring, const char *path) {
  EbbSafetensorsWriter *writer;
  EBB_TRY(ebb_safetensors_writer_create(&writer));
  EbbStatus status = add(writer, wiring);
  if (status == EBB_OK) status = ebb_safetensors_writer_commit(writer, path);
  ebb_safetensors_writer_destroy(writer);
  return status;
}

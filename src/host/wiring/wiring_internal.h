/* Making wirings; shared by the files of this folder. */
#ifndef EBB_HOST_WIRING_INTERNAL_H
#define EBB_HOST_WIRING_INTERNAL_H

#include "ebb/safetensors.h"
#include "ebb/wiring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A wiring of one layer without synapses; units behind the motor neurons are inter neurons. Errors: INVALID
   (a size out of its range), MEMORY. */
EbbStatus wiring_create(int units, int motors, int inputs, EbbWiring **out) EBB_MUST_CHECK;

/* Hands a finished wiring out, or frees it and sets *out to NULL. */
EbbStatus wiring_finish(EbbStatus status, EbbWiring *wiring, EbbWiring **out) EBB_MUST_CHECK;

static inline int8_t *wiring_synapse(const EbbWiring *wiring, int64_t source, int64_t target) {
  return &wiring->adjacency[source * wiring->units + target];
}
static inline int8_t *wiring_sensory_synapse(const EbbWiring *wiring, int64_t sensor, int64_t target) {
  return &wiring->sensory[sensor * wiring->units + target];
}

/* Text and safetensors, without ebb_wiring_check. Errors: those of ebb_wiring_read. */
/* `text` ends with 0 behind `length` bytes and is overwritten; `path` names it in errors. */
EbbStatus wiring_parse_text(char *text, size_t length, const char *path, EbbWiring **out) EBB_MUST_CHECK;
EbbStatus wiring_read_text(const char *path, EbbWiring **out) EBB_MUST_CHECK;
EbbStatus wiring_write_text(const EbbWiring *wiring, const char *path) EBB_MUST_CHECK;
EbbStatus wiring_read_tensors(const char *path, EbbWiring **out) EBB_MUST_CHECK;
EbbStatus wiring_write_tensors(const EbbWiring *wiring, const char *path) EBB_MUST_CHECK;

/* State dicts of ncps, recognised by their sparsity masks. Errors: those of ebb_wiring_read. */
bool wiring_is_state_dict(const EbbSafetensors *file);
EbbStatus wiring_read_state_dict(const EbbSafetensors *file, EbbWiring **out) EBB_MUST_CHECK;

/* The wiring as a graphviz graph; errors show in ferror(out). */
void wiring_dot(FILE *out, const EbbWiring *wiring);

#ifdef __cplusplus
}
#endif
#endif

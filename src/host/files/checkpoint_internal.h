/* What saving, loading and importing a checkpoint share: names, the state's text and the fit of a file's
   tensors to the model's. */
#ifndef EBB_CHECKPOINT_INTERNAL_H
#define EBB_CHECKPOINT_INTERNAL_H

#include "ebb/checkpoint.h"
#include "ebb/safetensors.h"

#define CHECKPOINT_FORMAT_KEY   "format"
#define CHECKPOINT_FAMILY       "ebb-checkpoint-"
#define CHECKPOINT_FORMAT       CHECKPOINT_FAMILY "1"
#define CHECKPOINT_CONFIG_KEY   "config"
#define CHECKPOINT_AVERAGES_KEY "averages" /* the averages' names, separated by commas */
#define CHECKPOINT_STATE_KEY    "state.seed"
#define CHECKPOINT_MOMENT       "adamw."

/* Prefixes of a parameter's tensors: its value and AdamW's two moments, in the order of `which`. */
extern const char *const ebb_checkpoint_prefix[3];

/* The state as metadata "state.<field>": whole numbers in decimal, doubles as hexadecimal floats without a
   point, so that no locale changes them, and NaN with its bits. Reading accepts that form alone. Errors of
   reading: FORMAT. */
EbbStatus ebb_checkpoint_write_state(EbbSafetensorsWriter *writer, const EbbTrainState *state) EBB_MUST_CHECK;
EbbStatus ebb_checkpoint_read_state(const EbbSafetensors *file, const char *path,
                                    EbbTrainState *state) EBB_MUST_CHECK;

/* One tensor by the model's name: where it goes, where it comes from, or only one of the two. */
typedef struct EbbSlot {
  char *name;
  EbbShape shape;              /* the model's */
  float *to;                   /* device; NULL: the model has no such tensor */
  const EbbStoredTensor *from; /* NULL: the file has none */
  bool optional;               /* may be missing in the file */
  float *staged;               /* the converted data, where the file's are no 32-bit floats */
} EbbSlot;

typedef struct EbbSlots {
  EbbSlot *slot;
  size_t count, room;
  size_t expected; /* slots before this one are the model's, in name order */
} EbbSlots;

/* Adds what the model has; then, once, ebb_slots_expected. Errors: MEMORY. */
EbbStatus ebb_slots_expect(EbbSlots *slots, const char *prefix, const EbbParam *param, float *to,
                           bool optional) EBB_MUST_CHECK;
void ebb_slots_expected(EbbSlots *slots);
/* The model's slot of this name, or NULL. */
EbbSlot *ebb_slots_find(const EbbSlots *slots, const char *name);
/* Keeps a tensor that the model has no place for. Errors: MEMORY. */
EbbStatus ebb_slots_unknown(EbbSlots *slots, const char *name, const EbbStoredTensor *from) EBB_MUST_CHECK;
/* Errors: MISMATCH, with `hint` at its end. Orders the slots by name; none can be found afterwards. */
EbbStatus ebb_slots_check(EbbSlots *slots, const char *path, const char *hint) EBB_MUST_CHECK;
/* Converts everything first, then copies to the device. Errors: NUMERIC, MEMORY with nothing copied; DEVICE.
 */
EbbStatus ebb_slots_copy(EbbSlots *slots, const char *path, EbbDevice *device) EBB_MUST_CHECK;
void ebb_slots_free(EbbSlots *slots);

#endif

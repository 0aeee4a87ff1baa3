/* Safetensors files: 8-byte little-endian header length, JSON header, raw little-endian data.
   Source: the safetensors format description. */
#ifndef EBB_SAFETENSORS_H
#define EBB_SAFETENSORS_H

#include <stdint.h>

#include "ebb/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stored element types. */
typedef enum EbbStored {
  EBB_ST_F64,
  EBB_ST_F32,
  EBB_ST_F16,
  EBB_ST_BF16,
  EBB_ST_I64,
  EBB_ST_I32,
  EBB_ST_I16,
  EBB_ST_I8,
  EBB_ST_U8,
  EBB_ST_BOOL
} EbbStored;

/* The format's name of a type ("F32") and the bytes of one element. */
const char *ebb_stored_name(EbbStored type);
int ebb_stored_size(EbbStored type);

typedef struct EbbStoredTensor {
  const char *name;
  EbbStored type;
  EbbShape shape;
  const void *data; /* into the mapped file; may be unaligned */
  uint64_t bytes;
} EbbStoredTensor;

typedef struct EbbSafetensors EbbSafetensors;

/* Maps a file read-only and checks all of its header: lengths, types, shapes (rank up to EBB_MAX_RANK, any
   dimension may be 0), offsets in range, no overlap, no hole, no duplicate names. Errors: NOT_FOUND, IO,
   FORMAT (which entry, which byte), MEMORY. Lifetime: tensors and metadata live until ebb_safetensors_close;
   the file must not be cut short meanwhile. */
EbbStatus ebb_safetensors_open(const char *path, EbbSafetensors **out) EBB_MUST_CHECK;
/* The same over memory that the caller keeps alive (fuzzing, tests). `origin` names it in errors. */
EbbStatus ebb_safetensors_parse(const void *bytes, uint64_t length, const char *origin,
                                EbbSafetensors **out) EBB_MUST_CHECK;
void ebb_safetensors_close(EbbSafetensors *file);

/* Tensors in name order. */
int64_t ebb_safetensors_count(const EbbSafetensors *file);
const EbbStoredTensor *ebb_safetensors_at(const EbbSafetensors *file, int64_t index);
/* NULL where there is none. */
const EbbStoredTensor *ebb_safetensors_find(const EbbSafetensors *file, const char *name);
/* The metadata string of `key`, or NULL. */
const char *ebb_safetensors_metadata(const EbbSafetensors *file, const char *key);

/* Converts all elements to float, double or int64. Errors: SHAPE where `count` is not the tensor's size;
   NUMERIC for a number that is no integer, where integers are asked for, or finite but beyond the range of
   what is asked for. */
EbbStatus ebb_stored_floats(const EbbStoredTensor *tensor, float *out, int64_t count) EBB_MUST_CHECK;
EbbStatus ebb_stored_doubles(const EbbStoredTensor *tensor, double *out, int64_t count) EBB_MUST_CHECK;
EbbStatus ebb_stored_integers(const EbbStoredTensor *tensor, int64_t *out, int64_t count) EBB_MUST_CHECK;

/* Writing: tensors are added (data is not copied and must live until commit), then all is written with keys
   sorted to a temporary file beside `path`, synced, and renamed over it, so `path` is always whole or absent.
   Errors: INVALID (name twice), IO (which call, how many bytes; the temporary file is removed), MEMORY. */
typedef struct EbbSafetensorsWriter EbbSafetensorsWriter;
EbbStatus ebb_safetensors_writer_create(EbbSafetensorsWriter **out) EBB_MUST_CHECK;
EbbStatus ebb_safetensors_writer_add(EbbSafetensorsWriter *writer, const char *name, EbbStored type,
                                     const EbbShape *shape, const void *data) EBB_MUST_CHECK;
EbbStatus ebb_safetensors_writer_metadata(EbbSafetensorsWriter *writer, const char *key,
                                          const char *value) EBB_MUST_CHECK;
EbbStatus ebb_safetensors_writer_commit(EbbSafetensorsWriter *writer, const char *path) EBB_MUST_CHECK;
void ebb_safetensors_writer_destroy(EbbSafetensorsWriter *writer);

#ifdef __cplusplus
}
#endif
#endif

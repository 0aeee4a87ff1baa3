/* Compact numbers made the tokens and values of a batch. */
#ifndef EBB_HOST_DATA_RAW_H
#define EBB_HOST_DATA_RAW_H

#include "ebb/data.h"

/* Bytes of one number. */
size_t ebb_raw_bytes(EbbRawType type);

/* to[i] = from[i] for i < n. */
void ebb_raw_tokens(EbbRawType type, const void *from, size_t n, int32_t *to);

/* to[i] = from[i] * scale[i] + offset[i] for i < n, or with scale[0] and offset[0] alone where `one` is set.
 */
void ebb_raw_values(EbbRawType type, const void *from, size_t n, const float *scale, const float *offset,
                    bool one, float *to);

#endif

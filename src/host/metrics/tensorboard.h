/* TensorBoard event files: records of protobuf messages, each framed by its length and checksums. */
#ifndef EBB_HOST_METRICS_TENSORBOARD_H
#define EBB_HOST_METRICS_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "append_file.h"
#include "ebb/metrics.h"
#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32C (Castagnoli), reflected polynomial 0x82F63B78. Source: RFC 3720, appendix B.4. */
uint32_t ebb_crc32c(const void *bytes, size_t size);
/* ((crc >> 15 | crc << 17) + 0xa282ead8) mod 2^32. Source: the TFRecord format. */
uint32_t ebb_crc32c_masked(const void *bytes, size_t size);

/* Creates <folder>/events.out.tfevents.<seconds>.<host>.<process>.<n> with its version and the mark of a
   session that begins at `first_step`: what earlier files hold from there on is void. Errors: IO, MEMORY. */
EbbStatus ebb_events_open(const char *folder, int64_t first_step, EbbAppendFile *file) EBB_MUST_CHECK;
/* One event with one scalar a metric. Errors: IO, MEMORY. */
EbbStatus ebb_events_write(EbbAppendFile *file, int64_t step, const EbbMetric *metrics,
                           int count) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

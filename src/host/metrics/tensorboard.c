#include "tensorboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tensorboard.pb-c.h"

enum { HEAD_BYTES = 12, TAIL_BYTES = 4, MOST_FILES = 1000 };

uint32_t ebb_crc32c(const void *bytes, size_t size) {
  const uint8_t *from = bytes;
  uint32_t crc = ~UINT32_C(0);
  for (size_t i = 0; i < size; i++) {
    crc ^= from[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (UINT32_C(0x82F63B78) & (~(crc & 1) + 1));
  }
  return ~crc;
}

uint32_t ebb_crc32c_masked(const void *bytes, size_t size) {
  uint32_t crc = ebb_crc32c(bytes, size);
  return ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8);
}

static void put_little_endian(uint8_t *to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static double wall_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static EbbStatus append_event(EbbAppendFile *file, int64_t step, EbbTb__Event *event) {
  event->has_wall_time = event->has_step = 1;
  event->wall_time = wall_time();
  event->step = step;
  size_t size = ebb_tb__event__get_packed_size(event);
  uint8_t *record = malloc(HEAD_BYTES + size + TAIL_BYTES);
  if (!record) return ebb_fail(EBB_MEMORY, "no memory for an event of '%s'", file->path);
  put_little_endian(record, size, 8);
  put_little_endian(record + 8, ebb_crc32c_masked(record, 8), 4);
  ebb_tb__event__pack(event, record + HEAD_BYTES);
  put_little_endian(record + HEAD_BYTES + size, ebb_crc32c_masked(record + HEAD_BYTES, size), TAIL_BYTES);
  EbbStatus status = ebb_append_write(file, record, HEAD_BYTES + size + TAIL_BYTES);
  free(record);
  return status;
}

static EbbStatus create(const char *folder, EbbAppendFile *file) {
  char host[256] = "localhost";
  if (gethostname(host, sizeof host - 1) != 0) snprintf(host, sizeof host, "localhost");
  long long seconds = (long long)time(NULL);
  for (int i = 0; i < MOST_FILES; i++) {
    char *path;
    if (asprintf(&path, "%s/events.out.tfevents.%010lld.%s.%ld.%d", folder, seconds, host, (long)getpid(),
                 i) < 0)
      return ebb_fail(EBB_MEMORY, "no memory to open an event file in '%s'", folder);
    bool existed;
    EbbStatus status = ebb_append_open(path, true, file, &existed);
    free(path);
    if (status != EBB_OK || !existed) return status;
  }
  return ebb_fail(EBB_IO, "cannot find a free name for an event file in '%s'", folder);
}

static EbbStatus begin(EbbAppendFile *file, int64_t first_step) {
  char version_text[] = "brain.Event:2";
  EbbTb__Event version = EBB_TB__EVENT__INIT;
  version.file_version = version_text;
  EBB_TRY(append_event(file, 0, &version));
  EbbTb__SessionLog session = EBB_TB__SESSION_LOG__INIT;
  session.has_status = 1;
  session.status = EBB_TB__SESSION_LOG__STATUS__START;
  EbbTb__Event start = EBB_TB__EVENT__INIT;
  start.session_log = &session;
  return append_event(file, first_step, &start);
}

EbbStatus ebb_events_open(const char *folder, int64_t first_step, EbbAppendFile *file) {
  EBB_TRY(create(folder, file));
  EbbStatus status = begin(file, first_step);
  if (status != EBB_OK) ebb_append_close(file);
  return status;
}

EbbStatus ebb_events_write(EbbAppendFile *file, int64_t step, const EbbMetric *metrics, int count) {
  size_t n = count > 0 ? (size_t)count : 1;
  EbbTb__Scalar *scalars = calloc(n, sizeof *scalars);
  EbbTb__Scalar **pointers = calloc(n, sizeof(EbbTb__Scalar *));
  EbbStatus status = EBB_OK;
  if (scalars && pointers) {
    for (int i = 0; i < count; i++) {
      ebb_tb__scalar__init(&scalars[i]);
      scalars[i].tag = (char *)metrics[i].name;
      scalars[i].has_simple_value = 1;
      scalars[i].simple_value = (float)metrics[i].value;
      pointers[i] = &scalars[i];
    }
    EbbTb__Summary summary = EBB_TB__SUMMARY__INIT;
    summary.n_value = (size_t)(count > 0 ? count : 0);
    summary.value = pointers;
    EbbTb__Event event = EBB_TB__EVENT__INIT;
    event.summary = &summary;
    status = append_event(file, step, &event);
  } else
    status = ebb_fail(EBB_MEMORY, "no memory for an event of '%s'", file->path);
  free(scalars);
  free(pointers);
  return status;
}

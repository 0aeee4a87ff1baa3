/* Any bytes are refused with a sentence and change nothing, or are a checkpoint that is saved to a file which
   loads to the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ebb/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { ROOM = 256 };

typedef struct Model {
  EbbParams *params;
  EbbTrainState state;
} Model;

static void declare(EbbParams *params, const char *name, bool buffer) {
  EbbParamSpec spec = {
      .name = name, .shape = ebb_shape(2), .buffer = buffer, .draw = EBB_DRAW_NORMAL, .a = 1};
  int index;
  if (ebb_params_declare(params, "", &spec, &index) != EBB_OK) abort();
}

static Model make(EbbDevice *device) {
  Model model = {.state = {.step = 1}};
  if (ebb_params_create(device, &model.params) != EBB_OK) abort();
  declare(model.params, "a", false);
  declare(model.params, "b", true);
  if (ebb_params_place(model.params, 1) != EBB_OK) abort();
  return model;
}

/* Values, moments and state of a model; returns how many bytes. */
static size_t snapshot(const Model *model, unsigned char *out) {
  size_t used = 0, pair = 2 * sizeof(float);
  const float *const block[] = {ebb_params_value(model->params, 0), ebb_params_value(model->params, 1),
                                ebb_params_moment(model->params, 0, 1),
                                ebb_params_moment(model->params, 0, 2)};
  for (int i = 0; i < 4; i++, used += pair) memcpy(out + used, block[i], pair);
  memcpy(out + used, &model->state, sizeof model->state);
  return used + sizeof model->state;
}

static void check_refusal(EbbStatus status) {
  if (status == EBB_DEVICE || status == EBB_STATE || status == EBB_NOT_FOUND || !*ebb_error()) abort();
}

static void save_and_load(const Model *model, EbbDevice *device, const unsigned char *expected, size_t size) {
  static char path[64];
  unsigned char again[ROOM];
  Model other = make(device);
  snprintf(path, sizeof path, "/tmp/fuzz_checkpoint_%ld", (long)getpid());
  if (ebb_checkpoint_save(path, model->params, &model->state, NULL, NULL, 0) != EBB_OK) abort();
  if (ebb_checkpoint_load(path, other.params, &other.state, NULL, 0) != EBB_OK) abort();
  snapshot(&other, again);
  if (memcmp(again, expected, size) != 0) abort();
  unlink(path);
  ebb_params_destroy(other.params);
}

static void check(const char *path, EbbDevice *device) {
  unsigned char before[ROOM], after[ROOM];
  Model model = make(device);
  int missing = 0;
  char *yaml;
  EbbStatus status = ebb_checkpoint_config(path, &yaml);
  if (status != EBB_OK) check_refusal(status);
  free(yaml);
  size_t size = snapshot(&model, before);
  status = ebb_checkpoint_load(path, model.params, &model.state, NULL, 0);
  snapshot(&model, after);
  if (status == EBB_OK)
    save_and_load(&model, device, after, size);
  else if (check_refusal(status), memcmp(before, after, size) != 0)
    abort();
  status = ebb_checkpoint_import(path, model.params, &missing);
  if (status != EBB_OK) check_refusal(status);
  ebb_params_destroy(model.params);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static EbbDevice *device;
  char path[64];
  if (!device && ebb_device_open("cpu", 1, &device) != EBB_OK) abort();
  int file = memfd_create("checkpoint", MFD_CLOEXEC);
  if (file < 0 || write(file, bytes, length) != (ssize_t)length) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  check(path, device);
  close(file);
  return 0;
}

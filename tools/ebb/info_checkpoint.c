#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/checkpoint.h"
#include "ebb/safetensors.h"
#include "info.h"
#include "run_folder.h"
#include "terminal.h"

/* What else a checkpoint keeps under a parameter's name. */
static const char *const prefixes[] = {"adamw.m.", "adamw.v.", "ema.", "swa."};
enum { N_PREFIXES = sizeof prefixes / sizeof *prefixes };

static int prefix_of(const char *name) {
  for (int i = 0; i < N_PREFIXES; i++)
    if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return i;
  return -1;
}

static void print_tensor(const EbbStoredTensor *tensor) {
  char shape[64];
  ebb_shape_text(&tensor->shape, shape, sizeof shape);
  int room = 60 - (int)strlen(tensor->name);
  printf("  %s %*s  %-4s %10s\n", tensor->name, room > 0 ? room : 0, shape, ebb_stored_name(tensor->type),
         terminal_bytes((int64_t)tensor->bytes).text);
}

static void print_tensors(const EbbSafetensors *file, bool all) {
  int64_t elements = 0, bytes = 0, weights = 0, hidden[N_PREFIXES] = {0};
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(file, i);
    int prefix = prefix_of(tensor->name);
    bytes += (int64_t)tensor->bytes;
    if (prefix < 0) weights++, elements += ebb_shape_size(&tensor->shape);
    if (prefix >= 0) hidden[prefix]++;
    if (prefix < 0 || all) print_tensor(tensor);
  }
  (void)fputc('\n', stdout);
  terminal_field(stdout, "weights", "%s elements in %s tensors", terminal_count(elements).text,
                 terminal_count(weights).text);
  for (int i = 0; i < N_PREFIXES; i++)
    if (hidden[i])
      terminal_field(stdout, "", "and %s tensors %s*", terminal_count(hidden[i]).text, prefixes[i]);
  terminal_field(stdout, "tensor data", "%s", terminal_bytes(bytes).text);
}

static void print_state(const char *path) {
  EbbTrainState state;
  if (run_state(path, &state) != EBB_OK) return; /* weights without a run */
  terminal_field(stdout, "step", "%s", terminal_count(state.step).text);
  if (state.batch)
    terminal_field(stdout, "epoch", "%lld, after %lld batches", (long long)state.epoch + 1,
                   (long long)state.batch);
  else
    terminal_field(stdout, "epoch", "%lld done", (long long)state.epoch);
  if (state.best_epoch >= 0)
    terminal_field(stdout, "best score", "%.6g in epoch %lld", state.best_score,
                   (long long)state.best_epoch + 1);
  terminal_field(stdout, "seed", "%llu", (unsigned long long)state.seed);
}

static EbbStatus print_settings(const char *path) {
  char *yaml = NULL;
  EBB_TRY(ebb_checkpoint_config(path, &yaml));
  (void)fputs(yaml, stdout);
  free(yaml);
  return EBB_OK;
}

EbbStatus info_checkpoint(const char *path, bool all, bool settings) {
  if (settings) return print_settings(path);
  EbbSafetensors *file = NULL;
  EBB_TRY(ebb_safetensors_open(path, &file));
  terminal_field(stdout, "checkpoint", "%s", path);
  print_state(path);
  (void)fputc('\n', stdout);
  print_tensors(file, all);
  ebb_safetensors_close(file);
  return EBB_OK;
}

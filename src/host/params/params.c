#include "ebb/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/rng.h"
#include "host/params/names.h"

/* Parameters start on 64-byte lines: 16 floats. */
enum { LINE_FLOATS = 16 };

struct EbbParams {
  EbbDevice *device;
  EbbParam *param;
  int count, capacity;
  EbbParamGroup *group;
  int group_count, group_capacity;
  bool placed;
  uint64_t seed, generation;
  int64_t size, buffer_size;
  float *flat[EBB_FLATS];
  float *buffers;
};

EbbStatus ebb_params_create(EbbDevice *device, EbbParams **out) {
  *out = calloc(1, sizeof **out);
  if (!*out) return ebb_fail(EBB_MEMORY, "no memory for a parameter table");
  (*out)->device = device;
  return EBB_OK;
}

void ebb_params_destroy(EbbParams *params) {
  if (!params) return;
  for (int i = 0; i < params->count; i++) free(params->param[i].name);
  for (int f = 0; f < EBB_FLATS; f++) ebb_device_free(params->device, params->flat[f]);
  ebb_device_free(params->device, params->buffers);
  free(params->param);
  free(params->group);
  free(params);
}

EbbDevice *ebb_params_device(const EbbParams *params) { return params->device; }
bool ebb_params_placed(const EbbParams *params) { return params->placed; }
uint64_t ebb_params_seed(const EbbParams *params) { return params->seed; }
int ebb_params_count(const EbbParams *params) { return params->count; }
const EbbParam *ebb_params_at(const EbbParams *params, int index) { return &params->param[index]; }
int ebb_params_group_count(const EbbParams *params) { return params->group_count; }
const EbbParamGroup *ebb_params_group(const EbbParams *params, int group) { return &params->group[group]; }
int64_t ebb_params_size(const EbbParams *params) { return params->size; }

int64_t ebb_params_trained(const EbbParams *params) {
  int64_t count = 0;
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    if (param->group >= 0) count += param->size;
  }
  return count;
}

float *ebb_params_flat(const EbbParams *params, EbbFlat which) { return params->flat[which]; }
uint64_t ebb_params_generation(const EbbParams *params) { return params->generation; }
void ebb_params_bump(EbbParams *params) { params->generation++; }

int ebb_params_find(const EbbParams *params, const char *name) {
  for (int i = 0; i < params->count; i++)
    if (!strcmp(params->param[i].name, name)) return i;
  return -1;
}

/* ---- declaration ---- */

static bool same_group(const EbbParamGroup *group, const EbbParamSpec *spec) {
  return group->own_lr == spec->own_lr && group->own_decay == spec->own_decay &&
         (!spec->own_lr || group->lr == spec->lr) &&
         (!spec->own_decay || group->weight_decay == spec->weight_decay) &&
         group->constraint == spec->constraint &&
         (spec->constraint != EBB_CLIPPED || (group->low == spec->low && group->high == spec->high));
}

static EbbStatus find_group(EbbParams *params, const EbbParamSpec *spec, int *index) {
  for (int g = 0; g < params->group_count; g++)
    if (same_group(&params->group[g], spec)) {
      *index = g;
      return EBB_OK;
    }
  if (params->group_count == params->group_capacity) {
    int capacity = 2 * params->group_capacity + 4;
    EbbParamGroup *group = realloc(params->group, (size_t)capacity * sizeof *group);
    if (!group) return ebb_fail(EBB_MEMORY, "no memory for parameter group %d", params->group_count);
    params->group = group, params->group_capacity = capacity;
  }
  *index = params->group_count++;
  params->group[*index] = (EbbParamGroup){.own_lr = spec->own_lr,
                                          .own_decay = spec->own_decay,
                                          .lr = spec->lr,
                                          .weight_decay = spec->weight_decay,
                                          .constraint = spec->constraint,
                                          .low = spec->low,
                                          .high = spec->high};
  return EBB_OK;
}

char *ebb_full_name(const char *scope, const char *name) {
  size_t size = strlen(scope) + strlen(name) + 2;
  char *full = malloc(size);
  if (full) snprintf(full, size, "%s%s%s", scope, *scope ? "." : "", name);
  return full;
}

static EbbStatus check_again(const EbbParam *known, const EbbParamSpec *spec) {
  char old_shape[128], new_shape[128];
  if (!ebb_shape_equal(&known->spec.shape, &spec->shape) || known->spec.buffer != spec->buffer)
    return ebb_fail(EBB_SHAPE, "parameter '%s' is %s%s already and cannot be %s%s too", known->name,
                    known->spec.buffer ? "a buffer " : "",
                    ebb_shape_text(&known->spec.shape, old_shape, sizeof old_shape),
                    spec->buffer ? "a buffer " : "",
                    ebb_shape_text(&spec->shape, new_shape, sizeof new_shape));
  return EBB_OK;
}

static EbbStatus append(EbbParams *params, char *name, const EbbParamSpec *spec, int *index) {
  if (params->placed)
    return ebb_fail(EBB_STATE,
                    "parameter '%s' is not part of this model, whose parameters are placed already", name);
  if (params->count == params->capacity) {
    int capacity = 2 * params->capacity + 32;
    EbbParam *param = realloc(params->param, (size_t)capacity * sizeof *param);
    if (!param) return ebb_fail(EBB_MEMORY, "no memory for parameter '%s'", name);
    params->param = param, params->capacity = capacity;
  }
  int group = -1;
  if (!spec->buffer) EBB_TRY(find_group(params, spec, &group));
  EbbParam *param = &params->param[params->count];
  *param = (EbbParam){.name = name, .spec = *spec, .group = group, .size = ebb_shape_size(&spec->shape)};
  param->spec.name = name + strlen(name) - strlen(spec->name);
  *index = params->count++;
  return EBB_OK;
}

EbbStatus ebb_params_declare(EbbParams *params, const char *scope, const EbbParamSpec *spec, int *index) {
  EBB_TRY(ebb_shape_check(&spec->shape));
  if (spec->constraint == EBB_CLIPPED && !(spec->low <= spec->high))
    return ebb_fail(EBB_INVALID, "parameter '%s' is to be clipped to [%g, %g], which holds no number",
                    spec->name, spec->low, spec->high);
  char *name = ebb_full_name(scope, spec->name);
  if (!name) return ebb_fail(EBB_MEMORY, "no memory for the name of parameter '%s'", spec->name);
  *index = ebb_params_find(params, name);
  bool known = *index >= 0;
  EbbStatus status = known ? check_again(&params->param[*index], spec) : append(params, name, spec, index);
  if (known || status != EBB_OK) free(name);
  return status;
}

/* ---- placement ---- */

static int64_t lines(int64_t floats) { return (floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS; }

static void assign_offsets(EbbParams *params) {
  params->size = params->buffer_size = 0;
  for (int g = 0; g < params->group_count; g++) {
    params->group[g].begin = params->size;
    for (int i = 0; i < params->count; i++) {
      EbbParam *param = &params->param[i];
      if (param->group != g) continue;
      param->offset = params->size;
      params->size += lines(param->size);
    }
    params->group[g].end = params->size;
  }
  for (int i = 0; i < params->count; i++) {
    EbbParam *param = &params->param[i];
    if (param->group >= 0) continue;
    param->offset = params->buffer_size;
    params->buffer_size += lines(param->size);
  }
}

uint64_t ebb_name_seed(uint64_t seed, const char *name) {
  uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, then one Philox block to spread neighbouring names */
  for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
  EbbRandom4 mixed = ebb_random4(seed, hash, 0, 0);
  return mixed.word[0] | (uint64_t)mixed.word[1] << 32;
}

static float draw_one(const EbbParamSpec *spec, uint64_t seed, uint64_t i) {
  EbbRandom4 r = ebb_random4(seed, 0, 0, i);
  switch (spec->draw) {
  case EBB_DRAW_UNIFORM:
    return (float)(spec->a * (2.0 * ebb_unit_double(r.word[0]) - 1.0));
  case EBB_DRAW_RANGE:
    return (float)(spec->a + (spec->b - spec->a) * ebb_unit_double(r.word[0]));
  case EBB_DRAW_NORMAL:
    return (float)(spec->a * ebb_normal(r.word[0], r.word[1]));
  case EBB_DRAW_CONSTANT:
    break;
  }
  return (float)spec->a;
}

static EbbStatus draw_all(EbbParams *params) {
  for (int i = 0; i < params->count; i++) {
    const EbbParam *param = &params->param[i];
    float *host = malloc((size_t)param->size * sizeof *host);
    if (!host) return ebb_fail(EBB_MEMORY, "no memory to initialise parameter '%s'", param->name);
    uint64_t seed = ebb_name_seed(params->seed, param->name);
    for (int64_t e = 0; e < param->size; e++) host[e] = draw_one(&param->spec, seed, (uint64_t)e);
    EbbStatus status = ebb_params_write(params, param->name, host, param->size);
    free(host);
    if (status != EBB_OK) return status;
  }
  return EBB_OK;
}

EbbStatus ebb_params_place(EbbParams *params, uint64_t seed) {
  if (params->placed) return ebb_fail(EBB_STATE, "the parameters are placed already");
  assign_offsets(params);
  static const char *const what[EBB_FLATS] = {"the parameters", "the gradients", "AdamW's first moments",
                                              "AdamW's second moments"};
  for (int f = 0; f < EBB_FLATS; f++)
    EBB_TRY(ebb_device_alloc(params->device, (size_t)params->size * sizeof(float), what[f],
                             (void **)&params->flat[f]));
  EBB_TRY(ebb_device_alloc(params->device, (size_t)params->buffer_size * sizeof(float), "the model's buffers",
                           (void **)&params->buffers));
  params->placed = true;
  params->seed = seed;
  return draw_all(params);
}

/* ---- access ---- */

static float *in_flat(const EbbParams *params, int index, EbbFlat which) {
  const EbbParam *param = &params->param[index];
  return params->placed && param->group >= 0 ? params->flat[which] + param->offset : NULL;
}

float *ebb_params_value(const EbbParams *params, int index) {
  const EbbParam *param = &params->param[index];
  if (!params->placed) return NULL;
  return param->group >= 0 ? params->flat[EBB_FLAT_VALUE] + param->offset : params->buffers + param->offset;
}

float *ebb_params_grad(const EbbParams *params, int index) { return in_flat(params, index, EBB_FLAT_GRAD); }

float *ebb_params_moment(const EbbParams *params, int index, int which) {
  return in_flat(params, index, which == 1 ? EBB_FLAT_M : EBB_FLAT_V);
}

EbbStatus ebb_params_zero_grad(EbbParams *params) {
  return ebb_device_zero(params->device, params->flat[EBB_FLAT_GRAD], (size_t)params->size * sizeof(float));
}

static EbbStatus find_sized(const EbbParams *params, const char *name, int64_t size, int *index) {
  if (!params->placed)
    return ebb_fail(EBB_STATE, "parameter '%s' has no memory before the parameters are placed", name);
  *index = ebb_params_find(params, name);
  if (*index < 0) return ebb_fail(EBB_NOT_FOUND, "the model has no parameter '%s'", name);
  if (params->param[*index].size != size)
    return ebb_fail(EBB_SHAPE, "parameter '%s' has %lld elements, not %lld", name,
                    (long long)params->param[*index].size, (long long)size);
  return EBB_OK;
}

EbbStatus ebb_params_read(const EbbParams *params, const char *name, float *host, int64_t size) {
  int index = -1;
  EBB_TRY(find_sized(params, name, size, &index));
  return ebb_device_read(params->device, host, ebb_params_value(params, index), (size_t)size * sizeof *host);
}

EbbStatus ebb_params_write(EbbParams *params, const char *name, const float *host, int64_t size) {
  int index = -1;
  EBB_TRY(find_sized(params, name, size, &index));
  return ebb_device_write(params->device, ebb_params_value(params, index), host, (size_t)size * sizeof *host);
}

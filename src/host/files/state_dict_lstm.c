/* Weights of torch.nn.LSTM in the layout of ncps's memory cell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_dict_internal.h"

/* ncps has the gates input-tanh, input, forget, output; torch has input, forget, input-tanh, output. */
enum { GATES = 4, FORGET = 2 };
static const int torch_gate[GATES] = {2, 0, 1, 3};
static const float forget_bias = 1; /* what the cell adds itself */

/* The tensors of one layer, NULL where there is none. */
typedef struct Lstm {
  EbbStateTensor *weight_ih, *weight_hh, *bias_ih, *bias_hh;
  int64_t layer, H, I;
  const char *direction; /* layer or backwards */
} Lstm;

static EbbStatus check(const EbbStateDict *dict, Lstm *lstm) {
  const EbbShape *ih = &lstm->weight_ih->stored.shape, *hh = &lstm->weight_hh->stored.shape;
  const EbbShape bias = ebb_shape(ih->rank ? ih->dim[0] : 0);
  char text[96];
  lstm->H = hh->rank == 2 ? hh->dim[1] : 0, lstm->I = ih->rank == 2 ? ih->dim[1] : 0;
  if (lstm->H < 1 || hh->dim[0] != GATES * lstm->H)
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: '%.200s' is %s; of an LSTM it is (4 units, units). Weights of GRU and RNN cannot be "
                    "imported",
                    dict->path, lstm->weight_hh->stored.name, ebb_shape_text(hh, text, sizeof text));
  if (lstm->I < 1 || ih->dim[0] != hh->dim[0] ||
      (lstm->bias_ih && (!ebb_shape_equal(&lstm->bias_ih->stored.shape, &bias) ||
                         !ebb_shape_equal(&lstm->bias_hh->stored.shape, &bias))))
    return ebb_fail(EBB_MISMATCH, "%s: '%.200s' is %s, and does not fit the %lld units of '%.200s'",
                    dict->path, lstm->weight_ih->stored.name, ebb_shape_text(ih, text, sizeof text),
                    (long long)lstm->H, lstm->weight_hh->stored.name);
  return EBB_OK;
}

static EbbStatus read_floats(const EbbStateTensor *tensor, float **out) {
  const int64_t size = ebb_shape_size(&tensor->stored.shape);
  *out = malloc((size_t)size * sizeof **out);
  if (!*out) {
    (void)ebb_fail(EBB_MEMORY, "no memory to convert '%.200s'", tensor->stored.name);
    return EBB_MEMORY;
  }
  return ebb_stored_floats(&tensor->stored, *out, size);
}

/* Blocks of H rows of `width` floats in the order of ncps's gates. */
static void reorder(const float *from, int64_t block, float *to) {
  for (int g = 0; g < GATES; g++)
    memcpy(to + g * block, from + torch_gate[g] * block, (size_t)block * sizeof *to);
}

static void hold(EbbStateTensor *tensor, float *made, int64_t size) {
  tensor->made = made;
  tensor->stored.type = EBB_ST_F32, tensor->stored.data = made;
  tensor->stored.bytes = (uint64_t)size * sizeof *made;
}

static EbbStatus convert_weight(EbbStateTensor *tensor, const Lstm *lstm, const char *name) {
  const int64_t size = ebb_shape_size(&tensor->stored.shape);
  float *made = malloc((size_t)size * sizeof *made), *values = NULL;
  if (!made) return ebb_fail(EBB_MEMORY, "no memory to convert '%.200s'", tensor->stored.name);
  const EbbStatus status = read_floats(tensor, &values);
  if (status == EBB_OK) reorder(values, size / GATES, made);
  free(values);
  if (status != EBB_OK) {
    free(made);
    return status;
  }
  hold(tensor, made, size);
  return ebb_state_tensor_rename(tensor, "layers.%lld.%s.%s.weight", (long long)lstm->layer, lstm->direction,
                                 name);
}

/* made (4 H): the sum of both biases, or 0. */
static EbbStatus sum_biases(const Lstm *lstm, float *made) {
  const int64_t size = GATES * lstm->H;
  memset(made, 0, (size_t)size * sizeof *made);
  if (!lstm->bias_ih) return EBB_OK;
  float *ih = NULL, *hh = NULL;
  EbbStatus status = read_floats(lstm->bias_ih, &ih);
  if (status == EBB_OK) status = read_floats(lstm->bias_hh, &hh);
  if (status == EBB_OK) {
    for (int64_t i = 0; i < size; i++) ih[i] += hh[i];
    reorder(ih, lstm->H, made);
  }
  free(ih);
  free(hh);
  return status;
}

static EbbStatus convert_bias(EbbStateDict *dict, Lstm *lstm) {
  const int64_t size = GATES * lstm->H;
  const EbbStoredTensor stored = {.name = lstm->bias_ih ? lstm->bias_ih->stored.name
                                                        : lstm->weight_ih->stored.name,
                                  .type = EBB_ST_F32,
                                  .shape = ebb_shape(size)};
  float *made = malloc((size_t)size * sizeof *made + 1);
  if (!made) return ebb_fail(EBB_MEMORY, "no memory for the biases of '%.200s'", stored.name);
  const EbbStatus status = sum_biases(lstm, made);
  if (status != EBB_OK) {
    free(made);
    return status;
  }
  for (int64_t h = 0; h < lstm->H; h++) made[FORGET * lstm->H + h] -= forget_bias;
  if (lstm->bias_ih) lstm->bias_ih->dropped = lstm->bias_hh->dropped = true;
  char name[64];
  snprintf(name, sizeof name, "layers.%lld.%s.input_map.bias", (long long)lstm->layer, lstm->direction);
  EBB_TRY(ebb_state_dict_add(dict, name, &stored, made));
  hold(&dict->tensor[dict->count - 1], made, size);
  return EBB_OK;
}

/* The tensor of the name layers.<i>.layer.<kind><ending>. */
static EbbStateTensor *find(const EbbStateDict *dict, int64_t layer, const char *kind, const char *ending) {
  char name[128];
  snprintf(name, sizeof name, "layers.%lld.layer.%s%s", (long long)layer, kind, ending);
  return ebb_state_dict_find(dict, name);
}

static int64_t number_behind(const char *text, const char **end) {
  char *rest;
  const long long number = strtoll(text, &rest, 10);
  *end = rest;
  return number;
}

static EbbStatus convert(EbbStateDict *dict, bool both, int64_t layer, const char *ending,
                         EbbStateTensor *weight_ih) {
  const char *end = ending;
  Lstm lstm = {.weight_ih = weight_ih,
               .weight_hh = find(dict, layer, "weight_hh", ending),
               .bias_ih = find(dict, layer, "bias_ih", ending),
               .bias_hh = find(dict, layer, "bias_hh", ending),
               .layer = layer};
  if (*ending) lstm.layer += number_behind(ending + strlen("_l"), &end);
  lstm.direction = strcmp(end, "_reverse") == 0 ? "backwards" : "layer";
  if (*end && !both)
    return ebb_fail(EBB_MISMATCH,
                    "%s: '%.200s' belongs to an LSTM in both directions: set model.layer.bidirectional=true",
                    dict->path, weight_ih->stored.name);
  if (find(dict, layer, "weight_hr", ending))
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: '%.200s' belongs to an LSTM with a projection, which ebb does not have", dict->path,
                    weight_ih->stored.name);
  if (!lstm.weight_hh || !lstm.bias_ih != !lstm.bias_hh)
    return ebb_fail(EBB_MISMATCH, "%s: '%.200s' lacks its weight_hh, or one of the two biases", dict->path,
                    weight_ih->stored.name);
  EBB_TRY(check(dict, &lstm));
  EBB_TRY(convert_weight(lstm.weight_ih, &lstm, "input_map"));
  EBB_TRY(convert_weight(lstm.weight_hh, &lstm, "recurrent_map"));
  return convert_bias(dict, &lstm);
}

EbbStatus ebb_state_dict_convert_lstm(EbbStateDict *dict, bool bidirectional) {
  static const char kind[] = "weight_ih";
  const size_t count = dict->count; /* biases are added behind */
  for (size_t i = 0; i < count; i++) {
    int64_t layer;
    const char *part = ebb_layer_part(dict->tensor[i].name, &layer);
    if (!part || strncmp(part, kind, strlen(kind)) != 0) continue;
    char ending[64];
    snprintf(ending, sizeof ending, "%s", part + strlen(kind));
    if (*ending && strncmp(ending, "_l", 2) != 0) continue;
    EBB_TRY(convert(dict, bidirectional, layer, ending, &dict->tensor[i]));
  }
  return EBB_OK;
}

/* One case under verification, shared by the files of this folder. */
#ifndef EBB_HOST_VERIFY_INTERNAL_H
#define EBB_HOST_VERIFY_INTERNAL_H

#include <cjson/cJSON.h>

#include "ebb/config.h"
#include "ebb/graph.h"
#include "ebb/optim.h"
#include "ebb/safetensors.h"
#include "ebb/verify.h"

/* A parameter that a case calls by another name. */
typedef struct CaseName {
  const char *in_case, *parameter;
} CaseName;

typedef struct Case {
  const char *path;
  EbbSafetensors *file;
  cJSON *config, *tolerance;
  EbbDevice *device;
  EbbParams *params;
  const EbbVerifyReport *report;
  EbbVerifyResult *result;
  const CaseName *names; /* ends with a NULL; NULL: parameters have the same names */
} Case;

const EbbStoredTensor *case_tensor(const Case *c, const char *format, ...)
    EBB_PRINTF(2, 3); /* NULL: not in the file */
EbbStatus case_require(const Case *c, const char *name, const EbbStoredTensor **out);

EbbStatus case_require_shape(const Case *c, const EbbStoredTensor *tensor, EbbShape shape);
EbbStatus case_require_rank(const Case *c, const EbbStoredTensor *tensor, int rank);

/* Compares `size` floats with the tensor `name`, under the tolerance of its class ("output", "grad",
   "param"). */
EbbStatus case_compare(Case *c, const char *name, const char *class_name, const float *values, int64_t size);
/* The same for the first `steps` of T steps of rows (B, T, width). */
EbbStatus case_compare_steps(Case *c, const char *name, const char *class_name, const double *values,
                             int64_t B, int64_t T, int64_t width, int64_t steps);
/* The tolerance of a class. */
EbbStatus case_tolerance(const Case *c, const char *class_name, double *tolerance);
/* Adds a row for a fact that is true or not. */
void case_fact(Case *c, const char *name, bool holds);
void case_remark(const Case *c, const char *format, ...) EBB_PRINTF(2, 3);

/* Writes every tensor `prefix`NAME into the parameter `scope`NAME. */
EbbStatus case_load_params(Case *c, const char *prefix, const char *scope);
/* That the file gave every parameter, and the constants of every liquid term. */
EbbStatus case_require_params(const Case *c);
/* Compares every tensor `prefix`NAME with the parameter's value, or its gradient. NAMEs of inputs are left to
   the caller; gradients of parameters that a learning rate of 0 freezes are not computed, so not compared. */
/* Compares every tensor `prefix`NAME with the parameter's value, or its gradient, unless NAME is an input's.
   Gradients of parameters that a learning rate of 0 freezes are not computed, so not compared. */
EbbStatus case_compare_params(Case *c, const char *prefix, const char *class_name, bool gradient);
/* Writes the tensor into a graph's float input. */
EbbStatus case_feed_floats(Case *c, EbbGraph *graph, EbbValue value, const EbbStoredTensor *tensor,
                           int64_t from);
EbbStatus case_feed_integers(Case *c, EbbGraph *graph, EbbValue value, const EbbStoredTensor *tensor,
                             int64_t from);

/* Sets dL/dy to the tensor cotangent.y. */
EbbStatus case_feed_cotangent(Case *c, EbbGraph *graph, EbbValue y);
/* One update of a training case, in the graph of `loss`: forward, *at_start = the loss, backward, update. */
EbbStatus case_update(Case *c, EbbGraph *graph, EbbValue loss, EbbOptimizer *optimizer, const EbbAdamW *adamw,
                      int64_t step, float *at_start);

/* Compares a graph's value (or gradient) with a tensor. */
EbbStatus case_compare_value(Case *c, const char *name, const char *class_name, EbbGraph *graph,
                             EbbValue value, bool gradient);

/* Sets configuration keys from a JSON object, which is freed. */
EbbStatus case_configure(const Case *c, cJSON *keys, EbbConfig *config);

/* The published layer's defaults for absent keys, where they differ from those of ebb's configuration: a
   state matrix a channel, and a gated output. */
void case_layer_defaults(cJSON *layer);

/* Internal kernel length of every S4 kernel from the metadata kernel_length; absent, or C_form plain: left at
   0, so that C is transformed. */
EbbStatus case_set_kernel_length(Case *c);

/* Values of the case's config; `otherwise` where it has none. */
double case_number(const Case *c, const char *key, double otherwise);
bool case_flag(const Case *c, const char *key, bool otherwise);
const char *case_text(const Case *c, const char *key, const char *otherwise);
/* A size from 1 on, or 0 where `may_be_0`; an absent key is an error where otherwise < 0. */
EbbStatus case_size(const Case *c, const char *key, int64_t otherwise, bool may_be_0, int64_t *size);

/* The layers of this build. */
EbbStatus verify_s4_layer(Case *c);
EbbStatus verify_s4_step(Case *c);
EbbStatus verify_training(Case *c);
EbbStatus verify_wiring(Case *c);
EbbStatus verify_reservoir(Case *c);
EbbStatus verify_odesolver(Case *c);
EbbStatus verify_lnn(Case *c);
EbbStatus verify_lnn_model(Case *c);
EbbStatus verify_leaky_attention(Case *c);
EbbStatus verify_cell_layer(Case *c);
EbbStatus verify_cell_training(Case *c);
EbbStatus verify_textgen(Case *c);

#endif

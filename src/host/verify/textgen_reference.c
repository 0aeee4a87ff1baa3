#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cell/reference.h"
#include "host/verify/textgen.h"

/* What becomes of the parameters before a run. */
typedef enum Rounding { AS_GIVEN, TO_FLOAT32, LAST_BIT } Rounding;

typedef struct Tensors {
  double *embedding, *out_weight, *out_bias; /* (V, H), (V, H), (V) */
  double *value[EBB_CELL_PARAMS];
} Tensors;

/* One run: its parameters, and their gradients in arrays alike. */
typedef struct Run {
  const Textgen *t;
  int64_t B, T;
  int64_t *tokens, *targets;
  Tensors params, grads;
  double *x, *y, *states, *logits, *dx, *dy, loss;
} Run;

static double rounded(double value, int64_t i, Rounding rounding) {
  if (rounding == TO_FLOAT32) return (double)(float)value;
  return rounding == LAST_BIT ? value * (1 + (i % 2 ? 2.2e-16 : -2.2e-16)) : value;
}

static EbbStatus read_param(const Case *c, const char *name, int64_t size, Rounding rounding, double **out) {
  const EbbStoredTensor *tensor = case_tensor(c, "param.%s", name);
  if (!tensor || ebb_shape_size(&tensor->shape) != size)
    return ebb_fail(EBB_FORMAT, "%s: tensor 'param.%s' is missing or has not %lld elements", c->path, name,
                    (long long)size);
  *out = malloc((size_t)size * sizeof **out);
  if (!*out) return ebb_fail(EBB_MEMORY, "no memory for '%s'", name);
  EBB_TRY(ebb_stored_doubles(tensor, *out, size));
  for (int64_t i = 0; i < size; i++) (*out)[i] = rounded((*out)[i], i, rounding);
  return EBB_OK;
}

static EbbStatus take(int64_t size, double **out) {
  *out = calloc((size_t)size, sizeof **out);
  return *out ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for a float64 run");
}

static EbbStatus take_memory(Run *r) {
  const int64_t rows = r->B * r->T, H = r->t->H, V = r->t->V;
  const EbbCell *cell = r->t->cell;
  EBB_TRY(take(V * H, &r->grads.embedding));
  EBB_TRY(take(V * H, &r->grads.out_weight));
  EBB_TRY(take(V, &r->grads.out_bias));
  for (int p = 0; p < cell->n_params; p++) EBB_TRY(take(cell->param[p].size, &r->grads.value[p]));
  EBB_TRY(take(rows * H, &r->x));
  EBB_TRY(take(rows * H, &r->y));
  EBB_TRY(take(rows * H, &r->states));
  EBB_TRY(take(rows * V, &r->logits));
  EBB_TRY(take(rows * H, &r->dx));
  EBB_TRY(take(rows * H, &r->dy));
  r->tokens = malloc((size_t)rows * sizeof *r->tokens);
  r->targets = malloc((size_t)rows * sizeof *r->targets);
  return r->tokens && r->targets ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for tokens");
}

static void release_tensors(Tensors *tensors) {
  free(tensors->embedding);
  free(tensors->out_weight);
  free(tensors->out_bias);
  for (int p = 0; p < EBB_CELL_PARAMS; p++) free(tensors->value[p]);
}

static void release(Run *r) {
  release_tensors(&r->params);
  release_tensors(&r->grads);
  double *const arrays[] = {r->x, r->y, r->states, r->logits, r->dx, r->dy};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
  free(r->tokens);
  free(r->targets);
}

static EbbStatus read_ids(const Case *c, const EbbStoredTensor *tensor, int64_t size, int64_t V,
                          int64_t *ids) {
  EBB_TRY(ebb_stored_integers(tensor, ids, size));
  for (int64_t i = 0; i < size; i++)
    if (ids[i] < 0 || ids[i] >= V)
      return ebb_fail(EBB_FORMAT, "%s: '%s' holds %lld, outside the vocabulary of %lld", c->path,
                      tensor->name, (long long)ids[i], (long long)V);
  return EBB_OK;
}

static EbbStatus load(const Case *c, Run *r, Rounding rounding) {
  const int64_t rows = r->B * r->T, H = r->t->H, V = r->t->V;
  const EbbCell *cell = r->t->cell;
  EBB_TRY(case_require_shape(c, r->t->in_targets, r->t->in_tokens->shape));
  EBB_TRY(read_ids(c, r->t->in_tokens, rows, V, r->tokens));
  EBB_TRY(read_ids(c, r->t->in_targets, rows, V, r->targets));
  EBB_TRY(read_param(c, "embedding.weight", V * H, rounding, &r->params.embedding));
  EBB_TRY(read_param(c, "out.weight", V * H, rounding, &r->params.out_weight));
  EBB_TRY(read_param(c, "out.bias", V, rounding, &r->params.out_bias));
  for (int p = 0; p < cell->n_params; p++)
    EBB_TRY(read_param(c, cell->param[p].name, cell->param[p].size, rounding, &r->params.value[p]));
  return EBB_OK;
}

/* Logits, mean cross-entropy, and its gradients down to dy. */
static void run_output(Run *r) {
  const int64_t rows = r->B * r->T, H = r->t->H, V = r->t->V;
  for (int64_t row = 0; row < rows; row++) {
    const double *y = r->y + row * H;
    double *logits = r->logits + row * V, most = -INFINITY, sum = 0;
    for (int64_t v = 0; v < V; v++) {
      logits[v] = r->params.out_bias[v];
      for (int64_t h = 0; h < H; h++) logits[v] += r->params.out_weight[v * H + h] * y[h];
      most = fmax(most, logits[v]);
    }
    for (int64_t v = 0; v < V; v++) sum += exp(logits[v] - most);
    r->loss += (most + log(sum) - logits[r->targets[row]]) / (double)rows;
    for (int64_t v = 0; v < V; v++) {
      const double g = (exp(logits[v] - most) / sum - (v == r->targets[row])) / (double)rows;
      r->grads.out_bias[v] += g;
      for (int64_t h = 0; h < H; h++) {
        r->grads.out_weight[v * H + h] += g * y[h];
        r->dy[row * H + h] += g * r->params.out_weight[v * H + h];
      }
    }
  }
}

static EbbStatus run_cell(Run *r, bool back) {
  EbbCellReference cell = {.B = r->B, .T = r->T, .x = r->x, .y = r->y, .states = r->states};
  for (int p = 0; p < r->t->cell->n_params; p++) cell.value[p] = r->params.value[p];
  for (int p = 0; back && p < r->t->cell->n_params; p++) cell.grad[p] = r->grads.value[p];
  if (back) cell.dy = r->dy, cell.dx = r->dx;
  return ebb_cell_reference(r->t->cell, &cell);
}

static EbbStatus run_all(const Case *c, Run *r, Rounding rounding) {
  const int64_t rows = r->B * r->T, H = r->t->H;
  EBB_TRY(take_memory(r));
  EBB_TRY(load(c, r, rounding));
  for (int64_t row = 0; row < rows; row++)
    memcpy(r->x + row * H, r->params.embedding + r->tokens[row] * H, (size_t)H * sizeof *r->x);
  EBB_TRY(run_cell(r, false));
  if (rounding != AS_GIVEN) return EBB_OK;
  run_output(r);
  EBB_TRY(run_cell(r, true));
  for (int64_t i = 0; i < rows * H; i++) r->grads.embedding[r->tokens[i / H] * H + i % H] += r->dx[i];
  return EBB_OK;
}

/* How many steps two runs agree for to a tenth of the tolerance. */
static int64_t steps_in_step(const Run *a, const Run *b, double tolerance) {
  const int64_t H = a->t->H;
  double difference = 0, norm = 0;
  for (int64_t t = 0; t < a->T; t++) {
    for (int64_t i = 0; i < a->B * H; i++) {
      const int64_t at = (i / H * a->T + t) * H + i % H;
      difference += (a->states[at] - b->states[at]) * (a->states[at] - b->states[at]);
      norm += a->states[at] * a->states[at];
    }
    if (!(difference <= 0.01 * tolerance * tolerance * norm)) return t;
  }
  return a->T;
}

static EbbStatus compare_doubles(Case *c, const char *name, const char *class_name, const double *values,
                                 int64_t size) {
  char full[128];
  float *floats = malloc((size_t)size * sizeof *floats);
  if (!floats) return ebb_fail(EBB_MEMORY, "no memory to compare '%s'", name);
  for (int64_t i = 0; i < size; i++) floats[i] = (float)values[i];
  snprintf(full, sizeof full, "expect.%s", name);
  EbbStatus status = case_compare(c, full, class_name, floats, size);
  free(floats);
  return status;
}

static EbbStatus compare_grads(Case *c, const Run *r) {
  const int64_t H = r->t->H, V = r->t->V;
  char name[96];
  EBB_TRY(compare_doubles(c, "grad.embedding.weight", "grad", r->grads.embedding, V * H));
  EBB_TRY(compare_doubles(c, "grad.out.weight", "grad", r->grads.out_weight, V * H));
  EBB_TRY(compare_doubles(c, "grad.out.bias", "grad", r->grads.out_bias, V));
  for (int p = 0; p < r->t->cell->n_params; p++) {
    snprintf(name, sizeof name, "grad.%s", r->t->cell->param[p].name);
    EBB_TRY(compare_doubles(c, name, "grad", r->grads.value[p], r->t->cell->param[p].size));
  }
  return EBB_OK;
}

static EbbStatus compare(Case *c, const Run *r, int64_t steps) {
  if (steps > 0) {
    EBB_TRY(case_compare_steps(c, "expect.h_seq", "output", r->states, r->B, r->T, r->t->H, steps));
    EBB_TRY(case_compare_steps(c, "expect.logits", "output", r->logits, r->B, r->T, r->t->V, steps));
  }
  if (steps < r->T) {
    case_remark(c,
                "from step %lld on the last bit of float64 decides: not compared, nor are loss and gradients",
                (long long)steps);
    return EBB_OK;
  }
  EBB_TRY(compare_doubles(c, "loss", "output", &r->loss, 1));
  return compare_grads(c, r);
}

EbbStatus verify_textgen_reference(Case *c, const Textgen *t, bool *float32) {
  Run runs[3];
  double tolerance;
  EBB_TRY(case_tolerance(c, "output", &tolerance));
  EbbStatus status = EBB_OK;
  for (int i = 0; i < 3; i++) {
    runs[i] = (Run){.t = t, .B = t->in_tokens->shape.dim[0], .T = t->in_tokens->shape.dim[1]};
    if (status == EBB_OK) status = run_all(c, &runs[i], (Rounding)i);
  }
  if (status == EBB_OK) {
    const int64_t steps = steps_in_step(&runs[AS_GIVEN], &runs[TO_FLOAT32], tolerance);
    *float32 = steps == runs[0].T;
    if (!*float32) {
      case_remark(
          c,
          "rounding the parameters to float32 alone moves the states beyond the tolerance from step %lld "
          "on: compared with the float64 reference",
          (long long)steps);
      status = compare(c, &runs[AS_GIVEN], steps_in_step(&runs[AS_GIVEN], &runs[LAST_BIT], tolerance));
    }
  }
  for (int i = 0; i < 3; i++) release(&runs[i]);
  return status;
}

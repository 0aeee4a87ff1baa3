#include "host/data/synthetic.h"

#include <math.h>
#include <stdlib.h>

#include "ebb/rng.h"
#include "host/data/store.h"

/* Making one data set; the arrays hold one sample. */
typedef struct Task {
  const EbbConfig *config;
  EbbStore store;
  uint64_t seed;
  int64_t steps; /* of a sample */
  float *values; /* (steps, d_input) */
  float *targets;
  int32_t *tokens, *labels;
  double *waves; /* delay: (2, frequencies) amplitudes of cosines and sines */
} Task;

enum { NODE = 0x5E7 };

static uint32_t draw(const Task *task, int64_t sample, uint64_t element) {
  return ebb_random(task->seed, (uint64_t)sample, NODE, element);
}

static EbbStatus misfit(const char *says) { return ebb_fail(EBB_INVALID, "dataset.%s", says); }

/* ---- copying ---- */

static EbbStatus plan_copying(Task *task) {
  const int64_t memorize = ebb_config_integer(task->config, "dataset.l_memorize"),
                tokens = ebb_config_integer(task->config, "dataset.n_tokens");
  task->steps = 2 * memorize + ebb_config_integer(task->config, "dataset.l_noise");
  EbbDataset *dataset = task->store.dataset;
  dataset->vocabulary = tokens + 1;
  dataset->n_classes = dataset->d_output = tokens - 1;
  dataset->per_step = true;
  return EBB_OK;
}

static EbbSample make_copying(Task *task, int64_t sample) {
  const int64_t memorize = ebb_config_integer(task->config, "dataset.l_memorize"),
                tokens = ebb_config_integer(task->config, "dataset.n_tokens");
  const int64_t answer = task->steps - memorize; /* where it begins */
  for (int64_t t = 0; t < answer; t++) task->tokens[t] = 1, task->labels[t] = 0;
  for (int64_t i = 0; i < memorize; i++) {
    const int32_t symbol = 1 + (int32_t)ebb_below(draw(task, sample, (uint64_t)i), (uint32_t)(tokens - 2));
    task->tokens[i] = symbol + 1;
    task->tokens[answer + i] = (int32_t)tokens;
    task->labels[answer + i] = symbol;
  }
  return (EbbSample){.elements = task->tokens, .n_steps = task->steps, .labels = task->labels};
}

/* ---- adding ---- */

static EbbStatus plan_adding(Task *task) {
  task->steps = ebb_config_integer(task->config, "dataset.length");
  task->store.dataset->d_input = 2;
  task->store.dataset->d_output = 1;
  return task->steps < 2 ? misfit("length must be 2 or more") : EBB_OK;
}

static EbbSample make_adding(Task *task, int64_t sample) {
  const int64_t n = task->steps, half = n / 2;
  const int64_t marked[2] = {ebb_below(draw(task, sample, (uint64_t)n), (uint32_t)half),
                             half + ebb_below(draw(task, sample, (uint64_t)n + 1), (uint32_t)(n - half))};
  for (int64_t t = 0; t < n; t++) {
    task->values[2 * t] = ebb_unit_float(draw(task, sample, (uint64_t)t));
    task->values[2 * t + 1] = t == marked[0] || t == marked[1] ? 1 : 0;
  }
  task->targets[0] = task->values[2 * marked[0]] + task->values[2 * marked[1]];
  return (EbbSample){.elements = task->values, .n_steps = n, .targets = task->targets};
}

/* ---- delay ---- */

static int64_t frequencies(const Task *task) {
  return (int64_t)floor(ebb_config_number(task->config, "dataset.freq"));
}

static EbbStatus plan_delay(Task *task) {
  task->steps = ebb_config_integer(task->config, "dataset.length");
  task->store.dataset->d_input = task->store.dataset->d_output = 1;
  task->store.dataset->per_step = true;
  if (ebb_config_integer(task->config, "dataset.lag") >= task->steps)
    return misfit("lag must be below dataset.length");
  if (2 * frequencies(task) > task->steps) return misfit("freq must be at most half of dataset.length");
  task->waves = malloc(2 * (size_t)frequencies(task) * sizeof *task->waves);
  return task->waves ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for the frequencies of 'delay'");
}

static double signal_at(const Task *task, int64_t n, double t) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    const double angle = 2 * 3.14159265358979323846 * (double)(k + 1) * t / (double)task->steps;
    sum += task->waves[k] * cos(angle) + task->waves[n + k] * sin(angle);
  }
  return sum;
}

static EbbSample make_delay(Task *task, int64_t sample) {
  const int64_t n = frequencies(task), lag = ebb_config_integer(task->config, "dataset.lag");
  for (int64_t k = 0; k < 2 * n; k++)
    task->waves[k] = 0.5 / sqrt((double)n) *
                     ebb_normal(draw(task, sample, 2 * (uint64_t)k), draw(task, sample, 2 * (uint64_t)k + 1));
  const double first = signal_at(task, n, 0);
  for (int64_t t = 0; t < task->steps; t++) {
    task->values[t] = (float)(signal_at(task, n, (double)t) - first);
    task->targets[t] = t < lag ? 0 : task->values[t - lag];
  }
  return (EbbSample){.elements = task->values, .n_steps = task->steps, .targets = task->targets};
}

/* ---- all ---- */

typedef struct Kind {
  const char *name;
  EbbStoreKind store;
  EbbStatus (*plan)(Task *task); /* sizes */
  EbbSample (*make)(Task *task, int64_t sample);
} Kind;

static EbbStatus allocate(Task *task) {
  const size_t n = (size_t)task->steps;
  const EbbDataset *dataset = task->store.dataset;
  task->values = calloc(n * (size_t)dataset->d_input + 1, sizeof *task->values);
  task->targets = calloc(n * (size_t)dataset->d_output + 1, sizeof *task->targets);
  task->tokens = calloc(n, sizeof *task->tokens);
  task->labels = calloc(n, sizeof *task->labels);
  if (task->values && task->targets && task->tokens && task->labels) return EBB_OK;
  return ebb_fail(EBB_MEMORY, "no memory for a sample of '%s'", dataset->name);
}

static EbbStatus deal(Task *task, int64_t n) {
  int64_t aside = (int64_t)(ebb_config_number(task->config, "dataset.val_split") * (double)n);
  if (aside < 1) aside = 1;
  if (2 * aside >= n)
    return ebb_fail(EBB_INVALID,
                    "dataset.val_split takes %lld of %lld samples each for validation and test; none are "
                    "left to train on",
                    (long long)aside, (long long)n);
  EBB_TRY(ebb_store_view(&task->store, EBB_TRAIN, NULL, 0, n - 2 * aside));
  EBB_TRY(ebb_store_view(&task->store, EBB_VALIDATION, NULL, n - 2 * aside, aside));
  return ebb_store_view(&task->store, EBB_TEST, NULL, n - aside, aside);
}

static EbbStatus make_all(Task *task, const Kind *kind, EbbDataset **out) {
  const int64_t n = ebb_config_integer(task->config, "dataset.n_samples");
  EBB_TRY(ebb_store_create(kind->name, kind->store, &task->store));
  EBB_TRY(kind->plan(task));
  EBB_TRY(allocate(task));
  EBB_TRY(deal(task, n));
  for (int64_t i = 0; i < n; i++) {
    const EbbSample sample = kind->make(task, i);
    EBB_TRY(ebb_store_add(&task->store, &sample));
  }
  EBB_TRY(ebb_store_check_cut(&task->store, task->config));
  return ebb_store_finish(&task->store, ebb_config_integer_or(task->config, "dataset.max_samples", 0), out);
}

static EbbStatus load(const Kind *kind, const EbbConfig *config, EbbDataset **out) {
  Task task = {.config = config, .seed = (uint64_t)ebb_config_integer(config, "dataset.seed")};
  *out = NULL;
  const EbbStatus status = make_all(&task, kind, out);
  ebb_store_release(&task.store);
  free(task.values);
  free(task.targets);
  free(task.tokens);
  free(task.labels);
  free(task.waves);
  return status;
}

EbbStatus ebb_copying_load(const EbbConfig *config, EbbDataset **out) {
  return load(&(Kind){"copying", EBB_STORE_TOKENS, plan_copying, make_copying}, config, out);
}

EbbStatus ebb_adding_load(const EbbConfig *config, EbbDataset **out) {
  return load(&(Kind){"adding", EBB_STORE_FLOATS, plan_adding, make_adding}, config, out);
}

EbbStatus ebb_delay_load(const EbbConfig *config, EbbDataset **out) {
  return load(&(Kind){"delay", EBB_STORE_FLOATS, plan_delay, make_delay}, config, out);
}

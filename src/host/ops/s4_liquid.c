/* Setup of the liquid terms: checks, buffers, and the table of combinations as runs. */
#include "host/ops/s4_liquid.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* min(binomial(n, q), limit + 1): stops before anything can overflow. */
static int64_t binomial_up_to(int64_t n, int64_t q, int64_t limit) {
  if (q > n) return 0;
  if (q > n - q) q = n - q;
  int64_t value = 1;
  for (int64_t i = 1; i <= q; i++) {
    value = value * (n - q + i) / i;
    if (value > limit) return limit + 1;
  }
  return value;
}

int64_t ebb_s4_combination_base(int64_t L, int64_t q) {
  for (int64_t m = 2; m < L; m++)
    if (binomial_up_to(m, q, L) >= L) return m;
  return 0;
}

/* Walks the last L q-subsets of {0 .. m-1} in lexicographic order as runs: the first q - 1 members fixed (the
   prefix), the last counting up. */
typedef struct Walk {
  int64_t m, q, skip, t;
  int32_t *prefix;
} Walk;

static bool next_prefix(Walk *walk) {
  int64_t i = walk->q - 2;
  while (i >= 0 && walk->prefix[i] == walk->m - walk->q + i) i--;
  if (i < 0) return false;
  walk->prefix[i]++;
  for (int64_t j = i + 1; j < walk->q - 1; j++) walk->prefix[j] = walk->prefix[j - 1] + 1;
  return true;
}

/* The runs of q-subsets into `to` (NULL: only counted); each is [t, first, count, prefix (q-1)], with inputs
   counted from 0 .. L-1. */
static int64_t list_runs(int64_t L, int64_t q, int32_t *prefix, int32_t *to) {
  Walk walk = {.m = ebb_s4_combination_base(L, q), .q = q, .prefix = prefix};
  const int64_t base = L - walk.m;
  int64_t runs = 0;
  walk.skip = binomial_up_to(walk.m, q, INT_MAX) - L;
  for (int32_t i = 0; i < q - 1; i++) prefix[i] = i;
  do {
    int64_t first = prefix[q - 2] + 1, count = walk.m - first;
    int64_t dropped = walk.skip < count ? walk.skip : count;
    walk.skip -= dropped, first += dropped, count -= dropped;
    if (count == 0) continue;
    if (to) {
      int32_t *run = to + runs * (q + 2);
      run[0] = (int32_t)walk.t, run[1] = (int32_t)(base + first), run[2] = (int32_t)count;
      for (int64_t i = 0; i < q - 1; i++) run[3 + i] = (int32_t)(base + prefix[i]);
    }
    walk.t += count;
    runs++;
  } while (next_prefix(&walk));
  return runs;
}

/* The table: for each q = 2 .. p the pair (offset, runs), then the runs. */
typedef struct RunTable {
  int64_t L, degree, ints;
  int32_t *prefix;
  const int64_t *counts;
} RunTable;

static void fill_runs(const void *context, void *host) {
  const RunTable *table = context;
  int32_t *to = host;
  int64_t offset = 2 * (table->degree - 1);
  for (int64_t q = 2; q <= table->degree; q++) {
    to[2 * (q - 2)] = (int32_t)offset;
    to[2 * (q - 2) + 1] = (int32_t)table->counts[q - 2];
    list_runs(table->L, q, table->prefix, to + offset);
    offset += table->counts[q - 2] * (q + 2);
  }
}

static EbbStatus setup_counted_runs(EbbSetup *setup, EbbS4Liquid *liquid, RunTable *table, int64_t *counts) {
  table->ints = 2 * (liquid->degree - 1);
  for (int64_t q = 2; q <= liquid->degree; q++) {
    counts[q - 2] = list_runs(liquid->L, q, table->prefix, NULL);
    table->ints += counts[q - 2] * (q + 2);
  }
  if (table->ints > INT_MAX)
    return ebb_fail(EBB_INVALID,
                    "%s: liquid_degree %lld needs a table of %lld combination indices for L = %lld; use a "
                    "lower degree or allcombs=false",
                    ebb_setup_where(setup), (long long)liquid->degree, (long long)table->ints,
                    (long long)liquid->L);
  table->counts = counts;
  return ebb_setup_table(setup, sizeof(int32_t) * (size_t)table->ints, fill_runs, table,
                         (void *)&liquid->runs);
}

static EbbStatus setup_runs(EbbSetup *setup, EbbS4Liquid *liquid) {
  RunTable table = {.L = liquid->L, .degree = liquid->degree};
  int64_t *counts = calloc((size_t)liquid->degree, sizeof *counts);
  table.prefix = calloc((size_t)liquid->degree, sizeof *table.prefix);
  EbbStatus status = counts && table.prefix
                         ? setup_counted_runs(setup, liquid, &table, counts)
                         : ebb_fail(EBB_MEMORY, "%s: no memory to list combinations", ebb_setup_where(setup));
  free(table.prefix);
  free(counts);
  return status;
}

static EbbStatus check(const EbbSetup *setup, const EbbS4Liquid *liquid) {
  const char *where = ebb_setup_where(setup);
  if ((unsigned)liquid->kind >= EBB_S4_LIQUID_KINDS || (unsigned)liquid->contract >= EBB_S4_CONTRACTS)
    return ebb_fail(EBB_INVALID, "%s: there is no liquid kind %d with contraction %d", where,
                    (int)liquid->kind, (int)liquid->contract);
  if (liquid->degree < 2)
    return ebb_fail(EBB_INVALID, "%s: liquid_degree is %lld; products of inputs start at degree 2", where,
                    (long long)liquid->degree);
  if (liquid->n_ssm != 1 && liquid->n_ssm != liquid->H)
    return ebb_fail(EBB_INVALID, "%s: liquid_kernel needs n_ssm = 1 or n_ssm = d_model (%lld), not %lld",
                    where, (long long)liquid->H, (long long)liquid->n_ssm);
  if (liquid->M < 1)
    return ebb_fail(EBB_INVALID, "%s: the state has %lld modes; 1 is the least", where, (long long)liquid->M);
  if (liquid->allcombs && liquid->L - 3 < liquid->degree)
    return ebb_fail(
        EBB_INVALID,
        "%s: sequences of length %lld are too short for all combinations of degree %lld, which need L >= "
        "%lld; use longer sequences, a lower model.layer.liquid_degree or model.layer.allcombs=false",
        where, (long long)liquid->L, (long long)liquid->degree, (long long)liquid->degree + 3);
  if (!liquid->allcombs && liquid->degree > INT_MAX)
    return ebb_fail(EBB_INVALID, "%s: liquid_degree is %lld", where, (long long)liquid->degree);
  return EBB_OK;
}

static EbbStatus declare(EbbSetup *setup, const char *name, EbbShape shape, const float **value) {
  EbbParamSpec spec = {.name = name, .shape = shape, .buffer = true};
  float *writable = NULL;
  EBB_TRY(ebb_setup_buffer(setup, &spec, &writable));
  *value = writable;
  return EBB_OK;
}

EbbStatus ebb_s4_liquid_setup(EbbSetup *setup, const EbbS4LiquidConfig *config, int64_t H, int64_t L,
                              int64_t Lk, bool bidirectional, EbbS4Liquid *liquid) {
  *liquid = (EbbS4Liquid){.kind = config->kind,
                          .contract = config->contract,
                          .allcombs = config->allcombs,
                          .degree = config->degree,
                          .n_ssm = config->n_ssm ? config->n_ssm : H,
                          .M = config->M,
                          .H = H,
                          .L = L,
                          .Lk = Lk,
                          .channels = bidirectional ? 2 : 1};
  if (config->kind == EBB_S4_PLAIN) return EBB_OK;
  EBB_TRY(check(setup, liquid));
  const int64_t n_ssm = liquid->n_ssm, M = liquid->M;
  EBB_TRY(declare(setup, "liquid.B", ebb_shape(n_ssm, M, 2), &liquid->B));
  EBB_TRY(declare(setup, "liquid.C", ebb_shape(liquid->channels, H, M, 2), &liquid->C));
  EBB_TRY(declare(setup, "liquid.w", ebb_shape(n_ssm, M, 2), &liquid->w));
  EBB_TRY(declare(setup, "liquid.log_dt", ebb_shape(H), &liquid->log_dt));
  if (liquid->allcombs) EBB_TRY(setup_runs(setup, liquid));
  if (config->kind != EBB_S4_KB) return EBB_OK;
  EBB_TRY(ebb_setup_fft(setup, Lk + L, &liquid->rows_fft));
  return ebb_setup_fft(setup, (Lk + L) / 2 + 1, &liquid->taps_fft);
}

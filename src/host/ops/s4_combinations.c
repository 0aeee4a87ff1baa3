/* Which inputs make up the products of the liquid terms when all combinations are taken. */
#include "host/ops/s4_combinations.h"

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
   prefix), the last counting up from `first`; the run's subsets are number t .. t + count - 1. */
typedef struct Walk {
  int64_t m, q, skip;
  int32_t *prefix;
  bool begun;
  int64_t t, first, count;
} Walk;

static Walk walk_of(int64_t L, int64_t q, int32_t *prefix) {
  Walk walk = {.m = ebb_s4_combination_base(L, q), .q = q, .prefix = prefix};
  walk.skip = binomial_up_to(walk.m, q, INT_MAX) - L;
  for (int32_t i = 0; i < q - 1; i++) prefix[i] = i;
  return walk;
}

static bool next_prefix(Walk *walk) {
  int64_t i = walk->q - 2;
  while (i >= 0 && walk->prefix[i] == walk->m - walk->q + i) i--;
  if (i < 0) return false;
  walk->prefix[i]++;
  for (int64_t j = i + 1; j < walk->q - 1; j++) walk->prefix[j] = walk->prefix[j - 1] + 1;
  return true;
}

static bool next_run(Walk *walk) {
  walk->t += walk->count;
  do {
    if (walk->begun && !next_prefix(walk)) return false;
    walk->begun = true;
    walk->first = walk->prefix[walk->q - 2] + 1;
    walk->count = walk->m - walk->first;
    const int64_t dropped = walk->skip < walk->count ? walk->skip : walk->count;
    walk->skip -= dropped, walk->first += dropped, walk->count -= dropped;
  } while (walk->count == 0);
  return true;
}

/* A table to be: what it needs to know, and room for a prefix. */
typedef struct Table {
  int64_t L, degree, span, bytes;
  int32_t *prefix;
  int64_t *runs; /* (degree + 1) by q */
} Table;

static int64_t count_runs(const Table *table, int64_t q) {
  Walk walk = walk_of(table->L, q, table->prefix);
  int64_t runs = 0;
  while (next_run(&walk)) runs++;
  return runs;
}

/* Runs with inputs counted from 0 .. L-1. */
static int32_t *list_runs(const Table *table, int64_t q, int32_t *to) {
  Walk walk = walk_of(table->L, q, table->prefix);
  const int64_t base = table->L - walk.m;
  for (; next_run(&walk); to += q + 2) {
    to[0] = (int32_t)walk.t, to[1] = (int32_t)(base + walk.first), to[2] = (int32_t)walk.count;
    for (int64_t i = 0; i < q - 1; i++) to[3 + i] = (int32_t)(base + walk.prefix[i]);
  }
  return to;
}

static void fill_runs(const void *context, void *host) {
  const Table *table = context;
  int32_t *const entries = host, *to = entries + 2 * (table->degree - 1);
  for (int64_t q = 2; q <= table->degree; q++) {
    entries[2 * (q - 2)] = (int32_t)(to - entries);
    entries[2 * (q - 2) + 1] = (int32_t)table->runs[q];
    to = list_runs(table, q, to);
  }
}

static void list_members(const Table *table, int64_t q, uint16_t *member) {
  Walk walk = walk_of(table->L, q, table->prefix);
  const int64_t base = table->span - walk.m, L = table->L;
  while (next_run(&walk))
    for (int64_t i = 0; i < walk.count; i++) {
      for (int64_t j = 0; j < q - 1; j++) member[j * L + walk.t + i] = (uint16_t)(base + table->prefix[j]);
      member[(q - 1) * L + walk.t + i] = (uint16_t)(base + walk.first + i);
    }
}

/* Uses sorted by input, and by subset within an input: start counts them, then moves along as they are
   placed, so that it ends one input ahead. */
static void list_uses(const Table *table, int64_t q, const uint16_t *member, int32_t *start, int32_t *use,
                      uint16_t *other) {
  const int64_t L = table->L;
  memset(start, 0, sizeof *start * (size_t)(table->span + 1));
  for (int64_t i = 0; i < q * L; i++) start[member[i] + 1]++;
  for (int64_t i = 0; i < table->span; i++) start[i + 1] += start[i];
  for (int64_t t = 0; t < L; t++)
    for (int64_t j = 0; j < q; j++) {
      const int32_t e = start[member[j * L + t]]++;
      use[e] = (int32_t)t;
      for (int64_t k = 0; k < q - 1; k++) other[k * q * L + e] = member[(k < j ? k : k + 1) * L + t];
    }
  memmove(start + 1, start, sizeof *start * (size_t)table->span);
  start[0] = 0;
}

static void fill_subsets(const void *context, void *host) {
  const Table *table = context;
  char *to = host;
  for (int64_t q = 2; q <= table->degree; q++) {
    const EbbS4Subsets at = ebb_s4_subsets(to, table->L, table->span, q);
    int32_t *start = (int32_t *)(void *)to, *use = start + (at.use - at.start);
    uint16_t *member = (uint16_t *)(void *)(use + q * table->L), *other = member + (at.other - at.member);
    list_members(table, q, member);
    list_uses(table, q, member, start, use, other);
    to += ebb_s4_subsets_bytes(table->L, table->span, q);
  }
}

static void measure(Table *table, bool runs) {
  for (int64_t q = 2; q <= table->degree; q++) {
    const int64_t base = ebb_s4_combination_base(table->L, q);
    table->span = base > table->span ? base : table->span;
  }
  for (int64_t q = 2; q <= table->degree; q++) {
    if (runs) table->runs[q] = count_runs(table, q);
    table->bytes +=
        runs ? 4 * (2 + table->runs[q] * (q + 2)) : ebb_s4_subsets_bytes(table->L, table->span, q);
  }
}

static EbbStatus setup_table(EbbSetup *setup, EbbS4Liquid *liquid, Table *table) {
  const bool runs = ebb_setup_backend(setup) == EBB_CPU;
  measure(table, runs);
  liquid->span = table->span;
  if (table->bytes / 4 > INT_MAX || table->span > UINT16_MAX)
    return ebb_fail(EBB_INVALID,
                    "%s: liquid_degree %lld needs a table of %lld bytes of combination indices for L = %lld; "
                    "use a lower degree or allcombs=false",
                    ebb_setup_where(setup), (long long)liquid->degree, (long long)table->bytes,
                    (long long)liquid->L);
  return ebb_setup_table(setup, (size_t)table->bytes, runs ? fill_runs : fill_subsets, table,
                         runs ? (void *)&liquid->runs : (void *)&liquid->subsets);
}

EbbStatus ebb_s4_combinations_setup(EbbSetup *setup, EbbS4Liquid *liquid) {
  Table table = {.L = liquid->L, .degree = liquid->degree};
  table.runs = calloc((size_t)liquid->degree + 1, sizeof *table.runs);
  table.prefix = calloc((size_t)liquid->degree, sizeof *table.prefix);
  EbbStatus status = table.runs && table.prefix
                         ? setup_table(setup, liquid, &table)
                         : ebb_fail(EBB_MEMORY, "%s: no memory to list combinations", ebb_setup_where(setup));
  free(table.prefix);
  free(table.runs);
  return status;
}

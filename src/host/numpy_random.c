#include "ebb/numpy_random.h"

#include <stdlib.h>
#include <string.h>

enum { MT_WORDS = 624, MT_MIDDLE = 397, POOL_WORDS = 4, PCG_WORDS = 8 };

__extension__ typedef unsigned __int128 Wide;

void ebb_mt19937_seed(EbbMt19937 *generator, uint32_t seed) {
  for (uint32_t i = 0; i < MT_WORDS; i++) {
    generator->word[i] = seed;
    seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
  }
  generator->used = MT_WORDS;
}

static void make_words(uint32_t word[MT_WORDS]) {
  for (int i = 0; i < MT_WORDS; i++) {
    uint32_t y = (word[i] & 0x80000000u) | (word[(i + 1) % MT_WORDS] & 0x7fffffffu);
    word[i] = word[(i + MT_MIDDLE) % MT_WORDS] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
}

uint32_t ebb_mt19937_next(EbbMt19937 *generator) {
  if (generator->used == MT_WORDS) {
    make_words(generator->word);
    generator->used = 0;
  }
  uint32_t y = generator->word[generator->used++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

/* All bits set from the highest one of `value` down. */
static uint32_t mask_of(uint32_t value) {
  for (int shift = 1; shift < 32; shift *= 2) value |= value >> shift;
  return value;
}

uint32_t ebb_mt19937_below(EbbMt19937 *generator, uint32_t n) {
  const uint32_t mask = mask_of(n - 1);
  uint32_t value = 0;
  if (n == 1) return value;
  do value = ebb_mt19937_next(generator) & mask;
  while (value >= n);
  return value;
}

static void swap(int64_t *a, int64_t *b) {
  int64_t held = *a;
  *a = *b;
  *b = held;
}

static void count_up(int64_t n, int64_t *out) {
  for (int64_t i = 0; i < n; i++) out[i] = i;
}

void ebb_mt19937_permutation(EbbMt19937 *generator, int64_t n, int64_t *out) {
  count_up(n, out);
  for (int64_t i = n - 1; i > 0; i--) swap(&out[i], &out[ebb_mt19937_below(generator, (uint32_t)(i + 1))]);
}

void ebb_numpy_permutation(uint32_t seed, int64_t n, int64_t *out) {
  EbbMt19937 generator;
  ebb_mt19937_seed(&generator, seed);
  ebb_mt19937_permutation(&generator, n, out);
}

void ebb_torch_permutation(uint32_t seed, int64_t n, int64_t *out) {
  EbbMt19937 generator;
  ebb_mt19937_seed(&generator, seed);
  count_up(n, out);
  for (int64_t i = 0; i + 1 < n; i++) swap(&out[i], &out[i + ebb_mt19937_next(&generator) % (n - i)]);
}

/* A 32-bit hash whose constant changes from word to word. */
typedef struct Hash {
  uint32_t constant, multiplier;
} Hash;

static uint32_t hash_word(Hash *hash, uint32_t word) {
  word ^= hash->constant;
  hash->constant *= hash->multiplier;
  word *= hash->constant;
  return word ^ (word >> 16);
}

/* The words that SeedSequence(seed) gives to a PCG64. */
static void expand_seed(uint64_t seed, uint32_t words[PCG_WORDS]) {
  Hash in = {0x43b0d7e5u, 0x931e8875u}, out = {0x8b51f9ddu, 0x58f38dedu};
  const uint32_t entropy[POOL_WORDS] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t pool[POOL_WORDS];
  for (int i = 0; i < POOL_WORDS; i++) pool[i] = hash_word(&in, entropy[i]);
  for (int from = 0; from < POOL_WORDS; from++)
    for (int to = 0; to < POOL_WORDS; to++) {
      if (from == to) continue;
      uint32_t mixed = 0xca01f9ddu * pool[to] - 0x4973f715u * hash_word(&in, pool[from]);
      pool[to] = mixed ^ (mixed >> 16);
    }
  for (int i = 0; i < PCG_WORDS; i++) words[i] = hash_word(&out, pool[i % POOL_WORDS]);
}

static Wide wide(uint64_t high, uint64_t low) { return (Wide)high << 64 | low; }

static void set_state(EbbPcg64 *generator, Wide state) {
  generator->state[0] = (uint64_t)state;
  generator->state[1] = (uint64_t)(state >> 64);
}

static void step(EbbPcg64 *generator) {
  const Wide multiplier = wide(2549297995355413924u, 4865540595714422341u);
  set_state(generator, wide(generator->state[1], generator->state[0]) * multiplier +
                           wide(generator->increment[1], generator->increment[0]));
}

void ebb_pcg64_seed(EbbPcg64 *generator, uint64_t seed) {
  uint32_t word[PCG_WORDS];
  expand_seed(seed, word);
  uint64_t part[PCG_WORDS / 2];
  for (int i = 0; i < PCG_WORDS / 2; i++) part[i] = (uint64_t)word[2 * i + 1] << 32 | word[2 * i];
  const Wide increment = wide(part[2], part[3]) << 1 | 1;
  *generator = (EbbPcg64){.increment = {(uint64_t)increment, (uint64_t)(increment >> 64)}};
  step(generator);
  set_state(generator, wide(generator->state[1], generator->state[0]) + wide(part[0], part[1]));
  step(generator);
}

uint64_t ebb_pcg64_next(EbbPcg64 *generator) {
  step(generator);
  uint64_t folded = generator->state[0] ^ generator->state[1];
  unsigned turn = (unsigned)(generator->state[1] >> 58);
  return folded >> turn | folded << ((64 - turn) & 63);
}

uint32_t ebb_pcg64_next32(EbbPcg64 *generator) {
  generator->has_spare = !generator->has_spare;
  if (!generator->has_spare) return generator->spare;
  uint64_t bits = ebb_pcg64_next(generator);
  generator->spare = (uint32_t)(bits >> 32);
  return (uint32_t)bits;
}

static uint32_t below_32(EbbPcg64 *generator, uint32_t n) {
  const uint32_t biased = -n % n;
  uint64_t product;
  do product = (uint64_t)ebb_pcg64_next32(generator) * n;
  while ((uint32_t)product < biased);
  return (uint32_t)(product >> 32);
}

static uint64_t below_64(EbbPcg64 *generator, uint64_t n) {
  const uint64_t biased = -n % n;
  Wide product;
  do product = (Wide)ebb_pcg64_next(generator) * n;
  while ((uint64_t)product < biased);
  return (uint64_t)(product >> 64);
}

uint64_t ebb_pcg64_below(EbbPcg64 *generator, uint64_t n) {
  const uint64_t all_32 = UINT64_C(1) << 32;
  if (n <= 1) return 0;
  if (n == all_32) return ebb_pcg64_next32(generator);
  return n < all_32 ? below_32(generator, (uint32_t)n) : below_64(generator, n);
}

/* Exchanges from the end on, down to element `first`. */
static void shuffle(EbbPcg64 *generator, int64_t n, int64_t first, int64_t *values) {
  for (int64_t i = n - 1; i >= first; i--)
    swap(&values[i], &values[ebb_pcg64_below(generator, (uint64_t)i + 1)]);
}

/* Masked rejection, which numpy keeps for whole arrays. */
static uint32_t below_masked(EbbPcg64 *generator, uint32_t n) {
  const uint32_t mask = mask_of(n - 1);
  uint32_t value;
  do value = ebb_pcg64_next32(generator) & mask;
  while (value >= n);
  return value;
}

void ebb_pcg64_permutation(EbbPcg64 *generator, int64_t n, int64_t *out) {
  count_up(n, out);
  for (int64_t i = n - 1; i > 0; i--) swap(&out[i], &out[below_masked(generator, (uint32_t)(i + 1))]);
}

/* Many out of many: the tail of a permutation that is finished only there. */
static EbbStatus choose_tail(EbbPcg64 *generator, int64_t n, int64_t k, int64_t *out) {
  int64_t *all = malloc((size_t)n * sizeof *all);
  if (!all) return ebb_fail(EBB_MEMORY, "no memory to choose from %lld items", (long long)n);
  count_up(n, all);
  shuffle(generator, n, n - k > 1 ? n - k : 1, all);
  memcpy(out, all + (n - k), (size_t)k * sizeof *out);
  free(all);
  return EBB_OK;
}

/* Floyd's algorithm, its result shuffled. */
static EbbStatus choose_floyd(EbbPcg64 *generator, int64_t n, int64_t k, int64_t *out) {
  uint8_t *chosen = calloc((size_t)n / 8 + 1, 1);
  if (!chosen) return ebb_fail(EBB_MEMORY, "no memory to choose from %lld items", (long long)n);
  for (uint64_t i = 0; i < (uint64_t)k; i++) {
    const uint64_t last = (uint64_t)(n - k) + i;
    uint64_t item = ebb_pcg64_below(generator, last + 1);
    if (chosen[item / 8] >> item % 8 & 1) item = last;
    chosen[item / 8] |= (uint8_t)(1u << item % 8);
    out[i] = (int64_t)item;
  }
  free(chosen);
  shuffle(generator, k, 1, out);
  return EBB_OK;
}

EbbStatus ebb_pcg64_choose(EbbPcg64 *generator, int64_t n, int64_t k, int64_t *out) {
  enum { TAIL_FROM = 10000, TAIL_SHARE = 50 };
  if (k < 0 || k > n)
    return ebb_fail(EBB_INVALID, "cannot choose %lld of %lld items without repeating one", (long long)k,
                    (long long)n);
  bool tail = n > TAIL_FROM && k > n / TAIL_SHARE;
  return tail ? choose_tail(generator, n, k, out) : choose_floyd(generator, n, k, out);
}

/* The random numbers of numpy and torch, bit for bit: published data splits and wirings are named by a seed
   of these libraries. Everything that ebb draws for itself comes from rng.h. Sources: Matsumoto and Nishimura
   1998 (MT19937, init_genrand); O'Neill 2014 (PCG64, XSL-RR 128/64); Lemire 2019 (bounded integers); numpy's
   SeedSequence, RandomState and Generator. */
#ifndef EBB_NUMPY_RANDOM_H
#define EBB_NUMPY_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The generator behind numpy's RandomState and torch's manual_seed on the CPU. */
typedef struct EbbMt19937 {
  uint32_t word[624];
  int used; /* words given out since they were last made */
} EbbMt19937;

/* RandomState(seed). */
void ebb_mt19937_seed(EbbMt19937 *generator, uint32_t seed);
/* 32 random bits. */
uint32_t ebb_mt19937_next(EbbMt19937 *generator);
/* RandomState.randint(0, n), also RandomState.choice(n): masked rejection; no draw for n = 1. n >= 1. */
uint32_t ebb_mt19937_below(EbbMt19937 *generator, uint32_t n);
/* RandomState.permutation(n) into out[0..n); its first k are RandomState.choice(n, k, replace=False).
   0 <= n < 2^32. */
void ebb_mt19937_permutation(EbbMt19937 *generator, int64_t n, int64_t *out);

/* RandomState(seed).permutation(n). */
void ebb_numpy_permutation(uint32_t seed, int64_t n, int64_t *out);
/* torch.randperm(n) after manual_seed(seed), as random_split draws it; consecutive pieces of it are the
   parts. 0 <= n < 2^32 / 20, beyond which torch draws 64 bits. */
void ebb_torch_permutation(uint32_t seed, int64_t n, int64_t *out);

/* The generator behind numpy's default_rng. */
typedef struct EbbPcg64 {
  uint64_t state[2], increment[2]; /* low word first */
  uint32_t spare;                  /* high half of the last 64 bits, if only the low one was asked for */
  bool has_spare;
} EbbPcg64;

/* default_rng(seed): SeedSequence makes state and increment of it. */
void ebb_pcg64_seed(EbbPcg64 *generator, uint64_t seed);
/* 64 random bits, and 32. */
uint64_t ebb_pcg64_next(EbbPcg64 *generator);
uint32_t ebb_pcg64_next32(EbbPcg64 *generator);
/* Generator.integers(0, n), also Generator.choice(n): Lemire's multiplication; no draw for n = 1. n >= 1. */
uint64_t ebb_pcg64_below(EbbPcg64 *generator, uint64_t n);
/* Generator.permutation(n) into out[0..n). 0 <= n < 2^32. */
void ebb_pcg64_permutation(EbbPcg64 *generator, int64_t n, int64_t *out);
/* Generator.choice(n, k, replace=False) into out[0..k). Errors: INVALID unless 0 <= k <= n, MEMORY. */
EbbStatus ebb_pcg64_choose(EbbPcg64 *generator, int64_t n, int64_t k, int64_t *out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

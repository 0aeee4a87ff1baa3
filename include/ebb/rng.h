/* Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2,
   3"). A draw is a pure function of (seed, step, node, element), so it needs no state, no stored dropout
   mask, and a resumed run draws what an unbroken one draws. The same code serves host and device. */
#ifndef EBB_RNG_H
#define EBB_RNG_H

#include <math.h>
#include <stdint.h>

#include "ebb/scalar.h"

typedef struct EbbRandom4 {
  uint32_t word[4];
} EbbRandom4;

/* The Philox4x32-10 block function. Source: Salmon et al., section 3.3; test vectors of Random123. */
EBB_INLINE EbbRandom4 ebb_philox(const uint32_t counter[4], const uint32_t key[2]) {
  const uint32_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  const uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)multiplier0 * c0, p1 = (uint64_t)multiplier1 * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1, c3 = (uint32_t)p0, c0 = n0, c2 = n2;
    k0 += weyl0, k1 += weyl1;
  }
  EbbRandom4 out = {{c0, c1, c2, c3}};
  return out;
}

/* Four words for element block `block` (elements 4*block .. 4*block+3) of `node` at `step`: seed is the key's
   64 bits, counter = (block low, block high mixed with node, step low, step high). block < 2^48, node < 2^16.
 */
EBB_INLINE EbbRandom4 ebb_random4(uint64_t seed, uint64_t step, uint32_t node, uint64_t block) {
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32) ^ (node << 16), (uint32_t)step,
                               (uint32_t)(step >> 32)};
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  return ebb_philox(counter, key);
}

/* One word for one element; selected without an index, which would put the words into memory. */
EBB_INLINE uint32_t ebb_random(uint64_t seed, uint64_t step, uint32_t node, uint64_t element) {
  EbbRandom4 random = ebb_random4(seed, step, node, element >> 2);
  uint32_t low = element & 1 ? random.word[1] : random.word[0];
  uint32_t high = element & 1 ? random.word[3] : random.word[2];
  return element & 2 ? high : low;
}

/* A word as a float in [0, 1) with 24 bits, and as a double in (0, 1) that never is 0. */
EBB_INLINE float ebb_unit_float(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }
EBB_INLINE double ebb_unit_double(uint32_t word) { return ((double)word + 0.5) * 0x1p-32; }

/* A standard normal variate from two words (Box-Muller, cosine branch). */
EBB_INLINE double ebb_normal(uint32_t word0, uint32_t word1) {
  return sqrt(-2.0 * log(ebb_unit_double(word0))) * cos(6.283185307179586476925 * ebb_unit_double(word1));
}

/* An integer in 0..n-1 from one word (multiply-shift; bias below n / 2^32). n >= 1. */
EBB_INLINE uint32_t ebb_below(uint32_t word, uint32_t n) { return (uint32_t)(((uint64_t)word * n) >> 32); }

#endif

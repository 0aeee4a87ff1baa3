/* Wirings without layers: every synapse, or a random share of them. */
#include <math.h>
#include <stdlib.h>

#include "ebb/numpy_random.h"
#include "host/wiring/wiring_internal.h"

/* +1 with probability 2/3. */
static int8_t draw_sign(EbbPcg64 *random) { return ebb_pcg64_below(random, 3) ? 1 : -1; }

static void connect_all(EbbWiring *wiring, EbbPcg64 *random, bool self_connections) {
  for (int source = 0; source < wiring->units; source++)
    for (int target = 0; target < wiring->units; target++) {
      if (source == target && !self_connections) continue;
      *wiring_synapse(wiring, source, target) = draw_sign(random);
    }
  for (int64_t i = 0; i < (int64_t)wiring->inputs * wiring->units; i++)
    wiring->sensory[i] = draw_sign(random);
}

EbbStatus ebb_wiring_fully_connected(int units, int motors, uint64_t seed, bool self_connections, int inputs,
                                     EbbWiring **out) {
  EBB_TRY(wiring_create(units, motors, inputs, out));
  EbbPcg64 random;
  ebb_pcg64_seed(&random, seed);
  connect_all(*out, &random, self_connections);
  return EBB_OK;
}

/* ncps draws the sign of a sensory synapse twice and keeps the second. */
static EbbStatus connect_some(int8_t *synapse, int64_t possible, double density, int signs,
                              EbbPcg64 *random) {
  const int64_t n = (int64_t)rint((double)possible * density);
  int64_t *chosen = malloc((size_t)(n + 1) * sizeof *chosen);
  if (!chosen) return ebb_fail(EBB_MEMORY, "no memory to draw %lld synapses", (long long)n);
  EbbStatus status = ebb_pcg64_choose(random, possible, n, chosen);
  for (int64_t i = 0; status == EBB_OK && i < n; i++)
    for (int draw = 0; draw < signs; draw++) synapse[chosen[i]] = draw_sign(random);
  free(chosen);
  return status;
}

static EbbStatus connect_random(EbbWiring *wiring, double sparsity, uint64_t seed) {
  EbbPcg64 random;
  ebb_pcg64_seed(&random, seed);
  const int64_t units = wiring->units;
  EBB_TRY(connect_some(wiring->adjacency, units * units, 1 - sparsity, 1, &random));
  return connect_some(wiring->sensory, wiring->inputs * units, 1 - sparsity, 2, &random);
}

EbbStatus ebb_wiring_random(int units, int motors, double sparsity, uint64_t seed, int inputs,
                            EbbWiring **out) {
  *out = NULL;
  if (!(sparsity >= 0 && sparsity < 1))
    return ebb_fail(EBB_INVALID, "sparsity %g of a random wiring; it is 0 or more and less than 1", sparsity);
  EBB_TRY(wiring_create(units, motors, inputs, out));
  return wiring_finish(connect_random(*out, sparsity, seed), *out, out);
}

/* Reservoirs: recurrent networks that are drawn once and never trained; a readout (ridge.h) learns what their
   states mean. They run on the CPU, in double precision, in which spike times do not depend on rounding.
   Dimension letters: B batch, T time steps, I inputs, H units.
   Sources: Jaeger 2001, "The echo state approach"; Jaeger et al. 2007 (leaky units); Maass et al. 2002
   (liquid state machines). */
#ifndef EBB_RESERVOIR_H
#define EBB_RESERVOIR_H

#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbReservoir EbbReservoir;

/* Leaky units: h <- (1 - leak) h + leak tanh(W_in u + W h). */
typedef struct EbbEcho {
  double leak; /* above 0, up to 1 */
} EbbEcho;

/* Leaky integrate-and-fire units, a step of dt (all times in the unit of dt):
     current <- current e^(-dt/tau_syn) + gain_in (W_in s_in + W s)
     v       <- v + dt/tau_m (-(v - v_reset) + gain_syn current)   unless refractory
     s       =  v >= v_th and not refractory; then v <- v_reset, refractory for the next refractory_steps
   steps trace   <- trace e^(-dt/tau_m) + s Source: Gerstner and Kistler 2002, chapter 4 (exponential
   synapses, Euler step). */
typedef struct EbbSpiking {
  double dt, tau_m, tau_syn, v_th, v_reset, gain_in, gain_syn;
  int refractory_steps;
} EbbSpiking;

/* How weights are drawn: each unit listens to round(density H), at least one, of the units, with weights
   uniform in (-1, 1) and then scaled to the spectral radius; and to every input, with weights uniform in
   (-input_scale, input_scale) for leaky units and (0, input_scale) for spiking ones. Up to 256 units the
   radius is that of LAPACK, beyond it comes from Arnoldi's iteration and is right to about 1 part in 1000. */
typedef struct EbbReservoirDraw {
  double density;         /* above 0, up to 1 */
  double spectral_radius; /* 0 or more; below 1 a leaky reservoir forgets */
  double input_scale;     /* 0 or more */
  uint64_t seed;
} EbbReservoirDraw;

/* The weights of the published kind: W_in (H, I), W (H, H), [target][source]. */
typedef struct EbbReservoirWeights {
  const double *W_in, *W;
} EbbReservoirWeights;

/* Reservoirs of drawn and of given weights (which are copied; zeros of W cost nothing). Errors: INVALID
   (which setting, and its range; which weight is not finite), NUMERIC (no spectral radius was found, or it is
   0), MEMORY. *out is NULL where they fail. */
EbbStatus ebb_reservoir_echo_draw(const EbbEcho *echo, int inputs, int units, const EbbReservoirDraw *draw,
                                  EbbReservoir **out) EBB_MUST_CHECK;
EbbStatus ebb_reservoir_echo(const EbbEcho *echo, int inputs, int units, const EbbReservoirWeights *weights,
                             EbbReservoir **out) EBB_MUST_CHECK;
EbbStatus ebb_reservoir_spiking_draw(const EbbSpiking *spiking, int inputs, int units,
                                     const EbbReservoirDraw *draw, EbbReservoir **out) EBB_MUST_CHECK;
EbbStatus ebb_reservoir_spiking(const EbbSpiking *spiking, int inputs, int units,
                                const EbbReservoirWeights *weights, EbbReservoir **out) EBB_MUST_CHECK;
/* NULL is allowed. */
void ebb_reservoir_destroy(EbbReservoir *reservoir);

int ebb_reservoir_units(const EbbReservoir *reservoir);
int ebb_reservoir_inputs(const EbbReservoir *reservoir);
/* Recurrent weights that are not 0, and their spectral radius. Errors: NUMERIC, MEMORY. */
int64_t ebb_reservoir_synapses(const EbbReservoir *reservoir);
EbbStatus ebb_reservoir_radius(const EbbReservoir *reservoir, double *radius) EBB_MUST_CHECK;
/* Copies all weights, those that are 0 too: W_in (H, I) and W (H, H), [target][source]. */
void ebb_reservoir_weights(const EbbReservoir *reservoir, double *W_in, double *W);

/* The state of B independent sequences, all 0 (v: v_reset) at first. */
typedef struct EbbReservoirState EbbReservoirState;
EbbStatus ebb_reservoir_state_create(const EbbReservoir *reservoir, int batch,
                                     EbbReservoirState **out) EBB_MUST_CHECK;
void ebb_reservoir_state_reset(EbbReservoirState *state);
void ebb_reservoir_state_destroy(EbbReservoirState *state); /* NULL is allowed */

/* The values of a field, (B, H): "h" of leaky units; "current", "v", "spike", "trace", "refractory" (steps
   left) of spiking ones; NULL for another name. Writing to them sets the state. Lifetime: the state's. */
double *ebb_reservoir_field(EbbReservoirState *state, const char *field);

/* Advances by one step of inputs u (B, I), or by T steps of u (B, T, I). After each step the units' output
   (h, or trace) goes to y (B, H) or (B, T, H); y may be NULL. The results do not depend on the number of
   threads. Errors: NUMERIC (an input is not finite: which one; the state is as it was). Alias: none. */
EbbStatus ebb_reservoir_step(const EbbReservoir *reservoir, EbbReservoirState *state, const double *u,
                             double *y) EBB_MUST_CHECK;
EbbStatus ebb_reservoir_run(const EbbReservoir *reservoir, EbbReservoirState *state, int64_t steps,
                            const double *u, double *y) EBB_MUST_CHECK;

/* Writes reservoir and state (NULL: none) to a safetensors file, and makes both from it, bit for bit. A file
   without a state gives *state = NULL; state may be NULL where none is wanted. Errors: IO, NOT_FOUND, FORMAT
   (which entry), MEMORY, and those of making a reservoir. */
EbbStatus ebb_reservoir_save(const EbbReservoir *reservoir, const EbbReservoirState *state,
                             const char *path) EBB_MUST_CHECK;
EbbStatus ebb_reservoir_restore(const char *path, EbbReservoir **reservoir,
                                EbbReservoirState **state) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

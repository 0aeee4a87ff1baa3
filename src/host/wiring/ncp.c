/* Neural circuit policies. The order of the draws is ncps's, so that its seeds give its wirings. */
#include <stdlib.h>
#include <string.h>

#include "ebb/numpy_random.h"
#include "host/wiring/wiring_internal.h"

/* Neurons (or sensors) first .. first+size-1. */
typedef struct Group {
  int first, size;
} Group;

/* One round of draws: each neuron of `each` is joined to `n` of `other`; what stays alone is joined to the
   average number, but at most `most`, of `each`. */
typedef struct Round {
  Group each, other;
  int n, most;
  bool backward; /* synapses lead from `other` to `each` */
  bool sensory;  /* `each` are sensors */
} Round;

typedef struct Builder {
  EbbWiring *wiring;
  EbbMt19937 random;
  int64_t *drawn; /* room for a permutation of any group */
  bool *joined;   /* (H) or (I) */
} Builder;

static int8_t draw_sign(Builder *b) { return ebb_mt19937_below(&b->random, 2) ? 1 : -1; }

static void join(Builder *b, const Round *round, int each, int other) {
  const int source = round->backward ? other : each, target = round->backward ? each : other;
  int8_t *synapse = round->sensory ? wiring_sensory_synapse(b->wiring, source, target)
                                   : wiring_synapse(b->wiring, source, target);
  *synapse = draw_sign(b);
}

static int clip(int value, int least, int most) {
  if (value < least) return least;
  return value > most ? most : value;
}

static void join_forgotten(Builder *b, const Round *round) {
  const int64_t synapses = (int64_t)round->each.size * round->n;
  const int n = clip((int)(synapses / round->other.size), 1, round->most);
  for (int i = 0; i < round->other.size; i++) {
    if (b->joined[i]) continue;
    ebb_mt19937_permutation(&b->random, round->each.size, b->drawn);
    for (int k = 0; k < n; k++) join(b, round, round->each.first + (int)b->drawn[k], round->other.first + i);
  }
}

static void draw_round(Builder *b, const Round *round) {
  memset(b->joined, 0, (size_t)round->other.size * sizeof *b->joined);
  for (int i = 0; i < round->each.size; i++) {
    ebb_mt19937_permutation(&b->random, round->other.size, b->drawn);
    for (int k = 0; k < round->n; k++) {
      b->joined[b->drawn[k]] = true;
      join(b, round, round->each.first + i, round->other.first + (int)b->drawn[k]);
    }
  }
  join_forgotten(b, round);
}

static void draw_recurrent(Builder *b, Group command, int synapses) {
  for (int i = 0; i < synapses; i++) {
    int source = command.first + (int)ebb_mt19937_below(&b->random, (uint32_t)command.size);
    int target = command.first + (int)ebb_mt19937_below(&b->random, (uint32_t)command.size);
    *wiring_synapse(b->wiring, source, target) = draw_sign(b);
  }
}

static void set_layer(EbbWiring *wiring, Group group, EbbNeuron type, int layer) {
  for (int i = group.first; i < group.first + group.size; i++) {
    wiring->type[i] = (uint8_t)type;
    wiring->layer[i] = (int8_t)layer;
  }
}

static void draw_wiring(Builder *b, const EbbNcp *ncp) {
  const Group motor = {0, ncp->motors}, command = {ncp->motors, ncp->command};
  Group inter = {b->wiring->units, 0}, before = {0, b->wiring->inputs};
  b->wiring->layers = ncp->n_inter + 2;
  for (int i = 0; i < ncp->n_inter; i++) {
    inter = (Group){inter.first - ncp->inter[i], ncp->inter[i]};
    set_layer(b->wiring, inter, EBB_INTER, i);
    const Round round = {.each = before,
                         .other = inter,
                         .n = i ? ncp->inter_fanout : ncp->sensory_fanout,
                         .most = i ? inter.size : before.size,
                         .sensory = !i};
    draw_round(b, &round);
    before = inter;
  }
  set_layer(b->wiring, command, EBB_COMMAND, ncp->n_inter);
  set_layer(b->wiring, motor, EBB_MOTOR, ncp->n_inter + 1);
  draw_round(b, &(Round){.each = inter, .other = command, .n = ncp->inter_fanout, .most = command.size});
  draw_recurrent(b, command, ncp->recurrent_command_synapses);
  draw_round(
      b,
      &(Round){.each = motor, .other = command, .n = ncp->motor_fanin, .most = motor.size, .backward = true});
}

static EbbStatus check_fan(const char *name, int fan, int size, const char *neurons) {
  if (fan >= 1 && fan <= size) return EBB_OK;
  return ebb_fail(EBB_INVALID, "%s is %d; there are %d %s neurons, so it is 1 to %d", name, fan, size,
                  neurons, size);
}

static EbbStatus check_size(const char *name, int size) {
  if (size >= 1 && size <= EBB_WIRING_MAX_UNITS) return EBB_OK;
  return ebb_fail(EBB_INVALID, "%d %s neurons; a neural circuit policy has 1 to %d", size, name,
                  EBB_WIRING_MAX_UNITS);
}

static EbbStatus check(const EbbNcp *ncp) {
  if (ncp->n_inter < 1 || ncp->n_inter > EBB_WIRING_MAX_INTER)
    return ebb_fail(EBB_INVALID, "%d layers of inter neurons; 1 to %d are possible", ncp->n_inter,
                    EBB_WIRING_MAX_INTER);
  EBB_TRY(check_size("motor", ncp->motors));
  EBB_TRY(check_size("command", ncp->command));
  for (int i = 0; i < ncp->n_inter; i++) {
    EBB_TRY(check_size("inter", ncp->inter[i]));
    EBB_TRY(check_fan(i ? "inter_fanout" : "sensory_fanout", i ? ncp->inter_fanout : ncp->sensory_fanout,
                      ncp->inter[i], "inter"));
  }
  EBB_TRY(check_fan("inter_fanout", ncp->inter_fanout, ncp->command, "command"));
  EBB_TRY(check_fan("motor_fanin", ncp->motor_fanin, ncp->command, "command"));
  if (ncp->recurrent_command_synapses >= 0) return EBB_OK;
  return ebb_fail(EBB_INVALID, "recurrent_command_synapses is %d; it is 0 or more",
                  ncp->recurrent_command_synapses);
}

static EbbStatus build(EbbWiring *wiring, const EbbNcp *ncp) {
  const size_t most = (size_t)(wiring->units > wiring->inputs ? wiring->units : wiring->inputs);
  Builder b = {
      .wiring = wiring, .drawn = malloc(most * sizeof *b.drawn), .joined = malloc(most * sizeof *b.joined)};
  EbbStatus status = EBB_OK;
  if (b.drawn && b.joined) {
    ebb_mt19937_seed(&b.random, ncp->seed);
    draw_wiring(&b, ncp);
  } else {
    status = ebb_fail(EBB_MEMORY, "no memory to draw a wiring of %d units", wiring->units);
  }
  free(b.drawn);
  free(b.joined);
  return status;
}

EbbStatus ebb_wiring_ncp(const EbbNcp *ncp, int inputs, EbbWiring **out) {
  *out = NULL;
  EBB_TRY(check(ncp));
  int units = ncp->motors + ncp->command;
  for (int i = 0; i < ncp->n_inter; i++) units += ncp->inter[i];
  EBB_TRY(wiring_create(units, ncp->motors, inputs, out));
  return wiring_finish(build(*out, ncp), *out, out);
}

static int share(int neurons, double part) {
  int n = (int)(neurons * part);
  return n > 1 ? n : 1;
}

EbbStatus ebb_wiring_auto_ncp(int units, int motors, double sparsity, uint32_t seed, int inputs,
                              EbbWiring **out) {
  *out = NULL;
  if (motors < 1 || motors >= (int64_t)units - 2)
    return ebb_fail(
        EBB_INVALID,
        "%d motor neurons among %d units; an automatic NCP has at least 1, and fewer than units - "
        "2 (3 other neurons or more)",
        motors, units);
  if (!(sparsity >= 0.1 && sparsity <= 1))
    return ebb_fail(EBB_INVALID, "sparsity %g of an automatic NCP; it is 0.1 to 1", sparsity);
  const double density = 1 - sparsity;
  const int command = share(units - motors, 0.4), inter = units - motors - command;
  const EbbNcp ncp = {.inter = {inter},
                      .n_inter = 1,
                      .command = command,
                      .motors = motors,
                      .sensory_fanout = share(inter, density),
                      .inter_fanout = share(command, density),
                      .recurrent_command_synapses = share(command, density * 2),
                      .motor_fanin = share(command, density),
                      .seed = seed};
  return ebb_wiring_ncp(&ncp, inputs, out);
}

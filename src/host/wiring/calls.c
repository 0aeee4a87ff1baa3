#include "host/wiring/calls.h"

#include <ctype.h>
#include <string.h>

#include "ebb/file.h"
#include "host/wiring/wiring_internal.h"

#define SEED_64      9007199254740991.0 /* what a double counts to */
#define SEED_32      4294967295.0
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const WiringArgument fully_connected[] = {
    {"units", "units", WIRING_INTEGER, NULL, 1, EBB_WIRING_MAX_UNITS, "neurons"},
    {"motors", "output_dim", WIRING_INTEGER, "0", 0, EBB_WIRING_MAX_UNITS, "motor neurons; 0: all units"},
    {"seed", "erev_init_seed", WIRING_INTEGER, "1111", 0, SEED_64, "seed of the signs"},
    {"self_connections", "self_connections", WIRING_FLAG, "true", 0, 1, "synapses of a neuron to itself"},
};

static const WiringArgument random_wiring[] = {
    {"units", "units", WIRING_INTEGER, NULL, 1, EBB_WIRING_MAX_UNITS, "neurons"},
    {"motors", "output_dim", WIRING_INTEGER, "0", 0, EBB_WIRING_MAX_UNITS, "motor neurons; 0: all units"},
    {"sparsity", "sparsity_level", WIRING_NUMBER, "0", 0, 0.999999, "share of the synapses that is left out"},
    {"seed", "random_seed", WIRING_INTEGER, "1111", 0, SEED_64, "seed of synapses and signs"},
};

static const WiringArgument ncp[] = {
    {"inter", "inter_neurons", WIRING_SIZES, NULL, 1, EBB_WIRING_MAX_UNITS,
     "inter neurons; [10, 6] makes two layers"},
    {"command", "command_neurons", WIRING_INTEGER, NULL, 1, EBB_WIRING_MAX_UNITS, "command neurons"},
    {"motors", "motor_neurons", WIRING_INTEGER, NULL, 1, EBB_WIRING_MAX_UNITS, "motor neurons"},
    {"sensory_fanout", "sensory_fanout", WIRING_INTEGER, "4", 1, EBB_WIRING_MAX_UNITS, "targets of a sensor"},
    {"inter_fanout", "inter_fanout", WIRING_INTEGER, "5", 1, EBB_WIRING_MAX_UNITS,
     "targets of an inter neuron in the next layer"},
    {"recurrent_command_synapses", "recurrent_command_synapses", WIRING_INTEGER, "6", 0, 1e8,
     "draws among command neurons"},
    {"motor_fanin", "motor_fanin", WIRING_INTEGER, "4", 1, EBB_WIRING_MAX_UNITS,
     "command neurons that feed a motor neuron"},
    {"seed", "seed", WIRING_INTEGER, "22222", 0, SEED_32, "seed of synapses and signs"},
};

static const WiringArgument auto_ncp[] = {
    {"units", "units", WIRING_INTEGER, NULL, 4, EBB_WIRING_MAX_UNITS, "neurons"},
    {"motors", "output_size", WIRING_INTEGER, NULL, 1, EBB_WIRING_MAX_UNITS,
     "motor neurons, fewer than units - 2"},
    {"sparsity", "sparsity_level", WIRING_NUMBER, "0.5", 0.1, 1, "share of the synapses that is left out"},
    {"seed", "seed", WIRING_INTEGER, "22222", 0, SEED_32, "seed of synapses and signs"},
};

static int whole(const WiringValue *value) { return (int)value->number; }
static int motors_of(const WiringValue *units, const WiringValue *motors) {
  return whole(motors) ? whole(motors) : whole(units);
}

static EbbStatus make_fully_connected(const WiringValue *v, int inputs, EbbWiring **out) {
  return ebb_wiring_fully_connected(whole(&v[0]), motors_of(&v[0], &v[1]), (uint64_t)v[2].number,
                                    v[3].number != 0, inputs, out);
}

static EbbStatus make_random(const WiringValue *v, int inputs, EbbWiring **out) {
  return ebb_wiring_random(whole(&v[0]), motors_of(&v[0], &v[1]), v[2].number, (uint64_t)v[3].number, inputs,
                           out);
}

static EbbStatus make_ncp(const WiringValue *v, int inputs, EbbWiring **out) {
  EbbNcp wanted = {.n_inter = v[0].n,
                   .command = whole(&v[1]),
                   .motors = whole(&v[2]),
                   .sensory_fanout = whole(&v[3]),
                   .inter_fanout = whole(&v[4]),
                   .recurrent_command_synapses = whole(&v[5]),
                   .motor_fanin = whole(&v[6]),
                   .seed = (uint32_t)v[7].number};
  memcpy(wanted.inter, v[0].size, sizeof wanted.inter);
  return ebb_wiring_ncp(&wanted, inputs, out);
}

static EbbStatus make_auto_ncp(const WiringValue *v, int inputs, EbbWiring **out) {
  return ebb_wiring_auto_ncp(whole(&v[0]), whole(&v[1]), v[2].number, (uint32_t)v[3].number, inputs, out);
}

const WiringCall wiring_calls[WIRING_CALLS] = {
    {"autoncp", "a neural circuit policy from its size", auto_ncp, COUNT(auto_ncp), make_auto_ncp},
    {"ncp", "a neural circuit policy layer by layer", ncp, COUNT(ncp), make_ncp},
    {"fully_connected", "all synapses", fully_connected, COUNT(fully_connected), make_fully_connected},
    {"random", "a random share of all synapses", random_wiring, COUNT(random_wiring), make_random},
};

/* The next character that counts, or 0. */
static int next_letter(const char **at, const char *end) {
  while (*at < end && **at == '_') ++*at;
  return *at < end ? tolower((unsigned char)*(*at)++) : 0;
}

static bool same_name(const char *a, const char *a_end, const char *b, const char *b_end) {
  int letter;
  do {
    letter = next_letter(&a, a_end);
    if (letter != next_letter(&b, b_end)) return false;
  } while (letter);
  return true;
}

const WiringCall *wiring_call_named(const char *name, size_t length) {
  for (int i = 0; i < WIRING_CALLS; i++) {
    const char *known = wiring_calls[i].name;
    if (same_name(known, known + strlen(known), name, name + length)) return &wiring_calls[i];
  }
  return NULL;
}

static void print_argument(FILE *out, const WiringArgument *row) {
  fprintf(out, "    %s%s%s: %s ", row->name, row->initial ? "=" : "", row->initial ? row->initial : "",
          row->help);
  if (row->type == WIRING_FLAG)
    (void)fputs("(true or false)\n", out);
  else
    fprintf(out, "(%.16g to %.16g)\n", row->min, row->max);
}

void ebb_wiring_help(FILE *out) {
  for (int i = 0; i < WIRING_CALLS; i++) {
    const WiringCall *call = &wiring_calls[i];
    fprintf(out, "  %s(...): %s\n", call->name, call->summary);
    for (int k = 0; k < call->n_arguments; k++) print_argument(out, &call->argument[k]);
  }
}

static EbbStatus make(const char *text, int inputs, EbbWiring **out) {
  const WiringCall *call;
  WiringValue value[WIRING_MAX_ARGUMENTS];
  EBB_TRY(wiring_call_parse(text, &call, value));
  if (inputs < 1) return ebb_fail(EBB_INVALID, "%s needs a number of inputs", call->name);
  EBB_TRY(call->make(value, inputs, out));
  EbbWiring *made = *out;
  return wiring_finish(ebb_wiring_check(made), made, out);
}

EbbStatus ebb_wiring_from_text(const char *text, int inputs, EbbWiring **out) {
  *out = NULL;
  const bool is_call = strchr(text, '(') || wiring_call_named(text, strlen(text));
  if (!is_call || ebb_file_exists(text)) return ebb_wiring_read(text, inputs, out);
  EbbStatus status = make(text, inputs, out);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "wiring '%s'", text);
}

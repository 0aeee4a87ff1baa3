/* Wirings: which neuron of a liquid cell listens to which, and with what sign. Those of ncps are made as ncps
   makes them, synapse for synapse, from the same seeds. Dimension letters: H units, I inputs (sensors).
   Sources: Lechner et al. 2020, "Neural circuit policies enabling auditable autonomy"; ncps. */
#ifndef EBB_WIRING_H
#define EBB_WIRING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbNeuron { EBB_MOTOR, EBB_COMMAND, EBB_INTER } EbbNeuron;

enum {
  EBB_WIRING_MAX_UNITS = 16384,
  EBB_WIRING_MAX_INPUTS = 1 << 20,
  EBB_WIRING_MAX_SYNAPSES = 1 << 30, /* of I*H possible ones */
  EBB_WIRING_MAX_INTER = 16          /* layers of inter neurons */
};

/* Motor neurons are units 0..motors-1; they are the cell's output. A layered wiring has its layers in the
   order that signals take: inter neurons (one or several layers), command, motor; others are one layer. */
typedef struct EbbWiring {
  int units, motors, inputs, layers;
  uint8_t *type;     /* (H) EbbNeuron */
  int8_t *layer;     /* (H) 0..layers-1 */
  int8_t *adjacency; /* (H, H) [source][target]: +1 excitatory, -1 inhibitory, 0 none */
  int8_t *sensory;   /* (I, H) [sensor][target] */
} EbbWiring;

/* Frees a wiring; NULL is allowed. Every function below that makes one sets *out to NULL where it fails. */
void ebb_wiring_destroy(EbbWiring *wiring);

/* Every neuron listens to every neuron (to itself only with self_connections) and to every sensor; a synapse
   is excitatory with probability 2/3. Source: ncps FullyConnected. Errors: INVALID (which argument), MEMORY.
 */
EbbStatus ebb_wiring_fully_connected(int units, int motors, uint64_t seed, bool self_connections, int inputs,
                                     EbbWiring **out) EBB_MUST_CHECK;

/* round(H*H*(1 - sparsity)) synapses drawn from all, and round(I*H*(1 - sparsity)) from sensors; signs as
   above. 0 <= sparsity < 1. Source: ncps Random. Errors: as above. */
EbbStatus ebb_wiring_random(int units, int motors, double sparsity, uint64_t seed, int inputs,
                            EbbWiring **out) EBB_MUST_CHECK;

/* Arguments of a neural circuit policy. Its ids: motor, command, then inter neurons, the last layer first. */
typedef struct EbbNcp {
  int inter[EBB_WIRING_MAX_INTER]; /* sizes of the inter layers, the one that sensors feed first */
  int n_inter;
  int command, motors;
  int sensory_fanout, inter_fanout; /* targets of a sensor, and of an inter neuron, in the next layer */
  int recurrent_command_synapses;   /* draws with replacement, so at most so many synapses */
  int motor_fanin;                  /* command neurons that a motor neuron listens to */
  uint32_t seed;
} EbbNcp;

/* Sensors feed inter neurons, these the command neurons, these each other and the motor neurons. A neuron
   that no draw reached is connected like an average one of its layer. Signs are equally likely. Source: ncps
   NCP; several inter layers, each feeding the next, are ebb's. Errors: as above. */
EbbStatus ebb_wiring_ncp(const EbbNcp *ncp, int inputs, EbbWiring **out) EBB_MUST_CHECK;

/* An NCP from its size: 0.4 of the units - motors are command neurons, every fanout is 1 - sparsity of its
   layer. motors < units - 2, 0.1 <= sparsity <= 1. Source: ncps AutoNCP. Errors: as above. */
EbbStatus ebb_wiring_auto_ncp(int units, int motors, double sparsity, uint32_t seed, int inputs,
                              EbbWiring **out) EBB_MUST_CHECK;

/* A wiring from what a configuration or a command line says: a call such as
     autoncp(units=32, motors=4, sparsity=0.5, seed=22222)   fully_connected(32, 4)
     random(32, 4, sparsity=0.75)   ncp(inter=[10, 6], command=8, motors=3, sensory_fanout=4, ...)
   with the names of ebb_wiring_help or of ncps, or the name of a file. inputs = 0 takes a file's own number.
   The wiring has passed ebb_wiring_check. Errors: INVALID (which argument, its range), MEMORY, and those of
   reading. */
EbbStatus ebb_wiring_from_text(const char *text, int inputs, EbbWiring **out) EBB_MUST_CHECK;

/* Prints the calls of ebb_wiring_from_text: arguments, defaults, ranges, meanings; lines of 80 columns. */
void ebb_wiring_help(FILE *out);

/* Reads a wiring: a .safetensors file with integers adjacency (H, H), sensory_adjacency (I, H) and, if not
   all units are motor neurons, types (H) and layers (H), or the state dict of a cell of ncps with its
   sparsity masks; else text (docs/wirings.md). The wiring has passed ebb_wiring_check. Errors: NOT_FOUND, IO,
   FORMAT (which line or entry), INVALID, MISMATCH (inputs is neither 0 nor the file's), MEMORY. */
EbbStatus ebb_wiring_read(const char *path, int inputs, EbbWiring **out) EBB_MUST_CHECK;
/* Writes a file that ebb_wiring_read reads, of the kind that the name's ending says. Errors: IO, MEMORY. */
EbbStatus ebb_wiring_write(const EbbWiring *wiring, const char *path) EBB_MUST_CHECK;

/* That signals can flow: a sensor reaches every motor neuron; where all units are motor neurons, at least
   one. Errors: INVALID (which neuron), MEMORY. */
EbbStatus ebb_wiring_check(const EbbWiring *wiring) EBB_MUST_CHECK;

/* Synapses between neurons, and from sensors. */
int64_t ebb_wiring_synapses(const EbbWiring *wiring);
int64_t ebb_wiring_sensory_synapses(const EbbWiring *wiring);

/* Writes the units of a layer, in increasing order, into ids[0..H) and returns their number. */
int ebb_wiring_layer(const EbbWiring *wiring, int layer, int *ids);

/* "motor", "command", "inter". */
const char *ebb_neuron_name(EbbNeuron type);

/* Draws the wiring into a .png or .svg file through graphviz, or writes graphviz's own .dot. Errors: INVALID
   (another ending), NOT_FOUND (graphviz missing), IO, DEVICE (graphviz's own words), MEMORY. */
EbbStatus ebb_wiring_draw(const EbbWiring *wiring, const char *picture) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

/* Recurrent cells as programs: a cell is a short list of instructions on vectors, run at every time step. One
   engine a backend runs every cell forward and backward through time (op `cell`, ops/cell.h); a new cell is a
   function that writes a program (cells.h has those of the literature).

   A program works on one sample. Its vectors:
   - X: the step's input, I floats;
   - STATE: what is carried from step to step, S floats, several states side by side;
   - SEQ: results of the section SEQUENCE, which does not look at the state and so runs for all steps at once;
   - TEMP: results of the other sections;
   - PARAM: parameters, the same for every sample and step;
   - ELAPSED, the step's elapsed time, and constants: one number that stands for any width.

   Its sections run in this order at every step:
   - SEQUENCE: from X, PARAM, ELAPSED and SEQ into SEQ;
   - STEP: once, into TEMP, as the next two;
   - BODY: `repeat` times, the sub-steps of a solver;
   - TAIL: once.

   At the end of a section (of each repetition) its moves replace states by vectors. Each vector is written by
   one instruction; an instruction reads vectors that stand before it. TEMP vectors of BODY can be read in
   BODY alone. */
#ifndef EBB_CELL_H
#define EBB_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/params.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  EBB_CELL_OPERANDS = 9,
  EBB_CELL_PARAMS = 64,
  EBB_CELL_INSTRUCTIONS = 512,
  EBB_CELL_MOVES = 8,  /* a section */
  EBB_CELL_TABLES = 4, /* lists of synapses */
  EBB_CELL_ALIGN =
      16 /* results and parameters start at multiples of this many floats; states and slices need not */
};

typedef enum EbbCellCode {
#define EBB_CELL_FORMULA(CODE, name, operands) EBB_CELL_##CODE,
#define EBB_CELL_MOTION(CODE, name)            EBB_CELL_##CODE,
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
  EBB_CELL_CODES
} EbbCellCode;

typedef enum EbbCellSpace {
  EBB_CELL_ABSENT,
  EBB_CELL_X,
  EBB_CELL_STATE,
  EBB_CELL_SEQ,
  EBB_CELL_TEMP,
  EBB_CELL_PARAM,
  EBB_CELL_ELAPSED,
  EBB_CELL_CONSTANT
} EbbCellSpace;

/* A vector: floats at .. at + width - 1 of its space. */
typedef struct EbbCellRef {
  EbbCellSpace space;
  int32_t at, width; /* width 0: any (ELAPSED, CONSTANT) */
  double value;      /* CONSTANT */
} EbbCellRef;

/* Element (o, i) is float at + o out_stride + i in_stride of the parameters. */
typedef struct EbbCellMatrix {
  int32_t at, outputs, inputs, out_stride, in_stride;
} EbbCellMatrix;

typedef struct EbbCellInstruction {
  EbbCellCode code;
  int32_t operands; /* how many of from[] are in use */
  EbbCellRef to, from[EBB_CELL_OPERANDS];
  EbbCellMatrix matrix;        /* LINEAR */
  int32_t table;               /* SYNAPSES */
  int32_t group;               /* REPEAT, GROUP_* */
  double c[EBB_CELL_OPERANDS]; /* COMBINE */
} EbbCellInstruction;

typedef enum EbbCellSection {
  EBB_CELL_SEQUENCE,
  EBB_CELL_STEP,
  EBB_CELL_BODY,
  EBB_CELL_TAIL,
  EBB_CELL_SECTIONS
} EbbCellSection;

typedef struct EbbCellMove {
  EbbCellRef state, from; /* from: TEMP, SEQ or X of the state's width */
} EbbCellMove;

typedef struct EbbCellPart {
  int32_t first, count; /* instructions */
  int32_t moves;
  EbbCellMove move[EBB_CELL_MOVES];
} EbbCellPart;

/* What programs read is the parameter after this map, and after the mask. */
typedef enum EbbCellMap { EBB_CELL_AS_IS, EBB_CELL_SOFTPLUS_OF } EbbCellMap;

typedef struct EbbCellParam {
  char name[64];     /* as the published code names it */
  EbbParamSpec spec; /* spec.name is this name; a buffer is saved and never trained */
  EbbCellMap map;
  bool constant;   /* not declared: `values` for ever */
  bool orthogonal; /* initial value: rows (or columns) orthonormal, spec.shape of rank 2 */
  float *values;   /* (size) initial or constant values, NULL: drawn by spec. The cell's own */
  float *mask;     /* (size) 0 or 1, NULL: none. The cell's own */
  int32_t at, size;
} EbbCellParam;

/* The synapses that exist, sorted by target and then source; parameters (sources, targets) by index. */
typedef struct EbbCellSynapses {
  int32_t sources, targets, count;
  int32_t *source, *target; /* (count). The cell's own */
  int32_t w, sigma, mu, erev;
} EbbCellSynapses;

typedef struct EbbCell {
  char name[32];
  EbbStatus status; /* of the first thing that went wrong while the program was written */
  int32_t inputs, states, seqs, temps, arena; /* floats of X, STATE, SEQ, TEMP, PARAM */
  int32_t repeat;                             /* of BODY */
  bool uses_elapsed;
  EbbCellPart part[EBB_CELL_SECTIONS];
  int32_t n_instructions, n_params, n_tables;
  EbbCellInstruction instruction[EBB_CELL_INSTRUCTIONS];
  EbbCellParam param[EBB_CELL_PARAMS];
  EbbCellSynapses table[EBB_CELL_TABLES];
  EbbCellRef output; /* STATE, TEMP of STEP or TAIL, or SEQ */
  /* 1 / (effective time constant) of each neuron, TEMP of STEP or BODY; ABSENT: not known. An explicit solver
     with sub-steps of elapsed * rate_step (0: of elapsed / repeat) is stable while rate * step <= rate_limit.
   */
  EbbCellRef rate;
  float rate_limit, rate_step;
  EbbCellSection section; /* being written */
} EbbCell;

/* ---- writing a program ----
   The first error (too many instructions, widths that do not fit, memory) stays in cell->status with its
   sentence; later calls do nothing. ebb_cell_finish returns it. */

/* For inputs X of I floats. Errors: MEMORY, INVALID (I < 1). */
EbbStatus ebb_cell_create(const char *name, int64_t I, EbbCell **out) EBB_MUST_CHECK;
void ebb_cell_destroy(EbbCell *cell);

EbbCellRef ebb_cell_x(const EbbCell *cell);
EbbCellRef ebb_cell_elapsed(EbbCell *cell);
EbbCellRef ebb_cell_constant(double value);
EbbCellRef ebb_cell_absent(void);
EbbCellRef ebb_cell_state(EbbCell *cell, int64_t width);
/* `width` elements of a vector from element `from` on. */
EbbCellRef ebb_cell_slice(EbbCell *cell, EbbCellRef vector, int64_t from, int64_t width);

/* A parameter; its whole as a vector. values and mask (may be NULL) are copied. */
EbbCellRef ebb_cell_param(EbbCell *cell, const EbbParamSpec *spec, EbbCellMap map, const float *values,
                          const float *mask);
/* A vector of constants. */
EbbCellRef ebb_cell_constants(EbbCell *cell, const float *values, int64_t size);
/* A parameter (O, I), or (I, O) where `transposed`, as the matrix of a LINEAR instruction on inputs
   first .. first + width - 1. */
EbbCellMatrix ebb_cell_matrix(EbbCell *cell, EbbCellRef param, int64_t outputs, int64_t inputs,
                              bool transposed, int64_t first, int64_t width);
/* Parameters of shape (sources, targets); exists (sources, targets) or NULL: all. */
int ebb_cell_synapses(EbbCell *cell, EbbCellRef w, EbbCellRef sigma, EbbCellRef mu, EbbCellRef erev,
                      int64_t sources, int64_t targets, const float *exists);

/* Instructions from here on belong to `section`; sections are written in their order. repeat: of BODY. */
void ebb_cell_begin(EbbCell *cell, EbbCellSection section, int64_t repeat);
/* Appends an instruction and gives its result, `width` floats. Operands end at the first EBB_CELL_ABSENT
   beyond the code's number. */
EbbCellRef ebb_cell_apply(EbbCell *cell, EbbCellCode code, int64_t width, int n, const EbbCellRef *from);
EbbCellRef ebb_cell_linear(EbbCell *cell, EbbCellMatrix matrix, EbbCellRef from, EbbCellRef add);
/* (2 targets): numerators, then denominators. */
EbbCellRef ebb_cell_synapse_sums(EbbCell *cell, int table, EbbCellRef from, EbbCellRef add);
EbbCellRef ebb_cell_combine(EbbCell *cell, EbbCellRef start, EbbCellRef scale, int n, const double *c,
                            const EbbCellRef *from);
EbbCellRef ebb_cell_grouped(EbbCell *cell, EbbCellCode code, int64_t group, EbbCellRef from);
/* At the end of the section (of each repetition): state = from. */
void ebb_cell_move(EbbCell *cell, EbbCellRef state, EbbCellRef from);

/* Ends the program. Errors: the first one of those above; INVALID where there is no output. */
EbbStatus ebb_cell_finish(EbbCell *cell, EbbCellRef output) EBB_MUST_CHECK;

/* Operands of a code that has a fixed number (formulas), else -1; its name. */
int ebb_cell_code_operands(EbbCellCode code);
const char *ebb_cell_code_name(EbbCellCode code);
/* The index of the parameter of this name, -1: none. */
int ebb_cell_find_param(const EbbCell *cell, const char *name);

#ifdef __cplusplus
}
#endif
#endif

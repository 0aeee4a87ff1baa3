/* A cell's program as the CUDA engine runs it. A block holds the vectors of one sample (or of one row of the
   SEQUENCE section) side by side as `vectors` floats, their gradients likewise; parameters stand in an order
   in which those that instructions read come first. host/ops/cell_gpu.c writes it, kernels/cell.cuh reads it.
 */
#ifndef EBB_OPS_CELL_CUDA_H
#define EBB_OPS_CELL_CUDA_H

#include "ebb/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  /* Codes of this engine: to = from[0]; of a move, which takes the state's gradient away. */
  EBB_CELL_COPY = EBB_CELL_CODES,
  EBB_CELL_MOVE,
  EBB_CELL_RUNS = 48,
  EBB_CELL_PRODUCTS = 128,
  EBB_CELL_BLOCKS = 528,  /* most of a launch: four a multiprocessor of an H100 */
  EBB_CELL_THREADS = 512, /* most of a block */
  EBB_CELL_TILE = 8,      /* samples that a block works on where it multiplies matrices by tensor cores */
  EBB_CELL_BLOCK_BYTES = 16 * 16 * sizeof(float) /* of weights for them, at most */
};

/* Which kernels run the steps: by the sizes, one sample a block, or tiles of samples where they can. */
typedef enum EbbCellEngine { EBB_CELL_BY_SIZE, EBB_CELL_BY_SAMPLE, EBB_CELL_BY_TILE } EbbCellEngine;

/* EbbCellOp.flags: barriers that it needs before it, forward and backward; and between its operands'
   gradients; that some gradient reaches it; that it is the first LINEAR with its matrix. */
enum { EBB_CELL_WAITS = 1, EBB_CELL_WAITS_BACK = 2, EBB_CELL_OVERLAPS = 4, EBB_CELL_LIVE = 8 };
enum { EBB_CELL_FILLS = 16 };

/* EbbCellOp.grad beside addresses. */
enum { EBB_CELL_NO_GRAD = INT32_MIN, EBB_CELL_ELAPSED_GRAD };

/* Addresses: a float of the vectors, or ~(a float of the parameters, or of their sums). */
typedef struct EbbCellOp {
  int16_t code, operands;
  uint16_t flags, scalars; /* bit k of scalars: operand k is one float for all elements */
  int32_t to, width;
  int32_t from[EBB_CELL_OPERANDS], grad[EBB_CELL_OPERANDS]; /* where it is, where its gradient is added */
  float c[EBB_CELL_OPERANDS];
  EbbCellMatrix matrix; /* at: of the parameters */
  int32_t table, group;
  int32_t sums;           /* SYNAPSES: first float of the table's sums, four a synapse */
  int32_t delta, delta_x; /* LINEAR: columns for the gradient of `to` and for from[0] (-1: stored already) */
  int32_t block;          /* LINEAR of the steps: first 16 x 16 block of its weights, for tiles */
} EbbCellOp;

/* What a block reads of its row of SEQ (row >= 0) or of X (~row), and where it puts it. */
typedef struct EbbCellLoad {
  int32_t row, at;
} EbbCellLoad;

typedef struct EbbCellProgram {
  const EbbCellOp *ops;
  const float *scalars;    /* (n_scalars): the first one is replaced by elapsed time */
  const EbbCellLoad *load; /* of all runs */
  const int32_t *home;     /* (elementwise): parameter of each float of the sums, -1: none */
  int32_t n_ops, n_scalars, n_loads;
  int32_t vectors, at_scalars;           /* states come first */
  int32_t at_temp, temps, at_body, body; /* TEMP, and what BODY writes of it */
  int32_t parameters;                    /* leading floats of the arena that ops read */
  int32_t sums, elementwise;             /* floats of the parameters' sums; those that are not of synapses */
  int32_t sums_of[EBB_CELL_TABLES];      /* first float of a table's sums, four a synapse; -1: none */
  int32_t threads, scratch;              /* of a block; floats for LINEAR */
  int64_t blocks;
  float *part; /* (blocks, sums) */
} EbbCellProgram;

/* Consecutive instructions: of SEQUENCE, what stands between two LINEAR; else a section with its moves. */
typedef struct EbbCellRun {
  int32_t first, count; /* ops */
  int32_t in, ins;      /* loads: what they read */
  int32_t out, outs;    /* loads: what they write (SEQUENCE) */
  int32_t linear;       /* instruction of the cell that follows; -1: none */
} EbbCellRun;

/* A LINEAR of the time loop: its weights' gradient is one product over all steps. */
typedef struct EbbCellProduct {
  EbbCellMatrix matrix;
  int32_t delta, delta_x;
  bool body;
} EbbCellProduct;

/* A list of synapses, sorted by target and by source. Parameters: sigma, mu, w, w erev. */
typedef struct EbbCellTable {
  int32_t count, sources, targets;
  int32_t w, sigma, mu, erev;           /* of the parameters, (sources, targets) */
  const int32_t *target_start, *source; /* (targets + 1), (count) by target */
  const int32_t *source_start, *target; /* (sources + 1), (count) by source */
  const int32_t *element;               /* (2, count) of (sources, targets): by target, by source */
  float *by_target, *by_source;         /* (count, 4) */
} EbbCellTable;

/* What a tile of samples needs and, counted, what a step costs, see host/ops/cell_gpu_tile.c. */
typedef struct EbbCellTiling {
  bool synapses;       /* in the steps */
  int32_t blocks;      /* of weights, 16 x 16 */
  int32_t threads;     /* of a block */
  int64_t states;      /* that backward keeps of a step: before each section and repetition */
  int64_t step_blocks; /* that a step multiplies */
  int64_t products;    /* LINEAR of a step */
  int64_t passes;      /* of a sample's threads over their elements, a step */
  int64_t tile_passes; /* of a tile's */
} EbbCellTiling;

/* A cell whose step is nothing but fused sub-steps of at most EBB_CELL_LTC neurons has kernels of its own.
   Addresses count floats of the parameters, of their sums (d...) or of a row of SEQ; -1: none. */
enum { EBB_CELL_LTC = 64, EBB_CELL_LTC_REPEAT = 64 };
typedef struct EbbCellLtc {
  int32_t H; /* 0: this is not such a cell */
  int32_t sensory, cm, gleak, vleak, weight, bias;
  int32_t dcm, dgleak, dvleak, dweight, dbias;
  int32_t output; /* its first neuron */
  int32_t table;
  float scale, epsilon;
  const int32_t *position; /* (H, H) [source][target]: where the synapse stands by source; -1: nowhere */
} EbbCellLtc;

typedef struct EbbCellCuda {
  EbbCellLtc ltc;
  EbbCellTiling tiling;
  EbbCellProgram rows, steps; /* SEQUENCE, and the rest */
  EbbCellRun run[EBB_CELL_RUNS];
  EbbCellRun section[EBB_CELL_SECTIONS];
  EbbCellProduct product[EBB_CELL_PRODUCTS];
  EbbCellTable table[EBB_CELL_TABLES];
  int32_t n_runs, n_products, n_tables;
  int32_t arena;                    /* floats of the parameters in the order here */
  int32_t at[EBB_CELL_PARAMS];      /* where each stands */
  const float *constant, *mask;     /* (arena) */
  uint32_t *weights;                /* (tiling.blocks, 256) words at most, for tiles: forward to backward */
  float *masked_x;                  /* (B, T, I) with zeros at padding, scratch; NULL: x will do */
  float *seq, *dseq;                /* (B, T, seqs): forward to backward; scratch of backward */
  float *darena;                    /* (arena), scratch of backward */
  float *carry;                     /* (B, S) gradient of the state between two launches of backward */
  float *vectors, *kept;            /* (blocks, ...) where shared memory may be too small, else NULL */
  int64_t chunk;                    /* steps a launch of backward */
  int32_t once_floats, body_floats; /* of a step's and of a repetition's LINEAR */
  float *once, *body;               /* (B, chunk, once_floats), (B, chunk, repeat, body_floats) */
  int32_t output, rate;             /* of the vectors; rate -1: not known */
  EbbCellSection rate_section;
} EbbCellCuda;

#ifdef __cplusplus
}
#endif
#endif

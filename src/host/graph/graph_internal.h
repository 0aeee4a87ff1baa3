/* The inside of a graph, shared by the files of this folder and by tests that poison its memory. */
#ifndef EBB_HOST_GRAPH_INTERNAL_H
#define EBB_HOST_GRAPH_INTERNAL_H

#include "ebb/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MEMORY_ALIGNMENT = 256 };

/* A piece of workspace: alive from time `birth` to `death`, both included. Forward of node i is time i,
   backward of node i is time 2 n - 1 - i for n nodes. */
typedef struct Block {
  int64_t bytes, offset;
  int birth, death;
} Block;

typedef struct Value {
  char *name;
  EbbDtype dtype;
  EbbShape shape;
  int producer;        /* node, or -1 for an input of the graph */
  int output_slot;     /* of its producer */
  bool differentiable; /* a gradient can flow into it */
  bool kept;           /* its producer's backward reads it */
  bool marked;         /* readable after a run */
  bool grad_live;      /* somebody writes its gradient */
  int first_writer;    /* the node whose backward writes the gradient first: the highest one */
  int first_slot;
  Block value_block, grad_block;
  void *value;
  float *grad;
} Value;

typedef struct InputUse {
  EbbValue value;
  bool kept;   /* backward reads it */
  bool writes; /* backward writes its gradient */
} InputUse;

typedef struct Saved {
  int64_t bytes;
  Block block;
} Saved;

typedef struct Node {
  const EbbOp *op;
  const EbbKernels *kernels;
  char *scope;
  char *where; /* "scope (op)" */
  void *config;
  void *args;
  InputUse *input;
  int n_inputs;
  EbbValue *output;
  int n_outputs;
  bool trains; /* has a trained parameter */
  bool active; /* runs in backward */
  Saved *saved;
  int n_saved, saved_capacity;
  int64_t scratch_bytes, tables_bytes;
} Node;

struct EbbWorkspace {
  EbbDevice *device;
  void *memory;
  int64_t bytes;
  uint64_t generation; /* grows when `memory` moves */
};

struct EbbGraph {
  EbbParams *params;
  EbbDevice *device;
  EbbWorkspace *workspace;
  bool own_workspace, backward, laid_out;
  EbbDtype activations;
  uint64_t params_generation, workspace_generation, layouts;
  Value *value;
  int n_values, value_capacity;
  Node *node;
  int n_nodes, node_capacity;
  char *tables; /* device memory */
  EbbMemoryPlan plan;
  int64_t scratch_offset;
};

typedef enum SetupMode { SETUP_RECORD, SETUP_MEASURE, SETUP_PLACE } SetupMode;

struct EbbSetup {
  EbbGraph *graph;
  Node *node;
  int node_index;
  SetupMode mode;
  int outputs_done, saved_done;
  int64_t scratch_used, tables_used;
  int64_t tables_base; /* of this node in graph->tables */
};

struct EbbPrepare {
  EbbGraph *graph;
  Node *node;
};

static inline int64_t align_memory(int64_t bytes) {
  return (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
}

/* Runs the setup of one node in a mode. */
EbbStatus ebb_graph_run_setup(EbbGraph *graph, int node, SetupMode mode, int64_t tables_base);

/* Offsets for blocks so that blocks alive at the same time do not overlap; returns the bytes needed. */
int64_t ebb_plan_blocks(Block **blocks, int count);

/* Grows `workspace` to at least `bytes`. */
EbbStatus ebb_workspace_reserve(EbbWorkspace *workspace, int64_t bytes);

#ifdef __cplusplus
}
#endif
#endif

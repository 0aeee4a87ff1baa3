/* The contract of an op: one kernel family with a setup that alone knows shapes, parameters and memory, and a
   forward and backward kernel for each backend. include/ebb/ops.def lists them all. */
#ifndef EBB_OP_H
#define EBB_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/device.h"
#include "ebb/params.h"
#include "ebb/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What changes from step to step; everything else is bound once in the op's args struct. */
typedef struct EbbRun {
  EbbDevice *device;
  bool training; /* dropout and batch statistics on */
  uint64_t seed, step;
} EbbRun;

typedef EbbStatus (*EbbKernelFn)(const void *args, const EbbRun *run);

typedef struct EbbKernels {
  EbbKernelFn forward, backward; /* backward NULL: nothing to propagate */
} EbbKernels;

typedef struct EbbSetup EbbSetup;
typedef struct EbbPrepare EbbPrepare;

/* An op. `setup` fills the args struct: it runs when the node is recorded (to check shapes and declare
   parameters), when memory is measured (pointers come back NULL) and when it is placed (pointers are final);
   it must ask for the same things in the same order each time. `init` (may be NULL) writes initial parameter
   values that a plain draw cannot give; once, after ebb_params_place. `prepare` (may be NULL) runs before
   each layout and may change buffers that sizes depend on. */
typedef struct EbbOp {
  const char *name;
  size_t args_size;
  EbbStatus (*setup)(EbbSetup *setup, const void *config, void *args);
  EbbStatus (*init)(EbbPrepare *prepare, const void *config);
  EbbStatus (*prepare)(EbbPrepare *prepare, const void *config);
} EbbOp;

/* ---- for setup functions ---- */

int ebb_setup_inputs(const EbbSetup *setup);
/* Shape of input i; i < ebb_setup_inputs. */
EbbShape ebb_setup_shape(const EbbSetup *setup, int i);
/* "layers.0.layer.kernel (ssm_kernel)": for error sentences. */
const char *ebb_setup_where(const EbbSetup *setup);
bool ebb_setup_training(const EbbSetup *setup); /* a backward pass will run */
/* Philox node number, stable across graphs of the same model. */
uint32_t ebb_setup_node(const EbbSetup *setup);
int ebb_setup_threads(const EbbSetup *setup); /* CPU threads, for per-thread scratch; 1 on other backends */
EbbBackend ebb_setup_backend(const EbbSetup *setup);
/* The type of tensors between layers: F32, or BF16 in a graph that ebb_graph_store_activations made so. */
EbbDtype ebb_setup_activations(const EbbSetup *setup);

/* Input i must have this type and rank (rank < 0: any). keep: backward reads the value.
   `value` is the address of a `const float *` (F32, BF16) or `const int32_t *` by type. Errors: SHAPE with
   the op's and the tensor's names.
 */
EbbStatus ebb_setup_input(EbbSetup *setup, int i, EbbDtype type, int rank, bool keep,
                          void *value) EBB_MUST_CHECK;
/* Where backward puts dL/d(input i): *grad is NULL where nobody needs it; *add tells whether to add to what
   is there (another consumer wrote already) or to overwrite. */
EbbStatus ebb_setup_input_grad(EbbSetup *setup, int i, float **grad, bool *add) EBB_MUST_CHECK;
/* Output i (in order from 0); `value` is the address of a `float *` or `int32_t *`. keep: backward reads the
 * value. */
EbbStatus ebb_setup_output(EbbSetup *setup, int i, EbbDtype type, EbbShape shape, bool keep,
                           void *value) EBB_MUST_CHECK;
/* dL/d(output i), complete when backward runs; NULL in a graph without backward, or where nothing depends on
 * it. */
EbbStatus ebb_setup_output_grad(EbbSetup *setup, int i, const float **grad) EBB_MUST_CHECK;
/* A parameter of the node's scope: backward ADDS to *grad (NULL in a graph without backward, or where lr is
 * 0). */
EbbStatus ebb_setup_param(EbbSetup *setup, const EbbParamSpec *spec, const float **value,
                          float **grad) EBB_MUST_CHECK;
/* A buffer of the node's scope; forward may write it in training. */
EbbStatus ebb_setup_buffer(EbbSetup *setup, const EbbParamSpec *spec, float **value) EBB_MUST_CHECK;
/* Reads a one-element buffer's present value on the host (an internal length); `otherwise` before placement.
 */
EbbStatus ebb_setup_buffer_value(EbbSetup *setup, const char *name, double otherwise,
                                 double *value) EBB_MUST_CHECK;
/* `memory` is the address of a pointer, here and below. Memory from forward to backward of this node (in a
 * graph without backward: only during forward). 256-byte aligned. */
EbbStatus ebb_setup_saved(EbbSetup *setup, size_t bytes, void *memory) EBB_MUST_CHECK;
/* Memory during forward and, separately, during backward; contents are not kept between the two. */
EbbStatus ebb_setup_scratch(EbbSetup *setup, size_t bytes, void *memory) EBB_MUST_CHECK;
/* The plan for real transforms of length n; NULL while measuring. */
EbbStatus ebb_setup_fft(EbbSetup *setup, int64_t n, const EbbFft **fft) EBB_MUST_CHECK;
/* A constant table of `bytes` in device memory (index lists, FFT nodes); fill(context, host) writes its
   content when it is placed. The table lives as long as the graph. */
EbbStatus ebb_setup_table(EbbSetup *setup, size_t bytes, void (*fill)(const void *context, void *host),
                          const void *context, void *memory) EBB_MUST_CHECK;

/* ---- for init and prepare functions ---- */

const char *ebb_prepare_where(const EbbPrepare *prepare);
/* Of (model seed, node): draw with ebb_random*(seed, ...). */
uint64_t ebb_prepare_seed(const EbbPrepare *prepare);
/* Reads and writes a parameter or buffer of the node's scope on the host. Errors: NOT_FOUND, SHAPE. */
EbbStatus ebb_prepare_read(EbbPrepare *prepare, const char *name, float *host, int64_t size) EBB_MUST_CHECK;
EbbStatus ebb_prepare_write(EbbPrepare *prepare, const char *name, const float *host,
                            int64_t size) EBB_MUST_CHECK;
/* Call after changing a buffer that sizes depend on. */
void ebb_prepare_bump(EbbPrepare *prepare);

/* ---- registry ---- */

#define EBB_OP(name)                                                                                         \
  extern const EbbOp ebb_##name##_op;                                                                        \
  extern const EbbKernels ebb_##name##_cpu, ebb_##name##_cuda;
#include "ebb/ops.def"
#undef EBB_OP

int ebb_op_count(void);
const EbbOp *ebb_op_at(int index);
/* The op of that name, or NULL. */
const EbbOp *ebb_op_find(const char *name);
/* The kernels of an op on a backend; NULL where the build lacks that backend. */
const EbbKernels *ebb_op_kernels(const EbbOp *op, EbbBackend backend);

#ifdef __cplusplus
}
#endif
#endif

#include "ebb/op.h"

#include <string.h>

#include "host/with_cuda.h"

static const struct {
  const EbbOp *op;
  const EbbKernels *kernels[EBB_BACKENDS];
} registry[] = {
#define EBB_OP(name) {&ebb_##name##_op, {&ebb_##name##_cpu, EBB_CUDA_ENTRY(&ebb_##name##_cuda)}},
#include "ebb/ops.def"
#undef EBB_OP
    {NULL, {NULL}}};

enum { N_OPS = sizeof registry / sizeof *registry - 1 };

int ebb_op_count(void) { return N_OPS; }

const EbbOp *ebb_op_at(int index) { return registry[index].op; }

const EbbOp *ebb_op_find(const char *name) {
  for (int i = 0; i < N_OPS; i++)
    if (!strcmp(registry[i].op->name, name)) return registry[i].op;
  return NULL;
}

const EbbKernels *ebb_op_kernels(const EbbOp *op, EbbBackend backend) {
  for (int i = 0; i < N_OPS; i++)
    if (registry[i].op == op) return registry[i].kernels[backend];
  return NULL;
}

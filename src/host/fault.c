#include "ebb/fault.h"

static const char *const sentences[EBB_FAULTS] = {
    [EBB_FAULT_NONE] = "no fault",
#define EBB_FAULT(name, sentence) [EBB_FAULT_##name] = (sentence),
#include "ebb/fault.def"
#undef EBB_FAULT
};

EbbStatus ebb_fault_fail(EbbFaultKind kind, double a, double b, double c, double d) {
  if ((unsigned)kind >= EBB_FAULTS) return ebb_fail(EBB_DEVICE, "a kernel noted an unknown fault");
  return ebb_fail(kind == EBB_FAULT_CELL_UNSTABLE ? EBB_NUMERIC : EBB_INVALID, sentences[kind], a, b, c, d);
}

/* What init and prepare functions ask of the graph: the parameters of their node's scope. */
#include <stdlib.h>

#include "host/graph/graph_internal.h"
#include "host/params/names.h"

const char *ebb_prepare_where(const EbbPrepare *prepare) { return prepare->node->where; }

void ebb_prepare_bump(EbbPrepare *prepare) { ebb_params_bump(prepare->graph->params); }

uint64_t ebb_prepare_seed(const EbbPrepare *prepare) {
  return ebb_name_seed(ebb_params_seed(prepare->graph->params), prepare->node->where);
}

EbbStatus ebb_prepare_read(EbbPrepare *prepare, const char *name, float *host, int64_t size) {
  char *full = ebb_full_name(prepare->node->scope, name);
  if (!full) return ebb_fail(EBB_MEMORY, "%s: no memory for a name", prepare->node->where);
  EbbStatus status = ebb_params_read(prepare->graph->params, full, host, size);
  free(full);
  return status;
}

EbbStatus ebb_prepare_write(EbbPrepare *prepare, const char *name, const float *host, int64_t size) {
  char *full = ebb_full_name(prepare->node->scope, name);
  if (!full) return ebb_fail(EBB_MEMORY, "%s: no memory for a name", prepare->node->where);
  EbbStatus status = ebb_params_write(prepare->graph->params, full, host, size);
  free(full);
  return status;
}

/* What init and prepare functions ask of the graph: the parameters of their node's scope. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/graph/graph_internal.h"
#include "host/params/name_seed.h"

const char *ebb_prepare_where(const EbbPrepare *prepare) { return prepare->node->where; }

void ebb_prepare_bump(EbbPrepare *prepare) { ebb_params_bump(prepare->graph->params); }

uint64_t ebb_prepare_seed(const EbbPrepare *prepare) {
  return ebb_name_seed(ebb_params_seed(prepare->graph->params), prepare->node->where);
}

static char *scoped(const EbbPrepare *prepare, const char *name) {
  const char *scope = prepare->node->scope;
  size_t size = strlen(scope) + strlen(name) + 2;
  char *full = malloc(size);
  if (full) snprintf(full, size, "%s%s%s", scope, *scope ? "." : "", name);
  return full;
}

EbbStatus ebb_prepare_read(EbbPrepare *prepare, const char *name, float *host, int64_t size) {
  char *full = scoped(prepare, name);
  if (!full) return ebb_fail(EBB_MEMORY, "%s: no memory for a name", prepare->node->where);
  EbbStatus status = ebb_params_read(prepare->graph->params, full, host, size);
  free(full);
  return status;
}

EbbStatus ebb_prepare_write(EbbPrepare *prepare, const char *name, const float *host, int64_t size) {
  char *full = scoped(prepare, name);
  if (!full) return ebb_fail(EBB_MEMORY, "%s: no memory for a name", prepare->node->where);
  EbbStatus status = ebb_params_write(prepare->graph->params, full, host, size);
  free(full);
  return status;
}

#include "ebb/loading.h"

#include <stdarg.h>
#include <stdio.h>

EbbStatus ebb_loading_step(const EbbLoading *loading, const char *label, int64_t done, int64_t total,
                           const char *unit) {
  if (!loading) return EBB_OK;
  if (loading->progress) loading->progress(loading->context, label, done, total, unit);
  if (loading->stop && loading->stop(loading->context))
    return ebb_fail(EBB_INTERRUPTED, "stopped while loading '%s'", label);
  return EBB_OK;
}

void ebb_loading_line(const EbbLoading *loading, const char *format, ...) {
  char text[1024];
  if (!loading || !loading->line) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  loading->line(loading->context, text);
}

#include "ebb/verify.h"

#include <string.h>

#include "host/verify/verify_internal.h"

/* The first row that fits counts. */
static const struct {
  const char *kind, *layer; /* NULL: any */
  EbbStatus (*run)(Case *c);
} runners[] = {
#define EBB_VERIFIED(kind, layer, run) {kind, layer, run},
#include "host/verify/verified.def"
#undef EBB_VERIFIED
#define EBB_VERIFIED_CELL(layer, make)                                                                       \
  {"layer", #layer, verify_cell_layer}, {"training", #layer, verify_cell_training},
#include "host/verify/cells.def"
#undef EBB_VERIFIED_CELL
    {"training", NULL, verify_training},
};

static EbbStatus parse_metadata(Case *c, const char *key, cJSON **out) {
  const char *text = ebb_safetensors_metadata(c->file, key);
  if (!text) return ebb_fail(EBB_FORMAT, "%s: is no case file: metadata '%s' is missing", c->path, key);
  *out = cJSON_Parse(text);
  if (!cJSON_IsObject(*out))
    return ebb_fail(EBB_FORMAT, "%s: metadata '%s' is not a JSON object", c->path, key);
  return EBB_OK;
}

static EbbStatus dispatch(Case *c) {
  const char *kind = ebb_safetensors_metadata(c->file, "kind"),
             *layer = ebb_safetensors_metadata(c->file, "layer");
  for (size_t i = 0; kind && i < sizeof runners / sizeof *runners; i++) {
    if (strcmp(kind, runners[i].kind) != 0) continue;
    if (!runners[i].layer || (layer && !strcmp(layer, runners[i].layer))) return runners[i].run(c);
  }
  return ebb_fail(EBB_UNSUPPORTED, "%s: cases of kind '%s' for layer '%s' are not known to this build",
                  c->path, kind ? kind : "?", layer ? layer : "?");
}

static EbbStatus run(Case *c, const char *device, int threads) {
  EBB_TRY(ebb_safetensors_open(c->path, &c->file));
  const char *format = ebb_safetensors_metadata(c->file, "format");
  if (!format || strcmp(format, "ebb-case-1") != 0)
    return ebb_fail(EBB_FORMAT, "%s: is no case file: metadata 'format' is %s, expected ebb-case-1", c->path,
                    format ? format : "missing");
  EBB_TRY(parse_metadata(c, "config", &c->config));
  EBB_TRY(parse_metadata(c, "tolerance", &c->tolerance));
  EBB_TRY(ebb_device_open(device, threads, &c->device));
  EBB_TRY(ebb_params_create(c->device, &c->params));
  return dispatch(c);
}

EbbStatus ebb_verify_case(const char *path, const char *device, int threads, const EbbVerifyReport *report,
                          EbbVerifyResult *result) {
  static const EbbVerifyReport silent = {0};
  *result = (EbbVerifyResult){0};
  Case c = {.path = path, .report = report ? report : &silent, .result = result};
  EbbStatus status = run(&c, device, threads);
  ebb_params_destroy(c.params);
  ebb_device_close(c.device);
  cJSON_Delete(c.config);
  cJSON_Delete(c.tolerance);
  ebb_safetensors_close(c.file);
  return status;
}

/* Experiment configuration: typed keys with defaults and ranges (config.def), filled from YAML files and from
   dotted overrides such as model.layer.liquid_kernel=polyb. Key names are those of the published Liquid-S4
   code. */
#ifndef EBB_CONFIG_H
#define EBB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbConfig EbbConfig;

/* A configuration with every key at its default. Lifetime: until ebb_config_destroy. Errors: MEMORY. */
EbbStatus ebb_config_create(EbbConfig **out) EBB_MUST_CHECK;
void ebb_config_destroy(EbbConfig *config);
EbbStatus ebb_config_copy(const EbbConfig *config, EbbConfig **out) EBB_MUST_CHECK;

/* Sets the keys of a YAML (or JSON) mapping. "defaults: [/experiment: NAME]" in it loads that experiment
   before them; the other entries of a list of defaults that a published file has set what they imply.
   `origin` names the text in errors. Errors: FORMAT (syntax), INVALID (unknown key with the nearest known
   one, wrong type, out of range), each with origin, line and column; nothing is changed then. */
EbbStatus ebb_config_load_text(EbbConfig *config, const char *text, size_t length,
                               const char *origin) EBB_MUST_CHECK;
/* Errors: as above; NOT_FOUND, IO. */
EbbStatus ebb_config_load_file(EbbConfig *config, const char *path) EBB_MUST_CHECK;

/* Applies one "key=value"; the value is YAML: a scalar, a flow sequence, or for a group a flow mapping;
   nothing is null. Errors: INVALID, FORMAT. */
EbbStatus ebb_config_override(EbbConfig *config, const char *assignment) EBB_MUST_CHECK;

/* Loads the experiment `name` ("lra/s4-lra-imdb"): experiments/<name>.yaml in the folder named by the
   environment variable EBB_EXPERIMENTS, beside the program's source tree, or in the installation. Errors:
   NOT_FOUND lists the nearest experiment names and the folders searched; INVALID (no name inside those
   folders); else as load_file. */
EbbStatus ebb_config_load_experiment(EbbConfig *config, const char *name) EBB_MUST_CHECK;

/* Values. The key must stand in config.def with that type; asking for another is a programming error
   (assert). A null number reads as NAN (number) or INT64_MIN (integer), a null string as NULL, a null flag as
   false; the row in config.def says what null stands for. Lifetime of strings and lists: until the key is set
   again or the configuration destroyed. */
bool ebb_config_is_null(const EbbConfig *config, const char *key);
bool ebb_config_flag(const EbbConfig *config, const char *key);
int64_t ebb_config_integer(const EbbConfig *config, const char *key);
double ebb_config_number(const EbbConfig *config, const char *key);
/* The value, or `otherwise` where it is null. */
int64_t ebb_config_integer_or(const EbbConfig *config, const char *key, int64_t otherwise);
double ebb_config_number_or(const EbbConfig *config, const char *key, double otherwise);
const char *ebb_config_string(const EbbConfig *config, const char *key);
/* Index of an enumerated value in its row's choices ("null|polyb|kb": kb is 2). */
int ebb_config_choice(const EbbConfig *config, const char *key);
const int64_t *ebb_config_integers(const EbbConfig *config, const char *key, int *count);

/* "file:line" where the key was set, "override" or "default": for errors about combinations of keys. */
const char *ebb_config_origin(const EbbConfig *config, const char *key);

/* The resolved configuration as YAML, every key with its value. Free with free(). Errors: MEMORY. */
EbbStatus ebb_config_yaml(const EbbConfig *config, char **text) EBB_MUST_CHECK;

/* Prints the table of keys: name, type, default, range, unit, help; the same rows that the checks use. */
void ebb_config_help(FILE *out);

#ifdef __cplusplus
}
#endif
#endif

/* Full names of parameters, and what follows from them. */
#ifndef EBB_HOST_PARAMS_NAMES_H
#define EBB_HOST_PARAMS_NAMES_H

#include <stdint.h>

/* `scope`.`name`, or `name` where the scope is "". NULL: no memory. Free with free(). */
char *ebb_full_name(const char *scope, const char *name);

/* A seed for one name of a model: parameters draw the same values whatever else the model contains. */
uint64_t ebb_name_seed(uint64_t seed, const char *name);

#endif

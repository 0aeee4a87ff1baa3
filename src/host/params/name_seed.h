/* A seed for one name of a model: parameters draw the same values whatever else the model contains. */
#ifndef EBB_HOST_NAME_SEED_H
#define EBB_HOST_NAME_SEED_H

#include <stdint.h>

uint64_t ebb_name_seed(uint64_t seed, const char *name);

#endif

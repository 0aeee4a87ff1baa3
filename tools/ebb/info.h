/* ebb info, for a checkpoint and for an experiment. */
#ifndef EBB_INFO_H
#define EBB_INFO_H

#include "ebb/config.h"

/* Prints what stands in a checkpoint; all: optimiser state and averages too; settings: its configuration. */
EbbStatus info_checkpoint(const char *path, bool all, bool settings) EBB_MUST_CHECK;

/* Prints nodes, parameters and memory of the configuration's model for a training batch. */
EbbStatus info_model(const EbbConfig *config) EBB_MUST_CHECK;

#endif

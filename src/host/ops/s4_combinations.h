/* Tables of all combinations of inputs for the liquid terms. */
#ifndef EBB_HOST_OPS_S4_COMBINATIONS_H
#define EBB_HOST_OPS_S4_COMBINATIONS_H

#include "ebb/ops/s4_liquid.h"

/* Gives `liquid` its span and its table: runs on the CPU, subsets on CUDA. Errors: INVALID (too large), those
   of setup. */
EbbStatus ebb_s4_combinations_setup(EbbSetup *setup, EbbS4Liquid *liquid) EBB_MUST_CHECK;

#endif

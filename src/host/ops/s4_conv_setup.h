/* Scratch of s4_conv's CUDA kernels. */
#ifndef EBB_HOST_OPS_S4_CONV_SETUP_H
#define EBB_HOST_OPS_S4_CONV_SETUP_H

#include "ebb/ops/s4_conv.h"

/* Asks for everything in args->cuda and for the transform's table, when all else of args is set. */
EbbStatus ebb_s4_conv_setup_cuda(EbbSetup *setup, EbbS4ConvArgs *args) EBB_MUST_CHECK;

#endif

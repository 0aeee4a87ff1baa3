/* What the files of lnn_scan share. */
#ifndef EBB_KERNELS_LNN_SCAN_CUH
#define EBB_KERNELS_LNN_SCAN_CUH

#include "ebb/ops/lnn_scan.h"

#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

/* Forward of adaptive steps. */
EbbStatus ebb_launch_lnn_adaptive(const EbbLnnScanArgs *args, const EbbRun *run);

#endif

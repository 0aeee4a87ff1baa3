/* What the CPU files of lnn_scan share. */
#ifndef EBB_HOST_OPS_LNN_SCAN_H
#define EBB_HOST_OPS_LNN_SCAN_H

#include "ebb/ops/lnn_scan.h"

/* Forward of adaptive steps: fills h, taken, counts and log. */
EbbStatus ebb_lnn_adaptive_forward(const EbbLnnScanArgs *args, const EbbRun *run) EBB_MUST_CHECK;

#endif

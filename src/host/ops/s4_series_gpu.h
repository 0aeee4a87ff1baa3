/* What s4_series asks for on a GPU. */
#ifndef EBB_HOST_OPS_S4_SERIES_GPU_H
#define EBB_HOST_OPS_S4_SERIES_GPU_H

#include "ebb/ops/s4_series.h"
#include "host/fft_row.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows that a block works on at a time: two warps at least. */
#define EBB_SERIES_SLOTS(n)   (EBB_ROW_THREADS(n) < 64 ? 64 / EBB_ROW_THREADS(n) : 1)

/* Threads that a multiprocessor holds, with 128 to 168 registers each, and the multiprocessors of an H100:
   more blocks than fit would only want more scratch. */
#define EBB_SERIES_THREADS(n) ((n) <= 2048 ? 384 : 512)
enum { EBB_SERIES_PROCESSORS = 132 };

/* Tables and scratch, once the shapes are known. */
EbbStatus ebb_s4_series_setup_gpu(EbbSetup *setup, EbbS4SeriesArgs *args) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif

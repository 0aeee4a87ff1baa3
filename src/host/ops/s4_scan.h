/* The scan of one group of lanes: 64 (row, mode) pairs through time together. Lane 16 v + j belongs to row j
   mod R and mode (16 v + j) / R of the part. */
#ifndef EBB_HOST_OPS_S4_SCAN_H
#define EBB_HOST_OPS_S4_SCAN_H

#include "ebb/ops/s4_scan.h"
#include "host/lanes.h"

enum { EBB_SCAN_LANES = 64, EBB_SCAN_VECTORS = EBB_SCAN_LANES / EBB_LANES, EBB_SCAN_TILE = 16 };

/* What a thread has at hand. */
typedef struct EbbScanThread {
  const EbbS4ScanArgs *args;
  const EbbRun *run;
  int64_t padded;            /* L rounded up to whole tiles: floats a row */
  float *a[2], *b[2], *c[2]; /* (64) abar, bbar, C: real and imaginary parts */
  float *x[2];               /* (64) the state, or its gradient */
  float *history;            /* (interval, 2, 64) states before each step */
  float *u, *g, *out;        /* (R, padded) masked input, dL/dx-sum, result */
  double *lane_sums;         /* (6, 64) */
  float *lane_parts;         /* (6, 64) the same over one interval */
  double *unit_sums;         /* (K, M, 6) */
} EbbScanThread;

size_t ebb_scan_thread_bytes(const EbbS4ScanArgs *args, bool backward);
EbbScanThread ebb_scan_thread(const EbbS4ScanArgs *args, const EbbRun *run);

/* Constants of part `part` of the group whose row r is channel `channel[r]` (-1: no row). */
void ebb_scan_load(EbbScanThread *thread, const int64_t *channel, int64_t part);

/* out += 2 Re sum C x over the part's modes; states (checks, 2, 64) takes the state before every interval, if
 * not NULL. */
void ebb_scan_forward(EbbScanThread *thread, float *states);
/* out += du, lane_sums = gradients of abar, bbar, C of each lane. */
void ebb_scan_backward(EbbScanThread *thread, const float *states);

#endif

/* The tensor cores' products of a warp (PTX mma.sync.aligned), with PTX's layouts of operands; all 32 lanes
   must come. d (16 x 8) += a (16 x K) b (K x 8), sums in float32 in the order of k. */
#ifndef EBB_EMULATOR_KERNEL_MMA_H
#define EBB_EMULATOR_KERNEL_MMA_H

#include <stdint.h>

/* cvt.rna.tf32.f32: ten bits of mantissa, to nearest, ties away from 0; NaN and infinity stay. */
uint32_t ebb_emulator_tf32(float x);
/* m16n8k8 .tf32: K = 8; of operands the upper 19 bits count. a[4], b[2], d[4]. */
void ebb_emulator_mma_tf32(float *d, const uint32_t *a, const uint32_t *b);
/* m16n8k16 .bf16: K = 16, two neighbours of k in a word. a[4], b[2], d[4]. */
void ebb_emulator_mma_bf16(float *d, const uint32_t *a, const uint32_t *b);

#endif

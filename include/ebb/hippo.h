/* Initial spectra of state-space models: the HiPPO matrices in normal plus low-rank form, and the diagonal
   approximations. Source: Gu et al. 2022, arXiv 2111.00396, appendix C; Gu et al. 2022, arXiv 2206.11893,
   section 4; Gu et al. 2022, arXiv 2206.12037 (fourier). */
#ifndef EBB_HIPPO_H
#define EBB_HIPPO_H

#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "legs", "diag-lin", ...: the published names. */
const char *ebb_hippo_name(EbbSsmMeasure measure);

/* Columns that the correction P P* of the measure needs: 2 of legt, else 1. */
int64_t ebb_hippo_rank(EbbSsmMeasure measure);

/* The M = N/2 modes with the smallest Im w, ascending, of `copies` copies: A + P P^T = V diag(w) V*, P := V*
   p, B := V* b; w = -1/2 + i im, B = 1, P = 0 for the diag measures. LAPACK fixes eigenvectors up to a phase
   only; here the first component of every column of V that is not zero is real and positive, so B and P do
   not depend on the LAPACK build. For odd N the real mode is dropped. Shapes: w, B (copies, N/2), P
   (rank, copies, N/2), all distinct; P may be NULL; columns beyond the measure's are 0. Errors: INVALID (N <
   2; odd N for fourier; odd `copies` for hippo and diag; P with too small a rank), NUMERIC (LAPACK did not
   converge), MEMORY. */
EbbStatus ebb_hippo_spectrum(EbbSsmMeasure measure, int64_t N, int64_t copies, int64_t rank, EbbC64 *w,
                             EbbC64 *B, EbbC64 *P) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

/* Row-major matrix products by cuBLAS, which counts by columns: C^T = op(B)^T op(A)^T. */
#include "host/device/cuda_internal.h"

static cublasComputeType_t compute_type(EbbPrecision precision, EbbDtype operands) {
  static const cublasComputeType_t types[] = {[EBB_PRECISION_FLOAT32] = CUBLAS_COMPUTE_32F,
                                              [EBB_PRECISION_TF32] = CUBLAS_COMPUTE_32F_FAST_TF32,
                                              [EBB_PRECISION_BF16] = CUBLAS_COMPUTE_32F_FAST_16BF};
  return operands == EBB_BF16 ? CUBLAS_COMPUTE_32F : types[precision];
}

static cudaDataType_t data_type(EbbDtype type) { return type == EBB_BF16 ? CUDA_R_16BF : CUDA_R_32F; }

static cublasOperation_t operation(const EbbCudaMatrix *matrix) {
  return matrix->transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
}

EbbStatus ebb_cuda_gemm(EbbDevice *device, const EbbCudaGemm *g) {
  EbbCuda *cuda = ebb_cuda_of(device);
  EBB_TRY(ebb_cuda_flush(cuda));
  cublasStatus_t status = cublasGemmStridedBatchedEx(
      cuda->blas, operation(&g->b), operation(&g->a), (int)g->n, (int)g->m, (int)g->k, &g->alpha, g->b.data,
      data_type(g->b.type), (int)g->b.ld, g->b.stride, g->a.data, data_type(g->a.type), (int)g->a.ld,
      g->a.stride, &g->beta, g->c, data_type(g->type_c), (int)g->ldc, g->stride_c, (int)g->batch,
      compute_type(cuda->base.precision, g->a.type), CUBLAS_GEMM_DEFAULT);
  if (status == CUBLAS_STATUS_SUCCESS) return EBB_OK;
  return ebb_fail(EBB_DEVICE, "matrix product of (%lld, %lld) by (%lld, %lld), batch %lld: cuBLAS says %s",
                  (long long)g->m, (long long)g->k, (long long)g->k, (long long)g->n, (long long)g->batch,
                  cublasGetStatusString(status));
}

/* cuBLAS's matrix products by the host's BLAS, queued on the handle's stream. */
#include "cublas_v2.h"
#include "cuda_bf16.h"
#include "device.h"
#include "operands.h"
#include "streams.h"
#include <cblas.h>
#include <cstring>
#include <vector>

struct cublasContext {
  cudaStream_t stream = nullptr;
  bool tf32 = false, pointers_on_device = false;
};

namespace emulator {
namespace {

struct Matrix {
  const void *data;
  cudaDataType_t type;
  cublasOperation_t op;
  long long rows, columns, leading, stride; /* as stored */
};

/* What float32 operands are rounded to before they are multiplied. */
enum class Rounding { none, tf32, bf16 };

struct Product {
  Matrix a, b, c;
  int m, n, k, batch;
  Rounding rounding;
  bool scalars_on_device;
  float alpha, beta;
  const float *device_alpha, *device_beta;
};

size_t size_of(cudaDataType_t type) { return type == CUDA_R_32F ? sizeof(float) : sizeof(uint16_t); }

/* The columns of all matrices of the batch; one group where they lie at the same place. */
Runs runs_of(const Matrix &matrix, int batch) {
  size_t size = size_of(matrix.type);
  bool shared = matrix.stride == 0;
  return {matrix.data,
          (size_t)matrix.rows * size,
          (size_t)matrix.columns,
          (size_t)matrix.leading * size,
          shared ? 1 : (size_t)batch,
          (size_t)matrix.stride * size};
}

/* TF32 keeps 10 bits of the mantissa; round to nearest, ties away, as cvt.rna does. */
float tf32_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000u) == 0x7f800000u) return x;
  bits = (bits + 0x1000u) & ~0x1fffu;
  memcpy(&x, &bits, sizeof x);
  return x;
}

float rounded(float x, Rounding rounding) {
  if (rounding == Rounding::tf32) return tf32_of(x);
  return rounding == Rounding::bf16 ? ebb_emulator_bf16_value(ebb_emulator_bf16_bits(x)) : x;
}

/* One matrix of the batch as float32 without gaps between its columns, as the product sees it. */
std::vector<float> values_of(const Matrix &matrix, int index, Rounding rounding) {
  std::vector<float> values((size_t)(matrix.rows * matrix.columns));
  for (long long j = 0; j < matrix.columns; j++) {
    long long at = index * matrix.stride + j * matrix.leading;
    for (long long i = 0; i < matrix.rows; i++) {
      float x = matrix.type == CUDA_R_32F
                    ? static_cast<const float *>(matrix.data)[at + i]
                    : ebb_emulator_bf16_value(static_cast<const uint16_t *>(matrix.data)[at + i]);
      values[(size_t)(j * matrix.rows + i)] = rounded(x, rounding);
    }
  }
  return values;
}

void store(const Matrix &matrix, int index, const std::vector<float> &values) {
  for (long long j = 0; j < matrix.columns; j++) {
    long long at = index * matrix.stride + j * matrix.leading;
    for (long long i = 0; i < matrix.rows; i++) {
      float x = values[(size_t)(j * matrix.rows + i)];
      if (matrix.type == CUDA_R_32F)
        ((float *)const_cast<void *>(matrix.data))[at + i] = x;
      else
        ((uint16_t *)const_cast<void *>(matrix.data))[at + i] = ebb_emulator_bf16_bits(x);
    }
  }
}

CBLAS_TRANSPOSE transpose_of(cublasOperation_t op) { return op == CUBLAS_OP_N ? CblasNoTrans : CblasTrans; }

/* Straight on device memory. */
void multiply_in_place(const Product &p, float alpha, float beta, int i) {
  cblas_sgemm(CblasColMajor, transpose_of(p.a.op), transpose_of(p.b.op), p.m, p.n, p.k, alpha,
              static_cast<const float *>(p.a.data) + i * p.a.stride, (int)p.a.leading,
              static_cast<const float *>(p.b.data) + i * p.b.stride, (int)p.b.leading, beta,
              (float *)const_cast<void *>(p.c.data) + i * p.c.stride, (int)p.c.leading);
}

/* Through float32 copies of the operands. */
void multiply_converted(const Product &p, float alpha, float beta, int i) {
  std::vector<float> a = values_of(p.a, i, p.rounding), b = values_of(p.b, i, p.rounding);
  std::vector<float> c =
      beta != 0.0f ? values_of(p.c, i, Rounding::none) : std::vector<float>((size_t)(p.c.rows * p.c.columns));
  cblas_sgemm(CblasColMajor, transpose_of(p.a.op), transpose_of(p.b.op), p.m, p.n, p.k, alpha, a.data(),
              (int)p.a.rows, b.data(), (int)p.b.rows, beta, c.data(), p.m);
  store(p.c, i, c);
}

bool check_operands(const Product &p, float beta) {
  std::string call =
      "cublas gemm " + std::to_string(p.m) + " x " + std::to_string(p.n) + " x " + std::to_string(p.k);
  return check_read(call, "A", runs_of(p.a, p.batch)) && check_read(call, "B", runs_of(p.b, p.batch)) &&
         (beta != 0.0f ? check_read(call, "C", runs_of(p.c, p.batch))
                       : check_written(call, "C", runs_of(p.c, p.batch)));
}

void run(const Product &p) {
  float alpha = p.scalars_on_device ? *p.device_alpha : p.alpha;
  float beta = p.scalars_on_device ? *p.device_beta : p.beta;
  if (!check_operands(p, beta)) return;
  bool plain = p.rounding == Rounding::none && p.a.type == CUDA_R_32F && p.b.type == CUDA_R_32F &&
               p.c.type == CUDA_R_32F;
  for (int i = 0; i < p.batch; i++) {
    if (plain)
      multiply_in_place(p, alpha, beta, i);
    else
      multiply_converted(p, alpha, beta, i);
  }
  mark_written(runs_of(p.c, p.batch));
}

Matrix matrix(const void *data, cudaDataType_t type, cublasOperation_t op, int rows, int columns, int leading,
              long long stride) {
  bool plain = op == CUBLAS_OP_N;
  return {data, type, op, plain ? rows : columns, plain ? columns : rows, leading, stride};
}

bool is_type(cudaDataType_t type) { return type == CUDA_R_32F || type == CUDA_R_16BF; }

bool is_compute(cublasComputeType_t compute) {
  return compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
         compute == CUBLAS_COMPUTE_32F_FAST_TF32 || compute == CUBLAS_COMPUTE_32F_FAST_16BF;
}

/* cuBLAS reads leading dimensions of at least one row, and several results must not overlap. */
cublasStatus_t check_arguments(const Product &p, cublasComputeType_t compute) {
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0) return CUBLAS_STATUS_INVALID_VALUE;
  for (const Matrix *x : {&p.a, &p.b, &p.c})
    if (x->leading < (x->rows > 1 ? x->rows : 1)) return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_compute(compute) || !is_type(p.a.type) || p.a.type != p.b.type || !is_type(p.c.type) ||
      (p.c.type == CUDA_R_16BF && p.a.type != CUDA_R_16BF))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

Rounding rounding_of(const cublasContext &handle, cudaDataType_t type, cublasComputeType_t compute) {
  if (type != CUDA_R_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC) return Rounding::none;
  if (compute == CUBLAS_COMPUTE_32F_FAST_16BF) return Rounding::bf16;
  return compute == CUBLAS_COMPUTE_32F_FAST_TF32 || handle.tf32 ? Rounding::tf32 : Rounding::none;
}

cublasStatus_t queue(cublasHandle_t handle, Product p, const void *alpha, const void *beta,
                     cublasComputeType_t compute) {
  Guard guard(device_mutex());
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  cublasStatus_t status = check_arguments(p, compute);
  if (status != CUBLAS_STATUS_SUCCESS || p.m == 0 || p.n == 0 || p.batch == 0) return status;
  p.rounding = rounding_of(*handle, p.a.type, compute);
  p.scalars_on_device = handle->pointers_on_device;
  p.device_alpha = static_cast<const float *>(alpha);
  p.device_beta = static_cast<const float *>(beta);
  if (!p.scalars_on_device) p.alpha = *p.device_alpha, p.beta = *p.device_beta;
  return enqueue(handle->stream, [p] { run(p); }) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                 : CUBLAS_STATUS_EXECUTION_FAILED;
}

struct StatusRow {
  cublasStatus_t status;
  const char *name, *text;
};
const StatusRow statuses[] = {
    {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
    {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
    {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
    {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE", "an invalid value was used as a parameter"},
    {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH",
     "an absent device architectural feature is required"},
    {CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR", "an access to GPU memory space failed"},
    {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED",
     "the function failed to launch on the GPU"},
    {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR", "an internal operation failed"},
    {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED", "the functionality is not supported"},
};

const StatusRow *row_of(cublasStatus_t status) {
  for (const StatusRow &row : statuses)
    if (row.status == status) return &row;
  return nullptr;
}

} // namespace
} // namespace emulator

using namespace emulator;

const char *cublasGetStatusString(cublasStatus_t status) {
  const StatusRow *row = row_of(status);
  return row != nullptr ? row->text : "unknown status";
}

const char *cublasGetStatusName(cublasStatus_t status) {
  const StatusRow *row = row_of(status);
  return row != nullptr ? row->name : "unknown status";
}

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
  Guard guard(device_mutex());
  if (device_error() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes) {
  Guard guard(device_mutex());
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  bool held = bytes == 0 || check_written("cublasSetWorkspace", "workspace", {workspace, bytes, 1, 0, 1, 0});
  return held && (uintptr_t)workspace % 256 == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->tf32 = (mode & 15) == CUBLAS_TF32_TENSOR_OP_MATH;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->pointers_on_device = mode == CUBLAS_POINTER_MODE_DEVICE;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a,
                                          cublasOperation_t op_b, int m, int n, int k, const void *alpha,
                                          const void *a, cudaDataType_t type_a, int lda,
                                          long long int stride_a, const void *b, cudaDataType_t type_b,
                                          int ldb, long long int stride_b, const void *beta, void *c,
                                          cudaDataType_t type_c, int ldc, long long int stride_c, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t) {
  Product p = {};
  p.a = matrix(a, type_a, op_a, m, k, lda, stride_a);
  p.b = matrix(b, type_b, op_b, k, n, ldb, stride_b);
  p.c = matrix(c, type_c, CUBLAS_OP_N, m, n, ldc, stride_c);
  p.m = m, p.n = n, p.k = k, p.batch = batch;
  return queue(handle, p, alpha, beta, compute);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                            int n, int k, const void *alpha, const void *a, cudaDataType_t type_a, int lda,
                            const void *b, cudaDataType_t type_b, int ldb, const void *beta, void *c,
                            cudaDataType_t type_c, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algorithm) {
  return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0,
                                    beta, c, type_c, ldc, 0, 1, compute, algorithm);
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a,
                                         cublasOperation_t op_b, int m, int n, int k, const float *alpha,
                                         const float *a, int lda, long long int stride_a, const float *b,
                                         int ldb, long long int stride_b, const float *beta, float *c,
                                         int ldc, long long int stride_c, int batch) {
  return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, CUDA_R_32F, lda, stride_a, b,
                                    CUDA_R_32F, ldb, stride_b, beta, c, CUDA_R_32F, ldc, stride_c, batch,
                                    CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                           int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                           const float *beta, float *c, int ldc) {
  return cublasSgemmStridedBatched(handle, op_a, op_b, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0,
                                   1);
}

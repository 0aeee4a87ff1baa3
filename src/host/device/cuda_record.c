/* Recordings: CUDA graphs captured from the device's stream. */
#include <stdlib.h>

#include "host/device/cuda_internal.h"

struct EbbRecording {
  cudaGraphExec_t exec;
};

EbbStatus ebb_cuda_record_begin(EbbDevice *device) {
  EbbCuda *cuda = ebb_cuda_of(device);
  if (cuda->recording) return ebb_fail(EBB_STATE, "%s records already", device->description);
  EBB_TRY(ebb_cuda_flush(cuda));
  EBB_TRY(ebb_cuda_check(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal),
                         "starting to record"));
  cuda->recording = true;
  return EBB_OK;
}

static EbbStatus instantiate(cudaGraph_t graph, EbbRecording **out) {
  EbbRecording *recording = calloc(1, sizeof *recording);
  if (!recording) return ebb_fail(EBB_MEMORY, "no memory for a recording");
  EbbStatus status =
      ebb_cuda_check(cudaGraphInstantiate(&recording->exec, graph, 0), "making a graph of what was recorded");
  if (status == EBB_OK)
    *out = recording;
  else
    free(recording);
  return status;
}

EbbStatus ebb_cuda_record_end(EbbDevice *device, bool keep, EbbRecording **out) {
  EbbCuda *cuda = ebb_cuda_of(device);
  if (!cuda->recording) return ebb_fail(EBB_STATE, "%s does not record", device->description);
  cuda->recording = false;
  cudaGraph_t graph = NULL;
  const cudaError_t error = cudaStreamEndCapture(cuda->stream, &graph);
  if (!keep) {
    if (graph) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    return EBB_OK;
  }
  EBB_TRY(ebb_cuda_check(error, "recording"));
  EbbStatus status = instantiate(graph, out);
  (void)cudaGraphDestroy(graph);
  return status;
}

EbbStatus ebb_cuda_replay(EbbDevice *device, EbbRecording *recording) {
  EBB_TRY(ebb_cuda_flush(ebb_cuda_of(device)));
  return ebb_cuda_check(cudaGraphLaunch(recording->exec, ebb_cuda_of(device)->stream),
                        "running what was recorded");
}

void ebb_cuda_release(EbbRecording *recording) {
  (void)cudaGraphExecDestroy(recording->exec);
  free(recording);
}

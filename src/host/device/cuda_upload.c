/* Uploads: a ring of page-locked host memory and its twin in device memory, on a stream of their own. */
#include <string.h>

#include "host/device/cuda_internal.h"

enum { FIRST_CAPACITY = 4 * 1024 * 1024, ALIGNMENT = 256 };

static EbbStatus make_ring(EbbCuda *cuda, size_t capacity) {
  EbbUploadRing *ring = &cuda->ring;
  void *host = NULL, *device = NULL;
  EBB_TRY(ebb_device_alloc_unset(&cuda->base, capacity, "uploads", &device));
  EbbStatus status =
      ebb_cuda_check(cudaMallocHost(&host, capacity), "taking page-locked host memory for uploads");
  if (status != EBB_OK) {
    ebb_device_free(&cuda->base, device);
    return status;
  }
  ring->host = host, ring->device = device;
  ring->capacity = capacity, ring->head = 0;
  return EBB_OK;
}

static void free_ring(EbbCuda *cuda) {
  EbbUploadRing *ring = &cuda->ring;
  ebb_device_free(&cuda->base, ring->device);
  (void)cudaFreeHost(ring->host);
  ring->device = ring->host = NULL;
  ring->capacity = 0;
}

EbbStatus ebb_cuda_open_ring(EbbCuda *cuda) {
  for (int i = 0; i < EBB_UPLOAD_SLOTS; i++) {
    EbbUploadSlot *slot = &cuda->ring.slot[i];
    EBB_TRY(
        ebb_cuda_check(cudaEventCreateWithFlags(&slot->copied, cudaEventDisableTiming), "making an event"));
    EBB_TRY(
        ebb_cuda_check(cudaEventCreateWithFlags(&slot->placed, cudaEventDisableTiming), "making an event"));
  }
  return make_ring(cuda, FIRST_CAPACITY);
}

void ebb_cuda_close_ring(EbbCuda *cuda) {
  for (int i = 0; i < EBB_UPLOAD_SLOTS; i++) {
    if (cuda->ring.slot[i].copied) (void)cudaEventDestroy(cuda->ring.slot[i].copied);
    if (cuda->ring.slot[i].placed) (void)cudaEventDestroy(cuda->ring.slot[i].placed);
  }
  free_ring(cuda);
}

static EbbStatus retire_oldest(EbbUploadRing *ring) {
  EBB_TRY(ebb_cuda_check(cudaEventSynchronize(ring->slot[ring->oldest].placed), "waiting for an upload"));
  ring->oldest = (ring->oldest + 1) % EBB_UPLOAD_SLOTS;
  ring->used--;
  return EBB_OK;
}

/* Whether a slot in use meets [begin, end). */
static bool is_taken(const EbbUploadRing *ring, size_t begin, size_t end) {
  for (int i = 0; i < ring->used; i++) {
    const EbbUploadSlot *slot = &ring->slot[(ring->oldest + i) % EBB_UPLOAD_SLOTS];
    if (slot->begin < end && begin < slot->end) return true;
  }
  return false;
}

/* A free piece of the ring. A longer ring is made where three uploads of this size do not fit into it. */
static EbbStatus claim(EbbCuda *cuda, size_t bytes, EbbUploadSlot **out) {
  EbbUploadRing *ring = &cuda->ring;
  const size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (3 * size > ring->capacity) {
    while (ring->used) EBB_TRY(retire_oldest(ring));
    free_ring(cuda);
    EBB_TRY(make_ring(cuda, 4 * size));
  }
  if (ring->head + size > ring->capacity) ring->head = 0;
  while (ring->used == EBB_UPLOAD_SLOTS || is_taken(ring, ring->head, ring->head + size))
    EBB_TRY(retire_oldest(ring));
  *out = &ring->slot[(ring->oldest + ring->used) % EBB_UPLOAD_SLOTS];
  (*out)->begin = ring->head, (*out)->end = ring->head + size;
  ring->head += size;
  ring->used++;
  return EBB_OK;
}

EbbStatus ebb_cuda_upload(EbbDevice *device, void *to, const void *host, size_t bytes) {
  EbbCuda *cuda = ebb_cuda_of(device);
  EbbUploadSlot *slot = NULL;
  EBB_TRY(claim(cuda, bytes, &slot));
  char *pinned = cuda->ring.host + slot->begin, *staged = cuda->ring.device + slot->begin;
  memcpy(pinned, host, bytes);
  EBB_TRY(ebb_cuda_check(cudaMemcpyAsync(staged, pinned, bytes, cudaMemcpyHostToDevice, cuda->copies),
                         "uploading to the GPU"));
  EBB_TRY(ebb_cuda_check(cudaEventRecord(slot->copied, cuda->copies), "uploading to the GPU"));
  EBB_TRY(ebb_cuda_check(cudaStreamWaitEvent(cuda->stream, slot->copied, 0), "uploading to the GPU"));
  EBB_TRY(ebb_cuda_check(cudaMemcpyAsync(to, staged, bytes, cudaMemcpyDeviceToDevice, cuda->stream),
                         "uploading to the GPU"));
  return ebb_cuda_check(cudaEventRecord(slot->placed, cuda->stream), "uploading to the GPU");
}

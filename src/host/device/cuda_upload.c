/* Uploads: a ring of page-locked host memory and its twin in device memory. Pieces that are given one after
   the other gather in the ring and travel together, on a stream of their own, before the next other work; one
   kernel then puts each in its place. */
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
  ring->capacity = capacity, ring->begin = ring->head = 0;
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
  for (int i = 0; i < EBB_UPLOAD_TRIPS; i++) {
    EbbUploadTrip *trip = &cuda->ring.trip[i];
    EBB_TRY(
        ebb_cuda_check(cudaEventCreateWithFlags(&trip->copied, cudaEventDisableTiming), "making an event"));
    EBB_TRY(
        ebb_cuda_check(cudaEventCreateWithFlags(&trip->placed, cudaEventDisableTiming), "making an event"));
  }
  return make_ring(cuda, FIRST_CAPACITY);
}

void ebb_cuda_close_ring(EbbCuda *cuda) {
  for (int i = 0; i < EBB_UPLOAD_TRIPS; i++) {
    if (cuda->ring.trip[i].copied) (void)cudaEventDestroy(cuda->ring.trip[i].copied);
    if (cuda->ring.trip[i].placed) (void)cudaEventDestroy(cuda->ring.trip[i].placed);
  }
  free_ring(cuda);
}

static EbbStatus retire_oldest(EbbUploadRing *ring) {
  EBB_TRY(ebb_cuda_check(cudaEventSynchronize(ring->trip[ring->oldest].placed), "waiting for an upload"));
  ring->oldest = (ring->oldest + 1) % EBB_UPLOAD_TRIPS;
  ring->used--;
  return EBB_OK;
}

/* Whether a trip under way has [begin, end). */
static bool is_taken(const EbbUploadRing *ring, size_t begin, size_t end) {
  for (int i = 0; i < ring->used; i++) {
    const EbbUploadTrip *trip = &ring->trip[(ring->oldest + i) % EBB_UPLOAD_TRIPS];
    if (trip->begin < end && begin < trip->end) return true;
  }
  return false;
}

static EbbStatus send(EbbCuda *cuda, EbbUploadTrip *trip) {
  EbbUploadRing *ring = &cuda->ring;
  EBB_TRY(ebb_cuda_check(cudaMemcpyAsync(ring->device + trip->begin, ring->host + trip->begin,
                                         trip->end - trip->begin, cudaMemcpyHostToDevice, cuda->copies),
                         "uploading to the GPU"));
  EBB_TRY(ebb_cuda_check(cudaEventRecord(trip->copied, cuda->copies), "uploading to the GPU"));
  EBB_TRY(ebb_cuda_check(cudaStreamWaitEvent(cuda->stream, trip->copied, 0), "uploading to the GPU"));
  EBB_TRY(ebb_cuda_scatter(cuda->stream, &ring->waiting));
  return ebb_cuda_check(cudaEventRecord(trip->placed, cuda->stream), "uploading to the GPU");
}

EbbStatus ebb_cuda_flush(EbbCuda *cuda) {
  EbbUploadRing *ring = &cuda->ring;
  if (!ring->waiting.count) return EBB_OK;
  if (ring->used == EBB_UPLOAD_TRIPS) EBB_TRY(retire_oldest(ring));
  EbbUploadTrip *trip = &ring->trip[(ring->oldest + ring->used) % EBB_UPLOAD_TRIPS];
  trip->begin = ring->begin, trip->end = ring->head;
  ring->used++;
  EbbStatus status = send(cuda, trip);
  ring->waiting.count = 0;
  ring->begin = ring->head;
  return status;
}

/* Room for `size` bytes at the ring's head. A longer ring is made where three pieces of this size do not fit.
 */
static EbbStatus make_room(EbbCuda *cuda, size_t size) {
  EbbUploadRing *ring = &cuda->ring;
  const bool wraps = ring->head + size > ring->capacity;
  if (wraps || ring->waiting.count == EBB_SCATTER_PIECES) EBB_TRY(ebb_cuda_flush(cuda));
  if (3 * size > ring->capacity) {
    EBB_TRY(ebb_cuda_flush(cuda));
    while (ring->used) EBB_TRY(retire_oldest(ring));
    free_ring(cuda);
    EBB_TRY(make_ring(cuda, 4 * size));
  } else if (wraps) {
    ring->begin = ring->head = 0;
  }
  while (is_taken(ring, ring->head, ring->head + size)) EBB_TRY(retire_oldest(ring));
  return EBB_OK;
}

/* Whether a waiting piece goes to memory that meets [to, to + bytes): then the two must not travel together.
 */
static bool meets_waiting(const EbbScatter *waiting, const char *to, size_t bytes) {
  for (int i = 0; i < waiting->count; i++)
    if (waiting->piece[i].to < to + bytes && to < waiting->piece[i].to + waiting->piece[i].bytes) return true;
  return false;
}

EbbStatus ebb_cuda_upload(EbbDevice *device, void *to, const void *host, size_t bytes) {
  EbbCuda *cuda = ebb_cuda_of(device);
  EbbUploadRing *ring = &cuda->ring;
  const size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (cuda->recording) return ebb_fail(EBB_STATE, "an upload while %s records", device->description);
  if (meets_waiting(&ring->waiting, to, bytes)) EBB_TRY(ebb_cuda_flush(cuda));
  EBB_TRY(make_room(cuda, size));
  memcpy(ring->host + ring->head, host, bytes);
  ring->waiting.piece[ring->waiting.count++] =
      (EbbScatterPiece){.from = ring->device + ring->head, .to = to, .bytes = (int64_t)bytes};
  ring->head += size;
  return EBB_OK;
}

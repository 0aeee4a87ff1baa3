#include "ebb/device.h"

#include <cblas.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/cpu.h"
#include "host/device/fft.h"

enum { ALIGNMENT = 256, HUGE_PAGE = 2 * 1024 * 1024, MOST_THREADS = 1024 };

typedef struct Plan {
  EbbFft *fft;
  struct Plan *next;
} Plan;

struct EbbDevice {
  EbbBackend backend;
  int threads;
  char description[160];
  pthread_mutex_t plan_lock;
  Plan *plans;
};

/* GCC's OpenMP runtime lets idle threads spin for milliseconds by default; on a machine with other work that
   takes the processor from the thread they wait for, and a step takes several times as long. Sleeping costs
   some microseconds a parallel loop. The runtime reads the environment once, when it starts; with the lowest
   priority that programs may use this runs before it where it is linked statically. A user's setting stays.
 */
__attribute__((constructor(101))) static void choose_how_threads_wait(void) {
  if (!getenv("GOMP_SPINCOUNT")) (void)setenv("OMP_WAIT_POLICY", "passive", 0);
}

static void processor_name(char *name, size_t size) {
  snprintf(name, size, "unknown processor");
  FILE *file = fopen("/proc/cpuinfo", "r");
  if (!file) return;
  char line[256];
  while (fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    colon[1 + strcspn(colon + 1, "\n")] = 0;
    snprintf(name, size, "%.100s", colon + 2);
    break;
  }
  (void)fclose(file);
}

static EbbStatus open_cpu(int threads, EbbDevice **out) {
  if (threads < 0 || threads > MOST_THREADS)
    return ebb_fail(EBB_INVALID, "threads is %d; 0 (all) to %d are possible", threads, MOST_THREADS);
  EbbDevice *device = calloc(1, sizeof *device);
  if (!device) return ebb_fail(EBB_MEMORY, "no memory for the CPU device");
  device->backend = EBB_CPU;
  device->threads = threads ? threads : omp_get_num_procs();
  if (pthread_mutex_init(&device->plan_lock, NULL)) {
    free(device);
    return ebb_fail(EBB_DEVICE, "cannot make a lock for the CPU device");
  }
  /* Kernels call one-thread products from their own parallel loops. */
  openblas_set_num_threads(1);
  char processor[120];
  processor_name(processor, sizeof processor);
  snprintf(device->description, sizeof device->description, "cpu (%d thread%s, %s)", device->threads,
           device->threads == 1 ? "" : "s", processor);
  *out = device;
  return EBB_OK;
}

EbbStatus ebb_device_open(const char *name, int threads, EbbDevice **out) {
  *out = NULL;
  if (!strcmp(name, "cpu") || !strcmp(name, "auto")) return open_cpu(threads, out);
  if (!strncmp(name, "cuda", 4) && (name[4] == 0 || name[4] == ':'))
    return ebb_fail(EBB_UNSUPPORTED, "device '%s': this ebb was built without CUDA; use device=cpu", name);
  return ebb_fail(EBB_INVALID, "device '%s' is unknown; use cpu, cuda, cuda:<index> or auto", name);
}

void ebb_device_close(EbbDevice *device) {
  if (!device) return;
  while (device->plans) {
    Plan *plan = device->plans;
    device->plans = plan->next;
    ebb_fft_destroy(plan->fft);
    free(plan);
  }
  pthread_mutex_destroy(&device->plan_lock);
  free(device);
}

EbbBackend ebb_device_backend(const EbbDevice *device) { return device->backend; }

const char *ebb_device_description(const EbbDevice *device) { return device->description; }

int ebb_device_threads(const EbbDevice *device) { return device->threads; }

static double gib(double bytes) { return bytes / (1024.0 * 1024.0 * 1024.0); }

/* Large blocks ask for huge pages: a step walks through all of them, and 4 KiB pages would miss the TLB. */
static void *allocate(size_t bytes) {
  const bool large = bytes >= HUGE_PAGE;
  const size_t alignment = large ? HUGE_PAGE : ALIGNMENT;
  if (bytes > SIZE_MAX - alignment) return NULL;
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void *memory = aligned_alloc(alignment, whole);
  if (memory && large) (void)madvise(memory, whole, MADV_HUGEPAGE);
  return memory;
}

/* Memory that can still be had without killing anything: caches can be dropped, swap can be filled. */
static double available_memory(void) {
  double page = (double)sysconf(_SC_PAGESIZE), total = 0;
  FILE *file = fopen("/proc/meminfo", "r");
  if (!file) return page * (double)sysconf(_SC_PHYS_PAGES);
  char line[128];
  while (fgets(line, sizeof line, file)) {
    bool counts = strncmp(line, "MemAvailable:", 13) == 0 || strncmp(line, "SwapFree:", 9) == 0;
    if (counts) total += 1024 * strtod(strchr(line, ':') + 1, NULL);
  }
  (void)fclose(file);
  return total > 0 ? total : page * (double)sysconf(_SC_PHYS_PAGES);
}

EbbStatus ebb_device_alloc(EbbDevice *device, size_t bytes, const char *what, void **out) {
  (void)device;
  *out = NULL;
  if (!bytes) return EBB_OK;
  double physical = (double)sysconf(_SC_PAGESIZE) * (double)sysconf(_SC_PHYS_PAGES);
  /* Memory is overcommitted: a request beyond the machine would succeed here and be killed at first touch. */
  double available = bytes < HUGE_PAGE ? physical : available_memory();
  void *memory = (double)bytes > available ? NULL : allocate(bytes);
  if (!memory)
    return ebb_fail(
        EBB_MEMORY,
        "no memory for %s: %.3f GiB; the machine has %.1f GiB, %.1f GiB of it free: use a smaller "
        "batch, model or length",
        what, gib((double)bytes), gib(physical), gib(available));
  memset(memory, 0, bytes);
  *out = memory;
  return EBB_OK;
}

void ebb_device_free(EbbDevice *device, void *memory) {
  (void)device;
  free(memory);
}

EbbStatus ebb_device_write(EbbDevice *device, void *device_to, const void *host_from, size_t bytes) {
  (void)device;
  if (bytes) memcpy(device_to, host_from, bytes);
  return EBB_OK;
}

EbbStatus ebb_device_read(EbbDevice *device, void *host_to, const void *device_from, size_t bytes) {
  (void)device;
  if (bytes) memcpy(host_to, device_from, bytes);
  return EBB_OK;
}

EbbStatus ebb_device_zero(EbbDevice *device, void *memory, size_t bytes) {
  (void)device;
  if (bytes) memset(memory, 0, bytes);
  return EBB_OK;
}

EbbStatus ebb_device_sync(EbbDevice *device) {
  (void)device;
  return EBB_OK;
}

static EbbStatus find_or_make_plan(EbbDevice *device, int64_t n, const EbbFft **out) {
  for (Plan *plan = device->plans; plan; plan = plan->next)
    if (ebb_fft_length(plan->fft) == n) {
      *out = plan->fft;
      return EBB_OK;
    }
  Plan *plan = calloc(1, sizeof *plan);
  if (!plan)
    return ebb_fail(EBB_MEMORY, "no memory for a Fourier transform plan of length %lld", (long long)n);
  EbbStatus status = ebb_fft_create(n, &plan->fft);
  if (status != EBB_OK) {
    free(plan);
    return status;
  }
  plan->next = device->plans;
  device->plans = plan;
  *out = plan->fft;
  return EBB_OK;
}

EbbStatus ebb_device_fft(EbbDevice *device, int64_t n, const EbbFft **out) {
  *out = NULL;
  pthread_mutex_lock(&device->plan_lock);
  EbbStatus status = find_or_make_plan(device, n, out);
  pthread_mutex_unlock(&device->plan_lock);
  return status;
}

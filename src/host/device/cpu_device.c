/* The CPU: threads, memory, and plans of FFTW. */
#include <cblas.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/cpu.h"
#include "host/device/device_internal.h"
#include "host/device/fft.h"

enum { ALIGNMENT = 256, HUGE_PAGE = 2 * 1024 * 1024 };

typedef struct Plan {
  EbbFft *fft;
  struct Plan *next;
} Plan;

typedef struct Cpu {
  EbbDevice base;
  pthread_mutex_t plan_lock;
  Plan *plans;
} Cpu;

static Cpu *cpu_of(EbbDevice *device) { return (Cpu *)device; }

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

static void cpu_close(EbbDevice *device) {
  Cpu *cpu = cpu_of(device);
  while (cpu->plans) {
    Plan *plan = cpu->plans;
    cpu->plans = plan->next;
    ebb_fft_destroy(plan->fft);
    free(plan);
  }
  pthread_mutex_destroy(&cpu->plan_lock);
  free(cpu);
}

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

static EbbStatus cpu_alloc(EbbDevice *device, size_t bytes, const char *what, void **out) {
  (void)device;
  double physical = (double)sysconf(_SC_PAGESIZE) * (double)sysconf(_SC_PHYS_PAGES);
  /* Memory is overcommitted: a request beyond the machine would succeed here and be killed at first touch. */
  double available = bytes < HUGE_PAGE ? physical : available_memory();
  *out = (double)bytes > available ? NULL : allocate(bytes);
  if (*out) return EBB_OK;
  return ebb_fail(EBB_MEMORY,
                  "no memory for %s: %.3f GiB; the machine has %.1f GiB, %.1f GiB of it free: use a smaller "
                  "batch, model or length",
                  what, ebb_gib((double)bytes), ebb_gib(physical), ebb_gib(available));
}

static void cpu_free(EbbDevice *device, void *memory) {
  (void)device;
  free(memory);
}

/* Writes, reads and copies are one thing here: the host's memory is the device's. */
static EbbStatus cpu_copy(EbbDevice *device, void *to, const void *from, size_t bytes) {
  (void)device;
  memcpy(to, from, bytes);
  return EBB_OK;
}

static EbbStatus cpu_zero(EbbDevice *device, void *memory, size_t bytes) {
  (void)device;
  memset(memory, 0, bytes);
  return EBB_OK;
}

static EbbStatus cpu_sync(EbbDevice *device) {
  (void)device;
  return EBB_OK;
}

static EbbStatus cpu_set_step(EbbDevice *device, uint64_t seed, uint64_t step) {
  (void)device, (void)seed, (void)step; /* kernels read both from EbbRun */
  return EBB_OK;
}

static EbbStatus find_or_make_plan(Cpu *cpu, int64_t n, const EbbFft **out) {
  for (Plan *plan = cpu->plans; plan; plan = plan->next)
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
  plan->next = cpu->plans;
  cpu->plans = plan;
  *out = plan->fft;
  return EBB_OK;
}

static EbbStatus cpu_fft(EbbDevice *device, int64_t n, const EbbFft **out) {
  Cpu *cpu = cpu_of(device);
  pthread_mutex_lock(&cpu->plan_lock);
  EbbStatus status = find_or_make_plan(cpu, n, out);
  pthread_mutex_unlock(&cpu->plan_lock);
  return status;
}

static const EbbDeviceOps cpu_ops = {.close = cpu_close,
                                     .alloc = cpu_alloc,
                                     .free = cpu_free,
                                     .write = cpu_copy,
                                     .upload = cpu_copy,
                                     .read = cpu_copy,
                                     .copy = cpu_copy,
                                     .zero = cpu_zero,
                                     .sync = cpu_sync,
                                     .set_step = cpu_set_step,
                                     .fft = cpu_fft};

EbbStatus ebb_cpu_open(const char *name, int index, int threads, EbbDevice **out) {
  (void)name, (void)index;
  Cpu *cpu = calloc(1, sizeof *cpu);
  if (!cpu) return ebb_fail(EBB_MEMORY, "no memory for the CPU device");
  EbbDevice *device = &cpu->base;
  device->ops = &cpu_ops;
  device->backend = EBB_CPU;
  device->threads = threads ? threads : omp_get_num_procs();
  if (pthread_mutex_init(&cpu->plan_lock, NULL)) {
    free(cpu);
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

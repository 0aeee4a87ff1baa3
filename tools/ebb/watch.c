#include "watch.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const double plain_every_s = 10;
static volatile sig_atomic_t stop_asked;
static char message[160];

/* A terminal shows a progress bar and ^C in this line: clear it. */
static void on_signal(int number) {
  (void)number;
  static const char clear[] = "\r\x1b[K";
  if (isatty(STDERR_FILENO)) (void)!write(STDERR_FILENO, clear, sizeof clear - 1);
  (void)!write(STDERR_FILENO, message, strlen(message));
  stop_asked = 1;
}

void watch_signals(const char *promise) {
  snprintf(message, sizeof message, "ebb: %s; once more stops at once\n", promise);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static void on_batch(void *context, const char *label, int64_t done, int64_t total, const char *note) {
  ebb_progress_update(((Watch *)context)->progress, label, done, total, "batch", note);
}

static void on_line(void *context, const char *text) {
  ebb_progress_line(((Watch *)context)->progress, "%s", text);
}

static bool on_stop(void *context) {
  (void)context;
  return stop_asked;
}

static void on_progress(void *context, const char *label, int64_t done, int64_t total, const char *unit) {
  ebb_progress_update(((Watch *)context)->progress, label, done, total, unit, NULL);
}

EbbStatus watch_create(Watch *watch, FILE *out) {
  *watch = (Watch){.watcher = {.context = watch, .batch = on_batch, .line = on_line, .stop = on_stop}};
  return ebb_progress_create(out, plain_every_s, &watch->progress);
}

void watch_destroy(Watch *watch) { ebb_progress_destroy(watch->progress); }

static EbbLoading listen(Watch *watch) {
  return (EbbLoading){.context = watch, .progress = on_progress, .line = on_line, .stop = on_stop};
}

EbbStatus watch_experiment(const EbbConfig *config, EbbExperiment **out) {
  Watch watch;
  *out = NULL;
  EBB_TRY(watch_create(&watch, stderr));
  const EbbLoading loading = listen(&watch);
  EbbStatus status = ebb_experiment_create_watched(config, &loading, out);
  watch_destroy(&watch);
  return status;
}

EbbStatus watch_dataset(const EbbConfig *config, EbbDataset **out) {
  Watch watch;
  *out = NULL;
  EBB_TRY(watch_create(&watch, stderr));
  const EbbLoading loading = listen(&watch);
  EbbStatus status = ebb_dataset_load_watched(config, &loading, out);
  watch_destroy(&watch);
  return status;
}

/* ebb verify */
#include "ebb/verify.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "run_folder.h"
#include "terminal.h"

enum { DEVICE, THREADS, QUIET };

static const CliOption options[] = {
    [DEVICE] = {.name = "device",
                .kind = CLI_TEXT,
                .value = "DEVICE",
                .initial = "auto",
                .help = "cpu, cuda, cuda:1 or auto"},
    [THREADS] = {.name = "threads",
                 .kind = CLI_INTEGER,
                 .value = "N",
                 .initial = "0",
                 .max = 1024,
                 .help = "CPU threads, 0 for every core"},
    [QUIET] = {.name = "quiet", .letter = 'q', .kind = CLI_FLAG, .help = "print only what fails, and totals"},
};

enum { NAME_COLUMNS = 49 };

typedef struct Tally {
  const char *device;
  int threads;
  bool quiet;
  int cases, failed_cases;
  int64_t tensors, failed_tensors;
} Tally;

static void print_verdict(bool passed) {
  printf("%s%s%s\n", terminal_colour(stdout, passed ? TERMINAL_GREEN : TERMINAL_RED),
         passed ? "ok" : "FAILED", terminal_plain(stdout));
}

static void on_row(void *context, const EbbVerifyRow *row) {
  const Tally *tally = context;
  if (tally->quiet && row->passed) return;
  char shape[64];
  ebb_shape_text(&row->shape, shape, sizeof shape);
  int room = NAME_COLUMNS - 1 - (int)strlen(row->tensor);
  printf("  %s %*s  %8.2e / %-7.2g  ", row->tensor, room > 0 ? room : 0, shape, row->error, row->tolerance);
  print_verdict(row->passed);
}

static void on_remark(void *context, const char *text) {
  if (!((const Tally *)context)->quiet) printf("  %s\n", text);
}

static void verify_file(Tally *tally, const char *path) {
  const EbbVerifyReport report = {.context = tally, .row = on_row, .remark = on_remark};
  EbbVerifyResult result = {0};
  EbbStatus status = ebb_verify_case(path, tally->device, tally->threads, &report, &result);
  bool passed = status == EBB_OK && result.compared && !result.failed; /* nothing compared is no pass */
  tally->cases++;
  tally->failed_cases += !passed;
  tally->tensors += result.compared;
  tally->failed_tensors += result.failed;
  if (status != EBB_OK) printf("  %s\n", ebb_error());
  printf("%s: %d of %d tensors agree  ", path, result.compared - result.failed, result.compared);
  print_verdict(passed);
}

static int is_case(const struct dirent *entry) {
  static const char ending[] = ".safetensors";
  size_t length = strlen(entry->d_name), tail = sizeof ending - 1;
  return length > tail && strcmp(entry->d_name + length - tail, ending) == 0;
}

static EbbStatus verify_entry(Tally *tally, const char *folder, const char *name) {
  char path[CLI_PATH_BYTES];
  EBB_TRY(run_path(folder, name, path));
  verify_file(tally, path);
  return EBB_OK;
}

static EbbStatus verify_folder(Tally *tally, const char *folder) {
  struct dirent **entry = NULL;
  int n = scandir(folder, &entry, is_case, alphasort);
  EbbStatus status = n < 0 ? ebb_fail(EBB_IO, "cannot read folder '%s'", folder) : EBB_OK;
  if (n == 0) status = ebb_fail(EBB_NOT_FOUND, "folder '%s' has no case (*.safetensors)", folder);
  for (int i = 0; i < n; i++) {
    if (status == EBB_OK) status = verify_entry(tally, folder, entry[i]->d_name);
    free(entry[i]);
  }
  free((void *)entry);
  return status;
}

static EbbStatus run(CliArguments *arguments) {
  const CliValue *value = arguments->value;
  Tally tally = {
      .device = value[DEVICE].text, .threads = (int)value[THREADS].integer, .quiet = value[QUIET].flag};
  for (int i = 0; i < arguments->n_operands; i++) {
    const char *path = arguments->operand[i];
    if (is_folder(path))
      EBB_TRY(verify_folder(&tally, path));
    else
      verify_file(&tally, path);
  }
  printf("%d of %d cases and %lld of %lld tensors agree\n", tally.cases - tally.failed_cases, tally.cases,
         (long long)(tally.tensors - tally.failed_tensors), (long long)tally.tensors);
  if (!tally.failed_cases) return EBB_OK;
  return ebb_fail(EBB_MISMATCH, "%d of %d cases failed", tally.failed_cases, tally.cases);
}

const CliCommand cli_verify = {
    .name = "verify",
    .synopsis = "CASE... [OPTION...]",
    .summary = "compare layers with recorded results of other implementations",
    .details =
        "Runs conformance cases (safetensors files of format ebb-case-1, or folders of them) and prints "
        "a line a tensor: name, shape, relative error / tolerance, verdict; then a line a case.",
    .examples = "ebb verify cases/s4 --quiet\n"
                "ebb verify cases/s4/s4_scan.safetensors --device cpu",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "at least one CASE",
    .least = 1,
    .most = 1000000,
    .run = run,
};

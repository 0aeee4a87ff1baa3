/* ebb lra: the Long Range Arena, run after run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "lra_run.h"
#include "lra_table.h"
#include "run_folder.h"
#include "terminal.h"

enum { TASKS, KERNELS, SEEDS, FIXED, RUNS, DRY_RUN, MARKDOWN };

static const CliOption options[] = {
    [TASKS] = {.name = "tasks",
               .kind = CLI_TEXT,
               .value = "NAME,...",
               .initial = "listops,imdb,aan,cifar,pathfinder,pathx",
               .help = "which tasks"},
    [KERNELS] = {.name = "kernels",
                 .kind = CLI_TEXT,
                 .value = "NAME,...",
                 .initial = "polyb",
                 .help = "liquid kernels: null, polyb, kb, series, scan"},
    [SEEDS] = {.name = "seeds",
               .kind = CLI_TEXT,
               .value = "N,...",
               .help = "seeds, instead of the experiments'"},
    [FIXED] = {.name = "fixed",
               .help = "the experiments s4-lra-NAME-fixed, where there is one: the published recipes without "
                       "their flaws"},
    [RUNS] = {.name = "runs",
              .kind = CLI_TEXT,
              .value = "FOLDER",
              .initial = "runs/lra",
              .help = "where the run folders go"},
    [DRY_RUN] = {.name = "dry-run", .help = "print the runs and what state they are in, and train nothing"},
    [MARKDOWN] = {.name = "markdown", .help = "print the table as Markdown"},
};

/* ---- lists ---- */

enum { MOST_ITEMS = 64, ITEM_BYTES = 64 };

typedef struct List {
  char item[MOST_ITEMS][ITEM_BYTES];
  int n;
} List;

static EbbStatus split(CliArguments *arguments, int option, List *list) {
  const char *name = options[option].name, *at = arguments->value[option].text;
  list->n = 0;
  while (at) {
    const size_t length = strcspn(at, ",");
    if (length == 0 || length >= ITEM_BYTES || list->n == MOST_ITEMS)
      return cli_misuse(arguments, "--%s is '%s'; it takes up to %d names separated by commas", name,
                        arguments->value[option].text, (int)MOST_ITEMS);
    memcpy(list->item[list->n], at, length);
    list->item[list->n++][length] = 0;
    at = at[length] ? at + length + 1 : NULL;
  }
  for (int i = 0; i < list->n; i++)
    for (int j = 0; j < i; j++)
      if (!strcmp(list->item[i], list->item[j]))
        return cli_misuse(arguments, "--%s names '%s' twice", name, list->item[i]);
  return EBB_OK;
}

typedef const char *(*NameAt)(int index);
static const char *task_name(int index) { return lra_tasks[index].name; }
static const char *kernel_name(int index) { return lra_kernels[index].name; }

/* The indices of a list's names among n known ones. */
static EbbStatus find_all(CliArguments *arguments, int option, NameAt name, int n, const List *list,
                          int *index) {
  for (int i = 0; i < list->n; i++) {
    CliNearest nearest = {.wanted = list->item[i]};
    index[i] = -1;
    for (int known = 0; known < n; known++) {
      if (!strcmp(name(known), list->item[i])) index[i] = known;
      cli_nearest(&nearest, name(known));
    }
    if (index[i] < 0)
      return cli_misuse(arguments, "--%s has no '%s'%s%s%s", options[option].name, list->item[i],
                        nearest.name ? "; did you mean '" : "; see --help", nearest.name ? nearest.name : "",
                        nearest.name ? "'?" : "");
  }
  return EBB_OK;
}

static EbbStatus read_seeds(CliArguments *arguments, int64_t seeds[MOST_ITEMS], int *n) {
  List list;
  *n = 1;
  seeds[0] = -1;
  if (!arguments->value[SEEDS].given) return EBB_OK;
  EBB_TRY(split(arguments, SEEDS, &list));
  *n = list.n;
  for (int i = 0; i < list.n; i++) {
    char *end;
    errno = 0;
    seeds[i] = strtoll(list.item[i], &end, 10);
    if (*end || end == list.item[i] || errno || seeds[i] < 0)
      return cli_misuse(arguments, "--seeds has '%s', which is no whole number from 0 on", list.item[i]);
  }
  return EBB_OK;
}

/* ---- the plan ---- */

typedef struct Plan {
  LraRun *run;
  int n;
} Plan;

static EbbStatus check_settings(CliArguments *arguments) {
  static const char *const own[] = {"experiment=", "run_dir=", "train.seed=", "model.layer.liquid_kernel="};
  static const char *const instead[] = {"--tasks", "--runs", "--seeds", "--kernels"};
  for (int i = 0; i < arguments->n_settings; i++)
    for (size_t k = 0; k < CLI_COUNT(own); k++)
      if (!strncmp(arguments->setting[i], own[k], strlen(own[k])))
        return cli_misuse(arguments, "%s cannot be given to all runs; see %s", arguments->setting[i],
                          instead[k]);
  return EBB_OK;
}

/* Kernel by kernel, so that a table is soon whole. */
static EbbStatus make_plan(CliArguments *arguments, Plan *plan) {
  List tasks, kernels;
  int task[MOST_ITEMS] = {0}, kernel[MOST_ITEMS] = {0}, n_seeds;
  int64_t seeds[MOST_ITEMS];
  EBB_TRY(check_settings(arguments));
  EBB_TRY(split(arguments, TASKS, &tasks));
  EBB_TRY(find_all(arguments, TASKS, task_name, LRA_TASKS, &tasks, task));
  EBB_TRY(split(arguments, KERNELS, &kernels));
  EBB_TRY(find_all(arguments, KERNELS, kernel_name, LRA_KERNELS, &kernels, kernel));
  EBB_TRY(read_seeds(arguments, seeds, &n_seeds));
  plan->n = tasks.n * kernels.n * n_seeds;
  plan->run = calloc((size_t)plan->n + 1, sizeof *plan->run);
  if (!plan->run) return ebb_fail(EBB_MEMORY, "no memory for %d runs", plan->n);
  for (int i = 0; i < plan->n; i++)
    plan->run[i] = (LraRun){.task = &lra_tasks[task[i / n_seeds % tasks.n]],
                            .kernel = &lra_kernels[kernel[i / n_seeds / tasks.n]],
                            .fixed = arguments->value[FIXED].flag,
                            .seed = seeds[i % n_seeds]};
  return EBB_OK;
}

/* ---- one after the other ---- */

static const char *state_of(const LraRun *run, bool finished) {
  char last[CLI_PATH_BYTES];
  if (finished) return "finished";
  const bool begun = run_path(run->folder, "last.safetensors", last) == EBB_OK && ebb_file_exists(last);
  return begun ? "to be continued" : "new";
}

/* The same run by hand. */
static void print_command(const LraRun *run, const LraSettings *settings, const CliArguments *arguments,
                          const char *state) {
  char name[CLI_PATH_BYTES];
  lra_experiment(run, name);
  printf("# %s\nebb train experiment=%s", state, name);
  for (int i = 0; i < settings->n; i++) printf(" %s", settings->text[i]);
  for (int i = 0; i < arguments->n_settings; i++) printf(" %s", arguments->setting[i]);
  (void)fputc('\n', stdout);
}

static EbbStatus do_run(LraRun *run, const CliArguments *arguments, const char *place, Watch *watch) {
  LraSettings settings;
  bool finished;
  const bool dry = arguments->value[DRY_RUN].flag;
  EBB_TRY(lra_prepare(run, arguments->value[RUNS].text, arguments, &settings));
  EBB_TRY(lra_look(run, &finished));
  if (finished) run->outcome = LRA_DONE;
  if (dry) {
    print_command(run, &settings, arguments, state_of(run, finished));
    return EBB_OK;
  }
  printf("== %s %s, %s, seed %lld: %s (%s)\n", place, run->task->title, run->kernel->name,
         (long long)run->seed, run->folder, state_of(run, finished));
  (void)fflush(stdout);
  if (finished) return EBB_OK;
  EBB_TRY(lra_work(run, watch));
  run->outcome = LRA_DONE;
  printf("test accuracy %.2f %%\n", 100 * run->accuracy);
  return EBB_OK;
}

/* Every run has its turn although others fail; only being stopped ends the work. */
static EbbStatus do_all(Plan *plan, const CliArguments *arguments, Watch *watch, int *failed) {
  for (int i = 0; i < plan->n; i++) {
    LraRun *run = &plan->run[i];
    char place[32];
    snprintf(place, sizeof place, "%d/%d", i + 1, plan->n);
    const EbbStatus status = do_run(run, arguments, place, watch);
    lra_release(run);
    if (status == EBB_OK) continue;
    run->outcome = status == EBB_INTERRUPTED ? LRA_STOPPED : LRA_FAILED;
    if (status == EBB_INTERRUPTED) return status;
    (void)fflush(stdout);
    fprintf(stderr, "%sebb:%s %s, %s: %s\n", terminal_colour(stderr, TERMINAL_RED), terminal_plain(stderr),
            run->task->title, run->kernel->name, ebb_error());
    ++*failed;
  }
  return EBB_OK;
}

static EbbStatus work(CliArguments *arguments, Plan *plan) {
  Watch watch;
  int failed = 0;
  EBB_TRY(watch_create(&watch, stdout));
  if (!arguments->value[DRY_RUN].flag) watch_signals("stopping after a checkpoint");
  const EbbStatus status = do_all(plan, arguments, &watch, &failed);
  watch_destroy(&watch);
  if (!arguments->value[DRY_RUN].flag) {
    (void)fputc('\n', stdout);
    lra_print_table(stdout, plan->run, plan->n, arguments->value[MARKDOWN].flag);
  }
  EBB_TRY(status);
  return failed ? ebb_fail(EBB_STATE,
                           "%d of %d runs failed, as said above; the same command does those that are not "
                           "finished",
                           failed, plan->n)
                : EBB_OK;
}

static EbbStatus run(CliArguments *arguments) {
  Plan plan = {0};
  EbbStatus status = make_plan(arguments, &plan);
  if (status == EBB_OK) status = work(arguments, &plan);
  free(plan.run);
  return status;
}

const CliCommand cli_lra = {
    .name = "lra",
    .synopsis = "[KEY=VALUE...] [OPTION...]",
    .summary = "run the Long Range Arena and print its table",
    .details =
        "Trains and tests the experiments lra/s4-lra-NAME one after the other, each in a run folder "
        "FOLDER/NAME-KERNEL-SEED, and prints test accuracies beside the published ones of Liquid-S4, "
        "with the wall time of the training and its samples a second. A run that is finished is not "
        "repeated, one "
        "that was stopped goes on. KEY=VALUE changes a setting of all runs. Where a data set is not "
        "there, its files and where they come from are named, and the other runs go on. Kernel scan "
        "runs with model.layer.mode=diag and measure diag-lin; the causal kernels series and scan make "
        "the layers of cifar unidirectional.",
    .examples = "ebb lra --dry-run\n"
                "ebb lra --tasks listops,imdb --kernels null,polyb --seeds 1,2,3 --markdown\n"
                "ebb lra --tasks cifar trainer.max_epochs=20 trainer.matmul=tf32 --runs runs/short",
    .options = options,
    .n_options = CLI_COUNT(options),
    .settings = true,
    .run = run,
};

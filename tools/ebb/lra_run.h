/* One run of the Long Range Arena: an ordinary run folder, and lra.json in it with its result. */
#ifndef EBB_LRA_RUN_H
#define EBB_LRA_RUN_H

#include "cli.h"
#include "watch.h"

typedef struct LraTask {
  const char *name;  /* of the command line, and of the experiment lra/s4-lra-NAME */
  const char *title; /* of the table */
  double published;  /* test accuracy of Liquid-S4, in percent */
  bool has_fixed;    /* there is an experiment lra/s4-lra-NAME-fixed */
  bool two_way;      /* the experiment's layers are bidirectional */
} LraTask;

enum { LRA_TASKS = 6 };
extern const LraTask lra_tasks[LRA_TASKS];
extern const double lra_published_average;

typedef struct LraKernel {
  const char *name;
  const char *settings[3]; /* that the kernel needs, up to a NULL */
  bool causal;
} LraKernel;

enum { LRA_KERNELS = 5 };
extern const LraKernel lra_kernels[LRA_KERNELS];

typedef enum LraOutcome { LRA_WAITING, LRA_DONE, LRA_FAILED, LRA_STOPPED } LraOutcome;

typedef struct LraRun {
  const LraTask *task;
  const LraKernel *kernel;
  bool fixed;
  int64_t seed; /* -1 until it is prepared: the experiment's own */
  EbbConfig *config;
  char folder[CLI_PATH_BYTES];
  LraOutcome outcome;
  double accuracy; /* of the test split, 0..1 */
  double seconds;  /* of training and validation, over all attempts that were not killed */
  double samples;  /* that were trained in that time */
} LraRun;

/* The name of the run's experiment. */
void lra_experiment(const LraRun *run, char name[CLI_PATH_BYTES]);
/* The settings that the run adds to its experiment: at most LRA_SETTINGS, ended by NULL. */
enum { LRA_SETTINGS = 8, LRA_SETTING_BYTES = CLI_PATH_BYTES + 16 };
typedef struct LraSettings {
  char text[LRA_SETTINGS][LRA_SETTING_BYTES];
  int n;
} LraSettings;

/* Makes the configuration, the settings of the command line last, and names the folder below `runs`. Errors:
   those of the experiment and the settings. */
EbbStatus lra_prepare(LraRun *run, const char *runs, const CliArguments *arguments,
                      LraSettings *settings) EBB_MUST_CHECK;

/* Whether the folder holds the finished run of this configuration, whose result is read then. Errors: STATE
   (a run with other settings), FORMAT (lra.json). */
EbbStatus lra_look(LraRun *run, bool *finished) EBB_MUST_CHECK;

/* Trains, or goes on where an attempt was stopped, and tests with the best checkpoint. Errors: of every part.
 */
EbbStatus lra_work(LraRun *run, Watch *watch) EBB_MUST_CHECK;

void lra_release(LraRun *run);

#endif

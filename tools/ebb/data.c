/* ebb data: one maker of a data set a command. */
#include "ebb/data.h"
#include "cli.h"
#include "ebb/file.h"
#include "run_folder.h"
#include "terminal.h"
#include "watch.h"

enum { TRAIN, VAL, TEST, MAX_DEPTH, MAX_ARGS, MIN_LENGTH, MAX_LENGTH, SEED, REPLACE };

#define SAMPLES(split, count)                                                                                \
  {                                                                                                          \
    .name = split, .kind = CLI_INTEGER, .value = "N", .initial = count, .min = 1, .max = 1000000000,         \
    .help = "samples of split " split                                                                        \
  }
#define NUMBER(option, letter_name, default_text, least, most, text)                                         \
  {                                                                                                          \
    .name = option, .kind = CLI_INTEGER, .value = letter_name, .initial = default_text, .min = least,        \
    .max = most, .help = text                                                                                \
  }

static const CliOption listops_options[] = {
    [TRAIN] = SAMPLES("train", "96000"),
    [VAL] = SAMPLES("val", "2000"),
    [TEST] = SAMPLES("test", "2000"),
    [MAX_DEPTH] = NUMBER("max-depth", "D", "10", 1, 1000, "deepest nesting of operators"),
    [MAX_ARGS] = NUMBER("max-args", "A", "10", 2, 1000, "most arguments of an operator"),
    [MIN_LENGTH] = NUMBER("min-length", "L", "500", 0, 1000000, "sequences are longer than this, in tokens"),
    [MAX_LENGTH] = NUMBER("max-length", "L", "2000", 2, 1000000, "and shorter than this"),
    [SEED] = NUMBER("seed", "S", "0", 0, INT64_MAX, "equal seeds make equal files"),
    [REPLACE] = {.name = "replace", .help = "overwrite a data set that is there"},
};

static void on_progress(void *context, int64_t done, int64_t total) {
  ebb_progress_update(((Watch *)context)->progress, "listops", done, total, "sample", NULL);
}

static bool on_stop(void *context) { return ((Watch *)context)->watcher.stop(context); }

/* Published files are a long download: they are not overwritten by a slip. */
static EbbStatus check_free(const char *folder) {
  static const char *const names[] = {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"};
  char path[CLI_PATH_BYTES];
  for (size_t i = 0; i < CLI_COUNT(names); i++) {
    EBB_TRY(run_path(folder, names[i], path));
    if (ebb_file_exists(path))
      return ebb_fail(EBB_STATE, "%s exists already; choose another folder, or overwrite it with --replace",
                      path);
  }
  return EBB_OK;
}

static EbbStatus make_listops(CliArguments *arguments) {
  const CliValue *value = arguments->value;
  if (!value[REPLACE].flag) EBB_TRY(check_free(arguments->operand[0]));
  Watch watch;
  EBB_TRY(watch_create(&watch, stderr));
  watch_signals("stopping");
  const EbbListopsConfig config = {.n_train = value[TRAIN].integer,
                                   .n_val = value[VAL].integer,
                                   .n_test = value[TEST].integer,
                                   .max_depth = (int)value[MAX_DEPTH].integer,
                                   .max_args = (int)value[MAX_ARGS].integer,
                                   .min_length = value[MIN_LENGTH].integer,
                                   .max_length = value[MAX_LENGTH].integer,
                                   .seed = (uint64_t)value[SEED].integer,
                                   .progress = on_progress,
                                   .stop = on_stop,
                                   .context = &watch};
  EbbStatus status = ebb_listops_generate(arguments->operand[0], &config);
  watch_destroy(&watch);
  EBB_TRY(status);
  printf("%s: %s training, %s validation, %s test samples\n", arguments->operand[0],
         terminal_count(config.n_train).text, terminal_count(config.n_val).text,
         terminal_count(config.n_test).text);
  return EBB_OK;
}

static const CliCommand listops = {
    .name = "listops",
    .synopsis = "FOLDER [OPTION...]",
    .summary = "nested list operations, by the rules of the Long Range Arena",
    .details =
        "Makes ListOps by the rules of the Long Range Arena's generator, with its sizes as defaults: "
        "basic_train.tsv, basic_val.tsv and basic_test.tsv in FOLDER. All cores work; the files depend "
        "on the options alone.",
    .examples = "ebb data listops data/listops\n"
                "ebb data listops short --train 4000 --min-length 10 --max-length 100",
    .options = listops_options,
    .n_options = CLI_COUNT(listops_options),
    .operand = "the FOLDER to write to",
    .least = 1,
    .most = 1,
    .run = make_listops,
};

static const CliCommand *const makers[] = {&listops, &cli_data_pathfinder, &cli_data_describe};

const CliCommand cli_data = {
    .name = "data",
    .synopsis = "MAKER|describe [OPTION...]",
    .summary = "make a data set, or describe one",
    .details = "Makes a data set in a folder, or says what is in one.",
    .commands = makers,
    .n_commands = CLI_COUNT(makers),
};

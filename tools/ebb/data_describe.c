/* ebb data describe */
#include <stdlib.h>

#include "cli.h"
#include "ebb/data.h"
#include "host/data/dataset_facts.h"
#include "host/metrics/gallery.h"
#include "settings.h"
#include "terminal.h"

enum { CONFIG, PICTURE, SPLIT };

static const CliOption options[] = {
    [CONFIG] = SETTINGS_CONFIG_OPTION,
    [PICTURE] = {.name = "output",
                 .letter = 'o',
                 .kind = CLI_TEXT,
                 .value = "PICTURE",
                 .help = "draw samples into this .png or .svg file: images, curves or tokens"},
    [SPLIT] = {.name = "split",
               .kind = CLI_CHOICE,
               .value = "SPLIT",
               .initial = "train",
               .choices = "train|val|test",
               .help = "whose samples are drawn"},
};

static const char *const split_names[EBB_SPLITS] = {"training", "validation", "test"};

static void print_data(const EbbDataset *dataset) {
  terminal_field(stdout, "data set", "%s", dataset->name);
  if (dataset->vocabulary)
    terminal_field(stdout, "tokens", "%s different ones", terminal_count(dataset->vocabulary).text);
  else
    terminal_field(stdout, "features", "%lld a step", (long long)dataset->d_input);
  const char *every = dataset->per_step ? "step" : "sample";
  if (dataset->n_classes)
    terminal_field(stdout, "targets", "one of %lld classes a %s", (long long)dataset->n_classes, every);
  else
    terminal_field(stdout, "targets", "%lld numbers a %s", (long long)dataset->d_output, every);
  if (dataset->n_towers > 1)
    terminal_field(stdout, "", "a sample is %lld sequences", (long long)dataset->n_towers);
  terminal_field(stdout, "memory", "%s", terminal_bytes(ebb_dataset_bytes(dataset)).text);
}

static void print_range(const char *name, const EbbRange *range) {
  if (range->n + range->n_strange == 0) return;
  terminal_field(stdout, name, "%.5g to %.5g, mean %.5g, deviation %.5g", range->least, range->most,
                 range->mean, range->deviation);
  if (range->n_strange)
    terminal_field(stdout, "", "%s of %s are NaN or infinite", terminal_count(range->n_strange).text,
                   terminal_count(range->n + range->n_strange).text);
}

static void print_classes(const EbbDataset *dataset, const EbbSplitFacts *facts) {
  enum { A_LINE = 5 };
  for (int64_t c = 0; facts->n_labels && c < dataset->n_classes; c++) {
    if (c % A_LINE == 0) printf("%s%-12s", c ? "\n" : "", c ? "" : "classes");
    printf(" %3lld: %-8s", (long long)c, terminal_count(facts->count[c]).text);
    printf("%4.1f%%", 100 * (double)facts->count[c] / (double)facts->n_labels);
  }
  if (facts->n_labels && dataset->n_classes) (void)fputc('\n', stdout);
}

static void print_split(const EbbDataset *dataset, int split, const EbbSplitFacts *facts) {
  printf("\n%s%s%s\n", terminal_colour(stdout, TERMINAL_BOLD), split_names[split], terminal_plain(stdout));
  terminal_field(stdout, "samples", "%s, %s steps", terminal_count(facts->n_samples).text,
                 terminal_count(facts->n_steps).text);
  if (!facts->n_samples) return;
  const int64_t *length = facts->length;
  if (length[0] == length[FACTS_QUANTILES - 1])
    terminal_field(stdout, "length", "%s", terminal_count(length[0]).text);
  else
    terminal_field(stdout, "length", "%lld to %lld; quartiles %lld, %lld, %lld", (long long)length[0],
                   (long long)length[4], (long long)length[1], (long long)length[2], (long long)length[3]);
  print_classes(dataset, facts);
  print_range("values", &facts->values);
  print_range("targets", &facts->targets);
  if (facts->tokens.n)
    terminal_field(stdout, "token ids", "%.0f to %.0f", facts->tokens.least, facts->tokens.most);
}

static EbbStatus describe(const EbbDataset *dataset) {
  print_data(dataset);
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbSplitFacts facts;
    const EbbStatus status = ebb_split_facts(dataset, (EbbSplit)split, &facts);
    if (status == EBB_OK) print_split(dataset, split, &facts);
    free(facts.count);
    EBB_TRY(status);
  }
  return EBB_OK;
}

static EbbStatus draw(const EbbDataset *dataset, const CliValue *value) {
  const char *picture = value[PICTURE].text;
  if (!picture) return EBB_OK;
  EBB_TRY(ebb_gallery_draw(dataset, (EbbSplit)value[SPLIT].integer, NULL, picture));
  printf("\n%s\n", picture);
  return EBB_OK;
}

static EbbStatus run(CliArguments *arguments) {
  const CliValue *value = arguments->value;
  if (!arguments->n_settings && !value[CONFIG].text)
    return cli_misuse(arguments,
                      "ebb data describe needs experiment=NAME, dataset._name_=NAME or --config FILE");
  EbbConfig *config = NULL;
  EBB_TRY(settings_from_experiment(arguments, value[CONFIG].text, &config));
  EbbDataset *dataset = NULL;
  EbbStatus status = ebb_dataset_load(config, &dataset);
  if (status == EBB_OK) status = describe(dataset);
  if (status == EBB_OK) status = draw(dataset, value);
  ebb_dataset_destroy(dataset);
  ebb_config_destroy(config);
  return status;
}

const CliCommand cli_data_describe = {
    .name = "describe",
    .synopsis = "experiment=NAME | dataset._name_=NAME [KEY=VALUE...] [OPTION...]",
    .summary = "sizes, lengths, classes and values of a data set, and a picture of samples",
    .details = "Reads a data set as training would, prints what its splits hold, and draws samples if asked.",
    .examples = "ebb data describe dataset._name_=pathfinder -o samples.png\n"
                "ebb data describe experiment=quickstart/listops --split test -o samples.svg",
    .options = options,
    .n_options = CLI_COUNT(options),
    .settings = true,
    .run = run,
};

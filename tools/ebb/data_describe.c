/* ebb data describe */
#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "ebb/data.h"
#include "host/data/dataset_facts.h"
#include "host/metrics/gallery.h"
#include "settings.h"
#include "terminal.h"
#include "watch.h"

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
    terminal_field(stdout, "targets", "%lld number%s a %s", (long long)dataset->d_output,
                   dataset->d_output == 1 ? "" : "s", every);
  if (dataset->n_towers > 1)
    terminal_field(stdout, "", "a sample is %lld sequences", (long long)dataset->n_towers);
  terminal_field(stdout, "memory", "%s", terminal_bytes(ebb_dataset_bytes(dataset)).text);
}

static void print_range(const char *name, const EbbRange *range) {
  if (range->n + range->n_strange == 0) return;
  const bool rounding = fabs(range->mean) < 1e-9 * range->deviation;
  terminal_field(stdout, name, "%.5g to %.5g, mean %.5g, deviation %.5g", range->least, range->most,
                 rounding ? 0 : range->mean, range->deviation);
  if (range->n_strange)
    terminal_field(stdout, "", "%s of %s are NaN or infinite", terminal_count(range->n_strange).text,
                   terminal_count(range->n + range->n_strange).text);
}

/* The next character's class is called by the character, others by their number. */
static void print_class(const EbbDataset *dataset, int64_t c, const EbbSplitFacts *facts) {
  const bool is_token = dataset->n_classes == dataset->vocabulary && dataset->token_text;
  const char *text = is_token ? dataset->token_text[c] : NULL;
  if (text && (unsigned char)text[0] > ' ' && text[1] == 0)
    printf("   %s: ", text);
  else
    printf(" %3lld: ", (long long)c);
  printf("%-8s%4.1f%%", terminal_count(facts->count[c]).text,
         100 * (double)facts->count[c] / (double)facts->n_labels);
}

static void print_classes(const EbbDataset *dataset, const EbbSplitFacts *facts) {
  enum { A_LINE = 5, MOST = 50 };
  if (!facts->n_labels || !dataset->n_classes) return;
  for (int64_t c = 0; c < dataset->n_classes && c < MOST; c++) {
    if (c % A_LINE == 0) printf("%s%-12s", c ? "\n" : "", c ? "" : "classes");
    print_class(dataset, c, facts);
  }
  (void)fputc('\n', stdout);
  if (dataset->n_classes > MOST)
    terminal_field(stdout, "", "and %s more", terminal_count(dataset->n_classes - MOST).text);
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
  watch_signals("stopping");
  EbbStatus status = watch_dataset(config, &dataset);
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

/* ebb report */
#include "ebb/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "cli.h"
#include "run_folder.h"
#include "settings.h"
#include "terminal.h"
#include "watch.h"

enum { SPLIT, SAMPLES, NEURONS, JSON, PICTURE };
enum { LISTED = 10 };

static const CliOption options[] = {
    [SPLIT] = {.name = "split",
               .kind = CLI_CHOICE,
               .value = "SPLIT",
               .initial = "val",
               .choices = "train|val|test", /* in the order of EbbSplit */
               .help = "samples to run"},
    [SAMPLES] = {.name = "samples",
                 .letter = 'n',
                 .kind = CLI_INTEGER,
                 .value = "N",
                 .initial = "64",
                 .min = 1,
                 .max = INT32_MAX,
                 .help = "at most so many, from the split's beginning"},
    [NEURONS] = {.name = "neurons", .kind = CLI_FLAG, .help = "a row for every neuron, not only for groups"},
    [JSON] = {.name = "json", .kind = CLI_FLAG, .help = "print one line of JSON, with every neuron"},
    [PICTURE] = {.name = "output",
                 .letter = 'o',
                 .kind = CLI_TEXT,
                 .value = "PICTURE",
                 .help = "draw histograms of time constants into this .png or .svg file"},
};

/* ---- text ---- */

/* Several neurons as one: the widest range of each, and the middle one's median. */
typedef struct Row {
  EbbNeuronReport sum;
  int64_t neurons;
} Row;

static void add_to(Row *row, const EbbNeuronReport *n) {
  EbbNeuronReport *s = &row->sum;
  row->neurons++;
  s->tau_min = fmin(s->tau_min, n->tau_min), s->tau_max = fmax(s->tau_max, n->tau_max);
  s->tau_low = fmin(s->tau_low, n->tau_low), s->tau_high = fmax(s->tau_high, n->tau_high);
  s->state_min = fmin(s->state_min, n->state_min), s->state_max = fmax(s->state_max, n->state_max);
  s->state_low = fmin(s->state_low, n->state_low), s->state_high = fmax(s->state_high, n->state_high);
  s->tau_violations += n->tau_violations, s->state_violations += n->state_violations;
  s->saturated += (n->saturated - s->saturated) / (double)row->neurons;
}

/* The median of the neurons' medians: the one with as many below it as above. */
static double middle(const EbbLayerReport *layer, const char *group, int64_t neurons) {
  for (int64_t i = 0; i < layer->n; i++) {
    int64_t below = 0, equal = 0;
    if (strcmp(layer->neuron[i].group, group) != 0) continue;
    for (int64_t j = 0; j < layer->n; j++) {
      if (strcmp(layer->neuron[j].group, group) != 0) continue;
      below += layer->neuron[j].tau_median < layer->neuron[i].tau_median;
      equal += layer->neuron[j].tau_median == layer->neuron[i].tau_median;
    }
    if (below <= neurons / 2 && below + equal > neurons / 2) return layer->neuron[i].tau_median;
  }
  return (double)NAN;
}

typedef struct Cell {
  char text[40];
} Cell;

static Cell number(double value) {
  Cell cell = {"-"};
  if (!isnan(value)) snprintf(cell.text, sizeof cell.text, "%.3g", value);
  return cell;
}

static Cell range(double low, double high) {
  Cell cell = {"-"};
  if (!isnan(low)) snprintf(cell.text, sizeof cell.text, "%.3g..%.3g", low, high);
  return cell;
}

static Cell percent(double share) {
  Cell cell = {"-"};
  if (!isnan(share)) snprintf(cell.text, sizeof cell.text, "%.1f", 100 * share);
  return cell;
}

static void print_row(const char *name, const EbbNeuronReport *n) {
  printf("%-14s %8s %8s %8s  %-16s  %-16s %-16s %6s\n", name, number(n->tau_min).text,
         number(n->tau_median).text, number(n->tau_max).text, range(n->tau_low, n->tau_high).text,
         range(n->state_min, n->state_max).text, range(n->state_low, n->state_high).text,
         percent(n->saturated).text);
}

static void print_groups(const EbbLayerReport *layer) {
  for (int64_t i = 0; i < layer->n; i++) {
    const char *group = layer->neuron[i].group;
    Row row = {.sum = layer->neuron[i], .neurons = 1};
    bool first = true;
    for (int64_t j = 0; j < i; j++) first = first && strcmp(layer->neuron[j].group, group) != 0;
    if (!first) continue;
    for (int64_t j = i + 1; j < layer->n; j++)
      if (strcmp(layer->neuron[j].group, group) == 0) add_to(&row, &layer->neuron[j]);
    row.sum.tau_median = middle(layer, group, row.neurons);
    char name[32];
    snprintf(name, sizeof name, "%lld %s", (long long)row.neurons, group);
    print_row(name, &row.sum);
  }
}

static void print_neurons(const EbbLayerReport *layer) {
  for (int64_t i = 0; i < layer->n; i++) {
    char name[32];
    snprintf(name, sizeof name, "  %s %lld", layer->neuron[i].group, (long long)layer->neuron[i].unit);
    print_row(name, &layer->neuron[i]);
  }
}

static void print_layer(const EbbReport *report, int64_t i, bool neurons) {
  const EbbLayerReport *layer = &report->layer[i];
  printf("\n%slayer %lld, %s%s", terminal_colour(stdout, TERMINAL_BOLD), (long long)i, layer->cell,
         terminal_plain(stdout));
  if (isnan(layer->h_lambda))
    printf(", whose time constants are not known");
  else if (layer->limit > 0)
    printf(", h lambda up to %.3g of %.3g that its explicit solver is stable for", layer->h_lambda,
           layer->limit);
  else
    printf(", h lambda up to %.3g; its fused solver has no limit", layer->h_lambda);
  printf("\n%-14s %8s %8s %8s  %-16s  %-16s %-16s %6s\n", "neurons", "tau min", "median", "max", "bounds",
         "state", "bounds", "% sat.");
  print_groups(layer);
  if (neurons) print_neurons(layer);
}

static int64_t print_violations(const EbbReport *report) {
  int64_t found = 0;
  for (int64_t i = 0; i < report->n_layers; i++)
    for (int64_t j = 0; j < report->layer[i].n; j++) {
      const EbbNeuronReport *n = &report->layer[i].neuron[j];
      if (!n->tau_violations && !n->state_violations) continue;
      if (found++ >= LISTED) continue;
      printf("%slayer %lld, %s neuron %lld:%s", terminal_colour(stdout, TERMINAL_RED), (long long)i, n->group,
             (long long)n->unit, terminal_plain(stdout));
      if (n->tau_violations)
        printf(" time constant %s beyond %s in %lld steps", range(n->tau_min, n->tau_max).text,
               range(n->tau_low, n->tau_high).text, (long long)n->tau_violations);
      if (n->state_violations)
        printf("%s state %s beyond %s in %lld steps", n->tau_violations ? ";" : "",
               range(n->state_min, n->state_max).text, range(n->state_low, n->state_high).text,
               (long long)n->state_violations);
      putchar('\n');
    }
  if (found > LISTED) printf("and %lld more neurons\n", (long long)(found - LISTED));
  return found;
}

static bool has_bounds(const EbbReport *report) {
  for (int64_t i = 0; i < report->n_layers; i++)
    for (int64_t j = 0; j < report->layer[i].n; j++)
      if (!isnan(report->layer[i].neuron[j].state_low)) return true;
  return false;
}

static void print_text(const EbbReport *report, const char *checkpoint, const char *split, bool neurons) {
  terminal_field(stdout, "checkpoint", "%s", checkpoint);
  terminal_field(stdout, "samples", "%s of split %s, %s steps", terminal_count(report->samples).text, split,
                 terminal_count(report->steps).text);
  for (int64_t i = 0; i < report->n_layers; i++) print_layer(report, i, neurons);
  putchar('\n');
  if (!has_bounds(report))
    terminal_field(stdout, "bounds", "%s", "none are known of these cells");
  else if (!print_violations(report))
    terminal_field(stdout, "bounds", "%s", "every time constant and every state is within them");
}

/* ---- JSON ---- */

/* What is not known or not finite is null. */
static void add_number(cJSON *object, const char *name, double value) {
  if (isfinite(value))
    cJSON_AddNumberToObject(object, name, value);
  else
    cJSON_AddNullToObject(object, name);
}

static void add_neuron(cJSON *list, const EbbNeuronReport *n) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddNumberToObject(object, "unit", (double)n->unit);
  cJSON_AddStringToObject(object, "group", n->group);
  const struct {
    const char *name;
    double value;
  } numbers[] = {{"tau_min", n->tau_min},     {"tau_median", n->tau_median}, {"tau_max", n->tau_max},
                 {"tau_low", n->tau_low},     {"tau_high", n->tau_high},     {"state_min", n->state_min},
                 {"state_max", n->state_max}, {"state_low", n->state_low},   {"state_high", n->state_high},
                 {"saturated", n->saturated}};
  for (int i = 0; i < CLI_COUNT(numbers); i++) add_number(object, numbers[i].name, numbers[i].value);
  cJSON_AddNumberToObject(object, "tau_violations", (double)n->tau_violations);
  cJSON_AddNumberToObject(object, "state_violations", (double)n->state_violations);
  cJSON_AddItemToArray(list, object);
}

static EbbStatus print_json(const EbbReport *report, const char *checkpoint, const char *split) {
  cJSON *line = cJSON_CreateObject();
  cJSON_AddStringToObject(line, "checkpoint", checkpoint);
  cJSON_AddStringToObject(line, "split", split);
  cJSON_AddNumberToObject(line, "samples", (double)report->samples);
  cJSON_AddNumberToObject(line, "steps", (double)report->steps);
  cJSON *layers = cJSON_AddArrayToObject(line, "layers");
  for (int64_t i = 0; i < report->n_layers; i++) {
    const EbbLayerReport *layer = &report->layer[i];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "cell", layer->cell);
    add_number(object, "h_lambda", layer->h_lambda);
    add_number(object, "limit", layer->limit > 0 ? layer->limit : (double)NAN);
    cJSON *list = cJSON_AddArrayToObject(object, "neurons");
    for (int64_t j = 0; j < layer->n; j++) add_neuron(list, &layer->neuron[j]);
    cJSON_AddItemToArray(layers, object);
  }
  char *text = cJSON_PrintUnformatted(line);
  cJSON_Delete(line);
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for a line of JSON");
  puts(text);
  cJSON_free(text);
  return EBB_OK;
}

/* ---- the command ---- */

static EbbStatus show(const CliArguments *arguments, const EbbReport *report, const char *checkpoint) {
  const CliValue *value = arguments->value;
  if (value[JSON].flag)
    EBB_TRY(print_json(report, checkpoint, value[SPLIT].text));
  else
    print_text(report, checkpoint, value[SPLIT].text, value[NEURONS].flag);
  if (!value[PICTURE].text) return EBB_OK;
  EBB_TRY(ebb_report_draw(report, value[PICTURE].text));
  if (!value[JSON].flag) terminal_field(stdout, "picture", "%s", value[PICTURE].text);
  return EBB_OK;
}

static EbbStatus make(const CliArguments *arguments, const EbbConfig *config, const char *checkpoint,
                      EbbReport **report) {
  const CliValue *value = arguments->value;
  Watch watch;
  watch_signals("stopping");
  EBB_TRY(watch_create(&watch, stderr));
  const EbbStatus status = ebb_report_create(config, checkpoint, (EbbSplit)value[SPLIT].integer,
                                             value[SAMPLES].integer, &watch.watcher, report);
  watch_destroy(&watch);
  return status;
}

static EbbStatus run(CliArguments *arguments) {
  char checkpoint[CLI_PATH_BYTES];
  EbbConfig *config = NULL;
  EbbReport *report = NULL;
  EBB_TRY(run_checkpoint(arguments->operand[0], checkpoint));
  EBB_TRY(settings_from_checkpoint(arguments, checkpoint, &config));
  EbbStatus status = make(arguments, config, checkpoint, &report);
  ebb_config_destroy(config);
  if (status == EBB_OK) status = show(arguments, report, checkpoint);
  ebb_report_destroy(report);
  return status;
}

const CliCommand cli_report = {
    .name = "report",
    .synopsis = "RUN|CHECKPOINT [KEY=VALUE...] [OPTION...]",
    .summary = "time constants and states of a model's neurons on data",
    .details =
        "Runs samples through a model of recurrent cells and prints, by layer and group of neurons, the "
        "effective time constants (least, median, greatest), the states, the share of steps in which a state "
        "is within 1 % of its bounds, and the solver's h lambda beside its limit of stability. For LTC cells "
        "it checks at every step that tau / (1 + tau W) <= tau_sys <= tau and that states stay between the "
        "least and the greatest of 0 and the potentials, and names neurons that do not. Time constants are "
        "in the "
        "unit of elapsed times; those of a fused ltc_aaai in sub-steps.",
    .examples = "ebb report runs/ltc-occupancy-1\n"
                "ebb report runs/ltc-occupancy-1 --split test -n 500 --neurons -o taus.png\n"
                "ebb report last.safetensors --json",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "a RUN folder or a CHECKPOINT",
    .least = 1,
    .most = 1,
    .settings = true,
    .run = run,
};

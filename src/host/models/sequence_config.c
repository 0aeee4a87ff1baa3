/* From configuration keys to the sequence model. */
#include <math.h>

#include "ebb/model.h"
#include "host/models/cell_config.h"
#include "host/models/cells.h"

/* A choice key whose choices stand in the order of an enumeration. */
#define ENUM(type, config, key) ((type)ebb_config_choice(config, key))

static EbbSsmMeasure measure_of(const EbbConfig *config) {
  /* In the order of the key's choices: fout is another name of fourier. */
  static const EbbSsmMeasure measures[] = {
      EBB_SSM_LEGS,  EBB_SSM_LEGT,     EBB_SSM_LAGT,     EBB_SSM_FOURIER,   EBB_SSM_FOURIER,
      EBB_SSM_HIPPO, EBB_SSM_DIAG_LIN, EBB_SSM_DIAG_INV, EBB_SSM_DIAG_LEGS, EBB_SSM_DIAG};
  return measures[ebb_config_choice(config, "model.layer.measure")];
}

static EbbSsmConfig ssm_of(const EbbConfig *config) {
  int64_t d_model = ebb_config_integer(config, "model.d_model");
  return (EbbSsmConfig){
      .H = d_model,
      .N = ebb_config_integer(config, "model.layer.d_state"),
      .n_ssm = ebb_config_integer_or(config, "model.layer.n_ssm", d_model),
      .l_max = ebb_config_integer_or(config, "model.layer.l_max", 0),
      .rank = ebb_config_integer(config, "model.layer.rank"),
      .rate = (double)ebb_config_integer(config, "dataset.subsample"),
      .measure = measure_of(config),
      .real_type = ENUM(EbbSsmReal, config, "model.layer.real_type"),
      .disc = ENUM(EbbSsmDisc, config, "model.layer.disc"),
      .readout = ebb_config_choice(config, "model.layer.liquid_readout") ? EBB_SSM_LEARNED : EBB_SSM_ONES,
      .dt_min = ebb_config_number(config, "model.layer.dt_min"),
      .dt_max = ebb_config_number(config, "model.layer.dt_max"),
      .deterministic = ebb_config_flag(config, "model.layer.deterministic"),
      .lr_dt = ebb_config_number_or(config, "model.layer.lr.dt", NAN),
      .lr_A = ebb_config_number_or(config, "model.layer.lr.A", NAN),
      .lr_B = ebb_config_number_or(config, "model.layer.lr.B", NAN),
      .weight_decay = ebb_config_number(config, "model.layer.weight_decay"),
  };
}

/* S4 adds its low-rank part to a HiPPO matrix; the diagonal initialisations have none. */
static EbbStatus check_measure(const EbbConfig *config) {
  bool diagonal = ebb_config_choice(config, "model.layer.mode") == 1;
  if (diagonal || measure_of(config) < EBB_SSM_DIAG_LIN) return EBB_OK;
  return ebb_fail(
      EBB_INVALID,
      "model.layer.measure (%s): the diag measures are for model.layer.mode=diag; set that mode, or "
      "a measure such as legs",
      ebb_config_origin(config, "model.layer.measure"));
}

EbbStatus ebb_s4_layer_from_config(const EbbConfig *config, EbbS4Layer *out) {
  if (ebb_config_integer(config, "model.layer.channels") != 1)
    return ebb_fail(EBB_UNSUPPORTED, "model.layer.channels (%s): only 1 channel a state space is supported",
                    ebb_config_origin(config, "model.layer.channels"));
  EBB_TRY(check_measure(config));
  *out = (EbbS4Layer){
      .ssm = ssm_of(config),
      .diagonal = ebb_config_choice(config, "model.layer.mode") == 1,
      .bidirectional = ebb_config_flag(config, "model.layer.bidirectional"),
      .skip = ebb_config_flag(config, "model.layer.skip"),
      .gelu = ebb_config_choice(config, "model.layer.activation") == 1,
      .glu = ebb_config_choice(config, "model.layer.postact") == 1,
      .dropout =
          ebb_config_number_or(config, "model.layer.dropout", ebb_config_number(config, "model.dropout")),
      .tie_dropout = ebb_config_is_null(config, "model.layer.tie_dropout")
                         ? ebb_config_flag(config, "model.tie_dropout")
                         : ebb_config_flag(config, "model.layer.tie_dropout"),
      .liquid = ENUM(EbbLiquid, config, "model.layer.liquid_kernel"),
      .degree = (int)ebb_config_integer(config, "model.layer.liquid_degree"),
      .allcombs = ebb_config_flag(config, "model.layer.allcombs"),
      .contract = ENUM(EbbS4Contract, config, "model.layer.lcontract"),
      .scan_bound = ebb_config_flag(config, "model.layer.liquid_contraction") ? 1 : 0,
  };
  return EBB_OK;
}

static EbbNorm norm_of(const EbbConfig *config) {
  /* The published code's transposed layer norm has scalar weights. */
  static const EbbNorm norms[] = {EBB_NORM_NONE, EBB_NORM_BATCH, EBB_NORM_LAYER};
  EbbNorm norm = norms[ebb_config_choice(config, "model.norm")];
  return norm == EBB_NORM_LAYER && ebb_config_flag(config, "model.transposed") ? EBB_NORM_LAYER_SCALAR : norm;
}

EbbStatus ebb_sequence_from_keys(const EbbConfig *config, EbbSequence *out) {
  *out = (EbbSequence){.d_model = ebb_config_integer(config, "model.d_model"),
                       .n_layers = ebb_config_integer(config, "model.n_layers"),
                       .prenorm = ebb_config_flag(config, "model.prenorm"),
                       .residual = ebb_config_choice(config, "model.residual") == 1,
                       .norm = norm_of(config),
                       .norm_lengths = ebb_config_choice(config, "model.norm_padding") == 1,
                       .dropout = ebb_config_number(config, "model.dropout"),
                       .pooling = ebb_config_choice(config, "decoder.mode") == 0 ? EBB_POOLING_LAST
                                                                                 : EBB_POOLING_MEAN};
  out->liquid_net = ebb_config_names_lnn(config);
  if (out->liquid_net && ebb_config_flag(config, "model.layer.bidirectional"))
    return ebb_fail(EBB_UNSUPPORTED, "model.layer.bidirectional (%s): lnn runs forwards only",
                    ebb_config_origin(config, "model.layer.bidirectional"));
  if (out->liquid_net) return ebb_lnn_from_config(config, &out->lnn);
  return ebb_config_names_cell(config) ? EBB_OK : ebb_s4_layer_from_config(config, &out->layer);
}

static EbbStatus check_kind(const EbbConfig *config, const char *key, int chosen, int needed,
                            const char *data) {
  if (!chosen || chosen == needed) return EBB_OK;
  return ebb_fail(EBB_INVALID, "%s (%s) does not fit the data set: %s; use auto", key,
                  ebb_config_origin(config, key), data);
}

/* What the targets can be scored by, in the order of the keys' choices. */
static EbbStatus check_scores(const EbbConfig *config, int64_t n_classes) {
  enum { CLASSES = 1, NUMBERS = 2, TWO_CLASSES = 4 };
  static const int of_metric[] = {7, CLASSES, NUMBERS, NUMBERS, TWO_CLASSES, NUMBERS};
  static const int of_monitor[] = {7, CLASSES, 7, NUMBERS, TWO_CLASSES, NUMBERS, NUMBERS};
  const int targets = n_classes == 0 ? NUMBERS : n_classes == 2 ? CLASSES | TWO_CLASSES : CLASSES;
  const char *data = n_classes == 0   ? "its targets are numbers"
                     : n_classes == 2 ? "its targets are two classes"
                                      : "its targets are classes, not two";
  int metric = ebb_config_choice(config, "task.metrics"),
      monitor = ebb_config_choice(config, "train.monitor");
  EBB_TRY(check_kind(config, "task.metrics", metric, of_metric[metric] & targets ? metric : 0, data));
  return check_kind(config, "train.monitor", monitor, of_monitor[monitor] & targets ? monitor : 0, data);
}

static EbbStatus take_class_weights(const EbbDataset *dataset, EbbSequence *out) {
  if (!dataset->class_weights) return EBB_OK;
  if (dataset->n_classes > EBB_MOST_CLASS_WEIGHTS)
    return ebb_fail(EBB_UNSUPPORTED, "'%s' has weights for %lld classes; at most %d can have weights",
                    dataset->name, (long long)dataset->n_classes, (int)EBB_MOST_CLASS_WEIGHTS);
  out->class_weights.n_class_weights = (int)dataset->n_classes;
  for (int64_t v = 0; v < dataset->n_classes; v++)
    out->class_weights.class_weight[v] = dataset->class_weights[v];
  return EBB_OK;
}

/* The stack of cells, if model.layer._name_ is one, and a decoder that fits its outputs. */
static EbbStatus take_cells(const EbbConfig *config, const EbbDataset *dataset, EbbSequence *out) {
  enum { IDENTITY = 3 };
  const bool identity = ebb_config_choice(config, "decoder._name_") == IDENTITY;
  const bool recurrent = out->liquid_net || ebb_config_names_cell(config);
  if (recurrent && dataset->n_towers == 2)
    return ebb_fail(EBB_UNSUPPORTED, "'%s' has pairs of sequences; recurrent cells take single ones",
                    dataset->name);
  out->elapsed = recurrent && dataset->split[EBB_TRAIN].elapsed != NULL;
  if (!ebb_config_names_cell(config))
    return check_kind(config, "decoder._name_", identity, 0, "identity is for recurrent cells");
  EBB_TRY(ebb_cells_from_config(config, out->encoder == EBB_ENCODER_EMBEDDING ? out->d_model : out->d_input,
                                &out->cells));
  if (!identity) return EBB_OK;
  out->decoder = EBB_DECODER_IDENTITY;
  const int64_t outputs = ebb_cells_outputs(out->cells);
  if (outputs == out->d_output) return EBB_OK;
  ebb_sequence_release(out);
  return ebb_fail(
      EBB_INVALID,
      "decoder._name_ (%s): identity needs as many outputs of the last layer as the data set has; "
      "they are %lld and %lld. Set the wiring's motor neurons or model.layer.proj_size, or take "
      "decoder._name_=sequence",
      ebb_config_origin(config, "decoder._name_"), (long long)outputs, (long long)out->d_output);
}

void ebb_sequence_release(EbbSequence *model) {
  ebb_cells_destroy(model->cells);
  model->cells = NULL;
}

EbbStatus ebb_sequence_from_config(const EbbConfig *config, const EbbDataset *dataset, EbbSequence *out) {
  EBB_TRY(ebb_sequence_from_keys(config, out));
  bool tokens = dataset->vocabulary > 0, retrieval = dataset->n_towers == 2, classes = dataset->n_classes > 0;
  EBB_TRY(check_kind(config, "encoder._name_", ebb_config_choice(config, "encoder._name_"), tokens ? 1 : 2,
                     tokens ? "its samples are tokens" : "its samples are values"));
  const int decoder =
      ebb_config_choice(config, "decoder._name_") % 3; /* identity is checked with the cells */
  EBB_TRY(check_kind(config, "decoder._name_", decoder, retrieval ? 2 : 1,
                     retrieval ? "its samples are pairs of sequences" : "its samples are single sequences"));
  if (retrieval && dataset->per_step)
    return ebb_fail(EBB_INVALID, "'%s' has pairs of sequences, which cannot have a target a step",
                    dataset->name);
  EBB_TRY(check_kind(config, "task.loss", ebb_config_choice(config, "task.loss"), classes ? 1 : 2,
                     classes ? "its targets are classes" : "its targets are numbers"));
  EBB_TRY(check_scores(config, dataset->n_classes));
  out->encoder = tokens ? EBB_ENCODER_EMBEDDING : EBB_ENCODER_LINEAR;
  out->vocabulary = dataset->vocabulary;
  out->d_input = dataset->d_input;
  out->decoder = retrieval ? EBB_DECODER_RETRIEVAL : EBB_DECODER_SEQUENCE;
  out->d_output = dataset->d_output;
  out->per_step = dataset->per_step;
  out->loss = classes ? EBB_LOSS_CROSS_ENTROPY : EBB_LOSS_MSE;
  /* Sequences of one length have nothing to mask. */
  out->use_lengths = dataset->variable_length;
  out->pool_lengths = out->use_lengths && ebb_config_flag(config, "decoder.use_lengths");
  EBB_TRY(take_class_weights(dataset, out));
  return take_cells(config, dataset, out);
}

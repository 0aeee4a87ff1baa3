/* A trained model reads one expression of the test split token by token and says after each token what it
   takes the answer to be; the published tokenisation writes ] as X. Usage: stream CHECKPOINT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/stream.h"
#include "ebb/train.h"

static EbbStatus configure(const char *checkpoint, EbbConfig *config) {
  char *yaml = NULL;
  EBB_TRY(ebb_checkpoint_config(checkpoint, &yaml));
  EbbStatus status = ebb_config_load_text(config, yaml, strlen(yaml), checkpoint);
  free(yaml);
  return status;
}

static int largest(const float *logits, int64_t count) {
  int best = 0;
  for (int i = 1; i < count; i++)
    if (logits[i] > logits[best]) best = i;
  return best;
}

static EbbStatus read_aloud(EbbStream *stream, const EbbDataset *dataset) {
  const EbbSamples *test = &dataset->split[EBB_TEST];
  float logits[16];
  if (!test->tokens || dataset->d_output > 16)
    return ebb_fail(EBB_UNSUPPORTED, "this example is for tokens and at most 16 classes");
  for (int64_t t = test->offset[0]; t < test->offset[1]; t++) {
    EBB_TRY(ebb_stream_step(stream, &test->tokens[t], logits));
    printf("%-6s -> %d\n", dataset->token_text[test->tokens[t]], largest(logits, dataset->d_output));
  }
  printf("label     %d\n", (int)test->labels[0]);
  return EBB_OK;
}

static EbbStatus run(const char *checkpoint, EbbConfig *config, EbbExperiment **experiment,
                     EbbSequence *model, EbbStream **stream) {
  EBB_TRY(configure(checkpoint, config));
  EBB_TRY(ebb_experiment_create(config, experiment));
  EBB_TRY(ebb_experiment_load(*experiment, checkpoint));
  EBB_TRY(ebb_sequence_from_config(config, ebb_experiment_dataset(*experiment), model));
  EBB_TRY(ebb_stream_create(ebb_experiment_params(*experiment), model, 1, stream));
  return read_aloud(*stream, ebb_experiment_dataset(*experiment));
}

int main(int argc, char **argv) {
  EbbConfig *config = NULL;
  EbbExperiment *experiment = NULL;
  EbbSequence model = {0};
  EbbStream *stream = NULL;
  if (argc != 2) return fprintf(stderr, "usage: stream CHECKPOINT\n"), 2;
  EbbStatus status = ebb_config_create(&config);
  if (status == EBB_OK) status = run(argv[1], config, &experiment, &model, &stream);
  if (status != EBB_OK) fprintf(stderr, "stream: %s\n", ebb_error());
  ebb_stream_destroy(stream);
  ebb_sequence_release(&model);
  ebb_experiment_destroy(experiment);
  ebb_config_destroy(config);
  return status == EBB_OK ? 0 : 1;
}

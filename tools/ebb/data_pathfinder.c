/* ebb data pathfinder */
#include <stdlib.h>

#include "cli.h"
#include "ebb/pathfinder.h"
#include "host/metrics/gallery.h"
#include "terminal.h"
#include "watch.h"

enum { RESOLUTION, LEVEL, SAMPLES, SEED, ANY_DIRECTION, SINGLE_PADDLES, OUTPUT, SHEET };

static const int resolutions[] = {32, 64, 128, 256, 300};

static const CliOption options[] = {
    [RESOLUTION] = {.name = "resolution",
                    .kind = CLI_CHOICE,
                    .value = "R",
                    .initial = "32",
                    .choices = "32|64|128|256|300",
                    .help = "side of an image; 128 is Path-X, 300 the original's"},
    [LEVEL] = {.name = "level",
               .kind = CLI_CHOICE,
               .value = "LEVEL",
               .initial = "curv_contour_length_14",
               .choices = "curv_baseline|curv_contour_length_9|curv_contour_length_14",
               .help = "paddles of a contour: 6, 9 or 14"},
    [SAMPLES] = {.name = "samples",
                 .kind = CLI_INTEGER,
                 .value = "N",
                 .initial = "200000",
                 .min = 1,
                 .max = 1000000000,
                 .help = "images, half of them positive"},
    [SEED] = {.name = "seed",
              .kind = CLI_INTEGER,
              .value = "S",
              .initial = "0",
              .max = INT64_MAX,
              .help = "equal seeds make equal files"},
    [ANY_DIRECTION] = {.name = "any-direction",
                       .help = "let contours start in every direction, not in those alone that the "
                               "published program leaves at 32 and 64"},
    [SINGLE_PADDLES] = {.name = "single-paddles", .help = "fill images with distractors of one paddle"},
    [OUTPUT] = {.name = "output",
                .letter = 'o',
                .kind = CLI_TEXT,
                .value = "FOLDER",
                .help = "where to write; by default $EBB_DATA/pathfinder, or data/pathfinder where EBB_DATA "
                        "is not set"},
    [SHEET] = {.name = "sheet",
               .kind = CLI_TEXT,
               .value = "PICTURE",
               .help = "write no data set, but draw its first images into this .png or .svg file"},
};

static void on_progress(void *context, int64_t done, int64_t total) {
  ebb_progress_update(((Watch *)context)->progress, "pathfinder", done, total, "image", NULL);
}

static bool on_stop(void *context) { return ((Watch *)context)->watcher.stop(context); }

static EbbStatus name_folder(const CliValue *output, char folder[CLI_PATH_BYTES]) {
  const char *data = getenv("EBB_DATA");
  const char *root = data && *data ? data : "data";
  const int length = output->text ? snprintf(folder, CLI_PATH_BYTES, "%s", output->text)
                                  : snprintf(folder, CLI_PATH_BYTES, "%s/pathfinder", root);
  return *folder && length > 0 && length < CLI_PATH_BYTES
             ? EBB_OK
             : ebb_fail(EBB_INVALID, "the folder's name is empty or too long");
}

static EbbStatus write_images(EbbPathfinderConfig *config, const char *folder) {
  Watch watch;
  EBB_TRY(watch_create(&watch, stderr));
  watch_signals("stopping");
  config->progress = on_progress, config->stop = on_stop, config->context = &watch;
  const EbbStatus status = ebb_pathfinder_generate(folder, config);
  watch_destroy(&watch);
  EBB_TRY(status);
  printf("%s/pathfinder%d/%s: %s images\n", folder, config->resolution,
         ebb_pathfinder_level_name(config->level), terminal_count(config->n_samples).text);
  return EBB_OK;
}

/* The first images as a data set of their own. */
static EbbStatus draw_sheet(const EbbPathfinderConfig *config, const char *picture) {
  enum { IMAGES = 24, CLASSES = 2 };
  static const char *const names[CLASSES] = {"negative", "positive"};
  static uint8_t pixels[IMAGES * 300 * 300];
  EbbPathfinderFacts facts[IMAGES];
  int64_t offset[IMAGES + 1];
  int32_t labels[IMAGES];
  EBB_TRY(ebb_pathfinder_draw(config, 0, IMAGES, pixels, facts));
  const int64_t area = (int64_t)config->resolution * config->resolution;
  for (int i = 0; i <= IMAGES; i++) offset[i] = i * area;
  for (int i = 0; i < IMAGES; i++) labels[i] = facts[i].label;
  EbbDataset sheet = {
      .n_classes = CLASSES, .d_output = CLASSES, .d_input = 1, .n_towers = 1, .longest = area};
  snprintf(sheet.name, sizeof sheet.name, "Pathfinder %d x %d, %s", config->resolution, config->resolution,
           ebb_pathfinder_level_name(config->level));
  sheet.split[EBB_TRAIN] = (EbbSamples){
      .n_samples = IMAGES, .offset = offset, .raw = pixels, .raw_type = EBB_RAW_U8, .labels = labels};
  EBB_TRY(ebb_gallery_draw(&sheet, EBB_TRAIN, names, picture));
  puts(picture);
  return EBB_OK;
}

static EbbStatus run(CliArguments *arguments) {
  const CliValue *value = arguments->value;
  EbbPathfinderConfig config = {.resolution = resolutions[value[RESOLUTION].integer],
                                .level = (EbbPathfinderLevel)value[LEVEL].integer,
                                .any_direction = value[ANY_DIRECTION].flag,
                                .single_paddles = value[SINGLE_PADDLES].flag,
                                .n_samples = value[SAMPLES].integer,
                                .seed = (uint64_t)value[SEED].integer};
  if (value[SHEET].text) return draw_sheet(&config, value[SHEET].text);
  char folder[CLI_PATH_BYTES];
  EBB_TRY(name_folder(&value[OUTPUT], folder));
  return write_images(&config, folder);
}

const CliCommand cli_data_pathfinder = {
    .name = "pathfinder",
    .synopsis = "[OPTION...]",
    .summary = "dots on one dashed curve or on two, by the published rules",
    .details =
        "Makes Pathfinder by the rules and in the layout of the Long Range Arena: "
        "pathfinder<R>/<LEVEL>/imgs/<batch>/sample_<i>.png and metadata/<batch>.npy. All cores work; the "
        "files depend on the options alone. After a stop the same command goes on where it was.",
    .examples = "ebb data pathfinder\n"
                "ebb data pathfinder --resolution 128 --sheet path-x.png\n"
                "ebb data pathfinder --resolution 128 --samples 20000 -o /tmp/path-x",
    .options = options,
    .n_options = CLI_COUNT(options),
    .run = run,
};

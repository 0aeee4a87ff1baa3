/* The published data sets with a target in every step, and sequential MNIST. Each is read from its
   publisher's files and split by one of two protocols. `paper`: windows, normalisation and permutations of
   the LTC paper's code (Hasani et al. 2021), bit for bit. Where windows overlap and are dealt by a
   permutation, parts of validation and test were seen in training. `chronological` (default): the rows are
   parted in time first, and windows are cut inside each part, so that no row is in two splits; means and
   deviations come from the training part alone. Without other mention training has the first 75 % of each
   recording, validation the next 10 % and test the last 15 %. */
#ifndef EBB_HOST_DATA_SOURCES_H
#define EBB_HOST_DATA_SOURCES_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbSourceOptions {
  const char *folder;  /* dataset.data_dir, or NULL */
  bool paper;          /* protocol */
  int64_t max_samples; /* of the training split; 0: all */
} EbbSourceOptions;

/* Errors of all: NOT_FOUND (where the files come from), FORMAT (file, line and what was expected), IO,
 * MEMORY.
 */

/* Room occupancy: datatraining.txt, datatest.txt, datatest2.txt; 5 inputs, 2 classes, windows of 16. Inputs
   are z-scored by the training file. paper: the training file's windows, one a row, of which a permutation
   (seed 893429) gives 10 % to validation; test: both test files, a window every 8 rows. chronological: the
   last 10 % of the training file's rows are the validation, and the z-score is that of the rows before;
   windows every 8 rows there. */
EbbStatus ebb_occupancy_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Metro interstate traffic volume: 7 inputs (holiday, temperature less its mean, rain, snow, clouds, weekday
   from Monday 0, sin(pi hour / 24)), the z-scored volume as target, windows of 32 every 4 rows. paper: the
   holiday is 0 in every row, as published; permutation seed 23489, 10 % validation, 15 % test. */
EbbStatus ebb_traffic_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Ozone level detection, eighthr.data: 72 inputs, missing ones 0, all scaled by one mean and deviation; 2
   classes, of which a loss weighs 0.1 + 1.5 y. paper: as the published code trains, which swaps time and
   sequence: 32 sequences of 626 steps (rows j, j + 4, j + 8, ...), permutation seed 23489, 25 / 3 / 4 of
   them. chronological: windows of 32 every 4 rows. */
EbbStatus ebb_ozone_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Half-cheetah traces trace_*.npy: 17 numbers a step, target the next step's, windows of 32 every 10. Both
   protocols: of the sorted files 15..24 are training, 0..4 validation, 5..14 test; nothing is normalised. */
EbbStatus ebb_cheetah_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Sequential MNIST and Fashion-MNIST, from the four IDX files: an image is 28 steps of 28 pixels in 0..1 with
   one label. Both protocols: the last 6000 training images are the validation. */
EbbStatus ebb_smnist_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;
EbbStatus ebb_fashion_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Gesture phases, seven files *_va3.csv: 32 inputs, 5 classes, windows of 32. paper: windows one after the
   other, each but the last of a file followed by one shifted by 16; z-score over all windows, overlaps
   counted twice; permutation seed 23489, 10 % validation, 15 % test. chronological: windows every 16 rows. */
EbbStatus ebb_gesture_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Human activity, "UCI HAR Dataset": 561 inputs, not normalised, 6 classes, windows of 16. paper: training
   windows one a row, permutation seed 893429, 10 % of them validation; test windows every 8 rows.
   chronological: the last 10 % of the training rows are the validation, with windows every 8 rows. */
EbbStatus ebb_har_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Household power: 6 inputs, target the global active power, all z-scored; a missing value is the last one of
   its column. Windows of 32 every 32 rows. paper: permutation seed 23489, 10 % validation, 15 % test. */
EbbStatus ebb_power_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* Localisation data for person activity, ConfLongDemo_JSI.txt: 7 inputs (which of 4 tags, x, y, z), 7
   classes, windows of 32 every 16 rows of a person's run. paper: the last run is dropped, as published;
   permutation seed 27731, 10 % validation, 15 % test. */
EbbStatus ebb_person_load(const EbbSourceOptions *options, EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

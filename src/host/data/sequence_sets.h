/* Data sets whose samples are whole sequences: recordings of speech and of vital signs, a user's own arrays,
   series and recordings, and tasks made from a seed. */
#ifndef EBB_HOST_DATA_SEQUENCE_SETS_H
#define EBB_HOST_DATA_SEQUENCE_SETS_H

#include "ebb/loading.h"
#include "host/data/cache_key.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Errors of all: NOT_FOUND (where the files come from), FORMAT (file, line or index, and what was expected),
   INVALID (a key), IO, MEMORY. */

/* Speech Commands v0.02: a folder a word, validation_list.txt, testing_list.txt; 16 kHz, one channel.
   dataset.all_classes: 35 words, split by the two lists, padded with zeros to 16000 samples. Without: the ten
   command words, of which recordings that are not 16000 long are left out, split 70/15/15 as scikit-learn's
   stratified train_test_split with seeds 0 and 1 does it; as published but for the order of files, which
   there is the file system's and here that of names. Both: every time index is z-scored by the training
   split, dataset.eps being added to the deviation. The published code's 1e-5 is 0.32768 of full scale,
   because it divides numbers in -1..1 by 2^15 once more. dataset.mfcc: 161 steps of 20 coefficients (mfcc.h)
   of the numbers in -1..1, each coefficient z-scored by the training split instead. */
EbbStatus ebb_speech_commands_load(const EbbConfig *config, const EbbLoading *loading,
                                   EbbDataset **out) EBB_MUST_CHECK;
/* What a cache of it depends on: the lists, and of every folder of a word the time of its last change, which
   a recording that is written over in its place does not alter. */
EbbStatus ebb_speech_commands_sources(const EbbConfig *config, EbbCacheKey *key) EBB_MUST_CHECK;

/* Free Spoken Digit Dataset: recordings/DIGIT_SPEAKER_TAKE.wav, 8 kHz, one channel, of any length. Takes 0 to
   4 are the official test; takes 5 to 9 are the validation here. dataset.normalise: z-score by training. */
EbbStatus ebb_fsdd_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* A user's recordings: a folder a class with its .wav files; folders train, val and test of these, or one for
   all, of which dataset.val_split and dataset.test_split are set aside at random. All files have the rate and
   channels of the first. dataset.normalise: z-score by training. */
EbbStatus ebb_wav_dataset_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* BIDMC32: two signals of 32 s at 125 Hz, and dataset.target as a number, neither normalised. From the
   prepared arrays TARGET/reshuffle/trainx.npy ... where there are any, else from the TSER archive's
   BIDMC32TARGET_TRAIN.ts and _TEST.ts with the published splits: dataset.reshuffle deals all cases 70/15/15
   as scikit-learn's train_test_split with seeds 0 and 1 (windows of one patient overlap, so this split
   leaks); without it the test file is the test, and the last seventh of the training file the validation. */
EbbStatus ebb_bidmc_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) EBB_MUST_CHECK;
/* What a cache of it depends on. */
EbbStatus ebb_bidmc_sources(const EbbConfig *config, EbbCacheKey *key) EBB_MUST_CHECK;

/* A user's arrays: trainx.npy, trainy.npy in dataset.data_dir, or trainx, trainy in the .npz file
   dataset.file; validx, validy, testx and testy if they are there, else dataset.val_split and
   dataset.test_split of training are set aside at random. Shapes: host/data/arrays.h. y is classes where it
   is whole, unless dataset.classes says otherwise. dataset.normalise: z-score of x by training. */
EbbStatus ebb_npy_dataset_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* A user's or an archive's series: dataset.file, dataset.val_file, dataset.test_file are .ts, .arff or UCR
   text by their names; missing splits are set aside as above. dataset.normalise: z-score of the channels by
   training; targets stay as they are. */
EbbStatus ebb_ts_dataset_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
